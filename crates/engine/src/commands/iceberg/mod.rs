//! Statements on Iceberg tables.
//!
//! | file | statements |
//! |---|---|
//! | here | CREATE TABLE, CTAS, INSERT, `df.write`, `df.writeTo` |
//! | [`alter`] | ALTER TABLE |
//! | [`rows`] | UPDATE, DELETE, MERGE, TRUNCATE |
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_analyze::{AnalyzedPlan, Attribute, declared_schema};
use firesteel_catalog::{SESSION_CATALOG, Table, TableId, TableKind};
use firesteel_lake::Conf;
use firesteel_lake::iceberg::{
    Commit, DataFile, IcebergTable, IcebergWrite, NewTable, PartitionField, PartitionSpec, Removed, TableHome,
    Transform, Written, check_writable, field_id, is_iceberg, table_schema, write_data,
};
use firesteel_plan::command::{SaveMode, WriteV2, WriteV2Mode};
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::relation::Options;
use firesteel_plan::statement::{CreateMode, CreateTable};
use firesteel_plan::{Expr, ExprKind, Literal, Result, SparkError, StructType};
use firesteel_storage::{Location, Storage};

use super::{Answer, Statement};
use crate::commands::write::{Observed, store_assign};
use crate::execution::Execution;
use crate::iceberg::{is_iceberg_table, read_schema};
use crate::names::Resolved;

pub mod alter;
pub mod rows;

const CODEC: &str = "write.parquet.compression-codec";
/// The number of the first partition field
const FIRST_FIELD: i32 = 1000;

/// An Iceberg table that a statement names.
pub struct Found {
    /// What the catalog has, or would have
    pub table: Table,
    pub iceberg: IcebergTable,
    /// Its full name
    pub name: Vec<String>,
    pub is_in_catalog: bool,
}

/// The Iceberg table of a name: one of the catalog, one of a folder that is a catalog, ``iceberg.`path` ``.
pub async fn find(st: &Statement, name: &[String]) -> Result<Option<Found>> {
    if let Some(home) = place(st, name)? {
        let found = IcebergTable::find_home(&home, &st.context.storage()).await?;
        return found.map(|iceberg| at(name, iceberg)).transpose();
    }
    let Ok(Resolved::Table(id)) = st.session().resolve(name, &st.context.namespace) else { return Ok(None) };
    match st.catalog().get_table(&id).await? {
        Some(table) if is_iceberg_table(&table) => of_catalog(st, table).await.map(Some),
        _ => Ok(None),
    }
}

/// The table of a name that is in no catalog of ours.
pub async fn find_outside(st: &Statement, name: &[String]) -> Result<Option<Found>> {
    match place(st, name)? {
        Some(_) => find(st, name).await?.ok_or_else(|| st.relation_not_found(name)).map(Some),
        None => Ok(None),
    }
}

/// Whether there is a table of a name that is in no catalog of ours. `None`: the name is none of those.
pub async fn table_exists(st: &Statement, name: &[String]) -> Result<Option<bool>> {
    match place(st, name)? {
        Some(home) => IcebergTable::find_home(&home, &st.context.storage()).await.map(|found| Some(found.is_some())),
        None => Ok(None),
    }
}

/// DROP TABLE of one of Iceberg's catalogs: the directory of a folder goes, as it does in Spark; a database forgets the
/// table, whose files stay. `None`: the name is not one of those.
pub async fn drop_outside(st: &Statement, name: &[String], if_exists: bool) -> Result<Option<Execution>> {
    let Some(home) = st.context.iceberg_home(name)? else { return Ok(None) };
    let was_there = match &home.pointer {
        Some(pointer) => pointer.remove().await?,
        None => {
            let found = IcebergTable::find_home(&home, &st.context.storage()).await?;
            if found.is_some() {
                crate::commands::table::remove_files(st, &home.location.to_string()).await?;
            }
            found.is_some()
        }
    };
    st.session().cache.invalidate_relations();
    match was_there || if_exists {
        true => Ok(Some(Execution::empty())),
        false => Err(st.table_not_found(name)),
    }
}

/// Where a table is that is in no catalog of ours.
fn place(st: &Statement, name: &[String]) -> Result<Option<TableHome>> {
    if let [format, path] = name
        && is_iceberg(format)
        && Location::is_absolute(path)
    {
        return Location::parse(path).map(|location| Some(TableHome::directory(location)));
    }
    st.context.iceberg_home(name)
}

