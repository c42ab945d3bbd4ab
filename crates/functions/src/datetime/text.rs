//! Dates, timestamps and times as Spark's casts write and read them (no pattern is given).
//!
//! Read: `yyyy`, `yyyy-[m]m`, `yyyy-[m]m-[d]d`, then `T` or a blank, `[h]h:[m]m:[s]s[.ffffff][zone]`; blanks and control
//! characters around it do not count. Written: ISO with a blank, a sign where the year has more than four digits, and
//! the fraction without trailing zeros.
use std::fmt::Write;

use arrow::array::timezone::Tz;

use super::calendar::{
    self, NANOS_PER_DAY, NANOS_PER_SECOND, checked_days, checked_nanos, civil_from_days, join_micros, split_micros,
};
use super::zone::{Zone, parse_zone};

/// Without leading and trailing blanks and ISO control characters (Java's `trimAll`).
pub fn trim_all(text: &str) -> &str {
    text.trim_matches(|c: char| c <= ' ' || c == '\u{7f}')
}

/// Days since the epoch; `None` where Spark's cast gives NULL or fails.
pub fn parse_date(text: &str) -> Option<i32> {
    let bytes = trim_all(text).as_bytes();
    let (sign, bytes) = match bytes.first()? {
        b'-' => (-1, &bytes[1..]),
        b'+' => (1, &bytes[1..]),
        _ => (1, bytes),
    };
    let mut segments = [1i64, 1, 1];
    let (mut segment, mut digits, mut value, mut position) = (0, 0, 0i64, 0);
    let valid = |segment: usize, digits: usize| {
        if segment == 0 { (4..=7).contains(&digits) } else { (1..=2).contains(&digits) }
    };
    while position < bytes.len() && !matches!(bytes[position], b' ' | b'T') {
        match bytes[position] {
            b'-' if segment < 2 => {
                if !valid(segment, digits) {
                    return None;
                }
                segments[segment] = value;
                (segment, digits, value) = (segment + 1, 0, 0);
            }
            digit @ b'0'..=b'9' if digits < 8 => {
                value = value * 10 + i64::from(digit - b'0');
                digits += 1;
            }
            _ => return None,
        }
        position += 1;
    }
    // What follows a blank or T is ignored, but only after a whole date.
    if !valid(segment, digits) || (segment < 2 && position < bytes.len()) {
        return None;
    }
    segments[segment] = value;
    i32::try_from(checked_days(sign * segments[0], segments[1], segments[2])?).ok()
}

/// The parts of a timestamp's text. `date` is `None` where there is only a time.
struct TimestampParts<'a> {
    date: Option<[i64; 3]>,
    time: [i64; 4],
    zone: Option<&'a str>,
}

impl TimestampParts<'_> {
    fn nanos_of_day(&self) -> Option<i64> {
        checked_nanos(self.time[0], self.time[1], self.time[2], self.time[3] * 1000)
    }
}

/// Digits a segment may have: year, month, day, hour, minute, second, microseconds, and what follows the zone.
fn valid_digits(segment: usize, digits: usize) -> bool {
    match segment {
        0 => (4..=6).contains(&digits),
        6 => true,
        7 => digits <= 2,
        _ => (1..=2).contains(&digits),
    }
}

