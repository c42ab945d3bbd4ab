//! The twelve calls. Each finds its session, does its work on the workers' runtime, and turns errors into statuses.
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_plan::{Result, SparkError};
use futures::{FutureExt, Stream, StreamExt};
use prost::Message;
use spark_connect_proto as proto;
use tokio::runtime::Handle;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

use crate::artifacts::Receiver;
use crate::error::{details, status_of};
use crate::operation::{Next, Operation};
use crate::rpc::spark_connect_service_server::SparkConnectService;
use crate::session::{ConnectSession, SessionKey, Sessions, check_handle};
use crate::{analyze, config, execute};

/// A reattachable stream ends after this long or this much; the client attaches again.
const STREAM_DURATION_MAX: Duration = Duration::from_secs(120);
const STREAM_BYTES_MAX: usize = 1 << 30;
const TAGS_MAX: usize = 100;

pub(crate) struct Service {
    pub sessions: Arc<Sessions>,
    /// Where plans are analyzed and run, apart from the connections.
    pub workers: Handle,
}

type Responses = Pin<Box<dyn Stream<Item = Result<proto::ExecutePlanResponse, Status>> + Send>>;

fn refuse(error: SparkError) -> Status {
    status_of(&error, None)
}

impl Service {
    fn session(
        &self,
        user: Option<&proto::UserContext>,
        session_id: &str,
        observed: Option<&String>,
    ) -> Result<Arc<ConnectSession>, Status> {
        let key = SessionKey::new(user, session_id).map_err(refuse)?;
        self.sessions.get_or_create(key, observed.map(String::as_str)).map_err(refuse)
    }

    fn existing(
        &self,
        user: Option<&proto::UserContext>,
        session_id: &str,
        observed: Option<&String>,
    ) -> Result<Arc<ConnectSession>, Status> {
        let key = SessionKey::new(user, session_id).map_err(refuse)?;
        self.sessions.get(&key, observed.map(String::as_str)).map_err(refuse)
    }

    /// Runs work on the workers' runtime; a panic there is an error here.
    async fn work<T: Send + 'static>(
        &self,
        session: &ConnectSession,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T, Status> {
        let work = std::panic::AssertUnwindSafe(work).catch_unwind();
        let result = match self.workers.spawn(work).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(SparkError::internal("the request broke").with_cause(execute::panic_text(&panic))),
            Err(stopped) => Err(SparkError::internal("the server is shutting down").with_cause(stopped)),
        };
        result.map_err(|error| session.status(&error))
    }
}

#[tonic::async_trait]
impl SparkConnectService for Service {
    type ExecutePlanStream = Responses;
    type ReattachExecuteStream = Responses;

    async fn execute_plan(
        &self,
        request: Request<proto::ExecutePlanRequest>,
    ) -> Result<Response<Self::ExecutePlanStream>, Status> {
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.session(request.user_context.as_ref(), &request.session_id, observed)?;
        let operation = new_operation(&session, &request).map_err(|error| session.status(&error))?;
        let (operation, is_new) = session.add_operation(operation).map_err(|error| session.status(&error))?;
        let (reader, first) = operation.attach(None).map_err(|error| session.status(&error))?;
        if is_new {
            let options = execute::Request::new(&request.request_options);
            let plan = request.plan.unwrap_or_default();
            self.workers.spawn(execute::run(Arc::clone(&session), Arc::clone(&operation), plan, options));
        }
        Ok(Response::new(responses(session, operation, reader, first)))
    }

    async fn reattach_execute(
        &self,
        request: Request<proto::ReattachExecuteRequest>,
    ) -> Result<Response<Self::ReattachExecuteStream>, Status> {
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.existing(request.user_context.as_ref(), &request.session_id, observed)?;
        let attached = session.operation(&request.operation_id).and_then(|operation| {
            if !operation.reattachable {
                return Err(SparkError::of("INVALID_CURSOR.NOT_REATTACHABLE"));
            }
            let after = request.last_response_id.as_deref().filter(|id| !id.is_empty());
            let (reader, next) = operation.attach(after)?;
            Ok((operation, reader, next))
        });
        let (operation, reader, next) = attached.map_err(|error| session.status(&error))?;
        Ok(Response::new(responses(session, operation, reader, next)))
    }

    async fn release_execute(
        &self,
        request: Request<proto::ReleaseExecuteRequest>,
    ) -> Result<Response<proto::ReleaseExecuteResponse>, Status> {
        use proto::release_execute_request::Release;
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.existing(request.user_context.as_ref(), &request.session_id, observed)?;
        // What is released already needs no release.
        let known = session.operation(&request.operation_id).ok();
        match (&request.release, &known) {
            (_, None) => {}
            (Some(Release::ReleaseUntil(until)), Some(operation)) => {
                operation.release_until(&until.response_id).map_err(|error| session.status(&error))?;
            }
            (Some(Release::ReleaseAll(_)) | None, Some(operation)) => {
                session.remove_operation(&operation.id);
            }
        }
        Ok(Response::new(proto::ReleaseExecuteResponse {
            session_id: request.session_id,
            server_side_session_id: session.server_side_id.clone(),
            operation_id: known.map(|operation| operation.id.clone()),
        }))
    }

