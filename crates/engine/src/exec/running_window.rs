//! Windows that grow from the start of their partition to the current row.
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, partition};
use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::functions_window::{rank, row_number};
use datafusion::logical_expr::{Accumulator, Expr, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::window::{PlainAggregateWindowExpr, StandardWindowExpr, WindowExpr};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowUDFExpr};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, InputOrderMode, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;

use super::running_values::{Bounds, running};

/// Runs such windows over sorted rows, peers by peers.
///
/// DataFusion looks for the end of the frame of each row anew, value by value. Here the peers of a whole batch are found
/// at once, and a function that counts peers is asked once for all of them.
///
/// ```text
///  batch ──▶ + open peers ──▶ bounds of partitions and peers ──▶ a column per function
///                 ▲                        │
///                 └── the last peers: more of them may come
/// ```
#[derive(Debug)]
struct RunningWindowExec {
    /// What it stands for
    window: Arc<BoundedWindowAggExec>,
    functions: Arc<[Function]>,
    metrics: ExecutionPlanMetricsSet,
}

#[derive(Debug, Clone)]
enum Function {
    RowNumber,
    Rank,
    DenseRank,
    /// `by_rows`: a frame ends at the current row, not at its last peer
    Aggregate {
        function: Box<AggregateFunctionExpr>,
        by_rows: bool,
    },
}

impl Function {
    /// `None`: another one, or another frame
    fn of(expr: &Arc<dyn WindowExpr>) -> Option<Self> {
        if let Some(aggregate) = expr.as_any().downcast_ref::<PlainAggregateWindowExpr>() {
            let function = Box::new(aggregate.get_aggregate_expr().clone());
            return is_running(expr.get_window_frame())
                .map(|units| Self::Aggregate { function, by_rows: units == WindowFrameUnits::Rows });
        }
        let standard = expr.as_any().downcast_ref::<StandardWindowExpr>()?;
        let function = standard.get_standard_func_expr().as_any().downcast_ref::<WindowUDFExpr>()?.fun();
        let known = [
            (row_number::row_number_udwf(), Self::RowNumber),
            (rank::rank_udwf(), Self::Rank),
            (rank::dense_rank_udwf(), Self::DenseRank),
        ];
        known.into_iter().find(|(known, _)| known == function).map(|(_, found)| found)
    }
}

/// The units of a frame from the start of the partition to the current row.
fn is_running(frame: &WindowFrame) -> Option<WindowFrameUnits> {
    let runs = frame.start_bound.is_unbounded()
        && frame.end_bound == WindowFrameBound::CurrentRow
        && matches!(frame.units, WindowFrameUnits::Rows | WindowFrameUnits::Range);
    runs.then_some(frame.units)
}

impl RunningWindowExec {
    /// `None`: a function or a frame is not of this kind
    fn of(window: &BoundedWindowAggExec) -> Option<Self> {
        let functions = window.window_expr().iter().map(Function::of).collect::<Option<Arc<[_]>>>()?;
        // The numbers alone are as quick without it.
        let gains = functions.iter().any(|function| matches!(function, Function::Aggregate { .. }));
        let is_sorted = window.input_order_mode == InputOrderMode::Sorted;
        let first = window.window_expr().first()?;
        let same_keys = |expr: &Arc<dyn WindowExpr>| {
            expr.partition_by() == first.partition_by() && expr.order_by() == first.order_by()
        };
        let is_ordered = !first.order_by().is_empty() && window.window_expr().iter().all(same_keys);
        (gains && is_sorted && is_ordered).then(|| Self {
            window: Arc::new(window.clone()),
            functions,
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }
}

impl DisplayAs for RunningWindowExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.window.fmt_as(kind, f)
    }
}

