//! `sort_array`, `array_min`, `array_max`, `shuffle`. (`array_sort` takes a lambda: see `higher_order`.)
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use firesteel_plan::{DataType, Result};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::{GROUP, array_argument, cast_to, kernel_call, require_orderable};
use crate::mismatch::{self, sql_of};
use crate::nested::{Gather, Lists, element_type};
use crate::ordering::Order;
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;

fn build_sort_array(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    let name = "sort_array";
    arguments.expect(context.called_as, 1, 2)?;
    if arguments.values.len() == 1 {
        arguments.values.push(TypedExpr::boolean(true));
    }
    let sql = sql_of(context, &arguments.values);
    let (array, ascending) = arguments.two(context.called_as)?;
    let array = array_argument(&sql, 0, array)?;
    if !array.element.is_orderable() {
        return Err(mismatch::not_orderable(name, &sql, &array.expr.data_type));
    }
    if !matches!(ascending.data_type, DataType::Boolean | DataType::Null) {
        return Err(mismatch::unexpected_input(&sql, 1, &ascending, "\"BOOLEAN\""));
    }
    let (data_type, nullable) = (array.expr.data_type.clone(), array.expr.nullable || ascending.nullable);
    let args = vec![array.expr, cast_to(context, ascending, &DataType::Boolean)?];
    kernel_call(context, name, sort_array, args, data_type, nullable, sql)
}

fn sort_array(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let ascending = args.array(1)?;
    let ascending = crate::scalar::as_boolean(&ascending)?;
    sort_rows(args, |row| ascending.is_valid(row).then(|| ascending.value(row)), true)
}

/// Sorts each row's elements; `ascending` of a row, or none for a NULL result.
/// `nulls_follow`: NULLs come first ascending and last descending; otherwise they are always last.
pub(crate) fn sort_rows(
    args: &ScalarArgs<'_>,
    ascending: impl Fn(usize) -> Option<bool>,
    nulls_follow: bool,
) -> Result<ArrayRef> {
    let lists = Lists::of(&args.array(0)?)?;
    let order = match args.return_type {
        DataType::Array(element, _) => Order::of(element)?,
        other => Order::of(other)?,
    };
    let keys = order.keys(&lists.values)?;
    let nulls = lists.values.logical_nulls();
    let is_null = |i: usize| nulls.as_ref().is_some_and(|n| n.is_null(i));
    let mut out = Gather::new(vec![lists.values.clone()], &element_type(args.return_type)?, args.rows)?;
    let mut indices = Vec::new();
    for row in 0..args.rows {
        let (false, Some(ascending)) = (lists.is_null(row), ascending(row)) else {
            out.null_row()?;
            continue;
        };
        indices.clear();
        indices.extend(lists.range(row).filter(|i| !is_null(*i)));
        indices.sort_by(|a, b| {
            let order = keys.row(*a).cmp(&keys.row(*b));
            if ascending { order } else { order.reverse() }
        });
        let null_count = lists.size(row) - indices.len();
        if nulls_follow && ascending {
            out.push_nulls(null_count);
        }
        out.extend(0, indices.iter().copied());
        if !(nulls_follow && ascending) {
            out.push_nulls(null_count);
        }
        out.end_row()?;
    }
    out.finish(args.return_type)
}

fn build_extreme(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    greatest: bool,
) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let array = array_argument(&sql, 0, arguments.one(context.called_as)?)?;
    require_orderable(name, &sql, &array.element)?;
    let kernel = if greatest { array_max } else { array_min };
    kernel_call(context, name, kernel, vec![array.expr], array.element, true, sql)
}
fn build_min(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_extreme(context, arguments, "array_min", false)
}
fn build_max(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_extreme(context, arguments, "array_max", true)
}
fn array_min(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    extreme(args, false)
}
fn array_max(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    extreme(args, true)
}

fn extreme(args: &ScalarArgs<'_>, greatest: bool) -> Result<ArrayRef> {
    let lists = Lists::of(&args.array(0)?)?;
    let keys = Order::of(args.return_type)?.keys(&lists.values)?;
    let nulls = lists.values.logical_nulls();
    let mut out = Gather::new(vec![lists.values.clone()], &args.arrow_type(), args.rows)?;
    for row in 0..args.rows {
        let valid = lists.range(row).filter(|i| nulls.as_ref().is_none_or(|n| n.is_valid(*i)));
        let best = valid.reduce(|best, i| {
            let better = if greatest { keys.row(i) > keys.row(best) } else { keys.row(i) < keys.row(best) };
            if better { i } else { best }
        });
        match best {
            Some(index) => out.push(0, index),
            None => out.push_nulls(1),
        }
    }
    out.finish_values()
}

fn build_shuffle(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let mut values = arguments.values.into_iter();
    let Some(array) = values.next() else { return Err(crate::registry::wrong_num_args("shuffle", 1, 2, 0)) };
    let seed = values.next();
    let sql = mismatch::call_sql(context.called_as, std::slice::from_ref(&array));
    let array = array_argument(&sql, 0, array)?;
    let seed = match &seed {
        None => rand::random::<i64>(),
        Some(seed) => match seed.as_literal().and_then(|v| v.cast_to(&arrow::datatypes::DataType::Int64).ok()) {
            Some(datafusion::common::ScalarValue::Int64(value)) => value.unwrap_or(0),
            _ => return Err(mismatch::unexpected_input(&sql, 1, seed, "\"BIGINT\"")),
        },
    };
    let (data_type, nullable) = (array.expr.data_type.clone(), array.expr.nullable);
    let call = SparkScalar::call("shuffle", shuffle, vec![array.expr], data_type, nullable, context.eval);
    let call = call.options(vec![seed.to_string()]).volatile().origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn shuffle(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let lists = Lists::of(&args.array(0)?)?;
    let mut random = StdRng::seed_from_u64(args.option(0).parse::<i64>().unwrap_or(0) as u64);
    let mut out = Gather::new(vec![Arc::clone(&lists.values)], &element_type(args.return_type)?, args.rows)?;
    let mut indices = Vec::new();
    for row in 0..args.rows {
        if lists.is_null(row) {
            out.null_row()?;
            continue;
        }
        indices.clear();
        indices.extend(lists.range(row));
        indices.shuffle(&mut random);
        out.extend(0, indices.iter().copied());
        out.end_row()?;
    }
    out.finish(args.return_type)
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "sort_array",
        GROUP,
        "1.5.0",
        build_sort_array,
        "sort_array(array[, ascendingOrder]) - Sorts the elements; NULLs come first ascending, last descending.",
        &[("sort_array(array('b', 'd', null, 'c', 'a'), true)", "[null,\"a\",\"b\",\"c\",\"d\"]")],
    ),
    Function::custom(
        "array_min",
        GROUP,
        "2.4.0",
        build_min,
        "array_min(array) - Returns the least element that is not NULL.",
        &[("array_min(array(1, 20, null, 3))", "1")],
    ),
    Function::custom(
        "array_max",
        GROUP,
        "2.4.0",
        build_max,
        "array_max(array) - Returns the greatest element that is not NULL.",
        &[("array_max(array(1, 20, null, 3))", "20")],
    ),
    Function::custom(
        "shuffle",
        GROUP,
        "2.4.0",
        build_shuffle,
        "shuffle(array[, seed]) - Returns the elements in a random order.",
        &[("array_size(shuffle(array(1, 20, 3, 5)))", "4")],
    ),
];
