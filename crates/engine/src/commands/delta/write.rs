//! Appending to and overwriting Delta tables: `df.write`, `df.writeTo`, INSERT.
use std::collections::{BTreeMap, HashMap, HashSet};

use firesteel_analyze::{AnalyzedPlan, declared_schema};
use firesteel_functions::cast::{CastMode, cast};
use firesteel_lake::delta::conflict::ReadSet;
use firesteel_lake::delta::{Add, DeltaTable, Operation, TableMetadata, Transaction};
use firesteel_plan::command::SaveMode;
use firesteel_plan::relation::Options;
use firesteel_plan::{DataType, Expr, Result, SparkError, StructField, StructType};
use firesteel_storage::Location;

use super::rows::{ExtraCheck, RowTarget, checked, write_checked};
use super::{Found, rewrite};
use crate::commands::Statement;
use crate::commands::write::Observed;
use crate::delta::{option, without_defaults};

/// Rows for a table, and how they go into it.
pub struct DeltaSave {
    pub rows: AnalyzedPlan,
    pub mode: SaveMode,
    /// `None`: not given
    pub partition_by: Option<Vec<String>>,
    pub options: Options,
    /// `INSERT INTO … PARTITION (p = 1)` overwrites what these say.
    pub static_partitions: Vec<(String, Option<String>)>,
    /// The condition of `INSERT … REPLACE WHERE` and of `df.writeTo(…).overwrite(condition)`
    pub replace_where: Option<Expr>,
    /// `df.writeTo(…).overwritePartitions()`
    pub overwrite_partitions: bool,
    /// Columns may be added: `WITH SCHEMA EVOLUTION`, `mergeSchema`.
    pub with_schema_evolution: bool,
}

impl DeltaSave {
    pub fn new(rows: AnalyzedPlan, mode: SaveMode, options: Options) -> Self {
        Self {
            rows,
            mode,
            partition_by: None,
            options,
            static_partitions: vec![],
            replace_where: None,
            overwrite_partitions: false,
            with_schema_evolution: false,
        }
    }
}

/// What is replaced.
enum Overwrite {
    Nothing,
    Everything,
    /// The partitions that get rows
    Written,
    /// The files of partitions with these values
    Partitions(Vec<(String, Option<String>)>),
    /// The rows of which a condition is true; its text
    Where(Expr, String),
}

fn flag(st: &Statement, options: &Options, name: &str, key: &str) -> Result<bool> {
    match option(options, name).or_else(|| st.context.eval.get(key)) {
        None => Ok(false),
        Some(text) => match text.to_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(SparkError::new(
                "DELTA_ILLEGAL_OPTION",
                [("input", text), ("name", name), ("explain", "must be 'true' or 'false'")],
            )),
        },
    }
}

/// `df.write.format("delta").save(path)`
pub async fn save(st: &Statement, path: &str, mut save: DeltaSave) -> Result<Observed> {
    let location = Location::parse(path)?;
    let existing = DeltaTable::find(&location, &st.context.storage().with_options(&save.options)).await?;
    match (&existing, save.mode) {
        (Some(_), SaveMode::Ignore) => Ok(vec![]),
        (Some(_), SaveMode::ErrorIfExists) => {
            Err(SparkError::new("DELTA_PATH_EXISTS", [("path", location.to_string())]))
        }
        (Some(delta), _) => {
            let found = Found::new(None, delta.clone());
            into_table(st, &found, save).await
        }
        (None, _) => {
            super::create::refuse_other_files(st, &location, None).await?;
            save.partition_by.get_or_insert_default();
            let metadata = new_metadata(&save, BTreeMap::new())?;
            create_with(st, &location, metadata, save, Operation::new("WRITE"), None).await
        }
    }
}

/// The metadata of a table made of rows.
fn new_metadata(save: &DeltaSave, configuration: BTreeMap<String, String>) -> Result<TableMetadata> {
    let schema = without_defaults(&declared_schema(&save.rows.schema).storable().as_nullable());
    let partitions = save.partition_by.clone().unwrap_or_default();
    super::create::metadata_of(schema, partitions, configuration)
}

