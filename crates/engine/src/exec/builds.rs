//! Hash joins that memory holds; the others merge sorted inputs, which spill.
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{HashJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

/// What a hash table takes for each row of its build side, beside the row.
const TABLE_ROW_BYTES: u64 = 24;
/// What a value takes whose type does not say, about.
const TEXT_BYTES: usize = 24;
const NESTED_BYTES: usize = 64;

/// What the hash tables of a plan may take together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildBudget {
    pub bytes: u64,
    /// Whether a build side of unknown size may be hashed.
    pub trusts_unknown: bool,
}

/// Turns the hash joins with the largest build sides into sort-merge joins until the rest fits the budget. DataFusion's
/// hash join does not spill. Runs when joins have got their sides, before exchanges and sorts are added.
#[derive(Debug)]
pub struct LimitBuilds(pub BuildBudget);

impl PhysicalOptimizerRule for LimitBuilds {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let mut sizes = vec![];
        collect_sizes(&plan, &mut sizes);
        let largest = self.largest_that_fits(sizes);
        let is_large = |join: &HashJoinExec| match build_bytes(join.left()) {
            Some(bytes) => largest.is_none_or(|largest| bytes > largest),
            None => !self.0.trusts_unknown,
        };
        plan.transform_down(|node| match node.downcast_ref::<HashJoinExec>() {
            Some(join) if is_large(join) => Ok(merge_join(join)?.map_or(Transformed::no(node), Transformed::yes)),
            _ => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "limit_builds"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl LimitBuilds {
    /// The size up to which all builds are hashed; `None`: not even the smallest
    fn largest_that_fits(&self, mut sizes: Vec<u64>) -> Option<u64> {
        sizes.sort_unstable();
        let mut sum = 0u64;
        for bytes in &sizes {
            sum = sum.saturating_add(*bytes);
            if sum > self.0.bytes {
                return sizes.iter().rev().find(|size| *size < bytes).copied();
            }
        }
        Some(u64::MAX)
    }
}

fn collect_sizes(plan: &Arc<dyn ExecutionPlan>, sizes: &mut Vec<u64>) {
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        sizes.extend(build_bytes(join.left()));
    }
    for child in plan.children() {
        collect_sizes(child, sizes);
    }
}

/// What a build side and its hash table are thought to take.
fn build_bytes(side: &Arc<dyn ExecutionPlan>) -> Option<u64> {
    let statistics = StatisticsContext::new().compute(side.as_ref(), &StatisticsArgs::new()).ok()?;
    let rows = statistics.num_rows.get_value().map(|rows| *rows as u64);
    let width: usize = side.schema().fields().iter().map(|field| value_bytes(field.data_type())).sum();
    let by_rows = || rows.map(|rows| rows.saturating_mul(width as u64));
    let bytes = statistics.total_byte_size.get_value().map(|bytes| *bytes as u64).or_else(by_rows)?;
    Some(bytes.saturating_add(rows.unwrap_or(0).saturating_mul(TABLE_ROW_BYTES)))
}

fn value_bytes(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or(if data_type.is_nested() { NESTED_BYTES } else { TEXT_BYTES })
}

/// `NOT IN` asks whether a whole side is empty or holds a NULL, which a merge does not see; nested keys have no order
/// that a merge knows.
fn can_merge(join: &HashJoinExec) -> bool {
    let schema = join.left().schema();
    let is_flat = |key: &PhysicalExprRef| key.data_type(&schema).is_ok_and(|key_type| !key_type.is_nested());
    !join.null_aware && !join.on().is_empty() && join.on().iter().all(|(left, _)| is_flat(left))
}

/// The same join by sorting both sides; `None` where that cannot be.
pub(super) fn merge_join(join: &HashJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if !can_merge(join) {
        return Ok(None);
    }
    let merged: Arc<dyn ExecutionPlan> = Arc::new(SortMergeJoinExec::try_new(
        Arc::clone(join.left()),
        Arc::clone(join.right()),
        join.on().to_vec(),
        join.filter().cloned(),
        *join.join_type(),
        vec![SortOptions::default(); join.on().len()],
        join.null_equality(),
    )?);
    let Some(columns) = &join.projection else { return Ok(Some(merged)) };
    let schema = merged.schema();
    let kept = columns.iter().map(|index| {
        let name = schema.field(*index).name().clone();
        ProjectionExpr { expr: Arc::new(Column::new(&name, *index)), alias: name }
    });
    Ok(Some(Arc::new(ProjectionExec::try_new(kept.collect::<Vec<_>>(), merged)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_builds_are_hashed() {
        let largest = |bytes, sizes: &[u64]| {
            LimitBuilds(BuildBudget { bytes, trusts_unknown: true }).largest_that_fits(sizes.to_vec())
        };
        assert_eq!(largest(100, &[60, 10, 20]), Some(u64::MAX));
        assert_eq!(largest(80, &[60, 10, 20]), Some(20));
        assert_eq!(largest(30, &[20, 20, 5]), Some(5));
        assert_eq!(largest(1, &[20]), None);
    }
}
