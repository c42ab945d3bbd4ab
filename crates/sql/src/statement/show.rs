//! SHOW, DESCRIBE, EXPLAIN.
use firesteel_plan::command::{Command, ExplainMode};
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::statement::{Describe, Show, SqlStatement};
use firesteel_plan::{Plan, Result, TableName};

use super::namespace::{NAMESPACE, NAMESPACES};
use crate::parser::Parser;
use crate::token::Kind;

/// Words after SHOW of Hive statements that Spark knows and refuses.
static REFUSED: &[(&[Kind], &str)] = &[
    (&[Kind::GRANT], "SHOW GRANT"),
    (&[Kind::ROLE, Kind::GRANT], "SHOW ROLE GRANT"),
    (&[Kind::ROLE], "SHOW ROLE"),
    (&[Kind::PRINCIPALS], "SHOW PRINCIPALS"),
    (&[Kind::ROLES], "SHOW ROLES"),
    (&[Kind::CURRENT, Kind::ROLES], "SHOW CURRENT ROLES"),
    (&[Kind::COMPACTIONS], "SHOW COMPACTIONS"),
    (&[Kind::TRANSACTIONS], "SHOW TRANSACTIONS"),
    (&[Kind::INDEXES], "SHOW INDEXES"),
    (&[Kind::LOCKS], "SHOW LOCKS"),
];

/// Operators that DESCRIBE FUNCTION takes.
static OPERATORS: &[Kind] = &[
    Kind::Equal,
    Kind::NullSafeEqual,
    Kind::NotEqual,
    Kind::NotEqualBang,
    Kind::Less,
    Kind::LessOrEqual,
    Kind::Greater,
    Kind::GreaterOrEqual,
    Kind::Plus,
    Kind::Minus,
    Kind::Asterisk,
    Kind::Slash,
    Kind::Percent,
    Kind::Tilde,
    Kind::Ampersand,
    Kind::Pipe,
    Kind::ConcatPipe,
    Kind::Hat,
    Kind::ShiftLeft,
    Kind::ShiftRight,
    Kind::ShiftRightUnsigned,
    Kind::Bang,
];

