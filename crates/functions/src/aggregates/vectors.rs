//! `vector_sum`, `vector_avg`: element by element.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::buffered::{accumulator as buffer, kernel, list_result};
use super::call::AggregateBuilder;
use super::udaf::AggregateCall;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::vectors::{dimension_mismatch, expect_vector};

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    buffer(call, true, finish)
}

/// Vectors with a NULL in them do not count.
fn finish(call: &AggregateCall, columns: &[ArrayRef]) -> Result<ScalarValue> {
    let mut totals: Option<(Vec<f64>, u64)> = None;
    let lists = columns.first().and_then(|c| c.as_list_opt::<i32>());
    for list in lists.iter().flat_map(|lists| lists.iter().flatten()) {
        let Some(vector) = list.as_primitive_opt::<arrow::datatypes::Float32Type>() else { continue };
        if vector.null_count() > 0 {
            continue;
        }
        let (sums, count) = totals.get_or_insert_with(|| (vec![0.0; vector.len()], 0));
        if sums.len() != vector.len() {
            return Err(dimension_mismatch(call.name, sums.len(), vector.len()));
        }
        sums.iter_mut().zip(vector.values()).for_each(|(sum, x)| *sum += f64::from(*x));
        *count += 1;
    }
    let Some((sums, count)) = totals else {
        return ScalarValue::try_from(&call.return_arrow()).map_err(crate::scalar::from_datafusion);
    };
    let divisor = if call.name == "vector_avg" { count as f64 } else { 1.0 };
    let result: Float32Array = sums.into_iter().map(|sum| Some((sum / divisor) as f32)).collect();
    list_result(call, Arc::new(result))
}

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let name = if context.called_as == "vector_avg" { "vector_avg" } else { "vector_sum" };
    let builder = AggregateBuilder::new(context, arguments)?;
    expect_vector(builder.sql(), 0, builder.value(0)).map_err(|error| builder.fail(error))?;
    let result = DataType::array(DataType::Float, false);
    builder.finish(name, kernel(accumulator), result, true, vec![], vec![])
}

macro_rules! entry {
    ($name:literal, $usage:literal, $sql:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Aggregate,
            group: "agg_funcs",
            parameters: &[],
            build: Build::Custom(build),
            usage: $usage,
            examples: &[($sql, $result)],
            since: "4.2.0",
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "vector_sum",
        "vector_sum(expr) - The sum of the vectors of a group.",
        "SELECT vector_sum(c) FROM VALUES (array(1F)), (array(2F)) t(c)",
        "[3.0]"
    ),
    entry!(
        "vector_avg",
        "vector_avg(expr) - The mean of the vectors of a group.",
        "SELECT vector_avg(c) FROM VALUES (array(1F)), (array(2F)) t(c)",
        "[1.5]"
    ),
];
