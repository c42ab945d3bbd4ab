//! For functions that need all values of a group at once, under GROUP BY: keeps the rows of all groups together as they
//! come, and brings each group's rows side by side once, at the end.
//!
//! ```text
//!  (rows, group of each) … ──▶ count per group ──▶ offsets ──▶ one take ──▶ finish(columns, offsets)
//! ```
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, ListArray, PrimitiveArray, UInt32Array,
    downcast_primitive, new_empty_array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::{concat, filter, is_not_null, prep_null_mask_filter, take};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use firesteel_plan::{Result, SparkError};

use super::buffered::Finish;
use super::udaf::AggregateCall;
use crate::scalar::{from_arrow, from_datafusion};

/// Computes the results of all groups; the rows of group `i` are `offsets[i]..offsets[i + 1]`, in order of arrival.
pub type FinishGroups = fn(&AggregateCall, &[ArrayRef], &OffsetBuffer<i32>) -> Result<ArrayRef>;

struct Grouped {
    rows: GroupedRows,
    finish: FinishGroups,
    /// Whether a row whose first argument is NULL is dropped
    skip_nulls: bool,
}

/// Rows of the arguments of a call, and the group of each.
pub(super) struct GroupedRows {
    call: Arc<AggregateCall>,
    /// One vector of batches per argument
    columns: Vec<Vec<ArrayRef>>,
    groups: Vec<u32>,
    pub(super) group_count: usize,
    bytes: usize,
}

pub fn accumulator(
    call: &Arc<AggregateCall>,
    skip_nulls: bool,
    finish: FinishGroups,
) -> Result<Box<dyn GroupsAccumulator>> {
    Ok(Box::new(Grouped::new(call, skip_nulls, finish)))
}

/// A filter whose NULLs keep nothing. Arrow's own way takes no filter without NULLs.
pub(super) fn without_nulls(filter: &BooleanArray) -> BooleanArray {
    if filter.null_count() > 0 { prep_null_mask_filter(filter) } else { filter.clone() }
}

/// The results of a function that knows one group at a time.
pub fn each(
    call: &AggregateCall,
    columns: &[ArrayRef],
    offsets: &OffsetBuffer<i32>,
    finish: Finish,
) -> Result<ArrayRef> {
    let results = offsets.windows(2).map(|range| {
        let (start, length) = (range[0] as usize, (range[1] - range[0]) as usize);
        let rows: Vec<ArrayRef> = columns.iter().map(|column| column.slice(start, length)).collect();
        finish(call, &rows)
    });
    let results = results.collect::<Result<Vec<_>>>()?;
    if results.is_empty() {
        return Ok(new_empty_array(&call.return_arrow()));
    }
    ScalarValue::iter_to_array(results).map_err(from_datafusion)
}

/// The rows of each group as a list of `field`.
pub fn lists(call: &AggregateCall, values: ArrayRef, offsets: &OffsetBuffer<i32>) -> Result<ArrayRef> {
    let ArrowType::List(field) = call.return_arrow() else {
        return Err(SparkError::internal(format!("{} does not return an array", call.name)));
    };
    let values = if values.data_type() == field.data_type() {
        values
    } else {
        arrow::compute::cast(&values, field.data_type()).map_err(from_arrow)?
    };
    Ok(Arc::new(ListArray::try_new(field, offsets.clone(), values, None).map_err(from_arrow)?))
}

impl Grouped {
    fn new(call: &Arc<AggregateCall>, skip_nulls: bool, finish: FinishGroups) -> Self {
        Self { rows: GroupedRows::new(call), finish, skip_nulls }
    }

    /// The rows that count: a filter that is NULL keeps nothing.
    fn kept(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> DfResult<Option<BooleanArray>> {
        let filter = filter.map(without_nulls);
        let Some(first) = values.first().filter(|first| self.skip_nulls && first.logical_null_count() > 0) else {
            return Ok(filter);
        };
        let not_null = is_not_null(first)?;
        Ok(Some(match filter {
            Some(filter) => arrow::compute::and(&filter, &not_null)?,
            None => not_null,
        }))
    }
}

impl GroupedRows {
    pub(super) fn new(call: &Arc<AggregateCall>) -> Self {
        let columns = vec![vec![]; call.arg_types.len()];
        Self { call: Arc::clone(call), columns, groups: vec![], group_count: 0, bytes: 0 }
    }

