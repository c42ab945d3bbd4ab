//! `+ - * /`, unary minus, `abs` and `sign` where a date, time or interval takes part.
//!
//! The operators of numbers ask [`binary`] and [`unary`] first; `None` means that no such type is there.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, IntervalMonthDayNanoArray};
use arrow::datatypes::{Decimal128Type, Float64Type};
use firesteel_plan::{DataType, DayTimeField, Result, SparkError, YearMonthField};

use super::value::{CalendarInterval, interval_overflow};
use crate::coerce;
use crate::datetime::arithmetic::{add_to_timestamp, date_add};
use crate::datetime::calendar::{MICROS_PER_DAY, NANOS_PER_DAY, add_months};
use crate::datetime::fields::extract_days;
use crate::datetime::vector::{
    binary as binary_longs, calendars, finish, long_overflow, longs, overflow, unary as unary_longs,
};
use crate::datetime::zone::Zone;
use crate::quote;
use crate::registry::BuildContext;
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;

/// What happens where a result does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOverflow {
    Fail,
    Null,
}

fn is_temporal(data_type: &DataType) -> bool {
    data_type.is_datetime() || data_type.is_interval() || matches!(data_type, DataType::Time(_))
}

fn widest_day_time(a: &DataType, b: &DataType) -> DataType {
    match (a, b) {
        (DataType::DayTimeInterval(s1, e1), DataType::DayTimeInterval(s2, e2)) => {
            DataType::DayTimeInterval(*s1.min(s2), *e1.max(e2))
        }
        (DataType::YearMonthInterval(s1, e1), DataType::YearMonthInterval(s2, e2)) => {
            DataType::YearMonthInterval(*s1.min(s2), *e1.max(e2))
        }
        _ => a.clone(),
    }
}

struct Operation<'a, 'b> {
    context: &'a BuildContext<'b>,
    symbol: &'a str,
    on_overflow: OnOverflow,
}

impl Operation<'_, '_> {
    fn call(
        &self,
        name: &'static str,
        kernel: Kernel,
        args: Vec<TypedExpr>,
        result: DataType,
        sql: String,
    ) -> TypedExpr {
        let tolerates = self.on_overflow == OnOverflow::Null;
        let nullable = tolerates || args.iter().any(|a| a.nullable);
        let options = vec![self.symbol.to_string(), if tolerates { "null" } else { "fail" }.to_string()];
        let call = SparkScalar::call(name, kernel, args, result, nullable, self.context.eval);
        call.options(options).origin(self.context.origin.clone()).build().with_sql(sql)
    }

    fn implicit(&self, value: TypedExpr, to: &DataType) -> Result<TypedExpr> {
        coerce::implicit(value, to, self.context.eval, &self.context.origin)
    }
}

/// The operator applied to two operands, one of which is a date, time or interval; `None` where neither is.
/// `symbol`: `+`, `-`, `*` or `/`. `Ok(None)` also where the pair has no meaning, so that the caller reports it.
pub fn binary(
    symbol: &str,
    left: &TypedExpr,
    right: &TypedExpr,
    on_overflow: OnOverflow,
    context: &BuildContext<'_>,
) -> Result<Option<TypedExpr>> {
    if !is_temporal(&left.data_type) && !is_temporal(&right.data_type) {
        return Ok(None);
    }
    let operation = Operation { context, symbol, on_overflow };
    match symbol {
        "+" => add(&operation, left, right),
        "-" => subtract(&operation, left, right),
        "*" => multiply(&operation, left, right),
        "/" => divide(&operation, left, right),
        _ => Ok(None),
    }
}

fn add(op: &Operation<'_, '_>, left: &TypedExpr, right: &TypedExpr) -> Result<Option<TypedExpr>> {
    use DataType as T;
    match (&left.data_type, &right.data_type) {
        (l, r) if l.is_interval() && (r.is_datetime() || matches!(r, T::Time(_))) => add(op, right, left),
        (l, T::Date) if !l.is_interval() && !is_temporal(l) => add(op, right, left),
        (T::Date, r) if r.is_integral() || r.is_string() || *r == T::Null || r.is_fractional() => {
            date_plus(op, "date_add", left, right)
        }
        (T::String(_), r) | (r, T::String(_)) if r.is_interval() => with_text(op, left, right),
        (T::Null, r) | (r, T::Null) if r.is_interval() => with_text(op, left, right),
        _ => add_interval(op, left, right),
    }
}

