//! `POST /v1/datasets/modify`: an UPDATE, DELETE or SELECT over `data_table`, written to another place.
use std::collections::HashMap;
use std::sync::Arc;

use firesteel_engine::Session;
use firesteel_plan::command::SqlStatement;
use firesteel_plan::expression::EvalMode;
use firesteel_plan::relation::Cte;
use firesteel_plan::{Command, Expr, ExprKind, Plan, Relation, RelationKind, SparkError, StructType, TableName};
use firesteel_sql::parse_statement;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::output::{OutputFields, count_of, counted};
use crate::datasets::DatasetFields;
use crate::document::{Documented, document, together};
use crate::endpoint::credentials_field;
use crate::jobs::Work;
use crate::jobs::handlers::{Request, RunFields};
use crate::problem::Problem;

/// The name that the SQL knows the data by.
const DATA_TABLE: &str = "data_table";
/// The column that says which rows the condition meets.
const MATCHED: &str = "__firesteel_matched";

document! {
    /// What becomes of the rows
    pub struct ModifyFields {
        /// An UPDATE, DELETE or SELECT over data_table
        sql: String => {"minLength": 1, "maxLength": 16777216},
    }
}

pub fn schema() -> Value {
    let groups = [DatasetFields::schema(), ModifyFields::schema(), OutputFields::schema(), RunFields::schema()];
    together(&[groups.to_vec(), vec![credentials_field()]].concat())
}

/// The rows to write, and which counts mean something.
struct Changed {
    relation: Relation,
    updates: bool,
    deletes: bool,
}

pub fn prepare(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    async move {
        let app = Arc::clone(&request.app);
        let work = prepare_modify(request);
        app.work(CancellationToken::new(), work).await
    }
    .boxed()
}

async fn prepare_modify(request: Request) -> Result<Work, Problem> {
    let session = request.app.sessions.fresh(&request.user, &request.credentials);
    let places = request.user.places.clone();
    let mut fields = request.fields;
    let dataset: DatasetFields = fields.take()?;
    let output: OutputFields = fields.take()?;
    let given: ModifyFields = fields.rest()?;
    output.check()?;
    let source = dataset.relation()?;
    let plan = parse_statement(&given.sql, &session.parse_options()).map_err(|e| Problem::from(e).at("sql"))?;
    if request.user.places.is_some() {
        crate::statements::check_limited(&plan)?;
    }
    let schema = session.analyze(&source).await?.schema().clone();
    let changed = changed(plan, source, &schema)?;
    // What cannot run is refused now, before there is a job.
    session.analyze(&changed.relation).await.map_err(|error| Problem::from(error).at("sql"))?;
    Ok(Box::new(move |entry| {
        async move {
            let rows = counted(changed.relation, "written", &[]);
            let execution = output.write(&session, places, rows, &entry).await?;
            let execution = execution.as_ref();
            let read = count_of(execution, "read", "rows");
            let matched = count_of(execution, "read", "matched");
            let counts = [
                ("rows_read", json!(read)),
                ("rows_written", json!(count_of(execution, "written", "rows"))),
                ("rows_updated", if changed.updates { json!(matched) } else { Value::Null }),
                ("rows_deleted", if changed.deletes { json!(matched) } else { Value::Null }),
                ("output_path", json!(output.output_path)),
            ];
            Ok(counts.into_iter().map(|(name, count)| (name.to_string(), count)).collect::<Map<_, _>>())
        }
        .boxed()
    }))
}

