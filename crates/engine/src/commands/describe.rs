//! DESCRIBE, and the table information that SHOW TABLE EXTENDED shares with it.
use chrono::TimeZone;
use firesteel_catalog::{ColumnStatistics, Partition, Statistics, Table};
use firesteel_plan::identifier::{quote_identifier, quote_if_needed, quoted_name};
use firesteel_plan::statement::{Describe, PartitionValues};
use firesteel_plan::{DataType, Expr, Relation, RelationKind, Result, SparkError, StructField, StructType, TableName};

use super::{Answer, Statement, namespace, partition};
use crate::names::Resolved;
use crate::rows::{Cell, Rows};

pub async fn describe(st: &Statement, what: Describe) -> Answer {
    match what {
        Describe::Table { name, partition, extended, as_json } => table(st, name, partition, extended, as_json).await,
        Describe::Column { table, column, extended } => column_of(st, table, column, extended).await,
        Describe::Namespace { name, extended } => namespace_of(st, name, extended).await,
        Describe::Function { name, extended } => function(st, name, extended).await,
        Describe::Query { query, text: _ } => {
            let analyzed = st.analyze(&query).await?;
            column_rows(&analyzed.schema).into_execution()
        }
        Describe::Procedure { name } => {
            let parts = st.name(&name).await?;
            Err(SparkError::new("FAILED_TO_LOAD_ROUTINE", [("routineName", quoted_name(&parts))]))
        }
    }
}

/// A string in a field's metadata.
pub fn metadata_text(field: &StructField, key: &str) -> Option<String> {
    field.metadata.get(key).map(|json| serde_json::from_str(json).unwrap_or_else(|_| json.clone()))
}

fn describe_rows() -> Rows {
    Rows::new(&[
        ("col_name", DataType::STRING, false),
        ("data_type", DataType::STRING, false),
        ("comment", DataType::STRING, true),
    ])
    .commented(&["name of the column", "data type of the column", "comment of the column"])
}

fn column_rows(schema: &StructType) -> Rows {
    let row = |f: &StructField| {
        vec![f.name.clone().into(), f.data_type.simple_string().into(), metadata_text(f, "comment").into()]
    };
    describe_rows().with(schema.fields.iter().map(row))
}

fn line(name: &str, value: &str) -> Vec<Cell> {
    vec![name.into(), value.into(), "".into()]
}

/// DESCRIBE TABLE of a table or view.
pub(crate) async fn describe_table(st: &Statement, name: &TableName) -> Result<(StructType, Option<Table>)> {
    if let Some(found) = super::iceberg::find_outside(st, &st.name(name).await?).await? {
        return Ok((found.table.schema.clone(), Some(found.table)));
    }
    let (parts, resolved) = st.resolve(name).await?;
    match resolved {
        Resolved::Temp(view) | Resolved::Global(view) => Ok((view.schema.clone(), None)),
        Resolved::Table(id) => {
            let table = st.catalog().get_table(&id).await?;
            let table = table.ok_or_else(|| st.relation_not_found(&parts))?;
            let table = st.hydrated(table).await?;
            Ok((table.schema.clone(), Some(table)))
        }
    }
}

