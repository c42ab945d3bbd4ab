//! Operators with one input that keep its columns: limits, distinct, partitioning, sampling, metrics.
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Limit, LogicalPlan, LogicalPlanBuilder, lit};
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::{CastMode, cast};
use firesteel_plan::relation::SampleMethod;
use firesteel_plan::{DataType, Expr, ExprKind, JavaException, Relation, Result, SparkError};

use super::setop::check_comparable;
use crate::analyzer::{Analyzer, ObservedMetrics};
use crate::expr::{Scope, SelectItem, quoted_sql};
use crate::from_datafusion;
use crate::keys::{Keys, distinct};
use crate::nodes::{exchange, observe, partition_columns, poisson, tail};
use crate::scope::{Attribute, Resolved, fresh_id, project};

impl Analyzer<'_> {
    pub(super) fn limit(&self, input: &Relation, limit: &Expr) -> Result<Resolved> {
        let input = self.relation(input)?;
        let count = self.row_count(limit, "limit")?;
        let plan = limit_plan(input.plan.clone(), 0, Some(count));
        Ok(input.closed(plan))
    }

    pub(super) fn offset(&self, input: &Relation, offset: &Expr) -> Result<Resolved> {
        let input = self.relation(input)?;
        let count = self.row_count(offset, "offset")?;
        let plan = limit_plan(input.plan.clone(), count, None);
        Ok(input.closed(plan))
    }

    pub(super) fn tail(&self, input: &Relation, limit: &Expr) -> Result<Resolved> {
        let input = self.relation(input)?.sealed()?;
        let count = self.row_count(limit, "tail")?;
        let plan = tail::plan(input.plan.clone(), usize::try_from(count).unwrap_or(usize::MAX));
        Ok(input.closed(plan))
    }

    /// The constant of a LIMIT or OFFSET clause: an INT of at least 0.
    fn row_count(&self, expr: &Expr, name: &str) -> Result<i64> {
        let condition = |kind: &str| format!("INVALID_LIMIT_LIKE_EXPRESSION.{kind}");
        let scope = Scope { refuses_routines: Some("GlobalLimit"), ..Scope::empty() };
        let typed = self.expression(expr, &scope).map_err(|e| {
            if e.is("UNRESOLVED_COLUMN") {
                let text = expr.origin.as_ref().map_or_else(String::new, |o| o.fragment());
                return SparkError::new(
                    condition("IS_UNFOLDABLE"),
                    [("name", name.to_string()), ("expr", format!("\"{text}\""))],
                )
                .with_origin(expr.origin.as_ref());
            }
            e
        })?;
        let error = |kind: &str, more: Vec<(&str, String)>| {
            let mut parameters = vec![("name", name.to_string()), ("expr", quoted_sql(&typed))];
            parameters.extend(more);
            SparkError::new(condition(kind), parameters).with_origin(expr.origin.as_ref())
        };
        if !typed.is_foldable() {
            return Err(error("IS_UNFOLDABLE", vec![]));
        }
        if !matches!(typed.data_type, DataType::Integer | DataType::Short | DataType::Byte) {
            return Err(error("DATA_TYPE", vec![("dataType", format!("\"{}\"", typed.data_type.sql()))]));
        }
        let wide = cast(typed.clone(), &DataType::Long, CastMode::Ansi, &self.eval)?;
        match crate::expr::literal::evaluate(&wide)? {
            Some(ScalarValue::Int64(Some(value))) if value >= 0 => Ok(value),
            Some(ScalarValue::Int64(Some(value))) => Err(error("IS_NEGATIVE", vec![("v", value.to_string())])),
            _ => Err(error("IS_NULL", vec![])),
        }
    }

    pub(super) fn distinct(&self, input: &Relation) -> Result<Resolved> {
        let input = self.relation(input)?.sealed()?;
        self.distinct_resolved(input)
    }

    pub(crate) fn distinct_resolved(&self, input: Resolved) -> Result<Resolved> {
        check_comparable(&input.output)?;
        if input.output.is_empty() {
            let plan = limit_plan(input.plan.clone(), 0, Some(1));
            return Ok(input.closed(plan));
        }
        let input = input.sealed()?;
        let plan = distinct(input.plan.clone(), &input.output, &self.eval)?;
        Ok(input.closed(plan))
    }

    /// `dropDuplicates(columns)`: one row of each group.
    pub(super) fn deduplicate(&self, input: &Relation, columns: &[String], within_watermark: bool) -> Result<Resolved> {
        if within_watermark {
            return Err(SparkError::unsupported("dropDuplicatesWithinWatermark (streaming)"));
        }
        let input = self.relation(input)?.sealed()?;
        if columns.is_empty() {
            return self.distinct_resolved(input);
        }
        let mut keys: Vec<Attribute> = vec![];
        for name in columns {
            let found: Vec<_> = input.output.iter().filter(|a| self.same_name(&a.name, name)).cloned().collect();
            if found.is_empty() {
                let names: Vec<_> = input.output.iter().map(|a| a.name.as_str()).collect();
                return Err(SparkError::new(
                    "CONNECT_INVALID_PLAN.UNRESOLVED_COLUMN_AMONG_FIELD_NAMES",
                    [("colName", name.clone()), ("fieldNames", names.join(", "))],
                ));
            }
            keys.extend(found);
        }
        let is_key = |a: &Attribute| keys.iter().any(|k| k.id == a.id);
        let mut grouped = Keys::default();
        let mut values = vec![];
        let mut output = vec![];
        for attribute in &input.output {
            if is_key(attribute) {
                grouped.push(attribute.typed(), &attribute.id, &self.eval);
                output.extend(grouped.columns.last().cloned());
                continue;
            }
            let first = self.builtin("first", vec![attribute.typed()])?;
            let id = fresh_id(&attribute.name);
            values.push(first.expr.alias(&id));
            output.push(
                datafusion::logical_expr::Expr::Column(datafusion::common::Column::from_name(id)).alias(&attribute.id),
            );
        }
        values.extend(grouped.functions);
        let plan = LogicalPlanBuilder::from(input.plan.clone())
            .aggregate(grouped.groups, values)
            .and_then(|b| b.build())
            .map_err(from_datafusion)?;
        let plan = project(plan, output)?;
        Ok(input.closed(plan))
    }

    pub(super) fn repartition(&self, input: &Relation, num_partitions: i32, shuffle: bool) -> Result<Resolved> {
        let input = self.relation(input)?;
        let count = partition_count(num_partitions)?;
        let kind = if shuffle { exchange::Kind::RoundRobin(count) } else { exchange::Kind::Coalesce(count) };
        let plan = exchange::plan(input.plan.clone(), kind);
        Ok(input.closed(plan))
    }

    pub(super) fn repartition_by(
        &self,
        input: &Relation,
        expressions: &[Expr],
        num_partitions: Option<i32>,
    ) -> Result<Resolved> {
        let input = self.relation(input)?;
        let scope = self.scope_with_below(&input);
        let count = match num_partitions {
            Some(n) => partition_count(n)?,
            None => self.shuffle_partitions(),
        };
        if let Some(id) = direct_partition_id(expressions) {
            let id = cast(self.expression(id, &scope)?, &DataType::Integer, CastMode::of(&self.eval), &self.eval)?;
            let input = self.with_used_below(input, &scope)?;
            let plan = exchange::plan(input.plan.clone(), exchange::Kind::Direct(id.expr, count));
            return Ok(input.closed(plan));
        }
        let mut keys = vec![];
        let mut orders = vec![];
        for expression in expressions {
            match expression.kind.as_ref() {
                ExprKind::SortOrder(order) => orders.push(self.sort_order(order, &scope)?),
                _ => keys.push(self.expression(expression, &scope)?.expr),
            }
        }
        let input = self.with_used_below(input, &scope)?;
        let kind = match (keys.is_empty(), orders.is_empty()) {
            (true, true) => exchange::Kind::RoundRobin(count),
            (_, true) => exchange::Kind::Hash(keys, count),
            _ => {
                orders.extend(keys.into_iter().map(|expr| crate::expr::ResolvedSort {
                    typed: TypedExpr::new(expr, DataType::Null, true, ""),
                    ascending: true,
                    nulls_first: true,
                }));
                exchange::Kind::Range(orders.iter().map(|o| o.to_datafusion(&self.eval)).collect(), count)
            }
        };
        let plan = exchange::plan(input.plan.clone(), kind);
        Ok(input.closed(plan))
    }

    fn shuffle_partitions(&self) -> usize {
        let set = self.eval.get("spark.sql.shuffle.partitions").and_then(|v| v.parse().ok()).filter(|n| *n > 0);
        set.unwrap_or(200)
    }

    pub(super) fn sample(&self, input: &Relation, method: &SampleMethod, seed: Option<i64>) -> Result<Resolved> {
        let input = self.relation(input)?;
        match method {
            SampleMethod::Rows(count) => {
                let count = self.row_count(count, "limit")?;
                let plan = limit_plan(input.plan.clone(), 0, Some(count));
                Ok(input.closed(plan))
            }
            SampleMethod::Fraction { lower, upper, with_replacement } => {
                self.sample_fraction(input, *lower, *upper, *with_replacement, seed)
            }
            SampleMethod::Bucket { numerator, denominator } => {
                if *numerator > *denominator {
                    return Err(SparkError::new(
                        "_LEGACY_ERROR_TEMP_0015",
                        [("fraction", format!("{numerator}/{denominator}"))],
                    ));
                }
                let upper = *numerator as f64 / *denominator as f64;
                self.sample_fraction(input, 0.0, upper, false, seed)
            }
        }
    }

    pub(crate) fn sample_fraction(
        &self,
        input: Resolved,
        lower: f64,
        upper: f64,
        with_replacement: bool,
        seed: Option<i64>,
    ) -> Result<Resolved> {
        check_fraction(upper - lower, with_replacement)?;
        let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as i64);
        if with_replacement {
            let plan = poisson::plan(input.plan.clone(), upper - lower, seed);
            return Ok(input.closed(plan));
        }
        let id = fresh_id("_sample");
        let columns = vec![(partition_columns::Function::Sample { seed }, id.clone())];
        let plan = partition_columns::plan(input.plan.clone(), columns);
        let value = datafusion::logical_expr::Expr::Column(datafusion::common::Column::from_name(&id));
        let keep = value.clone().gt_eq(lit(lower)).and(value.lt(lit(upper)));
        let plan = super::project::filter_plan(plan, keep)?;
        Ok(input.closed(plan))
    }

    /// `df.observe(name, …)`: aggregates computed as rows pass.
    pub(super) fn collect_metrics(
        &self,
        input: &Relation,
        name: &str,
        metrics: &[Expr],
        plan_id: Option<i64>,
    ) -> Result<Resolved> {
        let input = self.relation(input)?;
        let scope = Scope::of(&input);
        let items = self.select_list(metrics, &scope)?;
        let mut fields = vec![];
        let mut expressions = vec![];
        for item in items {
            let SelectItem::Value(value) = item else {
                return Err(SparkError::new(
                    "INVALID_OBSERVED_METRICS.NON_AGGREGATE_FUNC_ARG_IS_NON_DETERMINISTIC",
                    [("expr", name)],
                ));
            };
            if !value.typed.has_aggregate() && !value.typed.is_foldable() {
                return Err(SparkError::new(
                    "INVALID_OBSERVED_METRICS.NON_AGGREGATE_FUNC_ARG_IS_ATTRIBUTE",
                    [("expr", quoted_sql(&value.typed))],
                ));
            }
            fields.push(value.attribute.to_field());
            expressions.push(value.typed.expr);
        }
        let schema = firesteel_plan::StructType::new(fields);
        self.observed.borrow_mut().push(ObservedMetrics {
            name: name.to_string(),
            schema: schema.clone(),
            plan_id: plan_id.unwrap_or(-1),
        });
        let plan = observe::plan(input.plan.clone(), name, expressions, &schema)?;
        Ok(input.closed(plan))
    }
}

