//! Objects that are sent in parts and appear when they are completed: how a write on an object store stays out of sight
//! until it is committed.
use std::sync::Arc;

use firesteel_plan::{Result, SparkError};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::errors::store_error;
use crate::location::Location;

/// Parts of one object that are under way at once.
const CONCURRENCY: usize = 4;
/// After so many parts the next are twice as large: stores take no more than 10,000.
const PARTS_PER_SIZE: usize = 1000;

/// The side of a store that takes objects in parts. Cheap to clone.
#[derive(Clone)]
pub struct Uploads {
    objects: Arc<dyn ObjectStore>,
    store: Arc<dyn MultipartStore>,
    part_bytes: usize,
}

/// An object that has not been completed. Nobody sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BegunUpload {
    /// Where it will be
    pub place: String,
    pub id: String,
}

/// An object whose bytes are all sent. It appears with [`Uploads::complete`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingUpload {
    pub begun: BegunUpload,
    parts: Vec<String>,
}

impl Uploads {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, store: Arc<dyn MultipartStore>, part_bytes: usize) -> Self {
        Self { objects, store, part_bytes }
    }

    /// The size of the first parts.
    pub fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    pub async fn begin(&self, location: &Location) -> Result<UploadWriter> {
        let path = location.object_path()?;
        let id = self.store.create_multipart(&path).await.map_err(|e| store_error("write", location, &e))?;
        let begun = BegunUpload { place: location.to_string(), id };
        let (buffer, running) = (vec![], JoinSet::new());
        Ok(UploadWriter {
            uploads: self.clone(),
            location: location.clone(),
            path,
            begun,
            buffer,
            running,
            parts: vec![],
        })
    }

    /// Makes the object appear, whole.
    pub async fn complete(&self, upload: &PendingUpload) -> Result<()> {
        let location = Location::parse(&upload.begun.place)?;
        let path = location.object_path()?;
        let failed = |error: Error| store_error("write", &location, &error);
        if upload.parts.is_empty() {
            self.objects.put(&path, PutPayload::default()).await.map_err(failed)?;
            return self.abort(&upload.begun).await;
        }
        let parts = upload.parts.iter().map(|part| PartId { content_id: part.clone() }).collect();
        match self.store.complete_multipart(&path, &upload.begun.id, parts).await {
            Ok(_) => Ok(()),
            // The answer to an earlier attempt may have been lost: then the upload is gone and the object is there.
            Err(error) => match self.objects.head(&path).await {
                Ok(_) => Ok(()),
                Err(_) => Err(failed(error)),
            },
        }
    }

    /// Forgets what was sent; no error where nothing is left of it.
    pub async fn abort(&self, upload: &BegunUpload) -> Result<()> {
        let location = Location::parse(&upload.place)?;
        match self.store.abort_multipart(&location.object_path()?, &upload.id).await {
            Ok(()) | Err(Error::NotFound { .. } | Error::NotImplemented { .. } | Error::NotSupported { .. }) => Ok(()),
            Err(error) => Err(store_error("abort the upload of", &location, &error)),
        }
    }
}

/// Sends one object.
pub struct UploadWriter {
    uploads: Uploads,
    location: Location,
    path: Path,
    begun: BegunUpload,
    buffer: Vec<u8>,
    running: JoinSet<object_store::Result<(usize, String)>>,
    parts: Vec<String>,
}

impl UploadWriter {
    pub fn begun(&self) -> &BegunUpload {
        &self.begun
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        loop {
            let size = self.uploads.part_bytes << (self.parts.len() / PARTS_PER_SIZE).min(8);
            if self.buffer.len() < size {
                return Ok(());
            }
            let rest = self.buffer.split_off(size);
            let part = std::mem::replace(&mut self.buffer, rest);
            self.send(part).await?;
        }
    }

    pub async fn finish(mut self) -> Result<PendingUpload> {
        if !self.buffer.is_empty() {
            let part = std::mem::take(&mut self.buffer);
            self.send(part).await?;
        }
        while !self.running.is_empty() {
            self.arrived().await?;
        }
        Ok(PendingUpload { begun: self.begun, parts: self.parts })
    }

    async fn send(&mut self, part: Vec<u8>) -> Result<()> {
        while self.running.len() >= CONCURRENCY {
            self.arrived().await?;
        }
        let index = self.parts.len();
        self.parts.push(String::new());
        let (store, path, id) = (Arc::clone(&self.uploads.store), self.path.clone(), self.begun.id.clone());
        self.running.spawn(async move {
            let sent = store.put_part(&path, &id, index, part.into()).await?;
            Ok((index, sent.content_id))
        });
        Ok(())
    }

    /// Waits for one part.
    async fn arrived(&mut self) -> Result<()> {
        let Some(sent) = self.running.join_next().await else { return Ok(()) };
        let sent = sent.map_err(|e| SparkError::internal("an upload broke off").with_cause(e))?;
        let (index, id) = sent.map_err(|e| store_error("write", &self.location, &e))?;
        if let Some(part) = self.parts.get_mut(index) {
            *part = id;
        }
        Ok(())
    }
}
