//! Sessions: who is connected, what runs for them, which errors they may still ask about. Everything here is bounded,
//! and goes when it was not used for long enough.
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_engine::{Engine, Session};
use firesteel_plan::{Result, SparkError};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::error::status_of;
use crate::operation::{EndError, Operation};
use crate::tombstones::Tombstones;

/// Sessions of the process.
const SESSIONS_MAX: usize = 10_000;
/// Operations of a session that are not released.
const OPERATIONS_MAX: usize = 1_000;
/// Errors of a session whose details can be fetched, and for how long.
const ERRORS_MAX: usize = 50;
const ERRORS_KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// Operations that are over and released, whose state can still be asked for.
const PAST_OPERATIONS_MAX: usize = 1_000;

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetimes {
    pub session: Duration,
    pub detached_operation: Duration,
}

/// A user's session, by the id the client chose.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionKey {
    pub user_id: String,
    pub session_id: String,
}

impl SessionKey {
    pub(crate) fn new(user: Option<&spark_connect_proto::UserContext>, session_id: &str) -> Result<Self> {
        let user_id = user.map(|user| user.user_id.clone()).unwrap_or_default();
        check_handle(session_id)?;
        Ok(Self { user_id, session_id: session_id.to_string() })
    }
}

/// Ids are UUIDs in their usual form.
pub(crate) fn check_handle(handle: &str) -> Result<()> {
    match Uuid::try_parse(handle) {
        Ok(_) if handle.len() == 36 => Ok(()),
        _ => Err(SparkError::new("INVALID_HANDLE.FORMAT", [("handle", handle)])),
    }
}

pub(crate) struct ConnectSession {
    pub key: SessionKey,
    /// Made by the server: it changes when the server or the session starts anew.
    pub server_side_id: String,
    pub session: Arc<Session>,
    operations: Mutex<HashMap<String, Arc<Operation>>>,
    past: Mutex<PastOperations>,
    errors: Mutex<VecDeque<(String, Instant, SparkError)>>,
    last_used: Mutex<Instant>,
}

#[derive(Default)]
struct PastOperations {
    states: VecDeque<(String, State)>,
    abandoned: Tombstones<String>,
}

/// `GetStatusResponse.OperationStatus.OperationState`
pub(crate) type State = spark_connect_proto::get_status_response::operation_status::OperationState;

impl ConnectSession {
    fn new(key: SessionKey, session: Arc<Session>) -> Arc<Self> {
        Arc::new(Self {
            key,
            server_side_id: Uuid::new_v4().to_string(),
            session,
            operations: Mutex::default(),
            past: Mutex::default(),
            errors: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
        })
    }

    fn touch(&self) {
        *self.last_used.lock() = Instant::now();
    }

    /// Keeps the error for `FetchErrorDetails`.
    pub(crate) fn remember(&self, error: &SparkError) -> EndError {
        let error_id = Uuid::new_v4().to_string();
        let mut errors = self.errors.lock();
        errors.retain(|(_, at, _)| at.elapsed() < ERRORS_KEPT_FOR);
        if errors.len() >= ERRORS_MAX {
            errors.pop_front();
        }
        errors.push_back((error_id.clone(), Instant::now(), error.clone()));
        EndError { error: error.clone(), error_id }
    }

    /// The status of an error, whose details are then kept.
    pub(crate) fn status(&self, error: &SparkError) -> Status {
        let kept = self.remember(error);
        status_of(&kept.error, Some(&kept.error_id))
    }

    pub(crate) fn error(&self, error_id: &str) -> Option<SparkError> {
        self.errors.lock().iter().find(|(id, _, _)| id == error_id).map(|(_, _, error)| error.clone())
    }

    /// Adds an operation, unless one of that id is there: then `same` decides whether the request is a repeated one.
    pub(crate) fn add_operation(&self, operation: Operation) -> Result<(Arc<Operation>, bool)> {
        let mut operations = self.operations.lock();
        if let Some(existing) = operations.get(&operation.id) {
            let repeated =
                existing.reattachable && operation.reattachable && existing.fingerprint == operation.fingerprint;
            return if repeated { Ok((Arc::clone(existing), false)) } else { Err(already_exists(&operation.id)) };
        }
        let past = self.past.lock();
        if past.abandoned.contains(&operation.id) {
            return Err(handle_error("OPERATION_ABANDONED", &operation.id));
        }
        if past.states.iter().any(|(id, _)| *id == operation.id) {
            return Err(already_exists(&operation.id));
        }
        drop(past);
        if operations.len() >= OPERATIONS_MAX {
            return Err(SparkError::unsupported(format!(
                "more than {OPERATIONS_MAX} operations of one session at once"
            )));
        }
        let operation = Arc::new(operation);
        operations.insert(operation.id.clone(), Arc::clone(&operation));
        Ok((operation, true))
    }

