//! Writes a moment by the items of a pattern. Errors carry Java's message.
use chrono::TimeZone;
use chrono_tz::OffsetName;

use super::{Field, Item, Sign, names};
use crate::datetime::calendar::{self, civil_from_days, day_of_year, iso_day_of_week, time_of_day};
use crate::datetime::zone::{Zone, offset_text};

/// A wall-clock date and time, and where the clock hangs.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    pub days: i64,
    pub nanos_of_day: i64,
    /// Zone, its id as the session has it, and the instant in microseconds; `None` for a time without a zone
    pub zone: Option<(&'a Zone, &'a str, i64)>,
    /// Whether there is a date, and a time
    pub has_date: bool,
    pub has_time: bool,
}

impl Moment<'_> {
    fn offset(&self) -> Result<i32, String> {
        match self.zone {
            Some((zone, _, micros)) => Ok(zone.offset_seconds(micros)),
            None => Err("Unsupported field: OffsetSeconds".into()),
        }
    }

    fn value(&self, field: Field) -> Result<i64, String> {
        let is_time = matches!(
            field,
            Field::AmPm
                | Field::HourOfDay
                | Field::ClockHourOfDay
                | Field::HourOfAmPm
                | Field::ClockHourOfAmPm
                | Field::Minute
                | Field::Second
                | Field::Nano
                | Field::Milli
        );
        if if is_time { !self.has_time } else { !self.has_date } {
            return Err(format!("Unsupported field: {}", java_name(field)));
        }
        if is_time { Ok(self.time(field)) } else { Ok(self.date(field)) }
    }

    fn date(&self, field: Field) -> i64 {
        let date = civil_from_days(self.days);
        match field {
            Field::Era => i64::from(date.year > 0),
            Field::Year => date.year,
            Field::YearOfEra => {
                if date.year > 0 {
                    date.year
                } else {
                    1 - date.year
                }
            }
            Field::Quarter => i64::from((date.month - 1) / 3 + 1),
            Field::Month => i64::from(date.month),
            Field::DayOfMonth => i64::from(date.day),
            Field::DayOfYear => i64::from(day_of_year(self.days)),
            Field::DayOfWeek => i64::from(iso_day_of_week(self.days)),
            Field::AlignedDay => i64::from((date.day - 1) % 7 + 1),
            _ => 0,
        }
    }

    fn time(&self, field: Field) -> i64 {
        let time = time_of_day(self.nanos_of_day);
        let hour = i64::from(time.hour);
        match field {
            Field::AmPm => hour / 12,
            Field::HourOfDay => hour,
            Field::ClockHourOfDay => {
                if hour == 0 {
                    24
                } else {
                    hour
                }
            }
            Field::HourOfAmPm => hour % 12,
            Field::ClockHourOfAmPm => {
                if hour % 12 == 0 {
                    12
                } else {
                    hour % 12
                }
            }
            Field::Minute => i64::from(time.minute),
            Field::Second => i64::from(time.second),
            Field::Nano => i64::from(time.nano),
            Field::Milli => i64::from(time.nano / 1_000_000),
            _ => 0,
        }
    }
}

/// Java's name of a field, for messages.
pub fn java_name(field: Field) -> &'static str {
    match field {
        Field::Era => "Era",
        Field::Year => "Year",
        Field::YearOfEra => "YearOfEra",
        Field::Quarter => "QuarterOfYear",
        Field::Month => "MonthOfYear",
        Field::DayOfMonth => "DayOfMonth",
        Field::DayOfYear => "DayOfYear",
        Field::DayOfWeek => "DayOfWeek",
        Field::AlignedDay => "AlignedDayOfWeekInMonth",
        Field::AmPm => "AmPmOfDay",
        Field::HourOfDay => "HourOfDay",
        Field::ClockHourOfDay => "ClockHourOfDay",
        Field::HourOfAmPm => "HourOfAmPm",
        Field::ClockHourOfAmPm => "ClockHourOfAmPm",
        Field::Minute => "MinuteOfHour",
        Field::Second => "SecondOfMinute",
        Field::Nano => "NanoOfSecond",
        Field::Milli => "MilliOfSecond",
    }
}

pub fn items(items: &[Item], moment: &Moment<'_>, out: &mut String) -> Result<(), String> {
    for item in items {
        one(item, moment, out)?;
    }
    Ok(())
}

