//! Expressions: boolean operators, predicates, and the operators on values by precedence.
//!
//! ```text
//!  expression   OR ▸ AND ▸ NOT ▸ predicate (IS, IN, LIKE, BETWEEN: at most one)
//!  value        = < <=> …  ▸  |  ▸  ^  ▸  &  ▸  << >> >>>  ▸  + - ||  ▸  * / % DIV  ▸  unary + - ~
//!  primary      literals, names, calls, CASE, CAST, ( … ), then  COLLATE  ::  :path  [i]  .field
//! ```
use std::sync::Arc;

use firesteel_plan::{Expr, ExprKind, FunctionCall, Literal, Origin, Result};

use crate::parser::Parser;
use crate::token::Kind;

mod call;
mod interval;
mod literal;
mod predicate;
mod primary;
mod special;
mod window;

/// Infix operators on values: precedence and the function that each calls.
static OPERATORS: &[(Kind, u8, &str)] = &[
    (Kind::Asterisk, 7, "*"),
    (Kind::Slash, 7, "/"),
    (Kind::Percent, 7, "%"),
    (Kind::DIV, 7, "div"),
    (Kind::Plus, 6, "+"),
    (Kind::Minus, 6, "-"),
    (Kind::ConcatPipe, 6, "concat"),
    (Kind::ShiftLeft, 5, "<<"),
    (Kind::ShiftRight, 5, ">>"),
    (Kind::ShiftRightUnsigned, 5, ">>>"),
    (Kind::Ampersand, 4, "&"),
    (Kind::Hat, 3, "^"),
    (Kind::Pipe, 2, "|"),
    (Kind::Equal, 1, "=="),
    (Kind::NullSafeEqual, 1, "<=>"),
    (Kind::NotEqual, 1, "!="),
    (Kind::NotEqualBang, 1, "!="),
    (Kind::Less, 1, "<"),
    (Kind::LessOrEqual, 1, "<="),
    (Kind::Greater, 1, ">"),
    (Kind::GreaterOrEqual, 1, ">="),
];

const PRECEDENCE_LOWEST: u8 = 1;
const PRECEDENCE_UNARY: u8 = 8;

/// A call by operator or special syntax.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    Expr::call(name, arguments)
}

pub(crate) fn string(value: impl Into<String>) -> Expr {
    Expr::literal(Literal::String(value.into()))
}

