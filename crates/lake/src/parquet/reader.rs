//! Byte access whose errors name the file.
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{FileStatus, FileSystem, Location, StoreFailure, store_failure};
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use crate::errors::cause_text;

/// Reads the footer of a file while its schema is inferred.
pub(super) async fn footer(
    file_system: Arc<dyn FileSystem>,
    file: FileStatus,
) -> Result<(Location, Arc<ParquetMetaData>)> {
    let meta = ObjectMeta {
        location: file.location.object_path()?,
        last_modified: chrono::DateTime::from_timestamp_micros(file.modified_us).unwrap_or_default(),
        size: file.size,
        e_tag: None,
        version: None,
    };
    let store = file_system.object_store();
    let metadata = DFParquetMetadata::new(store.as_ref(), &meta).fetch_metadata().await;
    let metadata = metadata.map_err(|e| {
        SparkError::new("FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER", [("path", file.location.to_string())])
            .with_cause(cause_text(&e))
    })?;
    Ok((file.location, metadata))
}

/// One file, read outside of a plan.
pub(crate) struct FileBytes {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
}

impl FileBytes {
    pub(crate) fn new(files: &dyn FileSystem, place: &Location, size: u64) -> Result<Self> {
        let last_modified = chrono::DateTime::default();
        let meta = ObjectMeta { location: place.object_path()?, last_modified, size, e_tag: None, version: None };
        Ok(Self { store: files.object_store(), meta })
    }
}

impl AsyncFileReader for FileBytes {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let read = self.store.get_range(&self.meta.location, range);
        read.map(|bytes| bytes.map_err(|e| ParquetError::External(Box::new(e)))).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let metadata = DFParquetMetadata::new(self.store.as_ref(), &self.meta).fetch_metadata().await;
            metadata.map_err(|e| ParquetError::External(Box::new(e)))
        }
        .boxed()
    }
}

/// DataFusion's readers with its footer cache, wrapped.
#[derive(Debug)]
pub(super) struct NamingReaderFactory {
    inner: CachedParquetFileReaderFactory,
    /// Of the store
    root: Location,
}

impl NamingReaderFactory {
    pub(super) fn new(inner: CachedParquetFileReaderFactory, root: Location) -> Self {
        Self { inner, root }
    }
}

impl ParquetFileReaderFactory for NamingReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::common::Result<Box<dyn AsyncFileReader + Send>> {
        let place: Arc<str> = self.root.of_object(&file.object_meta.location).url().into();
        let inner = self.inner.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(NamingReader { inner, place }))
    }
}

struct NamingReader {
    inner: Box<dyn AsyncFileReader + Send>,
    place: Arc<str>,
}

fn name(error: ParquetError, place: &str) -> ParquetError {
    let missing = store_failure(&error).is_some_and(|failure| StoreFailure::of(failure) == StoreFailure::Missing);
    let condition = if missing { "FAILED_READ_FILE.FILE_NOT_EXIST" } else { "FAILED_READ_FILE.NO_HINT" };
    ParquetError::External(Box::new(SparkError::new(condition, [("path", place)]).with_cause(cause_text(&error))))
}

impl AsyncFileReader for NamingReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let place = Arc::clone(&self.place);
        self.inner.get_bytes(range).map(move |result| result.map_err(|e| name(e, &place))).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let place = Arc::clone(&self.place);
        self.inner.get_byte_ranges(ranges).map(move |result| result.map_err(|e| name(e, &place))).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let place = Arc::clone(&self.place);
        self.inner.get_metadata(options).map(move |result| result.map_err(|e| name(e, &place))).boxed()
    }
}
