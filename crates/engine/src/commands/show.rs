//! SHOW.
use firesteel_catalog::{Table, matches_pattern};
use firesteel_conf::redact;
use firesteel_plan::identifier::{quote_identifier, quote_if_needed};
use firesteel_plan::statement::Show;
use firesteel_plan::{DataType, Result, SparkError, TableName};

use super::describe::{information, partition_information};
use super::{Answer, Statement, iceberg, partition};
use crate::names::{Resolved, quote_id};
use crate::rows::{Cell, Rows};

pub async fn show(st: &Statement, what: Show) -> Answer {
    match what {
        Show::Namespaces { of, pattern } => namespaces(st, of, pattern).await,
        Show::Tables { of, pattern } => tables(st, of, pattern).await,
        Show::TableExtended { of, pattern, partition: None } => extended(st, of, pattern).await,
        Show::TableExtended { of, pattern, partition: Some(values) } => {
            let database = database(st, of).await?;
            let name = TableName::Parts(vec![database.clone(), pattern.clone()]);
            let Ok(table) = st.existing_table(&name).await else {
                return Err(st.table_not_found(&[database, pattern]));
            };
            let spec = partition::spec(st, &table, &values, true).await?;
            let found = st.catalog().get_partition(&table.id, &spec).await?;
            let found = found.ok_or_else(|| firesteel_catalog::errors::partitions_not_found(&table.id, &[spec]))?;
            let lines = partition_information(&table, &found)?;
            let text = lines.iter().map(|(k, v)| format!("{k}: {v}\n")).collect::<String>();
            let mut rows = extended_rows();
            rows.push(vec![table.id.database.into(), table.id.name.into(), false.into(), format!("{text}\n").into()]);
            rows.into_execution()
        }
        Show::Views { of, pattern } => views(st, of, pattern).await,
        Show::Columns { table, of } => columns(st, table, of).await,
        Show::TableProperties { table, key } => properties(st, table, key).await,
        Show::Partitions { table, partition } => partitions(st, table, partition).await,
        Show::Functions { kind, of, pattern, name } => functions(st, &kind, of, pattern, name).await,
        Show::Catalogs { pattern } => {
            let matches = |name: &&str| pattern.as_ref().is_none_or(|p| matches_pattern(p, name));
            let names = st.context.catalogs();
            let names = names.iter().map(String::as_str).filter(matches);
            Rows::texts(&["catalog"]).with(names.map(|n| vec![n.into()])).into_execution()
        }
        Show::CurrentNamespace => {
            let namespace = st.session().namespace();
            Rows::texts(&["catalog", "namespace"])
                .with([vec![namespace.catalog.clone().into(), namespace.shown().into()]])
                .into_execution()
        }
        Show::Collations { pattern } => collations(pattern),
        Show::Procedures { .. } => {
            Err(SparkError::new("MISSING_CATALOG_ABILITY.PROCEDURES", [("plugin", "spark_catalog")]))
        }
        Show::CreateTable { .. } => Err(SparkError::internal("SHOW CREATE TABLE is run elsewhere")),
    }
}

async fn database(st: &Statement, of: Option<TableName>) -> Result<String> {
    match of {
        Some(name) => st.database(&name).await,
        None => st.current_database(),
    }
}

/// The name that a statement gives, if any.
async fn given(st: &Statement, of: Option<&TableName>) -> Result<Vec<String>> {
    match of {
        Some(name) => st.name(name).await,
        None => Ok(vec![]),
    }
}

async fn namespaces(st: &Statement, of: Option<TableName>, pattern: Option<String>) -> Answer {
    let parent = given(st, of.as_ref()).await?;
    if let Some(rows) = iceberg::namespaces::show(st, &parent, pattern.as_deref()).await? {
        return rows.into_execution();
    }
    if let Some(name) = of {
        let parts = st.name(&name).await?;
        match parts.as_slice() {
            [catalog] if crate::names::is_session_catalog(catalog) => {}
            [catalog] => return Err(firesteel_catalog::errors::schema_not_found(catalog)),
            _ => {
                st.session().database_name(&parts)?;
            }
        }
    }
    let names = st.catalog().list_databases(pattern.as_deref()).await?;
    Rows::texts(&["namespace"]).with(names.into_iter().map(|name| vec![quote_if_needed(&name).into()])).into_execution()
}

/// Temporary views that SHOW TABLES and SHOW VIEWS list: those of `global_temp` where that is asked for, then the
/// session's. Answers database (empty for the session's) and name.
fn temporary(st: &Statement, database: &str, pattern: Option<&str>) -> Vec<(String, String)> {
    let matches = |name: &str| pattern.is_none_or(|p| matches_pattern(p, name));
    let global = st.session().global_database();
    let mut all = vec![];
    if database.eq_ignore_ascii_case(&global) {
        let views = st.session().engine.shared.global_views.all();
        all.extend(views.iter().filter(|v| matches(&v.name)).map(|v| (global.clone(), v.name.to_lowercase())));
    }
    let views = st.session().views.all();
    all.extend(views.iter().filter(|v| matches(&v.name)).map(|v| (String::new(), v.name.to_lowercase())));
    all
}

