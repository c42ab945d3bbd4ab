//! `collect_list`, `collect_set`, `listagg`, `mode`, `histogram_numeric`.
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType as ArrowType, Float64Type};
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError, StructField};
use indexmap::IndexMap;

use super::buffered::{self, list_result};
use super::call::{AggregateBuilder, order_sql};
use super::entry;
use super::extremes::sort_indices;
use super::grouped;
use super::udaf::{AggregateCall, AggregateKernel};
use super::wrappers::normalise_floats;
use crate::java_hash;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, OrderBy};
use crate::scalar::{from_arrow, from_datafusion};
use crate::signature::Accept;
use crate::typed::TypedExpr;

const LIST: AggregateKernel = AggregateKernel {
    groups: Some(|call| {
        grouped::accumulator(call, skips_nulls(call), |call, columns, offsets| {
            grouped::lists(call, Arc::clone(&columns[0]), offsets)
        })
    }),
    ..buffered::kernel(|call| {
        buffered::accumulator(call, skips_nulls(call), |call, columns| list_result(call, Arc::clone(&columns[0])))
    })
};
const SET: AggregateKernel = AggregateKernel {
    groups: Some(|call| grouped::accumulator(call, skips_nulls(call), distinct_lists)),
    ..buffered::kernel(|call| {
        buffered::accumulator(call, skips_nulls(call), |call, columns| list_result(call, distinct(&columns[0])?))
    })
};

fn skips_nulls(call: &AggregateCall) -> bool {
    !call.has_option("keep nulls")
}

/// [`distinct`] of each group.
fn distinct_lists(call: &AggregateCall, columns: &[ArrayRef], offsets: &OffsetBuffer<i32>) -> Result<ArrayRef> {
    let values = &columns[0];
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())]).map_err(from_arrow)?;
    let rows = converter.convert_columns(&[normalise_floats(values)]).map_err(from_arrow)?;
    let (mut firsts, mut lengths, mut seen) = (vec![], vec![], HashSet::new());
    for range in offsets.windows(2) {
        let before = firsts.len();
        seen.clear();
        firsts.extend((range[0] as u32..range[1] as u32).filter(|row| seen.insert(rows.row(*row as usize))));
        lengths.push(firsts.len() - before);
    }
    let values = arrow::compute::take(values, &UInt32Array::from(firsts), None).map_err(from_arrow)?;
    // No list is longer than the one that it came from, whose offsets fit.
    grouped::lists(call, values, &OffsetBuffer::from_lengths(lengths))
}

/// Each value once, in order of first appearance.
fn distinct(values: &ArrayRef) -> Result<ArrayRef> {
    let groups = group(values)?;
    let firsts: arrow::array::UInt32Array = groups.values().map(|(first, _)| *first).collect::<Vec<u32>>().into();
    arrow::compute::take(values, &firsts, None).map_err(from_arrow)
}

/// First row and number of rows of each value.
fn group(values: &ArrayRef) -> Result<IndexMap<Box<[u8]>, (u32, i64)>> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())]).map_err(from_arrow)?;
    let rows = converter.convert_columns(&[normalise_floats(values)]).map_err(from_arrow)?;
    let mut groups: IndexMap<Box<[u8]>, (u32, i64)> = IndexMap::new();
    for (index, row) in rows.iter().enumerate() {
        match groups.get_mut(row.data()) {
            Some((_, count)) => *count += 1,
            None => {
                groups.insert(row.data().into(), (index as u32, 1));
            }
        }
    }
    Ok(groups)
}

