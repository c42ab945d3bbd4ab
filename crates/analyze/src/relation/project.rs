//! Project, filter, HAVING, QUALIFY.
use std::collections::HashSet;
use std::sync::Arc;

use datafusion::logical_expr::{Expr as DfExpr, Filter, LogicalPlan};
use firesteel_functions::TypedExpr;
use firesteel_plan::{Expr, Relation, Result, SparkError};

use super::aggregate;
use crate::analyzer::Analyzer;
use crate::expr::{Precedence, Scope, SelectItem, SelectValue, quoted_sql};
use crate::from_datafusion;
use crate::scope::{Above, Attribute, Extend, ExtendBase, Resolved, fresh_id, project};

impl Analyzer<'_> {
    pub(super) fn project(&self, input: &Relation, expressions: &[Expr]) -> Result<Resolved> {
        let input = self.relation(input)?;
        self.project_resolved(input, expressions)
    }

    /// A select list over a resolved input. With an aggregate function in it, a global aggregate.
    pub(crate) fn project_resolved(&self, input: Resolved, expressions: &[Expr]) -> Result<Resolved> {
        let input = self.with_time_window(input, &expressions.iter().collect::<Vec<_>>())?;
        let scope = self.scope_with_below(&input);
        let items = self.select_list(expressions, &scope)?;
        let aggregates = |item: &SelectItem| match item {
            SelectItem::Value(value) => value.typed.has_aggregate(),
            SelectItem::Generator { generator, .. } => generator.rows.has_aggregate(),
        };
        if items.iter().any(aggregates) {
            return self.global_aggregate(input, items, &scope);
        }
        let input = self.with_used_below(input, &scope)?;
        let (input, values) = self.expand_generators(input, items)?;
        self.project_values(input, values)
    }

    /// Projects values; window functions among them are computed first.
    pub(crate) fn project_values(&self, input: Resolved, values: Vec<SelectValue>) -> Result<Resolved> {
        let (typed, mut attributes): (Vec<_>, Vec<_>) = values.into_iter().map(|v| (v.typed, v.attribute)).unzip();
        let (plan, expressions) =
            self.windows_below(input.plan.clone(), typed.into_iter().map(|t| t.expr).collect())?;
        let windowed = Resolved { plan: plan.clone(), ..input.clone() };
        let expressions = name_expressions(expressions, &mut attributes);
        let projected = project(plan, expressions.clone())?;
        let mut resolved = Resolved::new(projected, attributes).with_plan_outputs_of(&[&input]);
        let base = ExtendBase::Project { input: windowed, expressions };
        resolved.extend = Some(Arc::new(Extend { base, above: vec![], groups_only: false }));
        Ok(resolved)
    }

    pub(super) fn filter(&self, input: &Relation, condition: &Expr) -> Result<Resolved> {
        let input = self.relation(input)?;
        self.filter_resolved(input, condition)
    }

    pub(crate) fn filter_resolved(&self, input: Resolved, condition: &Expr) -> Result<Resolved> {
        let input = self.with_time_window(input, &[condition])?;
        let scope = self.scope_with_below(&input);
        let (input, condition) = self.condition_above(input, &scope, condition, None)?;
        let over_aggregate = self.outer.borrow().last().is_some_and(|around| around.over_aggregate);
        refuse_in_where(&condition, over_aggregate)?;
        self.filter_typed(input, condition.expr)
    }

    /// A condition that may use what is below the input, where that is a projection or an aggregate. `windowless` is the
    /// clause, if it takes no window functions.
    fn condition_above(
        &self,
        input: Resolved,
        scope: &Scope,
        condition: &Expr,
        windowless: Option<&str>,
    ) -> Result<(Resolved, TypedExpr)> {
        let resolve = || Ok(vec![self.condition(condition, scope, "filter")?]);
        let typed = self.settled(&input, scope, |typed| typed, resolve)?;
        if let Some(clause) = windowless {
            typed.iter().try_for_each(|typed| refuse_window(typed, clause))?;
        }
        let (input, mut rewritten) = self.over_aggregate(input, typed, scope)?;
        let condition = rewritten.pop().ok_or_else(|| SparkError::internal("no condition"))?;
        Ok((input, condition))
    }

    /// Resolves expressions above `input`; a second time where names turned out to mean columns that its aggregate does
    /// not keep.
    pub(crate) fn settled<T>(
        &self,
        input: &Resolved,
        scope: &Scope,
        typed: fn(&T) -> &TypedExpr,
        resolve: impl Fn() -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let resolved = resolve()?;
        let Some(Extend { base: ExtendBase::Aggregate(parts), .. }) = input.extend.as_deref() else {
            return Ok(resolved);
        };
        let ungrouped: HashSet<String> = resolved.iter().flat_map(|r| parts.ungrouped(typed(r), input)).collect();
        if ungrouped.is_empty() {
            return Ok(resolved);
        }
        scope.ungrouped.replace(ungrouped);
        scope.used_below.borrow_mut().clear();
        resolve()
    }

    pub(crate) fn filter_typed(&self, input: Resolved, condition: DfExpr) -> Result<Resolved> {
        let (below, mut conditions) = super::partition::partition_below(input.plan.clone(), vec![condition.clone()])?;
        let rewritten = conditions.pop().ok_or_else(|| SparkError::internal("no condition"))?;
        if rewritten != condition {
            let plan = filter_plan(below, rewritten)?;
            return input.closed(plan).sealed();
        }
        let plan = filter_plan(input.plan.clone(), condition.clone())?;
        let extend = input.extend.as_ref().map(|extend| {
            let mut extend = extend.as_ref().clone();
            extend.above.push(Above::Filter(condition));
            Arc::new(extend)
        });
        Ok(Resolved { extend, ..input.with_plan(plan) })
    }

    /// HAVING: a filter that may use aggregate functions and what is below the aggregate.
    pub(super) fn having(&self, input: &Relation, condition: &Expr) -> Result<Resolved> {
        let input = self.relation(input)?;
        let is_aggregate = matches!(input.extend.as_deref(), Some(Extend { base: ExtendBase::Aggregate(_), .. }));
        let precedence = if is_aggregate { Precedence::Below } else { Precedence::Input };
        let scope = Scope { precedence, ..self.scope_with_below(&input) };
        let carried = input.hidden.len();
        let (mut input, condition) = self.condition_above(input, &scope, condition, Some("HAVING"))?;
        if condition.has_aggregate() {
            return Err(SparkError::new("MISSING_GROUP_BY", [("expression", quoted_sql(&condition))]));
        }
        if input.hidden.len() > carried {
            // Spark has a projection here that drops them again.
            input.extend = input.extend.map(|e| Arc::new(Extend { groups_only: true, ..e.as_ref().clone() }));
        }
        self.filter_typed(input, condition.expr)
    }

    /// QUALIFY: a filter over window functions.
    pub(super) fn qualify(&self, input: &Relation, condition: &Expr) -> Result<Resolved> {
        let input = self.relation(input)?;
        let scope = self.scope_with_below(&input);
        let (input, condition) = self.condition_above(input, &scope, condition, None)?;
        let (plan, mut expressions) = self.windows_below(input.plan.clone(), vec![condition.expr])?;
        let condition = expressions.pop().ok_or_else(|| SparkError::internal("no condition"))?;
        let plan = filter_plan(plan, condition)?;
        // Window columns stay behind the output.
        Ok(input.closed(plan))
    }

    /// The input's columns, and what is below them for operators that may reach through (sort, filter).
    pub(crate) fn scope_with_below(&self, input: &Resolved) -> Scope {
        let mut scope = Scope::of(input);
        let Some(extend) = input.extend.as_deref() else { return scope };
        scope.below = Some(Box::new(match &extend.base {
            ExtendBase::Project { input: below, .. } => Scope::of(below),
            ExtendBase::Aggregate(parts) => {
                scope.over_aggregate = true;
                if extend.groups_only { parts.group_scope() } else { parts.scope() }
            }
        }));
        scope
    }

    /// Brings the columns that were used from below into the input, hidden.
    pub(crate) fn with_used_below(&self, input: Resolved, scope: &Scope) -> Result<Resolved> {
        let used = scope.used_below.borrow().clone();
        if used.is_empty() {
            return Ok(input);
        }
        let Some(extend) = input.extend.clone() else { return Ok(input) };
        match &extend.base {
            ExtendBase::Project { input: below, expressions } => {
                let mut expressions = expressions.clone();
                let mut hidden = input.hidden.clone();
                for attribute in used {
                    let carried = input.output.iter().chain(&hidden).any(|a| a.id == attribute.id);
                    if !carried {
                        expressions.push(attribute.column());
                        hidden.push(attribute);
                    }
                }
                let mut plan = project(below.plan.clone(), expressions.clone())?;
                for above in &extend.above {
                    plan = apply_above(plan, above)?;
                }
                let base = ExtendBase::Project { input: below.clone(), expressions };
                let extend = Some(Arc::new(Extend { base, above: extend.above.clone(), groups_only: false }));
                Ok(Resolved { plan, hidden, extend, ..input })
            }
            ExtendBase::Aggregate(_) => Ok(input),
        }
    }

    /// For expressions over an aggregate (HAVING, ORDER BY, QUALIFY): aggregate functions and grouping columns in them
    /// become columns of the aggregate, which is rebuilt to carry them. Over anything else, columns from below are
    /// brought in.
    pub(crate) fn over_aggregate(
        &self,
        input: Resolved,
        expressions: Vec<TypedExpr>,
        scope: &Scope,
    ) -> Result<(Resolved, Vec<TypedExpr>)> {
        match input.extend.clone().as_deref() {
            Some(extend @ Extend { base: ExtendBase::Aggregate(parts), .. }) => {
                aggregate::extend(self, input, parts, extend, expressions)
            }
            _ => Ok((self.with_used_below(input, scope)?, expressions)),
        }
    }
}

