//! The plan that reads parts which are kept decoded, or decodes and keeps them.
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, internal_err};
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::datasource::source::{DataSource, DataSourceExec};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::SchedulingType;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan, Partitioning};
use futures::{Stream, StreamExt, TryStreamExt};

use super::{Columns, DecodedParts, PartKey};
use crate::scan::FILES_PRUNED;
use crate::scan::metadata;
use crate::scan::provider::{FileTable, partitioned_file};

/// Parts that one query may have, and what these may take.
const PARTS_MAX: usize = 8;
const BYTES_MAX: usize = 64 << 20;

/// A part of a file: where it begins, and what it may take when it is decoded.
pub(in crate::scan) struct PartOfFile {
    pub file: usize,
    pub start: u64,
    pub bytes: usize,
}

/// A plan over parts that are kept; `None`: they are to be read as always. `wanted`: columns of the table schema.
pub(in crate::scan) fn plan(
    table: &FileTable,
    parts: &[PartOfFile],
    wanted: &[usize],
    statistics: Statistics,
    session: &dyn Session,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(kept) = session.config().get_extension::<DecodedParts>() else { return Ok(None) };
    let bytes = parts.iter().map(|part| part.bytes).sum();
    let fields = table.table_schema.table_schema().fields();
    let metadata_column = fields.len() - 1;
    if parts.len() > PARTS_MAX || bytes > BYTES_MAX || wanted.is_empty() || wanted.contains(&metadata_column) {
        return Ok(None);
    }
    let inner = table.inner();
    let key = |part: &PartOfFile| PartKey { scan: inner.id, file: part.file, start: part.start };
    let keys: Vec<_> = parts.iter().map(key).collect();
    let Some(found) = kept.ask(&keys, wanted, bytes) else { return Ok(None) };
    let mut sources = Vec::with_capacity(parts.len());
    for ((part, key), columns) in parts.iter().zip(keys).zip(found) {
        let missing: Vec<_> = wanted.iter().copied().filter(|column| !columns.contains_key(column)).collect();
        let decoder = match missing.is_empty() {
            true => None,
            false => Some(Decoder { plan: decoder(table, part, missing.clone(), session)?, columns: missing }),
        };
        sources.push(Part { key, columns, decoder });
    }
    let schema = Arc::new(Schema::new(wanted.iter().map(|column| Arc::clone(&fields[*column])).collect::<Vec<_>>()));
    let metrics = ExecutionPlanMetricsSet::new();
    let files_read = parts.chunk_by(|one, next| one.file == next.file).count();
    MetricBuilder::new(&metrics).global_counter(FILES_PRUNED).add(inner.files.len().saturating_sub(files_read));
    let wanted = wanted.to_vec();
    let statistics = Arc::new(statistics.project(Some(&wanted)));
    let source = DecodedSource { kept, parts: sources.into(), wanted, schema, statistics, metrics };
    Ok(Some(DataSourceExec::from_data_source(source)))
}

/// Reads those columns of all rows of a part.
fn decoder(
    table: &FileTable,
    part: &PartOfFile,
    columns: Vec<usize>,
    session: &dyn Session,
) -> Result<Arc<dyn ExecutionPlan>> {
    let file = &table.inner().files[part.file];
    let mut read = partitioned_file(file)?;
    read.partition_values.push(metadata::value(&file.status, 0, file.status.size));
    // A range reads the parts that begin in it.
    let start = i64::try_from(part.start).unwrap_or(i64::MAX - 1);
    let read = read.with_range(start, start + 1);
    let statistics = Statistics::new_unknown(table.table_schema.table_schema());
    let groups = vec![FileGroup::new(vec![read])];
    Ok(table.data_source(groups, columns, statistics, None, session)?.0)
}

/// Whether a plan reads decoded parts and nothing else.
pub fn reads_decoded_parts(plan: &dyn ExecutionPlan) -> bool {
    plan.downcast_ref::<DataSourceExec>().is_some_and(|exec| exec.data_source().is::<DecodedSource>())
}

/// A part, as far as it is there.
#[derive(Debug)]
struct Part {
    key: PartKey,
    columns: Columns,
    /// For what is missing
    decoder: Option<Decoder>,
}

#[derive(Debug)]
struct Decoder {
    plan: Arc<dyn ExecutionPlan>,
    columns: Vec<usize>,
}

