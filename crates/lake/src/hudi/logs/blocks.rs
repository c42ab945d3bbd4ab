//! The blocks of a log file.
//!
//! ```text
//!  #HUDI#  size of what follows (8)  version (4)  kind (4)  header  content length (8)  content  footer  size with magic (8)
//!  header, footer: count (4), then kind (4), length (4) and text of each entry
//! ```
//!
//! Numbers are big-endian. A writer that died leaves a block whose two sizes differ; what comes after it has its own magic.
use bytes::Bytes;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::Location;
use memchr::memmem;

use super::damaged;

const MAGIC: &[u8] = b"#HUDI#";
const SIZE_BYTES: usize = 8;
/// The version of blocks from which on they have headers; those before are of Hudi's first years.
const WITH_HEADERS: i32 = 1;
/// Kinds of header entries.
const INSTANT: i32 = 0;
const TARGET_INSTANT: i32 = 1;
const SCHEMA: i32 = 2;
const COMMAND: i32 = 3;
const IS_PARTIAL: i32 = 7;
/// The one command there is: forget what an instant wrote.
const ROLLBACK: &str = "0";

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hudi) enum Kind {
    Delete,
    Avro,
    Parquet,
}

/// The numbers of kinds of blocks with records or deletes.
const KINDS: [(i32, Kind); 3] = [(1, Kind::Delete), (3, Kind::Avro), (5, Kind::Parquet)];

/// A block that an instant writes; the Avro schema is that of the table's records.
pub(in crate::hudi) fn block(kind: Kind, instant: &str, schema: &str, content: &[u8]) -> Result<Vec<u8>> {
    let number = KINDS.iter().find(|(_, known)| *known == kind).map_or(0, |(number, _)| *number);
    framed(number, &[(INSTANT, instant), (SCHEMA, schema)], content)
}

fn framed(kind: i32, header: &[(i32, &str)], content: &[u8]) -> Result<Vec<u8>> {
    let too_long = |_| SparkError::internal("a block of a log of Hudi is too long");
    let mut body = [WITH_HEADERS.to_be_bytes(), kind.to_be_bytes()].concat();
    body.extend(i32::try_from(header.len()).map_err(too_long)?.to_be_bytes());
    for (kind, text) in header {
        body.extend(kind.to_be_bytes());
        body.extend(i32::try_from(text.len()).map_err(too_long)?.to_be_bytes());
        body.extend(text.as_bytes());
    }
    body.extend(i64::try_from(content.len()).map_err(too_long)?.to_be_bytes());
    body.extend(content);
    body.extend(0i32.to_be_bytes());
    let size = i64::try_from(body.len() + SIZE_BYTES).map_err(too_long)?;
    let end = i64::try_from(body.len() + SIZE_BYTES + MAGIC.len()).map_err(too_long)?;
    Ok([MAGIC, &size.to_be_bytes(), &body, &end.to_be_bytes()].concat())
}

/// A block with records or deletes.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub place: Location,
    pub kind: Kind,
    pub instant: String,
    /// The Avro schema of the records
    pub schema: String,
    /// Whether the records have but some of the columns
    pub is_partial: bool,
    pub content: Bytes,
}

/// Adds the blocks of a file to `found`, and takes away those that the file says are rolled back. `counts`: whether what
/// an instant wrote is wanted.
pub(super) fn read(
    place: &Location,
    file: &Bytes,
    counts: impl Fn(&str) -> bool,
    found: &mut Vec<Block>,
) -> Result<()> {
    let mut at = 0;
    while file.len() - at >= MAGIC.len() {
        if &file[at..at + MAGIC.len()] != MAGIC {
            return Err(damaged(place, format!("there is no block at byte {at}")));
        }
        let start = at + MAGIC.len();
        let Some(end) = end_of(file, start) else {
            // Not complete: go on behind it.
            match memmem::find(&file[start..], MAGIC) {
                Some(next) => at = start + next,
                None => break,
            }
            continue;
        };
        let mut part = Part { place, bytes: file.slice(start + SIZE_BYTES..end - SIZE_BYTES) };
        read_block(&mut part, &counts, found)?;
        at = end;
    }
    Ok(())
}

/// Where the block ends whose sizes begin at `start`, if it is whole.
fn end_of(file: &Bytes, start: usize) -> Option<usize> {
    let number = |at: usize| Some(i64::from_be_bytes(file.get(at..at.checked_add(SIZE_BYTES)?)?.try_into().ok()?));
    let size = usize::try_from(number(start)?).ok().filter(|size| *size >= SIZE_BYTES)?;
    let end = start.checked_add(SIZE_BYTES)?.checked_add(size)?;
    let tail = number(end.checked_sub(SIZE_BYTES)?)?;
    let whole = usize::try_from(tail).ok()?.checked_sub(MAGIC.len())? == size;
    let rest = file.get(end..)?;
    (whole && (rest.len() < MAGIC.len() || rest.starts_with(MAGIC))).then_some(end)
}

