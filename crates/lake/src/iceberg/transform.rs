//! Partition values of columns.
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Date32Array, Decimal128Array, Int32Array, RecordBatch, StringArray,
    new_null_array,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, FieldRef, Int32Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use chrono::Datelike;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;

use super::bounds::shortest;
use super::partition::Transform;

const DAY_MICROS: i64 = 86_400_000_000;
const HOUR_MICROS: i64 = 3_600_000_000;

/// The partition values of a column's values.
pub(super) fn apply(transform: Transform, column: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    Ok(match transform {
        Transform::Identity => Arc::clone(column),
        Transform::Void => new_null_array(column.data_type(), column.len()),
        Transform::Bucket(count) => {
            let bucket = |hash: u32| i32::try_from((hash & 0x7FFF_FFFF) % count).unwrap_or_default();
            let hashes = hashes(column)?;
            Arc::new(hashes.into_iter().map(|hash| hash.map(bucket)).collect::<Int32Array>())
        }
        Transform::Truncate(width) => truncated(column, width)?,
        Transform::Day => Arc::new(days(column)?.into_iter().collect::<Date32Array>()),
        Transform::Hour => {
            let hour = |micros: i64| i32::try_from(micros.div_euclid(HOUR_MICROS)).ok();
            let micros = times(column)?;
            Arc::new(micros.into_iter().map(|micros| micros.and_then(hour)).collect::<Int32Array>())
        }
        Transform::Year | Transform::Month => {
            let period = |days: i32| {
                let date = chrono::DateTime::from_timestamp(i64::from(days) * 86_400, 0)?;
                let years = date.year() - 1970;
                Some(if transform == Transform::Year { years } else { years * 12 + date.month0().cast_signed() })
            };
            let days = days(column)?;
            Arc::new(days.into_iter().map(|days| days.and_then(period)).collect::<Int32Array>())
        }
    })
}

fn unfit(column: &ArrayRef) -> ArrowError {
    ArrowError::InvalidArgumentError(format!("no partitions can be made of {}", column.data_type()))
}

fn times(column: &ArrayRef) -> std::result::Result<Vec<Option<i64>>, ArrowError> {
    let values = column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| unfit(column))?;
    Ok(values.iter().collect())
}

fn days(column: &ArrayRef) -> std::result::Result<Vec<Option<i32>>, ArrowError> {
    if let Some(dates) = column.as_primitive_opt::<Date32Type>() {
        return Ok(dates.iter().collect());
    }
    let day = |micros: i64| i32::try_from(micros.div_euclid(DAY_MICROS)).ok();
    Ok(times(column)?.into_iter().map(|micros| micros.and_then(day)).collect())
}

