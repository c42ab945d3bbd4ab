//! Reads multi-unit text: `[interval] 1 year -2 days 3.5 seconds`.
use firesteel_plan::{Result, SparkError};

use super::value::CalendarInterval;
use crate::datetime::calendar::{MICROS_PER_HOUR, MICROS_PER_MILLI, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::datetime::text::trim_all;

/// Errors with a sub-condition of `INVALID_INTERVAL_FORMAT` that says which word is wrong.
pub fn parse_calendar(text: &str) -> Result<CalendarInterval> {
    let lower = trim_all(text).to_lowercase();
    let mut reader = Reader { input: text, text: &lower, at: 0, total: CalendarInterval::default() };
    if lower.is_empty() {
        return Err(reader.error("INPUT_IS_EMPTY", None));
    }
    if let Some(rest) = lower.strip_prefix("interval") {
        match rest.chars().next() {
            None => return Err(reader.error("INPUT_IS_EMPTY", None)),
            Some(c) if !is_blank(c) => return Err(reader.error("INVALID_PREFIX", Some("prefix"))),
            Some(_) => reader.at = "interval".len(),
        }
    }
    reader.skip_blanks();
    while reader.at < lower.len() {
        reader.item()?;
        reader.skip_blanks();
    }
    Ok(reader.total)
}

fn is_blank(c: char) -> bool {
    c <= ' ' || c == '\u{7f}'
}

struct Reader<'a> {
    input: &'a str,
    text: &'a str,
    at: usize,
    total: CalendarInterval,
}