async fn table(
    st: &Statement,
    name: TableName,
    values: Option<PartitionValues>,
    extended: bool,
    as_json: bool,
) -> Answer {
    let (schema, table) = describe_table(st, &name).await?;
    if as_json {
        return json(st, &name, &schema, table.as_ref(), values).await;
    }
    let mut rows = column_rows(&schema);
    let Some(table) = table else {
        if values.is_some() {
            let parts = st.name(&name).await?;
            return Err(SparkError::new(
                "FORBIDDEN_OPERATION",
                [
                    ("statement", "DESC PARTITION".to_string()),
                    ("objectType", "TEMPORARY VIEW".to_string()),
                    ("objectName", quoted_name(&parts)),
                ],
            ));
        }
        return rows.into_execution();
    };
    if values.is_some() && table.is_view() {
        return Err(SparkError::new(
            "FORBIDDEN_OPERATION",
            [
                ("statement", "DESC PARTITION".to_string()),
                ("objectType", "VIEW".to_string()),
                ("objectName", quoted_name(&[&table.id.name])),
            ],
        ));
    }
    if !table.partition_columns.is_empty() {
        rows.push(line("# Partition Information", ""));
        rows.push(vec!["# col_name".into(), "data_type".into(), "comment".into()]);
        for field in table.partition_schema().fields.iter() {
            rows.push(vec![
                field.name.clone().into(),
                field.data_type.simple_string().into(),
                metadata_text(field, "comment").into(),
            ]);
        }
    }
    if !table.clustering_columns.is_empty() {
        rows.push(line("# Clustering Information", ""));
        rows.push(vec!["# col_name".into(), "data_type".into(), "comment".into()]);
        for column in &table.clustering_columns {
            let field = table.schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(column));
            let data_type = field.map(|f| f.data_type.simple_string()).unwrap_or_default();
            let comment = field.and_then(|f| metadata_text(f, "comment"));
            rows.push(vec![column.clone().into(), data_type.into(), comment.into()]);
        }
    }
    if let Some(values) = values {
        detailed_partition(st, &table, &values, extended, &mut rows).await?;
        return rows.into_execution();
    }
    let defaults: Vec<_> =
        schema.fields.iter().filter_map(|f| Some((f, metadata_text(f, super::insert::DEFAULT_KEY)?))).collect();
    if extended {
        if !defaults.is_empty() {
            rows.push(line("", ""));
            rows.push(line("# Column Default Values", ""));
            for (field, text) in &defaults {
                rows.push(vec![field.name.clone().into(), field.data_type.simple_string().into(), text.clone().into()]);
            }
        }
        rows.push(line("", ""));
        rows.push(line("# Detailed Table Information", ""));
        for (key, value) in information(st, &table) {
            rows.push(line(&key, &value));
        }
    }
    rows.into_execution()
}

async fn detailed_partition(
    st: &Statement,
    table: &Table,
    values: &PartitionValues,
    extended: bool,
    rows: &mut Rows,
) -> Result<()> {
    let spec = partition::spec(st, table, values, true).await?;
    let found = st.catalog().get_partition(&table.id, &spec).await?;
    let found = found.ok_or_else(|| firesteel_catalog::errors::partitions_not_found(&table.id, &[spec]))?;
    if !extended {
        return Ok(());
    }
    rows.push(line("", ""));
    rows.push(line("# Detailed Partition Information", ""));
    rows.push(line("Database", &table.id.database));
    rows.push(line("Table", &table.id.name));
    for (key, value) in partition_information(table, &found)? {
        if key == "Created Time" && !table.options.is_empty() {
            rows.push(line("Storage Properties", &bracketed(&table.options)));
        }
        rows.push(line(&key, &value));
    }
    rows.push(line("", ""));
    rows.push(line("# Storage Information", ""));
    for (key, value) in bucket_information(table) {
        rows.push(line(&key, &value));
    }
    rows.push(line("Location", table.location.as_deref().unwrap_or_default()));
    if !table.options.is_empty() {
        rows.push(line("Storage Properties", &bracketed(&table.options)));
    }
    Ok(())
}

pub fn partition_information(table: &Table, found: &Partition) -> Result<Vec<(String, String)>> {
    let values: Vec<_> = found.spec.iter().map(|(k, v)| format!("{k}={}", v.as_deref().unwrap_or("null"))).collect();
    let root = firesteel_storage::Location::parse(table.location.as_deref().unwrap_or("/"))?;
    let location = found.location.clone().unwrap_or_else(|| root.join(&partition::path_of(&found.spec)).to_string());
    let created = java_time(found.created_ms, chrono_tz::UTC);
    let mut lines = vec![
        ("Partition Values".to_string(), format!("[{}]", values.join(", "))),
        ("Location".into(), location),
        ("Created Time".into(), created),
        ("Last Access".into(), "UNKNOWN".into()),
    ];
    if let Some(statistics) = &found.statistics {
        lines.push(("Partition Statistics".into(), statistics_text(statistics)));
    }
    Ok(lines)
}

