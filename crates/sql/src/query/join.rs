//! Joins.
use firesteel_plan::relation::{Join, NearestByJoin};
use firesteel_plan::{JoinType, Relation, RelationKind, Result};

use crate::parser::Parser;
use crate::token::Kind;

/// Words before JOIN and the type they name.
static JOIN_TYPES: &[(&[Kind], JoinType)] = &[
    (&[Kind::INNER], JoinType::Inner),
    (&[Kind::CROSS], JoinType::Cross),
    (&[Kind::LEFT, Kind::OUTER], JoinType::LeftOuter),
    (&[Kind::LEFT, Kind::SEMI], JoinType::LeftSemi),
    (&[Kind::LEFT, Kind::ANTI], JoinType::LeftAnti),
    (&[Kind::LEFT], JoinType::LeftOuter),
    (&[Kind::SEMI], JoinType::LeftSemi),
    (&[Kind::ANTI], JoinType::LeftAnti),
    (&[Kind::RIGHT, Kind::OUTER], JoinType::RightOuter),
    (&[Kind::RIGHT], JoinType::RightOuter),
    (&[Kind::FULL, Kind::OUTER], JoinType::FullOuter),
    (&[Kind::FULL], JoinType::FullOuter),
    (&[], JoinType::Inner),
];

impl Parser<'_> {
    /// `[LATERAL] primary { JOIN … | PIVOT … | UNPIVOT … }`
    pub(crate) fn relation(&mut self) -> Result<Relation> {
        self.nested(|p| {
            let start = p.position();
            let is_lateral = p.at(Kind::LATERAL);
            if is_lateral {
                p.advance();
            }
            let primary_start = p.position();
            let primary = p.relation_primary()?;
            if is_lateral {
                p.check_lateral(&primary, primary_start)?;
            }
            p.relation_after(primary, start)
        })
    }

    /// The joins and pivots after the first relation.
    pub(crate) fn relation_after(&mut self, mut result: Relation, start: usize) -> Result<Relation> {
        let mut length = 0;
        loop {
            length += 1;
            self.check_chain(length)?;
            if self.at_join() {
                result = self.join(result, start)?;
            } else if self.at(Kind::PIVOT) && self.kind_at(1) == Kind::LeftParen {
                result = self.pivot_clause(result, start)?;
            } else if self.at_unpivot() {
                result = self.unpivot_clause(result, start)?;
            } else {
                return Ok(result);
            }
        }
    }

    /// LATERAL goes before a subquery or a table function only.
    fn check_lateral(&self, relation: &Relation, start: usize) -> Result<()> {
        let mut inner = relation;
        while let RelationKind::SubqueryAlias { input, .. } = inner.kind.as_ref() {
            inner = input;
        }
        if !matches!(inner.kind.as_ref(), RelationKind::NamedTable { .. } | RelationKind::Values { .. }) {
            return Ok(());
        }
        let condition = "INVALID_SQL_SYNTAX.LATERAL_WITHOUT_SUBQUERY_OR_TABLE_VALUED_FUNC";
        Err(self.plain_error_from(start, condition))
    }

    /// The join type and whether it is NATURAL, where a join begins here; with the number of words.
    fn join_type(&self) -> Option<(JoinType, bool, usize)> {
        let natural = usize::from(self.at(Kind::NATURAL));
        let (words, join_type) = JOIN_TYPES.iter().find(|(words, _)| {
            words.iter().enumerate().all(|(index, word)| self.kind_at(natural + index) == *word)
                && self.kind_at(natural + words.len()) == Kind::JOIN
        })?;
        Some((*join_type, natural > 0, natural + words.len() + 1))
    }

    pub(crate) fn at_join(&self) -> bool {
        self.join_type().is_some()
    }

    /// The join that follows `left`.
    pub(crate) fn join(&mut self, left: Relation, start: usize) -> Result<Relation> {
        let Some((join_type, natural, words)) = self.join_type() else { return Err(self.syntax_error()) };
        self.advance_by(words);
        let lateral = self.eat(Kind::LATERAL);
        let right_start = self.position();
        let right = self.relation_primary()?;
        if lateral {
            self.check_lateral(&right, right_start)?;
            if !matches!(join_type, JoinType::Inner | JoinType::Cross | JoinType::LeftOuter) {
                let parameters = [("joinType", join_type_name(join_type))];
                return Err(self.error_from(start, "INVALID_LATERAL_JOIN_TYPE", parameters));
            }
        }
        if lateral && natural {
            let parameters = [("joinType1", "LATERAL"), ("joinType2", "NATURAL")];
            return Err(self.error_from(start, "INCOMPATIBLE_JOIN_TYPES", parameters));
        }
        let (mut condition, mut using) = (None, vec![]);
        if natural && join_type == JoinType::Cross {
            let parameters = [("joinType", "CROSS")];
            return Err(self.error_from(start, "INCOMPATIBLE_JOIN_TYPES", parameters));
        }
        if !natural {
            if self.eat(Kind::ON) {
                condition = Some(self.expression()?);
            } else if self.at(Kind::USING) && self.kind_at(1) == Kind::LeftParen {
                self.advance();
                using = self.identifier_list()?;
                if lateral {
                    return Err(self.plain_error_from(start, "UNSUPPORTED_FEATURE.LATERAL_JOIN_USING"));
                }
            } else if matches!(self.kind(), Kind::APPROX | Kind::EXACT) && self.kind_at(1) == Kind::NEAREST {
                return self.nearest_by(left, right, join_type, lateral, start);
            }
        }
        let join = Join { left, right, join_type, condition, using, natural, lateral };
        Ok(self.wrap(start, RelationKind::Join(Box::new(join))))
    }

    pub(crate) fn comma_join(&self, left: Relation, right: Relation, lateral: bool, start: usize) -> Relation {
        let join =
            Join { left, right, join_type: JoinType::Inner, condition: None, using: vec![], natural: false, lateral };
        self.wrap(start, RelationKind::Join(Box::new(join)))
    }

    /// `{ APPROX | EXACT } NEAREST [n] BY { DISTANCE | SIMILARITY } expression`
    fn nearest_by(
        &mut self,
        left: Relation,
        right: Relation,
        join_type: JoinType,
        lateral: bool,
        start: usize,
    ) -> Result<Relation> {
        if lateral {
            return Err(self.plain_error_from(start, "UNSUPPORTED_FEATURE.LATERAL_JOIN_NEAREST_BY"));
        }
        let mode = if self.advance().kind == Kind::APPROX { "approx" } else { "exact" };
        self.advance();
        let num_results = if self.at(Kind::IntegerValue) { self.integer()? } else { 1 };
        self.expect(Kind::BY)?;
        let direction = match self.expect_any(&[Kind::DISTANCE, Kind::SIMILARITY])? {
            Kind::DISTANCE => "distance",
            _ => "similarity",
        };
        let ranking = self.expression()?;
        const MAX_RESULTS: i64 = 100_000;
        let Some(count) = i32::try_from(num_results).ok().filter(|_| (1..=MAX_RESULTS).contains(&num_results)) else {
            let parameters =
                [("numResults", num_results.to_string()), ("min", "1".to_string()), ("max", MAX_RESULTS.to_string())];
            return Err(self.error_from(start, "NEAREST_BY_JOIN.NUM_RESULTS_OUT_OF_RANGE", parameters));
        };
        if !matches!(join_type, JoinType::Inner | JoinType::LeftOuter) {
            let parameters = [("joinType", join_type_name(join_type)), ("supported", "'INNER', 'LEFT OUTER'")];
            return Err(self.error_from(start, "NEAREST_BY_JOIN.UNSUPPORTED_JOIN_TYPE", parameters));
        }
        let join = NearestByJoin {
            left,
            right,
            ranking,
            num_results: count,
            join_type: if join_type == JoinType::Inner { "inner" } else { "leftouter" }.to_string(),
            mode: mode.to_string(),
            direction: direction.to_string(),
        };
        Ok(self.wrap(start, RelationKind::NearestByJoin(Box::new(join))))
    }
}

/// The SQL words of a join type.
fn join_type_name(join_type: JoinType) -> &'static str {
    match join_type {
        JoinType::Inner => "INNER",
        JoinType::FullOuter => "FULL OUTER",
        JoinType::LeftOuter => "LEFT OUTER",
        JoinType::RightOuter => "RIGHT OUTER",
        JoinType::LeftSemi => "LEFT SEMI",
        JoinType::LeftAnti => "LEFT ANTI",
        JoinType::Cross => "CROSS",
    }
}
