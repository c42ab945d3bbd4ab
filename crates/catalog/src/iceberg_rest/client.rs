//! Requests to a REST catalog: where they go, whose they are, how often they are sent, and what a refusal means.
use std::collections::BTreeMap;
use std::time::Duration;

use firesteel_plan::{JavaException, Result, SparkError};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value as Json;

use super::auth::Auth;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// A commit may take the catalog long.
const TIMEOUT: Duration = Duration::from_secs(300);
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(200);
const MAX_WAIT: Duration = Duration::from_secs(10);
/// Catalogs that can, give credentials for a table's files with the table.
const DELEGATION: (&str, &str) = ("x-iceberg-access-delegation", "vended-credentials");
const HEADER: &str = "header.";
/// The settings that connections are made of, those of [`Auth`] among them
const KEYS: &[&str] = &["uri", "token", "credential", "scope", "oauth2-server-uri", "audience", "resource"];
const KEY_STARTS: &[&str] = &["rest.", HEADER];
/// How much of an answer that is no JSON an error shows
const SHOWN: usize = 300;

/// What stands in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

pub(super) fn illegal(message: impl Into<String>) -> SparkError {
    SparkError::java(JavaException::IllegalArgument, message)
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Json,
    /// An earlier sending of the request may have had its effect.
    pub is_doubtful: bool,
}

/// Why there is no answer.
pub(super) enum Lost {
    /// Nothing was sent.
    Unsent(SparkError),
    /// Nothing was sent: nobody answers there.
    Unreachable(SparkError),
    /// The request may have had its effect.
    Unknown(SparkError),
}

impl From<Lost> for SparkError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Unsent(error) | Lost::Unreachable(error) | Lost::Unknown(error) => error,
        }
    }
}

/// No `Debug`: it holds secrets.
pub(super) struct Http {
    base: String,
    client: Client,
    headers: HeaderMap,
    auth: Auth,
}

