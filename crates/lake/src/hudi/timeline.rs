//! The timeline: what was done to a table, by the names of files.
//!
//! Before version 8: `<instant>.commit`, while under way `<instant>.commit.requested` and `<instant>.inflight`. From then
//! on: `<instant>_<completed>.commit`.
use std::collections::{BTreeMap, BTreeSet};

use firesteel_storage::FileStatus;

/// What makes new slices.
const WRITES: [&str; 3] = ["commit", "deltacommit", "replacecommit"];
/// Digits of an instant of our days: to the millisecond.
const DIGITS: usize = 17;

/// Something done to the table, completely.
#[derive(Debug, Clone)]
pub(super) struct Instant {
    pub action: String,
    /// When it was done; the instant itself where the table does not say.
    pub completed: String,
    pub file: FileStatus,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Timeline {
    /// By the time they began
    pub completed: BTreeMap<String, Instant>,
    /// Compactions that are planned or under way
    pub pending_compactions: BTreeSet<String>,
    /// Requests of what is under way or planned, by the time it began
    pub requested: BTreeMap<String, FileStatus>,
    /// Whether instants name the time of their completion
    pub has_completions: bool,
    /// The greatest time that the timeline names
    pub last: Option<String>,
    /// The first instant that is not archived yet, complete or not
    first: Option<String>,
}

impl Timeline {
    pub(super) fn of(files: Vec<FileStatus>, has_completions: bool) -> Self {
        let mut timeline = Self { has_completions, ..Self::default() };
        // Instants that are kept for good do not say what is archived.
        let (mut begun_all, mut saved) = (BTreeSet::new(), BTreeSet::new());
        for file in files {
            let name = file.location.name().to_string();
            let Some((stem, action)) = name.split_once('.') else { continue };
            let (begun, completed) = match stem.split_once('_') {
                Some((begun, completed)) if has_completions => (begun, Some(completed)),
                Some(_) => continue,
                None => (stem, None),
            };
            if !is_instant(begun) {
                continue;
            }
            begun_all.insert(begun.to_string());
            let latest = completed.unwrap_or(begun).max(begun);
            if timeline.last.as_deref().is_none_or(|last| last < latest) {
                timeline.last = Some(latest.to_string());
            }
            if action.ends_with(".requested") {
                timeline.requested.insert(begun.to_string(), file.clone());
            }
            let kept_in = match action.split('.').next() {
                Some("savepoint") => Some(&mut saved),
                Some("compaction") => Some(&mut timeline.pending_compactions),
                _ => None,
            };
            if let Some(kept) = kept_in {
                kept.insert(begun.to_string());
            }
            let is_complete = !action.contains('.') && !["requested", "inflight"].contains(&action);
            let completed = if has_completions { completed } else { Some(begun) };
            if let Some(completed) = completed.filter(|_| is_complete) {
                let instant = Instant { action: action.into(), completed: completed.into(), file };
                // A savepoint has the instant of the write that it keeps.
                if action != "savepoint" {
                    timeline.completed.insert(begun.to_string(), instant);
                }
            }
        }
        timeline.pending_compactions.retain(|begun| !timeline.completed.contains_key(begun));
        timeline.requested.retain(|begun, _| !timeline.completed.contains_key(begun));
        timeline.first = begun_all.difference(&saved).next().or(begun_all.first()).cloned();
        timeline
    }

    /// The newest write that began until then.
    pub(super) fn newest_until<'a>(&'a self, until: Option<&'a str>) -> impl Iterator<Item = &'a Instant> {
        let mut found: Vec<_> = self.writes().filter(|(begun, _)| until.is_none_or(|end| *begun <= end)).collect();
        found.reverse();
        found.into_iter().map(|(_, instant)| instant)
    }

    /// Whether files of an instant count: it is complete, or so old that it is archived.
    pub(super) fn is_committed(&self, instant: &str) -> bool {
        self.completed.contains_key(instant) || self.first.as_deref().is_some_and(|first| instant < first)
    }

