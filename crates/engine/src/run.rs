//! From an analyzed plan to batches: optimizing, planning, running as a job.
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use firesteel_analyze::nodes::observe::ObservedSink;
use firesteel_analyze::{AnalyzedPlan, Analyzer};
use firesteel_functions::types;
use firesteel_plan::{Expr, Relation, Result, SparkError, StructType};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::context::StatementContext;
use crate::error::{from_arrow, from_datafusion};
use crate::execution::{Execution, ObservedMetrics, cancelled, unless_cancelled};
use crate::jobs::{Job, JobDescription, StagePlan};
use crate::literal::cell;
use crate::plain::is_plain;
use crate::state;

/// How often a running job's metrics are read.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(200);

/// Values of `:name` and `?` in a statement's text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    pub named: Vec<(String, Expr)>,
    pub positional: Vec<Expr>,
}

/// Runs `work` with an analyzer, on a thread where analysis may block.
pub async fn with_analyzer<T: Send + 'static>(
    context: &StatementContext,
    parameters: &Arc<Parameters>,
    work: impl FnOnce(&Analyzer<'_>) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (inner, parameters) = (context.clone(), Arc::clone(parameters));
    let task = tokio::task::spawn_blocking(move || {
        firesteel_storage::on_waiting_thread(|| {
            let analyzer = Analyzer::new(&inner);
            analyzer.with_parameters(&parameters.named, &parameters.positional, || work(&analyzer))
        })
    });
    let joined = async { task.await.map_err(|e| SparkError::internal("the analysis broke off").with_cause(e))? };
    unless_cancelled(&context.cancel, joined).await
}

pub async fn analyze(
    context: &StatementContext,
    parameters: &Arc<Parameters>,
    relation: &Relation,
) -> Result<AnalyzedPlan> {
    let relation = relation.clone();
    with_analyzer(context, parameters, move |analyzer| analyzer.analyze(&relation)).await
}

/// A physical plan and what it runs with.
pub struct Planned {
    pub plan: Arc<dyn ExecutionPlan>,
    pub task: Arc<TaskContext>,
    observed: Arc<ObservedSink>,
}

/// Optimizes and plans. Hash joins that would not fit in memory are planned as sort-merge joins.
pub async fn physical(context: &StatementContext, plan: &LogicalPlan) -> Result<Planned> {
    plan_with(context, plan, 0).await
}

/// `failures`: how often the plan ran out of memory.
async fn plan_with(context: &StatementContext, plan: &LogicalPlan, failures: usize) -> Result<Planned> {
    let mut state = state::of_session(&context.session, plan, failures);
    let observed = Arc::new(ObservedSink::default());
    state.config_mut().set_extension(Arc::clone(&observed));
    if is_plain(plan) {
        let physical = unless_cancelled(&context.cancel, create(&state, plan)).await?;
        return Ok(Planned { plan: physical, task: state::task_context(&state), observed });
    }
    let (plan, cancel) = (plan.clone(), context.cancel.clone());
    // Optimizing takes CPU: in a task of its own the caller can stop waiting for it.
    let task = tokio::spawn(async move {
        let physical = create(&state, &plan).await?;
        Ok(Planned { plan: physical, task: state::task_context(&state), observed })
    });
    let abort = task.abort_handle();
    let joined = async { task.await.map_err(|e| SparkError::internal("planning broke off").with_cause(e))? };
    let result = unless_cancelled(&cancel, joined).await;
    abort.abort();
    result
}

async fn create(state: &SessionState, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    state.create_physical_plan(plan).await.map_err(from_datafusion)
}

/// Starts a job for a query. Rows are computed as the stream is read.
pub async fn execute(context: &StatementContext, analyzed: AnalyzedPlan, job: JobDescription) -> Result<Execution> {
    let job = JobGuard::start(context, job);
    let result = physical(context, &analyzed.plan).await;
    let planned = match result {
        Ok(planned) => planned,
        Err(error) => {
            job.0.end(Some(error.clone()));
            return Err(error);
        }
    };
    let arrow_schema = Arc::new(types::to_arrow_schema(&analyzed.schema));
    let delta_version = crate::explain::delta_version(&analyzed.plan)?;
    let observed: Arc<Mutex<Vec<ObservedMetrics>>> = Arc::default();
    let stream = Running {
        context: context.clone(),
        analyzed: analyzed.clone(),
        planned,
        schema: Arc::clone(&arrow_schema),
        observed: Arc::clone(&observed),
        job: Arc::clone(&job.0),
        _guard: job,
    };
    Ok(Execution {
        schema: analyzed.schema,
        arrow_schema,
        job: Some(Arc::clone(&stream.job)),
        delta_version,
        batches: stream.batches().boxed(),
        observed,
    })
}

/// Ends the job when whoever ran it is gone.
struct JobGuard(Arc<Job>);

impl JobGuard {
    fn start(context: &StatementContext, mut description: JobDescription) -> Self {
        description.session_id = context.session.session_id().to_string();
        description.user_id = context.session.user_id().to_string();
        description.cancel = context.cancel.clone();
        Self(context.session.engine.jobs().start(description))
    }
}

impl Drop for JobGuard {
    fn drop(&mut self) {
        self.0.end(Some(cancelled()));
    }
}

struct Running {
    context: StatementContext,
    analyzed: AnalyzedPlan,
    planned: Planned,
    schema: SchemaRef,
    observed: Arc<Mutex<Vec<ObservedMetrics>>>,
    job: Arc<Job>,
    _guard: JobGuard,
}

