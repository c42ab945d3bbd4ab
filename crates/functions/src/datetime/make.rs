//! Dates, timestamps and times from their parts, and the functions on TIME.
use arrow::array::ArrayRef;
use firesteel_plan::{DataType, Result, SparkError};

use super::calendar::{
    MICROS_PER_HOUR, MICROS_PER_MILLI, MICROS_PER_MINUTE, MICROS_PER_SECOND, NANOS_PER_DAY, NANOS_PER_SECOND,
    checked_days, checked_nanos, join_micros,
};
use super::vector::{finish, long_overflow, longs, nary, unary};
use super::zone::{Zone, parse_zone};
use crate::coerce;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::signature::Accept;
use crate::typed::TypedExpr;
use crate::view;

/// `DATETIME_FIELD_OUT_OF_BOUNDS` with Java's sentence about the field.
fn out_of_bounds(message: String) -> SparkError {
    SparkError::new(
        "DATETIME_FIELD_OUT_OF_BOUNDS.WITH_SUGGESTION",
        [("rangeMessage", message), ("ansiConfig", quote::sql_config("spark.sql.ansi.enabled"))],
    )
}

fn field(name: &str, value: i64, least: i64, most: i64, shown: &str) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(out_of_bounds(format!("Invalid value for {name} (valid values {shown}): {value}")))
}

fn days_of(year: i64, month: i64, day: i64) -> Result<i64> {
    field("Year", year, -999_999_999, 999_999_999, "-999999999 - 999999999")?;
    field("MonthOfYear", month, 1, 12, "1 - 12")?;
    field("DayOfMonth", day, 1, 31, "1 - 28/31")?;
    checked_days(year, month, day).ok_or_else(|| {
        const MONTHS: [&str; 12] = [
            "JANUARY",
            "FEBRUARY",
            "MARCH",
            "APRIL",
            "MAY",
            "JUNE",
            "JULY",
            "AUGUST",
            "SEPTEMBER",
            "OCTOBER",
            "NOVEMBER",
            "DECEMBER",
        ];
        if day == 29 {
            return out_of_bounds(format!("Invalid date 'February 29' as '{year}' is not a leap year"));
        }
        out_of_bounds(format!("Invalid date '{} {day}'", MONTHS[(month - 1) as usize]))
    })
}

/// Nanoseconds of day; `micros` are those of the seconds. 60 whole seconds are the next minute where that is allowed.
fn nanos_of(hour: i64, minute: i64, micros: i64, sixty: bool) -> Result<i64> {
    field("HourOfDay", hour, 0, 23, "0 - 23")?;
    field("MinuteOfHour", minute, 0, 59, "0 - 59")?;
    if sixty && micros.div_euclid(MICROS_PER_SECOND) == 60 {
        if micros != 60 * MICROS_PER_SECOND {
            let text = format!("{}.{:06}", micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND);
            return Err(SparkError::new("INVALID_FRACTION_OF_SECOND", [("secAndMicros", text)]));
        }
        return Ok(((hour * 60 + minute) * 60 + 60) * NANOS_PER_SECOND);
    }
    let second = micros.div_euclid(MICROS_PER_SECOND);
    field("SecondOfMinute", second, 0, 59, "0 - 59")?;
    checked_nanos(hour, minute, second, micros.rem_euclid(MICROS_PER_SECOND) * 1000)
        .ok_or_else(|| out_of_bounds("Invalid time".to_string()))
}

/// The value, or NULL instead of an error where the call tolerates them.
fn tolerant<T>(args: &ScalarArgs<'_>, value: Result<T>) -> Result<Option<T>> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(_) if args.option(0) == "null" => Ok(None),
        Err(error) => Err(error),
    }
}

fn make_date_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    nary(args, |parts| tolerant(args, days_of(parts[0], parts[1], parts[2])))
}

