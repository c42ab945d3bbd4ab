//! INSERT in all forms, and the row-level statements that file tables refuse.
use std::collections::BTreeSet;
use std::sync::Arc;

use firesteel_catalog::{Table, TableId};
use firesteel_lake::iceberg::Removed;
use firesteel_lake::{Conf, SourceOptions, WriteRequest};
use firesteel_plan::command::{MergeIntoTable, SaveMode};
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::statement::{Insert, InsertDirectory, PartitionValues};
use firesteel_plan::{Expr, ExprKind, Relation, RelationKind, Result, SparkError, StructField};

use super::partition::literal_text;
use super::{Answer, Statement};
use super::{delta, hudi, iceberg, write};
use crate::execution::Execution;
use crate::names::{Resolved, quote_id};

pub fn unsupported_operation(id: &TableId, operation: &str) -> SparkError {
    SparkError::new(
        "UNSUPPORTED_FEATURE.TABLE_OPERATION",
        [("tableName", quote_id(id)), ("operation", operation.to_string())],
    )
}

pub async fn insert(st: &Statement, insert: Insert) -> Answer {
    if let Some(found) = iceberg::find_outside(st, &st.name(&insert.table).await?).await? {
        return insert_into_iceberg(st, found, insert).await;
    }
    let target = st.resolve(&insert.table).await?;
    if let Some(answer) = insert_into_files(st, &insert, &target.0).await? {
        return Ok(answer);
    }
    let table = st.existing_non_view(&insert.table, "INSERT").await?;
    if crate::iceberg::is_iceberg_table(&table) {
        let found = iceberg::of_catalog(st, table).await?;
        return insert_into_iceberg(st, found, insert).await;
    }
    if crate::delta::is_delta_table(&table) {
        return delta_insert(st, table, insert).await;
    }
    if insert.replace_where.is_some() {
        return Err(unsupported_operation(&table.id, "overwrite by filter in batch mode"));
    }
    let table = match crate::hudi::is_hudi_table(&table) {
        true if insert.if_partition_not_exists => {
            return Err(unsupported_operation(&table.id, "INSERT OVERWRITE … IF NOT EXISTS"));
        }
        true => hudi::insertable(st, &table).await?,
        false => table,
    };
    let fixed = static_values(st, &table, &insert.partition).await?;
    if insert.if_partition_not_exists && !st.catalog().list_partitions(&table.id, &fixed).await?.is_empty() {
        return Ok(Execution::empty());
    }
    let columns = target_columns(&table, &insert.columns, &fixed)?;
    let query = with_defaults(insert.query, &columns)?;
    let analyzed = st.analyze(&query).await?;
    let stored = if insert.by_name {
        by_name(st, &table, &analyzed, &fixed)?
    } else {
        let (targets, missing) = complete(&table, columns, &fixed, insert.columns.is_empty());
        let stored = write::store_assign(st, &table, &analyzed, &targets, false)?;
        fill_defaults(st, &table, stored, missing).await?
    };
    write::write_stored(st, &table, stored, fixed, insert.overwrite, insert.options).await?;
    Ok(Execution::empty())
}

/// INSERT into an Iceberg table.
async fn insert_into_iceberg(st: &Statement, found: iceberg::Found, insert: Insert) -> Answer {
    let table = &found.table;
    if insert.replace_where.is_some() || !insert.partition.is_empty() {
        return Err(unsupported_operation(&table.id, "INSERT with PARTITION or REPLACE WHERE"));
    }
    let columns = target_columns(table, &insert.columns, &[])?;
    let analyzed = st.analyze(&with_defaults(insert.query, &columns)?).await?;
    let stored = match insert.by_name {
        true => by_name(st, table, &analyzed, &[])?,
        false => {
            let (targets, missing) = complete(table, columns, &[], insert.columns.is_empty());
            let stored = write::store_assign(st, table, &analyzed, &targets, false)?;
            fill_defaults(st, table, stored, missing).await?
        }
    };
    let mode = st.context.eval.get("spark.sql.sources.partitionOverwriteMode").unwrap_or("STATIC");
    let removed = match insert.overwrite {
        false => Removed::Nothing,
        true if mode.eq_ignore_ascii_case("dynamic") => iceberg::written_partitions(&found)?,
        true => Removed::Everything,
    };
    iceberg::into_table(st, &found, &stored, removed, &insert.options).await?;
    Ok(Execution::empty())
}

