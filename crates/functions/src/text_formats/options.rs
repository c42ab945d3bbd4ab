//! The options of one read or write: keys without regard to case, as in Spark.
use std::collections::BTreeMap;

use firesteel_plan::{Result, SparkError};

use super::numbers::parse_flag;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct FormatOptions {
    /// lower-case key → (key as given, value)
    entries: BTreeMap<String, (String, String)>,
}

impl FormatOptions {
    pub fn new<K: Into<String>, V: Into<String>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        let keyed = |(key, value): (K, V)| {
            let key: String = key.into();
            (key.to_lowercase(), (key, value.into()))
        };
        Self { entries: entries.into_iter().map(keyed).collect() }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(&key.to_lowercase()).map(|(_, value)| value.as_str())
    }

    /// The first of several spellings that is given.
    pub fn any(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(text) => parse_flag(text).ok_or_else(|| invalid(key, text, "a boolean")),
        }
    }

    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        self.get(key).map(|text| text.trim().parse().map_err(|_| invalid(key, text, "an integer"))).transpose()
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        self.get(key).map(|text| text.trim().parse().map_err(|_| invalid(key, text, "a number"))).transpose()
    }

    /// Keys as given, and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.values().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn invalid(key: &str, value: &str, expected: &str) -> SparkError {
    SparkError::new(
        "_LEGACY_ERROR_TEMP_2045",
        [("message", format!("Option {key} must be {expected}, not \"{value}\""))],
    )
}