fn make_time_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (hours, minutes) = (longs(args, 0)?, longs(args, 1)?);
    let seconds = micros_of_seconds(args, 2)?;
    let one = |row: usize| match (hours.get(row), minutes.get(row), seconds(row)) {
        (Some(h), Some(m), Some(s)) => {
            // Without a date to carry into, the fields alone are checked.
            let without_suggestion = |e: SparkError| match e.is("DATETIME_FIELD_OUT_OF_BOUNDS") {
                true => {
                    let message = e.parameters().iter().find(|(k, _)| k == "rangeMessage").map(|(_, v)| v.clone());
                    SparkError::new(
                        "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION",
                        [("rangeMessage", message.unwrap_or_default())],
                    )
                }
                false => e,
            };
            nanos_of(h, m, s, false).map(Some).map_err(without_suggestion)
        }
        _ => Ok(None),
    };
    finish(args, (0..args.rows).map(one).collect::<Result<_>>()?)
}

/// Argument `index`, a `decimal(16, 6)`, in microseconds.
fn micros_of_seconds(args: &ScalarArgs<'_>, index: usize) -> Result<impl Fn(usize) -> Option<i64>> {
    use arrow::array::{Array, AsArray};
    let array = args.array(index)?;
    let values = array.as_primitive::<arrow::datatypes::Decimal128Type>().clone();
    Ok(move |row: usize| if values.is_null(row) { None } else { i64::try_from(values.value(row)).ok() })
}

/// Year, month, day, hour, minute, seconds and, if asked for, a zone.
fn make_timestamp_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let parts = (0..5).map(|i| longs(args, i)).collect::<Result<Vec<_>>>()?;
    let seconds = micros_of_seconds(args, 5)?;
    let zones = if args.values.len() == 7 { Some(view::strings(args, 6)?) } else { None };
    let session = Zone::new(&args.context.time_zone);
    let ntz = args.return_type == &DataType::TimestampNtz;
    let one = |row: usize| {
        let values: Option<Vec<i64>> = parts.iter().map(|p| p.get(row)).collect();
        let (Some(p), Some(micros)) = (values, seconds(row)) else { return Ok(None) };
        let zone = match &zones {
            Some(names) => match names.get(row) {
                Some(name) => match tolerant(args, zone_named(name))? {
                    Some(zone) => zone,
                    None => return Ok(None),
                },
                None => return Ok(None),
            },
            None => session,
        };
        let local = || {
            let days = days_of(p[0], p[1], p[2])?;
            let nanos = nanos_of(p[3], p[4], micros, true)?;
            let local = join_micros(days, nanos / 1000).ok_or_else(long_overflow)?;
            if ntz { Ok(local) } else { zone.to_utc(local).ok_or_else(long_overflow) }
        };
        tolerant(args, local())
    };
    finish(args, (0..args.rows).map(one).collect::<Result<_>>()?)
}

fn zone_named(name: &str) -> Result<Zone> {
    let tz = parse_zone(name).ok_or_else(|| SparkError::new("INVALID_TIMEZONE", [("timeZone", name.to_string())]))?;
    Ok(Zone::new(&tz))
}

/// A date and a time and, if asked for, a zone.
fn join_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (days, times) = (longs(args, 0)?, longs(args, 1)?);
    let zones = if args.values.len() == 3 { Some(view::strings(args, 2)?) } else { None };
    let session = Zone::new(&args.context.time_zone);
    let ntz = args.return_type == &DataType::TimestampNtz;
    let one = |row: usize| {
        let (Some(day), Some(nanos)) = (days.get(row), times.get(row)) else { return Ok(None) };
        let zone = match &zones {
            Some(names) => match names.get(row) {
                Some(name) => zone_named(name)?,
                None => return Ok(None),
            },
            None => session,
        };
        let local = join_micros(day, nanos / 1000).ok_or_else(long_overflow)?;
        if ntz { Ok(Some(local)) } else { zone.to_utc(local).map(Some).ok_or_else(long_overflow) }
    };
    finish(args, (0..args.rows).map(one).collect::<Result<_>>()?)
}

