//! Rows that a session keeps: `persist`, `CACHE TABLE`, checkpoints.
//!
//! ```text
//!  persist(relation) ─▶ Cached (lazy) ── first scan ─▶ partitions: Vec<RecordBatch> (accounted in the pool)
//!                                                        └─ no room: Arrow files under spark.local.dir
//! ```
//!
//! The rows leave memory and disk when the entry is dropped and no plan reads it any more.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session as DfSession, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::datasource::MemTable;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use firesteel_analyze::{AnalyzedPlan, TableSource};
use firesteel_catalog::TableId;
use firesteel_functions::{external, types};
use firesteel_plan::{Relation, Result, SparkError, StructType};
use futures::TryStreamExt;
use parking_lot::{Mutex, RwLock};
use tokio::sync::OnceCell;

use crate::context::StatementContext;
use crate::error::{from_arrow, from_datafusion};
use crate::execution::unless_cancelled;
use crate::jobs::JobDescription;
use crate::session::StorageLevel;

/// Relations that one session may persist.
const ENTRIES_MAX: usize = 10_000;

/// What a session keeps.
#[derive(Default)]
pub struct Cache {
    relations: RwLock<Vec<(Relation, Arc<Cached>)>>,
    tables: RwLock<BTreeMap<TableId, Arc<Cached>>>,
    checkpoints: RwLock<BTreeMap<String, Arc<Cached>>>,
}

impl Cache {
    pub fn relation(&self, relation: &Relation) -> Option<Arc<Cached>> {
        let relations = self.relations.read();
        relations.iter().find(|(kept, _)| kept == relation).map(|(_, cached)| Arc::clone(cached))
    }

    pub fn put_relation(&self, relation: Relation, cached: Arc<Cached>) -> Result<()> {
        let mut relations = self.relations.write();
        if relations.len() >= ENTRIES_MAX {
            return Err(SparkError::unsupported(format!("more than {ENTRIES_MAX} persisted relations in a session")));
        }
        if !relations.iter().any(|(kept, _)| *kept == relation) {
            relations.push((relation, cached));
        }
        Ok(())
    }

    /// Puts `cached` in the place of what is kept of the relation, if anything is.
    pub fn replace_relation(&self, relation: &Relation, cached: &Arc<Cached>) {
        if let Some((_, kept)) = self.relations.write().iter_mut().find(|(kept, _)| kept == relation) {
            *kept = Arc::clone(cached);
        }
    }

    pub fn remove_relation(&self, relation: &Relation) -> bool {
        let mut relations = self.relations.write();
        let before = relations.len();
        relations.retain(|(kept, _)| kept != relation);
        relations.len() < before
    }

    pub fn table(&self, id: &TableId) -> Option<Arc<Cached>> {
        self.tables.read().get(&id.normalized()).cloned()
    }

    pub fn put_table(&self, id: &TableId, cached: Arc<Cached>) {
        self.tables.write().insert(id.normalized(), cached);
    }

    pub fn remove_table(&self, id: &TableId) -> bool {
        self.tables.write().remove(&id.normalized()).is_some()
    }

    /// The table changed: what was kept of it is read anew.
    pub fn invalidate_table(&self, id: &TableId) {
        if let Some(cached) = self.table(id) {
            self.put_table(id, Arc::new(cached.emptied()));
        }
        self.invalidate_relations();
    }

    /// Files changed below any of them.
    pub fn invalidate_all(&self) {
        for cached in self.tables.write().values_mut() {
            *cached = Arc::new(cached.emptied());
        }
        self.invalidate_relations();
    }

    /// Persisted relations may read what changed.
    pub fn invalidate_relations(&self) {
        for (_, cached) in self.relations.write().iter_mut() {
            *cached = Arc::new(cached.emptied());
        }
    }

    pub fn checkpoint(&self, id: &str) -> Option<Arc<Cached>> {
        self.checkpoints.read().get(id).cloned()
    }

    pub fn put_checkpoint(&self, id: String, cached: Arc<Cached>) {
        self.checkpoints.write().insert(id, cached);
    }

    pub fn remove_checkpoint(&self, id: &str) -> bool {
        self.checkpoints.write().remove(id).is_some()
    }

    /// Everything but checkpoints (`CLEAR CACHE`).
    pub fn clear_tables(&self) {
        self.relations.write().clear();
        self.tables.write().clear();
    }

    pub fn clear(&self) {
        self.clear_tables();
        self.checkpoints.write().clear();
    }
}

/// Marks the schema of kept rows, so that a plan shows where they come from.
const PERSISTED: &str = "firesteel.persisted";

