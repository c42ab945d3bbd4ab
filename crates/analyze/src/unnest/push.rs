//! Makes a correlated plan independent of the outer row, operator by operator, from the leaves up.
//!
//! A condition `outer expression = inner expression` becomes a key, other correlated conditions are carried up for the
//! join above to check. Where an operator has to know the outer row (it groups, numbers or computes with it), the plan
//! is joined with the distinct values of the outer columns first; see [`Domain::bind`].
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, FetchType, GroupingSet, Limit, LogicalPlan, Operator, Projection, SkipType,
    Union, Unnest, Window, lit,
};
use firesteel_functions::TypedExpr;
use firesteel_plan::{DataType, Result, SparkError};

use super::empty::empty_value;
use super::expr::{all_of, column, conjuncts, is_null_literal, with_values};
use super::free::{Domain, Free, Key, columns_and, names_of};
use crate::expr::literal::evaluate;
use crate::from_datafusion;
use crate::relation::{filter_plan, row_number};
use crate::scope::{fresh_id, project};

impl Domain {
    pub fn push(&self, plan: &LogicalPlan) -> Result<Free> {
        if !self.is_read_by(plan) {
            return Ok(Free { single: is_single(plan), ..Free::closed(plan.clone()) });
        }
        stacker::maybe_grow(256 * 1024, 4 * 1024 * 1024, || match plan {
            LogicalPlan::Filter(filter) => self.push_filter(&filter.input, &filter.predicate),
            LogicalPlan::Projection(projection) => self.push_projection(projection),
            LogicalPlan::Aggregate(aggregate) => self.push_aggregate(aggregate),
            LogicalPlan::Window(window) => self.push_window(window),
            LogicalPlan::Sort(sort) => {
                let free = self.push(&sort.input)?;
                let order: Vec<Expr> = sort.expr.iter().map(|s| s.expr.clone()).collect();
                let (free, order) = self.resolved(free, &order)?;
                let mut sort = sort.clone();
                for (element, expr) in sort.expr.iter_mut().zip(order) {
                    element.expr = expr;
                }
                sort.input = Arc::new(free.plan);
                Ok(Free { plan: LogicalPlan::Sort(sort), ..free })
            }
            LogicalPlan::Limit(limit) => self.push_limit(limit),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let free = self.settled_rows(self.push(input)?)?;
                // Columns that settled conditions read are no part of the rows that are compared.
                let own = names_of(plan);
                let keys = free.needed().into_iter().filter(|key| !own.contains(key)).collect::<Vec<_>>();
                let rows = super::free::restored(free.plan.clone(), &[own, keys].concat())?;
                let plan = LogicalPlan::Distinct(Distinct::All(Arc::new(rows)));
                Ok(Free { plan, ..free })
            }
            LogicalPlan::Union(union) => self.push_union(&union.inputs, &names_of(plan)),
            LogicalPlan::Join(join) => self.push_join(join),
            LogicalPlan::Unnest(unnest) => self.push_unnest(unnest),
            LogicalPlan::Extension(_) | LogicalPlan::Repartition(_) if plan.inputs().len() == 1 => {
                let free = self.push(plan.inputs()[0])?;
                let (free, expressions) = self.resolved(free, &plan.expressions())?;
                let rebuilt = plan.with_new_exprs(expressions, vec![free.plan]).map_err(from_datafusion)?;
                Ok(Free { plan: rebuilt, ..free })
            }
            other => {
                Err(SparkError::unsupported(format!("a correlated subquery through the operator {}", other.display())))
            }
        })
    }

    /// Residual conditions that read the plan's columns and defaults are settled: what follows works on whole rows of
    /// one outer row.
    fn settled_rows(&self, free: Free) -> Result<Free> {
        if free.has_inner_residual() || free.default.is_some() { self.bind(free, &[]) } else { Ok(free) }
    }

    fn push_filter(&self, input: &LogicalPlan, predicate: &Expr) -> Result<Free> {
        let free = self.push(input)?;
        let free = if free.default.is_some() { self.bind(free, &[])? } else { free };
        let parts = conjuncts(predicate.clone());
        self.filtered(free, parts)
    }

    /// Adds conditions: those that read no outer column filter, equalities become keys, others are carried along.
    pub fn filtered(&self, mut free: Free, conditions: Vec<Expr>) -> Result<Free> {
        let (correlated, own): (Vec<_>, Vec<_>) = conditions.into_iter().partition(|c| self.reads(c));
        if let Some(condition) = all_of(own) {
            free.plan = filter_plan(free.plan, condition)?;
        }
        let mut computed = vec![];
        let mut rest = vec![];
        for condition in correlated {
            match self.as_key(&condition) {
                Some((outer, inner, null_safe)) if !free.keys.iter().any(|k| k.outer == outer) => {
                    let id = match &inner {
                        Expr::Column(c) => c.name.clone(),
                        _ => {
                            let id = fresh_id("_k");
                            computed.push(inner.alias(&id));
                            id
                        }
                    };
                    free.keys.push(Key { outer, inner: id, null_safe });
                }
                _ => rest.push(condition),
            }
        }
        if !computed.is_empty() {
            free.plan = project(free.plan.clone(), columns_and(&free.plan, computed))?;
        }
        let mut filters = vec![];
        for condition in rest {
            match self.through_keys(&free.keys, &condition)? {
                Some(own) => filters.push(own),
                None => free.residual.push(condition),
            }
        }
        if let Some(condition) = all_of(filters) {
            free.plan = filter_plan(free.plan, condition)?;
        }
        Ok(free)
    }

    /// `outer = inner` or `outer <=> inner`, with the outer side reading outer columns only.
    fn as_key(&self, condition: &Expr) -> Option<(Expr, Expr, bool)> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
        let null_safe = match op {
            Operator::Eq => false,
            Operator::IsNotDistinctFrom => true,
            _ => return None,
        };
        let is_outer = |e: &Expr| self.reads(e) && e.column_refs().is_empty();
        match (is_outer(left), is_outer(right)) {
            (true, false) if !self.reads(right) => Some((*left.clone(), *right.clone(), null_safe)),
            (false, true) if !self.reads(left) => Some((*right.clone(), *left.clone(), null_safe)),
            _ => None,
        }
    }

    fn push_projection(&self, projection: &Projection) -> Result<Free> {
        let free = self.push(&projection.input)?;
        let default = self.projected_default(&free, &projection.expr)?;
        let correlated = projection.expr.iter().any(|e| self.reads(e));
        let (mut free, mut columns) = match (&free.default, correlated) {
            // The default has to be settled only if the columns cannot be had from keys.
            (Some(_), true) => match self.try_resolved(&free, &projection.expr)? {
                Some(done) => (free, done),
                None => {
                    let bound = self.bind(free, &self.references(&projection.expr))?;
                    self.resolved(bound, &projection.expr)?
                }
            },
            _ => self.resolved(free, &projection.expr)?,
        };
        let names = projection.schema.fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
        columns.extend(free.needed().iter().filter(|name| !names.contains(name)).map(|name| column(name)));
        // A name of the output may hide the key's: the key is renamed then.
        for key in &mut free.keys {
            if let Some(index) = names.iter().position(|n| *n == key.inner)
                && !matches!(&columns[index], Expr::Column(c) if c.name == key.inner)
            {
                let id = fresh_id("_k");
                columns.push(column(&key.inner).alias(&id));
                key.inner = id;
            }
        }
        free.default = if free.default.is_some() { default } else { None };
        let plan = project(free.plan, columns)?;
        Ok(Free { plan, ..free })
    }

    /// The output columns for the default row below.
    fn projected_default(&self, free: &Free, expressions: &[Expr]) -> Result<Option<HashMap<String, Expr>>> {
        let Some(below) = &free.default else { return Ok(None) };
        let mut default = HashMap::new();
        for expression in expressions {
            let name = expression.schema_name().to_string();
            default.insert(name, folded(with_values(expression.clone().unalias(), below)?));
        }
        Ok(Some(default))
    }

    fn push_aggregate(&self, aggregate: &Aggregate) -> Result<Free> {
        let free = self.settled_rows(self.push(&aggregate.input)?)?;
        let expressions: Vec<Expr> = aggregate.group_expr.iter().chain(&aggregate.aggr_expr).cloned().collect();
        let (free, mut groups) = self.resolved(free, &expressions)?;
        let functions = groups.split_off(aggregate.group_expr.len());
        let has_global_group = match aggregate.group_expr.as_slice() {
            [] => true,
            [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => sets.iter().any(Vec::is_empty),
            _ => false,
        };
        let default = if has_global_group { Some(default_row(aggregate)?) } else { None };
        let is_global = aggregate.group_expr.is_empty();
        let keys = free.key_columns();
        match groups.as_mut_slice() {
            [Expr::GroupingSet(GroupingSet::GroupingSets(sets))] => {
                // In front: the grouping id's lower bits stay those of the query's own groups.
                for set in sets.iter_mut() {
                    set.splice(0..0, keys.iter().cloned());
                }
            }
            _ => groups.extend(keys.into_iter().filter(|k| !groups.contains(k)).collect::<Vec<_>>()),
        }
        let plan = Aggregate::try_new(Arc::new(free.plan), groups, functions).map_err(from_datafusion)?;
        let single = is_global || aggregate.group_expr.iter().all(|g| free.keys.iter().any(|k| column(&k.inner) == *g));
        Ok(Free { plan: LogicalPlan::Aggregate(plan), default, single, ..free })
    }

    fn push_window(&self, window: &Window) -> Result<Free> {
        let free = self.settled_rows(self.push(&window.input)?)?;
        let (free, mut expressions) = self.resolved(free, &window.window_expr)?;
        let keys = free.key_columns();
        for expression in &mut expressions {
            add_partitions(expression, &keys);
        }
        let plan = Window::try_new(expressions, Arc::new(free.plan)).map_err(from_datafusion)?;
        Ok(Free { plan: LogicalPlan::Window(plan), ..free })
    }

    fn push_limit(&self, limit: &Limit) -> Result<Free> {
        let free = self.push(&limit.input)?;
        let skip = limit.get_skip_type().map_err(from_datafusion)?;
        let fetch = limit.get_fetch_type().map_err(from_datafusion)?;
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (skip, fetch) else {
            return Err(SparkError::unsupported("LIMIT and OFFSET that are no constants, in a correlated subquery"));
        };
        if free.single && skip == 0 && fetch != Some(0) {
            return Ok(free);
        }
        // Settling conditions may join, which loses the order.
        let order = order_of(&free.plan);
        let free = self.settled_rows(free)?;
        let id = fresh_id("_n");
        let numbered = row_number(free.plan.clone(), &id, free.key_columns(), order)?;
        let mut conditions = vec![];
        if skip > 0 {
            conditions.push(column(&id).gt(lit(skip as u64)));
        }
        if let Some(fetch) = fetch {
            conditions.push(column(&id).lt_eq(lit((skip as u64).saturating_add(fetch as u64))));
        }
        let plan = match all_of(conditions) {
            Some(condition) => filter_plan(numbered, condition)?,
            None => numbered,
        };
        let plan = super::free::restored(plan, &names_of(&free.plan))?;
        Ok(Free { plan, single: free.single || fetch == Some(1), ..free })
    }

    fn push_union(&self, inputs: &[Arc<LogicalPlan>], names: &[String]) -> Result<Free> {
        let mut sides = vec![];
        for input in inputs {
            let free = self.push(input)?;
            let settled = !free.residual.is_empty() || free.default.is_some();
            sides.push(if settled { self.bind(free, &[])? } else { free });
        }
        let all_keys: Vec<&Key> = sides.iter().flat_map(|s| &s.keys).collect();
        let shared = |key: &Key| sides.iter().all(|s| s.keys.iter().any(|k| k.outer == key.outer));
        if !all_keys.iter().all(|key| shared(key)) {
            // Some sides depend on more than others: all on everything.
            let references = self.references(all_keys.iter().map(|k| &k.outer));
            let bound = sides.into_iter().map(|side| self.bind(side, &references));
            sides = bound.collect::<Result<_>>()?;
        }
        let Some(first) = sides.first() else { return Err(SparkError::internal("a union of nothing")) };
        let mut keys: Vec<Key> = vec![];
        for key in &first.keys {
            if !keys.iter().any(|k| k.outer == key.outer) {
                keys.push(Key { inner: fresh_id("_k"), ..key.clone() });
            }
        }
        for key in &mut keys {
            key.null_safe = sides.iter().flat_map(|s| &s.keys).any(|k| k.outer == key.outer && k.null_safe);
        }
        let mut plans = vec![];
        for side in sides {
            let mut columns: Vec<Expr> = names.iter().map(|name| column(name)).collect();
            for key in &keys {
                let own = side.keys.iter().find(|k| k.outer == key.outer);
                let own = own.ok_or_else(|| SparkError::internal("a union's key is missing"))?;
                columns.push(column(&own.inner).alias(&key.inner));
            }
            plans.push(Arc::new(project(side.plan, columns)?));
        }
        let union = Union::try_new_with_loose_types(plans).map_err(from_datafusion)?;
        Ok(Free { keys, ..Free::closed(LogicalPlan::Union(union)) })
    }

    fn push_unnest(&self, unnest: &Unnest) -> Result<Free> {
        let free = self.push(&unnest.input)?;
        let free = if free.default.is_some() { self.bind(free, &[])? } else { free };
        let columns: Vec<Column> = unnest.exec_columns.clone();
        let plan = Unnest::try_new(Arc::new(free.plan), columns, unnest.options.clone()).map_err(from_datafusion)?;
        Ok(Free { plan: LogicalPlan::Unnest(plan), single: false, ..free })
    }
}

