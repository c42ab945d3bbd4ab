//! Changing rows by writing files anew (copy on write): which files hold rows that change, and what becomes of their rows.
//!
//! ```text
//!  files of the version ──▶ rows with FILE ──▶ condition ──▶ touched files
//!  touched files ──▶ rows with an action ──▶ kept, changed or dropped ──▶ new files      (old files are removed)
//! ```
use std::collections::HashMap;

use datafusion::common::ScalarValue;
use firesteel_analyze::AnalyzedPlan;
use firesteel_lake::delta::conflict::ReadSet;
use firesteel_lake::delta::{Add, AddCDCFile, DeltaTable, Operation, Transaction, WrittenFiles};
use firesteel_plan::{DataType, Expr, ExprKind, FunctionCall, Relation, Result, StructField};

use super::Found;
use super::rows::{CheckedRows, RowTarget, checked, write_changes, write_checked};
use crate::commands::Statement;
use crate::commands::partition::literal_text;
use crate::commands::row_level::{ACTION, FILE, attribute, count_by_file, stays};

/// The rows of some files of a table, under its name or alias, with [`FILE`].
pub fn rows_of(st: &Statement, found: &Found, files: &[Add], alias: Option<&str>) -> Result<Relation> {
    let indexes = (0..files.len()).map(|index| ScalarValue::Int32(i32::try_from(index).ok())).collect();
    let constant = (StructField::new(FILE, DataType::Integer, false), indexes);
    let relation = st.context.pin_files(&found.delta, files, &[constant], found.qualifier())?;
    Ok(found.target(alias).named(relation))
}

/// The rows that a file has, by the log.
pub fn records(add: &Add) -> Option<u64> {
    let stats: serde_json::Value = serde_json::from_str(add.stats.as_deref()?).ok()?;
    stats.get("numRecords")?.as_u64()
}

