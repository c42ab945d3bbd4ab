//! CSV values into columns, by the rules of Spark's CSV reader.
use firesteel_plan::{Result, StructType};

use super::super::column::{Column, StructColumn};
use super::super::numbers::{parse_decimal, parse_double, parse_flag, rescale};
use super::options::CsvOptions;
use super::tokenizer::Tokens;

/// How a record went; one row was appended in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Row,
    /// A value did not fit and is null, or there were too few or too many values.
    Partial,
}

/// Reads records into the columns of a schema.
#[derive(Debug)]
pub struct CsvReader {
    options: CsvOptions,
    row: StructColumn,
    /// The position of each column's value in the record.
    positions: Vec<usize>,
    /// How many values a record must have; `None`: not checked, because only some of its columns are read.
    expected: Option<usize>,
}

impl CsvReader {
    /// `schema` are the columns to read, without that of corrupt records; `positions` their places in a record.
    pub fn new(
        schema: &StructType,
        positions: Vec<usize>,
        expected: Option<usize>,
        options: CsvOptions,
    ) -> Result<Self> {
        Ok(Self { options, row: StructColumn::new(schema)?, positions, expected })
    }

    pub fn options(&self) -> &CsvOptions {
        &self.options
    }

    pub fn columns(&mut self) -> &mut [Column] {
        &mut self.row.children
    }

    /// Appends one record.
    pub fn read(&mut self, tokens: &Tokens) -> Outcome {
        let mut whole = self.expected.is_none_or(|expected| tokens.len() == expected);
        for (column, position) in self.row.children.iter_mut().zip(&self.positions) {
            match tokens.get(*position).filter(|text| *text != self.options.null_value) {
                Some(text) if append(text, column, &self.options) => {}
                Some(_) => {
                    column.append_null();
                    whole = false;
                }
                None => column.append_null(),
            }
        }
        if whole { Outcome::Row } else { Outcome::Partial }
    }

    /// Appends a row of nulls.
    pub fn append_nulls(&mut self) {
        for column in &mut self.row.children {
            column.append_null();
        }
    }
}

/// Appends the value that a text spells. False: nothing was appended.
pub(in super::super) fn append(text: &str, column: &mut Column, options: &CsvOptions) -> bool {
    macro_rules! integer {
        ($values:expr) => {
            text.parse().map(|value| $values.append_value(value)).is_ok()
        };
    }
    let times = &options.times;
    match column {
        Column::String(values) => {
            values.append_value(text);
            true
        }
        Column::Boolean(values) => parse_flag(text).map(|value| values.append_value(value)).is_some(),
        Column::Byte(values) => integer!(values),
        Column::Short(values) => integer!(values),
        Column::Integer(values) => integer!(values),
        Column::Long(values) => integer!(values),
        Column::Float(values) => {
            let value = special(text, options).or_else(|| parse_double(text));
            value.map(|value| values.append_value(to_float(text, value))).is_some()
        }
        Column::Double(values) => {
            let value = special(text, options).or_else(|| parse_double(text));
            value.map(|value| values.append_value(value)).is_some()
        }
        Column::Decimal { precision, scale, values } => {
            // Thousands may be grouped.
            let grouped = text.contains(',').then(|| text.replace(',', ""));
            let number = grouped.as_deref().unwrap_or(text);
            let value = parse_decimal(number).and_then(|value| rescale(value, *precision, *scale));
            value.map(|value| values.append_value(value)).is_some()
        }
        Column::Binary(values) => {
            values.append_value(text.as_bytes());
            true
        }
        Column::Date(values) => times.parse_date(text).map(|days| values.append_value(days)).is_some(),
        Column::Timestamp(values) => times.parse_timestamp(text).map(|micros| values.append_value(micros)).is_some(),
        Column::TimestampNtz(values) => {
            times.parse_timestamp_ntz(text).map(|micros| values.append_value(micros)).is_some()
        }
        Column::Time(values) => times.parse_time(text).map(|nanos| values.append_value(nanos)).is_some(),
        Column::YearMonth { .. } | Column::DayTime { .. } | Column::CalendarInterval(_) => {
            super::super::intervals::append(text, column)
        }
        Column::Null(rows) => {
            *rows += 1;
            true
        }
        _ => false,
    }
}

fn special(text: &str, options: &CsvOptions) -> Option<f64> {
    if text == options.nan_value {
        Some(f64::NAN)
    } else if text == options.positive_inf {
        Some(f64::INFINITY)
    } else if text == options.negative_inf {
        Some(f64::NEG_INFINITY)
    } else {
        None
    }
}

/// A float is rounded once, from the text, where Rust reads it too.
#[expect(clippy::cast_possible_truncation, reason = "only of texts that Rust does not read")]
fn to_float(text: &str, value: f64) -> f32 {
    text.trim().parse().unwrap_or(value as f32)
}
