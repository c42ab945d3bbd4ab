//! The databases that an Iceberg SQL catalog may be in: an SQLite file, PostgreSQL. Both understand the same statements, and
//! every value is a text.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use firesteel_plan::{JavaException, Result, SparkError};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, PgConnection, Row, SqliteConnection};

use crate::postgres_tls::PostgresCertificates;

const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const POSTGRES: &str = "jdbc:postgresql:";
const POSTGRES_PORT: u16 = 5432;
/// Settings of the JDBC driver that make no difference here
const WITHOUT_EFFECT: &[&str] = &["schema-version", "strict-mode", "init-catalog-tables", "ApplicationName"];

/// Where a catalog's database is.
#[derive(Clone)]
pub enum IcebergSqlDatabase {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// It may hold a password.
impl std::fmt::Debug for IcebergSqlDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Postgres(_) => "Postgres",
        })
    }
}

pub(super) fn failed(error: sqlx::Error) -> SparkError {
    SparkError::internal(format!("the Iceberg catalog failed: {error}")).with_cause(error)
}

fn illegal(message: String) -> SparkError {
    SparkError::java(JavaException::IllegalArgument, message)
}

impl IcebergSqlDatabase {
    /// `jdbc:postgresql://host:port/database?…`, with the driver's `settings`. `None`: the address of another database.
    pub fn postgres(uri: &str, settings: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let Some(rest) = uri.strip_prefix(POSTGRES) else { return Ok(None) };
        let wrong = || illegal(format!("{} is no address of PostgreSQL", uri.split('?').next().unwrap_or(uri)));
        // jdbc:postgresql:database is one of this machine.
        let address = if rest.starts_with("//") { rest.to_string() } else { format!("//localhost/{rest}") };
        let url = url::Url::parse(&format!("postgresql:{address}")).map_err(|_| wrong())?;
        let text = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
        let mut all: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        all.extend(settings.clone());
        let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("localhost");
        let given = (!url.username().is_empty()).then(|| text(url.username()));
        let user = all.remove("user").or(given).ok_or_else(|| illegal("the user of PostgreSQL is not set".into()))?;
        let password = all.remove("password").or(url.password().map(text)).unwrap_or_default();
        // The driver's default is the user's own database.
        let database = Some(url.path().trim_start_matches('/')).filter(|name| !name.is_empty());
        let database = database.map_or_else(|| user.clone(), text);
        // All that the environment of the server could say instead is said.
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(host.trim_matches(['[', ']']))
            .port(url.port().unwrap_or(POSTGRES_PORT))
            .username(&user)
            .password(&password)
            .database(&database)
            .ssl_mode(PgSslMode::Prefer);
        let mut files = PostgresCertificates::default();
        for (key, value) in &all {
            options = match key.as_str() {
                "currentSchema" => options.options([("search_path", value)]),
                "ssl" | "useSSL" => options.ssl_mode(flag(key, value, PgSslMode::VerifyFull)?),
                "sslrootcert" | "sslcert" | "sslkey" => {
                    match key.as_str() {
                        "sslrootcert" => files.root = Some(value),
                        "sslcert" => files.certificate = Some(value),
                        _ => files.key = Some(value),
                    }
                    options
                }
                "sslmode" => options.ssl_mode(value.parse().map_err(|_| illegal(format!("{value} is no sslmode")))?),
                key if WITHOUT_EFFECT.contains(&key) => options,
                key => return Err(SparkError::unsupported(format!("the setting {key} of PostgreSQL's JDBC driver"))),
            };
        }
        let options = files.apply(options).map_err(illegal)?;
        Ok(Some(Self::Postgres(Box::new(options))))
    }

    pub(super) async fn connect(&self) -> Result<Connection> {
        match self {
            Self::Sqlite(file) => {
                let options =
                    SqliteConnectOptions::new().filename(file).create_if_missing(true).busy_timeout(BUSY_TIMEOUT);
                options.connect().await.map(Connection::Sqlite).map_err(failed)
            }
            Self::Postgres(options) => match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
                Ok(connected) => connected.map(Connection::Postgres).map_err(failed),
                Err(_) => Err(SparkError::internal("the database of the Iceberg catalog does not answer")),
            },
        }
    }
}

