//! CREATE TABLE, CREATE TABLE AS SELECT, REPLACE TABLE.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_analyze::{AnalyzedPlan, declared_schema};
use firesteel_catalog::{Table, TableKind};
use firesteel_lake::delta::conflict::ReadSet;
use firesteel_lake::delta::{AskedProtocol, COLUMN_DEFAULTS, DeltaTable, Operation, TableMetadata, Transaction};
use firesteel_plan::command::SaveMode;
use firesteel_plan::statement::{ConstraintKind, CreateMode, CreateTable};
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use firesteel_storage::Location;

use super::rows::GENERATION_KEY;
use super::write::{DeltaSave, create_with, json_list};
use crate::commands::describe::metadata_text;
use crate::commands::insert::DEFAULT_KEY;
use crate::commands::table::{default_location, schema_of};
use crate::commands::write::Observed;
use crate::commands::write_v2::partition_name;
use crate::commands::{Answer, Statement};
use crate::execution::Execution;
use crate::names::quote_id;

/// The metadata of a new table, checked.
pub fn metadata_of(
    schema: StructType,
    partitions: Vec<String>,
    configuration: BTreeMap<String, String>,
) -> Result<TableMetadata> {
    let mut metadata = TableMetadata::new(schema, vec![], configuration);
    metadata.map_columns(None)?;
    let schema = &metadata.schema;
    let bad = |name: &str| !metadata.is_mapped() && name.chars().any(|c| " ,;{}()\n\t=".contains(c));
    let invalid: Vec<&str> = schema.fields.iter().map(|f| f.name.as_str()).filter(|name| bad(name)).collect();
    if !invalid.is_empty() {
        let parameters = [("invalidColumnNames", invalid.join(", "))];
        return Err(SparkError::new("DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES", parameters));
    }
    let mut names = vec![];
    for partition in &partitions {
        let field = schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(partition));
        let field = field.ok_or_else(|| {
            let all: Vec<_> = schema.fields.iter().map(|f| f.name.clone()).collect();
            let parameters = [("columnName", partition.clone()), ("columnList", all.join(", "))];
            SparkError::new("DELTA_MISSING_PARTITION_COLUMN", parameters)
        })?;
        if !field.data_type.is_atomic() || field.data_type.is_interval() {
            let parameters = [("name", field.name.clone()), ("dataType", field.data_type.sql())];
            return Err(SparkError::new("DELTA_INVALID_PARTITION_COLUMN_TYPE", parameters));
        }
        names.push(field.name.clone());
    }
    if !names.is_empty() && names.len() == schema.fields.len() {
        return Err(SparkError::of("DELTA_CANNOT_USE_ALL_COLUMNS_FOR_PARTITION"));
    }
    check_types(schema)?;
    metadata.partition_columns = names;
    Ok(metadata)
}

/// Defaults need a table feature that has to be asked for, and are constants of the columns' types.
pub async fn check_defaults(st: &Statement, schema: &StructType, is_allowed: bool) -> Result<()> {
    let defaults: Vec<(StructField, String)> =
        schema.fields.iter().filter_map(|f| Some((f.clone(), metadata_text(f, DEFAULT_KEY)?))).collect();
    if !defaults.is_empty() && !is_allowed {
        return Err(SparkError::of("WRONG_COLUMN_DEFAULTS_FOR_DELTA_FEATURE_NOT_ENABLED").with_message(format!(
            "The table has no column defaults: set its property delta.feature.{COLUMN_DEFAULTS} to 'supported' first."
        )));
    }
    let eval = Arc::clone(&st.context.eval);
    crate::run::with_analyzer(&st.context, &st.parameters, move |analyzer| {
        defaults.iter().try_for_each(|(field, text)| super::rows::default_of(analyzer, field, text, &eval).map(|_| ()))
    })
    .await
}

/// Whether a new table with those properties may have defaults.
fn asks_for_defaults(configuration: &BTreeMap<String, String>) -> Result<bool> {
    Ok(AskedProtocol::take(&mut configuration.clone())?.features.contains(COLUMN_DEFAULTS))
}

