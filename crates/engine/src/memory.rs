//! The pool that operators take memory from.
//!
//! DataFusion's fair pool gives every operator that may spill the same fixed share, so a plan of many sorts spills early
//! although most of them hold nothing, and a sort that wants to spill fails when there is no room to merge what it
//! holds. Here an operator's share depends on who holds memory now, and those who must go on may: everybody may hold a
//! little, merges more. The pool is overdrawn by that for a while; what merges take is bounded by the number of runs
//! they read at once.
use std::collections::HashMap;
use std::fmt;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size,
};
use parking_lot::Mutex;

/// What a consumer may hold whatever the others hold: room for two runs of wide batches to be merged.
const FLOOR_BYTES_MAX: usize = 16 << 20;
/// The floor as a share of a small pool.
const FLOOR_POOL_SHARE: usize = 64;
/// The share of the pool that one merge of sorted batches may hold whatever the others hold: its sort cannot spill
/// without it.
const MERGE_POOL_SHARE: usize = 2;
/// How DataFusion names the reservation of such a merge.
const MERGE_CONSUMER: &str = "ExternalSorterMerge";
/// Consumers named in an out-of-memory error.
const TOP_CONSUMERS: usize = 5;

/// A bounded pool; see the module.
#[derive(Debug)]
pub struct SpillingPool {
    limit_bytes: usize,
    floor_bytes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    holders: HashMap<usize, Holder>,
    reserved_bytes: usize,
    /// Of consumers that cannot spill
    fixed_bytes: usize,
    /// Consumers that can spill
    spillers: usize,
    /// Those of them that hold more than the floor
    large_spillers: usize,
}

#[derive(Debug)]
struct Holder {
    name: String,
    kind: Kind,
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Gives memory back when it gets no more
    Spiller,
    /// Has what it merges in memory already, or takes as much as there is
    Merge,
    /// Needs what it asks for
    Fixed,
}

impl Kind {
    fn of(consumer: &MemoryConsumer) -> Self {
        match consumer.can_spill() {
            true => Self::Spiller,
            false if consumer.name().starts_with(MERGE_CONSUMER) => Self::Merge,
            false => Self::Fixed,
        }
    }
}

impl SpillingPool {
    pub fn new(limit_bytes: usize) -> Self {
        let floor_bytes = (limit_bytes / FLOOR_POOL_SHARE).min(FLOOR_BYTES_MAX);
        Self { limit_bytes, floor_bytes, state: Mutex::default() }
    }

    /// What this consumer may hold in all.
    fn allowed_bytes(&self, state: &State, kind: Kind, held: usize) -> usize {
        let open = held + self.limit_bytes.saturating_sub(state.reserved_bytes);
        match kind {
            Kind::Fixed => open.max(self.floor_bytes),
            Kind::Merge => open.max(self.limit_bytes / MERGE_POOL_SHARE),
            Kind::Spiller => {
                // One share stays free for the next who comes, unless nobody can come.
                let others = state.large_spillers - usize::from(held > self.floor_bytes);
                let shares = (others + 2).min(state.spillers).max(1);
                open.min(self.limit_bytes.saturating_sub(state.fixed_bytes) / shares).max(self.floor_bytes)
            }
        }
    }
}

impl State {
    fn add(&mut self, id: usize, bytes: usize, floor_bytes: usize) {
        if let Some(holder) = self.holders.get_mut(&id) {
            let before = holder.bytes;
            holder.bytes += bytes;
            if holder.kind != Kind::Spiller {
                self.fixed_bytes += bytes;
            } else if before <= floor_bytes && holder.bytes > floor_bytes {
                self.large_spillers += 1;
            }
        }
        self.reserved_bytes += bytes;
    }

    fn remove(&mut self, id: usize, bytes: usize, floor_bytes: usize) {
        if let Some(holder) = self.holders.get_mut(&id) {
            let before = holder.bytes;
            holder.bytes = holder.bytes.saturating_sub(bytes);
            if holder.kind != Kind::Spiller {
                self.fixed_bytes = self.fixed_bytes.saturating_sub(bytes);
            } else if before > floor_bytes && holder.bytes <= floor_bytes {
                self.large_spillers -= 1;
            }
        }
        self.reserved_bytes = self.reserved_bytes.saturating_sub(bytes);
    }

