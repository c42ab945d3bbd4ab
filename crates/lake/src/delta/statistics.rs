//! The statistics of a written file, as the log keeps them: rows, and per column its bounds and its nulls.
use std::collections::HashSet;

use firesteel_plan::{DataType, StructType};
use parquet::data_type::ByteArray;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use serde_json::{Map, Number, Value};

/// Texts are cut after so many characters.
const TEXT_CHARACTERS: usize = 32;

/// The JSON text. `columns` bounds how many leaf columns are described, from the first; `not_a_number` names columns of
/// floats that hold NaN, whose bounds say nothing.
pub(crate) fn of_file(
    metadata: &ParquetMetaData,
    schema: &StructType,
    columns: usize,
    not_a_number: &HashSet<String>,
) -> String {
    let (mut minimum, mut maximum, mut nulls) = (Map::new(), Map::new(), Map::new());
    let leaves = metadata.file_metadata().schema_descr();
    for (index, leaf) in leaves.columns().iter().enumerate().take(columns) {
        // Elements of lists and maps have no bounds of their own.
        if leaf.max_rep_level() > 0 {
            continue;
        }
        let path = leaf.path().parts();
        let Some(data_type) = type_at(schema, path) else { continue };
        let chunks: Vec<_> = metadata.row_groups().iter().map(|group| group.column(index)).collect();
        if let Some(count) = null_count(&chunks) {
            insert(&mut nulls, path, Value::Number(count.into()));
        }
        let is_nan = path.len() > 1 || not_a_number.contains(&path[0]);
        if matches!(data_type, DataType::Float | DataType::Double) && is_nan {
            continue;
        }
        if let Some((low, high)) = bounds(&chunks, data_type) {
            insert(&mut minimum, path, low);
            insert(&mut maximum, path, high);
        }
    }
    let rows: i64 = metadata.file_metadata().num_rows();
    let mut all = Map::new();
    all.insert("numRecords".into(), Value::Number(rows.into()));
    all.insert("minValues".into(), Value::Object(minimum));
    all.insert("maxValues".into(), Value::Object(maximum));
    all.insert("nullCount".into(), Value::Object(nulls));
    Value::Object(all).to_string()
}

fn type_at<'a>(schema: &'a StructType, path: &[String]) -> Option<&'a DataType> {
    let (first, rest) = path.split_first()?;
    let field = schema.fields.iter().find(|field| field.name == *first)?;
    match (&field.data_type, rest) {
        (data_type, []) => Some(data_type),
        (DataType::Struct(inner), rest) => type_at(inner, rest),
        _ => None,
    }
}

fn insert(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            object.insert(name.clone(), value);
        }
        [name, rest @ ..] => {
            let inner = object.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

fn null_count(chunks: &[&ColumnChunkMetaData]) -> Option<u64> {
    chunks.iter().map(|chunk| chunk.statistics()?.null_count_opt()).sum()
}

/// A value of a column in an order of its own.
#[derive(PartialEq, PartialOrd)]
enum Key {
    Integer(i128),
    Float(f64),
    Text(String),
}

fn bounds(chunks: &[&ColumnChunkMetaData], data_type: &DataType) -> Option<(Value, Value)> {
    let mut found: Option<(Key, Key)> = None;
    for chunk in chunks {
        let statistics = chunk.statistics()?;
        // A group of nulls has no bounds, and needs none.
        if statistics.null_count_opt() == u64::try_from(chunk.num_values()).ok() {
            continue;
        }
        let (low, high) = keys(statistics, data_type)?;
        found = Some(match found {
            None => (low, high),
            Some((a, b)) => (if low < a { low } else { a }, if high > b { high } else { b }),
        });
    }
    let (low, high) = found?;
    Some((json(low, data_type, false)?, json(high, data_type, true)?))
}

fn keys(statistics: &Statistics, data_type: &DataType) -> Option<(Key, Key)> {
    let text = |bytes: &ByteArray| bytes.as_utf8().ok().map(|text| Key::Text(text.to_string()));
    Some(match statistics {
        Statistics::Int32(s) => (Key::Integer((*s.min_opt()?).into()), Key::Integer((*s.max_opt()?).into())),
        Statistics::Int64(s) => (Key::Integer((*s.min_opt()?).into()), Key::Integer((*s.max_opt()?).into())),
        Statistics::Float(s) => (Key::Float((*s.min_opt()?).into()), Key::Float((*s.max_opt()?).into())),
        Statistics::Double(s) => (Key::Float(*s.min_opt()?), Key::Float(*s.max_opt()?)),
        Statistics::ByteArray(s) if data_type.is_string() => (text(s.min_opt()?)?, text(s.max_opt()?)?),
        Statistics::FixedLenByteArray(s) if data_type.is_decimal() => {
            (Key::Integer(big_endian(s.min_opt()?.data())?), Key::Integer(big_endian(s.max_opt()?.data())?))
        }
        _ => return None,
    })
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xFF };
    let mut wide = [sign; 16];
    wide.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

fn json(key: Key, data_type: &DataType, is_max: bool) -> Option<Value> {
    Some(match (key, data_type) {
        (Key::Integer(v), DataType::Byte | DataType::Short | DataType::Integer | DataType::Long) => {
            Value::Number(i64::try_from(v).ok()?.into())
        }
        (Key::Integer(v), DataType::Decimal(_, scale)) => decimal(v, usize::try_from(*scale).ok()?)?,
        (Key::Integer(v), DataType::Date) => {
            let date = chrono::DateTime::from_timestamp(i64::try_from(v).ok()?.checked_mul(86_400)?, 0)?;
            Value::String(in_years(date)?.format("%Y-%m-%d").to_string())
        }
        (Key::Integer(v), DataType::Timestamp) => {
            let time = in_years(chrono::DateTime::from_timestamp_micros(i64::try_from(v).ok()?)?)?;
            Value::String(time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        }
        (Key::Integer(v), DataType::TimestampNtz) => {
            let time = in_years(chrono::DateTime::from_timestamp_micros(i64::try_from(v).ok()?)?)?;
            Value::String(time.format("%Y-%m-%dT%H:%M:%S%.3f").to_string())
        }
        (Key::Float(v), DataType::Float | DataType::Double) => Value::Number(Number::from_f64(v)?),
        (Key::Text(v), _) => Value::String(cut(v, is_max)),
        _ => return None,
    })
}

/// Years of four digits, which every reader parses.
fn in_years(time: chrono::DateTime<chrono::Utc>) -> Option<chrono::DateTime<chrono::Utc>> {
    use chrono::Datelike;
    (1..=9999).contains(&time.year()).then_some(time)
}

/// A text that stands before (or after) all that begin as it does.
fn cut(text: String, is_max: bool) -> String {
    match text.char_indices().nth(TEXT_CHARACTERS) {
        None => text,
        Some((end, _)) => {
            let mut short = text[..end].to_string();
            if is_max {
                short.push(char::MAX);
            }
            short
        }
    }
}

fn decimal(unscaled: i128, scale: usize) -> Option<Value> {
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled < 0 { "-" } else { "" };
    let text = if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_and_texts() {
        assert_eq!(decimal(-5, 2).unwrap().to_string(), "-0.05");
        assert_eq!(decimal(12345, 2).unwrap().to_string(), "123.45");
        assert_eq!(big_endian(&[0xFF, 0xFE]), Some(-2));
        let long = "x".repeat(40);
        assert_eq!(cut(long.clone(), false), "x".repeat(32));
        assert!(cut(long.clone(), true) > long);
    }
}
