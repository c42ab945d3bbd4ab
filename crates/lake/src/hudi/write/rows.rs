//! Rows as files: those of a group that changes go to its next base file, or to its next log in a merge-on-read table; the
//! others go to base files of new groups.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{SortOptions, cast, filter_record_batch, is_not_null, is_null, partition};
use arrow::datatypes::{DataType, Int32Type};
use async_trait::async_trait;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::{Location, store_error};
use futures::StreamExt;
use object_store::buffered::BufWriter;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use uuid::Uuid;

use super::commits::{FileStat, LogStat};
use super::encode::{FileEncoder, FileFormat};
use super::leftovers::{self, APPENDED, CREATED};
use super::logs::{LogEncoder, LogFormat};
use super::transaction::{HudiTransaction, State};
use super::{FileGroup, HudiDefinition, avro};
use crate::conf::Conf;
use crate::hudi::schema::OWN;
use crate::hudi::table::{HudiTable, META};
use crate::write::TaskOutput;
use crate::write::plan::{RunTask, run_tasks};

/// The columns of rows to write: the place of the group among those that change (none: a new one), then Hudi's own but the
/// name of the file; the table's follow. Time and number of a write are NULL in rows of this one. Rows for logs are of this
/// write alone; those that have [`DELETED`] or [`DELETED_BY_ORDER`] as their time are deletes.
const PLACE: usize = 0;
const COMMIT_TIME: usize = 1;
const SEQUENCE: usize = 2;
const KEY: usize = 3;
const PATH: usize = 4;
const DATA: usize = 5;
/// A delete of all that was there before, and one that leaves what has a greater value in the ordering column.
pub const DELETED: &str = "deleted";
pub const DELETED_BY_ORDER: &str = "deleted by order";
/// A new group gets no more rows from this size on.
const FULL_BYTES: u64 = 120 << 20;
const PART_BYTES: usize = 1 << 20;

/// Rows to write.
pub struct HudiRows {
    /// Groups that change: all of them are written anew, or those that get rows have another log
    pub touched: Vec<FileGroup>,
    pub appends: bool,
    /// How many rows of each of them are deleted, where that is known
    pub deleted: BTreeMap<usize, u64>,
    /// The place among the table's columns of one that has a value in all rows of this write
    pub ordering: Option<usize>,
    pub codec: String,
    pub conf: Conf,
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    pub(super) files: Vec<FileStat>,
}

impl Written {
    /// The partitions that got rows.
    pub fn partitions(&self) -> BTreeSet<&str> {
        self.files.iter().map(|file| file.partition.as_str()).collect()
    }

    /// Whether a group got a file.
    pub fn has(&self, group: &FileGroup) -> bool {
        self.files.iter().any(|file| file.group == group.id)
    }
}

/// Writes the rows of a plan. They are part of the table once the transaction is committed.
pub async fn write_rows(
    transaction: &Arc<HudiTransaction>,
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    rows: HudiRows,
    cancel: impl Future<Output = ()> + Send + 'static,
) -> Result<Written> {
    let plan = arranged(plan, &transaction.state, &rows)?;
    let job = Arc::new(Job::new(Arc::clone(transaction), rows)?);
    let (_caller, mut dropped) = watch::channel(());
    let unwanted = Box::pin(async move {
        tokio::select! {
            () = cancel => {}
            _ = dropped.changed() => {}
        }
    });
    // A task of its own, which ends in order where the caller is dropped.
    let work = tokio::spawn(async move {
        run_tasks(&plan, &context, &job, unwanted).await.map_err(|(error, _)| error)?;
        job.finish().await
    });
    work.await.unwrap_or_else(|e| Err(SparkError::internal("the write broke off").with_cause(e)))
}

/// The rows so that those of a file come together: in one partition of the plan, one after the other.
fn arranged(plan: Arc<dyn ExecutionPlan>, state: &State, rows: &HudiRows) -> Result<Arc<dyn ExecutionPlan>> {
    if rows.touched.is_empty() && state.definition.partition_by.is_empty() {
        return Ok(plan);
    }
    let failed = |error| crate::errors::from_datafusion(&error);
    let schema = plan.schema();
    let column = |index: usize| -> Arc<dyn PhysicalExpr> { Arc::new(Column::new(schema.field(index).name(), index)) };
    let order = [PATH, PLACE].map(|index| PhysicalSortExpr::new(column(index), SortOptions::default()));
    let count = plan.output_partitioning().partition_count();
    let plan: Arc<dyn ExecutionPlan> = match count {
        0 | 1 => plan,
        count => {
            let by_file = Partitioning::Hash(vec![column(PATH), column(PLACE)], count);
            Arc::new(RepartitionExec::try_new(plan, by_file).map_err(failed)?)
        }
    };
    let order = LexOrdering::new(order).ok_or_else(|| SparkError::internal("rows have no order"))?;
    Ok(Arc::new(SortExec::new(order, plan).with_preserve_partitioning(true)))
}

