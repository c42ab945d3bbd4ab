//! Errors on the wire, as Spark Connect clients read them: gRPC status INTERNAL with a `google.rpc.ErrorInfo`, and the
//! long form by `FetchErrorDetails`.
//!
//! ```text
//!  SparkError ─▶ class::hierarchy ─┬▶ status_of ─▶ ErrorInfo{reason, classes, errorClass, sqlState, …, errorId}
//!                                  └▶ details   ─▶ FetchErrorDetailsResponse (by errorId)
//! ```
mod class;
mod details;

use std::collections::HashMap;
use std::time::Duration;

use firesteel_plan::SparkError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

pub(crate) use details::details;

/// gRPC headers are small: longer messages and parameters only come by `FetchErrorDetails`.
const STATUS_MESSAGE_CHARS_MAX: usize = 2048;
const PARAMETERS_BYTES_MAX: usize = 1024;
const DOMAIN: &str = "org.apache.spark";

/// The status of an error; `error_id` is where `FetchErrorDetails` finds it.
pub fn status_of(error: &SparkError, error_id: Option<&str>) -> Status {
    let classes = class::hierarchy(error);
    let mut metadata = HashMap::new();
    metadata.insert("classes".to_string(), serde_json::json!(classes).to_string());
    if error.java_exception().is_none() {
        metadata.insert("errorClass".to_string(), error.condition().to_string());
    }
    if !error.sql_state().is_empty() {
        metadata.insert("sqlState".to_string(), error.sql_state().to_string());
    }
    let parameters: serde_json::Map<_, _> =
        error.parameters().iter().map(|(key, value)| (key.clone(), serde_json::json!(value))).collect();
    let parameters = serde_json::Value::Object(parameters).to_string();
    if parameters.len() <= PARAMETERS_BYTES_MAX {
        metadata.insert("messageParameters".to_string(), parameters);
    }
    if let Some(error_id) = error_id {
        metadata.insert("errorId".to_string(), error_id.to_string());
    }
    let mut info = ErrorDetails::new();
    info.set_error_info(classes.first().copied().unwrap_or(class::SPARK_EXCEPTION), DOMAIN, metadata);
    if error.is_retryable() {
        info.set_retry_info(Some(Duration::from_secs(1)));
    }
    Status::with_error_details(Code::Internal, shorten(&error.to_string(), STATUS_MESSAGE_CHARS_MAX), info)
}

fn shorten(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text.to_string(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
