//! The registry of configuration keys: the one list that `Config`, `SET -v`, the command line and the docs read.
//!
//! ```text
//!  keys.tsv ──▶ Key{name, scope, kind, since, default} ──┬─ check_modifiable ▶ CANNOT_MODIFY_STATIC_CONFIG, …
//!  effects.rs (what reads a key; why nothing does) ──────┼─ check_value      ▶ INVALID_CONF_VALUE.*
//!                                                        ├─ default_value, warning, redact
//!                                                        └─ all
//!  sources    spark-defaults.conf, SPARK_CONF_*, KEY=VALUE
//!  parse      sizes and durations as Spark writes them
//! ```
//!
//! Keys, scopes and defaults are Spark 4.2's; `firesteel.*` keys are ours. A key that is not listed can be set and
//! read: scripts keep their own values there.
//!
//! ```
//! use firesteel_conf as conf;
//! assert!(conf::check_value("spark.sql.shuffle.partitions", "8").is_ok());
//! assert!(conf::check_value("spark.sql.shuffle.partitions", "many").is_err());
//! assert!(conf::check_modifiable("spark.sql.warehouse.dir").is_err());
//! assert_eq!(conf::default_value("spark.sql.ansi.enabled", &|_| None).as_deref(), Some("true"));
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::sync::LazyLock;

use firesteel_plan::{Result, SparkError};

mod effects;
mod kind;
pub mod parse;
pub mod sources;
mod variables;

pub use effects::{Effect, effect};
pub use kind::Kind;
pub use variables::substitute_variables;

/// One key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    pub name: &'static str,
    pub scope: Scope,
    pub kind: Kind,
    /// The Spark version that brought it; empty for ours.
    pub since: &'static str,
    /// As Spark shows it: a value, `<undefined>`, or `<value of …>`.
    pub default: &'static str,
}

/// Where a key may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// In a session, at any time
    Session,
    /// SQL keys fixed when the server starts
    Static,
    /// Keys of the process, fixed when the server starts
    Core,
}

static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut keys: Vec<Key> =
        include_str!("keys.tsv").lines().chain(include_str!("own_keys.tsv").lines()).filter_map(parse_line).collect();
    keys.sort_by_key(|key| key.name);
    keys
});

fn parse_line(line: &'static str) -> Option<Key> {
    if line.starts_with('#') {
        return None;
    }
    let mut columns = line.split('\t');
    Some(Key {
        name: columns.next()?,
        scope: match columns.next()? {
            "session" => Scope::Session,
            "static" => Scope::Static,
            _ => Scope::Core,
        },
        kind: Kind::parse(columns.next()?),
        since: columns.next()?,
        default: columns.next()?,
    })
}

/// Every key, by name.
pub fn all() -> &'static [Key] {
    &KEYS
}

pub fn lookup(name: &str) -> Option<&'static Key> {
    KEYS.binary_search_by(|key| key.name.cmp(name)).ok().and_then(|index| KEYS.get(index))
}

/// The key whose name is `name` but for the case of letters.
pub fn lookup_ignoring_case(name: &str) -> Option<&'static Key> {
    lookup(name).or_else(|| KEYS.iter().find(|key| key.name.eq_ignore_ascii_case(name)))
}

/// Refuses keys that a running session cannot change.
pub fn check_modifiable(name: &str) -> Result<()> {
    let quoted = format!("\"{name}\"");
    match lookup(name).map(|key| key.scope) {
        Some(Scope::Static) => Err(SparkError::new("CANNOT_MODIFY_STATIC_CONFIG", [("key", quoted)])),
        Some(Scope::Core) => Err(SparkError::new(
            "CANNOT_MODIFY_CONFIG",
            [("key", quoted), ("docroot", "https://spark.apache.org/docs/latest".to_string())],
        )),
        Some(Scope::Session) | None => Ok(()),
    }
}

/// What `spark.conf.isModifiable` answers.
pub fn is_modifiable(name: &str) -> bool {
    lookup(name).is_some_and(|key| key.scope == Scope::Session)
}

/// Refuses a value that the key cannot have.
pub fn check_value(name: &str, value: &str) -> Result<()> {
    match lookup(name) {
        Some(key) => key.kind.check(name, value),
        None => Ok(()),
    }
}

