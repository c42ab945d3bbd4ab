//! What every aggregate gets for free: DISTINCT, and frames that slide.
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Field};
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use indexmap::IndexSet;

use super::udaf::AggregateCall;

/// Gives each distinct row of arguments to the function once, in order of first appearance.
pub struct DistinctAccumulator {
    call: Arc<AggregateCall>,
    converter: RowConverter,
    rows: IndexSet<Box<[u8]>>,
    bytes: usize,
}

impl std::fmt::Debug for DistinctAccumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DISTINCT {}", self.call.name)
    }
}

impl DistinctAccumulator {
    pub fn new(call: &Arc<AggregateCall>) -> DfResult<Self> {
        let fields = (0..call.arg_types.len()).map(|i| SortField::new(call.arg_arrow(i))).collect();
        Ok(Self { call: Arc::clone(call), converter: RowConverter::new(fields)?, rows: IndexSet::new(), bytes: 0 })
    }

    /// A list of the rows seen.
    pub fn state_type(call: &AggregateCall) -> ArrowType {
        ArrowType::List(Arc::new(Field::new("item", ArrowType::Struct(call.row_fields()), true)))
    }

    fn columns(&self) -> DfResult<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        Ok(self.converter.convert_rows(self.rows.iter().map(|row| parser.parse(row)))?)
    }
}

impl Accumulator for DistinctAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let values: Vec<ArrayRef> = values.iter().map(normalise_floats).collect();
        for row in &self.converter.convert_columns(&values)? {
            if !self.rows.contains(row.as_ref()) {
                self.bytes += row.as_ref().len() + 32;
                self.rows.insert(row.as_ref().into());
            }
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let mut inner = self.call.accumulator()?;
        inner.update_batch(&self.columns()?)?;
        inner.evaluate()
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes + self.converter.size()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let rows = StructArray::try_new_with_length(self.call.row_fields(), self.columns()?, None, self.rows.len())?;
        Ok(vec![single_list(Arc::new(rows))?])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for list in states.iter().filter_map(|s| s.as_list_opt::<i32>()).flat_map(|s| s.iter().flatten()) {
            if let Some(rows) = list.as_struct_opt() {
                self.update_batch(rows.columns())?;
            }
        }
        Ok(())
    }
}

/// One list that holds all of `values`.
pub fn single_list(values: ArrayRef) -> DfResult<ScalarValue> {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths([values.len()]), values, None)?;
    Ok(ScalarValue::List(Arc::new(list)))
}

/// Makes all NaNs equal and 0.0 equal to -0.0, as grouping in Spark does.
pub fn normalise_floats(array: &ArrayRef) -> ArrayRef {
    use arrow::datatypes::{Float32Type, Float64Type};
    match array.data_type() {
        ArrowType::Float64 => Arc::new(
            array
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
        ),
        ArrowType::Float32 => Arc::new(
            array
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
        ),
        _ => Arc::clone(array),
    }
}

/// Keeps the rows of the frame and computes the function anew for each one, as Spark does.
pub struct SlidingAccumulator {
    call: Arc<AggregateCall>,
    batches: VecDeque<Vec<ArrayRef>>,
}

impl std::fmt::Debug for SlidingAccumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sliding {}", self.call.name)
    }
}

impl SlidingAccumulator {
    pub fn new(call: &Arc<AggregateCall>) -> Self {
        Self { call: Arc::clone(call), batches: VecDeque::new() }
    }
}

impl Accumulator for SlidingAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        if values.first().is_some_and(|v| !v.is_empty()) {
            self.batches.push_back(values.to_vec());
        }
        Ok(())
    }
    fn retract_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        // Rows leave a frame at its start.
        let mut left = values.first().map_or(0, |v| v.len());
        while left > 0 {
            let Some(mut front) = self.batches.pop_front() else { break };
            let rows = front.first().map_or(0, |v| v.len());
            if rows > left {
                front = front.iter().map(|v| v.slice(left, rows - left)).collect();
                self.batches.push_front(front);
            }
            left = left.saturating_sub(rows);
        }
        Ok(())
    }
    fn supports_retract_batch(&self) -> bool {
        true
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let mut inner = self.call.accumulator()?;
        for batch in &self.batches {
            inner.update_batch(batch)?;
        }
        inner.evaluate()
    }
    fn size(&self) -> usize {
        size_of::<Self>()
            + self.batches.iter().flatten().map(|a| a.to_data().get_slice_memory_size().unwrap_or(0)).sum::<usize>()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        datafusion::common::not_impl_err!("a window frame has no partial state")
    }
    fn merge_batch(&mut self, _: &[ArrayRef]) -> DfResult<()> {
        datafusion::common::not_impl_err!("a window frame has no partial state")
    }
}
