//! Rows as JSON text.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalYearMonthType, Time64NanosecondType, TimestampMicrosecondType,
};
use firesteel_plan::{DataType, Result, SparkError};
use std::fmt::Write;

use super::super::FormatOptions;
use super::super::times::{FormatSession, TimeFormats};
use crate::interval::CalendarInterval;
use crate::interval::text::{format_calendar, format_day_time, format_year_month};

/// The options of writing JSON.
#[derive(Debug, Clone)]
pub struct JsonWriteOptions {
    pub times: TimeFormats,
    pub ignore_null_fields: bool,
    pub pretty: bool,
    pub write_non_ascii_as_code_points: bool,
    /// Fields and keys in the order of their names
    pub sort_keys: bool,
}

impl JsonWriteOptions {
    /// `ignore_nulls` is `spark.sql.jsonGenerator.ignoreNullFields`.
    pub fn new(options: &FormatOptions, session: FormatSession<'_>, ignore_nulls: bool) -> Result<Self> {
        Ok(Self {
            times: TimeFormats::new(options, session, false)?,
            ignore_null_fields: options.flag("ignoreNullFields", ignore_nulls)?,
            pretty: options.flag("pretty", false)?,
            write_non_ascii_as_code_points: options.flag("writeNonAsciiCharacterAsCodePoint", false)?,
            sort_keys: options.flag("sortKeys", false)?,
        })
    }
}

/// Writes values of one type.
#[derive(Debug)]
pub struct JsonWriter {
    options: JsonWriteOptions,
}

impl JsonWriter {
    pub fn new(options: JsonWriteOptions) -> Self {
        Self { options }
    }

    /// Appends a row of columns as an object.
    pub fn write_row(
        &self,
        out: &mut String,
        names: &[&str],
        types: &[&DataType],
        columns: &[ArrayRef],
        row: usize,
    ) -> Result<()> {
        let children = names.iter().zip(types).zip(columns);
        self.object(out, children.map(|((name, data_type), column)| (*name, *data_type, column)), row, 0)
    }

    /// Appends the value of an array at a row.
    pub fn write_value(&self, out: &mut String, data_type: &DataType, array: &ArrayRef, row: usize) -> Result<()> {
        self.value(out, data_type, array, row, 0)
    }

