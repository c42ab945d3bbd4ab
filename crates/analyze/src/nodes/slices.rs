//! Cuts batches into thin slices, so that what deals whole batches deals rows evenly.
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};

use super::unary::{Operator, PartitionExec, PartitionFunction};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slices {
    /// Into how many slices a batch is cut, where it has as many rows
    count: usize,
}

/// `input` with its batches cut into `count` slices each.
pub fn exec(input: Arc<dyn ExecutionPlan>, count: usize) -> Arc<dyn ExecutionPlan> {
    let slices = Slices { count };
    Arc::new(PartitionExec::new(&slices, input, Arc::new(slices.clone())))
}

impl Operator for Slices {
    const NAME: &'static str = "Slices";

    fn describe(&self) -> String {
        format!("{} of each batch", self.count)
    }
    fn physical(&self, _: Vec<Arc<dyn PhysicalExpr>>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(exec(input, self.count))
    }
}

impl PartitionFunction for Slices {
    fn apply(
        &self,
        _: usize,
        rows: SendableRecordBatchStream,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (schema, count) = (rows.schema(), self.count);
        let sliced = rows.map_ok(move |batch| {
            let length = batch.num_rows().div_ceil(count).max(1);
            let starts = (0..batch.num_rows()).step_by(length);
            let slices: Vec<_> =
                starts.map(|start| Ok(batch.slice(start, length.min(batch.num_rows() - start)))).collect();
            futures::stream::iter(slices)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, sliced.try_flatten().boxed())))
    }
}
