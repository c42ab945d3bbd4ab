//! Reads ANSI intervals: `1-2` or `INTERVAL '1-2' YEAR TO MONTH`, `1 02:03:04.5` or its literal form.
use std::sync::LazyLock;

use firesteel_plan::data_type::{DayTimeField, YearMonthField};
use firesteel_plan::{DataType, Result, SparkError};
use regex::Regex;

use crate::datetime::calendar::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::datetime::text::trim_all;

/// The quoted literal around a value: sign, then the value's text, then the fields.
static LITERAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?is)^INTERVAL\s+([+-])?'([^']*)'\s+(YEAR|MONTH|DAY|HOUR|MINUTE|SECOND)(?:\s+TO\s+(MONTH|HOUR|MINUTE|SECOND))?$").ok()
});

/// Sign (true: negative), and the value without it, if the text has the fields that are asked for.
fn split_sign(text: &str, start: &str, end: &str) -> Option<(bool, String)> {
    let text = trim_all(text);
    let (outer, value) = match LITERAL.as_ref().and_then(|r| r.captures(text)) {
        Some(parts) => {
            let named = |i: usize| parts.get(i).map(|m| m.as_str());
            let last = named(4).or(named(3))?;
            if !named(3)?.eq_ignore_ascii_case(start) || !last.eq_ignore_ascii_case(end) {
                return None;
            }
            (named(1) == Some("-"), named(2)?.to_string())
        }
        None => (false, text.to_string()),
    };
    match value.strip_prefix('-') {
        Some(rest) => Some((!outer, rest.to_string())),
        None => Some((outer, value.strip_prefix('+').unwrap_or(&value).to_string())),
    }
}

/// All digits, at most `most` of them.
fn digits(text: &str, most: usize) -> Option<i64> {
    let ok = !text.is_empty() && text.len() <= most && text.bytes().all(|b| b.is_ascii_digit());
    ok.then(|| text.parse().unwrap_or(i64::MAX))
}

fn unmatched(text: &str, kind: &str, target: &DataType, formats: &str, notice: bool) -> SparkError {
    let condition = if notice { "UNMATCHED_FORMAT_STRING_WITH_NOTICE" } else { "UNMATCHED_FORMAT_STRING" };
    SparkError::new(
        format!("INVALID_INTERVAL_FORMAT.{condition}"),
        [
            ("input", text.to_string()),
            ("intervalStr", kind.to_string()),
            ("supportedFormat", formats.to_string()),
            ("typeName", target.simple_string()),
        ],
    )
}

fn supported(pattern: &str, fields: &str) -> String {
    format!("`[+|-]{pattern}`, `INTERVAL [+|-]'[+|-]{pattern}' {fields}`")
}

/// Months. Errors with a sub-condition of `INVALID_INTERVAL_FORMAT`.
pub fn parse_year_month(text: &str, start: YearMonthField, end: YearMonthField) -> Result<i32> {
    let (first, last) = (start.to_string(), end.to_string());
    let refuse = || {
        let fields = if start == end { first.clone() } else { format!("{first} to {last}") }.to_uppercase();
        let pattern = match (start, end) {
            (YearMonthField::Year, YearMonthField::Month) => "y-m",
            (YearMonthField::Year, _) => "y",
            _ => "m",
        };
        let target = DataType::YearMonthInterval(start, end);
        unmatched(text, "year-month", &target, &supported(pattern, &fields), false)
    };
    let (negative, value) = split_sign(text, &first, &last).ok_or_else(refuse)?;
    let (years, months) = match (start, end) {
        (YearMonthField::Year, YearMonthField::Month) => {
            let (years, months) = value.split_once('-').ok_or_else(refuse)?;
            (digits(years, usize::MAX).ok_or_else(refuse)?, digits(months, usize::MAX).ok_or_else(refuse)?)
        }
        (YearMonthField::Year, _) => (digits(&value, usize::MAX).ok_or_else(refuse)?, 0),
        _ => (0, digits(&value, usize::MAX).ok_or_else(refuse)?),
    };
    let in_range = start == end || months <= 11;
    let total = years.checked_mul(12).and_then(|m| m.checked_add(months)).map(|m| if negative { -m } else { m });
    total.filter(|_| in_range).and_then(|m| i32::try_from(m).ok()).ok_or_else(|| {
        SparkError::new(
            "INVALID_INTERVAL_FORMAT.INTERVAL_PARSING",
            [("input", text.to_string()), ("interval", "year-month".to_string())],
        )
    })
}

