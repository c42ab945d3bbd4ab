//! What outlives the process: tokens, jobs and the secret that cursors are signed with. SQLite in the data directory, or
//! PostgreSQL.
//!
//! ```text
//!  mod       the statements, once        database  the two databases      claim  one server at a time
//! ```
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::jobs::record::{JobRecord, JobState};
use crate::problem::Problem;

mod claim;
mod database;

use claim::Claim;
use database::{Database, Row, Value};

const FILE: &str = "service.db";

/// `{bytes}` is the databases' own word for bytes.
const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS tokens (id TEXT PRIMARY KEY, \"user\" TEXT NOT NULL, hash {bytes} NOT NULL UNIQUE, \
     scopes TEXT NOT NULL, paths TEXT NOT NULL, created_at BIGINT NOT NULL, revoked_at BIGINT)",
    "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, \"user\" TEXT NOT NULL, kind TEXT NOT NULL, \
     state TEXT NOT NULL, created_at BIGINT NOT NULL, ended_at BIGINT, idempotency_key TEXT, document TEXT NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS jobs_by_key ON jobs (\"user\", idempotency_key) \
     WHERE idempotency_key IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (created_at DESC, id DESC)",
    "CREATE TABLE IF NOT EXISTS job_tags (job TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (job, tag))",
    "CREATE INDEX IF NOT EXISTS job_tags_by_tag ON job_tags (tag)",
    "CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value {bytes} NOT NULL)",
];

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The store failed: never the user's fault.
#[derive(Debug)]
pub enum StoreError {
    Database(sqlx::Error),
    Unreadable(serde_json::Error),
    InUse,
    Address(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Database(error) => write!(f, "the service's store failed: {error}"),
            Self::Unreadable(error) => write!(f, "the service's store holds what cannot be read: {error}"),
            Self::InUse => f.write_str("another server uses this store of jobs"),
            Self::Address(detail) => write!(f, "the store of jobs: {detail}"),
        }
    }
}
impl std::error::Error for StoreError {}
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}
impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error)
    }
}
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Problem::internal(error)
    }
}

/// Where a store is.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum StorePlace {
    /// It goes with the process.
    #[default]
    Memory,
    /// SQLite, in this folder
    Folder(PathBuf),
    /// The URL of a PostgreSQL database; it may hold a password.
    Postgres(String),
}

impl StorePlace {
    /// `url`: of the database, where one is given; else the data directory counts.
    pub fn of(url: Option<&str>, data_dir: Option<PathBuf>) -> Result<Self> {
        match (url.map(str::trim).filter(|url| !url.is_empty()), data_dir) {
            (Some(url), _) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(Self::Postgres(url.to_string()))
            }
            (Some(_), _) => Err(StoreError::Address("it is postgresql://USER:PASSWORD@HOST/DATABASE".into())),
            (None, Some(folder)) => Ok(Self::Folder(folder)),
            (None, None) => Ok(Self::Memory),
        }
    }
}

/// Without what may be a password.
impl std::fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory => f.write_str("Memory"),
            Self::Folder(folder) => write!(f, "Folder({folder:?})"),
            Self::Postgres(_) => f.write_str("Postgres"),
        }
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

/// The store. A clone is the same one.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
    claim: Option<Claim>,
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

impl Store {
    /// Beside a server that may run.
    pub async fn open(place: &StorePlace) -> Result<Self> {
        let database = match place {
            StorePlace::Memory => Database::in_memory().await?,
            StorePlace::Folder(folder) => {
                std::fs::create_dir_all(folder).map_err(sqlx::Error::Io)?;
                Database::of_file(&folder.join(FILE)).await?
            }
            StorePlace::Postgres(url) => Database::of_url(url).await?,
        };
        database.set_up(TABLES).await?;
        Ok(Self { database, claim: None })
    }

    /// As a server, which alone runs the jobs of the store.
    pub async fn open_as_server(place: &StorePlace) -> Result<Self> {
        let mut store = Self::open(place).await?;
        if let Database::Postgres(pool) = &store.database {
            store.claim = Some(Claim::new(pool).await?);
        }
        Ok(store)
    }

    /// Sees that the store is still this server's.
    pub async fn renew_claim(&self) -> Result<()> {
        match &self.claim {
            Some(claim) => claim.renew().await,
            None => Ok(()),
        }
    }

    /// A secret of that name, made at the first call.
    pub async fn secret(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>> {
        let sql = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        self.database.run(sql, &[name.into(), fresh.into()]).await?;
        let row = self.database.row("SELECT value FROM secrets WHERE name = $1", &[name.into()]).await?;
        row.ok_or(sqlx::Error::RowNotFound)?.bytes(0)
    }

    pub async fn add_token(&self, token: &TokenRow) -> Result<()> {
        let sql = "INSERT INTO tokens (id, \"user\", hash, scopes, paths, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        let paths = serde_json::to_string(&token.paths)?;
        let values: [Value; 6] = [
            (&token.id).into(),
            (&token.user).into(),
            token.hash.as_slice().into(),
            (&token.scopes).into(),
            (&paths).into(),
            token.created_at.into(),
        ];
        self.database.run(sql, &values).await.map(drop)
    }

    /// Whether there was such a token that was not revoked yet.
    pub async fn revoke_token(&self, id: &str) -> Result<bool> {
        let sql = "UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
        Ok(self.database.run(sql, &[now_ms().into(), id.into()]).await? > 0)
    }

    /// All tokens, revoked ones too, oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        let sql =
            "SELECT id, \"user\", hash, scopes, paths, created_at, revoked_at FROM tokens ORDER BY created_at, id";
        let token = |row: Row| -> Result<TokenRow> {
            Ok(TokenRow {
                id: row.text(0)?,
                user: row.text(1)?,
                hash: row.bytes(2)?,
                scopes: row.text(3)?,
                // No paths would mean everywhere.
                paths: serde_json::from_str(&row.text(4)?)?,
                created_at: row.integer(5)?,
                revoked_at: row.optional_integer(6)?,
            })
        };
        self.database.rows(sql, &[]).await?.into_iter().map(token).collect()
    }

