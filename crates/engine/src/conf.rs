//! Configuration of a session: the engine's values, and what the session has set on top.
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;

/// Values of `spark.*` and other keys. A value is looked up in the session, then in the engine, then in the defaults.
#[derive(Debug)]
pub struct SessionConf {
    base: Arc<BTreeMap<String, String>>,
    overrides: RwLock<BTreeMap<String, String>>,
    /// All of them merged; rebuilt when one changes, shared by every statement until then.
    merged: RwLock<Arc<BTreeMap<String, String>>>,
}

impl SessionConf {
    pub fn new(base: Arc<BTreeMap<String, String>>) -> Self {
        Self::with_overrides(base, BTreeMap::new())
    }

    fn with_overrides(base: Arc<BTreeMap<String, String>>, overrides: BTreeMap<String, String>) -> Self {
        let merged = RwLock::new(merge(&base, &overrides));
        Self { base, overrides: RwLock::new(overrides), merged }
    }

    /// A copy for a cloned session: later changes on either side do not meet.
    pub fn fork(&self) -> Self {
        Self::with_overrides(Arc::clone(&self.base), self.overrides.read().clone())
    }

    pub fn get(&self, key: &str) -> Option<String> {
        self.merged.read().get(key).cloned()
    }

    /// Whether the session or the engine's start set the key (a default does not count).
    pub fn is_set(&self, key: &str) -> bool {
        self.overrides.read().contains_key(key) || self.base.contains_key(key)
    }

    /// Whether a boolean key is true; an unset key is `default`.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
    }

    pub fn set(&self, key: impl Into<String>, value: impl Into<String>) {
        self.change(|overrides| {
            overrides.insert(key.into(), value.into());
        });
    }

    pub fn unset(&self, key: &str) {
        self.change(|overrides| {
            overrides.remove(key);
        });
    }

    /// Back to the engine's values (`RESET`).
    pub fn reset(&self) {
        self.change(BTreeMap::clear);
    }

    fn change(&self, edit: impl FnOnce(&mut BTreeMap<String, String>)) {
        let mut overrides = self.overrides.write();
        edit(&mut overrides);
        *self.merged.write() = merge(&self.base, &overrides);
    }

    /// Every key with a value, defaults included.
    pub fn all(&self) -> Arc<BTreeMap<String, String>> {
        Arc::clone(&self.merged.read())
    }

    /// What the session or the engine's start set.
    pub fn explicit(&self) -> BTreeMap<String, String> {
        let mut values = (*self.base).clone();
        values.extend(self.overrides.read().clone());
        values
    }
}

/// What the registry says of keys that nobody sets.
static DEFAULTS: LazyLock<Arc<BTreeMap<String, String>>> = LazyLock::new(|| {
    let default =
        |key: &firesteel_conf::Key| Some((key.name.to_string(), firesteel_conf::default_value(key.name, &|_| None)?));
    Arc::new(firesteel_conf::all().iter().filter_map(default).collect())
});

fn merge(base: &BTreeMap<String, String>, overrides: &BTreeMap<String, String>) -> Arc<BTreeMap<String, String>> {
    let mut all = (**DEFAULTS).clone();
    all.extend(base.clone());
    all.extend(overrides.clone());
    Arc::new(all)
}
