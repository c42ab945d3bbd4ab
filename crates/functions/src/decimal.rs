//! Decimal numbers as Spark's `Decimal`: an unscaled `i128` with a scale, rounded half up.
use num_bigint::BigInt;

/// 10 to the power of `exponent` for 0..=38.
pub fn pow10(exponent: u32) -> i128 {
    const TABLE: [i128; 39] = {
        let mut table = [1i128; 39];
        let mut i = 1;
        while i < 39 {
            table[i] = table[i - 1] * 10;
            i += 1;
        }
        table
    };
    TABLE[(exponent as usize).min(38)]
}

/// Whether the unscaled value has at most `precision` digits.
#[inline]
pub fn fits(value: i128, precision: u8) -> bool {
    value.unsigned_abs() < pow10(u32::from(precision)).unsigned_abs()
}

/// What Java's `longValue` leaves of a number.
pub fn low_64_bits(value: &num_bigint::BigInt) -> i64 {
    let bytes = value.to_signed_bytes_le();
    let mut low = [if value.sign() == num_bigint::Sign::Minus { 0xFF } else { 0 }; 8];
    let length = bytes.len().min(8);
    low[..length].copy_from_slice(&bytes[..length]);
    i64::from_le_bytes(low)
}

/// `value / 10^exponent`, rounded half away from zero.
pub fn divide_pow10_half_up(value: i128, exponent: u32) -> i128 {
    if exponent == 0 {
        return value;
    }
    if exponent > 38 {
        return 0;
    }
    let divisor = pow10(exponent);
    let (quotient, rest) = (value / divisor, value % divisor);
    if rest.unsigned_abs() >= divisor.unsigned_abs() - rest.unsigned_abs() {
        quotient + value.signum()
    } else {
        quotient
    }
}

/// The value at another scale, rounded half up; `None` where it has more than `precision` digits.
#[inline]
pub fn rescale(value: i128, from_scale: i8, to_precision: u8, to_scale: i8) -> Option<i128> {
    let scaled = match i32::from(to_scale) - i32::from(from_scale) {
        0 => value,
        up if up > 0 => {
            if value == 0 {
                0
            } else if up > 38 {
                return None;
            } else {
                value.checked_mul(pow10(up as u32))?
            }
        }
        down => divide_pow10_half_up(value, down.unsigned_abs()),
    };
    fits(scaled, to_precision).then_some(scaled)
}

/// `BigDecimal.toPlainString`
pub fn plain(value: i128, scale: i8) -> String {
    let digits = value.unsigned_abs().to_string();
    place_point(value < 0, digits, i32::from(scale))
}

/// As Java's `BigDecimal` shows itself: small numbers with an exponent.
pub fn java_text(value: i128, scale: i8) -> String {
    let digits = value.unsigned_abs().to_string();
    let exponent = digits.len() as i32 - 1 - i32::from(scale);
    if scale >= 0 && exponent >= -6 {
        return plain(value, scale);
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let (sign, plus) = (if value < 0 { "-" } else { "" }, if exponent > 0 { "+" } else { "" });
    format!("{sign}{first}{point}{rest}E{plus}{exponent}")
}

fn place_point(negative: bool, digits: String, scale: i32) -> String {
    let mut out = String::with_capacity(digits.len() + 4);
    if negative {
        out.push('-');
    }
    if scale <= 0 {
        out.push_str(&digits);
        if digits != "0" {
            out.extend(std::iter::repeat_n('0', scale.unsigned_abs() as usize));
        }
        return out;
    }
    let scale = scale as usize;
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.push_str(whole);
        out.push('.');
        out.push_str(fraction);
    } else {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', scale - digits.len()));
        out.push_str(&digits);
    }
    out
}

/// `BigDecimal.toString`: an exponent where the number is very small (`0E-10`, `1.2E-9`).
pub fn scientific(value: i128, scale: i8) -> String {
    let digits = value.unsigned_abs().to_string();
    let adjusted = digits.len() as i32 - 1 - i32::from(scale);
    if scale >= 0 && adjusted >= -6 {
        return plain(value, scale);
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if value < 0 { "-" } else { "" };
    let plus = if adjusted > 0 { "+" } else { "" };
    format!("{sign}{first}{point}{rest}E{plus}{adjusted}")
}

/// A number read from text.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Unscaled value and scale, of at most 38 digits before the point; digits beyond 38 are rounded away.
    Number(i128, i32),
    /// More than 38 digits before the point
    TooLarge,
    Malformed,
}

