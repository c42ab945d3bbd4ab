//! Columns of any type as variants.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use firesteel_plan::{DataType, Result, SparkError};

use super::decode::{Kind, Variant, malformed};
use super::encode::Encoder;

/// Appends the value in `row`.
pub fn write(array: &ArrayRef, row: usize, data_type: &DataType, encoder: &mut Encoder) -> Result<()> {
    if array.is_null(row) || *data_type == DataType::Null {
        encoder.null();
        return Ok(());
    }
    match data_type {
        DataType::Boolean => encoder.boolean(array.as_boolean().value(row)),
        DataType::Byte => encoder.long(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Short => encoder.long(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Integer => encoder.long(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Long => encoder.long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float => encoder.float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Double => encoder.double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal(_, scale) => {
            let scale = u8::try_from(*scale).unwrap_or(0);
            encoder.decimal(array.as_primitive::<Decimal128Type>().value(row), scale);
        }
        DataType::String(_) | DataType::Char(_) | DataType::Varchar(_) => {
            encoder.string(array.as_string::<i32>().value(row));
        }
        DataType::Binary => encoder.binary(array.as_binary::<i32>().value(row)),
        DataType::Date => encoder.date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp => encoder.timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::TimestampNtz => encoder.timestamp_ntz(array.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Variant => {
            let structs = array.as_struct();
            let (value, metadata) = (structs.column(0).as_binary::<i32>(), structs.column(1).as_binary::<i32>());
            return copy(&Variant::new(value.value(row), metadata.value(row))?, encoder);
        }
        _ => return write_nested(array, row, data_type, encoder),
    }
    Ok(())
}

fn write_nested(array: &ArrayRef, row: usize, data_type: &DataType, encoder: &mut Encoder) -> Result<()> {
    // The encoder's closures answer `None` on failure; the error itself is kept here.
    let mut failure = None;
    let done = match data_type {
        DataType::Array(element, _) => {
            let items = array.as_list::<i32>().value(row);
            encoder.array(items.len(), |e, i| write(&items, i, element, e).map_err(|x| failure = Some(x)).ok())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            // Fields stand in the order of their names.
            let mut order: Vec<usize> = (0..columns.len()).collect();
            order.sort_by(|a, b| fields.fields[*a].name.cmp(&fields.fields[*b].name));
            let keys: Vec<&str> = order.iter().map(|i| fields.fields[*i].name.as_str()).collect();
            encoder.object(&keys, |e, i| {
                let at = order[i];
                write(&columns[at], row, &fields.fields[at].data_type, e).map_err(|x| failure = Some(x)).ok()
            })
        }
        DataType::Map(_, value, _) => {
            let entries = array.as_map().value(row);
            let Some(names) = entries.column(0).as_string_opt::<i32>() else { return Err(unsupported(data_type)) };
            let keys: Vec<&str> = (0..names.len()).map(|i| names.value(i)).collect();
            let values = entries.column(1);
            encoder.object(&keys, |e, i| write(values, i, value, e).map_err(|x| failure = Some(x)).ok())
        }
        other => return Err(unsupported(other)),
    };
    match (done, failure) {
        (_, Some(error)) => Err(error),
        (None, None) => Err(malformed()),
        (Some(()), None) => Ok(()),
    }
}

fn unsupported(data_type: &DataType) -> SparkError {
    SparkError::unsupported(format!("{} as VARIANT", data_type.sql()))
}

/// Appends a variant with the keys it needs itself.
pub fn copy(variant: &Variant<'_>, encoder: &mut Encoder) -> Result<()> {
    let mut failure = None;
    let done = match variant.kind()? {
        Kind::Null => {
            encoder.null();
            Some(())
        }
        Kind::Boolean(value) => {
            encoder.boolean(value);
            Some(())
        }
        Kind::Long(value) => {
            encoder.long(value);
            Some(())
        }
        Kind::Double(value) => {
            encoder.double(value);
            Some(())
        }
        Kind::Float(value) => {
            encoder.float(value);
            Some(())
        }
        Kind::Decimal(unscaled, scale) => {
            encoder.decimal(unscaled, scale);
            Some(())
        }
        Kind::Date(days) => {
            encoder.date(days);
            Some(())
        }
        Kind::Timestamp(micros) => {
            encoder.timestamp(micros);
            Some(())
        }
        Kind::TimestampNtz(micros) => {
            encoder.timestamp_ntz(micros);
            Some(())
        }
        Kind::String(text) => {
            encoder.string(text);
            Some(())
        }
        Kind::Binary(bytes) => {
            encoder.binary(bytes);
            Some(())
        }
        Kind::Uuid(bytes) => {
            encoder.string(&uuid::Uuid::from_bytes(bytes).to_string());
            Some(())
        }
        Kind::Array(items) => encoder.array(items.len(), |e, i| {
            items.get(i).and_then(|item| copy(&item, e)).map_err(|x| failure = Some(x)).ok()
        }),
        Kind::Object(fields) => {
            let keys: Vec<&str> = (0..fields.len()).map(|i| fields.key(i)).collect::<Result<_>>()?;
            encoder.object(&keys, |e, i| {
                fields.get(i).and_then(|field| copy(&field, e)).map_err(|x| failure = Some(x)).ok()
            })
        }
    };
    match (done, failure) {
        (_, Some(error)) => Err(error),
        (None, None) => Err(malformed()),
        (Some(()), None) => Ok(()),
    }
}
