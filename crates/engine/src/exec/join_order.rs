//! Keeps the order in which Spark answers small joins.
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

/// Runs after DataFusion has chosen the smaller side of each join to be held in memory. Where both are small enough for
/// a broadcast, that choice saves nothing, and Spark streams the side whose rows are all kept: they come in their order.
#[derive(Debug)]
pub struct StreamKeptSide;

impl PhysicalOptimizerRule for StreamKeptSide {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let limit = config.optimizer.hash_join_single_partition_threshold;
        let turned = plan.transform_up(|node| {
            let turned = match turned_outer_join(&node, limit)? {
                Some(join) => Some(join),
                None => turned_cross_join(&node, limit),
            };
            Ok(turned.map_or(Transformed::no(node), Transformed::yes))
        });
        turned.data()
    }

    fn name(&self) -> &str {
        "stream_kept_side"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_small(side: &Arc<dyn ExecutionPlan>, limit_bytes: usize) -> bool {
    let statistics = StatisticsContext::new().compute(side.as_ref(), &StatisticsArgs::new());
    statistics.is_ok_and(|known| known.total_byte_size.get_value().is_some_and(|bytes| *bytes <= limit_bytes))
}

/// A left outer join that holds its left side.
fn turned_outer_join(node: &Arc<dyn ExecutionPlan>, limit_bytes: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    match node.downcast_ref::<HashJoinExec>() {
        Some(join)
            if *join.join_type() == JoinType::Left
                && *join.partition_mode() == PartitionMode::CollectLeft
                && is_small(join.right(), limit_bytes) =>
        {
            join.swap_inputs(PartitionMode::CollectLeft).map(Some)
        }
        _ => Ok(None),
    }
}

/// A cross join whose sides were exchanged, below the projection that puts its columns back in order.
fn turned_cross_join(node: &Arc<dyn ExecutionPlan>, limit_bytes: usize) -> Option<Arc<dyn ExecutionPlan>> {
    let projection = node.downcast_ref::<ProjectionExec>()?;
    let join = projection.input().downcast_ref::<CrossJoinExec>()?;
    let (first, second) = (join.left(), join.right());
    let (held, all) = (first.schema().fields().len(), join.schema().fields().len());
    let index = |expr: &Arc<dyn datafusion::physical_expr::PhysicalExpr>| Some(expr.downcast_ref::<Column>()?.index());
    let order: Vec<usize> = projection.expr().iter().map(|p| index(&p.expr)).collect::<Option<_>>()?;
    let is_exchanged = order.iter().copied().eq((held..all).chain(0..held));
    (is_exchanged && is_small(second, limit_bytes))
        .then(|| Arc::new(CrossJoinExec::new(Arc::clone(second), Arc::clone(first))) as Arc<dyn ExecutionPlan>)
}
