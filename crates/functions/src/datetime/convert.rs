//! Text and epoch numbers to and from dates, timestamps and times, with and without a pattern.
use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{Decimal128Type, Float64Type};
use firesteel_plan::{DataType, JavaException, Result, SparkError};

use super::calendar::{MICROS_PER_MILLI, MICROS_PER_SECOND, join_micros};
use super::pattern::{Moment, Parsed, Pattern, Policy, moment, parsed_by_old};
use super::vector::{finish, long_overflow, longs, unary};
use super::zone::{Zone, parse_zone};
use crate::cast::{self, CastMode};
use crate::coerce;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::typed::TypedExpr;
use crate::view;

pub const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

/// The pattern of each row; compiled once while it does not change.
struct Patterns {
    parsing: bool,
    policy: Policy,
    /// For timestamps without a zone
    ntz: bool,
    last: Option<(String, Pattern)>,
}

impl Patterns {
    fn new(args: &ScalarArgs<'_>, parsing: bool) -> Self {
        let ntz = parsing && args.return_type == &DataType::TimestampNtz;
        Self { parsing, policy: Policy::of(args.context), ntz, last: None }
    }

    fn get(&mut self, text: &str) -> Result<&Pattern> {
        if self.last.as_ref().is_none_or(|(known, _)| known != text) {
            let pattern = match self.ntz {
                true => Pattern::without_zone(text, self.parsing)?,
                false => Pattern::new(text, self.parsing, self.policy)?,
            };
            self.last = Some((text.to_string(), pattern));
        }
        self.last.as_ref().map(|(_, pattern)| pattern).ok_or_else(|| SparkError::internal("no pattern"))
    }
}

/// Options: what is made (`timestamp`, `ntz`, `date`, `seconds`, `time`), `fail` or `null`, the function to suggest.
fn parse_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (texts, formats) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let zone = Zone::new(&args.context.time_zone);
    let fails = args.option(1) == "fail";
    let mut patterns = Patterns::new(args, true);
    let policy = patterns.policy;
    let mut out = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        let (Some(text), Some(format)) = (texts.get(row), formats.get(row)) else {
            out.push(None);
            continue;
        };
        let parsed = patterns.get(format)?.parse(text);
        let value = match parsed {
            Ok(parsed) => match made(args.option(0), &parsed, &zone) {
                Some(value) => Some(value),
                None if fails => return Err(long_overflow()),
                None => None,
            },
            Err(message) => {
                if policy == Policy::Exception
                    && Pattern::new(format, true, Policy::Legacy).is_ok_and(|p| p.parse(text).is_ok())
                {
                    return Err(parsed_by_old(text));
                }
                if fails {
                    return Err(cannot_parse(args, text, format, message));
                }
                None
            }
        };
        out.push(value);
    }
    finish(args, Int64Array::from(out))
}

fn cannot_parse(args: &ScalarArgs<'_>, text: &str, format: &str, message: String) -> SparkError {
    if args.option(0) == "time" {
        return SparkError::new(
            "CANNOT_PARSE_TIME",
            [("input", format!("'{text}'")), ("format", format!("'{format}'"))],
        );
    }
    SparkError::new("CANNOT_PARSE_TIMESTAMP", [("func", format!("`{}`", args.option(2))), ("message", message)])
}

fn made(kind: &str, parsed: &Parsed, zone: &Zone) -> Option<i64> {
    let local = join_micros(parsed.days, parsed.nanos_of_day / 1000);
    let instant = |local: i64| match &parsed.zone {
        Some(tz) => Zone::new(tz).to_utc(local),
        None => zone.to_utc(local),
    };
    match kind {
        "date" => i32::try_from(parsed.days).ok().map(i64::from),
        "time" => Some(parsed.nanos_of_day / 1000 * 1000),
        "ntz" => local,
        "seconds" => instant(local?).map(|micros| micros.div_euclid(MICROS_PER_SECOND)),
        _ => instant(local?),
    }
}

fn format_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let values = longs(args, 0)?;
    let formats = view::strings(args, 1)?;
    let zone = Zone::new(&args.context.time_zone);
    let time = matches!(args.arg_types.first(), Some(DataType::Time(_)));
    let seconds = args.option(0) == "seconds";
    let mut patterns = Patterns::new(args, false);
    rows::try_text(args.rows, |row, out| {
        let (Some(value), Some(format)) = (values.get(row), formats.get(row)) else { return Ok(None) };
        let pattern = patterns.get(format)?;
        let written = if time {
            let moment = Moment { days: 0, nanos_of_day: value, zone: None, has_date: false, has_time: true };
            pattern.push(&moment, out)
        } else {
            let micros = if seconds { value.wrapping_mul(MICROS_PER_SECOND) } else { value };
            pattern.push(&moment(zone.to_local(micros), Some((&zone, &args.context.time_zone_id, micros))), out)
        };
        written.map_err(|message| SparkError::new("INTERNAL_ERROR", [("message", message)]))?;
        Ok(Some(()))
    })
}

