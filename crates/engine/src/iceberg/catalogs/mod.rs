//! Iceberg's own catalogs, which a session names with Spark's keys: `spark.sql.catalog.NAME`, and below it `type` or
//! `catalog-impl`, `warehouse`, `uri` and more.
//!
//! | file | `type` | keeps |
//! |---|---|---|
//! | [`folder`] | `hadoop` | nothing: directories are namespaces and tables |
//! | [`hive`] | `hive` | in a Hive metastore where the newest metadata of each table is |
//! | [`sql`] | `jdbc` | in SQLite or PostgreSQL where the newest metadata of each table is |
//! | [`rest`] | `rest` | the metadata, in a service |
mod folder;
mod hive;
mod rest;
mod sql;
mod vended;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_catalog::{Renamed, SESSION_CATALOG};
use firesteel_lake::iceberg::TableHome;
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{JavaException, Result, SparkError};
use firesteel_storage::Location;

use crate::context::StatementContext;
use crate::names::is_session_catalog;

/// What makes a session's setting `spark.sql.catalog.NAME` one of Iceberg's.
const CATALOG_CLASS: &str = "org.apache.iceberg.spark.SparkCatalog";
const PREFIX: &str = "spark.sql.catalog.";
/// The types of catalogs by the classes that `catalog-impl` may name.
const CLASSES: &[(&str, &str)] = &[
    ("org.apache.iceberg.hadoop.HadoopCatalog", "hadoop"),
    ("org.apache.iceberg.hive.HiveCatalog", "hive"),
    ("org.apache.iceberg.jdbc.JdbcCatalog", "jdbc"),
    ("org.apache.iceberg.rest.RESTCatalog", "rest"),
];

pub type Properties = BTreeMap<String, String>;

/// One of Iceberg's catalogs. Namespaces and tables are named without the catalog.
#[async_trait]
pub trait IcebergCatalog: Send + Sync {
    /// Where a table is, or would be.
    fn home(&self, name: &[String]) -> Result<TableHome>;

    /// The namespaces right below one, or all at the top.
    async fn namespaces(&self, parent: &[String]) -> Result<Vec<Vec<String>>>;

    /// Properties. `None`: there is no such namespace.
    async fn namespace(&self, namespace: &[String]) -> Result<Option<Properties>>;

    /// `false`: there is one already.
    async fn create_namespace(&self, namespace: &[String], properties: Properties) -> Result<bool>;

    async fn set_properties(&self, namespace: &[String], set: &Properties, removed: &[String]) -> Result<()>;

    /// `false`: there is none. `SCHEMA_NOT_EMPTY` where it holds something.
    async fn drop_namespace(&self, namespace: &[String]) -> Result<bool>;

    async fn tables(&self, namespace: &[String]) -> Result<Vec<String>>;

    async fn rename(&self, from: &[String], to: &[String]) -> Result<Renamed>;
}

/// A catalog of Iceberg's and a name in it.
pub struct InCatalog {
    pub name: String,
    pub catalog: Arc<dyn IcebergCatalog>,
    /// A table, or a namespace; without the catalog's name
    pub rest: Vec<String>,
}

impl InCatalog {
    /// The whole name.
    pub fn full_name(&self) -> Vec<String> {
        std::iter::once(&self.name).chain(&self.rest).cloned().collect()
    }

    pub fn no_namespace(&self) -> SparkError {
        SparkError::new("SCHEMA_NOT_FOUND", [("schemaName", quoted_name(&self.full_name()))])
    }
}

impl StatementContext {
    /// Whether a name is that of one of Iceberg's catalogs.
    pub fn is_iceberg_catalog(&self, name: &str) -> bool {
        self.eval.get(&format!("{PREFIX}{name}")) == Some(CATALOG_CLASS)
    }

    /// Names of the catalogs that there are.
    pub fn catalogs(&self) -> Vec<String> {
        let own = self.eval.conf.iter().filter(|(_, value)| value.as_str() == CATALOG_CLASS);
        let own = own.filter_map(|(key, _)| key.strip_prefix(PREFIX)).filter(|name| !name.contains('.'));
        let mut all: Vec<String> = own.map(str::to_string).chain([SESSION_CATALOG.to_string()]).collect();
        all.sort();
        all
    }