fn bucket_information(table: &Table) -> Vec<(String, String)> {
    let Some(bucket) = &table.bucket_spec else { return vec![] };
    let quoted = |names: &[String]| {
        format!("[{}]", names.iter().map(|name| quote_identifier(name)).collect::<Vec<_>>().join(", "))
    };
    let mut lines = vec![
        ("Num Buckets".to_string(), bucket.num_buckets.to_string()),
        ("Bucket Columns".into(), quoted(&bucket.columns)),
    ];
    lines.push(("Sort Columns".into(), quoted(&bucket.sort_columns)));
    lines
}

/// `[a=1, b=2]`, secrets hidden.
fn bracketed(values: &std::collections::BTreeMap<String, String>) -> String {
    let show = |(key, value): (&String, &String)| format!("{key}={}", firesteel_conf::redact(key, value));
    format!("[{}]", values.iter().map(show).collect::<Vec<_>>().join(", "))
}

fn statistics_text(statistics: &Statistics) -> String {
    let rows = statistics.row_count.map(|rows| format!(", {rows} rows")).unwrap_or_default();
    format!("{} bytes{rows}", statistics.size_in_bytes)
}

/// A moment as Java's `Date.toString` in the session's zone: `Mon Jan 01 00:00:00 UTC 2024`.
pub fn time(st: &Statement, millis: i64) -> String {
    java_time(millis, st.context.eval.time_zone_id.parse().unwrap_or(chrono_tz::UTC))
}

fn java_time(millis: i64, zone: chrono_tz::Tz) -> String {
    match zone.timestamp_millis_opt(millis).single() {
        Some(moment) => moment.format("%a %b %d %H:%M:%S %Z %Y").to_string(),
        None => "UNKNOWN".into(),
    }
}

/// What DESCRIBE EXTENDED lists of a table, in order.
pub fn information(st: &Statement, table: &Table) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = vec![
        ("Catalog".into(), firesteel_catalog::SESSION_CATALOG.into()),
        ("Database".into(), table.id.database.clone()),
        ("Table".into(), table.id.name.clone()),
    ];
    let mut add = |key: &str, value: String| lines.push((key.to_string(), value));
    if !table.owner.is_empty() {
        add("Owner", table.owner.clone());
    }
    add("Created Time", time(st, table.created_ms));
    add("Last Access", "UNKNOWN".into());
    add("Created By", table.created_by.clone());
    add("Type", table.kind.name().into());
    if let Some(provider) = &table.provider {
        add("Provider", if super::hive::is_hive_format(table) { "hive".into() } else { provider.clone() });
    }
    for (key, value) in bucket_information(table) {
        add(&key, value);
    }
    if let Some(comment) = &table.comment {
        add("Comment", comment.clone());
    }
    if let Some(collation) = &table.collation {
        add("Collation", collation.clone());
    }
    if let Some(view) = &table.view {
        add("View Text", view.text.clone());
        add("View Original Text", view.original_text.clone().unwrap_or_else(|| view.text.clone()));
        add("View Schema Mode", view.schema_binding.name().into());
        let mut namespace = vec![view.current_catalog.clone()];
        namespace.extend(view.current_namespace.iter().cloned());
        add("View Catalog and Namespace", namespace.iter().map(|p| quote_if_needed(p)).collect::<Vec<_>>().join("."));
        let columns: Vec<_> = view.query_columns.iter().map(|c| quote_identifier(c)).collect();
        add("View Query Output Columns", format!("[{}]", columns.join(", ")));
    }
    if !table.properties.is_empty() {
        add("Table Properties", bracketed(&table.properties));
    }
    if let Some(statistics) = &table.statistics {
        add("Statistics", statistics_text(statistics));
    }
    if let Some(location) = &table.location {
        add("Location", location.clone());
    }
    for (key, value) in super::hive::information(table) {
        add(key, value);
    }
    if !table.options.is_empty() {
        add("Storage Properties", bracketed(&table.options));
    }
    if table.tracks_partitions {
        add("Partition Provider", "Catalog".into());
    }
    lines
}

