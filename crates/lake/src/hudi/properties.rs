//! `hoodie.properties`: what a table is.
use std::collections::BTreeMap;

use firesteel_plan::{Result, SparkError};

/// From this version on the timeline has a folder of its own and names completion times.
const OWN_TIMELINE: u32 = 8;
/// The newest version whose files are known here.
const NEWEST: u32 = 8;

/// The keys of the properties that say how records of one key are merged.
const MERGE_MODE: &str = "hoodie.record.merge.mode";
const MERGE_STRATEGY: &str = "hoodie.record.merge.strategy.id";
const PAYLOAD: &str = "hoodie.compaction.payload.class";
const ORDERING: &str = "hoodie.table.precombine.field";
/// Classes and strategies whose meaning is that of a mode.
const BY_ORDER: [&str; 2] =
    ["org.apache.hudi.common.model.DefaultHoodieRecordPayload", "eeb8d96f-b1e4-49fd-bbf8-28ac514178e5"];
const BY_COMMIT: [&str; 2] =
    ["org.apache.hudi.common.model.OverwriteWithLatestAvroPayload", "ce9acb64-bde0-424c-9b91-f6ebba25356d"];
/// The strategy that leaves merging to the payload.
const BY_PAYLOAD: &str = "00000000-0000-0000-0000-000000000000";

/// Which of two records of a key counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MergeRules {
    /// That with the greater value in the column `ordering`, if there is such a column; else the later one
    pub by_order: bool,
    pub ordering: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Properties {
    /// Where completed instants lie, below `.hoodie`; empty: there itself
    pub timeline: String,
    /// Whether instants name the time of their completion
    pub has_completions: bool,
    /// Whether the table is merged on read, so that it may have logs
    pub has_logs: bool,
    /// How logs are merged; an error where that is not known here
    pub merge: Result<MergeRules>,
    pub all: BTreeMap<String, String>,
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
            has_logs: get("hoodie.table.type").is_some_and(|kind| kind.eq_ignore_ascii_case("MERGE_ON_READ")),
            merge: merge_rules(&all, version),
            all,
        })
    }
}

/// Version 8 says how records are merged; before, the class of the payload did.
fn merge_rules(all: &BTreeMap<String, String>, version: u32) -> Result<MergeRules> {
    let get = |key: &str| all.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let refused = |what: &str, name: &str| {
        Err(SparkError::unsupported(format!("merging the logs of a Hudi table {what} {name}")))
    };
    if get("hoodie.populate.meta.fields").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        return refused("with", "hoodie.populate.meta.fields=false");
    }
    if get("hoodie.payload.delete.field").is_some() {
        return refused("with", "hoodie.payload.delete.field");
    }
    let payload = get(PAYLOAD).map(|class| class.replace("com.uber.hoodie", "org.apache.hudi"));
    let strategy = get(MERGE_STRATEGY).filter(|strategy| *strategy != BY_PAYLOAD);
    let mode = get(MERGE_MODE).filter(|_| version >= OWN_TIMELINE);
    let names = match version >= OWN_TIMELINE {
        true => [mode, strategy, payload.as_deref()],
        false => [payload.as_deref(), strategy, None],
    };
    let by_order = match names.into_iter().flatten().find(|name| *name != "CUSTOM") {
        Some(name) if name == "EVENT_TIME_ORDERING" || BY_ORDER.contains(&name) => true,
        Some(name) if name == "COMMIT_TIME_ORDERING" || BY_COMMIT.contains(&name) => false,
        Some(name) => return refused("by", name),
        None if mode.is_some() => return refused("by", "a merger of its own"),
        None => get(ORDERING).is_some(),
    };
    Ok(MergeRules { by_order, ordering: get(ORDERING).filter(|_| by_order).map(str::to_string) })
}

/// The lines of a Java properties file, of which Hudi uses `key=value` and comments.
pub(super) fn lines(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
    lines.filter_map(pair).map(|(key, value)| (unescaped(key.trim()), unescaped(value.trim()))).collect()
}

/// What is before and after the first `=` that is no part of the key.
fn pair(line: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    for (place, c) in line.char_indices() {
        match c {
            '=' if !is_escaped => return Some((&line[..place], &line[place + 1..])),
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut units: Vec<u16> = vec![];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let code: String = chars.by_ref().take(4).collect();
                    units.push(u16::from_str_radix(&code, 16).unwrap_or(u16::from(b'?')));
                    continue;
                }
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                other => other.unwrap_or('\\'),
            },
            c => c,
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    String::from_utf16_lossy(&units)
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

    #[test]
    fn escapes() {
        let found = lines("#a=b\na\\=b = x\\:y\\u00fc=z\nc\n");
        assert_eq!(found, BTreeMap::from([("a=b".to_string(), "x:yü=z".to_string())]));
    }

    #[test]
    fn mergers() {
        let rules = |text: &str| Properties::parse(&text.replace(' ', "\n")).unwrap().merge;
        let by_ts = Ok(MergeRules { by_order: true, ordering: Some("ts".into()) });
        let by_commit = Ok(MergeRules { by_order: false, ordering: None });
        let model = "org.apache.hudi.common.model";
        let of = |version: u32, more: &str| {
            rules(&format!("hoodie.table.version={version} hoodie.table.precombine.field=ts {more}"))
        };
        assert_eq!(of(8, "hoodie.record.merge.mode=EVENT_TIME_ORDERING"), by_ts);
        assert_eq!(of(8, "hoodie.record.merge.mode=COMMIT_TIME_ORDERING"), by_commit);
        assert_eq!(of(8, ""), by_ts);
        assert_eq!(rules("hoodie.table.version=8"), by_commit);
        assert_eq!(of(6, &format!("{PAYLOAD}={model}.DefaultHoodieRecordPayload")), by_ts);
        assert_eq!(
            of(6, "hoodie.compaction.payload.class=com.uber.hoodie.common.model.OverwriteWithLatestAvroPayload"),
            by_commit
        );
        let refused = |version: u32, more: &str| of(version, more).unwrap_err().to_string();
        assert!(
            refused(6, &format!("{PAYLOAD}={model}.PartialUpdateAvroPayload")).contains("PartialUpdateAvroPayload")
        );
        let custom = format!("hoodie.record.merge.mode=CUSTOM {MERGE_STRATEGY}={BY_PAYLOAD} {PAYLOAD}=a.B");
        assert!(refused(8, &custom).contains("a.B"));
        assert!(refused(8, &format!("hoodie.record.merge.mode=CUSTOM {MERGE_STRATEGY}=x-y")).contains("x-y"));
        assert!(refused(8, "hoodie.record.merge.mode=CUSTOM").contains("merger"));
        assert!(refused(8, "hoodie.populate.meta.fields=false").contains("meta.fields"));
    }
}
