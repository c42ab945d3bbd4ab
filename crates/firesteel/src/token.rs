//! `firesteel token`: who may use the REST API. The store is that of the server's data directory, which may run meanwhile.
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use firesteel_service::{StorePlace, tokens};
use tokio::runtime::Builder;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a token and print it: this once, for the store keeps its hash
    Create {
        #[command(flatten)]
        place: Place,
        /// Whose it is: jobs and limits belong to a user
        #[arg(long, value_name = "NAME")]
        user: String,
        /// What it may do: read, write, admin; each has what is before it
        #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', default_value = "read")]
        scopes: Vec<String>,
        /// A place it may use, with what is below; may be given many times. Without one it may use all
        #[arg(long = "path", value_name = "PATH")]
        paths: Vec<String>,
    },
    /// Revoke a token by its id, within a second
    Revoke {
        #[command(flatten)]
        place: Place,
        id: String,
    },
    /// List tokens: id, user, scopes, places
    List {
        #[command(flatten)]
        place: Place,
    },
}

/// The server's store.
#[derive(Debug, Args)]
struct Place {
    /// The server's data directory
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The server's PostgreSQL database, where it keeps jobs and tokens there
    #[arg(long, value_name = "postgresql://…", env = "FIRESTEEL_JOB_STORE", hide_env_values = true)]
    job_store: Option<String>,
}

impl Place {
    fn store(self) -> Result<StorePlace, Box<dyn Error>> {
        match StorePlace::of(self.job_store.as_deref(), self.data_dir)? {
            StorePlace::Memory => Err("the server's --data-dir or --job-store says which tokens are meant".into()),
            place => Ok(place),
        }
    }
}

pub fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    Builder::new_current_thread().enable_all().build()?.block_on(answer(arguments.command))
}

async fn answer(command: Command) -> Result<(), Box<dyn Error>> {
    let text = match command {
        Command::Create { place, user, scopes, paths } => {
            let (token, id) =
                tokens::create(&place.store()?, &user, &scopes, paths).await.map_err(|e| e.to_string())?;
            std::io::stderr().write_all(format!("The token has the id {id}.\n").as_bytes())?;
            format!("{token}\n")
        }
        Command::Revoke { place, id } => match tokens::revoke(&place.store()?, &id).await.map_err(|e| e.to_string())? {
            true => format!("{id} is revoked.\n"),
            false => return Err(format!("there is no token {id} that could be revoked").into()),
        },
        Command::List { place } => {
            let all = tokens::list(&place.store()?).await.map_err(|e| e.to_string())?;
            all.iter().map(line).collect()
        }
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn line(token: &tokens::Token) -> String {
    let paths = if token.paths.is_empty() { "everywhere".to_string() } else { token.paths.join(" ") };
    let state = if token.is_revoked { "\trevoked" } else { "" };
    format!("{}\t{}\t{}\t{paths}{state}\n", token.id, token.user, token.scopes)
}
