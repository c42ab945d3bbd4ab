//! `df.write.format("hudi")`: which table a write is of, and what it does to it.
use firesteel_analyze::AnalyzedPlan;
use firesteel_lake::hudi::HudiTable;
use firesteel_lake::hudi::write::{HudiDefinition, Operation, TableLock, lock};
use firesteel_plan::command::SaveMode;
use firesteel_plan::relation::Options;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{Location, Storage};

use super::columns::{aligned, new_schema, schema_with};
use super::options::{WriteOptions, illegal};
use super::records::check_keys;
use super::{Change, Replaced, Work, check_operation};
use crate::commands::Statement;
use crate::commands::write::Observed;

/// Rows for a place.
pub struct SaveAt<'a> {
    pub location: Location,
    pub rows: AnalyzedPlan,
    pub mode: SaveMode,
    pub partition_by: &'a [String],
    pub options: &'a Options,
    /// Of a table of the catalog
    pub name: Option<&'a str>,
}

/// `df.write.format("hudi").save(path)`
pub async fn save(
    st: &Statement,
    path: &str,
    rows: AnalyzedPlan,
    mode: SaveMode,
    partition_by: &[String],
    options: &Options,
) -> Result<Observed> {
    let location = Location::parse(path)?;
    save_at(st, SaveAt { location, rows, mode, partition_by, options, name: None }).await
}

pub async fn save_at(st: &Statement, save: SaveAt<'_>) -> Result<Observed> {
    let options = WriteOptions::new(st, save.options)?;
    let storage = st.context.storage().with_options(save.options);
    let lock = lock(&save.location).await;
    match (HudiTable::find(&save.location, &storage).await?, save.mode) {
        (Some(_), SaveMode::Ignore) => Ok(vec![]),
        (Some(_), SaveMode::ErrorIfExists) => {
            Err(SparkError::new("PATH_ALREADY_EXISTS", [("outputPath", save.location.to_string())]))
        }
        (Some(table), mode) => into_table(st, table, &save, &options, mode == SaveMode::Overwrite, lock).await,
        (None, _) => into_new_table(st, &save, &options, &storage, lock).await,
    }
}

async fn into_table(
    st: &Statement,
    table: HudiTable,
    save: &SaveAt<'_>,
    options: &WriteOptions<'_>,
    overwrites: bool,
    lock: TableLock,
) -> Result<Observed> {
    let definition = table.definition()?;
    check_keys(&definition)?;
    options.check(&definition, save.partition_by)?;
    let asked = operation_of(options, &definition)?;
    // As Hudi does it, all rows go where a mode says so, but in one step.
    let operation = if overwrites && !asked.replaces() { Operation::InsertOverwriteTable } else { asked };
    check_operation(!definition.record_keys.is_empty(), operation)?;
    let schema = match (table.record_schema().await?, overwrites && !asked.replaces()) {
        (Some(schema), false) if operation == Operation::Delete => schema,
        (Some(schema), false) => schema_with(&schema, &save.rows.schema)?,
        _ => new_schema(&definition.name, &save.rows.schema)?,
    };
    let rows = aligned(st, &definition.name, &schema, &save.rows, operation)?;
    let combines = options.combines_inserts() || overwrites && asked == Operation::Upsert;
    let replaced = Replaced::of(operation);
    let codec = options.codec();
    let work = Work::Save { rows, combines, replaced };
    let removes_failed = options.removes_failed();
    Change { table, is_new: false, operation, schema, codec, removes_failed, work, lock }.run(st).await
}

/// What the options ask for; without them rows with keys take the place of those with the same keys.
fn operation_of(options: &WriteOptions<'_>, table: &HudiDefinition) -> Result<Operation> {
    let usual = if table.record_keys.is_empty() { Operation::Insert } else { Operation::Upsert };
    Ok(options.operation()?.unwrap_or(usual))
}

async fn into_new_table(
    st: &Statement,
    save: &SaveAt<'_>,
    options: &WriteOptions<'_>,
    storage: &Storage,
    lock: TableLock,
) -> Result<Observed> {
    let definition = options.definition(save.name, save.partition_by)?;
    let operation = operation_of(options, &definition)?;
    if operation == Operation::Delete {
        return Err(illegal(&format!("hoodie table at {} does not exist", save.location)));
    }
    check_operation(!definition.record_keys.is_empty(), operation)?;
    let schema = new_schema(&definition.name, &save.rows.schema)?;
    let rows = aligned(st, &definition.name, &schema, &save.rows, operation)?;
    let table = make(&save.location, storage, &definition, &schema).await?;
    let (combines, codec, replaced) = (options.combines_inserts(), options.codec(), Replaced::of(operation));
    let work = Work::Save { rows, combines, replaced };
    let removes_failed = options.removes_failed();
    Change { table, is_new: true, operation, schema, codec, removes_failed, work, lock }.run(st).await
}

/// Makes a table without rows in a place that is empty.
pub async fn make(
    location: &Location,
    storage: &Storage,
    definition: &HudiDefinition,
    schema: &str,
) -> Result<HudiTable> {
    check_keys(definition)?;
    check_columns(definition, schema)?;
    let files = storage.file_system(location)?;
    if files.status(location).await?.is_some_and(|status| status.is_directory)
        && !files.files_below(location).await?.is_empty()
    {
        return Err(illegal(&format!("the place of the new Hudi table, {location}, has other files")));
    }
    HudiTable::create(location, storage, definition, schema).await
}

/// Errors where a column that makes keys, paths or the order of records is not there.
fn check_columns(definition: &HudiDefinition, schema: &str) -> Result<()> {
    let columns = HudiTable::columns_of(schema)?;
    let needed = definition.record_keys.iter().chain(&definition.partition_by).chain(&definition.ordering);
    for name in needed {
        if !columns.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name)) {
            return Err(illegal(&format!("the field {name} of a Hudi table is none of its columns")));
        }
    }
    Ok(())
}
