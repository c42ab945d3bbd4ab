//! `percentile_approx`, from a summary of the values.
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, IntervalYearMonthArray,
};
use arrow::datatypes::{DataType as ArrowType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::buffered::list_result;
use super::call::{AggregateBuilder, constant};
use super::percentiles::{as_doubles, percentage_argument, percentages};
use super::quantile_summary::QuantileSummary;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::cast::numeric::rescale_wide;
use crate::coerce;
use crate::decimal;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{from_arrow, from_datafusion};
use crate::signature::Accept;
use crate::typed::TypedExpr;

struct Approximate {
    call: Arc<AggregateCall>,
    summary: QuantileSummary,
}

impl std::fmt::Debug for Approximate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.call.name)
    }
}

impl Approximate {
    fn result(&mut self) -> Result<ScalarValue> {
        let wanted = self.call.constants.first().map(percentages).unwrap_or_default();
        let wanted: Vec<f64> = wanted.into_iter().flatten().collect();
        let Some(found) = self.summary.query(&wanted).filter(|found| !found.is_empty()) else {
            return Ok(crate::types::null_value(&self.call.return_type));
        };
        let element = match self.call.return_arrow() {
            ArrowType::List(field) => field.data_type().clone(),
            other => other,
        };
        let values = from_doubles(&found, &element)?;
        match self.call.return_type {
            DataType::Array(..) => list_result(&self.call, values),
            _ => ScalarValue::try_from_array(&values, 0).map_err(from_datafusion),
        }
    }
}

/// Doubles in the type that the values came in.
fn from_doubles(found: &[f64], element: &ArrowType) -> Result<ArrayRef> {
    let doubles = || found.iter().copied();
    Ok(match element {
        ArrowType::Decimal128(precision, scale) => {
            let decimal = |v| decimal::from_double(v).and_then(|(v, s)| rescale_wide(v, s, *precision, *scale));
            let values: Decimal128Array = doubles().map(decimal).collect();
            Arc::new(values.with_precision_and_scale(*precision, *scale).map_err(from_arrow)?)
        }
        ArrowType::Float64 => Arc::new(doubles().map(Some).collect::<Float64Array>()),
        ArrowType::Float32 => Arc::new(doubles().map(|v| Some(v as f32)).collect::<Float32Array>()),
        ArrowType::Interval(_) => Arc::new(doubles().map(|v| Some(v as i32)).collect::<IntervalYearMonthArray>()),
        ArrowType::Date32 => Arc::new(doubles().map(|v| Some(v as i32)).collect::<Date32Array>()),
        other => {
            let longs = doubles().map(|v| v as i64).collect::<Int64Array>();
            arrow::compute::cast(&longs, other).map_err(from_arrow)?
        }
    })
}

impl Accumulator for Approximate {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let doubles = as_doubles(values).map_err(crate::external)?;
        doubles.as_primitive::<Float64Type>().iter().flatten().for_each(|v| self.summary.insert(v));
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        self.result().or_else(|error| self.call.fail(error))
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.summary.size()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.summary.to_bytes()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for bytes in states.iter().filter_map(|s| s.as_binary_opt::<i32>()).flat_map(|s| s.iter().flatten()) {
            if let Some(other) = QuantileSummary::from_bytes(bytes) {
                self.summary.merge(other);
            }
        }
        Ok(())
    }
}

const KERNEL: AggregateKernel = AggregateKernel {
    accumulator: |call| {
        let accuracy = match call.constants.get(1) {
            Some(ScalarValue::Int64(Some(accuracy))) => *accuracy as f64,
            _ => 10_000.0,
        };
        Ok(Box::new(Approximate { call: Arc::clone(call), summary: QuantileSummary::new(1.0 / accuracy) }))
    },
    groups: None,
    state: |_| vec![ArrowType::Binary],
};

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let mut values = builder.take_values();
    if values.len() == 2 {
        values.push(TypedExpr::int(10_000));
    }
    let distinct = if builder.is_distinct() { "DISTINCT " } else { "" };
    let texts: Vec<&str> = values.iter().map(|v| v.sql.as_str()).collect();
    builder.set_sql(format!("{}({distinct}{})", context.called_as.to_lowercase(), texts.join(", ")));
    let input = values[0].data_type.clone();
    let known =
        input.is_numeric() || input.is_datetime() || input.is_ansi_interval() || matches!(input, DataType::Time(_));
    let value = if known {
        values[0].clone()
    } else if input.is_string() || input == DataType::Null {
        coerce::implicit(values[0].clone(), &DataType::Double, context.eval, &context.origin)?
    } else {
        let required = "\"NUMERIC\" or \"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\" or \"ANSI INTERVAL\"".to_string();
        return Err(builder.fail(quote::unexpected_input_type(builder.sql(), 0, required, &values[0].sql, &input)));
    };
    if !values[2].is_foldable() {
        let error = quote::mismatch(
            "NON_FOLDABLE_INPUT",
            builder.sql(),
            [
                ("inputName", quote::sql_id("accuracy")),
                ("inputType", quote::sql_type(&values[2].data_type)),
                ("inputExpr", quote::sql_expr(&values[2].sql)),
            ],
        );
        return Err(builder.fail(error));
    }
    let accuracy = coerce::argument(builder.sql(), 2, Accept::Integral, values[2].clone(), context)?;
    let accuracy = coerce::implicit(accuracy, &DataType::Long, context.eval, &context.origin)?;
    let accuracy = constant(&accuracy)?;
    match accuracy {
        ScalarValue::Int64(Some(a)) if (1..=i64::from(i32::MAX)).contains(&a) => {}
        ScalarValue::Int64(Some(a)) => {
            let parameters = [
                ("exprName", "accuracy".to_string()),
                ("valueRange", "(0, 2147483647]".to_string()),
                ("currentValue", format!("{a}L")),
            ];
            return Err(builder.fail(quote::mismatch("VALUE_OUT_OF_RANGE", builder.sql(), parameters)));
        }
        _ => {
            let parameters = [("exprName", "accuracy".to_string())];
            return Err(builder.fail(quote::mismatch("UNEXPECTED_NULL", builder.sql(), parameters)));
        }
    }
    let (wanted, array) = percentage_argument(&builder, &values[1])?;
    let element = value.data_type.clone();
    builder.set_values(vec![value]);
    let result = if array { DataType::array(element, false) } else { element };
    builder.finish("percentile_approx", KERNEL, result, true, vec![], vec![wanted, accuracy])
}

pub static FUNCTIONS: &[Function] = &[Function {
    name: "percentile_approx",
    aliases: &["approx_percentile"],
    kind: FunctionKind::Aggregate,
    group: "agg_funcs",
    parameters: &[],
    build: Build::Custom(build),
    usage: "percentile_approx(col, percentage[, accuracy]) - The smallest value with at least that share of values not above it.",
    examples: &[(
        "SELECT percentile_approx(col, array(0.5, 0.4, 0.1), 100) FROM VALUES (0), (1), (2), (10) AS tab(col)",
        "[1,1,0]",
    )],
    since: "2.1.0",
}];
