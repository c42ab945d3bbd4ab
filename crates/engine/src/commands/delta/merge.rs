//! MERGE INTO: matched rows are changed or deleted, others inserted, in one commit.
use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::logical_expr::{LogicalPlanBuilder, case, lit};
use firesteel_analyze::{AnalyzedPlan, Attribute};
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::store_assign;
use firesteel_lake::delta::conflict::ReadSet;
use firesteel_lake::delta::{Add, Operation, TableMetadata, Transaction};
use firesteel_plan::command::{MergeAction, MergeActionKind, MergeIntoTable};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::relation::{Grouping, GroupingElement, Join, JoinType};
use firesteel_plan::{DataType, Expr, ExprKind, Relation, RelationKind, Result, SparkError, StructField, StructType};

use super::rewrite::{self, ACTION, FILE, answer, attribute, column, rows_of, target_of, text_of};
use super::rows::{generation_of, union_of, write_changes};
use super::{Found, target};
use crate::commands::{Answer, Statement};
use crate::error::from_datafusion;

const IN_SOURCE: &str = "__delta_in_source";
const ROW: &str = "__delta_row";
/// A row that is not written and never was in the table.
const SKIPPED: i32 = -1_000_000;

/// The WHEN clauses.
#[derive(Debug, Clone, Default)]
pub struct Clauses {
    pub matched: Vec<MergeAction>,
    pub not_matched: Vec<MergeAction>,
    pub not_matched_by_source: Vec<MergeAction>,
}

/// Rows that change.
pub struct Change {
    /// The rows of the touched files with [`FILE`]; for MERGE joined with the source, which has [`IN_SOURCE`].
    pub rows: Relation,
    pub touched: Vec<Add>,
    /// Names of the source's columns, and how they are reached
    pub source_columns: Vec<(String, Expr)>,
    /// The table's metadata after the change
    pub metadata: TableMetadata,
    pub reads: ReadSet,
}

/// How many rows had which fate.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub updated: u64,
    pub deleted: u64,
    pub inserted: u64,
    pub copied: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Update,
    Delete,
    Insert,
}

/// A clause with the number that stands for it in the rows: above zero where the row is written, below where it goes.
struct Clause {
    code: i32,
    fate: Fate,
    guard: Expr,
    assignments: Vec<(usize, Expr)>,
}

pub async fn merge(st: &Statement, merge: MergeIntoTable) -> Result<Option<crate::execution::Execution>> {
    let Some((found, alias)) = target(st, &merge.target).await? else { return Ok(None) };
    run(st, &found, alias.as_deref(), merge).await.map(Some)
}

