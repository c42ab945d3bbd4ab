//! The engine of a process.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use datafusion::execution::runtime_env::RuntimeEnv;
use firesteel_catalog::{Catalog, SESSION_CATALOG, SqliteCatalog};
use firesteel_lake::DecodedParts;
use firesteel_plan::{Result, SparkError};

use crate::jobs::{Jobs, RETAINED_JOBS};
use crate::runtime::{self, MemoryBudget};
use crate::session::Session;
use crate::user_memory::UserRuntimes;
use crate::views::GlobalViews;

/// How an engine starts.
#[derive(Debug, Clone, Default)]
pub struct EngineOptions {
    /// `spark.*` and `firesteel.*` keys from files, the environment and the command line.
    pub conf: BTreeMap<String, String>,
    /// Catalog store and, unless `spark.sql.warehouse.dir` says otherwise, the warehouse. `None`: catalog in memory and
    /// a warehouse in a temporary directory that goes with the engine.
    pub data_dir: Option<PathBuf>,
}

/// One per process. A clone is the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub conf: Arc<BTreeMap<String, String>>,
    pub budget: MemoryBudget,
    pub cores: usize,
    pub runtime: Arc<RuntimeEnv>,
    pub users: UserRuntimes,
    pub decoded: Arc<DecodedParts>,
    pub catalog: Arc<dyn Catalog>,
    pub jobs: Arc<Jobs>,
    pub global_views: GlobalViews,
    pub started: SystemTime,
    /// Removed with the engine.
    _scratch: Option<tempfile::TempDir>,
}

impl Engine {
    /// Opens the catalog (which gets its `default` database) and the runtime.
    pub async fn new(options: EngineOptions) -> Result<Self> {
        let mut conf = options.conf;
        let scratch = match &options.data_dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("firesteel-").tempdir().map_err(cannot_start)?),
        };
        let directory = match (&options.data_dir, &scratch) {
            (Some(directory), _) => directory.clone(),
            (None, Some(scratch)) => scratch.path().to_path_buf(),
            (None, None) => std::env::temp_dir(),
        };
        std::fs::create_dir_all(&directory).map_err(cannot_start)?;
        let directory = std::fs::canonicalize(&directory).map_err(cannot_start)?;
        let warehouse = conf
            .entry("spark.sql.warehouse.dir".into())
            .or_insert_with(|| format!("file:{}", directory.join("warehouse").display()))
            .clone();
        conf.entry("spark.app.id".into()).or_insert_with(|| format!("local-{}", uuid::Uuid::new_v4().simple()));
        let catalog = match &options.data_dir {
            Some(_) => SqliteCatalog::open(SESSION_CATALOG, &directory.join("catalog.db"), &warehouse).await?,
            None => SqliteCatalog::in_memory(SESSION_CATALOG, &warehouse).await?,
        };
        let budget = MemoryBudget::of_conf(&conf)?;
        let retained = conf.get("spark.ui.retainedJobs").and_then(|n| n.parse().ok()).unwrap_or(RETAINED_JOBS);
        let runtime = runtime::build(&conf, budget)?;
        let shared = Shared {
            budget,
            cores: runtime::cores(&conf),
            decoded: runtime::decoded_parts(&runtime, budget),
            users: UserRuntimes::new(Arc::clone(&runtime), budget.pool_bytes, &conf)?,
            runtime,
            catalog: Arc::new(catalog),
            jobs: Jobs::new(retained),
            global_views: GlobalViews::default(),
            started: SystemTime::now(),
            conf: Arc::new(conf),
            _scratch: scratch,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub fn new_session(&self, user_id: &str, session_id: &str) -> Arc<Session> {
        Session::new(self.clone(), user_id, session_id)
    }

    /// A session with the same configuration, temporary views, variables and artifacts, which then goes its own way.
    pub fn clone_session(&self, from: &Session, user_id: &str, new_id: &str) -> Arc<Session> {
        from.fork(user_id, new_id)
    }

    /// The keys the engine was started with.
    pub fn conf(&self) -> &Arc<BTreeMap<String, String>> {
        &self.shared.conf
    }

    pub fn jobs(&self) -> &Arc<Jobs> {
        &self.shared.jobs
    }

    pub fn catalog(&self) -> &Arc<dyn Catalog> {
        &self.shared.catalog
    }

    pub fn started(&self) -> SystemTime {
        self.shared.started
    }

    /// Bytes that operators hold now, and what the pool can give.
    pub fn memory(&self) -> (usize, u64) {
        (self.shared.runtime.memory_pool.reserved(), self.shared.budget.pool_bytes)
    }
}

fn cannot_start(error: std::io::Error) -> SparkError {
    SparkError::internal("cannot use the data directory").with_cause(error)
}
