//! XML: an element as a value of a schema, values as elements, and the schema of a sample.
mod convert;
mod infer;
mod options;
mod variant;
mod write;

pub use convert::XmlReader;
pub use infer::schema_of;
pub use options::{XmlOptions, XmlWriteOptions};
pub use variant::read_variant;
pub use write::XmlWriter;