/// A place with files that are no Delta table is no place for a new one.
pub async fn refuse_other_files(st: &Statement, location: &Location, identifier: Option<String>) -> Result<()> {
    let files = st.context.storage().file_system(location)?;
    let Some(status) = files.status(location).await? else { return Ok(()) };
    let is_empty = status.is_directory
        && files.list(location).await?.iter().all(|child| firesteel_storage::is_hidden(child.location.name()));
    if is_empty {
        return Ok(());
    }
    let identifier = identifier.unwrap_or_else(|| format!("delta.`{location}`"));
    Err(SparkError::new(
        "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION",
        [("identifier", identifier), ("location", location.to_string())],
    ))
}

/// The columns as the log keeps them.
fn logged(schema: &StructType) -> StructType {
    let field = |field: &StructField| {
        let mut field = field.clone();
        if let Some(text) = field.metadata.remove("GENERATION_EXPRESSION") {
            field.metadata.insert(GENERATION_KEY.into(), text);
        }
        field.metadata.remove("EXISTS_DEFAULT");
        field
    };
    StructType::new(schema.fields.iter().map(field).collect())
}

/// CREATE [OR REPLACE] TABLE … USING delta, with or without a query.
pub async fn create(st: &Statement, create: CreateTable, mut table: Table, existing: Option<Table>) -> Answer {
    let replaces = matches!(create.mode, CreateMode::Replace | CreateMode::CreateOrReplace);
    if st.catalog().get_database(&table.id.database).await?.is_none() {
        return Err(firesteel_catalog::errors::schema_not_found(&table.id.database));
    }
    if let Some(old) = existing.as_ref().filter(|_| replaces) {
        if old.is_view() || !crate::delta::is_delta_table(old) {
            return Err(crate::commands::insert::unsupported_operation(&table.id, "REPLACE TABLE"));
        }
        if table.location.is_none() {
            (table.location, table.kind) = (old.location.clone(), old.kind);
        }
    }
    if table.location.is_none() {
        table.location = Some(default_location(st, &table.id).await?);
    }
    table.tracks_partitions = false;
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let delta = DeltaTable::find(&location, &st.context.storage()).await?;
    if table.kind == TableKind::Managed && delta.is_some() && !replaces {
        return Err(SparkError::new(
            "LOCATION_ALREADY_EXISTS",
            [("location", location.to_string()), ("identifier", quote_id(&table.id))],
        ));
    }
    if delta.is_none() {
        refuse_other_files(st, &location, Some(quote_id(&table.id))).await?;
    }
    let configuration = configuration_of(&create)?;
    match &create.query {
        Some(query) => {
            let analyzed = st.analyze(query).await?;
            with_rows(st, &mut table, &location, analyzed, configuration, delta, replaces).await?;
        }
        None => {
            let schema = logged(&table.schema);
            let partitions = table.partition_columns.clone();
            empty(st, &mut table, &location, schema, partitions, configuration, delta, replaces).await?;
        }
    }
    register(st, table, existing.is_some(), create.mode == CreateMode::CreateIfNotExists).await?;
    Ok(Execution::empty())
}

/// Properties of the log: those of the statement, and its constraints.
fn configuration_of(create: &CreateTable) -> Result<BTreeMap<String, String>> {
    let mut configuration = super::configuration(&create.properties)?;
    for constraint in &create.constraints {
        let ConstraintKind::Check(check) = &constraint.kind else {
            return Err(SparkError::unsupported("constraints other than CHECK"));
        };
        let name = constraint.name.clone().unwrap_or_else(|| format!("chk_{}", configuration.len()));
        configuration.insert(format!("delta.constraints.{}", name.to_lowercase()), check.text.clone());
    }
    if create.columns.iter().any(|c| c.identity.is_some()) {
        return Err(SparkError::unsupported("identity columns"));
    }
    Ok(configuration)
}

