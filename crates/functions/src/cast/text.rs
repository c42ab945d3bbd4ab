//! Casts to STRING.
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{
    Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalYearMonthType, Time64NanosecondType, TimestampMicrosecondType,
};
use firesteel_plan::{DataType, Result, SparkError};

use super::CastMode;
use super::kernel::{Caster, primitive};
use crate::datetime::text as datetime;
use crate::interval::CalendarInterval;
use crate::interval::text as interval;
use crate::text_formats::BinaryStyle;
use crate::{decimal, java_number};

/// Every value as Spark shows it in a STRING column.
pub fn to_string(array: &ArrayRef, from: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    if from.is_integral() || *from == DataType::Boolean {
        // Arrow writes integers and booleans as Java does.
        let cast = arrow::compute::cast(array, &arrow::datatypes::DataType::Utf8);
        return cast.map_err(crate::scalar::from_arrow);
    }
    if from.is_string() {
        return Ok(Arc::clone(array));
    }
    let writer = Writer::new(array, from, caster)?;
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut buffer = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
        } else {
            buffer.clear();
            writer.write(&mut buffer, row);
            out.append_value(&buffer);
        }
    }
    let strings: StringArray = out.finish();
    Ok(Arc::new(strings))
}

/// Writes the value of a row that is not NULL.
struct Writer<'a> {
    write: Box<dyn Fn(&mut String, usize) + 'a>,
}

impl<'a> Writer<'a> {
    fn write(&self, out: &mut String, row: usize) {
        (self.write)(out, row);
    }

