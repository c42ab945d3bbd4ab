//! Requests about jobs, and what every request that makes one has in common.
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::record::{JobRecord, JobState, Progress, schema};
use super::{Entry, Stop, Work, events as sse};
use crate::access::{Scope, User};
use crate::app::{Answer, App, Call, json, json_text};
use crate::body::Fields;
use crate::changes::recover;
use crate::credentials::Credentials;
use crate::datasets::cursor::{decode_text, encode_text};
use crate::document::{Documented, document, together};
use crate::problem::Problem;
use crate::rows::{Encoder, Format};
use crate::store::{JobFilter, now_ms};

const DEFAULT_WAIT_SECONDS: f64 = 10.0;
const RETRY_AFTER_SECONDS: u64 = 1;
/// A cancelled job has ended after this long.
const CANCEL_WAIT: Duration = Duration::from_secs(6);
const TAGS_MAX: usize = 50;

document! {
    /// How a job is run and waited for
    pub struct RunFields {
        /// Seconds to wait for the end
        wait: Option<f64> => {"minimum": 0, "maximum": 60},
        /// What becomes of it when the wait is over
        on_wait: Option<String> => {"enum": ["continue", "cancel"]},
        /// Seconds it may run
        timeout: Option<f64> => {"minimum": 0.001, "maximum": 86400},
        tags: Option<Vec<String>> => {"maxItems": 50},
    }
}

document! {
    /// How long to wait
    pub struct WaitQuery {
        /// Seconds to wait for the end
        wait: Option<f64> => {"minimum": 0, "maximum": 60},
    }
}

