//! The catalog: databases, tables, views, partitions and persistent functions that outlive the server.
//!
//! ```text
//!  analyze ─┐  names, schemas            ┌─▶ SqliteCatalog   a file under the data directory, or memory
//!           ├─▶ Arc<dyn Catalog> ────────┤
//!  engine ──┘  create, alter, drop       └─▶ (PostgreSQL, Hive metastore: the same trait)
//! ```
//!
//! A [`Catalog`] keeps definitions only. Files belong to `firesteel-lake`: the caller makes a managed table's directory
//! before [`Catalog::create_table`] and removes it after [`Catalog::drop_table`]. Temporary views belong to the session.
//!
//! Iceberg's own catalogs are asked by other means: a database ([`IcebergSql`]), a service ([`IcebergRest`]), a Hive metastore
//! ([`hive`]).
//!
//! Names are kept as Spark's session catalog keeps them: lower case, looked up without regard to case.
//! Every change is one SQLite transaction, so a killed server leaves either the old or the new definition.
//!
//! ```
//! # async fn example() -> firesteel_plan::Result<()> {
//! use firesteel_catalog::{Catalog, Database, SqliteCatalog};
//! let catalog = SqliteCatalog::in_memory("spark_catalog", "file:/warehouse").await?;
//! catalog.create_database(Database::new("sales", "file:/warehouse/sales.db"), false).await?;
//! assert_eq!(catalog.list_databases(Some("s*")).await?, ["sales"]);
//! # Ok(()) }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod catalog;
pub mod errors;
pub mod hive;
mod iceberg_rest;
mod iceberg_sql;
mod json;
mod pattern;
mod postgres_tls;
mod sqlite;
mod types;

pub use catalog::Catalog;
pub use iceberg_rest::{IcebergRest, IcebergRestCommit, IcebergRestTable};
pub use iceberg_sql::{IcebergSql, IcebergSqlDatabase, IcebergSqlEntry, Renamed};
pub use pattern::{filter_pattern, matches_pattern};
pub use postgres_tls::PostgresCertificates;
pub use sqlite::SqliteCatalog;
pub use types::{
    BucketSpec, ColumnStatistics, Database, Function, FunctionParameter, Partition, PartitionSpec, SchemaBinding,
    Statistics, Table, TableId, TableKind, View,
};

/// The name of the session catalog.
pub const SESSION_CATALOG: &str = "spark_catalog";
/// The database that always exists and cannot be dropped.
pub const DEFAULT_DATABASE: &str = "default";
