//! Spark's order and equality of values, nested ones too.
//!
//! `NaN` equals itself and is greater than any number; `-0.0` equals `0.0`; NULL comes first; arrays compare element by
//! element, structs field by field; strings compare by their collation. Each value becomes a row of bytes (Arrow's row
//! format) that compares as the value does, so one comparison is one `memcmp`.
//!
//! ```text
//!  Order::of(type) ──▶ keys(array) ──▶ Rows: keys.row(i) == / < keys.row(j)
//! ```
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, PrimitiveArray, StringArray, StructArray};
use arrow::compute::SortOptions;
use arrow::datatypes::{ArrowPrimitiveType, DataType as ArrowType, Float32Type, Float64Type};
use arrow::row::{RowConverter, Rows, SortField};
use firesteel_plan::{DataType, Result};

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
        let field = SortField::new_with_options(arrow_type.clone(), options);
        let converter = RowConverter::new(vec![field]).map_err(from_arrow)?;
        Ok(Self { data_type: data_type.clone(), arrow_type, converter })
    }

    /// Keys of an array's values; keys from the same `Order` compare with each other.
    pub fn keys(&self, values: &ArrayRef) -> Result<Rows> {
        let values = normalize(&conform(values, &self.arrow_type)?, &self.data_type);
        self.converter.convert_columns(&[values]).map_err(from_arrow)
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
        DataType::String(collation) => collated(array, collation.name()),
        DataType::Array(element, _) => match (array.as_list_opt::<i32>(), array.data_type()) {
            (Some(list), ArrowType::List(field)) => {
                let values = normalize(list.values(), element);
                let (field, offsets) = (Arc::clone(field), list.offsets().clone());
                Arc::new(ListArray::new(field, offsets, values, list.nulls().cloned()))
            }
            _ => Arc::clone(array),
        },
        DataType::Map(key, value, _) => match (array.as_map_opt(), array.data_type()) {
            (Some(map), ArrowType::Map(field, ordered)) => {
                let columns = vec![normalize(map.keys(), key), normalize(map.values(), value)];
                let entries = StructArray::new(map.entries().fields().clone(), columns, None);
                let (field, offsets) = (Arc::clone(field), map.offsets().clone());
                Arc::new(MapArray::new(field, offsets, entries, map.nulls().cloned(), *ordered))
            }
            _ => Arc::clone(array),
        },
        DataType::Struct(fields) => match array.as_struct_opt() {
            Some(s) if s.num_columns() == fields.fields.len() => {
                let columns = s.columns().iter().zip(fields.fields.iter());
                let columns = columns.map(|(c, f)| normalize(c, &f.data_type)).collect();
                Arc::new(StructArray::new(s.fields().clone(), columns, s.nulls().cloned()))
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

/// Sort keys of a collation: lower case where it ignores case, trimmed where it ignores spaces.
fn collated(array: &ArrayRef, collation: &str) -> ArrayRef {
    let Some(strings) = array.as_string_opt::<i32>() else { return Arc::clone(array) };
    let name = collation.to_ascii_uppercase();
    let lower = name.contains("_LCASE") || name.split('_').any(|part| part == "CI");
    let (left, right) = (name.contains("_LTRIM"), name.contains("_RTRIM"));
    let (left, right) = (left || name.ends_with("_TRIM"), right || name.ends_with("_TRIM"));
    let key = |text: &str| {
        let text = if left { text.trim_start_matches(' ') } else { text };
        let text = if right { text.trim_end_matches(' ') } else { text };
        if lower { text.to_lowercase() } else { text.to_string() }
    };
    Arc::new(strings.iter().map(|s| s.map(key)).collect::<StringArray>())
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
