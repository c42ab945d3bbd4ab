//! The DataFusion table of a [`Scan`](super::Scan): prunes partitions, splits files, and makes a `DataSourceExec`.
use std::collections::HashMap;
use std::iter::zip;
use std::sync::Arc;

use arrow::datatypes::{Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use firesteel_functions::external;
use firesteel_functions::types::{to_arrow_field, to_arrow_fields};
use firesteel_plan::{StructField, StructType};
use futures::StreamExt;
use object_store::ObjectMeta;

use super::decoded::{self, PartOfFile};
use super::log::TableLog;
use super::split::Split;
use super::{FiltersAreKnown, Inner, Scan, ScanFile, may_match, metadata, prune, split};
use crate::files::find_field;
use crate::parquet::StoredColumns;

/// The metric of a scan that counts the files it leaves out: no row of theirs can pass the filters.
pub const FILES_PRUNED: &str = "files_pruned";
/// The same of the stripes of ORC files.
pub const STRIPES_PRUNED: &str = "stripes_pruned";
/// Up to so many files are looked into for parts that no row of the answer can be in.
const FILES_LOOKED_INTO: usize = 16;
/// How many deletion vectors are read at once.
const DELETIONS_CONCURRENCY: usize = 16;

/// The table of one read.
#[derive(Debug)]
pub struct FileTable {
    scan: Scan,
    /// Spark's order: data columns, partition columns, `_metadata`.
    schema: SchemaRef,
    /// What the files hold.
    file_schema: StructType,
    /// DataFusion's order: file columns, partition columns, `_metadata`.
    pub(super) table_schema: TableSchema,
    /// Column of `schema` → column of `table_schema`.
    positions: Vec<usize>,
}

impl FileTable {
    pub(super) fn new(scan: Scan) -> Self {
        let inner = &scan.inner;
        let is_data =
            |field: &&StructField| find_field(&inner.partition_schema, &field.name, &inner.request.conf).is_none();
        let file_schema = StructType { fields: inner.schema.fields.iter().filter(is_data).cloned().collect() };
        let metadata = Arc::new(to_arrow_field(&scan.metadata_column()));
        let partition_fields: Vec<_> =
            to_arrow_fields(&inner.partition_schema).iter().cloned().chain([Arc::clone(&metadata)]).collect();
        let table_schema = TableSchema::builder(Arc::new(Schema::new(to_arrow_fields(&file_schema))))
            .with_table_partition_cols(partition_fields)
            .build();
        let all = table_schema.table_schema().fields();
        let names = inner.schema.fields.iter().map(|f| f.name.as_str()).chain([metadata.name().as_str()]);
        let positions: Vec<usize> =
            names.map(|name| all.iter().position(|f| f.name() == name).unwrap_or_default()).collect();
        let fields: Fields = positions.iter().map(|position| Arc::clone(&all[*position])).collect();
        let schema = Arc::new(Schema::new(fields));
        Self { scan, schema, file_schema, table_schema, positions }
    }

    pub fn scan(&self) -> &Scan {
        &self.scan
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.scan.inner
    }

    /// What the partitions read. `parts`: where the parts to read of a file begin, for files of which not all is to be
    /// read.
    fn splits(&self, kept: &[usize], parts: &HashMap<usize, Vec<u64>>, parallelism: usize) -> Result<Vec<Vec<Split>>> {
        let mut partitions = split::partitions(self.inner(), kept, parallelism).map_err(external)?;
        if !parts.is_empty() {
            let is_read =
                |split: &Split| parts.get(&split.file).is_none_or(|starts| starts.iter().any(|at| split.has(*at)));
            partitions.iter_mut().for_each(|splits| splits.retain(is_read));
            partitions.retain(|splits| !splits.is_empty());
        }
        Ok(partitions)
    }

    fn file_groups(&self, files: &[PartitionedFile], partitions: &[Vec<Split>]) -> Vec<FileGroup> {
        let piece = |split: &Split| {
            let mut part = files[split.file].clone();
            let status = &self.inner().files[split.file].status;
            part.partition_values.push(metadata::value(status, split.start, split.length));
            if split.length < status.size {
                let end = i64::try_from(split.start + split.length).unwrap_or(i64::MAX);
                part = part.with_range(i64::try_from(split.start).unwrap_or(i64::MAX), end);
            }
            part
        };
        partitions.iter().map(|splits| FileGroup::new(splits.iter().map(piece).collect())).collect()
    }
}

pub(super) fn partitioned_file(file: &ScanFile) -> Result<PartitionedFile> {
    let status = &file.status;
    let meta = ObjectMeta {
        location: status.location.object_path().map_err(external)?,
        last_modified: chrono::DateTime::from_timestamp_micros(status.modified_us).unwrap_or_default(),
        size: status.size,
        e_tag: None,
        version: None,
    };
    let mut part = PartitionedFile::new_from_meta(meta);
    part.partition_values.clone_from(&file.partition_values);
    Ok(part)
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| {
            if prune::is_partition_filter(filter, &self.inner().partition_schema) {
                TableProviderFilterPushDown::Exact
            } else if self.inner().format.prunes() && !filter.is_volatile() {
                TableProviderFilterPushDown::Inexact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.total_byte_size =
            Precision::Inexact(usize::try_from(self.scan.size_in_bytes()).unwrap_or(usize::MAX));
        Some(statistics)
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = self.inner();
        let kept = self.kept(filters, session)?;
        let url = ObjectStoreUrl::parse(inner.file_system.store_url())?;
        session.runtime_env().register_object_store(url.as_ref(), inner.file_system.object_store());
        let wanted = match projection {
            Some(columns) => columns.iter().map(|column| self.positions[*column]).collect(),
            None => self.positions.clone(),
        };
        let Some(logs) = &inner.merged else { return self.scan_files(session, kept, wanted, filters, limit).await };
        let (merged, kept): (Vec<_>, Vec<_>) = kept.into_iter().partition(|file| logs.of(*file).is_some());
        let mut parts = vec![];
        if !kept.is_empty() || merged.is_empty() {
            parts.push(self.scan_files(session, kept, wanted.clone(), filters, limit).await?);
        }
        if !merged.is_empty() {
            parts.push(super::merged::plan(self, logs, &merged, wanted, session)?);
        }
        match parts.len() {
            1 => Ok(parts.swap_remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}

impl FileTable {
    /// A plan that reads files as they are. `wanted`: columns of the table schema.
    async fn scan_files(
        &self,
        session: &dyn Session,
        kept: Vec<usize>,
        wanted: Vec<usize>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let inner = self.inner();
        let mut files = self.partitioned_files(&kept)?;
        let is_small = !filters.is_empty() && session.config().get_extension::<FiltersAreKnown>().is_some();
        let Known { kept, parts, statistics, is_whole } = match &inner.log {
            Some(log) => self.known_by_log(log, &mut files, kept, filters, session).await?,
            None => self.known_by_footers(&mut files, kept, filters, session).await?,
        };
        if is_small {
            // They have left out what they can; no file is looked at once more when it is opened.
            kept.iter().for_each(|index| files[*index].statistics = None);
        }
        let parallelism = session.config().target_partitions();
        let splits = self.splits(&kept, &parts, parallelism)?;
        if is_small
            && is_whole
            && let Some(plan) = self.decoded(&splits, &parts, &wanted, &statistics, session)?
        {
            return Ok(plan);
        }
        // Every filter that reaches this table also stays above it; a limit may only be used where there is none.
        let limit = limit.filter(|_| filters.iter().all(|f| prune::is_partition_filter(f, &inner.partition_schema)));
        let mut groups = self.file_groups(&files, &splits);
        if let Some(rows) = limit {
            keep_first(&mut groups, rows);
        }
        let (plan, metrics) = self.data_source(groups, wanted, statistics, limit, session)?;
        MetricBuilder::new(&metrics).global_counter(FILES_PRUNED).add(inner.files.len() - kept.len());
        Ok(plan)
    }

    /// A plan over few parts that are asked for again and again, decoded, in the order in which the splits have them;
    /// `None`: they are to be read as always.
    fn decoded(
        &self,
        partitions: &[Vec<Split>],
        parts: &HashMap<usize, Vec<u64>>,
        wanted: &[usize],
        statistics: &Statistics,
        session: &dyn Session,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let inner = self.inner();
        let mut read = vec![];
        for split in partitions.iter().flatten() {
            let Some(Some(groups)) = inner.row_groups[split.file].get() else { return Ok(None) };
            let is_read = |start: &u64| parts.get(&split.file).is_none_or(|starts| starts.contains(start));
            let groups = zip(&groups.starts, &groups.bytes).filter(|(start, _)| split.has(**start) && is_read(start));
            read.extend(groups.map(|(start, bytes)| {
                let bytes = wanted.iter().filter_map(|column| bytes.get(*column)).sum();
                PartOfFile { file: split.file, start: *start, bytes }
            }));
        }
        decoded::plan(self, &read, wanted, statistics.clone().to_inexact(), session)
    }

    /// A plan that reads groups of files, and its metrics.
    pub(super) fn data_source(
        &self,
        groups: Vec<FileGroup>,
        wanted: Vec<usize>,
        statistics: Statistics,
        limit: Option<usize>,
        session: &dyn Session,
    ) -> Result<(Arc<dyn ExecutionPlan>, ExecutionPlanMetricsSet)> {
        let inner = self.inner();
        let source = inner.format.source(&self.file_schema, self.table_schema.clone(), &inner.file_system, session);
        let source = source.map_err(external)?;
        let metrics = source.metrics().clone();
        let count = groups.len().max(1);
        let groups = if groups.is_empty() { vec![FileGroup::new(vec![])] } else { groups };
        let url = ObjectStoreUrl::parse(inner.file_system.store_url())?;
        let config = FileScanConfigBuilder::new(url, source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(wanted))?
            .with_limit(limit)
            .with_expr_adapter(inner.format.expr_adapter(&self.scan_places(), self.stored_columns()))
            // Rows come in the order of the files, partition by partition, as in Spark.
            .with_preserve_order(true)
            .with_output_partitioning(Some(Partitioning::UnknownPartitioning(count)))
            .build();
        Ok((DataSourceExec::from_data_source(config), metrics))
    }

    /// The files that may have rows for the filters.
    pub fn kept(&self, filters: &[Expr], session: &dyn Session) -> Result<Vec<usize>> {
        let inner = self.inner();
        let kept = prune::prune(&inner.files, &inner.partition_schema, filters, session)?;
        match &inner.log {
            Some(log) => log.prune(kept, filters, self.table_schema.file_schema(), session),
            None => Ok(kept),
        }
    }

    /// The files as DataFusion knows them, those of `kept` with the statistics that were found before.
    fn partitioned_files(&self, kept: &[usize]) -> Result<Vec<PartitionedFile>> {
        let mut files = self.inner().files.iter().map(partitioned_file).collect::<Result<Vec<_>>>()?;
        for index in kept {
            files[*index].statistics = self.inner().statistics[*index].get().cloned();
        }
        Ok(files)
    }

    /// The files that may have rows for the filters by what the format finds out about them, and the statistics of these.
    async fn known_by_footers(
        &self,
        files: &mut [PartitionedFile],
        kept: Vec<usize>,
        filters: &[Expr],
        session: &dyn Session,
    ) -> Result<Known> {
        let inner = self.inner();
        let readable = inner.format.prepare(&inner.file_system, files, kept, &self.table_schema, session).await;
        for index in &readable {
            if let Some(statistics) = &files[*index].statistics {
                inner.statistics[*index].get_or_init(|| Arc::clone(statistics));
            }
        }
        let known: Option<Vec<_>> = readable.iter().map(|index| files[*index].statistics.clone()).collect();
        let Some(known) = known.filter(|known| !known.is_empty()) else {
            let statistics = statistics_by_size(files, &readable, &self.table_schema);
            return Ok(Known { kept: readable, parts: HashMap::new(), statistics, is_whole: true });
        };
        let schema = self.table_schema.table_schema();
        let mut parts = HashMap::new();
        let mut kept: Vec<_> = zip(readable, known).collect();
        if let Some(predicate) = may_match(filters, schema, session)? {
            let statistics = kept.iter().map(|(_, statistics)| Arc::clone(statistics)).collect();
            keep_where(&mut kept, &predicate.prune(&PrunableStatistics::new(statistics, Arc::clone(schema)))?);
            let indices: Vec<_> = kept.iter().map(|(index, _)| *index).collect();
            parts = self.parts_of(files, &indices, &predicate, session).await?;
            kept.retain(|(index, _)| parts.get(index).is_none_or(|starts| !starts.is_empty()));
        }
        let (kept, known): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        let statistics = match known.is_empty() {
            true => statistics_by_size(files, &[], &self.table_schema),
            false => Statistics::try_merge_iter(known.iter().map(Arc::as_ref), schema)?,
        };
        Ok(Known { kept, parts, statistics, is_whole: true })
    }

    /// Of few files: where their parts begin that may have rows for a filter.
    async fn parts_of(
        &self,
        files: &[PartitionedFile],
        kept: &[usize],
        predicate: &PruningPredicate,
        session: &dyn Session,
    ) -> Result<HashMap<usize, Vec<u64>>> {
        let mut parts = HashMap::new();
        if kept.len() <= FILES_LOOKED_INTO {
            for index in kept {
                if let Some(starts) = self.parts(&files[*index], *index, predicate, session).await? {
                    parts.insert(*index, starts);
                }
            }
        }
        Ok(parts)
    }

    /// Where the parts of a file begin that may have rows for a filter; `None`: nothing is known of its parts.
    async fn parts(
        &self,
        file: &PartitionedFile,
        index: usize,
        predicate: &PruningPredicate,
        session: &dyn Session,
    ) -> Result<Option<Vec<u64>>> {
        let inner = self.inner();
        if inner.row_groups[index].get().is_none() {
            let found = inner.format.row_groups(&inner.file_system, file, &self.table_schema, session).await;
            let _ = inner.row_groups[index].set(found);
        }
        let Some(Some(groups)) = inner.row_groups[index].get() else { return Ok(None) };
        let schema = Arc::clone(self.table_schema.table_schema());
        let may_match = predicate.prune(&PrunableStatistics::new(groups.statistics.clone(), schema))?;
        let mut starts = groups.starts.clone();
        keep_where(&mut starts, &may_match);
        Ok(Some(starts))
    }

    /// The log knows the rows of each file, and which of them are deleted. Footers are read of few files, for a small query
    /// that names their columns as they do.
    async fn known_by_log(
        &self,
        log: &TableLog,
        files: &mut [PartitionedFile],
        mut kept: Vec<usize>,
        filters: &[Expr],
        session: &dyn Session,
    ) -> Result<Known> {
        let mut statistics = statistics_by_size(files, &kept, &self.table_schema);
        statistics.num_rows = log.rows(&kept);
        let mut is_whole = true;
        let reads: Vec<_> = kept.iter().map(|file| async { (*file, log.selection(*file).await) }).collect();
        let mut selections = futures::stream::iter(reads).buffered(DELETIONS_CONCURRENCY);
        while let Some((file, selection)) = selections.next().await {
            if let Some(selection) = selection.map_err(external)? {
                files[file] = files[file].clone().with_extension(ParquetRowSelection::new(selection));
                is_whole = false;
            }
        }
        drop(selections);
        let is_small = session.config().get_extension::<FiltersAreKnown>().is_some();
        let mut parts = HashMap::new();
        if is_small
            && is_whole
            && self.stored_columns().is_none()
            && let Some(predicate) = may_match(filters, self.table_schema.table_schema(), session)?
        {
            parts = self.parts_of(files, &kept, &predicate, session).await?;
            kept.retain(|index| parts.get(index).is_none_or(|starts| !starts.is_empty()));
        }
        Ok(Known { kept, parts, statistics, is_whole })
    }

    /// The columns of the files as these call them, where that is not as the table does.
    fn stored_columns(&self) -> Option<StoredColumns> {
        self.inner().log.as_ref()?.stored(&self.inner().schema, &self.file_schema)
    }

    /// The file where there is one, else the roots: what an error can name before it knows the file.
    fn scan_places(&self) -> String {
        match self.inner().files.as_slice() {
            [one] => one.status.location.url(),
            _ => self.scan.roots().map(|root| root.url()).collect::<Vec<_>>().join(","),
        }
    }
}

/// What is read of a table, as far as it is known before.
struct Known {
    kept: Vec<usize>,
    /// Of files of which not all is read: where the parts that are begin
    parts: HashMap<usize, Vec<u64>>,
    statistics: Statistics,
    /// No rows of these files are deleted.
    is_whole: bool,
}

fn keep_where<T>(items: &mut Vec<T>, is_kept: &[bool]) {
    let mut is_kept = is_kept.iter();
    items.retain(|_| is_kept.next().copied().unwrap_or(true));
}

/// Sizes only.
pub(super) fn statistics_by_size(files: &[PartitionedFile], kept: &[usize], table_schema: &TableSchema) -> Statistics {
    let mut statistics = Statistics::new_unknown(table_schema.table_schema());
    let bytes: u64 = kept.iter().map(|index| files[*index].object_meta.size).sum();
    statistics.total_byte_size = Precision::Inexact(usize::try_from(bytes).unwrap_or(usize::MAX));
    statistics
}

/// Leaves out the files behind those that have `rows` rows for certain.
fn keep_first(groups: &mut Vec<FileGroup>, rows: usize) {
    let mut missing = rows;
    for group in 0..groups.len() {
        for (position, file) in groups[group].files().iter().enumerate() {
            let rows = match file.statistics.as_deref().map(|statistics| statistics.num_rows) {
                Some(Precision::Exact(rows)) if file.range.is_none() => rows,
                _ => 0,
            };
            missing = missing.saturating_sub(rows);
            if missing == 0 {
                let first = groups[group].files()[..=position].to_vec();
                groups[group] = FileGroup::new(first);
                groups.truncate(group + 1);
                return;
            }
        }
    }
}
