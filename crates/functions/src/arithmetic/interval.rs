//! Kernels of arithmetic with intervals.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, DurationMicrosecondType, Float64Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalYearMonthType, Time64NanosecondType,
    TimestampMicrosecondType,
};
use firesteel_plan::{DataType, JavaException, Result, SparkError};

use super::errors::{divide_by_zero, interval_divided_by_zero, overflow};
use super::kernel::binary;
use super::{Mode, mode_of};
use crate::cast::kernel::primitive;
use crate::datetime::calendar;
use crate::datetime::vector::long_overflow;
use crate::datetime::zone::Zone;
use crate::decimal;
use crate::interval::value::interval_overflow;
use crate::scalar::ScalarArgs;

type Micros = TimestampMicrosecondType;
type Duration = DurationMicrosecondType;
type Months = IntervalYearMonthType;
type Calendar = IntervalMonthDayNanoType;

const MICROS_PER_DAY: i64 = 86_400_000_000;

fn strict(args: &ScalarArgs<'_>) -> bool {
    mode_of(args) != Mode::Try
}

fn argument_type<'a>(args: &'a ScalarArgs<'_>, index: usize) -> Result<&'a DataType> {
    args.arg_types.get(index).ok_or_else(|| SparkError::internal(format!("no argument {index}")))
}

fn checked<N>(value: Option<N>) -> (N, bool)
where
    N: Default,
{
    match value {
        Some(value) => (value, false),
        None => (N::default(), true),
    }
}

pub fn add(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    combine(args, 1, "try_add")
}

pub fn subtract(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    combine(args, -1, "try_subtract")
}

fn combine(args: &ScalarArgs<'_>, sign: i32, instead: &str) -> Result<ArrayRef> {
    let strict = strict(args);
    Ok(match args.return_type {
        DataType::YearMonthInterval(..) => Arc::new(binary::<Months, Months, Months>(
            args,
            strict,
            |a, b| checked(if sign > 0 { a.checked_add(b) } else { a.checked_sub(b) }),
            |_, _| interval_overflow(Some(instead)),
        )?),
        DataType::DayTimeInterval(..) => Arc::new(binary::<Duration, Duration, Duration>(
            args,
            strict,
            |a, b| checked(if sign > 0 { a.checked_add(b) } else { a.checked_sub(b) }),
            |_, _| interval_overflow(Some(instead)),
        )?),
        _ => Arc::new(binary::<Calendar, Calendar, Calendar>(
            args,
            strict,
            |a, b| checked(combine_calendar(a, b, sign)),
            |_, _| interval_overflow(Some(instead)),
        )?),
    })
}

fn combine_calendar(a: IntervalMonthDayNano, b: IntervalMonthDayNano, sign: i32) -> Option<IntervalMonthDayNano> {
    if sign > 0 {
        return Some(IntervalMonthDayNano::new(
            a.months.checked_add(b.months)?,
            a.days.checked_add(b.days)?,
            a.nanoseconds.checked_add(b.nanoseconds)?,
        ));
    }
    Some(IntervalMonthDayNano::new(
        a.months.checked_sub(b.months)?,
        a.days.checked_sub(b.days)?,
        a.nanoseconds.checked_sub(b.nanoseconds)?,
    ))
}

pub fn plus(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    shift(args, 1)
}

pub fn minus(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    shift(args, -1)
}

