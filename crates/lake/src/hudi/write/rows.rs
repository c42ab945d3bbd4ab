//! Rows as base files: those of a group that is written anew go to its next file, the others to new groups.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{SortOptions, cast, partition};
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

use super::commits::FileStat;
use super::encode::{FileEncoder, FileFormat};
use super::transaction::{HudiTransaction, State};
use super::{FileGroup, HudiDefinition, avro};
use crate::conf::Conf;
use crate::hudi::schema::OWN;
use crate::hudi::table::{HudiTable, META};
use crate::write::TaskOutput;
use crate::write::plan::{RunTask, run_tasks};

/// The columns of rows to write: the place of the group among those that are written anew (none: a new one), then Hudi's
/// own but the name of the file; the table's follow. Time and number of a write are NULL in rows of this one.
const PLACE: usize = 0;
const COMMIT_TIME: usize = 1;
const SEQUENCE: usize = 2;
const KEY: usize = 3;
const PATH: usize = 4;
const DATA: usize = 5;
/// A new group gets no more rows from this size on.
const FULL_BYTES: u64 = 120 << 20;
const PART_BYTES: usize = 1 << 20;

/// Rows to write.
pub struct HudiRows {
    /// Groups that are written anew
    pub touched: Vec<FileGroup>,
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
        let format = FileFormat::new(&columns, avro::with_own_columns(schema)?, &rows.codec, &rows.conf)?;
        Ok(Self { transaction, rows, format, required, done: Mutex::default(), written: Mutex::default() })
    }

    fn state(&self) -> &State {
        &self.transaction.state
    }

    /// Groups of which no row is left get a file without rows.
    async fn finish(&self) -> Result<Written> {
        let written = std::mem::take(&mut *self.written.lock());
        for place in (0..self.rows.touched.len()).filter(|place| !written.contains(place)) {
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
    encoder: FileEncoder,
    sink: BufWriter,
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
        self.append(&rows).await
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
        let name: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&file.stat.name, count)));
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
        let name = format!("{group}_{}-0-{}_{}.parquet", self.partition, self.files, state.instant);
        self.files += 1;
        let path = if partition.is_empty() { name.clone() } else { format!("{partition}/{name}") };
        let location = state.mark(&path, before.is_none()).await?;
        let files = state.table.files();
        let part_bytes = files.uploads().map_or(PART_BYTES, |uploads| uploads.part_bytes());
        let sink = BufWriter::with_capacity(files.object_store(), location.object_path()?, part_bytes);
        let deletes = place.and_then(|place| self.job.rows.deleted.get(&place)).copied().unwrap_or_default();
        let before = before.map(|before| (before.instant.clone(), before.base.location.name().to_string()));
        let stat = FileStat { partition, group, name, before, deletes, ..FileStat::default() };
        self.file = Some(OpenFile { place, stat, location, encoder: self.job.format.file()?, sink });
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
