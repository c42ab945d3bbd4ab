//! What of a table's features is supported for writing.
use firesteel_plan::{Result, SparkError};

use super::errors::unsupported_features;
use super::table::DeltaTable;

/// The feature by which columns may have defaults.
pub const COLUMN_DEFAULTS: &str = "allowColumnDefaults";

/// Metadata keys of columns.
pub(super) const GENERATION_KEY: &str = "delta.generationExpression";

/// Writer features whose rules every write here keeps. Those that need nothing of a writer while the table does not
/// make use of them are checked by [`check_writable`] itself.
const SUPPORTED: &[&str] = &[
    COLUMN_DEFAULTS,
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "columnMapping",
    "deletionVectors",
    "generatedColumns",
    "invariants",
    "timestampNtz",
    "v2Checkpoint",
    "variantType",
    "variantType-preview",
];

/// Those that readers have to know too.
pub(super) const READER_FEATURES: &[&str] =
    &["columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint", "variantType", "variantType-preview"];

/// The proper name of a feature that a table may be given.
pub(super) fn supported(name: &str) -> Result<&'static str> {
    let found = SUPPORTED.iter().find(|known| known.eq_ignore_ascii_case(name));
    found.copied().ok_or_else(|| SparkError::unsupported(format!("the Delta table feature {name}")))
}

/// Refuses a table that a writer of ours could break.
pub(super) fn check_writable(table: &DeltaTable) -> Result<()> {
    let metadata = table.metadata();
    let has_identity = metadata.schema.fields.iter().any(|f| f.metadata.contains_key("delta.identity.start"));
    let mut unsupported: Vec<String> = table
        .protocol()
        .writer_feature_names()
        .into_iter()
        .filter(|name| match name.as_str() {
            "identityColumns" => has_identity,
            name => !SUPPORTED.contains(&name),
        })
        .collect();
    unsupported.dedup();
    match unsupported.is_empty() {
        true => Ok(()),
        false => Err(unsupported_features("WRITE", table.location(), &unsupported)),
    }
}
