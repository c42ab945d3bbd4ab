//! ORC, by orc-rust: its reader for all types; its writer for flat columns, other types are refused.
mod read;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use firesteel_functions::types::from_arrow_fields;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use firesteel_storage::{FileStatus, FileSystem};

use crate::conf::Conf;
use crate::format::{Format, InferInput};
use crate::merge::merge_schemas;
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::scan::source::{RecordSource, Tolerance};
use crate::write::WriterFactory;

pub(crate) fn make(options: &SourceOptions, conf: &Conf) -> Result<Arc<dyn Format>> {
    Ok(Arc::new(Orc {
        merge_schema: options.flag("mergeSchema", conf.flag("spark.sql.orc.mergeSchema", false)?)?,
        tolerance: crate::format::tolerance(options, conf)?,
        exact_case: conf.case_sensitive(),
        time_zone: conf.time_zone().to_string(),
    }))
}

#[derive(Debug)]
struct Orc {
    merge_schema: bool,
    tolerance: Tolerance,
    exact_case: bool,
    time_zone: String,
}

#[async_trait]
impl Format for Orc {
    async fn infer_schema(&self, input: &InferInput<'_>) -> Result<Option<StructType>> {
        let mut merged: Option<StructType> = None;
        for file in input.files.iter().filter(|file| file.size > 0) {
            let schema = match read::schema(input.file_system, file).await {
                Err(_) if self.tolerance.ignore_corrupt => continue,
                result => spark_schema(&from_arrow_fields(result?.fields())?),
            };
            merged = Some(match merged {
                None => schema,
                Some(left) => merge_schemas(&left, &schema, input.conf.case_sensitive())?,
            });
            if !self.merge_schema {
                break;
            }
        }
        Ok(merged)
    }

    fn supports(&self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Null | DataType::CalendarInterval | DataType::Variant => false,
            DataType::Geometry(_) | DataType::Geography(_) | DataType::Time(_) => false,
            DataType::Array(element, _) => self.supports(element),
            DataType::Map(key, value, _) => self.supports(key) && self.supports(value),
            DataType::Struct(fields) => fields.fields.iter().all(|field| self.supports(&field.data_type)),
            DataType::Udt { sql_type, .. } => self.supports(sql_type),
            _ => true,
        }
    }

    fn is_splittable(&self, _file: &FileStatus) -> bool {
        true
    }

    fn source(
        &self,
        _schema: &StructType,
        table_schema: TableSchema,
        file_system: &Arc<dyn FileSystem>,
        _session: &dyn Session,
    ) -> Result<Arc<dyn FileSource>> {
        let reader = read::OrcReader { exact_case: self.exact_case, time_zone: self.time_zone.as_str().into() };
        Ok(Arc::new(RecordSource::new(Arc::new(reader), table_schema, self.tolerance, file_system.root())))
    }

    fn writer(&self, schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
        write::factory(schema, request)
    }
}

/// ORC's TIMESTAMP is Spark's TIMESTAMP, though it has no zone.
fn spark_schema(schema: &StructType) -> StructType {
    let field = |field: &StructField| StructField { data_type: spark_type(&field.data_type), ..field.clone() };
    StructType { fields: schema.fields.iter().map(field).collect() }
}

fn spark_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::TimestampNtz => DataType::Timestamp,
        DataType::Array(element, nullable) => DataType::array(spark_type(element), *nullable),
        DataType::Map(key, value, nullable) => DataType::map(spark_type(key), spark_type(value), *nullable),
        DataType::Struct(fields) => DataType::Struct(spark_schema(fields)),
        other => other.clone(),
    }
}

fn failed(error: impl std::fmt::Display) -> SparkError {
    SparkError::internal(format!("ORC: {error}"))
}
