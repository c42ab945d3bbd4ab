//! The cache of footers, by store: its keys are paths, and two buckets may have the same.
use std::sync::Arc;
use std::time::Duration;

use datafusion::catalog::Session;
use datafusion::common::{HashMap, Result, TableReference};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::execution::cache::{Cache, CacheEntryInfo};
use firesteel_storage::FileSystem;
use object_store::path::Path;

/// The process's cache as one store sees it.
pub(super) struct StoreCache {
    shared: Arc<FileMetadataCache>,
    /// What stands before the paths of this store
    store: Path,
}

impl StoreCache {
    /// Local files are there as they are; other stores are told apart by what tells them apart elsewhere.
    pub(super) fn of(files: &dyn FileSystem, session: &dyn Session) -> Arc<FileMetadataCache> {
        let shared = session.runtime_env().cache_manager.get_file_metadata_cache();
        match files.root().scheme() {
            "file" => shared,
            _ => Arc::new(Self { shared, store: Path::from(files.store_url()) }),
        }
    }

    fn key(&self, path: &Path) -> Path {
        Path::from_iter(self.store.parts().chain(path.parts()))
    }
}

impl Cache<Path, CachedFileMetadataEntry> for StoreCache {
    fn get(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.shared.get(&self.key(path))
    }
    fn put(&self, path: &Path, value: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        self.shared.put(&self.key(path), value)
    }
    fn remove(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.shared.remove(&self.key(path))
    }
    fn contains_key(&self, path: &Path) -> bool {
        self.shared.contains_key(&self.key(path))
    }
    fn len(&self) -> usize {
        self.shared.len()
    }
    fn clear(&self) {
        self.shared.clear();
    }
    fn name(&self) -> String {
        self.shared.name()
    }
    fn cache_limit(&self) -> usize {
        self.shared.cache_limit()
    }
    fn update_cache_limit(&self, limit: usize) {
        self.shared.update_cache_limit(limit);
    }
    fn cache_ttl(&self) -> Option<Duration> {
        self.shared.cache_ttl()
    }
    fn update_cache_ttl(&self, ttl: Option<Duration>) {
        self.shared.update_cache_ttl(ttl);
    }
    fn drop_table_entries(&self, table: &TableReference) -> Result<()> {
        self.shared.drop_table_entries(table)
    }
    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        self.shared.list_entries()
    }
}