async fn register(st: &Statement, mut table: Table, exists: bool, if_not_exists: bool) -> Result<()> {
    let id = table.id.clone();
    table.properties.retain(|key, _| !key.starts_with("delta."));
    match exists {
        true => st.catalog().create_or_replace_table(table).await.map(|_| ())?,
        false => st.catalog().create_table(table, if_not_exists).await?,
    }
    st.session().cache.invalidate_table(&id);
    Ok(())
}

fn operation_of(name: &str, metadata: &TableMetadata, table: &Table) -> Operation {
    let properties: BTreeMap<_, _> = metadata.configuration.iter().collect();
    Operation::new(name)
        .with("isManaged", (table.kind == TableKind::Managed).to_string())
        .with("description", serde_json::Value::from(metadata.description.clone()).to_string())
        .with("partitionBy", json_list(&metadata.partition_columns))
        .with("properties", serde_json::json!(properties).to_string())
}

/// A table without rows; the one that is there already is taken over.
async fn empty(
    st: &Statement,
    table: &mut Table,
    location: &Location,
    schema: StructType,
    partitions: Vec<String>,
    configuration: BTreeMap<String, String>,
    delta: Option<DeltaTable>,
    replaces: bool,
) -> Result<()> {
    if let (Some(delta), false) = (&delta, replaces) {
        return take_over(table, delta, &schema, &partitions, &configuration);
    }
    if schema.fields.is_empty() && table.kind == TableKind::External {
        let parameters = [("tableName", quote_id(&table.id)), ("path", location.to_string())];
        return Err(SparkError::new("DELTA_CREATE_EXTERNAL_TABLE_WITHOUT_SCHEMA", parameters));
    }
    check_defaults(st, &schema, asks_for_defaults(&configuration)?).await?;
    let mut metadata = metadata_of(schema, partitions, configuration)?;
    metadata.description.clone_from(&table.comment);
    check_generated(st, &metadata.schema).await?;
    let name = match (&delta, replaces) {
        (Some(_), true) => "CREATE OR REPLACE TABLE",
        _ => "CREATE TABLE",
    };
    let operation = operation_of(name, &metadata, table);
    let mut transaction = match &delta {
        Some(old) => {
            let mut transaction = Transaction::on(old);
            transaction.remove(&old.files()?);
            transaction.reads = ReadSet::WholeTable;
            metadata.id.clone_from(&old.metadata().id);
            transaction
        }
        None => Transaction::create(location.clone(), st.context.storage()),
    };
    transaction.set_metadata(metadata.clone())?;
    (table.schema, table.partition_columns) = (metadata.schema.clone(), metadata.partition_columns.clone());
    transaction.commit(operation).await?;
    Ok(())
}

/// `CREATE TABLE t USING delta LOCATION '…'` over a table that is there: what is said must be true of it.
fn take_over(
    table: &mut Table,
    delta: &DeltaTable,
    schema: &StructType,
    partitions: &[String],
    configuration: &BTreeMap<String, String>,
) -> Result<()> {
    let mut configuration = configuration.clone();
    let asked = AskedProtocol::take(&mut configuration)?;
    let metadata = delta.metadata();
    let path = delta.location().to_string();
    let same =
        |(a, b): (&StructField, &StructField)| a.name.eq_ignore_ascii_case(&b.name) && a.data_type == b.data_type;
    let equal = schema.fields.len() == metadata.schema.fields.len()
        && schema.fields.iter().zip(metadata.schema.fields.iter()).all(same);
    if !schema.fields.is_empty() && !equal {
        let parameters = [
            ("path", path),
            ("specifiedSchema", schema.tree_string(None)),
            ("existingSchema", metadata.schema.tree_string(None)),
            ("schemaDifferences", String::new()),
        ];
        return Err(SparkError::new("DELTA_CREATE_TABLE_SCHEME_MISMATCH", parameters));
    }
    if !schema.fields.is_empty() && partitions != metadata.partition_columns {
        let parameters = [
            ("path", path),
            ("specifiedColumns", partitions.join(", ")),
            ("existingColumns", metadata.partition_columns.join(", ")),
        ];
        return Err(SparkError::new("DELTA_CREATE_TABLE_WITH_DIFFERENT_PARTITIONING", parameters));
    }
    let differs = configuration.iter().any(|(key, value)| metadata.configuration.get(key) != Some(value));
    if differs || !asked.is_met_by(delta.protocol()) {
        let show = |map: &BTreeMap<String, String>| {
            map.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join("\n")
        };
        let parameters = [
            ("path", path),
            ("specifiedProperties", show(&configuration)),
            ("existingProperties", show(&metadata.configuration)),
        ];
        return Err(SparkError::new("DELTA_CREATE_TABLE_WITH_DIFFERENT_PROPERTY", parameters));
    }
    (table.schema, table.partition_columns) = (metadata.schema.clone(), metadata.partition_columns.clone());
    Ok(())
}

