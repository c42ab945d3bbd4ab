//! Reading ORC files.
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{FileStatus, FileSystem};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use orc_rust::projection::ProjectionMask;
use orc_rust::reader::AsyncChunkReader;
use orc_rust::{ArrowReaderBuilder, TimestampPrecision};

use super::failed;
use crate::convert::fit;
use crate::errors;
use crate::scan::source::{BatchStream, FilePart, RecordReader};

/// The bytes of a file in a store.
struct StoreReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

impl AsyncChunkReader for StoreReader {
    fn len(&mut self) -> BoxFuture<'_, std::io::Result<u64>> {
        futures::future::ready(Ok(self.size)).boxed()
    }

    fn get_bytes(&mut self, offset_from_start: u64, length: u64) -> BoxFuture<'_, std::io::Result<Bytes>> {
        async move {
            let range = offset_from_start..offset_from_start.saturating_add(length).min(self.size);
            // Stores refuse empty ranges; a stream without bytes (all values NULL) is one.
            if range.is_empty() {
                return Ok(Bytes::new());
            }
            self.store.get_range(&self.path, range).await.map_err(std::io::Error::from)
        }
        .boxed()
    }
}

/// The Arrow schema of a file.
pub(super) async fn schema(file_system: &Arc<dyn FileSystem>, file: &FileStatus) -> Result<SchemaRef> {
    let reader = StoreReader { store: file_system.object_store(), path: file.location.object_path()?, size: file.size };
    let builder = ArrowReaderBuilder::try_new_async(reader).await.map_err(|e| {
        SparkError::new("FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER", [("path", file.location.to_string())]).with_cause(e)
    })?;
    let builder = builder.with_timestamp_precision(TimestampPrecision::Microsecond);
    Ok(Arc::new(Schema::new(builder.schema().fields().clone())))
}

#[derive(Debug)]
pub(super) struct OrcReader {
    pub exact_case: bool,
    pub time_zone: Arc<str>,
}

impl RecordReader for OrcReader {
    fn name(&self) -> &'static str {
        "orc"
    }

    fn read(&self, part: FilePart) -> BatchStream {
        let (exact_case, time_zone) = (self.exact_case, Arc::clone(&self.time_zone));
        async_stream::try_stream! {
            // A file that has gone says so, rather than that its tail cannot be read.
            part.store.head(&part.meta.location).await.map_err(|e| errors::store(&part.place(), &e))?;
            let reader = StoreReader {
                store: Arc::clone(&part.store),
                path: part.meta.location.clone(),
                size: part.meta.size,
            };
            let builder = ArrowReaderBuilder::try_new_async(reader).await.map_err(failed)?;
            let root = builder.file_metadata().root_data_type();
            let is_wanted = |name: &str| part.schema.fields().iter().any(|field| {
                field.name() == name || (!exact_case && field.name().to_lowercase() == name.to_lowercase())
            });
            let names: Vec<&str> = root.children().iter().map(|column| column.name()).filter(|n| is_wanted(n)).collect();
            let projection = ProjectionMask::named_roots(root, &names);
            let mut builder = builder
                .with_projection(projection)
                .with_batch_size(part.batch_size)
                .with_timestamp_precision(TimestampPrecision::Microsecond);
            if let Some((start, end)) = part.range {
                let bound = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
                builder = builder.with_file_byte_range(bound(start)..bound(end));
            }
            let mut batches = builder.build_async();
            while let Some(batch) = batches.next().await {
                let batch = instants(&batch.map_err(failed)?, &part.schema, &time_zone)?;
                yield fit(&batch, &part.schema, exact_case)?;
            }
        }
        .boxed()
    }
}

/// ORC's TIMESTAMP is a wall-clock time; read as Spark's TIMESTAMP it is that time in the session's zone.
fn instants(batch: &RecordBatch, wanted: &SchemaRef, zone: &Arc<str>) -> Result<RecordBatch> {
    let schema = batch.schema();
    let mut fields = schema.fields().to_vec();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    for (field, column) in fields.iter_mut().zip(&mut columns) {
        let is_instant = wanted.fields().iter().any(|w| {
            w.name().to_lowercase() == field.name().to_lowercase()
                && matches!(w.data_type(), ArrowType::Timestamp(_, Some(_)))
        });
        if is_instant && matches!(field.data_type(), ArrowType::Timestamp(_, None)) {
            let local = cast(column, &ArrowType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone))));
            let utc = ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
            *column = local.and_then(|local| cast(&local, &utc)).map_err(failed)?;
            *field = Arc::new(field.as_ref().clone().with_data_type(utc));
        }
    }
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(failed)
}
