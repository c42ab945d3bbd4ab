//! `element_at`, `try_element_at`, `get`, `size`, `cardinality`, `array_size`.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::datatypes::Int32Type;
use datafusion::logical_expr::Expr;
use firesteel_plan::{DataType, Result, SparkError};

use super::extract::{item_at, value_of_key};
use super::{COLLECTION_GROUP, GROUP, array_argument, cast_to, kernel_call};
use crate::coerce;
use crate::mismatch::{self, sql_of};
use crate::nested::{Gather, Lists};
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{ScalarArgs, as_spark_scalar};
use crate::typed::TypedExpr;

/// Whether an element can be NULL: for a constant index, only elements of an `array(…)` call are known.
/// `index` turns the ordinal into an index from 0, if it is in range.
pub(super) fn array_element_nullable(
    array: &TypedExpr,
    contains_null: bool,
    ordinal: &TypedExpr,
    fails: bool,
    index: impl Fn(i64, usize) -> Option<usize>,
) -> bool {
    let Some(constant) = ordinal.as_literal().filter(|v| !v.is_null()).and_then(integer) else {
        // Stricter than Spark, which says that no value is NULL where the position may be.
        return !fails || contains_null || ordinal.nullable;
    };
    match &array.expr {
        Expr::ScalarFunction(call) if call.func.name() == "array" => {
            index(constant, call.args.len()).and_then(|i| call.args.get(i)).is_none_or(is_nullable)
        }
        _ => true,
    }
}

fn integer(value: &datafusion::common::ScalarValue) -> Option<i64> {
    use datafusion::common::ScalarValue as V;
    match value {
        V::Int8(v) => v.map(i64::from),
        V::Int16(v) => v.map(i64::from),
        V::Int32(v) => v.map(i64::from),
        V::Int64(v) => *v,
        _ => None,
    }
}

fn is_nullable(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null(),
        Expr::ScalarFunction(call) => as_spark_scalar(&call.func).is_none_or(|f| f.nullable),
        _ => true,
    }
}

fn build_element_at(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    element(context, arguments, "element_at", context.eval.ansi)
}
fn build_try_element_at(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    element(context, arguments, "try_element_at", false)
}

fn element(context: &BuildContext<'_>, arguments: Arguments<'_>, name: &'static str, strict: bool) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let (child, wanted) = arguments.two(context.called_as)?;
    match child.data_type.clone() {
        DataType::Array(item, contains_null) => {
            let integral = matches!(wanted.data_type, DataType::Byte | DataType::Short | DataType::Integer);
            if !integral && wanted.data_type != DataType::Null {
                return Err(mismatch::unexpected_input(&sql, 1, &wanted, "\"INT\""));
            }
            let nullable = array_element_nullable(&child, contains_null, &wanted, strict, |ordinal, size| {
                let (position, size) = (usize::try_from(ordinal.unsigned_abs()).ok()?, size);
                let in_range = position != 0 && position <= size;
                in_range.then(|| if ordinal > 0 { position - 1 } else { size - position })
            });
            let nullable = nullable || child.nullable;
            let args = vec![child, cast_to(context, wanted, &DataType::Integer)?];
            let kernel = if strict { element_or_error } else { element_or_null };
            kernel_call(context, name, kernel, args, item.as_ref().clone(), nullable, sql)
        }
        DataType::Map(key, value, _) => {
            let Some(common) = coerce::tightest_common_type(&key, &wanted.data_type, context.eval) else {
                let (left, right) = (&child.data_type, &wanted.data_type);
                return Err(mismatch::two_types(
                    "MAP_FUNCTION_DIFF_TYPES",
                    name,
                    &sql,
                    Some(("dataType", "MAP")),
                    left,
                    right,
                ));
            };
            let to = DataType::Map(Arc::new(common.clone()), Arc::clone(&value), true);
            let child = if common.same_type(&key) { child } else { cast_to(context, child, &to)? };
            let args = vec![child, cast_to(context, wanted, &common)?];
            kernel_call(context, name, value_of_key, args, value.as_ref().clone(), true, sql)
        }
        _ => Err(mismatch::unexpected_input(&sql, 0, &child, "(\"ARRAY\" or \"MAP\")")),
    }
}

fn element_or_error(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    element_kernel(args, true)
}
fn element_or_null(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    element_kernel(args, false)
}