fn timestamp_parts(text: &str) -> Option<TimestampParts<'_>> {
    let text = trim_all(text);
    let bytes = text.as_bytes();
    let mut segments = [1i64, 1, 1, 0, 0, 0, 0, 0, 0];
    let (mut segment, mut digits, mut value, mut fraction_digits) = (0usize, 0usize, 0i64, 0usize);
    let (mut just_time, mut zone, mut sign) = (false, None, None);
    let mut position = 0;
    match bytes.first()? {
        b'-' => (sign, position) = (Some(-1), 1),
        b'+' => (sign, position) = (Some(1), 1),
        _ => {}
    }
    while position < bytes.len() {
        let byte = bytes[position];
        if byte.is_ascii_digit() {
            if segment == 6 {
                fraction_digits += 1;
            }
            // Digits after the sixth of the fraction are cut off.
            if segment != 6 || digits < 6 {
                value = value.saturating_mul(10).saturating_add(i64::from(byte - b'0'));
            }
            digits += 1;
            position += 1;
            continue;
        }
        let next = match (segment, byte) {
            (0, b'T') if position == 0 => {
                (just_time, segment, position) = (true, 3, 1);
                continue;
            }
            (0 | 1, b'-') => segment + 1,
            (0, b':') if sign.is_none() => {
                (just_time, segment) = (true, 3);
                4
            }
            (2, b' ' | b'T') => 3,
            (3 | 4, b':') => segment + 1,
            (5, b'.') => 6,
            (5 | 6, _) => {
                zone = Some(text.get(position..)?);
                7
            }
            _ => return None,
        };
        if !valid_digits(segment, digits) {
            return None;
        }
        segments[segment] = value;
        (segment, digits, value) = (next, 0, 0);
        position = if zone.is_some() { bytes.len() } else { position + 1 };
    }
    if !valid_digits(segment, digits) {
        return None;
    }
    segments[segment] = value;
    for _ in fraction_digits..6 {
        segments[6] *= 10;
    }
    let date = (!just_time).then(|| [sign.unwrap_or(1) * segments[0], segments[1], segments[2]]);
    Some(TimestampParts { date, time: [segments[3], segments[4], segments[5], segments[6]], zone })
}

/// Microseconds since the epoch. A text without a zone is in `zone`; one without a date is today.
pub fn parse_timestamp(text: &str, zone: &Tz) -> Option<i64> {
    let parts = timestamp_parts(text)?;
    let zone = match parts.zone {
        Some(id) => Zone::new(&parse_zone(id.trim())?),
        None => Zone::new(zone),
    };
    let days = match parts.date {
        Some([year, month, day]) => checked_days(year, month, day)?,
        None => split_micros(zone.to_local(now_micros())).0,
    };
    zone.to_utc(join_micros(days, parts.nanos_of_day()? / 1000)?)
}

/// Now, in microseconds since the epoch.
pub fn now_micros() -> i64 {
    chrono::Utc::now().timestamp_micros()
}

/// Wall-clock microseconds since 1970-01-01T00:00. A zone in the text is read and dropped.
pub fn parse_timestamp_ntz(text: &str) -> Option<i64> {
    parse_timestamp_ntz_with(text, true)
}

/// As [`parse_timestamp_ntz`]; `allow_zone`: whether a zone in the text is ignored, not an error.
pub fn parse_timestamp_ntz_with(text: &str, allow_zone: bool) -> Option<i64> {
    let parts = timestamp_parts(text)?;
    if let Some(id) = parts.zone
        && (!allow_zone || parse_zone(id.trim()).is_none())
    {
        return None;
    }
    let [year, month, day] = parts.date?;
    join_micros(checked_days(year, month, day)?, parts.nanos_of_day()? / 1000)
}

/// Nanoseconds since midnight, to the microsecond. `AM` and `PM` may follow.
pub fn parse_time(text: &str) -> Option<i64> {
    let text = trim_all(text);
    let half = text.len().checked_sub(2).and_then(|at| text.get(at..)).map(str::to_ascii_uppercase);
    let (clock, afternoon) = match half.as_deref() {
        Some("AM") => (text[..text.len() - 2].trim_end(), Some(false)),
        Some("PM") => (text[..text.len() - 2].trim_end(), Some(true)),
        _ => (text, None),
    };
    let mut parts = timestamp_parts(clock)?;
    if parts.date.is_some() || parts.zone.is_some() {
        return None;
    }
    if let Some(afternoon) = afternoon {
        if !(1..=12).contains(&parts.time[0]) {
            return None;
        }
        parts.time[0] = parts.time[0] % 12 + if afternoon { 12 } else { 0 };
    }
    parts.nanos_of_day()
}

/// Appends a number below 100 with two digits.
fn push_two(out: &mut String, value: u32) {
    out.push(char::from(b'0' + (value / 10 % 10) as u8));
    out.push(char::from(b'0' + (value % 10) as u8));
}

