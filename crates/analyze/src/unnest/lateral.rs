//! Lateral joins: the right side reads the left's columns.
use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr, LogicalPlan};
use firesteel_plan::Result;

use super::consume::one_row_expressions;
use super::expr::{all_of, choose, column};
use super::free::{Domain, columns_and, defaulted, flagged, names_of, restored};
use super::push::is_null_row;
use crate::relation::{filter_plan, plain_join};
use crate::scope::project;

/// Lateral joins: the right side as a plan free of the left's columns.
pub fn lateral(left: LogicalPlan, right: &LogicalPlan, join_type: JoinType, on: Vec<Expr>) -> Result<LogicalPlan> {
    let names: Vec<String> = names_of(&left).into_iter().chain(names_of(right)).collect();
    let domain = Domain::new(left.clone());
    if on.is_empty()
        && let Some(expressions) = one_row_expressions(right)?
    {
        let columns = expressions.into_iter().map(|(name, expr)| Ok(domain.localize(expr)?.alias(name)));
        let columns = columns_and(&left, columns.collect::<Result<Vec<_>>>()?);
        return project(left, columns);
    }
    let free = domain.push(right)?;
    let keys = free.condition().into_iter().map(|c| domain.localize(c)).collect::<Result<Vec<_>>>()?;
    let Some(defaults) = &free.default else {
        let joined = plain_join(left, free.plan, join_type, all_of(keys.into_iter().chain(on)))?;
        return restored(joined, &names);
    };
    // Every row of the left has its row of the right, found or default.
    let (plan, flag) = flagged(free.plan.clone())?;
    let joined = plain_join(left.clone(), plan, JoinType::Left, all_of(keys))?;
    let mut columns = columns_and(&left, []);
    for name in names_of(right) {
        let default = defaults.get(&name).cloned().map(|d| domain.localize(d)).transpose()?;
        let value = match default {
            Some(default) if !is_null_row(defaults) => defaulted(&name, &flag, default),
            _ => column(&name),
        };
        columns.push(value.alias(&name));
    }
    let joined = project(joined, columns)?;
    let Some(condition) = all_of(on) else { return Ok(joined) };
    if join_type == JoinType::Inner {
        return filter_plan(joined, condition);
    }
    let left_count = names_of(&left).len();
    let columns = names.iter().enumerate().map(|(index, name)| {
        if index < left_count { column(name) } else { choose(condition.clone(), column(name), None).alias(name) }
    });
    project(joined, columns.collect())
}
