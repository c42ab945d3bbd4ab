//! ORC: orc-rust reads the columns, with Spark's rules for types, times and calendars on top; the writer is our own.
//!
//! ```text
//!  footer ─▶ prune (bounds): the stripes and row groups that rows of the answer may be in
//!         └▶ read: these ─▶ decode: batches ─▶ calendar: Spark's days and instants
//! ```
mod bounds;
mod calendar;
mod decode;
mod footer;
mod prune;
mod read;
mod types;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::physical_plan::FileSource;
use datafusion::datasource::table_schema::TableSchema;
use firesteel_functions::context::time_zone_or_utc;
use firesteel_functions::datetime::zone::Zone;
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
    Ok(Arc::new(Orc {
        merge_schema: options.flag("mergeSchema", conf.flag("spark.sql.orc.mergeSchema", false)?)?,
        tolerance: crate::format::tolerance(options, conf)?,
        exact_case: conf.case_sensitive(),
        prunes: conf.flag("spark.sql.orc.filterPushdown", true)?,
    }))
}

#[derive(Debug)]
struct Orc {
    merge_schema: bool,
    tolerance: Tolerance,
    exact_case: bool,
    prunes: bool,
}

#[async_trait]
impl Format for Orc {
    async fn infer_schema(&self, input: &InferInput<'_>) -> Result<Option<StructType>> {
        let mut merged: Option<StructType> = None;
        for file in input.files.iter().filter(|file| file.size > 0) {
            let schema = match read::schema(input.file_system, file).await {
                Err(_) if self.tolerance.ignore_corrupt => continue,
                result => result?,
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

    fn prunes(&self) -> bool {
        self.prunes
    }

    fn source(
        &self,
        schema: &StructType,
        table_schema: TableSchema,
        file_system: &Arc<dyn FileSystem>,
        _session: &dyn Session,
    ) -> Result<Arc<dyn FileSource>> {
        let reader = read::OrcReader {
            schema: Arc::new(schema.clone()),
            exact_case: self.exact_case,
            zone: server_zone(),
            prunes: self.prunes,
        };
        Ok(Arc::new(RecordSource::new(Arc::new(reader), table_schema, self.tolerance, file_system.root())))
    }

    fn writer(&self, schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
        write::factory(schema, request)
    }
}

/// The zone of the times in files: that of the process, as with a JVM, so that all sessions read and write the same times.
fn server_zone() -> Zone {
    Zone::new(&time_zone_or_utc(&std::env::var("TZ").unwrap_or_default()))
}

fn failed(error: impl std::fmt::Display) -> SparkError {
    SparkError::internal(format!("ORC: {error}"))
}
