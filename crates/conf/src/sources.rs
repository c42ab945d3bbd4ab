//! Where configuration comes from when the server starts. Later ones win: `spark-defaults.conf`, the environment,
//! `--conf` on the command line. (A session's own values come on top.)
use std::collections::BTreeMap;
use std::path::Path;

use firesteel_plan::{Result, SparkError};

use crate::{check_value, lookup_ignoring_case};

/// Values, each with where it came from (`spark-defaults.conf`, an environment variable, `--conf`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sources {
    values: BTreeMap<String, (String, String)>,
}

impl Sources {
    /// `key value` or `key=value` lines; `#` begins a comment line.
    pub fn add_properties(&mut self, text: &str, origin: &str) -> Result<()> {
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let end = line.find(|c: char| c.is_whitespace() || c == '=' || c == ':').unwrap_or(line.len());
            let (key, rest) = line.split_at(end);
            let value = rest.trim_start();
            let value = value.strip_prefix(['=', ':']).unwrap_or(value).trim();
            self.add(key, value, origin)?;
        }
        Ok(())
    }

    pub fn add_properties_file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            SparkError::internal(format!("cannot read the properties file {}: {error}", path.display()))
        })?;
        self.add_properties(&text, &path.display().to_string())
    }

    /// `SPARK_CONF_…` variables, in any of the spellings that images and charts use.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) -> Result<()> {
        let mut variables: Vec<_> = variables.into_iter().collect();
        variables.sort();
        for (name, value) in variables {
            // The directory of configuration files, not a key.
            if name == "SPARK_CONF_DIR" {
                continue;
            }
            if let Some(spelling) = name.strip_prefix("SPARK_CONF_").filter(|rest| !rest.is_empty()) {
                self.add(&key_of_variable(spelling), &value, &name)?;
            }
        }
        Ok(())
    }

    /// `KEY=VALUE`
    pub fn add_argument(&mut self, text: &str) -> Result<()> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| SparkError::internal(format!("--conf wants KEY=VALUE, not {text:?}")))?;
        self.add(key.trim(), value.trim(), "--conf")
    }

    fn add(&mut self, key: &str, value: &str, origin: &str) -> Result<()> {
        check_value(key, value)?;
        self.values.insert(key.to_string(), (value.to_string(), origin.to_string()));
        Ok(())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(value, _)| value.as_str())
    }

    /// Where the value of a key came from.
    pub fn origin(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(_, origin)| origin.as_str())
    }

    pub fn into_values(self) -> BTreeMap<String, String> {
        self.values.into_iter().map(|(key, (value, _))| (key, value)).collect()
    }
}

/// `spark_sql_shuffle_partitions`, `SPARK_SQL_SHUFFLE_PARTITIONS`, `spark__sql__…`: `___` is a dash, `__` and `_` are
/// dots, and letters get the case of the key they spell. Where a single `_` is part of a known key, it stays.
fn key_of_variable(spelling: &str) -> String {
    let dots = spelling.replace("___", "-").replace("__", ".").replace('_', ".");
    let kept = spelling.replace("___", "-").replace("__", ".");
    let candidates = [dots.clone(), kept.clone(), format!("spark.{dots}"), format!("spark.{kept}")];
    if let Some(key) = candidates.iter().find_map(|candidate| lookup_ignoring_case(candidate)) {
        return key.name.to_string();
    }
    // Unknown: an upper-case spelling has lost the case for good.
    if dots.chars().any(|c| c.is_ascii_lowercase()) { dots } else { dots.to_ascii_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties() {
        let mut sources = Sources::default();
        let text = "# comment\nspark.master   local[2]\nspark.sql.shuffle.partitions=8\n\nspark.app.name : a b\n";
        sources.add_properties(text, "file").unwrap();
        assert_eq!(sources.get("spark.master"), Some("local[2]"));
        assert_eq!(sources.get("spark.sql.shuffle.partitions"), Some("8"));
        assert_eq!(sources.get("spark.app.name"), Some("a b"));
        assert_eq!(sources.origin("spark.app.name"), Some("file"));
        assert!(sources.add_argument("spark.sql.shuffle.partitions=x").is_err());
    }

    #[test]
    fn three_spellings_of_variables() {
        let key = "spark.sql.shuffle.partitions";
        assert_eq!(key_of_variable("spark_sql_shuffle_partitions"), key);
        assert_eq!(key_of_variable("SPARK_SQL_SHUFFLE_PARTITIONS"), key);
        assert_eq!(key_of_variable("spark__sql__shuffle__partitions"), key);
        assert_eq!(key_of_variable("SPARK_SQL_CASESENSITIVE"), "spark.sql.caseSensitive");
        assert_eq!(key_of_variable("spark_hadoop_fs_s3a_endpoint"), "spark.hadoop.fs.s3a.endpoint");
        assert_eq!(key_of_variable("MY_APP___NAME"), "my.app-name");
    }
}
