//! ANALYZE, CACHE, COMMENT, LOAD DATA, REFRESH, REPAIR, TRUNCATE, indexes and resources.
use firesteel_plan::relation::Options;
use firesteel_plan::statement::{AnalyzeColumns, CommentTarget, SqlStatement};
use firesteel_plan::{Result, TableName};

use super::namespace::NAMESPACE;
use crate::parser::Parser;
use crate::token::Kind;

impl Parser<'_> {
    /// After ANALYZE.
    pub(super) fn analyze(&mut self, start: usize) -> Result<SqlStatement> {
        if self.eat(Kind::TABLES) {
            let has_database = self.eat_any(&[Kind::FROM, Kind::IN]).is_some();
            let database = if has_database { Some(self.identifier_reference()?) } else { None };
            self.expect_sequence(&[Kind::COMPUTE, Kind::STATISTICS])?;
            let no_scan = self.no_scan(start)?;
            return Ok(SqlStatement::AnalyzeTables { database, no_scan });
        }
        self.expect(Kind::TABLE)?;
        let name = self.identifier_reference()?;
        let partition = self.optional_partition_spec()?;
        self.expect_sequence(&[Kind::COMPUTE, Kind::STATISTICS])?;
        let (mut no_scan, mut columns) = (false, AnalyzeColumns::None);
        if self.eat_sequence(&[Kind::FOR, Kind::ALL, Kind::COLUMNS]) {
            columns = AnalyzeColumns::All;
        } else if self.eat_sequence(&[Kind::FOR, Kind::COLUMNS]) {
            columns = AnalyzeColumns::Columns(self.comma_list(Self::name)?);
        } else {
            no_scan = self.no_scan(start)?;
        }
        let partition = if columns == AnalyzeColumns::None { partition } else { None };
        Ok(SqlStatement::AnalyzeTable { name, partition, no_scan, columns })
    }

    fn no_scan(&mut self, start: usize) -> Result<bool> {
        if !self.at_identifier() {
            return Ok(false);
        }
        let word = self.identifier()?.to_uppercase();
        if word != "NOSCAN" {
            let condition = "INVALID_SQL_SYNTAX.ANALYZE_TABLE_UNEXPECTED_NOSCAN";
            return Err(self.error_from(start, condition, [("ctx", word)]));
        }
        Ok(true)
    }

    /// After CACHE.
    pub(super) fn cache(&mut self, start: usize) -> Result<SqlStatement> {
        let lazy = self.eat(Kind::LAZY);
        self.expect(Kind::TABLE)?;
        let name = self.identifier_reference()?;
        let options = if self.eat(Kind::OPTIONS) { self.property_values()? } else { Options::new() };
        let has_query = self.eat(Kind::AS) || self.begins_query_at(0);
        let query = if has_query { Some(self.query_with_text("CACHE TABLE", start)?) } else { None };
        if let (Some(_), TableName::Parts(parts)) = (&query, &name)
            && let Some((_, qualifier)) = parts.split_last().filter(|(_, qualifier)| !qualifier.is_empty())
        {
            let quoted = firesteel_plan::identifier::qualified_name(qualifier);
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0037", [("quoted", quoted)]));
        }
        Ok(SqlStatement::CacheTable { name, lazy, options, query })
    }

    /// After UNCACHE.
    pub(super) fn uncache(&mut self) -> Result<SqlStatement> {
        self.expect(Kind::TABLE)?;
        let if_exists = self.if_exists();
        Ok(SqlStatement::UncacheTable { name: self.identifier_reference()?, if_exists })
    }

    /// After COMMENT ON.
    pub(super) fn comment_on(&mut self) -> Result<SqlStatement> {
        let is_table = self.at(Kind::TABLE);
        if !is_table && !self.at_any(NAMESPACE) {
            return Err(self.syntax_error());
        }
        self.advance();
        let name = self.identifier_reference()?;
        self.expect(Kind::IS)?;
        let comment = if self.eat(Kind::NULL) { None } else { Some(self.string_literal()?) };
        let kind = if is_table { CommentTarget::Table } else { CommentTarget::Namespace };
        Ok(SqlStatement::CommentOn { kind, name, comment })
    }

    /// After LOAD DATA.
    pub(super) fn load_data(&mut self) -> Result<SqlStatement> {
        let is_local = self.eat(Kind::LOCAL);
        self.expect(Kind::INPATH)?;
        let path = self.string_literal()?;
        let overwrite = self.eat(Kind::OVERWRITE);
        self.expect_sequence(&[Kind::INTO, Kind::TABLE])?;
        let table = self.identifier_reference()?;
        let partition = self.optional_full_partition_spec()?;
        Ok(SqlStatement::LoadData { path, is_local, overwrite, table, partition })
    }

    /// After REFRESH.
    pub(super) fn refresh(&mut self, start: usize) -> Result<SqlStatement> {
        if self.at_any(&[Kind::TABLE, Kind::FUNCTION]) && self.is_identifier_at(1, false) {
            let is_table = self.advance().kind == Kind::TABLE;
            let name = self.identifier_reference()?;
            return Ok(if is_table {
                SqlStatement::RefreshTable { name }
            } else {
                SqlStatement::RefreshFunction { name }
            });
        }
        if self.at_string() {
            return Ok(SqlStatement::RefreshPath { path: self.string_literal()? });
        }
        let path = self.rest_of_statement();
        let message = if path.is_empty() {
            "Resource paths cannot be empty in REFRESH statements. Use / to match everything"
        } else if path.contains([' ', '\n', '\r', '\t']) {
            "REFRESH statements cannot contain ' ', '\\n', '\\r', '\\t' inside unquoted resource paths"
        } else {
            return Ok(SqlStatement::RefreshPath { path });
        };
        Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0064", [("msg", message)]))
    }

    fn rest_of_statement(&mut self) -> String {
        let start = self.position();
        while !matches!(self.kind(), Kind::EndOfInput | Kind::Semicolon) {
            self.advance();
        }
        if self.position() == start { String::new() } else { self.text_from(start) }
    }

    /// After [MSCK] REPAIR TABLE.
    pub(super) fn repair(&mut self) -> Result<SqlStatement> {
        let name = self.identifier_reference()?;
        let option = self.eat_any(&[Kind::ADD, Kind::DROP, Kind::SYNC]);
        if option.is_some() {
            self.expect(Kind::PARTITIONS)?;
        }
        let add = matches!(option, None | Some(Kind::ADD | Kind::SYNC));
        let drop = matches!(option, Some(Kind::DROP | Kind::SYNC));
        Ok(SqlStatement::RepairTable { name, add, drop })
    }

    /// `ADD JAR path …`, `LIST FILES`, after the first word.
    pub(super) fn resource_statement(&mut self, action: &str, start: usize) -> Result<SqlStatement> {
        let word = self.identifier()?.to_lowercase();
        let kind = word.strip_suffix('s').unwrap_or(&word).to_string();
        let is_listing = action == "LIST";
        if !matches!(kind.as_str(), "jar" | "file" | "archive") || (!is_listing && kind != word && kind != "jar") {
            self.rest_of_statement();
            let message = format!("{action} with resource type '{word}'");
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
        }
        let mut values = vec![];
        if self.at_string() {
            while self.at_string() {
                values.push(self.one_string()?);
            }
        }
        let rest = self.rest_of_statement();
        if is_listing {
            values.extend(rest.split_whitespace().map(str::to_string));
        } else if !rest.is_empty() {
            values.push(rest);
        }
        Ok(SqlStatement::Resource { action: action.to_string(), kind: kind.to_uppercase(), values })
    }

    /// After CREATE INDEX: understood, but no table format here has indexes.
    pub(super) fn create_index(&mut self) -> Result<SqlStatement> {
        self.if_not_exists()?;
        self.identifier()?;
        self.expect(Kind::ON)?;
        if self.at(Kind::TABLE) {
            self.advance();
        }
        self.identifier_reference()?;
        if self.eat(Kind::USING) {
            self.identifier()?;
        }
        self.paren_list(|p| {
            p.multipart_name()?;
            if p.eat(Kind::OPTIONS) { p.property_values().map(|_| ()) } else { Ok(()) }
        })?;
        if self.eat(Kind::OPTIONS) {
            self.property_values()?;
        }
        Ok(SqlStatement::Unsupported { feature: "CREATE INDEX".to_string() })
    }

    /// After DROP INDEX.
    pub(super) fn drop_index(&mut self) -> Result<SqlStatement> {
        self.if_exists();
        self.identifier()?;
        self.expect(Kind::ON)?;
        if self.at(Kind::TABLE) {
            self.advance();
        }
        self.identifier_reference()?;
        Ok(SqlStatement::Unsupported { feature: "DROP INDEX".to_string() })
    }
}