    /// The catalog of a table's name, which may be one that is written without it. `None`: none of Iceberg's.
    pub fn in_iceberg_catalog(&self, name: &[String]) -> Result<Option<InCatalog>> {
        let Some((first, rest)) = name.split_first() else { return Ok(None) };
        if self.is_iceberg_catalog(first) && !rest.is_empty() {
            return self.iceberg_catalog(first, rest.to_vec()).map(Some);
        }
        let current = &self.namespace.catalog;
        let is_temporary = rest.is_empty() && self.session.views.get(first).is_some();
        let is_elsewhere = is_session_catalog(current) || (is_session_catalog(first) && !rest.is_empty());
        // ``parquet.`/a/path` ``
        let is_path = rest.last().is_some_and(|last| last.contains('/'));
        if is_elsewhere || is_temporary || is_path || self.session.global_view(name).is_some() {
            return Ok(None);
        }
        let mut levels = if rest.is_empty() { self.namespace.levels() } else { vec![] };
        levels.extend(name.iter().cloned());
        self.iceberg_catalog(current, levels).map(Some)
    }

    /// The catalog of a namespace's name; no name is the current namespace. `None`: none of Iceberg's.
    pub fn iceberg_namespace(&self, name: &[String]) -> Result<Option<InCatalog>> {
        let current = &self.namespace.catalog;
        match name.split_first() {
            Some((first, rest)) if self.is_iceberg_catalog(first) => {
                self.iceberg_catalog(first, rest.to_vec()).map(Some)
            }
            Some((first, _)) if is_session_catalog(first) => Ok(None),
            _ if is_session_catalog(current) => Ok(None),
            Some(_) => self.iceberg_catalog(current, name.to_vec()).map(Some),
            None => self.iceberg_catalog(current, self.namespace.levels()).map(Some),
        }
    }

    /// Where a table of one of Iceberg's catalogs is, and its whole name. `None`: the name belongs to no such catalog.
    pub fn iceberg_home(&self, name: &[String]) -> Result<Option<(Vec<String>, TableHome)>> {
        let Some(found) = self.in_iceberg_catalog(name)? else { return Ok(None) };
        Ok(Some((found.full_name(), found.catalog.home(&found.rest)?)))
    }

    fn iceberg_catalog(&self, name: &str, rest: Vec<String>) -> Result<InCatalog> {
        let settings = Settings::of(self, name);
        self.check_iceberg_catalog(&settings)?;
        let kind = settings.kind();
        let catalog: Arc<dyn IcebergCatalog> = match kind.to_ascii_lowercase().as_str() {
            "hadoop" => Arc::new(folder::Folder { warehouse: settings.warehouse()?, storage: self.storage() }),
            "hive" => {
                // What stands beside the catalog's own keys is the server's too where those have to be.
                let is_limited = self.session.allowed_places().is_some();
                let conf = if is_limited { self.session.engine().conf() } else { &self.eval.conf };
                Arc::new(hive::Hive::open(hive::HiveSettings::of(&settings, conf, &self.eval.current_user)?)?)
            }
            "jdbc" => Arc::new(sql::Sql::open(&settings, &self.storage())?),
            "rest" => Arc::new(rest::Rest::open(settings.properties.clone())),
            _ => return Err(SparkError::unsupported(format!("Iceberg catalogs of type {kind} (catalog {name})"))),
        };
        Ok(InCatalog { name: name.to_string(), catalog, rest })
    }

    /// A session that may reach some places alone asks no other service than those that the server was started with.
    fn check_iceberg_catalog(&self, settings: &Settings) -> Result<()> {
        let is_limited = self.session.allowed_places().is_some();
        let is_servers = || Settings::among(self.session.engine().conf(), &settings.name) == settings.properties;
        match !is_limited || settings.kind().eq_ignore_ascii_case("hadoop") || is_servers() {
            true => Ok(()),
            false => Err(SparkError::new("PERMISSION_DENIED", [("path", format!("{PREFIX}{}", settings.name))])),
        }
    }
}

/// What a session says of a catalog.
struct Settings {
    name: String,
    /// Without what each key begins with
    properties: Properties,
}

impl Settings {
    fn of(context: &StatementContext, name: &str) -> Self {
        Self { name: name.to_string(), properties: Self::among(&context.eval.conf, name) }
    }

    fn among(conf: &BTreeMap<String, String>, name: &str) -> Properties {
        let prefix = format!("{PREFIX}{name}.");
        let own = conf.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        own.map(|(key, value)| (key[prefix.len()..].to_string(), value.clone())).collect()
    }

    fn kind(&self) -> &str {
        let get = |key: &str| self.properties.get(key).map(String::as_str);
        let class = get("catalog-impl");
        let known = class.and_then(|class| CLASSES.iter().find(|(known, _)| *known == class)).map(|(_, kind)| *kind);
        known.or(class).or(get("type")).unwrap_or("hive")
    }

    fn required(&self, key: &str) -> Result<&str> {
        let missing =
            || SparkError::java(JavaException::IllegalArgument, format!("{PREFIX}{}.{key} is not set", self.name));
        self.properties.get(key).map(String::as_str).ok_or_else(missing)
    }

    fn warehouse(&self) -> Result<Location> {
        Location::parse(self.required("warehouse")?)
    }
}
