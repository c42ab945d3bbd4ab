//! Delta Lake tables: the log is read and committed by the crate `deltalake`; files, rows and expressions are ours.
//!
//! ```text
//!  _delta_log ─▶ DeltaTable (one version: schema, properties, files) ─▶ scan: Scan over its files, pruned by their statistics
//!                     │
//!  rows ─▶ write: Parquet files in place, invisible ─▶ Transaction (add, remove, metadata) ─▶ commit: one atomic log entry,
//!                                                          └── conflicts with later versions, by Delta's own rules
//! ```
//!
//! [`KnownTables`] keeps what a session has read of logs that are the same still.
//!
//! Whatever fails before the log entry is written leaves the table as it was.
mod checkpoint;
mod commit;
pub mod conflict;
mod convert;
mod deletions;
mod errors;
mod features;
mod feed;
mod history;
mod known;
mod mapping;
mod metadata;
mod protocol;
mod relist;
mod scan;
mod skipping;
mod statistics;
mod table;
mod vacuum;
mod write;

pub use commit::{Committed, Operation, Transaction};
pub use convert::describe_files;
pub use errors::{delta_error, missing_table};
pub use features::COLUMN_DEFAULTS;
pub use feed::ChangeFeed;
pub use history::{Commit, changes_between, commits};
pub use known::KnownTables;
pub use metadata::TableMetadata;
pub use protocol::{AskedProtocol, TableProtocol};
pub use scan::{DeltaFiles, DeltaScan, scan_with_constants};
pub(crate) use statistics::of_file as statistics_of_file;
pub use table::{DeltaTable, DeltaVersion};
pub use vacuum::{VacuumRequest, vacuum};
pub use write::{DeltaWrite, WrittenFiles, write_data};

pub use crate::write::RowCheck;
pub use deltalake_core::kernel::{Action, Add, AddCDCFile, Remove};

/// Names that mean this table format.
pub fn is_delta(format: &str) -> bool {
    format.eq_ignore_ascii_case("delta") || format == "org.apache.spark.sql.delta.sources.DeltaDataSource"
}
