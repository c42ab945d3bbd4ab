//! A session: one user's configuration, temporary objects and running work.
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use datafusion::execution::runtime_env::RuntimeEnv;
use firesteel_analyze::AnalyzedPlan;
use firesteel_functions::EvalContext;
use firesteel_functions::context::time_zone_or_utc;
use firesteel_lake::KnownScans;
use firesteel_lake::delta::KnownTables;
use firesteel_plan::command::ExplainMode;
use firesteel_plan::{Plan, Relation, RelationKind, Result, SparkError, StructType};
use firesteel_sql::ParseOptions;
use firesteel_storage::Location;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::artifacts::Artifacts;
use crate::cache::{Cache, Cached};
use crate::commands::Statement;
use crate::conf::SessionConf;
use crate::context::StatementContext;
use crate::engine::Engine;
use crate::execution::{ExecuteOptions, Execution};
use crate::functions::TemporaryFunctions;
use crate::run::{self, Parameters};
use crate::state::KeptState;
use crate::variables::{Scopes, Variables};
use crate::views::{Namespace, Views};

/// Uploads that one session may keep.
const ARTIFACT_BYTES_MAX: usize = 2 << 30;

pub struct Session {
    pub(crate) engine: Engine,
    user_id: String,
    session_id: String,
    /// The process's, with the memory that the user may have
    pub(crate) runtime: Arc<RuntimeEnv>,
    pub(crate) conf: SessionConf,
    namespace: RwLock<Namespace>,
    pub(crate) views: Views,
    pub(crate) variables: Variables,
    pub(crate) functions: TemporaryFunctions,
    pub(crate) cache: Cache,
    /// What was found out about files, by reads of them.
    pub(crate) scans: KnownScans,
    pub(crate) delta_tables: KnownTables,
    pub(crate) state: KeptState,
    artifacts: Artifacts,
    /// The only places of storage that the session may reach, where they are limited.
    allowed_places: OnceLock<Arc<[Location]>>,
    /// Fires when the session closes; what outlives a statement watches it.
    closed: CancellationToken,
}

/// A relation that was analyzed, for the questions of AnalyzePlan.
#[derive(Clone)]
pub struct Analyzed {
    context: StatementContext,
    relation: Relation,
    plan: AnalyzedPlan,
}

impl Session {
    pub(crate) fn new(engine: Engine, user_id: &str, session_id: &str) -> Arc<Self> {
        let conf = SessionConf::new(Arc::clone(engine.conf()));
        let database = conf.get("spark.sql.catalog.spark_catalog.defaultDatabase").unwrap_or_else(|| "default".into());
        Arc::new(Self {
            runtime: engine.shared.users.of(user_id),
            engine,
            user_id: user_id.into(),
            session_id: session_id.into(),
            conf,
            namespace: RwLock::new(Namespace { catalog: firesteel_catalog::SESSION_CATALOG.into(), database }),
            views: Views::default(),
            variables: Variables::default(),
            functions: TemporaryFunctions::default(),
            cache: Cache::default(),
            scans: KnownScans::default(),
            delta_tables: KnownTables::default(),
            state: KeptState::default(),
            artifacts: Artifacts::new(ARTIFACT_BYTES_MAX),
            allowed_places: OnceLock::new(),
            closed: CancellationToken::new(),
        })
    }

