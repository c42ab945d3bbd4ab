//! One task: rows of one input partition → files in the staging directory.
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatchOptions;
use datafusion::execution::SendableRecordBatchStream;
use firesteel_functions::types::to_arrow_fields;
use firesteel_plan::{Result, SparkError, StructType};
use futures::StreamExt;
use indexmap::IndexMap;
use uuid::Uuid;

use super::bucket::bucket_ids;
use super::commit::StagedFile;
use super::sink::{Destination, FLUSH_BYTES, Sink};
use super::{Description, Encoder, WriterFactory};
use crate::files::partition_path;
use crate::partition_text::partition_texts;
use crate::request::{Bucketing, WriteRequest};

/// What all tasks of a write share.
#[derive(Debug)]
pub(super) struct TaskContext {
    writer: Arc<dyn WriterFactory>,
    job: Uuid,
    /// Schema of the files.
    data: SchemaRef,
    /// Positions of the data columns in the input.
    data_columns: Vec<usize>,
    /// Name and position of each partition column.
    partition_columns: Vec<(String, usize)>,
    partition_types: Vec<firesteel_plan::DataType>,
    bucketing: Option<(Bucketing, Vec<usize>)>,
    max_records: u64,
    time_zone: String,
    /// For a table whose log describes its files: how, and the schema of the files.
    described: Option<(Description, StructType)>,
}

impl TaskContext {
    pub(super) fn new(
        request: &WriteRequest,
        data_schema: StructType,
        writer: Arc<dyn WriterFactory>,
        job: Uuid,
    ) -> Result<Self> {
        let partition_columns: Vec<(String, usize)> = request
            .partition_by
            .iter()
            .map(|column| Ok((column.clone(), super::plan::position(request, column)?)))
            .collect::<Result<_>>()?;
        let all = 0..request.schema.fields.len();
        let data_columns = all.filter(|index| !partition_columns.iter().any(|(_, p)| p == index)).collect();
        let bucketing = request.bucketing.as_ref().map(|spec| {
            let positions = spec.columns.iter().map(|column| super::plan::position(request, column));
            Ok::<_, SparkError>((spec.clone(), positions.collect::<Result<Vec<_>>>()?))
        });
        let max_records = match request.options.integer("maxRecordsPerFile")? {
            Some(limit) => limit,
            None => request.conf.integer("spark.sql.files.maxRecordsPerFile", 0)?,
        };
        let partition_types =
            partition_columns.iter().map(|(_, p)| request.schema.fields[*p].data_type.clone()).collect();
        Ok(Self {
            writer,
            job,
            data: Arc::new(Schema::new(to_arrow_fields(&data_schema))),
            data_columns,
            partition_columns,
            partition_types,
            bucketing: bucketing.transpose()?,
            max_records: u64::try_from(max_records).ok().filter(|limit| *limit > 0).unwrap_or(u64::MAX),
            time_zone: request.options.get("timeZone").unwrap_or(request.conf.time_zone()).to_string(),
            described: None,
        })
    }

    /// The same for a table with a log: the columns of files are described for it, and times in partition values
    /// are those of UTC.
    pub(super) fn described(self, how: Description, data_schema: StructType) -> Self {
        Self { described: Some((how, data_schema)), time_zone: "UTC".into(), ..self }
    }

    /// A partition value as the log and the directory have it.
    fn partition_text(&self, text: String, data_type: &firesteel_plan::DataType) -> String {
        match (&self.described, data_type) {
            (Some(_), firesteel_plan::DataType::Timestamp) => format!("{}Z", text.replacen(' ', "T", 1)),
            _ => text,
        }
    }

    /// `part-00000-<job>_00003.c000.snappy.parquet`
    fn file_name(&self, partition: usize, bucket: Option<u32>, counter: usize) -> String {
        let bucket = bucket.map(|id| format!("_{id:05}")).unwrap_or_default();
        let dash = if bucket.is_empty() && self.partition_columns.is_empty() { "-" } else { "." };
        format!("part-{partition:05}-{}{bucket}{dash}c{counter:03}{}", self.job, self.writer.extension())
    }

