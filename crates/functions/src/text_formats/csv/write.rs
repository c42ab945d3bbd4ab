//! Rows as CSV text.
use std::fmt::Write;

use super::nested::push_value;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalYearMonthType, Time64NanosecondType, TimestampMicrosecondType,
};
use firesteel_plan::{DataType, Result, SparkError};

use super::super::times::{FormatSession, TimeFormats};
use super::super::{BinaryStyle, FormatOptions, character};
use super::options::delimiter;
use crate::interval::CalendarInterval;
use crate::interval::text::{format_calendar, format_day_time, format_year_month};

/// The options of writing CSV.
#[derive(Debug, Clone)]
pub struct CsvWriteOptions {
    pub times: TimeFormats,
    pub binary: BinaryStyle,
    pub delimiter: String,
    pub quote: Option<char>,
    pub escape: Option<char>,
    pub escape_escape: Option<char>,
    pub quote_all: bool,
    pub escape_quotes: bool,
    pub header: bool,
    pub null_value: String,
    pub empty_value: String,
    pub line_separator: String,
    pub trim_leading: bool,
    pub trim_trailing: bool,
}

impl CsvWriteOptions {
    pub fn new(options: &FormatOptions, session: FormatSession<'_>) -> Result<Self> {
        let quote = character(options, "quote", Some('"'))?;
        let escape = character(options, "escape", Some('\\'))?;
        let default_escape_escape = if escape == quote { None } else { escape };
        Ok(Self {
            times: TimeFormats::new(options, session, false)?,
            binary: BinaryStyle::default(),
            delimiter: delimiter(options.any(&["sep", "delimiter"]).unwrap_or(","))?,
            quote,
            escape,
            escape_escape: character(options, "charToEscapeQuoteEscaping", default_escape_escape)?,
            quote_all: options.flag("quoteAll", false)?,
            escape_quotes: options.flag("escapeQuotes", true)?,
            header: options.flag("header", false)?,
            null_value: options.get("nullValue").unwrap_or_default().to_string(),
            empty_value: options.get("emptyValue").unwrap_or("\"\"").to_string(),
            line_separator: options.get("lineSep").unwrap_or("\n").to_string(),
            trim_leading: options.flag("ignoreLeadingWhiteSpace", true)?,
            trim_trailing: options.flag("ignoreTrailingWhiteSpace", true)?,
        })
    }
}

/// Writes records.
#[derive(Debug)]
pub struct CsvWriter {
    options: CsvWriteOptions,
    value: String,
}

impl CsvWriter {
    pub fn new(options: CsvWriteOptions) -> Self {
        Self { options, value: String::new() }
    }

    pub fn options(&self) -> &CsvWriteOptions {
        &self.options
    }

    /// Appends the header with its line end.
    pub fn write_header<'a>(&mut self, out: &mut String, names: impl Iterator<Item = &'a str>) {
        for (index, name) in names.enumerate() {
            if index > 0 {
                out.push_str(&self.options.delimiter);
            }
            self.push_text(out, name);
        }
        out.push_str(&self.options.line_separator);
    }

    /// Appends a row, without a line end.
    pub fn write_row(&mut self, out: &mut String, types: &[&DataType], columns: &[ArrayRef], row: usize) -> Result<()> {
        for (index, (data_type, column)) in types.iter().zip(columns).enumerate() {
            if index > 0 {
                out.push_str(&self.options.delimiter);
            }
            if **data_type == DataType::Null || column.is_null(row) {
                if self.options.quote_all && !self.options.null_value.is_empty() {
                    let null = self.options.null_value.clone();
                    self.push_text(out, &null);
                } else {
                    out.push_str(&self.options.null_value);
                }
                continue;
            }
            let mut value = std::mem::take(&mut self.value);
            value.clear();
            push_value(&self.options, &mut value, data_type, column, row)?;
            self.push_text(out, &value);
            self.value = value;
        }
        Ok(())
    }

    fn push_text(&self, out: &mut String, text: &str) {
        let options = &self.options;
        let mut text = text;
        if options.trim_leading {
            text = text.trim_start_matches(|c: char| c <= ' ');
        }
        if options.trim_trailing {
            text = text.trim_end_matches(|c: char| c <= ' ');
        }
        if text.is_empty() {
            out.push_str(&options.empty_value);
            return;
        }
        let Some(quote) = options.quote else {
            out.push_str(text);
            return;
        };
        let needs_quotes = options.quote_all
            || text.contains(&options.delimiter)
            || text.contains(['\n', '\r'])
            || (options.escape_quotes && text.contains(quote))
            || text.starts_with(quote);
        if !needs_quotes {
            out.push_str(text);
            return;
        }
        out.push(quote);
        for c in text.chars() {
            if c == quote {
                out.extend(options.escape);
            } else if Some(c) == options.escape && options.escape != options.quote {
                out.extend(options.escape_escape);
            }
            out.push(c);
        }
        out.push(quote);
    }
}

/// The text of a value without children.
pub(in super::super) fn plain_text(
    times: &TimeFormats,
    binary: BinaryStyle,
    out: &mut String,
    data_type: &DataType,
    array: &ArrayRef,
    row: usize,
) -> Result<()> {
    let mut push = |value: &dyn std::fmt::Display| {
        let _ = write!(out, "{value}");
    };
    match data_type {
        DataType::Boolean => push(&array.as_boolean().value(row)),
        DataType::Byte => push(&array.as_primitive::<Int8Type>().value(row)),
        DataType::Short => push(&array.as_primitive::<Int16Type>().value(row)),
        DataType::Integer => push(&array.as_primitive::<Int32Type>().value(row)),
        DataType::Long => push(&array.as_primitive::<Int64Type>().value(row)),
        DataType::Float => push(&crate::java_number::float(array.as_primitive::<Float32Type>().value(row))),
        DataType::Double => push(&crate::java_number::double(array.as_primitive::<Float64Type>().value(row))),
        DataType::Decimal(..) => push(&array.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::String(_) | DataType::Char(_) | DataType::Varchar(_) => push(&array.as_string::<i32>().value(row)),
        DataType::Binary => binary.push(out, array.as_binary::<i32>().value(row)),
        DataType::Date => times.push_date(out, array.as_primitive::<Date32Type>().value(row))?,
        DataType::Timestamp => {
            times.push_timestamp(out, array.as_primitive::<TimestampMicrosecondType>().value(row))?
        }
        DataType::TimestampNtz => {
            times.push_timestamp_ntz(out, array.as_primitive::<TimestampMicrosecondType>().value(row))?;
        }
        DataType::Time(_) => times.push_time(out, array.as_primitive::<Time64NanosecondType>().value(row))?,
        DataType::YearMonthInterval(start, end) => {
            push(&format_year_month(array.as_primitive::<IntervalYearMonthType>().value(row), *start, *end));
        }
        DataType::DayTimeInterval(start, end) => {
            push(&format_day_time(array.as_primitive::<DurationMicrosecondType>().value(row), *start, *end));
        }
        DataType::CalendarInterval => {
            let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            push(&format_calendar(CalendarInterval::from_arrow(interval)));
        }
        other => return Err(SparkError::unsupported(format!("{} in a text record", other.sql()))),
    }
    Ok(())
}