/// A call of the parsing kernel.
fn parsing(
    name: &'static str,
    kind: &str,
    value: TypedExpr,
    format: TypedExpr,
    fails: bool,
    suggest: &str,
    result: DataType,
    context: &BuildContext<'_>,
) -> TypedExpr {
    let nullable = !fails || value.nullable || format.nullable;
    let options = vec![kind.to_string(), if fails { "fail" } else { "null" }.to_string(), suggest.to_string()];
    let call = SparkScalar::call(name, parse_kernel, vec![value, format], result, nullable, context.eval);
    call.options(options).origin(context.origin.clone()).build()
}

/// A constant pattern that no row could use fails while the statement is analyzed only when it runs; so it stays a call.
fn target(name: &str, context: &BuildContext<'_>) -> (&'static str, &'static str, DataType) {
    let ntz_default =
        context.eval.get("spark.sql.timestampType").is_some_and(|t| t.eq_ignore_ascii_case("TIMESTAMP_NTZ"));
    match name.trim_start_matches("try_") {
        "to_date" => ("to_date", "date", DataType::Date),
        "to_time" => ("to_time", "time", DataType::Time(6)),
        "to_timestamp_ntz" => ("to_timestamp_ntz", "ntz", DataType::TimestampNtz),
        "to_timestamp" if ntz_default => ("to_timestamp", "ntz", DataType::TimestampNtz),
        _ => ("to_timestamp", "timestamp", DataType::Timestamp),
    }
}

fn build_to(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let called = context.called_as.to_lowercase();
    let tries = called.starts_with("try_");
    let (name, kind, result) = target(&called, context);
    let format = if arguments.values.len() == 2 { arguments.values.pop() } else { None };
    let Some(value) = arguments.values.pop() else {
        return Err(crate::registry::wrong_num_args(&called, 1, 2, 0));
    };
    let mode = if tries { CastMode::Try } else { CastMode::of(context.eval) };
    let Some(format) = format else {
        let sql = format!("{called}({})", value.sql);
        check_nested(&sql, &value, kind).map_err(|error| error.with_origin(context.origin.as_ref()))?;
        let value = cast_source(value, kind, context)?;
        let cast = cast::cast(value.with_origin(context.origin.clone()), &result, mode, context.eval)?;
        return Ok(Built::Expr(cast.with_sql(sql).with_origin(context.origin.clone())));
    };
    let sql = format!("{called}({}, {})", value.sql, format.sql);
    let format = coerce::argument(&sql, 1, Accept::String, format, context)?;
    let value = check_source(&sql, value, kind, context)?;
    if !value.data_type.is_string() {
        // A date or timestamp needs no pattern.
        let cast = cast::cast(value, &result, mode, context.eval)?;
        return Ok(Built::Expr(cast.with_sql(sql).with_origin(context.origin.clone())));
    }
    let fails = context.eval.ansi && !tries;
    let suggest = match kind {
        "date" => "try_to_date",
        _ => "try_to_timestamp",
    };
    let call = parsing(name, kind, value, format, fails, suggest, result, context);
    Ok(Built::Expr(call.with_sql(sql)))
}

/// Nothing nested is a date or a timestamp.
fn check_nested(sql: &str, value: &TypedExpr, kind: &str) -> Result<()> {
    if !matches!(value.data_type, DataType::Array(..) | DataType::Map(..) | DataType::Struct(_)) {
        return Ok(());
    }
    let number = if kind == "timestamp" { " or \"NUMERIC\"" } else { "" };
    let required = format!("(\"STRING\" or \"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\"{number})");
    Err(crate::quote::unexpected_input_type(sql, 0, required, &value.sql, &value.data_type))
}

/// Without a pattern the functions cast: what is not a date, a timestamp or (for a timestamp) a number goes by its text.
fn cast_source(value: TypedExpr, kind: &str, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let direct = value.data_type.is_datetime()
        || (kind == "time" && matches!(value.data_type, DataType::Time(_)))
        || (kind == "timestamp" && value.data_type.is_numeric());
    if direct || value.data_type.is_string() || !value.data_type.is_atomic() && value.data_type != DataType::Null {
        return Ok(value);
    }
    coerce::implicit(value, &DataType::STRING, context.eval, &context.origin)
}

