//! What outlives the process: tokens, jobs and the secret that cursors are signed with. SQLite, in the data directory.
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row, SqliteConnection};

use crate::jobs::record::{JobRecord, JobState};
use crate::problem::Problem;

const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECTIONS_MAX: u32 = 4;
const FILE: &str = "service.db";

const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, user TEXT NOT NULL, hash BLOB NOT NULL UNIQUE, \
     scopes TEXT NOT NULL, paths TEXT NOT NULL, created_at INTEGER NOT NULL, revoked_at INTEGER)",
    "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, user TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, \
     created_at INTEGER NOT NULL, ended_at INTEGER, idempotency_key TEXT, document TEXT NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_key ON jobs (user, idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (created_at DESC, id DESC)",
    "CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL)",
];

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The store failed: never the user's fault.
#[derive(Debug)]
pub struct StoreError(sqlx::Error);

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the service's store failed: {}", self.0)
    }
}
impl std::error::Error for StoreError {}
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Problem::internal(error)
    }
}

/// A token as it is kept.
#[derive(Debug, Clone)]
pub struct TokenRow {
    pub id: String,
    pub user: String,
    pub hash: Vec<u8>,
    pub scopes: String,
    /// A JSON array of places; empty: everywhere.
    pub paths: Vec<String>,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
}

/// Which jobs are asked for.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    pub user: Option<String>,
    pub kind: Option<String>,
    pub state: Option<String>,
    pub tag: Option<String>,
    /// Those older than this one: creation time and id.
    pub before: Option<(i64, String)>,
    pub limit: u32,
}

#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

impl Store {
    pub async fn open(directory: Option<&Path>) -> Result<Self> {
        let pool = match directory {
            Some(directory) => {
                std::fs::create_dir_all(directory).map_err(sqlx::Error::Io)?;
                let options = SqliteConnectOptions::new()
                    .filename(directory.join(FILE))
                    .create_if_missing(true)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    .busy_timeout(BUSY_TIMEOUT);
                SqlitePoolOptions::new().max_connections(CONNECTIONS_MAX).connect_with(options).await?
            }
            // One connection that never closes: what is in memory lives as long as its connection.
            None => {
                let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
                let pool = SqlitePoolOptions::new().max_connections(1).min_connections(1);
                pool.idle_timeout(None).max_lifetime(None).connect_with(options).await?
            }
        };
        for statement in TABLES {
            sqlx::query(*statement).execute(&pool).await?;
        }
        Ok(Self { pool })
    }

    /// A secret of that name, made at the first call.
    pub async fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>> {
        sqlx::query("INSERT OR IGNORE INTO secrets (name, value) VALUES (?, ?)")
            .bind(name)
            .bind(fresh)
            .execute(&self.pool)
            .await?;
        let row = sqlx::query("SELECT value FROM secrets WHERE name = ?").bind(name).fetch_one(&self.pool).await?;
        Ok(row.try_get(0)?)
    }

