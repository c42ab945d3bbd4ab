//! What every handler has at hand.
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Response, header};
use bytes::Bytes;
use firesteel_engine::{Engine, ExecuteOptions};
use futures::FutureExt;
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::access::{Access, User};
use crate::body::{Fields, read};
use crate::document::Documented;
use crate::jobs::Jobs;
use crate::options::ServiceOptions;
use crate::problem::Problem;
use crate::rows::Spool;
use crate::sessions::Sessions;

pub struct App {
    pub engine: Engine,
    pub options: ServiceOptions,
    pub access: Access,
    pub jobs: Arc<Jobs>,
    pub sessions: Sessions,
    pub spool: Arc<Spool>,
    pub rates: Rates,
    /// What cursors are signed with.
    pub cursor_secret: Vec<u8>,
    /// Where plans are analyzed and run, apart from the connections.
    pub workers: Handle,
}

/// A request that was let in.
pub struct Call {
    pub app: Arc<App>,
    pub user: User,
    pub path_parameters: HashMap<String, String>,
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub type Answer = Result<Response<Body>, Problem>;

impl App {
    /// Runs work on the workers. When whoever waits is gone, or the time is over, `cancel` fires and the work is dropped.
    pub async fn work<T: Send + 'static>(
        &self,
        cancel: CancellationToken,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let _guard = cancel.drop_guard();
        let mut task = self.workers.spawn(std::panic::AssertUnwindSafe(work).catch_unwind());
        match tokio::time::timeout(self.options.request_timeout, &mut task).await {
            Ok(Ok(Ok(result))) => result,
            Ok(Ok(Err(_))) => Err(Problem::internal("a request panicked")),
            Ok(Err(error)) => Err(Problem::internal(error)),
            Err(_) => {
                let seconds = self.options.request_timeout.as_secs_f64();
                Err(Problem::new(408, "REQUEST_TIMEOUT", format!("It took longer than {seconds} seconds.")))
            }
        }
    }
}

/// Options of a run that ends with its token.
pub fn run_options(id: &str, description: &str, cancel: &CancellationToken) -> ExecuteOptions {
    ExecuteOptions {
        operation_id: id.to_string(),
        tags: vec![],
        description: description.to_string(),
        cancel: cancel.clone(),
    }
}

impl Call {
    pub fn parameter(&self, name: &str) -> &str {
        self.path_parameters.get(name).map_or("", String::as_str)
    }

    /// The body's fields. Another media type than JSON is refused, so that no form of a web page comes through.
    pub fn fields(&self) -> Result<Fields, Problem> {
        if let Some(given) = self.headers.get(header::CONTENT_TYPE) {
            let text = given.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            // What curl says where nobody says anything.
            let known = ["application/json", "application/x-www-form-urlencoded"];
            if !known.iter().any(|name| text.eq_ignore_ascii_case(name)) {
                let detail = "The body must be application/json.";
                return Err(Problem::new(415, "UNSUPPORTED_MEDIA_TYPE", detail).at("Content-Type"));
            }
        }
        Fields::parse(&self.body)
    }

    /// The query's parameters as a documented type.
    pub fn query<T: Documented + DeserializeOwned>(&self) -> Result<T, Problem> {
        let schema = T::rules();
        let mut values = Map::new();
        for (name, text) in &self.query {
            let value = typed(text, &schema["properties"][name]);
            if values.insert(name.clone(), value).is_some() {
                return Err(Problem::invalid(name, format!("{name} is given twice.")));
            }
        }
        read(Value::Object(values), "")
    }

    pub fn idempotency_key(&self) -> Result<Option<String>, Problem> {
        let Some(value) = self.headers.get("idempotency-key") else { return Ok(None) };
        match value.to_str() {
            Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(key.to_string())),
            _ => Err(Problem::invalid("Idempotency-Key", "The key must have 1 to 255 characters.")),
        }
    }
}

/// A text of the query as its schema's type; what is none of it stays a text, which is then refused.
fn typed(text: &str, schema: &Value) -> Value {
    let is = |name: &str| match &schema["type"] {
        Value::String(one) => one == name,
        Value::Array(many) => many.iter().any(|one| one == name),
        _ => false,
    };
    let parsed = if is("integer") || is("number") || is("boolean") { serde_json::from_str(text).ok() } else { None };
    parsed.filter(|value: &Value| value.is_number() || value.is_boolean()).unwrap_or_else(|| Value::from(text))
}

pub fn json(status: u16, value: &impl serde::Serialize) -> Response<Body> {
    json_text(status, serde_json::to_string(value).unwrap_or_default())
}

pub fn json_text(status: u16, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Requests of each user a second: a bucket that fills again.
pub struct Rates {
    per_second_max: f64,
    users: Mutex<HashMap<Arc<str>, (f64, Instant)>>,
}

impl Rates {
    pub fn new(per_second_max: f64) -> Self {
        Self { per_second_max, users: Mutex::default() }
    }

    pub fn check(&self, user: &Arc<str>) -> Result<(), Problem> {
        if self.per_second_max <= 0.0 {
            return Ok(());
        }
        let full = self.per_second_max.max(1.0);
        let mut users = self.users.lock();
        let (left, since) = users.entry(Arc::clone(user)).or_insert((full, Instant::now()));
        *left = (*left + since.elapsed().as_secs_f64() * self.per_second_max).min(full);
        *since = Instant::now();
        if *left < 1.0 {
            let detail = format!("More than {} requests a second.", self.per_second_max);
            return Err(Problem::new(429, "TOO_MANY_REQUESTS", detail));
        }
        *left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_a_user() {
        let rates = Rates::new(2.0);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert!(rates.check(&a).is_ok() && rates.check(&a).is_ok());
        assert_eq!(rates.check(&a).unwrap_err().status, 429);
        assert!(rates.check(&b).is_ok());
    }
}
