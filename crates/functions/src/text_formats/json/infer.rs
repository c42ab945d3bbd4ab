//! The schema of JSON records.
use firesteel_plan::{DataType, Result, StructField, StructType};

use super::super::numbers::{parse_decimal, precision_and_scale};
use super::super::{ParseMode, malformed_record};
use super::options::JsonOptions;
use super::tape::{Node, Tape};

const MAX_PRECISION: i32 = 38;

/// Gathers the type of records, one after another.
#[derive(Debug)]
pub struct JsonInference {
    options: JsonOptions,
    tape: Tape,
    merged: DataType,
}

impl JsonInference {
    pub fn new(options: JsonOptions) -> Self {
        Self { options, tape: Tape::default(), merged: DataType::Null }
    }

    /// Takes one record into account. Errors in FAILFAST mode where it is malformed.
    pub fn add(&mut self, text: &str) -> Result<()> {
        let found = match self.tape.parse(text, &self.options) {
            Ok(false) => return Ok(()),
            Ok(true) => Walk { tape: &self.tape, source: text, options: &self.options }.data_type(0),
            Err(_) => match self.options.mode {
                ParseMode::DropMalformed => return Ok(()),
                ParseMode::FailFast => return Err(malformed_record(text)),
                ParseMode::Permissive => self.corrupt(),
            },
        };
        let left = std::mem::replace(&mut self.merged, DataType::Null);
        self.merged = self.merge_roots(left, found);
        Ok(())
    }

    fn corrupt(&self) -> DataType {
        DataType::structure(vec![StructField::new(&self.options.corrupt_column, DataType::STRING, true)])
    }

    /// A record is a struct, or an array of structs; anything else is a corrupt record.
    fn merge_roots(&self, left: DataType, right: DataType) -> DataType {
        match (left, right) {
            (DataType::Null, DataType::Null) => DataType::Null,
            (DataType::Struct(a), DataType::Struct(b)) => DataType::Struct(merge_structs(&a, &b)),
            (DataType::Array(e, _), other) | (other, DataType::Array(e, _)) if matches!(*e, DataType::Struct(_)) => {
                self.merge_roots(e.as_ref().clone(), other)
            }
            (DataType::Struct(s), DataType::Null) | (DataType::Null, DataType::Struct(s)) => DataType::Struct(s),
            (DataType::Struct(s), _) | (_, DataType::Struct(s)) => match self.corrupt() {
                DataType::Struct(corrupt) => DataType::Struct(merge_structs(&s, &corrupt)),
                other => other,
            },
            _ => self.corrupt(),
        }
    }

    /// The schema: nulls are strings, empty structs are gone.
    pub fn finish(self) -> StructType {
        match canonical(&self.merged, &self.options) {
            Some(DataType::Struct(schema)) => schema,
            _ => StructType::default(),
        }
    }
}

/// The type of one value, as `schema_of_json` shows it: nulls are strings, empty structs stay.
pub fn type_of(text: &str, options: &JsonOptions) -> Option<DataType> {
    let mut tape = Tape::default();
    tape.parse(text, options).ok().filter(|found| *found)?;
    let found = Walk { tape: &tape, source: text, options }.data_type(0);
    Some(canonical(&found, options).unwrap_or_else(|| DataType::structure(vec![])))
}

struct Walk<'a> {
    tape: &'a Tape,
    source: &'a str,
    options: &'a JsonOptions,
}

impl Walk<'_> {
    fn data_type(&self, index: usize) -> DataType {
        match self.tape.node(index) {
            Node::Null | Node::Key { .. } => DataType::Null,
            Node::String { .. } => self.string(self.tape.source(index, self.source)),
            Node::True | Node::False | Node::Number { .. } if self.options.primitives_as_string => DataType::STRING,
            Node::True | Node::False => DataType::Boolean,
            Node::Number { is_float, .. } => self.number(self.tape.source(index, self.source), is_float),
            Node::Array { .. } => {
                let elements = self.tape.elements(index).map(|element| self.data_type(element));
                DataType::array(elements.fold(DataType::Null, merge), true)
            }
            Node::Object { .. } => {
                let field =
                    |(key, value)| StructField::new(self.tape.text(key, self.source), self.data_type(value), true);
                let mut fields: Vec<StructField> = self.tape.fields(index).map(field).collect();
                fields.sort_by(|a, b| a.name.cmp(&b.name));
                DataType::structure(fields)
            }
        }
    }

    fn string(&self, text: &str) -> DataType {
        if text.is_empty() {
            return DataType::Null;
        }
        if self.options.prefers_decimal
            && let Some(decimal) = parse_decimal(text).and_then(decimal_type)
        {
            return decimal;
        }
        if self.options.infer_timestamp && self.options.times.parse_timestamp(text).is_some() {
            return DataType::Timestamp;
        }
        DataType::STRING
    }

    fn number(&self, text: &str, is_float: bool) -> DataType {
        if !is_float && text.parse::<i64>().is_ok() {
            return DataType::Long;
        }
        if (!is_float || self.options.prefers_decimal)
            && let Some(decimal) = parse_decimal(text).and_then(decimal_type)
        {
            return decimal;
        }
        DataType::Double
    }
}

