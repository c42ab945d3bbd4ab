//! `df.write`: files and tables. What fills a table is here for all statements.
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::physical_plan::ExecutionPlanProperties;
use firesteel_analyze::{AnalyzedPlan, Attribute, declared_schema};
use firesteel_catalog::{BucketSpec, Partition, PartitionSpec, Table, TableKind};
use firesteel_functions::cast::{CastMode, cast, store_assign as assigned};
use firesteel_lake::hudi::is_hudi;
use firesteel_lake::iceberg::{Removed, is_iceberg};
use firesteel_lake::{Conf, SourceOptions, TablePartition, WriteRequest, WriteSummary};
use firesteel_plan::command::{SaveMode, Write, WriteTarget};
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::relation::Options;
use firesteel_plan::{Expr, Relation, Result, SparkError, StructType, TableName, parse_multipart_identifier};
use futures::TryStreamExt;

use super::delta::write::DeltaSave;
use super::table::{default_location, ensure_directory, remove_files};
use super::{Answer, Statement, delta, hudi, iceberg};
use crate::context::bucketing;
use crate::error::from_datafusion;
use crate::execution::{Execution, unless_cancelled};
use crate::hudi::is_hudi_table;
use crate::names::quote_id;

pub async fn write(st: &Statement, write: Write) -> Answer {
    let observed = match &write.target {
        WriteTarget::Path(path) => save(st, &write, Some(path.clone())).await?,
        WriteTarget::None => {
            let path = write.options.iter().find(|(key, _)| key.eq_ignore_ascii_case("path")).map(|(_, v)| v.clone());
            save(st, &write, path).await?
        }
        WriteTarget::SaveAsTable(name) => save_as_table(st, &write, name).await?,
        WriteTarget::InsertInto(name) => {
            let parts = parse_multipart_identifier(name)?;
            let name = TableName::Parts(parts.clone());
            if !write.partition_columns.is_empty() {
                return Err(SparkError::new(
                    "CANNOT_USE_PARTITION_BY_WITH_INSERT_INTO",
                    Vec::<(String, String)>::new(),
                )
                .with_message("insertInto takes the table's own partitioning: leave partitionBy out."));
            }
            if let Some(observed) = iceberg::insert_into(st, &parts, &write).await? {
                return Ok(with_observed(observed));
            }
            let table = st.existing_non_view(&name, "INSERT").await?;
            let overwrite = write.mode == SaveMode::Overwrite;
            if let Some(found) = delta_target(st, &table).await? {
                let analyzed = st.analyze(&write.input).await?;
                let stored = store_assign(st, &table, &analyzed, &table.schema.fields, false)?;
                let mode = if overwrite { SaveMode::Overwrite } else { SaveMode::Append };
                let save = DeltaSave::new(stored, mode, write.options.clone());
                return Ok(with_observed(delta::write::into_table(st, &found, save).await?));
            }
            let rows = Rows { relation: write.input.clone(), by_name: false, options: write.options.clone() };
            insert_rows(st, &table, rows, vec![], overwrite).await?
        }
    };
    Ok(with_observed(observed))
}

pub type Observed = Vec<crate::execution::ObservedMetrics>;

pub fn with_observed(observed: Observed) -> Execution {
    let execution = Execution::empty();
    *execution.observed.lock() = observed;
    execution
}

pub fn default_format(st: &Statement) -> String {
    st.context.eval.get("spark.sql.sources.default").unwrap_or("parquet").to_string()
}

pub fn check_format(format: &str) -> Result<()> {
    let is_table_format = firesteel_lake::delta::is_delta(format) || is_iceberg(format) || is_hudi(format);
    if firesteel_lake::is_file_format(format) || is_table_format {
        return Ok(());
    }
    Err(SparkError::new("DATA_SOURCE_NOT_FOUND", [("provider", format)]))
}

