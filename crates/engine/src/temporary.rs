//! Temporary objects that a text uses: what a view or function that is kept must not.
use std::sync::Arc;

use firesteel_plan::SparkError;
use firesteel_plan::identifier::quoted_name;
use parking_lot::Mutex;

/// A kind of object, by Spark's word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemporaryKind {
    View,
    Function,
    Variable,
}

/// Notes the temporary objects that an analysis meets. Clones share their notes.
#[derive(Debug, Clone, Default)]
pub struct TemporaryUses(Arc<Mutex<Vec<(TemporaryKind, Vec<String>)>>>);

impl TemporaryUses {
    pub fn note(&self, kind: TemporaryKind, name: &[String]) {
        self.0.lock().push((kind, name.to_vec()));
    }

    pub fn views(&self) -> bool {
        self.0.lock().iter().any(|(kind, _)| *kind == TemporaryKind::View)
    }

    /// The error of a kept object (`VIEW` or `FUNCTION`) of that quoted name, where something temporary was met.
    pub fn refused_in(&self, object: &str, object_name: &str) -> Option<SparkError> {
        let uses = self.0.lock();
        let of_kind = |wanted: TemporaryKind| uses.iter().find(|(kind, _)| *kind == wanted);
        let (kind, name) = of_kind(TemporaryKind::View)
            .or_else(|| of_kind(TemporaryKind::Function))
            .or_else(|| of_kind(TemporaryKind::Variable))?;
        let word = match kind {
            TemporaryKind::View => "VIEW",
            TemporaryKind::Function => "FUNCTION",
            TemporaryKind::Variable => "VARIABLE",
        };
        Some(SparkError::new(
            "INVALID_TEMP_OBJ_REFERENCE",
            [
                ("obj", object.to_string()),
                ("objName", object_name.to_string()),
                ("tempObj", word.to_string()),
                ("tempObjName", quoted_name(name)),
            ],
        ))
    }
}
