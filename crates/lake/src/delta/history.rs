//! The commits of a table: history, versions by time, the actions of a version.
use deltalake_core::kernel::{Action, CommitInfo};
use deltalake_core::logstore::get_actions;
use firesteel_plan::{Result, SparkError};
use futures::{StreamExt, TryStreamExt};

use super::errors::delta_error;
use super::table::DeltaTable;

/// How many log entries are read at once.
const READ_CONCURRENCY: usize = 16;

/// A version and who made it.
#[derive(Debug, Clone)]
pub struct Commit {
    pub version: u64,
    /// milliseconds since the epoch; never before that of an earlier version
    pub timestamp_ms: i64,
    pub info: CommitInfo,
    pub actions: Vec<Action>,
}

/// Versions whose log entry is there, with the entry's time, oldest first.
async fn entries(table: &DeltaTable) -> Result<Vec<(u64, i64)>> {
    let files = table.storage().file_system(table.location())?;
    let mut found = vec![];
    for entry in files.list(&table.location().join("_delta_log")).await? {
        if let Some(digits) = entry.location.name().strip_suffix(".json")
            && digits.len() == 20
            && let Ok(version) = digits.parse()
        {
            found.push((version, entry.modified_us / 1000));
        }
    }
    found.sort_unstable();
    // A clock may go back; the versions of a table do not.
    let mut last = i64::MIN;
    for (_, time) in &mut found {
        *time = (*time).max(last.saturating_add(1));
        last = *time;
    }
    Ok(found)
}

/// The oldest version that can be rebuilt.
pub(super) async fn earliest_version(table: &DeltaTable) -> Result<u64> {
    let first = entries(table).await?.first().map(|(version, _)| *version);
    if first == Some(0) {
        return Ok(0);
    }
    // Without the first entry, a version needs a checkpoint at or before it.
    let files = table.storage().file_system(table.location())?;
    let listed = files.list(&table.location().join("_delta_log")).await?;
    let checkpoints = listed.iter().filter_map(|entry| entry.location.name().split_once(".checkpoint"));
    let earliest = checkpoints.filter_map(|(digits, _)| digits.parse().ok()).min();
    Ok(earliest.or(first).unwrap_or_else(|| table.version()))
}

/// The version that was the newest at a time. `or_next`: before the first version, that one; else an error.
pub(super) async fn version_at(table: &DeltaTable, micros: i64, or_next: bool) -> Result<u64> {
    let entries = entries(table).await?;
    let millis = micros.div_euclid(1000);
    let text = |ms: i64| {
        chrono::DateTime::from_timestamp_millis(ms)
            .map_or_else(|| ms.to_string(), |t| t.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
    };
    let Some((first, last)) = entries.first().zip(entries.last()) else { return Ok(table.version()) };
    if millis < first.1 {
        if or_next {
            return Ok(first.0);
        }
        return Err(SparkError::new(
            "DELTA_TIMESTAMP_EARLIER_THAN_COMMIT_RETENTION",
            [("userTimestamp", text(millis)), ("commitTs", text(first.1)), ("timestampString", text(first.1))],
        ));
    }
    if millis > last.1 && !or_next {
        return Err(SparkError::new(
            "DELTA_TIMESTAMP_GREATER_THAN_COMMIT",
            [("providedTimestamp", text(millis)), ("tableName", text(last.1)), ("maximumTimestamp", text(last.1))],
        ));
    }
    let at = entries.iter().rev().find(|(_, time)| *time <= millis).unwrap_or(first);
    Ok(at.0)
}

/// The actions of one version; `None` where its log entry is gone.
pub(super) async fn actions(table: &DeltaTable, version: u64) -> Result<Option<Vec<Action>>> {
    let failed = |error| delta_error(table.location(), error);
    let bytes = table.log_store().read_commit_entry(version).await.map_err(failed)?;
    bytes.map(|bytes| get_actions(version, &bytes).map_err(failed)).transpose()
}

async fn commit(table: &DeltaTable, version: u64, timestamp_ms: i64) -> Result<Option<Commit>> {
    let Some(actions) = actions(table, version).await? else { return Ok(None) };
    let info = actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info.clone()),
        _ => None,
    });
    Ok(Some(Commit { version, timestamp_ms, info: info.unwrap_or_default(), actions }))
}

/// The last `limit` commits, newest first.
pub async fn commits(table: &DeltaTable, limit: Option<usize>) -> Result<Vec<Commit>> {
    let mut entries = entries(table).await?;
    entries.retain(|(version, _)| *version <= table.version());
    entries.reverse();
    entries.truncate(limit.unwrap_or(usize::MAX));
    let reads: Vec<_> = entries.into_iter().map(|(version, time)| commit(table, version, time)).collect();
    let found: Vec<Option<Commit>> = futures::stream::iter(reads).buffered(READ_CONCURRENCY).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The commits of the versions `from..=to`, oldest first.
pub async fn changes_between(table: &DeltaTable, from: u64, to: u64) -> Result<Vec<Commit>> {
    let wanted: Vec<_> = entries(table).await?.into_iter().filter(|(v, _)| (from..=to).contains(v)).collect();
    let reads: Vec<_> = wanted.into_iter().map(|(version, time)| commit(table, version, time)).collect();
    let found: Vec<Option<Commit>> = futures::stream::iter(reads).buffered(READ_CONCURRENCY).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

impl DeltaTable {
    /// The version that was the newest at a time (microseconds since the epoch); before the first version, that one.
    pub async fn version_from(&self, micros: i64) -> Result<u64> {
        version_at(self, micros, true).await
    }
}
