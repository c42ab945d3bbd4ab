//! Persistent functions in SQLite.
use firesteel_plan::Result;
use sqlx::SqliteConnection;

use super::{database_id, store_error};
use crate::json::{decode, encode};
use crate::types::Function;
use crate::{errors, matches_pattern};

pub(super) async fn get(connection: &mut SqliteConnection, database: &str, name: &str) -> Result<Option<Function>> {
    let text: Option<String> = sqlx::query_scalar(
        "SELECT f.definition FROM functions f JOIN databases d ON d.id = f.database_id WHERE d.name = ? AND f.name = ?",
    )
    .bind(database.to_lowercase())
    .bind(name.to_lowercase())
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    text.as_deref().map(decode).transpose()
}

pub(super) async fn create(
    connection: &mut SqliteConnection,
    mut function: Function,
    if_not_exists: bool,
) -> Result<()> {
    function.database = function.database.to_lowercase();
    function.name = function.name.to_lowercase();
    let database_id = database_id(connection, &function.database).await?;
    if get(connection, &function.database, &function.name).await?.is_some() {
        let exists = errors::routine_already_exists(&function.database, &function.name);
        return if if_not_exists { Ok(()) } else { Err(exists) };
    }
    sqlx::query("INSERT INTO functions (database_id, name, definition) VALUES (?, ?, ?)")
        .bind(database_id)
        .bind(&function.name)
        .bind(encode(&function)?)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

pub(super) async fn drop(
    connection: &mut SqliteConnection,
    database: &str,
    name: &str,
    if_exists: bool,
) -> Result<Option<Function>> {
    let Some(function) = get(connection, database, name).await? else {
        let missing = errors::routine_not_found(&database.to_lowercase(), &name.to_lowercase());
        return if if_exists { Ok(None) } else { Err(missing) };
    };
    sqlx::query("DELETE FROM functions WHERE name = ? AND database_id = (SELECT id FROM databases WHERE name = ?)")
        .bind(&function.name)
        .bind(&function.database)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(Some(function))
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    database: &str,
    pattern: Option<&str>,
) -> Result<Vec<Function>> {
    let database_id = database_id(connection, database).await?;
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT name, definition FROM functions WHERE database_id = ? ORDER BY name")
            .bind(database_id)
            .fetch_all(connection)
            .await
            .map_err(store_error)?;
    let matching = rows.into_iter().filter(|(name, _)| pattern.is_none_or(|p| matches_pattern(p, name)));
    matching.map(|(_, text)| decode(&text)).collect()
}
