//! Identifiers, names of several parts, string literals, small constants.
use firesteel_plan::{Expr, ExprKind, Result, TableName};

use crate::parser::Parser;
use crate::strings::string_value;
use crate::token::Kind;

impl Parser<'_> {
    /// Whether the token `ahead` can be an identifier. `strict`: where a join could follow.
    pub(crate) fn is_identifier_at(&self, ahead: usize, strict: bool) -> bool {
        match self.kind_at(ahead) {
            Kind::BackquotedIdentifier => true,
            Kind::DoubleQuotedString => self.options.double_quoted_identifiers,
            kind => kind.is_identifier(self.options.enforce_reserved_keywords, strict),
        }
    }

    pub(crate) fn at_identifier(&self) -> bool {
        self.is_identifier_at(0, false)
    }

    fn identifier_where(&mut self, strict: bool) -> Result<String> {
        if self.is_identifier_literal() {
            let start = self.position();
            let mut parts = self.identifier_literal()?;
            return match (parts.pop(), parts.is_empty()) {
                (Some(part), true) => Ok(part),
                (last, _) => {
                    parts.extend(last);
                    let parameters =
                        [("identifier", firesteel_plan::identifier::quoted_name(&parts)), ("limit", "1".into())];
                    Err(self.error_from(start, "IDENTIFIER_TOO_MANY_NAME_PARTS", parameters))
                }
            };
        }
        if !self.is_identifier_at(0, strict) {
            return Err(self.syntax_error());
        }
        Ok(self.take_identifier())
    }

    fn take_identifier(&mut self) -> String {
        let token = self.advance();
        let text = self.token_text(token);
        let unquoted = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
        match token.kind {
            Kind::BackquotedIdentifier => unquoted.replace("``", "`"),
            Kind::DoubleQuotedString => unquoted.replace("\"\"", "\""),
            _ => text.to_string(),
        }
    }

    /// Any identifier, words that begin joins included.
    pub(crate) fn identifier(&mut self) -> Result<String> {
        self.identifier_where(false)
    }

    /// An identifier where a join or set operation could follow.
    pub(crate) fn strict_identifier(&mut self) -> Result<String> {
        self.identifier_where(true)
    }

    /// An identifier where an unquoted hyphen is a likely mistake (`a-b`), reported as such.
    pub(crate) fn name(&mut self) -> Result<String> {
        let start = self.position();
        let name = self.identifier()?;
        if !(self.at(Kind::Minus) && self.is_identifier_at(1, false)) {
            return Ok(name);
        }
        while self.at(Kind::Minus) && self.is_identifier_at(1, false) {
            self.advance_by(2);
        }
        Err(self.error_from(start, "INVALID_IDENTIFIER", [("ident", self.text_from(start))]))
    }

    /// `IDENTIFIER('literal')`
    fn is_identifier_literal(&self) -> bool {
        self.at_sequence(&[Kind::IDENTIFIER_KW, Kind::LeftParen]) && self.is_string_at(2) && self.literal_ends_at(3)
    }

    fn literal_ends_at(&self, mut ahead: usize) -> bool {
        while self.is_string_at(ahead) {
            ahead += 1;
        }
        self.kind_at(ahead) == Kind::RightParen && self.kind_at(ahead + 1) != Kind::LeftParen
    }

    fn identifier_literal(&mut self) -> Result<Vec<String>> {
        self.advance_by(2);
        let text = self.string_literal()?;
        self.expect(Kind::RightParen)?;
        crate::parse_multipart_identifier(&text, self.options)
    }

    /// `a.b.c`
    pub(crate) fn multipart_name(&mut self) -> Result<Vec<String>> {
        let mut parts = self.name_parts()?;
        while self.eat(Kind::Dot) {
            parts.extend(self.name_parts()?);
        }
        Ok(parts)
    }

    fn name_parts(&mut self) -> Result<Vec<String>> {
        if self.is_identifier_literal() { self.identifier_literal() } else { Ok(vec![self.name()?]) }
    }

    /// `a.b.c` or `IDENTIFIER(expr)`
    pub(crate) fn identifier_reference(&mut self) -> Result<TableName> {
        if self.at_sequence(&[Kind::IDENTIFIER_KW, Kind::LeftParen]) && !self.is_identifier_literal() {
            self.advance();
            let name = self.parenthesized(Self::expression)?;
            return Ok(TableName::Identifier(name));
        }
        Ok(TableName::Parts(self.multipart_name()?))
    }

    /// `( a, b )`
    pub(crate) fn identifier_list(&mut self) -> Result<Vec<String>> {
        self.paren_list(Self::name)
    }

    pub(crate) fn multipart_names(&mut self) -> Result<Vec<Vec<String>>> {
        self.comma_list(Self::multipart_name)
    }

    // Strings

    pub(crate) fn is_string_at(&self, ahead: usize) -> bool {
        match self.kind_at(ahead) {
            Kind::StringLiteral => true,
            Kind::DoubleQuotedString => !self.options.double_quoted_identifiers,
            _ => false,
        }
    }

    pub(crate) fn at_string(&self) -> bool {
        self.is_string_at(0)
    }

    pub(crate) fn one_string(&mut self) -> Result<String> {
        if !self.at_string() {
            return Err(self.syntax_error());
        }
        let token = self.advance();
        Ok(string_value(self.token_text(token), self.options.escaped_string_literals))
    }

    /// Adjacent string literals are one.
    pub(crate) fn string_literal(&mut self) -> Result<String> {
        let mut value = self.one_string()?;
        while self.at_string() {
            value.push_str(&self.one_string()?);
        }
        Ok(value)
    }

    pub(crate) fn optional_string_after(&mut self, keyword: Kind) -> Result<Option<String>> {
        if self.eat(keyword) { Ok(Some(self.string_literal()?)) } else { Ok(None) }
    }

    // Numbers and markers

    pub(crate) fn integer(&mut self) -> Result<i64> {
        let start = self.position();
        let token = self.expect(Kind::IntegerValue)?;
        let text = self.token_text(token).to_string();
        text.parse().map_err(|_| {
            let parameters = [
                ("rawStrippedQualifier", text),
                ("minValue", i64::MIN.to_string()),
                ("maxValue", i64::MAX.to_string()),
                ("typeName", "BIGINT".to_string()),
            ];
            self.error_from(start, "INVALID_NUMERIC_LITERAL_RANGE", parameters)
        })
    }

    /// `:name` or `?`
    pub(crate) fn parameter_marker(&mut self) -> Result<Option<Expr>> {
        let start = self.position();
        if self.eat(Kind::Question) {
            let index = self.markers_before(start);
            return Ok(Some(self.place(ExprKind::PositionalParameter(index), start)));
        }
        if self.at(Kind::Colon) && self.is_identifier_at(1, false) {
            self.advance();
            let name = self.identifier()?;
            return Ok(Some(self.place(ExprKind::NamedParameter(name), start)));
        }
        Ok(None)
    }

    // Clauses of several statements

    /// `IF NOT EXISTS`
    pub(crate) fn if_not_exists(&mut self) -> Result<bool> {
        if !self.at(Kind::IF) || !matches!(self.kind_at(1), Kind::NOT | Kind::Bang) {
            return Ok(false);
        }
        self.advance();
        self.capturing_not()?;
        self.expect(Kind::EXISTS)?;
        Ok(true)
    }

    pub(crate) fn if_exists(&mut self) -> bool {
        self.eat_sequence(&[Kind::IF, Kind::EXISTS])
    }

    /// NOT; a `!` in its place is refused as Spark does.
    pub(crate) fn capturing_not(&mut self) -> Result<()> {
        let start = self.position();
        if self.eat(Kind::Bang) {
            if self.options.bang_equals_not {
                return Ok(());
            }
            let parameters = [("clause", "!")];
            return Err(self.error_from(start, "SYNTAX_DISCONTINUED.BANG_EQUALS_NOT", parameters));
        }
        self.expect(Kind::NOT).map(|_| ())
    }

    pub(crate) fn eat_capturing_not(&mut self) -> Result<bool> {
        if !matches!(self.kind(), Kind::NOT | Kind::Bang) {
            return Ok(false);
        }
        self.capturing_not()?;
        Ok(true)
    }
}
