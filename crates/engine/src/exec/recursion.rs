//! Ends recursive queries that run away.
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use firesteel_analyze::nodes::unary::PartitionExec;
use firesteel_functions::external;
use firesteel_plan::SparkError;
use futures::TryStreamExt;

use super::gather::GatherExec;

/// How far a recursive query may go; `None` is no limit.
#[derive(Debug, Clone, Copy)]
pub struct RecursionLimits {
    pub levels: Option<u64>,
    pub rows: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Term {
    /// Runs once, and starts the counts.
    Anchor,
    /// Runs once a level.
    Recursive,
}

/// What both terms of one query have counted.
#[derive(Debug, Default)]
struct Progress {
    levels: Arc<AtomicU64>,
    rows: AtomicU64,
}

/// Passes a term's rows through and fails once the query is past a limit.
#[derive(Debug)]
struct RecursionGuardExec {
    input: Arc<dyn ExecutionPlan>,
    term: Term,
    limits: RecursionLimits,
    /// Shared by both terms, and kept when DataFusion resets the recursive one for its next level.
    progress: Arc<Progress>,
}

impl DisplayAs for RecursionGuardExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecursionGuardExec: {:?}", self.term)
    }
}

impl ExecutionPlan for RecursionGuardExec {
    fn name(&self) -> &'static str {
        "RecursionGuardExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => {
                Ok(Arc::new(Self { input, term: self.term, limits: self.limits, progress: Arc::clone(&self.progress) }))
            }
            _ => datafusion::common::internal_err!("RecursionGuardExec has one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        match self.term {
            Term::Anchor => {
                self.progress.levels.store(0, Ordering::Relaxed);
                self.progress.rows.store(0, Ordering::Relaxed);
            }
            Term::Recursive => {
                let level = self.progress.levels.fetch_add(1, Ordering::Relaxed) + 1;
                if let Some(limit) = self.limits.levels.filter(|limit| level > *limit) {
                    let parameters = [("levelLimit", limit.to_string())];
                    return Err(external(SparkError::new("RECURSION_LEVEL_LIMIT_EXCEEDED", parameters)));
                }
            }
        }
        let (progress, limit) = (Arc::clone(&self.progress), self.limits.rows);
        let counted = self.input.execute(partition, context)?.and_then(move |batch| {
            let added = batch.num_rows() as u64;
            let rows = progress.rows.fetch_add(added, Ordering::Relaxed) + added;
            futures::future::ready(match limit.filter(|limit| rows > *limit) {
                Some(limit) => {
                    Err(external(SparkError::new("RECURSION_ROW_LIMIT_EXCEEDED", [("rowLimit", limit.to_string())])))
                }
                None => Ok(batch),
            })
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }
}

/// Guards both terms of every recursive query.
#[derive(Debug)]
pub struct LimitRecursion(pub RecursionLimits);

impl LimitRecursion {
    /// Guards the recursive queries in a plan. `is_limited`: what is above wants only so many of its rows.
    fn guarded(&self, plan: &Arc<dyn ExecutionPlan>, is_limited: bool) -> Result<Arc<dyn ExecutionPlan>> {
        let below = limits(plan.as_ref()) || (is_limited && passes_limit(plan.as_ref()));
        let children = plan.children().into_iter().map(|child| self.guarded(child, below));
        let mut children = children.collect::<Result<Vec<_>>>()?;
        if let Some(query) = plan.downcast_ref::<RecursiveQueryExec>() {
            children = self.terms(query.name(), children, is_limited)?;
        } else if children.iter().zip(plan.children()).all(|(new, old)| Arc::ptr_eq(new, old)) {
            return Ok(Arc::clone(plan));
        }
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        Arc::clone(plan).replace_children(children, options)
    }

    fn terms(
        &self,
        name: &str,
        terms: Vec<Arc<dyn ExecutionPlan>>,
        is_limited: bool,
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let progress = Arc::new(Progress::default());
        let own = firesteel_analyze::max_recursion(name);
        let levels = own.map_or(self.0.levels, |levels| u64::try_from(levels).ok());
        let rows = self.0.rows.filter(|_| !is_limited);
        let limits = RecursionLimits { levels, rows };
        let guard = |(input, term)| {
            let progress = Arc::clone(&progress);
            let input = if term == Term::Recursive { with_levels(input, &progress.levels)? } else { input };
            Ok(Arc::new(RecursionGuardExec { input, term, limits, progress }) as Arc<dyn ExecutionPlan>)
        };
        terms.into_iter().zip([Term::Anchor, Term::Recursive]).map(guard).collect()
    }
}

/// Random numbers know the level that they are drawn in.
fn with_levels(plan: Arc<dyn ExecutionPlan>, level: &Arc<AtomicU64>) -> Result<Arc<dyn ExecutionPlan>> {
    let at_level = |node: Arc<dyn ExecutionPlan>| match node.downcast_ref::<PartitionExec>() {
        Some(exec) => Ok(match exec.in_recursion(level) {
            Some(exec) => Transformed::yes(Arc::new(exec) as Arc<dyn ExecutionPlan>),
            None => Transformed::no(node),
        }),
        None => Ok(Transformed::no(node)),
    };
    plan.transform_up(at_level).data()
}

/// Whether the operator stops its input once it has enough rows.
fn limits(plan: &dyn ExecutionPlan) -> bool {
    let gathers = plan.downcast_ref::<GatherExec>().is_some_and(|gather| gather.fetch_rows().is_some());
    gathers
        || (plan.fetch().is_some()
            && (passes_limit(plan) || plan.is::<GlobalLimitExec>() || plan.is::<LocalLimitExec>()))
}

/// Whether the operator needs as many rows as it gives.
fn passes_limit(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<ProjectionExec>() || plan.is::<CoalescePartitionsExec>() || plan.is::<GatherExec>()
}

impl PhysicalOptimizerRule for LimitRecursion {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        self.guarded(&plan, false)
    }

    fn name(&self) -> &str {
        "limit_recursion"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
