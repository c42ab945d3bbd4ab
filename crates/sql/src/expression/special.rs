//! Expressions with a syntax of their own: CASE, CAST, EXTRACT, TRIM, SUBSTRING and the like.
use firesteel_plan::expression::EvalMode;
use firesteel_plan::{Expr, ExprKind, FunctionCall, Result};

use super::{call, string};
use crate::parser::Parser;
use crate::token::Kind;

/// Units of TIMESTAMPADD and TIMESTAMPDIFF.
static DATETIME_UNITS: &[Kind] = &[
    Kind::YEAR,
    Kind::QUARTER,
    Kind::MONTH,
    Kind::WEEK,
    Kind::DAY,
    Kind::DAYOFYEAR,
    Kind::HOUR,
    Kind::MINUTE,
    Kind::SECOND,
    Kind::MILLISECOND,
    Kind::MICROSECOND,
];

impl Parser<'_> {
    /// The special form that begins here, if one does.
    pub(super) fn special_form(&mut self) -> Result<Option<Expr>> {
        let start = self.position();
        let kind = self.kind();
        if kind == Kind::CASE {
            return self.case_form(start);
        }
        if self.kind_at(1) != Kind::LeftParen {
            return Ok(self.bare_function(start));
        }
        let form = match kind {
            Kind::CAST => {
                self.advance();
                self.cast(EvalMode::Session, start)?
            }
            Kind::TRY_CAST => {
                self.advance();
                self.cast(EvalMode::Try, start)?
            }
            Kind::STRUCT => self.struct_form()?,
            Kind::TIMESTAMPADD | Kind::DATEADD | Kind::DATE_ADD if self.unit_follows() => {
                self.with_unit("timestampadd")?
            }
            Kind::TIMESTAMPDIFF | Kind::DATEDIFF | Kind::DATE_DIFF | Kind::TIMEDIFF if self.unit_follows() => {
                self.with_unit("timestampdiff")?
            }
            Kind::FIRST | Kind::LAST | Kind::ANY_VALUE => return self.attempt(Self::ignoring_nulls),
            Kind::POSITION => return self.attempt(Self::position_form),
            Kind::EXTRACT => return self.attempt(Self::extract),
            Kind::SUBSTR | Kind::SUBSTRING => return self.attempt(Self::substring),
            Kind::TRIM => return self.attempt(Self::trim),
            Kind::OVERLAY => return self.attempt(Self::overlay),
            _ => return Ok(None),
        };
        Ok(Some(form))
    }

    /// `CURRENT_DATE` and the like without parentheses. They are calls only where the word is reserved; else they are
    /// names, which the analyzer resolves to the function when no column has that name.
    fn bare_function(&mut self, start: usize) -> Option<Expr> {
        let is_bare = matches!(
            self.kind(),
            Kind::CURRENT_DATE
                | Kind::CURRENT_TIME
                | Kind::CURRENT_TIMESTAMP
                | Kind::CURRENT_USER
                | Kind::SESSION_USER
                | Kind::USER
                | Kind::CURRENT_PATH
        );
        if !is_bare || !self.options.enforce_reserved_keywords {
            return None;
        }
        let token = self.advance();
        let name = self.token_text(token).to_lowercase();
        Some(self.place(call(&name, vec![]), start))
    }

    fn case_form(&mut self, start: usize) -> Result<Option<Expr>> {
        if self.is_name_use() {
            return Ok(None);
        }
        self.advance();
        let subject = if self.at(Kind::WHEN) { None } else { Some(self.expression()?) };
        let mut arguments = vec![];
        while self.at(Kind::WHEN) {
            let when_start = self.position();
            self.advance();
            let mut condition = self.expression()?;
            if let Some(subject) = &subject {
                condition = self.place(call("==", vec![subject.clone(), condition]), when_start);
            }
            self.expect(Kind::THEN)?;
            arguments.push(condition);
            arguments.push(self.expression()?);
        }
        if arguments.is_empty() {
            return Err(self.syntax_error());
        }
        if self.eat(Kind::ELSE) {
            arguments.push(self.expression()?);
        }
        self.expect(Kind::END)?;
        Ok(Some(self.place(call("when", arguments), start)))
    }

    fn struct_form(&mut self) -> Result<Expr> {
        let start = self.position();
        self.advance();
        self.expect(Kind::LeftParen)?;
        let fields = if self.at(Kind::RightParen) { vec![] } else { self.named_expressions()? };
        self.expect(Kind::RightParen)?;
        let function = FunctionCall::new(vec!["struct".to_string()], fields);
        Ok(self.place(ExprKind::Function(function), start))
    }

    fn unit_follows(&self) -> bool {
        (DATETIME_UNITS.contains(&self.kind_at(2)) || self.is_string_at(2)) && self.kind_at(3) == Kind::Comma && {
            // three arguments; with two, the first is a date
            let mut depth = 0i32;
            let mut commas = 0;
            let mut ahead = 1;
            loop {
                match self.kind_at(ahead) {
                    Kind::LeftParen | Kind::LeftBracket => depth += 1,
                    Kind::RightParen | Kind::RightBracket => {
                        depth -= 1;
                        if depth == 0 {
                            break commas == 2;
                        }
                    }
                    Kind::Comma if depth == 1 => commas += 1,
                    Kind::EndOfInput => break commas == 2,
                    _ => {}
                }
                ahead += 1;
            }
        }
    }

    /// `TIMESTAMPADD(unit, value, time)`
    fn with_unit(&mut self, function: &str) -> Result<Expr> {
        let start = self.position();
        let token = self.advance();
        let written = self.token_text(token).to_string();
        self.expect(Kind::LeftParen)?;
        let unit_start = self.position();
        if self.at_string() {
            let text = self.string_literal()?;
            let parameters = [
                ("functionName", format!("`{written}`")),
                ("parameter", "`unit`".to_string()),
                ("invalidValue", format!("'{text}'")),
            ];
            return Err(self.error_from(start, "INVALID_PARAMETER_VALUE.DATETIME_UNIT", parameters));
        }
        let token = self.advance();
        let unit = self.token_text(token).to_string();
        let unit = self.place(string(unit), unit_start);
        self.expect(Kind::Comma)?;
        let first = self.value_expression()?;
        self.expect(Kind::Comma)?;
        let second = self.value_expression()?;
        self.expect(Kind::RightParen)?;
        Ok(self.place(call(function, vec![unit, first, second]), start))
    }

    /// `FIRST(x IGNORE NULLS)`
    fn ignoring_nulls(&mut self) -> Result<Expr> {
        let start = self.position();
        let token = self.advance();
        let name = self.token_text(token).to_lowercase();
        self.expect(Kind::LeftParen)?;
        let argument = self.expression()?;
        self.expect_sequence(&[Kind::IGNORE, Kind::NULLS, Kind::RightParen])?;
        let mut function = FunctionCall::new(vec![name], vec![argument]);
        function.ignore_nulls = Some(true);
        self.call_suffixes(function, start)
    }

    /// `POSITION(part IN whole)`
    fn position_form(&mut self) -> Result<Expr> {
        let start = self.position();
        self.advance();
        let arguments = self.parenthesized(|p| {
            let part = p.value_expression()?;
            p.expect(Kind::IN)?;
            Ok(vec![part, p.value_expression()?])
        })?;
        Ok(self.place(call("locate", arguments), start))
    }

    /// `EXTRACT(field FROM source)`
    fn extract(&mut self) -> Result<Expr> {
        let start = self.position();
        self.advance();
        let arguments = self.parenthesized(|p| {
            let field_start = p.position();
            let field = p.identifier()?;
            let field = p.place(string(field), field_start);
            p.expect(Kind::FROM)?;
            Ok(vec![field, p.value_expression()?])
        })?;
        Ok(self.place(call("extract", arguments), start))
    }

    /// `SUBSTRING(text FROM position FOR length)`, also with commas
    fn substring(&mut self) -> Result<Expr> {
        let start = self.position();
        self.advance();
        let arguments = self.parenthesized(|p| {
            let mut arguments = vec![p.value_expression()?];
            p.expect_any(&[Kind::FROM, Kind::Comma])?;
            arguments.push(p.value_expression()?);
            if p.eat_any(&[Kind::FOR, Kind::Comma]).is_some() {
                arguments.push(p.value_expression()?);
            }
            Ok(arguments)
        })?;
        let form = self.place(call("substring", arguments), start);
        if self.at_any(&[Kind::OVER, Kind::FILTER, Kind::WITHIN]) { Err(self.syntax_error()) } else { Ok(form) }
    }

    /// `TRIM([BOTH | LEADING | TRAILING] [characters] FROM text)`: `trim`, `ltrim` or `rtrim` of (characters, text)
    fn trim(&mut self) -> Result<Expr> {
        let start = self.position();
        self.advance();
        self.expect(Kind::LeftParen)?;
        let side = if matches!(self.kind_at(1), Kind::RightParen | Kind::Comma) {
            None
        } else {
            self.eat_any(&[Kind::BOTH, Kind::LEADING, Kind::TRAILING])
        };
        let mut arguments = vec![];
        if !self.at(Kind::FROM) {
            arguments.push(self.value_expression()?);
        }
        self.expect(Kind::FROM)?;
        arguments.push(self.value_expression()?);
        self.expect(Kind::RightParen)?;
        let function = match side {
            Some(Kind::LEADING) => "ltrim",
            Some(Kind::TRAILING) => "rtrim",
            _ => "trim",
        };
        Ok(self.place(call(function, arguments), start))
    }

    /// `OVERLAY(text PLACING part FROM position FOR length)`
    fn overlay(&mut self) -> Result<Expr> {
        let start = self.position();
        self.advance();
        let arguments = self.parenthesized(|p| {
            let mut arguments = vec![p.value_expression()?];
            p.expect(Kind::PLACING)?;
            arguments.push(p.value_expression()?);
            p.expect(Kind::FROM)?;
            arguments.push(p.value_expression()?);
            if p.eat(Kind::FOR) {
                arguments.push(p.value_expression()?);
            }
            Ok(arguments)
        })?;
        Ok(self.place(call("overlay", arguments), start))
    }
}
