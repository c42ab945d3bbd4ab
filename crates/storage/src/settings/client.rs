//! How long to wait for a store, and how often to ask again.
use std::time::Duration;

use firesteel_plan::Result;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::{Keys, illegal};

/// The names that a store's connector has for the settings of its HTTP client.
pub(crate) struct ClientKeys {
    /// How often a failed request is sent again; the largest that is set counts
    pub retries: &'static [&'static str],
    pub default_retries: usize,
    pub retry_interval: &'static str,
    pub connect_timeout: &'static str,
    /// The time for a request and its answer; the first that is set and above zero counts
    pub timeouts: &'static [&'static str],
    /// Connections that are kept
    pub connections: Option<&'static str>,
    pub proxy: Option<ProxyKeys>,
}

pub(crate) struct ProxyKeys {
    pub host: &'static str,
    pub port: &'static str,
    pub user: &'static str,
    pub password: &'static str,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// The answer may be the bytes of a large range.
const TIMEOUT: Duration = Duration::from_secs(200);
const RETRY_INTERVAL: Duration = Duration::from_millis(200);
const MAX_RETRY_INTERVAL: Duration = Duration::from_secs(15);
/// Requests are signed once: the signature of a repeated one must still be good.
const RETRY_TIMEOUT: Duration = Duration::from_secs(240);

pub(crate) fn client(keys: &Keys<'_>, names: &ClientKeys, allow_http: bool) -> Result<(ClientOptions, RetryConfig)> {
    let mut retries = None;
    for key in names.retries {
        retries = retries.max(keys.count(key)?);
    }
    let mut timeout = None;
    for key in names.timeouts {
        timeout = timeout.or(keys.duration(key)?.filter(|timeout| !timeout.is_zero()));
    }
    let connect = keys.duration(names.connect_timeout)?.filter(|timeout| !timeout.is_zero());
    let mut options = ClientOptions::new()
        .with_allow_http(allow_http)
        .with_connect_timeout(connect.unwrap_or(CONNECT_TIMEOUT))
        .with_timeout(timeout.unwrap_or(TIMEOUT));
    if let Some(count) = names.connections.map(|key| keys.count(key)).transpose()?.flatten() {
        options = options.with_pool_max_idle_per_host(count);
    }
    if let Some(url) = names.proxy.as_ref().map(|proxy| proxy_url(keys, proxy)).transpose()?.flatten() {
        options = options.with_proxy_url(url);
    }
    let interval = keys.duration(names.retry_interval)?.unwrap_or(RETRY_INTERVAL);
    let backoff = BackoffConfig { init_backoff: interval, max_backoff: MAX_RETRY_INTERVAL.max(interval), base: 2.0 };
    let max_retries = retries.unwrap_or(names.default_retries);
    Ok((options, RetryConfig { backoff, max_retries, retry_timeout: RETRY_TIMEOUT }))
}

fn proxy_url(keys: &Keys<'_>, names: &ProxyKeys) -> Result<Option<String>> {
    let Some(host) = keys.text(names.host) else { return Ok(None) };
    let port = keys.count(names.port)?.unwrap_or(80);
    let mut url = url::Url::parse(&format!("http://{host}:{port}"))
        .map_err(|_| illegal(format!("{} is no host name: {host}", names.host)))?;
    if let Some(user) = keys.text(names.user) {
        // A URL with a host takes both.
        let _ = url.set_username(user);
        let _ = url.set_password(keys.text(names.password));
    }
    Ok(Some(url.into()))
}
