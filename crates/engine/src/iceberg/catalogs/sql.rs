//! Catalogs in a database: Iceberg's `JdbcCatalog`.
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_catalog::{IcebergSql, IcebergSqlDatabase, IcebergSqlEntry, Renamed};
use firesteel_lake::iceberg::{Swap, TableHome, TablePointer, Told};
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{Location, Storage};

use super::{IcebergCatalog, Properties, Settings};

const SQLITE: &str = "jdbc:sqlite:";
/// What the settings of the database's driver begin with.
const DRIVER: &str = "jdbc.";

pub struct Sql {
    sql: IcebergSql,
    warehouse: Location,
}

impl Sql {
    pub(super) fn open(settings: &Settings, storage: &Storage) -> Result<Self> {
        let uri = settings.required("uri")?;
        let driver = settings.properties.iter().filter_map(|(k, v)| Some((k.strip_prefix(DRIVER)?.into(), v.clone())));
        let database = match sqlite(uri, storage)? {
            Some(file) => Some(IcebergSqlDatabase::Sqlite(file)),
            None => IcebergSqlDatabase::postgres(uri, &driver.collect())?,
        };
        let kind = || uri.split("//").next().unwrap_or(uri).trim_end_matches(':');
        let unknown = || SparkError::unsupported(format!("Iceberg catalogs in {}: SQLite and PostgreSQL are", kind()));
        let sql = IcebergSql { database: database.ok_or_else(unknown)?, catalog: settings.name.clone() };
        Ok(Self { sql, warehouse: settings.warehouse()? })
    }
}

/// The file of an SQLite database. `None`: another database.
fn sqlite(uri: &str, storage: &Storage) -> Result<Option<PathBuf>> {
    let Some(rest) = uri.strip_prefix(SQLITE) else { return Ok(None) };
    let file = rest.split('?').next().unwrap_or(rest);
    if file.is_empty() || file.starts_with(':') {
        return Err(SparkError::unsupported(format!("Iceberg catalogs in {uri}: SQLite files are")));
    }
    let file = Location::parse(file)?;
    if file.scheme() != "file" {
        return Err(SparkError::unsupported(format!("Iceberg catalogs in {uri}: files of this machine are")));
    }
    // What the server does not let its sessions read is refused here.
    storage.file_system(&file)?;
    Ok(Some(PathBuf::from(file.path())))
}

fn split(name: &[String]) -> Result<(String, &str)> {
    let (last, namespace) = name.split_last().ok_or_else(|| SparkError::internal("a table has no name"))?;
    Ok((namespace.join("."), last))
}

fn levels(namespace: &str) -> Vec<String> {
    namespace.split('.').map(str::to_string).collect()
}

#[async_trait]
impl IcebergCatalog for Sql {
    fn home(&self, name: &[String]) -> Result<TableHome> {
        let (namespace, last) = split(name)?;
        let entry = IcebergSqlEntry { sql: self.sql.clone(), namespace, name: last.to_string() };
        Ok(TableHome::Pointer(Arc::new(SqlPointer { entry, location: self.warehouse.join(&name.join("/")) })))
    }

    async fn namespaces(&self, parent: &[String]) -> Result<Vec<Vec<String>>> {
        let found = self.sql.namespaces(&parent.join(".")).await?;
        Ok(found.iter().map(|namespace| levels(namespace)).collect())
    }

    async fn namespace(&self, namespace: &[String]) -> Result<Option<Properties>> {
        let mut found = self.sql.namespace(&namespace.join(".")).await?;
        if let Some(properties) = &mut found {
            let location = self.warehouse.join(&namespace.join("/")).to_string();
            properties.entry("location".into()).or_insert(location);
        }
        Ok(found)
    }

    async fn create_namespace(&self, namespace: &[String], properties: Properties) -> Result<bool> {
        self.sql.create_namespace(&namespace.join("."), &properties).await
    }

    async fn set_properties(&self, namespace: &[String], set: &Properties, removed: &[String]) -> Result<()> {
        self.sql.set_properties(&namespace.join("."), set, removed).await
    }

    async fn drop_namespace(&self, namespace: &[String]) -> Result<bool> {
        self.sql.drop_namespace(&namespace.join(".")).await
    }

    async fn tables(&self, namespace: &[String]) -> Result<Vec<String>> {
        self.sql.tables(&namespace.join(".")).await
    }

    async fn rename(&self, from: &[String], to: &[String]) -> Result<Renamed> {
        let ((old_namespace, old), (namespace, new)) = (split(from)?, split(to)?);
        self.sql.rename((&old_namespace, old), (&namespace, new)).await
    }
}

#[derive(Debug)]
struct SqlPointer {
    entry: IcebergSqlEntry,
    /// Where a table that is made now is
    location: Location,
}

#[async_trait]
impl TablePointer for SqlPointer {
    async fn current(&self) -> Result<Option<String>> {
        self.entry.current().await
    }

    async fn new_location(&self) -> Result<Location> {
        Ok(self.location.clone())
    }

    async fn swap(&self, change: Swap<'_>) -> Result<Told> {
        Ok(match self.entry.swap(change.old, change.new).await {
            Ok(true) => Told::Done,
            Ok(false) => Told::Overtaken,
            Err(error) => Told::Unknown(error),
        })
    }

    async fn remove(&self) -> Result<bool> {
        self.entry.remove().await
    }
}
