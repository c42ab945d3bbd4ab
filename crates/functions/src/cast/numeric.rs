//! Casts between numbers, and of booleans to numbers.
use std::sync::Arc;

use arrow::array::{Array, ArrowPrimitiveType};
use arrow::array::{ArrayRef, AsArray, BinaryBuilder, BooleanArray, PrimitiveArray};
use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use firesteel_plan::{DataType, Result, SparkError};
use num_traits::{AsPrimitive, Bounded, ToPrimitive};

use super::CastMode;
use super::errors::{double_text, out_of_decimal};
use super::kernel::{Caster, map_all, map_values, primitive};
use crate::{decimal, java_number};

pub fn convert(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    match from {
        DataType::Byte => from_integer::<Int8Type>(array, from, to, caster),
        DataType::Short => from_integer::<Int16Type>(array, from, to, caster),
        DataType::Integer => from_integer::<Int32Type>(array, from, to, caster),
        DataType::Long => from_integer::<Int64Type>(array, from, to, caster),
        DataType::Float => from_float(array, from, to, caster),
        DataType::Double => from_double(array, from, to, caster),
        DataType::Decimal(p, s) => from_decimal(array, (*p, *s), to, caster),
        _ => Err(unknown(from, to)),
    }
}

fn unknown(from: &DataType, to: &DataType) -> SparkError {
    SparkError::internal(format!("no cast from {from} to {to}"))
}

fn integer_suffix(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Byte => "Y",
        DataType::Short => "S",
        DataType::Long => "L",
        _ => "",
    }
}

