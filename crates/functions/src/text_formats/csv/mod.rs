//! CSV records.
mod convert;
mod header;
mod infer;
mod options;
mod tokenizer;
mod write;

pub use convert::{CsvReader, Outcome};
pub use header::column_names;
pub use infer::CsvInference;
pub use options::CsvOptions;
pub use tokenizer::{Tokenizer, Tokens};
pub use write::{CsvWriteOptions, CsvWriter};