/// A date, timestamp or time, moved by an interval of any kind.
fn shift(args: &ScalarArgs<'_>, sign: i64) -> Result<ArrayRef> {
    let strict = strict(args);
    let long = |_, _| long_overflow();
    let zone = Zone::new(&args.context.time_zone);
    let zoned = argument_type(args, 0)? == &DataType::Timestamp;
    let by_calendar = |at: i64, step: IntervalMonthDayNano| {
        let months = i64::from(step.months) * sign;
        let days = i64::from(step.days) * sign;
        let micros = (step.nanoseconds / 1000).checked_mul(sign)?;
        move_timestamp(at, months, days, micros, zoned.then_some(&zone))
    };
    let result: ArrayRef = match (argument_type(args, 0)?, argument_type(args, 1)?) {
        (DataType::Date, DataType::YearMonthInterval(..)) => {
            let add = |d: i32, m: i32| i32::try_from(calendar::add_months(d.into(), i64::from(m) * sign)).ok();
            Arc::new(binary::<Date32Type, Months, Date32Type>(
                args,
                strict,
                |d, m| checked(add(d, m)),
                |_, _| overflow("overflow", ""),
            )?)
        }
        (DataType::Date, DataType::CalendarInterval) => return date_plus_calendar(args, sign),
        (DataType::Time(_), _) => return time_plus(args, sign),
        (_, DataType::YearMonthInterval(..)) => Arc::new(binary::<Micros, Months, Micros>(
            args,
            strict,
            |at, m| checked(move_timestamp(at, i64::from(m) * sign, 0, 0, zoned.then_some(&zone))),
            |_, _| long_overflow(),
        )?),
        (_, DataType::DayTimeInterval(..)) => Arc::new(binary::<Micros, Duration, Micros>(
            args,
            strict,
            |at, d| checked(move_by_duration(at, d, sign, zoned.then_some(&zone))),
            long,
        )?),
        _ => Arc::new(binary::<Micros, Calendar, Micros>(
            args,
            strict,
            |at, step| checked(by_calendar(at, step)),
            |_, _| long_overflow(),
        )?),
    };
    with_type(result, args)
}

fn with_type(array: ArrayRef, args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let to = args.arrow_type();
    if *array.data_type() == to {
        return Ok(array);
    }
    // Only the zone label of a timestamp differs.
    Ok(Arc::new(primitive::<Micros>(&array)?.clone().with_data_type(to)))
}

/// Whole days move the wall clock; the rest moves the instant.
fn move_by_duration(at: i64, step: i64, sign: i64, zone: Option<&Zone>) -> Option<i64> {
    let step = step.checked_mul(sign)?;
    match zone {
        Some(zone) if !zone.is_fixed() => {
            move_timestamp(at, 0, step / MICROS_PER_DAY, step % MICROS_PER_DAY, Some(zone))
        }
        _ => at.checked_add(step),
    }
}

fn move_timestamp(at: i64, months: i64, days: i64, micros: i64, zone: Option<&Zone>) -> Option<i64> {
    let mut at = at;
    if months != 0 || days != 0 {
        let local = zone.map_or(at, |z| z.to_local(at));
        let (day, rest) = calendar::split_micros(local);
        let moved = calendar::add_months(day, months).checked_add(days)?;
        let local = calendar::join_micros(moved, rest)?;
        at = match zone {
            Some(zone) => zone.to_utc(local)?,
            None => local,
        };
    }
    at.checked_add(micros)
}

fn date_plus_calendar(args: &ScalarArgs<'_>, sign: i64) -> Result<ArrayRef> {
    let ansi = args.context.ansi;
    let move_date = |date: i32, step: IntervalMonthDayNano| -> Option<i32> {
        let moved = calendar::add_months(date.into(), i64::from(step.months) * sign) + i64::from(step.days) * sign;
        let micros = step.nanoseconds / 1000 * sign;
        if micros == 0 || ansi {
            return i32::try_from(moved).ok();
        }
        let at = moved.checked_mul(MICROS_PER_DAY)?.checked_add(micros)?;
        i32::try_from(at.div_euclid(MICROS_PER_DAY)).ok()
    };
    let has_time = |step: IntervalMonthDayNano| ansi && step.nanoseconds != 0;
    let result = binary::<Date32Type, Calendar, Date32Type>(
        args,
        strict(args),
        |d, step| if has_time(step) { (0, true) } else { checked(move_date(d, step)) },
        |_, step| {
            if has_time(step) {
                SparkError::of("INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION")
            } else {
                overflow("overflow", "")
            }
        },
    )?;
    Ok(Arc::new(result))
}

fn time_plus(args: &ScalarArgs<'_>, sign: i64) -> Result<ArrayRef> {
    let move_time = |at: i64, step: i64| {
        let moved = step.checked_mul(1000 * sign).and_then(|nanos| at.checked_add(nanos));
        moved.filter(|t| (0..MICROS_PER_DAY * 1000).contains(t))
    };
    let result = binary::<Time64NanosecondType, Duration, Time64NanosecondType>(
        args,
        strict(args),
        |at, step| checked(move_time(at, step)),
        |_, _| SparkError::new("DATETIME_OVERFLOW", [("operation", "adding an interval to a time".to_string())]),
    )?;
    Ok(Arc::new(result))
}

