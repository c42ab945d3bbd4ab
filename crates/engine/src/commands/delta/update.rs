//! UPDATE.
use firesteel_lake::delta::Operation;
use firesteel_plan::Expr;
use firesteel_plan::command::{MergeAction, MergeActionKind};

use super::Found;
use super::merge::{Change, apply};
use super::rewrite::{predicate_text, reads_of, rows_of};
use crate::commands::row_level::{self, Clauses, answer, check_assignments, count_by_file};
use crate::commands::{Answer, Statement};

/// `UPDATE t SET a = …, b.c = … [WHERE condition]`
pub async fn update(
    st: &Statement,
    found: &Found,
    alias: Option<&str>,
    assignments: Vec<(Vec<String>, Expr)>,
    condition: Option<Expr>,
) -> Answer {
    found.delta.check_writable()?;
    let files = found.delta.files()?;
    let always = Expr::boolean(true);
    let rows = rows_of(st, found, &files, alias)?.filter(condition.clone().unwrap_or_else(|| always.clone()));
    let counts = count_by_file(st, rows).await?;
    let touched: Vec<_> = counts.keys().filter_map(|index| files.get(*index).cloned()).collect();
    if touched.is_empty() {
        // Columns and types of a statement that changes nothing are checked all the same.
        check_assignments(st, rows_of(st, found, &[], alias)?, &assignments).await?;
        return answer(&[("num_affected_rows", Some(0))]);
    }
    let assignments = assignments.into_iter().map(|(name, value)| (Expr::parts(name), value)).collect();
    let clause = MergeAction { condition: condition.clone(), kind: MergeActionKind::Update(assignments) };
    let clauses = Clauses { matched: vec![clause], ..Clauses::default() };
    let metadata = found.delta.metadata().clone();
    let rows = rows_of(st, found, &touched, alias)?;
    let rows = row_level::Change { rows, source_columns: vec![], schema: metadata.schema.clone(), clauses };
    let reads = reads_of(st, &found.delta, condition.as_ref()).await?;
    let change = Change { rows, touched, metadata, reads };
    let operation = Operation::new("UPDATE").with("predicate", predicate_text(condition.as_ref()));
    let counts = apply(st, found, alias, change, operation).await?;
    answer(&[("num_affected_rows", Some(counts.updated))])
}
