//! `-x` and `abs(x)`.
use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalYearMonthType,
};
use firesteel_plan::{DataType, Result, SparkError};
use num_traits::{Bounded, Float, PrimInt, WrappingNeg, WrappingSub, Zero};

use super::errors::overflow;
use super::kernel::unary;
use super::{Mode, call, mode_of};
use crate::cast::kernel::{map_all, primitive};
use crate::cast::with_decimal_type;
use crate::decimal;
use crate::interval::value::interval_overflow;
use crate::registry::BuildContext;
use crate::scalar::ScalarArgs;
use crate::typed::TypedExpr;

pub fn negate(value: TypedExpr, sql: String, context: &BuildContext<'_>) -> Result<TypedExpr> {
    build("negative", |args| evaluate(args, true), value, sql, context)
}

/// The value itself, which is no column any more.
pub fn same(value: TypedExpr, sql: String, context: &BuildContext<'_>) -> Result<TypedExpr> {
    build("positive", |args| args.array(0), value, sql, context)
}

pub fn absolute(value: TypedExpr, sql: String, context: &BuildContext<'_>) -> Result<TypedExpr> {
    build("abs", |args| evaluate(args, false), value, sql, context)
}

fn build(
    name: &'static str,
    kernel: crate::scalar::Kernel,
    value: TypedExpr,
    sql: String,
    context: &BuildContext<'_>,
) -> Result<TypedExpr> {
    let (data_type, nullable) = (value.data_type.clone(), value.nullable);
    Ok(call(name, kernel, vec![value], data_type, nullable, Mode::of(context.eval), context).with_sql(sql))
}

/// `negate`: the opposite; else the absolute value.
fn evaluate(args: &ScalarArgs<'_>, negate: bool) -> Result<ArrayRef> {
    let array = args.array(0)?;
    Ok(match args.return_type {
        DataType::Byte => Arc::new(integers::<Int8Type>(args, negate, "byte overflow")?),
        DataType::Short => Arc::new(integers::<Int16Type>(args, negate, "short overflow")?),
        DataType::Integer => Arc::new(integers::<Int32Type>(args, negate, "integer overflow")?),
        DataType::Long => Arc::new(integers::<Int64Type>(args, negate, "long overflow")?),
        DataType::Float => Arc::new(floats::<Float32Type>(&array, negate)?),
        DataType::Double => Arc::new(floats::<Float64Type>(&array, negate)?),
        DataType::Decimal(p, s) => {
            let result = unary::<Decimal128Type, Decimal128Type>(
                args,
                true,
                |v| match negate || v < 0 {
                    true => {
                        let opposite = to_34_digits(v.wrapping_neg());
                        (opposite, !decimal::fits(opposite, *p))
                    }
                    false => (v, false),
                },
                |v| {
                    let rounded = decimal::plain(to_34_digits(v.wrapping_neg()), *s);
                    // The digits that were lost are not shown.
                    let digits = rounded.trim_start_matches('-').len() - usize::from(*s > 0);
                    let original = rounded[..rounded.len() - digits.saturating_sub(34)].to_string();
                    SparkError::new(
                        "NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION",
                        [
                            ("roundedValue", rounded),
                            ("originalValue", original),
                            ("precision", p.to_string()),
                            ("scale", s.to_string()),
                        ],
                    )
                },
            );
            with_decimal_type(result?, *p, *s)?
        }
        DataType::YearMonthInterval(..) => {
            let result = unary::<IntervalYearMonthType, IntervalYearMonthType>(
                args,
                true,
                |v| if negate || v < 0 { v.overflowing_neg() } else { (v, false) },
                |_| interval_error(negate),
            );
            Arc::new(result?)
        }
        DataType::DayTimeInterval(..) => {
            let result = unary::<DurationMicrosecondType, DurationMicrosecondType>(
                args,
                true,
                |v| if negate || v < 0 { v.overflowing_neg() } else { (v, false) },
                |_| interval_error(negate),
            );
            Arc::new(result?)
        }
        DataType::CalendarInterval => {
            let flip = |v: IntervalMonthDayNano| {
                IntervalMonthDayNano::new(v.months.wrapping_neg(), v.days.wrapping_neg(), v.nanoseconds.wrapping_neg())
            };
            Arc::new(primitive::<IntervalMonthDayNanoType>(&array)?.unary::<_, IntervalMonthDayNanoType>(flip))
        }
        other => return Err(SparkError::internal(format!("no sign of {other}"))),
    })
}

/// Spark's decimals lose the digits after the 34th where their sign is changed.
fn to_34_digits(value: i128) -> i128 {
    const DIGITS: u32 = 34;
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    if digits <= DIGITS {
        return value;
    }
    let unit = decimal::pow10(digits - DIGITS);
    let (quotient, rest) = (value / unit, (value % unit).abs());
    let up = rest * 2 > unit || (rest * 2 == unit && quotient % 2 != 0);
    (quotient + i128::from(up) * value.signum()) * unit
}

/// The smallest interval has no opposite.
fn interval_error(negate: bool) -> SparkError {
    if negate { interval_overflow(None) } else { overflow("overflow", "") }
}

fn integers<T>(args: &ScalarArgs<'_>, negate: bool, message: &str) -> Result<PrimitiveArray<T>>
where
    T: ArrowPrimitiveType,
    T::Native: PrimInt + WrappingNeg + WrappingSub,
{
    let checked = mode_of(args) != Mode::Legacy;
    let zero = T::Native::zero();
    let flip = |v: T::Native| {
        let bad = checked && v == T::Native::min_value();
        (if negate || v < zero { v.wrapping_neg() } else { v }, bad)
    };
    unary::<T, T>(args, mode_of(args) == Mode::Ansi, flip, |_| overflow(message, ""))
}

fn floats<T>(array: &ArrayRef, negate: bool) -> Result<PrimitiveArray<T>>
where
    T: ArrowPrimitiveType,
    T::Native: Float,
{
    map_all::<T, T>(array, |v| if negate { -v } else { v.abs() })
}
