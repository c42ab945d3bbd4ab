//! Thrift's values as they come and go: structures are their fields by number. What nobody here knows stays in them, so
//! that what is read can be sent back whole.
use std::collections::BTreeMap;

use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TOutputProtocol, TSetIdentifier,
    TStructIdentifier, TType,
};
use thrift::{Error, ProtocolError, ProtocolErrorKind, Result};

/// How deep values may be in each other.
const MAX_DEPTH: usize = 32;

/// The fields of a structure, by their numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(BTreeMap<i16, Value>);

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(String),
    /// Bytes that are no text
    Binary(Vec<u8>),
    Struct(Fields),
    List(TType, Vec<Value>),
    Set(TType, Vec<Value>),
    Map(TType, TType, Vec<(Value, Value)>),
}

macro_rules! from {
    ($($of:ty => $kind:ident),+ $(,)?) => {
        $(impl From<$of> for Value {
            fn from(value: $of) -> Self {
                Self::$kind(value.into())
            }
        })+
    };
}

from!(bool => Bool, i32 => Int, i64 => Long, &str => Text, String => Text, Fields => Struct);

impl From<&BTreeMap<String, String>> for Value {
    fn from(map: &BTreeMap<String, String>) -> Self {
        let pair = |(key, value): (&String, &String)| (key.as_str().into(), value.as_str().into());
        Self::Map(TType::String, TType::String, map.iter().map(pair).collect())
    }
}

impl Value {
    pub fn texts<'a>(all: impl IntoIterator<Item = &'a String>) -> Self {
        Self::List(TType::String, all.into_iter().map(|text| text.as_str().into()).collect())
    }

    pub fn structs(all: impl IntoIterator<Item = Fields>) -> Self {
        Self::List(TType::Struct, all.into_iter().map(Self::Struct).collect())
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn long(&self) -> Option<i64> {
        match self {
            Self::Long(value) => Some(*value),
            Self::Int(value) => Some((*value).into()),
            _ => None,
        }
    }

    /// The elements of a list. Empty: it is none.
    pub fn into_list(self) -> Vec<Self> {
        match self {
            Self::List(_, all) => all,
            _ => vec![],
        }
    }

    pub fn into_fields(self) -> Option<Fields> {
        match self {
            Self::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    fn kind(&self) -> TType {
        match self {
            Self::Bool(_) => TType::Bool,
            Self::Byte(_) => TType::I08,
            Self::Short(_) => TType::I16,
            Self::Int(_) => TType::I32,
            Self::Long(_) => TType::I64,
            Self::Double(_) => TType::Double,
            Self::Text(_) | Self::Binary(_) => TType::String,
            Self::Struct(_) => TType::Struct,
            Self::List(..) => TType::List,
            Self::Set(..) => TType::Set,
            Self::Map(..) => TType::Map,
        }
    }

    fn write(&self, out: &mut dyn TOutputProtocol) -> Result<()> {
        let all = |out: &mut dyn TOutputProtocol, values: &[Self]| values.iter().try_for_each(|value| value.write(out));
        match self {
            Self::Bool(value) => out.write_bool(*value),
            Self::Byte(value) => out.write_i8(*value),
            Self::Short(value) => out.write_i16(*value),
            Self::Int(value) => out.write_i32(*value),
            Self::Long(value) => out.write_i64(*value),
            Self::Double(value) => out.write_double(*value),
            Self::Text(text) => out.write_string(text),
            Self::Binary(bytes) => out.write_bytes(bytes),
            Self::Struct(fields) => fields.write(out),
            Self::List(kind, values) => {
                out.write_list_begin(&TListIdentifier::new(*kind, length(values.len())?))?;
                all(out, values)?;
                out.write_list_end()
            }
            Self::Set(kind, values) => {
                out.write_set_begin(&TSetIdentifier::new(*kind, length(values.len())?))?;
                all(out, values)?;
                out.write_set_end()
            }
            Self::Map(of_key, of_value, entries) => {
                out.write_map_begin(&TMapIdentifier::new(*of_key, *of_value, length(entries.len())?))?;
                for (key, value) in entries {
                    key.write(out)?;
                    value.write(out)?;
                }
                out.write_map_end()
            }
        }
    }

    fn read(input: &mut dyn TInputProtocol, kind: TType, depth: usize) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(wrong(ProtocolErrorKind::DepthLimit, "values are too deep in each other"));
        }
        Ok(match kind {
            TType::Bool => Self::Bool(input.read_bool()?),
            TType::I08 => Self::Byte(input.read_i8()?),
            TType::I16 => Self::Short(input.read_i16()?),
            TType::I32 => Self::Int(input.read_i32()?),
            TType::I64 => Self::Long(input.read_i64()?),
            TType::Double => Self::Double(input.read_double()?),
            TType::String => {
                let bytes = input.read_bytes()?;
                String::from_utf8(bytes).map_or_else(|error| Self::Binary(error.into_bytes()), Self::Text)
            }
            TType::Struct => Self::Struct(Fields::read_at(input, depth)?),
            TType::List => {
                let begun = input.read_list_begin()?;
                let values = Self::read_all(input, begun.element_type, begun.size, depth)?;
                input.read_list_end()?;
                Self::List(begun.element_type, values)
            }
            TType::Set => {
                let begun = input.read_set_begin()?;
                let values = Self::read_all(input, begun.element_type, begun.size, depth)?;
                input.read_set_end()?;
                Self::Set(begun.element_type, values)
            }
            TType::Map => {
                let begun = input.read_map_begin()?;
                let of_key = begun.key_type.unwrap_or(TType::String);
                let of_value = begun.value_type.unwrap_or(TType::String);
                let mut entries = vec![];
                for _ in 0..begun.size {
                    entries.push((Self::read(input, of_key, depth + 1)?, Self::read(input, of_value, depth + 1)?));
                }
                input.read_map_end()?;
                Self::Map(of_key, of_value, entries)
            }
            other => return Err(wrong(ProtocolErrorKind::InvalidData, format!("values of type {other}"))),
        })
    }

    fn read_all(input: &mut dyn TInputProtocol, kind: TType, size: i32, depth: usize) -> Result<Vec<Self>> {
        // A size is only what the sender says: nothing is reserved for it.
        let mut values = vec![];
        for _ in 0..size {
            values.push(Self::read(input, kind, depth + 1)?);
        }
        Ok(values)
    }
}

