//! One version of a table.
use std::sync::Arc;

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::{Add, EagerSnapshot};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::{FileStatus, Location, Storage};
use object_store::prefix::PrefixStore;
use url::Url;

use super::errors::{delta_error, missing_table};
use super::history;
use super::metadata::TableMetadata;
use super::protocol::TableProtocol;
use super::relist::reread;

/// Which version of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum DeltaVersion {
    #[default]
    Latest,
    Version(u64),
    /// microseconds since the epoch
    Timestamp(i64),
}

/// A table at one of its versions. Cheap to clone.
#[derive(Clone)]
pub struct DeltaTable {
    inner: Arc<Inner>,
}

struct Inner {
    location: Location,
    storage: Storage,
    log_store: LogStoreRef,
    snapshot: EagerSnapshot,
    metadata: TableMetadata,
    protocol: TableProtocol,
}

impl std::fmt::Debug for DeltaTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeltaTable({}, version {})", self.inner.location, self.version())
    }
}

/// The log of the table at `location`.
pub(super) fn log_store(location: &Location, storage: &Storage) -> Result<LogStoreRef> {
    let url = Url::parse(&format!("{}/", location.url()))
        .map_err(|e| SparkError::internal(format!("{location} is no usable place")).with_cause(e))?;
    let store = storage.file_system(location)?.object_store();
    let below = Arc::new(PrefixStore::new(Arc::clone(&store), location.object_path()?));
    // Its commits are put if absent, which every store here can.
    Ok(default_logstore(below, store, &url, &StorageConfig::default()))
}

impl DeltaTable {
    /// The table at `location`; `DELTA_TABLE_NOT_FOUND` where there is none.
    pub async fn open(location: &Location, storage: &Storage, version: &DeltaVersion) -> Result<Self> {
        match Self::find(location, storage).await? {
            None => Err(missing_table(location)),
            Some(latest) => latest.at(version).await,
        }
    }

    /// The newest version of the table at `location`, if there is a table.
    pub async fn find(location: &Location, storage: &Storage) -> Result<Option<Self>> {
        if !Self::exists(location, storage).await? {
            return Ok(None);
        }
        Self::load(location, storage, None).await.map(Some)
    }

    /// Whether a log with something in it is at `location`.
    pub async fn exists(location: &Location, storage: &Storage) -> Result<bool> {
        Ok(Self::log_files(location, storage).await?.is_some())
    }

    /// What is in the directory of the log at `location`; `None` where that is no log.
    pub(super) async fn log_files(location: &Location, storage: &Storage) -> Result<Option<Vec<FileStatus>>> {
        let files = storage.file_system(location)?;
        let log = location.join("_delta_log");
        match files.status(&log).await? {
            Some(status) if status.is_directory => {
                let entries = files.list(&log).await?;
                let is_entry = |name: &str| name.ends_with(".json") || name.contains(".checkpoint");
                Ok(entries.iter().any(|entry| is_entry(entry.location.name())).then_some(entries))
            }
            _ => Ok(None),
        }
    }

    pub(super) async fn load(location: &Location, storage: &Storage, version: Option<u64>) -> Result<Self> {
        let log_store = log_store(location, storage)?;
        let snapshot = reread(|| {
            let log_store = Arc::clone(&log_store);
            async move { EagerSnapshot::try_new(log_store.as_ref(), version).await }
        })
        .await;
        let snapshot = snapshot.map_err(|e| delta_error(location, e))?;
        let metadata = TableMetadata::of_action(snapshot.metadata())?;
        let protocol = TableProtocol::of_action(snapshot.protocol())?;
        let inner =
            Inner { location: location.clone(), storage: storage.clone(), log_store, snapshot, metadata, protocol };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The same table at another version.
    pub async fn at(&self, version: &DeltaVersion) -> Result<Self> {
        let wanted = match version {
            DeltaVersion::Latest => return Ok(self.clone()),
            DeltaVersion::Version(version) => *version,
            DeltaVersion::Timestamp(micros) => history::version_at(self, *micros, false).await?,
        };
        if wanted == self.version() {
            return Ok(self.clone());
        }
        let earliest = history::earliest_version(self).await?;
        if wanted > self.version() || wanted < earliest {
            return Err(SparkError::new(
                "DELTA_VERSION_NOT_FOUND",
                [
                    ("userVersion", wanted.to_string()),
                    ("earliest", earliest.to_string()),
                    ("latest", self.version().to_string()),
                ],
            ));
        }
        Self::load(&self.inner.location, &self.inner.storage, Some(wanted)).await
    }

    /// The newest version of the same table.
    pub async fn latest(&self) -> Result<Self> {
        Self::load(&self.inner.location, &self.inner.storage, None).await
    }

    pub fn location(&self) -> &Location {
        &self.inner.location
    }
    pub fn storage(&self) -> &Storage {
        &self.inner.storage
    }
    pub fn version(&self) -> u64 {
        self.inner.snapshot.version()
    }
    pub fn metadata(&self) -> &TableMetadata {
        &self.inner.metadata
    }
    pub fn schema(&self) -> &StructType {
        &self.inner.metadata.schema
    }
    pub fn protocol(&self) -> &TableProtocol {
        &self.inner.protocol
    }
    pub(super) fn snapshot(&self) -> &EagerSnapshot {
        &self.inner.snapshot
    }
    pub(super) fn log_store(&self) -> &LogStoreRef {
        &self.inner.log_store
    }

    /// Whether both are the very same reading of the log.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(super) fn file_count(&self) -> Result<usize> {
        let log = self.inner.snapshot.try_log_data().map_err(|e| delta_error(self.location(), e))?;
        Ok(log.num_files())
    }

    /// The data files of this version.
    pub fn files(&self) -> Result<Vec<Add>> {
        let log = self.inner.snapshot.try_log_data().map_err(|e: DeltaTableError| delta_error(self.location(), e))?;
        #[allow(deprecated)] // The replacement hands out Arrow batches of a private layout.
        let files = log.iter().map(|view| view.add_action()).collect();
        Ok(files)
    }

    /// Where a file of the log is: its path is relative to the table, or a place of its own.
    pub fn file_location(&self, path: &str) -> Result<Location> {
        match path.contains("://") || path.starts_with("file:") {
            true => Location::parse(path),
            false => Ok(self.inner.location.join(path)),
        }
    }

    /// Refuses a table with features that writers here do not keep.
    pub fn check_writable(&self) -> Result<()> {
        super::features::check_writable(self)
    }
}
