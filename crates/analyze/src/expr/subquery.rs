//! Subqueries in expressions: scalar, EXISTS, IN. Outer columns become outer references.
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::Spans;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, Subquery};
use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::comparison::comparable;
use firesteel_functions::{EvalContext, ScalarArgs, SparkScalar, TypedExpr, coerce};
use firesteel_plan::{DataType, Expr, ExprKind, JoinType, Relation, Result, SparkError};

use super::{Scope, quoted_sql};
use crate::analyzer::Analyzer;
use crate::from_datafusion;
use crate::relation::join::join_plan;
use crate::relation::leaf::one_row_plan;
use crate::scope::Resolved;

impl Analyzer<'_> {
    /// Analyzes a query that may use the columns of `scope`.
    pub(crate) fn subquery(&self, query: &Relation, scope: &Scope) -> Result<Resolved> {
        let around = Rc::new(scope.clone());
        self.outer.borrow_mut().push(Rc::clone(&around));
        let hints = self.hints.take();
        let limit_all = self.limit_all.replace(false);
        let resolved = self.relation(query).and_then(Resolved::sealed);
        self.limit_all.set(limit_all);
        self.hints.replace(hints);
        self.outer.borrow_mut().pop();
        scope.used_below.borrow_mut().clone_from(&around.used_below.borrow());
        resolved
    }

    /// A subquery of an expression. The same text over the same columns is the same subquery, so that a select list can
    /// name what GROUP BY has.
    fn subquery_expression(&self, query: &Relation, scope: &Scope) -> Result<Resolved> {
        let columns: Vec<String> = scope.output.iter().chain(&scope.hidden).map(|a| a.id.clone()).collect();
        let plain = scope.lambdas.borrow().is_empty() && scope.below.is_none();
        let known = |known: &&KnownSubquery| known.columns == columns && known.query == *query;
        if let (true, Some(found)) = (plain, self.subqueries.borrow().iter().find(known)) {
            return Ok(found.resolved.clone());
        }
        let resolved = self.subquery(query, scope)?;
        if scope.over_aggregate
            && let Some(grouped) = self.grouped_subquery(query, &resolved, scope)
        {
            return Ok(grouped);
        }
        if plain && !columns.is_empty() {
            let known = KnownSubquery { query: query.clone(), columns, resolved: resolved.clone() };
            self.subqueries.borrow_mut().push(known);
        }
        Ok(resolved)
    }

    /// The same subquery over the columns below the aggregate, where it reads what passes through: GROUP BY may have it.
    fn grouped_subquery(&self, query: &Relation, resolved: &Resolved, scope: &Scope) -> Option<Resolved> {
        let below = scope.below.as_ref()?;
        let columns: Vec<&String> = below.output.iter().chain(&below.hidden).map(|a| &a.id).collect();
        let read = |resolved: &Resolved| as_subquery(resolved.plan.clone()).outer_ref_columns;
        let subqueries = self.subqueries.borrow();
        let mut same =
            subqueries.iter().filter(|known| known.query == *query && known.columns.iter().eq(columns.iter().copied()));
        let read_here = read(resolved);
        same.find(|known| read(&known.resolved) == read_here).map(|known| known.resolved.clone())
    }

    pub(super) fn scalar_subquery(&self, query: &Relation, scope: &Scope) -> Result<TypedExpr> {
        let resolved = self.subquery_expression(query, scope)?;
        let [column] = resolved.output.as_slice() else {
            return Err(SparkError::new(
                "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN",
                [("number", resolved.output.len().to_string())],
            ));
        };
        let (data_type, mut subquery) = (column.data_type.clone(), as_subquery(resolved.plan));
        if subquery.outer_ref_columns.is_empty() && !answers_always(&subquery.subquery) {
            subquery = as_subquery(with_null_row(subquery.subquery.as_ref().clone())?);
        }
        let sql = format!("scalarsubquery({})", outer_names(&subquery, scope));
        Ok(TypedExpr::new(DfExpr::ScalarSubquery(subquery), data_type, true, sql))
    }

    pub(super) fn exists(&self, query: &Relation, scope: &Scope) -> Result<TypedExpr> {
        self.exists_flagged(query, scope, false)
    }

    pub(super) fn not_exists(&self, query: &Relation, scope: &Scope) -> Result<TypedExpr> {
        self.exists_flagged(query, scope, true)
    }

    fn exists_flagged(&self, query: &Relation, scope: &Scope, negated: bool) -> Result<TypedExpr> {
        let subquery = as_subquery(self.subquery_expression(query, scope)?.plan);
        let sql = format!("exists({})", outer_names(&subquery, scope));
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
        let resolved = self.subquery_expression(query, scope)?;
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
        let shown = shown_values(values, &left);
        let mut right: Vec<TypedExpr> = resolved.output.iter().map(|a| a.typed()).collect();
        for (l, r) in left.iter_mut().zip(right.iter_mut()) {
            self.unify(l, r)?;
        }
        let nullable = left.iter().chain(&right).any(|v| v.nullable);
        let columns = right.into_iter().enumerate().map(|(index, column)| {
            comparable(column, &self.eval).alias(format!("in {index} {}", resolved.output[index].id))
        });
        let plan = LogicalPlanBuilder::from(resolved.plan)
            .project(columns)
            .and_then(|b| b.build())
            .map_err(from_datafusion)?;
        let subquery = as_subquery(plan);
        let list = format!("listquery({})", outer_names(&subquery, scope));
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

/// The left side as Spark shows it: several values are a struct of named ones.
fn shown_values(written: &[Expr], values: &[TypedExpr]) -> String {
    if let [one] = values {
        return one.sql.clone();
    }
    let pair = |(index, (expr, value)): (usize, (&Expr, &TypedExpr))| {
        let name = match expr.kind.as_ref() {
            ExprKind::Attribute { name, .. } => name.last().cloned().unwrap_or_default(),
            ExprKind::Literal(_) => value.sql.clone(),
            _ => format!("_{index}"),
        };
        format!("'{name}', {}", value.sql)
    };
    let pairs: Vec<_> = written.iter().zip(values).enumerate().map(pair).collect();
    format!("named_struct({})", pairs.join(", "))
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

/// The outer columns by the names they have there, each time they are read, as Spark shows them in a subquery's text.
fn outer_names(subquery: &Subquery, scope: &Scope) -> String {
    let mut names: Vec<String> = vec![];
    // The visitors themselves cannot fail.
    let _ = subquery.subquery.apply(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|node| {
                if let DfExpr::OuterReferenceColumn(_, column) = node {
                    let attribute = scope.all_columns().find(|a| a.id == column.name);
                    names.push(attribute.map_or_else(|| plain_name(&column.name), |a| a.name.clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    names.join(", ")
}

fn plain_name(id: &str) -> String {
    id.rsplit_once('#').map_or(id, |(name, _)| name).to_string()
}

/// A subquery that was analyzed for an expression.
pub(crate) struct KnownSubquery {
    query: Relation,
    /// Ids of the columns around it.
    columns: Vec<String>,
    resolved: Resolved,
}

/// Whether an expression reads columns of the row around its query, and none of its own.
pub(crate) fn is_of_outer_row(expr: &DfExpr) -> bool {
    expr.column_refs().is_empty() && expr.exists(|e| Ok(matches!(e, DfExpr::OuterReferenceColumn(..)))).unwrap_or(false)
}

/// Whether a subquery reads the row around it.
pub(crate) fn is_correlated(expr: &DfExpr) -> bool {
    match expr {
        DfExpr::ScalarSubquery(subquery) => !subquery.outer_ref_columns.is_empty(),
        DfExpr::Exists(exists) => !exists.subquery.outer_ref_columns.is_empty(),
        DfExpr::InSubquery(test) => !test.subquery.outer_ref_columns.is_empty(),
        _ => false,
    }
}

fn has_nested_aggregate(node: &DfExpr) -> bool {
    let is_aggregate = |e: &DfExpr| Ok(matches!(e, DfExpr::AggregateFunction(_)));
    matches!(node, DfExpr::AggregateFunction(call) if call.params.args.iter().any(|a| a.exists(is_aggregate).unwrap_or(false)))
}

/// Refuses columns of the row around the query where Spark has no place for them.
pub(crate) fn refuse_outer_references<'e>(expressions: impl IntoIterator<Item = &'e TypedExpr>) -> Result<()> {
    match expressions.into_iter().find(|e| e.has_outer_reference()) {
        Some(nested) if nested.any(has_nested_aggregate) => {
            Err(SparkError::of("NESTED_AGGREGATE_FUNCTION").with_origin(nested.origin.as_ref()))
        }
        Some(refused) => Err(SparkError::new(
            "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.CORRELATED_REFERENCE",
            [("sqlExprs", quoted_sql(refused))],
        )
        .with_origin(refused.origin.as_ref())),
        None => Ok(()),
    }
}

/// Whether the plan has a row whatever its input.
fn answers_always(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => answers_always(&projection.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

/// The plan with a row of NULLs where it has none: DataFusion takes a scalar subquery for NULL only where its column may
/// be.
fn with_null_row(plan: LogicalPlan) -> Result<LogicalPlan> {
    if plan.schema().fields().iter().all(|field| field.is_nullable()) {
        return Ok(plan);
    }
    join_plan(one_row_plan(), plan, JoinType::LeftOuter, None)
}
