//! Fields of dates, timestamps, times and intervals: `year` … `second`, `extract`, `date_part`, `dayname`, `monthname`.
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array};
use firesteel_plan::{DataType, DayTimeField, Result, SparkError};

use super::calendar::{
    MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, civil_from_days, day_of_year,
    iso_day_of_week, iso_week,
};
use super::vector::{calendars, finish, longs, unary};
use super::zone::Zone;
use crate::coerce;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::signature::{Accept, Returns, Signature, SimpleType};
use crate::typed::TypedExpr;

macro_rules! date_kernel {
    ($name:ident, $f:expr) => {
        fn $name(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
            let field = $f;
            unary(args, |days| Ok(Some(field(days))))
        }
    };
}

date_kernel!(year, |d: i64| civil_from_days(d).year);
date_kernel!(year_of_week, |d: i64| iso_week(d).0);
date_kernel!(quarter, |d: i64| i64::from((civil_from_days(d).month - 1) / 3 + 1));
date_kernel!(month, |d: i64| i64::from(civil_from_days(d).month));
date_kernel!(week, |d: i64| i64::from(iso_week(d).1));
date_kernel!(day, |d: i64| i64::from(civil_from_days(d).day));
date_kernel!(day_of_year_kernel, |d: i64| i64::from(day_of_year(d)));
// Sunday is 1.
date_kernel!(day_of_week, |d: i64| i64::from(iso_day_of_week(d) % 7 + 1));
date_kernel!(day_of_week_iso, |d: i64| i64::from(iso_day_of_week(d)));
// Monday is 0.
date_kernel!(weekday, |d: i64| i64::from(iso_day_of_week(d) - 1));

/// Microseconds of day of a timestamp or time, on the wall clock.
fn clock(args: &ScalarArgs<'_>) -> impl Fn(i64) -> i64 {
    let zone = Zone::new(&args.context.time_zone);
    let kind = args.arg_types.first().cloned();
    move |value| match kind {
        Some(DataType::Timestamp) => zone.to_local(value).rem_euclid(MICROS_PER_DAY),
        Some(DataType::Time(_)) => value / 1000,
        _ => value.rem_euclid(MICROS_PER_DAY),
    }
}

fn hour(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let clock = clock(args);
    unary(args, |v| Ok(Some(clock(v) / MICROS_PER_HOUR)))
}

fn minute(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let clock = clock(args);
    unary(args, |v| Ok(Some(clock(v) % MICROS_PER_HOUR / MICROS_PER_MINUTE)))
}

fn second(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let clock = clock(args);
    unary(args, |v| Ok(Some(clock(v) % MICROS_PER_MINUTE / MICROS_PER_SECOND)))
}

/// Microseconds of a minute as `decimal(8, 6)`.
fn decimal_seconds(args: &ScalarArgs<'_>, value: impl Fn(usize) -> Option<i64>) -> Result<ArrayRef> {
    let array: Decimal128Array = (0..args.rows).map(|row| value(row).map(i128::from)).collect();
    Ok(Arc::new(array.with_data_type(args.arrow_type())))
}

fn second_with_fraction(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (clock, values) = (clock(args), longs(args, 0)?);
    decimal_seconds(args, |row| values.get(row).map(|v| clock(v) % MICROS_PER_MINUTE))
}

fn interval_years(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    interval_part(args, |months, _, _| i64::from(months / 12))
}

fn interval_months(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    interval_part(args, |months, _, _| i64::from(months % 12))
}

fn interval_days(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    match args.arg_types.first() {
        Some(DataType::CalendarInterval) => interval_part(args, |_, days, _| i64::from(days)),
        _ => unary(args, |v| Ok(Some(v / MICROS_PER_DAY))),
    }
}

/// Microseconds below a day of a day-time interval, all of a legacy one's time.
fn interval_clock(args: &ScalarArgs<'_>) -> Result<Box<dyn Fn(usize) -> Option<i64>>> {
    if args.arg_types.first() == Some(&DataType::CalendarInterval) {
        let get = calendars(args, 0)?;
        return Ok(Box::new(move |row| get(row).map(|v| v.microseconds)));
    }
    let values = longs(args, 0)?;
    Ok(Box::new(move |row| values.get(row).map(|v| v % MICROS_PER_DAY)))
}

fn interval_hours(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let get = interval_clock(args)?;
    finish(args, (0..args.rows).map(|row| get(row).map(|v| v / MICROS_PER_HOUR)).collect())
}

fn interval_minutes(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let get = interval_clock(args)?;
    finish(args, (0..args.rows).map(|row| get(row).map(|v| v % MICROS_PER_HOUR / MICROS_PER_MINUTE)).collect())
}

fn interval_seconds(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let get = interval_clock(args)?;
    decimal_seconds(args, |row| get(row).map(|v| v % MICROS_PER_MINUTE))
}

