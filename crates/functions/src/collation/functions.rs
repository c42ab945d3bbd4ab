//! `collate` and `collation`.
use firesteel_plan::data_type::Collation;
use firesteel_plan::{DataType, Result, SparkError};

use super::resolve;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::typed::TypedExpr;

fn collate(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (text, name) = arguments.two(context.called_as)?;
    let sql = format!("collate({}, {})", text.sql, name.sql);
    let Some(wanted) = name.as_string_literal() else {
        return Err(SparkError::new(
            "UNEXPECTED_INPUT_TYPE",
            [
                ("functionName", "`collate`".to_string()),
                ("paramIndex", "first".to_string()),
                ("inputSql", format!("\"{}\"", name.sql)),
                ("inputType", format!("\"{}\"", name.data_type.sql())),
                ("requiredType", "\"STRING\"".to_string()),
            ],
        ));
    };
    let to = DataType::String(resolve(wanted)?);
    if !text.data_type.is_string() {
        return Err(SparkError::new(
            "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
            [
                ("sqlExpr", format!("\"{sql}\"")),
                ("paramIndex", "first".to_string()),
                ("inputSql", format!("\"{}\"", text.sql)),
                ("inputType", format!("\"{}\"", text.data_type.sql())),
                ("requiredType", "\"STRING\"".to_string()),
            ],
        ));
    }
    let collated = TypedExpr::new(text.expr, to, text.nullable, sql).with_origin(context.origin.clone());
    Ok(Built::Expr(collated))
}

fn collation(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let text = arguments.one(context.called_as)?;
    let sql = format!("{}({})", context.called_as, text.sql);
    let name = match &text.data_type {
        DataType::String(Collation(Some(name))) if &**name == "null" => "null".to_string(),
        DataType::String(collation) => format!("SYSTEM.BUILTIN.{}", collation.name()),
        other if other.is_string() || *other == DataType::Null => "SYSTEM.BUILTIN.UTF8_BINARY".to_string(),
        other => {
            let required = "\"STRING\"".to_string();
            let error = crate::quote::unexpected_input_type(&sql, 0, required, &text.sql, other);
            return Err(error.with_origin(context.origin.as_ref()));
        }
    };
    Ok(Built::Expr(TypedExpr::string(name).with_sql(sql)))
}

const fn entry(
    name: &'static str,
    parameters: &'static [&'static str],
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "string_funcs",
        parameters,
        build: Build::Custom(build),
        usage,
        examples,
        since: "4.0.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "collate",
        &["expr", "collationName"],
        collate,
        "collate(expr, collationName) - Gives a string expression that collation.",
        &[("SELECT collation('Spark SQL' collate UTF8_LCASE);", "SYSTEM.BUILTIN.UTF8_LCASE")],
    ),
    entry(
        "collation",
        &["expr"],
        collation,
        "collation(expr) - Returns the name of the collation of a string expression.",
        &[("SELECT collation('Spark SQL');", "SYSTEM.BUILTIN.UTF8_BINARY")],
    ),
];
