//! `spark.catalog.*`. Calls that SQL has a statement for become that statement.
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::relation::{CatalogCall, Options};
use firesteel_plan::{Command, Plan, Result, SparkError, parse_multipart_identifier};
use proto::catalog::CatType;
use spark_connect_proto as proto;

use super::{Decoder, not_set, options};

impl Decoder<'_> {
    pub(super) fn catalog(&mut self, catalog: &proto::Catalog) -> Result<CatalogCall> {
        let call = catalog.cat_type.as_ref().ok_or_else(|| not_set("spark.connect.Catalog", "cat_type"))?;
        match call {
            CatType::CreateTable(create) => Ok(CatalogCall::CreateTable {
                table: create.table_name.clone(),
                path: create.path.clone(),
                source: create.source.clone(),
                description: create.description.clone(),
                schema: self.optional_type(create.schema.as_ref())?,
                options: options(&create.options),
            }),
            CatType::CreateExternalTable(create) => Ok(CatalogCall::CreateTable {
                table: create.table_name.clone(),
                path: create.path.clone(),
                source: create.source.clone(),
                description: None,
                schema: self.optional_type(create.schema.as_ref())?,
                options: options(&create.options),
            }),
            other => match statement_text(other)? {
                Some(text) => Ok(CatalogCall::Statement(Box::new(command(&text)?))),
                None => simple(other),
            },
        }
    }
}

/// The statement that does what the call does.
fn statement_text(call: &CatType) -> Result<Option<String>> {
    let name = |text: &str| Ok::<_, SparkError>(quoted_name(&parse_multipart_identifier(text)?));
    let if_exists = |flag: bool| if flag { "IF EXISTS " } else { "" };
    Ok(Some(match call {
        CatType::DropTable(drop) => {
            let purge = if drop.purge { " PURGE" } else { "" };
            format!("DROP TABLE {}{}{purge}", if_exists(drop.if_exists), name(&drop.table_name)?)
        }
        CatType::DropView(drop) => format!("DROP VIEW {}{}", if_exists(drop.if_exists), name(&drop.view_name)?),
        CatType::DropDatabase(drop) => {
            let cascade = if drop.cascade { " CASCADE" } else { "" };
            format!("DROP DATABASE {}{}{cascade}", if_exists(drop.if_exists), name(&drop.db_name)?)
        }
        CatType::CreateDatabase(create) => {
            let exists = if create.if_not_exists { "IF NOT EXISTS " } else { "" };
            format!(
                "CREATE DATABASE {exists}{}{}",
                name(&create.db_name)?,
                database_clauses(options(&create.properties))
            )
        }
        CatType::TruncateTable(truncate) => format!("TRUNCATE TABLE {}", name(&truncate.table_name)?),
        CatType::AnalyzeTable(analyze) => {
            let scan = if analyze.no_scan { " NOSCAN" } else { "" };
            format!("ANALYZE TABLE {} COMPUTE STATISTICS{scan}", name(&analyze.table_name)?)
        }
        _ => return Ok(None),
    }))
}

/// `comment` and `location` have clauses of their own; the rest are properties.
fn database_clauses(mut properties: Options) -> String {
    let literal = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
    let mut clauses = String::new();
    if let Some(comment) = properties.remove("comment") {
        clauses.push_str(&format!(" COMMENT {}", literal(&comment)));
    }
    if let Some(location) = properties.remove("location") {
        clauses.push_str(&format!(" LOCATION {}", literal(&location)));
    }
    if !properties.is_empty() {
        let pairs: Vec<_> = properties.iter().map(|(k, v)| format!("{} = {}", literal(k), literal(v))).collect();
        clauses.push_str(&format!(" WITH DBPROPERTIES ({})", pairs.join(", ")));
    }
    clauses
}

fn command(text: &str) -> Result<Command> {
    match firesteel_sql::parse_statement(text, &firesteel_sql::ParseOptions::default())? {
        Plan::Command(command) => Ok(command),
        Plan::Query(_) => Err(SparkError::internal(format!("{text} is no statement"))),
    }
}