/// Tables and views of a database; none of `global_temp`, which is no database of the catalog.
async fn persistent(st: &Statement, database: &str, pattern: Option<&str>) -> Result<Vec<Table>> {
    if database.eq_ignore_ascii_case(&st.session().global_database()) {
        return Ok(vec![]);
    }
    st.catalog().list_tables(database, pattern).await
}

async fn tables(st: &Statement, of: Option<TableName>, pattern: Option<String>) -> Answer {
    let mut rows = Rows::new(&[
        ("namespace", DataType::STRING, false),
        ("tableName", DataType::STRING, false),
        ("isTemporary", DataType::Boolean, false),
    ]);
    let namespace = given(st, of.as_ref()).await?;
    if let Some((found, names)) = iceberg::namespaces::tables(st, &namespace, pattern.as_deref()).await? {
        let namespace = iceberg::namespaces::shown(&found.rest);
        let row = |name: String| vec![namespace.as_str().into(), name.into(), false.into()];
        return rows.with(names.into_iter().map(row)).into_execution();
    }
    let database = database(st, of).await?;
    for table in persistent(st, &database, pattern.as_deref()).await? {
        rows.push(vec![quote_if_needed(&table.id.database).into(), table.id.name.into(), false.into()]);
    }
    for (database, name) in temporary(st, &database, pattern.as_deref()) {
        rows.push(vec![database.into(), name.into(), true.into()]);
    }
    rows.into_execution()
}

async fn views(st: &Statement, of: Option<TableName>, pattern: Option<String>) -> Answer {
    let database = database(st, of).await?;
    let mut rows = Rows::new(&[
        ("namespace", DataType::STRING, false),
        ("viewName", DataType::STRING, false),
        ("isTemporary", DataType::Boolean, false),
    ]);
    for table in persistent(st, &database, pattern.as_deref()).await?.into_iter().filter(Table::is_view) {
        rows.push(vec![quote_if_needed(&table.id.database).into(), table.id.name.into(), false.into()]);
    }
    for (database, name) in temporary(st, &database, pattern.as_deref()) {
        rows.push(vec![database.into(), name.into(), true.into()]);
    }
    rows.into_execution()
}

fn extended_rows() -> Rows {
    Rows::new(&[
        ("namespace", DataType::STRING, false),
        ("tableName", DataType::STRING, false),
        ("isTemporary", DataType::Boolean, false),
        ("information", DataType::STRING, false),
    ])
}

async fn extended(st: &Statement, of: Option<TableName>, pattern: String) -> Answer {
    let database = database(st, of).await?;
    let mut rows = extended_rows();
    for table in persistent(st, &database, Some(&pattern)).await? {
        let mut text: String = information(st, &table).iter().map(|(k, v)| format!("{k}: {v}\n")).collect();
        if !table.partition_columns.is_empty() {
            let names: Vec<_> = table.partition_columns.iter().map(|c| quote_identifier(c)).collect();
            text.push_str(&format!("Partition Columns: [{}]\n", names.join(", ")));
        }
        text.push_str(&format!("Schema: {}\n", table.schema.tree_string(None)));
        rows.push(vec![quote_if_needed(&table.id.database).into(), table.id.name.into(), false.into(), text.into()]);
    }
    for view in st.session().views.all() {
        if matches_pattern(&pattern, &view.name) {
            let text = format!(
                "Table: {}\nCreated Time: {}\nLast Access: UNKNOWN\nCreated By: Spark 4.2.0\nType: VIEW\nView Schema Mode: \
                 BINDING\nSchema: {}\n",
                view.name.to_lowercase(),
                super::describe::time(st, st.context.eval.now_micros / 1000),
                view.schema.tree_string(None)
            );
            rows.push(vec!["".into(), view.name.to_lowercase().into(), true.into(), text.into()]);
        }
    }
    rows.into_execution()
}

async fn columns(st: &Statement, table: TableName, of: Option<TableName>) -> Answer {
    let mut parts = st.name(&table).await?;
    if let Some(of) = of {
        let database = st.database(&of).await?;
        match parts.as_slice() {
            [table] => parts = vec![database, table.clone()],
            [.., given, _] if !given.eq_ignore_ascii_case(&database) => {
                return Err(SparkError::new(
                    "SHOW_COLUMNS_WITH_CONFLICT_NAMESPACE",
                    [("namespaceA", quote_identifier(&database)), ("namespaceB", quote_identifier(given))],
                ));
            }
            _ => {}
        }
    }
    let schema = match st.session().resolve(&parts, &st.context.namespace)? {
        Resolved::Temp(view) | Resolved::Global(view) => view.schema.clone(),
        Resolved::Table(id) => {
            let table = st.catalog().get_table(&id).await?;
            table.ok_or_else(|| st.table_not_found(&parts))?.schema
        }
    };
    Rows::texts(&["col_name"]).with(schema.fields.iter().map(|f| vec![f.name.clone().into()])).into_execution()
}

