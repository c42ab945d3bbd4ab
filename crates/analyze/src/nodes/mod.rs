//! Operators that DataFusion lacks. Each file holds one [`unary::Operator`]; [`NodePlanner`] joins them to DataFusion's
//! planner.
pub mod exchange;
pub mod forget;
pub mod join_hint;
pub mod observe;
pub mod partition_columns;
pub mod poisson;
pub mod range;
pub mod slices;
pub mod sort_partitions;
pub mod tail;
pub mod unary;
pub mod work_table;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use unary::{Node, Operator};

/// Plans every node of this module.
#[derive(Debug, Default)]
pub struct NodePlanner;

#[async_trait]
impl ExtensionPlanner for NodePlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        planning_ctx: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(input) = physical_inputs.first() else { return Ok(None) };
        if let Some(observe) = node.as_any().downcast_ref::<Node<observe::Observe>>() {
            return observe::physical(observe, planner, session, Arc::clone(input)).await.map(Some);
        }
        let planning = Planning { planner, session, planning_ctx, input };
        let planned = planning
            .try_node::<tail::Tail>(node)
            .or_else(|| planning.try_node::<poisson::Poisson>(node))
            .or_else(|| planning.try_node::<partition_columns::PartitionColumns>(node))
            .or_else(|| planning.try_node::<exchange::Exchange>(node))
            .or_else(|| planning.try_node::<join_hint::JoinHint>(node))
            .or_else(|| planning.try_node::<sort_partitions::SortPartitions>(node))
            .or_else(|| planning.try_node::<forget::Forget>(node));
        planned.transpose()
    }
}

struct Planning<'a> {
    planner: &'a dyn PhysicalPlanner,
    session: &'a dyn Session,
    planning_ctx: &'a PhysicalPlanningContext,
    input: &'a Arc<dyn ExecutionPlan>,
}

impl Planning<'_> {
    /// The physical form, if `node` is of that kind.
    fn try_node<O: Operator>(&self, node: &dyn UserDefinedLogicalNode) -> Option<Result<Arc<dyn ExecutionPlan>>> {
        let node = node.as_any().downcast_ref::<Node<O>>()?;
        let schema = node.input.schema();
        let physical = |e| self.planner.create_physical_expr(e, schema, self.session, self.planning_ctx);
        let expressions: Result<Vec<_>> = node.operator.expressions().iter().map(physical).collect();
        Some(expressions.and_then(|e| node.operator.physical(e, Arc::clone(self.input))))
    }
}