const UNITS: [(DayTimeField, i64, i64, &str); 4] = [
    (DayTimeField::Day, MICROS_PER_DAY, 106_751_991, "d"),
    (DayTimeField::Hour, MICROS_PER_HOUR, 2_562_047_788, "h"),
    (DayTimeField::Minute, MICROS_PER_MINUTE, 153_722_867_280, "m"),
    (DayTimeField::Second, MICROS_PER_SECOND, 9_223_372_036_854, "s.n"),
];

fn day_time_pattern(start: DayTimeField, end: DayTimeField) -> String {
    let mut out = String::new();
    for (field, _, _, letter) in UNITS.iter().filter(|unit| (start..=end).contains(&unit.0)) {
        out.push_str(match field {
            field if *field == start => "",
            DayTimeField::Hour => " ",
            _ => ":",
        });
        out.push_str(letter);
    }
    out
}

/// Microseconds. Errors with a sub-condition of `INVALID_INTERVAL_FORMAT`.
pub fn parse_day_time(text: &str, start: DayTimeField, end: DayTimeField) -> Result<i64> {
    let (first, last) = (start.to_string(), end.to_string());
    let refuse = || {
        let fields = if start == end { first.clone() } else { format!("{first} to {last}") }.to_uppercase();
        let formats = supported(&day_time_pattern(start, end), &fields);
        unmatched(text, "day-time", &DataType::DayTimeInterval(start, end), &formats, true)
    };
    let (negative, value) = split_sign(text, &first, &last).ok_or_else(refuse)?;
    let (mut rest, mut total) = (value.as_str(), 0i128);
    for (field, unit, most, _) in UNITS.iter().filter(|unit| (start..=end).contains(&unit.0)) {
        let (part, after) = if *field == end {
            (rest, "")
        } else {
            rest.split_once(if *field == DayTimeField::Day { ' ' } else { ':' }).ok_or_else(refuse)?
        };
        rest = after;
        let (whole, fraction) = match part.split_once('.') {
            Some((whole, fraction)) if *field == DayTimeField::Second => (whole, fraction),
            Some(_) => return Err(refuse()),
            None => (part, "0"),
        };
        let leading = *field == start;
        let number = digits(whole, if leading { usize::MAX } else { 2 }).ok_or_else(refuse)?;
        let nanos = digits(fraction, 9).ok_or_else(refuse)? * 10i64.pow(9 - fraction.len().min(9) as u32);
        let limit = match field {
            _ if leading => *most,
            DayTimeField::Hour => 23,
            _ => 59,
        };
        if number > limit {
            let message = format!("requirement failed: {field} {number} outside range [0, {limit}]");
            return Err(SparkError::new(
                "INVALID_INTERVAL_FORMAT.DAY_TIME_PARSING",
                [("input", text.to_string()), ("msg", message)],
            ));
        }
        total += i128::from(number) * i128::from(*unit) + i128::from(nanos / 1000);
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| super::value::overflow())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ansi_intervals_are_read() {
        use DayTimeField::*;
        let ym = |text| parse_year_month(text, YearMonthField::Year, YearMonthField::Month);
        assert_eq!(ym(" -1-2 ").unwrap(), -14);
        assert_eq!(ym("interval -'-3-1' year  to month").unwrap(), 37);
        assert!(ym("1-12").unwrap_err().is("INVALID_INTERVAL_FORMAT"));
        assert!(ym("1").unwrap_err().is("INVALID_INTERVAL_FORMAT"));
        assert_eq!(parse_day_time("3 00:00:01", Day, Second).unwrap(), 3 * MICROS_PER_DAY + MICROS_PER_SECOND);
        assert_eq!(parse_day_time("INTERVAL '40:32.5' minute to second", Minute, Second).unwrap(), 2_432_500_000);
        assert_eq!(parse_day_time("-106751991 04:00:54.775808", Day, Second).unwrap(), i64::MIN);
        assert!(parse_day_time("15:40", Hour, Second).is_err());
    }
}
