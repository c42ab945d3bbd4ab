//! Writing Avro files.
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit};
use arrow_avro::compression::CompressionCodec;
use arrow_avro::schema::{AVRO_NAME_METADATA_KEY, AVRO_NAMESPACE_METADATA_KEY};
use arrow_avro::writer::format::AvroOcfFormat;
use arrow_avro::writer::{Writer, WriterBuilder};
use firesteel_functions::types::to_arrow_fields;
use firesteel_plan::{Result, SparkError, StructType};

use super::failed;
use crate::convert::convert;
use crate::request::WriteRequest;
use crate::write::{Encoder, SharedBuffer, WriterFactory};

const CODECS: &[(&str, Option<CompressionCodec>)] = &[
    ("uncompressed", None),
    ("snappy", Some(CompressionCodec::Snappy)),
    ("deflate", Some(CompressionCodec::Deflate)),
    ("bzip2", Some(CompressionCodec::Bzip2)),
    ("xz", Some(CompressionCodec::Xz)),
    ("zstandard", Some(CompressionCodec::ZStandard)),
];

pub(super) fn factory(schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
    if request.options.get("avroSchema").is_some() {
        return Err(SparkError::unsupported("writing Avro with the option avroSchema"));
    }
    let default = request.conf.get("spark.sql.avro.compression.codec").unwrap_or("snappy");
    let name = request.options.get("compression").unwrap_or(default);
    let Some((_, codec)) = CODECS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
        return Err(SparkError::new("CODEC_SHORT_NAME_NOT_FOUND", [("codecName", name)]));
    };
    let mut metadata = HashMap::new();
    let record = request.options.get("recordName").unwrap_or("topLevelRecord");
    metadata.insert(AVRO_NAME_METADATA_KEY.to_string(), record.to_string());
    if let Some(namespace) = request.options.get("recordNamespace").filter(|namespace| !namespace.is_empty()) {
        metadata.insert(AVRO_NAMESPACE_METADATA_KEY.to_string(), namespace.to_string());
    }
    let fields: Fields = to_arrow_fields(schema).iter().map(stored_field).collect();
    Ok(Arc::new(AvroFactory { schema: Arc::new(Schema::new_with_metadata(fields, metadata)), codec: *codec }))
}

fn stored_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), stored_type(field.data_type()), field.is_nullable()))
}

/// Avro has two integers; intervals are numbers, as Spark writes them.
fn stored_type(data_type: &ArrowType) -> ArrowType {
    match data_type {
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::Interval(IntervalUnit::YearMonth) => ArrowType::Int32,
        ArrowType::Duration(_) => ArrowType::Int64,
        ArrowType::Time64(_) => ArrowType::Time64(TimeUnit::Microsecond),
        ArrowType::List(element) => ArrowType::List(stored_field(element)),
        ArrowType::Map(entries, sorted) => ArrowType::Map(stored_field(entries), *sorted),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(stored_field).collect()),
        other => other.clone(),
    }
}

#[derive(Debug)]
struct AvroFactory {
    schema: SchemaRef,
    codec: Option<CompressionCodec>,
}

impl WriterFactory for AvroFactory {
    fn extension(&self) -> &str {
        ".avro"
    }

    fn encoder(&self) -> Result<Box<dyn Encoder>> {
        let sink = SharedBuffer::default();
        let builder = WriterBuilder::new(self.schema.as_ref().clone()).with_compression(self.codec);
        let writer = builder.build::<_, AvroOcfFormat>(sink.clone()).map_err(failed)?;
        Ok(Box::new(AvroEncoder { writer, sink, schema: Arc::clone(&self.schema) }))
    }
}

struct AvroEncoder {
    writer: Writer<SharedBuffer, AvroOcfFormat>,
    sink: SharedBuffer,
    schema: SchemaRef,
}

impl Encoder for AvroEncoder {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| convert(column, field.data_type(), true));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
        let stored = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(failed)?;
        self.writer.write(&stored).map_err(failed)?;
        self.sink.drain(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.writer.finish().map_err(failed)?;
        self.sink.drain(out);
        Ok(())
    }
}
