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
//! empty, rename of a directory, and modification times of both. Local files, HDFS, S3, Azure and Google Cloud Storage are
//! supported (the module `remote` has the last three); another scheme answers a clear error.
//!
//! ```
//! use firesteel_storage::Location;
//! let location = Location::parse("file:///tmp/a b/c.csv").unwrap();
//! assert_eq!(location.to_string(), "file:/tmp/a b/c.csv");
//! assert_eq!(location.url(), "file:///tmp/a%20b/c.csv");
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod clients;
mod errors;
mod file_system;
pub mod glob;
mod hdfs;
mod local;
mod location;
mod remote;
mod settings;
mod uploads;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use firesteel_plan::{Result, SparkError};

pub use errors::{StoreFailure, describe, store_error, store_failure};
pub use file_system::{FileStatus, FileSystem, is_hidden};
pub use local::{LocalFiles, on_waiting_thread};
pub use location::Location;
pub use uploads::{BegunUpload, PendingUpload, UploadWriter, Uploads};

/// Makes file systems from locations. Settings (credentials, endpoints) belong to a session or a request.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Storage {
    settings: Arc<BTreeMap<String, String>>,
    /// The only places there are, with what is below them; `None`: all.
    allowed: Option<Arc<[Location]>>,
}

impl fmt::Debug for Storage {
    /// Settings hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Storage")
    }
}

/// Schemes that belong to stores which this version does not speak.
const KNOWN_SCHEMES: &[&str] = &["webhdfs", "swebhdfs", "har", "ftp"];

/// How the options of a read or write begin that are settings of a store.
const OPTION_PREFIXES: &[&str] = &["fs.", "dfs.", "google.cloud.", "spark.hadoop."];

impl Storage {
    pub fn new(settings: impl Into<Arc<BTreeMap<String, String>>>) -> Self {
        Self { settings: settings.into(), allowed: None }
    }

    /// The same, where nothing but these places and what is below them can be reached.
    pub fn only_below(self, allowed: Option<Arc<[Location]>>) -> Self {
        Self { allowed, ..self }
    }

    /// The same with the settings among the options of one request, which stand above the session's.
    pub fn with_options<'a>(self, options: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let is_setting = |key: &str| OPTION_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        let own: Vec<_> = options.into_iter().filter(|(key, _)| is_setting(key)).collect();
        if own.is_empty() {
            return self;
        }
        let mut settings = (*self.settings).clone();
        for (key, value) in own {
            let key = key.strip_prefix(settings::SPARK_PREFIX).unwrap_or(key);
            settings.insert(key.to_string(), value.clone());
        }
        Self { settings: Arc::new(settings), ..self }
    }

    /// Refuses a place that is not among the allowed ones.
    fn check_allowed(&self, location: &Location) -> Result<()> {
        match &self.allowed {
            Some(allowed) if !allowed.iter().any(|place| location.is_below(place)) => {
                Err(SparkError::new("PERMISSION_DENIED", [("path", location.to_string())]))
            }
            _ => Ok(()),
        }
    }

    /// The file system that holds `location`.
    pub fn file_system(&self, location: &Location) -> Result<Arc<dyn FileSystem>> {
        self.check_allowed(location)?;
        if let Some(files) = clients::file_system(location, &self.settings)? {
            return Ok(files);
        }
        match location.scheme() {
            "file" => Ok(LocalFiles::shared()),
            scheme @ ("http" | "https") => Err(SparkError::new(
                "FAILED_READ_FILE.UNSUPPORTED_FILE_SYSTEM",
                [
                    ("path", location.to_string()),
                    ("fileSystemClass", scheme.to_string()),
                    ("method", "listStatus".to_string()),
                ],
            )),
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