/// INSERT into a Delta table of the catalog.
async fn delta_insert(st: &Statement, table: Table, insert: Insert) -> Answer {
    let found = delta::of_catalog(st, table).await?;
    insert_into_delta(st, found, insert).await
}

async fn insert_into_delta(st: &Statement, found: delta::Found, insert: Insert) -> Answer {
    let table = found.as_table();
    let fixed = static_values(st, &table, &insert.partition).await?;
    let columns = target_columns(&table, &insert.columns, &fixed)?;
    let query = with_defaults(insert.query, &columns)?;
    let analyzed = st.analyze(&query).await?;
    let is_fixed = |name: &str| fixed.iter().any(|(column, _)| column.eq_ignore_ascii_case(name));
    let evolves =
        insert.with_schema_evolution || st.context.eval.flag("spark.databricks.delta.schema.autoMerge.enabled", false);
    let stored = if insert.by_name {
        let targets: Vec<_> = table
            .schema
            .fields
            .iter()
            .filter(|f| !is_fixed(&f.name))
            .filter(|f| analyzed.output.iter().any(|a| a.name.eq_ignore_ascii_case(&f.name)))
            .cloned()
            .collect();
        let is_new = |a: &&firesteel_analyze::Attribute| !targets.iter().any(|f| f.name.eq_ignore_ascii_case(&a.name));
        let extra: Vec<_> = analyzed.output.iter().filter(is_new).cloned().collect();
        if let (Some(extra), false) = (extra.first(), evolves) {
            return Err(SparkError::new(
                "INCOMPATIBLE_DATA_FOR_TABLE.EXTRA_COLUMNS",
                [("tableName", quote_id(&table.id)), ("extraColumns", quote_identifier(&extra.name))],
            ));
        }
        write::store_assign_some(st, &table, &analyzed, &targets, &extra)?
    } else {
        write::store_assign(st, &table, &analyzed, &columns, false)?
    };
    let stored = write::with_static_columns(st, &table, stored, &fixed)?;
    let mode = if insert.overwrite { SaveMode::Overwrite } else { SaveMode::Append };
    let mut save = delta::write::DeltaSave::new(stored, mode, insert.options);
    save.static_partitions = if insert.overwrite { fixed } else { vec![] };
    if insert.replace_where.is_some() {
        save.mode = SaveMode::Overwrite;
    }
    save.replace_where = insert.replace_where;
    save.with_schema_evolution = evolves;
    delta::write::into_table(st, &found, save).await?;
    Ok(Execution::empty())
}

/// ``INSERT INTO parquet.`/path` ``
async fn insert_into_files(st: &Statement, insert: &Insert, name: &[String]) -> Result<Option<Execution>> {
    let [format, path] = name else { return Ok(None) };
    if firesteel_lake::delta::is_delta(format)
        && let Some(found) = delta::find(st, name).await?
    {
        return insert_into_delta(st, found, insert.clone()).await.map(Some);
    }
    if !firesteel_lake::is_file_format(format) || st.catalog().get_database(format).await?.is_some() {
        return Ok(None);
    }
    let analyzed = st.analyze(&insert.query).await?;
    let request = request_of_path(st, format, path, &analyzed.schema, insert.overwrite, &insert.options);
    write::write_files(st, &analyzed, request).await?;
    st.session().cache.invalidate_relations();
    Ok(Some(Execution::empty()))
}