/// What a transaction reads that looks for rows of a condition.
pub async fn reads_of(st: &Statement, table: &DeltaTable, condition: Option<&Expr>) -> Result<ReadSet> {
    let Some(condition) = condition else { return Ok(ReadSet::WholeTable) };
    let mut values = HashMap::new();
    let mut open = vec![condition.clone()];
    while let Some(expr) = open.pop() {
        let parsed = match &*expr.kind {
            ExprKind::SqlText(text) => firesteel_sql::parse_expression(text, &st.session().parse_options())?,
            _ => expr,
        };
        let ExprKind::Function(FunctionCall { name, arguments, .. }) = &*parsed.kind else { continue };
        match (name.as_slice(), arguments.as_slice()) {
            ([and], [left, right]) if and.eq_ignore_ascii_case("and") => open.extend([left.clone(), right.clone()]),
            ([equals], [left, right]) if matches!(equals.as_str(), "=" | "==") => {
                for (column, value) in [(left, right), (right, left)] {
                    let ExprKind::Attribute { name, .. } = &*column.kind else { continue };
                    let last = name.last().map(String::as_str).unwrap_or_default();
                    let metadata = table.metadata();
                    let Some(partition) = metadata.partition_columns.iter().find(|c| c.eq_ignore_ascii_case(last))
                    else {
                        continue;
                    };
                    let field = metadata.schema.fields.iter().find(|f| f.name == *partition);
                    let is_constant = matches!(&*value.kind, ExprKind::Literal(_) | ExprKind::WithText { .. });
                    if let (true, Some(field)) = (is_constant, field)
                        && !matches!(field.data_type, DataType::Timestamp | DataType::Float | DataType::Double)
                    {
                        values.insert(partition.clone(), literal_text(st, value, Some(&field.data_type)).await?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(if values.is_empty() { ReadSet::WholeTable } else { ReadSet::Partitions(vec![values]) })
}

/// A table without the rows of a condition.
pub struct Without {
    pub removed: Vec<Add>,
    pub written: WrittenFiles,
    pub changes: Vec<AddCDCFile>,
    pub reads: ReadSet,
    pub deleted_rows: Option<u64>,
    pub copied_rows: u64,
}

/// Writes the rows of the touched files that stay.
pub async fn without(st: &Statement, found: &Found, alias: Option<&str>, condition: Option<&Expr>) -> Result<Without> {
    let files = found.delta.files()?;
    let reads = reads_of(st, &found.delta, condition).await?;
    let Some(condition) = condition else {
        let deleted_rows = files.iter().map(records).sum();
        let none = WrittenFiles::default();
        return Ok(Without { removed: files, written: none, changes: vec![], reads, deleted_rows, copied_rows: 0 });
    };
    let counts = count_by_file(st, rows_of(st, found, &files, alias)?.filter(condition.clone())).await?;
    let touched: Vec<Add> = counts.keys().filter_map(|index| files.get(*index).cloned()).collect();
    let is_whole = |(index, count): (&usize, &u64)| files.get(*index).and_then(records) == Some(*count);
    let partial: Vec<Add> =
        counts.iter().filter(|entry| !is_whole(*entry)).filter_map(|(index, _)| files.get(*index).cloned()).collect();
    let metadata = found.delta.metadata().clone();
    let target = target_of(found, &metadata);
    let mut written = WrittenFiles::default();
    if !partial.is_empty() {
        let rows = rows_of(st, found, &partial, alias)?.filter(stays(condition)).project(own_columns(found, alias));
        let rows = st.analyze(&rows).await?;
        // These rows are in the table already: they are copied as they are.
        written =
            write_checked(st, &target, CheckedRows { analyzed: rows, checks: vec![], has_actions: false }).await?.0;
    }
    let mut changes = vec![];
    if metadata.flag("delta.enableChangeDataFeed") && !partial.is_empty() {
        let mut columns = own_columns(found, alias);
        columns.push(Expr::string("delete").alias("_change_type"));
        let gone = rows_of(st, found, &touched, alias)?.filter(condition.clone()).project(columns);
        let gone = st.analyze(&gone).await?;
        changes = write_changes(st, &target, &gone).await?.into_changes();
    }
    let copied_rows = written.rows;
    let deleted_rows = Some(counts.values().sum());
    Ok(Without { removed: touched, written, changes, reads, deleted_rows, copied_rows })
}

pub fn target_of<'a>(found: &'a Found, metadata: &'a firesteel_lake::delta::TableMetadata) -> RowTarget<'a> {
    let options = found.table.as_ref().map(|table| table.options.clone()).unwrap_or_default();
    RowTarget { location: found.delta.location(), storage: found.delta.storage().clone(), metadata, options }
}

/// The table's columns, in order.
pub fn own_columns(found: &Found, alias: Option<&str>) -> Vec<Expr> {
    found.target(alias).columns()
}

/// The rows of a change with the action of each, as they are written. Rows whose action is below zero are not.
pub async fn write_acted(
    st: &Statement,
    found: &Found,
    metadata: &firesteel_lake::delta::TableMetadata,
    rows: AnalyzedPlan,
) -> Result<WrittenFiles> {
    let action = attribute(&rows, ACTION)?.clone();
    let checked = checked(st, metadata, rows, Some(action), vec![]).await?;
    Ok(write_checked(st, &target_of(found, metadata), checked).await?.0)
}

/// Commits a change of rows; where that fails, nothing is left of it.
pub async fn commit(
    st: &Statement,
    found: &Found,
    transaction: Transaction,
    operation: Operation,
    written: WrittenFiles,
) -> Result<u64> {
    let operation = super::write::with_user_metadata(st, operation, &Default::default());
    let result = transaction.commit(operation).await;
    found.invalidate(st);
    match result {
        Ok(done) => Ok(done.version),
        Err(error) => {
            written.discard(found.delta.location(), found.delta.storage()).await;
            Err(error)
        }
    }
}

/// The expression as it was written, for the history.
pub fn text_of(expr: &Expr) -> String {
    let text = crate::commands::table::expression_text(expr);
    if text.is_empty() { "(expression)".into() } else { text }
}

/// `["(a > 1)"]`
pub fn predicate_text(condition: Option<&Expr>) -> String {
    let texts: Vec<String> = condition.iter().map(|expr| text_of(expr)).collect();
    serde_json::Value::from(texts).to_string()
}
