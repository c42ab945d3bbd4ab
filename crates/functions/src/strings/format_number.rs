//! `format_number`: numbers by a count of decimals or by a `java.text.DecimalFormat` pattern.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Float32Type, Float64Type, Int64Type};
use firesteel_plan::{DataType, Result, SparkError};

use super::digits::{Digits, Rounding, group};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::view;

/// A parsed pattern.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pattern {
    prefix: String,
    suffix: String,
    /// Of negative numbers; `-` before the positive prefix where the pattern has no second half.
    negative: Option<(String, String)>,
    least_whole: usize,
    /// Most digits before the point, which only counts in scientific notation.
    most_whole: usize,
    least_fraction: usize,
    most_fraction: usize,
    grouping: usize,
    /// Least digits of the exponent.
    exponent: Option<usize>,
    /// 100 and 1000 for `%` and `‰`: the power of ten.
    shift: i32,
    always_point: bool,
}

impl Pattern {
    /// `d` decimals with groups of three: what `format_number(x, d)` means.
    fn decimals(count: usize) -> Self {
        Self { least_whole: 1, least_fraction: count, most_fraction: count, grouping: 3, ..Self::default() }
    }

    /// `None` where Java would refuse the pattern.
    pub fn parse(text: &str) -> Option<Self> {
        let (positive, negative) = split_unquoted(text);
        let mut pattern = Self::parse_half(&positive)?;
        if let Some(negative) = negative {
            let half = Self::parse_half(&negative)?;
            let same = half.prefix == pattern.prefix && half.suffix == pattern.suffix;
            pattern.negative = (!same).then_some((half.prefix, half.suffix));
        }
        Some(pattern)
    }

    fn parse_half(text: &str) -> Option<Self> {
        let mut pattern = Self::default();
        let mut chars = text.chars().peekable();
        pattern.prefix = pattern.affix(&mut chars);
        let (mut hashes, mut zeros, mut fraction_zeros, mut fraction_hashes) = (0, 0, 0, 0);
        let (mut since_comma, mut in_fraction) = (None::<usize>, false);
        while let Some(&c) = chars.peek() {
            match c {
                '#' if !in_fraction && zeros == 0 => hashes += 1,
                '0' if !in_fraction => zeros += 1,
                '0' if fraction_hashes == 0 => fraction_zeros += 1,
                '#' if in_fraction => fraction_hashes += 1,
                ',' if !in_fraction => since_comma = Some(0),
                '.' if !in_fraction => in_fraction = true,
                'E' => break,
                '#' | '0' | ',' | '.' => return None,
                _ => break,
            }
            if !in_fraction && c != ',' {
                since_comma = since_comma.map(|n| n + 1);
            }
            chars.next();
        }
        if chars.peek() == Some(&'E') {
            chars.next();
            let mut least = 0;
            while chars.next_if_eq(&'0').is_some() {
                least += 1;
            }
            if least == 0 {
                return None;
            }
            pattern.exponent = Some(least);
        }
        pattern.suffix = pattern.affix(&mut chars);
        if chars.next().is_some() {
            return None;
        }
        // Only hashes before a fraction without zeros: Java asks for one digit before the point.
        pattern.least_whole = zeros;
        if zeros == 0 && hashes > 0 && !in_fraction {
            pattern.least_whole = usize::from(pattern.exponent.is_none()).min(1);
        }
        pattern.most_whole = hashes + zeros;
        pattern.least_fraction = fraction_zeros;
        pattern.most_fraction = fraction_zeros + fraction_hashes;
        pattern.grouping = since_comma.unwrap_or(0);
        pattern.always_point = in_fraction && pattern.most_fraction == 0;
        Some(pattern)
    }

