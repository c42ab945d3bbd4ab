//! New arrays from old ones: `array_append`, `array_prepend`, `array_insert`, `slice`, `flatten`.
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Int32Type;
use firesteel_plan::{DataType, Result, SparkError};

use super::{COLLECTION_GROUP, GROUP, array_and_element, kernel_call};
use crate::coerce;
use crate::mismatch::{self, sql_of};
use crate::nested::{Gather, Lists, MAX_ARRAY_LENGTH, element_type, list_array};
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{Kernel, ScalarArgs};
use crate::signature::Accept;
use crate::typed::TypedExpr;

fn build_add(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    kernel: Kernel,
) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let (array, value) = arguments.two(context.called_as)?;
    let (array, value) = array_and_element(context, name, &sql, array, value)?;
    let (data_type, nullable) = (DataType::array(array.element, true), array.expr.nullable);
    kernel_call(context, name, kernel, vec![array.expr, value], data_type, nullable, sql)
}

fn build_append(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_add(context, arguments, "array_append", |args| add(args, true))
}
fn build_prepend(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    build_add(context, arguments, "array_prepend", |args| add(args, false))
}

fn add(args: &ScalarArgs<'_>, at_end: bool) -> Result<ArrayRef> {
    let (lists, value) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let mut out = Gather::new(vec![lists.values.clone(), value], &element_type(args.return_type)?, args.rows)?;
    for row in 0..args.rows {
        if lists.is_null(row) {
            out.null_row()?;
            continue;
        }
        if !at_end {
            out.push(1, row);
        }
        out.extend(0, lists.range(row));
        if at_end {
            out.push(1, row);
        }
        out.end_row()?;
    }
    out.finish(args.return_type)
}

fn build_insert(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = "array_insert";
    arguments.expect(context.called_as, 3, 3)?;
    let sql = sql_of(context, &arguments.values);
    let accepts = [Accept::Any, Accept::Integer, Accept::Any];
    let mut values = coerce::arguments(&sql, &accepts, arguments.values, context)?.into_iter();
    let (Some(array), Some(position), Some(value)) = (values.next(), values.next(), values.next()) else {
        return Err(SparkError::internal("array_insert takes three arguments"));
    };
    let (array, value) = array_and_element(context, name, &sql, array, value)?;
    let nullable = array.expr.nullable || position.nullable;
    let data_type = DataType::array(array.element, true);
    kernel_call(context, name, insert, vec![array.expr, position, value], data_type, nullable, sql)
}

fn insert(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let legacy = args.context.flag("spark.sql.legacy.negativeIndexInArrayInsert", false);
    let (lists, positions, value) = (Lists::of(&args.array(0)?)?, args.array(1)?, args.array(2)?);
    let positions = positions.as_primitive::<Int32Type>();
    let mut out = Gather::new(vec![lists.values.clone(), value], &element_type(args.return_type)?, args.rows)?;
    for row in 0..args.rows {
        if lists.is_null(row) || positions.is_null(row) {
            out.null_row()?;
            continue;
        }
        let (range, position) = (lists.range(row), i64::from(positions.value(row)));
        let size = range.len() as i64;
        // How many elements come before the new one; below 0: NULLs that follow it.
        let before = match position {
            0 => return Err(SparkError::of("INVALID_INDEX_OF_ZERO")),
            p if p > 0 => p - 1,
            p if legacy => size + p,
            p => size + p + 1,
        };
        if before.max(size).max(size - before) >= MAX_ARRAY_LENGTH {
            return Err(too_large("array_insert", before.abs().max(size) + 1));
        }
        if before < 0 {
            out.push(1, row);
            out.push_nulls(before.unsigned_abs() as usize);
            out.extend(0, range);
        } else {
            let split = range.start + before.min(size) as usize;
            out.extend(0, range.start..split);
            out.push_nulls((before - size).max(0) as usize);
            out.push(1, row);
            out.extend(0, split..range.end);
        }
        out.end_row()?;
    }
    out.finish(args.return_type)
}

/// `COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION`
fn too_large(function: &str, count: i64) -> SparkError {
    SparkError::new(
        "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION",
        [
            ("numberOfElements", count.to_string()),
            ("maxRoundedArrayLength", MAX_ARRAY_LENGTH.to_string()),
            ("functionName", format!("`{function}`")),
        ],
    )
}

fn build_slice(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 3, 3)?;
    let sql = sql_of(context, &arguments.values);
    let accepts = [Accept::Array, Accept::Integer, Accept::Integer];
    let args = coerce::arguments(&sql, &accepts, arguments.values, context)?;
    let (data_type, nullable) = (args[0].data_type.clone(), args.iter().any(|a| a.nullable));
    kernel_call(context, "slice", slice, args, data_type, nullable, sql)
}