/// Text or NULL beside an interval is read as an interval of that type.
fn with_text(op: &Operation<'_, '_>, left: &TypedExpr, right: &TypedExpr) -> Result<Option<TypedExpr>> {
    let wanted = if left.data_type.is_interval() { &left.data_type } else { &right.data_type };
    let (left, right) = (op.implicit(left.clone(), wanted)?, op.implicit(right.clone(), wanted)?);
    add_interval(op, &left, &right)
}

fn date_plus(
    op: &Operation<'_, '_>,
    name: &'static str,
    date: &TypedExpr,
    days: &TypedExpr,
) -> Result<Option<TypedExpr>> {
    let sql = format!("{name}({}, {})", date.sql, days.sql);
    let days = match &days.data_type {
        DataType::Byte | DataType::Short | DataType::Integer => days.clone(),
        DataType::Null => op.implicit(days.clone(), &DataType::Integer)?,
        _ => {
            let required = "(\"INT\" or \"SMALLINT\" or \"TINYINT\")".to_string();
            let error = quote::unexpected_input_type(&sql, 1, required, &days.sql, &days.data_type);
            return Err(error.with_origin(op.context.origin.as_ref()));
        }
    };
    Ok(Some(date_add(name, date.clone(), days, op.context).with_sql(sql)))
}

/// `left ± right` where right is an interval, or both are.
fn add_interval(op: &Operation<'_, '_>, left: &TypedExpr, right: &TypedExpr) -> Result<Option<TypedExpr>> {
    use DataType as T;
    let plain = format!("{} {} {}", left.sql, op.symbol, right.sql);
    let both = || vec![left.clone(), right.clone()];
    Ok(Some(match (&left.data_type, &right.data_type) {
        (T::Date, T::DayTimeInterval(DayTimeField::Day, DayTimeField::Day)) => {
            let days = extract_days(right.clone(), op.context);
            let days = if op.symbol == "-" { negated(op, days) } else { days };
            date_add("date_add", left.clone(), days, op.context)
        }
        (T::Date, T::DayTimeInterval(..)) => {
            let instant = op.implicit(left.clone(), &T::Timestamp)?;
            op.call("timestampaddinterval", timestamp_interval, vec![instant, right.clone()], T::Timestamp, plain)
        }
        (T::Date, T::YearMonthInterval(..)) => op.call("dateaddyminterval", date_months, both(), T::Date, plain),
        (T::Date, T::CalendarInterval) => op.call("dateaddinterval", date_calendar, both(), T::Date, plain),
        (T::Timestamp | T::TimestampNtz, T::YearMonthInterval(..) | T::DayTimeInterval(..) | T::CalendarInterval) => {
            op.call("timestampaddinterval", timestamp_interval, both(), left.data_type.clone(), plain)
        }
        (T::Time(precision), T::DayTimeInterval(_, end)) => {
            let digits = if *end == DayTimeField::Second { 6 } else { *precision };
            op.call("time_add_interval", time_interval, both(), T::Time(digits.max(*precision)), plain)
        }
        (T::CalendarInterval, T::CalendarInterval) => {
            op.call("add_interval", calendar_sum, both(), T::CalendarInterval, format!("({plain})"))
        }
        (T::YearMonthInterval(..), T::YearMonthInterval(..)) => {
            let result = widest_day_time(&left.data_type, &right.data_type);
            op.call("add_interval", months_sum, both(), result, format!("({plain})"))
        }
        (T::DayTimeInterval(..), T::DayTimeInterval(..)) => {
            let result = widest_day_time(&left.data_type, &right.data_type);
            op.call("add_interval", micros_sum, both(), result, format!("({plain})"))
        }
        _ => return Ok(None),
    }))
}

fn negated(op: &Operation<'_, '_>, days: TypedExpr) -> TypedExpr {
    let sql = format!("(- {})", days.sql);
    op.call("negative_days", negate_longs, vec![days], DataType::Integer, sql)
}

