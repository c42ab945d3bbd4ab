//! Writing Avro files.
use std::io::Write;

use firesteel_plan::Result;
use uuid::Uuid;

use super::{Schema, Value};
use crate::iceberg::errors::broken;

/// A file of records, in one block.
pub(crate) fn write_file(schema: &str, metadata: &[(&str, &str)], rows: &[Value]) -> Result<Vec<u8>> {
    let parsed = Schema::parse(schema)?;
    let mut out = b"Obj\x01".to_vec();
    let all = [("avro.schema", schema), ("avro.codec", "deflate")];
    let all: Vec<_> = all.iter().chain(metadata).collect();
    put_long(&mut out, all.len() as i64);
    for (key, value) in all {
        put_bytes(&mut out, key.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    put_long(&mut out, 0);
    let sync = Uuid::new_v4();
    out.extend_from_slice(sync.as_bytes());
    if rows.is_empty() {
        return Ok(out);
    }
    let mut block = vec![];
    for row in rows {
        put(&mut block, &parsed, row)?;
    }
    let mut encoder = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::default());
    let packed = encoder.write_all(&block).and_then(|()| encoder.finish());
    let packed = packed.map_err(|e| broken("an Avro file", e))?;
    put_long(&mut out, rows.len() as i64);
    put_bytes(&mut out, &packed);
    out.extend_from_slice(sync.as_bytes());
    Ok(out)
}

fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

fn put(out: &mut Vec<u8>, schema: &Schema, value: &Value) -> Result<()> {
    match (schema, value) {
        (Schema::Null, Value::Null) => {}
        (Schema::Boolean, Value::Boolean(value)) => out.push(u8::from(*value)),
        (Schema::Int | Schema::Long, Value::Long(value)) => put_long(out, *value),
        (Schema::Float, Value::Float(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Schema::Double, Value::Double(value)) => out.extend_from_slice(&value.to_le_bytes()),
        (Schema::Bytes, Value::Bytes(bytes)) => put_bytes(out, bytes),
        (Schema::Fixed(size), Value::Bytes(bytes)) if bytes.len() == *size => out.extend_from_slice(bytes),
        (Schema::Text, Value::Text(text)) => put_bytes(out, text.as_bytes()),
        (Schema::Array(items), Value::Array(values)) => {
            if !values.is_empty() {
                put_long(out, values.len() as i64);
                values.iter().try_for_each(|value| put(out, items, value))?;
            }
            put_long(out, 0);
        }
        (Schema::Map(values), Value::Record(entries)) => {
            if !entries.is_empty() {
                put_long(out, entries.len() as i64);
                for (key, value) in entries {
                    put_bytes(out, key.as_bytes());
                    put(out, values, value)?;
                }
            }
            put_long(out, 0);
        }
        (Schema::Record(fields), Value::Record(_)) => {
            fields.iter().try_for_each(|(name, schema)| put(out, schema, value.get(name)))?;
        }
        (Schema::Union(branches), value) => {
            let is_null = matches!(value, Value::Null);
            let index = branches.iter().position(|branch| matches!(branch, Schema::Null) == is_null);
            let index = index.ok_or_else(|| broken("an Avro file", "a value has no place in its union"))?;
            put_long(out, index as i64);
            put(out, &branches[index], value)?;
        }
        (schema, value) => return Err(broken("an Avro file", format!("{value:?} is no {schema:?}"))),
    }
    Ok(())
}
