//! Text → tokens. Comments and white space are dropped; every token keeps its place.
use firesteel_plan::{Result, SparkError};

use crate::options::ParseOptions;
use crate::token::{Kind, Token};

/// Splits the text into tokens; the last one is `EndOfInput`.
pub(crate) fn tokenize(text: &str, options: &ParseOptions) -> Result<Vec<Token>> {
    Lexer { text, bytes: text.as_bytes(), byte: 0, character: 0, legacy_quotes: options.consecutive_string_literals }
        .run()
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    byte: usize,
    character: usize,
    legacy_quotes: bool,
}

/// Operators and punctuation, longest first.
static SYMBOLS: &[(&str, Kind)] = &[
    (">>>", Kind::ShiftRightUnsigned),
    ("<=>", Kind::NullSafeEqual),
    ("/*+", Kind::HintStart),
    ("==", Kind::Equal),
    ("<>", Kind::NotEqual),
    ("!=", Kind::NotEqualBang),
    ("<=", Kind::LessOrEqual),
    ("!>", Kind::LessOrEqual),
    (">=", Kind::GreaterOrEqual),
    ("!<", Kind::GreaterOrEqual),
    ("<<", Kind::ShiftLeft),
    (">>", Kind::ShiftRight),
    ("||", Kind::ConcatPipe),
    ("|>", Kind::OperatorPipe),
    ("::", Kind::DoubleColon),
    ("->", Kind::Arrow),
    ("=>", Kind::FatArrow),
    ("*/", Kind::HintEnd),
    (";", Kind::Semicolon),
    ("(", Kind::LeftParen),
    (")", Kind::RightParen),
    (",", Kind::Comma),
    (".", Kind::Dot),
    ("[", Kind::LeftBracket),
    ("]", Kind::RightBracket),
    ("!", Kind::Bang),
    ("=", Kind::Equal),
    ("<", Kind::Less),
    (">", Kind::Greater),
    ("+", Kind::Plus),
    ("-", Kind::Minus),
    ("*", Kind::Asterisk),
    ("/", Kind::Slash),
    ("%", Kind::Percent),
    ("~", Kind::Tilde),
    ("&", Kind::Ampersand),
    ("|", Kind::Pipe),
    ("^", Kind::Hat),
    (":", Kind::Colon),
    ("?", Kind::Question),
];

fn is_word_char(c: char) -> bool {
    c == '_' || c.is_ascii_digit() || c.is_alphabetic()
}

