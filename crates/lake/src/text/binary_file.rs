//! `binaryFile`: a row a file, with its content as bytes.
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use firesteel_storage::{FileStatus, FileSystem};
use futures::StreamExt;
use object_store::ObjectStoreExt;

use crate::conf::Conf;
use crate::errors;
use crate::format::{Format, InferInput};
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::scan::source::{BatchStream, FilePart, RecordReader, RecordSource, Tolerance};
use crate::write::WriterFactory;

/// Spark's own limit of one value.
const DEFAULT_MAX_LENGTH: i64 = i32::MAX as i64;

pub(crate) fn make(options: &SourceOptions, conf: &Conf) -> Result<Arc<dyn Format>> {
    let max = conf.integer("spark.sql.sources.binaryFile.maxLength", DEFAULT_MAX_LENGTH)?;
    Ok(Arc::new(BinaryFile {
        max_length: u64::try_from(max).unwrap_or(0),
        tolerance: crate::format::tolerance(options, conf)?,
    }))
}

#[derive(Debug, Clone)]
struct BinaryFile {
    max_length: u64,
    tolerance: Tolerance,
}

fn schema() -> StructType {
    let field = |name: &str, data_type| StructField::new(name, data_type, true);
    StructType::new(vec![
        field("path", DataType::STRING),
        field("modificationTime", DataType::Timestamp),
        field("length", DataType::Long),
        field("content", DataType::Binary),
    ])
}

#[async_trait]
impl Format for BinaryFile {
    async fn infer_schema(&self, _input: &InferInput<'_>) -> Result<Option<StructType>> {
        Ok(Some(schema()))
    }

    fn check_read_schema(&self, given: &StructType) -> Result<()> {
        let own = schema();
        let fits =
            |field: &StructField| given.fields.iter().any(|f| f.name == field.name && f.data_type == field.data_type);
        if own.fields.iter().all(fits) {
            return Ok(());
        }
        Err(SparkError::unsupported(format!("a schema of binaryFile other than {}", own.simple_string())))
    }

    fn supports(&self, _data_type: &DataType) -> bool {
        true
    }

    fn is_splittable(&self, _file: &FileStatus) -> bool {
        false
    }

    fn source(
        &self,
        _schema: &StructType,
        table_schema: TableSchema,
        file_system: &Arc<dyn FileSystem>,
        _session: &dyn Session,
    ) -> Result<Arc<dyn FileSource>> {
        Ok(Arc::new(RecordSource::new(Arc::new(self.clone()), table_schema, self.tolerance, file_system.root())))
    }

    fn writer(&self, _schema: &StructType, _request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
        Err(SparkError::unsupported("Write is not supported for binary file data source"))
    }
}

impl RecordReader for BinaryFile {
    fn name(&self) -> &'static str {
        "binaryFile"
    }

    fn read(&self, part: FilePart) -> BatchStream {
        let max_length = self.max_length;
        futures::stream::once(async move { read_one(&part, max_length).await }).boxed()
    }
}

async fn read_one(part: &FilePart, max_length: u64) -> Result<RecordBatch> {
    let path = part.place().to_string();
    let mut columns: Vec<ArrayRef> = vec![];
    for field in part.schema.fields() {
        columns.push(match field.name().as_str() {
            "path" => Arc::new(StringArray::from(vec![path.clone()])),
            "length" => Arc::new(Int64Array::from(vec![i64::try_from(part.meta.size).unwrap_or(i64::MAX)])),
            "modificationTime" => {
                let millis = part.meta.last_modified.timestamp_millis();
                Arc::new(TimestampMicrosecondArray::from(vec![millis.saturating_mul(1000)]).with_timezone("UTC"))
            }
            _ => {
                if part.meta.size > max_length {
                    let message = format!(
                        "The length of {path} is {}, which exceeds the max length allowed: {max_length}.",
                        part.meta.size
                    );
                    return Err(SparkError::new("_LEGACY_ERROR_TEMP_2206", [("message", message)]));
                }
                let read = part.store.get_range(&part.meta.location, 0..part.meta.size).await;
                let bytes = read.map_err(|e| errors::store(&part.place(), &e))?;
                Arc::new(BinaryArray::from_vec(vec![bytes.as_ref()]))
            }
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::clone(&part.schema), columns, &options)
        .map_err(|e| SparkError::internal("a file does not fit its schema").with_cause(e))
}