async fn properties(st: &Statement, table: TableName, key: Option<String>) -> Answer {
    let parts = st.name(&table).await?;
    let outside = iceberg::find_outside(st, &parts).await?;
    let outside_name = outside.as_ref().map(|found| iceberg::namespaces::shown(&found.name));
    let properties = match outside {
        Some(mut found) => {
            // DESCRIBE TABLE EXTENDED has it.
            found.table.properties.remove("comment");
            found.table.properties
        }
        None => match st.resolve(&table).await?.1 {
            Resolved::Temp(view) | Resolved::Global(view) => view.properties.clone(),
            Resolved::Table(id) => {
                let table = st.catalog().get_table(&id).await?;
                let table = st.hydrated(table.ok_or_else(|| st.table_not_found(&parts))?).await?;
                let options = table.options.iter().filter(|_| !table.is_view());
                let options = options.map(|(key, value)| (format!("option.{key}"), value.clone()));
                table.properties.clone().into_iter().chain(options).collect()
            }
        },
    };
    let mut rows = Rows::texts(&["key", "value"]);
    match key {
        Some(key) => {
            let value = properties.get(&key).map(|value| redact(&key, value)).unwrap_or_else(|| {
                let id = || match st.session().table_id(&parts, &st.context.namespace) {
                    Ok(id) => id,
                    Err(_) => firesteel_catalog::TableId::new("", parts.join(".")),
                };
                let name = outside_name.unwrap_or_else(|| crate::names::show_id(&id()));
                format!("Table {name} does not have property: {key}")
            });
            rows.push(vec![key.into(), value.into()]);
        }
        None => {
            for (key, value) in properties {
                let value = redact(&key, &value);
                rows.push(vec![key.into(), value.into()]);
            }
        }
    }
    rows.into_execution()
}

async fn partitions(
    st: &Statement,
    table: TableName,
    partition: Option<firesteel_plan::statement::PartitionValues>,
) -> Answer {
    let table = st.existing_non_view(&table, "SHOW PARTITIONS").await?;
    if table.partition_columns.is_empty() {
        return Err(SparkError::new(
            "INVALID_PARTITION_OPERATION.PARTITION_SCHEMA_IS_EMPTY",
            [("name", quote_id(&table.id))],
        ));
    }
    let spec = match partition {
        Some(values) => partition::spec(st, &table, &values, false).await?,
        None => vec![],
    };
    let mut names: Vec<String> =
        st.catalog().list_partitions(&table.id, &spec).await?.iter().map(|p| partition::path_of(&p.spec)).collect();
    names.sort();
    Rows::texts(&["partition"]).with(names.into_iter().map(|name| vec![name.into()])).into_execution()
}

async fn functions(
    st: &Statement,
    kind: &str,
    of: Option<TableName>,
    pattern: Option<String>,
    name: Option<TableName>,
) -> Answer {
    let pattern = match name {
        Some(name) => st.name(&name).await?.pop().or(pattern),
        None => pattern,
    };
    let matches = |name: &str| pattern.as_ref().is_none_or(|p| matches_pattern(p, name));
    let mut names: Vec<String> = vec![];
    if kind != "USER" {
        names.extend(firesteel_functions::registry::names().into_iter().map(str::to_string).filter(|n| matches(n)));
    }
    if kind != "SYSTEM" {
        names.extend(st.session().functions.all().iter().map(|f| f.name.clone()).filter(|n| matches(n)));
        let database = database(st, of).await?;
        for function in st.catalog().list_functions(&database, pattern.as_deref()).await? {
            names.push(format!("{}.{}.{}", firesteel_catalog::SESSION_CATALOG, function.database, function.name));
        }
    }
    names.sort();
    names.dedup();
    Rows::texts(&["function"]).with(names.into_iter().map(|name| vec![name.into()])).into_execution()
}

fn collations(pattern: Option<String>) -> Answer {
    let mut rows = Rows::new(&[
        ("catalog", DataType::STRING, false),
        ("schema", DataType::STRING, false),
        ("name", DataType::STRING, false),
        ("language", DataType::STRING, true),
        ("country", DataType::STRING, true),
        ("accent_sensitivity", DataType::STRING, false),
        ("case_sensitivity", DataType::STRING, false),
        ("pad_attribute", DataType::STRING, false),
        ("icu_version", DataType::STRING, true),
    ]);
    let known: [(&str, &str, &str); 2] =
        [("UTF8_BINARY", "ACCENT_SENSITIVE", "CASE_SENSITIVE"), ("UTF8_LCASE", "ACCENT_SENSITIVE", "CASE_INSENSITIVE")];
    for (name, accent, case) in known {
        if pattern.as_ref().is_none_or(|p| matches_pattern(p, name)) {
            rows.push(vec![
                "SYSTEM".into(),
                "BUILTIN".into(),
                name.into(),
                Cell::Null,
                Cell::Null,
                accent.into(),
                case.into(),
                "NO_PAD".into(),
                Cell::Null,
            ]);
        }
    }
    rows.into_execution()
}
