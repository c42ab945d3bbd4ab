//! CSV files.
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use firesteel_functions::text_formats::ParseMode;
use firesteel_functions::text_formats::csv::{CsvOptions, CsvReader, Outcome, Tokenizer, Tokens};
use firesteel_plan::{DataType, Result, SparkError, StructType};
use firesteel_storage::{FileStatus, FileSystem};
use futures::StreamExt;

use super::charset::Charset;
use super::lines::ByteReader;
use super::records::{Rows, Wanted};
use super::{LineReader, Separator, csv_infer, write};
use crate::compression::Codec;
use crate::conf::Conf;
use crate::format::{Format, InferInput};
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::scan::source::{BatchStream, FilePart, RecordReader, RecordSource, Tolerance};
use crate::write::WriterFactory;

pub(crate) fn make(options: &SourceOptions, conf: &Conf) -> Result<Arc<dyn Format>> {
    let corrupt = conf.get("spark.sql.columnNameOfCorruptRecord");
    let charset = Charset::of(options.any(&["encoding", "charset"]).unwrap_or("UTF-8"))?;
    let mut csv = CsvOptions::new(options, conf.format_session(), corrupt)?;
    csv.column_pruning &= conf.flag("spark.sql.csv.parser.columnPruning.enabled", true)?;
    Ok(Arc::new(Csv {
        files: CsvFiles { csv, charset, separator: Separator::of(options.get("lineSep"), charset) },
        sampling_ratio: options.number("samplingRatio")?.unwrap_or(1.0),
        tolerance: crate::format::tolerance(options, conf)?,
        case_sensitive: conf.case_sensitive(),
    }))
}

/// How the files of a read are spelt.
#[derive(Debug, Clone)]
pub(super) struct CsvFiles {
    pub csv: CsvOptions,
    pub charset: Charset,
    pub separator: Separator,
}

impl CsvFiles {
    /// Whether a line is no record: blank, or a comment.
    pub(super) fn is_skipped(&self, line: &str) -> bool {
        self.csv.comment.is_some_and(|comment| line.starts_with(comment)) || line.trim_matches(|c| c <= ' ').is_empty()
    }
}

#[derive(Debug)]
struct Csv {
    files: CsvFiles,
    sampling_ratio: f64,
    tolerance: Tolerance,
    case_sensitive: bool,
}

#[async_trait]
impl Format for Csv {
    async fn infer_schema(&self, input: &InferInput<'_>) -> Result<Option<StructType>> {
        csv_infer::infer(&self.files, self.sampling_ratio, self.case_sensitive, self.tolerance, input).await
    }

    fn supports(&self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Udt { sql_type, .. } => self.supports(sql_type),
            DataType::Variant | DataType::Null | DataType::Geometry(_) | DataType::Geography(_) => false,
            other => other.is_atomic(),
        }
    }

    fn check_read_schema(&self, schema: &StructType) -> Result<()> {
        check_corrupt_column(schema, &self.files.csv.corrupt_column)
    }

    fn is_splittable(&self, file: &FileStatus) -> bool {
        !self.files.csv.multi_line
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
        let reader =
            CsvRecords { files: self.files.clone(), schema: schema.clone(), case_sensitive: self.case_sensitive };
        Ok(Arc::new(RecordSource::new(Arc::new(reader), table_schema, self.tolerance, file_system.root())))
    }

    fn writer(&self, schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
        write::csv(schema, request)
    }
}

/// The column of corrupt records must be a nullable string.
pub(super) fn check_corrupt_column(schema: &StructType, name: &str) -> Result<()> {
    match schema.fields.iter().find(|field| field.name == name) {
        Some(field) if field.data_type != DataType::STRING || !field.nullable => Err(SparkError::new(
            "INVALID_CORRUPT_RECORD_TYPE",
            [
                ("columnName", firesteel_plan::quote_identifier(name)),
                ("actualType", format!("\"{}\"", field.data_type.sql())),
            ],
        )),
        _ => Ok(()),
    }
}

#[derive(Debug)]
struct CsvRecords {
    files: CsvFiles,
    schema: StructType,
    case_sensitive: bool,
}

impl RecordReader for CsvRecords {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn read(&self, part: FilePart) -> BatchStream {
        let (files, schema, case_sensitive) = (self.files.clone(), self.schema.clone(), self.case_sensitive);
        async_stream::try_stream! {
            let mut task = CsvTask::new(&files, &schema, &part, case_sensitive)?;
            let tokenizer = Tokenizer::new(&files.csv);
            if files.csv.multi_line {
                let mut text = files.charset.decode(
                    ByteReader::new(&part, 0)?.read_all().await?,
                );
                if text.starts_with('\u{feff}') {
                    text.drain(..'\u{feff}'.len_utf8());
                }
                let mut at = 0;
                while at < text.len() {
                    at += task.record(&tokenizer, &text[at..])?;
                    if task.rows.len() >= part.batch_size {
                        yield task.batch()?;
                    }
                }
            } else {
                let mut lines = LineReader::new(&part, files.separator.clone(), files.charset)?;
                while let Some(block) = lines.next().await? {
                    for line in files.separator.split(&block, files.charset) {
                        task.line(&tokenizer, line)?;
                        if task.rows.len() >= part.batch_size {
                            yield task.batch()?;
                        }
                    }
                }
            }
            if task.rows.len() > 0 {
                yield task.batch()?;
            }
        }
        .boxed()
    }
}

