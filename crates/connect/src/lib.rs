//! Spark Connect: the gRPC service that unmodified PySpark clients (3.5 to 4.2) talk to.
//!
//! ```text
//!            ┌ codec   deep messages, read safely
//!  gRPC ─────┤ auth    the token
//!            └ service ─┬─ session    per user and session id: operations, errors, uploads
//!                       ├─ execute ── decode ──▶ firesteel_plan::Plan ──▶ engine
//!                       │     └────── operation ◀── encode ◀── batches, progress, metrics
//!                       ├─ analyze    schema, explain, …
//!                       ├─ config     the registry of keys
//!                       └─ artifacts  uploads
//!  error     SparkError ─▶ gRPC status and FetchErrorDetails
//! ```
//!
//! A client may lose its connection at any time: responses wait in the [operation](operation) until they are released,
//! and everything kept for a session or an operation is bounded and goes after a time without use.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use firesteel_connect::{Server, ServerOptions};
//! use firesteel_engine::{Engine, EngineOptions};
//! use firesteel_listen::{Listener, Protocol};
//! let engine = Engine::new(EngineOptions::default()).await?;
//! let listener = Listener::bind("127.0.0.1:15002".parse()?, None, Protocol::Http2).await?;
//! let server = Server::new(engine, ServerOptions::default(), tokio::runtime::Handle::current());
//! server.serve(listener, Default::default()).await?;
//! # Ok(()) }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod analyze;
mod artifacts;
mod auth;
mod codec;
mod config;
mod decode;
mod delta_messages;
mod encode;
mod error;
mod execute;
mod operation;
mod server;
mod service;
mod session;
mod storage_level;
mod tombstones;

/// The server half of the service, written by the build script.
mod rpc {
    #![allow(clippy::all, clippy::pedantic, missing_docs)]
    include!(concat!(env!("OUT_DIR"), "/spark.connect.SparkConnectService.rs"));
}

pub use server::{Server, ServerOptions};

/// What clients are told by `spark.version`.
pub const SPARK_VERSION: &str = "4.2.0";