fn at(name: &[String], iceberg: IcebergTable) -> Result<Found> {
    let (last, namespace) = name.split_last().ok_or_else(|| SparkError::internal("a table has no name"))?;
    let mut table = Table::new(TableId::new(namespace.join("."), last), TableKind::External, StructType::default());
    table.location = Some(iceberg.location().to_string());
    table.provider = Some("iceberg".into());
    describe(&mut table, &iceberg)?;
    Ok(Found { table, iceberg, name: name.to_vec(), is_in_catalog: false })
}

/// The table that a catalog's table is.
pub async fn of_catalog(st: &Statement, mut table: Table) -> Result<Found> {
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let iceberg = IcebergTable::open(&location, &st.context.storage().with_options(&table.options)).await?;
    describe(&mut table, &iceberg)?;
    let name = vec![SESSION_CATALOG.to_string(), table.id.database.clone(), table.id.name.clone()];
    Ok(Found { table, iceberg, name, is_in_catalog: true })
}

/// A catalog table with what the metadata says of it.
pub async fn hydrate(st: &Statement, mut table: Table) -> Result<Table> {
    if !is_iceberg_table(&table) {
        return Ok(table);
    }
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    if let Some(iceberg) = IcebergTable::find(&location, &st.context.storage().with_options(&table.options)).await? {
        describe(&mut table, &iceberg)?;
    }
    Ok(table)
}

fn describe(table: &mut Table, iceberg: &IcebergTable) -> Result<()> {
    let metadata = iceberg.metadata();
    let schema = metadata.schema()?;
    let column = |field: &PartitionField| {
        let source = schema.fields.iter().find(|f| field_id(f) == Some(field.source));
        source.filter(|_| field.transform == Transform::Identity).map(|source| source.name.clone())
    };
    table.partition_columns = metadata.spec()?.fields.iter().filter_map(column).collect();
    table.schema = read_schema(&schema);
    table.properties = metadata.properties();
    table.tracks_partitions = false;
    Ok(())
}

/// `bucket(4, id)`, `days(at)`, `name`: the partition fields of a table's columns.
pub fn spec_of(partition_by: &[Expr], schema: &StructType) -> Result<PartitionSpec> {
    let mut fields = vec![];
    for (index, expr) in partition_by.iter().enumerate() {
        let (column, transform) = transform_of(expr)?;
        let source = schema.fields.iter().find(|field| field.name.eq_ignore_ascii_case(&column));
        let source = source.ok_or_else(|| {
            let proposal: Vec<_> = schema.fields.iter().map(|f| quote_identifier(&f.name)).collect();
            let parameters = [("objectName", quote_identifier(&column)), ("proposal", proposal.join(", "))];
            SparkError::new("UNRESOLVED_COLUMN.WITH_SUGGESTION", parameters)
        })?;
        if !transform.applies_to(&source.data_type) {
            let sql = source.data_type.sql();
            return Err(SparkError::unsupported(format!("{transform} of a column of type {sql} as a partition")));
        }
        fields.push(PartitionField {
            source: field_id(source).unwrap_or_default(),
            id: FIRST_FIELD + i32::try_from(index).unwrap_or_default(),
            name: transform.field_name(&source.name),
            transform,
        });
    }
    Ok(PartitionSpec { fields, ..PartitionSpec::unpartitioned() })
}

fn transform_of(expr: &Expr) -> Result<(String, Transform)> {
    let unsupported = || SparkError::unsupported("partitioning an Iceberg table by this expression");
    let call = match &*expr.kind {
        ExprKind::Attribute { name, .. } if name.len() == 1 => return Ok((name[0].clone(), Transform::Identity)),
        ExprKind::Function(call) => call,
        _ => return Err(unsupported()),
    };
    let column = call.arguments.iter().find_map(|argument| match &*argument.kind {
        ExprKind::Attribute { name, .. } if name.len() == 1 => Some(name[0].clone()),
        _ => None,
    });
    let number = call.arguments.iter().find_map(|argument| match &*argument.kind {
        ExprKind::Literal(Literal::Integer(number)) => u32::try_from(*number).ok(),
        _ => None,
    });
    let name = call.name.last().map(|name| name.to_lowercase()).unwrap_or_default();
    let transform = match (name.trim_end_matches('s'), number.filter(|number| *number > 0)) {
        ("year", None) => Transform::Year,
        ("month", None) => Transform::Month,
        ("day" | "date", None) => Transform::Day,
        ("hour" | "date_hour", None) => Transform::Hour,
        ("bucket", Some(count)) => Transform::Bucket(count),
        ("truncate", Some(width)) => Transform::Truncate(width),
        _ => return Err(unsupported()),
    };
    Ok((column.ok_or_else(unsupported)?, transform))
}

