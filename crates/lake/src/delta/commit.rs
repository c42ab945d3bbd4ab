//! Committing: one log entry with all actions, after the conflicts with what was committed meanwhile are checked.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use deltalake_core::kernel::transaction::TransactionError;
use deltalake_core::kernel::{Action, Add, AddCDCFile, CommitInfo, IsolationLevel, Remove};
use deltalake_core::logstore::CommitOrBytes;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{Location, Storage};
use serde_json::Value;

use super::checkpoint;
use super::conflict::{self, ReadSet};
use super::errors::{append_only, delta_error};
use super::metadata::TableMetadata;
use super::protocol::{AskedProtocol, TableProtocol};
use super::table::{DeltaTable, DeltaVersion, log_store};

/// How often a commit is tried while other writers win.
const ATTEMPTS: usize = 10_000;

/// What DESCRIBE HISTORY shows of a commit.
#[derive(Debug, Clone, Default)]
pub struct Operation {
    /// `WRITE`, `MERGE`, …
    pub name: String,
    /// Values are JSON texts, as delta-spark writes them.
    pub parameters: BTreeMap<String, String>,
    pub metrics: BTreeMap<String, String>,
    /// `userMetadata` of the writer
    pub user_metadata: Option<String>,
}

impl Operation {
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.parameters.insert(key.into(), value.into());
        self
    }

    pub fn metric(mut self, key: &str, value: impl ToString) -> Self {
        self.metrics.insert(key.into(), value.to_string());
        self
    }
}

/// Changes to a table that become visible at once, or not at all.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The version that was read; `None` makes a new table.
    pub table: Option<DeltaTable>,
    pub location: Location,
    pub storage: Storage,
    /// The new metadata, where it changes.
    pub metadata: Option<TableMetadata>,
    pub protocol: Option<TableProtocol>,
    pub adds: Vec<Add>,
    pub removes: Vec<Remove>,
    pub changes: Vec<AddCDCFile>,
    /// Idempotent writers: application id and version.
    pub application: Option<(String, i64)>,
    /// What was read to compute the changes.
    pub reads: ReadSet,
    /// Only the layout of the rows changes (OPTIMIZE).
    pub keeps_rows: bool,
}

enum Attempt {
    Done(u64),
    /// Another writer has made the version.
    TooLate,
}

/// A commit that is done.
#[derive(Debug, Clone)]
pub struct Committed {
    pub version: u64,
}

impl Transaction {
    /// A change of an existing table.
    pub fn on(table: &DeltaTable) -> Self {
        Self {
            location: table.location().clone(),
            storage: table.storage().clone(),
            table: Some(table.clone()),
            ..Self::create(table.location().clone(), table.storage().clone())
        }
    }

    /// A new table.
    pub fn create(location: Location, storage: Storage) -> Self {
        Self {
            table: None,
            location,
            storage,
            metadata: None,
            protocol: None,
            adds: vec![],
            removes: vec![],
            changes: vec![],
            application: None,
            reads: ReadSet::Nothing,
            keeps_rows: false,
        }
    }

    /// Sets the metadata, and the protocol that it needs or asks for.
    pub fn set_metadata(&mut self, mut metadata: TableMetadata) -> Result<()> {
        let asked = AskedProtocol::take(&mut metadata.configuration)?;
        let current = self.table.as_ref().map(DeltaTable::protocol);
        let mut needed = TableProtocol::for_metadata(&metadata, current);
        needed.raise(&asked);
        if Some(&needed) != current {
            self.protocol = Some(needed);
        }
        self.metadata = Some(metadata);
        Ok(())
    }

    fn is_blind_append(&self) -> bool {
        self.reads == ReadSet::Nothing && self.removes.is_empty() && !self.adds.is_empty()
    }

    fn actions(&self, operation: &Operation) -> Result<Vec<Action>> {
        let mut actions = vec![Action::CommitInfo(self.commit_info(operation))];
        if let Some(protocol) = &self.protocol {
            actions.push(protocol.to_action()?);
        }
        if let Some(metadata) = &self.metadata {
            actions.push(metadata.to_action()?);
        }
        if let Some((id, version)) = &self.application {
            let now = Some(chrono::Utc::now().timestamp_millis());
            let json = serde_json::json!({ "appId": id, "version": version, "lastUpdated": now });
            let transaction = serde_json::from_value(json)
                .map_err(|e| SparkError::internal("a transaction identifier").with_cause(e))?;
            actions.push(Action::Txn(transaction));
        }
        actions.extend(self.removes.iter().cloned().map(Action::Remove));
        actions.extend(self.adds.iter().cloned().map(Action::Add));
        actions.extend(self.changes.iter().cloned().map(Action::Cdc));
        Ok(actions)
    }

    fn commit_info(&self, operation: &Operation) -> CommitInfo {
        let text = |map: &BTreeMap<String, String>| -> HashMap<String, Value> {
            map.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect()
        };
        let metrics = Value::Object(text(&operation.metrics).into_iter().collect());
        CommitInfo {
            timestamp: Some(chrono::Utc::now().timestamp_millis()),
            operation: Some(operation.name.clone()),
            operation_parameters: Some(text(&operation.parameters)),
            read_version: self.table.as_ref().map(DeltaTable::version),
            isolation_level: Some(match self.keeps_rows {
                true => IsolationLevel::SnapshotIsolation,
                false => conflict::isolation(self.table.as_ref()),
            }),
            is_blind_append: Some(self.is_blind_append()),
            engine_info: Some(concat!("Firesteel/", env!("CARGO_PKG_VERSION")).to_string()),
            user_metadata: operation.user_metadata.clone(),
            info: HashMap::from([
                ("operationMetrics".to_string(), metrics),
                ("txnId".to_string(), Value::String(uuid::Uuid::new_v4().to_string())),
            ]),
            ..CommitInfo::default()
        }
    }

