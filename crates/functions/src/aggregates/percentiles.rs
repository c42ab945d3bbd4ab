//! `percentile`, `percentile_cont`, `percentile_disc`, `median`: exact percentiles.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType as ArrowType, Float64Type, Int64Type, IntervalYearMonthType};
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError};

use super::buffered::{self, list_result};
use super::call::AggregateBuilder;
use super::entry;
use super::extremes::sort_indices;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::coerce;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{from_arrow, from_datafusion};
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// The wanted percentages; `None` for a NULL.
pub(super) fn percentages(value: &ScalarValue) -> Vec<Option<f64>> {
    match value {
        ScalarValue::Float64(p) => vec![*p],
        ScalarValue::List(list) => {
            let values = list.values();
            values.as_primitive_opt::<Float64Type>().map(|v| v.iter().collect()).unwrap_or_default()
        }
        _ => vec![],
    }
}

/// Values in order, each with the number of rows up to and including it.
fn sorted_counts(call: &AggregateCall, columns: &[ArrayRef]) -> Result<(ArrayRef, Vec<i64>)> {
    let options = SortOptions { descending: call.has_option("DESC"), nulls_first: false };
    let order = sort_indices(&[(Arc::clone(&columns[0]), options)])?;
    let values = arrow::compute::take(&columns[0], &order, None).map_err(from_arrow)?;
    let mut total = 0i64;
    let mut counts = Vec::with_capacity(values.len());
    let frequencies = match columns.get(1) {
        Some(column) => Some(arrow::compute::take(column, &order, None).map_err(from_arrow)?),
        None => None,
    };
    for row in 0..values.len() {
        let frequency = match &frequencies {
            Some(f) if f.is_null(row) => 0,
            Some(f) => f.as_primitive::<Int64Type>().value(row),
            None => 1,
        };
        if frequency < 0 {
            let parameters =
                [("frequencyExpression", format!("\"{frequency}\"")), ("negativeValue", format!("{frequency}L"))];
            return Err(SparkError::new("NEGATIVE_VALUES_IN_FREQUENCY_EXPRESSION", parameters));
        }
        total += frequency;
        counts.push(total);
    }
    Ok((values, counts))
}

/// Row that holds position `at` (from 0).
fn row_at(counts: &[i64], at: i64) -> usize {
    counts.partition_point(|c| *c <= at).min(counts.len().saturating_sub(1))
}

const EXACT: AggregateKernel = buffered::kernel(|call| buffered::accumulator(call, true, exact));

fn exact(call: &AggregateCall, columns: &[ArrayRef]) -> Result<ScalarValue> {
    let (values, counts) = sorted_counts(call, columns)?;
    let total = counts.last().copied().unwrap_or(0);
    let wanted = call.constants.first().cloned().unwrap_or(ScalarValue::Null);
    if total == 0 || wanted.is_null() {
        return Ok(crate::types::null_value(&call.return_type));
    }
    let numbers = as_doubles(&values)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    let discrete = call.has_option("disc");
    let at = |p: f64| {
        if discrete {
            let position = ((p * total as f64).ceil() as i64 - 1).max(0);
            return numbers.value(row_at(&counts, position));
        }
        let position = (total - 1) as f64 * p;
        let (lower, higher) = (position.floor(), position.ceil());
        let low = numbers.value(row_at(&counts, lower as i64));
        if lower == higher {
            return low;
        }
        let high = numbers.value(row_at(&counts, higher as i64));
        if low == high { low } else { (higher - position) * low + (position - lower) * high }
    };
    let results: Float64Array = percentages(&wanted).into_iter().map(|p| p.map(at)).collect();
    finish(call, Arc::new(results))
}

/// The doubles that a percentile is computed with.
pub(super) fn as_doubles(values: &ArrayRef) -> Result<ArrayRef> {
    // Arrow has no cast for months.
    if let Some(months) = values.as_primitive_opt::<IntervalYearMonthType>() {
        return Ok(Arc::new(months.unary::<_, Float64Type>(f64::from)));
    }
    let plain = match values.data_type() {
        ArrowType::Duration(_) | ArrowType::Timestamp(..) | ArrowType::Time64(_) => {
            arrow::compute::cast(values, &ArrowType::Int64)
        }
        ArrowType::Date32 => arrow::compute::cast(values, &ArrowType::Int32),
        _ => Ok(Arc::clone(values)),
    };
    plain.and_then(|p| arrow::compute::cast(&p, &ArrowType::Float64)).map_err(from_arrow)
}

