//! ALTER TABLE.
use firesteel_analyze::default_collation;
use firesteel_catalog::{Table, TableKind};
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::statement::{AlterTable, ColumnChange, ColumnPosition, NewColumn};
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType, TableName};
use firesteel_storage::Location;

use super::insert::{DEFAULT_KEY, unsupported_operation};
use super::table::{default_location, field_of, json_text};
use super::{Answer, Statement, partition};
use crate::execution::Execution;
use crate::names::{Resolved, quote_id};

pub async fn alter_table(st: &Statement, name: TableName, if_exists: bool, action: AlterTable) -> Answer {
    if let AlterTable::Rename(_) = &action
        && let Ok((_, Resolved::Temp(_))) = st.resolve(&name).await
    {
        return super::view::alter(st, name, action).await;
    }
    let at_path = match super::delta::at_path(st, &name).await {
        Err(error) if if_exists && error.is("DELTA_TABLE_NOT_FOUND") => return Ok(Execution::empty()),
        other => other?,
    };
    if let Some(found) = at_path {
        let operation = operation_name(&action);
        let done = super::delta::alter::alter(st, &found, action).await?;
        return done.ok_or_else(|| unsupported_operation(&found.id(), operation));
    }
    if let Some(found) = outside_iceberg(st, &name, if_exists).await? {
        let id = found.table.id.clone();
        let operation = operation_name(&action);
        if let AlterTable::Rename(to) = &action {
            let renamed = super::iceberg::namespaces::rename(st, &found.name, &st.name(to).await?).await?;
            return renamed.ok_or_else(|| unsupported_operation(&found.table.id, "RENAME TABLE"));
        }
        let done = super::iceberg::alter::alter(st, found, action).await?;
        return done.ok_or_else(|| unsupported_operation(&id, operation));
    }
    let table = match st.existing_non_view(&name, operation_name(&action)).await {
        Err(error) if if_exists && error.is("TABLE_OR_VIEW_NOT_FOUND") => return Ok(Execution::empty()),
        other => other?,
    };
    if crate::delta::is_delta_table(&table) {
        let found = super::delta::of_catalog(st, table.clone()).await?;
        if let Some(answer) = super::delta::alter::alter(st, &found, action.clone()).await? {
            return Ok(answer);
        }
    }
    if crate::iceberg::is_iceberg_table(&table) {
        let found = super::iceberg::of_catalog(st, table.clone()).await?;
        if let Some(answer) = super::iceberg::alter::alter(st, found, action.clone()).await? {
            return Ok(answer);
        }
    }
    if crate::hudi::is_hudi_table(&table) && !is_of_catalog(&action) {
        return Err(unsupported_operation(&table.id, operation_name(&action)));
    }
    match action {
        AlterTable::Rename(to) => rename(st, table, to).await,
        AlterTable::AddPartitions { partitions, if_not_exists } => {
            partition::add(st, &table, partitions, if_not_exists).await
        }
        AlterTable::DropPartitions { partitions, if_exists, purge: _ } => {
            partition::drop(st, &table, partitions, if_exists).await
        }
        AlterTable::RenamePartition { from, to } => partition::rename(st, &table, from, to).await,
        AlterTable::RecoverPartitions => {
            if table.partition_columns.is_empty() {
                return Err(SparkError::new(
                    "NOT_A_PARTITIONED_TABLE",
                    [
                        ("operation", "ALTER TABLE RECOVER PARTITIONS".to_string()),
                        ("tableIdentWithDB", quote_id(&table.id)),
                    ],
                ));
            }
            partition::recover(st, &table, true, false).await?;
            Ok(Execution::empty())
        }
        AlterTable::SetLocation { partition: Some(values), location } => {
            let spec = partition::spec(st, &table, &values, true).await?;
            let found = st.catalog().get_partition(&table.id, &spec).await?;
            let mut found = found.ok_or_else(|| firesteel_catalog::errors::partitions_not_found(&table.id, &[spec]))?;
            found.location = Some(Location::parse(&location)?.to_string());
            st.catalog().alter_partitions(&table.id, vec![found]).await?;
            Ok(Execution::empty())
        }
        action => {
            let id = table.id.clone();
            let statement = defaults_statement(&action);
            let before = table.schema.clone();
            let changed = change(table, action)?;
            super::defaults::check(st, statement, &changed.schema, &before).await?;
            st.catalog().alter_table(changed).await?;
            st.session().cache.invalidate_table(&id);
            Ok(Execution::empty())
        }
    }
}

