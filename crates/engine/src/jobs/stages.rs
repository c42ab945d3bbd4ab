//! Stages of a physical plan: the operators between two exchanges.
use std::sync::Arc;

use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::metrics::MetricValue;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use firesteel_lake::{FILES_PRUNED, STRIPES_PRUNED};

use super::{StageProgress, StageState};
use crate::exec::GatherExec;

/// A stage while its plan is alive.
#[derive(Debug)]
pub struct StagePlan {
    pub id: u64,
    pub name: String,
    pub num_tasks: usize,
    pub parents: Vec<u64>,
    /// Operators of the stage, the last one (its output) first.
    operators: Vec<Arc<dyn ExecutionPlan>>,
}

impl StagePlan {
    /// Splits a plan at its exchanges, sources first.
    pub fn split(plan: &Arc<dyn ExecutionPlan>, next_id: &mut dyn FnMut() -> u64) -> Vec<StagePlan> {
        let mut stages = vec![];
        split_into(plan, next_id, &mut stages);
        stages
    }

    /// Sums the operators' metrics.
    pub fn progress(&self) -> StageProgress {
        let mut progress = StageProgress {
            stage_id: self.id,
            name: self.name.clone(),
            num_tasks: self.num_tasks,
            parents: self.parents.clone(),
            ..Default::default()
        };
        let mut started = false;
        let mut found_output = false;
        for operator in &self.operators {
            let Some(metrics) = operator.metrics() else { continue };
            let is_leaf = operator.children().is_empty();
            let mut ended = 0;
            let mut has_baseline = false;
            for metric in metrics.iter() {
                match metric.value() {
                    MetricValue::EndTimestamp(at) => ended += usize::from(at.value().is_some()),
                    MetricValue::StartTimestamp(at) => started |= at.value().is_some(),
                    MetricValue::ElapsedCompute(time) => {
                        has_baseline = true;
                        progress.compute_nanos += time.value() as u64;
                    }
                    MetricValue::SpilledBytes(count) => progress.spilled_bytes += count.value() as u64,
                    MetricValue::SpillCount(count) => progress.spill_count += count.value() as u64,
                    MetricValue::OutputRows(count) if is_leaf => progress.input_rows += count.value() as u64,
                    MetricValue::Count { name, count } if is_leaf && name == "bytes_scanned" => {
                        progress.input_bytes += count.value() as u64;
                    }
                    MetricValue::Count { name, count } if is_leaf && name == FILES_PRUNED => {
                        progress.files_pruned += count.value() as u64;
                    }
                    MetricValue::Count { name, count } if is_leaf && name == STRIPES_PRUNED => {
                        progress.stripes_pruned += count.value() as u64;
                    }
                    MetricValue::OutputBytes(count) if !found_output => progress.output_bytes += count.value() as u64,
                    _ => {}
                }
            }
            if has_baseline && !found_output {
                found_output = true;
                progress.output_rows = metrics.output_rows().unwrap_or(0) as u64;
                progress.num_completed_tasks = ended.min(self.num_tasks);
            }
        }
        progress.state = if found_output && progress.num_completed_tasks >= self.num_tasks {
            StageState::Complete
        } else if started {
            StageState::Active
        } else {
            StageState::Pending
        };
        progress
    }
}

fn is_exchange(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<SortPreservingMergeExec>()
        || plan.is::<GatherExec>()
}

/// Adds the stage that ends in `top`, and before it the stages it reads; answers its id.
fn split_into(top: &Arc<dyn ExecutionPlan>, next_id: &mut dyn FnMut() -> u64, stages: &mut Vec<StagePlan>) -> u64 {
    let mut operators = vec![];
    let mut parents = vec![];
    let mut open = vec![Arc::clone(top)];
    while let Some(operator) = open.pop() {
        for child in operator.children() {
            if is_exchange(child) {
                for input in child.children() {
                    parents.push(split_into(input, next_id, stages));
                }
            } else {
                open.push(Arc::clone(child));
            }
        }
        operators.push(operator);
    }
    let id = next_id();
    let name = operators.iter().map(|o| o.name().trim_end_matches("Exec")).collect::<Vec<_>>().join(" < ");
    let num_tasks = top.output_partitioning().partition_count().max(1);
    stages.push(StagePlan { id, name, num_tasks, parents, operators });
    id
}
