//! After a restart: which changes of interrupted jobs were committed. A commit carries the id of its job.
use std::sync::Arc;

use firesteel_engine::Session;
use firesteel_plan::command::SqlStatement;
use firesteel_plan::statement::{DeltaStatement, DeltaTarget};
use serde_json::{Map, Value, json};

use super::delta::{TargetFields, quiet_rows};
use super::output::OutputFields;
use crate::access::{Scope, User};
use crate::app::App;
use crate::body::Fields;
use crate::credentials::Credentials;
use crate::jobs::record::{JobRecord, JobState};
use crate::store::now_ms;

/// How far back a commit is looked for.
const COMMITS_MAX: i64 = 1_000;
/// Other writers may have come between a commit and this look at it.
const COMMITS_FIRST: i64 = 20;

/// The commit of a job in its table's log.
pub async fn commit_of(session: &Arc<Session>, target: &DeltaTarget, job: &str) -> Option<Map<String, Value>> {
    for limit in [COMMITS_FIRST, COMMITS_MAX] {
        let statement = DeltaStatement::History { table: target.clone(), limit: Some(limit) };
        let commits = quiet_rows(session, SqlStatement::Delta(statement)).await.ok()?;
        let all = (commits.len() as i64) < limit;
        let found = commits.into_iter().find(|commit| commit.get("userMetadata").is_some_and(|text| text == job));
        if found.is_some() || all {
            return found;
        }
    }
    None
}

/// The record of a job whose change turns out to be committed; `None`: it is not, or nobody can tell.
pub async fn committed(app: &Arc<App>, record: &JobRecord) -> Option<JobRecord> {
    if record.has_credentials {
        return None;
    }
    let user = User { name: record.user.as_str().into(), scope: Scope::Read, places: None };
    let session = app.sessions.fresh(&user, &Credentials::default());
    committed_in(&session, record).await
}

/// The same, with a session that has the credentials.
pub async fn committed_in(session: &Arc<Session>, record: &JobRecord) -> Option<JobRecord> {
    let commit = commit_of(session, &target_of(record)?, &record.id).await?;
    let mut record = record.clone();
    record.state = JobState::Succeeded;
    record.error = None;
    record.ended_at = Some(now_ms());
    record.metrics = Map::from_iter([("version".to_string(), json!(commit.get("version")))]);
    record.metrics.insert("recovered".into(), json!(true));
    let is_output = is_output(&record.kind);
    if is_output {
        let place = record.request.get("output_path").cloned().unwrap_or_default();
        record.metrics.insert("output_path".into(), place);
    }
    for (ours, theirs) in if is_output { WRITTEN } else { NUMBERS } {
        let number = commit.get("operationMetrics").and_then(|metrics| metrics.get(*theirs));
        if let Some(number) = number.and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok()) {
            record.metrics.insert((*ours).to_string(), json!(number));
        }
    }
    Some(record)
}

/// Whether a job writes what it has read to a place of its own.
fn is_output(kind: &str) -> bool {
    ["modify", "merge_files"].contains(&kind)
}

/// The Delta table that a job has changed.
fn target_of(record: &JobRecord) -> Option<DeltaTarget> {
    let Value::Object(request) = record.request.clone() else { return None };
    let mut fields = Fields::of(request);
    match record.kind.as_str() {
        kind if is_output(kind) => fields.take::<OutputFields>().ok()?.delta_target(),
        kind if kind.starts_with("delta_") => fields.take::<TargetFields>().ok()?.target().ok(),
        _ => None,
    }
}

/// Names of metrics here and in Delta's log.
const NUMBERS: &[(&str, &str)] = &[
    ("rows_updated", "numUpdatedRows"),
    ("rows_updated", "numTargetRowsUpdated"),
    ("rows_deleted", "numDeletedRows"),
    ("rows_deleted", "numTargetRowsDeleted"),
    ("rows_inserted", "numTargetRowsInserted"),
    ("files_added", "numAddedFiles"),
    ("files_removed", "numRemovedFiles"),
];
const WRITTEN: &[(&str, &str)] = &[("rows_written", "numOutputRows")];
