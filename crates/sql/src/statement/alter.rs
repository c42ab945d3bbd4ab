//! ALTER TABLE and ALTER VIEW.
use firesteel_plan::statement::{AlterTable, ColumnChange, PartitionPredicate, PartitionValues, SqlStatement};
use firesteel_plan::{Result, TableName};

use crate::parser::Parser;
use crate::token::Kind;

/// Words after `ALTER TABLE t` of Hive statements that Spark knows and refuses.
static HIVE_ACTIONS: &[&[Kind]] = &[
    &[Kind::NOT, Kind::CLUSTERED],
    &[Kind::CLUSTERED, Kind::BY],
    &[Kind::NOT, Kind::SORTED],
    &[Kind::SKEWED, Kind::BY],
    &[Kind::NOT, Kind::SKEWED],
    &[Kind::NOT, Kind::STORED, Kind::AS, Kind::DIRECTORIES],
    &[Kind::SET, Kind::SKEWED, Kind::LOCATION],
    &[Kind::EXCHANGE, Kind::PARTITION],
    &[Kind::ARCHIVE, Kind::PARTITION],
    &[Kind::UNARCHIVE, Kind::PARTITION],
    &[Kind::TOUCH],
    &[Kind::COMPACT],
    &[Kind::CONCATENATE],
    &[Kind::SET, Kind::FILEFORMAT],
];