fn interval_part(args: &ScalarArgs<'_>, part: impl Fn(i32, i32, i64) -> i64) -> Result<ArrayRef> {
    if args.arg_types.first() == Some(&DataType::CalendarInterval) {
        let get = calendars(args, 0)?;
        let values: Int64Array =
            (0..args.rows).map(|row| get(row).map(|v| part(v.months, v.days, v.microseconds))).collect();
        return finish(args, values);
    }
    unary(args, |v| Ok(Some(part(v as i32, 0, 0))))
}

fn dayname(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let days = longs(args, 0)?;
    rows::slices(args.rows, |row| days.get(row).map(|d| NAMES[(iso_day_of_week(d) - 1) as usize]))
}

fn monthname(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    const NAMES: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let days = longs(args, 0)?;
    rows::slices(args.rows, |row| days.get(row).map(|d| NAMES[(civil_from_days(d).month - 1) as usize]))
}

/// Names of a field, what it takes and gives.
struct Part {
    names: &'static [&'static str],
    kernel: Kernel,
    result: DataType,
    /// Takes a date (or else a timestamp or time)
    of_date: bool,
}

const SECONDS: DataType = DataType::Decimal(8, 6);

static PARTS: &[Part] = &[
    Part { names: &["YEAR", "Y", "YEARS", "YR", "YRS"], kernel: year, result: DataType::Integer, of_date: true },
    Part { names: &["YEAROFWEEK"], kernel: year_of_week, result: DataType::Integer, of_date: true },
    Part { names: &["QUARTER", "QTR"], kernel: quarter, result: DataType::Integer, of_date: true },
    Part { names: &["MONTH", "MON", "MONS", "MONTHS"], kernel: month, result: DataType::Integer, of_date: true },
    Part { names: &["WEEK", "W", "WEEKS"], kernel: week, result: DataType::Integer, of_date: true },
    Part { names: &["DAY", "D", "DAYS"], kernel: day, result: DataType::Integer, of_date: true },
    Part { names: &["DAYOFWEEK", "DOW"], kernel: day_of_week, result: DataType::Integer, of_date: true },
    Part { names: &["DAYOFWEEK_ISO", "DOW_ISO"], kernel: day_of_week_iso, result: DataType::Integer, of_date: true },
    Part { names: &["DOY"], kernel: day_of_year_kernel, result: DataType::Integer, of_date: true },
    Part { names: &["HOUR", "H", "HOURS", "HR", "HRS"], kernel: hour, result: DataType::Integer, of_date: false },
    Part {
        names: &["MINUTE", "M", "MIN", "MINS", "MINUTES"],
        kernel: minute,
        result: DataType::Integer,
        of_date: false,
    },
    Part {
        names: &["SECOND", "S", "SEC", "SECONDS", "SECS"],
        kernel: second_with_fraction,
        result: SECONDS,
        of_date: false,
    },
];

/// As [`PARTS`] for intervals.
static INTERVAL_PARTS: &[Part] = &[
    Part {
        names: &["YEAR", "Y", "YEARS", "YR", "YRS"],
        kernel: interval_years,
        result: DataType::Integer,
        of_date: true,
    },
    Part { names: &["MONTH", "MON", "MONS", "MONTHS"], kernel: interval_months, result: DataType::Byte, of_date: true },
    Part { names: &["DAY", "D", "DAYS"], kernel: interval_days, result: DataType::Integer, of_date: false },
    Part {
        names: &["HOUR", "H", "HOURS", "HR", "HRS"],
        kernel: interval_hours,
        result: DataType::Byte,
        of_date: false,
    },
    Part {
        names: &["MINUTE", "M", "MIN", "MINS", "MINUTES"],
        kernel: interval_minutes,
        result: DataType::Byte,
        of_date: false,
    },
    Part {
        names: &["SECOND", "S", "SEC", "SECONDS", "SECS"],
        kernel: interval_seconds,
        result: SECONDS,
        of_date: false,
    },
];

