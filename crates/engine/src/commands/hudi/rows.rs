//! DELETE, UPDATE and MERGE on Hudi tables of the catalog: groups with rows that change are written anew; in merge-on-read
//! tables the rows that change go to their logs.
use firesteel_analyze::TableSource;
use firesteel_catalog::Table;
use firesteel_lake::hudi::HudiTable;
use firesteel_lake::hudi::write::{FileGroup, HudiDefinition, Operation, TableLock, lock};
use firesteel_plan::command::{MergeAction, MergeActionKind, MergeIntoTable};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::relation::Options;
use firesteel_plan::{DataType, Expr, Relation, RelationKind, Result, SparkError, StructField, StructType};
use firesteel_storage::Location;

use super::options::WriteOptions;
use super::records::{OWN, Records, call, check_keys, named, names_single, when};
use super::{Change, Touched, Work, check_groups};
use crate::commands::row_level::Change as RowChange;
use crate::commands::row_level::{
    ACTION, Acted, Clauses, Dialect, FILE, Merge, Target, act, check_assignments, count_by_file, stays,
};
use crate::commands::{Answer, Statement};
use crate::execution::Execution;
use crate::names::Resolved;

/// Columns of a row before those of the table: [`FILE`], and Hudi's own but the name of the file.
const AHEAD: usize = OWN.len() + 1;
/// Hudi's own columns.
const OWN_COUNT: usize = OWN.len() + 1;
const COMMIT_TIME: usize = 1;
const RECORD_KEY: usize = 3;
const PARTITION_PATH: usize = 4;

/// The name that a statement has for its table.
pub struct Named {
    table: Table,
    name: Vec<String>,
    alias: Option<String>,
    plan_ids: (Option<i64>, Option<i64>),
}

/// The table that DELETE, UPDATE or MERGE changes. `None`: it is none of Hudi's.
pub async fn target(st: &Statement, relation: &Relation) -> Result<Option<Named>> {
    let (inner, alias, aliased) = match &*relation.kind {
        RelationKind::SubqueryAlias { input, alias, .. } => (input.as_ref(), Some(alias.clone()), relation.plan_id),
        _ => (relation, None, None),
    };
    let RelationKind::NamedTable { name, .. } = &*inner.kind else { return Ok(None) };
    let parts = st.name(name).await?;
    let Ok(Resolved::Table(id)) = st.session().resolve(&parts, &st.context.namespace) else { return Ok(None) };
    let table = st.catalog().get_table(&id).await?.filter(crate::hudi::is_hudi_table);
    let name = vec![firesteel_catalog::SESSION_CATALOG.to_string(), id.database, id.name];
    Ok(table.map(|table| Named { table, name, alias, plan_ids: (inner.plan_id, aliased) }))
}

/// A table as it is now, and how the statement names it.
struct State {
    table: HudiTable,
    definition: HudiDefinition,
    schema: String,
    /// Hudi's own columns and the table's
    columns: StructType,
    groups: Vec<FileGroup>,
    target: Target,
    options: Options,
    lock: TableLock,
}