fn call(
    context: &BuildContext<'_>,
    name: &'static str,
    kernel: Kernel,
    values: Vec<TypedExpr>,
    result: DataType,
    tolerates: bool,
    sql: String,
) -> Built {
    let nullable = tolerates || values.iter().any(|v| v.nullable);
    let option = if tolerates { "null" } else { "fail" };
    let call = SparkScalar::call(name, kernel, values, result, nullable, context.eval);
    Built::Expr(call.options(vec![option.into()]).origin(context.origin.clone()).build().with_sql(sql))
}

fn written(context: &BuildContext<'_>, values: &[TypedExpr]) -> String {
    let texts: Vec<&str> = values.iter().map(|v| v.sql.as_str()).collect();
    format!("{}({})", context.called_as.to_lowercase(), texts.join(", "))
}

/// Casts the seconds to `decimal(16, 6)`.
fn seconds(sql: &str, index: usize, value: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let value = match value.data_type {
        DataType::Null => value,
        _ if value.data_type.is_string() => value,
        _ => coerce::argument(sql, index, Accept::Numeric, value, context)?,
    };
    coerce::implicit(value, &DataType::Decimal(16, 6), context.eval, &context.origin)
}

fn build_make_date(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 3, 3)?;
    let sql = written(context, &arguments.values);
    let values = coerce::arguments(&sql, &[Accept::Integer; 3], arguments.values, context)?;
    Ok(call(context, "make_date", make_date_kernel, values, DataType::Date, !context.eval.ansi, sql))
}

fn build_make_time(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 3, 3)?;
    let sql = written(context, &arguments.values);
    let last = arguments.values.pop().map(|v| seconds(&sql, 2, v, context)).transpose()?;
    let mut values = coerce::arguments(&sql, &[Accept::Integer; 2], arguments.values, context)?;
    values.extend(last);
    Ok(call(context, "make_time", make_time_kernel, values, DataType::Time(6), false, sql))
}

/// A date, a time (midnight where it is left out) and a zone. Nothing else is cast to a date or a time.
fn date_and_time(sql: &str, values: Vec<TypedExpr>, context: &BuildContext<'_>) -> Result<Vec<TypedExpr>> {
    let accepts = [Accept::Date, Accept::Time, Accept::String];
    let mut values = values
        .into_iter()
        .zip(accepts)
        .enumerate()
        .map(|(index, (value, accept))| {
            if !coerce::accepts(accept, &value.data_type) && value.data_type != DataType::Null {
                let required = coerce::required_type(accept);
                let error = quote::unexpected_input_type(sql, index, required, &value.sql, &value.data_type);
                return Err(error.with_origin(context.origin.as_ref()));
            }
            coerce::argument(sql, index, accept, value, context)
        })
        .collect::<Result<Vec<_>>>()?;
    if values.len() == 1 {
        let midnight = TypedExpr::string("00:00:00");
        values.push(coerce::implicit(midnight, &DataType::Time(6), context.eval, &context.origin)?);
    }
    Ok(values)
}

