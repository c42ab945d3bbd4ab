//! ALTER TABLE on Iceberg tables: each is a new metadata file. Where another writer was faster it is done again to what that
//! one left.
use std::collections::BTreeMap;

use firesteel_lake::iceberg::{ColumnEdits, alter as write_metadata};
use firesteel_plan::statement::{AlterTable, ColumnChange, NewColumn};
use firesteel_plan::{Result, SparkError};

use super::{Found, Statement, describe};
use crate::commands::Answer;
use crate::commands::insert::unsupported_operation;
use crate::commands::table::field_of;
use crate::execution::Execution;

const ATTEMPTS: usize = 20;
/// Properties that say what Iceberg keeps elsewhere.
const RESERVED: &[&str] = &[
    "current-snapshot-id",
    "current-snapshot-summary",
    "current-snapshot-timestamp-ms",
    "current-schema",
    "default-partition-spec",
    "default-sort-order",
    "format-version",
    "identifier-fields",
    "location",
    "provider",
    "snapshot-count",
    "sort-order",
    "uuid",
];

/// The changes that the metadata records; `None`: one that concerns the catalog alone.
pub async fn alter(st: &Statement, mut found: Found, action: AlterTable) -> Result<Option<Execution>> {
    if matches!(action, AlterTable::Rename(_)) {
        return Ok(None);
    }
    for _ in 0..ATTEMPTS {
        let (columns, properties) = changed(&found, &action)?;
        let done = write_metadata(&found.iceberg, columns.as_ref(), properties).await?;
        found.iceberg = found.iceberg.latest().await?;
        if done {
            record(st, &mut found).await?;
            return Ok(Some(Execution::empty()));
        }
    }
    Err(SparkError::unsupported("so many writers of one Iceberg table at once: ALTER TABLE was overtaken every time"))
}

/// COMMENT ON TABLE
pub async fn comment(st: &Statement, found: Found, text: Option<String>) -> Answer {
    let key = "comment".to_string();
    let change = match text.filter(|text| !text.is_empty()) {
        Some(text) => AlterTable::SetProperties([(key, text)].into()),
        None => AlterTable::UnsetProperties { keys: vec![key], if_exists: true },
    };
    Ok(alter(st, found, change).await?.unwrap_or_else(Execution::empty))
}

/// Keeps the catalog's copy of the columns up to date.
async fn record(st: &Statement, found: &mut Found) -> Result<()> {
    describe(&mut found.table, &found.iceberg)?;
    if found.is_in_catalog
        && let Some(mut known) = st.catalog().get_table(&found.table.id).await?
    {
        known.schema = found.table.schema.clone();
        known.partition_columns.clone_from(&found.table.partition_columns);
        st.catalog().alter_table(known).await?;
    }
    st.session().cache.invalidate_table(&found.table.id);
    st.session().cache.invalidate_relations();
    Ok(())
}

type Changed = (Option<ColumnEdits>, BTreeMap<String, String>);

