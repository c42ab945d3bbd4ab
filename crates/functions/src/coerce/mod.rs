//! Implicit casts, by Spark's rules for ANSI and non-ANSI sessions.
//!
//! ```text
//!  arguments of a declared signature ──▶ arguments() ──▶ accept: what each parameter takes
//!  two operands ──▶ binary::{arithmetic, comparison, …}  ┐
//!  CASE, IN, UNION, coalesce, array() ──▶ common()       ┴─▶ wider: the type that fits all
//!  strings of one call ──▶ collations: the collation they share
//! ```
use std::sync::Arc;

use firesteel_plan::{DataType, Origin, Result};

use crate::cast::{self, CastMode};
use crate::context::EvalContext;
use crate::quote::{mismatch, sql_id, sql_types, unexpected_input_type};
use crate::registry::BuildContext;
use crate::signature::Accept;
use crate::typed::TypedExpr;

mod accept;
pub mod binary;
pub mod collations;
mod wider;

pub use crate::quote::sql_expr;
pub use accept::{accepts, implicit_type, required_type};
pub use wider::{
    decimal_for, tightest_common_type, wider_decimal, wider_type, wider_type_of, wider_type_without_strings,
};

/// Casts without a trace in the expression's name, as Spark's analyzer does.
/// A cast that fails points at `origin`, the expression that needed it.
pub fn implicit(
    value: TypedExpr,
    to: &DataType,
    context: &Arc<EvalContext>,
    origin: &Option<Arc<Origin>>,
) -> Result<TypedExpr> {
    if value.data_type == *to {
        return Ok(value);
    }
    let (sql, own_origin) = (value.sql.clone(), value.origin.clone());
    let at = value.with_origin(origin.clone().or(own_origin.clone()));
    let cast = cast::cast(at, to, CastMode::of(context), context)?;
    Ok(cast.with_sql(sql).with_origin(own_origin))
}

/// Casts the arguments of a call to what its signature accepts.
/// Errors with `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` where Spark would.
/// `call_sql` is the call's text for the error.
pub fn arguments(
    call_sql: &str,
    accepts: &[Accept],
    values: Vec<TypedExpr>,
    context: &BuildContext<'_>,
) -> Result<Vec<TypedExpr>> {
    let mut result = Vec::with_capacity(values.len());
    for (index, value) in values.into_iter().enumerate() {
        let wanted = accepts.get(index).copied().unwrap_or(Accept::Any);
        result.push(argument(call_sql, index, wanted, value, context)?);
    }
    if !accepts.contains(&Accept::Common) {
        return Ok(result);
    }
    let marked: Vec<usize> = (0..result.len()).filter(|i| accepts.get(*i) == Some(&Accept::Common)).collect();
    let types: Vec<DataType> = marked.iter().map(|i| result[*i].data_type.clone()).collect();
    let Some(common) = wider_type_of(&types, context.eval) else {
        let error = mismatch(
            "DATA_DIFF_TYPES",
            call_sql,
            [("functionName", sql_id(context.called_as)), ("dataType", sql_types(types))],
        );
        return Err(error.with_origin(context.origin.as_ref()));
    };
    result
        .into_iter()
        .enumerate()
        .map(|(i, v)| if marked.contains(&i) { implicit(v, &common, context.eval, &context.origin) } else { Ok(v) })
        .collect()
}

/// One argument of a call, cast to what parameter `index` accepts.
pub fn argument(
    call_sql: &str,
    index: usize,
    wanted: Accept,
    value: TypedExpr,
    context: &BuildContext<'_>,
) -> Result<TypedExpr> {
    match implicit_type(&value.data_type, wanted, context.eval) {
        Some(to) => implicit(value, &to, context.eval, &context.origin),
        None => {
            let required = required_type(wanted);
            let error = unexpected_input_type(call_sql, index, required, &value.sql, &value.data_type);
            Err(error.with_origin(context.origin.as_ref()))
        }
    }
}

/// Casts all values to the type that fits all of them; `None` where there is none.
pub fn common(
    values: Vec<TypedExpr>,
    context: &Arc<EvalContext>,
    origin: &Option<Arc<Origin>>,
) -> Result<std::result::Result<Vec<TypedExpr>, Vec<TypedExpr>>> {
    let types: Vec<DataType> = values.iter().map(|v| v.data_type.clone()).collect();
    let Some(to) = wider_type_of(&types, context) else { return Ok(Err(values)) };
    values.into_iter().map(|v| implicit(v, &to, context, origin)).collect::<Result<Vec<_>>>().map(Ok)
}
