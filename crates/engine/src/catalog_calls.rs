//! `spark.catalog.*`: each call and the rows it answers.
use std::sync::Arc;

use firesteel_analyze::RowsWithSchema;
use firesteel_catalog::{Table, matches_pattern};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::relation::CatalogCall as C;
use firesteel_plan::{DataType, Plan, Result, SparkError, StructField, TableName, parse_multipart_identifier};
use tokio_util::sync::CancellationToken;

use crate::commands::{self, Statement, iceberg_namespaces};
use crate::context::StatementContext;
use crate::iceberg::InCatalog;
use crate::names::Resolved;
use crate::rows::{Cell, Rows};
use crate::session::StorageLevel;

/// Runs one call.
pub async fn run(context: &StatementContext, call: &C) -> Result<RowsWithSchema> {
    let guard = Arc::new(CancellationToken::new().drop_guard());
    let st = Statement::new(context.clone(), Default::default(), guard);
    let rows = match call {
        C::Statement(command) => {
            let execution = st.run(Plan::Command((**command).clone())).await?;
            let schema = execution.schema.clone();
            return Ok(RowsWithSchema { schema, batches: execution.collect().await? });
        }
        C::CurrentDatabase => value(st.session().namespace().database),
        C::CurrentCatalog => value(st.session().namespace().catalog),
        C::SetCurrentDatabase(name) => {
            commands::use_namespace(&st, TableName::Parts(parse_multipart_identifier(name)?)).await?;
            nothing()
        }
        C::SetCurrentCatalog(name) => {
            commands::set_catalog(&st, TableName::Parts(vec![name.clone()])).await?;
            nothing()
        }
        C::ListDatabases { pattern } => list_databases(&st, pattern.as_deref()).await?,
        C::GetDatabase(name) => {
            let parts = parse_multipart_identifier(name)?;
            databases().with([match st.context.iceberg_namespace(&parts)? {
                Some(found) => namespace_row(&found).await?,
                None => {
                    let name = st.session().database_name(&parts)?;
                    database_row(&commands::existing_database(&st, &name).await?)
                }
            }])
        }
        C::DatabaseExists(name) => {
            let parts = parse_multipart_identifier(name)?;
            flag(match st.context.iceberg_namespace(&parts)? {
                Some(found) => found.catalog.namespace(&found.rest).await?.is_some(),
                None => st.catalog().get_database(&st.session().database_name(&parts)?).await?.is_some(),
            })
        }
        C::ListTables { database, pattern } => list_tables(&st, database.as_deref(), pattern.as_deref(), false).await?,
        C::ListViews { database, pattern } => list_tables(&st, database.as_deref(), pattern.as_deref(), true).await?,
        C::GetTable { table, database } => {
            let row = table_row_of(&st, &name_parts(table, database.as_deref())?).await?;
            tables().with([row])
        }
        C::TableExists { table, database } => {
            let parts = name_parts(table, database.as_deref())?;
            flag(match commands::iceberg_table_exists(&st, &parts).await? {
                Some(exists) => exists,
                None => match st.session().resolve(&parts, &st.context.namespace)? {
                    Resolved::Temp(_) | Resolved::Global(_) => true,
                    Resolved::Table(id) => st.catalog().get_table(&id).await?.is_some(),
                },
            })
        }
        C::ListColumns { table, database } => list_columns(&st, name_parts(table, database.as_deref())?).await?,
        C::ListFunctions { database, pattern } => list_functions(&st, database.as_deref(), pattern.as_deref()).await?,
        C::GetFunction { function, database } => {
            let parts = name_parts(function, database.as_deref())?;
            match function_row(&st, &parts).await? {
                Some(row) => functions().with([row]),
                None => return Err(unresolved_routine(&st, &parts)),
            }
        }
        C::FunctionExists { function, database } => {
            let parts = name_parts(function, database.as_deref())?;
            flag(function_row(&st, &parts).await?.is_some())
        }
        C::CreateTable { .. } => {
            let id = commands::create_external(&st, call.clone()).await?;
            tables().with([table_row_of(&st, &[id.database, id.name]).await?])
        }
        C::DropTempView(name) => flag(st.session().views.remove(name).is_some()),
        C::DropGlobalTempView(name) => flag(st.session().engine.shared.global_views.remove(name).is_some()),
        C::RecoverPartitions(name) => {
            let name = TableName::Parts(parse_multipart_identifier(name)?);
            commands::repair(&st, name, true, false).await?;
            nothing()
        }
        C::IsCached(name) => flag(commands::is_cached(&st, &parse_multipart_identifier(name)?).await?),
        C::CacheTable { table, storage_level } => {
            let level = storage_level.as_deref().map(StorageLevel::of_name).transpose()?;
            // Spark's call caches on first use.
            commands::cache_table(&st, &parse_multipart_identifier(table)?, level, true).await?;
            nothing()
        }
        C::UncacheTable(name) => {
            commands::uncache(&st, &parse_multipart_identifier(name)?).await?;
            nothing()
        }
        C::ClearCache => {
            st.session().cache.clear_tables();
            nothing()
        }
        C::RefreshTable(name) => {
            commands::refresh_table(&st, TableName::Parts(parse_multipart_identifier(name)?)).await?;
            nothing()
        }
        C::RefreshByPath(_) => {
            st.session().cache.invalidate_all();
            nothing()
        }
        C::ListCatalogs { pattern } => {
            let rows = Rows::new(&[("name", DataType::STRING, false), ("description", DataType::STRING, true)]);
            let mut names = st.context.catalogs();
            names.retain(|name| pattern.as_deref().is_none_or(|p| matches_pattern(p, name)));
            rows.with(names.into_iter().map(|name| vec![name.into(), Cell::Null]))
        }
        C::ListPartitions(name) => {
            let name = TableName::Parts(parse_multipart_identifier(name)?);
            let table = st.existing_non_view(&name, "listPartitions").await?;
            let found = st.catalog().list_partitions(&table.id, &vec![]).await?;
            Rows::texts(&["partition"]).with(found.iter().map(|p| vec![commands::partition_path(&p.spec).into()]))
        }
        C::GetTableProperties(name) => {
            let table = st.existing_table(&TableName::Parts(parse_multipart_identifier(name)?)).await?;
            Rows::texts(&["key", "value"]).with(table.properties.into_iter().map(|(k, v)| vec![k.into(), v.into()]))
        }
        C::GetCreateTableString { table, as_serde } => {
            let name = TableName::Parts(parse_multipart_identifier(table)?);
            value(commands::create_table_text(&st, &name, *as_serde).await?)
        }
    };
    rows.into_relation_rows()
}

