//! When two expressions are the same: operands of commutative operators may change places, `a < b` is `b > a`.
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Spark functions (by the names of their calls) whose arguments may stand in any order.
const COMMUTATIVE: [&str; 8] = ["+", "*", "&", "|", "^", "greatest", "least", "="];

/// Whether both compute the same value, as GROUP BY matches expressions above it.
pub(crate) fn same(a: &Expr, b: &Expr) -> bool {
    a == b || (may_be_reordered(a) && may_be_reordered(b) && canonical(a) == canonical(b))
}

fn may_be_reordered(expr: &Expr) -> bool {
    use Operator::{And, Eq, Gt, GtEq, Lt, LtEq, Or};
    let reorders = |node: &Expr| match node {
        Expr::ScalarFunction(call) => COMMUTATIVE.contains(&call.func.name()),
        Expr::BinaryExpr(binary) => matches!(binary.op, And | Or | Eq | Lt | Gt | LtEq | GtEq),
        _ => false,
    };
    expr.exists(|node| Ok(reorders(node))).unwrap_or(false)
}

/// A form that is equal for expressions that differ in the order of operands only.
fn canonical(expr: &Expr) -> Expr {
    let rewritten = expr.clone().transform_up(|node| {
        Ok(match node {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Gt, right }) => {
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: right, op: Operator::Lt, right: left }))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::GtEq, right }) => {
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: right, op: Operator::LtEq, right: left }))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or | Operator::Eq), right }) => {
                let (left, right) = if left.to_string() <= right.to_string() { (left, right) } else { (right, left) };
                Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
            }
            Expr::ScalarFunction(mut call) if COMMUTATIVE.contains(&call.func.name()) => {
                call.args = flattened(call.func.name(), call.args);
                call.args.sort_by_cached_key(ToString::to_string);
                Transformed::yes(Expr::ScalarFunction(call))
            }
            other => Transformed::no(other),
        })
    });
    rewritten.map(|done| done.data).unwrap_or_else(|_| expr.clone())
}

/// The arguments of nested calls of one function: `(a + b) + c` has three.
fn flattened(name: &str, args: Vec<Expr>) -> Vec<Expr> {
    let parts = args.into_iter().flat_map(|argument| match argument {
        Expr::ScalarFunction(call) if call.func.name() == name => call.args,
        other => vec![other],
    });
    parts.collect()
}
