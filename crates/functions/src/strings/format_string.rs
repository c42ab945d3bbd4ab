//! `format_string`: `java.util.Formatter`'s conversions.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, DecimalType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType,
};
use firesteel_plan::{DataType, JavaException, Result, SparkError};

use super::digits::{Digits, Rounding, group, push_java_double, push_java_float};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::view::{self, View};

/// `%[index$][flags][width][.precision]conversion`
#[derive(Debug, Clone, Default, PartialEq)]
struct Specifier {
    index: Option<usize>,
    previous: bool,
    left: bool,
    alternate: bool,
    plus: bool,
    space: bool,
    zero: bool,
    group: bool,
    parentheses: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(String),
    Specifier(Specifier),
}

fn illegal(message: impl Into<String>) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_0000", [("message", message.into())])
}

/// What Java throws for a specifier that no argument is left for.
fn missing_argument(specifier: &Specifier) -> SparkError {
    let index = specifier.index.map(|i| format!("{i}$")).unwrap_or_default();
    let message = format!("Format specifier '%{index}{}'", specifier.conversion);
    SparkError::java(JavaException::MissingFormatArgument, message)
}

fn parse(format: &str) -> Result<Vec<Piece>> {
    let (mut pieces, mut text) = (vec![], String::new());
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let specifier = parse_specifier(&mut chars)?;
        match specifier.conversion {
            'n' => text.push('\n'),
            '%' if specifier.width == 0 => text.push('%'),
            _ => {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Specifier(specifier));
            }
        }
    }
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

fn parse_specifier(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Specifier> {
    let mut s = Specifier::default();
    let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
        let mut value = None::<usize>;
        while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
            value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize));
            chars.next();
        }
        value
    };
    // A number is the index if `$` follows; else it was the width (a leading 0 is a flag).
    if chars.peek().is_some_and(|c| c.is_ascii_digit()) {
        let mut ahead = chars.clone();
        if let (Some(index), Some('$')) = (number(&mut ahead), ahead.peek()) {
            ahead.next();
            *chars = ahead;
            if index == 0 {
                return Err(zero_index());
            }
            s.index = Some(index);
        }
    }
    while let Some(&c) = chars.peek() {
        let flag = match c {
            '-' => &mut s.left,
            '#' => &mut s.alternate,
            '+' => &mut s.plus,
            ' ' => &mut s.space,
            '0' => &mut s.zero,
            ',' => &mut s.group,
            '(' => &mut s.parentheses,
            '<' => &mut s.previous,
            _ => break,
        };
        *flag = true;
        chars.next();
    }
    s.width = number(chars).unwrap_or(0);
    if chars.next_if_eq(&'.').is_some() {
        s.precision = Some(number(chars).ok_or_else(|| illegal("A precision is missing after '.' in the format"))?);
    }
    s.conversion = chars.next().ok_or_else(|| illegal("The format ends with '%'"))?;
    if !"bBhHsScCdoxXeEfgGaA%n".contains(s.conversion) {
        return Err(illegal(format!("Conversion = '{}'", s.conversion)));
    }
    if (s.left || s.zero) && s.width == 0 && s.conversion != 'n' {
        return Err(illegal(format!("A width is missing for the conversion '{}'", s.conversion)));
    }
    if s.width > 1 << 24 || s.precision.is_some_and(|p| p > 1 << 24) {
        return Err(illegal("The width or precision in the format is too large"));
    }
    Ok(s)
}

fn zero_index() -> SparkError {
    SparkError::new(
        "INVALID_PARAMETER_VALUE.ZERO_INDEX",
        [("parameter", "`strfmt`"), ("functionName", "`format_string`")],
    )
}

/// A value to be formatted.
enum Value {
    Null,
    /// Value and width of the type in bits
    Integer(i64, u32),
    Double(f64),
    Float(f32),
    Boolean(bool),
    Text(String),
}

