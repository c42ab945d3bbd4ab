//! Reading ORC files.
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, FieldRef, Schema};
use arrow::record_batch::RecordBatchOptions;
use datafusion::physical_plan::metrics::Count;
use firesteel_functions::datetime::zone::Zone;
use firesteel_plan::{DataType, Result, SparkError, StructType};
use firesteel_storage::{FileStatus, FileSystem};
use futures::StreamExt;
use object_store::ObjectStoreExt;
use orc_rust::projection::ProjectionMask;
use orc_rust::proto::CalendarKind;
use orc_rust::schema::RootDataType;
use orc_rust::stripe::Stripe;
use orc_rust::{ArrowSchemaOptions, TimestampPrecision};

use super::calendar::Times;
use super::decode::StripeRows;
use super::footer::OrcFile;
use super::prune::Pruner;
use super::{failed, footer, types};
use crate::convert::fit;
use crate::errors;
use crate::scan::source::{BatchStream, FilePart, RecordReader};

/// The schema of a file.
pub(super) async fn schema(file_system: &Arc<dyn FileSystem>, file: &FileStatus) -> Result<StructType> {
    let path = file.location.object_path()?;
    let opened = footer::open(file_system.object_store(), path, file.size, Count::new()).await.map_err(|e| {
        SparkError::new("FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER", [("path", file.location.to_string())]).with_cause(e)
    })?;
    types::from_orc(&opened.footer.types)
}

#[derive(Debug, Clone)]
pub(super) struct OrcReader {
    /// The table's columns that are in files
    pub schema: Arc<StructType>,
    pub exact_case: bool,
    pub zone: Zone,
    /// Whether parts are left out by the filters
    pub prunes: bool,
}

impl RecordReader for OrcReader {
    fn name(&self) -> &'static str {
        "orc"
    }

    fn prunes(&self) -> bool {
        self.prunes
    }

    fn read(&self, part: FilePart) -> BatchStream {
        let reader = self.clone();
        async_stream::try_stream! {
            // A file that has gone says so, rather than that its tail cannot be read.
            part.store.head(&part.meta.location).await.map_err(|e| errors::store(&part.place(), &e))?;
            let (path, scanned) = (part.meta.location.clone(), part.counts.bytes_scanned.clone());
            let mut file = footer::open(Arc::clone(&part.store), path, part.meta.size, scanned).await?;
            let times = Times { julian: file.footer.calendar() != CalendarKind::ProlepticGregorian, zone: reader.zone };
            let stored = types::from_orc(&file.footer.types).unwrap_or_default();
            let pruner = Pruner::of(&part, &file, &reader.schema, &stored, times, reader.exact_case);
            let columns = projection(file.metadata.root_data_type(), &part, reader.exact_case);
            let options = ArrowSchemaOptions::new().with_timestamp_precision(TimestampPrecision::Microsecond);
            let schema = Arc::new(columns.create_arrow_schema_with_options(&HashMap::new(), options));
            for stripe in stripes(&file, &part, pruner.as_ref()) {
                let Some(info) = file.metadata.stripe_metadatas().get(stripe) else { continue };
                let stripe = Stripe::new_async(&mut file.bytes, &file.metadata, &columns, info).await.map_err(failed)?;
                let group_rows = file.metadata.row_index_stride().unwrap_or(0);
                let groups = match &pruner {
                    Some(pruner) if group_rows > 0 => pruner.row_groups(&stripe, group_rows),
                    _ => vec![],
                };
                part.counts.row_groups_pruned.add(groups.iter().filter(|may_match| !**may_match).count());
                let rows = StripeRows::new(&stripe, Arc::clone(&schema), part.batch_size, &groups, group_rows)?;
                for batch in rows {
                    yield fit(&with_times(&batch?, &stored, times)?, &part.schema, reader.exact_case)?;
                }
            }
        }
        .boxed()
    }
}

/// The columns of the file that are read.
fn projection(root: &RootDataType, part: &FilePart, exact_case: bool) -> RootDataType {
    let is_wanted = |name: &str| {
        let folds = |field: &FieldRef| !exact_case && field.name().to_lowercase() == name.to_lowercase();
        part.schema.fields().iter().any(|field| field.name() == name || folds(field))
    };
    let names: Vec<&str> = root.children().iter().map(|column| column.name()).filter(|name| is_wanted(name)).collect();
    root.project(&ProjectionMask::named_roots(root, &names))
}

/// The stripes to read: those that begin in the part, but for those that no row of the answer can be in.
fn stripes(file: &OrcFile, part: &FilePart, pruner: Option<&Pruner>) -> Vec<usize> {
    let may_match = pruner.map(|pruner| pruner.stripes(file)).unwrap_or_default();
    let begins = |at: u64| part.range.is_none_or(|(start, end)| (start..end).contains(&at));
    let all = file.metadata.stripe_metadatas().iter().enumerate();
    let own: Vec<usize> = all.filter(|(_, stripe)| begins(stripe.offset())).map(|(index, _)| index).collect();
    let count = own.len();
    let kept: Vec<usize> = own.into_iter().filter(|index| may_match.get(*index).copied().unwrap_or(true)).collect();
    part.counts.stripes_pruned.add(count - kept.len());
    if !may_match.is_empty() && !may_match.contains(&true) && begins(0) {
        part.counts.files_pruned.add(1);
    }
    kept
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
