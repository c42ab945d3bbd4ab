//! About the server: health, the description of its requests, the user's session.
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use crate::app::{Answer, Call, json};
use crate::jobs::record::time_text;

const PAGE: &str = include_str!("docs.html");
/// The page loads nothing from outside, and says so to the browser.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub fn any_object() -> Value {
    json!({"type": "object"})
}

pub fn array_of_objects() -> Value {
    json!({"type": "array", "items": {"type": "object"}})
}

pub fn health_schema() -> Value {
    json!({"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}})
}

pub async fn health(_call: Call) -> Answer {
    Ok(json(200, &json!({"status": "ok"})))
}

pub async fn openapi(_call: Call) -> Answer {
    Ok(json(200, &crate::openapi::document()))
}

pub async fn docs(_call: Call) -> Answer {
    let mut response = Response::new(Body::from(PAGE));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    Ok(response)
}

pub fn session_schema() -> Value {
    let text = json!({"type": "string"});
    json!({"type": "object", "required": ["version", "spark_version", "user", "scope"], "properties": {
        "version": text, "spark_version": text, "user": text, "scope": text,
        "paths": {"type": ["array", "null"], "items": text}, "app_name": text, "app_id": text, "master": text,
        "default_parallelism": {"type": "integer"}, "started_at": text, "limits": {"type": "object"}
    }})
}

pub async fn session(call: Call) -> Answer {
    let conf = call.app.engine.conf();
    let get = |key: &str| conf.get(key).cloned();
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let started = call.app.engine.started().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let options = &call.app.options;
    Ok(json(
        200,
        &json!({
            "version": env!("CARGO_PKG_VERSION"),
            "spark_version": crate::SPARK_VERSION,
            "user": &*call.user.name,
            "scope": call.user.scope.name(),
            "paths": call.user.places.as_ref().map(|places| places.iter().map(|p| p.to_string()).collect::<Vec<_>>()),
            "app_name": get("spark.app.name").unwrap_or_else(|| "Firesteel".into()),
            "app_id": get("spark.app.id"),
            "master": get("spark.master").unwrap_or_else(|| "local[*]".into()),
            "default_parallelism": get("spark.default.parallelism").and_then(|n| n.parse().ok()).unwrap_or(cores),
            "started_at": time_text(i64::try_from(started.as_millis()).unwrap_or(i64::MAX)),
            "limits": {
                "body_bytes": options.body_bytes_max,
                "request_seconds": options.request_timeout.as_secs_f64(),
                "job_seconds": options.job_timeout.as_secs_f64(),
                "requests_per_second": options.requests_per_second_max,
                "running_jobs": options.running_per_user_max,
                "queued_jobs": options.queued_per_user_max,
                "result_seconds": options.result_retention.as_secs_f64(),
                "job_retention_seconds": options.job_retention.as_secs_f64(),
            },
        }),
    ))
}
