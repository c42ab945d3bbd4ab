//! Configuration of a session: the engine's values, and what the session has set on top.
use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// Keys with the values they have where nobody sets them. The full registry of keys belongs to the front door; these are
/// what the engine itself reads.
pub const DEFAULTS: &[(&str, &str)] = &[
    ("spark.sql.adaptive.enabled", "true"),
    ("spark.sql.ansi.enabled", "true"),
    ("spark.sql.autoBroadcastJoinThreshold", "10485760b"),
    ("spark.sql.caseSensitive", "false"),
    ("spark.sql.catalog.spark_catalog.defaultDatabase", "default"),
    ("spark.sql.defaultCatalog", "spark_catalog"),
    ("spark.sql.globalTempDatabase", "global_temp"),
    ("spark.sql.session.timeZone", "UTC"),
    ("spark.sql.shuffle.partitions", "200"),
    ("spark.sql.sources.default", "parquet"),
    ("spark.sql.sources.partitionOverwriteMode", "STATIC"),
    ("spark.sql.storeAssignmentPolicy", "ANSI"),
    ("spark.sql.variable.substitute", "true"),
];

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

fn merge(base: &BTreeMap<String, String>, overrides: &BTreeMap<String, String>) -> Arc<BTreeMap<String, String>> {
    let mut all: BTreeMap<_, _> = DEFAULTS.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    all.extend(base.clone());
    all.extend(overrides.clone());
    Arc::new(all)
}

/// A size as Spark writes it: `10485760`, `10m`, `1.5g`… Bare numbers are bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.trim().parse().ok()?;
    let scale = match &text[digits.len()..] {
        "" | "b" => 1u64,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        "t" | "tb" => 1 << 40,
        "p" | "pb" => 1 << 50,
        _ => return None,
    };
    (number >= 0.0).then_some((number * scale as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("10485760b"), Some(10 << 20));
        assert_eq!(parse_bytes(" 1g "), Some(1 << 30));
        assert_eq!(parse_bytes("-1"), None);
        assert_eq!(parse_bytes("é"), None);
    }
}