impl Named {
    async fn state(&self, st: &Statement) -> Result<State> {
        let location = Location::parse(self.table.location.as_deref().unwrap_or_default())?;
        let lock = lock(&location).await;
        let table = HudiTable::open(&location, &st.context.storage().with_options(&self.table.options)).await?;
        let definition = table.definition()?;
        check_keys(&definition)?;
        let schema = table.record_schema().await?;
        let schema = schema.ok_or_else(|| SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", "Hudi")]))?;
        let columns = HudiTable::columns_of(&schema)?;
        let own = OWN.iter().map(|name| StructField::new(*name, DataType::STRING, true));
        let ahead = [StructField::new(FILE, DataType::Integer, true)].into_iter().chain(own);
        let data = columns.fields.iter().skip(OWN_COUNT).cloned();
        let target = Target {
            name: quoted_name(&self.name),
            qualifier: self.name.clone(),
            alias: self.alias.clone(),
            plan_ids: self.plan_ids,
            schema: StructType::new(ahead.chain(data).collect()),
            dialect: Dialect::Spark,
        };
        let groups = table.file_groups().await?;
        check_groups(&groups)?;
        let mut options: Options = self.table.properties.clone();
        options.extend(self.table.options.clone());
        Ok(State { table, definition, schema, columns, groups, target, options, lock })
    }

    fn invalidate(&self, st: &Statement) {
        st.session().cache.invalidate_table(&self.table.id);
        st.session().cache.invalidate_relations();
    }
}

impl State {
    /// The rows of groups under the table's name, with [`FILE`].
    fn rows(&self, st: &Statement, groups: &[FileGroup]) -> Result<Relation> {
        let place = StructField::new(FILE, DataType::Integer, false);
        let scan = self.table.scan_groups(groups, &self.columns, &place, st.context.delta_conf(), true)?;
        let schema = StructType::new(self.columns.fields.iter().chain([&place]).cloned().collect()).as_nullable();
        let metadata = StructType::new(vec![scan.metadata_column()]);
        let qualifier = self.target.qualifier.clone();
        let source = TableSource::Provider { provider: scan.table(), schema, metadata, qualifier };
        Ok(self.target.named(st.context.pin(source)))
    }

    /// The groups with rows of a condition, and how many.
    async fn touched(&self, st: &Statement, condition: Option<&Expr>) -> Result<Touched> {
        let rows = self.rows(st, &self.groups)?;
        let rows = match condition {
            Some(condition) => rows.filter(condition.clone()),
            None => rows,
        };
        let counts = count_by_file(st, rows).await?;
        let groups = counts.keys().filter_map(|place| self.groups.get(*place).cloned()).collect();
        Ok((groups, counts.into_values().enumerate().collect()))
    }

    /// Rows that were acted on, as they are written.
    async fn written(&self, st: &Statement, acted: &Acted) -> Result<Relation> {
        let (table, definition, columns) = (&self.table, &self.definition, &self.columns);
        let mut records = Records { st, table, definition, columns, names_single: false };
        records.names_single = names_single(&records, &self.groups).await?;
        let old = |at: usize| Expr::name(format!("__old_{at}"));
        let new = |at: usize| Expr::name(format!("__row_{at}"));
        let is_inserted = call("isnull", [old(0)]);
        let changes = call(">", [Expr::name(ACTION), Expr::int(0)]);
        let takes = match records.ordering()? {
            None => changes,
            Some(at) => {
                let at = AHEAD + at;
                let alone = call("or", [is_inserted.clone(), call("isnull", [old(at)])]);
                changes.and(call("or", [alone, call(">=", [new(at), old(at)])]))
            }
        };
        let takes = call("coalesce", [takes, Expr::boolean(false)]);
        let (key, path) = records.key_and_path(|at| new(AHEAD + at))?;
        let null = || Expr::null().cast(DataType::STRING);
        let is_deleted = call("<", [Expr::name(ACTION), Expr::int(0)]).and(call("isnotnull", [old(0)]));
        let (time, is_written) = match self.definition.is_merge_on_read {
            false => (when([takes.clone(), null(), old(1)]), call(">=", [Expr::name(ACTION), Expr::int(0)])),
            true => {
                let of_row = match records.deleted_of(|at| new(AHEAD + at))? {
                    Some(flag) => records.fate(flag.and(call("isnotnull", [old(0)])))?,
                    None => null(),
                };
                let deleted = records.fate_of_deleted(|at| old(AHEAD + at))?;
                let time = when([is_deleted.clone(), deleted, of_row]);
                (time, call("or", [takes.clone(), is_deleted]))
            }
        };
        let mut columns = vec![
            old(0),
            time,
            when([takes.clone(), null(), old(2)]),
            when([is_inserted.clone(), key, old(RECORD_KEY)]),
            when([is_inserted, path, old(PARTITION_PATH)]),
        ];
        let data = records.data().map(|(at, _)| when([takes.clone(), new(AHEAD + at), old(AHEAD + at)]));
        columns.extend(data);
        let rows = TableSource::Analyzed {
            plan: acted.analyzed.plan.clone(),
            output: acted.analyzed.output.clone(),
            qualifier: vec![],
        };
        let rows = st.context.pin(rows).filter(is_written);
        Ok(rows.project(named(columns)))
    }