impl ExecutionPlan for RunningWindowExec {
    fn name(&self) -> &'static str {
        "RunningWindowExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.window.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.window.input()]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.window.apply_expressions(f)
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let window = Arc::clone(&self.window).replace_children(children, options)?;
        let Some(running) = window.downcast_ref().and_then(Self::of) else { return Ok(window) };
        Ok(Arc::new(running))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut running = Running::new(&self.window, Arc::clone(&self.functions));
        let input = self.window.input().execute(partition, context)?.map(Some).chain(futures::stream::iter([None]));
        let batches = input.filter_map(move |batch| {
            let timer = metrics.elapsed_compute().timer();
            let found = match batch {
                Some(Ok(batch)) => running.push(batch),
                Some(Err(error)) => Err(error),
                None => running.finish(),
            };
            timer.done();
            futures::future::ready(found.transpose().map(|batch| batch.record_output(&metrics)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The state of one partition of the input.
struct Running {
    functions: Arc<[Function]>,
    partition_by: Vec<Arc<dyn PhysicalExpr>>,
    order_by: Vec<Arc<dyn PhysicalExpr>>,
    input_schema: SchemaRef,
    schema: SchemaRef,
    /// Rows that are peers of each other, and perhaps of the next ones
    open: Vec<RecordBatch>,
    /// Whether the open rows are the first of their partition
    opens_partition: bool,
    /// Of the partition, what is out: rows, and groups of peers
    rows: u64,
    groups: u64,
    accumulators: Vec<Option<Box<dyn Accumulator>>>,
}

impl Running {
    fn new(window: &BoundedWindowAggExec, functions: Arc<[Function]>) -> Self {
        let (partition_by, order_by) = window.window_expr().first().map_or((vec![], vec![]), |expr| {
            (expr.partition_by().to_vec(), expr.order_by().iter().map(|key| Arc::clone(&key.expr)).collect())
        });
        Self {
            accumulators: functions.iter().map(|_| None).collect(),
            functions,
            partition_by,
            order_by,
            input_schema: window.input().schema(),
            schema: window.schema(),
            open: vec![],
            opens_partition: true,
            rows: 0,
            groups: 0,
        }
    }

    fn push(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        // Many batches of the same peers are put together only once.
        let is_open = self.open.last().map(|last| self.joins(last, &batch)).transpose()?.unwrap_or(false);
        self.open.push(batch);
        if is_open { Ok(None) } else { self.emit(false) }
    }

    fn finish(&mut self) -> Result<Option<RecordBatch>> {
        if self.open.is_empty() { Ok(None) } else { self.emit(true) }
    }

    /// Whether all rows of the next batch are peers of the last ones.
    fn joins(&self, last: &RecordBatch, next: &RecordBatch) -> Result<bool> {
        let edges = [last.slice(last.num_rows() - 1, 1), next.slice(0, 1), next.slice(next.num_rows() - 1, 1)];
        // The rows are sorted, so what lies between equal ones is equal.
        Ok(self.bounds(&concat_batches(&self.input_schema, &edges)?)?.peers.len() == 1)
    }

    fn bounds(&self, rows: &RecordBatch) -> Result<Bounds> {
        let columns = |exprs: &[Arc<dyn PhysicalExpr>]| -> Result<Vec<ArrayRef>> {
            exprs.iter().map(|expr| expr.evaluate(rows)?.into_array(rows.num_rows())).collect()
        };
        let mut keys = columns(&self.partition_by)?;
        let starts: Vec<usize> = if keys.is_empty() {
            vec![0]
        } else {
            partition(&keys)?.ranges().into_iter().map(|range| range.start).collect()
        };
        keys.extend(columns(&self.order_by)?);
        let peers = partition(&keys)?.ranges();
        let mut is_first: Vec<bool> = peers.iter().map(|range| starts.binary_search(&range.start).is_ok()).collect();
        if let Some(first) = is_first.first_mut() {
            *first = self.opens_partition;
        }
        Ok(Bounds { peers, is_first })
    }

    /// The open rows with their results; without the last peers, unless no more rows come.
    fn emit(&mut self, is_end: bool) -> Result<Option<RecordBatch>> {
        let rows = concat_batches(&self.input_schema, &std::mem::take(&mut self.open))?;
        let mut bounds = self.bounds(&rows)?;
        if !is_end && let (Some(last), Some(is_first)) = (bounds.peers.pop(), bounds.is_first.pop()) {
            self.opens_partition = is_first;
            self.open.push(rows.slice(last.start, last.len()));
        }
        let Some(end) = bounds.peers.last().map(|peers| peers.end) else { return Ok(None) };
        let rows = rows.slice(0, end);
        let mut columns = rows.columns().to_vec();
        for (index, function) in Arc::clone(&self.functions).iter().enumerate() {
            columns.push(match function {
                Function::RowNumber => self.numbers(&bounds, |peers, _| peers.collect()),
                Function::Rank => {
                    self.numbers(&bounds, |peers, _| vec![peers.start; (peers.end - peers.start) as usize])
                }
                Function::DenseRank => {
                    self.numbers(&bounds, |peers, groups| vec![groups; (peers.end - peers.start) as usize])
                }
                Function::Aggregate { function, by_rows } => {
                    let values = function.expressions();
                    let values = values.iter().map(|value| value.evaluate(&rows)?.into_array(end));
                    let values = values.collect::<Result<Vec<_>>>()?;
                    running(&mut self.accumulators[index], function, *by_rows, &values, &bounds)?
                }
            });
        }
        for (peers, is_first) in bounds.peers.iter().zip(&bounds.is_first) {
            (self.rows, self.groups) = if *is_first { (0, 0) } else { (self.rows, self.groups) };
            (self.rows, self.groups) = (self.rows + peers.len() as u64, self.groups + 1);
        }
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), columns)?))
    }

    /// A column of what `number` makes of the numbers of some peers' rows and of the number of their group, both from 1.
    fn numbers(&self, bounds: &Bounds, number: impl Fn(Range<u64>, u64) -> Vec<u64>) -> ArrayRef {
        let (mut rows, mut groups) = (self.rows, self.groups);
        let mut numbers = vec![];
        for (peers, is_first) in bounds.peers.iter().zip(&bounds.is_first) {
            (rows, groups) = if *is_first { (0, 0) } else { (rows, groups) };
            let end = rows + peers.len() as u64;
            groups += 1;
            numbers.extend(number(rows + 1..end + 1, groups));
            rows = end;
        }
        Arc::new(UInt64Array::from(numbers))
    }
}

/// Puts [`RunningWindowExec`] in the place of the windows that it can run.
///
/// A finished plan does not tell whether a function has a FILTER, so the logical plan is asked.
pub fn run_windows(physical: Arc<dyn ExecutionPlan>, logical: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let mut has_filter = false;
    logical.apply_with_subqueries(|node| {
        if let LogicalPlan::Window(window) = node {
            has_filter |= window.window_expr.iter().any(filters);
        }
        Ok(if has_filter { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if has_filter {
        return Ok(physical);
    }
    let replaced = physical.transform_up(|node| {
        Ok(match node.downcast_ref().and_then(RunningWindowExec::of) {
            Some(running) => Transformed::yes(Arc::new(running) as Arc<dyn ExecutionPlan>),
            None => Transformed::no(node),
        })
    });
    replaced.data()
}

fn filters(expr: &Expr) -> bool {
    let found = expr.exists(|node| match node {
        Expr::WindowFunction(call) => Ok(call.params.filter.is_some()),
        _ => Ok(false),
    });
    found.unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt64Type};
    use datafusion::functions_aggregate::sum::sum_udaf;
    use datafusion::physical_expr::aggregate::AggregateExprBuilder;
    use datafusion::physical_expr::expressions::Column;

    /// Partition 1 with the keys 1 1 2, partition 2 with the keys 2 2 2 3; all values are 1.
    const ROWS: [(i64, i64); 7] = [(1, 1), (1, 1), (1, 2), (2, 2), (2, 2), (2, 2), (2, 3)];

    fn numbers_of_rows() -> SchemaRef {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        Arc::new(Schema::new(vec![field("partition"), field("key"), field("value")]))
    }

    fn rows(rows: &[(i64, i64)]) -> RecordBatch {
        let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let partitions = column(rows.iter().map(|row| row.0).collect());
        let keys = column(rows.iter().map(|row| row.1).collect());
        RecordBatch::try_new(numbers_of_rows(), vec![partitions, keys, column(vec![1; rows.len()])]).unwrap()
    }

    fn windowed(batch_rows: usize) -> Vec<Vec<u64>> {
        let column = |name: &str, index| Arc::new(Column::new(name, index)) as Arc<dyn PhysicalExpr>;
        let sum = AggregateExprBuilder::new(sum_udaf(), vec![column("value", 2)]);
        let sum = Box::new(sum.schema(numbers_of_rows()).alias("sum").build().unwrap());
        let functions = [
            Function::RowNumber,
            Function::Rank,
            Function::DenseRank,
            Function::Aggregate { function: sum.clone(), by_rows: false },
            Function::Aggregate { function: sum, by_rows: true },
        ];
        let mut fields: Vec<Field> = numbers_of_rows().fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.extend(["number", "rank", "dense rank"].map(|name| Field::new(name, DataType::UInt64, true)));
        fields.extend(["sum", "sum of rows"].map(|name| Field::new(name, DataType::Int64, true)));
        let mut running = Running {
            accumulators: functions.iter().map(|_| None).collect(),
            functions: functions.into(),
            partition_by: vec![column("partition", 0)],
            order_by: vec![column("key", 1)],
            input_schema: numbers_of_rows(),
            schema: Arc::new(Schema::new(fields)),
            open: vec![],
            opens_partition: true,
            rows: 0,
            groups: 0,
        };
        let mut found = vec![];
        for part in ROWS.chunks(batch_rows) {
            found.extend(running.push(rows(part)).unwrap());
        }
        found.extend(running.finish().unwrap());
        let values = |index: usize| {
            let of = |batch: &RecordBatch| match batch.column(index).as_primitive_opt::<UInt64Type>() {
                Some(numbers) => numbers.values().to_vec(),
                None => batch.column(index).as_primitive::<Int64Type>().values().iter().map(|n| *n as u64).collect(),
            };
            found.iter().flat_map(of).collect::<Vec<_>>()
        };
        (3..8).map(values).collect()
    }

    #[test]
    fn batches_of_any_size_give_the_same() {
        let expected = [
            [1, 2, 3, 1, 2, 3, 4],
            [1, 1, 3, 1, 1, 1, 4],
            [1, 1, 2, 1, 1, 1, 2],
            [2, 2, 3, 3, 3, 3, 4],
            [1, 2, 3, 1, 2, 3, 4],
        ];
        for batch_rows in 1..=7 {
            assert_eq!(windowed(batch_rows), expected, "{batch_rows} rows a batch");
        }
    }
}
