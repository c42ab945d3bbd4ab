//! Failures of the log library, by Delta's conditions.
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::TransactionError;
use firesteel_plan::SparkError;
use firesteel_storage::{Location, StoreFailure, store_error, store_failure};

/// The place is no Delta table.
pub fn missing_table(location: &Location) -> SparkError {
    SparkError::new("DELTA_TABLE_NOT_FOUND", [("tableName", format!("`{location}`"))])
}

/// An error of the library on the table at `location`.
pub fn delta_error(location: &Location, error: DeltaTableError) -> SparkError {
    if let Some(failure) = store_failure(&error)
        && !matches!(StoreFailure::of(failure), StoreFailure::Missing | StoreFailure::Other)
    {
        return store_error("use the Delta log of", location, failure);
    }
    match error {
        DeltaTableError::NotATable(_) | DeltaTableError::InvalidTableLocation(_) => missing_table(location),
        DeltaTableError::Transaction { source: TransactionError::UnsupportedTableFeatures(features) } => {
            let names: Vec<_> = features.iter().map(ToString::to_string).collect();
            unsupported_features("WRITE", location, &names)
        }
        DeltaTableError::Transaction { source: TransactionError::DeltaTableAppendOnly } => append_only(),
        error if error.to_string().to_lowercase().contains("unsupported") => {
            unsupported_features("READ", location, &[error.to_string()])
        }
        other => SparkError::internal(format!("the log of the Delta table at {location}: {other}")).with_cause(other),
    }
}

/// A table that uses what is not supported here. `direction`: READ or WRITE.
pub(super) fn unsupported_features(direction: &str, location: &Location, features: &[String]) -> SparkError {
    SparkError::new(
        format!("DELTA_UNSUPPORTED_FEATURES_FOR_{direction}"),
        [("tableNameOrPath", location.to_string()), ("unsupported", features.join(", "))],
    )
}

/// `delta.appendOnly`
pub(super) fn append_only() -> SparkError {
    SparkError::new("DELTA_CANNOT_MODIFY_APPEND_ONLY", [("table_name", ""), ("config", "delta.appendOnly")])
}
