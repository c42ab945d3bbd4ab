//! `map_filter`, `map_zip_with`, `transform_keys`, `transform_values`.
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use firesteel_plan::{DataType, Result};

use super::lambda::{LambdaArgs, LambdaCall, LambdaKernel};
use super::{Elements, GROUP, call_text, in_order, lambda_sql, require_boolean, value_of};
use crate::arrays::cast_to;
use crate::coerce;
use crate::maps::MapBuilder;
use crate::maps::build::holds_map;
use crate::maps::read::map_argument;
use crate::mismatch::{self, sql_type};
use crate::nested::{Gather, Lists, RowEnds, map_array};
use crate::ordering::Order;
use crate::registry::{Arguments, BuildContext, Built, Function, ResolvedLambda, wrong_num_args};

/// A function of a map and `(key, value) -> …`; `result` tells the type from the map's and the lambda.
fn build_on_map(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    kernel: LambdaKernel,
    result: fn(&str, DataType, DataType, bool, &ResolvedLambda) -> Result<DataType>,
) -> Result<Built> {
    arguments.expect(context.called_as, 2, 2)?;
    let mut parts = in_order(arguments).into_iter();
    let (Some(map), Some(body)) = (parts.next(), parts.next()) else {
        return Err(wrong_num_args(context.called_as, 2, 2, 0));
    };
    let map = value_of(context, map, 0)?;
    let sql = call_text(context, &[&map.sql, "lambdafunction"]);
    let (key, value, contains_null) = map_argument(&sql, 0, &map)?;
    let (lambda, given) = body.resolve(&[(key.clone(), false), (value.clone(), contains_null)], 2)?;
    let sql = call_text(context, &[&map.sql, &lambda_sql(&lambda)]);
    let data_type = result(&sql, key, value, contains_null, &lambda)?;
    let nullable = map.nullable;
    let call = LambdaCall::new(name, kernel, vec![map]).lambda(&lambda, &given)?;
    Ok(Built::Expr(call.build(context, data_type, nullable, sql)))
}

fn build_filter(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_on_map(context, arguments, "map_filter", map_filter, |sql, key, value, contains_null, lambda| {
        require_boolean(sql, 1, lambda)?;
        Ok(DataType::map(key, value, contains_null))
    })
}
fn build_transform_keys(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_on_map(context, arguments, "transform_keys", transform_keys, |sql, _, value, contains_null, lambda| {
        let key = lambda.body.data_type.clone();
        if holds_map(&key) {
            return Err(mismatch::mismatch("INVALID_MAP_KEY_TYPE", sql, [("keyType", sql_type(&key))]));
        }
        Ok(DataType::map(key, value, contains_null))
    })
}
fn build_transform_values(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_on_map(context, arguments, "transform_values", transform_values, |_, key, _, _, lambda| {
        Ok(DataType::map(key, lambda.body.data_type.clone(), lambda.body.nullable))
    })
}

/// The entries of all rows: keys, values and where they belong.
fn entries(args: &LambdaArgs<'_>) -> Result<(Elements, [ArrayRef; 2])> {
    let maps = Lists::of(&args.values.array(0)?)?;
    let elements = Elements::of(&maps)?;
    let (keys, values) = maps.entries()?;
    let parameters = [elements.take(&keys)?, elements.take(&values)?];
    Ok((elements, parameters))
}

fn map_filter(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let (elements, parameters) = entries(args)?;
    let keep = args.evaluate(0, &parameters, &elements.rows_of)?;
    let keep = keep.as_boolean_opt();
    let gather = |array: &ArrayRef| Gather::new(vec![Arc::clone(array)], array.data_type(), args.values.rows);
    let (mut keys, mut values) = (gather(&parameters[0])?, gather(&parameters[1])?);
    let (mut rows, mut total) = (RowEnds::with_capacity(args.values.rows), 0);
    for row in 0..args.values.rows {
        for i in elements.range(row) {
            if keep.is_some_and(|k| k.is_valid(i) && k.value(i)) {
                keys.push(0, i);
                values.push(0, i);
                total += 1;
            }
        }
        rows.end(total, !elements.is_null(row))?;
    }
    let (offsets, nulls) = rows.finish();
    map_array(args.values.return_type, offsets, keys.finish_values()?, values.finish_values()?, nulls)
}

fn transform_values(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let (elements, parameters) = entries(args)?;
    let values = args.evaluate(0, &parameters, &elements.rows_of)?;
    let [keys, _] = parameters;
    map_array(args.values.return_type, elements.offsets, keys, values, elements.nulls)
}

fn transform_keys(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let (elements, parameters) = entries(args)?;
    let keys = args.evaluate(0, &parameters, &elements.rows_of)?;
    let [_, values] = parameters;
    let mut out = MapBuilder::new(&args.values, vec![keys], vec![values])?;
    for row in 0..args.values.rows {
        for i in elements.range(row) {
            out.put((0, i), (0, i))?;
        }
        out.end_row(!elements.is_null(row))?;
    }
    out.finish()
}

