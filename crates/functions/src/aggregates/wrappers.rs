//! What every aggregate gets for free: frames that slide, and how fractions compare.
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;

use super::udaf::AggregateCall;

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
