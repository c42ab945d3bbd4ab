//! Changes and upkeep of Delta tables: update, delete, optimize, vacuum, restore, history.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_engine::{ExecuteOptions, Session};
use firesteel_plan::command::SqlStatement;
use firesteel_plan::relation::TimeTravel;
use firesteel_plan::statement::{DeltaStatement, DeltaTarget};
use firesteel_plan::{Command, Expr, Literal, Plan, Relation, RelationKind, TableName, parse_multipart_identifier};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::output::execute;
use super::recover::commit_of;
use crate::app::{Answer, Call, json};
use crate::credentials::Credentials;
use crate::datasets::filter::condition;
use crate::datasets::source::check_path;
use crate::datasets::{DatasetFields, Reader};
use crate::document::{Documented, document, together};
use crate::endpoint::credentials_field;
use crate::jobs::handlers::{Request, RunFields};
use crate::jobs::{Entry, Work};
use crate::problem::{Problem, origin_of_field};

pub(super) const USER_METADATA: &str = "spark.databricks.delta.commitInfo.userMetadata";

document! {
    /// A Delta table
    pub struct TargetFields {
        path: Option<String> => {"minLength": 1},
        /// A name of the catalog: db.table
        table: Option<String> => {"minLength": 1},
    }
}

document! {
    /// New values of rows
    pub struct UpdateFields {
        /// {"salary": "salary * 1.1"}
        set: BTreeMap<String, String> => {"minProperties": 1},
        /// SQL
        condition: Option<String>,
        filters: Option<Map<String, Value>>,
    }
}

document! {
    /// Which rows go
    pub struct DeleteFields {
        /// SQL
        condition: Option<String>,
        filters: Option<Map<String, Value>>,
        /// Says that all rows are meant
        all: Option<bool>,
    }
}

document! {
    /// Which files are put together
    pub struct OptimizeFields {
        /// On partition columns
        filters: Option<Map<String, Value>>,
        z_order_by: Option<Vec<String>> => {"maxItems": 32},
    }
}

document! {
    /// Which files go
    pub struct VacuumFields {
        retention_hours: Option<f64> => {"minimum": 0},
        /// Only says which
        dry_run: Option<bool>,
    }
}

document! {
    /// Which version comes back
    pub struct RestoreFields {
        version: Option<i64> => {"minimum": 0},
        timestamp: Option<String>,
    }
}

document! {
    /// How many versions
    pub struct HistoryFields {
        limit: Option<i64> => {"minimum": 1, "maximum": 100000},
    }
}

fn schema_of<T: Documented>() -> Value {
    together(&[TargetFields::schema(), T::schema(), RunFields::schema(), credentials_field()])
}
pub fn update_schema() -> Value {
    schema_of::<UpdateFields>()
}
pub fn delete_schema() -> Value {
    schema_of::<DeleteFields>()
}
pub fn optimize_schema() -> Value {
    schema_of::<OptimizeFields>()
}
pub fn vacuum_schema() -> Value {
    schema_of::<VacuumFields>()
}
pub fn restore_schema() -> Value {
    schema_of::<RestoreFields>()
}
pub fn history_schema() -> Value {
    together(&[TargetFields::schema(), HistoryFields::schema(), credentials_field()])
}
pub fn history_answer() -> Value {
    json!({"type": "object", "required": ["history"], "properties": {
        "history": {"type": "array", "items": {"type": "object"}}}})
}

impl TargetFields {
    pub fn check(&self) -> Result<(), Problem> {
        match (&self.path, &self.table) {
            (Some(path), None) => check_path(path, "path"),
            (None, Some(_)) => Ok(()),
            _ => Err(Problem::invalid("path", "Either path or table says which table is meant.")),
        }
    }

    /// The table in a statement that changes rows.
    pub fn relation(&self) -> Result<Relation, Problem> {
        self.check()?;
        let dataset = DatasetFields {
            path: self.path.clone(),
            table: self.table.clone(),
            format: self.path.as_ref().map(|_| "delta".to_string()),
            ..Default::default()
        };
        dataset.relation()
    }

    pub fn target(&self) -> Result<DeltaTarget, Problem> {
        self.check()?;
        if let Some(path) = &self.path {
            return Ok(DeltaTarget::Path(path.clone()));
        }
        let parts = parse_multipart_identifier(self.table.as_deref().unwrap_or_default());
        Ok(DeltaTarget::Name(TableName::Parts(parts.map_err(|error| Problem::from(error).at("table"))?)))
    }
}

