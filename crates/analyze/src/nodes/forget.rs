//! Below grouping sets: DataFusion takes a column that is constant or sorted in the input to be so in the aggregate too,
//! where some sets have NULL in its place. What is known of the input's columns ends here.
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;

use super::sort_partitions::Through;
use super::unary::{Node, Operator, PartitionExec};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Forget;

/// `input` as it is, with nothing known of constants and order.
pub fn plan(input: LogicalPlan) -> LogicalPlan {
    Node::plan(Forget, input)
}

impl Operator for Forget {
    const NAME: &'static str = "Forget";
    const IS_TRANSPARENT: bool = true;

    fn describe(&self) -> String {
        String::new()
    }
    fn physical(&self, _: Vec<Arc<dyn PhysicalExpr>>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(PartitionExec::new(self, input, Arc::new(Through)).forgetting()))
    }
}
