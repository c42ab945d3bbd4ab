//! OPTIMIZE, VACUUM, RESTORE, CONVERT TO DELTA.
use std::collections::BTreeMap;

use datafusion::common::ScalarValue;
use firesteel_lake::delta::conflict::ReadSet;
use firesteel_lake::delta::{Add, DeltaTable, Operation, Transaction, VacuumRequest, WrittenFiles, describe_files};
use firesteel_lake::{ScanRequest, SourceOptions, scan};
use firesteel_plan::relation::TimeTravel;
use firesteel_plan::statement::DeltaTarget;
use firesteel_plan::{DataType, Expr, Relation, RelationKind, Result, SparkError, StructField, StructType};
use firesteel_storage::Location;

use super::Found;
use super::rewrite::{commit, own_columns, predicate_text, rows_of, target_of};
use super::rows::{CheckedRows, write_checked};
use crate::commands::{Answer, Statement};
use crate::delta::is_delta_table;
use crate::execution::Execution;
use crate::names::quote_id;
use crate::rows::{Cell, Rows};

/// Files below this many bytes are put together (`spark.databricks.delta.optimize.minFileSize`).
const MIN_FILE_BYTES: i64 = 1 << 30;

pub async fn vacuum(st: &Statement, found: &Found, retain: Option<f64>, dry_run: bool, lite: bool) -> Answer {
    found.delta.check_writable()?;
    let check = "spark.databricks.delta.retentionDurationCheck.enabled";
    let request = VacuumRequest { retain, dry_run, lite, check_retention: st.context.eval.flag(check, true) };
    let removed = firesteel_lake::delta::vacuum(&found.delta, &request).await?;
    let path = |name: &String| vec![Cell::from(found.delta.location().join(name).uri())];
    let root = vec![vec![Cell::from(found.delta.location().uri())]];
    let rows = if dry_run { removed.iter().map(path).collect() } else { root };
    Rows::texts(&["path"]).with(rows).into_execution()
}

/// Puts the small files of each partition together; with columns to Z-order by, writes all rows anew in that order.
pub async fn optimize(st: &Statement, found: &Found, condition: Option<Expr>, z_order: Vec<Vec<String>>) -> Answer {
    found.delta.check_writable()?;
    let metadata = found.delta.metadata().clone();
    for column in &z_order {
        let name = column.join(".");
        let first = column.first().map(String::as_str).unwrap_or_default();
        if !metadata.schema.fields.iter().any(|f| f.name.eq_ignore_ascii_case(first)) {
            return Err(SparkError::new("DELTA_ZORDERING_COLUMN_DOES_NOT_EXIST", [("columnName", name)]));
        }
        if metadata.is_partition_column(&name) {
            return Err(SparkError::new("DELTA_ZORDERING_ON_PARTITION_COLUMN", [("colName", name)]));
        }
    }
    let files = candidates(st, found, condition.as_ref()).await?;
    let limit = st.context.eval.get("spark.databricks.delta.optimize.minFileSize").and_then(|text| text.parse().ok());
    let limit: i64 = limit.unwrap_or(MIN_FILE_BYTES);
    let mut bins: BTreeMap<Vec<(String, Option<String>)>, Vec<Add>> = BTreeMap::new();
    for add in files {
        if add.size < limit || !z_order.is_empty() {
            let mut key: Vec<_> = add.partition_values.clone().into_iter().collect();
            key.sort();
            bins.entry(key).or_default().push(add);
        }
    }
    // One file alone is as compact as it gets.
    bins.retain(|_, files| files.len() > 1 || !z_order.is_empty());
    let old: Vec<Add> = bins.into_values().flatten().collect();
    let mut written = WrittenFiles::default();
    if !old.is_empty() {
        let rows = compacted(rows_of(st, found, &old, None)?, &metadata.partition_columns, &z_order);
        let analyzed = st.analyze(&rows.project(own_columns(found, None))).await?;
        let mut target = target_of(found, &metadata);
        if let Some(rows) = rows_per_file(st, &metadata.configuration, &old) {
            target.options.insert("maxRecordsPerFile".into(), rows.to_string());
        }
        let rows = CheckedRows { analyzed, checks: vec![], has_actions: false };
        written = write_checked(st, &target, rows).await?.0;
        let mut transaction = Transaction::on(&found.delta);
        transaction.keeps_rows = true;
        transaction.remove(&old);
        for add in &mut written.adds {
            add.data_change = false;
        }
        transaction.adds.clone_from(&written.adds);
        let columns: Vec<String> = z_order.iter().map(|column| column.join(".")).collect();
        let operation = Operation::new("OPTIMIZE")
            .with("predicate", predicate_text(condition.as_ref()))
            .with("zOrderBy", serde_json::Value::from(columns).to_string())
            .metric("numRemovedFiles", old.len())
            .metric("numAddedFiles", written.adds.len())
            .metric("numRemovedBytes", old.iter().map(|add| add.size).sum::<i64>())
            .metric("numAddedBytes", written.bytes);
        let copy = WrittenFiles { adds: written.adds.clone(), ..WrittenFiles::default() };
        commit(st, found, transaction, operation, copy).await?;
    }
    metrics(found, &old, &written)
}

