//! Plans that do nothing but read, filter, choose columns and take some rows. Most rules of the optimizers are about
//! joins, aggregates, sorts and subqueries: to let them look for these takes longer than a small answer does.
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_optimizer::{PhysicalOptimizerContext, PhysicalOptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;

use firesteel_lake::reads_decoded_parts;

use crate::exec::GatherExec;

/// The rules of the logical optimizer that have nothing to do in plain plans. One that is not known here always runs.
pub const NEEDLESS_LOGICAL_RULES: &[&str] = &[
    "rewrite_set_comparison",
    "optimize_unions",
    "unions_to_filter",
    "replace_distinct_aggregate",
    "eliminate_join",
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
    "extract_equijoin_predicate",
    "eliminate_duplicated_expr",
    "eliminate_cross_join",
    "filter_null_join_keys",
    "eliminate_outer_join",
    "single_distinct_aggregation_to_group_by",
    "eliminate_group_by_constant",
];

/// The same of the physical optimizer.
const NEEDLESS_PHYSICAL_RULES: &[&str] = &[
    "OutputRequirements",
    "aggregate_statistics",
    "join_selection",
    "keep_cross_order",
    "follow_join_hints",
    "limit_builds",
    "LimitedDistinctAggregation",
    "WindowTopN",
    "CombinePartialFinalAggregate",
    "OptimizeAggregateOrder",
    "LimitAggregation",
    "LimitPushPastWindows",
    "HashJoinBuffering",
    "TopKRepartition",
    "PushdownSort",
    "generate_rows",
    "limit_recursion",
    "FilterPushdown(Post)",
    "SanityCheckPlan",
];

/// Whether a plan reads, filters, chooses columns and takes rows, and nothing else.
pub fn is_plain(plan: &LogicalPlan) -> bool {
    let mut plain = true;
    let walked = plan.apply(|node| {
        plain = match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::TableScan(_) => !has_subquery(node)?,
            _ => false,
        };
        Ok(if plain { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    walked.is_ok() && plain
}

fn has_subquery(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found = expr.exists(|expr| {
            Ok(matches!(
                expr,
                Expr::ScalarSubquery(_)
                    | Expr::InSubquery(_)
                    | Expr::Exists(_)
                    | Expr::SetComparison(_)
                    | Expr::OuterReferenceColumn(..)
            ))
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The rule, for plans that may need it.
pub fn unless_plain(
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    let is_needless = match NEEDLESS_PHYSICAL_RULES.contains(&rule.name()) {
        true => is_plain_physical,
        false => is_of_decoded_parts,
    };
    Arc::new(UnlessPlain { rule, is_needless })
}

#[derive(Debug)]
struct UnlessPlain {
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
    is_needless: fn(&Arc<dyn ExecutionPlan>) -> bool,
}

impl PhysicalOptimizerRule for UnlessPlain {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if (self.is_needless)(&plan) { Ok(plan) } else { self.rule.optimize(plan, config) }
    }

    fn optimize_with_context(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        context: &dyn PhysicalOptimizerContext,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if (self.is_needless)(&plan) { Ok(plan) } else { self.rule.optimize_with_context(plan, context) }
    }

    fn name(&self) -> &str {
        self.rule.name()
    }

    fn schema_check(&self) -> bool {
        self.rule.schema_check()
    }
}

fn is_plain_physical(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let known = plan.is::<DataSourceExec>()
        || plan.is::<FilterExec>()
        || plan.is::<ProjectionExec>()
        || plan.is::<GlobalLimitExec>()
        || plan.is::<LocalLimitExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<GatherExec>()
        || plan.is::<EmptyExec>();
    known && plan.children().into_iter().all(is_plain_physical)
}

/// Decoded parts are one partition and take no filters: as it was planned, such a plan is as good as it can be.
fn is_of_decoded_parts(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let is_above = plan.is::<FilterExec>() || plan.is::<ProjectionExec>() || plan.is::<GlobalLimitExec>();
    match plan.children().as_slice() {
        [] => reads_decoded_parts(plan.as_ref()),
        [input] => is_above && is_of_decoded_parts(input),
        _ => false,
    }
}
