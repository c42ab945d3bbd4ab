//! Namespaces of Iceberg's catalogs, and the names of tables in them. Each answers `None` where a name belongs to another
//! catalog.
use std::collections::BTreeMap;

use firesteel_catalog::{Renamed, matches_pattern};
use firesteel_plan::identifier::{quote_if_needed, quoted_name};
use firesteel_plan::statement::AlterNamespace;
use firesteel_plan::{DataType, Result, SparkError};

use crate::commands::Statement;
use crate::execution::Execution;
use crate::iceberg::InCatalog;
use crate::rows::Rows;

const COMMENT: &str = "comment";
const LOCATION: &str = "location";
const OWNER: &str = "owner";
/// Properties that have a line of their own in DESCRIBE NAMESPACE
const RESERVED: [&str; 3] = [COMMENT, LOCATION, OWNER];

type Properties = BTreeMap<String, String>;

/// `a.b`, with quotes where they are needed
pub fn shown(levels: &[String]) -> String {
    levels.iter().map(|level| quote_if_needed(level)).collect::<Vec<_>>().join(".")
}

/// The namespace of a name, which has to be there.
pub async fn existing(found: &InCatalog) -> Result<Properties> {
    match found.catalog.namespace(&found.rest).await? {
        Some(properties) => Ok(properties),
        None => Err(found.no_namespace()),
    }
}

/// The catalog itself is no namespace that a statement could change.
fn named(st: &Statement, name: &[String]) -> Result<Option<InCatalog>> {
    match st.context.iceberg_namespace(name)? {
        Some(found) if found.rest.is_empty() => {
            Err(SparkError::unsupported(format!("a namespace without a name in the catalog {}", found.name)))
        }
        found => Ok(found),
    }
}

/// What CREATE NAMESPACE says of a namespace.
pub struct NewNamespace {
    pub if_not_exists: bool,
    pub comment: Option<String>,
    pub location: Option<String>,
    pub properties: Properties,
}

pub async fn create(st: &Statement, name: &[String], new: NewNamespace) -> Result<Option<Execution>> {
    let Some(found) = named(st, name)? else { return Ok(None) };
    let mut properties = new.properties;
    properties.extend(new.comment.map(|comment| (COMMENT.into(), comment)));
    properties.extend(new.location.map(|location| (LOCATION.into(), location)));
    properties.insert(OWNER.into(), st.user());
    if found.catalog.namespace(&found.rest).await?.is_some()
        || !found.catalog.create_namespace(&found.rest, properties).await?
    {
        return match new.if_not_exists {
            true => Ok(Some(Execution::empty())),
            false => Err(firesteel_catalog::errors::schema_already_exists(&shown(&found.rest))),
        };
    }
    Ok(Some(Execution::empty()))
}

pub async fn alter(st: &Statement, name: &[String], action: &AlterNamespace) -> Result<Option<Execution>> {
    let Some(found) = named(st, name)? else { return Ok(None) };
    existing(&found).await?;
    let (set, removed) = match action {
        AlterNamespace::SetProperties(properties) => (properties.clone(), vec![]),
        AlterNamespace::UnsetProperties(keys) => (Properties::new(), keys.clone()),
        AlterNamespace::SetLocation(location) => (Properties::from([(LOCATION.into(), location.clone())]), vec![]),
        AlterNamespace::SetCollation(_) => {
            return Err(SparkError::unsupported("collations of namespaces of Iceberg's catalogs"));
        }
    };
    found.catalog.set_properties(&found.rest, &set, &removed).await?;
    Ok(Some(Execution::empty()))
}

pub async fn comment(st: &Statement, name: &[String], text: Option<&str>) -> Result<Option<Execution>> {
    let set = Properties::from([(COMMENT.to_string(), text.unwrap_or_default().to_string())]);
    alter(st, name, &AlterNamespace::SetProperties(set)).await
}

/// CASCADE does not take tables along, as with Iceberg in Spark.
pub async fn drop(st: &Statement, name: &[String], if_exists: bool) -> Result<Option<Execution>> {
    let Some(found) = named(st, name)? else { return Ok(None) };
    match found.catalog.drop_namespace(&found.rest).await? || if_exists {
        true => Ok(Some(Execution::empty())),
        false => Err(found.no_namespace()),
    }
}

