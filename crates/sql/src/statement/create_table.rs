//! CREATE TABLE, CREATE TABLE LIKE, REPLACE TABLE.
use firesteel_plan::command::ColumnDefinition;
use firesteel_plan::relation::Options;
use firesteel_plan::statement::{
    Bucket, ConstraintKind, CreateMode, CreateTable, CreateTableLike, HiveFormat, SqlStatement,
};
use firesteel_plan::{Expr, ExprKind, FunctionCall, Literal, Result, TableName};

use super::clauses::Once;
use super::column::TableElements;
use crate::parser::Parser;
use crate::token::Kind;

/// `spark.sql.sources.bucketing.maxBuckets`
const MAX_BUCKETS: i64 = 100_000;

/// The clauses after the columns.
#[derive(Default)]
struct Clauses {
    provider: Option<String>,
    options: Options,
    partition_by: Vec<Expr>,
    partition_columns: Vec<ColumnDefinition>,
    bucket_by: Option<Bucket>,
    cluster_by: Option<Vec<Vec<String>>>,
    location: Option<String>,
    comment: Option<String>,
    properties: Options,
    collation: Option<String>,
    row_format: Option<HiveFormat>,
    file_format: Option<HiveFormat>,
}

impl Parser<'_> {
    /// After CREATE [OR REPLACE] [TEMPORARY] [EXTERNAL] TABLE, or REPLACE TABLE.
    pub(super) fn create_table(
        &mut self,
        mode: CreateMode,
        is_temporary: bool,
        is_external: bool,
        start: usize,
    ) -> Result<SqlStatement> {
        let if_not_exists = mode == CreateMode::Create && self.if_not_exists()?;
        let name = self.identifier_reference()?;
        if mode == CreateMode::Create && !is_temporary && !is_external && self.eat(Kind::LIKE) {
            return self.create_table_like(name, if_not_exists, start);
        }
        let elements = if self.at(Kind::LeftParen) && !self.begins_query_at(1) {
            self.table_elements()?
        } else {
            TableElements::default()
        };
        let clauses = self.table_clauses(true, start)?;
        let query = self.optional_query()?;
        if is_temporary {
            return self.temporary_table(name, elements, clauses, if_not_exists, query.is_some(), start);
        }
        if query.is_some() {
            self.check_ctas(&elements, &clauses, start)?;
        }
        let mode = if if_not_exists { CreateMode::CreateIfNotExists } else { mode };
        self.check_primary_keys(&elements, start)?;
        let hive = merge_hive(&clauses);
        Ok(SqlStatement::CreateTable(Box::new(CreateTable {
            name,
            mode,
            is_external,
            columns: elements.columns,
            constraints: elements.constraints,
            provider: clauses.provider,
            options: clauses.options,
            partition_by: clauses.partition_by,
            partition_columns: clauses.partition_columns,
            bucket_by: clauses.bucket_by,
            cluster_by: clauses.cluster_by,
            location: clauses.location,
            comment: clauses.comment,
            properties: clauses.properties,
            collation: clauses.collation,
            hive,
            query,
        })))
    }

    /// `CREATE TEMPORARY TABLE t USING format` is a temporary view; every other form is refused.
    fn temporary_table(
        &self,
        name: TableName,
        elements: TableElements,
        clauses: Clauses,
        if_not_exists: bool,
        has_query: bool,
        start: usize,
    ) -> Result<SqlStatement> {
        if if_not_exists {
            return Err(self.not_allowed(start, "CREATE TEMPORARY TABLE ... IF NOT EXISTS"));
        }
        if has_query {
            return Err(self.not_allowed(start, "CREATE TEMPORARY TABLE ... AS ..."));
        }
        let (Some(provider), TableName::Parts(name)) = (clauses.provider, name) else {
            return Err(self.plain_error_from(start, "_LEGACY_ERROR_TEMP_0046"));
        };
        let schema = (!elements.columns.is_empty()).then_some(elements.columns);
        let mut options = clauses.options;
        if let Some(location) = clauses.location {
            options.insert("path".to_string(), location);
        }
        Ok(SqlStatement::CreateTempViewUsing { name, is_global: false, replace: false, schema, provider, options })
    }

    fn check_primary_keys(&self, elements: &TableElements, start: usize) -> Result<()> {
        let keys: Vec<_> = elements
            .constraints
            .iter()
            .filter_map(|constraint| match &constraint.kind {
                ConstraintKind::PrimaryKey(columns) => Some(format!("({})", columns.join(", "))),
                _ => None,
            })
            .collect();
        if keys.len() > 1 {
            return Err(self.error_from(start, "MULTIPLE_PRIMARY_KEYS", [("columns", keys.join(", "))]));
        }
        Ok(())
    }

    fn check_ctas(&self, elements: &TableElements, clauses: &Clauses, start: usize) -> Result<()> {
        let message = if !elements.columns.is_empty() {
            "Schema may not be specified in a Create Table As Select (CTAS) statement"
        } else if !clauses.partition_columns.is_empty() {
            "Partition column types may not be specified in Create Table As Select (CTAS)"
        } else if !elements.constraints.is_empty() {
            "Constraints may not be specified in a Create Table As Select (CTAS) statement"
        } else {
            return Ok(());
        };
        Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]))
    }

    /// `[AS] query` where one follows.
    fn optional_query(&mut self) -> Result<Option<firesteel_plan::Relation>> {
        if self.eat(Kind::AS) || self.begins_query_at(0) { self.query().map(Some) } else { Ok(None) }
    }

    fn create_table_like(&mut self, name: TableName, if_not_exists: bool, start: usize) -> Result<SqlStatement> {
        let source = self.identifier_reference()?;
        let clauses = self.table_clauses(false, start)?;
        let hive = merge_hive(&clauses);
        if hive.is_some() && clauses.provider.is_some() {
            return Err(self.not_allowed(start, "CREATE TABLE LIKE ... USING ... ROW FORMAT or STORED AS"));
        }
        Ok(SqlStatement::CreateTableLike(Box::new(CreateTableLike {
            name,
            source,
            if_not_exists,
            provider: clauses.provider,
            location: clauses.location,
            properties: clauses.properties,
            hive,
        })))
    }

    /// `all`: every clause of CREATE TABLE; else those of CREATE TABLE LIKE.
    fn table_clauses(&mut self, all: bool, start: usize) -> Result<Clauses> {
        let mut clauses = Clauses::default();
        let mut once = Once::new(start);
        loop {
            match self.kind() {
                Kind::USING => {
                    once.clause(self, "USING")?;
                    self.advance();
                    clauses.provider = Some(self.multipart_name()?.join("."));
                }
                Kind::ROW => {
                    once.clause(self, "ROW FORMAT")?;
                    clauses.row_format = self.optional_row_format()?;
                    if clauses.row_format.is_none() {
                        return Err(self.syntax_error());
                    }
                }
                Kind::STORED => {
                    once.clause(self, "STORED AS/BY")?;
                    clauses.file_format = Some(self.file_format(start)?);
                }
                Kind::LOCATION => {
                    once.clause(self, "LOCATION")?;
                    clauses.location = self.optional_string_after(Kind::LOCATION)?;
                }
                Kind::TBLPROPERTIES => {
                    once.clause(self, "TBLPROPERTIES")?;
                    self.advance();
                    clauses.properties = self.property_values()?;
                }
                _ if !all || !self.create_table_clause(&mut clauses, &mut once, start)? => break,
                _ => {}
            }
        }
        self.check_clauses(&clauses, start)?;
        Ok(clauses)
    }

    fn create_table_clause(&mut self, clauses: &mut Clauses, once: &mut Once, start: usize) -> Result<bool> {
        match self.kind() {
            Kind::OPTIONS => {
                once.clause(self, "OPTIONS")?;
                self.advance();
                clauses.options = self.constant_options()?;
            }
            Kind::PARTITIONED => {
                once.clause(self, "PARTITIONED BY")?;
                self.advance();
                self.expect(Kind::BY)?;
                self.partition_fields(clauses, start)?;
            }
            Kind::SKEWED => {
                return Err(self.not_allowed(start, "CREATE TABLE ... SKEWED BY"));
            }
            Kind::CLUSTER => {
                once.clause(self, "CLUSTER BY")?;
                self.advance();
                self.expect(Kind::BY)?;
                clauses.cluster_by = Some(self.paren_list(Self::multipart_name)?);
            }
            Kind::CLUSTERED => {
                once.clause(self, "CLUSTERED BY")?;
                clauses.bucket_by = Some(self.bucket_spec(start)?);
            }
            Kind::COMMENT => {
                once.clause(self, "COMMENT")?;
                clauses.comment = self.optional_string_after(Kind::COMMENT)?;
            }
            Kind::DEFAULT => {
                once.clause(self, "COLLATION")?;
                clauses.collation = self.default_collation()?;
                if clauses.collation.is_none() {
                    return Err(self.syntax_error());
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn check_clauses(&self, clauses: &Clauses, start: usize) -> Result<()> {
        if clauses.provider.is_some() && (clauses.row_format.is_some() || clauses.file_format.is_some()) {
            let stored_as = clauses.file_format.as_ref().and_then(|format| format.stored_as.as_deref());
            let operation = match stored_as {
                Some(format) => format!("CREATE TABLE ... USING ... STORED AS {} ", format.to_uppercase()),
                None => "CREATE TABLE ... USING ... ROW FORMAT SERDE".to_string(),
            };
            return Err(self.not_allowed(start, &operation));
        }
        let is_partitioned = !clauses.partition_by.is_empty() || !clauses.partition_columns.is_empty();
        if clauses.cluster_by.is_some() && is_partitioned {
            return Err(self.plain_error_from(start, "SPECIFY_CLUSTER_BY_WITH_PARTITIONED_BY_IS_NOT_ALLOWED"));
        }
        if clauses.cluster_by.is_some() && clauses.bucket_by.is_some() {
            return Err(self.plain_error_from(start, "SPECIFY_CLUSTER_BY_WITH_BUCKETING_IS_NOT_ALLOWED"));
        }
        Ok(())
    }

    /// Options whose values are constants.
    fn constant_options(&mut self) -> Result<Options> {
        let start = self.position();
        let mut options = Options::new();
        for (key, value) in self.expression_properties()? {
            let Some(text) = constant_text(&value) else {
                let parameters = [("key", key), ("supported", "constant expressions".to_string())];
                return Err(self.error_from(start, "INVALID_SQL_SYNTAX.OPTION_IS_INVALID", parameters));
            };
            if options.insert(key.clone(), text).is_some() {
                return Err(self.error_from(start, "DUPLICATE_KEY", [("keyColumn", format!("`{key}`"))]));
            }
        }
        Ok(options)
    }

    /// `(years(ts), a, b INT)`
    fn partition_fields(&mut self, clauses: &mut Clauses, start: usize) -> Result<()> {
        self.paren_list(|p| {
            let field_start = p.position();
            let is_column = p.is_identifier_at(0, false)
                && !matches!(p.kind_at(1), Kind::Comma | Kind::RightParen | Kind::LeftParen | Kind::Dot);
            if is_column {
                let mut constraints = vec![];
                let column = p.column_definition(&mut constraints)?;
                clauses.partition_columns.push(column);
            } else if p.kind_at(1) == Kind::LeftParen {
                let name = p.identifier()?;
                let arguments = p.paren_list(Self::transform_argument)?;
                let call = FunctionCall::new(vec![name.to_lowercase()], arguments);
                clauses.partition_by.push(p.place(ExprKind::Function(call), field_start));
            } else {
                let column = p.column_expression()?;
                clauses.partition_by.push(column);
            }
            Ok(())
        })?;
        if !clauses.partition_by.is_empty() && !clauses.partition_columns.is_empty() {
            let names: Vec<_> =
                clauses.partition_by.iter().filter_map(|e| e.origin.as_ref().map(|o| o.fragment())).collect();
            let columns: Vec<_> = clauses
                .partition_columns
                .iter()
                .map(|c| format!("{} {}", c.name, c.data_type.simple_string()))
                .collect();
            let message = format!(
                "PARTITION BY: Cannot mix partition expressions and partition columns:\nExpressions: {}\nColumns: {}",
                names.join(", "),
                columns.join(", ")
            );
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
        }
        Ok(())
    }

    fn transform_argument(&mut self) -> Result<Expr> {
        match self.constant()? {
            Some(constant) => Ok(constant),
            None => self.column_expression(),
        }
    }

    /// `CLUSTERED BY (a) [SORTED BY (b DESC)] INTO n BUCKETS`
    fn bucket_spec(&mut self, start: usize) -> Result<Bucket> {
        self.advance();
        self.expect(Kind::BY)?;
        let columns = self.identifier_list()?;
        let mut sort_columns = vec![];
        if self.eat(Kind::SORTED) {
            self.expect(Kind::BY)?;
            sort_columns = self.paren_list(|p| {
                let name = p.name()?;
                let descending = p.eat_any(&[Kind::ASC, Kind::DESC]) == Some(Kind::DESC);
                Ok((name, !descending))
            })?;
        }
        self.expect(Kind::INTO)?;
        let num_buckets = self.integer()?;
        self.expect(Kind::BUCKETS)?;
        if !(1..=MAX_BUCKETS).contains(&num_buckets) {
            let parameters =
                [("bucketingMaxBuckets", MAX_BUCKETS.to_string()), ("numBuckets", num_buckets.to_string())];
            return Err(self.error_from(start, "INVALID_BUCKET_COUNT", parameters));
        }
        if sort_columns.iter().any(|(_, ascending)| !ascending) {
            let message = "Column ordering must be ASC, was 'DESC'";
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
        }
        Ok(Bucket { num_buckets, columns, sort_columns })
    }

    /// `STORED AS PARQUET`, `STORED AS INPUTFORMAT … OUTPUTFORMAT …`
    pub(super) fn file_format(&mut self, start: usize) -> Result<HiveFormat> {
        self.advance();
        if self.eat(Kind::BY) {
            self.string_literal()?;
            if self.eat_sequence(&[Kind::WITH, Kind::SERDEPROPERTIES]) {
                self.property_values()?;
            }
            return Err(self.not_allowed(start, "STORED BY"));
        }
        self.expect(Kind::AS)?;
        let mut format = HiveFormat::default();
        if self.at(Kind::INPUTFORMAT) && self.is_string_at(1) {
            self.advance();
            format.input_format = Some(self.string_literal()?);
            self.expect(Kind::OUTPUTFORMAT)?;
            format.output_format = Some(self.string_literal()?);
        } else {
            format.stored_as = Some(self.identifier()?);
        }
        Ok(format)
    }
}

/// ROW FORMAT and STORED AS in one.
fn merge_hive(clauses: &Clauses) -> Option<HiveFormat> {
    if clauses.row_format.is_none() && clauses.file_format.is_none() {
        return None;
    }
    let mut hive = clauses.row_format.clone().unwrap_or_default();
    if let Some(file) = &clauses.file_format {
        hive.stored_as = file.stored_as.clone();
        hive.input_format = file.input_format.clone();
        hive.output_format = file.output_format.clone();
    }
    Some(hive)
}

/// The text of a constant option.
fn constant_text(value: &Expr) -> Option<String> {
    match value.kind.as_ref() {
        ExprKind::Literal(literal) => Some(match literal {
            Literal::String(text) => text.clone(),
            Literal::Boolean(value) => value.to_string(),
            Literal::Byte(value) => value.to_string(),
            Literal::Short(value) => value.to_string(),
            Literal::Integer(value) => value.to_string(),
            Literal::Long(value) => value.to_string(),
            Literal::Null(_) => return None,
            _ => value.origin.as_ref()?.fragment(),
        }),
        _ => None,
    }
}
