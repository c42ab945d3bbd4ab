//! Base files as Hudi writes them: Parquet whose decimals are bytes, with Avro's schema and the keys in the footer.
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Schema, SchemaRef, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use firesteel_functions::types::to_arrow_fields;
use firesteel_plan::{Result, StructType};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::bloom::KeyFilter;
use crate::conf::Conf;
use crate::convert::convert;
use crate::parquet::{DEFAULT_BLOCK_BYTES, codec, failed_write, stored_fields};
use crate::write::SharedBuffer;

/// Which of the columns has the key.
const KEY: usize = 2;

/// Bytes of an unscaled value of so many digits, with its sign.
pub(super) fn decimal_bytes(precision: u8) -> usize {
    let bits = f64::from(precision) * std::f64::consts::LOG2_10 + 1.0;
    (bits / 8.0).ceil() as usize
}

/// How the files of a write are encoded.
#[derive(Debug)]
pub(super) struct FileFormat {
    schema: SchemaRef,
    stored: SchemaDescriptor,
    properties: WriterProperties,
}

impl FileFormat {
    /// `columns`: Hudi's own and those of the table, whose Avro schema is `avro`.
    pub(super) fn new(columns: &StructType, avro: String, codec_name: &str, conf: &Conf) -> Result<Self> {
        let (compression, _) = codec(codec_name)?;
        // Which values are missing is checked as rows are written.
        let fields = stored_fields(&to_arrow_fields(&columns.as_nullable()), TimeUnit::Microsecond);
        let schema = Arc::new(Schema::new(fields));
        let converter = ArrowSchemaConverter::new().with_coerce_types(true).schema_root("spark_schema");
        let plain = converter.convert(&schema).map_err(failed_write)?;
        let stored = with_decimal_bytes(&plain.root_schema_ptr()).map_err(failed_write)?;
        let metadata = vec![KeyValue::new("parquet.avro.schema".into(), avro)];
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_key_value_metadata(Some(metadata))
            .set_created_by("firesteel".into())
            .set_coerce_types(true)
            .set_max_row_group_bytes(
                usize::try_from(conf.bytes("hoodie.parquet.block.size", DEFAULT_BLOCK_BYTES)?).ok(),
            )
            .build();
        Ok(Self { schema, stored: SchemaDescriptor::new(stored), properties })
    }

    pub(super) fn file(&self) -> Result<FileEncoder> {
        let sink = SharedBuffer::default();
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_skip_arrow_metadata(true)
            .with_parquet_schema(self.stored.clone());
        let writer = ArrowWriter::try_new_with_options(sink.clone(), Arc::clone(&self.schema), options);
        Ok(FileEncoder {
            writer: writer.map_err(failed_write)?,
            sink,
            schema: Arc::clone(&self.schema),
            keys: KeyFilter::default(),
            range: None,
        })
    }
}

/// A type whose decimals are bytes of the smallest fixed length: other forms Avro's readers do not know.
fn with_decimal_bytes(stored: &TypePtr) -> std::result::Result<TypePtr, ParquetError> {
    let info = stored.get_basic_info();
    if stored.is_group() {
        let fields = stored.get_fields().iter().map(with_decimal_bytes).collect::<std::result::Result<_, _>>()?;
        let mut group = Type::group_type_builder(stored.name())
            .with_fields(fields)
            .with_logical_type(info.logical_type_ref().cloned())
            .with_converted_type(info.converted_type());
        if info.has_repetition() {
            group = group.with_repetition(info.repetition());
        }
        return group.build().map(Arc::new);
    }
    let Some(LogicalType::Decimal(decimal)) = info.logical_type_ref() else { return Ok(Arc::clone(stored)) };
    let precision = u8::try_from(decimal.precision).unwrap_or(u8::MAX);
    let bytes = i32::try_from(decimal_bytes(precision)).unwrap_or(i32::MAX);
    Type::primitive_type_builder(stored.name(), PhysicalType::FIXED_LEN_BYTE_ARRAY)
        .with_repetition(info.repetition())
        .with_logical_type(info.logical_type_ref().cloned())
        .with_converted_type(ConvertedType::DECIMAL)
        .with_length(bytes)
        .with_precision(decimal.precision)
        .with_scale(decimal.scale)
        .build()
        .map(Arc::new)
}

/// A base file that is being written.
pub(super) struct FileEncoder {
    writer: ArrowWriter<SharedBuffer>,
    sink: SharedBuffer,
    schema: SchemaRef,
    keys: KeyFilter,
    /// The smallest and the greatest key
    range: Option<(String, String)>,
}

impl FileEncoder {
    /// Encodes rows: columns of the types of the table, in the order of the file.
    pub(super) fn write(&mut self, columns: &[ArrayRef], rows: usize, out: &mut Vec<u8>) -> Result<()> {
        let stored = columns.iter().zip(self.schema.fields());
        let stored = stored.map(|(column, field)| convert(column, field.data_type(), true));
        let stored = stored.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| failed_write(e.into()))?;
        for key in stored[KEY].as_string::<i32>().iter().flatten() {
            self.keys.add(key);
            self.widen(key);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), stored, &options);
        self.writer.write(&batch.map_err(|e| failed_write(e.into()))?).map_err(failed_write)?;
        self.sink.drain(out);
        Ok(())
    }

    fn widen(&mut self, key: &str) {
        match &mut self.range {
            None => self.range = Some((key.to_string(), key.to_string())),
            Some((smallest, _)) if key < smallest.as_str() => *smallest = key.to_string(),
            Some((_, greatest)) if key > greatest.as_str() => *greatest = key.to_string(),
            Some(_) => {}
        }
    }

    /// The end of the file.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) -> Result<()> {
        let mut footer = vec![
            ("hoodie_bloom_filter_type_code", "DYNAMIC_V0".to_string()),
            ("org.apache.hudi.bloomfilter", self.keys.text()),
        ];
        if let Some((smallest, greatest)) = self.range.take() {
            footer.extend([("hoodie_min_record_key", smallest), ("hoodie_max_record_key", greatest)]);
        }
        for (key, value) in footer {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_string(), value));
        }
        self.writer.close().map_err(failed_write)?;
        self.sink.drain(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_decimals() {
        let known = [(1, 1), (2, 1), (3, 2), (9, 4), (10, 5), (18, 8), (19, 9), (38, 16)];
        for (precision, bytes) in known {
            assert_eq!(decimal_bytes(precision), bytes, "{precision}");
        }
    }
}
