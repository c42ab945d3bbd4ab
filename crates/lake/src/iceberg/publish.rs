//! The last step of a change: new metadata becomes a table's newest. One writer alone can do it to a state; the others learn
//! that they were overtaken.
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{FileSystem, Location, store_error};
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::commit::{now, push};
use super::errors::broken;
use super::home::{Swap, TableHome, TablePointer, TableService, Told};
use super::metadata::TableMetadata;
use super::table::{IcebergTable, bytes_of, unpacked};
use super::updates::{changes, updates};

/// How many earlier metadata files the newest one names.
const EARLIER_FILES: usize = 100;

/// Makes metadata the newest of a table at `location`. `false`: somebody else made this version.
pub(super) async fn put_next(
    home: &TableHome,
    location: &Location,
    files: &dyn FileSystem,
    before: Option<&IcebergTable>,
    mut metadata: TableMetadata,
) -> Result<bool> {
    if let TableHome::Service(service) = home {
        return tell(service.as_ref(), before, &metadata).await;
    }
    if let Some(table) = before {
        let entry = json!({"timestamp-ms": table.metadata().last_updated_ms(), "metadata-file": table.metadata_file().to_string()});
        push(&mut metadata.json, "metadata-log", entry);
        if let Some(Json::Array(log)) = metadata.json.get_mut("metadata-log") {
            log.drain(..log.len().saturating_sub(EARLIER_FILES));
        }
    }
    metadata.json.insert("last-updated-ms".into(), now().into());
    let folder = location.join("metadata");
    let number = before.map(|table| table.version() + 1);
    if let TableHome::Pointer(pointer) = home {
        let place = folder.join(&format!("{:05}-{}.metadata.json", number.unwrap_or(0), Uuid::new_v4()));
        return point(pointer.as_ref(), files, before, &place, &metadata).await;
    }
    let number = number.unwrap_or(1);
    if !put_once(files, &folder.join(&format!("v{number}.metadata.json")), metadata.bytes()).await? {
        return Ok(false);
    }
    // For readers that start from the hint. Without it they look for the newest file themselves.
    if let Err(error) = put(files, &folder.join("version-hint.text"), number.to_string().into()).await {
        tracing::warn!(%location, number, %error, "the version hint was not written");
    }
    // Hadoop keeps sums of local files beside them, and does not read a file that has another.
    if folder.scheme() == "file" {
        files.delete(&folder.join(".version-hint.text.crc")).await?;
    }
    Ok(true)
}

/// Writes a metadata file and has the catalog name it. `false`: another writer was faster.
async fn point(
    pointer: &dyn TablePointer,
    files: &dyn FileSystem,
    before: Option<&IcebergTable>,
    place: &Location,
    after: &TableMetadata,
) -> Result<bool> {
    put(files, place, after.bytes()).await?;
    let new = place.to_string();
    let old = before.and_then(IcebergTable::pointed);
    let change = Swap { old, new: &new, before: before.map(IcebergTable::metadata), after };
    let done = match pointer.swap(change).await {
        Ok(Told::Done) => Ok(true),
        Ok(Told::Overtaken) => Ok(false),
        // What the catalog says now tells whether the change was let in. Where it says what it said before, the change may
        // still be on its way, and the file has to stay.
        Ok(Told::Unknown(error)) => match was_taken(pointer, files, old, &new).await {
            Some(was_taken) => Ok(was_taken),
            None => return Err(broken(&new, "it is not known whether the catalog names it").with_cause(error)),
        },
        Err(error) => Err(error),
    };
    if !matches!(done, Ok(true)) {
        // What cannot be removed is an orphan, which no reader sees.
        let _ = files.delete(place).await;
    }
    done
}

