//! A file that is being written, with a limit for how long a data node may be silent.
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};

use super::client::within;

/// Parts are written in turn: each may have to wait for those before it.
const PARTS_IN_TURN: u32 = 16;

#[derive(Debug)]
pub(super) struct LimitedUpload {
    pub(super) upload: Box<dyn MultipartUpload>,
    pub(super) limit: Duration,
}

#[async_trait]
impl MultipartUpload for LimitedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        within(self.limit * PARTS_IN_TURN, self.upload.put_part(data)).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        within(self.limit * PARTS_IN_TURN, self.upload.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        within(self.limit, self.upload.abort()).await
    }
}
