//! What an aggregate function answers for no rows.
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use firesteel_plan::Result;

use super::expr::replace;
use crate::from_datafusion;

/// The function's own answer: an accumulator that saw nothing is asked.
pub fn empty_value(function: &Expr, input: &LogicalPlan) -> Result<Expr> {
    let typed_null = |node: &Expr| match node {
        Expr::OuterReferenceColumn(field, _) => ScalarValue::try_from(field.data_type()).ok(),
        _ => None,
    };
    let function = replace(function.clone(), |node| typed_null(node).map(|value| Expr::Literal(value, None)))?;
    let schema = input.schema();
    let (properties, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let physical = LoweredAggregateBuilder::new(&function, schema, schema.as_arrow(), &properties, &planning)
        .build()
        .map_err(from_datafusion)?;
    let mut accumulator = physical.aggregate.create_accumulator().map_err(from_datafusion)?;
    let value = accumulator.evaluate().map_err(from_datafusion)?;
    let expected = function.get_type(schema.as_ref()).map_err(from_datafusion)?;
    Ok(Expr::Literal(of_type(value, &expected)?, None))
}

fn of_type(value: ScalarValue, expected: &DataType) -> Result<ScalarValue> {
    if value.data_type() == *expected {
        return Ok(value);
    }
    value.cast_to(expected).map_err(from_datafusion)
}