impl Parser<'_> {
    pub(crate) fn expression(&mut self) -> Result<Expr> {
        self.nested(Self::disjunction)
    }

    fn disjunction(&mut self) -> Result<Expr> {
        let start = self.position();
        let first = self.conjunction()?;
        self.logical(first, start, Kind::OR, "or", Self::conjunction)
    }

    fn conjunction(&mut self) -> Result<Expr> {
        let start = self.position();
        let first = self.negation()?;
        self.logical(first, start, Kind::AND, "and", Self::negation)
    }

    /// The AND and OR operators after an operand that is already read.
    pub(crate) fn resume_logical(&mut self, first: Expr, start: usize) -> Result<Expr> {
        let first = self.logical(first, start, Kind::AND, "and", Self::negation)?;
        self.logical(first, start, Kind::OR, "or", Self::conjunction)
    }

    /// Operands joined by AND or OR, as a balanced tree: long chains stay shallow.
    fn logical(
        &mut self,
        first: Expr,
        start: usize,
        operator: Kind,
        name: &str,
        mut operand: impl FnMut(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        if !self.at(operator) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.eat(operator) {
            operands.push(operand(self)?);
        }
        let origin = self.origin_from(start);
        Ok(balanced(operands, name, origin.as_ref()))
    }

    fn negation(&mut self) -> Result<Expr> {
        let start = self.position();
        if matches!(self.kind(), Kind::NOT | Kind::Bang) && !self.is_name_use() {
            self.advance();
            let operand = self.nested(Self::negation)?;
            return Ok(self.place(call("not", vec![operand]), start));
        }
        if self.at_sequence(&[Kind::EXISTS, Kind::LeftParen]) && self.begins_query_at(2) {
            self.advance();
            let query = self.parenthesized(Self::query)?;
            return Ok(self.place(ExprKind::Exists(query), start));
        }
        let value = self.value_expression()?;
        self.predicate(value, start)
    }

    pub(crate) fn value_expression(&mut self) -> Result<Expr> {
        self.binary(PRECEDENCE_LOWEST)
    }

    fn operator(&self, lowest: u8) -> Option<(u8, &'static str)> {
        let kind = self.kind();
        let (_, precedence, name) = OPERATORS.iter().find(|(operator, ..)| *operator == kind)?;
        let is_operator = *precedence >= lowest && !(kind == Kind::Pipe && self.at_pipe_operator());
        is_operator.then_some((*precedence, name))
    }

    /// Operators of at least this precedence, left-associative.
    fn binary(&mut self, lowest: u8) -> Result<Expr> {
        let start = self.position();
        let left = self.unary()?;
        self.binary_after(left, lowest, start)
    }

    /// The operators after an operand that is already read.
    pub(crate) fn resume_binary(&mut self, left: Expr, start: usize) -> Result<Expr> {
        self.binary_after(left, PRECEDENCE_LOWEST, start)
    }

    fn binary_after(&mut self, mut left: Expr, lowest: u8, start: usize) -> Result<Expr> {
        let mut length = 0;
        while let Some((precedence, name)) = self.operator(lowest) {
            self.advance();
            length += 1;
            self.check_chain(length)?;
            let right = self.binary(precedence + 1)?;
            left = self.place(call(name, vec![left, right]), start);
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr> {
        let start = self.position();
        let name = match self.kind() {
            Kind::Minus if self.kind_at(1).is_number() => return self.primary(),
            Kind::Minus => "negative",
            Kind::Plus => "positive",
            Kind::Tilde => "~",
            _ => return self.primary(),
        };
        self.advance();
        let operand = self.nested(|p| p.binary(PRECEDENCE_UNARY))?;
        Ok(self.place(call(name, vec![operand]), start))
    }

    /// An expression with an optional alias (`AS a`, `a`, `AS (a, b)`).
    pub(crate) fn named_expression(&mut self) -> Result<Expr> {
        let start = self.position();
        let child = self.expression()?;
        let names = if self.eat(Kind::AS) {
            if self.at(Kind::LeftParen) { self.identifier_list()? } else { vec![self.name()?] }
        } else if self.at(Kind::LeftParen) {
            self.identifier_list()?
        } else if self.at_implicit_alias(false) {
            vec![self.name()?]
        } else {
            return Ok(child);
        };
        Ok(self.place(ExprKind::Alias { child, names, metadata: None }, start))
    }

    pub(crate) fn named_expressions(&mut self) -> Result<Vec<Expr>> {
        self.comma_list(Self::named_expression)
    }

    pub(crate) fn expressions(&mut self) -> Result<Vec<Expr>> {
        self.comma_list(Self::expression)
    }

    /// Whether the next token is an alias without AS. Words that begin the next clause are not, unless what follows
    /// shows that no clause begins.
    pub(crate) fn at_implicit_alias(&self, strict: bool) -> bool {
        self.is_identifier_at(0, strict) && !self.at_clause()
    }

    /// Whether the next token is a keyword used as a plain name: something that only follows a whole operand is next.
    pub(crate) fn is_name_use(&self) -> bool {
        self.at_identifier()
            && matches!(
                self.kind_at(1),
                Kind::EndOfInput | Kind::Comma | Kind::RightParen | Kind::Semicolon | Kind::Equal | Kind::Dot
            )
    }
}

fn balanced(mut operands: Vec<Expr>, name: &str, origin: Option<&Arc<Origin>>) -> Expr {
    let make = |arguments: Vec<Expr>| {
        let mut call = FunctionCall::new(vec![name.to_string()], arguments);
        call.is_internal = true;
        Expr::from(ExprKind::Function(call)).with_origin(origin.cloned())
    };
    match operands.len() {
        0 | 1 => operands.pop().unwrap_or_else(|| make(vec![])),
        2 => make(operands),
        count => {
            let right = operands.split_off((count - 1) / 2 + 1);
            make(vec![balanced(operands, name, origin), balanced(right, name, origin)])
        }
    }
}
