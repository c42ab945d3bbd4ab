//! Conditions that guard others: `divisor <> 0 AND 1 / divisor > 2` must not fail.
//!
//! DataFusion may evaluate the right side of `AND` and `OR` on rows that the left side has decided. That only matters where
//! the right side can fail, so such pairs become `CASE`, which looks at a branch's rows only. It hides conditions from the
//! optimizer and is therefore the last step before physical planning.
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};

use crate::cast::can_up_cast;
use crate::scalar::as_spark_scalar;

/// Functions that answer some rows with an error, and that queries guard with a condition.
#[rustfmt::skip]
const FAILING: &[&str] = &[
    "/", "div", "%", "pmod", "raise_error", "assert_true",
    "element_at", "elt", "get_array_item", "sequence",
    "to_date", "to_timestamp", "to_timestamp_ntz", "to_timestamp_ltz", "to_time", "unix_timestamp", "to_unix_timestamp",
    "make_date", "make_timestamp", "make_timestamp_ntz", "make_timestamp_ltz", "make_time", "next_day",
    "to_number", "to_binary", "conv", "parse_url", "url_decode", "parse_json", "variant_get", "aes_decrypt", "validate_utf8",
];
const MODES_WITHOUT_ERRORS: &[&str] = &["legacy", "try", "Legacy", "Try", "null"];

/// Guards the conditions of a whole optimized plan, subqueries included.
pub fn guard_conditions(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(guard_node).map(|guarded| guarded.data)
}

fn guard_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        // The reader decides alone what it does with these.
        LogicalPlan::TableScan(_) => Ok(Transformed::no(plan)),
        LogicalPlan::Filter(mut filter) => {
            let guarded = guard_filter(filter.predicate)?;
            filter.predicate = guarded.data;
            Ok(Transformed::new(LogicalPlan::Filter(filter), guarded.transformed, guarded.tnr))
        }
        LogicalPlan::Join(mut join) => {
            let Some(filter) = join.filter else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
            let guarded = guard_filter(filter)?;
            join.filter = Some(guarded.data);
            Ok(Transformed::new(LogicalPlan::Join(join), guarded.transformed, guarded.tnr))
        }
        plan => {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(guard(expr)?.update_data(|guarded| name.restore(guarded)))
            })
        }
    }
}

/// The conditions that cannot fail stay plain, for pruning and push-down; the others run on the rows that are left.
fn guard_filter(predicate: Expr) -> Result<Transformed<Expr>> {
    let (failing, safe): (Vec<_>, Vec<_>) = split_conjunction_owned(predicate.clone()).into_iter().partition(may_fail);
    match (conjunction(safe), conjunction(failing)) {
        (Some(safe), Some(failing)) => {
            let guarded = when(safe.clone(), vec![(true, guard(failing)?.data)], boolean(Some(false)));
            Ok(Transformed::yes(safe.and(guarded)))
        }
        _ => guard(predicate),
    }
}

fn guard(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|node| match node {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) if may_fail(&right) => {
            Ok(Transformed::yes(guarded(op, *left, *right)))
        }
        other => Ok(Transformed::no(other)),
    })
}

/// Evaluates the right side only where the left side leaves the result open.
fn guarded(operator: Operator, left: Expr, right: Expr) -> Expr {
    let decided = operator == Operator::Or;
    let unknown = Expr::BinaryExpr(BinaryExpr::new(Box::new(boolean(None)), operator, Box::new(right.clone())));
    when(left, vec![(decided, boolean(Some(decided))), (!decided, right)], unknown)
}

fn when(value: Expr, branches: Vec<(bool, Expr)>, otherwise: Expr) -> Expr {
    let branches = branches.into_iter().map(|(when, then)| (Box::new(boolean(Some(when))), Box::new(then))).collect();
    Expr::Case(Case::new(Some(Box::new(value)), branches, Some(Box::new(otherwise))))
}

fn boolean(value: Option<bool>) -> Expr {
    Expr::Literal(ScalarValue::Boolean(value), None)
}

fn may_fail(expr: &Expr) -> bool {
    let found = expr.exists(|node| {
        let Expr::ScalarFunction(call) = node else { return Ok(false) };
        let Some(function) = as_spark_scalar(&call.func) else { return Ok(false) };
        let silent = function.options.iter().any(|mode| MODES_WITHOUT_ERRORS.contains(&mode.as_str()));
        let fails = match function.name {
            crate::cast::CAST => {
                function.arg_types.first().is_none_or(|from| !can_up_cast(from, &function.return_type))
            }
            name => FAILING.contains(&name),
        };
        Ok(fails && !silent)
    });
    found.unwrap_or(true)
}