async fn json(
    st: &Statement,
    name: &TableName,
    schema: &StructType,
    table: Option<&Table>,
    values: Option<PartitionValues>,
) -> Answer {
    let parts = st.name(name).await?;
    let mut object = serde_json::Map::new();
    let mut put = |key: &str, value: serde_json::Value| {
        object.insert(key.to_string(), value);
    };
    put("table_name", table.map_or_else(|| parts.last().cloned().unwrap_or_default(), |t| t.id.name.clone()).into());
    let catalog = if table.is_some() { firesteel_catalog::SESSION_CATALOG } else { "system" };
    let database = table.map_or("session", |t| t.id.database.as_str());
    put("catalog_name", catalog.into());
    put("namespace", vec![database].into());
    put("schema_name", database.into());
    let column = |f: &StructField| {
        let mut column = serde_json::Map::new();
        column.insert("name".into(), f.name.clone().into());
        column.insert("type".into(), type_json(&f.data_type));
        column.insert("nullable".into(), f.nullable.into());
        if let Some(comment) = metadata_text(f, "comment") {
            column.insert("comment".into(), comment.into());
        }
        if let Some(default) = metadata_text(f, super::insert::DEFAULT_KEY) {
            column.insert("default".into(), default.into());
        }
        serde_json::Value::Object(column)
    };
    put("columns", schema.fields.iter().map(column).collect::<Vec<_>>().into());
    if let Some(table) = table {
        if let Some(values) = values {
            let spec = partition::spec(st, table, &values, true).await?;
            let found = st.catalog().get_partition(&table.id, &spec).await?;
            found.ok_or_else(|| {
                firesteel_catalog::errors::partitions_not_found(&table.id, std::slice::from_ref(&spec))
            })?;
            let map: serde_json::Map<_, _> =
                spec.into_iter().map(|(k, v)| (k, v.map_or(serde_json::Value::Null, Into::into))).collect();
            put("partition_values", map.into());
        }
        table_json(table, &mut put);
    }
    Rows::texts(&["json_metadata"]).with([vec![serde_json::Value::Object(object).to_string().into()]]).into_execution()
}

fn table_json(table: &Table, put: &mut dyn FnMut(&str, serde_json::Value)) {
    let map = |values: &std::collections::BTreeMap<String, String>| {
        let values = values.iter().map(|(k, v)| (k.clone(), serde_json::Value::from(firesteel_conf::redact(k, v))));
        serde_json::Value::Object(values.collect())
    };
    if !table.owner.is_empty() {
        put("owner", table.owner.clone().into());
    }
    let created = chrono::DateTime::from_timestamp_millis(table.created_ms).unwrap_or_default();
    put("created_time", created.format("%Y-%m-%dT%H:%M:%SZ").to_string().into());
    put("last_access", "UNKNOWN".into());
    put("created_by", table.created_by.clone().into());
    put("type", table.kind.name().into());
    if let Some(provider) = &table.provider {
        put("provider", provider.clone().into());
    }
    if let Some(bucket) = &table.bucket_spec {
        put("num_buckets", bucket.num_buckets.into());
        put("bucket_columns", bucket.columns.clone().into());
        put("sort_columns", bucket.sort_columns.clone().into());
    }
    if let Some(comment) = &table.comment {
        put("comment", comment.clone().into());
    }
    if let Some(view) = &table.view {
        put("view_text", view.text.clone().into());
        put("view_original_text", view.original_text.clone().unwrap_or_else(|| view.text.clone()).into());
        put("view_schema_mode", view.schema_binding.name().into());
        put("view_query_output_columns", view.query_columns.clone().into());
    }
    if !table.properties.is_empty() {
        put("table_properties", map(&table.properties));
    }
    if let Some(location) = &table.location {
        put("location", location.clone().into());
    }
    if !table.options.is_empty() {
        put("storage_properties", map(&table.options));
    }
    if table.tracks_partitions {
        put("partition_provider", "Catalog".into());
    }
    if !table.partition_columns.is_empty() {
        put("partition_columns", table.partition_columns.clone().into());
    }
    put("collation", table.collation.clone().unwrap_or_else(|| "UTF8_BINARY".into()).into());
}

