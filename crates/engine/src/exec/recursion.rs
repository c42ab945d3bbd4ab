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
use firesteel_analyze::nodes::work_table::{LevelRows, WorkTableExec};
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

/// What both terms of one query have made and counted.
#[derive(Debug, Default)]
struct Progress {
    levels: Arc<AtomicU64>,
    rows: AtomicU64,
    /// The rows of the level that runs.
    made: LevelRows,
    /// Those of the level before, which the recursive term reads. DataFusion's own work table, which can be read once
    /// only, holds the same arrays and accounts for their memory.
    last: LevelRows,
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
                self.progress.made.lock().clear();
            }
            Term::Recursive => {
                *self.progress.last.lock() = std::mem::take(&mut *self.progress.made.lock());
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
            progress.made.lock().push(batch.clone());
            futures::future::ready(match limit.filter(|limit| rows >= *limit) {
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
        let rows = self.0.rows.filter(|_| !is_limited && !firesteel_analyze::is_below_limit_all(name));
        let limits = RecursionLimits { levels, rows };
        let guard = |(input, term)| {
            let progress = Arc::clone(&progress);
            let input = if term == Term::Recursive { of_run(input, name, &progress)? } else { input };
            Ok(Arc::new(RecursionGuardExec { input, term, limits, progress }) as Arc<dyn ExecutionPlan>)
        };
        terms.into_iter().zip([Term::Anchor, Term::Recursive]).map(guard).collect()
    }
}

/// References read the rows of the last level, and random numbers know the level that they are drawn in.
fn of_run(plan: Arc<dyn ExecutionPlan>, name: &str, progress: &Progress) -> Result<Arc<dyn ExecutionPlan>> {
    let of_run = |node: Arc<dyn ExecutionPlan>| {
        let table = node.downcast_ref::<WorkTableExec>().filter(|table| table.id() == name);
        let table = table.map(|table| Arc::new(table.of_run(&progress.last)) as Arc<dyn ExecutionPlan>);
        let random = || node.downcast_ref::<PartitionExec>()?.in_recursion(&progress.levels);
        let replaced = table.or_else(|| random().map(|exec| Arc::new(exec) as Arc<dyn ExecutionPlan>));
        Ok(replaced.map_or_else(|| Transformed::no(Arc::clone(&node)), Transformed::yes))
    };
    plan.transform_up(of_run).data()
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