/// What the rows are sorted by, where the plan's own columns tell.
fn order_of(plan: &LogicalPlan) -> Vec<datafusion::logical_expr::SortExpr> {
    match plan {
        LogicalPlan::Sort(sort) => sort.expr.clone(),
        LogicalPlan::Projection(projection) => {
            let order = order_of(&projection.input);
            let names = names_of(plan);
            let kept = |c: &&Column| projection.expr.contains(&column(&c.name)) && names.contains(&c.name);
            if order.iter().all(|s| s.expr.column_refs().iter().all(&kept)) { order } else { vec![] }
        }
        _ => vec![],
    }
}

/// The value of a constant expression: a default that is NULL needs no test whether a row was found.
fn folded(expr: Expr) -> Expr {
    let typed = TypedExpr::new(expr, DataType::Null, true, "");
    match evaluate(&typed) {
        Ok(Some(value)) => Expr::Literal(value, None),
        _ => typed.expr,
    }
}

/// What a global aggregate answers for no rows. Groups are NULL there, as in the empty set of grouping sets.
fn default_row(aggregate: &Aggregate) -> Result<HashMap<String, Expr>> {
    let mut default = HashMap::new();
    for function in &aggregate.aggr_expr {
        let value = empty_value(&function.clone().unalias(), &aggregate.input)?;
        default.insert(function.schema_name().to_string(), value);
    }
    for field in aggregate.schema.fields() {
        if default.contains_key(field.name()) {
            continue;
        }
        let value = if field.name() == Aggregate::INTERNAL_GROUPING_ID {
            let count = aggregate.schema.fields().len() - aggregate.aggr_expr.len() - 1;
            let all_bits = ScalarValue::UInt64(Some((1_u64 << count.min(63)) - 1));
            all_bits.cast_to(field.data_type()).map_err(from_datafusion)?
        } else {
            ScalarValue::try_from(field.data_type()).map_err(from_datafusion)?
        };
        default.insert(field.name().clone(), Expr::Literal(value, None));
    }
    Ok(default)
}

fn add_partitions(expression: &mut Expr, keys: &[Expr]) {
    let function: &mut WindowFunction = match expression {
        Expr::WindowFunction(function) => function,
        Expr::Alias(alias) => return add_partitions(&mut alias.expr, keys),
        _ => return,
    };
    function.params.partition_by.extend(keys.iter().cloned());
}

/// Whether the plan has one row at most, whatever its tables hold.
pub fn is_single(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Projection(Projection { input, .. }) => is_single(input),
        LogicalPlan::Filter(filter) => is_single(&filter.input),
        LogicalPlan::Sort(sort) => is_single(&sort.input),
        LogicalPlan::Distinct(Distinct::All(input)) => is_single(input),
        LogicalPlan::Limit(limit) => {
            matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0 | 1)))) || is_single(&limit.input)
        }
        _ => false,
    }
}

/// Whether every column of the default row is NULL.
pub fn is_null_row(default: &HashMap<String, Expr>) -> bool {
    default.values().all(is_null_literal)
}
