//! Delta Lake's statements, which its extension adds to Spark's grammar.
use firesteel_plan::relation::TimeTravel;
use firesteel_plan::statement::{DeltaStatement, DeltaTarget, SqlStatement};
use firesteel_plan::{Expr, Result};

use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    /// A statement that begins with a word of Delta's grammar; none of them is a keyword of Spark's.
    pub(super) fn delta_statement(&mut self) -> Result<Option<SqlStatement>> {
        if !self.at_identifier() {
            return Ok(None);
        }
        let follows_target = self.is_identifier_at(1, false) || self.is_string_at(1);
        let statement = match self.word().as_str() {
            "VACUUM" if follows_target => self.vacuum()?,
            "OPTIMIZE" if follows_target => self.optimize()?,
            "RESTORE" if follows_target || self.kind_at(1) == Kind::TABLE => self.restore()?,
            "CONVERT" if self.kind_at(1) == Kind::TO => self.convert_to_delta()?,
            _ => return Ok(None),
        };
        Ok(Some(SqlStatement::Delta(statement)))
    }

    /// After DESCRIBE: HISTORY and DETAIL.
    pub(super) fn delta_describe(&mut self) -> Result<Option<SqlStatement>> {
        if !self.at_identifier() || !(self.is_identifier_at(1, false) || self.is_string_at(1)) {
            return Ok(None);
        }
        let statement = match self.word().as_str() {
            "HISTORY" => {
                self.advance();
                let table = self.delta_target()?;
                let limit = if self.eat(Kind::LIMIT) { Some(self.integer()?) } else { None };
                DeltaStatement::History { table, limit }
            }
            "DETAIL" => {
                self.advance();
                DeltaStatement::Detail { table: self.delta_target()? }
            }
            _ => return Ok(None),
        };
        Ok(Some(SqlStatement::Delta(statement)))
    }

    /// The identifier at hand, in upper case.
    fn word(&self) -> String {
        self.token_text(self.token()).to_uppercase()
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        if found {
            self.advance();
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if self.eat_word(word) { Ok(()) } else { Err(self.syntax_error()) }
    }

    fn delta_target(&mut self) -> Result<DeltaTarget> {
        if self.at_string() {
            return Ok(DeltaTarget::Path(self.string_literal()?));
        }
        Ok(DeltaTarget::Name(self.identifier_reference()?))
    }

    fn hours(&mut self) -> Result<f64> {
        let token = self.advance();
        self.token_text(token).parse().map_err(|_| self.syntax_error())
    }

    fn vacuum(&mut self) -> Result<DeltaStatement> {
        self.advance();
        let table = self.delta_target()?;
        let (mut retain_hours, mut dry_run, mut lite) = (None, false, false);
        loop {
            if self.eat_word("RETAIN") {
                retain_hours = Some(self.hours()?);
                if !self.eat_word("HOURS") {
                    self.expect_word("HOUR")?;
                }
            } else if self.eat_word("DRY") {
                self.expect_word("RUN")?;
                dry_run = true;
            } else if self.eat_word("LITE") {
                lite = true;
            } else if !self.eat_word("FULL") {
                break;
            }
        }
        Ok(DeltaStatement::Vacuum { table, retain_hours, dry_run, lite })
    }

    fn optimize(&mut self) -> Result<DeltaStatement> {
        self.advance();
        let table = self.delta_target()?;
        let condition = if self.eat(Kind::WHERE) { Some(self.expression()?) } else { None };
        let mut z_order = vec![];
        if self.eat_word("ZORDER") {
            self.expect(Kind::BY)?;
            let columns = |parser: &mut Self| parser.comma_list(Self::multipart_name);
            z_order = if self.at(Kind::LeftParen) { self.parenthesized(columns)? } else { columns(self)? };
        }
        Ok(DeltaStatement::Optimize { table, condition, z_order })
    }

    fn restore(&mut self) -> Result<DeltaStatement> {
        self.advance();
        self.eat(Kind::TABLE);
        let table = self.delta_target()?;
        self.expect(Kind::TO)?;
        let is_version = self.eat(Kind::VERSION);
        if !is_version {
            self.expect(Kind::TIMESTAMP)?;
        }
        self.expect_sequence(&[Kind::AS, Kind::OF])?;
        let to = match is_version {
            true => {
                let token = self.advance();
                let text = self.token_text(token).trim_matches(['\'', '"']).to_string();
                TimeTravel::Version(Expr::string(text))
            }
            false => TimeTravel::Timestamp(self.expression()?),
        };
        Ok(DeltaStatement::Restore { table, to })
    }

    fn convert_to_delta(&mut self) -> Result<DeltaStatement> {
        self.advance();
        self.advance();
        self.expect_word("DELTA")?;
        let table = self.delta_target()?;
        let mut statistics = true;
        if self.eat_word("NO") {
            self.expect_word("STATISTICS")?;
            statistics = false;
        }
        let mut partition_schema = None;
        if self.eat_word("PARTITIONED") {
            self.expect(Kind::BY)?;
            self.expect(Kind::LeftParen)?;
            let start = self.position();
            while !self.at(Kind::RightParen) {
                self.name()?;
                self.data_type()?;
                if !self.eat(Kind::Comma) {
                    break;
                }
            }
            partition_schema = Some(self.text_from(start));
            self.expect(Kind::RightParen)?;
        }
        Ok(DeltaStatement::Convert { table, partition_schema, statistics })
    }
}
