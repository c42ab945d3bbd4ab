//! UPDATE.
use firesteel_lake::delta::Operation;
use firesteel_plan::Expr;
use firesteel_plan::command::{MergeAction, MergeActionKind};

use super::Found;
use super::merge::{Change, Clauses, apply};
use super::rewrite::{answer, count_by_file, predicate_text, reads_of, rows_of};
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
        return check_only(st, found, alias, assignments).await;
    }
    let assignments = assignments.into_iter().map(|(name, value)| (Expr::parts(name), value)).collect();
    let clause = MergeAction { condition: condition.clone(), kind: MergeActionKind::Update(assignments) };
    let clauses = Clauses { matched: vec![clause], ..Clauses::default() };
    let metadata = found.delta.metadata().clone();
    let change = Change {
        rows: rows_of(st, found, &touched, alias)?,
        touched: touched.clone(),
        source_columns: vec![],
        metadata,
        reads: reads_of(st, &found.delta, condition.as_ref()).await?,
    };
    let operation = Operation::new("UPDATE").with("predicate", predicate_text(condition.as_ref()));
    let counts = apply(st, found, alias, change, clauses, operation).await?;
    answer(&[("num_affected_rows", Some(counts.updated))])
}

async fn check_only(
    st: &Statement,
    found: &Found,
    alias: Option<&str>,
    assignments: Vec<(Vec<String>, Expr)>,
) -> Answer {
    let rows = rows_of(st, found, &[], alias)?;
    let values: Vec<Expr> = assignments.iter().map(|(_, value)| value.clone().alias("value")).collect();
    let columns = assignments.iter().map(|(name, _)| Expr::parts(name.clone()).alias("column"));
    st.analyze(&rows.project(columns.chain(values).collect())).await?;
    answer(&[("num_affected_rows", Some(0))])
}
