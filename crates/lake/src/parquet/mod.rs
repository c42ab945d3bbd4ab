//! Parquet: DataFusion's reader (projection, statistics, page index, bloom filters) under Spark's rules for schemas.
//!
//! ```text
//!  footers ─▶ schema: Spark's own metadata, else the Parquet types       schema
//!  file columns ─▶ adapter: by name whatever its case, widened, null where missing, or an error
//!  bytes ─▶ reader: errors name the file
//!  texts in dictionaries ─▶ coded, codes: numbers for GROUP BY
//! ```
mod adapter;
mod cache;
mod coded;
mod codes;
mod reader;
mod row_groups;
mod schema;
mod selective;
mod stored;
mod write;

pub use coded::{CodedScan, read_as_codes, tests_plainly};
pub use codes::{CodeTest, TextCodes, TextOf};
pub(crate) use reader::FileBytes;
pub(crate) use row_groups::RowGroups;
pub(crate) use stored::StoredColumns;
pub(crate) use write::{
    DEFAULT_BLOCK_BYTES, FIELD_ID_KEY, NESTED_IDS_KEY, codec, failed as failed_write, stored_fields,
};

use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::{FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use firesteel_plan::{DataType, Result, StructType};
use firesteel_storage::{FileStatus, FileSystem};
use futures::{StreamExt, TryStreamExt};

use crate::conf::Conf;
use crate::format::{Format, InferInput};
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::scan::source::Tolerance;
use crate::write::WriterFactory;
use cache::StoreCache;

pub(crate) fn make(options: &SourceOptions, conf: &Conf) -> Result<Arc<dyn Format>> {
    Ok(Arc::new(Parquet {
        merge_schema: options.flag("mergeSchema", conf.flag("spark.sql.parquet.mergeSchema", false)?)?,
        binary_as_string: conf.flag("spark.sql.parquet.binaryAsString", false)?,
        infer_ntz: conf.flag("spark.sql.parquet.inferTimestampNTZ.enabled", true)?,
        tolerance: crate::format::tolerance(options, conf)?,
        exact_case: conf.case_sensitive(),
    }))
}

#[derive(Debug)]
pub(crate) struct Parquet {
    merge_schema: bool,
    binary_as_string: bool,
    infer_ntz: bool,
    tolerance: Tolerance,
    exact_case: bool,
}

/// How many footers are read at once.
const FOOTER_CONCURRENCY: usize = 16;
/// Statistics are gathered for inputs of up to so many files; above it, planning would wait for their footers.
const MAX_FILES_WITH_STATISTICS: usize = 512;

#[async_trait]
impl Format for Parquet {
    async fn infer_schema(&self, input: &InferInput<'_>) -> Result<Option<StructType>> {
        schema::infer(self, input).await
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

    fn is_splittable(&self, _file: &FileStatus) -> bool {
        true
    }

    fn prunes(&self) -> bool {
        true
    }

    fn source(
        &self,
        _schema: &StructType,
        table_schema: TableSchema,
        file_system: &Arc<dyn FileSystem>,
        session: &dyn Session,
    ) -> Result<Arc<dyn FileSource>> {
        let mut global = session.config_options().execution.parquet.clone();
        global.coerce_int96 = Some("us".into());
        global.coerce_int96_tz = Some("UTC".into());
        let options = TableParquetOptions { global, ..TableParquetOptions::default() };
        let cache = StoreCache::of(file_system.as_ref(), session);
        let cached = CachedParquetFileReaderFactory::new(file_system.object_store(), Arc::clone(&cache));
        let source =
            ParquetSource::new(table_schema).with_table_parquet_options(options).with_parquet_file_reader_factory(
                Arc::new(reader::NamingReaderFactory::new(cached, file_system.root().clone())),
            );
        Ok(Arc::new(selective::SelectiveSource::new(source, cache)))
    }

    fn expr_adapter(&self, place: &str, stored: Option<StoredColumns>) -> Option<Arc<dyn PhysicalExprAdapterFactory>> {
        Some(Arc::new(adapter::SparkAdapterFactory::new(place, stored, self.exact_case)))
    }

    /// Row counts and column ranges from the footers, which stay in the session's cache for the read that follows.
    async fn prepare(
        &self,
        file_system: &Arc<dyn FileSystem>,
        files: &mut [PartitionedFile],
        kept: Vec<usize>,
        table_schema: &TableSchema,
        session: &dyn Session,
    ) -> Vec<usize> {
        let tolerant = self.tolerance.ignore_corrupt || self.tolerance.ignore_missing;
        let wanted = kept.len() <= MAX_FILES_WITH_STATISTICS && session.config_options().execution.collect_statistics;
        if !tolerant && !wanted {
            return kept;
        }
        let store = file_system.object_store();
        let cache = StoreCache::of(file_system.as_ref(), session);
        let read = |index: usize| {
            let (store, cache) = (Arc::clone(&store), Arc::clone(&cache));
            let (meta, schema) = (files[index].object_meta.clone(), Arc::clone(table_schema.file_schema()));
            async move {
                let metadata = DFParquetMetadata::new(store.as_ref(), &meta)
                    .with_file_metadata_cache(Some(cache))
                    .with_coerce_int96(Some(arrow::datatypes::TimeUnit::Microsecond))
                    .with_coerce_int96_tz(Some("UTC".into()));
                (index, metadata.fetch_statistics(&schema).await)
            }
        };
        // Boxed up front: a closure that borrows inside a stream is not general enough for the compiler.
        let unknown = kept.iter().filter(|index| files[**index].statistics.is_none());
        let reads: Vec<_> = unknown.map(|index| read(*index)).collect();
        let found: Vec<_> = futures::stream::iter(reads).buffered(FOOTER_CONCURRENCY).collect().await;
        for (index, statistics) in found {
            if let Ok(statistics) = statistics {
                let whole =
                    with_partition_values(statistics, table_schema.file_schema(), &files[index].partition_values);
                files[index].statistics = Some(Arc::new(whole));
            }
        }
        // What cannot be read fails when it is read, with the file's name, unless the user tolerates it.
        kept.into_iter().filter(|index| !tolerant || files[*index].statistics.is_some()).collect()
    }

    async fn row_groups(
        &self,
        file_system: &Arc<dyn FileSystem>,
        file: &PartitionedFile,
        table_schema: &TableSchema,
        session: &dyn Session,
    ) -> Option<RowGroups> {
        let store = file_system.object_store();
        let cache = StoreCache::of(file_system.as_ref(), session);
        let footer = DFParquetMetadata::new(store.as_ref(), &file.object_meta).with_file_metadata_cache(Some(cache));
        // What cannot be read is left to the read itself, as in `prepare`.
        let footer = footer.fetch_metadata().await.ok()?;
        row_groups::of_footer(&footer, table_schema, &file.partition_values).ok()?
    }

    fn writer(&self, schema: &StructType, request: &WriteRequest) -> Result<Arc<dyn WriterFactory>> {
        write::factory(schema, request)
    }
}

/// Keeps what is true of the columns as Spark sees them, and appends the statistics of the partition columns, which are
/// constants, and of `_metadata`.
fn with_partition_values(mut statistics: Statistics, schema: &Schema, values: &[ScalarValue]) -> Statistics {
    for (column, field) in statistics.column_statistics.iter_mut().zip(schema.fields()) {
        for bound in [&mut column.min_value, &mut column.max_value] {
            let own_type = bound.get_value().is_some_and(|value| value.data_type() == *field.data_type());
            // A file's column of another type is read through a cast; NaN, greater than all in Spark, is in no statistics.
            *bound = match std::mem::replace(bound, Precision::Absent) {
                _ if !own_type => Precision::Absent,
                known if field.data_type().is_floating() => known.to_inexact(),
                known => known,
            };
        }
    }
    for value in values {
        let nulls = if value.is_null() { statistics.num_rows } else { Precision::Exact(0) };
        statistics.column_statistics.push(ColumnStatistics {
            null_count: nulls,
            max_value: Precision::Exact(value.clone()),
            min_value: Precision::Exact(value.clone()),
            ..ColumnStatistics::new_unknown()
        });
    }
    statistics.column_statistics.push(ColumnStatistics::new_unknown());
    statistics
}

/// Reads footers, in the order of the files.
pub(crate) async fn footers(
    file_system: &Arc<dyn FileSystem>,
    files: &[&FileStatus],
) -> Result<Vec<(firesteel_storage::Location, Arc<::parquet::file::metadata::ParquetMetaData>)>> {
    let reads: Vec<_> = files.iter().map(|file| reader::footer(Arc::clone(file_system), (*file).clone())).collect();
    futures::stream::iter(reads).buffered(FOOTER_CONCURRENCY).try_collect().await
}