pub(crate) fn apply_above(plan: LogicalPlan, above: &Above) -> Result<LogicalPlan> {
    match above {
        Above::Filter(condition) => filter_plan(plan, condition.clone()),
        Above::Window(expressions) => super::window::window_plan(plan, expressions.clone()),
    }
}

pub(crate) fn filter_plan(plan: LogicalPlan, condition: DfExpr) -> Result<LogicalPlan> {
    Filter::try_new(condition, Arc::new(plan)).map(LogicalPlan::Filter).map_err(from_datafusion)
}

/// Gives each expression the id of its attribute. A column used twice gets a new id for the second use, since
/// DataFusion wants unique names.
pub(crate) fn name_expressions(expressions: Vec<DfExpr>, attributes: &mut [Attribute]) -> Vec<DfExpr> {
    let mut seen = std::collections::HashSet::new();
    let named = expressions.into_iter().zip(attributes.iter_mut()).map(|(expr, attribute)| {
        if !seen.insert(attribute.id.clone()) {
            attribute.id = fresh_id(&attribute.name);
            seen.insert(attribute.id.clone());
        }
        match &expr {
            DfExpr::Column(column) if column.name == attribute.id => expr,
            _ => expr.alias(&attribute.id),
        }
    });
    named.collect()
}

/// Aggregate functions do not belong in WHERE, but for those over outer columns of a query that has groups: they are
/// that query's.
fn refuse_in_where(condition: &TypedExpr, over_aggregate: bool) -> Result<()> {
    let refused = |node: &DfExpr| {
        matches!(node, DfExpr::AggregateFunction(_)) && !(over_aggregate && crate::expr::is_of_outer_row(node))
    };
    if condition.any(refused) {
        return Err(SparkError::new(
            "INVALID_WHERE_CONDITION",
            [("condition", quoted_sql(condition)), ("expressionList", condition.sql.clone())],
        ));
    }
    refuse_window(condition, "WHERE")
}

fn refuse_window(condition: &TypedExpr, clause: &str) -> Result<()> {
    if condition.has_window() {
        return Err(SparkError::new("WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE", [("clauseName", clause)])
            .with_origin(condition.origin.as_ref()));
    }
    Ok(())
}
