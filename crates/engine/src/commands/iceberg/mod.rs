//! Statements on Iceberg tables.
//!
//! | file | statements |
//! |---|---|
//! | here | what a table's name means; INSERT |
//! | [`frames`] | `df.write`, `df.writeTo` |
//! | [`create`] | CREATE TABLE, CTAS |
//! | [`drop`] | DROP TABLE |
//! | [`alter`] | ALTER TABLE |
//! | [`rows`] | UPDATE, DELETE, MERGE, TRUNCATE |
//! | [`namespaces`] | namespaces of Iceberg's catalogs, and their tables' names |
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_analyze::{AnalyzedPlan, Attribute};
use firesteel_catalog::{SESSION_CATALOG, Table, TableId, TableKind};
use firesteel_lake::Conf;
use firesteel_lake::iceberg::{
    Commit, DataFile, IcebergTable, IcebergWrite, PartitionField, PartitionSpec, Removed, TableHome, Transform,
    Written, check_writable, field_id, is_iceberg, write_data,
};
use firesteel_plan::relation::Options;
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::{Location, Storage};

use super::Statement;
use crate::commands::write::Observed;
use crate::iceberg::{is_iceberg_table, read_schema};
use crate::names::Resolved;

pub mod alter;
mod create;
mod drop;
mod frames;
pub mod namespaces;
pub mod rows;

pub use create::{create, create_at, save_as_table};
pub use drop::drop_outside;
pub use frames::{insert_into, save, save_in_catalog, write_v2};

const CODEC: &str = "write.parquet.compression-codec";

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
    if let Some((name, home)) = place(st, name)? {
        let found = IcebergTable::find_home(&home, &st.context.storage()).await?;
        return found.map(|iceberg| at(&name, iceberg)).transpose();
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
        Some((_, home)) => {
            IcebergTable::find_home(&home, &st.context.storage()).await.map(|found| Some(found.is_some()))
        }
        None => Ok(None),
    }
}

/// Where a table is that is in no catalog of ours, and its whole name.
fn place(st: &Statement, name: &[String]) -> Result<Option<(Vec<String>, TableHome)>> {
    if let [format, path] = name
        && is_iceberg(format)
        && Location::is_absolute(path)
    {
        return Location::parse(path).map(|location| Some((name.to_vec(), TableHome::Directory(location))));
    }
    st.context.iceberg_home(name)
}

fn at(name: &[String], iceberg: IcebergTable) -> Result<Found> {
    let (last, namespace) = name.split_last().ok_or_else(|| SparkError::internal("a table has no name"))?;
    let mut table = Table::new(TableId::new(namespace.join("."), last), TableKind::External, StructType::default());
    table.location = Some(iceberg.location().to_string());
    table.provider = Some("iceberg".into());
    describe(&mut table, &iceberg)?;
    table.comment = table.properties.get("comment").cloned();
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
    let (location, storage) = (found.iceberg.location(), found.iceberg.storage());
    let place = Place { location, storage, schema: &schema, spec: &spec, properties: &properties };
    write_rows(st, rows, place, options, action).await
}

/// A change of the rows of a table.
fn change_of(found: &Found, added: Vec<DataFile>, removed: Removed) -> Commit {
    Commit {
        home: found.iceberg.home(),
        location: found.iceberg.location().clone(),
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
async fn run_commit(st: &Statement, commit: Commit) -> Result<()> {
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
    storage: &'a Storage,
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
    let storage = place.storage.clone().with_options(&options);
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
