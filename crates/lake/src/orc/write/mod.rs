//! Writing ORC files.
//!
//! ```text
//!  rows ─▶ OrcEncoder: kept until they make a stripe ─▶ stripe ─▶ column (per type, parents first) ─▶ streams
//!                                                         │        integers · bytes · decimals · times · strings
//!                                                         └─ compressed, indexed by row group, statistics
//!  the end ─▶ tail: statistics of stripes and file, types, postscript
//! ```
mod bytes;
mod column;
mod compress;
mod decimals;
mod integers;
mod statistics;
mod stream;
mod strings;
mod stripe;
mod tail;
mod times;
mod zone;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, IntervalUnit, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatchOptions;
use firesteel_functions::types::to_arrow_fields;
use firesteel_plan::{Result, SparkError, StructType};
use orc_rust::proto::{CompressionKind, Type};

use self::compress::Compressor;
use self::stripe::{Layout, Written};
pub(super) use self::tail::WRITER;
use super::{failed, server_zone, types};
use crate::conf::parse_flag;
use crate::convert::convert;
use crate::request::WriteRequest;
use crate::write::{Encoder, WriterFactory};

/// Option name, codec, what the file name says.
const CODECS: &[(&str, CompressionKind, &str)] = &[
    ("none", CompressionKind::None, ""),
    ("uncompressed", CompressionKind::None, ""),
    ("zlib", CompressionKind::Zlib, ".zlib"),
    ("snappy", CompressionKind::Snappy, ".snappy"),
    ("lzo", CompressionKind::Lzo, ".lzo"),
    ("lz4", CompressionKind::Lz4, ".lz4"),
    ("zstd", CompressionKind::Zstd, ".zstd"),
];

/// Blocks have 23 bits for their length.
const BLOCK_BYTES: std::ops::Range<usize> = 1..1 << 23;

pub(super) fn factory(schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
    let default = request.conf.get("spark.sql.orc.compression.codec").unwrap_or("zstd");
    let name = request.options.any(&["compression", "orc.compress"]).unwrap_or(default);
    let Some((_, kind, suffix)) = CODECS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)) else {
        let known: Vec<_> = CODECS.iter().map(|(name, ..)| *name).collect();
        return Err(SparkError::new(
            "CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION",
            [("codecName", name.to_string()), ("availableCodecs", known.join(", "))],
        ));
    };
    let block = setting(request, "orc.compress.size", 256 << 10)?;
    if !BLOCK_BYTES.contains(&block) {
        return Err(invalid("orc.compress.size", &block.to_string(), "long"));
    }
    let has_index = match request.options.get("orc.create.index") {
        Some(text) => parse_flag(text).ok_or_else(|| invalid("orc.create.index", text, "boolean"))?,
        None => true,
    };
    let stored: Vec<FieldRef> = to_arrow_fields(schema).iter().map(stored_field).collect();
    Ok(Arc::new(OrcFactory {
        extension: format!("{suffix}.orc"),
        types: types::to_orc(schema)?,
        schema: Arc::new(Schema::new(stored)),
        layout: Layout {
            compressor: Compressor { kind: *kind, block },
            stripe_bytes: setting(request, "orc.stripe.size", 64 << 20)?,
            group_rows: if has_index { setting(request, "orc.row.index.stride", 10_000)? } else { 0 },
            zone: server_zone(),
        },
    }))
}

/// A number among the options, by ORC's own key.
fn setting(request: &WriteRequest, key: &str, default: usize) -> Result<usize> {
    match request.options.get(key) {
        None => Ok(default),
        Some(text) => text.trim().parse().map_err(|_| invalid(key, text, "long")),
    }
}

fn invalid(key: &str, value: &str, kind: &str) -> SparkError {
    SparkError::new("INVALID_CONF_VALUE.TYPE_MISMATCH", [("confName", key), ("confValue", value), ("confType", kind)])
}

fn stored_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), stored_type(field.data_type()), true))
}

