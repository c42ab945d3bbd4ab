//! Casts between dates, timestamps, times, intervals and numbers.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalYearMonthType, Time64NanosecondType, TimestampMicrosecondType,
};
use firesteel_plan::{DataType, DayTimeField, Result, SparkError, YearMonthField};

use super::CastMode;
use super::errors::{double_text, invalid_input, out_of_decimal};
use super::kernel::{Caster, map_all, map_values, primitive};
use super::numeric::{decimals, with_decimal_type};
use crate::datetime::text as datetime;
use crate::decimal;
use crate::interval::text as interval;
use crate::types;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

type Micros = TimestampMicrosecondType;

pub fn convert(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    use DataType as T;
    let typed = |values: PrimitiveArray<Micros>| -> ArrayRef { Arc::new(values.with_data_type(types::to_arrow(to))) };
    Ok(match (from, to) {
        (T::Date, T::Timestamp) => typed(map_values::<Date32Type, Micros>(
            array,
            caster,
            |d| i64::from(d).checked_mul(MICROS_PER_DAY).and_then(|local| caster.zone.to_utc(local)),
            |d| timestamp_overflow(datetime::format_date(d), to),
        )?),
        (T::Date, T::TimestampNtz) => typed(map_values::<Date32Type, Micros>(
            array,
            caster,
            |d| i64::from(d).checked_mul(MICROS_PER_DAY),
            |d| timestamp_overflow(datetime::format_date(d), to),
        )?),
        (T::Timestamp, T::Date) => Arc::new(map_all::<Micros, Date32Type>(array, |t| {
            caster.zone.to_local(t).div_euclid(MICROS_PER_DAY) as i32
        })?),
        (T::TimestampNtz, T::Date) => {
            Arc::new(map_all::<Micros, Date32Type>(array, |t| t.div_euclid(MICROS_PER_DAY) as i32)?)
        }
        (T::Timestamp, T::TimestampNtz) => typed(map_all::<Micros, Micros>(array, |t| caster.zone.to_local(t))?),
        (T::TimestampNtz, T::Timestamp) => {
            typed(map_all::<Micros, Micros>(array, |t| caster.zone.to_utc(t).unwrap_or(t))?)
        }
        (T::Timestamp, _) => from_timestamp(array, from, to, caster)?,
        (T::Date, _) => arrow::array::new_null_array(&types::to_arrow(to), array.len()),
        (_, T::Timestamp) => typed(to_timestamp(array, from, to, caster)?),
        (T::Time(_), T::Time(p)) => {
            Arc::new(map_all::<Time64NanosecondType, Time64NanosecondType>(array, |t| truncate_time(t, *p))?)
        }
        (T::Time(_), _) => from_time(array, from, to, caster)?,
        (T::DayTimeInterval(..), T::DayTimeInterval(_, end)) => {
            let unit = micros_of(*end);
            Arc::new(map_all::<DurationMicrosecondType, DurationMicrosecondType>(array, |v| v - v % unit)?)
        }
        (T::YearMonthInterval(..), T::YearMonthInterval(_, end)) => {
            let unit = months_of(*end);
            Arc::new(map_all::<IntervalYearMonthType, IntervalYearMonthType>(array, |v| v - v % unit)?)
        }
        (T::DayTimeInterval(a, b), _) => {
            let text = |v: i64| interval::format_day_time(v, *a, *b);
            if to.is_decimal() && *b == DayTimeField::Second {
                let caster = interval_caster(caster);
                to_decimal::<DurationMicrosecondType>(array, to, &caster, |v| (i128::from(v), 6))?
            } else {
                to_number::<DurationMicrosecondType>(array, from, to, caster, |v| v / micros_of(*b), text)?
            }
        }
        (T::YearMonthInterval(a, b), _) => {
            let text = |v: i32| interval::format_year_month(v, *a, *b);
            let whole = |v: i32| i64::from(v / months_of(*b));
            to_number::<IntervalYearMonthType>(array, from, to, caster, whole, text)?
        }
        (_, T::DayTimeInterval(_, end)) => to_day_time(array, from, to, *end, caster)?,
        (_, T::YearMonthInterval(_, end)) => to_year_month(array, from, to, *end, caster)?,
        _ => return Err(SparkError::internal(format!("no cast from {from} to {to}"))),
    })
}

fn timestamp_overflow(value: String, to: &DataType) -> SparkError {
    super::errors::overflow(format!("DATE '{value}'"), &DataType::Date, to)
}

