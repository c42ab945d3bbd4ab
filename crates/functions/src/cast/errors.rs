//! The runtime errors of casts.
use arrow::array::ArrayRef;
use firesteel_plan::{DataType, SparkError};

use super::kernel::Caster;
use crate::quote::{sql_config, sql_id, sql_string, sql_type};
use crate::{decimal, java_number};

/// `CAST_INVALID_INPUT`; `expression` is the value as a literal ([`sql_string`] for strings).
pub fn invalid_input(expression: String, from: &DataType, to: &DataType) -> SparkError {
    SparkError::new(
        "CAST_INVALID_INPUT",
        [
            ("expression", expression),
            ("sourceType", sql_type(from)),
            ("targetType", sql_type(to)),
            ("ansiConfig", sql_config("spark.sql.ansi.enabled")),
        ],
    )
}

/// `CAST_OVERFLOW`
pub fn overflow(value: String, from: &DataType, to: &DataType) -> SparkError {
    SparkError::new(
        "CAST_OVERFLOW",
        [
            ("value", value),
            ("sourceType", sql_type(from)),
            ("targetType", sql_type(to)),
            ("ansiConfig", sql_config("spark.sql.ansi.enabled")),
        ],
    )
}

/// `NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION` for a number that a decimal type does not hold.
pub fn out_of_decimal(value: String, precision: u8, scale: i8) -> SparkError {
    SparkError::new(
        "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION",
        [
            ("value", value),
            ("precision", precision.to_string()),
            ("scale", scale.to_string()),
            ("config", sql_config("spark.sql.ansi.enabled")),
        ],
    )
}

impl Caster<'_> {
    /// The overflow error of this cast: another one while a row is being inserted.
    pub fn overflow(&self, value: String, from: &DataType, to: &DataType) -> SparkError {
        match self.column {
            Some(column) => SparkError::new(
                "CAST_OVERFLOW_IN_TABLE_INSERT",
                [("sourceType", sql_type(from)), ("targetType", sql_type(to)), ("columnName", sql_id(column))],
            ),
            None => overflow(value, from, to),
        }
    }
}

/// The value of a row as a Spark literal: `1L`, `1.5D`, `2.50BD`, `'abc'`.
pub fn value_text(array: &ArrayRef, row: usize, data_type: &DataType) -> String {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
    if row >= array.len() || array.is_null(row) {
        return "NULL".into();
    }
    macro_rules! value {
        ($t:ty) => {
            array.as_primitive::<$t>().value(row)
        };
    }
    match data_type {
        DataType::Byte => format!("{}Y", value!(Int8Type)),
        DataType::Short => format!("{}S", value!(Int16Type)),
        DataType::Integer => value!(Int32Type).to_string(),
        DataType::Long => format!("{}L", value!(Int64Type)),
        DataType::Float => java_number::float(value!(Float32Type)),
        DataType::Double => double_text(value!(Float64Type)),
        DataType::Decimal(_, s) => format!("{}BD", decimal::plain(value!(Decimal128Type), *s)),
        t if t.is_string() => sql_string(array.as_string::<i32>().value(row)),
        _ => String::new(),
    }
}

/// A double as a literal.
pub fn double_text(value: f64) -> String {
    let text = java_number::double(value);
    if value.is_finite() { format!("{text}D") } else { text }
}
