//! Physical operators of our own.
mod gather;
mod recursion;

pub use gather::{GatherExec, GatherInOrder};
pub use recursion::{LimitRecursion, RecursionLimits};
