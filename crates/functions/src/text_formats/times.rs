//! Dates and timestamps in records: by a pattern where one is given, else as casts read them.
use arrow::array::timezone::Tz;
use firesteel_plan::{Result, SparkError};

use super::FormatOptions;
use crate::context::time_zone_or_utc;
use crate::datetime::calendar::split_micros;
use crate::datetime::text::{format_date, parse_date, parse_timestamp, parse_timestamp_ntz};
use crate::datetime::zone::{Zone, offset_text, parse_zone};

/// How the records of one read or write spell times.
#[derive(Debug, Clone)]
pub struct TimeFormats {
    pub zone: Tz,
    prepared: Zone,
    date: Option<Pattern>,
    timestamp: Option<Pattern>,
    timestamp_ntz: Option<Pattern>,
    time: Option<Pattern>,
}

impl TimeFormats {
    /// From the options `dateFormat`, `timestampFormat`, `timestampNTZFormat`, `timeFormat` and `timeZone`.
    pub fn new(options: &FormatOptions, session_zone: &str) -> Result<Self> {
        let id = options.get("timeZone").unwrap_or(session_zone);
        let zone = parse_zone(id).unwrap_or_else(|| time_zone_or_utc(id));
        let pattern = |key: &str| options.get(key).map(Pattern::new).transpose();
        Ok(Self {
            zone,
            prepared: Zone::new(&zone),
            date: pattern("dateFormat")?,
            timestamp: pattern("timestampFormat")?,
            timestamp_ntz: pattern("timestampNTZFormat")?,
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
            Some(pattern) => pattern.parse_date(text),
        }
    }

    /// Whether a sample is a date for schema inference, which wants the whole `yyyy-MM-dd`.
    pub fn infers_date(&self, text: &str) -> bool {
        match &self.date {
            None => text.len() == 10 && text.as_bytes()[4] == b'-' && parse_date(text).is_some(),
            Some(pattern) => pattern.parse_date(text).is_some(),
        }
    }

    /// Microseconds since the epoch.
    pub fn parse_timestamp(&self, text: &str) -> Option<i64> {
        match &self.timestamp {
            None => parse_timestamp(text, &self.zone),
            Some(pattern) => pattern.parse_timestamp(text, &self.zone),
        }
    }

    /// Wall-clock microseconds.
    pub fn parse_timestamp_ntz(&self, text: &str) -> Option<i64> {
        match &self.timestamp_ntz {
            None => parse_timestamp_ntz(text),
            Some(pattern) => pattern.parse_timestamp_ntz(text),
        }
    }

    /// Nanoseconds since midnight.
    pub fn parse_time(&self, text: &str) -> Option<i64> {
        match &self.time {
            None => crate::datetime::text::parse_time(text),
            Some(pattern) => pattern.parse_time(text),
        }
    }

    pub fn push_date(&self, out: &mut String, days: i32) -> Result<()> {
        match &self.date {
            None => out.push_str(&format_date(days)),
            Some(pattern) => out.push_str(&pattern.format_date(days)?),
        }
        Ok(())
    }

    /// `2020-01-31T12:30:00.000Z`, or by the pattern.
    pub fn push_timestamp(&self, out: &mut String, micros: i64) -> Result<()> {
        if let Some(pattern) = &self.timestamp {
            out.push_str(&pattern.format_timestamp(micros, &self.zone)?);
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
            Some(pattern) => out.push_str(&pattern.format_timestamp_ntz(micros)?),
        }
        Ok(())
    }

    pub fn push_time(&self, out: &mut String, nanos: i64) -> Result<()> {
        match &self.time {
            None => out.push_str(&crate::datetime::text::format_time(nanos)),
            Some(pattern) => out.push_str(&pattern.format_time(nanos)?),
        }
        Ok(())
    }
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

/// A pattern that a user gave.
#[derive(Debug, Clone)]
enum Pattern {}

impl Pattern {
    fn new(text: &str) -> Result<Self> {
        Err(SparkError::unsupported(format!("the date or time pattern \"{text}\"")))
    }
    fn parse_date(&self, _text: &str) -> Option<i32> {
        match *self {}
    }
    fn parse_timestamp(&self, _text: &str, _zone: &Tz) -> Option<i64> {
        match *self {}
    }
    fn parse_timestamp_ntz(&self, _text: &str) -> Option<i64> {
        match *self {}
    }
    fn parse_time(&self, _text: &str) -> Option<i64> {
        match *self {}
    }
    fn format_date(&self, _days: i32) -> Result<String> {
        match *self {}
    }
    fn format_timestamp(&self, _micros: i64, _zone: &Tz) -> Result<String> {
        match *self {}
    }
    fn format_timestamp_ntz(&self, _micros: i64) -> Result<String> {
        match *self {}
    }
    fn format_time(&self, _nanos: i64) -> Result<String> {
        match *self {}
    }
}