    /// Adds a job, unless the user has one of its key: then that one is answered.
    pub async fn add_job(&self, job: &JobRecord) -> Result<Option<JobRecord>> {
        let sql = "INSERT INTO jobs (id, \"user\", kind, state, created_at, ended_at, idempotency_key, document) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
        let values: [Value; 8] = [
            (&job.id).into(),
            (&job.user).into(),
            (&job.kind).into(),
            job.state.name().into(),
            job.created_at.into(),
            job.ended_at.into(),
            (&job.idempotency_key).into(),
            (&serde_json::to_string(job)?).into(),
        ];
        // The job that was in the way may be gone when it is looked for.
        while self.database.run(sql, &values).await? == 0 {
            let Some(key) = &job.idempotency_key else { return Err(sqlx::Error::RowNotFound.into()) };
            if let Some(existing) = self.job_of_key(&job.user, key).await? {
                return Ok(Some(existing));
            }
        }
        for tag in job.tags.iter().filter(|tag| is_storable(tag)) {
            let sql = "INSERT INTO job_tags (job, tag) VALUES ($1, $2) ON CONFLICT DO NOTHING";
            self.database.run(sql, &[(&job.id).into(), tag.into()]).await?;
        }
        Ok(None)
    }

    pub async fn update_job(&self, job: &JobRecord) -> Result<()> {
        let sql = "UPDATE jobs SET state = $1, ended_at = $2, document = $3 WHERE id = $4";
        let document = serde_json::to_string(job)?;
        let values: [Value; 4] = [job.state.name().into(), job.ended_at.into(), (&document).into(), (&job.id).into()];
        self.database.run(sql, &values).await.map(drop)
    }

    pub async fn job(&self, id: &str) -> Result<Option<JobRecord>> {
        if !is_storable(id) {
            return Ok(None);
        }
        let row = self.database.row("SELECT document FROM jobs WHERE id = $1", &[id.into()]).await?;
        row.map(record).transpose()
    }

    pub async fn remove_job(&self, id: &str) -> Result<()> {
        self.database.run("DELETE FROM job_tags WHERE job = $1", &[id.into()]).await?;
        self.database.run("DELETE FROM jobs WHERE id = $1", &[id.into()]).await.map(drop)
    }

    pub async fn job_of_key(&self, user: &str, key: &str) -> Result<Option<JobRecord>> {
        let sql = "SELECT document FROM jobs WHERE \"user\" = $1 AND idempotency_key = $2";
        self.database.row(sql, &[user.into(), key.into()]).await?.map(record).transpose()
    }

    /// Newest first.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<JobRecord>> {
        let mut values: Vec<Value> = vec![];
        let mut place = |value: Value| {
            values.push(value);
            format!("${}", values.len())
        };
        let mut sql = String::from("SELECT document FROM jobs WHERE 1 = 1");
        for (condition, text) in [
            ("\"user\" = {}", &filter.user),
            ("kind = {}", &filter.kind),
            ("state = {}", &filter.state),
            ("id IN (SELECT job FROM job_tags WHERE tag = {})", &filter.tag),
        ] {
            let Some(text) = text else { continue };
            if !is_storable(text) {
                return Ok(vec![]);
            }
            sql += &format!(" AND {}", condition.replace("{}", &place(text.into())));
        }
        if let Some((time, id)) = &filter.before {
            sql += &format!(" AND (created_at, id) < ({}, {})", place((*time).into()), place(id.into()));
        }
        sql += &format!(" ORDER BY created_at DESC, id DESC LIMIT {}", place(i64::from(filter.limit).into()));
        self.database.rows(&sql, &values).await?.into_iter().map(record).collect()
    }

    /// Jobs that an earlier process did not end.
    pub async fn unfinished(&self) -> Result<Vec<JobRecord>> {
        let sql = "SELECT document FROM jobs WHERE state IN ('queued', 'running') ORDER BY created_at";
        self.database.rows(sql, &[]).await?.into_iter().map(record).collect()
    }

    pub async fn remove_jobs_ended_before(&self, time: i64) -> Result<()> {
        self.database.run("DELETE FROM jobs WHERE ended_at IS NOT NULL AND ended_at < $1", &[time.into()]).await?;
        let sql = "DELETE FROM job_tags WHERE job NOT IN (SELECT id FROM jobs)";
        self.database.run(sql, &[]).await.map(drop)
    }
}

fn record(row: Row) -> Result<JobRecord> {
    Ok(serde_json::from_str(&row.text(0)?)?)
}

/// PostgreSQL keeps no text with a NUL; inside a document it is escaped.
fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}

/// Marks a job that an earlier process did not end.
pub fn interrupted(mut job: JobRecord) -> JobRecord {
    job.state = JobState::Interrupted;
    job.ended_at = Some(now_ms());
    let detail = "The server stopped while the job was queued or running.";
    job.error = Some(Problem { retryable: true, ..Problem::new(503, "JOB_INTERRUPTED", detail) });
    job
}
