//! For functions that need all values of a group at once: keeps the arguments, computes at the end.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::Result;

use super::udaf::{AggregateCall, AggregateKernel};

/// Computes the result from all rows; one array per argument, in order of arrival.
pub type Finish = fn(&AggregateCall, &[ArrayRef]) -> Result<ScalarValue>;

struct Buffered {
    call: Arc<AggregateCall>,
    finish: Finish,
    /// Index of the argument whose NULLs drop the row, if any
    skip_nulls: bool,
    /// One array per argument
    batches: Vec<Vec<ArrayRef>>,
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
    vec![call.rows_type()]
}

/// The accumulator for [`kernel`].
pub fn accumulator(call: &Arc<AggregateCall>, skip_nulls: bool, finish: Finish) -> Result<Box<dyn Accumulator>> {
    Ok(Box::new(Buffered { call: Arc::clone(call), finish, skip_nulls, batches: vec![], bytes: 0 }))
}

impl Buffered {
    fn push(&mut self, columns: &[ArrayRef]) -> DfResult<()> {
        let Some(first) = columns.first() else { return Ok(()) };
        let columns = if self.skip_nulls && first.logical_null_count() > 0 {
            let keep = arrow::compute::is_not_null(first)?;
            columns.iter().map(|column| arrow::compute::filter(column, &keep)).collect::<Result<_, _>>()?
        } else {
            columns.to_vec()
        };
        if columns.first().is_some_and(|first| !first.is_empty()) {
            self.bytes +=
                columns.iter().filter_map(|column| column.to_data().get_slice_memory_size().ok()).sum::<usize>();
            self.batches.push(columns);
        }
        Ok(())
    }

    /// One array per argument.
    fn columns(&self) -> DfResult<Vec<ArrayRef>> {
        let column = |i: usize| {
            let parts: Vec<&dyn Array> = self.batches.iter().map(|batch| batch[i].as_ref()).collect();
            if parts.is_empty() {
                Ok(new_empty_array(&self.call.arg_arrow(i)))
            } else {
                Ok(arrow::compute::concat(&parts)?)
            }
        };
        (0..self.call.arg_types.len()).map(column).collect()
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
        let rows = columns.first().map_or(0, |column| column.len());
        let list = self.call.lists_of_rows(columns, OffsetBuffer::from_lengths([rows]))?;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for list in states.iter().filter_map(|s| s.as_list_opt::<i32>()).flat_map(|s| s.iter().flatten()) {
            self.push(&self.call.columns_of_rows(&list))?;
        }
        Ok(())
    }
}

/// A list value with the result type of the call.
pub fn list_result(call: &AggregateCall, values: ArrayRef) -> Result<ScalarValue> {
    use arrow::array::ListArray;
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