fn from_integer<F>(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef>
where
    F: ArrowPrimitiveType,
    F::Native: AsPrimitive<i64>,
{
    let error = |v: F::Native| caster.overflow(format!("{}{}", v.as_(), integer_suffix(from)), from, to);
    macro_rules! narrow {
        ($t:ty, $n:ty) => {
            Arc::new(if caster.mode == CastMode::Legacy {
                map_all::<F, $t>(array, |v| v.as_() as $n)?
            } else {
                map_values::<F, $t>(array, caster, |v| <$n>::try_from(v.as_()).ok(), error)?
            })
        };
    }
    Ok(match to {
        DataType::Byte => narrow!(Int8Type, i8),
        DataType::Short => narrow!(Int16Type, i16),
        DataType::Integer => narrow!(Int32Type, i32),
        DataType::Long => Arc::new(map_all::<F, Int64Type>(array, |v| v.as_())?),
        DataType::Float => Arc::new(map_all::<F, Float32Type>(array, |v| v.as_() as f32)?),
        DataType::Double => Arc::new(map_all::<F, Float64Type>(array, |v| v.as_() as f64)?),
        DataType::Boolean => Arc::new(BooleanArray::from_unary(primitive::<F>(array)?, |v| v.as_() != 0)),
        DataType::Decimal(p, s) => {
            let to_decimal = |v: F::Native| decimal::rescale(i128::from(v.as_()), 0, *p, *s);
            let error = |v: F::Native| out_of_decimal(v.as_().to_string(), *p, *s);
            with_decimal_type(map_values::<F, Decimal128Type>(array, caster, to_decimal, error)?, *p, *s)?
        }
        DataType::Binary => big_endian::<F>(array, from)?,
        _ => return Err(unknown(from, to)),
    })
}

fn big_endian<F>(array: &ArrayRef, from: &DataType) -> Result<ArrayRef>
where
    F: ArrowPrimitiveType,
    F::Native: AsPrimitive<i64>,
{
    let width = match from {
        DataType::Byte => 1,
        DataType::Short => 2,
        DataType::Integer => 4,
        _ => 8,
    };
    let mut out = BinaryBuilder::with_capacity(array.len(), array.len() * width);
    for value in primitive::<F>(array)?.iter() {
        match value {
            Some(v) => out.append_value(&v.as_().to_be_bytes()[8 - width..]),
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// The integer part, where the type holds it.
fn exact<T: Bounded + ToPrimitive + Copy + 'static>(value: f64) -> Option<T>
where
    f64: AsPrimitive<T>,
{
    let (most, least) = (T::max_value().to_f64()?, T::min_value().to_f64()?);
    // `most` rounds up for 64 bits: there `floor <= most` also takes 2^63, which Java narrows to the bound.
    (value.floor() <= most && value.ceil() >= least).then(|| value.as_())
}

fn double_to_integers(
    array: &ArrayRef,
    from: &DataType,
    to: &DataType,
    caster: &Caster<'_>,
    text: impl Fn(f64) -> String + Copy,
) -> Result<ArrayRef> {
    let error = |v: f64| caster.overflow(text(v), from, to);
    macro_rules! narrow {
        ($t:ty, $n:ty, $via:ty) => {
            Arc::new(if caster.mode == CastMode::Legacy {
                map_all::<Float64Type, $t>(array, |v| v as $via as $n)?
            } else {
                map_values::<Float64Type, $t>(array, caster, exact::<$n>, error)?
            })
        };
    }
    Ok(match to {
        DataType::Byte => narrow!(Int8Type, i8, i32),
        DataType::Short => narrow!(Int16Type, i16, i32),
        DataType::Integer => narrow!(Int32Type, i32, i32),
        DataType::Long => narrow!(Int64Type, i64, i64),
        _ => return Err(unknown(from, to)),
    })
}

fn from_double(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    Ok(match to {
        DataType::Float => Arc::new(map_all::<Float64Type, Float32Type>(array, |v| v as f32)?),
        DataType::Double => Arc::clone(array),
        DataType::Boolean => Arc::new(BooleanArray::from_unary(primitive::<Float64Type>(array)?, |v| v != 0.0)),
        DataType::Decimal(p, s) => double_to_decimal(array, *p, *s, caster)?,
        _ => double_to_integers(array, from, to, caster, double_text)?,
    })
}

fn from_float(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    let wide: ArrayRef = Arc::new(map_all::<Float32Type, Float64Type>(array, f64::from)?);
    match to {
        DataType::Float => Ok(Arc::clone(array)),
        t if t.is_integral() => double_to_integers(&wide, from, to, caster, |v| java_number::float(v as f32)),
        _ => from_double(&wide, from, to, caster),
    }
}

/// The digits of the double's text, rounded half up. NaN and infinities are NULL in every mode.
fn double_to_decimal(array: &ArrayRef, precision: u8, scale: i8, caster: &Caster<'_>) -> Result<ArrayRef> {
    let input = primitive::<Float64Type>(array)?;
    let mut out = Vec::with_capacity(input.len());
    for value in input.iter() {
        let Some(value) = value.filter(|v| v.is_finite()) else {
            out.push(None);
            continue;
        };
        let number = decimal::from_double(value).and_then(|(v, s)| rescale_wide(v, s, precision, scale));
        out.push(match number {
            Some(v) => Some(v),
            None => caster.fail(|| out_of_decimal(plain_double(value), precision, scale))?,
        });
    }
    with_decimal_type(PrimitiveArray::<Decimal128Type>::from(out), precision, scale)
}

/// As [`decimal::rescale`] for scales beyond those of a type.
pub fn rescale_wide(value: i128, from_scale: i32, precision: u8, scale: i8) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    let shift = i32::from(scale) - from_scale;
    let scaled = if shift < 0 {
        decimal::divide_pow10_half_up(value, shift.unsigned_abs())
    } else if shift > 38 {
        return None;
    } else {
        value.checked_mul(decimal::pow10(shift as u32))?
    };
    decimal::fits(scaled, precision).then_some(scaled)
}

fn plain_double(value: f64) -> String {
    match decimal::from_double(value) {
        Some((v, s)) if (0..=127).contains(&s) => decimal::plain(v, s as i8),
        Some((v, s)) if s < 0 => format!("{v}{}", "0".repeat(s.unsigned_abs() as usize)),
        _ => java_number::double(value),
    }
}

fn from_decimal(array: &ArrayRef, (p, s): (u8, i8), to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    let from = DataType::Decimal(p, s);
    let error = |v: i128| caster.overflow(format!("{}BD", decimal::plain(v, s)), &from, to);
    let whole = |v: i128| if s > 0 { v / decimal::pow10(s as u32) } else { v };
    macro_rules! narrow {
        ($t:ty, $n:ty) => {
            Arc::new(if caster.mode == CastMode::Legacy {
                map_all::<Decimal128Type, $t>(array, |v| whole(v) as $n)?
            } else {
                map_values::<Decimal128Type, $t>(array, caster, |v| <$n>::try_from(whole(v)).ok(), error)?
            })
        };
    }
    Ok(match to {
        DataType::Byte => narrow!(Int8Type, i8),
        DataType::Short => narrow!(Int16Type, i16),
        DataType::Integer => narrow!(Int32Type, i32),
        DataType::Long => narrow!(Int64Type, i64),
        DataType::Float => Arc::new(map_all::<Decimal128Type, Float32Type>(array, |v| {
            decimal::plain(v, s).parse().unwrap_or(f32::NAN)
        })?),
        DataType::Double => Arc::new(map_all::<Decimal128Type, Float64Type>(array, |v| decimal::to_double(v, s))?),
        DataType::Boolean => Arc::new(BooleanArray::from_unary(primitive::<Decimal128Type>(array)?, |v| v != 0)),
        DataType::Decimal(p2, s2) => {
            let convert = |v: i128| decimal::rescale(v, s, *p2, *s2);
            let error = |v: i128| out_of_decimal(decimal::plain(v, s), *p2, *s2);
            with_decimal_type(map_values::<Decimal128Type, Decimal128Type>(array, caster, convert, error)?, *p2, *s2)?
        }
        _ => return Err(unknown(&from, to)),
    })
}

pub fn from_boolean(array: &ArrayRef, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    let bits = crate::scalar::as_boolean(array)?;
    let bytes: ArrayRef = Arc::new(PrimitiveArray::<Int8Type>::from_iter(bits.iter().map(|b| b.map(i8::from))));
    match to {
        DataType::Byte => Ok(bytes),
        _ => from_integer::<Int8Type>(&bytes, &DataType::Byte, to, caster),
    }
}

/// Labels unscaled values with precision and scale.
pub fn with_decimal_type(array: PrimitiveArray<Decimal128Type>, precision: u8, scale: i8) -> Result<ArrayRef> {
    let typed = array.with_precision_and_scale(precision, scale).map_err(crate::scalar::from_arrow)?;
    Ok(Arc::new(typed))
}

/// Decimals as the `i128`s they are.
pub fn decimals(array: &ArrayRef) -> Result<&PrimitiveArray<Decimal128Type>> {
    array
        .as_primitive_opt::<Decimal128Type>()
        .ok_or_else(|| SparkError::internal(format!("decimals were expected, not {}", array.data_type())))
}
