//! Helpers over DataFusion expressions: what they read, splitting and joining conditions, replacing columns.
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit};
use firesteel_functions::comparison::{Comparison, same_type};
use firesteel_functions::{EvalContext, TypedExpr, types};
use firesteel_plan::Result;

use crate::from_datafusion;

/// Replaces nodes from the top; what `rewrite` answers is not looked into again.
pub fn replace(expr: Expr, mut rewrite: impl FnMut(&Expr) -> Option<Expr>) -> Result<Expr> {
    let done = expr.transform_down(|node| {
        Ok(match rewrite(&node) {
            Some(new) => Transformed::new(new, true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    });
    done.map(|t| t.data).map_err(from_datafusion)
}

/// Whether a node of the expression satisfies `test`.
pub fn any(expr: &Expr, mut test: impl FnMut(&Expr) -> bool) -> bool {
    let mut found = false;
    // The visitor itself cannot fail.
    let _ = expr.apply(|node| {
        found = found || test(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// Whether an expression of the plan, at any depth, satisfies `test`.
pub fn plan_any(plan: &LogicalPlan, test: &dyn Fn(&Expr) -> bool) -> bool {
    let mut found = false;
    let _ = plan.apply(|node| {
        node.apply_expressions(|expr| {
            found = found || any(expr, test);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

pub fn is_subquery(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_))
}

pub fn is_outer_reference(expr: &Expr) -> bool {
    matches!(expr, Expr::OuterReferenceColumn(..))
}

pub fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

/// Names of the columns that the expression reads from its own input.
pub fn columns_of(expr: &Expr) -> HashSet<String> {
    expr.column_refs().into_iter().map(|c| c.name.clone()).collect()
}

/// The parts of a condition that all have to hold.
pub fn conjuncts(condition: Expr) -> Vec<Expr> {
    split_conjunction_owned(condition)
}

pub fn all_of(conditions: impl IntoIterator<Item = Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(Expr::and)
}

/// `left = right`, or with NULLs equal, for two values of one type. The form is one that joins can hash.
pub fn equal(left: Expr, right: Expr, null_safe: bool) -> Expr {
    binary_expr(left, if null_safe { Operator::IsNotDistinctFrom } else { Operator::Eq }, right)
}

static COMPARING: LazyLock<Arc<EvalContext>> = LazyLock::new(Arc::default);

/// Spark's `=` for values of any type, as the plan tells it.
pub fn equal_values(left: Expr, right: Expr, right_plan: &LogicalPlan) -> Result<Expr> {
    let arrow = right.get_type(right_plan.schema().as_ref()).map_err(from_datafusion)?;
    let data_type = types::from_arrow(&arrow)?;
    let typed = |expr| TypedExpr::new(expr, data_type.clone(), true, "");
    Ok(same_type(Comparison::Equal, typed(left), typed(right), &COMPARING).expr)
}

/// `CASE WHEN condition THEN value ELSE otherwise END`
pub fn choose(condition: Expr, value: Expr, otherwise: Option<Expr>) -> Expr {
    Expr::Case(Case::new(None, vec![(Box::new(condition), Box::new(value))], otherwise.map(Box::new)))
}

pub fn is_null_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

/// Puts values in the place of columns, by name.
pub fn with_values(expr: Expr, values: &HashMap<String, Expr>) -> Result<Expr> {
    replace(expr, |node| match node {
        Expr::Column(c) => values.get(&c.name).cloned(),
        _ => None,
    })
}

pub fn always() -> Expr {
    lit(true)
}
