//! A store of PostgreSQL is one server's at a time: a second one would take the first one's jobs for interrupted.
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnection, PgPool};
use tokio::sync::Mutex;

use super::{Result, StoreError};

/// Ours among the locks of the database: "fire" in ASCII.
const LOCK: i64 = 0x6669_7265;
/// A server that has just ended may still be seen for a moment.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Holds the store for as long as its connection lives. The database lets go of it when the process is gone.
#[derive(Debug, Clone)]
pub struct Claim {
    pool: PgPool,
    connection: Arc<Mutex<PgConnection>>,
}

impl Claim {
    pub async fn new(pool: &PgPool) -> Result<Self> {
        let begun = Instant::now();
        loop {
            match locked(pool).await? {
                Some(connection) => {
                    return Ok(Self { pool: pool.clone(), connection: Arc::new(Mutex::new(connection)) });
                }
                None if begun.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                None => return Err(StoreError::InUse),
            }
        }
    }

    /// Sees that the lock is still held: a connection that broke, as when the database starts anew, is made again.
    pub async fn renew(&self) -> Result<()> {
        let mut connection = self.connection.lock().await;
        if sqlx::query("SELECT 1").execute(&mut *connection).await.is_ok() {
            return Ok(());
        }
        *connection = locked(&self.pool).await?.ok_or(StoreError::InUse)?;
        Ok(())
    }
}

/// A connection that holds the lock; `None`: another one does.
async fn locked(pool: &PgPool) -> Result<Option<PgConnection>> {
    let mut connection = pool.acquire().await?.detach();
    let is_ours: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut connection).await?;
    Ok(is_ours.then_some(connection))
}
