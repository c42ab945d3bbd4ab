//! Java's pattern syntax in the syntax of the `regex` and `fancy-regex` crates.
//!
//! Both share most of it. What differs: `\d`, `\w`, `\s` and `\p{Alpha}` are ASCII in Java, `.` stops at every line
//! terminator, `\Q…\E` quotes, `\h`, `\v`, `\R`, `\uXXXX`, octal and control escapes, any punctuation may be escaped,
//! `--` and `~~` are plain characters in a class, and some flags do not exist here.

const DIGIT: &str = "0-9";
const WORD: &str = "a-zA-Z0-9_";
const SPACE: &str = r" \t\n\x0B\f\r";
const HORIZONTAL: &str = r" \t\xA0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";
const VERTICAL: &str = r"\n\x0B\f\r\x85\x{2028}\x{2029}";

/// Java's names for `\p{…}` as the inside of a class.
const PROPERTIES: &[(&str, &str)] = &[
    ("Lower", "a-z"),
    ("Upper", "A-Z"),
    ("ASCII", r"\x00-\x7F"),
    ("Alpha", "a-zA-Z"),
    ("Digit", "0-9"),
    ("Alnum", "a-zA-Z0-9"),
    ("Punct", r"!-/:-@\[-`\{-\x7E"),
    ("Graph", r"!-\x7E"),
    ("Print", r"\x20-\x7E"),
    ("Blank", r" \t"),
    ("Cntrl", r"\x00-\x1F\x7F"),
    ("XDigit", "0-9a-fA-F"),
    ("Space", SPACE),
    ("javaLowerCase", r"\p{Lowercase}"),
    ("javaUpperCase", r"\p{Uppercase}"),
    ("javaWhitespace", r"\s"),
    ("IsAlphabetic", r"\p{Alphabetic}"),
    ("IsLetter", r"\p{L}"),
    ("IsDigit", r"\p{Nd}"),
    ("IsPunctuation", r"\p{P}"),
    ("IsWhite_Space", r"\s"),
    ("IsUppercase", r"\p{Uppercase}"),
    ("IsLowercase", r"\p{Lowercase}"),
];

struct Translator<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    out: String,
    /// How many classes are open
    depth: usize,
    /// `(?s)`: the dot matches line terminators too
    dot_all: bool,
    /// The last character was a quantifier, or a part of one
    is_quantified: bool,
    has_possessive: bool,
}

/// The pattern in the syntax of Rust's engines, and whether it has possessive quantifiers (`a*+`), which only the
/// backtracking one has: the linear one takes the `+` for one more repetition.
pub fn translate(pattern: &str) -> (String, bool) {
    let mut t = Translator {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len() + 8),
        depth: 0,
        dot_all: false,
        is_quantified: false,
        has_possessive: false,
    };
    while let Some(c) = t.rest.next() {
        t.has_possessive |= t.depth == 0 && c == '+' && t.is_quantified;
        t.is_quantified = t.depth == 0 && matches!(c, '?' | '*' | '+' | '}');
        t.character(c);
    }
    (t.out, t.has_possessive)
}

