//! Defaults of columns: constants that can be assigned to them.
use std::sync::Arc;

use firesteel_analyze::Analyzer;
use firesteel_functions::cast::{CastMode, can_up_cast, cast};
use firesteel_functions::fold::fold;
use firesteel_functions::{EvalContext, TypedExpr};
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use super::Statement;
use super::describe::metadata_text;
use super::insert::DEFAULT_KEY;

/// Checks the defaults of columns that `statement` makes or changes: those that `before` does not have.
pub async fn check(st: &Statement, statement: &'static str, columns: &StructType, before: &StructType) -> Result<()> {
    let is_old = |field: &StructField, text: &String| {
        let old = before.fields.iter().find(|old| old.name.eq_ignore_ascii_case(&field.name));
        old.and_then(|old| metadata_text(old, DEFAULT_KEY)).as_ref() == Some(text)
    };
    let defaults = columns.fields.iter().filter_map(|field| Some((field.clone(), metadata_text(field, DEFAULT_KEY)?)));
    let new: Vec<(StructField, String)> = defaults.filter(|(field, text)| !is_old(field, text)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let eval = Arc::clone(&st.context.eval);
    crate::run::with_analyzer(&st.context, &st.parameters, move |analyzer| {
        new.iter().try_for_each(|(field, text)| check_one(analyzer, statement, field, text, &eval))
    })
    .await
}

fn check_one(
    analyzer: &Analyzer<'_>,
    statement: &str,
    field: &StructField,
    text: &str,
    eval: &Arc<EvalContext>,
) -> Result<()> {
    let invalid = |kind: &str, types: &[(&'static str, &DataType)]| {
        let parameters = [
            ("statement", statement.to_string()),
            ("colName", quote_identifier(&field.name)),
            ("defaultValue", text.to_string()),
        ];
        let types = types.iter().map(|(name, data_type)| (*name, format!("\"{}\"", data_type.sql())));
        let parameters: Vec<(&str, String)> = parameters.into_iter().chain(types).collect();
        SparkError::new(format!("INVALID_DEFAULT_VALUE.{kind}"), parameters)
    };
    let expr = firesteel_sql::parse_expression(text, &analyzer.parse_options())?;
    let typed = analyzer.constant(&expr).map_err(|error| match error.condition().starts_with("UNRESOLVED_COLUMN") {
        true => invalid("NOT_CONSTANT", &[]),
        false => error,
    })?;
    if typed.has_subquery() {
        return Err(invalid("SUBQUERY_EXPRESSION", &[]));
    }
    let (expected, actual) = (&field.data_type, typed.data_type.clone());
    if actual.same_type(expected) || can_up_cast(&actual, expected) {
        // What it says is an error comes out now.
        return fold(&typed).map(|_| ());
    }
    match fits(typed, expected, eval)? {
        true => Ok(()),
        false => Err(invalid("DATA_TYPE", &[("expectedType", expected), ("actualType", &actual)])),
    }
}

/// Whether the value of a constant of a wider type is one of the column's.
fn fits(typed: TypedExpr, to: &DataType, eval: &Arc<EvalContext>) -> Result<bool> {
    let is_own_kind = |t: &DataType| matches!(t, DataType::Boolean) || !t.is_atomic();
    if is_own_kind(to) || is_own_kind(&typed.data_type) || !typed.is_foldable() {
        return Ok(false);
    }
    Ok(fold(&cast(typed, to, CastMode::Try, eval)?)?.is_some_and(|value| !value.is_null()))
}