fn request_of_path(
    st: &Statement,
    format: &str,
    path: &str,
    schema: &firesteel_plan::StructType,
    overwrite: bool,
    options: &firesteel_plan::relation::Options,
) -> WriteRequest {
    WriteRequest {
        format: format.into(),
        path: path.into(),
        mode: if overwrite { SaveMode::Overwrite } else { SaveMode::Append },
        schema: schema.storable(),
        partition_by: vec![],
        bucketing: None,
        options: SourceOptions::new(options.clone()),
        static_partitions: vec![],
        moved_partitions: vec![],
        conf: Conf::new(Arc::clone(&st.context.eval.conf)),
        storage: st.context.storage().with_options(options),
    }
}

/// `PARTITION (a = 1, b)`: the constants, as partition texts.
async fn static_values(
    st: &Statement,
    table: &Table,
    partition: &PartitionValues,
) -> Result<Vec<(String, Option<String>)>> {
    let mut values = vec![];
    for (name, value) in partition {
        let column = table
            .partition_columns
            .iter()
            .find(|c| c.eq_ignore_ascii_case(name))
            .ok_or_else(|| SparkError::new("NON_PARTITION_COLUMN", [("columnName", quote_identifier(name))]))?;
        if let Some(value) = value {
            let field = table.schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(column));
            values.push((column.clone(), literal_text(st, value, field.map(|f| &f.data_type)).await?));
        }
    }
    Ok(values)
}

/// The columns that the rows are for: those of the column list, or all that have no constant.
fn target_columns(
    table: &Table,
    listed: &[Vec<String>],
    fixed: &[(String, Option<String>)],
) -> Result<Vec<StructField>> {
    let is_fixed = |name: &str| fixed.iter().any(|(column, _)| column.eq_ignore_ascii_case(name));
    if listed.is_empty() {
        return Ok(table.schema.fields.iter().filter(|f| !is_fixed(&f.name)).cloned().collect());
    }
    let mut seen = BTreeSet::new();
    let mut columns = vec![];
    for parts in listed {
        let name = parts.last().cloned().unwrap_or_default();
        if !seen.insert(name.to_lowercase()) {
            return Err(SparkError::new("COLUMN_ALREADY_EXISTS", [("columnName", quote_identifier(&name))]));
        }
        let field = table.schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(&name)).ok_or_else(|| {
            let proposal: Vec<_> = table.schema.fields.iter().map(|f| quote_identifier(&f.name)).collect();
            SparkError::new(
                "UNRESOLVED_COLUMN.WITH_SUGGESTION",
                [("objectName", quote_identifier(&name)), ("proposal", proposal.join(", "))],
            )
        })?;
        if is_fixed(&name) {
            return Err(SparkError::new(
                "STATIC_PARTITION_COLUMN_IN_INSERT_COLUMN_LIST",
                [("staticName", quote_identifier(&name))],
            ));
        }
        columns.push(field.clone());
    }
    Ok(columns)
}

/// Which columns the rows hold and which get their default.
fn complete(
    table: &Table,
    columns: Vec<StructField>,
    fixed: &[(String, Option<String>)],
    is_whole_row: bool,
) -> (Vec<StructField>, Vec<StructField>) {
    if is_whole_row {
        return (columns, vec![]);
    }
    let is_given = |field: &StructField| {
        columns.iter().any(|c| c.name == field.name)
            || fixed.iter().any(|(name, _)| name.eq_ignore_ascii_case(&field.name))
    };
    let missing = table.schema.fields.iter().filter(|f| !is_given(f)).cloned().collect();
    (columns, missing)
}

/// Metadata key of a column's default, as SQL text.
pub const DEFAULT_KEY: &str = "CURRENT_DEFAULT";

/// A column's default as an expression; NULL where it has none.
pub fn default_of(st: &Statement, field: &StructField) -> Result<Expr> {
    match field.metadata.get(DEFAULT_KEY) {
        Some(json) => {
            let text: String = serde_json::from_str(json).unwrap_or_else(|_| json.clone());
            firesteel_sql::parse_expression(&text, &st.session().parse_options())
        }
        None => Ok(Expr::null()),
    }
}

