//! How expressions, types and values are written in the parameters of an error.
use firesteel_plan::{DataType, SparkError};

/// `"(a + b)"`
pub fn sql_expr(sql: &str) -> String {
    format!("\"{sql}\"")
}

/// `"ARRAY<INT>"`
pub fn sql_type(data_type: &DataType) -> String {
    format!("\"{}\"", data_type.sql())
}

/// `"spark.sql.ansi.enabled"`
pub fn sql_config(key: &str) -> String {
    format!("\"{key}\"")
}

/// `` `name` ``
pub fn sql_id(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `'text'`, as a string literal of Spark is written.
pub fn sql_string(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// `("INT" or "STRING")`
pub fn sql_types(types: impl IntoIterator<Item = DataType>) -> String {
    let all: Vec<_> = types.into_iter().map(|t| sql_type(&t)).collect();
    format!("({})", all.join(" or "))
}

/// `first`, `second`, `third`, `4th` … of an index that counts from 0.
pub fn ordinal(index: usize) -> String {
    match index {
        0 => "first".into(),
        1 => "second".into(),
        2 => "third".into(),
        n => format!("{}th", n + 1),
    }
}

/// `DATATYPE_MISMATCH.<kind>` for the expression `sql`.
pub fn mismatch<const N: usize>(kind: &str, sql: &str, parameters: [(&str, String); N]) -> SparkError {
    let mut all = vec![("sqlExpr".to_string(), sql_expr(sql))];
    all.extend(parameters.into_iter().map(|(key, value)| (key.to_string(), value)));
    SparkError::new(format!("DATATYPE_MISMATCH.{kind}"), all)
}

/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE`; `required` is quoted already.
pub fn unexpected_input_type(
    call_sql: &str,
    index: usize,
    required: String,
    input_sql: &str,
    input_type: &DataType,
) -> SparkError {
    mismatch(
        "UNEXPECTED_INPUT_TYPE",
        call_sql,
        [
            ("paramIndex", ordinal(index)),
            ("requiredType", required),
            ("inputSql", sql_expr(input_sql)),
            ("inputType", sql_type(input_type)),
        ],
    )
}
