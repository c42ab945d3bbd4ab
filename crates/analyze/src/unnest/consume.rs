//! Subqueries in expressions as joins with the plan around them.
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::Int64Type;
use datafusion::common::JoinType;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::logical_expr::expr::{AggregateFunction, Exists, InSubquery};
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, FetchType, LogicalPlan, LogicalPlanBuilder, SkipType, Subquery, lit,
};
use firesteel_functions::{EvalContext, ScalarArgs, SparkScalar, TypedExpr};
use firesteel_plan::{DataType, Result, SparkError};

use super::expr::{all_of, choose, column, equal_values, is_null_literal, is_outer_reference, plan_any};
use super::free::{Domain, Free, columns_and, defaulted, flagged, names_of};
use super::join::mark;
use crate::expr::row_values;
use crate::from_datafusion;
use crate::nodes::work_table::reads_level_around;
use crate::relation::{null_aware_anti_join, plain_join};
use crate::scope::{fresh_id, project};

/// The plan around the subqueries of one operator, which grows by a join for each of them.
pub struct Surroundings {
    pub plan: LogicalPlan,
    /// Subqueries that have a value already: the same one may be written several times.
    known: Vec<(Expr, Expr)>,
    /// Whether IN answers NULL for what is unknown: in ON, Spark computes an IN that reads no outer column at once.
    three_valued: bool,
}

impl Surroundings {
    pub fn new(plan: LogicalPlan) -> Self {
        Self { plan, known: vec![], three_valued: false }
    }

    /// The side of a join, around the subqueries of its condition.
    pub fn of_join(plan: LogicalPlan) -> Self {
        Self { three_valued: true, ..Self::new(plan) }
    }

    /// The value of a subquery, as an expression over the grown plan. Its own plan is free of subqueries.
    pub fn value(&mut self, original: &Expr, subquery: Expr) -> Result<Expr> {
        if let Some((_, value)) = self.known.iter().find(|(known, _)| known == original) {
            return Ok(value.clone());
        }
        let value = match subquery {
            Expr::ScalarSubquery(subquery) => self.scalar(subquery)?,
            Expr::Exists(Exists { subquery, negated }) => negated_if(negated, self.exists_value(&subquery)?),
            Expr::InSubquery(test) => self.in_value(test)?,
            other => return Ok(other),
        };
        self.known.push((original.clone(), value.clone()));
        Ok(value)
    }

    fn scalar(&mut self, subquery: Subquery) -> Result<Expr> {
        let plan = subquery.subquery.as_ref();
        if is_constant(plan) {
            // DataFusion computes it once, and checks that it has one row.
            return Ok(Expr::ScalarSubquery(Subquery { outer_ref_columns: vec![], ..subquery }));
        }
        let [value] =
            names_of(plan).try_into().map_err(|_| SparkError::internal("a scalar subquery of many columns"))?;
        let domain = Domain::new(self.plan.clone());
        if let Some(expressions) = one_row_expressions(plan)? {
            let expr = expressions.into_iter().next().map(|(_, expr)| expr).unwrap_or_else(|| lit(0));
            return domain.localize(expr);
        }
        let mut free = domain.push(plan)?;
        if free.has_inner_residual() {
            free = domain.bind(free, &[])?;
        }
        let guard = if free.single { None } else { Some(fresh_id("_n")) };
        let mut side = free;
        let mut answer = value.clone();
        if let Some(count) = &guard {
            answer = fresh_id("_s");
            side.plan = first_of_each(&side, &value, &answer, count)?;
        }
        // Every use of a subquery has columns of its own: the same plan may be joined twice.
        let renamed = fresh_id("_s");
        let mut columns = vec![column(&answer).alias(&renamed)];
        for key in &mut side.keys {
            let id = fresh_id("_k");
            columns.push(column(&key.inner).alias(&id));
            key.inner = id;
        }
        let count = guard.map(|count| {
            let id = fresh_id("_n");
            columns.push(column(&count).alias(&id));
            id
        });
        let mut plan = project(side.plan.clone(), columns)?;
        let default = side.default.as_ref().and_then(|d| d.get(&value)).filter(|d| !is_null_literal(d)).cloned();
        let flag = match &default {
            Some(_) => {
                let (with_flag, flag) = flagged(plan)?;
                plan = with_flag;
                Some(flag)
            }
            None => None,
        };
        let on = self.localized(&domain, side.condition())?;
        self.plan = plain_join(self.plan.clone(), plan, JoinType::Left, all_of(on))?;
        let value = match (default, flag) {
            (Some(default), Some(flag)) => defaulted(&renamed, &flag, domain.localize(default)?),
            _ => column(&renamed),
        };
        Ok(match count {
            Some(count) => choose(has_one_row(column(&count)), value, None),
            None => value,
        })
    }