fn build_collect(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let set = context.called_as.eq_ignore_ascii_case("collect_set");
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let value = builder.value(0).clone();
    let distinct = if builder.is_distinct() { "DISTINCT " } else { "" };
    let name = if set { "collect_set" } else { "collect_list" };
    builder.set_sql(format!("{name}({distinct}{})", value.sql));
    if set && holds_map(&value.data_type) {
        let error = quote::mismatch(
            "UNSUPPORTED_INPUT_TYPE",
            builder.sql(),
            [
                ("functionName", quote::sql_id("collect_set")),
                ("dataType", "\"MAP\" or \"COLLATED STRING\"".to_string()),
            ],
        );
        return Err(builder.fail(error));
    }
    let keep = builder.ignore_nulls == Some(false);
    let options = if keep { vec!["keep nulls".to_string()] } else { vec![] };
    let result = DataType::array(value.data_type, keep);
    builder.finish(name, if set { SET } else { LIST }, result, false, options, vec![])
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::Array(element, _) => holds_map(element),
        DataType::Struct(fields) => fields.fields.iter().any(|f| holds_map(&f.data_type)),
        _ => false,
    }
}

/// Sort options of a key, from what [`super::call::direction_option`] wrote.
pub fn sort_options(option: &str) -> SortOptions {
    SortOptions { descending: option.starts_with("DESC"), nulls_first: option.ends_with("FIRST") }
}

const LISTAGG: AggregateKernel = AggregateKernel {
    groups: Some(|call| {
        grouped::accumulator(call, true, |call, columns, offsets| grouped::each(call, columns, offsets, join))
    }),
    ..buffered::kernel(|call| buffered::accumulator(call, true, join))
};

/// Argument 0 is the value, the rest are keys.
fn join(call: &AggregateCall, columns: &[ArrayRef]) -> Result<ScalarValue> {
    let (values, keys) = columns.split_first().ok_or_else(|| SparkError::internal("listagg without a value"))?;
    if values.is_empty() {
        return Ok(crate::types::null_value(&call.return_type));
    }
    let keys: Vec<(ArrayRef, SortOptions)> =
        keys.iter().enumerate().map(|(i, k)| (Arc::clone(k), sort_options(call.option(i)))).collect();
    let sorted = if keys.is_empty() {
        Arc::clone(values)
    } else {
        arrow::compute::take(values, &sort_indices(&keys)?, None).map_err(from_arrow)?
    };
    if let Some(binary) = sorted.as_binary_opt::<i32>() {
        let separator: &[u8] = match call.constants.first() {
            Some(ScalarValue::Binary(Some(bytes))) => bytes,
            _ => &[],
        };
        let parts: Vec<&[u8]> = binary.iter().flatten().collect();
        return Ok(ScalarValue::Binary(Some(parts.join(separator))));
    }
    let separator = call.constants.first().and_then(|s| s.try_as_str().flatten()).unwrap_or_default();
    let parts: Vec<&str> = sorted.as_string::<i32>().iter().flatten().collect();
    Ok(ScalarValue::Utf8(Some(parts.join(separator))))
}

fn build_listagg(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let name = if context.called_as == "string_agg" { "string_agg" } else { "listagg" };
    let mut builder = AggregateBuilder::new(context, arguments)?;
    if builder.values().len() == 1 {
        let mut values = builder.take_values();
        values.push(TypedExpr::null(DataType::Null));
        builder.set_values(values);
    }
    let texts: Vec<String> = builder.values().iter().map(|v| v.sql.clone()).collect();
    let distinct = if builder.is_distinct() { "DISTINCT " } else { "" };
    let order = std::mem::take(&mut builder.order_by);
    let within =
        if order.is_empty() { String::new() } else { format!(" WITHIN GROUP (ORDER BY {})", order_sql(&order)) };
    // With an order only the first of its names is shown.
    let shown = if within.is_empty() { name } else { "listagg" };
    builder.set_sql(format!("{shown}({distinct}{}){within}", texts.join(", ")));
    let accept = if builder.value(0).data_type == DataType::Binary { Accept::Binary } else { Accept::String };
    builder.accept(&[accept, accept])?;
    let separator = builder.constant(1, "delimiter")?;
    let data_type = builder.value(0).data_type.clone();
    if builder.is_distinct() && !order.is_empty() && !ordered_by_itself(&texts[0], &order) {
        let error = SparkError::new(
            "INVALID_WITHIN_GROUP_EXPRESSION.MISMATCH_WITH_DISTINCT_INPUT",
            [
                ("funcName", quote::sql_id(name)),
                ("funcArg", quote::sql_expr(&texts[0])),
                ("orderingExpr", quote::sql_expr(&order_sql(&order))),
            ],
        );
        return Err(builder.fail(error));
    }
    let mut values = builder.take_values();
    values.truncate(1);
    builder.set_values(values);
    builder.order_by = order;
    let options = builder.order_as_arguments();
    builder.finish(name, LISTAGG, data_type, true, options, vec![separator])
}

