//! VACUUM: removing files that no version within the retention period needs.
use chrono::Duration;
use deltalake_core::operations::vacuum::VacuumMode;
use firesteel_plan::{Result, SparkError};

use super::errors::delta_error;
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
    #[allow(clippy::cast_possible_truncation)] // a period in milliseconds is far below the bound
    let millis = (request.retain.unwrap_or(kept_hours) * 3_600_000.0) as i64;
    let failed = |error| delta_error(table.location(), error);
    let mut state = deltalake_core::DeltaTable::new(std::sync::Arc::clone(table.log_store()));
    state.load_version(table.version()).await.map_err(failed)?;
    let builder = state
        .vacuum()
        .with_retention_period(Duration::milliseconds(millis))
        .with_enforce_retention_duration(false)
        .with_mode(if request.lite { VacuumMode::Lite } else { VacuumMode::Full })
        .with_dry_run(request.dry_run);
    let (_, metrics) = builder.await.map_err(failed)?;
    Ok(metrics.files_deleted)
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
