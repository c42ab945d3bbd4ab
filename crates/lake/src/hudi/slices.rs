//! File groups and their newest slices, by the names of files: `<group>_<token>_<instant>.parquet` and
//! `.<group>_<instant>.log.<number>_<token>`.
use std::collections::{BTreeMap, HashSet};

use firesteel_storage::{FileStatus, Location};

use super::timeline::Timeline;

/// Partition and group
pub(super) type Group = (String, String);

/// The newest slice of each group.
#[derive(Debug, Default)]
pub(super) struct Slices {
    /// The instant of each base file, and the file
    pub bases: Vec<(String, FileStatus)>,
    /// A log file whose changes are not in a base file
    pub unmerged: Option<Location>,
}

/// The slices of a table as it was at an instant.
pub(super) fn newest(
    files: Vec<FileStatus>,
    root: &Location,
    timeline: &Timeline,
    replaced: &HashSet<Group>,
    as_of: Option<&str>,
) -> Slices {
    let counts = |instant: &str| as_of.is_none_or(|end| instant <= end) && timeline.is_committed(instant);
    let mut bases: BTreeMap<Group, (String, FileStatus)> = BTreeMap::new();
    let mut logs: Vec<(Group, String, Location)> = vec![];
    for file in files {
        let Some(part) = parse(&file.location, root).filter(|part| counts(&part.instant)) else { continue };
        if replaced.contains(&part.group) {
            continue;
        }
        if part.is_log {
            logs.push((part.group, part.instant, file.location));
        } else if bases.get(&part.group).is_none_or(|(known, _)| *known < part.instant) {
            bases.insert(part.group, (part.instant, file));
        }
    }
    // A log belongs to the slice whose base file it names, or that was begun before the log was complete.
    let is_unmerged = |(group, instant, _): &&(Group, String, Location)| {
        let base = bases.get(group).map(|(instant, _)| instant.as_str());
        base.is_none_or(|base| base == instant || timeline.completion(instant) > base)
    };
    let unmerged = logs.iter().find(is_unmerged).map(|(_, _, place)| place.clone());
    Slices { bases: bases.into_values().collect(), unmerged }
}

struct Part {
    group: Group,
    instant: String,
    is_log: bool,
}

fn parse(place: &Location, root: &Location) -> Option<Part> {
    let partition = place.parent()?.relative_to(root)?.trim_matches('/').to_string();
    let name = place.name();
    // Hadoop keeps checksums beside local files.
    if name.ends_with(".crc") {
        return None;
    }
    let (group, instant, is_log) = match name.strip_prefix('.') {
        Some(log) => {
            let (group, instant) = log.split_once(".log.")?.0.rsplit_once('_')?;
            (group, instant, true)
        }
        None => {
            let (stem, instant) = name.strip_suffix(".parquet")?.rsplit_once('_')?;
            (stem.rsplit_once('_')?.0, instant, false)
        }
    };
    let is_number = !instant.is_empty() && instant.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Part { group: (partition, group.into()), instant: instant.into(), is_log })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> FileStatus {
        let location = Location::parse(&format!("/t/{name}")).unwrap();
        FileStatus { location, is_directory: false, size: 1, modified_us: 0 }
    }

    fn names(slices: &Slices) -> Vec<&str> {
        slices.bases.iter().map(|(_, file)| file.location.name()).collect()
    }

    #[test]
    fn the_newest_that_is_committed() {
        let root = Location::parse("/t").unwrap();
        let timeline =
            Timeline::of(["2.commit", "4.commit", "5.inflight"].map(|n| file(&format!(".hoodie/{n}"))).into(), false);
        let files = || {
            ["p/a-0_0-1-1_2.parquet", "p/a-0_0-2-2_4.parquet", "p/a-0_0-3-3_5.parquet", "p/b-0_0-1-1_2.parquet", "p/.x"]
                .map(file)
                .to_vec()
        };
        let none = HashSet::new();
        assert_eq!(
            names(&newest(files(), &root, &timeline, &none, None)),
            ["a-0_0-2-2_4.parquet", "b-0_0-1-1_2.parquet"]
        );
        assert_eq!(
            names(&newest(files(), &root, &timeline, &none, Some("3"))),
            ["a-0_0-1-1_2.parquet", "b-0_0-1-1_2.parquet"]
        );
        let replaced = HashSet::from([("p".to_string(), "a-0".to_string())]);
        assert_eq!(names(&newest(files(), &root, &timeline, &replaced, None)), ["b-0_0-1-1_2.parquet"]);
    }

    #[test]
    fn logs_that_are_not_merged() {
        let root = Location::parse("/t").unwrap();
        let old = Timeline::of(
            ["2.deltacommit", "3.deltacommit", "4.commit"].map(|n| file(&format!(".hoodie/{n}"))).into(),
            false,
        );
        let unmerged = |timeline: &Timeline, names: &[&str]| {
            newest(names.iter().map(|name| file(name)).collect(), &root, timeline, &HashSet::new(), None)
                .unmerged
                .is_some()
        };
        assert!(unmerged(&old, &["a-0_0-1-1_2.parquet", ".a-0_2.log.1_0-2-2"]));
        assert!(!unmerged(&old, &["a-0_0-1-1_2.parquet", ".a-0_2.log.1_0-2-2", "a-0_0-3-3_4.parquet"]));
        assert!(unmerged(&old, &[".b-0_3.log.1_0-2-2"]));
        assert!(!unmerged(&old, &["..b-0_3.log.1_0-2-2.crc"]));
        // The log of 3 was complete after the compaction of 4 had begun.
        let new = Timeline::of(
            ["2_2.deltacommit", "3_5.deltacommit", "4_6.commit"].map(|n| file(&format!(".hoodie/{n}"))).into(),
            true,
        );
        assert!(unmerged(&new, &["a-0_0-3-3_4.parquet", ".a-0_3.log.1_0-2-2"]));
        assert!(!unmerged(&new, &["a-0_0-3-3_4.parquet", ".a-0_2.log.1_0-2-2"]));
    }
}
