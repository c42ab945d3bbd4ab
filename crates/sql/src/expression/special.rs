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
            Kind::EXTRACT if self.is_identifier_at(2, false) && self.kind_at(3) == Kind::FROM => self.extract()?,
            Kind::FIRST
            | Kind::LAST
            | Kind::ANY_VALUE
            | Kind::POSITION
            | Kind::SUBSTR
            | Kind::SUBSTRING
            | Kind::TRIM
            | Kind::OVERLAY => self.keyword_call()?,
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
            self.expect(Kind::Comma)?;
            self.value_expression()?;
            self.expect(Kind::Comma)?;
            self.value_expression()?;
            self.expect(Kind::RightParen)?;
            let parameters = [
                ("functionName", format!("`{written}`")),
                ("parameter", "`unit`".to_string()),
                ("invalidValue", format!("'{text}'")),
            ];
            let error = self.error_from(start, "INVALID_PARAMETER_VALUE.DATETIME_UNIT", parameters);
            return Ok(self.defer(error, Expr::null()));
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

    /// A call of a function that has a special form as well: which it is shows after the first argument.
    fn keyword_call(&mut self) -> Result<Expr> {
        let start = self.position();
        let token = self.advance();
        let name = self.token_text(token).to_string();
        let is_plain = matches!(self.kind_at(1), Kind::RightParen | Kind::DISTINCT | Kind::ALL)
            || self.kind_at(2) == Kind::FatArrow;
        if is_plain {
            return self.function_call(vec![name], start);
        }
        self.nested(|p| p.keyword_call_arguments(token.kind, name, start))
    }

    fn keyword_call_arguments(&mut self, kind: Kind, name: String, start: usize) -> Result<Expr> {
        self.expect(Kind::LeftParen)?;
        let is_name = matches!(self.kind_at(1), Kind::RightParen | Kind::Comma);
        if kind == Kind::TRIM && !is_name {
            let side = self.eat_any(&[Kind::BOTH, Kind::LEADING, Kind::TRAILING]);
            if side.is_some() || self.at(Kind::FROM) {
                let characters = if self.at(Kind::FROM) { None } else { Some(self.value_expression()?) };
                return self.trim(side, characters, start);
            }
        }
        let first_start = self.position();
        if self.at_any(&[Kind::NOT, Kind::Bang, Kind::EXISTS]) {
            let first = self.expression()?;
            return self.call_after_first(name, first, start);
        }
        let first = self.value_expression()?;
        match (kind, self.kind()) {
            (Kind::POSITION, Kind::IN) => self.position_form(first, start),
            (Kind::SUBSTR | Kind::SUBSTRING, Kind::FROM) => self.substring(first, start),
            (Kind::TRIM, Kind::FROM) => self.trim(None, Some(first), start),
            (Kind::OVERLAY, Kind::PLACING) => self.overlay(first, start),
            _ => {
                let first = self.predicate(first, first_start)?;
                let first = self.resume_logical(first, first_start)?;
                let ignores_nulls = matches!(kind, Kind::FIRST | Kind::LAST | Kind::ANY_VALUE)
                    && self.eat_sequence(&[Kind::IGNORE, Kind::NULLS]);
                if !ignores_nulls {
                    return self.call_after_first(name, first, start);
                }
                self.expect(Kind::RightParen)?;
                let mut function = FunctionCall::new(vec![name.to_lowercase()], vec![first]);
                function.ignore_nulls = Some(true);
                self.call_suffixes(function, start)
            }
        }
    }

    /// The rest of `POSITION(part IN whole)`
    fn position_form(&mut self, part: Expr, start: usize) -> Result<Expr> {
        self.expect(Kind::IN)?;
        let whole = self.value_expression()?;
        self.expect(Kind::RightParen)?;
        Ok(self.place(call("locate", vec![part, whole]), start))
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

    /// The rest of `SUBSTRING(text FROM position [FOR length])`
    fn substring(&mut self, text: Expr, start: usize) -> Result<Expr> {
        self.expect(Kind::FROM)?;
        let mut arguments = vec![text, self.value_expression()?];
        if self.eat_any(&[Kind::FOR, Kind::Comma]).is_some() {
            arguments.push(self.value_expression()?);
        }
        self.expect(Kind::RightParen)?;
        Ok(self.place(call("substring", arguments), start))
    }

    /// The rest of `TRIM([BOTH | LEADING | TRAILING] [characters] FROM text)`: `trim`, `ltrim` or `rtrim` of
    /// (characters, text)
    fn trim(&mut self, side: Option<Kind>, characters: Option<Expr>, start: usize) -> Result<Expr> {
        self.expect(Kind::FROM)?;
        let text = self.value_expression()?;
        self.expect(Kind::RightParen)?;
        let function = match side {
            Some(Kind::LEADING) => "ltrim",
            Some(Kind::TRAILING) => "rtrim",
            _ => "trim",
        };
        let arguments = characters.into_iter().chain([text]).collect();
        Ok(self.place(call(function, arguments), start))
    }

    /// The rest of `OVERLAY(text PLACING part FROM position [FOR length])`
    fn overlay(&mut self, text: Expr, start: usize) -> Result<Expr> {
        self.expect(Kind::PLACING)?;
        let mut arguments = vec![text, self.value_expression()?];
        self.expect(Kind::FROM)?;
        arguments.push(self.value_expression()?);
        if self.eat(Kind::FOR) {
            arguments.push(self.value_expression()?);
        }
        self.expect(Kind::RightParen)?;
        Ok(self.place(call("overlay", arguments), start))
    }
}
