//! The text of intervals: `1 day 2 hours`, `10-9`, `1 02:03:04.5`.
use firesteel_plan::{DayTimeField, Literal, SparkError, YearMonthField};

/// Why a text is not an interval: condition and parameters, for the caller to add the place.
#[derive(Debug, Clone, PartialEq)]
pub struct IntervalError {
    pub condition: &'static str,
    pub parameters: Vec<(&'static str, String)>,
}

impl From<IntervalError> for SparkError {
    fn from(error: IntervalError) -> Self {
        SparkError::new(error.condition, error.parameters)
    }
}

/// Months, days and microseconds: a `CalendarInterval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CalendarInterval {
    pub months: i32,
    pub days: i32,
    pub microseconds: i64,
}

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

impl CalendarInterval {
    /// The days and microseconds as microseconds.
    pub fn duration(&self) -> Option<i64> {
        i64::from(self.days).checked_mul(MICROS_PER_DAY)?.checked_add(self.microseconds)
    }
}

fn error(condition: &'static str, input: &str, more: Vec<(&'static str, String)>) -> IntervalError {
    let mut parameters = vec![("input", input.to_string())];
    parameters.extend(more);
    IntervalError { condition, parameters }
}

/// Reads `[interval] [sign] number unit …`, units in any case, singular or plural; only seconds take a fraction.
pub fn parse_interval_text(text: &str) -> Result<CalendarInterval, IntervalError> {
    let fail = |kind: &'static str, name: &'static str, value: &str| error(kind, text, vec![(name, value.to_string())]);
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(error("INVALID_INTERVAL_FORMAT.INPUT_IS_EMPTY", text, vec![]));
    }
    let lower = trimmed.to_lowercase();
    let mut rest = lower.as_str();
    if let Some(after) = rest.strip_prefix("interval") {
        if !after.starts_with(char::is_whitespace) {
            return Err(fail("INVALID_INTERVAL_FORMAT.INVALID_PREFIX", "prefix", first_word(rest)));
        }
        rest = after.trim_start();
    }
    let mut result = CalendarInterval::default();
    let mut is_empty = true;
    while !rest.is_empty() {
        let (number, after) = take_number(rest, text)?;
        rest = after;
        let word = first_word(rest);
        if word.is_empty() {
            return Err(fail("INVALID_INTERVAL_FORMAT.MISSING_UNIT", "word", &number.text));
        }
        add(&mut result, &number, word, text)?;
        rest = rest[word.len()..].trim_start();
        is_empty = false;
    }
    if is_empty {
        return Err(error("INVALID_INTERVAL_FORMAT.INPUT_IS_EMPTY", text, vec![]));
    }
    Ok(result)
}

fn first_word(text: &str) -> &str {
    text.split(char::is_whitespace).next().unwrap_or("")
}

struct Number {
    whole: i64,
    /// nanoseconds, with the sign
    nanoseconds: Option<i64>,
    text: String,
}

fn take_number<'a>(text: &'a str, input: &str) -> Result<(Number, &'a str), IntervalError> {
    let fail =
        |kind: &'static str, name: &'static str, value: &str| error(kind, input, vec![(name, value.to_string())]);
    let mut rest = text;
    let mut is_negative = false;
    if let Some(after) = rest.strip_prefix(['+', '-']) {
        is_negative = rest.starts_with('-');
        rest = after.trim_start();
    }
    let word = first_word(rest).to_string();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (whole_text, after) = rest.split_at(digits);
    let mut rest = after;
    let mut nanoseconds = None;
    if let Some(after) = rest.strip_prefix('.') {
        let count = after.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, after) = after.split_at(count);
        if whole_text.is_empty() && fraction.is_empty() {
            return Err(fail("INVALID_INTERVAL_FORMAT.MISSING_NUMBER", "word", &word));
        }
        if fraction.len() > 9 {
            return Err(fail("INVALID_INTERVAL_FORMAT.INVALID_PRECISION", "value", &word));
        }
        let value: i64 = format!("{fraction:0<9}").parse().unwrap_or(0);
        nanoseconds = Some(if is_negative { -value } else { value });
        rest = after;
    } else if whole_text.is_empty() {
        return Err(fail("INVALID_INTERVAL_FORMAT.UNRECOGNIZED_NUMBER", "number", &word));
    }
    if !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
        return Err(fail("INVALID_INTERVAL_FORMAT.INVALID_VALUE", "value", &word));
    }
    let signed =
        format!("{}{}", if is_negative { "-" } else { "" }, if whole_text.is_empty() { "0" } else { whole_text });
    let whole = signed.parse().map_err(|_| error("INVALID_INTERVAL_FORMAT.ARITHMETIC_EXCEPTION", input, vec![]))?;
    Ok((Number { whole, nanoseconds, text: word }, rest.trim_start()))
}

