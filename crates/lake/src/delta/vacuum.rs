//! VACUUM: removing files that no version within the retention period needs.
use std::collections::HashSet;

use chrono::Duration;
use deltalake_core::operations::vacuum::VacuumMode;
use firesteel_plan::{Result, SparkError};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;

use super::commit::{Operation, Transaction};
use super::errors::delta_error;
use super::relist::at_version;
use super::table::DeltaTable;

/// `VACUUM t [LITE|FULL] [RETAIN n HOURS] [DRY RUN]`
#[derive(Debug, Clone)]
pub struct VacuumRequest {
    /// hours
    pub retain: Option<f64>,
    pub dry_run: bool,
    pub lite: bool,
    /// `spark.databricks.delta.retentionDurationCheck.enabled`
    pub check_retention: bool,
}

/// Files removed, or to be removed in a dry run; as paths below the table.
pub async fn vacuum(table: &DeltaTable, request: &VacuumRequest) -> Result<Vec<String>> {
    let kept_hours = retention_hours(table);
    if let Some(hours) = request.retain {
        if hours < 0.0 {
            return Err(SparkError::of("DELTA_VACUUM_RETENTION_PERIOD_NEGATIVE"));
        }
        if request.check_retention && hours < kept_hours {
            let parameters = [("configuredRetentionHours", format!("{kept_hours}"))];
            return Err(SparkError::new("DELTA_VACUUM_RETENTION_PERIOD_TOO_SHORT", parameters));
        }
    }
    let unused = unused_files(table, request.retain.unwrap_or(kept_hours), request.lite).await?;
    if !request.dry_run && !unused.is_empty() {
        remove(table, request, kept_hours, &unused).await?;
    }
    Ok(unused)
}

/// Files that no version needs which is younger than so many hours. The library finds them. It would remove them too, and
/// commit that, but not from tables with constraints or a change feed.
async fn unused_files(table: &DeltaTable, hours: f64, lite: bool) -> Result<Vec<String>> {
    let failed = |error| delta_error(table.location(), error);
    let state = at_version(table.log_store(), table.version()).await.map_err(failed)?;
    let builder = state
        .vacuum()
        .with_retention_period(Duration::milliseconds(millis(hours)))
        .with_enforce_retention_duration(false)
        .with_mode(if lite { VacuumMode::Lite } else { VacuumMode::Full })
        .with_dry_run(true);
    let (_, metrics) = builder.await.map_err(failed)?;
    Ok(metrics.files_deleted)
}

/// Between two log entries, so that a removal that is broken off shows.
async fn remove(table: &DeltaTable, request: &VacuumRequest, kept_hours: f64, files: &[String]) -> Result<()> {
    let failed = |error: object_store::Error| delta_error(table.location(), error.into());
    let store = table.log_store().object_store(None);
    let paths: Vec<Path> = files
        .iter()
        .map(Path::parse)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| SparkError::internal("a path of a Delta table").with_cause(error))?;
    let names: HashSet<&Path> = paths.iter().collect();
    let sizes = store.list(None).try_fold(0, |sum, object| {
        let size = if names.contains(&object.location) { object.size } else { 0 };
        std::future::ready(Ok(sum + size))
    });
    let mut start = Operation::new("VACUUM START")
        .with("retentionCheckEnabled", request.check_retention.to_string())
        .with("defaultRetentionMillis", millis(kept_hours).to_string())
        .metric("numFilesToDelete", files.len())
        .metric("sizeOfDataToDelete", sizes.await.map_err(failed)?);
    if let Some(hours) = request.retain {
        start = start.with("specifiedRetentionMillis", millis(hours).to_string());
    }
    Transaction::on(table).commit(start).await?;
    let mut removed = store.delete_stream(futures::stream::iter(paths.clone().into_iter().map(Ok)).boxed());
    let mut count = 0_u64;
    while let Some(answer) = removed.next().await {
        match answer {
            Ok(_) => count += 1,
            // Somebody else cleans up too.
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => {
                let end = end_of("FAILED", count);
                Transaction::on(&table.latest().await?).commit(end).await?;
                return Err(failed(error));
            }
        }
    }
    Transaction::on(&table.latest().await?).commit(end_of("COMPLETED", count)).await?;
    Ok(())
}

/// Folders stay: stores of objects have none.
fn end_of(status: &str, removed: u64) -> Operation {
    let operation = Operation::new("VACUUM END").with("status", status);
    operation.metric("numDeletedFiles", removed).metric("numVacuumedDirectories", 0)
}

#[allow(clippy::cast_possible_truncation)] // a period in milliseconds is far below the bound
fn millis(hours: f64) -> i64 {
    (hours * 3_600_000.0) as i64
}

/// `delta.deletedFileRetentionDuration`, a week by default.
fn retention_hours(table: &DeltaTable) -> f64 {
    const WEEK_HOURS: f64 = 168.0;
    let text = table.metadata().configuration.get("delta.deletedFileRetentionDuration");
    text.and_then(|text| interval_hours(text)).unwrap_or(WEEK_HOURS)
}

/// `interval 1 week`, `7 days`
fn interval_hours(text: &str) -> Option<f64> {
    let lower = text.trim().to_lowercase();
    let mut words = lower.strip_prefix("interval").unwrap_or(&lower).split_whitespace();
    let mut hours = 0.0;
    let mut any = false;
    while let (Some(number), Some(unit)) = (words.next(), words.next()) {
        let number: f64 = number.trim_matches('\'').parse().ok()?;
        hours += number
            * match unit.trim_matches('\'').trim_end_matches('s') {
                "week" => 168.0,
                "day" => 24.0,
                "hour" => 1.0,
                "minute" => 1.0 / 60.0,
                "second" => 1.0 / 3600.0,
                "millisecond" => 1.0 / 3_600_000.0,
                _ => return None,
            };
        any = true;
    }
    any.then_some(hours)
}

#[cfg(test)]
mod tests {
    use super::interval_hours;

    #[test]
    fn periods() {
        assert_eq!(interval_hours("interval 1 week"), Some(168.0));
        assert_eq!(interval_hours("INTERVAL '2' DAYS 3 hours"), Some(51.0));
        assert_eq!(interval_hours("forever"), None);
    }
}