struct Job {
    transaction: Arc<HudiTransaction>,
    rows: HudiRows,
    format: FileFormat,
    logs: LogFormat,
    /// Positions and names of the data columns that take no NULL
    required: Vec<(usize, String)>,
    done: Mutex<Vec<FileStat>>,
    /// Groups whose next file was written
    written: Mutex<BTreeSet<usize>>,
}

impl Job {
    fn new(transaction: Arc<HudiTransaction>, rows: HudiRows) -> Result<Self> {
        let schema = &transaction.state.schema;
        let columns: StructType = HudiTable::columns_of(schema)?;
        let data = columns.fields.iter().skip(OWN.len()).enumerate();
        let required = data.filter(|(_, field)| !field.nullable).map(|(at, field)| (at, field.name.clone())).collect();
        let with_own = avro::with_own_columns(schema)?;
        let logs = LogFormat::new(with_own.clone(), &transaction.state.instant)?;
        let format = FileFormat::new(&columns, with_own, &rows.codec, &rows.conf)?;
        Ok(Self { transaction, rows, format, logs, required, done: Mutex::default(), written: Mutex::default() })
    }

    fn state(&self) -> &State {
        &self.transaction.state
    }

    /// Groups of which no row is left get a file without rows.
    async fn finish(&self) -> Result<Written> {
        let written = std::mem::take(&mut *self.written.lock());
        let anew = if self.rows.appends { 0 } else { self.rows.touched.len() };
        for place in (0..anew).filter(|place| !written.contains(place)) {
            let mut task = Task::new(self, 0);
            task.open(self.rows.touched[place].partition.clone(), Some(place)).await?;
            task.close().await?;
        }
        Ok(Written { files: std::mem::take(&mut *self.done.lock()) })
    }
}

#[async_trait]
impl RunTask for Job {
    async fn run_task(
        &self,
        partition: usize,
        _attempt: usize,
        mut rows: SendableRecordBatchStream,
    ) -> Result<TaskOutput> {
        let mut task = Task::new(self, partition);
        let done = async {
            while let Some(batch) = rows.next().await {
                task.write(&batch.map_err(|e| crate::errors::from_datafusion(&e))?).await?;
            }
            task.close().await
        };
        if let Err(error) = done.await {
            if let Some(mut file) = task.file.take() {
                // What cannot be aborted was not visible either.
                let _ = file.sink.abort().await;
            }
            return Err(error);
        }
        Ok(TaskOutput::default())
    }
}

/// Rows of one partition of the plan.
struct Task<'a> {
    job: &'a Job,
    partition: usize,
    /// Files that were begun, and rows of this write
    files: usize,
    rows: u64,
    file: Option<OpenFile>,
    /// Partitions that are known to say that they are ones
    marked: BTreeSet<String>,
}

struct OpenFile {
    place: Option<usize>,
    stat: FileStat,
    location: Location,
    encoder: AnyEncoder,
    sink: BufWriter,
}

enum AnyEncoder {
    Base(Box<FileEncoder>),
    Log(Box<LogEncoder>),
}

impl AnyEncoder {
    fn write(&mut self, columns: &[ArrayRef], rows: usize, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Base(base) => base.write(columns, rows, out),
            Self::Log(log) => log.write(columns, rows, out),
        }
    }

    fn finish(self, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Base(base) => base.finish(out),
            Self::Log(mut log) => log.finish(out),
        }
    }
}

impl<'a> Task<'a> {
    fn new(job: &'a Job, partition: usize) -> Self {
        Self { job, partition, files: 0, rows: 0, file: None, marked: BTreeSet::new() }
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let failed = |e| SparkError::internal("rows of a Hudi table").with_cause(e);
        let runs = partition(&[Arc::clone(batch.column(PATH)), Arc::clone(batch.column(PLACE))]).map_err(failed)?;
        for run in runs.ranges() {
            self.write_run(batch, run).await?;
        }
        Ok(())
    }

