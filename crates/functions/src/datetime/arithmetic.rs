//! `date_add` and its kin, months, differences in units, and cutting to a unit.
use arrow::array::{ArrayRef, Float64Array, Int64Array};
use firesteel_plan::{DataType, Result, SparkError};
use std::sync::Arc;

use super::calendar::{
    MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MILLI, MICROS_PER_MINUTE, MICROS_PER_SECOND, add_months,
    civil_from_days, days_from_civil, iso_day_of_week, join_micros, month_length, split_micros,
};
use super::vector::{binary, collect, finish, long_overflow, longs, overflow, unary};
use super::zone::Zone;
use crate::coerce;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::signature::{Accept, DefaultArgument, Nulls, Returns, Signature, SimpleType};
use crate::typed::TypedExpr;
use crate::view;

fn date_overflow() -> SparkError {
    SparkError::new(
        "ARITHMETIC_OVERFLOW",
        [
            ("message", "integer overflow".to_string()),
            ("alternative", String::new()),
            ("config", quote::sql_config("spark.sql.ansi.enabled")),
        ],
    )
}

fn in_date_range(days: i64) -> Result<Option<i64>> {
    if i32::try_from(days).is_ok() { Ok(Some(days)) } else { Err(date_overflow()) }
}

fn date_add_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary(args, |days, count| in_date_range(days + count))
}

fn date_sub_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary(args, |days, count| in_date_range(days - count))
}

fn datediff_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary(args, |end, start| in_date_range(end - start))
}

fn add_months_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary(args, |days, months| in_date_range(add_months(days, months)))
}

fn last_day_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    unary(args, |days| {
        let date = civil_from_days(days);
        in_date_range(days + i64::from(month_length(date.year, date.month) - date.day))
    })
}

/// The calls behind `date + n` and `date - n`, too.
pub fn date_add(name: &'static str, date: TypedExpr, days: TypedExpr, context: &BuildContext<'_>) -> TypedExpr {
    let kernel: Kernel = if name == "date_sub" { date_sub_kernel } else { date_add_kernel };
    let sql = format!("{name}({}, {})", date.sql, days.sql);
    let nullable = date.nullable || days.nullable;
    let call = SparkScalar::call(name, kernel, vec![date, days], DataType::Date, nullable, context.eval);
    call.origin(context.origin.clone()).build().with_sql(sql)
}

fn build_date_add(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    let called = context.called_as.to_lowercase();
    if called == "dateadd" && arguments.values.len() == 3 {
        return build_timestampadd(context, arguments);
    }
    arguments.expect(context.called_as, 2, 2)?;
    let name = if called == "date_sub" { "date_sub" } else { "date_add" };
    let (Some(days), Some(date)) = (arguments.values.pop(), arguments.values.pop()) else {
        return Err(crate::registry::wrong_num_args(name, 2, 2, 0));
    };
    let sql = format!("{name}({}, {})", date.sql, days.sql);
    let date = coerce::argument(&sql, 0, Accept::Date, date, context)?;
    let days = match &days.data_type {
        DataType::Byte | DataType::Short | DataType::Integer => days,
        given if given.is_string() && context.eval.ansi => {
            coerce::implicit(days, &DataType::Integer, context.eval, &context.origin)?
        }
        given if *given == DataType::Null || (given.is_string() && days.is_foldable()) => {
            constant_days(&sql, days, context)?
        }
        _ => return Err(days_mismatch(&sql, &days).with_origin(context.origin.as_ref())),
    };
    Ok(Built::Expr(date_add(name, date, days, context).with_sql(sql)))
}

fn days_mismatch(sql: &str, days: &TypedExpr) -> SparkError {
    let required = "(\"INT\" or \"SMALLINT\" or \"TINYINT\")".to_string();
    quote::unexpected_input_type(sql, 1, required, &days.sql, &days.data_type)
}

/// A constant text where days belong must be an integer.
fn constant_days(sql: &str, days: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    if let Some(text) = crate::fold::fold_string(&days)?
        && text.trim().parse::<i32>().is_err()
    {
        let error = SparkError::new(
            "SECOND_FUNCTION_ARGUMENT_NOT_INTEGER",
            [("functionName", sql.split('(').next().unwrap_or("date_add").to_string())],
        );
        return Err(error.with_origin(context.origin.as_ref()));
    }
    coerce::implicit(days, &DataType::Integer, context.eval, &context.origin)
}

