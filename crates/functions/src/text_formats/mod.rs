//! Records of text: JSON, CSV and XML, read into Arrow columns and written from them, one record at a time.
//!
//! ```text
//!  text ─▶ json::Tape ────▶ json::append ─┐
//!                                         ├─▶ Column (an Arrow builder of a Spark type) ─▶ ArrayRef
//!  line ─▶ csv::Tokenizer ─▶ csv::append ─┘
//!  samples ─▶ json::infer, csv::infer ─▶ DataType
//!  ArrayRef ─▶ json::write_value, csv::CsvWriter ─▶ text
//! ```
//!
//! The file formats and the functions (`from_json`, `to_csv`, `schema_of_json`, …) share this, so they read alike.
mod binary_style;
pub mod column;
pub mod csv;
mod intervals;
pub mod json;
mod numbers;
mod options;
pub mod times;
pub mod xml;

pub use binary_style::BinaryStyle;
pub use column::Column;
pub use options::FormatOptions;
pub use times::FormatSession;

use firesteel_plan::{Result, SparkError};

/// What to do with a record that does not fit the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseMode {
    /// Nulls for what does not fit; the text goes to the column of corrupt records.
    Permissive,
    DropMalformed,
    FailFast,
}

impl ParseMode {
    /// The `mode` option. As in Spark, an unknown mode is `PERMISSIVE`.
    pub fn of(options: &FormatOptions) -> Self {
        match options.get("mode").map(str::to_ascii_uppercase).as_deref() {
            Some("DROPMALFORMED") => Self::DropMalformed,
            Some("FAILFAST") => Self::FailFast,
            _ => Self::Permissive,
        }
    }
}

/// The name of the column of corrupt records: the option, else the setting `configured`.
pub fn corrupt_column(options: &FormatOptions, configured: Option<&str>) -> String {
    options.get("columnNameOfCorruptRecord").or(configured).unwrap_or("_corrupt_record").to_string()
}

/// `MALFORMED_RECORD_IN_PARSING`: the failure of a record in FAILFAST mode.
pub fn malformed_record(record: &str) -> SparkError {
    SparkError::new(
        "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION",
        [("badRecord", record), ("failFastMode", "FAILFAST")],
    )
}

/// One character of an option such as `quote`; `None` where it is empty.
fn character(options: &FormatOptions, key: &str, default: Option<char>) -> Result<Option<char>> {
    let Some(text) = options.get(key) else { return Ok(default) };
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (None, _) | (Some('\0'), None) => Ok(None),
        (Some(c), None) => Ok(Some(c)),
        _ => Err(SparkError::new(
            "INVALID_PARAMETER_VALUE.LENGTH",
            [("functionName", key), ("parameter", key), ("length", "1")],
        )
        .with_message(format!("Option {key} must be one character, not \"{text}\""))),
    }
}
