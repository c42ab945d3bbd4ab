//! Catalogs in a Hive metastore: Iceberg's `HiveCatalog`. A database is a namespace; a table's entry names the newest
//! metadata file and repeats what engines of Hive look for.
//!
//! | file | holds |
//! |---|---|
//! | here | the catalog |
//! | [`settings`] | what a session says of it |
//! | [`namespaces`] | databases |
//! | [`entry`] | a table's entry, and how it changes |
//! | [`described`] | what an entry says of a table |
mod described;
mod entry;
mod namespaces;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use firesteel_catalog::Renamed;
use firesteel_catalog::hive::{HiveFault, HiveFields, HiveMetastore, table};
use firesteel_lake::iceberg::TableHome;
use firesteel_plan::{JavaException, Result, SparkError};

use super::{IcebergCatalog, Properties, Settings};
use described::is_iceberg;
use entry::HiveEntry;
pub(super) use settings::HiveSettings;

/// A catalog in a metastore.
#[derive(Debug, Clone)]
pub struct Hive {
    metastore: Arc<HiveMetastore>,
    settings: Arc<HiveSettings>,
}

impl Hive {
    pub(super) fn open(settings: HiveSettings) -> Result<Self> {
        let metastore = HiveMetastore::open(&settings.uri, &settings.user, settings.timeout)?;
        Ok(Self { metastore, settings: Arc::new(settings) })
    }

    fn entry(&self, name: &[String]) -> Result<HiveEntry> {
        let (last, namespace) = name.split_last().ok_or_else(|| SparkError::internal("a table has no name"))?;
        Ok(HiveEntry { hive: self.clone(), namespace: namespace.to_vec(), name: last.clone() })
    }
}

fn illegal(message: impl Into<String>) -> SparkError {
    SparkError::java(JavaException::IllegalArgument, message)
}

#[async_trait]
impl IcebergCatalog for Hive {
    fn home(&self, name: &[String]) -> Result<TableHome> {
        Ok(TableHome::Pointer(Arc::new(self.entry(name)?)))
    }

    async fn namespaces(&self, parent: &[String]) -> Result<Vec<Vec<String>>> {
        // Databases have no namespaces below them.
        match parent.is_empty() {
            true => Ok(self.metastore.databases().await?.into_iter().map(|name| vec![name]).collect()),
            false => Ok(vec![]),
        }
    }

    async fn namespace(&self, namespace: &[String]) -> Result<Option<Properties>> {
        let [name] = namespace else { return Ok(None) };
        Ok(self.metastore.database(name).await?.as_ref().map(namespaces::properties_of))
    }

    async fn create_namespace(&self, namespace: &[String], properties: Properties) -> Result<bool> {
        let [name] = namespace else {
            let name = namespace.join(".");
            return Err(illegal(format!("Cannot support multi part namespace in Hive Metastore: {name}")));
        };
        let database = namespaces::new_database(&self.settings, name, &properties)?;
        match self.metastore.create_database(database).await {
            Err(failure) if failure.fault() == Some(HiveFault::AlreadyExists) => Ok(false),
            created => Ok(created.map(|()| true)?),
        }
    }

    async fn set_properties(&self, namespace: &[String], set: &Properties, removed: &[String]) -> Result<()> {
        let [name] = namespace else { return Ok(()) };
        let Some(mut database) = self.metastore.database(name).await? else { return Ok(()) };
        namespaces::check_owner(set.keys().chain(removed))?;
        let mut properties = namespaces::properties_of(&database);
        properties.extend(set.clone());
        properties.retain(|key, _| !removed.contains(key));
        namespaces::describe(&self.settings, &mut database, &properties)?;
        Ok(self.metastore.alter_database(name, database).await?)
    }

    async fn drop_namespace(&self, namespace: &[String]) -> Result<bool> {
        let [name] = namespace else { return Ok(false) };
        // Some metastores break when they are to drop what is not there.
        if self.metastore.database(name).await?.is_none() {
            return Ok(false);
        }
        match self.metastore.drop_database(name).await {
            Err(failure) if failure.fault() == Some(HiveFault::InvalidOperation) => {
                Err(firesteel_catalog::errors::schema_not_empty(name))
            }
            dropped => Ok(dropped?),
        }
    }

    async fn tables(&self, namespace: &[String]) -> Result<Vec<String>> {
        let [database] = namespace else { return Ok(vec![]) };
        let mut names = self.metastore.table_names(database).await?;
        if !self.settings.lists_all_tables {
            let found = self.metastore.tables(database, &names).await?;
            let own = found.iter().filter(|found| is_iceberg(found));
            names = own.filter_map(|found| found.text(table::NAME).map(str::to_string)).collect();
        }
        names.sort();
        Ok(names)
    }

    async fn rename(&self, from: &[String], to: &[String]) -> Result<Renamed> {
        let (old, new) = (self.entry(from)?, self.entry(to)?);
        let (Some(old_database), Some(database)) = (old.database(), new.database()) else {
            return Ok(Renamed::Missing);
        };
        let found: Option<HiveFields> = old.find().await?;
        let Some(mut found) = found else { return Ok(Renamed::Missing) };
        if self.metastore.table(database, &new.name).await?.is_some() {
            return Ok(Renamed::Taken);
        }
        found.set(table::DATABASE, database);
        found.set(table::NAME, new.name.as_str());
        match self.metastore.alter_table(old_database, &old.name, found, &entry::environment(None)).await {
            Ok(()) => Ok(Renamed::Done),
            Err(failure) => {
                let is_refused = failure.fault() == Some(HiveFault::InvalidOperation);
                let error = SparkError::from(failure);
                match is_refused && error.message().contains("already exists") {
                    true => Ok(Renamed::Taken),
                    false => Err(error),
                }
            }
        }
    }
}
