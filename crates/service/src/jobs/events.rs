//! Progress as server-sent events.
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use serde_json::Value;

use super::{Entry, Jobs};

/// At most twice a second.
const INTERVAL: Duration = Duration::from_millis(500);
/// A comment keeps proxies from closing the connection.
const KEEP_ALIVE_INTERVALS: u32 = 30;

/// `progress` with the job whenever it has changed, then `end`.
pub fn stream(jobs: Arc<Jobs>, entry: Arc<Entry>) -> Response<Body> {
    let events = events_of(jobs, entry);
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn events_of(
    jobs: Arc<Jobs>,
    entry: Arc<Entry>,
) -> impl futures::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    struct State {
        jobs: Arc<Jobs>,
        entry: Arc<Entry>,
        last: Option<String>,
        is_over: bool,
    }
    let state = State { jobs, entry, last: None, is_over: false };
    futures::stream::unfold(state, |mut state| async move {
        if state.is_over {
            return None;
        }
        let mut quiet = 0;
        loop {
            if state.entry.is_over() {
                state.is_over = true;
                let view = Value::Object(state.entry.record().view());
                return Some((Ok(event("end", &view.to_string())), state));
            }
            if state.last.is_some() {
                state.entry.wait(INTERVAL).await;
                if state.entry.is_over() {
                    continue;
                }
            }
            let mut record = state.entry.record();
            if let Some(progress) = state.jobs.progress(&record.id) {
                record.progress = progress;
            }
            let text = Value::Object(record.view()).to_string();
            if state.last.as_ref() != Some(&text) {
                state.last = Some(text.clone());
                return Some((Ok(event("progress", &text)), state));
            }
            quiet += 1;
            if quiet % KEEP_ALIVE_INTERVALS == 0 {
                return Some((Ok(Bytes::from_static(b":\n\n")), state));
            }
        }
    })
}

fn event(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}