/// Adds columns that the rows lack, with their defaults, and puts all in the table's order.
async fn fill_defaults(
    st: &Statement,
    table: &Table,
    stored: firesteel_analyze::AnalyzedPlan,
    missing: Vec<StructField>,
) -> Result<firesteel_analyze::AnalyzedPlan> {
    let mut defaults = vec![];
    for field in missing {
        let expr = default_of(st, &field)?;
        defaults.push((field, expr));
    }
    let (table, eval) = (table.clone(), Arc::clone(&st.context.eval));
    crate::run::with_analyzer(&st.context, &st.parameters, move |analyzer| {
        use firesteel_functions::cast::{CastMode, cast};
        let mut columns = vec![];
        for field in table.schema.fields.iter() {
            if let Some(attribute) = stored.output.iter().find(|a| a.name.eq_ignore_ascii_case(&field.name)) {
                columns.push((attribute.typed(), field.clone()));
            } else if let Some((_, expr)) = defaults.iter().find(|(f, _)| f.name == field.name) {
                let typed = analyzer.constant(expr)?;
                columns.push((cast(typed, &field.data_type, CastMode::Ansi, &eval)?, field.clone()));
            }
        }
        write::project(&stored, columns)
    })
    .await
}

/// INSERT … BY NAME: columns that the query lacks get their default.
fn by_name(
    st: &Statement,
    table: &Table,
    analyzed: &firesteel_analyze::AnalyzedPlan,
    fixed: &[(String, Option<String>)],
) -> Result<firesteel_analyze::AnalyzedPlan> {
    let is_fixed = |name: &str| fixed.iter().any(|(column, _)| column.eq_ignore_ascii_case(name));
    let targets: Vec<_> = table.schema.fields.iter().filter(|f| !is_fixed(&f.name)).cloned().collect();
    if let Some(extra) =
        analyzed.output.iter().find(|a| !targets.iter().any(|field| field.name.eq_ignore_ascii_case(&a.name)))
    {
        return Err(SparkError::new(
            "INCOMPATIBLE_DATA_FOR_TABLE.EXTRA_COLUMNS",
            [("tableName", quote_id(&table.id)), ("extraColumns", quote_identifier(&extra.name))],
        ));
    }
    write::store_assign(st, table, analyzed, &targets, true)
}

/// Puts the columns' defaults where VALUES or the select list says DEFAULT.
fn with_defaults(query: Relation, columns: &[StructField]) -> Result<Relation> {
    let replace = |index: usize, expr: Expr| match &*expr.kind {
        kind if is_default(kind) => match columns.get(index).and_then(|f| f.metadata.get(DEFAULT_KEY)) {
            Some(json) => {
                let text: String = serde_json::from_str(json).unwrap_or_else(|_| json.clone());
                Expr::from(ExprKind::SqlText(text))
            }
            None => Expr::null(),
        },
        _ => expr,
    };
    let Relation { kind, plan_id, origin } = query;
    let kind = match *kind {
        RelationKind::Values { rows } => RelationKind::Values {
            rows: rows
                .into_iter()
                .map(|row| row.into_iter().enumerate().map(|(i, e)| replace(i, e)).collect())
                .collect(),
        },
        RelationKind::Project { input, expressions } => RelationKind::Project {
            input,
            expressions: expressions.into_iter().enumerate().map(|(i, e)| replace(i, e)).collect(),
        },
        RelationKind::SubqueryAlias { input, alias, qualifier, columns: names } => RelationKind::SubqueryAlias {
            input: Box::new(with_defaults(*input, columns)?),
            alias,
            qualifier,
            columns: names,
        },
        other => other,
    };
    Ok(Relation { kind: Box::new(kind), plan_id, origin })
}

/// The word DEFAULT, which VALUES and the select list take for a column.
fn is_default(kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Default => true,
        ExprKind::Attribute { name, plan_id: None, .. } => {
            matches!(name.as_slice(), [word] if word.eq_ignore_ascii_case("DEFAULT"))
        }
        _ => false,
    }
}

pub async fn multi_insert(st: &Statement, inserts: Vec<Insert>) -> Answer {
    for one in inserts {
        insert(st, one).await?;
    }
    Ok(Execution::empty())
}

