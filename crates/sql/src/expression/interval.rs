//! INTERVAL literals of every kind.
use firesteel_plan::{DayTimeField, Expr, ExprKind, Literal, Result, SparkError, YearMonthField};

use crate::interval_text::{literal_of_units, parse_day_time, parse_interval_text, parse_year_month};
use crate::parser::Parser;
use crate::token::Kind;

/// The singular name of a unit.
fn unit_name(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::YEAR | Kind::YEARS => "year",
        Kind::MONTH | Kind::MONTHS => "month",
        Kind::WEEK | Kind::WEEKS => "week",
        Kind::DAY | Kind::DAYS => "day",
        Kind::HOUR | Kind::HOURS => "hour",
        Kind::MINUTE | Kind::MINUTES => "minute",
        Kind::SECOND | Kind::SECONDS => "second",
        Kind::MILLISECOND | Kind::MILLISECONDS => "millisecond",
        Kind::MICROSECOND | Kind::MICROSECONDS => "microsecond",
        Kind::NANOSECOND | Kind::NANOSECONDS => "nanosecond",
        _ => return None,
    })
}

fn day_time_field(unit: &str) -> Option<DayTimeField> {
    Some(match unit {
        "day" => DayTimeField::Day,
        "hour" => DayTimeField::Hour,
        "minute" => DayTimeField::Minute,
        "second" => DayTimeField::Second,
        _ => return None,
    })
}

/// A number before a unit, as written.
struct Value {
    text: String,
    is_string: bool,
    is_negated: bool,
}

