//! VARIANT: semi-structured values in the binary encoding of Parquet's variant specification.
//!
//! ```text
//!  JSON text ──▶ encode ──▶ (value, metadata) ──▶ decode::Variant ──▶ text (JSON) · get (paths, casts) · schema
//! ```
pub mod decode;
pub mod encode;
pub mod functions;
pub mod get;
pub mod schema;
pub mod text;
pub mod to_object;
