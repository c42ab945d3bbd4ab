//! `firesteel sql`: a shell, or statements from the command line or a file.
//!
//! ```text
//!  text ──▶ split at semicolons ──▶ Backend ──┬─ Embedded: an engine in this process ──▶ output (table, csv, json)
//!                                             └─ Remote: a Spark Connect server
//! ```
use std::error::Error;
use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use firesteel_conf::sources::Sources;
use tokio::runtime::Builder;

mod backend;
mod output;
mod prompt;
mod remote;
mod tls;

use backend::Backend;

/// Plans nest deep and are walked by recursion.
const STACK_BYTES: usize = 64 << 20;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Run this statement (or several, separated by semicolons) and end; may be given many times
    #[arg(short = 'e', long = "execute", value_name = "STATEMENT")]
    execute: Vec<String>,
    /// Run the statements of a file and end; - is standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// A Spark Connect server; without it the statements run in this process
    #[arg(long, value_name = "sc://HOST:PORT")]
    remote: Option<String>,
    /// How rows are shown
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Where the catalog and the warehouse live; without it they go when the shell ends
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A configuration value; may be given many times
    #[arg(long = "conf", short = 'c', value_name = "KEY=VALUE")]
    conf: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Csv,
    Json,
}

pub fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build()?;
    let result = runtime.block_on(start(arguments));
    runtime.shutdown_background();
    result
}

async fn start(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let backend = match &arguments.remote {
        Some(address) => Backend::remote(address).await?,
        None => {
            let mut sources = Sources::default();
            for argument in &arguments.conf {
                sources.add_argument(argument)?;
            }
            Backend::embedded(sources, arguments.data_dir.clone()).await?
        }
    };
    let mut texts = arguments.execute.clone();
    match &arguments.file {
        Some(path) if path.as_os_str() == "-" => texts.push(standard_input()?),
        Some(path) => texts.push(std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?),
        None => {}
    }
    if texts.is_empty() && !std::io::stdin().is_terminal() {
        texts.push(standard_input()?);
    }
    if texts.is_empty() {
        return prompt::interact(&backend, arguments.format).await;
    }
    for text in texts {
        for statement in backend.split(&text)? {
            execute(&backend, &statement, arguments.format, false).await?;
        }
    }
    Ok(())
}

fn standard_input() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// Runs one statement and shows its rows. `timing`: says how many rows and how long.
async fn execute(backend: &Backend, statement: &str, format: Format, timing: bool) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let answer = backend.execute(statement, timing).await?;
    let rows = output::show(answer, format).await?;
    if timing {
        let seconds = started.elapsed().as_secs_f64();
        let text = match rows {
            Some(1) => format!("1 row ({seconds:.3} s)\n\n"),
            Some(rows) => format!("{rows} rows ({seconds:.3} s)\n\n"),
            None => format!("OK ({seconds:.3} s)\n\n"),
        };
        std::io::stderr().write_all(text.as_bytes())?;
    }
    Ok(())
}
