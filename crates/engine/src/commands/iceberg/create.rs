//! CREATE TABLE and CTAS of Iceberg tables.
use std::collections::BTreeMap;

use firesteel_analyze::{AnalyzedPlan, declared_schema};
use firesteel_catalog::Table;
use firesteel_lake::iceberg::{
    Commit, IcebergTable, NewTable, PartitionField, PartitionSpec, Removed, TableHome, Transform, field_id, is_iceberg,
    table_schema,
};
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::statement::{CreateMode, CreateTable};
use firesteel_plan::{Expr, ExprKind, Literal, Result, SparkError, StructType};
use firesteel_storage::{Location, Storage};

use super::{CODEC, Place, describe, place, run_commit, write_rows};
use crate::commands::write::Observed;
use crate::commands::{Answer, Statement};
use crate::execution::Execution;
use crate::iceberg::is_iceberg_table;

/// The number of the first partition field
const FIRST_FIELD: i32 = 1000;

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
    let home = TableHome::Directory(location.clone());
    make(st, &home, &schema, partition_by, &properties, rows, replaces).await?;
    register(st, table, &location, existing.is_some(), if_not_exists).await?;
    Ok(Execution::empty())
}

/// CREATE TABLE at a place that is in no catalog of ours.
pub async fn create_at(st: &Statement, name: &[String], create: &CreateTable) -> Result<Option<Execution>> {
    let Some((name, home)) = place(st, name)? else { return Ok(None) };
    let name = &name;
    refuse_unkept(create)?;
    if create.provider.as_deref().is_some_and(|provider| !is_iceberg(provider)) {
        return Err(SparkError::unsupported("tables of other formats in an Iceberg catalog"));
    }
    let replaces = matches!(create.mode, CreateMode::Replace | CreateMode::CreateOrReplace);
    let existing = IcebergTable::find_home(&home, &st.context.storage()).await?;
    match (create.mode, &existing) {
        (CreateMode::CreateIfNotExists, Some(_)) => return Ok(Some(Execution::empty())),
        (CreateMode::Create, Some(_)) => return Err(exists(name)),
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
pub(super) async fn make(
    st: &Statement,
    home: &TableHome,
    schema: &StructType,
    partition_by: &[Expr],
    properties: &BTreeMap<String, String>,
    rows: Option<&AnalyzedPlan>,
    replaces: bool,
) -> Result<Observed> {
    let table = IcebergTable::find_home(home, &st.context.storage()).await?;
    if let Some(table) = &table
        && !replaces
    {
        // A place with a table is taken over as it is, unless rows are to go into it.
        return match rows {
            None if schema.fields.is_empty() => Ok(vec![]),
            _ => Err(taken(table.location())),
        };
    }
    // A query's columns may be NULL from now on, as in Spark.
    let schema = if rows.is_some() { &schema.as_nullable() } else { schema };
    let new = new_table(schema, partition_by, properties)?;
    let Some(begun) = begin(st, home, table, new, rows.is_none()).await? else { return Ok(vec![]) };
    let Begun { table, new, location, storage } = begun;
    let (added, observed) = match rows {
        Some(rows) => {
            let (spec, properties) = (&new.spec, &new.properties);
            let place = Place { location: &location, storage: &storage, schema: &new.schema, spec, properties };
            let (written, observed) = write_rows(st, rows, place, &BTreeMap::new(), None).await?;
            (written.files, observed)
        }
        None => (vec![], vec![]),
    };
    let commit = Commit {
        home: home.clone(),
        location,
        storage,
        table,
        new: Some(new),
        removed: Removed::Nothing,
        is_metadata_only: added.is_empty() && rows.is_none(),
        added,
    };
    run_commit(st, commit).await?;
    st.session().cache.invalidate_relations();
    Ok(observed)
}

/// A table that is there already.
pub(super) fn exists(name: &[String]) -> SparkError {
    SparkError::new("TABLE_OR_VIEW_ALREADY_EXISTS", [("relationName", quoted_name(name))])
}

fn taken(location: &Location) -> SparkError {
    SparkError::new(
        "LOCATION_ALREADY_EXISTS",
        [("location", location.to_string()), ("identifier", format!("iceberg.`{location}`"))],
    )
}

/// A table that a commit makes.
struct Begun {
    table: Option<IcebergTable>,
    new: NewTable,
    location: Location,
    storage: Storage,
}

/// Where a new table, or one in place of another, is written. `None`: it is made, and has no rows.
async fn begin(
    st: &Statement,
    home: &TableHome,
    table: Option<IcebergTable>,
    new: NewTable,
    is_empty: bool,
) -> Result<Option<Begun>> {
    let storage = st.context.storage();
    Ok(match (table, home) {
        (Some(table), _) => {
            let (location, storage) = (table.location().clone(), table.storage().clone());
            Some(Begun { table: Some(table), new, location, storage })
        }
        (None, TableHome::Directory(location)) => Some(Begun { table: None, new, location: location.clone(), storage }),
        (None, TableHome::Pointer(pointer)) => {
            Some(Begun { table: None, new, location: pointer.new_location().await?, storage })
        }
        (None, TableHome::Service(service)) => {
            let made = new.serve(service.as_ref(), !is_empty).await?;
            let (new, served) = made.ok_or_else(|| exists(&service.name()))?;
            let location = Location::parse(new.staged_location())?;
            let storage = storage.with_options(&served.settings);
            (!is_empty).then_some(Begun { table: None, new, location, storage })
        }
    })
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
    let home = TableHome::Directory(location.clone());
    let observed = make(st, &home, &schema, partition_by, &table.properties, Some(rows), replaces).await?;
    register(st, table, &location, replaces, false).await?;
    Ok(observed)
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
    Ok(NewTable { schema, last_column_id, spec, properties, staged: None })
}
