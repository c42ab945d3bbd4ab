//! Errors of Iceberg tables.
use firesteel_plan::{JavaException, SparkError};
use firesteel_storage::Location;

/// A file of a table that is not what it should be.
pub(super) fn broken(what: &str, why: impl std::fmt::Display) -> SparkError {
    SparkError::internal(format!("Iceberg: {what}: {why}"))
}

/// Something that these tables may have and that is not read or written here.
pub(super) fn unsupported(what: impl std::fmt::Display) -> SparkError {
    SparkError::unsupported(format!("Iceberg tables with {what}"))
}

/// A snapshot, branch or tag that the table does not have.
pub(super) fn no_snapshot(wanted: impl std::fmt::Display) -> SparkError {
    SparkError::java(JavaException::IllegalArgument, format!("Cannot find a snapshot for {wanted}"))
}

/// There is no table at a place.
pub(super) fn no_table(location: &Location) -> SparkError {
    let parameters = [("relationName", format!("`iceberg`.`{location}`")), ("searchPath", "[]".to_string())];
    SparkError::new("TABLE_OR_VIEW_NOT_FOUND", parameters)
}

/// There is a table already.
pub(super) fn exists(location: &Location) -> SparkError {
    SparkError::new("TABLE_OR_VIEW_ALREADY_EXISTS", [("relationName", format!("`iceberg`.`{location}`"))])
}
