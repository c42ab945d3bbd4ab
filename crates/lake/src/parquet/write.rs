//! Parquet files as Spark writes them.
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatchOptions;
use firesteel_functions::types::to_arrow_fields;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::WriterProperties;

use super::schema::SPARK_SCHEMA_KEY;
use crate::convert::convert;
use crate::request::WriteRequest;
use crate::write::{Encoder, SharedBuffer, WriterFactory};

/// Column metadata: the number that a file gives to a column (`spark.sql.parquet.fieldId.write.enabled`).
pub(crate) const FIELD_ID_KEY: &str = "parquet.field.id";
/// Column metadata: the numbers of what is below a column without being one, by path, as `{"list.element": 5}`.
pub(crate) const NESTED_IDS_KEY: &str = "parquet.field.nested.ids";

pub(crate) const DEFAULT_BLOCK_BYTES: u64 = 128 << 20;

/// Option name, codec, what the file name says.
pub(crate) fn codec(name: &str) -> Result<(Compression, &'static str)> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "none" | "uncompressed" => (Compression::UNCOMPRESSED, ""),
        "snappy" => (Compression::SNAPPY, ".snappy"),
        "gzip" => (Compression::GZIP(GzipLevel::default()), ".gz"),
        "brotli" => (Compression::BROTLI(BrotliLevel::default()), ".br"),
        "lz4" => (Compression::LZ4, ".lz4hadoop"),
        "lz4_raw" => (Compression::LZ4_RAW, ".lz4raw"),
        "zstd" => (Compression::ZSTD(ZstdLevel::default()), ".zstd"),
        "lzo" => return Err(SparkError::unsupported("writing Parquet with LZO")),
        _ => {
            return Err(SparkError::new(
                "CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION",
                [
                    ("codecName", name),
                    ("availableCodecs", "none, uncompressed, snappy, gzip, brotli, lz4, lz4_raw, zstd"),
                ],
            ));
        }
    })
}

pub(super) fn factory(schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
    let default = request.conf.get("spark.sql.parquet.compression.codec").unwrap_or("snappy");
    let name = request.options.any(&["compression", "parquet.compression"]).unwrap_or(default);
    let (compression, suffix) = codec(name)?;
    let block_bytes = match request.options.get("parquet.block.size") {
        Some(text) => crate::conf::parse_bytes(text).unwrap_or(DEFAULT_BLOCK_BYTES),
        None => request.conf.bytes("spark.hadoop.parquet.block.size", DEFAULT_BLOCK_BYTES)?,
    };
    let metadata = vec![
        KeyValue::new("org.apache.spark.version".into(), "4.2.0".to_string()),
        KeyValue::new(SPARK_SCHEMA_KEY.into(), schema.json_value().to_string()),
    ];
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_key_value_metadata(Some(metadata))
        .set_created_by("firesteel".into())
        .set_coerce_types(true)
        .build();
    // INT96 is a type of the past that the writer does not have: what asks for it gets microseconds.
    let times = match request.conf.get("spark.sql.parquet.outputTimestampType") {
        Some(name) if name.eq_ignore_ascii_case("TIMESTAMP_MILLIS") => TimeUnit::Millisecond,
        _ => TimeUnit::Microsecond,
    };
    let mut fields = stored_fields(&to_arrow_fields(schema), times);
    if request.conf.flag("spark.sql.parquet.fieldId.write.enabled", true)? {
        fields = with_field_ids(&fields, schema);
    }
    Ok(Arc::new(ParquetFactory {
        extension: format!("{suffix}.parquet"),
        schema: Arc::new(Schema::new(fields)),
        properties,
        block_bytes,
    }))
}

/// The fields with the numbers that the columns' metadata has for them.
fn with_field_ids(fields: &Fields, schema: &StructType) -> Fields {
    let numbered = |(field, column): (&FieldRef, &StructField)| {
        let below = column.metadata.get(NESTED_IDS_KEY).and_then(|text| serde_json::from_str(text).ok());
        let nested = NestedIds(below.unwrap_or_default());
        let data_type = nested.below(field.data_type(), &column.data_type, &column.name);
        let field = field.as_ref().clone().with_data_type(data_type);
        match column.metadata.get(FIELD_ID_KEY) {
            Some(id) => with_id(field, id.clone()),
            None => field,
        }
    };
    fields.iter().zip(schema.fields.iter()).map(numbered).collect()
}

fn with_id(field: Field, id: String) -> Field {
    field.with_metadata([(PARQUET_FIELD_ID_META_KEY.to_string(), id)].into())
}

/// The numbers of list elements and map entries of one column, by path.
struct NestedIds(BTreeMap<String, i32>);