fn subtract(op: &Operation<'_, '_>, left: &TypedExpr, right: &TypedExpr) -> Result<Option<TypedExpr>> {
    use DataType as T;
    let sql = format!("({} - {})", left.sql, right.sql);
    let reads = |t: &T| t.is_string() || *t == T::Null;
    match (&left.data_type, &right.data_type) {
        (l, T::Date) if *l == T::Date || reads(l) => date_difference(op, left, right, sql),
        (T::Date, r) if r.is_string() => date_difference(op, left, right, sql),
        (T::Date, r) if r.is_integral() || r.is_fractional() || *r == T::Null => date_plus(op, "date_sub", left, right),
        (l, r)
            if (timestamp_like(l) || timestamp_like(r))
                && (l.is_datetime() || reads(l))
                && (r.is_datetime() || reads(r)) =>
        {
            let ntz = [l, r].iter().all(|t| matches!(t, T::TimestampNtz | T::Date) || reads(t));
            let to =
                if ntz && (*l == T::TimestampNtz || *r == T::TimestampNtz) { T::TimestampNtz } else { T::Timestamp };
            let args = vec![op.implicit(left.clone(), &to)?, op.implicit(right.clone(), &to)?];
            Ok(Some(op.call("subtracttimestamps", timestamp_difference, args, T::DAY_TIME, sql)))
        }
        (T::Time(_), T::Time(_)) => {
            let result = T::DayTimeInterval(DayTimeField::Hour, DayTimeField::Second);
            let args = vec![left.clone(), right.clone()];
            Ok(Some(op.call("subtracttimes", crate::datetime::make::time_difference, args, result, sql)))
        }
        (T::String(_) | T::Null, r) | (r, T::String(_) | T::Null) if r.is_interval() => with_text(op, left, right),
        _ => add_interval(op, left, right),
    }
}

fn timestamp_like(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp | DataType::TimestampNtz)
}

fn date_difference(
    op: &Operation<'_, '_>,
    left: &TypedExpr,
    right: &TypedExpr,
    sql: String,
) -> Result<Option<TypedExpr>> {
    let args = vec![op.implicit(left.clone(), &DataType::Date)?, op.implicit(right.clone(), &DataType::Date)?];
    if op.context.eval.flag("spark.sql.legacy.interval.enabled", false) {
        return Ok(Some(op.call("subtractdates", calendar_days_between, args, DataType::CalendarInterval, sql)));
    }
    let result = DataType::DayTimeInterval(DayTimeField::Day, DayTimeField::Day);
    Ok(Some(op.call("subtractdates", days_between, args, result, sql)))
}

/// The interval first; the number as it is, or read from text as DOUBLE.
fn interval_and_number(
    op: &Operation<'_, '_>,
    interval: &TypedExpr,
    number: &TypedExpr,
) -> Result<Option<(Vec<TypedExpr>, DataType)>> {
    let number = match &number.data_type {
        t if t.is_numeric() => number.clone(),
        t if t.is_string() || *t == DataType::Null => op.implicit(number.clone(), &DataType::Double)?,
        _ => return Ok(None),
    };
    let (number, result) = match &interval.data_type {
        DataType::CalendarInterval => (op.implicit(number, &DataType::Double)?, DataType::CalendarInterval),
        DataType::YearMonthInterval(..) => {
            (number, DataType::YearMonthInterval(YearMonthField::Year, YearMonthField::Month))
        }
        DataType::DayTimeInterval(..) => (number, DataType::DAY_TIME),
        _ => return Ok(None),
    };
    Ok(Some((vec![interval.clone(), number], result)))
}

fn multiply(op: &Operation<'_, '_>, left: &TypedExpr, right: &TypedExpr) -> Result<Option<TypedExpr>> {
    let (interval, number) = if left.data_type.is_interval() { (left, right) } else { (right, left) };
    let Some((args, result)) = interval_and_number(op, interval, number)? else { return Ok(None) };
    let sql = match interval.data_type {
        DataType::CalendarInterval => format!("multiply_interval({}, {})", interval.sql, number.sql),
        _ => format!("({} * {})", interval.sql, number.sql),
    };
    Ok(Some(op.call("multiply_interval", scale, args, result, sql)))
}

fn divide(op: &Operation<'_, '_>, left: &TypedExpr, right: &TypedExpr) -> Result<Option<TypedExpr>> {
    if !left.data_type.is_interval() {
        return Ok(None);
    }
    let Some((args, result)) = interval_and_number(op, left, right)? else { return Ok(None) };
    let sql = match left.data_type {
        DataType::CalendarInterval => format!("divide_interval({}, {})", left.sql, right.sql),
        _ => format!("({} / {})", left.sql, right.sql),
    };
    Ok(Some(op.call("divide_interval", scale, args, result, sql)))
}