fn one(item: &Item, moment: &Moment<'_>, out: &mut String) -> Result<(), String> {
    match item {
        Item::Literal(text) => out.push_str(text),
        Item::Number { field, min, max, sign, .. } => {
            let value = moment.value(*field)?;
            let digits = value.unsigned_abs().to_string();
            if digits.len() > *max {
                return Err(format!(
                    "Field {} cannot be printed as the value {value} exceeds the maximum print width of {max}",
                    java_name(*field)
                ));
            }
            match sign {
                _ if value < 0 => out.push('-'),
                Sign::ExceedsPad if digits.len() > *min && *min < 19 => out.push('+'),
                _ => {}
            }
            out.extend(std::iter::repeat_n('0', min.saturating_sub(digits.len())));
            out.push_str(&digits);
        }
        Item::TwoDigitYear { field, .. } => {
            out.push_str(&format!("{:02}", moment.value(*field)?.unsigned_abs() % 100));
        }
        Item::Text { field, full } => out.push_str(&name(*field, moment.value(*field)?, *full)),
        Item::Fraction { max, .. } => {
            let nanos = format!("{:09}", moment.value(Field::Nano)?);
            out.push_str(nanos.get(..*max).unwrap_or(&nanos));
        }
        Item::ZoneId => match moment.zone {
            Some((_, id, _)) => out.push_str(id),
            None => return Err("Unable to extract ZoneId from temporal".into()),
        },
        Item::ZoneName { full } => out.push_str(&zone_name(moment, *full)?),
        Item::Offset { pattern, zero } => push_offset(out, moment.offset()?, *pattern, zero),
        Item::LocalizedOffset { full } => push_localized(out, moment.offset()?, *full),
        Item::Optional(inner) => {
            let mut text = String::new();
            if items(inner, moment, &mut text).is_ok() {
                out.push_str(&text);
            }
        }
    }
    Ok(())
}

fn name(field: Field, value: i64, full: bool) -> String {
    let at = |names: &[&str], index: i64| {
        let long = usize::try_from(index).ok().and_then(|i| names.get(i)).copied().unwrap_or_default();
        if full { long.to_string() } else { long.chars().take(3).collect() }
    };
    match field {
        Field::Era => {
            let (short, long) = names::ERAS[usize::from(value > 0)];
            if full { long } else { short }.to_string()
        }
        Field::Month => at(&names::MONTHS, value - 1),
        Field::DayOfWeek => at(&names::DAYS, value - 1),
        Field::AmPm => if value == 0 { "AM" } else { "PM" }.to_string(),
        Field::Quarter if !full => format!("Q{value}"),
        Field::Quarter => at(&names::QUARTERS, value - 1),
        _ => value.to_string(),
    }
}

fn zone_name(moment: &Moment<'_>, full: bool) -> Result<String, String> {
    let Some((zone, id, micros)) = moment.zone else {
        return Err("Unable to extract ZoneId from temporal".into());
    };
    let Ok(region) = zone.tz().to_string().parse::<chrono_tz::Tz>() else { return Ok(id.to_string()) };
    let instant = chrono::DateTime::from_timestamp(micros.div_euclid(1_000_000), 0).map(|t| t.naive_utc());
    let abbreviation = match instant.map(|i| region.offset_from_utc_datetime(&i)) {
        Some(offset) => match offset.abbreviation() {
            // Local mean time has no name of its own in Java: the standard one stands for it.
            Some("LMT") | None => standard_abbreviation(&region),
            Some(name) => name.to_string(),
        },
        None => standard_abbreviation(&region),
    };
    if !full {
        return Ok(abbreviation);
    }
    let known = names::ZONES.iter().find(|(short, _)| *short == abbreviation);
    Ok(known.map_or(abbreviation, |(_, long)| long.to_string()))
}

fn standard_abbreviation(region: &chrono_tz::Tz) -> String {
    let winter = chrono::DateTime::from_timestamp(1_577_836_800, 0).map(|t| t.naive_utc());
    let offset = winter.map(|w| region.offset_from_utc_datetime(&w));
    offset.and_then(|o| o.abbreviation().map(str::to_string)).unwrap_or_else(|| region.name().to_string())
}

fn push_offset(out: &mut String, seconds: i32, pattern: usize, zero: &str) {
    if seconds == 0 {
        out.push_str(zero);
        return;
    }
    let text = offset_text(seconds);
    let (hours, minutes, rest) = (&text[..3], &text[4..6], text.get(7..9));
    out.push_str(hours);
    match pattern {
        0 if minutes == "00" => {}
        0 | 1 => out.push_str(minutes),
        2 => {
            out.push(':');
            out.push_str(minutes);
        }
        3 => {
            out.push_str(minutes);
            out.push_str(rest.unwrap_or_default());
        }
        _ => {
            out.push(':');
            out.push_str(minutes);
            if let Some(rest) = rest {
                out.push(':');
                out.push_str(rest);
            }
        }
    }
}

fn push_localized(out: &mut String, seconds: i32, full: bool) {
    out.push_str("GMT");
    if seconds == 0 {
        return;
    }
    let absolute = seconds.unsigned_abs();
    let (hours, minutes, rest) = (absolute / 3600, absolute / 60 % 60, absolute % 60);
    out.push(if seconds < 0 { '-' } else { '+' });
    if full {
        out.push_str(&format!("{hours:02}:{minutes:02}"));
    } else {
        out.push_str(&hours.to_string());
        if minutes != 0 || rest != 0 {
            out.push_str(&format!(":{minutes:02}"));
        }
    }
    if rest != 0 {
        out.push_str(&format!(":{rest:02}"));
    }
}

/// The moment of a wall-clock timestamp in microseconds.
pub fn moment<'a>(local_micros: i64, zone: Option<(&'a Zone, &'a str, i64)>) -> Moment<'a> {
    let (days, micros) = calendar::split_micros(local_micros);
    Moment { days, nanos_of_day: micros * 1000, zone, has_date: true, has_time: true }
}