impl Value {
    fn of(array: &ArrayRef, row: usize, data_type: &DataType) -> Self {
        if array.is_null(row) {
            return Self::Null;
        }
        match array.data_type() {
            ArrowType::Null => Self::Null,
            ArrowType::Boolean => Self::Boolean(array.as_boolean().value(row)),
            ArrowType::Int8 => Self::Integer(array.as_primitive::<Int8Type>().value(row).into(), 8),
            ArrowType::Int16 => Self::Integer(array.as_primitive::<Int16Type>().value(row).into(), 16),
            ArrowType::Int32 => Self::Integer(array.as_primitive::<Int32Type>().value(row).into(), 32),
            ArrowType::Int64 => Self::Integer(array.as_primitive::<Int64Type>().value(row), 64),
            // Dates and timestamps show as Spark stores them.
            ArrowType::Date32 => Self::Integer(array.as_primitive::<Date32Type>().value(row).into(), 32),
            ArrowType::Timestamp(..) => Self::Integer(array.as_primitive::<TimestampMicrosecondType>().value(row), 64),
            ArrowType::Float32 => Self::Float(array.as_primitive::<Float32Type>().value(row)),
            ArrowType::Float64 => Self::Double(array.as_primitive::<Float64Type>().value(row)),
            ArrowType::Utf8 => Self::Text(array.as_string::<i32>().value(row).to_string()),
            ArrowType::Decimal128(_, scale) => {
                let value = array.as_primitive::<Decimal128Type>().value(row);
                Self::Text(Decimal128Type::format_decimal(value, 38, *scale))
            }
            ArrowType::List(_) => {
                let items = array.as_list::<i32>().value(row);
                let element = match data_type {
                    DataType::Array(element, _) => element.as_ref().clone(),
                    _ => DataType::Null,
                };
                let texts: Vec<_> = (0..items.len()).map(|i| Self::of(&items, i, &element).text()).collect();
                Self::Text(format!("[{}]", texts.join(",")))
            }
            ArrowType::Struct(_) => {
                let columns = array.as_struct().columns();
                let texts: Vec<_> = columns.iter().map(|c| Self::of(c, row, &DataType::Null).text()).collect();
                Self::Text(format!("[{}]", texts.join(",")))
            }
            _ => {
                let options = arrow::util::display::FormatOptions::default();
                let text =
                    arrow::util::display::ArrayFormatter::try_new(array, &options).map(|f| f.value(row).to_string());
                Self::Text(text.unwrap_or_default())
            }
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        match self {
            Self::Null => out.push_str("null"),
            Self::Integer(value, _) => out.push_str(&value.to_string()),
            Self::Double(value) => push_java_double(*value, &mut out),
            Self::Float(value) => push_java_float(*value, &mut out),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Text(text) => out.push_str(text),
        }
        out
    }

    fn java_class(&self) -> &'static str {
        match self {
            Self::Integer(_, 8) => "java.lang.Byte",
            Self::Integer(_, 16) => "java.lang.Short",
            Self::Integer(_, 32) => "java.lang.Integer",
            Self::Integer(..) => "java.lang.Long",
            Self::Double(_) => "java.lang.Double",
            Self::Float(_) => "java.lang.Float",
            Self::Boolean(_) => "java.lang.Boolean",
            Self::Null | Self::Text(_) => "java.lang.String",
        }
    }
}

impl Specifier {
    fn format(&self, value: &Value, out: &mut String) -> Result<()> {
        let upper = self.conversion.is_ascii_uppercase();
        let text = match self.conversion.to_ascii_lowercase() {
            'b' => self.cut(match value {
                Value::Null => "false".into(),
                Value::Boolean(value) => value.to_string(),
                _ => "true".into(),
            }),
            's' => self.cut(value.text()),
            '%' => "%".into(),
            _ if matches!(value, Value::Null) => "null".into(),
            'c' => self.character(value)?,
            'd' | 'o' | 'x' => return self.integer(value, out),
            'e' | 'f' | 'g' | 'a' => return self.float(value, out),
            _ => return Err(SparkError::unsupported(format!("the conversion %{} of format_string", self.conversion))),
        };
        self.pad(&if upper { text.to_uppercase() } else { text }, out);
        Ok(())
    }

    fn mismatch<T>(&self, value: &Value) -> Result<T> {
        Err(illegal(format!("{} != {}", self.conversion, value.java_class())))
    }

    fn cut(&self, text: String) -> String {
        match self.precision {
            Some(most) => text.chars().take(most).collect(),
            None => text,
        }
    }

    fn pad(&self, text: &str, out: &mut String) {
        let missing = self.width.saturating_sub(text.chars().count());
        if !self.left {
            out.extend(std::iter::repeat_n(' ', missing));
        }
        out.push_str(text);
        if self.left {
            out.extend(std::iter::repeat_n(' ', missing));
        }
    }

