//! A job as it is kept and shown.
use chrono::{DateTime, SecondsFormat, Utc};
use firesteel_engine::JobProgress;
use firesteel_engine::jobs::StageState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::document::{Documented, document};
use crate::problem::Problem;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Interrupted,
}

impl JobState {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled, Self::Interrupted];

    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

document! {
    /// A column of an answer
    pub struct Column {
        name: String,
        /// As Spark shows it: bigint, array<string>
        data_type as "type": String,
        nullable: bool,
    }
}

document! {
    /// A part of a statement's rows
    pub struct ChunkInfo {
        index: usize,
        row_offset: u64,
        row_count: u64,
        byte_count: u64,
    }
}

document! {
    /// How far a job is
    pub struct Progress {
        stages_total: u64,
        stages_completed: u64,
        tasks_total: u64,
        tasks_completed: u64,
        rows_read: u64,
        bytes_read: u64,
        rows_written: u64,
        bytes_written: u64,
        /// Of the tasks, from 0 to 1
        fraction: f64,
    }
}

impl Progress {
    /// Adds what one job of the engine has done.
    pub fn add(&mut self, job: &JobProgress) {
        let is_read = |id: u64| job.stages.iter().any(|stage| stage.parents.contains(&id));
        for stage in &job.stages {
            self.stages_total += 1;
            self.stages_completed += u64::from(stage.state == StageState::Complete);
            self.tasks_total += stage.num_tasks as u64;
            self.tasks_completed += stage.num_completed_tasks as u64;
            self.rows_read += stage.input_rows;
            self.bytes_read += stage.input_bytes;
            if !is_read(stage.stage_id) {
                self.rows_written += stage.output_rows;
                self.bytes_written += stage.output_bytes;
            }
        }
        self.fraction = if self.tasks_total == 0 { 0.0 } else { self.tasks_completed as f64 / self.tasks_total as f64 };
    }
}

/// All that is known of a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobRecord {
    pub id: String,
    pub user: String,
    pub kind: String,
    pub state: JobState,
    pub tags: Vec<String>,
    /// The request, without credentials: what `retry` runs again.
    pub request: Value,
    pub has_credentials: bool,
    pub idempotency_key: Option<String>,
    /// Tells whether a request with the same key is the same one.
    pub fingerprint: String,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub expires_at: Option<i64>,
    pub progress: Progress,
    pub metrics: Map<String, Value>,
    pub error: Option<Problem>,
    pub retry_of: Option<String>,
    /// `None`: a job without rows
    pub rows: Option<RowsInfo>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RowsInfo {
    pub columns: Vec<Column>,
    pub row_count: u64,
    pub byte_count: u64,
    pub truncated: bool,
    pub chunks: Vec<ChunkInfo>,
}

/// RFC 3339, in UTC, with milliseconds.
pub fn time_text(ms: i64) -> Value {
    DateTime::<Utc>::from_timestamp_millis(ms)
        .map_or(Value::Null, |time| json!(time.to_rfc3339_opts(SecondsFormat::Millis, true)))
}

impl JobRecord {
    /// As clients see it.
    pub fn view(&self) -> Map<String, Value> {
        let time = |ms: Option<i64>| ms.map_or(Value::Null, time_text);
        let mut view = Map::new();
        let mut put = |name: &str, value: Value| {
            view.insert(name.to_string(), value);
        };
        put("id", json!(self.id));
        put("kind", json!(self.kind));
        put("state", json!(self.state.name()));
        put("user", json!(self.user));
        put("tags", json!(self.tags));
        if let Some(statement) = self.request.get("statement") {
            put("statement", statement.clone());
        }
        put("created_at", time_text(self.created_at));
        put("started_at", time(self.started_at));
        put("ended_at", time(self.ended_at));
        put("expires_at", time(self.expires_at));
        put("progress", json!(self.progress));
        if let Some(rows) = &self.rows {
            put("columns", json!(rows.columns));
            put("row_count", json!(rows.row_count));
            put("byte_count", json!(rows.byte_count));
            put("truncated", json!(rows.truncated));
            put("chunk_count", json!(rows.chunks.len()));
            put("chunks", json!(rows.chunks));
        }
        put("metrics", json!(self.metrics));
        put("error", json!(self.error));
        put("retry_of", json!(self.retry_of));
        view
    }
}

/// The schema of [`JobRecord::view`]; `with_rows`: of a statement.
pub fn schema(with_rows: bool) -> Value {
    let text = json!({"type": "string"});
    let time = json!({"type": ["string", "null"], "format": "date-time"});
    let states: Vec<_> = JobState::ALL.iter().map(|state| state.name()).collect();
    let mut schema = json!({
        "type": "object",
        "required": ["id", "kind", "state", "user", "tags", "created_at", "progress", "metrics"],
        "properties": {
            "id": text, "kind": text, "state": {"type": "string", "enum": states}, "user": text,
            "tags": {"type": "array", "items": text}, "created_at": {"type": "string", "format": "date-time"},
            "started_at": time, "ended_at": time, "expires_at": time, "progress": Progress::schema(),
            "statement": text, "metrics": {"type": "object"},
            "error": {"anyOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "null"}]},
            "retry_of": {"type": ["string", "null"]},
            "columns": Vec::<Column>::schema(), "row_count": u64::schema(), "byte_count": u64::schema(),
            "truncated": bool::schema(), "chunk_count": u64::schema(), "chunks": Vec::<ChunkInfo>::schema(),
        }
    });
    if with_rows {
        schema["properties"]["data"] = json!({"type": "array", "items": {"type": "object"}});
    }
    schema
}
