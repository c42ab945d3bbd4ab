//! Encoders of CSV, JSON and text files.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use firesteel_functions::text_formats::csv::{CsvWriteOptions, CsvWriter};
use firesteel_functions::text_formats::json::{JsonWriteOptions, JsonWriter};
use firesteel_plan::{DataType, Result, StructType};

use super::charset::Charset;
use crate::compression::{Codec, Compressor};
use crate::request::WriteRequest;
use crate::write::{Encoder, WriterFactory};

/// Writes rows as text. One for each file.
trait RowText: Send {
    /// What comes before the first row.
    fn begin(&mut self, _out: &mut String) {}
    fn rows(&mut self, batch: &RecordBatch, out: &mut String) -> Result<()>;
}

type MakeRows = dyn Fn() -> Box<dyn RowText> + Send + Sync;

struct TextFactory {
    extension: String,
    codec: Codec,
    charset: Charset,
    make: Box<MakeRows>,
}

impl std::fmt::Debug for TextFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextFactory").field("extension", &self.extension).finish_non_exhaustive()
    }
}

impl WriterFactory for TextFactory {
    fn extension(&self) -> &str {
        &self.extension
    }

    fn encoder(&self) -> Result<Box<dyn Encoder>> {
        let mut rows = (self.make)();
        let mut text = String::new();
        rows.begin(&mut text);
        let mut encoder =
            TextEncoder { rows, charset: self.charset, compressor: self.codec.compressor()?, text, bytes: vec![] };
        encoder.push_text()?;
        Ok(Box::new(encoder))
    }
}

struct TextEncoder {
    rows: Box<dyn RowText>,
    charset: Charset,
    compressor: Compressor,
    text: String,
    bytes: Vec<u8>,
}

impl TextEncoder {
    fn push_text(&mut self) -> Result<()> {
        self.bytes.clear();
        self.charset.encode(&self.text, &mut self.bytes);
        self.text.clear();
        self.compressor.write(&self.bytes)
    }
}

impl Encoder for TextEncoder {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        self.rows.rows(batch, &mut self.text)?;
        self.push_text()?;
        self.compressor.drain(out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        self.compressor.finish(out)
    }
}

fn factory(request: &WriteRequest, extension: &str, make: Box<MakeRows>) -> Result<Arc<dyn WriterFactory>> {
    let codec = Codec::of_option(request.options.any(&["compression", "codec"]).unwrap_or("none"))?;
    let charset = Charset::of(request.options.any(&["encoding", "charset"]).unwrap_or("UTF-8"))?;
    let extension = format!("{extension}{}", codec.extension());
    Ok(Arc::new(TextFactory { extension, codec, charset, make }))
}

pub(super) fn csv(schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
    let options = CsvWriteOptions::new(&request.options, request.conf.format_session())?;
    let schema = schema.clone();
    let extension = format!(".{}", request.options.get("extension").unwrap_or("csv"));
    let make = move || -> Box<dyn RowText> {
        Box::new(CsvRows { schema: schema.clone(), writer: CsvWriter::new(options.clone()) })
    };
    factory(request, &extension, Box::new(make))
}

struct CsvRows {
    schema: StructType,
    writer: CsvWriter,
}

impl RowText for CsvRows {
    fn begin(&mut self, out: &mut String) {
        if self.writer.options().header {
            self.writer.write_header(out, self.schema.fields.iter().map(|field| field.name.as_str()));
        }
    }

    fn rows(&mut self, batch: &RecordBatch, out: &mut String) -> Result<()> {
        let types: Vec<&DataType> = self.schema.fields.iter().map(|field| &field.data_type).collect();
        let line_end = self.writer.options().line_separator.clone();
        for row in 0..batch.num_rows() {
            self.writer.write_row(out, &types, batch.columns(), row)?;
            out.push_str(&line_end);
        }
        Ok(())
    }
}

pub(super) fn json(schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
    let ignore_nulls = request.conf.flag("spark.sql.jsonGenerator.ignoreNullFields", true)?;
    let options = JsonWriteOptions::new(&request.options, request.conf.format_session(), ignore_nulls)?;
    let schema = schema.clone();
    let line_end = request.options.get("lineSep").unwrap_or("\n").to_string();
    let make = move || -> Box<dyn RowText> {
        let writer = JsonWriter::new(options.clone());
        Box::new(JsonRows { schema: schema.clone(), writer, line_end: line_end.clone() })
    };
    factory(request, ".json", Box::new(make))
}

struct JsonRows {
    schema: StructType,
    writer: JsonWriter,
    line_end: String,
}

impl RowText for JsonRows {
    fn rows(&mut self, batch: &RecordBatch, out: &mut String) -> Result<()> {
        let names: Vec<&str> = self.schema.fields.iter().map(|field| field.name.as_str()).collect();
        let types: Vec<&DataType> = self.schema.fields.iter().map(|field| &field.data_type).collect();
        for row in 0..batch.num_rows() {
            self.writer.write_row(out, &names, &types, batch.columns(), row)?;
            out.push_str(&self.line_end);
        }
        Ok(())
    }
}

pub(super) fn text(request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
    let line_end = request.options.get("lineSep").unwrap_or("\n").to_string();
    factory(request, ".txt", Box::new(move || Box::new(PlainRows { line_end: line_end.clone() })))
}

struct PlainRows {
    line_end: String,
}

impl RowText for PlainRows {
    fn rows(&mut self, batch: &RecordBatch, out: &mut String) -> Result<()> {
        let values: Option<&ArrayRef> = batch.columns().first();
        for row in 0..batch.num_rows() {
            // A null is an empty line.
            if let Some(values) = values.filter(|values| values.is_valid(row)) {
                out.push_str(values.as_string::<i32>().value(row));
            }
            out.push_str(&self.line_end);
        }
        Ok(())
    }
}