fn build_make_timestamp(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    let called = context.called_as.to_lowercase();
    let tolerates = called.starts_with("try_") || !context.eval.ansi;
    let base = called.trim_start_matches("try_");
    let ntz_default =
        context.eval.get("spark.sql.timestampType").is_some_and(|t| t.eq_ignore_ascii_case("TIMESTAMP_NTZ"));
    let ntz = base == "make_timestamp_ntz" || (base == "make_timestamp" && ntz_default);
    let result = if ntz { DataType::TimestampNtz } else { DataType::Timestamp };
    let sql = written(context, &arguments.values);
    let count = arguments.values.len();
    let counts: &[usize] = match base {
        "make_timestamp" => &[1, 2, 3, 6, 7],
        "make_timestamp_ltz" => &[2, 3, 6, 7],
        _ => &[2, 6],
    };
    if !counts.contains(&count) {
        return Err(crate::registry::wrong_counts(context.called_as, counts, count));
    }
    if count < 6 {
        // From a date on, the session's default type does not matter.
        let result = if base == "make_timestamp" { DataType::Timestamp } else { result };
        let values = date_and_time(&sql, arguments.values, context)?;
        // No date and time is out of range, and Spark shows what these functions stand for.
        let plain = sql.trim_start_matches("try_").to_string();
        let sql = match base {
            "make_timestamp_ltz" => plain.replacen("make_timestamp_ltz", "make_timestamp", 1),
            "make_timestamp_ntz" if called.starts_with("try_") => format!("{called}({plain})"),
            _ => sql,
        };
        return Ok(call(context, "make_timestamp", join_kernel, values, result, base == "make_timestamp_ntz", sql));
    }
    let zone = if count == 7 { arguments.values.pop() } else { None };
    let sql = match called.as_str() {
        // Spark does not show the zone of this one.
        "try_make_timestamp" if zone.is_some() => written(context, &arguments.values),
        _ => sql,
    };
    let last = arguments.values.pop().map(|v| seconds(&sql, 5, v, context)).transpose()?;
    let mut values = coerce::arguments(&sql, &[Accept::Integer; 5], arguments.values, context)?;
    values.extend(last);
    if let Some(zone) = zone {
        values.push(coerce::argument(&sql, 6, Accept::String, zone, context)?);
    }
    Ok(call(context, "make_timestamp", make_timestamp_kernel, values, result, tolerates, sql))
}

/// Nanoseconds of a unit of TIME.
fn time_unit(text: &str) -> Option<i64> {
    Some(match text.to_uppercase().as_str() {
        "HOUR" => MICROS_PER_HOUR * 1000,
        "MINUTE" => MICROS_PER_MINUTE * 1000,
        "SECOND" => MICROS_PER_SECOND * 1000,
        "MILLISECOND" => MICROS_PER_MILLI * 1000,
        "MICROSECOND" => 1000,
        _ => return None,
    })
}

fn unknown_unit(function: &str, text: &str) -> SparkError {
    SparkError::new(
        "INVALID_PARAMETER_VALUE.TIME_UNIT",
        [
            ("functionName", quote::sql_id(function)),
            ("parameter", quote::sql_id("unit")),
            ("invalidValue", format!("'{text}'")),
        ],
    )
}

fn time_diff_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (units, starts, ends) = (view::strings(args, 0)?, longs(args, 1)?, longs(args, 2)?);
    let one = |row: usize| match (units.get(row), starts.get(row), ends.get(row)) {
        (Some(text), Some(start), Some(end)) => {
            let unit = time_unit(text).ok_or_else(|| unknown_unit("time_diff", text))?;
            Ok(Some((end - start) / unit))
        }
        _ => Ok(None),
    };
    finish(args, (0..args.rows).map(one).collect::<Result<_>>()?)
}

fn time_trunc_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (units, values) = (view::strings(args, 0)?, longs(args, 1)?);
    let one = |row: usize| match (units.get(row), values.get(row)) {
        (Some(text), Some(value)) => {
            let unit = time_unit(text).ok_or_else(|| unknown_unit("time_trunc", text))?;
            Ok(Some(value - value % unit))
        }
        _ => Ok(None),
    };
    finish(args, (0..args.rows).map(one).collect::<Result<_>>()?)
}

fn build_time_unit(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let diff = context.called_as.eq_ignore_ascii_case("time_diff");
    let count = if diff { 3 } else { 2 };
    arguments.expect(context.called_as, count, count)?;
    let sql = written(context, &arguments.values);
    let accepts = [Accept::String, Accept::Time, Accept::Time];
    let values = coerce::arguments(&sql, &accepts[..count], arguments.values, context)?;
    if diff {
        return Ok(call(context, "time_diff", time_diff_kernel, values, DataType::Long, false, sql));
    }
    let result = values.get(1).map_or(DataType::Time(6), |v| v.data_type.clone());
    Ok(call(context, "time_trunc", time_trunc_kernel, values, result, false, sql))
}

