//! Decimal digits of numbers, as Java's formatters see them.

/// `0.d1d2d3… × 10^point`, without leading or trailing zeros; zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits {
    pub negative: bool,
    pub digits: Vec<u8>,
    pub point: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    HalfUp,
    HalfEven,
}

impl Digits {
    /// From plain decimal text: `-12.50`, `1.5e-7`.
    pub fn parse(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> =
            whole.bytes().chain(fraction.bytes()).filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        let mut point = whole.len() as i32 + exponent.parse::<i32>().unwrap_or(0);
        let zeros = digits.iter().take_while(|d| **d == 0).count();
        digits.drain(..zeros);
        point -= zeros as i32;
        let mut result = Self { negative, digits, point };
        result.trim();
        result
    }

    /// The shortest digits that read back as the same double.
    pub fn of_f64(value: f64) -> Self {
        Self::parse(&format!("{value:e}"))
    }

    /// All the digits of a double, which are finite.
    pub fn exact_f64(value: f64) -> Self {
        Self::parse(&format!("{value:.1100}"))
    }

    /// `unscaled × 10^-scale`
    pub fn of_decimal(unscaled: i128, scale: i8) -> Self {
        let mut digits = Self::parse(&unscaled.to_string());
        digits.point -= i32::from(scale);
        digits
    }

    fn trim(&mut self) {
        let kept = self.digits.iter().rposition(|d| *d != 0).map_or(0, |last| last + 1);
        self.digits.truncate(kept);
        if self.digits.is_empty() {
            self.point = 0;
        }
    }

    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Rounds to `places` digits after the point (before it, where negative).
    pub fn round(&mut self, places: i32, rounding: Rounding) {
        self.round_to_digits(i64::from(self.point) + i64::from(places), rounding);
    }

    /// Keeps the first `count` digits.
    pub fn round_to_digits(&mut self, count: i64, rounding: Rounding) {
        let Ok(count) = usize::try_from(count) else {
            self.digits.clear();
            self.point = 0;
            return;
        };
        let Some(next) = self.digits.get(count).copied() else { return };
        let tie = next == 5 && self.digits.len() == count + 1;
        let odd = count.checked_sub(1).and_then(|i| self.digits.get(i)).is_some_and(|d| d % 2 == 1);
        let up = match rounding {
            Rounding::HalfEven if tie => odd,
            _ => next >= 5,
        };
        self.digits.truncate(count);
        if up {
            self.increment();
        }
        self.trim();
    }

    fn increment(&mut self) {
        for digit in self.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
        self.point += 1;
    }

    /// The digits before the point, `0` left out.
    pub fn whole(&self) -> String {
        (0..self.point).map(|i| self.digit(i)).collect()
    }

    /// `places` digits after the point.
    pub fn fraction(&self, places: usize) -> String {
        (0..places as i32).map(|i| self.digit(self.point + i)).collect()
    }

    /// How many digits there are after the point.
    pub fn scale(&self) -> usize {
        usize::try_from(self.digits.len() as i64 - i64::from(self.point)).unwrap_or(0)
    }

    fn digit(&self, index: i32) -> char {
        let digit = usize::try_from(index).ok().and_then(|i| self.digits.get(i)).copied().unwrap_or(0);
        char::from(b'0' + digit)
    }
}

/// Puts `separator` between groups of `size` digits, counted from the right.
pub fn group(digits: &str, size: usize, separator: char) -> String {
    if size == 0 {
        return digits.to_string();
    }
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(size) {
            out.push(separator);
        }
        out.push(c);
    }
    out
}

/// Appends a double as `Double.toString` writes it: `1.0`, `1.0E10`, `NaN`.
pub fn push_java_double(value: f64, out: &mut String) {
    push_java(value, Digits::of_f64(value), out);
}

/// Appends a float as `Float.toString` writes it.
pub fn push_java_float(value: f32, out: &mut String) {
    push_java(f64::from(value), Digits::parse(&format!("{value:e}")), out);
}

fn push_java(value: f64, digits: Digits, out: &mut String) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_sign_negative() {
        out.push('-');
    }
    if value.is_infinite() {
        return out.push_str("Infinity");
    }
    let pad = |text: String| if text.is_empty() { "0".to_string() } else { text };
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        out.push_str(&pad(digits.whole()));
        out.push('.');
        out.push_str(&digits.fraction(digits.scale().max(1)));
        return;
    }
    let exponent = digits.point - 1;
    let mantissa = Digits { point: 1, ..digits };
    out.push_str(&mantissa.whole());
    out.push('.');
    out.push_str(&mantissa.fraction(mantissa.scale().max(1)));
    out.push('E');
    out.push_str(&exponent.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding() {
        let round = |text: &str, places, rounding| {
            let mut d = Digits::parse(text);
            d.round(places, rounding);
            format!("{}.{}", d.whole(), d.fraction(places.max(0) as usize))
        };
        assert_eq!(round("0.125", 2, Rounding::HalfEven), ".12");
        assert_eq!(round("0.125", 2, Rounding::HalfUp), ".13");
        assert_eq!(round("9.999", 2, Rounding::HalfUp), "10.00");
        assert_eq!(round("0.0004", 2, Rounding::HalfUp), ".00");
        assert_eq!(group("1234567", 3, ','), "1,234,567");
    }
}
