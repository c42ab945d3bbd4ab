//! Writes that never ended. What a killed writer has left goes before the next write: Hudi's own writers cannot remove an
//! entry of the timeline once a later one is complete.
use std::collections::HashSet;
use std::fs;

use bytes::Bytes;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{FileStatus, Location};

use super::transaction::overtaken;
use crate::hudi::metadata;
use crate::hudi::table::{HudiTable, META, read};

/// Actions of the timeline that write rows.
const WRITES: [&str; 3] = ["commit", "deltacommit", "replacecommit"];
/// Kinds of markers: of a file that a write makes, and of logs that name their slice.
pub(super) const CREATED: &str = "CREATE";
pub(super) const APPENDED: &str = "APPEND";
/// Digits of an instant that say the day.
const DATE_DIGITS: usize = 8;
/// A writer that has not come further than its request in this time is dead.
const REQUEST_SECONDS: i64 = 60;

/// Who writes, as entries that are under way tell it: the machine, the process, and when that began.
pub(super) fn this_writer() -> String {
    let process = std::process::id();
    format!("{}/{process}/{}", machine(), began(process).unwrap_or_default())
}

/// The machine since it was started, and the space of its process numbers.
fn machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}-{}", boot.trim(), space.display())
}

/// When a process began, in the kernel's ticks. `None`: there is none of the number.
fn began(process: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_string)
}

/// Whether it is certain that a writer is gone.
fn is_gone(writer: &str) -> bool {
    let mut parts = writer.rsplitn(3, '/');
    let (begun, process, of) = (parts.next(), parts.next(), parts.next());
    let Some(process) = process.and_then(|process| process.parse().ok()) else { return false };
    let is_here = of == Some(machine().as_str()) && fs::exists("/proc/self/stat").unwrap_or(false);
    is_here && began(process).as_deref() != begun
}

/// Removes writes whose writers are gone, or all of them if `removes_all`. Errors where one may still be under way.
pub(super) async fn remove(table: &HudiTable, removes_all: bool) -> Result<()> {
    for (instant, request) in &table.timeline().requested {
        let name = request.location.name();
        let Some(action) = name.split('.').nth(1).filter(|action| WRITES.contains(action)) else { continue };
        let inflight = inflight_of(table, instant, action);
        let under_way = table.files().status(&inflight).await?;
        let is_dead = removes_all
            || match &under_way {
                Some(file) => is_left(table, file).await?,
                None => is_old(request),
            };
        if !is_dead {
            let why = format!(
                "the write {instant} is under way; if its writer was killed, write once with hoodie.cleaner.policy.failed.writes=EAGER"
            );
            return Err(overtaken(table.location(), &why));
        }
        remove_one(table, instant, [inflight, request.location.clone()]).await?;
    }
    Ok(())
}

/// The entry of a write that is under way.
pub(super) fn inflight_of(table: &HudiTable, instant: &str, action: &str) -> Location {
    let folder = table.timeline_folder();
    match action {
        "commit" => folder.join(&format!("{instant}.inflight")),
        _ => folder.join(&format!("{instant}.{action}.inflight")),
    }
}

async fn is_left(table: &HudiTable, inflight: &FileStatus) -> Result<bool> {
    let bytes: Bytes = read(table.files().as_ref(), inflight).await?;
    // An entry that says nothing is another's, or was cut off.
    Ok(metadata::writer(&bytes).ok().flatten().is_some_and(|writer| is_gone(&writer)))
}

fn is_old(request: &FileStatus) -> bool {
    let age = chrono::Utc::now().timestamp() - request.modified_us / 1_000_000;
    request.modified_us > 0 && age > REQUEST_SECONDS
}

/// Files first: the entries say that they do not count.
async fn remove_one(table: &HudiTable, instant: &str, entries: [Location; 2]) -> Result<()> {
    let (end, log) = (format!("_{instant}.parquet"), format!("_{instant}.log."));
    let files = table.files();
    let markers = table.location().join(META).join(".temp").join(instant);
    let marked = marked_logs(table, &markers).await?;
    // A log with the instant of its slice in its name may be another write's that has begun the slice.
    let named_by_own = table.timeline().has_completions;
    let is_left = |place: &Location| {
        let name = place.name();
        name.ends_with(&end) || named_by_own && name.contains(&log) || marked.contains(name)
    };
    for child in files.list(table.location()).await? {
        let found = match (child.is_directory, child.location.name() == META) {
            (_, true) => vec![],
            (true, false) => files.files_below(&child.location).await?,
            (false, false) => vec![child],
        };
        let left: Vec<_> = found.into_iter().filter(|file| is_left(&file.location)).collect();
        files.delete_files(&left).await?;
    }
    files.delete(&markers).await?;
    for entry in entries {
        files.delete(&entry).await?;
    }
    Ok(())
}

/// The names of the logs that a write has made. Errors where it may have gone on with a log of another.
async fn marked_logs(table: &HudiTable, markers: &Location) -> Result<HashSet<String>> {
    let mut logs = HashSet::new();
    if table.files().status(markers).await?.is_none() {
        return Ok(logs);
    }
    let (own_time, named_by_own) = (time_of(markers.name()), table.timeline().has_completions);
    for file in table.files().files_below(markers).await? {
        let Some((name, kind)) = file.location.name().rsplit_once(".marker.") else {
            check_known(table, named_by_own || file.location.name().ends_with(".crc"))?;
            continue;
        };
        let is_own = kind == CREATED || time_in(name) == Some(own_time);
        check_known(table, named_by_own || kind != APPENDED || is_own)?;
        if name.contains(".log.") && is_own {
            logs.insert(name.to_string());
        }
    }
    Ok(logs)
}

fn check_known(table: &HudiTable, is_known: bool) -> Result<()> {
    match is_known {
        true => Ok(()),
        false => Err(SparkError::unsupported(format!(
            "removing a write of the Hudi table at {} that may have added to logs of others: Hudi's own writer does it",
            table.location()
        ))),
    }
}

/// The time of day of an instant, which logs of this writer have in their names.
pub(super) fn time_of(instant: &str) -> &str {
    instant.get(DATE_DIGITS..).unwrap_or_default()
}

/// The same of the name of a log: the second number of `…_<task>-<time>-<file>`.
fn time_in(log: &str) -> Option<&str> {
    log.rsplit('_').next()?.split('-').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_logs() {
        let instant = "20260131102030456";
        assert_eq!(time_of(instant), "102030456");
        assert_eq!(time_in(".a-b-0_20260131000000000.log.2_1-102030456-0"), Some("102030456"));
        assert_eq!(time_in(".a-b-0_20260131000000000.log.2"), None);
    }

    #[test]
    fn who_is_gone() {
        let this = this_writer();
        assert!(!is_gone(&this), "{this}");
        let (rest, _) = this.rsplit_once('/').unwrap();
        assert!(is_gone(&format!("{rest}/1")));
        // Of other machines nothing is known.
        assert!(!is_gone("elsewhere/1/1") && !is_gone(""));
    }
}