fn length(length: usize) -> Result<i32> {
    i32::try_from(length).map_err(|_| wrong(ProtocolErrorKind::SizeLimit, "a list is too long"))
}

fn wrong(kind: ProtocolErrorKind, message: impl Into<String>) -> Error {
    Error::Protocol(ProtocolError::new(kind, message))
}

impl Fields {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, field: i16, value: impl Into<Value>) -> Self {
        self.set(field, value);
        self
    }

    pub fn set(&mut self, field: i16, value: impl Into<Value>) {
        self.0.insert(field, value.into());
    }

    pub fn remove(&mut self, field: i16) -> Option<Value> {
        self.0.remove(&field)
    }

    pub fn get(&self, field: i16) -> Option<&Value> {
        self.0.get(&field)
    }

    pub fn text(&self, field: i16) -> Option<&str> {
        self.get(field)?.text()
    }

    pub fn long(&self, field: i16) -> Option<i64> {
        self.get(field)?.long()
    }

    /// A structure among the fields; an empty one where there is none.
    pub fn fields(&self, field: i16) -> Self {
        self.get(field).cloned().and_then(Value::into_fields).unwrap_or_default()
    }

    /// A map of texts. What is no text is left out.
    pub fn map(&self, field: i16) -> BTreeMap<String, String> {
        let Some(Value::Map(_, _, entries)) = self.get(field) else { return BTreeMap::new() };
        let pair = |(key, value): &(Value, Value)| Some((key.text()?.to_string(), value.text()?.to_string()));
        entries.iter().filter_map(pair).collect()
    }

    /// The numbers of the fields that are there.
    pub fn numbers(&self) -> impl Iterator<Item = i16> {
        self.0.keys().copied()
    }

    pub(super) fn write(&self, out: &mut dyn TOutputProtocol) -> Result<()> {
        out.write_struct_begin(&TStructIdentifier::new(""))?;
        for (id, value) in &self.0 {
            out.write_field_begin(&TFieldIdentifier::new("", value.kind(), *id))?;
            value.write(out)?;
            out.write_field_end()?;
        }
        out.write_field_stop()?;
        out.write_struct_end()
    }

    pub(super) fn read(input: &mut dyn TInputProtocol) -> Result<Self> {
        Self::read_at(input, 0)
    }

    fn read_at(input: &mut dyn TInputProtocol, depth: usize) -> Result<Self> {
        let mut fields = BTreeMap::new();
        input.read_struct_begin()?;
        loop {
            let begun = input.read_field_begin()?;
            if begun.field_type == TType::Stop {
                break;
            }
            let value = Value::read(input, begun.field_type, depth + 1)?;
            input.read_field_end()?;
            fields.insert(begun.id.unwrap_or_default(), value);
        }
        input.read_struct_end()?;
        Ok(Self(fields))
    }
}

#[cfg(test)]
mod tests {
    use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol};

    use super::*;

    fn bytes(fields: &Fields) -> Vec<u8> {
        let mut bytes = vec![];
        fields.write(&mut TBinaryOutputProtocol::new(&mut bytes, true)).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Fields> {
        Fields::read(&mut TBinaryInputProtocol::new(bytes, true))
    }

    #[test]
    fn what_is_read_is_sent_back_whole() {
        let map = BTreeMap::from([("k".to_string(), "ü".to_string())]);
        let fields = Fields::new()
            .with(1, "text")
            .with(2, 7)
            .with(3, i64::MIN)
            .with(4, &map)
            .with(-5, Fields::new().with(1, true))
            .with(1000, Value::structs([Fields::new(), Fields::new().with(9, "x")]));
        let mut more = fields.clone();
        more.set(6, Value::Set(TType::I16, vec![Value::Short(-1)]));
        more.set(7, Value::Binary(vec![0xff]));
        more.set(8, Value::Double(0.5));
        more.set(9, Value::Map(TType::I08, TType::List, vec![(Value::Byte(1), Value::texts([]))]));
        assert_eq!(read(&bytes(&more)).unwrap(), more);
        assert_eq!((fields.text(1), fields.long(2), fields.map(4)), (Some("text"), Some(7), map));
        assert_eq!(fields.fields(-5).get(1), Some(&Value::Bool(true)));
        assert!(fields.fields(77).numbers().next().is_none());
    }

    #[test]
    fn damaged_values_are_errors() {
        let whole = bytes(&Fields::new().with(1, "text").with(2, Value::texts(&["a".to_string()])));
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err());
        }
        // A list that says it is longer than any memory
        assert!(read(&[15, 0, 1, 11, 0x7f, 0xff, 0xff, 0xff]).is_err());
        assert!(read(&[15, 0, 1, 11, 0xff, 0xff, 0xff, 0xff, 0]).is_err());
        // Lists in lists without end
        let deep: Vec<u8> = [15_u8, 0, 1].into_iter().chain([15, 0, 0, 0, 1].repeat(100_000)).collect();
        assert!(matches!(read(&deep), Err(Error::Protocol(error)) if error.kind == ProtocolErrorKind::DepthLimit));
    }
}
