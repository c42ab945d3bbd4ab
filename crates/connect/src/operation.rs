//! One `ExecutePlan`: its responses wait here until the client has taken them.
//!
//! ```text
//!  producer ── push ──▶ [ released │ sent, kept for a reattach │ not sent yet ] ──▶ reader (one at a time)
//!              waits while more than WINDOW_BYTES are not sent
//! ```
//!
//! A reattachable operation keeps what was sent until the client releases it, within [`RETRY_BYTES`]; another operation
//! keeps nothing. Responses are numbered from 1, and a response id holds its number, so none needs to be looked up.
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firesteel_plan::{Result, SparkError};
use parking_lot::Mutex;
use prost::Message;
use spark_connect_proto as proto;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Responses that may wait for a reader, before the producer waits too.
const WINDOW_BYTES: usize = 16 << 20;
/// Sent responses kept for a reattach although the client has not released them.
const RETRY_BYTES: usize = 10 << 20;

pub(crate) struct Operation {
    pub id: String,
    pub tags: Vec<String>,
    pub reattachable: bool,
    /// What the client sent, to know a repeated request from another one.
    pub fingerprint: u64,
    pub cancel: CancellationToken,
    session_id: String,
    server_side_session_id: String,
    /// High half of the response ids.
    nonce: u64,
    buffer: Mutex<Buffer>,
    /// A response or the end was added.
    produced: Notify,
    /// Responses were sent or released, or the operation was dropped.
    consumed: Notify,
}

struct Buffer {
    responses: VecDeque<Arc<proto::ExecutePlanResponse>>,
    sizes: VecDeque<usize>,
    /// Number of the first response in `responses`.
    first: u64,
    /// Number of the next response that was never sent.
    unsent: u64,
    unsent_bytes: usize,
    sent_bytes: usize,
    end: Option<Ended>,
    reader: u64,
    attached: bool,
    last_seen: Instant,
}

#[derive(Clone)]
pub(crate) struct Ended {
    pub error: Option<EndError>,
}

/// The error that ended an operation, and the id its details are found by.
#[derive(Clone)]
pub(crate) struct EndError {
    pub error: SparkError,
    pub error_id: String,
}

/// What a reader gets next.
pub(crate) enum Next {
    Response(Arc<proto::ExecutePlanResponse>),
    End(Option<EndError>),
    /// Another reader took over.
    Disconnected,
}

impl Operation {
    pub(crate) fn new(
        id: String,
        tags: Vec<String>,
        reattachable: bool,
        fingerprint: u64,
        cancel: CancellationToken,
        session_id: &str,
        server_side_session_id: &str,
    ) -> Self {
        Self {
            id,
            tags,
            reattachable,
            fingerprint,
            cancel,
            session_id: session_id.into(),
            server_side_session_id: server_side_session_id.into(),
            nonce: Uuid::new_v4().as_u64_pair().0,
            buffer: Mutex::new(Buffer {
                responses: VecDeque::new(),
                sizes: VecDeque::new(),
                first: 1,
                unsent: 1,
                unsent_bytes: 0,
                sent_bytes: 0,
                end: None,
                reader: 0,
                attached: false,
                last_seen: Instant::now(),
            }),
            produced: Notify::new(),
            consumed: Notify::new(),
        }
    }

    /// Adds a response. Waits while too much is not sent; an ended operation takes no more.
    pub(crate) async fn push(&self, response: Response) -> Result<()> {
        let mut response = Some(self.response(response));
        loop {
            let consumed = self.consumed.notified();
            tokio::pin!(consumed);
            consumed.as_mut().enable();
            if self.try_push(&mut response)? {
                self.produced.notify_waiters();
                return Ok(());
            }
            tokio::select! {
                () = consumed => {}
                () = self.cancel.cancelled() => return Err(SparkError::of("OPERATION_CANCELED")),
            }
        }
    }