/// What an error of a new default says of the statement.
pub fn defaults_statement(action: &AlterTable) -> &'static str {
    match action {
        AlterTable::AddColumns(_) => "ALTER TABLE ADD COLUMNS",
        _ => "ALTER TABLE ALTER COLUMN",
    }
}

/// What the catalog alone holds: the rest is a change of the table.
fn is_of_catalog(action: &AlterTable) -> bool {
    matches!(
        action,
        AlterTable::Rename(_)
            | AlterTable::SetProperties(_)
            | AlterTable::UnsetProperties { .. }
            | AlterTable::SetLocation { partition: None, .. }
    )
}

fn operation_name(action: &AlterTable) -> &'static str {
    match action {
        AlterTable::Rename(_) => "ALTER TABLE ... RENAME TO",
        AlterTable::SetProperties(_) => "ALTER TABLE ... SET TBLPROPERTIES",
        AlterTable::UnsetProperties { .. } => "ALTER TABLE ... UNSET TBLPROPERTIES",
        AlterTable::SetLocation { .. } => "ALTER TABLE ... SET LOCATION ...",
        AlterTable::SetSerde { .. } => "ALTER TABLE ... SET [SERDE|SERDEPROPERTIES]",
        AlterTable::AddColumns(_) => "ALTER TABLE ... ADD COLUMNS",
        AlterTable::ReplaceColumns(_) => "ALTER TABLE ... REPLACE COLUMNS",
        AlterTable::DropColumns { .. } => "ALTER TABLE ... DROP COLUMNS",
        AlterTable::RenameColumn { .. } => "ALTER TABLE ... RENAME COLUMN",
        AlterTable::AlterColumns(_) => "ALTER TABLE ... ALTER COLUMN",
        AlterTable::ChangeColumn { .. } => "ALTER TABLE ... CHANGE COLUMN",
        AlterTable::AddPartitions { .. } => "ALTER TABLE ... ADD PARTITION ...",
        AlterTable::DropPartitions { .. } => "ALTER TABLE ... DROP PARTITION ...",
        AlterTable::RenamePartition { .. } => "ALTER TABLE ... RENAME TO PARTITION",
        AlterTable::RecoverPartitions => "ALTER TABLE ... RECOVER PARTITIONS",
        AlterTable::SetCollation(_) => "ALTER TABLE ... DEFAULT COLLATION",
        AlterTable::ClusterBy(_) => "ALTER TABLE ... CLUSTER BY",
        AlterTable::AddConstraint(_) => "ALTER TABLE ... ADD CONSTRAINT",
        AlterTable::DropConstraint { .. } => "ALTER TABLE ... DROP CONSTRAINT",
    }
}

/// The Iceberg table of a name that is in no catalog of ours. `None`: the name is not one of such a table, or there is none
/// and `if_exists`.
async fn outside_iceberg(st: &Statement, name: &TableName, if_exists: bool) -> Result<Option<super::iceberg::Found>> {
    match super::iceberg::find_outside(st, &st.name(name).await?).await {
        Err(error) if if_exists && error.is("TABLE_OR_VIEW_NOT_FOUND") => Ok(None),
        other => other,
    }
}

async fn rename(st: &Statement, table: Table, to: TableName) -> Answer {
    let parts = st.name(&to).await?;
    let target = match parts.as_slice() {
        [one] => firesteel_catalog::TableId::new(&table.id.database, one),
        _ => st.session().table_id(&parts, &st.context.namespace)?,
    };
    if !target.database.eq_ignore_ascii_case(&table.id.database) {
        return Err(SparkError::new(
            "_LEGACY_ERROR_TEMP_1073",
            [("db", table.id.database.as_str()), ("newDb", target.database.as_str())],
        )
        .with_message(format!(
            "RENAME TABLE source and destination databases do not match: '{}' != '{}'.",
            table.id.database, target.database
        )));
    }
    st.catalog().rename_table(&table.id, &target).await?;
    // A managed table's files follow its name; Iceberg's metadata says where they are.
    if let (TableKind::Managed, Some(location)) = (table.kind, &table.location)
        && !crate::iceberg::is_iceberg_table(&table)
    {
        let old = Location::parse(location)?;
        let new = Location::parse(&default_location(st, &target).await?)?;
        let files = st.context.storage().file_system(&old)?;
        if old != new && files.status(&old).await?.is_some() {
            files.rename(&old, &new).await?;
        }
        if let Some(renamed) = st.catalog().get_table(&target).await? {
            st.catalog().alter_table(Table { location: Some(new.to_string()), ..renamed }).await?;
        }
    }
    st.session().cache.remove_table(&table.id);
    st.session().cache.invalidate_relations();
    Ok(Execution::empty())
}