/// One value, or all of them as an array, in the type of the result.
fn finish(call: &AggregateCall, doubles: ArrayRef) -> Result<ScalarValue> {
    let element = match call.return_arrow() {
        ArrowType::List(field) => field.data_type().clone(),
        other => other,
    };
    let values = match element {
        ArrowType::Float64 => doubles,
        ArrowType::Interval(_) => {
            let whole: arrow::array::IntervalYearMonthArray =
                doubles.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| v as i32)).collect();
            Arc::new(whole)
        }
        ArrowType::Duration(_) => {
            let whole: arrow::array::DurationMicrosecondArray =
                doubles.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| v as i64)).collect();
            Arc::new(whole)
        }
        _ => doubles,
    };
    match call.return_type {
        DataType::Array(..) => list_result(call, values),
        _ => ScalarValue::try_from_array(&values, 0).map_err(from_datafusion),
    }
}

/// The percentage argument as DOUBLE or ARRAY of DOUBLE, evaluated and checked.
pub(super) fn percentage_argument(
    builder: &AggregateBuilder<'_, '_>,
    percentage: &TypedExpr,
) -> Result<(ScalarValue, bool)> {
    let context = builder.context();
    let (to, array) = match &percentage.data_type {
        DataType::Array(element, _) => (DataType::array(DataType::Double, element.as_ref() == &DataType::Null), true),
        _ => (DataType::Double, false),
    };
    if !percentage.is_foldable() {
        return Err(builder.fail(quote::mismatch(
            "NON_FOLDABLE_INPUT",
            builder.sql(),
            [
                ("inputName", quote::sql_id("percentage")),
                ("inputType", "\"DOUBLE\"".to_string()),
                ("inputExpr", quote::sql_expr(&percentage.sql)),
            ],
        )));
    }
    let nullable_to = match &percentage.data_type {
        DataType::Array(_, nullable) => DataType::array(DataType::Double, *nullable),
        _ => to,
    };
    let value =
        super::call::constant(&coerce::implicit(percentage.clone(), &nullable_to, context.eval, &context.origin)?)?;
    if value.is_null() || percentages(&value).iter().any(Option::is_none) {
        let error = quote::mismatch("UNEXPECTED_NULL", builder.sql(), [("exprName", "percentage".to_string())]);
        return Err(builder.fail(error));
    }
    let wanted = percentages(&value);
    if let Some(Some(_)) = wanted.iter().find(|p| p.is_none_or(|p| !(0.0..=1.0).contains(&p))) {
        let show = |p: &Option<f64>| p.map_or("NULL".to_string(), |p| format!("{p:?}D"));
        let current = if array {
            format!("ARRAY({})", wanted.iter().map(show).collect::<Vec<_>>().join(", "))
        } else {
            wanted.first().map(show).unwrap_or_default()
        };
        return Err(builder.fail(quote::mismatch(
            "VALUE_OUT_OF_RANGE",
            builder.sql(),
            [
                ("exprName", "percentage".to_string()),
                ("valueRange", "[0.0, 1.0]".to_string()),
                ("currentValue", current),
            ],
        )));
    }
    Ok((value, array))
}

/// The type that an exact percentile of these values has.
fn exact_type(builder: &AggregateBuilder<'_, '_>, index: usize, value: &TypedExpr) -> Result<(TypedExpr, DataType)> {
    let data_type = value.data_type.clone();
    match data_type {
        DataType::YearMonthInterval(..) => Ok((value.clone(), DataType::YEAR_MONTH)),
        DataType::DayTimeInterval(..) => Ok((value.clone(), DataType::DAY_TIME)),
        _ => {
            let accepted =
                coerce::argument(builder.sql(), index, Accept::NumericOrInterval, value.clone(), builder.context())?;
            Ok((accepted, DataType::Double))
        }
    }
}

