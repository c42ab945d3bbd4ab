//! What the `from_…`, `to_…` and `schema_of_…` functions of all text formats share: their schema and options arguments.
use arrow::array::{Array, AsArray};
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError, StructType};
use firesteel_sql::ParseOptions;

use crate::context::EvalContext;
use crate::fold;
use crate::text_formats::FormatOptions;
use crate::typed::TypedExpr;

/// The schema that a `from_…` function was given: DDL, a type, Spark's JSON, or a `schema_of_…` call.
pub fn schema(argument: &TypedExpr) -> Result<DataType> {
    if !argument.data_type.is_string() || !argument.is_foldable() {
        return Err(SparkError::new(
            "INVALID_SCHEMA.NON_STRING_LITERAL",
            [("inputSchema", format!("\"{}\"", argument.sql))],
        ));
    }
    let Some(text) = fold::fold_string(argument)? else {
        return Err(SparkError::new("UNEXPECTED_NULL", [("exprName", "schema")]));
    };
    parse_schema(&text)
}

/// A type (`array<int>`), else a list of columns (`a INT, b STRING`).
pub fn parse_schema(text: &str) -> Result<DataType> {
    let trimmed = text.trim();
    if trimmed.starts_with(['{', '"']) {
        return DataType::from_json(trimmed);
    }
    let options = ParseOptions::default();
    match firesteel_sql::parse_data_type(text, &options) {
        Ok(data_type) => Ok(data_type),
        Err(error) => {
            let columns = firesteel_sql::parse_table_schema(text, &options);
            columns.map(DataType::Struct).map_err(|second| not_a_type(text, error, &second))
        }
    }
}

/// What is neither is refused as a type; a column of an unknown type is one word too many for that.
fn not_a_type(text: &str, error: SparkError, as_columns: &SparkError) -> SparkError {
    match text.split_whitespace().nth(1) {
        Some(extra) if as_columns.is("UNSUPPORTED_DATATYPE") => SparkError::new(
            "PARSE_SYNTAX_ERROR",
            [("error", format!("'{extra}'")), ("hint", format!(": extra input '{extra}'"))],
        ),
        _ => error,
    }
}

/// `map('key', 'value', …)` as options. Errors where it is not a constant map of strings.
pub fn options(argument: Option<&TypedExpr>) -> Result<FormatOptions> {
    let Some(argument) = argument else { return Ok(FormatOptions::default()) };
    let DataType::Map(key, value, _) = &argument.data_type else {
        return Err(SparkError::of("INVALID_OPTIONS.NON_MAP_FUNCTION"));
    };
    if !key.is_string() || !value.is_string() {
        return Err(SparkError::new(
            "INVALID_OPTIONS.NON_STRING_TYPE",
            [("mapType", format!("\"{}\"", argument.data_type.sql()))],
        ));
    }
    let Some(ScalarValue::Map(map)) = fold::fold(argument)? else {
        return Err(SparkError::of("INVALID_OPTIONS.NON_MAP_FUNCTION"));
    };
    if map.is_empty() || map.is_null(0) {
        return Ok(FormatOptions::default());
    }
    let entries = map.value(0);
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
    let valid = (0..entries.len()).filter(|i| values.is_valid(*i));
    Ok(FormatOptions::new(valid.map(|i| (keys.value(i), values.value(i)))))
}

/// Options on their way to a kernel, as its `options`: keys and values in turn.
pub fn encode(options: &FormatOptions) -> Vec<String> {
    options.iter().flat_map(|(k, v)| [k.to_string(), v.to_string()]).collect()
}

/// What [`encode`] made.
pub fn decode(options: &[String]) -> FormatOptions {
    FormatOptions::new(options.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())))
}

/// `spark.sql.columnNameOfCorruptRecord`
pub fn corrupt_setting(context: &EvalContext) -> Option<&str> {
    context.get("spark.sql.columnNameOfCorruptRecord")
}

/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` for an argument that has to be a string.
pub fn expect_string(sql: &str, argument: &TypedExpr, ordinal: &str) -> Result<()> {
    if argument.data_type.is_string() || argument.data_type == DataType::Null {
        return Ok(());
    }
    Err(SparkError::new(
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
        [
            ("sqlExpr", format!("\"{sql}\"")),
            ("paramIndex", ordinal.to_string()),
            ("requiredType", "\"STRING\"".to_string()),
            ("inputSql", format!("\"{}\"", argument.sql)),
            ("inputType", format!("\"{}\"", argument.data_type.sql())),
        ],
    ))
}

/// The constant text that `schema_of_…` looks at. Errors where it is not constant or NULL.
pub fn constant_text(sql: &str, name: &str, argument: &TypedExpr) -> Result<String> {
    expect_string(sql, argument, "first")?;
    if !argument.is_foldable() {
        return Err(fold::not_foldable(sql, name, argument));
    }
    fold::fold_string(argument)?.ok_or_else(|| {
        SparkError::new(
            "DATATYPE_MISMATCH.UNEXPECTED_NULL",
            [("sqlExpr", format!("\"{sql}\"")), ("exprName", name.to_string())],
        )
    })
}

/// `name(arg)`: the text of these functions shows their first argument only.
pub fn first_argument_sql(name: &str, values: &[TypedExpr]) -> String {
    format!("{name}({})", values.first().map_or("", |v| v.sql.as_str()))
}

/// Modes other than PERMISSIVE and FAILFAST make no sense for one value.
pub fn check_mode(name: &str, options: &FormatOptions) -> Result<()> {
    match options.get("mode") {
        Some(mode) if mode.eq_ignore_ascii_case("DROPMALFORMED") => Err(SparkError::new(
            "PARSE_MODE_UNSUPPORTED",
            [("funcName", format!("`{name}`")), ("mode", mode.to_uppercase())],
        )),
        _ => Ok(()),
    }
}

/// Errors with `INVALID_CORRUPT_RECORD_TYPE` where the corrupt-record column is not a STRING.
pub fn check_corrupt_column(schema: &StructType, name: &str) -> Result<()> {
    match schema.fields.iter().find(|f| f.name == name) {
        Some(field) if !field.data_type.is_string() => Err(SparkError::new(
            "INVALID_CORRUPT_RECORD_TYPE",
            [("columnName", format!("`{name}`")), ("actualType", format!("\"{}\"", field.data_type.sql()))],
        )),
        _ => Ok(()),
    }
}