/// Nanoseconds per unit of the `time_from_*` and `time_to_*` functions.
fn unit_of(name: &str) -> i64 {
    match name.rsplit('_').next() {
        Some("seconds") => NANOS_PER_SECOND,
        Some("millis") => 1_000_000,
        _ => 1000,
    }
}

fn time_from_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let unit: i64 = args.option(1).parse().unwrap_or(1000);
    let one = |nanos: Option<i64>| match nanos.filter(|n| (0..NANOS_PER_DAY).contains(n)) {
        Some(nanos) => Ok(Some(nanos / 1000 * 1000)),
        None => Err(SparkError::new(
            "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION",
            [("rangeMessage", "Invalid TIME value: it must be between 0 and one day".to_string())],
        )),
    };
    if let Some(DataType::Decimal(_, scale)) = args.arg_types.first() {
        use arrow::array::{Array, AsArray};
        let array = args.array(0)?;
        let values = array.as_primitive::<arrow::datatypes::Decimal128Type>();
        let factor = 10i128.pow((*scale).max(0) as u32);
        let nanos = |row: usize| match values.is_null(row) {
            true => Ok(None),
            false => one(values.value(row).checked_mul(i128::from(unit)).and_then(|v| i64::try_from(v / factor).ok())),
        };
        return finish(args, (0..args.rows).map(nanos).collect::<Result<_>>()?);
    }
    unary(args, |v| one(v.checked_mul(unit)))
}

fn time_to_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let unit: i64 = args.option(1).parse().unwrap_or(1000);
    if let DataType::Decimal(..) = args.return_type {
        let values = longs(args, 0)?;
        let array: arrow::array::Decimal128Array =
            (0..args.rows).map(|row| values.get(row).map(|v| i128::from(v / 1000))).collect();
        return Ok(std::sync::Arc::new(array.with_data_type(args.arrow_type())));
    }
    unary(args, |v| Ok(Some(v / unit)))
}

fn build_time_number(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let called = context.called_as.to_lowercase();
    let value = arguments.one(context.called_as)?;
    let sql = format!("{called}({})", value.sql);
    let unit = unit_of(&called);
    let from = called.starts_with("time_from");
    let accept = match (from, unit) {
        (false, _) => Accept::Time,
        (true, NANOS_PER_SECOND) => Accept::Numeric,
        (true, _) => Accept::Integral,
    };
    let mut value = coerce::argument(&sql, 0, accept, value, context)?;
    if matches!(value.data_type, DataType::Float | DataType::Double) {
        value = coerce::implicit(value, &DataType::Decimal(14, 6), context.eval, &context.origin)?;
    }
    let (name, kernel, result): (&'static str, Kernel, DataType) = match from {
        true => ("time_from", time_from_kernel, DataType::Time(6)),
        false if unit == NANOS_PER_SECOND => ("time_to", time_to_kernel, DataType::Decimal(14, 6)),
        false => ("time_to", time_to_kernel, DataType::Long),
    };
    let nullable = value.nullable;
    let call = SparkScalar::call(name, kernel, vec![value], result, nullable, context.eval);
    let options = vec!["fail".to_string(), unit.to_string()];
    Ok(Built::Expr(call.options(options).origin(context.origin.clone()).build().with_sql(sql)))
}

