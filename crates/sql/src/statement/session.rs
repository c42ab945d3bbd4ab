//! SET, RESET, variables, EXECUTE IMMEDIATE.
use firesteel_plan::statement::{SetConf, SetVariableSource, SqlExpr, SqlStatement, TimeZoneSetting};
use firesteel_plan::{Expr, ExprKind, Literal, Result, TableName};

use crate::parser::Parser;
use crate::token::Kind;

/// The offsets that a zone may have.
const MAX_ZONE_HOURS: i64 = 18;
const MICROS_PER_HOUR: i64 = 3_600_000_000;

impl Parser<'_> {
    /// After SET, at `start`.
    pub(super) fn set_statement(&mut self, start: usize) -> Result<SqlStatement> {
        match self.kind() {
            Kind::CATALOG if self.is_identifier_at(1, false) || self.is_string_at(1) => {
                self.advance();
                self.set_catalog()
            }
            Kind::ROLE if self.kind_at(1) != Kind::Equal && self.kind_at(1) != Kind::Dot => {
                self.advance_to_end();
                Err(self.not_allowed(start, "SET ROLE"))
            }
            Kind::TIME if self.kind_at(1) == Kind::ZONE => {
                self.advance_by(2);
                self.set_time_zone(start)
            }
            Kind::PATH if self.kind_at(1) == Kind::Equal => {
                self.advance_to_end();
                let parameters = [("config", "\"spark.sql.path.enabled\"")];
                Err(self.error_from(start, "UNSUPPORTED_FEATURE.SET_PATH_WHEN_DISABLED", parameters))
            }
            Kind::VARIABLE | Kind::VAR if self.is_identifier_at(1, false) || self.kind_at(1) == Kind::LeftParen => {
                self.advance();
                self.set_variables()
            }
            _ => self.set_configuration(start),
        }
    }

    fn set_time_zone(&mut self, start: usize) -> Result<SqlStatement> {
        let zone = if self.at(Kind::INTERVAL) {
            let interval = self.interval()?;
            if let ExprKind::Literal(Literal::DayTimeInterval(micros, ..)) = interval.kind.as_ref() {
                let hours = micros / MICROS_PER_HOUR;
                if micros.abs() > MAX_ZONE_HOURS * MICROS_PER_HOUR {
                    let condition = "INVALID_INTERVAL_FORMAT.TIMEZONE_INTERVAL_OUT_OF_RANGE";
                    return Err(self.error_from(start, condition, [("input", hours.to_string())]));
                }
            }
            TimeZoneSetting::Interval(interval)
        } else if self.at_string() {
            TimeZoneSetting::Id(self.string_literal()?)
        } else if self.at(Kind::LOCAL) && matches!(self.kind_at(1), Kind::EndOfInput | Kind::Semicolon) {
            self.advance();
            TimeZoneSetting::Local
        } else {
            self.advance_to_end();
            return Err(self.plain_error_from(start, "_LEGACY_ERROR_TEMP_0045"));
        };
        Ok(SqlStatement::SetTimeZone(zone))
    }

    /// To the semicolon or end that closes the statement; answers the text passed.
    fn advance_to_end(&mut self) -> String {
        let start = self.position();
        while !matches!(self.kind(), Kind::EndOfInput | Kind::Semicolon) {
            self.advance();
        }
        if self.position() == start { String::new() } else { self.text_from(start) }
    }

    /// `SET`, `SET -v`, `SET key`, `SET key = any text`; key and value may stand in backquotes.
    fn set_configuration(&mut self, start: usize) -> Result<SqlStatement> {
        let is_quoted_key = self.at(Kind::BackquotedIdentifier);
        if is_quoted_key && matches!(self.kind_at(1), Kind::EndOfInput | Kind::Semicolon | Kind::Equal) {
            let key = self.identifier()?;
            if !self.eat(Kind::Equal) {
                return Ok(SqlStatement::Set(SetConf::Get(key)));
            }
            let value = self.configuration_value()?;
            return Ok(SqlStatement::Set(SetConf::Value(key, value)));
        }
        let text = self.advance_to_end();
        if text.is_empty() {
            return Ok(SqlStatement::Set(SetConf::All));
        }
        if text == "-v" {
            return Ok(SqlStatement::Set(SetConf::AllVerbose));
        }
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key.trim_end(), Some(value.trim())),
            None => (text.as_str(), None),
        };
        if key.is_empty() || !key.chars().all(is_key_char) {
            return Err(self.plain_error_from(start, "INVALID_SET_SYNTAX"));
        }
        Ok(SqlStatement::Set(match value {
            Some(value) => SetConf::Value(key.to_string(), unquoted(value)),
            None => SetConf::Get(key.to_string()),
        }))
    }

    fn configuration_value(&mut self) -> Result<String> {
        let text = self.advance_to_end();
        Ok(unquoted(text.trim()))
    }

    /// After RESET.
    pub(super) fn reset(&mut self, start: usize) -> Result<SqlStatement> {
        if self.at(Kind::BackquotedIdentifier) && matches!(self.kind_at(1), Kind::EndOfInput | Kind::Semicolon) {
            return Ok(SqlStatement::Reset { key: Some(self.identifier()?) });
        }
        let text = self.advance_to_end();
        if text.is_empty() {
            return Ok(SqlStatement::Reset { key: None });
        }
        if !text.chars().all(is_key_char) {
            return Err(self.plain_error_from(start, "INVALID_RESET_COMMAND_FORMAT"));
        }
        Ok(SqlStatement::Reset { key: Some(text) })
    }

    // Variables

    /// After DECLARE.
    pub(super) fn declare_variable(&mut self, start: usize) -> Result<SqlStatement> {
        if self.is_identifier_at(0, false) && self.is_cursor_declaration() {
            self.advance_to_end();
            return Err(self.plain_error_from(start, "UNSUPPORTED_FEATURE.SQL_CURSOR"));
        }
        let replace = self.eat_sequence(&[Kind::OR, Kind::REPLACE]);
        if self.at_any(&[Kind::VARIABLE, Kind::VAR]) && self.is_identifier_at(1, false) {
            let is_name = matches!(self.kind_at(1), Kind::DEFAULT) || self.ends_declaration_at(2) && self.is_type_at(1);
            if !is_name {
                self.advance();
            }
        }
        let names = self.comma_list(Self::identifier_reference)?;
        let has_type = !matches!(self.kind(), Kind::DEFAULT | Kind::Equal | Kind::EndOfInput | Kind::Semicolon);
        let data_type = if has_type { Some(self.data_type()?) } else { None };
        let default = self.variable_default()?;
        if data_type.is_none() && default.is_none() {
            let condition = "INVALID_SQL_SYNTAX.VARIABLE_TYPE_OR_DEFAULT_REQUIRED";
            return Err(self.plain_error_from(start, condition));
        }
        Ok(SqlStatement::DeclareVariable { names, data_type, default, replace })
    }

    fn is_cursor_declaration(&self) -> bool {
        self.kind_at(1) == Kind::CURSOR
            || matches!(self.kind_at(1), Kind::ASENSITIVE | Kind::INSENSITIVE) && self.kind_at(2) == Kind::CURSOR
    }

    fn ends_declaration_at(&self, ahead: usize) -> bool {
        matches!(self.kind_at(ahead), Kind::EndOfInput | Kind::Semicolon | Kind::DEFAULT | Kind::Equal)
    }

    /// Whether the word is the name of a simple type: then VAR before it is the variable's name.
    fn is_type_at(&self, ahead: usize) -> bool {
        matches!(
            self.kind_at(ahead),
            Kind::INT
                | Kind::INTEGER
                | Kind::BIGINT
                | Kind::STRING
                | Kind::BOOLEAN
                | Kind::DOUBLE
                | Kind::FLOAT
                | Kind::DATE
                | Kind::TIMESTAMP
                | Kind::BINARY
        )
    }

    fn variable_default(&mut self) -> Result<Option<SqlExpr>> {
        let found = self.eat_any(&[Kind::DEFAULT, Kind::Equal]).is_some();
        if found { self.sql_expression().map(Some) } else { Ok(None) }
    }

    /// `a = e, b = e` or `(a, b) = (query)`, after SET VAR or, in a script, SET.
    pub(super) fn set_variables(&mut self) -> Result<SqlStatement> {
        if self.at(Kind::LeftParen) {
            let names = self.parenthesized(Self::multipart_names)?;
            self.expect(Kind::Equal)?;
            let query = self.parenthesized(Self::query)?;
            let targets = names.into_iter().map(TableName::Parts).collect();
            return Ok(SqlStatement::SetVariable { targets, source: SetVariableSource::Query(query) });
        }
        let assignments = self.comma_list(Self::assignment)?;
        let (targets, values): (Vec<_>, Vec<_>) =
            assignments.into_iter().map(|(name, value)| (TableName::Parts(name), value)).unzip();
        Ok(SqlStatement::SetVariable { targets, source: SetVariableSource::Values(values) })
    }

    /// After EXECUTE IMMEDIATE.
    pub(super) fn execute_immediate(&mut self) -> Result<SqlStatement> {
        let query = self.expression()?;
        let into = if self.eat(Kind::INTO) { self.multipart_names()? } else { vec![] };
        let into = into.into_iter().map(TableName::Parts).collect();
        let arguments = if self.eat(Kind::USING) { self.using_arguments()? } else { vec![] };
        let arguments = arguments.into_iter().map(named_argument).collect();
        Ok(SqlStatement::ExecuteImmediate { query, into, arguments })
    }

    /// `a AS x, b` with or without parentheses around
    fn using_arguments(&mut self) -> Result<Vec<Expr>> {
        if self.at(Kind::LeftParen) && !self.begins_query_at(1) {
            let all = self.attempt(|p| {
                let arguments = p.parenthesized(Self::named_expressions)?;
                if matches!(p.kind(), Kind::EndOfInput | Kind::Semicolon) {
                    Ok(arguments)
                } else {
                    Err(p.syntax_error())
                }
            })?;
            if let Some(arguments) = all {
                return Ok(arguments);
            }
        }
        self.named_expressions()
    }

    /// `CALL name(arguments)`, after CALL.
    pub(super) fn call_statement(&mut self) -> Result<SqlStatement> {
        let name = self.identifier_reference()?;
        let arguments = self.parenthesized(|p| {
            if p.at(Kind::RightParen) { Ok(vec![]) } else { p.comma_list(Self::function_argument) }
        })?;
        Ok(SqlStatement::Call { name, arguments })
    }
}

fn named_argument(argument: Expr) -> (Expr, Option<String>) {
    match *argument.kind {
        ExprKind::Alias { child, mut names, .. } if names.len() == 1 => (child, names.pop()),
        kind => (Expr { kind: Box::new(kind), origin: argument.origin }, None),
    }
}

fn is_key_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '\\' | '.' | ':')
}

/// A value in backquotes is what they hold.
fn unquoted(value: &str) -> String {
    match value.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(inner) if !inner.replace("``", "").contains('`') => inner.replace("``", "`"),
        _ => value.to_string(),
    }
}
