//! File groups and their newest slices, by the names of files: `<group>_<token>_<instant>.parquet` and
//! `.<group>_<instant>.log.<number>_<token>`.
//!
//! A slice is a base file and the logs of what came after it. The instant in the name of a log is that of its slice before
//! version 8, and its own from then on: it belongs to the last slice that was begun before the log was complete. A group may
//! have logs alone; then its first log begins the slice. Logs that are written while a compaction is under way still belong
//! to the slice before it.
use std::collections::{BTreeMap, HashSet};

use firesteel_storage::{FileStatus, Location};

use super::timeline::Timeline;

/// Partition and group
pub(super) type Group = (String, String);

/// A version of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Slice {
    pub group: Group,
    /// When it was begun
    pub instant: String,
    pub base: Option<FileStatus>,
    /// In the order in which they are merged
    pub logs: Vec<FileStatus>,
    /// The greatest number of a log of the group, by the instant in its name, whether it counts or not
    pub log_numbers: BTreeMap<String, u64>,
}

/// Which files count.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// Slices begun until then
    pub until: Option<&'a str>,
    /// Only files with these names; all, if there are none
    pub names: Option<&'a HashSet<String>>,
}

#[derive(Debug, Default)]
struct Files {
    bases: BTreeMap<String, FileStatus>,
    logs: Vec<(LogName, FileStatus)>,
}

/// Logs are merged in the order of this.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct LogName {
    instant: String,
    number: u64,
    token: String,
}

/// The newest slice of each group.
pub(super) fn newest(
    files: Vec<FileStatus>,
    root: &Location,
    timeline: &Timeline,
    replaced: &HashSet<Group>,
    wanted: Wanted<'_>,
) -> Vec<Slice> {
    let mut groups: BTreeMap<Group, Files> = BTreeMap::new();
    for file in files {
        if wanted.names.is_some_and(|names| !names.contains(file.location.name())) {
            continue;
        }
        let Some((group, name)) = parse(&file.location, root).filter(|(group, _)| !replaced.contains(group)) else {
            continue;
        };
        let found = groups.entry(group).or_default();
        match name {
            Name::Base(instant) if timeline.is_committed(&instant) => {
                found.bases.insert(instant, file);
            }
            Name::Base(_) => {}
            Name::Log(name) => found.logs.push((name, file)),
        }
    }
    let newest = |(group, files)| Some(Slice { group, ..slice(files, timeline, wanted.until)? });
    groups.into_iter().filter_map(newest).collect()
}

fn slice(files: Files, timeline: &Timeline, until: Option<&str>) -> Option<Slice> {
    let begin = |(instant, base)| (String::clone(&instant), Slice { instant, base: Some(base), ..Slice::default() });
    let mut slices: BTreeMap<String, Slice> = files.bases.into_iter().map(begin).collect();
    let mut logs = files.logs;
    logs.sort_by(|(a, _), (b, _)| a.cmp(b));
    let log_numbers = logs.iter().map(|(name, _)| (name.instant.clone(), name.number)).collect();
    for (name, file) in logs {
        let is_known = timeline.is_committed(&name.instant);
        // A compaction that is not complete begins no slice yet.
        let is_pending = !timeline.has_completions && timeline.pending_compactions.contains(&name.instant);
        let before = match timeline.has_completions {
            _ if !is_known && !is_pending => continue,
            true => timeline.completion(&name.instant).to_string(),
            false => name.instant.clone(),
        };
        let last = slices
            .range_mut(..=before)
            .next_back()
            .filter(|(begun, _)| timeline.has_completions || is_pending || **begun == name.instant);
        match last {
            Some((_, slice)) => slice.logs.push(file),
            None => {
                let slice = Slice { instant: name.instant.clone(), logs: vec![file], ..Slice::default() };
                slices.insert(name.instant, slice);
            }
        }
    }
    let newest = slices.into_values().rfind(|slice| until.is_none_or(|end| slice.instant.as_str() <= end))?;
    Some(Slice { log_numbers, ..newest })
}

enum Name {
    Base(String),
    Log(LogName),
}