impl Http {
    pub(super) fn new(properties: &BTreeMap<String, String>) -> Result<Self> {
        let uri = properties.get("uri").map(|uri| uri.trim().trim_end_matches('/')).unwrap_or_default();
        let is_http = url::Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_http {
            return Err(illegal("the uri of an Iceberg REST catalog must be one of http or https"));
        }
        let duration = |key: &str, default: Duration| match properties.get(key) {
            None => Ok(default),
            Some(text) => {
                let wrong = |_| illegal(format!("{key} must be a number of milliseconds, not {text}"));
                text.trim().parse().map(Duration::from_millis).map_err(wrong)
            }
        };
        let client = Client::builder()
            .user_agent(concat!("firesteel/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(duration("rest.client.connection-timeout-ms", CONNECT_TIMEOUT)?)
            .timeout(duration("rest.client.socket-timeout-ms", TIMEOUT)?)
            .build()
            .map_err(|e| SparkError::internal(format!("no HTTP client: {e}")))?;
        Ok(Self { base: uri.to_string(), client, headers: headers(properties)?, auth: Auth::of(properties, uri)? })
    }

    /// Whether what is made for the one is right for the other: a token is not asked for twice.
    pub(super) fn is_for(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> bool {
        let own = |key: &str| KEYS.contains(&key) || KEY_STARTS.iter().any(|start| key.starts_with(start));
        let of = |all: &BTreeMap<String, String>| -> Vec<(String, String)> {
            all.iter().filter(|(key, _)| own(key)).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        of(one) == of(other)
    }

    /// Sends a request until there is an answer that more patience would not change.
    pub(super) async fn send(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Answer, Lost> {
        let is_repeatable = method == Method::GET || method == Method::HEAD;
        let (mut has_new_token, mut is_doubtful) = (false, false);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let sent = self.once(method.clone(), path, body).await;
            let wait = match &sent {
                Ok((answer, _)) if is_outdated(answer.status) && !has_new_token && self.auth.forget() => {
                    has_new_token = true;
                    attempt -= 1;
                    continue;
                }
                Ok((answer, asked)) if is_busy(answer.status) => {
                    is_doubtful |= answer.status.is_server_error();
                    *asked
                }
                Ok((answer, asked)) if is_repeatable && answer.status.is_server_error() => *asked,
                Err(Lost::Unreachable(_)) => None,
                Err(Lost::Unknown(_)) if is_repeatable => None,
                _ => return sent.map(|(answer, _)| Answer { is_doubtful, ..answer }),
            };
            if attempt >= ATTEMPTS {
                return sent.map(|(answer, _)| answer);
            }
            tokio::time::sleep(wait.unwrap_or(FIRST_WAIT * 2_u32.pow(attempt - 1)).min(MAX_WAIT)).await;
        }
    }

    /// One request, and how long its answer asks to wait.
    async fn once(&self, method: Method, path: &str, body: Option<&Json>) -> Result<(Answer, Option<Duration>), Lost> {
        let request = self.client.request(method, format!("{}/{path}", self.base)).headers(self.headers.clone());
        let mut request = self.auth.sign(request, &self.client).await.map_err(Lost::Unsent)?;
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.map_err(|error| self.lost(error))?;
        let status = answer.status();
        let asked = answer.headers().get(RETRY_AFTER).and_then(|text| text.to_str().ok()?.trim().parse().ok());
        let bytes = answer.bytes().await.map_err(|error| Lost::Unknown(self.failed(error)))?;
        let body = match serde_json::from_slice(&bytes) {
            Ok(json) => json,
            Err(_) if bytes.is_empty() => Json::Null,
            Err(error) if status.is_success() => {
                let message = format!("the Iceberg REST catalog {} answered no JSON: {error}", self.base);
                return Err(Lost::Unknown(SparkError::java(JavaException::Io, message)));
            }
            Err(_) => Json::String(String::from_utf8_lossy(&bytes).chars().take(SHOWN).collect()),
        };
        Ok((Answer { status, body, is_doubtful: false }, asked.map(Duration::from_secs)))
    }

    fn lost(&self, error: reqwest::Error) -> Lost {
        match (error.is_connect(), error.is_builder()) {
            (true, _) => Lost::Unreachable(self.failed(error)),
            (false, true) => Lost::Unsent(self.failed(error)),
            (false, false) => Lost::Unknown(self.failed(error)),
        }
    }

    fn failed(&self, error: reqwest::Error) -> SparkError {
        let error = error.without_url();
        let mut why = error.to_string();
        let mut below = std::error::Error::source(&error);
        while let Some(cause) = below {
            why = format!("{why}: {cause}");
            below = cause.source();
        }
        SparkError::java(JavaException::Io, format!("the Iceberg REST catalog {}: {why}", self.base))
    }

    /// The error of an answer that is none of those that were expected.
    pub(super) fn refused(&self, answer: &Answer) -> SparkError {
        let error = answer.body.get("error");
        let text = |key: &str| error.and_then(|error| error.get(key)).and_then(Json::as_str);
        let plain = answer.body.as_str().unwrap_or_default();
        let message = text("message").unwrap_or(plain);
        let kind = text("type").unwrap_or_default();
        let status = answer.status;
        let message = format!("the Iceberg REST catalog {} answered {status}: {kind}: {message}", self.base);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => SparkError::java(JavaException::AccessDenied, message),
            _ if is_busy(status) => SparkError::java(JavaException::Io, message),
            _ if status.is_server_error() => SparkError::java(JavaException::Io, message),
            _ => illegal(message),
        }
    }
}

/// 419: the token has ended, in some catalogs' words.
fn is_outdated(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status.as_u16() == 419
}

/// Nothing was done, and the same request may be sent again.
fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE
}

/// `header.NAME`
fn headers(properties: &BTreeMap<String, String>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static(DELEGATION.0), HeaderValue::from_static(DELEGATION.1));
    for (key, value) in properties {
        let Some(name) = key.strip_prefix(HEADER) else { continue };
        let parsed = (HeaderName::try_from(name), HeaderValue::try_from(value.as_str()));
        let (Ok(name), Ok(value)) = parsed else { return Err(illegal(format!("{key} is no header of HTTP"))) };
        headers.insert(name, value);
    }
    Ok(headers)
}
