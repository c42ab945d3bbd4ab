//! `map_keys`, `map_values`, `map_entries`, `map_contains_key`.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, MapArray};
use firesteel_plan::{DataType, Result, SparkError, StructField};

use super::GROUP;
use crate::arrays::{cast_to, kernel_call};
use crate::coerce;
use crate::mismatch::{self, sql_of};
use crate::nested::{Lists, list_array};
use crate::ordering::Order;
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{Kernel, ScalarArgs};
use crate::typed::TypedExpr;

/// Key type, value type and whether values can be NULL.
pub(crate) fn map_argument(sql: &str, index: usize, map: &TypedExpr) -> Result<(DataType, DataType, bool)> {
    match &map.data_type {
        DataType::Map(key, value, contains_null) => Ok((key.as_ref().clone(), value.as_ref().clone(), *contains_null)),
        _ => Err(mismatch::unexpected_input(sql, index, map, "\"MAP\"")),
    }
}

fn build_part(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    kernel: Kernel,
    element: fn(DataType, DataType, bool) -> DataType,
) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let map = arguments.one(context.called_as)?;
    let map = if map.data_type == DataType::Null {
        cast_to(context, map, &DataType::map(DataType::Null, DataType::Null, true))?
    } else {
        map
    };
    let (key, value, contains_null) = map_argument(&sql, 0, &map)?;
    let nullable = map.nullable;
    kernel_call(context, name, kernel, vec![map], element(key, value, contains_null), nullable, sql)
}

fn build_keys(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_part(context, arguments, "map_keys", keys, |key, _, _| DataType::array(key, true))
}
fn build_values(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_part(context, arguments, "map_values", values, |_, value, _| DataType::array(value, true))
}
fn build_entries(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_part(context, arguments, "map_entries", entries, |key, value, contains_null| {
        let fields = vec![StructField::new("key", key, false), StructField::new("value", value, contains_null)];
        DataType::array(DataType::structure(fields), false)
    })
}

fn with_map(args: &ScalarArgs<'_>, part: impl Fn(&MapArray) -> ArrayRef) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let map = array.as_map_opt().ok_or_else(|| SparkError::internal("a map was expected"))?;
    list_array(args.return_type, map.offsets().clone(), part(map), map.nulls().cloned())
}
fn keys(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    with_map(args, |map| Arc::clone(map.keys()))
}
fn values(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    with_map(args, |map| Arc::clone(map.values()))
}
fn entries(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    with_map(args, |map| Arc::new(map.entries().clone()))
}

fn build_contains_key(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "map_contains_key";
    let sql = sql_of(context, &arguments.values);
    let (map, wanted) = arguments.two(context.called_as)?;
    if wanted.data_type == DataType::Null {
        return Err(mismatch::null_type(name, &sql));
    }
    let (key, value, contains_null) = map_argument(&sql, 0, &map)?;
    let Some(common) = coerce::wider_type_without_strings(&key, &wanted.data_type, context.eval) else {
        let holder = Some(("dataType", "MAP"));
        let (left, right) = (&map.data_type, &wanted.data_type);
        return Err(mismatch::two_types("MAP_FUNCTION_DIFF_TYPES", name, &sql, holder, left, right));
    };
    let map = cast_to(context, map, &DataType::map(common.clone(), value, contains_null))?;
    let wanted = cast_to(context, wanted, &common)?;
    kernel_call(context, name, contains_key, vec![map, wanted], DataType::Boolean, true, sql)
}

fn contains_key(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (maps, wanted) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let order = Order::of(&args.arg_types[1])?;
    let (keys, wanted_keys) = (order.keys(&maps.entries()?.0)?, order.keys(&wanted)?);
    let mut out = BooleanBuilder::with_capacity(args.rows);
    for row in 0..args.rows {
        if maps.is_null(row) || wanted.is_null(row) {
            out.append_null();
        } else {
            out.append_value(maps.range(row).any(|i| keys.row(i) == wanted_keys.row(row)));
        }
    }
    Ok(Arc::new(out.finish()))
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "map_keys",
        GROUP,
        "2.0.0",
        build_keys,
        "map_keys(map) - Returns the keys as an array.",
        &[("map_keys(map(1, 'a', 2, 'b'))", "[1,2]")],
    ),
    Function::custom(
        "map_values",
        GROUP,
        "2.0.0",
        build_values,
        "map_values(map) - Returns the values as an array.",
        &[("map_values(map(1, 'a', 2, 'b'))", "[\"a\",\"b\"]")],
    ),
    Function::custom(
        "map_entries",
        GROUP,
        "3.0.0",
        build_entries,
        "map_entries(map) - Returns the entries as an array of structs of key and value.",
        &[("map_entries(map(1, 'a', 2, 'b'))", "[{\"key\":1,\"value\":\"a\"},{\"key\":2,\"value\":\"b\"}]")],
    ),
    Function::custom(
        "map_contains_key",
        GROUP,
        "3.3.0",
        build_contains_key,
        "map_contains_key(map, key) - Returns true if the map has the key.",
        &[("map_contains_key(map(1, 'a', 2, 'b'), 1)", "true")],
    ),
];