fn build_zip_with(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "map_zip_with";
    arguments.expect(context.called_as, 3, 3)?;
    let mut parts = in_order(arguments).into_iter();
    let (Some(left), Some(right), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong_num_args(context.called_as, 3, 3, 0));
    };
    let (left, right) = (value_of(context, left, 0)?, value_of(context, right, 1)?);
    let sql = call_text(context, &[&left.sql, &right.sql, "lambdafunction"]);
    let (left_key, left_value, left_null) = map_argument(&sql, 0, &left)?;
    let (right_key, right_value, right_null) = map_argument(&sql, 1, &right)?;
    let key = coerce::wider_type_without_strings(&left_key, &right_key, context.eval)
        .ok_or_else(|| mismatch::two_types("MAP_ZIP_WITH_DIFF_TYPES", name, &sql, None, &left_key, &right_key))?;
    if !key.is_orderable() {
        return Err(mismatch::not_orderable(name, &sql, &key));
    }
    let left = cast_to(context, left, &DataType::map(key.clone(), left_value.clone(), left_null))?;
    let right = cast_to(context, right, &DataType::map(key.clone(), right_value.clone(), right_null))?;
    let (lambda, given) = body.resolve(&[(key.clone(), false), (left_value, true), (right_value, true)], 3)?;
    let sql = call_text(context, &[&left.sql, &right.sql, &lambda_sql(&lambda)]);
    let nullable = left.nullable || right.nullable;
    let data_type = DataType::map(key, lambda.body.data_type.clone(), lambda.body.nullable);
    let call = LambdaCall::new(name, zip_with, vec![left, right]).lambda(&lambda, &given)?;
    Ok(Built::Expr(call.build(context, data_type, nullable, sql)))
}

/// Keys of the first map in their order, then those that only the second has.
fn zip_with(args: &LambdaArgs<'_>) -> Result<ArrayRef> {
    let maps = [Lists::of(&args.values.array(0)?)?, Lists::of(&args.values.array(1)?)?];
    let [(left_keys, left_values), (right_keys, right_values)] = [maps[0].entries()?, maps[1].entries()?];
    let (key_type, _) = crate::maps::entry_types(args.values.return_type)?;
    let order = Order::of(key_type)?;
    let (left_rows, right_rows) = (order.keys(&left_keys)?, order.keys(&right_keys)?);
    let rows = args.values.rows;
    let mut keys = Gather::new(vec![left_keys, right_keys], &crate::types::to_arrow(key_type), rows)?;
    let mut sides = [
        Gather::new(vec![Arc::clone(&left_values)], left_values.data_type(), rows)?,
        Gather::new(vec![Arc::clone(&right_values)], right_values.data_type(), rows)?,
    ];
    let (mut rows_of, mut ends) = (Vec::new(), RowEnds::with_capacity(rows));
    for row in 0..rows {
        if maps.iter().any(|m| m.is_null(row)) {
            ends.end(rows_of.len(), false)?;
            continue;
        }
        let mut unmatched: HashMap<_, _> = maps[1].range(row).map(|i| (right_rows.row(i), i)).collect();
        for i in maps[0].range(row) {
            keys.push(0, i);
            sides[0].push(0, i);
            match unmatched.remove(&left_rows.row(i)) {
                Some(other) => sides[1].push(0, other),
                None => sides[1].push_nulls(1),
            }
            rows_of.push(row as u32);
        }
        for i in maps[1].range(row).filter(|i| unmatched.contains_key(&right_rows.row(*i))) {
            keys.push(1, i);
            sides[0].push_nulls(1);
            sides[1].push(0, i);
            rows_of.push(row as u32);
        }
        ends.end(rows_of.len(), true)?;
    }
    let [left, right] = sides;
    let keys = keys.finish_values()?;
    let parameters = [Arc::clone(&keys), left.finish_values()?, right.finish_values()?];
    let values = args.evaluate(0, &parameters, &UInt32Array::from(rows_of))?;
    let (offsets, nulls) = ends.finish();
    map_array(args.values.return_type, offsets, keys, values, nulls)
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "map_filter",
        GROUP,
        "3.0.0",
        build_filter,
        "map_filter(map, func) - Keeps the entries for which func(key, value) is true.",
        &[("map_filter(map(1, 0, 2, 2, 3, -1), (k, v) -> k > v)", "{1:0,3:-1}")],
    ),
    Function::custom(
        "transform_keys",
        GROUP,
        "3.0.0",
        build_transform_keys,
        "transform_keys(map, func) - Replaces each key by func(key, value).",
        &[("transform_keys(map(1, 1, 2, 2), (k, v) -> k + 1)", "{2:1,3:2}")],
    ),
    Function::custom(
        "transform_values",
        GROUP,
        "3.0.0",
        build_transform_values,
        "transform_values(map, func) - Replaces each value by func(key, value).",
        &[("transform_values(map(1, 1, 2, 2), (k, v) -> v + 1)", "{1:2,2:3}")],
    ),
    Function::custom(
        "map_zip_with",
        GROUP,
        "3.0.0",
        build_zip_with,
        "map_zip_with(map1, map2, func) - Makes a map of the keys of both maps with the values func(key, value1, value2).",
        &[("map_zip_with(map(1, 'a'), map(1, 'x'), (k, v1, v2) -> concat(v1, v2))", "{1:\"ax\"}")],
    ),
];
