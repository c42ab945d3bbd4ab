//! Dates and timestamps in records: by a pattern where one is given, else as casts read them.
use arrow::array::timezone::Tz;
use firesteel_plan::{Result, SparkError};

use super::FormatOptions;
use crate::context::time_zone_or_utc;
use crate::datetime::calendar::{MICROS_PER_DAY, join_micros, split_micros};
use crate::datetime::pattern::{Pattern, Policy, moment};
use crate::datetime::text::{format_date, parse_date, parse_timestamp, parse_timestamp_ntz};
use crate::datetime::zone::{Zone, offset_text, parse_zone};

/// What the session says about records: its zone, and which formatter reads and writes patterns.
#[derive(Debug, Clone, Copy)]
pub struct FormatSession<'a> {
    zone: &'a str,
    policy: Policy,
}

impl<'a> FormatSession<'a> {
    /// From the zone's id and the session's keys.
    pub fn new(zone: &'a str, key: impl Fn(&str) -> Option<&'a str>) -> Self {
        Self { zone, policy: Policy::named(key("spark.sql.legacy.timeParserPolicy")) }
    }

    pub fn of(context: &'a crate::EvalContext) -> Self {
        Self::new(&context.time_zone_id, |key| context.get(key))
    }

    pub const UTC: FormatSession<'static> = FormatSession { zone: "UTC", policy: Policy::Corrected };
}

/// How the records of one read or write spell times.
#[derive(Debug, Clone)]
pub struct TimeFormats {
    pub zone: Tz,
    zone_id: String,
    prepared: Zone,
    date: Option<Pattern>,
    timestamp: Option<Pattern>,
    timestamp_ntz: Option<Pattern>,
    time: Option<Pattern>,
}

impl TimeFormats {
    /// From the options `dateFormat`, `timestampFormat`, `timestampNTZFormat`, `timeFormat` and `timeZone`. Some patterns
    /// can be written, not read (`parsing`).
    pub fn new(options: &FormatOptions, session: FormatSession<'_>, parsing: bool) -> Result<Self> {
        let policy = session.policy;
        let id = options.get("timeZone").unwrap_or(session.zone);
        let zone = parse_zone(id).unwrap_or_else(|| time_zone_or_utc(id));
        let ntz = options.get("timestampNTZFormat");
        let pattern = |key: &str| options.get(key).map(|text| Pattern::for_records(text, parsing, policy)).transpose();
        Ok(Self {
            zone,
            zone_id: id.to_string(),
            prepared: Zone::new(&zone),
            date: pattern("dateFormat")?,
            timestamp: pattern("timestampFormat")?,
            timestamp_ntz: ntz.map(|text| Pattern::without_zone(text, parsing)).transpose()?,
            time: pattern("timeFormat")?,
        })
    }

    pub fn has_timestamp_format(&self) -> bool {
        self.timestamp.is_some()
    }

    /// Days since the epoch.
    pub fn parse_date(&self, text: &str) -> Option<i32> {
        match &self.date {
            None => parse_date(text),
            Some(pattern) => i32::try_from(pattern.parse(text).ok()?.days).ok(),
        }
    }

    /// Whether a sample is a date for schema inference, which wants the whole `yyyy-MM-dd`.
    pub fn infers_date(&self, text: &str) -> bool {
        match &self.date {
            None => text.len() == 10 && text.as_bytes()[4] == b'-' && parse_date(text).is_some(),
            Some(pattern) => pattern.parse(text).is_ok(),
        }
    }

    /// Microseconds since the epoch.
    pub fn parse_timestamp(&self, text: &str) -> Option<i64> {
        match &self.timestamp {
            None => parse_timestamp(text, &self.zone),
            Some(pattern) => {
                let parsed = pattern.parse(text).ok()?;
                let zone = parsed.zone.map_or(self.prepared, |zone| Zone::new(&zone));
                zone.to_utc(join_micros(parsed.days, parsed.nanos_of_day / 1000)?)
            }
        }
    }

    /// Wall-clock microseconds.
    pub fn parse_timestamp_ntz(&self, text: &str) -> Option<i64> {
        match &self.timestamp_ntz {
            None => parse_timestamp_ntz(text),
            Some(pattern) => {
                let parsed = pattern.parse(text).ok()?;
                join_micros(parsed.days, parsed.nanos_of_day / 1000)
            }
        }
    }

    /// Nanoseconds since midnight.
    pub fn parse_time(&self, text: &str) -> Option<i64> {
        match &self.time {
            None => crate::datetime::text::parse_time(text),
            Some(pattern) => pattern.parse(text).ok().map(|parsed| parsed.nanos_of_day),
        }
    }

    pub fn push_date(&self, out: &mut String, days: i32) -> Result<()> {
        match &self.date {
            None => out.push_str(&format_date(days)),
            Some(pattern) => {
                let micros = i64::from(days).saturating_mul(MICROS_PER_DAY);
                pattern.push(&moment(micros, None), out).map_err(cannot_format)?;
            }
        }
        Ok(())
    }

    /// `2020-01-31T12:30:00.000Z`, or by the pattern.
    pub fn push_timestamp(&self, out: &mut String, micros: i64) -> Result<()> {
        if let Some(pattern) = &self.timestamp {
            let zone = Some((&self.prepared, self.zone_id.as_str(), micros));
            let moment = moment(self.prepared.to_local(micros), zone);
            pattern.push(&moment, out).map_err(cannot_format)?;
            return Ok(());
        }
        push_iso(out, self.prepared.to_local(micros));
        match self.prepared.offset_seconds(micros) {
            0 => out.push('Z'),
            seconds => out.push_str(offset_text(seconds).get(..6).unwrap_or_default()),
        }
        Ok(())
    }

    /// `2020-01-31T12:30:00.000`, or by the pattern.
    pub fn push_timestamp_ntz(&self, out: &mut String, micros: i64) -> Result<()> {
        match &self.timestamp_ntz {
            None => push_iso(out, micros),
            Some(pattern) => pattern.push(&moment(micros, None), out).map_err(cannot_format)?,
        }
        Ok(())
    }

    pub fn push_time(&self, out: &mut String, nanos: i64) -> Result<()> {
        match &self.time {
            None => out.push_str(&crate::datetime::text::format_time(nanos)),
            Some(pattern) => pattern.push(&moment(nanos / 1000, None), out).map_err(cannot_format)?,
        }
        Ok(())
    }
}

/// A pattern with a field that the value does not have, such as the zone of a date.
fn cannot_format(message: String) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_3210", [("message", message)])
}

/// Wall-clock time to the millisecond.
fn push_iso(out: &mut String, micros: i64) {
    use std::fmt::Write;
    let (days, of_day) = split_micros(micros);
    out.push_str(&format_date(i32::try_from(days).unwrap_or(i32::MAX)));
    let millis = of_day / 1000;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let _ = write!(out, "T{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}
