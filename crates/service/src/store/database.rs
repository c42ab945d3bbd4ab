//! The two databases that a store may be, for SQL that both understand: `$1`, `ON CONFLICT`, quoted names.
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use firesteel_catalog::PostgresCertificates;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Postgres, Row as _, Sqlite};

use super::{Result, StoreError};

const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
const SQLITE_CONNECTIONS_MAX: u32 = 4;
const POSTGRES_CONNECTIONS_MAX: u32 = 8;
/// For a connection to be free, or made.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);
/// The tables' place in a PostgreSQL database, which may have others.
const SCHEMA: &str = "firesteel_service";
/// Ours among the locks of the database: "fist" in ASCII
const SET_UP_LOCK: i64 = 0x6669_7374;

#[derive(Debug, Clone)]
pub enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A value of a statement.
#[derive(Debug, Clone)]
pub enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Bytes(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_string()))
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}
impl From<&Option<String>> for Value {
    fn from(text: &Option<String>) -> Self {
        Self::Text(text.clone())
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}
impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}
impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

/// A row of an answer.
pub enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

macro_rules! getters {
    ($($name:ident -> $type:ty;)*) => {
        impl Row {
            $(pub fn $name(&self, column: usize) -> Result<$type> {
                Ok(match self {
                    Self::Sqlite(row) => row.try_get(column)?,
                    Self::Postgres(row) => row.try_get(column)?,
                })
            })*
        }
    };
}

getters! {
    text -> String;
    integer -> i64;
    optional_integer -> Option<i64>;
    bytes -> Vec<u8>;
}

/// The files that an address names, by each of the driver's spellings.
const ROOT: &[&str] = &["sslrootcert", "ssl-root-cert", "ssl-ca"];
const CERTIFICATE: &[&str] = &["sslcert", "ssl-cert"];
const KEY: &[&str] = &["sslkey", "ssl-key"];

fn with_certificates(options: PgConnectOptions, url: &str) -> Result<PgConnectOptions> {
    let Ok(url) = url::Url::parse(url) else { return Ok(options) };
    let named = |keys: &[&str]| {
        url.query_pairs().filter(|(key, _)| keys.contains(&&**key)).map(|(_, file)| file.into_owned()).last()
    };
    let (root, mut certificate, mut key) = (named(ROOT), named(CERTIFICATE), named(KEY));
    // The driver takes both from the environment; of one that the address names, the other may be there.
    if certificate.is_some() != key.is_some() {
        certificate = certificate.or_else(|| std::env::var("PGSSLCERT").ok());
        key = key.or_else(|| std::env::var("PGSSLKEY").ok());
    }
    let (root, certificate, key) = (root.as_deref(), certificate.as_deref(), key.as_deref());
    PostgresCertificates { root, certificate, key }.apply(options).map_err(StoreError::Address)
}

/// A statement of one of the databases with its values.
macro_rules! bound {
    ($database:ty, $sql:expr, $values:expr) => {{
        let mut query = sqlx::query::<$database>(AssertSqlSafe($sql.to_string()));
        for value in $values {
            query = match value {
                Value::Text(text) => query.bind(text.clone()),
                Value::Integer(number) => query.bind(*number),
                Value::Bytes(bytes) => query.bind(bytes.clone()),
            };
        }
        query
    }};
}

impl Database {
    /// A file, made where there is none.
    pub async fn of_file(file: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(SQLITE_CONNECTIONS_MAX);
        Ok(Self::Sqlite(pool.connect_with(options).await?))
    }

    /// One connection that never closes: what is in memory lives as long as its connection.
    pub async fn in_memory() -> Result<Self> {
        let options = SqliteConnectOptions::from_str("sqlite::memory:")?;
        let pool = SqlitePoolOptions::new().max_connections(1).min_connections(1);
        Ok(Self::Sqlite(pool.idle_timeout(None).max_lifetime(None).connect_with(options).await?))
    }

    /// A database of PostgreSQL, in which the tables get a schema of their own.
    pub async fn of_url(url: &str) -> Result<Self> {
        let options = with_certificates(PgConnectOptions::from_str(url)?, url)?.application_name("firesteel");
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move {
                    let place = format!("SET search_path TO {SCHEMA}");
                    sqlx::query(AssertSqlSafe(place)).execute(connection).await.map(drop)
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self::Postgres(pool))
    }

    /// Makes the tables that are not there yet; `{bytes}` in a statement is the database's own word for bytes.
    pub async fn set_up(&self, tables: &[&'static str]) -> Result<()> {
        match self {
            Self::Sqlite(pool) => {
                for table in tables {
                    sqlx::query(AssertSqlSafe(table.replace("{bytes}", "BLOB"))).execute(pool).await?;
                }
            }
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                // Two who make the same table at once get in each other's way.
                sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(SET_UP_LOCK).execute(&mut *transaction).await?;
                let known = sqlx::query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(SCHEMA);
                // Who may not make a schema may still use the one that is there.
                if known.fetch_optional(&mut *transaction).await?.is_none() {
                    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {SCHEMA}"))).execute(&mut *transaction).await?;
                }
                for table in tables {
                    let table = AssertSqlSafe(table.replace("{bytes}", "BYTEA"));
                    sqlx::query(table).execute(&mut *transaction).await?;
                }
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Runs a statement and answers how many rows it has changed.
    pub async fn run(&self, sql: &str, values: &[Value]) -> Result<u64> {
        Ok(match self {
            Self::Sqlite(pool) => bound!(Sqlite, sql, values).execute(pool).await?.rows_affected(),
            Self::Postgres(pool) => bound!(Postgres, sql, values).execute(pool).await?.rows_affected(),
        })
    }

    pub async fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite(pool) => {
                let rows = bound!(Sqlite, sql, values).fetch_all(pool).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(pool) => {
                let rows = bound!(Postgres, sql, values).fetch_all(pool).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub async fn row(&self, sql: &str, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }
}
