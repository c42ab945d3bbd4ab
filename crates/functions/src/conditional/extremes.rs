//! `greatest` and `least`, argument by argument.
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray,
    downcast_primitive_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type};
use firesteel_plan::{DataType, Result};

use crate::ordering::Order;
use crate::scalar::{ScalarArgs, from_arrow};

pub(super) fn kernel(args: &ScalarArgs<'_>, greatest: bool) -> Result<ArrayRef> {
    if *args.return_type == DataType::Null {
        return Ok(arrow::array::new_null_array(&args.arrow_type(), args.rows));
    }
    let mut best = args.array(0)?;
    for index in 1..args.values.len() {
        let other = args.array(index)?;
        best = match numbers(&best, &other, greatest) {
            Some(better) => better,
            None => by_keys(args.return_type, &best, &other, greatest)?,
        };
    }
    Ok(best)
}

/// The better of two columns whose values are compared as they are; `None` for other types.
fn numbers(best: &ArrayRef, other: &ArrayRef, greatest: bool) -> Option<ArrayRef> {
    if best.data_type() != other.data_type() {
        return None;
    }
    // NaN is the greatest, and both zeros are one.
    if let (Some(best), Some(other)) = (best.as_primitive_opt::<Float64Type>(), other.as_primitive_opt()) {
        let less = |a: f64, b: f64| if b.is_nan() { !a.is_nan() } else { a < b };
        return Some(directed(best, other, greatest, less));
    }
    if let (Some(best), Some(other)) = (best.as_primitive_opt::<Float32Type>(), other.as_primitive_opt()) {
        let less = |a: f32, b: f32| if b.is_nan() { !a.is_nan() } else { a < b };
        return Some(directed(best, other, greatest, less));
    }
    downcast_primitive_array!(
        (best, other) => Some(directed(best, other, greatest, |a, b| a.is_lt(b))),
        _ => None
    )
}

fn directed<T: ArrowPrimitiveType>(
    best: &PrimitiveArray<T>,
    other: &PrimitiveArray<T>,
    greatest: bool,
    less: impl Fn(T::Native, T::Native) -> bool,
) -> ArrayRef {
    if greatest { better(best, other, |a, b| less(b, a)) } else { better(best, other, less) }
}

/// The value of `other` where it `wins` over that of `best`; NULLs do not count.
fn better<T: ArrowPrimitiveType>(
    best: &PrimitiveArray<T>,
    other: &PrimitiveArray<T>,
    wins: impl Fn(T::Native, T::Native) -> bool,
) -> ArrayRef {
    let pairs = || best.values().iter().copied().zip(other.values().iter().copied());
    let pick = |(best, other)| if wins(other, best) { other } else { best };
    let values: Vec<T::Native> = match (best.nulls(), other.nulls()) {
        (None, None) => pairs().map(pick).collect(),
        (Some(valid), None) => {
            pairs().zip(valid.inner()).map(|(pair, valid)| if valid { pick(pair) } else { pair.1 }).collect()
        }
        (None, Some(valid)) => {
            pairs().zip(valid.inner()).map(|(pair, valid)| if valid { pick(pair) } else { pair.0 }).collect()
        }
        (Some(best), Some(other)) => pairs()
            .zip(best.inner().iter().zip(other.inner()))
            .map(|(pair, valid)| match valid {
                (true, true) => pick(pair),
                (true, false) => pair.0,
                (false, _) => pair.1,
            })
            .collect(),
    };
    let nulls = match (best.nulls(), other.nulls()) {
        (Some(best), Some(other)) => Some(NullBuffer::new(best.inner() | other.inner())),
        _ => None,
    };
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(best.data_type().clone()))
}

fn by_keys(data_type: &DataType, best: &ArrayRef, other: &ArrayRef, greatest: bool) -> Result<ArrayRef> {
    let wins = wins(data_type, best, other, greatest)?;
    let better = |row: usize| other.is_valid(row) && (best.is_null(row) || wins.value(row));
    let picks: Vec<(usize, usize)> = (0..best.len()).map(|row| (usize::from(better(row)), row)).collect();
    interleave(&[best.as_ref(), other.as_ref()], &picks).map_err(from_arrow)
}

/// Where the value of `other` is better, if both are there.
fn wins(data_type: &DataType, best: &ArrayRef, other: &ArrayRef, greatest: bool) -> Result<BooleanBuffer> {
    let in_bytes = matches!(data_type, DataType::String(collation) if collation.is_default());
    if in_bytes && *best.data_type() == ArrowType::Utf8 && *other.data_type() == ArrowType::Utf8 {
        let compare = if greatest { arrow::compute::kernels::cmp::gt } else { arrow::compute::kernels::cmp::lt };
        let wins: BooleanArray = compare(other, best).map_err(from_arrow)?;
        return Ok(wins.values().clone());
    }
    let order = Order::of(data_type)?;
    let (keys, other_keys) = (order.keys(best)?, order.keys(other)?);
    Ok(BooleanBuffer::collect_bool(best.len(), |row| {
        if greatest { other_keys.row(row) > keys.row(row) } else { other_keys.row(row) < keys.row(row) }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int32Array};

    #[test]
    fn nulls_do_not_count() {
        let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(5), None]));
        let b: ArrayRef = Arc::new(Int32Array::from(vec![Some(2), Some(3), None, None]));
        let expected: ArrayRef = Arc::new(Int32Array::from(vec![Some(2), Some(3), Some(5), None]));
        assert_eq!(&numbers(&a, &b, true).unwrap(), &expected);
        assert_eq!(&numbers(&b, &a, true).unwrap(), &expected);
        let full: ArrayRef = Arc::new(Int32Array::from(vec![0, 4, 9, 7]));
        let least: ArrayRef = Arc::new(Int32Array::from(vec![0, 4, 5, 7]));
        assert_eq!(&numbers(&a, &full, false).unwrap(), &least);
        assert_eq!(&numbers(&full, &a, false).unwrap(), &least);
    }

    #[test]
    fn nan_is_greatest_and_the_first_zero_stays() {
        let a: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 1.0, -0.0, 0.0]));
        let b: ArrayRef = Arc::new(Float64Array::from(vec![1.0, -f64::NAN, 0.0, -0.0]));
        let greatest = numbers(&a, &b, true).unwrap();
        let greatest = greatest.as_primitive::<Float64Type>();
        assert!(greatest.value(0).is_nan() && greatest.value(1).is_nan());
        assert!(greatest.value(2).is_sign_negative() && greatest.value(3).is_sign_positive());
        let least = numbers(&a, &b, false).unwrap();
        assert_eq!(&least.as_primitive::<Float64Type>().values()[..2], &[1.0, 1.0]);
    }
}
