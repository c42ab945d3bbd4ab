//! DELETE FROM, TRUNCATE TABLE.
use firesteel_lake::delta::{Operation, Transaction};
use firesteel_plan::Expr;

use super::Found;
use super::rewrite::{commit, predicate_text, without};
use crate::commands::row_level::answer;
use crate::commands::{Answer, Statement};
use crate::execution::Execution;

pub async fn delete(st: &Statement, found: &Found, alias: Option<&str>, condition: Option<Expr>) -> Answer {
    found.delta.check_writable()?;
    let gone = without(st, found, alias, condition.as_ref()).await?;
    let affected = gone.deleted_rows;
    if !gone.removed.is_empty() {
        let mut transaction = Transaction::on(&found.delta);
        transaction.remove(&gone.removed);
        transaction.adds.clone_from(&gone.written.adds);
        transaction.changes = gone.changes;
        transaction.reads = gone.reads;
        let operation = Operation::new("DELETE")
            .with("predicate", predicate_text(condition.as_ref()))
            .metric("numRemovedFiles", gone.removed.len())
            .metric("numAddedFiles", gone.written.adds.len())
            .metric("numDeletedRows", affected.unwrap_or_default())
            .metric("numCopiedRows", gone.copied_rows)
            .metric("numAddedChangeFiles", transaction.changes.len());
        commit(st, found, transaction, operation, gone.written).await?;
    }
    answer(&[("num_affected_rows", affected)])
}

/// TRUNCATE TABLE: every row goes.
pub async fn truncate(st: &Statement, found: &Found) -> Answer {
    found.delta.check_writable()?;
    let mut transaction = Transaction::on(&found.delta);
    let files = found.delta.files()?;
    transaction.remove(&files);
    transaction.reads = firesteel_lake::delta::conflict::ReadSet::WholeTable;
    let operation = Operation::new("TRUNCATE").metric("numRemovedFiles", files.len());
    commit(st, found, transaction, operation, Default::default()).await?;
    Ok(Execution::empty())
}
