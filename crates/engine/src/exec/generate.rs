//! Generators: rows from the elements of one list column.
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{NullHandling, Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

/// Runs an unnesting of one list column. The elements of lists lie side by side already, so they are passed on as they
/// are; only where an outer generator adds a row of NULLs are they copied.
#[derive(Debug)]
struct GenerateExec {
    /// What it stands for
    unnest: Arc<UnnestExec>,
    list: usize,
    is_outer: bool,
    metrics: ExecutionPlanMetricsSet,
}

impl GenerateExec {
    /// `None`: it unnests something else
    fn of(unnest: &Arc<UnnestExec>) -> Option<Self> {
        let [column] = unnest.list_column_indices() else { return None };
        let list = column.index_in_input_schema;
        let is_outer = match unnest.options().null_handling {
            NullHandling::Drop => false,
            NullHandling::PreserveAndExpandEmpty => true,
            NullHandling::Preserve => return None,
        };
        let fits = column.depth == 1
            && unnest.struct_column_indices().is_empty()
            && matches!(unnest.input().schema().field(list).data_type(), DataType::List(_));
        fits.then(|| Self { unnest: Arc::clone(unnest), list, is_outer, metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl DisplayAs for GenerateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GenerateExec")
    }
}

impl ExecutionPlan for GenerateExec {
    fn name(&self) -> &'static str {
        "GenerateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.unnest.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![self.unnest.input()]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("GenerateExec has one input");
        };
        let lists = self.unnest.list_column_indices().to_vec();
        let options = self.unnest.options().clone();
        let unnest = Arc::new(UnnestExec::new(input, lists, vec![], self.unnest.schema(), options)?);
        match Self::of(&unnest) {
            Some(exec) => Ok(Arc::new(exec)),
            None => Ok(unnest),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let (schema, list, is_outer) = (self.unnest.schema(), self.list, self.is_outer);
        let batch_rows = context.session_config().batch_size();
        let to = Arc::clone(&schema);
        let batches = self.unnest.input().execute(partition, context)?.flat_map(move |batch| {
            let generated = batch.and_then(|batch| Generated::of(batch, list, is_outer, batch_rows, &to));
            let (generated, error) = match generated {
                Ok(generated) => (Some(generated), None),
                Err(error) => (None, Some(Err(error))),
            };
            futures::stream::iter(generated.into_iter().flatten().chain(error))
        });
        let counted = batches.map(move |batch| batch.record_output(&metrics));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The rows from one batch, a few input rows at a time.
struct Generated {
    input: RecordBatch,
    list: usize,
    /// All elements, in the order of the rows
    elements: ArrayRef,
    /// The number of rows that each input row gives
    lengths: Vec<u32>,
    schema: SchemaRef,
    batch_rows: usize,
    /// The next input row, how many of its elements are out, and how many elements are out in all
    row: usize,
    in_row: usize,
    element: usize,
}

impl Generated {
    fn of(input: RecordBatch, list: usize, is_outer: bool, batch_rows: usize, schema: &SchemaRef) -> Result<Self> {
        let Some(lists) = input.column(list).as_list_opt::<i32>() else {
            return internal_err!("a generator gives lists");
        };
        let (elements, lengths) = elements(lists, is_outer)?;
        let schema = Arc::clone(schema);
        Ok(Self { list, elements, lengths, schema, batch_rows, row: 0, in_row: 0, element: 0, input })
    }

    /// The input row of each of the next rows; empty at the end.
    fn next_rows(&mut self) -> Vec<u32> {
        let mut rows = Vec::with_capacity(self.batch_rows.min(self.elements.len() - self.element));
        while rows.len() < self.batch_rows && self.row < self.lengths.len() {
            let left = self.lengths[self.row] as usize - self.in_row;
            let taken = left.min(self.batch_rows - rows.len());
            rows.extend(std::iter::repeat_n(self.row as u32, taken));
            if taken == left {
                (self.row, self.in_row) = (self.row + 1, 0);
            } else {
                self.in_row += taken;
            }
        }
        rows
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let has_other_columns = self.input.num_columns() > 1;
        let (rows, count) = if has_other_columns {
            let rows = self.next_rows();
            let count = rows.len();
            (UInt32Array::from(rows), count)
        } else {
            (UInt32Array::from(Vec::<u32>::new()), self.batch_rows.min(self.elements.len() - self.element))
        };
        if count == 0 {
            return Ok(None);
        }
        let elements = self.elements.slice(self.element, count);
        self.element += count;
        let columns = self.input.columns().iter().enumerate().map(|(index, column)| {
            if index == self.list { Ok(Arc::clone(&elements)) } else { Ok(take(column, &rows, None)?) }
        });
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?))
    }
}

impl Iterator for Generated {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().transpose()
    }
}

/// The elements of all rows side by side, and how many each row has. For an outer generator a row without elements has
/// one that is NULL.
fn elements(lists: &ListArray, is_outer: bool) -> Result<(ArrayRef, Vec<u32>)> {
    let offsets = lists.value_offsets();
    let mut lengths: Vec<u32> = offsets.windows(2).map(|range| (range[1] - range[0]) as u32).collect();
    let mut has_hidden = false;
    if let Some(nulls) = lists.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (length, valid) in lengths.iter_mut().zip(nulls.iter()) {
            if !valid {
                has_hidden |= *length > 0;
                *length = 0;
            }
        }
    }
    let adds_rows = is_outer && lengths.contains(&0);
    if !has_hidden && !adds_rows {
        let (start, end) = match offsets {
            [start, .., end] => (*start as usize, *end as usize),
            _ => (0, 0),
        };
        return Ok((lists.values().slice(start, end - start), lengths));
    }
    let mut picks: Vec<Option<u32>> = vec![];
    for (length, start) in lengths.iter_mut().zip(offsets) {
        picks.extend((*start as u32..*start as u32 + *length).map(Some));
        if is_outer && *length == 0 {
            *length = 1;
            picks.push(None);
        }
    }
    Ok((take(lists.values(), &UInt32Array::from(picks), None)?, lengths))
}

