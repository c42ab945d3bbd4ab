//! `df.observe(name, metrics)`: aggregates computed beside the query, over the rows that pass.
//!
//! ```text
//!  input partitions ──▶ ObserveExec ──▶ the query
//!                           │ (each batch again, through a bounded channel)
//!                           └──▶ Aggregate ─▶ ObservedSink
//! ```
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::physical_planner::PhysicalPlanner;
use firesteel_plan::StructType;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::unary::{Node, Operator, PartitionExec, PartitionFunction};
use crate::from_datafusion;
use crate::scope::fresh_id;

/// Takes the metrics of a query; the engine puts one into each query's `SessionConfig` as an extension.
#[derive(Debug, Default)]
pub struct ObservedSink {
    results: Mutex<Vec<(String, StructType, RecordBatch)>>,
}

impl ObservedSink {
    /// Name, Spark schema and the one row of every observation that has ended.
    pub fn take(&self) -> Vec<(String, StructType, RecordBatch)> {
        std::mem::take(&mut self.results.lock())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observe {
    name: String,
    /// Aggregate functions with their column ids, and the metrics over them
    functions: Vec<Expr>,
    metrics: Vec<Expr>,
    schema: StructType,
}

impl Hash for Observe {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// `input`, watched.
pub fn plan(
    input: LogicalPlan,
    name: &str,
    metrics: Vec<Expr>,
    schema: &StructType,
) -> firesteel_plan::Result<LogicalPlan> {
    use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
    let mut functions: Vec<Expr> = vec![];
    let mut over = vec![];
    for metric in metrics {
        let done = metric.transform_down(|node| {
            if !matches!(node, Expr::AggregateFunction(_)) {
                return Ok(Transformed::no(node));
            }
            let id = fresh_id("_o");
            functions.push(node.alias(&id));
            Ok(Transformed::new(Expr::Column(Column::from_name(id)), true, TreeNodeRecursion::Jump))
        });
        over.push(done.map_err(from_datafusion)?.data.alias(fresh_id("metric")));
    }
    let operator = Observe { name: name.to_string(), functions, metrics: over, schema: schema.clone() };
    Ok(Node::plan(operator, input))
}

impl Operator for Observe {
    const NAME: &'static str = "CollectMetrics";

    fn describe(&self) -> String {
        format!("{}, [{}]", self.name, self.functions.iter().map(|f| f.to_string()).collect::<Vec<_>>().join(", "))
    }
    fn expressions(&self) -> Vec<Expr> {
        self.functions.clone()
    }
    fn with_expressions(&self, functions: Vec<Expr>) -> Self {
        Self { functions, ..self.clone() }
    }
    fn physical(&self, _: Vec<Arc<dyn PhysicalExpr>>, _: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Err(DataFusionError::Internal("CollectMetrics is planned on its own".into()))
    }
}

/// Batches that wait for the aggregate, per partition.
const WAITING_MAX: usize = 4;

pub(super) async fn physical(
    node: &Node<Observe>,
    planner: &dyn PhysicalPlanner,
    session: &dyn Session,
    input: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let operator = &node.operator;
    let schema = input.schema();
    let mut senders = vec![];
    let mut streams: Vec<Arc<dyn PartitionStream>> = vec![];
    for _ in 0..input.output_partitioning().partition_count() {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        senders.push(sender);
        streams.push(Arc::new(Copies { schema: Arc::clone(&schema), receiver: Mutex::new(Some(receiver)) }));
    }
    let table = StreamingTable::try_new(Arc::clone(&schema), streams)?;
    let source = provider_as_source(Arc::new(table));
    let name = fresh_id("observed");
    let bare = schema
        .fields()
        .iter()
        .map(|f| Expr::Column(Column::new(Some(TableReference::bare(name.clone())), f.name())).alias(f.name()));
    let columns: Vec<_> = bare.collect();
    let mut functions = operator.functions.clone();
    if functions.is_empty() {
        functions
            .push(datafusion::functions_aggregate::expr_fn::count(datafusion::logical_expr::lit(1_i64)).alias("n"));
    }
    let plan = LogicalPlanBuilder::scan(TableReference::bare(name), source, None)?
        .project(columns)?
        .aggregate(Vec::<Expr>::new(), functions)?
        .project(operator.metrics.clone())?
        .build()?;
    let aggregate = planner.create_physical_plan(&plan, session).await?;
    let running = Running { senders: Mutex::new(senders), ..Running::default() };
    let watch = Watch {
        name: operator.name.clone(),
        schema: operator.schema.clone(),
        running: Arc::new(running),
        aggregate: Mutex::new(Some(aggregate)),
    };
    Ok(Arc::new(PartitionExec::new(operator, input, Arc::new(watch))))
}

/// The copies of one partition's batches.
struct Copies {
    schema: SchemaRef,
    receiver: Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl Debug for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("observed rows")
    }
}

impl PartitionStream for Copies {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }
    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        match self.receiver.lock().take() {
            Some(receiver) => {
                let rows = futures::stream::unfold(receiver, |mut receiver| async move {
                    receiver.recv().await.map(|batch| (Ok(batch), receiver))
                });
                Box::pin(RecordBatchStreamAdapter::new(schema, rows))
            }
            None => Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::empty())),
        }
    }
}

