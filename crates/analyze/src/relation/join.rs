//! Joins of every kind.
use std::sync::Arc;

use datafusion::common::{JoinConstraint, JoinType as DfJoinType, NullEquality};
use datafusion::logical_expr::{Expr as DfExpr, Join as DfJoin, LogicalPlan};
use firesteel_functions::TypedExpr;
use firesteel_functions::registry::{Built, FunctionKind};
use firesteel_plan::relation::Join;
use firesteel_plan::{Expr, ExprKind, FunctionCall, JoinType, Relation, RelationKind, Result, SparkError};

use super::cte::plan_is_random;
use super::partition::is_random;
use crate::analyzer::Analyzer;
use crate::expr::Scope;
use crate::expr::SelectValue;
use crate::expr::as_subquery;
use crate::from_datafusion;
use crate::scope::{Attribute, Resolved};

impl Analyzer<'_> {
    pub(super) fn join(&self, join: &Join) -> Result<Resolved> {
        let left = self.relation(&join.left)?;
        if join.lateral {
            return self.lateral_join(left, join);
        }
        let right = self.relation(&join.right)?;
        self.refuse_recursion_in_join(&left, &right, join.join_type)?;
        self.join_resolved(left, right, join)
    }

    fn join_resolved(&self, left: Resolved, right: Resolved, join: &Join) -> Result<Resolved> {
        let keys = if join.natural { self.common_names(&left, &right) } else { join.using.clone() };
        if !keys.is_empty() {
            return self.using_join(left, right, join.join_type, &keys);
        }
        let scope = Scope::of_both(&left, &right);
        let condition = join.condition.as_ref().map(|c| self.condition(c, &scope, "join")).transpose()?;
        if let Some(condition) = &condition
            && (condition.has_aggregate() || condition.has_window())
        {
            return Err(SparkError::new(
                "UNSUPPORTED_EXPR_FOR_OPERATOR",
                [("invalidExprSqls", crate::expr::quoted_sql(condition))],
            ));
        }
        if let Some(condition) = condition.as_ref().filter(|condition| is_random(&condition.expr)) {
            let parameters = [("sqlExprs", crate::expr::quoted_sql(condition))];
            return Err(SparkError::new("INVALID_NON_DETERMINISTIC_EXPRESSIONS", parameters)
                .with_origin(condition.origin.as_ref()));
        }
        let plan = join_plan(left.plan.clone(), right.plan.clone(), join.join_type, condition.map(|c| c.expr))?;
        Ok(joined(plan, left, right, join.join_type))
    }

    /// Names that both sides have, in the left side's order.
    fn common_names(&self, left: &Resolved, right: &Resolved) -> Vec<String> {
        let shared = |a: &&Attribute| right.output.iter().any(|b| self.same_name(&a.name, &b.name));
        left.output.iter().filter(shared).map(|a| a.name.clone()).collect()
    }

    fn key(&self, side: &Resolved, name: &str, which: &str) -> Result<Attribute> {
        let found: Vec<_> = side.output.iter().filter(|a| self.same_name(&a.name, name)).collect();
        match found.as_slice() {
            [only] => Ok((*only).clone()),
            [] => {
                let mut names: Vec<_> = side.output.iter().map(|a| format!("`{}`", a.name)).collect();
                names.sort();
                Err(SparkError::new(
                    "UNRESOLVED_USING_COLUMN_FOR_JOIN",
                    [("colName", format!("`{name}`")), ("side", which.to_string()), ("suggestion", names.join(", "))],
                ))
            }
            many => {
                let names: Vec<_> = many
                    .iter()
                    .map(|a| {
                        let mut parts = a.qualifier.clone();
                        parts.push(a.name.clone());
                        firesteel_plan::identifier::quoted_name(&parts)
                    })
                    .collect();
                Err(SparkError::new(
                    "AMBIGUOUS_REFERENCE",
                    [("name", format!("`{name}`")), ("referenceNames", format!("[{}]", names.join(", ")))],
                ))
            }
        }
    }

    /// USING and NATURAL: the keys once, then the other columns; the keys of both sides stay reachable by qualifier.
    fn using_join(&self, left: Resolved, right: Resolved, join_type: JoinType, keys: &[String]) -> Result<Resolved> {
        let pairs = keys
            .iter()
            .map(|name| Ok((self.key(&left, name, "left")?, self.key(&right, name, "right")?)))
            .collect::<Result<Vec<_>>>()?;
        let mut condition: Option<TypedExpr> = None;
        for (l, r) in &pairs {
            let equal = self.builtin("==", vec![l.typed(), r.typed()])?;
            condition = Some(match condition {
                Some(all) => self.builtin("and", vec![all, equal])?,
                None => equal,
            });
        }
        let plan = join_plan(left.plan.clone(), right.plan.clone(), join_type, condition.map(|c| c.expr))?;
        let mut all = joined(plan, left.clone(), right.clone(), join_type);
        if matches!(join_type, JoinType::LeftSemi | JoinType::LeftAnti) {
            return self.keys_first(all, pairs.into_iter().map(|(l, _)| l).collect());
        }
        let is_key = |a: &Attribute| pairs.iter().any(|(l, r)| l.id == a.id || r.id == a.id);
        let others: Vec<Attribute> = all.output.iter().filter(|a| !is_key(a)).cloned().collect();
        if join_type == JoinType::FullOuter {
            return self.full_using(all, pairs, others);
        }
        let kept: Vec<Attribute> =
            pairs.iter().map(|(l, r)| if join_type == JoinType::RightOuter { r.clone() } else { l.clone() }).collect();
        let dropped = pairs.iter().map(|(l, r)| if join_type == JoinType::RightOuter { l } else { r });
        let outer = matches!(join_type, JoinType::LeftOuter | JoinType::RightOuter);
        all.hidden.extend(dropped.map(|a| Attribute {
            nullable: a.nullable || outer,
            qualified_only: true,
            ..a.clone()
        }));
        all.output = kept.into_iter().chain(others).collect();
        Ok(all)
    }

    fn keys_first(&self, all: Resolved, keys: Vec<Attribute>) -> Result<Resolved> {
        let others = all.output.iter().filter(|a| !keys.iter().any(|k| k.id == a.id)).cloned();
        let output = keys.iter().cloned().chain(others).collect();
        Ok(Resolved { output, ..all })
    }

    fn full_using(
        &self,
        all: Resolved,
        pairs: Vec<(Attribute, Attribute)>,
        others: Vec<Attribute>,
    ) -> Result<Resolved> {
        let nullable = |a: &Attribute| Attribute { nullable: true, ..a.clone() };
        let mut values = vec![];
        for (l, r) in &pairs {
            let either = self.builtin("coalesce", vec![nullable(l).typed(), nullable(r).typed()])?;
            let attribute = Attribute::new(&l.name, either.data_type.clone(), l.nullable || r.nullable);
            values.push(SelectValue { typed: either, attribute });
        }
        let carried = others.iter().cloned().chain(pairs.iter().flat_map(|(l, r)| [nullable(l), nullable(r)]));
        let carried = carried.chain(all.hidden.iter().cloned());
        values.extend(carried.map(|a| SelectValue { typed: a.typed(), attribute: a }));
        let visible = pairs.len() + others.len();
        let mut resolved = self.project_values(all, values)?;
        resolved.hidden = resolved.output.split_off(visible);
        for key in resolved.hidden.iter_mut().take(2 * pairs.len()) {
            key.qualified_only = true;
        }
        resolved.extend = None;
        Ok(resolved)
    }

    /// The right side may use the left's columns.
    fn lateral_join(&self, left: Resolved, join: &Join) -> Result<Resolved> {
        if !matches!(join.join_type, JoinType::Inner | JoinType::Cross | JoinType::LeftOuter) {
            return Err(SparkError::new(
                "UNSUPPORTED_JOIN_TYPE",
                [("typ", format!("{:?}", join.join_type)), ("supported", "'INNER', 'LEFT OUTER', 'CROSS'".to_string())],
            ));
        }
        if join.condition.is_none()
            && join.using.is_empty()
            && !join.natural
            && let Some((call, alias, columns)) = lateral_generator(&join.right)
            && self.is_generator(call)?
        {
            return self.lateral_generate(left, call, alias, columns, join.join_type == JoinType::LeftOuter);
        }
        let right = self.subquery(&join.right, &Scope::of(&left))?;
        if plan_is_random(&right.plan)? && left.plan.max_rows().is_none_or(|rows| rows > 1) {
            let parameters = [("treeNode", "LateralJoin")];
            return Err(SparkError::new(
                "UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.NON_DETERMINISTIC_LATERAL_SUBQUERIES",
                parameters,
            )
            .with_origin(join.right.origin.as_ref()));
        }
        let subquery = as_subquery(right.plan.clone());
        if subquery.outer_ref_columns.is_empty() {
            return self.join_resolved(left, right, join);
        }
        let right = Resolved { plan: LogicalPlan::Subquery(subquery), ..right };
        self.join_resolved(left, right, join)
    }

    fn is_generator(&self, call: &FunctionCall) -> Result<bool> {
        let name = self.function_name(call)?;
        let function = name.last().and_then(|n| firesteel_functions::registry::lookup(n));
        Ok(function.is_some_and(|f| f.kind == FunctionKind::Generator))
    }

    /// `FROM t, LATERAL explode(t.c) AS alias(columns)`
    fn lateral_generate(
        &self,
        left: Resolved,
        call: &FunctionCall,
        alias: Option<&str>,
        columns: &[String],
        outer: bool,
    ) -> Result<Resolved> {
        let expr: Expr = ExprKind::Function(call.clone()).into();
        let scope = Scope::of(&left);
        let Built::Generator(mut generator) = self.call(call, &expr, &scope)? else {
            return Err(SparkError::internal("a generator was expected"));
        };
        generator.outer |= outer;
        let (mut resolved, generated) = self.generate(left, &generator, columns)?;
        let qualifier: Vec<String> = alias.map(str::to_string).into_iter().collect();
        resolved.output.extend(generated.into_iter().map(|a| Attribute { qualifier: qualifier.clone(), ..a }));
        Ok(resolved)
    }
}