    /// When an instant was complete, as far as is known.
    pub(super) fn completion<'a>(&'a self, instant: &'a str) -> &'a str {
        self.completed.get(instant).map_or(instant, |known| known.completed.as_str())
    }

    /// The writes, by the time they began.
    pub(super) fn writes(&self) -> impl Iterator<Item = (&str, &Instant)> {
        let is_write = |(_, instant): &(&String, &Instant)| WRITES.contains(&instant.action.as_str());
        self.completed.iter().filter(is_write).map(|(begun, instant)| (begun.as_str(), instant))
    }
}

fn is_instant(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An instant as users spell it (`2024-01-31`, `2024-01-31 10:20:30.456`, `20240131102030456`), in the digits of the
/// timeline. `is_end`: a time without milliseconds means the whole second.
pub(super) fn spelled(text: &str, is_end: bool) -> Option<String> {
    let text = text.trim();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if is_instant(text) {
        // The timeline of old had seconds; so do the first instants, `000`.
        let padded = text.len() == 14 && is_end;
        return Some(if padded { format!("{text}999") } else { text.to_string() });
    }
    let is_date = text.chars().all(|c| c.is_ascii_digit() || "-:.T ".contains(c));
    if !is_date || digits.len() < 8 {
        return None;
    }
    Some(match digits.len() {
        8 => format!("{digits}000000000"),
        14 => format!("{digits}000"),
        15 | 16 => format!("{digits:0<DIGITS$}"),
        _ if digits.len() >= DIGITS => digits[..DIGITS].to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use firesteel_storage::Location;

    use super::*;

    fn timeline(names: &[&str], has_completions: bool) -> Timeline {
        let file = |name: &&str| FileStatus {
            location: Location::parse(&format!("/t/{name}")).unwrap(),
            is_directory: false,
            size: 1,
            modified_us: 0,
        };
        Timeline::of(names.iter().map(file).collect(), has_completions)
    }

    #[test]
    fn what_counts() {
        let old = timeline(
            &["2.commit.requested", "2.inflight", "2.commit", "3.commit.requested", "3.inflight", "hoodie.properties"],
            false,
        );
        assert!(old.is_committed("2") && old.is_committed("1") && !old.is_committed("3"));
        assert_eq!(old.writes().map(|(begun, _)| begun).collect::<Vec<_>>(), ["2"]);
        let new = timeline(&["2_5.commit", "3.deltacommit.requested", "4_6.clean"], true);
        assert!(new.is_committed("2") && !new.is_committed("3"));
        assert_eq!((new.completion("2"), new.writes().count()), ("5", 1));
        assert!(!timeline(&[], true).is_committed("1"));
    }

    #[test]
    fn what_is_not_archived() {
        let kept = timeline(
            &["1.commit", "1.savepoint", "5.commit", "6.compaction.requested", "7.commit", "7.compaction.requested"],
            false,
        );
        // Instants 2 to 4 are archived, and so complete.
        assert!(kept.is_committed("3") && !kept.is_committed("6"));
        assert_eq!(kept.completed["1"].action, "commit");
        assert_eq!(kept.pending_compactions.iter().collect::<Vec<_>>(), ["6"]);
        assert_eq!(
            kept.newest_until(Some("6")).map(|instant| instant.completed.as_str()).collect::<Vec<_>>(),
            ["5", "1"]
        );
    }

    #[test]
    fn spellings() {
        assert_eq!(spelled("2024-01-31", false).unwrap(), "20240131000000000");
        assert_eq!(spelled("2024-01-31 10:20:30.456", false).unwrap(), "20240131102030456");
        assert_eq!(spelled("20240131102030", true).unwrap(), "20240131102030999");
        assert_eq!(spelled("000", false).unwrap(), "000");
        assert_eq!(spelled("yesterday", false), None);
    }
}