/// Intervals and times without zone are numbers in the file.
fn stored_type(data_type: &ArrowType) -> ArrowType {
    match data_type {
        ArrowType::Interval(IntervalUnit::YearMonth) => ArrowType::Int32,
        ArrowType::Duration(_) | ArrowType::Timestamp(TimeUnit::Microsecond, None) => ArrowType::Int64,
        ArrowType::List(element) => ArrowType::List(stored_field(element)),
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(stored_field).collect()),
        ArrowType::Map(entries, sorted) => ArrowType::Map(stored_entries(entries), *sorted),
        other => other.clone(),
    }
}

/// The entries of a map and its keys are never null.
fn stored_entries(entries: &FieldRef) -> FieldRef {
    let ArrowType::Struct(children) = entries.data_type() else { return Arc::clone(entries) };
    let child = |child: &FieldRef| Field::new(child.name(), stored_type(child.data_type()), child.is_nullable());
    let children = children.iter().map(child).collect();
    Arc::new(Field::new(entries.name(), ArrowType::Struct(children), false))
}

#[derive(Debug)]
struct OrcFactory {
    extension: String,
    types: Vec<Type>,
    schema: SchemaRef,
    layout: Layout,
}

impl WriterFactory for OrcFactory {
    fn extension(&self) -> &str {
        &self.extension
    }

    fn encoder(&self) -> Result<Box<dyn Encoder>> {
        Ok(Box::new(OrcEncoder {
            types: self.types.clone(),
            schema: Arc::clone(&self.schema),
            layout: self.layout,
            rows: vec![],
            bytes: 0,
            stripes: vec![],
            offset: 0,
        }))
    }
}

struct OrcEncoder {
    types: Vec<Type>,
    schema: SchemaRef,
    layout: Layout,
    /// The rows of the next stripe, and how many bytes they take
    rows: Vec<RecordBatch>,
    bytes: usize,
    stripes: Vec<Written>,
    /// Bytes of the file so far
    offset: u64,
}

impl OrcEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.offset == 0 {
            out.extend(tail::MAGIC.bytes());
            self.offset = tail::MAGIC.len() as u64;
        }
    }

    /// Keeps rows for the stripes that they belong to. Each row counts as much as the others of its batch: of a part of
    /// a batch, Arrow counts what all its lists hold.
    fn add(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let sizes = rows.columns().iter().map(|column| column.to_data().get_slice_memory_size());
        let bytes = sizes.sum::<std::result::Result<usize, _>>().map_err(failed)?;
        let row_bytes = bytes.div_ceil(rows.num_rows()).max(1);
        let mut start = 0;
        while start < rows.num_rows() {
            let free = self.layout.stripe_bytes.saturating_sub(self.bytes) / row_bytes;
            if free == 0 && !self.rows.is_empty() {
                self.end_stripe(out)?;
                continue;
            }
            let count = free.clamp(1, rows.num_rows() - start);
            self.rows.push(rows.slice(start, count));
            self.bytes += count * row_bytes;
            start += count;
        }
        Ok(())
    }

    fn end_stripe(&mut self, out: &mut Vec<u8>) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.begin(out);
        let rows = concat_batches(&self.schema, &self.rows).map_err(failed)?;
        self.rows.clear();
        self.bytes = 0;
        let before = out.len();
        self.stripes.push(stripe::write(&rows, &self.layout, self.offset, out)?);
        self.offset += (out.len() - before) as u64;
        Ok(())
    }
}

impl Encoder for OrcEncoder {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.add(&fit_stored(batch, &self.schema)?, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.end_stripe(out)?;
        self.begin(out);
        let types = std::mem::take(&mut self.types);
        tail::write(types, &self.stripes, self.layout.compressor, self.layout.group_rows, self.offset, out)
    }
}

/// Columns by position: names may repeat but for their case.
fn fit_stored(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| convert(column, field.data_type(), true));
    let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(failed)
}
