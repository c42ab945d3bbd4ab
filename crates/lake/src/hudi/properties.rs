//! `hoodie.properties`: what a table is.
use std::collections::BTreeMap;

use firesteel_plan::{Result, SparkError};

/// From this version on the timeline has a folder of its own and names completion times.
const OWN_TIMELINE: u32 = 8;
/// The newest version whose files are known here.
const NEWEST: u32 = 8;

#[derive(Debug, Clone)]
pub(super) struct Properties {
    /// Where completed instants lie, below `.hoodie`; empty: there itself
    pub timeline: String,
    /// Whether instants name the time of their completion
    pub has_completions: bool,
}

impl Properties {
    /// Errors with what the table has that is not read here.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let all = lines(text);
        let get = |key: &str| all.get(key).map(String::as_str);
        let is_set = |key: &str| get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let version = get("hoodie.table.version").and_then(|version| version.parse::<u32>().ok()).unwrap_or(0);
        if version > NEWEST {
            return Err(SparkError::unsupported(format!("reading a Hudi table of version {version}")));
        }
        if let Some(format) = get("hoodie.table.base.file.format").filter(|name| !name.eq_ignore_ascii_case("parquet"))
        {
            return Err(SparkError::unsupported(format!("reading a Hudi table whose base files are {format}")));
        }
        if get("hoodie.bootstrap.base.path").is_some() {
            return Err(SparkError::unsupported("reading a Hudi table that was bootstrapped from other files"));
        }
        if is_set("hoodie.datasource.write.drop.partition.columns") {
            return Err(SparkError::unsupported("reading a Hudi table whose files lack the partition columns"));
        }
        let has_completions = version >= OWN_TIMELINE || get("hoodie.timeline.layout.version") == Some("2");
        Ok(Self {
            timeline: if has_completions {
                get("hoodie.timeline.path").unwrap_or("timeline").into()
            } else {
                String::new()
            },
            has_completions,
        })
    }
}

/// The lines of a Java properties file, of which Hudi uses `key=value` and comments.
fn lines(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
    let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.trim().into(), value.trim().into()));
    pairs.filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts() {
        let six = Properties::parse("#x\nhoodie.table.version=6\nhoodie.timeline.path=timeline\n").unwrap();
        assert_eq!((six.timeline.as_str(), six.has_completions), ("", false));
        let eight = Properties::parse("hoodie.table.version = 8").unwrap();
        assert_eq!((eight.timeline.as_str(), eight.has_completions), ("timeline", true));
        assert!(Properties::parse("hoodie.table.version=12").is_err());
        assert!(Properties::parse("hoodie.table.base.file.format=HFILE").is_err());
    }
}