    fn largest(&self) -> String {
        let mut holders: Vec<_> = self.holders.values().filter(|holder| holder.bytes > 0).collect();
        holders.sort_by_key(|holder| std::cmp::Reverse(holder.bytes));
        let named = holders.iter().take(TOP_CONSUMERS);
        named.map(|h| format!("{} {}", h.name, human_readable_size(h.bytes))).collect::<Vec<_>>().join(", ")
    }
}

impl MemoryPool for SpillingPool {
    fn name(&self) -> &str {
        "spilling"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        let holder = Holder { name: consumer.name().to_string(), kind: Kind::of(consumer), bytes: 0 };
        let mut state = self.state.lock();
        state.spillers += usize::from(holder.kind == Kind::Spiller);
        state.holders.insert(consumer.id(), holder);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        let mut state = self.state.lock();
        if state.holders.remove(&consumer.id()).is_some_and(|holder| holder.kind == Kind::Spiller) {
            state.spillers -= 1;
        }
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.state.lock().add(reservation.consumer().id(), additional, self.floor_bytes);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.state.lock().remove(reservation.consumer().id(), shrink, self.floor_bytes);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let consumer = reservation.consumer();
        let mut state = self.state.lock();
        let held = state.holders.get(&consumer.id()).map_or(0, |holder| holder.bytes);
        let allowed = self.allowed_bytes(&state, Kind::of(consumer), held);
        if held.saturating_add(additional) <= allowed {
            state.add(consumer.id(), additional, self.floor_bytes);
            return Ok(());
        }
        Err(DataFusionError::ResourcesExhausted(format!(
            "{} holds {} and needs {} more; it may hold {} of {}. Largest: {}",
            consumer.name(),
            human_readable_size(held),
            human_readable_size(additional),
            human_readable_size(allowed),
            human_readable_size(self.limit_bytes),
            state.largest(),
        )))
    }

    fn reserved(&self) -> usize {
        self.state.lock().reserved_bytes
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit_bytes)
    }
}

impl fmt::Display for SpillingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), human_readable_size(self.limit_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const MB: usize = 1 << 20;

    fn pool() -> Arc<dyn MemoryPool> {
        Arc::new(SpillingPool::new(640 * MB))
    }

    fn spiller(pool: &Arc<dyn MemoryPool>) -> MemoryReservation {
        MemoryConsumer::new("ExternalSorter[0]").with_can_spill(true).register(pool)
    }

    #[test]
    fn idle_spillers_cost_others_little() {
        let pool = pool();
        let idle: Vec<_> = (0..20).map(|_| spiller(&pool)).collect();
        let busy = spiller(&pool);
        busy.try_grow(300 * MB).unwrap();
        assert!(busy.try_grow(100 * MB).is_err(), "half stays for the next");
        idle[0].try_grow(200 * MB).unwrap();
        assert!(idle[1].try_grow(200 * MB).is_err());
        drop(busy);
        idle[1].try_grow(200 * MB).unwrap();
    }

    #[test]
    fn a_single_spiller_gets_everything() {
        let pool = pool();
        spiller(&pool).try_grow(640 * MB).unwrap();
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn everybody_may_hold_a_little_and_merges_more() {
        let pool = pool();
        let build = MemoryConsumer::new("HashJoinInput").register(&pool);
        build.try_grow(640 * MB).unwrap();
        let error = build.try_grow(1).unwrap_err().to_string();
        assert!(error.contains("Largest: HashJoinInput 640.0 MB"), "{error}");
        spiller(&pool).try_grow(10 * MB).unwrap();
        let merge = MemoryConsumer::new("ExternalSorterMerge[1]").register(&pool);
        merge.try_grow(320 * MB).unwrap();
        assert!(merge.try_grow(MB).is_err());
        drop((merge, build));
        assert_eq!(pool.reserved(), 0);
    }
}
