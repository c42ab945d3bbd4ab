//! `DEFAULT COLLATION` of a table or view: the collation of strings that name none, in its columns and in its query.
use std::sync::Arc;

use firesteel_functions::{EvalContext, TypedExpr};
use firesteel_plan::data_type::Collation;
use firesteel_plan::{DataType, Result, StructField, StructType};

/// The setting that carries it to the query's analysis, and stays with a view.
pub const DEFAULT_COLLATION: &str = "firesteel.sql.defaultCollation";

fn current(eval: &EvalContext) -> Option<Collation> {
    eval.get(DEFAULT_COLLATION).map(firesteel_sql::collation_of).filter(|collation| !collation.is_default())
}

/// The name as it is kept. Errors with `COLLATION_INVALID_NAME`.
pub fn checked(name: &str) -> Result<String> {
    Ok(firesteel_functions::collation::resolve(name)?.name().to_string())
}

/// The type with plain strings of that collation.
pub fn applied(data_type: &DataType, collation: &Collation) -> DataType {
    let inner = |data_type: &DataType| Arc::new(applied(data_type, collation));
    match data_type {
        DataType::String(own) if own.is_default() => DataType::String(collation.clone()),
        DataType::Array(element, nullable) => DataType::Array(inner(element), *nullable),
        DataType::Map(key, value, nullable) => DataType::Map(inner(key), inner(value), *nullable),
        DataType::Struct(fields) => {
            DataType::Struct(StructType::new(fields.fields.iter().map(|f| field(f, collation)).collect()))
        }
        other => other.clone(),
    }
}

/// As [`applied`], of a column.
pub fn field(field: &StructField, collation: &Collation) -> StructField {
    StructField { data_type: applied(&field.data_type, collation), ..field.clone() }
}

/// A constant's text as the query's default has it, which the constant shows.
pub(crate) fn of_literal(literal: TypedExpr, eval: &EvalContext) -> TypedExpr {
    match (current(eval), literal.as_string_literal()) {
        (Some(collation), Some(text)) if literal.data_type == DataType::STRING => {
            let sql = format!("'{text}' collate {}", collation.name());
            TypedExpr { data_type: DataType::String(collation), ..literal }.with_sql(sql)
        }
        _ => literal,
    }
}

/// The type that a cast is to, with the collation's name as Spark spells it.
pub(crate) fn of_cast(to: &DataType, eval: &EvalContext) -> Result<DataType> {
    if let DataType::String(Collation(Some(name))) = to {
        return Ok(DataType::String(firesteel_functions::collation::resolve(name)?));
    }
    Ok(current(eval).map_or_else(|| to.clone(), |collation| applied(to, &collation)))
}