    /// Rows of one file, or of new groups of one partition.
    async fn write_run(&mut self, batch: &RecordBatch, run: Range<usize>) -> Result<()> {
        let rows = batch.slice(run.start, run.len());
        let places = rows.column(PLACE).as_primitive::<Int32Type>();
        let place = places.is_valid(0).then(|| usize::try_from(places.value(0)).unwrap_or_default());
        let paths = texts(rows.column(PATH))?;
        let path = paths.value(0).to_string();
        let is_full = |file: &OpenFile| place.is_none() && file.stat.bytes >= FULL_BYTES;
        let fits = |file: &OpenFile| file.place == place && file.stat.partition == path && !is_full(file);
        if !self.file.as_ref().is_some_and(fits) {
            self.close().await?;
            self.open(path, place).await?;
        }
        match place.is_some() && self.job.rows.appends {
            true => self.append_changes(&rows).await,
            false => self.append(&rows).await,
        }
    }

    /// Records and deletes of a log.
    async fn append_changes(&mut self, rows: &RecordBatch) -> Result<()> {
        let failed = |e| SparkError::internal("changes of a Hudi table").with_cause(e);
        let fates = rows.column(COMMIT_TIME);
        let deleted = filter_record_batch(rows, &is_not_null(fates).map_err(failed)?).map_err(failed)?;
        let fates = texts(deleted.column(COMMIT_TIME))?;
        let (keys, by_order) = (texts(deleted.column(KEY))?, self.job.rows.ordering);
        for row in 0..deleted.num_rows() {
            let orders = by_order.filter(|_| fates.value(row) == DELETED_BY_ORDER);
            let orders = orders.map(|at| deleted.column(DATA + at).slice(row, 1));
            if orders.as_ref().is_some_and(|orders| orders.is_null(0)) {
                return Err(no_order(&self.job.state().definition));
            }
            if let Some(OpenFile { encoder: AnyEncoder::Log(log), stat, .. }) = &mut self.file {
                log.delete(&keys.slice(row, 1), &stat.partition, orders.as_ref())?;
                stat.deletes += 1;
            }
        }
        let records = filter_record_batch(rows, &is_null(rows.column(COMMIT_TIME)).map_err(failed)?).map_err(failed)?;
        if records.num_rows() == 0 { Ok(()) } else { self.append(&records).await }
    }

    async fn append(&mut self, rows: &RecordBatch) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let state = &self.job.transaction.state;
        check_required(rows, &self.job.required)?;
        let orders = self.job.rows.ordering.map(|at| rows.column(DATA + at));
        let (times, numbers) = (texts(rows.column(COMMIT_TIME))?, texts(rows.column(SEQUENCE))?);
        let keys = texts(rows.column(KEY))?;
        let makes_keys = state.definition.record_keys.is_empty();
        let count = rows.num_rows();
        let (mut new_times, mut new_numbers, mut new_keys) = (vec![], vec![], vec![]);
        for row in 0..count {
            let is_new = times.is_null(row);
            if is_new && orders.is_some_and(|orders| orders.is_null(row)) {
                return Err(no_order(&state.definition));
            }
            let number = match is_new {
                true => {
                    let number = format!("{}_{}_{}", state.instant, self.partition, self.rows);
                    self.rows += 1;
                    number
                }
                false => numbers.value(row).to_string(),
            };
            let key = match (keys.is_valid(row) && !keys.value(row).is_empty(), makes_keys) {
                (true, _) => keys.value(row).to_string(),
                (false, true) => number.clone(),
                (false, false) => return Err(no_key(&state.definition.record_keys)),
            };
            match (is_new, file.place) {
                (true, Some(_)) => file.stat.updates += 1,
                (true, None) => file.stat.inserts += 1,
                (false, _) => {}
            }
            new_times.push(if is_new { state.instant.clone() } else { times.value(row).to_string() });
            new_numbers.push(number);
            new_keys.push(key);
        }
        let text = |values: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        // As Hudi does it, records of logs have their group there.
        let stored_in = if file.stat.log.is_some() { &file.stat.group } else { &file.stat.name };
        let name: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(stored_in, count)));
        let paths = Arc::clone(rows.column(PATH));
        let mut columns = vec![text(new_times), text(new_numbers), text(new_keys), paths, name];
        columns.extend(rows.columns().iter().skip(DATA).cloned());
        let mut out = vec![];
        file.encoder.write(&columns, count, &mut out)?;
        file.stat.rows += count as u64;
        file.put(&out).await
    }

    async fn open(&mut self, partition: String, place: Option<usize>) -> Result<()> {
        let state = self.job.state();
        if self.marked.insert(partition.clone()) {
            check_path(&partition)?;
            state.mark_partition(&partition).await?;
        }
        let before = place.and_then(|place| self.job.rows.touched.get(place));
        let group = before.map_or_else(|| format!("{}-0", Uuid::new_v4()), |before| before.id.clone());
        let (task, file) = (self.partition, self.files);
        self.files += 1;
        let changes = before.filter(|_| self.job.rows.appends);
        let (name, log) = match changes {
            None => (format!("{group}_{task}-0-{file}_{}.parquet", state.instant), None),
            Some(before) => {
                let (instant, number) = state.next_log(before);
                // The time of day keeps apart what writers with the same number of a log have written.
                let time = leftovers::time_of(&state.instant);
                let name = format!(".{group}_{instant}.log.{number}_{task}-{time}-{file}");
                let earlier = before.logs.iter().map(|log| log.location.name().to_string()).collect();
                (name, Some(LogStat { number, earlier }))
            }
        };
        let path = if partition.is_empty() { name.clone() } else { format!("{partition}/{name}") };
        let kind = match (before, changes) {
            // Hudi's rollback takes logs that name their slice for nothing else.
            (_, Some(_)) if !state.table.timeline().has_completions => APPENDED,
            (None, _) | (_, Some(_)) => CREATED,
            (Some(_), None) => "MERGE",
        };
        let location = state.mark(&path, kind).await?;
        let files = state.table.files();
        let part_bytes = files.uploads().map_or(PART_BYTES, |uploads| uploads.part_bytes());
        let sink = BufWriter::with_capacity(files.object_store(), location.object_path()?, part_bytes);
        let deletes = place.and_then(|place| self.job.rows.deleted.get(&place)).copied().unwrap_or_default();
        let encoder = match log {
            Some(_) => AnyEncoder::Log(Box::new(self.job.logs.file()?)),
            None => AnyEncoder::Base(Box::new(self.job.format.file()?)),
        };
        let before = before.map(|before| (before.instant.clone(), before.base.location.name().to_string()));
        let stat = FileStat { partition, group, name, before, deletes, log, ..FileStat::default() };
        self.file = Some(OpenFile { place, stat, location, encoder, sink });
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let place = file.place;
        let stat = file.close().await?;
        self.job.done.lock().push(stat);
        self.job.written.lock().extend(place);
        Ok(())
    }
}

