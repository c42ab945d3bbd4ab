//! Constants: NULL, booleans, numbers, strings, typed literals, parameter markers.
use firesteel_plan::{Expr, ExprKind, Literal, Result};

use super::string;
use crate::datetime;
use crate::parser::Parser;
use crate::token::Kind;

const MAX_PRECISION: usize = 38;
/// Stands in for a literal that has no value.
const NULL: Literal = Literal::Null(firesteel_plan::DataType::Null);
const SUPPORTED_TYPED_LITERALS: &str =
    "\"DATE\", \"TIMESTAMP_NTZ\", \"TIMESTAMP_LTZ\", \"TIMESTAMP\", \"INTERVAL\", \"X\", \"TIME\"";

impl Parser<'_> {
    /// The constant that begins here, if one does.
    pub(crate) fn constant(&mut self) -> Result<Option<Expr>> {
        let start = self.position();
        if let Some(marker) = self.parameter_marker()? {
            return Ok(Some(marker));
        }
        let literal = match self.kind() {
            Kind::NULL if !self.is_field_access() => {
                self.advance();
                Literal::Null(firesteel_plan::DataType::Null)
            }
            Kind::TRUE | Kind::FALSE if !self.is_field_access() => Literal::Boolean(self.advance().kind == Kind::TRUE),
            Kind::INTERVAL if self.at_interval() => return self.interval().map(Some),
            kind if kind.is_number() || (kind == Kind::Minus && self.kind_at(1).is_number()) => self.number()?,
            _ if self.at_string() => Literal::String(self.string_literal()?),
            _ if self.at_identifier() && self.is_string_at(1) && !self.at(Kind::BackquotedIdentifier) => {
                return self.typed_literal().map(Some);
            }
            _ => return Ok(None),
        };
        Ok(Some(self.place(Expr::literal(literal), start)))
    }

    fn is_field_access(&self) -> bool {
        matches!(self.kind_at(1), Kind::LeftParen) || (self.kind_at(1) == Kind::Dot && self.is_identifier_at(2, false))
    }

    pub(crate) fn number(&mut self) -> Result<Literal> {
        let start = self.position();
        let sign = if self.eat(Kind::Minus) { "-" } else { "" };
        let token = self.advance();
        let text = self.token_text(token);
        let suffix = match token.kind {
            Kind::BigDecimalLiteral => 2,
            Kind::IntegerValue | Kind::DecimalValue | Kind::ExponentValue => 0,
            _ => 1,
        };
        let digits = format!("{sign}{}", &text[..text.len().saturating_sub(suffix)]);
        match token.kind {
            Kind::IntegerValue => self.whole_number(&digits, start),
            Kind::TinyintLiteral => {
                self.ranged(digits.parse().map(Literal::Byte).ok(), digits, "tinyint", i8::MIN, i8::MAX, start)
            }
            Kind::SmallintLiteral => {
                self.ranged(digits.parse().map(Literal::Short).ok(), digits, "smallint", i16::MIN, i16::MAX, start)
            }
            Kind::BigintLiteral => {
                self.ranged(digits.parse().map(Literal::Long).ok(), digits, "bigint", i64::MIN, i64::MAX, start)
            }
            Kind::FloatLiteral => {
                let value = digits.parse::<f32>().ok().filter(|value| value.is_finite()).map(Literal::Float);
                let (low, high) = ("-3.4028234663852886E+38", "3.4028234663852886E+38");
                self.ranged(value, digits, "float", low, high, start)
            }
            Kind::ExponentValue if self.options.exponent_literal_as_decimal => self.decimal(&digits, start),
            Kind::DoubleLiteral | Kind::ExponentValue => {
                let value = digits.parse::<f64>().ok().filter(|value| value.is_finite()).map(Literal::Double);
                let (low, high) = ("-1.7976931348623157E+308", "1.7976931348623157E+308");
                self.ranged(value, digits, "double", low, high, start)
            }
            _ => self.decimal(&digits, start),
        }
    }

    fn ranged(
        &mut self,
        value: Option<Literal>,
        digits: String,
        type_name: &str,
        minimum: impl ToString,
        maximum: impl ToString,
        start: usize,
    ) -> Result<Literal> {
        if let Some(value) = value {
            return Ok(value);
        }
        let parameters = [
            ("rawStrippedQualifier", digits),
            ("minValue", minimum.to_string()),
            ("maxValue", maximum.to_string()),
            ("typeName", type_name.to_string()),
        ];
        let error = self.error_from(start, "INVALID_NUMERIC_LITERAL_RANGE", parameters);
        Ok(self.defer(error, NULL))
    }

    /// INT, else BIGINT, else DECIMAL.
    fn whole_number(&mut self, digits: &str, start: usize) -> Result<Literal> {
        if let Ok(value) = digits.parse() {
            return Ok(Literal::Integer(value));
        }
        if let Ok(value) = digits.parse() {
            return Ok(Literal::Long(value));
        }
        self.decimal(digits, start)
    }

    fn decimal(&mut self, text: &str, start: usize) -> Result<Literal> {
        decimal_literal(text).or_else(|precision| {
            let parameters = [("precision", precision.to_string()), ("maxPrecision", MAX_PRECISION.to_string())];
            let error = self.error_from(start, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", parameters);
            Ok(self.defer(error, NULL))
        })
    }

    /// `DATE '…'`, `TIMESTAMP '…'`, `X'…'`, `INTERVAL '…'`
    fn typed_literal(&mut self) -> Result<Expr> {
        let start = self.position();
        let type_name = self.identifier()?.to_uppercase();
        let text = self.one_string()?;
        let options = self.options;
        let value = match type_name.as_str() {
            "DATE" => datetime::parse_date(&text, options),
            "TIMESTAMP" => datetime::parse_timestamp_literal(&text, options),
            "TIMESTAMP_LTZ" => datetime::parse_timestamp(&text, options),
            "TIMESTAMP_NTZ" => datetime::parse_timestamp_ntz(&text, options),
            "TIME" => datetime::parse_time(&text),
            "X" => binary(&text),
            "INTERVAL" => return self.interval_text_literal(&text, start),
            _ => {
                let parameters = [
                    ("unsupportedType", format!("\"{type_name}\"")),
                    ("supportedTypes", SUPPORTED_TYPED_LITERALS.to_string()),
                ];
                let error = self.error_from(start, "UNSUPPORTED_TYPED_LITERAL", parameters);
                return Ok(self.defer(error, Expr::null()));
            }
        };
        match value {
            Some(value) => Ok(self.place(Expr::literal(value), start)),
            None => Ok(self.invalid_typed_literal(&type_name, &text, start)),
        }
    }

    pub(super) fn invalid_typed_literal(&mut self, type_name: &str, text: &str, start: usize) -> Expr {
        let parameters = [("valueType", format!("\"{type_name}\"")), ("value", format!("'{text}'"))];
        let error = self.error_from(start, "INVALID_TYPED_LITERAL", parameters);
        self.defer(error, Expr::null())
    }

    /// A constant as PARTITION, OPTIONS and the like take it; any other expression is refused.
    pub(crate) fn required_constant(&mut self) -> Result<Expr> {
        match self.constant()? {
            Some(constant) => Ok(constant),
            None => Err(self.syntax_error()),
        }
    }

    /// A string literal or a parameter marker.
    pub(crate) fn string_or_marker(&mut self) -> Result<Expr> {
        let start = self.position();
        if let Some(marker) = self.parameter_marker()? {
            return Ok(marker);
        }
        let text = self.string_literal()?;
        Ok(self.place(string(text), start))
    }

    /// An integer or a parameter marker.
    pub(crate) fn integer_or_marker(&mut self) -> Result<Expr> {
        let start = self.position();
        if let Some(marker) = self.parameter_marker()? {
            return Ok(marker);
        }
        let token = self.expect(Kind::IntegerValue)?;
        let digits = self.token_text(token).to_string();
        let literal = self.whole_number(&digits, start)?;
        Ok(self.place(ExprKind::Literal(literal), start))
    }
}

