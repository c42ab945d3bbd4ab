//! `df.hint(…)` and `/*+ … */`: partitioning hints are partitioning, join hints are a note beside the rows.
use firesteel_plan::{Expr, ExprKind, Literal, Relation, Result, SparkError, parse_multipart_identifier};

use crate::analyzer::Analyzer;
use crate::expr::quoted_sql;
use crate::nodes::join_hint::{self, JoinStrategy};
use crate::scope::Resolved;

/// A join hint that names relations, while what it covers is analyzed.
#[derive(Debug, Clone)]
pub(crate) struct NamedHint {
    strategy: JoinStrategy,
    relations: Vec<Vec<String>>,
}

impl Analyzer<'_> {
    pub(super) fn hint(&self, input: &Relation, name: &str, parameters: &[Expr]) -> Result<Resolved> {
        if let Some(strategy) = JoinStrategy::of_hint(name) {
            return self.join_hint(input, strategy, parameters);
        }
        match name.to_uppercase().as_str() {
            "COALESCE" => match parameters {
                [only] => match partition_count(only) {
                    Some(count) => self.repartition(input, count, false),
                    None => Err(needs_count()),
                },
                _ => Err(needs_count()),
            },
            // Rebalancing is a repartitioning whose number of partitions is free.
            "REPARTITION" | "REBALANCE" => {
                let (count, columns) = self.count_and_columns(name, parameters)?;
                match count {
                    Some(count) if columns.is_empty() => self.repartition(input, count, true),
                    count => self.repartition_by(input, &columns, count),
                }
            }
            "REPARTITION_BY_RANGE" => {
                let (count, columns) = self.count_and_columns(name, parameters)?;
                let order = |column: Expr| match column.kind.as_ref() {
                    ExprKind::SortOrder(_) => column,
                    _ => ExprKind::SortOrder(column.asc()).into(),
                };
                let orders: Vec<Expr> = columns.into_iter().map(order).collect();
                self.repartition_by(input, &orders, count)
            }
            // An unknown hint is advice that nobody takes.
            _ => self.relation(input),
        }
    }

    /// `[number of partitions,] columns`
    fn count_and_columns(&self, name: &str, parameters: &[Expr]) -> Result<(Option<i32>, Vec<Expr>)> {
        let count = parameters.first().and_then(partition_count);
        let columns: Vec<Expr> = parameters.iter().skip(usize::from(count.is_some())).map(column).collect();
        let is_literal = |column: &&Expr| matches!(column.kind.as_ref(), ExprKind::Literal(_));
        let invalid: Vec<_> = columns.iter().filter(is_literal).map(|c| self.shown(c)).collect::<Result<_>>()?;
        if invalid.is_empty() {
            return Ok((count, columns));
        }
        let parameters = [("hintName", name.to_uppercase()), ("invalidParams", invalid.join(", "))];
        Err(SparkError::new("_LEGACY_ERROR_TEMP_1047", parameters)
            .with_message("The parameters of this hint are a number of partitions and columns."))
    }

    fn shown(&self, literal: &Expr) -> Result<String> {
        Ok(quoted_sql(&self.constant(literal)?))
    }

    /// Without parameters the hint is about the rows of `input`, else about the relations of that name in it.
    fn join_hint(&self, input: &Relation, strategy: JoinStrategy, parameters: &[Expr]) -> Result<Resolved> {
        if parameters.is_empty() {
            let resolved = self.relation(input)?;
            let plan = join_hint::plan(resolved.plan.clone(), strategy);
            return Ok(resolved.closed(plan));
        }
        let relations = parameters.iter().map(|p| self.relation_name(p)).collect::<Result<_>>()?;
        self.hints.borrow_mut().push(NamedHint { strategy, relations });
        let resolved = self.relation(input);
        self.hints.borrow_mut().pop();
        resolved
    }

    /// Analyzes a relation of that name: hints that name it are about it, and no hint from outside looks into it.
    pub(super) fn hinted(&self, name: &[String], work: impl FnOnce() -> Result<Resolved>) -> Result<Resolved> {
        let hints = self.hints.take();
        let resolved = work();
        let is_meant = |hint: &&NamedHint| hint.relations.iter().any(|wanted| self.is_suffix(wanted, name));
        let strategy = hints.iter().rev().find(is_meant).map(|hint| hint.strategy);
        self.hints.replace(hints);
        let resolved = resolved?;
        Ok(match strategy {
            Some(strategy) => {
                let plan = join_hint::plan(resolved.plan.clone(), strategy);
                resolved.closed(plan)
            }
            None => resolved,
        })
    }

    fn relation_name(&self, parameter: &Expr) -> Result<Vec<String>> {
        match parameter.kind.as_ref() {
            ExprKind::Literal(Literal::String(name)) => parse_multipart_identifier(name),
            ExprKind::Attribute { name, .. } => Ok(name.clone()),
            kind => {
                let class = if matches!(kind, ExprKind::Literal(_)) { "Literal" } else { "Expression" };
                let class = format!("class org.apache.spark.sql.catalyst.expressions.{class}");
                let parameters = [("unsupported", self.shown(parameter)?), ("class", class)];
                Err(SparkError::new("_LEGACY_ERROR_TEMP_1046", parameters)
                    .with_message("The parameters of a join hint are names of relations."))
            }
        }
    }

    fn is_suffix(&self, wanted: &[String], name: &[String]) -> bool {
        let Some(start) = name.len().checked_sub(wanted.len()) else { return false };
        name[start..].iter().zip(wanted).all(|(a, b)| self.same_name(a, b))
    }
}

fn partition_count(parameter: &Expr) -> Option<i32> {
    match parameter.kind.as_ref() {
        ExprKind::Literal(Literal::Integer(n)) => Some(*n),
        _ => None,
    }
}

/// Hints name columns by strings over Connect.
fn column(parameter: &Expr) -> Expr {
    match parameter.kind.as_ref() {
        ExprKind::Literal(Literal::String(name)) => Expr::name(name),
        _ => parameter.clone(),
    }
}

fn needs_count() -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_1048", [("hintName", "COALESCE")])
        .with_message("COALESCE needs the number of partitions.")
}
