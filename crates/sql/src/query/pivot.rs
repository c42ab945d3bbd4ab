//! PIVOT and UNPIVOT.
use firesteel_plan::relation::{PivotValue, Unpivot, UnpivotValue};
use firesteel_plan::{Expr, Relation, RelationKind, Result};

use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    pub(crate) fn at_unpivot(&self) -> bool {
        self.at(Kind::UNPIVOT) && matches!(self.kind_at(1), Kind::LeftParen | Kind::INCLUDE | Kind::EXCLUDE)
    }

    /// `PIVOT (aggregates FOR columns IN (values)) [alias]`
    pub(crate) fn pivot_clause(&mut self, input: Relation, start: usize) -> Result<Relation> {
        self.expect_sequence(&[Kind::PIVOT, Kind::LeftParen])?;
        let aggregates = self.named_expressions()?;
        self.expect(Kind::FOR)?;
        let columns =
            if self.at(Kind::LeftParen) { self.paren_list(Self::pivot_column)? } else { vec![self.pivot_column()?] };
        self.expect(Kind::IN)?;
        let values = self.paren_list(Self::pivot_value)?;
        self.expect(Kind::RightParen)?;
        let pivot = self.wrap(start, RelationKind::Pivot { input: input.into(), aggregates, columns, values });
        self.suffix_alias(pivot, start)
    }

    fn suffix_alias(&mut self, input: Relation, start: usize) -> Result<Relation> {
        let has_alias = self.eat(Kind::AS) || self.at_implicit_alias(true);
        if !has_alias {
            return Ok(input);
        }
        let alias = self.name()?;
        Ok(self.wrap(
            start,
            RelationKind::SubqueryAlias { input: input.into(), alias, qualifier: vec![], columns: vec![] },
        ))
    }

    fn pivot_column(&mut self) -> Result<Expr> {
        let start = self.position();
        let name = self.name()?;
        Ok(self.place(Expr::name(name), start))
    }

    fn pivot_value(&mut self) -> Result<PivotValue> {
        let value = self.expression()?;
        let has_alias = self.eat(Kind::AS) || self.at_implicit_alias(false);
        let alias = if has_alias { Some(self.name()?) } else { None };
        Ok(PivotValue { value, alias })
    }

    /// `UNPIVOT [INCLUDE | EXCLUDE NULLS] (value FOR name IN (columns)) [alias]`
    pub(crate) fn unpivot_clause(&mut self, input: Relation, start: usize) -> Result<Relation> {
        self.expect(Kind::UNPIVOT)?;
        let include_nulls = match self.eat_any(&[Kind::INCLUDE, Kind::EXCLUDE]) {
            Some(kind) => {
                self.expect(Kind::NULLS)?;
                kind == Kind::INCLUDE
            }
            None => false,
        };
        self.expect(Kind::LeftParen)?;
        let is_multiple = self.at(Kind::LeftParen);
        let value_columns = if is_multiple { self.paren_list(Self::identifier)? } else { vec![self.identifier()?] };
        self.expect(Kind::FOR)?;
        let variable_column = self.identifier()?;
        self.expect(Kind::IN)?;
        let values = self.paren_list(|p| p.unpivot_value(is_multiple))?;
        self.expect(Kind::RightParen)?;
        let unpivot = Unpivot {
            input,
            ids: None,
            values: Some(values),
            variable_column,
            value_columns,
            include_nulls,
            alias: None,
        };
        let unpivot = self.wrap(start, RelationKind::Unpivot(Box::new(unpivot)));
        self.suffix_alias(unpivot, start)
    }

    fn unpivot_value(&mut self, is_multiple: bool) -> Result<UnpivotValue> {
        let columns = if is_multiple { self.paren_list(Self::attribute)? } else { vec![self.attribute()?] };
        let has_alias = self.eat(Kind::AS) || self.at_implicit_alias(false);
        let alias = if has_alias { Some(self.name()?) } else { None };
        Ok(UnpivotValue { columns, alias })
    }
}
