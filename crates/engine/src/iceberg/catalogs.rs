//! Iceberg's own catalogs, which a session names with Spark's keys: `spark.sql.catalog.NAME`, and below it `type` or
//! `catalog-impl`, `warehouse`, `uri`.
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_catalog::IcebergSqlEntry;
use firesteel_lake::iceberg::{TableHome, TablePointer};
use firesteel_plan::{JavaException, Result, SparkError};
use firesteel_storage::Location;

use crate::context::StatementContext;

/// What makes a session's setting `spark.sql.catalog.NAME` one of Iceberg's.
const CATALOG_CLASS: &str = "org.apache.iceberg.spark.SparkCatalog";
const SQLITE: &str = "jdbc:sqlite:";
/// The types of catalogs by the classes that `catalog-impl` may name.
const CLASSES: &[(&str, &str)] =
    &[("org.apache.iceberg.hadoop.HadoopCatalog", "hadoop"), ("org.apache.iceberg.jdbc.JdbcCatalog", "jdbc")];

impl StatementContext {
    /// Where a table of one of Iceberg's catalogs is. `None`: the name belongs to no such catalog.
    pub fn iceberg_home(&self, name: &[String]) -> Result<Option<TableHome>> {
        let Some((catalog, rest)) = name.split_first().filter(|(_, rest)| !rest.is_empty()) else { return Ok(None) };
        let setting = |key: &str| self.eval.get(&format!("spark.sql.catalog.{catalog}{key}"));
        if setting("") != Some(CATALOG_CLASS) {
            return Ok(None);
        }
        let required = |key: &str| {
            let message = format!("spark.sql.catalog.{catalog}{key} is not set");
            setting(key).ok_or_else(|| SparkError::java(JavaException::IllegalArgument, message))
        };
        let class = setting(".catalog-impl");
        let known = class.and_then(|class| CLASSES.iter().find(|(known, _)| *known == class)).map(|(_, kind)| *kind);
        let kind = known.or(class).or(setting(".type")).unwrap_or("hive");
        let location = || Ok::<_, SparkError>(Location::parse(required(".warehouse")?)?.join(&rest.join("/")));
        match kind.to_ascii_lowercase().as_str() {
            "hadoop" => Ok(Some(TableHome::directory(location()?))),
            "jdbc" => {
                let entry = self.sql_entry(catalog, rest, required(".uri")?)?;
                Ok(Some(TableHome { location: location()?, pointer: Some(Arc::new(SqlPointer(entry))) }))
            }
            _ => Err(SparkError::unsupported(format!("Iceberg catalogs of type {kind} (catalog {catalog})"))),
        }
    }

    fn sql_entry(&self, catalog: &str, name: &[String], uri: &str) -> Result<IcebergSqlEntry> {
        let file = uri.strip_prefix(SQLITE).map(|rest| rest.split('?').next().unwrap_or(rest));
        let file = file.filter(|file| !file.is_empty() && !file.starts_with(':'));
        let file =
            file.ok_or_else(|| SparkError::unsupported(format!("Iceberg catalogs in {uri}: SQLite files are")))?;
        let file = Location::parse(file)?;
        if file.scheme() != "file" {
            return Err(SparkError::unsupported(format!("Iceberg catalogs in {uri}: files of this machine are")));
        }
        // What the server does not let its sessions read is refused here.
        self.storage().file_system(&file)?;
        let (last, namespace) = name.split_last().ok_or_else(|| SparkError::internal("a table has no name"))?;
        Ok(IcebergSqlEntry {
            file: PathBuf::from(file.path()),
            catalog: catalog.to_string(),
            namespace: namespace.join("."),
            name: last.clone(),
        })
    }
}

#[derive(Debug)]
struct SqlPointer(IcebergSqlEntry);

#[async_trait]
impl TablePointer for SqlPointer {
    async fn current(&self) -> Result<Option<String>> {
        self.0.current().await
    }

    async fn swap(&self, old: Option<&str>, new: &str) -> Result<bool> {
        self.0.swap(old, new).await
    }

    async fn remove(&self) -> Result<bool> {
        self.0.remove().await
    }
}
