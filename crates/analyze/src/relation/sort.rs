//! ORDER BY, SORT BY and ORDER BY ALL.
use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, Sort};
use firesteel_plan::relation::SortAllOrder;
use firesteel_plan::{ExprKind, Literal, Relation, Result, SortOrder, SparkError};

use crate::analyzer::Analyzer;
use crate::expr::ResolvedSort;
use crate::nodes::sort_partitions;
use crate::scope::Resolved;

impl Analyzer<'_> {
    pub(super) fn sort(&self, input: &Relation, order: &[SortOrder], is_global: bool) -> Result<Resolved> {
        let input = self.relation(input)?;
        let scope = self.scope_with_below(&input);
        let mut orders = vec![];
        for element in order {
            match self.sort_element(element, &input, &scope)? {
                SortElement::One(sort) => orders.push(sort),
                SortElement::Every(all) => orders.extend(all),
            }
        }
        let typed = orders.iter().map(|o| o.typed.clone()).collect();
        let (input, rewritten) = self.over_aggregate(input, typed, &scope)?;
        let (plan, expressions) =
            self.windows_below(input.plan.clone(), rewritten.iter().map(|t| t.expr.clone()).collect())?;
        for ((order, typed), expr) in orders.iter_mut().zip(rewritten).zip(expressions) {
            order.typed = firesteel_functions::TypedExpr { expr, ..typed };
        }
        let plan = sort_plan(plan, &orders, is_global)?;
        Ok(input.closed(plan))
    }

    fn sort_element(&self, element: &SortOrder, input: &Resolved, scope: &crate::expr::Scope) -> Result<SortElement> {
        match element.child.kind.as_ref() {
            ExprKind::Literal(Literal::Integer(position)) if self.eval.flag("spark.sql.orderByOrdinal", true) => {
                let index = usize::try_from(*position).ok().and_then(|p| p.checked_sub(1));
                let attribute = index.and_then(|i| input.output.get(i)).ok_or_else(|| {
                    SparkError::new(
                        "ORDER_BY_POS_OUT_OF_RANGE",
                        [("index", position.to_string()), ("size", input.output.len().to_string())],
                    )
                    .with_origin(element.child.origin.as_ref())
                })?;
                Ok(SortElement::One(self.sort_by(attribute.typed(), element)?))
            }
            ExprKind::Star { .. } => {
                let columns = self.expand_star(&element.child, scope)?;
                let all = columns.into_iter().map(|c| self.sort_by(c.typed, element)).collect::<Result<_>>()?;
                Ok(SortElement::Every(all))
            }
            _ => Ok(SortElement::One(self.sort_order(element, scope)?)),
        }
    }

    pub(super) fn sort_all(&self, input: &Relation, order: &SortAllOrder) -> Result<Resolved> {
        let input = self.relation(input)?;
        let mut orders = vec![];
        for attribute in &input.output {
            let element = SortOrder {
                child: firesteel_plan::Expr::name(&attribute.name),
                direction: order.direction,
                nulls: order.nulls,
            };
            orders.push(self.sort_by(attribute.typed(), &element)?);
        }
        let plan = sort_plan(input.plan.clone(), &orders, true)?;
        Ok(input.closed(plan))
    }
}

enum SortElement {
    One(ResolvedSort),
    Every(Vec<ResolvedSort>),
}

pub(crate) fn sort_plan(plan: LogicalPlan, orders: &[ResolvedSort], is_global: bool) -> Result<LogicalPlan> {
    let expr: Vec<_> = orders.iter().map(ResolvedSort::to_datafusion).collect();
    if expr.is_empty() {
        return Ok(plan);
    }
    if !is_global {
        return Ok(sort_partitions::plan(plan, expr));
    }
    Ok(LogicalPlan::Sort(Sort { expr, input: Arc::new(plan), fetch: None }))
}