impl Translator<'_> {
    fn character(&mut self, c: char) {
        match c {
            '\\' => self.escape(),
            '[' => {
                self.depth += 1;
                self.out.push('[');
                if self.rest.next_if_eq(&'^').is_some() {
                    self.out.push('^');
                }
            }
            ']' if self.depth > 0 => {
                self.depth -= 1;
                self.out.push(']');
            }
            '-' | '~' if self.depth > 0 && self.rest.peek() == Some(&c) => {
                self.out.push('\\');
                self.out.push(c);
            }
            '.' if self.depth == 0 && !self.dot_all => self.out.push_str(r"[^\n\r\x85\x{2028}\x{2029}]"),
            '(' if self.depth == 0 => {
                self.out.push('(');
                self.flags();
            }
            _ => self.out.push(c),
        }
    }

    /// `(?idmsux-U)`: keeps the flags that mean the same here.
    fn flags(&mut self) {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('?') {
            return;
        }
        let flags: String = std::iter::from_fn(|| ahead.next_if(|c| c.is_ascii_alphabetic() || *c == '-')).collect();
        let end = ahead.next();
        // Flags that Java does not know are left as they are: no engine here knows them.
        if flags.is_empty() || !matches!(end, Some(')' | ':')) || flags.chars().any(|c| !"idmsuxU-".contains(c)) {
            return;
        }
        let (on, off) = flags.split_once('-').unwrap_or((&flags, ""));
        self.dot_all = (self.dot_all || on.contains('s')) && !off.contains('s');
        let keep = |flags: &str| flags.chars().filter(|c| "imsx".contains(*c)).collect::<String>();
        let (on, off) = (keep(on), keep(off));
        let minus = if off.is_empty() { "" } else { "-" };
        match (on.is_empty() && off.is_empty(), end) {
            (true, Some(')')) => self.out.push_str("?:)"),
            (true, _) => self.out.push_str("?:"),
            (false, end) => {
                self.out.push_str(&format!("?{on}{minus}{off}"));
                self.out.extend(end);
            }
        }
        self.rest = ahead;
    }

    /// A set of characters: bare inside a class, a class of its own elsewhere.
    fn set(&mut self, inside: &str, negated: bool) {
        match (negated, self.depth > 0) {
            (true, _) => self.out.push_str(&format!("[^{inside}]")),
            (false, true) => self.out.push_str(inside),
            (false, false) => self.out.push_str(&format!("[{inside}]")),
        }
    }

    fn code(&mut self, code: u32) {
        self.out.push_str(&format!("\\x{{{code:X}}}"));
    }

    fn escape(&mut self) {
        let Some(c) = self.rest.next() else {
            self.out.push('\\');
            return;
        };
        match c {
            'd' => self.set(DIGIT, false),
            'D' => self.set(DIGIT, true),
            'w' => self.set(WORD, false),
            'W' => self.set(WORD, true),
            's' => self.set(SPACE, false),
            'S' => self.set(SPACE, true),
            'h' => self.set(HORIZONTAL, false),
            'H' => self.set(HORIZONTAL, true),
            'v' => self.set(VERTICAL, false),
            'V' => self.set(VERTICAL, true),
            'R' => self.out.push_str(&format!(r"(?:\r\n|[{VERTICAL}])")),
            'X' => self.out.push_str(r"(?:\P{M}\p{M}*)"),
            'Z' => self.out.push_str(r"(?=\n?\z)"),
            'e' => self.code(0x1B),
            'Q' => self.quoted(),
            'u' => self.hexadecimal(),
            'c' => match self.rest.next() {
                Some(control) => self.code(control as u32 ^ 64),
                None => self.out.push_str("\\c"),
            },
            '0' => self.octal(),
            'p' | 'P' => self.property(c == 'P'),
            // What Java knows of these means the same here; the rest is an error in both.
            _ if c.is_ascii_alphanumeric() => {
                self.out.push('\\');
                self.out.push(c);
            }
            _ => self.literal(c),
        }
    }

    fn literal(&mut self, c: char) {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    fn hexadecimal(&mut self) {
        let mut ahead = self.rest.clone();
        let digits: String = ahead.by_ref().take(4).collect();
        match u32::from_str_radix(&digits, 16) {
            Ok(code) if digits.len() == 4 => {
                self.code(code);
                self.rest = ahead;
            }
            _ => self.out.push_str("\\u"),
        }
    }

    fn octal(&mut self) {
        let mut code = 0;
        for _ in 0..3 {
            let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)).filter(|d| code * 8 + d < 256) else {
                break;
            };
            code = code * 8 + digit;
            self.rest.next();
        }
        self.code(code);
    }

    fn property(&mut self, negated: bool) {
        let name: String = match self.rest.next() {
            Some('{') => std::iter::from_fn(|| self.rest.next()).take_while(|c| *c != '}').collect(),
            Some(c) => c.to_string(),
            None => String::new(),
        };
        if let Some((_, inside)) = PROPERTIES.iter().find(|(known, _)| *known == name) {
            return self.set(inside, negated);
        }
        // `\p{IsGreek}` and `\p{InGreek}` are scripts and blocks; `\p{script=Greek}` stands as it is.
        let name = name.strip_prefix("Is").or_else(|| name.strip_prefix("In")).unwrap_or(&name);
        self.out.push_str(&format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }));
    }
}

#[cfg(test)]
mod tests {
    use super::translate;
    use crate::regex::compile;

    #[test]
    fn java_only_syntax() {
        assert_eq!(translate(r"\d[\w-]").0, r"[0-9][a-zA-Z0-9_-]");
        assert_eq!(translate(r"\Qa.b\E+").0, r"a\.b+");
        assert!(translate(r"(a)?+.+").1 && !translate(r"(?:a)+[*+]?").1);
        for (pattern, text, expected) in [
            (r"\w", "é", false),
            (r"^[a-z&&[^b]]$", "b", false),
            (r"(a)\1", "aa", true),
            (r"a++b", "aab", true),
            (r"\p{Alpha}\u0031", "a1", true),
            (r"(?i)AB", "ab", true),
            (r"a.b", "a\rb", false),
            (r"(?s)a.b", "a\nb", true),
            (r"\/\'\_", "/'_", true),
            (r"(?<=a)b", "ab", true),
        ] {
            assert_eq!(compile(pattern).unwrap().is_match(text), expected, "{pattern}");
        }
        assert!(compile("(").is_err());
    }
}
