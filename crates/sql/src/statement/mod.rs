//! Statements: which one begins here, and its rule. One file per family.
use firesteel_plan::statement::{CreateMode, SqlStatement};
use firesteel_plan::{Plan, Result};

use crate::parser::Parser;
use crate::token::Kind;

mod alter;
mod clauses;
mod column;
mod create_table;
mod delta;
mod dml;
mod function;
mod maintenance;
mod namespace;
mod properties;
mod script;
mod session;
mod show;
mod view;

use namespace::NAMESPACE;
use view::ViewModifiers;

/// Hive's statements that Spark knows by their first words and refuses.
static REFUSED: &[(&[Kind], &str)] = &[
    (&[Kind::CREATE, Kind::ROLE], "CREATE ROLE"),
    (&[Kind::DROP, Kind::ROLE], "DROP ROLE"),
    (&[Kind::GRANT, Kind::ROLE], "GRANT ROLE"),
    (&[Kind::GRANT], "GRANT"),
    (&[Kind::REVOKE, Kind::ROLE], "REVOKE ROLE"),
    (&[Kind::REVOKE], "REVOKE"),
    (&[Kind::EXPORT, Kind::TABLE], "EXPORT TABLE"),
    (&[Kind::IMPORT, Kind::TABLE], "IMPORT TABLE"),
    (&[Kind::ALTER, Kind::INDEX], "ALTER INDEX"),
    (&[Kind::LOCK, Kind::TABLE], "LOCK TABLE"),
    (&[Kind::LOCK, Kind::DATABASE], "LOCK DATABASE"),
    (&[Kind::UNLOCK, Kind::TABLE], "UNLOCK TABLE"),
    (&[Kind::UNLOCK, Kind::DATABASE], "UNLOCK DATABASE"),
    (&[Kind::CREATE, Kind::TEMPORARY, Kind::MACRO], "CREATE TEMPORARY MACRO"),
    (&[Kind::DROP, Kind::TEMPORARY, Kind::MACRO], "DROP TEMPORARY MACRO"),
    (&[Kind::START, Kind::TRANSACTION], "START TRANSACTION"),
    (&[Kind::COMMIT], "COMMIT"),
    (&[Kind::ROLLBACK], "ROLLBACK"),
    (&[Kind::DFS], "DFS"),
];