fn build_datediff(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    if arguments.values.len() == 3 {
        return build_timestampdiff(context, arguments);
    }
    let called = context.called_as.to_lowercase();
    let (end, start) = arguments.two(context.called_as)?;
    let sql = format!("{called}({}, {})", end.sql, start.sql);
    let end = coerce::argument(&sql, 0, Accept::Date, end, context)?;
    let start = coerce::argument(&sql, 1, Accept::Date, start, context)?;
    let nullable = end.nullable || start.nullable;
    let call =
        SparkScalar::call("datediff", datediff_kernel, vec![end, start], DataType::Integer, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

/// A unit of `timestampadd` and `timestampdiff`.
#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Months(i64),
    Days(i64),
    Micros(i64),
}

fn unit(text: &str) -> Option<Unit> {
    Some(match text.to_uppercase().as_str() {
        "MICROSECOND" => Unit::Micros(1),
        "MILLISECOND" => Unit::Micros(MICROS_PER_MILLI),
        "SECOND" => Unit::Micros(MICROS_PER_SECOND),
        "MINUTE" => Unit::Micros(MICROS_PER_MINUTE),
        "HOUR" => Unit::Micros(MICROS_PER_HOUR),
        "DAY" | "DAYOFYEAR" => Unit::Days(1),
        "WEEK" => Unit::Days(7),
        "MONTH" => Unit::Months(1),
        "QUARTER" => Unit::Months(3),
        "YEAR" => Unit::Months(12),
        _ => return None,
    })
}

fn known_unit(text: &str) -> Result<Unit> {
    unit(text).ok_or_else(|| SparkError::internal(format!("no unit {text}")))
}

/// Adds months, then days, on the wall clock, then microseconds on the time line. `None` out of range.
pub fn add_to_timestamp(zone: Option<&Zone>, micros: i64, months: i64, days: i64, rest: i64) -> Option<i64> {
    let mut result = micros;
    if months != 0 || days != 0 {
        let local = zone.map_or(result, |z| z.to_local(result));
        let (day, of_day) = split_micros(local);
        let moved = if months == 0 { day } else { add_months(day, months) };
        let local = join_micros(moved.checked_add(days)?, of_day)?;
        result = match zone {
            Some(zone) => zone.to_utc(local)?,
            None => local,
        };
    }
    result.checked_add(rest)
}

fn timestampadd_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let text = args.option(0).to_string();
    let unit = known_unit(&text)?;
    let zone = match args.arg_types.get(1) {
        Some(DataType::TimestampNtz) => None,
        _ => Some(Zone::new(&args.context.time_zone)),
    };
    binary(args, |count, micros| {
        let moved = match unit {
            Unit::Months(n) => count
                .checked_mul(n)
                .filter(|m| m.abs() < 1 << 40)
                .and_then(|m| add_to_timestamp(zone.as_ref(), micros, m, 0, 0)),
            Unit::Days(n) => count
                .checked_mul(n)
                .filter(|d| d.abs() < 1 << 40)
                .and_then(|d| add_to_timestamp(zone.as_ref(), micros, 0, d, 0)),
            Unit::Micros(n) => count.checked_mul(n).and_then(|m| micros.checked_add(m)),
        };
        let shown = |micros: i64| match &zone {
            Some(zone) => format!("TIMESTAMP '{}'", super::text::format_timestamp_ntz(zone.to_local(micros))),
            None => format!("TIMESTAMP_NTZ '{}'", super::text::format_timestamp_ntz(micros)),
        };
        moved.map(Some).ok_or_else(|| overflow(format!("add {count}L {} to {}", text.to_uppercase(), shown(micros))))
    })
}

/// The unit argument: a bare word, which front doors pass as a string.
fn unit_argument(context: &BuildContext<'_>, value: &TypedExpr) -> Result<String> {
    let text = crate::fold::fold_string(value)?.unwrap_or_default();
    match unit(&text) {
        Some(_) => Ok(text),
        None => Err(SparkError::new(
            "INVALID_PARAMETER_VALUE.DATETIME_UNIT",
            [
                ("functionName", quote::sql_id(context.called_as)),
                ("parameter", quote::sql_id("unit")),
                ("invalidValue", format!("'{text}'")),
            ],
        )
        .with_origin(context.origin.as_ref())),
    }
}

