//! Hudi tables of the catalog: CREATE TABLE, INSERT, saveAsTable.
use firesteel_analyze::{AnalyzedPlan, declared_schema};
use firesteel_catalog::{Table, TableKind};
use firesteel_lake::hudi::HudiTable;
use firesteel_lake::hudi::write::{HudiDefinition, Operation, lock};
use firesteel_plan::command::SaveMode;
use firesteel_plan::relation::Options;
use firesteel_plan::statement::{CreateMode, CreateTable};
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::Location;

use super::columns::{aligned, new_schema};
use super::frames::{SaveAt, make, save_at};
use super::options::{WriteOptions, illegal};
use super::records::check_keys;
use super::{Change, Replaced, Work, check_operation};
use crate::commands::insert::unsupported_operation;
use crate::commands::table::{default_location, finish_create};
use crate::commands::write::{Observed, partitions_last};
use crate::commands::{Answer, Statement};
use crate::names::quote_id;

const OWN: usize = 5;
const HIVE_STYLE: &str = "hoodie.datasource.write.hive_style_partitioning";
const INSERT_OPERATION: &str = "hoodie.spark.sql.insert.into.operation";

/// What the clauses of a statement say of a table. Its directories have the names of columns, as in Hudi's SQL.
fn options_of(table: &Table) -> Options {
    let mut options: Options = table.properties.clone();
    options.extend(table.options.clone());
    options.entry(HIVE_STYLE.into()).or_insert_with(|| "true".into());
    options
}

