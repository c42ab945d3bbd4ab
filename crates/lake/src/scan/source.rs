//! A [`FileSource`] for formats that DataFusion does not read the way Spark does: it opens files with a [`RecordReader`]
//! of ours and leaves projection and partition columns to DataFusion's helpers.
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener, FileScanConfig, FileSource};
use datafusion::datasource::projection::{ProjectionOpener, SplitProjection};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::{DisplayFormatType, apply_expression_roots};
use firesteel_functions::external;
use firesteel_plan::SparkError;
use firesteel_storage::Location;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::{ObjectMeta, ObjectStore};

use super::{FILES_PRUNED, STRIPES_PRUNED};
use crate::errors;

/// Batches of the columns that were asked for.
pub(crate) type BatchStream = BoxStream<'static, firesteel_plan::Result<RecordBatch>>;

/// Reads one file or a part of it.
pub(crate) trait RecordReader: Send + Sync + fmt::Debug + 'static {
    /// The short name of the format, as `explain` shows it.
    fn name(&self) -> &'static str;
    /// Whether it leaves out parts of files by [`FilePart::predicate`], so that filters are worth pushing down.
    fn prunes(&self) -> bool {
        false
    }
    /// Opens a file. Batches have the schema `part.schema`, in its order.
    fn read(&self, part: FilePart) -> BatchStream;
}

/// What to read of a file.
pub(crate) struct FilePart {
    pub store: Arc<dyn ObjectStore>,
    /// The root of the store
    pub root: Location,
    pub meta: ObjectMeta,
    /// Bytes `start..end` in which records must begin; the whole file otherwise.
    pub range: Option<(u64, u64)>,
    /// The wanted file columns.
    pub schema: SchemaRef,
    /// Their positions among all file columns.
    pub columns: Vec<usize>,
    pub batch_size: usize,
    pub pruning: Pruning,
    pub counts: Counts,
}

/// What parts without rows for the filters can be told by; rows themselves are checked by others.
#[derive(Default)]
pub(crate) struct Pruning {
    pub predicate: Option<Arc<PruningPredicate>>,
    /// The values of partition columns
    pub constants: HashMap<String, ScalarValue>,
}

/// What a scan tells of its reading.
#[derive(Clone, Default)]
pub(crate) struct Counts {
    pub bytes_scanned: Count,
    pub files_pruned: Count,
    pub stripes_pruned: Count,
    pub row_groups_pruned: Count,
}

impl Counts {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name: &'static str| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            bytes_scanned: counter("bytes_scanned"),
            files_pruned: counter(FILES_PRUNED),
            stripes_pruned: counter(STRIPES_PRUNED),
            row_groups_pruned: counter("row_groups_pruned"),
        }
    }
}

impl FilePart {
    /// Where the file is.
    pub fn place(&self) -> Location {
        self.root.of_object(&self.meta.location)
    }
}

/// What to do with files that cannot be read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tolerance {
    pub ignore_missing: bool,
    pub ignore_corrupt: bool,
}

#[derive(Clone)]
pub(crate) struct RecordSource {
    reader: Arc<dyn RecordReader>,
    tolerance: Tolerance,
    root: Location,
    table_schema: TableSchema,
    projection: SplitProjection,
    /// The filters, for a reader that leaves out parts by them
    predicate: Option<Arc<dyn PhysicalExpr>>,
    batch_size: usize,
    metrics: ExecutionPlanMetricsSet,
}

const DEFAULT_BATCH_ROWS: usize = 8192;

impl RecordSource {
    /// `root`: of the file system that holds the files.
    pub(crate) fn new(
        reader: Arc<dyn RecordReader>,
        table_schema: TableSchema,
        tolerance: Tolerance,
        root: &Location,
    ) -> Self {
        let projection = SplitProjection::unprojected(&table_schema);
        let metrics = ExecutionPlanMetricsSet::new();
        Self {
            reader,
            tolerance,
            root: root.clone(),
            table_schema,
            projection,
            predicate: None,
            batch_size: DEFAULT_BATCH_ROWS,
            metrics,
        }
    }
}

/// What statistics can tell of a filter as it is now: that of a join is known once its other side is. `None`: nothing.
fn pruning(predicate: Option<&Arc<dyn PhysicalExpr>>, table_schema: &TableSchema) -> Option<Arc<PruningPredicate>> {
    let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(table_schema.table_schema()));
    builder.build(Arc::clone(predicate?))
}

