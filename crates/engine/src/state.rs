//! DataFusion's session state for Spark's semantics.
//!
//! The analyzer has typed the plan and inserted every cast, so DataFusion's own analyzer rules do not run. Rows keep the
//! order of their source: no round-robin repartitioning, and partitions are gathered in order.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::config::ConfigOptions;
use datafusion::execution::TaskContext;
use datafusion::execution::context::{ExecutionProps, QueryPlanner};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use parking_lot::Mutex;

use crate::exec::{
    BuildBudget, FollowJoinHints, GatherInOrder, GenerateRows, KeepCrossOrder, LimitBuilds, LimitRecursion,
    RecursionLimits, RemoveProvenNotNull, UseTextCodes, run_windows,
};
use crate::plain::{NEEDLESS_LOGICAL_RULES, is_plain, unless_plain};
use crate::push_down::PushDownFilters;
use crate::session::Session;
use firesteel_conf::parse::bytes as parse_bytes;
use firesteel_lake::FiltersAreKnown;

/// Rows of a batch.
const BATCH_ROWS: usize = 16384;
/// The share of the pool that hash tables of joins may take before sort-merge joins are planned instead.
const BUILDS_POOL_SHARE: u64 = 3;
/// The same after a plan ran out of memory: sizes are not what was thought.
const BUILDS_POOL_SHARE_AFTER_FAILURE: u64 = 50;
/// The share of the pool that one sort reserves for merging.
const SORT_RESERVE_POOL_SHARE: u64 = 256;

/// The rows of a build side up to which scans of the other side are given its keys as a list; above that their range.
const MAX_LISTED_KEYS: usize = 2048;
/// What the keys of a build side may take up then. A side that is one batch counts with the batch's whole capacity.
const MAX_LISTED_BYTES: usize = 1 << 20;

/// A join on whole numbers looks its keys up in an array, not in a hash table, if they lie in so small a range …
const MAX_SPARSE_KEY_RANGE: usize = 1 << 20;
/// … or if so many of the numbers in their range are keys.
const MIN_KEY_DENSITY: f64 = 0.05;

/// Plans our own operators beside DataFusion's.
#[derive(Debug)]
struct Planner;

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn datafusion::catalog::Session,
    ) -> datafusion::common::Result<Arc<dyn ExecutionPlan>> {
        let planner =
            DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(firesteel_analyze::nodes::NodePlanner)]);
        let plan = firesteel_functions::lazy::guard_conditions(plan.clone())?;
        let plan = firesteel_functions::conditional::choose_texts(plan)?;
        let physical = planner.create_physical_plan(&plan, session).await?;
        run_windows(physical, &plan)
    }
}

/// The states of a session's statements, for as long as the configuration stays as it is: to make one takes longer than
/// to plan a small query.
#[derive(Default)]
pub struct KeptState(Mutex<Option<Kept>>);

struct Kept {
    made_for: Arc<BTreeMap<String, String>>,
    any: SessionState,
    plain: SessionState,
}

impl KeptState {
    fn get(&self, session: &Session, is_plain: bool) -> SessionState {
        let conf = session.conf.all();
        let mut kept = self.0.lock();
        if kept.as_ref().is_none_or(|kept| !Arc::ptr_eq(&kept.made_for, &conf)) {
            let any = make(session, 0);
            *kept = Some(Kept { made_for: conf, plain: for_plain_plans(&any), any });
        }
        match kept.as_ref() {
            Some(kept) if is_plain => kept.plain.clone(),
            Some(kept) => kept.any.clone(),
            None => make(session, 0),
        }
    }
}

/// The state that one statement of the session is planned and run with, when its plan ran out of memory `failures`
/// times.
pub fn of_session(session: &Session, plan: &LogicalPlan, failures: usize) -> SessionState {
    let mut state = match failures {
        0 => session.state.get(session, is_plain(plan)),
        _ => make(session, failures),
    };
    // Names that are made up while planning begin anew with each statement.
    *state.execution_props_mut() = ExecutionProps::new();
    state
}

/// The same for plans that are plain. They look no functions up: a state without them is copied in no time.
fn for_plain_plans(state: &SessionState) -> SessionState {
    let rules = state.optimizers().iter().filter(|rule| !NEEDLESS_LOGICAL_RULES.contains(&rule.name())).cloned();
    let mut config = state.config().clone();
    // A second pass finds nothing left to do.
    config.options_mut().optimizer.max_passes = 1;
    config.set_extension(Arc::new(FiltersAreKnown));
    SessionStateBuilder::new_from_existing(state.clone())
        .with_session_id(state.session_id().to_string())
        .with_config(config)
        .with_optimizer_rules(rules.collect())
        .with_scalar_functions(vec![])
        .with_higher_order_functions(vec![])
        .with_aggregate_functions(vec![])
        .with_window_functions(vec![])
        .with_table_functions(HashMap::new())
        .with_file_formats(vec![])
        .build()
}

