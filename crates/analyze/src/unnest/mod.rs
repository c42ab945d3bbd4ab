//! Unnesting: subqueries in expressions and lateral joins become plain joins. DataFusion sees no correlation.
//!
//! ```text
//! Filter(x > (SELECT max(y) FROM t WHERE t.k = outer.k))
//!        │
//!        ├── push     the subquery's plan without outer columns: Aggregate(by k: max(y)), key outer.k = k
//!        └── consume  Filter(x > max) over (outer LEFT JOIN that plan ON the key)
//! ```
//!
//! An equality with an outer column becomes a key; most subqueries need nothing else. Where a plan depends on the outer
//! row in another way, it is joined with the domain: the distinct values of the outer columns it reads. Columns have
//! unique names, so a plan tells by its names alone which operator an outer column belongs to.
//!
//! | file | about |
//! |---|---|
//! | `push` | a correlated plan made free, operator by operator; `join`: the same for joins |
//! | `free` | the outcome of pushing, and the domain |
//! | `consume` | scalar, EXISTS and IN subqueries as joins; `lateral`: lateral joins |
//! | `empty` | what aggregates answer for no rows |
mod consume;
mod empty;
mod expr;
mod free;
mod join;
mod lateral;
mod push;

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Join, LogicalPlan, Subquery};
use firesteel_plan::{Result, SparkError};

use crate::from_datafusion;
use crate::relation::{filter_plan, plain_join};
use consume::Surroundings;
use expr::{all_of, any, columns_of, conjuncts};
pub(crate) use expr::{is_subquery, plan_any};
use free::{names_of, restored};

/// The plan with its subqueries as joins.
pub(crate) fn unnest(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !plan_any(&plan, &is_subquery) && !has_lateral(&plan) {
        return Ok(plan);
    }
    let mut failure = None;
    let plan = stacker::maybe_grow(256 * 1024, 4 * 1024 * 1024, || {
        plan.map_children(|child| {
            // A lateral side is unnested with its join.
            if matches!(child, LogicalPlan::Subquery(_)) {
                return Ok(Transformed::no(child));
            }
            match unnest(child.clone()) {
                Ok(done) => Ok(Transformed::yes(done)),
                Err(error) => {
                    failure.get_or_insert(error);
                    Ok(Transformed::no(child))
                }
            }
        })
    });
    if let Some(error) = failure {
        return Err(error);
    }
    operator(plan.map_err(from_datafusion)?.data)
}

fn has_lateral(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Subquery(_)))).unwrap_or(false)
}

/// One operator over inputs that have no subqueries any more.
fn operator(plan: LogicalPlan) -> Result<LogicalPlan> {
    if let LogicalPlan::Join(join) = &plan {
        if let LogicalPlan::Subquery(side) = join.right.as_ref() {
            let right = unnest(side.subquery.as_ref().clone())?;
            return lateral_join(join, &right);
        }
        if join::conditions_of(join).iter().any(|c| any(c, is_subquery)) {
            return join_condition(join);
        }
        return Ok(plan);
    }
    if !plan.expressions().iter().any(|e| any(e, is_subquery)) {
        return Ok(plan);
    }
    match plan {
        LogicalPlan::Filter(filter) => {
            let names = names_of(&filter.input);
            restored(filtered(Arc::unwrap_or_clone(filter.input), filter.predicate)?, &names)
        }
        other => with_values(other),
    }
}

/// A filter: conditions that are subqueries themselves become semi and anti joins, after all others.
fn filtered(input: LogicalPlan, predicate: Expr) -> Result<LogicalPlan> {
    let parts = conjuncts(predicate);
    let (mut tests, plain): (Vec<_>, Vec<_>) = parts.into_iter().partition(|c| any(c, is_subquery));
    let input = match all_of(plain) {
        Some(condition) => filter_plan(input, condition)?,
        None => input,
    };
    let mut around = Surroundings::new(input);
    let mut rest = vec![];
    for test in &mut tests {
        *test = inner_unnested(test.clone())?;
        if !around.test(test)? {
            rest.push(test.clone());
        }
    }
    let values = rest.into_iter().map(|e| valued(&mut around, e)).collect::<Result<Vec<_>>>()?;
    match all_of(values) {
        Some(condition) => filter_plan(around.plan, condition),
        None => Ok(around.plan),
    }
}

/// Any other operator with one input: its subqueries become columns of that input.
fn with_values(plan: LogicalPlan) -> Result<LogicalPlan> {
    let names = names_of(&plan);
    let inputs = plan.inputs();
    let [input] = inputs.as_slice() else {
        return Err(SparkError::unsupported(format!("a subquery in the operator {}", plan.display())));
    };
    let mut around = Surroundings::new((*input).clone());
    let mut expressions = vec![];
    for expression in plan.expressions() {
        let name = expression.schema_name().to_string();
        let keeps_name =
            matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
        let aliased = matches!(expression, Expr::Alias(_)) || !keeps_name || !any(&expression, is_subquery);
        let value = valued(&mut around, inner_unnested(expression)?)?;
        expressions.push(if aliased { value } else { value.alias(name) });
    }
    let rebuilt = plan.with_new_exprs(expressions, vec![around.plan]).map_err(from_datafusion)?;
    restored(rebuilt, &names)
}

