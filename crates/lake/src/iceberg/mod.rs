//! Apache Iceberg: tables whose metadata is a tree of files.
//!
//! ```text
//!  vN.metadata.json ── snapshots ──▶ manifest list ──▶ manifests ──▶ data files, delete files
//!   columns by number                  (Avro)            (Avro)         (Parquet)
//!        │                                                                 │
//!        └──── scan: bounds leave files out, deletes become row selections ┘──▶ Scan ──▶ our Parquet reader
//!  rows ─▶ write_data: files, their metrics ─▶ Commit: manifest, list, vN+1.metadata.json if nobody made it,
//!                                                              or a catalog is told (publish)
//! ```
//!
//! The metadata is read and written here, with the JSON that other writers put there kept: the Iceberg crates speak another
//! version of Arrow, know neither overwrites nor this engine's reader, and would bring a second Arrow into the binary.
//!
//! ```no_run
//! # async fn example() -> firesteel_plan::Result<()> {
//! use firesteel_lake::iceberg::{IcebergScan, IcebergTable, IcebergVersion};
//! let table = IcebergTable::open(&firesteel_storage::Location::parse("/lake/events")?, &Default::default()).await?;
//! let version = IcebergVersion::Timestamp(1_700_000_000_000);
//! let scan = IcebergScan { table, version, added: None, conf: Default::default() }.scan().await?;
//! println!("{} files", scan.files().len());
//! # Ok(()) }
//! ```
pub(crate) mod avro;
mod bounds;
mod commit;
mod deletes;
mod errors;
mod evolve;
mod home;
mod inspect;
mod manifest;
mod metadata;
mod metrics;
mod partition;
pub(crate) mod publish;
mod purge;
mod scan;
mod summaries;
mod table;
mod transform;
mod types;
mod updates;
mod write;

pub use commit::{Commit, NewTable, Removed, alter, check_writable};
pub use evolve::ColumnEdits;
pub use home::{ServedTable, Swap, TableHome, TablePointer, TableService, Told};
pub use inspect::{MetadataTable, inspect, metadata_table};
pub use manifest::DataFile;
pub use metadata::{IcebergVersion, Snapshot, TableMetadata};
pub(crate) use metrics::of_file as metrics_of_file;
pub use partition::{PartitionField, PartitionSpec, Transform};
pub use purge::TableFiles;
pub use scan::{IcebergFiles, IcebergScan, LiveFiles, scan_files};
pub use table::IcebergTable;
pub use types::{field_id, table_schema, table_type};
pub use write::{IcebergWrite, Written, write_data};

/// Names that mean this table format.
pub fn is_iceberg(format: &str) -> bool {
    format.eq_ignore_ascii_case("iceberg") || format == "org.apache.iceberg.spark.source.IcebergSource"
}
