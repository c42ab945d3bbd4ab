//! The `firesteel` binary.
//!
//! ```text
//!  firesteel server   Spark Connect on sc://127.0.0.1:15002, REST with --http-port
//!  firesteel sql      a shell, embedded or against a server
//!  firesteel token    who may use the REST API
//! ```
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio_rustls::rustls::crypto::ring;

mod allocator;
mod cpu;
mod server;
mod sql;
mod token;

/// Spark without the JVM.
#[derive(Debug, Parser)]
#[command(name = "firesteel", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve Spark Connect and REST
    Server(server::Arguments),
    /// Run SQL statements, or a shell for them
    Sql(sql::Arguments),
    /// Make, list and revoke tokens of the REST API
    Token(token::Arguments),
}

fn main() -> ExitCode {
    allocator::configure();
    // Libraries that are not told which cryptography to use take this one; without it they panic, as there are two.
    let _ = ring::default_provider().install_default();
    let command = Cli::parse().command;
    let result = cpu::check().and_then(|()| match command {
        Command::Server(arguments) => server::run(arguments),
        Command::Sql(arguments) => sql::run(arguments),
        Command::Token(arguments) => token::run(arguments),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Only a server has a log.
            match tracing::dispatcher::has_been_set() {
                true => tracing::error!("{message}"),
                false => drop(writeln!(std::io::stderr(), "{message}")),
            }
            ExitCode::FAILURE
        }
    }
}
