//! Blocks of whole lines out of a file, decompressed and decoded.
//!
//! A file that is read in parts is cut as Hadoop cuts it: a part takes the lines that begin in it, the one that begins
//! right at its end too, and leaves out what comes before its first line end (unless it is the first part).
use std::sync::Arc;

use bytes::Bytes;
use firesteel_plan::Result;
use firesteel_storage::Location;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::charset::Charset;
use crate::compression::{Codec, Decompressor};
use crate::errors;
use crate::scan::source::FilePart;

/// What ends a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Separator {
    /// `\n`, `\r\n` or `\r`
    Default,
    Bytes(Vec<u8>),
}

impl Separator {
    pub(super) fn of(option: Option<&str>, charset: Charset) -> Self {
        match option {
            None => Self::Default,
            Some(text) => {
                let mut bytes = vec![];
                charset.encode(text, &mut bytes);
                Self::Bytes(bytes)
            }
        }
    }

    /// The first line end at or after `from`: where it is and how long. At the end of a buffer that may go on, a `\r` is
    /// not one yet.
    fn find(&self, bytes: &[u8], from: usize, is_last: bool) -> Option<(usize, usize)> {
        let rest = bytes.get(from..)?;
        match self {
            Self::Default => {
                let at = from + memchr::memchr2(b'\n', b'\r', rest)?;
                match (bytes[at], bytes.get(at + 1)) {
                    (b'\n', _) => Some((at, 1)),
                    (_, Some(b'\n')) => Some((at, 2)),
                    (_, None) if !is_last => None,
                    _ => Some((at, 1)),
                }
            }
            Self::Bytes(separator) => Some((from + memchr::memmem::find(rest, separator)?, separator.len())),
        }
    }

    /// The length of the longest line end.
    fn longest(&self) -> usize {
        match self {
            Self::Default => 2,
            Self::Bytes(separator) => separator.len(),
        }
    }

    /// The end of the last whole line.
    fn find_last(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Default => {
                // A trailing `\r` may be half of `\r\n`.
                let sure = if bytes.ends_with(b"\r") { &bytes[..bytes.len() - 1] } else { bytes };
                memchr::memrchr2(b'\n', b'\r', sure).map(|at| at + 1)
            }
            Self::Bytes(separator) => memchr::memmem::rfind(bytes, separator).map(|at| at + separator.len()),
        }
    }

    /// The lines of a decoded block, without their ends.
    pub(super) fn split<'a>(&self, block: &'a str, charset: Charset) -> Lines<'a> {
        let separator = match self {
            Self::Default => None,
            Self::Bytes(bytes) => Some(charset.decode(bytes.clone())),
        };
        Lines { rest: block, separator, done: block.is_empty() }
    }
}

pub(super) struct Lines<'a> {
    rest: &'a str,
    separator: Option<String>,
    done: bool,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;
    fn next(&mut self) -> Option<&'a str> {
        if self.done {
            return None;
        }
        let found = match &self.separator {
            Some(separator) => self.rest.find(separator.as_str()).map(|at| (at, separator.len())),
            None => Separator::Default.find(self.rest.as_bytes(), 0, true),
        };
        let line = match found {
            Some((at, length)) => {
                let line = &self.rest[..at];
                self.rest = &self.rest[at + length..];
                line
            }
            None => std::mem::take(&mut self.rest),
        };
        self.done = self.rest.is_empty();
        Some(line)
    }
}

/// Bytes asked of the store at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// Reads a file block by block.
pub(super) struct LineReader {
    bytes: ByteReader,
    separator: Separator,
    charset: Charset,
    /// Bytes not yet given out; `position` is where they begin in the file.
    buffer: Vec<u8>,
    position: u64,
    skip_first: bool,
    end: Option<u64>,
    done: bool,
}

impl LineReader {
    pub(super) fn new(part: &FilePart, separator: Separator, charset: Charset) -> Result<Self> {
        let (start, end) = part.range.map_or((0, None), |(start, end)| (start, Some(end)));
        Ok(Self {
            bytes: ByteReader::new(part, start)?,
            separator,
            charset,
            buffer: vec![],
            position: start,
            skip_first: start > 0,
            end,
            done: false,
        })
    }

