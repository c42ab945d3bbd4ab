//! Pipe operators: `query |> operator |> …`.
use firesteel_plan::relation::Grouping;
use firesteel_plan::{Expr, ExprKind, Relation, RelationKind, Result, SetOpType};

use crate::parser::Parser;
use crate::token::Kind;

/// Words that may begin an operator after a single `|`.
static OPERATOR_WORDS: &[Kind] = &[
    Kind::SELECT,
    Kind::EXTEND,
    Kind::SET,
    Kind::DROP,
    Kind::AS,
    Kind::WHERE,
    Kind::PIVOT,
    Kind::UNPIVOT,
    Kind::TABLESAMPLE,
    Kind::INNER,
    Kind::CROSS,
    Kind::LEFT,
    Kind::RIGHT,
    Kind::FULL,
    Kind::SEMI,
    Kind::ANTI,
    Kind::NATURAL,
    Kind::JOIN,
    Kind::UNION,
    Kind::EXCEPT,
    Kind::INTERSECT,
    Kind::SETMINUS,
    Kind::ORDER,
    Kind::SORT,
    Kind::CLUSTER,
    Kind::DISTRIBUTE,
    Kind::LIMIT,
    Kind::OFFSET,
    Kind::AGGREGATE,
    Kind::WINDOW,
    Kind::LATERAL,
];

const MULTIPART_KEY: &str =
    "SQL pipe syntax |> SET operator with multi-part assignment key (only single-part keys are allowed)";
const NOTHING_TO_AGGREGATE: &str =
    "The AGGREGATE clause requires a list of aggregate expressions or a list of grouping expressions, or both";

