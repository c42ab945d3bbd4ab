//! Partitions one after the other.
use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{EvaluationType, SchedulingType, replace_children_if_necessary};
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::{RecordBatchReceiverStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::{Stream, StreamExt, TryStreamExt};

/// Batches that a partition may compute ahead of its turn.
const AHEAD_BATCHES: usize = 16;
/// The same where a join collects them all before it goes on.
const BUILD_AHEAD_BATCHES: usize = 256;

/// All partitions run at once; their batches come out in partition order, as Spark's `collect` and `limit` give them.
#[derive(Debug)]
pub struct GatherExec {
    input: Arc<dyn ExecutionPlan>,
    fetch: Option<usize>,
    ahead_batches: usize,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl GatherExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, fetch: Option<usize>) -> Self {
        let mut equivalences = input.equivalence_properties().clone();
        equivalences.clear_orderings();
        if input.output_partitioning().partition_count() > 1 {
            equivalences.clear_per_partition_constants();
        }
        let properties = PlanProperties::new(
            equivalences,
            Partitioning::UnknownPartitioning(1),
            input.pipeline_behavior(),
            input.boundedness(),
        )
        .with_evaluation_type(EvaluationType::Eager)
        .with_scheduling_type(SchedulingType::Cooperative);
        Self {
            input,
            fetch,
            ahead_batches: AHEAD_BATCHES,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        }
    }
}

impl GatherExec {
    /// The row limit, if there is one.
    pub fn fetch_rows(&self) -> Option<usize> {
        self.fetch
    }
}

/// A plan as a write runs it, each partition a task of its own: without the gathering of all rows for a client.
pub fn ungathered(plan: &Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    match plan.downcast_ref::<GatherExec>() {
        Some(gather) if gather.fetch.is_none() => Arc::clone(&gather.input),
        _ => Arc::clone(plan),
    }
}

impl DisplayAs for GatherExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fetch {
            Some(fetch) => write!(f, "GatherExec: fetch={fetch}"),
            None => write!(f, "GatherExec"),
        }
    }
}

impl ExecutionPlan for GatherExec {
    fn name(&self) -> &'static str {
        "GatherExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => {
                Ok(Arc::new(Self { ahead_batches: self.ahead_batches, ..Self::new(input, self.fetch) }))
            }
            _ => datafusion::common::internal_err!("GatherExec has one input"),
        }
    }

    fn child_stats_requests(&self, _: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(None)]
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match input {
            [input] => Ok(Arc::new(input.as_ref().clone().with_fetch(self.fetch, 0, 1)?)),
            _ => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
        }
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return datafusion::common::internal_err!("GatherExec has one partition, not {partition}");
        }
        let metrics = BaselineMetrics::new(&self.metrics, 0);
        let streams = self.inputs(&context)?;
        let all = futures::stream::iter(streams).flatten();
        let limited = limit_rows(all, self.fetch).map_ok(move |batch| {
            metrics.record_output(batch.num_rows());
            batch
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.input.schema(), limited)))
    }
}

impl GatherExec {
    /// One stream a partition; all but the first are computed in tasks of their own, a bounded number of batches ahead.
    fn inputs(&self, context: &Arc<TaskContext>) -> Result<Vec<SendableRecordBatchStream>> {
        let count = self.input.output_partitioning().partition_count();
        let mut streams = Vec::with_capacity(count);
        for partition in 0..count {
            if count == 1 {
                streams.push(self.input.execute(partition, Arc::clone(context))?);
                continue;
            }
            let mut builder = RecordBatchReceiverStream::builder(self.input.schema(), self.ahead_batches);
            let (sender, input, context) = (builder.tx(), Arc::clone(&self.input), Arc::clone(context));
            builder.spawn(async move {
                let mut stream = input.execute(partition, context)?;
                while let Some(batch) = stream.next().await {
                    let failed = batch.is_err();
                    // Nobody listens any more (a LIMIT was reached): stop.
                    if sender.send(batch).await.is_err() || failed {
                        break;
                    }
                }
                Ok(())
            });
            streams.push(builder.build());
        }
        Ok(streams)
    }
}

/// Stops after that many rows.
fn limit_rows(
    stream: impl Stream<Item = Result<arrow::array::RecordBatch>> + Send + 'static,
    fetch: Option<usize>,
) -> futures::stream::BoxStream<'static, Result<arrow::array::RecordBatch>> {
    let Some(fetch) = fetch else { return stream.boxed() };
    // The input is polled no further once the rows are there.
    futures::stream::try_unfold((stream.boxed(), fetch), |(mut stream, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        match stream.try_next().await? {
            None => Ok(None),
            Some(batch) => {
                let take = left.min(batch.num_rows());
                let batch = if take < batch.num_rows() { batch.slice(0, take) } else { batch };
                Ok(Some((batch, (stream, left - take))))
            }
        }
    })
    .boxed()
}

/// Lets all partitions of a join's build side run to their end, which no reader is waiting to consume in order.
fn build_at_once(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(join) = node.downcast_ref::<HashJoinExec>() else { return Ok(Transformed::no(node)) };
    let Some(gather) = join.left().downcast_ref::<GatherExec>() else { return Ok(Transformed::no(node)) };
    let input = Arc::clone(&gather.input);
    let gather = GatherExec { ahead_batches: BUILD_AHEAD_BATCHES, ..GatherExec::new(input, gather.fetch) };
    let children = vec![Arc::new(gather) as Arc<dyn ExecutionPlan>, Arc::clone(join.right())];
    replace_children_if_necessary(node, children).map(Transformed::yes)
}

/// Puts [`GatherExec`] where DataFusion merges partitions in any order, so that results come in Spark's order.
#[derive(Debug)]
pub struct GatherInOrder;

impl PhysicalOptimizerRule for GatherInOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan
            .transform_up(|node| match node.downcast_ref::<CoalescePartitionsExec>() {
                Some(merge) => {
                    let gather = GatherExec::new(Arc::clone(merge.input()), merge.fetch());
                    Ok(Transformed::yes(Arc::new(gather) as Arc<dyn ExecutionPlan>))
                }
                None if node.is::<HashJoinExec>() => build_at_once(node),
                None => Ok(Transformed::no(node)),
            })
            .data()?;
        let is_single = plan.output_partitioning().partition_count() == 1;
        Ok(if is_single { plan } else { Arc::new(GatherExec::new(plan, None)) })
    }

    fn name(&self) -> &str {
        "gather_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