    /// The next lines, with their ends; the last one may lack its end.
    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        // What is not ASCII-compatible is cut only once it is whole.
        let whole = !self.charset.is_ascii_compatible() && self.separator == Separator::Default;
        while !self.done {
            let is_last = !self.bytes.read(&mut self.buffer).await?;
            if self.skip_first {
                match self.separator.find(&self.buffer, 0, is_last) {
                    Some((at, length)) => {
                        self.take(at + length);
                        self.skip_first = false;
                    }
                    None if is_last => {
                        self.done = true;
                        return Ok(None);
                    }
                    None => continue,
                }
            }
            if let Some(cut) = self.end_of_part(is_last) {
                self.done = true;
                return Ok(self.block(cut));
            }
            if is_last {
                self.done = true;
                return Ok(self.block(self.buffer.len()));
            }
            if !whole && let Some(cut) = self.separator.find_last(&self.buffer) {
                // Lines beyond the part's end are not this part's: they are cut when the end is reached.
                let within = self.end.is_none_or(|end| self.position + cut as u64 <= end);
                if within && cut > 0 {
                    return Ok(self.block(cut));
                }
            }
        }
        Ok(None)
    }

    /// The end of the last line that begins at or before the part's end, once the buffer holds it.
    fn end_of_part(&self, is_last: bool) -> Option<usize> {
        let end = self.end?;
        if self.position > end {
            return Some(0);
        }
        let within = usize::try_from(end - self.position).unwrap_or(usize::MAX);
        let mut from = within.saturating_sub(self.separator.longest());
        while let Some((at, length)) = self.separator.find(&self.buffer, from, is_last) {
            if at + length > within {
                return Some(at + length);
            }
            from = at + length;
        }
        None
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count);
        self.position += count as u64;
        std::mem::replace(&mut self.buffer, rest)
    }

    fn block(&mut self, count: usize) -> Option<String> {
        let bytes = self.take(count);
        (!bytes.is_empty()).then(|| self.charset.decode(bytes))
    }
}

/// Reads a file piece by piece, decompressing it by its name.
pub(super) struct ByteReader {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    place: Location,
    offset: u64,
    decompressor: Option<Decompressor>,
}

impl ByteReader {
    pub(super) fn new(part: &FilePart, offset: u64) -> Result<Self> {
        let (store, meta, place) = (Arc::clone(&part.store), part.meta.clone(), part.place());
        let codec = Codec::of_file(meta.location.filename().unwrap_or_default());
        let decompressor = if codec == Codec::None { None } else { Some(codec.decompressor()?) };
        Ok(Self { store, meta, place, offset, decompressor })
    }

    /// Appends the next piece. False: the file has ended.
    pub(super) async fn read(&mut self, to: &mut Vec<u8>) -> Result<bool> {
        let before = to.len();
        while self.offset < self.meta.size {
            let end = (self.offset + CHUNK_BYTES).min(self.meta.size);
            let piece: Bytes = self
                .store
                .get_range(&self.meta.location, self.offset..end)
                .await
                .map_err(|e| errors::store(&self.place, &e))?;
            self.offset = end;
            match &mut self.decompressor {
                None => to.extend_from_slice(&piece),
                Some(decompressor) => decompressor.push(&piece, to)?,
            }
            if to.len() > before {
                return Ok(true);
            }
        }
        if let Some(mut decompressor) = self.decompressor.take() {
            decompressor.finish(to)?;
        }
        Ok(false)
    }

    /// The whole file.
    pub(super) async fn read_all(mut self) -> Result<Vec<u8>> {
        let mut all = vec![];
        while self.read(&mut all).await? {}
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::source::{Counts, Pruning};
    use arrow::datatypes::Schema;
    use object_store::memory::InMemory;
    use object_store::path::Path;

    /// Every way to cut a text into parts gives each line exactly once.
    #[tokio::test]
    async fn parts_share_lines() {
        let text = "one\r\ntwo\n\nfour\rfive\nsix";
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let path = Path::from("f.txt");
        store.put(&path, Bytes::from(text).into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        for step in 1..=text.len() {
            let mut lines: Vec<String> = vec![];
            let mut start = 0;
            while start < text.len() {
                let end = (start + step).min(text.len());
                let part = FilePart {
                    store: Arc::clone(&store),
                    root: Location::local_root(),
                    meta: meta.clone(),
                    range: Some((start as u64, end as u64)),
                    schema: Arc::new(Schema::empty()),
                    columns: vec![],
                    batch_size: 10,
                    pruning: Pruning::default(),
                    counts: Counts::default(),
                };
                let mut reader = LineReader::new(&part, Separator::Default, Charset::Utf8).unwrap();
                while let Some(block) = reader.next().await.unwrap() {
                    lines.extend(Separator::Default.split(&block, Charset::Utf8).map(str::to_string));
                }
                start = end;
            }
            assert_eq!(lines, ["one", "two", "", "four", "five", "six"], "step {step}");
        }
    }
}
