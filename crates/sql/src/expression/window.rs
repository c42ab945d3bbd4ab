//! Window specifications.
use firesteel_plan::expression::WindowRef;
use firesteel_plan::{Expr, FrameBound, FrameUnits, Result, WindowFrame, WindowSpec};

use super::call;
use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    /// `w`, `(w)` or `(PARTITION BY … ORDER BY … frame)`
    pub(crate) fn window_reference(&mut self) -> Result<WindowRef> {
        if !self.at(Kind::LeftParen) {
            // What follows may be a minus.
            return Ok(WindowRef::Named(self.identifier()?));
        }
        if self.is_identifier_at(1, false) && self.kind_at(2) == Kind::RightParen {
            self.advance();
            let name = self.name()?;
            self.advance();
            return Ok(WindowRef::Named(name));
        }
        self.parenthesized(Self::window_spec).map(WindowRef::Spec)
    }

    fn window_spec(&mut self) -> Result<WindowSpec> {
        let mut spec = WindowSpec::default();
        let is_partition = matches!(self.kind(), Kind::PARTITION | Kind::DISTRIBUTE | Kind::CLUSTER);
        if is_partition {
            let is_cluster = self.at(Kind::CLUSTER);
            self.advance();
            self.expect(Kind::BY)?;
            spec.partition_by = self.expressions()?;
            if is_cluster {
                return self.window_frame(spec);
            }
        }
        if self.eat_any(&[Kind::ORDER, Kind::SORT]).is_some() {
            self.expect(Kind::BY)?;
            spec.order_by = self.comma_list(Self::sort_item)?;
        }
        self.window_frame(spec)
    }

    fn window_frame(&mut self, mut spec: WindowSpec) -> Result<WindowSpec> {
        let units = match self.eat_any(&[Kind::ROWS, Kind::RANGE]) {
            Some(Kind::ROWS) => FrameUnits::Rows,
            Some(_) => FrameUnits::Range,
            None => return Ok(spec),
        };
        let (lower, upper) = if self.eat(Kind::BETWEEN) {
            let lower = self.frame_bound()?;
            self.expect(Kind::AND)?;
            (lower, self.frame_bound()?)
        } else {
            (self.frame_bound()?, FrameBound::CurrentRow)
        };
        spec.frame = Some(WindowFrame { units, lower, upper });
        Ok(spec)
    }

    fn frame_bound(&mut self) -> Result<FrameBound> {
        if self.eat_sequence(&[Kind::CURRENT, Kind::ROW]) {
            return Ok(FrameBound::CurrentRow);
        }
        if self.at(Kind::UNBOUNDED) && matches!(self.kind_at(1), Kind::PRECEDING | Kind::FOLLOWING) {
            self.advance();
            return Ok(match self.advance().kind {
                Kind::PRECEDING => FrameBound::UnboundedPreceding,
                _ => FrameBound::UnboundedFollowing,
            });
        }
        let start = self.position();
        let value: Expr = self.expression()?;
        match self.expect_any(&[Kind::PRECEDING, Kind::FOLLOWING])? {
            Kind::PRECEDING => Ok(FrameBound::Value(self.place(call("negative", vec![value]), start))),
            _ => Ok(FrameBound::Value(value)),
        }
    }
}