/// Writes rows as a new table, or in place of `replaced`.
pub async fn create_with(
    st: &Statement,
    location: &Location,
    metadata: TableMetadata,
    save: DeltaSave,
    operation: Operation,
    replaced: Option<DeltaTable>,
) -> Result<Observed> {
    let storage = st.context.storage().with_options(&save.options);
    let target = RowTarget { location, storage: storage.clone(), metadata: &metadata, options: save.options.clone() };
    let rows = by_name(st, &metadata.schema, &save.rows, true)?;
    let rows = checked(st, &metadata, rows, None, vec![]).await?;
    let (written, observed) = write_checked(st, &target, rows).await?;
    let mut transaction = match &replaced {
        Some(table) => Transaction::on(table),
        None => Transaction::create(location.clone(), storage),
    };
    if let Some(table) = &replaced {
        transaction.remove(&table.files()?);
        transaction.reads = ReadSet::WholeTable;
    }
    transaction.set_metadata(metadata.clone())?;
    let operation = operation
        .with("mode", mode_text(save.mode))
        .with("partitionBy", json_list(&metadata.partition_columns))
        .metric("numFiles", written.adds.len())
        .metric("numOutputRows", written.rows)
        .metric("numOutputBytes", written.bytes);
    transaction.adds.clone_from(&written.adds);
    commit(st, transaction, with_user_metadata(st, operation, &save.options), written).await?;
    st.session().cache.invalidate_relations();
    Ok(observed)
}

/// Commits; files of a transaction that fails are removed.
async fn commit(
    st: &Statement,
    transaction: Transaction,
    operation: Operation,
    written: firesteel_lake::delta::WrittenFiles,
) -> Result<u64> {
    let (location, storage) = (transaction.location.clone(), transaction.storage.clone());
    if st.context.cancel.is_cancelled() {
        written.discard(&location, &storage).await;
        return Err(crate::execution::cancelled());
    }
    match transaction.commit(operation).await {
        Ok(done) => Ok(done.version),
        Err(error) => {
            written.discard(&location, &storage).await;
            Err(error)
        }
    }
}

pub fn with_user_metadata(st: &Statement, mut operation: Operation, options: &Options) -> Operation {
    let key = "spark.databricks.delta.commitInfo.userMetadata";
    operation.user_metadata = option(options, "userMetadata").or_else(|| st.context.eval.get(key)).map(str::to_string);
    operation
}

pub fn mode_text(mode: SaveMode) -> &'static str {
    match mode {
        SaveMode::Append => "Append",
        SaveMode::Overwrite => "Overwrite",
        SaveMode::ErrorIfExists => "ErrorIfExists",
        SaveMode::Ignore => "Ignore",
    }
}

/// `["a","b"]`
pub fn json_list(names: &[String]) -> String {
    serde_json::Value::from(names.to_vec()).to_string()
}

