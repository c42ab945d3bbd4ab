//! Partitioning that the user asked for: `repartition`, `repartitionByRange`, `coalesce` and their hints.
//! DataFusion's own repartitioning serves its operators and is dropped where none needs it; this one stays.
use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::sort_partitions::requirement;
use super::unary::{Node, Operator, properties};

/// How rows are spread.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    RoundRobin(usize),
    Hash(Vec<Expr>, usize),
    /// Sorted by these, then cut into pieces of equal size
    Range(Vec<SortExpr>, usize),
    /// Fewer partitions without moving rows between them
    Coalesce(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Exchange {
    kind: Kind,
}

/// `input` in that partitioning.
pub fn plan(input: LogicalPlan, kind: Kind) -> LogicalPlan {
    Node::plan(Exchange { kind }, input)
}

impl Operator for Exchange {
    const NAME: &'static str = "Exchange";

    fn describe(&self) -> String {
        match &self.kind {
            Kind::RoundRobin(n) => format!("RoundRobinPartitioning({n})"),
            Kind::Hash(keys, n) => format!("hashpartitioning({}, {n})", join(keys.iter())),
            Kind::Range(keys, n) => format!("rangepartitioning({}, {n})", join(keys.iter())),
            Kind::Coalesce(n) => format!("Coalesce({n})"),
        }
    }
    fn expressions(&self) -> Vec<Expr> {
        match &self.kind {
            Kind::Hash(keys, _) => keys.clone(),
            Kind::Range(keys, _) => keys.iter().map(|k| k.expr.clone()).collect(),
            _ => vec![],
        }
    }
    fn with_expressions(&self, expressions: Vec<Expr>) -> Self {
        let kind = match &self.kind {
            Kind::Hash(_, n) => Kind::Hash(expressions, *n),
            Kind::Range(keys, n) => {
                let keys = keys.iter().zip(expressions);
                Kind::Range(keys.map(|(k, e)| SortExpr::new(e, k.asc, k.nulls_first)).collect(), *n)
            }
            other => other.clone(),
        };
        Self { kind }
    }
    fn physical(
        &self,
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (spread, ordering) = match &self.kind {
            Kind::RoundRobin(n) => (Spread::Repartition(Partitioning::RoundRobinBatch(*n)), None),
            Kind::Hash(_, n) => (Spread::Repartition(Partitioning::Hash(expressions, *n)), None),
            Kind::Range(keys, n) => (Spread::Range(*n), requirement(keys, expressions)),
            Kind::Coalesce(n) => (Spread::Coalesce(*n), None),
        };
        Ok(Arc::new(ExchangeExec::new(self.describe(), spread, ordering, input)))
    }
}

fn join<T: fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|i| i.to_string()).collect::<Vec<_>>().join(", ")
}

#[derive(Debug, Clone)]
enum Spread {
    Repartition(Partitioning),
    Range(usize),
    Coalesce(usize),
}

#[derive(Debug)]
struct ExchangeExec {
    description: String,
    spread: Spread,
    ordering: Option<OrderingRequirements>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    /// DataFusion's operator, made at the first read and shared by all partitions
    repartition: OnceLock<Arc<dyn ExecutionPlan>>,
    /// The pieces of a range exchange, read once for all partitions
    ranges: Arc<OnceCell<Vec<Vec<arrow::array::RecordBatch>>>>,
}

impl ExchangeExec {
    fn new(
        description: String,
        spread: Spread,
        ordering: Option<OrderingRequirements>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Self {
        let count = match &spread {
            Spread::Repartition(partitioning) => partitioning.partition_count(),
            Spread::Range(n) => *n,
            Spread::Coalesce(n) => (*n).min(input.output_partitioning().partition_count()).max(1),
        };
        let partitioning = match &spread {
            Spread::Repartition(hash @ Partitioning::Hash(..)) => hash.clone(),
            _ => Partitioning::UnknownPartitioning(count),
        };
        let properties = properties(&input, &[], Some(partitioning));
        let ranges = Arc::new(OnceCell::new());
        Self { description, spread, ordering, input, properties, repartition: OnceLock::new(), ranges }
    }

    fn repartitioned(&self, partitioning: &Partitioning) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(known) = self.repartition.get() {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(RepartitionExec::try_new(Arc::clone(&self.input), partitioning.clone())?);
        Ok(Arc::clone(self.repartition.get_or_init(|| made)))
    }

    /// The input partitions that make up output partition `partition`, one after the other.
    fn coalesced(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let inputs = self.input.output_partitioning().partition_count();
        let outputs = self.properties.partitioning.partition_count();
        let edge = |p: usize| inputs * p / outputs;
        let input = Arc::clone(&self.input);
        let streams = futures::stream::iter(edge(partition)..edge(partition + 1))
            .map(move |p| input.execute(p, Arc::clone(&context)))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), streams)))
    }

    fn ranged(&self, count: usize, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (cell, input) = (Arc::clone(&self.ranges), Arc::clone(&self.input));
        let pieces = async move {
            let all = cell.get_or_try_init(|| cut(input, count, context)).await?;
            let piece = all.get(partition).cloned().unwrap_or_default();
            Ok::<_, DataFusionError>(futures::stream::iter(piece.into_iter().map(Ok)))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::once(pieces).try_flatten())))
    }
}

/// Reads the sorted input and cuts it into `count` pieces.
async fn cut(
    input: Arc<dyn ExecutionPlan>,
    count: usize,
    context: Arc<TaskContext>,
) -> Result<Vec<Vec<arrow::array::RecordBatch>>> {
    let reservation = MemoryConsumer::new("RangeExchange").register(context.memory_pool());
    let mut rows = input.execute(0, Arc::clone(&context))?;
    let mut batches = vec![];
    while let Some(batch) = rows.next().await.transpose()? {
        reservation.try_grow(batch.get_array_memory_size())?;
        batches.push(batch);
    }
    let total: usize = batches.iter().map(|b| b.num_rows()).sum();
    let mut pieces = vec![vec![]; count];
    let mut row = 0;
    for batch in batches {
        let mut offset = 0;
        while offset < batch.num_rows() {
            let piece = (row * count).checked_div(total).unwrap_or(0).min(count - 1);
            let end = (total * (piece + 1)).div_ceil(count);
            let length = (end - row).min(batch.num_rows() - offset).max(1);
            pieces[piece].push(batch.slice(offset, length));
            offset += length;
            row += length;
        }
    }
    Ok(pieces)
}

impl DisplayAs for ExchangeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ExchangeExec: {}", self.description)
    }
}

impl ExecutionPlan for ExchangeExec {
    fn name(&self) -> &str {
        "ExchangeExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }
    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }
    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let wanted = match self.spread {
            Spread::Range(_) => Distribution::SinglePartition,
            _ => Distribution::UnspecifiedDistribution,
        };
        InputDistributionRequirements::new(vec![wanted])
    }
    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.ordering.clone()]
    }
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("an input is missing".into()))?;
        Ok(Arc::new(Self::new(self.description.clone(), self.spread.clone(), self.ordering.clone(), input)))
    }
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match &self.spread {
            Spread::Repartition(partitioning) => self.repartitioned(partitioning)?.execute(partition, context),
            Spread::Range(count) => self.ranged(*count, partition, context),
            Spread::Coalesce(_) => self.coalesced(partition, context),
        }
    }
}