    async fn analyze_plan(
        &self,
        request: Request<proto::AnalyzePlanRequest>,
    ) -> Result<Response<proto::AnalyzePlanResponse>, Status> {
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.session(request.user_context.as_ref(), &request.session_id, observed)?;
        let work = analyze::analyze(Arc::clone(&session), request.analyze);
        let result = self.work(&session, work).await?;
        Ok(Response::new(proto::AnalyzePlanResponse {
            session_id: request.session_id,
            server_side_session_id: session.server_side_id.clone(),
            result: Some(result),
        }))
    }

    async fn config(&self, request: Request<proto::ConfigRequest>) -> Result<Response<proto::ConfigResponse>, Status> {
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.session(request.user_context.as_ref(), &request.session_id, observed)?;
        let answer =
            config::config(session.session.conf(), request.operation).map_err(|error| session.status(&error))?;
        Ok(Response::new(proto::ConfigResponse {
            session_id: request.session_id,
            server_side_session_id: session.server_side_id.clone(),
            pairs: answer.pairs,
            warnings: answer.warnings,
        }))
    }

    async fn add_artifacts(
        &self,
        request: Request<Streaming<proto::AddArtifactsRequest>>,
    ) -> Result<Response<proto::AddArtifactsResponse>, Status> {
        let mut messages = request.into_inner();
        let mut receiver = Receiver::default();
        let mut session: Option<(String, Arc<ConnectSession>)> = None;
        while let Some(message) = messages.next().await {
            let message = message?;
            let session = match &session {
                Some((_, session)) => Arc::clone(session),
                None => {
                    let observed = message.client_observed_server_side_session_id.as_ref();
                    let found = self.session(message.user_context.as_ref(), &message.session_id, observed)?;
                    session = Some((message.session_id.clone(), Arc::clone(&found)));
                    found
                }
            };
            receiver.receive(&session.session, message.payload).map_err(|error| session.status(&error))?;
        }
        let Some((session_id, session)) = session else {
            return Err(Status::invalid_argument("AddArtifacts needs at least one message"));
        };
        let artifacts = receiver.finish().map_err(|error| session.status(&error))?;
        Ok(Response::new(proto::AddArtifactsResponse {
            session_id,
            server_side_session_id: session.server_side_id.clone(),
            artifacts,
        }))
    }

    async fn artifact_status(
        &self,
        request: Request<proto::ArtifactStatusesRequest>,
    ) -> Result<Response<proto::ArtifactStatusesResponse>, Status> {
        use proto::artifact_statuses_response::ArtifactStatus;
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.session(request.user_context.as_ref(), &request.session_id, observed)?;
        let status = |name: String| {
            let exists = session.session.artifacts().contains(&name);
            (name, ArtifactStatus { exists })
        };
        Ok(Response::new(proto::ArtifactStatusesResponse {
            session_id: request.session_id,
            server_side_session_id: session.server_side_id.clone(),
            statuses: request.names.into_iter().map(status).collect(),
        }))
    }

    async fn interrupt(
        &self,
        request: Request<proto::InterruptRequest>,
    ) -> Result<Response<proto::InterruptResponse>, Status> {
        use proto::interrupt_request::{Interrupt, InterruptType};
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.session(request.user_context.as_ref(), &request.session_id, observed)?;
        let chosen = |operation: &Operation| match (request.interrupt_type(), &request.interrupt) {
            (InterruptType::All, _) => Some(true),
            (InterruptType::Tag, Some(Interrupt::OperationTag(tag))) => Some(operation.tags.contains(tag)),
            (InterruptType::OperationId, Some(Interrupt::OperationId(id))) => Some(operation.id == *id),
            _ => None,
        };
        let mut interrupted_ids = vec![];
        for operation in session.operations() {
            let is_chosen = chosen(&operation)
                .ok_or_else(|| Status::invalid_argument("the interrupt names neither a tag nor an operation"))?;
            if is_chosen && session.stop(&operation) {
                interrupted_ids.push(operation.id.clone());
            }
        }
        Ok(Response::new(proto::InterruptResponse {
            session_id: request.session_id,
            server_side_session_id: session.server_side_id.clone(),
            interrupted_ids,
        }))
    }

    async fn release_session(
        &self,
        request: Request<proto::ReleaseSessionRequest>,
    ) -> Result<Response<proto::ReleaseSessionResponse>, Status> {
        let request = request.into_inner();
        let key = SessionKey::new(request.user_context.as_ref(), &request.session_id).map_err(refuse)?;
        let server_side_session_id = self.sessions.release(&key, request.allow_reconnect);
        Ok(Response::new(proto::ReleaseSessionResponse { session_id: request.session_id, server_side_session_id }))
    }