/// Writes rows into a table. Columns are matched by name; their types must be the table's, or fit in them.
pub async fn into_table(st: &Statement, found: &Found, save: DeltaSave) -> Result<Observed> {
    let table = &found.delta;
    table.check_writable()?;
    let application = application(st, &save.options)?;
    if let Some((id, version)) = &application
        && table.application_version(id).await?.is_some_and(|done| done >= *version)
    {
        return Ok(vec![]);
    }
    let overwrites = save.mode == SaveMode::Overwrite;
    let overwrite_schema = overwrites && flag(st, &save.options, "overwriteSchema", "")?;
    let merge_key = "spark.databricks.delta.schema.autoMerge.enabled";
    let merge_schema = save.with_schema_evolution || flag(st, &save.options, "mergeSchema", merge_key)?;
    let overwrite = overwrite_of(st, found, &save)?;
    let mut metadata = table.metadata().clone();
    if overwrite_schema {
        if matches!(overwrite, Overwrite::Where(..)) {
            return Err(SparkError::of("DELTA_REPLACE_WHERE_IN_OVERWRITE"));
        }
        let new = new_metadata(&save, metadata.configuration.clone())?;
        metadata.schema = with_old_comments(&new.schema, &metadata.schema);
        if save.partition_by.is_some() {
            metadata.partition_columns = new.partition_columns;
        } else {
            metadata
                .partition_columns
                .retain(|c| metadata.schema.fields.iter().any(|f| f.name.eq_ignore_ascii_case(c)));
        }
    } else {
        if let Some(partitions) = &save.partition_by
            && !same_names(partitions, &metadata.partition_columns)
            && !(partitions.is_empty())
        {
            let parameters =
                [("provided", json_list(partitions)), ("original", json_list(&metadata.partition_columns))];
            return Err(SparkError::new("DELTA_METADATA_MISMATCH.PARTITIONING_MISMATCH", parameters));
        }
        metadata.schema = merged_schema(&metadata, &save.rows, merge_schema)?;
    }
    metadata.map_columns(Some(table.metadata()))?;
    let mut checks = vec![];
    if let Overwrite::Where(condition, text) = &overwrite
        && st.context.eval.flag("spark.databricks.delta.replaceWhere.constraintCheck.enabled", true)
    {
        let parameters = [("replaceWhere", text.clone()), ("message", "a row is outside of it".to_string())];
        let error = SparkError::new("DELTA_REPLACE_WHERE_MISMATCH", parameters);
        checks.push(ExtraCheck { expr: condition.clone(), error });
    }
    let rows = by_name(st, &metadata.schema, &save.rows, false)?;
    let rows = checked(st, &metadata, rows, None, checks).await?;
    let target = RowTarget {
        location: table.location(),
        storage: table.storage().clone(),
        metadata: &metadata,
        options: save.options.clone(),
    };
    let (mut written, observed) = write_checked(st, &target, rows).await?;
    let mut transaction = Transaction::on(table);
    if metadata != *table.metadata() {
        transaction.set_metadata(metadata.clone())?;
    }
    transaction.application = application;
    let mut operation = Operation::new("WRITE")
        .with("mode", mode_text(save.mode))
        .with("partitionBy", json_list(&metadata.partition_columns));
    match overwrite {
        Overwrite::Nothing => {}
        Overwrite::Everything => {
            transaction.remove(&table.files()?);
            transaction.reads = ReadSet::WholeTable;
        }
        Overwrite::Written => {
            let partitions: Vec<HashMap<String, Option<String>>> =
                written.adds.iter().map(|add| add.partition_values.clone()).collect();
            let gone: Vec<Add> =
                table.files()?.into_iter().filter(|add| partitions.contains(&add.partition_values)).collect();
            transaction.remove(&gone);
            transaction.reads = ReadSet::Partitions(partitions);
            operation = operation.with("isDynamicPartitionOverwrite", "true");
        }
        Overwrite::Partitions(values) => {
            let stored = values.into_iter().map(|(column, value)| (metadata.stored_name(&column), value));
            let wanted: HashMap<String, Option<String>> = stored.collect();
            let is_in =
                |add: &&Add| wanted.iter().all(|(column, value)| add.partition_values.get(column) == Some(value));
            let gone: Vec<Add> = table.files()?.iter().filter(is_in).cloned().collect();
            transaction.remove(&gone);
            transaction.reads = ReadSet::Partitions(vec![wanted]);
        }
        Overwrite::Where(condition, text) => {
            operation = operation.with("predicate", serde_json::Value::from(vec![text]).to_string());
            let deleted = rewrite::without(st, found, None, Some(&condition)).await?;
            transaction.remove(&deleted.removed);
            transaction.changes = deleted.changes;
            transaction.reads = deleted.reads;
            written.adds.extend(deleted.written.adds);
        }
    }
    operation = operation
        .metric("numFiles", written.adds.len())
        .metric("numOutputRows", written.rows)
        .metric("numOutputBytes", written.bytes);
    if !transaction.removes.is_empty() {
        operation = operation.metric("numRemovedFiles", transaction.removes.len());
    }
    transaction.adds.clone_from(&written.adds);
    commit(st, transaction, with_user_metadata(st, operation, &save.options), written).await?;
    if metadata != *table.metadata() {
        super::record(st, found, &metadata).await?;
    }
    found.invalidate(st);
    Ok(observed)
}