/// Whether a scan reads kept rows.
pub fn is_persisted(schema: &SchemaRef) -> bool {
    schema.metadata().contains_key(PERSISTED)
}

/// A relation whose rows are kept from their first use on.
pub struct Cached {
    context: StatementContext,
    analyzed: AnalyzedPlan,
    pub level: StorageLevel,
    /// What it reads has changed: its plan knows the files and columns that were there before.
    pub is_stale: bool,
    schema: SchemaRef,
    rows: OnceCell<Kept>,
}

/// Materialised rows.
struct Kept {
    table: Arc<dyn TableProvider>,
    /// Gives the memory back when the entry goes.
    _memory: Option<MemoryReservation>,
    /// Removes the files when the entry goes.
    _files: Option<tempfile::TempDir>,
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("level", &self.level).field("filled", &self.rows.initialized()).finish()
    }
}

impl Cached {
    pub fn new(context: &StatementContext, analyzed: AnalyzedPlan, level: StorageLevel) -> Self {
        let mut context = context.clone();
        // The rows may be computed by a later statement: this one's cancellation is not theirs.
        context.cancel = context.session.closed_token();
        let schema = types::to_arrow_schema(&analyzed.schema);
        let fields = schema.fields().iter().enumerate();
        let fields: Vec<_> =
            fields.map(|(i, f)| f.as_ref().clone().with_name(format!("c{i}")).with_nullable(true)).collect();
        let metadata = [(PERSISTED.to_string(), String::new())].into();
        let schema = Arc::new(arrow::datatypes::Schema::new_with_metadata(fields, metadata));
        Self { context, analyzed, level, is_stale: false, schema, rows: OnceCell::new() }
    }

    /// The same relation, to be analyzed anew at its next use.
    fn emptied(&self) -> Self {
        Self { is_stale: true, ..Self::new(&self.context, self.analyzed.clone(), self.level) }
    }

    /// The source that reads the kept rows, computing them first where need be.
    pub fn source(self: &Arc<Self>, qualifier: Vec<String>) -> TableSource {
        TableSource::Provider {
            provider: Arc::new(CachedTable(Arc::clone(self))),
            schema: self.analyzed.schema.clone(),
            metadata: StructType::default(),
            qualifier,
        }
    }

    /// Computes and keeps the rows, once.
    pub async fn fill(&self) -> Result<()> {
        self.rows.get_or_try_init(|| self.compute()).await.map(|_| ())
    }

    async fn compute(&self) -> Result<Kept> {
        let description = JobDescription { description: "persist".into(), ..Default::default() };
        let (kept, _) = crate::run::run_job(&self.context, &self.analyzed, description, async |planned| {
            unless_cancelled(&self.context.cancel, self.keep(&planned.plan, &planned.task)).await
        })
        .await?;
        Ok(kept)
    }

    async fn keep(&self, plan: &Arc<dyn ExecutionPlan>, task: &Arc<TaskContext>) -> Result<Kept> {
        let memory = MemoryConsumer::new("persisted rows").register(task.memory_pool());
        let count = plan.output_partitioning().partition_count();
        let store = Arc::new(Store::new(memory, Arc::clone(&self.schema), self.level.use_memory));
        let mut partitions: Vec<Partition> = vec![];
        for index in 0..count {
            let mut stream = plan.execute(index, Arc::clone(task)).map_err(from_datafusion)?;
            let mut partition = Partition::default();
            while let Some(batch) = stream.try_next().await.map_err(from_datafusion)? {
                store.add(&mut partition, batch)?;
            }
            partition.finish()?;
            partitions.push(partition);
        }
        store.into_kept(partitions)
    }
}

/// Where batches go while an entry is filled: memory while the pool gives some, then files.
struct Store {
    memory: Mutex<Option<MemoryReservation>>,
    files: Mutex<Option<tempfile::TempDir>>,
    schema: SchemaRef,
    use_memory: bool,
}

#[derive(Default)]
struct Partition {
    batches: Vec<RecordBatch>,
    writer: Option<arrow::ipc::writer::FileWriter<std::fs::File>>,
    path: Option<std::path::PathBuf>,
}

impl Partition {
    fn finish(&mut self) -> Result<()> {
        match self.writer.take() {
            Some(mut writer) => writer.finish().map_err(from_arrow),
            None => Ok(()),
        }
    }
}

impl Store {
    fn new(memory: MemoryReservation, schema: SchemaRef, use_memory: bool) -> Self {
        Self { memory: Mutex::new(Some(memory)), files: Mutex::default(), schema, use_memory }
    }

