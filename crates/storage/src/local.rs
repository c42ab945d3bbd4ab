//! Local files.
use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::UNIX_EPOCH;
use std::{fs, io};

use async_trait::async_trait;
use firesteel_plan::{Result, SparkError};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::file_system::{FileStatus, FileSystem};
use crate::location::Location;

/// The machine's own files.
#[derive(Debug)]
pub struct LocalFiles {
    root: Location,
    store: Arc<LocalFileSystem>,
}

static SHARED: LazyLock<Arc<LocalFiles>> =
    LazyLock::new(|| Arc::new(LocalFiles { root: Location::local_root(), store: Arc::new(LocalFileSystem::new()) }));

impl LocalFiles {
    /// The one instance: local files need no credentials.
    pub fn shared() -> Arc<Self> {
        Arc::clone(&SHARED)
    }
}

fn failed(doing: &str, location: &Location, error: &io::Error) -> SparkError {
    SparkError::internal(format!("cannot {doing} {location}: {error}")).with_cause(error)
}

fn status_of(location: Location, metadata: &fs::Metadata) -> FileStatus {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    FileStatus {
        location,
        is_directory: metadata.is_dir(),
        size: if metadata.is_dir() { 0 } else { metadata.len() },
        modified_us: modified.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)),
    }
}

fn read_status(location: &Location) -> Result<Option<FileStatus>> {
    match fs::metadata(location.path()) {
        Ok(metadata) => Ok(Some(status_of(location.clone(), &metadata))),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(failed("read", location, &e)),
    }
}

fn read_directory(directory: &Location) -> Result<Vec<FileStatus>> {
    let entries = fs::read_dir(directory.path()).map_err(|e| failed("list", directory, &e))?;
    let mut children = vec![];
    for entry in entries {
        let entry = entry.map_err(|e| failed("list", directory, &e))?;
        // A name that is not UTF-8 cannot be a Spark path.
        let Ok(name) = entry.file_name().into_string() else { continue };
        // The entry may vanish between the listing and this call; then it is not there.
        children.extend(read_status(&directory.join(&name))?);
    }
    children.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(children)
}

fn move_entry(from: &Location, to: &Location) -> Result<()> {
    if let Some(parent) = Path::new(to.path()).parent() {
        fs::create_dir_all(parent).map_err(|e| failed("make the directory of", to, &e))?;
    }
    fs::rename(from.path(), to.path()).map_err(|e| failed("rename", from, &e))
}

fn remove(location: &Location) -> Result<()> {
    let path = location.path();
    let result = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match result {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("delete", location, &e)),
        _ => Ok(()),
    }
}

fn remove_empty(directory: &Location) -> Result<()> {
    match fs::remove_dir(directory.path()) {
        Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => {
            Err(failed("delete", directory, &e))
        }
        _ => Ok(()),
    }
}

thread_local! {
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread that may wait for the disk: what it asks of local files is done on the spot, and not by yet
/// another thread.
pub fn on_waiting_thread<T>(work: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            MAY_WAIT.set(self.0);
        }
    }
    let _before = Before(MAY_WAIT.replace(true));
    work()
}

/// Runs file system calls off the async threads: a directory with many entries or a slow disk must not stall them.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    if MAY_WAIT.get() {
        return work();
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| SparkError::internal("a file system call was cancelled").with_cause(e))?
}

#[async_trait]
impl FileSystem for LocalFiles {
    fn root(&self) -> &Location {
        &self.root
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store) as Arc<dyn ObjectStore>
    }

    fn store_url(&self) -> String {
        "file:///".into()
    }

    async fn status(&self, location: &Location) -> Result<Option<FileStatus>> {
        let location = location.clone();
        blocking(move || read_status(&location)).await
    }

    async fn list(&self, directory: &Location) -> Result<Vec<FileStatus>> {
        let directory = directory.clone();
        blocking(move || read_directory(&directory)).await
    }

    async fn create_directory(&self, location: &Location) -> Result<()> {
        let location = location.clone();
        blocking(move || fs::create_dir_all(location.path()).map_err(|e| failed("make the directory", &location, &e)))
            .await
    }

    async fn rename(&self, from: &Location, to: &Location) -> Result<()> {
        let (from, to) = (from.clone(), to.clone());
        blocking(move || move_entry(&from, &to)).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let location = location.clone();
        blocking(move || remove(&location)).await
    }

    async fn delete_empty(&self, directory: &Location) -> Result<()> {
        let directory = directory.clone();
        blocking(move || remove_empty(&directory)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// There is no runtime here that could give the work to another thread.
    #[test]
    fn a_thread_that_may_wait_does_the_work() {
        let here = Location::parse(&std::env::temp_dir().display().to_string()).unwrap();
        let files = LocalFiles::shared();
        let status = on_waiting_thread(|| futures::executor::block_on(files.status(&here))).unwrap();
        assert!(status.is_some_and(|status| status.is_directory));
        assert!(!MAY_WAIT.get());
    }
}
