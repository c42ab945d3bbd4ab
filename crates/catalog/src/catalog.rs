//! The trait that every catalog implements.
use std::fmt::Debug;

use async_trait::async_trait;
use firesteel_plan::Result;

use crate::types::{Database, Function, Partition, PartitionSpec, Table, TableId};

/// A metastore. Names are compared without regard to case; changes are atomic.
///
/// Errors are Spark's conditions: `SCHEMA_NOT_FOUND`, `SCHEMA_ALREADY_EXISTS`, `SCHEMA_NOT_EMPTY`,
/// `TABLE_OR_VIEW_NOT_FOUND`, `TABLE_OR_VIEW_ALREADY_EXISTS`, `PARTITIONS_NOT_FOUND`, `PARTITIONS_ALREADY_EXIST`,
/// `ROUTINE_NOT_FOUND`, `ROUTINE_ALREADY_EXISTS`.
#[async_trait]
pub trait Catalog: Send + Sync + Debug {
    /// The name before the first dot: `spark_catalog`.
    fn name(&self) -> &str;

    async fn create_database(&self, database: Database, if_not_exists: bool) -> Result<()>;
    async fn get_database(&self, name: &str) -> Result<Option<Database>>;
    /// Replaces the definition of the database of that name.
    async fn alter_database(&self, database: Database) -> Result<()>;
    /// Answers what was dropped, so that the caller can remove the files of managed tables. Without `cascade` a database
    /// that holds anything is refused. `Ok(None)`: there was none and `if_exists` is set.
    async fn drop_database(&self, name: &str, if_exists: bool, cascade: bool)
    -> Result<Option<(Database, Vec<Table>)>>;
    /// Sorted names that match the pattern (`*` any text, `|` alternatives).
    async fn list_databases(&self, pattern: Option<&str>) -> Result<Vec<String>>;

    /// Adds a table or view. With `if_not_exists` an existing one is left alone.
    async fn create_table(&self, table: Table, if_not_exists: bool) -> Result<()>;
    /// Adds a table or view, or takes the place of the one of that name; answers the old one.
    async fn create_or_replace_table(&self, table: Table) -> Result<Option<Table>>;
    async fn get_table(&self, id: &TableId) -> Result<Option<Table>>;
    /// Replaces the definition of the table of that id.
    async fn alter_table(&self, table: Table) -> Result<()>;
    /// Moves a table or view, with its partitions, to another name. The database may differ.
    async fn rename_table(&self, from: &TableId, to: &TableId) -> Result<()>;
    /// Answers the dropped definition. `Ok(None)`: there was none and `if_exists` is set.
    async fn drop_table(&self, id: &TableId, if_exists: bool) -> Result<Option<Table>>;
    /// Tables and views of a database, sorted by name. `SCHEMA_NOT_FOUND` where there is no such database.
    async fn list_tables(&self, database: &str, pattern: Option<&str>) -> Result<Vec<Table>>;

    /// Adds partitions, all or none.
    async fn create_partitions(&self, id: &TableId, partitions: Vec<Partition>, if_not_exists: bool) -> Result<()>;
    async fn get_partition(&self, id: &TableId, spec: &PartitionSpec) -> Result<Option<Partition>>;
    /// Replaces the definitions of existing partitions, all or none.
    async fn alter_partitions(&self, id: &TableId, partitions: Vec<Partition>) -> Result<()>;
    async fn rename_partitions(&self, id: &TableId, renames: Vec<(PartitionSpec, PartitionSpec)>) -> Result<()>;
    /// Removes partitions, all or none; answers what was removed.
    async fn drop_partitions(&self, id: &TableId, specs: Vec<PartitionSpec>, if_exists: bool)
    -> Result<Vec<Partition>>;
    /// Partitions that agree with a partial spec, in order of their values.
    async fn list_partitions(&self, id: &TableId, partial: &PartitionSpec) -> Result<Vec<Partition>>;

    async fn create_function(&self, function: Function, if_not_exists: bool) -> Result<()>;
    async fn create_or_replace_function(&self, function: Function) -> Result<Option<Function>>;
    async fn get_function(&self, database: &str, name: &str) -> Result<Option<Function>>;
    async fn drop_function(&self, database: &str, name: &str, if_exists: bool) -> Result<Option<Function>>;
    /// Sorted by name.
    async fn list_functions(&self, database: &str, pattern: Option<&str>) -> Result<Vec<Function>>;
}
