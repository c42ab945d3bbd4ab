//! Object stores as file systems. A directory is what keys below it make, or its marker; a rename copies and deletes.
//!
//! ```text
//!  location + settings ──▶ connect: s3 · azure · google ──▶ Backend {objects, uploads, pages, markers}
//!                                                                      │
//!                                                     RemoteFiles: FileSystem
//! ```
mod azure;
mod google;
mod guarded;
mod markers;
mod s3;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_plan::{JavaException, Result, SparkError};
use futures::{StreamExt, TryStreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::errors::store_error;
use crate::file_system::{FileStatus, FileSystem};
use crate::location::Location;
use crate::settings::illegal;
use crate::uploads::Uploads;
use guarded::Guarded;
use markers::Markers;

/// Amazon's smallest part but for the last.
const MIN_PART_BYTES: usize = 5 << 20;
const DEFAULT_PART_BYTES: usize = 8 << 20;
/// How many objects are copied at once.
const COPY_CONCURRENCY: usize = 16;
/// The largest object that S3 copies in one request.
const MAX_COPY_BYTES: u64 = 5 << 30;

/// A kind of object store: its schemes, the prefixes of its settings, and how to reach it.
pub(crate) struct Kind {
    pub(crate) schemes: &'static [&'static str],
    pub(crate) prefixes: &'static [&'static str],
    open: fn(&Location, &BTreeMap<String, String>) -> Result<Backend>,
}

pub(crate) const KINDS: &[Kind] = &[
    Kind { schemes: &["s3a", "s3", "s3n"], prefixes: &[s3::PREFIX], open: s3::open },
    Kind { schemes: &["abfss", "abfs", "wasbs", "wasb"], prefixes: &[azure::PREFIX], open: azure::open },
    Kind { schemes: &["gs"], prefixes: google::PREFIXES, open: google::open },
];

/// The sides of one client.
struct Backend {
    objects: Arc<dyn ObjectStore>,
    uploads: Arc<dyn MultipartStore>,
    pages: Arc<dyn PaginatedListStore>,
    markers: Box<dyn Markers>,
    part_bytes: usize,
}

impl Backend {
    fn new<S: ObjectStore + MultipartStore + PaginatedListStore>(
        store: S,
        markers: impl Markers + 'static,
        part_bytes: usize,
    ) -> Self {
        Self::of(Arc::new(store), markers, part_bytes)
    }

    fn of<S: ObjectStore + MultipartStore + PaginatedListStore>(
        store: Arc<S>,
        markers: impl Markers + 'static,
        part_bytes: usize,
    ) -> Self {
        let uploads: Arc<dyn MultipartStore> = Arc::clone(&store) as _;
        let pages: Arc<dyn PaginatedListStore> = Arc::clone(&store) as _;
        Self { objects: store, uploads, pages, markers: Box::new(markers), part_bytes }
    }
}

/// A client that cannot be made. What it says of its settings may repeat them.
fn unusable(location: &Location, _error: &Error) -> SparkError {
    illegal(format!("{location}: the credentials or the endpoint among the store's settings are not well-formed"))
}

/// A bucket or container with the settings of one session or request.
pub(crate) struct RemoteFiles {
    root: Location,
    store_url: String,
    backend: Backend,
}

impl fmt::Debug for RemoteFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteFiles({})", self.root)
    }
}

impl RemoteFiles {
    /// `id` tells stores of one bucket with different settings apart.
    pub(crate) fn open(location: &Location, settings: &BTreeMap<String, String>, kind: &Kind, id: u64) -> Result<Self> {
        let root = location.with_path("/");
        let mut backend = (kind.open)(location, settings)?;
        backend.objects = Arc::new(Guarded::new(backend.objects, root.to_string()));
        Ok(Self { store_url: format!("{}://store-{id}/", root.scheme()), root, backend })
    }

    fn key(&self, location: &Location) -> Result<Path> {
        match location.relative_to(&self.root) {
            Some(_) => location.object_path(),
            None => Err(SparkError::unsupported(format!("moving data between {} and {location}", self.root))),
        }
    }

