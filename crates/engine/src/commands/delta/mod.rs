//! Statements on Delta tables.
//!
//! | file | statements |
//! |---|---|
//! | [`create`] | CREATE TABLE, CTAS, RTAS |
//! | [`write`] | `df.write`, INSERT |
//! | [`rows`] | what every written row must obey: types, NOT NULL, CHECK, generated columns |
//! | [`delete`], [`update`], [`merge`] | row-level changes, on [`rewrite`] |
//! | [`maintain`] | OPTIMIZE, VACUUM, RESTORE, CONVERT TO DELTA |
//! | [`describe`] | DESCRIBE HISTORY, DESCRIBE DETAIL |
//! | [`alter`] | ALTER TABLE |
use std::collections::BTreeMap;

use firesteel_catalog::{Table, TableId, TableKind};
use firesteel_lake::delta::{DeltaTable, TableMetadata, is_delta};
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::statement::{DeltaStatement, DeltaTarget};
use firesteel_plan::{DataType, Relation, RelationKind, Result, SparkError, TableName};
use firesteel_storage::Location;

use super::row_level::{Dialect, Target};
use super::{Answer, Statement};
use crate::delta::is_delta_table;
use crate::names::{Resolved, quote_id};
use crate::rows::{Cell, Rows};

pub mod alter;
mod columns;
pub mod create;
mod delete;
mod describe;
mod maintain;
mod merge;
mod rewrite;
mod rows;
mod update;
pub mod write;
mod zorder;

pub use delete::{delete, truncate};
pub use merge::merge;
pub use update::update;

/// A Delta table that a statement names.
#[derive(Clone)]
pub struct Found {
    /// `None`: named by its path
    pub table: Option<Table>,
    pub delta: DeltaTable,
    /// The ids of the DataFrames that the statement reaches the table by: the table itself, and its alias.
    pub plan_ids: (Option<i64>, Option<i64>),
}

impl Found {
    pub fn new(table: Option<Table>, delta: DeltaTable) -> Self {
        Self { table, delta, plan_ids: (None, None) }
    }
}

impl Found {
    /// How errors name it.
    pub fn name(&self) -> String {
        match &self.table {
            Some(table) => quote_id(&table.id),
            None => format!("delta.{}", quote_identifier(&self.delta.location().to_string())),
        }
    }

    /// How columns of it are qualified where it has no alias.
    pub fn qualifier(&self) -> Vec<String> {
        match &self.table {
            Some(table) => {
                vec![firesteel_catalog::SESSION_CATALOG.into(), table.id.database.clone(), table.id.name.clone()]
            }
            None => vec!["delta".into(), self.delta.location().path().to_string()],
        }
    }

    /// The table as one whose rows change.
    pub fn target(&self, alias: Option<&str>) -> Target {
        Target {
            name: self.name(),
            qualifier: self.qualifier(),
            alias: alias.map(str::to_string),
            plan_ids: self.plan_ids,
            schema: self.delta.schema().clone(),
            dialect: Dialect::Delta,
        }
    }

    /// The table as the catalog has it, or would have it.
    pub fn as_table(&self) -> Table {
        match &self.table {
            Some(table) => table.clone(),
            None => described(Table::new(self.id(), TableKind::External, Default::default()), &self.delta),
        }
    }

    pub fn id(&self) -> TableId {
        match &self.table {
            Some(table) => table.id.clone(),
            None => TableId::new("delta", self.delta.location().to_string()),
        }
    }

    /// After a change: what was kept of the table is stale.
    pub fn invalidate(&self, st: &Statement) {
        match &self.table {
            Some(table) => st.session().cache.invalidate_table(&table.id),
            None => st.session().cache.invalidate_relations(),
        }
    }
}

/// The Delta table of that name: ``delta.`path` ``, or a table of the catalog. `None`: something else, or nothing.
pub async fn find(st: &Statement, parts: &[String]) -> Result<Option<Found>> {
    if let [format, path] = parts
        && is_delta(format)
        && st.catalog().get_database(format).await?.is_none()
    {
        let delta = st.context.delta_at(&Location::parse(path)?).await?;
        return Ok(Some(Found::new(None, delta)));
    }
    let Resolved::Table(id) = st.session().resolve(parts, &st.context.namespace)? else { return Ok(None) };
    match st.catalog().get_table(&id).await? {
        Some(table) if is_delta_table(&table) => of_catalog(st, table).await.map(Some),
        _ => Ok(None),
    }
}

/// The table that ``delta.`/path` `` names.
pub async fn at_path(st: &Statement, name: &TableName) -> Result<Option<Found>> {
    let parts = st.name(name).await?;
    match parts.as_slice() {
        [format, path] if is_delta(format) && Location::is_absolute(path) => find(st, &parts).await,
        _ => Ok(None),
    }
}

