//! SQL functions: temporary ones of a session, and what a persistent one's definition says.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_plan::statement::SqlFunctionDefinition;
use parking_lot::RwLock;

use crate::views::Namespace;

/// `CREATE TEMPORARY FUNCTION`
#[derive(Debug, Clone)]
pub struct TemporaryFunction {
    pub name: String,
    pub definition: SqlFunctionDefinition,
    pub namespace: Namespace,
    pub conf: BTreeMap<String, String>,
}

/// By lower-case name.
#[derive(Debug, Default)]
pub struct TemporaryFunctions(RwLock<BTreeMap<String, Arc<TemporaryFunction>>>);

impl TemporaryFunctions {
    pub fn get(&self, name: &str) -> Option<Arc<TemporaryFunction>> {
        self.0.read().get(&name.to_lowercase()).cloned()
    }

    /// False where it exists and `replace` is not set.
    pub fn put(&self, function: TemporaryFunction, replace: bool) -> bool {
        let mut functions = self.0.write();
        let key = function.name.to_lowercase();
        if !replace && functions.contains_key(&key) {
            return false;
        }
        functions.insert(key, Arc::new(function));
        true
    }

    pub fn remove(&self, name: &str) -> bool {
        self.0.write().remove(&name.to_lowercase()).is_some()
    }

    pub fn all(&self) -> Vec<Arc<TemporaryFunction>> {
        self.0.read().values().cloned().collect()
    }

    pub fn fork(&self) -> Self {
        Self(RwLock::new(self.0.read().clone()))
    }

    pub fn clear(&self) {
        self.0.write().clear();
    }
}