fn extract(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = context.called_as.to_lowercase();
    let (field, source) = arguments.two(context.called_as)?;
    let sql = match name.as_str() {
        "extract" | "datepart" => format!("{name}({} FROM {})", field.sql, source.sql),
        _ => format!("{name}({}, {})", field.sql, source.sql),
    };
    let fail = |error: SparkError| error.with_origin(context.origin.as_ref());
    if !field.is_foldable() {
        return Err(fail(crate::fold::not_foldable(&sql, "field", &field)));
    }
    let Some(text) = crate::fold::fold_string(&field)? else {
        return Ok(Built::Expr(TypedExpr::null(DataType::Double).with_sql(sql)));
    };
    let unknown = || {
        fail(SparkError::new(
            "INVALID_EXTRACT_FIELD",
            [("field", quote::sql_id(&text)), ("expr", quote::sql_expr(&source.sql))],
        ))
    };
    let upper = text.to_uppercase();
    let find = |parts: &'static [Part]| parts.iter().find(|p| p.names.contains(&upper.as_str())).ok_or_else(unknown);
    let (part, source) = match &source.data_type {
        DataType::YearMonthInterval(..) => {
            (find(INTERVAL_PARTS).and_then(|p| if p.of_date { Ok(p) } else { Err(unknown()) })?, source.clone())
        }
        DataType::DayTimeInterval(start, end) => {
            let part = find(INTERVAL_PARTS)?;
            let wanted = match part.names.first() {
                Some(&"DAY") => DayTimeField::Day,
                Some(&"HOUR") => DayTimeField::Hour,
                Some(&"MINUTE") => DayTimeField::Minute,
                Some(&"SECOND") => DayTimeField::Second,
                _ => return Err(unknown()),
            };
            if !(*start..=*end).contains(&wanted) {
                return Err(unknown());
            }
            (part, source.clone())
        }
        DataType::CalendarInterval => (find(INTERVAL_PARTS)?, source.clone()),
        _ => {
            let part = find(PARTS)?;
            let accept = match (part.of_date, &source.data_type) {
                (true, _) => Accept::Date,
                (false, DataType::Time(_)) => Accept::Time,
                (false, _) => Accept::AnyTimestamp,
            };
            (part, coerce::argument(&sql, 1, accept, source.clone(), context)?)
        }
    };
    let nullable = source.nullable;
    let call = SparkScalar::call("extract", part.kernel, vec![source], part.result.clone(), nullable, context.eval)
        .options(vec![upper.clone()]);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

/// `hour`, `minute`, `second` of a timestamp or a time.
fn time_field(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = context.called_as.to_lowercase();
    let source = arguments.one(context.called_as)?;
    let sql = format!("{name}({})", source.sql);
    let (function, kernel): (&'static str, Kernel) = match name.as_str() {
        "hour" => ("hour", hour),
        "minute" => ("minute", minute),
        _ => ("second", second),
    };
    let source = match source.data_type {
        DataType::Time(_) => source,
        _ => coerce::argument(&sql, 0, Accept::AnyTimestamp, source, context)?,
    };
    let nullable = source.nullable;
    let call = SparkScalar::call(function, kernel, vec![source], DataType::Integer, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

macro_rules! of_date {
    ($name:literal, $aliases:expr, $kernel:expr, $returns:expr, $usage:literal, $example:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "datetime_funcs",
            parameters: &[],
            build: Build::Signature(Signature::new(&[Accept::Date], Returns::Is($returns), $kernel)),
            usage: concat!($name, "(date) - ", $usage),
            examples: &[(concat!("SELECT ", $name, "(DATE'2016-07-30')"), $example)],
            since: $since,
        }
    };
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

pub static FUNCTIONS: &[Function] = &[
    of_date!("year", &[], year, SimpleType::Integer, "The year of a date.", "2016", "1.5.0"),
    of_date!("quarter", &[], quarter, SimpleType::Integer, "The quarter of the year, 1 to 4.", "3", "1.5.0"),
    of_date!("month", &[], month, SimpleType::Integer, "The month, 1 to 12.", "7", "1.5.0"),
    of_date!("weekofyear", &[], week, SimpleType::Integer, "The ISO week of the year, 1 to 53.", "30", "1.5.0"),
    of_date!("day", &["dayofmonth"], day, SimpleType::Integer, "The day of the month.", "30", "1.5.0"),
    of_date!(
        "dayofyear",
        &[],
        day_of_year_kernel,
        SimpleType::Integer,
        "The day of the year, 1 to 366.",
        "212",
        "1.5.0"
    ),
    of_date!("dayofweek", &[], day_of_week, SimpleType::Integer, "The day of the week, Sunday is 1.", "7", "2.3.0"),
    of_date!("weekday", &[], weekday, SimpleType::Integer, "The day of the week, Monday is 0.", "5", "2.4.0"),
    of_date!("dayname", &[], dayname, SimpleType::String, "The name of the day in three letters.", "Sat", "4.0.0"),
    of_date!(
        "monthname",
        &[],
        monthname,
        SimpleType::String,
        "The name of the month in three letters.",
        "Jul",
        "4.0.0"
    ),
    custom!(
        "hour",
        &[],
        time_field,
        "hour(expr) - The hour of a timestamp or time.",
        "SELECT hour('2018-02-14 12:58:59')",
        "12",
        "1.5.0"
    ),
    custom!(
        "minute",
        &[],
        time_field,
        "minute(expr) - The minute of a timestamp or time.",
        "SELECT minute('2009-07-30 12:58:59')",
        "58",
        "1.5.0"
    ),
    custom!(
        "second",
        &[],
        time_field,
        "second(expr) - The second of a timestamp or time.",
        "SELECT second('2018-02-14 12:58:59')",
        "59",
        "1.5.0"
    ),
    custom!(
        "extract",
        &[],
        extract,
        "extract(field FROM source) - A field of a date, timestamp, time or interval.",
        "SELECT extract(YEAR FROM TIMESTAMP '2019-08-12 01:00:00.123456')",
        "2019",
        "3.0.0"
    ),
    custom!(
        "date_part",
        &["datepart"],
        extract,
        "date_part(field, source) - A field of a date, timestamp, time or interval.",
        "SELECT date_part('doy', DATE'2019-08-12')",
        "224",
        "3.0.0"
    ),
];
