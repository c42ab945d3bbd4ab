//! Rows that are sent as they are computed. Whoever reads slowly is waited for; whoever goes stops the work.
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use bytes::Bytes;
use firesteel_plan::Result;
use futures::{Stream, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::encode::{Encoder, Format, RowStyle};
use crate::problem::Problem;

/// Encoded batches that wait for the client.
const WAITING_MAX: usize = 2;

/// How a stream has ended.
pub enum End {
    Complete {
        rows: u64,
    },
    Failed(Problem),
    /// The client is gone.
    Left,
}

/// Answers `batches` in a format. An error before the first batch is answered as such; a later one breaks the
/// connection off, so that nobody takes a part for the whole. `ended` is told the end.
pub async fn respond(
    workers: &Handle,
    batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    style: RowStyle,
    format: Format,
    ended: impl FnOnce(End) + Send + 'static,
) -> Result<Response<Body>, Problem> {
    let (sender, mut receiver) = mpsc::channel::<Result<Bytes, Problem>>(WAITING_MAX);
    let is_complete = Arc::new(AtomicBool::new(false));
    let completed = Arc::clone(&is_complete);
    workers.spawn(async move {
        let end = match send(&sender, Box::pin(batches), &style, format).await {
            Ok(end) => end,
            Err(error) => {
                let problem = Problem::from(error);
                let _ = sender.send(Err(problem.clone())).await;
                End::Failed(problem)
            }
        };
        completed.store(matches!(end, End::Complete { .. }), Ordering::Release);
        drop(sender);
        ended(end);
    });
    let first = match receiver.recv().await {
        Some(Ok(bytes)) => bytes,
        Some(Err(problem)) => return Err(problem),
        None => Bytes::new(),
    };
    let rest = ReceiverStream::new(receiver).map(|part| part.map_err(|problem| io::Error::other(problem.detail)));
    // A task that broke has not said so.
    let last = futures::stream::once(async move {
        (!is_complete.load(Ordering::Acquire)).then(|| Err(io::Error::other("the rows broke off")))
    });
    let parts = futures::stream::once(async move { Ok(first) }).chain(rest).chain(last.filter_map(std::future::ready));
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    Ok(response)
}

async fn send(
    sender: &mpsc::Sender<Result<Bytes, Problem>>,
    mut batches: impl Stream<Item = Result<RecordBatch>> + Unpin,
    style: &RowStyle,
    format: Format,
) -> Result<End> {
    let mut encoder = Encoder::new(format, style)?;
    let mut rows = 0;
    let mut bytes = encoder.begin();
    let mut begun = false;
    while let Some(batch) = tokio::select! {
        biased;
        () = sender.closed() => return Ok(End::Left),
        batch = batches.next() => batch,
    } {
        let batch = style.renamed(batch?)?;
        rows += batch.num_rows() as u64;
        bytes.extend(encoder.batch(&batch)?);
        // The first part goes out with the first batch: until then an error can still be answered.
        if (!bytes.is_empty() || !begun) && sender.send(Ok(std::mem::take(&mut bytes).into())).await.is_err() {
            return Ok(End::Left);
        }
        begun = true;
    }
    bytes.extend(encoder.end()?);
    match sender.send(Ok(bytes.into())).await {
        Ok(()) => Ok(End::Complete { rows }),
        Err(_) => Ok(End::Left),
    }
}
