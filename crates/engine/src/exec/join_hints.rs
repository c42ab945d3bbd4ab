//! Follows the join hints of a query, in Spark's order: broadcast, merge, shuffle hash, nested loop.
use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinSide, JoinType, NullEquality, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Column};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, PartitionMode};
use firesteel_analyze::nodes::join_hint::{JoinHintExec, JoinStrategy};

use super::builds::merge_join;

/// Runs after DataFusion has chosen joins by their statistics, and overrules it where a hint says so. A hint that the
/// kind of join cannot follow is passed over, as in Spark.
#[derive(Debug)]
pub struct FollowJoinHints;

impl PhysicalOptimizerRule for FollowJoinHints {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if !plan.exists(|node| Ok(node.is::<JoinHintExec>()))? {
            return Ok(plan);
        }
        let followed = plan.transform_up(|node| Ok(follow(&node)?.map_or(Transformed::no(node), Transformed::yes)));
        let bare = followed.data()?.transform_up(|node| match node.downcast_ref::<JoinHintExec>() {
            Some(hint) => Ok(Transformed::yes(Arc::clone(&hint.input))),
            None => Ok(Transformed::no(node)),
        });
        bare.data()
    }

    fn name(&self) -> &str {
        "follow_join_hints"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The hint about the rows of one side of a join. It holds through operators with one input.
fn hint_of(side: &Arc<dyn ExecutionPlan>) -> Option<JoinStrategy> {
    if let Some(hint) = side.downcast_ref::<JoinHintExec>() {
        return Some(hint.strategy);
    }
    match side.children().as_slice() {
        [only] => hint_of(only),
        _ => None,
    }
}

fn follow(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let sides = node.children();
    let [left, right] = sides.as_slice() else { return Ok(None) };
    let hints = [hint_of(left), hint_of(right)];
    if hints == [None, None] {
        return Ok(None);
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return if join.null_aware { Ok(None) } else { follow_hash(join, hints) };
    }
    let is_broadcast = |hint: Option<JoinStrategy>| hint == Some(JoinStrategy::Broadcast);
    // Only the left side is held; the hint says which one that is to be.
    if hints.map(is_broadcast) != [false, true] {
        return Ok(None);
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        return if join.join_type().supports_swap() { join.swap_inputs().map(Some) } else { Ok(None) };
    }
    node.downcast_ref::<CrossJoinExec>().map(CrossJoinExec::swap_inputs).transpose()
}

/// Joins that keep every row of the other side, or none, can hold this side alone.
fn can_build(side: JoinSide, join_type: JoinType) -> bool {
    use JoinType as T;
    match side {
        JoinSide::Left => matches!(join_type, T::Inner | T::Right | T::RightSemi | T::RightAnti | T::RightMark),
        JoinSide::Right => matches!(join_type, T::Inner | T::Left | T::LeftSemi | T::LeftAnti | T::LeftMark),
        JoinSide::None => false,
    }
}

fn follow_hash(join: &HashJoinExec, hints: [Option<JoinStrategy>; 2]) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let join_type = *join.join_type();
    let wants = |strategy: JoinStrategy| hints.contains(&Some(strategy));
    // The side that is built: the left, unless only the right is asked for or possible.
    let side = |strategy: JoinStrategy, can: &dyn Fn(JoinSide) -> bool| {
        let asked = [(hints[0], JoinSide::Left), (hints[1], JoinSide::Right)];
        asked.into_iter().find(|(hint, side)| *hint == Some(strategy) && can(*side)).map(|(_, side)| side)
    };
    if let Some(built) = side(JoinStrategy::Broadcast, &|side| can_build(side, join_type)) {
        return hash_join(join, built, PartitionMode::CollectLeft).map(Some);
    }
    if wants(JoinStrategy::Merge) {
        return merge_join(join);
    }
    // With both sides partitioned alike, outer joins can build either.
    if let Some(built) = side(JoinStrategy::ShuffleHash, &|_| true) {
        return hash_join(join, built, PartitionMode::Partitioned).map(Some);
    }
    if wants(JoinStrategy::ShuffleReplicateNestedLoop) && join_type == JoinType::Inner {
        return nested_loop_join(join);
    }
    Ok(None)
}

fn hash_join(join: &HashJoinExec, built: JoinSide, mode: PartitionMode) -> Result<Arc<dyn ExecutionPlan>> {
    if built == JoinSide::Right && join.join_type().supports_swap() {
        return join.swap_inputs(mode);
    }
    join.builder().with_partition_mode(mode).build_exec()
}

/// The same join with its keys as a condition like any other.
fn nested_loop_join(join: &HashJoinExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if join.contains_projection() || join.null_equality() == NullEquality::NullEqualsNull {
        return Ok(None);
    }
    let mut inputs = Intermediate::new(join);
    let mut condition = join.filter().map(|filter| Arc::clone(filter.expression()));
    for (left, right) in join.on() {
        let left = inputs.moved(left, JoinSide::Left)?;
        let right = inputs.moved(right, JoinSide::Right)?;
        let equal: Arc<dyn PhysicalExpr> = Arc::new(BinaryExpr::new(left, Operator::Eq, right));
        condition = Some(match condition {
            Some(before) => Arc::new(BinaryExpr::new(equal, Operator::And, before)),
            None => equal,
        });
    }
    let filter = condition.map(|expression| inputs.filter(expression));
    let (left, right) = (Arc::clone(join.left()), Arc::clone(join.right()));
    Ok(Some(Arc::new(NestedLoopJoinExec::try_new(left, right, filter, join.join_type(), None)?)))
}

/// The row that a join's condition is computed over: columns of both sides.
struct Intermediate<'a> {
    join: &'a HashJoinExec,
    columns: Vec<ColumnIndex>,
}

impl<'a> Intermediate<'a> {
    fn new(join: &'a HashJoinExec) -> Self {
        let columns = join.filter().map(|filter| filter.column_indices().to_vec()).unwrap_or_default();
        Self { join, columns }
    }

    /// An expression over one side, over this row.
    fn moved(&mut self, expr: &Arc<dyn PhysicalExpr>, side: JoinSide) -> Result<Arc<dyn PhysicalExpr>> {
        let moved = Arc::clone(expr).transform_up(|node| match node.downcast_ref::<Column>() {
            Some(column) => {
                self.columns.push(ColumnIndex { index: column.index(), side });
                let position = self.columns.len() - 1;
                Ok(Transformed::yes(Arc::new(Column::new(column.name(), position)) as Arc<dyn PhysicalExpr>))
            }
            None => Ok(Transformed::no(node)),
        });
        moved.data()
    }

    fn filter(self, expression: Arc<dyn PhysicalExpr>) -> JoinFilter {
        let (left, right) = (self.join.left().schema(), self.join.right().schema());
        let field = |column: &ColumnIndex| {
            let schema = if column.side == JoinSide::Left { &left } else { &right };
            schema.field(column.index).clone()
        };
        let fields: Vec<_> = self.columns.iter().map(field).collect();
        JoinFilter::new(expression, self.columns, Arc::new(Schema::new(fields)))
    }
}
