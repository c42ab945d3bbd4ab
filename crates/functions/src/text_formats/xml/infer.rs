//! The schema of a sample.
use std::collections::BTreeMap;

use firesteel_plan::{DataType, StructField};

use super::super::numbers::{parse_decimal, parse_double, parse_flag, precision_and_scale};
use super::convert::{attributes, elements, texts};
use super::options::XmlOptions;
use crate::xml::dom::{Document, NodeId};

/// The type of the first element of a text, always a struct; a text without one has a column of corrupt records.
pub fn schema_of(text: &str, options: &XmlOptions) -> DataType {
    let document = Document::first(text);
    let Some((document, root)) = document.as_ref().and_then(|d| Some((d, d.root()?))) else {
        return structure([(options.corrupt_column.clone(), DataType::STRING)].into());
    };
    let found = match type_of(document, root, options) {
        DataType::Null => structure(BTreeMap::new()),
        DataType::Struct(fields) => DataType::Struct(fields),
        other => structure([(options.names.value_tag.clone(), other)].into()),
    };
    or_strings(found)
}

fn structure(fields: BTreeMap<String, DataType>) -> DataType {
    DataType::structure(fields.into_iter().map(|(name, data_type)| StructField::new(name, data_type, true)).collect())
}

/// What was empty everywhere is text.
fn or_strings(found: DataType) -> DataType {
    match found {
        DataType::Null => DataType::STRING,
        DataType::Array(element, contains_null) => DataType::array(or_strings((*element).clone()), contains_null),
        DataType::Struct(fields) => {
            let field = |f: &StructField| StructField::new(&f.name, or_strings(f.data_type.clone()), true);
            DataType::structure(fields.fields.iter().map(field).collect())
        }
        other => other,
    }
}

fn type_of(document: &Document, node: NodeId, options: &XmlOptions) -> DataType {
    let mut fields: BTreeMap<String, (usize, DataType)> = BTreeMap::new();
    for (name, value) in attributes(document, node, options) {
        fields.insert(name, (1, type_of_text(value, options)));
    }
    for child in elements(document, node) {
        let found = type_of(document, child, options);
        let (count, known) = fields.entry(document.name(child).to_string()).or_insert((0, DataType::Null));
        *count += 1;
        *known = widen(std::mem::replace(known, DataType::Null), found, options);
    }
    let text = texts(document, node).map(|text| type_of_text(text, options)).reduce(|a, b| widen(a, b, options));
    if fields.is_empty() {
        return text.unwrap_or(DataType::Null);
    }
    if let Some(text) = text {
        fields.insert(options.names.value_tag.clone(), (1, text));
    }
    let listed = |(count, data_type)| if count > 1 { DataType::array(data_type, true) } else { data_type };
    structure(fields.into_iter().map(|(name, found)| (name, listed(found))).collect())
}

fn type_of_text(text: &str, options: &XmlOptions) -> DataType {
    let text = options.trimmed(text);
    if text.is_empty() || options.null_value.as_deref() == Some(text) {
        return DataType::Null;
    }
    if !options.infer_schema {
        return DataType::STRING;
    }
    if text.parse::<i64>().is_ok() {
        return DataType::Long;
    }
    if options.prefers_decimal
        && let Some((precision, scale)) = parse_decimal(text).map(precision_and_scale)
        && let (Ok(p @ 1..=38), Ok(s)) = (u8::try_from(precision.max(scale)), i8::try_from(scale.max(0)))
    {
        return DataType::Decimal(p, s);
    }
    // Java's type suffixes do not make a number here.
    if !text.ends_with(['d', 'D', 'f', 'F']) && parse_double(text).is_some() {
        return DataType::Double;
    }
    if parse_flag(text).is_some() {
        return DataType::Boolean;
    }
    let times = &options.values.times;
    if options.prefer_date && times.infers_date(text) {
        return DataType::Date;
    }
    if times.parse_timestamp(text).is_some() { DataType::Timestamp } else { DataType::STRING }
}

/// The type that holds both.
fn widen(left: DataType, right: DataType, options: &XmlOptions) -> DataType {
    use DataType::{Array, Date, Decimal, Double, Long, Null, Struct, Timestamp};
    match (left, right) {
        (a, b) if a == b => a,
        (Null, other) | (other, Null) => other,
        (Long | Decimal(..), Double) | (Double, Long | Decimal(..)) => Double,
        (Long, Decimal(p, s)) | (Decimal(p, s), Long) => decimal(20, 0, p, s),
        (Decimal(p, s), Decimal(q, t)) => decimal(p, s, q, t),
        (Date, Timestamp) | (Timestamp, Date) => Timestamp,
        (Struct(a), Struct(b)) => {
            let mut fields: BTreeMap<String, DataType> = BTreeMap::new();
            for field in a.fields.iter().chain(b.fields.iter()) {
                let known = fields.remove(&field.name).unwrap_or(Null);
                fields.insert(field.name.clone(), widen(known, field.data_type.clone(), options));
            }
            structure(fields)
        }
        (Array(a, n), Array(b, m)) => DataType::array(widen((*a).clone(), (*b).clone(), options), n || m),
        (Array(element, _), other) | (other, Array(element, _)) => {
            DataType::array(widen((*element).clone(), other, options), true)
        }
        // Plain text beside elements is the value of a struct.
        (Struct(fields), other) | (other, Struct(fields)) => {
            let plain = structure([(options.names.value_tag.clone(), other)].into());
            widen(Struct(fields), plain, options)
        }
        _ => DataType::STRING,
    }
}

fn decimal(p: u8, s: i8, q: u8, t: i8) -> DataType {
    let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
    let scale = s.max(t);
    match u8::try_from(whole + i16::from(scale)) {
        Ok(precision @ 1..=38) => DataType::Decimal(precision, scale),
        _ => DataType::Double,
    }
}
