//! Reads that were resolved before. What was found out about files holds for as long as they are the same files.
//!
//! ```text
//!  request ─▶ list the files (always) ─▶ the same request and files as before? ── yes ──▶ the scan of then
//!                                                    └── no ──▶ schema, partitions ──▶ a new scan, which is kept
//! ```
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use firesteel_plan::Result;
use firesteel_storage::FileStatus;
use parking_lot::Mutex;

use super::{Scan, make_format, named_paths, resolve};
use crate::files::{Listing, list};
use crate::request::ScanRequest;

/// Scans that one cache keeps, and the files that each of them may have.
const SCANS_MAX: usize = 64;
const FILES_MAX: usize = 4096;
/// Without use.
const KEPT_FOR: Duration = Duration::from_secs(120);
/// A file that was written this shortly before it was listed may change again and bear the same time.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// The scans of one session: who may reach what, and with which credentials, is the same for all of them.
#[derive(Debug, Default)]
pub struct KnownScans {
    /// The last used is the last.
    entries: Mutex<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    scan: Scan,
    /// All that was listed, of which a scan leaves out what it does not read.
    listed: Vec<FileStatus>,
    used: Instant,
}

impl KnownScans {
    /// Does what [`super::scan`] does.
    pub async fn scan(&self, request: ScanRequest) -> Result<Scan> {
        let request = named_paths(request);
        let format = make_format(&request)?;
        let listing = list(&request).await?;
        if let Some(known) = self.find(&request, &listing) {
            return Ok(known);
        }
        let listed = listing.data.clone();
        let scan = resolve(request, format, listing).await?;
        if listed.len() <= FILES_MAX && is_settled(&listed) {
            self.keep(Known { scan: scan.clone(), listed, used: Instant::now() });
        }
        Ok(scan)
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.entries.lock().clear();
    }

    fn find(&self, request: &ScanRequest, listing: &Listing) -> Option<Scan> {
        let mut entries = self.entries.lock();
        let position = entries.iter().rposition(|known| known.answers(request, listing))?;
        let mut known = entries.remove(position);
        known.used = Instant::now();
        let scan = known.scan.clone();
        entries.push(known);
        Some(scan)
    }

    fn keep(&self, new: Known) {
        let request = &new.scan.inner.request;
        let mut entries = self.entries.lock();
        entries.retain(|known| known.used.elapsed() < KEPT_FOR && !is_same_read(&known.scan.inner.request, request));
        if entries.len() >= SCANS_MAX {
            entries.remove(0);
        }
        entries.push(new);
    }
}

impl Known {
    fn answers(&self, request: &ScanRequest, listing: &Listing) -> bool {
        let inner = &self.scan.inner;
        is_same_read(&inner.request, request) && self.listed == listing.data && inner.roots == listing.roots
    }
}

/// Settings are compared by identity: a session has others once one of them is set.
fn is_same_read(a: &ScanRequest, b: &ScanRequest) -> bool {
    a.conf.is(&b.conf)
        && a.paths == b.paths
        && a.format == b.format
        && a.options == b.options
        && a.user_schema == b.user_schema
        && a.partition_columns == b.partition_columns
        && a.partitions == b.partitions
        && a.bucketing == b.bucketing
}

/// Whether these files, listed now, are others when they are listed otherwise.
pub(crate) fn is_settled(files: &[FileStatus]) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let latest = i64::try_from(now.saturating_sub(SETTLED_AFTER).as_micros()).unwrap_or(i64::MAX);
    files.iter().all(|file| file.modified_us < latest)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("firesteel-scans-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn write(path: &Path, text: &str, age: Duration) {
        fs::write(path, text).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }

    fn request(folder: &Folder, conf: &crate::Conf) -> ScanRequest {
        let paths = vec![folder.0.display().to_string()];
        ScanRequest { format: "text".into(), paths, conf: conf.clone(), ..ScanRequest::default() }
    }

    #[tokio::test]
    async fn a_scan_is_kept_while_its_files_are_the_same() {
        let folder = Folder::new();
        let (conf, old) = (crate::Conf::default(), Duration::from_secs(60));
        let scans = KnownScans::default();
        let same = |a: &Scan, b: &Scan| Arc::ptr_eq(&a.inner, &b.inner);
        write(&folder.0.join("a.txt"), "a", old);
        let first = scans.scan(request(&folder, &conf)).await.unwrap();
        assert!(same(&first, &scans.scan(request(&folder, &conf)).await.unwrap()));
        // Other settings are another read, whatever they hold.
        let other = crate::Conf::new(std::collections::BTreeMap::<String, String>::new());
        assert!(!same(&first, &scans.scan(request(&folder, &other)).await.unwrap()));
        write(&folder.0.join("b.txt"), "b", old);
        let second = scans.scan(request(&folder, &conf)).await.unwrap();
        assert_eq!((first.files().len(), second.files().len()), (1, 2));
        // The same size at another time.
        write(&folder.0.join("b.txt"), "c", old - Duration::from_secs(1));
        let third = scans.scan(request(&folder, &conf)).await.unwrap();
        assert!(!same(&second, &third));
        // What was written just now may be written again.
        write(&folder.0.join("b.txt"), "d", Duration::ZERO);
        let fourth = scans.scan(request(&folder, &conf)).await.unwrap();
        assert!(!same(&fourth, &scans.scan(request(&folder, &conf)).await.unwrap()));
    }
}