    fn new(array: &'a ArrayRef, from: &'a DataType, caster: &'a Caster<'_>) -> Result<Self> {
        macro_rules! values {
            ($t:ty, $f:expr) => {{
                let values = primitive::<$t>(array)?;
                let write = $f;
                Box::new(move |out: &mut String, row: usize| write(out, values.value(row)))
            }};
        }
        let display = |out: &mut String, value: &dyn std::fmt::Display| {
            let _ = write!(out, "{value}");
        };
        let zone = caster.zone;
        let plain = caster.mode != CastMode::Legacy;
        let write: Box<dyn Fn(&mut String, usize) + 'a> = match from {
            DataType::Null => Box::new(move |out, _| out.push_str(null_text(caster))),
            DataType::Boolean => {
                let values = crate::scalar::as_boolean(array)?;
                Box::new(move |out, row| out.push_str(if values.value(row) { "true" } else { "false" }))
            }
            DataType::Byte => values!(Int8Type, move |out: &mut String, v| display(out, &v)),
            DataType::Short => values!(Int16Type, move |out: &mut String, v| display(out, &v)),
            DataType::Integer => values!(Int32Type, move |out: &mut String, v| display(out, &v)),
            DataType::Long => values!(Int64Type, move |out: &mut String, v| display(out, &v)),
            DataType::Float => values!(Float32Type, java_number::push_float),
            DataType::Double => values!(Float64Type, java_number::push_double),
            DataType::Decimal(_, s) => {
                let scale = *s;
                values!(Decimal128Type, move |out: &mut String, v| out.push_str(&if plain {
                    decimal::plain(v, scale)
                } else {
                    decimal::scientific(v, scale)
                }))
            }
            t if t.is_string() => {
                let values = array.as_string_opt::<i32>().ok_or_else(|| unexpected(array))?;
                Box::new(move |out, row| out.push_str(values.value(row)))
            }
            DataType::Binary => {
                let values = array.as_binary_opt::<i32>().ok_or_else(|| unexpected(array))?;
                if caster.pretty {
                    Box::new(move |out, row| BinaryStyle::HexDiscrete.push(out, values.value(row)))
                } else {
                    Box::new(move |out, row| out.push_str(&String::from_utf8_lossy(values.value(row))))
                }
            }
            DataType::Date => {
                values!(Date32Type, |out: &mut String, v| datetime::push_date(out, i64::from(v)))
            }
            DataType::Timestamp => values!(TimestampMicrosecondType, move |out: &mut String, v| {
                datetime::push_timestamp(out, zone.to_local(v))
            }),
            DataType::TimestampNtz => values!(TimestampMicrosecondType, datetime::push_timestamp),
            DataType::Time(_) => {
                values!(Time64NanosecondType, datetime::push_time)
            }
            DataType::YearMonthInterval(a, b) => values!(IntervalYearMonthType, move |out: &mut String, v| {
                out.push_str(&interval::format_year_month(v, *a, *b))
            }),
            DataType::DayTimeInterval(a, b) => values!(DurationMicrosecondType, move |out: &mut String, v| {
                out.push_str(&interval::format_day_time(v, *a, *b))
            }),
            DataType::Variant => {
                let zone = &caster.context.time_zone;
                let parts = array.as_struct_opt().ok_or_else(|| unexpected(array))?;
                let part = |name| parts.column_by_name(name).and_then(|column| column.as_binary_opt::<i32>());
                let (Some(values), Some(metadata)) = (part("value"), part("metadata")) else {
                    return Err(unexpected(array));
                };
                Box::new(move |out, row| {
                    // A damaged variant shows as far as it can be read.
                    let _ = crate::variant::text::write_json(values.value(row), metadata.value(row), zone, out);
                })
            }
            DataType::CalendarInterval => values!(IntervalMonthDayNanoType, |out: &mut String, v| {
                out.push_str(&interval::format_calendar(CalendarInterval::from_arrow(v)))
            }),
            DataType::Array(element, _) => Self::list(array, element, caster)?,
            DataType::Map(key, value, _) => Self::map(array, key, value, caster)?,
            DataType::Struct(fields) => Self::structure(array, &fields.fields, caster)?,
            other => return Err(SparkError::unsupported(format!("the text of {other}"))),
        };
        Ok(Self { write })
    }

    fn list(
        array: &'a ArrayRef,
        element: &'a DataType,
        caster: &'a Caster<'_>,
    ) -> Result<Box<dyn Fn(&mut String, usize) + 'a>> {
        let list = array.as_list_opt::<i32>().ok_or_else(|| unexpected(array))?;
        let values = list.values();
        let writer = Self::new(values, element, caster)?;
        Ok(Box::new(move |out, row| {
            let offsets = list.value_offsets();
            let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            out.push('[');
            for i in start..end {
                if i > start {
                    out.push_str(", ");
                }
                writer.write_or_null(out, values, i, caster);
            }
            out.push(']');
        }))
    }

    fn map(
        array: &'a ArrayRef,
        key: &'a DataType,
        value: &'a DataType,
        caster: &'a Caster<'_>,
    ) -> Result<Box<dyn Fn(&mut String, usize) + 'a>> {
        let map = array.as_map_opt().ok_or_else(|| unexpected(array))?;
        let (keys, values) = (map.keys(), map.values());
        let key_writer = Self::new(keys, key, caster)?;
        let value_writer = Self::new(values, value, caster)?;
        Ok(Box::new(move |out, row| {
            let offsets = map.value_offsets();
            let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
            out.push('{');
            for i in start..end {
                if i > start {
                    out.push_str(", ");
                }
                key_writer.write_or_null(out, keys, i, caster);
                out.push_str(" -> ");
                value_writer.write_or_null(out, values, i, caster);
            }
            out.push('}');
        }))
    }

    fn structure(
        array: &'a ArrayRef,
        fields: &'a [firesteel_plan::StructField],
        caster: &'a Caster<'_>,
    ) -> Result<Box<dyn Fn(&mut String, usize) + 'a>> {
        let columns = array.as_struct_opt().ok_or_else(|| unexpected(array))?.columns();
        let writers: Vec<_> = columns
            .iter()
            .zip(fields)
            .map(|(column, field)| Self::new(column, &field.data_type, caster))
            .collect::<Result<_>>()?;
        Ok(Box::new(move |out, row| {
            out.push('{');
            for (i, (writer, column)) in writers.iter().zip(columns).enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                writer.write_or_null(out, column, row, caster);
            }
            out.push('}');
        }))
    }

    fn write_or_null(&self, out: &mut String, array: &ArrayRef, row: usize, caster: &Caster<'_>) {
        if array.is_null(row) { out.push_str(null_text(caster)) } else { self.write(out, row) }
    }
}

/// NULL inside another value.
fn null_text(caster: &Caster<'_>) -> &'static str {
    if caster.pretty { "NULL" } else { "null" }
}

fn unexpected(array: &ArrayRef) -> SparkError {
    SparkError::internal(format!("no text for {}", array.data_type()))
}
