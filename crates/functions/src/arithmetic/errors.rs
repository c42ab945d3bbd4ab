//! The errors of arithmetic.
use firesteel_plan::SparkError;

use crate::quote::{sql_config, sql_id};

const ANSI: &str = "spark.sql.ansi.enabled";

/// `ARITHMETIC_OVERFLOW`; `instead`: the function that gives NULL, where there is one.
pub fn overflow(message: &str, instead: &str) -> SparkError {
    let alternative = if instead.is_empty() {
        String::new()
    } else {
        format!(" Use '{instead}' to tolerate overflow and return NULL instead.")
    };
    SparkError::new(
        "ARITHMETIC_OVERFLOW",
        [("message", message.to_string()), ("alternative", alternative), ("config", sql_config(ANSI))],
    )
}

/// `BINARY_ARITHMETIC_OVERFLOW` of TINYINT and SMALLINT
pub fn small_overflow(left: i64, symbol: &str, right: i64, instead: &str) -> SparkError {
    SparkError::new(
        "BINARY_ARITHMETIC_OVERFLOW",
        [
            ("value1", format!("{left}S")),
            ("symbol", symbol.to_string()),
            ("value2", format!("{right}S")),
            ("functionName", sql_id(instead)),
        ],
    )
}

pub fn divide_by_zero() -> SparkError {
    SparkError::new("DIVIDE_BY_ZERO", [("config", sql_config(ANSI))])
}

pub fn remainder_by_zero() -> SparkError {
    SparkError::new("REMAINDER_BY_ZERO", [("config", sql_config(ANSI))])
}

pub fn interval_divided_by_zero() -> SparkError {
    SparkError::of("INTERVAL_DIVIDED_BY_ZERO")
}
