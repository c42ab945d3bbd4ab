//! Which function runs which SQL statement.
use firesteel_plan::command::ExplainMode;
use firesteel_plan::statement::SqlStatement as S;
use firesteel_plan::{Plan, Result, SparkError};

use super::{
    Answer, Statement, alter, cache, create_text, describe, function, insert, load, namespace, script, settings, show,
    table, variable, view,
};
use crate::execution::Execution;
use crate::rows::Rows;

pub async fn run(st: &Statement, statement: S) -> Answer {
    match statement {
        S::Explain { mode, plan } => explain(st, mode, plan).await,
        S::Set(set) => settings::set(st, set),
        S::Reset { key } => settings::reset(st, key),
        S::SetTimeZone(zone) => settings::set_time_zone(st, zone).await,
        S::SetCatalog { name } => settings::set_catalog(st, name).await,
        S::UseNamespace { name } => settings::use_namespace(st, name).await,
        S::ExecuteImmediate { query, into, arguments } => variable::execute_immediate(st, query, into, arguments).await,
        S::Call { name, .. } => {
            let parts = st.name(&name).await?;
            Err(SparkError::new(
                "FAILED_TO_LOAD_ROUTINE",
                [("routineName", firesteel_plan::identifier::quoted_name(&parts))],
            ))
        }
        S::Script(body) => script::run(st, body).await,

        S::DeclareVariable { names, data_type, default, replace } => {
            variable::declare(st, names, data_type, default, replace).await
        }
        S::DropVariable { name, if_exists } => variable::drop(st, name, if_exists).await,
        S::SetVariable { targets, source } => variable::set(st, targets, source).await,

        S::Insert(insert) => insert::insert(st, *insert).await,
        S::MultiInsert(inserts) => insert::multi_insert(st, inserts).await,
        S::InsertDirectory(insert) => insert::insert_directory(st, *insert).await,
        S::Update { table, assignments, condition } => insert::update(st, table, assignments, condition).await,
        S::Delete { table, condition } => insert::delete(st, table, condition).await,
        S::Merge(merge) => insert::merge(st, *merge).await,
        S::LoadData { path, is_local, overwrite, table, partition } => {
            load::load_data(st, load::LoadData { path, is_local, overwrite, table, partition }).await
        }

        S::CreateNamespace { name, if_not_exists, comment, location, properties, collation } => {
            namespace::create(st, name, if_not_exists, comment, location, properties, collation).await
        }
        S::AlterNamespace { name, action } => namespace::alter(st, name, action).await,
        S::DropNamespace { name, if_exists, cascade } => namespace::drop(st, name, if_exists, cascade).await,

        S::CreateTable(create) => table::create(st, *create).await,
        S::CreateTableLike(create) => table::create_like(st, *create).await,
        S::AlterTable { name, if_exists, action } => alter::alter_table(st, name, if_exists, action).await,
        S::DropTable { name, if_exists, purge } => table::drop_table(st, name, if_exists, purge).await,
        S::TruncateTable { name, partition } => table::truncate(st, name, partition).await,
        S::RepairTable { name, add, drop } => super::partition::repair(st, name, add, drop).await,
        S::AnalyzeTable { name, partition: _, no_scan, columns } => table::analyze(st, name, no_scan, columns).await,
        S::AnalyzeTables { database, no_scan } => table::analyze_all(st, database, no_scan).await,
        S::CommentOn { kind, name, comment } => table::comment_on(st, kind, name, comment).await,
        S::RefreshTable { name } => cache::refresh_table(st, name).await,
        S::RefreshPath { .. } => {
            st.session().cache.invalidate_relations();
            Ok(Execution::empty())
        }
        S::RefreshFunction { name } => function::refresh(st, name).await,

        S::CreateView(create) => view::create(st, *create).await,
        S::CreateTempViewUsing { name, is_global, replace, schema, provider, options } => {
            view::create_using(st, name, is_global, replace, schema, provider, options).await
        }
        S::AlterViewAs { name, query, text } => view::alter_as(st, name, query, text).await,
        S::AlterViewSchemaBinding { name, binding } => view::alter_binding(st, name, binding).await,
        S::AlterView { name, action } => view::alter(st, name, action).await,
        S::DropView { name, if_exists } => view::drop(st, name, if_exists).await,

        S::CreateFunction(create) => function::create(st, *create).await,
        S::DropFunction { name, if_exists, is_temporary } => function::drop(st, name, if_exists, is_temporary).await,

        S::CacheTable { name, lazy, options, query } => cache::cache_statement(st, name, lazy, options, query).await,
        S::UncacheTable { name, if_exists } => cache::uncache_statement(st, name, if_exists).await,
        S::ClearCache => {
            st.session().cache.clear_tables();
            Ok(Execution::empty())
        }

        S::Delta(statement) => super::delta::run(st, statement).await,

        S::Show(firesteel_plan::statement::Show::CreateTable { table, as_serde }) => {
            create_text::show(st, table, as_serde).await
        }
        S::Show(what) => show::show(st, what).await,
        S::Describe(what) => describe::describe(st, what).await,
        S::Resource { action, kind, values } => settings::resource(st, &action, &kind, values),
        S::Unsupported { feature } => Err(SparkError::unsupported(feature)),
    }
}

async fn explain(st: &Statement, mode: ExplainMode, plan: Plan) -> Answer {
    let text = match &plan {
        Plan::Query(relation) => explain_query(st, relation, mode).await,
        Plan::Command(command) => Ok(format!("== Physical Plan ==\nExecute {}\n", command_name(command))),
    };
    // Like Spark: what cannot be analyzed is part of the answer.
    let text = text.unwrap_or_else(|error| format!("Error occurred during query planning: \n{error}"));
    let mut rows = Rows::texts(&["plan"]);
    rows.push(vec![text.into()]);
    rows.into_execution()
}

async fn explain_query(st: &Statement, relation: &firesteel_plan::Relation, mode: ExplainMode) -> Result<String> {
    let analyzed = st.analyze(relation).await?;
    crate::explain::query(&st.context, &st.parameters, relation, &analyzed, mode).await
}

/// The variant's name: `CreateTable`, `Insert`.
fn command_name(command: &firesteel_plan::Command) -> String {
    let text = match command {
        firesteel_plan::Command::Sql(statement) => format!("{statement:?}"),
        other => format!("{other:?}"),
    };
    let name: String = text.chars().take_while(|c| c.is_alphanumeric()).collect();
    format!("{name}Command")
}