/// CREATE TABLE … USING hudi: of a table that is there, of a new one, or of a query.
pub async fn create(st: &Statement, create: CreateTable, mut table: Table) -> Answer {
    if !matches!(create.mode, CreateMode::Create | CreateMode::CreateIfNotExists) {
        return Err(unsupported_operation(&table.id, "REPLACE TABLE"));
    }
    if st.catalog().get_database(&table.id.database).await?.is_none() {
        return Err(firesteel_catalog::errors::schema_not_found(&table.id.database));
    }
    let if_not_exists = create.mode == CreateMode::CreateIfNotExists;
    let place = match &table.location {
        Some(location) => Location::parse(location)?,
        None => Location::parse(&default_location(st, &table.id).await?)?,
    };
    let storage = st.context.storage().with_options(&table.options);
    table.provider = Some("hudi".into());
    if HudiTable::find(&place, &storage).await?.is_some() {
        if create.query.is_some() || table.location.is_none() {
            return Err(SparkError::new(
                "LOCATION_ALREADY_EXISTS",
                [("location", place.to_string()), ("identifier", quote_id(&table.id))],
            ));
        }
        return register(st, table, &place, if_not_exists).await;
    }
    let options = options_of(&table);
    let name = table.id.name.clone();
    if let Some(query) = &create.query {
        let rows = st.analyze(query).await?;
        let mode = SaveMode::ErrorIfExists;
        let mut with_operation = options.clone();
        with_operation.entry("hoodie.datasource.write.operation".into()).or_insert_with(|| "insert".into());
        let partition_by = &table.partition_columns;
        let save =
            SaveAt { location: place.clone(), rows, mode, partition_by, options: &with_operation, name: Some(&name) };
        save_at(st, save).await?;
        return registered_or_gone(st, table, &place, if_not_exists).await;
    }
    if table.schema.fields.is_empty() {
        return Err(SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", "Hudi")]));
    }
    let columns = partitions_last(&table.id, &declared_schema(&table.schema), &table.partition_columns)?;
    let definition = WriteOptions::new(st, &options)?.definition(Some(&name), &table.partition_columns)?;
    let schema = new_schema(&name, &columns)?;
    {
        let _lock = lock(&place).await;
        make(&place, &storage, &definition, &schema).await?;
    }
    registered_or_gone(st, table, &place, if_not_exists).await
}

/// A name for a table that is there; its columns are its own.
async fn register(st: &Statement, mut table: Table, place: &Location, if_not_exists: bool) -> Answer {
    let storage = st.context.storage().with_options(&table.options);
    table.schema = st.context.hudi_schema(place, &storage).await?;
    table.location = Some(place.to_string());
    table.partition_columns.clear();
    finish_create(st, table, if_not_exists).await
}

/// The same for a table that was made for the name: without the name it goes.
async fn registered_or_gone(st: &Statement, table: Table, place: &Location, if_not_exists: bool) -> Answer {
    let registered = register(st, table, place, if_not_exists).await;
    if registered.is_err() {
        crate::commands::table::remove_files(st, &place.to_string()).await?;
    }
    registered
}

/// `df.write.saveAsTable` with the format Hudi.
pub async fn save_as_table(
    st: &Statement,
    mut table: Table,
    rows: AnalyzedPlan,
    existing: Option<Table>,
    mode: SaveMode,
) -> Result<Observed> {
    let (name, partition_by) = (table.id.name.clone(), std::mem::take(&mut table.partition_columns));
    let location = match (&existing, &table.location) {
        (Some(old), _) if !crate::hudi::is_hudi_table(old) => {
            return Err(SparkError::unsupported("saveAsTable of a Hudi table in place of one of another format"));
        }
        (Some(old), _) => old.location.clone().unwrap_or_default(),
        (None, Some(location)) => location.clone(),
        (None, None) => default_location(st, &table.id).await?,
    };
    let place = Location::parse(&location)?;
    let options = match &existing {
        Some(_) => table.options.clone(),
        None => options_of(&table),
    };
    let is_there = existing.is_some();
    let mode = if is_there { mode } else { SaveMode::ErrorIfExists };
    let save = SaveAt {
        location: place.clone(),
        rows,
        mode,
        partition_by: &partition_by,
        options: &options,
        name: (!is_there).then_some(name.as_str()),
    };
    let observed = save_at(st, save).await?;
    match existing {
        Some(old) => st.session().cache.invalidate_table(&old.id),
        None => {
            if table.location.is_some() {
                table.kind = TableKind::External;
            }
            registered_or_gone(st, table, &place, false).await?;
        }
    }
    Ok(observed)
}

/// A table of the catalog as INSERT sees it: without Hudi's own columns, with its partition columns.
pub async fn insertable(st: &Statement, table: &Table) -> Result<Table> {
    let hudi = open(st, table).await?;
    let schema = hudi.record_schema().await?;
    let schema = schema.ok_or_else(|| SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", "Hudi")]))?;
    let columns = HudiTable::columns_of(&schema)?;
    let data = columns.fields.iter().skip(OWN).cloned().collect();
    let partition_columns = hudi.definition()?.partition_by;
    Ok(Table { schema: StructType::new(data), partition_columns, tracks_partitions: false, ..table.clone() })
}

async fn open(st: &Statement, table: &Table) -> Result<HudiTable> {
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    HudiTable::open(&location, &st.context.storage().with_options(&table.options)).await
}

/// INSERT of rows that have the table's columns in order. `fixed`: values of partition columns that the statement names.
pub async fn insert_stored(
    st: &Statement,
    table: &Table,
    rows: AnalyzedPlan,
    fixed: &[(String, Option<String>)],
    overwrites: bool,
    options: &Options,
) -> Result<Observed> {
    let mut given = table.properties.clone();
    given.extend(table.options.clone());
    given.extend(options.clone());
    let options = WriteOptions::new(st, &given)?;
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let lock = lock(&location).await;
    let hudi = open(st, table).await?;
    let definition = hudi.definition()?;
    check_keys(&definition)?;
    let eval = &st.context.eval;
    let is_dynamic =
        eval.get("spark.sql.sources.partitionOverwriteMode").is_some_and(|mode| mode.eq_ignore_ascii_case("DYNAMIC"));
    let has_order = !definition.record_keys.is_empty() && definition.ordering.is_some();
    let (operation, replaced) = match (overwrites, eval.get(INSERT_OPERATION)) {
        (true, _) if definition.partition_by.is_empty() => (Operation::InsertOverwriteTable, Replaced::All),
        (true, _) if !fixed.is_empty() => (Operation::InsertOverwrite, Replaced::Below(path_of(&definition, fixed)?)),
        (true, _) if is_dynamic => (Operation::InsertOverwrite, Replaced::Written),
        (true, _) => (Operation::InsertOverwriteTable, Replaced::All),
        (false, Some(name)) => {
            let known =
                Operation::parse(name).filter(|operation| !operation.replaces() && *operation != Operation::Delete);
            let known = known.ok_or_else(|| illegal(&format!("{INSERT_OPERATION} is {name}")))?;
            (known, Replaced::Written)
        }
        // As in Hudi: with an order of records the later one counts, without it all are kept.
        (false, None) if has_order => (Operation::Upsert, Replaced::Written),
        (false, None) => (Operation::Insert, Replaced::Written),
    };
    check_operation(!definition.record_keys.is_empty(), operation)?;
    let schema = hudi.record_schema().await?;
    let schema = schema.ok_or_else(|| SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", "Hudi")]))?;
    let rows = aligned(st, &definition.name, &schema, &rows, operation)?;
    let (codec, combines) = (options.codec(), options.combines_inserts());
    let work = Work::Save { rows, combines, replaced };
    let removes_failed = options.removes_failed();
    let observed =
        Change { table: hudi, is_new: false, operation, schema, codec, removes_failed, work, lock }.run(st).await?;
    st.session().cache.invalidate_table(&table.id);
    Ok(observed)
}

/// The directory of the partitions that values of the first partition columns name.
fn path_of(definition: &HudiDefinition, fixed: &[(String, Option<String>)]) -> Result<String> {
    let value = |column: &String| fixed.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, v)| v);
    let parts: Vec<String> = definition
        .partition_by
        .iter()
        .map_while(|column| Some((column, value(column)?)))
        .map(|(column, value)| {
            let value = value.as_deref().filter(|text| !text.is_empty()).unwrap_or("__HIVE_DEFAULT_PARTITION__");
            if definition.hive_style { format!("{column}={value}") } else { value.to_string() }
        })
        .collect();
    match parts.len() == fixed.len() {
        true => Ok(parts.join("/")),
        false => Err(SparkError::unsupported("INSERT OVERWRITE of later partition columns of a Hudi table alone")),
    }
}