/// `txnAppId` and `txnVersion`: a version that was written already is not written again.
fn application(st: &Statement, options: &Options) -> Result<Option<(String, i64)>> {
    let setting = |name: &str| {
        let key = format!("spark.databricks.delta.write.{name}");
        option(options, name).map(str::to_string).or_else(|| st.context.eval.get(&key).map(str::to_string))
    };
    match (setting("txnAppId"), setting("txnVersion")) {
        (None, None) => Ok(None),
        (Some(id), Some(version)) => match version.parse() {
            Ok(version) => Ok(Some((id, version))),
            Err(_) => Err(invalid_idempotent()),
        },
        _ => Err(invalid_idempotent()),
    }
}

fn invalid_idempotent() -> SparkError {
    let reason = "txnAppId and txnVersion are set together, and txnVersion is a number";
    SparkError::new("DELTA_INVALID_IDEMPOTENT_WRITES_OPTIONS", [("reason", reason)])
}

fn overwrite_of(st: &Statement, found: &Found, save: &DeltaSave) -> Result<Overwrite> {
    if save.mode != SaveMode::Overwrite {
        return Ok(Overwrite::Nothing);
    }
    let condition = match (&save.replace_where, option(&save.options, "replaceWhere")) {
        (Some(condition), _) => {
            Some((condition.clone(), condition.origin.as_ref().map_or_else(String::new, |o| o.fragment())))
        }
        (None, Some(text)) => {
            let condition = firesteel_sql::parse_expression(text, &st.session().parse_options())?;
            Some((condition, text.to_string()))
        }
        (None, None) => None,
    };
    let mode = option(&save.options, "partitionOverwriteMode");
    let mode = mode.or_else(|| st.context.eval.get("spark.sql.sources.partitionOverwriteMode"));
    let is_partitioned = !found.delta.metadata().partition_columns.is_empty();
    let dynamic = save.overwrite_partitions || mode.is_some_and(|mode| mode.eq_ignore_ascii_case("dynamic"));
    Ok(match condition {
        Some(_) if option(&save.options, "partitionOverwriteMode").is_some() && dynamic => {
            return Err(SparkError::of("DELTA_REPLACE_WHERE_WITH_DYNAMIC_PARTITION_OVERWRITE"));
        }
        Some((condition, text)) => Overwrite::Where(condition, text),
        None if dynamic && is_partitioned => Overwrite::Written,
        None if !save.static_partitions.is_empty() => Overwrite::Partitions(save.static_partitions.clone()),
        None => Overwrite::Everything,
    })
}

fn same_names(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.eq_ignore_ascii_case(y))
}

/// Comments of columns that keep their name stay.
fn with_old_comments(new: &StructType, old: &StructType) -> StructType {
    let field = |field: &StructField| {
        let mut field = field.clone();
        if field.metadata.is_empty()
            && let Some(known) = old.fields.iter().find(|f| f.name == field.name)
            && let Some(comment) = known.metadata.get("comment")
        {
            field.metadata.insert("comment".into(), comment.clone());
        }
        field
    };
    StructType::new(new.fields.iter().map(field).collect())
}