/// Positions count from 1, or from the end if negative.
fn element_kernel(args: &ScalarArgs<'_>, strict: bool) -> Result<ArrayRef> {
    let (lists, positions) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let positions = positions.as_primitive::<Int32Type>();
    let mut out = Gather::new(vec![lists.values.clone()], &args.arrow_type(), args.rows)?;
    for row in 0..args.rows {
        let range = lists.range(row);
        if lists.is_null(row) || positions.is_null(row) {
            out.push_nulls(1);
            continue;
        }
        let position = positions.value(row);
        let distance = position.unsigned_abs() as usize;
        if position == 0 {
            return Err(args.error(SparkError::of("INVALID_INDEX_OF_ZERO")));
        } else if distance <= range.len() {
            out.push(0, if position > 0 { range.start + distance - 1 } else { range.end - distance });
        } else if strict {
            let parameters = [("indexValue", position.to_string()), ("arraySize", range.len().to_string())];
            return Err(args.error(SparkError::new("INVALID_ARRAY_INDEX_IN_ELEMENT_AT", parameters)));
        } else {
            out.push_nulls(1);
        }
    }
    out.finish_values()
}

fn build_get(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let (array, ordinal) = arguments.two(context.called_as)?;
    let array = array_argument(&sql, 0, array)?;
    if !ordinal.data_type.is_integral() && ordinal.data_type != DataType::Null {
        return Err(mismatch::unexpected_input(&sql, 1, &ordinal, "\"INTEGRAL\""));
    }
    let nullable = array_element_nullable(&array.expr, array.contains_null, &ordinal, false, |ordinal, size| {
        usize::try_from(ordinal).ok().filter(|i| *i < size)
    });
    let nullable = nullable || array.expr.nullable;
    let args = vec![array.expr, cast_to(context, ordinal, &DataType::Long)?];
    kernel_call(context, "get", |args| item_at(args, false), args, array.element, nullable, sql)
}

fn build_size(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let child = arguments.one(context.called_as)?;
    if !matches!(child.data_type, DataType::Array(..) | DataType::Map(..) | DataType::Null) {
        return Err(mismatch::unexpected_input(&sql, 0, &child, "(\"ARRAY\" or \"MAP\")"));
    }
    let legacy = legacy_size_of_null(context.eval);
    let nullable = !legacy && child.nullable;
    let kernel = if legacy { size_or_minus_one } else { size_or_null };
    kernel_call(context, "size", kernel, vec![child], DataType::Integer, nullable, sql)
}

/// `size(NULL)` is -1: `spark.sql.legacy.sizeOfNull`, which ANSI mode switches off.
fn legacy_size_of_null(context: &crate::context::EvalContext) -> bool {
    !context.ansi && context.flag("spark.sql.legacy.sizeOfNull", true)
}

fn size_or_null(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    sizes(args, None)
}
fn size_or_minus_one(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    sizes(args, Some(-1))
}

fn sizes(args: &ScalarArgs<'_>, of_null: Option<i32>) -> Result<ArrayRef> {
    let lists = Lists::of(&args.array(0)?)?;
    let size = |row| if lists.is_null(row) { of_null } else { i32::try_from(lists.size(row)).ok() };
    Ok(Arc::new((0..args.rows).map(size).collect::<Int32Array>()))
}

fn build_array_size(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let array = array_argument(&sql, 0, arguments.one(context.called_as)?)?;
    let nullable = array.expr.nullable;
    kernel_call(context, "array_size", size_or_null, vec![array.expr], DataType::Integer, nullable, sql)
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "element_at",
        COLLECTION_GROUP,
        "2.4.0",
        build_element_at,
        "element_at(collection, key) - Returns the array element at a position from 1 (negative: from the end), or the \
         map's value of a key.",
        &[("element_at(array(1, 2, 3), 2)", "2"), ("element_at(map(1, 'a', 2, 'b'), 2)", "b")],
    ),
    Function::custom(
        "try_element_at",
        COLLECTION_GROUP,
        "3.3.0",
        build_try_element_at,
        "try_element_at(collection, key) - Like element_at, with NULL where the position is out of range.",
        &[("try_element_at(array(1, 2, 3), 5)", "NULL")],
    ),
    Function::custom(
        "get",
        GROUP,
        "3.4.0",
        build_get,
        "get(array, index) - Returns the element at an index from 0, NULL where it is out of range.",
        &[("get(array(1, 2, 3), 0)", "1")],
    ),
    Function::custom(
        "size",
        COLLECTION_GROUP,
        "1.5.0",
        build_size,
        "size(collection) - Returns the number of elements of an array or map.",
        &[("size(array('b', 'd', 'c', 'a'))", "4")],
    )
    .with_aliases(&["cardinality"]),
    Function::custom(
        "array_size",
        GROUP,
        "3.3.0",
        build_array_size,
        "array_size(array) - Returns the number of elements.",
        &[("array_size(array('b', 'd', 'c', 'a'))", "4")],
    ),
];