/// What the functions read by a pattern: text, dates and timestamps (numbers where ANSI mode is off).
fn check_source(sql: &str, value: TypedExpr, kind: &str, context: &BuildContext<'_>) -> Result<TypedExpr> {
    if value.data_type == DataType::Null {
        return coerce::implicit(value, &DataType::STRING, context.eval, &context.origin);
    }
    let fits = value.data_type.is_string()
        || value.data_type.is_datetime()
        || (kind == "time" && matches!(value.data_type, DataType::Time(_)))
        || (kind == "timestamp" && !context.eval.ansi && value.data_type.is_numeric());
    if fits {
        return Ok(value);
    }
    let required = match kind {
        "timestamp" if !context.eval.ansi => {
            "(\"STRING\" or \"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\" or \"NUMERIC\")"
        }
        _ => "(\"STRING\" or \"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\")",
    };
    let error = crate::quote::unexpected_input_type(sql, 0, required.to_string(), &value.sql, &value.data_type);
    Err(error.with_origin(context.origin.as_ref()))
}

fn build_unix_timestamp(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    let called = context.called_as.to_lowercase();
    let least = usize::from(called == "to_unix_timestamp");
    arguments.expect(context.called_as, least, 2)?;
    let format = if arguments.values.len() == 2 { arguments.values.pop() } else { None };
    let format = format.unwrap_or_else(|| TypedExpr::string(DEFAULT_PATTERN));
    let value =
        arguments.values.pop().unwrap_or_else(|| super::current::timestamp(context).with_sql("current_timestamp()"));
    let sql = format!("{called}({}, {})", value.sql, format.sql);
    let format = coerce::argument(&sql, 1, Accept::String, format, context)?;
    let value = check_source(&sql, value, "seconds", context)?;
    if value.data_type.is_string() {
        let fails = context.eval.ansi;
        let call =
            parsing("unix_timestamp", "seconds", value, format, fails, "try_to_timestamp", DataType::Long, context);
        return Ok(Built::Expr(call.with_sql(sql)));
    }
    let instant = coerce::implicit(value, &DataType::Timestamp, context.eval, &context.origin)?;
    let nullable = instant.nullable || format.nullable;
    let call = SparkScalar::call("unix_seconds", unix_seconds, vec![instant], DataType::Long, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

fn build_from_unixtime(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let format = if arguments.values.len() == 2 { arguments.values.pop() } else { None };
    let format = format.unwrap_or_else(|| TypedExpr::string(DEFAULT_PATTERN));
    let Some(value) = arguments.values.pop() else {
        return Err(crate::registry::wrong_num_args("from_unixtime", 1, 2, 0));
    };
    let sql = format!("from_unixtime({}, {})", value.sql, format.sql);
    let value = coerce::argument(&sql, 0, Accept::Long, value, context)?;
    let format = coerce::argument(&sql, 1, Accept::String, format, context)?;
    let values = vec![value, format];
    let call = SparkScalar::call("from_unixtime", format_kernel, values, DataType::STRING, true, context.eval);
    Ok(Built::Expr(call.options(vec!["seconds".into()]).origin(context.origin.clone()).build().with_sql(sql)))
}

fn build_date_format(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (value, format) = arguments.two(context.called_as)?;
    let sql = format!("date_format({}, {})", value.sql, format.sql);
    Ok(Built::Expr(date_format(value, format, context)?.with_sql(sql)))
}

/// `date_format(value, format)`, which `to_char` of a timestamp is as well.
pub fn date_format(value: TypedExpr, format: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let sql = format!("date_format({}, {})", value.sql, format.sql);
    let value = match value.data_type {
        DataType::Time(_) => value,
        _ => coerce::argument(&sql, 0, Accept::Timestamp, value, context)?,
    };
    let format = coerce::argument(&sql, 1, Accept::String, format, context)?;
    let nullable = value.nullable || format.nullable;
    let call =
        SparkScalar::call("date_format", format_kernel, vec![value, format], DataType::STRING, nullable, context.eval);
    Ok(call.origin(context.origin.clone()).build().with_sql(sql))
}

fn same(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    unary(args, |v| Ok(Some(v)))
}

fn unix_seconds(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    unary(args, |v| Ok(Some(v.div_euclid(MICROS_PER_SECOND))))
}

fn unix_millis(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    unary(args, |v| Ok(Some(v.div_euclid(MICROS_PER_MILLI))))
}

fn timestamp_millis(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    unary(args, |v| v.checked_mul(MICROS_PER_MILLI).map(Some).ok_or_else(long_overflow))
}

fn timestamp_seconds(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    match args.arg_types.first() {
        Some(DataType::Decimal(_, scale)) => {
            let values = array.as_primitive::<Decimal128Type>();
            let scale = *scale;
            let one = |v: i128| {
                if scale <= 6 {
                    return v.checked_mul(10i128.pow(6 - scale.max(0) as u32)).and_then(|m| i64::try_from(m).ok());
                }
                let unit = 10i128.pow(scale as u32 - 6);
                // Spark refuses to lose digits below a microsecond.
                if v % unit == 0 { i64::try_from(v / unit).ok() } else { None }
            };
            let micros = values
                .iter()
                .map(|v| v.map(|v| one(v).ok_or_else(|| rounding_needed(v, scale, unit_of(scale)))).transpose())
                .collect::<Result<Int64Array>>()?;
            finish(args, micros)
        }
        Some(DataType::Float | DataType::Double) => {
            let doubles = arrow::compute::cast(&array, &arrow::datatypes::DataType::Float64)
                .map_err(crate::scalar::from_arrow)?;
            let micros = doubles
                .as_primitive::<Float64Type>()
                .iter()
                .map(|v| v.filter(|v| v.is_finite()).map(|v| (v * MICROS_PER_SECOND as f64) as i64))
                .collect();
            finish(args, micros)
        }
        _ => unary(args, |v| v.checked_mul(MICROS_PER_SECOND).map(Some).ok_or_else(long_overflow)),
    }
}

fn unit_of(scale: i8) -> i128 {
    10i128.pow((i32::from(scale) - 6).max(0) as u32)
}

/// What Java says when digits would be lost or the number does not fit.
fn rounding_needed(value: i128, _: i8, unit: i128) -> SparkError {
    let message = if value % unit != 0 { "Rounding necessary" } else { "Overflow" };
    SparkError::java(JavaException::Arithmetic, message)
}

/// `to_utc_timestamp` and `from_utc_timestamp`: the wall clock of one zone read as another's.
fn shift_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (values, names) = (longs(args, 0)?, view::strings(args, 1)?);
    let from_utc = args.option(0) == "from";
    let mut last: Option<(String, Zone)> = None;
    let mut out = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        let (Some(value), Some(name)) = (values.get(row), names.get(row)) else {
            out.push(None);
            continue;
        };
        let zone = zone_of(name, &mut last)?;
        out.push(Some(if from_utc { zone.to_local(value) } else { zone.to_utc(value).ok_or_else(long_overflow)? }));
    }
    finish(args, Int64Array::from(out))
}