/// How many rows make a file of the wanted size, by the rows that there are.
fn rows_per_file(st: &Statement, configuration: &BTreeMap<String, String>, files: &[Add]) -> Option<u64> {
    let setting = st.context.eval.get("spark.databricks.delta.optimize.maxFileSize");
    let wanted = setting.or_else(|| configuration.get("delta.targetFileSize").map(String::as_str));
    let wanted = wanted.and_then(firesteel_lake::parse_bytes).unwrap_or(MIN_FILE_BYTES.unsigned_abs());
    let rows: u64 = files.iter().map(super::rewrite::records).sum::<Option<u64>>()?;
    let bytes: u64 = files.iter().map(|add| add.size.unsigned_abs()).sum();
    (bytes > wanted)
        .then(|| (u128::from(rows) * u128::from(wanted) / u128::from(bytes.max(1))).max(1))
        .and_then(|rows| u64::try_from(rows).ok())
}

/// The files that a condition on partition columns names.
async fn candidates(st: &Statement, found: &Found, condition: Option<&Expr>) -> Result<Vec<Add>> {
    let files = found.delta.files()?;
    let Some(condition) = condition else { return Ok(files) };
    let rows = rows_of(st, found, &files, None)?.filter(condition.clone());
    st.analyze(&rows).await?;
    let metadata = found.delta.metadata();
    // The condition may name partition columns alone: then it is the same for all rows of a file.
    let partitions: Vec<StructField> =
        metadata.schema.fields.iter().filter(|f| metadata.is_partition_column(&f.name)).cloned().collect();
    let names: Vec<Expr> =
        partitions.iter().map(|f| Expr::name(&f.name)).chain([Expr::name(crate::commands::row_level::FILE)]).collect();
    let alone = rows_of(st, found, &files, None)?.project(names).filter(condition.clone());
    if let Err(error) = st.analyze(&alone).await {
        let text = super::rewrite::text_of(condition);
        let columns = metadata.partition_columns.join(", ");
        let parameters = [("columnName", text), ("columnList", columns)];
        let refused = SparkError::new("DELTA_NON_PARTITION_COLUMN_REFERENCE", parameters);
        return Err(if error.is("UNRESOLVED_COLUMN") { refused } else { error });
    }
    let counts = crate::commands::row_level::count_by_file(st, rows).await?;
    Ok(counts.keys().filter_map(|index| files.get(*index).cloned()).collect())
}

/// Rows in few partitions: by the partition columns, or in Z-order.
fn compacted(rows: Relation, partitions: &[String], z_order: &[Vec<String>]) -> Relation {
    let by: Vec<Expr> = partitions.iter().map(Expr::name).collect();
    if z_order.is_empty() {
        return match by.is_empty() {
            true => {
                Relation::new(RelationKind::Repartition { input: Box::new(rows), num_partitions: 1, shuffle: false })
            }
            false => Relation::new(RelationKind::RepartitionByExpression {
                input: Box::new(rows),
                expressions: by,
                num_partitions: None,
            }),
        };
    }
    super::zorder::ordered(rows, partitions, z_order)
}

