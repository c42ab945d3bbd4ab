//! Hadoop's keys among the settings of a session.
mod client;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use firesteel_plan::{JavaException, Result, SparkError};

pub(crate) use client::{ClientKeys, ProxyKeys, client};

/// What Spark puts before Hadoop's keys.
pub(crate) const SPARK_PREFIX: &str = "spark.hadoop.";

/// The settings of a store: a key is looked for with each prefix in turn, and with and without `spark.hadoop.`.
#[derive(Clone)]
pub(crate) struct Keys<'a> {
    settings: &'a BTreeMap<String, String>,
    /// The most specific first.
    prefixes: Vec<String>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(settings: &'a BTreeMap<String, String>, prefixes: impl IntoIterator<Item = String>) -> Self {
        Self { settings, prefixes: prefixes.into_iter().collect() }
    }

    /// The value of a key, without blanks around it; an empty value is none.
    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.prefixes.iter().find_map(|prefix| {
            let name = format!("{prefix}{key}");
            // What a session or a request sets by Hadoop's own name stands above what the server was started with.
            let value = self.settings.get(&name).or_else(|| self.settings.get(&format!("{SPARK_PREFIX}{name}")));
            value.map(|value| value.trim()).filter(|value| !value.is_empty())
        })
    }

    /// The value of the first of `keys` that has one.
    pub(crate) fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.text(key))
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        self.parsed(key, "true or false", |text| text.to_ascii_lowercase().parse().ok()).map(|v| v.unwrap_or(default))
    }

    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>> {
        self.parsed(key, "a number", |text| text.parse().ok())
    }

    /// `15s`, `200ms`, `5m`; a number alone is milliseconds, as with Hadoop.
    pub(crate) fn duration(&self, key: &str) -> Result<Option<Duration>> {
        self.parsed(key, "a duration", values::duration)
    }

    /// `64M`, `1g`; a number alone is bytes.
    pub(crate) fn bytes(&self, key: &str) -> Result<Option<usize>> {
        self.parsed(key, "a size", values::bytes)
    }

    fn parsed<T>(&self, key: &str, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Option<T>> {
        let Some(text) = self.text(key) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| {
            let prefix = self.prefixes.last().map_or("", String::as_str);
            illegal(format!("{prefix}{key} must be {wanted}"))
        })
    }
}

/// A setting that makes no sense. The message never has the value of a secret.
pub(crate) fn illegal(message: impl Into<String>) -> SparkError {
    SparkError::java(JavaException::IllegalArgument, message)
}

/// The settings whose keys are a store's own, by Hadoop's names: what tells two users of one bucket apart.
pub(crate) fn relevant(settings: &BTreeMap<String, String>, prefixes: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (name, value) in settings {
        let key = name.strip_prefix(SPARK_PREFIX);
        let own = key.unwrap_or(name);
        if prefixes.iter().any(|prefix| own.starts_with(prefix)) && (key.is_none() || !settings.contains_key(own)) {
            found.insert(own.to_string(), value.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_key_counts() {
        let settings: BTreeMap<String, String> = [
            ("spark.hadoop.fs.s3a.endpoint", "http://server"),
            ("fs.s3a.endpoint", "http://session"),
            ("spark.hadoop.fs.s3a.bucket.b.endpoint", "http://bucket"),
            ("fs.s3a.connection.timeout", "2s"),
            ("fs.s3a.path.style.access", "maybe"),
            ("spark.sql.ansi.enabled", "true"),
        ]
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .into();
        let general = Keys::new(&settings, ["fs.s3a.".to_string()]);
        assert_eq!(general.text("endpoint"), Some("http://session"));
        assert_eq!(general.duration("connection.timeout").unwrap(), Some(Duration::from_secs(2)));
        assert!(general.flag("path.style.access", false).is_err());
        let bucket = Keys::new(&settings, ["fs.s3a.bucket.b.".to_string(), "fs.s3a.".to_string()]);
        assert_eq!(bucket.text("endpoint"), Some("http://bucket"));
        let own = relevant(&settings, &["fs.s3a."]);
        assert_eq!(own.get("fs.s3a.endpoint").map(String::as_str), Some("http://session"));
        assert_eq!(own.len(), 4);
    }
}