fn slice(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (lists, starts, lengths) = (Lists::of(&args.array(0)?)?, args.array(1)?, args.array(2)?);
    let (starts, lengths) = (starts.as_primitive::<Int32Type>(), lengths.as_primitive::<Int32Type>());
    let mut out = Gather::new(vec![lists.values.clone()], &element_type(args.return_type)?, args.rows)?;
    for row in 0..args.rows {
        if lists.is_null(row) || starts.is_null(row) || lengths.is_null(row) {
            out.null_row()?;
            continue;
        }
        out.extend(0, slice_range(lists.range(row), starts.value(row), lengths.value(row))?);
        out.end_row()?;
    }
    out.finish(args.return_type)
}

fn slice_range(range: Range<usize>, start: i32, length: i32) -> Result<Range<usize>> {
    if start == 0 {
        let parameters = [("parameter", "`start`"), ("functionName", "`slice`")];
        return Err(SparkError::new("INVALID_PARAMETER_VALUE.START", parameters));
    }
    if length < 0 {
        let parameters =
            [("parameter", "`length`".to_string()), ("length", length.to_string()), ("functionName", "`slice`".into())];
        return Err(SparkError::new("INVALID_PARAMETER_VALUE.LENGTH", parameters));
    }
    let size = range.len() as i64;
    let first = if start > 0 { i64::from(start) - 1 } else { size + i64::from(start) };
    if first < 0 || first >= size {
        return Ok(range.start..range.start);
    }
    let first = range.start + first as usize;
    Ok(first..range.end.min(first + length as usize))
}

fn build_flatten(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let array = arguments.one(context.called_as)?;
    let fail = |array: &TypedExpr| mismatch::unexpected_input(&sql, 0, array, "\"ARRAY\" of \"ARRAY\"");
    let (data_type, contains_null) = match &array.data_type {
        DataType::Array(inner, contains_null) => match inner.as_ref() {
            DataType::Array(..) => (inner.as_ref().clone(), *contains_null),
            _ => return Err(fail(&array)),
        },
        _ => return Err(fail(&array)),
    };
    let nullable = array.nullable || contains_null;
    kernel_call(context, "flatten", flatten, vec![array], data_type, nullable, sql)
}

fn flatten(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let outer = Lists::of(&args.array(0)?)?;
    let inner = Lists::of(&outer.values)?;
    if outer.nulls().is_none() && inner.nulls().is_none() {
        // The elements lie side by side already: only the ends of the rows are others.
        let ends = outer.offsets().iter().map(|end| inner.offsets()[*end as usize]);
        let offsets = OffsetBuffer::new(ends.collect());
        return list_array(args.return_type, offsets, inner.values, None);
    }
    let mut out = Gather::new(vec![inner.values.clone()], &element_type(args.return_type)?, args.rows)?;
    for row in 0..args.rows {
        if outer.is_null(row) || outer.range(row).any(|i| inner.is_null(i)) {
            out.null_row()?;
            continue;
        }
        outer.range(row).for_each(|i| out.extend(0, inner.range(i)));
        out.end_row()?;
    }
    out.finish(args.return_type)
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "array_append",
        GROUP,
        "3.4.0",
        build_append,
        "array_append(array, element) - Adds element at the end.",
        &[("array_append(array('b', 'd'), 'e')", "[\"b\",\"d\",\"e\"]")],
    ),
    Function::custom(
        "array_prepend",
        GROUP,
        "3.5.0",
        build_prepend,
        "array_prepend(array, element) - Adds element at the beginning.",
        &[("array_prepend(array('b', 'd'), 'a')", "[\"a\",\"b\",\"d\"]")],
    ),
    Function::custom(
        "array_insert",
        GROUP,
        "3.4.0",
        build_insert,
        "array_insert(array, pos, element) - Puts element at position pos, from 1; a negative pos counts from the end.",
        &[("array_insert(array(1, 2, 3, 4), 5, 5)", "[1,2,3,4,5]")],
    ),
    Function::custom(
        "slice",
        GROUP,
        "2.4.0",
        build_slice,
        "slice(array, start, length) - Returns length elements from position start, from 1 or, if negative, from the end.",
        &[("slice(array(1, 2, 3, 4), 2, 2)", "[2,3]")],
    ),
    Function::custom(
        "flatten",
        COLLECTION_GROUP,
        "2.4.0",
        build_flatten,
        "flatten(arrays) - Joins the arrays of an array into one.",
        &[("flatten(array(array(1, 2), array(3, 4)))", "[1,2,3,4]")],
    ),
];
