//! Casts from STRING.
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanBuilder, PrimitiveArray, PrimitiveBuilder,
    StringArray,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalYearMonthType, Time64NanosecondType, TimestampMicrosecondType,
};
use firesteel_plan::{DataType, Result, SparkError};

use super::CastMode;
use super::errors::{invalid_input, out_of_decimal};
use super::kernel::Caster;
use super::numeric::{rescale_wide, with_decimal_type};
use crate::datetime::text as datetime;
use crate::decimal::{self, Parsed};
use crate::interval::{CalendarInterval, ansi, multi_units};
use crate::quote::sql_string;
use crate::types;

pub fn from_string(array: &ArrayRef, from: &DataType, to: &DataType, caster: &Caster<'_>) -> Result<ArrayRef> {
    let strings = array.as_string_opt::<i32>().ok_or_else(|| SparkError::internal("strings were expected"))?;
    let column = Column { strings, from, to, caster };
    let fraction = caster.mode == CastMode::Legacy;
    Ok(match to {
        DataType::Boolean => column.booleans()?,
        DataType::Byte => column.values::<Int8Type>(|s| parse_integer(s, fraction).and_then(|v| v.try_into().ok()))?,
        DataType::Short => {
            column.values::<Int16Type>(|s| parse_integer(s, fraction).and_then(|v| v.try_into().ok()))?
        }
        DataType::Integer => {
            column.values::<Int32Type>(|s| parse_integer(s, fraction).and_then(|v| v.try_into().ok()))?
        }
        DataType::Long => column.values::<Int64Type>(|s| parse_integer(s, fraction))?,
        DataType::Float => column.values::<Float32Type>(parse_float)?,
        DataType::Double => column.values::<Float64Type>(parse_double)?,
        DataType::Decimal(p, s) => column.decimals(*p, *s)?,
        DataType::Binary => {
            let values = strings.values().clone();
            Arc::new(BinaryArray::new(strings.offsets().clone(), values, strings.nulls().cloned()))
        }
        DataType::Date => column.values::<Date32Type>(datetime::parse_date)?,
        DataType::Timestamp => {
            column.values::<TimestampMicrosecondType>(|s| datetime::parse_timestamp(s, &caster.context.time_zone))?
        }
        DataType::TimestampNtz => column.values::<TimestampMicrosecondType>(datetime::parse_timestamp_ntz)?,
        DataType::Time(p) => column.values::<Time64NanosecondType>(|s| {
            datetime::parse_time(s).map(|nanos| super::temporal::truncate_time(nanos, *p))
        })?,
        DataType::CalendarInterval => column.optional::<IntervalMonthDayNanoType>(|s| {
            Ok(multi_units::parse_calendar(s).ok().and_then(|i| CalendarInterval::to_arrow(i).ok()))
        })?,
        DataType::YearMonthInterval(a, b) => {
            column.optional::<IntervalYearMonthType>(|s| column.or_null(ansi::parse_year_month(s, *a, *b)))?
        }
        DataType::DayTimeInterval(a, b) => {
            column.optional::<DurationMicrosecondType>(|s| column.or_null(ansi::parse_day_time(s, *a, *b)))?
        }
        other => return Err(SparkError::internal(format!("no cast from {from} to {other}"))),
    })
}

struct Column<'a> {
    strings: &'a StringArray,
    from: &'a DataType,
    to: &'a DataType,
    caster: &'a Caster<'a>,
}

