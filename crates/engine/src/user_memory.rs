//! What all statements of one user may hold of the pool, where that is limited.
//!
//! ```text
//!  reservation ─▶ UserPool ─▶ the user's own share, by the rules of the pool ─▶ the pool of all
//! ```
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Weak};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, human_readable_size,
};
use datafusion::execution::runtime_env::RuntimeEnv;
use firesteel_conf::parse::bytes as parse_bytes;
use firesteel_plan::SparkError;
use parking_lot::Mutex;

use crate::memory::SpillingPool;

pub const KEY: &str = "firesteel.memory.perUser";
/// With less, no sort ends.
const LEAST_BYTES: u64 = 16 << 20;

/// The runtimes of users: the process's, with a share of its memory.
pub struct UserRuntimes {
    shared: Arc<RuntimeEnv>,
    pool_bytes: u64,
    /// Of one user; `None`: all that there is
    share_bytes: Option<u64>,
    /// Those that somebody uses
    users: Mutex<HashMap<String, Weak<RuntimeEnv>>>,
}

impl UserRuntimes {
    pub fn new(shared: Arc<RuntimeEnv>, pool_bytes: u64, conf: &BTreeMap<String, String>) -> Result<Self, SparkError> {
        let share_bytes = conf.get(KEY).filter(|text| !text.trim().is_empty());
        let share_bytes = share_bytes.map(|text| share(text.trim(), pool_bytes)).transpose()?;
        Ok(Self { shared, pool_bytes, share_bytes, users: Mutex::default() })
    }

    /// What the statements of a user run with.
    pub fn of(&self, user: &str) -> Arc<RuntimeEnv> {
        let Some(bytes) = self.share_bytes else { return Arc::clone(&self.shared) };
        let mut users = self.users.lock();
        if let Some(known) = users.get(user).and_then(Weak::upgrade) {
            return known;
        }
        let pool = UserPool {
            user: user.to_string(),
            own: SpillingPool::new(usize::try_from(bytes).unwrap_or(usize::MAX)),
            all: Arc::clone(&self.shared.memory_pool),
        };
        let runtime = Arc::new(RuntimeEnv { memory_pool: Arc::new(pool), ..RuntimeEnv::clone(&self.shared) });
        users.retain(|_, runtime| runtime.strong_count() > 0);
        users.insert(user.to_string(), Arc::downgrade(&runtime));
        runtime
    }

    /// What one user's statements may hold at most.
    pub fn pool_bytes(&self) -> u64 {
        self.share_bytes.unwrap_or(self.pool_bytes)
    }
}

/// A size (`2g`), or a part of the pool (`50%`).
fn share(text: &str, pool_bytes: u64) -> Result<u64, SparkError> {
    let part = text.strip_suffix('%').map(|number| number.trim().parse::<f64>().ok());
    let bytes = match part {
        Some(percent) => percent.filter(|p| *p > 0.0 && *p <= 100.0).map(|p| (pool_bytes as f64 * p / 100.0) as u64),
        None => parse_bytes(text),
    };
    bytes.filter(|bytes| *bytes >= LEAST_BYTES).map(|bytes| bytes.min(pool_bytes)).ok_or_else(|| {
        let values = [("confName", KEY), ("confValue", text), ("confType", "bytes")];
        SparkError::new("INVALID_CONF_VALUE.TYPE_MISMATCH", values).with_message(format!(
            "{KEY} is {text}: it is a size of at least {} or a part of the memory pool, which has {}, as 25%.",
            human_readable_size(LEAST_BYTES as usize),
            human_readable_size(usize::try_from(pool_bytes).unwrap_or(usize::MAX)),
        ))
    })
}

/// A user's share of a pool.
#[derive(Debug)]
struct UserPool {
    user: String,
    own: SpillingPool,
    all: Arc<dyn MemoryPool>,
}

impl MemoryPool for UserPool {
    fn name(&self) -> &str {
        "user"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
        self.all.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
        self.all.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional).map_err(|error| {
            let detail = match error {
                DataFusionError::ResourcesExhausted(detail) => detail,
                other => other.to_string(),
            };
            DataFusionError::ResourcesExhausted(format!("{}{detail}", over_share(&self.user, self.own.memory_limit())))
        })?;
        let granted = self.all.try_grow(reservation, additional);
        if granted.is_err() {
            self.own.shrink(reservation, additional);
        }
        granted
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}

impl fmt::Display for UserPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.own)
    }
}

fn over_share(user: &str, limit: MemoryLimit) -> String {
    let MemoryLimit::Finite(bytes) = limit else { return String::new() };
    format!("all statements of the user {user:?} together may hold {} ({KEY}): ", human_readable_size(bytes))
}

/// Whether a failed reservation was about a user's share.
pub fn is_about_share(message: &str) -> bool {
    message.contains(KEY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

    const MB: usize = 1 << 20;

    fn runtimes(share: &str) -> Result<UserRuntimes, SparkError> {
        let pool = Arc::new(SpillingPool::new(640 * MB));
        let shared = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
        let conf = BTreeMap::from([(KEY.to_string(), share.to_string())]);
        UserRuntimes::new(shared, 640 << 20, &conf)
    }

    fn hold(runtime: &RuntimeEnv) -> MemoryReservation {
        MemoryConsumer::new("HashJoinInput").register(&runtime.memory_pool)
    }

    #[test]
    fn a_user_has_a_share_and_no_more_than_there_is() {
        let runtimes = runtimes("50%").unwrap();
        let (a, again, b) = (runtimes.of("a"), runtimes.of("a"), runtimes.of("b"));
        assert!(Arc::ptr_eq(&a, &again));
        let (first, second, other) = (hold(&a), hold(&again), hold(&b));
        first.try_grow(300 * MB).unwrap();
        let error = second.try_grow(100 * MB).unwrap_err().to_string();
        assert!(error.contains("all statements of the user \"a\" together may hold 320.0 MB"), "{error}");
        other.try_grow(320 * MB).unwrap();
        assert_eq!((a.memory_pool.reserved(), runtimes.shared.memory_pool.reserved()), (300 * MB, 620 * MB));
        // What the pool of all refuses does not stay with the user.
        let c = runtimes.of("c");
        let third = hold(&c);
        assert!(!is_about_share(&third.try_grow(100 * MB).unwrap_err().to_string()));
        assert_eq!(c.memory_pool.reserved(), 0);
        drop((first, second, other));
        assert_eq!((a.memory_pool.reserved(), runtimes.shared.memory_pool.reserved()), (0, 0));
    }

    #[test]
    fn shares_are_sizes_or_parts() {
        assert_eq!(runtimes("64m").unwrap().pool_bytes(), 64 << 20);
        assert_eq!(runtimes("25%").unwrap().pool_bytes(), 160 << 20);
        assert_eq!(runtimes("4g").unwrap().pool_bytes(), 640 << 20);
        for wrong in ["much", "0%", "101%", "1m", "-5"] {
            assert!(runtimes(wrong).is_err(), "{wrong}");
        }
    }
}
