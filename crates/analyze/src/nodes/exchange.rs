//! Partitioning that the user asked for: `repartition`, `repartitionByRange`, `coalesce` and their hints.
//! DataFusion's own repartitioning serves its operators and is dropped where none needs it; this one stays.
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;
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

use super::slices;
use super::sort_partitions::requirement;
use super::unary::{Node, Operator, properties};

/// How rows are spread.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    RoundRobin(usize),
    Hash(Vec<Expr>, usize),
    /// To the partition of this INT (modulo their count; NULL: the first)
    Direct(Expr, usize),
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
            Kind::Direct(id, n) => format!("directpartitioning({id}, {n})"),
            Kind::Range(keys, n) => format!("rangepartitioning({}, {n})", join(keys.iter())),
            Kind::Coalesce(n) => format!("Coalesce({n})"),
        }
    }
    fn expressions(&self) -> Vec<Expr> {
        match &self.kind {
            Kind::Hash(keys, _) => keys.clone(),
            Kind::Direct(id, _) => vec![id.clone()],
            Kind::Range(keys, _) => keys.iter().map(|k| k.expr.clone()).collect(),
            _ => vec![],
        }
    }
    fn with_expressions(&self, mut expressions: Vec<Expr>) -> Self {
        let kind = match &self.kind {
            Kind::Direct(id, n) => Kind::Direct(expressions.pop().unwrap_or_else(|| id.clone()), *n),
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
        mut expressions: Vec<Arc<dyn PhysicalExpr>>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (spread, ordering) = match &self.kind {
            Kind::RoundRobin(n) => (Spread::Repartition(Partitioning::RoundRobinBatch(*n)), None),
            Kind::Direct(_, n) => {
                let id =
                    expressions.pop().ok_or_else(|| DataFusionError::Internal("a partition id is missing".into()))?;
                (Spread::Direct(id, *n), None)
            }
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
    Direct(Arc<dyn PhysicalExpr>, usize),
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
    /// The pieces of a range or direct exchange, read once for all partitions
    pieces: Arc<OnceCell<Vec<Vec<arrow::array::RecordBatch>>>>,
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
            Spread::Range(n) | Spread::Direct(_, n) => *n,
            Spread::Coalesce(n) => (*n).min(input.output_partitioning().partition_count()).max(1),
        };
        let partitioning = match &spread {
            Spread::Repartition(hash @ Partitioning::Hash(..)) => hash.clone(),
            _ => Partitioning::UnknownPartitioning(count),
        };
        let properties = properties(&input, &[], Some(partitioning));
        let pieces = Arc::new(OnceCell::new());
        Self { description, spread, ordering, input, properties, repartition: OnceLock::new(), pieces }
    }

    fn repartitioned(&self, partitioning: &Partitioning) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(known) = self.repartition.get() {
            return Ok(Arc::clone(known));
        }
        let input = match partitioning {
            // DataFusion deals whole batches: thin ones spread the rows evenly.
            Partitioning::RoundRobinBatch(n) => slices::exec(Arc::clone(&self.input), *n),
            _ => Arc::clone(&self.input),
        };
        let made = Arc::new(RepartitionExec::try_new(input, partitioning.clone())?);
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

    /// Partition `partition` of what is read once and then dealt out.
    fn dealt(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (cell, input, spread) = (Arc::clone(&self.pieces), Arc::clone(&self.input), self.spread.clone());
        let pieces = async move {
            let all = cell.get_or_try_init(|| async {
                match &spread {
                    Spread::Direct(id, count) => deal(input, id, *count, context).await,
                    Spread::Range(count) => cut(input, *count, context).await,
                    _ => Ok(vec![]),
                }
            });
            let all = all.await?;
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

/// Reads all of the input and puts each row into the piece it asks for.
async fn deal(
    input: Arc<dyn ExecutionPlan>,
    id: &Arc<dyn PhysicalExpr>,
    count: usize,
    context: Arc<TaskContext>,
) -> Result<Vec<Vec<arrow::array::RecordBatch>>> {
    let reservation = MemoryConsumer::new("DirectExchange").register(context.memory_pool());
    let mut pieces = vec![vec![]; count];
    for partition in 0..input.output_partitioning().partition_count() {
        let mut rows = input.execute(partition, Arc::clone(&context))?;
        while let Some(batch) = rows.next().await.transpose()? {
            reservation.try_grow(batch.get_array_memory_size())?;
            let ids = id.evaluate(&batch)?.into_array(batch.num_rows())?;
            let ids = ids.as_primitive_opt::<Int32Type>();
            let ids = ids.ok_or_else(|| DataFusionError::Internal("a partition id is no INT".into()))?;
            let mut wanted: Vec<Vec<u32>> = vec![vec![]; count];
            for (row, id) in (0_u32..).zip(ids.iter()) {
                wanted[id.map_or(0, |id| i64::from(id).rem_euclid(count as i64) as usize)].push(row);
            }
            for (piece, rows) in pieces.iter_mut().zip(wanted).filter(|(_, rows)| !rows.is_empty()) {
                piece.push(take_record_batch(&batch, &UInt32Array::from(rows))?);
            }
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
            Spread::Range(_) | Spread::Direct(..) => self.dealt(partition, context),
            Spread::Coalesce(_) => self.coalesced(partition, context),
        }
    }
}