/// SQL of a request, as an expression.
pub fn expression(session: &Session, text: &str, field: &str) -> Result<Expr, Problem> {
    let parsed = firesteel_sql::parse_expression(text, &session.parse_options());
    let expr = parsed.map_err(|error| Problem::from(error).at(field))?;
    match &expr.origin {
        Some(_) => Ok(expr),
        None => Ok(expr.with_origin(Some(origin_of_field(field)))),
    }
}

/// SQL, or filters, or nothing.
fn chosen(session: &Session, sql: Option<&str>, filters: Option<&Map<String, Value>>) -> Result<Option<Expr>, Problem> {
    match (sql, filters) {
        (Some(_), Some(_)) => Err(Problem::invalid("filters", "It is either condition or filters.")),
        (Some(text), None) => expression(session, text, "condition").map(Some),
        (None, Some(filters)) => condition(filters, "filters"),
        (None, None) => Ok(None),
    }
}

/// Makes a job's session and reads its fields on the workers, whose threads have deep stacks.
pub fn on_workers<F>(
    request: Request,
    prepare: impl FnOnce(Request, Arc<Session>) -> F + Send + 'static,
) -> BoxFuture<'static, Result<Work, Problem>>
where
    F: Future<Output = Result<Work, Problem>> + Send,
{
    async move {
        let app = Arc::clone(&request.app);
        let session = app.sessions.fresh(&request.user, &request.credentials);
        app.work(CancellationToken::new(), async move { prepare(request, session).await }).await
    }
    .boxed()
}

/// Runs a statement on a table, and answers its first row and the version that it made.
pub async fn run_change(
    session: &Arc<Session>,
    entry: &Entry,
    statement: SqlStatement,
    target: &DeltaTarget,
) -> Result<(Vec<Map<String, Value>>, Option<Map<String, Value>>), Problem> {
    session.conf().set(USER_METADATA, entry.id.as_str());
    let plan = Plan::Command(Command::Sql(Box::new(statement)));
    let execution = execute(session, plan, entry).await?;
    let style = crate::rows::RowStyle::new(session, &execution.schema, &execution.arrow_schema)?;
    let rows = crate::datasets::read::Rows { style, batches: execution.collect().await? }.objects()?;
    Ok((rows, commit_of(session, target, &entry.id).await))
}

fn version_of(commit: Option<&Map<String, Value>>) -> Value {
    commit.and_then(|commit| commit.get("version")).cloned().unwrap_or(Value::Null)
}

/// Metrics by names, from a row of an answer.
fn metrics(row: &Map<String, Value>, names: &[(&str, &str)]) -> Map<String, Value> {
    let get = |name: &str| row.get(name).cloned().unwrap_or(Value::Null);
    names.iter().map(|(ours, theirs)| (ours.to_string(), get(theirs))).collect()
}

/// A job that runs one statement, whose row has these metrics.
pub fn job(
    session: Arc<Session>,
    statement: SqlStatement,
    target: DeltaTarget,
    names: &'static [(&'static str, &'static str)],
) -> Work {
    Box::new(move |entry| {
        async move {
            let (rows, commit) = run_change(&session, &entry, statement, &target).await?;
            let mut row = rows.into_iter().next().unwrap_or_default();
            // OPTIMIZE has its numbers in a struct.
            if let Some(Value::Object(inner)) = row.shift_remove("metrics") {
                row.extend(inner);
            }
            let mut all = metrics(&row, names);
            all.insert("version".into(), version_of(commit.as_ref()));
            Ok(all)
        }
        .boxed()
    })
}

pub fn prepare_update(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    on_workers(request, |request, session| async move {
        let mut fields = request.fields;
        let target: TargetFields = fields.take()?;
        let given: UpdateFields = fields.rest()?;
        if given.set.is_empty() {
            return Err(Problem::invalid("set", "There is nothing to set."));
        }
        let mut assignments = vec![];
        for (name, value) in &given.set {
            let field = format!("set.{name}");
            let column = parse_multipart_identifier(name).map_err(|error| Problem::from(error).at(&field))?;
            assignments.push((column, expression(&session, value, &field)?));
        }
        let condition = chosen(&session, given.condition.as_deref(), given.filters.as_ref())?;
        let table = target.relation()?;
        let statement = SqlStatement::Update { table, assignments, condition };
        Ok(job(session, statement, target.target()?, &[("rows_updated", "num_affected_rows")]))
    })
}

pub fn prepare_delete(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    on_workers(request, |request, session| async move {
        let mut fields = request.fields;
        let target: TargetFields = fields.take()?;
        let given: DeleteFields = fields.rest()?;
        let condition = chosen(&session, given.condition.as_deref(), given.filters.as_ref())?;
        let is_all = given.all.unwrap_or(false);
        if condition.is_none() && !is_all {
            let detail = "Without a condition all rows go: say \"all\": true if that is meant.";
            return Err(Problem::invalid("condition", detail));
        }
        if condition.is_some() && is_all {
            return Err(Problem::invalid("all", "It is either all rows or those of a condition."));
        }
        let statement = SqlStatement::Delete { table: target.relation()?, condition };
        Ok(job(session, statement, target.target()?, &[("rows_deleted", "num_affected_rows")]))
    })
}