/// The reading of one part.
struct CsvTask<'a> {
    files: &'a CsvFiles,
    schema: &'a StructType,
    reader: CsvReader,
    rows: Rows,
    tokens: Tokens,
    /// The next record is the header.
    at_header: bool,
    at_start: bool,
    /// No column is wanted: records are counted, not parsed.
    counts_only: bool,
    case_sensitive: bool,
}

impl<'a> CsvTask<'a> {
    fn new(files: &'a CsvFiles, schema: &'a StructType, part: &FilePart, case_sensitive: bool) -> Result<Self> {
        let csv = &files.csv;
        let wanted = Wanted::new(schema, &part.columns, Arc::clone(&part.schema), &csv.corrupt_column)?;
        let whole = wanted.is_whole() || !csv.column_pruning;
        let expected = whole.then_some(wanted.record_width);
        let at_start = part.range.is_none_or(|(start, _)| start == 0);
        Ok(Self {
            files,
            schema,
            reader: CsvReader::new(&wanted.data, wanted.positions.clone(), expected, csv.clone())?,
            counts_only: wanted.data.fields.is_empty() && csv.mode != ParseMode::FailFast,
            rows: Rows::new(wanted, csv.mode),
            tokens: Tokens::default(),
            at_header: csv.header && at_start,
            at_start,
            case_sensitive,
        })
    }

    fn line(&mut self, tokenizer: &Tokenizer<'_>, line: &str) -> Result<()> {
        let line = if std::mem::take(&mut self.at_start) { line.trim_start_matches('\u{feff}') } else { line };
        if self.files.is_skipped(line) {
            return Ok(());
        }
        if std::mem::take(&mut self.at_header) {
            if !self.files.csv.enforce_schema && tokenizer.line(line, &mut self.tokens).is_ok() {
                self.check_header()?;
            }
            return Ok(());
        }
        if self.counts_only {
            self.rows.good(1);
            return Ok(());
        }
        let split = tokenizer.line(line, &mut self.tokens);
        self.append(split.is_ok(), line)
    }

    /// Reads the next record of a text that holds the rest of the file; answers its length.
    fn record(&mut self, tokenizer: &Tokenizer<'_>, text: &str) -> Result<usize> {
        let line_end = text.find(['\n', '\r']).unwrap_or(text.len());
        if self.files.is_skipped(&text[..line_end]) {
            return Ok(line_end + text[line_end..].chars().next().map_or(0, char::len_utf8));
        }
        let split = tokenizer.record(text, true, &mut self.tokens);
        let length = split.as_ref().ok().copied().flatten().unwrap_or(line_end + 1).clamp(1, text.len());
        let length = (length..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
        if std::mem::take(&mut self.at_header) {
            if !self.files.csv.enforce_schema {
                self.check_header()?;
            }
        } else if self.counts_only {
            self.rows.good(1);
        } else {
            self.append(split.is_ok(), text[..length].trim_end_matches(['\n', '\r']))?;
        }
        Ok(length)
    }

    fn append(&mut self, is_split: bool, record: &str) -> Result<()> {
        if !is_split {
            self.reader.append_nulls();
            return self.rows.bad(record);
        }
        match self.reader.read(&self.tokens) {
            Outcome::Row => {
                self.rows.good(1);
                Ok(())
            }
            Outcome::Partial => self.rows.bad(record),
        }
    }

    fn batch(&mut self) -> Result<arrow::array::RecordBatch> {
        self.rows.batch(self.reader.columns())
    }

    /// `enforceSchema = false`: the header must name the columns of the schema.
    fn check_header(&self) -> Result<()> {
        let corrupt = &self.files.csv.corrupt_column;
        let names: Vec<&str> = self.schema.fields.iter().map(|f| f.name.as_str()).filter(|n| n != corrupt).collect();
        let header: Vec<&str> = self.tokens.iter().map(Option::unwrap_or_default).collect();
        let same = |a: &&str, b: &&str| a == b || (!self.case_sensitive && a.to_lowercase() == b.to_lowercase());
        if names.len() == header.len() && names.iter().zip(&header).all(|(a, b)| same(a, b)) {
            return Ok(());
        }
        let message = format!(
            "The CSV header does not fit the schema. Header: {}. Schema: {}",
            header.join(", "),
            names.join(", ")
        );
        Err(SparkError::new("_LEGACY_ERROR_TEMP_3241", [("message", message)]))
    }
}
