//! Parts of files that small queries ask for again and again, kept decoded for a while.
//!
//! ```text
//!  filters leave few parts ─▶ the first time   ─▶ read as always, noted
//!                             later            ─▶ decoded once, whole ─▶ kept
//!                             from then on     ─▶ the columns of then: nothing is read, unpacked or decoded
//! ```
//! A part is a row group. It belongs to one scan, so what one session has
//! decoded no other sees, and files that change are other parts.
mod source;

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arrow::array::ArrayRef;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use parking_lot::Mutex;

pub use source::reads_decoded_parts;
pub(super) use source::{PartOfFile, plan};

/// What nobody asked for is forgotten after one to two of these.
const AGE: Duration = Duration::from_secs(30);
/// Parts that are remembered, most of them only as asked for.
const PARTS_MAX: usize = 1 << 16;

/// Which part: the scan, its file by position, and where in it the part begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PartKey {
    pub scan: u64,
    pub file: usize,
    pub start: u64,
}

/// Columns of a part, by their positions in the table.
pub(super) type Columns = HashMap<usize, ArrayRef>;

/// The decoded parts of a process. Nothing is dropped to make room: what was not used for a while makes it.
#[derive(Debug)]
pub struct DecodedParts {
    state: Mutex<State>,
    limit_bytes: usize,
}

#[derive(Debug)]
struct State {
    recent: HashMap<PartKey, Part>,
    older: HashMap<PartKey, Part>,
    /// Of both, taken from the pool of the process
    reserved: MemoryReservation,
}

#[derive(Debug, Default)]
struct Part {
    columns: Columns,
    bytes: usize,
    /// It turned out to be too large
    is_refused: bool,
}

impl DecodedParts {
    /// At most `limit_bytes`, and not more than the pool has left.
    pub fn new(pool: &Arc<dyn MemoryPool>, limit_bytes: usize) -> Self {
        let reserved = MemoryConsumer::new("DecodedParts").register(pool);
        let state = State { recent: HashMap::new(), older: HashMap::new(), reserved };
        Self { state: Mutex::new(state), limit_bytes }
    }

    /// Forgets what was not used since the last call but one.
    fn age(&self) {
        let forgotten = self.state.lock().age();
        drop(forgotten);
    }

    /// Ages the parts for as long as there is someone to use them.
    pub async fn keep_young(parts: Weak<Self>) {
        loop {
            tokio::time::sleep(AGE).await;
            let Some(parts) = parts.upgrade() else { return };
            parts.age();
        }
    }

    /// What there is of the columns of these parts. `None`: not all of it, and it is not to be decoded whole: some part
    /// is asked for for the first time, or there is no room. `expected_bytes`: what all would take.
    pub(super) fn ask(&self, parts: &[PartKey], columns: &[usize], expected_bytes: usize) -> Option<Vec<Columns>> {
        let mut state = self.state.lock();
        let mut is_known = true;
        for key in parts {
            is_known &= state.touch(key);
        }
        if !is_known {
            return None;
        }
        let found: Vec<Columns> = parts.iter().map(|key| state.columns(key, columns)).collect();
        let is_whole = found.iter().all(|found| found.len() == columns.len());
        let fits = state.reserved.size().saturating_add(expected_bytes) <= self.limit_bytes;
        let is_refused = parts.iter().any(|key| state.recent.get(key).is_some_and(|part| part.is_refused));
        (is_whole || fits && !is_refused).then_some(found)
    }

    /// Keeps columns of a part, if there is room for them.
    pub(super) fn put(&self, key: PartKey, columns: Columns) {
        let bytes = columns.values().map(|column| column.get_array_memory_size()).sum::<usize>();
        let mut state = self.state.lock();
        let fits = state.reserved.size() + bytes <= self.limit_bytes && state.reserved.try_grow(bytes).is_ok();
        let part = state.recent.entry(key).or_default();
        if !fits {
            part.is_refused = true;
            return;
        }
        part.bytes += bytes;
        let mut twice = 0;
        for (column, values) in columns {
            // Another query may have decoded the same.
            twice += part.columns.insert(column, values).map_or(0, |before| before.get_array_memory_size());
        }
        part.bytes -= twice;
        state.reserved.shrink(twice);
    }

