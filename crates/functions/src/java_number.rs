//! Java's texts of floating-point numbers (`Double.toString`, `Float.toString`).

/// `Double.toString`: `1.0`, `1.0E10`, `NaN`, `-Infinity`.
pub fn double(value: f64) -> String {
    let mut out = String::new();
    push_double(&mut out, value);
    out
}

/// `Float.toString`
pub fn float(value: f32) -> String {
    let mut out = String::new();
    push_float(&mut out, value);
    out
}

pub fn push_double(out: &mut String, value: f64) {
    if push_special(out, value) {
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(value.abs());
    let two = || format!("{:.1e}", value.abs());
    let exact = |text: &str| text.parse::<f64>().is_ok_and(|v| v == value.abs());
    push_java(out, value.is_sign_negative(), shortest, two, exact);
}

pub fn push_float(out: &mut String, value: f32) {
    if push_special(out, f64::from(value)) {
        return;
    }
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(value.abs());
    let two = || format!("{:.1e}", value.abs());
    let exact = |text: &str| text.parse::<f32>().is_ok_and(|v| v == value.abs());
    push_java(out, value.is_sign_negative(), shortest, two, exact);
}

fn push_special(out: &mut String, value: f64) -> bool {
    let text = if value.is_nan() {
        "NaN"
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }
    } else {
        return false;
    };
    out.push_str(text);
    true
}

/// Java writes the shortest digits that read back, but looks for the nearest of two digits where one would do.
fn push_java(out: &mut String, negative: bool, shortest: &str, two: impl Fn() -> String, exact: impl Fn(&str) -> bool) {
    let (mut digits, mut exponent) = digits_and_exponent(shortest);
    if digits.len() == 1 && digits != "0" && !(-6..7).contains(&exponent) {
        let nearest = two();
        if exact(&nearest) {
            (digits, exponent) = digits_and_exponent(&nearest);
        }
    }
    if negative {
        out.push('-');
    }
    if digits == "0" {
        out.push_str("0.0");
    } else if (-3..7).contains(&exponent) {
        push_plain(out, &digits, exponent);
    } else {
        push_scientific(out, &digits, exponent);
    }
}

fn push_plain(out: &mut String, digits: &str, exponent: i32) {
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', (-exponent - 1) as usize));
        out.push_str(digits);
        return;
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        out.push_str(digits);
        out.extend(std::iter::repeat_n('0', whole - digits.len()));
        out.push_str(".0");
    } else {
        out.push_str(&digits[..whole]);
        out.push('.');
        out.push_str(&digits[whole..]);
    }
}

fn push_scientific(out: &mut String, digits: &str, exponent: i32) {
    let (first, rest) = digits.split_at(1);
    out.push_str(first);
    out.push('.');
    out.push_str(if rest.is_empty() { "0" } else { rest });
    out.push('E');
    out.push_str(&exponent.to_string());
}

/// Significant digits (no zeros around them) and the decimal exponent of the first.
fn digits_and_exponent(text: &str) -> (String, i32) {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().unwrap_or(0)),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let leading = all.len() - all.trim_start_matches('0').len();
    let digits = all.trim_matches('0');
    if digits.is_empty() {
        return ("0".into(), 0);
    }
    (digits.to_string(), exponent + whole.len() as i32 - 1 - leading as i32)
}

#[cfg(test)]
mod tests {
    use super::{double, float};

    #[test]
    fn java_texts() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (1234567.0, "1234567.0"),
            (1.0e7, "1.0E7"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1.5e-5, "1.5E-5"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (5e-324, "4.9E-324"),
            (f64::MAX, "1.7976931348623157E308"),
            (1e23, "1.0E23"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(double(value), text);
        }
        assert_eq!(float(1.1), "1.1");
        assert_eq!(float(f32::MAX), "3.4028235E38");
        assert_eq!(float(1e-45), "1.4E-45");
    }
}