    /// The columns of the files, with their exact Arrow fields.
    fn data_batch(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = self
            .data_columns
            .iter()
            .zip(self.data.fields())
            .map(|(index, field)| crate::convert::convert(batch.column(*index), field.data_type(), true))
            .collect::<Result<_, _>>()
            .map_err(|e| SparkError::internal("a column has an unexpected type").with_cause(e))?;
        // Nullability is the table's affair here; a null in a non-null column was refused before.
        let fields: Vec<_> = self.data.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|e| SparkError::internal("the rows do not fit the table").with_cause(e))
    }
}

/// Which file a row goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    partition: Vec<Option<String>>,
    bucket: Option<u32>,
}

/// Runs a task; answers the files it wrote.
pub(super) async fn run(
    context: &TaskContext,
    destination: Destination<'_>,
    partition: usize,
    rows: SendableRecordBatchStream,
) -> Result<Vec<StagedFile>> {
    let mut task = Task { context, destination, partition, open: IndexMap::new(), counter: 0, done: vec![] };
    match task.write_all(rows).await {
        Ok(()) => Ok(task.done),
        Err(error) => {
            for (_, file) in task.open.drain(..) {
                file.sink.abort().await;
            }
            Err(error)
        }
    }
}

struct Task<'a> {
    context: &'a TaskContext,
    destination: Destination<'a>,
    partition: usize,
    /// Files of the current partition: one, or one per bucket.
    open: IndexMap<Key, OpenFile>,
    counter: usize,
    done: Vec<StagedFile>,
}

impl Task<'_> {
    async fn write_all(&mut self, mut rows: SendableRecordBatchStream) -> Result<()> {
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(|e| crate::errors::from_datafusion(&e))?;
            self.write(&batch).await?;
        }
        // A write without partitions has at least one file, which holds the schema.
        let is_partitioned = !self.context.partition_columns.is_empty();
        if !is_partitioned && self.done.is_empty() && self.open.is_empty() && self.partition == 0 {
            let key = Key { partition: vec![], bucket: None };
            let file = self.open_file(&key).await?;
            self.open.insert(key, file);
        }
        self.close_all().await
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let data = self.context.data_batch(batch)?;
        if self.context.partition_columns.is_empty() && self.context.bucketing.is_none() {
            return self.append(&Key { partition: vec![], bucket: None }, data).await;
        }
        for (key, indices) in self.keys(batch)? {
            if self.open.keys().next().is_some_and(|current| current.partition != key.partition) {
                self.close_all().await?;
            }
            let whole = indices.len() == data.num_rows();
            let rows = if whole { data.clone() } else { take(&data, indices)? };
            self.append(&key, rows).await?;
        }
        Ok(())
    }

    /// Rows by file, in the order in which their partitions come: the input is sorted by them.
    fn keys(&self, batch: &RecordBatch) -> Result<IndexMap<Key, Vec<u32>>> {
        let context = self.context;
        let columns: Vec<Vec<Option<String>>> = context
            .partition_columns
            .iter()
            .zip(&context.partition_types)
            .map(|((_, p), data_type)| {
                let texts = partition_texts(batch.column(*p), data_type, &context.time_zone)?;
                let text = |text: Option<String>| text.map(|text| context.partition_text(text, data_type));
                Ok(texts.into_iter().map(text).collect())
            })
            .collect::<Result<_>>()?;
        let buckets = match &context.bucketing {
            Some((spec, positions)) => {
                let arrays: Vec<_> = positions.iter().map(|p| Arc::clone(batch.column(*p))).collect();
                Some(bucket_ids(&arrays, spec.num_buckets, batch.num_rows())?)
            }
            None => None,
        };
        let mut keys: IndexMap<Key, Vec<u32>> = IndexMap::new();
        for row in 0..batch.num_rows() {
            let key = Key {
                partition: columns.iter().map(|column| column[row].clone()).collect(),
                bucket: buckets.as_ref().map(|ids| ids[row]),
            };
            keys.entry(key).or_default().push(u32::try_from(row).unwrap_or(u32::MAX));
        }
        // Buckets of one partition must not be torn apart by another's.
        keys.sort_by(|a, _, b, _| a.partition.cmp(&b.partition));
        Ok(keys)
    }

    async fn append(&mut self, key: &Key, mut rows: RecordBatch) -> Result<()> {
        while rows.num_rows() > 0 {
            if !self.open.contains_key(key) {
                let file = self.open_file(key).await?;
                self.open.insert(key.clone(), file);
            }
            let Some(file) = self.open.get_mut(key) else { return Ok(()) };
            let room = usize::try_from(self.context.max_records - file.rows).unwrap_or(usize::MAX);
            let count = rows.num_rows().min(room);
            file.write(&rows.slice(0, count)).await?;
            rows = rows.slice(count, rows.num_rows() - count);
            if file.rows >= self.context.max_records
                && let Some(file) = self.open.shift_remove(key)
            {
                self.done.push(file.close().await?);
            }
        }
        Ok(())
    }

    async fn open_file(&mut self, key: &Key) -> Result<OpenFile> {
        let name = self.context.file_name(self.partition, key.bucket, self.counter);
        self.counter += 1;
        let columns = self.context.partition_columns.iter().map(|(column, _)| column.as_str());
        let directory = partition_path(columns.zip(key.partition.iter().map(Option::as_deref)));
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        let names = self.context.partition_columns.iter().map(|(column, _)| column.clone());
        Ok(OpenFile {
            encoder: self.context.writer.encoder()?,
            sink: self.destination.open(&path).await?,
            buffer: vec![],
            rows: 0,
            bytes: 0,
            path,
            partition: names.zip(key.partition.iter().cloned()).collect(),
            described: self.context.described.clone(),
            not_a_number: HashSet::new(),
        })
    }

    async fn close_all(&mut self) -> Result<()> {
        for (_, file) in self.open.drain(..) {
            self.done.push(file.close().await?);
        }
        if !self.context.partition_columns.is_empty() {
            self.counter = 0;
        }
        Ok(())
    }
}

