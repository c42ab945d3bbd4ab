//! Columns and constraints of DDL.
use firesteel_plan::command::{ColumnDefinition, Identity};
use firesteel_plan::statement::{ColumnPosition, ConstraintKind, NewColumn, SqlExpr, TableConstraint};
use firesteel_plan::{DataType, Expr, Result};

use crate::parser::Parser;
use crate::token::Kind;

/// Columns and constraints between the parentheses of CREATE TABLE.
#[derive(Default)]
pub(super) struct TableElements {
    pub columns: Vec<ColumnDefinition>,
    pub constraints: Vec<TableConstraint>,
}

impl Parser<'_> {
    /// An expression with its text.
    pub(super) fn sql_expression(&mut self) -> Result<SqlExpr> {
        let start = self.position();
        let expr = self.expression()?;
        Ok(SqlExpr { expr, text: self.text_from(start) })
    }

    /// `(column, …, constraint, …)`
    pub(super) fn table_elements(&mut self) -> Result<TableElements> {
        let mut elements = TableElements::default();
        self.paren_list(|p| {
            if p.at_table_constraint() {
                let constraint = p.table_constraint()?;
                elements.constraints.push(constraint);
            } else {
                let column = p.column_definition(&mut elements.constraints)?;
                elements.columns.push(column);
            }
            Ok(())
        })?;
        Ok(elements)
    }

    /// `name type [NOT NULL] [DEFAULT e] [GENERATED …] [COMMENT '…'] [constraint]`
    pub(super) fn column_definition(&mut self, constraints: &mut Vec<TableConstraint>) -> Result<ColumnDefinition> {
        let start = self.position();
        let name = self.name()?;
        let data_type = self.data_type()?;
        let mut column = ColumnDefinition {
            name,
            data_type,
            nullable: true,
            default: None,
            generated: None,
            identity: None,
            comment: None,
        };
        let mut seen: Vec<&'static str> = vec![];
        loop {
            let option = match self.kind() {
                Kind::NOT | Kind::Bang if self.kind_at(1) == Kind::NULL => "NOT NULL",
                Kind::DEFAULT => "DEFAULT",
                Kind::GENERATED => "GENERATED ALWAYS AS",
                Kind::COMMENT => "COMMENT",
                _ if self.at_column_constraint() => "",
                _ => break,
            };
            if !option.is_empty() && seen.contains(&option) {
                let parameters = [("columnName", column.name.clone()), ("optionName", option.to_string())];
                return Err(self.error_from(start, "CREATE_TABLE_COLUMN_DESCRIPTOR_DUPLICATE", parameters));
            }
            seen.push(option);
            self.column_option(option, &mut column, constraints, start)?;
        }
        Ok(column)
    }

    fn column_option(
        &mut self,
        option: &str,
        column: &mut ColumnDefinition,
        constraints: &mut Vec<TableConstraint>,
        start: usize,
    ) -> Result<()> {
        match option {
            "NOT NULL" => {
                self.capturing_not()?;
                self.advance();
                column.nullable = false;
            }
            "DEFAULT" => {
                self.advance();
                column.default = Some(self.expression()?);
            }
            "COMMENT" => column.comment = self.optional_string_after(Kind::COMMENT)?,
            "GENERATED ALWAYS AS" => self.generation(column, start)?,
            _ => constraints.push(self.column_constraint(&column.name)?),
        }
        Ok(())
    }

    /// `GENERATED ALWAYS AS (e)`, `GENERATED { ALWAYS | BY DEFAULT } AS IDENTITY [(…)]`
    fn generation(&mut self, column: &mut ColumnDefinition, start: usize) -> Result<()> {
        self.advance();
        let by_default = self.eat_sequence(&[Kind::BY, Kind::DEFAULT]);
        if !by_default {
            self.expect(Kind::ALWAYS)?;
        }
        self.expect(Kind::AS)?;
        if !by_default && self.at(Kind::LeftParen) {
            column.generated = Some(self.parenthesized(Self::expression)?);
            return Ok(());
        }
        self.expect(Kind::IDENTITY)?;
        if !matches!(column.data_type, DataType::Long | DataType::Integer) {
            let parameters = [("dataType", java_type_name(&column.data_type))];
            return Err(self.error_from(start, "IDENTITY_COLUMNS_UNSUPPORTED_DATA_TYPE", parameters));
        }
        let mut identity = Identity { allows_insert: by_default, start: 1, step: 1 };
        let (mut has_start, mut has_step) = (false, false);
        if self.eat(Kind::LeftParen) {
            while !self.eat(Kind::RightParen) {
                let is_start = self.expect_any(&[Kind::START, Kind::INCREMENT])? == Kind::START;
                self.expect(if is_start { Kind::WITH } else { Kind::BY })?;
                let value = self.signed_long()?;
                let already = if is_start { &mut has_start } else { &mut has_step };
                if std::mem::replace(already, true) {
                    let name = if is_start { "START" } else { "STEP" };
                    let parameters = [("sequenceGeneratorOption", name)];
                    let condition = "IDENTITY_COLUMNS_DUPLICATED_SEQUENCE_GENERATOR_OPTION";
                    return Err(self.error_from(start, condition, parameters));
                }
                *(if is_start { &mut identity.start } else { &mut identity.step }) = value;
            }
        }
        if identity.step == 0 {
            return Err(self.plain_error_from(start, "IDENTITY_COLUMNS_ILLEGAL_STEP"));
        }
        column.identity = Some(identity);
        Ok(())
    }

    fn signed_long(&mut self) -> Result<i64> {
        let start = self.position();
        if !(self.kind().is_number() || self.at(Kind::Minus)) {
            return Err(self.syntax_error());
        }
        match self.number()? {
            firesteel_plan::Literal::Integer(value) => Ok(i64::from(value)),
            firesteel_plan::Literal::Long(value) => Ok(value),
            _ => {
                self.rewind(start);
                Err(self.syntax_error())
            }
        }
    }

    // Constraints

    fn at_table_constraint(&self) -> bool {
        match self.kind() {
            Kind::CONSTRAINT => {
                self.is_identifier_at(1, false)
                    && matches!(self.kind_at(2), Kind::CHECK | Kind::UNIQUE | Kind::PRIMARY | Kind::FOREIGN)
            }
            Kind::CHECK | Kind::UNIQUE => self.kind_at(1) == Kind::LeftParen,
            Kind::PRIMARY | Kind::FOREIGN => self.kind_at(1) == Kind::KEY,
            _ => false,
        }
    }

    fn at_column_constraint(&self) -> bool {
        matches!(self.kind(), Kind::CONSTRAINT | Kind::CHECK | Kind::UNIQUE | Kind::PRIMARY | Kind::REFERENCES)
    }

    fn constraint_name(&mut self) -> Result<Option<String>> {
        if self.eat(Kind::CONSTRAINT) { self.name().map(Some) } else { Ok(None) }
    }

    pub(super) fn table_constraint(&mut self) -> Result<TableConstraint> {
        let start = self.position();
        let name = self.constraint_name()?;
        let body = self.position();
        let kind = match self.expect_any(&[Kind::CHECK, Kind::UNIQUE, Kind::PRIMARY, Kind::FOREIGN])? {
            Kind::CHECK => ConstraintKind::Check(self.parenthesized(Self::sql_expression)?),
            Kind::UNIQUE => ConstraintKind::Unique(self.identifier_list()?),
            Kind::PRIMARY => {
                self.expect(Kind::KEY)?;
                ConstraintKind::PrimaryKey(self.identifier_list()?)
            }
            _ => {
                self.expect(Kind::KEY)?;
                let columns = self.identifier_list()?;
                self.references(columns)?
            }
        };
        self.constraint_characteristics(name, kind, body, start)
    }

    fn column_constraint(&mut self, column: &str) -> Result<TableConstraint> {
        let start = self.position();
        let name = self.constraint_name()?;
        let body = self.position();
        let columns = vec![column.to_string()];
        let kind = match self.kind() {
            Kind::CHECK => {
                self.advance();
                ConstraintKind::Check(self.parenthesized(Self::sql_expression)?)
            }
            Kind::UNIQUE => {
                self.advance();
                ConstraintKind::Unique(columns)
            }
            Kind::PRIMARY => {
                self.advance();
                self.expect(Kind::KEY)?;
                ConstraintKind::PrimaryKey(columns)
            }
            _ => self.references(columns)?,
        };
        self.constraint_characteristics(name, kind, body, start)
    }

    fn references(&mut self, columns: Vec<String>) -> Result<ConstraintKind> {
        self.expect(Kind::REFERENCES)?;
        let table = self.multipart_name()?;
        let referenced = if self.at(Kind::LeftParen) { self.identifier_list()? } else { vec![] };
        Ok(ConstraintKind::ForeignKey { columns, table, referenced })
    }

    fn constraint_characteristics(
        &mut self,
        name: Option<String>,
        kind: ConstraintKind,
        body: usize,
        start: usize,
    ) -> Result<TableConstraint> {
        let text = self.text_from(body);
        let mut constraint = TableConstraint { name, kind, enforced: None, rely: None, text };
        let mut words: Vec<&str> = vec![];
        loop {
            let is_repeated = match self.kind() {
                Kind::ENFORCED => {
                    words.push("ENFORCED");
                    constraint.enforced.replace(true).is_some()
                }
                Kind::NOT if self.kind_at(1) == Kind::ENFORCED => {
                    self.advance();
                    words.push("NOT ENFORCED");
                    constraint.enforced.replace(false).is_some()
                }
                Kind::RELY => {
                    words.push("RELY");
                    constraint.rely.replace(true).is_some()
                }
                Kind::NORELY => {
                    words.push("NORELY");
                    constraint.rely.replace(false).is_some()
                }
                _ => break,
            };
            self.advance();
            if is_repeated {
                let parameters = [("characteristics", words.join(", "))];
                return Err(self.error_from(start, "INVALID_CONSTRAINT_CHARACTERISTICS", parameters));
            }
        }
        let kind_name = match &constraint.kind {
            ConstraintKind::Check(_) if constraint.enforced == Some(false) => Some(("NOT ENFORCED", "CHECK")),
            ConstraintKind::PrimaryKey(_) if constraint.enforced == Some(true) => Some(("ENFORCED", "PRIMARY KEY")),
            ConstraintKind::Unique(_) if constraint.enforced == Some(true) => Some(("ENFORCED", "UNIQUE")),
            ConstraintKind::ForeignKey { .. } if constraint.enforced == Some(true) => Some(("ENFORCED", "FOREIGN KEY")),
            _ => None,
        };
        if let Some((characteristic, constraint_type)) = kind_name {
            let parameters = [("characteristic", characteristic), ("constraintType", constraint_type)];
            return Err(self.error_from(start, "UNSUPPORTED_CONSTRAINT_CHARACTERISTIC", parameters));
        }
        Ok(constraint)
    }

    // Columns of ALTER TABLE

    /// `a.b type [NOT NULL] [DEFAULT e] [COMMENT '…'] [FIRST | AFTER c], …`
    pub(super) fn new_columns(&mut self) -> Result<Vec<NewColumn>> {
        self.comma_list(|p| {
            let start = p.position();
            let path = p.multipart_name()?;
            let data_type = p.data_type()?;
            p.new_column(path, data_type, start)
        })
    }

    pub(super) fn new_column(&mut self, path: Vec<String>, data_type: DataType, start: usize) -> Result<NewColumn> {
        let name = path.last().cloned().unwrap_or_default();
        let mut definition = ColumnDefinition {
            name,
            data_type,
            nullable: true,
            default: None,
            generated: None,
            identity: None,
            comment: None,
        };
        let (mut position, mut default_text) = (None, None);
        let mut seen: Vec<Kind> = vec![];
        loop {
            let kind = match self.kind() {
                Kind::NOT | Kind::Bang => Kind::NOT,
                kind @ (Kind::DEFAULT | Kind::COMMENT) => kind,
                Kind::FIRST | Kind::AFTER => Kind::FIRST,
                _ => break,
            };
            if seen.contains(&kind) {
                let option = match kind {
                    Kind::NOT => "NOT NULL",
                    Kind::DEFAULT => "DEFAULT",
                    Kind::COMMENT => "COMMENT",
                    _ => "FIRST|AFTER",
                };
                let parameters = [("columnName", path.join(".")), ("optionName", option.to_string())];
                return Err(self.error_from(start, "ALTER_TABLE_COLUMN_DESCRIPTOR_DUPLICATE", parameters));
            }
            seen.push(kind);
            match kind {
                Kind::NOT => {
                    self.capturing_not()?;
                    self.expect(Kind::NULL)?;
                    definition.nullable = false;
                }
                Kind::DEFAULT => {
                    self.advance();
                    let SqlExpr { expr, text } = self.sql_expression()?;
                    definition.default = Some(expr);
                    default_text = Some(text);
                }
                Kind::COMMENT => definition.comment = self.optional_string_after(Kind::COMMENT)?,
                _ => position = self.column_position()?,
            }
        }
        Ok(NewColumn { name: path, definition, default_text, position })
    }

    /// `FIRST` or `AFTER column`
    pub(super) fn column_position(&mut self) -> Result<Option<ColumnPosition>> {
        if self.eat(Kind::FIRST) {
            return Ok(Some(ColumnPosition::First));
        }
        if self.eat(Kind::AFTER) {
            return Ok(Some(ColumnPosition::After(self.name()?)));
        }
        Ok(None)
    }

    /// A column name as an expression.
    pub(super) fn column_expression(&mut self) -> Result<Expr> {
        self.attribute()
    }
}

/// The name of a type as Spark's messages about identity columns show it: `StringType`.
fn java_type_name(data_type: &DataType) -> String {
    let name = data_type.type_name();
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain("Type".chars()).collect()
}
