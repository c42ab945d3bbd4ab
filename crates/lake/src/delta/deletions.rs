//! Deletion vectors: the rows of a file that the table no longer has.
use std::sync::Arc;

use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::{Engine, StorageHandler};
use deltalake_core::kernel::Add;
use deltalake_core::logstore::LogStoreRef;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::Location;
use parquet::arrow::arrow_reader::RowSelection;
use url::Url;

use super::errors::delta_error;
use crate::scan::selection;

/// The deletion vectors of a version's files, which are read when the files are.
#[derive(Clone)]
pub(crate) struct Deletions {
    log_store: LogStoreRef,
    location: Location,
    /// of each file of the version
    vectors: Arc<Vec<Option<Vector>>>,
}

#[derive(Debug)]
struct Vector {
    descriptor: DeletionVectorDescriptor,
    /// rows that the file has, deleted ones too
    file_rows: u64,
}

impl std::fmt::Debug for Deletions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deletions").field("vectors", &self.vectors).finish_non_exhaustive()
    }
}

impl Deletions {
    /// `rows` gives the rows that a file has, by its index.
    pub(super) fn new(
        log_store: LogStoreRef,
        location: Location,
        files: &[Add],
        rows: impl Fn(usize) -> Option<u64>,
    ) -> Result<Self> {
        let vector = |(index, add): (usize, &Add)| {
            let Some(found) = add.deletion_vector.clone() else { return Ok(None) };
            let descriptor = found.try_into().map_err(|e| broken(&location, &add.path, e))?;
            let file_rows =
                rows(index).ok_or_else(|| broken(&location, &add.path, "its row count is not in the log"))?;
            Ok(Some(Vector { descriptor, file_rows }))
        };
        let vectors = files.iter().enumerate().map(vector).collect::<Result<Vec<_>>>()?;
        Ok(Self { log_store, location, vectors: Arc::new(vectors) })
    }

    /// How many rows of a file are deleted.
    pub(crate) fn count(&self, file: usize) -> u64 {
        let vector = self.vectors.get(file).and_then(Option::as_ref);
        vector.map_or(0, |vector| vector.descriptor.cardinality.max(0).unsigned_abs())
    }

    /// The rows to read of a file; `None`: all.
    pub(crate) async fn selection(&self, file: usize) -> Result<Option<RowSelection>> {
        if self.vectors.get(file).is_none_or(Option::is_none) {
            return Ok(None);
        }
        let this = self.clone();
        // The library reads it without waiting in between.
        let read = tokio::task::spawn_blocking(move || this.read(file)).await;
        read.map_err(|e| SparkError::internal(e.to_string()))?
    }

    fn read(&self, file: usize) -> Result<Option<RowSelection>> {
        let Some(Some(vector)) = self.vectors.get(file) else { return Ok(None) };
        let root = Url::parse(&format!("{}/", self.location.url()))
            .map_err(|e| SparkError::internal(format!("{} is no usable place", self.location)).with_cause(e))?;
        let engine: Arc<dyn Engine> = self.log_store.engine(None);
        let storage: Arc<dyn StorageHandler> = engine.storage_handler();
        let deleted = vector.descriptor.read(storage, &root);
        let deleted = deleted.map_err(|e| delta_error(&self.location, e.into()))?;
        selection(deleted.iter(), vector.file_rows)
            .ok_or_else(|| broken(&self.location, &vector.descriptor.unique_id(), "it deletes rows that are not there"))
            .map(Some)
    }
}

fn broken(location: &Location, what: &str, why: impl std::fmt::Display) -> SparkError {
    SparkError::internal(format!("deletion vector of {what} in the Delta table {location}: {why}"))
}