    /// Literal text around the number; quotes protect special characters, `''` is one quote.
    fn affix(&mut self, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
        let (mut out, mut quoted) = (String::new(), false);
        while let Some(&c) = chars.peek() {
            match c {
                '\'' => {
                    chars.next();
                    if chars.peek() == Some(&'\'') {
                        out.push('\'');
                        chars.next();
                    } else {
                        quoted = !quoted;
                    }
                    continue;
                }
                _ if quoted => out.push(c),
                '#' | '0' | ',' | '.' => break,
                '%' => {
                    self.shift = 2;
                    out.push(c);
                }
                '\u{2030}' => {
                    self.shift = 3;
                    out.push(c);
                }
                '\u{a4}' => out.push('$'),
                _ => out.push(c),
            }
            chars.next();
        }
        out
    }

    pub fn format(&self, mut digits: Digits, out: &mut String) {
        let negative = digits.negative;
        digits.point += if digits.is_zero() { 0 } else { self.shift };
        let (prefix, suffix) = match (&self.negative, negative) {
            (Some((prefix, suffix)), true) => (prefix, suffix),
            _ => {
                if negative {
                    out.push('-');
                }
                (&self.prefix, &self.suffix)
            }
        };
        out.push_str(prefix);
        match self.exponent {
            Some(least) => self.scientific(digits, least, out),
            None => self.plain(digits, out),
        }
        out.push_str(suffix);
    }

    fn plain(&self, mut digits: Digits, out: &mut String) {
        digits.round(self.most_fraction as i32, Rounding::HalfEven);
        let whole = format!("{:0>width$}", digits.whole(), width = self.least_whole);
        let places = digits.scale().clamp(self.least_fraction, self.most_fraction);
        if whole.is_empty() && places == 0 {
            out.push('0');
        }
        out.push_str(&group(&whole, self.grouping, ','));
        if places > 0 || self.always_point {
            out.push('.');
        }
        out.push_str(&digits.fraction(places));
    }

    fn scientific(&self, mut digits: Digits, least_exponent: usize, out: &mut String) {
        let most = self.most_whole.max(self.least_whole);
        let zero = digits.is_zero();
        // Exponents are multiples of the most whole digits where those are more than the least.
        let whole_of = |digits: &Digits| -> i32 {
            if most > 1 && most > self.least_whole {
                (digits.point - 1).rem_euclid(most as i32) + 1
            } else {
                self.least_whole.max(1) as i32 - i32::from(self.least_whole == 0 && self.least_fraction > 0)
            }
        };
        let kept = if most > self.least_whole && most > 1 {
            (self.least_whole + self.most_fraction).max(1) as i64
        } else {
            i64::from(whole_of(&digits)) + self.most_fraction as i64
        };
        digits.round_to_digits(kept, Rounding::HalfEven);
        let whole_digits = whole_of(&digits);
        let exponent = if zero { 0 } else { digits.point - whole_digits };
        digits.point -= exponent;
        out.push_str(&format!("{:0>width$}", digits.whole(), width = self.least_whole));
        let places = digits.scale().max(self.least_fraction);
        if places > 0 {
            out.push('.');
        }
        out.push_str(&digits.fraction(places));
        out.push('E');
        if exponent < 0 {
            out.push('-');
        }
        out.push_str(&format!("{:0>least_exponent$}", exponent.unsigned_abs()));
    }
}

/// The halves of a pattern around an unquoted `;`.
fn split_unquoted(text: &str) -> (String, Option<String>) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            ';' if !quoted => return (text[..at].to_string(), text.get(at + 1..).map(str::to_string)),
            _ => {}
        }
    }
    (text.to_string(), None)
}