/// A decimal from its text (with exponent); the precision where it does not fit.
pub(crate) fn decimal_literal(text: &str) -> Result<Literal, usize> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(i32::MAX / 2)),
        None => (text, 0),
    };
    let is_negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['-', '+']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let mut scale = i32::try_from(fraction.len()).unwrap_or(i32::MAX).saturating_sub(exponent);
    let mut digits = digits.to_string();
    // Spark's decimals have no negative scale
    while scale < 0 && digits.len() <= MAX_PRECISION && !digits.is_empty() {
        digits.push('0');
        scale += 1;
    }
    if digits.is_empty() {
        scale = scale.max(0);
    }
    let scale_length = usize::try_from(scale).unwrap_or(0);
    let precision = digits.len().max(scale_length).max(1);
    if precision > MAX_PRECISION || scale < 0 {
        return Err(precision);
    }
    let unscaled: i128 = if digits.is_empty() { 0 } else { digits.parse().map_err(|_| precision)? };
    let unscaled = if is_negative { -unscaled } else { unscaled };
    let precision = u8::try_from(precision).map_err(|_| MAX_PRECISION)?;
    Ok(Literal::Decimal(unscaled, precision, i8::try_from(scale).map_err(|_| MAX_PRECISION)?))
}

/// Hexadecimal digits; an odd count has a leading zero.
fn binary(text: &str) -> Option<Literal> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let padding = digits.len() % 2;
    let padded: Vec<u8> = std::iter::repeat_n(0, padding).chain(digits).collect();
    Some(Literal::Binary(padded.chunks(2).map(|pair| pair[0] * 16 + pair.get(1).copied().unwrap_or(0)).collect()))
}