fn take(batch: &RecordBatch, indices: Vec<u32>) -> Result<RecordBatch> {
    take_record_batch(batch, &UInt32Array::from(indices))
        .map_err(|e| SparkError::internal("cannot pick rows of a partition").with_cause(e))
}

struct OpenFile {
    encoder: Box<dyn Encoder>,
    sink: Sink,
    buffer: Vec<u8>,
    rows: u64,
    bytes: u64,
    path: String,
    partition: Vec<(String, Option<String>)>,
    described: Option<(Description, StructType)>,
    /// Columns of floats that hold NaN.
    not_a_number: HashSet<String>,
}

impl OpenFile {
    async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.described.is_some() {
            let floats = batch.schema_ref().fields().iter().zip(batch.columns()).filter(|(_, column)| has_nan(column));
            self.not_a_number.extend(floats.map(|(field, _)| field.name().clone()));
        }
        self.encoder.write(batch, &mut self.buffer)?;
        self.rows += batch.num_rows() as u64;
        if self.buffer.len() >= FLUSH_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        self.bytes += self.buffer.len() as u64;
        let written = self.sink.write(&self.buffer).await;
        self.buffer.clear();
        written
    }

    async fn close(mut self) -> Result<StagedFile> {
        self.encoder.finish(&mut self.buffer)?;
        self.flush().await?;
        let upload = self.sink.close().await?;
        let statistics = match (&self.described, self.encoder.footer()) {
            (Some((how, schema)), Some(footer)) => Some(how.of_file(footer, schema, &self.not_a_number)),
            _ => None,
        };
        let (path, rows, bytes, partition) = (self.path, self.rows, self.bytes, self.partition);
        Ok(StagedFile { path, rows, bytes, partition, statistics, upload })
    }
}

fn has_nan(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Float32 => column.as_primitive::<Float32Type>().iter().flatten().any(f32::is_nan),
        DataType::Float64 => column.as_primitive::<Float64Type>().iter().flatten().any(f64::is_nan),
        _ => false,
    }
}
