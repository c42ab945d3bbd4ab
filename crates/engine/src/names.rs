//! Names of tables and views: what `a`, `a.b` and `a.b.c` mean in a session.
use std::sync::Arc;

use firesteel_catalog::{SESSION_CATALOG, TableId};
use firesteel_plan::identifier::{qualified_name, quoted_name};
use firesteel_plan::{Result, SparkError};

use crate::session::Session;
use crate::views::{Namespace, TempView};

/// What a name stands for. The object need not exist.
#[derive(Clone)]
pub enum Resolved {
    /// A temporary view of the session.
    Temp(Arc<TempView>),
    /// A view of `global_temp`.
    Global(Arc<TempView>),
    Table(TableId),
}

impl Session {
    /// The database of global temporary views.
    pub(crate) fn global_database(&self) -> String {
        self.conf.get("spark.sql.globalTempDatabase").unwrap_or_else(|| "global_temp".into()).to_lowercase()
    }

    /// The view or table that `name` means; a temporary view comes first.
    pub(crate) fn resolve(&self, name: &[String], namespace: &Namespace) -> Result<Resolved> {
        if let [view] = name
            && let Some(view) = self.views.get(view)
        {
            return Ok(Resolved::Temp(view));
        }
        if let Some(view) = self.global_view(name) {
            return Ok(Resolved::Global(view));
        }
        self.table_id(name, namespace).map(Resolved::Table)
    }

    pub(crate) fn global_view(&self, name: &[String]) -> Option<Arc<TempView>> {
        match name {
            [database, view] if database.to_lowercase() == self.global_database() => {
                self.engine.shared.global_views.get(view)
            }
            _ => None,
        }
    }

    /// The table's place in the catalog, whether or not it exists.
    pub(crate) fn table_id(&self, name: &[String], namespace: &Namespace) -> Result<TableId> {
        match name {
            [] | [_] | [_, _] if !is_session_catalog(&namespace.catalog) => Err(in_other_catalog(&namespace.catalog)),
            [table] => Ok(TableId::new(&namespace.database, table)),
            [database, table] => Ok(TableId::new(database, table)),
            [catalog, database, table] if is_session_catalog(catalog) => Ok(TableId::new(database, table)),
            [catalog, rest @ ..] if is_session_catalog(catalog) && !rest.is_empty() => {
                Err(single_part_namespace(&rest[..rest.len() - 1]))
            }
            [namespace @ .., _] => Err(single_part_namespace(namespace)),
            [] => Err(SparkError::internal("an empty table name")),
        }
    }

    /// The database that `name` means.
    pub(crate) fn database_name(&self, name: &[String]) -> Result<String> {
        let current = self.namespace().catalog;
        match name {
            [_] if !is_session_catalog(&current) => Err(in_other_catalog(&current)),
            [database] => Ok(database.clone()),
            [catalog, database] if is_session_catalog(catalog) => Ok(database.clone()),
            [catalog, rest @ ..] if is_session_catalog(catalog) => Err(single_part_namespace(rest)),
            _ => Err(single_part_namespace(name)),
        }
    }
}

pub fn is_session_catalog(name: &str) -> bool {
    name.eq_ignore_ascii_case(SESSION_CATALOG)
}

/// What the statement is about would be in a catalog that does not have such things.
pub fn in_other_catalog(catalog: &str) -> SparkError {
    SparkError::unsupported(format!("this statement in the catalog {catalog}"))
}

fn single_part_namespace(namespace: &[String]) -> SparkError {
    SparkError::new(
        "REQUIRES_SINGLE_PART_NAMESPACE",
        [("sessionCatalog", SESSION_CATALOG.to_string()), ("namespace", quoted_name(namespace))],
    )
}

/// `spark_catalog.default.t`
pub fn show_id(id: &TableId) -> String {
    qualified_name(&[SESSION_CATALOG, &id.database, &id.name])
}

/// `` `spark_catalog`.`default`.`t` ``
pub fn quote_id(id: &TableId) -> String {
    quoted_name(&[SESSION_CATALOG, &id.database, &id.name])
}

/// `search_path` is where the statement looked.
pub fn table_not_found(name: &[impl AsRef<str>], search_path: String) -> SparkError {
    SparkError::new("TABLE_OR_VIEW_NOT_FOUND", [("relationName", quoted_name(name)), ("searchPath", search_path)])
}