fn hashes(column: &ArrayRef) -> std::result::Result<Vec<Option<u32>>, ArrowError> {
    let long = |value: i64| murmur3(&value.to_le_bytes());
    Ok(match column.data_type() {
        DataType::Int32 => column.as_primitive::<Int32Type>().iter().map(|v| v.map(|v| long(v.into()))).collect(),
        DataType::Date32 => column.as_primitive::<Date32Type>().iter().map(|v| v.map(|v| long(v.into()))).collect(),
        DataType::Int64 => column.as_primitive::<Int64Type>().iter().map(|v| v.map(long)).collect(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => times(column)?.into_iter().map(|v| v.map(long)).collect(),
        DataType::Utf8 => column.as_string::<i32>().iter().map(|v| v.map(|v| murmur3(v.as_bytes()))).collect(),
        DataType::Binary => column.as_binary::<i32>().iter().map(|v| v.map(murmur3)).collect(),
        DataType::Decimal128(..) => {
            column.as_primitive::<Decimal128Type>().iter().map(|v| v.map(|v| murmur3(&shortest(v)))).collect()
        }
        _ => return Err(unfit(column)),
    })
}

fn truncated(column: &ArrayRef, width: u32) -> std::result::Result<ArrayRef, ArrowError> {
    let (narrow, wide) = (width.cast_signed(), i64::from(width));
    Ok(match column.data_type() {
        DataType::Int32 => {
            let value = |v: i32| v.wrapping_sub(v.rem_euclid(narrow.max(1)));
            Arc::new(column.as_primitive::<Int32Type>().unary::<_, Int32Type>(value))
        }
        DataType::Int64 => {
            let value = |v: i64| v.wrapping_sub(v.rem_euclid(wide.max(1)));
            Arc::new(column.as_primitive::<Int64Type>().unary::<_, Int64Type>(value))
        }
        DataType::Decimal128(precision, scale) => {
            let value = |v: i128| v - v.rem_euclid(i128::from(wide.max(1)));
            let values: Decimal128Array = column.as_primitive::<Decimal128Type>().unary(value);
            Arc::new(values.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Utf8 => {
            let cut = |text: &str| text.chars().take(width as usize).collect::<String>();
            Arc::new(column.as_string::<i32>().iter().map(|v| v.map(cut)).collect::<StringArray>())
        }
        DataType::Binary => {
            let cut = |bytes: &[u8]| bytes[..bytes.len().min(width as usize)].to_vec();
            Arc::new(column.as_binary::<i32>().iter().map(|v| v.map(cut)).collect::<BinaryArray>())
        }
        _ => return Err(unfit(column)),
    })
}

/// MurmurHash 3 for x86, 32 bits, seed 0, as the format's specification asks for.
fn murmur3(bytes: &[u8]) -> u32 {
    let mixed = |block: u32| block.wrapping_mul(0xCC9E_2D51).rotate_left(15).wrapping_mul(0x1B87_3593);
    let mut hash = 0u32;
    let (blocks, tail) = bytes.as_chunks::<4>();
    for block in blocks {
        hash = (hash ^ mixed(u32::from_le_bytes(*block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xE654_6B64);
    }
    let rest = tail.iter().rev().fold(0u32, |rest, byte| (rest << 8) | u32::from(*byte));
    if !tail.is_empty() {
        hash ^= mixed(rest);
    }
    hash ^= u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85EB_CA6B);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xC2B2_AE35);
    hash ^ (hash >> 16)
}

/// The partition values of a column, in a plan.
#[derive(Debug, Eq)]
pub(super) struct TransformExpr {
    pub transform: Transform,
    pub input: Arc<dyn PhysicalExpr>,
    pub field: FieldRef,
}

// Derived, these would try to move the input.
impl PartialEq for TransformExpr {
    fn eq(&self, other: &Self) -> bool {
        self.transform == other.transform && self.input.as_ref() == other.input.as_ref() && self.field == other.field
    }
}

impl Hash for TransformExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.transform.hash(state);
        self.input.as_ref().hash(state);
    }
}

impl fmt::Display for TransformExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.transform, self.input)
    }
}

impl PhysicalExpr for TransformExpr {
    fn data_type(&self, _input: &Schema) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }
    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(true)
    }
    fn return_field(&self, _input: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.field))
    }
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let column = self.input.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(ColumnarValue::Array(apply(self.transform, &column)?))
    }
    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.input]
    }
    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(input) = children.pop() else {
            return exec_err!("a partition transform has one input");
        };
        Ok(Arc::new(Self { transform: self.transform, input, field: Arc::clone(&self.field) }))
    }
    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.input.fmt_sql(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the specification.
    #[test]
    fn hashes_of_the_specification() {
        assert_eq!(murmur3(&34i64.to_le_bytes()).cast_signed(), 2_017_239_379);
        assert_eq!(murmur3(b"iceberg").cast_signed(), 1_210_000_089);
        assert_eq!(murmur3(&shortest(1420)).cast_signed(), -500_754_589);
        assert_eq!(murmur3(&[0, 1, 2, 3]).cast_signed(), -188_683_207);
    }

    #[test]
    fn values() {
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), Some(-1), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["icebérg"]));
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![-1, 31]));
        let of = |transform, column: &ArrayRef| apply(transform, column).unwrap();
        assert_eq!(of(Transform::Truncate(10), &ints).as_primitive::<Int32Type>().values()[..2], [0, -10]);
        assert_eq!(of(Transform::Truncate(5), &texts).as_string::<i32>().value(0), "icebé");
        assert_eq!(of(Transform::Month, &dates).as_primitive::<Int32Type>().values().as_ref(), [-1, 1]);
        assert_eq!(of(Transform::Year, &dates).as_primitive::<Int32Type>().values().as_ref(), [-1, 0]);
        assert_eq!(of(Transform::Void, &ints).null_count(), 3);
        assert!(apply(Transform::Hour, &texts).is_err());
    }
}
