//! Changes of data: jobs that write.
//!
//! | file | |
//! |---|---|
//! | [`modify`], [`merge_files`] | new files from others, by [`output`] |
//! | [`delta`], [`upsert`] | row-level changes and upkeep of Delta tables |
//! | [`recover`] | which changes of an interrupted job were committed |
//!
//! A request is checked before its job is made; the work then is one plan, or a few, in a session of its own. Delta
//! commits carry the job's id as their user metadata: so their version is found, after a crash too.
use crate::app::{Answer, Call};
use crate::jobs::handlers::{Prepare, submit};

pub mod delta;
pub mod merge_files;
pub mod modify;
mod output;
pub mod recover;
pub mod upsert;

/// The kinds of jobs here, and what makes their work.
pub const KINDS: &[(&str, Prepare)] = &[
    ("modify", modify::prepare),
    ("merge_files", merge_files::prepare),
    ("delta_update", delta::prepare_update),
    ("delta_delete", delta::prepare_delete),
    ("delta_merge", upsert::prepare),
    ("delta_optimize", delta::prepare_optimize),
    ("delta_vacuum", delta::prepare_vacuum),
    ("delta_restore", delta::prepare_restore),
];

pub async fn submit_modify(call: Call) -> Answer {
    submit(call, "modify").await
}
pub async fn submit_merge_files(call: Call) -> Answer {
    submit(call, "merge_files").await
}
pub async fn submit_update(call: Call) -> Answer {
    submit(call, "delta_update").await
}
pub async fn submit_delete(call: Call) -> Answer {
    submit(call, "delta_delete").await
}
pub async fn submit_upsert(call: Call) -> Answer {
    submit(call, "delta_merge").await
}
pub async fn submit_optimize(call: Call) -> Answer {
    submit(call, "delta_optimize").await
}
pub async fn submit_vacuum(call: Call) -> Answer {
    submit(call, "delta_vacuum").await
}
pub async fn submit_restore(call: Call) -> Answer {
    submit(call, "delta_restore").await
}
