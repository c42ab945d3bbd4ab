//! CSV records.
mod convert;
mod header;
mod infer;
mod nested;
mod options;
mod tokenizer;
mod write;

pub(super) use convert::append as append_scalar;
pub use convert::{CsvReader, Outcome};
pub use header::column_names;
pub use infer::CsvInference;
pub use options::CsvOptions;
pub use tokenizer::{Tokenizer, Tokens};
pub(super) use write::plain_text;
pub use write::{CsvWriteOptions, CsvWriter};