    fn character(&self, value: &Value) -> Result<String> {
        match value {
            Value::Integer(code, 8 | 16 | 32) => {
                let c = u32::try_from(*code).ok().and_then(char::from_u32);
                c.map(String::from).ok_or_else(|| illegal(format!("Code point = 0x{code:x}")))
            }
            _ => self.mismatch(value),
        }
    }

    fn integer(&self, value: &Value, out: &mut String) -> Result<()> {
        let Value::Integer(value, bits) = value else { return self.mismatch(value) };
        if self.conversion == 'd' {
            self.signed(*value < 0, &value.unsigned_abs().to_string(), out);
            return Ok(());
        }
        let unsigned = *value as u64 & (u64::MAX >> (64 - bits));
        let (prefix, digits) = match self.conversion {
            'o' => ("0", format!("{unsigned:o}")),
            'x' => ("0x", format!("{unsigned:x}")),
            _ => ("0X", format!("{unsigned:X}")),
        };
        let prefix = if self.alternate { prefix } else { "" };
        let zeros = if self.zero { self.width.saturating_sub(prefix.len() + digits.len()) } else { 0 };
        self.pad(&format!("{prefix}{}{digits}", "0".repeat(zeros)), out);
        Ok(())
    }

    /// Puts sign, grouping and zeros around the digits of a number.
    fn signed(&self, negative: bool, digits: &str, out: &mut String) {
        let (whole, rest) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
        let whole = if self.group { group(whole, 3, ',') } else { whole.to_string() };
        let (before, after) = match negative {
            true if self.parentheses => ("(", ")"),
            true => ("-", ""),
            false if self.plus => ("+", ""),
            false if self.space => (" ", ""),
            false => ("", ""),
        };
        let length = before.len() + whole.len() + rest.len() + after.len();
        let zeros = if self.zero { self.width.saturating_sub(length) } else { 0 };
        self.pad(&format!("{before}{}{whole}{rest}{after}", "0".repeat(zeros)), out);
    }

    fn float(&self, value: &Value, out: &mut String) -> Result<()> {
        let number = match value {
            Value::Double(value) => *value,
            Value::Float(value) => f64::from(*value),
            _ => return self.mismatch(value),
        };
        if !number.is_finite() {
            let text = if number.is_nan() {
                "NaN".to_string()
            } else {
                match (number < 0.0, self.parentheses, self.plus) {
                    (true, true, _) => "(Infinity)".into(),
                    (true, false, _) => "-Infinity".into(),
                    (false, _, true) => "+Infinity".into(),
                    _ => "Infinity".into(),
                }
            };
            let text = if self.conversion.is_ascii_uppercase() { text.to_uppercase() } else { text };
            self.pad(&text, out);
            return Ok(());
        }
        let digits = Digits::of_f64(number.abs());
        let precision = self.precision.unwrap_or(6);
        let text = match self.conversion.to_ascii_lowercase() {
            'f' => fixed(digits, precision),
            'e' => scientific(digits, precision),
            'a' => hexadecimal(number.abs()),
            _ => general(digits, number.abs(), precision.max(1)),
        };
        let text = if self.conversion.is_ascii_uppercase() { text.to_uppercase() } else { text };
        self.signed(number.is_sign_negative(), &text, out);
        Ok(())
    }
}

fn fixed(mut digits: Digits, precision: usize) -> String {
    digits.round(precision as i32, Rounding::HalfUp);
    let whole = digits.whole();
    let whole = if whole.is_empty() { "0".to_string() } else { whole };
    if precision == 0 { whole } else { format!("{whole}.{}", digits.fraction(precision)) }
}

fn scientific(mut digits: Digits, precision: usize) -> String {
    digits.round_to_digits(precision as i64 + 1, Rounding::HalfUp);
    let exponent = if digits.is_zero() { 0 } else { digits.point - 1 };
    digits.point -= exponent;
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", fixed(digits, precision), exponent.unsigned_abs())
}

/// `%g`: plain from 10⁻⁴ up to 10^precision, scientific elsewhere.
fn general(digits: Digits, value: f64, precision: usize) -> String {
    let mut rounded = digits.clone();
    rounded.round_to_digits(precision as i64, Rounding::HalfUp);
    if value == 0.0 {
        return fixed(rounded, precision - 1);
    }
    if rounded.point > -4 && rounded.point <= precision as i32 {
        let places = precision as i32 - rounded.point;
        return fixed(rounded, usize::try_from(places).unwrap_or(0));
    }
    scientific(rounded, precision - 1)
}

