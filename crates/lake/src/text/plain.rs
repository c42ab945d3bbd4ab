//! Text files: a row a line, or a file (`wholetext`).
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use firesteel_storage::{FileStatus, FileSystem};
use futures::StreamExt;

use super::charset::Charset;
use super::lines::ByteReader;
use super::{LineReader, Separator, write};
use crate::compression::Codec;
use crate::conf::Conf;
use crate::format::{Format, InferInput};
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::scan::source::{BatchStream, FilePart, RecordReader, RecordSource, Tolerance};
use crate::write::WriterFactory;

pub(crate) fn make(options: &SourceOptions, conf: &Conf) -> Result<Arc<dyn Format>> {
    let charset = Charset::of(options.any(&["encoding", "charset"]).unwrap_or("UTF-8"))?;
    Ok(Arc::new(Text {
        whole: options.flag("wholetext", false)?,
        charset,
        separator: Separator::of(options.get("lineSep"), charset),
        tolerance: crate::format::tolerance(options, conf)?,
    }))
}

#[derive(Debug, Clone)]
struct Text {
    whole: bool,
    charset: Charset,
    separator: Separator,
    tolerance: Tolerance,
}

#[async_trait]
impl Format for Text {
    async fn infer_schema(&self, _input: &InferInput<'_>) -> Result<Option<StructType>> {
        Ok(Some(StructType::new(vec![StructField::new("value", DataType::STRING, true)])))
    }

    fn supports(&self, data_type: &DataType) -> bool {
        matches!(data_type, DataType::String(_))
    }

    fn is_splittable(&self, file: &FileStatus) -> bool {
        !self.whole && self.charset.is_ascii_compatible() && Codec::of_file(file.location.name()) == Codec::None
    }

    fn source(
        &self,
        schema: &StructType,
        table_schema: TableSchema,
        file_system: &Arc<dyn FileSystem>,
        _session: &dyn Session,
    ) -> Result<Arc<dyn FileSource>> {
        one_column(schema)?;
        Ok(Arc::new(RecordSource::new(Arc::new(self.clone()), table_schema, self.tolerance, file_system.root())))
    }

    fn writer(&self, schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
        one_column(schema)?;
        write::text(request)
    }
}

/// Text has no more than its one column.
fn one_column(schema: &StructType) -> Result<()> {
    if schema.fields.len() <= 1 {
        return Ok(());
    }
    let message =
        format!("Text data source supports only a single column, and you have {} columns.", schema.fields.len());
    Err(SparkError::new("_LEGACY_ERROR_TEMP_1290", [("schemaSize", schema.fields.len().to_string())])
        .with_message(message))
}

impl RecordReader for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn read(&self, part: FilePart) -> BatchStream {
        let text = self.clone();
        async_stream::try_stream! {
            let mut values = StringBuilder::new();
            let mut rows = 0usize;
            if text.whole {
                let bytes = ByteReader::new(&part, 0)?.read_all().await?;
                values.append_value(text.charset.decode(bytes));
                rows = 1;
            } else {
                let mut lines = LineReader::new(&part, text.separator.clone(), text.charset)?;
                while let Some(block) = lines.next().await? {
                    for line in text.separator.split(&block, text.charset) {
                        values.append_value(line);
                        rows += 1;
                        if rows >= part.batch_size {
                            yield batch(&part.schema, &mut values, std::mem::take(&mut rows))?;
                        }
                    }
                }
            }
            if rows > 0 {
                yield batch(&part.schema, &mut values, rows)?;
            }
        }
        .boxed()
    }
}

fn batch(schema: &SchemaRef, values: &mut StringBuilder, rows: usize) -> Result<RecordBatch> {
    let value: ArrayRef = Arc::new(values.finish());
    let columns = if schema.fields().is_empty() { vec![] } else { vec![value] };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| SparkError::internal("lines do not fit their schema").with_cause(e))
}
