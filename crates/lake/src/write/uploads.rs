//! Committing on a store where a rename is a copy: tasks send their files to the final places as uploads, which nobody
//! sees; the commit completes them. A write that fails leaves nothing to see, and what it was to replace stays.
use firesteel_plan::command::SaveMode;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{Location, PendingUpload, UploadWriter, Uploads};
use futures::StreamExt;

use super::commit::TaskOutput;
use super::job::WriteJob;

/// How many uploads are completed or aborted at once.
const CONCURRENCY: usize = 16;

impl WriteJob {
    fn uploads_at(&self, place: &Location) -> Result<Uploads> {
        let files = self.request.storage.file_system(place)?;
        files.uploads().ok_or_else(|| SparkError::unsupported(format!("a write to {} and {place}", self.target())))
    }

    pub(super) async fn begin_upload(&self, path: &str) -> Result<UploadWriter> {
        let place = self.place(path)?;
        let writer = self.uploads_at(&place)?.begin(&place).await?;
        if let Some(begun) = &self.begun {
            begun.lock().push(writer.begun().clone());
        }
        Ok(writer)
    }

    /// Makes the files appear, then removes what they replace. Where one cannot appear, none does.
    pub(super) async fn publish_uploads(&self, outputs: &[TaskOutput]) -> Result<()> {
        if self.request.mode == SaveMode::ErrorIfExists && self.file_system.status(&self.target).await?.is_some() {
            // Somebody else was faster.
            return Err(SparkError::new("PATH_ALREADY_EXISTS", [("outputPath", self.target.to_string())]));
        }
        // Listed before the new files are among them.
        let mut replaced = vec![];
        if self.request.mode == SaveMode::Overwrite {
            for place in self.overwritten(outputs).await? {
                replaced.extend(self.file_system.files_below(&place).await?);
            }
        }
        self.complete(outputs).await?;
        self.file_system.delete_files(&replaced).await?;
        self.file_system.create_directory(&self.target).await?;
        self.mark_success(&self.target).await
    }

    async fn complete(&self, outputs: &[TaskOutput]) -> Result<()> {
        let uploads = outputs.iter().flat_map(|output| &output.files).filter_map(|file| file.upload.as_ref());
        let completed: Vec<_> =
            uploads.map(|upload| async move { (upload, self.complete_one(upload).await) }).collect();
        let completed: Vec<(&PendingUpload, Result<()>)> =
            futures::stream::iter(completed).buffer_unordered(CONCURRENCY).collect().await;
        let Some(error) = completed.iter().find_map(|(_, result)| result.as_ref().err()) else { return Ok(()) };
        for (upload, _) in completed.iter().filter(|(_, result)| result.is_ok()) {
            let place = Location::parse(&upload.begun.place)?;
            // The first failure is what the user must see.
            let _ = self.request.storage.file_system(&place)?.delete(&place).await;
        }
        Err(error.clone())
    }

    async fn complete_one(&self, upload: &PendingUpload) -> Result<()> {
        self.uploads_at(&Location::parse(&upload.begun.place)?)?.complete(upload).await
    }

    /// Lets go of every upload that was begun.
    pub(super) async fn abort_uploads(&self) -> Result<()> {
        let begun = self.begun.as_ref().map(|begun| std::mem::take(&mut *begun.lock())).unwrap_or_default();
        let aborted: Vec<_> = begun
            .iter()
            .map(|upload| async move { self.uploads_at(&Location::parse(&upload.place)?)?.abort(upload).await })
            .collect();
        let results: Vec<Result<()>> = futures::stream::iter(aborted).buffer_unordered(CONCURRENCY).collect().await;
        results.into_iter().collect()
    }
}