/// With DISTINCT only the value itself can be the key.
fn ordered_by_itself(value: &str, order: &[OrderBy]) -> bool {
    let inner = |sql: &str| sql.strip_prefix("CAST(").and_then(|s| s.rsplit_once(" AS ")).map(|(s, _)| s.to_string());
    order.len() == 1 && order.iter().all(|k| k.expr.sql == value || inner(value).as_deref() == Some(&k.expr.sql))
}

const MODE: AggregateKernel = AggregateKernel {
    groups: Some(|call| {
        grouped::accumulator(call, true, |call, columns, offsets| grouped::each(call, columns, offsets, most_frequent))
    }),
    ..buffered::kernel(|call| buffered::accumulator(call, true, most_frequent))
};

fn most_frequent(call: &AggregateCall, columns: &[ArrayRef]) -> Result<ScalarValue> {
    let values = &columns[0];
    let groups = group(values)?;
    let Some(most) = groups.values().map(|(_, count)| *count).max() else {
        return Ok(crate::types::null_value(&call.return_type));
    };
    let frequent = groups.iter().filter(|(_, (_, count))| *count == most).map(|(key, (first, _))| (key, *first));
    let best = match call.option(0) {
        "ASC" => frequent.min_by_key(|(key, _)| *key).map(|(_, first)| first),
        "DESC" => frequent.max_by_key(|(key, _)| *key).map(|(_, first)| first),
        _ => first_in_table(values, &groups, most)?,
    };
    let best = best.ok_or_else(|| SparkError::internal("a mode without values"))?;
    ScalarValue::try_from_array(values, best as usize).map_err(from_datafusion)
}

/// Without an order the first of the most frequent is taken, as Spark's table has them in the end: a table is filled by
/// the rows, one from it when it is sent, and one from that where all are brought together.
fn first_in_table(values: &ArrayRef, groups: &IndexMap<Box<[u8]>, (u32, i64)>, most: i64) -> Result<Option<u32>> {
    let hash_codes = java_hash::of_values(values)?;
    let mut keys: Vec<(u32, i64)> = groups.values().copied().collect();
    for _ in 0..3 {
        let codes: Vec<i32> = keys.iter().map(|(first, _)| hash_codes[*first as usize]).collect();
        keys = java_hash::table_order(&codes).into_iter().map(|index| keys[index]).collect();
    }
    Ok(keys.into_iter().find(|(_, count)| *count == most).map(|(first, _)| first))
}