/// The interval between two dates, timestamps or times.
pub fn difference(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let error = |_, _| long_overflow();
    Ok(Arc::new(match argument_type(args, 0)? {
        DataType::Date => binary::<Date32Type, Date32Type, Duration>(
            args,
            true,
            |a, b| checked((i64::from(a) - i64::from(b)).checked_mul(MICROS_PER_DAY)),
            |_, _| long_overflow(),
        )?,
        DataType::Time(_) => binary::<Time64NanosecondType, Time64NanosecondType, Duration>(
            args,
            true,
            |a, b| ((a - b) / 1000, false),
            error,
        )?,
        DataType::Timestamp => {
            let zone = Zone::new(&args.context.time_zone);
            let local = |t: i64| zone.to_local(t);
            binary::<Micros, Micros, Duration>(args, true, |a, b| checked(local(a).checked_sub(local(b))), error)?
        }
        _ => binary::<Micros, Micros, Duration>(args, true, |a, b| checked(a.checked_sub(b)), error)?,
    }))
}

/// The days of an interval of days.
pub fn whole_days(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    Ok(Arc::new(primitive::<Duration>(&array)?.unary::<_, Int32Type>(|v| (v / MICROS_PER_DAY) as i32)))
}

/// How often one interval holds another.
pub fn ratio(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let strict = mode_of(args) == Mode::Ansi;
    let divide = |a: i64, b: i64| if b == 0 { (0, true) } else { (a.wrapping_div(b), false) };
    Ok(Arc::new(match argument_type(args, 0)? {
        DataType::YearMonthInterval(..) => binary::<Months, Months, Int64Type>(
            args,
            strict,
            |a, b| divide(a.into(), b.into()),
            |_, _| divide_by_zero(),
        )?,
        _ => binary::<Duration, Duration, Int64Type>(args, strict, divide, |_, _| divide_by_zero())?,
    }))
}

pub fn multiply(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    scale(args, false)
}

pub fn divide(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    scale(args, true)
}

/// A factor in the form it computes best in.
enum Factors {
    Whole(PrimitiveArray<Int64Type>),
    Decimal(PrimitiveArray<Decimal128Type>, i8),
    Double(PrimitiveArray<Float64Type>),
}

impl Factors {
    fn of(args: &ScalarArgs<'_>, always_double: bool) -> Result<Self> {
        let array = args.array(1)?;
        let cast = |to| arrow::compute::cast(&array, &to).map_err(crate::scalar::from_arrow);
        use arrow::datatypes::DataType as Arrow;
        match argument_type(args, 1)? {
            DataType::Decimal(_, s) if !always_double => {
                Ok(Self::Decimal(primitive::<Decimal128Type>(&array)?.clone(), *s))
            }
            t if t.is_integral() && !always_double => {
                Ok(Self::Whole(primitive::<Int64Type>(&cast(Arrow::Int64)?)?.clone()))
            }
            _ => Ok(Self::Double(primitive::<Float64Type>(&cast(Arrow::Float64)?)?.clone())),
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Whole(a) => a.is_null(row),
            Self::Decimal(a, _) => a.is_null(row),
            Self::Double(a) => a.is_null(row),
        }
    }

    fn is_zero(&self, row: usize) -> bool {
        match self {
            Self::Whole(a) => a.value(row) == 0,
            Self::Decimal(a, _) => a.value(row) == 0,
            Self::Double(a) => a.value(row) == 0.0,
        }
    }

    /// The error of a result that does not fit: what the arithmetic underneath says.
    fn overflow(&self, value: i64, row: usize, to: &DataType, divide: bool) -> SparkError {
        let java = |message: &str| SparkError::java(JavaException::Arithmetic, message);
        match self {
            _ if *to == DataType::CalendarInterval => overflow("overflow", ""),
            Self::Whole(_) if divide => interval_overflow(Some("try_divide")),
            Self::Whole(_) if matches!(to, DataType::YearMonthInterval(..)) => java("integer overflow"),
            Self::Whole(_) => java("long overflow"),
            Self::Decimal(..) => java("Overflow"),
            Self::Double(a) => {
                let exact = if divide { value as f64 / a.value(row) } else { value as f64 * a.value(row) };
                let shown = crate::java_number::double(exact);
                java(&format!("rounded value is out of range for input {shown} and rounding mode HALF_UP"))
            }
        }
    }