async fn save(st: &Statement, write: &Write, path: Option<String>) -> Result<Observed> {
    let format = write.source.clone().unwrap_or_else(|| default_format(st));
    let analyzed = st.analyze(&write.input).await?;
    if format.eq_ignore_ascii_case("noop") {
        return run_all(st, &analyzed).await;
    }
    check_format(&format)?;
    if write.bucket_by.is_some() || !write.sort_columns.is_empty() {
        let operation = if write.bucket_by.is_some() { "bucketBy" } else { "sortBy" };
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_1312", [("operation", operation)])
            .with_message(format!("'save' does not support {operation} right now.")));
    }
    let Some(path) = path else {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_2046", Vec::<(String, String)>::new())
            .with_message("'path' is not specified."));
    };
    if firesteel_lake::delta::is_delta(&format) {
        let mut save = DeltaSave::new(analyzed, write.mode, write.options.clone());
        save.partition_by = (!write.partition_columns.is_empty()).then(|| write.partition_columns.clone());
        save.with_schema_evolution = write.with_schema_evolution;
        return delta::write::save(st, &path, save).await;
    }
    if is_iceberg(&format) {
        return iceberg::save(st, &path, analyzed, write.mode, &write.partition_columns, &write.options).await;
    }
    if is_hudi(&format) {
        return hudi::save(st, &path, analyzed, write.mode, &write.partition_columns, &write.options).await;
    }
    let request = WriteRequest {
        format,
        path,
        mode: write.mode,
        schema: analyzed.schema.storable(),
        partition_by: write.partition_columns.clone(),
        bucketing: None,
        options: SourceOptions::new(write.options.clone()),
        static_partitions: vec![],
        moved_partitions: vec![],
        conf: Conf::new(Arc::clone(&st.context.eval.conf)),
        storage: st.context.storage().with_options(&write.options),
    };
    let (_, observed) = write_files(st, &analyzed, request).await?;
    st.session().cache.invalidate_relations();
    Ok(observed)
}

/// Computes all rows and drops them (`format("noop")`).
async fn run_all(st: &Statement, analyzed: &AnalyzedPlan) -> Result<Observed> {
    let ((), observed) = crate::run::run_job(&st.context, analyzed, st.job(), async |planned| {
        let rows = async {
            for partition in 0..planned.plan.output_partitioning().partition_count() {
                let task = Arc::clone(&planned.task);
                let mut rows = planned.plan.execute(partition, task).map_err(from_datafusion)?;
                while rows.try_next().await.map_err(from_datafusion)?.is_some() {}
            }
            Ok(())
        };
        unless_cancelled(&st.context.cancel, rows).await
    })
    .await?;
    Ok(observed)
}

/// Writes a query's rows, as a job.
pub async fn write_files(
    st: &Statement,
    analyzed: &AnalyzedPlan,
    request: WriteRequest,
) -> Result<(Option<WriteSummary>, Observed)> {
    crate::run::run_job(&st.context, analyzed, st.job(), async |planned| {
        let plan = crate::exec::ungathered(&planned.plan);
        let cancel = st.context.cancel.clone().cancelled_owned();
        firesteel_lake::write(plan, Arc::clone(&planned.task), request, cancel).await
    })
    .await
}

