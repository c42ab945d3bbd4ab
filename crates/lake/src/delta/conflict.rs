//! Whether a transaction may follow one that was committed after it had read the table: Delta's rules.
//!
//! | the other one | is a conflict where |
//! |---|---|
//! | changes the protocol | always (`DELTA_PROTOCOL_CHANGED`) |
//! | changes the metadata | always (`DELTA_METADATA_CHANGED`) |
//! | adds rows | this one read where they are (`DELTA_CONCURRENT_APPEND`); plain appends only at `Serializable` |
//! | removes files | this one read them (`DELTA_CONCURRENT_DELETE_READ`) or removes them too (`…_DELETE_DELETE`) |
//! | is of the same application | always (`DELTA_CONCURRENT_TRANSACTION`) |
use std::collections::{HashMap, HashSet};

use deltalake_core::kernel::{Action, Add, CommitInfo, IsolationLevel};
use firesteel_plan::{Result, SparkError};

use super::commit::Transaction;
use super::history;
use super::table::DeltaTable;

/// What a transaction read.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum ReadSet {
    /// Rows were added without a look at the table.
    #[default]
    Nothing,
    /// These partitions, each by the values of some partition columns (by name).
    Partitions(Vec<HashMap<String, Option<String>>>),
    WholeTable,
}

impl ReadSet {
    fn covers(&self, add: &Add) -> bool {
        match self {
            Self::Nothing => false,
            Self::WholeTable => true,
            Self::Partitions(all) => all.iter().any(|partition| {
                partition.iter().all(|(column, value)| add.partition_values.get(column).is_none_or(|v| v == value))
            }),
        }
    }
}

/// `delta.isolationLevel`
pub(super) fn isolation(table: Option<&DeltaTable>) -> IsolationLevel {
    match table.and_then(|t| t.metadata().configuration.get("delta.isolationLevel")) {
        Some(level) if level.eq_ignore_ascii_case("Serializable") => IsolationLevel::Serializable,
        _ => IsolationLevel::WriteSerializable,
    }
}

pub(super) async fn check(ours: &Transaction, read: &DeltaTable, version: u64) -> Result<()> {
    let Some(actions) = history::actions(read, version).await? else {
        return Err(SparkError::of("DELTA_CONCURRENT_WRITE"));
    };
    let theirs = Winner::of(actions);
    let conflict = |condition: &str| Err(theirs.conflict(condition, read, version));
    if theirs.protocol {
        return conflict("DELTA_PROTOCOL_CHANGED");
    }
    if theirs.metadata {
        return conflict("DELTA_METADATA_CHANGED");
    }
    let serializable = isolation(Some(read)) == IsolationLevel::Serializable;
    // An append that read nothing comes before this transaction in some order of the two, unless order must be real.
    let blind = theirs.info.is_blind_append == Some(true) && !serializable && ours.metadata.is_none();
    if !blind && !ours.keeps_rows && theirs.added.iter().any(|add| add.data_change && ours.reads.covers(add)) {
        return conflict("DELTA_CONCURRENT_APPEND.WITHOUT_HINT");
    }
    let removed: HashSet<&str> = ours.removes.iter().map(|remove| remove.path.as_str()).collect();
    if theirs.removed.iter().any(|(path, _)| removed.contains(path.as_str())) {
        return conflict("DELTA_CONCURRENT_DELETE_DELETE.WITHOUT_HINT");
    }
    if !ours.keeps_rows && ours.reads != ReadSet::Nothing {
        let files = read.files()?;
        let was_read: HashSet<&str> =
            files.iter().filter(|add| ours.reads.covers(add)).map(|add| add.path.as_str()).collect();
        if theirs.removed.iter().any(|(path, changes)| *changes && was_read.contains(path.as_str())) {
            return conflict("DELTA_CONCURRENT_DELETE_READ.WITHOUT_HINT");
        }
    }
    if ours.application.as_ref().is_some_and(|(id, _)| theirs.applications.contains(id)) {
        return conflict("DELTA_CONCURRENT_TRANSACTION");
    }
    Ok(())
}

/// A commit that came first.
#[derive(Default)]
struct Winner {
    info: CommitInfo,
    protocol: bool,
    metadata: bool,
    added: Vec<Add>,
    /// path, whether rows went with it
    removed: Vec<(String, bool)>,
    applications: HashSet<String>,
}

impl Winner {
    fn of(actions: Vec<Action>) -> Self {
        let mut winner = Self::default();
        for action in actions {
            match action {
                Action::CommitInfo(info) => winner.info = info,
                Action::Protocol(_) => winner.protocol = true,
                Action::Metadata(_) => winner.metadata = true,
                Action::Add(add) => winner.added.push(add),
                Action::Remove(remove) => winner.removed.push((remove.path, remove.data_change)),
                Action::Txn(transaction) => {
                    winner.applications.insert(transaction.app_id);
                }
                _ => {}
            }
        }
        winner
    }

    /// The statement may succeed when it runs again, which is for its author to decide: it would read other rows.
    fn conflict(&self, condition: &str, table: &DeltaTable, version: u64) -> SparkError {
        let operation = self.info.operation.clone().unwrap_or_default();
        let conflicting = format!("version {version}, {operation}");
        let parameters = [
            ("operation", operation),
            ("tableName", table.location().to_string()),
            ("version", version.to_string()),
            ("conflictingCommit", conflicting),
            ("additionalInfo", String::new()),
        ];
        SparkError::new(condition, parameters)
    }
}
