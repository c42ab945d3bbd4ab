//! MERGE INTO: matched rows are changed or deleted, others inserted, in one commit.
use datafusion::logical_expr::{LogicalPlanBuilder, lit};
use firesteel_analyze::AnalyzedPlan;
use firesteel_functions::TypedExpr;
use firesteel_lake::delta::conflict::ReadSet;
use firesteel_lake::delta::{Add, Operation, TableMetadata, Transaction};
use firesteel_plan::command::{MergeAction, MergeActionKind, MergeIntoTable};
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use super::rewrite::{self, rows_of, target_of, text_of};
use super::rows::{generation_of, union_of, write_changes};
use super::{Found, target};
use crate::commands::row_level::{self, Acted, Clauses, Counts, Fate, Merge, answer};
use crate::commands::{Answer, Statement};
use crate::error::from_datafusion;

/// Rows that change.
pub struct Change {
    pub rows: row_level::Change,
    pub touched: Vec<Add>,
    /// The table's metadata after the change
    pub metadata: TableMetadata,
    pub reads: ReadSet,
}

pub async fn merge(st: &Statement, merge: MergeIntoTable) -> Result<Option<crate::execution::Execution>> {
    let Some((found, alias)) = target(st, &merge.target).await? else { return Ok(None) };
    run(st, &found, alias.as_deref(), merge).await.map(Some)
}

async fn run(st: &Statement, found: &Found, alias: Option<&str>, merge: MergeIntoTable) -> Answer {
    found.delta.check_writable()?;
    check_clauses(&merge)?;
    let evolves =
        merge.with_schema_evolution || st.context.eval.flag("spark.databricks.delta.schema.autoMerge.enabled", false);
    let merge = Merge::of(st, merge).await?;
    let mut metadata = match evolves {
        true => evolved(found, &merge.source_schema, &merge.clauses),
        false => found.delta.metadata().clone(),
    };
    metadata.map_columns(Some(found.delta.metadata()))?;
    let files = found.delta.files()?;
    // Where rows are only added, the files of the table stay.
    let (rows, touched) = match merge.changes_target() {
        true => {
            let all = rows_of(st, found, &files, alias)?;
            let touched = merge.touched(st, &found.target(alias), all, files.len()).await?;
            let touched: Vec<Add> = touched.into_iter().filter_map(|index| files.get(index).cloned()).collect();
            (merge.joined(rows_of(st, found, &touched, alias)?), touched)
        }
        false => (merge.unmatched(rows_of(st, found, &files, alias)?), vec![]),
    };
    let clauses = &merge.clauses;
    let operation = Operation::new("MERGE")
        .with("predicate", rewrite::predicate_text(Some(&merge.condition)))
        .with("matchedPredicates", clause_texts(&clauses.matched))
        .with("notMatchedPredicates", clause_texts(&clauses.not_matched))
        .with("notMatchedBySourcePredicates", clause_texts(&clauses.not_matched_by_source));
    let schema = metadata.schema.clone();
    let rows = row_level::Change { rows, source_columns: merge.source_columns, schema, clauses: merge.clauses };
    let change = Change { rows, touched, metadata, reads: ReadSet::WholeTable };
    let counts = apply(st, found, alias, change, operation).await?;
    answer(&[
        ("num_affected_rows", Some(counts.changed())),
        ("num_updated_rows", Some(counts.updated)),
        ("num_deleted_rows", Some(counts.deleted)),
        ("num_inserted_rows", Some(counts.inserted)),
    ])
}

fn check_clauses(merge: &MergeIntoTable) -> Result<()> {
    let families = [
        (&merge.matched, "DELTA_NON_LAST_MATCHED_CLAUSE_OMIT_CONDITION"),
        (&merge.not_matched, "DELTA_NON_LAST_NOT_MATCHED_CLAUSE_OMIT_CONDITION"),
        (&merge.not_matched_by_source, "DELTA_NON_LAST_NOT_MATCHED_BY_SOURCE_CLAUSE_OMIT_CONDITION"),
    ];
    for (clauses, condition) in families {
        if clauses.iter().rev().skip(1).any(|clause| clause.condition.is_none()) {
            return Err(SparkError::of(condition));
        }
    }
    if families.iter().all(|(clauses, _)| clauses.is_empty()) {
        return Err(SparkError::of("DELTA_MERGE_MISSING_WHEN"));
    }
    Ok(())
}

fn clause_texts(clauses: &[MergeAction]) -> String {
    let one = |clause: &MergeAction| {
        let action = match &clause.kind {
            MergeActionKind::Delete => "delete",
            MergeActionKind::UpdateAll | MergeActionKind::Update(_) => "update",
            MergeActionKind::InsertAll | MergeActionKind::Insert(_) => "insert",
        };
        match &clause.condition {
            Some(condition) => serde_json::json!({ "predicate": text_of(condition), "actionType": action }),
            None => serde_json::json!({ "actionType": action }),
        }
    };
    serde_json::Value::from(clauses.iter().map(one).collect::<Vec<_>>()).to_string()
}

