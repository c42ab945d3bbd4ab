//! SQL scripts: BEGIN … END.
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::statement::{CompoundBody, ConditionDeclaration, Handler, ScriptStatement, SqlStatement};
use firesteel_plan::{Expr, Plan, Result, TableName};

use crate::parser::{Label, Parser};
use crate::token::Kind;

/// SQLSTATE of a condition that names none.
const DEFAULT_SQL_STATE: &str = "45000";

/// How far a BEGIN … END has come: declarations stand before statements, handlers between them.
#[derive(PartialEq, PartialOrd)]
enum Phase {
    Variables,
    Handlers,
    Statements,
}

impl Parser<'_> {
    /// `BEGIN [NOT ATOMIC] … END` as a whole text.
    pub(super) fn script(&mut self) -> Result<SqlStatement> {
        Ok(SqlStatement::Script(self.scope(None)?))
    }

    /// `BEGIN … END`; the label, if any, is read.
    fn scope(&mut self, label: Option<String>) -> Result<CompoundBody> {
        self.expect(Kind::BEGIN)?;
        if self.at(Kind::NOT) && self.kind_at(1) == Kind::ATOMIC {
            self.advance_by(2);
        }
        let mut body = CompoundBody { label, ..CompoundBody::default() };
        let mut phase = Phase::Variables;
        let declared = self.conditions.len();
        while !self.at(Kind::END) {
            self.scope_item(&mut body, &mut phase)?;
            self.expect(Kind::Semicolon)?;
        }
        self.conditions.truncate(declared);
        self.advance();
        Ok(body)
    }

    fn scope_item(&mut self, body: &mut CompoundBody, phase: &mut Phase) -> Result<()> {
        let start = self.position();
        if !self.at(Kind::DECLARE) {
            *phase = Phase::Statements;
            let statement = self.script_statement()?;
            body.statements.push(statement);
            return Ok(());
        }
        if self.is_identifier_at(1, true) && self.kind_at(2) == Kind::CONDITION && self.is_condition_declaration() {
            let condition = self.declare_condition()?;
            if *phase > Phase::Variables {
                let parameters = [("conditionName", quote_identifier(&condition.name))];
                let name = "INVALID_ERROR_CONDITION_DECLARATION.NOT_AT_START_OF_COMPOUND_STATEMENT";
                return Err(self.error_from(start, name, parameters));
            }
            if body.conditions.iter().any(|other| other.name == condition.name) {
                let parameters = [("condition", quote_identifier(&condition.name))];
                return Err(self.error_from(start, "DUPLICATE_CONDITION_IN_SCOPE", parameters));
            }
            self.conditions.push(condition.name.clone());
            body.conditions.push(condition);
            return Ok(());
        }
        if matches!(self.kind_at(1), Kind::CONTINUE | Kind::EXIT) && self.kind_at(2) == Kind::HANDLER {
            let handler = self.declare_handler(start)?;
            if *phase > Phase::Handlers {
                let condition = "INVALID_HANDLER_DECLARATION.WRONG_PLACE_OF_DECLARATION";
                return Err(self.plain_error_from(start, condition));
            }
            *phase = Phase::Handlers;
            self.check_handler(body, &handler, start)?;
            body.handlers.push(handler);
            return Ok(());
        }
        let statement = self.script_statement()?;
        self.check_local_variables(&statement, start)?;
        if let Some(names) = declared_names(&statement)
            && *phase > Phase::Variables
        {
            let parameters = [("varName", names)];
            return Err(self.error_from(start, "INVALID_VARIABLE_DECLARATION.ONLY_AT_BEGINNING", parameters));
        }
        body.statements.push(statement);
        Ok(())
    }

    /// A condition has one handler in a block, and is Spark's or declared.
    fn check_handler(&self, body: &CompoundBody, handler: &Handler, start: usize) -> Result<()> {
        let exists = |condition: &String| {
            let is_generic =
                condition.starts_with("SQLSTATE ") || condition == "SQLEXCEPTION" || condition == "NOT FOUND";
            is_generic || self.conditions.contains(condition) || firesteel_plan::conditions::is_known(condition)
        };
        if let Some(unknown) = handler.conditions.iter().find(|condition| !exists(condition)) {
            let parameters = [("condition", unknown.as_str())];
            return Err(self.error_from(start, "INVALID_HANDLER_DECLARATION.CONDITION_NOT_FOUND", parameters));
        }
        let known = |condition: &String| body.handlers.iter().any(|other| other.conditions.contains(condition));
        let Some(twice) = handler.conditions.iter().find(|condition| known(condition)) else { return Ok(()) };
        Err(match twice.strip_prefix("SQLSTATE ") {
            Some(state) => self.error_from(start, "DUPLICATE_EXCEPTION_HANDLER.SQLSTATE", [("sqlState", state)]),
            None => self.error_from(start, "DUPLICATE_EXCEPTION_HANDLER.CONDITION", [("condition", twice.as_str())]),
        })
    }

    /// Variables of a script have plain names, and none replaces another.
    fn check_local_variables(&self, statement: &ScriptStatement, start: usize) -> Result<()> {
        let Some(SqlStatement::DeclareVariable { names, replace, .. }) = sql_of(statement) else { return Ok(()) };
        let shown = [("varName", declared_names(statement).unwrap_or_default())];
        let is_qualified = |name: &TableName| matches!(name, TableName::Parts(parts) if parts.len() > 1);
        if names.iter().any(is_qualified) {
            return Err(self.error_from(start, "INVALID_VARIABLE_DECLARATION.QUALIFIED_LOCAL_VARIABLE", shown));
        }
        if *replace {
            return Err(self.error_from(start, "INVALID_VARIABLE_DECLARATION.REPLACE_LOCAL_VARIABLE", shown));
        }
        Ok(())
    }

    fn is_condition_declaration(&self) -> bool {
        matches!(self.kind_at(3), Kind::Semicolon | Kind::FOR)
    }

    /// `DECLARE name CONDITION [FOR SQLSTATE [VALUE] 'xxxxx']`
    fn declare_condition(&mut self) -> Result<ConditionDeclaration> {
        let start = self.position();
        self.advance();
        let name = self.strict_identifier()?.to_uppercase();
        self.advance();
        let mut sql_state = DEFAULT_SQL_STATE.to_string();
        if self.eat(Kind::FOR) {
            sql_state = self.sql_state(start)?;
        }
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_plain {
            let parameters = [("conditionName", quote_identifier(&name))];
            let condition = "INVALID_ERROR_CONDITION_DECLARATION.SPECIAL_CHARACTER_FOUND";
            return Err(self.error_from(start, condition, parameters));
        }
        Ok(ConditionDeclaration { name, sql_state })
    }

    /// `SQLSTATE [VALUE] 'xxxxx'`
    fn sql_state(&mut self, start: usize) -> Result<String> {
        self.expect(Kind::SQLSTATE)?;
        if self.at(Kind::VALUE) {
            self.advance();
        }
        let written = self.string_literal()?;
        let state = written.to_uppercase();
        let is_valid = state.len() == 5
            && state.chars().all(|c| c.is_ascii_alphanumeric())
            && !["00", "01", "XX"].iter().any(|class| state.starts_with(class));
        if !is_valid {
            return Err(self.error_from(start, "INVALID_SQLSTATE", [("sqlState", written)]));
        }
        Ok(state)
    }

    /// `DECLARE { EXIT | CONTINUE } HANDLER FOR conditions statement`
    fn declare_handler(&mut self, start: usize) -> Result<Handler> {
        self.advance();
        let is_exit = self.advance().kind == Kind::EXIT;
        self.advance();
        self.expect(Kind::FOR)?;
        let conditions = self.comma_list(|p| p.handled_condition(start))?;
        for (index, condition) in conditions.iter().enumerate() {
            if conditions[..index].contains(condition) {
                return Err(match condition.strip_prefix("SQLSTATE ") {
                    Some(state) => {
                        let name = "INVALID_HANDLER_DECLARATION.DUPLICATE_SQLSTATE_IN_HANDLER_DECLARATION";
                        self.error_from(start, name, [("sqlState", state)])
                    }
                    None => {
                        let name = "INVALID_HANDLER_DECLARATION.DUPLICATE_CONDITION_IN_HANDLER_DECLARATION";
                        self.error_from(start, name, [("condition", condition.as_str())])
                    }
                });
            }
        }
        let generic = conditions.iter().filter(|c| *c == "SQLEXCEPTION" || *c == "NOT FOUND").count();
        if generic > 0 && generic < conditions.len() {
            let name = "INVALID_HANDLER_DECLARATION.INVALID_CONDITION_COMBINATION";
            return Err(self.plain_error_from(start, name));
        }
        let labels = std::mem::take(&mut self.labels);
        let body = if self.at(Kind::BEGIN) {
            self.nested(|p| p.scope(None))?
        } else {
            let statement = self.script_statement()?;
            CompoundBody { statements: vec![statement], ..CompoundBody::default() }
        };
        self.labels = labels;
        Ok(Handler { is_exit, conditions, body })
    }

    fn handled_condition(&mut self, start: usize) -> Result<String> {
        match self.kind() {
            Kind::SQLSTATE if self.is_string_at(1) || self.kind_at(1) == Kind::VALUE => {
                Ok(format!("SQLSTATE {}", self.sql_state(start)?))
            }
            Kind::SQLEXCEPTION => {
                self.advance();
                Ok("SQLEXCEPTION".to_string())
            }
            Kind::NOT => {
                self.advance();
                self.expect(Kind::FOUND)?;
                Ok("NOT FOUND".to_string())
            }
            _ => Ok(self.multipart_name()?.join(".").to_uppercase()),
        }
    }

    /// A statement of a script.
    fn script_statement(&mut self) -> Result<ScriptStatement> {
        self.nested(|p| {
            let start = p.position();
            let label = p.begin_label(start)?;
            let statement = match p.kind() {
                Kind::BEGIN => ScriptStatement::Compound(p.labelled(label, false, |p, label| p.scope(label))?),
                Kind::WHILE => p.labelled(label, true, Self::while_loop)?,
                Kind::REPEAT if p.kind_at(1) != Kind::LeftParen || label.is_some() => {
                    p.labelled(label, true, Self::repeat_loop)?
                }
                Kind::LOOP => p.labelled(label, true, Self::plain_loop)?,
                Kind::FOR => p.labelled(label, true, Self::for_loop)?,
                Kind::IF => p.if_statement()?,
                Kind::CASE => p.case_statement()?,
                Kind::LEAVE => {
                    p.advance();
                    ScriptStatement::Leave(p.used_label("LEAVE", start)?)
                }
                Kind::ITERATE => {
                    p.advance();
                    ScriptStatement::Iterate(p.used_label("ITERATE", start)?)
                }
                Kind::SET => ScriptStatement::Plan(p.script_set()?),
                _ => ScriptStatement::Plan(p.statement()?),
            };
            Ok(statement)
        })
    }

    /// `label:`
    fn begin_label(&mut self, start: usize) -> Result<Option<String>> {
        let follows = matches!(self.kind_at(2), Kind::BEGIN | Kind::WHILE | Kind::REPEAT | Kind::LOOP | Kind::FOR);
        if !(self.is_identifier_at(0, true) && self.kind_at(1) == Kind::Colon && follows) {
            return Ok(None);
        }
        let label = self.strict_identifier()?.to_lowercase();
        self.advance();
        if self.labels.iter().any(|other| other.name == label) {
            let parameters = [("label", quote_identifier(&label))];
            return Err(self.error_from(start, "LABEL_OR_FOR_VARIABLE_ALREADY_EXISTS", parameters));
        }
        if ["builtin", "session", "sys", "system"].contains(&label.as_str()) {
            let parameters = [("label", quote_identifier(&label))];
            return Err(self.error_from(start, "LABEL_OR_FOR_VARIABLE_NAME_FORBIDDEN", parameters));
        }
        Ok(Some(label))
    }

    /// Runs a rule with its label known, then reads the label after END.
    fn labelled<T>(
        &mut self,
        label: Option<String>,
        is_loop: bool,
        rule: impl FnOnce(&mut Self, Option<String>) -> Result<T>,
    ) -> Result<T> {
        let start = self.position();
        let known = self.labels.len();
        if let Some(name) = label.clone() {
            self.labels.push(Label { name, is_loop });
        }
        let result = rule(self, label.clone())?;
        self.labels.truncate(known);
        if !self.is_identifier_at(0, true) {
            return Ok(result);
        }
        let end_label = self.strict_identifier()?.to_lowercase();
        match label {
            Some(label) if label == end_label => Ok(result),
            Some(label) => {
                let parameters = [("beginLabel", quote_identifier(&label)), ("endLabel", quote_identifier(&end_label))];
                Err(self.error_from(start, "LABELS_MISMATCH", parameters))
            }
            None => {
                let parameters = [("endLabel", quote_identifier(&end_label))];
                Err(self.error_from(start, "END_LABEL_WITHOUT_BEGIN_LABEL", parameters))
            }
        }
    }

    fn used_label(&mut self, statement: &str, start: usize) -> Result<String> {
        let label = self.strict_identifier()?.to_lowercase();
        let parameters = [("labelName", label.to_uppercase()), ("statementType", statement.to_string())];
        match self.labels.iter().find(|other| other.name == label) {
            None => Err(self.error_from(start, "INVALID_LABEL_USAGE.DOES_NOT_EXIST", parameters)),
            Some(target) if statement == "ITERATE" && !target.is_loop => {
                Err(self.error_from(start, "INVALID_LABEL_USAGE.ITERATE_IN_COMPOUND", parameters))
            }
            Some(_) => Ok(label),
        }
    }

    /// Statements up to one of `ends`: the body of a branch or loop.
    fn block(&mut self, ends: &[Kind]) -> Result<CompoundBody> {
        let mut body = CompoundBody::default();
        while body.statements.is_empty() || !self.at_any(ends) {
            let start = self.position();
            let statement = self.script_statement()?;
            if let Some(names) = declared_names(&statement) {
                let parameters = [("varName", names)];
                return Err(self.error_from(start, "INVALID_VARIABLE_DECLARATION.NOT_ALLOWED_IN_SCOPE", parameters));
            }
            body.statements.push(statement);
            self.expect(Kind::Semicolon)?;
        }
        Ok(body)
    }

    fn while_loop(&mut self, label: Option<String>) -> Result<ScriptStatement> {
        self.advance();
        let condition = self.expression()?;
        self.expect(Kind::DO)?;
        let body = self.block(&[Kind::END])?;
        self.expect_sequence(&[Kind::END, Kind::WHILE])?;
        Ok(ScriptStatement::While { label, condition, body })
    }

    fn repeat_loop(&mut self, label: Option<String>) -> Result<ScriptStatement> {
        self.advance();
        let body = self.block(&[Kind::UNTIL])?;
        self.expect(Kind::UNTIL)?;
        let until = self.expression()?;
        self.expect_sequence(&[Kind::END, Kind::REPEAT])?;
        Ok(ScriptStatement::Repeat { label, until, body })
    }

    fn plain_loop(&mut self, label: Option<String>) -> Result<ScriptStatement> {
        self.advance();
        let body = self.block(&[Kind::END])?;
        self.expect_sequence(&[Kind::END, Kind::LOOP])?;
        Ok(ScriptStatement::Loop { label, body })
    }

    /// `FOR [variable AS] query DO … END FOR`
    fn for_loop(&mut self, label: Option<String>) -> Result<ScriptStatement> {
        let start = self.position();
        self.advance();
        let mut variable = None;
        if self.is_identifier_at(0, true) && self.kind_at(1) == Kind::AS {
            let name = self.strict_identifier()?;
            self.advance();
            if self.labels.iter().any(|other| other.name.eq_ignore_ascii_case(&name)) {
                let parameters = [("label", quote_identifier(&name.to_lowercase()))];
                return Err(self.error_from(start, "LABEL_OR_FOR_VARIABLE_ALREADY_EXISTS", parameters));
            }
            variable = Some(name);
        }
        let query = self.query()?;
        self.expect(Kind::DO)?;
        let body = self.block(&[Kind::END])?;
        self.expect_sequence(&[Kind::END, Kind::FOR])?;
        Ok(ScriptStatement::For { label, variable, query, body })
    }

    fn if_statement(&mut self) -> Result<ScriptStatement> {
        let ends = [Kind::ELSEIF, Kind::ELSE, Kind::END];
        let mut branches: Vec<(Expr, CompoundBody)> = vec![];
        while self.eat(if branches.is_empty() { Kind::IF } else { Kind::ELSEIF }) {
            let condition = self.expression()?;
            self.expect(Kind::THEN)?;
            branches.push((condition, self.block(&ends)?));
        }
        let otherwise = if self.eat(Kind::ELSE) { Some(self.block(&[Kind::END])?) } else { None };
        self.expect_sequence(&[Kind::END, Kind::IF])?;
        Ok(ScriptStatement::If { branches, otherwise })
    }

    fn case_statement(&mut self) -> Result<ScriptStatement> {
        self.advance();
        let operand = if self.at(Kind::WHEN) { None } else { Some(self.expression()?) };
        let mut branches = vec![];
        while branches.is_empty() || self.at(Kind::WHEN) {
            self.expect(Kind::WHEN)?;
            let condition = self.expression()?;
            self.expect(Kind::THEN)?;
            branches.push((condition, self.block(&[Kind::WHEN, Kind::ELSE, Kind::END])?));
        }
        let otherwise = if self.eat(Kind::ELSE) { Some(self.block(&[Kind::END])?) } else { None };
        self.expect_sequence(&[Kind::END, Kind::CASE])?;
        Ok(ScriptStatement::Case { operand, branches, otherwise })
    }

    /// In a script SET assigns variables.
    fn script_set(&mut self) -> Result<Plan> {
        let start = self.position();
        self.advance();
        if matches!(self.kind(), Kind::VAR | Kind::VARIABLE | Kind::CATALOG) && self.is_identifier_at(1, false) {
            return Ok(Self::sql(self.set_statement(start)?));
        }
        Ok(Self::sql(self.set_variables()?))
    }
}

/// The names that a DECLARE of variables declares, quoted.
fn declared_names(statement: &ScriptStatement) -> Option<String> {
    let Some(SqlStatement::DeclareVariable { names, .. }) = sql_of(statement) else { return None };
    let quoted = names.iter().map(|name| match name {
        TableName::Parts(parts) => firesteel_plan::identifier::quoted_name(parts),
        TableName::Identifier(_) => String::new(),
    });
    Some(quoted.collect::<Vec<_>>().join(", "))
}

fn sql_of(statement: &ScriptStatement) -> Option<&SqlStatement> {
    match statement {
        ScriptStatement::Plan(Plan::Command(firesteel_plan::Command::Sql(statement))) => Some(statement.as_ref()),
        _ => None,
    }
}
