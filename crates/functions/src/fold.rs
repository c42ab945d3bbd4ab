//! Constants: what an expression without columns evaluates to while the statement is analyzed.
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::ColumnarValue;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::physical_expr::create_physical_expr;
use firesteel_plan::{Result, SparkError};

use crate::scalar::{from_arrow, from_datafusion};
use crate::typed::TypedExpr;

/// The value of a foldable expression; `None` where it is not foldable. Errors as the evaluation does.
pub fn fold(expr: &TypedExpr) -> Result<Option<ScalarValue>> {
    if let Some(value) = expr.as_literal() {
        return Ok(Some(value.clone()));
    }
    if !expr.is_foldable() {
        return Ok(None);
    }
    let planning = PhysicalPlanningContext::default();
    let physical = create_physical_expr(&expr.expr, &DFSchema::empty(), &ExecutionProps::new(), &planning)
        .map_err(from_datafusion)?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).map_err(from_arrow)?;
    match physical.evaluate(&row).map_err(from_datafusion)? {
        ColumnarValue::Scalar(value) => Ok(Some(value)),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0).map(Some).map_err(from_datafusion),
    }
}

/// The string that a foldable expression evaluates to; `Ok(None)` where it is NULL or not foldable.
pub fn fold_string(expr: &TypedExpr) -> Result<Option<String>> {
    Ok(fold(expr)?.and_then(|value| value.try_as_str().flatten().map(str::to_string)))
}

/// Whether the expression is a constant NULL.
pub fn folds_to_null(expr: &TypedExpr) -> Result<bool> {
    Ok(fold(expr)?.is_some_and(|value| value.is_null()))
}

/// `DATATYPE_MISMATCH.NON_FOLDABLE_INPUT`
pub fn not_foldable(sql: &str, name: &str, expr: &TypedExpr) -> SparkError {
    SparkError::new(
        "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT",
        [
            ("sqlExpr", format!("\"{sql}\"")),
            ("inputName", format!("`{name}`")),
            ("inputType", format!("\"{}\"", expr.data_type.sql())),
            ("inputExpr", format!("\"{}\"", expr.sql)),
        ],
    )
}