    fn localized(&self, domain: &Domain, conditions: Vec<Expr>) -> Result<Vec<Expr>> {
        conditions.into_iter().map(|c| domain.localize(c)).collect()
    }

    fn exists_value(&mut self, subquery: &Subquery) -> Result<Expr> {
        let plan = existence(subquery.subquery.as_ref().clone());
        if is_constant(&plan) {
            return any_row(plan);
        }
        let domain = Domain::new(self.plan.clone());
        let free = domain.push(&plan)?;
        if free.default.is_some() {
            return Ok(lit(true));
        }
        let on = self.localized(&domain, free.condition())?;
        self.mark(free.plan, on)
    }

    /// Adds a column that tells whether a row of `right` meets the conditions.
    fn mark(&mut self, right: LogicalPlan, on: Vec<Expr>) -> Result<Expr> {
        let id = fresh_id("_e");
        let joined = plain_join(self.plan.clone(), right, JoinType::LeftMark, all_of(on))?;
        let columns = columns_and(&self.plan, [mark().alias(&id)]);
        self.plan = project(joined, columns)?;
        Ok(column(&id))
    }

    /// IN where its value is wanted. As in Spark, a comparison that is unknown counts as false for IN and as true below
    /// NOT IN; the value is never NULL.
    fn in_value(&mut self, test: InSubquery) -> Result<Expr> {
        let domain = Domain::new(self.plan.clone());
        let (free, equals) = in_parts(&domain, &test)?;
        let mut on = self.localized(&domain, free.condition())?;
        if self.three_valued && on.is_empty() && equals.iter().any(|e| e.nullable) {
            let value = self.three_valued(free.plan, equals)?;
            return Ok(negated_if(test.negated, value));
        }
        on.extend(equals.into_iter().map(|e| if test.negated { e.or_unknown() } else { e.equal }));
        let found = self.mark(free.plan, on)?;
        Ok(negated_if(test.negated, found))
    }

    /// Whether a row meets all comparisons: true, false or unknown.
    fn three_valued(&mut self, right: LogicalPlan, equals: Vec<Compared>) -> Result<Expr> {
        let found = self.mark(right.clone(), equals.iter().map(|e| e.equal.clone()).collect())?;
        let unknown = self.mark(right, equals.into_iter().map(Compared::or_unknown).collect())?;
        let null = Expr::Literal(datafusion::common::ScalarValue::Boolean(None), None);
        Ok(choose(found, lit(true), Some(choose(unknown, null, Some(lit(false))))))
    }