async fn save_as_table(st: &Statement, write: &Write, name: &str) -> Result<Observed> {
    let parts = parse_multipart_identifier(name)?;
    if let Some(observed) = iceberg::save_in_catalog(st, &parts, write).await? {
        return Ok(observed);
    }
    let id = st.session().table_id(&parts, &st.context.namespace)?;
    let existing = st.catalog().get_table(&id).await?;
    match (&existing, write.mode) {
        (Some(_), SaveMode::Ignore) => return Ok(vec![]),
        (Some(_), SaveMode::ErrorIfExists) => {
            return Err(firesteel_catalog::errors::table_already_exists(&id));
        }
        (Some(table), SaveMode::Append) => {
            if let Some(source) = &write.source
                && table
                    .provider
                    .as_ref()
                    .is_some_and(|p| firesteel_lake::short_name(p) != firesteel_lake::short_name(source))
            {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_1159", [("tableName", quote_id(&id))])
                    .with_message(format!("The format of the existing table {} is not {source}.", quote_id(&id))));
            }
            if let Some(found) = delta_target(st, table).await? {
                let analyzed = st.analyze(&write.input).await?;
                let mut save = DeltaSave::new(analyzed, SaveMode::Append, write.options.clone());
                save.partition_by = (!write.partition_columns.is_empty()).then(|| write.partition_columns.clone());
                save.with_schema_evolution = write.with_schema_evolution;
                return delta::write::into_table(st, &found, save).await;
            }
            if crate::iceberg::is_iceberg_table(table) {
                let found = iceberg::of_catalog(st, table.clone()).await?;
                let analyzed = st.analyze(&write.input).await?;
                let stored = store_assign(st, &found.table, &analyzed, &found.table.schema.fields, true)?;
                return iceberg::into_table(st, &found, &stored, Removed::Nothing, &write.options).await;
            }
            if !is_hudi_table(table) {
                let rows = Rows { relation: write.input.clone(), by_name: true, options: write.options.clone() };
                return insert_rows(st, table, rows, vec![], false).await;
            }
        }
        _ => {}
    }
    let analyzed = st.analyze(&write.input).await?;
    let provider = write.source.clone().unwrap_or_else(|| default_format(st));
    let is_delta = firesteel_lake::delta::is_delta(&provider);
    let is_iceberg_format = is_iceberg(&provider);
    let schema = declared_schema(&analyzed.schema);
    let keeps_order = is_delta || is_iceberg_format || is_hudi(&provider);
    let schema = if keeps_order { schema } else { partitions_last(&id, &schema, &write.partition_columns)? };
    let mut table = Table::new(id, TableKind::Managed, schema);
    table.provider = Some(provider);
    table.partition_columns = write.partition_columns.clone();
    table.bucket_spec = write.bucket_by.as_ref().map(|(columns, count)| BucketSpec {
        num_buckets: u32::try_from(*count).unwrap_or(0),
        columns: columns.clone(),
        sort_columns: write.sort_columns.clone(),
    });
    table.clustering_columns = write.clustering_columns.clone();
    table.options = write.options.clone();
    if let Some(key) = table.options.keys().find(|k| k.eq_ignore_ascii_case("path")).cloned() {
        table.location = table.options.remove(&key);
        table.kind = TableKind::External;
    }
    if is_delta {
        refuse_view(&existing)?;
        let kept = std::mem::take(&mut table.options);
        return delta::create::save_as_table(st, table, analyzed, existing, kept).await;
    }
    if is_iceberg_format {
        refuse_view(&existing)?;
        let columns: Vec<Expr> = write.partition_columns.iter().map(Expr::name).collect();
        return iceberg::save_as_table(st, table, &columns, &analyzed, existing).await;
    }
    if table.provider.as_deref().is_some_and(is_hudi) {
        refuse_view(&existing)?;
        return hudi::save_as_table(st, table, analyzed, existing, write.mode).await;
    }
    create_with_rows(st, table, &analyzed, existing, false).await
}

/// The Delta table that a catalog table is, if it is one.
async fn delta_target(st: &Statement, table: &Table) -> Result<Option<delta::Found>> {
    match crate::delta::is_delta_table(table) {
        true => delta::of_catalog(st, table.clone()).await.map(Some),
        false => Ok(None),
    }
}

pub fn refuse_view(existing: &Option<Table>) -> Result<()> {
    match existing.as_ref().filter(|old| old.is_view()) {
        None => Ok(()),
        Some(old) => Err(SparkError::new(
            "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
            [("viewName", quote_id(&old.id)), ("operation", "saveAsTable".to_string())],
        )),
    }
}

/// Columns with the partition columns moved to the end, in their order.
pub fn partitions_last(
    table: &firesteel_catalog::TableId,
    schema: &StructType,
    partitions: &[String],
) -> Result<StructType> {
    let schema = &schema.storable();
    let same = |field: &firesteel_plan::StructField, name: &String| field.name.eq_ignore_ascii_case(name);
    let mut fields: Vec<_> = schema.fields.iter().filter(|f| !partitions.iter().any(|p| same(f, p))).cloned().collect();
    for partition in partitions {
        let field = schema.fields.iter().find(|f| same(f, partition)).ok_or_else(|| {
            let names: Vec<_> = schema.fields.iter().map(|f| quote_identifier(&f.name)).collect();
            SparkError::new(
                "COLUMN_NOT_DEFINED_IN_TABLE",
                [
                    ("colType", "partition".to_string()),
                    ("colName", quote_identifier(partition)),
                    ("tableName", crate::names::quote_id(table)),
                    ("tableCols", names.join(", ")),
                ],
            )
        })?;
        fields.push(field.clone());
    }
    if fields.len() == partitions.len() && !fields.is_empty() {
        return Err(SparkError::of("ALL_PARTITION_COLUMNS_NOT_ALLOWED"));
    }
    Ok(StructType::new(fields))
}