fn read_block(part: &mut Part<'_>, counts: &impl Fn(&str) -> bool, found: &mut Vec<Block>) -> Result<()> {
    let (version, kind) = (part.int()?, part.int()?);
    if version < WITH_HEADERS {
        return Err(SparkError::unsupported(format!("reading log blocks of Hudi of version {version}")));
    }
    let mut header = part.entries()?;
    let mut entry = |kind: i32| {
        let position = header.iter().position(|(known, _)| *known == kind)?;
        Some(header.swap_remove(position).1)
    };
    let length = usize::try_from(part.long()?).map_err(|e| damaged(part.place, e))?;
    let content = part.take(length)?;
    let instant = entry(INSTANT).unwrap_or_default();
    let kind = match kind {
        0 => {
            let (command, target) = (entry(COMMAND).unwrap_or_default(), entry(TARGET_INSTANT).unwrap_or_default());
            if command != ROLLBACK {
                return Err(SparkError::unsupported(format!("the command {command} in a log of a Hudi table")));
            }
            found.retain(|block| block.instant != target);
            return Ok(());
        }
        _ if !counts(&instant) => return Ok(()),
        // Left by a writer that died; changes as Hudi feeds them to others.
        2 | 6 => return Ok(()),
        4 => return Err(SparkError::unsupported("reading log blocks of a Hudi table that are HFiles")),
        number => match KINDS.iter().find(|(known, _)| *known == number) {
            Some((_, kind)) => *kind,
            None => {
                return Err(SparkError::unsupported(format!("reading log blocks of a Hudi table of kind {number}")));
            }
        },
    };
    let is_partial = entry(IS_PARTIAL).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let schema = entry(SCHEMA).unwrap_or_default();
    found.push(Block { place: part.place.clone(), kind, instant, schema, is_partial, content });
    Ok(())
}

/// Bytes that are taken from the front.
pub(super) struct Part<'a> {
    pub place: &'a Location,
    pub bytes: Bytes,
}

impl Part<'_> {
    pub(super) fn take(&mut self, count: usize) -> Result<Bytes> {
        match count <= self.bytes.len() {
            true => Ok(self.bytes.split_to(count)),
            false => Err(damaged(self.place, "a block ends too early")),
        }
    }

    pub(super) fn int(&mut self) -> Result<i32> {
        let bytes = self.take(4)?;
        bytes.as_ref().try_into().map(i32::from_be_bytes).map_err(|e| damaged(self.place, e))
    }

    fn long(&mut self) -> Result<i64> {
        let bytes = self.take(SIZE_BYTES)?;
        bytes.as_ref().try_into().map(i64::from_be_bytes).map_err(|e| damaged(self.place, e))
    }

    /// As long as a number says that comes first.
    pub(super) fn counted(&mut self) -> Result<Bytes> {
        let length = usize::try_from(self.int()?).map_err(|e| damaged(self.place, e))?;
        self.take(length)
    }

    fn entries(&mut self) -> Result<Vec<(i32, String)>> {
        let count = self.int()?;
        let mut entries = vec![];
        for _ in 0..count {
            let kind = self.int()?;
            entries.push((kind, String::from_utf8_lossy(&self.counted()?).into_owned()));
        }
        Ok(entries)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn place() -> Location {
        Location::parse("/t/.a_1.log.1_0-0-0").unwrap()
    }

    fn block(kind: i32, header: &[(i32, &str)], content: &[u8]) -> Vec<u8> {
        framed(kind, header, content).unwrap()
    }

    fn instants(file: &[u8], counts: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut found = vec![];
        read(&place(), &Bytes::copy_from_slice(file), counts, &mut found)?;
        Ok(found.into_iter().map(|block| format!("{}:{:?}", block.instant, block.kind)).collect())
    }

    #[test]
    fn blocks_that_count() {
        let file = [
            block(3, &[(INSTANT, "1"), (SCHEMA, "{}")], b"x"),
            block(1, &[(INSTANT, "2")], b"y"),
            block(5, &[(INSTANT, "3")], b"z"),
            block(3, &[(INSTANT, "4")], b""),
            block(0, &[(INSTANT, "5"), (TARGET_INSTANT, "2"), (COMMAND, ROLLBACK)], b""),
        ]
        .concat();
        assert_eq!(instants(&file, |instant| instant != "3").unwrap(), ["1:Avro", "4:Avro"]);
        assert_eq!(instants(&file[..file.len() - 1], |_| true).unwrap(), ["1:Avro", "2:Delete", "3:Parquet", "4:Avro"]);
    }

    #[test]
    fn what_a_dead_writer_left_is_passed_over() {
        let whole = block(3, &[(INSTANT, "1")], b"x");
        let file =
            [&whole[..], &block(3, &[(INSTANT, "2")], b"yyyy")[..30], &block(1, &[(INSTANT, "3")], b"z")].concat();
        assert_eq!(instants(&file, |_| true).unwrap(), ["1:Avro", "3:Delete"]);
        assert!(instants(&[b"#nonsense#", &whole[..]].concat(), |_| true).is_err());
        assert!(instants(b"", |_| true).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let refused = |block: Vec<u8>| instants(&block, |_| true).unwrap_err().to_string();
        assert!(refused(block(4, &[(INSTANT, "1")], b"")).contains("HFile"));
        assert!(refused(block(0, &[(INSTANT, "1"), (COMMAND, "9")], b"")).contains("command 9"));
        let mut old = block(3, &[(INSTANT, "1")], b"");
        let version = MAGIC.len() + SIZE_BYTES;
        old[version..version + 4].copy_from_slice(&0i32.to_be_bytes());
        assert!(refused(old).contains("version 0"));
    }
}