impl NestedIds {
    fn below(&self, stored: &ArrowType, data_type: &DataType, path: &str) -> ArrowType {
        let part = |field: &FieldRef, data_type: &DataType, name: &str| {
            let path = format!("{path}.{name}");
            let field = field.as_ref().clone().with_data_type(self.below(field.data_type(), data_type, &path));
            Arc::new(match self.0.get(&path) {
                Some(id) => with_id(field, id.to_string()),
                None => field,
            })
        };
        match (stored, data_type) {
            (ArrowType::Struct(fields), DataType::Struct(columns)) => {
                ArrowType::Struct(with_field_ids(fields, columns))
            }
            (ArrowType::List(element), DataType::Array(of, _)) => ArrowType::List(part(element, of, "element")),
            (ArrowType::Map(entries, sorted), DataType::Map(key, value, _)) => {
                let ArrowType::Struct(pair) = entries.data_type() else { return stored.clone() };
                let parts = pair.iter().zip([(key, "key"), (value, "value")]);
                let pair = parts.map(|(field, (of, name))| part(field, of, name)).collect();
                let entries = entries.as_ref().clone().with_data_type(ArrowType::Struct(pair));
                ArrowType::Map(Arc::new(entries), *sorted)
            }
            _ => stored.clone(),
        }
    }
}

/// The Arrow fields that Parquet's writer turns into Spark's Parquet types.
pub(crate) fn stored_fields(fields: &Fields, times: TimeUnit) -> Fields {
    fields.iter().map(|field| stored_field(field, times)).collect()
}

fn stored_field(field: &FieldRef, times: TimeUnit) -> FieldRef {
    Arc::new(Field::new(field.name(), stored_type(field.data_type(), times), field.is_nullable()))
}

/// `times`: the unit of TIMESTAMP; TIMESTAMP_NTZ always has microseconds.
fn stored_type(data_type: &ArrowType, times: TimeUnit) -> ArrowType {
    match data_type {
        ArrowType::Timestamp(_, Some(zone)) => ArrowType::Timestamp(times, Some(Arc::clone(zone))),
        ArrowType::Interval(IntervalUnit::YearMonth) => ArrowType::Int32,
        ArrowType::Duration(_) => ArrowType::Int64,
        ArrowType::Time64(_) => ArrowType::Time64(TimeUnit::Microsecond),
        ArrowType::List(element) => ArrowType::List(stored_field(element, times)),
        ArrowType::Map(entries, sorted) => ArrowType::Map(stored_field(entries, times), *sorted),
        ArrowType::Struct(fields) => ArrowType::Struct(stored_fields(fields, times)),
        other => other.clone(),
    }
}

#[derive(Debug)]
struct ParquetFactory {
    extension: String,
    schema: SchemaRef,
    properties: WriterProperties,
    block_bytes: u64,
}

impl WriterFactory for ParquetFactory {
    fn extension(&self) -> &str {
        &self.extension
    }

    fn encoder(&self) -> Result<Box<dyn Encoder>> {
        let sink = SharedBuffer::default();
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_skip_arrow_metadata(true)
            .with_schema_root("spark_schema".into());
        let writer = ArrowWriter::try_new_with_options(sink.clone(), Arc::clone(&self.schema), options);
        Ok(Box::new(ParquetEncoder {
            writer: Some(writer.map_err(failed)?),
            sink,
            schema: Arc::clone(&self.schema),
            block_bytes: self.block_bytes,
            footer: None,
        }))
    }
}

pub(crate) fn failed(error: ParquetError) -> SparkError {
    SparkError::internal(format!("cannot write Parquet: {error}")).with_cause(error)
}

struct ParquetEncoder {
    /// `None` once finished.
    writer: Option<ArrowWriter<SharedBuffer>>,
    sink: SharedBuffer,
    schema: SchemaRef,
    block_bytes: u64,
    /// Once finished.
    footer: Option<ParquetMetaData>,
}

impl Encoder for ParquetEncoder {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns = columns.map(|(column, field)| convert(column, field.data_type(), true)).collect::<Result<_, _>>();
        let columns = columns.map_err(|e| failed(e.into()))?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let stored = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options);
        writer.write(&stored.map_err(|e| failed(e.into()))?).map_err(failed)?;
        if writer.in_progress_size() as u64 >= self.block_bytes {
            writer.flush().map_err(failed)?;
        }
        self.sink.drain(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if let Some(writer) = self.writer.take() {
            self.footer = Some(writer.close().map_err(failed)?);
        }
        self.sink.drain(out);
        Ok(())
    }

    fn footer(&self) -> Option<&ParquetMetaData> {
        self.footer.as_ref()
    }
}