pub async fn describe(st: &Statement, name: &[String], extended: bool) -> Result<Option<Rows>> {
    let Some(found) = named(st, name)? else { return Ok(None) };
    let mut properties = existing(&found).await?;
    let mut rows = Rows::new(&[("info_name", DataType::STRING, false), ("info_value", DataType::STRING, true)])
        .commented(&["name of the namespace info", "value of the namespace info"]);
    rows.push(vec!["Catalog Name".into(), found.name.clone().into()]);
    rows.push(vec!["Namespace Name".into(), found.rest.last().cloned().unwrap_or_default().into()]);
    for key in RESERVED {
        if let Some(value) = properties.remove(key) {
            let mut title = key.to_string();
            title[..1].make_ascii_uppercase();
            rows.push(vec![title.into(), value.into()]);
        }
    }
    if extended {
        let pairs: Vec<_> = properties.iter().map(|(k, v)| format!("({k},{})", firesteel_conf::redact(k, v))).collect();
        let text = if pairs.is_empty() { String::new() } else { format!("({})", pairs.join(", ")) };
        rows.push(vec!["Properties".into(), text.into()]);
    }
    Ok(Some(rows))
}

/// The namespaces right below a catalog or a namespace.
pub async fn list(st: &Statement, parent: &[String], pattern: Option<&str>) -> Result<Option<Vec<Vec<String>>>> {
    let Some(mut found) = st.context.iceberg_namespace(parent)? else { return Ok(None) };
    // Without a name it is the current catalog that is asked.
    if parent.is_empty() {
        found.rest.clear();
    }
    if !found.rest.is_empty() {
        existing(&found).await?;
    }
    let matches = |levels: &Vec<String>| {
        pattern.is_none_or(|pattern| levels.last().is_some_and(|last| matches_pattern(pattern, last)))
    };
    Ok(Some(found.catalog.namespaces(&found.rest).await?.into_iter().filter(matches).collect()))
}

pub async fn show(st: &Statement, parent: &[String], pattern: Option<&str>) -> Result<Option<Rows>> {
    let found = list(st, parent, pattern).await?;
    Ok(found.map(|all| Rows::texts(&["namespace"]).with(all.iter().map(|levels| vec![shown(levels).into()]))))
}

/// A namespace and its tables.
pub async fn tables(
    st: &Statement,
    namespace: &[String],
    pattern: Option<&str>,
) -> Result<Option<(InCatalog, Vec<String>)>> {
    let Some(found) = st.context.iceberg_namespace(namespace)? else { return Ok(None) };
    if !found.rest.is_empty() {
        existing(&found).await?;
    }
    let mut names = found.catalog.tables(&found.rest).await?;
    names.retain(|name| pattern.is_none_or(|pattern| matches_pattern(pattern, name)));
    Ok(Some((found, names)))
}

/// USE: the catalog and the namespace that names without them are looked up in from now on.
pub async fn use_namespace(st: &Statement, name: &[String]) -> Result<Option<()>> {
    let Some(found) = st.context.iceberg_namespace(name)? else { return Ok(None) };
    if !found.rest.is_empty() {
        existing(&found).await?;
    }
    st.session().use_catalog(&found.name, &shown(&found.rest));
    Ok(Some(()))
}

/// ALTER TABLE … RENAME TO: a name without a namespace stays in that of the table.
pub async fn rename(st: &Statement, from: &[String], to: &[String]) -> Result<Option<Execution>> {
    let Some(found) = st.context.in_iceberg_catalog(from)? else { return Ok(None) };
    let target: Vec<String> = match to {
        [one] => {
            let namespace = found.rest.split_last().map(|(_, namespace)| namespace).unwrap_or_default();
            namespace.iter().chain([one]).cloned().collect()
        }
        [catalog, rest @ ..] if *catalog == found.name && rest.len() > 1 => rest.to_vec(),
        _ => to.to_vec(),
    };
    let namespace = target.split_last().map(|(_, namespace)| namespace.to_vec()).unwrap_or_default();
    let outcome = match found.catalog.namespace(&namespace).await? {
        None => {
            let missing = InCatalog { rest: namespace, ..found };
            return Err(missing.no_namespace());
        }
        Some(_) => found.catalog.rename(&found.rest, &target).await?,
    };
    st.session().cache.invalidate_relations();
    match outcome {
        Renamed::Done => Ok(Some(Execution::empty())),
        Renamed::Missing => Err(st.table_not_found(&found.full_name())),
        Renamed::Taken => {
            Err(SparkError::new("TABLE_OR_VIEW_ALREADY_EXISTS", [("relationName", quoted_name(&target))]))
        }
    }
}
