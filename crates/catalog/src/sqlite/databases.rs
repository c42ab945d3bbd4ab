//! Databases in SQLite.
use firesteel_plan::Result;
use sqlx::SqliteConnection;

use super::{store_error, tables};
use crate::json::{decode, encode};
use crate::types::{Database, Table};
use crate::{DEFAULT_DATABASE, errors};

pub(super) async fn id(connection: &mut SqliteConnection, name: &str) -> Result<Option<i64>> {
    sqlx::query_scalar("SELECT id FROM databases WHERE name = ?")
        .bind(name.to_lowercase())
        .fetch_optional(connection)
        .await
        .map_err(store_error)
}

pub(super) async fn get(connection: &mut SqliteConnection, name: &str) -> Result<Option<Database>> {
    let text: Option<String> = sqlx::query_scalar("SELECT definition FROM databases WHERE name = ?")
        .bind(name.to_lowercase())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    text.as_deref().map(decode).transpose()
}

pub(super) async fn insert(connection: &mut SqliteConnection, database: &Database) -> Result<()> {
    sqlx::query("INSERT INTO databases (name, definition) VALUES (?, ?)")
        .bind(&database.name)
        .bind(encode(database)?)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

pub(super) async fn create(
    connection: &mut SqliteConnection,
    mut database: Database,
    if_not_exists: bool,
) -> Result<()> {
    database.name = database.name.to_lowercase();
    match id(connection, &database.name).await? {
        Some(_) if if_not_exists => Ok(()),
        Some(_) => Err(errors::schema_already_exists(&database.name)),
        None => insert(connection, &database).await,
    }
}

pub(super) async fn alter(connection: &mut SqliteConnection, mut database: Database) -> Result<()> {
    database.name = database.name.to_lowercase();
    let changed = sqlx::query("UPDATE databases SET definition = ? WHERE name = ?")
        .bind(encode(&database)?)
        .bind(&database.name)
        .execute(connection)
        .await
        .map_err(store_error)?;
    if changed.rows_affected() == 0 { Err(errors::schema_not_found(&database.name)) } else { Ok(()) }
}

pub(super) async fn drop(
    connection: &mut SqliteConnection,
    name: &str,
    if_exists: bool,
    cascade: bool,
) -> Result<Option<(Database, Vec<Table>)>> {
    if name.eq_ignore_ascii_case(DEFAULT_DATABASE) {
        return Err(errors::cannot_drop_default());
    }
    let Some(database) = get(connection, name).await? else {
        return if if_exists { Ok(None) } else { Err(errors::schema_not_found(name)) };
    };
    let tables = tables::list(connection, name, None).await?;
    let functions = super::functions::list(connection, name, None).await?;
    let is_empty = tables.is_empty() && functions.is_empty();
    if !cascade && !is_empty {
        return Err(errors::schema_not_empty(&database.name));
    }
    sqlx::query("DELETE FROM databases WHERE name = ?")
        .bind(&database.name)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(Some((database, tables)))
}

pub(super) async fn list(connection: &mut SqliteConnection) -> Result<Vec<String>> {
    sqlx::query_scalar("SELECT name FROM databases ORDER BY name").fetch_all(connection).await.map_err(store_error)
}
