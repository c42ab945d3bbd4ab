//! Session variables, and the local variables of scripts.
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::value_text;
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{DataType, SparkError};
use parking_lot::RwLock;

/// A typed value with a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// As it was declared.
    pub name: String,
    pub data_type: DataType,
    pub value: ScalarValue,
    /// What `SET VAR x = DEFAULT` sets it to.
    pub default: ScalarValue,
}

impl Variable {
    pub fn typed(&self, name: &[String]) -> TypedExpr {
        let shown = name.last().cloned().unwrap_or_else(|| self.name.clone());
        TypedExpr::literal(self.value.clone(), self.data_type.clone(), shown).with_nullable(true)
    }

    /// A session variable, shown as Spark shows one inside an expression: with its value.
    pub fn reference(&self) -> TypedExpr {
        let value = match &self.value {
            null if null.is_null() => format!("CAST(NULL AS {})", self.data_type.sql()),
            ScalarValue::Boolean(Some(flag)) => flag.to_string(),
            ScalarValue::Date32(_) => format!("DATE '{}'", self.value),
            other => other.to_array().map(|array| value_text(&array, 0, &self.data_type)).unwrap_or_default(),
        };
        self.typed(&[format!("variablereference(system.session.{}={value})", self.name)])
    }
}

/// The variables of a session, by lower-case name.
#[derive(Debug, Default)]
pub struct Variables(RwLock<BTreeMap<String, Variable>>);

/// The name within `session`, where the parts are `v`, `session.v` or `system.session.v`.
pub fn session_name(name: &[String]) -> Option<String> {
    let is = |part: &String, word: &str| part.eq_ignore_ascii_case(word);
    match name {
        [variable] => Some(variable.to_lowercase()),
        [schema, variable] if is(schema, "session") => Some(variable.to_lowercase()),
        [catalog, schema, variable] if is(catalog, "system") && is(schema, "session") => Some(variable.to_lowercase()),
        _ => None,
    }
}

impl Variables {
    pub fn get(&self, name: &[String]) -> Option<Variable> {
        self.0.read().get(&session_name(name)?).cloned()
    }

    /// False where it exists and `replace` is not set.
    pub fn declare(&self, variable: Variable, replace: bool) -> bool {
        let mut variables = self.0.write();
        let key = variable.name.to_lowercase();
        if !replace && variables.contains_key(&key) {
            return false;
        }
        variables.insert(key, variable);
        true
    }

    pub fn set(&self, name: &[String], value: ScalarValue) -> bool {
        let Some(key) = session_name(name) else { return false };
        match self.0.write().get_mut(&key) {
            Some(variable) => {
                variable.value = value;
                true
            }
            None => false,
        }
    }

    pub fn drop(&self, name: &[String]) -> bool {
        session_name(name).is_some_and(|key| self.0.write().remove(&key).is_some())
    }

    pub fn fork(&self) -> Self {
        Self(RwLock::new(self.0.read().clone()))
    }

    pub fn clear(&self) {
        self.0.write().clear();
    }
}

/// The compound statements around the running one, outermost first, each with its label and variables.
#[derive(Debug, Clone, Default)]
pub struct Scopes(Arc<RwLock<Vec<Scope>>>);

#[derive(Debug, Default)]
struct Scope {
    label: String,
    variables: BTreeMap<String, Variable>,
}

impl Scopes {
    pub fn is_script(&self) -> bool {
        !self.0.read().is_empty()
    }

    pub fn enter(&self, label: &str) {
        self.0.write().push(Scope { label: label.to_lowercase(), ..Default::default() });
    }

    pub fn depth(&self) -> usize {
        self.0.read().len()
    }

    pub fn truncate(&self, depth: usize) {
        self.0.write().truncate(depth);
    }

    /// False where the innermost scope has one of that name.
    pub fn declare(&self, variable: Variable, replace: bool) -> bool {
        let mut scopes = self.0.write();
        let Some(scope) = scopes.last_mut() else { return false };
        let key = variable.name.to_lowercase();
        if !replace && scope.variables.contains_key(&key) {
            return false;
        }
        scope.variables.insert(key, variable);
        true
    }

    pub fn get(&self, name: &[String]) -> Option<Variable> {
        let scopes = self.0.read();
        let scope = scopes.iter().rev().find(|scope| scope.holds(name))?;
        scope.variables.get(&name.last()?.to_lowercase()).cloned()
    }

    pub fn set(&self, name: &[String], value: ScalarValue) -> bool {
        let mut scopes = self.0.write();
        let (Some(scope), Some(last)) = (scopes.iter_mut().rev().find(|scope| scope.holds(name)), name.last()) else {
            return false;
        };
        match scope.variables.get_mut(&last.to_lowercase()) {
            Some(variable) => {
                variable.value = value;
                true
            }
            None => false,
        }
    }
}

impl Scope {
    fn holds(&self, name: &[String]) -> bool {
        match name {
            [variable] => self.variables.contains_key(&variable.to_lowercase()),
            [label, variable] => {
                self.label == label.to_lowercase() && self.variables.contains_key(&variable.to_lowercase())
            }
            _ => false,
        }
    }
}

pub fn not_found(name: &[String]) -> SparkError {
    SparkError::new(
        "UNRESOLVED_VARIABLE",
        [("variableName", quoted_name(name)), ("searchPath", "`SYSTEM`.`SESSION`".to_string())],
    )
}
