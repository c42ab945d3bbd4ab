//! A table's entry in a metastore. One writer at a time changes it: under the metastore's lock, or by having the metastore
//! compare what it has with what the writer has seen.
use std::time::Duration;

use async_trait::async_trait;
use firesteel_catalog::hive::{HiveFailure, HiveFault, HiveFields, HiveResult, database};
use firesteel_lake::iceberg::{Swap, TablePointer, Told};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::Location;

use super::described::{Description, NO_STATISTICS, is_iceberg, is_locked, metadata_location};
use super::{Hive, Properties, illegal};

/// How often the metastore is asked what became of a change, and the wait between
const CHECKS: u32 = 3;
const WAIT: Duration = Duration::from_secs(1);
/// How a metastore says that it has something else than the writer has seen
const MODIFIED: &str = "The table has been modified. The parameter value for key";

#[derive(Debug, Clone)]
pub struct HiveEntry {
    pub hive: Hive,
    pub namespace: Vec<String>,
    pub name: String,
}

/// What goes with a change: the metastore counts no files itself, and compares the metadata file that was the newest.
pub fn environment(expected: Option<&str>) -> Properties {
    let mut all = Properties::from([(NO_STATISTICS.to_string(), "true".to_string())]);
    if let Some(expected) = expected {
        all.insert("expected_parameter_key".into(), "metadata_location".into());
        all.insert("expected_parameter_value".into(), expected.into());
    }
    all
}

impl HiveEntry {
    /// A table is right below a database.
    pub fn database(&self) -> Option<&str> {
        match self.namespace.as_slice() {
            [database] => Some(database),
            _ => None,
        }
    }

    /// The entry, if it is that of a table of Iceberg's.
    pub async fn find(&self) -> HiveResult<Option<HiveFields>> {
        let Some(database) = self.database() else { return Ok(None) };
        Ok(self.hive.metastore.table(database, &self.name).await?.filter(is_iceberg))
    }

    fn no_namespace(&self) -> SparkError {
        SparkError::new("SCHEMA_NOT_FOUND", [("schemaName", quoted_name(&self.namespace))])
    }
}

#[async_trait]
impl TablePointer for HiveEntry {
    async fn current(&self) -> Result<Option<String>> {
        Ok(self.find().await?.as_ref().and_then(metadata_location))
    }

    async fn new_location(&self) -> Result<Location> {
        let Some(name) = self.database() else {
            let name = quoted_name(&self.namespace);
            return Err(illegal(format!("tables in a Hive metastore are right below a database, not in {name}")));
        };
        let found = self.hive.metastore.database(name).await?.ok_or_else(|| self.no_namespace())?;
        let own = found.text(database::LOCATION).filter(|place| !place.is_empty()).map(str::to_string);
        let default = || self.hive.settings.warehouse.as_ref().map(|warehouse| format!("{warehouse}/{name}.db"));
        let place = own.or_else(default).ok_or_else(|| illegal(format!("the database {name} has no location")))?;
        Ok(Location::parse(&place)?.join(&self.name))
    }

    async fn swap(&self, change: Swap<'_>) -> Result<Told> {
        let Some(database) = self.database() else { return Err(self.no_namespace()) };
        let settings = &self.hive.settings;
        let work = Change {
            entry: self.clone(),
            database: database.to_string(),
            is_locked: is_locked(settings, change.before),
            description: Description::of(settings, &change)?,
            old: change.old.map(str::to_string),
            new: change.new.to_string(),
        };
        // A statement that ends meanwhile leaves no lock behind.
        let done = tokio::spawn(work.run()).await;
        done.unwrap_or_else(|error| Ok(Told::Unknown(SparkError::internal(format!("a commit broke off: {error}")))))
    }

    async fn remove(&self) -> Result<bool> {
        let Some(database) = self.database() else { return Ok(false) };
        // What else is in the metastore is none of this catalog's.
        match self.find().await? {
            Some(_) => Ok(self.hive.metastore.drop_table(database, &self.name).await?),
            None => Ok(false),
        }
    }
}

/// A change of an entry.
struct Change {
    entry: HiveEntry,
    database: String,
    is_locked: bool,
    description: Description,
    old: Option<String>,
    new: String,
}

impl Change {
    async fn run(self) -> Result<Told> {
        if !self.is_locked {
            return self.make().await;
        }
        let lock = self.entry.hive.metastore.lock(&self.database, &self.entry.name).await?;
        let (told, lost) = lock.holding(self.make()).await;
        lock.release().await;
        match (told, lost) {
            // Somebody else may have had the lock too.
            (Ok(Told::Done), Some(error)) => Ok(Told::Unknown(error)),
            (told, _) => told,
        }
    }

    async fn make(&self) -> Result<Told> {
        let (metastore, name) = (&self.entry.hive.metastore, &self.entry.name);
        let found = metastore.table(&self.database, name).await?;
        let made = match (found, &self.old) {
            (None, None) => metastore.create_table(self.description.new_table(&self.database, name)).await,
            (Some(mut found), Some(old)) if metadata_location(&found).as_ref() == Some(old) => {
                self.description.apply(&mut found);
                let expected = (!self.is_locked).then_some(old.as_str());
                metastore.alter_table(&self.database, name, found, &environment(expected)).await
            }
            _ => return Ok(Told::Overtaken),
        };
        match made {
            Ok(()) => Ok(Told::Done),
            Err(HiveFailure::Unreachable(error)) => Err(error),
            Err(HiveFailure::Lost(error)) => Ok(self.lost(error).await),
            Err(HiveFailure::Refused(HiveFault::AlreadyExists, _)) => Ok(Told::Overtaken),
            Err(HiveFailure::Refused(HiveFault::NoSuchObject, _)) if self.old.is_none() => {
                Err(self.entry.no_namespace())
            }
            Err(HiveFailure::Refused(_, error)) if error.message().contains(MODIFIED) => Ok(Told::Overtaken),
            Err(HiveFailure::Refused(_, error)) => self.refused(error).await,
        }
    }

    /// A change that the metastore has failed in may be there all the same.
    async fn refused(&self, error: SparkError) -> Result<Told> {
        match self.entry.current().await {
            Ok(current) if current == self.old => Err(error),
            Ok(Some(current)) if current == self.new => Ok(Told::Done),
            _ => Ok(Told::Unknown(error)),
        }
    }

    /// The metastore may still be at work on a change whose answer is lost.
    async fn lost(&self, error: SparkError) -> Told {
        for _ in 0..CHECKS {
            match self.entry.current().await {
                Ok(Some(current)) if current == self.new => return Told::Done,
                Ok(current) if current != self.old => break,
                _ => tokio::time::sleep(WAIT).await,
            }
        }
        Told::Unknown(error)
    }
}
