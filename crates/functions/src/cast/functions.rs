//! The names of types as functions: `int(x)` is `CAST(x AS INT)`.
use firesteel_plan::{DataType, Result, SparkError};

use super::{CastMode, cast};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};

fn target(name: &str) -> DataType {
    match name {
        "boolean" => DataType::Boolean,
        "tinyint" => DataType::Byte,
        "smallint" => DataType::Short,
        "int" => DataType::Integer,
        "bigint" => DataType::Long,
        "float" => DataType::Float,
        "double" => DataType::Double,
        "decimal" => DataType::DECIMAL_USER,
        "date" => DataType::Date,
        "timestamp" => DataType::Timestamp,
        "binary" => DataType::Binary,
        "time" => DataType::Time(6),
        _ => DataType::STRING,
    }
}

/// Spark does not show these casts in names.
fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let (sql, origin) = (value.sql.clone(), value.origin.clone());
    let at = value.with_origin(context.origin.clone());
    crate::datetime::time_type::check(&target(context.called_as), context.eval)?;
    let result = cast(at, &target(context.called_as), CastMode::of(context.eval), context.eval);
    let result = result.map_err(|error| of_operand(error, &sql))?;
    Ok(Built::Expr(result.with_sql(sql).with_origin(origin)))
}

/// The error shows what is cast, not the cast.
fn of_operand(error: SparkError, sql: &str) -> SparkError {
    if !error.is("DATATYPE_MISMATCH") {
        return error;
    }
    let shown = |(key, value): &(String, String)| {
        (key.clone(), if key == "sqlExpr" { crate::quote::sql_expr(sql) } else { value.clone() })
    };
    SparkError::new(error.condition(), error.parameters().iter().map(shown).collect::<Vec<_>>())
}

/// `CAST(x AS type)` has a syntax of its own: nothing is called by that name.
fn build_cast(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    Err(crate::registry::wrong_num_args(context.called_as, 0, 0, arguments.values.len()))
}

macro_rules! conversion {
    ($name:literal, $usage:literal, $example:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Scalar,
            group: "conversion_funcs",
            parameters: &["expr"],
            build: Build::Custom(build),
            usage: $usage,
            examples: &[($example, $result)],
            since: "2.0.1",
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    Function::custom(
        "cast",
        "conversion_funcs",
        "1.0.0",
        build_cast,
        "cast(expr AS type) - The value as that type, which expr :: type is as well.",
        &[("SELECT cast('10' AS INT)", "10"), ("SELECT '10' :: INT", "10")],
    ),
    conversion!("boolean", "boolean(expr) - The value as BOOLEAN.", "SELECT boolean('true')", "true"),
    conversion!("tinyint", "tinyint(expr) - The value as TINYINT.", "SELECT tinyint('1')", "1"),
    conversion!("smallint", "smallint(expr) - The value as SMALLINT.", "SELECT smallint('1')", "1"),
    conversion!("int", "int(expr) - The value as INT.", "SELECT int('1')", "1"),
    conversion!("bigint", "bigint(expr) - The value as BIGINT.", "SELECT bigint('1')", "1"),
    conversion!("float", "float(expr) - The value as FLOAT.", "SELECT float('1.5')", "1.5"),
    conversion!("double", "double(expr) - The value as DOUBLE.", "SELECT double('1.5')", "1.5"),
    conversion!("decimal", "decimal(expr) - The value as DECIMAL(10,0).", "SELECT decimal('1.5')", "2"),
    conversion!("date", "date(expr) - The value as DATE.", "SELECT date('2020-01-01')", "2020-01-01"),
    conversion!(
        "timestamp",
        "timestamp(expr) - The value as TIMESTAMP.",
        "SELECT timestamp('2020-01-01')",
        "2020-01-01 00:00:00"
    ),
    conversion!("binary", "binary(expr) - The value as BINARY.", "SELECT binary('a')", "a"),
    conversion!("time", "time(expr) - The value as TIME.", "SELECT time('10:00')", "10:00:00"),
    conversion!("string", "string(expr) - The value as STRING.", "SELECT string(1)", "1"),
];