impl Lexer<'_> {
    fn run(mut self) -> Result<Vec<Token>> {
        let mut tokens = Vec::with_capacity(self.text.len() / 4 + 1);
        loop {
            self.skip_blanks()?;
            let (byte_start, start) = (self.byte, self.character);
            let Some(c) = self.peek_char() else {
                tokens.push(Token { kind: Kind::EndOfInput, start, stop: start, byte_start, byte_end: byte_start });
                return Ok(tokens);
            };
            let kind = self.next_token(c)?;
            tokens.push(Token { kind, start, stop: self.character - 1, byte_start, byte_end: self.byte });
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.byte..).unwrap_or("")
    }

    fn peek_char(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn peek_byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.byte + ahead).copied().unwrap_or(0)
    }

    /// Moves on by `length` bytes, which end at a character boundary.
    fn advance(&mut self, length: usize) {
        let end = (self.byte + length).min(self.text.len());
        self.character += self.text.get(self.byte..end).map_or(0, |part| part.chars().count());
        self.byte = end;
    }

    fn advance_while(&mut self, accept: impl Fn(char) -> bool) {
        let rest = self.rest();
        let length = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.advance(length);
    }

    /// White space and comments.
    fn skip_blanks(&mut self) -> Result<()> {
        loop {
            let before = self.byte;
            self.advance_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{b}' | '\u{c}') || c.is_whitespace());
            if self.rest().starts_with("--") {
                self.skip_line_comment();
            } else if self.rest().starts_with("/*") && self.peek_byte(2) != b'+' {
                self.skip_bracketed_comment()?;
            }
            if self.byte == before {
                return Ok(());
            }
        }
    }

    /// To the end of the line; a backslash before the line break continues the comment.
    fn skip_line_comment(&mut self) {
        loop {
            self.advance_while(|c| c != '\n' && c != '\r');
            if self.byte > 0 && self.bytes[self.byte - 1] == b'\\' && self.peek_byte(0) == b'\n' {
                self.advance(1);
            } else {
                return;
            }
        }
    }

    /// Bracketed comments nest.
    fn skip_bracketed_comment(&mut self) -> Result<()> {
        let mut depth = 0usize;
        loop {
            let (first, second) = (self.peek_byte(0), self.peek_byte(1));
            match (first, second) {
                (b'/', b'*') if depth == 0 || self.peek_byte(2) != b'+' => {
                    depth += 1;
                    self.advance(2);
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.advance(2);
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => match self.peek_char() {
                    Some(c) => self.advance(c.len_utf8()),
                    None => return Err(SparkError::of("UNCLOSED_BRACKETED_COMMENT")),
                },
            }
        }
    }

    fn next_token(&mut self, c: char) -> Result<Kind> {
        match c {
            '\'' => return Ok(self.quoted('\'', Kind::StringLiteral)),
            '"' => return Ok(self.quoted('"', Kind::DoubleQuotedString)),
            '`' => return Ok(self.backquoted()),
            '$' => return Ok(self.dollar_quoted()),
            'r' | 'R' if matches!(self.peek_byte(1), b'\'' | b'"') => {
                if let Some(kind) = self.raw_string() {
                    return Ok(kind);
                }
            }
            _ => {}
        }
        if c.is_ascii_digit() || (c == '.' && self.peek_byte(1).is_ascii_digit()) {
            return Ok(self.number());
        }
        if is_word_char(c) {
            return Ok(self.word());
        }
        for (text, kind) in SYMBOLS {
            if self.rest().starts_with(text) {
                self.advance(text.len());
                return Ok(*kind);
            }
        }
        self.advance(c.len_utf8());
        Ok(Kind::Unrecognized)
    }

    /// A string in quotes: a backslash escapes, a doubled quote stands for itself.
    fn quoted(&mut self, quote: char, kind: Kind) -> Kind {
        let mut chars = self.rest().char_indices().skip(1).peekable();
        let mut end = None;
        while let Some((index, c)) = chars.next() {
            if c == '\\' {
                chars.next();
            } else if c == quote {
                if !self.legacy_quotes && chars.peek().is_some_and(|(_, next)| *next == quote) {
                    chars.next();
                } else {
                    end = Some(index + 1);
                    break;
                }
            }
        }
        match end {
            Some(length) => {
                self.advance(length);
                kind
            }
            None => {
                self.advance(1);
                Kind::Unrecognized
            }
        }
    }

    /// `r'…'` and `r"…"`: nothing is an escape.
    fn raw_string(&mut self) -> Option<Kind> {
        let quote = char::from(self.peek_byte(1));
        let length = self.rest().get(2..)?.find(quote)?;
        self.advance(length + 3);
        Some(Kind::StringLiteral)
    }

    fn backquoted(&mut self) -> Kind {
        let mut length = 1;
        loop {
            let Some(next) = self.rest().get(length..).and_then(|rest| rest.find('`')) else {
                self.advance(1);
                return Kind::Unrecognized;
            };
            length += next + 1;
            if self.peek_byte(length) == b'`' {
                length += 1;
            } else {
                self.advance(length);
                return Kind::BackquotedIdentifier;
            }
        }
    }

    /// `$$…$$` and `$tag$…$tag$`.
    fn dollar_quoted(&mut self) -> Kind {
        let rest = self.rest();
        let tag_end = rest.char_indices().skip(1).find(|(_, c)| !is_word_char(*c));
        if let Some((index, '$')) = tag_end {
            let tag = &rest[..=index];
            if let Some(close) = rest[index + 1..].find(tag) {
                let length = index + 1 + close + tag.len();
                self.advance(length);
                return Kind::DollarQuotedString;
            }
        }
        self.advance(1);
        Kind::Unrecognized
    }

    /// A word: identifier or keyword; also `scheme://path` (an identifier, as for resources of functions).
    fn word(&mut self) -> Kind {
        let start = self.byte;
        self.advance_while(is_word_char);
        let word = self.text.get(start..self.byte).unwrap_or("");
        let has_scheme = self.rest().starts_with("://") && word.chars().all(char::is_alphabetic);
        if has_scheme && self.rest()[3..].starts_with(is_uri_char) {
            self.advance(3);
            self.advance_while(is_uri_char);
            return Kind::Identifier;
        }
        Kind::of_word(word).unwrap_or(Kind::Identifier)
    }

    /// The longest of: number with its suffix, identifier that begins with digits.
    fn number(&mut self) -> Kind {
        let rest = self.rest();
        let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(0);
        let mut end = whole;
        let mut is_decimal = false;
        if rest[end..].starts_with('.') {
            is_decimal = true;
            end += 1 + digits(end + 1);
        }
        let mut exponent_end = end;
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            let count = digits(end + 1 + sign);
            if count > 0 {
                exponent_end = end + 1 + sign + count;
            }
        }
        let ends_here = |at: usize| !rest[at..].starts_with(is_word_char);
        let has_exponent = exponent_end > end;
        for (suffix, kind) in NUMBER_SUFFIXES {
            let fits =
                rest.get(exponent_end..exponent_end + suffix.len()).is_some_and(|s| s.eq_ignore_ascii_case(suffix));
            let is_integral = matches!(kind, Kind::BigintLiteral | Kind::SmallintLiteral | Kind::TinyintLiteral);
            if fits && ends_here(exponent_end + suffix.len()) && !(is_integral && (is_decimal || has_exponent)) {
                let length = exponent_end + suffix.len();
                self.advance(length);
                return *kind;
            }
        }
        if has_exponent && ends_here(exponent_end) {
            self.advance(exponent_end);
            return Kind::ExponentValue;
        }
        if is_decimal && ends_here(end) {
            self.advance(end);
            return Kind::DecimalValue;
        }
        if is_decimal {
            // `1.x`: the dot is not part of a number
            if whole > 0 {
                self.advance(whole);
                return Kind::IntegerValue;
            }
            self.advance(1);
            return Kind::Dot;
        }
        if ends_here(whole) {
            self.advance(whole);
            return Kind::IntegerValue;
        }
        self.advance_while(is_word_char);
        Kind::Identifier
    }
}

static NUMBER_SUFFIXES: &[(&str, Kind)] = &[
    ("BD", Kind::BigDecimalLiteral),
    ("L", Kind::BigintLiteral),
    ("S", Kind::SmallintLiteral),
    ("Y", Kind::TinyintLiteral),
    ("F", Kind::FloatLiteral),
    ("D", Kind::DoubleLiteral),
];

fn is_uri_char(c: char) -> bool {
    is_word_char(c) || "/-.?=&#%".contains(c)
}
