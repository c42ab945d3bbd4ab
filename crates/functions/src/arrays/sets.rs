//! Arrays as sets: `array_distinct`, `array_union`, `array_except`, `array_intersect`; and what leaves elements out:
//! `array_remove`, `array_compact`.
use std::collections::HashSet;

use arrow::array::{Array, ArrayRef};
use firesteel_plan::{DataType, Result};

use super::{GROUP, array_and_element, array_argument, kernel_call, require_orderable, two_arrays};
use crate::mismatch::sql_of;
use crate::nested::{Gather, Lists, element_type};
use crate::ordering::Order;
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{Kernel, ScalarArgs};

fn build_distinct(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "array_distinct";
    let sql = sql_of(context, &arguments.values);
    let array = array_argument(&sql, 0, arguments.one(context.called_as)?)?;
    require_orderable(name, &sql, &array.element)?;
    let (data_type, nullable) = (array.expr.data_type.clone(), array.expr.nullable);
    kernel_call(context, name, distinct, vec![array.expr], data_type, nullable, sql)
}

fn element_order(list: &DataType) -> Result<Order> {
    match list {
        DataType::Array(element, _) => Order::of(element),
        other => Order::of(other),
    }
}

fn distinct(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let lists = Lists::of(&args.array(0)?)?;
    let keys = element_order(args.return_type)?.keys(&lists.values)?;
    let mut out = Gather::new(vec![lists.values.clone()], &element_type(args.return_type)?, args.rows)?;
    let mut seen = HashSet::new();
    for row in 0..args.rows {
        if lists.is_null(row) {
            out.null_row()?;
            continue;
        }
        seen.clear();
        out.extend(0, lists.range(row).filter(|i| seen.insert(keys.row(*i))));
        out.end_row()?;
    }
    out.finish(args.return_type)
}

fn build_set(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    kernel: Kernel,
    contains_null: fn(bool, bool) -> bool,
) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let (left, right) = arguments.two(context.called_as)?;
    let (left, right) = two_arrays(context, name, &sql, left, right)?;
    require_orderable(name, &sql, &left.element)?;
    let nullable = left.expr.nullable || right.expr.nullable;
    let data_type = DataType::array(left.element, contains_null(left.contains_null, right.contains_null));
    kernel_call(context, name, kernel, vec![left.expr, right.expr], data_type, nullable, sql)
}

fn build_union(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_set(context, arguments, "array_union", |args| combine(args, Combine::Union), |a, b| a || b)
}
fn build_except(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_set(context, arguments, "array_except", |args| combine(args, Combine::Except), |a, _| a)
}
fn build_intersect(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_set(context, arguments, "array_intersect", |args| combine(args, Combine::Intersect), |a, b| a && b)
}

#[derive(Clone, Copy, PartialEq)]
enum Combine {
    Union,
    Except,
    Intersect,
}

/// Distinct elements in the order they come, NULL as one value.
fn combine(args: &ScalarArgs<'_>, how: Combine) -> Result<ArrayRef> {
    let (left, right) = (Lists::of(&args.array(0)?)?, Lists::of(&args.array(1)?)?);
    let order = element_order(args.return_type)?;
    let (left_keys, right_keys) = (order.keys(&left.values)?, order.keys(&right.values)?);
    let sources = vec![left.values.clone(), right.values.clone()];
    // An intersection or a difference drops the NULLs that its type rules out, so nullable elements are gathered.
    let mut out = Gather::new(sources, &element_type(args.return_type)?, args.rows)?;
    let (mut seen, mut others) = (HashSet::new(), HashSet::new());
    for row in 0..args.rows {
        if left.is_null(row) || right.is_null(row) {
            out.null_row()?;
            continue;
        }
        seen.clear();
        others.clear();
        if how != Combine::Union {
            others.extend(right.range(row).map(|i| right_keys.row(i)));
        }
        for i in left.range(row) {
            let key = left_keys.row(i);
            let wanted = match how {
                Combine::Union => true,
                Combine::Except => !others.contains(&key),
                Combine::Intersect => others.contains(&key),
            };
            if wanted && seen.insert(key) {
                out.push(0, i);
            }
        }
        if how == Combine::Union {
            out.extend(1, right.range(row).filter(|i| seen.insert(right_keys.row(*i))));
        }
        out.end_row()?;
    }
    out.finish(args.return_type)
}