/// `-x`, `abs(x)` or `sign(x)` of an interval; `None` where `child` is not one. `sql` is what Spark shows.
pub fn unary(name: &str, child: &TypedExpr, sql: String, context: &BuildContext<'_>) -> Option<TypedExpr> {
    if !child.data_type.is_interval() {
        return None;
    }
    let op = Operation { context, symbol: name, on_overflow: OnOverflow::Fail };
    let calendar = child.data_type == DataType::CalendarInterval;
    let (kernel, result): (Kernel, DataType) = match name {
        "-" if calendar => (negate_calendar, child.data_type.clone()),
        "-" => (negate_longs, child.data_type.clone()),
        "abs" if !calendar => (abs_longs, child.data_type.clone()),
        "sign" | "signum" if !calendar => (sign_longs, DataType::Double),
        _ => return None,
    };
    let function = match name {
        "-" => "negative_interval",
        "abs" => "abs_interval",
        _ => "sign_interval",
    };
    Some(op.call(function, kernel, vec![child.clone()], result, sql))
}

/// The value, or an overflow error or NULL.
fn fits(args: &ScalarArgs<'_>, value: Option<i64>) -> Result<Option<i64>> {
    match value {
        Some(value) => Ok(Some(value)),
        None if args.option(1) == "null" => Ok(None),
        None => Err(interval_overflow(match args.option(0) {
            "+" => Some("try_add"),
            "-" => Some("try_subtract"),
            _ => None,
        })),
    }
}

fn signed(args: &ScalarArgs<'_>, value: i64) -> Option<i64> {
    if args.option(0) == "-" { value.checked_neg() } else { Some(value) }
}

fn months_sum(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary_longs(args, |a, b| {
        let sum = if args.option(0) == "-" { a - b } else { a + b };
        fits(args, i32::try_from(sum).ok().map(i64::from))
    })
}

fn micros_sum(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary_longs(args, |a, b| fits(args, if args.option(0) == "-" { a.checked_sub(b) } else { a.checked_add(b) }))
}

fn calendar_array(rows: usize, one: impl Fn(usize) -> Result<Option<CalendarInterval>>) -> Result<ArrayRef> {
    let value = |row: usize| one(row)?.map(CalendarInterval::to_arrow).transpose();
    Ok(Arc::new((0..rows).map(value).collect::<Result<IntervalMonthDayNanoArray>>()?))
}

fn calendar_sum(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (a, b) = (calendars(args, 0)?, calendars(args, 1)?);
    let minus = args.option(0) == "-";
    calendar_array(args.rows, |row| {
        let (Some(a), Some(b)) = (a(row), b(row)) else { return Ok(None) };
        let sum = if minus {
            (a.months.checked_sub(b.months), a.days.checked_sub(b.days), a.microseconds.checked_sub(b.microseconds))
        } else {
            (a.months.checked_add(b.months), a.days.checked_add(b.days), a.microseconds.checked_add(b.microseconds))
        };
        match sum {
            (Some(months), Some(days), Some(micros)) => Ok(Some(CalendarInterval::new(months, days, micros))),
            _ => fits(args, None).map(|_| None),
        }
    })
}

fn negate_longs(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let narrow = matches!(args.return_type, DataType::YearMonthInterval(..) | DataType::Integer);
    unary_longs(args, |v| match v.checked_neg() {
        Some(n) if !narrow || i32::try_from(n).is_ok() => Ok(Some(n)),
        _ => Err(interval_overflow(None)),
    })
}

fn negate_calendar(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let get = calendars(args, 0)?;
    calendar_array(args.rows, |row| {
        let Some(v) = get(row) else { return Ok(None) };
        match (v.months.checked_neg(), v.days.checked_neg(), v.microseconds.checked_neg()) {
            (Some(months), Some(days), Some(micros)) => Ok(Some(CalendarInterval::new(months, days, micros))),
            _ => Err(interval_overflow(None)),
        }
    })
}

fn abs_longs(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let narrow = matches!(args.return_type, DataType::YearMonthInterval(..));
    unary_longs(args, |v| match v.checked_abs() {
        Some(n) if !narrow || i32::try_from(n).is_ok() => Ok(Some(n)),
        _ => Err(interval_overflow(None)),
    })
}

fn sign_longs(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let values = longs(args, 0)?;
    let signs: Float64Array = (0..args.rows).map(|row| values.get(row).map(|v| v.signum() as f64)).collect();
    Ok(Arc::new(signs))
}

fn date_months(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary_longs(args, |days, months| Ok(Some(add_months(days, signed(args, months).unwrap_or(0)))))
}

