//! What an `ExecutePlan` does, from the plan to its last response.
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use firesteel_engine::SqlOutcome;
use firesteel_engine::{ExecuteOptions, Execution, JobProgress};
use firesteel_plan::{Plan, Result, SparkError, StructType};
use futures::{FutureExt, StreamExt};
use proto::execute_plan_response::{self as pb, ResponseType};
use spark_connect_proto as proto;
use tokio::sync::watch;

use crate::decode::{Action, Decoder, Uploads};
use crate::encode;
use crate::operation::{Operation, Response};
use crate::session::ConnectSession;

/// Rows are gathered up to about this size before they are sent, as long as they are there already.
const BATCH_BYTES: usize = 4 << 20;
/// The largest message when the client takes no chunks; PySpark refuses more than 128 MiB.
const MESSAGE_BYTES_MAX: usize = 100 << 20;
/// `spark.connect.session.resultChunking.maxChunkSize`
const CHUNK_BYTES_MAX: usize = 120_795_955;
const CHUNK_BYTES_MIN: usize = 1024;
/// A statement's rows are one message.
const STATEMENT_ROWS_BYTES_MAX: usize = 64 << 20;
/// After this long a cancelled operation is over, whatever it does.
const TIDY_UP_MAX: Duration = Duration::from_secs(5);
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// What the client asked for beside the plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    /// Bytes a chunk may have, where the client puts chunks together.
    pub chunk_bytes: Option<usize>,
}

impl Request {
    pub(crate) fn new(options: &[proto::execute_plan_request::RequestOption]) -> Self {
        use proto::execute_plan_request::request_option::RequestOption;
        let chunking = options.iter().find_map(|option| match &option.request_option {
            Some(RequestOption::ResultChunkingOptions(chunking)) if chunking.allow_arrow_batch_chunking => {
                Some(chunking.preferred_arrow_chunk_size)
            }
            _ => None,
        });
        let chunk_bytes = chunking.map(|preferred| {
            let preferred = preferred.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(CHUNK_BYTES_MAX);
            preferred.clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
        });
        Self { chunk_bytes }
    }
}

pub(crate) struct SessionUploads<'a>(pub &'a ConnectSession);

impl Uploads for SessionUploads<'_> {
    fn cached(&self, hash: &str) -> Option<Arc<[u8]>> {
        self.0.session.artifacts().cached_relation(hash)
    }
    fn session_id(&self) -> &str {
        &self.0.server_side_id
    }
}

/// Runs an operation to its end, which the operation then knows. One that is cancelled gets some time to tidy up.
pub(crate) async fn run(session: Arc<ConnectSession>, operation: Arc<Operation>, plan: proto::Plan, request: Request) {
    let mut work = {
        let (session, operation) = (Arc::clone(&session), Arc::clone(&operation));
        tokio::spawn(async move { execute(&session, &operation, plan, request).await })
    };
    let out_of_time = async {
        operation.cancel.cancelled().await;
        tokio::time::sleep(TIDY_UP_MAX).await;
    };
    let result = tokio::select! {
        result = &mut work => result.unwrap_or_else(|e| Err(broken(e))),
        () = out_of_time => {
            work.abort();
            Err(SparkError::of("OPERATION_CANCELED"))
        }
    };
    match result {
        Ok(()) => operation.end(None),
        Err(error) => {
            if error.is("INTERNAL_ERROR") {
                tracing::error!(operation_id = operation.id, cause = error.cause(), %error, "operation failed");
            } else {
                tracing::debug!(operation_id = operation.id, %error, "operation failed");
            }
            operation.end(Some(session.remember(&error)));
        }
    }
}

fn broken(error: tokio::task::JoinError) -> SparkError {
    let cause = match error.try_into_panic() {
        Ok(panic) => panic_text(&panic),
        Err(stopped) => stopped.to_string(),
    };
    SparkError::internal("the operation broke").with_cause(cause)
}

pub(crate) fn panic_text(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_string()
}

