//! Logs as Hudi writes them: blocks of Avro records, then one of deletes.
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow_avro::schema::SCHEMA_METADATA_KEY;
use arrow_avro::writer::format::AvroBinaryFormat;
use arrow_avro::writer::{Encoder, WriterBuilder};
use datafusion::common::ScalarValue;
use firesteel_plan::{Result, SparkError};

use crate::convert::convert;
use crate::hudi::logs::{Deletes, Kind, Records, block};

/// A block with records is not begun anew before it has so many bytes.
const BLOCK_BYTES: usize = 32 << 20;

/// How the logs of a write are encoded.
#[derive(Debug)]
pub(super) struct LogFormat {
    schema: SchemaRef,
    avro: String,
    instant: String,
}

impl LogFormat {
    /// `avro`: the schema of the table's records with Hudi's own columns.
    pub(super) fn new(avro: String, instant: &str) -> Result<Self> {
        let fields = crate::hudi::schema::arrow(&avro)?.fields().clone();
        let metadata = [(SCHEMA_METADATA_KEY.to_string(), avro.clone())].into();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        Ok(Self { schema, avro, instant: instant.into() })
    }

    pub(super) fn file(&self) -> Result<LogEncoder> {
        let encoder = WriterBuilder::new(self.schema.as_ref().clone()).build_encoder::<AvroBinaryFormat>();
        Ok(LogEncoder {
            encoder: encoder.map_err(failed)?,
            avro: self.avro.clone(),
            instant: self.instant.clone(),
            records: Records::default(),
            deletes: Deletes::default(),
        })
    }
}

/// A log that is being written.
pub(super) struct LogEncoder {
    encoder: Encoder,
    avro: String,
    instant: String,
    records: Records,
    deletes: Deletes,
}

impl LogEncoder {
    /// Encodes records: columns of the types of the table, in the order of its schema.
    pub(super) fn write(&mut self, columns: &[ArrayRef], rows: usize, out: &mut Vec<u8>) -> Result<()> {
        let schema = self.encoder.schema();
        let columns = columns.iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| convert(column, field.data_type(), true));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(schema, columns, &options).map_err(failed)?;
        self.encoder.encode(&batch).map_err(failed)?;
        for record in self.encoder.flush().iter() {
            self.records.add(&record)?;
        }
        match self.records.len() >= BLOCK_BYTES {
            true => self.end_block(out),
            false => Ok(()),
        }
    }

    /// Adds deletes of keys; those without an order count whatever was there before.
    pub(super) fn delete(&mut self, keys: &StringArray, partition: &str, orders: Option<&ArrayRef>) -> Result<()> {
        for (row, key) in keys.iter().enumerate() {
            let order = orders.map(|orders| ScalarValue::try_from_array(orders, row)).transpose().map_err(failed)?;
            self.deletes.add(key.unwrap_or_default(), partition, order.as_ref())?;
        }
        Ok(())
    }

    fn end_block(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if let Some(content) = self.records.take() {
            out.extend(block(Kind::Avro, &self.instant, &self.avro, &content)?);
        }
        Ok(())
    }

    /// The end of the file.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.end_block(out)?;
        if let Some(content) = self.deletes.content()? {
            out.extend(block(Kind::Delete, &self.instant, &self.avro, &content)?);
        }
        Ok(())
    }
}

fn failed(error: impl std::fmt::Display) -> SparkError {
    SparkError::internal(format!("writing a log of a Hudi table: {error}"))
}