/// Nanoseconds of a day, cut to `precision` digits of a second.
pub fn truncate_time(nanos: i64, precision: u8) -> i64 {
    let unit = 10i64.pow(9 - u32::from(precision.min(9)));
    nanos - nanos % unit
}

fn micros_of(field: DayTimeField) -> i64 {
    match field {
        DayTimeField::Day => MICROS_PER_DAY,
        DayTimeField::Hour => 3600 * MICROS_PER_SECOND,
        DayTimeField::Minute => 60 * MICROS_PER_SECOND,
        DayTimeField::Second => MICROS_PER_SECOND,
    }
}

fn months_of(field: YearMonthField) -> i32 {
    match field {
        YearMonthField::Year => 12,
        YearMonthField::Month => 1,
    }
}

fn from_timestamp(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    let seconds = |t: i64| t as f64 / MICROS_PER_SECOND as f64;
    Ok(match to {
        DataType::Float => Arc::new(map_all::<Micros, Float32Type>(array, |t| seconds(t) as f32)?),
        DataType::Double => Arc::new(map_all::<Micros, Float64Type>(array, seconds)?),
        DataType::Boolean => Arc::new(BooleanArray::from_unary(primitive::<Micros>(array)?, |t| t != 0)),
        DataType::Decimal(..) => to_decimal::<Micros>(array, to, caster, |t| (i128::from(t), 6))?,
        _ => {
            let text = |t: i64| format!("TIMESTAMP '{}'", datetime::format_timestamp_ntz(caster.zone.to_local(t)));
            to_number::<Micros>(array, from, to, caster, |t| t.div_euclid(MICROS_PER_SECOND), text)?
        }
    })
}

fn from_time(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    if to.is_decimal() {
        return to_decimal::<Time64NanosecondType>(array, to, caster, |t| (i128::from(t), 9));
    }
    let text = |t: i64| format!("TIME '{}'", datetime::format_time(t));
    to_number::<Time64NanosecondType>(array, from, to, caster, |t| t / NANOS_PER_SECOND, text)
}

/// A whole number of a unit, as an integer or a decimal. Out of range: the error, or NULL in the other modes.
/// Intervals are checked in every mode but TRY.
fn interval_caster<'a>(caster: &Caster<'a>) -> Caster<'a> {
    let mode = if caster.mode == CastMode::Legacy { CastMode::Ansi } else { caster.mode };
    Caster { mode, ..*caster }
}

fn to_number<F: ArrowPrimitiveType>(
    array: &ArrayRef,
    from: &DataType,
    to: &DataType,
    caster: &Caster<'_>,
    whole: impl Fn(F::Native) -> i64,
    text: impl Fn(F::Native) -> String,
) -> Result<ArrayRef> {
    let error = |v: F::Native| super::errors::overflow(text(v), from, to);
    let strict = interval_caster(caster);
    let caster = if from.is_ansi_interval() { &strict } else { caster };
    Ok(match to {
        DataType::Byte => Arc::new(map_values::<F, Int8Type>(array, caster, |v| whole(v).try_into().ok(), error)?),
        DataType::Short => Arc::new(map_values::<F, Int16Type>(array, caster, |v| whole(v).try_into().ok(), error)?),
        DataType::Integer => Arc::new(map_values::<F, Int32Type>(array, caster, |v| whole(v).try_into().ok(), error)?),
        DataType::Long => Arc::new(map_values::<F, Int64Type>(array, caster, |v| Some(whole(v)), error)?),
        DataType::Decimal(..) => to_decimal::<F>(array, to, caster, |v| (i128::from(whole(v)), 0))?,
        _ => return Err(SparkError::internal(format!("no cast from {from} to {to}"))),
    })
}

fn to_decimal<F: ArrowPrimitiveType>(
    array: &ArrayRef,
    to: &DataType,
    caster: &Caster<'_>,
    number: impl Fn(F::Native) -> (i128, i8),
) -> Result<ArrayRef> {
    let DataType::Decimal(p, s) = to else { return Err(SparkError::internal("a decimal was expected")) };
    let convert = |v: F::Native| {
        let (value, scale) = number(v);
        decimal::rescale(value, scale, *p, *s)
    };
    let error = |v: F::Native| {
        let (value, scale) = number(v);
        out_of_decimal(decimal::plain(value, scale), *p, *s)
    };
    with_decimal_type(map_values::<F, Decimal128Type>(array, caster, convert, error)?, *p, *s)
}

/// Any integer array as longs.
fn longs(array: &ArrayRef) -> Result<ArrayRef> {
    arrow::compute::cast(array, &arrow::datatypes::DataType::Int64).map_err(crate::scalar::from_arrow)
}

