//! Paths into variants and casts out of them.
use arrow::array::timezone::Tz;
use firesteel_plan::{DataType, Result};

use super::decode::{Kind, Variant};
use super::text;
use crate::datetime::text as datetime;
use crate::datum::Datum;
use crate::decimal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// The steps of `$.a['b'][0]`; `None` where it is not a path.
pub fn parse_path(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = vec![];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, tail) = after.split_at(end);
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key.to_string()));
            rest = tail;
        } else if let Some((after, end)) =
            rest.strip_prefix("['").map(|r| (r, "']")).or_else(|| rest.strip_prefix("[\"").map(|r| (r, "\"]")))
        {
            let (key, tail) = after.split_once(end)?;
            steps.push(Step::Key(key.to_string()));
            rest = tail;
        } else {
            let (index, tail) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = tail;
        }
    }
    Some(steps)
}

/// What a path leads to; `None` where it leads nowhere.
pub fn walk<'a>(variant: Variant<'a>, steps: &[Step]) -> Result<Option<Variant<'a>>> {
    let mut at = variant;
    for step in steps {
        let next = match (step, at.kind()?) {
            (Step::Key(key), Kind::Object(fields)) => fields.field(key)?,
            (Step::Index(index), Kind::Array(items)) if *index < items.len() => Some(items.get(*index)?),
            _ => None,
        };
        match next {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// A variant as a value of a type; `Ok(None)` where it cannot be cast. A variant's null is NULL of any type.
pub fn cast(variant: &Variant<'_>, to: &DataType, zone: &Tz) -> Result<Option<Datum>> {
    let kind = variant.kind()?;
    if let DataType::Variant = to {
        let (value, metadata) = minimal(variant)?;
        return Ok(Some(Datum::Variant(value, metadata)));
    }
    match (to, &kind) {
        (_, Kind::Null) => Ok(Some(Datum::Null)),
        (DataType::String(_) | DataType::Char(_) | DataType::Varchar(_), kind) => {
            let mut out = String::new();
            match kind {
                Kind::Array(_) | Kind::Object(_) => text::write(variant, zone, &mut out)?,
                scalar => text::push_scalar(scalar, zone, &mut out),
            }
            Ok(Some(Datum::Text(out)))
        }
        (DataType::Array(element, _), Kind::Array(items)) => {
            let values = (0..items.len()).map(|i| cast(&items.get(i)?, element, zone));
            let values: Option<Vec<_>> = values.collect::<Result<_>>()?;
            Ok(values.map(Datum::List))
        }
        (DataType::Map(key, value, _), Kind::Object(fields)) if key.is_string() => {
            let mut entries = vec![];
            for i in 0..fields.len() {
                match cast(&fields.get(i)?, value, zone)? {
                    Some(datum) => entries.push((Datum::Text(fields.key(i)?.to_string()), datum)),
                    None => return Ok(None),
                }
            }
            Ok(Some(Datum::Map(entries)))
        }
        (DataType::Struct(wanted), Kind::Object(fields)) => {
            let mut values = vec![];
            for field in wanted.fields.iter() {
                let value = match fields.field(&field.name)? {
                    Some(found) => cast(&found, &field.data_type, zone)?,
                    None => Some(Datum::Null),
                };
                match value {
                    Some(datum) => values.push(datum),
                    None => return Ok(None),
                }
            }
            Ok(Some(Datum::Struct(values)))
        }
        (_, Kind::Array(_) | Kind::Object(_)) => Ok(None),
        (to, scalar) => Ok(cast_scalar(scalar, to, zone)),
    }
}

/// The value alone with the keys that it needs.
fn minimal(variant: &Variant<'_>) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut encoder = super::encode::Encoder::default();
    super::to_object::copy(variant, &mut encoder)?;
    encoder.finish().ok_or_else(super::decode::malformed)
}

fn cast_scalar(kind: &Kind<'_>, to: &DataType, zone: &Tz) -> Option<Datum> {
    let in_range = |value: i64, least: i64, most: i64| (least..=most).contains(&value).then_some(Datum::Long(value));
    match to {
        DataType::Byte => integer(kind).and_then(|v| in_range(v, i8::MIN.into(), i8::MAX.into())),
        DataType::Short => integer(kind).and_then(|v| in_range(v, i16::MIN.into(), i16::MAX.into())),
        DataType::Integer => integer(kind).and_then(|v| in_range(v, i32::MIN.into(), i32::MAX.into())),
        DataType::Long => integer(kind).map(Datum::Long),
        DataType::Float | DataType::Double => double(kind).map(Datum::Double),
        DataType::Decimal(precision, scale) => decimal_value(kind, *precision, *scale).map(Datum::Decimal),
        DataType::Boolean => match kind {
            Kind::Boolean(value) => Some(Datum::Boolean(*value)),
            Kind::Long(value) => Some(Datum::Boolean(*value != 0)),
            Kind::Double(value) => Some(Datum::Boolean(*value != 0.0)),
            Kind::Float(value) => Some(Datum::Boolean(*value != 0.0)),
            Kind::Decimal(value, _) => Some(Datum::Boolean(*value != 0)),
            Kind::String(text) => match text.trim().to_lowercase().as_str() {
                "t" | "true" | "y" | "yes" | "1" => Some(Datum::Boolean(true)),
                "f" | "false" | "n" | "no" | "0" => Some(Datum::Boolean(false)),
                _ => None,
            },
            _ => None,
        },
        DataType::Binary => match kind {
            Kind::Binary(bytes) => Some(Datum::Bytes(bytes.to_vec())),
            Kind::String(text) => Some(Datum::Bytes(text.as_bytes().to_vec())),
            _ => None,
        },
        DataType::Date => match kind {
            Kind::Date(days) => Some(Datum::Long((*days).into())),
            Kind::Timestamp(micros) => {
                let local = crate::datetime::zone::Zone::new(zone).to_local(*micros);
                Some(Datum::Long(local.div_euclid(86_400_000_000)))
            }
            Kind::TimestampNtz(micros) => Some(Datum::Long(micros.div_euclid(86_400_000_000))),
            Kind::String(text) => datetime::parse_date(text).map(|days| Datum::Long(days.into())),
            _ => None,
        },
        DataType::Timestamp => match kind {
            Kind::Timestamp(micros) => Some(Datum::Long(*micros)),
            Kind::TimestampNtz(local) => crate::datetime::zone::Zone::new(zone).to_utc(*local).map(Datum::Long),
            Kind::Date(days) => {
                let local = i64::from(*days).checked_mul(86_400_000_000)?;
                crate::datetime::zone::Zone::new(zone).to_utc(local).map(Datum::Long)
            }
            Kind::String(text) => datetime::parse_timestamp(text, zone).map(Datum::Long),
            Kind::Long(seconds) => seconds.checked_mul(1_000_000).map(Datum::Long),
            _ => None,
        },
        DataType::TimestampNtz => match kind {
            Kind::TimestampNtz(micros) => Some(Datum::Long(*micros)),
            Kind::Timestamp(micros) => Some(Datum::Long(crate::datetime::zone::Zone::new(zone).to_local(*micros))),
            Kind::Date(days) => i64::from(*days).checked_mul(86_400_000_000).map(Datum::Long),
            Kind::String(text) => datetime::parse_timestamp_ntz(text).map(Datum::Long),
            _ => None,
        },
        _ => None,
    }
}

fn integer(kind: &Kind<'_>) -> Option<i64> {
    let truncated = |value: f64| {
        let value = value.trunc();
        (value >= i64::MIN as f64 && value < i64::MAX as f64).then_some(value as i64)
    };
    match kind {
        Kind::Long(value) => Some(*value),
        Kind::Boolean(value) => Some((*value).into()),
        Kind::Double(value) => truncated(*value),
        Kind::Float(value) => truncated((*value).into()),
        Kind::Decimal(unscaled, scale) => i64::try_from(unscaled / decimal::pow10((*scale).into())).ok(),
        Kind::String(text) => text.trim().parse().ok(),
        Kind::Timestamp(micros) => Some(micros.div_euclid(1_000_000)),
        _ => None,
    }
}

fn double(kind: &Kind<'_>) -> Option<f64> {
    match kind {
        Kind::Long(value) => Some(*value as f64),
        Kind::Boolean(value) => Some(f64::from(u8::from(*value))),
        Kind::Double(value) => Some(*value),
        Kind::Float(value) => Some((*value).into()),
        Kind::Decimal(unscaled, scale) => Some(decimal::to_double(*unscaled, i8::try_from(*scale).ok()?)),
        Kind::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn decimal_value(kind: &Kind<'_>, precision: u8, scale: i8) -> Option<i128> {
    match kind {
        Kind::Long(value) => decimal::rescale((*value).into(), 0, precision, scale),
        Kind::Boolean(value) => decimal::rescale((*value).into(), 0, precision, scale),
        Kind::Decimal(unscaled, from) => decimal::rescale(*unscaled, i8::try_from(*from).ok()?, precision, scale),
        Kind::Double(value) if value.is_finite() => read_decimal(&format!("{value:e}"), precision, scale),
        Kind::Float(value) if value.is_finite() => read_decimal(&format!("{value:e}"), precision, scale),
        Kind::String(text) => read_decimal(text.trim(), precision, scale),
        _ => None,
    }
}

/// Rounds half up; `None` where the text is no number or has too many digits.
fn read_decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    use crate::strings::digits::{Digits, Rounding};
    text.parse::<f64>().ok().filter(|v| v.is_finite())?;
    let mut digits = Digits::parse(text);
    digits.round(scale.into(), Rounding::HalfUp);
    if digits.point > i32::from(precision) - i32::from(scale) {
        return None;
    }
    let places = usize::try_from(scale).ok()?;
    let unscaled: i128 = format!("0{}{}", digits.whole(), digits.fraction(places)).parse().ok()?;
    Some(if digits.negative { -unscaled } else { unscaled })
}