fn metrics(found: &Found, old: &[Add], new: &WrittenFiles) -> Answer {
    let files = |name: &str| StructField::new(name, DataType::Long, true);
    let metrics = DataType::structure(vec![
        files("numFilesAdded"),
        files("numFilesRemoved"),
        files("filesAddedBytes"),
        files("filesRemovedBytes"),
        files("totalConsideredFiles"),
    ]);
    let removed: i64 = old.iter().map(|add| add.size).sum();
    let long = |value: usize| ScalarValue::Int64(i64::try_from(value).ok());
    let values = [
        long(new.adds.len()),
        long(old.len()),
        ScalarValue::Int64(i64::try_from(new.bytes).ok()),
        ScalarValue::Int64(Some(removed)),
        long(found.delta.files()?.len()),
    ];
    let schema = StructType::new(vec![
        StructField::new("path", DataType::STRING, true),
        StructField::new("metrics", metrics, true),
    ]);
    let arrow = std::sync::Arc::new(firesteel_functions::types::to_arrow_schema(&schema));
    let arrow::datatypes::DataType::Struct(fields) = arrow.field(1).data_type().clone() else {
        return Err(SparkError::internal("the metrics are no struct"));
    };
    let arrays = values.iter().map(|value| value.to_array_of_size(1)).collect::<Result<Vec<_>, _>>();
    let arrays = arrays.map_err(crate::error::from_datafusion)?;
    let path = arrow::array::StringArray::from(vec![found.delta.location().uri()]);
    let columns: Vec<arrow::array::ArrayRef> =
        vec![std::sync::Arc::new(path), std::sync::Arc::new(arrow::array::StructArray::new(fields, arrays, None))];
    let batch = arrow::array::RecordBatch::try_new(std::sync::Arc::clone(&arrow), columns);
    let batch = batch.map_err(crate::error::from_arrow)?;
    Ok(Execution::of_batches(schema, arrow, vec![batch]))
}

/// RESTORE TABLE: the files of an earlier version are the table's again.
pub async fn restore(st: &Statement, found: &Found, to: TimeTravel) -> Answer {
    found.delta.check_writable()?;
    let context = st.context.clone();
    let travel = to.clone();
    let version = tokio::task::spawn_blocking(move || context.delta_version(&travel)).await;
    let version = version.map_err(|e| SparkError::internal("the analysis broke off").with_cause(e))??;
    let (mut transaction, target) = found.delta.restore_to(&version).await.map_err(|error| {
        if !error.is("DELTA_VERSION_NOT_FOUND") {
            return error;
        }
        let of =
            |key: &str| error.parameters().iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()).unwrap_or_default();
        let parameters =
            [("version", of("userVersion")), ("startVersion", of("earliest")), ("endVersion", of("latest"))];
        SparkError::new("DELTA_CANNOT_RESTORE_TABLE_VERSION", parameters)
    })?;
    let files = st.context.storage().file_system(found.delta.location())?;
    for add in &transaction.adds {
        let place = found.delta.file_location(&add.path)?;
        if files.status(&place).await?.is_none() {
            return Err(SparkError::new("FAILED_READ_FILE.FILE_NOT_EXIST", [("path", place.to_string())]));
        }
    }
    let bytes = |all: &[Add]| all.iter().map(|add| add.size).sum::<i64>();
    let restored = bytes(&transaction.adds);
    let removed: i64 = transaction.removes.iter().filter_map(|remove| remove.size).sum();
    let all = target.files()?;
    let counts = [
        ("table_size_after_restore", bytes(&all)),
        ("num_of_files_after_restore", i64::try_from(all.len()).unwrap_or(i64::MAX)),
        ("num_removed_files", i64::try_from(transaction.removes.len()).unwrap_or(i64::MAX)),
        ("num_restored_files", i64::try_from(transaction.adds.len()).unwrap_or(i64::MAX)),
        ("removed_files_size", removed),
        ("restored_files_size", restored),
    ];
    let mut operation = Operation::new("RESTORE");
    operation = match &to {
        TimeTravel::Version(_) => operation.with("version", target.version().to_string()).with("timestamp", "null"),
        TimeTravel::Timestamp(expr) => {
            operation.with("version", "null").with("timestamp", super::rewrite::text_of(expr))
        }
    };
    operation = operation
        .metric("numRestoredFiles", transaction.adds.len())
        .metric("numRemovedFiles", transaction.removes.len());
    transaction.reads = ReadSet::WholeTable;
    commit(st, found, transaction, operation, WrittenFiles::default()).await?;
    let columns: Vec<_> = counts.iter().map(|(name, _)| (*name, DataType::Long, true)).collect();
    Rows::new(&columns).with([counts.iter().map(|(_, count)| Cell::from(*count)).collect()]).into_execution()
}

