//! ORDER BY, SORT BY and ORDER BY ALL.
use std::sync::Arc;

use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, Sort};
use firesteel_functions::{EvalContext, TypedExpr};
use firesteel_plan::relation::SortAllOrder;
use firesteel_plan::{ExprKind, Literal, Relation, Result, SortOrder, SparkError};

use crate::analyzer::Analyzer;
use crate::expr::{Precedence, ResolvedSort, Scope, is_correlated, quoted_sql, refuse_outer_references};
use crate::nodes::sort_partitions;
use crate::scope::{Attribute, Resolved};

impl Analyzer<'_> {
    pub(super) fn sort(&self, input: &Relation, order: &[SortOrder], is_global: bool) -> Result<Resolved> {
        let input = self.relation(input)?.above_windows();
        self.refuse_recursion(&input.plan)?;
        let scope = Scope {
            precedence: Precedence::UniqueInput,
            refuses_routines: Some("Sort"),
            ..self.scope_with_below(&input)
        };
        let mut orders =
            self.settled(&input, &scope, |o: &ResolvedSort| &o.typed, || self.sort_elements(order, &input, &scope))?;
        if let Some(refused) = orders.iter().find(|o| input.keeps_groups_only() && o.typed.has_aggregate()) {
            return Err(SparkError::new(
                "UNSUPPORTED_EXPR_FOR_OPERATOR",
                [("invalidExprSqls", quoted_sql(&refused.typed))],
            )
            .with_origin(refused.typed.origin.as_ref()));
        }
        let typed: Vec<_> = orders.iter().map(|o| o.typed.clone()).collect();
        refuse_outer_references(&typed)?;
        let (input, rewritten) = self.over_aggregate(input, typed, &scope)?;
        refuse_subqueries(&rewritten)?;
        let (plan, expressions) =
            self.windows_below(input.plan.clone(), rewritten.iter().map(|t| t.expr.clone()).collect())?;
        for ((order, typed), expr) in orders.iter_mut().zip(rewritten).zip(expressions) {
            order.typed = TypedExpr { expr, ..typed };
        }
        let plan = sort_plan(plan, &orders, is_global, &self.eval)?;
        Ok(input.closed(plan))
    }

    /// All elements in order. Ordinals come last: unless they have priority, they also count the columns that other
    /// elements bring in.
    fn sort_elements(&self, order: &[SortOrder], input: &Resolved, scope: &Scope) -> Result<Vec<ResolvedSort>> {
        let by_ordinal = self.eval.flag("spark.sql.orderByOrdinal", true);
        let ordinal = |element: &SortOrder| match element.child.kind.as_ref() {
            ExprKind::Literal(Literal::Integer(position)) if by_ordinal => Some(*position),
            _ => None,
        };
        let mut slots: Vec<Vec<ResolvedSort>> = vec![vec![]; order.len()];
        for (slot, element) in slots.iter_mut().zip(order).filter(|(_, e)| ordinal(e).is_none()) {
            *slot = match element.child.kind.as_ref() {
                ExprKind::Star { .. } => {
                    let columns = self.expand_star(&element.child, scope)?;
                    columns.into_iter().map(|c| self.sort_by(c.typed, element)).collect::<Result<_>>()?
                }
                _ => vec![self.sort_order(element, scope)?],
            };
        }
        let mut columns = input.output.clone();
        if !self.eval.flag("spark.sql.prioritizeOrdinalResolutionInSort.enabled", true) {
            for attribute in scope.used_below.borrow().iter() {
                if !columns.iter().any(|a| a.id == attribute.id) {
                    columns.push(attribute.clone());
                }
            }
        }
        for (slot, element) in slots.iter_mut().zip(order) {
            let Some(position) = ordinal(element) else { continue };
            let attribute = ordinal_column(position, &columns, input.output.len())
                .map_err(|e| e.with_origin(element.child.origin.as_ref()))?;
            *slot = vec![self.sort_by(attribute.typed(), element)?];
        }
        Ok(slots.into_iter().flatten().collect())
    }

    pub(super) fn sort_all(&self, input: &Relation, order: &SortAllOrder) -> Result<Resolved> {
        let input = self.relation(input)?;
        self.refuse_recursion(&input.plan)?;
        let mut orders = vec![];
        for attribute in &input.output {
            let element = SortOrder {
                child: firesteel_plan::Expr::name(&attribute.name),
                direction: order.direction,
                nulls: order.nulls,
            };
            orders.push(self.sort_by(attribute.typed(), &element)?);
        }
        let plan = sort_plan(input.plan.clone(), &orders, true, &self.eval)?;
        Ok(input.closed(plan))
    }
}

/// ORDER BY 2: the second column.
fn ordinal_column(position: i32, columns: &[Attribute], size: usize) -> Result<Attribute> {
    let index = usize::try_from(position).ok().and_then(|p| p.checked_sub(1));
    index.and_then(|i| columns.get(i)).cloned().ok_or_else(|| {
        SparkError::new("ORDER_BY_POS_OUT_OF_RANGE", [("index", position.to_string()), ("size", size.to_string())])
    })
}

/// ORDER BY has no place for EXISTS and IN, nor for scalar subqueries that read the row.
fn refuse_subqueries(orders: &[TypedExpr]) -> Result<()> {
    let refused = |category: &str, test: &dyn Fn(&DfExpr) -> bool| match orders.iter().find(|o| o.any(test)) {
        Some(order) => Err(SparkError::new(
            format!("UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.{category}"),
            [("treeNode", format!("Sort [{}]", order.sql))],
        )
        .with_origin(order.origin.as_ref())),
        None => Ok(()),
    };
    refused("UNSUPPORTED_IN_EXISTS_SUBQUERY", &|e| matches!(e, DfExpr::Exists(_) | DfExpr::InSubquery(_)))?;
    refused("UNSUPPORTED_CORRELATED_SCALAR_SUBQUERY", &|e| matches!(e, DfExpr::ScalarSubquery(_)) && is_correlated(e))
}

pub(crate) fn sort_plan(
    plan: LogicalPlan,
    orders: &[ResolvedSort],
    is_global: bool,
    eval: &Arc<EvalContext>,
) -> Result<LogicalPlan> {
    let expr: Vec<_> = orders.iter().map(|order| order.to_datafusion(eval)).collect();
    if expr.is_empty() {
        return Ok(plan);
    }
    if !is_global {
        return Ok(sort_partitions::plan(plan, expr));
    }
    Ok(LogicalPlan::Sort(Sort { expr, input: Arc::new(plan), fetch: None }))
}