/// A table to make.
pub fn new_table(
    schema: &StructType,
    partition_by: &[Expr],
    properties: &BTreeMap<String, String>,
) -> Result<NewTable> {
    let (schema, last_column_id) = NewTable::numbered(&table_schema(schema));
    let spec = spec_of(partition_by, &schema)?;
    let mut properties = properties.clone();
    // Properties that say how the table is made, and are none of its own.
    properties.retain(|key, _| key != "provider" && key != "format");
    match properties.remove("format-version").as_deref() {
        None | Some("2") => {}
        Some(version) => {
            return Err(SparkError::unsupported(format!("making Iceberg tables of format version {version}")));
        }
    }
    properties.entry(CODEC.into()).or_insert_with(|| "zstd".into());
    Ok(NewTable { schema, last_column_id, spec, properties })
}

/// CREATE [OR REPLACE] TABLE … USING iceberg, with or without a query. `table`: what the clauses say, without partitions.
pub async fn create(
    st: &Statement,
    create: CreateTable,
    mut table: Table,
    partition_by: &[Expr],
    existing: Option<Table>,
) -> Answer {
    let replaces = matches!(create.mode, CreateMode::Replace | CreateMode::CreateOrReplace);
    if existing.as_ref().is_some_and(|old| old.is_view() || !is_iceberg_table(old)) {
        return Err(crate::commands::insert::unsupported_operation(&table.id, "REPLACE TABLE"));
    }
    if st.catalog().get_database(&table.id.database).await?.is_none() {
        return Err(firesteel_catalog::errors::schema_not_found(&table.id.database));
    }
    if let (Some(old), None) = (&existing, &table.location) {
        (table.location, table.kind) = (old.location.clone(), old.kind);
    }
    if table.location.is_none() {
        table.location = Some(crate::commands::table::default_location(st, &table.id).await?);
    }
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let if_not_exists = create.mode == CreateMode::CreateIfNotExists;
    let query = match &create.query {
        Some(query) => Some(st.analyze(query).await?),
        None => None,
    };
    let properties = create.properties.clone();
    let rows = query.as_ref();
    let schema = rows.map_or_else(|| table.schema.clone(), |rows| declared_schema(&rows.schema));
    let home = TableHome::directory(location.clone());
    make(st, &home, &schema, partition_by, &properties, rows, replaces).await?;
    register(st, table, &location, existing.is_some(), if_not_exists).await?;
    Ok(Execution::empty())
}

/// CREATE TABLE at a place that is in no catalog of ours.
pub async fn create_at(st: &Statement, name: &[String], create: &CreateTable) -> Result<Option<Execution>> {
    let Some(home) = place(st, name)? else { return Ok(None) };
    refuse_unkept(create)?;
    if create.provider.as_deref().is_some_and(|provider| !is_iceberg(provider)) {
        return Err(SparkError::unsupported("tables of other formats in an Iceberg catalog"));
    }
    let replaces = matches!(create.mode, CreateMode::Replace | CreateMode::CreateOrReplace);
    let existing = IcebergTable::find_home(&home, &st.context.storage()).await?;
    match (create.mode, &existing) {
        (CreateMode::CreateIfNotExists, Some(_)) => return Ok(Some(Execution::empty())),
        (CreateMode::Replace, None) => return Err(st.table_not_found(name)),
        _ => {}
    }
    let rows = match &create.query {
        Some(query) => Some(st.analyze(query).await?),
        None => None,
    };
    let schema = match &rows {
        Some(rows) => declared_schema(&rows.schema),
        None => crate::commands::table::schema_of(&create.columns),
    };
    let mut properties = create.properties.clone();
    properties.extend(create.comment.iter().map(|comment| ("comment".to_string(), comment.clone())));
    make(st, &home, &schema, &create.partition_by, &properties, rows.as_ref(), replaces).await?;
    Ok(Some(Execution::empty()))
}

