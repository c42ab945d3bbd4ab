//! Generators: a column of arrays of structs is unnested into rows, its fields into columns.
use std::sync::Arc;

use datafusion::common::{Column, NullHandling, UnnestOptions};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, Unnest, lit};
use firesteel_functions::registry::{Built, Generator};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{Expr, ExprKind, FunctionCall, Relation, Result, SparkError};

use crate::analyzer::Analyzer;
use crate::expr::{Scope, SelectItem, SelectValue};
use crate::from_datafusion;
use crate::scope::{Attribute, Resolved, fresh_id, project};

impl Analyzer<'_> {
    /// LATERAL VIEW [OUTER] generator alias AS columns
    pub(super) fn lateral_view(
        &self,
        input: &Relation,
        call: &FunctionCall,
        outer: bool,
        alias: &str,
        columns: &[String],
    ) -> Result<Resolved> {
        let input = self.relation(input)?;
        let expr: Expr = ExprKind::Function(call.clone()).into();
        let name = self.function_name(call)?;
        let scope = Scope { refuses_routines: Some("Generate"), ..Scope::of(&input) };
        let generator = match self.call(call, &expr, &scope)? {
            Built::Generator(generator) => generator,
            Built::Expr(_) => {
                return Err(SparkError::new(
                    "UNSUPPORTED_GENERATOR.NOT_GENERATOR",
                    [
                        ("functionName", quoted_name(&name)),
                        ("classCanonicalName", name.last().cloned().unwrap_or_default()),
                    ],
                ));
            }
        };
        let generator = Generator { outer: outer || generator.outer, ..generator };
        let (mut resolved, generated) = self.generate(input, &generator, columns)?;
        let qualified = generated.into_iter().map(|a| Attribute { qualifier: vec![alias.to_string()], ..a });
        resolved.output.extend(qualified);
        Ok(resolved)
    }

    /// The input with the generated columns added; answers them apart from the input's.
    pub(crate) fn generate(
        &self,
        input: Resolved,
        generator: &Generator,
        names: &[String],
    ) -> Result<(Resolved, Vec<Attribute>)> {
        if !names.is_empty() && names.len() != generator.columns.len() {
            return Err(SparkError::new(
                "UDTF_ALIAS_NUMBER_MISMATCH",
                [("aliasesSize", generator.columns.len().to_string()), ("aliasesNames", names.join(","))],
            ));
        }
        let rows_id = fresh_id("rows");
        let mut columns: Vec<DfExpr> = input.output.iter().chain(&input.hidden).map(Attribute::column).collect();
        columns.push(generator.rows.expr.clone().alias(&rows_id));
        let (plan, columns) = self.windows_below(input.plan.clone(), columns)?;
        let plan = project(plan, columns)?;
        let null_handling = if generator.outer { NullHandling::PreserveAndExpandEmpty } else { NullHandling::Drop };
        let options = UnnestOptions { null_handling, recursions: vec![] };
        let unnest = Unnest::try_new(Arc::new(plan), vec![Column::from_name(&rows_id)], options);
        let plan = LogicalPlan::Unnest(unnest.map_err(from_datafusion)?);
        let generated: Vec<Attribute> = (generator.columns.iter().enumerate())
            .map(|(index, (default, data_type, nullable))| {
                let name = names.get(index).unwrap_or(default);
                Attribute::new(name, data_type.clone(), *nullable || generator.outer)
            })
            .collect();
        let row = DfExpr::Column(Column::from_name(&rows_id));
        let mut columns: Vec<DfExpr> = input.output.iter().chain(&input.hidden).map(Attribute::column).collect();
        for (index, attribute) in generated.iter().enumerate() {
            let field = generator_field(generator, index);
            let value = datafusion::functions::core::get_field().call(vec![row.clone(), lit(field)]);
            columns.push(value.alias(&attribute.id));
        }
        let plan = project(plan, columns)?;
        Ok((Resolved { extend: None, ..input.with_plan(plan) }, generated))
    }

    /// Replaces generators of a select list by the columns they make; of several, each row of one meets each of the next.
    pub(super) fn expand_generators(
        &self,
        input: Resolved,
        items: Vec<SelectItem>,
    ) -> Result<(Resolved, Vec<SelectValue>)> {
        let mut input = input;
        let mut values = vec![];
        for item in items {
            match item {
                SelectItem::Value(value) => values.push(value),
                SelectItem::Generator { generator, names } => {
                    let (extended, generated) = self.generate(input, &generator, &names)?;
                    input = extended;
                    input.hidden.extend(generated.iter().cloned());
                    values.extend(generated.into_iter().map(|a| SelectValue { typed: a.typed(), attribute: a }));
                }
            }
        }
        Ok((input, values))
    }
}

/// The name of field `index` in the struct that the generator's array holds.
fn generator_field(generator: &Generator, index: usize) -> String {
    match &generator.rows.data_type {
        firesteel_plan::DataType::Array(element, _) => match element.as_ref() {
            firesteel_plan::DataType::Struct(fields) => {
                fields.fields.get(index).map(|f| f.name.clone()).unwrap_or_default()
            }
            _ => String::new(),
        },
        _ => String::new(),
    }
}
