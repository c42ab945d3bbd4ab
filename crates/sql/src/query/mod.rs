//! Queries: WITH, set operations, and what follows a query (ORDER BY … OFFSET).
//!
//! ```text
//!  query          [WITH …] term organization
//!  term           primary { UNION | EXCEPT | INTERSECT | |> … }        by precedence
//!  primary        SELECT … | FROM … SELECT … | VALUES … | TABLE t | ( query )
//!  organization   ORDER BY, CLUSTER BY, DISTRIBUTE BY, SORT BY, WINDOW, LIMIT, OFFSET
//! ```
use firesteel_plan::relation::{Cte, SortAllOrder, WithQuery};
use firesteel_plan::{
    Expr, ExprKind, NullOrdering, Relation, RelationKind, Result, SetOpType, SortDirection, SortOrder, TableName,
};

use crate::parser::Parser;
use crate::token::Kind;

mod from;
mod group;
mod join;
mod pipe;
mod pivot;
mod sample;
mod select;
mod table_function;
mod transform;

/// UNION and EXCEPT bind alike, INTERSECT tighter.
const PRECEDENCE_UNION: u8 = 1;
const PRECEDENCE_INTERSECT: u8 = 2;

impl Parser<'_> {
    /// Whether a query begins `ahead` tokens from here, past opening parentheses.
    pub(crate) fn begins_query_at(&self, mut ahead: usize) -> bool {
        while self.kind_at(ahead) == Kind::LeftParen {
            ahead += 1;
        }
        let next = self.kind_at(ahead + 1);
        match self.kind_at(ahead) {
            Kind::SELECT => !matches!(next, Kind::Comma | Kind::RightParen | Kind::EndOfInput | Kind::Dot),
            Kind::WITH => {
                let name = ahead + 1 + usize::from(next == Kind::RECURSIVE && self.is_identifier_at(ahead + 2, false));
                let after = self.kind_at(name + 1);
                self.is_identifier_at(name, false) && matches!(after, Kind::AS | Kind::LeftParen | Kind::MAX)
                    || next == Kind::RECURSIVE && after == Kind::AS
            }
            Kind::FROM => self.is_identifier_at(ahead + 1, false) || next == Kind::LeftParen,
            Kind::VALUES => !matches!(
                next,
                Kind::Comma | Kind::RightParen | Kind::EndOfInput | Kind::Dot | Kind::Semicolon | Kind::AS
            ),
            Kind::TABLE => self.is_identifier_at(ahead + 1, true) && next != Kind::LeftParen,
            Kind::MAP | Kind::REDUCE => next != Kind::Dot && self.transform_follows(ahead),
            _ => false,
        }
    }

    /// Whether after MAP or REDUCE a USING comes at the same depth.
    fn transform_follows(&self, mut ahead: usize) -> bool {
        let mut depth = 0usize;
        loop {
            match self.kind_at(ahead) {
                Kind::LeftParen => depth += 1,
                Kind::RightParen if depth == 0 => return false,
                Kind::RightParen => depth -= 1,
                Kind::USING if depth == 0 => return self.is_string_at(ahead + 1),
                Kind::EndOfInput | Kind::Semicolon | Kind::FROM => return false,
                _ => {}
            }
            ahead += 1;
        }
    }

    pub(crate) fn query(&mut self) -> Result<Relation> {
        self.nested(|p| {
            let start = p.position();
            let with = p.with_clause()?;
            let query = p.query_body(start)?;
            Ok(p.apply_with(query, with, start))
        })
    }

    /// A query after its WITH.
    pub(crate) fn query_body(&mut self, start: usize) -> Result<Relation> {
        let term = self.query_term(PRECEDENCE_UNION)?;
        self.query_organization(term, start)
    }

    /// The rest of a query whose first primary, a query in parentheses, is already read.
    pub(crate) fn query_after_primary(&mut self, primary: Relation, start: usize) -> Result<Relation> {
        let term = self.query_term_after(primary, PRECEDENCE_UNION, start)?;
        self.query_organization(term, start)
    }

    /// Whether what follows can only continue a query.
    pub(crate) fn at_query_continuation(&self) -> bool {
        match self.kind() {
            Kind::UNION | Kind::EXCEPT | Kind::INTERSECT | Kind::SETMINUS => self.set_operation().is_some(),
            Kind::OperatorPipe => true,
            Kind::ORDER | Kind::CLUSTER | Kind::DISTRIBUTE | Kind::SORT => self.kind_at(1) == Kind::BY,
            Kind::LIMIT | Kind::OFFSET => true,
            _ => false,
        }
    }

    // WITH

    /// `WITH [RECURSIVE] name [(columns)] AS (query), …`
    pub(crate) fn with_clause(&mut self) -> Result<Option<WithQuery>> {
        let start = self.position();
        if !self.at(Kind::WITH) {
            return Ok(None);
        }
        self.advance();
        let recursive = self.at(Kind::RECURSIVE) && self.is_identifier_at(1, false) && self.kind_at(1) != Kind::AS;
        if recursive {
            self.advance();
        }
        let ctes = self.comma_list(|p| p.named_query(recursive))?;
        let mut seen: Vec<&str> = vec![];
        for cte in &ctes {
            if seen.contains(&cte.name.as_str()) {
                let parameters = [("duplicateNames", format!("`{}`", cte.name))];
                return Err(self.error_from(start, "DUPLICATED_CTE_NAMES", parameters));
            }
            seen.push(&cte.name);
        }
        Ok(Some(WithQuery { ctes, recursive }))
    }

    fn named_query(&mut self, recursive: bool) -> Result<Cte> {
        let start = self.position();
        let name = self.name()?;
        let columns =
            if self.at(Kind::LeftParen) && !self.begins_query_at(1) { self.identifier_list()? } else { vec![] };
        let mut max_recursion = None;
        if self.eat_sequence(&[Kind::MAX, Kind::RECURSION, Kind::LEVEL]) {
            max_recursion = Some(self.integer()?);
            if !recursive {
                let message = "Cannot specify MAX RECURSION LEVEL when the CTE is not marked as RECURSIVE";
                return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
            }
        }
        self.eat(Kind::AS);
        let query = self.parenthesized(Self::query)?;
        Ok(Cte { name, columns, query, max_recursion })
    }

    pub(crate) fn apply_with(&self, query: Relation, with: Option<WithQuery>, start: usize) -> Relation {
        match with {
            None => query,
            Some(WithQuery { ctes, recursive }) => {
                let kind = RelationKind::With { input: Box::new(query), ctes, recursive };
                self.place_relation(Relation::new(kind), start)
            }
        }
    }

    // Set operations

    fn query_term(&mut self, lowest: u8) -> Result<Relation> {
        let start = self.position();
        let left = self.nested(Self::query_primary)?;
        self.query_term_after(left, lowest, start)
    }

    fn set_operation(&self) -> Option<(SetOpType, u8)> {
        let is_legacy = self.options.legacy_set_operation_precedence;
        let next = self.kind_at(1);
        let is_operation =
            matches!(next, Kind::ALL | Kind::DISTINCT | Kind::LeftParen | Kind::BY) || self.begins_query_at(1);
        if !is_operation {
            return None;
        }
        Some(match self.kind() {
            Kind::UNION => (SetOpType::Union, PRECEDENCE_UNION),
            Kind::EXCEPT | Kind::SETMINUS => (SetOpType::Except, PRECEDENCE_UNION),
            Kind::INTERSECT if is_legacy => (SetOpType::Intersect, PRECEDENCE_UNION),
            Kind::INTERSECT => (SetOpType::Intersect, PRECEDENCE_INTERSECT),
            _ => return None,
        })
    }

    fn query_term_after(&mut self, mut left: Relation, lowest: u8, start: usize) -> Result<Relation> {
        let mut length = 0;
        loop {
            length += 1;
            self.check_chain(length)?;
            if let Some((op, precedence)) = self.set_operation().filter(|(_, precedence)| *precedence >= lowest) {
                self.advance();
                let (all, by_name) = self.set_quantifier();
                let right = self.query_term(precedence + 1)?;
                left = self.place_relation(set_operation(left, right, op, all, by_name), start);
            } else if lowest == PRECEDENCE_UNION && self.at_pipe() {
                self.advance();
                left = self.pipe_operator(left, start)?;
            } else {
                return Ok(left);
            }
        }
    }

    /// `ALL` or `DISTINCT`, `BY NAME`
    pub(crate) fn set_quantifier(&mut self) -> (bool, bool) {
        let all = self.eat_any(&[Kind::ALL, Kind::DISTINCT]) == Some(Kind::ALL);
        (all, self.eat_sequence(&[Kind::BY, Kind::NAME]))
    }

    pub(crate) fn query_primary(&mut self) -> Result<Relation> {
        let start = self.position();
        match self.kind() {
            Kind::SELECT | Kind::MAP | Kind::REDUCE => self.query_specification(None),
            Kind::FROM => self.from_statement(),
            Kind::TABLE => {
                self.advance();
                let name = self.identifier_reference()?;
                Ok(self.place_relation(table(name), start))
            }
            Kind::VALUES => self.inline_table(),
            Kind::LeftParen => {
                self.advance();
                let query = self.query()?;
                self.expect(Kind::RightParen)?;
                Ok(query)
            }
            _ => Err(self.syntax_error()),
        }
    }

    // Organization

    /// The sorting, distribution and limits that follow a query.
    pub(crate) fn query_organization(&mut self, mut query: Relation, start: usize) -> Result<Relation> {
        let clause_start = self.position();
        let mut clauses = 0;
        let wrap = |p: &Self, kind: RelationKind| p.place_relation(Relation::new(kind), start);
        if self.eat_sequence(&[Kind::ORDER, Kind::BY]) {
            query = self.sorted(query, true, start)?;
            clauses += 1;
        }
        if self.eat_sequence(&[Kind::CLUSTER, Kind::BY]) {
            let expressions = self.expressions()?;
            let order = expressions.iter().cloned().map(Expr::asc).collect();
            query = wrap(
                self,
                RelationKind::RepartitionByExpression { input: query.into(), expressions, num_partitions: None },
            );
            query = wrap(self, RelationKind::Sort { input: query.into(), order, is_global: false });
            clauses += 1;
        }
        let mut is_distributed = false;
        if self.eat_sequence(&[Kind::DISTRIBUTE, Kind::BY]) {
            let expressions = self.expressions()?;
            query = wrap(
                self,
                RelationKind::RepartitionByExpression { input: query.into(), expressions, num_partitions: None },
            );
            is_distributed = true;
        }
        let is_sorted = self.eat_sequence(&[Kind::SORT, Kind::BY]);
        if is_sorted {
            query = self.sorted(query, false, start)?;
        }
        clauses += usize::from(is_distributed || is_sorted);
        if clauses > 1 {
            return Err(self.plain_error_from(clause_start, "UNSUPPORTED_FEATURE.COMBINATION_QUERY_RESULT_CLAUSES"));
        }
        if let Some(windows) = self.window_clause()? {
            query = wrap(self, RelationKind::WithWindows { input: query.into(), windows });
        }
        let mut limit = None;
        let mut limit_all = false;
        if self.eat(Kind::LIMIT) {
            limit_all = self.at(Kind::ALL) && self.eat(Kind::ALL);
            limit = if limit_all { None } else { Some(self.expression()?) };
        }
        if self.eat(Kind::OFFSET) {
            let offset = self.expression()?;
            query = wrap(self, RelationKind::Offset { input: query.into(), offset });
        }
        if let Some(limit) = limit {
            query = wrap(self, RelationKind::Limit { input: query.into(), limit });
        }
        if limit_all {
            query = wrap(self, RelationKind::LimitAll { input: query.into() });
        }
        Ok(query)
    }

    fn sorted(&mut self, input: Relation, is_global: bool, start: usize) -> Result<Relation> {
        let order = self.comma_list(Self::sort_item)?;
        let is_all = is_global && order.len() == 1 && order.iter().all(is_all);
        let kind = match order.first() {
            Some(item) if is_all => {
                let order = SortAllOrder { direction: item.direction, nulls: item.nulls };
                RelationKind::SortAll { input: input.into(), order }
            }
            _ => RelationKind::Sort { input: input.into(), order, is_global },
        };
        Ok(self.place_relation(Relation::new(kind), start))
    }

    /// `expression [ASC | DESC] [NULLS FIRST | LAST]`
    pub(crate) fn sort_item(&mut self) -> Result<SortOrder> {
        let child = self.expression()?;
        let direction = match self.eat_any(&[Kind::ASC, Kind::DESC]) {
            Some(Kind::DESC) => SortDirection::Descending,
            _ => SortDirection::Ascending,
        };
        let nulls = if self.eat(Kind::NULLS) {
            match self.expect_any(&[Kind::FIRST, Kind::LAST])? {
                Kind::FIRST => NullOrdering::First,
                _ => NullOrdering::Last,
            }
        } else {
            NullOrdering::Default
        };
        Ok(SortOrder { child, direction, nulls })
    }
}

/// Whether the item is the bare word ALL.
fn is_all(item: &SortOrder) -> bool {
    matches!(item.child.kind.as_ref(), ExprKind::Attribute { name, .. } if name.len() == 1 && name[0].eq_ignore_ascii_case("all"))
}

pub(crate) fn set_operation(left: Relation, right: Relation, op: SetOpType, all: bool, by_name: bool) -> Relation {
    Relation::new(RelationKind::SetOperation {
        left: left.into(),
        right: right.into(),
        op,
        all,
        by_name,
        allow_missing_columns: false,
    })
}

pub(crate) fn table(name: TableName) -> Relation {
    Relation::new(RelationKind::NamedTable {
        name,
        options: Default::default(),
        time_travel: None,
        is_streaming: false,
    })
}
