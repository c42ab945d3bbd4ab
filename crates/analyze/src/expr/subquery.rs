//! Subqueries in expressions: scalar, EXISTS, IN. Outer columns become outer references.
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::Spans;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlanBuilder, Subquery};
use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::comparison::comparable;
use firesteel_functions::{EvalContext, ScalarArgs, SparkScalar, TypedExpr, coerce};
use firesteel_plan::{DataType, Expr, Relation, Result, SparkError};

use super::{Scope, quoted_sql};
use crate::analyzer::Analyzer;
use crate::from_datafusion;
use crate::scope::{Resolved, fresh_id};

impl Analyzer<'_> {
    /// Analyzes a query that may use the columns of `scope`.
    pub(crate) fn subquery(&self, query: &Relation, scope: &Scope) -> Result<Resolved> {
        self.outer.borrow_mut().push(Rc::new(scope.clone()));
        let resolved = self.relation(query).and_then(Resolved::sealed);
        self.outer.borrow_mut().pop();
        resolved
    }

    pub(super) fn scalar_subquery(&self, query: &Relation, scope: &Scope) -> Result<TypedExpr> {
        let resolved = self.subquery(query, scope)?;
        let [column] = resolved.output.as_slice() else {
            return Err(SparkError::new(
                "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN",
                [("number", resolved.output.len().to_string())],
            ));
        };
        let (data_type, subquery) = (column.data_type.clone(), as_subquery(resolved.plan));
        let sql = format!("scalarsubquery({})", outer_names(&subquery));
        Ok(TypedExpr::new(DfExpr::ScalarSubquery(subquery), data_type, true, sql))
    }

    pub(super) fn exists(&self, query: &Relation, scope: &Scope) -> Result<TypedExpr> {
        self.exists_flagged(query, scope, false)
    }

    pub(super) fn not_exists(&self, query: &Relation, scope: &Scope) -> Result<TypedExpr> {
        self.exists_flagged(query, scope, true)
    }

    fn exists_flagged(&self, query: &Relation, scope: &Scope, negated: bool) -> Result<TypedExpr> {
        let subquery = as_subquery(self.subquery(query, scope)?.plan);
        let sql = format!("exists({})", outer_names(&subquery));
        let sql = if negated { format!("(NOT {sql})") } else { sql };
        Ok(TypedExpr::new(DfExpr::Exists(Exists { subquery, negated }), DataType::Boolean, false, sql))
    }

    pub(super) fn in_subquery(&self, values: &[Expr], query: &Relation, scope: &Scope) -> Result<TypedExpr> {
        self.in_flagged(values, query, scope, false)
    }

    pub(super) fn in_subquery_negated(&self, values: &[Expr], query: &Relation, scope: &Scope) -> Result<TypedExpr> {
        self.in_flagged(values, query, scope, true)
    }

    fn in_flagged(&self, values: &[Expr], query: &Relation, scope: &Scope, negated: bool) -> Result<TypedExpr> {
        let mut left: Vec<TypedExpr> = values.iter().map(|v| self.expression(v, scope)).collect::<Result<_>>()?;
        let resolved = self.subquery(query, scope)?;
        if left.len() != resolved.output.len() {
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH",
                [
                    ("sqlExpr", "\"(IN (listquery()))\"".to_string()),
                    ("leftLength", left.len().to_string()),
                    ("rightLength", resolved.output.len().to_string()),
                    ("leftColumns", left.iter().map(quoted_sql).collect::<Vec<_>>().join(", ")),
                    (
                        "rightColumns",
                        resolved.output.iter().map(|a| format!("\"{}\"", a.name)).collect::<Vec<_>>().join(", "),
                    ),
                ],
            ));
        }
        let shown: Vec<_> = left.iter().map(|v| v.sql.clone()).collect();
        let mut right: Vec<TypedExpr> = resolved.output.iter().map(|a| a.typed()).collect();
        for (l, r) in left.iter_mut().zip(right.iter_mut()) {
            self.unify(l, r)?;
        }
        let nullable = left.iter().chain(&right).any(|v| v.nullable);
        let columns = right.into_iter().map(|column| comparable(column, &self.eval).alias(fresh_id("in")));
        let plan = LogicalPlanBuilder::from(resolved.plan)
            .project(columns)
            .and_then(|b| b.build())
            .map_err(from_datafusion)?;
        let subquery = as_subquery(plan);
        let list = format!("listquery({})", outer_names(&subquery));
        let shown = if shown.len() == 1 { shown.join("") } else { format!("named_struct({})", shown.join(", ")) };
        let sql = format!("({shown} IN ({list}))");
        let sql = if negated { format!("(NOT {sql})") } else { sql };
        let expr = DfExpr::InSubquery(InSubquery::new(Box::new(row(left, &self.eval)), subquery, negated));
        Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql))
    }

    /// Casts both sides of a comparison to their common type.
    fn unify(&self, left: &mut TypedExpr, right: &mut TypedExpr) -> Result<()> {
        if left.data_type.same_type(&right.data_type) {
            return Ok(());
        }
        let Some(common) = coerce::wider_type(&left.data_type, &right.data_type, &self.eval) else {
            return Err(SparkError::new(
                "DATATYPE_MISMATCH.IN_SUBQUERY_DATA_TYPE_MISMATCH",
                [
                    ("sqlExpr", format!("\"({} IN (listquery()))\"", left.sql)),
                    ("mismatchedColumns", format!("{}:{}", left.sql, right.sql)),
                    ("leftType", format!("\"{}\"", left.data_type.sql())),
                    ("rightType", format!("\"{}\"", right.data_type.sql())),
                ],
            ));
        };
        let mode = CastMode::of(&self.eval);
        *left = cast(left.clone(), &common, mode, &self.eval)?;
        *right = cast(right.clone(), &common, mode, &self.eval)?;
        Ok(())
    }
}

const ROW: &str = "row";

/// The values on the left of IN, as the one expression that DataFusion has room for.
fn row(mut values: Vec<TypedExpr>, eval: &Arc<EvalContext>) -> DfExpr {
    for value in &mut values {
        value.expr = comparable(value.clone(), eval);
    }
    if values.len() == 1 {
        return values.remove(0).expr;
    }
    let refuse = |_: &ScalarArgs<'_>| Err(SparkError::internal("a row of values was not taken apart"));
    SparkScalar::call(ROW, refuse, values, DataType::Null, true, eval).build().expr
}

/// The values that a [`row`] was made of.
pub(crate) fn row_values(expr: &DfExpr) -> Vec<DfExpr> {
    match expr {
        DfExpr::ScalarFunction(call) if call.func.name() == ROW => call.args.clone(),
        other => vec![other.clone()],
    }
}

/// Wraps a plan for use in an expression, noting the outer columns it reads.
pub(crate) fn as_subquery(plan: datafusion::logical_expr::LogicalPlan) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: Spans::new() }
}

/// The outer columns by their plain names, as Spark shows them in a subquery's text.
fn outer_names(subquery: &Subquery) -> String {
    let names = subquery.outer_ref_columns.iter().filter_map(|e| match e {
        DfExpr::OuterReferenceColumn(_, column) => {
            Some(column.name.rsplit_once('#').map_or(column.name.as_str(), |(name, _)| name).to_string())
        }
        _ => None,
    });
    names.collect::<Vec<_>>().join(", ")
}
