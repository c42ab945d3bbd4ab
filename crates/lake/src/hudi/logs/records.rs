//! Data blocks: records as batches.
use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_avro::reader::ReaderBuilder;
use firesteel_plan::{Result, SparkError};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::blocks::{Block, Kind, Part};
use super::damaged;
use crate::convert::fit;

/// From this version on a block of Avro records says how many there are.
const WITH_COUNT: i32 = 1;
/// The version of blocks that are written.
const VERSION: i32 = 3;
const BATCH_ROWS: usize = 8192;

/// The records of a block, with the columns `wanted`; handed to `take` batch by batch, with which of the columns the block
/// has.
pub(super) fn read(
    block: &Block,
    wanted: &SchemaRef,
    exact_case: bool,
    mut take: impl FnMut(RecordBatch, &[bool]) -> Result<()>,
) -> Result<()> {
    let failed = |error: arrow::error::ArrowError| damaged(&block.place, error);
    let mut fitted = |batch: std::result::Result<RecordBatch, arrow::error::ArrowError>| {
        let batch = batch.map_err(failed)?;
        let has = |name: &str| batch.schema_ref().fields().iter().any(|field| is_same(field.name(), name, exact_case));
        let stored: Vec<bool> = wanted.fields().iter().map(|field| has(field.name())).collect();
        take(fit(&batch, wanted, exact_case)?, &stored)
    };
    if block.kind == Kind::Parquet {
        let builder = ParquetRecordBatchReaderBuilder::try_new(block.content.clone());
        let builder = builder.map_err(|e| damaged(&block.place, e))?.with_batch_size(BATCH_ROWS);
        let mut reader = builder.build().map_err(|e| damaged(&block.place, e))?;
        return reader.try_for_each(&mut fitted);
    }
    let Some(file) = container(block)? else { return Ok(()) };
    let mut reader = ReaderBuilder::new().with_batch_size(BATCH_ROWS).build(Cursor::new(file)).map_err(failed)?;
    reader.try_for_each(&mut fitted)
}

fn is_same(a: &str, b: &str, exact_case: bool) -> bool {
    a == b || !exact_case && a.to_lowercase() == b.to_lowercase()
}

/// The Avro records of a block as a file of Avro's own format, which has its own readers; `None` where there are none.
fn container(block: &Block) -> Result<Option<Vec<u8>>> {
    let mut part = Part { place: &block.place, bytes: block.content.clone() };
    let version = part.int()?;
    if version < WITH_COUNT {
        return Err(SparkError::unsupported(format!("reading data blocks of Hudi of version {version}")));
    }
    let count = part.int()?;
    let mut records = Vec::with_capacity(part.bytes.len());
    for _ in 0..count {
        records.extend_from_slice(&part.counted()?);
    }
    if count <= 0 {
        return Ok(None);
    }
    let mut file = header(&block.schema);
    put_long(&mut file, i64::from(count));
    put_bytes(&mut file, &records);
    file.extend(SYNC);
    Ok(Some(file))
}

/// The Avro records of a block that is written.
#[derive(Debug, Default)]
pub(in crate::hudi) struct Records {
    count: i32,
    bytes: Vec<u8>,
}

impl Records {
    pub(in crate::hudi) fn add(&mut self, record: &[u8]) -> Result<()> {
        let length = i32::try_from(record.len());
        let length = length.map_err(|_| SparkError::unsupported("so long a record of a Hudi table"))?;
        self.count += 1;
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend_from_slice(record);
        Ok(())
    }

    /// How much memory they take.
    pub(in crate::hudi) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What was added, which is forgotten; `None`: nothing.
    pub(in crate::hudi) fn take(&mut self) -> Option<Vec<u8>> {
        let Self { count, bytes } = std::mem::take(self);
        (count > 0).then(|| [&VERSION.to_be_bytes()[..], &count.to_be_bytes(), &bytes].concat())
    }
}

const SYNC: [u8; 16] = *b"firesteel's hudi";

/// The beginning of an Avro file of a schema.
pub(in crate::hudi) fn header(schema: &str) -> Vec<u8> {
    let mut file = b"Obj\x01".to_vec();
    put_long(&mut file, 2);
    for (key, value) in [("avro.schema", schema), ("avro.codec", "null")] {
        put_bytes(&mut file, key.as_bytes());
        put_bytes(&mut file, value.as_bytes());
    }
    put_long(&mut file, 0);
    file.extend(SYNC);
    file
}

pub(super) fn put_bytes(file: &mut Vec<u8>, bytes: &[u8]) {
    put_long(file, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    file.extend_from_slice(bytes);
}

pub(super) fn put_long(file: &mut Vec<u8>, value: i64) {
    let mut left = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    while left >= 0x80 {
        file.push(u8::try_from(left & 0x7f).unwrap_or_default() | 0x80);
        left >>= 7;
    }
    file.push(u8::try_from(left).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use bytes::Bytes;

    use super::super::blocks::tests::place;
    use super::*;

    #[test]
    fn avro_records() {
        let schema = r#"{"type":"record","name":"r","fields":[{"name":"k","type":"string"},
            {"name":"gone","type":"long"},{"name":"v","type":["null","int"],"default":null}]}"#;
        let records: [&[u8]; 3] = [b"\x02a\x02\x02\x04", b"\x02b\x02\x00", b"\x02c\x02\x02\x01"];
        let mut written = Records::default();
        assert_eq!(written.take(), None);
        records.iter().for_each(|record| written.add(record).unwrap());
        let content = Bytes::from(written.take().unwrap());
        let mut block = Block {
            place: place(),
            kind: Kind::Avro,
            instant: "1".into(),
            schema: schema.into(),
            is_partial: false,
            content,
        };
        let field = |name: &str, data_type| Field::new(name, data_type, true);
        let wanted = [field("v", DataType::Int64), field("k", DataType::Utf8), field("new", DataType::Date32)];
        let wanted = Arc::new(Schema::new(wanted.to_vec()));
        let batches = |block: &Block| {
            let mut found = vec![];
            read(block, &wanted, true, |batch, stored| {
                assert_eq!(stored, [true, true, false]);
                found.push(batch);
                Ok(())
            })
            .map(|()| found)
        };
        let found = batches(&block).unwrap();
        let values: Vec<_> = found[0].column(0).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, [Some(2), None, Some(-1)]);
        assert_eq!(found[0].column(1).as_string::<i32>().value(2), "c");
        assert_eq!(found[0].column(2).null_count(), 3);
        block.content = Bytes::from([1i32.to_be_bytes(), 0i32.to_be_bytes()].concat());
        assert!(batches(&block).unwrap().is_empty());
        block.content = Bytes::from([1i32.to_be_bytes(), 2i32.to_be_bytes()].concat());
        assert!(batches(&block).unwrap_err().is("FAILED_READ_FILE.NO_HINT"));
    }
}