/// CONVERT TO DELTA: Parquet files get a log.
pub async fn convert(
    st: &Statement,
    target: DeltaTarget,
    partition_schema: Option<String>,
    statistics: bool,
) -> Answer {
    let mut catalog_table = None;
    let location = match &target {
        DeltaTarget::Path(path) => Location::parse(path)?,
        DeltaTarget::Name(name) => {
            let parts = st.name(name).await?;
            match parts.as_slice() {
                [format, path] if format.eq_ignore_ascii_case("parquet") || format.eq_ignore_ascii_case("delta") => {
                    Location::parse(path)?
                }
                _ => {
                    let table = st.existing_non_view(name, "CONVERT TO DELTA").await?;
                    let provider = table.provider.clone().unwrap_or_default();
                    if !provider.eq_ignore_ascii_case("parquet") && !is_delta_table(&table) {
                        let parameters = [("sourceName", provider), ("tableId", quote_id(&table.id))];
                        return Err(SparkError::new("DELTA_CONVERT_NON_PARQUET_TABLE", parameters));
                    }
                    let place = Location::parse(table.location.as_deref().unwrap_or_default())?;
                    catalog_table = Some(table);
                    place
                }
            }
        }
    };
    if !DeltaTable::exists(&location, &st.context.storage()).await? {
        let partitions = match (&partition_schema, &catalog_table) {
            (Some(text), _) => Some(firesteel_sql::parse_table_schema(text, &st.session().parse_options())?),
            (None, Some(table)) => Some(table.partition_schema()),
            (None, None) => None,
        };
        convert_files(st, &location, partitions, statistics).await?;
    }
    if let Some(mut table) = catalog_table {
        let id = table.id.clone();
        table.provider = Some("delta".into());
        table.tracks_partitions = false;
        st.catalog().create_or_replace_table(table).await?;
        st.session().cache.invalidate_table(&id);
    }
    st.session().cache.invalidate_relations();
    Ok(Execution::empty())
}

async fn convert_files(
    st: &Statement,
    location: &Location,
    partitions: Option<StructType>,
    statistics: bool,
) -> Result<()> {
    let request = ScanRequest {
        format: "parquet".into(),
        paths: vec![location.to_string()],
        options: SourceOptions::default(),
        conf: st.context.delta_conf(),
        storage: st.context.storage(),
        ..ScanRequest::default()
    };
    let found = scan(request).await?;
    let found_partitions = found.partition_schema().clone();
    let given = partitions.unwrap_or_default();
    let names = |schema: &StructType| schema.fields.iter().map(|f| f.name.to_lowercase()).collect::<Vec<_>>();
    if names(&given) != names(&found_partitions) {
        let parameters =
            [("partitionColumns", names(&found_partitions).join(", ")), ("given", names(&given).join(", "))];
        return Err(SparkError::new("DELTA_CONVERSION_NO_PARTITION_FOUND", parameters));
    }
    let typed =
        |f: &StructField| given.fields.iter().find(|g| g.name.eq_ignore_ascii_case(&f.name)).unwrap_or(f).clone();
    let schema = StructType::new(found.schema().fields.iter().map(typed).collect());
    let partition_columns = found_partitions.fields.iter().map(|f| f.name.clone()).collect();
    let metadata = super::create::metadata_of(schema, partition_columns, BTreeMap::new())?;
    let mut transaction = Transaction::create(location.clone(), st.context.storage());
    transaction.adds = describe_files(&found, location, &metadata, statistics).await?;
    let operation = Operation::new("CONVERT")
        .with("numFiles", transaction.adds.len().to_string())
        .with("partitionedBy", super::write::json_list(&metadata.partition_columns))
        .with("collectStats", statistics.to_string())
        .metric("numConvertedFiles", transaction.adds.len());
    transaction.set_metadata(metadata)?;
    transaction.commit(operation).await?;
    Ok(())
}