    pub(crate) fn operation(&self, id: &str) -> Result<Arc<Operation>> {
        if let Some(operation) = self.operations.lock().get(id) {
            return Ok(Arc::clone(operation));
        }
        let abandoned = self.past.lock().abandoned.contains(&id.to_string());
        Err(handle_error(if abandoned { "OPERATION_ABANDONED" } else { "OPERATION_NOT_FOUND" }, id))
    }

    pub(crate) fn operations(&self) -> Vec<Arc<Operation>> {
        self.operations.lock().values().cloned().collect()
    }

    /// Forgets an operation; one that still runs is stopped.
    pub(crate) fn remove_operation(&self, id: &str) -> Option<Arc<Operation>> {
        let operation = self.operations.lock().remove(id)?;
        self.stop(&operation);
        let state = state_of(&operation);
        let mut past = self.past.lock();
        if past.states.len() >= PAST_OPERATIONS_MAX {
            past.states.pop_front();
        }
        past.states.push_back((operation.id.clone(), state));
        Some(operation)
    }

    /// Stops an operation that runs, which then ends with OPERATION_CANCELED.
    pub(crate) fn stop(&self, operation: &Operation) -> bool {
        let runs = state_of(operation) == State::Running;
        if runs {
            operation.cancel.cancel();
        }
        runs
    }

    pub(crate) fn states(&self, ids: &[String]) -> Vec<(String, State)> {
        let live: HashMap<String, State> =
            self.operations.lock().values().map(|o| (o.id.clone(), state_of(o))).collect();
        let past = self.past.lock();
        let past_state = |id: &String| past.states.iter().find(|(known, _)| known == id).map(|(_, state)| *state);
        if ids.is_empty() {
            return live.into_iter().chain(past.states.iter().cloned()).collect();
        }
        let state = |id: &String| live.get(id).copied().or_else(|| past_state(id)).unwrap_or(State::Unknown);
        ids.iter().map(|id| (id.clone(), state(id))).collect()
    }

    fn drop_abandoned(&self, after: Duration) {
        for operation in self.operations() {
            if operation.abandoned_for().is_some_and(|idle| idle > after) {
                tracing::info!(operation_id = operation.id, "an operation was abandoned");
                self.remove_operation(&operation.id);
                self.past.lock().abandoned.insert(operation.id.clone());
            }
        }
    }

    fn is_idle(&self, after: Duration) -> bool {
        self.last_used.lock().elapsed() > after && self.operations.lock().is_empty()
    }

    fn close(&self, reason: &SparkError) {
        for operation in self.operations() {
            if operation.ended().is_none() {
                operation.end(Some(self.remember(reason)));
            }
            operation.cancel.cancel();
        }
        self.operations.lock().clear();
        self.session.close();
    }

    /// A token that stops with the session.
    pub(crate) fn token(&self) -> CancellationToken {
        CancellationToken::new()
    }
}

fn state_of(operation: &Operation) -> State {
    match operation.ended() {
        None if operation.cancel.is_cancelled() => State::Cancelled,
        None => State::Running,
        Some(ended) => match ended.error {
            None => State::Succeeded,
            Some(end) if end.error.is("OPERATION_CANCELED") => State::Cancelled,
            Some(_) => State::Failed,
        },
    }
}

/// An error of the INVALID_HANDLE family.
pub(crate) fn handle_error(sub_condition: &str, handle: &str) -> SparkError {
    SparkError::new(format!("INVALID_HANDLE.{sub_condition}"), [("handle", handle)])
}

fn already_exists(id: &str) -> SparkError {
    handle_error("OPERATION_ALREADY_EXISTS", id)
}

/// All sessions.
pub(crate) struct Sessions {
    engine: Engine,
    lifetimes: Lifetimes,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    live: HashMap<SessionKey, Arc<ConnectSession>>,
    closed: Tombstones<SessionKey>,
    shutting_down: bool,
}

impl Sessions {
    pub(crate) fn new(engine: Engine, lifetimes: Lifetimes) -> Self {
        Self { engine, lifetimes, inner: Mutex::default() }
    }