fn build_remove(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "array_remove";
    let sql = sql_of(context, &arguments.values);
    let (array, value) = arguments.two(context.called_as)?;
    let (array, value) = array_and_element(context, name, &sql, array, value)?;
    require_orderable(name, &sql, &array.element)?;
    let (data_type, nullable) = (array.expr.data_type.clone(), array.expr.nullable || value.nullable);
    kernel_call(context, name, remove, vec![array.expr, value], data_type, nullable, sql)
}

fn remove(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (lists, value) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let order = element_order(args.return_type)?;
    let (keys, unwanted) = (order.keys(&lists.values)?, order.keys(&value)?);
    let nulls = value.logical_nulls();
    let mut out = Gather::new(vec![lists.values.clone()], &element_type(args.return_type)?, args.rows)?;
    for row in 0..args.rows {
        if lists.is_null(row) || nulls.as_ref().is_some_and(|n| n.is_null(row)) {
            out.null_row()?;
            continue;
        }
        out.extend(0, lists.range(row).filter(|i| keys.row(*i) != unwanted.row(row)));
        out.end_row()?;
    }
    out.finish(args.return_type)
}

fn build_compact(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let array = array_argument(&sql, 0, arguments.one(context.called_as)?)?;
    let (data_type, nullable) = (DataType::array(array.element, false), array.expr.nullable);
    kernel_call(context, "array_compact", compact, vec![array.expr], data_type, nullable, sql)
}

fn compact(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let lists = Lists::of(&args.array(0)?)?;
    let nulls = lists.values.logical_nulls();
    let mut out = Gather::new(vec![lists.values.clone()], &element_type(args.return_type)?, args.rows)?;
    for row in 0..args.rows {
        if lists.is_null(row) {
            out.null_row()?;
            continue;
        }
        out.extend(0, lists.range(row).filter(|i| nulls.as_ref().is_none_or(|n| n.is_valid(*i))));
        out.end_row()?;
    }
    out.finish(args.return_type)
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "array_distinct",
        GROUP,
        "2.4.0",
        build_distinct,
        "array_distinct(array) - Leaves out elements that came before.",
        &[("array_distinct(array(1, 2, 3, null, 3))", "[1,2,3,null]")],
    ),
    Function::custom(
        "array_union",
        GROUP,
        "2.4.0",
        build_union,
        "array_union(array1, array2) - Returns the distinct elements of both arrays.",
        &[("array_union(array(1, 2, 3), array(1, 3, 5))", "[1,2,3,5]")],
    ),
    Function::custom(
        "array_except",
        GROUP,
        "2.4.0",
        build_except,
        "array_except(array1, array2) - Returns the distinct elements of array1 that array2 does not hold.",
        &[("array_except(array(1, 2, 3), array(1, 3, 5))", "[2]")],
    ),
    Function::custom(
        "array_intersect",
        GROUP,
        "2.4.0",
        build_intersect,
        "array_intersect(array1, array2) - Returns the distinct elements that both arrays hold.",
        &[("array_intersect(array(1, 2, 3), array(1, 3, 5))", "[1,3]")],
    ),
    Function::custom(
        "array_remove",
        GROUP,
        "2.4.0",
        build_remove,
        "array_remove(array, element) - Leaves out the elements equal to element.",
        &[("array_remove(array(1, 2, 3, null, 3), 3)", "[1,2,null]")],
    ),
    Function::custom(
        "array_compact",
        GROUP,
        "3.4.0",
        build_compact,
        "array_compact(array) - Leaves out NULL elements.",
        &[("array_compact(array(1, 2, 3, null))", "[1,2,3]")],
    ),
];
