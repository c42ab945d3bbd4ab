//! The number formats of `to_number` and `to_char`: `$99,999.00S`.
use firesteel_plan::{DataType, SparkError};

use super::digits::Digits;

/// A checked format.
#[derive(Debug, Clone, PartialEq)]
pub struct NumberFormat {
    /// Upper case, with `.` for `D` and `,` for `G`
    text: String,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `0…` (exactly so many, leading zeros shown) or `9…` (at most so many); one token per run between other tokens
    Digits {
        exact: bool,
        count: usize,
    },
    Comma,
    Point,
    Dollar,
    /// `S`
    Sign,
    /// `MI`
    Minus,
    /// `PR`
    Brackets,
}

/// What is wrong with a format: a sub-condition of INVALID_FORMAT and its parameters.
fn invalid(kind: &str, format: &str, token: Option<&str>) -> SparkError {
    let mut parameters = vec![("format", format!("'{format}'"))];
    if let Some(token) = token {
        parameters.insert(0, ("token", token.to_string()));
    }
    SparkError::new(format!("INVALID_FORMAT.{kind}"), parameters)
}

impl NumberFormat {
    pub fn parse(format: &str) -> Result<Self, SparkError> {
        let text = format.to_uppercase();
        if text.is_empty() {
            return Err(invalid("EMPTY", "", None));
        }
        let tokens = tokenize(&text)?;
        let parsed = Self { text, tokens };
        parsed.check()?;
        Ok(parsed)
    }

    fn count(&self, token: Token) -> usize {
        self.tokens.iter().filter(|t| **t == token).count()
    }

    fn check(&self) -> Result<(), SparkError> {
        let text = self.text.as_str();
        let is_digits = |t: &Token| matches!(t, Token::Digits { .. });
        if self.precision_and_scale().0 == 0 {
            return Err(invalid("WRONG_NUM_DIGIT", text, None));
        }
        let first_digits = self.tokens.iter().position(is_digits).unwrap_or(0);
        let point = self.tokens.iter().position(|t| *t == Token::Point);
        if self.tokens.iter().position(|t| *t == Token::Dollar).is_some_and(|at| at > first_digits) {
            return Err(invalid("CUR_MUST_BEFORE_DIGIT", text, None));
        }
        if self.tokens.iter().position(|t| *t == Token::Dollar).is_some_and(|at| point.is_some_and(|p| at > p)) {
            return Err(invalid("CUR_MUST_BEFORE_DEC", text, None));
        }
        let last_comma = self.tokens.iter().rposition(|t| *t == Token::Comma);
        if last_comma.is_some_and(|at| point.is_some_and(|p| at > p)) {
            return Err(invalid("THOUSANDS_SEPS_MUST_BEFORE_DEC", text, None));
        }
        for (at, _) in self.tokens.iter().enumerate().filter(|(_, t)| **t == Token::Comma) {
            let before = at.checked_sub(1).and_then(|i| self.tokens.get(i)).is_some_and(is_digits);
            if !before || !self.tokens.get(at + 1).is_some_and(is_digits) {
                return Err(invalid("CONT_THOUSANDS_SEPS", text, None));
            }
        }
        let singles = [
            (Token::Point, ". or D"),
            (Token::Dollar, "$"),
            (Token::Sign, "S"),
            (Token::Minus, "MI"),
            (Token::Brackets, "PR"),
        ];
        if let Some((_, name)) = singles.iter().find(|(token, _)| self.count(*token) > 1) {
            return Err(invalid("WRONG_NUM_TOKEN", text, Some(name)));
        }
        self.check_order()
    }

    /// `[MI|S] [$] digits [.digits] [$] [PR|MI|S]`
    fn check_order(&self) -> Result<(), SparkError> {
        let sign = |t: Option<&Token>| matches!(t, Some(Token::Sign | Token::Minus));
        let mut at = 0;
        if sign(self.tokens.get(at)) {
            at += 1;
        }
        if self.tokens.get(at) == Some(&Token::Dollar) {
            at += 1;
        }
        let body = at;
        while matches!(self.tokens.get(at), Some(Token::Digits { .. } | Token::Comma | Token::Point)) {
            at += 1;
        }
        let unexpected = at == body;
        if sign(self.tokens.get(at)) || self.tokens.get(at) == Some(&Token::Brackets) {
            at += 1;
        }
        if unexpected || at < self.tokens.len() {
            return Err(invalid("UNEXPECTED_TOKEN", &self.text, Some("digit sequence")));
        }
        Ok(())
    }

