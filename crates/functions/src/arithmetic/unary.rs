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
use crate::interval::value::interval_overflow;
use crate::registry::BuildContext;
use crate::scalar::ScalarArgs;
use crate::typed::TypedExpr;

pub fn negate(value: TypedExpr, sql: String, context: &BuildContext<'_>) -> Result<TypedExpr> {
    build("negative", |args| evaluate(args, true), value, sql, context)
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
            let flip = |v: i128| if negate { v.wrapping_neg() } else { v.wrapping_abs() };
            with_decimal_type(map_all::<Decimal128Type, Decimal128Type>(&array, flip)?, *p, *s)?
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