fn simple(call: &CatType) -> Result<CatalogCall> {
    Ok(match call {
        CatType::CurrentDatabase(_) => CatalogCall::CurrentDatabase,
        CatType::SetCurrentDatabase(call) => CatalogCall::SetCurrentDatabase(call.db_name.clone()),
        CatType::ListDatabases(call) => CatalogCall::ListDatabases { pattern: call.pattern.clone() },
        CatType::ListTables(call) => {
            CatalogCall::ListTables { database: call.db_name.clone(), pattern: call.pattern.clone() }
        }
        CatType::ListFunctions(call) => {
            CatalogCall::ListFunctions { database: call.db_name.clone(), pattern: call.pattern.clone() }
        }
        CatType::ListColumns(call) => {
            CatalogCall::ListColumns { table: call.table_name.clone(), database: call.db_name.clone() }
        }
        CatType::GetDatabase(call) => CatalogCall::GetDatabase(call.db_name.clone()),
        CatType::GetTable(call) => {
            CatalogCall::GetTable { table: call.table_name.clone(), database: call.db_name.clone() }
        }
        CatType::GetFunction(call) => {
            CatalogCall::GetFunction { function: call.function_name.clone(), database: call.db_name.clone() }
        }
        CatType::DatabaseExists(call) => CatalogCall::DatabaseExists(call.db_name.clone()),
        CatType::TableExists(call) => {
            CatalogCall::TableExists { table: call.table_name.clone(), database: call.db_name.clone() }
        }
        CatType::FunctionExists(call) => {
            CatalogCall::FunctionExists { function: call.function_name.clone(), database: call.db_name.clone() }
        }
        CatType::DropTempView(call) => CatalogCall::DropTempView(call.view_name.clone()),
        CatType::DropGlobalTempView(call) => CatalogCall::DropGlobalTempView(call.view_name.clone()),
        CatType::RecoverPartitions(call) => CatalogCall::RecoverPartitions(call.table_name.clone()),
        CatType::IsCached(call) => CatalogCall::IsCached(call.table_name.clone()),
        CatType::CacheTable(call) => CatalogCall::CacheTable {
            table: call.table_name.clone(),
            storage_level: call.storage_level.as_ref().map(crate::storage_level::name),
        },
        CatType::UncacheTable(call) => CatalogCall::UncacheTable(call.table_name.clone()),
        CatType::ClearCache(_) => CatalogCall::ClearCache,
        CatType::RefreshTable(call) => CatalogCall::RefreshTable(call.table_name.clone()),
        CatType::RefreshByPath(call) => CatalogCall::RefreshByPath(call.path.clone()),
        CatType::CurrentCatalog(_) => CatalogCall::CurrentCatalog,
        CatType::SetCurrentCatalog(call) => CatalogCall::SetCurrentCatalog(call.catalog_name.clone()),
        CatType::ListCatalogs(call) => CatalogCall::ListCatalogs { pattern: call.pattern.clone() },
        CatType::ListPartitions(call) => CatalogCall::ListPartitions(call.table_name.clone()),
        CatType::ListViews(call) => {
            CatalogCall::ListViews { database: call.db_name.clone(), pattern: call.pattern.clone() }
        }
        CatType::GetTableProperties(call) => CatalogCall::GetTableProperties(call.table_name.clone()),
        CatType::GetCreateTableString(call) => {
            CatalogCall::GetCreateTableString { table: call.table_name.clone(), as_serde: call.as_serde }
        }
        CatType::CreateTable(_)
        | CatType::CreateExternalTable(_)
        | CatType::DropTable(_)
        | CatType::DropView(_)
        | CatType::CreateDatabase(_)
        | CatType::DropDatabase(_)
        | CatType::TruncateTable(_)
        | CatType::AnalyzeTable(_) => return Err(SparkError::internal("a catalog call was not decoded")),
    })
}
