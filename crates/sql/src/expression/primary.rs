//! Primary expressions: what operators apply to.
use firesteel_plan::data_type::DataType;
use firesteel_plan::expression::EvalMode;
use firesteel_plan::{Expr, ExprKind, Relation, Result};

use super::{call, string};
use crate::parser::Parser;
use crate::token::Kind;

/// What stands in parentheses, while it may be either.
pub(crate) enum Parenthesized {
    Query(Relation),
    Expression(Expr),
}

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Expr> {
        let start = self.position();
        let base = self.primary_base()?;
        self.postfix(base, start)
    }

    /// `COLLATE c`, `::type`, `:path`, `[i]`, `.field`, `.*` after a primary expression.
    pub(super) fn postfix(&mut self, mut base: Expr, start: usize) -> Result<Expr> {
        let mut length = 0;
        loop {
            length += 1;
            self.check_chain(length)?;
            let next: Expr = match self.kind() {
                Kind::COLLATE if self.is_identifier_at(1, false) => {
                    self.advance();
                    let name_start = self.position();
                    let name = self.multipart_name()?;
                    let name = self.place(string(name.join(".")), name_start);
                    call("collate", vec![base, name])
                }
                Kind::DoubleColon => {
                    self.advance();
                    let to = self.data_type()?;
                    ExprKind::Cast { child: base, to, mode: EvalMode::Session }.into()
                }
                Kind::Colon if self.at_extraction_path() => {
                    self.advance();
                    let path = self.extraction_path()?;
                    call("variant_get", vec![base, path])
                }
                Kind::LeftBracket => {
                    self.advance();
                    let extraction = self.nested(Self::value_expression)?;
                    self.expect(Kind::RightBracket)?;
                    ExprKind::ExtractValue { child: base, extraction }.into()
                }
                Kind::Dot if self.is_identifier_at(1, false) => {
                    self.advance();
                    let field_start = self.position();
                    let field = self.identifier()?;
                    match *base.kind {
                        ExprKind::Attribute { mut name, plan_id, is_metadata_column } => {
                            name.push(field);
                            ExprKind::Attribute { name, plan_id, is_metadata_column }.into()
                        }
                        kind => {
                            let child = Expr { kind: Box::new(kind), origin: base.origin };
                            let extraction = self.place(string(field), field_start);
                            ExprKind::ExtractValue { child, extraction }.into()
                        }
                    }
                }
                _ => return Ok(base),
            };
            base = self.place(next, start);
        }
    }

    fn primary_base(&mut self) -> Result<Expr> {
        if let Some(special) = self.special_form()? {
            return Ok(special);
        }
        if let Some(constant) = self.constant()? {
            return Ok(constant);
        }
        let start = self.position();
        match self.kind() {
            Kind::LeftParen => self.parenthesized_expression(),
            Kind::Asterisk => {
                self.advance();
                self.star(vec![], start)
            }
            Kind::FILTER | Kind::LEFT | Kind::RIGHT if self.kind_at(1) == Kind::LeftParen => {
                let token = self.advance();
                let name = self.token_text(token).to_string();
                self.function_call(vec![name], start)
            }
            _ => self.name_or_call(),
        }
    }

    /// A column, a star, a call, a lambda.
    fn name_or_call(&mut self) -> Result<Expr> {
        let start = self.position();
        if self.at_sequence(&[Kind::IDENTIFIER_KW, Kind::LeftParen]) {
            return self.identifier_clause();
        }
        let is_quoted = self.at(Kind::BackquotedIdentifier);
        let first = self.identifier()?;
        if self.eat(Kind::Arrow) {
            let body = self.expression()?;
            return Ok(self.place(ExprKind::Lambda { parameters: vec![first], body }, start));
        }
        let mut name = vec![first];
        while self.at(Kind::Dot) {
            if self.kind_at(1) == Kind::Asterisk {
                self.advance_by(2);
                return self.star(name, start);
            }
            if !self.is_identifier_at(1, false) {
                break;
            }
            self.advance();
            name.push(self.identifier()?);
        }
        if self.at(Kind::LeftParen) {
            return self.function_call(name, start);
        }
        let is_pattern = |text: &String| !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_quoted && self.options.quoted_regex_column_names && name.len() == 1 && name.iter().any(is_pattern) {
            let pattern = format!("`{}`", name.remove(0));
            return Ok(self.place(ExprKind::Regex { pattern, plan_id: None }, start));
        }
        Ok(self.place(Expr::parts(name), start))
    }

    /// `IDENTIFIER(expr)`: a column, or with arguments after it, a function.
    fn identifier_clause(&mut self) -> Result<Expr> {
        let start = self.position();
        self.advance();
        let clause = self.parenthesized(Self::expression)?;
        if self.at(Kind::LeftParen) {
            return self.call_of_identifier(clause, start);
        }
        if let Some(text) = literal_text(&clause) {
            let mut name = crate::parse_multipart_identifier(text, self.options)?;
            while self.at(Kind::Dot) && self.is_identifier_at(1, false) {
                self.advance();
                name.push(self.identifier()?);
            }
            if self.at_sequence(&[Kind::Dot, Kind::Asterisk]) {
                self.advance_by(2);
                return self.star(name, start);
            }
            if self.at(Kind::LeftParen) {
                return self.function_call(name, start);
            }
            return Ok(self.place(Expr::parts(name), start));
        }
        Ok(self.place(ExprKind::IdentifierClause(clause), start))
    }

    fn star(&mut self, target: Vec<String>, start: usize) -> Result<Expr> {
        let has_except = self.at_sequence(&[Kind::EXCEPT, Kind::LeftParen]) && !self.begins_query_at(2);
        let except = if has_except {
            self.advance();
            self.paren_list(Self::multipart_name)?
        } else {
            vec![]
        };
        Ok(self.place(ExprKind::Star { target, plan_id: None, except }, start))
    }

    /// `(expr)`, `(a, b)`, `(query)`, `(x, y) -> body`
    fn parenthesized_expression(&mut self) -> Result<Expr> {
        if self.at_lambda_parameters() {
            let start = self.position();
            let parameters = self.paren_list(Self::identifier)?;
            self.expect(Kind::Arrow)?;
            let body = self.expression()?;
            return Ok(self.place(ExprKind::Lambda { parameters, body }, start));
        }
        let start = self.position();
        match self.parenthesized_either()? {
            Parenthesized::Expression(expression) => Ok(expression),
            Parenthesized::Query(query) => Ok(self.place(ExprKind::ScalarSubquery(query), start)),
        }
    }

    fn at_lambda_parameters(&self) -> bool {
        let mut ahead = 1;
        while self.is_identifier_at(ahead, false) && self.kind_at(ahead + 1) == Kind::Comma {
            ahead += 2;
        }
        ahead > 1
            && self.is_identifier_at(ahead, false)
            && self.kind_at(ahead + 1) == Kind::RightParen
            && self.kind_at(ahead + 2) == Kind::Arrow
    }

    /// What stands in parentheses: a query or an expression. `((SELECT 1) UNION …)` and `((SELECT 1) + 1)` begin
    /// alike, so the inner parentheses are read once and what follows decides.
    pub(crate) fn parenthesized_either(&mut self) -> Result<Parenthesized> {
        self.nested(|p| {
            let start = p.position();
            p.expect(Kind::LeftParen)?;
            if p.at(Kind::LeftParen) && !p.at_lambda_parameters() && p.begins_query_at(0) {
                let inner_start = p.position();
                let inner = match p.parenthesized_either()? {
                    Parenthesized::Expression(inner) => inner,
                    Parenthesized::Query(query) => {
                        if p.at(Kind::RightParen) || p.at_query_continuation() {
                            let query = p.query_after_primary(query, inner_start)?;
                            p.expect(Kind::RightParen)?;
                            return Ok(Parenthesized::Query(query));
                        }
                        p.place(ExprKind::ScalarSubquery(query), inner_start)
                    }
                };
                let first = p.resume_named_expression(inner, inner_start)?;
                return p.close_expressions(first, start).map(Parenthesized::Expression);
            }
            if p.begins_query_at(0) {
                let query = p.query()?;
                p.expect(Kind::RightParen)?;
                return Ok(Parenthesized::Query(query));
            }
            let first = p.named_expression()?;
            p.close_expressions(first, start).map(Parenthesized::Expression)
        })
    }

    fn close_expressions(&mut self, first: Expr, start: usize) -> Result<Expr> {
        if self.at(Kind::Comma) {
            let mut values = vec![first];
            while self.eat(Kind::Comma) {
                values.push(self.named_expression()?);
            }
            self.expect(Kind::RightParen)?;
            return Ok(self.place(call("struct", values), start));
        }
        if matches!(first.kind.as_ref(), ExprKind::Alias { .. }) {
            return Err(self.syntax_error());
        }
        self.expect(Kind::RightParen)?;
        Ok(first)
    }

    /// The rest of an expression whose first primary is already read.
    fn resume_named_expression(&mut self, primary: Expr, start: usize) -> Result<Expr> {
        let value = self.postfix(primary, start)?;
        let value = self.resume_binary(value, start)?;
        let value = self.predicate(value, start)?;
        let value = self.resume_logical(value, start)?;
        if self.eat(Kind::AS) || self.at_implicit_alias(false) {
            let names = vec![self.name()?];
            return Ok(self.place(ExprKind::Alias { child: value, names, metadata: None }, start));
        }
        Ok(value)
    }

    /// `:` begins a path only right after a value, not `:name` of a statement label or marker.
    fn at_extraction_path(&self) -> bool {
        self.is_identifier_at(1, false) || self.kind_at(1) == Kind::LeftBracket
    }

    /// `a.b[0]['c']`, as JSON path text.
    fn extraction_path(&mut self) -> Result<Expr> {
        let start = self.position();
        let mut path = String::from("$");
        let mut is_first = true;
        loop {
            if self.eat(Kind::LeftBracket) {
                if self.at_string() {
                    let key = self.string_literal()?;
                    path.push_str(&format!("['{}']", key.replace('\'', "\\'")));
                } else if self.at(Kind::IntegerValue) {
                    path.push_str(&format!("[{}]", self.integer()?));
                } else {
                    let token = self.advance();
                    path.push_str(&format!("[{}]", self.token_text(token)));
                }
                self.expect(Kind::RightBracket)?;
            } else if is_first || (self.at(Kind::Dot) && self.is_identifier_at(1, false)) {
                self.eat(Kind::Dot);
                let key = self.identifier()?;
                path.push_str(&format!(".{key}"));
            } else {
                return Ok(self.place(string(path), start));
            }
            is_first = false;
        }
    }

    /// `CAST(e AS type)` and `TRY_CAST`, after the word.
    pub(super) fn cast(&mut self, mode: EvalMode, start: usize) -> Result<Expr> {
        let (child, to): (Expr, DataType) = self.parenthesized(|p| {
            let child = p.expression()?;
            p.expect(Kind::AS)?;
            Ok((child, p.data_type()?))
        })?;
        Ok(self.place(ExprKind::Cast { child, to, mode }, start))
    }
}

pub(crate) fn literal_text(expr: &Expr) -> Option<&str> {
    match expr.kind.as_ref() {
        ExprKind::Literal(firesteel_plan::Literal::String(text)) => Some(text),
        _ => None,
    }
}
