//! SELECT … FROM … WHERE … GROUP BY … HAVING … WINDOW … QUALIFY, and FROM … SELECT ….
use firesteel_plan::expression::WindowRef;
use firesteel_plan::relation::Grouping;
use firesteel_plan::{Expr, ExprKind, Relation, RelationKind, Result, WindowSpec};

use crate::parser::Parser;
use crate::token::Kind;

/// A hint of `/*+ NAME(parameters) */`
struct Hint {
    name: String,
    parameters: Vec<Expr>,
    start: usize,
}

/// `SELECT [hints] [DISTINCT] list`
struct SelectClause {
    hints: Vec<Hint>,
    is_distinct: bool,
    expressions: Vec<Expr>,
}

impl Parser<'_> {
    /// One SELECT. `from`: the input, where FROM came first.
    pub(crate) fn query_specification(&mut self, from: Option<Relation>) -> Result<Relation> {
        let start = self.position();
        if self.at_transform() {
            return self.transform_specification(from);
        }
        let select = self.select_clause()?;
        let mut input = match from {
            Some(input) => input,
            None if self.at(Kind::FROM) => self.from_clause()?,
            None => Relation::new(RelationKind::OneRow),
        };
        input = self.lateral_views(input, start)?;
        if self.eat(Kind::WHERE) {
            let condition = self.expression()?;
            input = self.wrap(start, RelationKind::Filter { input: input.into(), condition });
        }
        self.select_rest(input, select, start)
    }

    fn select_clause(&mut self) -> Result<SelectClause> {
        self.expect(Kind::SELECT)?;
        let mut hints = vec![];
        while self.eat(Kind::HintStart) {
            self.hints(&mut hints)?;
        }
        let is_distinct = self.quantifier();
        let expressions = self.select_list()?;
        Ok(SelectClause { hints, is_distinct, expressions })
    }

    /// DISTINCT or ALL before a select list.
    pub(crate) fn quantifier(&mut self) -> bool {
        let is_name = matches!(self.kind_at(1), Kind::Comma | Kind::FROM | Kind::EndOfInput | Kind::Dot | Kind::AS);
        !is_name && self.eat_any(&[Kind::DISTINCT, Kind::ALL]) == Some(Kind::DISTINCT)
    }

    fn select_list(&mut self) -> Result<Vec<Expr>> {
        let start = self.position();
        let mut list = vec![self.named_expression()?];
        while self.eat(Kind::Comma) {
            let ends = matches!(self.kind(), Kind::EndOfInput | Kind::Semicolon | Kind::RightParen)
                || self.at(Kind::FROM) && !self.is_name_use() && !matches!(self.kind_at(1), Kind::AS);
            if ends {
                return Err(self.plain_error_from(start, "TRAILING_COMMA_IN_SELECT"));
            }
            list.push(self.named_expression()?);
        }
        Ok(list)
    }

    fn hints(&mut self, hints: &mut Vec<Hint>) -> Result<()> {
        loop {
            let start = self.position();
            let name = self.identifier()?;
            let parameters = if self.at(Kind::LeftParen) { self.paren_list(Self::hint_parameter)? } else { vec![] };
            hints.push(Hint { name, parameters, start });
            self.eat(Kind::Comma);
            if self.eat(Kind::HintEnd) {
                return Ok(());
            }
        }
    }

    fn hint_parameter(&mut self) -> Result<Expr> {
        self.value_expression()
    }

    /// What follows WHERE.
    fn select_rest(&mut self, input: Relation, select: SelectClause, start: usize) -> Result<Relation> {
        let SelectClause { hints, is_distinct, expressions } = select;
        let grouping = self.group_by_clause()?;
        let having = if self.eat(Kind::HAVING) { Some(self.expression()?) } else { None };
        let mut query = self.projected(input, grouping, having, expressions, start);
        let mut windows = self.window_clause()?;
        if self.at(Kind::QUALIFY) {
            self.advance();
            let condition = self.expression()?;
            query = self.wrap(start, RelationKind::Qualify { input: query.into(), condition });
            if windows.is_none() {
                windows = self.window_clause()?;
            }
        }
        if is_distinct {
            query = self.wrap(start, RelationKind::Distinct { input: query.into() });
        }
        if let Some(windows) = windows {
            query = self.wrap(start, RelationKind::WithWindows { input: query.into(), windows });
        }
        for hint in hints.into_iter().rev() {
            let Hint { name, parameters, start: hint_start } = hint;
            let kind = RelationKind::Hint { input: query.into(), name, parameters };
            query = self.wrap(hint_start.min(start), kind);
        }
        Ok(query)
    }

    fn projected(
        &mut self,
        input: Relation,
        grouping: Option<Grouping>,
        having: Option<Expr>,
        expressions: Vec<Expr>,
        start: usize,
    ) -> Relation {
        let is_filter = grouping.is_none() && self.options.having_without_group_by_as_where;
        if let (true, Some(condition)) = (is_filter, &having) {
            let condition = condition.clone();
            let filtered = self.wrap(start, RelationKind::Filter { input: input.into(), condition });
            return self.wrap(start, RelationKind::Project { input: filtered.into(), expressions });
        }
        let grouping = match (grouping, &having) {
            (None, None) => return self.wrap(start, RelationKind::Project { input: input.into(), expressions }),
            (Some(grouping), _) => grouping,
            (None, Some(_)) => Grouping::By(vec![]),
        };
        let aggregate = RelationKind::Aggregate { input: input.into(), grouping, aggregates: expressions, pivot: None };
        let aggregate = self.wrap(start, aggregate);
        match having {
            None => aggregate,
            Some(condition) => self.wrap(start, RelationKind::Having { input: aggregate.into(), condition }),
        }
    }

    pub(crate) fn wrap(&self, start: usize, kind: RelationKind) -> Relation {
        self.place_relation(Relation::new(kind), start)
    }

    /// `WINDOW w AS (…), …`
    pub(crate) fn window_clause(&mut self) -> Result<Option<Vec<(String, WindowSpec)>>> {
        if !(self.at(Kind::WINDOW) && self.is_identifier_at(1, false) && self.kind_at(2) == Kind::AS) {
            return Ok(None);
        }
        let start = self.position();
        self.advance();
        let windows = self.comma_list(|p| {
            let name = p.name()?;
            p.expect(Kind::AS)?;
            let spec = match p.window_reference()? {
                WindowRef::Spec(spec) => spec,
                WindowRef::Named(base) => WindowSpec { base: Some(base), ..WindowSpec::default() },
            };
            Ok((name, spec))
        })?;
        for (index, (name, spec)) in windows.iter().enumerate() {
            let quoted = |name: &str| format!("`{name}`");
            if windows[..index].iter().any(|(other, _)| other == name) {
                let parameters = [("windowName", quoted(name))];
                return Err(self.error_from(start, "INVALID_SQL_SYNTAX.REPETITIVE_WINDOW_DEFINITION", parameters));
            }
            let Some(base) = &spec.base else { continue };
            let problem = match windows.iter().find(|(other, _)| other == base) {
                None => "INVALID_SQL_SYNTAX.UNRESOLVED_WINDOW_REFERENCE",
                Some((_, other)) if other.base.is_some() => "INVALID_SQL_SYNTAX.INVALID_WINDOW_REFERENCE",
                Some(_) => continue,
            };
            return Err(self.error_from(start, problem, [("windowName", quoted(base))]));
        }
        Ok(Some(windows))
    }

    /// `FROM t SELECT …` (once or more), or `FROM t` alone.
    pub(crate) fn from_statement(&mut self) -> Result<Relation> {
        let start = self.position();
        let input = self.from_clause()?;
        let mut result: Option<Relation> = None;
        while self.at(Kind::SELECT) || self.at_transform() {
            let body_start = self.position();
            let body = self.query_specification(Some(input.clone()))?;
            let body = self.query_organization(body, body_start)?;
            result = Some(match result {
                None => body,
                Some(left) => {
                    let union = super::set_operation(left, body, firesteel_plan::SetOpType::Union, true, false);
                    self.place_relation(union, start)
                }
            });
        }
        match result {
            Some(result) => Ok(result),
            None => {
                Ok(self.wrap(start, RelationKind::Project { input: input.into(), expressions: vec![Expr::star()] }))
            }
        }
    }

    /// Whether the next word begins the clause after a select item or a table, rather than being its alias.
    pub(crate) fn at_clause(&self) -> bool {
        let next = self.kind_at(1);
        let ends = matches!(next, Kind::EndOfInput | Kind::Comma | Kind::RightParen | Kind::Semicolon);
        match self.kind() {
            Kind::GROUP | Kind::ORDER | Kind::CLUSTER | Kind::DISTRIBUTE | Kind::SORT => next == Kind::BY,
            Kind::WINDOW => self.is_identifier_at(1, false) && self.kind_at(2) == Kind::AS,
            Kind::LATERAL => true,
            Kind::UNION | Kind::EXCEPT | Kind::INTERSECT | Kind::SETMINUS => self.set_operation().is_some(),
            Kind::FROM | Kind::WHERE | Kind::HAVING | Kind::QUALIFY | Kind::OFFSET => !ends,
            Kind::LIMIT => !ends && next != Kind::AS && next != Kind::FROM,
            Kind::SELECT | Kind::MAP | Kind::REDUCE | Kind::INSERT => self.begins_query_at(0) || self.at(Kind::INSERT),
            Kind::USING
            | Kind::ON
            | Kind::JOIN
            | Kind::INNER
            | Kind::CROSS
            | Kind::NATURAL
            | Kind::LEFT
            | Kind::RIGHT
            | Kind::FULL
            | Kind::SEMI
            | Kind::ANTI => !ends && next != Kind::FROM,
            Kind::PIVOT | Kind::UNPIVOT => next == Kind::LeftParen || matches!(next, Kind::INCLUDE | Kind::EXCLUDE),
            Kind::TABLESAMPLE => matches!(next, Kind::LeftParen | Kind::SYSTEM | Kind::BERNOULLI),
            Kind::AND
            | Kind::OR
            | Kind::NOT
            | Kind::IN
            | Kind::IS
            | Kind::AS
            | Kind::THEN
            | Kind::WHEN
            | Kind::ELSE
            | Kind::END
            | Kind::WITH
            | Kind::INTO => !ends,
            Kind::BETWEEN | Kind::LIKE | Kind::ILIKE | Kind::RLIKE => !ends && next != Kind::FROM,
            Kind::SET => self.is_identifier_at(1, false) || next == Kind::LeftParen,
            Kind::DO => !ends,
            Kind::WATERMARK => !ends && next != Kind::AS,
            Kind::APPROX | Kind::EXACT => next == Kind::NEAREST,
            Kind::IDENTIFIED => next == Kind::BY,
            Kind::FOR => !ends,
            Kind::CHANGES => next == Kind::FROM,
            Kind::REPLACE => matches!(next, Kind::WHERE | Kind::ON | Kind::USING),
            Kind::BY => next == Kind::NAME,
            Kind::NULLS => matches!(next, Kind::FIRST | Kind::LAST),
            Kind::COLLATE => self.is_identifier_at(1, false),
            _ => false,
        }
    }

    /// A name in the position of a column, as an attribute with its place.
    pub(crate) fn attribute(&mut self) -> Result<Expr> {
        let start = self.position();
        let name = self.multipart_name()?;
        Ok(self.place(ExprKind::Attribute { name, plan_id: None, is_metadata_column: false }, start))
    }
}
