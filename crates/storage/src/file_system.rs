//! What Firesteel needs of a store beyond objects: directories and rename.
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_plan::Result;
use object_store::ObjectStore;

use crate::location::Location;
use crate::uploads::Uploads;

/// A file or directory.
#[derive(Debug, Clone, PartialEq)]
pub struct FileStatus {
    pub location: Location,
    pub is_directory: bool,
    /// bytes; 0 for a directory
    pub size: u64,
    /// microseconds since the epoch
    pub modified_us: i64,
}

/// A store with directories. All calls are safe to run at once.
#[async_trait]
pub trait FileSystem: Send + Sync + Debug {
    /// Scheme and authority of all its locations, and the path `/`.
    fn root(&self) -> &Location;
    /// The store that moves the bytes; its keys are [`Location::object_path`].
    fn object_store(&self) -> Arc<dyn ObjectStore>;
    /// The URL under which DataFusion knows [`FileSystem::object_store`]: scheme and authority.
    fn store_url(&self) -> String;
    /// Where a rename is a copy: the way to write objects that appear at their final place, and only when they are
    /// completed. `None` where a rename costs nothing.
    fn uploads(&self) -> Option<Uploads> {
        None
    }
    /// `None` where there is nothing.
    async fn status(&self, location: &Location) -> Result<Option<FileStatus>>;
    /// The direct children of a directory, sorted by name.
    async fn list(&self, directory: &Location) -> Result<Vec<FileStatus>>;
    /// Every file at or below a location.
    async fn files_below(&self, location: &Location) -> Result<Vec<FileStatus>> {
        let mut found = vec![];
        let mut open: Vec<_> = self.status(location).await?.into_iter().collect();
        while let Some(status) = open.pop() {
            match status.is_directory {
                true => open.extend(self.list(&status.location).await?),
                false => found.push(status),
            }
        }
        Ok(found)
    }
    /// Makes a directory and those above it; no error where it exists.
    async fn create_directory(&self, location: &Location) -> Result<()>;
    /// Moves a file or directory, replacing a file that is there. The parent of `to` is made if need be.
    async fn rename(&self, from: &Location, to: &Location) -> Result<()>;
    /// Removes a file, or a directory with all it holds; no error where there is nothing.
    async fn delete(&self, location: &Location) -> Result<()>;
    /// Removes files; no error where one is gone.
    async fn delete_files(&self, files: &[FileStatus]) -> Result<()> {
        for file in files {
            self.delete(&file.location).await?;
        }
        Ok(())
    }
    /// Removes a directory, unless it holds anything; no error where it does, or where there is nothing.
    async fn delete_empty(&self, directory: &Location) -> Result<()>;
}

/// Names that data sources pass over: `.x` and `_x`, but not partition directories such as `_a=1`.
pub fn is_hidden(name: &str) -> bool {
    (name.starts_with('_') && !name.contains('=')) || name.starts_with('.') || name.ends_with("._COPYING_")
}
