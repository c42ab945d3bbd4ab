//! Function calls and what may follow them.
use firesteel_plan::{Expr, ExprKind, FunctionCall, Result};

use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    /// A call; the name is read, the parenthesis is next.
    pub(super) fn function_call(&mut self, name: Vec<String>, start: usize) -> Result<Expr> {
        let call = FunctionCall::new(name, vec![]);
        self.call_arguments(call, start)
    }

    /// `IDENTIFIER(expr)(…)`
    pub(super) fn call_of_identifier(&mut self, identifier: Expr, start: usize) -> Result<Expr> {
        let mut call = FunctionCall::new(vec![], vec![]);
        call.identifier = Some(identifier);
        self.call_arguments(call, start)
    }

    fn call_arguments(&mut self, mut call: FunctionCall, start: usize) -> Result<Expr> {
        self.nested(|p| {
            p.expect(Kind::LeftParen)?;
            if !p.at(Kind::RightParen) {
                let is_quantifier = !matches!(
                    p.kind_at(1),
                    Kind::Comma | Kind::RightParen | Kind::Dot | Kind::LeftParen | Kind::Arrow | Kind::FatArrow
                ) || p.kind_at(1) == Kind::LeftParen && p.at(Kind::DISTINCT);
                if is_quantifier {
                    call.distinct = p.eat_any(&[Kind::DISTINCT, Kind::ALL]) == Some(Kind::DISTINCT);
                }
                call.arguments = p.comma_list(Self::function_argument)?;
            }
            p.expect(Kind::RightParen)?;
            p.call_suffixes(call, start)
        })
    }

    /// The rest of a call whose first argument is read.
    pub(super) fn call_after_first(&mut self, name: String, first: Expr, start: usize) -> Result<Expr> {
        let mut call = FunctionCall::new(vec![name], vec![first]);
        while self.eat(Kind::Comma) {
            call.arguments.push(self.function_argument()?);
        }
        self.expect(Kind::RightParen)?;
        self.call_suffixes(call, start)
    }

    /// An expression or `name => expression`.
    pub(crate) fn function_argument(&mut self) -> Result<Expr> {
        if self.is_identifier_at(0, false) && self.kind_at(1) == Kind::FatArrow {
            let start = self.position();
            let name = self.identifier()?;
            self.advance();
            let value = self.expression()?;
            return Ok(self.place(ExprKind::NamedArgument { name, value }, start));
        }
        self.expression()
    }

    /// `WITHIN GROUP (…)`, `FILTER (…)`, `IGNORE NULLS`, `OVER …` after a call.
    pub(super) fn call_suffixes(&mut self, mut call: FunctionCall, start: usize) -> Result<Expr> {
        if self.eat_sequence(&[Kind::WITHIN, Kind::GROUP, Kind::LeftParen]) {
            self.expect_sequence(&[Kind::ORDER, Kind::BY])?;
            call.within_group = self.comma_list(Self::sort_item)?;
            self.expect(Kind::RightParen)?;
        }
        if self.eat_sequence(&[Kind::FILTER, Kind::LeftParen]) {
            self.expect(Kind::WHERE)?;
            call.filter = Some(self.expression()?);
            self.expect(Kind::RightParen)?;
        }
        if self.kind_at(1) == Kind::NULLS {
            match self.eat_any(&[Kind::IGNORE, Kind::RESPECT]) {
                Some(kind) => {
                    self.advance();
                    call.ignore_nulls = Some(kind == Kind::IGNORE);
                }
                None => return Ok(self.place(ExprKind::Function(call), start)),
            }
        }
        let function = self.place(ExprKind::Function(call), start);
        if self.at(Kind::OVER) && (self.kind_at(1) == Kind::LeftParen || self.is_identifier_at(1, false)) {
            self.advance();
            let spec = self.window_reference()?;
            return Ok(self.place(ExprKind::Window { function, spec }, start));
        }
        Ok(function)
    }
}
