//! Numbers in text, as Java reads them.

/// `true` or `false`, whatever the case.
pub(crate) fn parse_flag(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Java's `Double.parseDouble`: white space around it, a type suffix, `NaN` and `Infinity`.
pub(crate) fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" if text.starts_with('-') => return Some(f64::NEG_INFINITY),
        "Infinity" => return Some(f64::INFINITY),
        _ => {}
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust also reads `inf`, `nan` and their like; Java's numbers have a digit.
    if !number.bytes().any(|b| b.is_ascii_digit())
        || number.bytes().any(|b| b.is_ascii_alphabetic() && !b"eE".contains(&b))
    {
        return None;
    }
    number.parse().ok()
}

/// Digits, scale and sign of a decimal number: value = unscaled × 10^-scale. `None` where it is no number or has more than
/// 38 significant digits.
pub(crate) fn parse_decimal(text: &str) -> Option<(i128, i32)> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    Some((if negative { -value } else { value }, scale))
}

/// A parsed decimal at a precision and scale, rounded half up; `None` where it does not fit.
pub(crate) fn rescale(value: (i128, i32), precision: u8, scale: i8) -> Option<i128> {
    let shift = i32::from(scale).checked_sub(value.1)?;
    let scaled = if shift >= 0 {
        if value.0 == 0 { 0 } else { value.0.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?)? }
    } else {
        match 10i128.checked_pow(shift.unsigned_abs()) {
            Some(divisor) => {
                let (quotient, rest) = (value.0 / divisor, value.0 % divisor);
                if rest.abs() >= divisor - rest.abs() { quotient + value.0.signum() } else { quotient }
            }
            None => 0,
        }
    };
    (scaled.unsigned_abs() < 10u128.pow(u32::from(precision.min(38)))).then_some(scaled)
}

/// Precision and scale of a parsed decimal, as Java's `BigDecimal` counts them.
pub(crate) fn precision_and_scale(value: (i128, i32)) -> (i32, i32) {
    let digits = i32::try_from(value.0.unsigned_abs().to_string().len()).unwrap_or(i32::MAX);
    (digits, value.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_java_does() {
        assert_eq!(parse_double(" 1.5d "), Some(1.5));
        assert_eq!(parse_double("1e400"), Some(f64::INFINITY));
        assert_eq!(parse_double("inf"), None);
        assert_eq!(parse_double(""), None);
        assert_eq!(parse_decimal("-1.50"), Some((-150, 2)));
        assert_eq!(parse_decimal("1E3"), Some((1, -3)));
        assert_eq!(parse_decimal("x"), None);
        assert_eq!(rescale((1005, 3), 5, 2), Some(101));
        assert_eq!(rescale((-1005, 3), 5, 2), Some(-101));
        assert_eq!(rescale((12_345_678, 3), 5, 2), None);
        assert_eq!(rescale((1, -3), 5, 0), Some(1000));
    }
}