impl Parser<'_> {
    /// After SHOW.
    pub(super) fn show(&mut self, start: usize) -> Result<SqlStatement> {
        if let Some((words, operation)) = REFUSED.iter().find(|(words, _)| self.at_sequence(words)) {
            self.advance_by(words.len());
            return Err(self.not_allowed(start, operation));
        }
        let show = match self.kind() {
            _ if self.at_any(NAMESPACES) => {
                self.advance();
                Show::Namespaces { of: self.show_of()?, pattern: self.optional_pattern()? }
            }
            Kind::TABLES => {
                self.advance();
                Show::Tables { of: self.show_of()?, pattern: self.optional_pattern()? }
            }
            Kind::TABLE => self.show_table_extended()?,
            Kind::VIEWS => {
                self.advance();
                Show::Views { of: self.show_of()?, pattern: self.optional_pattern()? }
            }
            Kind::TBLPROPERTIES => {
                self.advance();
                let table = self.identifier_reference()?;
                let has_key = self.at(Kind::LeftParen);
                let key = if has_key { Some(self.parenthesized(Self::property_key)?) } else { None };
                Show::TableProperties { table, key }
            }
            Kind::COLUMNS => {
                self.advance();
                self.expect_any(&[Kind::FROM, Kind::IN])?;
                let table = self.identifier_reference()?;
                Show::Columns { table, of: self.show_of()? }
            }
            Kind::PARTITIONS => {
                self.advance();
                let table = self.identifier_reference()?;
                Show::Partitions { table, partition: self.optional_full_partition_spec()? }
            }
            Kind::CREATE => {
                self.advance();
                self.expect(Kind::TABLE)?;
                let table = self.identifier_reference()?;
                Show::CreateTable { table, as_serde: self.eat_sequence(&[Kind::AS, Kind::SERDE]) }
            }
            Kind::CURRENT => {
                self.advance();
                self.expect_any(NAMESPACE)?;
                Show::CurrentNamespace
            }
            Kind::CATALOGS => {
                self.advance();
                Show::Catalogs { pattern: self.optional_pattern()? }
            }
            Kind::COLLATIONS => {
                self.advance();
                Show::Collations { pattern: self.optional_pattern()? }
            }
            Kind::PROCEDURES => {
                self.advance();
                Show::Procedures { of: self.show_of()? }
            }
            Kind::FUNCTIONS => self.show_functions("ALL")?,
            _ if self.kind_at(1) == Kind::FUNCTIONS => {
                let scope = self.identifier()?;
                let upper = scope.to_uppercase();
                if !matches!(upper.as_str(), "ALL" | "SYSTEM" | "USER") {
                    let parameters = [("scope", quote_identifier(&scope.to_lowercase()))];
                    let condition = "INVALID_SQL_SYNTAX.SHOW_FUNCTIONS_INVALID_SCOPE";
                    return Err(self.error_from(start, condition, parameters));
                }
                self.show_functions(&upper)?
            }
            _ => return Err(self.syntax_error()),
        };
        Ok(SqlStatement::Show(show))
    }

    /// `FROM name` or `IN name`
    fn show_of(&mut self) -> Result<Option<TableName>> {
        let found = self.eat_any(&[Kind::FROM, Kind::IN]).is_some();
        if found { self.identifier_reference().map(Some) } else { Ok(None) }
    }

    fn show_table_extended(&mut self) -> Result<Show> {
        self.advance();
        self.expect(Kind::EXTENDED)?;
        let of = self.show_of()?;
        self.expect(Kind::LIKE)?;
        let pattern = self.string_literal()?;
        Ok(Show::TableExtended { of, pattern, partition: self.optional_full_partition_spec()? })
    }

    fn show_functions(&mut self, kind: &str) -> Result<Show> {
        self.expect(Kind::FUNCTIONS)?;
        let of = self.show_of()?;
        let has_like = self.eat(Kind::LIKE);
        let (mut pattern, mut name) = (None, None);
        if self.at_string() {
            pattern = Some(self.string_literal()?);
        } else if has_like || self.at_identifier() {
            name = Some(TableName::Parts(self.multipart_name()?));
        }
        Ok(Show::Functions { kind: kind.to_string(), of, pattern, name })
    }

    /// After DESC or DESCRIBE.
    pub(super) fn describe(&mut self, start: usize) -> Result<SqlStatement> {
        if let Some(statement) = self.delta_describe()? {
            return Ok(statement);
        }
        let describe = match self.kind() {
            Kind::FUNCTION if !self.ends_at(1) => self.describe_function()?,
            Kind::PROCEDURE if self.is_identifier_at(1, false) => {
                self.advance();
                Describe::Procedure { name: self.identifier_reference()? }
            }
            _ if self.at_any(NAMESPACE) && self.is_identifier_at(1, false) => {
                self.advance();
                let extended = self.at(Kind::EXTENDED) && self.is_identifier_at(1, false) && self.eat(Kind::EXTENDED);
                Describe::Namespace { name: self.identifier_reference()?, extended }
            }
            Kind::QUERY if self.begins_query_at(1) => {
                self.advance();
                self.describe_query()?
            }
            _ if self.begins_query_at(0) && !self.at(Kind::TABLE) => self.describe_query()?,
            _ => self.describe_table(start)?,
        };
        Ok(SqlStatement::Describe(describe))
    }

    /// Whether the statement ends `ahead`.
    fn ends_at(&self, ahead: usize) -> bool {
        matches!(self.kind_at(ahead), Kind::EndOfInput | Kind::Semicolon)
    }

    fn describe_query(&mut self) -> Result<Describe> {
        let start = self.position();
        let query = self.query()?;
        Ok(Describe::Query { query, text: self.text_from(start) })
    }

    fn describe_function(&mut self) -> Result<Describe> {
        self.advance();
        let extended = self.at(Kind::EXTENDED) && !self.ends_at(1) && self.eat(Kind::EXTENDED);
        let is_operator = OPERATORS.contains(&self.kind())
            || matches!(self.kind(), Kind::AND | Kind::OR | Kind::NOT | Kind::IN | Kind::DIV);
        let name = if is_operator {
            let token = self.advance();
            TableName::Parts(vec![self.token_text(token).to_string()])
        } else if self.at_string() {
            TableName::Parts(vec![self.string_literal()?])
        } else {
            self.identifier_reference()?
        };
        Ok(Describe::Function { name, extended })
    }

    fn describe_table(&mut self, start: usize) -> Result<Describe> {
        if self.at(Kind::TABLE) && !self.ends_at(1) && (self.is_identifier_at(1, false)) {
            self.advance();
        }
        let is_option = self.at_any(&[Kind::EXTENDED, Kind::FORMATTED]) && self.is_identifier_at(1, false);
        let extended = is_option && self.eat_any(&[Kind::EXTENDED, Kind::FORMATTED]).is_some();
        let name = self.identifier_reference()?;
        let partition = self.optional_full_partition_spec()?;
        let column = if self.at_identifier() && !self.at_sequence(&[Kind::AS, Kind::JSON]) {
            let mut parts = vec![self.name()?];
            while self.eat(Kind::Dot) {
                parts.push(self.name()?);
            }
            Some(parts)
        } else {
            None
        };
        let as_json = self.eat_sequence(&[Kind::AS, Kind::JSON]);
        if as_json && !extended {
            let table = match &name {
                TableName::Parts(parts) => parts.join("."),
                TableName::Identifier(_) => String::new(),
            };
            return Err(self.error_from(start, "DESCRIBE_JSON_NOT_EXTENDED", [("tableName", table)]));
        }
        match column {
            Some(_) if as_json => Err(self.plain_error_from(start, "UNSUPPORTED_FEATURE.DESC_TABLE_COLUMN_JSON")),
            Some(_) if partition.is_some() => {
                Err(self.plain_error_from(start, "UNSUPPORTED_FEATURE.DESC_TABLE_COLUMN_PARTITION"))
            }
            Some(column) => Ok(Describe::Column { table: name, column, extended }),
            None => Ok(Describe::Table { name, partition, extended, as_json }),
        }
    }

    /// After EXPLAIN.
    pub(super) fn explain(&mut self, start: usize) -> Result<SqlStatement> {
        let mode = match self.kind() {
            Kind::LOGICAL => {
                self.advance();
                return Err(self.not_allowed(start, "EXPLAIN LOGICAL"));
            }
            Kind::EXTENDED => ExplainMode::Extended,
            Kind::CODEGEN => ExplainMode::Codegen,
            Kind::COST => ExplainMode::Cost,
            Kind::FORMATTED => ExplainMode::Formatted,
            _ => ExplainMode::Simple,
        };
        if mode != ExplainMode::Simple {
            self.advance();
        }
        let plan = self.nested(Self::statement)?;
        Ok(SqlStatement::Explain { mode, plan })
    }

    /// A statement as a plan.
    pub(super) fn sql(statement: SqlStatement) -> Plan {
        Plan::Command(Command::Sql(Box::new(statement)))
    }
}