/// The metadata with columns that only the source has, where a clause takes all its columns.
fn evolved(found: &Found, source: &StructType, clauses: &Clauses) -> TableMetadata {
    let mut metadata = found.delta.metadata().clone();
    let (named, takes_all) = clauses.assigned_names();
    let is_known = |name: &str| metadata.schema.fields.iter().any(|f| f.name.eq_ignore_ascii_case(name));
    let is_wanted = |name: &str| takes_all || named.iter().any(|n| n.eq_ignore_ascii_case(name));
    let added = source.fields.iter().filter(|f| !is_known(&f.name) && is_wanted(&f.name));
    let added: Vec<StructField> = added.map(|f| StructField::new(&f.name, f.data_type.as_nullable(), true)).collect();
    metadata.schema = StructType::new(metadata.schema.fields.iter().cloned().chain(added).collect());
    metadata
}

/// Computes the rows, writes them and commits.
pub async fn apply(
    st: &Statement,
    found: &Found,
    alias: Option<&str>,
    change: Change,
    operation: Operation,
) -> Result<Counts> {
    let metadata = &change.metadata;
    let is_merge = !change.rows.source_columns.is_empty();
    let acted = row_level::act(st, &found.target(alias), change.rows).await?;
    // A generated column that no clause sets is left out: it is computed from the others.
    let is_computed = |at: usize| generation_of(&metadata.schema.fields[at]).is_some() && !acted.is_set(at);
    let new = acted.new_rows(|at| !is_computed(at))?;
    let written = rewrite::write_acted(st, found, metadata, new).await?;
    let counts = acted.counts(&written.actions);
    if counts.changed() == 0 && *metadata == *found.delta.metadata() {
        // Nothing changes: the files that were written say what the table says already.
        written.discard(found.delta.location(), found.delta.storage()).await;
        return Ok(counts);
    }
    let mut transaction = Transaction::on(&found.delta);
    if metadata.flag("delta.enableChangeDataFeed") && counts.updated + counts.deleted > 0 {
        let feed = feed_of(&acted)?;
        transaction.changes = write_changes(st, &target_of(found, metadata), &feed).await?.into_changes();
    }
    if *metadata != *found.delta.metadata() {
        transaction.set_metadata(metadata.clone())?;
    }
    transaction.remove(&change.touched);
    transaction.adds.clone_from(&written.adds);
    transaction.reads = change.reads;
    let operation = with_metrics(operation, &counts, &transaction, is_merge);
    rewrite::commit(st, found, transaction, operation, written).await?;
    if change.metadata != *found.delta.metadata() {
        super::record(st, found, &change.metadata).await?;
    }
    Ok(counts)
}

fn with_metrics(operation: Operation, counts: &Counts, transaction: &Transaction, is_merge: bool) -> Operation {
    let (removed, added) = (transaction.removes.len(), transaction.adds.len());
    match is_merge {
        true => operation
            .metric("numTargetRowsInserted", counts.inserted)
            .metric("numTargetRowsUpdated", counts.updated)
            .metric("numTargetRowsDeleted", counts.deleted)
            .metric("numTargetRowsCopied", counts.copied)
            .metric("numOutputRows", counts.inserted + counts.updated + counts.copied)
            .metric("numTargetFilesAdded", added)
            .metric("numTargetFilesRemoved", removed)
            .metric("numTargetChangeFilesAdded", transaction.changes.len()),
        false => operation
            .metric("numUpdatedRows", counts.updated)
            .metric("numCopiedRows", counts.copied)
            .metric("numAddedFiles", added)
            .metric("numRemovedFiles", removed)
            .metric("numAddedChangeFiles", transaction.changes.len()),
    }
}

/// The change rows: before and after an update, what was deleted, what was inserted.
fn feed_of(acted: &Acted) -> Result<AnalyzedPlan> {
    let kinds = [
        ("update_preimage", "__old_", Fate::Update),
        ("update_postimage", "__row_", Fate::Update),
        ("delete", "__old_", Fate::Delete),
        ("insert", "__row_", Fate::Insert),
    ];
    let mut parts = vec![];
    for (kind, prefix, fate) in kinds {
        let codes: Vec<_> = acted.codes(fate).into_iter().map(lit).collect();
        if codes.is_empty() {
            continue;
        }
        let rows = &acted.analyzed;
        let filtered = LogicalPlanBuilder::from(rows.plan.clone()).filter(acted.action.column().in_list(codes, false));
        let plan = filtered.and_then(|b| b.build()).map_err(from_datafusion)?;
        let filtered = AnalyzedPlan { plan, ..rows.clone() };
        let mut columns = acted.columns(&filtered, prefix)?;
        let change = StructField::new("_change_type", DataType::STRING, true);
        columns.push((TypedExpr::string(kind), change));
        parts.push(crate::commands::write::project(&filtered, columns)?);
    }
    union_of(parts)
}