async fn execute(session: &ConnectSession, operation: &Operation, plan: proto::Plan, request: Request) -> Result<()> {
    let plan = crate::decode::decompress(plan)?;
    let (action, sql) = action(session, plan)?;
    let options = ExecuteOptions {
        operation_id: operation.id.clone(),
        tags: operation.tags.clone(),
        description: String::new(),
        cancel: operation.cancel.clone(),
    };
    match action {
        Action::Run(plan) => {
            let kind = Answer::of(&plan);
            let execution = session.session.execute(plan, options).await?;
            respond(session, operation, execution, kind, &request).await?;
        }
        Action::Sql(relation) => {
            let answer = match session.session.sql(relation, options).await? {
                SqlOutcome::Query(_) => sql.map(|relation| *relation),
                SqlOutcome::Rows(execution) => Some(rows_relation(session, operation, execution).await?),
            };
            send(operation, ResponseType::SqlCommandResult(pb::SqlCommandResult { relation: answer })).await?;
        }
        Action::GetResources => {
            send(operation, ResponseType::GetResourcesCommandResult(proto::GetResourcesCommandResult::default()))
                .await?;
        }
        Action::CreateResourceProfile => {
            return Err(SparkError::unsupported("resource profiles: tasks share the cores of the server"));
        }
    }
    if operation.reattachable {
        send(operation, ResponseType::ResultComplete(pb::ResultComplete {})).await?;
    }
    Ok(())
}

/// The decoded plan and, for `spark.sql`, the relation to answer when it is a query.
fn action(session: &ConnectSession, plan: proto::Plan) -> Result<(Action, Option<Box<proto::Relation>>)> {
    let uploads = SessionUploads(session);
    let mut decoder = Decoder::new(&uploads);
    let Some(proto::plan::OpType::Command(command)) = &plan.op_type else {
        return Ok((Action::Run(decoder.plan(&plan)?), None));
    };
    let action = decoder.command(command)?;
    let Some(proto::plan::OpType::Command(command)) = plan.op_type else { return Ok((action, None)) };
    let sql = match command.command_type {
        Some(proto::command::CommandType::SqlCommand(sql)) => Some(Box::new(sql_relation(sql))),
        _ => None,
    };
    Ok((action, sql))
}

/// What `spark.sql` was asked, as a relation.
#[allow(deprecated)]
fn sql_relation(command: proto::SqlCommand) -> proto::Relation {
    match command.input {
        Some(input) => input,
        None => proto::Relation {
            common: None,
            rel_type: Some(proto::relation::RelType::Sql(proto::Sql {
                query: command.sql,
                args: command.args,
                pos_args: command.pos_args,
                named_arguments: command.named_arguments,
                pos_arguments: command.pos_arguments,
            })),
        },
    }
}

/// What the client expects back.
enum Answer {
    Rows,
    /// Only the end.
    Nothing,
    Checkpoint,
}

impl Answer {
    fn of(plan: &Plan) -> Self {
        use firesteel_plan::Command;
        match plan {
            Plan::Query(_) => Self::Rows,
            Plan::Command(Command::Checkpoint { .. }) => Self::Checkpoint,
            Plan::Command(Command::Sql(_)) => Self::Rows,
            Plan::Command(_) => Self::Nothing,
        }
    }
}

async fn respond(
    session: &ConnectSession,
    operation: &Operation,
    execution: Execution,
    answer: Answer,
    request: &Request,
) -> Result<()> {
    let progress = execution.job.as_ref().map(|job| job.progress());
    let observed = Arc::clone(&execution.observed);
    match answer {
        Answer::Rows => {
            let schema = encode::data_type::struct_type(&execution.schema);
            operation.push(Response::Schema(schema)).await?;
            let mut sender = Sender::new(session, operation, &execution, request, progress.clone());
            sender.send_all(execution).await?;
        }
        Answer::Nothing => drop(execution.collect().await?),
        Answer::Checkpoint => {
            let relation_id = checkpoint_id(execution).await?;
            let relation = Some(proto::CachedRemoteRelation { relation_id });
            send(operation, ResponseType::CheckpointCommandResult(proto::CheckpointCommandResult { relation })).await?;
        }
    }
    if let Some(progress) = progress {
        let progress = progress.borrow().clone();
        if !progress.stages.is_empty() {
            send(operation, ResponseType::ExecutionProgress(progress_message(&progress))).await?;
            operation.push(Response::Metrics(metrics_message(&progress))).await?;
        }
    }
    let observed: Vec<_> = observed.lock().iter().map(observed_message).collect();
    if !observed.is_empty() {
        operation.push(Response::Observed(observed)).await?;
    }
    Ok(())
}

async fn send(operation: &Operation, response: ResponseType) -> Result<()> {
    operation.push(Response::Typed(response)).await
}

/// The engine answers a checkpoint with one row of one text: the id that it keeps the relation by.
async fn checkpoint_id(execution: Execution) -> Result<String> {
    let batches = execution.collect().await?;
    let column = batches.iter().find(|batch| batch.num_rows() > 0 && batch.num_columns() > 0);
    let text = column.map(|batch| arrow::util::display::array_value_to_string(batch.column(0), 0));
    match text {
        Some(Ok(id)) => Ok(id),
        _ => Err(SparkError::internal("a checkpoint has no id")),
    }
}