    /// The value times the factor, or divided by it, rounded half up.
    fn apply(&self, value: i64, row: usize, divide: bool) -> Option<i64> {
        match self {
            Self::Whole(a) if divide => half_up(value.into(), a.value(row).into()),
            Self::Whole(a) => value.checked_mul(a.value(row)),
            Self::Decimal(a, s) if divide => {
                let dividend = i128::from(value).checked_mul(decimal::pow10((*s).max(0) as u32))?;
                half_up(dividend, a.value(row))
            }
            Self::Decimal(a, s) => {
                let product = i128::from(value).checked_mul(a.value(row))?;
                i64::try_from(decimal::divide_pow10_half_up(product, (*s).max(0) as u32)).ok()
            }
            Self::Double(a) => {
                let exact = if divide { value as f64 / a.value(row) } else { value as f64 * a.value(row) };
                let rounded = exact.round();
                (rounded.is_finite() && rounded.abs() < 9.3e18).then_some(())?;
                let whole = rounded as i128;
                i64::try_from(whole).ok()
            }
        }
    }
}

fn half_up(dividend: i128, divisor: i128) -> Option<i64> {
    let quotient = dividend.checked_div(divisor)?;
    let rest = dividend.checked_rem(divisor)?.unsigned_abs();
    let step = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    let up = rest >= divisor.unsigned_abs() - rest;
    i64::try_from(if up { quotient + step } else { quotient }).ok()
}

fn scale(args: &ScalarArgs<'_>, divide: bool) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let calendar = *args.return_type == DataType::CalendarInterval;
    let factors = Factors::of(args, calendar)?;
    let rows = array.len();
    let null = |row: usize| array.is_null(row) || factors.is_null(row);
    let check = |row: usize| -> Result<bool> {
        if !(divide && factors.is_zero(row)) {
            return Ok(true);
        }
        match mode_of(args) {
            Mode::Try => Ok(false),
            Mode::Legacy if calendar => Ok(false),
            _ => Err(interval_divided_by_zero()),
        }
    };
    let fail = |value: i64, row: usize| match mode_of(args) {
        Mode::Try => Ok(()),
        _ => Err(factors.overflow(value, row, args.return_type, divide)),
    };
    macro_rules! scaled {
        ($t:ty, $f:expr, $long:expr) => {{
            let values = primitive::<$t>(&array)?;
            let apply = $f;
            let mut out: Vec<Option<<$t as ArrowPrimitiveType>::Native>> = Vec::with_capacity(rows);
            for row in 0..rows {
                if null(row) || !check(row)? {
                    out.push(None);
                    continue;
                }
                let scaled = apply(values.value(row), row);
                if scaled.is_none() {
                    fail($long(values.value(row)), row)?;
                }
                out.push(scaled);
            }
            Arc::new(out.into_iter().collect::<PrimitiveArray<$t>>())
        }};
    }
    Ok(match args.return_type {
        DataType::YearMonthInterval(..) => {
            let apply = |v: i32, row| factors.apply(v.into(), row, divide).and_then(|v| i32::try_from(v).ok());
            scaled!(Months, apply, i64::from)
        }
        DataType::DayTimeInterval(..) => scaled!(Duration, |v: i64, row| factors.apply(v, row, divide), |v: i64| v),
        _ => {
            let Factors::Double(by) = &factors else { return Err(SparkError::internal("doubles were expected")) };
            let apply = |v: IntervalMonthDayNano, row| scale_calendar(v, by.value(row), divide);
            scaled!(Calendar, apply, |v: IntervalMonthDayNano| i64::from(v.months))
        }
    })
}

/// Fractions of months are dropped; fractions of days become time.
fn scale_calendar(v: IntervalMonthDayNano, by: f64, divide: bool) -> Option<IntervalMonthDayNano> {
    let apply = |n: f64| if divide { n / by } else { n * by };
    let whole = |n: f64| (n.is_finite() && n.abs() < 2_147_483_648.0).then_some(n.trunc() as i32);
    let months = whole(apply(v.months.into()))?;
    let days = apply(v.days.into());
    let whole_days = whole(days)?;
    let micros = apply((v.nanoseconds / 1000) as f64) + (days - f64::from(whole_days)) * MICROS_PER_DAY as f64;
    let nanos = (micros.round() as i64).checked_mul(1000)?;
    Some(IntervalMonthDayNano::new(months, whole_days, nanos))
}
