//! Where a table is, and what says which state of its metadata is the newest: the numbers of files, or a catalog.
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::Location;
use serde_json::Value as Json;

use super::metadata::TableMetadata;

/// A catalog's entry for one table: it names the newest metadata file, which whoever changes the table writes.
#[async_trait]
pub trait TablePointer: Debug + Send + Sync {
    /// The newest metadata file; `None`: there is no table.
    async fn current(&self) -> Result<Option<String>>;

    /// The directory that a table that is made now is to have.
    async fn new_location(&self) -> Result<Location>;

    /// Makes a metadata file the newest in place of another one, or of nothing. An error: nothing has changed.
    async fn swap(&self, change: Swap<'_>) -> Result<Told>;

    /// Forgets the table. `false`: there is none.
    async fn remove(&self) -> Result<bool>;
}

/// The next state of a table that a catalog's entry names.
#[derive(Debug, Clone, Copy)]
pub struct Swap<'a> {
    /// The newest metadata file so far; `None`: there was no table
    pub old: Option<&'a str>,
    pub new: &'a str,
    pub before: Option<&'a TableMetadata>,
    pub after: &'a TableMetadata,
}

/// A table of a catalog that writes metadata files itself: it is told what changes.
#[async_trait]
pub trait TableService: Debug + Send + Sync {
    /// Namespace and name
    fn name(&self) -> Vec<String>;

    /// `None`: there is no table.
    async fn load(&self) -> Result<Option<ServedTable>>;

    /// Makes a table of a request in the REST catalog's words; with `stage-create` it is one that the first commit makes.
    /// `None`: there is one already.
    async fn create(&self, request: Json) -> Result<Option<ServedTable>>;

    /// Tells requirements and updates. An error: nothing has changed.
    async fn commit(&self, change: Json) -> Result<Told>;

    /// Forgets the table; with `purge` its files go too. `false`: there is none.
    async fn remove(&self, purge: bool) -> Result<bool>;
}

/// A table as its catalog says.
#[derive(Debug)]
pub struct ServedTable {
    /// The metadata file; `None`: a table that the first commit makes
    pub file: Option<String>,
    pub metadata: Json,
    /// Settings of the store of its files, by Hadoop's names. They hold secrets.
    pub settings: BTreeMap<String, String>,
}

/// What became of a change that a catalog was told of.
#[derive(Debug)]
pub enum Told {
    Done,
    /// Another writer was faster.
    Overtaken,
    /// The answer was lost: it may or may not be done.
    Unknown(SparkError),
}

/// Where a table is.
#[derive(Debug, Clone)]
pub enum TableHome {
    /// In a directory: the numbers in the names of metadata files say which is the newest.
    Directory(Location),
    /// A catalog names the newest metadata file.
    Pointer(Arc<dyn TablePointer>),
    /// A catalog keeps the metadata.
    Service(Arc<dyn TableService>),
}
