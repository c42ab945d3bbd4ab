//! `df.na.*`, `df.stat.*`, `df.describe`, `df.summary`: plans over the input's columns.
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::{CastMode, cast};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::relation::Statistic;
use firesteel_plan::{DataType, Expr, JavaException, Literal, Relation, Result, SparkError};

use super::reshape::kept;
use crate::analyzer::Analyzer;
use crate::context::AnalyzedQuery;
use crate::expr::{Scope, SelectItem, SelectValue, literal};
use crate::scope::{Attribute, Resolved};

const SUMMARY_DEFAULT: [&str; 8] = ["count", "mean", "stddev", "min", "25%", "50%", "75%", "max"];
const DESCRIBE: [&str; 5] = ["count", "mean", "stddev", "min", "max"];

impl Analyzer<'_> {
    pub(super) fn statistic(&self, input: &Relation, function: &Statistic) -> Result<Resolved> {
        let input = self.relation(input)?.sealed()?;
        match function {
            Statistic::FillNa { columns, values } => self.fill_na(input, columns, values),
            Statistic::DropNa { columns, min_non_nulls } => self.drop_na(input, columns, *min_non_nulls),
            Statistic::Replace { columns, replacements } => self.replace_values(input, columns, replacements),
            Statistic::Summary { statistics } => {
                let all: Vec<String> = if statistics.is_empty() {
                    SUMMARY_DEFAULT.iter().map(|s| s.to_string()).collect()
                } else {
                    statistics.clone()
                };
                let columns = input.output.clone();
                self.summary(input, &columns, &all)
            }
            Statistic::Describe { columns } => {
                let chosen =
                    if columns.is_empty() { input.output.clone() } else { self.columns_named(&input, columns)? };
                let all: Vec<String> = DESCRIBE.iter().map(|s| s.to_string()).collect();
                self.summary(input, &chosen, &all)
            }
            Statistic::Cov { column1, column2 } => self.pair(input, "covar_samp", "cov", column1, column2),
            Statistic::Corr { column1, column2, method } => match method.as_deref() {
                None | Some("pearson") => self.pair(input, "corr", "corr", column1, column2),
                Some(other) => Err(SparkError::new("INVALID_PARAMETER_VALUE", [("method", other)])
                    .with_message(format!("Only the Pearson correlation is calculated, not {other}."))),
            },
            Statistic::Crosstab { column1, column2 } => self.crosstab(input, column1, column2),
            Statistic::ApproxQuantile { columns, probabilities, relative_error } => {
                self.approx_quantile(input, columns, probabilities, *relative_error)
            }
            Statistic::FreqItems { columns, support } => self.freq_items(input, columns, support.unwrap_or(0.01)),
            Statistic::SampleBy { column, fractions, seed } => self.sample_by(input, column, fractions, *seed),
        }
    }

    fn columns_named(&self, input: &Resolved, names: &[String]) -> Result<Vec<Attribute>> {
        names.iter().map(|name| super::reshape::column_named(self, input, name).cloned()).collect()
    }

    /// The columns a `na` function works on: those named, or all that fit.
    fn chosen(
        &self,
        input: &Resolved,
        names: &[String],
        fits: impl Fn(&DataType) -> bool,
    ) -> Result<Vec<(usize, Attribute)>> {
        let named = if names.is_empty() { input.output.clone() } else { self.columns_named(input, names)? };
        let position = |a: &Attribute| input.output.iter().position(|b| b.id == a.id);
        let all = named.into_iter().filter(|a| fits(&a.data_type));
        Ok(all.filter_map(|a| position(&a).map(|i| (i, a))).collect())
    }

    fn fill_na(&self, input: Resolved, columns: &[String], values: &[Literal]) -> Result<Resolved> {
        let mut output: Vec<SelectValue> = input.output.iter().map(kept).collect();
        let mut fill = |analyzer: &Self, names: &[String], value: &Literal| -> Result<()> {
            let filler = literal::typed(value, &analyzer.eval)?;
            for (index, attribute) in analyzer.chosen(&input, names, |t| same_family(t, &filler.data_type))? {
                let mut current = attribute.typed();
                if matches!(attribute.data_type, DataType::Float | DataType::Double) {
                    let null = TypedExpr::null(attribute.data_type.clone());
                    current = analyzer.builtin("nanvl", vec![current, null])?;
                }
                let filler = cast(filler.clone(), &attribute.data_type, CastMode::Legacy, &analyzer.eval)?;
                let typed = analyzer.builtin("coalesce", vec![current, filler])?;
                let renamed = Attribute::new(&attribute.name, typed.data_type.clone(), typed.nullable);
                output[index] = SelectValue { typed, attribute: renamed };
            }
            Ok(())
        };
        match values {
            [only] => fill(self, columns, only)?,
            many if many.len() == columns.len() => {
                for (name, value) in columns.iter().zip(many) {
                    fill(self, std::slice::from_ref(name), value)?;
                }
            }
            _ => return Err(SparkError::internal("na.fill takes one value, or one for each column")),
        }
        self.project_values(input, output)
    }

    fn drop_na(&self, input: Resolved, columns: &[String], min_non_nulls: Option<i32>) -> Result<Resolved> {
        let chosen = if columns.is_empty() { input.output.clone() } else { self.columns_named(&input, columns)? };
        let wanted = min_non_nulls.unwrap_or(chosen.len() as i32);
        let mut count = TypedExpr::int(0);
        for attribute in &chosen {
            let mut present = self.builtin("isnotnull", vec![attribute.typed()])?;
            if matches!(attribute.data_type, DataType::Float | DataType::Double) {
                let nan = self.builtin("isnan", vec![attribute.typed()])?;
                let number = self.builtin("not", vec![nan])?;
                present = self.builtin("and", vec![present, number])?;
            }
            let one = self.builtin("if", vec![present, TypedExpr::int(1), TypedExpr::int(0)])?;
            count = self.builtin("+", vec![count, one])?;
        }
        let condition = self.builtin(">=", vec![count, TypedExpr::int(wanted)])?;
        self.filter_typed(input, condition.expr)
    }

    fn replace_values(
        &self,
        input: Resolved,
        columns: &[String],
        replacements: &[(Literal, Literal)],
    ) -> Result<Resolved> {
        let mut output: Vec<SelectValue> = input.output.iter().map(kept).collect();
        let sample = replacements.iter().map(|(old, _)| old.data_type()).find(|t| *t != DataType::Null);
        let Some(sample) = sample.or_else(|| replacements.iter().map(|(_, new)| new.data_type()).next()) else {
            return self.project_values(input, output);
        };
        for (index, attribute) in self.chosen(&input, columns, |t| same_family(t, &sample))? {
            let mut arguments = vec![];
            for (old, new) in replacements {
                let old = literal::typed(old, &self.eval)?;
                let new = literal::typed(new, &self.eval)?;
                let old = cast(old, &attribute.data_type, CastMode::Legacy, &self.eval)?;
                arguments.push(self.builtin("<=>", vec![attribute.typed(), old])?);
                arguments.push(cast(new, &attribute.data_type, CastMode::Legacy, &self.eval)?);
            }
            arguments.push(attribute.typed());
            let typed = self.builtin("when", arguments)?;
            let renamed = Attribute::new(&attribute.name, typed.data_type.clone(), typed.nullable);
            output[index] = SelectValue { typed, attribute: renamed };
        }
        self.project_values(input, output)
    }

    /// One row a statistic, its values as strings.
    fn summary(&self, input: Resolved, columns: &[Attribute], statistics: &[String]) -> Result<Resolved> {
        let described: Vec<Attribute> =
            columns.iter().filter(|a| a.data_type.is_numeric() || a.data_type.is_string()).cloned().collect();
        let mut values: Vec<SelectItem> = vec![];
        let mut rows: Vec<Vec<Attribute>> = vec![];
        for statistic in statistics {
            let mut row = vec![];
            for column in &described {
                let typed = self.summary_value(statistic, column)?;
                let text = cast(typed, &DataType::STRING, CastMode::Legacy, &self.eval)?;
                let attribute = Attribute::new(&column.name, DataType::STRING, true);
                values.push(SelectItem::Value(SelectValue { typed: text, attribute: attribute.clone() }));
                row.push(attribute);
            }
            rows.push(row);
        }
        let aggregated = if values.is_empty() {
            self.one_row()?
        } else {
            Resolved { extend: None, ..self.build_aggregate(input, vec![], None, values)? }
        };
        let structs = statistics
            .iter()
            .zip(&rows)
            .map(|(statistic, row)| {
                let mut fields = vec![TypedExpr::string("c0"), TypedExpr::string(statistic)];
                for (index, cell) in row.iter().enumerate() {
                    fields.push(TypedExpr::string(format!("c{}", index + 1)));
                    fields.push(cell.typed());
                }
                self.builtin("named_struct", fields)
            })
            .collect::<Result<Vec<_>>>()?;
        let rows = self.builtin("array", structs)?;
        let mut names = vec![("summary".to_string(), DataType::STRING, true)];
        names.extend(described.iter().map(|c| (c.name.clone(), DataType::STRING, true)));
        let generator = firesteel_functions::Generator { name: "summary".into(), rows, columns: names, outer: false };
        let (resolved, generated) = self.generate(aggregated, &generator, &[])?;
        Resolved { output: generated, hidden: vec![], ..resolved }.sealed()
    }

    fn summary_value(&self, statistic: &str, column: &Attribute) -> Result<TypedExpr> {
        let number = || -> Result<TypedExpr> {
            if column.data_type.is_numeric() {
                return Ok(column.typed());
            }
            cast(column.typed(), &DataType::Double, CastMode::Try, &self.eval)
        };
        let invalid = || SparkError::new("UNRECOGNIZED_STATISTIC", [("stats", statistic)]);
        if let Some(percentage) = statistic.strip_suffix('%') {
            let fraction = percentage.parse::<f64>().map_err(|e| invalid().with_cause(e))? / 100.0;
            if !(0.0..=1.0).contains(&fraction) {
                let message = "requirement failed: Percentiles must be in the range [0, 1]";
                return Err(SparkError::java(JavaException::IllegalArgument, message));
            }
            let fraction = literal::typed(&Literal::Double(fraction), &self.eval)?;
            return self.builtin("percentile_approx", vec![number()?, fraction]);
        }
        match statistic.to_lowercase().as_str() {
            "count" => self.builtin("count", vec![column.typed()]),
            "mean" => self.builtin("avg", vec![number()?]),
            "stddev" => self.builtin("stddev", vec![number()?]),
            "min" => self.builtin("min", vec![column.typed()]),
            "max" => self.builtin("max", vec![column.typed()]),
            "approx_count_distinct" => self.builtin("approx_count_distinct", vec![column.typed()]),
            "count_distinct" => self.distinct_count(column),
            _ => Err(invalid()),
        }
    }

    fn distinct_count(&self, column: &Attribute) -> Result<TypedExpr> {
        let function = firesteel_functions::registry::lookup("count")
            .ok_or_else(|| SparkError::internal("the function count is missing"))?;
        let _context = firesteel_functions::BuildContext {
            called_as: "count",
            eval: &self.eval,
            origin: None,
            is_operator: false,
        };
        let context = firesteel_functions::BuildContext {
            called_as: "count",
            eval: &self.eval,
            origin: None,
            is_operator: false,
        };
        let arguments =
            firesteel_functions::Arguments { values: vec![column.typed()], distinct: true, ..Default::default() };
        match function.call(&context, arguments)? {
            firesteel_functions::Built::Expr(typed) => Ok(typed),
            firesteel_functions::Built::Generator(_) => Err(SparkError::internal("count is an aggregate")),
        }
    }

    /// A statistic of two numeric columns, as one row with one column.
    fn pair(&self, input: Resolved, function: &str, name: &str, column1: &str, column2: &str) -> Result<Resolved> {
        let columns = self.columns_named(&input, &[column1.to_string(), column2.to_string()])?;
        if let Some(other) = columns.iter().find(|c| !c.data_type.is_numeric()) {
            return Err(SparkError::new("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", [("sqlExpr", other.name.clone())])
                .with_message(format!(
                    "{function} takes numeric columns; {} is of type {}.",
                    quoted_name(&[&other.name]),
                    other.data_type.sql()
                )));
        }
        let typed = self.builtin(function, columns.iter().map(Attribute::typed).collect())?;
        let typed = self.builtin("coalesce", vec![typed, literal::typed(&Literal::Double(f64::NAN), &self.eval)?])?;
        let attribute = Attribute::new(name, DataType::Double, true);
        let items = vec![SelectItem::Value(SelectValue { typed, attribute })];
        Ok(Resolved { extend: None, ..self.build_aggregate(input, vec![], None, items)? })
    }

    fn crosstab(&self, input: Resolved, column1: &str, column2: &str) -> Result<Resolved> {
        let columns = self.columns_named(&input, &[column1.to_string(), column2.to_string()])?;
        let text = |a: &Attribute| -> Result<TypedExpr> {
            let text = cast(a.typed(), &DataType::STRING, CastMode::Legacy, &self.eval)?;
            self.builtin("coalesce", vec![text, TypedExpr::string("null")])
        };
        let (row, column) = (text(&columns[0])?, text(&columns[1])?);
        let row_attribute = Attribute::new(format!("{column1}_{column2}"), DataType::STRING, true);
        let mut items = vec![SelectItem::Value(SelectValue { typed: row.clone(), attribute: row_attribute })];
        for value in self.distinct_values(&input, &column)? {
            let matches = self.builtin("==", vec![column.clone(), value.clone()])?;
            let count = self.builtin("count_if", vec![matches])?;
            let name = value.as_string_literal().unwrap_or("null").replace('`', "");
            let attribute = Attribute::new(name, DataType::Long, false);
            items.push(SelectItem::Value(SelectValue { typed: count, attribute }));
        }
        Ok(Resolved { extend: None, ..self.build_aggregate(input, vec![row], None, items)? })
    }

    fn approx_quantile(
        &self,
        input: Resolved,
        columns: &[String],
        probabilities: &[f64],
        relative_error: f64,
    ) -> Result<Resolved> {
        let columns = self.columns_named(&input, columns)?;
        let double = |v: f64| literal::typed(&Literal::Double(v), &self.eval);
        let wanted = probabilities.iter().map(|p| double(*p)).collect::<Result<Vec<_>>>()?;
        let empty = TypedExpr::null(DataType::array(DataType::Double, false));
        let accuracy = (1.0 / relative_error.max(1.0 / 2e9)).ceil().clamp(1.0, 2e9) as i32;
        let mut lists = vec![];
        for column in &columns {
            let value = cast(column.typed(), &DataType::Double, CastMode::Legacy, &self.eval)?;
            let null = TypedExpr::null(DataType::Double);
            let value = self.builtin("nanvl", vec![value, null])?;
            lists.push(if wanted.is_empty() {
                empty.clone()
            } else {
                let wanted = self.builtin("array", wanted.clone())?;
                self.builtin("percentile_approx", vec![value, wanted, TypedExpr::int(accuracy)])?
            });
        }
        let typed = self.builtin("array", lists)?;
        let attribute = Attribute::new("approx_quantile", typed.data_type.clone(), true);
        let items = vec![SelectItem::Value(SelectValue { typed, attribute })];
        Ok(Resolved { extend: None, ..self.build_aggregate(input, vec![], None, items)? })
    }

    /// Values that make up at least `support` of the rows; all values where they are few.
    fn freq_items(&self, input: Resolved, columns: &[String], support: f64) -> Result<Resolved> {
        let columns = self.columns_named(&input, columns)?;
        if !(1e-4..=1.0).contains(&support) {
            return Err(SparkError::new("INVALID_PARAMETER_VALUE", [("support", support.to_string())])
                .with_message(format!("support must lie between 0.0001 and 1.0, not {support}.")));
        }
        let capacity = (1.0 / support) as usize;
        let mut items = vec![];
        for column in &columns {
            let distinct = self.distinct_count(column)?;
            let few = self.builtin("<=", vec![distinct, TypedExpr::int(capacity as i32)])?;
            let all = self.builtin("collect_set", vec![column.typed()])?;
            let frequent = self.frequent(&input, column, support)?;
            let typed = self.builtin("if", vec![few, all, frequent])?;
            let attribute = Attribute::new(format!("{}_freqItems", column.name), typed.data_type.clone(), true);
            items.push(SelectItem::Value(SelectValue { typed, attribute }));
        }
        Ok(Resolved { extend: None, ..self.build_aggregate(input, vec![], None, items)? })
    }

    /// The values of one column above the threshold, found by a query of its own.
    fn frequent(&self, input: &Resolved, column: &Attribute, support: f64) -> Result<TypedExpr> {
        let count = self.builtin("count", vec![TypedExpr::int(1)])?;
        let counted = Attribute::new("n", DataType::Long, false);
        let items = vec![
            SelectItem::Value(kept(column)),
            SelectItem::Value(SelectValue { typed: count.clone(), attribute: counted.clone() }),
        ];
        let grouped = self.build_aggregate(input.clone(), vec![column.typed()], None, items)?;
        let total_item = SelectValue { typed: count, attribute: Attribute::new("total", DataType::Long, false) };
        let total = self.build_aggregate(input.clone(), vec![], None, vec![SelectItem::Value(total_item)])?;
        let batches = self.collected(AnalyzedQuery { plan: total.plan.clone(), schema: total.schema() })?;
        let rows = batches
            .iter()
            .filter(|b| b.num_rows() > 0)
            .find_map(|b| b.column(0).as_any().downcast_ref::<arrow::array::Int64Array>().map(|a| a.value(0)))
            .unwrap_or(0);
        let least = literal::typed(&Literal::Long((support * rows as f64) as i64), &self.eval)?;
        let condition = self.builtin(">", vec![counted.typed(), least])?;
        let frequent = self.filter_typed(Resolved { extend: None, ..grouped }, condition.expr)?;
        let query = AnalyzedQuery { plan: frequent.plan.clone(), schema: frequent.schema() };
        let mut values = vec![];
        for batch in self.collected(query)? {
            for row in 0..batch.num_rows() {
                let value = datafusion::common::ScalarValue::try_from_array(batch.column(0), row)
                    .map_err(crate::from_datafusion)?;
                values.push(TypedExpr::literal(value, column.data_type.clone(), "value"));
            }
        }
        let list = self.builtin("array", values)?;
        cast(list, &DataType::array(column.data_type.clone(), true), CastMode::Legacy, &self.eval)
    }

    fn sample_by(
        &self,
        input: Resolved,
        column: &Expr,
        fractions: &[(Literal, f64)],
        seed: Option<i64>,
    ) -> Result<Resolved> {
        let column = self.expression(column, &Scope::of(&input))?;
        let mut arguments = vec![];
        for (stratum, fraction) in fractions {
            if !(0.0..=1.0).contains(fraction) {
                return Err(SparkError::new("INVALID_PARAMETER_VALUE", [("fraction", fraction.to_string())])
                    .with_message(format!("A fraction must lie between 0 and 1, not {fraction}.")));
            }
            let stratum = literal::typed(stratum, &self.eval)?;
            arguments.push(self.builtin("==", vec![column.clone(), stratum])?);
            arguments.push(literal::typed(&Literal::Double(*fraction), &self.eval)?);
        }
        let zero = literal::typed(&Literal::Double(0.0), &self.eval)?;
        let wanted = if arguments.is_empty() {
            zero
        } else {
            arguments.push(zero);
            self.builtin("when", arguments)?
        };
        let seed = seed.unwrap_or_else(|| uuid::Uuid::new_v4().as_u128() as i64);
        let random = self.builtin("rand", vec![literal::typed(&Literal::Long(seed), &self.eval)?])?;
        let condition = self.builtin("<", vec![random, wanted])?;
        self.filter_typed(input, condition.expr)
    }
}

/// `na` functions change columns of the value's family only: numbers, strings, booleans.
fn same_family(column: &DataType, value: &DataType) -> bool {
    (column.is_numeric() && value.is_numeric())
        || (column.is_string() && value.is_string())
        || (*column == DataType::Boolean && *value == DataType::Boolean)
}
