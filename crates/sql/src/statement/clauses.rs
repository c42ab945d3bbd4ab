//! Clauses that several statements share.
use firesteel_plan::statement::PartitionValues;
use firesteel_plan::{Expr, ExprKind, Result, SparkError};

use crate::parser::Parser;
use crate::token::Kind;

/// Refuses a clause that is given twice.
pub(super) struct Once {
    start: usize,
    seen: Vec<&'static str>,
}

impl Once {
    pub(super) fn new(start: usize) -> Self {
        Self { start, seen: vec![] }
    }

    pub(super) fn clause(&mut self, parser: &Parser<'_>, name: &'static str) -> Result<()> {
        if self.seen.contains(&name) {
            return Err(parser.error_from(self.start, "DUPLICATE_CLAUSES", [("clauseName", name)]));
        }
        self.seen.push(name);
        Ok(())
    }
}

impl Parser<'_> {
    /// `DEFAULT COLLATION name`
    pub(super) fn default_collation(&mut self) -> Result<Option<String>> {
        if !self.at_sequence(&[Kind::DEFAULT, Kind::COLLATION]) {
            return Ok(None);
        }
        self.advance_by(2);
        self.identifier().map(Some)
    }

    /// `PARTITION (a = 1, b)`
    pub(super) fn partition_spec(&mut self) -> Result<PartitionValues> {
        let start = self.position();
        self.expect(Kind::PARTITION)?;
        let parts = self.paren_list(|p| {
            let column = p.identifier()?;
            if !p.eat(Kind::Equal) {
                return Ok((column, None));
            }
            let value_start = p.position();
            if p.eat(Kind::DEFAULT) {
                return Ok((column, Some(p.place(ExprKind::Default, value_start))));
            }
            Ok((column, Some(p.required_constant()?)))
        })?;
        for (index, (column, _)) in parts.iter().enumerate() {
            if parts[..index].iter().any(|(other, _)| other == column) {
                return Err(self.error_from(start, "DUPLICATE_KEY", [("keyColumn", format!("`{column}`"))]));
            }
        }
        Ok(parts)
    }

    pub(super) fn optional_partition_spec(&mut self) -> Result<Option<PartitionValues>> {
        if self.at_sequence(&[Kind::PARTITION, Kind::LeftParen]) { self.partition_spec().map(Some) } else { Ok(None) }
    }

    /// A partition spec whose columns all have values, none of them DEFAULT.
    pub(super) fn full_partition_spec(&mut self) -> Result<PartitionValues> {
        let start = self.position();
        let spec = self.partition_spec()?;
        self.check_full_partition(&spec, start)?;
        Ok(spec)
    }

    pub(super) fn check_full_partition(&self, spec: &PartitionValues, start: usize) -> Result<()> {
        for (column, value) in spec {
            match value {
                None => {
                    let parameters = [("partKey", format!("`{column}`"))];
                    return Err(self.error_from(start, "INVALID_SQL_SYNTAX.EMPTY_PARTITION_VALUE", parameters));
                }
                Some(value) if is_default(value) => {
                    return Err(self.plain_error_from(start, "REF_DEFAULT_VALUE_IS_NOT_ALLOWED_IN_PARTITION"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    pub(super) fn optional_full_partition_spec(&mut self) -> Result<Option<PartitionValues>> {
        if self.at_sequence(&[Kind::PARTITION, Kind::LeftParen]) {
            self.full_partition_spec().map(Some)
        } else {
            Ok(None)
        }
    }

    /// `[LIKE] 'pattern'`
    pub(super) fn optional_pattern(&mut self) -> Result<Option<String>> {
        if self.eat(Kind::LIKE) || self.at_string() { self.string_literal().map(Some) } else { Ok(None) }
    }

    /// What Spark knows and refuses.
    pub(super) fn not_allowed(&self, start: usize, operation: &str) -> SparkError {
        self.error_from(start, "INVALID_STATEMENT_OR_CLAUSE", [("operation", operation)])
    }
}

pub(super) fn is_default(value: &Expr) -> bool {
    matches!(value.kind.as_ref(), ExprKind::Default)
}
