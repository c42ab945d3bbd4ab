//! Formats of text records: reading lines out of compressed, encoded, split files; and the formats themselves.
pub(crate) mod binary_file;
mod charset;
mod column;
pub(crate) mod csv;
mod csv_infer;
pub(crate) mod json;
mod lines;
pub(crate) mod plain;
mod records;
mod write;

pub use column::infer_records;
use lines::{LineReader, Separator};
