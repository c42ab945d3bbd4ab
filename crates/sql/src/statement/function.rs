//! Functions.
use firesteel_plan::statement::{
    CreateFunction, FunctionBody, FunctionParameter, FunctionReturnBody, FunctionReturns, SqlFunctionDefinition,
    SqlStatement,
};
use firesteel_plan::{Result, TableName};

use super::clauses::Once;
use crate::parser::Parser;
use crate::token::Kind;

/// What RETURNS and the characteristics say.
#[derive(Default)]
struct Characteristics {
    language: Option<String>,
    deterministic: Option<bool>,
    data_access: Option<String>,
    comment: Option<String>,
}

impl Parser<'_> {
    /// After CREATE [OR REPLACE] [TEMPORARY] FUNCTION.
    pub(super) fn create_function(&mut self, replace: bool, is_temporary: bool, start: usize) -> Result<SqlStatement> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.identifier_reference()?;
        let body = if self.eat(Kind::AS) {
            let class_name = self.string_literal()?;
            let resources = if self.eat(Kind::USING) { self.comma_list(|p| p.resource(start))? } else { vec![] };
            FunctionBody::Class { class_name, resources }
        } else {
            FunctionBody::Sql(self.sql_function(start)?)
        };
        if replace && if_not_exists {
            let condition = "INVALID_SQL_SYNTAX.CREATE_ROUTINE_WITH_IF_NOT_EXISTS_AND_REPLACE";
            return Err(self.plain_error_from(start, condition));
        }
        if is_temporary {
            if if_not_exists {
                return Err(self.plain_error_from(start, "INVALID_SQL_SYNTAX.CREATE_TEMP_FUNC_WITH_IF_NOT_EXISTS"));
            }
            if let TableName::Parts(parts) = &name {
                self.refuse_qualifier("FUNCTION", parts, start)?;
            }
        }
        Ok(SqlStatement::CreateFunction(Box::new(CreateFunction { name, is_temporary, replace, if_not_exists, body })))
    }

    /// `JAR 'uri'`
    fn resource(&mut self, start: usize) -> Result<(String, String)> {
        let kind = self.identifier()?.to_lowercase();
        let uri = self.string_literal()?;
        if !matches!(kind.as_str(), "jar" | "file" | "archive") {
            let message = format!("CREATE FUNCTION with resource type '{kind}'");
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
        }
        Ok((kind, uri))
    }

    fn sql_function(&mut self, start: usize) -> Result<SqlFunctionDefinition> {
        self.expect(Kind::LeftParen)?;
        let parameters = if self.at(Kind::RightParen) { vec![] } else { self.comma_list(|p| p.parameter(start))? };
        self.expect(Kind::RightParen)?;
        let returns = self.function_returns()?;
        let characteristics = self.characteristics(start)?;
        self.expect(Kind::RETURN)?;
        let body_start = self.position();
        let query = if self.begins_query_at(0) { self.attempt(Self::whole_query)? } else { None };
        let body = match query {
            Some(query) => FunctionReturnBody::Query(query),
            None => FunctionReturnBody::Expression(self.expression()?),
        };
        Ok(SqlFunctionDefinition {
            parameters,
            returns,
            language: characteristics.language.unwrap_or_else(|| "SQL".to_string()),
            deterministic: characteristics.deterministic,
            data_access: characteristics.data_access,
            comment: characteristics.comment,
            body_text: self.text_from(body_start),
            body,
        })
    }

    /// A query up to the end of the statement: `(SELECT 1) + 1` is none.
    fn whole_query(&mut self) -> Result<firesteel_plan::Relation> {
        let query = self.query()?;
        let ends = matches!(self.kind(), Kind::EndOfInput | Kind::Semicolon);
        if ends { Ok(query) } else { Err(self.syntax_error()) }
    }

    /// `name type [DEFAULT e] [COMMENT '…']`
    fn parameter(&mut self, start: usize) -> Result<FunctionParameter> {
        let name_start = self.position();
        let mut constraints = vec![];
        let column = self.column_definition(&mut constraints)?;
        if column.generated.is_some() || column.identity.is_some() {
            let condition = "INVALID_SQL_SYNTAX.CREATE_FUNC_WITH_GENERATED_COLUMNS_AS_PARAMETERS";
            return Err(self.plain_error_from(start, condition));
        }
        if !constraints.is_empty() {
            return Err(self.plain_error_from(start, "INVALID_SQL_SYNTAX.CREATE_FUNC_WITH_COLUMN_CONSTRAINTS"));
        }
        if !column.nullable {
            let parameters = [("input", self.text_from(name_start))];
            return Err(self.error_from(start, "USER_DEFINED_FUNCTIONS.NOT_NULL_ON_FUNCTION_PARAMETERS", parameters));
        }
        let default = column.default.map(|expr| {
            let text = expr.origin.as_ref().map(|origin| origin.fragment()).unwrap_or_default();
            firesteel_plan::statement::SqlExpr { expr, text }
        });
        Ok(FunctionParameter {
            name: column.name,
            type_text: column.data_type.sql(),
            data_type: column.data_type,
            default,
            comment: column.comment,
        })
    }

    /// `RETURNS type`, `RETURNS TABLE [(columns)]`
    fn function_returns(&mut self) -> Result<FunctionReturns> {
        if !self.eat(Kind::RETURNS) {
            return Ok(FunctionReturns::Inferred);
        }
        if !self.at(Kind::TABLE) {
            return self.data_type().map(FunctionReturns::Type);
        }
        self.advance();
        if !self.at(Kind::LeftParen) {
            return Ok(FunctionReturns::InferredTable);
        }
        let columns = self.paren_list(|p| {
            let name = p.name()?;
            let data_type = p.data_type()?;
            if p.eat_capturing_not()? {
                p.expect(Kind::NULL)?;
                let parameters = [("input", name)];
                let condition = "USER_DEFINED_FUNCTIONS.NOT_NULL_ON_FUNCTION_PARAMETERS";
                return Err(p.error_from(p.position(), condition, parameters));
            }
            let comment = p.optional_string_after(Kind::COMMENT)?;
            Ok(FunctionParameter { name, type_text: data_type.sql(), data_type, default: None, comment })
        })?;
        Ok(FunctionReturns::Table(columns))
    }

    fn characteristics(&mut self, start: usize) -> Result<Characteristics> {
        let mut found = Characteristics::default();
        let mut once = Once::new(start);
        loop {
            match self.kind() {
                Kind::LANGUAGE => {
                    once.clause(self, "LANGUAGE")?;
                    self.advance();
                    let language = self.advance();
                    let language = self.token_text(language).to_uppercase();
                    if language != "SQL" {
                        let message = format!("Unsupported language for user defined functions: {language}");
                        return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
                    }
                    found.language = Some(language);
                }
                Kind::SPECIFIC => {
                    once.clause(self, "SPECIFIC")?;
                    self.advance();
                    self.name()?;
                }
                Kind::DETERMINISTIC => {
                    once.clause(self, "DETERMINISTIC")?;
                    self.advance();
                    found.deterministic = Some(true);
                }
                Kind::NOT | Kind::Bang if self.kind_at(1) == Kind::DETERMINISTIC => {
                    once.clause(self, "DETERMINISTIC")?;
                    self.capturing_not()?;
                    self.advance();
                    found.deterministic = Some(false);
                }
                Kind::NO | Kind::CONTAINS | Kind::READS | Kind::MODIFIES => {
                    once.clause(self, "SQL DATA ACCESS")?;
                    found.data_access = Some(self.data_access(start)?);
                }
                Kind::RETURNS | Kind::CALLED => {
                    once.clause(self, "NULL CALL")?;
                    self.null_call(start)?;
                }
                Kind::COMMENT => {
                    once.clause(self, "COMMENT")?;
                    found.comment = self.optional_string_after(Kind::COMMENT)?;
                }
                Kind::DEFAULT => {
                    once.clause(self, "DEFAULT COLLATION")?;
                    if self.default_collation()?.is_none() {
                        return Err(self.syntax_error());
                    }
                }
                Kind::SQL => {
                    once.clause(self, "SQL SECURITY RIGHTS")?;
                    self.advance();
                    self.expect(Kind::SECURITY)?;
                    if self.expect_any(&[Kind::INVOKER, Kind::DEFINER])? == Kind::INVOKER {
                        let message = "SQL function with SQL SECURITY INVOKER is not supported";
                        return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
                    }
                }
                _ => return Ok(found),
            }
        }
    }

    /// `NO SQL`, `CONTAINS SQL`, `READS SQL DATA`
    fn data_access(&mut self, start: usize) -> Result<String> {
        let word = self.advance().kind;
        self.expect(Kind::SQL)?;
        if matches!(word, Kind::READS | Kind::MODIFIES) {
            self.expect(Kind::DATA)?;
        }
        let text = match word {
            Kind::CONTAINS => return Ok("CONTAINS SQL".to_string()),
            Kind::READS => return Ok("READS SQL DATA".to_string()),
            Kind::NO => "NO SQL",
            _ => "MODIFIES SQL DATA",
        };
        let message = format!("SQL function with {text} is not supported");
        Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]))
    }

    /// `CALLED ON NULL INPUT`; the other kind is refused.
    fn null_call(&mut self, start: usize) -> Result<()> {
        let is_called = self.advance().kind == Kind::CALLED;
        if !is_called {
            self.expect(Kind::NULL)?;
        }
        self.expect_sequence(&[Kind::ON, Kind::NULL, Kind::INPUT])?;
        if is_called {
            return Ok(());
        }
        let message = "SQL function with RETURNS NULL ON NULL INPUT is not supported";
        Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]))
    }

    /// After DROP [TEMPORARY] FUNCTION.
    pub(super) fn drop_function(&mut self, is_temporary: bool, start: usize) -> Result<SqlStatement> {
        let if_exists = self.if_exists();
        let name = self.identifier_reference()?;
        if let (true, TableName::Parts(parts)) = (is_temporary, &name) {
            self.refuse_qualifier("FUNCTION", parts, start)?;
        }
        Ok(SqlStatement::DropFunction { name, if_exists, is_temporary })
    }
}
