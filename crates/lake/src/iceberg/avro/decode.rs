//! Reading Avro files.
use std::collections::BTreeMap;
use std::io::Read;

use firesteel_plan::Result;

use super::{Schema, Value};
use crate::iceberg::errors::broken;

const MAGIC: &[u8] = b"Obj\x01";
const SYNC_BYTES: usize = 16;
/// What a block may unpack to.
const MAX_BLOCK_BYTES: u64 = 1 << 30;

/// The metadata and the records of a file.
pub(crate) fn read_file(bytes: &[u8]) -> Result<(BTreeMap<String, String>, Vec<Value>)> {
    let mut input = Input { bytes };
    if input.take(MAGIC.len())? != MAGIC {
        return Err(ended());
    }
    let mut metadata = BTreeMap::new();
    while let Some(count) = input.block()? {
        for _ in 0..count {
            let key = input.text()?;
            let value = input.length()?;
            metadata.insert(key, String::from_utf8_lossy(input.take(value)?).into_owned());
        }
    }
    let sync = input.take(SYNC_BYTES)?;
    let schema = Schema::parse(metadata.get("avro.schema").map_or("", String::as_str))?;
    let codec = metadata.get("avro.codec").map_or("null", String::as_str);
    let mut rows = vec![];
    while !input.bytes.is_empty() {
        let count = input.length()?;
        let size = input.length()?;
        let block = unpack(codec, input.take(size)?)?;
        let mut records = Input { bytes: &block };
        if count > block.len() {
            return Err(ended());
        }
        for _ in 0..count {
            rows.push(records.value(&schema)?);
        }
        if input.take(SYNC_BYTES)? != sync {
            return Err(broken("an Avro file", "its blocks are out of step"));
        }
    }
    Ok((metadata, rows))
}

fn unpack(codec: &str, block: &[u8]) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| broken("an Avro file", error);
    let mut bytes = vec![];
    match codec {
        "null" => bytes.extend_from_slice(block),
        "deflate" => {
            let mut reader = flate2::read::DeflateDecoder::new(block).take(MAX_BLOCK_BYTES);
            reader.read_to_end(&mut bytes).map_err(failed)?;
        }
        "zstandard" => {
            let reader = zstd::stream::read::Decoder::new(block).map_err(failed)?;
            reader.take(MAX_BLOCK_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        }
        "snappy" => {
            // A checksum follows.
            let data = block.split_last_chunk::<4>().ok_or_else(ended)?.0;
            bytes = snap::raw::Decoder::new().decompress_vec(data).map_err(|e| broken("an Avro file", e))?;
        }
        other => return Err(broken("an Avro file", format!("the codec {other} is not known"))),
    }
    Ok(bytes)
}

fn ended() -> firesteel_plan::SparkError {
    broken("an Avro file", "it ends too early, or is none")
}

struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or_else(ended)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// Seven bits a byte, the lowest first; the sign is in the last bit.
    fn long(&mut self) -> Result<i64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(broken("an Avro file", "a number is too long"))
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(self.long()?).map_err(|_| ended())
    }

    /// How many items the next block of an array or map has; `None` after the last.
    fn block(&mut self) -> Result<Option<usize>> {
        let mut count = self.long()?;
        if count < 0 {
            // The size of the block follows, for those who pass over it.
            self.long()?;
            count = count.checked_neg().ok_or_else(ended)?;
        }
        let count = usize::try_from(count).map_err(|_| ended())?;
        // Items take a byte at least: a count beyond that is damage, and must not be a loop.
        if count > self.bytes.len() {
            return Err(ended());
        }
        Ok(Some(count).filter(|count| *count > 0))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.length()?;
        String::from_utf8(self.take(length)?.to_vec()).map_err(|e| broken("an Avro file", e))
    }

    fn value(&mut self, schema: &Schema) -> Result<Value> {
        Ok(match schema {
            Schema::Null => Value::Null,
            Schema::Boolean => Value::Boolean(self.take(1)?[0] != 0),
            Schema::Int | Schema::Long => Value::Long(self.long()?),
            Schema::Float => Value::Float(f32::from_le_bytes(self.fixed()?)),
            Schema::Double => Value::Double(f64::from_le_bytes(self.fixed()?)),
            Schema::Bytes => {
                let length = self.length()?;
                Value::Bytes(self.take(length)?.to_vec())
            }
            Schema::Fixed(size) => Value::Bytes(self.take(*size)?.to_vec()),
            Schema::Text => Value::Text(self.text()?),
            Schema::Enum(symbols) => {
                let index = self.length()?;
                Value::Text(symbols.get(index).cloned().ok_or_else(ended)?)
            }
            Schema::Array(items) => {
                let mut found = vec![];
                while let Some(count) = self.block()? {
                    for _ in 0..count {
                        found.push(self.value(items)?);
                    }
                }
                Value::Array(found)
            }
            Schema::Map(values) => {
                let mut found = vec![];
                while let Some(count) = self.block()? {
                    for _ in 0..count {
                        found.push((self.text()?, self.value(values)?));
                    }
                }
                Value::Record(found)
            }
            Schema::Union(branches) => {
                let index = self.length()?;
                self.value(branches.get(index).ok_or_else(ended)?)?
            }
            Schema::Record(fields) => {
                let read = fields.iter().map(|(name, schema)| Ok((name.clone(), self.value(schema)?)));
                Value::Record(read.collect::<Result<_>>()?)
            }
        })
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| ended())
    }
}
