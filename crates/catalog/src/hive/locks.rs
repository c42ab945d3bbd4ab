//! The lock under which Iceberg's writers change a table of a metastore, so that each sees what the one before has left.
use std::sync::Arc;
use std::time::Duration;

use firesteel_plan::{JavaException, SparkError};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::calls::{CHECK_LOCK, HEARTBEAT, LOCK, SHOW_LOCKS, UNLOCK};
use super::connection::{HiveFailure, HiveResult};
use super::values::{Fields, Value};
use super::{HiveFault, HiveMetastore};

/// Numbers of the metastore's words
const EXCLUSIVE: i32 = 3;
const OF_TABLE: i32 = 2;
const ACQUIRED: i64 = 1;
const WAITING: i64 = 2;

const FIRST_WAIT: Duration = Duration::from_millis(50);
const MAX_WAIT: Duration = Duration::from_secs(5);
/// How long others may have the lock
const MAX_WAITS: Duration = Duration::from_secs(180);
/// A metastore takes a lock away from whom it has not heard of for minutes.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);

/// A lock of one table, which nobody else has until it is released.
#[derive(Debug)]
#[must_use]
pub struct HiveLock {
    metastore: Arc<HiveMetastore>,
    id: i64,
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Some(name.trim()).filter(|name| !name.is_empty()).unwrap_or("localhost").to_string()
}

impl HiveMetastore {
    /// Waits until nobody else has the lock of a table. An error: it is not locked.
    pub async fn lock(self: &Arc<Self>, database: &str, table: &str) -> HiveResult<HiveLock> {
        let agent = format!("firesteel-{}", Uuid::new_v4());
        let component = Fields::new().with(1, EXCLUSIVE).with(2, OF_TABLE).with(3, database).with(4, table);
        let user = self.connections.address.user.as_str();
        let request = Fields::new()
            .with(1, Value::structs([component]))
            .with(3, user)
            .with(4, host_name())
            .with(5, agent.as_str());
        let asked = match self.call(&LOCK, Fields::new().with(1, request)).await {
            Err(HiveFailure::Lost(error)) => {
                self.unlock_agent(database, table, &agent).await;
                return Err(HiveFailure::Lost(error));
            }
            asked => asked?.fields(0),
        };
        let lock = HiveLock { metastore: Arc::clone(self), id: asked.long(1).unwrap_or_default() };
        let waited = lock.wait(asked.long(2).unwrap_or_default(), database, table).await;
        match waited {
            Ok(()) => Ok(lock),
            Err(failure) => {
                lock.release().await;
                Err(failure)
            }
        }
    }

    /// Gives back a lock whose number got lost.
    async fn unlock_agent(&self, database: &str, table: &str, agent: &str) {
        let request = Fields::new().with(1, database).with(2, table);
        let Ok(shown) = self.call(&SHOW_LOCKS, Fields::new().with(1, request)).await else { return };
        let locks = shown.fields(0).remove(1).map(Value::into_list).unwrap_or_default();
        for lock in locks.into_iter().filter_map(Value::into_fields) {
            if let (Some(id), true) = (lock.long(1), lock.text(13) == Some(agent)) {
                self.unlock(id).await;
            }
        }
    }

    /// What is not unlocked ends when the metastore has not heard of it for a while.
    async fn unlock(&self, id: i64) {
        let _ = self.call(&UNLOCK, Fields::new().with(1, Fields::new().with(1, id))).await;
    }
}

impl HiveLock {
    async fn wait(&self, mut state: i64, database: &str, table: &str) -> HiveResult<()> {
        let (begun, mut pause) = (Instant::now(), FIRST_WAIT);
        let refused = |why: String| {
            let message = format!("the lock of {database}.{table} in the Hive metastore was not given: {why}");
            HiveFailure::Refused(HiveFault::Other, SparkError::java(JavaException::Io, message))
        };
        while state == WAITING {
            if begun.elapsed() > MAX_WAITS {
                return Err(refused(format!("others have it for more than {} s", MAX_WAITS.as_secs())));
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(MAX_WAIT);
            let request = Fields::new().with(1, self.id);
            let checked = self.metastore.call(&CHECK_LOCK, Fields::new().with(1, request)).await?;
            state = checked.fields(0).long(2).unwrap_or_default();
        }
        match state {
            ACQUIRED => Ok(()),
            state => Err(refused(format!("its state is {state}"))),
        }
    }

    /// Does something under the lock, of which the metastore hears all the while. With it comes why it may have been taken
    /// away.
    pub async fn holding<T>(&self, work: impl Future<Output = T>) -> (T, Option<SparkError>) {
        tokio::pin!(work);
        let mut beats = tokio::time::interval_at(Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
        let mut lost = None;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return (done, lost),
                _ = beats.tick() => {
                    let request = Fields::new().with(1, self.id);
                    let beat = self.metastore.call(&HEARTBEAT, Fields::new().with(1, request)).await;
                    lost = beat.err().map(SparkError::from).or(lost);
                }
            }
        }
    }

    pub async fn release(self) {
        self.metastore.unlock(self.id).await;
    }
}