impl Running {
    fn batches(self) -> impl futures::Stream<Item = Result<RecordBatch>> + Send {
        async_stream::stream! {
            let mut this = self;
            let mut sent = false;
            let mut failures = 0;
            loop {
                let mut stream = match this.start() {
                    Ok(stream) => stream,
                    Err(error) => { this.job.end(Some(error.clone())); yield Err(error); return; }
                };
                let _sampler = sample(&this.job);
                let failure = loop {
                    match next(&mut stream, &this.context.cancel).await {
                        Ok(None) => break None,
                        Ok(Some(batch)) => match named(batch, &this.schema) {
                            Ok(batch) => { sent = true; yield Ok(batch); }
                            Err(error) => break Some(error),
                        },
                        Err(error) => break Some(error),
                    }
                };
                drop(stream);
                match failure {
                    None => {
                        *this.observed.lock() = observed_metrics(&this.analyzed, &this.planned);
                        this.job.end(None);
                        return;
                    }
                    // Hash joins hold their build side; nothing was sent yet, so with fewer of them it may still do.
                    Some(error) if !sent && error.is("UNABLE_TO_ACQUIRE_MEMORY") && has_hash_join(&this.planned.plan) => {
                        failures += 1;
                        match plan_with(&this.context, &this.analyzed.plan, failures).await {
                            Ok(planned) => this.planned = planned,
                            Err(error) => { this.job.end(Some(error.clone())); yield Err(error); return; }
                        }
                    }
                    Some(error) => { this.job.end(Some(error.clone())); yield Err(error); return; }
                }
            }
        }
    }

    fn start(&self) -> Result<datafusion::execution::SendableRecordBatchStream> {
        begin(&self.job, &self.planned.plan, &self.context);
        execute_stream(Arc::clone(&self.planned.plan), Arc::clone(&self.planned.task)).map_err(from_datafusion)
    }
}

fn begin(job: &Job, plan: &Arc<dyn ExecutionPlan>, context: &StatementContext) {
    let jobs = Arc::clone(context.session.engine.jobs());
    let stages = StagePlan::split(plan, &mut || jobs.next_stage_id());
    job.begin(stages);
}

fn has_hash_join(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<HashJoinExec>() || plan.children().into_iter().any(has_hash_join)
}

async fn next(
    stream: &mut datafusion::execution::SendableRecordBatchStream,
    cancel: &CancellationToken,
) -> Result<Option<RecordBatch>> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(cancelled()),
        batch = stream.try_next() => batch.map_err(from_datafusion),
    }
}

/// Reads the metrics of a job until dropped.
fn sample(job: &Arc<Job>) -> SpawnedTask<()> {
    let job = Arc::downgrade(job);
    SpawnedTask::spawn(async move {
        loop {
            tokio::time::sleep(SAMPLE_INTERVAL).await;
            match job.upgrade() {
                Some(job) => job.sample(),
                None => return,
            }
        }
    })
}

/// The batch under the names a user sees, with the types Spark has.
fn named(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        if column.data_type() == field.data_type() {
            columns.push(Arc::clone(column));
        } else {
            columns.push(arrow::compute::cast(column, field.data_type()).map_err(from_arrow)?);
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    match RecordBatch::try_new_with_options(Arc::clone(schema), columns.clone(), &options) {
        Ok(batch) => Ok(batch),
        // A column thought free of nulls has one: the rows matter more than the flag.
        Err(_) => {
            let fields: Vec<_> = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(from_arrow)
        }
    }
}

fn observed_metrics(analyzed: &AnalyzedPlan, planned: &Planned) -> Vec<ObservedMetrics> {
    let plan_id = |name: &str| analyzed.observed.iter().find(|o| o.name == name).map_or(-1, |o| o.plan_id);
    let metrics = planned.observed.take().into_iter().map(|(name, schema, row)| {
        let columns = schema.fields.iter().zip(row.columns());
        let values = columns.map(|(field, column)| (field.name.clone(), cell(column.as_ref(), 0, &field.data_type)));
        ObservedMetrics { plan_id: plan_id(&name), values: values.collect(), name }
    });
    metrics.collect()
}

/// Runs a plan as a job and answers all its rows, under the user-facing names. For small results.
pub async fn collect_plan(
    context: &StatementContext,
    plan: &LogicalPlan,
    schema: &StructType,
) -> Result<Vec<RecordBatch>> {
    let analyzed = AnalyzedPlan { plan: plan.clone(), schema: schema.clone(), output: vec![], observed: vec![] };
    execute(context, analyzed, JobDescription::default()).await?.collect().await
}

/// Runs `work` on the physical plan of a query, as a job: writes and materialisations. `work` ends by itself when the
/// statement is cancelled, for it may have to tidy up.
pub async fn run_job<T>(
    context: &StatementContext,
    analyzed: &AnalyzedPlan,
    description: JobDescription,
    work: impl AsyncFnOnce(&Planned) -> Result<T>,
) -> Result<(T, Vec<ObservedMetrics>)> {
    let guard = JobGuard::start(context, description);
    let job = Arc::clone(&guard.0);
    let result = async {
        let planned = physical(context, &analyzed.plan).await?;
        begin(&job, &planned.plan, context);
        let _sampler = sample(&job);
        let value = work(&planned).await?;
        Ok((value, observed_metrics(analyzed, &planned)))
    }
    .await;
    job.end(result.as_ref().err().cloned());
    result
}