/// A type as DESCRIBE … AS JSON shows it.
fn type_json(data_type: &DataType) -> serde_json::Value {
    use serde_json::json;
    match data_type {
        DataType::String(collation) => json!({"name": "string", "collation": collation.name()}),
        DataType::Char(n) => json!({"name": "char", "length": n}),
        DataType::Varchar(n) => json!({"name": "varchar", "length": n}),
        DataType::Decimal(p, s) => json!({"name": "decimal", "precision": p, "scale": s}),
        DataType::Timestamp => json!({"name": "timestamp_ltz"}),
        DataType::Array(element, nullable) => {
            json!({"name": "array", "element_type": type_json(element), "element_nullable": nullable})
        }
        DataType::Map(key, value, nullable) => json!({
            "name": "map", "key_type": type_json(key), "value_type": type_json(value), "value_nullable": nullable
        }),
        DataType::Struct(s) => {
            let field =
                |f: &StructField| json!({"name": f.name, "type": type_json(&f.data_type), "nullable": f.nullable});
            json!({"name": "struct", "fields": s.fields.iter().map(field).collect::<Vec<_>>()})
        }
        DataType::YearMonthInterval(a, b) => {
            json!({"name": "interval", "start_unit": a.to_string().to_lowercase(), "end_unit": b.to_string().to_lowercase()})
        }
        DataType::DayTimeInterval(a, b) => {
            json!({"name": "interval", "start_unit": a.to_string().to_lowercase(), "end_unit": b.to_string().to_lowercase()})
        }
        other => json!({"name": other.simple_string()}),
    }
}

async fn column_of(st: &Statement, name: TableName, column: Vec<String>, extended: bool) -> Answer {
    let (schema, table) = describe_table(st, &name).await?;
    let parts = st.name(&name).await?;
    let column = without_table(&column, &parts);
    let shown = column.last().cloned().unwrap_or_default();
    let is_own = |f: &&StructField| f.name.eq_ignore_ascii_case(&shown);
    let (1, Some(field)) = (column.len(), schema.fields.iter().find(is_own)) else {
        if column.len() > 1 && schema.fields.iter().any(|f| f.name.eq_ignore_ascii_case(&column[0])) {
            let text = column.join(".");
            let message = format!("DESC TABLE COLUMN takes a column, not the field {text} of one.");
            let parameters = [("command", "DESC TABLE COLUMN".to_string()), ("column", text)];
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1060", parameters).with_message(message));
        }
        return Err(SparkError::new(
            "COLUMN_NOT_FOUND",
            [("colName", quoted_name(column)), ("caseSensitiveConfig", "\"spark.sql.caseSensitive\"".to_string())],
        ));
    };
    let mut rows = Rows::texts(&["info_name", "info_value"]);
    let mut add = |key: &str, value: Option<String>| {
        rows.push(vec![key.into(), value.unwrap_or_else(|| "NULL".into()).into()]);
    };
    // As Spark answers it: the name as it was asked for.
    add("col_name", Some(shown.clone()));
    add("data_type", Some(field.data_type.simple_string()));
    add("comment", metadata_text(field, "comment"));
    if extended {
        let statistics = table.and_then(|t| t.statistics).and_then(|s| s.columns.get(&field.name).cloned());
        let statistics = statistics.unwrap_or_default();
        add("min", statistics.min);
        add("max", statistics.max);
        add("num_nulls", statistics.null_count.map(|n| n.to_string()));
        add("distinct_count", statistics.distinct_count.map(|n| n.to_string()));
        add("avg_col_len", statistics.avg_len.map(|n| n.to_string()));
        add("max_col_len", statistics.max_len.map(|n| n.to_string()));
        add("histogram", statistics.histogram);
    }
    rows.into_execution()
}