fn build_percentile(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let mut values = builder.take_values();
    let frequency = if values.len() == 3 { values.pop() } else { None };
    let frequency_sql = frequency.as_ref().map_or("1", |f| f.sql.as_str());
    let distinct = if builder.is_distinct() { "DISTINCT " } else { "" };
    builder.set_sql(format!("percentile({distinct}{}, {}, {frequency_sql})", values[0].sql, values[1].sql));
    let (value, element) = exact_type(&builder, 0, &values[0])?;
    let (wanted, array) = percentage_argument(&builder, &values[1])?;
    let mut inputs = vec![value];
    if let Some(frequency) = frequency {
        let accepted = coerce::argument(builder.sql(), 2, Accept::Integral, frequency, context)?;
        inputs.push(coerce::implicit(accepted, &DataType::Long, context.eval, &context.origin)?);
    }
    builder.set_values(inputs);
    let result = if array { DataType::array(element, false) } else { element };
    builder.finish("percentile", EXACT, result, true, vec![], vec![wanted])
}

fn build_within_group(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name =
        if context.called_as.eq_ignore_ascii_case("percentile_disc") { "percentile_disc" } else { "percentile_cont" };
    let fail = |condition: &str, extra: Vec<(&str, String)>| {
        let mut parameters = vec![("funcName", quote::sql_id(name))];
        parameters.extend(extra);
        Err(SparkError::new(format!("INVALID_WITHIN_GROUP_EXPRESSION.{condition}"), parameters)
            .with_origin(context.origin.as_ref()))
    };
    let mut builder = AggregateBuilder::new(context, arguments)?;
    if builder.is_distinct() {
        return fail("DISTINCT_UNSUPPORTED", vec![]);
    }
    let mut order = std::mem::take(&mut builder.order_by);
    let key = match (order.pop(), order.len()) {
        (None, _) => return fail("WITHIN_GROUP_MISSING", vec![]),
        (Some(key), 0) => key,
        (Some(_), more) => {
            return fail(
                "WRONG_NUM_ORDERINGS",
                vec![("expectedNum", "1".to_string()), ("actualNum", (more + 1).to_string())],
            );
        }
    };
    let values = builder.take_values();
    let [percentage] = values.as_slice() else {
        return Err(crate::registry::wrong_num_args(name, 1, 1, values.len()));
    };
    let suffix = if key.ascending { "" } else { " DESC" };
    builder.set_sql(format!("{name}({}) WITHIN GROUP (ORDER BY {}{suffix})", percentage.sql, key.expr.sql));
    let (value, element) = exact_type(&builder, 0, &key.expr)?;
    let (wanted, array) = percentage_argument(&builder, percentage)?;
    builder.set_values(vec![value]);
    let mut options = vec![];
    if !key.ascending {
        options.push("DESC".to_string());
    }
    if name == "percentile_disc" {
        options.push("disc".to_string());
    }
    let result = if array { DataType::array(element, false) } else { element };
    builder.finish(name, EXACT, result, true, options, vec![wanted])
}

fn build_median(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let value = builder.take_values().swap_remove(0);
    let (value, element) = exact_type(&builder, 0, &value)?;
    builder.set_values(vec![value]);
    builder.finish("median", EXACT, element, true, vec![], vec![ScalarValue::Float64(Some(0.5))])
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "percentile",
        &[],
        build_percentile,
        "percentile(col, percentage[, frequency]) - The exact value at percentage (0.0 to 1.0), or an array of them.",
        "SELECT percentile(col, 0.3) FROM VALUES (0), (10) AS tab(col)",
        "3.0",
        "2.1.0"
    ),
    entry!(
        "percentile_cont",
        &[],
        build_within_group,
        "percentile_cont(percentage) WITHIN GROUP (ORDER BY col) - The interpolated value at percentage.",
        "SELECT percentile_cont(0.25) WITHIN GROUP (ORDER BY col) FROM VALUES (0), (10) AS tab(col)",
        "2.5",
        "4.0.0"
    ),
    entry!(
        "percentile_disc",
        &[],
        build_within_group,
        "percentile_disc(percentage) WITHIN GROUP (ORDER BY col) - The first value whose share is at least percentage.",
        "SELECT percentile_disc(0.25) WITHIN GROUP (ORDER BY col) FROM VALUES (0), (10) AS tab(col)",
        "0.0",
        "4.0.0"
    ),
    entry!(
        "median",
        &[],
        build_median,
        "median(col) - The middle value.",
        "SELECT median(col) FROM VALUES (0), (10) AS tab(col)",
        "5.0",
        "3.4.0"
    ),
];
