//! Generators: `explode`, `posexplode`, `inline`, `stack` and their `_outer` forms.
//!
//! Each becomes an array of structs per input row ([`Generator`]); the analyzer turns its elements into rows.
pub mod constants;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError, StructField};

use crate::arrays::cast_to;
use crate::fold::fold;
use crate::mismatch::{self, sql_of};
use crate::nested::{Gather, Lists, list_array, struct_array};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, Generator, wrong_num_args};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;
use crate::types;

const GROUP: &str = "generator_funcs";

/// The generator of `rows`. The columns of an outer one can always be NULL.
fn generator(
    context: &BuildContext<'_>,
    rows: TypedExpr,
    columns: Vec<(String, DataType, bool)>,
    outer: bool,
) -> Result<Built> {
    let columns = columns.into_iter().map(|(name, data_type, nullable)| (name, data_type, nullable || outer));
    Ok(Built::Generator(Generator { name: context.called_as.to_string(), rows, columns: columns.collect(), outer }))
}

fn array_of(fields: &[(String, DataType, bool)]) -> DataType {
    let fields = fields.iter().map(|(name, data_type, nullable)| StructField::new(name, data_type.clone(), *nullable));
    DataType::array(DataType::structure(fields.collect()), false)
}

fn build_explode(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    explode(context, arguments, false, false)
}
fn build_explode_outer(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    explode(context, arguments, false, true)
}
fn build_posexplode(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    explode(context, arguments, true, false)
}
fn build_posexplode_outer(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    explode(context, arguments, true, true)
}

fn explode(context: &BuildContext<'_>, arguments: Arguments<'_>, position: bool, outer: bool) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let child = arguments.one(context.called_as)?;
    let mut columns = Vec::new();
    if position {
        columns.push(("pos".to_string(), DataType::Integer, false));
    }
    match &child.data_type {
        DataType::Array(element, contains_null) => {
            columns.push(("col".to_string(), element.as_ref().clone(), *contains_null));
        }
        DataType::Map(key, value, contains_null) => {
            columns.push(("key".to_string(), key.as_ref().clone(), false));
            columns.push(("value".to_string(), value.as_ref().clone(), *contains_null));
        }
        _ => return Err(mismatch::unexpected_input(&sql, 0, &child, "(\"ARRAY\" or \"MAP\")")),
    }
    let nullable = child.nullable;
    let kernel = if position { elements_with_position } else { elements };
    let rows = SparkScalar::call("explode_rows", kernel, vec![child], array_of(&columns), nullable, context.eval);
    generator(context, rows.origin(context.origin.clone()).build().with_sql(sql), columns, outer)
}

fn elements(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    element_rows(args, false)
}
fn elements_with_position(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    element_rows(args, true)
}

fn element_rows(args: &ScalarArgs<'_>, position: bool) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let lists = Lists::of(&array)?;
    let mut columns = Vec::new();
    if position {
        let mut positions = vec![0; lists.values.len()];
        for row in 0..lists.rows() {
            lists.range(row).enumerate().for_each(|(position, i)| positions[i] = position as i32);
        }
        columns.push(Arc::new(Int32Array::from(positions)) as ArrayRef);
    }
    if matches!(array.data_type(), ArrowType::Map(..)) {
        let (keys, values) = lists.entries()?;
        columns.extend([keys, values]);
    } else {
        columns.push(Arc::clone(&lists.values));
    }
    let values = struct_array(&row_fields(args)?, &columns, None, lists.values.len())?;
    list_array(args.return_type, lists.offsets().clone(), values, lists.nulls().cloned())
}

/// The fields of the structs that a generator's array holds.
fn row_fields(args: &ScalarArgs<'_>) -> Result<arrow::datatypes::Fields> {
    match args.return_type {
        DataType::Array(element, _) => match types::to_arrow(element) {
            ArrowType::Struct(fields) => Ok(fields),
            other => Err(SparkError::internal(format!("a struct was expected, not {other}"))),
        },
        other => Err(SparkError::internal(format!("an array was expected, not {}", other.sql()))),
    }
}

fn build_inline(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    inline(context, arguments, false)
}
fn build_inline_outer(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    inline(context, arguments, true)
}

