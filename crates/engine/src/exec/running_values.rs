//! The values of aggregates whose frames grow from the start of their partition.
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

/// Where partitions and peers begin and end in some rows.
pub struct Bounds {
    pub peers: Vec<Range<usize>>,
    /// Whether each group of peers is the first of its partition
    pub is_first: Vec<bool>,
}

/// The values of a growing aggregate, whose accumulator holds what came before.
pub fn running(
    accumulator: &mut Option<Box<dyn Accumulator>>,
    function: &AggregateFunctionExpr,
    by_rows: bool,
    values: &[ArrayRef],
    bounds: &Bounds,
) -> Result<ArrayRef> {
    if let Some(sums) = running_sums(accumulator, function, by_rows, values, bounds)? {
        return Ok(sums);
    }
    let mut results = vec![];
    let mut lengths = vec![];
    for (peers, is_first) in bounds.peers.iter().zip(&bounds.is_first) {
        if *is_first {
            *accumulator = None;
        }
        let accumulator = match accumulator {
            Some(accumulator) => accumulator,
            None => accumulator.insert(function.create_accumulator()?),
        };
        let step = if by_rows { 1 } else { peers.len() };
        for start in peers.clone().step_by(step) {
            let added: Vec<ArrayRef> = values.iter().map(|value| value.slice(start, step)).collect();
            accumulator.update_batch(&added)?;
            results.push(accumulator.evaluate()?);
            lengths.push(step);
        }
    }
    let count = results.len();
    let results = ScalarValue::iter_to_array(results)?;
    if lengths.iter().sum::<usize>() == count {
        return Ok(results);
    }
    let rows = lengths.into_iter().enumerate().flat_map(|(index, length)| std::iter::repeat_n(index as u32, length));
    Ok(take(&results, &UInt32Array::from_iter_values(rows), None)?)
}

/// Sums of whole numbers in one pass. `None`: the function is another one, or a sum leaves the range of its type.
fn running_sums(
    accumulator: &mut Option<Box<dyn Accumulator>>,
    function: &AggregateFunctionExpr,
    by_rows: bool,
    values: &[ArrayRef],
    bounds: &Bounds,
) -> Result<Option<ArrayRef>> {
    let [value] = values else { return Ok(None) };
    let is_sum =
        function.fun().name() == "sum" && !function.is_distinct() && function.field().data_type() == &DataType::Int64;
    let Some(numbers) = value.as_primitive_opt::<Int64Type>().filter(|_| is_sum) else { return Ok(None) };
    let starts_anew = bounds.is_first.first().is_none_or(|is_first| *is_first);
    let mut sum = match accumulator {
        Some(accumulator) if !starts_anew => match accumulator.evaluate()? {
            ScalarValue::Int64(Some(sum)) => Some(sum),
            // It may be that of no numbers, or of too large ones.
            _ => return Ok(None),
        },
        _ => None,
    };
    let mut sums = Int64Builder::with_capacity(numbers.len());
    let mut open = 0;
    for (peers, is_first) in bounds.peers.iter().zip(&bounds.is_first) {
        if *is_first {
            (sum, open) = (None, peers.start);
        }
        for row in peers.clone() {
            if numbers.is_valid(row) {
                let Some(next) = sum.unwrap_or(0).checked_add(numbers.value(row)) else { return Ok(None) };
                sum = Some(next);
            }
            if by_rows {
                sums.append_option(sum);
            }
        }
        if !by_rows {
            sums.extend(std::iter::repeat_n(sum, peers.len()));
        }
    }
    // What the accumulator has to know is the last partition, which may go on.
    if bounds.is_first.contains(&true) || accumulator.is_none() {
        *accumulator = Some(function.create_accumulator()?);
    }
    if let Some(accumulator) = accumulator {
        accumulator.update_batch(&[value.slice(open, numbers.len() - open)])?;
    }
    Ok(Some(Arc::new(sums.finish())))
}
