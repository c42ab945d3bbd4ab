//! Tables and views in SQLite.
use firesteel_plan::Result;
use sqlx::SqliteConnection;

use super::{database_id, databases, store_error};
use crate::json::{decode, encode};
use crate::types::{Table, TableId};
use crate::{errors, matches_pattern};

/// The row id and definition of a table.
pub(super) async fn find(connection: &mut SqliteConnection, id: &TableId) -> Result<Option<(i64, Table)>> {
    let id = id.normalized();
    let row: Option<(i64, String)> = sqlx::query_as(
        "SELECT t.id, t.definition FROM tables t JOIN databases d ON d.id = t.database_id WHERE d.name = ? AND t.name = ?",
    )
    .bind(&id.database)
    .bind(&id.name)
    .fetch_optional(connection)
    .await
    .map_err(store_error)?;
    row.map(|(row_id, text)| Ok((row_id, decode(&text)?))).transpose()
}

pub(super) async fn get(connection: &mut SqliteConnection, id: &TableId) -> Result<Option<Table>> {
    Ok(find(connection, id).await?.map(|(_, table)| table))
}

/// As [`find`], or `TABLE_OR_VIEW_NOT_FOUND`.
pub(super) async fn expect(connection: &mut SqliteConnection, id: &TableId) -> Result<(i64, Table)> {
    find(connection, id).await?.ok_or_else(|| errors::table_not_found(&id.normalized()))
}

pub(super) async fn create(connection: &mut SqliteConnection, mut table: Table, if_not_exists: bool) -> Result<()> {
    table.id = table.id.normalized();
    let database_id = database_id(connection, &table.id.database).await?;
    if find(connection, &table.id).await?.is_some() {
        return if if_not_exists { Ok(()) } else { Err(errors::table_already_exists(&table.id)) };
    }
    sqlx::query("INSERT INTO tables (database_id, name, definition) VALUES (?, ?, ?)")
        .bind(database_id)
        .bind(&table.id.name)
        .bind(encode(&table)?)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

pub(super) async fn alter(connection: &mut SqliteConnection, mut table: Table) -> Result<()> {
    table.id = table.id.normalized();
    let (row_id, _) = expect(connection, &table.id).await?;
    sqlx::query("UPDATE tables SET definition = ? WHERE id = ?")
        .bind(encode(&table)?)
        .bind(row_id)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

pub(super) async fn rename(connection: &mut SqliteConnection, from: &TableId, to: &TableId) -> Result<()> {
    let to = to.normalized();
    let (row_id, mut table) = expect(connection, from).await?;
    let database_id = database_id(connection, &to.database).await?;
    if find(connection, &to).await?.is_some() {
        return Err(errors::table_already_exists(&to));
    }
    table.id = to;
    sqlx::query("UPDATE tables SET database_id = ?, name = ?, definition = ? WHERE id = ?")
        .bind(database_id)
        .bind(&table.id.name)
        .bind(encode(&table)?)
        .bind(row_id)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

pub(super) async fn drop(connection: &mut SqliteConnection, id: &TableId, if_exists: bool) -> Result<Option<Table>> {
    let Some((row_id, table)) = find(connection, id).await? else {
        return if if_exists { Ok(None) } else { Err(errors::table_not_found(&id.normalized())) };
    };
    sqlx::query("DELETE FROM tables WHERE id = ?").bind(row_id).execute(connection).await.map_err(store_error)?;
    Ok(Some(table))
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    database: &str,
    pattern: Option<&str>,
) -> Result<Vec<Table>> {
    let Some(database_id) = databases::id(connection, database).await? else {
        return Err(errors::schema_not_found(database));
    };
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT name, definition FROM tables WHERE database_id = ? ORDER BY name")
            .bind(database_id)
            .fetch_all(connection)
            .await
            .map_err(store_error)?;
    let matching = rows.into_iter().filter(|(name, _)| pattern.is_none_or(|p| matches_pattern(p, name)));
    matching.map(|(_, text)| decode(&text)).collect()
}
