//! The embedded catalog, on SQLite.
//!
//! A row a database, table, partition or function: what is searched for is a column, the definition is a JSON document.
//! Each change is one `BEGIN IMMEDIATE` transaction on one connection; WAL mode lets reads go on beside it.
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use firesteel_plan::{Result, SparkError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::DEFAULT_DATABASE;
use crate::catalog::Catalog;
use crate::types::{Database, Function, Partition, PartitionSpec, Table, TableId};

mod databases;
mod functions;
mod migrations;
mod partitions;
mod tables;

/// A catalog in one SQLite file, or in memory.
pub struct SqliteCatalog {
    name: String,
    pool: SqlitePool,
}

impl fmt::Debug for SqliteCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteCatalog").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How long a change waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_CONNECTIONS: u32 = 4;

impl SqliteCatalog {
    /// Opens or makes the catalog in `file`. `warehouse` is the URL where the `default` database is made.
    pub async fn open(name: &str, file: &Path, warehouse: &str) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = SqlitePoolOptions::new().max_connections(MAX_CONNECTIONS).connect_with(options).await;
        let pool = pool.map_err(|e| {
            SparkError::internal(format!("cannot open the catalog in {}: {e}", file.display())).with_cause(e)
        })?;
        Self::start(name, pool, warehouse).await
    }

    /// A catalog that is gone with the process: for tests and embedded use.
    pub async fn in_memory(name: &str, warehouse: &str) -> Result<Self> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:").map_err(store_error)?.foreign_keys(true);
        // One connection that never closes: an in-memory database lives as long as its connection.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(store_error)?;
        Self::start(name, pool, warehouse).await
    }

    async fn start(name: &str, pool: SqlitePool, warehouse: &str) -> Result<Self> {
        let catalog = Self { name: name.to_string(), pool };
        let mut transaction = catalog.begin().await?;
        migrations::run(&mut transaction).await?;
        if databases::get(&mut transaction, DEFAULT_DATABASE).await?.is_none() {
            let mut database = Database::new(DEFAULT_DATABASE, warehouse);
            database.comment = Some("default database".into());
            databases::insert(&mut transaction, &database).await?;
        }
        commit(transaction).await?;
        Ok(catalog)
    }

    /// Closes the connections; what was changed is on disk.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A transaction that may write: it takes the write lock at once, so two writers wait instead of failing halfway.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)
    }

    async fn read(&self) -> Result<sqlx::pool::PoolConnection<Sqlite>> {
        self.pool.acquire().await.map_err(store_error)
    }
}

async fn commit(transaction: Transaction<'_, Sqlite>) -> Result<()> {
    transaction.commit().await.map_err(store_error)
}

/// A failure of the store itself.
fn store_error(error: sqlx::Error) -> SparkError {
    SparkError::internal(format!("the catalog store failed: {error}")).with_cause(error)
}

/// The row id of a database, or `SCHEMA_NOT_FOUND`.
async fn database_id(connection: &mut SqliteConnection, name: &str) -> Result<i64> {
    databases::id(connection, name).await?.ok_or_else(|| crate::errors::schema_not_found(name))
}

#[async_trait]
impl Catalog for SqliteCatalog {
    fn name(&self) -> &str {
        &self.name
    }

    async fn create_database(&self, database: Database, if_not_exists: bool) -> Result<()> {
        let mut transaction = self.begin().await?;
        databases::create(&mut transaction, database, if_not_exists).await?;
        commit(transaction).await
    }

    async fn get_database(&self, name: &str) -> Result<Option<Database>> {
        databases::get(&mut *self.read().await?, name).await
    }

    async fn alter_database(&self, database: Database) -> Result<()> {
        let mut transaction = self.begin().await?;
        databases::alter(&mut transaction, database).await?;
        commit(transaction).await
    }

