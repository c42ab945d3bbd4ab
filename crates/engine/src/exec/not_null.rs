//! Filters that files prove to be true.
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, Statistics};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::expressions::{Column, IsNotNullExpr};
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

/// Removes `c IS NOT NULL` where the statistics count no NULL.
///
/// Spark's columns are nullable whatever the files say, so every key of an inner join is filtered. A filter that keeps
/// all rows costs time; worse, the optimizer takes it to keep a fifth of them, and then builds hash tables of what it
/// thinks small. Runs before joins are chosen.
#[derive(Debug)]
pub struct RemoveProvenNotNull;

impl PhysicalOptimizerRule for RemoveProvenNotNull {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match node.downcast_ref::<FilterExec>() {
            Some(filter) => Ok(match without_proven(filter)? {
                Some(plan) => Transformed::yes(plan),
                None => Transformed::no(node),
            }),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "remove_proven_not_null"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// `None`: it stays as it is
fn without_proven(filter: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let conditions = split_conjunction(filter.predicate());
    let input = filter.input();
    let changes_rows_only = filter.projection().is_none() && filter.fetch().is_none();
    if !changes_rows_only || !conditions.iter().any(|c| tested(c).is_some()) || !reads_files(input) {
        return Ok(None);
    }
    let statistics = StatisticsContext::new().compute(input.as_ref(), &StatisticsArgs::new())?;
    let open: Vec<_> = conditions.iter().filter(|c| !is_proven(c, &statistics)).map(|c| Arc::clone(c)).collect();
    if open.len() == conditions.len() {
        return Ok(None);
    }
    if open.is_empty() {
        return Ok(Some(Arc::clone(input)));
    }
    let rest = FilterExecBuilder::new(conjunction(open), Arc::clone(input))
        .with_default_selectivity(filter.default_selectivity())
        .with_batch_size(filter.batch_size())
        .build()?;
    Ok(Some(Arc::new(rest)))
}

/// Whether the rows come from files as they are; counts of NULL are trusted nowhere else.
fn reads_files(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.children().as_slice() {
        [] => plan.is::<DataSourceExec>(),
        [input] => (plan.is::<FilterExec>() || plan.is::<ProjectionExec>()) && reads_files(input),
        _ => false,
    }
}

/// The column that must not be NULL.
fn tested(condition: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    let argument = condition.downcast_ref::<IsNotNullExpr>()?.arg();
    argument.downcast_ref::<Column>().map(Column::index)
}

fn is_proven(condition: &Arc<dyn PhysicalExpr>, statistics: &Statistics) -> bool {
    let column = tested(condition).and_then(|index| statistics.column_statistics.get(index));
    column.is_some_and(|column| column.null_count == Precision::Exact(0))
}