fn value(text: String) -> Rows {
    Rows::texts(&["value"]).with([vec![text.into()]])
}

fn flag(value: bool) -> Rows {
    Rows::new(&[("value", DataType::Boolean, false)]).with([vec![value.into()]])
}

fn nothing() -> Rows {
    Rows::new(&[])
}

fn name_parts(name: &str, database: Option<&str>) -> Result<Vec<String>> {
    match database {
        Some(database) => {
            let mut parts = parse_multipart_identifier(database)?;
            parts.push(name.to_string());
            Ok(parts)
        }
        None => parse_multipart_identifier(name),
    }
}

fn databases() -> Rows {
    Rows::new(&[
        ("name", DataType::STRING, true),
        ("catalog", DataType::STRING, true),
        ("description", DataType::STRING, true),
        ("locationUri", DataType::STRING, true),
    ])
}

fn database_row(database: &firesteel_catalog::Database) -> Vec<Cell> {
    vec![
        database.name.clone().into(),
        firesteel_catalog::SESSION_CATALOG.into(),
        Some(database.comment.clone().unwrap_or_default()).into(),
        database.location.clone().into(),
    ]
}

/// A namespace of one of Iceberg's catalogs.
async fn namespace_row(found: &InCatalog) -> Result<Vec<Cell>> {
    let properties = iceberg_namespaces::existing(found).await?;
    let text = |key: &str| properties.get(key).cloned().into();
    let name = iceberg_namespaces::shown(&found.rest);
    Ok(vec![name.into(), found.name.clone().into(), text("comment"), text("location")])
}

