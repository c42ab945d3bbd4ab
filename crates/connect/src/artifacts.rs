//! `AddArtifacts`: files and cached relations, whole or in chunks, each chunk with its CRC-32.
use std::sync::Arc;

use firesteel_engine::Session;
use firesteel_plan::{Result, SparkError};
use proto::add_artifacts_request::{ArtifactChunk, Payload};
use proto::add_artifacts_response::ArtifactSummary;
use spark_connect_proto as proto;

/// One upload in chunks may take this much.
const CHUNKED_BYTES_MAX: usize = 2 << 30;
/// Reserved before the chunks arrive: the announced size is the client's word only.
const RESERVE_BYTES_MAX: usize = 64 << 20;

/// Takes the messages of one call.
#[derive(Default)]
pub(crate) struct Receiver {
    summaries: Vec<ArtifactSummary>,
    chunked: Option<Chunked>,
}

struct Chunked {
    name: String,
    data: Vec<u8>,
    total_bytes: usize,
    chunks_left: i64,
    intact: bool,
}

impl Receiver {
    pub(crate) fn receive(&mut self, session: &Session, payload: Option<Payload>) -> Result<()> {
        match payload {
            Some(Payload::Batch(batch)) => {
                self.no_open_upload()?;
                for artifact in batch.artifacts {
                    let chunk = artifact.data.unwrap_or_default();
                    let intact = is_intact(&chunk);
                    self.keep(session, artifact.name, &chunk.data, intact)?;
                }
            }
            Some(Payload::BeginChunk(begin)) => {
                self.no_open_upload()?;
                check_name(&begin.name)?;
                let total_bytes = usize::try_from(begin.total_bytes).ok().filter(|bytes| *bytes <= CHUNKED_BYTES_MAX);
                let total_bytes = total_bytes
                    .ok_or_else(|| SparkError::unsupported(format!("an artifact of {} bytes", begin.total_bytes)))?;
                self.chunked = Some(Chunked {
                    name: begin.name,
                    data: Vec::with_capacity(total_bytes.min(RESERVE_BYTES_MAX)),
                    total_bytes,
                    chunks_left: begin.num_chunks,
                    intact: true,
                });
                self.chunk(session, begin.initial_chunk.unwrap_or_default())?;
            }
            Some(Payload::Chunk(chunk)) => self.chunk(session, chunk)?,
            None => return Err(protocol("a message without a payload")),
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Vec<ArtifactSummary>> {
        self.no_open_upload()?;
        Ok(std::mem::take(&mut self.summaries))
    }

    fn no_open_upload(&self) -> Result<()> {
        if self.chunked.is_some() { Err(protocol("an upload in chunks was not finished")) } else { Ok(()) }
    }

    fn chunk(&mut self, session: &Session, chunk: ArtifactChunk) -> Result<()> {
        let Some(chunked) = &mut self.chunked else { return Err(protocol("a chunk before its upload began")) };
        if chunked.data.len() + chunk.data.len() > chunked.total_bytes {
            return Err(protocol("chunks hold more than was announced"));
        }
        chunked.intact &= is_intact(&chunk);
        chunked.data.extend_from_slice(&chunk.data);
        chunked.chunks_left -= 1;
        if chunked.chunks_left > 0 {
            return Ok(());
        }
        let Some(done) = self.chunked.take() else { return Ok(()) };
        if done.data.len() != done.total_bytes {
            return Err(protocol("chunks hold less than was announced"));
        }
        self.keep(session, done.name, &done.data, done.intact)
    }

    /// A damaged artifact is reported, not kept.
    fn keep(&mut self, session: &Session, name: String, data: &[u8], intact: bool) -> Result<()> {
        check_name(&name)?;
        if intact {
            let artifacts = session.artifacts();
            if !name.starts_with("cache/") && artifacts.get(&name).is_some_and(|kept| kept.as_ref() != data) {
                return Err(SparkError::new("ARTIFACT_ALREADY_EXISTS", [("normalizedRemoteRelativePath", name)]));
            }
            artifacts.put(name.clone(), Arc::from(data))?;
        }
        self.summaries.push(ArtifactSummary { name, is_crc_successful: intact });
        Ok(())
    }
}

fn is_intact(chunk: &ArtifactChunk) -> bool {
    i64::from(crc32fast::hash(&chunk.data)) == chunk.crc
}

/// A relative path that stays below its root. Files that should leave the session (`forward_to_fs`) are refused.
fn check_name(name: &str) -> Result<()> {
    let bad = name.is_empty()
        || name.starts_with('/')
        || name.contains('\\')
        || name.contains('\0')
        || name.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if bad {
        return Err(SparkError::new("INVALID_ARTIFACT_PATH", [("name", name)]));
    }
    if name.starts_with("forward_to_fs/") {
        return Err(SparkError::unsupported("copying a client's file to the server's file system"));
    }
    Ok(())
}

fn protocol(message: &str) -> SparkError {
    SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE", [("message", format!("AddArtifacts: {message}"))])
}
