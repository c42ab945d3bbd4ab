//! Table functions and their table arguments.
use firesteel_plan::{Expr, ExprKind, FunctionCall, Relation, RelationKind, Result, SortOrder};

use super::table;
use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    /// Whether `name (` follows: a table function, not a table.
    pub(crate) fn at_table_function(&self) -> bool {
        if self.at_sequence(&[Kind::IDENTIFIER_KW, Kind::LeftParen]) {
            return self.closing_paren(1).is_some_and(|ahead| self.kind_at(ahead + 1) == Kind::LeftParen);
        }
        let mut ahead = 0;
        while self.is_identifier_at(ahead, false) && self.kind_at(ahead + 1) == Kind::Dot {
            ahead += 2;
        }
        let is_name = self.is_identifier_at(ahead, false) || matches!(self.kind_at(ahead), Kind::LEFT | Kind::RIGHT);
        is_name && self.kind_at(ahead + 1) == Kind::LeftParen
    }

    /// The distance of the parenthesis that closes the one `ahead`.
    pub(crate) fn closing_paren(&self, mut ahead: usize) -> Option<usize> {
        let mut depth = 0usize;
        loop {
            match self.kind_at(ahead) {
                Kind::LeftParen => depth += 1,
                Kind::RightParen if depth <= 1 => return Some(ahead),
                Kind::RightParen => depth -= 1,
                Kind::EndOfInput => return None,
                _ => {}
            }
            ahead += 1;
        }
    }

    /// `f(arguments) [alias]`
    pub(crate) fn table_function(&mut self) -> Result<Relation> {
        let start = self.position();
        let mut call = FunctionCall::new(vec![], vec![]);
        if self.at(Kind::IDENTIFIER_KW) {
            self.advance();
            call.identifier = Some(self.parenthesized(Self::expression)?);
        } else {
            call.name = self.multipart_name()?;
        }
        call.arguments = self.parenthesized(|p| {
            if p.at(Kind::RightParen) { Ok(vec![]) } else { p.comma_list(Self::table_function_argument) }
        })?;
        let function = self.wrap(start, RelationKind::TableFunction { call });
        if self.eat_sequence(&[Kind::IDENTIFIED, Kind::BY]) {
            self.name()?;
        }
        let alias = self.table_alias()?;
        Ok(self.aliased(function, alias, None, start))
    }

    fn table_function_argument(&mut self) -> Result<Expr> {
        let start = self.position();
        if self.is_identifier_at(0, false) && self.kind_at(1) == Kind::FatArrow && self.at_table_argument(2) {
            let name = self.identifier()?;
            self.advance();
            let value = self.table_argument()?;
            return Ok(self.place(ExprKind::NamedArgument { name, value }, start));
        }
        if self.at_table_argument(0) { self.table_argument() } else { self.function_argument() }
    }

    fn at_table_argument(&self, ahead: usize) -> bool {
        self.kind_at(ahead) == Kind::TABLE
            && (self.kind_at(ahead + 1) == Kind::LeftParen || self.is_identifier_at(ahead + 1, false))
    }

    /// `TABLE t`, `TABLE(t)`, `TABLE(query)`, with partitioning
    fn table_argument(&mut self) -> Result<Expr> {
        let start = self.position();
        self.advance();
        let query = if !self.at(Kind::LeftParen) {
            let name_start = self.position();
            let name = self.identifier_reference()?;
            self.place_relation(table(name), name_start)
        } else if self.begins_query_at(1) {
            self.parenthesized(Self::query)?
        } else {
            let name_start = self.position();
            let name = self.parenthesized(Self::identifier_reference)?;
            self.place_relation(table(name), name_start)
        };
        let mut single_partition = false;
        let mut partition_by: Vec<Expr> = vec![];
        let mut order_by: Vec<SortOrder> = vec![];
        let mut is_partitioned = true;
        if self.eat_sequence(&[Kind::WITH, Kind::SINGLE]) {
            self.expect(Kind::PARTITION)?;
            single_partition = true;
        } else if self.at_any(&[Kind::PARTITION, Kind::DISTRIBUTE]) {
            self.advance();
            self.expect(Kind::BY)?;
            partition_by = self.bare_or_parenthesized_list(Self::expression)?;
        } else {
            is_partitioned = false;
        }
        if is_partitioned && self.eat_any(&[Kind::ORDER, Kind::SORT]).is_some() {
            self.expect(Kind::BY)?;
            order_by = self.bare_or_parenthesized_list(Self::sort_item)?;
        }
        Ok(self.place(ExprKind::TableArgument { query, partition_by, order_by, single_partition }, start))
    }

    /// One item, or several in parentheses; several without parentheses are a mistake with an error of its own.
    fn bare_or_parenthesized_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let start = self.position();
        if self.at(Kind::LeftParen) {
            let is_list = self
                .closing_paren(0)
                .is_some_and(|end| !matches!(self.kind_at(end + 1), Kind::Plus | Kind::Minus | Kind::Asterisk));
            if is_list {
                return self.parenthesized(|p| p.comma_list(&mut item));
            }
        }
        let first = item(self)?;
        if self.at(Kind::Comma) && self.kind_at(2) != Kind::FatArrow && self.kind_at(1) != Kind::TABLE {
            let argument = self.text_from(start);
            let condition = "INVALID_SQL_SYNTAX.INVALID_TABLE_FUNCTION_IDENTIFIER_ARGUMENT_MISSING_PARENTHESES";
            return Err(self.error_from(start, condition, [("argumentName", argument)]));
        }
        Ok(vec![first])
    }
}