fn date_calendar(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (dates, intervals) = (longs(args, 0)?, calendars(args, 1)?);
    let one = |row: usize| {
        let (Some(days), Some(interval)) = (dates.get(row), intervals(row)) else { return Ok(None) };
        let sign = if args.option(0) == "-" { -1 } else { 1 };
        if interval.microseconds != 0 && args.context.ansi {
            return Err(SparkError::of("INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION"));
        }
        let moved = add_months(days, sign * i64::from(interval.months)) + sign * i64::from(interval.days);
        Ok(Some(moved + sign * (interval.microseconds / MICROS_PER_DAY)))
    };
    finish(args, (0..args.rows).map(one).collect::<Result<_>>()?)
}

fn timestamp_interval(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let zone = Zone::new(&args.context.time_zone);
    let zone = (args.arg_types.first() == Some(&DataType::Timestamp)).then_some(&zone);
    let values = longs(args, 0)?;
    let sign = if args.option(0) == "-" { -1 } else { 1 };
    let moved = |micros: i64, months: i64, days: i64, rest: i64| {
        add_to_timestamp(zone, micros, sign * months, sign * days, rest.wrapping_mul(sign))
            .map(Some)
            .ok_or_else(|| overflow(format!("add an interval to {micros} microseconds")))
    };
    let out = match args.arg_types.get(1) {
        Some(DataType::CalendarInterval) => {
            let get = calendars(args, 1)?;
            let one = |row: usize| match (values.get(row), get(row)) {
                (Some(v), Some(i)) => moved(v, i64::from(i.months), i64::from(i.days), i.microseconds),
                _ => Ok(None),
            };
            (0..args.rows).map(one).collect::<Result<_>>()?
        }
        kind => {
            let months = matches!(kind, Some(DataType::YearMonthInterval(..)));
            let intervals = longs(args, 1)?;
            let one = |row: usize| match (values.get(row), intervals.get(row)) {
                (Some(v), Some(i)) if months => moved(v, i, 0, 0),
                (Some(v), Some(i)) => moved(v, 0, i / MICROS_PER_DAY, i % MICROS_PER_DAY),
                _ => Ok(None),
            };
            (0..args.rows).map(one).collect::<Result<_>>()?
        }
    };
    finish(args, out)
}

fn time_interval(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary_longs(args, |nanos, micros| {
        let moved = signed(args, micros).and_then(|m| m.checked_mul(1000)).and_then(|m| nanos.checked_add(m));
        match moved.filter(|n| (0..NANOS_PER_DAY).contains(n)) {
            Some(nanos) => Ok(Some(nanos)),
            None => {
                let time = crate::datetime::text::format_time(nanos);
                Err(overflow(format!("add {micros} microseconds to TIME '{time}'")))
            }
        }
    })
}

fn timestamp_difference(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let zone = Zone::new(&args.context.time_zone);
    let local = args.arg_types.first() == Some(&DataType::Timestamp);
    // The wall clocks are compared, as Spark does since 3.0.
    let at = |micros: i64| if local { zone.to_local(micros) } else { micros };
    binary_longs(args, |end, start| at(end).checked_sub(at(start)).map(Some).ok_or_else(long_overflow))
}

fn days_between(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    binary_longs(args, |end, start| (end - start).checked_mul(MICROS_PER_DAY).map(Some).ok_or_else(long_overflow))
}

fn calendar_days_between(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    use crate::datetime::calendar::civil_from_days;
    let (ends, starts) = (longs(args, 0)?, longs(args, 1)?);
    calendar_array(args.rows, |row| {
        let (Some(end), Some(start)) = (ends.get(row), starts.get(row)) else { return Ok(None) };
        // As a period: whole months, then days.
        let (a, b) = (civil_from_days(start), civil_from_days(end));
        let mut months = (b.year - a.year) * 12 + i64::from(b.month) - i64::from(a.month);
        if months > 0 && b.day < a.day {
            months -= 1;
        } else if months < 0 && b.day > a.day {
            months += 1;
        }
        let days = end - add_months(start, months);
        Ok(Some(CalendarInterval::new(months as i32, days as i32, 0)))
    })
}

