//! Spark's order and equality of values, nested ones too.
//!
//! `NaN` equals itself and is greater than any number; `-0.0` equals `0.0`; NULL comes first; arrays compare element by
//! element, structs field by field; strings compare by their collation. Each value becomes a key that compares as the
//! value does: a 64-bit number where the type fits in one, else a row of bytes (Arrow's row format), so that one comparison
//! is one subtraction or one `memcmp`.
//!
//! ```text
//!  Order::of(type) ──▶ keys(array) ──▶ Keys: keys.row(i) == / < keys.row(j)
//! ```
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, ListArray, MapArray, PrimitiveArray, StructArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow::row::{OwnedRow, Row, RowConverter, Rows, SortField};
use firesteel_plan::{DataType, Result, StructField};

use crate::collation::Collator;
use crate::nested::conform;
use crate::scalar::from_arrow;
use crate::types;

/// The ascending order of one type, NULL first.
pub struct Order {
    data_type: DataType,
    arrow_type: ArrowType,
    converter: RowConverter,
}

impl Order {
    pub fn of(data_type: &DataType) -> Result<Self> {
        let arrow_type = types::to_arrow(data_type);
        let options = SortOptions { descending: false, nulls_first: true };
        let field = SortField::new_with_options(types::to_arrow(&key_type(data_type)), options);
        let converter = RowConverter::new(vec![field]).map_err(from_arrow)?;
        Ok(Self { data_type: data_type.clone(), arrow_type, converter })
    }

    /// Keys of an array's values; keys from the same `Order` compare with each other.
    pub fn keys(&self, values: &ArrayRef) -> Result<Keys> {
        let values = normalize(&conform(values, &self.arrow_type)?, &self.data_type);
        if let Some(numbers) = numbers(&values) {
            return Ok(Keys::Numbers(numbers));
        }
        self.converter.convert_columns(&[values]).map(Keys::Bytes).map_err(from_arrow)
    }
}

/// The keys of an array's values.
pub enum Keys {
    /// `None` is NULL
    Numbers(Vec<Option<i64>>),
    Bytes(Rows),
}

/// The key of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key<'a> {
    Number(Option<i64>),
    Bytes(Row<'a>),
}

/// A key that outlives its array.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OwnedKey {
    Number(Option<i64>),
    Bytes(OwnedRow),
}

impl Keys {
    pub fn row(&self, index: usize) -> Key<'_> {
        match self {
            Self::Numbers(numbers) => Key::Number(numbers[index]),
            Self::Bytes(rows) => Key::Bytes(rows.row(index)),
        }
    }
}

impl Key<'_> {
    pub fn owned(self) -> OwnedKey {
        match self {
            Self::Number(number) => OwnedKey::Number(number),
            Self::Bytes(row) => OwnedKey::Bytes(row.owned()),
        }
    }
}

/// The values as numbers of the same order; `None` for a type that does not fit in 64 bits.
fn numbers(values: &ArrayRef) -> Option<Vec<Option<i64>>> {
    fn of<T: ArrowPrimitiveType>(values: &ArrayRef, number: impl Fn(T::Native) -> i64) -> Option<Vec<Option<i64>>> {
        Some(values.as_primitive_opt::<T>()?.iter().map(|value| value.map(&number)).collect())
    }
    // The bits of a double order as integers do, but for those of negative ones, which order backwards.
    let double = |value: f64| {
        let bits = value.to_bits() as i64;
        bits ^ (((bits >> 63) as u64) >> 1) as i64
    };
    match values.data_type() {
        ArrowType::Int8 => of::<Int8Type>(values, i64::from),
        ArrowType::Int16 => of::<Int16Type>(values, i64::from),
        ArrowType::Int32 => of::<Int32Type>(values, i64::from),
        ArrowType::Int64 => of::<Int64Type>(values, |value| value),
        ArrowType::Date32 => of::<Date32Type>(values, i64::from),
        ArrowType::Timestamp(..) => of::<TimestampMicrosecondType>(values, |value| value),
        ArrowType::Float32 => of::<Float32Type>(values, |value| double(f64::from(value))),
        ArrowType::Float64 => of::<Float64Type>(values, double),
        _ => None,
    }
}