    /// A subquery that is a condition of its own keeps or drops rows: a semi or an anti join. Answers whether it is one.
    pub fn test(&mut self, condition: &Expr) -> Result<bool> {
        match condition {
            Expr::Not(inner) => match inner.as_ref() {
                Expr::Exists(exists) => self.test_exists(&exists.subquery, !exists.negated),
                Expr::InSubquery(test) => {
                    self.test_in(&InSubquery { negated: !test.negated, ..test.clone() })?;
                    Ok(true)
                }
                _ => Ok(false),
            },
            Expr::Exists(exists) => self.test_exists(&exists.subquery, exists.negated),
            Expr::InSubquery(test) => {
                self.test_in(test)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn test_exists(&mut self, subquery: &Subquery, negated: bool) -> Result<bool> {
        let plan = existence(subquery.subquery.as_ref().clone());
        if is_constant(&plan) {
            return Ok(false);
        }
        let domain = Domain::new(self.plan.clone());
        let free = domain.push(&plan)?;
        if free.default.is_some() {
            return Ok(false);
        }
        let on = self.localized(&domain, free.condition())?;
        let join_type = if negated { JoinType::LeftAnti } else { JoinType::LeftSemi };
        self.plan = plain_join(self.plan.clone(), free.plan, join_type, all_of(on))?;
        Ok(true)
    }

    fn test_in(&mut self, test: &InSubquery) -> Result<()> {
        let domain = Domain::new(self.plan.clone());
        let (free, equals) = in_parts(&domain, test)?;
        let mut on = self.localized(&domain, free.condition())?;
        let left = self.plan.clone();
        let nullable = equals.iter().any(|e| e.nullable);
        self.plan = match (test.negated, equals.as_slice()) {
            (true, [one]) if nullable && on.is_empty() && one.is_hashable() => {
                null_aware_anti_join(left, free.plan, Some(one.equal.clone()))?
            }
            (true, _) => {
                // A comparison that is unknown drops the row as well.
                on.extend(equals.into_iter().map(Compared::or_unknown));
                plain_join(left, free.plan, JoinType::LeftAnti, all_of(on))?
            }
            (false, _) => {
                on.extend(equals.into_iter().map(|e| e.equal));
                plain_join(left, free.plan, JoinType::LeftSemi, all_of(on))?
            }
        };
        Ok(())
    }
}

/// One comparison of IN.
struct Compared {
    equal: Expr,
    nullable: bool,
}

impl Compared {
    /// The comparison holds, or has no answer.
    fn or_unknown(self) -> Expr {
        if self.nullable { self.equal.clone().or(self.equal.is_null()) } else { self.equal }
    }

    /// Whether a hash join can take it as its key: both sides read their own input.
    fn is_hashable(&self) -> bool {
        match &self.equal {
            Expr::BinaryExpr(binary) => {
                !binary.left.column_refs().is_empty()
                    && !binary.right.column_refs().is_empty()
                    && !super::expr::any(&self.equal, is_outer_reference)
            }
            _ => false,
        }
    }
}

fn in_parts(domain: &Domain, test: &InSubquery) -> Result<(Free, Vec<Compared>)> {
    let plan = test.subquery.subquery.as_ref();
    let mut free = domain.push(plan)?;
    if free.default.is_some() {
        free = domain.bind(free, &[])?;
    }
    let outer = domain.outer.schema();
    let mut equals = vec![];
    for (value, name) in row_values(&test.expr).into_iter().zip(names_of(plan)) {
        use datafusion::logical_expr::ExprSchemable;
        let inner = free.plan.schema().field_with_unqualified_name(&name).map_err(from_datafusion)?.is_nullable();
        let nullable = inner || value.nullable(outer.as_ref()).map_err(from_datafusion)?;
        equals.push(Compared { equal: equal_values(value, column(&name), &free.plan)?, nullable });
    }
    Ok((free, equals))
}

fn negated_if(negated: bool, value: Expr) -> Expr {
    if negated { Expr::Not(Box::new(value)) } else { value }
}

/// The first value and the number of rows for each combination of keys.
fn first_of_each(free: &Free, value: &str, answer: &str, count: &str) -> Result<LogicalPlan> {
    let first = first_value(column(value), vec![]).alias(answer);
    let counted = AggregateFunction::new_udf(count_udaf(), vec![lit(1_i64)], false, None, vec![], None);
    let functions = vec![first, Expr::AggregateFunction(counted).alias(count)];
    let mut keys = vec![];
    for key in free.key_columns() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let plan = Aggregate::try_new(Arc::new(free.plan.clone()), keys, functions).map_err(from_datafusion)?;
    Ok(LogicalPlan::Aggregate(plan))
}

static CHECKING: LazyLock<Arc<EvalContext>> = LazyLock::new(Arc::default);

/// TRUE for a count of at most one, else the error of a scalar subquery. Volatile, so that it stays where it is: groups
/// that no outer row meets may have many rows.
fn has_one_row(count: Expr) -> Expr {
    let check = |args: &ScalarArgs<'_>| {
        let counts = args.array(0)?;
        let counts = counts.as_primitive::<Int64Type>();
        if counts.iter().flatten().any(|n| n > 1) {
            return Err(SparkError::of("SCALAR_SUBQUERY_TOO_MANY_ROWS"));
        }
        Ok(Arc::new(BooleanArray::from(vec![true; counts.len()])) as ArrayRef)
    };
    let count = TypedExpr::new(count, DataType::Long, true, "");
    SparkScalar::call("scalar_subquery_row", check, vec![count], DataType::Boolean, false, &CHECKING)
        .volatile()
        .build()
        .expr
}

/// Whether the subquery has the same rows whatever is around it.
fn is_constant(plan: &LogicalPlan) -> bool {
    !plan_any(plan, &is_outer_reference) && !reads_level_around(plan)
}

/// Whether the plan has a row, as a scalar subquery that is computed once.
fn any_row(plan: LogicalPlan) -> Result<Expr> {
    let counted = AggregateFunction::new_udf(count_udaf(), vec![lit(1_i64)], false, None, vec![], None);
    let id = fresh_id("_e");
    let plan = LogicalPlanBuilder::from(plan)
        .limit(0, Some(1))
        .and_then(|b| b.aggregate(Vec::<Expr>::new(), vec![Expr::AggregateFunction(counted).alias(&id)]))
        .and_then(|b| b.project(vec![column(&id).gt(lit(0_i64)).alias(fresh_id("_e"))]))
        .and_then(|b| b.build())
        .map_err(from_datafusion)?;
    Ok(Expr::ScalarSubquery(crate::expr::as_subquery(plan)))
}

/// The plan without what does not change whether it has rows.
fn existence(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Projection(p) if !matches!(p.input.as_ref(), LogicalPlan::EmptyRelation(_)) => {
            existence(Arc::unwrap_or_clone(p.input))
        }
        LogicalPlan::Sort(sort) => existence(Arc::unwrap_or_clone(sort.input)),
        LogicalPlan::Distinct(Distinct::All(input)) => existence(Arc::unwrap_or_clone(input)),
        LogicalPlan::Limit(limit) => {
            let keeps_some = matches!(limit.get_skip_type(), Ok(SkipType::Literal(0)))
                && matches!(limit.get_fetch_type(), Ok(FetchType::Literal(None | Some(1..))));
            if keeps_some { existence(Arc::unwrap_or_clone(limit.input)) } else { LogicalPlan::Limit(limit) }
        }
        other => other,
    }
}

/// The columns of a plan that is but a projection of one row, as expressions over outer columns.
pub fn one_row_expressions(plan: &LogicalPlan) -> Result<Option<Vec<(String, Expr)>>> {
    match plan {
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row && empty.schema.fields().is_empty() => {
            Ok(Some(vec![]))
        }
        LogicalPlan::Projection(projection) => {
            let Some(below) = one_row_expressions(&projection.input)? else { return Ok(None) };
            let below = below.into_iter().collect();
            let columns = projection.expr.iter().map(|expr| {
                let name = expr.schema_name().to_string();
                Ok((name, super::expr::with_values(expr.clone().unalias(), &below)?))
            });
            columns.collect::<Result<_>>().map(Some)
        }
        _ => Ok(None),
    }
}
