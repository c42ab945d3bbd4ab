//! DataFrames that are written to Iceberg tables.
use std::collections::BTreeMap;

use firesteel_analyze::{AnalyzedPlan, declared_schema};
use firesteel_lake::iceberg::{IcebergTable, Removed, TableHome, is_iceberg};
use firesteel_plan::command::{SaveMode, Write, WriteV2, WriteV2Mode};
use firesteel_plan::relation::Options;
use firesteel_plan::{Expr, Result, SparkError};
use firesteel_storage::Location;

use super::create::{self, make};
use super::{find, into_table, place, written_partitions};
use crate::commands::Statement;
use crate::commands::write::{Observed, store_assign};

/// `df.write.format("iceberg").save(path)`
pub async fn save(
    st: &Statement,
    path: &str,
    rows: AnalyzedPlan,
    mode: SaveMode,
    partition_by: &[String],
    options: &Options,
) -> Result<Observed> {
    let name = match path.contains('/') {
        true => vec!["iceberg".to_string(), Location::parse(path)?.to_string()],
        false => firesteel_plan::parse_multipart_identifier(path)?,
    };
    match (find(st, &name).await?, mode) {
        (Some(_), SaveMode::Ignore) => Ok(vec![]),
        (Some(found), SaveMode::ErrorIfExists) => Err(firesteel_catalog::errors::table_already_exists(&found.table.id)),
        (Some(found), mode) => {
            let removed = if mode == SaveMode::Overwrite { Removed::Everything } else { Removed::Nothing };
            let targets = found.table.schema.fields.to_vec();
            let stored = store_assign(st, &found.table, &rows, &targets, true)?;
            into_table(st, &found, &stored, removed, options).await
        }
        (None, SaveMode::Append | SaveMode::Overwrite) => Err(st.table_not_found(&name)),
        (None, _) => {
            let (_, home) = place(st, &name)?.ok_or_else(|| st.table_not_found(&name))?;
            make_of(st, &home, &rows, partition_by, false).await
        }
    }
}

async fn make_of(
    st: &Statement,
    home: &TableHome,
    rows: &AnalyzedPlan,
    partition_by: &[String],
    replaces: bool,
) -> Result<Observed> {
    let columns: Vec<Expr> = partition_by.iter().map(Expr::name).collect();
    make(st, home, &declared_schema(&rows.schema), &columns, &BTreeMap::new(), Some(rows), replaces).await
}

/// `df.write.saveAsTable` of a table of Iceberg's catalogs. `None`: the name is none of those.
pub async fn save_in_catalog(st: &Statement, name: &[String], write: &Write) -> Result<Option<Observed>> {
    let Some((name, home)) = st.context.iceberg_home(name)? else { return Ok(None) };
    if write.source.as_deref().is_some_and(|source| !is_iceberg(source)) {
        return Err(SparkError::unsupported("tables of other formats in an Iceberg catalog"));
    }
    if write.bucket_by.is_some() || !write.sort_columns.is_empty() {
        return Err(SparkError::unsupported("bucketBy and sortBy of tables of Iceberg's catalogs"));
    }
    let exists = IcebergTable::find_home(&home, &st.context.storage()).await?.is_some();
    match (exists, write.mode) {
        (true, SaveMode::Ignore) => return Ok(Some(vec![])),
        (true, SaveMode::ErrorIfExists) => return Err(create::exists(&name)),
        _ => {}
    }
    let rows = st.analyze(&write.input).await?;
    if let (Some(found), SaveMode::Append) = (find(st, &name).await?, write.mode) {
        let stored = store_assign(st, &found.table, &rows, &found.table.schema.fields, true)?;
        return into_table(st, &found, &stored, Removed::Nothing, &write.options).await.map(Some);
    }
    make_of(st, &home, &rows, &write.partition_columns, exists).await.map(Some)
}

/// `df.write.insertInto` of a table that is there: columns by their places. `None`: it is none of Iceberg's.
pub async fn insert_into(st: &Statement, name: &[String], write: &Write) -> Result<Option<Observed>> {
    let Some(found) = find(st, name).await? else { return Ok(None) };
    let rows = st.analyze(&write.input).await?;
    let stored = store_assign(st, &found.table, &rows, &found.table.schema.fields, false)?;
    let removed = if write.mode == SaveMode::Overwrite { Removed::Everything } else { Removed::Nothing };
    into_table(st, &found, &stored, removed, &write.options).await.map(Some)
}

/// `df.writeTo` a table that is there; `None` where it is none of Iceberg's, or is to be made.
pub async fn write_v2(st: &Statement, parts: &[String], write: &WriteV2) -> Result<Option<Observed>> {
    let is_creation = matches!(write.mode, WriteV2Mode::Create | WriteV2Mode::Replace | WriteV2Mode::CreateOrReplace);
    if is_creation {
        let Some((_, home)) = place(st, parts)? else { return Ok(None) };
        let exists = IcebergTable::find_home(&home, &st.context.storage()).await?.is_some();
        match (&write.mode, exists) {
            (WriteV2Mode::Replace, false) => return Err(st.table_not_found(parts)),
            (WriteV2Mode::Create, true) => return Err(create::exists(parts)),
            _ => {}
        }
        let rows = st.analyze(&write.input).await?;
        let schema = declared_schema(&rows.schema);
        let replaces = write.mode != WriteV2Mode::Create;
        let made = make(st, &home, &schema, &write.partition_by, &write.table_properties, Some(&rows), replaces);
        return made.await.map(Some);
    }
    let Some(found) = find(st, parts).await? else { return Ok(None) };
    let removed = match &write.mode {
        WriteV2Mode::Append => Removed::Nothing,
        WriteV2Mode::OverwritePartitions => written_partitions(&found)?,
        WriteV2Mode::Overwrite(condition) if crate::commands::write_v2::is_always_true(condition) => {
            Removed::Everything
        }
        _ => {
            return Err(crate::commands::insert::unsupported_operation(
                &found.table.id,
                "overwrite by filter in batch mode",
            ));
        }
    };
    let rows = st.analyze(&write.input).await?;
    let stored = store_assign(st, &found.table, &rows, &found.table.schema.fields, true)?;
    into_table(st, &found, &stored, removed, &write.options).await.map(Some)
}