/// A statement has run; its rows become a relation that the client reads when it wants to.
async fn rows_relation(
    session: &ConnectSession,
    operation: &Operation,
    execution: Execution,
) -> Result<proto::Relation> {
    let schema = execution.schema.clone();
    let time_zone = time_zone(session);
    let arrow_schema = encode::arrow::client_schema(&execution.arrow_schema, &time_zone);
    let observed = Arc::clone(&execution.observed);
    let mut batches = vec![];
    let mut bytes = 0;
    let mut stream = execution.batches;
    while let Some(batch) = stream.next().await {
        let batch = encode::arrow::to_client(&batch?, &arrow_schema)?;
        bytes += encode::arrow::wire_size(&batch);
        if bytes > STATEMENT_ROWS_BYTES_MAX {
            return Err(SparkError::unsupported(format!(
                "a statement that answers more than {STATEMENT_ROWS_BYTES_MAX} bytes"
            )));
        }
        batches.push(batch);
    }
    let observed: Vec<_> = observed.lock().iter().map(observed_message).collect();
    if !observed.is_empty() {
        operation.push(Response::Observed(observed)).await?;
    }
    local_relation(&schema, &arrow_schema, &batches)
}

fn local_relation(schema: &StructType, arrow_schema: &SchemaRef, batches: &[RecordBatch]) -> Result<proto::Relation> {
    let data = encode::arrow::ipc_stream_of(arrow_schema, batches)?;
    Ok(proto::Relation {
        common: None,
        rel_type: Some(proto::relation::RelType::LocalRelation(proto::LocalRelation {
            data: Some(data.into()),
            schema: Some(schema.json_value().to_string()),
        })),
    })
}

pub(crate) fn time_zone(session: &ConnectSession) -> String {
    session.session.conf().get("spark.sql.session.timeZone").unwrap_or_else(|| "UTC".into())
}

/// Sends a query's rows, gathered or cut to a good size, and its progress meanwhile.
struct Sender<'a> {
    operation: &'a Operation,
    schema: SchemaRef,
    chunk_bytes: Option<usize>,
    rows_max: usize,
    rows_sent: i64,
    sent_any: bool,
    progress: Option<watch::Receiver<JobProgress>>,
}

impl<'a> Sender<'a> {
    fn new(
        session: &ConnectSession,
        operation: &'a Operation,
        execution: &Execution,
        request: &Request,
        progress: Option<watch::Receiver<JobProgress>>,
    ) -> Self {
        let conf = session.session.conf();
        let key = "spark.sql.execution.arrow.maxRecordsPerBatch";
        let rows_max = if conf.is_set(key) { conf.get(key).and_then(|n| n.trim().parse().ok()) } else { None };
        Self {
            operation,
            schema: encode::arrow::client_schema(&execution.arrow_schema, &time_zone(session)),
            chunk_bytes: request.chunk_bytes,
            rows_max: rows_max.filter(|n| *n > 0).unwrap_or(usize::MAX),
            rows_sent: 0,
            sent_any: false,
            progress,
        }
    }

