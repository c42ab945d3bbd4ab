//! Writing tables.
//!
//! ```text
//!  TableLock ─▶ HudiTable ─▶ HudiTransaction::begin: requested, inflight          commit: no other writer was faster,
//!                                  │                                                  completed entry, markers removed
//!                                  ▼                                                        ▲
//!  rows: place of a file, Hudi's columns, the table's ─▶ write_rows: marker, base file, log ┘   rollback: files, then entries
//! ```
//!
//! Changes of stored rows make a new base file of their group in a copy-on-write table, and a log of it in a merge-on-read
//! table ([`logs`]); new rows make groups with a base file in both. Files lie where they stay from the start: no reader sees one whose instant is not complete. A marker names each before
//! it is begun, so that Hudi's own writers can remove what a killed one has left; ours does so too ([`leftovers`]).
mod avro;
mod bloom;
mod commits;
mod definition;
mod encode;
mod leftovers;
mod logs;
mod rows;
mod transaction;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use firesteel_storage::{FileStatus, Location};
use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

pub use avro::table_type;
pub(super) use definition::CREATE_SCHEMA;
pub use definition::{HudiDefinition, KeyGenerator, NEW_VERSION};
pub use rows::{DELETED, DELETED_BY_ORDER, HudiRows, Written, write_rows};
pub use transaction::HudiTransaction;

use firesteel_plan::{Result, StructField, StructType};

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Upsert,
    Insert,
    BulkInsert,
    Delete,
    InsertOverwrite,
    InsertOverwriteTable,
}

const OPERATIONS: [(Operation, &str); 6] = [
    (Operation::Upsert, "UPSERT"),
    (Operation::Insert, "INSERT"),
    (Operation::BulkInsert, "BULK_INSERT"),
    (Operation::Delete, "DELETE"),
    (Operation::InsertOverwrite, "INSERT_OVERWRITE"),
    (Operation::InsertOverwriteTable, "INSERT_OVERWRITE_TABLE"),
];

impl Operation {
    pub fn parse(name: &str) -> Option<Self> {
        OPERATIONS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(operation, _)| *operation)
    }

    pub fn name(self) -> &'static str {
        OPERATIONS.iter().find(|(operation, _)| *operation == self).map_or("", |(_, name)| name)
    }

    /// Whether it puts groups in place of others.
    pub fn replaces(self) -> bool {
        matches!(self, Self::InsertOverwrite | Self::InsertOverwriteTable)
    }
}

/// A file group as it is now.
#[derive(Debug, Clone)]
pub struct FileGroup {
    pub partition: String,
    pub id: String,
    /// When its newest slice was begun
    pub instant: String,
    /// Its first log where it has no base file
    pub base: FileStatus,
    pub has_base: bool,
    /// In the order in which they are merged
    pub logs: Vec<FileStatus>,
    /// Instant and number in the name of the next log, before version 8
    pub(super) next_log: (String, u64),
}

/// The Avro schema of the records of a new table.
pub fn record_schema(table: &str, columns: &StructType) -> Result<String> {
    avro::schema_of(table, columns).map(|schema| schema.to_string())
}

/// The same with further columns.
pub fn widened_schema(schema: &str, more: &[StructField]) -> Result<String> {
    avro::with_columns(schema, more)
}

/// Leave to write a table: one writer of this process at a time has it.
pub type TableLock = OwnedMutexGuard<()>;

/// The locks of tables that are being written.
static LOCKS: LazyLock<Mutex<HashMap<String, Weak<AsyncMutex<()>>>>> = LazyLock::new(Mutex::default);

pub async fn lock(table: &Location) -> TableLock {
    let lock = {
        let mut locks = LOCKS.lock();
        locks.retain(|_, lock| lock.strong_count() > 0);
        let name = table.to_string().trim_end_matches('/').to_string();
        match locks.get(&name).and_then(Weak::upgrade) {
            Some(lock) => lock,
            None => {
                let lock = Arc::new(AsyncMutex::new(()));
                locks.insert(name, Arc::downgrade(&lock));
                lock
            }
        }
    };
    lock.lock_owned().await
}
