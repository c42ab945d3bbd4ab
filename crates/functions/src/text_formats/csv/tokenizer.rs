//! A record into its values, as Spark's parser (univocity) splits it.
use super::options::{CsvOptions, UnescapedQuotes};

/// The values of one record; reused from record to record.
#[derive(Debug, Default)]
pub struct Tokens {
    text: String,
    /// Range of `text` of each value; `None` is null.
    values: Vec<Option<(usize, usize)>>,
}

impl Tokens {
    pub fn len(&self) -> usize {
        self.values.len()
    }
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
    pub fn get(&self, index: usize) -> Option<&str> {
        let (start, end) = (*self.values.get(index)?)?;
        self.text.get(start..end)
    }
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.len()).map(|index| self.get(index))
    }
    fn clear(&mut self) {
        self.text.clear();
        self.values.clear();
    }
}

/// Splits text into records and values. One for each read.
#[derive(Debug)]
pub struct Tokenizer<'a> {
    options: &'a CsvOptions,
    delimiter: Vec<char>,
}

/// Why a text cannot be split.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    TooManyColumns,
    TooManyCharacters,
    UnescapedQuote,
}

impl<'a> Tokenizer<'a> {
    pub fn new(options: &'a CsvOptions) -> Self {
        Self { options, delimiter: options.delimiter.chars().collect() }
    }

    /// Splits a line that is one record: line ends have no meaning within it.
    pub fn line(&self, line: &str, tokens: &mut Tokens) -> Result<(), Failure> {
        tokens.clear();
        let mut cursor = Cursor { tokenizer: self, text: line, at: 0, multi_line: false, tokens };
        cursor.record()
    }

    /// Splits the next record off `text`, which may span lines; answers its length with its line end. `is_last`: nothing
    /// follows `text`. `Ok(None)`: the record may go on after it.
    pub fn record(&self, text: &str, is_last: bool, tokens: &mut Tokens) -> Result<Option<usize>, Failure> {
        tokens.clear();
        let mut cursor = Cursor { tokenizer: self, text, at: 0, multi_line: true, tokens };
        cursor.record()?;
        let end = cursor.at;
        if end == text.len() && !is_last {
            return Ok(None);
        }
        let rest = &text[end..];
        let line_end = if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with(['\n', '\r'])) };
        // A line end at the very end may be half of `\r\n`.
        if end + line_end == text.len() && !is_last {
            return Ok(None);
        }
        Ok(Some(end + line_end))
    }
}

