//! Iceberg's own SQL catalog in SQLite: a table that says where each table's newest metadata file is. Spark's
//! `JdbcCatalog` and PyPI's `pyiceberg` keep the same one.
use std::path::PathBuf;
use std::time::Duration;

use firesteel_plan::{Result, SparkError};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the format's other users make, if they come first.
const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, \
     table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), \
     iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name))",
    "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, \
     namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255), property_value VARCHAR(1000), \
     PRIMARY KEY (catalog_name, namespace, property_key))",
];
const WHERE: &str = "WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?";

/// One table's entry.
#[derive(Debug, Clone)]
pub struct IcebergSqlEntry {
    pub file: PathBuf,
    pub catalog: String,
    /// With dots between its parts
    pub namespace: String,
    pub name: String,
}

fn failed(error: sqlx::Error) -> SparkError {
    SparkError::internal(format!("the Iceberg catalog failed: {error}")).with_cause(error)
}

impl IcebergSqlEntry {
    async fn connect(&self) -> Result<SqliteConnection> {
        let options =
            SqliteConnectOptions::new().filename(&self.file).create_if_missing(true).busy_timeout(BUSY_TIMEOUT);
        let mut connection = options.connect().await.map_err(failed)?;
        for statement in TABLES {
            sqlx::query(statement).execute(&mut connection).await.map_err(failed)?;
        }
        Ok(connection)
    }

    /// Catalogs of older writers do not tell tables and views apart.
    async fn has_types(connection: &mut SqliteConnection) -> Result<bool> {
        let sql = "SELECT count(*) FROM pragma_table_info('iceberg_tables') WHERE name = 'iceberg_type'";
        let count: i64 = sqlx::query_scalar(sql).fetch_one(connection).await.map_err(failed)?;
        Ok(count > 0)
    }

    /// The newest metadata file; `None`: there is no such table.
    pub async fn current(&self) -> Result<Option<String>> {
        let mut connection = self.connect().await?;
        let only = match Self::has_types(&mut connection).await? {
            true => " AND coalesce(iceberg_type, 'TABLE') = 'TABLE'",
            false => "",
        };
        let sql = format!("SELECT metadata_location FROM iceberg_tables {WHERE}{only}");
        let found: Option<Option<String>> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(&self.catalog)
            .bind(&self.namespace)
            .bind(&self.name)
            .fetch_optional(&mut connection)
            .await
            .map_err(failed)?;
        connection.close().await.map_err(failed)?;
        Ok(found.flatten())
    }

    /// Makes `new` the newest metadata file in place of `old`, or of nothing. `false`: another one is.
    pub async fn swap(&self, old: Option<&str>, new: &str) -> Result<bool> {
        let mut connection = self.connect().await?;
        let done = match old {
            Some(old) => {
                let sql = format!(
                    "UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? {WHERE} \
                     AND metadata_location = ?"
                );
                let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(new).bind(old);
                let query = query.bind(&self.catalog).bind(&self.namespace).bind(&self.name).bind(old);
                query.execute(&mut connection).await
            }
            None => {
                let columns = "catalog_name, table_namespace, table_name, metadata_location";
                let sql = match Self::has_types(&mut connection).await? {
                    true => format!(
                        "INSERT OR IGNORE INTO iceberg_tables ({columns}, iceberg_type) VALUES (?, ?, ?, ?, 'TABLE')"
                    ),
                    false => format!("INSERT OR IGNORE INTO iceberg_tables ({columns}) VALUES (?, ?, ?, ?)"),
                };
                let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&self.catalog).bind(&self.namespace);
                query.bind(&self.name).bind(new).execute(&mut connection).await
            }
        };
        let done = done.map_err(failed)?.rows_affected() == 1;
        connection.close().await.map_err(failed)?;
        Ok(done)
    }

    /// Forgets the table; its files stay. `false`: there is none.
    pub async fn remove(&self) -> Result<bool> {
        let mut connection = self.connect().await?;
        let sql = format!("DELETE FROM iceberg_tables {WHERE}");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&self.catalog).bind(&self.namespace).bind(&self.name);
        let done = query.execute(&mut connection).await.map_err(failed)?;
        connection.close().await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_writer_is_let_in() {
        let file = std::env::temp_dir().join(format!("firesteel-iceberg-{}.db", std::process::id()));
        let entry =
            IcebergSqlEntry { file: file.clone(), catalog: "lake".into(), namespace: "db".into(), name: "t".into() };
        assert_eq!(entry.current().await.unwrap(), None);
        assert!(!entry.swap(Some("0"), "1").await.unwrap());
        assert!(entry.swap(None, "1").await.unwrap() && !entry.swap(None, "2").await.unwrap());
        assert!(entry.swap(Some("1"), "2").await.unwrap() && !entry.swap(Some("1"), "3").await.unwrap());
        assert_eq!(entry.current().await.unwrap().as_deref(), Some("2"));
        assert!(entry.remove().await.unwrap() && !entry.remove().await.unwrap());
        std::fs::remove_file(file).unwrap();
    }
}