/// Nanoseconds of the first digit of a fraction.
const FIRST_FRACTION_DIGIT: i64 = 100_000_000;

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_blanks(&mut self) {
        while let Some(c) = self.peek().filter(|c| is_blank(*c)) {
            self.at += c.len_utf8();
        }
    }

    /// The word that the reader is in.
    fn word(&self) -> String {
        let right = self.text[self.at..].split_whitespace().count();
        let words: Vec<&str> = self.text.split_whitespace().collect();
        words.get(words.len().saturating_sub(right.max(1))).map(|w| w.to_string()).unwrap_or_default()
    }

    /// `parameter`: the name under which the current word is reported.
    fn error(&self, condition: &str, parameter: Option<&str>) -> SparkError {
        let mut parameters = vec![("input".to_string(), self.input.to_string())];
        if let Some(name) = parameter {
            parameters.push((name.to_string(), self.word()));
        }
        SparkError::new(format!("INVALID_INTERVAL_FORMAT.{condition}"), parameters)
    }

    fn overflow(&self) -> SparkError {
        self.error("ARITHMETIC_EXCEPTION", None)
    }

    /// One sign, number and unit.
    fn item(&mut self) -> Result<()> {
        let mut negative = false;
        match self.peek() {
            Some(sign @ ('+' | '-')) => {
                negative = sign == '-';
                self.at += 1;
                self.skip_blanks();
                if self.peek().is_none() {
                    return Err(self.error("MISSING_NUMBER", Some("word")));
                }
            }
            Some('0'..='9' | '.') => {}
            _ => return Err(self.error("UNRECOGNIZED_NUMBER", Some("number"))),
        }
        let (mut value, mut fraction_nanos, has_point) = self.number()?;
        self.skip_blanks();
        if self.peek().is_none() {
            return Err(self.error("MISSING_UNIT", Some("word")));
        }
        if has_point && self.peek() != Some('s') {
            return Err(self.error("INVALID_FRACTION", Some("unit")));
        }
        if negative {
            (value, fraction_nanos) = (value.checked_neg().ok_or_else(|| self.overflow())?, -fraction_nanos);
        }
        self.unit(value, fraction_nanos / 1000)
    }

    /// Whole part, nanoseconds of the fraction, and whether there is a point.
    fn number(&mut self) -> Result<(i64, i64, bool)> {
        let (mut value, mut digits) = (0i64, 0);
        loop {
            match self.peek() {
                Some(c @ '0'..='9') => {
                    let digit = i64::from(c as u32 - '0' as u32);
                    value = value.checked_mul(10).and_then(|v| v.checked_add(digit)).ok_or_else(|| self.overflow())?;
                    (digits, self.at) = (digits + 1, self.at + 1);
                }
                Some('.') => {
                    self.at += 1;
                    return Ok((value, self.fraction(digits > 0)?, true));
                }
                Some(c) if is_blank(c) && digits > 0 => return Ok((value, 0, false)),
                None if digits > 0 => return Err(self.error("MISSING_UNIT", Some("word"))),
                _ => return Err(self.error("INVALID_VALUE", Some("value"))),
            }
        }
    }

    fn fraction(&mut self, may_be_empty: bool) -> Result<i64> {
        let (mut nanos, mut scale) = (0, FIRST_FRACTION_DIGIT);
        loop {
            match self.peek() {
                Some(c @ '0'..='9') if scale > 0 => {
                    nanos += i64::from(c as u32 - '0' as u32) * scale;
                    (scale, self.at) = (scale / 10, self.at + 1);
                }
                Some(c) if is_blank(c) && (may_be_empty || scale < FIRST_FRACTION_DIGIT) => return Ok(nanos),
                Some('0'..='9') => return Err(self.error("INVALID_PRECISION", Some("value"))),
                None => return Err(self.error("MISSING_UNIT", Some("word"))),
                Some(_) => return Err(self.error("INVALID_VALUE", Some("value"))),
            }
        }
    }

    fn unit(&mut self, value: i64, fraction_micros: i64) -> Result<()> {
        const UNITS: [&str; 9] =
            ["year", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond"];
        let rest = &self.text[self.at..];
        let end = rest.find(is_blank).unwrap_or(rest.len());
        let name = &rest[..end];
        let Some(unit) = UNITS.iter().find(|u| name == **u || name.strip_suffix('s') == Some(**u)) else {
            return Err(self.error("INVALID_UNIT", Some("unit")));
        };
        let total = self.total;
        let months = |per: i64| {
            let sum = value.checked_mul(per)?.checked_add(i64::from(total.months))?;
            Some(CalendarInterval { months: i32::try_from(sum).ok()?, ..total })
        };
        let days = |per: i64| {
            let sum = value.checked_mul(per)?.checked_add(i64::from(total.days))?;
            Some(CalendarInterval { days: i32::try_from(sum).ok()?, ..total })
        };
        let micros = |per: i64| {
            let sum = value.checked_mul(per)?.checked_add(fraction_micros)?.checked_add(total.microseconds)?;
            Some(CalendarInterval { microseconds: sum, ..total })
        };
        let sum = match *unit {
            "year" => months(12),
            "month" => months(1),
            "week" => days(7),
            "day" => days(1),
            "hour" => micros(MICROS_PER_HOUR),
            "minute" => micros(MICROS_PER_MINUTE),
            "second" => micros(MICROS_PER_SECOND),
            "millisecond" => micros(MICROS_PER_MILLI),
            _ => micros(1),
        };
        self.total = sum.ok_or_else(|| self.overflow())?;
        self.at += end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multi_unit_text_is_read() {
        let parsed = parse_calendar(" INTERVAL 1 year -2\tdays  +  3.5 Seconds 1 week .25 second").unwrap();
        assert_eq!(parsed, CalendarInterval::new(12, 5, 3_750_000));
        for (text, condition) in [
            ("", "INPUT_IS_EMPTY"),
            ("interval", "INPUT_IS_EMPTY"),
            ("intervals 1 day", "INVALID_PREFIX"),
            ("1", "MISSING_UNIT"),
            ("1 day -", "MISSING_NUMBER"),
            ("- -1 second", "INVALID_VALUE"),
            ("1.5 days", "INVALID_FRACTION"),
            ("1 nanosecond", "INVALID_UNIT"),
            ("day 1", "UNRECOGNIZED_NUMBER"),
            ("99999999999 years", "ARITHMETIC_EXCEPTION"),
        ] {
            let error = parse_calendar(text).unwrap_err();
            assert_eq!(error.condition(), format!("INVALID_INTERVAL_FORMAT.{condition}"), "{text}");
        }
    }
}