async fn run(st: &Statement, found: &Found, alias: Option<&str>, merge: MergeIntoTable) -> Answer {
    found.delta.check_writable()?;
    check_clauses(&merge)?;
    let clauses = Clauses {
        matched: merge.matched,
        not_matched: merge.not_matched,
        not_matched_by_source: merge.not_matched_by_source,
    };
    let source_schema = st.analyze(&merge.source).await?.schema;
    let source_name = source_alias(&merge.source);
    let evolves =
        merge.with_schema_evolution || st.context.eval.flag("spark.databricks.delta.schema.autoMerge.enabled", false);
    let mut metadata = if evolves { evolved(found, &source_schema, &clauses) } else { found.delta.metadata().clone() };
    metadata.map_columns(Some(found.delta.metadata()))?;
    let source_column = |name: &String| {
        let parts = source_name.iter().cloned().chain([name.clone()]).collect();
        (name.clone(), Expr::parts(parts))
    };
    let source_columns = source_schema.fields.iter().map(|f| source_column(&f.name)).collect();
    let source = with_column(merge.source, Expr::boolean(true).alias(IN_SOURCE));
    let condition = merge.condition;
    let files = found.delta.files()?;
    let touched = touched(st, found, alias, &files, &source, &condition, &clauses).await?;
    let rows = rows_of(st, found, &touched, alias)?;
    let changes_target = !clauses.matched.is_empty() || !clauses.not_matched_by_source.is_empty();
    let (rows, touched) = match changes_target {
        true => (join(rows, source, JoinType::FullOuter, narrowed(&condition, &clauses)), touched),
        // Only new rows: the files of the table stay.
        false => {
            let all = rows_of(st, found, &files, alias)?;
            (join(source, all, JoinType::LeftAnti, condition.clone()), vec![])
        }
    };
    let operation = Operation::new("MERGE")
        .with("predicate", rewrite::predicate_text(Some(&condition)))
        .with("matchedPredicates", clause_texts(&clauses.matched))
        .with("notMatchedPredicates", clause_texts(&clauses.not_matched))
        .with("notMatchedBySourcePredicates", clause_texts(&clauses.not_matched_by_source));
    let change = Change { rows, touched, source_columns, metadata, reads: ReadSet::WholeTable };
    let counts = apply(st, found, alias, change, clauses, operation).await?;
    answer(&[
        ("num_affected_rows", Some(counts.updated + counts.deleted + counts.inserted)),
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

/// How columns of the source are qualified.
fn source_alias(source: &Relation) -> Vec<String> {
    match &*source.kind {
        RelationKind::SubqueryAlias { alias, qualifier, .. } => {
            qualifier.iter().cloned().chain([alias.clone()]).collect()
        }
        RelationKind::NamedTable { name: firesteel_plan::TableName::Parts(parts), .. } => parts.clone(),
        _ => vec![],
    }
}

fn with_column(relation: Relation, column: Expr) -> Relation {
    relation.project(vec![Expr::star(), column])
}

fn join(left: Relation, right: Relation, join_type: JoinType, condition: Expr) -> Relation {
    Relation::new(RelationKind::Join(Box::new(Join {
        left,
        right,
        join_type,
        condition: Some(condition),
        using: vec![],
        natural: false,
        lateral: false,
    })))
}

/// A source row that matches but to which no clause applies is as good as none where nothing is inserted: then it is
/// kept out of the join, so that no row of the target comes twice.
fn narrowed(condition: &Expr, clauses: &Clauses) -> Expr {
    if !clauses.not_matched.is_empty() || !clauses.not_matched_by_source.is_empty() {
        return condition.clone();
    }
    match any_condition(&clauses.matched) {
        Some(any) => condition.clone().and(any),
        None => condition.clone(),
    }
}

/// `c1 OR c2 …`; `None` where a clause has no condition.
fn any_condition(clauses: &[MergeAction]) -> Option<Expr> {
    let conditions: Option<Vec<Expr>> = clauses.iter().map(|clause| clause.condition.clone()).collect();
    conditions?.into_iter().reduce(|a, b| Expr::call("or", vec![a, b]))
}

/// The files with rows that a clause may change. A row of the target that several source rows match is an error, unless
/// it is deleted whatever they say.
async fn touched(
    st: &Statement,
    found: &Found,
    alias: Option<&str>,
    files: &[Add],
    source: &Relation,
    condition: &Expr,
    clauses: &Clauses,
) -> Result<Vec<Add>> {
    if clauses.matched.is_empty() {
        return Ok(if clauses.not_matched_by_source.is_empty() { vec![] } else { files.to_vec() });
    }
    let row = Expr::call("monotonically_increasing_id", vec![]).alias(ROW);
    let rows = with_column(rows_of(st, found, files, alias)?, row);
    let matches = join(rows, source.clone(), JoinType::Inner, narrowed(condition, clauses));
    let applies = match any_condition(&clauses.matched) {
        Some(any) => Expr::call("when", vec![any, Expr::int(1), Expr::int(0)]),
        None => Expr::int(1),
    };
    let group = |names: &[&str], input: Relation, aggregates: Vec<Expr>| {
        let keys = names.iter().map(|name| GroupingElement::Expression(Expr::name(*name))).collect();
        let all = names.iter().map(|name| Expr::name(*name)).chain(aggregates).collect();
        Relation::new(RelationKind::Aggregate {
            input: Box::new(input),
            grouping: Grouping::By(keys),
            aggregates: all,
            pivot: None,
        })
    };
    let sum = Expr::call("sum", vec![Expr::name("applies")]).alias("applied");
    let count = Expr::call("count", vec![Expr::int(1)]).alias("matches");
    let matches = matches.project(vec![Expr::name(FILE), Expr::name(ROW), applies.alias("applies")]);
    let per_row = group(&[FILE, ROW], matches, vec![sum, count]);
    let largest = |name: &str| Expr::call("max", vec![Expr::name(name)]).alias(name);
    let per_file = group(&[FILE], per_row, vec![largest("applied"), largest("matches")]);
    let (_, batches) = st.collect(&per_file).await?;
    let deletes_anyway =
        matches!(clauses.matched.as_slice(), [MergeAction { condition: None, kind: MergeActionKind::Delete }]);
    let mut touched = BTreeMap::new();
    for batch in batches {
        let indexes = batch.column(0).as_primitive::<Int32Type>();
        let (applied, matched) =
            (batch.column(1).as_primitive::<Int64Type>(), batch.column(2).as_primitive::<Int64Type>());
        for at in 0..batch.num_rows() {
            // A row that comes twice would be written twice.
            let twice = matched.value(at) > 1 && (applied.is_valid(at) && applied.value(at) >= 1);
            if twice && !deletes_anyway {
                let parameters = [("usageReference", "")];
                return Err(SparkError::new("DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE", parameters));
            }
            let index = usize::try_from(indexes.value(at)).unwrap_or_default();
            if let Some(add) = files.get(index) {
                touched.insert(index, add.clone());
            }
        }
    }
    Ok(if clauses.not_matched_by_source.is_empty() { touched.into_values().collect() } else { files.to_vec() })
}

/// The metadata with columns that only the source has, where a clause takes all its columns.
fn evolved(found: &Found, source: &StructType, clauses: &Clauses) -> TableMetadata {
    let mut metadata = found.delta.metadata().clone();
    let all = clauses.matched.iter().chain(&clauses.not_matched);
    let mut takes_all = false;
    let mut named: Vec<String> = vec![];
    for clause in all {
        match &clause.kind {
            MergeActionKind::UpdateAll | MergeActionKind::InsertAll => takes_all = true,
            MergeActionKind::Update(pairs) | MergeActionKind::Insert(pairs) => {
                named.extend(pairs.iter().filter_map(|(key, _)| last_name(key)));
            }
            MergeActionKind::Delete => {}
        }
    }
    let is_known = |name: &str| metadata.schema.fields.iter().any(|f| f.name.eq_ignore_ascii_case(name));
    let is_wanted = |name: &str| takes_all || named.iter().any(|n| n.eq_ignore_ascii_case(name));
    let added = source.fields.iter().filter(|f| !is_known(&f.name) && is_wanted(&f.name));
    let added: Vec<StructField> = added.map(|f| StructField::new(&f.name, f.data_type.as_nullable(), true)).collect();
    metadata.schema = StructType::new(metadata.schema.fields.iter().cloned().chain(added).collect());
    metadata
}

fn name_of(key: &Expr) -> Option<Vec<String>> {
    match &*key.kind {
        ExprKind::Attribute { name, .. } => Some(name.clone()),
        ExprKind::SqlText(text) => firesteel_plan::parse_multipart_identifier(text).ok(),
        _ => None,
    }
}

fn last_name(key: &Expr) -> Option<String> {
    name_of(key)?.pop()
}

/// Computes the rows, writes them and commits.
pub async fn apply(
    st: &Statement,
    found: &Found,
    alias: Option<&str>,
    change: Change,
    clauses: Clauses,
    operation: Operation,
) -> Result<Counts> {
    let metadata = &change.metadata;
    let is_merge = !change.source_columns.is_empty();
    let anti = is_merge && clauses.matched.is_empty() && clauses.not_matched_by_source.is_empty();
    let clauses = coded(st, found, alias, &change, clauses, anti)?;
    // With the action of each row beside it, values are computed for the rows of their clause alone.
    let mut branches = vec![];
    for clause in &clauses {
        branches.extend([clause.guard.clone(), Expr::int(clause.code)]);
    }
    let in_target = || Expr::call("isnotnull", vec![Expr::name(FILE)]);
    branches.push(match (anti, is_merge) {
        (true, _) => Expr::int(SKIPPED),
        (false, true) => Expr::call("when", vec![in_target(), Expr::int(0), Expr::int(SKIPPED)]),
        (false, false) => Expr::int(0),
    });
    let rows = with_column(change.rows.clone(), Expr::call("when", branches).alias(ACTION));
    let own = own_width(found);
    let mut columns: Vec<Expr> = vec![Expr::name(ACTION)];
    for (index, field) in metadata.schema.fields.iter().enumerate() {
        let old = match index < own && !anti {
            true => column(found, alias, &field.name),
            false => Expr::null().cast(field.data_type.as_nullable()),
        };
        columns.push(old.alias(format!("__old_{index}")));
    }
    for clause in &clauses {
        for (index, value) in &clause.assignments {
            let is_its = Expr::call("==", vec![Expr::name(ACTION), Expr::int(clause.code)]);
            let guarded = Expr::call("when", vec![is_its, value.clone()]);
            columns.push(guarded.alias(format!("__new_{}_{index}", clause.code)));
        }
    }
    let computed = st.analyze(&rows.project(columns)).await?;
    let acted = assigned(st, found, metadata, computed, &clauses)?;
    let action = attribute(&acted.analyzed, ACTION)?.clone();
    let new = new_rows(&acted.analyzed, metadata, &action, &clauses)?;
    let written = rewrite::write_acted(st, found, metadata, new).await?;
    let mut counts = Counts::default();
    for (code, rows) in &written.actions {
        match clauses.iter().find(|clause| clause.code == *code).map(|clause| clause.fate) {
            Some(Fate::Update) => counts.updated += rows,
            Some(Fate::Delete) => counts.deleted += rows,
            Some(Fate::Insert) => counts.inserted += rows,
            None if *code == 0 => counts.copied += rows,
            None => {}
        }
    }
    if counts.updated + counts.deleted + counts.inserted == 0 && *metadata == *found.delta.metadata() {
        // Nothing changes: the files that were written say what the table says already.
        written.discard(found.delta.location(), found.delta.storage()).await;
        return Ok(counts);
    }
    let mut transaction = Transaction::on(&found.delta);
    if metadata.flag("delta.enableChangeDataFeed") && counts.updated + counts.deleted > 0 {
        let feed = feed_of(&acted.analyzed, metadata, &clauses)?;
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

fn own_width(found: &Found) -> usize {
    found.delta.schema().fields.len()
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

/// The clauses with their numbers, guards and assignments.
fn coded(
    st: &Statement,
    found: &Found,
    alias: Option<&str>,
    change: &Change,
    clauses: Clauses,
    anti: bool,
) -> Result<Vec<Clause>> {
    let present = |name: &str| Expr::call("isnotnull", vec![Expr::name(name)]);
    let absent = |name: &str| Expr::call("isnull", vec![Expr::name(name)]);
    let is_merge = !change.source_columns.is_empty();
    let always = Expr::boolean(true);
    let guards = [
        if is_merge { present(FILE).and(present(IN_SOURCE)) } else { always.clone() },
        if anti { always } else { absent(FILE) },
        absent(IN_SOURCE),
    ];
    let families = [clauses.matched, clauses.not_matched, clauses.not_matched_by_source];
    let mut all: Vec<Clause> = vec![];
    for (guard, family) in guards.into_iter().zip(families) {
        for action in family {
            let number = i32::try_from(all.len() + 1).unwrap_or(i32::MAX);
            let guard = match action.condition {
                Some(condition) => guard.clone().and(condition),
                None => guard.clone(),
            };
            let (fate, pairs) = match action.kind {
                MergeActionKind::Delete => (Fate::Delete, vec![]),
                MergeActionKind::UpdateAll => (Fate::Update, all_columns(change)?),
                MergeActionKind::InsertAll => (Fate::Insert, all_columns(change)?),
                MergeActionKind::Update(pairs) => (Fate::Update, pairs),
                MergeActionKind::Insert(pairs) => (Fate::Insert, pairs),
            };
            let code = if fate == Fate::Delete { -number } else { number };
            let assignments = assignments(st, found, alias, &change.metadata, pairs)?;
            all.push(Clause { code, fate, guard, assignments });
        }
    }
    Ok(all)
}

/// `SET *`, `INSERT *`: every column of the table that the source has.
fn all_columns(change: &Change) -> Result<Vec<(Expr, Expr)>> {
    let mut pairs = vec![];
    for field in change.metadata.schema.fields.iter() {
        let found = change.source_columns.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name));
        match found {
            Some((_, value)) => pairs.push((Expr::name(&field.name), value.clone())),
            None if field.nullable => {}
            None => {
                let names: Vec<&str> = change.source_columns.iter().map(|(name, _)| name.as_str()).collect();
                return Err(SparkError::new(
                    "DELTA_MERGE_UNRESOLVED_EXPRESSION",
                    [("sqlExpr", field.name.clone()), ("clause", "the clause".into()), ("cols", names.join(", "))],
                ));
            }
        }
    }
    Ok(pairs)
}

/// The value of each assigned column. A field of a struct is put into the column's old value.
fn assignments(
    st: &Statement,
    found: &Found,
    alias: Option<&str>,
    metadata: &TableMetadata,
    pairs: Vec<(Expr, Expr)>,
) -> Result<Vec<(usize, Expr)>> {
    let mut values: Vec<(usize, Expr)> = vec![];
    for (key, value) in pairs {
        let name = name_of(&key).ok_or_else(|| SparkError::of("DELTA_MERGE_UNEXPECTED_ASSIGNMENT_KEY"))?;
        let (index, fields) = locate(found, alias, metadata, &name)?;
        let field = &metadata.schema.fields[index];
        let value = match &*value.kind {
            ExprKind::Default => crate::commands::insert::default_of(st, field)?,
            _ => value,
        };
        let earlier = values.iter().position(|(known, _)| *known == index);
        let value = match (fields.as_slice(), earlier) {
            ([], None) => value,
            ([], Some(_)) => {
                return Err(SparkError::new("DELTA_CONFLICT_SET_COLUMN", [("columnList", quoted_name(&name))]));
            }
            (fields, _) => {
                let old = match earlier {
                    Some(at) => values[at].1.clone(),
                    None => column(found, alias, &field.name),
                };
                let updated = ExprKind::UpdateFields { child: old, field: fields.join("."), value: Some(value) };
                Expr::from(updated)
            }
        };
        match earlier {
            Some(at) => values[at].1 = value,
            None => values.push((index, value)),
        }
    }
    Ok(values)
}

/// The table's column that a name means, and the fields below it.
fn locate(
    found: &Found,
    alias: Option<&str>,
    metadata: &TableMetadata,
    name: &[String],
) -> Result<(usize, Vec<String>)> {
    let position = |part: &String| metadata.schema.fields.iter().position(|f| f.name.eq_ignore_ascii_case(part));
    let mut qualifiers: Vec<Vec<String>> = alias.iter().map(|alias| vec![(*alias).to_string()]).collect();
    if alias.is_none() {
        let full = found.qualifier();
        qualifiers.extend((0..full.len()).map(|from| full[from..].to_vec()));
    }
    for qualifier in qualifiers.iter().filter(|q| q.len() < name.len()) {
        let is_it = qualifier.iter().zip(name).all(|(a, b)| a.eq_ignore_ascii_case(b));
        if let (true, Some(index)) = (is_it, position(&name[qualifier.len()])) {
            return Ok((index, name[qualifier.len() + 1..].to_vec()));
        }
    }
    if let Some(index) = name.first().and_then(position) {
        return Ok((index, name[1..].to_vec()));
    }
    let proposal: Vec<_> = metadata.schema.fields.iter().map(|f| firesteel_plan::quote_identifier(&f.name)).collect();
    Err(SparkError::new(
        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
        [("objectName", quoted_name(name)), ("proposal", proposal.join(", "))],
    ))
}

/// The rows with their old values (`__old_i`), their new ones (`__row_i`) and their action.
struct Acted {
    analyzed: AnalyzedPlan,
}

fn assigned(
    st: &Statement,
    found: &Found,
    metadata: &TableMetadata,
    computed: AnalyzedPlan,
    clauses: &[Clause],
) -> Result<Acted> {
    let action = attribute(&computed, ACTION)?.clone();
    let mut columns: Vec<(TypedExpr, StructField)> = vec![];
    for (index, field) in metadata.schema.fields.iter().enumerate() {
        let data_type = field.data_type.as_nullable();
        let old = attribute(&computed, &format!("__old_{index}"))?.clone();
        columns.push((old.typed(), StructField::new(&old.name, data_type.clone(), true)));
        let mut value = None;
        for clause in clauses.iter().filter(|clause| clause.fate != Fate::Delete) {
            let is_assigned = clause.assignments.iter().any(|(at, _)| *at == index);
            let typed = match (is_assigned, clause.fate) {
                (true, _) => {
                    let new = attribute(&computed, &format!("__new_{}_{index}", clause.code))?;
                    stored(st, found, new, &data_type, &field.name)?.expr
                }
                // An insert leaves NULL where it says nothing.
                (false, Fate::Insert) => TypedExpr::null(data_type.clone()).expr,
                (false, _) => continue,
            };
            let mut builder = value.take().unwrap_or_else(|| case(action.column()));
            value = Some(builder.when(lit(clause.code), typed));
        }
        let expr = match value {
            None => old.column(),
            Some(mut builder) => builder.otherwise(old.column()).map_err(from_datafusion)?,
        };
        let typed = TypedExpr::new(expr, data_type.clone(), true, field.name.clone());
        columns.push((typed, StructField::new(format!("__row_{index}"), data_type, true)));
    }
    columns.push((action.typed(), action.to_field()));
    Ok(Acted { analyzed: crate::commands::write::project(&computed, columns)? })
}

/// A value as the column's type, by the rules of assignment.
fn stored(st: &Statement, found: &Found, new: &Attribute, to: &DataType, column: &str) -> Result<TypedExpr> {
    if new.data_type.as_nullable() == *to {
        return Ok(new.typed());
    }
    store_assign(new.typed(), to, &found.name(), column, &st.context.eval)
}

/// The new values as the table's columns, then the action. A generated column that no clause sets is left out: it is
/// computed from the others.
fn new_rows(
    rows: &AnalyzedPlan,
    metadata: &TableMetadata,
    action: &Attribute,
    clauses: &[Clause],
) -> Result<AnalyzedPlan> {
    let is_set = |index: usize| clauses.iter().any(|clause| clause.assignments.iter().any(|(at, _)| *at == index));
    let fields = metadata.schema.fields.iter().enumerate();
    let computed: Vec<bool> = fields.map(|(at, field)| generation_of(field).is_some() && !is_set(at)).collect();
    let columns = table_columns(rows, metadata, "__row_")?.into_iter().zip(computed);
    let mut columns: Vec<_> = columns.filter_map(|(column, computed)| (!computed).then_some(column)).collect();
    columns.push((action.typed(), action.to_field()));
    crate::commands::write::project(rows, columns)
}

fn table_columns(rows: &AnalyzedPlan, metadata: &TableMetadata, prefix: &str) -> Result<Vec<(TypedExpr, StructField)>> {
    let column = |(index, field): (usize, &StructField)| {
        let found = attribute(rows, &format!("{prefix}{index}"))?;
        Ok((found.typed(), StructField { data_type: field.data_type.as_nullable(), nullable: true, ..field.clone() }))
    };
    metadata.schema.fields.iter().enumerate().map(column).collect()
}

/// The change rows: before and after an update, what was deleted, what was inserted.
fn feed_of(rows: &AnalyzedPlan, metadata: &TableMetadata, clauses: &[Clause]) -> Result<AnalyzedPlan> {
    let action = attribute(rows, ACTION)?;
    let kinds = [
        ("update_preimage", "__old_", Fate::Update),
        ("update_postimage", "__row_", Fate::Update),
        ("delete", "__old_", Fate::Delete),
        ("insert", "__row_", Fate::Insert),
    ];
    let mut parts = vec![];
    for (kind, prefix, fate) in kinds {
        let codes: Vec<_> = clauses.iter().filter(|c| c.fate == fate).map(|c| lit(c.code)).collect();
        if codes.is_empty() {
            continue;
        }
        let filtered = LogicalPlanBuilder::from(rows.plan.clone()).filter(action.column().in_list(codes, false));
        let plan = filtered.and_then(|b| b.build()).map_err(from_datafusion)?;
        let filtered = AnalyzedPlan { plan, ..rows.clone() };
        let mut columns = table_columns(&filtered, metadata, prefix)?;
        let change = StructField::new("_change_type", DataType::STRING, true);
        columns.push((TypedExpr::string(kind), change));
        parts.push(crate::commands::write::project(&filtered, columns)?);
    }
    union_of(parts)
}
