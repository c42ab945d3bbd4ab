//! Reads text by the items of a pattern, as Java does when it is strict (or as the old parser, when lenient).
use super::{Field, Item, Sign, names};
use crate::datetime::zone::parse_zone;

/// What was read.
#[derive(Debug, Default, Clone)]
pub struct Fields {
    pub values: Vec<(Field, i64)>,
    pub zone: Option<arrow::array::timezone::Tz>,
}

impl Fields {
    pub fn get(&self, field: Field) -> Option<i64> {
        self.values.iter().find(|(f, _)| *f == field).map(|(_, v)| *v)
    }

    /// `false` where the field has another value already.
    fn set(&mut self, field: Field, value: i64) -> bool {
        match self.get(field) {
            Some(old) => old == value,
            None => {
                self.values.push((field, value));
                true
            }
        }
    }
}

/// The old parsers put a year of two digits within 80 years before and 20 years after today.
const CENTURY: i64 = 2000;

impl Fields {
    fn in_century(&mut self, field: Field, digits: usize) {
        use chrono::Datelike;
        if digits != 2 {
            return;
        }
        let latest = i64::from(chrono::Utc::now().year()) + 20;
        for (_, value) in self.values.iter_mut().filter(|(f, value)| *f == field && (0..100).contains(value)) {
            *value += if *value + CENTURY > latest { CENTURY - 100 } else { CENTURY };
        }
    }
}

/// Errors with Java's message, which names the index of the first character that does not fit.
pub fn parse(items: &[Item], text: &str, lenient: bool) -> Result<Fields, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut fields = Fields::default();
    match sequence(items, &chars, 0, lenient, &mut fields) {
        Err(at) => Err(format!("Text '{text}' could not be parsed at index {at}")),
        Ok(end) if end < chars.len() && !lenient => {
            Err(format!("Text '{text}' could not be parsed, unparsed text found at index {end}"))
        }
        Ok(_) => Ok(fields),
    }
}

fn sequence(items: &[Item], text: &[char], mut at: usize, lenient: bool, fields: &mut Fields) -> Result<usize, usize> {
    for item in items {
        at = one(item, text, at, lenient, fields)?;
    }
    Ok(at)
}

fn one(item: &Item, text: &[char], at: usize, lenient: bool, fields: &mut Fields) -> Result<usize, usize> {
    match item {
        Item::Literal(literal) => {
            let mut end = at;
            for c in literal.chars() {
                match text.get(end) {
                    Some(found) if *found == c || !lenient && found.to_lowercase().eq(c.to_lowercase()) => end += 1,
                    _ => return Err(at),
                }
            }
            Ok(end)
        }
        Item::Number { field, min, max, sign, reserved } => {
            if !lenient {
                return number(text, at, *min, *max, *sign, *reserved, false, fields, |value| (*field, value));
            }
            let at = skip_spaces(text, at);
            let most = if *reserved > 0 { *min } else { 19 };
            let end = number(text, at, 1, most, *sign, 0, true, fields, |value| (*field, value))?;
            if *min == 1 && matches!(field, Field::Year | Field::YearOfEra) {
                fields.in_century(*field, end - at);
            }
            Ok(end)
        }
        Item::TwoDigitYear { field, reserved } => {
            if lenient {
                let at = skip_spaces(text, at);
                let most = if *reserved > 0 { 2 } else { 19 };
                let end = number(text, at, 1, most, Sign::Normal, 0, true, fields, |v| (*field, v))?;
                fields.in_century(*field, end - at);
                return Ok(end);
            }
            number(text, at, 2, 2, Sign::NotNegative, 0, false, fields, |value| (*field, 2000 + value))
        }
        Item::Text { field, .. } => names_of(*field, text, at)
            .map_or(Err(at), |(value, end)| if fields.set(*field, value) { Ok(end) } else { Err(at) }),
        Item::Fraction { min, max } => {
            let digits = text[at.min(text.len())..].iter().take(*max).take_while(|c| c.is_ascii_digit()).count();
            if digits < *min {
                return Err(at);
            }
            let value = text[at..at + digits].iter().fold(0i64, |v, c| v * 10 + digit(*c));
            let nanos = value * 10i64.pow(9 - digits as u32);
            if fields.set(Field::Nano, nanos) { Ok(at + digits) } else { Err(at) }
        }
        Item::ZoneId | Item::ZoneName { .. } => zone(text, at, fields),
        Item::Offset { pattern, zero } => offset(text, at, *pattern, zero, fields),
        Item::LocalizedOffset { .. } => zone(text, at, fields),
        Item::Optional(inner) => {
            let mut attempt = fields.clone();
            match sequence(inner, text, at, lenient, &mut attempt) {
                Ok(end) => {
                    *fields = attempt;
                    Ok(end)
                }
                Err(_) => Ok(at),
            }
        }
    }
}

