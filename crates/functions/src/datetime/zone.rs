//! Time zones: the ids that Spark takes, offsets at an instant, and wall-clock time to instant as `java.time` does it.
use arrow::array::timezone::Tz;
use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};

use super::calendar::{MICROS_PER_SECOND, SECONDS_PER_DAY, civil_from_days, days_from_civil, is_leap, iso_day_of_week};

/// Java's `ZoneId.SHORT_IDS`.
const SHORT_IDS: &[(&str, &str)] = &[
    ("ACT", "Australia/Darwin"),
    ("AET", "Australia/Sydney"),
    ("AGT", "America/Argentina/Buenos_Aires"),
    ("ART", "Africa/Cairo"),
    ("AST", "America/Anchorage"),
    ("BET", "America/Sao_Paulo"),
    ("BST", "Asia/Dhaka"),
    ("CAT", "Africa/Harare"),
    ("CNT", "America/St_Johns"),
    ("CST", "America/Chicago"),
    ("CTT", "Asia/Shanghai"),
    ("EAT", "Africa/Addis_Ababa"),
    ("ECT", "Europe/Paris"),
    ("EST", "-05:00"),
    ("HST", "-10:00"),
    ("IET", "America/Indiana/Indianapolis"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("MIT", "Pacific/Apia"),
    ("MST", "-07:00"),
    ("NET", "Asia/Yerevan"),
    ("NST", "Pacific/Auckland"),
    ("PLT", "Asia/Karachi"),
    ("PNT", "America/Phoenix"),
    ("PRT", "America/Puerto_Rico"),
    ("PST", "America/Los_Angeles"),
    ("SST", "Pacific/Guadalcanal"),
    ("VST", "Asia/Ho_Chi_Minh"),
];

/// Largest offset that Java knows, in seconds.
const MAX_OFFSET_SECONDS: i64 = 18 * 3600;

/// The zone of an id as Spark reads it: a region, a short id, `Z`, an offset (`+8`, `+08:00`, `-0830`), or one after
/// `UTC`, `GMT` or `UT`. Case matters, as in Java.
pub fn parse_zone(id: &str) -> Option<Tz> {
    let id = pad_offset(id);
    if let Some((_, long)) = SHORT_IDS.iter().find(|(short, _)| *short == id) {
        return long.parse().ok();
    }
    if id == "Z" {
        return "+00:00".parse().ok();
    }
    if id.starts_with(['+', '-']) {
        return offset_zone(parse_offset(&id)?);
    }
    for prefix in ["UTC", "GMT", "UT"] {
        match id.strip_prefix(prefix) {
            Some("") => return "UTC".parse().ok(),
            Some(rest) if rest.starts_with(['+', '-']) => return offset_zone(parse_offset(rest)?),
            _ => {}
        }
    }
    // A chrono region also parses from a few spellings that Java refuses; their names tell them apart.
    id.parse::<chrono_tz::Tz>().ok().filter(|zone| zone.name() == id).and_then(|zone| zone.name().parse().ok())
}

/// `+8:30` as `+08:30` and `+08:3` as `+08:03`.
fn pad_offset(id: &str) -> String {
    let mut text = id.to_string();
    let Some(sign) = text.find(['+', '-']) else { return text };
    let digits = |t: &str| t.bytes().take_while(u8::is_ascii_digit).count();
    if digits(&text[sign + 1..]) == 1 && text.as_bytes().get(sign + 2) == Some(&b':') {
        text.insert(sign + 1, '0');
    }
    if digits(&text[sign + 1..]) == 2
        && text.as_bytes().get(sign + 3) == Some(&b':')
        && text.len() == sign + 5
        && text.as_bytes()[sign + 4].is_ascii_digit()
    {
        text.insert(sign + 4, '0');
    }
    text
}

/// Seconds of `±h`, `±hh`, `±hh:mm`, `±hhmm`, `±hh:mm:ss`, `±hhmmss`.
fn parse_offset(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let rest = text.get(1..)?;
    let number = |t: &str| (t.len() <= 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i64>().ok())?;
    let parts: Vec<i64> = if rest.contains(':') {
        let parts: Vec<&str> = rest.split(':').collect();
        if parts.len() > 3 || parts.iter().any(|p| p.len() != 2) {
            return None;
        }
        parts.into_iter().map(number).collect::<Option<_>>()?
    } else {
        match rest.len() {
            1 | 2 => vec![number(rest)?],
            4 | 6 => (0..rest.len() / 2).map(|i| rest.get(2 * i..2 * i + 2).and_then(number)).collect::<Option<_>>()?,
            _ => return None,
        }
    };
    let at = |i: usize| parts.get(i).copied().unwrap_or(0);
    let seconds = at(0) * 3600 + at(1) * 60 + at(2);
    (at(1) < 60 && at(2) < 60 && seconds <= MAX_OFFSET_SECONDS).then_some(if negative { -seconds } else { seconds })
}

fn offset_zone(seconds: i64) -> Option<Tz> {
    offset_text(seconds as i32).get(..6)?.parse().ok()
}

/// `+08:00`, with seconds where there are some.
pub fn offset_text(seconds: i32) -> String {
    let (sign, s) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
    let text = format!("{sign}{:02}:{:02}", s / 3600, s / 60 % 60);
    if s % 60 == 0 { text } else { format!("{text}:{:02}", s % 60) }
}

/// A zone that answers offsets, with a fast path where the offset never changes.
#[derive(Debug, Clone, Copy)]
pub struct Zone {
    tz: Tz,
    fixed_seconds: Option<i32>,
}

impl Zone {
    pub fn new(tz: &Tz) -> Self {
        let name = tz.to_string();
        let constant = name.starts_with(['+', '-']) || ["UTC", "GMT", "Etc/UTC", "Zulu"].contains(&name.as_str());
        let fixed_seconds = constant.then(|| offset_of_utc_seconds(tz, 0));
        Self { tz: *tz, fixed_seconds }
    }

    pub fn tz(&self) -> &Tz {
        &self.tz
    }

    /// Whether every instant has the same offset.
    pub fn is_fixed(&self) -> bool {
        self.fixed_seconds.is_some()
    }

    /// Offset from UTC in seconds at an instant.
    pub fn offset_seconds(&self, micros: i64) -> i32 {
        match self.fixed_seconds {
            Some(seconds) => seconds,
            None => offset_of_utc_seconds(&self.tz, micros.div_euclid(MICROS_PER_SECOND)),
        }
    }

    /// Wall-clock microseconds at an instant (saturating at the edges of 64 bits).
    pub fn to_local(&self, micros: i64) -> i64 {
        micros.saturating_add(i64::from(self.offset_seconds(micros)) * MICROS_PER_SECOND)
    }

    /// The instant of a wall-clock time. In a gap: as far after it as the time is inside it; in an overlap: the
    /// earlier instant. `None` beyond 64 bits.
    pub fn to_utc(&self, local: i64) -> Option<i64> {
        let seconds = match self.fixed_seconds {
            Some(seconds) => seconds,
            None => offset_of_local_seconds(&self.tz, local.div_euclid(MICROS_PER_SECOND)),
        };
        local.checked_sub(i64::from(seconds) * MICROS_PER_SECOND)
    }

    /// The two offsets where the wall-clock time happens twice: the earlier instant's first.
    pub fn overlap(&self, local: i64) -> Option<(i32, i32)> {
        let at = naive(local.div_euclid(MICROS_PER_SECOND))?;
        match self.tz.offset_from_local_datetime(&at) {
            LocalResult::Ambiguous(a, b) => {
                let (a, b) = (a.fix().local_minus_utc(), b.fix().local_minus_utc());
                Some((a.max(b), a.min(b)))
            }
            _ => None,
        }
    }
}

fn naive(seconds: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(seconds, 0).map(|t| t.naive_utc())
}

/// The last year whose transitions the zone database lists; later years repeat the rules.
const LAST_LISTED_YEAR: i64 = 2036;

/// A second in a year that has the same calendar and that the zone database lists, for the far future.
fn listed(seconds: i64) -> i64 {
    if seconds < 2_082_758_400 {
        return seconds;
    }
    let days = seconds.div_euclid(SECONDS_PER_DAY);
    let year = civil_from_days(days).year;
    if year <= LAST_LISTED_YEAR {
        return seconds;
    }
    let first = days_from_civil(year, 1, 1);
    let same =
        |y: i64| is_leap(y) == is_leap(year) && iso_day_of_week(days_from_civil(y, 1, 1)) == iso_day_of_week(first);
    let twin = (LAST_LISTED_YEAR - 27..=LAST_LISTED_YEAR).rev().find(|y| same(*y)).unwrap_or(LAST_LISTED_YEAR);
    seconds - (first - days_from_civil(twin, 1, 1)) * SECONDS_PER_DAY
}

fn offset_of_utc_seconds(tz: &Tz, seconds: i64) -> i32 {
    match naive(listed(seconds).max(-8_000_000_000_000)) {
        Some(at) => tz.offset_from_utc_datetime(&at).fix().local_minus_utc(),
        None => 0,
    }
}

fn offset_of_local_seconds(tz: &Tz, seconds: i64) -> i32 {
    let seconds = listed(seconds).max(-8_000_000_000_000);
    let Some(at) = naive(seconds) else { return 0 };
    match tz.offset_from_local_datetime(&at) {
        LocalResult::Single(offset) => offset.fix().local_minus_utc(),
        LocalResult::Ambiguous(a, b) => a.fix().local_minus_utc().max(b.fix().local_minus_utc()),
        LocalResult::None => {
            // A gap: the offset before it is the smaller of the two around it.
            let guess = offset_of_utc_seconds(tz, seconds);
            guess
                .min(offset_of_utc_seconds(tz, seconds - i64::from(guess)))
                .min(offset_of_utc_seconds(tz, seconds - SECONDS_PER_DAY))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datetime::calendar::{MICROS_PER_DAY, MICROS_PER_HOUR};

    #[test]
    fn ids_are_read_as_spark_does() {
        for (id, expected) in [("+8", "+08:00"), ("UTC-7:3", "-07:03"), ("GMT+0130", "+01:30"), ("Z", "+00:00")] {
            assert_eq!(parse_zone(id).unwrap().to_string(), expected, "{id}");
        }
        for id in ["+19:00", "Mars/Phobos", "utc", "+8:600", ""] {
            assert!(parse_zone(id).is_none(), "{id}");
        }
    }

    #[test]
    fn gaps_move_forward_and_overlaps_take_the_earlier_instant() {
        let zone = Zone::new(&parse_zone("America/Los_Angeles").unwrap());
        let local = |y, m, d, h: i64| days_from_civil(y, m, d) * MICROS_PER_DAY + h * MICROS_PER_HOUR;
        assert_eq!(zone.to_utc(local(2021, 3, 14, 2)), Some(local(2021, 3, 14, 10)));
        assert_eq!(zone.to_utc(local(2021, 11, 7, 1)), Some(local(2021, 11, 7, 8)));
        assert_eq!(zone.to_local(local(2150, 7, 1, 7)), local(2150, 7, 1, 0));
    }
}