    async fn drop_database(
        &self,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<Option<(Database, Vec<Table>)>> {
        let mut transaction = self.begin().await?;
        let dropped = databases::drop(&mut transaction, name, if_exists, cascade).await?;
        commit(transaction).await?;
        Ok(dropped)
    }

    async fn list_databases(&self, pattern: Option<&str>) -> Result<Vec<String>> {
        let names = databases::list(&mut *self.read().await?).await?;
        Ok(crate::filter_pattern(names, pattern))
    }

    async fn create_table(&self, table: Table, if_not_exists: bool) -> Result<()> {
        let mut transaction = self.begin().await?;
        tables::create(&mut transaction, table, if_not_exists).await?;
        commit(transaction).await
    }

    async fn create_or_replace_table(&self, table: Table) -> Result<Option<Table>> {
        let mut transaction = self.begin().await?;
        let old = tables::drop(&mut transaction, &table.id, true).await?;
        tables::create(&mut transaction, table, false).await?;
        commit(transaction).await?;
        Ok(old)
    }

    async fn get_table(&self, id: &TableId) -> Result<Option<Table>> {
        tables::get(&mut *self.read().await?, id).await
    }

    async fn alter_table(&self, table: Table) -> Result<()> {
        let mut transaction = self.begin().await?;
        tables::alter(&mut transaction, table).await?;
        commit(transaction).await
    }

    async fn rename_table(&self, from: &TableId, to: &TableId) -> Result<()> {
        let mut transaction = self.begin().await?;
        tables::rename(&mut transaction, from, to).await?;
        commit(transaction).await
    }

    async fn drop_table(&self, id: &TableId, if_exists: bool) -> Result<Option<Table>> {
        let mut transaction = self.begin().await?;
        let dropped = tables::drop(&mut transaction, id, if_exists).await?;
        commit(transaction).await?;
        Ok(dropped)
    }

    async fn list_tables(&self, database: &str, pattern: Option<&str>) -> Result<Vec<Table>> {
        tables::list(&mut *self.read().await?, database, pattern).await
    }

    async fn create_partitions(&self, id: &TableId, partitions: Vec<Partition>, if_not_exists: bool) -> Result<()> {
        let mut transaction = self.begin().await?;
        partitions::create(&mut transaction, id, partitions, if_not_exists).await?;
        commit(transaction).await
    }

    async fn get_partition(&self, id: &TableId, spec: &PartitionSpec) -> Result<Option<Partition>> {
        partitions::get(&mut *self.read().await?, id, spec).await
    }

    async fn alter_partitions(&self, id: &TableId, partitions: Vec<Partition>) -> Result<()> {
        let mut transaction = self.begin().await?;
        partitions::alter(&mut transaction, id, partitions).await?;
        commit(transaction).await
    }

    async fn rename_partitions(&self, id: &TableId, renames: Vec<(PartitionSpec, PartitionSpec)>) -> Result<()> {
        let mut transaction = self.begin().await?;
        partitions::rename(&mut transaction, id, renames).await?;
        commit(transaction).await
    }

    async fn drop_partitions(
        &self,
        id: &TableId,
        specs: Vec<PartitionSpec>,
        if_exists: bool,
    ) -> Result<Vec<Partition>> {
        let mut transaction = self.begin().await?;
        let dropped = partitions::drop(&mut transaction, id, specs, if_exists).await?;
        commit(transaction).await?;
        Ok(dropped)
    }

    async fn list_partitions(&self, id: &TableId, partial: &PartitionSpec) -> Result<Vec<Partition>> {
        partitions::list(&mut *self.read().await?, id, partial).await
    }

    async fn create_function(&self, function: Function, if_not_exists: bool) -> Result<()> {
        let mut transaction = self.begin().await?;
        functions::create(&mut transaction, function, if_not_exists).await?;
        commit(transaction).await
    }

    async fn create_or_replace_function(&self, function: Function) -> Result<Option<Function>> {
        let mut transaction = self.begin().await?;
        let old = functions::drop(&mut transaction, &function.database, &function.name, true).await?;
        functions::create(&mut transaction, function, false).await?;
        commit(transaction).await?;
        Ok(old)
    }

    async fn get_function(&self, database: &str, name: &str) -> Result<Option<Function>> {
        functions::get(&mut *self.read().await?, database, name).await
    }

    async fn drop_function(&self, database: &str, name: &str, if_exists: bool) -> Result<Option<Function>> {
        let mut transaction = self.begin().await?;
        let dropped = functions::drop(&mut transaction, database, name, if_exists).await?;
        commit(transaction).await?;
        Ok(dropped)
    }

    async fn list_functions(&self, database: &str, pattern: Option<&str>) -> Result<Vec<Function>> {
        functions::list(&mut *self.read().await?, database, pattern).await
    }
}

#[cfg(test)]
mod tests;
