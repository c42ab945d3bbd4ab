//! Checkpoints: the state of a table in one file, so that a reader needs few log entries; and removal of entries that are old.
use deltalake_core::DeltaTableError;
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::protocol::checkpoints::{cleanup_metadata, create_checkpoint};

use super::metadata::TableMetadata;
use super::relist::at_version;

const DEFAULT_INTERVAL: u64 = 10;

/// Writes a checkpoint if one is due at this version, and removes log entries that are past their retention.
pub(super) async fn after_commit(
    store: LogStoreRef,
    version: u64,
    metadata: Option<&TableMetadata>,
) -> Result<(), DeltaTableError> {
    let property = |key: &str| metadata.and_then(|m| m.configuration.get(key)).map(String::as_str);
    let interval = property("delta.checkpointInterval").and_then(|text| text.trim().parse().ok());
    let interval: u64 = interval.filter(|interval| *interval > 0).unwrap_or(DEFAULT_INTERVAL);
    if version == 0 || !version.is_multiple_of(interval) {
        return Ok(());
    }
    let table = at_version(&store, version).await?;
    create_checkpoint(&table, None).await?;
    let removes_old = property("delta.enableExpiredLogCleanup").is_none_or(|flag| !flag.eq_ignore_ascii_case("false"));
    if removes_old {
        cleanup_metadata(&table, None).await?;
    }
    Ok(())
}
