//! A JSON text as a flat list of nodes. A record is tokenized as a whole before any of it is converted, so that a record
//! that breaks off leaves no half row behind.
use super::options::JsonOptions;

/// One value or key. Positions are indices of nodes; `end` is the node after the whole value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Node {
    Null,
    True,
    False,
    /// Source bytes; `is_float`: it has a fraction, an exponent, or is `NaN` or an infinity.
    Number {
        start: u32,
        len: u32,
        is_float: bool,
    },
    String {
        text: Text,
    },
    Key {
        text: Text,
    },
    /// `start..end_byte` is the source of the whole value.
    Array {
        end: u32,
        start: u32,
        end_byte: u32,
    },
    Object {
        end: u32,
        start: u32,
        end_byte: u32,
    },
}

/// A string's characters: in the source, or unescaped beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Text {
    start: u32,
    len: u32,
    unescaped: bool,
}

/// The nodes of one record; reused from record to record.
#[derive(Debug, Default)]
pub struct Tape {
    nodes: Vec<Node>,
    unescaped: String,
}

/// Jackson's own limit.
const MAX_DEPTH: usize = 1000;

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Malformed {
    /// byte position
    pub at: usize,
}

impl Tape {
    /// Reads the first value of a text; what follows it is not looked at. `Ok(false)`: there is nothing but white space.
    pub fn parse(&mut self, text: &str, options: &JsonOptions) -> Result<bool, Malformed> {
        self.nodes.clear();
        self.unescaped.clear();
        if u32::try_from(text.len()).is_err() {
            return Err(Malformed { at: 0 });
        }
        let mut lexer = Lexer { tape: self, text, bytes: text.as_bytes(), at: 0, options };
        lexer.skip_space()?;
        if lexer.at == lexer.bytes.len() {
            return Ok(false);
        }
        lexer.value(0)?;
        Ok(true)
    }

    pub fn node(&self, index: usize) -> Node {
        self.nodes.get(index).copied().unwrap_or(Node::Null)
    }

    /// The index after the value at `index`.
    pub fn next(&self, index: usize) -> usize {
        match self.node(index) {
            Node::Array { end, .. } | Node::Object { end, .. } => end as usize,
            _ => index + 1,
        }
    }

    pub fn text<'a>(&'a self, text: Text, source: &'a str) -> &'a str {
        let range = text.start as usize..(text.start + text.len) as usize;
        let from = if text.unescaped { self.unescaped.as_str() } else { source };
        from.get(range).unwrap_or_default()
    }

    /// The source text of a number, array or object; the characters of a string.
    pub fn source<'a>(&'a self, index: usize, source: &'a str) -> &'a str {
        match self.node(index) {
            Node::Null => "null",
            Node::True => "true",
            Node::False => "false",
            Node::Number { start, len, .. } => source.get(start as usize..(start + len) as usize).unwrap_or_default(),
            Node::String { text } | Node::Key { text } => self.text(text, source),
            Node::Array { start, end_byte, .. } | Node::Object { start, end_byte, .. } => {
                source.get(start as usize..end_byte as usize).unwrap_or_default()
            }
        }
    }

    /// The elements of an array.
    pub fn elements(&self, index: usize) -> Children<'_> {
        match self.node(index) {
            Node::Array { end, .. } => Children { tape: self, at: index + 1, end: end as usize },
            _ => Children { tape: self, at: 0, end: 0 },
        }
    }

    /// The fields of an object: key, and index of the value.
    pub fn fields(&self, index: usize) -> Fields<'_> {
        match self.node(index) {
            Node::Object { end, .. } => Fields { tape: self, at: index + 1, end: end as usize },
            _ => Fields { tape: self, at: 0, end: 0 },
        }
    }
}

pub struct Children<'a> {
    tape: &'a Tape,
    at: usize,
    end: usize,
}

impl Iterator for Children<'_> {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        let index = (self.at < self.end).then_some(self.at)?;
        self.at = self.tape.next(index);
        Some(index)
    }
}

pub struct Fields<'a> {
    tape: &'a Tape,
    at: usize,
    end: usize,
}

impl Iterator for Fields<'_> {
    type Item = (Text, usize);
    fn next(&mut self) -> Option<(Text, usize)> {
        let index = (self.at < self.end).then_some(self.at)?;
        let Node::Key { text } = self.tape.node(index) else { return None };
        self.at = self.tape.next(index + 1);
        Some((text, index + 1))
    }
}

