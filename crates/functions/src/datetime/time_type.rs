//! TIME is a type in preview: unless `spark.sql.timeType.enabled` is set, Spark takes its literals and passes its values
//! on, but refuses to compute with them, to cast to it and to give it out.
use std::sync::Arc;

use firesteel_plan::{DataType, Result, SparkError};

use crate::context::EvalContext;
use crate::registry::{Built, Function};

const ENABLED: &str = "spark.sql.timeType.enabled";

/// Functions on TIME that are part of other types' families.
const OF_TIME: &[&str] = &["+", "-", "extract", "date_part", "hour", "minute", "second"];

fn is_time(data_type: &DataType) -> bool {
    match data_type {
        DataType::Time(_) => true,
        DataType::Array(element, _) => is_time(element),
        DataType::Map(key, value, _) => is_time(key) || is_time(value),
        DataType::Struct(fields) => fields.fields.iter().any(|field| is_time(&field.data_type)),
        _ => false,
    }
}

/// Errors with `UNSUPPORTED_TIME_TYPE` where the type holds TIME and the session does not take it.
pub fn check(data_type: &DataType, context: &Arc<EvalContext>) -> Result<()> {
    if is_time(data_type) && !context.flag(ENABLED, false) {
        return Err(SparkError::of("UNSUPPORTED_TIME_TYPE"));
    }
    Ok(())
}

/// The same for a call of a function with arguments of these types.
pub fn check_call(
    function: &Function,
    arguments: &[DataType],
    built: &Built,
    context: &Arc<EvalContext>,
) -> Result<()> {
    let on_time = function.name.starts_with("time_") || OF_TIME.contains(&function.name);
    if on_time && let Some(of_time) = arguments.iter().find(|data_type| is_time(data_type)) {
        return check(of_time, context);
    }
    match built {
        // Those that make a TIME of something else.
        Built::Expr(typed) if matches!(typed.data_type, DataType::Time(_)) && function.group == "datetime_funcs" => {
            check(&typed.data_type, context)
        }
        _ => Ok(()),
    }
}