/// The array with one representation for values that are equal in Spark.
pub fn normalize(array: &ArrayRef, data_type: &DataType) -> ArrayRef {
    if !needs_normalizing(data_type) {
        return Arc::clone(array);
    }
    match data_type {
        DataType::Float => floats::<Float32Type>(array, |v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
        DataType::Double => floats::<Float64Type>(array, |v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
        DataType::String(_) => collated(array, &Collator::of(data_type)),
        DataType::Array(element, contains_null) => match array.as_list_opt::<i32>() {
            Some(list) => {
                let (field, offsets) = (types::list_field(&key_type(element), *contains_null), list.offsets().clone());
                let values = normalize(list.values(), element);
                Arc::new(ListArray::new(field, offsets, values, list.nulls().cloned()))
            }
            None => Arc::clone(array),
        },
        DataType::Map(key, value, contains_null) => match array.as_map_opt() {
            Some(map) => {
                let field = types::map_field(&key_type(key), &key_type(value), *contains_null);
                let columns = vec![normalize(map.keys(), key), normalize(map.values(), value)];
                let fields = match field.data_type() {
                    ArrowType::Struct(fields) => fields.clone(),
                    _ => map.entries().fields().clone(),
                };
                let entries = StructArray::new(fields, columns, None);
                Arc::new(MapArray::new(field, map.offsets().clone(), entries, map.nulls().cloned(), false))
            }
            None => Arc::clone(array),
        },
        DataType::Struct(fields) => match array.as_struct_opt() {
            Some(s) if s.num_columns() == fields.fields.len() => {
                let columns = s.columns().iter().zip(fields.fields.iter());
                let columns = columns.map(|(c, f)| normalize(c, &f.data_type)).collect();
                let fields = match types::to_arrow(&key_type(data_type)) {
                    ArrowType::Struct(fields) => fields,
                    _ => s.fields().clone(),
                };
                Arc::new(StructArray::new(fields, columns, s.nulls().cloned()))
            }
            _ => Arc::clone(array),
        },
        DataType::Udt { sql_type, .. } => normalize(array, sql_type),
        _ => Arc::clone(array),
    }
}

/// Whether different bytes can be equal values.
fn needs_normalizing(data_type: &DataType) -> bool {
    match data_type {
        DataType::Float | DataType::Double => true,
        DataType::String(collation) => !collation.is_default(),
        DataType::Array(element, _) => needs_normalizing(element),
        DataType::Map(key, value, _) => needs_normalizing(key) || needs_normalizing(value),
        DataType::Struct(fields) => fields.fields.iter().any(|f| needs_normalizing(&f.data_type)),
        DataType::Udt { sql_type, .. } => needs_normalizing(sql_type),
        _ => false,
    }
}

fn floats<T: ArrowPrimitiveType>(array: &ArrayRef, canonical: impl Fn(T::Native) -> T::Native) -> ArrayRef {
    match array.as_primitive_opt::<T>() {
        Some(values) => Arc::new(values.unary::<_, T>(canonical)) as Arc<PrimitiveArray<T>>,
        None => Arc::clone(array),
    }
}

/// The collation's sort keys.
fn collated(array: &ArrayRef, collator: &Collator) -> ArrayRef {
    match array.as_string_opt::<i32>() {
        Some(strings) => Arc::new(strings.iter().map(|s| s.map(|s| collator.key(s))).collect::<BinaryArray>()),
        None => Arc::clone(array),
    }
}

/// The type of normalized values: bytes for strings with a collation.
fn key_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::String(collation) if !collation.is_default() => DataType::Binary,
        DataType::Array(element, contains_null) => DataType::array(key_type(element), *contains_null),
        DataType::Map(key, value, contains_null) => DataType::map(key_type(key), key_type(value), *contains_null),
        DataType::Struct(fields) => DataType::structure(
            fields.fields.iter().map(|f| StructField::new(&f.name, key_type(&f.data_type), f.nullable)).collect(),
        ),
        DataType::Udt { sql_type, .. } => key_type(sql_type),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Float64Array;

    #[test]
    fn nan_is_greatest_and_zeros_are_equal() {
        let values: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.0), Some(-f64::NAN), Some(f64::INFINITY), None]));
        let keys = Order::of(&DataType::Double).unwrap().keys(&values).unwrap();
        assert!(keys.row(0) == keys.row(1));
        assert!(keys.row(2) > keys.row(3));
        assert!(keys.row(4) < keys.row(0));
    }
}