/// `Double.toHexString`
fn hexadecimal(value: f64) -> String {
    let bits = value.to_bits();
    let (exponent, mantissa) = ((bits >> 52) as i32 & 0x7FF, bits & ((1 << 52) - 1));
    let (lead, exponent) = match exponent {
        0 if mantissa == 0 => return "0x0.0p0".into(),
        0 => (0, -1022),
        _ => (1, exponent - 1023),
    };
    let digits = format!("{mantissa:013x}");
    let digits = digits.trim_end_matches('0');
    format!("0x{lead}.{}p{exponent}", if digits.is_empty() { "0" } else { digits })
}

fn format_string(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let formats = view::strings(args, 0)?;
    let values: Vec<View<ArrayRef>> = (1..args.values.len()).map(|i| view::any(args, i)).collect::<Result<_>>()?;
    let constant = formats.constant().map(parse).transpose()?;
    rows::try_text(args.rows, |row, out| {
        let Some(format) = formats.get(row) else { return Ok(None) };
        let fresh;
        let pieces = match &constant {
            Some(pieces) => pieces,
            None => {
                fresh = parse(format)?;
                &fresh
            }
        };
        let (mut ordinary, mut last) = (0, None);
        for piece in pieces {
            let specifier = match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Piece::Specifier(specifier) => specifier,
            };
            if specifier.conversion == '%' {
                specifier.format(&Value::Null, out)?;
                continue;
            }
            let index = if specifier.previous {
                last.ok_or_else(|| illegal("Format specifier '%<s'"))?
            } else if let Some(index) = specifier.index {
                index - 1
            } else {
                ordinary += 1;
                ordinary - 1
            };
            last = Some(index);
            let missing = || missing_argument(specifier);
            let column = values.get(index).ok_or_else(missing)?;
            let data_type = args.arg_types.get(index + 1).unwrap_or(&DataType::Null);
            specifier.format(&Value::of(&column.array, column.index(row), data_type), out)?;
        }
        Ok(Some(()))
    })
}

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, usize::MAX)?;
    if let Some(format) = arguments.values.first().and_then(|f| f.as_string_literal())
        && format.contains("%0$")
    {
        return Err(zero_index().with_origin(context.origin.as_ref()));
    }
    let nullable = arguments.values.first().is_some_and(|a| a.nullable);
    let function = crate::registry::lookup("format_string").ok_or_else(|| SparkError::internal("format_string"))?;
    let signature = Signature::new(&[Accept::String], Returns::Is(SimpleType::String), format_string)
        .rest(Accept::Any)
        .nulls(Nulls::Never);
    Ok(Built::Expr(signature.build(function, context, arguments)?.with_nullable(nullable)))
}

pub static FUNCTIONS: &[Function] = &[Function {
    name: "format_string",
    aliases: &["printf"],
    kind: FunctionKind::Scalar,
    group: "string_funcs",
    parameters: &[],
    build: Build::Custom(build),
    usage: "format_string(strfmt, obj, ...) - Formats values by a printf-style format.",
    examples: &[("SELECT format_string(\"Hello World %d %s\", 100, \"days\");", "Hello World 100 days")],
    since: "1.5.0",
}];

#[cfg(test)]
mod tests {
    use super::*;

    fn format(text: &str, value: Value) -> String {
        let mut out = String::new();
        for piece in parse(text).unwrap() {
            match piece {
                Piece::Text(text) => out.push_str(&text),
                Piece::Specifier(s) => s.format(&value, &mut out).unwrap(),
            }
        }
        out
    }

    #[test]
    fn conversions() {
        assert_eq!(format("%5.2f|", Value::Double(3.1449)), " 3.14|");
        assert_eq!(format("%.2f", Value::Double(1.005)), "1.01");
        assert_eq!(format("%08d", Value::Integer(-42, 32)), "-0000042");
        assert_eq!(format("%x", Value::Integer(-1, 32)), "ffffffff");
        assert_eq!(format("%.3g", Value::Double(1234.5)), "1.23e+03");
        assert_eq!(format("%g", Value::Double(0.00001)), "1.00000e-05");
        assert_eq!(format("%a", Value::Double(1.0)), "0x1.0p0");
        assert_eq!(format("%-6s|", Value::Text("ab".into())), "ab    |");
    }
}