/// A column's name without the table's in front.
fn without_table<'c>(column: &'c [String], table: &[String]) -> &'c [String] {
    let split = (1..column.len()).rev().find(|split| {
        *split <= table.len()
            && column[..*split].iter().zip(&table[table.len() - split..]).all(|(a, b)| a.eq_ignore_ascii_case(b))
    });
    column.get(split.unwrap_or(0)..).unwrap_or(column)
}

async fn namespace_of(st: &Statement, name: TableName, extended: bool) -> Answer {
    if let Some(rows) = super::iceberg::namespaces::describe(st, &st.name(&name).await?, extended).await? {
        return rows.into_execution();
    }
    let name = st.database(&name).await?;
    let database = namespace::existing(st, &name).await?;
    let mut rows = Rows::new(&[("info_name", DataType::STRING, false), ("info_value", DataType::STRING, true)])
        .commented(&["name of the namespace info", "value of the namespace info"]);
    rows.push(vec!["Catalog Name".into(), firesteel_catalog::SESSION_CATALOG.into()]);
    rows.push(vec!["Namespace Name".into(), database.name.into()]);
    rows.push(vec!["Comment".into(), database.comment.unwrap_or_default().into()]);
    rows.push(vec!["Location".into(), database.location.into()]);
    if !database.owner.is_empty() {
        rows.push(vec!["Owner".into(), database.owner.into()]);
    }
    if let Some(collation) = database.collation {
        rows.push(vec!["Collation".into(), collation.into()]);
    }
    if extended {
        let pairs: Vec<_> =
            database.properties.iter().map(|(k, v)| format!("({k},{})", firesteel_conf::redact(k, v))).collect();
        let text = if pairs.is_empty() { String::new() } else { format!("({})", pairs.join(", ")) };
        rows.push(vec!["Properties".into(), text.into()]);
    }
    rows.into_execution()
}

async fn function(st: &Statement, name: TableName, extended: bool) -> Answer {
    let parts = st.name(&name).await?;
    let mut rows = Rows::texts(&["function_desc"]);
    let mut add = |text: String| rows.push(vec![text.into()]);
    let last = parts.last().cloned().unwrap_or_default();
    if let Some(function) = crate::variables::session_name(&parts).and_then(|n| st.session().functions.get(&n)) {
        add(format!("Function:     {}", function.name));
        let kind = if matches!(function.definition.body, firesteel_plan::statement::FunctionReturnBody::Query(_)) {
            "TABLE"
        } else {
            "SCALAR"
        };
        add(format!("Type:         {kind}"));
        add(format!("Body:         {}", function.definition.body_text));
        return rows.into_execution();
    }
    if let Some(function) = firesteel_functions::registry::lookup(&last) {
        add(format!("Function: {last}"));
        add(format!("Usage: {}", function.usage));
        if extended {
            let examples: String =
                function.examples.iter().map(|(sql, result)| format!("      > {sql};\n       {result}\n")).collect();
            add(format!("Extended Usage:\n    Examples:\n{examples}  \n    Since: {}\n", function.since));
        }
        return rows.into_execution();
    }
    let id = st.session().table_id(&parts, &st.context.namespace)?;
    let Some(function) = st.catalog().get_function(&id.database, &id.name).await? else {
        return Err(crate::catalog_calls::unresolved_routine(st, &parts));
    };
    add(format!("Function:     {}.{}.{}", firesteel_catalog::SESSION_CATALOG, function.database, function.name));
    if function.class_name.is_empty() {
        add(format!("Type:         {}", if function.is_table { "TABLE" } else { "SCALAR" }));
        if let Some(parameters) = &function.parameters {
            let show: Vec<_> = parameters.iter().map(|p| format!("{} {}", p.name, p.data_type)).collect();
            add(format!("Input:        {}", if show.is_empty() { "()".into() } else { show.join("\n              ") }));
        }
        if let Some(returns) = &function.returns {
            add(format!("Returns:      {returns}"));
        }
    } else {
        add(format!("Class: {}", function.class_name));
        add("Usage: N/A.".into());
    }
    rows.into_execution()
}

