//! JSON values into columns, by the rules of Spark's JSON reader.
use firesteel_plan::{DataType, Result, StructType};

use super::super::column::{Column, StructColumn};
use super::super::numbers::{parse_decimal, parse_double, rescale};
use super::options::JsonOptions;
use super::tape::{Node, Tape};

/// How a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Rows were appended: one, or one for each element of an array.
    Rows(usize),
    /// One row was appended, with nulls for what did not fit.
    Partial,
    /// The text is no JSON of the right shape; nothing was appended.
    Malformed,
    /// The text is empty; nothing was appended.
    Nothing,
}

/// Reads records into the columns of a schema.
#[derive(Debug)]
pub struct JsonReader {
    options: JsonOptions,
    row: StructColumn,
    tape: Tape,
    /// Rows of an array record are rows of the result (files), not a value (`from_json`).
    arrays_are_rows: bool,
}

impl JsonReader {
    /// `schema` has no column of corrupt records: that is the caller's.
    pub fn new(schema: &StructType, options: JsonOptions, arrays_are_rows: bool) -> Result<Self> {
        Ok(Self { options, row: StructColumn::new(schema)?, tape: Tape::default(), arrays_are_rows })
    }

    pub fn options(&self) -> &JsonOptions {
        &self.options
    }

    /// The columns built so far, in the order of the schema.
    pub fn columns(&mut self) -> &mut [Column] {
        &mut self.row.children
    }

    /// Appends a row of nulls.
    pub fn append_nulls(&mut self) {
        for column in &mut self.row.children {
            column.append_null();
        }
    }

    /// Reads one record.
    pub fn read(&mut self, text: &str) -> Outcome {
        match self.tape.parse(text, &self.options) {
            Ok(true) => {}
            Ok(false) => return Outcome::Nothing,
            Err(_) => return Outcome::Malformed,
        }
        let converter = Converter { tape: &self.tape, source: text, options: &self.options };
        match self.tape.node(0) {
            Node::Object { .. } if converter.fields(0, &mut self.row) => Outcome::Rows(1),
            Node::Object { .. } => Outcome::Partial,
            Node::Array { .. } if self.arrays_are_rows => {
                let elements: Vec<usize> = self.tape.elements(0).collect();
                if !elements.iter().all(|index| matches!(self.tape.node(*index), Node::Object { .. })) {
                    return Outcome::Malformed;
                }
                let mut whole = true;
                for index in &elements {
                    whole &= converter.fields(*index, &mut self.row);
                }
                if whole || elements.len() != 1 { Outcome::Rows(elements.len()) } else { Outcome::Partial }
            }
            _ => Outcome::Malformed,
        }
    }
}

/// Reads one value of any type, as `from_json` does for arrays and maps. Answers false where it did not fit, after
/// appending what Spark keeps of it; `None` for an empty text, without appending.
pub fn read_value(
    text: &str,
    data_type: &DataType,
    column: &mut Column,
    tape: &mut Tape,
    options: &JsonOptions,
) -> Option<bool> {
    match tape.parse(text, options) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(_) => {
            column.append_null();
            return Some(false);
        }
    }
    let converter = Converter { tape, source: text, options };
    let is_array_of_structs =
        matches!(data_type, DataType::Array(element, _) if matches!(element.as_ref(), DataType::Struct(_)));
    match (tape.node(0), column) {
        // A lone object is an array of one.
        (Node::Object { .. }, Column::List(list)) if is_array_of_structs => {
            let whole = converter.append(0, &mut list.elements);
            list.end(true);
            Some(whole)
        }
        (_, column) => Some(converter.append(0, column)),
    }
}

struct Converter<'a> {
    tape: &'a Tape,
    source: &'a str,
    options: &'a JsonOptions,
}

