//! `range(start, end, step)` as a table that makes its rows when they are read.
use std::any::Any;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::memory::{LazyBatchGenerator, LazyMemoryExec};
use parking_lot::RwLock;

#[derive(Debug)]
pub struct RangeTable {
    start: i64,
    step: i64,
    /// number of rows; up to 2^64
    count: u128,
    partitions: usize,
    schema: SchemaRef,
}

const BATCH_ROWS: u128 = 8192;

impl RangeTable {
    /// `step` is not 0.
    pub fn new(start: i64, end: i64, step: i64, partitions: usize) -> Self {
        let (start_wide, end_wide, step_wide) = (i128::from(start), i128::from(end), i128::from(step));
        let distance = if step > 0 { end_wide - start_wide } else { start_wide - end_wide };
        let count = if distance <= 0 { 0 } else { distance.unsigned_abs().div_ceil(step_wide.unsigned_abs()) };
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        Self { start, step, count, partitions: partitions.max(1), schema }
    }

    fn generator(&self, partition: usize) -> Generator {
        let edge = |p: usize| self.count * p as u128 / self.partitions as u128;
        let (next, end) = (edge(partition), edge(partition + 1));
        Generator { start: self.start, step: self.step, first: next, next, end, schema: Arc::clone(&self.schema) }
    }
}

#[async_trait]
impl TableProvider for RangeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let generators = (0..self.partitions)
            .map(|p| Arc::new(RwLock::new(self.generator(p))) as Arc<RwLock<dyn LazyBatchGenerator>>)
            .collect();
        let exec = LazyMemoryExec::try_new(Arc::clone(&self.schema), generators)?;
        Ok(Arc::new(exec.with_projection(projection.cloned())))
    }
    fn statistics(&self) -> Option<datafusion::common::Statistics> {
        use datafusion::common::stats::Precision;
        let mut statistics = datafusion::common::Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(usize::try_from(self.count).unwrap_or(usize::MAX));
        Some(statistics)
    }
}

/// Rows `next..end` of the range, counted from its start.
#[derive(Debug, Clone)]
struct Generator {
    start: i64,
    step: i64,
    first: u128,
    next: u128,
    end: u128,
    schema: SchemaRef,
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "range(start={}, step={}, rows={}..{})", self.start, self.step, self.first, self.end)
    }
}

impl LazyBatchGenerator for Generator {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn generate_next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if self.next >= self.end {
            return Ok(None);
        }
        let stop = (self.next + BATCH_ROWS).min(self.end);
        let value = |row: u128| self.start.wrapping_add(self.step.wrapping_mul(row as i64));
        let ids = Int64Array::from_iter_values((self.next..stop).map(value));
        self.next = stop;
        RecordBatch::try_new(Arc::clone(&self.schema), vec![Arc::new(ids)]).map(Some).map_err(DataFusionError::from)
    }
    fn reset_state(&self) -> Arc<RwLock<dyn LazyBatchGenerator>> {
        Arc::new(RwLock::new(Self { next: self.first, ..self.clone() }))
    }
}
