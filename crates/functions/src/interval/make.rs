//! `make_interval`, `make_dt_interval`, `make_ym_interval`.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, IntervalMonthDayNanoArray};
use arrow::datatypes::Decimal128Type;
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result};

use super::value::{CalendarInterval, interval_overflow};
use crate::coerce;
use crate::datetime::calendar::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE};
use crate::datetime::vector::{Longs, finish, longs};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// Argument `index`, a decimal with six digits after the point, in microseconds.
fn micros(args: &ScalarArgs<'_>, index: usize) -> Result<Decimal128Array> {
    Ok(args.array(index)?.as_primitive::<Decimal128Type>().clone())
}

fn all(parts: &[Longs], row: usize) -> Option<Vec<i64>> {
    parts.iter().map(|p| p.get(row)).collect()
}

fn make_interval_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let parts = (0..6).map(|i| longs(args, i)).collect::<Result<Vec<_>>>()?;
    let seconds = micros(args, 6)?;
    let one = |row: usize| {
        let Some(p) = all(&parts, row).filter(|_| !seconds.is_null(row)) else { return Ok(None) };
        let made = || {
            let months = i32::try_from(p[0] * 12 + p[1]).ok()?;
            let days = i32::try_from(p[2] * 7 + p[3]).ok()?;
            let time = i128::from(p[4]) * i128::from(MICROS_PER_HOUR)
                + i128::from(p[5]) * i128::from(MICROS_PER_MINUTE)
                + seconds.value(row);
            Some(CalendarInterval::new(months, days, i64::try_from(time).ok()?))
        };
        match made() {
            Some(interval) => interval.to_arrow().map(Some),
            None if args.option(0) == "null" => Ok(None),
            None => Err(interval_overflow(Some("try_make_interval"))),
        }
    };
    Ok(Arc::new((0..args.rows).map(one).collect::<Result<IntervalMonthDayNanoArray>>()?))
}

fn make_dt_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let parts = (0..3).map(|i| longs(args, i)).collect::<Result<Vec<_>>>()?;
    let seconds = micros(args, 3)?;
    let one = |row: usize| {
        let Some(p) = all(&parts, row).filter(|_| !seconds.is_null(row)) else { return Ok(None) };
        let total = i128::from(p[0]) * i128::from(MICROS_PER_DAY)
            + i128::from(p[1]) * i128::from(MICROS_PER_HOUR)
            + i128::from(p[2]) * i128::from(MICROS_PER_MINUTE)
            + seconds.value(row);
        i64::try_from(total).map(Some).map_err(|_| interval_overflow(None))
    };
    finish(args, (0..args.rows).map(one).collect::<Result<_>>()?)
}

fn make_ym_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (years, months) = (longs(args, 0)?, longs(args, 1)?);
    let one = |row: usize| match (years.get(row), months.get(row)) {
        (Some(y), Some(m)) => {
            i32::try_from(y * 12 + m).map(|v| Some(i64::from(v))).map_err(|_| interval_overflow(None))
        }
        _ => Ok(None),
    };
    finish(args, (0..args.rows).map(one).collect::<Result<_>>()?)
}

fn zero_seconds() -> TypedExpr {
    TypedExpr::literal(ScalarValue::Decimal128(Some(0), 18, 6), DataType::Decimal(18, 6), "0.000000")
}

fn build(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    let called = context.called_as.to_lowercase();
    let (name, kernel, result, count, has_seconds): (&'static str, Kernel, DataType, usize, bool) =
        match called.as_str() {
            "make_dt_interval" => ("make_dt_interval", make_dt_kernel, DataType::DAY_TIME, 4, true),
            "make_ym_interval" => ("make_ym_interval", make_ym_kernel, DataType::YEAR_MONTH, 2, false),
            _ => ("make_interval", make_interval_kernel, DataType::CalendarInterval, 7, true),
        };
    arguments.expect(context.called_as, 0, count)?;
    while arguments.values.len() < count {
        let last = has_seconds && arguments.values.len() + 1 == count;
        arguments.values.push(if last { zero_seconds() } else { TypedExpr::int(0) });
    }
    let texts: Vec<&str> = arguments.values.iter().map(|v| v.sql.as_str()).collect();
    let sql = format!("{called}({})", texts.join(", "));
    let seconds = if has_seconds { arguments.values.pop() } else { None };
    let whole = vec![Accept::Integer; arguments.values.len()];
    let mut values = coerce::arguments(&sql, &whole, arguments.values, context)?;
    if let Some(seconds) = seconds {
        let accepted = match seconds.data_type.is_string() || seconds.data_type == DataType::Null {
            true => seconds,
            false => coerce::argument(&sql, count - 1, Accept::Numeric, seconds, context)?,
        };
        values.push(coerce::implicit(accepted, &DataType::Decimal(18, 6), context.eval, &context.origin)?);
    }
    let tolerates = called.starts_with("try_") || (name == "make_interval" && !context.eval.ansi);
    let nullable = tolerates || values.iter().any(|v| v.nullable);
    let option = if tolerates { "null" } else { "fail" };
    let call = SparkScalar::call(name, kernel, values, result, nullable, context.eval).options(vec![option.into()]);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

macro_rules! entry {
    ($name:literal, $usage:literal, $sql:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: &[],
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
        "make_interval",
        "make_interval([years[, months[, weeks[, days[, hours[, mins[, secs]]]]]]]) - The interval of its parts.",
        "SELECT make_interval(100, 11, 1, 1, 12, 30, 01.001001)",
        "100 years 11 months 8 days 12 hours 30 minutes 1.001001 seconds",
        "3.0.0"
    ),
    entry!(
        "try_make_interval",
        "try_make_interval([years[, months[, weeks[, days[, hours[, mins[, secs]]]]]]]) - As make_interval, with NULL for what does not fit.",
        "SELECT try_make_interval(2147483647)",
        "NULL",
        "4.0.0"
    ),
    entry!(
        "make_dt_interval",
        "make_dt_interval([days[, hours[, mins[, secs]]]]) - The day-time interval of its parts.",
        "SELECT make_dt_interval(1, 12, 30, 01.001001)",
        "1 12:30:01.001001000",
        "3.2.0"
    ),
    entry!(
        "make_ym_interval",
        "make_ym_interval([years[, months]]) - The year-month interval of its parts.",
        "SELECT make_ym_interval(1, 2)",
        "1-2",
        "3.2.0"
    ),
];