    fn try_push(&self, response: &mut Option<proto::ExecutePlanResponse>) -> Result<bool> {
        let mut buffer = self.buffer.lock();
        if buffer.end.is_some() {
            return Err(SparkError::of("OPERATION_CANCELED"));
        }
        if buffer.unsent_bytes >= WINDOW_BYTES {
            return Ok(false);
        }
        let Some(mut response) = response.take() else { return Ok(true) };
        let number = buffer.first + buffer.responses.len() as u64;
        response.response_id = Uuid::from_u64_pair(self.nonce, number).to_string();
        let size = response.encoded_len();
        buffer.unsent_bytes += size;
        buffer.sizes.push_back(size);
        buffer.responses.push_back(Arc::new(response));
        Ok(true)
    }

    /// Says that no more responses come. Only the first end counts.
    pub(crate) fn end(&self, error: Option<EndError>) {
        let mut buffer = self.buffer.lock();
        if buffer.end.is_none() {
            buffer.end = Some(Ended { error });
        }
        drop(buffer);
        self.produced.notify_waiters();
        self.consumed.notify_waiters();
    }

    pub(crate) fn ended(&self) -> Option<Ended> {
        self.buffer.lock().end.clone()
    }

    /// A new reader; the one before gets [`Next::Disconnected`]. `after`: the last response id the client has.
    pub(crate) fn attach(&self, after: Option<&str>) -> Result<(u64, u64)> {
        let mut buffer = self.buffer.lock();
        let next = match after {
            None => 1,
            Some(id) => self.number(id, &buffer)? + 1,
        };
        if next < buffer.first {
            let id = after.unwrap_or_default();
            return Err(SparkError::new(
                "INVALID_CURSOR.POSITION_NOT_AVAILABLE",
                [("index", next.to_string()), ("responseId", id.to_string())],
            ));
        }
        buffer.reader += 1;
        buffer.attached = true;
        buffer.last_seen = Instant::now();
        let reader = buffer.reader;
        drop(buffer);
        self.produced.notify_waiters();
        Ok((reader, next))
    }

    fn number(&self, id: &str, buffer: &Buffer) -> Result<u64> {
        let not_found = || SparkError::new("INVALID_CURSOR.POSITION_NOT_FOUND", [("responseId", id)]);
        let (nonce, number) = Uuid::parse_str(id).map_err(|_| not_found())?.as_u64_pair();
        let last = buffer.first + buffer.responses.len() as u64;
        if nonce != self.nonce || number == 0 || number >= last { Err(not_found()) } else { Ok(number) }
    }

    /// The response `number` for `reader`, when it is there.
    pub(crate) async fn next(&self, reader: u64, number: u64) -> Next {
        loop {
            let produced = self.produced.notified();
            tokio::pin!(produced);
            produced.as_mut().enable();
            if let Some(next) = self.try_next(reader, number) {
                self.consumed.notify_waiters();
                return next;
            }
            produced.await;
        }
    }

    fn try_next(&self, reader: u64, number: u64) -> Option<Next> {
        let mut guard = self.buffer.lock();
        let buffer = &mut *guard;
        if buffer.reader != reader {
            return Some(Next::Disconnected);
        }
        buffer.last_seen = Instant::now();
        let index = usize::try_from(number.checked_sub(buffer.first)?).ok()?;
        let Some(response) = buffer.responses.get(index).cloned() else {
            return buffer.end.as_ref().map(|end| Next::End(end.error.clone()));
        };
        if number >= buffer.unsent {
            let size = buffer.sizes.get(index).copied().unwrap_or(0);
            buffer.unsent = number + 1;
            buffer.unsent_bytes = buffer.unsent_bytes.saturating_sub(size);
            buffer.sent_bytes += size;
        }
        // The response just sent stays, so that the client can name it.
        let keep = if self.reattachable { RETRY_BYTES } else { 0 };
        while buffer.sent_bytes > keep && buffer.first < number {
            buffer.drop_first();
        }
        Some(Next::Response(response))
    }

    /// The client has everything up to and with this response.
    pub(crate) fn release_until(&self, id: &str) -> Result<()> {
        let mut buffer = self.buffer.lock();
        buffer.last_seen = Instant::now();
        let number = self.number(id, &buffer)?;
        while buffer.first <= number && buffer.first < buffer.unsent {
            buffer.drop_first();
        }
        drop(buffer);
        self.consumed.notify_waiters();
        Ok(())
    }

