//! Functions whose value depends on the partition (`rand`, `spark_partition_id` …): their columns are added below the
//! operator that uses them.
use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan};
use firesteel_functions::partition_dependent::{self, Marker};
use firesteel_functions::scalar::as_spark_scalar;
use firesteel_plan::Result;

use crate::from_datafusion;
use crate::nodes::exchange;
use crate::nodes::partition_columns::{self, Function};
use crate::scope::fresh_id;

/// How the ids of file sources' metadata columns start.
const METADATA_ID: &str = "_metadata#";

/// Whether the node is such a function.
pub(crate) fn is_partition_dependent(node: &DfExpr) -> bool {
    matches!(node, DfExpr::ScalarFunction(call) if partition_dependent::marker(&call.func).is_some())
}

/// Whether the expression has another value each time.
pub(crate) fn is_random(expr: &DfExpr) -> bool {
    // The visitor itself cannot fail.
    expr.exists(|node| Ok(is_random_call(node))).unwrap_or(false)
}

/// Whether the node is a call that answers anew each time. `raise_error` stays where it is, but is none of them.
pub(crate) fn is_random_call(node: &DfExpr) -> bool {
    let DfExpr::ScalarFunction(call) = node else { return false };
    let raises = || as_spark_scalar(&call.func).is_some_and(|function| function.name == "raise_error");
    is_partition_dependent(node) || node.is_volatile_node() && !raises()
}

/// Replaces the markers in `expressions` by columns of a node that makes them.
pub(crate) fn partition_below(plan: LogicalPlan, expressions: Vec<DfExpr>) -> Result<(LogicalPlan, Vec<DfExpr>)> {
    let mut columns: Vec<(Function, String)> = vec![];
    let mut rewritten = Vec::with_capacity(expressions.len());
    for expression in expressions {
        let done = expression.transform_up(|node| {
            let DfExpr::ScalarFunction(call) = &node else { return Ok(Transformed::no(node)) };
            let Some(marker) = partition_dependent::marker(&call.func) else { return Ok(Transformed::no(node)) };
            let function = match marker {
                Marker::File(field) => return Ok(Transformed::yes(of_file(&plan, field))),
                Marker::PartitionId => Function::PartitionId,
                Marker::RowId => Function::RowId,
                Marker::SequenceId => Function::RowIndex,
                Marker::Uniform { seed } => Function::Uniform { seed },
                Marker::Normal { seed } => Function::Normal { seed },
                Marker::Text { seed, length } => Function::Text { seed, length },
                Marker::Uuid { seed } => Function::Uuid { seed },
            };
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
    // Rows are numbered without gaps where they all pass one place, in order.
    let plan = if columns.iter().any(|(function, _)| *function == Function::RowIndex) {
        exchange::plan(plan, exchange::Kind::Coalesce(1))
    } else {
        plan
    };
    Ok((partition_columns::plan(plan, columns), rewritten))
}

/// A field of the metadata of the file that a row was read from, where `plan` still has them.
fn of_file(plan: &LogicalPlan, field: &str) -> DfExpr {
    let fields = plan.schema().fields();
    match fields.iter().find(|f| f.name().starts_with(METADATA_ID)) {
        Some(metadata) => {
            let value = get_field(DfExpr::Column(Column::from_name(metadata.name())), field);
            if field == "file_path" { partition_dependent::file_name(value) } else { value }
        }
        None => DfExpr::Literal(partition_dependent::without_file(field), None),
    }
}
