//! `sortWithinPartitions` and SORT BY: each partition in order, no exchange.
use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::physical_expr::{LexRequirement, OrderingRequirements, PhysicalExpr, PhysicalSortRequirement};
use datafusion::physical_plan::ExecutionPlan;

use super::unary::{Node, Operator, PartitionExec, PartitionFunction};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SortPartitions {
    order: Vec<SortExpr>,
}

/// `input` with each partition sorted.
pub fn plan(input: LogicalPlan, order: Vec<SortExpr>) -> LogicalPlan {
    Node::plan(SortPartitions { order }, input)
}

impl Operator for SortPartitions {
    const NAME: &'static str = "SortPartitions";

    fn describe(&self) -> String {
        self.order.iter().map(|o| o.to_string()).collect::<Vec<_>>().join(", ")
    }
    fn expressions(&self) -> Vec<Expr> {
        self.order.iter().map(|o| o.expr.clone()).collect()
    }
    fn with_expressions(&self, expressions: Vec<Expr>) -> Self {
        let order = self.order.iter().zip(expressions);
        Self { order: order.map(|(o, expr)| SortExpr::new(expr, o.asc, o.nulls_first)).collect() }
    }
    fn physical(
        &self,
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let exec = PartitionExec::new(self, input, Arc::new(Through));
        Ok(match requirement(&self.order, expressions) {
            Some(ordering) => Arc::new(exec.ordered(ordering)),
            None => Arc::new(exec),
        })
    }
}

/// The physical requirement of a sort order; DataFusion puts the sort below.
pub(super) fn requirement(order: &[SortExpr], expressions: Vec<Arc<dyn PhysicalExpr>>) -> Option<OrderingRequirements> {
    let wanted = order.iter().zip(expressions).map(|(o, expr)| {
        let options = SortOptions { descending: !o.asc, nulls_first: o.nulls_first };
        PhysicalSortRequirement::new(expr, Some(options))
    });
    LexRequirement::new(wanted).map(OrderingRequirements::new)
}

/// Hands rows through: the order is required of the input.
#[derive(Debug)]
pub(super) struct Through;

impl PartitionFunction for Through {
    fn apply(
        &self,
        _: usize,
        rows: SendableRecordBatchStream,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        Ok(rows)
    }
}