    fn line(&self, out: &mut String, depth: usize) {
        if self.options.pretty {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    }

    fn object<'a>(
        &self,
        out: &mut String,
        children: impl Iterator<Item = (&'a str, &'a DataType, &'a ArrayRef)>,
        row: usize,
        depth: usize,
    ) -> Result<()> {
        out.push('{');
        let mut first = true;
        let mut children: Vec<_> = children.collect();
        if self.options.sort_keys {
            children.sort_by_key(|(name, ..)| *name);
        }
        for (name, data_type, column) in children {
            if self.options.ignore_null_fields && is_null(data_type, column, row) {
                continue;
            }
            self.separate(out, &mut first, depth);
            self.key(out, name);
            self.value(out, data_type, column, row, depth + 1)?;
        }
        self.close(out, first, depth, if self.options.pretty { " }" } else { "}" }, '}');
        Ok(())
    }

    fn separate(&self, out: &mut String, first: &mut bool, depth: usize) {
        if !*first {
            out.push(',');
        }
        *first = false;
        self.line(out, depth + 1);
    }

    fn close(&self, out: &mut String, empty: bool, depth: usize, when_empty: &str, close: char) {
        if empty {
            out.push_str(when_empty);
        } else {
            self.line(out, depth);
            out.push(close);
        }
    }

    fn key(&self, out: &mut String, name: &str) {
        self.string(out, name);
        out.push_str(if self.options.pretty { " : " } else { ":" });
    }

    fn value(&self, out: &mut String, data_type: &DataType, array: &ArrayRef, row: usize, depth: usize) -> Result<()> {
        if is_null(data_type, array, row) {
            out.push_str("null");
            return Ok(());
        }
        match data_type {
            DataType::Array(element, _) => {
                let values = array.as_list::<i32>().value(row);
                out.push('[');
                for index in 0..values.len() {
                    if index > 0 {
                        out.push_str(if self.options.pretty { ", " } else { "," });
                    } else if self.options.pretty {
                        out.push(' ');
                    }
                    self.value(out, element, &values, index, depth)?;
                }
                out.push_str(if self.options.pretty { " ]" } else { "]" });
                Ok(())
            }
            DataType::Map(key, value, _) => {
                let entries = array.as_map().value(row);
                let (keys, values) = (entries.column(0), entries.column(1));
                out.push('{');
                let mut first = true;
                let mut names = Vec::with_capacity(entries.len());
                for index in 0..entries.len() {
                    let mut name = String::new();
                    self.plain_text(&mut name, key, keys, index)?;
                    names.push((name, index));
                }
                if self.options.sort_keys {
                    names.sort();
                }
                for (name, index) in names {
                    self.separate(out, &mut first, depth);
                    self.key(out, &name);
                    self.value(out, value, values, index, depth + 1)?;
                }
                self.close(out, first, depth, if self.options.pretty { " }" } else { "}" }, '}');
                Ok(())
            }
            DataType::Struct(fields) => {
                let children = fields.fields.iter().zip(array.as_struct().columns());
                self.object(out, children.map(|(f, column)| (f.name.as_str(), &f.data_type, column)), row, depth)
            }
            DataType::Udt { sql_type, .. } => self.value(out, sql_type, array, row, depth),
            _ => self.scalar(out, data_type, array, row),
        }
    }

    fn scalar(&self, out: &mut String, data_type: &DataType, array: &ArrayRef, row: usize) -> Result<()> {
        match data_type {
            DataType::Boolean
            | DataType::Byte
            | DataType::Short
            | DataType::Integer
            | DataType::Long
            | DataType::Decimal(..) => self.plain_text(out, data_type, array, row),
            DataType::Float | DataType::Double => {
                let mut text = String::new();
                self.plain_text(&mut text, data_type, array, row)?;
                // What is no JSON number is a string.
                if text.ends_with(|c: char| c.is_ascii_digit()) {
                    out.push_str(&text);
                } else {
                    self.string(out, &text);
                }
                Ok(())
            }
            DataType::Variant => {
                let parts = array.as_struct();
                let (value, metadata) = (parts.column(0).as_binary::<i32>(), parts.column(1).as_binary::<i32>());
                let variant = parquet_variant::Variant::try_new(metadata.value(row), value.value(row));
                let text = variant.and_then(|variant| parquet_variant_json::VariantToJson::to_json_string(&variant));
                out.push_str(&text.map_err(|e| SparkError::of("MALFORMED_VARIANT").with_cause(e))?);
                Ok(())
            }
            _ => {
                let mut text = String::new();
                self.plain_text(&mut text, data_type, array, row)?;
                self.string(out, &text);
                Ok(())
            }
        }
    }

    /// The text of a value without children, unquoted.
    fn plain_text(&self, out: &mut String, data_type: &DataType, array: &ArrayRef, row: usize) -> Result<()> {
        let times = &self.options.times;
        match data_type {
            DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
            DataType::Byte => push(out, array.as_primitive::<Int8Type>().value(row)),
            DataType::Short => push(out, array.as_primitive::<Int16Type>().value(row)),
            DataType::Integer => push(out, array.as_primitive::<Int32Type>().value(row)),
            DataType::Long => push(out, array.as_primitive::<Int64Type>().value(row)),
            DataType::Float => out.push_str(&crate::java_number::float(array.as_primitive::<Float32Type>().value(row))),
            DataType::Double => {
                out.push_str(&crate::java_number::double(array.as_primitive::<Float64Type>().value(row)));
            }
            DataType::Decimal(..) => out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row)),
            DataType::String(_) | DataType::Char(_) | DataType::Varchar(_) => {
                out.push_str(array.as_string::<i32>().value(row));
            }
            DataType::Binary => {
                use base64::Engine;
                base64::engine::general_purpose::STANDARD.encode_string(array.as_binary::<i32>().value(row), out);
            }
            DataType::Date => times.push_date(out, array.as_primitive::<Date32Type>().value(row))?,
            DataType::Timestamp => {
                times.push_timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row))?;
            }
            DataType::TimestampNtz => {
                times.push_timestamp_ntz(out, array.as_primitive::<TimestampMicrosecondType>().value(row))?;
            }
            DataType::Time(_) => times.push_time(out, array.as_primitive::<Time64NanosecondType>().value(row))?,
            DataType::YearMonthInterval(start, end) => {
                let months = array.as_primitive::<IntervalYearMonthType>().value(row);
                out.push_str(&format_year_month(months, *start, *end));
            }
            DataType::DayTimeInterval(start, end) => {
                let micros = array.as_primitive::<DurationMicrosecondType>().value(row);
                out.push_str(&format_day_time(micros, *start, *end));
            }
            DataType::CalendarInterval => {
                let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                out.push_str(&format_calendar(CalendarInterval::from_arrow(interval)));
            }
            // Keys of maps may be nested; they show as rows do.
            DataType::Array(element, _) => {
                let values = array.as_list::<i32>().value(row);
                self.listed(out, (0..values.len()).map(|index| (element.as_ref(), &values, index)))?;
            }
            DataType::Struct(fields) => {
                let columns = fields.fields.iter().zip(array.as_struct().columns());
                self.listed(out, columns.map(|(field, column)| (&field.data_type, column, row)))?;
            }
            other => return Err(SparkError::unsupported(format!("{} as JSON", other.sql()))),
        }
        Ok(())
    }

    /// `[1,2]`
    fn listed<'b>(
        &self,
        out: &mut String,
        items: impl Iterator<Item = (&'b DataType, &'b ArrayRef, usize)>,
    ) -> Result<()> {
        out.push('[');
        for (position, (data_type, array, row)) in items.enumerate() {
            if position > 0 {
                out.push(',');
            }
            match array.is_null(row) {
                true => out.push_str("null"),
                false => self.plain_text(out, data_type, array, row)?,
            }
        }
        out.push(']');
        Ok(())
    }

    /// A quoted, escaped string.
    fn string(&self, out: &mut String, text: &str) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.options.write_non_ascii_as_code_points && !c.is_ascii()) => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        let _ = write!(out, "\\u{unit:04X}");
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

/// VOID columns count no NULLs of their own.
fn is_null(data_type: &DataType, array: &ArrayRef, row: usize) -> bool {
    *data_type == DataType::Null || array.is_null(row)
}