fn build_mode(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let order = std::mem::take(&mut builder.order_by);
    if builder.is_distinct() && !order.is_empty() {
        return Err(builder
            .fail(SparkError::new("INVALID_WITHIN_GROUP_EXPRESSION.DISTINCT_UNSUPPORTED", [("funcName", "`mode`")])));
    }
    let (value, direction) = match (builder.values().len(), order.as_slice()) {
        (0, [key]) => {
            // The smallest of the most frequent is taken from the end of a descending order.
            let direction = if key.ascending { "ASC" } else { "DESC" };
            // Spark shows the order it goes by, which is the other one.
            let suffix = if key.ascending { " DESC" } else { "" };
            builder.set_sql(format!("mode() WITHIN GROUP (ORDER BY {}{suffix})", key.expr.sql));
            (key.expr.clone(), direction)
        }
        (0, []) => {
            let error =
                SparkError::new("INVALID_WITHIN_GROUP_EXPRESSION.WITHIN_GROUP_MISSING", [("funcName", "`mode`")]);
            return Err(builder.fail(error));
        }
        (0, keys) => {
            let error = SparkError::new(
                "INVALID_WITHIN_GROUP_EXPRESSION.WRONG_NUM_ORDERINGS",
                [
                    ("funcName", "`mode`".to_string()),
                    ("expectedNum", "1".to_string()),
                    ("actualNum", keys.len().to_string()),
                ],
            );
            return Err(builder.fail(error));
        }
        (1 | 2, [_, ..]) => {
            let error = SparkError::new(
                "INVALID_WITHIN_GROUP_EXPRESSION.WRONG_NUM_ORDERINGS",
                [
                    ("funcName", "`mode`".to_string()),
                    ("expectedNum", "0".to_string()),
                    ("actualNum", order.len().to_string()),
                ],
            );
            return Err(builder.fail(error));
        }
        (1 | 2, []) => {
            let deterministic = match builder.values().get(1) {
                Some(_) => builder.constant(1, "deterministic")? == ScalarValue::Boolean(Some(true)),
                None => false,
            };
            let value = builder.value(0).clone();
            if deterministic {
                builder.set_sql(format!("mode() WITHIN GROUP (ORDER BY {} DESC)", value.sql));
            } else {
                let distinct = if builder.is_distinct() { "DISTINCT " } else { "" };
                builder.set_sql(format!("mode({distinct}{})", value.sql));
            }
            (value, if deterministic { "ASC" } else { "" })
        }
        (count, _) => return Err(crate::registry::wrong_num_args("mode", 0, 2, count)),
    };
    let data_type = value.data_type.clone();
    builder.set_values(vec![value]);
    builder.finish("mode", MODE, data_type, true, vec![direction.to_string()], vec![])
}

const HISTOGRAM: AggregateKernel = buffered::kernel(|call| buffered::accumulator(call, true, histogram));

/// Values are added one by one; beyond the limit the two nearest bins merge.
fn histogram(call: &AggregateCall, columns: &[ArrayRef]) -> Result<ScalarValue> {
    let doubles = arrow::compute::cast(&columns[0], &ArrowType::Float64)
        .or_else(|_| {
            arrow::compute::cast(&columns[0], &ArrowType::Int64)
                .and_then(|a| arrow::compute::cast(&a, &ArrowType::Float64))
        })
        .map_err(from_arrow)?;
    let limit = match call.constants.first() {
        Some(ScalarValue::Int32(Some(n))) => usize::try_from(*n).unwrap_or(2),
        _ => 2,
    };
    if doubles.is_empty() {
        return Ok(crate::types::null_value(&call.return_type));
    }
    let mut bins: Vec<(f64, f64)> = vec![];
    for value in doubles.as_primitive::<Float64Type>().iter().flatten() {
        match bins.binary_search_by(|bin| bin.0.total_cmp(&value)) {
            Ok(at) => bins[at].1 += 1.0,
            Err(at) => {
                bins.insert(at, (value, 1.0));
                if bins.len() > limit {
                    merge_nearest(&mut bins);
                }
            }
        }
    }
    let ArrowType::List(field) = call.return_arrow() else { return Ok(ScalarValue::Null) };
    let ArrowType::Struct(fields) = field.data_type() else { return Ok(ScalarValue::Null) };
    let centres: ArrayRef = Arc::new(Float64Array::from_iter_values(bins.iter().map(|b| b.0)));
    let centres = match fields[0].data_type() {
        ArrowType::Float64 => centres,
        // Integers and dates are cut, as a cast of Java does.
        other => {
            let longs = arrow::compute::cast(&centres, &ArrowType::Int64).map_err(from_arrow)?;
            let narrow = if matches!(other, ArrowType::Date32 | ArrowType::Interval(_)) {
                arrow::compute::cast(&longs, &ArrowType::Int32).map_err(from_arrow)?
            } else {
                longs
            };
            arrow::compute::cast(&centres, other)
                .or_else(|_| arrow::compute::cast(&narrow, other))
                .map_err(from_arrow)?
        }
    };
    let heights: ArrayRef = Arc::new(Float64Array::from_iter_values(bins.iter().map(|b| b.1)));
    let rows = arrow::array::StructArray::try_new(fields.clone(), vec![centres, heights], None).map_err(from_arrow)?;
    list_result(call, Arc::new(rows))
}

