//! DISTINCT, for every function: it gets each distinct row of its arguments once.
//!
//! ```text
//!  no GROUP BY   count of one plain column ──▶ DataFusion's set of values
//!                other functions           ──▶ DistinctAccumulator: a set of rows        ──▶ the function
//!  GROUP BY      vectorised functions      ──▶ DistinctGroups: one set of (group, row)   ──▶ the function
//!                other functions           ──▶ a DistinctAccumulator for each group
//! ```
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::filter;
use arrow::datatypes::{DataType as ArrowType, Field, Schema, UInt32Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;
use indexmap::IndexSet;

use super::grouped::{GroupedRows, listed_rows, states_of_rows};
use super::udaf::AggregateCall;
use super::wrappers::normalise_floats;

/// Without GROUP BY, or for one group.
pub(super) fn accumulator(call: &Arc<AggregateCall>, args: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
    if call.name == "count" && is_plain(call) {
        return count_udaf().accumulator(args);
    }
    Ok(Box::new(DistinctAccumulator::new(call)?))
}

/// Whether there is one argument whose values are equal just if their bytes are.
fn is_plain(call: &AggregateCall) -> bool {
    use ArrowType as T;
    let plain = |t: T| {
        matches!(t, T::Int32 | T::Int64 | T::Decimal128(..) | T::Date32 | T::Timestamp(..) | T::Utf8 | T::Binary)
    };
    call.arg_types.len() == 1 && plain(call.arg_arrow(0))
}

pub(super) fn groups(call: &Arc<AggregateCall>) -> DfResult<Box<dyn GroupsAccumulator>> {
    Ok(Box::new(DistinctGroups::new(call)?))
}

/// Gives each distinct row of arguments to the function once, in order of first appearance.
struct DistinctAccumulator {
    call: Arc<AggregateCall>,
    converter: RowConverter,
    rows: IndexSet<Box<[u8]>>,
    bytes: usize,
}

impl std::fmt::Debug for DistinctAccumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DISTINCT {}", self.call.name)
    }
}

impl DistinctAccumulator {
    fn new(call: &Arc<AggregateCall>) -> DfResult<Self> {
        let fields = (0..call.arg_types.len()).map(|i| SortField::new(call.arg_arrow(i))).collect();
        Ok(Self { call: Arc::clone(call), converter: RowConverter::new(fields)?, rows: IndexSet::new(), bytes: 0 })
    }

    fn columns(&self) -> DfResult<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        Ok(self.converter.convert_rows(self.rows.iter().map(|row| parser.parse(row)))?)
    }
}

impl Accumulator for DistinctAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let values: Vec<ArrayRef> = values.iter().map(normalise_floats).collect();
        for row in &self.converter.convert_columns(&values)? {
            if !self.rows.contains(row.as_ref()) {
                self.bytes += row.as_ref().len() + 32;
                self.rows.insert(row.as_ref().into());
            }
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        let mut inner = self.call.accumulator()?;
        inner.update_batch(&self.columns()?)?;
        inner.evaluate()
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes + self.converter.size()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        let list = self.call.lists_of_rows(self.columns()?, OffsetBuffer::from_lengths([self.rows.len()]))?;
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for list in states.iter().filter_map(|s| s.as_list_opt::<i32>()).flat_map(|s| s.iter().flatten()) {
            self.update_batch(&self.call.columns_of_rows(&list))?;
        }
        Ok(())
    }
}

/// The distinct rows of all groups.
struct DistinctGroups {
    call: Arc<AggregateCall>,
    /// (group, arguments …)
    rows: Box<dyn GroupValues>,
    /// Of the last batch: where its rows are in `rows`
    found: Vec<usize>,
    group_count: usize,
}

impl DistinctGroups {
    fn new(call: &Arc<AggregateCall>) -> DfResult<Self> {
        let arguments = (0..call.arg_types.len()).map(|i| Field::new(format!("c{i}"), call.arg_arrow(i), true));
        let fields = std::iter::once(Field::new("group", ArrowType::UInt32, false)).chain(arguments);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let rows = new_group_values(schema, &GroupOrdering::None)?;
        Ok(Self { call: Arc::clone(call), rows, found: vec![], group_count: 0 })
    }

    fn push(&mut self, groups: UInt32Array, columns: &[ArrayRef]) -> DfResult<()> {
        if groups.is_empty() {
            return Ok(());
        }
        let mut row: Vec<ArrayRef> = vec![Arc::new(groups)];
        row.extend(columns.iter().map(normalise_floats));
        self.rows.intern(&row, &mut self.found)
    }

    /// Works on the rows of all groups, and keeps those that it leaves.
    fn emit<T>(&mut self, work: impl FnOnce(&mut GroupedRows) -> DfResult<T>) -> DfResult<T> {
        let mut columns = if self.rows.is_empty() { vec![] } else { self.rows.emit(EmitTo::All)? };
        let mut rows = GroupedRows::new(&self.call);
        rows.group_count = self.group_count;
        if !columns.is_empty() {
            let groups = columns.remove(0);
            rows.push(&columns, groups.as_primitive::<UInt32Type>().values().iter().copied(), None)?;
        }
        let result = work(&mut rows)?;
        self.group_count = rows.group_count;
        for (columns, groups) in rows.left() {
            self.push(UInt32Array::from(groups.to_vec()), &columns)?;
        }
        Ok(result)
    }
}

impl GroupsAccumulator for DistinctGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DfResult<()> {
        self.group_count = self.group_count.max(total_num_groups);
        let groups = UInt32Array::from_iter_values(group_indices.iter().map(|group| *group as u32));
        let Some(keep) = opt_filter.map(super::grouped::without_nulls) else { return self.push(groups, values) };
        let values = values.iter().map(|column| filter(column, &keep)).collect::<Result<Vec<_>, _>>()?;
        self.push(filter(&groups, &keep)?.as_primitive::<UInt32Type>().clone(), &values)
    }
    fn evaluate(&mut self, emit_to: EmitTo) -> DfResult<ArrayRef> {
        let call = Arc::clone(&self.call);
        self.emit(|rows| {
            let (columns, offsets) = rows.emit(emit_to)?;
            let ranges = offsets.windows(2).enumerate();
            let groups: Vec<usize> =
                ranges.flat_map(|(group, range)| std::iter::repeat_n(group, (range[1] - range[0]) as usize)).collect();
            let mut function = call.groups()?;
            function.update_batch(&columns, &groups, None, offsets.len() - 1)?;
            function.evaluate(EmitTo::All)
        })
    }
    fn state(&mut self, emit_to: EmitTo) -> DfResult<Vec<ArrayRef>> {
        self.emit(|rows| rows.emit_lists(emit_to))
    }
    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> DfResult<()> {
        self.group_count = self.group_count.max(total_num_groups);
        let Some((columns, groups)) = listed_rows(&self.call, values, group_indices) else { return Ok(()) };
        self.push(UInt32Array::from(groups), &columns)
    }
    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        states_of_rows(Self::new(&self.call)?, values, opt_filter)
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.rows.size() + self.found.capacity() * size_of::<usize>()
    }
}