async fn list_databases(st: &Statement, pattern: Option<&str>) -> Result<Rows> {
    let mut rows = databases();
    if let Some(names) = iceberg_namespaces::list(st, &[], pattern).await? {
        for levels in names {
            let whole: Vec<String> = std::iter::once(st.context.namespace.catalog.clone()).chain(levels).collect();
            if let Some(found) = st.context.iceberg_namespace(&whole)? {
                rows.push(namespace_row(&found).await?);
            }
        }
        return Ok(rows);
    }
    for name in st.catalog().list_databases(pattern).await? {
        if let Some(database) = st.catalog().get_database(&name).await? {
            rows.push(database_row(&database));
        }
    }
    Ok(rows)
}

fn tables() -> Rows {
    Rows::new(&[
        ("name", DataType::STRING, true),
        ("catalog", DataType::STRING, true),
        ("namespace", DataType::array(DataType::STRING, true), true),
        ("description", DataType::STRING, true),
        ("tableType", DataType::STRING, true),
        ("isTemporary", DataType::Boolean, false),
    ])
}

fn table_row(table: &Table) -> Vec<Cell> {
    vec![
        table.id.name.clone().into(),
        firesteel_catalog::SESSION_CATALOG.into(),
        Cell::Texts(vec![table.id.database.clone()]),
        table.comment.clone().into(),
        table.kind.name().into(),
        false.into(),
    ]
}

fn temporary_row(name: &str, namespace: Vec<String>) -> Vec<Cell> {
    vec![name.into(), Cell::Null, Cell::Texts(namespace), Cell::Null, "TEMPORARY".into(), true.into()]
}

async fn list_tables(st: &Statement, database: Option<&str>, pattern: Option<&str>, only_views: bool) -> Result<Rows> {
    let name = database.map(parse_multipart_identifier).transpose()?.unwrap_or_default();
    if let Some((found, names)) = iceberg_namespaces::tables(st, &name, pattern).await? {
        let row = |name: String| {
            let (catalog, levels) = (found.name.clone().into(), Cell::Texts(found.rest.clone()));
            vec![name.into(), catalog, levels, Cell::Null, "MANAGED".into(), false.into()]
        };
        // Its views are not known here.
        return Ok(tables().with(names.into_iter().filter(|_| !only_views).map(row)));
    }
    let database = match database {
        Some(_) => st.session().database_name(&name)?,
        None => st.current_database()?,
    };
    let global = st.session().global_database();
    let matches = |name: &str| pattern.is_none_or(|p| matches_pattern(p, name));
    let mut rows = tables();
    if database.eq_ignore_ascii_case(&global) {
        for view in st.session().engine.shared.global_views.all() {
            if matches(&view.name) {
                rows.push(temporary_row(&view.name, vec![global.clone()]));
            }
        }
    } else {
        for table in st.catalog().list_tables(&database, pattern).await? {
            if !only_views || table.is_view() {
                rows.push(table_row(&table));
            }
        }
    }
    for view in st.session().views.all() {
        if matches(&view.name) {
            rows.push(temporary_row(&view.name, vec![]));
        }
    }
    Ok(rows)
}

async fn table_row_of(st: &Statement, parts: &[String]) -> Result<Vec<Cell>> {
    match st.session().resolve(parts, &st.context.namespace)? {
        Resolved::Temp(view) => Ok(temporary_row(&view.name, vec![])),
        Resolved::Global(view) => Ok(temporary_row(&view.name, vec![st.session().global_database()])),
        Resolved::Table(id) => match st.catalog().get_table(&id).await? {
            Some(table) => Ok(table_row(&table)),
            None => Err(st.relation_not_found(parts)),
        },
    }
}

