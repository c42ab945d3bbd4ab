//! Elements as variants.
use std::collections::BTreeMap;

use super::super::column::Column;
use super::super::numbers::{parse_decimal, parse_flag};
use super::convert::{attributes, elements, texts};
use super::options::XmlOptions;
use crate::variant::encode::Encoder;
use crate::xml::dom::{Document, NodeId};

/// What an element is, before it is written: the encoder wants to know how much there is.
enum Value {
    Text(String),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// Value and metadata of an element; `None` where it is too large for a variant.
pub fn encode(options: &XmlOptions, document: &Document, node: NodeId) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut encoder = Encoder::default();
    write(options, &value_of(options, document, node), &mut encoder)?;
    encoder.finish()
}

fn value_of(options: &XmlOptions, document: &Document, node: NodeId) -> Value {
    let mut fields = BTreeMap::new();
    for (name, value) in attributes(document, node, options) {
        fields.insert(name, Value::Text(value.to_string()));
    }
    for child in elements(document, node) {
        let value = value_of(options, document, child);
        match fields.remove(document.name(child)) {
            None => fields.insert(document.name(child).to_string(), value),
            Some(Value::Array(mut items)) => {
                items.push(value);
                fields.insert(document.name(child).to_string(), Value::Array(items))
            }
            Some(first) => fields.insert(document.name(child).to_string(), Value::Array(vec![first, value])),
        };
    }
    if fields.is_empty() {
        return Value::Text(document.string(node));
    }
    if let Some(text) = texts(document, node).last() {
        fields.insert(options.names.value_tag.clone(), Value::Text(text.to_string()));
    }
    Value::Object(fields)
}

fn write(options: &XmlOptions, value: &Value, encoder: &mut Encoder) -> Option<()> {
    match value {
        Value::Text(text) => {
            scalar(options, options.trimmed(text), encoder);
            Some(())
        }
        Value::Array(items) => encoder.array(items.len(), |encoder, i| write(options, &items[i], encoder)),
        Value::Object(fields) => {
            let entries: Vec<(&str, &Value)> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
            let names: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
            encoder.object(&names, |encoder, i| write(options, entries[i].1, encoder))
        }
    }
}

/// The narrowest value that a text spells.
fn scalar(options: &XmlOptions, text: &str, encoder: &mut Encoder) {
    if text.is_empty() || options.null_value.as_deref() == Some(text) {
        return encoder.null();
    }
    if let Some(flag) = parse_flag(text) {
        return encoder.boolean(flag);
    }
    if let Ok(long) = text.parse() {
        return encoder.long(long);
    }
    if let Some((unscaled, scale)) = parse_decimal(text)
        && let Ok(scale @ 0..=38) = u8::try_from(scale)
    {
        return encoder.decimal(unscaled, scale);
    }
    let times = &options.values.times;
    if options.prefer_date
        && times.infers_date(text)
        && let Some(days) = times.parse_date(text)
    {
        return encoder.date(days);
    }
    match times.parse_timestamp(text) {
        Some(micros) => encoder.timestamp(micros),
        None => encoder.string(text),
    }
}

/// Appends the first element of a text as a variant. False: there is none.
pub fn read_variant(text: &str, options: &XmlOptions, column: &mut Column) -> bool {
    let document = Document::first(text);
    let encoded = document.as_ref().and_then(|d| encode(options, d, d.root()?));
    match (encoded, column) {
        (Some((bytes, names)), Column::Variant { value, metadata, nulls }) => {
            value.append_value(bytes);
            metadata.append_value(names);
            nulls.append_non_null();
            true
        }
        (_, column) => {
            column.append_null();
            false
        }
    }
}