impl Parser<'_> {
    /// Whether `|` here begins a pipe operator rather than being the bitwise operator.
    pub(crate) fn at_pipe_operator(&self) -> bool {
        self.at(Kind::Pipe)
            && OPERATOR_WORDS.contains(&self.kind_at(1))
            && !matches!(
                self.kind_at(2),
                Kind::Comma | Kind::RightParen | Kind::EndOfInput | Kind::FROM | Kind::Semicolon | Kind::Dot
            )
    }

    pub(crate) fn at_pipe(&self) -> bool {
        self.at(Kind::OperatorPipe) || self.at_pipe_operator()
    }

    /// The operator after `|>`, applied to `input`.
    pub(crate) fn pipe_operator(&mut self, input: Relation, start: usize) -> Result<Relation> {
        let operator_start = self.position();
        match self.kind() {
            Kind::SELECT => self.pipe_select(input, start),
            Kind::EXTEND => {
                self.advance();
                let expressions = self.named_expressions()?;
                Ok(self.wrap(start, RelationKind::PipeExtend { input: input.into(), expressions }))
            }
            Kind::SET => {
                self.advance();
                let assignments = self.comma_list(Self::pipe_assignment)?;
                Ok(self.wrap(start, RelationKind::PipeSet { input: input.into(), assignments }))
            }
            Kind::DROP => {
                self.advance();
                let dropped = self.comma_list(Self::multipart_name)?;
                let star = ExprKind::Star { target: vec![], plan_id: None, except: dropped };
                let expressions = vec![self.place(star, operator_start)];
                Ok(self.wrap(start, RelationKind::Project { input: input.into(), expressions }))
            }
            Kind::AS => {
                self.advance();
                let alias = self.name()?;
                let kind =
                    RelationKind::SubqueryAlias { input: input.into(), alias, qualifier: vec![], columns: vec![] };
                Ok(self.wrap(start, kind))
            }
            Kind::WHERE => {
                self.advance();
                let condition = self.expression()?;
                if self.window_clause()?.is_some() {
                    return Err(
                        self.plain_error_from(operator_start, "NOT_ALLOWED_IN_PIPE_OPERATOR_WHERE.WINDOW_CLAUSE")
                    );
                }
                Ok(self.wrap(start, RelationKind::PipeWhere { input: input.into(), condition }))
            }
            Kind::PIVOT => {
                let pivot = self.pivot_clause(input, start)?;
                if self.at_unpivot() {
                    return Err(self.plain_error_from(operator_start, "NOT_ALLOWED_IN_FROM.UNPIVOT_WITH_PIVOT"));
                }
                Ok(pivot)
            }
            Kind::UNPIVOT => {
                let unpivot = self.unpivot_clause(input, start)?;
                if self.at(Kind::PIVOT) && self.kind_at(1) == Kind::LeftParen {
                    return Err(self.plain_error_from(operator_start, "NOT_ALLOWED_IN_FROM.UNPIVOT_WITH_PIVOT"));
                }
                Ok(unpivot)
            }
            Kind::TABLESAMPLE => self.sample_clause(input, start),
            Kind::UNION | Kind::EXCEPT | Kind::INTERSECT | Kind::SETMINUS => self.pipe_set_operation(input, start),
            Kind::AGGREGATE => self.pipe_aggregate(input, start),
            _ if self.at_join() => self.join(input, start),
            _ => self.pipe_organization(input, start),
        }
    }

    fn pipe_select(&mut self, input: Relation, start: usize) -> Result<Relation> {
        let clause = self.position();
        self.advance();
        let is_distinct = self.quantifier();
        let expressions = self.named_expressions()?;
        if self.at_sequence(&[Kind::GROUP, Kind::BY]) {
            self.group_by_clause()?;
            let parameters = [("case", "GROUP BY")];
            return Err(self.error_from(
                clause,
                "UNSUPPORTED_FEATURE.CLAUSE_WITH_PIPE_OPERATORS",
                [("clauses", parameters[0].1)],
            ));
        }
        let windows = self.window_clause()?;
        let mut query = self.wrap(start, RelationKind::PipeSelect { input: input.into(), expressions });
        if is_distinct {
            query = self.wrap(start, RelationKind::Distinct { input: query.into() });
        }
        if let Some(windows) = windows {
            query = self.wrap(start, RelationKind::WithWindows { input: query.into(), windows });
        }
        Ok(query)
    }

    fn pipe_assignment(&mut self) -> Result<(Vec<String>, Expr)> {
        let start = self.position();
        let name = self.multipart_name()?;
        if name.len() > 1 {
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", MULTIPART_KEY)]));
        }
        self.expect(Kind::Equal)?;
        Ok((name, self.expression()?))
    }

    fn pipe_set_operation(&mut self, left: Relation, start: usize) -> Result<Relation> {
        let op = match self.advance().kind {
            Kind::UNION => SetOpType::Union,
            Kind::INTERSECT => SetOpType::Intersect,
            _ => SetOpType::Except,
        };
        let (all, by_name) = self.set_quantifier();
        let right = self.query_primary()?;
        Ok(self.place_relation(super::set_operation(left, right, op, all, by_name), start))
    }

    /// `AGGREGATE [aggregates] [GROUP BY …]`
    fn pipe_aggregate(&mut self, input: Relation, start: usize) -> Result<Relation> {
        let clause = self.position();
        self.advance();
        let has_list = !self.at_sequence(&[Kind::GROUP, Kind::BY]) && !self.at(Kind::EndOfInput) && !self.at_pipe();
        let aggregates = if has_list { self.named_expressions()? } else { vec![] };
        let grouping =
            if self.at_sequence(&[Kind::GROUP, Kind::BY]) { Some(self.pipe_grouping(clause)?) } else { None };
        if aggregates.is_empty() && grouping.is_none() {
            return Err(self.error_from(clause, "_LEGACY_ERROR_TEMP_0035", [("message", NOTHING_TO_AGGREGATE)]));
        }
        let grouping = grouping.unwrap_or_else(|| Grouping::By(vec![]));
        Ok(self.wrap(start, RelationKind::PipeAggregate { input: input.into(), grouping, aggregates }))
    }

    /// GROUP BY of a pipe: each key may have an alias, which names its column.
    fn pipe_grouping(&mut self, clause: usize) -> Result<Grouping> {
        self.expect_sequence(&[Kind::GROUP, Kind::BY])?;
        let is_analytics = matches!(self.kind(), Kind::ROLLUP | Kind::CUBE) && self.kind_at(1) == Kind::LeftParen
            || self.at_sequence(&[Kind::GROUPING, Kind::SETS]);
        let unsupported = |p: &Self, case: &str| {
            p.error_from(
                clause,
                "UNSUPPORTED_FEATURE.PIPE_OPERATOR_AGGREGATE_UNSUPPORTED_CASE",
                [("case", case.to_string())],
            )
        };
        if is_analytics {
            let case = format!("{:?}", self.kind());
            return Err(unsupported(self, &case));
        }
        let keys = self.named_expressions()?;
        if let [only] = keys.as_slice()
            && matches!(only.kind.as_ref(), ExprKind::Attribute { name, .. } if name.len() == 1 && name[0].eq_ignore_ascii_case("all"))
        {
            return Err(unsupported(self, "GROUP BY ALL"));
        }
        let with = self.at(Kind::WITH) && matches!(self.kind_at(1), Kind::ROLLUP | Kind::CUBE);
        if with || self.at_sequence(&[Kind::GROUPING, Kind::SETS]) {
            return Err(unsupported(self, "GROUPING SETS"));
        }
        Ok(Grouping::By(keys.into_iter().map(firesteel_plan::relation::GroupingElement::Expression).collect()))
    }

    /// ORDER BY, LIMIT and the like; one clause to an operator.
    fn pipe_organization(&mut self, input: Relation, start: usize) -> Result<Relation> {
        let clause = self.position();
        if self.at(Kind::WINDOW) {
            let parameters = [("clauses", "the WINDOW clause")];
            return Err(self.error_from(clause, "UNSUPPORTED_FEATURE.CLAUSE_WITH_PIPE_OPERATORS", parameters));
        }
        let has_order = self.at(Kind::ORDER);
        let organized = self.query_organization(input, start)?;
        if self.position() == clause {
            return Err(self.syntax_error());
        }
        // LIMIT and OFFSET are one clause; an order before them is another.
        if has_order && matches!(organized.kind.as_ref(), RelationKind::Limit { .. } | RelationKind::Offset { .. }) {
            let second = if matches!(organized.kind.as_ref(), RelationKind::Limit { .. }) { "LIMIT" } else { "OFFSET" };
            return Err(self.error_from(
                clause,
                "MULTIPLE_QUERY_RESULT_CLAUSES_WITH_PIPE_OPERATORS",
                [("clause1", "ORDER BY"), ("clause2", second)],
            ));
        }
        Ok(organized)
    }
}