/// The digits of a number in a column; special doubles are given as their text.
enum Number {
    Digits(Digits),
    Text(&'static str),
}

fn number(array: &ArrayRef, row: usize) -> Result<Number> {
    let double = |value: f64| match value {
        _ if value.is_nan() => Number::Text("NaN"),
        f64::INFINITY => Number::Text("∞"),
        f64::NEG_INFINITY => Number::Text("-∞"),
        _ if value.abs() >= 1e17 || value.abs() < 1e-300 => Number::Digits(signed(Digits::of_f64(value), value)),
        // A tie is one only if the double is exactly in the middle.
        _ => Number::Digits(signed(Digits::exact_f64(value), value)),
    };
    Ok(match array.data_type() {
        ArrowType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        ArrowType::Float32 => double(f64::from(array.as_primitive::<Float32Type>().value(row))),
        ArrowType::Decimal128(_, scale) => {
            Number::Digits(Digits::of_decimal(array.as_primitive::<Decimal128Type>().value(row), *scale))
        }
        _ => {
            let long =
                arrow::compute::cast(&array.slice(row, 1), &ArrowType::Int64).map_err(crate::scalar::from_arrow)?;
            Number::Digits(Digits::parse(&long.as_primitive::<Int64Type>().value(0).to_string()))
        }
    })
}

fn signed(mut digits: Digits, value: f64) -> Digits {
    digits.negative = value.is_sign_negative();
    digits
}

fn format_number(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::any(args, 0)?;
    let by_count = args.arg_types.get(1) == Some(&DataType::Integer);
    let (counts, patterns) =
        if by_count { (Some(view::ints(args, 1)?), None) } else { (None, Some(view::strings(args, 1)?)) };
    let mut last: Option<(String, Option<Pattern>)> = None;
    rows::try_text(args.rows, |row, out| {
        if input.is_null_at(row) {
            return Ok(None);
        }
        let pattern = match (&counts, &patterns) {
            (Some(counts), _) => match counts.get(row).map(usize::try_from) {
                Some(Ok(count)) => Some(Pattern::decimals(count)),
                _ => None,
            },
            (_, Some(patterns)) => match patterns.get(row) {
                None => None,
                // An empty pattern means the default one.
                Some("") => Some(Pattern { least_whole: 1, grouping: 3, most_fraction: 0, ..Pattern::default() }),
                Some(text) => {
                    if last.as_ref().is_none_or(|(known, _)| known != text) {
                        last = Some((text.to_string(), Pattern::parse(text)));
                    }
                    let parsed = last.as_ref().and_then(|(_, pattern)| pattern.clone());
                    Some(parsed.ok_or_else(|| malformed(text))?)
                }
            },
            _ => None,
        };
        let Some(pattern) = pattern else { return Ok(None) };
        match number(&input.array, input.index(row))? {
            Number::Text(text) => out.push_str(text),
            Number::Digits(digits) => pattern.format(digits, out),
        }
        Ok(Some(()))
    })
}

fn malformed(pattern: &str) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_0000", [("message", format!("Malformed pattern \"{pattern}\""))])
}

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 2)?;
    let by_pattern = arguments.values.get(1).is_some_and(|a| a.data_type.is_string());
    let accepts: &'static [Accept] =
        if by_pattern { &[Accept::Numeric, Accept::String] } else { &[Accept::Numeric, Accept::Integer] };
    let signature = Signature::new(accepts, Returns::Is(SimpleType::String), format_number).nulls(Nulls::Always);
    let function = crate::registry::lookup("format_number").ok_or_else(|| SparkError::internal("format_number"))?;
    signature.build(function, context, arguments).map(Built::Expr)
}

pub static FUNCTIONS: &[Function] = &[Function {
    name: "format_number",
    aliases: &[],
    kind: FunctionKind::Scalar,
    group: "string_funcs",
    parameters: &["expr1", "expr2"],
    build: Build::Custom(build),
    usage: "format_number(expr1, expr2) - Writes a number with groups of three digits and `expr2` decimals, or by the \
            pattern `expr2`.",
    examples: &[
        ("SELECT format_number(12332.123456, 4);", "12,332.1235"),
        ("SELECT format_number(12332.123456, '##################.###');", "12332.123"),
    ],
    since: "1.5.0",
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let format = |pattern: &str, number: &str| {
            let mut out = String::new();
            Pattern::parse(pattern).unwrap().format(Digits::parse(number), &mut out);
            out
        };
        assert_eq!(format("#,###.00", "1234567.891"), "1,234,567.89");
        assert_eq!(format("0.###E0", "0.00001"), "1E-5");
        assert_eq!(format("##0.##E0", "12345"), "12.3E3");
        assert_eq!(format("00.0%", "0.1234"), "12.3%");
        assert_eq!(format("#.#", "0"), "0");
        assert_eq!(format("'#'0;(0)", "-5"), "(5)");
    }
}