    fn file(&self, meta: &ObjectMeta) -> FileStatus {
        FileStatus {
            location: self.root.of_object(&meta.location),
            is_directory: false,
            size: meta.size,
            modified_us: meta.last_modified.timestamp_micros(),
        }
    }

    fn directory(&self, key: &Path) -> FileStatus {
        FileStatus { location: self.root.of_object(key), is_directory: true, size: 0, modified_us: 0 }
    }

    /// The object at a key, if there is one.
    async fn object(&self, location: &Location, key: &Path) -> Result<Option<Found>> {
        if key.as_ref().is_empty() {
            return Ok(None);
        }
        let options = GetOptions { head: true, ..GetOptions::default() };
        match self.backend.objects.get_opts(key, options).await {
            Ok(found) if self.backend.markers.is_marker(&found.attributes) => Ok(Some(Found::Marker)),
            Ok(found) => Ok(Some(Found::File(found.meta))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(store_error("read", location, &error)),
        }
    }

    /// The first keys below a directory, at most `count`; its own marker among them.
    async fn below(&self, location: &Location, key: &Path, count: usize) -> Result<Vec<ObjectMeta>> {
        let prefix = if key.as_ref().is_empty() { String::new() } else { format!("{key}/") };
        let prefix = Some(prefix.as_str()).filter(|prefix| !prefix.is_empty());
        let options = PaginatedListOptions { max_keys: Some(count), ..PaginatedListOptions::default() };
        let page = self.backend.pages.list_paginated(prefix, options).await;
        page.map(|page| page.result.objects).map_err(|e| store_error("list", location, &e))
    }

    /// Every object below a directory, its markers among them.
    async fn objects_below(&self, location: &Location, key: &Path) -> Result<Vec<ObjectMeta>> {
        let found = self.backend.objects.list(Some(key)).try_collect().await;
        found.map_err(|e| store_error("list", location, &e))
    }

    async fn delete_keys(&self, location: &Location, keys: Vec<Path>) -> Result<()> {
        let keys = futures::stream::iter(keys.into_iter().map(Ok)).boxed();
        let mut deleted = self.backend.objects.delete_stream(keys);
        while let Some(one) = deleted.next().await {
            match one {
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(store_error("delete", location, &error)),
            }
        }
        Ok(())
    }

    /// Removes objects. An empty one may be a directory's marker, whose key ends with a slash that listings do not show.
    async fn remove(&self, location: &Location, found: Vec<ObjectMeta>) -> Result<()> {
        for meta in found.iter().filter(|meta| meta.size == 0) {
            self.remove_marker(location, &meta.location).await?;
        }
        self.delete_keys(location, found.into_iter().map(|meta| meta.location).collect()).await
    }

    async fn remove_marker(&self, location: &Location, key: &Path) -> Result<()> {
        self.backend.markers.delete(key).await.map_err(|e| store_error("delete", location, &e))
    }

    async fn copy(&self, meta: &ObjectMeta, to: &Path) -> object_store::Result<()> {
        let objects = &self.backend.objects;
        if meta.size <= MAX_COPY_BYTES {
            return objects.copy(&meta.location, to).await;
        }
        let mut bytes = objects.get(&meta.location).await?.into_stream();
        let upload = objects.put_multipart(to).await?;
        // Few enough parts for any object that a store takes.
        let mut upload = object_store::WriteMultipart::new_with_chunk_size(upload, 512 << 20);
        while let Some(chunk) = bytes.try_next().await? {
            upload.wait_for_capacity(1).await?;
            upload.put(chunk);
        }
        upload.finish().await.map(|_| ())
    }
}

enum Found {
    File(ObjectMeta),
    Marker,
}

#[async_trait]
impl FileSystem for RemoteFiles {
    fn root(&self) -> &Location {
        &self.root
    }

    fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.backend.objects)
    }

    fn store_url(&self) -> String {
        self.store_url.clone()
    }

    fn uploads(&self) -> Option<Uploads> {
        let (objects, store) = (Arc::clone(&self.backend.objects), Arc::clone(&self.backend.uploads));
        Some(Uploads::new(objects, store, self.backend.part_bytes))
    }

    async fn status(&self, location: &Location) -> Result<Option<FileStatus>> {
        let key = self.key(location)?;
        match self.object(location, &key).await? {
            Some(Found::File(meta)) => return Ok(Some(self.file(&meta))),
            Some(Found::Marker) => return Ok(Some(self.directory(&key))),
            None => {}
        }
        let below = self.below(location, &key, 1).await?;
        Ok((!below.is_empty() || key.as_ref().is_empty()).then(|| self.directory(&key)))
    }

    async fn list(&self, directory: &Location) -> Result<Vec<FileStatus>> {
        let key = self.key(directory)?;
        let found = self.backend.objects.list_with_delimiter(Some(&key)).await;
        let found = found.map_err(|e| store_error("list", directory, &e))?;
        let is_directory = |meta: &&ObjectMeta| found.common_prefixes.contains(&meta.location) || meta.location == key;
        let files = found.objects.iter().filter(|meta| !is_directory(meta)).map(|meta| self.file(meta));
        let mut children: Vec<_> = files.chain(found.common_prefixes.iter().map(|key| self.directory(key))).collect();
        children.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(children)
    }

    async fn files_below(&self, location: &Location) -> Result<Vec<FileStatus>> {
        let key = self.key(location)?;
        if let Some(Found::File(meta)) = self.object(location, &key).await? {
            return Ok(vec![self.file(&meta)]);
        }
        Ok(self.objects_below(location, &key).await?.iter().map(|meta| self.file(meta)).collect())
    }

    async fn create_directory(&self, location: &Location) -> Result<()> {
        match self.status(location).await? {
            Some(status) if status.is_directory => Ok(()),
            Some(_) => Err(SparkError::java(JavaException::Io, format!("{location} is a file"))),
            None => {
                let key = self.key(location)?;
                self.backend.markers.put(&key).await.map_err(|e| store_error("make the directory", location, &e))
            }
        }
    }

    async fn rename(&self, from: &Location, to: &Location) -> Result<()> {
        let (source, target) = (self.key(from)?, self.key(to)?);
        if let Some(Found::File(meta)) = self.object(from, &source).await? {
            self.copy(&meta, &target).await.map_err(|e| store_error("copy", from, &e))?;
            return self.delete_keys(from, vec![source]).await;
        }
        let found = self.objects_below(from, &source).await?;
        if found.is_empty() {
            return Err(SparkError::java(JavaException::FileNotFound, format!("No such file or directory: {from}")));
        }
        let mut copies = vec![];
        for meta in &found {
            let old = self.root.of_object(&meta.location);
            let below = old.relative_to(from).unwrap_or_default();
            match (below.is_empty(), meta.size) {
                // The marker of the directory itself.
                (true, 0) => self.create_directory(to).await?,
                _ => copies.push((meta, self.key(&to.join(below))?)),
            }
        }
        let copied: Vec<_> = copies.iter().map(|(meta, target)| self.copy(meta, target)).collect();
        let done = futures::stream::iter(copied).buffer_unordered(COPY_CONCURRENCY).try_collect::<Vec<()>>().await;
        done.map_err(|e| store_error("copy", from, &e))?;
        self.remove(from, found).await
    }

    async fn delete(&self, location: &Location) -> Result<()> {
        let key = self.key(location)?;
        let mut found = self.objects_below(location, &key).await?;
        match self.object(location, &key).await? {
            Some(Found::File(meta)) => found.push(meta),
            Some(Found::Marker) => self.remove_marker(location, &key).await?,
            None => {}
        }
        self.remove(location, found).await
    }

    async fn delete_files(&self, files: &[FileStatus]) -> Result<()> {
        let mut keys = vec![];
        for file in files {
            let key = self.key(&file.location)?;
            if file.size == 0 {
                self.remove_marker(&file.location, &key).await?;
            }
            keys.push(key);
        }
        self.delete_keys(&self.root, keys).await
    }

    async fn delete_empty(&self, directory: &Location) -> Result<()> {
        let key = self.key(directory)?;
        let below = self.below(directory, &key, 2).await?;
        if below.iter().any(|meta| meta.location != key) {
            return Ok(());
        }
        self.remove_marker(directory, &key).await
    }
}