    async fn fetch_error_details(
        &self,
        request: Request<proto::FetchErrorDetailsRequest>,
    ) -> Result<Response<proto::FetchErrorDetailsResponse>, Status> {
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.existing(request.user_context.as_ref(), &request.session_id, observed)?;
        let errors = session.error(&request.error_id).map(|error| details(&error)).unwrap_or_default();
        Ok(Response::new(proto::FetchErrorDetailsResponse {
            session_id: request.session_id,
            server_side_session_id: session.server_side_id.clone(),
            root_error_idx: (!errors.is_empty()).then_some(0),
            errors,
        }))
    }

    async fn clone_session(
        &self,
        request: Request<proto::CloneSessionRequest>,
    ) -> Result<Response<proto::CloneSessionResponse>, Status> {
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.existing(request.user_context.as_ref(), &request.session_id, observed)?;
        let new_id = request.new_session_id.filter(|id| !id.is_empty()).unwrap_or_else(|| Uuid::new_v4().to_string());
        let cloned = check_handle(&new_id).and_then(|()| self.sessions.clone_session(&session, &new_id));
        let cloned = cloned.map_err(|error| session.status(&error))?;
        Ok(Response::new(proto::CloneSessionResponse {
            session_id: request.session_id,
            server_side_session_id: session.server_side_id.clone(),
            new_session_id: new_id,
            new_server_side_session_id: cloned.server_side_id.clone(),
        }))
    }

    async fn get_status(
        &self,
        request: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::GetStatusResponse>, Status> {
        use proto::get_status_response::OperationStatus;
        let request = request.into_inner();
        let observed = request.client_observed_server_side_session_id.as_ref();
        let session = self.existing(request.user_context.as_ref(), &request.session_id, observed)?;
        let states = request.operation_status.map(|wanted| session.states(&wanted.operation_ids)).unwrap_or_default();
        let operation_statuses = states.into_iter().map(|(operation_id, state)| OperationStatus {
            operation_id,
            state: state as i32,
            extensions: vec![],
        });
        Ok(Response::new(proto::GetStatusResponse {
            session_id: request.session_id,
            server_side_session_id: session.server_side_id.clone(),
            operation_statuses: operation_statuses.collect(),
            extensions: vec![],
        }))
    }
}

fn new_operation(session: &ConnectSession, request: &proto::ExecutePlanRequest) -> Result<Operation> {
    use proto::execute_plan_request::request_option::RequestOption;
    let id = match request.operation_id.as_deref().filter(|id| !id.is_empty()) {
        Some(id) => {
            check_handle(id)?;
            id.to_string()
        }
        None => Uuid::new_v4().to_string(),
    };
    if request.tags.len() > TAGS_MAX {
        return Err(SparkError::unsupported(format!("more than {TAGS_MAX} tags of one operation")));
    }
    let reattachable = request.request_options.iter().any(|option| {
        matches!(&option.request_option, Some(RequestOption::ReattachOptions(options)) if options.reattachable)
    });
    let fingerprint = request.plan.as_ref().map_or(0, fingerprint);
    let tags = request.tags.clone();
    let token = session.token();
    let key = &session.key.session_id;
    Ok(Operation::new(id, tags, reattachable, fingerprint, token, key, &session.server_side_id))
}

/// Tells a repeated request from one that reuses an id. Large plans go by their size.
fn fingerprint(plan: &proto::Plan) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    const HASHED_BYTES_MAX: usize = 1 << 20;
    let mut hasher = DefaultHasher::new();
    let length = plan.encoded_len();
    length.hash(&mut hasher);
    if length <= HASHED_BYTES_MAX {
        plan.encode_to_vec().hash(&mut hasher);
    }
    hasher.finish()
}

/// Notes that a reader is gone. An operation that nobody can come back to is then stopped.
struct Attached {
    session: Arc<ConnectSession>,
    operation: Arc<Operation>,
    reader: u64,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.operation.detach(self.reader);
        if !self.operation.reattachable {
            self.session.remove_operation(&self.operation.id);
        }
    }
}

/// The responses from number `next` on.
fn responses(session: Arc<ConnectSession>, operation: Arc<Operation>, reader: u64, mut next: u64) -> Responses {
    let attached = Attached { session, operation, reader };
    let began = Instant::now();
    let stream = async_stream::stream! {
        let mut bytes = 0;
        loop {
            let operation = &attached.operation;
            if operation.reattachable && (bytes > STREAM_BYTES_MAX || began.elapsed() > STREAM_DURATION_MAX) {
                return;
            }
            let wait = STREAM_DURATION_MAX.saturating_sub(began.elapsed());
            let response = if operation.reattachable {
                match tokio::time::timeout(wait, operation.next(reader, next)).await {
                    Ok(response) => response,
                    Err(_) => return,
                }
            } else {
                operation.next(reader, next).await
            };
            match response {
                Next::Response(response) => {
                    next += 1;
                    bytes += response.encoded_len();
                    yield Ok(proto::ExecutePlanResponse::clone(&response));
                }
                Next::End(None) => return,
                Next::End(Some(end)) => {
                    yield Err(status_of(&end.error, Some(&end.error_id)));
                    return;
                }
                Next::Disconnected => {
                    yield Err(refuse(SparkError::of("INVALID_CURSOR.DISCONNECTED")));
                    return;
                }
            }
        }
    };
    Box::pin(stream)
}