impl Converter<'_> {
    /// Appends the fields of an object as a row. False: some did not fit and are null.
    fn fields(&self, object: usize, row: &mut StructColumn) -> bool {
        let before = row.children.first().map_or(0, Column::len);
        let mut whole = true;
        // The last of several fields of one name counts.
        let mut found: Vec<Option<usize>> = vec![None; row.children.len()];
        for (key, value) in self.tape.fields(object) {
            let name = self.tape.text(key, self.source);
            if let Some(position) = row.fields.iter().position(|field| field.name == name) {
                found[position] = Some(value);
            }
        }
        for (value, column) in found.into_iter().zip(&mut row.children) {
            match value {
                Some(index) => whole &= self.append(index, column),
                None => column.append_null(),
            }
        }
        debug_assert!(row.children.iter().all(|column| column.len() == before + 1));
        row.end_valid();
        whole
    }

    /// Appends one value. False: it does not fit, and null (or, in a struct, partial nulls) was appended.
    fn append(&self, index: usize, column: &mut Column) -> bool {
        if self.tape.node(index) == Node::Null {
            column.append_null();
            return true;
        }
        match column {
            Column::List(list) => {
                let Node::Array { .. } = self.tape.node(index) else {
                    list.end(false);
                    return false;
                };
                let mut whole = true;
                for element in self.tape.elements(index) {
                    whole &= self.append(element, &mut list.elements);
                }
                list.end(whole);
                whole
            }
            Column::Map(map) => {
                let Node::Object { .. } = self.tape.node(index) else {
                    map.end(false);
                    return false;
                };
                let mut whole = true;
                for (key, value) in self.tape.fields(index) {
                    if append_text(self.tape.text(key, self.source), &mut map.keys, self.options) {
                        whole &= self.append(value, &mut map.values);
                    } else {
                        whole = false;
                    }
                }
                map.end(whole);
                whole
            }
            Column::Struct(children) => {
                if let Node::Object { .. } = self.tape.node(index) {
                    return self.fields(index, children);
                }
                column.append_null();
                false
            }
            _ => {
                let fits = self.scalar(index, column);
                if !fits {
                    column.append_null();
                }
                fits
            }
        }
    }

    /// Appends a value to a column without children. False: nothing was appended.
    fn scalar(&self, index: usize, column: &mut Column) -> bool {
        let node = self.tape.node(index);
        if let Column::String(values) = column {
            values.append_value(self.tape.source(index, self.source));
            return true;
        }
        if let Column::Variant { value, metadata, nulls } = column {
            return super::variant::append(self.tape, index, self.source, value, metadata, nulls);
        }
        match node {
            Node::True | Node::False => match column {
                Column::Boolean(values) => {
                    values.append_value(node == Node::True);
                    true
                }
                _ => false,
            },
            Node::Number { is_float, .. } => number(self.tape.source(index, self.source), is_float, column),
            Node::String { text } => append_text(self.tape.text(text, self.source), column, self.options),
            _ => false,
        }
    }
}

fn number(text: &str, is_float: bool, column: &mut Column) -> bool {
    macro_rules! integer {
        ($values:expr) => {
            match (is_float, text.parse()) {
                (false, Ok(value)) => {
                    $values.append_value(value);
                    true
                }
                _ => false,
            }
        };
    }
    match column {
        Column::Byte(values) => integer!(values),
        Column::Short(values) => integer!(values),
        Column::Integer(values) => integer!(values),
        Column::Long(values) => integer!(values),
        Column::Float(values) => double(text).map(|value| values.append_value(to_float(text, value))).is_some(),
        Column::Double(values) => double(text).map(|value| values.append_value(value)).is_some(),
        Column::Decimal { precision, scale, values } => {
            let value = parse_decimal(text).and_then(|value| rescale(value, *precision, *scale));
            value.map(|value| values.append_value(value)).is_some()
        }
        Column::Timestamp(values) if !is_float => {
            let micros = text.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1_000_000));
            micros.map(|micros| values.append_value(micros)).is_some()
        }
        _ => false,
    }
}

/// Not a number, an infinity by one of its names, or digits.
fn double(text: &str) -> Option<f64> {
    special_double(text).or_else(|| parse_double(text))
}

fn special_double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "+INF" | "INF" | "+Infinity" | "Infinity" => Some(f64::INFINITY),
        "-INF" | "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A float is rounded once, from the text.
#[expect(clippy::cast_possible_truncation, reason = "only of values that are no digits")]
fn to_float(text: &str, value: f64) -> f32 {
    text.parse().unwrap_or(value as f32)
}

/// Appends the value that a string spells. False: nothing was appended.
fn append_text(text: &str, column: &mut Column, options: &JsonOptions) -> bool {
    let times = &options.times;
    match column {
        Column::String(values) => {
            values.append_value(text);
            true
        }
        Column::Float(values) => special_double(text).map(|value| values.append_value(to_float(text, value))).is_some(),
        Column::Double(values) => special_double(text).map(|value| values.append_value(value)).is_some(),
        Column::Decimal { precision, scale, values } => {
            let value = parse_decimal(text).and_then(|value| rescale(value, *precision, *scale));
            value.map(|value| values.append_value(value)).is_some()
        }
        Column::Binary(values) => {
            use base64::Engine;
            let decoded = base64::engine::general_purpose::STANDARD.decode(text);
            decoded.map(|bytes| values.append_value(bytes)).is_ok()
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
        _ => false,
    }
}