    async fn send_all(&mut self, execution: Execution) -> Result<()> {
        let mut stream = execution.batches;
        let mut gathered: Vec<RecordBatch> = vec![];
        let mut bytes = 0;
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        ticks.reset();
        loop {
            // Rows that are there already are sent together; a reader never waits for rows to come.
            let ready = if gathered.is_empty() { None } else { stream.next().now_or_never() };
            let batch = match ready {
                Some(batch) => batch,
                None => {
                    self.flush(&mut gathered).await?;
                    bytes = 0;
                    tokio::select! {
                        batch = stream.next() => batch,
                        _ = ticks.tick() => {
                            self.send_progress().await?;
                            continue;
                        }
                    }
                }
            };
            let Some(batch) = batch.transpose()? else { break };
            if batch.num_rows() == 0 {
                continue;
            }
            let batch = encode::arrow::to_client(&batch, &self.schema)?;
            bytes += encode::arrow::wire_size(&batch);
            gathered.push(batch);
            if bytes >= BATCH_BYTES {
                self.flush(&mut gathered).await?;
                bytes = 0;
            }
        }
        self.flush(&mut gathered).await?;
        if !self.sent_any {
            self.send_rows(&RecordBatch::new_empty(Arc::clone(&self.schema))).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, gathered: &mut Vec<RecordBatch>) -> Result<()> {
        let batch = match gathered.as_slice() {
            [] => return Ok(()),
            [one] => one.clone(),
            many => concat_batches(&self.schema, many).map_err(encode::arrow::internal)?,
        };
        gathered.clear();
        let mut offset = 0;
        while offset < batch.num_rows() {
            let rows = self.rows_max.min(batch.num_rows() - offset);
            self.send_rows(&batch.slice(offset, rows)).await?;
            offset += rows;
        }
        Ok(())
    }

    /// One batch: in one message, in chunks, or, for a client that takes no chunks, cut in halves until it fits.
    async fn send_rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if self.chunk_bytes.is_none() && rows > 1 && encode::arrow::wire_size(batch) > MESSAGE_BYTES_MAX {
            Box::pin(self.send_rows(&batch.slice(0, rows / 2))).await?;
            return Box::pin(self.send_rows(&batch.slice(rows / 2, rows - rows / 2))).await;
        }
        let data = bytes::Bytes::from(encode::arrow::ipc_stream(batch)?);
        let row_count = i64::try_from(rows).unwrap_or(i64::MAX);
        let chunks = match self.chunk_bytes {
            Some(chunk) if data.len() > chunk => data.len().div_ceil(chunk),
            _ => 1,
        };
        for index in 0..chunks {
            let (chunk, chunk_index, num_chunks) = if chunks == 1 {
                (data.clone(), None, None)
            } else {
                let size = self.chunk_bytes.unwrap_or(data.len());
                let end = data.len().min((index + 1) * size);
                (data.slice(index * size..end), i64::try_from(index).ok(), i64::try_from(chunks).ok())
            };
            let batch = pb::ArrowBatch {
                row_count,
                data: chunk,
                start_offset: Some(self.rows_sent),
                chunk_index,
                num_chunks_in_batch: num_chunks,
            };
            send(self.operation, ResponseType::ArrowBatch(batch)).await?;
        }
        self.rows_sent += row_count;
        self.sent_any = true;
        Ok(())
    }

    async fn send_progress(&mut self) -> Result<()> {
        let Some(progress) = &mut self.progress else { return Ok(()) };
        if !progress.has_changed().unwrap_or(false) {
            return Ok(());
        }
        let progress = progress.borrow_and_update().clone();
        send(self.operation, ResponseType::ExecutionProgress(progress_message(&progress))).await
    }
}

fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn progress_message(progress: &JobProgress) -> pb::ExecutionProgress {
    let stages = progress.stages.iter().map(|stage| pb::execution_progress::StageInfo {
        stage_id: signed(stage.stage_id),
        num_tasks: signed(stage.num_tasks),
        num_completed_tasks: signed(stage.num_completed_tasks),
        input_bytes_read: signed(stage.input_bytes),
        done: stage.num_completed_tasks >= stage.num_tasks,
    });
    pb::ExecutionProgress { stages: stages.collect(), num_inflight_tasks: signed(progress.in_flight_tasks) }
}

fn metrics_message(progress: &JobProgress) -> pb::Metrics {
    let metrics = progress.stages.iter().map(|stage| {
        let value = |name: &str, value: u64, metric_type: &str| {
            let value = pb::metrics::MetricValue {
                name: name.to_string(),
                value: signed(value),
                metric_type: metric_type.to_string(),
            };
            (name.replace(' ', "_"), value)
        };
        pb::metrics::MetricObject {
            name: stage.name.clone(),
            plan_id: signed(stage.stage_id),
            parent: stage.parents.first().map_or(-1, |parent| signed(*parent)),
            execution_metrics: [
                value("number of input rows", stage.input_rows, "sum"),
                value("size of input", stage.input_bytes, "size"),
                value("number of files pruned", stage.files_pruned, "sum"),
                value("number of stripes pruned", stage.stripes_pruned, "sum"),
                value("number of output rows", stage.output_rows, "sum"),
                value("spill size", stage.spilled_bytes, "size"),
                value("compute time", stage.compute_nanos, "nsTiming"),
            ]
            .into(),
        }
    });
    pb::Metrics { metrics: metrics.collect() }
}

fn observed_message(observed: &firesteel_engine::ObservedMetrics) -> pb::ObservedMetrics {
    pb::ObservedMetrics {
        name: observed.name.clone(),
        keys: observed.values.iter().map(|(key, _)| key.clone()).collect(),
        values: observed.values.iter().map(|(_, value)| encode::literal::literal(value)).collect(),
        plan_id: observed.plan_id,
        ..Default::default()
    }
}