    pub(super) fn push(
        &mut self,
        columns: &[ArrayRef],
        groups: impl Iterator<Item = u32>,
        keep: Option<&BooleanArray>,
    ) -> DfResult<()> {
        match keep {
            Some(keep) => {
                self.groups.extend(groups.zip(keep.values().iter()).filter(|(_, keep)| *keep).map(|(group, _)| group));
                for (kept, column) in self.columns.iter_mut().zip(columns) {
                    kept.push(filter(column, keep)?);
                }
            }
            None => {
                self.groups.extend(groups);
                for (kept, column) in self.columns.iter_mut().zip(columns) {
                    kept.push(Arc::clone(column));
                }
            }
        }
        let bytes = |column: &Vec<ArrayRef>| {
            column.last().and_then(|batch| batch.to_data().get_slice_memory_size().ok()).unwrap_or(0)
        };
        self.bytes += self.columns.iter().map(bytes).sum::<usize>();
        Ok(())
    }

    /// The rows that are left, and their groups.
    pub(super) fn left(&self) -> impl Iterator<Item = (Vec<ArrayRef>, &[u32])> {
        let batches = self.columns.first().map_or(0, Vec::len);
        let mut start = 0;
        (0..batches).map(move |batch| {
            let columns: Vec<_> = self.columns.iter().map(|column| Arc::clone(&column[batch])).collect();
            let rows = columns.first().map_or(0, |column| column.len());
            start += rows;
            (columns, &self.groups[start - rows..start])
        })
    }

    /// Takes the first groups: their rows side by side, and where each group ends.
    pub(super) fn emit(&mut self, emit_to: EmitTo) -> DfResult<(Vec<ArrayRef>, OffsetBuffer<i32>)> {
        let count = match emit_to {
            EmitTo::All => self.group_count,
            EmitTo::First(count) => count,
        };
        let mut ends = vec![0usize; count + 1];
        for group in self.groups.iter().map(|group| *group as usize).filter(|group| *group < count) {
            ends[group + 1] += 1;
        }
        for group in 0..count {
            ends[group + 1] += ends[group];
        }
        let offsets: std::result::Result<Vec<i32>, _> = ends.iter().map(|end| i32::try_from(*end)).collect();
        let Ok(offsets) = offsets else {
            return self
                .call
                .fail(SparkError::unsupported(format!("{} of more than 2147483647 values", self.call.name)));
        };
        if count == self.group_count
            && let Some(columns) = self.columns.iter().map(|batches| scatter(batches, &self.groups, &ends)).collect()
        {
            *self = Self::new(&self.call);
            return Ok((columns, OffsetBuffer::new(ScalarBuffer::from(offsets))));
        }
        let whole = self.columns.iter().enumerate().map(|(i, batches)| {
            let batches: Vec<&dyn Array> = batches.iter().map(AsRef::as_ref).collect();
            if batches.is_empty() { Ok(new_empty_array(&self.call.arg_arrow(i))) } else { concat(&batches) }
        });
        let whole = whole.collect::<std::result::Result<Vec<_>, _>>()?;
        let mut next = ends;
        let mut order = vec![0u32; next[count]];
        let mut later = vec![];
        for (row, group) in self.groups.iter().enumerate() {
            match next.get_mut(*group as usize).filter(|_| (*group as usize) < count) {
                Some(at) => {
                    order[*at] = row as u32;
                    *at += 1;
                }
                None => later.push(row as u32),
            }
        }
        let order = UInt32Array::from(order);
        let columns = whole.iter().map(|column| take(column, &order, None)).collect::<std::result::Result<_, _>>()?;
        self.keep_only(&whole, later, count)?;
        Ok((columns, OffsetBuffer::new(ScalarBuffer::from(offsets))))
    }

    /// What is left after the first `count` groups went out.
    fn keep_only(&mut self, whole: &[ArrayRef], rows: Vec<u32>, count: usize) -> DfResult<()> {
        self.groups = rows.iter().map(|row| self.groups[*row as usize] - count as u32).collect();
        self.group_count -= count.min(self.group_count);
        self.bytes = 0;
        let rows = UInt32Array::from(rows);
        for (kept, column) in self.columns.iter_mut().zip(whole) {
            kept.clear();
            if !rows.is_empty() {
                let rest = take(column, &rows, None)?;
                self.bytes += rest.get_array_memory_size();
                kept.push(rest);
            }
        }
        Ok(())
    }