pub(crate) fn limit_plan(plan: LogicalPlan, skip: i64, fetch: Option<i64>) -> LogicalPlan {
    LogicalPlan::Limit(Limit {
        skip: (skip > 0).then(|| Box::new(lit(skip))),
        fetch: fetch.map(|n| Box::new(lit(n))),
        input: Arc::new(plan),
    })
}

fn partition_count(n: i32) -> Result<usize> {
    usize::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
        let message = format!("requirement failed: Number of partitions ({n}) must be positive.");
        SparkError::java(JavaException::IllegalArgument, message)
    })
}

/// The partition that each row asks for (`repartitionById`), which clients send as the one expression of a repartition.
fn direct_partition_id(expressions: &[Expr]) -> Option<&Expr> {
    let [only] = expressions else { return None };
    match only.kind.as_ref() {
        ExprKind::Function(call) if call.name == ["direct_shuffle_partition_id"] => call.arguments.first(),
        _ => None,
    }
}

/// A little more than the bounds is what rounding makes of weights.
fn check_fraction(fraction: f64, with_replacement: bool) -> Result<()> {
    const SLACK: f64 = 1e-6;
    let (is_right, wanted) = match with_replacement {
        true => (fraction >= -SLACK, "nonnegative with replacement"),
        false => ((-SLACK..=1.0 + SLACK).contains(&fraction), "on interval [0, 1] without replacement"),
    };
    match is_right {
        true => Ok(()),
        false => {
            let message = format!("requirement failed: Sampling fraction ({fraction}) must be {wanted}");
            Err(SparkError::java(JavaException::IllegalArgument, message))
        }
    }
}
