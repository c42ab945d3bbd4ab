//! `+ - * / % div pmod` on decimals: exact, then rounded half up to the type of the result.
use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::{Decimal128Type, Int64Type};
use firesteel_plan::{DataType, Result, SparkError};
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

use super::errors::{divide_by_zero, remainder_by_zero};
use super::kernel::binary;
use super::{Mode, Operator};
use crate::cast::with_decimal_type;
use crate::context::EvalContext;
use crate::decimal::{self, pow10};
use crate::scalar::ScalarArgs;

/// Precision and scale of the result of an operator (Spark's `resultDecimalType`).
pub fn result_type(operator: Operator, a: (u8, i8), b: (u8, i8), context: &EvalContext) -> DataType {
    let (p1, s1, p2, s2) = (i32::from(a.0), i32::from(a.1), i32::from(b.0), i32::from(b.1));
    let lossy = context.flag("spark.sql.decimalOperations.allowPrecisionLoss", true);
    let (precision, scale) = match operator {
        Operator::Add | Operator::Subtract => {
            let scale = s1.max(s2);
            ((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Operator::Multiply => (p1 + p2 + 1, s1 + s2),
        Operator::Divide if lossy => {
            let scale = (s1 + p2 + 1).max(6);
            (p1 - s1 + s2 + scale, scale)
        }
        Operator::Divide => {
            let (mut whole, mut fraction) = ((p1 - s1 + s2).min(38), (s1 + p2 + 1).clamp(6, 38));
            let excess = whole + fraction - 38;
            if excess > 0 {
                fraction -= excess / 2 + 1;
                whole = 38 - fraction;
            }
            (whole + fraction, fraction)
        }
        Operator::IntegralDivide => ((p1 - s1 + s2).max(1), 0),
        Operator::Remainder | Operator::PositiveModulo => {
            let scale = s1.max(s2);
            ((p1 - s1).min(p2 - s2) + scale, scale)
        }
    };
    if lossy { adjusted(precision, scale) } else { bounded(precision, scale) }
}

fn bounded(precision: i32, scale: i32) -> DataType {
    DataType::Decimal(precision.min(38) as u8, scale.min(38) as i8)
}

/// Gives up digits after the point, but keeps six of them, where 38 do not suffice.
fn adjusted(precision: i32, scale: i32) -> DataType {
    if precision <= 38 {
        return bounded(precision, scale);
    }
    let least = scale.min(6);
    DataType::Decimal(38, (38 - (precision - scale)).max(least) as i8)
}

#[derive(Clone, Copy)]
struct Types {
    left_precision: u8,
    left_scale: i8,
    right_precision: u8,
    right_scale: i8,
    precision: u8,
    scale: i8,
}

/// The kernel for a decimal result.
pub fn arithmetic(args: &ScalarArgs<'_>, operator: Operator, mode: Mode) -> Result<ArrayRef> {
    let types = types_of(args)?;
    let strict = mode == Mode::Ansi;
    let error = |a: i128, b: i128| failure(operator, a, b, types);
    if let Some(result) = without_checks(args, operator, types)? {
        return with_decimal_type(result, types.precision, types.scale);
    }
    let slow = |a: i128, b: i128| match exact(operator, a, b, types).and_then(|v| fitted(v, types)) {
        Some(value) => (value, false),
        None => (0, true),
    };
    let checked = |a: i128, b: i128| match fast(operator, a, b, types) {
        Some(value) => (value, false),
        None => slow(a, b),
    };
    let result = match operator {
        Operator::Divide if let Some(up) = short_shift(types) => {
            let limit = 10u64.checked_pow(types.precision.into()).unwrap_or(u64::MAX);
            let divide = |a: i128, b: i128| match divide_half_up_short((a as i64).wrapping_mul(up), b as i64) {
                Some(value) if value.unsigned_abs() < limit => (i128::from(value), false),
                _ => checked(a, b),
            };
            binary::<Decimal128Type, Decimal128Type, Decimal128Type>(args, strict, divide, error)
        }
        // The product of two numbers of 64 bits has at most 38 digits.
        Operator::Multiply if types.precision == 38 && types.scale == types.left_scale + types.right_scale => {
            binary::<Decimal128Type, Decimal128Type, Decimal128Type>(
                args,
                strict,
                |a, b| match (i64::try_from(a), i64::try_from(b)) {
                    (Ok(a), Ok(b)) => (i128::from(a) * i128::from(b), false),
                    _ => checked(a, b),
                },
                error,
            )
        }
        _ => binary::<Decimal128Type, Decimal128Type, Decimal128Type>(args, strict, checked, error),
    }?;
    with_decimal_type(result, types.precision, types.scale)
}

/// `div`: the whole part as BIGINT.
pub fn integral_divide(args: &ScalarArgs<'_>, mode: Mode) -> Result<ArrayRef> {
    let ((left_precision, left_scale), (right_precision, right_scale)) = (type_of(args, 0)?, type_of(args, 1)?);
    let types = Types { left_precision, left_scale, right_precision, right_scale, precision: 38, scale: 0 };
    let divide = |a: i128, b: i128| {
        if b == 0 {
            return (0, true);
        }
        match exact(Operator::IntegralDivide, a, b, types) {
            Some((quotient, _)) => (decimal::low_64_bits(&quotient), false),
            None => (0, true),
        }
    };
    let error = |_: i128, _: i128| divide_by_zero();
    Ok(Arc::new(binary::<Decimal128Type, Decimal128Type, Int64Type>(args, mode == Mode::Ansi, divide, error)?))
}

fn type_of(args: &ScalarArgs<'_>, index: usize) -> Result<(u8, i8)> {
    match args.arg_types.get(index) {
        Some(DataType::Decimal(precision, scale)) => Ok((*precision, *scale)),
        _ => Err(SparkError::internal("a decimal was expected")),
    }
}

fn types_of(args: &ScalarArgs<'_>) -> Result<Types> {
    let DataType::Decimal(precision, scale) = args.return_type else {
        return Err(SparkError::internal("a decimal was expected"));
    };
    let ((left_precision, left_scale), (right_precision, right_scale)) = (type_of(args, 0)?, type_of(args, 1)?);
    Ok(Types { left_precision, left_scale, right_precision, right_scale, precision: *precision, scale: *scale })
}

type Decimals = PrimitiveArray<Decimal128Type>;

/// The most digits that fit 64 bits whatever they are.
const LONG_DIGITS: u8 = 18;

/// Sums and products whose type holds every result: nothing to check or to round, so the loops are plain. `None` for
/// the others.
fn without_checks(args: &ScalarArgs<'_>, operator: Operator, t: Types) -> Result<Option<Decimals>> {
    let common = t.left_scale.max(t.right_scale);
    let whole = (t.left_precision as i8 - t.left_scale).max(t.right_precision as i8 - t.right_scale);
    let digits = match operator {
        Operator::Add | Operator::Subtract if t.scale == common => whole.saturating_add(common).saturating_add(1),
        Operator::Multiply if t.scale == t.left_scale.saturating_add(t.right_scale) => {
            t.left_precision.saturating_add(t.right_precision) as i8
        }
        _ => return Ok(None),
    };
    if !(0..=t.precision as i8).contains(&digits) || t.left_scale < 0 || t.right_scale < 0 {
        return Ok(None);
    }
    let short = t.left_precision <= LONG_DIGITS && t.right_precision <= LONG_DIGITS;
    let left = pow10((common - t.left_scale) as u32);
    let right = pow10((common - t.right_scale) as u32);
    // One of the two factors is 1.
    let result = match operator {
        Operator::Multiply if short => plain(args, |a, b| i128::from(a as i64) * i128::from(b as i64)),
        Operator::Multiply => plain(args, |a, b| a.wrapping_mul(b)),
        Operator::Add if left == 1 && right == 1 => plain(args, i128::wrapping_add),
        Operator::Add if left == 1 => plain(args, |a, b| a.wrapping_add(b.wrapping_mul(right))),
        Operator::Add => plain(args, |a, b| a.wrapping_mul(left).wrapping_add(b)),
        _ if left == 1 => plain(args, |a, b| a.wrapping_sub(b.wrapping_mul(right))),
        _ => plain(args, |a, b| a.wrapping_mul(left).wrapping_sub(b)),
    };
    result.map(Some)
}

fn plain(args: &ScalarArgs<'_>, f: impl Fn(i128, i128) -> i128) -> Result<Decimals> {
    let never = |_, _| SparkError::internal("a decimal left its range");
    binary::<Decimal128Type, Decimal128Type, Decimal128Type>(args, true, |a, b| (f(a, b), false), never)
}

/// The result where 128 bits hold every step.
#[inline]
fn fast(operator: Operator, a: i128, b: i128, t: Types) -> Option<i128> {
    let common = t.left_scale.max(t.right_scale);
    let aligned = || {
        let up = |value: i128, scale: i8| match (common - scale) as u32 {
            0 => Some(value),
            shift => value.checked_mul(pow10(shift)),
        };
        Some((up(a, t.left_scale)?, up(b, t.right_scale)?))
    };
    let fit = |value: i128, scale: i8| {
        if scale == t.scale {
            return decimal::fits(value, t.precision).then_some(value);
        }
        decimal::rescale(value, scale, t.precision, t.scale)
    };
    match operator {
        Operator::Add => aligned().and_then(|(a, b)| a.checked_add(b)).and_then(|v| fit(v, common)),
        Operator::Subtract => aligned().and_then(|(a, b)| a.checked_sub(b)).and_then(|v| fit(v, common)),
        Operator::Multiply => fit(a.checked_mul(b)?, t.left_scale.checked_add(t.right_scale)?),
        Operator::Divide => {
            let shift = i32::from(t.scale) + i32::from(t.right_scale) - i32::from(t.left_scale);
            if b == 0 || !(0..=38).contains(&shift) {
                return None;
            }
            let dividend = a.checked_mul(pow10(shift as u32))?;
            let value = divide_half_up(dividend, b)?;
            decimal::fits(value, t.precision).then_some(value)
        }
        Operator::Remainder | Operator::PositiveModulo => {
            let (a, b) = aligned()?;
            let rest = a.checked_rem(b)?;
            let rest = match operator {
                Operator::PositiveModulo if rest < 0 => rest.checked_add(b)?.checked_rem(b)?,
                _ => rest,
            };
            fit(rest, common)
        }
        Operator::IntegralDivide => None,
    }
}

#[inline]
fn divide_half_up(dividend: i128, divisor: i128) -> Option<i128> {
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend.checked_rem(divisor)?.unsigned_abs();
    if rest >= divisor.unsigned_abs() - rest {
        let step = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
        return quotient.checked_add(step);
    }
    Some(quotient)
}

/// The power of ten by which a dividend grows, where 64 bits hold every step of a division.
fn short_shift(t: Types) -> Option<i64> {
    let shift = u8::try_from(i32::from(t.scale) + i32::from(t.right_scale) - i32::from(t.left_scale)).ok()?;
    let is_short = t.left_precision.checked_add(shift)? <= LONG_DIGITS && t.right_precision <= LONG_DIGITS;
    is_short.then(|| 10i64.pow(shift.into()))
}

/// As [`divide_half_up`].
#[inline]
fn divide_half_up_short(dividend: i64, divisor: i64) -> Option<i64> {
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend.wrapping_sub(quotient.wrapping_mul(divisor)).unsigned_abs();
    let step = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    Some(if rest >= divisor.unsigned_abs() - rest { quotient + step } else { quotient })
}

/// The exact result (a quotient at the result's scale), with its scale; `None` for a zero divisor.
fn exact(operator: Operator, a: i128, b: i128, t: Types) -> Option<(BigInt, i32)> {
    let (s1, s2) = (i32::from(t.left_scale), i32::from(t.right_scale));
    let common = s1.max(s2);
    let ten = |shift: i32| BigInt::from(10).pow(shift.max(0) as u32);
    let (left, right) = (BigInt::from(a) * ten(common - s1), BigInt::from(b) * ten(common - s2));
    let divides = !matches!(operator, Operator::Add | Operator::Subtract | Operator::Multiply);
    if divides && right.is_zero() {
        return None;
    }
    Some(match operator {
        Operator::Add => (left + right, common),
        Operator::Subtract => (left - right, common),
        Operator::Multiply => (BigInt::from(a) * BigInt::from(b), s1 + s2),
        Operator::Divide => (half_up(left * ten(i32::from(t.scale)), &right), i32::from(t.scale)),
        Operator::IntegralDivide => (left / right, 0),
        Operator::Remainder => (left % right, common),
        Operator::PositiveModulo => {
            let rest = left % &right;
            (if rest.is_negative() { (rest + &right) % right } else { rest }, common)
        }
    })
}

fn half_up(dividend: BigInt, divisor: &BigInt) -> BigInt {
    let (quotient, rest) = (&dividend / divisor, &dividend % divisor);
    if rest.abs() * 2 >= divisor.abs() {
        let step = if dividend.is_negative() == divisor.is_negative() { 1 } else { -1 };
        return quotient + step;
    }
    quotient
}

fn fitted((value, scale): (BigInt, i32), t: Types) -> Option<i128> {
    let shift = i32::from(t.scale) - scale;
    let power = BigInt::from(10).pow(shift.unsigned_abs());
    let scaled = if shift >= 0 { value * power } else { half_up(value, &power) };
    scaled.to_i128().filter(|v| decimal::fits(*v, t.precision))
}

fn failure(operator: Operator, a: i128, b: i128, t: Types) -> SparkError {
    let Some((value, scale)) = exact(operator, a, b, t) else {
        return match operator {
            Operator::Remainder | Operator::PositiveModulo => remainder_by_zero(),
            _ => divide_by_zero(),
        };
    };
    let digits = value.abs().to_string();
    let scale = scale.max(0) as usize;
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    let sign = if value.is_negative() { "-" } else { "" };
    crate::cast::out_of_decimal(format!("{sign}{whole}{point}{fraction}"), t.precision, t.scale)
}
