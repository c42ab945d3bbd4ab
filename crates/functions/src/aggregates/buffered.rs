//! For functions that need all values of a group at once: keeps the arguments, computes at the end.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray, new_empty_array};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::Result;

use super::udaf::{AggregateCall, AggregateKernel};
use super::wrappers::{DistinctAccumulator, single_list};

/// Computes the result from all rows; one array per argument, in order of arrival.
pub type Finish = fn(&AggregateCall, &[ArrayRef]) -> Result<ScalarValue>;

struct Buffered {
    call: Arc<AggregateCall>,
    finish: Finish,
    /// Index of the argument whose NULLs drop the row, if any
    skip_nulls: bool,
    batches: Vec<StructArray>,
    bytes: usize,
}

impl std::fmt::Debug for Buffered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "buffered {}", self.call.name)
    }
}

/// A kernel whose accumulator keeps rows; those whose first argument is NULL only where `keep_nulls`.
pub const fn kernel(accumulator: fn(&Arc<AggregateCall>) -> Result<Box<dyn Accumulator>>) -> AggregateKernel {
    AggregateKernel { accumulator, groups: None, state }
}

fn state(call: &AggregateCall) -> Vec<ArrowType> {
    vec![DistinctAccumulator::state_type(call)]
}

/// The accumulator for [`kernel`].
pub fn accumulator(call: &Arc<AggregateCall>, skip_nulls: bool, finish: Finish) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Buffered { call: Arc::clone(call), finish, skip_nulls, batches: vec![], bytes: 0 }))
}

impl Buffered {
    fn push(&mut self, columns: &[ArrayRef]) -> DfResult<()> {
        let Some(first) = columns.first() else { return Ok(()) };
        let rows = StructArray::try_new_with_length(self.call.row_fields(), columns.to_vec(), None, first.len())?;
        let rows = if self.skip_nulls && first.logical_null_count() > 0 {
            let keep = arrow::compute::is_not_null(first)?;
            arrow::compute::filter(&rows, &keep)?.as_struct().clone()
        } else {
            rows
        };
        if !rows.is_empty() {
            self.bytes += rows.to_data().get_slice_memory_size().unwrap_or(0);
            self.batches.push(rows);
        }
        Ok(())
    }

    /// One array per argument.
    fn columns(&self) -> DfResult<Vec<ArrayRef>> {
        if self.batches.is_empty() {
            return Ok(self.call.row_fields().iter().map(|f| new_empty_array(f.data_type())).collect());
        }
        (0..self.call.arg_types.len())
            .map(|i| {
                let parts: Vec<&dyn Array> = self.batches.iter().map(|b| b.column(i).as_ref()).collect();
                Ok(arrow::compute::concat(&parts)?)
            })
            .collect()
    }
}

impl Accumulator for Buffered {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.push(values)
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        match (self.finish)(&self.call, &self.columns()?) {
            Ok(value) => Ok(value),
            Err(error) => self.call.fail(error),
        }
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let columns = self.columns()?;
        let rows = columns.first().map_or(0, |c| c.len());
        let rows = StructArray::try_new_with_length(self.call.row_fields(), columns, None, rows)?;
        Ok(vec![single_list(Arc::new(rows))?])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for list in states.iter().filter_map(|s| s.as_list_opt::<i32>()).flat_map(|s| s.iter().flatten()) {
            if let Some(rows) = list.as_struct_opt() {
                self.push(rows.columns())?;
            }
        }
        Ok(())
    }
}

/// A list value with the result type of the call.
pub fn list_result(call: &AggregateCall, values: ArrayRef) -> Result<ScalarValue> {
    use arrow::array::ListArray;
    use arrow::buffer::OffsetBuffer;
    let ArrowType::List(field) = call.return_arrow() else {
        return Err(firesteel_plan::SparkError::internal(format!("{} does not return an array", call.name)));
    };
    let values = if values.data_type() == field.data_type() {
        values
    } else {
        arrow::compute::cast(&values, field.data_type()).map_err(crate::scalar::from_arrow)?
    };
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    let list = ListArray::try_new(field, offsets, values, None).map_err(crate::scalar::from_arrow)?;
    Ok(ScalarValue::List(Arc::new(list)))
}