/// Columns and properties after a change; `None`: the columns stay.
fn changed(found: &Found, action: &AlterTable) -> Result<Changed> {
    let mut properties = found.iceberg.metadata().properties();
    let edited = |edit: &mut dyn FnMut(&mut ColumnEdits) -> Result<()>| {
        let mut columns = ColumnEdits::of(&found.iceberg)?;
        edit(&mut columns)?;
        Ok::<_, SparkError>(Some(columns))
    };
    let columns = match action {
        AlterTable::SetProperties(new) => {
            refuse_reserved(new.keys())?;
            properties.extend(new.clone());
            None
        }
        AlterTable::UnsetProperties { keys, if_exists: _ } => {
            refuse_reserved(keys.iter())?;
            properties.retain(|key, _| !keys.contains(key));
            None
        }
        AlterTable::AddColumns(new) => edited(&mut |columns| new.iter().try_for_each(|column| add(columns, column)))?,
        AlterTable::DropColumns { columns: names, if_exists } => edited(&mut |columns| {
            names.iter().try_for_each(|name| match columns.drop(name)? || *if_exists {
                true => Ok(()),
                false => Err(missing(found, name)),
            })
        })?,
        AlterTable::RenameColumn { from, to } => edited(&mut |columns| columns.rename(from, to))?,
        AlterTable::AlterColumns(changes) => {
            edited(&mut |columns| changes.iter().try_for_each(|change| alter_column(columns, change)))?
        }
        AlterTable::ChangeColumn { column, definition } => {
            edited(&mut |columns| change_column(columns, column, definition))?
        }
        AlterTable::SetLocation { .. } => return Err(unsupported_operation(&found.table.id, "SET LOCATION")),
        AlterTable::ReplaceColumns(_) => return Err(unsupported_operation(&found.table.id, "REPLACE COLUMNS")),
        AlterTable::AddConstraint(_) | AlterTable::DropConstraint { .. } => {
            return Err(SparkError::unsupported("constraints of Iceberg tables"));
        }
        AlterTable::ClusterBy(_) => return Err(SparkError::unsupported("clustering of Iceberg tables")),
        AlterTable::SetCollation(_) => return Err(SparkError::unsupported("collations of Iceberg tables")),
        AlterTable::SetSerde { .. } => return Err(unsupported_operation(&found.table.id, "SET SERDE")),
        AlterTable::Rename(_)
        | AlterTable::AddPartitions { .. }
        | AlterTable::DropPartitions { .. }
        | AlterTable::RenamePartition { .. }
        | AlterTable::RecoverPartitions => return Err(unsupported_operation(&found.table.id, "PARTITION")),
    };
    Ok((columns, properties))
}

fn refuse_reserved<'a>(mut keys: impl Iterator<Item = &'a String>) -> Result<()> {
    match keys.find(|key| RESERVED.contains(&key.as_str())) {
        Some(key) => Err(SparkError::unsupported(format!("setting the property {key} of an Iceberg table"))),
        None => Ok(()),
    }
}

fn missing(found: &Found, name: &[String]) -> SparkError {
    let proposal = found.table.schema.fields.iter().map(|field| firesteel_plan::quote_identifier(&field.name));
    let proposal = proposal.collect::<Vec<_>>().join(", ");
    let parameters = [("objectName", firesteel_plan::identifier::quoted_name(name)), ("proposal", proposal)];
    SparkError::new("UNRESOLVED_COLUMN.WITH_SUGGESTION", parameters)
}

fn add(columns: &mut ColumnEdits, column: &NewColumn) -> Result<()> {
    if column.default_text.is_some() {
        return Err(SparkError::unsupported("default values of columns of Iceberg tables"));
    }
    let Some((name, parents)) = column.name.split_last() else { return Ok(()) };
    let mut field = field_of(&column.definition);
    field.name.clone_from(name);
    columns.add(parents, &field, column.position.as_ref())
}

fn alter_column(columns: &mut ColumnEdits, change: &ColumnChange) -> Result<()> {
    if change.set_default.is_some() || change.drop_default {
        return Err(SparkError::unsupported("default values of columns of Iceberg tables"));
    }
    if let Some(data_type) = &change.data_type {
        columns.widen(&change.column, data_type)?;
    }
    if let Some(nullable) = change.nullable {
        columns.set_nullable(&change.column, nullable)?;
    }
    if let Some(comment) = &change.comment {
        columns.comment(&change.column, comment)?;
    }
    if let Some(position) = &change.position {
        columns.move_to(&change.column, position)?;
    }
    Ok(())
}

fn change_column(columns: &mut ColumnEdits, column: &[String], definition: &NewColumn) -> Result<()> {
    let change = ColumnChange {
        column: column.to_vec(),
        data_type: Some(definition.definition.data_type.clone()),
        nullable: None,
        comment: definition.definition.comment.clone(),
        position: definition.position.clone(),
        set_default: None,
        drop_default: false,
    };
    alter_column(columns, &change)?;
    match definition.name.last() {
        Some(name) => columns.rename(column, name),
        None => Ok(()),
    }
}
