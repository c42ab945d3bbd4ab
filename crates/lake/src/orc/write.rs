//! Writing ORC files.
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType as ArrowType, Field, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use firesteel_functions::types::to_arrow_fields;
use firesteel_plan::{Result, SparkError, StructType};
use orc_rust::ArrowWriterBuilder;
use orc_rust::compression::CompressionType;

use super::failed;
use crate::request::WriteRequest;
use crate::write::{Encoder, SharedBuffer, WriterFactory};

/// Option name, codec, what the file name says.
const CODECS: &[(&str, Option<CompressionType>, &str)] = &[
    ("none", None, ""),
    ("uncompressed", None, ""),
    ("zlib", Some(CompressionType::Zlib), ".zlib"),
    ("snappy", Some(CompressionType::Snappy), ".snappy"),
    ("lz4", Some(CompressionType::Lz4), ".lz4"),
    ("zstd", Some(CompressionType::Zstd), ".zstd"),
];

pub(super) fn factory(schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
    let default = request.conf.get("spark.sql.orc.compression.codec").unwrap_or("zstd");
    let name = request.options.any(&["compression", "orc.compress"]).unwrap_or(default);
    let Some((_, codec, suffix)) = CODECS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)) else {
        let known: Vec<_> = CODECS.iter().map(|(name, ..)| *name).collect();
        return Err(SparkError::new(
            "CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION",
            [("codecName", name.to_string()), ("availableCodecs", known.join(", "))],
        ));
    };
    let arrow = to_arrow_fields(schema);
    for (field, spark) in arrow.iter().zip(schema.fields.iter()) {
        if stored(field.data_type()).is_none() {
            return Err(SparkError::unsupported(format!(
                "writing a column of type {} to ORC (column `{}`)",
                spark.data_type.sql(),
                spark.name
            )));
        }
    }
    let fields: Fields =
        arrow.iter().filter_map(|field| Some(Field::new(field.name(), stored(field.data_type())?, true))).collect();
    Ok(Arc::new(OrcFactory {
        extension: format!("{suffix}.orc"),
        schema: Arc::new(Schema::new(fields)),
        codec: *codec,
    }))
}

/// The type that the writer is given, where it can write it at all.
fn stored(data_type: &ArrowType) -> Option<ArrowType> {
    Some(match data_type {
        ArrowType::Boolean
        | ArrowType::Int8
        | ArrowType::Int16
        | ArrowType::Int32
        | ArrowType::Int64
        | ArrowType::Float32
        | ArrowType::Float64
        | ArrowType::Date32
        | ArrowType::Utf8
        | ArrowType::Binary
        | ArrowType::Timestamp(TimeUnit::Microsecond, _) => data_type.clone(),
        ArrowType::Interval(IntervalUnit::YearMonth) => ArrowType::Int32,
        ArrowType::Duration(_) => ArrowType::Int64,
        _ => return None,
    })
}

#[derive(Debug)]
struct OrcFactory {
    extension: String,
    schema: SchemaRef,
    codec: Option<CompressionType>,
}

impl WriterFactory for OrcFactory {
    fn extension(&self) -> &str {
        &self.extension
    }

    fn encoder(&self) -> Result<Box<dyn Encoder>> {
        let sink = SharedBuffer::default();
        let (sender, receiver) = sync_channel::<RecordBatch>(1);
        let (schema, codec, output) = (Arc::clone(&self.schema), self.codec, sink.clone());
        let thread = std::thread::Builder::new()
            .name("orc-writer".into())
            .spawn(move || write_all(&receiver, schema, codec, output))
            .map_err(failed)?;
        Ok(Box::new(OrcEncoder { sender: Some(sender), thread: Some(thread), sink, schema: Arc::clone(&self.schema) }))
    }
}

/// Writes what is sent until the sender is gone.
fn write_all(
    batches: &Receiver<RecordBatch>,
    schema: SchemaRef,
    codec: Option<CompressionType>,
    sink: SharedBuffer,
) -> Result<()> {
    let mut builder = ArrowWriterBuilder::new(sink, schema);
    if let Some(codec) = codec {
        builder = builder.with_compression(codec);
    }
    let mut writer = builder.try_build().map_err(failed)?;
    for batch in batches {
        writer.write(&batch).map_err(failed)?;
    }
    writer.close().map_err(failed)
}

/// orc-rust's writer cannot move between threads, as a task does, so it has one of its own.
struct OrcEncoder {
    /// `None` once finished.
    sender: Option<SyncSender<RecordBatch>>,
    thread: Option<JoinHandle<Result<()>>>,
    sink: SharedBuffer,
    schema: SchemaRef,
}

impl OrcEncoder {
    /// Waits for the thread; answers how it went.
    fn join(&mut self) -> Result<()> {
        self.sender = None;
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(failed("the writer broke down"))),
            None => Ok(()),
        }
    }
}

impl Encoder for OrcEncoder {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let stored = fit_stored(batch, &self.schema)?;
        if self.sender.as_ref().is_none_or(|sender| sender.send(stored).is_err()) {
            self.join()?;
        }
        self.sink.drain(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.join()?;
        self.sink.drain(out);
        Ok(())
    }
}

/// The format has no spelling for a time in the last second before 1970 that has more than 999 microseconds.
fn check_times(column: &ArrayRef, name: &str) -> Result<()> {
    let Some(times) = column.as_primitive_opt::<TimestampMicrosecondType>() else { return Ok(()) };
    match times.iter().flatten().find(|micros| (-999_000..0).contains(micros)) {
        Some(micros) => Err(SparkError::unsupported(format!(
            "writing the time {micros} microseconds after 1970-01-01 00:00:00 UTC to ORC (column `{name}`): the format \
             cannot hold a fraction of the second before"
        ))),
        None => Ok(()),
    }
}

/// Columns by position: names may repeat but for their case.
fn fit_stored(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        check_times(column, field.name())?;
    }
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| crate::convert::convert(column, field.data_type(), true));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(failed)
}
