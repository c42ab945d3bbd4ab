//! The current date, time and zone: constants of the statement.
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError};

use super::calendar::{MICROS_PER_DAY, split_micros};
use super::zone::Zone;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::typed::TypedExpr;

/// The start of the statement.
pub fn timestamp(context: &BuildContext<'_>) -> TypedExpr {
    let value = ScalarValue::TimestampMicrosecond(Some(context.eval.now_micros), Some("UTC".into()));
    TypedExpr::literal(value, DataType::Timestamp, "current_timestamp()")
}

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = context.called_as.to_lowercase();
    if name == "current_time" {
        return current_time(context, arguments);
    }
    arguments.expect(context.called_as, 0, 0)?;
    let local = Zone::new(&context.eval.time_zone).to_local(context.eval.now_micros);
    let expr = match name.as_str() {
        "current_timestamp" | "now" => timestamp(context).with_sql(format!("{name}()")),
        "localtimestamp" => TypedExpr::literal(
            ScalarValue::TimestampMicrosecond(Some(local), None),
            DataType::TimestampNtz,
            "localtimestamp()",
        ),
        "current_timezone" => TypedExpr::string(context.eval.time_zone_id.clone()).with_sql("current_timezone()"),
        _ => {
            let days = split_micros(local).0 as i32;
            TypedExpr::literal(ScalarValue::Date32(Some(days)), DataType::Date, "current_date()")
        }
    };
    Ok(Built::Expr(expr.with_origin(context.origin.clone())))
}

fn current_time(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 0, 1)?;
    let precision = arguments.values.pop().unwrap_or_else(|| TypedExpr::int(6));
    let sql = format!("current_time({})", precision.sql);
    if !precision.is_foldable() {
        return Err(crate::fold::not_foldable(&sql, "precision", &precision).with_origin(context.origin.as_ref()));
    }
    let digits = match crate::fold::fold(&precision)? {
        Some(ScalarValue::Int32(Some(digits))) if (0..=6).contains(&digits) => digits as u8,
        other => {
            let error = crate::quote::mismatch(
                "VALUE_OUT_OF_RANGE",
                &sql,
                [
                    ("exprName", "precision".to_string()),
                    ("valueRange", "[0, 6]".to_string()),
                    ("currentValue", other.map_or("NULL".to_string(), |v| v.to_string())),
                ],
            );
            return Err(SparkError::with_origin(error, context.origin.as_ref()));
        }
    };
    let micros = Zone::new(&context.eval.time_zone).to_local(context.eval.now_micros).rem_euclid(MICROS_PER_DAY);
    let unit = 10i64.pow(u32::from(6 - digits));
    let value = ScalarValue::Time64Nanosecond(Some(micros / unit * unit * 1000));
    Ok(Built::Expr(TypedExpr::literal(value, DataType::Time(digits), sql).with_origin(context.origin.clone())))
}

macro_rules! entry {
    ($name:literal, $aliases:expr, $usage:literal, $sql:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "datetime_funcs",
            parameters: &[],
            build: Build::Custom(build),
            usage: $usage,
            examples: &[($sql, $result)],
            since: $since,
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "current_date",
        &["curdate"],
        "current_date() - The date at the start of the statement.",
        "SELECT current_date() = curdate()",
        "true",
        "1.5.0"
    ),
    entry!(
        "current_timestamp",
        &["now"],
        "current_timestamp() - The time at the start of the statement.",
        "SELECT current_timestamp() = now()",
        "true",
        "1.5.0"
    ),
    entry!(
        "localtimestamp",
        &[],
        "localtimestamp() - The wall-clock time at the start of the statement.",
        "SELECT typeof(localtimestamp())",
        "timestamp_ntz",
        "3.4.0"
    ),
    entry!(
        "current_timezone",
        &[],
        "current_timezone() - The session's time zone.",
        "SELECT length(current_timezone()) > 0",
        "true",
        "3.1.0"
    ),
    entry!(
        "current_time",
        &[],
        "current_time([precision]) - The time of day at the start of the statement.",
        "SELECT typeof(current_time(3))",
        "time(3)",
        "4.1.0"
    ),
];
