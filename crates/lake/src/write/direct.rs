//! Writing files where they stay. A table with a log shows no file before the log names it, so nothing is moved.
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::execution::{SendableRecordBatchStream, TaskContext as QueryContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use firesteel_functions::types::to_arrow_schema;
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::{FileSystem, Location};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

use super::commit::{StagedFile, TaskOutput};
use super::describe::Description;
use super::guard::RowGuard;
use super::plan::{RunTask, ordered, run_tasks};
use super::sink::Destination;
use super::task::{self, TaskContext};
use crate::convert::with_names;
use crate::format;
use crate::request::WriteRequest;

/// Files below `request.path`, whose log will name them.
pub(crate) struct DirectRequest {
    pub request: WriteRequest,
    /// What the log says of each file
    pub description: Description,
    pub guard: RowGuard,
    /// The names of `request.schema` are not those of the rows.
    pub is_mapped: bool,
    /// The last column of the rows is an INT that says what becomes of a row: it is counted by its value, and rows with
    /// a value below zero are not written.
    pub has_actions: bool,
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct DirectSummary {
    pub files: Vec<StagedFile>,
    /// Rows by the value of the action column.
    pub actions: BTreeMap<i32, u64>,
}

pub(crate) struct DirectJob {
    file_system: Arc<dyn FileSystem>,
    root: Location,
    task: TaskContext,
    guard: Arc<RowGuard>,
    /// The columns as the files name them, where these are names of their own.
    stored: Option<SchemaRef>,
    has_actions: bool,
    actions: Mutex<BTreeMap<i32, u64>>,
}

impl DirectJob {
    fn start(direct: DirectRequest) -> Result<Self> {
        let request = &direct.request;
        let described = direct.description;
        let root = Location::parse(&request.path)?;
        let file_system = request.storage.file_system(&root)?;
        let data_schema: StructType = super::job::data_schema(request)?;
        let format = format::make(&request.format, &request.options, &request.conf)?;
        format::check_duplicates(&request.schema, &request.conf)?;
        format::check_types(format.as_ref(), &request.format, &data_schema)?;
        let writer = format.writer(&data_schema, request)?;
        let task = TaskContext::new(request, data_schema.clone(), writer, Uuid::new_v4())?;
        Ok(Self {
            file_system,
            root,
            task: task.described(described, data_schema),
            guard: Arc::new(direct.guard),
            stored: direct.is_mapped.then(|| Arc::new(to_arrow_schema(&request.schema))),
            has_actions: direct.has_actions,
            actions: Mutex::default(),
        })
    }

    /// Writes all rows of a plan. A failure removes what was written.
    pub(crate) async fn run(
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<QueryContext>,
        direct: DirectRequest,
        cancel: impl Future<Output = ()> + Send + 'static,
    ) -> Result<DirectSummary> {
        let plan = ordered(plan, &direct.request)?;
        let (_caller, mut dropped) = watch::channel(());
        let unwanted = Box::pin(async move {
            tokio::select! {
                () = cancel => {}
                _ = dropped.changed() => {}
            }
        });
        let work = tokio::spawn(async move {
            let job = Arc::new(Self::start(direct)?);
            match run_tasks(&plan, &context, &job, unwanted).await {
                Ok(outputs) => Ok(DirectSummary {
                    files: outputs.into_iter().flat_map(|output| output.files).collect(),
                    actions: std::mem::take(&mut job.actions.lock()),
                }),
                Err((error, outputs)) => {
                    let files: Vec<_> = outputs.into_iter().flat_map(|output| output.files).collect();
                    remove(job.file_system.as_ref(), &job.root, &files).await;
                    Err(error)
                }
            }
        });
        work.await.unwrap_or_else(|e| Err(SparkError::internal("the write broke off").with_cause(e)))
    }
}

/// Removes files that no log names. What cannot be removed is for VACUUM.
pub(crate) async fn remove(files: &dyn FileSystem, root: &Location, written: &[StagedFile]) {
    for file in written {
        let _ = files.delete(&root.join(&file.path)).await;
    }
}

#[async_trait]
impl RunTask for DirectJob {
    async fn run_task(&self, partition: usize, _attempt: usize, rows: SendableRecordBatchStream) -> Result<TaskOutput> {
        let counts: Arc<Mutex<BTreeMap<i32, u64>>> = Arc::default();
        let rows = if self.has_actions { acted(rows, Arc::clone(&counts)) } else { rows };
        let rows = self.guard.applied(rows);
        let rows = match &self.stored {
            Some(stored) => named(rows, Arc::clone(stored)),
            None => rows,
        };
        let files =
            task::run(&self.task, Destination::Directory(self.file_system.as_ref(), &self.root), partition, rows)
                .await?;
        let mut all = self.actions.lock();
        for (action, count) in counts.lock().iter() {
            *all.entry(*action).or_default() += count;
        }
        Ok(TaskOutput { directory: String::new(), files })
    }
}

/// Rows whose nested fields have the names of `stored`, column by column.
fn named(rows: SendableRecordBatchStream, stored: SchemaRef) -> SendableRecordBatchStream {
    let have = rows.schema();
    let fields = have.fields().iter().zip(stored.fields());
    let fields = fields.map(|(have, want)| have.as_ref().clone().with_data_type(want.data_type().clone()));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let named_schema = Arc::clone(&schema);
    let stream = rows.map(move |batch| {
        let batch = batch?;
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns.map(|(column, field)| with_names(column, field.data_type()));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?)
    });
    Box::pin(RecordBatchStreamAdapter::new(named_schema, stream))
}

/// Counts rows by their action, and drops those that are deleted.
fn acted(rows: SendableRecordBatchStream, counts: Arc<Mutex<BTreeMap<i32, u64>>>) -> SendableRecordBatchStream {
    let schema = rows.schema();
    let stream = rows.map(move |batch| {
        let batch = batch?;
        let Some(last) = batch.columns().last() else { return Ok(batch) };
        let Some(actions) = last.as_primitive_opt::<Int32Type>() else {
            return datafusion::common::internal_err!("the action of a row is no INT");
        };
        let mut counts = counts.lock();
        for action in actions.iter().flatten() {
            *counts.entry(action).or_default() += 1;
        }
        if actions.null_count() == 0 && actions.values().iter().all(|action| *action >= 0) {
            return Ok(batch);
        }
        let kept: BooleanArray = actions.iter().map(|action| Some(action.is_none_or(|action| action >= 0))).collect();
        let kept: RecordBatch = filter_record_batch(&batch, &kept)?;
        Ok(kept)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, stream))
}
