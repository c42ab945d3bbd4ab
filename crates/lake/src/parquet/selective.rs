//! Decodes only the rows that a join can use, where these are few.
//!
//! A hash join tells the scans of its other side which keys it has, once it knows them. Checking every row against them
//! while decoding costs more than it saves unless almost all rows go: so each file is opened the one way or the other,
//! by how many of the values in its range the join has.
//!
//! ```text
//!  join: keys IN (57 of them) ──▶ file: keys 1..6000000 ──▶ 1 row in 100000 is wanted ──▶ filter while decoding
//!                             └─▶ file: keys 0..24      ──▶ most rows may be wanted   ──▶ decode all
//! ```
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpener, FileScanConfig, FileSource, ParquetSource};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, Column, DynamicFilterPhysicalExpr, InListExpr, Literal, in_list, lit,
};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr, PhysicalSortExpr, conjunction};
use datafusion::physical_plan::DisplayFormatType;
use datafusion::physical_plan::SortOrderPushdownResult;
use datafusion::physical_plan::filter_pushdown::FilterPushdownPropagation;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_datasource::morsel::{MorselPlanner, Morselizer};
use object_store::ObjectStore;

/// Rows are checked while decoding if at most this share of them may be wanted.
const MAX_SHARE: f64 = 0.02;

/// A Parquet source that chooses for each file.
#[derive(Clone)]
pub(super) struct SelectiveSource {
    source: ParquetSource,
    footers: Arc<FileMetadataCache>,
}

impl SelectiveSource {
    /// `footers`: those of the store that were read before.
    pub(super) fn new(source: ParquetSource, footers: Arc<FileMetadataCache>) -> Self {
        Self { source, footers }
    }

    pub(super) fn footers(&self) -> &Arc<FileMetadataCache> {
        &self.footers
    }

    /// Wraps what the inner source became.
    fn rewrap(&self, source: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        match (source.as_ref() as &dyn std::any::Any).downcast_ref::<ParquetSource>() {
            Some(parquet) => Arc::new(Self { source: parquet.clone(), footers: Arc::clone(&self.footers) }),
            None => source,
        }
    }
}

impl FileSource for SelectiveSource {
    fn create_file_opener(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Arc<dyn FileOpener>> {
        self.source.create_file_opener(store, config, partition)
    }

    fn create_morselizer(
        &self,
        store: Arc<dyn ObjectStore>,
        config: &FileScanConfig,
        partition: usize,
    ) -> Result<Box<dyn Morselizer>> {
        let all = self.source.create_morselizer(Arc::clone(&store), config, partition)?;
        let Some(filter) = self.source.filter() else { return Ok(all) };
        if !split_conjunction(&filter).iter().any(|filter| filter.is::<DynamicFilterPhysicalExpr>()) {
            return Ok(all);
        }
        Ok(Box::new(Chooser { all, filter, source: self.source.clone(), store, config: config.clone(), partition }))
    }

    fn table_schema(&self) -> &TableSchema {
        self.source.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        self.rewrap(self.source.with_batch_size(batch_size))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.source.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.source.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.source.metrics()
    }

    fn file_type(&self) -> &str {
        self.source.file_type()
    }

    fn fmt_extra(&self, format: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        self.source.fmt_extra(format, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.source.supports_repartitioning()
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        options: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let pushed = self.source.try_pushdown_filters(filters, options)?;
        let updated_node = pushed.updated_node.map(|source| self.rewrap(source));
        Ok(FilterPushdownPropagation { filters: pushed.filters, updated_node })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        properties: &EquivalenceProperties,
    ) -> Result<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        use SortOrderPushdownResult as Pushed;
        Ok(match self.source.try_pushdown_sort(order, properties)? {
            Pushed::Exact { inner } => Pushed::Exact { inner: self.rewrap(inner) },
            Pushed::Inexact { inner } => Pushed::Inexact { inner: self.rewrap(inner) },
            Pushed::Unsupported => Pushed::Unsupported,
        })
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.source.reorder_files(files)
    }

    fn try_pushdown_projection(&self, projection: &ProjectionExprs) -> Result<Option<Arc<dyn FileSource>>> {
        Ok(self.source.try_pushdown_projection(projection)?.map(|source| self.rewrap(source)))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.source.apply_expressions(f)
    }
}

/// Opens a file with or without checking rows.
struct Chooser {
    /// Opens files without
    all: Box<dyn Morselizer>,
    filter: Arc<dyn PhysicalExpr>,
    source: ParquetSource,
    store: Arc<dyn ObjectStore>,
    config: FileScanConfig,
    partition: usize,
}

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chooser").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl Morselizer for Chooser {
    fn plan_file(&self, file: PartitionedFile) -> Result<Box<dyn MorselPlanner>> {
        let Some(statistics) = file.statistics.as_deref() else { return self.all.plan_file(file) };
        // The filters that drop most go first, and stay there.
        let (mut first, mut rest) = (vec![], vec![]);
        for filter in split_conjunction(&self.filter) {
            let keys = keys_of(filter).filter(|keys| keys.share(statistics) <= MAX_SHARE);
            match keys.map(|keys| keys.into_filter(self.source.table_schema().table_schema())).transpose()? {
                Some(filter) => first.push(filter),
                None => rest.push(Arc::clone(filter)),
            }
        }
        if first.is_empty() {
            return self.all.plan_file(file);
        }
        let ordered = conjunction(first.into_iter().chain(rest));
        let source = self.source.with_predicate(ordered).with_pushdown_filters(true).with_reorder_filters(false);
        source.create_morselizer(Arc::clone(&self.store), &self.config, self.partition)?.plan_file(file)
    }
}