fn suffix(from: &DataType) -> &'static str {
    match from {
        DataType::Byte => "Y",
        DataType::Short => "S",
        DataType::Long => "L",
        _ => "",
    }
}

/// Seconds since the epoch.
fn to_timestamp(
    array: &ArrayRef,
    from: &DataType,
    to: &DataType,
    caster: &Caster<'_>,
) -> Result<PrimitiveArray<Micros>> {
    match from {
        DataType::Boolean => {
            let bits = crate::scalar::as_boolean(array)?;
            Ok(bits.iter().map(|b| b.map(i64::from)).collect())
        }
        DataType::Float | DataType::Double => {
            let wide = arrow::compute::cast(array, &arrow::datatypes::DataType::Float64);
            let wide = wide.map_err(crate::scalar::from_arrow)?;
            let legacy = caster.mode == CastMode::Legacy;
            let convert = |v: f64| {
                let micros = v * MICROS_PER_SECOND as f64;
                (v.is_finite() && (legacy || micros.abs() <= i64::MAX as f64)).then_some(micros as i64)
            };
            let error = |v: f64| {
                if v.is_finite() {
                    super::errors::overflow(double_text(v), from, to)
                } else {
                    invalid_input(double_text(v), from, to)
                }
            };
            map_values::<Float64Type, Micros>(&wide, caster, convert, error)
        }
        DataType::Decimal(_, s) => {
            // Cut to microseconds and to 64 bits, as Java cuts them: no value is out of range.
            let unit = decimal::pow10((*s).max(0) as u32);
            let micros = |v: i128| {
                let scaled = num_bigint::BigInt::from(v) * MICROS_PER_SECOND / unit;
                decimal::low_64_bits(&scaled)
            };
            let input: ArrayRef = Arc::new(decimals(array)?.clone());
            map_all::<Decimal128Type, Micros>(&input, micros)
        }
        _ => map_all::<Int64Type, Micros>(&longs(array)?, |v| v.saturating_mul(MICROS_PER_SECOND)),
    }
}

fn to_day_time(
    array: &ArrayRef,
    from: &DataType,
    to: &DataType,
    end: DayTimeField,
    caster: &Caster<'_>,
) -> Result<ArrayRef> {
    let unit = micros_of(end);
    let strict = strict(caster);
    if let DataType::Decimal(_, s) = from {
        let convert = |v: i128| {
            let scaled = v.checked_mul(i128::from(unit))?;
            i64::try_from(decimal::divide_pow10_half_up(scaled, s.unsigned_abs().into())).ok()
        };
        let error = |v: i128| super::errors::overflow(format!("{}BD", decimal::plain(v, *s)), from, to);
        return Ok(Arc::new(map_values::<Decimal128Type, DurationMicrosecondType>(array, &strict, convert, error)?));
    }
    let error = |v: i64| super::errors::overflow(format!("{v}{}", suffix(from)), from, to);
    let values = longs(array)?;
    let result = map_values::<Int64Type, DurationMicrosecondType>(&values, &strict, |v| v.checked_mul(unit), error)?;
    Ok(Arc::new(result))
}

fn to_year_month(
    array: &ArrayRef,
    from: &DataType,
    to: &DataType,
    end: YearMonthField,
    caster: &Caster<'_>,
) -> Result<ArrayRef> {
    let unit = months_of(end);
    let strict = strict(caster);
    if let DataType::Decimal(_, s) = from {
        let convert = |v: i128| {
            let scaled = v.checked_mul(i128::from(unit))?;
            i32::try_from(decimal::divide_pow10_half_up(scaled, s.unsigned_abs().into())).ok()
        };
        let error = |v: i128| super::errors::overflow(format!("{}BD", decimal::plain(v, *s)), from, to);
        return Ok(Arc::new(map_values::<Decimal128Type, IntervalYearMonthType>(array, &strict, convert, error)?));
    }
    let error = |v: i64| super::errors::overflow(format!("{v}{}", suffix(from)), from, to);
    let convert = |v: i64| i32::try_from(v.checked_mul(i64::from(unit))?).ok();
    Ok(Arc::new(map_values::<Int64Type, IntervalYearMonthType>(&longs(array)?, &strict, convert, error)?))
}

/// Numbers become intervals with a check in every mode but TRY.
fn strict<'a>(caster: &Caster<'a>) -> Caster<'a> {
    let mode = if caster.mode == CastMode::Try { CastMode::Try } else { CastMode::Ansi };
    Caster { mode, ..*caster }
}
