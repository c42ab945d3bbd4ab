//! A running plan.
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use firesteel_plan::{Literal, Result, SparkError, StructType};
use futures::{Stream, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::jobs::Job;

pub type BatchStream = Pin<Box<dyn Stream<Item = Result<RecordBatch>> + Send>>;

/// How a plan is run.
#[derive(Debug, Clone, Default)]
pub struct ExecuteOptions {
    pub operation_id: String,
    pub tags: Vec<String>,
    /// Shown as the job's name; empty: the engine describes the plan.
    pub description: String,
    /// Stops the work, planning too. The stream then answers `OPERATION_CANCELED`.
    pub cancel: CancellationToken,
}

/// The values of one `df.observe`.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedMetrics {
    pub name: String,
    pub plan_id: i64,
    pub values: Vec<(String, Literal)>,
}

/// A plan that runs: dropping it stops the work.
pub struct Execution {
    /// The Spark schema, with the names a user sees.
    pub schema: StructType,
    /// The schema of the batches (same names and types as Arrow has them).
    pub arrow_schema: SchemaRef,
    /// Pull-driven: nothing is computed far ahead of the reader.
    pub batches: BatchStream,
    /// `None` for statements that need no job.
    pub job: Option<Arc<Job>>,
    /// Of the Delta table that a query reads, where it reads one.
    pub delta_version: Option<u64>,
    /// Filled when the stream has ended.
    pub observed: Arc<Mutex<Vec<ObservedMetrics>>>,
}

impl Execution {
    /// An answer that is there already.
    pub fn of_batches(schema: StructType, arrow_schema: SchemaRef, batches: Vec<RecordBatch>) -> Self {
        let batches = futures::stream::iter(batches.into_iter().map(Ok)).boxed();
        Self { schema, arrow_schema, batches, job: None, delta_version: None, observed: Arc::default() }
    }

    /// A command's answer without columns.
    pub fn empty() -> Self {
        Self::of_batches(StructType::default(), Arc::new(arrow::datatypes::Schema::empty()), vec![])
    }

    /// All batches. Only for results known to be small; everything else streams.
    pub async fn collect(self) -> Result<Vec<RecordBatch>> {
        self.batches.try_collect().await
    }
}

impl std::fmt::Debug for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Execution").field("schema", &self.schema).field("job", &self.job).finish_non_exhaustive()
    }
}

pub fn cancelled() -> SparkError {
    SparkError::of("OPERATION_CANCELED")
}

/// Runs `work` unless `cancel` fires first.
pub async fn unless_cancelled<T>(cancel: &CancellationToken, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(cancelled()),
        result = work => result,
    }
}
