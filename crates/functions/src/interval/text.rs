//! Intervals as text. Written in ANSI, Hive, ISO 8601 and multi-unit style; ANSI intervals are read by `ansi.rs`,
//! multi-unit text (`1 year 2 days`) by `multi_units.rs`.
use std::fmt::Write;

use firesteel_plan::data_type::{DayTimeField, YearMonthField};

pub use super::ansi::{parse_day_time, parse_year_month};
pub use super::multi_units::parse_calendar;
use super::value::CalendarInterval;
use crate::datetime::calendar::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};

/// `INTERVAL '1-2' YEAR TO MONTH`, what `CAST(… AS STRING)` gives.
pub fn format_year_month(months: i32, start: YearMonthField, end: YearMonthField) -> String {
    let sign = if months < 0 { "-" } else { "" };
    let absolute = months.unsigned_abs();
    let value = match (start, end) {
        (YearMonthField::Year, YearMonthField::Year) => (absolute / 12).to_string(),
        (YearMonthField::Month, YearMonthField::Month) => absolute.to_string(),
        _ => format!("{}-{}", absolute / 12, absolute % 12),
    };
    format!("INTERVAL '{sign}{value}' {}", fields(start, end))
}

/// `1-2`, the form of Hive and of result tables.
pub fn format_year_month_hive(months: i32) -> String {
    let sign = if months < 0 { "-" } else { "" };
    format!("{sign}{}-{}", months.unsigned_abs() / 12, months.unsigned_abs() % 12)
}

fn fields<T: std::fmt::Display + PartialEq>(start: T, end: T) -> String {
    let text = if start == end { start.to_string() } else { format!("{start} to {end}") };
    text.to_uppercase()
}

/// Seconds with at least two digits before the point, and no trailing zeros after it.
fn push_seconds(out: &mut String, micros: u64) {
    let _ = write!(out, "{:02}", micros / MICROS_PER_SECOND as u64);
    push_fraction(out, micros);
}