fn build_timestampadd(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 3, 3)?;
    let (Some(time), Some(count), Some(unit)) =
        (arguments.values.pop(), arguments.values.pop(), arguments.values.pop())
    else {
        return Err(crate::registry::wrong_num_args("timestampadd", 3, 3, 0));
    };
    let text = unit_argument(context, &unit)?;
    let sql = format!("timestampadd({text}, {}, {})", count.sql, time.sql);
    let count = coerce::argument(&sql, 0, Accept::Long, count, context)?;
    let time = coerce::argument(&sql, 1, Accept::AnyTimestamp, time, context)?;
    let (result, nullable) = (time.data_type.clone(), count.nullable || time.nullable);
    let call =
        SparkScalar::call("timestampadd", timestampadd_kernel, vec![count, time], result, nullable, context.eval);
    Ok(Built::Expr(call.options(vec![text]).origin(context.origin.clone()).build().with_sql(sql)))
}

/// Whole months from `start` to `end`, both on the wall clock.
fn months_between_micros(start: i64, end: i64) -> i64 {
    let ((start_day, start_time), (end_day, end_time)) = (split_micros(start), split_micros(end));
    let (a, b) = (civil_from_days(start_day), civil_from_days(end_day));
    let months = (b.year - a.year) * 12 + i64::from(b.month) - i64::from(a.month);
    let (from, to) = ((i64::from(a.day), start_time), (i64::from(b.day), end_time));
    if months > 0 && to < from {
        months - 1
    } else if months < 0 && to > from {
        months + 1
    } else {
        months
    }
}

fn timestampdiff_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let unit = known_unit(args.option(0))?;
    let zone = Zone::new(&args.context.time_zone);
    let ntz = args.arg_types.first() == Some(&DataType::TimestampNtz);
    let local = |micros: i64| if ntz { micros } else { zone.to_local(micros) };
    binary(args, |start, end| {
        Ok(Some(match unit {
            Unit::Months(n) => months_between_micros(local(start), local(end)) / n,
            Unit::Days(n) => {
                let days = (i128::from(local(end)) - i128::from(local(start))) / i128::from(MICROS_PER_DAY);
                days as i64 / n
            }
            Unit::Micros(n) => end.checked_sub(start).ok_or_else(long_overflow)? / n,
        }))
    })
}

fn build_timestampdiff(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 3, 3)?;
    let (Some(end), Some(start), Some(unit)) = (arguments.values.pop(), arguments.values.pop(), arguments.values.pop())
    else {
        return Err(crate::registry::wrong_num_args("timestampdiff", 3, 3, 0));
    };
    let text = unit_argument(context, &unit)?;
    let sql = format!("timestampdiff({text}, {}, {})", start.sql, end.sql);
    let start = coerce::argument(&sql, 0, Accept::Timestamp, start, context)?;
    let end = coerce::argument(&sql, 1, Accept::Timestamp, end, context)?;
    let nullable = start.nullable || end.nullable;
    let call = SparkScalar::call(
        "timestampdiff",
        timestampdiff_kernel,
        vec![start, end],
        DataType::Long,
        nullable,
        context.eval,
    );
    Ok(Built::Expr(call.options(vec![text]).origin(context.origin.clone()).build().with_sql(sql)))
}

fn months_between_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let zone = Zone::new(&args.context.time_zone);
    let (first, second) = (longs(args, 0)?, longs(args, 1)?);
    let round_off = view::booleans(args, 2)?;
    let one = |row: usize| {
        let (a, b) = (zone.to_local(first.get(row)?), zone.to_local(second.get(row)?));
        let round = round_off.get(row)?;
        let ((day1, time1), (day2, time2)) = (split_micros(a), split_micros(b));
        let (d1, d2) = (civil_from_days(day1), civil_from_days(day2));
        let months = ((d1.year - d2.year) * 12 + i64::from(d1.month) - i64::from(d2.month)) as f64;
        let is_last = |d: super::calendar::Civil| d.day == month_length(d.year, d.month);
        if d1.day == d2.day || (is_last(d1) && is_last(d2)) {
            return Some(months);
        }
        let seconds =
            (i64::from(d1.day) - i64::from(d2.day)) * 86_400 + time1 / MICROS_PER_SECOND - time2 / MICROS_PER_SECOND;
        let difference = months + seconds as f64 / (31.0 * 86_400.0);
        Some(if round { (difference * 1e8).round() / 1e8 } else { difference })
    };
    Ok(Arc::new((0..args.rows).map(one).collect::<Float64Array>()))
}

