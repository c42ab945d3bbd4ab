//! Functions whose value depends on the partition (`rand`, `spark_partition_id` …): their columns are added below the
//! operator that uses them.
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan};
use firesteel_functions::partition_dependent;
use firesteel_plan::Result;

use crate::from_datafusion;
use crate::nodes::partition_columns::{self, Function};
use crate::scope::fresh_id;

/// Replaces the markers in `expressions` by columns of a node that makes them.
pub(crate) fn partition_below(plan: LogicalPlan, expressions: Vec<DfExpr>) -> Result<(LogicalPlan, Vec<DfExpr>)> {
    let mut columns: Vec<(Function, String)> = vec![];
    let mut rewritten = Vec::with_capacity(expressions.len());
    for expression in expressions {
        let done = expression.transform_up(|node| {
            let DfExpr::ScalarFunction(call) = &node else { return Ok(Transformed::no(node)) };
            let Some(function) = function_of(&call.func) else { return Ok(Transformed::no(node)) };
            // Each call of a random function draws numbers of its own, even with the same seed, as in Spark.
            let id = fresh_id("_p");
            columns.push((function, id.clone()));
            Ok(Transformed::yes(DfExpr::Column(Column::from_name(id))))
        });
        rewritten.push(done.map_err(from_datafusion)?.data);
    }
    if columns.is_empty() {
        return Ok((plan, rewritten));
    }
    Ok((partition_columns::plan(plan, columns), rewritten))
}

fn function_of(udf: &datafusion::logical_expr::ScalarUDF) -> Option<Function> {
    let (name, seed) = partition_dependent::marker(udf)?;
    Some(match name {
        "spark_partition_id" => Function::PartitionId,
        "monotonically_increasing_id" => Function::RowId,
        "randn" => Function::Normal { seed },
        _ => Function::Uniform { seed },
    })
}
