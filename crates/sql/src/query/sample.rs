//! TABLESAMPLE.
use firesteel_plan::relation::SampleMethod;
use firesteel_plan::{ExprKind, Relation, RelationKind, Result};

use crate::parser::Parser;
use crate::token::Kind;

/// How far a fraction may lie outside [0, 1] by rounding.
const ROUNDING_EPSILON: f64 = 1e-6;

impl Parser<'_> {
    pub(crate) fn at_sample(&self) -> bool {
        self.at(Kind::TABLESAMPLE) && matches!(self.kind_at(1), Kind::LeftParen | Kind::SYSTEM | Kind::BERNOULLI)
    }

    pub(crate) fn optional_sample(&mut self, input: Relation, start: usize) -> Result<Relation> {
        if self.at_sample() { self.sample_clause(input, start) } else { Ok(input) }
    }

    /// `TABLESAMPLE [BERNOULLI | SYSTEM] (method) [REPEATABLE (seed)]`
    pub(crate) fn sample_clause(&mut self, input: Relation, start: usize) -> Result<Relation> {
        let clause = self.position();
        self.advance();
        if self.eat_any(&[Kind::SYSTEM, Kind::BERNOULLI]) == Some(Kind::SYSTEM) {
            return Err(self.plain_error_from(clause, "UNSUPPORTED_FEATURE.TABLESAMPLE_SYSTEM"));
        }
        self.expect(Kind::LeftParen)?;
        if self.at(Kind::RightParen) {
            self.advance();
            return Err(self.plain_error_from(clause, "_LEGACY_ERROR_TEMP_0014"));
        }
        let method = self.sample_method(clause)?;
        self.expect(Kind::RightParen)?;
        let seed = if self.eat(Kind::REPEATABLE) { Some(self.parenthesized(Self::integer)?) } else { None };
        Ok(self.wrap(start, RelationKind::Sample { input: input.into(), method, seed }))
    }

    fn sample_method(&mut self, clause: usize) -> Result<SampleMethod> {
        if self.at(Kind::BUCKET) && self.kind_at(1) == Kind::IntegerValue {
            return self.bucket_sample(clause);
        }
        let percent_at = 1 + usize::from(self.at(Kind::Minus));
        if self.kind_at(percent_at) == Kind::PERCENTLIT {
            return self.percent_sample(clause);
        }
        let expression = self.expression()?;
        if self.eat(Kind::ROWS) {
            return Ok(SampleMethod::Rows(expression));
        }
        let text = self.text_from(clause + 2);
        let is_bytes = matches!(expression.kind.as_ref(), ExprKind::Attribute { .. })
            && text.ends_with(['b', 'B', 'k', 'K', 'm', 'M', 'g', 'G']);
        Err(if is_bytes {
            self.error_from(clause, "_LEGACY_ERROR_TEMP_0015", [("msg", "byteLengthLiteral")])
        } else {
            self.error_from(clause, "_LEGACY_ERROR_TEMP_0016", [("bytesStr", text)])
        })
    }

    fn percent_sample(&mut self, clause: usize) -> Result<SampleMethod> {
        let sign = if self.eat(Kind::Minus) { -1.0 } else { 1.0 };
        let token = self.expect_number()?;
        self.expect(Kind::PERCENTLIT)?;
        let fraction = sign * token / 100.0;
        if !(-ROUNDING_EPSILON..=1.0 + ROUNDING_EPSILON).contains(&fraction) {
            let message = format!("Sampling fraction ({fraction}) must be on interval [0, 1]");
            let error = self.error_from(clause, "_LEGACY_ERROR_TEMP_0064", [("msg", message)]);
            self.defer(error, ());
        }
        Ok(SampleMethod::Fraction { lower: 0.0, upper: fraction, with_replacement: false })
    }

    fn expect_number(&mut self) -> Result<f64> {
        self.expect_any(&[Kind::IntegerValue, Kind::DecimalValue])?;
        let text = self.text_from(self.position() - 1);
        Ok(text.parse().unwrap_or(0.0))
    }

    /// `BUCKET x OUT OF y`
    fn bucket_sample(&mut self, clause: usize) -> Result<SampleMethod> {
        self.advance();
        let numerator = self.integer()?;
        self.expect_sequence(&[Kind::OUT, Kind::OF])?;
        let denominator = self.integer()?;
        if self.eat(Kind::ON) {
            self.multipart_name()?;
            let is_call = self.eat_sequence(&[Kind::LeftParen, Kind::RightParen]);
            let what = if is_call { "BUCKET x OUT OF y ON function" } else { "BUCKET x OUT OF y ON colname" };
            return Err(self.error_from(clause, "_LEGACY_ERROR_TEMP_0015", [("msg", what)]));
        }
        Ok(SampleMethod::Bucket { numerator, denominator })
    }
}
