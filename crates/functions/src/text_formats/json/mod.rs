//! JSON records.
mod convert;
mod infer;
mod options;
mod tape;
mod variant;
mod write;

pub use convert::{JsonReader, Outcome, read_value};
pub use infer::{JsonInference, type_of};
pub use options::JsonOptions;
pub use tape::{Node, Tape};
pub use write::{JsonWriteOptions, JsonWriter};
