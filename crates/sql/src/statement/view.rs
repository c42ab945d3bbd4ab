//! Views.
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::relation::Options;
use firesteel_plan::statement::{CreateView, SqlStatement};
use firesteel_plan::{Relation, Result, TableName};

use super::clauses::Once;
use crate::parser::Parser;
use crate::token::Kind;

/// What came before VIEW.
#[derive(Clone, Copy)]
pub(super) struct ViewModifiers {
    pub replace: bool,
    pub is_global: bool,
    pub is_temporary: bool,
}

impl Parser<'_> {
    /// A query with its text. Parameter markers would have no value later, so they are refused.
    pub(super) fn query_with_text(&mut self, statement: &str, start: usize) -> Result<(Relation, String)> {
        let query_start = self.position();
        let query = self.query()?;
        if self.has_parameter_marker(query_start) {
            let condition = "UNSUPPORTED_FEATURE.PARAMETER_MARKER_IN_UNEXPECTED_STATEMENT";
            return Err(self.error_from(start, condition, [("statement", statement)]));
        }
        Ok((query, self.text_from(query_start)))
    }

    /// After CREATE … VIEW.
    pub(super) fn create_view(&mut self, modifiers: ViewModifiers, start: usize) -> Result<SqlStatement> {
        let ViewModifiers { replace, is_global, is_temporary } = modifiers;
        let if_not_exists = self.if_not_exists()?;
        let name = self.identifier_reference()?;
        if is_temporary && self.at_temp_view_using() {
            return self.temp_view_using(name, modifiers);
        }
        let columns = if self.at(Kind::LeftParen) {
            self.paren_list(|p| {
                let column = p.identifier()?;
                Ok((column, p.optional_string_after(Kind::COMMENT)?))
            })?
        } else {
            vec![]
        };
        let mut view = CreateView {
            name,
            is_temporary,
            is_global,
            replace,
            if_not_exists,
            columns,
            comment: None,
            properties: Options::new(),
            collation: None,
            schema_binding: None,
            query: Relation::new(firesteel_plan::RelationKind::OneRow),
            text: String::new(),
        };
        self.view_clauses(&mut view, start)?;
        self.expect(Kind::AS)?;
        if self.at(Kind::DollarQuotedString) {
            return Err(
                firesteel_plan::SparkError::unsupported("metric views").with_origin(self.origin_from(start).as_ref())
            );
        }
        (view.query, view.text) = self.query_with_text("the query of CREATE VIEW", start)?;
        self.check_view(&view, start)?;
        Ok(SqlStatement::CreateView(Box::new(view)))
    }

    fn view_clauses(&mut self, view: &mut CreateView, start: usize) -> Result<()> {
        let mut once = Once::new(start);
        loop {
            match self.kind() {
                Kind::COMMENT => {
                    once.clause(self, "COMMENT")?;
                    view.comment = self.optional_string_after(Kind::COMMENT)?;
                }
                Kind::WITH if self.kind_at(1) == Kind::SCHEMA => {
                    once.clause(self, "WITH SCHEMA")?;
                    view.schema_binding = Some(self.schema_binding()?);
                }
                Kind::WITH if self.kind_at(1) == Kind::METRICS => self.advance_by(2),
                Kind::LANGUAGE => self.advance_by(2),
                Kind::DEFAULT => {
                    once.clause(self, "DEFAULT COLLATION")?;
                    view.collation = self.default_collation()?;
                    if view.collation.is_none() {
                        return Err(self.syntax_error());
                    }
                }
                Kind::PARTITIONED => {
                    once.clause(self, "PARTITIONED ON")?;
                    self.advance();
                    self.expect(Kind::ON)?;
                    self.identifier_list()?;
                    return Err(self.not_allowed(start, "CREATE VIEW ... PARTITIONED ON"));
                }
                Kind::TBLPROPERTIES => {
                    once.clause(self, "TBLPROPERTIES")?;
                    self.advance();
                    view.properties = self.property_values()?;
                    if view.is_temporary {
                        let message = "TBLPROPERTIES can't coexist with CREATE TEMPORARY VIEW";
                        return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    fn check_view(&self, view: &CreateView, start: usize) -> Result<()> {
        let name = match &view.name {
            TableName::Parts(parts) => parts.as_slice(),
            TableName::Identifier(_) => &[],
        };
        if view.replace && view.if_not_exists {
            let parameters = [("viewName", firesteel_plan::identifier::qualified_name(name))];
            return Err(self.error_from(start, "CREATE_VIEW_WITH_IF_NOT_EXISTS_AND_REPLACE", parameters));
        }
        if !view.is_temporary {
            return Ok(());
        }
        if view.if_not_exists {
            return Err(self.plain_error_from(start, "_LEGACY_ERROR_TEMP_0053"));
        }
        if view.schema_binding.is_some() {
            return Err(self.plain_error_from(start, "UNSUPPORTED_FEATURE.TEMPORARY_VIEW_WITH_SCHEMA_BINDING_MODE"));
        }
        self.refuse_qualifier("VIEW", name, start)
    }

    /// Temporary objects have no qualifier.
    pub(super) fn refuse_qualifier(&self, object_type: &str, name: &[String], start: usize) -> Result<()> {
        match name.split_last() {
            Some((last, qualifier)) if !qualifier.is_empty() => {
                let parameters = [
                    ("objectType", object_type.to_string()),
                    ("objectName", quoted_name(&[last])),
                    ("qualifier", quoted_name(qualifier)),
                ];
                Err(self.error_from(start, "INVALID_TEMP_OBJ_QUALIFIER", parameters))
            }
            _ => Ok(()),
        }
    }

    /// `WITH SCHEMA { BINDING | COMPENSATION | [TYPE] EVOLUTION }`
    pub(super) fn schema_binding(&mut self) -> Result<String> {
        self.expect_sequence(&[Kind::WITH, Kind::SCHEMA])?;
        if self.eat_sequence(&[Kind::TYPE, Kind::EVOLUTION]) {
            return Ok("TYPE EVOLUTION".to_string());
        }
        let kind = self.expect_any(&[Kind::BINDING, Kind::COMPENSATION, Kind::EVOLUTION])?;
        Ok(format!("{kind:?}"))
    }

    fn at_temp_view_using(&self) -> bool {
        if self.at(Kind::USING) {
            return true;
        }
        self.at(Kind::LeftParen) && self.closing_paren(0).is_some_and(|end| self.kind_at(end + 1) == Kind::USING)
    }

    fn temp_view_using(&mut self, name: TableName, modifiers: ViewModifiers) -> Result<SqlStatement> {
        let TableName::Parts(name) = name else { return Err(self.syntax_error()) };
        let schema = if self.at(Kind::LeftParen) {
            let mut constraints = vec![];
            Some(self.paren_list(|p| p.column_definition(&mut constraints))?)
        } else {
            None
        };
        self.expect(Kind::USING)?;
        let provider = self.multipart_name()?.join(".");
        let options = if self.eat(Kind::OPTIONS) { self.property_values()? } else { Options::new() };
        let ViewModifiers { replace, is_global, .. } = modifiers;
        Ok(SqlStatement::CreateTempViewUsing { name, is_global, replace, schema, provider, options })
    }
}
