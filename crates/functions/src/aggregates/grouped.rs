//! For functions that need all values of a group at once, under GROUP BY: keeps the rows of all groups together as they
//! come, and brings each group's rows side by side once, at the end.
//!
//! ```text
//!  (rows, group of each) … ──▶ count per group ──▶ offsets ──▶ one take ──▶ finish(columns, offsets)
//! ```
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, StructArray, UInt32Array, new_empty_array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::{concat, filter, is_not_null, take};
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
    call: Arc<AggregateCall>,
    finish: FinishGroups,
    /// Whether a row whose first argument is NULL is dropped
    skip_nulls: bool,
    /// One vector of batches per argument
    columns: Vec<Vec<ArrayRef>>,
    groups: Vec<u32>,
    group_count: usize,
    bytes: usize,
}

pub fn accumulator(
    call: &Arc<AggregateCall>,
    skip_nulls: bool,
    finish: FinishGroups,
) -> Result<Box<dyn GroupsAccumulator>> {
    Ok(Box::new(Grouped::new(call, skip_nulls, finish)))
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
        let columns = vec![vec![]; call.arg_types.len()];
        Self { call: Arc::clone(call), finish, skip_nulls, columns, groups: vec![], group_count: 0, bytes: 0 }
    }

    fn push(
        &mut self,
        columns: &[ArrayRef],
        groups: impl Iterator<Item = u32>,
        keep: Option<&BooleanArray>,
    ) -> DfResult<()> {
        let Some(first) = columns.first() else { return Ok(()) };
        let not_null = if self.skip_nulls && first.logical_null_count() > 0 { Some(is_not_null(first)?) } else { None };
        let keep = match (keep, not_null) {
            // A filter that is NULL keeps nothing.
            (Some(keep), Some(not_null)) => {
                Some(arrow::compute::and(&arrow::compute::prep_null_mask_filter(keep), &not_null)?)
            }
            (Some(keep), None) => Some(arrow::compute::prep_null_mask_filter(keep)),
            (None, not_null) => not_null,
        };
        match keep {
            Some(keep) => {
                self.groups.extend(groups.zip(keep.values().iter()).filter(|(_, keep)| *keep).map(|(group, _)| group));
                for (kept, column) in self.columns.iter_mut().zip(columns) {
                    kept.push(filter(column, &keep)?);
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

    /// Takes the first groups: their rows side by side, and where each group ends.
    fn emit(&mut self, emit_to: EmitTo) -> DfResult<(Vec<ArrayRef>, OffsetBuffer<i32>)> {
        let count = match emit_to {
            EmitTo::All => self.group_count,
            EmitTo::First(count) => count,
        };
        let whole = self.columns.iter().enumerate().map(|(i, batches)| {
            let batches: Vec<&dyn Array> = batches.iter().map(AsRef::as_ref).collect();
            if batches.is_empty() { Ok(new_empty_array(&self.call.arg_arrow(i))) } else { concat(&batches) }
        });
        let whole = whole.collect::<std::result::Result<Vec<_>, _>>()?;
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
}

impl GroupsAccumulator for Grouped {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DfResult<()> {
        self.group_count = self.group_count.max(total_num_groups);
        self.push(values, group_indices.iter().map(|group| *group as u32), opt_filter)
    }
    fn evaluate(&mut self, emit_to: EmitTo) -> DfResult<ArrayRef> {
        let (columns, offsets) = self.emit(emit_to)?;
        match (self.finish)(&self.call, &columns, &offsets) {
            Ok(results) => Ok(results),
            Err(error) => self.call.fail(error),
        }
    }
    fn state(&mut self, emit_to: EmitTo) -> DfResult<Vec<ArrayRef>> {
        let (columns, offsets) = self.emit(emit_to)?;
        let rows = columns.first().map_or(0, |column| column.len());
        let rows = StructArray::try_new_with_length(self.call.row_fields(), columns, None, rows)?;
        let field = arrow::datatypes::Field::new("item", rows.data_type().clone(), true);
        Ok(vec![Arc::new(ListArray::try_new(Arc::new(field), offsets, Arc::new(rows), None)?)])
    }
    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> DfResult<()> {
        self.group_count = self.group_count.max(total_num_groups);
        let Some(lists) = values.first().and_then(|states| states.as_list_opt::<i32>()) else { return Ok(()) };
        let offsets = lists.value_offsets();
        let (Some(start), Some(end)) = (offsets.first(), offsets.last()) else { return Ok(()) };
        let rows = lists.values().slice(*start as usize, (*end - *start) as usize);
        let Some(rows) = rows.as_struct_opt() else { return Ok(()) };
        let groups: Vec<u32> = group_indices
            .iter()
            .zip(offsets.windows(2))
            .flat_map(|(group, range)| std::iter::repeat_n(*group as u32, (range[1] - range[0]) as usize))
            .collect();
        self.push(rows.columns(), groups.into_iter(), None)
    }
    /// Each row as a group of its own.
    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut single = Self::new(&self.call, self.skip_nulls, self.finish);
        single.update_batch(values, &(0..rows).collect::<Vec<_>>(), opt_filter, rows)?;
        single.state(EmitTo::All)
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes + self.groups.capacity() * size_of::<u32>()
    }
}
