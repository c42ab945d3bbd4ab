//! GROUP BY with its analytics.
use firesteel_plan::relation::{Grouping, GroupingElement};
use firesteel_plan::{Expr, ExprKind, Result};

use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    pub(crate) fn group_by_clause(&mut self) -> Result<Option<Grouping>> {
        if !self.eat_sequence(&[Kind::GROUP, Kind::BY]) {
            return Ok(None);
        }
        let elements = self.comma_list(Self::group_by_element)?;
        if let [GroupingElement::Expression(only)] = elements.as_slice()
            && is_word_all(only)
        {
            return Ok(Some(Grouping::All));
        }
        if self.at(Kind::WITH) && matches!(self.kind_at(1), Kind::ROLLUP | Kind::CUBE) {
            self.advance();
            let is_rollup = self.advance().kind == Kind::ROLLUP;
            let sets = plain(elements).into_iter().map(|e| vec![e]).collect();
            let element = if is_rollup { GroupingElement::Rollup(sets) } else { GroupingElement::Cube(sets) };
            return Ok(Some(Grouping::By(vec![element])));
        }
        if self.eat_sequence(&[Kind::GROUPING, Kind::SETS]) {
            let sets = self.paren_list(Self::grouping_set)?;
            let element = GroupingElement::KeyedSets { keys: plain(elements), sets };
            return Ok(Some(Grouping::By(vec![element])));
        }
        Ok(Some(Grouping::By(elements)))
    }

    fn group_by_element(&mut self) -> Result<GroupingElement> {
        match self.grouping_analytics()? {
            Some(analytics) => Ok(analytics),
            None => Ok(GroupingElement::Expression(self.expression()?)),
        }
    }

    /// `ROLLUP (…)`, `CUBE (…)`, `GROUPING SETS (…)`
    fn grouping_analytics(&mut self) -> Result<Option<GroupingElement>> {
        if matches!(self.kind(), Kind::ROLLUP | Kind::CUBE) && self.kind_at(1) == Kind::LeftParen {
            let start = self.position();
            let is_rollup = self.advance().kind == Kind::ROLLUP;
            let sets = self.paren_list(Self::grouping_set)?;
            if sets.iter().any(Vec::is_empty) {
                let element = [("element", if is_rollup { "ROLLUP" } else { "CUBE" })];
                return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0051", element));
            }
            return Ok(Some(if is_rollup { GroupingElement::Rollup(sets) } else { GroupingElement::Cube(sets) }));
        }
        if self.at_sequence(&[Kind::GROUPING, Kind::SETS, Kind::LeftParen]) {
            self.advance_by(2);
            let elements = self.nested(|p| p.paren_list(Self::grouping_element))?;
            return Ok(Some(GroupingElement::GroupingSets(elements)));
        }
        Ok(None)
    }

    fn grouping_element(&mut self) -> Result<GroupingElement> {
        match self.grouping_analytics()? {
            Some(analytics) => Ok(analytics),
            None => self.grouping_set().map(GroupingElement::Set),
        }
    }

    /// `(a, b)`, `()` or `a`
    fn grouping_set(&mut self) -> Result<Vec<Expr>> {
        if self.eat_sequence(&[Kind::LeftParen, Kind::RightParen]) {
            return Ok(vec![]);
        }
        let expression = self.expression()?;
        Ok(match *expression.kind {
            ExprKind::Function(call) if call.is_internal && call.name == ["struct"] => call.arguments,
            kind => vec![Expr { kind: Box::new(kind), origin: expression.origin }],
        })
    }
}

/// The expressions of a list that holds nothing else; sets are flattened.
fn plain(elements: Vec<GroupingElement>) -> Vec<Expr> {
    let expressions = elements.into_iter().flat_map(|element| match element {
        GroupingElement::Expression(expression) => vec![expression],
        GroupingElement::Set(expressions) => expressions,
        GroupingElement::Rollup(sets) | GroupingElement::Cube(sets) => sets.into_iter().flatten().collect(),
        GroupingElement::GroupingSets(elements) => plain(elements),
        GroupingElement::KeyedSets { keys, .. } => keys,
    });
    expressions.collect()
}

fn is_word_all(expression: &Expr) -> bool {
    matches!(expression.kind.as_ref(), ExprKind::Attribute { name, .. } if name.len() == 1 && name[0].eq_ignore_ascii_case("all"))
}
