//! The footers of files that were read lately. A file's footer is read again only after a while without use.
//!
//! ```text
//!  put ──▶ recent ── age, or recent holds half of the limit ──▶ older ── the next time ──▶ forgotten
//!             ▲                                                   │
//!             └────────────────────── get ────────────────────────┘
//! ```
use std::mem;
use std::sync::Weak;
use std::time::Duration;

use datafusion::common::{HashMap, Result, TableReference};
use datafusion::execution::cache::cache_manager::CachedFileMetadataEntry;
use datafusion::execution::cache::{Cache, CacheEntryInfo, CacheKey, CacheValue};
use object_store::path::Path;
use parking_lot::Mutex;

/// A footer that nobody asked for is forgotten after one to two of these.
const AGE: Duration = Duration::from_secs(30);

/// Bounded in bytes and, unlike DataFusion's own cache, in time: a server that has nothing to do holds nothing.
#[derive(Default)]
pub struct Footers {
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    recent: Generation,
    older: Generation,
    limit_bytes: usize,
}

#[derive(Default)]
struct Generation {
    entries: HashMap<Path, CachedFileMetadataEntry>,
    bytes: usize,
}

impl Footers {
    /// Forgets what was not used since the last call but one.
    fn age(&self) {
        let forgotten = self.generations.lock().age();
        drop(forgotten);
    }

    /// Ages the entries for as long as the cache is used.
    pub async fn keep_young(footers: Weak<Self>) {
        loop {
            tokio::time::sleep(AGE).await;
            let Some(footers) = footers.upgrade() else { return };
            footers.age();
        }
    }
}

impl Generations {
    #[must_use]
    fn age(&mut self) -> Generation {
        mem::replace(&mut self.older, mem::take(&mut self.recent))
    }

    fn put(&mut self, path: &Path, entry: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        let previous = self.remove(path);
        let size = path.size() + entry.size();
        if size > self.limit_bytes / 2 {
            return previous;
        }
        if self.recent.bytes + size > self.limit_bytes / 2 {
            drop(self.age());
        }
        self.recent.entries.insert(path.clone(), entry);
        self.recent.bytes += size;
        previous
    }

    fn get(&mut self, path: &Path) -> Option<CachedFileMetadataEntry> {
        if let Some(entry) = self.recent.entries.get(path) {
            return Some(entry.clone());
        }
        let entry = self.older.remove(path)?;
        self.put(path, entry.clone());
        Some(entry)
    }

    fn remove(&mut self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.recent.remove(path).or_else(|| self.older.remove(path))
    }
}

impl Generation {
    fn remove(&mut self, path: &Path) -> Option<CachedFileMetadataEntry> {
        let entry = self.entries.remove(path)?;
        self.bytes -= path.size() + entry.size();
        Some(entry)
    }
}

impl Cache<Path, CachedFileMetadataEntry> for Footers {
    fn get(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.generations.lock().get(path)
    }

    fn put(&self, path: &Path, entry: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        self.generations.lock().put(path, entry)
    }

    fn remove(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.generations.lock().remove(path)
    }

    fn contains_key(&self, path: &Path) -> bool {
        let generations = self.generations.lock();
        generations.recent.entries.contains_key(path) || generations.older.entries.contains_key(path)
    }

    fn len(&self) -> usize {
        let generations = self.generations.lock();
        generations.recent.entries.len() + generations.older.entries.len()
    }

    fn clear(&self) {
        self.age();
        self.age();
    }

    fn name(&self) -> String {
        "Footers".into()
    }

    fn cache_limit(&self) -> usize {
        self.generations.lock().limit_bytes
    }

    fn update_cache_limit(&self, limit: usize) {
        let too_many = {
            let mut generations = self.generations.lock();
            generations.limit_bytes = limit;
            generations.recent.bytes.max(generations.older.bytes) > limit / 2
        };
        if too_many {
            self.clear();
        }
    }

    /// Entries age by themselves, whatever is asked for.
    fn cache_ttl(&self) -> Option<Duration> {
        Some(AGE)
    }

    fn update_cache_ttl(&self, _ttl: Option<Duration>) {}

    /// Files belong to no table here; a changed file is known by its size and time.
    fn drop_table_entries(&self, _table: &TableReference) -> Result<()> {
        Ok(())
    }

    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        let generations = self.generations.lock();
        let entries = generations.older.entries.iter().chain(&generations.recent.entries);
        let info = |value: &CachedFileMetadataEntry| CacheEntryInfo {
            value: value.clone(),
            size_bytes: value.size(),
            hits: 0,
            expires: None,
        };
        entries.map(|(path, value)| (path.clone(), info(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::any::Any;
    use std::sync::Arc;

    use datafusion::execution::cache::cache_manager::FileMetadata;
    use object_store::ObjectMeta;

    use super::*;

    struct Footer(usize);

    impl FileMetadata for Footer {
        fn as_any(&self) -> &dyn Any {
            self
        }
        fn memory_size(&self) -> usize {
            self.0
        }
        fn extra_info(&self) -> HashMap<String, String> {
            Default::default()
        }
    }

    fn footers(limit_bytes: usize) -> Footers {
        let footers = Footers::default();
        footers.update_cache_limit(limit_bytes);
        footers
    }

    fn entry(path: &Path, bytes: usize) -> CachedFileMetadataEntry {
        let meta = ObjectMeta {
            location: path.clone(),
            last_modified: Default::default(),
            size: 1,
            e_tag: None,
            version: None,
        };
        CachedFileMetadataEntry::new(meta, Arc::new(Footer(bytes)))
    }

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let footers = footers(1 << 20);
        let (used, unused) = (Path::from("used"), Path::from("unused"));
        footers.put(&used, entry(&used, 1000));
        footers.put(&unused, entry(&unused, 1000));
        footers.age();
        assert!(footers.get(&used).is_some());
        assert_eq!(footers.len(), 2);
        footers.age();
        assert!(footers.get(&used).is_some());
        assert!(footers.get(&unused).is_none());
        footers.age();
        footers.age();
        let generations = footers.generations.lock();
        assert_eq!((generations.recent.bytes, generations.older.bytes), (0, 0));
    }

    #[test]
    fn bytes_are_bounded() {
        let footers = footers(100_000);
        for number in 0..1000 {
            let path = Path::from(format!("file{number}"));
            footers.put(&path, entry(&path, 1000));
            footers.put(&path, entry(&path, 2000));
        }
        let bytes = |footers: &Footers| {
            let generations = footers.generations.lock();
            generations.recent.bytes + generations.older.bytes
        };
        assert!((40_000..=100_000).contains(&bytes(&footers)));
        let large = Path::from("large");
        footers.put(&large, entry(&large, 90_000));
        assert!(!footers.contains_key(&large));
        footers.update_cache_limit(1000);
        assert_eq!(bytes(&footers), 0);
    }
}
