//! `df.tail(n)`: the last rows, in order.
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryStreamExt};

use super::unary::{Node, Operator, PartitionExec, PartitionFunction};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tail {
    count: usize,
}

/// The last `count` rows of `input`.
pub fn plan(input: LogicalPlan, count: usize) -> LogicalPlan {
    Node::plan(Tail { count }, input)
}

impl Operator for Tail {
    const NAME: &'static str = "Tail";

    fn describe(&self) -> String {
        self.count.to_string()
    }
    fn physical(&self, _: Vec<Arc<dyn PhysicalExpr>>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(PartitionExec::new(self, input, Arc::new(self.clone())).single_partition()))
    }
}

impl PartitionFunction for Tail {
    fn apply(
        &self,
        _: usize,
        rows: SendableRecordBatchStream,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (schema, count) = (rows.schema(), self.count);
        let last = futures::stream::once(last_rows(rows, count)).map_ok(futures::stream::iter);
        let flat = last.map_ok(|batches| batches.map(Ok)).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, flat)))
    }
}

async fn last_rows(mut rows: SendableRecordBatchStream, count: usize) -> Result<VecDeque<RecordBatch>> {
    let mut kept: VecDeque<RecordBatch> = VecDeque::new();
    let mut total = 0;
    while let Some(batch) = rows.next().await.transpose()? {
        total += batch.num_rows();
        kept.push_back(batch);
        while let Some(first) = kept.front().filter(|first| total - first.num_rows() >= count) {
            total -= first.num_rows();
            kept.pop_front();
        }
    }
    if let Some(first) = kept.pop_front() {
        let surplus = total.saturating_sub(count);
        kept.push_front(first.slice(surplus, first.num_rows() - surplus));
    }
    Ok(kept)
}
