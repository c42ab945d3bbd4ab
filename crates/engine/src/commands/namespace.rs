//! Databases.
use firesteel_catalog::Database;
use firesteel_plan::relation::Options;
use firesteel_plan::statement::AlterNamespace;
use firesteel_plan::{Result, SparkError, TableName};
use firesteel_storage::Location;

use super::iceberg::namespaces::{self as in_iceberg, NewNamespace};
use super::table::{ensure_directory, remove_files};
use super::{Answer, Statement};
use crate::execution::Execution;

fn check_properties(properties: &Options) -> Result<()> {
    // These have a clause or a rule of their own.
    for (key, instead) in [("location", "LOCATION"), ("owner", "the session's user")] {
        if properties.contains_key(key) {
            return Err(SparkError::new(
                "UNSUPPORTED_FEATURE.SET_NAMESPACE_PROPERTY",
                [("property", key.to_string()), ("msg", format!("use {instead} in its place"))],
            ));
        }
    }
    Ok(())
}

pub async fn create(
    st: &Statement,
    name: TableName,
    if_not_exists: bool,
    comment: Option<String>,
    location: Option<String>,
    properties: Options,
    collation: Option<String>,
) -> Answer {
    let parts = st.name(&name).await?;
    if st.context.iceberg_namespace(&parts)?.is_some() {
        check_properties(&properties)?;
        if collation.is_some() {
            return Err(SparkError::unsupported("collations of namespaces of Iceberg's catalogs"));
        }
        let new = NewNamespace { if_not_exists, comment, location, properties };
        return Ok(in_iceberg::create(st, &parts, new).await?.unwrap_or_else(Execution::empty));
    }
    let name = st.database(&name).await?;
    if name.eq_ignore_ascii_case(&st.session().global_database()) {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_1066", [("database", name.as_str())]).with_message(format!(
            "{name} is a system preserved database, you cannot create a database with this name."
        )));
    }
    check_properties(&properties)?;
    if let Some("") = location.as_deref() {
        return Err(SparkError::new("INVALID_EMPTY_LOCATION", [("location", "")]));
    }
    if st.catalog().get_database(&name).await?.is_some() {
        if if_not_exists {
            return Ok(Execution::empty());
        }
        return Err(firesteel_catalog::errors::schema_already_exists(&name));
    }
    let location = match location {
        Some(location) => Location::parse(&location)?.to_string(),
        None => {
            let warehouse = st.context.eval.get("spark.sql.warehouse.dir").unwrap_or("spark-warehouse").to_string();
            Location::parse(&warehouse)?.join(&format!("{}.db", name.to_lowercase())).to_string()
        }
    };
    ensure_directory(st, &location).await?;
    let mut database = Database::new(name, location);
    database.comment = comment;
    database.properties = properties;
    database.collation = collation;
    database.owner = st.user();
    st.catalog().create_database(database, if_not_exists).await?;
    Ok(Execution::empty())
}

pub async fn existing(st: &Statement, name: &str) -> Result<Database> {
    st.catalog().get_database(name).await?.ok_or_else(|| firesteel_catalog::errors::schema_not_found(name))
}

pub async fn alter(st: &Statement, name: TableName, action: AlterNamespace) -> Answer {
    if let AlterNamespace::SetProperties(properties) = &action {
        check_properties(properties)?;
    }
    if let Some(done) = in_iceberg::alter(st, &st.name(&name).await?, &action).await? {
        return Ok(done);
    }
    let name = st.database(&name).await?;
    let mut database = existing(st, &name).await?;
    match action {
        AlterNamespace::SetProperties(properties) => database.properties.extend(properties),
        AlterNamespace::UnsetProperties(keys) => database.properties.retain(|key, _| !keys.contains(key)),
        AlterNamespace::SetLocation(location) => {
            if location.is_empty() {
                return Err(SparkError::new("INVALID_EMPTY_LOCATION", [("location", "")]));
            }
            database.location = Location::parse(&location)?.to_string();
        }
        AlterNamespace::SetCollation(collation) => database.collation = Some(collation),
    }
    st.catalog().alter_database(database).await?;
    Ok(Execution::empty())
}

pub async fn drop(st: &Statement, name: TableName, if_exists: bool, cascade: bool) -> Answer {
    if let Some(done) = in_iceberg::drop(st, &st.name(&name).await?, if_exists).await? {
        return Ok(done);
    }
    let name = st.database(&name).await?;
    let Some((database, tables)) = st.catalog().drop_database(&name, if_exists, cascade).await? else {
        return Ok(Execution::empty());
    };
    for table in tables {
        st.session().cache.remove_table(&table.id);
        if let (firesteel_catalog::TableKind::Managed, Some(location)) = (table.kind, &table.location) {
            remove_files(st, location).await?;
        }
    }
    remove_files(st, &database.location).await?;
    let current = st.session().namespace();
    if crate::names::is_session_catalog(&current.catalog) && current.database.eq_ignore_ascii_case(&name) {
        st.session().use_database(firesteel_catalog::DEFAULT_DATABASE);
    }
    Ok(Execution::empty())
}