fn make(session: &Session, failures: usize) -> SessionState {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> = vec![];
    for rule in PhysicalOptimizer::new().rules {
        // After every rule that may add an operator, before the last checks.
        if rule.name() == "join_selection" {
            rules.push(Arc::new(RemoveProvenNotNull));
            rules.push(rule);
            rules.push(Arc::new(KeepCrossOrder));
            rules.push(Arc::new(FollowJoinHints));
            rules.push(Arc::new(LimitBuilds(build_budget(session, failures))));
            continue;
        }
        if rule.name() == "EnsureCooperative" {
            rules.push(Arc::new(UseTextCodes));
            rules.push(Arc::new(GenerateRows));
            rules.push(Arc::new(GatherInOrder));
            rules.push(Arc::new(LimitRecursion(recursion_limits(session))));
        }
        rules.push(rule);
    }
    let logical = Optimizer::new().rules.into_iter().map(|rule| match rule.name() {
        "push_down_filter" => Arc::new(PushDownFilters::default()),
        _ => rule,
    });
    SessionStateBuilder::new_with_default_features()
        .with_session_id(session.session_id().to_string())
        .with_config(config(session))
        .with_runtime_env(Arc::clone(&session.runtime))
        .with_analyzer_rules(vec![])
        .with_optimizer_rules(logical.collect())
        .with_physical_optimizer_rules(rules.into_iter().map(unless_plain).collect())
        .with_query_planner(Arc::new(Planner))
        .build()
}

/// What operators are given when they run. They hold the functions that they call, and look none up.
pub fn task_context(state: &SessionState) -> Arc<TaskContext> {
    Arc::new(TaskContext::new(
        None,
        state.session_id().to_string(),
        state.config().clone(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        HashMap::new(),
        Arc::clone(state.runtime_env()),
    ))
}

/// The session's limits of recursive queries; -1 is none.
fn recursion_limits(session: &Session) -> RecursionLimits {
    let limit = |key: &str, default: i64| {
        let set = session.conf.get(key).and_then(|text| text.trim().parse::<i64>().ok());
        u64::try_from(set.unwrap_or(default)).ok()
    };
    RecursionLimits {
        levels: limit("spark.sql.cteRecursionLevelLimit", 100),
        rows: limit("spark.sql.cteRecursionRowLimit", 1_000_000),
    }
}

fn config(session: &Session) -> SessionConfig {
    let conf = &session.conf;
    let number = |key: &str| conf.get(key).and_then(|v| v.trim().parse::<usize>().ok()).filter(|n| *n > 0);
    let cores = session.engine.shared.cores;
    // A few more than cores, so that none waits while another's file is read or its partition is the larger one. Fewer
    // are what the user asks for.
    let most = cores + cores / 2;
    let partitions = number("spark.sql.shuffle.partitions").map_or(most, |n| n.min(most));
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(partitions)
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    config.set_extension(Arc::clone(&session.engine.shared.decoded));
    let options: &mut ConfigOptions = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.execution.time_zone = conf.get("spark.sql.session.timeZone");
    options.execution.collect_statistics = true;
    options.execution.skip_physical_aggregate_schema_check = true;
    options.execution.parquet.schema_force_view_types = false;
    options.execution.parquet.pushdown_filters = conf.flag("firesteel.sql.parquet.pushdownFilters", false);
    options.execution.parquet.reorder_filters = true;
    options.execution.spill_compression = datafusion::common::config::SpillCompression::Lz4Frame;
    options.execution.sort_spill_reservation_bytes = sort_reserve_bytes(session.engine.shared.users.pool_bytes());
    options.optimizer.enable_round_robin_repartition = false;
    options.optimizer.prefer_existing_sort = true;
    options.optimizer.filter_null_join_keys = true;
    let broadcast = conf
        .get("spark.sql.autoBroadcastJoinThreshold")
        .map_or(Some(10 << 20), |text| if text.trim().starts_with('-') { Some(0) } else { parse_bytes(&text) });
    if let Some(bytes) = broadcast {
        options.optimizer.hash_join_single_partition_threshold = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes == 0 {
            // Sides of unknown size are not broadcast either.
            options.optimizer.hash_join_single_partition_threshold_rows = 0;
        }
    }
    options.optimizer.prefer_hash_join = true;
    options.execution.perfect_hash_join_small_build_threshold = MAX_SPARSE_KEY_RANGE;
    options.execution.perfect_hash_join_min_key_density = MIN_KEY_DENSITY;
    options.optimizer.hash_join_inlist_pushdown_max_distinct_values = MAX_LISTED_KEYS;
    options.optimizer.hash_join_inlist_pushdown_max_size = MAX_LISTED_BYTES;
    config
}

/// What every sort keeps for merging from its start on; a plan may have dozens of sorts.
fn sort_reserve_bytes(pool_bytes: u64) -> usize {
    usize::try_from(pool_bytes / SORT_RESERVE_POOL_SHARE).unwrap_or(usize::MAX).clamp(1 << 20, 10 << 20)
}

/// What hash tables of joins may take.
fn build_budget(session: &Session, failures: usize) -> BuildBudget {
    let pool_bytes = session.engine.shared.users.pool_bytes();
    match failures {
        0 => BuildBudget { bytes: pool_bytes / BUILDS_POOL_SHARE, trusts_unknown: true },
        1 => BuildBudget { bytes: pool_bytes / BUILDS_POOL_SHARE_AFTER_FAILURE, trusts_unknown: false },
        _ => BuildBudget { bytes: 0, trusts_unknown: false },
    }
}
