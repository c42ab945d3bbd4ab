//! The one storage door: a path as users write it → a file system that can list, read, write and rename.
//!
//! ```text
//!  "/tmp/x"  "file:///tmp/x"  "data/*.csv"        Storage (options of the session)
//!        │ Location::parse                              │ file_system(&location)
//!        ▼                                              ▼
//!  Location {scheme, authority, path} ───────▶ Arc<dyn FileSystem> ──▶ object_store (bytes)
//!        ▲                                              │
//!        └──────────────── glob::expand ◀───────────────┘ (directories, rename)
//! ```
//!
//! `object_store` moves bytes; [`FileSystem`] adds what it does not have and Spark needs: directories that exist while
//! empty, rename of a directory, and modification times of both. Local files are supported now; another scheme answers
//! a clear error.
//!
//! ```
//! use firesteel_storage::Location;
//! let location = Location::parse("file:///tmp/a b/c.csv").unwrap();
//! assert_eq!(location.to_string(), "file:/tmp/a b/c.csv");
//! assert_eq!(location.url(), "file:///tmp/a%20b/c.csv");
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod file_system;
pub mod glob;
mod local;
mod location;

use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_plan::{Result, SparkError};

pub use file_system::{FileStatus, FileSystem, is_hidden};
pub use local::LocalFiles;
pub use location::Location;

/// Makes file systems from locations. Settings (credentials, endpoints) belong to a session or a request.
#[derive(Debug, Clone, Default)]
pub struct Storage {
    settings: Arc<BTreeMap<String, String>>,
}

/// Schemes that belong to stores which this version does not speak.
const KNOWN_SCHEMES: &[&str] =
    &["s3", "s3a", "s3n", "hdfs", "viewfs", "webhdfs", "abfs", "abfss", "wasb", "wasbs", "gs", "http", "https", "ftp"];

impl Storage {
    pub fn new(settings: BTreeMap<String, String>) -> Self {
        Self { settings: Arc::new(settings) }
    }

    /// The settings that were given, `spark.hadoop.` prefix included.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// The file system that holds `location`.
    pub fn file_system(&self, location: &Location) -> Result<Arc<dyn FileSystem>> {
        match location.scheme() {
            "file" => Ok(LocalFiles::shared()),
            scheme if KNOWN_SCHEMES.contains(&scheme) => {
                Err(SparkError::unsupported(format!("the file system scheme \"{scheme}\" ({location})")))
            }
            scheme => Err(SparkError::new(
                "_LEGACY_ERROR_TEMP_2044",
                [("message", format!("There is no file system for scheme \"{scheme}\" ({location})"))],
            )),
        }
    }
}
