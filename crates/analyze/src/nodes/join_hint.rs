//! A join hint: how the user wants the rows below to be joined. It waits beside the rows until the join above is planned.
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, Statistics};

use super::unary::{Node, Operator};

/// The strategies that a hint can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinStrategy {
    Broadcast,
    Merge,
    ShuffleHash,
    ShuffleReplicateNestedLoop,
}

/// The names of each strategy; the first is the one that is shown.
const NAMES: [(JoinStrategy, &[&str]); 4] = [
    (JoinStrategy::Broadcast, &["BROADCAST", "BROADCASTJOIN", "MAPJOIN"]),
    (JoinStrategy::Merge, &["MERGE", "SHUFFLE_MERGE", "MERGEJOIN"]),
    (JoinStrategy::ShuffleHash, &["SHUFFLE_HASH"]),
    (JoinStrategy::ShuffleReplicateNestedLoop, &["SHUFFLE_REPLICATE_NL"]),
];

impl JoinStrategy {
    pub fn of_hint(name: &str) -> Option<Self> {
        let is_named = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        NAMES.iter().find(|(_, names)| is_named(names)).map(|(strategy, _)| *strategy)
    }

    fn name(self) -> &'static str {
        let names = NAMES.iter().find(|(strategy, _)| *strategy == self).and_then(|(_, names)| names.first());
        names.copied().unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JoinHint {
    strategy: JoinStrategy,
}

/// `input`, to be joined by `strategy`.
pub fn plan(input: LogicalPlan, strategy: JoinStrategy) -> LogicalPlan {
    Node::plan(JoinHint { strategy }, input)
}

impl Operator for JoinHint {
    const NAME: &'static str = "JoinHint";
    const IS_TRANSPARENT: bool = true;

    fn describe(&self) -> String {
        self.strategy.name().into()
    }
    fn physical(&self, _: Vec<Arc<dyn PhysicalExpr>>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(JoinHintExec { strategy: self.strategy, input }))
    }
}

/// The hint in a physical plan, until the joins are chosen.
#[derive(Debug)]
pub struct JoinHintExec {
    pub strategy: JoinStrategy,
    pub input: Arc<dyn ExecutionPlan>,
}

impl DisplayAs for JoinHintExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinHintExec: {}", self.strategy.name())
    }
}

impl ExecutionPlan for JoinHintExec {
    fn name(&self) -> &'static str {
        "JoinHintExec"
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("a hint has no input".into()))?;
        Ok(Arc::new(Self { strategy: self.strategy, input }))
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }
    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let schema = self.input.schema();
        Ok(inputs.first().map_or_else(|| Arc::new(Statistics::new_unknown(&schema)), Arc::clone))
    }
}