fn flag(key: &str, value: &str, yes: PgSslMode) -> Result<PgSslMode> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "" => Ok(yes),
        "false" => Ok(PgSslMode::Prefer),
        _ => Err(illegal(format!("{key} must be true or false, not {value}"))),
    }
}

/// An open connection.
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// The same of both databases.
macro_rules! on {
    ($connection:expr, $open:ident => $work:expr) => {
        match $connection {
            Connection::Sqlite($open) => $work,
            Connection::Postgres($open) => $work,
        }
    };
}

impl Connection {
    /// Runs a statement, whose values are `$1` and so on, and answers how many rows it has changed.
    pub(super) async fn execute(&mut self, sql: &str, values: &[Option<&str>]) -> Result<u64, sqlx::Error> {
        on!(self, open => {
            let mut query = sqlx::query(AssertSqlSafe(sql.to_string()));
            for value in values {
                query = query.bind(value.map(str::to_string));
            }
            query.execute(open).await.map(|done| done.rows_affected())
        })
    }

    /// The rows that a query answers.
    pub(super) async fn rows(&mut self, sql: &str, values: &[&str]) -> Result<Vec<Vec<Option<String>>>> {
        on!(self, open => {
            let mut query = sqlx::query(AssertSqlSafe(sql.to_string()));
            for value in values {
                query = query.bind((*value).to_string());
            }
            let rows = query.fetch_all(open).await.map_err(failed)?;
            rows.iter().map(|row| (0..row.len()).map(|index| row.try_get(index).map_err(failed)).collect()).collect()
        })
    }

    /// Whether a table of the catalog has a column.
    pub(super) async fn has_column(&mut self, table: &str, column: &str) -> Result<bool> {
        let sql = match self {
            Self::Sqlite(_) => "SELECT name FROM pragma_table_info($1) WHERE name = $2",
            Self::Postgres(_) => {
                "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped"
            }
        };
        Ok(!self.rows(sql, &[table, column]).await?.is_empty())
    }

    pub(super) async fn close(self) -> Result<()> {
        on!(self, open => open.close().await.map_err(failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(uri: &str, settings: &[(&str, &str)]) -> Result<PgConnectOptions> {
        let settings = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        match IcebergSqlDatabase::postgres(uri, &settings)? {
            Some(IcebergSqlDatabase::Postgres(options)) => Ok(*options),
            _ => Err(SparkError::internal("none of PostgreSQL")),
        }
    }

    #[test]
    fn addresses_of_postgresql() {
        let found =
            options("jdbc:postgresql://db.local:6000/books?user=a&sslmode=disable", &[("password", "p")]).unwrap();
        assert_eq!((found.get_host(), found.get_port()), ("db.local", 6000));
        assert_eq!((found.get_database(), found.get_username()), (Some("books"), "a"));
        let found = options("jdbc:postgresql://[::1]/", &[("user", "me"), ("schema-version", "V1")]).unwrap();
        assert_eq!((found.get_host(), found.get_port(), found.get_database()), ("::1", 5432, Some("me")));
        assert_eq!(options("jdbc:postgresql:books", &[("user", "me")]).unwrap().get_host(), "localhost");
        let mode = |query: &str| options(&format!("jdbc:postgresql://h/x?user=a&{query}"), &[]).unwrap().get_ssl_mode();
        assert!(matches!(mode("ssl=true"), PgSslMode::VerifyFull) && matches!(mode("ssl=false"), PgSslMode::Prefer));
        assert!(matches!(mode("ssl=true&sslmode=require"), PgSslMode::Require));
        assert!(options("jdbc:postgresql://h/x?user=a&sslrootcert=/no/such/file", &[]).is_err());
        assert!(options("jdbc:postgresql://h/x?user=a&sslcert=/no/such/file", &[("sslkey", "/none")]).is_err());
        assert!(options("jdbc:postgresql://host:port/x", &[]).is_err());
        assert!(options("jdbc:postgresql://h/x", &[]).is_err());
        assert!(options("jdbc:postgresql://h/x?user=a&targetServerType=primary", &[]).is_err());
        assert!(IcebergSqlDatabase::postgres("jdbc:mysql://h/x", &BTreeMap::new()).unwrap().is_none());
        let shown = format!(
            "{:?}",
            IcebergSqlDatabase::postgres("jdbc:postgresql://h/x?user=a&password=tell-nobody", &BTreeMap::new())
        );
        assert!(!shown.contains("tell-nobody"), "{shown}");
    }
}
