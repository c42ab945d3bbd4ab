//! UPDATE, DELETE, MERGE and TRUNCATE on Iceberg tables: files with rows that change are written anew. Where another writer
//! was faster the statement runs again on what that one left.
use std::collections::BTreeSet;

use datafusion::common::ScalarValue;
use firesteel_analyze::{AnalyzedPlan, TableSource};
use firesteel_lake::iceberg::{DataFile, LiveFiles, Removed, check_writable, scan_files};
use firesteel_plan::command::{MergeAction, MergeActionKind, MergeIntoTable};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{DataType, Expr, Relation, RelationKind, Result, SparkError, StructField, StructType};

use super::{Found, change_of, discard, find, find_outside, run_commit, write_into};
use crate::commands::row_level::{
    Acted, Change, Clauses, Dialect, FILE, Merge, Target, act, check_assignments, count_by_file, stays,
};
use crate::commands::{Answer, Statement};
use crate::execution::Execution;
use crate::iceberg::read_schema;

/// How often a statement runs again.
const ATTEMPTS: usize = 10;

/// The name that a statement has for its table.
pub struct Named {
    parts: Vec<String>,
    alias: Option<String>,
    plan_ids: (Option<i64>, Option<i64>),
}

/// The table that UPDATE, DELETE or MERGE changes. `None`: it is none of Iceberg's.
pub async fn target(st: &Statement, relation: &Relation) -> Result<Option<Named>> {
    let (inner, alias, aliased) = match &*relation.kind {
        RelationKind::SubqueryAlias { input, alias, .. } => (input.as_ref(), Some(alias.clone()), relation.plan_id),
        _ => (relation, None, None),
    };
    let RelationKind::NamedTable { name, .. } = &*inner.kind else { return Ok(None) };
    let named = Named { parts: st.name(name).await?, alias, plan_ids: (inner.plan_id, aliased) };
    Ok(named.found(st).await?.map(|_| named))
}

/// The table of a name without an alias. `None`: it is none of Iceberg's.
pub async fn named(st: &Statement, parts: &[String]) -> Result<Option<Named>> {
    let named = Named { parts: parts.to_vec(), alias: None, plan_ids: (None, None) };
    Ok(named.found(st).await?.map(|_| named))
}

impl Named {
    async fn found(&self, st: &Statement) -> Result<Option<Found>> {
        match find_outside(st, &self.parts).await? {
            Some(found) => Ok(Some(found)),
            None => find(st, &self.parts).await,
        }
    }

    /// The table as it is now.
    async fn state(&self, st: &Statement) -> Result<State> {
        let found = self.found(st).await?.ok_or_else(|| st.table_not_found(&self.parts))?;
        check_writable(&found.iceberg)?;
        let files = found.iceberg.live_files().await?;
        let target = Target {
            name: quoted_name(&found.name),
            qualifier: found.name.clone(),
            alias: self.alias.clone(),
            plan_ids: self.plan_ids,
            schema: found.table.schema.clone(),
            dialect: Dialect::Spark,
        };
        Ok(State { found, files, target })
    }
}

/// A table, its files, and how the statement names it.
struct State {
    found: Found,
    files: LiveFiles,
    target: Target,
}

impl State {
    /// The rows of files, with [`FILE`].
    fn rows(&self, st: &Statement, files: &LiveFiles) -> Result<Relation> {
        let indexes = (0..files.len()).map(|index| ScalarValue::Int32(i32::try_from(index).ok())).collect();
        let file = StructField::new(FILE, DataType::Integer, false);
        let constants = [(file.clone(), indexes)];
        let scan = scan_files(&self.found.iceberg, files.clone(), &constants, st.context.delta_conf())?;
        // Rows to be changed are checked as they are written, whatever the table says of them.
        let columns = read_schema(&self.found.iceberg.metadata().schema()?).as_nullable();
        let schema = StructType::new(columns.fields.iter().cloned().chain([file]).collect());
        let metadata = StructType::new(vec![scan.metadata_column()]);
        let qualifier = self.target.qualifier.clone();
        let source = TableSource::Provider { provider: scan.table(), schema, metadata, qualifier };
        Ok(self.target.named(st.context.pin(source)))
    }

    /// The places of the files with rows of a condition, and how many.
    async fn touched(&self, st: &Statement, condition: Option<&Expr>) -> Result<Vec<(usize, u64)>> {
        let rows = self.rows(st, &self.files)?;
        let rows = match condition {
            Some(condition) => rows.filter(condition.clone()),
            None => rows,
        };
        Ok(count_by_file(st, rows).await?.into_iter().collect())
    }

    /// Puts new files in place of old ones. `false`: another writer was faster.
    async fn replace(&self, st: &Statement, touched: &LiveFiles, added: Vec<DataFile>) -> Result<bool> {
        let paths: BTreeSet<String> = touched.paths().map(str::to_string).collect();
        let removed = if paths.is_empty() { Removed::Nothing } else { Removed::Files(paths) };
        let commit = change_of(&self.found, added, removed);
        let done = match st.context.cancel.is_cancelled() {
            true => Err(crate::execution::cancelled()),
            false => commit.commit_if_unchanged().await,
        };
        match &done {
            Ok(true) => self.found.invalidate(st),
            Ok(false) => discard(&commit.storage, &commit.added, &overtaken()).await,
            Err(error) => discard(&commit.storage, &commit.added, error).await,
        }
        done
    }

