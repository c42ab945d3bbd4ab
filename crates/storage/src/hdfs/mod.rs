//! HDFS: a name node says where files are and renames them at once; data nodes hold their bytes.
//!
//! ```text
//!  hdfs://host:port  hdfs://name-service  viewfs://mounts      core-site.xml, hdfs-site.xml, settings of the session
//!                 └───────────────┬──────────────────────────────────────┘
//!                           client (hdfs-native) ──▶ HdfsFiles: FileSystem   directories, rename
//!                                                └─▶ HdfsObjects: ObjectStore   bytes, put if absent
//! ```
mod client;
mod objects;
mod upload;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_plan::Result;
use futures::{StreamExt, TryStreamExt};
use hdfs_native::client::FileStatus as HdfsStatus;
use object_store::{Error, ObjectStore};

use crate::errors::store_error;
use crate::file_system::{FileStatus, FileSystem};
use crate::location::Location;
use client::HdfsClient;
use objects::HdfsObjects;

pub(crate) const SCHEMES: &[&str] = &["hdfs", "viewfs"];
pub(crate) const PREFIXES: &[&str] = &["dfs.", "hadoop.", "ipc.", "fs.viewfs.", "fs.defaultFS"];

/// How many files are removed at once.
const CONCURRENCY: usize = 16;

/// A name service with the settings of one session or request.
struct HdfsFiles {
    root: Location,
    store_url: String,
    client: HdfsClient,
    objects: Arc<HdfsObjects>,
}

impl fmt::Debug for HdfsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HdfsFiles({})", self.root)
    }
}

/// `id` tells stores of one name service with different settings apart.
pub(crate) fn open(location: &Location, settings: &BTreeMap<String, String>, id: u64) -> Result<Arc<dyn FileSystem>> {
    let root = location.with_path("/");
    let client = HdfsClient::open(location, settings)?;
    let objects = Arc::new(HdfsObjects::new(client.clone(), root.to_string()));
    Ok(Arc::new(HdfsFiles { store_url: format!("{}://store-{id}/", root.scheme()), root, client, objects }))
}

impl HdfsFiles {
    fn of_status(&self, status: &HdfsStatus) -> FileStatus {
        FileStatus {
            location: self.root.with_path(&status.path),
            is_directory: status.isdir,
            size: if status.isdir { 0 } else { status.length as u64 },
            modified_us: i64::try_from(status.modification_time).unwrap_or(i64::MAX).saturating_mul(1000),
        }
    }

    async fn make_directory(&self, location: &Location) -> Result<()> {
        let made = self.client.make_directory(location.path()).await;
        made.map_err(|e| store_error("make the directory", location, &e))
    }
}

#[async_trait]
impl FileSystem for HdfsFiles {
    fn root(&self) -> &Location {
        &self.root
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects) as _
    }

    fn store_url(&self) -> String {
        self.store_url.clone()
    }

    async fn status(&self, location: &Location) -> Result<Option<FileStatus>> {
        match self.client.status(location.path()).await {
            Ok(found) => Ok(found.map(|status| self.of_status(&status))),
            Err(error) => Err(store_error("read", location, &error)),
        }
    }

    async fn list(&self, directory: &Location) -> Result<Vec<FileStatus>> {
        let found = self.client.list(directory.path(), false).await;
        let found = found.map_err(|e| store_error("list", directory, &e))?;
        let mut children: Vec<_> = found.iter().map(|status| self.of_status(status)).collect();
        // A file lists itself.
        children.retain(|child| child.location != *directory);
        children.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(children)
    }

    async fn files_below(&self, location: &Location) -> Result<Vec<FileStatus>> {
        match self.client.list(location.path(), true).await {
            Ok(found) => Ok(found.iter().filter(|status| !status.isdir).map(|status| self.of_status(status)).collect()),
            Err(Error::NotFound { .. }) => Ok(vec![]),
            Err(error) => Err(store_error("list", location, &error)),
        }
    }

    async fn create_directory(&self, location: &Location) -> Result<()> {
        self.make_directory(location).await
    }

    async fn rename(&self, from: &Location, to: &Location) -> Result<()> {
        if let Some(parent) = to.parent() {
            self.make_directory(&parent).await?;
        }
        let renamed = self.client.rename(from.path(), to.path(), true).await;
        renamed.map_err(|e| store_error("rename", from, &e))
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        self.client.delete(location.path(), true).await.map_err(|e| store_error("delete", location, &e))
    }

    async fn delete_files(&self, files: &[FileStatus]) -> Result<()> {
        let deleted: Vec<_> = files.iter().map(|file| self.delete(&file.location)).collect();
        futures::stream::iter(deleted).buffer_unordered(CONCURRENCY).try_collect().await
    }

    async fn delete_empty(&self, directory: &Location) -> Result<()> {
        match self.client.delete(directory.path(), false).await {
            Err(error) if !client::is_not_empty(&error) => Err(store_error("delete", directory, &error)),
            _ => Ok(()),
        }
    }
}
