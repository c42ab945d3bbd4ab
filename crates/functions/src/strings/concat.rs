//! Joining and choosing: concat, concat_ws, elt, reverse of strings and arrays.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt64Array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{interleave, take};
use arrow::datatypes::DataType as ArrowType;
use firesteel_plan::{DataType, Result, SparkError};

use crate::cast::{CastMode, cast};
use crate::coerce;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar, from_arrow};
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::strings::entry;
use crate::typed::TypedExpr;
use crate::view::{self, View};

/// `concat`: binary where all are binary, arrays of the common type, else strings.
fn build_concat(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let values = arguments.values;
    let sql = format!("concat({})", values.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", "));
    if values.is_empty() {
        return Ok(Built::Expr(TypedExpr::string("").with_sql(sql)));
    }
    let is_text = values.iter().all(|v| v.data_type.is_string());
    let values = if is_text { coerce::collations::unify("concat", &sql, values, context)? } else { values };
    let sql = format!("concat({})", values.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", "));
    let to = concat_type(&sql, &values, context)?;
    let mode = CastMode::of(context.eval);
    let args: Vec<TypedExpr> = values.into_iter().map(|v| cast(v, &to, mode, context.eval)).collect::<Result<_>>()?;
    let nullable = args.iter().any(|a| a.nullable);
    let kernel = match to {
        DataType::Array(..) => concat_arrays,
        DataType::Binary => concat_bytes,
        _ => concat_text,
    };
    let call = SparkScalar::call("concat", kernel, args, to, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

fn concat_type(sql: &str, values: &[TypedExpr], context: &BuildContext<'_>) -> Result<DataType> {
    let is_array = |t: &DataType| matches!(t, DataType::Array(..));
    if values.iter().any(|v| is_array(&v.data_type)) {
        let mut types = values.iter().map(|v| v.data_type.clone());
        let first = types.next().unwrap_or(DataType::Null);
        let common = types.try_fold(first, |left, right| coerce::wider_type(&left, &right, context.eval));
        return common.filter(is_array).ok_or_else(|| {
            let types: Vec<_> = values.iter().map(|v| format!("\"{}\"", v.data_type.sql())).collect();
            SparkError::new(
                "DATATYPE_MISMATCH.DATA_DIFF_TYPES",
                [
                    ("sqlExpr", format!("\"{sql}\"")),
                    ("functionName", "`concat`".to_string()),
                    ("dataType", format!("({})", types.join(" or "))),
                ],
            )
        });
    }
    if values.iter().all(|v| v.data_type == DataType::Binary)
        && !context.eval.flag("spark.sql.function.concatBinaryAsString", false)
    {
        return Ok(DataType::Binary);
    }
    if let Some(wrong) = values.iter().position(|v| matches!(v.data_type, DataType::Map(..) | DataType::Struct(_))) {
        return Err(coerce_error(sql, wrong, &values[wrong], "(\"STRING\" or \"BINARY\" or \"ARRAY\")"));
    }
    let collated = values.iter().find(|v| matches!(&v.data_type, DataType::String(c) if !c.is_default()));
    Ok(collated.map_or(DataType::STRING, |v| v.data_type.clone()))
}

fn coerce_error(sql: &str, index: usize, argument: &TypedExpr, required: &str) -> SparkError {
    const ORDINALS: &[&str] = &["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"];
    SparkError::new(
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
        [
            ("sqlExpr", format!("\"{sql}\"")),
            ("paramIndex", ORDINALS.get(index).map_or_else(|| format!("{}th", index + 1), |o| o.to_string())),
            ("requiredType", required.to_string()),
            ("inputSql", format!("\"{}\"", argument.sql)),
            ("inputType", format!("\"{}\"", argument.data_type.sql())),
        ],
    )
}

fn concat_text(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let parts: Vec<_> = (0..args.values.len()).map(|i| view::strings(args, i)).collect::<Result<_>>()?;
    rows::text(args.rows, |row, out| {
        for part in &parts {
            out.push_str(part.get(row)?);
        }
        Some(())
    })
}

fn concat_bytes(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let parts: Vec<_> = (0..args.values.len()).map(|i| view::binaries(args, i)).collect::<Result<_>>()?;
    rows::bytes(args.rows, |row, out| {
        for part in &parts {
            out.extend_from_slice(part.get(row)?);
        }
        Some(())
    })
}

fn concat_arrays(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let ArrowType::List(field) = args.arrow_type() else {
        return Err(SparkError::internal("concat of arrays makes an array"));
    };
    let parts: Vec<View<ArrayRef>> = (0..args.values.len()).map(|i| view::any(args, i)).collect::<Result<_>>()?;
    let lists: Vec<&ListArray> = parts.iter().filter_map(|p| p.array.as_list_opt::<i32>()).collect();
    if lists.len() != parts.len() {
        return Ok(new_null_array(&args.arrow_type(), args.rows));
    }
    let (mut picks, mut lengths, mut valid) = (vec![], vec![], vec![]);
    for row in 0..args.rows {
        let is_valid = parts.iter().all(|p| !p.is_null_at(row));
        let before = picks.len();
        for (which, (part, list)) in parts.iter().zip(&lists).enumerate().filter(|_| is_valid) {
            let offsets = list.value_offsets();
            let at = part.index(row);
            picks.extend((offsets[at]..offsets[at + 1]).map(|i| (which, i as usize)));
        }
        lengths.push(picks.len() - before);
        valid.push(is_valid);
    }
    let values: Vec<&dyn Array> = lists.iter().map(|l| l.values().as_ref()).collect();
    let values = interleave(&values, &picks).map_err(from_arrow)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let list = ListArray::try_new(field, offsets, values, Some(NullBuffer::from(valid))).map_err(from_arrow)?;
    Ok(Arc::new(list))
}

/// Skips NULLs and looks into arrays; only a NULL separator gives NULL.
fn concat_ws(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let separator = view::strings(args, 0)?;
    let parts: Vec<View<ArrayRef>> = (1..args.values.len()).map(|i| view::any(args, i)).collect::<Result<_>>()?;
    rows::text(args.rows, |row, out| {
        let separator = separator.get(row)?;
        let mut first = true;
        let mut push = |text: &str, out: &mut String| {
            if !std::mem::take(&mut first) {
                out.push_str(separator);
            }
            out.push_str(text);
        };
        for part in parts.iter().filter(|p| !p.is_null_at(row)) {
            let at = part.index(row);
            if let Some(text) = part.array.as_string_opt::<i32>() {
                push(text.value(at), out);
            } else if let Some(list) = part.array.as_list_opt::<i32>() {
                let items = list.value(at);
                if let Some(items) = items.as_string_opt::<i32>() {
                    items.iter().flatten().for_each(|item| push(item, out));
                }
            }
        }
        Some(())
    })
}

fn elt(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let index = view::ints(args, 0)?;
    let count = args.values.len() - 1;
    if args.return_type == &DataType::Binary {
        let inputs: Vec<_> = (1..=count).map(|i| view::binaries(args, i)).collect::<Result<_>>()?;
        return rows::try_bytes(args.rows, |row, out| {
            Ok(pick(args, index.get(row), count)?.and_then(|i| inputs[i].get(row)).map(|v| out.extend_from_slice(v)))
        });
    }
    let inputs: Vec<_> = (1..=count).map(|i| view::strings(args, i)).collect::<Result<_>>()?;
    rows::try_text(args.rows, |row, out| {
        Ok(pick(args, index.get(row), count)?.and_then(|i| inputs[i].get(row)).map(|v| out.push_str(v)))
    })
}

/// The position (from 0) that `elt` means: outside it is an error with ANSI on, NULL without.
fn pick(args: &ScalarArgs<'_>, index: Option<i32>, count: usize) -> Result<Option<usize>> {
    let Some(index) = index else { return Ok(None) };
    let position = usize::try_from(index).ok().filter(|i| (1..=count).contains(i));
    if position.is_none() && args.context.ansi {
        return Err(SparkError::new(
            "INVALID_ARRAY_INDEX",
            [
                ("indexValue", index.to_string()),
                ("arraySize", count.to_string()),
                ("ansiConfig", "\"spark.sql.ansi.enabled\"".to_string()),
            ],
        ));
    }
    Ok(position.map(|i| i - 1))
}

fn build_elt(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, usize::MAX)?;
    let sql = format!("elt({})", arguments.values.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", "));
    let binary = arguments.values.iter().skip(1).all(|v| v.data_type == DataType::Binary)
        && !context.eval.flag("spark.sql.function.eltOutputAsString", false);
    let to = if binary { DataType::Binary } else { DataType::STRING };
    let mode = CastMode::of(context.eval);
    let mut args = Vec::with_capacity(arguments.values.len());
    for (i, value) in arguments.values.into_iter().enumerate() {
        let to = if i == 0 { &DataType::Integer } else { &to };
        args.push(cast(value, to, mode, context.eval)?);
    }
    let call = SparkScalar::call("elt", elt, args, to, true, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

fn reverse_text(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::text(args.rows, |row, out| {
        out.extend(input.get(row)?.chars().rev());
        Some(())
    })
}

fn reverse_bytes(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::binaries(args, 0)?;
    rows::bytes(args.rows, |row, out| {
        out.extend(input.get(row)?.iter().rev());
        Some(())
    })
}

fn reverse_array(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let Some(list) = array.as_list_opt::<i32>() else {
        return Ok(array);
    };
    let offsets = list.value_offsets();
    let order = offsets.windows(2).flat_map(|w| (w[0]..w[1]).rev()).map(|i| i as u64);
    let values = take(list.values(), &UInt64Array::from_iter_values(order), None).map_err(from_arrow)?;
    let ArrowType::List(field) = list.data_type() else { return Ok(array.clone()) };
    let offsets = OffsetBuffer::from_lengths(offsets.windows(2).map(|w| (w[1] - w[0]) as usize));
    let reversed = ListArray::try_new(field.clone(), offsets, values, list.nulls().cloned()).map_err(from_arrow)?;
    Ok(Arc::new(reversed))
}

fn build_reverse(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let function = crate::registry::lookup("reverse").ok_or_else(|| SparkError::internal("reverse"))?;
    let (accept, kernel): (&'static [Accept], crate::scalar::Kernel) = match arguments.values.first() {
        Some(TypedExpr { data_type: DataType::Array(..), .. }) => (&[Accept::Array], reverse_array),
        Some(TypedExpr { data_type: DataType::Binary, .. }) => (&[Accept::Binary], reverse_bytes),
        Some(value @ TypedExpr { data_type: DataType::Map(..) | DataType::Struct(_), .. }) => {
            let required = "(\"STRING\" or \"BINARY\" or \"ARRAY\")".to_string();
            let sql = format!("reverse({})", value.sql);
            let error = crate::quote::unexpected_input_type(&sql, 0, required, &value.sql, &value.data_type);
            return Err(error.with_origin(context.origin.as_ref()));
        }
        _ => (&[Accept::String], reverse_text),
    };
    let signature = Signature { required: accept, ..Signature::new(&[], Returns::Argument(0), kernel) };
    signature.build(function, context, arguments).map(Built::Expr)
}

const fn custom(
    name: &'static str,
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    group: &'static str,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group,
        parameters: &[],
        build: Build::Custom(build),
        usage,
        examples,
        since: "1.5.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    Function {
        aliases: &["||"],
        ..custom(
            "concat",
            build_concat,
            "collection_funcs",
            "concat(expr1, expr2, ...) - Joins strings, binary values or arrays; `expr1 || expr2` is the same.",
            &[("SELECT concat('Spark', 'SQL');", "SparkSQL"), ("SELECT concat(array(1), array(2));", "[1,2]")],
        )
    },
    entry(
        "concat_ws",
        &[],
        &[],
        Signature::new(&[Accept::String], Returns::Is(SimpleType::String), concat_ws)
            .rest(Accept::StringOrStringArray)
            .nulls(Nulls::IfFirst),
        "concat_ws(sep[, str | array(str)]+) - Joins strings and the items of arrays with `sep` between them; NULLs are \
         left out.",
        &[("SELECT concat_ws(' ', 'Spark', 'SQL');", "Spark SQL")],
        "1.5.0",
    ),
    custom(
        "elt",
        build_elt,
        "string_funcs",
        "elt(n, input1, input2, ...) - Returns input number `n`.",
        &[("SELECT elt(1, 'scala', 'java');", "scala")],
    ),
    custom(
        "reverse",
        build_reverse,
        "collection_funcs",
        "reverse(array) - Returns a string or an array back to front.",
        &[("SELECT reverse('Spark SQL');", "LQS krapS"), ("SELECT reverse(array(2, 1, 4, 3));", "[3,4,1,2]")],
    ),
];