/// Clauses that a table of Iceberg's catalogs does not keep.
fn refuse_unkept(create: &CreateTable) -> Result<()> {
    let given = [
        ("LOCATION", create.location.is_some()),
        ("CLUSTERED BY", create.bucket_by.is_some()),
        ("CLUSTER BY", create.cluster_by.is_some()),
        ("PARTITIONED BY with types", !create.partition_columns.is_empty()),
        ("constraints", !create.constraints.is_empty()),
        ("DEFAULT COLLATION", create.collation.is_some()),
        ("STORED AS", create.hive.is_some()),
        ("OPTIONS", !create.options.is_empty()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((clause, _)) => Err(SparkError::unsupported(format!("{clause} of tables of Iceberg's catalogs"))),
        None => Ok(()),
    }
}

/// Makes the table of a place, or puts a new one in place of the old.
async fn make(
    st: &Statement,
    home: &TableHome,
    schema: &StructType,
    partition_by: &[Expr],
    properties: &BTreeMap<String, String>,
    rows: Option<&AnalyzedPlan>,
    replaces: bool,
) -> Result<Observed> {
    let storage = st.context.storage();
    let table = IcebergTable::find_home(home, &storage).await?;
    let location = table.as_ref().map_or(&home.location, |table| table.location());
    if table.is_some() && !replaces {
        // A place with a table is taken over as it is, unless rows are to go into it.
        return match rows {
            None if schema.fields.is_empty() => Ok(vec![]),
            _ => Err(SparkError::new(
                "LOCATION_ALREADY_EXISTS",
                [("location", location.to_string()), ("identifier", format!("iceberg.`{location}`"))],
            )),
        };
    }
    // A query's columns may be NULL from now on, as in Spark.
    let schema = if rows.is_some() { &schema.as_nullable() } else { schema };
    let new = new_table(schema, partition_by, properties)?;
    let (added, observed) = match rows {
        Some(rows) => {
            let place = Place { location, schema: &new.schema, spec: &new.spec, properties: &new.properties };
            let (written, observed) = write_rows(st, rows, place, &BTreeMap::new(), None).await?;
            (written.files, observed)
        }
        None => (vec![], vec![]),
    };
    let home = TableHome { location: location.clone(), pointer: home.pointer.clone() };
    let commit = Commit {
        home,
        storage,
        table,
        new: Some(new),
        removed: Removed::Nothing,
        is_metadata_only: added.is_empty() && rows.is_none(),
        added,
    };
    run_commit(st, commit).await?;
    Ok(observed)
}

async fn register(
    st: &Statement,
    mut table: Table,
    location: &Location,
    exists: bool,
    if_not_exists: bool,
) -> Result<()> {
    let iceberg = IcebergTable::open(location, &st.context.storage()).await?;
    describe(&mut table, &iceberg)?;
    table.provider = Some("iceberg".into());
    // The metadata has them.
    table.properties.clear();
    let id = table.id.clone();
    match exists {
        true => st.catalog().create_or_replace_table(table).await.map(|_| ())?,
        false => st.catalog().create_table(table, if_not_exists).await?,
    }
    st.session().cache.invalidate_table(&id);
    Ok(())
}

/// `df.write.saveAsTable` and `df.writeTo(…).create()` of a new table, or in place of an old one.
pub async fn save_as_table(
    st: &Statement,
    mut table: Table,
    partition_by: &[Expr],
    rows: &AnalyzedPlan,
    existing: Option<Table>,
) -> Result<Observed> {
    if let (Some(old), None) = (&existing, &table.location) {
        (table.location, table.kind) = (old.location.clone(), old.kind);
    }
    if table.location.is_none() {
        table.location = Some(crate::commands::table::default_location(st, &table.id).await?);
    }
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let replaces = existing.is_some();
    let schema = declared_schema(&rows.schema);
    let home = TableHome::directory(location.clone());
    let observed = make(st, &home, &schema, partition_by, &table.properties, Some(rows), replaces).await?;
    register(st, table, &location, replaces, false).await?;
    Ok(observed)
}

/// `df.write.format("iceberg").save(path)`
pub async fn save(
    st: &Statement,
    path: &str,
    rows: AnalyzedPlan,
    mode: SaveMode,
    partition_by: &[String],
    options: &Options,
) -> Result<Observed> {
    let name = match path.contains('/') {
        true => vec!["iceberg".to_string(), Location::parse(path)?.to_string()],
        false => firesteel_plan::parse_multipart_identifier(path)?,
    };
    match (find(st, &name).await?, mode) {
        (Some(_), SaveMode::Ignore) => Ok(vec![]),
        (Some(found), SaveMode::ErrorIfExists) => Err(firesteel_catalog::errors::table_already_exists(&found.table.id)),
        (Some(found), mode) => {
            let removed = if mode == SaveMode::Overwrite { Removed::Everything } else { Removed::Nothing };
            let targets = found.table.schema.fields.to_vec();
            let stored = store_assign(st, &found.table, &rows, &targets, true)?;
            into_table(st, &found, &stored, removed, options).await
        }
        (None, SaveMode::Append | SaveMode::Overwrite) => Err(st.table_not_found(&name)),
        (None, _) => {
            let home = place(st, &name)?.ok_or_else(|| st.table_not_found(&name))?;
            let columns: Vec<Expr> = partition_by.iter().map(Expr::name).collect();
            let schema = declared_schema(&rows.schema);
            make(st, &home, &schema, &columns, &BTreeMap::new(), Some(&rows), false).await
        }
    }
}

/// `df.writeTo` a table that is there; `None` where it is none of Iceberg's, or is to be made.
pub async fn write_v2(st: &Statement, parts: &[String], write: &WriteV2) -> Result<Option<Observed>> {
    let is_creation = matches!(write.mode, WriteV2Mode::Create | WriteV2Mode::Replace | WriteV2Mode::CreateOrReplace);
    if is_creation {
        let Some(home) = place(st, parts)? else { return Ok(None) };
        let exists = IcebergTable::find_home(&home, &st.context.storage()).await?.is_some();
        if write.mode == WriteV2Mode::Replace && !exists {
            return Err(st.table_not_found(parts));
        }
        let rows = st.analyze(&write.input).await?;
        let schema = declared_schema(&rows.schema);
        let replaces = write.mode != WriteV2Mode::Create;
        let made = make(st, &home, &schema, &write.partition_by, &write.table_properties, Some(&rows), replaces);
        return made.await.map(Some);
    }
    let Some(found) = find(st, parts).await? else { return Ok(None) };
    let removed = match &write.mode {
        WriteV2Mode::Append => Removed::Nothing,
        WriteV2Mode::OverwritePartitions => written_partitions(&found)?,
        WriteV2Mode::Overwrite(condition) if crate::commands::write_v2::is_always_true(condition) => {
            Removed::Everything
        }
        _ => {
            return Err(crate::commands::insert::unsupported_operation(
                &found.table.id,
                "overwrite by filter in batch mode",
            ));
        }
    };
    let rows = st.analyze(&write.input).await?;
    let stored = store_assign(st, &found.table, &rows, &found.table.schema.fields, true)?;
    into_table(st, &found, &stored, removed, &write.options).await.map(Some)
}

/// What a dynamic overwrite replaces: all where there are no partitions.
pub fn written_partitions(found: &Found) -> Result<Removed> {
    let is_partitioned = !found.iceberg.metadata().spec()?.fields.is_empty();
    Ok(if is_partitioned { Removed::WrittenPartitions } else { Removed::Everything })
}

/// Writes rows, which have the table's columns in their order, into a table.
pub async fn into_table(
    st: &Statement,
    found: &Found,
    rows: &AnalyzedPlan,
    removed: Removed,
    options: &Options,
) -> Result<Observed> {
    let (written, observed) = write_into(st, found, rows, options, None).await?;
    let added = written.files;
    run_commit(st, change_of(found, added, removed)).await?;
    found.invalidate(st);
    Ok(observed)
}

/// Writes rows as files of a table, which are part of it once they are committed. `action`: the column of the rows that
/// says what becomes of each.
async fn write_into(
    st: &Statement,
    found: &Found,
    rows: &AnalyzedPlan,
    options: &Options,
    action: Option<&Attribute>,
) -> Result<(Written, Observed)> {
    check_writable(&found.iceberg)?;
    let metadata = found.iceberg.metadata();
    let (schema, spec, properties) = (metadata.schema()?, metadata.spec()?, metadata.properties());
    let place = Place { location: found.iceberg.location(), schema: &schema, spec: &spec, properties: &properties };
    write_rows(st, rows, place, options, action).await
}

/// A change of the rows of a table.
fn change_of(found: &Found, added: Vec<DataFile>, removed: Removed) -> Commit {
    Commit {
        home: found.iceberg.home(),
        storage: found.iceberg.storage().clone(),
        table: Some(found.iceberg.clone()),
        new: None,
        is_metadata_only: false,
        added,
        removed,
    }
}

impl Found {
    /// After a change: what was kept of the table is stale.
    fn invalidate(&self, st: &Statement) {
        st.session().cache.invalidate_table(&self.table.id);
        st.session().cache.invalidate_relations();
    }
}

/// Commits; where that fails the files that were written go again.
async fn run_commit(st: &Statement, commit: Commit) -> Result<IcebergTable> {
    let (added, storage) = (commit.added.clone(), commit.storage.clone());
    let done = match st.context.cancel.is_cancelled() {
        true => Err(crate::execution::cancelled()),
        false => commit.commit().await,
    };
    if let Err(error) = &done {
        discard(&storage, &added, error).await;
    }
    done
}

/// Removes files that no metadata names: what cannot be removed is an orphan, which no reader sees.
async fn discard(storage: &Storage, added: &[DataFile], error: &SparkError) {
    // Where it is not known whether the commit is there, its files stay.
    if error.is("INTERNAL_ERROR") {
        return;
    }
    for file in added {
        if let Ok(place) = Location::parse(&file.path)
            && let Ok(files) = storage.file_system(&place)
        {
            let _ = files.delete(&place).await;
        }
    }
}

/// Where rows are written, and as what.
struct Place<'a> {
    location: &'a Location,
    schema: &'a StructType,
    spec: &'a PartitionSpec,
    properties: &'a BTreeMap<String, String>,
}

