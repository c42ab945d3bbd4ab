//! JSON files: a record a line, or a file (`multiLine`).
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use firesteel_functions::text_formats::ParseMode;
use firesteel_functions::text_formats::json::{JsonInference, JsonOptions, JsonReader, Outcome};
use firesteel_plan::{DataType, Result, SparkError, StructType};
use firesteel_storage::{FileStatus, FileSystem};
use futures::StreamExt;

use super::charset::Charset;
use super::csv::check_corrupt_column;
use super::csv_infer::{Sample, whole_file};
use super::lines::ByteReader;
use super::records::{Rows, Wanted};
use super::{LineReader, Separator, write};
use crate::compression::Codec;
use crate::conf::Conf;
use crate::format::{Format, InferInput};
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::scan::source::{BatchStream, FilePart, RecordReader, RecordSource, Tolerance};
use crate::write::WriterFactory;

pub(crate) fn make(options: &SourceOptions, conf: &Conf) -> Result<Arc<dyn Format>> {
    let corrupt = conf.get("spark.sql.columnNameOfCorruptRecord");
    let multi_line = options.flag("multiLine", false)?;
    let charset = Charset::of(options.any(&["encoding", "charset"]).unwrap_or("UTF-8"))?;
    let separator = Separator::of(options.get("lineSep"), charset);
    if !multi_line && !charset.is_ascii_compatible() && separator == Separator::Default {
        return Err(SparkError::new(
            "_LEGACY_ERROR_TEMP_3218",
            [("message", "The lineSep option must be specified for this encoding, or multiLine must be set")],
        ));
    }
    Ok(Arc::new(Json {
        files: JsonFiles {
            json: JsonOptions::new(options, conf.format_session(), corrupt)?,
            multi_line,
            charset,
            separator,
        },
        sampling_ratio: options.number("samplingRatio")?.unwrap_or(1.0),
        tolerance: crate::format::tolerance(options, conf)?,
    }))
}

#[derive(Debug, Clone)]
struct JsonFiles {
    json: JsonOptions,
    multi_line: bool,
    charset: Charset,
    separator: Separator,
}

#[derive(Debug)]
struct Json {
    files: JsonFiles,
    sampling_ratio: f64,
    tolerance: Tolerance,
}

#[async_trait]
impl Format for Json {
    async fn infer_schema(&self, input: &InferInput<'_>) -> Result<Option<StructType>> {
        if input.files.is_empty() {
            return Ok(None);
        }
        let mut inference = JsonInference::new(self.files.json.clone());
        let mut sample = Sample::new(self.sampling_ratio);
        for file in &input.files {
            match infer_file(&self.files, &mut inference, &mut sample, &whole_file(input, file)?).await {
                Err(error) if self.tolerance.ignore_corrupt && !error.is("MALFORMED_RECORD_IN_PARSING") => {}
                result => result?,
            }
        }
        Ok(Some(inference.finish()))
    }

    fn supports(&self, data_type: &DataType) -> bool {
        match data_type {
            DataType::CalendarInterval | DataType::Geometry(_) | DataType::Geography(_) => false,
            DataType::Array(element, _) => self.supports(element),
            DataType::Map(key, value, _) => self.supports(key) && self.supports(value),
            DataType::Struct(fields) => fields.fields.iter().all(|field| self.supports(&field.data_type)),
            DataType::Udt { sql_type, .. } => self.supports(sql_type),
            _ => true,
        }
    }

    fn check_read_schema(&self, schema: &StructType) -> Result<()> {
        check_corrupt_column(schema, &self.files.json.corrupt_column)
    }

    fn is_splittable(&self, file: &FileStatus) -> bool {
        !self.files.multi_line
            && self.files.charset.is_ascii_compatible()
            && Codec::of_file(file.location.name()) == Codec::None
    }

    fn source(
        &self,
        schema: &StructType,
        table_schema: TableSchema,
        file_system: &Arc<dyn FileSystem>,
        _session: &dyn Session,
    ) -> Result<Arc<dyn FileSource>> {
        let reader = JsonRecords { files: self.files.clone(), schema: schema.clone() };
        Ok(Arc::new(RecordSource::new(Arc::new(reader), table_schema, self.tolerance, file_system.root())))
    }

    fn writer(&self, schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
        write::json(schema, request)
    }
}

async fn infer_file(
    files: &JsonFiles,
    inference: &mut JsonInference,
    sample: &mut Sample,
    part: &FilePart,
) -> Result<()> {
    if files.multi_line {
        let bytes = ByteReader::new(part, 0)?.read_all().await?;
        return if sample.takes() { inference.add(&files.charset.decode(bytes)) } else { Ok(()) };
    }
    let mut lines = LineReader::new(part, files.separator.clone(), files.charset)?;
    while let Some(block) = lines.next().await? {
        for line in files.separator.split(&block, files.charset) {
            if sample.takes() {
                inference.add(line)?;
            }
        }
    }
    Ok(())
}

#[derive(Debug)]
struct JsonRecords {
    files: JsonFiles,
    schema: StructType,
}

impl RecordReader for JsonRecords {
    fn name(&self) -> &'static str {
        "json"
    }

    fn read(&self, part: FilePart) -> BatchStream {
        let (files, schema) = (self.files.clone(), self.schema.clone());
        async_stream::try_stream! {
            let mut task = JsonTask::new(&files, &schema, &part)?;
            if files.multi_line {
                let bytes = ByteReader::new(&part, 0)?.read_all().await?;
                task.record(&files.charset.decode(bytes))?;
            } else {
                let mut lines = LineReader::new(&part, files.separator.clone(), files.charset)?;
                while let Some(block) = lines.next().await? {
                    for line in files.separator.split(&block, files.charset) {
                        task.record(line)?;
                        if task.rows.len() >= part.batch_size {
                            yield task.rows.batch(task.reader.columns())?;
                        }
                    }
                }
            }
            if task.rows.len() > 0 {
                yield task.rows.batch(task.reader.columns())?;
            }
        }
        .boxed()
    }
}

struct JsonTask {
    reader: JsonReader,
    rows: Rows,
    /// No column is wanted: records are counted, not parsed.
    counts_only: bool,
}

impl JsonTask {
    fn new(files: &JsonFiles, schema: &StructType, part: &FilePart) -> Result<Self> {
        let json = &files.json;
        let wanted = Wanted::new(schema, &part.columns, Arc::clone(&part.schema), &json.corrupt_column)?;
        let counts_only = wanted.data.fields.is_empty() && !files.multi_line && json.mode != ParseMode::FailFast;
        let reader = JsonReader::new(&wanted.data, json.clone(), true)?;
        Ok(Self { reader, rows: Rows::new(wanted, json.mode), counts_only })
    }

    fn record(&mut self, text: &str) -> Result<()> {
        if self.counts_only {
            if !text.trim_matches(|c: char| c <= ' ').is_empty() {
                self.rows.good(1);
            }
            return Ok(());
        }
        match self.reader.read(text) {
            Outcome::Nothing => Ok(()),
            Outcome::Rows(count) => {
                self.rows.good(count);
                Ok(())
            }
            Outcome::Partial => self.rows.bad(text),
            Outcome::Malformed => {
                self.reader.append_nulls();
                self.rows.bad(text)
            }
        }
    }
}
