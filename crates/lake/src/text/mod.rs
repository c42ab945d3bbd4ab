//! Formats of text records: reading lines out of compressed, encoded, split files; and the formats themselves.
pub(crate) mod binary_file;
mod charset;
pub(crate) mod csv;
mod csv_infer;
pub(crate) mod json;
mod lines;
pub(crate) mod plain;
mod records;
mod write;

use lines::{LineReader, Separator};
