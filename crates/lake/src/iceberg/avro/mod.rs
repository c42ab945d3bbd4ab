//! Avro as manifests use it: files of records that are read as trees and written from trees. Rows of Avro data go through
//! arrow-avro instead; manifests are small, differ from writer to writer, and hold maps that Arrow has no type for.
mod decode;
mod encode;
mod schema;

pub(crate) use decode::read_file;
pub(crate) use encode::write_file;
pub(crate) use schema::Schema;

/// A value of an Avro file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    /// int, long and what is stored as one
    Long(i64),
    Float(f32),
    Double(f64),
    /// bytes and fixed
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Value>),
    /// Fields in the order of the schema
    Record(Vec<(String, Value)>),
}

impl Value {
    pub(crate) fn record<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Self::Record(fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect())
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_string())
    }

    /// The field of a record; NULL where there is none.
    pub(crate) fn get(&self, name: &str) -> &Value {
        match self {
            Self::Record(fields) => fields.iter().find(|(field, _)| field == name).map_or(&Self::Null, |(_, v)| v),
            _ => &Self::Null,
        }
    }

    pub(crate) fn as_long(&self) -> Option<i64> {
        match self {
            Self::Long(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Value] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type": "record", "name": "r", "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"], "default": null},
        {"name": "flag", "type": "boolean"},
        {"name": "ratio", "type": ["null", "double"]},
        {"name": "bounds", "type": ["null", {"type": "array", "items": {"type": "record", "name": "pair", "fields": [
            {"name": "key", "type": "int"}, {"name": "value", "type": "bytes"}]}, "logicalType": "map"}]},
        {"name": "again", "type": {"type": "array", "items": "pair"}},
        {"name": "sum", "type": {"type": "fixed", "name": "four", "size": 4}}]}"#;

    fn rows() -> Vec<Value> {
        let pair = |key: i64| Value::record([("key", Value::Long(key)), ("value", Value::Bytes(vec![1, 2, 3]))]);
        let row = |id: i64, name: Value, bounds: Value| {
            Value::record([
                ("id", Value::Long(id)),
                ("name", name),
                ("flag", Value::Boolean(id > 0)),
                ("ratio", Value::Double(0.5)),
                ("bounds", bounds),
                ("again", Value::Array(vec![pair(7)])),
                ("sum", Value::Bytes(vec![9; 4])),
            ])
        };
        vec![
            row(i64::MAX, Value::text("ü"), Value::Array(vec![pair(1), pair(-2)])),
            row(i64::MIN, Value::Null, Value::Null),
        ]
    }

    #[test]
    fn files_go_round() {
        let bytes = write_file(SCHEMA, &[("format-version", "2")], &rows()).unwrap();
        let (metadata, read) = read_file(&bytes).unwrap();
        assert_eq!(read, rows());
        assert_eq!(metadata.get("format-version").map(String::as_str), Some("2"));
    }

    #[test]
    fn damaged_files_are_errors() {
        let bytes = write_file(SCHEMA, &[], &rows()).unwrap();
        for end in 0..bytes.len() {
            assert!(read_file(&bytes[..end]).map_or(true, |(_, rows)| rows.is_empty()), "{end}");
        }
        for index in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[index] ^= 0xFF;
            // Whatever it says, it does not panic.
            let _ = read_file(&damaged);
        }
    }
}
