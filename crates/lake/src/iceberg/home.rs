//! Where a table is, and what says which of its metadata files is the newest: their numbers, or a catalog.
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_plan::Result;
use firesteel_storage::Location;

/// A catalog's entry for one table.
#[async_trait]
pub trait TablePointer: Debug + Send + Sync {
    /// The newest metadata file; `None`: there is no table.
    async fn current(&self) -> Result<Option<String>>;

    /// Makes `new` the newest in place of `old`, or of nothing. `false`: another one is.
    async fn swap(&self, old: Option<&str>, new: &str) -> Result<bool>;

    /// Forgets the table. `false`: there is none.
    async fn remove(&self) -> Result<bool>;
}

/// Where a table is.
#[derive(Debug, Clone)]
pub struct TableHome {
    /// The table's directory, or where it would be
    pub location: Location,
    /// `None`: the numbers in the names of metadata files say which is the newest.
    pub pointer: Option<Arc<dyn TablePointer>>,
}

impl TableHome {
    /// In a directory alone.
    pub fn directory(location: Location) -> Self {
        Self { location, pointer: None }
    }
}
