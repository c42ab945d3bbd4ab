//! The cursor over the tokens: looking ahead, consuming, places, errors.
use std::sync::Arc;

use firesteel_plan::{Expr, Origin, Relation, Result, SparkError};

use crate::lexer::tokenize;
use crate::options::ParseOptions;
use crate::token::{Kind, Token};

/// Stack that must be left before another level of nesting, and the size of a new segment, in bytes.
const STACK_RED_ZONE: usize = 128 * 1024;
const STACK_SEGMENT: usize = 2 * 1024 * 1024;

/// A label that a script's statement may name.
pub(crate) struct Label {
    pub name: String,
    pub is_loop: bool,
}

pub(crate) struct Parser<'a> {
    pub(crate) text: Arc<str>,
    tokens: Vec<Token>,
    position: usize,
    /// Where the `?` are, to number them.
    markers: Vec<usize>,
    pub(crate) options: &'a ParseOptions,
    depth: usize,
    /// Labels in scope, of the script being parsed.
    pub(crate) labels: Vec<Label>,
    /// Conditions that the scripts around declare, innermost last.
    pub(crate) conditions: Vec<String>,
    /// Errors that are no syntax errors. They count when the whole text has none, as in Spark, which looks at the
    /// meaning of literals and types after it has parsed all.
    deferred: Vec<SparkError>,
    /// The syntax error furthest into the text: what is reported when no alternative fits.
    furthest: Option<(usize, SparkError)>,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &str, options: &'a ParseOptions) -> Result<Self> {
        let text: Arc<str> = text.into();
        let tokens = tokenize(&text, options)?;
        let is_marker = |(index, token): (usize, &Token)| (token.kind == Kind::Question).then_some(index);
        let markers = tokens.iter().enumerate().filter_map(is_marker).collect();
        Ok(Self {
            text,
            tokens,
            position: 0,
            markers,
            options,
            depth: 0,
            labels: vec![],
            conditions: vec![],
            deferred: vec![],
            furthest: None,
        })
    }

    /// Parses the whole text with `rule`.
    pub(crate) fn parse_all<T>(mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let result = rule(&mut self).and_then(|value| {
            self.expect(Kind::EndOfInput)?;
            Ok(value)
        });
        match (result, self.furthest.take(), self.deferred.is_empty()) {
            (Err(error), Some((_, furthest)), _) if error.is("PARSE_SYNTAX_ERROR") => Err(furthest),
            (_, _, false) => Err(self.deferred.remove(0)),
            (result, ..) => result,
        }
    }

    /// Keeps an error for the end of the text and goes on with a stand-in.
    pub(crate) fn defer<T>(&mut self, error: SparkError, stand_in: T) -> T {
        self.deferred.push(error);
        stand_in
    }

    // Looking

    pub(crate) fn token(&self) -> Token {
        self.token_at(0)
    }

    pub(crate) fn token_at(&self, ahead: usize) -> Token {
        let last = self.tokens.len() - 1;
        self.tokens[(self.position + ahead).min(last)]
    }

    pub(crate) fn kind(&self) -> Kind {
        self.token().kind
    }

    pub(crate) fn kind_at(&self, ahead: usize) -> Kind {
        self.token_at(ahead).kind
    }

    pub(crate) fn at(&self, kind: Kind) -> bool {
        self.kind() == kind
    }

    pub(crate) fn at_any(&self, kinds: &[Kind]) -> bool {
        kinds.contains(&self.kind())
    }

    /// Whether the next tokens are these.
    pub(crate) fn at_sequence(&self, kinds: &[Kind]) -> bool {
        kinds.iter().enumerate().all(|(ahead, kind)| self.kind_at(ahead) == *kind)
    }

    pub(crate) fn token_text(&self, token: Token) -> &str {
        self.text.get(token.byte_start..token.byte_end).unwrap_or("")
    }

    /// Index of the next token; a place to come back to.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    // Consuming

    pub(crate) fn advance(&mut self) -> Token {
        let token = self.token();
        self.position = (self.position + 1).min(self.tokens.len() - 1);
        token
    }

    pub(crate) fn advance_by(&mut self, count: usize) {
        self.position = (self.position + count).min(self.tokens.len() - 1);
    }

    /// Goes back to a place that [`Self::position`] gave.
    pub(crate) fn rewind(&mut self, position: usize) {
        self.position = position.min(self.tokens.len() - 1);
    }

    pub(crate) fn eat(&mut self, kind: Kind) -> bool {
        let found = self.at(kind);
        if found {
            self.advance();
        }
        found
    }

    /// Consumes the next tokens if they are these.
    pub(crate) fn eat_sequence(&mut self, kinds: &[Kind]) -> bool {
        let found = self.at_sequence(kinds);
        if found {
            self.advance_by(kinds.len());
        }
        found
    }

    /// Consumes the next token if it is one of these.
    pub(crate) fn eat_any(&mut self, kinds: &[Kind]) -> Option<Kind> {
        let kind = self.kind();
        kinds.contains(&kind).then(|| {
            self.advance();
            kind
        })
    }

    pub(crate) fn expect(&mut self, kind: Kind) -> Result<Token> {
        if self.at(kind) {
            return Ok(self.advance());
        }
        let hint = if self.kind_at(1) == kind && !self.at(Kind::EndOfInput) {
            format!(": extra input {}", self.token_description(self.token()))
        } else {
            String::new()
        };
        Err(self.syntax_error_with_hint(hint))
    }

    pub(crate) fn expect_sequence(&mut self, kinds: &[Kind]) -> Result<()> {
        kinds.iter().try_for_each(|kind| self.expect(*kind).map(|_| ()))
    }

    pub(crate) fn expect_any(&mut self, kinds: &[Kind]) -> Result<Kind> {
        self.eat_any(kinds).ok_or_else(|| self.syntax_error())
    }

    /// A `>` that closes a type; splits `>>` and `>>>`.
    pub(crate) fn expect_greater(&mut self) -> Result<()> {
        let rest = match self.kind() {
            Kind::ShiftRight => Kind::Greater,
            Kind::ShiftRightUnsigned => Kind::ShiftRight,
            _ => return self.expect(Kind::Greater).map(|_| ()),
        };
        let token = &mut self.tokens[self.position];
        token.kind = rest;
        token.start += 1;
        token.byte_start += 1;
        Ok(())
    }

    /// Tries a rule; where it fails with a syntax error, goes back and answers nothing.
    pub(crate) fn attempt<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        let start = self.position;
        let deferred = self.deferred.len();
        match rule(self) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is("PARSE_SYNTAX_ERROR") => {
                self.position = start;
                self.deferred.truncate(deferred);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// One or more, separated by commas.
    pub(crate) fn comma_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(Kind::Comma) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `( item, … )`
    pub(crate) fn paren_list<T>(&mut self, item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.parenthesized(|p| p.comma_list(item))
    }

    pub(crate) fn parenthesized<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.expect(Kind::LeftParen)?;
        let value = rule(self)?;
        self.expect(Kind::RightParen)?;
        Ok(value)
    }

    /// Runs a rule one level deeper: refuses what is nested too deep, and makes sure that the stack suffices.
    pub(crate) fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= self.options.max_depth {
            return Err(self.too_complex());
        }
        self.depth += 1;
        let result = stacker::maybe_grow(STACK_RED_ZONE, STACK_SEGMENT, || rule(self));
        self.depth -= 1;
        result
    }

    /// Refuses a chain of operators that later phases could not walk down.
    pub(crate) fn check_chain(&self, length: usize) -> Result<()> {
        if length > self.options.max_chain { Err(self.too_complex()) } else { Ok(()) }
    }

    fn too_complex(&self) -> SparkError {
        SparkError::of("FAILED_TO_PARSE_TOO_COMPLEX").with_origin(self.origin_of(self.token(), self.token()).as_ref())
    }

    // Places

    fn origin_of(&self, first: Token, last: Token) -> Option<Arc<Origin>> {
        Some(Arc::new(Origin::Sql {
            text: Arc::clone(&self.text),
            start: first.start,
            stop: last.stop.max(first.start),
            object_type: String::new(),
            object_name: String::new(),
        }))
    }

    /// The place from the token at `start` to the last token consumed.
    pub(crate) fn origin_from(&self, start: usize) -> Option<Arc<Origin>> {
        let last = self.position.saturating_sub(1).max(start).min(self.tokens.len() - 1);
        self.origin_of(self.tokens[start.min(last)], self.tokens[last])
    }

    /// The text from the token at `start` to the last token consumed, as written.
    pub(crate) fn text_from(&self, start: usize) -> String {
        let last = self.position.saturating_sub(1).max(start).min(self.tokens.len() - 1);
        let (first, last) = (self.tokens[start.min(last)], self.tokens[last]);
        self.text.get(first.byte_start..last.byte_end).unwrap_or("").to_string()
    }

    pub(crate) fn place(&self, expr: impl Into<Expr>, start: usize) -> Expr {
        expr.into().with_origin(self.origin_from(start))
    }

    pub(crate) fn place_relation(&self, relation: Relation, start: usize) -> Relation {
        relation.with_origin(self.origin_from(start))
    }

    /// Whether a parameter marker was consumed since `start`.
    pub(crate) fn has_parameter_marker(&self, start: usize) -> bool {
        let tokens = self.tokens.get(start..self.position).unwrap_or(&[]);
        tokens.iter().enumerate().any(|(index, token)| match token.kind {
            Kind::Question => true,
            Kind::Colon => {
                let before = index.checked_sub(1).and_then(|index| tokens.get(index)).map(|token| token.kind);
                let follows_value = before.is_some_and(|kind| {
                    matches!(
                        kind,
                        Kind::Identifier | Kind::BackquotedIdentifier | Kind::RightParen | Kind::RightBracket
                    )
                });
                !follows_value && tokens.get(index + 1).is_some_and(|next| next.kind.is_identifier(false, false))
            }
            _ => false,
        })
    }

    /// How many `?` come before the token at `position`.
    pub(crate) fn markers_before(&self, position: usize) -> usize {
        self.markers.partition_point(|marker| *marker < position)
    }

    // Errors

    /// A token as messages show it.
    fn token_description(&self, token: Token) -> String {
        match token.kind {
            Kind::EndOfInput => "end of input".to_string(),
            _ => format!("'{}'", self.token_text(token)),
        }
    }

    /// A syntax error at the next token.
    pub(crate) fn syntax_error(&mut self) -> SparkError {
        self.syntax_error_with_hint(String::new())
    }

    fn syntax_error_with_hint(&mut self, hint: String) -> SparkError {
        let token = self.token();
        let parameters = [("error", self.token_description(token)), ("hint", hint)];
        let error =
            SparkError::new("PARSE_SYNTAX_ERROR", parameters).with_origin(self.origin_of(token, token).as_ref());
        if self.furthest.as_ref().is_none_or(|(position, _)| *position < self.position) {
            self.furthest = Some((self.position, error.clone()));
        }
        error
    }

    /// An error of `condition` about the tokens from `start` to the last one consumed.
    pub(crate) fn error_from<K: Into<String>, V: Into<String>>(
        &self,
        start: usize,
        condition: &str,
        parameters: impl IntoIterator<Item = (K, V)>,
    ) -> SparkError {
        SparkError::new(condition, parameters).with_origin(self.origin_from(start).as_ref())
    }

    /// An error of a condition without parameters.
    pub(crate) fn plain_error_from(&self, start: usize, condition: &str) -> SparkError {
        SparkError::of(condition).with_origin(self.origin_from(start).as_ref())
    }
}