fn merge_nearest(bins: &mut Vec<(f64, f64)>) {
    let gap = |at: usize| bins[at + 1].0 - bins[at].0;
    let at = (0..bins.len() - 1).min_by(|a, b| gap(*a).total_cmp(&gap(*b))).unwrap_or(0);
    let (a, b) = (bins[at], bins.remove(at + 1));
    let height = a.1 + b.1;
    bins[at] = ((a.0 * a.1 + b.0 * b.1) / height, height);
}

fn build_histogram(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 2)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let input = builder.value(0).data_type.clone();
    let known = input.is_numeric() || input.is_datetime() || input.is_ansi_interval() || input == DataType::Null;
    if !known {
        let required = "\"NUMERIC\" or \"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\" or \"ANSI INTERVAL\"".to_string();
        let error = quote::unexpected_input_type(builder.sql(), 0, required, &builder.value(0).sql, &input);
        return Err(builder.fail(error));
    }
    builder.accept(&[Accept::Any, Accept::Integer])?;
    let bins = builder.constant(1, "nBins")?;
    match bins {
        ScalarValue::Int32(Some(n)) if n >= 2 => {}
        ScalarValue::Int32(None) => {
            return Err(builder.fail(quote::mismatch(
                "UNEXPECTED_NULL",
                builder.sql(),
                [("exprName", "nb".to_string())],
            )));
        }
        other => {
            let parameters = [
                ("exprName", "nb".to_string()),
                ("valueRange", "[2, 2147483647]".to_string()),
                ("currentValue", other.to_string()),
            ];
            return Err(builder.fail(quote::mismatch("VALUE_OUT_OF_RANGE", builder.sql(), parameters)));
        }
    }
    let centre = if input.is_decimal() || input == DataType::Null { DataType::Double } else { input };
    let row =
        DataType::structure(vec![StructField::new("x", centre, true), StructField::new("y", DataType::Double, true)]);
    let mut values = builder.take_values();
    values.truncate(1);
    builder.set_values(values);
    builder.finish("histogram_numeric", HISTOGRAM, DataType::array(row, true), true, vec![], vec![bins])
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "collect_list",
        &["array_agg"],
        build_collect,
        "collect_list(expr) - An array of the values of a group, NULLs left out.",
        "SELECT collect_list(col) FROM VALUES (1), (2), (1) AS tab(col)",
        "[1,2,1]",
        "2.0.0"
    ),
    entry!(
        "collect_set",
        &[],
        build_collect,
        "collect_set(expr) - An array of the different values of a group, NULLs left out.",
        "SELECT collect_set(col) FROM VALUES (1), (2), (1) AS tab(col)",
        "[1,2]",
        "2.0.0"
    ),
    entry!(
        "listagg",
        &["string_agg"],
        build_listagg,
        "listagg(expr[, delimiter]) [WITHIN GROUP (ORDER BY key)] - The values of a group that are not NULL, joined.",
        "SELECT listagg(col, '|') FROM VALUES ('a'), ('b') AS tab(col)",
        "a|b",
        "4.0.0"
    ),
    entry!(
        "mode",
        &[],
        build_mode,
        "mode(col[, deterministic]) - The most frequent value of a group.",
        "SELECT mode(col) FROM VALUES (0), (10), (10) AS tab(col)",
        "10",
        "3.4.0"
    ),
    entry!(
        "histogram_numeric",
        &[],
        build_histogram,
        "histogram_numeric(expr, nb) - A histogram of a group with at most nb bins of unequal width.",
        "SELECT histogram_numeric(col, 5) FROM VALUES (0), (1), (2), (10) AS tab(col)",
        "[{\"x\":0,\"y\":1.0},{\"x\":1,\"y\":1.0},{\"x\":2,\"y\":1.0},{\"x\":10,\"y\":1.0}]",
        "3.3.0"
    ),
];
