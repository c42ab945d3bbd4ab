//! Arrays of one Arrow type as another that means the same to Spark: nested fields are matched by name, missing ones are
//! null, and only lossless or Spark-sanctioned conversions of values are made (checked by the caller).
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, Int32Array, Int64Array, MapArray, OffsetSizeTrait,
    StructArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, SchemaRef, TimeUnit};
use arrow::datatypes::{DurationMicrosecondType, Int32Type, Int64Type, IntervalYearMonthType};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use firesteel_plan::{Result, SparkError};

/// Converts an array. `exact_case`: nested names must agree in case.
pub(crate) fn convert(array: &ArrayRef, to: &DataType, exact_case: bool) -> std::result::Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), to) {
        (DataType::Struct(_), DataType::Struct(fields)) => convert_struct(array.as_struct(), fields, exact_case),
        (DataType::List(_), DataType::List(field)) => convert_list(array.as_list::<i32>(), field, exact_case),
        (DataType::LargeList(_), DataType::List(field)) => {
            convert_list(&narrow_offsets(array.as_list::<i64>())?, field, exact_case)
        }
        (DataType::FixedSizeList(..), DataType::List(field)) => {
            convert_list(&from_fixed(array.as_fixed_size_list())?, field, exact_case)
        }
        (DataType::Map(..), DataType::Map(entries, _)) => convert_map(array.as_map(), entries, exact_case),
        (DataType::Int64, DataType::Duration(TimeUnit::Microsecond)) => {
            Ok(Arc::new(array.as_primitive::<Int64Type>().reinterpret_cast::<DurationMicrosecondType>()))
        }
        (DataType::Duration(TimeUnit::Microsecond), DataType::Int64) => {
            let values = array.as_primitive::<DurationMicrosecondType>();
            Ok(Arc::new(Int64Array::new(values.values().clone(), values.nulls().cloned())))
        }
        (DataType::Int32, DataType::Interval(IntervalUnit::YearMonth)) => {
            Ok(Arc::new(array.as_primitive::<Int32Type>().reinterpret_cast::<IntervalYearMonthType>()))
        }
        (DataType::Interval(IntervalUnit::YearMonth), DataType::Int32) => {
            let values = array.as_primitive::<IntervalYearMonthType>();
            Ok(Arc::new(Int32Array::new(values.values().clone(), values.nulls().cloned())))
        }
        _ => cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

/// An array as a type that differs from its own in the names of nested fields alone.
pub(crate) fn with_names(array: &ArrayRef, to: &DataType) -> std::result::Result<ArrayRef, ArrowError> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let columns = |columns: &[ArrayRef], fields: &Fields| {
        let columns = columns.iter().zip(fields);
        columns.map(|(column, field)| with_names(column, field.data_type())).collect::<std::result::Result<Vec<_>, _>>()
    };
    Ok(match to {
        DataType::Struct(fields) => {
            let array = array.as_struct();
            let columns = columns(array.columns(), fields)?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, array.nulls().cloned(), array.len())?)
        }
        DataType::List(field) => {
            let array = array.as_list::<i32>();
            let values = with_names(array.values(), field.data_type())?;
            list_of(Arc::clone(field), array.offsets().to_vec(), values, array.nulls().cloned()).map(Arc::new)?
        }
        DataType::Map(field, sorted) => {
            let array = array.as_map();
            let entries: ArrayRef = Arc::new(array.entries().clone());
            let entries = with_names(&entries, field.data_type())?.as_struct().clone();
            let (offsets, nulls) = (array.offsets().clone(), array.nulls().cloned());
            Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted)?)
        }
        _ => Arc::clone(array),
    })
}

fn find<'a>(fields: &'a Fields, name: &str, exact_case: bool) -> Option<(usize, &'a FieldRef)> {
    fields.find(name).or_else(|| {
        let folded = name.to_lowercase();
        fields.iter().enumerate().find(|(_, field)| !exact_case && field.name().to_lowercase() == folded)
    })
}

fn convert_struct(array: &StructArray, fields: &Fields, exact_case: bool) -> std::result::Result<ArrayRef, ArrowError> {
    let column = |field: &FieldRef| match find(array.fields(), field.name(), exact_case) {
        Some((index, _)) => convert(array.column(index), field.data_type(), exact_case),
        None => Ok(new_null_array(field.data_type(), array.len())),
    };
    let columns = fields.iter().map(column).collect::<std::result::Result<Vec<_>, _>>()?;
    let array = StructArray::try_new_with_length(fields.clone(), columns, array.nulls().cloned(), array.len())?;
    Ok(Arc::new(array))
}

fn convert_list(
    array: &GenericListArray<i32>,
    field: &FieldRef,
    exact_case: bool,
) -> std::result::Result<ArrayRef, ArrowError> {
    let values = convert(array.values(), field.data_type(), exact_case)?;
    let list = GenericListArray::try_new(Arc::clone(field), array.offsets().clone(), values, array.nulls().cloned())?;
    Ok(Arc::new(list))
}

fn narrow_offsets(array: &GenericListArray<i64>) -> std::result::Result<GenericListArray<i32>, ArrowError> {
    let narrow =
        |offset: &i64| i32::try_from(*offset).map_err(|_| ArrowError::OffsetOverflowError(array.values().len()));
    let offsets = array.offsets().iter().map(narrow).collect::<std::result::Result<Vec<i32>, _>>()?;
    list_of(element_field(array.data_type()), offsets, Arc::clone(array.values()), array.nulls().cloned())
}

