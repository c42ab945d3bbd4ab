//! Catalogued partitions in SQLite. The key of a row is the specification as JSON, in the table's column order.
use firesteel_plan::{Result, SparkError};
use sqlx::SqliteConnection;

use super::{store_error, tables};
use crate::errors;
use crate::json::{decode, encode};
use crate::types::{Partition, PartitionSpec, Table, TableId};

/// The specification in partitioning order, with the table's spelling of the columns; every column must be given.
fn ordered(table: &Table, spec: &PartitionSpec) -> Result<PartitionSpec> {
    let partial = normalized(table, spec)?;
    if partial.len() == table.partition_columns.len() {
        return Ok(partial);
    }
    Err(SparkError::new(
        "_LEGACY_ERROR_TEMP_1232",
        [(
            "message",
            format!(
                "a partition of {} needs a value for each of: {}",
                table.id.name,
                table.partition_columns.join(", ")
            ),
        )],
    ))
}

/// A partial specification in partitioning order. A name that is no partition column is an error.
fn normalized(table: &Table, spec: &PartitionSpec) -> Result<PartitionSpec> {
    let known = |name: &String| table.partition_columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    if let Some((name, _)) = spec.iter().find(|(name, _)| !known(name)) {
        return Err(SparkError::new(
            "PARTITIONS_NOT_FOUND",
            [("partitionList", firesteel_plan::quote_identifier(name)), ("tableName", table.id.name.clone())],
        ));
    }
    let value = |column: &String| {
        let given = spec.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
        given.map(|(_, value)| (column.clone(), value.clone()))
    };
    Ok(table.partition_columns.iter().filter_map(value).collect())
}

async fn find(connection: &mut SqliteConnection, table_id: i64, key: &str) -> Result<Option<Partition>> {
    let text: Option<String> = sqlx::query_scalar("SELECT definition FROM partitions WHERE table_id = ? AND spec = ?")
        .bind(table_id)
        .bind(key)
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    text.as_deref().map(decode).transpose()
}

async fn put(connection: &mut SqliteConnection, table_id: i64, partition: &Partition) -> Result<()> {
    sqlx::query("INSERT OR REPLACE INTO partitions (table_id, spec, definition) VALUES (?, ?, ?)")
        .bind(table_id)
        .bind(encode(&partition.spec)?)
        .bind(encode(partition)?)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

async fn remove(connection: &mut SqliteConnection, table_id: i64, key: &str) -> Result<()> {
    sqlx::query("DELETE FROM partitions WHERE table_id = ? AND spec = ?")
        .bind(table_id)
        .bind(key)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

pub(super) async fn create(
    connection: &mut SqliteConnection,
    id: &TableId,
    partitions: Vec<Partition>,
    if_not_exists: bool,
) -> Result<()> {
    let (table_id, table) = tables::expect(connection, id).await?;
    let mut existing = vec![];
    for mut partition in partitions {
        partition.spec = ordered(&table, &partition.spec)?;
        if find(connection, table_id, &encode(&partition.spec)?).await?.is_some() {
            existing.push(partition.spec);
        } else {
            put(connection, table_id, &partition).await?;
        }
    }
    if existing.is_empty() || if_not_exists {
        Ok(())
    } else {
        Err(errors::partitions_already_exist(&table.id, &existing))
    }
}

pub(super) async fn get(
    connection: &mut SqliteConnection,
    id: &TableId,
    spec: &PartitionSpec,
) -> Result<Option<Partition>> {
    let (table_id, table) = tables::expect(connection, id).await?;
    find(connection, table_id, &encode(&ordered(&table, spec)?)?).await
}

pub(super) async fn alter(connection: &mut SqliteConnection, id: &TableId, partitions: Vec<Partition>) -> Result<()> {
    let (table_id, table) = tables::expect(connection, id).await?;
    for mut partition in partitions {
        partition.spec = ordered(&table, &partition.spec)?;
        if find(connection, table_id, &encode(&partition.spec)?).await?.is_none() {
            return Err(errors::partitions_not_found(&table.id, &[partition.spec]));
        }
        put(connection, table_id, &partition).await?;
    }
    Ok(())
}

pub(super) async fn rename(
    connection: &mut SqliteConnection,
    id: &TableId,
    renames: Vec<(PartitionSpec, PartitionSpec)>,
) -> Result<()> {
    let (table_id, table) = tables::expect(connection, id).await?;
    for (from, to) in renames {
        let (from, to) = (ordered(&table, &from)?, ordered(&table, &to)?);
        let key = encode(&from)?;
        let Some(mut partition) = find(connection, table_id, &key).await? else {
            return Err(errors::partitions_not_found(&table.id, &[from]));
        };
        if find(connection, table_id, &encode(&to)?).await?.is_some() {
            return Err(errors::partitions_already_exist(&table.id, &[to]));
        }
        remove(connection, table_id, &key).await?;
        partition.spec = to;
        put(connection, table_id, &partition).await?;
    }
    Ok(())
}

pub(super) async fn drop(
    connection: &mut SqliteConnection,
    id: &TableId,
    specs: Vec<PartitionSpec>,
    if_exists: bool,
) -> Result<Vec<Partition>> {
    let (table_id, table) = tables::expect(connection, id).await?;
    let mut dropped = vec![];
    let mut missing = vec![];
    for spec in specs {
        let spec = ordered(&table, &spec)?;
        let key = encode(&spec)?;
        match find(connection, table_id, &key).await? {
            Some(partition) => {
                remove(connection, table_id, &key).await?;
                dropped.push(partition);
            }
            None => missing.push(spec),
        }
    }
    if missing.is_empty() || if_exists { Ok(dropped) } else { Err(errors::partitions_not_found(&table.id, &missing)) }
}

pub(super) async fn list(
    connection: &mut SqliteConnection,
    id: &TableId,
    partial: &PartitionSpec,
) -> Result<Vec<Partition>> {
    let (table_id, table) = tables::expect(connection, id).await?;
    let wanted = normalized(&table, partial)?;
    let rows: Vec<String> = sqlx::query_scalar("SELECT definition FROM partitions WHERE table_id = ? ORDER BY spec")
        .bind(table_id)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let mut found = vec![];
    for text in rows {
        let partition: Partition = decode(&text)?;
        if wanted.iter().all(|entry| partition.spec.contains(entry)) {
            found.push(partition);
        }
    }
    Ok(found)
}