/// The call of `f(…)`, `f(…) AS alias(columns)`.
fn lateral_generator(relation: &Relation) -> Option<(&FunctionCall, Option<&str>, &[String])> {
    match relation.kind.as_ref() {
        RelationKind::TableFunction { call } => Some((call, None, &[])),
        RelationKind::SubqueryAlias { input, alias, columns, .. } => match input.kind.as_ref() {
            RelationKind::TableFunction { call } => Some((call, Some(alias), columns)),
            _ => None,
        },
        _ => None,
    }
}

/// The columns of a join: an outer side becomes nullable, semi and anti joins keep the left.
fn joined(plan: LogicalPlan, left: Resolved, right: Resolved, join_type: JoinType) -> Resolved {
    let (left_null, right_null) = match join_type {
        JoinType::LeftOuter => (false, true),
        JoinType::RightOuter => (true, false),
        JoinType::FullOuter => (true, true),
        _ => (false, false),
    };
    let set = |attributes: &[Attribute], null: bool| -> Vec<Attribute> {
        attributes.iter().map(|a| Attribute { nullable: a.nullable || null, ..a.clone() }).collect()
    };
    let mut output = set(&left.output, left_null);
    let mut hidden = set(&left.hidden, left_null);
    if !matches!(join_type, JoinType::LeftSemi | JoinType::LeftAnti) {
        output.extend(set(&right.output, right_null));
        hidden.extend(set(&right.hidden, right_null));
    }
    let resolved = Resolved::new(plan, output).with_plan_outputs_of(&[&left, &right]);
    Resolved { hidden, ..resolved }
}