async fn write_rows(
    st: &Statement,
    rows: &AnalyzedPlan,
    place: Place<'_>,
    options: &Options,
    action: Option<&Attribute>,
) -> Result<(Written, Observed)> {
    let mut conf = (*st.context.eval.conf).clone();
    // Without numbers in its files nobody could read the table.
    conf.insert("spark.sql.parquet.fieldId.write.enabled".into(), "true".into());
    let mut options = options.clone();
    let codec = place.properties.get(CODEC).cloned().unwrap_or_else(|| "zstd".into());
    options.entry("compression".into()).or_insert(codec);
    let storage = st.context.storage().with_options(&options);
    let write = IcebergWrite {
        location: place.location,
        storage: &storage,
        schema: place.schema.clone(),
        spec: place.spec.clone(),
        options,
        conf: Conf::new(conf),
        has_actions: action.is_some(),
    };
    let aligned = aligned(st, rows, place.schema, action)?;
    crate::run::run_job(&st.context, &aligned, st.job(), async |planned| {
        let plan = crate::exec::ungathered(&planned.plan);
        let cancel = st.context.cancel.clone().cancelled_owned();
        write_data(plan, Arc::clone(&planned.task), write, cancel).await
    })
    .await
}

/// The rows' columns as the table's types, then the action: a table has two integers and one kind of text.
fn aligned(
    st: &Statement,
    rows: &AnalyzedPlan,
    schema: &StructType,
    action: Option<&Attribute>,
) -> Result<AnalyzedPlan> {
    use firesteel_functions::cast::{CastMode, cast};
    let columns = rows.output.iter().zip(schema.fields.iter()).map(|(attribute, field)| {
        let data_type = read_schema(&StructType::new(vec![field.clone()])).fields[0].data_type.as_nullable();
        let typed = match attribute.data_type.as_nullable() == data_type {
            true => attribute.typed(),
            false => cast(attribute.typed(), &data_type, CastMode::Ansi, &st.context.eval)?,
        };
        let field = firesteel_plan::StructField { data_type, metadata: Default::default(), ..field.clone() };
        Ok((typed, field))
    });
    let action = action.map(|action| Ok((action.typed(), action.to_field())));
    crate::commands::write::project(rows, columns.chain(action).collect::<Result<Vec<_>>>()?)
}