/// The definition after a change that touches no files.
fn change(mut table: Table, action: AlterTable) -> Result<Table> {
    match action {
        AlterTable::SetProperties(mut properties) => {
            if let Some(comment) = properties.remove("comment") {
                table.comment = Some(comment);
            }
            table.properties.extend(properties);
        }
        AlterTable::UnsetProperties { keys, if_exists: _ } => {
            if keys.iter().any(|key| key == "comment") {
                table.comment = None;
            }
            table.properties.retain(|key, _| !keys.contains(key));
        }
        AlterTable::SetLocation { partition: _, location } => {
            table.location = Some(Location::parse(&location)?.to_string());
        }
        AlterTable::SetSerde { serde: Some(_), .. } => {
            return Err(SparkError::new(
                "_LEGACY_ERROR_TEMP_1251",
                [("action", "ALTER TABLE SET SERDE"), ("tableName", quote_id(&table.id).as_str())],
            )
            .with_message("Operation not allowed: ALTER TABLE SET SERDE on a table of a data source."));
        }
        AlterTable::SetSerde { properties, .. } => table.options.extend(properties),
        AlterTable::SetCollation(collation) => table.collation = Some(default_collation::checked(&collation)?),
        AlterTable::ClusterBy(columns) => {
            table.clustering_columns = columns.into_iter().flatten().map(|parts| parts.join(".")).collect();
        }
        AlterTable::AddColumns(columns) => add_columns(&mut table, columns)?,
        AlterTable::ReplaceColumns(_) => return Err(unsupported_operation(&table.id, "REPLACE COLUMNS")),
        AlterTable::DropColumns { .. } => return Err(unsupported_operation(&table.id, "DROP COLUMN")),
        AlterTable::RenameColumn { .. } => return Err(unsupported_operation(&table.id, "RENAME COLUMN")),
        AlterTable::AlterColumns(changes) => {
            for one in changes {
                alter_column(&mut table, one)?;
            }
        }
        AlterTable::ChangeColumn { column, definition } => change_column(&mut table, &column, definition)?,
        AlterTable::AddConstraint(_) => return Err(unsupported_operation(&table.id, "ADD CONSTRAINT")),
        AlterTable::DropConstraint { .. } => return Err(unsupported_operation(&table.id, "DROP CONSTRAINT")),
        other => return Err(SparkError::internal(format!("{} is handled elsewhere", operation_name(&other)))),
    }
    Ok(table)
}

fn add_columns(table: &mut Table, columns: Vec<NewColumn>) -> Result<()> {
    let data_columns = table.schema.fields.len() - table.partition_columns.len();
    let mut fields = table.schema.fields.to_vec();
    let first = data_columns.min(fields.len());
    for (at, column) in (first..).zip(columns) {
        // New columns come last, whatever place is asked for, as in Spark's own tables.
        if column.name.len() > 1 {
            return Err(unsupported_operation(&table.id, "ADD COLUMN with qualified column"));
        }
        let name = column.name.last().cloned().unwrap_or_default();
        if fields.iter().any(|f| f.name.eq_ignore_ascii_case(&name)) {
            return Err(SparkError::new("COLUMN_ALREADY_EXISTS", [("columnName", quote_identifier(&name))]));
        }
        if !column.definition.nullable {
            return Err(unsupported_operation(&table.id, "ADD COLUMN with v1 tables cannot specify NOT NULL"));
        }
        let mut field = collated(table, &field_of(&column.definition));
        field.name = name;
        if let Some(text) = &column.default_text {
            field.metadata.insert(DEFAULT_KEY.into(), json_text(text));
            field.metadata.insert("EXISTS_DEFAULT".into(), json_text(text));
        }
        fields.insert(at, field);
    }
    table.schema = StructType::new(fields);
    Ok(())
}