/// Appends a year as Spark prints it: four digits, and a sign beyond.
pub fn push_year(out: &mut String, year: i64) {
    let _ = match year {
        0..=9999 => {
            push_two(out, (year / 100) as u32);
            push_two(out, (year % 100) as u32);
            Ok(())
        }
        10_000.. => write!(out, "+{year}"),
        _ => write!(out, "-{:04}", year.unsigned_abs()),
    };
}

/// Appends a day number as `2020-01-31`.
pub fn push_date(out: &mut String, days: i64) {
    let date = civil_from_days(days);
    push_year(out, date.year);
    out.push('-');
    push_two(out, date.month);
    out.push('-');
    push_two(out, date.day);
}

/// Appends nanoseconds since midnight as `12:30:00.5`.
pub fn push_time(out: &mut String, nanos_of_day: i64) {
    let time = calendar::time_of_day(nanos_of_day.rem_euclid(NANOS_PER_DAY));
    push_two(out, time.hour);
    out.push(':');
    push_two(out, time.minute);
    out.push(':');
    push_two(out, time.second);
    if time.nano != 0 {
        let fraction = format!("{:09}", i64::from(time.nano) % NANOS_PER_SECOND);
        let _ = write!(out, ".{}", fraction.trim_end_matches('0'));
    }
}

/// Appends wall-clock microseconds as `2020-01-31 12:30:00.5`.
pub fn push_timestamp(out: &mut String, local_micros: i64) {
    let (days, micros_of_day) = split_micros(local_micros);
    push_date(out, days);
    out.push(' ');
    push_time(out, micros_of_day * 1000);
}

/// `2020-01-31`
pub fn format_date(days: i32) -> String {
    let mut out = String::with_capacity(10);
    push_date(&mut out, i64::from(days));
    out
}

/// The wall-clock time in `zone`: `2020-01-31 12:30:00.5`
pub fn format_timestamp(micros: i64, zone: &Tz) -> String {
    format_timestamp_ntz(Zone::new(zone).to_local(micros))
}

/// `2020-01-31 12:30:00.5`
pub fn format_timestamp_ntz(micros: i64) -> String {
    let mut out = String::with_capacity(26);
    push_timestamp(&mut out, micros);
    out
}

/// Nanoseconds since midnight as `12:30:00.5`.
pub fn format_time(nanos: i64) -> String {
    let mut out = String::with_capacity(15);
    push_time(&mut out, nanos);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc() -> Tz {
        "UTC".parse().unwrap()
    }

    #[test]
    fn dates_are_read_and_written() {
        for (text, expected) in [
            ("2020-1", Some("2020-01-01")),
            (" 2020-02-29T10:00 ", Some("2020-02-29")),
            ("-0044-03-15", Some("-0044-03-15")),
            ("+10000-01-01", Some("+10000-01-01")),
            ("2020-02-30", None),
            ("2020-1 x", None),
            ("20-01-01", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(parse_date(text).map(format_date).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn timestamps_are_read_and_written() {
        for (text, expected) in [
            ("2020", Some("2020-01-01 00:00:00")),
            ("2020-01-02 3:4:5.67", Some("2020-01-02 03:04:05.67")),
            ("2020-01-02T03:04:05.123456789Z", Some("2020-01-02 03:04:05.123456")),
            ("2020-01-02 03:04:05 America/Los_Angeles", Some("2020-01-02 11:04:05")),
            ("2020-01-02 03:04:05+8", Some("2020-01-01 19:04:05")),
            ("2020-01-02 03:04+08:00", None),
            ("2020-01-02 25:00:00", None),
        ] {
            let actual = parse_timestamp(text, &utc()).map(|t| format_timestamp(t, &utc()));
            assert_eq!(actual.as_deref(), expected, "{text}");
        }
        assert_eq!(parse_time("01:02:03.5 pm").map(format_time).as_deref(), Some("13:02:03.5"));
        assert_eq!(parse_time("2020-01-01 01:02:03"), None);
    }
}