    pub async fn add_token(&self, token: &TokenRow) -> Result<()> {
        let paths = serde_json::json!(token.paths).to_string();
        sqlx::query("INSERT INTO tokens (id, user, hash, scopes, paths, created_at) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(&token.id)
            .bind(&token.user)
            .bind(&token.hash)
            .bind(&token.scopes)
            .bind(paths)
            .bind(token.created_at)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether there was such a token that was not revoked yet.
    pub async fn revoke_token(&self, id: &str) -> Result<bool> {
        let done = sqlx::query("UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL")
            .bind(now_ms())
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// All tokens, revoked ones too, oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        let rows =
            sqlx::query("SELECT id, user, hash, scopes, paths, created_at, revoked_at FROM tokens ORDER BY rowid")
                .fetch_all(&self.pool)
                .await?;
        let token = |row: sqlx::sqlite::SqliteRow| -> Result<TokenRow> {
            let paths: String = row.try_get(4)?;
            Ok(TokenRow {
                id: row.try_get(0)?,
                user: row.try_get(1)?,
                hash: row.try_get(2)?,
                scopes: row.try_get(3)?,
                // No paths would mean everywhere.
                paths: serde_json::from_str(&paths)
                    .map_err(|error| StoreError(sqlx::Error::Decode(Box::new(error))))?,
                created_at: row.try_get(5)?,
                revoked_at: row.try_get(6)?,
            })
        };
        rows.into_iter().map(token).collect()
    }

    /// Adds a job, unless the user has one of its key: then that one is answered.
    pub async fn add_job(&self, job: &JobRecord) -> Result<Option<JobRecord>> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(key) = &job.idempotency_key
            && let Some(existing) = job_of_key(&mut transaction, &job.user, key).await?
        {
            return Ok(Some(existing));
        }
        sqlx::query(
            "INSERT INTO jobs (id, user, kind, state, created_at, ended_at, idempotency_key, document) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&job.id)
        .bind(&job.user)
        .bind(&job.kind)
        .bind(job.state.name())
        .bind(job.created_at)
        .bind(job.ended_at)
        .bind(&job.idempotency_key)
        .bind(document(job))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(None)
    }

    pub async fn update_job(&self, job: &JobRecord) -> Result<()> {
        sqlx::query("UPDATE jobs SET state = ?, ended_at = ?, document = ? WHERE id = ?")
            .bind(job.state.name())
            .bind(job.ended_at)
            .bind(document(job))
            .bind(&job.id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub async fn job(&self, id: &str) -> Result<Option<JobRecord>> {
        let row = sqlx::query("SELECT document FROM jobs WHERE id = ?").bind(id).fetch_optional(&self.pool).await?;
        row.map(|row| record(row.try_get(0)?)).transpose()
    }

    pub async fn remove_job(&self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM jobs WHERE id = ?").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    pub async fn job_of_key(&self, user: &str, key: &str) -> Result<Option<JobRecord>> {
        job_of_key(&mut *self.pool.acquire().await?, user, key).await
    }

    /// Newest first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRecord>> {
        let mut query = sqlx::QueryBuilder::new("SELECT document FROM jobs WHERE 1 = 1");
        for (column, value) in [("user", &filter.user), ("kind", &filter.kind), ("state", &filter.state)] {
            if let Some(value) = value {
                query.push(format!(" AND {column} = ")).push_bind(value.clone());
            }
        }
        if let Some(tag) = &filter.tag {
            query
                .push(" AND EXISTS (SELECT 1 FROM json_each(document, '$.tags') WHERE value = ")
                .push_bind(tag.clone())
                .push(")");
        }
        if let Some((time, id)) = &filter.before {
            query.push(" AND (created_at, id) < (").push_bind(*time).push(", ").push_bind(id.clone()).push(")");
        }
        query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(filter.limit));
        let rows = query.build().fetch_all(&self.pool).await?;
        rows.into_iter().map(|row| record(row.try_get(0)?)).collect()
    }

    /// Jobs that an earlier process did not end.
    pub async fn unfinished(&self) -> Result<Vec<JobRecord>> {
        let rows = sqlx::query("SELECT document FROM jobs WHERE state IN ('queued', 'running') ORDER BY created_at")
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(|row| record(row.try_get(0)?)).collect()
    }

    pub async fn remove_jobs_ended_before(&self, time: i64) -> Result<()> {
        sqlx::query("DELETE FROM jobs WHERE ended_at IS NOT NULL AND ended_at < ?")
            .bind(time)
            .execute(&self.pool)
            .await?;
        Ok(())
    }
}

async fn job_of_key(connection: &mut SqliteConnection, user: &str, key: &str) -> Result<Option<JobRecord>> {
    let row = sqlx::query("SELECT document FROM jobs WHERE user = ? AND idempotency_key = ?")
        .bind(user)
        .bind(key)
        .fetch_optional(connection)
        .await?;
    row.map(|row| record(row.try_get(0)?)).transpose()
}

fn document(job: &JobRecord) -> String {
    serde_json::to_string(job).unwrap_or_default()
}

fn record(document: String) -> Result<JobRecord> {
    serde_json::from_str(&document).map_err(|error| StoreError(sqlx::Error::Decode(Box::new(error))))
}

/// Marks a job that an earlier process did not end.
pub fn interrupted(mut job: JobRecord) -> JobRecord {
    job.state = JobState::Interrupted;
    job.ended_at = Some(now_ms());
    let detail = "The server stopped while the job was queued or running.";
    job.error = Some(Problem { retryable: true, ..Problem::new(503, "JOB_INTERRUPTED", detail) });
    job
}