/// Puts [`GenerateExec`] in the place of the unnestings that it can run.
#[derive(Debug)]
pub struct GenerateRows;

impl PhysicalOptimizerRule for GenerateRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(unnest) = node.downcast_ref::<UnnestExec>() else { return Ok(Transformed::no(node)) };
            Ok(match GenerateExec::of(&Arc::new(unnest.clone())) {
                Some(exec) => Transformed::yes(Arc::new(exec)),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "generate_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray};
    use arrow::datatypes::{Field, Int32Type, Schema};

    fn generated(is_outer: bool, batch_rows: usize) -> Vec<RecordBatch> {
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(0)]),
            Some(vec![Some(1), None, Some(3)]),
            None,
            Some(vec![]),
            Some(vec![Some(4)]),
        ]);
        let names: ArrayRef = Arc::new(StringArray::from(vec!["-", "a", "b", "c", "d"]));
        let input = Schema::new(vec![
            Field::new("list", lists.data_type().clone(), true),
            Field::new("name", DataType::Utf8, true),
        ]);
        let output = Arc::new(Schema::new(vec![
            Field::new("list", DataType::Int32, true),
            Field::new("name", DataType::Utf8, true),
        ]));
        let batch = RecordBatch::try_new(Arc::new(input), vec![Arc::new(lists), names]).unwrap().slice(1, 4);
        Generated::of(batch, 0, is_outer, batch_rows, &output).unwrap().collect::<Result<_>>().unwrap()
    }

    fn rows(batches: &[RecordBatch]) -> Vec<(Option<i32>, String)> {
        let of = |batch: &RecordBatch| {
            let numbers: &Int32Array = batch.column(0).as_primitive();
            let names = batch.column(1).as_string::<i32>().iter().map(|name| name.unwrap().to_string());
            numbers.iter().zip(names).collect::<Vec<_>>()
        };
        batches.iter().flat_map(of).collect()
    }

    #[test]
    fn a_row_for_each_element() {
        let expected: Vec<_> = [(Some(1), "a"), (None, "a"), (Some(3), "a"), (Some(4), "d")]
            .into_iter()
            .map(|(number, name)| (number, name.to_string()))
            .collect();
        assert_eq!(rows(&generated(false, 100)), expected);
        let small = generated(false, 2);
        assert_eq!(small.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(rows(&small), expected);
    }

    #[test]
    fn an_outer_generator_keeps_rows_without_elements() {
        let names: Vec<_> = rows(&generated(true, 100)).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["a", "a", "a", "b", "c", "d"]);
    }
}
