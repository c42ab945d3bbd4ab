//! `+ - * / % div pmod` on integers and floating-point numbers.
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use firesteel_plan::{DataType, Result, SparkError};
use num_traits::{AsPrimitive, Bounded, CheckedMul, Float, One, PrimInt, WrappingAdd, WrappingMul, WrappingSub, Zero};

use super::errors::{divide_by_zero, overflow, remainder_by_zero, small_overflow};
use super::kernel::binary;
use super::{Mode, Operator};
use crate::scalar::ScalarArgs;

/// Both arguments and the result have one type.
pub fn arithmetic(args: &ScalarArgs<'_>, operator: Operator, mode: Mode) -> Result<ArrayRef> {
    match args.return_type {
        DataType::Byte => integers::<Int8Type>(args, operator, mode),
        DataType::Short => integers::<Int16Type>(args, operator, mode),
        DataType::Integer => integers::<Int32Type>(args, operator, mode),
        DataType::Long => integers::<Int64Type>(args, operator, mode),
        DataType::Float => floats::<Float32Type>(args, operator, mode),
        DataType::Double => floats::<Float64Type>(args, operator, mode),
        other => Err(SparkError::internal(format!("no arithmetic on {other}"))),
    }
}

fn integers<T>(args: &ScalarArgs<'_>, operator: Operator, mode: Mode) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: PrimInt + WrappingAdd + WrappingSub + WrappingMul + AsPrimitive<i64>,
{
    let strict = mode == Mode::Ansi;
    let wraps = mode == Mode::Legacy;
    let zero = T::Native::zero();
    let one = T::Native::one();
    let minus_one = zero.wrapping_sub(&one);
    let error = |a: T::Native, b: T::Native| integer_error::<T>(operator, a, b, b == zero);
    // The sign bit of the masks says that the result left the range.
    let result = match operator {
        Operator::Add => binary::<T, T, T>(
            args,
            strict,
            |a, b| {
                let r = a.wrapping_add(&b);
                (r, !wraps && ((a ^ r) & (b ^ r)) < zero)
            },
            error,
        ),
        Operator::Subtract => binary::<T, T, T>(
            args,
            strict,
            |a, b| {
                let r = a.wrapping_sub(&b);
                (r, !wraps && ((a ^ b) & (a ^ r)) < zero)
            },
            error,
        ),
        Operator::Multiply => {
            binary::<T, T, T>(args, strict, |a, b| (a.wrapping_mul(&b), !wraps && a.checked_mul(&b).is_none()), error)
        }
        Operator::Divide | Operator::IntegralDivide => binary::<T, T, T>(
            args,
            strict,
            |a, b| {
                if b == zero {
                    (zero, true)
                } else if b == minus_one {
                    (zero.wrapping_sub(&a), !wraps && a == T::Native::min_value())
                } else {
                    (a / b, false)
                }
            },
            error,
        ),
        Operator::Remainder => binary::<T, T, T>(args, strict, remainder, error),
        Operator::PositiveModulo => binary::<T, T, T>(
            args,
            strict,
            |a, b| match remainder(a, b) {
                (r, bad) if bad || r >= zero => (r, bad),
                // Java adds small integers as INT: the sum does not leave their range before it is reduced.
                (r, _) if std::mem::size_of::<T::Native>() < 4 => {
                    (num_traits::cast((r.as_() + b.as_()) % b.as_()).unwrap_or(zero), false)
                }
                (r, _) => remainder(r.wrapping_add(&b), b),
            },
            error,
        ),
    };
    Ok(Arc::new(result?))
}

#[inline]
fn remainder<N: PrimInt + WrappingSub>(a: N, b: N) -> (N, bool) {
    if b == N::zero() {
        (N::zero(), true)
    } else if b == N::zero().wrapping_sub(&N::one()) {
        (N::zero(), false)
    } else {
        (a % b, false)
    }
}

fn integer_error<T>(operator: Operator, a: T::Native, b: T::Native, zero: bool) -> SparkError
where
    T: ArrowPrimitiveType,
    T::Native: AsPrimitive<i64>,
{
    let (symbol, instead) = (operator.symbol(), operator.try_name());
    match operator {
        Operator::Remainder | Operator::PositiveModulo => remainder_by_zero(),
        Operator::Divide | Operator::IntegralDivide if zero => divide_by_zero(),
        Operator::Divide | Operator::IntegralDivide => overflow("Overflow in integral divide", "try_divide"),
        _ if std::mem::size_of::<T::Native>() < 4 => small_overflow(a.as_(), symbol, b.as_(), instead),
        _ if std::mem::size_of::<T::Native>() == 4 => overflow("integer overflow", instead),
        _ => overflow("long overflow", instead),
    }
}

fn floats<T>(args: &ScalarArgs<'_>, operator: Operator, mode: Mode) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    let strict = mode == Mode::Ansi;
    let zero = T::Native::zero();
    let by_zero = |_, _| match operator {
        Operator::Remainder | Operator::PositiveModulo => remainder_by_zero(),
        _ => divide_by_zero(),
    };
    let result = match operator {
        Operator::Add => binary::<T, T, T>(args, strict, |a, b| (a + b, false), by_zero),
        Operator::Subtract => binary::<T, T, T>(args, strict, |a, b| (a - b, false), by_zero),
        Operator::Multiply => binary::<T, T, T>(args, strict, |a, b| (a * b, false), by_zero),
        Operator::Divide | Operator::IntegralDivide => {
            binary::<T, T, T>(args, strict, |a, b| (a / b, b == zero), by_zero)
        }
        Operator::Remainder => binary::<T, T, T>(args, strict, |a, b| (a % b, b == zero), by_zero),
        Operator::PositiveModulo => binary::<T, T, T>(
            args,
            strict,
            |a, b| {
                let r = a % b;
                (if r < zero { (r + b) % b } else { r }, b == zero)
            },
            by_zero,
        ),
    };
    Ok(Arc::new(result?))
}
