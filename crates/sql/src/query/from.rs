//! FROM: tables, subqueries, inline tables, with all that may follow each.
use firesteel_plan::relation::TimeTravel;
use firesteel_plan::{Expr, ExprKind, Relation, RelationKind, Result, TableName};

use crate::parser::Parser;
use crate::token::Kind;

/// Hides the qualifiers inside a subquery without an alias, as Spark names it.
const SUBQUERY_ALIAS: &str = "__auto_generated_subquery_name";

/// What stands in parentheses in FROM.
enum Source {
    Query(Relation),
    Relation(Relation),
}

/// `[AS] alias [(columns)]`
pub(crate) struct TableAlias {
    pub alias: Option<String>,
    pub columns: Vec<String>,
}

impl Parser<'_> {
    /// `FROM relation, … [LATERAL VIEW …] [PIVOT …] [UNPIVOT …]`
    pub(crate) fn from_clause(&mut self) -> Result<Relation> {
        let start = self.position();
        self.expect(Kind::FROM)?;
        let is_lateral = self.at(Kind::LATERAL) && self.kind_at(1) != Kind::VIEW;
        let mut result = self.relation()?;
        if is_lateral {
            let one_row = Relation::new(RelationKind::OneRow);
            result = self.comma_join(one_row, result, true, start);
        }
        let mut length = 0;
        let mut any_lateral = is_lateral;
        while self.eat(Kind::Comma) {
            length += 1;
            self.check_chain(length)?;
            let lateral = self.at(Kind::LATERAL);
            any_lateral |= lateral;
            let right = self.relation()?;
            result = self.comma_join(result, right, lateral, start);
        }
        result = self.lateral_views(result, start)?;
        if self.at(Kind::PIVOT) && self.kind_at(1) == Kind::LeftParen {
            if any_lateral {
                return Err(self.plain_error_from(start, "NOT_ALLOWED_IN_FROM.LATERAL_WITH_PIVOT"));
            }
            result = self.pivot_clause(result, start)?;
        }
        if self.at_unpivot() {
            if any_lateral {
                return Err(self.plain_error_from(start, "NOT_ALLOWED_IN_FROM.LATERAL_WITH_UNPIVOT"));
            }
            result = self.unpivot_clause(result, start)?;
        }
        Ok(result)
    }

    /// `LATERAL VIEW [OUTER] generator(…) alias [AS columns]`, repeated
    pub(crate) fn lateral_views(&mut self, mut input: Relation, start: usize) -> Result<Relation> {
        while self.eat_sequence(&[Kind::LATERAL, Kind::VIEW]) {
            let outer = self.at(Kind::OUTER) && self.is_identifier_at(1, false) && self.eat(Kind::OUTER);
            let name = self.multipart_name()?;
            let arguments = self.parenthesized(|p| {
                if p.at(Kind::RightParen) { Ok(vec![]) } else { p.comma_list(Self::function_argument) }
            })?;
            let generator = firesteel_plan::FunctionCall::new(name, arguments);
            let alias = if self.at_implicit_alias(false) { self.identifier()? } else { String::new() };
            let has_columns = self.eat(Kind::AS) || self.at_implicit_alias(false);
            let columns = if has_columns { self.comma_list(Self::lateral_view_column)? } else { vec![] };
            if alias.is_empty() && columns.is_empty() {
                return Err(self.syntax_error());
            }
            input =
                self.wrap(start, RelationKind::LateralView { input: input.into(), generator, outer, alias, columns });
        }
        Ok(input)
    }

    fn lateral_view_column(&mut self) -> Result<String> {
        self.identifier()
    }

    /// What stands in FROM before its joins.
    pub(crate) fn relation_primary(&mut self) -> Result<Relation> {
        let start = self.position();
        match self.kind() {
            Kind::LeftParen => self.parenthesized_relation(),
            Kind::VALUES if self.begins_query_at(0) => self.inline_table(),
            Kind::STREAM if self.is_identifier_at(1, true) || self.kind_at(1) == Kind::LeftParen => {
                self.stream_relation()
            }
            _ if self.at_table_function() => self.table_function(),
            _ => self.named_table(start),
        }
    }

    fn named_table(&mut self, start: usize) -> Result<Relation> {
        let name = self.identifier_reference()?;
        if self.at(Kind::CHANGES) && self.kind_at(1) == Kind::FROM {
            return Err(self.error_from(
                start,
                "UNSUPPORTED_FEATURE.CHANGE_DATA_CAPTURE",
                [("catalogName", "spark_catalog")],
            ));
        }
        let time_travel = self.temporal_clause()?;
        let options = if self.at(Kind::WITH) && self.kind_at(1) == Kind::LeftParen {
            self.advance();
            self.property_list()?
        } else {
            Default::default()
        };
        let table = RelationKind::NamedTable { name, options, time_travel, is_streaming: false };
        let table = self.place_relation(Relation::new(table), start);
        self.sampled_and_aliased(table, None, start)
    }

    /// `[TABLESAMPLE …] [WATERMARK …] [alias]`
    fn sampled_and_aliased(&mut self, table: Relation, default_alias: Option<&str>, start: usize) -> Result<Relation> {
        let sampled = self.optional_sample(table, start)?;
        let watermarked = self.watermark(sampled, start)?;
        let alias = self.table_alias()?;
        Ok(self.aliased(watermarked, alias, default_alias, start))
    }

    pub(crate) fn aliased(
        &self,
        input: Relation,
        alias: TableAlias,
        default_alias: Option<&str>,
        start: usize,
    ) -> Relation {
        let name = alias.alias.or_else(|| default_alias.map(str::to_string));
        match name {
            None => input,
            Some(alias_name) => {
                let kind = RelationKind::SubqueryAlias {
                    input: input.into(),
                    alias: alias_name,
                    qualifier: vec![],
                    columns: alias.columns,
                };
                self.wrap(start, kind)
            }
        }
    }

    pub(crate) fn table_alias(&mut self) -> Result<TableAlias> {
        // `f() AS (a, b)`: the alias is the word AS, where that is no reserved word
        let is_word_as = self.at_sequence(&[Kind::AS, Kind::LeftParen]) && !self.options.enforce_reserved_keywords;
        let has_alias = is_word_as || self.eat(Kind::AS) || self.at_implicit_alias(true);
        let alias = if has_alias { Some(self.strict_identifier()?) } else { None };
        let has_columns = alias.is_some() && self.at(Kind::LeftParen);
        let columns = if has_columns { self.identifier_list()? } else { vec![] };
        Ok(TableAlias { alias, columns })
    }

    /// `(query)` or `(relation with joins)`, with alias
    fn parenthesized_relation(&mut self) -> Result<Relation> {
        let start = self.position();
        let source = self.parenthesized_source()?;
        self.source_primary(source, start)
    }

    fn source_primary(&mut self, source: Source, start: usize) -> Result<Relation> {
        match source {
            Source::Query(query) => self.sampled_and_aliased(query, Some(SUBQUERY_ALIAS), start),
            Source::Relation(relation) => self.sampled_and_aliased(relation, None, start),
        }
    }

    /// What stands in parentheses. `((SELECT 1) UNION …)` and `((SELECT 1) a JOIN b)` begin alike, so the inner
    /// parentheses are read once and what follows decides.
    fn parenthesized_source(&mut self) -> Result<Source> {
        self.nested(|p| {
            p.expect(Kind::LeftParen)?;
            let start = p.position();
            if !p.begins_query_at(0) {
                let relation = p.relation()?;
                p.expect(Kind::RightParen)?;
                return Ok(Source::Relation(relation));
            }
            let inner = match p.kind() {
                Kind::LeftParen => p.parenthesized_source()?,
                Kind::VALUES => Source::Query(p.inline_table()?),
                _ => {
                    let query = p.query()?;
                    p.expect(Kind::RightParen)?;
                    return Ok(Source::Query(query));
                }
            };
            let source = match inner {
                Source::Query(query) if p.at(Kind::RightParen) || p.at_query_continuation() => {
                    Source::Query(p.query_after_primary(query, start)?)
                }
                inner => {
                    let primary = p.source_primary(inner, start)?;
                    Source::Relation(p.relation_after(primary, start)?)
                }
            };
            p.expect(Kind::RightParen)?;
            Ok(source)
        })
    }

    /// `[FOR] VERSION | SYSTEM_VERSION AS OF v`, `[FOR] TIMESTAMP | SYSTEM_TIME AS OF t`
    fn temporal_clause(&mut self) -> Result<Option<TimeTravel>> {
        let ahead = usize::from(self.at(Kind::FOR));
        let kind = self.kind_at(ahead);
        let is_version = matches!(kind, Kind::VERSION | Kind::SYSTEM_VERSION);
        let is_time = matches!(kind, Kind::TIMESTAMP | Kind::SYSTEM_TIME);
        if !(is_version || is_time) || self.kind_at(ahead + 1) != Kind::AS || self.kind_at(ahead + 2) != Kind::OF {
            return Ok(None);
        }
        self.advance_by(ahead + 3);
        Ok(Some(if is_version {
            TimeTravel::Version(self.version()?)
        } else {
            TimeTravel::Timestamp(self.value_expression()?)
        }))
    }

    fn version(&mut self) -> Result<Expr> {
        if self.at_string() || !self.at(Kind::IntegerValue) {
            self.string_or_marker()
        } else {
            self.integer_or_marker()
        }
    }

    /// `VALUES row, … [alias]`
    pub(crate) fn inline_table(&mut self) -> Result<Relation> {
        let start = self.position();
        self.expect(Kind::VALUES)?;
        let rows = self.expressions()?.into_iter().map(row).collect();
        let values = self.wrap(start, RelationKind::Values { rows });
        let alias = self.table_alias()?;
        Ok(self.aliased(values, alias, None, start))
    }

    /// `STREAM t`, `STREAM(t)`, `STREAM f(…)`
    fn stream_relation(&mut self) -> Result<Relation> {
        let start = self.position();
        self.advance();
        let in_parentheses = self.eat(Kind::LeftParen);
        if self.at_table_function() {
            let function = self.table_function()?;
            if in_parentheses {
                self.expect(Kind::RightParen)?;
            }
            return self.sampled_and_aliased(function, None, start);
        }
        let name = TableName::Parts(self.multipart_name()?);
        if in_parentheses {
            self.expect(Kind::RightParen)?;
        }
        let options = if self.at(Kind::WITH) && self.kind_at(1) == Kind::LeftParen {
            self.advance();
            self.property_list()?
        } else {
            Default::default()
        };
        let kind = RelationKind::NamedTable { name, options, time_travel: None, is_streaming: true };
        let table = self.wrap(start, kind);
        if self.eat_sequence(&[Kind::IDENTIFIED, Kind::BY]) {
            self.name()?;
        }
        self.sampled_and_aliased(table, None, start)
    }

    /// `WATERMARK column DELAY OF interval`
    fn watermark(&mut self, input: Relation, start: usize) -> Result<Relation> {
        if !(self.at(Kind::WATERMARK) && self.is_identifier_at(1, false) && self.kind_at(1) != Kind::AS) {
            return Ok(input);
        }
        self.advance();
        let column = self.multipart_name()?;
        self.expect_sequence(&[Kind::DELAY, Kind::OF])?;
        let delay_start = self.position();
        self.interval()?;
        let delay = self.text_from(delay_start);
        let column = firesteel_plan::identifier::qualified_name(&column);
        Ok(self.wrap(start, RelationKind::WithWatermark { input: input.into(), column, delay }))
    }
}

/// The columns of one row of VALUES: `(a, b)` is two, anything else one.
fn row(expression: Expr) -> Vec<Expr> {
    match *expression.kind {
        ExprKind::Function(call) if call.name == ["struct"] => call.arguments.into_iter().map(without_alias).collect(),
        kind => vec![Expr { kind: Box::new(kind), origin: expression.origin }],
    }
}

fn without_alias(expression: Expr) -> Expr {
    match *expression.kind {
        ExprKind::Alias { child, .. } => child,
        kind => Expr { kind: Box::new(kind), origin: expression.origin },
    }
}
