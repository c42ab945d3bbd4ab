//! The engine: sessions, the local DataFusion runtime, jobs, and everything a statement does.
//!
//! ```text
//!  connect ─┐                       ┌─ analyze ──▶ LogicalPlan ─┐
//!  service ─┼─▶ Session::execute ───┤                           ├─▶ state (rules) ─▶ physical plan ─▶ Execution
//!  sql ─────┘      │                └─ commands ─▶ catalog, lake┘        │               batches + JobProgress
//!                  │                                                     ▼
//!                  └── conf · temp views · variables · cache        jobs: job → stages → tasks → events
//! ```
//!
//! - [`Engine`]: one per process; owns the runtime ([`runtime`]: memory pool, spill disk, caches), the catalog and the
//!   job history.
//! - [`Session`]: one per user and session id; everything kept for it is bounded and dropped with it.
//! - [`Execution`]: a running plan: schema, a stream of batches, progress, observed metrics.
//! - [`jobs`]: what runs and what ran; the web page, REST, progress bars and the event log read it.
//! - [`commands`]: one file per statement family.
//!
//! ```no_run
//! # async fn example() -> firesteel_plan::Result<()> {
//! use firesteel_engine::{Engine, EngineOptions, ExecuteOptions};
//! use firesteel_plan::{Plan, Relation, RelationKind};
//! let engine = Engine::new(EngineOptions::default()).await?;
//! let session = engine.new_session("me", "a session id");
//! let range = Relation::new(RelationKind::Range { start: 0, end: 10, step: 1, num_partitions: None });
//! let execution = session.execute(Plan::Query(range), ExecuteOptions::default()).await?;
//! let batches = execution.collect().await?;
//! # Ok(()) }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod artifacts;
mod cache;
mod catalog_calls;
mod commands;
mod conf;
mod context;
mod delta;
mod engine;
pub mod error;
mod exec;
mod execution;
mod explain;
mod footers;
mod functions;
mod hudi;
mod iceberg;
pub mod jobs;
mod literal;
mod memory;
mod names;
mod plain;
mod push_down;
mod rows;
mod run;
mod runtime;
mod session;
mod state;
mod temporary;
mod user_memory;
mod variables;
mod views;

pub use artifacts::Artifacts;
pub use conf::SessionConf;
pub use engine::{Engine, EngineOptions};
pub use execution::{BatchStream, ExecuteOptions, Execution, ObservedMetrics};
pub use jobs::{Job, JobProgress, Jobs};
pub use session::{Analyzed, Session, SqlOutcome, StorageLevel};
