//! Apache Hudi tables: read here, written in [`write`].
//!
//! ```text
//!  .hoodie/hoodie.properties ─▶ properties ─┐
//!  .hoodie[/timeline] ─▶ timeline: which instants are complete ─▶ slices: of each group of files the newest
//!          └─▶ metadata: groups that were replaced, what was cleaned         │          that is committed by then
//!                                                                            └─▶ Scan over Parquet files, merged with logs
//! ```
//!
//! A table has file groups; a write makes a new version (a slice) of each group that it changes. A slice is a Parquet file,
//! and in a merge-on-read table log files with later changes.
mod groups;
pub(crate) mod logs;
mod metadata;
mod properties;
mod schema;
mod slices;
mod table;
mod timeline;
pub mod write;

pub use table::{HudiChanges, HudiTable};

/// The column with the instant that wrote a row.
pub const COMMIT_TIME: &str = "_hoodie_commit_time";

/// Names that mean this table format.
pub fn is_hudi(format: &str) -> bool {
    ["hudi", "org.apache.hudi"].iter().any(|name| name.eq_ignore_ascii_case(format))
        || format.starts_with("org.apache.hudi.") && format.ends_with("DefaultSource")
}
