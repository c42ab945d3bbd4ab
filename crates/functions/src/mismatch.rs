//! `DATATYPE_MISMATCH` and its parameters, as Spark quotes them.
use firesteel_plan::{DataType, SparkError};

pub use crate::quote::{ordinal, sql_expr, sql_id, sql_type};
use crate::registry::BuildContext;
use crate::typed::TypedExpr;

/// `name(argument, …)` as the call shows in names and errors.
pub fn call_sql(name: &str, arguments: &[TypedExpr]) -> String {
    let arguments: Vec<_> = arguments.iter().map(|a| a.sql.as_str()).collect();
    format!("{name}({})", arguments.join(", "))
}

/// The text of a call by the name it was called by.
pub fn sql_of(context: &BuildContext<'_>, arguments: &[TypedExpr]) -> String {
    call_sql(context.called_as, arguments)
}

/// `DATATYPE_MISMATCH.<kind>` of the call `sql`.
pub fn mismatch(kind: &str, sql: &str, parameters: impl IntoIterator<Item = (&'static str, String)>) -> SparkError {
    let all = [("sqlExpr", sql_expr(sql))].into_iter().chain(parameters);
    SparkError::new(format!("DATATYPE_MISMATCH.{kind}"), all)
}

/// `UNEXPECTED_INPUT_TYPE`: argument `index` (from 0) has to be `required`, quoted as Spark quotes it (`"ARRAY"`).
pub fn unexpected_input(sql: &str, index: usize, argument: &TypedExpr, required: &str) -> SparkError {
    unexpected_type(sql, index, &argument.sql, &argument.data_type, required)
}

/// The same for an argument that is only known by its text and type.
pub fn unexpected_type(sql: &str, index: usize, input: &str, found: &DataType, required: &str) -> SparkError {
    mismatch(
        "UNEXPECTED_INPUT_TYPE",
        sql,
        [
            ("paramIndex", ordinal(index)),
            ("inputSql", sql_expr(input)),
            ("inputType", sql_type(found)),
            ("requiredType", required.to_string()),
        ],
    )
}

/// `INVALID_ORDERING_TYPE`: values of that type cannot be ordered or compared.
pub fn not_orderable(name: &str, sql: &str, found: &DataType) -> SparkError {
    mismatch("INVALID_ORDERING_TYPE", sql, [("functionName", sql_id(name)), ("dataType", sql_type(found))])
}

/// `NULL_TYPE`: an untyped NULL where a typed value is needed.
pub fn null_type(name: &str, sql: &str) -> SparkError {
    mismatch("NULL_TYPE", sql, [("functionName", sql_id(name))])
}

/// `<kind>` with the two types that do not fit: `ARRAY_FUNCTION_DIFF_TYPES`, `MAP_FUNCTION_DIFF_TYPES` …
pub fn two_types(
    kind: &str,
    name: &str,
    sql: &str,
    holder: Option<(&'static str, &str)>,
    left: &DataType,
    right: &DataType,
) -> SparkError {
    let holder = holder.map(|(parameter, text)| (parameter, format!("\"{text}\"")));
    let types = [("leftType", sql_type(left)), ("rightType", sql_type(right))];
    mismatch(kind, sql, [("functionName", sql_id(name))].into_iter().chain(holder).chain(types))
}

/// `DATA_DIFF_TYPES`: the arguments have no common type.
pub fn diff_types<'a>(name: &str, sql: &str, types: impl IntoIterator<Item = &'a DataType>) -> SparkError {
    let types: Vec<_> = types.into_iter().map(sql_type).collect();
    let parameters = [("functionName", sql_id(name)), ("dataType", format!("({})", types.join(" or ")))];
    mismatch("DATA_DIFF_TYPES", sql, parameters)
}
