//! A subquery's plan that no longer reads the row around it, and the domain of rows it is computed for.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use firesteel_plan::Result;

use super::expr::{all_of, always, choose, column, equal, is_null_literal, plan_any, replace};
use crate::from_datafusion;
use crate::relation::plain_join;
use crate::scope::{fresh_id, project};

/// What a correlated plan became. For an outer row `o`, its rows are those of `plan` whose keys equal the values that
/// `o` has for them and that satisfy `residual`; where there is none, `default` is the one row, if given.
pub struct Free {
    pub plan: LogicalPlan,
    pub keys: Vec<Key>,
    /// Conditions over columns of `plan` and outer columns, for the join above to check.
    pub residual: Vec<Expr>,
    /// Values of the columns for an outer row that meets no key (an aggregate without groups has a row for no input).
    pub default: Option<HashMap<String, Expr>>,
    /// At most one row for each combination of keys.
    pub single: bool,
}

/// A column of the plan that has to equal an expression over outer columns.
#[derive(Clone)]
pub struct Key {
    pub outer: Expr,
    pub inner: String,
    pub null_safe: bool,
}

impl Free {
    pub fn closed(plan: LogicalPlan) -> Self {
        Self { plan, keys: vec![], residual: vec![], default: None, single: false }
    }

    pub fn key_columns(&self) -> Vec<Expr> {
        self.keys.iter().map(|key| column(&key.inner)).collect()
    }

    /// The join condition with the outer rows: keys and residual.
    pub fn condition(&self) -> Vec<Expr> {
        let keys = self.keys.iter().map(|k| equal(k.outer.clone(), column(&k.inner), k.null_safe));
        keys.chain(self.residual.iter().cloned()).collect()
    }

    /// Columns of the plan that have to be carried along for keys and residual.
    pub fn needed(&self) -> Vec<String> {
        let mut names: Vec<String> = self.keys.iter().map(|k| k.inner.clone()).collect();
        for condition in &self.residual {
            names.extend(condition.column_refs().into_iter().map(|c| c.name.clone()));
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// Whether a residual condition reads columns of the plan: grouping or numbering rows would be wrong before it.
    pub fn has_inner_residual(&self) -> bool {
        self.residual.iter().any(|r| !r.column_refs().is_empty())
    }
}

/// The plan around a subquery and its columns.
pub struct Domain {
    pub outer: LogicalPlan,
    names: HashSet<String>,
}

impl Domain {
    pub fn new(outer: LogicalPlan) -> Self {
        let names = outer.schema().fields().iter().map(|f| f.name().clone()).collect();
        Self { outer, names }
    }

    /// Whether the expression reads a column of this very outer plan (not of one further out).
    pub fn is_local(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::OuterReferenceColumn(_, c) if self.names.contains(&c.name))
    }

    pub fn reads(&self, expr: &Expr) -> bool {
        super::expr::any(expr, |node| self.is_local(node))
    }

    pub fn is_read_by(&self, plan: &LogicalPlan) -> bool {
        plan_any(plan, &|node| self.is_local(node))
    }

    /// The outer columns that the expressions read, each once.
    pub fn references<'e>(&self, expressions: impl IntoIterator<Item = &'e Expr>) -> Vec<Expr> {
        let mut found: Vec<Expr> = vec![];
        for expression in expressions {
            super::expr::any(expression, |node| {
                if self.is_local(node) && !found.contains(node) {
                    found.push(node.clone());
                }
                false
            });
        }
        found
    }

    /// Outer references as columns, for expressions that are computed beside the outer plan.
    pub fn localize(&self, expr: Expr) -> Result<Expr> {
        replace(expr, |node| match node {
            Expr::OuterReferenceColumn(_, c) if self.is_local(node) => Some(column(&c.name)),
            _ => None,
        })
    }

    /// The expression with outer columns replaced by keys that equal them; nothing where a column has no key.
    pub fn through_keys(&self, keys: &[Key], expr: &Expr) -> Result<Option<Expr>> {
        let replaced = replace(expr.clone(), |node| {
            keys.iter().find(|key| self.reads(node) && key.outer == *node).map(|key| column(&key.inner))
        })?;
        Ok(if self.reads(&replaced) { None } else { Some(replaced) })
    }

