//! Where the bytes of one file go.
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{FileSystem, Location, PendingUpload, UploadWriter, store_error, store_failure};
use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt;

use super::job::WriteJob;

/// Encoded bytes are handed to the store in pieces of this size.
pub(super) const FLUSH_BYTES: usize = 1 << 20;

/// Where a task's files go.
pub(super) enum Destination<'a> {
    /// Below a directory, where they are when they are closed.
    Directory(&'a dyn FileSystem, &'a Location),
    /// To their final places, where they appear when the job commits.
    Uploads(&'a WriteJob),
}

impl Destination<'_> {
    /// A new file, by its path below the table.
    pub(super) async fn open(&self, path: &str) -> Result<Sink> {
        match self {
            Self::Directory(files, directory) => {
                let place = directory.join(path);
                // Stores have a smallest size for the parts of an object.
                let part_bytes = files.uploads().map_or(FLUSH_BYTES, |uploads| uploads.part_bytes());
                let writer = BufWriter::with_capacity(files.object_store(), place.object_path()?, part_bytes);
                Ok(Sink::Stream(Box::new(writer), place))
            }
            Self::Uploads(job) => Ok(Sink::Upload(job.begin_upload(path).await?)),
        }
    }
}

/// An open file.
pub(super) enum Sink {
    Stream(Box<BufWriter>, Location),
    Upload(UploadWriter),
}

impl Sink {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Stream(writer, place) => writer.write_all(bytes).await.map_err(|e| failed(place, &e)),
            Self::Upload(upload) => upload.write(bytes).await,
        }
    }

    /// What the commit needs to make the file appear; `None` where it is there.
    pub(super) async fn close(self) -> Result<Option<PendingUpload>> {
        match self {
            Self::Stream(mut writer, place) => writer.shutdown().await.map(|()| None).map_err(|e| failed(&place, &e)),
            Self::Upload(upload) => upload.finish().await.map(Some),
        }
    }

    /// Lets go of a file that has not been closed. The uploads of a job are for the job to abort.
    pub(super) async fn abort(self) {
        if let Self::Stream(mut writer, _) = self {
            // What cannot be aborted was not visible either.
            let _ = writer.abort().await;
        }
    }
}

fn failed(place: &Location, error: &std::io::Error) -> SparkError {
    match store_failure(error) {
        Some(failure) if place.scheme() != "file" => store_error("write", place, failure),
        _ => SparkError::new("TASK_WRITE_FAILED", [("path", place.to_string())]).with_cause(error),
    }
}