fn inline(context: &BuildContext<'_>, arguments: Arguments<'_>, outer: bool) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let child = arguments.one(context.called_as)?;
    let columns: Vec<_> = match &child.data_type {
        DataType::Array(element, contains_null) => match element.as_ref() {
            DataType::Struct(fields) => {
                let column = |f: &StructField| (f.name.clone(), f.data_type.clone(), f.nullable || *contains_null);
                fields.fields.iter().map(column).collect()
            }
            _ => return Err(mismatch::unexpected_input(&sql, 0, &child, "\"ARRAY<STRUCT>\"")),
        },
        _ => return Err(mismatch::unexpected_input(&sql, 0, &child, "\"ARRAY<STRUCT>\"")),
    };
    let nullable = child.nullable;
    let rows = SparkScalar::call("inline_rows", inline_rows, vec![child], array_of(&columns), nullable, context.eval);
    generator(context, rows.origin(context.origin.clone()).build().with_sql(sql), columns, outer)
}

/// The structs as they are; a NULL one becomes a struct of NULLs.
fn inline_rows(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let Some(list) = array.as_list_opt::<i32>() else {
        return Err(SparkError::internal("an array of structs was expected"));
    };
    let Some(structs) = list.values().as_struct_opt() else {
        return Err(SparkError::internal("structs were expected"));
    };
    let columns = structs.columns().iter().map(|c| crate::nested::with_parent_nulls(c, structs.nulls()));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let values = struct_array(&row_fields(args)?, &columns, None, structs.len())?;
    list_array(args.return_type, list.offsets().clone(), values, list.nulls().cloned())
}

fn build_stack(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let values = arguments.values;
    if values.len() < 2 {
        return Err(wrong_num_args(context.called_as, 2, usize::MAX, values.len()));
    }
    let sql = sql_of(context, &values);
    let (count, values) = (&values[0], &values[1..]);
    if !matches!(count.data_type, DataType::Byte | DataType::Short | DataType::Integer | DataType::Null) {
        return Err(mismatch::unexpected_input(&sql, 0, count, "\"INT\""));
    }
    if !count.is_foldable() {
        let parameters = [
            ("inputName", "`n`".to_string()),
            ("inputType", mismatch::sql_type(&DataType::Integer)),
            ("inputExpr", mismatch::sql_expr(&count.sql)),
        ];
        return Err(mismatch::mismatch("NON_FOLDABLE_INPUT", &sql, parameters));
    }
    let rows = match fold(count)?.map(|value| value.cast_to(&ArrowType::Int32)) {
        Some(Ok(ScalarValue::Int32(value))) => value.unwrap_or(0),
        _ => 0,
    };
    let Some(rows) = usize::try_from(rows).ok().filter(|rows| *rows > 0) else {
        let parameters = [
            ("exprName", "`n`".to_string()),
            ("valueRange", format!("(0, {}]", i32::MAX)),
            ("currentValue", rows.to_string()),
        ];
        return Err(mismatch::mismatch("VALUE_OUT_OF_RANGE", &sql, parameters));
    };
    let width = values.len().div_ceil(rows);
    let columns = (0..width).map(|column| stack_column(&sql, values, width, column)).collect::<Result<Vec<_>>>()?;
    let mut args = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        args.push(cast_to(context, value.clone(), &columns[index % width].1)?);
    }
    let call = SparkScalar::call("stack_rows", stack_rows, args, array_of(&columns), false, context.eval);
    let call = call.options(vec![rows.to_string()]).origin(context.origin.clone());
    generator(context, call.build().with_sql(sql), columns, false)
}

/// Name and type of a column: all its values that are not untyped NULLs have one type.
fn stack_column(sql: &str, values: &[TypedExpr], width: usize, column: usize) -> Result<(String, DataType, bool)> {
    let mut first: Option<(usize, &DataType)> = None;
    for (index, value) in values.iter().enumerate().skip(column).step_by(width) {
        match (first, &value.data_type) {
            (_, DataType::Null) => {}
            (None, found) => first = Some((index, found)),
            (Some((_, known)), found) if known.same_type(found) => {}
            (Some((left, known)), found) => {
                return Err(mismatch::mismatch(
                    "STACK_COLUMN_DIFF_TYPES",
                    sql,
                    [
                        ("columnIndex", column.to_string()),
                        ("leftParamIndex", (left + 1).to_string()),
                        ("leftType", mismatch::sql_type(known)),
                        ("rightParamIndex", (index + 1).to_string()),
                        ("rightType", mismatch::sql_type(found)),
                    ],
                ));
            }
        }
    }
    let data_type = first.map_or(DataType::Null, |(_, data_type)| data_type.clone());
    Ok((format!("col{column}"), data_type, true))
}