struct Cursor<'a> {
    tokenizer: &'a Tokenizer<'a>,
    text: &'a str,
    at: usize,
    multi_line: bool,
    tokens: &'a mut Tokens,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<char> {
        let byte = *self.text.as_bytes().get(self.at)?;
        if byte < 0x80 { Some(char::from(byte)) } else { self.text[self.at..].chars().next() }
    }

    fn at_delimiter(&self) -> bool {
        self.text.as_bytes()[self.at..].starts_with(self.tokenizer.options.delimiter.as_bytes())
    }

    fn at_line_end(&self) -> bool {
        self.multi_line && matches!(self.text.as_bytes().get(self.at), Some(b'\n' | b'\r'))
    }

    fn at_end(&self) -> bool {
        self.at >= self.text.len() || self.at_line_end()
    }

    fn record(&mut self) -> Result<(), Failure> {
        loop {
            self.value()?;
            if self.tokens.len() > self.tokenizer.options.max_columns {
                return Err(Failure::TooManyColumns);
            }
            if self.at_end() {
                return Ok(());
            }
            self.at += self.tokenizer.options.delimiter.len();
        }
    }

    /// Reads one value; stops at its delimiter or at the end.
    fn value(&mut self) -> Result<(), Failure> {
        let options = self.tokenizer.options;
        if options.ignore_leading_white_space {
            while !self.at_end() && !self.at_delimiter() && self.peek().is_some_and(|c| c <= ' ') {
                self.at += 1;
            }
        }
        if options.quote.is_some() && self.peek() == options.quote && !self.at_end() {
            self.quoted()
        } else {
            self.plain(self.at)
        }
    }

    /// An unquoted value that began at byte `start`: everything up to the delimiter.
    fn plain(&mut self, start: usize) -> Result<(), Failure> {
        let first = self.tokenizer.delimiter.first().copied().unwrap_or(',');
        while !self.at_end() {
            let Some(c) = self.peek() else { break };
            if c == first && self.at_delimiter() {
                break;
            }
            self.at += c.len_utf8();
        }
        let mut text = &self.text[start..self.at];
        if self.tokenizer.options.ignore_trailing_white_space {
            text = text.trim_end_matches(|c: char| c <= ' ');
        }
        if text.is_empty() {
            return self.push_null_value();
        }
        let begin = self.tokens.text.len();
        self.tokens.text.push_str(text);
        self.push(begin)
    }

    fn push_null_value(&mut self) -> Result<(), Failure> {
        let begin = self.tokens.text.len();
        self.tokens.text.push_str(&self.tokenizer.options.null_value);
        self.push(begin)
    }

    fn push(&mut self, begin: usize) -> Result<(), Failure> {
        let end = self.tokens.text.len();
        if self.tokenizer.options.max_chars_per_column.is_some_and(|max| end - begin > max) {
            return Err(Failure::TooManyCharacters);
        }
        self.tokens.values.push(Some((begin, end)));
        Ok(())
    }

    fn quoted(&mut self) -> Result<(), Failure> {
        let options = self.tokenizer.options;
        let Some(quote) = options.quote else { return self.plain(self.at) };
        let (start, begin) = (self.at, self.tokens.text.len());
        self.at += quote.len_utf8();
        let mut closed = false;
        let mut skipped = false;
        while let Some(c) = self.peek() {
            let next = self.text[self.at + c.len_utf8()..].chars().next();
            if Some(c) == options.escape && options.escape != options.quote {
                let escapes_escape = options.escape_escape.is_some() && next == options.escape;
                if next == options.quote || escapes_escape {
                    self.tokens.text.extend(next);
                    self.at += c.len_utf8() + next.map_or(0, char::len_utf8);
                    continue;
                }
            }
            if c != quote {
                self.tokens.text.push(c);
                self.at += c.len_utf8();
                continue;
            }
            if options.escape == options.quote && next == options.quote {
                self.tokens.text.push(quote);
                self.at += 2 * quote.len_utf8();
                continue;
            }
            self.at += c.len_utf8();
            if self.ends_after_quote() {
                closed = true;
                break;
            }
            match options.unescaped_quotes {
                UnescapedQuotes::StopAtDelimiter => {
                    self.tokens.text.truncate(begin);
                    return self.plain(start);
                }
                UnescapedQuotes::StopAtClosingQuote => self.tokens.text.push(quote),
                UnescapedQuotes::BackToDelimiter => {}
                UnescapedQuotes::SkipValue => {
                    skipped = true;
                    break;
                }
                UnescapedQuotes::RaiseError => return Err(Failure::UnescapedQuote),
            }
        }
        if skipped {
            self.tokens.text.truncate(begin);
            self.plain(self.at)?;
            if let Some(last) = self.tokens.values.last_mut() {
                *last = None;
            }
            return Ok(());
        }
        if self.tokens.text.len() == begin && closed {
            self.tokens.text.push_str(&options.empty_value);
        }
        self.push(begin)
    }

    /// Whether a quote closed the value: nothing but white space comes before the delimiter. The cursor moves to it.
    fn ends_after_quote(&mut self) -> bool {
        let back = self.at;
        while !self.at_end() && !self.at_delimiter() {
            match self.peek() {
                Some(c) if c <= ' ' => self.at += 1,
                _ => {
                    self.at = back;
                    return false;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::FormatOptions;
    use super::*;

    fn split(line: &str, options: &[(&str, &str)]) -> Vec<String> {
        let options = CsvOptions::new(
            &FormatOptions::new(options.iter().copied()),
            crate::text_formats::FormatSession::UTC,
            None,
        )
        .unwrap();
        let mut tokens = Tokens::default();
        Tokenizer::new(&options).line(line, &mut tokens).unwrap();
        tokens.iter().map(|value| value.unwrap_or("<null>").to_string()).collect()
    }

    #[test]
    fn values_are_split_as_spark_does() {
        for (line, expected) in [
            ("a,\"b", vec!["a", "b"]),
            ("\"a\"b,c", vec!["\"a\"b", "c"]),
            ("\"a\" ,c", vec!["a", "c"]),
            (" \"a\",c", vec![" \"a\"", "c"]),
            ("\"a\\\\b\",c", vec!["a\\b", "c"]),
            ("\"a\\\"b\",c", vec!["a\"b", "c"]),
            ("\"a\"\"b\",c", vec!["\"a\"\"b\"", "c"]),
            ("\"a\\nb\",c", vec!["a\\nb", "c"]),
            ("a\"b,c", vec!["a\"b", "c"]),
            ("a\\,b,c", vec!["a\\", "b", "c"]),
            ("\"a,b,c", vec!["a,b,c"]),
            ("\"\"a\"\",b", vec!["\"\"a\"\"", "b"]),
            ("\"a\"x\"b\",c", vec!["\"a\"x\"b\"", "c"]),
            (",", vec!["", ""]),
        ] {
            assert_eq!(split(line, &[]), expected, "{line}");
        }
        assert_eq!(split("\"a\"\"b\",c", &[("escape", "\"")]), ["a\"b", "c"]);
        assert_eq!(split("\"a\"b,c\"", &[("unescapedQuoteHandling", "STOP_AT_CLOSING_QUOTE")]), ["a\"b,c"]);
        assert_eq!(split("\"a\"b,c\"", &[("unescapedQuoteHandling", "SKIP_VALUE")]), ["<null>", "c\""]);
        assert_eq!(split("a||b", &[("sep", "||")]), ["a", "b"]);
    }

    #[test]
    fn records_span_lines() {
        let options =
            CsvOptions::new(&FormatOptions::default(), crate::text_formats::FormatSession::UTC, None).unwrap();
        let (tokenizer, mut tokens) = (Tokenizer::new(&options), Tokens::default());
        let text = "a,\"b\nc\",d\r\ne";
        assert_eq!(tokenizer.record(text, false, &mut tokens), Ok(Some(11)));
        assert_eq!(tokens.iter().collect::<Vec<_>>(), [Some("a"), Some("b\nc"), Some("d")]);
        assert_eq!(tokenizer.record(&text[11..], false, &mut tokens), Ok(None));
        assert_eq!(tokenizer.record(&text[11..], true, &mut tokens), Ok(Some(1)));
    }
}