struct Lexer<'a> {
    tape: &'a mut Tape,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    options: &'a JsonOptions,
}

type Lexed = Result<(), Malformed>;

/// The text was at most 4 GiB when it was accepted.
#[expect(clippy::cast_possible_truncation, reason = "checked at the start of the record")]
fn narrow(position: usize) -> u32 {
    position as u32
}

impl Lexer<'_> {
    fn malformed<T>(&self) -> Result<T, Malformed> {
        Err(Malformed { at: self.at })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline(always)]
    fn skip_space(&mut self) -> Lexed {
        match self.peek() {
            // Most often there is none.
            Some(b) if b > b' ' && b != b'/' && b != 0xef => Ok(()),
            _ => self.skip_any_space(),
        }
    }

    fn skip_any_space(&mut self) -> Lexed {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                // A byte order mark at the start of the text.
                Some(0xef) if self.at == 0 && self.bytes.starts_with(b"\xef\xbb\xbf") => self.at += 3,
                Some(b'/') if self.options.allow_comments => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Lexed {
        let rest = &self.text[self.at..];
        let length = match rest.as_bytes().get(1) {
            Some(b'/') => rest.find('\n').unwrap_or(rest.len()),
            Some(b'*') => match rest.get(2..).and_then(|body| body.find("*/")) {
                Some(end) => end + 4,
                None => return self.malformed(),
            },
            _ => return self.malformed(),
        };
        self.at += length;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Lexed {
        if depth > MAX_DEPTH {
            return self.malformed();
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(b'"').map(|text| self.tape.nodes.push(Node::String { text })),
            Some(b'\'') if self.options.allow_single_quotes => {
                self.string(b'\'').map(|text| self.tape.nodes.push(Node::String { text }))
            }
            Some(b't') => self.word("true", Node::True),
            Some(b'f') => self.word("false", Node::False),
            Some(b'n') => self.word("null", Node::Null),
            Some(_) => self.number(),
            None => self.malformed(),
        }
    }

    fn word(&mut self, word: &str, node: Node) -> Lexed {
        let end = self.at + word.len();
        let follows = self.bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if self.bytes[self.at..].starts_with(word.as_bytes()) && !follows {
            self.at = end;
            self.tape.nodes.push(node);
            return Ok(());
        }
        self.malformed()
    }

    fn object(&mut self, depth: usize) -> Lexed {
        let (index, start) = (self.tape.nodes.len(), self.at);
        self.tape.nodes.push(Node::Null);
        self.at += 1;
        self.skip_space()?;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let text = self.key()?;
                self.tape.nodes.push(Node::Key { text });
                self.skip_space()?;
                if self.peek() != Some(b':') {
                    return self.malformed();
                }
                self.at += 1;
                self.skip_space()?;
                self.value(depth + 1)?;
                if self.end_of_item(b'}')? {
                    break;
                }
            }
        }
        let end = narrow(self.tape.nodes.len());
        self.tape.nodes[index] = Node::Object { end, start: narrow(start), end_byte: narrow(self.at) };
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Lexed {
        let (index, start) = (self.tape.nodes.len(), self.at);
        self.tape.nodes.push(Node::Null);
        self.at += 1;
        self.skip_space()?;
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.value(depth + 1)?;
                if self.end_of_item(b']')? {
                    break;
                }
            }
        }
        let end = narrow(self.tape.nodes.len());
        self.tape.nodes[index] = Node::Array { end, start: narrow(start), end_byte: narrow(self.at) };
        Ok(())
    }

    /// After an item: a comma, or the end of the whole (`Ok(true)`).
    fn end_of_item(&mut self, close: u8) -> Result<bool, Malformed> {
        self.skip_space()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.skip_space()?;
                Ok(false)
            }
            Some(b) if b == close => {
                self.at += 1;
                Ok(true)
            }
            _ => self.malformed(),
        }
    }

    fn key(&mut self) -> Result<Text, Malformed> {
        match self.peek() {
            Some(b'"') => self.string(b'"'),
            Some(b'\'') if self.options.allow_single_quotes => self.string(b'\''),
            Some(_) if self.options.allow_unquoted_field_names => {
                let rest = &self.text[self.at..];
                let len =
                    rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '@' | '#' | '*' | '+')));
                let len = len.unwrap_or(rest.len());
                if len == 0 {
                    return self.malformed();
                }
                let text = Text { start: narrow(self.at), len: narrow(len), unescaped: false };
                self.at += len;
                Ok(text)
            }
            _ => self.malformed(),
        }
    }

    fn string(&mut self, quote: u8) -> Result<Text, Malformed> {
        self.at += 1;
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        self.at += rest.iter().position(|b| *b == quote || *b == b'\\' || *b < 0x20).unwrap_or(rest.len());
        loop {
            match self.peek() {
                None => return self.malformed(),
                Some(b) if b == quote => {
                    let text = Text { start: narrow(start), len: narrow(self.at - start), unescaped: false };
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => return self.escaped_string(start, quote),
                Some(b) if b < 0x20 && !self.options.allow_unquoted_control_chars => return self.malformed(),
                Some(_) => self.at += 1,
            }
        }
    }

    /// The rest of a string whose first backslash is here.
    fn escaped_string(&mut self, start: usize, quote: u8) -> Result<Text, Malformed> {
        let begin = self.tape.unescaped.len();
        self.tape.unescaped.push_str(&self.text[start..self.at]);
        loop {
            let plain = self.at;
            while self
                .peek()
                .is_some_and(|b| b != quote && b != b'\\' && (b >= 0x20 || self.options.allow_unquoted_control_chars))
            {
                self.at += 1;
            }
            self.tape.unescaped.push_str(&self.text[plain..self.at]);
            match self.peek() {
                Some(b) if b == quote => {
                    self.at += 1;
                    let len = self.tape.unescaped.len() - begin;
                    return Ok(Text { start: narrow(begin), len: narrow(len), unescaped: true });
                }
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape(quote)?;
                    self.tape.unescaped.push(c);
                }
                _ => return self.malformed(),
            }
        }
    }

    fn escape(&mut self, quote: u8) -> Result<char, Malformed> {
        let Some(c) = self.text[self.at..].chars().next() else { return self.malformed() };
        self.at += c.len_utf8();
        Ok(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            '"' | '\\' | '/' => c,
            'u' => self.unicode()?,
            '\'' if quote == b'\'' => c,
            c if self.options.allow_backslash_escaping_any_character => c,
            _ => return self.malformed(),
        })
    }

    /// Four hexadecimal digits; two such escapes where they are a surrogate pair. A lone surrogate is `U+FFFD`.
    fn unicode(&mut self) -> Result<char, Malformed> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(value) = digits.and_then(|d| u32::from_str_radix(d, 16).ok()) else { return self.malformed() };
        self.at += 4;
        Ok(value)
    }

    fn number(&mut self) -> Lexed {
        let start = self.at;
        let may_be_word = matches!(self.peek(), Some(b'N' | b'I' | b'-' | b'+'));
        if may_be_word && self.options.allow_non_numeric_numbers {
            for word in ["NaN", "Infinity", "-Infinity", "+Infinity", "-INF", "+INF", "INF"] {
                if self.bytes[start..].starts_with(word.as_bytes()) {
                    self.at += word.len();
                    self.push_number(start, true);
                    return self.end_of_scalar();
                }
            }
        }
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits();
        let leading_zero = whole > 1 && self.bytes[self.at - whole] == b'0';
        if whole == 0 || (leading_zero && !self.options.allow_numeric_leading_zeros) {
            return self.malformed();
        }
        let mut is_float = false;
        if self.peek() == Some(b'.') {
            self.at += 1;
            is_float = true;
            if self.digits() == 0 {
                return self.malformed();
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            is_float = true;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.malformed();
            }
        }
        self.push_number(start, is_float);
        self.end_of_scalar()
    }

    fn digits(&mut self) -> usize {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        count
    }

    fn push_number(&mut self, start: usize, is_float: bool) {
        self.tape.nodes.push(Node::Number { start: narrow(start), len: narrow(self.at - start), is_float });
    }

    /// A number ends at a delimiter, not in the middle of a word.
    fn end_of_scalar(&mut self) -> Lexed {
        match self.peek() {
            None | Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b']' | b'}' | b'/') => Ok(()),
            _ => self.malformed(),
        }
    }
}
