//! The REST service: statements, datasets, changes and jobs over HTTP.
//!
//! ```text
//!  HTTP ─▶ router ─▶ access, limits ─▶ endpoint ─┬─ statements  SQL ───────────────┐
//!                                                ├─ datasets    JSON ─▶ plan ──────┼─▶ Session::execute ─▶ rows
//!                                                ├─ changes     JSON ─▶ plan ─▶ jobs                        │
//!                                                └─ jobs        store                 answer ◀─ encode, spool, stream
//!  problem    SparkError ─▶ RFC 9457         document ─▶ openapi   the types describe themselves
//! ```
//!
//! What a request says becomes a plan of [`firesteel_plan`], never SQL text: a value cannot turn into code. The contract
//! is docs/rest.md.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! use firesteel_engine::{Engine, EngineOptions};
//! use firesteel_listen::{Listener, Protocol};
//! use firesteel_service::{Service, ServiceOptions};
//! let engine = Engine::new(EngineOptions::default()).await?;
//! let options = ServiceOptions::from_conf(engine.conf(), None);
//! let service = Service::open(engine, options, tokio::runtime::Handle::current()).await?;
//! let listener = Listener::bind("127.0.0.1:8080".parse()?, None, Protocol::Http1).await?;
//! service.serve(listener, Default::default()).await?;
//! # Ok(()) }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod access;
mod app;
mod body;
mod changes;
mod credentials;
mod datasets;
mod document;
mod endpoint;
mod info;
mod jobs;
mod openapi;
mod options;
mod problem;
mod router;
mod rows;
mod server;
mod sessions;
mod statements;
mod store;
pub mod tokens;

pub use options::{JOB_STORE_KEY, ServiceOptions, is_secret};
pub use server::Service;
pub use store::StorePlace;

/// What clients are told by `spark_version`.
const SPARK_VERSION: &str = "4.2.0";
