//! Avro object container files, by arrow-avro.
mod read;
mod write;

use std::sync::Arc;

use arrow_avro::schema::AvroSchema;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use firesteel_functions::types::from_arrow_fields;
use firesteel_plan::{DataType, Result, SparkError, StructType};
use firesteel_storage::{FileStatus, FileSystem};

use crate::conf::Conf;
use crate::format::{Format, InferInput};
use crate::merge::merge_schemas;
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::scan::source::{RecordSource, Tolerance};
use crate::write::WriterFactory;

pub(crate) fn make(options: &SourceOptions, conf: &Conf) -> Result<Arc<dyn Format>> {
    Ok(Arc::new(Avro {
        reader_schema: options.get("avroSchema").map(|json| AvroSchema::new(json.to_string())),
        ignore_extension: options.flag("ignoreExtension", true)?,
        merge_schema: options.flag("mergeSchema", false)?,
        tolerance: crate::format::tolerance(options, conf)?,
        exact_case: conf.case_sensitive(),
    }))
}

#[derive(Debug)]
struct Avro {
    reader_schema: Option<AvroSchema>,
    ignore_extension: bool,
    merge_schema: bool,
    tolerance: Tolerance,
    exact_case: bool,
}

#[async_trait]
impl Format for Avro {
    async fn infer_schema(&self, input: &InferInput<'_>) -> Result<Option<StructType>> {
        let mut merged: Option<StructType> = None;
        let takes =
            |file: &&&FileStatus| file.size > 0 && (self.ignore_extension || file.location.name().ends_with(".avro"));
        for file in input.files.iter().filter(takes) {
            let schema = match read::schema(input, file, self.reader_schema.as_ref()).await {
                Err(_) if self.tolerance.ignore_corrupt => continue,
                result => from_arrow_fields(result?.fields())?,
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
            DataType::CalendarInterval | DataType::Variant | DataType::Geometry(_) | DataType::Geography(_) => false,
            DataType::Array(element, _) => self.supports(element),
            DataType::Map(key, value, _) => key.is_string() && self.supports(value),
            DataType::Struct(fields) => fields.fields.iter().all(|field| self.supports(&field.data_type)),
            DataType::Udt { sql_type, .. } => self.supports(sql_type),
            _ => true,
        }
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
        let reader = read::AvroReader { reader_schema: self.reader_schema.clone(), exact_case: self.exact_case };
        Ok(Arc::new(RecordSource::new(Arc::new(reader), table_schema, self.tolerance, file_system.root())))
    }

    fn writer(&self, schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
        write::factory(schema, request)
    }
}

fn failed(error: impl std::fmt::Display) -> SparkError {
    SparkError::internal(format!("Avro: {error}"))
}