/// Computes the statistics of columns; answers the number of rows.
pub async fn column_statistics(
    st: &Statement,
    relation: Relation,
    columns: &[StructField],
    statistics: &mut Statistics,
) -> Result<u64> {
    let text = |expr: Expr| expr.cast(DataType::STRING);
    let mut aggregates = vec![Expr::call("count", vec![Expr::int(1)])];
    for field in columns {
        let column = || Expr::name(&field.name);
        let is_text = field.data_type.is_string() || field.data_type == DataType::Binary;
        let has_range =
            field.data_type.is_numeric() || field.data_type.is_datetime() || field.data_type == DataType::Boolean;
        aggregates.push(Expr::call("count", vec![column()]));
        aggregates.push(Expr::call("approx_count_distinct", vec![column()]));
        for name in ["min", "max"] {
            aggregates.push(if has_range { text(Expr::call(name, vec![column()])) } else { Expr::null() });
        }
        let length = || Expr::call("length", vec![column()]);
        aggregates.push(if is_text {
            Expr::call("ceil", vec![Expr::call("avg", vec![length()])]).cast(DataType::Long)
        } else {
            Expr::null()
        });
        aggregates.push(if is_text { Expr::call("max", vec![length()]).cast(DataType::Long) } else { Expr::null() });
    }
    let aggregates = aggregates.into_iter().enumerate().map(|(i, e)| text(e).alias(format!("s{i}"))).collect();
    let query = Relation::new(RelationKind::Aggregate {
        input: Box::new(relation),
        grouping: firesteel_plan::relation::Grouping::By(vec![]),
        aggregates,
        pivot: None,
    });
    let (_, batches) = st.collect(&query).await?;
    let batch = batches.iter().find(|b| b.num_rows() > 0).ok_or_else(|| SparkError::internal("no statistics"))?;
    let value = |index: usize| crate::literal::text(batch.column(index).as_ref(), 0);
    let number = |index: usize| value(index).and_then(|text| text.parse::<u64>().ok());
    let rows = number(0).unwrap_or(0);
    for (position, field) in columns.iter().enumerate() {
        let at = 1 + position * 6;
        let default_length = fixed_length(&field.data_type);
        statistics.columns.insert(
            field.name.clone(),
            ColumnStatistics {
                null_count: number(at).map(|count| rows.saturating_sub(count)),
                distinct_count: number(at + 1),
                min: value(at + 2),
                max: value(at + 3),
                avg_len: number(at + 4).or(default_length),
                max_len: number(at + 5).or(default_length),
                histogram: None,
            },
        );
    }
    Ok(rows)
}

/// Spark's default size of a type, for types of fixed length.
fn fixed_length(data_type: &DataType) -> Option<u64> {
    Some(match data_type {
        DataType::Boolean | DataType::Byte => 1,
        DataType::Short => 2,
        DataType::Integer | DataType::Float | DataType::Date => 4,
        DataType::Long | DataType::Double | DataType::Timestamp | DataType::TimestampNtz => 8,
        DataType::Decimal(p, _) => {
            if *p <= 18 {
                8
            } else {
                16
            }
        }
        _ => return None,
    })
}
