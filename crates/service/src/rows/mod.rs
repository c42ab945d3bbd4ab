//! Rows on their way to a client.
//!
//! ```text
//!  Execution ─┬─▶ stream: encoded as they come, nothing kept
//!             └─▶ spool ─▶ chunks in memory or on disk ─▶ encoded as they are asked for
//!                                  encode: JSON, NDJSON, CSV, Arrow, Parquet
//! ```
pub mod encode;
pub mod spool;
pub mod stream;

pub use encode::{Encoder, Format, RowStyle};
pub use spool::{Spool, SpooledRows};