/// The keys that a join has, which a column has to hold.
struct Keys {
    /// `None`: there are none
    column: Option<Column>,
    values: HashSet<ScalarValue>,
}

/// The keys that a filter of a join lists. What else it checks, the join checks again.
fn keys_of(filter: &Arc<dyn PhysicalExpr>) -> Option<Keys> {
    let dynamic = filter.downcast_ref::<DynamicFilterPhysicalExpr>()?;
    listed(&dynamic.current().ok()?)
}

fn listed(filter: &Arc<dyn PhysicalExpr>) -> Option<Keys> {
    if let Some(both) = filter.downcast_ref::<BinaryExpr>().filter(|binary| binary.op() == &Operator::And) {
        return listed(both.left()).or_else(|| listed(both.right()));
    }
    // A join in several partitions: the keys of each, by the hash of the row. To look a key up among all is cheaper than
    // to hash it first.
    if let Some(case) = filter.downcast_ref::<CaseExpr>() {
        let arms = case.when_then_expr().iter().map(|(_, keys)| keys).chain(case.else_expr());
        return arms.map(listed).reduce(|all, arm| all?.and(arm?)).flatten();
    }
    if let Some(literal) = filter.downcast_ref::<Literal>() {
        let is_none = literal.value() == &ScalarValue::Boolean(Some(false));
        return is_none.then(|| Keys { column: None, values: HashSet::new() });
    }
    let list = filter.downcast_ref::<InListExpr>().filter(|list| !list.negated())?;
    let column = list.expr().downcast_ref::<Column>()?.clone();
    // Of a build side every row is listed.
    let values = list.list().iter().map(|value| Some(value.downcast_ref::<Literal>()?.value().clone()));
    Some(Keys { column: Some(column), values: values.collect::<Option<_>>()? })
}

impl Keys {
    fn and(mut self, other: Self) -> Option<Self> {
        let column = match (self.column, other.column) {
            (Some(one), Some(other)) if one != other => return None,
            (one, other) => one.or(other),
        };
        self.values.extend(other.values);
        Some(Self { column, values: self.values })
    }

    /// At most which share of a file's rows has one of the keys, were values spread evenly. 1: not known.
    fn share(&self, statistics: &Statistics) -> f64 {
        let Some(column) = &self.column else { return 0.0 };
        let range = statistics.column_statistics.get(column.index()).and_then(|column| {
            whole_number(&column.max_value)?.checked_sub(whole_number(&column.min_value)?)?.checked_add(1)
        });
        range.map_or(1.0, |range| self.values.len() as f64 / range as f64)
    }

    fn into_filter(self, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
        let Some(column) = self.column else { return Ok(lit(false)) };
        let values = self.values.into_iter().map(lit).collect();
        in_list(Arc::new(column), values, &false, schema)
    }
}

fn whole_number(value: &Precision<ScalarValue>) -> Option<i128> {
    match value.get_value()? {
        ScalarValue::Int8(value) => value.map(i128::from),
        ScalarValue::Int16(value) => value.map(i128::from),
        ScalarValue::Int32(value) | ScalarValue::Date32(value) => value.map(i128::from),
        ScalarValue::Int64(value) => value.map(i128::from),
        ScalarValue::Decimal128(value, _, 0) => *value,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use datafusion::common::ColumnStatistics;

    use super::*;

    fn keys(count: i64) -> Arc<dyn PhysicalExpr> {
        let schema = Schema::new(vec![Field::new("k", DataType::Int64, true)]);
        in_list(Arc::new(Column::new("k", 0)), (0..count).map(lit).collect(), &false, &schema).unwrap()
    }

    #[test]
    fn the_share_of_rows_that_a_join_can_use() {
        let range = |max: i64| {
            let of = |value| Precision::Exact(ScalarValue::Int64(Some(value)));
            let column = ColumnStatistics { min_value: of(1), max_value: of(max), ..ColumnStatistics::new_unknown() };
            Statistics { column_statistics: vec![column], ..Statistics::default() }
        };
        let joined = Arc::new(DynamicFilterPhysicalExpr::new(vec![], lit(true)));
        let filter: Arc<dyn PhysicalExpr> = Arc::clone(&joined) as _;
        assert!(keys_of(&filter).is_none());
        joined.update(keys(10)).unwrap();
        assert_eq!(keys_of(&filter).unwrap().share(&range(1000)), 0.01);
        assert_eq!(keys_of(&filter).unwrap().share(&range(20)), 0.5);
        assert_eq!(keys_of(&filter).unwrap().share(&Statistics::default()), 1.0);
        joined.update(lit(false)).unwrap();
        assert_eq!(keys_of(&filter).unwrap().share(&range(20)), 0.0);
    }

    #[test]
    fn keys_of_all_partitions_are_looked_up_together() {
        let arms = vec![(lit(0), keys(10)), (lit(1), lit(false)), (lit(2), keys(20))];
        let case = Arc::new(CaseExpr::try_new(Some(lit(0)), arms, Some(lit(false))).unwrap());
        let joined: Arc<dyn PhysicalExpr> = Arc::new(DynamicFilterPhysicalExpr::new(vec![], case));
        let found = keys_of(&joined).unwrap();
        assert_eq!((found.column.clone(), found.values.len()), (Some(Column::new("k", 0)), 20));
        let schema = Schema::new(vec![Field::new("k", DataType::Int64, true)]);
        assert!(found.into_filter(&schema).unwrap().is::<InListExpr>());
    }
}