struct Watch {
    name: String,
    schema: StructType,
    aggregate: Mutex<Option<Arc<dyn ExecutionPlan>>>,
    running: Arc<Running>,
}

/// The aggregate's task and what feeds it. The optimizer may have given the input another number of partitions than
/// the aggregate was planned with, so any of them may feed any of its channels.
#[derive(Default)]
struct Running {
    senders: Mutex<Vec<mpsc::Sender<RecordBatch>>>,
    /// Partitions that have not ended; known once one begins.
    open_partitions: OnceLock<AtomicUsize>,
    task: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Running {
    fn sender(&self, partition: usize) -> Option<mpsc::Sender<RecordBatch>> {
        let senders = self.senders.lock();
        senders.get(partition % senders.len().max(1)).cloned()
    }

    /// The last partition to end waits for the aggregate, so that the metrics are there at the end. An earlier one would
    /// wait for those that come after it, which whoever runs the plan may not read before.
    async fn partition_ended(&self) {
        let is_last = self.open_partitions.get().is_none_or(|open| open.fetch_sub(1, Ordering::AcqRel) == 1);
        if !is_last {
            return;
        }
        self.senders.lock().clear();
        let task = self.task.lock().take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

impl Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "observe {}", self.name)
    }
}

impl Watch {
    /// Starts the aggregate with the first partition that is read.
    fn start(&self, context: &Arc<TaskContext>) {
        let Some(aggregate) = self.aggregate.lock().take() else { return };
        let Some(sink) = context.session_config().get_extension::<ObservedSink>() else { return };
        let (name, schema, context) = (self.name.clone(), self.schema.clone(), Arc::clone(context));
        let task = tokio::spawn(async move {
            match datafusion::physical_plan::collect(aggregate, context).await {
                Ok(batches) => {
                    let row = batches.into_iter().find(|b| b.num_rows() > 0);
                    sink.results.lock().extend(row.map(|row| (name, schema, row)));
                }
                Err(error) => tracing::warn!(%error, metric = name, "an observation failed"),
            }
        });
        *self.running.task.lock() = Some(task);
    }
}

impl PartitionFunction for Watch {
    fn prepare(&self, partitions: usize) {
        self.running.open_partitions.get_or_init(|| AtomicUsize::new(partitions));
    }

    fn apply(
        &self,
        partition: usize,
        rows: SendableRecordBatchStream,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.start(context);
        let sender = self.running.sender(partition);
        let schema = rows.schema();
        let state = (rows, sender, Arc::clone(&self.running));
        let watched = futures::stream::unfold(state, |(mut rows, mut sender, running)| async move {
            match rows.next().await {
                Some(Ok(batch)) => {
                    if let Some(open) = &sender
                        && open.send(batch.clone()).await.is_err()
                    {
                        sender = None;
                    }
                    Some((Ok(batch), (rows, sender, running)))
                }
                Some(Err(error)) => Some((Err(error), (rows, None, running))),
                None => {
                    drop(sender.take());
                    running.partition_ended().await;
                    None
                }
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, watched)))
    }
}
