//! Read failures, by Spark's conditions.
use datafusion::common::DataFusionError;
use firesteel_plan::SparkError;
use firesteel_storage::{Location, StoreFailure, describe, store_failure};

/// Wraps what went wrong with a file as Spark's scan does; an error that says so already stays, and so does a
/// request that is refused.
pub(crate) fn failed_read(place: &str, error: SparkError) -> SparkError {
    if error.is("FAILED_READ_FILE") || error.is("UNSUPPORTED_FEATURE") {
        return error;
    }
    let cause = error.to_string();
    SparkError::new("FAILED_READ_FILE.NO_HINT", [("path", place)]).with_cause(cause)
}

/// A failure of the object store on a file.
pub(crate) fn store(place: &Location, error: &object_store::Error) -> SparkError {
    let condition = match StoreFailure::of(error) {
        StoreFailure::Missing => "FAILED_READ_FILE.FILE_NOT_EXIST",
        _ => "FAILED_READ_FILE.NO_HINT",
    };
    SparkError::new(condition, [("path", place.url())]).with_cause(cause_text(error))
}

/// A cause in words. Of what a store answered only what holds no secrets.
pub(crate) fn cause_text(error: &(dyn std::error::Error + 'static)) -> String {
    match store_failure(error) {
        Some(failure) if StoreFailure::of(failure) != StoreFailure::Missing => describe(failure),
        _ => error.to_string(),
    }
}

/// The `SparkError` inside a DataFusion error, else an internal error with its text.
pub(crate) fn from_datafusion(error: &DataFusionError) -> SparkError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = source {
        if let Some(spark) = current.downcast_ref::<SparkError>() {
            return spark.clone();
        }
        source = current.source();
    }
    SparkError::internal(error.to_string())
}
