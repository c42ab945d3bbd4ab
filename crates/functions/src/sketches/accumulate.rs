//! The accumulator that every sketch shares.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use crate::aggregates::udaf::AggregateCall;
use crate::collation::Collator;
use crate::datetime::vector::as_longs;

/// One value to put into a sketch.
pub enum Value<'a> {
    Long(i64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// A sketch that takes values and other sketches.
pub trait Sketch: Send + Sync + 'static {
    fn update(&mut self, value: Value<'_>);
    /// Errors where the bytes are not such a sketch, or not one that fits.
    fn merge(&mut self, bytes: &[u8]) -> Result<()>;
    fn serialize(&self) -> Vec<u8>;
    fn size(&self) -> usize;
}

pub struct SketchAccumulator<S> {
    pub call: Arc<AggregateCall>,
    pub sketch: S,
    /// Whether the argument holds sketches, not values
    pub merges: bool,
    /// Whether anything was seen; a partial state of nothing is NULL
    pub seen: bool,
}

impl<S> std::fmt::Debug for SketchAccumulator<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.call.name)
    }
}

/// Gives each value that is not NULL to `visit`, with its row. Strings that their collation takes for equal are one.
pub(super) fn for_each(
    values: &ArrayRef,
    data_type: Option<&DataType>,
    visit: &mut dyn FnMut(usize, Value<'_>),
) -> Result<()> {
    match values.data_type() {
        ArrowType::Utf8 => {
            let collator = data_type.map_or(Collator::BINARY, Collator::of);
            rows(values.as_string::<i32>().iter(), |row, v| visit(row, Value::Bytes(&collator.key(v))));
        }
        ArrowType::Binary => rows(values.as_binary::<i32>().iter(), |row, v| visit(row, Value::Bytes(v))),
        ArrowType::Float32 => {
            rows(values.as_primitive::<Float32Type>().iter(), |row, v| visit(row, Value::Double(f64::from(v))));
        }
        ArrowType::Float64 => {
            rows(values.as_primitive::<Float64Type>().iter(), |row, v| visit(row, Value::Double(v)));
        }
        ArrowType::List(_) => {
            for (row, list) in values.as_list::<i32>().iter().enumerate() {
                let Some(list) = list else { continue };
                // An array is one value: its bytes together, in the width of its elements.
                let narrow = list.data_type() == &ArrowType::Int32;
                let mut bytes = vec![];
                for number in &as_longs(&list)? {
                    let all = number.unwrap_or(0).to_le_bytes();
                    bytes.extend_from_slice(if narrow { &all[..4] } else { &all });
                }
                visit(row, Value::Bytes(&bytes));
            }
        }
        _ => rows(as_longs(values)?.iter(), |row, v| visit(row, Value::Long(v))),
    }
    Ok(())
}

/// The values that are there, with their rows.
fn rows<T>(values: impl Iterator<Item = Option<T>>, mut visit: impl FnMut(usize, T)) {
    values.enumerate().for_each(|(row, value)| {
        if let Some(value) = value {
            visit(row, value);
        }
    });
}

impl<S: Sketch> SketchAccumulator<S> {
    fn merge_all(&mut self, values: &ArrayRef) -> DfResult<()> {
        for bytes in values.as_binary_opt::<i32>().into_iter().flat_map(|v| v.iter().flatten()) {
            self.seen = true;
            if let Err(error) = self.sketch.merge(bytes) {
                return self.call.fail(error);
            }
        }
        Ok(())
    }
}

impl<S: Sketch> Accumulator for SketchAccumulator<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let Some(values) = values.first() else { return Ok(()) };
        if self.merges {
            return self.merge_all(values);
        }
        self.seen |= values.null_count() < values.len();
        let sketch = &mut self.sketch;
        for_each(values, self.call.arg_types.first(), &mut |_, value| sketch.update(value)).map_err(crate::external)
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.sketch.serialize())))
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.sketch.size()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(self.seen.then(|| self.sketch.serialize()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        states.first().map_or(Ok(()), |state| self.merge_all(state))
    }
}
