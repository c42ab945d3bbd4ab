//! The loop of all binary operators on numbers: one pass for the results, a second one only where something failed.
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow::buffer::NullBuffer;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;
use firesteel_plan::{Result, SparkError};

use crate::cast::kernel::primitive;
use crate::scalar::{ScalarArgs, from_datafusion};

/// One side of an operator.
pub enum Operand<T: ArrowPrimitiveType> {
    Array(PrimitiveArray<T>),
    Constant(T::Native),
    Null,
}

impl<T: ArrowPrimitiveType> Operand<T> {
    pub fn of(args: &ScalarArgs<'_>, index: usize) -> Result<Self> {
        let value = args.values.get(index).ok_or_else(|| SparkError::internal(format!("no argument {index}")))?;
        match value {
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Self::Null),
            ColumnarValue::Scalar(scalar) => {
                let array: ArrayRef = scalar.to_array().map_err(from_datafusion)?;
                let array = primitive::<T>(&array)?;
                Ok(if array.is_null(0) { Self::Null } else { Self::Constant(array.value(0)) })
            }
            ColumnarValue::Array(array) => Ok(Self::Array(primitive::<T>(array)?.clone())),
        }
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Array(array) => array.nulls(),
            _ => None,
        }
    }

    #[inline]
    fn value(&self, row: usize) -> T::Native {
        match self {
            Self::Array(array) => array.values()[row],
            Self::Constant(value) => *value,
            Self::Null => T::Native::default(),
        }
    }
}

/// Applies `f` to every row. It answers the result and whether it failed; a failure is the error where `strict`,
/// else NULL. What `f` gets for a NULL row is arbitrary, and its failures there do not count.
pub fn binary<A, B, R>(
    args: &ScalarArgs<'_>,
    strict: bool,
    f: impl Fn(A::Native, B::Native) -> (R::Native, bool),
    error: impl Fn(A::Native, B::Native) -> SparkError,
) -> Result<PrimitiveArray<R>>
where
    A: ArrowPrimitiveType,
    B: ArrowPrimitiveType,
    R: ArrowPrimitiveType,
{
    let (left, right) = (Operand::<A>::of(args, 0)?, Operand::<B>::of(args, 1)?);
    let rows = args.rows;
    if matches!(left, Operand::Null) || matches!(right, Operand::Null) {
        return Ok(PrimitiveArray::new_null(rows));
    }
    let mut failed = false;
    let mut keep = |(value, bad): (R::Native, bool)| {
        failed |= bad;
        value
    };
    let values: Vec<R::Native> = match (&left, &right) {
        (Operand::Array(a), Operand::Array(b)) => {
            a.values().iter().zip(b.values().iter()).map(|(x, y)| keep(f(*x, *y))).collect()
        }
        (Operand::Array(a), Operand::Constant(y)) => a.values().iter().map(|x| keep(f(*x, *y))).collect(),
        (Operand::Constant(x), Operand::Array(b)) => b.values().iter().map(|y| keep(f(*x, *y))).collect(),
        _ => {
            let value = keep(f(left.value(0), right.value(0)));
            vec![value; rows]
        }
    };
    let mut nulls = NullBuffer::union(left.nulls(), right.nulls());
    if failed {
        let bad = |row: usize| f(left.value(row), right.value(row)).1;
        let is_null = |row: usize| nulls.as_ref().is_some_and(|n| n.is_null(row));
        if strict {
            if let Some(row) = (0..values.len()).find(|row| !is_null(*row) && bad(*row)) {
                return Err(error(left.value(row), right.value(row)));
            }
        } else {
            nulls = Some(NullBuffer::from_iter((0..values.len()).map(|row| !is_null(row) && !bad(row))));
        }
    }
    Ok(PrimitiveArray::new(values.into(), nulls))
}

/// As [`binary`], for one operand.
pub fn unary<A, R>(
    args: &ScalarArgs<'_>,
    strict: bool,
    f: impl Fn(A::Native) -> (R::Native, bool),
    error: impl Fn(A::Native) -> SparkError,
) -> Result<PrimitiveArray<R>>
where
    A: ArrowPrimitiveType,
    R: ArrowPrimitiveType,
{
    let array = args.array(0)?;
    let input = primitive::<A>(&array)?;
    let mut failed = false;
    let keep = |x: &A::Native| {
        let (value, bad) = f(*x);
        failed |= bad;
        value
    };
    let values: Vec<R::Native> = input.values().iter().map(keep).collect();
    let mut nulls = input.nulls().cloned();
    if failed {
        let bad = |row: usize| f(input.value(row)).1;
        if strict {
            if let Some(row) = (0..values.len()).find(|row| input.is_valid(*row) && bad(*row)) {
                return Err(error(input.value(row)));
            }
        } else {
            nulls = Some(NullBuffer::from_iter((0..values.len()).map(|row| input.is_valid(row) && !bad(row))));
        }
    }
    Ok(PrimitiveArray::new(values.into(), nulls))
}
