//! INSERT, UPDATE, DELETE, MERGE.
use firesteel_plan::command::{MergeAction, MergeActionKind, MergeIntoTable};
use firesteel_plan::relation::{Options, WithQuery};
use firesteel_plan::statement::{Insert, InsertDirectory, SqlStatement};
use firesteel_plan::{Expr, ExprKind, Relation, RelationKind, Result, TableName};

use super::clauses::is_default;
use crate::parser::Parser;
use crate::query::table;
use crate::token::Kind;

/// Where INSERT puts rows: an [`Insert`] or [`InsertDirectory`] whose query is still to come.
enum InsertTarget {
    Table(Box<Insert>),
    Directory(Box<InsertDirectory>),
}

impl Parser<'_> {
    /// INSERT, UPDATE, DELETE, MERGE or FROM … INSERT, after its WITH.
    pub(super) fn dml_statement(&mut self, with: Option<WithQuery>, start: usize) -> Result<SqlStatement> {
        match self.kind() {
            Kind::INSERT => self.insert_statement(with, start),
            Kind::FROM => self.multi_insert(with, start),
            Kind::DELETE => self.delete(with, start),
            Kind::UPDATE => self.update(with, start),
            Kind::MERGE => self.merge(with, start),
            _ => Err(self.syntax_error()),
        }
    }

    fn insert_statement(&mut self, with: Option<WithQuery>, start: usize) -> Result<SqlStatement> {
        let target = self.insert_target()?;
        let query = self.insert_query()?;
        let query = self.apply_with(query, with, start);
        Ok(match target {
            InsertTarget::Table(mut insert) => {
                insert.query = query;
                SqlStatement::Insert(insert)
            }
            InsertTarget::Directory(mut insert) => {
                insert.query = query;
                SqlStatement::InsertDirectory(insert)
            }
        })
    }

    /// `query` or `(query) alias`
    fn insert_query(&mut self) -> Result<Relation> {
        let start = self.position();
        let query = self.query()?;
        if matches!(self.kind(), Kind::EndOfInput | Kind::Semicolon) {
            return Ok(query);
        }
        let alias = self.table_alias()?;
        Ok(self.aliased(query, alias, None, start))
    }

    fn insert_target(&mut self) -> Result<InsertTarget> {
        let start = self.position();
        self.expect(Kind::INSERT)?;
        let with_schema_evolution = self.eat_sequence(&[Kind::WITH, Kind::SCHEMA, Kind::EVOLUTION]);
        let overwrite = self.expect_any(&[Kind::INTO, Kind::OVERWRITE])? == Kind::OVERWRITE;
        let is_local = self.at_sequence(&[Kind::LOCAL, Kind::DIRECTORY]);
        if overwrite && (is_local || self.at(Kind::DIRECTORY)) && self.at_directory(usize::from(is_local)) {
            return self.insert_directory(is_local, start);
        }
        if self.at(Kind::TABLE) {
            self.advance();
        }
        let table = self.identifier_reference()?;
        let has_options = self.at(Kind::WITH) && self.kind_at(1) == Kind::LeftParen;
        let options = if has_options { self.insert_options()? } else { Options::new() };
        let mut insert = Insert {
            table,
            options,
            partition: self.optional_partition_spec()?.unwrap_or_default(),
            columns: vec![],
            by_name: false,
            overwrite,
            if_partition_not_exists: false,
            replace_where: None,
            with_schema_evolution,
            query: Relation::new(RelationKind::OneRow),
        };
        self.insert_partition_condition(&mut insert, start)?;
        if !overwrite && self.at_insert_replace() {
            self.insert_replace(&mut insert, start)?;
            return Ok(InsertTarget::Table(Box::new(insert)));
        }
        insert.by_name = self.eat_sequence(&[Kind::BY, Kind::NAME]);
        if !insert.by_name && self.at(Kind::LeftParen) && !self.begins_query_at(1) {
            insert.columns = self.paren_list(|p| p.name().map(|name| vec![name]))?;
        }
        Ok(InsertTarget::Table(Box::new(insert)))
    }

    fn insert_options(&mut self) -> Result<Options> {
        self.advance();
        self.property_list()
    }

    fn insert_partition_condition(&mut self, insert: &mut Insert, start: usize) -> Result<()> {
        let has_default = insert.partition.iter().any(|(_, value)| value.as_ref().is_some_and(is_default));
        if has_default {
            return Err(self.plain_error_from(start, "REF_DEFAULT_VALUE_IS_NOT_ALLOWED_IN_PARTITION"));
        }
        if insert.overwrite && insert.partition.is_empty() && self.at(Kind::IF) {
            return Err(self.syntax_error());
        }
        if !self.if_not_exists()? {
            return Ok(());
        }
        if !insert.overwrite {
            return Err(self.not_allowed(start, "INSERT INTO ... IF NOT EXISTS"));
        }
        let dynamic: Vec<_> =
            insert.partition.iter().filter(|(_, value)| value.is_none()).map(|(column, _)| column.as_str()).collect();
        if !dynamic.is_empty() {
            let message = format!("IF NOT EXISTS with dynamic partitions: {}", dynamic.join(", "));
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
        }
        insert.if_partition_not_exists = true;
        Ok(())
    }

    fn at_insert_replace(&self) -> bool {
        let is_replace = |ahead| {
            self.kind_at(ahead) == Kind::REPLACE
                && matches!(self.kind_at(ahead + 1), Kind::WHERE | Kind::ON | Kind::USING)
        };
        (0..5).any(is_replace)
    }

    /// `[alias] [BY NAME] REPLACE WHERE condition`; REPLACE ON and USING are off in Spark's default configuration.
    fn insert_replace(&mut self, insert: &mut Insert, start: usize) -> Result<()> {
        let alias = if self.at(Kind::REPLACE) || self.at_sequence(&[Kind::BY, Kind::NAME]) {
            None
        } else {
            self.table_alias()?.alias
        };
        if self.at(Kind::WITH) && self.kind_at(1) == Kind::LeftParen {
            insert.options = self.insert_options()?;
        }
        insert.by_name = self.eat_sequence(&[Kind::BY, Kind::NAME]);
        self.expect(Kind::REPLACE)?;
        match self.expect_any(&[Kind::WHERE, Kind::ON, Kind::USING])? {
            Kind::WHERE => {
                if alias.is_some() {
                    return Err(self.plain_error_from(start, "INSERT_REPLACE_WHERE_TABLE_ALIAS_NOT_ALLOWED"));
                }
                insert.replace_where = Some(self.expression()?);
                Ok(())
            }
            word => {
                let condition = match (word, insert.by_name) {
                    (Kind::ON, false) => "INSERT_REPLACE_ON_NOT_ENABLED",
                    (Kind::ON, true) => "INSERT_REPLACE_ON_BY_NAME_NOT_ENABLED",
                    (_, false) => "INSERT_REPLACE_USING_NOT_ENABLED",
                    (_, true) => "INSERT_REPLACE_USING_BY_NAME_NOT_ENABLED",
                };
                Err(self.plain_error_from(start, condition))
            }
        }
    }

    fn at_directory(&self, ahead: usize) -> bool {
        self.is_string_at(ahead + 1) || self.kind_at(ahead + 1) == Kind::USING
    }

    /// `[LOCAL] DIRECTORY ['path'] USING format [OPTIONS (…)]`, or with Hive's formats
    fn insert_directory(&mut self, is_local: bool, start: usize) -> Result<InsertTarget> {
        self.advance_by(1 + usize::from(is_local));
        let mut path = if self.at_string() { Some(self.string_literal()?) } else { None };
        let mut insert = InsertDirectory {
            path: None,
            is_local,
            provider: None,
            options: Options::new(),
            hive: None,
            query: Relation::new(RelationKind::OneRow),
        };
        if self.eat(Kind::USING) {
            insert.provider = Some(self.multipart_name()?.join("."));
            if self.eat(Kind::OPTIONS) {
                insert.options = self.property_values()?;
            }
            match (path.is_some(), insert.options.remove("path")) {
                (false, Some(option)) => path = Some(option),
                (true, None) => {}
                _ => return Err(self.plain_error_from(start, "_LEGACY_ERROR_TEMP_0049")),
            }
        } else {
            let row_format = self.optional_row_format()?;
            if self.at(Kind::STORED) {
                let mut hive = self.file_format(start)?;
                if let Some(row) = row_format {
                    hive.serde = row.serde;
                    hive.serde_properties = row.serde_properties;
                    hive.row_format = row.row_format;
                }
                insert.hive = Some(hive);
            } else {
                insert.hive = row_format;
            }
        }
        insert.path = path;
        Ok(InsertTarget::Directory(Box::new(insert)))
    }

    /// `FROM t INSERT … SELECT … INSERT … SELECT …`
    fn multi_insert(&mut self, with: Option<WithQuery>, start: usize) -> Result<SqlStatement> {
        let input = self.from_clause()?;
        let mut inserts = vec![];
        while inserts.is_empty() || self.at(Kind::INSERT) {
            let InsertTarget::Table(mut insert) = self.insert_target()? else {
                return Err(self.not_allowed(start, "INSERT OVERWRITE DIRECTORY"));
            };
            let body_start = self.position();
            let body = self.query_specification(Some(input.clone()))?;
            let body = self.query_organization(body, body_start)?;
            insert.query = self.apply_with(body, with.clone(), start);
            inserts.push(*insert);
        }
        Ok(SqlStatement::MultiInsert(inserts))
    }

    /// Whether FROM here begins a multi-insert: an INSERT follows at the same depth.
    pub(super) fn at_multi_insert(&self) -> bool {
        let mut depth = 0usize;
        let mut ahead = 0;
        loop {
            match self.kind_at(ahead) {
                Kind::LeftParen => depth += 1,
                Kind::RightParen => depth = depth.saturating_sub(1),
                Kind::INSERT if depth == 0 => {
                    return matches!(self.kind_at(ahead + 1), Kind::INTO | Kind::OVERWRITE | Kind::WITH);
                }
                Kind::SELECT if depth == 0 => return false,
                Kind::EndOfInput | Kind::Semicolon => return false,
                _ => {}
            }
            ahead += 1;
        }
    }

    /// A table with an alias; column aliases are refused.
    fn target_table(&mut self, operation: &str) -> Result<Relation> {
        let start = self.position();
        let name = self.identifier_reference()?;
        let relation = self.place_relation(table(name), start);
        if self.at(Kind::LeftParen) {
            return Err(self.syntax_error());
        }
        let alias = self.table_alias()?;
        if !alias.columns.is_empty() {
            return Err(self.error_from(start, "COLUMN_ALIASES_NOT_ALLOWED", [("op", operation)]));
        }
        Ok(self.aliased(relation, alias, None, start))
    }

    fn delete(&mut self, with: Option<WithQuery>, start: usize) -> Result<SqlStatement> {
        self.expect_sequence(&[Kind::DELETE, Kind::FROM])?;
        let table = self.target_table("DELETE")?;
        let condition = if self.eat(Kind::WHERE) { Some(self.expression()?) } else { None };
        let condition = condition.map(|condition| self.with_ctes(condition, with.as_ref(), start));
        Ok(SqlStatement::Delete { table, condition })
    }

    fn update(&mut self, with: Option<WithQuery>, start: usize) -> Result<SqlStatement> {
        self.expect(Kind::UPDATE)?;
        let table = self.target_table("UPDATE")?;
        self.expect(Kind::SET)?;
        let assignments = self.comma_list(Self::assignment)?;
        let condition = if self.eat(Kind::WHERE) { Some(self.expression()?) } else { None };
        let condition = condition.map(|condition| self.with_ctes(condition, with.as_ref(), start));
        let assignments = assignments
            .into_iter()
            .map(|(column, value)| (column, self.with_ctes(value, with.as_ref(), start)))
            .collect();
        Ok(SqlStatement::Update { table, assignments, condition })
    }

    /// Puts the statement's CTEs in front of the queries inside an expression.
    fn with_ctes(&self, expression: Expr, with: Option<&WithQuery>, start: usize) -> Expr {
        let Some(with) = with else { return expression };
        let origin = expression.origin.clone();
        let wrap = |query: Relation| self.apply_with(query, Some(with.clone()), start);
        let each = |expressions: Vec<Expr>| -> Vec<Expr> {
            expressions.into_iter().map(|e| self.with_ctes(e, Some(with), start)).collect()
        };
        let kind = match *expression.kind {
            ExprKind::ScalarSubquery(query) => ExprKind::ScalarSubquery(wrap(query)),
            ExprKind::Exists(query) => ExprKind::Exists(wrap(query)),
            ExprKind::InSubquery { values, query } => ExprKind::InSubquery { values: each(values), query: wrap(query) },
            ExprKind::Function(mut call) => {
                call.arguments = each(call.arguments);
                ExprKind::Function(call)
            }
            ExprKind::Cast { child, to, mode } => {
                ExprKind::Cast { child: self.with_ctes(child, Some(with), start), to, mode }
            }
            other => other,
        };
        Expr { kind: Box::new(kind), origin }
    }

    /// `column = expression`
    pub(super) fn assignment(&mut self) -> Result<(Vec<String>, Expr)> {
        let column = self.multipart_name()?;
        self.expect(Kind::Equal)?;
        Ok((column, self.value_or_default()?))
    }

    /// An expression; the bare word DEFAULT stands for the column's default.
    pub(super) fn value_or_default(&mut self) -> Result<Expr> {
        let start = self.position();
        let value = self.expression()?;
        Ok(match value.kind.as_ref() {
            ExprKind::Attribute { name, .. } if name.len() == 1 && name[0].eq_ignore_ascii_case("default") => {
                self.place(ExprKind::Default, start)
            }
            _ => value,
        })
    }

    // MERGE

    fn merge(&mut self, with: Option<WithQuery>, start: usize) -> Result<SqlStatement> {
        self.expect(Kind::MERGE)?;
        let with_schema_evolution = self.eat_sequence(&[Kind::WITH, Kind::SCHEMA, Kind::EVOLUTION]);
        self.expect(Kind::INTO)?;
        let target = self.target_table("MERGE")?;
        self.expect(Kind::USING)?;
        let source = self.merge_source()?;
        let source = self.apply_with(source, with, start);
        self.expect(Kind::ON)?;
        let condition = self.expression()?;
        let mut merge = MergeIntoTable {
            target,
            source,
            condition,
            matched: vec![],
            not_matched: vec![],
            not_matched_by_source: vec![],
            with_schema_evolution,
        };
        while self.at(Kind::WHEN) {
            self.merge_clause(&mut merge, start)?;
        }
        self.check_merge(&merge, start)?;
        Ok(SqlStatement::Merge(Box::new(merge)))
    }

    fn merge_source(&mut self) -> Result<Relation> {
        let start = self.position();
        let source = if self.at(Kind::LeftParen) {
            self.parenthesized(Self::query)?
        } else {
            let name: TableName = self.identifier_reference()?;
            self.place_relation(table(name), start)
        };
        let alias = self.table_alias()?;
        if !alias.columns.is_empty() {
            return Err(self.error_from(start, "COLUMN_ALIASES_NOT_ALLOWED", [("op", "MERGE")]));
        }
        Ok(self.aliased(source, alias, None, start))
    }

    fn merge_clause(&mut self, merge: &mut MergeIntoTable, start: usize) -> Result<()> {
        self.expect(Kind::WHEN)?;
        let is_not = self.eat_capturing_not()?;
        self.expect(Kind::MATCHED)?;
        let mut by_source = false;
        if is_not && self.eat(Kind::BY) {
            by_source = self.expect_any(&[Kind::TARGET, Kind::SOURCE])? == Kind::SOURCE;
        }
        if !is_not && (!merge.not_matched.is_empty() || !merge.not_matched_by_source.is_empty())
            || is_not && !by_source && !merge.not_matched_by_source.is_empty()
        {
            return Err(self.syntax_error());
        }
        let condition = if self.eat(Kind::AND) { Some(self.expression()?) } else { None };
        self.expect(Kind::THEN)?;
        let kind = if is_not && !by_source { self.merge_insert(start)? } else { self.merge_change(!is_not)? };
        let action = MergeAction { condition, kind };
        match (is_not, by_source) {
            (false, _) => merge.matched.push(action),
            (true, false) => merge.not_matched.push(action),
            (true, true) => merge.not_matched_by_source.push(action),
        }
        Ok(())
    }

    /// `DELETE`, `UPDATE SET *`, `UPDATE SET a = b`
    fn merge_change(&mut self, allows_star: bool) -> Result<MergeActionKind> {
        if self.eat(Kind::DELETE) {
            return Ok(MergeActionKind::Delete);
        }
        self.expect_sequence(&[Kind::UPDATE, Kind::SET])?;
        if allows_star && self.eat(Kind::Asterisk) {
            return Ok(MergeActionKind::UpdateAll);
        }
        let assignments = self.comma_list(|p| {
            let column = p.attribute()?;
            p.expect(Kind::Equal)?;
            Ok((column, p.value_or_default()?))
        })?;
        Ok(MergeActionKind::Update(assignments))
    }

    /// `INSERT *`, `INSERT (columns) VALUES (values)`
    fn merge_insert(&mut self, start: usize) -> Result<MergeActionKind> {
        self.expect(Kind::INSERT)?;
        if self.eat(Kind::Asterisk) {
            return Ok(MergeActionKind::InsertAll);
        }
        let columns = self.paren_list(Self::attribute)?;
        self.expect(Kind::VALUES)?;
        let values = self.paren_list(Self::value_or_default)?;
        if columns.len() != values.len() {
            let parameters = [("expectedCount", columns.len().to_string()), ("actualCount", values.len().to_string())];
            return Err(self.error_from(start, "MERGE_INSERT_VALUE_COUNT_MISMATCH", parameters));
        }
        Ok(MergeActionKind::Insert(columns.into_iter().zip(values).collect()))
    }

    /// At least one clause; only the last of a kind may have no condition.
    fn check_merge(&self, merge: &MergeIntoTable, start: usize) -> Result<()> {
        if merge.matched.is_empty() && merge.not_matched.is_empty() && merge.not_matched_by_source.is_empty() {
            return Err(self.plain_error_from(start, "MERGE_WITHOUT_WHEN"));
        }
        let kinds = [
            (&merge.matched, "NON_LAST_MATCHED_CLAUSE_OMIT_CONDITION"),
            (&merge.not_matched, "NON_LAST_NOT_MATCHED_BY_TARGET_CLAUSE_OMIT_CONDITION"),
            (&merge.not_matched_by_source, "NON_LAST_NOT_MATCHED_BY_SOURCE_CLAUSE_OMIT_CONDITION"),
        ];
        for (actions, condition) in kinds {
            let before_last = actions.len().saturating_sub(1);
            if actions.iter().take(before_last).any(|action| action.condition.is_none()) {
                return Err(self.plain_error_from(start, condition));
            }
        }
        Ok(())
    }
}