fn add(result: &mut CalendarInterval, number: &Number, word: &str, input: &str) -> Result<(), IntervalError> {
    let overflow = || error("INVALID_INTERVAL_FORMAT.ARITHMETIC_EXCEPTION", input, vec![]);
    let unit = word.strip_suffix('s').unwrap_or(word);
    if number.nanoseconds.is_some() && unit != "second" {
        let parameters = vec![("unit", word.to_string())];
        return Err(error("INVALID_INTERVAL_FORMAT.INVALID_FRACTION", input, parameters));
    }
    let whole = number.whole;
    let narrow = |value: Option<i64>| value.and_then(|value| i32::try_from(value).ok());
    let add_micros = |micros: i64, factor: i64| whole.checked_mul(factor)?.checked_add(micros);
    match unit {
        "year" => {
            let months = narrow(whole.checked_mul(12)).and_then(|months| result.months.checked_add(months));
            result.months = months.ok_or_else(overflow)?;
        }
        "month" => {
            result.months = narrow(Some(whole)).and_then(|m| result.months.checked_add(m)).ok_or_else(overflow)?;
        }
        "week" => {
            let days = narrow(whole.checked_mul(7)).and_then(|days| result.days.checked_add(days));
            result.days = days.ok_or_else(overflow)?;
        }
        "day" => result.days = narrow(Some(whole)).and_then(|d| result.days.checked_add(d)).ok_or_else(overflow)?,
        "hour" => result.microseconds = add_micros(result.microseconds, MICROS_PER_HOUR).ok_or_else(overflow)?,
        "minute" => result.microseconds = add_micros(result.microseconds, MICROS_PER_MINUTE).ok_or_else(overflow)?,
        "second" => {
            let micros = add_micros(result.microseconds, MICROS_PER_SECOND);
            let fraction = number.nanoseconds.unwrap_or(0) / 1000;
            result.microseconds = micros.and_then(|m| m.checked_add(fraction)).ok_or_else(overflow)?;
        }
        "millisecond" => result.microseconds = add_micros(result.microseconds, 1000).ok_or_else(overflow)?,
        "microsecond" => result.microseconds = add_micros(result.microseconds, 1).ok_or_else(overflow)?,
        _ => {
            return Err(error("INVALID_INTERVAL_FORMAT.INVALID_UNIT", input, vec![("unit", word.to_string())]));
        }
    }
    Ok(())
}

/// The kind of interval that units of one literal make; `None` where year-month and day-time units mix.
pub(crate) fn literal_of_units(interval: CalendarInterval, units: &[String]) -> Option<Option<Literal>> {
    let mut months: Vec<YearMonthField> = vec![];
    let mut times: Vec<DayTimeField> = vec![];
    for unit in units {
        match unit.as_str() {
            "year" => months.push(YearMonthField::Year),
            "month" => months.push(YearMonthField::Month),
            "day" | "week" => times.push(DayTimeField::Day),
            "hour" => times.push(DayTimeField::Hour),
            "minute" => times.push(DayTimeField::Minute),
            _ => times.push(DayTimeField::Second),
        }
    }
    match (months.iter().min().zip(months.iter().max()), times.iter().min().zip(times.iter().max())) {
        (Some(_), Some(_)) => None,
        (Some((from, to)), None) => Some(Some(Literal::YearMonthInterval(interval.months, *from, *to))),
        (None, Some((from, to))) => {
            Some(interval.duration().map(|micros| Literal::DayTimeInterval(micros, *from, *to)))
        }
        (None, None) => Some(None),
    }
}

/// A field of `FROM TO TO` literals, from the largest.
const DAY_TIME_FIELDS: [(DayTimeField, &str, &str, i64); 4] = [
    (DayTimeField::Day, "day", "d", MICROS_PER_DAY),
    (DayTimeField::Hour, "hour", "h", MICROS_PER_HOUR),
    (DayTimeField::Minute, "minute", "m", MICROS_PER_MINUTE),
    (DayTimeField::Second, "second", "s.n", MICROS_PER_SECOND),
];

