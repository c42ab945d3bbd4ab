//! A JSON text as a tree, for functions that look into it.
use super::path::{Step, evaluate};
use crate::text_formats::json::{JsonOptions, Node, Tape};
use crate::text_formats::{FormatOptions, FormatSession};

/// A parsed value. Numbers keep their text; objects keep their order and duplicates.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Boolean(bool),
    /// An integer or decimal number, or `NaN` and its siblings
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Reads texts one after the other, with the options that hold where none are given.
pub struct Parser {
    tape: Tape,
    options: JsonOptions,
}

impl Parser {
    pub fn new() -> firesteel_plan::Result<Self> {
        let options = JsonOptions::new(&FormatOptions::default(), FormatSession::UTC, None)?;
        Ok(Self { tape: Tape::default(), options })
    }

    /// The first value of a text; `None` where there is none or it is malformed.
    pub fn parse(&mut self, text: &str) -> Option<Json> {
        match self.tape.parse(text, &self.options) {
            Ok(true) => Some(self.value(0, text)),
            _ => None,
        }
    }

    /// Appends what a path leads to; `None` where it leads nowhere. Only that value is made: names and positions go
    /// straight there.
    pub fn follow(&mut self, text: &str, steps: &[Step], out: &mut String) -> Option<()> {
        let Ok(true) = self.tape.parse(text, &self.options) else { return None };
        let (mut at, mut rest) = (0, steps);
        while let [step, after @ ..] = rest {
            let next = match (step, self.tape.node(at)) {
                (Step::Name(name), Node::Object { .. }) => {
                    let mut named = self.tape.fields(at).filter(|(key, _)| self.tape.text(*key, text) == name);
                    let found = named.next();
                    // Which of several fields it is depends on what the rest of the path finds there.
                    if named.next().is_some() {
                        break;
                    }
                    found?.1
                }
                (Step::Index(index), Node::Array { .. }) if after.first() != Some(&Step::Items) => {
                    self.tape.elements(at).nth(*index)?
                }
                _ => break,
            };
            (at, rest) = (next, after);
        }
        match self.tape.node(at) {
            _ if !rest.is_empty() => return evaluate(&self.value(at, text), rest, out),
            Node::Null => return None,
            Node::String { text: found } => out.push_str(self.tape.text(found, text)),
            Node::Number { .. } => write_number(self.tape.source(at, text), out),
            _ => self.value(at, text).write(out),
        }
        Some(())
    }

    /// A text that is one JSON value and nothing else.
    pub fn parse_whole(&mut self, text: &str) -> Option<Json> {
        let json = self.parse(text)?;
        let end = match self.tape.node(0) {
            Node::Array { end_byte, .. } | Node::Object { end_byte, .. } => end_byte as usize,
            // What follows a scalar is seen by a strict parser.
            _ => return serde_json::from_str::<serde_json::Value>(text).ok().map(|_| json),
        };
        text.get(end..)?.trim().is_empty().then_some(json)
    }

    fn value(&self, index: usize, source: &str) -> Json {
        match self.tape.node(index) {
            Node::Null => Json::Null,
            Node::True => Json::Boolean(true),
            Node::False => Json::Boolean(false),
            Node::Number { .. } => Json::Number(self.tape.source(index, source).to_string()),
            Node::String { text } | Node::Key { text } => Json::Text(self.tape.text(text, source).to_string()),
            Node::Array { .. } => Json::Array(self.tape.elements(index).map(|i| self.value(i, source)).collect()),
            Node::Object { .. } => {
                let field = |(key, i)| (self.tape.text(key, source).to_string(), self.value(i, source));
                Json::Object(self.tape.fields(index).map(field).collect())
            }
        }
    }
}

impl Json {
    /// The last field of that name, as Jackson's maps keep it.
    pub fn field(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(fields) => fields.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Appends the value as compact JSON. Decimal numbers are written as Java's doubles.
    pub fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Json::Number(text) => write_number(text, out),
            Json::Text(text) => push_quoted(text, out),
            Json::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(fields) => {
                out.push('{');
                for (i, (name, value)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    push_quoted(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// As a string value: text without quotes, the rest as JSON.
    pub fn write_unquoted(&self, out: &mut String) {
        match self {
            Json::Text(text) => out.push_str(text),
            other => other.write(out),
        }
    }
}

/// Integers keep their text; others are read and written as doubles.
pub fn write_number(text: &str, out: &mut String) {
    let special = text.trim_start_matches(['+', '-']);
    if special.starts_with(['N', 'I']) {
        let sign = if text.starts_with('-') { "-" } else { "" };
        let name = if special.starts_with('N') { "NaN" } else { "Infinity" };
        out.push_str(&format!("\"{sign}{name}\""));
        return;
    }
    if is_integer(text) {
        return out.push_str(text);
    }
    match text.parse::<f64>() {
        Ok(value) => crate::strings::digits::push_java_double(value, out),
        Err(_) => out.push_str(text),
    }
}

/// Whether a number's text is an integer.
pub fn is_integer(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E' | b'N' | b'I'))
}

/// Appends a string in double quotes.
pub fn push_quoted(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The double that a number's text means, `NaN` and infinities included.
pub fn read_double(text: &str) -> f64 {
    let special = text.trim_start_matches(['+', '-']);
    match special.chars().next() {
        Some('I') if text.starts_with('-') => f64::NEG_INFINITY,
        Some('I') => f64::INFINITY,
        _ => text.parse().unwrap_or(f64::NAN),
    }
}