/// The value of a key that nobody set. `get` answers the values of other keys: some defaults follow them.
pub fn default_value(name: &str, get: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut name = name;
    // A chain of references; the bound guards against a cycle.
    for _ in 0..8 {
        let key = lookup(name)?;
        let Some(other) = key.default.strip_prefix("<value of ").and_then(|rest| rest.strip_suffix('>')) else {
            return (key.default != "<undefined>").then(|| key.default.to_string());
        };
        if let Some(value) = get(other) {
            return Some(value);
        }
        name = other;
    }
    None
}

/// What a user is told who sets a key that changes nothing here.
pub fn warning(name: &str) -> Option<String> {
    match effect(name) {
        Effect::None(reason) => Some(format!("The configuration {name} has no effect in Firesteel: {reason}.")),
        Effect::Read | Effect::Unknown => None,
    }
}

/// Words of `spark.redaction.regex`.
const SECRETS: &[&str] = &["secret", "password", "token", "access.key", "accesskey", "credential"];

/// What only names of secrets have.
const NAMES_OF_SECRETS: &[&str] = &["passphrase", ".account.key", ".sas.", "encryption.key", "private.key"];

fn has(text: &str, words: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    words.iter().any(|word| text.contains(word))
}

/// Whether keys of that name hold secrets.
pub fn is_secret(name: &str) -> bool {
    has(name, SECRETS) || has(name, NAMES_OF_SECRETS)
}

/// The value as statements show it: not at all where it is a secret, or where the key or the value speaks of one or of a URL
/// (`spark.sql.redaction.options.regex`), which may hold some.
pub fn redact(name: &str, value: &str) -> String {
    let is_hidden = is_secret(name) || has(value, SECRETS) || has(name, &["url"]) || has(value, &["url"]);
    if is_hidden { "*********(redacted)".into() } else { value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found() {
        assert!(all().len() > 1200);
        assert!(all().windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(lookup("spark.sql.shuffle.partitions").unwrap().default, "200");
        assert_eq!(lookup_ignoring_case("SPARK.SQL.CASESENSITIVE").unwrap().name, "spark.sql.caseSensitive");
    }

    #[test]
    fn values_are_checked_as_spark_does() {
        let condition = |name, value| check_value(name, value).unwrap_err().condition().to_string();
        assert_eq!(condition("spark.sql.ansi.enabled", "zz"), "INVALID_CONF_VALUE.TYPE_MISMATCH");
        assert_eq!(condition("spark.sql.shuffle.partitions", "-5"), "INVALID_CONF_VALUE.REQUIREMENT");
        assert_eq!(condition("spark.sql.session.timeZone", "foo/bar"), "INVALID_CONF_VALUE.TIME_ZONE");
        let options = "INVALID_CONF_VALUE.OUT_OF_RANGE_OF_OPTIONS";
        assert_eq!(condition("spark.sql.sources.partitionOverwriteMode", "abc"), options);
        check_value("spark.sql.sources.partitionOverwriteMode", "dynamic").unwrap();
        check_value("spark.sql.autoBroadcastJoinThreshold", "-1").unwrap();
        check_value("spark.sql.autoBroadcastJoinThreshold", "10mb").unwrap();
        check_value("spark.sql.session.timeZone", "+05:30").unwrap();
        check_value("my.own.key", "anything").unwrap();
    }

    #[test]
    fn defaults_follow_other_keys() {
        let key = "spark.sql.adaptive.advisoryPartitionSizeInBytes";
        assert_eq!(default_value(key, &|_| None).as_deref(), Some("64MB"));
        assert_eq!(default_value("spark.foo", &|_| None), None);
    }

    #[test]
    fn secrets_are_hidden() {
        assert_eq!(redact("spark.hadoop.fs.s3a.secret.key", "x"), "*********(redacted)");
        assert_eq!(redact("fs.azure.account.key.lake.dfs.core.windows.net", "x"), "*********(redacted)");
        assert_eq!(redact("note", "My Password"), "*********(redacted)");
        assert_eq!(redact("spark.sql.ansi.enabled", "true"), "true");
    }
}
