//! The operator that reads slices with logs.
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use firesteel_functions::external;
use futures::{Stream, StreamExt};
use object_store::ObjectStoreExt;

use super::changes::{Changes, Merger};
use super::{Logs, SliceLogs};
use crate::errors;

/// A slice to read.
#[derive(Debug, Clone)]
pub(crate) struct Slice {
    /// The partition of the plan of base files that reads its own
    pub base: Option<usize>,
    pub logs: SliceLogs,
    /// Columns that no log has, with their value for all its rows
    pub constants: Vec<(usize, ScalarValue)>,
}

/// Reads base files by a plan of its own, which no rule of the optimizer sees: filters and limits apply to merged rows.
#[derive(Debug)]
pub(crate) struct MergeExec {
    base: Arc<dyn ExecutionPlan>,
    merger: Arc<Merger>,
    logs: Arc<Logs>,
    slices: Vec<Slice>,
    /// So many columns are handed out, the others are for merging
    width: usize,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl MergeExec {
    /// `base` has a partition for each slice with a base file.
    pub(crate) fn new(
        base: Arc<dyn ExecutionPlan>,
        logs: Arc<Logs>,
        slices: Vec<Slice>,
        width: usize,
        parallelism: usize,
        exact_case: bool,
    ) -> firesteel_plan::Result<Self> {
        let merger = Merger::new(&base.schema(), &logs.rules, exact_case)?;
        let schema: SchemaRef = Arc::new(Schema::new(base.schema().fields()[..width].to_vec()));
        let partitions = slices.len().clamp(1, parallelism.max(1));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self {
            base,
            merger: Arc::new(merger),
            logs,
            slices,
            width,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(properties),
        })
    }

    /// The rows of some slices, with the columns for merging.
    fn rows(&self, slices: Vec<Slice>, context: Arc<TaskContext>) -> impl Stream<Item = Result<RecordBatch>> + use<> {
        let (base, merger, logs) = (Arc::clone(&self.base), Arc::clone(&self.merger), Arc::clone(&self.logs));
        async_stream::try_stream! {
            for slice in slices {
                let memory = MemoryConsumer::new("logs of a Hudi table").register(context.memory_pool());
                let mut changes = read_changes(&slice, &logs, &merger, &memory).await?;
                if let Some(partition) = slice.base {
                    let mut batches = base.execute(partition, Arc::clone(&context))?;
                    while let Some(batch) = batches.next().await {
                        yield merger.merge(&mut changes, batch?).map_err(external)?;
                    }
                }
                for batch in merger.rest(&mut changes).map_err(external)? {
                    yield batch;
                }
            }
        }
    }
}

/// All that the logs of a slice say.
async fn read_changes(slice: &Slice, logs: &Logs, merger: &Merger, memory: &MemoryReservation) -> Result<Changes> {
    let mut read = vec![];
    for file in slice.logs.logs.iter().filter(|file| file.size > 0) {
        memory.try_grow(usize::try_from(file.size).unwrap_or(usize::MAX))?;
        let place = file.location.object_path().map_err(external)?;
        let bytes = logs.files.object_store().get_range(&place, 0..file.size).await;
        read.push((file.location.clone(), bytes.map_err(|e| external(errors::store(&file.location, &e)))?));
    }
    let mut changes = Changes::new(slice.constants.clone());
    for block in logs.valid(read).map_err(external)? {
        let before = changes.bytes;
        merger.add(&mut changes, &block).map_err(external)?;
        memory.try_grow(changes.bytes.saturating_sub(before))?;
    }
    // The files themselves are not needed any more.
    memory.try_resize(changes.bytes)?;
    Ok(changes)
}

impl DisplayAs for MergeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let logs: usize = self.slices.iter().map(|slice| slice.logs.logs.len()).sum();
        let by = self.logs.rules.ordering.as_deref().unwrap_or("commit time");
        write!(f, "HudiMergeExec: slices={}, logs={logs}, ordering={by}", self.slices.len())
    }
}

impl ExecutionPlan for MergeExec {
    fn name(&self) -> &'static str {
        "HudiMergeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.is_empty() {
            true => Ok(self),
            false => datafusion::common::internal_err!("HudiMergeExec has no input"),
        }
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let partitions = self.properties.output_partitioning().partition_count();
        if partition >= partitions {
            return datafusion::common::internal_err!("HudiMergeExec has {partitions} partitions, not {partition}");
        }
        // Neighbouring slices share a partition.
        let bound = |partition: usize| partition * self.slices.len() / partitions;
        let slices = self.slices[bound(partition)..bound(partition + 1)].to_vec();
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let schema = self.schema();
        let (width, output) = (self.width, Arc::clone(&schema));
        let rows = self.rows(slices, context).map(move |batch| {
            let batch = batch?;
            metrics.record_output(batch.num_rows());
            let columns: Vec<ArrayRef> = batch.columns()[..width].to_vec();
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(Arc::clone(&output), columns, &options)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;

    use arrow::datatypes::{DataType, Field};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
    use firesteel_storage::{FileStatus, Location, Storage};

    use super::*;
    use crate::hudi::logs::RECORD_KEY;
    use crate::hudi::properties::MergeRules;
    use crate::hudi::timeline::Timeline;

    #[tokio::test]
    async fn logs_count_against_memory() {
        let path = std::env::temp_dir().join(format!("firesteel-logs-{}", uuid::Uuid::new_v4()));
        fs::write(&path, b"").unwrap();
        let location = Location::parse(&path.display().to_string()).unwrap();
        let files = Storage::default().file_system(&location).unwrap();
        let rules = MergeRules { by_order: false, ordering: None };
        let schema = Arc::new(Schema::new(vec![Field::new(RECORD_KEY, DataType::Utf8, true)]));
        let merger = Merger::new(&schema, &rules, true).unwrap();
        let logs = Logs::new(HashMap::new(), rules, Timeline::default(), None, files);
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1000));
        let memory = MemoryConsumer::new("logs").register(&pool);
        let mut file = FileStatus { location, is_directory: false, size: 0, modified_us: 0 };
        let slice = |file: &FileStatus| {
            let logs = SliceLogs { has_base: false, logs: vec![file.clone()] };
            Slice { base: None, logs, constants: vec![] }
        };
        assert_eq!(read_changes(&slice(&file), &logs, &merger, &memory).await.unwrap().bytes, 0);
        file.size = 2000;
        let error = read_changes(&slice(&file), &logs, &merger, &memory).await.unwrap_err();
        assert!(error.to_string().contains("logs"), "{error}");
        assert_eq!(pool.reserved(), 0);
        fs::remove_file(&path).unwrap();
    }
}