pub fn prepare_optimize(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    on_workers(request, |request, session| async move {
        let mut fields = request.fields;
        let target: TargetFields = fields.take()?;
        let given: OptimizeFields = fields.rest()?;
        let condition = chosen(&session, None, given.filters.as_ref())?;
        let mut z_order = vec![];
        for (index, name) in given.z_order_by.iter().flatten().enumerate() {
            let column = parse_multipart_identifier(name);
            z_order.push(column.map_err(|error| Problem::from(error).at(format!("z_order_by[{index}]")))?);
        }
        let table = target.target()?;
        let statement = SqlStatement::Delta(DeltaStatement::Optimize { table: table.clone(), condition, z_order });
        Ok(job(session, statement, table, &[("files_added", "numFilesAdded"), ("files_removed", "numFilesRemoved")]))
    })
}

pub fn prepare_restore(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    on_workers(request, |request, session| async move {
        let mut fields = request.fields;
        let target: TargetFields = fields.take()?;
        let given: RestoreFields = fields.rest()?;
        let to = match (given.version, given.timestamp) {
            (Some(version), None) => TimeTravel::Version(Expr::literal(Literal::Long(version))),
            (None, Some(timestamp)) => TimeTravel::Timestamp(Expr::string(timestamp)),
            _ => return Err(Problem::invalid("version", "Either version or timestamp says what comes back.")),
        };
        let table = target.target()?;
        let statement = SqlStatement::Delta(DeltaStatement::Restore { table: table.clone(), to });
        let names = &[("files_restored", "num_restored_files"), ("files_removed", "num_removed_files")];
        Ok(job(session, statement, table, names))
    })
}

pub fn prepare_vacuum(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    on_workers(request, |request, session| async move {
        let mut fields = request.fields;
        let target: TargetFields = fields.take()?;
        let given: VacuumFields = fields.rest()?;
        let table = target.target()?;
        let dry_run = given.dry_run.unwrap_or(false);
        let vacuum = |dry_run: bool| {
            let table = table.clone();
            let retain_hours = given.retention_hours;
            SqlStatement::Delta(DeltaStatement::Vacuum { table, retain_hours, dry_run, lite: false })
        };
        let (list, remove) = (vacuum(true), vacuum(false));
        let work: Work = Box::new(move |entry| {
            async move {
                let (rows, _) = run_change(&session, &entry, list, &table).await?;
                let files: Vec<_> = rows.into_iter().filter_map(|mut row| row.shift_remove("path")).collect();
                if dry_run {
                    return Ok(Map::from_iter([("files".to_string(), json!(files))]));
                }
                run_change(&session, &entry, remove, &table).await?;
                Ok(Map::from_iter([("files_deleted".to_string(), json!(files.len()))]))
            }
            .boxed()
        });
        Ok(work)
    })
}

pub async fn history(call: Call) -> Answer {
    let app = Arc::clone(&call.app);
    let mut fields = call.fields()?;
    let credentials = Credentials::take(&mut fields, &app.options)?;
    let target: TargetFields = fields.take()?;
    let given: HistoryFields = fields.rest()?;
    let statement = DeltaStatement::History { table: target.target()?, limit: given.limit };
    let plan = Plan::Command(Command::Sql(Box::new(SqlStatement::Delta(statement))));
    let cancel = CancellationToken::new();
    let mut reader = Reader::new(app.sessions.shared(&call.user, &credentials), cancel.clone());
    let work = async move { Ok(json!({"history": reader.rows(plan, "history").await?.objects()?})) };
    Ok(json(200, &app.work(cancel, work).await?))
}

/// Rows of an answer that nobody waits for.
pub async fn quiet_rows(session: &Arc<Session>, statement: SqlStatement) -> Result<Vec<Map<String, Value>>, Problem> {
    let plan = Plan::Command(Command::Sql(Box::new(statement)));
    let execution = session.execute(plan, ExecuteOptions::default()).await?;
    let style = crate::rows::RowStyle::new(session, &execution.schema, &execution.arrow_schema)?;
    crate::datasets::read::Rows { style, batches: execution.collect().await? }.objects()
}

/// A relation of rows that a request holds.
pub fn local_relation(ipc: Vec<u8>) -> Relation {
    Relation::new(RelationKind::LocalRelation { data: vec![ipc.into()], schema: None })
}