fn stack_rows(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let fields = row_fields(args)?;
    let rows: usize = args.option(0).parse().unwrap_or(0);
    let arrays = (0..args.values.len()).map(|i| args.array(i)).collect::<Result<Vec<_>>>()?;
    let mut columns = Vec::with_capacity(fields.len());
    for (column, field) in fields.iter().enumerate() {
        let sources: Vec<_> = arrays.iter().skip(column).step_by(fields.len()).cloned().collect();
        let count = sources.len();
        let mut out = Gather::new(sources, field.data_type(), args.rows)?;
        for row in 0..args.rows {
            (0..count.min(rows)).for_each(|source| out.push(source, row));
            out.push_nulls(rows.saturating_sub(count));
        }
        columns.push(out.finish_values()?);
    }
    let values = struct_array(&fields, &columns, None, rows * args.rows)?;
    let mut ends = crate::nested::RowEnds::with_capacity(args.rows);
    for row in 0..args.rows {
        ends.end(rows * (row + 1), true)?;
    }
    let (offsets, nulls) = ends.finish();
    list_array(args.return_type, offsets, values, nulls)
}

pub static FUNCTIONS: &[Function] = &[
    Function {
        name: "range",
        aliases: &[],
        kind: FunctionKind::Table,
        group: GROUP,
        parameters: &[],
        build: Build::Analyzer,
        usage: "range(start[, end[, step[, numSlices]]]) / range(end) - The numbers from start up to, but not with, end.",
        examples: &[("SELECT * FROM range(1)", "0")],
        since: "2.0.0",
    },
    Function::custom(
        "explode",
        GROUP,
        "1.0.0",
        build_explode,
        "explode(collection) - Makes a row of each element of an array, or of each key and value of a map.",
        &[("explode(array(10, 20))", "10\n20")],
    )
    .with_kind(FunctionKind::Generator)
    .with_parameters(&["collection"]),
    Function::custom(
        "explode_outer",
        GROUP,
        "1.0.0",
        build_explode_outer,
        "explode_outer(collection) - Like explode, with a row of NULLs for an empty or NULL collection.",
        &[("explode_outer(array(10, 20))", "10\n20")],
    )
    .with_kind(FunctionKind::Generator)
    .with_parameters(&["collection"]),
    Function::custom(
        "posexplode",
        GROUP,
        "2.0.0",
        build_posexplode,
        "posexplode(collection) - Like explode, with the position from 0 as a first column.",
        &[("posexplode(array(10, 20))", "0\t10\n1\t20")],
    )
    .with_kind(FunctionKind::Generator)
    .with_parameters(&["collection"]),
    Function::custom(
        "posexplode_outer",
        GROUP,
        "2.0.0",
        build_posexplode_outer,
        "posexplode_outer(collection) - Like posexplode, with a row of NULLs for an empty or NULL collection.",
        &[("posexplode_outer(array(10, 20))", "0\t10\n1\t20")],
    )
    .with_kind(FunctionKind::Generator)
    .with_parameters(&["collection"]),
    Function::custom(
        "inline",
        GROUP,
        "2.0.0",
        build_inline,
        "inline(array) - Makes a row of each struct of an array, a column of each field.",
        &[("inline(array(struct(1, 'a'), struct(2, 'b')))", "1\ta\n2\tb")],
    )
    .with_kind(FunctionKind::Generator)
    .with_parameters(&["input"]),
    Function::custom(
        "inline_outer",
        GROUP,
        "2.0.0",
        build_inline_outer,
        "inline_outer(array) - Like inline, with a row of NULLs for an empty or NULL array.",
        &[("inline_outer(array(struct(1, 'a'), struct(2, 'b')))", "1\ta\n2\tb")],
    )
    .with_kind(FunctionKind::Generator)
    .with_parameters(&["input"]),
    Function::custom(
        "stack",
        GROUP,
        "2.0.0",
        build_stack,
        "stack(n, expr1, ..., exprk) - Puts the expressions into n rows.",
        &[("stack(2, 1, 2, 3)", "1\t2\n3\tNULL")],
    )
    .with_kind(FunctionKind::Generator),
];