fn changed(plan: Plan, source: Relation, schema: &StructType) -> Result<Changed, Problem> {
    match plan {
        Plan::Query(query) => {
            let cte = Cte {
                name: DATA_TABLE.into(),
                columns: vec![],
                query: counted(source, "read", &[]),
                max_recursion: None,
            };
            let kind = RelationKind::With { input: Box::new(query), ctes: vec![cte], recursive: false };
            Ok(Changed { relation: Relation::new(kind), updates: false, deletes: false })
        }
        Plan::Command(Command::Sql(statement)) => match *statement {
            SqlStatement::Update { table, assignments, condition } => {
                let marked = marked(aliased(&table, source)?, condition);
                let relation = updated(marked, assignments, schema)?;
                Ok(Changed { relation, updates: true, deletes: false })
            }
            SqlStatement::Delete { table, condition } => {
                let marked = marked(aliased(&table, source)?, condition);
                let kept = marked.filter(Expr::call("not", vec![Expr::name(MATCHED)]));
                let relation = kept.project(schema.fields.iter().map(|field| Expr::name(&field.name)).collect());
                Ok(Changed { relation, updates: false, deletes: true })
            }
            _ => Err(unknown_statement()),
        },
        Plan::Command(_) => Err(unknown_statement()),
    }
}

fn unknown_statement() -> Problem {
    Problem::invalid("sql", "It takes an UPDATE or DELETE of data_table, or a SELECT.")
}

/// The data under the name that the statement has for it.
fn aliased(table: &Relation, source: Relation) -> Result<Relation, Problem> {
    match &*table.kind {
        RelationKind::SubqueryAlias { input, alias, .. } => {
            aliased(input, source).map(|source| source.alias(alias.clone()))
        }
        RelationKind::NamedTable { name: TableName::Parts(parts), .. } if matches!(parts.as_slice(), [name] if name.eq_ignore_ascii_case(DATA_TABLE)) => {
            Ok(source.alias(DATA_TABLE))
        }
        _ => Err(Problem::invalid("sql", "The table is called data_table.")),
    }
}

/// The rows with a column that says whether they meet the condition, counted.
fn marked(source: Relation, condition: Option<Expr>) -> Relation {
    let matched = condition.map_or(Expr::boolean(true), |c| Expr::call("coalesce", vec![c, Expr::boolean(false)]));
    // A projection keeps the alias of the source in sight of the assignments.
    let columns = vec![matched.alias(MATCHED)];
    let marked = Relation::new(RelationKind::WithColumns { input: Box::new(source), columns });
    counted(marked, "read", &[("matched", Expr::name(MATCHED))])
}

/// Each assigned column gets its new value where the row matches, in its own type.
fn updated(marked: Relation, assignments: Vec<(Vec<String>, Expr)>, schema: &StructType) -> Result<Relation, Problem> {
    let mut values: HashMap<String, Expr> = HashMap::new();
    for (name, value) in assignments {
        let column = match name.as_slice() {
            [column] => column,
            [qualifier, column] if schema.fields.iter().all(|f| !f.name.eq_ignore_ascii_case(qualifier)) => column,
            _ => return Err(SparkError::unsupported("an UPDATE of a field inside of a column of files").into()),
        };
        let known = schema.fields.iter().find(|field| field.name.eq_ignore_ascii_case(column));
        let Some(field) = known else {
            return Err(Problem::invalid("sql", format!("The data has no column {column}.")));
        };
        if values.insert(field.name.clone(), value).is_some() {
            return Err(Problem::invalid("sql", format!("{column} is assigned twice.")));
        }
    }
    let mut columns = vec![];
    for field in schema.fields.iter() {
        let Some(value) = values.remove(&field.name) else {
            columns.push(Expr::name(&field.name));
            continue;
        };
        let to = field.data_type.clone();
        let stored: Expr = ExprKind::Cast { child: value, to, mode: EvalMode::Ansi }.into();
        let arguments = vec![Expr::name(MATCHED), stored, Expr::name(&field.name)];
        columns.push(Expr::call("when", arguments).alias(&field.name));
    }
    Ok(marked.project(columns))
}

/// Whether a session can analyze a relation at all, for requests that only make it later.
pub async fn check(session: &Arc<Session>, relation: &Relation, field: &str) -> Result<StructType, Problem> {
    let analyzed = session.analyze(relation).await.map_err(|error| Problem::from(error).at(field))?;
    Ok(analyzed.schema().clone())
}
