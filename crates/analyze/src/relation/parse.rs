//! `spark.read.json(df)`, `.csv(df)`, `.xml(df)`: records in a column of strings.
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use datafusion::logical_expr::lit;
use firesteel_functions::TypedExpr;
use firesteel_functions::text_formats::FormatOptions;
use firesteel_plan::relation::Options;
use firesteel_plan::{DataType, Relation, Result, SparkError};

use super::unary::limit_plan;
use crate::analyzer::Analyzer;
use crate::context::AnalyzedQuery;
use crate::scope::{Attribute, Resolved, fresh_id, project};

impl Analyzer<'_> {
    /// `spark.read.json(df)`, `.csv(df)`, `.xml(df)`: each string becomes a row.
    pub(super) fn parse(
        &self,
        input: &Relation,
        format: &str,
        schema: Option<&DataType>,
        options: &Options,
    ) -> Result<Resolved> {
        let mut input = self.relation(input)?.sealed()?;
        let Some(value) = input.output.first().filter(|a| a.data_type.is_string()).cloned() else {
            return Err(SparkError::new("PARSE_INPUT_NOT_STRING_TYPE", [("schema", input.schema().simple_string())])
                .with_cause("one string column is needed"));
        };
        let is_header = format == "csv" && FormatOptions::new(options.clone()).flag("header", false)?;
        if format == "csv" {
            input = self.csv_records(input, &value, options)?;
        }
        let schema = match schema {
            Some(DataType::Struct(fields)) => fields.clone(),
            Some(_) => return Err(SparkError::of("INVALID_SCHEMA.NON_STRUCT_TYPE")),
            None => {
                let columns = self.collect_column(&input, &value)?;
                self.context.infer_schema(format, &columns, options)?
            }
        };
        if is_header {
            input = self.without_header(input, &value)?;
        }
        let mut arguments = vec![value.typed(), TypedExpr::string(DataType::Struct(schema.clone()).json())];
        let pairs = options.iter().flat_map(|(k, v)| [TypedExpr::string(k), TypedExpr::string(v)]);
        let pairs: Vec<_> = pairs.collect();
        if !pairs.is_empty() {
            arguments.push(self.builtin("map", pairs)?);
        }
        let parsed = self.builtin(&format!("from_{format}"), arguments)?;
        let id = fresh_id("parsed");
        let plan = project(input.plan.clone(), vec![parsed.expr.alias(&id)])?;
        let row = TypedExpr::new(
            datafusion::logical_expr::Expr::Column(datafusion::common::Column::from_name(&id)),
            parsed.data_type,
            true,
            "parsed",
        );
        let mut values = vec![];
        for field in schema.fields.iter() {
            let key = TypedExpr::string(field.name.clone());
            let typed = firesteel_functions::structs::extract_value(row.clone(), key, &self.eval)?;
            let attribute = Attribute::of_field(&firesteel_plan::StructField { nullable: true, ..field.clone() });
            values.push(crate::expr::SelectValue { typed, attribute });
        }
        self.project_values(Resolved::new(plan, vec![]), values)
    }

    /// The lines that are records: not blank, and no comment.
    fn csv_records(&self, input: Resolved, value: &Attribute, options: &Options) -> Result<Resolved> {
        let visible = TypedExpr::string("[^\\x00-\\x20]");
        let mut keep = self.builtin("rlike", vec![value.typed(), visible])?.expr;
        if let Some(comment) = FormatOptions::new(options.clone()).get("comment") {
            let is_comment = self.builtin("startswith", vec![value.typed(), TypedExpr::string(comment)])?;
            keep = keep.and(datafusion::logical_expr::not(is_comment.expr));
        }
        let plan = super::project::filter_plan(input.plan.clone(), keep)?;
        Ok(input.closed(plan))
    }

    /// Without the lines that equal the first.
    fn without_header(&self, input: Resolved, value: &Attribute) -> Result<Resolved> {
        let first = input.clone().with_plan(limit_plan(input.plan.clone(), 0, Some(1)));
        let columns = self.collect_column(&first, value)?;
        let header = columns.iter().filter_map(|c| c.as_string_opt::<i32>()).flatten().flatten().next();
        let Some(header) = header else { return Ok(input) };
        let plan = super::project::filter_plan(input.plan.clone(), value.column().not_eq(lit(header)))?;
        Ok(input.closed(plan))
    }

    /// The values of one column, which takes running the plan.
    fn collect_column(&self, input: &Resolved, column: &Attribute) -> Result<Vec<ArrayRef>> {
        let query = AnalyzedQuery { plan: input.plan.clone(), schema: input.schema() };
        let batches = self.collected(query)?;
        let index = input.output.iter().position(|a| a.id == column.id).unwrap_or(0);
        Ok(batches.iter().map(|b| Arc::clone(b.column(index))).collect())
    }
}
