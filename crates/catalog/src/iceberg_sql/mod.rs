//! Iceberg's own SQL catalog: a table that says where each table's newest metadata file is. Spark's `JdbcCatalog` and PyPI's
//! `pyiceberg` keep the same one.
//!
//! | file | holds |
//! |---|---|
//! | here | tables |
//! | [`namespaces`] | namespaces and their properties |
//! | [`database`] | SQLite and PostgreSQL |
mod database;
mod namespaces;

use firesteel_plan::Result;

pub use database::IcebergSqlDatabase;
use database::{Connection, failed};

/// What the format's other users make, if they come first.
const TABLES: [(&str, &str); 2] = [
    (
        "iceberg_tables",
        "CREATE TABLE IF NOT EXISTS iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, \
         table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), \
         iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name))",
    ),
    (
        "iceberg_namespace_properties",
        "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, \
         namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255), property_value VARCHAR(1000), \
         PRIMARY KEY (catalog_name, namespace, property_key))",
    ),
];
const WHERE: &str = "WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3";

/// A catalog in a database, which may hold several.
#[derive(Debug, Clone)]
pub struct IcebergSql {
    pub database: IcebergSqlDatabase,
    /// Its name there
    pub catalog: String,
}

/// One table's entry.
#[derive(Debug, Clone)]
pub struct IcebergSqlEntry {
    pub sql: IcebergSql,
    /// With dots between its parts
    pub namespace: String,
    pub name: String,
}

/// What became of a table that was to get another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    Done,
    /// There is no such table.
    Missing,
    /// There is one of the new name.
    Taken,
}

impl IcebergSql {
    async fn connect(&self) -> Result<Connection> {
        let mut connection = self.database.connect().await?;
        for (name, sql) in TABLES {
            // Two that make a table at once may meet in PostgreSQL: then it is there.
            if !connection.has_column(name, "catalog_name").await?
                && let Err(error) = connection.execute(sql, &[]).await
                && !connection.has_column(name, "catalog_name").await?
            {
                return Err(failed(error));
            }
        }
        Ok(connection)
    }

    /// Names of tables of a namespace, with dots between its parts.
    pub async fn tables(&self, namespace: &str) -> Result<Vec<String>> {
        let mut connection = self.connect().await?;
        let only = only_tables(&mut connection).await?;
        let sql = format!(
            "SELECT table_name FROM iceberg_tables WHERE catalog_name = $1 AND table_namespace = $2{only} ORDER BY table_name"
        );
        let rows = connection.rows(&sql, &[&self.catalog, namespace]).await?;
        connection.close().await?;
        Ok(rows.into_iter().filter_map(|mut row| row.pop().flatten()).collect())
    }

    /// Gives a table another name; its files stay where they are.
    pub async fn rename(&self, from: (&str, &str), to: (&str, &str)) -> Result<Renamed> {
        let mut connection = self.connect().await?;
        let only = only_tables(&mut connection).await?;
        let sql = format!("UPDATE iceberg_tables SET table_namespace = $4, table_name = $5 {WHERE}{only}");
        let values = [Some(self.catalog.as_str()), Some(from.0), Some(from.1), Some(to.0), Some(to.1)];
        let done = match connection.execute(&sql, &values).await {
            Ok(0) => Ok(Renamed::Missing),
            Ok(_) => Ok(Renamed::Done),
            Err(error) if error.as_database_error().is_some_and(|e| e.is_unique_violation()) => Ok(Renamed::Taken),
            Err(error) => Err(failed(error)),
        };
        connection.close().await?;
        done
    }
}

/// Catalogs of older writers do not tell tables and views apart.
async fn only_tables(connection: &mut Connection) -> Result<&'static str> {
    Ok(match connection.has_column("iceberg_tables", "iceberg_type").await? {
        true => " AND coalesce(iceberg_type, 'TABLE') = 'TABLE'",
        false => "",
    })
}

