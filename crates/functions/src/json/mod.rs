//! Functions on JSON and CSV text.
pub mod arguments;
pub mod csv;
pub mod path;
pub mod structs;
pub mod text;
pub mod value;
pub mod xml;