    fn precision_and_scale(&self) -> (usize, usize) {
        let (mut precision, mut scale, mut fraction) = (0, 0, false);
        for token in &self.tokens {
            match token {
                Token::Point => fraction = true,
                Token::Digits { count, .. } => {
                    precision += count;
                    scale += if fraction { *count } else { 0 };
                }
                _ => {}
            }
        }
        (precision, scale)
    }

    /// The DECIMAL that the format describes. Errors with `DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION`.
    pub fn decimal_type(&self) -> Result<DataType, SparkError> {
        let (precision, scale) = self.precision_and_scale();
        if precision > 38 {
            return Err(SparkError::new(
                "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
                [("precision", precision.to_string()), ("maxPrecision", "38".to_string())],
            ));
        }
        Ok(DataType::Decimal(precision as u8, scale as i8))
    }

    /// The unscaled value of `input` at the format's scale; `None` where it does not match.
    pub fn read(&self, input: &str) -> Option<i128> {
        let input: String = input.chars().filter(|c| !c.is_whitespace()).collect();
        let mut rest = input.as_str();
        let (mut negative, mut digits) = (false, String::new());
        if rest.is_empty() {
            return None;
        }
        if self.count(Token::Brackets) == 1 && rest.starts_with('<') {
            rest = rest.strip_prefix('<')?.strip_suffix('>')?;
            negative = true;
        }
        let (whole, fraction) = self.halves();
        for token in &self.tokens {
            match token {
                Token::Sign | Token::Minus => {
                    if let Some(after) = rest.strip_prefix('-') {
                        (rest, negative) = (after, true);
                    } else if let (Token::Sign, Some(after)) = (token, rest.strip_prefix('+')) {
                        rest = after;
                    }
                }
                Token::Dollar => rest = rest.strip_prefix('$')?,
                _ => break,
            }
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        rest = after;
        let groups: Vec<&str> = number.split(',').collect();
        if groups.len() > whole.len() {
            return None;
        }
        let missing = whole.len() - groups.len();
        for (i, (exact, count)) in whole.iter().enumerate() {
            let group = i.checked_sub(missing).and_then(|i| groups.get(i)).copied().unwrap_or("");
            if (*exact && group.len() != *count) || group.len() > *count {
                return None;
            }
            digits.push_str(group);
        }
        let scale: usize = fraction.iter().map(|(_, count)| count).sum();
        let mut decimals = "";
        if let (true, Some(after)) = (self.count(Token::Point) == 1, rest.strip_prefix('.')) {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            (decimals, rest) = after.split_at(end);
            let exact = fraction.iter().all(|(exact, _)| *exact) && !fraction.is_empty();
            if decimals.len() > scale || (exact && decimals.len() != scale) {
                return None;
            }
        } else if fraction.iter().any(|(exact, _)| *exact) {
            return None;
        }
        match self.tokens.last() {
            Some(Token::Sign) if rest == "+" => rest = "",
            Some(Token::Sign | Token::Minus) if rest == "-" => (rest, negative) = ("", true),
            _ => {}
        }
        if !rest.is_empty() || (digits.is_empty() && decimals.is_empty()) {
            return None;
        }
        let unscaled: i128 = format!("{digits}{decimals:0<scale$}").parse().ok()?;
        Some(if negative { -unscaled } else { unscaled })
    }

    /// The runs of digits before and after the point, as (exact, count).
    fn halves(&self) -> (Vec<(bool, usize)>, Vec<(bool, usize)>) {
        let (mut whole, mut fraction, mut after) = (vec![(false, 0)], vec![], false);
        for token in &self.tokens {
            match token {
                Token::Point => after = true,
                Token::Comma => whole.push((false, 0)),
                Token::Digits { exact, count } if after => fraction.push((*exact, *count)),
                Token::Digits { exact, count } => {
                    if let Some(last) = whole.last_mut() {
                        *last = (last.0 || *exact, last.1 + count);
                    }
                }
                _ => {}
            }
        }
        (whole, fraction)
    }

    /// Writes a number; `#` stands for every digit where it does not fit.
    pub fn write(&self, number: &Digits, out: &mut String) {
        let (precision, scale) = self.precision_and_scale();
        let (whole, places) = (number.whole(), number.scale());
        let overflow = whole.len() > precision - scale || places > scale;
        let mut position = precision - scale;
        let mut fraction = number.fraction(scale).into_bytes().into_iter();
        let mut in_fraction = false;
        let last = self.tokens.len() - 1;
        for (at, token) in self.tokens.iter().enumerate() {
            match token {
                Token::Digits { count, .. } if overflow => out.extend(std::iter::repeat_n('#', *count)),
                Token::Digits { count, .. } if in_fraction => {
                    out.extend(fraction.by_ref().take(*count).map(char::from));
                }
                Token::Digits { exact, count } => {
                    for _ in 0..*count {
                        match whole.len().checked_sub(position).and_then(|i| whole.as_bytes().get(i)) {
                            Some(digit) => out.push(char::from(*digit)),
                            None if *exact => out.push('0'),
                            None => push_space(out),
                        }
                        position -= 1;
                    }
                }
                Token::Comma if out.ends_with(|c: char| c.is_ascii_digit()) => out.push(','),
                Token::Comma => push_space(out),
                Token::Point => {
                    in_fraction = true;
                    if out.ends_with(' ') {
                        out.pop();
                        out.push('0');
                    }
                    out.push('.');
                }
                Token::Dollar => out.push('$'),
                Token::Sign => out.push(if number.negative { '-' } else { '+' }),
                Token::Minus if number.negative => out.push('-'),
                Token::Minus if at == last => out.push(' '),
                Token::Minus => push_space(out),
                Token::Brackets => out.push_str(if number.negative { ">" } else { "  " }),
            }
            if at == 0 && number.negative && self.count(Token::Brackets) == 1 {
                open_bracket(out);
            }
        }
    }
}

/// A space that stands for a missing digit goes before the sign: ` -5`.
fn push_space(out: &mut String) {
    match out.pop() {
        Some(sign @ ('+' | '-' | '<')) => {
            out.push(' ');
            out.push(sign);
        }
        last => {
            out.extend(last);
            out.push(' ');
        }
    }
}

/// Puts `<` before the first character that is not a space.
fn open_bracket(out: &mut String) {
    let at = out.find(|c| c != ' ').unwrap_or(out.len());
    out.insert(at, '<');
}

fn tokenize(text: &str) -> Result<Vec<Token>, SparkError> {
    let (mut tokens, mut rest) = (vec![], text);
    while let Some(c) = rest.chars().next() {
        let (token, length) = match c {
            '0' | '9' => {
                let run = rest.find(|c| c != '0' && c != '9').unwrap_or(rest.len());
                // The first character says what the whole run is.
                (Token::Digits { exact: c == '0', count: run }, run)
            }
            '.' | 'D' => (Token::Point, 1),
            ',' | 'G' => (Token::Comma, 1),
            '$' => (Token::Dollar, 1),
            'S' => (Token::Sign, 1),
            'M' if rest.starts_with("MI") => (Token::Minus, 2),
            'P' if rest.starts_with("PR") => (Token::Brackets, 2),
            other => {
                return Err(invalid("UNEXPECTED_TOKEN", text, Some(&format!("character '{other}''"))));
            }
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or("");
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(format: &str, number: &str) -> String {
        let mut out = String::new();
        NumberFormat::parse(format).unwrap().write(&Digits::parse(number), &mut out);
        out
    }

    #[test]
    fn writing() {
        for (format, number, expected) in [
            ("999", "454", "454"),
            ("000D00", "454", "454.00"),
            ("99G999D9S", "-12454.8", "12,454.8-"),
            ("99,999.9PR", "-12454.8", "<12,454.8>"),
            ("99PR", "-5", " <5>"),
            ("99PR", "5", " 5  "),
            ("MI99", "-5", " -5"),
            ("S$999,999", "100", "+$    100"),
            ("99.99", "0.1", " 0.10"),
            ("S9.9", "-0.5", " -.5"),
            ("$9,999.99S", "12345", "$# ###.##+"),
            ("9,999,999", "1234", "    1,234"),
            ("0,000,000", "1234", "0,001,234"),
        ] {
            assert_eq!(write(format, number), expected, "{format} {number}");
        }
    }

    #[test]
    fn reading() {
        let read = |format: &str, text: &str| NumberFormat::parse(format).unwrap().read(text);
        assert_eq!(read("99,999.9S", "12,454.8-"), Some(-124548));
        assert_eq!(read("9.9", "5"), Some(50));
        assert_eq!(read("99PR", "<12>"), Some(-12));
        assert_eq!(read("999", "1234"), None);
        assert_eq!(read("00", "1"), None);
        assert_eq!(read("9,9", "1,"), Some(1));
    }
}
