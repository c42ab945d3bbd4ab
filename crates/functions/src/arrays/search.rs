//! `array_contains`, `array_position`, `arrays_overlap`.
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBuilder, Int64Builder};
use firesteel_plan::{DataType, Result};

use super::{GROUP, array_and_element, kernel_call, require_orderable, two_arrays};
use crate::mismatch::{self, sql_of};
use crate::nested::Lists;
use crate::ordering::{Keys, Order};
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::ScalarArgs;

fn build_contains(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "array_contains";
    let sql = sql_of(context, &arguments.values);
    let (array, value) = arguments.two(context.called_as)?;
    if array.data_type == DataType::Null || value.data_type == DataType::Null {
        return Err(mismatch::null_type(name, &sql));
    }
    let (array, value) = array_and_element(context, name, &sql, array, value)?;
    require_orderable(name, &sql, &array.element)?;
    let nullable = array.expr.nullable || value.nullable || array.contains_null;
    kernel_call(context, name, contains, vec![array.expr, value], DataType::Boolean, nullable, sql)
}

/// Keys of an array argument's elements and of a value argument.
fn element_keys(args: &ScalarArgs<'_>, lists: &Lists, value: &ArrayRef) -> Result<(Keys, Keys)> {
    let order = Order::of(&args.arg_types[1])?;
    Ok((order.keys(&lists.values)?, order.keys(value)?))
}

fn contains(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (lists, value) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let (elements, wanted) = element_keys(args, &lists, &value)?;
    let element_nulls = lists.values.logical_nulls();
    let value_nulls = value.logical_nulls();
    let mut out = BooleanBuilder::with_capacity(args.rows);
    for row in 0..args.rows {
        if lists.is_null(row) || value_nulls.as_ref().is_some_and(|n| n.is_null(row)) {
            out.append_null();
            continue;
        }
        let found = lists.range(row).any(|i| elements.row(i) == wanted.row(row));
        let has_null = || element_nulls.as_ref().is_some_and(|n| lists.range(row).any(|i| n.is_null(i)));
        if found || !has_null() { out.append_value(found) } else { out.append_null() }
    }
    Ok(Arc::new(out.finish()))
}

fn build_position(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "array_position";
    let sql = sql_of(context, &arguments.values);
    let (array, value) = arguments.two(context.called_as)?;
    let (array, value) = array_and_element(context, name, &sql, array, value)?;
    require_orderable(name, &sql, &array.element)?;
    let nullable = array.expr.nullable || value.nullable;
    kernel_call(context, name, position, vec![array.expr, value], DataType::Long, nullable, sql)
}

fn position(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (lists, value) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let (elements, wanted) = element_keys(args, &lists, &value)?;
    let value_nulls = value.logical_nulls();
    let mut out = Int64Builder::with_capacity(args.rows);
    for row in 0..args.rows {
        if lists.is_null(row) || value_nulls.as_ref().is_some_and(|n| n.is_null(row)) {
            out.append_null();
            continue;
        }
        let found = lists.range(row).position(|i| elements.row(i) == wanted.row(row));
        out.append_value(found.map_or(0, |index| index as i64 + 1));
    }
    Ok(Arc::new(out.finish()))
}

fn build_overlap(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "arrays_overlap";
    let sql = sql_of(context, &arguments.values);
    let (left, right) = arguments.two(context.called_as)?;
    let (left, right) = two_arrays(context, name, &sql, left, right)?;
    require_orderable(name, &sql, &left.element)?;
    let nullable = left.expr.nullable || right.expr.nullable || left.contains_null || right.contains_null;
    kernel_call(context, name, overlap, vec![left.expr, right.expr], DataType::Boolean, nullable, sql)
}

fn overlap(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (left, right) = (Lists::of(&args.array(0)?)?, Lists::of(&args.array(1)?)?);
    let element = match &args.arg_types[0] {
        DataType::Array(element, _) => Order::of(element)?,
        other => Order::of(other)?,
    };
    let (left_keys, right_keys) = (element.keys(&left.values)?, element.keys(&right.values)?);
    let (left_nulls, right_nulls) = (left.values.logical_nulls(), right.values.logical_nulls());
    let mut out = BooleanBuilder::with_capacity(args.rows);
    for row in 0..args.rows {
        if left.is_null(row) || right.is_null(row) {
            out.append_null();
            continue;
        }
        let valid_left = |i: &usize| left_nulls.as_ref().is_none_or(|n| n.is_valid(*i));
        let valid_right = |i: &usize| right_nulls.as_ref().is_none_or(|n| n.is_valid(*i));
        let known: HashSet<_> = left.range(row).filter(valid_left).map(|i| left_keys.row(i)).collect();
        let found = right.range(row).filter(valid_right).any(|i| known.contains(&right_keys.row(i)));
        let has_null = known_nulls(&left, row, valid_left) || known_nulls(&right, row, valid_right);
        if found {
            out.append_value(true);
        } else if has_null && left.size(row) > 0 && right.size(row) > 0 {
            out.append_null();
        } else {
            out.append_value(false);
        }
    }
    Ok(Arc::new(out.finish()))
}

fn known_nulls(lists: &Lists, row: usize, valid: impl Fn(&usize) -> bool) -> bool {
    lists.range(row).any(|i| !valid(&i))
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "array_contains",
        GROUP,
        "1.5.0",
        build_contains,
        "array_contains(array, value) - Returns true if the array holds the value; NULL if it may, in a NULL element.",
        &[("array_contains(array(1, 2, 3), 2)", "true")],
    ),
    Function::custom(
        "array_position",
        GROUP,
        "2.4.0",
        build_position,
        "array_position(array, element) - Returns the position, from 1, of the first equal element; 0 if there is none.",
        &[("array_position(array(3, 2, 1), 1)", "3")],
    ),
    Function::custom(
        "arrays_overlap",
        GROUP,
        "2.4.0",
        build_overlap,
        "arrays_overlap(a1, a2) - Returns true if the arrays share an element other than NULL.",
        &[("arrays_overlap(array(1, 2, 3), array(3, 4, 5))", "true")],
    ),
];
