//! Temporary views: of one session, or shared by all (`global_temp`).
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::logical_expr::LogicalPlan;
use firesteel_analyze::{Attribute, FileScanRequest};
use firesteel_plan::{Relation, StructType};
use parking_lot::RwLock;

/// A temporary view.
#[derive(Clone)]
pub struct TempView {
    /// As the user wrote it.
    pub name: String,
    pub schema: StructType,
    pub properties: BTreeMap<String, String>,
    pub definition: ViewDefinition,
}

#[derive(Clone)]
pub enum ViewDefinition {
    /// `df.createTempView`: the plan as it was analyzed then.
    Plan { plan: LogicalPlan, output: Vec<Attribute> },
    /// SQL text, analyzed at every use with the configuration and namespace of its creation.
    Sql { query: Arc<Relation>, conf: BTreeMap<String, String>, namespace: Namespace },
    /// `CREATE TEMPORARY VIEW … USING`: files, listed at every use.
    Files { request: FileScanRequest },
}

/// Where one-part names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    pub catalog: String,
    /// In a catalog of Iceberg's all levels, with dots between them
    pub database: String,
}

impl Namespace {
    /// With quotes where they are needed.
    pub fn shown(&self) -> String {
        match crate::names::is_session_catalog(&self.catalog) {
            true => firesteel_plan::identifier::quote_if_needed(&self.database),
            false => self.database.clone(),
        }
    }

    /// The levels of a namespace of one of Iceberg's catalogs.
    pub fn levels(&self) -> Vec<String> {
        match self.database.is_empty() {
            true => vec![],
            false => firesteel_plan::parse_multipart_identifier(&self.database)
                .unwrap_or_else(|_| vec![self.database.clone()]),
        }
    }
}

/// Views by lower-case name.
#[derive(Default)]
pub struct Views(RwLock<BTreeMap<String, Arc<TempView>>>);

/// The views of `global_temp`, shared by the sessions of an engine.
pub type GlobalViews = Views;

impl Views {
    pub fn get(&self, name: &str) -> Option<Arc<TempView>> {
        self.0.read().get(&name.to_lowercase()).cloned()
    }

    /// Adds or replaces; answers false, and changes nothing, where one exists and `replace` is not set.
    pub fn put(&self, view: TempView, replace: bool) -> bool {
        let mut views = self.0.write();
        let key = view.name.to_lowercase();
        if !replace && views.contains_key(&key) {
            return false;
        }
        views.insert(key, Arc::new(view));
        true
    }

    pub fn remove(&self, name: &str) -> Option<Arc<TempView>> {
        self.0.write().remove(&name.to_lowercase())
    }

    pub fn rename(&self, from: &str, to: &str) -> bool {
        let mut views = self.0.write();
        if views.contains_key(&to.to_lowercase()) {
            return false;
        }
        let Some(view) = views.remove(&from.to_lowercase()) else { return false };
        let renamed = TempView { name: to.to_string(), ..(*view).clone() };
        views.insert(to.to_lowercase(), Arc::new(renamed));
        true
    }

    /// Sorted by name.
    pub fn all(&self) -> Vec<Arc<TempView>> {
        self.0.read().values().cloned().collect()
    }

    pub fn fork(&self) -> Self {
        Self(RwLock::new(self.0.read().clone()))
    }

    pub fn clear(&self) {
        self.0.write().clear();
    }
}
