//! Windows of time that rows fall into: what `window`, `session_window` and `window_time` compute for one row. The
//! analyzer makes columns of them; see its `relation::time_window`.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Field, Fields};
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError, StructField};

use super::calendar::MICROS_PER_DAY;
use super::vector::{as_longs, long_overflow, longs};
use crate::coerce;
use crate::fold::fold;
use crate::interval::multi_units::parse_calendar;
use crate::quote;
use crate::registry::{Build, BuildContext, Function, FunctionKind, wrong_num_args};
use crate::scalar::{ScalarArgs, SparkScalar, from_arrow};
use crate::signature::Accept;
use crate::typed::TypedExpr;
use crate::types;

/// More windows than this for one row would be a mistake.
const OVERLAP_MAX: i64 = 1_000_000;

/// `STRUCT<start, end>` of timestamps of one type.
fn window_type(of: &DataType) -> DataType {
    let field = |name: &str| StructField::new(name, of.clone(), true);
    DataType::structure(vec![field("start"), field("end")])
}

/// The type of the timestamps of a column of windows.
fn timestamps_of(window: &DataType) -> Option<&DataType> {
    let DataType::Struct(fields) = window else { return None };
    match &fields.fields[..] {
        [start, end] if start.name == "start" && end.name == "end" && start.data_type == end.data_type => {
            matches!(start.data_type, DataType::Timestamp | DataType::TimestampNtz).then_some(&start.data_type)
        }
        _ => None,
    }
}

/// Structs of starts and ends (in microseconds) of the type `window`.
fn structs(window: &DataType, starts: Int64Array, ends: Int64Array, nulls: Option<NullBuffer>) -> Result<ArrayRef> {
    let ArrowType::Struct(fields) = types::to_arrow(window) else {
        return Err(SparkError::internal("windows are structs"));
    };
    let columns = fields
        .iter()
        .zip([starts, ends])
        .map(|(field, values)| arrow::compute::cast(&values, field.data_type()).map_err(from_arrow));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(fields, columns, nulls).map_err(from_arrow)?))
}

/// Start of the latest window that begins at or before `time`.
fn latest_start(time: i64, slide: i64, origin: i64) -> Option<i64> {
    time.checked_sub(time.checked_sub(origin)?.rem_euclid(slide))
}

fn number(args: &ScalarArgs<'_>, index: usize) -> Result<i64> {
    args.option(index).parse().map_err(|_| SparkError::internal("a window without its size"))
}

/// The one window of each time, where windows do not overlap.
fn tumbling(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (size, origin) = (number(args, 0)?, number(args, 2)?);
    let starts = unary_longs(args, |time| latest_start(time, size, origin))?;
    let ends: Int64Array = starts.iter().map(|start| start.and_then(|s| s.checked_add(size))).collect();
    let nulls = starts.nulls().cloned();
    structs(args.return_type, starts, ends, nulls)
}

fn unary_longs(args: &ScalarArgs<'_>, f: impl Fn(i64) -> Option<i64>) -> Result<Int64Array> {
    let times = longs(args, 0)?;
    let one = |row: usize| times.get(row).map(|time| f(time).ok_or_else(long_overflow)).transpose();
    (0..args.rows).map(one).collect()
}

/// All windows of each time, latest first.
fn sliding(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (size, slide, origin) = (number(args, 0)?, number(args, 1)?, number(args, 2)?);
    let times = longs(args, 0)?;
    let (mut starts, mut lengths) = (vec![], vec![]);
    for row in 0..args.rows {
        let before = starts.len();
        if let Some(time) = times.get(row) {
            let mut start = latest_start(time, slide, origin).ok_or_else(long_overflow)?;
            while start.checked_add(size).is_some_and(|end| time < end) {
                starts.push(start);
                start = start.checked_sub(slide).ok_or_else(long_overflow)?;
            }
        }
        lengths.push(starts.len() - before);
    }
    let DataType::Array(row_type, _) = args.return_type else {
        return Err(SparkError::internal("sliding windows are lists"));
    };
    let DataType::Struct(row_fields) = row_type.as_ref() else {
        return Err(SparkError::internal("sliding windows are lists of rows"));
    };
    let window = row_fields.fields.first().map_or(DataType::Null, |f| f.data_type.clone());
    let ends = Int64Array::from_iter_values(starts.iter().map(|start| start + size));
    let windows = structs(&window, Int64Array::from(starts), ends, None)?;
    let ArrowType::List(item) = args.arrow_type() else {
        return Err(SparkError::internal("sliding windows are lists"));
    };
    let fields: Fields = match item.data_type() {
        ArrowType::Struct(fields) => fields.clone(),
        other => vec![Field::new("window", other.clone(), true)].into(),
    };
    let rows = StructArray::try_new(fields, vec![windows], None).map_err(from_arrow)?;
    let lists = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), Arc::new(rows), None);
    Ok(Arc::new(lists.map_err(from_arrow)?))
}