/// An interval times or divided by a number, rounded half up.
fn scale(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let divides = args.option(0) == "/";
    let by_zero = || match args.option(1) {
        "null" => Ok(None),
        _ => Err(SparkError::of("INTERVAL_DIVIDED_BY_ZERO")),
    };
    if args.arg_types.first() == Some(&DataType::CalendarInterval) {
        return scale_calendar(args, divides);
    }
    let months = matches!(args.return_type, DataType::YearMonthInterval(..));
    let fit = |value: Option<i128>| {
        let value = value.and_then(|v| i64::try_from(v).ok()).filter(|v| !months || i32::try_from(*v).is_ok());
        match value {
            Some(value) => Ok(Some(value)),
            None => fits(args, None),
        }
    };
    let intervals = longs(args, 0)?;
    let number = args.array(1)?;
    let out = match args.arg_types.get(1) {
        Some(DataType::Decimal(_, scale)) => {
            let numbers = number.as_primitive::<Decimal128Type>();
            let unit = 10i128.pow((*scale).max(0) as u32);
            let one = |row: usize| match intervals.get(row) {
                Some(_) if numbers.is_null(row) => Ok(None),
                Some(i) if divides && numbers.value(row) == 0 => {
                    let _ = i;
                    by_zero()
                }
                Some(i) if divides => {
                    fit(i128::from(i).checked_mul(unit).and_then(|v| divide_half_up(v, numbers.value(row))))
                }
                Some(i) => fit(i128::from(i).checked_mul(numbers.value(row)).and_then(|v| divide_half_up(v, unit))),
                None => Ok(None),
            };
            (0..args.rows).map(one).collect::<Result<_>>()?
        }
        Some(DataType::Float | DataType::Double) => {
            let doubles = arrow::compute::cast(&number, &arrow::datatypes::DataType::Float64)
                .map_err(crate::scalar::from_arrow)?;
            let numbers = doubles.as_primitive::<Float64Type>();
            let one = |row: usize| match intervals.get(row) {
                Some(i) if !numbers.is_null(row) => {
                    let by = numbers.value(row);
                    if divides && by == 0.0 {
                        return by_zero();
                    }
                    let value = if divides { i as f64 / by } else { i as f64 * by };
                    fit(round_half_up(value))
                }
                _ => Ok(None),
            };
            (0..args.rows).map(one).collect::<Result<_>>()?
        }
        _ => {
            let numbers = longs(args, 1)?;
            let one = |row: usize| match (intervals.get(row), numbers.get(row)) {
                (Some(_), Some(0)) if divides => by_zero(),
                (Some(i), Some(n)) if divides => fit(divide_half_up(i128::from(i), i128::from(n))),
                (Some(i), Some(n)) => fit(i128::from(i).checked_mul(i128::from(n))),
                _ => Ok(None),
            };
            (0..args.rows).map(one).collect::<Result<_>>()?
        }
    };
    finish(args, out)
}

fn divide_half_up(value: i128, by: i128) -> Option<i128> {
    let (quotient, rest) = (value.checked_div(by)?, value.checked_rem(by)?);
    let up = rest.unsigned_abs().checked_mul(2)? >= by.unsigned_abs();
    Some(if up { quotient + value.signum() * by.signum() } else { quotient })
}

/// Half away from zero; `None` for what is not a number or does not fit.
fn round_half_up(value: f64) -> Option<i128> {
    (value.is_finite() && value.abs() < 1e30).then(|| value.round() as i128)
}

fn scale_calendar(args: &ScalarArgs<'_>, divides: bool) -> Result<ArrayRef> {
    let get = calendars(args, 0)?;
    let number = args.array(1)?;
    let numbers = number.as_primitive::<Float64Type>();
    calendar_array(args.rows, |row| {
        let Some(interval) = get(row).filter(|_| !numbers.is_null(row)) else { return Ok(None) };
        let by = numbers.value(row);
        if divides && by == 0.0 {
            return match args.option(1) {
                "null" => Ok(None),
                _ => Err(SparkError::of("INTERVAL_DIVIDED_BY_ZERO")),
            };
        }
        let part = |value: f64| if divides { value / by } else { value * by };
        // What is left of a day goes to the time; what is left of a month is dropped.
        let months = part(f64::from(interval.months));
        let days = part(f64::from(interval.days));
        let micros = part(interval.microseconds as f64) + days.fract() * MICROS_PER_DAY as f64;
        let fits_int = |v: f64| (v.trunc().abs() <= f64::from(i32::MAX)).then(|| v.trunc() as i32);
        match (fits_int(months), fits_int(days), round_half_up(micros).and_then(|m| i64::try_from(m).ok())) {
            (Some(months), Some(days), Some(micros)) => Ok(Some(CalendarInterval::new(months, days, micros))),
            _ => fits(args, None).map(|_| None),
        }
    })
}