pub async fn insert_directory(st: &Statement, insert: InsertDirectory) -> Answer {
    let analyzed = st.analyze(&insert.query).await?;
    let path = insert
        .path
        .or_else(|| insert.options.iter().find(|(key, _)| key.eq_ignore_ascii_case("path")).map(|(_, v)| v.clone()));
    let path = path.ok_or_else(|| {
        SparkError::new("_LEGACY_ERROR_TEMP_2046", Vec::<(String, String)>::new())
            .with_message("'path' is not specified.")
    })?;
    let format = insert.provider.unwrap_or_else(|| "text".into());
    write::check_format(&format)?;
    let request = request_of_path(st, &format, &path, &analyzed.schema, true, &insert.options);
    write::write_files(st, &analyzed, request).await?;
    Ok(Execution::empty())
}

pub async fn update(
    st: &Statement,
    table: Relation,
    assignments: Vec<(Vec<String>, Expr)>,
    condition: Option<Expr>,
) -> Answer {
    if let Some(named) = iceberg::rows::target(st, &table).await? {
        return iceberg::rows::update(st, &named, assignments, condition).await;
    }
    if let Some(named) = hudi::rows::target(st, &table).await? {
        return hudi::rows::update(st, &named, assignments, condition).await;
    }
    match delta::target(st, &table).await? {
        Some((found, alias)) => delta::update(st, &found, alias.as_deref(), assignments, condition).await,
        None => Err(not_row_level(st, &table, "UPDATE TABLE").await),
    }
}

pub async fn delete(st: &Statement, table: Relation, condition: Option<Expr>) -> Answer {
    if let Some(named) = iceberg::rows::target(st, &table).await? {
        return iceberg::rows::delete(st, &named, condition).await;
    }
    if let Some(named) = hudi::rows::target(st, &table).await? {
        return hudi::rows::delete(st, &named, condition).await;
    }
    match delta::target(st, &table).await? {
        Some((found, alias)) => delta::delete(st, &found, alias.as_deref(), condition).await,
        None => Err(not_row_level(st, &table, "DELETE").await),
    }
}

/// UPDATE and DELETE: what Spark says of tables that are plain files.
async fn not_row_level(st: &Statement, table: &Relation, operation: &str) -> SparkError {
    match target_of(st, table).await {
        Ok(id) => unsupported_operation(&id, operation),
        Err(error) => error,
    }
}

async fn target_of(st: &Statement, table: &Relation) -> Result<TableId> {
    let mut relation = table;
    while let RelationKind::SubqueryAlias { input, .. } = &*relation.kind {
        relation = input;
    }
    let RelationKind::NamedTable { name, .. } = &*relation.kind else {
        return Err(SparkError::parse("a table name"));
    };
    let (parts, resolved) = st.resolve(name).await?;
    match resolved {
        Resolved::Temp(_) | Resolved::Global(_) => Err(SparkError::new(
            "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
            [
                ("viewName", firesteel_plan::identifier::quoted_name(&parts)),
                ("operation", "this statement".to_string()),
            ],
        )),
        Resolved::Table(id) => match st.catalog().get_table(&id).await? {
            Some(table) => Ok(table.id),
            None => Err(st.relation_not_found(&parts).with_origin(relation.origin.as_ref())),
        },
    }
}

pub async fn merge(st: &Statement, merge: MergeIntoTable) -> Answer {
    if let Some(named) = iceberg::rows::target(st, &merge.target).await? {
        return iceberg::rows::merge(st, &named, merge).await;
    }
    if let Some(named) = hudi::rows::target(st, &merge.target).await? {
        return hudi::rows::merge(st, &named, merge).await;
    }
    if let Some(answer) = delta::merge(st, merge.clone()).await? {
        return Ok(answer);
    }
    let id = target_of(st, &merge.target).await?;
    // Names and types of the source are checked first, as Spark does.
    st.analyze(&merge.source).await?;
    Err(unsupported_operation(&id, "MERGE INTO TABLE"))
}