/// The table's schema, with columns that only the rows have where that is wanted.
fn merged_schema(metadata: &TableMetadata, rows: &AnalyzedPlan, merges: bool) -> Result<StructType> {
    let written = declared_schema(&rows.schema).storable();
    let is_known = |f: &&StructField| metadata.schema.fields.iter().any(|t| t.name.eq_ignore_ascii_case(&f.name));
    let mut seen = HashSet::new();
    if let Some(twice) = written.fields.iter().find(|f| !seen.insert(f.name.to_lowercase())) {
        let parameters = [("coltype", "the data to save"), ("duplicateCols", twice.name.as_str())];
        return Err(SparkError::new("DELTA_DUPLICATE_COLUMNS_FOUND", parameters));
    }
    let mut fields = vec![];
    for field in metadata.schema.fields.iter() {
        let found = written.fields.iter().find(|w| w.name.eq_ignore_ascii_case(&field.name));
        fields.push(match found {
            None => field.clone(),
            Some(new) => {
                let data_type = merged_type(&field.data_type, &new.data_type, merges).map_err(|e| match e {
                    Mismatch::Types => SparkError::new(
                        "DELTA_FAILED_TO_MERGE_FIELDS",
                        [("currentField", field.name.as_str()), ("updateField", new.name.as_str())],
                    ),
                    Mismatch::Fields => mismatch(metadata, &written),
                })?;
                StructField { data_type, ..field.clone() }
            }
        });
    }
    let added: Vec<StructField> = written.fields.iter().filter(|f| !is_known(f)).cloned().collect();
    if !added.is_empty() && !merges {
        return Err(mismatch(metadata, &written));
    }
    let nullable = added.into_iter().map(|f| StructField { nullable: true, data_type: f.data_type.as_nullable(), ..f });
    fields.extend(nullable);
    Ok(StructType::new(fields))
}

fn mismatch(metadata: &TableMetadata, written: &StructType) -> SparkError {
    let parameters = [
        ("id", metadata.id.clone()),
        ("tableSchema", metadata.schema.tree_string(None)),
        ("dataSchema", written.tree_string(None)),
    ];
    SparkError::new("DELTA_METADATA_MISMATCH.SCHEMA_MISMATCH", parameters)
}

enum Mismatch {
    Types,
    /// A struct has fields that the table's lacks.
    Fields,
}

/// The type of a table's column after rows with a column of another type: narrower integers fit, structs may grow.
fn merged_type(table: &DataType, rows: &DataType, merges: bool) -> std::result::Result<DataType, Mismatch> {
    Ok(match (table, rows) {
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut fields = vec![];
            for field in a.fields.iter() {
                let found = b.fields.iter().find(|other| other.name.eq_ignore_ascii_case(&field.name));
                let data_type = match found {
                    Some(other) => merged_type(&field.data_type, &other.data_type, merges)?,
                    None => field.data_type.clone(),
                };
                fields.push(StructField { data_type, ..field.clone() });
            }
            let is_new = |f: &&StructField| !a.fields.iter().any(|known| known.name.eq_ignore_ascii_case(&f.name));
            let added: Vec<_> = b.fields.iter().filter(is_new).cloned().collect();
            if !added.is_empty() && !merges {
                return Err(Mismatch::Fields);
            }
            fields.extend(added);
            DataType::structure(fields)
        }
        (DataType::Array(a, nullable), DataType::Array(b, _)) => DataType::array(merged_type(a, b, merges)?, *nullable),
        (DataType::Map(a, b, nullable), DataType::Map(c, d, _)) => {
            DataType::map(merged_type(a, c, merges)?, merged_type(b, d, merges)?, *nullable)
        }
        (DataType::Short, DataType::Byte) | (DataType::Integer, DataType::Byte | DataType::Short) => table.clone(),
        (_, DataType::Null) => table.clone(),
        (DataType::Char(_) | DataType::Varchar(_), other) if other.is_string() => table.clone(),
        (a, b) if a.same_type(b) => a.clone(),
        _ => return Err(Mismatch::Types),
    })
}

/// The rows' columns as the columns of `schema` of the same name; those that the rows lack stay away.
fn by_name(st: &Statement, schema: &StructType, rows: &AnalyzedPlan, is_new: bool) -> Result<AnalyzedPlan> {
    let mut columns = vec![];
    for field in schema.fields.iter() {
        let Some(attribute) = rows.output.iter().find(|a| a.name.eq_ignore_ascii_case(&field.name)) else { continue };
        let data_type = field.data_type.as_nullable();
        let typed =
            if attribute.data_type.as_nullable() == data_type || is_new && attribute.data_type == field.data_type {
                attribute.typed()
            } else {
                cast(attribute.typed(), &data_type, CastMode::Ansi, &st.context.eval)?
            };
        columns.push((typed, StructField { data_type, ..field.clone() }));
    }
    crate::commands::write::project(rows, columns)
}
