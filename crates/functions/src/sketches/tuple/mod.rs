//! Tuple sketches: distinct keys, each with a summary (INT or DOUBLE) of the values beside it.
//!
//! - [`model`]: the sketch, its set operations and its bytes
//! - [`aggregates`]: sketches of groups; [`scalars`]: set operations and what is asked of sketches
mod aggregates;
mod arguments;
mod model;
mod scalars;

pub use aggregates::FUNCTIONS as AGGREGATES;
pub use model::family_name;
pub use scalars::FUNCTIONS as SCALARS;
