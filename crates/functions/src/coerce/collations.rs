//! One collation for all strings of a call, by where each comes from.
//!
//! | strength | strings |
//! |---|---|
//! | explicit | what `COLLATE` made |
//! | implicit | columns, casts to a collation, and what is computed from them |
//! | default | constants: they take the collation of the others |
use std::sync::Arc;

use firesteel_plan::data_type::Collation;
use firesteel_plan::{DataType, Result, SparkError};

use crate::collation::Parts;
use crate::quote::{sql_expr, sql_type, unexpected_input_type};
use crate::registry::BuildContext;
use crate::typed::TypedExpr;

/// The name of a collation that columns of different collations leave open.
const INDETERMINATE: &str = "null";

/// Functions that only put strings together: their result may be of no collation in particular.
const KEEP_INDETERMINATE: &[&str] =
    &["array", "coalesce", "concat", "concat_ws", "ilike", "levenshtein", "like", "lpad", "rlike", "rpad", "when"];

/// Functions that search by a collation, which none that minds case but not accents can do.
const SEARCH: &[&str] = &[
    "btrim",
    "contains",
    "endswith",
    "instr",
    "locate",
    "ltrim",
    "position",
    "replace",
    "rtrim",
    "split_part",
    "startswith",
    "substring_index",
    "translate",
    "trim",
];

/// Functions that are built by hand and put strings side by side.
const SIDE_BY_SIDE: &[&str] = &["array", "coalesce", "greatest", "if", "in", "least", "when"];

/// Functions of arrays in which an element, another array or a separator takes the collation of the elements.
const OF_ARRAYS: &[&str] = &[
    "array_append",
    "array_contains",
    "array_except",
    "array_intersect",
    "array_join",
    "array_position",
    "array_prepend",
    "array_remove",
    "array_union",
    "arrays_overlap",
];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Default,
    Implicit,
    Explicit,
}

/// A constant that was given a collation shows as `'text' collate NAME`; it is as weak as before.
fn strength(value: &TypedExpr) -> Strength {
    if value.sql.starts_with("collate(") {
        Strength::Explicit
    } else if value.sql.starts_with('\'') || value.is_foldable() && collation(value).is_none_or(|c| c.is_default()) {
        Strength::Default
    } else {
        Strength::Implicit
    }
}

fn collation(value: &TypedExpr) -> Option<Collation> {
    match &value.data_type {
        DataType::Array(element, _) => collation_of(element),
        other => collation_of(other),
    }
}

fn collation_of(data_type: &DataType) -> Option<Collation> {
    match data_type {
        DataType::String(collation) => Some(collation.clone()),
        DataType::Char(_) | DataType::Varchar(_) => Some(Collation(None)),
        _ => None,
    }
}

/// As [`unify`], for functions that are not built from a signature.
pub fn unify_side_by_side(name: &str, values: Vec<TypedExpr>, context: &BuildContext<'_>) -> Result<Vec<TypedExpr>> {
    // A function that stands for another one shows its arguments as they were written.
    let is_alias = !context.called_as.eq_ignore_ascii_case(name);
    if is_alias || !SIDE_BY_SIDE.contains(&name) && !OF_ARRAYS.contains(&name) {
        return Ok(values);
    }
    let written: Vec<&str> = values.iter().map(|value| value.sql.as_str()).collect();
    let sql = format!("{name}({})", written.join(", "));
    unify(name, &sql, values, context)
}

/// Gives the strings among the arguments of `name` one collation. `sql` is the call's text for errors.
pub fn unify(name: &str, sql: &str, values: Vec<TypedExpr>, context: &BuildContext<'_>) -> Result<Vec<TypedExpr>> {
    let takes_part = |value: &TypedExpr| OF_ARRAYS.contains(&name) || !matches!(value.data_type, DataType::Array(..));
    let collated = |value: &TypedExpr| takes_part(value) && collation(value).is_some_and(|c| !c.is_default());
    if !values.iter().any(collated) {
        return Ok(values);
    }
    let parts = values.iter().filter(|value| takes_part(value));
    let to = shared(name, sql, parts).map_err(|error| error.with_origin(context.origin.as_ref()))?;
    let to = DataType::String(to);
    if SEARCH.contains(&name) {
        check_searchable(sql, &values, &to, context)?;
    }
    Ok(values.into_iter().map(|value| if takes_part(&value) { recollate(value, &to) } else { value }).collect())
}

/// The same for the two sides of an operator.
pub fn unify_pair(
    name: &str,
    sql: &str,
    (left, right): (TypedExpr, TypedExpr),
    context: &BuildContext<'_>,
) -> Result<(TypedExpr, TypedExpr)> {
    let mut both = unify(name, sql, vec![left, right], context)?.into_iter();
    match (both.next(), both.next()) {
        (Some(left), Some(right)) => Ok((left, right)),
        _ => Err(SparkError::internal("two sides were expected")),
    }
}

fn shared<'a>(name: &str, sql: &str, values: impl Iterator<Item = &'a TypedExpr>) -> Result<Collation> {
    let found: Vec<(Strength, Collation)> = values.filter_map(|v| Some((strength(v), collation(v)?))).collect();
    let strongest = found.iter().map(|(strength, _)| *strength).max().unwrap_or(Strength::Default);
    let mut different: Vec<Collation> = vec![];
    for (strength, collation) in found {
        if strength == strongest && !different.contains(&collation) {
            different.push(collation);
        }
    }
    match different.as_slice() {
        [] => Ok(Collation(None)),
        [one] => Ok(one.clone()),
        _ if strongest == Strength::Explicit => {
            let types: Vec<_> = different.into_iter().map(|c| sql_type(&DataType::String(c))).collect();
            Err(SparkError::new("COLLATION_MISMATCH.EXPLICIT", [("explicitTypes", types.join(", "))]))
        }
        _ if KEEP_INDETERMINATE.contains(&name) => Ok(Collation(Some(INDETERMINATE.into()))),
        _ => Err(SparkError::new("INDETERMINATE_COLLATION_IN_EXPRESSION", [("expr", sql_expr(sql))])),
    }
}

fn check_searchable(sql: &str, values: &[TypedExpr], to: &DataType, context: &BuildContext<'_>) -> Result<()> {
    let DataType::String(Collation(Some(collation))) = to else { return Ok(()) };
    let parts = Parts::parse(collation)?;
    match values.first() {
        Some(first) if parts.accent_insensitive && !parts.case_insensitive => {
            let error = unexpected_input_type(sql, 0, "\"STRING\"".to_string(), &first.sql, to);
            Err(error.with_origin(context.origin.as_ref()))
        }
        _ => Ok(()),
    }
}

/// The same value by another collation, which a constant shows.
fn recollate(value: TypedExpr, to: &DataType) -> TypedExpr {
    let to = match &value.data_type {
        DataType::Array(_, contains_null) => &DataType::Array(Arc::new(to.clone()), *contains_null),
        _ => to,
    };
    if collation(&value).is_none() || value.data_type == *to {
        return value;
    }
    let sql = match (value.as_string_literal(), to) {
        (Some(text), DataType::String(collation)) => format!("'{text}' collate {}", collation.name()),
        _ => value.sql.clone(),
    };
    let (nullable, origin) = (value.nullable, value.origin.clone());
    TypedExpr::new(value.expr, to.clone(), nullable, sql).with_origin(origin)
}
