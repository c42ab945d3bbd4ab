//! The text of DATE, TIME and TIMESTAMP literals, by Spark's rules for casts from strings.
use chrono::{DateTime, Days, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use firesteel_plan::Literal;

use crate::options::ParseOptions;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Precision of a TIME literal.
const TIME_PRECISION: u8 = 6;

/// A time zone: an offset in seconds or a region.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Zone {
    Offset(i32),
    Region(Tz),
}

struct Parts {
    /// days since the epoch
    date: Option<i32>,
    /// since midnight
    microseconds: i64,
    zone: Option<Zone>,
}

pub(crate) fn parse_date(text: &str, options: &ParseOptions) -> Option<Literal> {
    let trimmed = text.trim();
    if let Some(days) = special_days(trimmed, options) {
        return Some(Literal::Date(days));
    }
    let (date, rest) = take_date(trimmed)?;
    // What follows a blank or T is ignored, but only after a whole date.
    let read = &trimmed[..trimmed.len() - rest.len()];
    let is_whole = read.trim_start_matches(['+', '-']).matches('-').count() == 2;
    let ends = rest.is_empty() || is_whole && rest.starts_with([' ', 'T']);
    ends.then_some(Literal::Date(date))
}

/// What TIMESTAMP '…' means: of the session's type; a zone in the text makes it a TIMESTAMP_LTZ.
pub(crate) fn parse_timestamp_literal(text: &str, options: &ParseOptions) -> Option<Literal> {
    if !options.timestamp_ntz {
        return parse_timestamp(text, options);
    }
    match parse_timestamp_ntz(text, options) {
        Some(value) if timestamp_parts(text.trim()).is_none_or(|parts| parts.zone.is_none()) => Some(value),
        _ => parse_timestamp(text, options),
    }
}

pub(crate) fn parse_timestamp(text: &str, options: &ParseOptions) -> Option<Literal> {
    let trimmed = text.trim();
    let session = zone_of(&options.session_time_zone);
    if let Some(micros) = special_instant(trimmed, options) {
        return Some(Literal::Timestamp(micros));
    }
    let parts = timestamp_parts(trimmed)?;
    let zone = parts.zone.or(session).unwrap_or(Zone::Offset(0));
    let date = parts.date.unwrap_or_else(|| today(options));
    to_utc(date, parts.microseconds, zone).map(Literal::Timestamp)
}

pub(crate) fn parse_timestamp_ntz(text: &str, options: &ParseOptions) -> Option<Literal> {
    let trimmed = text.trim();
    if let Some(micros) = special_local(trimmed, options) {
        return Some(Literal::TimestampNtz(micros));
    }
    let parts = timestamp_parts(trimmed)?;
    let days = i64::from(parts.date?);
    days.checked_mul(MICROS_PER_DAY)?.checked_add(parts.microseconds).map(Literal::TimestampNtz)
}

/// `12:34:56.789`, also `12:34` and with AM or PM
pub(crate) fn parse_time(text: &str) -> Option<Literal> {
    let trimmed = text.trim();
    let upper = trimmed.to_ascii_uppercase();
    let half = upper.strip_suffix("AM").map(|t| (t, false)).or_else(|| upper.strip_suffix("PM").map(|t| (t, true)));
    let body = half.map_or(trimmed, |(time, _)| trimmed[..time.len()].trim_end());
    let (mut micros, rest) = take_time(body)?;
    if !rest.is_empty() || !body.contains(':') {
        return None;
    }
    if let Some((_, is_afternoon)) = half {
        const HOUR: i64 = 3600 * MICROS_PER_SECOND;
        let hour = micros / HOUR;
        if !(1..=12).contains(&hour) {
            return None;
        }
        micros = micros - hour * HOUR + (hour % 12 + if is_afternoon { 12 } else { 0 }) * HOUR;
    }
    Some(Literal::Time(micros * 1000, TIME_PRECISION))
}