fn from_fixed(array: &FixedSizeListArray) -> std::result::Result<GenericListArray<i32>, ArrowError> {
    let width = array.value_length();
    let count = i32::try_from(array.len()).map_err(|_| ArrowError::OffsetOverflowError(array.len()))?;
    let offsets = (0..=count).map(|row| row.wrapping_mul(width)).collect();
    list_of(element_field(array.data_type()), offsets, Arc::clone(array.values()), array.nulls().cloned())
}

fn element_field(list: &DataType) -> FieldRef {
    match list {
        DataType::LargeList(field) | DataType::FixedSizeList(field, _) | DataType::List(field) => Arc::clone(field),
        other => Arc::new(Field::new("element", other.clone(), true)),
    }
}

fn list_of<O: OffsetSizeTrait>(
    field: FieldRef,
    offsets: Vec<O>,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> std::result::Result<GenericListArray<O>, ArrowError> {
    GenericListArray::try_new(field, OffsetBuffer::new(offsets.into()), values, nulls)
}

fn convert_map(array: &MapArray, entries: &FieldRef, exact_case: bool) -> std::result::Result<ArrayRef, ArrowError> {
    let DataType::Struct(children) = entries.data_type() else {
        return Err(ArrowError::SchemaError("the entries of a map are a struct".into()));
    };
    // Keys and values are matched by position: their names differ between writers.
    let columns = array.entries().columns().iter().zip(children);
    let columns = columns
        .map(|(column, field)| convert(column, field.data_type(), exact_case))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let structs = StructArray::try_new(children.clone(), columns, array.entries().nulls().cloned())?;
    let map = MapArray::try_new(Arc::clone(entries), array.offsets().clone(), structs, array.nulls().cloned(), false)?;
    Ok(Arc::new(map))
}

/// Whether Spark reads values stored as `from` into a column of type `to`. Nested names are matched as in [`convert`].
pub(crate) fn can_convert(from: &DataType, to: &DataType, exact_case: bool) -> bool {
    use DataType::{
        Binary, Date32, Decimal32, Decimal64, Decimal128, Dictionary, Duration, FixedSizeBinary, Float16, Float32,
        Float64, Int8, Int16, Int32, Int64, Interval, LargeBinary, LargeUtf8, List, Map, Struct, Time32, Time64,
        Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    match (from, to) {
        (a, b) if a == b => true,
        (Dictionary(_, value), to) => can_convert(value, to, exact_case),
        (Struct(have), Struct(want)) => want.iter().all(|field| {
            find(have, field.name(), exact_case)
                .is_none_or(|(_, found)| can_convert(found.data_type(), field.data_type(), exact_case))
        }),
        (List(a) | DataType::LargeList(a) | DataType::FixedSizeList(a, _), List(b)) => {
            can_convert(a.data_type(), b.data_type(), exact_case)
        }
        (Map(a, _), Map(b, _)) => match (a.data_type(), b.data_type()) {
            (Struct(a), Struct(b)) => {
                a.len() == 2
                    && b.len() == 2
                    && a.iter().zip(b).all(|(a, b)| can_convert(a.data_type(), b.data_type(), exact_case))
            }
            _ => false,
        },
        (Int8 | Int16 | Int32 | UInt8 | UInt16, Int8 | Int16 | Int32 | Int64 | Float64) => true,
        (UInt32, Int64) | (Float32 | Float16, Float32 | Float64) | (UInt64, Decimal128(20, 0)) => true,
        (Int32, Date32 | Interval(IntervalUnit::YearMonth)) => true,
        (Int64, Duration(TimeUnit::Microsecond)) | (Duration(_), Duration(TimeUnit::Microsecond)) => true,
        (Int8 | Int16 | Int32, Decimal128(p, s)) => i16::from(*p) - i16::from(*s) >= 10,
        (Int64, Decimal128(p, s)) => i16::from(*p) - i16::from(*s) >= 20,
        (Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s), Decimal128(q, t)) => {
            t >= s && i16::from(*q) - i16::from(*t) >= i16::from(*p) - i16::from(*s)
        }
        (Date32, Timestamp(TimeUnit::Microsecond, None)) => true,
        (Timestamp(..), Timestamp(TimeUnit::Microsecond, _)) => true,
        (Time32(_) | Time64(_), Time64(TimeUnit::Nanosecond)) => true,
        (
            Utf8 | LargeUtf8 | Utf8View | Binary | LargeBinary | DataType::BinaryView | FixedSizeBinary(_),
            Utf8 | Binary,
        ) => true,
        (DataType::Null, _) => true,
        _ => false,
    }
}

/// The columns `wanted` out of a batch of a file: by name, converted, null where the file has none. Errors with
/// `FAILED_READ_FILE.NO_HINT`'s cause where a column cannot be read as the type that is wanted.
pub(crate) fn fit(batch: &RecordBatch, wanted: &SchemaRef, exact_case: bool) -> Result<RecordBatch> {
    let schema = batch.schema();
    let column = |field: &FieldRef| match find(schema.fields(), field.name(), exact_case) {
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
        Some((index, have)) if can_convert(have.data_type(), field.data_type(), exact_case) => {
            convert(batch.column(index), field.data_type(), exact_case)
        }
        Some((_, have)) => Err(ArrowError::CastError(format!(
            "column {} is stored as {} and cannot be read as {}",
            field.name(),
            have.data_type(),
            field.data_type()
        ))),
    };
    let columns = wanted.fields().iter().map(column).collect::<std::result::Result<Vec<_>, _>>();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    columns
        .and_then(|columns| RecordBatch::try_new_with_options(Arc::clone(wanted), columns, &options))
        .map_err(|e| SparkError::internal(e.to_string()).with_cause(e))
}
