//! Physical operators of our own.
mod builds;
mod gather;
mod join_hints;
mod join_order;
mod not_null;
mod recursion;

pub use builds::{BuildBudget, LimitBuilds};
pub use gather::{GatherExec, GatherInOrder};
pub use join_hints::FollowJoinHints;
pub use join_order::KeepCrossOrder;
pub use not_null::RemoveProvenNotNull;
pub use recursion::{LimitRecursion, RecursionLimits};