    /// Writes the rows of a change and commits it. `false`: another writer was faster.
    async fn apply(&self, st: &Statement, touched: &LiveFiles, acted: Acted) -> Result<bool> {
        let rows: AnalyzedPlan = acted.new_rows(|_| true)?;
        let action = rows.output.last();
        let (written, _) = write_into(st, &self.found, &rows, &self.found.table.options, action).await?;
        if acted.counts(&written.actions).changed() == 0 {
            // The files that were written say what the table says already.
            discard(self.found.iceberg.storage(), &written.files, &overtaken()).await;
            return Ok(true);
        }
        self.replace(st, touched, written.files).await
    }
}

fn overtaken() -> SparkError {
    SparkError::unsupported("so many writers of one Iceberg table at once: the statement was overtaken every time")
}

pub async fn delete(st: &Statement, named: &Named, condition: Option<Expr>) -> Answer {
    let Some(condition) = condition else { return truncate(st, named).await };
    for _ in 0..ATTEMPTS {
        let state = named.state(st).await?;
        let counts = state.touched(st, Some(&condition)).await?;
        let touched = state.files.only(counts.iter().map(|(file, _)| *file));
        let is_partial = |(file, rows): &&(usize, u64)| state.files.rows(*file) != Some(*rows);
        let partial = state.files.only(counts.iter().filter(is_partial).map(|(file, _)| *file));
        let mut added = vec![];
        if !partial.is_empty() {
            let rows = state.rows(st, &partial)?.filter(stays(&condition)).project(state.target.columns());
            let rows = st.analyze(&rows).await?;
            added = write_into(st, &state.found, &rows, &state.found.table.options, None).await?.0.files;
        }
        if touched.is_empty() || state.replace(st, &touched, added).await? {
            return Ok(Execution::empty());
        }
    }
    Err(overtaken())
}

/// Every row goes.
pub async fn truncate(st: &Statement, named: &Named) -> Answer {
    let state = named.state(st).await?;
    if !state.files.is_empty() {
        run_commit(st, change_of(&state.found, vec![], Removed::Everything)).await?;
        state.found.invalidate(st);
    }
    Ok(Execution::empty())
}

/// `UPDATE t SET a = …, b.c = … [WHERE condition]`
pub async fn update(
    st: &Statement,
    named: &Named,
    assignments: Vec<(Vec<String>, Expr)>,
    condition: Option<Expr>,
) -> Answer {
    for _ in 0..ATTEMPTS {
        let state = named.state(st).await?;
        let counts = state.touched(st, condition.as_ref()).await?;
        if counts.is_empty() {
            // Columns and types of a statement that changes nothing are checked all the same.
            check_assignments(st, state.rows(st, &LiveFiles::default())?, &assignments).await?;
            return Ok(Execution::empty());
        }
        let touched = state.files.only(counts.iter().map(|(file, _)| *file));
        let pairs = assignments.iter().map(|(name, value)| (Expr::parts(name.clone()), value.clone())).collect();
        let clause = MergeAction { condition: condition.clone(), kind: MergeActionKind::Update(pairs) };
        let clauses = Clauses { matched: vec![clause], ..Clauses::default() };
        let rows = state.rows(st, &touched)?;
        let change = Change { rows, source_columns: vec![], schema: state.target.schema.clone(), clauses };
        let acted = act(st, &state.target, change).await?;
        if state.apply(st, &touched, acted).await? {
            return Ok(Execution::empty());
        }
    }
    Err(overtaken())
}

pub async fn merge(st: &Statement, named: &Named, merge: MergeIntoTable) -> Answer {
    if merge.with_schema_evolution {
        return Err(SparkError::unsupported("MERGE WITH SCHEMA EVOLUTION on Iceberg tables"));
    }
    let merge = Merge::of(st, merge).await?;
    for _ in 0..ATTEMPTS {
        let state = named.state(st).await?;
        let all = state.rows(st, &state.files)?;
        let (rows, touched) = match merge.changes_target() {
            true => {
                let touched = merge.touched(st, &state.target, all, state.files.len()).await?;
                let touched = state.files.only(touched);
                (merge.joined(state.rows(st, &touched)?), touched)
            }
            // Rows are only added: the files of the table stay.
            false => (merge.unmatched(all), LiveFiles::default()),
        };
        let (source_columns, clauses) = (merge.source_columns.clone(), merge.clauses.clone());
        let change = Change { rows, source_columns, schema: state.target.schema.clone(), clauses };
        let acted = act(st, &state.target, change).await?;
        if state.apply(st, &touched, acted).await? {
            return Ok(Execution::empty());
        }
    }
    Err(overtaken())
}