impl IcebergSqlEntry {
    fn place(&self) -> [&str; 3] {
        [&self.sql.catalog, &self.namespace, &self.name]
    }

    /// The newest metadata file; `None`: there is no such table.
    pub async fn current(&self) -> Result<Option<String>> {
        let mut connection = self.sql.connect().await?;
        let only = only_tables(&mut connection).await?;
        let sql = format!("SELECT metadata_location FROM iceberg_tables {WHERE}{only}");
        let found = connection.rows(&sql, &self.place()).await?.into_iter().next();
        connection.close().await?;
        Ok(found.and_then(|mut row| row.pop().flatten()))
    }

    /// Makes `new` the newest metadata file in place of `old`, or of nothing. `false`: another one is.
    pub async fn swap(&self, old: Option<&str>, new: &str) -> Result<bool> {
        let mut connection = self.sql.connect().await?;
        let [catalog, namespace, name] = self.place().map(Some);
        let done = match old {
            Some(old) => {
                let sql = format!(
                    "UPDATE iceberg_tables SET metadata_location = $4, previous_metadata_location = $5 {WHERE} \
                     AND metadata_location = $5"
                );
                connection.execute(&sql, &[catalog, namespace, name, Some(new), Some(old)]).await
            }
            None => {
                let (column, value) = match connection.has_column("iceberg_tables", "iceberg_type").await? {
                    true => (", iceberg_type", ", 'TABLE'"),
                    false => ("", ""),
                };
                let sql = format!(
                    "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location{column}) \
                     VALUES ($1, $2, $3, $4{value}) ON CONFLICT DO NOTHING"
                );
                connection.execute(&sql, &[catalog, namespace, name, Some(new)]).await
            }
        };
        let done = done.map_err(failed)? == 1;
        connection.close().await?;
        Ok(done)
    }

    /// Forgets the table; its files stay. `false`: there is none.
    pub async fn remove(&self) -> Result<bool> {
        let mut connection = self.sql.connect().await?;
        let sql = format!("DELETE FROM iceberg_tables {WHERE}");
        let done = connection.execute(&sql, &self.place().map(Some)).await.map_err(failed)?;
        connection.close().await?;
        Ok(done == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn temporary(name: &str) -> (IcebergSql, std::path::PathBuf) {
        let file = std::env::temp_dir().join(format!("firesteel-iceberg-{name}-{}.db", std::process::id()));
        (IcebergSql { database: IcebergSqlDatabase::Sqlite(file.clone()), catalog: "lake".into() }, file)
    }

    #[tokio::test]
    async fn one_writer_is_let_in() {
        let (sql, file) = temporary("entry");
        let entry = IcebergSqlEntry { sql: sql.clone(), namespace: "db".into(), name: "t".into() };
        assert_eq!(entry.current().await.unwrap(), None);
        assert!(!entry.swap(Some("0"), "1").await.unwrap());
        assert!(entry.swap(None, "1").await.unwrap() && !entry.swap(None, "2").await.unwrap());
        assert!(entry.swap(Some("1"), "2").await.unwrap() && !entry.swap(Some("1"), "3").await.unwrap());
        assert_eq!(entry.current().await.unwrap().as_deref(), Some("2"));
        assert_eq!(sql.tables("db").await.unwrap(), ["t"]);
        assert_eq!(sql.rename(("db", "none"), ("db", "u")).await.unwrap(), Renamed::Missing);
        let other = IcebergSqlEntry { sql: sql.clone(), namespace: "db".into(), name: "u".into() };
        assert!(other.swap(None, "9").await.unwrap());
        assert_eq!(sql.rename(("db", "t"), ("db", "u")).await.unwrap(), Renamed::Taken);
        assert_eq!(sql.rename(("db", "u"), ("other", "t")).await.unwrap(), Renamed::Done);
        assert!(entry.remove().await.unwrap() && !entry.remove().await.unwrap());
        std::fs::remove_file(file).unwrap();
    }
}
