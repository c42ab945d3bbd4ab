//! Checks of arguments that the sketch families share.
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError};

use crate::aggregates::call::{AggregateBuilder, constant};
use crate::coerce;
use crate::quote;
use crate::registry::{Arguments, BuildContext};
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// Adds the default of a last argument that was left out, and gives the call's text.
pub fn defaulted(
    context: &BuildContext<'_>,
    arguments: &mut Arguments<'_>,
    count: usize,
    default: TypedExpr,
) -> String {
    if arguments.values.len() + 1 == count {
        arguments.values.push(default);
    }
    let texts: Vec<&str> = arguments.values.iter().map(|v| v.sql.as_str()).collect();
    let distinct = if arguments.distinct { "DISTINCT " } else { "" };
    format!("{}({distinct}{})", context.called_as.to_lowercase(), texts.join(", "))
}

/// Conditions and bounds of the argument that sizes a sketch.
pub struct Size {
    pub function: &'static str,
    pub not_constant: &'static str,
    pub out_of_range: &'static str,
    pub least: i32,
    pub most: i32,
}

impl Size {
    pub fn error(&self, value: impl ToString) -> SparkError {
        SparkError::new(
            self.out_of_range,
            [
                ("function", quote::sql_id(self.function)),
                ("min", self.least.to_string()),
                ("max", self.most.to_string()),
                ("value", value.to_string()),
            ],
        )
    }

    /// The size of a sketch: a constant INT within bounds.
    pub fn argument(&self, builder: &AggregateBuilder<'_, '_>, index: usize) -> Result<ScalarValue> {
        let value = builder.value(index);
        if !matches!(value.data_type, DataType::Byte | DataType::Short | DataType::Integer | DataType::Null) {
            let required = "\"INT\"".to_string();
            let error = quote::unexpected_input_type(builder.sql(), index, required, &value.sql, &value.data_type);
            return Err(builder.fail(error));
        }
        if !value.is_foldable() {
            return Err(SparkError::new(self.not_constant, [("function", quote::sql_id(self.function))]));
        }
        match constant(value)?.cast_to(&ArrowType::Int32).map_err(crate::scalar::from_datafusion)? {
            ScalarValue::Int32(Some(lg)) if (self.least..=self.most).contains(&lg) => Ok(ScalarValue::Int32(Some(lg))),
            ScalarValue::Int32(None) => Err(self.error(0)),
            other => Err(self.error(other)),
        }
    }
}

/// Errors unless argument `index` is BINARY: sketches are not read from text.
pub fn require_binary(builder: &AggregateBuilder<'_, '_>, index: usize) -> Result<()> {
    let value = builder.value(index);
    if matches!(value.data_type, DataType::Binary | DataType::Null) {
        return Ok(());
    }
    let error =
        quote::unexpected_input_type(builder.sql(), index, "\"BINARY\"".to_string(), &value.sql, &value.data_type);
    Err(builder.fail(error))
}

/// Casts what a scalar function of sketches takes; BINARY is never cast to.
pub fn scalar_arguments(
    context: &BuildContext<'_>,
    values: Vec<TypedExpr>,
    accepts: &[Accept],
    sql: &str,
) -> Result<Vec<TypedExpr>> {
    for (index, value) in values.iter().enumerate() {
        let (fits, required) = match accepts.get(index) {
            Some(Accept::Binary) => (value.data_type == DataType::Binary, "BINARY"),
            Some(Accept::Boolean) => (value.data_type == DataType::Boolean, "BOOLEAN"),
            Some(Accept::Integer) => (value.data_type.is_integral(), "INT"),
            _ => continue,
        };
        if !fits && value.data_type != DataType::Null {
            let required = format!("\"{required}\"");
            let error = quote::unexpected_input_type(sql, index, required, &value.sql, &value.data_type);
            return Err(error.with_origin(context.origin.as_ref()));
        }
    }
    coerce::arguments(sql, accepts, values, context)
}