    /// The part is larger than expected: it is read as always from now on.
    pub(super) fn refuse(&self, key: PartKey) {
        self.state.lock().recent.entry(key).or_default().is_refused = true;
    }
}

impl State {
    #[must_use]
    fn age(&mut self) -> HashMap<PartKey, Part> {
        let forgotten = mem::replace(&mut self.older, mem::take(&mut self.recent));
        self.reserved.shrink(forgotten.values().map(|part| part.bytes).sum());
        forgotten
    }

    /// Whether the part was asked for before.
    fn touch(&mut self, key: &PartKey) -> bool {
        if self.recent.contains_key(key) {
            return true;
        }
        let before = self.older.remove(key);
        let is_known = before.is_some();
        if is_known || self.recent.len() < PARTS_MAX {
            self.recent.insert(*key, before.unwrap_or_default());
        }
        is_known
    }

    fn columns(&self, key: &PartKey, columns: &[usize]) -> Columns {
        let Some(part) = self.recent.get(key) else { return Columns::new() };
        columns.iter().filter_map(|column| Some((*column, Arc::clone(part.columns.get(column)?)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    const COLUMN_BYTES: usize = 8_000;

    fn parts(limit_bytes: usize) -> (Arc<dyn MemoryPool>, DecodedParts) {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 20));
        let parts = DecodedParts::new(&pool, limit_bytes);
        (pool, parts)
    }

    fn key(file: usize) -> PartKey {
        PartKey { scan: 0, file, start: 4 }
    }

    fn column(at: usize) -> Columns {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1; COLUMN_BYTES / 8]));
        Columns::from([(at, values)])
    }

    #[test]
    fn what_is_asked_for_twice_is_kept_while_it_is_used() {
        let (pool, parts) = parts(1 << 20);
        assert!(parts.ask(&[key(0)], &[3], 1).is_none());
        assert!(parts.ask(&[key(0)], &[3], 1).unwrap()[0].is_empty());
        parts.put(key(0), column(3));
        assert_eq!(parts.ask(&[key(0)], &[3], 1).unwrap()[0].len(), 1);
        assert_eq!(parts.ask(&[key(0)], &[3, 4], 1).unwrap()[0].len(), 1);
        // One of the parts is new.
        assert!(parts.ask(&[key(0), key(1)], &[3], 1).is_none());
        // The same once more takes no more room.
        let before = pool.reserved();
        parts.put(key(0), column(3));
        assert_eq!(pool.reserved(), before);
        for _ in 0..3 {
            parts.age();
            assert_eq!(parts.ask(&[key(0)], &[3], 1).unwrap()[0].len(), 1);
        }
        parts.age();
        parts.age();
        assert_eq!(pool.reserved(), 0);
        assert!(parts.ask(&[key(0)], &[3], 1).is_none());
    }

    #[test]
    fn what_does_not_fit_is_read_as_always() {
        let (pool, parts) = parts(2 * COLUMN_BYTES);
        for file in 0..3 {
            assert!(parts.ask(&[key(file)], &[0], 1).is_none());
        }
        assert!(parts.ask(&[key(0)], &[0], 3 * COLUMN_BYTES).is_none());
        parts.put(key(0), column(0));
        parts.put(key(1), column(0));
        assert!(pool.reserved() <= 2 * COLUMN_BYTES);
        // Refused once its size is known, whatever is expected of it.
        assert!(parts.ask(&[key(1)], &[0], 0).is_none());
        // What is there is there, full or not.
        assert!(parts.ask(&[key(0)], &[0], 1 << 40).is_some());
        assert!(parts.ask(&[key(2)], &[0], 0).is_some());
        parts.refuse(key(2));
        assert!(parts.ask(&[key(2)], &[0], 0).is_none());
    }
}