    pub(crate) fn fork(&self, user_id: &str, session_id: &str) -> Arc<Self> {
        Arc::new(Self {
            engine: self.engine.clone(),
            runtime: self.engine.shared.users.of(user_id),
            user_id: user_id.into(),
            session_id: session_id.into(),
            conf: self.conf.fork(),
            namespace: RwLock::new(self.namespace()),
            views: self.views.fork(),
            variables: self.variables.fork(),
            functions: self.functions.fork(),
            cache: Cache::default(),
            scans: KnownScans::default(),
            delta_tables: KnownTables::default(),
            state: KeptState::default(),
            artifacts: self.artifacts.fork(),
            allowed_places: self.allowed_places.clone(),
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

    /// From now on the session reaches nothing but these places and what is below them, whatever it runs. The first call
    /// counts.
    pub fn limit_places(&self, places: Arc<[Location]>) {
        let _ = self.allowed_places.set(places);
    }

    pub(crate) fn allowed_places(&self) -> Option<Arc<[Location]>> {
        self.allowed_places.get().cloned()
    }

    pub(crate) fn namespace(&self) -> Namespace {
        self.namespace.read().clone()
    }
    /// A database of the session's catalog.
    pub(crate) fn use_database(&self, database: &str) {
        self.use_catalog(firesteel_catalog::SESSION_CATALOG, database);
    }
    pub(crate) fn use_catalog(&self, catalog: &str, database: &str) {
        *self.namespace.write() = Namespace { catalog: catalog.to_string(), database: database.to_string() };
    }
    pub(crate) fn closed_token(&self) -> CancellationToken {
        self.closed.child_token()
    }

    pub(crate) fn eval_context(&self, namespace: &Namespace) -> EvalContext {
        eval_of_conf(self.conf.all(), namespace, &self.user_id)
    }

    /// How SQL text is read in this session.
    pub fn parse_options(&self) -> ParseOptions {
        parse_options(&self.conf.all())
    }

    /// A statement or query as a user writes it, with `${key}` for values of the configuration.
    pub(crate) fn parse_statement(&self, text: &str) -> Result<Plan> {
        let conf = self.conf.all();
        let text = firesteel_conf::substitute_variables(text, |key| conf.get(key).map(String::as_str))?;
        firesteel_sql::parse_statement(&text, &parse_options(&conf))
    }

    pub(crate) fn parse_query(&self, text: &str, eval: &EvalContext) -> Result<Relation> {
        firesteel_sql::parse_query(text, &parse_options(&eval.conf))
    }

    fn context(self: &Arc<Self>, cancel: CancellationToken) -> StatementContext {
        StatementContext::new(self, cancel, Scopes::default())
    }

    /// Resolves names and types; runs nothing (but what pivot and its like need to know their columns).
    pub async fn analyze(self: &Arc<Self>, relation: &Relation) -> Result<Analyzed> {
        let context = self.context(self.closed_token());
        let plan = run::analyze(&context, &Arc::default(), relation).await?;
        Ok(Analyzed { context, relation: relation.clone(), plan })
    }

    /// Runs a query or a statement. A statement's effect has happened when this returns; a query's rows are computed as
    /// the stream is read. SQL text that holds a statement (`RelationKind::Sql`) is run as that statement.
    pub async fn execute(self: &Arc<Self>, plan: Plan, options: ExecuteOptions) -> Result<Execution> {
        let statement = self.statement(options);
        if let Plan::Query(relation) = &plan
            && let RelationKind::Sql { query, named_arguments, positional_arguments } = &*relation.kind
            && let plan @ Plan::Command(_) = self.parse_statement(query)?
        {
            let parameters = Parameters { named: named_arguments.clone(), positional: positional_arguments.clone() };
            return statement.with_parameters(parameters).run(plan).await;
        }
        statement.run(plan).await
    }

    /// What `spark.sql(text)` does: a statement runs now and answers its rows; a query only parses, and stays as it was.
    pub async fn sql(self: &Arc<Self>, relation: Relation, options: ExecuteOptions) -> Result<SqlOutcome> {
        let RelationKind::Sql { query, named_arguments, positional_arguments } = &*relation.kind else {
            return Ok(SqlOutcome::Query(relation));
        };
        match self.parse_statement(query)? {
            Plan::Query(_) => Ok(SqlOutcome::Query(relation)),
            command => {
                let parameters =
                    Parameters { named: named_arguments.clone(), positional: positional_arguments.clone() };
                let statement = self.statement(options).with_parameters(parameters);
                statement.run(command).await.map(SqlOutcome::Rows)
            }
        }
    }

    fn statement(self: &Arc<Self>, options: ExecuteOptions) -> Statement {
        // An operation ends with its session.
        let cancel = options.cancel.child_token();
        let (closed, linked) = (self.closed.clone(), cancel.clone());
        let guard = cancel.clone().drop_guard();
        tokio::spawn(async move {
            tokio::select! {
                () = closed.cancelled() => linked.cancel(),
                () = linked.cancelled() => {}
            }
        });
        Statement::new(self.context(cancel), options, Arc::new(guard))
    }

    /// `df.persist`: rows are kept from their first use on.
    pub async fn persist(self: &Arc<Self>, relation: &Relation, storage_level: Option<StorageLevel>) -> Result<()> {
        if self.cache.relation(relation).is_some() {
            return Ok(());
        }
        let analyzed = self.analyze(relation).await?;
        let level = storage_level.unwrap_or(StorageLevel::MEMORY_AND_DISK_DESERIALIZED);
        let cached = Arc::new(Cached::new(&analyzed.context, analyzed.plan, level));
        self.cache.put_relation(relation.clone(), cached)
    }

    /// `df.unpersist`
    pub async fn unpersist(self: &Arc<Self>, relation: &Relation) -> Result<()> {
        self.cache.remove_relation(relation);
        Ok(())
    }

    /// The level a relation is persisted at; [`StorageLevel::NONE`] where it is not.
    pub async fn storage_level(self: &Arc<Self>, relation: &Relation) -> Result<StorageLevel> {
        Ok(self.cache.relation(relation).map_or(StorageLevel::NONE, |cached| cached.level))
    }

    /// Drops a checkpoint or another relation kept by id.
    pub fn remove_cached_remote(&self, relation_id: &str) {
        self.cache.remove_checkpoint(relation_id);
    }

    /// Stops what runs and frees what is kept.
    pub fn close(&self) {
        self.closed.cancel();
        self.views.clear();
        self.variables.clear();
        self.functions.clear();
        self.cache.clear();
        self.scans.clear();
        self.delta_tables.clear();
        self.artifacts.clear();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

/// The values that expressions depend on, from a configuration.
pub(crate) fn eval_of_conf(conf: Arc<BTreeMap<String, String>>, namespace: &Namespace, user: &str) -> EvalContext {
    let get = |key: &str| conf.get(key).map(String::as_str);
    let time_zone_id = get("spark.sql.session.timeZone").unwrap_or("UTC").to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros());
    EvalContext {
        ansi: !get("spark.sql.ansi.enabled").is_some_and(|v| v.trim().eq_ignore_ascii_case("false")),
        time_zone: time_zone_or_utc(&time_zone_id),
        time_zone_id,
        now_micros: i64::try_from(now).unwrap_or(i64::MAX),
        current_user: if user.is_empty() { "firesteel".into() } else { user.to_string() },
        current_catalog: namespace.catalog.clone(),
        current_database: namespace.database.clone(),
        conf,
    }
}

/// How the parser reads text under a configuration.
pub(crate) fn parse_options(conf: &BTreeMap<String, String>) -> ParseOptions {
    ParseOptions::of_conf(|key| conf.get(key).map(String::as_str))
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
        Self { use_disk: true, use_memory: true, use_off_heap: false, deserialized: false, replication: 1 };
    pub const MEMORY_AND_DISK_DESERIALIZED: Self = Self { deserialized: true, ..Self::MEMORY_AND_DISK };

    /// Spark's name of a level: `MEMORY_AND_DISK`, `DISK_ONLY_2`, …
    pub fn of_name(name: &str) -> Result<Self> {
        let upper = name.trim().to_uppercase();
        let (base, replication) = match upper.rsplit_once('_') {
            Some((base, count)) if count.len() == 1 => (base, count.parse().unwrap_or(1)),
            _ => (upper.as_str(), 1),
        };
        let level = |use_disk, use_memory, use_off_heap, deserialized| Self {
            use_disk,
            use_memory,
            use_off_heap,
            deserialized,
            replication,
        };
        Ok(match base {
            "NONE" => Self::NONE,
            "DISK_ONLY" => level(true, false, false, false),
            "MEMORY_ONLY" => level(false, true, false, true),
            "MEMORY_ONLY_SER" => level(false, true, false, false),
            "MEMORY_AND_DISK" | "MEMORY_AND_DISK_DESER" => level(true, true, false, true),
            "MEMORY_AND_DISK_SER" => level(true, true, false, false),
            "OFF_HEAP" => level(true, true, true, false),
            _ => {
                return Err(SparkError::new("INVALID_STORAGE_LEVEL", [("storageLevel", name)])
                    .with_message(format!("{name} is no storage level.")));
            }
        })
    }
}

impl Analyzed {
    pub fn schema(&self) -> &StructType {
        &self.plan.schema
    }

    /// The text of `df.explain` in that mode.
    pub async fn explain(&self, mode: ExplainMode) -> Result<String> {
        crate::explain::query(&self.context, &Arc::default(), &self.relation, &self.plan, mode).await
    }

    /// The files the plan reads, as URLs, sorted.
    pub async fn input_files(&self) -> Result<Vec<String>> {
        crate::explain::input_files(&self.plan.plan)
    }

    /// A number that differs when the files the plan reads are others: by place, size or time of their last change.
    pub fn data_fingerprint(&self) -> Result<u64> {
        crate::explain::data_fingerprint(&self.plan.plan)
    }

    /// Whether `collect` needs no executor: rows that are in the plan already.
    pub fn is_local(&self) -> bool {
        let mut relation = &self.relation;
        loop {
            match &*relation.kind {
                RelationKind::LocalRelation { .. } | RelationKind::Catalog(_) | RelationKind::OneRow => return true,
                RelationKind::SubqueryAlias { input, .. } | RelationKind::ToSchema { input, .. } => relation = input,
                _ => return false,
            }
        }
    }

    pub fn same_semantics(&self, other: &Analyzed) -> bool {
        crate::explain::canonical(&self.plan) == crate::explain::canonical(&other.plan)
    }

    pub fn semantic_hash(&self) -> i32 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        crate::explain::canonical(&self.plan).hash(&mut hasher);
        hasher.finish() as i32
    }
}
