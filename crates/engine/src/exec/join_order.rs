//! Keeps the order in which Spark answers small cross joins.
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::CrossJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

/// Runs after DataFusion has chosen the smaller side of each join to be held in memory. Where both are small enough for
/// a broadcast, that choice saves nothing for a cross join, and Spark answers the rows of the left side in their order.
#[derive(Debug)]
pub struct KeepCrossOrder;

impl PhysicalOptimizerRule for KeepCrossOrder {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let limit = config.optimizer.hash_join_single_partition_threshold;
        let turned = plan
            .transform_up(|node| Ok(turned_cross_join(&node, limit)?.map_or(Transformed::no(node), Transformed::yes)));
        turned.data()
    }

    fn name(&self) -> &str {
        "keep_cross_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn is_small(side: &Arc<dyn ExecutionPlan>, limit_bytes: usize) -> bool {
    let statistics = StatisticsContext::new().compute(side.as_ref(), &StatisticsArgs::new());
    statistics.is_ok_and(|known| known.total_byte_size.get_value().is_some_and(|bytes| *bytes <= limit_bytes))
}

/// A cross join whose sides were exchanged, below the projection that puts its columns back in order.
fn turned_cross_join(node: &Arc<dyn ExecutionPlan>, limit_bytes: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(projection) = node.downcast_ref::<ProjectionExec>() else { return Ok(None) };
    let Some(join) = projection.input().downcast_ref::<CrossJoinExec>() else { return Ok(None) };
    let (first, second) = (join.left(), join.right());
    let (held, all) = (first.schema().fields().len(), join.schema().fields().len());
    let index = |expr: &Arc<dyn PhysicalExpr>| Some(expr.downcast_ref::<Column>()?.index());
    let order: Option<Vec<usize>> = projection.expr().iter().map(|p| index(&p.expr)).collect();
    let is_exchanged = order.is_some_and(|order| order.into_iter().eq((held..all).chain(0..held)));
    if !is_exchanged || !is_small(second, limit_bytes) {
        return Ok(None);
    }
    let turned: Arc<dyn ExecutionPlan> = Arc::new(CrossJoinExec::new(Arc::clone(second), Arc::clone(first)));
    let schema = turned.schema();
    let names = schema.fields().iter().map(|field| field.name());
    if names.clone().eq(projection.expr().iter().map(|p| &p.alias)) {
        return Ok(Some(turned));
    }
    // The projection also gave names.
    let columns = names.zip(projection.expr()).enumerate().map(|(index, (name, given))| {
        (Arc::new(Column::new(name, index)) as Arc<dyn PhysicalExpr>, given.alias.clone())
    });
    let columns: Vec<_> = columns.collect();
    Ok(Some(Arc::new(ProjectionExec::try_new(columns, turned)?)))
}
