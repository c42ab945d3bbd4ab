//! Reading ORC files.
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, FieldRef, Schema};
use arrow::record_batch::RecordBatchOptions;
use firesteel_functions::datetime::zone::Zone;
use firesteel_plan::{DataType, Result, SparkError, StructType};
use firesteel_storage::{FileStatus, FileSystem};
use futures::StreamExt;
use object_store::ObjectStoreExt;
use orc_rust::TimestampPrecision;
use orc_rust::projection::ProjectionMask;
use orc_rust::proto::CalendarKind;

use super::calendar::Times;
use super::{failed, footer, types};
use crate::convert::fit;
use crate::errors;
use crate::scan::source::{BatchStream, FilePart, RecordReader};

/// The schema of a file.
pub(super) async fn schema(file_system: &Arc<dyn FileSystem>, file: &FileStatus) -> Result<StructType> {
    let path = file.location.object_path()?;
    let (_, footer) = footer::open(file_system.object_store(), path, file.size).await.map_err(|e| {
        SparkError::new("FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER", [("path", file.location.to_string())]).with_cause(e)
    })?;
    types::from_orc(&footer.types)
}

#[derive(Debug)]
pub(super) struct OrcReader {
    pub exact_case: bool,
    pub zone: Zone,
}

impl RecordReader for OrcReader {
    fn name(&self) -> &'static str {
        "orc"
    }

    fn read(&self, part: FilePart) -> BatchStream {
        let (exact_case, zone) = (self.exact_case, self.zone);
        async_stream::try_stream! {
            // A file that has gone says so, rather than that its tail cannot be read.
            part.store.head(&part.meta.location).await.map_err(|e| errors::store(&part.place(), &e))?;
            let path = part.meta.location.clone();
            let (builder, footer) = footer::open(Arc::clone(&part.store), path, part.meta.size).await?;
            let times = Times { julian: footer.calendar() != CalendarKind::ProlepticGregorian, zone };
            let stored = types::from_orc(&footer.types).unwrap_or_default();
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
                let batch = with_times(&batch.map_err(failed)?, &stored, times)?;
                yield fit(&batch, &part.schema, exact_case)?;
            }
        }
        .boxed()
    }
}

/// The batch with Spark's days and instants. `stored`: the columns of the file.
fn with_times(batch: &RecordBatch, stored: &StructType, times: Times) -> Result<RecordBatch> {
    let schema = batch.schema();
    let column = |(column, field): (&ArrayRef, &FieldRef)| {
        let known = stored.fields.iter().find(|stored| &stored.name == field.name());
        times.fit(column, known.map_or(&DataType::Null, |stored| &stored.data_type))
    };
    let columns = batch.columns().iter().zip(schema.fields()).map(column).collect::<std::result::Result<Vec<_>, _>>();
    let columns = columns.map_err(failed)?;
    let fields = schema.fields().iter().zip(&columns);
    let fields: Vec<Field> = fields
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), field.is_nullable()))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(failed)
}
