//! The name node's calls, each within a time limit, and again where it says that another one is active or that it is
//! just starting.
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::LazyLock;
use std::time::Duration;

use firesteel_plan::{Result as SparkResult, SparkError};
use hdfs_native::client::FileStatus;
use hdfs_native::{Client, ClientBuilder, HdfsError};
use object_store::{Error, Result};
use tokio::runtime::{Builder, Runtime};

use crate::location::Location;
use crate::settings::{Keys, SPARK_PREFIX, illegal};

/// Where a URL names a host alone.
const DEFAULT_PORT: u16 = 8020;
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
const DATA_TIMEOUT: Duration = Duration::from_secs(60);
/// Calls that a standby answered, or that reached nobody, are sent again: how often, and the first and longest wait.
const RETRIES: usize = 10;
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(4);
const DIRECTORY_PERMISSION: u32 = 0o755;

/// What a name node says that has done nothing: it is not the active one, it is still starting, or it is busy.
const RETRIABLE: &[&str] =
    &["StandbyException", "SafeModeException", "RetriableException", "ObserverRetryOnActiveException"];

/// Connections live as long as the server, whichever task asked first.
static RUNTIME: LazyLock<std::io::Result<Runtime>> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(2).thread_name("hdfs").enable_all().build());

/// A client of one name service. Cheap to clone.
#[derive(Clone)]
pub(super) struct HdfsClient {
    pub(super) inner: Client,
    call_timeout: Duration,
    /// For the next bytes of a file
    pub(super) data_timeout: Duration,
    retries: usize,
}

impl HdfsClient {
    pub(super) fn open(location: &Location, settings: &BTreeMap<String, String>) -> SparkResult<Self> {
        let keys = Keys::new(settings, [String::new()]);
        let positive = |key: &str| keys.duration(key).map(|found| found.filter(|timeout| !timeout.is_zero()));
        let call_timeout = positive("ipc.client.rpc-timeout.ms")?.unwrap_or(CALL_TIMEOUT);
        let data_timeout = positive("dfs.client.socket-timeout")?.unwrap_or(DATA_TIMEOUT);
        let retries = keys.count("dfs.client.failover.max.attempts")?.unwrap_or(RETRIES);
        Ok(Self { inner: connect(location, settings)?, call_timeout, data_timeout, retries })
    }

    /// Runs a call until it is answered by a name node that could.
    pub(super) async fn call<T, F: Future<Output = Result<T>>>(&self, mut attempt: impl FnMut() -> F) -> Result<T> {
        let mut wait = RETRY_INTERVAL;
        for _ in 0..self.retries {
            match self.limited(attempt()).await {
                Err(error) if is_retriable(&error) => tokio::time::sleep(wait).await,
                other => return other,
            }
            wait = (wait * 2).min(MAX_RETRY_INTERVAL);
        }
        self.limited(attempt()).await
    }

