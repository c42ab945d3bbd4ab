//! `array_join` and `arrays_zip`.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::logical_expr::Expr;
use firesteel_plan::{DataType, Result, SparkError, StructField};

use super::extract::extracted_name;
use super::{GROUP, array_argument, cast_to, kernel_call};
use crate::coerce;
use crate::mismatch::{self, sql_of};
use crate::nested::{Gather, Lists, RowEnds, list_array, struct_array};
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::ScalarArgs;
use crate::signature::Accept;
use crate::typed::TypedExpr;
use crate::types;

fn build_join(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let sql = sql_of(context, &arguments.values);
    let accepts = [Accept::Any, Accept::String, Accept::String];
    let accepts = accepts.get(..arguments.values.len()).unwrap_or(&accepts);
    let mut values = coerce::arguments(&sql, accepts, arguments.values, context)?;
    let array = values.remove(0);
    let string_array = DataType::array(DataType::STRING, true);
    let array = match &array.data_type {
        DataType::Array(element, n) if element.is_atomic() || **element == DataType::Null => {
            let to = DataType::array(DataType::STRING, *n);
            if element.is_string() { array } else { cast_to(context, array, &to)? }
        }
        DataType::Null => cast_to(context, array, &string_array)?,
        _ => return Err(mismatch::unexpected_input(&sql, 0, &array, "\"ARRAY<STRING>\"")),
    };
    values.insert(0, array);
    let nullable = values.iter().any(|v| v.nullable);
    kernel_call(context, "array_join", array_join, values, DataType::STRING, nullable, sql)
}

fn array_join(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (lists, delimiters) = (Lists::of(&args.array(0)?)?, args.array(1)?);
    let replacements = if args.values.len() > 2 { Some(args.array(2)?) } else { None };
    let (Some(elements), Some(delimiters)) = (lists.values.as_string_opt::<i32>(), delimiters.as_string_opt::<i32>())
    else {
        return Err(SparkError::internal("array_join takes strings"));
    };
    let replacements = replacements.as_ref().and_then(|r| r.as_string_opt::<i32>());
    let mut out = StringBuilder::new();
    let mut text = String::new();
    for row in 0..args.rows {
        if lists.is_null(row) || delimiters.is_null(row) || replacements.is_some_and(|r| r.is_null(row)) {
            out.append_null();
            continue;
        }
        text.clear();
        let mut first = true;
        for i in lists.range(row) {
            let part = if elements.is_null(i) { replacements.map(|r| r.value(row)) } else { Some(elements.value(i)) };
            if let Some(part) = part {
                if !first {
                    text.push_str(delimiters.value(row));
                }
                text.push_str(part);
                first = false;
            }
        }
        out.append_value(&text);
    }
    Ok(Arc::new(out.finish()))
}

/// Field names: of columns and fields their own names, of anything else the position from 0.
fn zip_name(argument: &TypedExpr, index: usize) -> String {
    match &argument.expr {
        Expr::Alias(alias) => alias.name.clone(),
        Expr::Column(_) => argument.sql.clone(),
        other => extracted_name(other).map_or_else(|| index.to_string(), str::to_string),
    }
}

fn build_zip(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = sql_of(context, &arguments.values);
    let mut fields = Vec::new();
    let mut args = Vec::new();
    for (index, argument) in arguments.values.into_iter().enumerate() {
        let name = zip_name(&argument, index);
        let array = array_argument(&sql, index, argument)?;
        fields.push(StructField::new(name, array.element, true));
        args.push(array.expr);
    }
    let nullable = args.iter().any(|a| a.nullable);
    let data_type = DataType::array(DataType::structure(fields), false);
    kernel_call(context, "arrays_zip", arrays_zip, args, data_type, nullable, sql)
}

fn arrays_zip(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let lists = (0..args.values.len()).map(|i| Lists::of(&args.array(i)?)).collect::<Result<Vec<_>>>()?;
    let DataType::Array(element, _) = args.return_type else {
        return Err(SparkError::internal("arrays_zip makes an array"));
    };
    let DataType::Struct(struct_type) = element.as_ref() else {
        return Err(SparkError::internal("arrays_zip makes structs"));
    };
    let fields = types::to_arrow_fields(struct_type);
    let gathers = lists.iter().zip(fields.iter());
    let mut gathers = gathers
        .map(|(list, field)| Gather::new(vec![Arc::clone(&list.values)], field.data_type(), args.rows))
        .collect::<Result<Vec<_>>>()?;
    let (mut rows, mut total) = (RowEnds::with_capacity(args.rows), 0);
    for row in 0..args.rows {
        let is_null = lists.iter().any(|l| l.is_null(row));
        let size = if is_null { 0 } else { lists.iter().map(|l| l.size(row)).max().unwrap_or(0) };
        for (list, gather) in lists.iter().zip(&mut gathers).take(if is_null { 0 } else { lists.len() }) {
            gather.extend(0, list.range(row));
            gather.push_nulls(size - list.size(row));
        }
        total += size;
        rows.end(total, !is_null)?;
    }
    let columns = gathers.into_iter().map(Gather::finish_values).collect::<Result<Vec<_>>>()?;
    let values = struct_array(&fields, &columns, None, total)?;
    let (offsets, nulls) = rows.finish();
    list_array(args.return_type, offsets, values, nulls)
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "array_join",
        GROUP,
        "2.4.0",
        build_join,
        "array_join(array, delimiter[, nullReplacement]) - Joins the elements to one string; NULLs are left out unless \
         there is a replacement.",
        &[("array_join(array('hello', 'world'), ' ')", "hello world")],
    ),
    Function::custom(
        "arrays_zip",
        GROUP,
        "2.4.0",
        build_zip,
        "arrays_zip(a1, a2, ...) - Returns an array of structs: the n-th holds the n-th elements of all arrays.",
        &[("arrays_zip(array(1, 2, 3), array(2, 3, 4))", "[{\"0\":1,\"1\":2},{\"0\":2,\"1\":3},{\"0\":3,\"1\":4}]")],
    ),
];
