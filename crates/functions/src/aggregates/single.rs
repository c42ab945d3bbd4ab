//! A groups accumulator used for one group: so the vectorised code is the only code.
use arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// Groups whose first result can be seen without taking it: a running frame asks for it at every row.
pub trait Peek: GroupsAccumulator {
    fn peek(&self) -> DfResult<ScalarValue>;
}

pub struct Single<G> {
    groups: G,
    zeros: Vec<usize>,
}

impl<G> std::fmt::Debug for Single<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Single")
    }
}

impl<G: GroupsAccumulator> Single<G> {
    pub fn new(groups: G) -> Self {
        Self { groups, zeros: vec![] }
    }

    fn indices(&mut self, rows: usize) -> &[usize] {
        if self.zeros.len() < rows {
            self.zeros.resize(rows, 0);
        }
        &self.zeros[..rows]
    }
}

impl<G: Peek + Sync> Accumulator for Single<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let rows = values.first().map_or(0, |v| v.len());
        self.indices(rows);
        self.groups.update_batch(values, &self.zeros[..rows], None, 1)
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        self.groups.update_batch_empty()?;
        self.groups.peek()
    }
    fn size(&self) -> usize {
        self.groups.size() + self.zeros.capacity() * size_of::<usize>()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        self.groups.update_batch_empty()?;
        let state = self.groups.state(EmitTo::All)?;
        state.iter().map(|column| ScalarValue::try_from_array(column, 0)).collect()
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let rows = states.first().map_or(0, |v| v.len());
        self.indices(rows);
        self.groups.merge_batch(states, &self.zeros[..rows], 1)
    }
}

/// Makes sure that group 0 exists.
trait EnsureGroup {
    fn update_batch_empty(&mut self) -> DfResult<()>;
}

impl<G: GroupsAccumulator> EnsureGroup for G {
    fn update_batch_empty(&mut self) -> DfResult<()> {
        self.merge_batch(&[], &[], 1)
    }
}