impl FileSource for RecordSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        _base_config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        let columns = self.projection.file_indices.clone();
        let opener = RecordOpener {
            reader: Arc::clone(&self.reader),
            tolerance: self.tolerance,
            root: self.root.clone(),
            store,
            schema: Arc::new(self.table_schema.file_schema().project(&columns)?),
            columns,
            batch_size: self.batch_size,
            predicate: self.predicate.clone(),
            counts: Counts::new(&self.metrics, partition),
            table_schema: self.table_schema.clone(),
        };
        ProjectionOpener::try_new(self.projection.clone(), Arc::new(opener), self.table_schema.file_schema())
    }

    fn table_schema(&self) -> &TableSchema {
        &self.table_schema
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Arc::new(Self { batch_size, ..self.clone() })
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        let merged = self.projection.source.try_merge(projection)?;
        let projection = SplitProjection::new(self.table_schema.file_schema(), &merged);
        Ok(Some(Arc::new(Self { projection, ..self.clone() })))
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        Some(&self.projection.source)
    }

    /// No filter is answered for: the reader leaves out what it can, and rows are checked above the scan.
    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let answer = FilterPushdownPropagation::with_parent_pushdown_result(vec![PushedDown::No; filters.len()]);
        if !self.reader.prunes() || filters.is_empty() {
            return Ok(answer);
        }
        let predicate = conjunction(self.predicate.iter().cloned().chain(filters));
        Ok(answer.with_updated_node(Arc::new(Self { predicate: Some(predicate), ..self.clone() })))
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        &self.metrics
    }

    fn file_type(&self) -> &str {
        self.reader.name()
    }

    /// As DataFusion shows it of Parquet.
    fn fmt_extra(&self, format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let Some(predicate) = self.predicate.as_ref().filter(|_| format != DisplayFormatType::TreeRender) else {
            return Ok(());
        };
        write!(f, ", predicate={predicate}")?;
        match pruning(Some(predicate), &self.table_schema) {
            Some(pruning) => write!(f, ", pruning_predicate={}", pruning.predicate_expr()),
            None => Ok(()),
        }
    }

    /// Splits follow Spark's settings and are made once, when the scan is planned.
    fn supports_repartitioning(&self) -> bool {
        false
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let projected = self.projection.source.iter().map(|projected| &projected.expr);
        apply_expression_roots(self.predicate.iter().chain(projected), f)
    }
}

struct RecordOpener {
    reader: Arc<dyn RecordReader>,
    tolerance: Tolerance,
    root: Location,
    store: Arc<dyn ObjectStore>,
    schema: SchemaRef,
    columns: Vec<usize>,
    batch_size: usize,
    predicate: Option<Arc<dyn PhysicalExpr>>,
    counts: Counts,
    table_schema: TableSchema,
}

impl FileOpener for RecordOpener {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let part = FilePart {
            store: Arc::clone(&self.store),
            root: self.root.clone(),
            range: file
                .range
                .as_ref()
                .map(|range| (range.start.max(0).unsigned_abs(), range.end.max(0).unsigned_abs())),
            meta: file.object_meta,
            schema: Arc::clone(&self.schema),
            columns: self.columns.clone(),
            batch_size: self.batch_size,
            pruning: self.pruning(file.partition_values),
            counts: self.counts.clone(),
        };
        let place = part.place().url();
        let stream = guard(self.reader.read(part), place, self.tolerance);
        Ok(async move { Ok(stream) }.boxed())
    }
}

impl RecordOpener {
    fn pruning(&self, partition_values: Vec<ScalarValue>) -> Pruning {
        let predicate = pruning(self.predicate.as_ref(), &self.table_schema);
        let names = self.table_schema.table_partition_cols().iter().map(|field| field.name().clone());
        Pruning { predicate, constants: names.zip(partition_values).collect() }
    }
}

/// Names the file in errors; ends the file early where the user tolerates what went wrong.
fn guard(stream: BatchStream, place: String, tolerance: Tolerance) -> BoxStream<'static, Result<RecordBatch>> {
    let state = (stream, place, false);
    futures::stream::unfold(state, move |(mut stream, place, done)| async move {
        if done {
            return None;
        }
        match stream.next().await? {
            Ok(batch) => Some((Ok(batch), (stream, place, false))),
            Err(error) => {
                let error = errors::failed_read(&place, error);
                if tolerates(&error, tolerance) {
                    return None;
                }
                Some((Err::<RecordBatch, DataFusionError>(external(error)), (stream, place, true)))
            }
        }
    })
    .boxed()
}

fn tolerates(error: &SparkError, tolerance: Tolerance) -> bool {
    if error.is("FAILED_READ_FILE.FILE_NOT_EXIST") { tolerance.ignore_missing } else { tolerance.ignore_corrupt }
}
