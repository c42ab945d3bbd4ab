//! The session's settings as the sources and sinks read them.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_functions::text_formats::FormatSession;
use firesteel_plan::{Result, SparkError};

/// Settings that were set, by key. Defaults are at the place that reads a key.
#[derive(Debug, Clone, Default)]
pub struct Conf(Arc<BTreeMap<String, String>>);

impl Conf {
    pub fn new(settings: impl Into<Arc<BTreeMap<String, String>>>) -> Self {
        Self(settings.into())
    }

    /// Whether both are the very same settings, not only equal ones.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn is_set(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.get(key) {
            None => Ok(default),
            Some(text) => parse_flag(text).ok_or_else(|| invalid(key, text, "boolean")),
        }
    }

    pub fn integer(&self, key: &str, default: i64) -> Result<i64> {
        match self.get(key) {
            None => Ok(default),
            Some(text) => text.trim().parse().map_err(|_| invalid(key, text, "long")),
        }
    }

    /// A size: `128MB`, `1g`, `4096` (bytes).
    pub fn bytes(&self, key: &str, default: u64) -> Result<u64> {
        match self.get(key) {
            None => Ok(default),
            Some(text) => parse_bytes(text).ok_or_else(|| invalid(key, text, "size in bytes")),
        }
    }

    /// `spark.sql.session.timeZone`
    pub fn time_zone(&self) -> &str {
        self.get("spark.sql.session.timeZone").unwrap_or("UTC")
    }

    /// How records spell values.
    pub fn format_session(&self) -> FormatSession<'_> {
        FormatSession::new(self.time_zone(), |key| self.get(key))
    }

    pub fn case_sensitive(&self) -> bool {
        self.get("spark.sql.caseSensitive").and_then(parse_flag).unwrap_or(false)
    }
}

fn invalid(key: &str, value: &str, expected: &str) -> SparkError {
    SparkError::new(
        "INVALID_CONF_VALUE.TYPE_MISMATCH",
        [("confName", key), ("confValue", value), ("confType", expected)],
    )
}

pub(crate) fn parse_flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// `128MB`, `1g`, `4096`: bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim() {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        "t" | "tb" => 40,
        "p" | "pb" => 50,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::parse_bytes;

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("128MB"), Some(128 << 20));
        assert_eq!(parse_bytes("134217728b"), Some(128 << 20));
        assert_eq!(parse_bytes("x"), None);
    }
}
