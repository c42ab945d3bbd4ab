//! Values as Spark's casts to string write them.
use arrow::array::timezone::Tz;
use chrono::{DateTime, Datelike, NaiveDateTime, TimeZone, Timelike};

/// Java's `Double.toString`: `1.0`, `1.0E10`, `NaN`.
pub(crate) fn double_text(value: f64) -> String {
    let mut buffer = ryu::Buffer::new();
    java_number(
        value.is_nan(),
        value.is_infinite(),
        value < 0.0,
        value.abs() >= 1e7 || (value != 0.0 && value.abs() < 1e-3),
        || buffer.format_finite(value).to_string(),
    )
}

/// Java's `Float.toString`.
pub(crate) fn float_text(value: f32) -> String {
    let mut buffer = ryu::Buffer::new();
    java_number(
        value.is_nan(),
        value.is_infinite(),
        value < 0.0,
        value.abs() >= 1e7 || (value != 0.0 && value.abs() < 1e-3),
        || buffer.format_finite(value).to_string(),
    )
}

fn java_number(
    nan: bool,
    infinite: bool,
    negative: bool,
    scientific: bool,
    shortest: impl FnOnce() -> String,
) -> String {
    if nan {
        return "NaN".into();
    }
    if infinite {
        return if negative { "-Infinity".into() } else { "Infinity".into() };
    }
    let shortest = shortest();
    let (sign, digits, exponent) = split_number(&shortest);
    if scientific {
        let (first, rest) = digits.split_at(1);
        return format!("{sign}{first}.{}E{exponent}", if rest.is_empty() { "0" } else { rest });
    }
    let point = exponent + 1;
    let plain = if point <= 0 {
        format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize))
    } else {
        let point = point.unsigned_abs() as usize;
        let whole: String = digits.chars().chain(std::iter::repeat('0')).take(point).collect();
        let rest = digits.get(point..).filter(|rest| !rest.is_empty()).unwrap_or("0");
        format!("{whole}.{rest}")
    };
    format!("{sign}{plain}")
}

/// Sign, significant digits without trailing zeros, and the decimal exponent of the first digit.
fn split_number(text: &str) -> (&str, String, i32) {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let leading = all.len() - all.trim_start_matches('0').len();
    let digits = all.trim_matches('0');
    if digits.is_empty() {
        return (sign, "0".into(), 0);
    }
    let shift = i32::try_from(whole.len()).unwrap_or(0) - i32::try_from(leading).unwrap_or(0) - 1;
    (sign, digits.to_string(), exponent.parse::<i32>().unwrap_or(0) + shift)
}

/// `2020-01-01 00:00:00[.ffffff]`, in the zone where there is one.
pub(crate) fn timestamp_text(micros: i64, zone: Option<&Tz>) -> String {
    let Some(utc) = DateTime::from_timestamp_micros(micros) else { return micros.to_string() };
    let local = zone.map_or_else(|| utc.naive_utc(), |zone| zone.from_utc_datetime(&utc.naive_utc()).naive_local());
    format!("{} {}", date_text(&local), time_text(&local))
}

/// A year beyond 9999 has a sign, as in Java.
pub(crate) fn date_text(local: &NaiveDateTime) -> String {
    let (year, month, day) = (local.year(), local.month(), local.day());
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        10_000.. => format!("+{year}-{month:02}-{day:02}"),
        _ => format!("-{:04}-{month:02}-{day:02}", year.unsigned_abs()),
    }
}

/// `00:00:00`, with a fraction without trailing zeros.
fn time_text(local: &NaiveDateTime) -> String {
    let micros = local.nanosecond() / 1000;
    let text = format!("{:02}:{:02}:{:02}", local.hour(), local.minute(), local.second());
    if micros == 0 { text } else { format!("{text}.{}", format!("{micros:06}").trim_end_matches('0')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_java_writes_them() {
        for (value, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (123.456, "123.456"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (1.5e-4, "1.5E-4"),
            (0.001, "0.001"),
            (-0.0, "-0.0"),
            (1.234e20, "1.234E20"),
        ] {
            assert_eq!(double_text(value), expected);
        }
        assert_eq!(float_text(3.4e38), "3.4E38");
    }
}