/// Makes a table and fills it: CTAS, RTAS, saveAsTable. The rows are on disk before the catalog knows the table.
pub async fn create_with_rows(
    st: &Statement,
    mut table: Table,
    analyzed: &AnalyzedPlan,
    replaced: Option<Table>,
    if_not_exists: bool,
) -> Result<Observed> {
    let format = table.provider.clone().unwrap_or_else(|| default_format(st));
    check_format(&format)?;
    refuse_view(&replaced)?;
    if is_hudi(&format) {
        return hudi::save_as_table(st, table, analyzed.clone(), replaced, SaveMode::Overwrite).await;
    }
    if st.catalog().get_database(&table.id.database).await?.is_none() {
        return Err(firesteel_catalog::errors::schema_not_found(&table.id.database));
    }
    if table.location.is_none() {
        table.location = Some(default_location(st, &table.id).await?);
    }
    table.owner = st.user();
    table.tracks_partitions = !table.partition_columns.is_empty();
    let aligned = aligned(analyzed, &table.schema)?;
    // What the files hold is nullable, as Spark makes its tables.
    table.schema = table.schema.as_nullable();
    let request = WriteRequest {
        format,
        path: table.location.clone().unwrap_or_default(),
        mode: if replaced.is_some() || table.kind == TableKind::External {
            SaveMode::Overwrite
        } else {
            SaveMode::ErrorIfExists
        },
        schema: aligned.schema.clone(),
        partition_by: table.partition_columns.clone(),
        bucketing: bucketing(&table),
        options: SourceOptions::new(table.options.clone()),
        static_partitions: vec![],
        moved_partitions: vec![],
        conf: Conf::new(Arc::clone(&st.context.eval.conf)),
        storage: st.context.storage().with_options(&table.options),
    };
    let location = request.path.clone();
    // An empty directory that is there already is no obstacle; one with files is, unless the table is replaced.
    let mode = match request.mode {
        SaveMode::ErrorIfExists if super::table::is_empty_place(st, &location).await? => SaveMode::Overwrite,
        SaveMode::ErrorIfExists => {
            return Err(SparkError::new(
                "LOCATION_ALREADY_EXISTS",
                [("location", location.clone()), ("identifier", quote_id(&table.id))],
            ));
        }
        mode => mode,
    };
    let (summary, observed) = write_files(st, &aligned, WriteRequest { mode, ..request }).await?;
    ensure_directory(st, &location).await?;
    let partitions = summary.map(|s| s.partitions).unwrap_or_default();
    let id = table.id.clone();
    let columns = table.partition_columns.clone();
    let moved = replaced.as_ref().filter(|old| old.kind == TableKind::Managed && old.location != table.location);
    let result = match &replaced {
        Some(_) => st.catalog().create_or_replace_table(table).await.map(|_| ()),
        None => st.catalog().create_table(table, if_not_exists).await,
    };
    if let (Err(error), None) = (&result, &replaced) {
        let error = error.clone();
        remove_files(st, &location).await?;
        return Err(error);
    }
    result?;
    if let Some(old) = moved.and_then(|old| old.location.clone()) {
        remove_files(st, &old).await?;
    }
    st.catalog().create_partitions(&id, partitions_of(&columns, partitions), true).await?;
    st.session().cache.invalidate_table(&id);
    Ok(observed)
}

/// The partitions of the table that have a place of their own.
async fn moved_partitions(st: &Statement, table: &Table) -> Result<Vec<TablePartition>> {
    if !table.tracks_partitions {
        return Ok(vec![]);
    }
    let all = st.catalog().list_partitions(&table.id, &vec![]).await?;
    let moved = all.into_iter().filter_map(|p| Some(TablePartition { values: p.spec, location: p.location? }));
    Ok(moved.collect())
}

/// The partitions that a write made, as the catalog keeps them.
fn partitions_of(columns: &[String], made: Vec<std::collections::BTreeMap<String, Option<String>>>) -> Vec<Partition> {
    let spec = |values: std::collections::BTreeMap<String, Option<String>>| {
        let value = |column: &String| {
            let found = values.iter().find(|(key, _)| key.eq_ignore_ascii_case(column));
            (column.clone(), found.and_then(|(_, value)| value.clone()))
        };
        Partition::new(columns.iter().map(value).collect(), None)
    };
    made.into_iter().map(spec).collect()
}

/// The query's columns in the order of `schema` (which has the same names).
fn aligned(analyzed: &AnalyzedPlan, schema: &StructType) -> Result<AnalyzedPlan> {
    let columns = schema.fields.iter().map(|field| {
        let found = analyzed.output.iter().find(|a| a.name.eq_ignore_ascii_case(&field.name));
        let attribute = found.ok_or_else(|| SparkError::internal(format!("no column {}", field.name)))?;
        Ok((attribute.typed(), field.clone()))
    });
    project(analyzed, columns.collect::<Result<Vec<_>>>()?)
}

