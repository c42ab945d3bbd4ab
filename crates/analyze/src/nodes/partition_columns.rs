//! Columns that depend on the partition and the row's place in it: partition ids, row ids, random numbers.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use firesteel_functions::mersenne::MersenneTwister;
use firesteel_functions::random::XorShiftRandom;
use futures::StreamExt;

use super::unary::{Node, Operator, PartitionExec, PartitionFunction, extended_schema};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `spark_partition_id()`, INT
    PartitionId,
    /// `monotonically_increasing_id()`, BIGINT: the partition in the upper 31 bits, the row in the lower 33
    RowId,
    /// The row's number in its partition from 0, BIGINT
    RowIndex,
    /// `rand(seed)`, DOUBLE in [0, 1)
    Uniform { seed: i64 },
    /// `randn(seed)`, DOUBLE
    Normal { seed: i64 },
    /// `randstr(length, seed)`, STRING
    Text { seed: i64, length: usize },
    /// `uuid(seed)`, STRING
    Uuid { seed: i64 },
    /// The number that decides whether `sample` keeps a row, DOUBLE in [0, 1)
    Sample { seed: i64 },
}

impl Function {
    fn data_type(self) -> DataType {
        match self {
            Self::PartitionId => DataType::Int32,
            Self::RowId | Self::RowIndex => DataType::Int64,
            Self::Text { .. } | Self::Uuid { .. } => DataType::Utf8,
            Self::Uniform { .. } | Self::Normal { .. } | Self::Sample { .. } => DataType::Float64,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartitionColumns {
    /// function and column id
    columns: Vec<(Function, String)>,
}

/// `input` with those columns appended.
pub fn plan(input: LogicalPlan, columns: Vec<(Function, String)>) -> LogicalPlan {
    Node::plan(PartitionColumns { columns }, input)
}

/// Whether the node itself makes random numbers.
pub fn is_random(plan: &LogicalPlan) -> bool {
    let draws = |(function, _): &(Function, String)| {
        !matches!(function, Function::PartitionId | Function::RowId | Function::RowIndex)
    };
    Node::<PartitionColumns>::operator_of(plan).is_some_and(|operator| operator.columns.iter().any(draws))
}

impl Operator for PartitionColumns {
    const NAME: &'static str = "PartitionColumns";

    fn describe(&self) -> String {
        self.columns.iter().map(|(f, id)| format!("{f:?} AS {id}")).collect::<Vec<_>>().join(", ")
    }
    fn added_fields(&self) -> Vec<Field> {
        self.columns.iter().map(|(f, id)| Field::new(id, f.data_type(), false)).collect()
    }
    fn physical(&self, _: Vec<Arc<dyn PhysicalExpr>>, input: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(PartitionExec::new(self, input, Arc::new(self.clone()))))
    }
}

/// The columns in a recursive query: every level draws random numbers of its own.
#[derive(Debug)]
struct InRecursion {
    columns: PartitionColumns,
    level: Arc<AtomicU64>,
}

impl PartitionFunction for InRecursion {
    fn apply(
        &self,
        partition: usize,
        rows: SendableRecordBatchStream,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let levels_before = self.level.load(Ordering::Relaxed).saturating_sub(1);
        self.columns.extend(partition, rows, levels_before as i64)
    }
}

impl PartitionFunction for PartitionColumns {
    fn apply(
        &self,
        partition: usize,
        rows: SendableRecordBatchStream,
        _: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.extend(partition, rows, 0)
    }

    fn in_recursion(&self, level: &Arc<AtomicU64>) -> Option<Arc<dyn PartitionFunction>> {
        Some(Arc::new(InRecursion { columns: self.clone(), level: Arc::clone(level) }))
    }
}

impl PartitionColumns {
    /// Appends the columns; `shift` is added to every seed.
    fn extend(
        &self,
        partition: usize,
        rows: SendableRecordBatchStream,
        shift: i64,
    ) -> Result<SendableRecordBatchStream> {
        let schema = extended_schema(&rows.schema(), &self.added_fields());
        let mut sources: Vec<Source> = self.columns.iter().map(|(f, _)| Source::new(*f, partition, shift)).collect();
        let target = Arc::clone(&schema);
        let extended = rows.map(move |batch| {
            let batch = batch?;
            let mut columns = batch.columns().to_vec();
            columns.extend(sources.iter_mut().map(|source| source.next(batch.num_rows())));
            RecordBatch::try_new(Arc::clone(&target), columns).map_err(DataFusionError::from)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, extended)))
    }
}

/// A column under way: what it has given out so far.
struct Source {
    function: Function,
    partition: i64,
    rows: i64,
    random: XorShiftRandom,
    twister: Option<Box<MersenneTwister>>,
}

impl Source {
    fn new(function: Function, partition: usize, shift: i64) -> Self {
        let partition = partition as i64;
        let seed = match function {
            Function::Uniform { seed } | Function::Normal { seed } | Function::Sample { seed } => seed,
            Function::Text { seed, .. } | Function::Uuid { seed } => seed,
            _ => 0,
        }
        .wrapping_add(partition)
        .wrapping_add(shift);
        let twister = matches!(function, Function::Uuid { .. }).then(|| Box::new(MersenneTwister::new(seed)));
        Self { function, partition, rows: 0, random: XorShiftRandom::new(seed), twister }
    }

    fn next(&mut self, count: usize) -> ArrayRef {
        let start = self.rows;
        self.rows += count as i64;
        let rows = start..self.rows;
        match self.function {
            Function::PartitionId => Arc::new(Int32Array::from_value(self.partition as i32, count)),
            Function::RowId => Arc::new(Int64Array::from_iter_values(rows.map(|r| (self.partition << 33) + r))),
            Function::RowIndex => Arc::new(Int64Array::from_iter_values(rows)),
            Function::Uniform { .. } | Function::Sample { .. } => {
                Arc::new(Float64Array::from_iter_values((0..count).map(|_| self.random.next_double())))
            }
            Function::Text { length, .. } => {
                Arc::new(StringArray::from_iter_values((0..count).map(|_| self.random.next_text(length))))
            }
            Function::Uuid { .. } => {
                let next = |_| self.twister.as_mut().map(|twister| twister.next_uuid().to_string());
                Arc::new((0..count).map(next).collect::<StringArray>())
            }
            Function::Normal { .. } => {
                Arc::new(Float64Array::from_iter_values((0..count).map(|_| self.random.next_gaussian())))
            }
        }
    }
}