pub(crate) fn join_plan(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: JoinType,
    condition: Option<DfExpr>,
) -> Result<LogicalPlan> {
    let df_type = match join_type {
        JoinType::Inner | JoinType::Cross => DfJoinType::Inner,
        JoinType::LeftOuter => DfJoinType::Left,
        JoinType::RightOuter => DfJoinType::Right,
        JoinType::FullOuter => DfJoinType::Full,
        JoinType::LeftSemi => DfJoinType::LeftSemi,
        JoinType::LeftAnti => DfJoinType::LeftAnti,
    };
    plain_join(left, right, df_type, condition)
}

/// A join whose hash keys DataFusion finds in the condition.
pub(crate) fn plain_join(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: DfJoinType,
    condition: Option<DfExpr>,
) -> Result<LogicalPlan> {
    build_join(left, right, join_type, condition, false)
}

/// NOT IN: a NULL on the right drops every row, a NULL on the left its own, unless the right is empty. The condition is
/// one equality.
pub(crate) fn null_aware_anti_join(
    left: LogicalPlan,
    right: LogicalPlan,
    condition: Option<DfExpr>,
) -> Result<LogicalPlan> {
    build_join(left, right, DfJoinType::LeftAnti, condition, true)
}

fn build_join(
    left: LogicalPlan,
    right: LogicalPlan,
    join_type: DfJoinType,
    condition: Option<DfExpr>,
    null_aware: bool,
) -> Result<LogicalPlan> {
    let join = DfJoin::try_new(
        Arc::new(left),
        Arc::new(right),
        vec![],
        condition,
        join_type,
        JoinConstraint::On,
        NullEquality::NullEqualsNothing,
        null_aware,
    );
    join.map(LogicalPlan::Join).map_err(from_datafusion)
}