    /// The session, made where it is new. `observed`: the server-side id the client knows.
    pub(crate) fn get_or_create(&self, key: SessionKey, observed: Option<&str>) -> Result<Arc<ConnectSession>> {
        let mut inner = self.inner.lock();
        if let Some(session) = inner.live.get(&key) {
            return used(session, observed);
        }
        check_not_closed(&inner, &key)?;
        if observed.is_some_and(|id| !id.is_empty()) {
            return Err(handle_error("SESSION_CHANGED", &key.session_id));
        }
        if inner.shutting_down {
            return Err(SparkError::internal("the server is shutting down").retryable());
        }
        if inner.live.len() >= SESSIONS_MAX {
            return Err(SparkError::unsupported(format!("more than {SESSIONS_MAX} sessions at once")).retryable());
        }
        let session = self.engine.new_session(&key.user_id, &key.session_id);
        let session = ConnectSession::new(key.clone(), session);
        tracing::info!(user_id = key.user_id, session_id = key.session_id, "session opened");
        inner.live.insert(key, Arc::clone(&session));
        Ok(session)
    }

    /// The session, which must be there.
    pub(crate) fn get(&self, key: &SessionKey, observed: Option<&str>) -> Result<Arc<ConnectSession>> {
        let inner = self.inner.lock();
        match inner.live.get(key) {
            Some(session) => used(session, observed),
            None => {
                check_not_closed(&inner, key)?;
                Err(handle_error("SESSION_NOT_FOUND", &key.session_id))
            }
        }
    }

    /// Another session with the state of this one.
    pub(crate) fn clone_session(&self, from: &ConnectSession, new_id: &str) -> Result<Arc<ConnectSession>> {
        let key = SessionKey { user_id: from.key.user_id.clone(), session_id: new_id.to_string() };
        let mut inner = self.inner.lock();
        check_not_closed(&inner, &key)?;
        if inner.live.contains_key(&key) {
            return Err(handle_error("SESSION_ALREADY_EXISTS", new_id));
        }
        if inner.live.len() >= SESSIONS_MAX {
            return Err(SparkError::unsupported(format!("more than {SESSIONS_MAX} sessions at once")).retryable());
        }
        let session = self.engine.clone_session(&from.session, &key.user_id, new_id);
        let session = ConnectSession::new(key.clone(), session);
        inner.live.insert(key, Arc::clone(&session));
        Ok(session)
    }

    /// Closes a session and answers its server-side id. Its id cannot be used again, unless `allow_reconnect`.
    pub(crate) fn release(&self, key: &SessionKey, allow_reconnect: bool) -> String {
        let session = {
            let mut inner = self.inner.lock();
            if !allow_reconnect {
                inner.closed.insert(key.clone());
            }
            inner.live.remove(key)
        };
        let Some(session) = session else { return String::new() };
        tracing::info!(user_id = key.user_id, session_id = key.session_id, "session released");
        session.close(&handle_error("SESSION_CLOSED", &key.session_id));
        session.server_side_id.clone()
    }

    /// Drops what was not used for long enough.
    pub(crate) fn maintain(&self) {
        let sessions: Vec<_> = self.inner.lock().live.values().cloned().collect();
        for session in sessions {
            session.drop_abandoned(self.lifetimes.detached_operation);
            if session.is_idle(self.lifetimes.session) {
                self.release(&session.key, false);
            }
        }
    }

    /// No new sessions; how many operations still run.
    pub(crate) fn begin_shutdown(&self) -> usize {
        let mut inner = self.inner.lock();
        inner.shutting_down = true;
        let running = |session: &Arc<ConnectSession>| {
            session.operations.lock().values().filter(|operation| operation.ended().is_none()).count()
        };
        inner.live.values().map(running).sum()
    }

    pub(crate) fn close_all(&self) {
        let sessions: Vec<_> = self.inner.lock().live.drain().map(|(_, session)| session).collect();
        let error = SparkError::of("OPERATION_CANCELED").with_message("The server is shutting down.");
        for session in sessions {
            session.close(&error);
        }
    }
}

fn used(session: &Arc<ConnectSession>, observed: Option<&str>) -> Result<Arc<ConnectSession>> {
    if observed.is_some_and(|id| !id.is_empty() && id != session.server_side_id) {
        return Err(handle_error("SESSION_CHANGED", &session.key.session_id));
    }
    session.touch();
    Ok(Arc::clone(session))
}

fn check_not_closed(inner: &Inner, key: &SessionKey) -> Result<()> {
    if inner.closed.contains(key) { Err(handle_error("SESSION_CLOSED", &key.session_id)) } else { Ok(()) }
}