fn next_day_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let days = longs(args, 0)?;
    let names = view::strings(args, 1)?;
    let mut out = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        let (Some(day), Some(name)) = (days.get(row), names.get(row)) else {
            out.push(None);
            continue;
        };
        let wanted = match name.trim().to_uppercase().as_str() {
            "MO" | "MON" | "MONDAY" => 1,
            "TU" | "TUE" | "TUESDAY" => 2,
            "WE" | "WED" | "WEDNESDAY" => 3,
            "TH" | "THU" | "THURSDAY" => 4,
            "FR" | "FRI" | "FRIDAY" => 5,
            "SA" | "SAT" | "SATURDAY" => 6,
            "SU" | "SUN" | "SUNDAY" => 7,
            _ if args.context.ansi => {
                return Err(SparkError::new("ILLEGAL_DAY_OF_WEEK", [("string", name.to_string())]));
            }
            _ => {
                out.push(None);
                continue;
            }
        };
        let ahead = (wanted - 1 - i64::from(iso_day_of_week(day))).rem_euclid(7) + 1;
        out.push(Some(day + ahead));
    }
    finish(args, Int64Array::from(out))
}

/// What a date or timestamp is cut to.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Micros(i64),
}

fn level(text: &str) -> Option<Level> {
    Some(match text.to_uppercase().as_str() {
        "YEAR" | "YYYY" | "YY" => Level::Year,
        "QUARTER" => Level::Quarter,
        "MONTH" | "MM" | "MON" => Level::Month,
        "WEEK" => Level::Week,
        "DAY" | "DD" => Level::Day,
        "HOUR" => Level::Micros(MICROS_PER_HOUR),
        "MINUTE" => Level::Micros(MICROS_PER_MINUTE),
        "SECOND" => Level::Micros(MICROS_PER_SECOND),
        "MILLISECOND" => Level::Micros(MICROS_PER_MILLI),
        "MICROSECOND" => Level::Micros(1),
        _ => return None,
    })
}

/// The levels that argument `index` names, by row; mostly all the same.
fn levels(args: &ScalarArgs<'_>, index: usize) -> Result<impl Fn(usize) -> Option<Level>> {
    let formats = view::strings(args, index)?;
    let same = formats.constant.then(|| formats.get(0).and_then(level));
    Ok(move |row: usize| same.unwrap_or_else(|| formats.get(row).and_then(level)))
}

#[inline]
fn cut_days(days: i64, level: Level) -> i64 {
    let date = civil_from_days(days);
    match level {
        Level::Year => days_from_civil(date.year, 1, 1),
        Level::Quarter => days_from_civil(date.year, (date.month - 1) / 3 * 3 + 1, 1),
        Level::Month => days - i64::from(date.day) + 1,
        Level::Week => days - i64::from(iso_day_of_week(days)) + 1,
        Level::Day | Level::Micros(_) => days,
    }
}

fn trunc_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let days = longs(args, 0)?;
    let level = levels(args, 1)?;
    let one = |row: usize| {
        let level = level(row).filter(|level| !matches!(level, Level::Day | Level::Micros(_)))?;
        Some(cut_days(days.get(row)?, level))
    };
    finish(args, collect(args.rows, |row| Ok(one(row)))?)
}

fn date_trunc_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let level = levels(args, 0)?;
    let values = longs(args, 1)?;
    let zone = Zone::new(&args.context.time_zone);
    let one = |row: usize| {
        let level = level(row)?;
        let micros = values.get(row)?;
        let local = zone.to_local(micros);
        match level {
            // Offsets are whole seconds, but may not be whole minutes or hours.
            Level::Micros(unit) if unit <= MICROS_PER_SECOND => Some(micros - micros.rem_euclid(unit)),
            Level::Micros(unit) => {
                let offset = local - micros;
                Some(local - local.rem_euclid(unit) - offset)
            }
            _ => zone.to_utc(join_micros(cut_days(split_micros(local).0, level), 0)?),
        }
    };
    finish(args, collect(args.rows, |row| Ok(one(row)))?)
}