#[derive(Debug, Clone)]
struct DecodedSource {
    kept: Arc<DecodedParts>,
    parts: Arc<[Part]>,
    /// Columns of the table, in the order of the schema
    wanted: Vec<usize>,
    schema: SchemaRef,
    statistics: Arc<Statistics>,
    metrics: ExecutionPlanMetricsSet,
}

impl DataSource for DecodedSource {
    fn open(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("decoded parts are one partition, not {partition}");
        }
        let this = self.clone();
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let bytes = MetricBuilder::new(&self.metrics).counter("bytes_scanned", partition);
        let batches = async_stream::try_stream! {
            for part in this.parts.iter() {
                let Some(decoder) = &part.decoder else {
                    let batch = this.batch(&part.columns)?;
                    baseline.record_output(batch.num_rows());
                    yield batch;
                    continue;
                };
                let mut decoded = this.decoded(part, decoder, decoder.plan.execute(0, Arc::clone(&context))?).boxed();
                while let Some(batch) = decoded.try_next().await? {
                    baseline.record_output(batch.num_rows());
                    yield batch;
                }
                let read = decoder.plan.metrics().and_then(|metrics| metrics.sum_by_name("bytes_scanned"));
                bytes.add(read.map_or(0, |read| read.as_usize()));
            }
            baseline.done();
        };
        Ok(Box::pin(cooperative(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches.boxed()))))
    }

    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let names: Vec<_> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let kept = self.parts.iter().filter(|part| part.decoder.is_none()).count();
        write!(f, "parts={}, decoded before={kept}, projection=[{}]", self.parts.len(), names.join(", "))
    }

    fn output_partitioning(&self) -> Partitioning {
        Partitioning::UnknownPartitioning(1)
    }

    fn eq_properties(&self) -> EquivalenceProperties {
        EquivalenceProperties::new(Arc::clone(&self.schema))
    }

    fn scheduling_type(&self) -> SchedulingType {
        SchedulingType::Cooperative
    }

    fn partition_statistics(&self, _: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&self.statistics))
    }

    fn with_fetch(&self, _: Option<usize>) -> Option<Arc<dyn DataSource>> {
        None
    }

    fn fetch(&self) -> Option<usize> {
        None
    }

    fn metrics(&self) -> ExecutionPlanMetricsSet {
        self.metrics.clone()
    }

    fn try_swapping_with_projection(&self, _: &ProjectionExprs) -> Result<Option<Arc<dyn DataSource>>> {
        Ok(None)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
}

impl DecodedSource {
    /// The rows of a part, whose missing columns a stream has. They are kept, unless they are larger than was expected.
    fn decoded<'a>(
        &'a self,
        part: &'a Part,
        decoder: &'a Decoder,
        mut stream: SendableRecordBatchStream,
    ) -> impl Stream<Item = Result<RecordBatch>> + Send + 'a {
        async_stream::try_stream! {
            let (mut read, mut bytes, mut passed_on) = (vec![], 0, 0);
            while let Some(batch) = stream.try_next().await? {
                bytes += batch.get_array_memory_size();
                read.push(batch);
                if bytes > BYTES_MAX {
                    for batch in read.drain(..) {
                        let rows = batch.num_rows();
                        let there = part.columns.iter().map(|(at, values)| (*at, values.slice(passed_on, rows)));
                        yield self.batch(&decoder.columns_of(&batch).chain(there).collect())?;
                        passed_on += rows;
                    }
                }
            }
            if passed_on > 0 {
                self.kept.refuse(part.key);
            } else if let Some(first) = read.first() {
                let whole = concat_batches(&first.schema(), &read)?;
                let mut columns: Columns = decoder.columns_of(&whole).collect();
                self.kept.put(part.key, columns.clone());
                columns.extend(part.columns.iter().map(|(at, values)| (*at, Arc::clone(values))));
                yield self.batch(&columns)?;
            }
        }
    }

    fn batch(&self, columns: &Columns) -> Result<RecordBatch> {
        let of = |column: &usize| columns.get(column).map(Arc::clone);
        let Some(columns) = self.wanted.iter().map(of).collect::<Option<Vec<ArrayRef>>>() else {
            return internal_err!("a decoded part lacks a column");
        };
        let rows = columns.first().map_or(0, |column| column.len());
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl Decoder {
    fn columns_of<'a>(&'a self, batch: &'a RecordBatch) -> impl Iterator<Item = (usize, ArrayRef)> + 'a {
        self.columns.iter().copied().zip(batch.columns().iter().cloned())
    }
}