/// The expressions of generated columns have the columns' types.
async fn check_generated(st: &Statement, schema: &StructType) -> Result<()> {
    let schema = schema.clone();
    crate::run::with_analyzer(&st.context, &st.parameters, move |analyzer| {
        let plain = |f: &StructField| super::rows::generation_of(f).is_none();
        let columns: Vec<_> =
            schema.fields.iter().filter(|f| plain(f)).map(firesteel_analyze::Attribute::of_field).collect();
        for field in schema.fields.iter() {
            let Some(text) = super::rows::generation_of(field) else { continue };
            let expr = firesteel_sql::parse_expression(&text, &analyzer.parse_options())?;
            let typed = analyzer.over(&expr, &columns)?;
            if !typed.data_type.same_type(&field.data_type) {
                return Err(SparkError::new(
                    "DELTA_GENERATED_COLUMNS_EXPR_TYPE_MISMATCH",
                    [
                        ("columnName", field.name.clone()),
                        ("expressionType", typed.data_type.sql()),
                        ("columnType", field.data_type.sql()),
                    ],
                ));
            }
        }
        Ok(())
    })
    .await
}

/// CTAS, RTAS and `saveAsTable`: the rows are committed before the catalog knows the table.
async fn with_rows(
    st: &Statement,
    table: &mut Table,
    location: &Location,
    analyzed: AnalyzedPlan,
    configuration: BTreeMap<String, String>,
    delta: Option<DeltaTable>,
    replaces: bool,
) -> Result<Observed> {
    let schema = declared_schema(&analyzed.schema).storable().as_nullable();
    let mut metadata = metadata_of(schema, table.partition_columns.clone(), configuration)?;
    metadata.description.clone_from(&table.comment);
    if let Some(old) = &delta {
        metadata.id.clone_from(&old.metadata().id);
    }
    let name = match (&delta, replaces) {
        (Some(_), _) | (None, true) => "CREATE OR REPLACE TABLE AS SELECT",
        (None, false) => "CREATE TABLE AS SELECT",
    };
    let operation = operation_of(name, &metadata, table);
    (table.schema, table.partition_columns) = (metadata.schema.clone(), metadata.partition_columns.clone());
    let mode = if replaces { SaveMode::Overwrite } else { SaveMode::ErrorIfExists };
    let save = DeltaSave::new(analyzed, mode, table.options.clone());
    create_with(st, location, metadata, save, operation, delta).await
}

/// `df.write.format("delta").saveAsTable(name)` of a table that is not there, or is replaced.
pub async fn save_as_table(
    st: &Statement,
    mut table: Table,
    analyzed: AnalyzedPlan,
    existing: Option<Table>,
    options: BTreeMap<String, String>,
) -> Result<Observed> {
    if st.catalog().get_database(&table.id.database).await?.is_none() {
        return Err(firesteel_catalog::errors::schema_not_found(&table.id.database));
    }
    if table.location.is_none() {
        let kept = existing.as_ref().and_then(|old| old.location.clone().map(|location| (location, old.kind)));
        match kept {
            Some((location, kind)) => (table.location, table.kind) = (Some(location), kind),
            None => table.location = Some(default_location(st, &table.id).await?),
        }
    }
    table.owner = st.user();
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let delta = DeltaTable::find(&location, &st.context.storage()).await?;
    let exists = existing.is_some();
    let observed = match &delta {
        Some(delta) => {
            let found = super::Found::new(existing, delta.clone());
            let mut save = DeltaSave::new(analyzed, SaveMode::Overwrite, options);
            save.partition_by = (!table.partition_columns.is_empty()).then(|| table.partition_columns.clone());
            let observed = super::write::into_table(st, &found, save).await?;
            let latest = delta.latest().await?;
            (table.schema, table.partition_columns) =
                (latest.schema().clone(), latest.metadata().partition_columns.clone());
            observed
        }
        None => {
            refuse_other_files(st, &location, Some(quote_id(&table.id))).await?;
            let configuration = super::configuration(&table.properties)?;
            with_rows(st, &mut table, &location, analyzed, configuration, None, false).await?
        }
    };
    register(st, table, exists, false).await?;
    Ok(observed)
}

