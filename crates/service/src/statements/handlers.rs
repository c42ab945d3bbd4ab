//! Requests about statements.
use std::sync::Arc;

use axum::http::HeaderValue;
use futures::StreamExt;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{KIND, Ready};
use crate::app::{Answer, App, Call, json_text};
use crate::endpoint::statement_request;
pub use crate::jobs::handlers::get;
use crate::jobs::handlers::{Request, find, new_record, submit as submit_job};
use crate::jobs::record::JobState;
use crate::jobs::{Entry, Stop};
use crate::problem::Problem;
use crate::rows::stream::{End, respond};
use crate::rows::{Encoder, Format, SpooledRows};

/// The kind of jobs whose rows are streamed.
const STREAM_KIND: &str = "query";

pub fn request_schema() -> Value {
    statement_request()
}

pub fn chunk_schema() -> Value {
    json!({"type": "object", "required": ["index", "data", "columns"], "properties": {
        "index": {"type": "integer"}, "row_offset": {"type": "integer"}, "row_count": {"type": "integer"},
        "next_chunk": {"type": ["integer", "null"]}, "columns": {"type": "array", "items": {"type": "object"}},
        "data": {"type": "array", "items": {"type": "object"}}}})
}

pub async fn submit(call: Call) -> Answer {
    match Format::of_accept(&call.headers)? {
        Format::Json => submit_job(call, KIND).await,
        format => stream(call, format).await,
    }
}

/// Runs a statement whose rows go out as they come.
async fn stream(call: Call, format: Format) -> Answer {
    let request = Request::of(&call)?;
    for name in ["row_limit", "byte_limit"] {
        if request.fields.has(name) {
            return Err(Problem::invalid(name, format!("{name} goes with JSON; put a LIMIT into the statement.")));
        }
    }
    if request.run.wait.is_some() || request.run.on_wait.is_some() {
        return Err(Problem::invalid("wait", "Rows are streamed: there is nothing to wait for."));
    }
    if call.idempotency_key()?.is_some() {
        return Err(Problem::invalid("Idempotency-Key", "Rows that are streamed are not kept."));
    }
    let record = new_record(&request, STREAM_KIND);
    let ready = super::ready(request).await?;
    let app = Arc::clone(&call.app);
    stream_job(app, record, format, move |id, cancel| async move { Ready::execute(ready, &id, &cancel).await }).await
}

/// Streams what `run` executes, as a job that can be seen and cancelled.
pub async fn stream_job<F>(
    app: Arc<App>,
    mut record: crate::jobs::record::JobRecord,
    format: Format,
    run: impl FnOnce(String, CancellationToken) -> F + Send + 'static,
) -> Answer
where
    F: Future<Output = Result<(firesteel_engine::Execution, crate::rows::RowStyle), Problem>> + Send + 'static,
{
    record.state = JobState::Running;
    record.started_at = Some(record.created_at);
    let entry = app.jobs.track(record).await?;
    // Until the rows go out, whoever leaves takes the job along.
    let mut guard = Tracked { app: Arc::clone(&app), entry: Arc::clone(&entry), is_ours: true };
    let work = run(entry.id.clone(), entry.cancel.clone());
    let (execution, style) = match app.work(CancellationToken::new(), work).await {
        Ok(ready) => ready,
        Err(problem) => {
            guard.is_ours = false;
            app.jobs.finish_tracked(&entry, Err(problem.clone())).await;
            return Err(problem);
        }
    };
    guard.is_ours = false;
    let (jobs, ending) = (Arc::clone(&app.jobs), Arc::clone(&entry));
    let batches = execution.batches.filter(|batch| std::future::ready(!matches!(batch, Ok(b) if b.num_rows() == 0)));
    let ended = move |end: End| {
        let result = match end {
            End::Complete { rows } => Ok(Map::from_iter([("rows".to_string(), json!(rows))])),
            End::Failed(problem) => Err(problem),
            End::Left => {
                ending.stop(Stop::Cancelled);
                Err(Problem::new(409, "OPERATION_CANCELED", "The client left."))
            }
        };
        tokio::spawn(async move { jobs.finish_tracked(&ending, result).await });
    };
    let mut response = respond(&app.workers, batches, style, format, ended).await?;
    if let Ok(id) = HeaderValue::from_str(&entry.id) {
        response.headers_mut().insert("firesteel-job-id", id);
    }
    Ok(response)
}

