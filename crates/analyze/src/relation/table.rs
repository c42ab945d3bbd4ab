//! Named tables, files, views and table functions.
use std::collections::BTreeMap;

use firesteel_functions::TypedExpr;
use firesteel_functions::registry::Built;
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::relation::TimeTravel;
use firesteel_plan::{DataType, Expr, ExprKind, FunctionCall, Relation, RelationKind, Result, SparkError, TableName};

use super::cte::rename;
use crate::analyzer::Analyzer;
use crate::context::{FileScanRequest, SourceColumns, SqlFunctionBody, TableSource};
use crate::expr::Scope;
use crate::scope::{Attribute, Resolved};

impl Analyzer<'_> {
    pub(crate) fn table_name(&self, name: &TableName) -> Result<Vec<String>> {
        match name {
            TableName::Parts(parts) => Ok(parts.clone()),
            TableName::Identifier(expr) => self.identifier(expr),
        }
    }

    pub(super) fn named_table(
        &self,
        name: &TableName,
        options: &BTreeMap<String, String>,
        time_travel: Option<&TimeTravel>,
        is_streaming: bool,
    ) -> Result<Resolved> {
        if is_streaming {
            return Err(SparkError::unsupported("streaming reads"));
        }
        let name = self.table_name(name)?;
        self.hinted(&name, || self.table_of_name(&name, options, time_travel))
    }

    fn table_of_name(
        &self,
        name: &[String],
        options: &BTreeMap<String, String>,
        time_travel: Option<&TimeTravel>,
    ) -> Result<Resolved> {
        if let ([one], None) = (name, time_travel)
            && let Some(resolved) = self.cte(one)?
        {
            return Ok(resolved);
        }
        if let Some(source) = self.context.table(name, options, time_travel)? {
            self.reads_data.set(true);
            return self.source(source);
        }
        if let Some(travel) = time_travel
            && let Some(source) = self.context.travelled(name, travel)?
        {
            return self.source(source);
        }
        if let [format, path] = name
            && self.context.is_data_source(format)
        {
            if path.is_empty() {
                return Err(SparkError::new("INVALID_EMPTY_LOCATION", [("location", "")]));
            }
            let request = FileScanRequest {
                format: Some(format.clone()),
                schema: None,
                options: options.clone(),
                paths: vec![path.clone()],
                predicates: vec![],
            };
            return self.source(self.context.files(&request)?);
        }
        if name.len() > 2 && !(name.len() == 3 && name[0].eq_ignore_ascii_case(&self.eval.current_catalog)) {
            // The first part is no catalog, so that it belongs to the namespace.
            return Err(SparkError::new(
                "REQUIRES_SINGLE_PART_NAMESPACE",
                [("sessionCatalog", self.eval.current_catalog.clone()), ("identifier", quoted_name(name))],
            ));
        }
        let parameters = [("relationName", quoted_name(name)), ("searchPath", self.context.search_path())];
        Err(SparkError::new("TABLE_OR_VIEW_NOT_FOUND", parameters))
    }

    pub(super) fn data_source(
        &self,
        format: &Option<String>,
        schema: &Option<String>,
        options: &BTreeMap<String, String>,
        paths: &[String],
        predicates: &[String],
        is_streaming: bool,
    ) -> Result<Resolved> {
        if is_streaming {
            return Err(SparkError::unsupported("streaming reads"));
        }
        let schema =
            schema.as_deref().map(|s| firesteel_sql::parse_table_schema(s, &self.parse_options())).transpose()?;
        let request = FileScanRequest {
            format: format.clone(),
            schema,
            options: options.clone(),
            paths: paths.to_vec(),
            predicates: predicates.to_vec(),
        };
        self.source(self.context.files(&request)?)
    }

    pub(crate) fn source(&self, source: TableSource) -> Result<Resolved> {
        match source {
            TableSource::Provider { provider, schema, metadata, qualifier } => {
                self.scan(provider, &schema, &metadata, &qualifier)
            }
            TableSource::Analyzed { plan, output, qualifier } => {
                let renewed = Resolved::new(plan, output).renewed()?;
                Ok(qualified(renewed, &qualifier))
            }
            TableSource::View { context, query, columns, qualifier } => {
                let nested = self.nested(context.as_ref(), &qualifier)?;
                let resolved = nested.relation(&query)?.sealed()?;
                let resolved = match columns {
                    SourceColumns::Declared(schema) => self.declared_columns(resolved, &schema, &qualifier)?,
                    SourceColumns::View(view) => self.view_columns(resolved, &view, &qualifier)?,
                };
                let resolved = Resolved { plan_outputs: Default::default(), ..resolved };
                Ok(qualified(resolved, &qualifier))
            }
        }
    }

    /// A function in FROM: a generator, `range`, or a SQL table function.
    pub(super) fn table_function(&self, call: &FunctionCall, relation: &Relation) -> Result<Resolved> {
        let name = self.function_name(call)?;
        let last = name.last().map(|n| n.to_lowercase()).unwrap_or_default();
        if last == "range" {
            return self.range_function(call);
        }
        if last == "table_changes" || last == "table_changes_by_path" {
            return self.table_changes(call, &last);
        }
        let expr = Expr::from(ExprKind::Function(call.clone())).with_origin(relation.origin.clone());
        if let Some(function) = firesteel_functions::registry::lookup(&last) {
            if function.kind != firesteel_functions::FunctionKind::Generator {
                return Err(SparkError::new("NOT_A_TABLE_FUNCTION", [("functionName", quoted_name(&name))]));
            }
            let input = self.one_row()?;
            return match self.call(call, &expr, &Scope::empty())? {
                Built::Generator(generator) => {
                    let (mut resolved, generated) = self.generate(input, &generator, &[])?;
                    resolved.output.extend(generated);
                    resolved.sealed()
                }
                Built::Expr(_) => Err(SparkError::new("NOT_A_TABLE_FUNCTION", [("functionName", quoted_name(&name))])),
            };
        }
        let Some(function) = self.context.sql_function(&name)? else {
            return Err(SparkError::new("UNRESOLVABLE_TABLE_VALUED_FUNCTION", [("name", quoted_name(&name))]));
        };
        let SqlFunctionBody::Table { query, returns } = &function.body else {
            return Err(SparkError::new("NOT_A_TABLE_FUNCTION", [("functionName", quoted_name(&name))]));
        };
        let values = self.sql_function_arguments(&function, call, &Scope::empty())?;
        let nested = self.body_of(&function)?;
        let carried = self.outer.borrow().last().map(|s| s.all_columns().cloned().collect()).unwrap_or_default();
        let scope = Scope { carried, routine: function.name.last().cloned(), ..Scope::empty() };
        scope.lambdas.borrow_mut().push(values);
        let resolved = nested.subquery(query, &scope)?;
        let resolved = match returns {
            Some(returns) => self.declared_columns(resolved, returns, &function.name)?,
            None => resolved,
        };
        Ok(qualified(resolved, function.name.last().map_or(&[], std::slice::from_ref)))
    }

    /// table_changes(table, start[, end]): the change feed of a Delta table, by versions or by timestamps.
    fn table_changes(&self, call: &FunctionCall, function: &str) -> Result<Resolved> {
        if !(2..=3).contains(&call.arguments.len()) {
            return Err(firesteel_functions::registry::wrong_num_args(function, 2, 3, call.arguments.len()));
        }
        let mut texts = vec![];
        let mut options = BTreeMap::from([("readChangeFeed".to_string(), "true".to_string())]);
        for argument in &call.arguments {
            let typed = self.constant(argument)?;
            let is_time = typed.data_type.is_string() || typed.data_type.is_datetime();
            let mode = firesteel_functions::cast::CastMode::Ansi;
            let typed = firesteel_functions::cast::cast(typed, &DataType::STRING, mode, &self.eval)?;
            let value = crate::expr::literal::evaluate(&typed)?;
            let text = value.as_ref().and_then(|v| v.try_as_str().flatten()).map(str::to_string);
            let text = text.ok_or_else(|| SparkError::of("DELTA_CDC_READ_NULL_RANGE_BOUNDARY"))?;
            texts.push((text, is_time));
        }
        for ((text, is_time), bound) in texts.iter().skip(1).zip(["starting", "ending"]) {
            let kind = if *is_time { "Timestamp" } else { "Version" };
            options.insert(format!("{bound}{kind}"), text.clone());
        }
        let table = texts.first().map(|(text, _)| text.clone()).unwrap_or_default();
        let name = match function {
            "table_changes" => firesteel_sql::parse_multipart_identifier(&table, &self.parse_options())?,
            _ => vec!["delta".to_string(), table],
        };
        self.table_of_name(&name, &options, None)
    }

    /// range(end), range(start, end[, step[, partitions]])
    fn range_function(&self, call: &FunctionCall) -> Result<Resolved> {
        let mut numbers = vec![];
        let names: &[&str] = if call.arguments.len() == 1 { &["end"] } else { &["start", "end", "step", "numSlices"] };
        for (index, argument) in call.arguments.iter().enumerate() {
            let argument = match argument.kind.as_ref() {
                ExprKind::NamedArgument { value, .. } => value,
                _ => argument,
            };
            let typed = self.constant(argument)?;
            numbers.push(self.long(typed, "range", names.get(index).copied().unwrap_or_default())?);
        }
        if let [_, _, Some(0), ..] = numbers.as_slice() {
            return Err(SparkError::new("FAILED_FUNCTION_CALL", [("funcName", "`range`")]));
        }
        match numbers.as_slice() {
            [Some(end)] => self.range(0, *end, 1, None),
            [Some(start), Some(end)] => self.range(*start, *end, 1, None),
            [Some(start), Some(end), Some(step)] => self.range(*start, *end, *step, None),
            [Some(start), Some(end), Some(step), Some(parts)] => {
                self.range(*start, *end, *step, i32::try_from(*parts).ok())
            }
            [] => Err(firesteel_functions::registry::wrong_num_args("range", 1, 4, 0)),
            other if other.len() > 4 => Err(firesteel_functions::registry::wrong_num_args("range", 1, 4, other.len())),
            _ => Err(SparkError::new(
                "UNEXPECTED_INPUT_TYPE",
                [
                    ("functionName", "`range`"),
                    ("paramIndex", "first"),
                    ("requiredType", "\"BIGINT\""),
                    ("inputSql", "\"NULL\""),
                    ("inputType", "\"VOID\""),
                ],
            )),
        }
    }

    /// The value of a constant as BIGINT; `None` for NULL.
    fn long(&self, typed: TypedExpr, function: &str, parameter: &str) -> Result<Option<i64>> {
        use datafusion::common::ScalarValue;
        let sql = crate::expr::quoted_sql(&typed);
        let is_read = typed.data_type.is_numeric() || typed.data_type.is_string() || typed.data_type == DataType::Null;
        if !is_read {
            return Err(SparkError::new(
                "UNEXPECTED_INPUT_TYPE",
                [
                    ("functionName", format!("`{function}`")),
                    ("paramIndex", "first".into()),
                    ("requiredType", "\"BIGINT\"".into()),
                    ("inputSql", sql),
                    ("inputType", format!("\"{}\"", typed.data_type.sql())),
                ],
            ));
        }
        let mode = firesteel_functions::cast::CastMode::Ansi;
        let typed = firesteel_functions::cast::cast(typed, &DataType::Long, mode, &self.eval)?;
        let value = if typed.is_foldable() { crate::expr::literal::evaluate(&typed)? } else { None };
        match value {
            Some(ScalarValue::Int64(value)) => Ok(value),
            _ => Err(SparkError::new(
                "NON_FOLDABLE_ARGUMENT",
                [
                    ("funcName", format!("`{function}`")),
                    ("paramName", format!("`{parameter}`")),
                    ("paramType", "\"BIGINT\"".to_string()),
                ],
            )),
        }
    }

    /// `input AS alias(columns)`
    pub(super) fn subquery_alias(
        &self,
        input: &Relation,
        alias: &str,
        qualifier: &[String],
        columns: &[String],
    ) -> Result<Resolved> {
        let function = match input.kind.as_ref() {
            RelationKind::TableFunction { call } => Some(call),
            _ => None,
        };
        if let RelationKind::Values { rows } = input.kind.as_ref()
            && let Some(width) = rows.first().map(Vec::len).filter(|w| !columns.is_empty() && *w != columns.len())
        {
            return Err(SparkError::new(
                "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH",
                [
                    ("expectedNumCols", columns.len().to_string()),
                    ("actualNumCols", width.to_string()),
                    ("rowIndex", "0".to_string()),
                ],
            ));
        }
        let input = self.relation(input)?;
        if let Some(call) = function
            && !columns.is_empty()
            && columns.len() != input.output.len()
        {
            return Err(SparkError::new(
                "NUM_TABLE_VALUE_ALIASES_MISMATCH",
                [
                    ("funcName", quoted_name(&call.name)),
                    ("aliasesNum", columns.len().to_string()),
                    ("outColsNum", input.output.len().to_string()),
                ],
            ));
        }
        let mut input = Resolved { extend: None, ..rename(input, columns)? };
        input.hidden.retain(|a| !a.qualified_only);
        let mut full = qualifier.to_vec();
        full.push(alias.to_string());
        Ok(qualified(input, &full))
    }
}

/// Every column under one qualifier.
pub(crate) fn qualified(resolved: Resolved, qualifier: &[String]) -> Resolved {
    let qualify = |a: Attribute| Attribute { qualifier: qualifier.to_vec(), ..a };
    Resolved {
        output: resolved.output.into_iter().map(qualify).collect(),
        hidden: resolved.hidden.into_iter().map(qualify).collect(),
        plan: resolved.plan,
        plan_outputs: resolved.plan_outputs,
        extend: resolved.extend,
        time_windows: vec![],
    }
}