    /// The distinct values of those outer columns, under new names that are the keys.
    fn distinct(&self, references: &[Expr]) -> Result<(LogicalPlan, Vec<Key>)> {
        let mut keys = vec![];
        let mut columns = vec![];
        for reference in references {
            let Expr::OuterReferenceColumn(_, from) = reference else { continue };
            let id = fresh_id("_k");
            columns.push(column(&from.name).alias(&id));
            let field = self.outer.schema().field_with_unqualified_name(&from.name).map_err(from_datafusion)?;
            keys.push(Key { outer: reference.clone(), inner: id, null_safe: field.is_nullable() });
        }
        let plan = project(self.outer.clone(), columns)?;
        Ok((LogicalPlan::Distinct(Distinct::All(Arc::new(plan))), keys))
    }

    /// Makes `more` outer columns keys, and settles residual conditions and the default: joins the plan with the
    /// distinct values of all outer columns it depends on.
    pub fn bind(&self, free: Free, more: &[Expr]) -> Result<Free> {
        let used = free.keys.iter().map(|k| &k.outer).chain(&free.residual);
        let defaults: Vec<&Expr> = free.default.iter().flat_map(|d| d.values()).collect();
        let references = self.references(used.chain(more).chain(defaults));
        let bound = references.iter().all(|r| free.keys.iter().any(|k| k.outer == *r));
        if bound && free.residual.is_empty() && free.default.is_none() {
            return Ok(free);
        }
        let (domain, keys) = self.distinct(&references)?;
        let on = free.condition().into_iter().map(|c| self.keyed(&keys, c)).collect::<Result<Vec<_>>>()?;
        let Some(defaults) = &free.default else {
            let plan = plain_join(domain, free.plan, JoinType::Inner, all_of(on))?;
            return Ok(Free { plan, keys, residual: vec![], default: None, single: free.single });
        };
        let (flagged, flag) = flagged(free.plan.clone())?;
        let joined = plain_join(domain, flagged, JoinType::Left, all_of(on))?;
        let mut columns = keys.iter().map(|k| column(&k.inner)).collect::<Vec<_>>();
        for field in free.plan.schema().fields() {
            let value = match defaults.get(field.name()) {
                Some(default) => {
                    let default = self.keyed(&keys, default.clone())?;
                    defaulted(field.name(), &flag, default).alias(field.name())
                }
                None => column(field.name()),
            };
            columns.push(value);
        }
        Ok(Free { plan: project(joined, columns)?, keys, residual: vec![], default: None, single: free.single })
    }

    fn keyed(&self, keys: &[Key], expr: Expr) -> Result<Expr> {
        Ok(self.through_keys(keys, &expr)?.unwrap_or(expr))
    }

    /// Rewrites expressions over a free plan so that they read keys for outer columns, which become keys if they are
    /// none yet.
    pub fn resolved(&self, free: Free, expressions: &[Expr]) -> Result<(Free, Vec<Expr>)> {
        if let Some(done) = self.try_resolved(&free, expressions)? {
            return Ok((free, done));
        }
        let free = self.bind(free, &self.references(expressions))?;
        let done = expressions.iter().map(|e| self.keyed(&free.keys, e.clone())).collect::<Result<_>>()?;
        Ok((free, done))
    }

    pub fn try_resolved(&self, free: &Free, expressions: &[Expr]) -> Result<Option<Vec<Expr>>> {
        expressions.iter().map(|e| self.through_keys(&free.keys, e)).collect()
    }
}

/// The plan with a column that is TRUE in every row.
pub fn flagged(plan: LogicalPlan) -> Result<(LogicalPlan, String)> {
    let flag = fresh_id("_f");
    let columns = plan.schema().columns().into_iter().map(|c| Expr::Column(Column::from_name(c.name)));
    let columns = columns.chain([always().alias(&flag)]).collect();
    Ok((project(plan, columns)?, flag))
}

/// The column, or `default` where the outer join found no row.
pub fn defaulted(name: &str, flag: &str, default: Expr) -> Expr {
    if is_null_literal(&default) {
        return column(name);
    }
    choose(column(flag).is_null(), default, Some(column(name)))
}

/// The columns of the plan by name, and `more`.
pub fn columns_and(plan: &LogicalPlan, more: impl IntoIterator<Item = Expr>) -> Vec<Expr> {
    plan.schema().fields().iter().map(|f| column(f.name())).chain(more).collect()
}

/// The plan with exactly the columns of `schema`, in order.
pub fn restored(plan: LogicalPlan, names: &[String]) -> Result<LogicalPlan> {
    let fields = plan.schema().fields();
    if fields.len() == names.len() && fields.iter().zip(names).all(|(field, name)| field.name() == name) {
        return Ok(plan);
    }
    let columns = names.iter().map(|name| column(name)).collect();
    project(plan, columns)
}

pub fn names_of(plan: &LogicalPlan) -> Vec<String> {
    plan.schema().fields().iter().map(|f| f.name().clone()).collect()
}