/// A catalog table whose provider is Delta.
pub async fn of_catalog(st: &Statement, table: Table) -> Result<Found> {
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let delta = st.context.delta_at(&location).await?;
    Ok(Found::new(Some(described(table, &delta)), delta))
}

/// The catalog's entry with what the log says: the log is the truth about columns and properties.
pub fn described(mut table: Table, delta: &DeltaTable) -> Table {
    let metadata = delta.metadata();
    table.schema = metadata.schema.clone();
    table.partition_columns = metadata.partition_columns.clone();
    table.tracks_partitions = false;
    table.properties = metadata.configuration.clone();
    let protocol = delta.protocol();
    table.properties.insert("delta.minReaderVersion".into(), protocol.min_reader_version.to_string());
    table.properties.insert("delta.minWriterVersion".into(), protocol.min_writer_version.to_string());
    if metadata.description.is_some() {
        table.comment.clone_from(&metadata.description);
    }
    table
}

/// Keeps the catalog's copy of the columns up to date after a change of them.
pub async fn record(st: &Statement, found: &Found, metadata: &TableMetadata) -> Result<()> {
    let Some(table) = &found.table else { return Ok(()) };
    if let Some(mut known) = st.catalog().get_table(&table.id).await? {
        known.schema = metadata.schema.clone();
        known.partition_columns = metadata.partition_columns.clone();
        st.catalog().alter_table(known).await?;
    }
    Ok(())
}

/// The entry of a Delta table with what its log says; any other as it is.
pub async fn hydrate(st: &Statement, table: Table) -> Result<Table> {
    if !is_delta_table(&table) {
        return Ok(table);
    }
    let location = Location::parse(table.location.as_deref().unwrap_or_default())?;
    match DeltaTable::find(&location, &st.context.storage()).await? {
        Some(delta) => Ok(described(table, &delta)),
        None => Ok(table),
    }
}

/// The table that UPDATE, DELETE or MERGE changes, and the alias it is given. `None`: it is none of Delta's.
pub async fn target(st: &Statement, relation: &Relation) -> Result<Option<(Found, Option<String>)>> {
    match &*relation.kind {
        RelationKind::SubqueryAlias { input, alias, .. } => {
            let Some(mut found) = of_relation(st, input).await? else { return Ok(None) };
            found.plan_ids.1 = relation.plan_id;
            Ok(Some((found, Some(alias.clone()))))
        }
        _ => Ok(of_relation(st, relation).await?.map(|found| (found, None))),
    }
}

async fn of_relation(st: &Statement, relation: &Relation) -> Result<Option<Found>> {
    let found = match &*relation.kind {
        RelationKind::NamedTable { name, .. } => find(st, &st.name(name).await?).await?,
        // `DeltaTable.forPath`
        RelationKind::DataSource { format: Some(format), paths, .. } if is_delta(format) => {
            let path = paths.first().map(String::as_str).unwrap_or_default();
            Some(Found::new(None, st.context.delta_at(&Location::parse(path)?).await?))
        }
        _ => None,
    };
    Ok(found.map(|found| Found { plan_ids: (relation.plan_id, None), ..found }))
}

/// Whether a path, or a table by name, is one of Delta's.
async fn is_table(st: &Statement, identifier: &str) -> Result<bool> {
    if identifier.contains('/') {
        return DeltaTable::exists(&Location::parse(identifier)?, &st.context.storage()).await;
    }
    match find(st, &firesteel_plan::parse_multipart_identifier(identifier)?).await {
        Ok(found) => Ok(found.is_some()),
        Err(error) if error.is("DELTA_TABLE_NOT_FOUND") => Ok(false),
        Err(error) => Err(error),
    }
}

/// The table of one of Delta's own statements.
async fn existing(st: &Statement, target: &DeltaTarget, operation: &str) -> Result<Found> {
    let parts = match target {
        DeltaTarget::Path(path) => {
            let delta = st.context.delta_at(&Location::parse(path)?).await?;
            return Ok(Found::new(None, delta));
        }
        DeltaTarget::Name(name) => st.name(name).await?,
    };
    if let Some(found) = find(st, &parts).await? {
        return Ok(found);
    }
    st.existing_non_view(&TableName::Parts(parts.clone()), operation).await?;
    Err(SparkError::new("DELTA_ONLY_OPERATION", [("operation", operation)]).with_cause(quoted_name(&parts)))
}

