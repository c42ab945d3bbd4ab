//! What a client uploads to its session: cached local relations and files, by name. Bounded in bytes.
use std::sync::Arc;

use firesteel_plan::{Result, SparkError};
use indexmap::IndexMap;
use parking_lot::Mutex;

/// Uploaded bytes by name (`cache/<sha256>`, `files/a.txt`). The oldest `cache/` entries leave when the limit is
/// reached: a client that misses one uploads it again.
#[derive(Debug)]
pub struct Artifacts {
    inner: Mutex<Inner>,
    limit_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    entries: IndexMap<String, Arc<[u8]>>,
    bytes: usize,
}

const CACHE_PREFIX: &str = "cache/";

impl Artifacts {
    pub fn new(limit_bytes: usize) -> Self {
        Self { inner: Mutex::default(), limit_bytes }
    }

    pub fn put(&self, name: impl Into<String>, data: Arc<[u8]>) -> Result<()> {
        let name = name.into();
        if data.len() > self.limit_bytes {
            return Err(SparkError::unsupported(format!(
                "an artifact of {} bytes: a session keeps at most {}",
                data.len(),
                self.limit_bytes
            )));
        }
        let mut inner = self.inner.lock();
        if let Some(old) = inner.entries.shift_remove(&name) {
            inner.bytes -= old.len();
        }
        while inner.bytes + data.len() > self.limit_bytes {
            let Some(oldest) = inner.entries.keys().position(|k| k.starts_with(CACHE_PREFIX)) else {
                return Err(SparkError::unsupported(format!(
                    "more than {} bytes of artifacts in a session",
                    self.limit_bytes
                )));
            };
            if let Some((_, old)) = inner.entries.shift_remove_index(oldest) {
                inner.bytes -= old.len();
            }
        }
        inner.bytes += data.len();
        inner.entries.insert(name, data);
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<Arc<[u8]>> {
        self.inner.lock().entries.get(name).cloned()
    }

    /// The data of a cached local relation.
    pub fn cached_relation(&self, hash: &str) -> Option<Arc<[u8]>> {
        self.get(&format!("{CACHE_PREFIX}{hash}"))
    }

    pub fn contains(&self, name: &str) -> bool {
        self.inner.lock().entries.contains_key(name)
    }

    pub fn names(&self) -> Vec<String> {
        self.inner.lock().entries.keys().cloned().collect()
    }

    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    pub fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }

    /// The same uploads for a cloned session (the bytes are shared).
    pub fn fork(&self) -> Self {
        let inner = self.inner.lock();
        Self {
            inner: Mutex::new(Inner { entries: inner.entries.clone(), bytes: inner.bytes }),
            limit_bytes: self.limit_bytes,
        }
    }
}