/// Days since the epoch of a date of the proleptic Gregorian calendar; nothing where there is no such date.
fn epoch_day(year: i64, month: i64, day: i64) -> Option<i32> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=12).contains(&month) || !(1..=month_length).contains(&day) {
        return None;
    }
    // counted from 1 March of year 0, so that the leap day ends the year
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    i32::try_from(era * 146_097 + day_of_era - 719_468).ok()
}

/// `[+-]y…y[-m[-d]]` and the rest
fn take_date(text: &str) -> Option<(i32, &str)> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (year, after) = take_digits(rest, 4, 7)?;
    rest = after;
    let (mut month, mut day) = (1, 1);
    if let Some(after) = rest.strip_prefix('-') {
        (month, rest) = take_digits(after, 1, 2)?;
        if let Some(after) = rest.strip_prefix('-') {
            (day, rest) = take_digits(after, 1, 2)?;
        }
    }
    Some((epoch_day(sign * year, month, day)?, rest))
}

fn take_digits(text: &str, at_least: usize, at_most: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(at_least..=at_most).contains(&count) {
        return None;
    }
    Some((text[..count].parse().ok()?, &text[count..]))
}

/// `h[:m[:s[.f]]]` as microseconds, and the rest
fn take_time(text: &str) -> Option<(i64, &str)> {
    let (hour, mut rest) = take_digits(text, 1, 2)?;
    let (mut minute, mut second, mut micros) = (0, 0, 0);
    if let Some(after) = rest.strip_prefix(':') {
        (minute, rest) = take_digits(after, 1, 2)?;
        if let Some(after) = rest.strip_prefix(':') {
            (second, rest) = take_digits(after, 1, 2)?;
            if let Some(after) = rest.strip_prefix('.') {
                let count = after.bytes().take_while(u8::is_ascii_digit).count();
                micros = format!("{:0<6.6}", &after[..count]).parse().ok()?;
                rest = &after[count..];
            }
        }
    }
    let is_valid = hour < 24 && minute < 60 && second < 60;
    is_valid.then_some((((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros, rest))
}

/// A date with an optional time and zone, or a time alone (with a colon or a leading `T`).
fn timestamp_parts(text: &str) -> Option<Parts> {
    let (date, rest) = match take_date(text) {
        Some((date, "")) => return Some(Parts { date: Some(date), microseconds: 0, zone: None }),
        Some((date, rest)) => (Some(date), rest.strip_prefix([' ', 'T'])?),
        None => {
            let time = text.strip_prefix('T').unwrap_or(text);
            (None, (time.len() < text.len() || text.contains(':')).then_some(time)?)
        }
    };
    if date.is_some() && rest.is_empty() {
        return Some(Parts { date, microseconds: 0, zone: None });
    }
    let (microseconds, rest) = take_time(rest)?;
    let zone = match rest.trim() {
        "" => None,
        zone => Some(zone_of(zone)?),
    };
    Some(Parts { date, microseconds, zone })
}

/// `Z`, `+h[h][:mm[:ss]]`, `+hhmm`, `UTC+1`, a region
fn zone_of(text: &str) -> Option<Zone> {
    let upper = text.to_ascii_uppercase();
    if matches!(upper.as_str(), "Z" | "UTC" | "GMT" | "UT") {
        return Some(Zone::Offset(0));
    }
    for prefix in ["UTC", "GMT", "UT", ""] {
        if let Some(offset) = upper.strip_prefix(prefix).filter(|rest| rest.starts_with(['+', '-'])) {
            return zone_offset(offset).map(Zone::Offset);
        }
    }
    let found = text.parse::<Tz>().ok();
    found
        .or_else(|| chrono_tz::TZ_VARIANTS.iter().find(|tz| tz.name().eq_ignore_ascii_case(text)).copied())
        .map(Zone::Region)
}

fn zone_offset(text: &str) -> Option<i32> {
    const MAX_OFFSET_SECONDS: i64 = 18 * 3600;
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let body = text.get(1..)?;
    let (hours, minutes, seconds) = if body.contains(':') {
        let mut parts = body.split(':').map(|part| take_digits(part, 1, 2).filter(|(_, rest)| rest.is_empty()));
        let hours = parts.next()??.0;
        let minutes = parts.next()??.0;
        let seconds = match parts.next() {
            Some(part) => part?.0,
            None => 0,
        };
        (hours, minutes, seconds)
    } else {
        let number = |range: std::ops::Range<usize>| body.get(range).map_or(Some(0), |part| part.parse::<i64>().ok());
        match body.len() {
            1 | 2 => (body.parse().ok()?, 0, 0),
            4 | 6 => (number(0..2)?, number(2..4)?, number(4..6)?),
            _ => return None,
        }
    };
    let total = hours * 3600 + minutes * 60 + seconds;
    let is_valid = minutes < 60 && seconds < 60 && total <= MAX_OFFSET_SECONDS;
    is_valid.then(|| i32::try_from(total).unwrap_or(0) * sign)
}

/// Local time to microseconds since the epoch in UTC. A local time that a jump of the clock skips moves on by the jump;
/// of two candidates the earlier instant is meant, as in `java.time`.
fn to_utc(days: i32, microseconds: i64, zone: Zone) -> Option<i64> {
    let local = i64::from(days).checked_mul(MICROS_PER_DAY)?.checked_add(microseconds)?;
    let offset = match zone {
        Zone::Offset(seconds) => seconds,
        Zone::Region(tz) => {
            let time = DateTime::from_timestamp(local.div_euclid(MICROS_PER_SECOND), 0)?.naive_utc();
            match tz.offset_from_local_datetime(&time).earliest() {
                Some(offset) => offset.fix().local_minus_utc(),
                None => {
                    let before = time.checked_sub_days(Days::new(1))?;
                    tz.offset_from_local_datetime(&before).earliest()?.fix().local_minus_utc()
                }
            }
        }
    };
    local.checked_sub(i64::from(offset) * MICROS_PER_SECOND)
}

fn now_local(options: &ParseOptions) -> DateTime<Utc> {
    let now = Utc::now();
    let offset = match zone_of(&options.session_time_zone) {
        Some(Zone::Offset(seconds)) => seconds,
        Some(Zone::Region(tz)) => tz.offset_from_utc_datetime(&now.naive_utc()).fix().local_minus_utc(),
        None => 0,
    };
    now + chrono::Duration::seconds(i64::from(offset))
}

fn today(options: &ParseOptions) -> i32 {
    let days = now_local(options).timestamp_micros().div_euclid(MICROS_PER_DAY);
    i32::try_from(days).unwrap_or(i32::MAX)
}

/// `epoch`, `today`, `tomorrow`, `yesterday`, `now` as days
fn special_days(text: &str, options: &ParseOptions) -> Option<i32> {
    match text.to_ascii_lowercase().as_str() {
        "epoch" => Some(0),
        "now" | "today" => Some(today(options)),
        "tomorrow" => Some(today(options) + 1),
        "yesterday" => Some(today(options) - 1),
        _ => None,
    }
}

fn special_local(text: &str, options: &ParseOptions) -> Option<i64> {
    if text.eq_ignore_ascii_case("now") {
        return Some(now_local(options).timestamp_micros());
    }
    special_days(text, options).map(|days| i64::from(days) * MICROS_PER_DAY)
}

/// A special word, perhaps with a zone after it: `tomorrow Europe/Paris`
fn special_instant(text: &str, options: &ParseOptions) -> Option<i64> {
    let (word, zone) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let zone = if zone.is_empty() { options.session_time_zone.clone() } else { zone.trim().to_string() };
    let days = special_days(word, options)?;
    let zone = zone_of(&zone)?;
    match word.to_ascii_lowercase().as_str() {
        "now" => Some(Utc::now().timestamp_micros()),
        "epoch" => Some(0),
        _ => to_utc(days, 0, zone),
    }
}