impl Parser<'_> {
    /// Whether INTERVAL here begins a literal and is not a name.
    pub(super) fn at_interval(&self) -> bool {
        let mut ahead = 1;
        if matches!(self.kind_at(ahead), Kind::Plus | Kind::Minus) {
            ahead += 1;
        }
        let is_value =
            matches!(self.kind_at(ahead), Kind::IntegerValue | Kind::DecimalValue) || self.is_string_at(ahead);
        // with a sign in front it could also be subtraction from a column named `interval`
        is_value
            && (ahead == 1 || self.unit_follows_value(ahead + 1))
            && (self.is_string_at(ahead) || self.unit_or_error_follows(ahead + 1))
    }

    fn unit_follows_value(&self, ahead: usize) -> bool {
        unit_name(self.kind_at(ahead)).is_some()
    }

    fn unit_or_error_follows(&self, ahead: usize) -> bool {
        self.unit_follows_value(ahead) || self.is_identifier_at(ahead, true)
    }

    /// `INTERVAL …` in expressions and in SET TIME ZONE
    pub(crate) fn interval(&mut self) -> Result<Expr> {
        let start = self.position();
        self.expect(Kind::INTERVAL)?;
        let body = self.position();
        let value = self.interval_value()?;
        if value.is_string && !value.is_negated && unit_name(self.kind()).is_none() {
            return self.interval_text_literal(&value.text, start);
        }
        let unit = self.interval_unit()?;
        if self.at(Kind::TO) {
            return self.unit_to_unit(value, unit, body, start);
        }
        self.multiple_units(value, unit, body, start)
    }

    fn interval_value(&mut self) -> Result<Value> {
        let sign = self.eat_any(&[Kind::Plus, Kind::Minus]);
        let is_string = self.at_string();
        let text = if is_string {
            self.string_literal()?
        } else {
            match self.expect_any(&[Kind::IntegerValue, Kind::DecimalValue]) {
                Ok(_) => self.text_from(self.position() - 1),
                Err(error) => return Err(error),
            }
        };
        Ok(Value { text, is_string, is_negated: sign == Some(Kind::Minus) })
    }

    fn interval_unit(&mut self) -> Result<&'static str> {
        match unit_name(self.kind()) {
            Some(name) => {
                self.advance();
                Ok(name)
            }
            None => Err(self.syntax_error()),
        }
    }

    /// `INTERVAL '10-9' YEAR TO MONTH`
    fn unit_to_unit(&mut self, value: Value, from: &'static str, body: usize, start: usize) -> Result<Expr> {
        self.advance();
        let to = self.interval_unit()?;
        if !value.is_string {
            let error = self.plain_error_from(body, "_LEGACY_ERROR_TEMP_0027");
            return Ok(self.defer(error, Expr::null()));
        }
        let text = match (value.is_negated, value.text.strip_prefix('-')) {
            (true, Some(positive)) => positive.to_string(),
            (true, None) => format!("-{}", value.text),
            (false, _) => value.text,
        };
        let is_month_range = from == "year" && to == "month";
        let fields = day_time_field(from).zip(day_time_field(to)).filter(|(from, to)| from < to);
        if !is_month_range && fields.is_none() {
            let parameters = [("input", text), ("from", from.to_string()), ("to", to.to_string())];
            let error = self.error_from(body, "INVALID_INTERVAL_FORMAT.UNSUPPORTED_FROM_TO_EXPRESSION", parameters);
            return Ok(self.defer(error, Expr::null()));
        }
        let literal = match fields {
            Some((from, to)) => {
                parse_day_time(&text, from, to).map(|micros| Literal::DayTimeInterval(micros, from, to))
            }
            None => parse_year_month(&text)
                .map(|months| Literal::YearMonthInterval(months, YearMonthField::Year, YearMonthField::Month)),
        };
        if self.second_interval(start)? {
            return Ok(Expr::null());
        }
        let literal = match literal {
            Ok(literal) => literal,
            Err(error) => {
                let error = self.error_from(body, error.condition, error.parameters);
                return Ok(self.defer(error, Expr::null()));
            }
        };
        let literal = if self.options.legacy_interval { legacy(literal) } else { literal };
        Ok(self.place(ExprKind::Literal(literal), start))
    }

    /// `INTERVAL '1' YEAR TO MONTH '2' DAY` holds more than one range.
    fn second_interval(&mut self, start: usize) -> Result<bool> {
        if !self.at_interval_part() {
            return Ok(false);
        }
        while self.at_interval_part() {
            self.interval_value()?;
            self.interval_unit()?;
            if self.eat(Kind::TO) {
                self.interval_unit()?;
            }
        }
        let error = self.plain_error_from(start, "_LEGACY_ERROR_TEMP_0024");
        Ok(self.defer(error, true))
    }

    fn at_interval_part(&self) -> bool {
        let ahead = usize::from(matches!(self.kind(), Kind::Plus | Kind::Minus));
        let is_value =
            matches!(self.kind_at(ahead), Kind::IntegerValue | Kind::DecimalValue) || self.is_string_at(ahead);
        // after a sign, a number of another literal: `INTERVAL 1 DAY - INTERVAL …` has no number, `- 1 HOUR` has one
        is_value && self.unit_follows_value(ahead + 1)
    }

    /// `INTERVAL 1 DAY 2 HOURS`
    fn multiple_units(&mut self, first: Value, unit: &'static str, body: usize, start: usize) -> Result<Expr> {
        let mut text = String::new();
        let mut units = vec![];
        let mut next = Some((first, unit));
        while let Some((value, unit)) = next.take() {
            text.push_str(&self.number_and_unit(&value, unit, body)?);
            units.push(unit.to_string());
            if self.at_interval_part() {
                let value = self.interval_value()?;
                let unit = self.interval_unit()?;
                if self.at(Kind::TO) && unit_name(self.kind_at(1)).is_some() {
                    self.advance_by(2);
                    let error = self.plain_error_from(start, "_LEGACY_ERROR_TEMP_0024");
                    return Ok(self.defer(error, Expr::null()));
                }
                next = Some((value, unit));
            }
        }
        let interval = match parse_interval_text(&text) {
            Ok(interval) => interval,
            Err(error) => {
                let error = self.error_from(body, error.condition, error.parameters);
                return Ok(self.defer(error, Expr::null()));
            }
        };
        if self.options.legacy_interval {
            return Ok(self.place(ExprKind::Literal(calendar(interval)), start));
        }
        match literal_of_units(interval, &units) {
            Some(Some(literal)) => Ok(self.place(ExprKind::Literal(literal), start)),
            Some(None) => {
                let error = SparkError::of("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION");
                Ok(self.defer(error, Expr::null()))
            }
            None => {
                let literal = self.text_from(start);
                let error = self.error_from(start, "_LEGACY_ERROR_TEMP_0029", [("literal", literal)]);
                Ok(self.defer(error, Expr::null()))
            }
        }
    }

    fn number_and_unit(&mut self, value: &Value, unit: &str, body: usize) -> Result<String> {
        let text = value.text.trim();
        if value.is_string
            && text.chars().any(|c| c.is_alphabetic() || c.is_whitespace() && text.contains(char::is_alphabetic))
        {
            let error = self.error_from(body, "_LEGACY_ERROR_TEMP_0026", [("value", value.text.clone())]);
            return Ok(self.defer(error, format!(" 0 {unit}")));
        }
        let number = match (value.is_negated, text.strip_prefix('-')) {
            (true, Some(positive)) => positive.to_string(),
            (true, None) => format!("-{text}"),
            (false, _) => text.to_string(),
        };
        Ok(format!(" {number} {unit}"))
    }

    /// `INTERVAL '1 day 2 hours'`
    pub(super) fn interval_text_literal(&mut self, text: &str, start: usize) -> Result<Expr> {
        let Ok(interval) = parse_interval_text(text) else {
            return Ok(self.invalid_typed_literal("INTERVAL", text, start));
        };
        if self.options.legacy_interval {
            return Ok(self.place(ExprKind::Literal(calendar(interval)), start));
        }
        let lower = text.to_lowercase();
        let words = lower.split_whitespace().map(|word| word.strip_suffix('s').unwrap_or(word));
        let units: Vec<String> = words
            .filter(|word| *word != "interval" && word.chars().all(|c| c.is_ascii_lowercase()))
            .map(str::to_string)
            .collect();
        match literal_of_units(interval, &units) {
            Some(Some(literal)) => Ok(self.place(ExprKind::Literal(literal), start)),
            Some(None) => Ok(self.invalid_typed_literal("INTERVAL", text, start)),
            None => {
                let literal = self.text_from(start);
                let error = self.error_from(start, "_LEGACY_ERROR_TEMP_0029", [("literal", literal)]);
                Ok(self.defer(error, Expr::null()))
            }
        }
    }
}

fn calendar(interval: crate::interval_text::CalendarInterval) -> Literal {
    Literal::CalendarInterval { months: interval.months, days: interval.days, microseconds: interval.microseconds }
}

/// The CalendarInterval of an ANSI interval: whole days apart from the time.
fn legacy(literal: Literal) -> Literal {
    const MICROS_PER_DAY: i64 = 86_400_000_000;
    match literal {
        Literal::YearMonthInterval(months, ..) => Literal::CalendarInterval { months, days: 0, microseconds: 0 },
        Literal::DayTimeInterval(micros, DayTimeField::Day, _) => Literal::CalendarInterval {
            months: 0,
            days: i32::try_from(micros / MICROS_PER_DAY).unwrap_or(i32::MAX),
            microseconds: micros % MICROS_PER_DAY,
        },
        Literal::DayTimeInterval(microseconds, ..) => Literal::CalendarInterval { months: 0, days: 0, microseconds },
        other => other,
    }
}