fn parse(place: &Location, root: &Location) -> Option<(Group, Name)> {
    let partition = place.parent()?.relative_to(root)?.trim_matches('/').to_string();
    let name = place.name();
    // Hadoop keeps checksums beside local files.
    if name.ends_with(".crc") {
        return None;
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(log) = name.strip_prefix('.') else {
        let (stem, instant) = name.strip_suffix(".parquet")?.rsplit_once('_')?;
        let group = (partition, stem.rsplit_once('_')?.0.to_string());
        return is_number(instant).then(|| (group, Name::Base(instant.into())));
    };
    let (begin, end) = log.split_once(".log.")?;
    let (group, instant) = begin.rsplit_once('_')?;
    let (number, token) = end.split_once('_').unwrap_or((end, ""));
    // Changes as Hudi feeds them to others lie in files of their own.
    if token.contains("cdc") || !is_number(instant) {
        return None;
    }
    let name = LogName { instant: instant.into(), number: number.parse().ok()?, token: token.into() };
    Some(((partition, group.into()), Name::Log(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileStatus {
        let location = Location::parse(&format!("/t/{name}")).unwrap();
        FileStatus { location, is_directory: false, size: 1, modified_us: 0 }
    }

    fn timeline(names: &[&str], has_completions: bool) -> Timeline {
        Timeline::of(names.iter().map(|name| file(&format!(".hoodie/{name}"))).collect(), has_completions)
    }

    fn names(timeline: &Timeline, files: &[&str], replaced: &[(&str, &str)], until: Option<&str>) -> Vec<String> {
        let root = Location::parse("/t").unwrap();
        let replaced = replaced.iter().map(|(partition, group)| (partition.to_string(), group.to_string())).collect();
        let files = files.iter().map(|name| file(name)).collect();
        let text = |slice: Slice| {
            let places = slice.base.iter().chain(&slice.logs).map(|file| file.location.name().to_string());
            places.collect::<Vec<_>>().join(" ")
        };
        newest(files, &root, timeline, &replaced, Wanted { until, names: None }).into_iter().map(text).collect()
    }

    #[test]
    fn the_newest_that_is_committed() {
        let timeline = timeline(&["2.commit", "4.commit", "5.inflight"], false);
        let files = [
            "p/a-0_0-1-1_2.parquet",
            "p/a-0_0-2-2_4.parquet",
            "p/a-0_0-3-3_5.parquet",
            "p/b-0_0-1-1_2.parquet",
            "p/.x",
        ];
        assert_eq!(names(&timeline, &files, &[], None), ["a-0_0-2-2_4.parquet", "b-0_0-1-1_2.parquet"]);
        assert_eq!(names(&timeline, &files, &[], Some("3")), ["a-0_0-1-1_2.parquet", "b-0_0-1-1_2.parquet"]);
        assert_eq!(names(&timeline, &files, &[("p", "a-0")], None), ["b-0_0-1-1_2.parquet"]);
        let (root, none) = (Location::parse("/t").unwrap(), HashSet::new());
        let only = HashSet::from(["b-0_0-1-1_2.parquet".to_string()]);
        let wanted = Wanted { names: Some(&only), until: None };
        assert_eq!(newest(files.map(file).to_vec(), &root, &timeline, &none, wanted).len(), 1);
    }

    #[test]
    fn logs_that_name_their_slice() {
        let timeline = timeline(&["2.deltacommit", "3.deltacommit", "4.compaction.requested", "5.deltacommit"], false);
        let base = "a-0_0-1-1_2.parquet";
        let logs = [".a-0_2.log.10_0-2-2", ".a-0_2.log.9_0-2-2", ".a-0_4.log.1_0-2-2", "..a-0_2.log.1_0-2-2.crc"];
        let files = [&[base][..], &logs].concat();
        let all = "a-0_0-1-1_2.parquet .a-0_2.log.9_0-2-2 .a-0_2.log.10_0-2-2 .a-0_4.log.1_0-2-2";
        assert_eq!(names(&timeline, &files, &[], None), [all]);
        // The compaction is complete: its base file has what the logs before it say.
        let after = self::timeline(&["2.deltacommit", "3.deltacommit", "4.commit", "5.deltacommit"], false);
        let files = [&files[..], &["a-0_0-9-9_4.parquet"]].concat();
        assert_eq!(names(&after, &files, &[], None), ["a-0_0-9-9_4.parquet .a-0_4.log.1_0-2-2"]);
        // Numbers of logs are taken even where their write never ended.
        let taken = |files: &[&str]| {
            let files = files.iter().map(|name| file(name)).collect();
            let root = Location::parse("/t").unwrap();
            let slices = newest(files, &root, &timeline, &HashSet::new(), Wanted::default());
            slices[0].log_numbers.clone().into_iter().collect::<Vec<_>>()
        };
        let numbers = taken(&[&[base][..], &logs, &[".a-0_9.log.3_0-2-2"]].concat());
        assert_eq!(numbers, [("2".to_string(), 10), ("4".into(), 1), ("9".into(), 3)]);
        // Logs alone, and those of a write that is not complete.
        assert_eq!(names(&after, &[".b-0_3.log.1_0-2-2", ".c-0_9.log.1_0-2-2"], &[], None), [".b-0_3.log.1_0-2-2"]);
        assert!(names(&after, &[".b-0_3.log.1_0-2-2-cdc"], &[], None).is_empty());
    }

    #[test]
    fn logs_that_name_their_instant() {
        // The log of 3 was complete after the compaction of 4 had begun.
        let timeline = timeline(&["2_2.deltacommit", "3_5.deltacommit", "4_6.commit", "7.deltacommit.inflight"], true);
        let logs = [".a-0_3.log.1_0-2-2", ".a-0_2.log.1_0-2-2", ".a-0_7.log.1_0-2-2"];
        let files = [&["a-0_0-3-3_4.parquet", "a-0_0-3-3_1.parquet"][..], &logs].concat();
        assert_eq!(names(&timeline, &files, &[], None), ["a-0_0-3-3_4.parquet .a-0_3.log.1_0-2-2"]);
        assert_eq!(names(&timeline, &files, &[], Some("3")), ["a-0_0-3-3_1.parquet .a-0_2.log.1_0-2-2"]);
        // Without a base file the first log begins the slice.
        assert_eq!(names(&timeline, &logs, &[], None), [".a-0_2.log.1_0-2-2 .a-0_3.log.1_0-2-2"]);
    }
}
