//! The store's schema. A step is never changed once released; a new one is added at the end.
use firesteel_plan::{Result, SparkError};
use sqlx::SqliteConnection;

use super::store_error;

/// Each step takes the store from version `index` to `index + 1`. `PRAGMA user_version` holds the version, and is part
/// of the transaction.
const STEPS: &[&[&str]] = &[&[
    "CREATE TABLE databases (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        definition TEXT NOT NULL
    )",
    "CREATE TABLE tables (
        id INTEGER PRIMARY KEY,
        database_id INTEGER NOT NULL REFERENCES databases (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        definition TEXT NOT NULL,
        UNIQUE (database_id, name)
    )",
    "CREATE TABLE partitions (
        table_id INTEGER NOT NULL REFERENCES tables (id) ON DELETE CASCADE,
        spec TEXT NOT NULL,
        definition TEXT NOT NULL,
        PRIMARY KEY (table_id, spec)
    ) WITHOUT ROWID",
    "CREATE TABLE functions (
        id INTEGER PRIMARY KEY,
        database_id INTEGER NOT NULL REFERENCES databases (id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        definition TEXT NOT NULL,
        UNIQUE (database_id, name)
    )",
]];

/// `user_version` takes no bound parameter, and the statements must be static.
const SET_VERSION: &[&str] = &["PRAGMA user_version = 1"];

/// Brings the store to the newest version. A store made by a newer Firesteel is refused rather than damaged.
pub(super) async fn run(connection: &mut SqliteConnection) -> Result<()> {
    let version: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *connection).await.map_err(store_error)?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > STEPS.len() {
        return Err(SparkError::internal(format!(
            "the catalog store has version {version}; this program knows versions up to {}",
            STEPS.len()
        )));
    }
    for (step, set_version) in STEPS.iter().zip(SET_VERSION).skip(version) {
        for statement in step.iter().chain([set_version]) {
            sqlx::query(*statement).execute(&mut *connection).await.map_err(store_error)?;
        }
    }
    Ok(())
}
