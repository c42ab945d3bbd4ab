//! Predicates after a value: BETWEEN, IN, LIKE and its kin, IS.
use firesteel_plan::{Expr, ExprKind, Literal, Result};

use super::primary::Parenthesized;
use super::{call, string};
use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    /// The predicate that follows `value`, if one does. `start` is where the value begins.
    pub(super) fn predicate(&mut self, value: Expr, start: usize) -> Result<Expr> {
        if self.at(Kind::IS) {
            return self.is_predicate(value, start);
        }
        let negated_here = matches!(self.kind(), Kind::NOT | Kind::Bang);
        let word = self.kind_at(usize::from(negated_here));
        if !matches!(word, Kind::BETWEEN | Kind::IN | Kind::LIKE | Kind::ILIKE | Kind::RLIKE) {
            return Ok(value);
        }
        if !negated_here && !self.infix_word_follows() {
            return Ok(value);
        }
        let negated = self.eat_capturing_not()?;
        self.advance();
        let positive = match word {
            Kind::BETWEEN => self.between(value)?,
            Kind::IN => self.in_list(value, start)?,
            Kind::RLIKE => call("rlike", vec![value, self.value_expression()?]),
            _ => return self.like(value, word, negated, start),
        };
        let positive = self.place(positive, start);
        Ok(if negated { self.place(call("not", vec![positive]), start) } else { positive })
    }

    /// BETWEEN, LIKE … are also names: as an alias they are followed by what ends an item.
    fn infix_word_follows(&self) -> bool {
        !matches!(self.kind_at(1), Kind::EndOfInput | Kind::Comma | Kind::RightParen | Kind::Semicolon | Kind::FROM)
    }

    fn between(&mut self, value: Expr) -> Result<Expr> {
        let lower = self.value_expression()?;
        self.expect(Kind::AND)?;
        let upper = self.value_expression()?;
        Ok(call("between", vec![value, lower, upper]))
    }

    fn in_list(&mut self, value: Expr, start: usize) -> Result<Expr> {
        if self.at(Kind::LeftParen) && self.begins_query_at(1) {
            return Ok(match self.parenthesized_either()? {
                Parenthesized::Query(query) => ExprKind::InSubquery { values: row_values(value), query }.into(),
                Parenthesized::Expression(list) => {
                    let mut arguments = vec![value];
                    arguments.extend(row_values(list));
                    call("in", arguments)
                }
            });
        }
        self.expect(Kind::LeftParen)?;
        if self.eat(Kind::RightParen) {
            let error = self.plain_error_from(start, "INVALID_SQL_SYNTAX.EMPTY_IN_PREDICATE");
            return Ok(self.defer(error, Expr::null()));
        }
        let mut arguments = vec![value];
        arguments.extend(self.expressions()?);
        self.expect(Kind::RightParen)?;
        Ok(call("in", arguments))
    }

    fn like(&mut self, value: Expr, word: Kind, negated: bool, start: usize) -> Result<Expr> {
        let quantifier = self.kind();
        let is_quantified =
            matches!(quantifier, Kind::ANY | Kind::SOME | Kind::ALL) && self.kind_at(1) == Kind::LeftParen;
        let name = if word == Kind::ILIKE { "ilike" } else { "like" };
        if is_quantified {
            self.advance();
            return self.quantified_like(value, name, quantifier != Kind::ALL, negated, start);
        }
        let mut arguments = vec![value, self.value_expression()?];
        if self.at(Kind::ESCAPE) && self.is_string_at(1) {
            self.advance();
            let escape_start = self.position();
            let escape = self.string_literal()?;
            if escape.chars().count() != 1 {
                let error = self.error_from(start, "INVALID_ESC", [("invalidEscape", format!("'{escape}'"))]);
                return Ok(self.defer(error, Expr::null()));
            }
            arguments.push(self.place(string(escape), escape_start));
        }
        let like = self.place(call(name, arguments), start);
        Ok(if negated { self.place(call("not", vec![like]), start) } else { like })
    }

    /// `LIKE ANY (…)`: with constant patterns one call (`likeany`, `notlikeall` …), else a tree of LIKEs.
    fn quantified_like(&mut self, value: Expr, name: &str, any: bool, negated: bool, start: usize) -> Result<Expr> {
        let list_start = self.position();
        self.expect(Kind::LeftParen)?;
        if self.eat(Kind::RightParen) {
            let message = "Expected something between '(' and ')'.";
            let error = self.error_from(list_start, "_LEGACY_ERROR_TEMP_0064", [("msg", message)]);
            return Ok(self.defer(error, Expr::null()));
        }
        let patterns = self.expressions()?;
        self.expect(Kind::RightParen)?;
        if patterns.iter().all(|p| matches!(p.kind.as_ref(), ExprKind::Literal(Literal::String(_)))) {
            let function = format!("{}like{}", if negated { "not" } else { "" }, if any { "any" } else { "all" });
            let is_lower = name == "ilike";
            let value = if is_lower { self.place(call("lower", vec![value]), start) } else { value };
            let mut arguments = vec![value];
            arguments.extend(patterns.into_iter().map(|pattern| if is_lower { lowered(pattern) } else { pattern }));
            return Ok(self.place(call(&function, arguments), start));
        }
        let origin = self.origin_from(start);
        let terms = patterns.into_iter().map(|pattern| {
            let like = call(name, vec![value.clone(), pattern]).with_origin(origin.clone());
            if negated { call("not", vec![like]).with_origin(origin.clone()) } else { like }
        });
        let joined = terms
            .reduce(|left, right| call(if any { "or" } else { "and" }, vec![left, right]).with_origin(origin.clone()));
        Ok(joined.unwrap_or_else(Expr::null))
    }

    fn is_predicate(&mut self, value: Expr, start: usize) -> Result<Expr> {
        self.advance();
        let negated = self.eat_capturing_not()?;
        let test = match self.kind() {
            Kind::NULL => {
                self.advance();
                let name = if negated { "isNotNull" } else { "isNull" };
                return Ok(self.place(call(name, vec![value]), start));
            }
            Kind::TRUE | Kind::FALSE => {
                let constant = self.at(Kind::TRUE);
                self.advance();
                call("<=>", vec![value, Expr::boolean(constant)])
            }
            Kind::UNKNOWN => {
                self.advance();
                let name = if negated { "isnotunknown" } else { "isunknown" };
                return Ok(self.place(call(name, vec![value]), start));
            }
            Kind::DISTINCT => {
                self.advance();
                self.expect(Kind::FROM)?;
                let other = self.value_expression()?;
                let same = self.place(call("<=>", vec![value, other]), start);
                return Ok(if negated { same } else { self.place(call("not", vec![same]), start) });
            }
            _ => return Err(self.syntax_error()),
        };
        let test = self.place(test, start);
        Ok(if negated { self.place(call("not", vec![test]), start) } else { test })
    }
}

/// `(a, b)` before IN (query), or after IN, are two values.
fn row_values(value: Expr) -> Vec<Expr> {
    match *value.kind {
        ExprKind::Function(call) if call.is_internal && call.name == ["struct"] => call.arguments,
        kind => vec![Expr { kind: Box::new(kind), origin: value.origin }],
    }
}

fn lowered(pattern: Expr) -> Expr {
    match *pattern.kind {
        ExprKind::Literal(Literal::String(text)) => string(text.to_lowercase()).with_origin(pattern.origin),
        kind => Expr { kind: Box::new(kind), origin: pattern.origin },
    }
}
