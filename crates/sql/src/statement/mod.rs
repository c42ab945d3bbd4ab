//! Statements.
use firesteel_plan::{Plan, Result};

use crate::parser::Parser;
use crate::token::Kind;

mod properties;

impl Parser<'_> {
    pub(crate) fn single_statement(&mut self) -> Result<Plan> {
        let plan = self.statement()?;
        while self.eat(Kind::Semicolon) {}
        Ok(plan)
    }

    pub(crate) fn statement(&mut self) -> Result<Plan> {
        Ok(Plan::Query(self.query()?))
    }
}