document! {
    /// Which jobs
    pub struct ListQuery {
        state: Option<String> => {"enum": ["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]},
        kind: Option<String>,
        /// Of whom; others than oneself need scope admin
        user: Option<String>,
        tag: Option<String>,
        limit: Option<u32> => {"minimum": 1, "maximum": 1000},
        cursor: Option<String>,
    }
}

pub fn list_schema() -> Value {
    json!({"type": "object", "required": ["jobs", "next_cursor"], "properties": {
        "jobs": {"type": "array", "items": schema(false)}, "next_cursor": {"type": ["string", "null"]}}})
}

pub fn retry_schema() -> Value {
    together(&[RunFields::schema(), crate::endpoint::credentials_field()])
}

/// A request that becomes a job.
pub struct Request {
    pub app: Arc<App>,
    pub user: User,
    /// Without credentials and [`RunFields`]
    pub fields: Fields,
    pub credentials: Credentials,
    pub run: RunFields,
}

/// Checks a request and makes its work.
pub type Prepare = fn(Request) -> BoxFuture<'static, Result<Work, Problem>>;

impl Request {
    pub fn of(call: &Call) -> Result<Self, Problem> {
        let mut fields = call.fields()?;
        let credentials = Credentials::take(&mut fields, &call.app.options)?;
        let run = fields.take()?;
        Ok(Self { app: Arc::clone(&call.app), user: call.user.clone(), fields, credentials, run })
    }
}

/// Makes a job of a request, and answers when it has ended or the wait is over.
pub async fn submit(call: Call, kind: &'static str) -> Answer {
    let request = Request::of(&call)?;
    start(request, kind, call.idempotency_key()?, None).await
}

/// A record of a job that was just asked for.
pub fn new_record(request: &Request, kind: &str) -> JobRecord {
    let fields = request.fields.to_value();
    let mut kept = fields.clone();
    if let (Value::Object(kept), Ok(Value::Object(run))) = (&mut kept, serde_json::to_value(&request.run)) {
        kept.extend(run.into_iter().filter(|(_, value)| !value.is_null()));
    }
    JobRecord {
        id: uuid::Uuid::new_v4().to_string(),
        user: request.user.name.to_string(),
        kind: kind.to_string(),
        state: JobState::Queued,
        tags: request.run.tags.clone().unwrap_or_default().into_iter().take(TAGS_MAX).collect(),
        fingerprint: fingerprint(kind, &fields),
        request: kept,
        has_credentials: !request.credentials.is_empty(),
        idempotency_key: None,
        created_at: now_ms(),
        started_at: None,
        ended_at: None,
        expires_at: None,
        progress: Progress::default(),
        metrics: Default::default(),
        error: None,
        retry_of: None,
        rows: None,
    }
}

fn fingerprint(kind: &str, fields: &Value) -> String {
    let digest = Sha256::digest(format!("{kind}\n{fields}").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn start(request: Request, kind: &str, key: Option<String>, retry_of: Option<String>) -> Answer {
    let app = Arc::clone(&request.app);
    let run = request.run.clone();
    let mut record = new_record(&request, kind);
    record.idempotency_key = key;
    record.retry_of = retry_of;
    // A repeated request is answered before it is looked at: what it was about may have changed since.
    if let Some(existing) = known(&app, &record, &request).await? {
        return respond(&app, existing, &run, true).await;
    }
    let timeout = run.timeout.map_or(app.options.job_timeout, Duration::from_secs_f64).min(app.options.job_timeout);
    let prepare = prepare_of(kind).ok_or_else(|| Problem::internal(format!("no job is of kind {kind}")))?;
    let work = prepare(request).await?;
    let (entry, is_replayed) = app.jobs.submit(record, timeout, work).await?;
    respond(&app, entry, &run, is_replayed).await
}

/// The job that the user has made with this key already.
async fn known(app: &Arc<App>, record: &JobRecord, request: &Request) -> Result<Option<Arc<Entry>>, Problem> {
    let Some(key) = &record.idempotency_key else { return Ok(None) };
    let Some(mut existing) = app.jobs.store().job_of_key(&record.user, key).await? else { return Ok(None) };
    if existing.fingerprint != record.fingerprint {
        let detail = "The key was used with another request.";
        return Err(Problem::new(422, "IDEMPOTENCY_KEY_REUSED", detail).at("Idempotency-Key"));
    }
    // With the credentials, the table's log can tell now what nobody could after the restart.
    if existing.state == JobState::Interrupted {
        let session = app.sessions.fresh(&request.user, &request.credentials);
        if let Some(committed) = recover::committed_in(&session, &existing).await {
            app.jobs.replace(&committed).await?;
            existing = committed;
        }
    }
    match app.jobs.get(&existing.id).await? {
        Some(entry) => Ok(Some(entry)),
        None => Ok(Some(Entry::new(existing, Duration::ZERO))),
    }
}

fn prepare_of(kind: &str) -> Option<Prepare> {
    if kind == crate::statements::KIND {
        return Some(crate::statements::prepare);
    }
    crate::changes::KINDS.iter().find(|(name, _)| *name == kind).map(|(_, prepare)| *prepare)
}

/// Cancels a job unless its end was seen.
struct CancelOnDrop(Option<Arc<Entry>>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(entry) = &self.0 {
            entry.stop(Stop::Cancelled);
        }
    }
}

/// 200 with the ended job, or 202 with the one that goes on.
async fn respond(app: &App, entry: Arc<Entry>, run: &RunFields, is_replayed: bool) -> Answer {
    let cancels = run.on_wait.as_deref() == Some("cancel") && !is_replayed;
    let mut guard = CancelOnDrop(cancels.then(|| Arc::clone(&entry)));
    entry.wait(Duration::from_secs_f64(run.wait.unwrap_or(DEFAULT_WAIT_SECONDS))).await;
    if cancels && !entry.is_over() {
        app.jobs.cancel(&entry).await;
        entry.wait(CANCEL_WAIT).await;
    }
    guard.0 = None;
    let mut response = shown(app, &entry).await?;
    let headers = response.headers_mut();
    let place = if entry.record().rows.is_some() || entry.record().kind == crate::statements::KIND {
        format!("/v1/statements/{}", entry.id)
    } else {
        format!("/v1/jobs/{}", entry.id)
    };
    if let Ok(place) = HeaderValue::from_str(&place) {
        headers.insert(header::LOCATION, place);
    }
    if is_replayed {
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    if !entry.is_over() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        *response.status_mut() = axum::http::StatusCode::ACCEPTED;
    }
    Ok(response)
}

/// A job with its first rows.
pub async fn shown(app: &App, entry: &Entry) -> Answer {
    let mut record = entry.record();
    if !record.state.is_over()
        && let Some(progress) = app.jobs.progress(&entry.id)
    {
        record.progress = progress;
    }
    let mut text = Value::Object(record.view()).to_string();
    if let Some(rows) = entry.rows()
        && let Some(batches) = rows.chunk(0).await?
    {
        let mut encoder = Encoder::new(Format::Json, &rows.style)?;
        let mut data = encoder.begin();
        for batch in &batches {
            data.extend(encoder.batch(batch)?);
        }
        data.extend(encoder.end()?);
        text.pop();
        text.push_str(",\"data\":");
        text.push_str(&String::from_utf8_lossy(&data));
        text.push('}');
    }
    Ok(json_text(200, text))
}

/// The user's job of that id; those of others are only there for who may see them.
pub async fn find(call: &Call) -> Result<Arc<Entry>, Problem> {
    let id = call.parameter("id");
    let entry = call.app.jobs.get(id).await?;
    let is_visible = |entry: &Arc<Entry>| entry.user == *call.user.name || call.user.scope >= Scope::Admin;
    entry.filter(is_visible).ok_or_else(|| Problem::not_found("job", id))
}

pub async fn get(call: Call) -> Answer {
    let query: WaitQuery = call.query()?;
    let entry = find(&call).await?;
    entry.wait(Duration::from_secs_f64(query.wait.unwrap_or(0.0))).await;
    shown(&call.app, &entry).await
}

pub async fn events(call: Call) -> Answer {
    let entry = find(&call).await?;
    Ok(sse::stream(Arc::clone(&call.app.jobs), entry))
}

pub async fn cancel(call: Call) -> Answer {
    let entry = find(&call).await?;
    call.app.jobs.cancel(&entry).await;
    entry.wait(CANCEL_WAIT).await;
    shown(&call.app, &entry).await
}

pub async fn delete(call: Call) -> Answer {
    let entry = find(&call).await?;
    call.app.jobs.remove(&entry).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = axum::http::StatusCode::NO_CONTENT;
    Ok(response)
}

pub async fn list(call: Call) -> Answer {
    let query: ListQuery = call.query()?;
    let own = call.user.name.to_string();
    let is_admin = call.user.scope >= Scope::Admin;
    let user = match query.user {
        Some(user) if user == own || is_admin => Some(user),
        Some(_) => return Err(Problem::forbidden("The jobs of others need a token of scope admin.").at("user")),
        None if is_admin => None,
        None => Some(own),
    };
    let before = query.cursor.as_deref().map(|text| position(&call.app, text)).transpose()?;
    let limit = query.limit.unwrap_or(50);
    // Fields that change while a job runs are in the store at its end only.
    let filter = JobFilter { user, kind: query.kind, state: query.state, tag: query.tag, before, limit: limit + 1 };
    let mut records = call.app.jobs.list(&filter).await?;
    let has_more = records.len() > limit as usize;
    records.truncate(limit as usize);
    let last = records.last().filter(|_| has_more);
    let cursor = last.map(|last| encode_text(&call.app.cursor_secret, &json!([last.created_at, last.id]).to_string()));
    let views: Vec<_> = records.iter().map(JobRecord::view).collect();
    Ok(json(200, &json!({"jobs": views, "next_cursor": cursor})))
}

fn position(app: &App, cursor: &str) -> Result<(i64, String), Problem> {
    let text = decode_text(&app.cursor_secret, cursor)?;
    serde_json::from_str(&text)
        .map_err(|_| Problem::new(400, "INVALID_CURSOR", "The cursor is of another list.").at("cursor"))
}

/// Runs a job that did not succeed once more, as a new one.
pub async fn retry(call: Call) -> Answer {
    let entry = find(&call).await?;
    let record = entry.record();
    if !record.state.is_over() || record.state == JobState::Succeeded {
        let detail = format!("A job that is {} is not run again.", record.state.name());
        return Err(Problem::new(409, "JOB_NOT_RETRYABLE", detail));
    }
    if prepare_of(&record.kind).is_none() {
        return Err(Problem::new(409, "JOB_NOT_RETRYABLE", "Rows that were streamed are asked for again instead."));
    }
    if record.kind != crate::statements::KIND {
        call.user.require(Scope::Write)?;
    }
    let mut given = Request::of(&call)?;
    std::mem::take(&mut given.fields).end()?;
    if record.has_credentials && given.credentials.is_empty() {
        let detail = "Credentials are not kept: this job needs them again.";
        return Err(Problem::new(422, "CREDENTIALS_REQUIRED", detail).at("credentials"));
    }
    if record.state == JobState::Interrupted {
        let session = call.app.sessions.fresh(&call.user, &given.credentials);
        if let Some(committed) = recover::committed_in(&session, &record).await {
            call.app.jobs.replace(&committed).await?;
            let detail = "The job had committed its change before it was interrupted.";
            return Err(Problem::new(409, "JOB_NOT_RETRYABLE", detail));
        }
    }
    let Value::Object(fields) = record.request.clone() else {
        return Err(Problem::internal("a kept request is no object"));
    };
    let mut fields = Fields::of(fields);
    let before: RunFields = fields.take()?;
    let run = RunFields {
        wait: given.run.wait,
        on_wait: given.run.on_wait,
        timeout: given.run.timeout.or(before.timeout),
        tags: given.run.tags.or(before.tags),
    };
    let request =
        Request { app: Arc::clone(&call.app), user: call.user.clone(), fields, credentials: given.credentials, run };
    start(request, &record.kind, call.idempotency_key()?, Some(record.id)).await
}