    /// Writes the log entry. Where another writer was faster, its changes are checked against these; the commit goes on
    /// after it, or answers the conflict.
    pub async fn commit(mut self, operation: Operation) -> Result<Committed> {
        if let Some(table) = &self.table {
            table.check_writable()?;
            let deletes = self.removes.iter().any(|remove| remove.data_change);
            if deletes && table.metadata().flag("delta.appendOnly") {
                return Err(append_only());
            }
        }
        for _ in 0..ATTEMPTS {
            if let Attempt::Done(version) = self.attempt(&operation).await? {
                return Ok(Committed { version });
            }
            self.rebase().await?;
        }
        Err(SparkError::of("DELTA_CONCURRENT_WRITE"))
    }

    /// One try, as the version after the one that was read.
    async fn attempt(&self, operation: &Operation) -> Result<Attempt> {
        let store = match &self.table {
            Some(table) => Arc::clone(table.log_store()),
            None => log_store(&self.location, &self.storage)?,
        };
        let actions = self.actions(operation)?;
        let lines = actions.iter().map(serde_json::to_string).collect::<std::result::Result<Vec<_>, _>>();
        let lines = lines.map_err(|e| SparkError::internal("an action of a Delta table").with_cause(e))?;
        let entry = CommitOrBytes::LogBytes(lines.join("\n").into());
        let version = self.table.as_ref().map_or(0, |table| table.version() + 1);
        match store.write_commit_entry(version, entry, uuid::Uuid::new_v4()).await {
            Ok(()) => {}
            Err(TransactionError::VersionAlreadyExists(_)) => return Ok(Attempt::TooLate),
            Err(error) => return Err(delta_error(&self.location, error.into())),
        }
        // The log entry is written: what follows is for the next reader's good, and its failure takes nothing back.
        let metadata = self.metadata.as_ref().or_else(|| self.table.as_ref().map(DeltaTable::metadata));
        if let Err(error) = checkpoint::after_commit(store, version, metadata).await {
            tracing::warn!(location = %self.location, version, %error, "no checkpoint was written");
        }
        Ok(Attempt::Done(version))
    }

    /// Moves the transaction behind the versions that were committed meanwhile.
    async fn rebase(&mut self) -> Result<()> {
        let Some(read) = &self.table else {
            // Somebody else made the table first.
            let parameters =
                [("conflictingCommit", self.location.to_string()), ("additionalInfo", "The table is new.".into())];
            return Err(SparkError::new("DELTA_PROTOCOL_CHANGED", parameters));
        };
        let latest = read.latest().await?;
        for version in read.version() + 1..=latest.version() {
            conflict::check(self, read, version).await?;
        }
        self.table = Some(latest);
        Ok(())
    }
}

impl DeltaTable {
    /// The version that an idempotent writer wrote last.
    pub async fn application_version(&self, id: &str) -> Result<Option<i64>> {
        let found = self.snapshot().transaction_version(self.log_store().as_ref(), id).await;
        found.map_err(|e| delta_error(self.location(), e))
    }

    /// The files of this version back in place of the newest ones, as a transaction on the newest version.
    pub async fn restore_to(&self, version: &DeltaVersion) -> Result<(Transaction, Self)> {
        let target = self.at(version).await?;
        let mut transaction = Transaction::on(self);
        let (old, new) = (self.files()?, target.files()?);
        let key = |add: &Add| (add.path.clone(), add.deletion_vector.as_ref().map(|v| format!("{v:?}")));
        let have: std::collections::HashSet<_> = old.iter().map(key).collect();
        let want: std::collections::HashSet<_> = new.iter().map(key).collect();
        transaction.removes =
            old.iter().filter(|add| !want.contains(&key(add))).map(|add| remove_of(add, true)).collect();
        transaction.adds = new.into_iter().filter(|add| !have.contains(&key(add))).collect();
        transaction.reads = ReadSet::WholeTable;
        if target.metadata() != self.metadata() {
            transaction.set_metadata(target.metadata().clone())?;
        }
        Ok((transaction, target))
    }
}

/// The removal of a file.
pub(super) fn remove_of(add: &Add, data_change: bool) -> Remove {
    Remove {
        path: add.path.clone(),
        data_change,
        deletion_timestamp: Some(chrono::Utc::now().timestamp_millis()),
        extended_file_metadata: Some(true),
        partition_values: Some(add.partition_values.clone()),
        size: Some(add.size),
        tags: None,
        deletion_vector: add.deletion_vector.clone(),
        base_row_id: add.base_row_id,
        default_row_commit_version: add.default_row_commit_version,
    }
}

impl Transaction {
    /// Takes files out of the table.
    pub fn remove(&mut self, files: &[Add]) {
        let data_change = !self.keeps_rows;
        self.removes.extend(files.iter().map(|add| remove_of(add, data_change)));
    }
}