/// A projection of typed columns under the given fields.
pub fn project(
    analyzed: &AnalyzedPlan,
    columns: Vec<(firesteel_functions::TypedExpr, firesteel_plan::StructField)>,
) -> Result<AnalyzedPlan> {
    let mut output = vec![];
    let mut exprs = vec![];
    for (typed, mut field) in columns {
        field.nullable = typed.nullable;
        let attribute = Attribute::of_field(&field);
        exprs.push(typed.expr.alias(&attribute.id));
        output.push(attribute);
    }
    let plan = LogicalPlanBuilder::from(analyzed.plan.clone()).project(exprs).and_then(|b| b.build());
    Ok(AnalyzedPlan {
        plan: plan.map_err(from_datafusion)?,
        schema: StructType::new(output.iter().map(Attribute::to_field).collect()),
        output,
        observed: analyzed.observed.clone(),
    })
}

/// Rows to insert.
pub struct Rows {
    pub relation: Relation,
    pub by_name: bool,
    pub options: Options,
}

/// Casts rows to a table's columns by the store assignment policy. `columns` are the target columns, in the rows' order.
pub fn store_assign(
    st: &Statement,
    table: &Table,
    analyzed: &AnalyzedPlan,
    targets: &[firesteel_plan::StructField],
    by_name: bool,
) -> Result<AnalyzedPlan> {
    let name = quote_id(&table.id);
    let show = |names: Vec<String>| names.join(", ");
    if targets.len() != analyzed.output.len() {
        let reason = if analyzed.output.len() > targets.len() { "TOO_MANY" } else { "NOT_ENOUGH" };
        return Err(SparkError::new(
            format!("INSERT_COLUMN_ARITY_MISMATCH.{reason}_DATA_COLUMNS"),
            [
                ("tableName", name),
                ("tableColumns", show(targets.iter().map(|f| quote_identifier(&f.name)).collect())),
                ("dataColumns", show(analyzed.output.iter().map(|a| quote_identifier(&a.name)).collect())),
            ],
        ));
    }
    let mut columns = vec![];
    for (position, field) in targets.iter().enumerate() {
        let attribute = if by_name {
            analyzed.output.iter().find(|a| a.name.eq_ignore_ascii_case(&field.name)).ok_or_else(|| {
                SparkError::new(
                    "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_FIND_DATA",
                    [("tableName", name.clone()), ("colName", quote_identifier(&field.name))],
                )
            })?
        } else {
            &analyzed.output[position]
        };
        // Files may hold NULL in any field.
        let field = firesteel_plan::StructField { data_type: field.data_type.as_nullable(), ..field.clone() };
        let stored = assigned(attribute.typed(), &field.data_type, &name, &field.name, &st.context.eval)?;
        columns.push((stored, field));
    }
    project(analyzed, columns)
}

/// The columns `targets` by name, cast to them, then `extra` columns as they are.
pub fn store_assign_some(
    st: &Statement,
    table: &Table,
    analyzed: &AnalyzedPlan,
    targets: &[firesteel_plan::StructField],
    extra: &[Attribute],
) -> Result<AnalyzedPlan> {
    let name = quote_id(&table.id);
    let mut columns = vec![];
    for field in targets {
        let found = analyzed.output.iter().find(|a| a.name.eq_ignore_ascii_case(&field.name));
        let Some(attribute) = found else { continue };
        let field = firesteel_plan::StructField { data_type: field.data_type.as_nullable(), ..field.clone() };
        let stored = assigned(attribute.typed(), &field.data_type, &name, &field.name, &st.context.eval)?;
        columns.push((stored, field));
    }
    columns.extend(extra.iter().map(|attribute| (attribute.typed(), attribute.to_field())));
    project(analyzed, columns)
}

/// Adds the static partition values as columns, in whatever place.
pub fn with_static_columns(
    st: &Statement,
    table: &Table,
    stored: AnalyzedPlan,
    values: &[(String, Option<String>)],
) -> Result<AnalyzedPlan> {
    if values.is_empty() {
        return Ok(stored);
    }
    let mut columns: Vec<_> = stored.output.iter().map(|a| (a.typed(), a.to_field())).collect();
    for (name, text) in values {
        let found = table.schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name));
        let field = found.ok_or_else(|| SparkError::internal(format!("no column {name}")))?;
        columns.push((static_value(st, field, text.as_deref())?, field.clone()));
    }
    project(&stored, columns)
}

