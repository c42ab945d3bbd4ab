//! Databases (namespaces) and catalogs.
use firesteel_plan::relation::Options;
use firesteel_plan::statement::{AlterNamespace, SqlStatement};
use firesteel_plan::{ExprKind, Literal, Result, TableName};

use super::clauses::Once;
use crate::parser::Parser;
use crate::token::Kind;

pub(super) const NAMESPACE: &[Kind] = &[Kind::DATABASE, Kind::NAMESPACE, Kind::SCHEMA];
pub(super) const NAMESPACES: &[Kind] = &[Kind::DATABASES, Kind::NAMESPACES, Kind::SCHEMAS];

impl Parser<'_> {
    /// After USE.
    pub(super) fn use_statement(&mut self) -> Result<SqlStatement> {
        if self.at_any(NAMESPACE) && self.is_identifier_at(1, false) {
            self.advance();
        }
        Ok(SqlStatement::UseNamespace { name: self.identifier_reference()? })
    }

    /// After SET CATALOG.
    pub(super) fn set_catalog(&mut self) -> Result<SqlStatement> {
        let name = self.expression()?;
        let name = match name.kind.as_ref() {
            ExprKind::Attribute { name: parts, .. } if parts.len() == 1 => TableName::Parts(parts.clone()),
            ExprKind::Literal(Literal::String(text)) => TableName::Parts(vec![text.clone()]),
            ExprKind::IdentifierClause(expression) => TableName::Identifier(expression.clone()),
            _ => TableName::Identifier(name),
        };
        Ok(SqlStatement::SetCatalog { name })
    }

    /// After CREATE DATABASE.
    pub(super) fn create_namespace(&mut self, start: usize) -> Result<SqlStatement> {
        let if_not_exists = self.if_not_exists()?;
        let name = self.identifier_reference()?;
        let mut once = Once::new(start);
        let (mut comment, mut location, mut collation, mut properties) = (None, None, None, Options::new());
        loop {
            match self.kind() {
                Kind::COMMENT => {
                    once.clause(self, "COMMENT")?;
                    comment = self.optional_string_after(Kind::COMMENT)?;
                }
                Kind::LOCATION => {
                    once.clause(self, "LOCATION")?;
                    location = self.optional_string_after(Kind::LOCATION)?;
                }
                Kind::DEFAULT => {
                    once.clause(self, "DEFAULT COLLATION")?;
                    collation = self.default_collation()?;
                }
                Kind::WITH => {
                    once.clause(self, "WITH PROPERTIES")?;
                    self.advance();
                    self.expect_any(&[Kind::DBPROPERTIES, Kind::PROPERTIES])?;
                    properties = self.property_values()?;
                }
                _ => break,
            }
        }
        Ok(SqlStatement::CreateNamespace { name, if_not_exists, comment, location, properties, collation })
    }

    /// After ALTER DATABASE.
    pub(super) fn alter_namespace(&mut self) -> Result<SqlStatement> {
        let name = self.identifier_reference()?;
        let action = match self.kind() {
            Kind::DEFAULT => AlterNamespace::SetCollation(self.default_collation()?.unwrap_or_default()),
            Kind::UNSET => {
                self.advance();
                self.expect_any(&[Kind::DBPROPERTIES, Kind::PROPERTIES])?;
                AlterNamespace::UnsetProperties(self.property_keys()?)
            }
            _ => {
                self.expect(Kind::SET)?;
                if self.eat(Kind::LOCATION) {
                    AlterNamespace::SetLocation(self.string_literal()?)
                } else {
                    self.expect_any(&[Kind::DBPROPERTIES, Kind::PROPERTIES])?;
                    AlterNamespace::SetProperties(self.property_values()?)
                }
            }
        };
        Ok(SqlStatement::AlterNamespace { name, action })
    }

    /// After DROP DATABASE.
    pub(super) fn drop_namespace(&mut self) -> Result<SqlStatement> {
        let if_exists = self.if_exists();
        let name = self.identifier_reference()?;
        let cascade = self.eat_any(&[Kind::RESTRICT, Kind::CASCADE]) == Some(Kind::CASCADE);
        Ok(SqlStatement::DropNamespace { name, if_exists, cascade })
    }
}