    async fn limited<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(self.call_timeout, call).await.unwrap_or_else(|_| Err(timed_out()))
    }

    async fn ask<T, F: Future<Output = hdfs_native::Result<T>>>(&self, attempt: impl Fn() -> F) -> Result<T> {
        self.call(|| async { attempt().await.map_err(converted) }).await
    }

    /// `None` where there is nothing, also where a part of the path is a file.
    pub(super) async fn status(&self, path: &str) -> Result<Option<FileStatus>> {
        match self.ask(|| self.inner.get_file_info(path)).await {
            Ok(status) => Ok(Some(status)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) if said(&error, "ParentNotDirectoryException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a directory holds, or all below it, in the order of their names.
    pub(super) async fn list(&self, path: &str, recursive: bool) -> Result<Vec<FileStatus>> {
        let mut found = self.ask(|| self.inner.list_status(path, recursive)).await?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    pub(super) async fn make_directory(&self, path: &str) -> Result<()> {
        self.ask(|| self.inner.mkdirs(path, DIRECTORY_PERMISSION, true)).await
    }

    pub(super) async fn rename(&self, from: &str, to: &str, overwrite: bool) -> Result<()> {
        self.ask(|| self.inner.rename(from, to, overwrite)).await
    }

    /// Renames a file that was just written under a name that nobody else has. Where the answer to the rename is lost,
    /// the next attempt finds nothing to rename: then the first one did it.
    pub(super) async fn rename_own(&self, from: &str, to: &str, overwrite: bool) -> Result<()> {
        let Err(error) = self.rename(from, to, overwrite).await else { return Ok(()) };
        let is_missing = matches!(error, Error::NotFound { .. }) || said(&error, "FileNotFoundException");
        match is_missing && self.status(from).await?.is_none() && self.status(to).await?.is_some() {
            true => Ok(()),
            false => Err(error),
        }
    }

    /// No error where there is nothing.
    pub(super) async fn delete(&self, path: &str, recursive: bool) -> Result<()> {
        self.ask(|| self.inner.delete(path, recursive)).await.map(|_| ())
    }
}

fn connect(location: &Location, settings: &BTreeMap<String, String>) -> SparkResult<Client> {
    let runtime = RUNTIME.as_ref().map_err(|e| SparkError::internal("no threads for HDFS").with_cause(e))?;
    let own = |(key, value): (&String, &String)| {
        (key.strip_prefix(SPARK_PREFIX).unwrap_or(key).to_string(), value.trim().to_string())
    };
    let build = |authority: &str| {
        let url = format!("{}://{authority}", location.scheme());
        let builder = ClientBuilder::new().with_url(url).with_config(settings.iter().map(own));
        builder.with_io_runtime(runtime.handle().clone()).build()
    };
    let authority = location.authority();
    let client = match build(authority) {
        // A name without a port that is no name service is a host.
        Err(HdfsError::InvalidArgument(_)) if location.scheme() == "hdfs" && !authority.is_empty() => {
            build(&format!("{authority}:{DEFAULT_PORT}"))
        }
        other => other,
    };
    client.map_err(|error| illegal(format!("{location}: no name node can be found: {error}")))
}

fn timed_out() -> Error {
    Error::Generic { store: "HDFS", source: "operation timed out".into() }
}

pub(super) fn converted(error: HdfsError) -> Error {
    match error {
        HdfsError::FileNotFound(ref path) => Error::NotFound { path: path.clone(), source: error.into() },
        HdfsError::AlreadyExists(ref path) => Error::AlreadyExists { path: path.clone(), source: error.into() },
        other => Error::Generic { store: "HDFS", source: other.into() },
    }
}

fn hdfs_error(error: &Error) -> Option<&HdfsError> {
    let mut next = std::error::Error::source(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<HdfsError>() {
            return Some(found);
        }
        next = current.source();
    }
    None
}

/// Whether the name node answered with this exception.
fn said(error: &Error, exception: &str) -> bool {
    match hdfs_error(error) {
        Some(HdfsError::RPCError(class, _) | HdfsError::FatalRPCError(class, _)) => class.ends_with(exception),
        _ => false,
    }
}

pub(super) fn is_not_empty(error: &Error) -> bool {
    said(error, "PathIsNotEmptyDirectoryException")
}

/// Whether nothing can have been done: the name node says so, or nobody took the connection.
fn is_retriable(error: &Error) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    matches!(hdfs_error(error), Some(HdfsError::IOError(io)) if refused(io))
        || RETRIABLE.iter().any(|exception| said(error, exception))
}

/// The next of `attempt` within the time for data.
pub(super) async fn within<T>(limit: Duration, attempt: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| Err(timed_out()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_services_come_from_settings() {
        let settings: BTreeMap<String, String> = [
            ("dfs.nameservices", "lake"),
            ("dfs.ha.namenodes.lake", "a,b"),
            ("dfs.namenode.rpc-address.lake.a", "127.0.0.1:1"),
            ("spark.hadoop.dfs.namenode.rpc-address.lake.b", "127.0.0.1:2"),
        ]
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .into();
        let open = |text: &str| HdfsClient::open(&Location::parse(text).unwrap(), &settings);
        assert!(open("hdfs://lake/x").is_ok() && open("hdfs://somewhere/x").is_ok() && open("hdfs://h:9000/").is_ok());
        let error = open("hdfs:///x").err().unwrap();
        assert!(error.to_string().contains("no name node"), "{error}");
        let wrong = BTreeMap::from([("dfs.client.socket-timeout".to_string(), "soon".to_string())]);
        assert!(HdfsClient::open(&Location::parse("hdfs://h:1/").unwrap(), &wrong).is_err());
    }

    #[test]
    fn what_is_asked_again() {
        let said = |class: &str| converted(HdfsError::RPCError(class.into(), "text".into()));
        assert!(is_retriable(&said("org.apache.hadoop.ipc.StandbyException")));
        assert!(!is_retriable(&said("org.apache.hadoop.security.AccessControlException")));
        assert!(is_retriable(&converted(HdfsError::IOError(std::io::ErrorKind::ConnectionRefused.into()))));
        assert!(!is_retriable(&converted(HdfsError::IOError(std::io::ErrorKind::ConnectionReset.into()))));
        assert!(is_not_empty(&said("org.apache.hadoop.fs.PathIsNotEmptyDirectoryException")));
    }
}
