//! Casts into the columns of a table, and the lengths of CHAR and VARCHAR.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use firesteel_plan::{DataType, Result, SparkError};

use super::{CastMode, build, cast, cast_forces_null, rules, stored_type};
use crate::context::EvalContext;
use crate::quote::{sql_id, sql_type};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;

/// The value as a column of a table stores it, under `spark.sql.storeAssignmentPolicy`.
/// Errors with `INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST` where the policy refuses the cast; at run time with
/// `CAST_OVERFLOW_IN_TABLE_INSERT` and `EXCEED_LIMIT_LENGTH`.
pub fn store_assign(
    child: TypedExpr,
    to: &DataType,
    table: &str,
    column: &str,
    context: &Arc<EvalContext>,
) -> Result<TypedExpr> {
    let stored = stored_type(to);
    let policy = context.get("spark.sql.storeAssignmentPolicy").unwrap_or("ANSI").to_uppercase();
    let from = child.data_type.clone();
    let allowed = from == stored
        || match policy.as_str() {
            "LEGACY" => rules::can_cast(&from, &stored, CastMode::Legacy),
            "STRICT" => rules::can_up_cast(&from, &stored),
            _ => rules::can_store_assign(&from, &stored),
        };
    if !allowed {
        return Err(SparkError::new(
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
            [
                ("tableName", table.to_string()),
                ("colName", sql_id(column)),
                ("srcType", sql_type(&from)),
                ("targetType", sql_type(&stored)),
            ],
        ));
    }
    let mode = if policy == "ANSI" { CastMode::Ansi } else { CastMode::Legacy };
    let nullable = child.nullable || cast_forces_null(&from, &stored, mode);
    let (sql, origin) = (child.sql.clone(), child.origin.clone());
    let stored = build(child, &stored, mode, vec![column.to_string()], nullable, context);
    Ok(check_length(stored, to, context).with_sql(sql).with_origin(origin))
}

/// A cast that loses nothing. Errors with `CANNOT_UP_CAST_DATATYPE`.
pub fn up_cast(child: TypedExpr, to: &DataType, context: &Arc<EvalContext>) -> Result<TypedExpr> {
    if rules::can_up_cast(&child.data_type, to) {
        return cast(child, to, CastMode::of(context), context);
    }
    Err(SparkError::new(
        "CANNOT_UP_CAST_DATATYPE",
        [
            ("expression", child.sql.clone()),
            ("sourceType", sql_type(&child.data_type)),
            ("targetType", sql_type(to)),
            ("details", String::new()),
        ],
    ))
}

/// Pads to a CHAR's length and checks the length of CHAR and VARCHAR; nested types too. Other types stay as they are.
pub fn check_length(value: TypedExpr, to: &DataType, context: &Arc<EvalContext>) -> TypedExpr {
    let (kernel, limit): (crate::scalar::Kernel, u32) = match to {
        DataType::Char(n) => (char_kernel, *n),
        DataType::Varchar(n) => (varchar_kernel, *n),
        _ => return value,
    };
    with_limit("check_length", value, kernel, limit, context)
}

fn with_limit(
    name: &'static str,
    value: TypedExpr,
    kernel: crate::scalar::Kernel,
    limit: u32,
    context: &Arc<EvalContext>,
) -> TypedExpr {
    let (nullable, origin) = (value.nullable, value.origin.clone());
    SparkScalar::call(name, kernel, vec![value], DataType::STRING, nullable, context)
        .options(vec![limit.to_string()])
        .origin(origin)
        .build()
}

/// The value with blanks up to `length` characters; a longer one as it is.
pub fn pad(value: TypedExpr, length: u32, context: &Arc<EvalContext>) -> TypedExpr {
    with_limit("pad", value, pad_kernel, length, context)
}

/// Writes each text by the call's limit, which is a number of characters.
fn by_limit(args: &ScalarArgs<'_>, write: impl Fn(&str, usize, &mut StringBuilder) -> Result<()>) -> Result<ArrayRef> {
    let limit: usize = args.option(0).parse().map_err(|_| SparkError::internal("a length without a number"))?;
    let input = args.array(0)?;
    let strings = input.as_string_opt::<i32>().ok_or_else(|| SparkError::internal("strings were expected"))?;
    let mut out = StringBuilder::with_capacity(strings.len(), strings.values().len());
    for text in strings.iter() {
        match text {
            Some(text) => write(text, limit, &mut out)?,
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn append_padded(text: &str, length: usize, out: &mut StringBuilder) {
    let missing = length.saturating_sub(text.chars().count());
    out.append_value(format!("{text}{}", " ".repeat(missing)));
}

fn pad_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    by_limit(args, |text, limit, out| {
        append_padded(text, limit, out);
        Ok(())
    })
}

fn char_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    fit(args, true)
}

fn varchar_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    fit(args, false)
}

/// Blanks beyond the limit are cut off; other characters are an error.
fn fit(args: &ScalarArgs<'_>, pad: bool) -> Result<ArrayRef> {
    by_limit(args, |text, limit, out| {
        if text.chars().count() <= limit {
            append_padded(text, if pad { limit } else { 0 }, out);
            return Ok(());
        }
        let cut = text.char_indices().nth(limit).map_or(text.len(), |(at, _)| at);
        if !text[cut..].bytes().all(|b| b == b' ') {
            return Err(SparkError::new("EXCEED_LIMIT_LENGTH", [("limit", limit.to_string())]));
        }
        out.append_value(&text[..cut]);
        Ok(())
    })
}