    /// A reader went away (its stream was dropped).
    pub(crate) fn detach(&self, reader: u64) {
        let mut buffer = self.buffer.lock();
        if buffer.reader == reader {
            buffer.attached = false;
            buffer.last_seen = Instant::now();
        }
    }

    /// How long nobody has asked for the operation; `None` while a reader waits.
    pub(crate) fn abandoned_for(&self) -> Option<Duration> {
        let buffer = self.buffer.lock();
        (!buffer.attached).then(|| buffer.last_seen.elapsed())
    }

    /// A response without its content, for this operation.
    fn response(&self, content: Response) -> proto::ExecutePlanResponse {
        let mut response = proto::ExecutePlanResponse {
            session_id: self.session_id.clone(),
            server_side_session_id: self.server_side_session_id.clone(),
            operation_id: self.id.clone(),
            ..Default::default()
        };
        match content {
            Response::Schema(schema) => response.schema = Some(schema),
            Response::Metrics(metrics) => response.metrics = Some(metrics),
            Response::Observed(observed) => response.observed_metrics = observed,
            Response::Typed(typed) => response.response_type = Some(typed),
        }
        response
    }
}

impl Buffer {
    fn drop_first(&mut self) {
        if self.responses.pop_front().is_none() {
            return;
        }
        let size = self.sizes.pop_front().unwrap_or(0);
        if self.first < self.unsent {
            self.sent_bytes = self.sent_bytes.saturating_sub(size);
        }
        self.first += 1;
    }
}

/// What a response holds.
pub(crate) enum Response {
    Schema(proto::DataType),
    Metrics(proto::execute_plan_response::Metrics),
    Observed(Vec<proto::execute_plan_response::ObservedMetrics>),
    Typed(proto::execute_plan_response::ResponseType),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation() -> Arc<Operation> {
        Arc::new(Operation::new("o".into(), vec![], true, 0, CancellationToken::new(), "s", "t"))
    }

    fn batch(bytes: usize) -> Response {
        Response::Typed(proto::execute_plan_response::ResponseType::ArrowBatch(
            proto::execute_plan_response::ArrowBatch { data: vec![0; bytes].into(), ..Default::default() },
        ))
    }

    async fn read(operation: &Operation, reader: u64, number: u64) -> String {
        match operation.next(reader, number).await {
            Next::Response(response) => response.response_id.clone(),
            Next::End(_) => "end".into(),
            Next::Disconnected => "disconnected".into(),
        }
    }

    #[tokio::test]
    async fn a_client_can_read_again_from_where_it_was() {
        let operation = operation();
        for _ in 0..3 {
            operation.push(batch(10)).await.unwrap();
        }
        operation.end(None);
        let (reader, next) = operation.attach(None).unwrap();
        let first = read(&operation, reader, next).await;
        let second = read(&operation, reader, next + 1).await;
        let (again, next) = operation.attach(Some(&first)).unwrap();
        assert_eq!(read(&operation, again, next).await, second);
        assert_eq!(read(&operation, reader, 3).await, "disconnected");
        operation.release_until(&second).unwrap();
        let error = operation.attach(None).unwrap_err();
        assert_eq!(error.condition(), "INVALID_CURSOR.POSITION_NOT_AVAILABLE");
        let (again, next) = operation.attach(Some(&second)).unwrap();
        assert_ne!(read(&operation, again, next).await, "end");
        assert_eq!(read(&operation, again, next + 1).await, "end");
        assert!(operation.attach(Some("x")).is_err());
    }

    #[tokio::test]
    async fn the_producer_waits_for_the_reader() {
        let operation = operation();
        let producer = Arc::clone(&operation);
        let task = tokio::spawn(async move {
            for _ in 0..20 {
                producer.push(batch(4 << 20)).await?;
            }
            producer.end(None);
            Ok::<_, SparkError>(())
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!task.is_finished());
        let (reader, mut next) = operation.attach(None).unwrap();
        while read(&operation, reader, next).await != "end" {
            assert!(operation.buffer.lock().responses.len() < 10);
            next += 1;
        }
        assert_eq!(next, 21);
        task.await.unwrap().unwrap();
    }
}
