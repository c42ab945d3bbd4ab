//! The conditions that a catalog raises, each made in one place.
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{SparkError, quote_identifier};

use crate::SESSION_CATALOG;
use crate::types::{PartitionSpec, TableId};

fn full_name(id: &TableId) -> String {
    quoted_name(&[SESSION_CATALOG, &id.database, &id.name])
}

pub fn schema_not_found(name: &str) -> SparkError {
    SparkError::new("SCHEMA_NOT_FOUND", [("schemaName", quoted_name(&[SESSION_CATALOG, name]))])
}

pub fn schema_already_exists(name: &str) -> SparkError {
    SparkError::new("SCHEMA_ALREADY_EXISTS", [("schemaName", quote_identifier(name))])
}

pub fn schema_not_empty(name: &str) -> SparkError {
    SparkError::new("SCHEMA_NOT_EMPTY", [("schemaName", quote_identifier(name))])
}

/// `default` stays.
pub fn cannot_drop_default() -> SparkError {
    SparkError::new(
        "UNSUPPORTED_FEATURE.DROP_DATABASE",
        [("database", quoted_name(&[SESSION_CATALOG, crate::DEFAULT_DATABASE]))],
    )
}

pub fn table_not_found(id: &TableId) -> SparkError {
    let path = format!("[{}]", quoted_name(&[SESSION_CATALOG, &id.database]));
    SparkError::new("TABLE_OR_VIEW_NOT_FOUND", [("relationName", full_name(id)), ("searchPath", path)])
}

pub fn table_already_exists(id: &TableId) -> SparkError {
    SparkError::new("TABLE_OR_VIEW_ALREADY_EXISTS", [("relationName", full_name(id))])
}

pub fn routine_not_found(database: &str, name: &str) -> SparkError {
    SparkError::new("ROUTINE_NOT_FOUND", [("routineName", quoted_name(&[database, name]))])
}

pub fn routine_already_exists(database: &str, name: &str) -> SparkError {
    SparkError::new(
        "ROUTINE_ALREADY_EXISTS",
        [
            ("existingRoutineType", "routine".to_string()),
            ("newRoutineType", "routine".to_string()),
            ("routineName", quoted_name(&[SESSION_CATALOG, database, name])),
        ],
    )
}

pub fn partitions_not_found(id: &TableId, specs: &[PartitionSpec]) -> SparkError {
    partitions("PARTITIONS_NOT_FOUND", id, specs)
}

pub fn partitions_already_exist(id: &TableId, specs: &[PartitionSpec]) -> SparkError {
    partitions("PARTITIONS_ALREADY_EXIST", id, specs)
}

fn partitions(condition: &str, id: &TableId, specs: &[PartitionSpec]) -> SparkError {
    let list: Vec<String> = specs.iter().map(show_spec).collect();
    SparkError::new(condition, [("partitionList", list.join(", ")), ("tableName", full_name(id))])
}

/// ``PARTITION (`a` = 1, `b` = null)``
fn show_spec(spec: &PartitionSpec) -> String {
    let show = |(column, value): &(String, Option<String>)| {
        format!("{} = {}", quote_identifier(column), value.as_deref().unwrap_or("null"))
    };
    format!("PARTITION ({})", spec.iter().map(show).collect::<Vec<_>>().join(", "))
}
