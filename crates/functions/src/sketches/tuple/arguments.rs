//! The constant arguments of the functions on Tuple sketches: a size and a mode.
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError};

use super::model::Mode;
use crate::coerce;
use crate::fold::fold;
use crate::quote;
use crate::registry::BuildContext;
use crate::signature::Accept;
use crate::typed::TypedExpr;

pub const DEFAULT_LG_ENTRIES: i32 = 12;
const LEAST: i32 = 4;
const MOST: i32 = 26;

/// Size and mode of a call.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub lg_entries: u32,
    pub mode: Mode,
}

impl Settings {
    /// As the options of a kernel; `decode` reads them.
    pub fn encode(self, name: &str) -> Vec<String> {
        vec![name.to_string(), self.lg_entries.to_string(), format!("{:?}", self.mode)]
    }

    pub fn decode(options: &[String]) -> Self {
        let lg_entries = options.get(1).and_then(|lg| lg.parse().ok()).unwrap_or(DEFAULT_LG_ENTRIES as u32);
        let mode = options.get(2).and_then(|mode| Mode::parse(mode)).unwrap_or(Mode::Sum);
        Self { lg_entries, mode }
    }
}

/// What a function takes after its sketches.
#[derive(Debug, Clone, Copy)]
pub struct Takes {
    pub size: bool,
    pub mode: bool,
}

/// Adds the arguments that were left out after the first `sketches`.
pub fn complete(values: &mut Vec<TypedExpr>, sketches: usize, takes: Takes) {
    if takes.size && values.len() == sketches {
        values.push(TypedExpr::int(DEFAULT_LG_ENTRIES));
    }
    if takes.mode && values.len() == sketches + usize::from(takes.size) {
        values.push(TypedExpr::string("sum"));
    }
}

/// The settings that the arguments after the first `sketches` are; those are taken off `values`.
pub fn settings(
    context: &BuildContext<'_>,
    name: &str,
    sql: &str,
    values: &mut Vec<TypedExpr>,
    sketches: usize,
    takes: Takes,
) -> Result<Settings> {
    let mut rest = values.split_off(sketches.min(values.len())).into_iter();
    let mut found = Settings { lg_entries: DEFAULT_LG_ENTRIES as u32, mode: Mode::Sum };
    if takes.size
        && let Some(given) = rest.next()
    {
        let given = coerce::argument(sql, sketches, Accept::Integer, given, context)?;
        found.lg_entries = match constant(sql, "lgNomEntries", &given)? {
            ScalarValue::Int32(Some(lg)) if (LEAST..=MOST).contains(&lg) => lg as u32,
            other => return Err(hint(sql, size_error(name, &other))),
        };
    }
    if takes.mode
        && let Some(given) = rest.next()
    {
        let index = sketches + usize::from(takes.size);
        let given = coerce::argument(sql, index, Accept::String, given, context)?;
        let text = constant(sql, "mode", &given)?.try_as_str().flatten().unwrap_or_default().to_string();
        found.mode = Mode::parse(&text).ok_or_else(|| hint(sql, mode_error(name, &text)))?;
    }
    Ok(found)
}

fn size_error(name: &str, given: &ScalarValue) -> SparkError {
    let bounds = [("min", LEAST.to_string()), ("max", MOST.to_string()), ("value", given.to_string())];
    SparkError::new("SKETCH_INVALID_LG_NOM_ENTRIES", [("function", quote::sql_id(name))].into_iter().chain(bounds))
}

fn mode_error(name: &str, given: &str) -> SparkError {
    SparkError::new(
        "TUPLE_INVALID_SKETCH_MODE",
        [("function", quote::sql_id(name)), ("mode", given.to_string()), ("validModes", Mode::NAMES.to_string())],
    )
}

fn hint(sql: &str, inner: SparkError) -> SparkError {
    let parameters = [("msg", inner.to_string()), ("hint", String::new())];
    quote::mismatch("TYPE_CHECK_FAILURE_WITH_HINT", sql, parameters)
}

fn constant(sql: &str, parameter: &str, given: &TypedExpr) -> Result<ScalarValue> {
    match fold(given)? {
        None => Err(quote::mismatch(
            "NON_FOLDABLE_INPUT",
            sql,
            [
                ("inputName", parameter.to_string()),
                ("inputType", given.data_type.simple_string()),
                ("inputExpr", given.sql.clone()),
            ],
        )),
        Some(value) if value.is_null() => {
            Err(quote::mismatch("UNEXPECTED_NULL", sql, [("exprName", parameter.to_string())]))
        }
        Some(value) => Ok(value),
    }
}

/// Errors unless the first `count` arguments are BINARY: sketches are not read from text.
pub fn expect_sketches(sql: &str, values: &[TypedExpr], count: usize) -> Result<()> {
    for (index, value) in values.iter().enumerate().take(count) {
        if !matches!(value.data_type, DataType::Binary | DataType::Null) {
            let required = "\"BINARY\"".to_string();
            return Err(quote::unexpected_input_type(sql, index, required, &value.sql, &value.data_type));
        }
    }
    Ok(())
}
