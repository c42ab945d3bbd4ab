//! Log files of merge-on-read tables: what was changed since a base file was written.
//!
//! ```text
//!  log files of a slice ─▶ blocks: those that count ─▶ records, deletes ─▶ changes: the one that counts for each key
//!                                                                              │
//!  base file, batch by batch ───────────────────────────────────────────▶ merged rows, then the rows of new keys
//! ```
//!
//! The logs of one slice are held in memory; its base file streams by. Filters apply to merged rows only.
mod blocks;
mod changes;
mod deletes;
mod exec;
mod order;
mod records;

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{FileStatus, FileSystem, Location};

use super::properties::MergeRules;
use super::timeline::Timeline;
use blocks::Block;
pub(super) use blocks::{Kind, block};
pub(super) use deletes::Deletes;
pub(crate) use exec::{MergeExec, Slice};
pub(super) use records::{Records, header as avro_header};

/// The column with the key of a record.
const RECORD_KEY: &str = "_hoodie_record_key";
/// The column by which a record can say that it is gone.
const IS_DELETED: &str = "_hoodie_is_deleted";

/// The logs of a scan's files, and how they are merged.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    /// Of each file of the scan that has any: the base file's, or its own where a group has logs alone
    by_file: HashMap<usize, SliceLogs>,
    pub(super) rules: MergeRules,
    timeline: Timeline,
    /// The last instant that counts
    until: Option<String>,
    files: Arc<dyn FileSystem>,
}

/// The logs of one slice, in the order in which they are merged.
#[derive(Debug, Clone)]
pub(crate) struct SliceLogs {
    pub has_base: bool,
    pub logs: Vec<FileStatus>,
}

impl Logs {
    pub(super) fn new(
        by_file: HashMap<usize, SliceLogs>,
        rules: MergeRules,
        timeline: Timeline,
        until: Option<String>,
        files: Arc<dyn FileSystem>,
    ) -> Self {
        Self { by_file, rules, timeline, until, files }
    }

    pub(crate) fn of(&self, file: usize) -> Option<&SliceLogs> {
        self.by_file.get(&file)
    }

    /// Files that are read beside those of the scan.
    pub(crate) fn beside(&self) -> impl Iterator<Item = &FileStatus> {
        self.by_file.values().flat_map(|slice| slice.logs.iter().skip(usize::from(!slice.has_base)))
    }

    /// The columns that merging needs, of those that the table has.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        [RECORD_KEY, IS_DELETED].into_iter().chain(self.rules.ordering.as_deref())
    }

    /// Whether what an instant wrote counts.
    fn counts(&self, instant: &str) -> bool {
        self.until.as_deref().is_none_or(|end| instant <= end) && self.timeline.is_committed(instant)
    }

    /// The blocks of logs that count, in order.
    fn valid(&self, files: impl IntoIterator<Item = (Location, Bytes)>) -> Result<Vec<Block>> {
        let mut found = vec![];
        for (place, bytes) in files {
            blocks::read(&place, &bytes, |instant| self.counts(instant), &mut found)?;
        }
        Ok(found)
    }
}

/// A log file that makes no sense.
fn damaged(place: &Location, what: impl std::fmt::Display) -> SparkError {
    SparkError::new("FAILED_READ_FILE.NO_HINT", [("path", place.url())]).with_cause(format!("a log of Hudi: {what}"))
}