    /// Takes the first groups, each as a list of its rows.
    pub(super) fn emit_lists(&mut self, emit_to: EmitTo) -> DfResult<Vec<ArrayRef>> {
        let (columns, offsets) = self.emit(emit_to)?;
        Ok(vec![Arc::new(self.call.lists_of_rows(columns, offsets)?)])
    }

    pub(super) fn size(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<u32>()
    }
}

/// The rows of batches, those of each group side by side from its start on. `None`: not plain values of one width.
fn scatter(batches: &[ArrayRef], groups: &[u32], starts: &[usize]) -> Option<ArrayRef> {
    fn values<T: ArrowPrimitiveType>(batches: &[ArrayRef], groups: &[u32], starts: &[usize]) -> ArrayRef {
        let mut next = starts.to_vec();
        let mut all = vec![T::default_value(); groups.len()];
        let rows = batches.iter().flat_map(|batch| batch.as_primitive::<T>().values().iter());
        for (value, group) in rows.zip(groups) {
            let at = &mut next[*group as usize];
            all[*at] = *value;
            *at += 1;
        }
        let array = PrimitiveArray::<T>::new(all.into(), None);
        Arc::new(array.with_data_type(batches[0].data_type().clone()))
    }
    let first = batches.first().filter(|_| batches.iter().all(|batch| batch.null_count() == 0))?;
    macro_rules! of_type {
        ($t:ty) => {
            Some(values::<$t>(batches, groups, starts))
        };
    }
    downcast_primitive! {
        first.data_type() => (of_type),
        _ => None,
    }
}

/// The states of rows, each of which is a group of its own. `single` has seen no row.
pub(super) fn states_of_rows(
    mut single: impl GroupsAccumulator,
    values: &[ArrayRef],
    filter: Option<&BooleanArray>,
) -> DfResult<Vec<ArrayRef>> {
    let rows = values.first().map_or(0, |column| column.len());
    single.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
    single.state(EmitTo::All)
}

/// The columns of the rows in lists, and the group of each row.
pub(super) fn listed_rows(
    call: &AggregateCall,
    lists: &[ArrayRef],
    groups: &[usize],
) -> Option<(Vec<ArrayRef>, Vec<u32>)> {
    let lists = lists.first()?.as_list_opt::<i32>()?;
    let offsets = lists.value_offsets();
    let (start, end) = (*offsets.first()? as usize, *offsets.last()? as usize);
    let rows = lists.values().slice(start, end - start);
    let of_rows = groups
        .iter()
        .zip(offsets.windows(2))
        .flat_map(|(group, range)| std::iter::repeat_n(*group as u32, (range[1] - range[0]) as usize));
    Some((call.columns_of_rows(&rows), of_rows.collect()))
}

impl GroupsAccumulator for Grouped {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DfResult<()> {
        self.rows.group_count = self.rows.group_count.max(total_num_groups);
        let keep = self.kept(values, opt_filter)?;
        self.rows.push(values, group_indices.iter().map(|group| *group as u32), keep.as_ref())
    }
    fn evaluate(&mut self, emit_to: EmitTo) -> DfResult<ArrayRef> {
        let (columns, offsets) = self.rows.emit(emit_to)?;
        match (self.finish)(&self.rows.call, &columns, &offsets) {
            Ok(results) => Ok(results),
            Err(error) => self.rows.call.fail(error),
        }
    }
    fn state(&mut self, emit_to: EmitTo) -> DfResult<Vec<ArrayRef>> {
        self.rows.emit_lists(emit_to)
    }
    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> DfResult<()> {
        self.rows.group_count = self.rows.group_count.max(total_num_groups);
        let Some((columns, groups)) = listed_rows(&self.rows.call, values, group_indices) else { return Ok(()) };
        let keep = self.kept(&columns, None)?;
        self.rows.push(&columns, groups.into_iter(), keep.as_ref())
    }
    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        states_of_rows(Self::new(&self.rows.call, self.skip_nulls, self.finish), values, opt_filter)
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.rows.size()
    }
}