impl Parser<'_> {
    /// A whole text: one statement or one script.
    pub(crate) fn single_statement(&mut self) -> Result<Plan> {
        let plan = if self.at(Kind::BEGIN) { Self::sql(self.script()?) } else { self.statement()? };
        while self.eat(Kind::Semicolon) {}
        Ok(plan)
    }

    pub(crate) fn statement(&mut self) -> Result<Plan> {
        let start = self.position();
        match self.kind() {
            Kind::WITH => {
                let with = self.with_clause()?;
                if self.at_dml() {
                    return self.dml_statement(with, start).map(Self::sql);
                }
                let term = self.query_body(start)?;
                Ok(Plan::Query(self.apply_with(term, with, start)))
            }
            Kind::FROM if self.at_multi_insert() => self.dml_statement(None, start).map(Self::sql),
            _ if self.begins_query_at(0) => self.query().map(Plan::Query),
            _ => self.command(start).map(Self::sql),
        }
    }

    fn at_dml(&self) -> bool {
        matches!(self.kind(), Kind::INSERT | Kind::DELETE | Kind::UPDATE | Kind::MERGE)
            || self.at(Kind::FROM) && self.at_multi_insert()
    }

    /// A statement that is no query.
    fn command(&mut self, start: usize) -> Result<SqlStatement> {
        if let Some((words, operation)) = REFUSED.iter().find(|(words, _)| self.at_sequence(words)) {
            self.advance_by(words.len());
            return Err(self.not_allowed(start, operation));
        }
        if self.at_dml() {
            return self.dml_statement(None, start);
        }
        if let Some(statement) = self.delta_statement()? {
            return Ok(statement);
        }
        if !self.kind().is_keyword() {
            return Err(self.syntax_error());
        }
        let word = self.advance().kind;
        match word {
            Kind::USE => self.use_statement(),
            Kind::SET => self.set_statement(start),
            Kind::RESET => self.reset(start),
            Kind::CREATE => self.create(start),
            Kind::REPLACE if self.at(Kind::TABLE) => {
                self.advance();
                self.create_table(CreateMode::Replace, false, false, start)
            }
            Kind::ALTER => self.alter(start),
            Kind::DROP => self.drop_statement(start),
            Kind::SHOW => self.show(start),
            Kind::DESC | Kind::DESCRIBE => self.describe(start),
            Kind::EXPLAIN => self.explain(start),
            Kind::DECLARE => self.declare_variable(start),
            Kind::EXECUTE if self.eat(Kind::IMMEDIATE) => self.execute_immediate(),
            Kind::CALL => self.call_statement(),
            Kind::ANALYZE => self.analyze(start),
            Kind::CACHE => self.cache(start),
            Kind::UNCACHE => self.uncache(),
            Kind::CLEAR if self.eat(Kind::CACHE) => Ok(SqlStatement::ClearCache),
            Kind::COMMENT if self.eat(Kind::ON) => self.comment_on(),
            Kind::LOAD if self.eat(Kind::DATA) => self.load_data(),
            Kind::REFRESH => self.refresh(start),
            Kind::REPAIR if self.eat(Kind::TABLE) => self.repair(),
            Kind::MSCK if self.eat_sequence(&[Kind::REPAIR, Kind::TABLE]) => self.repair(),
            Kind::TRUNCATE if self.eat(Kind::TABLE) => {
                let name = self.identifier_reference()?;
                Ok(SqlStatement::TruncateTable { name, partition: self.optional_full_partition_spec()? })
            }
            Kind::ADD if self.at_identifier() => self.resource_statement("ADD", start),
            Kind::LIST if self.at_identifier() => self.resource_statement("LIST", start),
            Kind::OPEN | Kind::FETCH | Kind::CLOSE if self.at_identifier() || self.at(Kind::FROM) => {
                Err(self.plain_error_from(start, "UNSUPPORTED_FEATURE.SQL_CURSOR"))
            }
            _ => {
                self.rewind(start);
                Err(self.syntax_error())
            }
        }
    }

    /// After CREATE.
    fn create(&mut self, start: usize) -> Result<SqlStatement> {
        if self.at_any(NAMESPACE) {
            self.advance();
            return self.create_namespace(start);
        }
        if self.eat(Kind::INDEX) {
            return self.create_index();
        }
        if let Some(error) = self.pipeline_error(start) {
            return Err(error);
        }
        let replace = self.eat_sequence(&[Kind::OR, Kind::REPLACE]);
        let is_global = self.at(Kind::GLOBAL) && self.kind_at(1) == Kind::TEMPORARY && self.eat(Kind::GLOBAL);
        let is_temporary = self.eat(Kind::TEMPORARY);
        let is_external = self.at(Kind::EXTERNAL) && self.kind_at(1) == Kind::TABLE && self.eat(Kind::EXTERNAL);
        match self.kind() {
            Kind::TABLE if !is_global => {
                self.advance();
                let mode = if replace { CreateMode::CreateOrReplace } else { CreateMode::Create };
                self.create_table(mode, is_temporary, is_external, start)
            }
            Kind::VIEW if !is_external => {
                self.advance();
                self.create_view(ViewModifiers { replace, is_global, is_temporary }, start)
            }
            Kind::FUNCTION if !is_external && !is_global => {
                self.advance();
                self.create_function(replace, is_temporary, start)
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// Datasets and flows of pipelines do not run as statements.
    fn pipeline_error(&mut self, start: usize) -> Option<firesteel_plan::SparkError> {
        let dataset = if self.at_sequence(&[Kind::MATERIALIZED, Kind::VIEW]) {
            "MATERIALIZED VIEW"
        } else if self.at_sequence(&[Kind::STREAMING, Kind::TABLE]) {
            "STREAMING TABLE"
        } else if self.at(Kind::FLOW) && self.is_identifier_at(1, false) {
            return Some(self.plain_error_from(start, "UNSUPPORTED_FEATURE.CREATE_FLOW_QUERY_EXECUTION"));
        } else {
            return None;
        };
        let condition = "UNSUPPORTED_FEATURE.CREATE_PIPELINE_DATASET_QUERY_EXECUTION";
        Some(self.error_from(start, condition, [("pipelineDatasetType", dataset)]))
    }

    /// After ALTER.
    fn alter(&mut self, start: usize) -> Result<SqlStatement> {
        match self.kind() {
            Kind::TABLE => {
                self.advance();
                self.alter_table(start)
            }
            Kind::VIEW => {
                self.advance();
                self.alter_view(start)
            }
            _ if self.at_any(NAMESPACE) => {
                self.advance();
                self.alter_namespace()
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// After DROP.
    fn drop_statement(&mut self, start: usize) -> Result<SqlStatement> {
        if self.at_any(NAMESPACE) {
            self.advance();
            return self.drop_namespace();
        }
        let is_temporary = self.eat(Kind::TEMPORARY);
        match self.kind() {
            Kind::TABLE if !is_temporary => {
                self.advance();
                let if_exists = self.if_exists();
                let name = self.identifier_reference()?;
                Ok(SqlStatement::DropTable { name, if_exists, purge: self.eat(Kind::PURGE) })
            }
            Kind::VIEW if !is_temporary => {
                self.advance();
                let if_exists = self.if_exists();
                Ok(SqlStatement::DropView { name: self.identifier_reference()?, if_exists })
            }
            Kind::FUNCTION => {
                self.advance();
                self.drop_function(is_temporary, start)
            }
            Kind::VARIABLE | Kind::VAR if is_temporary => {
                self.advance();
                let if_exists = self.if_exists();
                Ok(SqlStatement::DropVariable { name: self.identifier_reference()?, if_exists })
            }
            Kind::INDEX if !is_temporary => {
                self.advance();
                self.drop_index()
            }
            _ => Err(self.syntax_error()),
        }
    }
}