/// The old parsers step over spaces in front of a number.
fn skip_spaces(text: &[char], at: usize) -> usize {
    at + text.get(at..).unwrap_or_default().iter().take_while(|c| matches!(c, ' ' | '\t')).count()
}

fn digit(c: char) -> i64 {
    i64::from(c.to_digit(10).unwrap_or(0))
}

fn number(
    text: &[char],
    start: usize,
    min: usize,
    max: usize,
    sign: Sign,
    reserved: usize,
    lenient: bool,
    fields: &mut Fields,
    store: impl Fn(i64) -> (Field, i64),
) -> Result<usize, usize> {
    let (mut at, mut positive, mut negative) = (start, false, false);
    match text.get(at) {
        Some('+') if sign == Sign::ExceedsPad => (positive, at) = (true, at + 1),
        Some('-') if sign != Sign::NotNegative => (negative, at) = (true, at + 1),
        Some('+' | '-') => return Err(start),
        _ => {}
    }
    let first = at;
    let available = text[at.min(text.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut digits = available.min(max + reserved);
    if reserved > 0 {
        digits = digits.saturating_sub(reserved).max(min).min(available);
    }
    digits = digits.min(max);
    if digits < min || digits == 0 {
        return Err(start);
    }
    let value = text[first..first + digits].iter().try_fold(0i64, |v, c| v.checked_mul(10)?.checked_add(digit(*c)));
    let value = value.ok_or(start)?;
    if negative && value == 0 && !lenient {
        return Err(start);
    }
    if sign == Sign::ExceedsPad && !lenient && !negative {
        // The sign and the longer form go together.
        if positive != (digits > min) {
            return Err(start);
        }
    }
    let (field, value) = store(if negative { -value } else { value });
    if fields.set(field, value) { Ok(first + digits) } else { Err(start) }
}

fn starts_with(text: &[char], at: usize, name: &str) -> Option<usize> {
    let mut end = at;
    for c in name.chars() {
        if !text.get(end)?.to_lowercase().eq(c.to_lowercase()) {
            return None;
        }
        end += 1;
    }
    Some(end)
}

/// The longest name that fits, and the index after it.
fn names_of(field: Field, text: &[char], at: usize) -> Option<(i64, usize)> {
    let listed = |all: &[&str], base: i64| {
        all.iter().enumerate().find_map(|(i, name)| {
            let short: String = name.chars().take(3).collect();
            let end = starts_with(text, at, name).or_else(|| starts_with(text, at, &short))?;
            Some((base + i as i64, end))
        })
    };
    match field {
        Field::Month => listed(&names::MONTHS, 1),
        Field::DayOfWeek => listed(&names::DAYS, 1),
        Field::AmPm => ["AM", "PM"].iter().enumerate().find_map(|(i, n)| Some((i as i64, starts_with(text, at, n)?))),
        Field::Era => names::ERAS.iter().enumerate().find_map(|(i, (short, long))| {
            Some((i as i64, starts_with(text, at, long).or_else(|| starts_with(text, at, short))?))
        }),
        _ => None,
    }
}

/// The longest prefix that is a zone.
fn zone(text: &[char], at: usize, fields: &mut Fields) -> Result<usize, usize> {
    let rest = &text[at.min(text.len())..];
    let length = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || "/_+-:".contains(**c)).count();
    for length in (1..=length).rev() {
        let id: String = rest[..length].iter().collect();
        if let Some(zone) = parse_zone(&id) {
            fields.zone = Some(zone);
            return Ok(at + length);
        }
    }
    Err(at)
}

fn offset(text: &[char], at: usize, pattern: usize, zero: &str, fields: &mut Fields) -> Result<usize, usize> {
    if zero == "Z" && text.get(at).is_some_and(|c| c.eq_ignore_ascii_case(&'Z')) {
        fields.zone = parse_zone("Z");
        return Ok(at + 1);
    }
    if !matches!(text.get(at), Some('+' | '-')) {
        return Err(at);
    }
    let colon = matches!(pattern, 2 | 4);
    let two = |from: usize| text.get(from..from + 2).is_some_and(|t| t.iter().all(char::is_ascii_digit));
    if !two(at + 1) {
        return Err(at);
    }
    let mut end = at + 3;
    let mut id: String = text[at..end].iter().collect();
    for _ in 0..2 {
        let skip = usize::from(colon);
        if colon && text.get(end) != Some(&':') || !two(end + skip) {
            break;
        }
        id.push(':');
        id.extend(&text[end + skip..end + skip + 2]);
        end += skip + 2;
        if pattern < 3 {
            break;
        }
    }
    if pattern != 0 && id.len() < 6 {
        return Err(at);
    }
    match parse_zone(&id) {
        Some(zone) => {
            fields.zone = Some(zone);
            Ok(end)
        }
        None => Err(at),
    }
}