/// `DeltaTable.create(spark).location(path)`: a table that no catalog knows.
pub async fn at_path(st: &Statement, path: &str, create: CreateTable) -> Answer {
    let location = Location::parse(path)?;
    let delta = DeltaTable::find(&location, &st.context.storage()).await?;
    match (create.mode, &delta) {
        (CreateMode::Create, Some(_)) => {
            let parameters = [("tableName", format!("delta.`{location}`"))];
            return Err(SparkError::new("DELTA_TABLE_ALREADY_EXISTS", parameters));
        }
        (CreateMode::CreateIfNotExists, Some(_)) => return Ok(Execution::empty()),
        (CreateMode::Replace, None) => {
            let parameters = [("tableName", format!("delta.`{location}`"))];
            return Err(SparkError::new("DELTA_CANNOT_REPLACE_MISSING_TABLE", parameters));
        }
        _ => {}
    }
    let replaces = matches!(create.mode, CreateMode::Replace | CreateMode::CreateOrReplace);
    if delta.is_none() {
        refuse_other_files(st, &location, None).await?;
    }
    let schema = logged(&schema_of(&create.columns));
    let partitions: Vec<String> = create.partition_by.iter().map(partition_name).collect::<Result<_>>()?;
    let configuration = configuration_of(&create)?;
    let id = firesteel_catalog::TableId::new("delta", path);
    let mut table = Table::new(id, TableKind::External, schema.clone());
    table.comment.clone_from(&create.comment);
    match &create.query {
        Some(query) => {
            table.partition_columns = partitions;
            let analyzed = st.analyze(query).await?;
            with_rows(st, &mut table, &location, analyzed, configuration, delta, replaces).await?;
        }
        None => empty(st, &mut table, &location, schema, partitions, configuration, delta, replaces).await?,
    }
    st.session().cache.invalidate_relations();
    Ok(Execution::empty())
}

/// Types that a table of the log can have.
fn check_types(schema: &StructType) -> Result<()> {
    let refused =
        |data_type: &DataType| data_type.is_interval() || matches!(data_type, DataType::Time(_) | DataType::Null);
    match schema.fields.iter().find(|f| refused(&f.data_type)) {
        None => Ok(()),
        Some(field) => Err(SparkError::new(
            "DELTA_UNSUPPORTED_DATA_TYPES",
            [("dataTypeList", format!("[{}: {}]", field.name, field.data_type.sql()))],
        )),
    }
}

/// A table of the catalog without rows of its own: `spark.catalog.createTable`, CREATE TABLE LIKE.
pub async fn external(st: &Statement, mut table: Table) -> Result<()> {
    if table.location.is_none() {
        table.location = Some(default_location(st, &table.id).await?);
    }
    table.tracks_partitions = false;
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let delta = DeltaTable::find(&location, &st.context.storage()).await?;
    if delta.is_none() {
        refuse_other_files(st, &location, Some(quote_id(&table.id))).await?;
    }
    let (schema, partitions) = (logged(&table.schema), table.partition_columns.clone());
    let configuration = super::configuration(&table.properties)?;
    empty(st, &mut table, &location, schema, partitions, configuration, delta, false).await?;
    register(st, table, false, false).await
}
