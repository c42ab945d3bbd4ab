//! Files of HDFS as objects. Reading and streaming are the crate's; what must be certain of its answer is here: a file
//! that is put appears whole, and of two that put it if absent one does.
use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use hdfs_native::WriteOptions;
use hdfs_native::client::FileStatus;
use hdfs_native_object_store::HdfsObjectStore;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result,
};
use uuid::Uuid;

use super::client::{HdfsClient, converted, within};
use super::upload::LimitedUpload;

pub(super) struct HdfsObjects {
    store: HdfsObjectStore,
    client: HdfsClient,
    name: String,
}

impl HdfsObjects {
    pub(super) fn new(client: HdfsClient, name: String) -> Self {
        Self { store: HdfsObjectStore::new(client.inner.clone()), client, name }
    }

    /// Writes a file that was not there.
    async fn write(&self, path: &str, payload: &PutPayload) -> Result<()> {
        let options = WriteOptions::default().overwrite(true);
        let mut file = self.client.inner.create(path, options).await.map_err(converted)?;
        for bytes in payload {
            file.write(bytes.clone()).await.map_err(converted)?;
        }
        file.close().await.map_err(converted)
    }
}

impl fmt::Debug for HdfsObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for HdfsObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn absolute(key: &Path) -> String {
    format!("/{key}")
}

/// `/a/b` → `/a/._b-<id>`: a name that data sources pass over, and nobody else has.
fn temporary(path: &str) -> String {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{directory}/._{name}-{}", Uuid::new_v4())
}

fn meta(status: &FileStatus) -> Result<ObjectMeta> {
    let millis = i64::try_from(status.modification_time).unwrap_or(i64::MAX);
    Ok(ObjectMeta {
        location: Path::parse(&status.path)?,
        last_modified: chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default(),
        size: status.length as u64,
        e_tag: Some(format!("{millis:x}-{:x}", status.length)),
        version: None,
    })
}

#[async_trait]
impl ObjectStore for HdfsObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let overwrite = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => {
                return Err(Error::NotSupported { source: "HDFS does not replace a file by its tag".into() });
            }
        };
        let path = absolute(location);
        if !overwrite && self.client.status(&path).await?.is_some() {
            return Err(Error::AlreadyExists { path, source: "a file has this name".into() });
        }
        let staged = temporary(&path);
        let written = self.client.call(|| self.write(&staged, &payload)).await;
        let done = match written {
            Ok(()) => self.client.rename_own(&staged, &path, overwrite).await,
            failed => failed,
        };
        if done.is_err() {
            // The first failure is what the caller must see.
            let _ = self.client.delete(&staged, false).await;
        }
        done.map(|()| PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.client.call(|| self.store.put_multipart_opts(location, options.clone())).await?;
        Ok(Box::new(LimitedUpload { upload, limit: self.client.data_timeout }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.client.call(|| self.store.get_opts(location, options.clone())).await?;
        if let GetResultPayload::Stream(bytes) = found.payload {
            found.payload = GetResultPayload::Stream(self.limited(bytes));
        }
        Ok(found)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let client = self.client.clone();
        let deleted = move |location: Path| {
            let client = client.clone();
            async move { client.delete(&absolute(&location), false).await.map(|()| location) }
        };
        locations.map_ok(deleted).try_buffered(super::CONCURRENCY).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (client, directory) = (self.client.clone(), prefix.map_or_else(|| "/".into(), absolute));
        let listed = async move {
            let found = match client.list(&directory, true).await {
                Err(Error::NotFound { .. }) => vec![],
                found => found?,
            };
            let files = found.iter().filter(|status| !status.isdir && status.path != directory);
            Ok::<_, Error>(futures::stream::iter(files.map(meta).collect::<Vec<_>>()))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let directory = prefix.map_or_else(|| "/".into(), absolute);
        let found = match self.client.list(&directory, false).await {
            Err(Error::NotFound { .. }) => vec![],
            found => found?,
        };
        let (mut common_prefixes, mut objects) = (vec![], vec![]);
        for status in found.iter().filter(|status| status.path != directory) {
            match status.isdir {
                true => common_prefixes.push(Path::parse(&status.path)?),
                false => objects.push(meta(status)?),
            }
        }
        Ok(ListResult { common_prefixes, objects })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let target = absolute(to);
        if let Some((directory, _)) = target.rsplit_once('/').filter(|(directory, _)| !directory.is_empty()) {
            self.client.make_directory(directory).await?;
        }
        let overwrite = matches!(options.target_mode, RenameTargetMode::Overwrite);
        self.client.rename(&absolute(from), &target, overwrite).await
    }
}

impl HdfsObjects {
    /// The same bytes, as long as the data node goes on sending.
    fn limited(&self, bytes: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
        let limit = self.client.data_timeout;
        let next = move |mut bytes: BoxStream<'static, Result<Bytes>>| async move {
            let chunk = within(limit, async { bytes.next().await.transpose() }).await?;
            Ok::<_, Error>(chunk.map(|chunk| (chunk, bytes)))
        };
        futures::stream::try_unfold(bytes, next).boxed()
    }
}