/// The zone of that id, kept while it does not change. Errors with `INVALID_TIMEZONE`.
fn zone_of(name: &str, last: &mut Option<(String, Zone)>) -> Result<Zone> {
    if let Some((known, zone)) = last
        && known == name
    {
        return Ok(*zone);
    }
    let tz = parse_zone(name).ok_or_else(|| SparkError::new("INVALID_TIMEZONE", [("timeZone", name.to_string())]))?;
    let zone = Zone::new(&tz);
    *last = Some((name.to_string(), zone));
    Ok(zone)
}

fn build_shift(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let called = context.called_as.to_lowercase();
    let (value, zone) = arguments.two(context.called_as)?;
    let sql = format!("{called}({}, {})", value.sql, zone.sql);
    let value = coerce::argument(&sql, 0, Accept::Timestamp, value, context)?;
    let zone = coerce::argument(&sql, 1, Accept::String, zone, context)?;
    let (name, option) = match called.as_str() {
        "from_utc_timestamp" => ("from_utc_timestamp", "from"),
        _ => ("to_utc_timestamp", "to"),
    };
    let nullable = value.nullable || zone.nullable;
    let call = SparkScalar::call(name, shift_kernel, vec![value, zone], DataType::Timestamp, nullable, context.eval);
    Ok(Built::Expr(call.options(vec![option.into()]).origin(context.origin.clone()).build().with_sql(sql)))
}