macro_rules! custom {
    ($name:literal, $aliases:expr, $build:expr, $usage:literal, $sql:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
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
macro_rules! plain {
    ($name:literal, $signature:expr, $usage:literal, $sql:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Scalar,
            group: "datetime_funcs",
            parameters: &[],
            build: Build::Signature($signature),
            usage: $usage,
            examples: &[($sql, $result)],
            since: $since,
        }
    };
}

const DATE: Returns = Returns::Is(SimpleType::Date);

pub static FUNCTIONS: &[Function] = &[
    custom!(
        "date_add",
        &["dateadd"],
        build_date_add,
        "date_add(start_date, num_days) - The date num_days after start_date.",
        "SELECT date_add('2016-07-30', 1)",
        "2016-07-31",
        "1.5.0"
    ),
    custom!(
        "date_sub",
        &[],
        build_date_add,
        "date_sub(start_date, num_days) - The date num_days before start_date.",
        "SELECT date_sub('2016-07-30', 1)",
        "2016-07-29",
        "1.5.0"
    ),
    custom!(
        "datediff",
        &["date_diff"],
        build_datediff,
        "datediff(endDate, startDate) - The number of days from startDate to endDate.",
        "SELECT datediff('2009-07-31', '2009-07-30')",
        "1",
        "1.5.0"
    ),
    custom!(
        "timestampadd",
        &[],
        build_timestampadd,
        "timestampadd(unit, count, timestamp) - The timestamp count units later.",
        "SELECT timestampadd(HOUR, 8, TIMESTAMP_NTZ'2022-02-14 20:30:00')",
        "2022-02-15 04:30:00",
        "3.3.0"
    ),
    custom!(
        "timestampdiff",
        &[],
        build_timestampdiff,
        "timestampdiff(unit, start, end) - The number of whole units from start to end.",
        "SELECT timestampdiff(MONTH, TIMESTAMP'2021-02-28 12:00:00', TIMESTAMP'2021-03-28 12:00:00')",
        "1",
        "3.3.0"
    ),
    plain!(
        "add_months",
        Signature::new(&[Accept::Date, Accept::Integer], DATE, add_months_kernel),
        "add_months(start_date, num_months) - The date num_months after start_date.",
        "SELECT add_months('2016-08-31', 1)",
        "2016-09-30",
        "1.5.0"
    ),
    plain!(
        "months_between",
        Signature::new(&[Accept::Timestamp, Accept::Timestamp], Returns::Is(SimpleType::Double), months_between_kernel)
            .optional(&[Accept::Boolean])
            .defaults(&[DefaultArgument::Boolean(true)]),
        "months_between(timestamp1, timestamp2[, roundOff]) - The months from timestamp2 to timestamp1, with a fraction.",
        "SELECT months_between('1997-02-28 10:30:00', '1996-10-30')",
        "3.94959677",
        "1.5.0"
    ),
    plain!(
        "last_day",
        Signature::new(&[Accept::Date], DATE, last_day_kernel),
        "last_day(date) - The last day of the month.",
        "SELECT last_day('2009-01-12')",
        "2009-01-31",
        "1.5.0"
    ),
    plain!(
        "next_day",
        Signature::new(&[Accept::Date, Accept::String], DATE, next_day_kernel).nulls(Nulls::IfAny),
        "next_day(start_date, day_of_week) - The first date after start_date on that day.",
        "SELECT next_day('2015-01-14', 'TU')",
        "2015-01-20",
        "1.5.0"
    ),
    plain!(
        "trunc",
        Signature::new(&[Accept::Date, Accept::String], DATE, trunc_kernel).nulls(Nulls::Always),
        "trunc(date, fmt) - The date cut to its year, quarter, month or week.",
        "SELECT trunc('2019-08-04', 'week')",
        "2019-07-29",
        "1.5.0"
    ),
    plain!(
        "date_trunc",
        Signature::new(&[Accept::String, Accept::Timestamp], Returns::Is(SimpleType::Timestamp), date_trunc_kernel)
            .nulls(Nulls::Always),
        "date_trunc(fmt, ts) - The timestamp cut to a unit.",
        "SELECT date_trunc('HOUR', '2015-03-05T09:32:05.359')",
        "2015-03-05 09:00:00",
        "2.3.0"
    ),
];
