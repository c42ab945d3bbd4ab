//! The end of a file: read once, for orc-rust and for what orc-rust does not tell.
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_plan::Result;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use orc_prost::Message;
use orc_rust::ArrowReaderBuilder;
use orc_rust::compression::Decompressor;
use orc_rust::proto::{Footer, PostScript};
use orc_rust::reader::AsyncChunkReader;

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
            self.store.get_range(&self.path, range).await.map_err(std::io::Error::from)
        }
        .boxed()
    }
}

/// A file with its footer read.
pub(super) async fn open(
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
) -> Result<(ArrowReaderBuilder<StoreReader>, Footer)> {
    let from = size.saturating_sub(TAIL_BYTES);
    let tail = store.get_range(&path, from..size).await.map_err(failed)?;
    let mut reader = StoreReader { store, path, size, tail };
    let postscript = postscript(&reader.tail)?;
    let footer_length = postscript.0.footer_length();
    let end = postscript.1 as u64 + 1;
    let begin = size.checked_sub(end).and_then(|at| at.checked_sub(footer_length)).ok_or_else(damaged)?;
    let footer = reader.get_bytes(begin, footer_length).await.map_err(failed)?;
    let builder = ArrowReaderBuilder::try_new_async(reader).await.map_err(failed)?;
    let mut bytes = vec![];
    let compression = builder.file_metadata().compression();
    Decompressor::new(footer, compression, vec![]).read_to_end(&mut bytes).map_err(failed)?;
    let footer = Footer::decode(bytes.as_slice()).map_err(failed)?;
    Ok((builder, footer))
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
