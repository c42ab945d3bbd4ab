//! The `firesteel` binary.
//!
//! ```text
//!  firesteel server   Spark Connect on sc://127.0.0.1:15002
//!  firesteel sql      a shell, embedded or against a server
//! ```
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod allocator;
mod server;
mod sql;

/// Spark without the JVM.
#[derive(Debug, Parser)]
#[command(name = "firesteel", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve Spark Connect
    Server(server::Arguments),
    /// Run SQL statements, or a shell for them
    Sql(sql::Arguments),
}

fn main() -> ExitCode {
    allocator::configure();
    let result = match Cli::parse().command {
        Command::Server(arguments) => server::run(arguments),
        Command::Sql(arguments) => sql::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tracing::error!("{message}");
            ExitCode::FAILURE
        }
    }
}
