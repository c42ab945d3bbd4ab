//! Physical operators of our own.
mod builds;
mod gather;
mod generate;
mod join_hints;
mod join_order;
mod not_null;
mod recursion;
mod running_values;
mod running_window;
mod text_codes;

pub use builds::{BuildBudget, LimitBuilds};
pub use gather::{GatherExec, GatherInOrder, ungathered};
pub use generate::GenerateRows;
pub use join_hints::FollowJoinHints;
pub use join_order::KeepCrossOrder;
pub use not_null::RemoveProvenNotNull;
pub use recursion::{LimitRecursion, RecursionLimits};
pub use running_window::run_windows;
pub use text_codes::UseTextCodes;
