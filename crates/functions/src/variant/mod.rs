//! VARIANT: semi-structured values in the binary encoding of Parquet's variant specification.
//!
//! ```text
//!  JSON text ──▶ encode ──▶ (value, metadata) ──▶ decode::Variant ──▶ text (JSON)
//! ```
pub mod decode;
pub mod encode;
pub mod text;