impl Parser<'_> {
    /// After ALTER TABLE.
    pub(super) fn alter_table(&mut self, start: usize) -> Result<SqlStatement> {
        let name = self.identifier_reference()?;
        if let Some(words) = HIVE_ACTIONS.iter().find(|words| self.at_sequence(words)) {
            return Err(self.refused_action(words, start));
        }
        let partition_start = self.position();
        let partition = self.optional_partition_spec()?;
        if let Some(partition) = partition {
            return self.alter_partition(name, partition, partition_start, start);
        }
        let action = match self.kind() {
            Kind::ADD => self.alter_add()?,
            Kind::DROP => self.alter_drop()?,
            Kind::RENAME => self.alter_rename()?,
            Kind::SET => self.alter_set(None)?,
            Kind::UNSET => self.unset_properties()?,
            Kind::ALTER | Kind::CHANGE => self.alter_columns(start)?,
            Kind::REPLACE => self.replace_columns()?,
            Kind::RECOVER => {
                self.advance();
                self.expect(Kind::PARTITIONS)?;
                AlterTable::RecoverPartitions
            }
            Kind::CLUSTER => self.alter_clustering()?,
            Kind::DEFAULT => AlterTable::SetCollation(self.required_collation()?),
            _ => return Err(self.syntax_error()),
        };
        Ok(SqlStatement::AlterTable { name, if_exists: false, action })
    }

    fn refused_action(&self, words: &[Kind], start: usize) -> firesteel_plan::SparkError {
        let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        self.not_allowed(start, &format!("ALTER TABLE {}", words.join(" ")))
    }

    fn required_collation(&mut self) -> Result<String> {
        match self.default_collation()? {
            Some(collation) => Ok(collation),
            None => Err(self.syntax_error()),
        }
    }

    /// `ALTER TABLE t PARTITION (…) …`
    fn alter_partition(
        &mut self,
        name: TableName,
        partition: PartitionValues,
        partition_start: usize,
        start: usize,
    ) -> Result<SqlStatement> {
        if let Some(words) = HIVE_ACTIONS.iter().find(|words| self.at_sequence(words)) {
            return Err(self.refused_action(words, start));
        }
        self.check_full_partition(&partition, partition_start)?;
        let action = match self.kind() {
            Kind::RENAME => {
                self.advance();
                self.expect(Kind::TO)?;
                let to = self.full_partition_spec()?;
                AlterTable::RenamePartition { from: partition, to }
            }
            Kind::SET => self.alter_set(Some(partition))?,
            Kind::CHANGE => {
                return Err(self.not_allowed(start, "ALTER TABLE ... PARTITION ... CHANGE COLUMN"));
            }
            Kind::REPLACE => {
                return Err(self.not_allowed(start, "ALTER TABLE ... PARTITION ... REPLACE COLUMNS"));
            }
            _ => return Err(self.syntax_error()),
        };
        Ok(SqlStatement::AlterTable { name, if_exists: false, action })
    }

    fn alter_add(&mut self) -> Result<AlterTable> {
        self.advance();
        if self.eat_any(&[Kind::COLUMN, Kind::COLUMNS]).is_some() {
            let columns =
                if self.at(Kind::LeftParen) { self.parenthesized(Self::new_columns)? } else { self.new_columns()? };
            return Ok(AlterTable::AddColumns(columns));
        }
        if self.at_any(&[Kind::CONSTRAINT, Kind::CHECK, Kind::UNIQUE, Kind::PRIMARY, Kind::FOREIGN]) {
            return self.table_constraint().map(AlterTable::AddConstraint);
        }
        self.add_partitions()
    }

    fn add_partitions(&mut self) -> Result<AlterTable> {
        let if_not_exists = self.if_not_exists()?;
        let mut partitions = vec![];
        while partitions.is_empty() || self.at(Kind::PARTITION) {
            let spec = self.full_partition_spec()?;
            partitions.push((spec, self.optional_string_after(Kind::LOCATION)?));
        }
        Ok(AlterTable::AddPartitions { partitions, if_not_exists })
    }

    fn alter_drop(&mut self) -> Result<AlterTable> {
        self.advance();
        if self.eat_any(&[Kind::COLUMN, Kind::COLUMNS]).is_some() {
            let if_exists = self.if_exists();
            let columns = if self.at(Kind::LeftParen) {
                self.parenthesized(Self::multipart_names)?
            } else {
                self.multipart_names()?
            };
            return Ok(AlterTable::DropColumns { columns, if_exists });
        }
        if self.eat(Kind::CONSTRAINT) {
            let if_exists = self.if_exists();
            let name = self.identifier()?;
            let cascade = self.eat_any(&[Kind::RESTRICT, Kind::CASCADE]) == Some(Kind::CASCADE);
            return Ok(AlterTable::DropConstraint { name, if_exists, cascade });
        }
        self.drop_partitions()
    }

    fn drop_partitions(&mut self) -> Result<AlterTable> {
        let if_exists = self.if_exists();
        let partitions = self.comma_list(Self::full_partition_spec)?;
        let purge = self.eat(Kind::PURGE);
        let predicates = partitions.into_iter().map(|partition| {
            let values = partition.into_iter().filter_map(|(column, value)| value.map(|value| (column, value)));
            values.map(|(column, value)| PartitionPredicate { column, operator: "=".to_string(), value }).collect()
        });
        Ok(AlterTable::DropPartitions { partitions: predicates.collect(), if_exists, purge })
    }

    fn alter_rename(&mut self) -> Result<AlterTable> {
        self.advance();
        if self.eat(Kind::COLUMN) {
            let from = self.multipart_name()?;
            self.expect(Kind::TO)?;
            return Ok(AlterTable::RenameColumn { from, to: self.name()? });
        }
        self.expect(Kind::TO)?;
        Ok(AlterTable::Rename(TableName::Parts(self.multipart_name()?)))
    }

    fn alter_set(&mut self, partition: Option<PartitionValues>) -> Result<AlterTable> {
        self.advance();
        match self.kind() {
            Kind::TBLPROPERTIES if partition.is_none() => {
                self.advance();
                Ok(AlterTable::SetProperties(self.property_values()?))
            }
            Kind::LOCATION => {
                self.advance();
                Ok(AlterTable::SetLocation { partition, location: self.string_literal()? })
            }
            Kind::SERDE => {
                self.advance();
                let serde = Some(self.string_literal()?);
                let has_properties = self.eat_sequence(&[Kind::WITH, Kind::SERDEPROPERTIES]);
                let properties = if has_properties { self.property_values()? } else { Default::default() };
                Ok(AlterTable::SetSerde { partition, serde, properties })
            }
            _ => {
                self.expect(Kind::SERDEPROPERTIES)?;
                Ok(AlterTable::SetSerde { partition, serde: None, properties: self.property_values()? })
            }
        }
    }

    fn unset_properties(&mut self) -> Result<AlterTable> {
        self.advance();
        self.expect(Kind::TBLPROPERTIES)?;
        let if_exists = self.if_exists();
        Ok(AlterTable::UnsetProperties { keys: self.property_keys()?, if_exists })
    }

    fn replace_columns(&mut self) -> Result<AlterTable> {
        self.advance();
        self.expect(Kind::COLUMNS)?;
        let start = self.position();
        let columns = self.parenthesized(Self::new_columns)?;
        for column in &columns {
            if column.name.len() > 1 {
                let name = firesteel_plan::identifier::quoted_name(&column.name);
                return Err(self.error_from(start, "UNSUPPORTED_FEATURE.REPLACE_NESTED_COLUMN", [("colName", name)]));
            }
        }
        Ok(AlterTable::ReplaceColumns(columns))
    }

    fn alter_clustering(&mut self) -> Result<AlterTable> {
        self.advance();
        self.expect(Kind::BY)?;
        let columns = if self.eat(Kind::NONE) { None } else { Some(self.paren_list(Self::multipart_name)?) };
        Ok(AlterTable::ClusterBy(columns))
    }

    /// `ALTER | CHANGE [COLUMN] a action, b action`; Hive's `CHANGE [COLUMN] a new_a TYPE …`
    fn alter_columns(&mut self, start: usize) -> Result<AlterTable> {
        let is_change = self.advance().kind == Kind::CHANGE;
        if self.at(Kind::COLUMN) {
            self.advance();
        }
        if is_change && let Some(change) = self.hive_change(start)? {
            return Ok(change);
        }
        let changes = self.comma_list(|p| p.column_change(start))?;
        Ok(AlterTable::AlterColumns(changes))
    }

    /// `a new_a TYPE …`; nothing where an action word follows the name.
    fn hive_change(&mut self, start: usize) -> Result<Option<AlterTable>> {
        let before = self.position();
        let column = self.multipart_name()?;
        let is_action = match self.kind() {
            // More than a type after it: `type` is the column's new name.
            Kind::TYPE => {
                let word = self.position();
                self.advance();
                let is_whole =
                    self.data_type().is_ok() && matches!(self.kind(), Kind::EndOfInput | Kind::Comma | Kind::Semicolon);
                self.rewind(word);
                is_whole
            }
            Kind::COMMENT => self.is_string_at(1),
            Kind::FIRST => matches!(self.kind_at(1), Kind::EndOfInput | Kind::Comma | Kind::Semicolon),
            Kind::AFTER | Kind::SET | Kind::DROP => true,
            _ => !self.at_identifier(),
        };
        if is_action {
            self.rewind(before);
            return Ok(None);
        }
        let definition_start = self.position();
        let new_name = self.name()?;
        let data_type = self.data_type()?;
        let definition = self.new_column(vec![new_name.clone()], data_type, definition_start)?;
        let is_renamed = column.last().is_some_and(|last| !last.eq_ignore_ascii_case(&new_name));
        let unsupported = |p: &Self, operation: &str, message: &str| {
            let parameters = [
                ("operation", operation.to_string()),
                ("command", "ALTER COLUMN".to_string()),
                ("msg", message.to_string()),
            ];
            p.error_from(start, "_LEGACY_ERROR_TEMP_0034", parameters)
        };
        if is_renamed {
            return Err(unsupported(self, "Renaming column", ", please run RENAME COLUMN instead"));
        }
        if !definition.definition.nullable {
            return Err(unsupported(self, "NOT NULL", ", please run ALTER COLUMN ... SET/DROP NOT NULL instead"));
        }
        Ok(Some(AlterTable::ChangeColumn { column, definition }))
    }

    fn column_change(&mut self, start: usize) -> Result<ColumnChange> {
        let mut change = ColumnChange {
            column: self.multipart_name()?,
            data_type: None,
            nullable: None,
            comment: None,
            position: None,
            set_default: None,
            drop_default: false,
        };
        match self.kind() {
            Kind::TYPE => {
                self.advance();
                change.data_type = Some(self.data_type()?);
            }
            Kind::COMMENT => change.comment = self.optional_string_after(Kind::COMMENT)?,
            Kind::FIRST | Kind::AFTER => change.position = self.column_position()?,
            Kind::SET if self.kind_at(1) == Kind::DEFAULT => {
                self.advance_by(2);
                change.set_default = Some(self.sql_expression()?);
            }
            Kind::DROP if self.kind_at(1) == Kind::DEFAULT => {
                self.advance_by(2);
                change.drop_default = true;
            }
            Kind::SET | Kind::DROP => {
                change.nullable = Some(self.advance().kind == Kind::DROP);
                self.capturing_not()?;
                self.expect(Kind::NULL)?;
            }
            _ => {
                let message = "ALTER TABLE table ALTER COLUMN requires a TYPE, a SET/DROP, a COMMENT, or a FIRST/AFTER";
                return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
            }
        }
        Ok(change)
    }

    /// After ALTER VIEW.
    pub(super) fn alter_view(&mut self, start: usize) -> Result<SqlStatement> {
        let name = self.identifier_reference()?;
        let action = match self.kind() {
            Kind::RENAME => self.alter_rename()?,
            Kind::SET => {
                if self.kind_at(1) != Kind::TBLPROPERTIES {
                    self.advance();
                    return Err(self.syntax_error());
                }
                self.alter_set(None)?
            }
            Kind::UNSET => self.unset_properties()?,
            Kind::ADD => {
                self.advance();
                self.add_partitions()?;
                return Err(self.not_allowed(start, "ALTER VIEW ... ADD PARTITION"));
            }
            Kind::DROP => {
                self.advance();
                self.drop_partitions()?;
                return Err(self.not_allowed(start, "ALTER VIEW ... DROP PARTITION"));
            }
            Kind::WITH if self.kind_at(1) == Kind::SCHEMA => {
                let binding = self.schema_binding()?;
                return Ok(SqlStatement::AlterViewSchemaBinding { name, binding });
            }
            _ => {
                self.eat(Kind::AS);
                let (query, text) = self.query_with_text("the query of ALTER VIEW", start)?;
                return Ok(SqlStatement::AlterViewAs { name, query, text });
            }
        };
        Ok(SqlStatement::AlterView { name, action })
    }
}
