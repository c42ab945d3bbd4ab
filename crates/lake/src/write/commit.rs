//! What a task made, and moving it into place.
use firesteel_storage::PendingUpload;
use serde::{Deserialize, Serialize};

/// A file that a task wrote in the staging directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Path below the staging directory, and after the commit below the table: `a=1/part-00000-….parquet`.
    pub path: String,
    pub rows: u64,
    pub bytes: u64,
    /// The values of the partition columns.
    pub partition: Vec<(String, Option<String>)>,
    /// What a table's log says of the file's columns, as JSON.
    pub statistics: Option<String>,
    /// How the commit makes the file appear, where tasks do not write to a staging directory.
    #[serde(default)]
    pub upload: Option<PendingUpload>,
}

/// The answer of one task; travels from the task to the commit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TaskOutput {
    /// The attempt's directory below the job's staging directory; empty where there is none.
    pub directory: String,
    pub files: Vec<StagedFile>,
}