/// A window from its start and end; NULL unless the end is later.
fn bounded(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (starts, ends) = (as_longs(&args.array(0)?)?, as_longs(&args.array(1)?)?);
    let later = starts.iter().zip(&ends).map(|(start, end)| start.zip(end).is_some_and(|(start, end)| start < end));
    let nulls = NullBuffer::from_iter(later);
    structs(args.return_type, starts, ends, Some(nulls))
}

/// The last microsecond of each window.
fn last_moment(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let windows = args.array(0)?;
    let windows = windows.as_struct_opt().ok_or_else(|| SparkError::internal("windows are structs"))?;
    let ends = as_longs(windows.column(1))?;
    let one = |(row, end): (usize, Option<i64>)| end.filter(|_| windows.is_valid(row)).map(|end| end - 1);
    super::vector::finish(args, ends.iter().enumerate().map(one).collect())
}

/// A use of `window`, before it becomes a column.
pub struct Sliced {
    /// A window, or where they overlap an array of structs of one
    pub typed: TypedExpr,
    pub window: DataType,
    pub overlaps: bool,
}

/// `window(time, size[, slide[, origin]])`
pub fn window(context: &BuildContext<'_>, mut values: Vec<TypedExpr>) -> Result<Sliced> {
    if !(2..=4).contains(&values.len()) {
        return Err(wrong_num_args("window", 2, 4, values.len()));
    }
    let durations = values.split_off(1).iter().map(duration).collect::<Result<Vec<_>>>();
    let durations = durations.map_err(|error| error.with_origin(context.origin.as_ref()))?;
    let time = values.pop().ok_or_else(|| wrong_num_args("window", 2, 4, 0))?;
    let size = durations.first().copied().unwrap_or_default();
    let slide = durations.get(1).copied().unwrap_or(size);
    let origin = durations.get(2).copied().unwrap_or(0);
    let sql = format!("window({}, {size}, {slide}, {origin})", time.sql);
    let time = time_argument(&sql, time, context)?;
    check_sizes(&sql, size, slide, origin).map_err(|error| error.with_origin(context.origin.as_ref()))?;
    let window = window_type(&time.data_type);
    let overlaps = slide != size;
    let (kernel, result): (crate::scalar::Kernel, DataType) = if overlaps {
        let row = DataType::structure(vec![StructField::new("window", window.clone(), true)]);
        (sliding, DataType::array(row, false))
    } else {
        (tumbling, window.clone())
    };
    let options = [size, slide, origin].iter().map(ToString::to_string).collect();
    let call = SparkScalar::call("window", kernel, vec![time], result, true, context.eval).options(options);
    Ok(Sliced { typed: call.origin(context.origin.clone()).build().with_sql(sql), window, overlaps })
}

/// Microseconds of a literal: an integer, or the text of an interval below a month.
fn duration(value: &TypedExpr) -> Result<i64> {
    let literal = match fold(value)? {
        Some(literal) if value.is_foldable() => literal,
        _ => return Err(SparkError::of("_LEGACY_ERROR_TEMP_1207")),
    };
    match literal {
        ScalarValue::Int32(Some(micros)) => Ok(micros.into()),
        ScalarValue::Int64(Some(micros)) if value.data_type == DataType::Long => Ok(micros),
        ScalarValue::Utf8(Some(text)) => {
            let unreadable = |_| SparkError::new("CANNOT_PARSE_INTERVAL", [("intervalString", format!("'{text}'"))]);
            let interval = parse_calendar(&text).map_err(unreadable)?;
            if interval.months != 0 {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_3231", [("interval", text)]));
            }
            let days = i64::from(interval.days).checked_mul(MICROS_PER_DAY);
            days.and_then(|days| days.checked_add(interval.microseconds)).ok_or_else(long_overflow)
        }
        _ => Err(SparkError::of("_LEGACY_ERROR_TEMP_1207")),
    }
}

/// A timestamp, or the last moment of a window.
fn time_argument(sql: &str, time: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    if timestamps_of(&time.data_type).is_some() {
        return window_time(context, time);
    }
    match coerce::argument(sql, 0, Accept::AnyTimestamp, time.clone(), context) {
        Ok(time) => Ok(time),
        Err(_) => {
            let required = "(\"(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)\" or \"STRUCT<start: TIMESTAMP, end: \
                            TIMESTAMP>\" or \"STRUCT<start: TIMESTAMP_NTZ, end: TIMESTAMP_NTZ>\")";
            let error = quote::unexpected_input_type(sql, 0, required.to_string(), &time.sql, &time.data_type);
            Err(error.with_origin(context.origin.as_ref()))
        }
    }
}

