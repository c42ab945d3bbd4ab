//! The data lake: reading and writing files with Spark's semantics.
//!
//! ```text
//!  ScanRequest ─▶ files (list, globs, partitions) ─▶ format (schema) ─▶ Scan ─▶ FileTable ─▶ DataSourceExec
//!                                                                                    │
//!                       parquet: DataFusion's source + Spark's column rules          │ splits as Spark makes them
//!                       csv, json, text, …: RecordSource + a RecordReader of ours ◀──┘
//!
//!  rows ─▶ write::WriteJob (start · run_task · commit | abort) ─▶ encoder of the format ─▶ staged files ─▶ renamed
//! ```
//!
//! - [`scan()`] resolves a read; [`Scan::table`] is what goes into a DataFusion plan.
//! - [`write()`] writes a plan here; a cluster drives [`WriteJob`] itself.
//! - `format` is the one table of formats; table formats ([`delta`], [`iceberg`], [`hudi`]) stand beside it and hand out a [`Scan`]
//!   over their own lists of files.
//!
//! ```no_run
//! # async fn example() -> firesteel_plan::Result<()> {
//! use firesteel_lake::{ScanRequest, SourceOptions, scan};
//! let request = ScanRequest {
//!     format: "csv".into(),
//!     paths: vec!["/data/flights/*.csv".into()],
//!     options: SourceOptions::new([("header", "true"), ("inferSchema", "true")]),
//!     ..ScanRequest::default()
//! };
//! let flights = scan(request).await?;
//! println!("{}", flights.schema().fields.len());
//! # Ok(()) }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod avro;
mod compression;
mod conf;
mod convert;
pub mod delta;
mod errors;
pub mod files;
mod format;
pub mod hudi;
pub mod iceberg;
mod merge;
pub(crate) mod options {
    pub(crate) use firesteel_functions::text_formats::FormatOptions as SourceOptions;
}
mod orc;
mod parquet;
mod partition_text;
mod request;
mod scan;
mod text;
mod write;

pub use conf::{Conf, parse_bytes};
/// The options of a read or write.
pub use firesteel_functions::text_formats::FormatOptions as SourceOptions;
pub use format::{display_name, is_file_format, short_name};
pub use parquet::{CodeTest, CodedScan, TextCodes, TextOf, read_as_codes, tests_plainly};
pub use request::{Bucketing, ScanRequest, TablePartition, WriteRequest, WriteSummary};
pub use scan::{
    DecodedParts, FILES_PRUNED, FileTable, FiltersAreKnown, KnownScans, STRIPES_PRUNED, Scan, ScanFile, StoreRegistry,
    TableLog, reads_decoded_parts, scan,
};
pub use text::infer_records;
pub use write::{StagedFile, TaskOutput, WriteJob, ordered, write};