fn static_value(
    st: &Statement,
    field: &firesteel_plan::StructField,
    text: Option<&str>,
) -> Result<firesteel_functions::TypedExpr> {
    match text {
        Some(text) => {
            let text = firesteel_functions::TypedExpr::string(text);
            cast(text, &field.data_type, CastMode::Ansi, &st.context.eval)
        }
        None => Ok(firesteel_functions::TypedExpr::null(field.data_type.clone())),
    }
}

/// Inserts a query's rows, matched by position or name. `static_partitions` are values of partition columns that the
/// rows do not hold.
pub async fn insert_rows(
    st: &Statement,
    table: &Table,
    rows: Rows,
    static_partitions: Vec<(String, Option<String>)>,
    overwrite: bool,
) -> Result<Observed> {
    let analyzed = st.analyze(&rows.relation).await?;
    let insertable = if is_hudi_table(table) { Some(hudi::insertable(st, table).await?) } else { None };
    let table = insertable.as_ref().unwrap_or(table);
    let is_static = |name: &str| static_partitions.iter().any(|(column, _)| column.eq_ignore_ascii_case(name));
    let targets: Vec<_> = table.schema.fields.iter().filter(|f| !is_static(&f.name)).cloned().collect();
    let stored = store_assign(st, table, &analyzed, &targets, rows.by_name)?;
    write_stored(st, table, stored, static_partitions, overwrite, rows.options).await
}

/// Writes rows that have the table's types already; static partition values are added as columns.
pub async fn write_stored(
    st: &Statement,
    table: &Table,
    stored: AnalyzedPlan,
    static_partitions: Vec<(String, Option<String>)>,
    overwrite: bool,
    options: Options,
) -> Result<Observed> {
    let stored = with_static(st, table, stored, &static_partitions)?;
    if is_hudi_table(table) {
        return hudi::insert_stored(st, table, stored, &static_partitions, overwrite, &options).await;
    }
    let mut all_options = table.options.clone();
    all_options.extend(options);
    let dynamic = st
        .context
        .eval
        .get("spark.sql.sources.partitionOverwriteMode")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("DYNAMIC"));
    let request = WriteRequest {
        format: table.provider.clone().unwrap_or_else(|| "parquet".into()),
        path: table.location.clone().unwrap_or_default(),
        mode: if overwrite { SaveMode::Overwrite } else { SaveMode::Append },
        schema: stored.schema.clone(),
        partition_by: table.partition_columns.clone(),
        bucketing: bucketing(table),
        storage: st.context.storage().with_options(&all_options),
        options: SourceOptions::new(all_options),
        static_partitions: if overwrite { leading(table, &static_partitions) } else { vec![] },
        moved_partitions: moved_partitions(st, table).await?,
        conf: Conf::new(Arc::clone(&st.context.eval.conf)),
    };
    let (summary, observed) = write_files(st, &stored, request).await?;
    if table.tracks_partitions {
        let written = partitions_of(&table.partition_columns, summary.map(|s| s.partitions).unwrap_or_default());
        if overwrite && !dynamic {
            // The partitions that the overwrite removed are gone from the catalog too.
            let old = st.catalog().list_partitions(&table.id, &static_partitions).await?;
            let is_written = |spec: &PartitionSpec| written.iter().any(|partition| partition.spec == *spec);
            let gone = old.into_iter().map(|p| p.spec).filter(|spec| !is_written(spec)).collect();
            st.catalog().drop_partitions(&table.id, gone, true).await?;
        }
        st.catalog().create_partitions(&table.id, written, true).await?;
    }
    st.session().cache.invalidate_table(&table.id);
    Ok(observed)
}

/// The static values of the table's first partition columns, in order.
fn leading(table: &Table, values: &[(String, Option<String>)]) -> Vec<(String, Option<String>)> {
    let find = |column: &String| {
        values.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, v)| (column.clone(), v.clone()))
    };
    table.partition_columns.iter().map_while(find).collect()
}

/// The same in the table's order.
fn with_static(
    st: &Statement,
    table: &Table,
    stored: AnalyzedPlan,
    values: &[(String, Option<String>)],
) -> Result<AnalyzedPlan> {
    if values.is_empty() {
        return Ok(stored);
    }
    let all = with_static_columns(st, table, stored, values)?;
    let column = |field: &firesteel_plan::StructField| {
        let found = all.output.iter().find(|a| a.name.eq_ignore_ascii_case(&field.name));
        let found = found.ok_or_else(|| SparkError::internal(format!("no column {}", field.name)))?;
        Ok((found.typed(), field.clone()))
    };
    let columns = table.schema.fields.iter().map(column).collect::<Result<Vec<_>>>()?;
    project(&all, columns)
}
