//! A session: one user's configuration, temporary objects and running work.
use std::sync::Arc;

use firesteel_plan::command::ExplainMode;
use firesteel_plan::{Plan, Relation, Result, SparkError, StructType};
use tokio_util::sync::CancellationToken;

use crate::artifacts::Artifacts;
use crate::conf::SessionConf;
use crate::engine::Engine;
use crate::execution::{ExecuteOptions, Execution};

/// Uploads that one session may keep.
const ARTIFACT_BYTES_MAX: usize = 2 << 30;

pub struct Session {
    pub(crate) engine: Engine,
    user_id: String,
    session_id: String,
    pub(crate) conf: SessionConf,
    artifacts: Artifacts,
    /// Fires when the session closes; every operation's token is a child of it.
    closed: CancellationToken,
}

/// A relation that was analyzed, for the questions of AnalyzePlan.
#[derive(Clone)]
pub struct Analyzed {
    pub(crate) session: Arc<Session>,
    pub(crate) relation: Relation,
    pub(crate) schema: StructType,
}

impl Session {
    pub(crate) fn new(engine: Engine, user_id: &str, session_id: &str) -> Arc<Self> {
        let conf = SessionConf::new(Arc::clone(engine.conf()));
        Arc::new(Self {
            engine,
            user_id: user_id.into(),
            session_id: session_id.into(),
            conf,
            artifacts: Artifacts::new(ARTIFACT_BYTES_MAX),
            closed: CancellationToken::new(),
        })
    }

    pub(crate) fn fork(&self, user_id: &str, session_id: &str) -> Arc<Self> {
        Arc::new(Self {
            engine: self.engine.clone(),
            user_id: user_id.into(),
            session_id: session_id.into(),
            conf: self.conf.fork(),
            artifacts: self.artifacts.fork(),
            closed: CancellationToken::new(),
        })
    }

    pub fn user_id(&self) -> &str {
        &self.user_id
    }
    pub fn session_id(&self) -> &str {
        &self.session_id
    }
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
    pub fn conf(&self) -> &SessionConf {
        &self.conf
    }
    /// Cached local relations and uploaded files.
    pub fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// Resolves names and types; runs nothing (but what pivot and its like need to know their columns).
    pub async fn analyze(self: &Arc<Self>, _relation: &Relation) -> Result<Analyzed> {
        Err(SparkError::internal("the analyzer is not wired yet"))
    }

    /// Runs a query or a statement. A statement's effect has happened when this returns; a query's rows are computed as
    /// the stream is read. SQL text that holds a statement (`RelationKind::Sql`) is run as that statement.
    pub async fn execute(self: &Arc<Self>, _plan: Plan, _options: ExecuteOptions) -> Result<Execution> {
        Err(SparkError::internal("the analyzer is not wired yet"))
    }

    /// What `spark.sql(text)` does: a statement runs now and answers its rows; a query only parses, and stays as it was.
    pub async fn sql(self: &Arc<Self>, _relation: Relation, _options: ExecuteOptions) -> Result<SqlOutcome> {
        Err(SparkError::internal("the analyzer is not wired yet"))
    }

    /// `df.persist`: rows are kept from their first use on.
    pub async fn persist(self: &Arc<Self>, _relation: &Relation, _storage_level: Option<StorageLevel>) -> Result<()> {
        Err(SparkError::internal("the analyzer is not wired yet"))
    }

    /// `df.unpersist`
    pub async fn unpersist(self: &Arc<Self>, _relation: &Relation) -> Result<()> {
        Err(SparkError::internal("the analyzer is not wired yet"))
    }

    /// The level a relation is persisted at; [`StorageLevel::NONE`] where it is not.
    pub async fn storage_level(self: &Arc<Self>, _relation: &Relation) -> Result<StorageLevel> {
        Err(SparkError::internal("the analyzer is not wired yet"))
    }

    /// Drops a checkpoint or another relation kept by id.
    pub fn remove_cached_remote(&self, _relation_id: &str) {}

    /// Stops what runs and frees what is kept.
    pub fn close(&self) {
        self.closed.cancel();
        self.artifacts.clear();
    }
}

/// See [`Session::sql`].
#[derive(Debug)]
pub enum SqlOutcome {
    Query(Relation),
    Rows(Execution),
}

/// `org.apache.spark.storage.StorageLevel`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageLevel {
    pub use_disk: bool,
    pub use_memory: bool,
    pub use_off_heap: bool,
    pub deserialized: bool,
    pub replication: i32,
}

impl StorageLevel {
    pub const NONE: Self =
        Self { use_disk: false, use_memory: false, use_off_heap: false, deserialized: false, replication: 1 };
    pub const MEMORY_AND_DISK: Self =
        Self { use_disk: true, use_memory: true, use_off_heap: false, deserialized: true, replication: 1 };
}

impl Analyzed {
    pub fn schema(&self) -> &StructType {
        &self.schema
    }

    /// The text of `df.explain` in that mode.
    pub async fn explain(&self, _mode: ExplainMode) -> Result<String> {
        Err(SparkError::internal("the analyzer is not wired yet"))
    }

    /// The files the plan reads, as URLs, sorted.
    pub async fn input_files(&self) -> Result<Vec<String>> {
        Err(SparkError::internal("the analyzer is not wired yet"))
    }

    /// Whether `collect` needs no executor: rows that are in the plan already.
    pub fn is_local(&self) -> bool {
        false
    }

    pub fn same_semantics(&self, other: &Analyzed) -> bool {
        self.relation == other.relation
    }

    pub fn semantic_hash(&self) -> i32 {
        0
    }
}