impl OpenFile {
    async fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.stat.bytes += bytes.len() as u64;
        self.sink.write_all(bytes).await.map_err(|e| failed(&self.location, &e))
    }

    async fn close(mut self) -> Result<FileStat> {
        let mut out = vec![];
        self.encoder.finish(&mut out)?;
        self.stat.bytes += out.len() as u64;
        self.sink.write_all(&out).await.map_err(|e| failed(&self.location, &e))?;
        self.sink.shutdown().await.map_err(|e| failed(&self.location, &e))?;
        Ok(self.stat)
    }
}

fn failed(place: &Location, error: &std::io::Error) -> SparkError {
    match firesteel_storage::store_failure(error) {
        Some(failure) if place.scheme() != "file" => store_error("write", place, failure),
        _ => SparkError::new("TASK_WRITE_FAILED", [("path", place.to_string())]).with_cause(error),
    }
}

fn texts(column: &ArrayRef) -> Result<StringArray> {
    let texts =
        cast(column, &DataType::Utf8).map_err(|e| SparkError::internal("texts of a Hudi table").with_cause(e))?;
    Ok(texts.as_string::<i32>().clone())
}

/// A partition is a directory below the table, and none that Hudi keeps for itself.
fn check_path(partition: &str) -> Result<()> {
    let is_wrong = |part: &str| part.is_empty() || [".", "..", META].contains(&part);
    match !partition.is_empty() && partition.split('/').any(is_wrong) {
        true => Err(SparkError::unsupported(format!("the partition `{partition}` of a Hudi table"))),
        false => Ok(()),
    }
}

fn check_required(rows: &RecordBatch, required: &[(usize, String)]) -> Result<()> {
    for (at, name) in required {
        if rows.column(DATA + at).null_count() > 0 {
            return Err(SparkError::new("NOT_NULL_ASSERT_VIOLATION", [("walkedTypePath", format!("\n{name}\n"))]));
        }
    }
    Ok(())
}

fn no_order(definition: &HudiDefinition) -> SparkError {
    let column = definition.ordering.as_deref().unwrap_or_default();
    let text = format!("The precombine field {column} of a Hudi table cannot be null");
    SparkError::java(firesteel_plan::JavaException::IllegalArgument, text)
}

fn no_key(columns: &[String]) -> SparkError {
    let text = format!("recordKey values for fields: [{}] cannot be null or empty", columns.join(", "));
    SparkError::java(firesteel_plan::JavaException::IllegalArgument, text)
}