/// Ends a job whose request was dropped.
struct Tracked {
    app: Arc<App>,
    entry: Arc<Entry>,
    is_ours: bool,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        if self.is_ours {
            self.entry.stop(Stop::Cancelled);
            let (app, entry) = (Arc::clone(&self.app), Arc::clone(&self.entry));
            let left = Err(Problem::new(409, "OPERATION_CANCELED", "The client left."));
            self.app.workers.spawn(async move { app.jobs.finish_tracked(&entry, left).await });
        }
    }
}

/// The rows of a statement that has succeeded, while they are kept.
async fn kept_rows(call: &Call) -> Result<(Arc<Entry>, Arc<SpooledRows>), Problem> {
    let entry = find(call).await?;
    let record = entry.record();
    match (record.state, entry.rows()) {
        (_, Some(rows)) => Ok((entry, rows)),
        (JobState::Queued | JobState::Running, None) => {
            Err(Problem::new(409, "JOB_NOT_FINISHED", "The statement has not ended: its rows are not there yet."))
        }
        (JobState::Succeeded, None) if record.rows.is_some() => {
            Err(Problem::new(410, "RESULT_EXPIRED", "The rows are kept no longer."))
        }
        _ => Err(Problem::new(404, "NOT_FOUND", format!("The job is {} and has no rows.", record.state.name()))),
    }
}

pub async fn chunk(call: Call) -> Answer {
    let format = Format::of_accept(&call.headers)?;
    let text = call.parameter("index");
    let index: usize =
        text.parse().map_err(|_| Problem::invalid("index", "The index of a chunk is a number from 0."))?;
    let (entry, rows) = kept_rows(&call).await?;
    let Some(batches) = rows.chunk(index).await? else {
        return Err(Problem::not_found("chunk", text));
    };
    if format == Format::Json {
        let info = entry.record().rows.unwrap_or_default();
        let place = info.chunks.get(index).cloned().unwrap_or_default();
        let next = (index + 1 < rows.chunk_count()).then_some(index + 1);
        let head = json!({"index": index, "row_offset": place.row_offset, "row_count": place.row_count,
                          "next_chunk": next, "columns": info.columns});
        let mut encoder = Encoder::new(Format::Json, &rows.style)?;
        let mut data = encoder.begin();
        for batch in &batches {
            data.extend(encoder.batch(batch)?);
        }
        data.extend(encoder.end()?);
        let mut text = head.to_string();
        text.pop();
        text.push_str(",\"data\":");
        text.push_str(&String::from_utf8_lossy(&data));
        text.push('}');
        return Ok(json_text(200, text));
    }
    let batches = futures::stream::iter(batches.into_iter().map(Ok));
    respond(&call.app.workers, batches, rows.style.clone(), format, |_| {}).await
}

/// All chunks, one after the other.
pub async fn rows(call: Call) -> Answer {
    let format = Format::of_accept(&call.headers)?;
    let (_, rows) = kept_rows(&call).await?;
    let style = rows.style.clone();
    let chunks = futures::stream::iter(0..rows.chunk_count()).then(move |index| {
        let rows = Arc::clone(&rows);
        async move { rows.chunk(index).await.map(Option::unwrap_or_default) }
    });
    let batches = chunks.flat_map(|chunk| {
        let (batches, error) = match chunk {
            Ok(batches) => (batches, None),
            Err(error) => (vec![], Some(error)),
        };
        futures::stream::iter(batches.into_iter().map(Ok).chain(error.map(Err)))
    });
    respond(&call.app.workers, batches, style, format, |_| {}).await
}