async fn list_columns(st: &Statement, parts: Vec<String>) -> Result<Rows> {
    let (schema, table) = commands::describe_table(st, &TableName::Parts(parts)).await?;
    let is_in = |names: &[String], field: &StructField| names.iter().any(|n| n.eq_ignore_ascii_case(&field.name));
    let mut rows = Rows::new(&[
        ("name", DataType::STRING, true),
        ("description", DataType::STRING, true),
        ("dataType", DataType::STRING, true),
        ("nullable", DataType::Boolean, false),
        ("isPartition", DataType::Boolean, false),
        ("isBucket", DataType::Boolean, false),
        ("isCluster", DataType::Boolean, false),
    ]);
    for field in schema.fields.iter() {
        let is_partition = table.as_ref().is_some_and(|t| is_in(&t.partition_columns, field));
        let is_bucket = table.as_ref().and_then(|t| t.bucket_spec.as_ref()).is_some_and(|b| is_in(&b.columns, field));
        let is_cluster = table.as_ref().is_some_and(|t| is_in(&t.clustering_columns, field));
        rows.push(vec![
            field.name.clone().into(),
            commands::metadata_text(field, "comment").into(),
            field.data_type.simple_string().into(),
            field.nullable.into(),
            is_partition.into(),
            is_bucket.into(),
            is_cluster.into(),
        ]);
    }
    Ok(rows)
}

fn functions() -> Rows {
    Rows::new(&[
        ("name", DataType::STRING, true),
        ("catalog", DataType::STRING, true),
        ("namespace", DataType::array(DataType::STRING, true), true),
        ("description", DataType::STRING, true),
        ("className", DataType::STRING, true),
        ("isTemporary", DataType::Boolean, false),
    ])
}

fn built_in_row(name: &str) -> Option<Vec<Cell>> {
    let function = firesteel_functions::registry::lookup(name)?;
    Some(vec![
        name.to_lowercase().into(),
        Cell::Null,
        Cell::Null,
        function.usage.into(),
        format!("firesteel.functions.{}", function.name).into(),
        true.into(),
    ])
}

fn temporary_function_row(name: &str) -> Vec<Cell> {
    vec![name.into(), Cell::Null, Cell::Null, "N/A.".into(), Cell::Text(String::new()), true.into()]
}

fn stored_function_row(function: &firesteel_catalog::Function) -> Vec<Cell> {
    vec![
        function.name.clone().into(),
        firesteel_catalog::SESSION_CATALOG.into(),
        Cell::Texts(vec![function.database.clone()]),
        function.comment.clone().unwrap_or_else(|| "N/A.".into()).into(),
        function.class_name.clone().into(),
        false.into(),
    ]
}

async fn function_row(st: &Statement, parts: &[String]) -> Result<Option<Vec<Cell>>> {
    if let [name] = parts {
        if st.session().functions.get(name).is_some() {
            return Ok(Some(temporary_function_row(name)));
        }
        if let Some(row) = built_in_row(name) {
            return Ok(Some(row));
        }
    }
    let id = st.session().table_id(parts, &st.context.namespace)?;
    Ok(st.catalog().get_function(&id.database, &id.name).await?.map(|f| stored_function_row(&f)))
}

async fn list_functions(st: &Statement, database: Option<&str>, pattern: Option<&str>) -> Result<Rows> {
    let database = match database {
        Some(name) => st.session().database_name(&parse_multipart_identifier(name)?)?,
        None => st.current_database()?,
    };
    let matches = |name: &str| pattern.is_none_or(|p| matches_pattern(p, name));
    let stored = st.catalog().list_functions(&database, pattern).await?;
    let mut rows = functions();
    for name in firesteel_functions::registry::names() {
        if matches(name) {
            rows.rows.extend(built_in_row(name));
        }
    }
    for function in st.session().functions.all() {
        if matches(&function.name) {
            rows.push(temporary_function_row(&function.name));
        }
    }
    for function in stored {
        rows.push(stored_function_row(&function));
    }
    Ok(rows)
}

pub(crate) fn unresolved_routine(st: &Statement, parts: &[String]) -> SparkError {
    let database = &st.context.namespace.database;
    SparkError::new(
        "UNRESOLVED_ROUTINE",
        [
            ("routineName", quoted_name(parts)),
            ("searchPath", format!("[`system`.`builtin`, `system`.`session`, `spark_catalog`.`{database}`]")),
        ],
    )
}