/// The expression with the plans of its subqueries unnested themselves.
fn inner_unnested(expression: Expr) -> Result<Expr> {
    let mut failure = None;
    let mut inner = |subquery: Subquery| match unnest(subquery.subquery.as_ref().clone()) {
        Ok(plan) => Subquery { subquery: Arc::new(plan), ..subquery },
        Err(error) => {
            failure.get_or_insert(error);
            subquery
        }
    };
    let done = expression.transform_up(|node| {
        Ok(match node {
            Expr::ScalarSubquery(subquery) => Transformed::yes(Expr::ScalarSubquery(inner(subquery))),
            Expr::Exists(mut exists) => {
                exists.subquery = inner(exists.subquery);
                Transformed::yes(Expr::Exists(exists))
            }
            Expr::InSubquery(mut test) => {
                test.subquery = inner(test.subquery);
                Transformed::yes(Expr::InSubquery(test))
            }
            other => Transformed::no(other),
        })
    });
    match failure {
        Some(error) => Err(error),
        None => done.map(|t| t.data).map_err(from_datafusion),
    }
}

/// The expression with subqueries replaced by their values, from the inside out: the value of an IN may hold another.
fn valued(around: &mut Surroundings, expression: Expr) -> Result<Expr> {
    let mut failure = None;
    let done = expression.transform_up(|node| {
        if !is_subquery(&node) {
            return Ok(Transformed::no(node));
        }
        Ok(match around.value(&node, node.clone()) {
            Ok(value) => Transformed::new(value, true, TreeNodeRecursion::Continue),
            Err(error) => {
                failure.get_or_insert(error);
                Transformed::no(node)
            }
        })
    });
    match failure {
        Some(error) => Err(error),
        None => done.map(|t| t.data).map_err(from_datafusion),
    }
}

fn lateral_join(join: &Join, right: &LogicalPlan) -> Result<LogicalPlan> {
    let conditions = join::conditions_of(join);
    if conditions.iter().any(|c| any(c, is_subquery)) {
        if join.join_type != JoinType::Inner {
            return Err(SparkError::unsupported("a subquery in the condition of a lateral outer join"));
        }
        let joined = lateral::lateral(join.left.as_ref().clone(), right, join.join_type, vec![])?;
        return match all_of(conditions) {
            Some(condition) => {
                let names = names_of(&joined);
                restored(filtered(joined, condition)?, &names)
            }
            None => Ok(joined),
        };
    }
    lateral::lateral(join.left.as_ref().clone(), right, join.join_type, conditions)
}

/// Subqueries in ON: above an inner join they are a filter's. Of other joins, each becomes a column of the side that it
/// reads.
fn join_condition(join: &Join) -> Result<LogicalPlan> {
    let names = names_of(&LogicalPlan::Join(join.clone()));
    let (left, right) = (join.left.as_ref().clone(), join.right.as_ref().clone());
    let parts = join::conditions_of(join).into_iter().flat_map(conjuncts);
    let (tests, plain): (Vec<_>, Vec<_>) = parts.partition(|c| any(c, is_subquery));
    refuse_both_sides(&tests, &names_of(&left), &names_of(&right))?;
    if join.join_type == JoinType::Inner {
        let joined = plain_join(left, right, JoinType::Inner, all_of(plain))?;
        return match all_of(tests) {
            Some(condition) => restored(filtered(joined, condition)?, &names),
            None => Ok(joined),
        };
    }
    let right_names = names_of(&right);
    let mut sides = [Surroundings::of_join(left), Surroundings::of_join(right)];
    let mut on = plain;
    for test in tests {
        let test = inner_unnested(test)?;
        let mut failure = None;
        let done = test.transform_up(|node| {
            if !is_subquery(&node) {
                return Ok(Transformed::no(node));
            }
            let reads_right = read_by_subquery(&node).iter().any(|name| right_names.contains(name));
            Ok(match sides[usize::from(reads_right)].value(&node, node.clone()) {
                Ok(value) => Transformed::yes(value),
                Err(error) => {
                    failure.get_or_insert(error);
                    Transformed::no(node)
                }
            })
        });
        if let Some(error) = failure {
            return Err(error);
        }
        on.push(done.map_err(from_datafusion)?.data);
    }
    let [left, right] = sides;
    restored(plain_join(left.plan, right.plan, join.join_type, all_of(on))?, &names)
}

/// EXISTS and IN in ON may read one side only.
fn refuse_both_sides(tests: &[Expr], left: &[String], right: &[String]) -> Result<()> {
    for test in tests {
        let both = any(test, |node| {
            let read = if is_subquery(node) { read_by_subquery(node) } else { vec![] };
            read.iter().any(|name| left.contains(name)) && read.iter().any(|name| right.contains(name))
        });
        if both {
            return Err(SparkError::new(
                "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.UNSUPPORTED_CORRELATED_EXPRESSION_IN_JOIN_CONDITION",
                [("subqueryExpression", test.to_string())],
            ));
        }
    }
    Ok(())
}

/// The columns that a subquery and the values beside it read from the operator around it.
fn read_by_subquery(node: &Expr) -> Vec<String> {
    let (plan, beside) = match node {
        Expr::ScalarSubquery(subquery) => (&subquery.subquery, None),
        Expr::Exists(exists) => (&exists.subquery.subquery, None),
        Expr::InSubquery(test) => (&test.subquery.subquery, Some(test.expr.as_ref())),
        _ => return vec![],
    };
    let mut names: Vec<String> = beside.map(columns_of).unwrap_or_default().into_iter().collect();
    let found = std::cell::RefCell::new(vec![]);
    plan_any(plan, &|expr| {
        if let Expr::OuterReferenceColumn(_, c) = expr {
            found.borrow_mut().push(c.name.clone());
        }
        false
    });
    names.extend(found.into_inner());
    names
}
