//! Errors as HTTP answers them: RFC 9457 problem documents with Spark's vocabulary.
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use firesteel_plan::{JavaException, Origin, SparkError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How the place of a request's field is told to the analyzer, so that its errors come back with it.
const FIELD_CALL_SITE: &str = "the request";
const RETRY_AFTER_SECONDS: u64 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    pub instance: Option<String>,
    pub condition: String,
    pub sqlstate: Option<String>,
    pub parameters: Map<String, Value>,
    pub query_context: Vec<Fragment>,
    pub field: Option<String>,
    pub retryable: bool,
}

/// A part of SQL text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fragment {
    pub fragment: String,
    /// From 1
    pub line: usize,
    /// From 0
    pub column: usize,
}

impl Problem {
    pub fn new(status: u16, condition: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:firesteel:problem:{condition}"),
            title: condition.to_string(),
            status,
            detail: detail.into(),
            instance: None,
            condition: condition.to_string(),
            sqlstate: None,
            parameters: Map::new(),
            query_context: vec![],
            field: None,
            retryable: matches!(status, 429 | 503),
        }
    }

    /// A request that makes no sense; `field` is where.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(400, "INVALID_REQUEST", detail).at(field)
    }

    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(404, "NOT_FOUND", format!("There is no {what} {id}."))
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self { sqlstate: Some("42501".into()), ..Self::new(403, "PERMISSION_DENIED", detail) }
    }

    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "the service failed");
        Self::new(500, "INTERNAL_ERROR", "The service failed; its log says more.")
    }

    /// Names the field, unless a more precise place is known.
    pub fn at(mut self, field: impl Into<String>) -> Self {
        let field = field.into();
        if self.field.is_none() && !field.is_empty() {
            self.field = Some(field);
        }
        self
    }

    pub fn at_instance(mut self, path: &str) -> Self {
        self.instance.get_or_insert_with(|| path.to_string());
        self
    }
}

/// An origin that makes the analyzer's errors name a field of the request.
pub fn origin_of_field(field: &str) -> std::sync::Arc<Origin> {
    let (fragment, call_site) = (field.to_string(), FIELD_CALL_SITE.to_string());
    std::sync::Arc::new(Origin::DataFrame { fragment, call_site })
}

impl From<SparkError> for Problem {
    fn from(error: SparkError) -> Self {
        let (condition, status) = match error.java_exception() {
            Some(exception) => of_java(exception),
            None => (error.condition(), status_of(&error)),
        };
        if condition == "INTERNAL_ERROR" {
            tracing::error!(cause = error.cause(), %error, "the engine failed");
        }
        let mut problem = Self::new(status, condition, error.message());
        problem.sqlstate = Some(error.sql_state().to_string()).filter(|state| !state.is_empty());
        problem.parameters = error.parameters().iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        problem.retryable = error.is_retryable() || matches!(status, 429 | 503) || is_conflict(condition);
        for context in error.contexts() {
            match context.origin.as_ref() {
                Origin::DataFrame { fragment, call_site } if call_site == FIELD_CALL_SITE => {
                    problem.field = Some(fragment.clone());
                }
                origin => {
                    let (line, column) = origin.line_and_column();
                    problem.query_context.push(Fragment { fragment: origin.fragment(), line, column });
                }
            }
        }
        problem
    }
}

/// What Java's library throws in Spark has no condition there.
fn of_java(exception: JavaException) -> (&'static str, u16) {
    match exception {
        JavaException::AccessDenied => ("STORAGE_ACCESS_DENIED", 403),
        JavaException::FileNotFound => ("STORAGE_NOT_FOUND", 404),
        JavaException::Io => ("STORAGE_UNAVAILABLE", 503),
        JavaException::Arithmetic => ("ARITHMETIC_ERROR", 422),
        JavaException::IllegalArgument | JavaException::MissingFormatArgument => ("ILLEGAL_ARGUMENT", 400),
    }
}

/// Conditions whose status their SQLSTATE does not tell; a condition stands for its sub-conditions too.
const STATUSES: &[(&str, u16)] = &[
    ("DELTA_PATH_DOES_NOT_EXIST", 404),
    ("INTERNAL_ERROR", 500),
    ("OPERATION_CANCELED", 409),
    ("PERMISSION_DENIED", 403),
    ("UNABLE_TO_ACQUIRE_MEMORY", 503),
];

fn status_of(error: &SparkError) -> u16 {
    let condition = error.condition();
    if let Some((_, status)) = STATUSES.iter().find(|(name, _)| error.is(name)) {
        return *status;
    }
    if condition.ends_with("_NOT_FOUND") {
        return 404;
    }
    if condition.contains("ALREADY_EXISTS") || is_conflict(condition) {
        return 409;
    }
    match error.sql_state().get(..2) {
        Some("21" | "22" | "23") => 422,
        _ => 400,
    }
}

/// Another writer was first: the same change may succeed now.
fn is_conflict(condition: &str) -> bool {
    const CHANGED: &[&str] = &["DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED"];
    condition.starts_with("DELTA_CONCURRENT") || CHANGED.contains(&condition)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let text = serde_json::to_string(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self.status, 429 | 503) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}

/// The schema of a problem, for `/openapi.json`.
pub fn schema() -> Value {
    let text = json!({"type": "string"});
    let optional = json!({"type": ["string", "null"]});
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "condition", "parameters", "query_context", "retryable"],
        "properties": {
            "type": text, "title": text, "status": {"type": "integer"}, "detail": text, "instance": optional,
            "condition": text, "sqlstate": optional, "parameters": {"type": "object"},
            "query_context": {"type": "array", "items": {"type": "object", "properties": {
                "fragment": text, "line": {"type": "integer"}, "column": {"type": "integer"}}}},
            "field": optional, "retryable": {"type": "boolean"}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let status = |condition: &str| Problem::from(SparkError::of(condition)).status;
        assert_eq!(status("TABLE_OR_VIEW_NOT_FOUND"), 404);
        assert_eq!(status("UNRESOLVED_COLUMN.WITH_SUGGESTION"), 400);
        assert_eq!(status("DIVIDE_BY_ZERO"), 422);
        assert_eq!(status("DELTA_CONCURRENT_APPEND"), 409);
        assert_eq!(status("PERMISSION_DENIED"), 403);
        assert_eq!(status("UNSUPPORTED_FEATURE.FIRESTEEL"), 400);
    }

    #[test]
    fn fields_come_back() {
        let error = SparkError::of("UNRESOLVED_COLUMN").with_origin(Some(&origin_of_field("filters.age")));
        assert_eq!(Problem::from(error).field.as_deref(), Some("filters.age"));
    }
}
