//! Sampling with replacement: each row comes as often as a Poisson number says.
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::unary::{Node, Operator, PartitionExec, PartitionFunction};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Poisson {
    /// bits of the mean (`f64` itself has no total equality)
    mean_bits: u64,
    seed: i64,
}

/// `input` with each row repeated by a Poisson number of that mean.
pub fn plan(input: LogicalPlan, mean: f64, seed: i64) -> LogicalPlan {
    Node::plan(Poisson { mean_bits: mean.to_bits(), seed }, input)
}

impl Operator for Poisson {
    const NAME: &'static str = "PoissonSample";

    fn describe(&self) -> String {
        format!("mean={}, seed={}", f64::from_bits(self.mean_bits), self.seed)
    }
    fn physical(&self, _: Vec<Arc<dyn PhysicalExpr>>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(PartitionExec::new(self, input, Arc::new(self.clone()))))
    }
}

impl PartitionFunction for Poisson {
    fn apply(
        &self,
        partition: usize,
        rows: SendableRecordBatchStream,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut random = StdRng::seed_from_u64((self.seed as u64).wrapping_add(partition as u64));
        let limit = (-f64::from_bits(self.mean_bits)).exp();
        let schema = rows.schema();
        let sampled = rows.map(move |batch| sample(&batch?, limit, &mut random));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, sampled)))
    }
}

/// Knuth's method: multiply uniform numbers until the product falls below e^-mean.
fn sample(batch: &RecordBatch, limit: f64, random: &mut StdRng) -> Result<RecordBatch> {
    let mut indices = vec![];
    for row in 0..batch.num_rows() as u32 {
        let mut product: f64 = random.random();
        while product > limit {
            indices.push(row);
            product *= random.random::<f64>();
        }
    }
    take_record_batch(batch, &UInt32Array::from(indices)).map_err(DataFusionError::from)
}