pub async fn run(st: &Statement, statement: DeltaStatement) -> Answer {
    match statement {
        DeltaStatement::History { table, limit } => {
            let found = existing(st, &table, "DESCRIBE HISTORY").await?;
            describe::history(&found, limit).await
        }
        DeltaStatement::Detail { table } => {
            let found = existing(st, &table, "DESCRIBE DETAIL").await?;
            describe::detail(&found)
        }
        DeltaStatement::Vacuum { table, retain_hours, dry_run, lite } => {
            let found = existing(st, &table, "VACUUM").await?;
            maintain::vacuum(st, &found, retain_hours, dry_run, lite).await
        }
        DeltaStatement::Optimize { table, condition, z_order } => {
            let found = existing(st, &table, "OPTIMIZE").await?;
            maintain::optimize(st, &found, condition, z_order).await
        }
        DeltaStatement::Restore { table, to } => {
            let found = existing(st, &table, "RESTORE").await?;
            maintain::restore(st, &found, to).await
        }
        DeltaStatement::Convert { table, partition_schema, statistics } => {
            maintain::convert(st, table, partition_schema, statistics).await
        }
        DeltaStatement::IsTable { identifier } => {
            let is_delta = is_table(st, &identifier).await?;
            Rows::new(&[("value", DataType::Boolean, false)]).with([vec![Cell::from(is_delta)]]).into_execution()
        }
        DeltaStatement::CreateAtPath { path, create } => create::at_path(st, &path, *create).await,
        DeltaStatement::Protocol { table, feature, reader, writer } => {
            let found = existing(st, &table, "ALTER TABLE").await?;
            alter::upgrade_protocol(st, &found, feature, reader, writer).await
        }
    }
}

/// Properties of a statement that are those of the table; keys without meaning to Delta stay as they are.
pub fn configuration(properties: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (key, value) in properties {
        // Delta's own keys are known in one spelling.
        let lower = key.to_lowercase();
        let key = match KNOWN_PROPERTIES.iter().find(|known| known.to_lowercase() == lower) {
            Some(known) => (*known).to_string(),
            None if lower.starts_with("delta.constraints.") || lower.starts_with("delta.feature.") => key.clone(),
            None if lower.starts_with("delta.") => {
                let flag = "spark.databricks.delta.allowArbitraryProperties.enabled";
                let parameters = [("config", key.as_str()), ("disableCheckConfig", flag)];
                return Err(SparkError::new("DELTA_UNKNOWN_CONFIGURATION", parameters));
            }
            None => key.clone(),
        };
        refuse_unkept(&key, value)?;
        all.insert(key, value.clone());
    }
    Ok(all)
}

/// Properties that ask writers for what they do not do here.
fn refuse_unkept(key: &str, value: &str) -> Result<()> {
    let is_on = value.eq_ignore_ascii_case("true");
    let refused = match key {
        "delta.enableRowTracking"
        | "delta.enableInCommitTimestamps"
        | "delta.enableTypeWidening"
        | "delta.enableIcebergCompatV1"
        | "delta.enableIcebergCompatV2" => is_on,
        _ => false,
    };
    match refused {
        true => Err(SparkError::unsupported(format!("the table property {key} = {value}"))),
        false => Ok(()),
    }
}

const KNOWN_PROPERTIES: &[&str] = &[
    "delta.appendOnly",
    "delta.autoOptimize",
    "delta.autoOptimize.autoCompact",
    "delta.autoOptimize.optimizeWrite",
    "delta.checkpoint.writeStatsAsJson",
    "delta.checkpoint.writeStatsAsStruct",
    "delta.checkpointInterval",
    "delta.checkpointPolicy",
    "delta.checkpointRetentionDuration",
    "delta.columnMapping.mode",
    "delta.compatibility.symlinkFormatManifest.enabled",
    "delta.dataSkippingNumIndexedCols",
    "delta.dataSkippingStatsColumns",
    "delta.deletedFileRetentionDuration",
    "delta.enableChangeDataFeed",
    "delta.enableDeletionVectors",
    "delta.enableExpiredLogCleanup",
    "delta.enableFullRetentionRollback",
    "delta.enableIcebergCompatV1",
    "delta.enableIcebergCompatV2",
    "delta.enableInCommitTimestamps",
    "delta.enableRowTracking",
    "delta.enableTypeWidening",
    "delta.isolationLevel",
    "delta.logRetentionDuration",
    "delta.minReaderVersion",
    "delta.minWriterVersion",
    "delta.randomizeFilePrefixes",
    "delta.randomPrefixLength",
    "delta.sampleRetentionDuration",
    "delta.setTransactionRetentionDuration",
    "delta.targetFileSize",
    "delta.tuneFileSizesForRewrites",
    "delta.universalFormat.enabledFormats",
];