/// A new column: plain strings have the table's default collation.
pub fn collated(table: &Table, field: &StructField) -> StructField {
    match &table.collation {
        Some(name) => default_collation::field(field, &firesteel_sql::collation_of(name)),
        None => field.clone(),
    }
}

fn find_column(table: &Table, column: &[String]) -> Result<usize> {
    let missing = || {
        let proposal: Vec<_> = table.schema.fields.iter().map(|f| quote_identifier(&f.name)).collect();
        SparkError::new(
            "UNRESOLVED_COLUMN.WITH_SUGGESTION",
            [("objectName", firesteel_plan::identifier::quoted_name(column)), ("proposal", proposal.join(", "))],
        )
    };
    match column {
        [name] => table.schema.fields.iter().position(|f| f.name.eq_ignore_ascii_case(name)).ok_or_else(missing),
        _ => Err(unsupported_operation(&table.id, "ALTER COLUMN with qualified column")),
    }
}

fn edit(table: &mut Table, index: usize, edit: impl FnOnce(&mut StructField)) {
    let mut fields = table.schema.fields.to_vec();
    if let Some(field) = fields.get_mut(index) {
        edit(field);
    }
    table.schema = StructType::new(fields);
}

fn alter_column(table: &mut Table, change: ColumnChange) -> Result<()> {
    let index = find_column(table, &change.column)?;
    refuse_partition_column(table, index)?;
    if change.position.is_some() {
        return Err(unsupported_operation(&table.id, "ALTER COLUMN ... FIRST | AFTER"));
    }
    if change.nullable.is_some() {
        return Err(unsupported_operation(&table.id, "ALTER COLUMN ... SET NOT NULL"));
    }
    if let Some(data_type) = change.data_type {
        check_type_change(table, index, &data_type)?;
        edit(table, index, |field| field.data_type = data_type);
    }
    if let Some(comment) = change.comment {
        edit(table, index, |field| {
            field.metadata.insert("comment".into(), json_text(&comment));
        });
    }
    if let Some(default) = change.set_default {
        edit(table, index, |field| {
            field.metadata.insert(DEFAULT_KEY.into(), json_text(&default.text));
        });
    }
    if change.drop_default {
        edit(table, index, |field| {
            field.metadata.remove(DEFAULT_KEY);
        });
    }
    Ok(())
}

/// What partitions are made of stays as it is.
fn refuse_partition_column(table: &Table, index: usize) -> Result<()> {
    let Some(field) = table.schema.fields.get(index) else { return Ok(()) };
    if !table.partition_columns.iter().any(|c| c.eq_ignore_ascii_case(&field.name)) {
        return Ok(());
    }
    Err(SparkError::new(
        "CANNOT_ALTER_PARTITION_COLUMN",
        [("tableName", quote_id(&table.id)), ("columnName", quote_identifier(&field.name))],
    ))
}

/// File tables keep their columns' types; only another spelling of the same one passes.
fn check_type_change(table: &Table, index: usize, to: &DataType) -> Result<()> {
    let Some(field) = table.schema.fields.get(index) else { return Ok(()) };
    let widens_text = matches!((&field.data_type, to), (DataType::Varchar(a), DataType::Varchar(b)) if a <= b);
    if field.data_type == *to || widens_text {
        return Ok(());
    }
    Err(SparkError::new(
        "NOT_SUPPORTED_CHANGE_COLUMN",
        [
            ("table", quote_id(&table.id)),
            ("originName", quote_identifier(&field.name)),
            ("originType", format!("\"{}\"", field.data_type.sql())),
            ("newName", quote_identifier(&field.name)),
            ("newType", format!("\"{}\"", to.sql())),
        ],
    ))
}

fn change_column(table: &mut Table, column: &[String], definition: NewColumn) -> Result<()> {
    let index = find_column(table, column)?;
    let name = definition.name.last().cloned().unwrap_or_default();
    let same = table.schema.fields.get(index).is_some_and(|f| f.name.eq_ignore_ascii_case(&name));
    if !same {
        return Err(unsupported_operation(&table.id, "RENAME COLUMN"));
    }
    let position: Option<ColumnPosition> = definition.position;
    alter_column(
        table,
        ColumnChange {
            column: column.to_vec(),
            data_type: Some(definition.definition.data_type),
            nullable: None,
            comment: definition.definition.comment,
            position,
            set_default: None,
            drop_default: false,
        },
    )
}