fn push_fraction(out: &mut String, micros: u64) {
    let fraction = micros % MICROS_PER_SECOND as u64;
    if fraction != 0 {
        let digits = format!("{fraction:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// `INTERVAL '1 02:03:04.5' DAY TO SECOND`, what `CAST(… AS STRING)` gives.
pub fn format_day_time(micros: i64, start: DayTimeField, end: DayTimeField) -> String {
    let mut out = String::from("INTERVAL '");
    if micros < 0 {
        out.push('-');
    }
    let mut rest = micros.unsigned_abs();
    let units = [
        (DayTimeField::Day, MICROS_PER_DAY as u64),
        (DayTimeField::Hour, MICROS_PER_HOUR as u64),
        (DayTimeField::Minute, MICROS_PER_MINUTE as u64),
    ];
    let separator = |field: DayTimeField| match field {
        _ if field == start => "",
        DayTimeField::Hour => " ",
        _ => ":",
    };
    for (field, unit) in units.into_iter().filter(|(field, _)| (start..=end).contains(field)) {
        out.push_str(separator(field));
        let _ = match field {
            DayTimeField::Day => write!(out, "{}", rest / unit),
            _ => write!(out, "{:02}", rest / unit),
        };
        rest %= unit;
    }
    if end == DayTimeField::Second {
        out.push_str(separator(DayTimeField::Second));
        push_seconds(&mut out, rest);
    }
    let _ = write!(out, "' {}", fields(start, end));
    out
}

/// `1 02:03:04.500000000`, the form of Hive and of result tables.
pub fn format_day_time_hive(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let rest = micros.unsigned_abs();
    let seconds = rest / MICROS_PER_SECOND as u64;
    format!(
        "{sign}{} {:02}:{:02}:{:02}.{:09}",
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        rest % MICROS_PER_SECOND as u64 * 1000
    )
}

/// Hours, minutes and microseconds of the rest, each with the sign of the whole.
fn time_parts(micros: i64) -> (i64, i64, i64) {
    (micros / MICROS_PER_HOUR, micros % MICROS_PER_HOUR / MICROS_PER_MINUTE, micros % MICROS_PER_MINUTE)
}

fn decimal_seconds(micros: i64) -> String {
    let mut out = String::new();
    let _ = write!(out, "{}{}", if micros < 0 { "-" } else { "" }, micros.unsigned_abs() / MICROS_PER_SECOND as u64);
    push_fraction(&mut out, micros.unsigned_abs());
    out
}

/// `1 years 2 months 3 days 4 hours 5 minutes 6.5 seconds`, what `CAST(… AS STRING)` gives.
pub fn format_calendar(interval: CalendarInterval) -> String {
    let (hours, minutes, rest) = time_parts(interval.microseconds);
    let units = [
        (i64::from(interval.months / 12), "years"),
        (i64::from(interval.months % 12), "months"),
        (i64::from(interval.days), "days"),
        (hours, "hours"),
        (minutes, "minutes"),
    ];
    let mut parts: Vec<String> =
        units.iter().filter(|(value, _)| *value != 0).map(|(value, unit)| format!("{value} {unit}")).collect();
    if rest != 0 {
        parts.push(format!("{} seconds", decimal_seconds(rest)));
    }
    if parts.is_empty() { "0 seconds".into() } else { parts.join(" ") }
}

/// `P1Y2M3DT4H5M6.5S`
pub fn format_calendar_iso(interval: CalendarInterval) -> String {
    let (hours, minutes, rest) = time_parts(interval.microseconds);
    let mut out = String::from("P");
    let push = |out: &mut String, value: i64, unit: char| {
        if value != 0 {
            let _ = write!(out, "{value}{unit}");
        }
    };
    push(&mut out, i64::from(interval.months / 12), 'Y');
    push(&mut out, i64::from(interval.months % 12), 'M');
    push(&mut out, i64::from(interval.days), 'D');
    if interval.microseconds != 0 {
        out.push('T');
        push(&mut out, hours, 'H');
        push(&mut out, minutes, 'M');
        if rest != 0 {
            let _ = write!(out, "{}S", decimal_seconds(rest));
        }
    }
    if out.len() == 1 { "PT0S".into() } else { out }
}

/// `+1-2 +3 +4:05:06.5`
pub fn format_calendar_sql_standard(interval: CalendarInterval) -> String {
    let sign = |negative: bool| if negative { '-' } else { '+' };
    let mut parts = vec![];
    if interval.months != 0 {
        let months = interval.months.unsigned_abs();
        parts.push(format!("{}{}-{}", sign(interval.months < 0), months / 12, months % 12));
    }
    if interval.days != 0 {
        parts.push(format!("{}{}", sign(interval.days < 0), interval.days.unsigned_abs()));
    }
    if interval.microseconds != 0 {
        let (hours, minutes, rest) = time_parts(interval.microseconds);
        let mut text =
            format!("{}{}:{:02}:", sign(interval.microseconds < 0), hours.unsigned_abs(), minutes.unsigned_abs());
        push_seconds(&mut text, rest.unsigned_abs());
        parts.push(text);
    }
    if parts.is_empty() { "0".into() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_written_as_spark_does() {
        use DayTimeField::*;
        assert_eq!(
            format_year_month(-14, YearMonthField::Year, YearMonthField::Month),
            "INTERVAL '-1-2' YEAR TO MONTH"
        );
        assert_eq!(format_day_time(2_000_000, Second, Second), "INTERVAL '02' SECOND");
        assert_eq!(format_day_time(-93_784_500_000, Day, Second), "INTERVAL '-1 02:03:04.5' DAY TO SECOND");
        assert_eq!(format_day_time(i64::MIN, Day, Second), "INTERVAL '-106751991 04:00:54.775808' DAY TO SECOND");
        assert_eq!(format_calendar(CalendarInterval::new(14, 0, -1_500_000)), "1 years 2 months -1.5 seconds");
        assert_eq!(format_calendar_iso(CalendarInterval::default()), "PT0S");
    }
}