macro_rules! entry {
    ($name:literal, $build:expr, $usage:literal, $sql:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Scalar,
            group: "datetime_funcs",
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($sql, $result)],
            since: $since,
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "make_date",
        build_make_date,
        "make_date(year, month, day) - The date of its parts.",
        "SELECT make_date(2013, 7, 15)",
        "2013-07-15",
        "3.0.0"
    ),
    entry!(
        "make_time",
        build_make_time,
        "make_time(hour, minute, second) - The time of its parts.",
        "SELECT make_time(6, 30, 45.887)",
        "06:30:45.887",
        "4.1.0"
    ),
    entry!(
        "make_timestamp",
        build_make_timestamp,
        "make_timestamp(year, month, day, hour, min, sec[, timezone]) - The timestamp of its parts, or of a date and a time.",
        "SELECT make_timestamp(2014, 12, 28, 6, 30, 45.887)",
        "2014-12-28 06:30:45.887",
        "3.0.0"
    ),
    entry!(
        "make_timestamp_ltz",
        build_make_timestamp,
        "make_timestamp_ltz(year, month, day, hour, min, sec[, timezone]) - The timestamp with local time zone of its parts.",
        "SELECT make_timestamp_ltz(2014, 12, 28, 6, 30, 45.887)",
        "2014-12-28 06:30:45.887",
        "3.4.0"
    ),
    entry!(
        "make_timestamp_ntz",
        build_make_timestamp,
        "make_timestamp_ntz(year, month, day, hour, min, sec) - The timestamp without time zone of its parts.",
        "SELECT make_timestamp_ntz(2014, 12, 28, 6, 30, 45.887)",
        "2014-12-28 06:30:45.887",
        "3.4.0"
    ),
    entry!(
        "try_make_timestamp",
        build_make_timestamp,
        "try_make_timestamp(year, month, day, hour, min, sec[, timezone]) - As make_timestamp, with NULL for parts that do not fit.",
        "SELECT try_make_timestamp(2024, 13, 22, 15, 30, 0)",
        "NULL",
        "4.0.0"
    ),
    entry!(
        "try_make_timestamp_ltz",
        build_make_timestamp,
        "try_make_timestamp_ltz(year, month, day, hour, min, sec[, timezone]) - As make_timestamp_ltz, with NULL for parts that do not fit.",
        "SELECT try_make_timestamp_ltz(2024, 13, 22, 15, 30, 0)",
        "NULL",
        "4.0.0"
    ),
    entry!(
        "try_make_timestamp_ntz",
        build_make_timestamp,
        "try_make_timestamp_ntz(year, month, day, hour, min, sec) - As make_timestamp_ntz, with NULL for parts that do not fit.",
        "SELECT try_make_timestamp_ntz(2024, 13, 22, 15, 30, 0)",
        "NULL",
        "4.0.0"
    ),
    entry!(
        "time_diff",
        build_time_unit,
        "time_diff(unit, start, end) - The whole units from start to end.",
        "SELECT time_diff('HOUR', TIME'20:30:29', TIME'21:30:29')",
        "1",
        "4.1.0"
    ),
    entry!(
        "time_trunc",
        build_time_unit,
        "time_trunc(unit, time) - The time cut to a unit.",
        "SELECT time_trunc('HOUR', TIME'09:32:05.359')",
        "09:00:00",
        "4.1.0"
    ),
    entry!(
        "time_from_seconds",
        build_time_number,
        "time_from_seconds(seconds) - The time that many seconds after midnight.",
        "SELECT time_from_seconds(0)",
        "00:00:00",
        "4.2.0"
    ),
    entry!(
        "time_from_millis",
        build_time_number,
        "time_from_millis(millis) - The time that many milliseconds after midnight.",
        "SELECT time_from_millis(0)",
        "00:00:00",
        "4.2.0"
    ),
    entry!(
        "time_from_micros",
        build_time_number,
        "time_from_micros(micros) - The time that many microseconds after midnight.",
        "SELECT time_from_micros(0)",
        "00:00:00",
        "4.2.0"
    ),
    entry!(
        "time_to_seconds",
        build_time_number,
        "time_to_seconds(time) - The seconds since midnight, with a fraction.",
        "SELECT time_to_seconds(TIME'00:00:01')",
        "1.000000",
        "4.2.0"
    ),
    entry!(
        "time_to_millis",
        build_time_number,
        "time_to_millis(time) - The milliseconds since midnight.",
        "SELECT time_to_millis(TIME'00:00:01')",
        "1000",
        "4.2.0"
    ),
    entry!(
        "time_to_micros",
        build_time_number,
        "time_to_micros(time) - The microseconds since midnight.",
        "SELECT time_to_micros(TIME'00:00:01')",
        "1000000",
        "4.2.0"
    ),
];