    fn add(&self, partition: &mut Partition, batch: RecordBatch) -> Result<()> {
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), batch.columns().to_vec(), &options)
            .map_err(from_arrow)?;
        let bytes = batch.get_array_memory_size();
        // Once a partition spills it stays on disk, so that its rows keep their order.
        let fits = self.use_memory
            && partition.writer.is_none()
            && self.memory.lock().as_mut().is_some_and(|memory| memory.try_grow(bytes).is_ok());
        if fits {
            partition.batches.push(batch);
            return Ok(());
        }
        self.writer(partition)?.write(&batch).map_err(from_arrow)
    }

    fn writer<'p>(
        &self,
        partition: &'p mut Partition,
    ) -> Result<&'p mut arrow::ipc::writer::FileWriter<std::fs::File>> {
        if partition.writer.is_none() {
            let cannot = |e: std::io::Error| SparkError::internal("cannot spill persisted rows").with_cause(e);
            let mut files = self.files.lock();
            if files.is_none() {
                *files = Some(tempfile::Builder::new().prefix("firesteel-cache-").tempdir().map_err(cannot)?);
            }
            let directory = files.as_ref().map(|d| d.path().to_path_buf()).unwrap_or_default();
            let path = directory.join(format!("{}.arrow", uuid::Uuid::new_v4()));
            let file = std::fs::File::create(&path).map_err(cannot)?;
            partition.writer = Some(arrow::ipc::writer::FileWriter::try_new(file, &self.schema).map_err(from_arrow)?);
            partition.path = Some(path);
        }
        partition.writer.as_mut().ok_or_else(|| SparkError::internal("a spill file vanished"))
    }

    fn into_kept(self: Arc<Self>, partitions: Vec<Partition>) -> Result<Kept> {
        let memory = self.memory.lock().take();
        let files = self.files.lock().take();
        let spilled = partitions.iter().any(|p| p.path.is_some());
        let table: Arc<dyn TableProvider> = if spilled {
            let parts = partitions.into_iter().map(|p| KeptPartition { batches: p.batches, file: p.path }).collect();
            Arc::new(SpilledTable { schema: Arc::clone(&self.schema), partitions: parts })
        } else {
            let batches = partitions.into_iter().map(|p| p.batches).collect();
            Arc::new(MemTable::try_new(Arc::clone(&self.schema), batches).map_err(from_datafusion)?)
        };
        Ok(Kept { table, _memory: memory, _files: files })
    }
}

/// Batches in memory, then those in a file.
#[derive(Debug, Clone)]
struct KeptPartition {
    batches: Vec<RecordBatch>,
    file: Option<std::path::PathBuf>,
}

/// Kept rows of which some are on disk.
#[derive(Debug)]
struct SpilledTable {
    schema: SchemaRef,
    partitions: Vec<KeptPartition>,
}

#[async_trait]
impl TableProvider for SpilledTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        _: &dyn DfSession,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
        let stream = |partition: &KeptPartition| {
            Arc::new(KeptStream { schema: Arc::clone(&self.schema), partition: partition.clone() })
                as Arc<dyn PartitionStream>
        };
        let partitions = self.partitions.iter().map(stream).collect();
        let exec = StreamingTableExec::try_new(Arc::clone(&self.schema), partitions, projection, vec![], false, limit)?;
        Ok(Arc::new(exec))
    }
}

#[derive(Debug)]
struct KeptStream {
    schema: SchemaRef,
    partition: KeptPartition,
}

impl datafusion::physical_plan::streaming::PartitionStream for KeptStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }
    fn execute(&self, _: Arc<TaskContext>) -> datafusion::execution::SendableRecordBatchStream {
        let KeptPartition { batches, file } = self.partition.clone();
        let memory = futures::stream::iter(batches.into_iter().map(Ok));
        let disk = async_stream::try_stream! {
            if let Some(path) = file {
                let reader = arrow::ipc::reader::FileReader::try_new(std::fs::File::open(&path)?, None)?;
                for batch in reader {
                    yield batch?;
                    tokio::task::yield_now().await;
                }
            }
        };
        let all = futures::StreamExt::chain(memory, disk);
        Box::pin(datafusion::physical_plan::stream::RecordBatchStreamAdapter::new(Arc::clone(&self.schema), all))
    }
}

/// Reads a [`Cached`]; the first scan fills it.
#[derive(Debug)]
pub struct CachedTable(Arc<Cached>);

#[async_trait]
impl TableProvider for CachedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        session: &dyn DfSession,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let kept = self.0.rows.get_or_try_init(|| self.0.compute()).await.map_err(external)?;
        kept.table.scan(session, projection, filters, limit).await
    }
}