impl Column<'_> {
    fn malformed(&self, text: &str) -> SparkError {
        invalid_input(sql_string(text), self.from, self.to)
    }

    fn or_null<T>(&self, parsed: Result<T>) -> Result<Option<T>> {
        match parsed {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.caster.mode == CastMode::Ansi => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Values where the text can be read; NULL or an error elsewhere.
    fn values<T: ArrowPrimitiveType>(&self, parse: impl Fn(&str) -> Option<T::Native>) -> Result<ArrayRef> {
        self.optional::<T>(|text| match parse(text) {
            Some(value) => Ok(Some(value)),
            None => self.caster.fail(|| self.malformed(text)),
        })
    }

    fn optional<T: ArrowPrimitiveType>(&self, parse: impl Fn(&str) -> Result<Option<T::Native>>) -> Result<ArrayRef> {
        let mut out = PrimitiveBuilder::<T>::with_capacity(self.strings.len());
        for text in self.strings.iter() {
            out.append_option(match text {
                Some(text) => parse(text)?,
                None => None,
            });
        }
        Ok(Arc::new(out.finish().with_data_type(types::to_arrow(self.to))))
    }

    fn booleans(&self) -> Result<ArrayRef> {
        let mut out = BooleanBuilder::with_capacity(self.strings.len());
        for text in self.strings.iter() {
            out.append_option(match text {
                None => None,
                Some(text) => match parse_boolean(text) {
                    Some(value) => Some(value),
                    None => self.caster.fail(|| self.malformed(text))?,
                },
            });
        }
        Ok(Arc::new(out.finish()))
    }

    fn decimals(&self, precision: u8, scale: i8) -> Result<ArrayRef> {
        let mut out: Vec<Option<i128>> = Vec::with_capacity(self.strings.len());
        for text in self.strings.iter() {
            let Some(text) = text else {
                out.push(None);
                continue;
            };
            out.push(match decimal::parse(trim_java(text)) {
                Parsed::Number(value, from_scale) => match rescale_wide(value, from_scale, precision, scale) {
                    Some(value) => Some(value),
                    None => self.caster.fail(|| out_of_decimal(plain(value, from_scale), precision, scale))?,
                },
                Parsed::TooLarge => self.caster.fail(|| {
                    SparkError::new("NUMERIC_OUT_OF_SUPPORTED_RANGE", [("value", trim_java(text).to_string())])
                })?,
                Parsed::Malformed => self.caster.fail(|| self.malformed(text))?,
            });
        }
        with_decimal_type(PrimitiveArray::<Decimal128Type>::from(out), precision, scale)
    }
}

fn plain(value: i128, scale: i32) -> String {
    if scale >= 0 {
        return decimal::plain(value, scale.min(127) as i8);
    }
    format!("{value}{}", "0".repeat(scale.unsigned_abs() as usize))
}

/// `String.trim` of Java: everything up to the blank.
fn trim_java(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ')
}

/// Without blanks and control characters around it.
fn trim_all(text: &[u8]) -> &[u8] {
    let blank = |b: &u8| *b <= b' ' || *b == 0x7f;
    let start = text.iter().position(|b| !blank(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !blank(b)).map_or(start, |i| i + 1);
    &text[start..end]
}

/// An integer with a sign. `fraction`: digits after a point are read and dropped.
pub fn parse_integer(text: &str, fraction: bool) -> Option<i64> {
    let text = trim_all(text.as_bytes());
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for (i, b) in digits.iter().enumerate() {
        if !b.is_ascii_digit() {
            let rest = &digits[i + 1..];
            if fraction && *b == b'.' && rest.iter().all(u8::is_ascii_digit) {
                break;
            }
            return None;
        }
        // Built below zero, where there is room for the smallest number.
        value = value.checked_mul(10)?.checked_sub(i64::from(b - b'0'))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

fn special_float(text: &str) -> Option<f64> {
    Some(match text.to_ascii_lowercase().as_str() {
        "inf" | "+inf" | "infinity" | "+infinity" => f64::INFINITY,
        "-inf" | "-infinity" => f64::NEG_INFINITY,
        "nan" => f64::NAN,
        _ => return None,
    })
}

/// What Java's `parseDouble` takes (`1.5`, `1e3`, `1f`, `0x1p3`), and names of infinity and NaN in any case.
pub fn parse_double(text: &str) -> Option<f64> {
    let text = trim_java(text);
    if let Some(value) = special_float(text) {
        return Some(value);
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    if is_decimal_float(number) {
        return number.parse().ok();
    }
    parse_hexadecimal_float(text)
}

pub fn parse_float(text: &str) -> Option<f32> {
    let trimmed = trim_java(text);
    let number = trimmed.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(trimmed);
    if is_decimal_float(number) {
        return number.parse().ok();
    }
    parse_double(text).map(|v| v as f32)
}

/// Digits with a point and an exponent: what Rust reads too, without its own words for infinity.
fn is_decimal_float(text: &str) -> bool {
    let digits = text.bytes().any(|b| b.is_ascii_digit());
    digits && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
}

/// `0x1.8p3`: the exponent is required and counts in powers of two.
fn parse_hexadecimal_float(text: &str) -> Option<f64> {
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).filter(|t| t.contains(['p', 'P'])).unwrap_or(text);
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let rest = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"))?;
    let (mantissa, exponent) = rest.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 13 {
        return None;
    }
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).ok()?;
    let exponent = exponent.parse::<i32>().ok()? - 4 * fraction.len() as i32;
    let value = digits as f64 * 2f64.powi(exponent);
    Some(if negative { -value } else { value })
}

/// `t`, `true`, `y`, `yes`, `1` and their opposites, in any case.
pub fn parse_boolean(text: &str) -> Option<bool> {
    let text = trim_all(text.as_bytes());
    let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
    if ["t", "true", "y", "yes", "1"].into_iter().any(is) {
        return Some(true);
    }
    ["f", "false", "n", "no", "0"].into_iter().any(is).then_some(false)
}
