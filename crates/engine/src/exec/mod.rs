//! Physical operators of our own.
mod builds;
mod gather;
mod not_null;
mod recursion;

pub use builds::{BuildBudget, LimitBuilds};
pub use gather::{GatherExec, GatherInOrder};
pub use not_null::RemoveProvenNotNull;
pub use recursion::{LimitRecursion, RecursionLimits};
