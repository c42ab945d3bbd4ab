//! The files that a table has, of all its states, for when it goes with all of them.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use firesteel_plan::{JavaException, Result, SparkError};
use firesteel_storage::{FileSystem, Location, store_error};
use futures::StreamExt;
use object_store::ObjectStoreExt;
use serde_json::Value as Json;

use super::manifest::{Status, entries_of};
use super::scan::located;
use super::table::IcebergTable;

/// A property by which a table says that its files may be of other tables too
const COLLECTED: &str = "gc.enabled";
const CONCURRENCY: usize = 16;
/// Lists of the metadata whose entries name a file, and how
const NAMED: &[(&str, &str)] = &[
    ("metadata-log", "metadata-file"),
    ("statistics", "statistics-path"),
    ("partition-statistics", "statistics-path"),
];

/// Files to remove.
#[derive(Debug)]
pub struct TableFiles {
    table: IcebergTable,
    places: Vec<Location>,
}

impl TableFiles {
    /// The files of all states of a table, metadata and data: none of them has been removed yet.
    pub async fn of(table: &IcebergTable) -> Result<Self> {
        let metadata = table.metadata();
        if metadata.properties().get(COLLECTED).is_some_and(|flag| flag.eq_ignore_ascii_case("false")) {
            let message = format!("Cannot purge table: {COLLECTED} is false, its files may be those of other tables");
            return Err(SparkError::java(JavaException::IllegalArgument, message));
        }
        let mut paths: BTreeSet<String> = NAMED
            .iter()
            .flat_map(|(list, name)| {
                let all = metadata.json.get(*list).and_then(Json::as_array).into_iter().flatten();
                all.filter_map(move |entry| entry.get(*name)?.as_str().map(str::to_string))
            })
            .collect();
        let mut manifests = BTreeMap::new();
        for snapshot in metadata.snapshots() {
            manifests.extend(located(table, &snapshot).await?.into_iter().map(|found| (found.path.clone(), found)));
            paths.extend(snapshot.manifest_list);
        }
        paths.extend(manifests.keys().cloned());
        let entries = manifests.into_values().map(|manifest| entries_of(Arc::clone(table.files()), manifest));
        let mut entries = futures::stream::iter(entries).buffer_unordered(CONCURRENCY);
        while let Some(found) = entries.next().await {
            paths.extend(found?.into_iter().filter(|entry| entry.status != Status::Deleted).map(|e| e.file.path));
        }
        let mut places: Vec<Location> = paths.iter().map(|path| table.place(path)).collect::<Result<_>>()?;
        // The last: with it all others are known.
        places.push(table.metadata_file().clone());
        Ok(Self { table: table.clone(), places })
    }

    /// Removes them. What cannot be removed stays, and is told to whoever runs the server.
    pub async fn remove(mut self) {
        let files = self.table.files();
        let Some(last) = self.places.pop() else { return };
        let removed = self.places.into_iter().map(|place| remove(Arc::clone(files), place));
        futures::stream::iter(removed).buffer_unordered(CONCURRENCY).collect::<()>().await;
        remove(Arc::clone(files), last).await;
    }
}

/// Metadata may name a directory, which is none of the table's files: a store removes files alone.
async fn remove(files: Arc<dyn FileSystem>, place: Location) {
    let done = match place.object_path() {
        Ok(path) => files.object_store().delete(&path).await.map_err(|error| store_error("delete", &place, &error)),
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        tracing::warn!(%place, %error, "a file of a purged table was not removed");
    }
}
