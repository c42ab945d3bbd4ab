//! Casts to and from VARIANT.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError};
use parquet_variant::Variant;
use parquet_variant_compute::cast_to_variant;
use parquet_variant_json::VariantToJson;

use super::CastMode;
use super::kernel::{self, Caster};
use crate::quote::sql_type;
use crate::scalar::{from_arrow, from_datafusion};
use crate::types;

pub fn convert(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    if *to == DataType::Variant {
        return to_variant(array);
    }
    if *from != DataType::Variant {
        return Err(SparkError::internal(format!("no cast from {from} to {to}")));
    }
    let variants = array.as_struct_opt().ok_or_else(|| SparkError::internal("variants were expected"))?;
    let rows = (0..variants.len()).map(|row| from_variant_row(variants, row, to, caster));
    let rows = rows.collect::<Result<Vec<ArrayRef>>>()?;
    if rows.is_empty() {
        return Ok(new_null_array(&types::to_arrow(to), 0));
    }
    concat(&rows.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(from_arrow)
}

/// Arrow's conversion, with the columns in the order and types that VARIANT has here.
fn to_variant(array: &ArrayRef) -> Result<ArrayRef> {
    let variants = cast_to_variant(array.as_ref()).map_err(from_arrow)?;
    let binary = |column: &ArrayRef| arrow::compute::cast(column, &ArrowType::Binary).map_err(from_arrow);
    let columns = vec![binary(variants.value_column())?, binary(variants.metadata_column())?];
    let ArrowType::Struct(fields) = types::to_arrow(&DataType::Variant) else {
        return Err(SparkError::internal("VARIANT is not a struct"));
    };
    let result = StructArray::try_new(fields, columns, array.logical_nulls()).map_err(from_arrow)?;
    Ok(Arc::new(result))
}

fn from_variant_row(variants: &StructArray, row: usize, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    let bytes = |i: usize| variants.column(i).as_binary_opt::<i32>().map(|b| b.value(row));
    let (false, Some(value), Some(metadata)) = (variants.is_null(row), bytes(0), bytes(1)) else {
        return Ok(new_null_array(&types::to_arrow(to), 1));
    };
    let variant = Variant::try_new(metadata, value).map_err(from_arrow)?;
    // Inside, every failure is the same error or NULL.
    let strict = Caster { mode: CastMode::Ansi, ..*caster };
    match value_of(&variant, to, &strict) {
        Ok(value) => Ok(value),
        Err(_) if caster.mode == CastMode::Ansi => Err(invalid(&variant, to)),
        Err(_) => Ok(new_null_array(&types::to_arrow(to), 1)),
    }
}

fn invalid(variant: &Variant<'_, '_>, to: &DataType) -> SparkError {
    let value = variant.to_json_string().unwrap_or_default();
    SparkError::new("INVALID_VARIANT_CAST", [("value", value), ("dataType", sql_type(to))])
}

/// One value as an array of one row.
fn value_of(variant: &Variant<'_, '_>, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    match (variant, to) {
        (Variant::Null, _) => Ok(new_null_array(&types::to_arrow(to), 1)),
        (Variant::List(items), DataType::Array(element, nullable)) => {
            let values = items.iter().map(|v| value_of(&v, element, caster)).collect::<Result<Vec<_>>>()?;
            let values = joined(&values, element)?;
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([values.len()]);
            let list = arrow::array::ListArray::try_new(types::list_field(element, *nullable), offsets, values, None);
            Ok(Arc::new(list.map_err(from_arrow)?))
        }
        (Variant::Object(object), DataType::Map(key, value, nullable)) if key.is_string() => {
            let (keys, values): (Vec<_>, Vec<_>) = object.iter().unzip();
            let values = values.iter().map(|v| value_of(v, value, caster)).collect::<Result<Vec<_>>>()?;
            let keys: ArrayRef = Arc::new(arrow::array::StringArray::from_iter_values(keys));
            let field = types::map_field(key, value, *nullable);
            let ArrowType::Struct(children) = field.data_type().clone() else { return Err(invalid(variant, to)) };
            let entries = StructArray::try_new(children, vec![keys, joined(&values, value)?], None);
            let entries = entries.map_err(from_arrow)?;
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([entries.len()]);
            let map = arrow::array::MapArray::try_new(field, offsets, entries, None, false).map_err(from_arrow)?;
            Ok(Arc::new(map))
        }
        (Variant::Object(object), DataType::Struct(fields)) => {
            let column = |f: &firesteel_plan::StructField| match object.get(&f.name) {
                Some(value) => value_of(&value, &f.data_type, caster),
                None => Ok(new_null_array(&types::to_arrow(&f.data_type), 1)),
            };
            let columns = fields.fields.iter().map(column).collect::<Result<Vec<_>>>()?;
            let fields = types::to_arrow_fields(fields);
            let result = StructArray::try_new_with_length(fields, columns, None, 1).map_err(from_arrow)?;
            Ok(Arc::new(result))
        }
        (Variant::Object(_) | Variant::List(_), to) if to.is_string() => {
            let text = variant.to_json_string().map_err(from_arrow)?;
            Ok(Arc::new(arrow::array::StringArray::from(vec![text])))
        }
        _ => {
            let Some((scalar, own)) = primitive(variant) else { return Err(invalid(variant, to)) };
            let array = scalar.to_array().map_err(from_datafusion)?;
            if !super::rules::can_cast(&own, to, CastMode::Legacy) {
                return Err(invalid(variant, to));
            }
            kernel::convert(&array, &own, to, caster)
        }
    }
}

fn joined(values: &[ArrayRef], data_type: &DataType) -> Result<ArrayRef> {
    if values.is_empty() {
        return Ok(new_null_array(&types::to_arrow(data_type), 0));
    }
    concat(&values.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(from_arrow)
}

/// A value that is not nested, with its Spark type.
fn primitive(variant: &Variant<'_, '_>) -> Option<(ScalarValue, DataType)> {
    let decimal = |v: i128, p: u8, s: u8| (ScalarValue::Decimal128(Some(v), p, s as i8), DataType::Decimal(p, s as i8));
    let days = |d: &chrono::NaiveDate| (*d - chrono::NaiveDate::default()).num_days() as i32;
    let micros = |t: chrono::DateTime<chrono::Utc>| t.timestamp_micros();
    let zoned = |v: i64| (ScalarValue::TimestampMicrosecond(Some(v), Some("UTC".into())), DataType::Timestamp);
    let plain = |v: i64| (ScalarValue::TimestampMicrosecond(Some(v), None), DataType::TimestampNtz);
    Some(match variant {
        Variant::Int8(v) => (ScalarValue::Int64(Some((*v).into())), DataType::Long),
        Variant::Int16(v) => (ScalarValue::Int64(Some((*v).into())), DataType::Long),
        Variant::Int32(v) => (ScalarValue::Int64(Some((*v).into())), DataType::Long),
        Variant::Int64(v) => (ScalarValue::Int64(Some(*v)), DataType::Long),
        Variant::BooleanTrue => (ScalarValue::Boolean(Some(true)), DataType::Boolean),
        Variant::BooleanFalse => (ScalarValue::Boolean(Some(false)), DataType::Boolean),
        Variant::Float(v) => (ScalarValue::Float32(Some(*v)), DataType::Float),
        Variant::Double(v) => (ScalarValue::Float64(Some(*v)), DataType::Double),
        Variant::Decimal4(v) => decimal(v.integer().into(), 9, v.scale()),
        Variant::Decimal8(v) => decimal(v.integer().into(), 18, v.scale()),
        Variant::Decimal16(v) => decimal(v.integer(), 38, v.scale()),
        Variant::Date(v) => (ScalarValue::Date32(Some(days(v))), DataType::Date),
        Variant::TimestampMicros(v) | Variant::TimestampNanos(v) => zoned(micros(*v)),
        Variant::TimestampNtzMicros(v) | Variant::TimestampNtzNanos(v) => plain(v.and_utc().timestamp_micros()),
        Variant::String(v) => (ScalarValue::Utf8(Some((*v).to_string())), DataType::STRING),
        Variant::ShortString(v) => (ScalarValue::Utf8(Some(v.as_str().to_string())), DataType::STRING),
        Variant::Binary(v) => (ScalarValue::Binary(Some(v.to_vec())), DataType::Binary),
        Variant::Uuid(v) => (ScalarValue::Utf8(Some(v.to_string())), DataType::STRING),
        _ => return None,
    })
}
