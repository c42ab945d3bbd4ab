//! How requests say whose they are: a token, one that an OAuth2 server gives for a credential, or a name and a password.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use firesteel_plan::{JavaException, Result, SparkError};
use parking_lot::Mutex;
use reqwest::{Client, RequestBuilder};
use serde_json::Value as Json;
use url::form_urlencoded::Serializer;

use super::client::illegal;

const DEFAULT_SCOPE: &str = "catalog";
const DEFAULT_SERVER: &str = "v1/oauth/tokens";
/// A token is asked for anew when it is this close to its end, or has a tenth of its time left.
const MARGIN: Duration = Duration::from_secs(60);
/// What an OAuth2 server may be told besides the credential
const EXTRA: &[&str] = &["audience", "resource"];

/// No `Debug`: it holds secrets.
pub(super) enum Auth {
    Nobody,
    Basic { user: String, password: String },
    Token(String),
    Credential { credential: Credential, token: Mutex<Option<Token>> },
}

pub(super) struct Credential {
    id: Option<String>,
    secret: String,
    server: String,
    scope: String,
    extra: Vec<(String, String)>,
}

#[derive(Clone)]
pub(super) struct Token {
    text: String,
    /// `None`: it does not say when it ends
    renewed_at: Option<Instant>,
}

impl Auth {
    pub(super) fn of(properties: &BTreeMap<String, String>, base: &str) -> Result<Self> {
        let get = |key: &str| properties.get(key).filter(|value| !value.is_empty());
        let is_signed = get("rest.sigv4-enabled").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
        let kind = get("rest.auth.type").map(|kind| kind.to_ascii_lowercase());
        match kind.as_deref() {
            Some("none") if !is_signed => return Ok(Self::Nobody),
            Some("basic") if !is_signed => {
                let required = |key: &str| get(key).cloned().ok_or_else(|| illegal(format!("{key} is not set")));
                let (user, password) = (required("rest.auth.basic.username")?, required("rest.auth.basic.password")?);
                return Ok(Self::Basic { user, password });
            }
            None | Some("oauth2") if !is_signed => {}
            other => {
                let other = other.filter(|_| !is_signed).unwrap_or("sigv4");
                return Err(SparkError::unsupported(format!("Iceberg REST catalogs with rest.auth.type {other}")));
            }
        }
        if let Some(credential) = get("credential") {
            let (id, secret) = match credential.split_once(':') {
                Some((id, secret)) => (Some(id.to_string()), secret.to_string()),
                None => (None, credential.clone()),
            };
            let server = get("oauth2-server-uri").map_or(DEFAULT_SERVER, String::as_str);
            let server = match server.contains("://") {
                true => server.to_string(),
                false => format!("{base}/{}", server.trim_start_matches('/')),
            };
            let scope = get("scope").cloned().unwrap_or_else(|| DEFAULT_SCOPE.into());
            let extra = EXTRA.iter().filter_map(|key| Some(((*key).to_string(), get(key)?.clone()))).collect();
            let credential = Credential { id, secret, server, scope, extra };
            return Ok(Self::Credential { credential, token: Mutex::new(None) });
        }
        Ok(get("token").map_or(Self::Nobody, |token| Self::Token(token.clone())))
    }

    /// A request of somebody.
    pub(super) async fn sign(&self, request: RequestBuilder, client: &Client) -> Result<RequestBuilder> {
        Ok(match self {
            Self::Nobody => request,
            Self::Basic { user, password } => request.basic_auth(user, Some(password)),
            Self::Token(token) => request.bearer_auth(token),
            Self::Credential { credential, token } => {
                let known = token.lock().clone().filter(|token| token.renewed_at.is_none_or(|at| at > Instant::now()));
                let current = match known {
                    Some(known) => known,
                    None => {
                        let fresh = credential.fetch(client).await?;
                        *token.lock() = Some(fresh.clone());
                        fresh
                    }
                };
                request.bearer_auth(current.text)
            }
        })
    }

    /// After a request was refused: whether another one with a fresh token may be let in.
    pub(super) fn forget(&self) -> bool {
        match self {
            Self::Credential { token, .. } => token.lock().take().is_some(),
            _ => false,
        }
    }
}

impl Credential {
    async fn fetch(&self, client: &Client) -> Result<Token> {
        let failed = |why: String| {
            SparkError::java(
                JavaException::AccessDenied,
                format!("{} gave no token for the catalog: {why}", self.server),
            )
        };
        let request = client.post(&self.server).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(self.form()).send().await.map_err(|e| failed(e.without_url().to_string()))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|e| failed(e.without_url().to_string()))?;
        let json: Json = serde_json::from_slice(&bytes).unwrap_or_default();
        let text = |key: &str| json.get(key).and_then(Json::as_str).map(str::to_string);
        match text("access_token").filter(|_| status.is_success()) {
            Some(token) => Ok(Token { text: token, renewed_at: json.get("expires_in").and_then(lifetime) }),
            None => {
                let why = text("error_description").or_else(|| text("error")).unwrap_or_default();
                Err(failed(format!("{status} {why}")))
            }
        }
    }

    fn form(&self) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(id) = &self.id {
            form.append_pair("client_id", id);
        }
        form.append_pair("client_secret", &self.secret).append_pair("scope", &self.scope);
        for (key, value) in &self.extra {
            form.append_pair(key, value);
        }
        form.finish()
    }
}

/// When a token that lasts so many seconds is asked for anew.
fn lifetime(seconds: &Json) -> Option<Instant> {
    let all = Duration::from_secs(seconds.as_u64()?);
    Instant::now().checked_add(all.saturating_sub(MARGIN.min(all / 10)))
}
