//! Physical operators of our own.
mod gather;

pub use gather::{GatherExec, GatherInOrder};
