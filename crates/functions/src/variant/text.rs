//! Variants as JSON text and as strings.
use arrow::array::timezone::Tz;
use base64::Engine;
use firesteel_plan::Result;

use super::decode::{Kind, Variant};
use crate::datetime::text as datetime;
use crate::json::value::push_quoted;
use crate::strings::digits::{push_java_double, push_java_float};

/// Appends a variant as JSON.
pub fn write_json(value: &[u8], metadata: &[u8], zone: &Tz, out: &mut String) -> Result<()> {
    write(&Variant::new(value, metadata)?, zone, out)
}

pub fn write(variant: &Variant<'_>, zone: &Tz, out: &mut String) -> Result<()> {
    match variant.kind()? {
        Kind::Array(items) => {
            out.push('[');
            for i in 0..items.len() {
                out.push_str(if i > 0 { "," } else { "" });
                write(&items.get(i)?, zone, out)?;
            }
            out.push(']');
        }
        Kind::Object(fields) => {
            out.push('{');
            for i in 0..fields.len() {
                out.push_str(if i > 0 { "," } else { "" });
                push_quoted(fields.key(i)?, out);
                out.push(':');
                write(&fields.get(i)?, zone, out)?;
            }
            out.push('}');
        }
        Kind::Double(value) if !value.is_finite() => quoted(out, |out| push_java_double(value, out)),
        Kind::Float(value) if !value.is_finite() => quoted(out, |out| push_java_float(value, out)),
        Kind::String(text) => push_quoted(text, out),
        kind @ (Kind::Date(_) | Kind::Timestamp(_) | Kind::TimestampNtz(_) | Kind::Uuid(_) | Kind::Binary(_)) => {
            quoted(out, |out| push_scalar(&kind, zone, out));
        }
        kind => push_scalar(&kind, zone, out),
    }
    Ok(())
}

fn quoted(out: &mut String, push: impl FnOnce(&mut String)) {
    out.push('"');
    push(out);
    out.push('"');
}

/// Appends a scalar without quotes; nothing for arrays and objects.
pub fn push_scalar(kind: &Kind<'_>, zone: &Tz, out: &mut String) {
    match kind {
        Kind::Null => out.push_str("null"),
        Kind::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::Long(value) => out.push_str(&value.to_string()),
        Kind::Double(value) => push_java_double(*value, out),
        Kind::Float(value) => push_java_float(*value, out),
        Kind::Decimal(unscaled, scale) => push_decimal(*unscaled, *scale, out),
        Kind::Date(days) => out.push_str(&datetime::format_date(*days)),
        Kind::Timestamp(micros) => {
            out.push_str(&datetime::format_timestamp(*micros, zone));
            let seconds = crate::datetime::zone::Zone::new(zone).offset_seconds(*micros);
            let (sign, seconds) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
            out.push_str(&format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60));
        }
        Kind::TimestampNtz(micros) => out.push_str(&datetime::format_timestamp_ntz(*micros)),
        Kind::String(text) => out.push_str(text),
        Kind::Binary(bytes) => base64::engine::general_purpose::STANDARD.encode_string(bytes, out),
        Kind::Uuid(bytes) => out.push_str(&uuid::Uuid::from_bytes(*bytes).to_string()),
        Kind::Array(_) | Kind::Object(_) => {}
    }
}

/// Trailing zeros of the fraction are not kept.
fn push_decimal(unscaled: i128, scale: u8, out: &mut String) {
    let digits = crate::strings::digits::Digits::of_decimal(unscaled, i8::try_from(scale).unwrap_or(0));
    if unscaled < 0 {
        out.push('-');
    }
    let whole = digits.whole();
    out.push_str(if whole.is_empty() { "0" } else { &whole });
    if digits.scale() > 0 {
        out.push('.');
        out.push_str(&digits.fraction(digits.scale()));
    }
}
