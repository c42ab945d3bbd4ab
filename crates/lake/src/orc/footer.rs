//! The end of a file: read once, for orc-rust and for what orc-rust does not tell.
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::physical_plan::metrics::Count;
use firesteel_plan::Result;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use orc_prost::Message;
use orc_rust::compression::{Compression, Decompressor};
use orc_rust::proto::{Footer, Metadata, PostScript, StripeStatistics};
use orc_rust::reader::AsyncChunkReader;
use orc_rust::reader::metadata::{FileMetadata, read_metadata_async};

use super::failed;

/// Most ends are shorter.
const TAIL_BYTES: u64 = 16 << 10;

/// The bytes of a file in a store, whose end is known.
pub(super) struct StoreReader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
    /// The last bytes of the file
    tail: Bytes,
    /// How many bytes were read
    scanned: Count,
}

impl AsyncChunkReader for StoreReader {
    fn len(&mut self) -> BoxFuture<'_, std::io::Result<u64>> {
        futures::future::ready(Ok(self.size)).boxed()
    }

    fn get_bytes(&mut self, offset_from_start: u64, length: u64) -> BoxFuture<'_, std::io::Result<Bytes>> {
        async move {
            let range = offset_from_start..offset_from_start.saturating_add(length).min(self.size);
            // Stores refuse empty ranges; a stream without bytes (all values NULL) is one.
            if range.is_empty() {
                return Ok(Bytes::new());
            }
            let known = self.size - self.tail.len() as u64;
            let inside = |at: u64| usize::try_from(at.checked_sub(known)?).ok();
            if let Some((start, end)) = inside(range.start).zip(inside(range.end)) {
                return Ok(self.tail.slice(start..end));
            }
            let bytes = self.store.get_range(&self.path, range).await.map_err(std::io::Error::from)?;
            self.scanned.add(bytes.len());
            Ok(bytes)
        }
        .boxed()
    }
}

impl StoreReader {
    async fn read_tail(&mut self, from: u64) -> Result<()> {
        self.tail = self.store.get_range(&self.path, from..self.size).await.map_err(failed)?;
        self.scanned.add(self.tail.len());
        Ok(())
    }
}

/// A file with its end read.
pub(super) struct OrcFile {
    pub bytes: StoreReader,
    /// As orc-rust has it
    pub metadata: FileMetadata,
    pub footer: Footer,
    /// The version of the writer that the file says
    pub writer_version: u32,
    /// The statistics of the stripes, as they are written
    statistics: Bytes,
}

impl OrcFile {
    /// Of each stripe; empty where the file has none.
    pub(super) fn stripe_statistics(&self) -> Result<Vec<StripeStatistics>> {
        let metadata = decompress(self.statistics.clone(), self.metadata.compression())?;
        Ok(Metadata::decode(metadata.as_slice()).map_err(failed)?.stripe_stats)
    }
}

/// Reads the end of a file. `scanned`: counts the bytes that are read of it, now and later.
pub(super) async fn open(store: Arc<dyn ObjectStore>, path: Path, size: u64, scanned: Count) -> Result<OrcFile> {
    let mut bytes = StoreReader { store, path, size, tail: Bytes::new(), scanned };
    bytes.read_tail(size.saturating_sub(TAIL_BYTES)).await?;
    let (postscript, postscript_length) = postscript(&bytes.tail)?;
    let (footer_length, statistics_length) = (postscript.footer_length(), postscript.metadata_length());
    let footer_start = size.checked_sub(postscript_length as u64 + 1).and_then(|end| end.checked_sub(footer_length));
    let footer_start = footer_start.ok_or_else(damaged)?;
    let statistics_start = footer_start.checked_sub(statistics_length).ok_or_else(damaged)?;
    if statistics_start < size - bytes.tail.len() as u64 {
        bytes.read_tail(statistics_start).await?;
    }
    let footer = bytes.get_bytes(footer_start, footer_length).await.map_err(failed)?;
    let statistics = bytes.get_bytes(statistics_start, statistics_length).await.map_err(failed)?;
    let metadata = read_metadata_async(&mut bytes).await.map_err(failed)?;
    let footer = decompress(footer, metadata.compression())?;
    let footer = Footer::decode(footer.as_slice()).map_err(failed)?;
    Ok(OrcFile { bytes, metadata, footer, writer_version: postscript.writer_version(), statistics })
}

fn decompress(bytes: Bytes, compression: Option<Compression>) -> Result<Vec<u8>> {
    decompress_all(Decompressor::new(bytes, compression, vec![]))
}

pub(super) fn decompress_all(mut bytes: Decompressor) -> Result<Vec<u8>> {
    let mut plain = vec![];
    bytes.read_to_end(&mut plain).map_err(failed)?;
    Ok(plain)
}

/// What tells how to read the rest, and its length.
fn postscript(tail: &Bytes) -> Result<(PostScript, usize)> {
    let (length, rest) = tail.split_last().ok_or_else(damaged)?;
    let length = usize::from(*length);
    let start = rest.len().checked_sub(length).ok_or_else(damaged)?;
    let postscript = PostScript::decode(&rest[start..]).map_err(failed)?;
    Ok((postscript, length))
}

fn damaged() -> firesteel_plan::SparkError {
    failed("the end of the file is damaged")
}