fn check_sizes(sql: &str, size: i64, slide: i64, origin: i64) -> Result<()> {
    for (name, value) in [("window_duration", size), ("slide_duration", slide)] {
        if value <= 0 {
            let parameters = [
                ("exprName", quote::sql_id(name)),
                ("valueRange", format!("(0, {}]", i64::MAX)),
                ("currentValue", format!("{value}L")),
            ];
            return Err(quote::mismatch("VALUE_OUT_OF_RANGE", sql, parameters));
        }
    }
    let violated = |left: &str, value: i64, constraint: &str, right: &str, bound: i64| {
        let parameters = [
            ("leftExprName", quote::sql_id(left)),
            ("leftExprValue", format!("{value}L")),
            ("constraint", constraint.to_string()),
            ("rightExprName", quote::sql_id(right)),
            ("rightExprValue", format!("{bound}L")),
        ];
        Err(quote::mismatch("PARAMETER_CONSTRAINT_VIOLATION", sql, parameters))
    };
    if slide > size {
        return violated("slide_duration", slide, "<=", "window_duration", size);
    }
    if origin.saturating_abs() >= slide {
        return violated("abs(start_time)", origin.saturating_abs(), "<", "slide_duration", slide);
    }
    if size / slide > OVERLAP_MAX {
        return Err(SparkError::unsupported(format!("more than {OVERLAP_MAX} windows for a row")));
    }
    Ok(())
}

/// The time of `session_window(time, gap)` and the gap as an interval, whose sum ends the session.
pub fn session_arguments(context: &BuildContext<'_>, mut values: Vec<TypedExpr>) -> Result<(TypedExpr, TypedExpr)> {
    let (Some(gap), Some(time), true) = (values.pop(), values.pop(), values.is_empty()) else {
        return Err(wrong_num_args("session_window", 2, 2, values.len()));
    };
    let sql = format!("session_window({}, {})", time.sql, gap.sql);
    let time = time_argument(&sql, time, context)?;
    if !gap.data_type.is_string() && gap.data_type != DataType::CalendarInterval {
        let given = [("dt", class_name(&gap.data_type))];
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_1040", given).with_origin(context.origin.as_ref()));
    }
    let gap = coerce::implicit(gap, &DataType::CalendarInterval, context.eval, &context.origin)?;
    Ok((time, gap))
}

/// The type's class in Spark, as its older messages show types.
fn class_name(data_type: &DataType) -> String {
    match data_type {
        DataType::DayTimeInterval(start, end) => format!("DayTimeIntervalType({},{})", *start as u8, *end as u8),
        DataType::YearMonthInterval(start, end) => format!("YearMonthIntervalType({},{})", *start as u8, *end as u8),
        other => {
            let name = other.simple_string();
            let name = if name == "int" { "integer".to_string() } else { name.replace("bigint", "long") };
            let mut letters = name.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase()).unwrap_or_default();
            format!("{first}{}Type", letters.as_str())
        }
    }
}

/// A window of the type that `session_window` and the merging of sessions make.
pub fn between(context: &BuildContext<'_>, start: TypedExpr, end: TypedExpr) -> (TypedExpr, DataType) {
    let window = window_type(&start.data_type);
    let sql = format!("session_window({}, {})", start.sql, end.sql);
    let call = SparkScalar::call("session_window", bounded, vec![start, end], window.clone(), true, context.eval);
    (call.build().with_sql(sql), window)
}

/// `window_time(window)`
pub fn window_time(context: &BuildContext<'_>, window: TypedExpr) -> Result<TypedExpr> {
    let sql = format!("window_time({})", window.sql);
    let Some(timestamp) = timestamps_of(&window.data_type).cloned() else {
        let error = quote::unexpected_input_type(&sql, 0, "\"STRUCT\"".to_string(), &window.sql, &window.data_type);
        return Err(error.with_origin(context.origin.as_ref()));
    };
    let call = SparkScalar::call("window_time", last_moment, vec![window], timestamp, true, context.eval);
    Ok(call.origin(context.origin.clone()).build().with_sql(sql))
}

const fn entry(
    name: &'static str,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "datetime_funcs",
        parameters: &[],
        build: Build::Analyzer,
        usage,
        examples,
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "window",
        "window(time, size[, slide[, origin]]) - The windows of time that a row falls into, as rows of their own.",
        &[(
            "SELECT count(*) FROM VALUES (TIMESTAMP'2021-01-01 00:01:00') AS t(ts) GROUP BY window(ts, '5 minutes')",
            "1",
        )],
        "2.0.0",
    ),
    entry(
        "session_window",
        "session_window(time, gap) - The session of a row: in a GROUP BY, rows without a gap between them are one.",
        &[(
            "SELECT count(*) FROM VALUES (TIMESTAMP'2021-01-01 00:01:00') AS t(ts) GROUP BY session_window(ts, '5 minutes')",
            "1",
        )],
        "3.2.0",
    ),
    entry(
        "window_time",
        "window_time(window) - The last moment of a window.",
        &[(
            "SELECT window_time(window(ts, '5 minutes')) FROM VALUES (TIMESTAMP'2021-01-01 00:01:00') AS t(ts)",
            "2021-01-01 00:04:59.999999",
        )],
        "3.4.0",
    ),
];