fn convert_timezone_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (sources, targets, values) = (view::strings(args, 0)?, view::strings(args, 1)?, longs(args, 2)?);
    let (mut last_source, mut last_target) = (None, None);
    let mut out = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        let (Some(source), Some(target), Some(value)) = (sources.get(row), targets.get(row), values.get(row)) else {
            out.push(None);
            continue;
        };
        let instant = zone_of(source, &mut last_source)?.to_utc(value).ok_or_else(long_overflow)?;
        out.push(Some(zone_of(target, &mut last_target)?.to_local(instant)));
    }
    finish(args, Int64Array::from(out))
}

fn build_convert_timezone(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    if arguments.values.len() == 2 {
        let zone = TypedExpr::string(context.eval.time_zone_id.clone()).with_sql("current_timezone()");
        arguments.values.insert(0, zone);
    }
    let texts: Vec<&str> = arguments.values.iter().map(|v| v.sql.as_str()).collect();
    let sql = format!("convert_timezone({})", texts.join(", "));
    let accepts = [Accept::String, Accept::String, Accept::TimestampNtz];
    let values = coerce::arguments(&sql, &accepts, arguments.values, context)?;
    let nullable = values.iter().any(|v| v.nullable);
    let call = SparkScalar::call(
        "convert_timezone",
        convert_timezone_kernel,
        values,
        DataType::TimestampNtz,
        nullable,
        context.eval,
    );
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

macro_rules! custom {
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
macro_rules! plain {
    ($name:literal, $accept:expr, $returns:expr, $kernel:expr, $nulls:expr, $usage:literal, $sql:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Scalar,
            group: "datetime_funcs",
            parameters: &[],
            build: Build::Signature(Signature::new(&[$accept], Returns::Is($returns), $kernel as Kernel).nulls($nulls)),
            usage: $usage,
            examples: &[($sql, $result)],
            since: "3.1.0",
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    custom!(
        "to_date",
        build_to,
        "to_date(date_str[, fmt]) - The date that a text holds.",
        "SELECT to_date('2016-12-31', 'yyyy-MM-dd')",
        "2016-12-31",
        "1.5.0"
    ),
    custom!(
        "try_to_date",
        build_to,
        "try_to_date(date_str[, fmt]) - As to_date, with NULL for what is not a date.",
        "SELECT try_to_date('foo', 'yyyy-MM-dd')",
        "NULL",
        "4.0.0"
    ),
    custom!(
        "to_timestamp",
        build_to,
        "to_timestamp(timestamp_str[, fmt]) - The timestamp that a text holds.",
        "SELECT to_timestamp('2016-12-31', 'yyyy-MM-dd')",
        "2016-12-31 00:00:00",
        "2.2.0"
    ),
    custom!(
        "to_timestamp_ltz",
        build_to,
        "to_timestamp_ltz(timestamp_str[, fmt]) - The timestamp with local time zone that a text holds.",
        "SELECT to_timestamp_ltz('2016-12-31')",
        "2016-12-31 00:00:00",
        "3.4.0"
    ),
    custom!(
        "to_timestamp_ntz",
        build_to,
        "to_timestamp_ntz(timestamp_str[, fmt]) - The timestamp without time zone that a text holds.",
        "SELECT to_timestamp_ntz('2016-12-31')",
        "2016-12-31 00:00:00",
        "3.4.0"
    ),
    custom!(
        "try_to_timestamp",
        build_to,
        "try_to_timestamp(timestamp_str[, fmt]) - As to_timestamp, with NULL for what is not one.",
        "SELECT try_to_timestamp('foo')",
        "NULL",
        "3.5.0"
    ),
    custom!(
        "to_time",
        build_to,
        "to_time(str[, fmt]) - The time of day that a text holds.",
        "SELECT to_time('00:12:00')",
        "00:12:00",
        "4.1.0"
    ),
    custom!(
        "try_to_time",
        build_to,
        "try_to_time(str[, fmt]) - As to_time, with NULL for what is not one.",
        "SELECT try_to_time('foo')",
        "NULL",
        "4.1.0"
    ),
    custom!(
        "unix_timestamp",
        build_unix_timestamp,
        "unix_timestamp([timeExp[, fmt]]) - Seconds since 1970-01-01 00:00:00 UTC.",
        "SELECT unix_timestamp('2016-04-08', 'yyyy-MM-dd') - unix_timestamp('2016-04-07', 'yyyy-MM-dd')",
        "86400",
        "1.5.0"
    ),
    custom!(
        "to_unix_timestamp",
        build_unix_timestamp,
        "to_unix_timestamp(timeExp[, fmt]) - Seconds since 1970-01-01 00:00:00 UTC.",
        "SELECT to_unix_timestamp('2016-04-08', 'yyyy-MM-dd') - to_unix_timestamp('2016-04-07', 'yyyy-MM-dd')",
        "86400",
        "1.6.0"
    ),
    custom!(
        "from_unixtime",
        build_from_unixtime,
        "from_unixtime(unix_time[, fmt]) - The text of a number of seconds since the epoch.",
        "SELECT length(from_unixtime(0))",
        "19",
        "1.5.0"
    ),
    custom!(
        "date_format",
        build_date_format,
        "date_format(timestamp, fmt) - The text of a date or timestamp by a pattern.",
        "SELECT date_format('2016-04-08', 'y')",
        "2016",
        "1.5.0"
    ),
    custom!(
        "from_utc_timestamp",
        build_shift,
        "from_utc_timestamp(timestamp, timezone) - Reads the timestamp as UTC and shows it in timezone.",
        "SELECT from_utc_timestamp('2016-08-31', 'Asia/Seoul')",
        "2016-08-31 09:00:00",
        "1.5.0"
    ),
    custom!(
        "to_utc_timestamp",
        build_shift,
        "to_utc_timestamp(timestamp, timezone) - Reads the timestamp as of timezone and shows it in UTC.",
        "SELECT to_utc_timestamp('2016-08-31', 'Asia/Seoul')",
        "2016-08-30 15:00:00",
        "1.5.0"
    ),
    custom!(
        "convert_timezone",
        build_convert_timezone,
        "convert_timezone([sourceTz, ]targetTz, sourceTs) - Moves a timestamp without time zone from one zone to another.",
        "SELECT convert_timezone('Europe/Brussels', 'America/Los_Angeles', TIMESTAMP_NTZ'2021-12-06 00:00:00')",
        "2021-12-05 15:00:00",
        "3.4.0"
    ),
    plain!(
        "unix_date",
        Accept::Date,
        SimpleType::Integer,
        same,
        Nulls::IfAny,
        "unix_date(date) - Days since 1970-01-01.",
        "SELECT unix_date(DATE'1970-01-02')",
        "1"
    ),
    plain!(
        "unix_seconds",
        Accept::Timestamp,
        SimpleType::Long,
        unix_seconds,
        Nulls::IfAny,
        "unix_seconds(timestamp) - Seconds since 1970-01-01 00:00:00 UTC.",
        "SELECT unix_seconds(TIMESTAMP'1970-01-01 00:00:01Z')",
        "1"
    ),
    plain!(
        "unix_millis",
        Accept::Timestamp,
        SimpleType::Long,
        unix_millis,
        Nulls::IfAny,
        "unix_millis(timestamp) - Milliseconds since 1970-01-01 00:00:00 UTC.",
        "SELECT unix_millis(TIMESTAMP'1970-01-01 00:00:01Z')",
        "1000"
    ),
    plain!(
        "unix_micros",
        Accept::Timestamp,
        SimpleType::Long,
        same,
        Nulls::IfAny,
        "unix_micros(timestamp) - Microseconds since 1970-01-01 00:00:00 UTC.",
        "SELECT unix_micros(TIMESTAMP'1970-01-01 00:00:01Z')",
        "1000000"
    ),
    plain!(
        "timestamp_seconds",
        Accept::Numeric,
        SimpleType::Timestamp,
        timestamp_seconds,
        Nulls::IfAny,
        "timestamp_seconds(seconds) - The timestamp that many seconds after the epoch.",
        "SELECT unix_micros(timestamp_seconds(1.5))",
        "1500000"
    ),
    plain!(
        "timestamp_millis",
        Accept::Integral,
        SimpleType::Timestamp,
        timestamp_millis,
        Nulls::IfAny,
        "timestamp_millis(milliseconds) - The timestamp that many milliseconds after the epoch.",
        "SELECT unix_micros(timestamp_millis(1))",
        "1000"
    ),
    plain!(
        "timestamp_micros",
        Accept::Integral,
        SimpleType::Timestamp,
        same,
        Nulls::IfAny,
        "timestamp_micros(microseconds) - The timestamp that many microseconds after the epoch.",
        "SELECT unix_micros(timestamp_micros(1))",
        "1"
    ),
    plain!(
        "date_from_unix_date",
        Accept::Integer,
        SimpleType::Date,
        same,
        Nulls::IfAny,
        "date_from_unix_date(days) - The date that many days after 1970-01-01.",
        "SELECT date_from_unix_date(1)",
        "1970-01-02"
    ),
];