/// Whether a catalog has named a metadata file, which another one may have followed. `None`: it is not known.
async fn was_taken(pointer: &dyn TablePointer, files: &dyn FileSystem, old: Option<&str>, new: &str) -> Option<bool> {
    let current = match pointer.current().await {
        Ok(Some(current)) => current,
        _ => return None,
    };
    if current == new {
        return Some(true);
    }
    if Some(current.as_str()) == old {
        return None;
    }
    let place = Location::parse(&current).ok()?;
    let bytes = bytes_of(files, &place).await.ok()??;
    let metadata = TableMetadata::parse(&unpacked(&place, bytes).ok()?).ok()?;
    Some(metadata.metadata_log().iter().any(|(_, file)| file == new))
}

/// Tells a catalog what has changed since `before`. `false`: another writer was faster.
async fn tell(service: &dyn TableService, before: Option<&IcebergTable>, after: &TableMetadata) -> Result<bool> {
    let old = before.map(IcebergTable::metadata);
    let is_there = async || match service.load().await {
        Ok(Some(now)) => TableMetadata::of_json(now.metadata).map(|now| has(&now, old, after)),
        Ok(None) => Ok(false),
        Err(error) => Err(unknown(error)),
    };
    match service.commit(changes(old, after)).await {
        Ok(Told::Done) => Ok(true),
        // The change may have come to the catalog twice: then it is this one that was faster.
        Ok(Told::Overtaken) => is_there().await,
        Ok(Told::Unknown(error)) => match is_there().await {
            Ok(true) => Ok(true),
            _ => Err(unknown(error)),
        },
        // A change that did not fit may be one of a state that is not the newest any more.
        Err(error) => match (before, service.load().await) {
            (Some(before), Ok(Some(now))) if now.file.as_deref() != before.pointed() => Ok(false),
            _ => Err(error),
        },
    }
}

fn unknown(error: SparkError) -> SparkError {
    let why = "the catalog did not say whether it took the change, and may still take it; its files stay";
    broken("a commit", format!("{why}: {}", error.message())).with_cause(error)
}

/// Whether a state has what a change made.
fn has(now: &TableMetadata, before: Option<&TableMetadata>, after: &TableMetadata) -> bool {
    let known = |metadata: &TableMetadata| metadata.snapshots().into_iter().map(|s| s.id).collect::<Vec<_>>();
    let old = before.map(known).unwrap_or_default();
    let made: Vec<i64> = known(after).into_iter().filter(|id| !old.contains(id)).collect();
    match made.is_empty() {
        true => now.uuid() == after.uuid() && updates(Some(now), after).is_empty(),
        false => made.iter().all(|id| known(now).contains(id)),
    }
}

pub(crate) async fn put(files: &dyn FileSystem, place: &Location, bytes: Vec<u8>) -> Result<()> {
    let done = files.object_store().put(&place.object_path()?, PutPayload::from(bytes)).await;
    done.map(|_| ()).map_err(|e| store_error("write", place, &e))
}

/// As [`put_new`], where the answer of the store may be lost: what is there then tells whether it was ours.
pub(crate) async fn put_once(files: &dyn FileSystem, place: &Location, bytes: Vec<u8>) -> Result<bool> {
    let put = put_new(files, place, bytes.clone()).await;
    if let Ok(true) = put {
        return Ok(true);
    }
    match (bytes_of(files, place).await, put) {
        (Ok(Some(found)), _) => Ok(found == bytes),
        (Ok(None), Err(error)) => Err(error),
        (Ok(None), Ok(_)) => Err(broken(&place.to_string(), "it was there and is gone")),
        (Err(error), _) => Err(broken(&place.to_string(), "it is not known whether it was written").with_cause(error)),
    }
}

/// `false`: the file is there already.
pub(crate) async fn put_new(files: &dyn FileSystem, place: &Location, bytes: Vec<u8>) -> Result<bool> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match files.object_store().put_opts(&place.object_path()?, PutPayload::from(bytes), options).await {
        Ok(_) => Ok(true),
        Err(Error::AlreadyExists { .. }) => Ok(false),
        Err(error) => Err(store_error("write", place, &error)),
    }
}