    async fn commit(self, st: &Statement, operation: Operation, rows: Relation, touched: Touched) -> Result<()> {
        let options = WriteOptions::new(st, &self.options)?;
        let (codec, removes_failed) = (options.codec(), options.removes_failed());
        let (table, schema, lock) = (self.table, self.schema, self.lock);
        let work = Work::Rows { rows, touched };
        Change { table, is_new: false, operation, schema, codec, removes_failed, work, lock }.run(st).await.map(|_| ())
    }

    /// Keys and partitions of records stay: their groups are found by them.
    fn check_assigned(&self, names: &[String]) -> Result<()> {
        let fixed = self.definition.record_keys.iter().chain(&self.definition.partition_by);
        match fixed.into_iter().find(|column| names.iter().any(|name| name.eq_ignore_ascii_case(column))) {
            Some(column) => {
                Err(SparkError::unsupported(format!("changing the key or partition column {column} of a Hudi table")))
            }
            None => Ok(()),
        }
    }
}

pub async fn delete(st: &Statement, named_table: &Named, condition: Option<Expr>) -> Answer {
    let state = named_table.state(st).await?;
    let condition = condition.unwrap_or_else(|| Expr::boolean(true));
    let touched = state.touched(st, Some(&condition)).await?;
    if !touched.0.is_empty() {
        let columns = state.target.columns();
        let appends = state.definition.is_merge_on_read;
        let wanted = if appends { condition } else { stays(&condition) };
        let rows = state.rows(st, &touched.0)?.filter(wanted).project(columns);
        let mut values: Vec<_> = state.target.schema.fields.iter().map(|field| Expr::name(&field.name)).collect();
        if appends {
            let names_single = false;
            let (table, definition, columns) = (&state.table, &state.definition, &state.columns);
            let records = Records { st, table, definition, columns, names_single };
            let column = |at: usize| Expr::name(&state.target.schema.fields[AHEAD + at].name);
            values[COMMIT_TIME] = records.fate_of_deleted(column)?;
        }
        let rows = rows.project(named(values));
        state.commit(st, Operation::Delete, rows, touched).await?;
        named_table.invalidate(st);
    }
    Ok(Execution::empty())
}

pub async fn update(
    st: &Statement,
    named_table: &Named,
    assignments: Vec<(Vec<String>, Expr)>,
    condition: Option<Expr>,
) -> Answer {
    let state = named_table.state(st).await?;
    let names: Vec<String> = assignments.iter().filter_map(|(name, _)| name.last().cloned()).collect();
    state.check_assigned(&names)?;
    let (groups, _) = state.touched(st, condition.as_ref()).await?;
    if groups.is_empty() {
        // Columns and types of a statement that changes nothing are checked all the same.
        check_assignments(st, state.rows(st, &[])?, &assignments).await?;
        return Ok(Execution::empty());
    }
    let pairs = assignments.into_iter().map(|(name, value)| (Expr::parts(name), value)).collect();
    let clause = MergeAction { condition, kind: MergeActionKind::Update(pairs) };
    let clauses = Clauses { matched: vec![clause], ..Clauses::default() };
    let rows = state.rows(st, &groups)?;
    let change = RowChange { rows, source_columns: vec![], schema: state.target.schema.clone(), clauses };
    let acted = act(st, &state.target, change).await?;
    let rows = state.written(st, &acted).await?;
    state.commit(st, Operation::Upsert, rows, (groups, Default::default())).await?;
    named_table.invalidate(st);
    Ok(Execution::empty())
}

pub async fn merge(st: &Statement, named_table: &Named, merge: MergeIntoTable) -> Answer {
    if merge.with_schema_evolution {
        return Err(SparkError::unsupported("MERGE WITH SCHEMA EVOLUTION on Hudi tables"));
    }
    let state = named_table.state(st).await?;
    let mut merge = Merge::of(st, merge).await?;
    spell_out(&mut merge, &state)?;
    let (matched, _) = Clauses { not_matched: vec![], ..merge.clauses.clone() }.assigned_names();
    state.check_assigned(&changed_names(matched, &merge))?;
    let all = state.rows(st, &state.groups)?;
    let (rows, groups) = match merge.changes_target() {
        true => {
            let touched = merge.touched(st, &state.target, all, state.groups.len()).await?;
            let touched: Vec<_> = touched.into_iter().filter_map(|at| state.groups.get(at).cloned()).collect();
            (merge.joined(state.rows(st, &touched)?), touched)
        }
        // Rows are only added: the groups of the table stay.
        false => (merge.unmatched(all), vec![]),
    };
    let (source_columns, clauses) = (merge.source_columns.clone(), merge.clauses.clone());
    let change = RowChange { rows, source_columns, schema: state.target.schema.clone(), clauses };
    let acted = act(st, &state.target, change).await?;
    let rows = state.written(st, &acted).await?;
    state.commit(st, Operation::Upsert, rows, (groups, Default::default())).await?;
    named_table.invalidate(st);
    Ok(Execution::empty())
}

/// `UPDATE SET *` and `INSERT *` as assignments to the table's own columns. Keys and partitions of rows that match are
/// left as they are.
fn spell_out(merge: &mut Merge, state: &State) -> Result<()> {
    let source = merge.source_columns.clone();
    let of = |is_insert: bool| -> Result<Vec<(Expr, Expr)>> {
        let mut pairs = vec![];
        for field in state.target.schema.fields.iter().skip(AHEAD) {
            let found = source.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field.name));
            let Some((_, value)) = found else {
                let proposal: Vec<_> = source.iter().map(|(name, _)| firesteel_plan::quote_identifier(name)).collect();
                let name = firesteel_plan::quote_identifier(&field.name);
                let parameters = [("objectName", name), ("proposal", proposal.join(", "))];
                return Err(SparkError::new("UNRESOLVED_COLUMN.WITH_SUGGESTION", parameters));
            };
            if is_insert || state.check_assigned(std::slice::from_ref(&field.name)).is_ok() {
                pairs.push((Expr::name(&field.name), value.clone()));
            }
        }
        Ok(pairs)
    };
    let Clauses { matched, not_matched, not_matched_by_source } = &mut merge.clauses;
    for action in matched.iter_mut().chain(not_matched).chain(not_matched_by_source) {
        action.kind = match &action.kind {
            MergeActionKind::UpdateAll => MergeActionKind::Update(of(false)?),
            MergeActionKind::InsertAll => MergeActionKind::Insert(of(true)?),
            _ => continue,
        };
    }
    Ok(())
}

/// The columns that updates assign other values to than those by which rows match: a key may be set to itself.
fn changed_names(names: Vec<String>, merge: &Merge) -> Vec<String> {
    let is_same = |name: &String| {
        let updates = merge.clauses.matched.iter().filter_map(|clause| match &clause.kind {
            MergeActionKind::Update(pairs) => Some(pairs),
            _ => None,
        });
        let mut assigned =
            updates.flatten().filter(|(key, _)| last_of(key).is_some_and(|k| k.eq_ignore_ascii_case(name)));
        assigned.all(|(_, value)| last_of(value).is_some_and(|v| v.eq_ignore_ascii_case(name)))
    };
    names.into_iter().filter(|name| !is_same(name)).collect()
}

/// The last part of a name.
fn last_of(expr: &Expr) -> Option<String> {
    match &*expr.kind {
        firesteel_plan::ExprKind::Attribute { name, .. } => name.last().cloned(),
        _ => None,
    }
}