/// `'10-9' YEAR TO MONTH`: months
pub(crate) fn parse_year_month(text: &str) -> Result<i32, IntervalError> {
    let unmatched = || {
        error(
            "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING",
            text,
            vec![
                ("intervalStr", "year-month".to_string()),
                ("supportedFormat", "`[+|-]y-m`, `INTERVAL [+|-]'[+|-]y-m' YEAR TO MONTH`".to_string()),
                ("typeName", "interval year to month".to_string()),
            ],
        )
    };
    let (is_negative, body) = sign(unwrap_literal(text.trim(), "YEAR TO MONTH").unwrap_or(text.trim()));
    let (years, months) = body.split_once('-').ok_or_else(unmatched)?;
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(years) || !is_digits(months) {
        return Err(unmatched());
    }
    let range = |field: &str, value: &str, high: i64| requirement(field, value, high);
    let years = range("year", years, 178_956_970)?;
    let months = range("month", months, 11)?;
    let total = years * 12 + months;
    i32::try_from(if is_negative { -total } else { total }).map_err(|_| {
        error("INVALID_INTERVAL_FORMAT.INTERVAL_PARSING", text, vec![("interval", "year-month".to_string())])
    })
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    }
}

/// `INTERVAL '…' DAY TO SECOND` written inside the string.
fn unwrap_literal<'a>(text: &'a str, units: &str) -> Option<&'a str> {
    let upper = text.to_ascii_uppercase();
    if !upper.starts_with("INTERVAL") || !upper.ends_with(units) {
        return None;
    }
    let (first, last) = (text.find('\'')?, text.rfind('\'')?);
    text.get(first + 1..last)
}

fn requirement(field: &str, value: &str, high: i64) -> Result<i64, IntervalError> {
    match value.parse::<i64>() {
        Ok(number) if number <= high => Ok(number),
        _ => {
            let message = format!("requirement failed: {field} {value} outside range [0, {high}]");
            Err(IntervalError { condition: "_LEGACY_ERROR_TEMP_0063", parameters: vec![("msg", message)] })
        }
    }
}

/// `'1 02:03:04.5' DAY TO SECOND`: microseconds
pub(crate) fn parse_day_time(text: &str, from: DayTimeField, to: DayTimeField) -> Result<i64, IntervalError> {
    let fields: Vec<_> = DAY_TIME_FIELDS.iter().filter(|(field, ..)| *field >= from && *field <= to).collect();
    let (Some(first), Some(last)) = (fields.first(), fields.last()) else { return Ok(0) };
    let units = format!("{} TO {}", first.1, last.1).to_uppercase();
    let mut format = String::new();
    for (field, _, letter, _) in &fields {
        format.push_str(match field {
            _ if *field == from => "",
            DayTimeField::Hour => " ",
            _ => ":",
        });
        format.push_str(letter);
    }
    let unmatched = || {
        error(
            "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING_WITH_NOTICE",
            text,
            vec![
                ("intervalStr", "day-time".to_string()),
                ("supportedFormat", format!("`[+|-]{format}`, `INTERVAL [+|-]'[+|-]{format}' {units}`")),
                ("typeName", format!("interval {} to {}", first.1, last.1)),
            ],
        )
    };
    let (is_negative, body) = sign(unwrap_literal(text.trim(), &units).unwrap_or(text.trim()));
    let parts = split_fields(body, &fields.iter().map(|field| field.0).collect::<Vec<_>>()).ok_or_else(unmatched)?;
    let mut total: i64 = 0;
    for ((field, name, _, micros), part) in fields.iter().zip(parts) {
        let (whole, fraction) = part.split_once('.').unwrap_or((part, ""));
        if fraction.len() > 9 {
            return Err(unmatched());
        }
        let high = match field {
            _ if *field == from => i64::MAX / micros,
            DayTimeField::Hour => 23,
            _ => 59,
        };
        let whole = requirement(name, whole, high)?;
        let fraction = format!("{fraction:0<9}").parse::<i64>().unwrap_or(0) / 1000;
        total = whole
            .checked_mul(*micros)
            .and_then(|value| value.checked_add(fraction))
            .and_then(|value| if is_negative { total.checked_sub(value) } else { total.checked_add(value) })
            .ok_or_else(|| IntervalError {
                condition: "_LEGACY_ERROR_TEMP_0063",
                parameters: vec![("msg", "long overflow".to_string())],
            })?;
    }
    Ok(total)
}

/// Cuts `d h:m:s.n` into the texts of its fields; nothing where the shape is another.
fn split_fields<'a>(text: &'a str, fields: &[DayTimeField]) -> Option<Vec<&'a str>> {
    let mut rest = text;
    let mut parts = vec![];
    for (index, field) in fields.iter().enumerate() {
        let is_last = index + 1 == fields.len();
        let part = if is_last {
            rest
        } else {
            let separator = if *field == DayTimeField::Day { ' ' } else { ':' };
            let (part, after) = rest.split_once(separator)?;
            rest = after;
            part
        };
        let (whole, fraction) = part.split_once('.').unwrap_or((part, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let may_have_fraction = *field == DayTimeField::Second;
        if !is_digits(whole) || !is_digits(fraction) || (part.contains('.') && !may_have_fraction) {
            return None;
        }
        parts.push(part);
    }
    Some(parts)
}
