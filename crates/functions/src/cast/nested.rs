//! Casts of arrays, maps and structs, element by element.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray};
use firesteel_plan::{DataType, Result, SparkError};

use super::kernel::{self, Caster};
use crate::types;

pub fn convert(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    let wrong = || SparkError::internal(format!("no cast from {from} to {to}"));
    let failed = crate::scalar::from_arrow;
    match (from, to) {
        (DataType::Array(from, _), DataType::Array(to, nullable)) => {
            let list = array.as_list_opt::<i32>().ok_or_else(wrong)?;
            let values = kernel::convert(list.values(), from, to, caster)?;
            let field = types::list_field(to, *nullable);
            let list = ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned());
            Ok(Arc::new(list.map_err(failed)?))
        }
        (DataType::Map(k1, v1, _), DataType::Map(k2, v2, nullable)) => {
            let map = array.as_map_opt().ok_or_else(wrong)?;
            let keys = kernel::convert(map.keys(), k1, k2, caster)?;
            let values = kernel::convert(map.values(), v1, v2, caster)?;
            let field = types::map_field(k2, v2, *nullable);
            let arrow::datatypes::DataType::Struct(children) = field.data_type() else { return Err(wrong()) };
            let entries = StructArray::try_new(children.clone(), vec![keys, values], None).map_err(failed)?;
            let map = MapArray::try_new(field, map.offsets().clone(), entries, map.nulls().cloned(), false);
            Ok(Arc::new(map.map_err(failed)?))
        }
        (DataType::Struct(a), DataType::Struct(b)) => {
            let input = array.as_struct_opt().ok_or_else(wrong)?;
            let columns = a.fields.iter().zip(b.fields.iter()).zip(input.columns());
            let columns = columns
                .map(|((x, y), column)| kernel::convert(column, &x.data_type, &y.data_type, caster))
                .collect::<Result<Vec<_>>>()?;
            let fields = types::to_arrow_fields(b);
            let nulls = input.nulls().cloned();
            let result = StructArray::try_new_with_length(fields, columns, nulls, array.len());
            Ok(Arc::new(result.map_err(failed)?))
        }
        _ => Err(wrong()),
    }
}