fn decimal_type(value: (i128, i32)) -> Option<DataType> {
    let (precision, scale) = precision_and_scale(value);
    decimal(precision.max(scale), scale)
}

fn decimal(precision: i32, scale: i32) -> Option<DataType> {
    let precision = if scale < 0 { precision - scale } else { precision };
    if precision > MAX_PRECISION {
        return None;
    }
    Some(DataType::Decimal(u8::try_from(precision).ok()?, i8::try_from(scale.max(0)).ok()?))
}

/// The type that holds values of both; STRING holds all.
fn merge(left: DataType, right: DataType) -> DataType {
    use DataType::{Array, Decimal, Double, Long, Null, Struct, Timestamp, TimestampNtz};
    match (left, right) {
        (a, b) if a == b => a,
        (Null, other) | (other, Null) => other,
        (Struct(a), Struct(b)) => Struct(merge_structs(&a, &b)),
        (Array(a, m), Array(b, n)) => DataType::array(merge(a.as_ref().clone(), b.as_ref().clone()), m || n),
        (Long, Double) | (Double, Long) | (Decimal(..), Double) | (Double, Decimal(..)) => Double,
        (Long, Decimal(p, s)) | (Decimal(p, s), Long) => merge_decimals((p, s), (20, 0)),
        (Decimal(p, s), Decimal(q, t)) => merge_decimals((p, s), (q, t)),
        (Timestamp, TimestampNtz) | (TimestampNtz, Timestamp) => Timestamp,
        _ => DataType::STRING,
    }
}

fn merge_decimals(a: (u8, i8), b: (u8, i8)) -> DataType {
    let scale = i32::from(a.1.max(b.1));
    let whole = (i32::from(a.0) - i32::from(a.1)).max(i32::from(b.0) - i32::from(b.1));
    decimal(whole + scale, scale).unwrap_or(DataType::Double)
}

/// Both are sorted by name, and so is the result.
fn merge_structs(left: &StructType, right: &StructType) -> StructType {
    let (mut a, mut b) = (left.fields.iter().peekable(), right.fields.iter().peekable());
    let mut fields = vec![];
    loop {
        match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.name == y.name => {
                let data_type = merge(x.data_type.clone(), y.data_type.clone());
                fields.push(StructField::new(&x.name, data_type, true));
                a.next();
                b.next();
            }
            (Some(x), Some(y)) if x.name < y.name => fields.extend(a.next().cloned()),
            (_, Some(_)) => fields.extend(b.next().cloned()),
            (Some(_), None) => fields.extend(a.next().cloned()),
            (None, None) => return StructType::new(fields),
        }
    }
}

/// `None`: there is nothing to read (an empty struct, or what is always null where the user wants such fields dropped).
fn canonical(data_type: &DataType, options: &JsonOptions) -> Option<DataType> {
    match data_type {
        DataType::Null => (!options.drop_field_if_all_null).then_some(DataType::STRING),
        DataType::Array(element, nullable) => {
            canonical(element, options).map(|element| DataType::array(element, *nullable))
        }
        DataType::Struct(fields) => {
            let kept = fields.fields.iter().filter(|field| !field.name.is_empty()).filter_map(|field| {
                Some(StructField { data_type: canonical(&field.data_type, options)?, ..field.clone() })
            });
            let kept: Vec<_> = kept.collect();
            if kept.is_empty() { None } else { Some(DataType::structure(kept)) }
        }
        other => Some(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::FormatOptions;
    use super::*;

    #[test]
    fn schemas_of_records() {
        for (records, expected) in [
            (vec![r#"{"b":1,"a":"x"}"#, r#"{"a":null,"c":[1,2.5]}"#], "struct<a:string,b:bigint,c:array<double>>"),
            (vec![r#"{"a":1}"#, "{\"a\":"], "struct<_corrupt_record:string,a:bigint>"),
            (vec![r#"[{"a":1},{"b":true}]"#], "struct<a:bigint,b:boolean>"),
            (vec![r#"{"a":12345678901234567890123}"#], "struct<a:decimal(23,0)>"),
            (vec![r#"{"a":{},"b":[]}"#], "struct<b:array<string>>"),
        ] {
            let options =
                JsonOptions::new(&FormatOptions::default(), crate::text_formats::FormatSession::UTC, None).unwrap();
            let mut inference = JsonInference::new(options);
            for record in &records {
                inference.add(record).unwrap();
            }
            assert_eq!(DataType::Struct(inference.finish()).simple_string(), expected, "{records:?}");
        }
    }
}
