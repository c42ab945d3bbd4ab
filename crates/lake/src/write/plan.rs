//! Writing the rows of a DataFusion plan in this process.
use std::sync::Arc;

use arrow::compute::SortOptions;
use async_trait::async_trait;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use firesteel_plan::{Result, SparkError, quote_identifier};
use futures::StreamExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::commit::TaskOutput;
use super::job::WriteJob;
use crate::files::find_field;
use crate::request::{WriteRequest, WriteSummary};

/// The position of a column in the rows of a write.
pub(super) fn position(request: &WriteRequest, column: &str) -> Result<usize> {
    let found = find_field(&request.schema, column, &request.conf);
    let position = found.and_then(|field| request.schema.fields.iter().position(|f| f.name == field.name));
    position.ok_or_else(|| SparkError::new("UNRESOLVED_COLUMN", [("objectName", quote_identifier(column))]))
}

/// Orders the rows of each partition as a write needs them: by partition columns, so that one file is open at a time,
/// then by the sort columns of the buckets. The sort spills.
pub fn ordered(plan: Arc<dyn ExecutionPlan>, request: &WriteRequest) -> Result<Arc<dyn ExecutionPlan>> {
    let sort_columns = request.bucketing.iter().flat_map(|spec| &spec.sort_columns);
    let schema = plan.schema();
    let mut order = vec![];
    for column in request.partition_by.iter().chain(sort_columns) {
        let index = position(request, column)?;
        let expr = Arc::new(Column::new(schema.field(index).name(), index));
        order.push(PhysicalSortExpr::new(expr, SortOptions { descending: false, nulls_first: true }));
    }
    match LexOrdering::new(order) {
        Some(order) => Ok(Arc::new(SortExec::new(order, plan).with_preserve_partitioning(true))),
        None => Ok(plan),
    }
}

/// Writes all rows of a plan: a task for each of its partitions, then the commit. `Ok(None)`: the mode says that what
/// exists stays. A failure of any task stops the others, removes what they wrote, and leaves the table as it was.
///
/// So does a write that is no longer wanted: `cancel` is ready, or this future was dropped. The work is a task of its
/// own, which outlives the caller until nothing of it is left.
pub async fn write(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    request: WriteRequest,
    cancel: impl Future<Output = ()> + Send + 'static,
) -> Result<Option<WriteSummary>> {
    let plan = ordered(plan, &request)?;
    let (_caller, mut dropped) = watch::channel(());
    let unwanted = Box::pin(async move {
        tokio::select! {
            () = cancel => {}
            _ = dropped.changed() => {}
        }
    });
    let work = tokio::spawn(write_or_abort(plan, context, request, unwanted));
    work.await.unwrap_or_else(|e| Err(SparkError::internal("the write broke off").with_cause(e)))
}

async fn write_or_abort(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    request: WriteRequest,
    unwanted: BoxFuture<'static, ()>,
) -> Result<Option<WriteSummary>> {
    let Some(job) = WriteJob::start(request).await? else { return Ok(None) };
    let job = Arc::new(job);
    let result = run_tasks(&plan, &context, &job, unwanted).await.map_err(|(error, _)| error);
    // Every task has ended, so this is the last reference.
    let Some(job) = Arc::into_inner(job) else {
        return Err(SparkError::internal("a write task outlived its job"));
    };
    match result {
        Ok(outputs) => job.commit(outputs).await.map(Some),
        Err(error) => {
            // The first failure is what the user must see.
            let _ = job.abort().await;
            Err(error)
        }
    }
}

/// What writes the rows of one partition.
#[async_trait]
pub(crate) trait RunTask: Send + Sync + 'static {
    async fn run_task(&self, partition: usize, attempt: usize, rows: SendableRecordBatchStream) -> Result<TaskOutput>;
}

#[async_trait]
impl RunTask for WriteJob {
    async fn run_task(&self, partition: usize, attempt: usize, rows: SendableRecordBatchStream) -> Result<TaskOutput> {
        WriteJob::run_task(self, partition, attempt, rows).await
    }
}

/// Runs a task for each partition of a plan, to the end of all of them. The first failure, with what other tasks wrote.
pub(crate) async fn run_tasks(
    plan: &Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
    job: &Arc<impl RunTask>,
    mut unwanted: BoxFuture<'static, ()>,
) -> Result<Vec<TaskOutput>, (SparkError, Vec<TaskOutput>)> {
    let mut tasks = JoinSet::new();
    let (stop, stopped) = watch::channel(false);
    for partition in 0..plan.output_partitioning().partition_count() {
        let (plan, context, job, stopped) = (Arc::clone(plan), Arc::clone(context), Arc::clone(job), stopped.clone());
        tasks.spawn(async move {
            let rows = plan.execute(partition, context).map_err(|e| crate::errors::from_datafusion(&e))?;
            Ok::<_, SparkError>((partition, job.run_task(partition, 0, until(stopped, rows)).await?))
        });
    }
    let mut outputs = vec![];
    let mut failure = None;
    loop {
        let joined = tokio::select! {
            joined = tasks.join_next() => joined,
            () = &mut unwanted, if failure.is_none() => Some(Ok(Err(SparkError::of("OPERATION_CANCELED")))),
        };
        let Some(joined) = joined else { break };
        let answer = joined.unwrap_or_else(|e| Err(SparkError::internal("a write task was stopped").with_cause(e)));
        match answer {
            Ok(output) => outputs.push(output),
            Err(error) if failure.is_none() => {
                failure = Some(error);
                // Not aborted: a file operation that is under way would end after the files were removed.
                stop.send_replace(true);
            }
            Err(_) => {}
        }
    }
    outputs.sort_by_key(|(partition, _)| *partition);
    let outputs = outputs.into_iter().map(|(_, output)| output).collect();
    match failure {
        Some(error) => Err((error, outputs)),
        None => Ok(outputs),
    }
}

/// The rows until the write is to stop. What a stopped task wrote is removed, so it need not be whole.
fn until(mut stopped: watch::Receiver<bool>, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let end = Box::pin(async move {
        // An error says that nobody can stop the write any more: its end is near, and it waits for this task.
        let _ = stopped.wait_for(|stop| *stop).await;
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, rows.take_until(end)))
}