/// Reads what `new BigDecimal(text)` reads: `-1.5`, `.5`, `5.`, `1e3`.
pub fn parse(text: &str) -> Parsed {
    let Some((negative, digits, scale)) = split(text) else { return Parsed::Malformed };
    if digits.is_empty() {
        return Parsed::Number(0, scale.clamp(0, 38));
    }
    if digits.len() as i64 - i64::from(scale) > 38 {
        return Parsed::TooLarge;
    }
    let (digits, scale) = shorten(digits, scale);
    let Ok(magnitude) = digits.parse::<i128>() else { return Parsed::Malformed };
    Parsed::Number(if negative { -magnitude } else { magnitude }, scale)
}

/// Keeps 38 digits at most, and a scale that can be worked with.
fn shorten(digits: String, scale: i32) -> (String, i32) {
    if digits.len() <= 38 {
        return if scale > 76 { ("0".into(), 38) } else { (digits, scale) };
    }
    let cut = digits.len() - 38;
    let Some(all) = BigInt::parse_bytes(digits.as_bytes(), 10) else { return (digits, scale) };
    let divisor = BigInt::from(10).pow(cut as u32);
    let rounded: BigInt = (all + &divisor / 2) / divisor;
    (rounded.to_string(), scale - cut as i32)
}

/// Sign, significant digits without leading zeros, scale.
fn split(text: &str) -> Option<(bool, String, i32)> {
    let bytes = text.as_bytes();
    let (negative, mut at) = match bytes.first()? {
        b'-' => (true, 1),
        b'+' => (false, 1),
        _ => (false, 0),
    };
    let (mut digits, mut scale, mut seen, mut point) = (String::new(), 0i64, false, false);
    while let Some(&b) = bytes.get(at) {
        match b {
            b'0'..=b'9' => {
                seen = true;
                scale += i64::from(point);
                if b != b'0' || !digits.is_empty() {
                    digits.push(char::from(b));
                }
            }
            b'.' if !point => point = true,
            b'e' | b'E' if seen => {
                let exponent: i64 = text.get(at + 1..)?.parse().ok()?;
                scale = scale.checked_sub(exponent)?;
                at = bytes.len();
                continue;
            }
            _ => return None,
        }
        at += 1;
    }
    (seen && i32::try_from(scale).is_ok()).then_some((negative, digits, scale as i32))
}

/// The decimal of a double as Spark takes it: the digits of its shortest text. `None` for NaN and infinities.
pub fn from_double(value: f64) -> Option<(i128, i32)> {
    if !value.is_finite() {
        return None;
    }
    match parse(ryu::Buffer::new().format_finite(value)) {
        Parsed::Number(v, s) => Some((v, s)),
        _ => None,
    }
}

/// The nearest double.
pub fn to_double(value: i128, scale: i8) -> f64 {
    if scale <= 0 {
        return value as f64;
    }
    // Exact where both numbers are: then the division rounds once.
    if value.unsigned_abs() < 1 << 53 && scale <= 22 {
        return value as f64 / pow10(scale as u32) as f64;
    }
    format!("{value}e-{scale}").parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_decimals() {
        assert_eq!(plain(-5, 3), "-0.005");
        assert_eq!(plain(12345, 2), "123.45");
        assert_eq!(scientific(0, 7), "0E-7");
        assert_eq!(scientific(123, 10), "1.23E-8");
        assert_eq!(parse("1e3"), Parsed::Number(1, -3));
        assert_eq!(parse(" 1"), Parsed::Malformed);
        assert_eq!(parse("1e40"), Parsed::TooLarge);
    }

    #[test]
    fn half_up() {
        assert_eq!(rescale(-25, 1, 5, 0), Some(-3));
        assert_eq!(rescale(99995, 4, 4, 3), None);
    }
}
