//! `+ - * /` where an operand is a date, timestamp, time or interval.
use firesteel_plan::{DataType, DayTimeField, Result};

use super::{Mode, Operator, call, interval};
use crate::cast::{self, CastMode};
use crate::coerce::{implicit, tightest_common_type};
use crate::quote::unexpected_input_type;
use crate::registry::{self, Arguments, BuildContext, Built};
use crate::typed::TypedExpr;

const DAY: DataType = DataType::DayTimeInterval(DayTimeField::Day, DayTimeField::Day);

/// The expression, or `None` where the rules for numbers (and their errors) apply.
/// `shown` is the text of a call by name.
pub fn build(
    operator: Operator,
    left: &TypedExpr,
    right: &TypedExpr,
    mode: Mode,
    shown: Option<String>,
    context: &BuildContext<'_>,
) -> Result<Option<TypedExpr>> {
    let (l, r) = (left.clone(), right.clone());
    let built = match operator {
        Operator::Add => add(l, r, mode, context)?,
        Operator::Subtract => subtract(l, r, mode, context)?,
        Operator::Multiply => multiply(l, r, mode, context)?,
        Operator::Divide => divide(l, r, mode, context)?,
        Operator::IntegralDivide => integral_divide(l, r, mode, context)?,
        _ => None,
    };
    Ok(built.map(|expr| match shown {
        Some(sql) => expr.with_nullable(true).with_sql(sql),
        None => expr,
    }))
}

fn is_date(t: &DataType) -> bool {
    *t == DataType::Date
}

fn is_timestamp(t: &DataType) -> bool {
    matches!(t, DataType::Timestamp | DataType::TimestampNtz)
}

fn is_day_time(t: &DataType) -> bool {
    matches!(t, DataType::DayTimeInterval(..))
}

fn is_year_month(t: &DataType) -> bool {
    matches!(t, DataType::YearMonthInterval(..))
}

fn is_calendar(t: &DataType) -> bool {
    *t == DataType::CalendarInterval
}

fn add(left: TypedExpr, right: TypedExpr, mode: Mode, context: &BuildContext<'_>) -> Result<Option<TypedExpr>> {
    let (l, r) = (left.data_type.clone(), right.data_type.clone());
    if (l.is_interval() && r.is_interval()
        || l.is_interval() && r == DataType::Null
        || l == DataType::Null && r.is_interval())
        && let Some(to) = tightest_common_type(&l, &r, context.eval)
    {
        return intervals(Operator::Add, left, right, &to, mode, context).map(Some);
    }
    // The interval on the right
    if l.is_interval() && !r.is_interval() || l == DataType::Null && r.is_datetime() {
        return add(right, left, mode, context);
    }
    if r.is_interval() {
        // Of two kinds of intervals, the months are what cannot be added to.
        let (value, step) = if l.is_interval() && is_year_month(&r) { (right, left) } else { (left, right) };
        return plus_interval(value, step, 1, mode, context);
    }
    // NULL beside a date or timestamp is an interval.
    if l.is_datetime() && r == DataType::Null {
        let right = implicit(right, &DataType::DAY_TIME, context.eval, &context.origin)?;
        return plus_interval(left, right, 1, mode, context);
    }
    // `date_add` says what it does not take.
    let pair = match (is_date(&l), is_date(&r)) {
        (true, _) => vec![left, beside_date(right, context)?],
        (false, true) if l.is_string() && context.eval.ansi => vec![beside_date(left, context)?, right],
        (false, true) => vec![right, beside_date(left, context)?],
        _ => return Ok(None),
    };
    by_name("date_add", pair, context).map(Some)
}

/// Text beside a date is a date in ANSI sessions, else a number.
fn beside_date(value: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let to = if context.eval.ansi { DataType::Date } else { DataType::Double };
    match value.data_type.is_string() {
        true => implicit(value, &to, context.eval, &context.origin),
        false => Ok(value),
    }
}

fn subtract(left: TypedExpr, right: TypedExpr, mode: Mode, context: &BuildContext<'_>) -> Result<Option<TypedExpr>> {
    let (l, r) = (left.data_type.clone(), right.data_type.clone());
    if (l.is_interval() && r.is_interval()
        || l == DataType::Null && r.is_interval()
        || l.is_interval() && r == DataType::Null)
        && let Some(to) = tightest_common_type(&l, &r, context.eval)
    {
        return intervals(Operator::Subtract, left, right, &to, mode, context).map(Some);
    }
    if r.is_interval() {
        return plus_interval(left, right, -1, mode, context);
    }
    let time = |t: &DataType| matches!(t, DataType::Time(_));
    if time(&l) && time(&r) {
        let to = DataType::DayTimeInterval(DayTimeField::Hour, DayTimeField::Second);
        return Ok(Some(difference(left, right, to, context)));
    }
    if is_timestamp(&l) || is_timestamp(&r) {
        return timestamps(left, right, context).map(Some);
    }
    let as_date = is_date(&r) || r == DataType::Null || r.is_string() && context.eval.ansi;
    match is_date(&l) {
        true if !as_date => by_name("date_sub", vec![left, beside_date(right, context)?], context).map(Some),
        false if !is_date(&r) => Ok(None),
        _ => {
            let fits = |t: &DataType| is_date(t) || t.is_string() || *t == DataType::Null;
            check_difference(&left, &right, fits, "\"DATE\"", context)?;
            let left = implicit(left, &DataType::Date, context.eval, &context.origin)?;
            let right = implicit(right, &DataType::Date, context.eval, &context.origin)?;
            Ok(Some(difference(left, right, DAY, context)))
        }
    }
}

/// Both sides of a difference have to fit.
fn check_difference(
    left: &TypedExpr,
    right: &TypedExpr,
    fits: impl Fn(&DataType) -> bool,
    required: &str,
    context: &BuildContext<'_>,
) -> Result<()> {
    for (index, side) in [left, right].into_iter().enumerate() {
        if !fits(&side.data_type) {
            let sql = format!("({} - {})", left.sql, right.sql);
            let error = unexpected_input_type(&sql, index, required.to_string(), &side.sql, &side.data_type);
            return Err(error.with_origin(context.origin.as_ref()));
        }
    }
    Ok(())
}

const ANY_TIMESTAMP: &str = "\"(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)\"";

fn timestamps(left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let fits = |t: &DataType| t.is_datetime() || t.is_string() && context.eval.ansi || *t == DataType::Null;
    check_difference(&left, &right, fits, ANY_TIMESTAMP, context)?;
    // Both become instants unless both are without a zone.
    let zoned = left.data_type == DataType::Timestamp || right.data_type == DataType::Timestamp;
    let to = if zoned { DataType::Timestamp } else { DataType::TimestampNtz };
    let left = implicit(left, &to, context.eval, &context.origin)?;
    let right = implicit(right, &to, context.eval, &context.origin)?;
    Ok(difference(left, right, DataType::DAY_TIME, context))
}

fn difference(left: TypedExpr, right: TypedExpr, to: DataType, context: &BuildContext<'_>) -> TypedExpr {
    let sql = format!("({} - {})", left.sql, right.sql);
    let nullable = left.nullable || right.nullable;
    call("-", interval::difference, vec![left, right], to, nullable, Mode::Ansi, context).with_sql(sql)
}

/// `value + interval`, or minus it. `None`: months are only added to dates and timestamps.
fn plus_interval(
    value: TypedExpr,
    interval: TypedExpr,
    sign: i32,
    mode: Mode,
    context: &BuildContext<'_>,
) -> Result<Option<TypedExpr>> {
    let symbol = if sign > 0 { "+" } else { "-" };
    let sql = format!("{} {symbol} {}", value.sql, interval.sql);
    if is_date(&value.data_type) && interval.data_type == DAY {
        return plus_days(value, interval, sign, context).map(Some);
    }
    if is_year_month(&interval.data_type) && !value.data_type.is_datetime() {
        return Ok(None);
    }
    let nullable = value.nullable || interval.nullable || mode == Mode::Try;
    let kernel = if sign > 0 { interval::plus } else { interval::minus };
    let built = |value: TypedExpr, to: DataType| {
        let args = vec![value, interval.clone()];
        Ok(call(symbol, kernel, args, to, nullable, mode, context).with_sql(sql.clone()))
    };
    let (given, step) = (value.data_type.clone(), &interval.data_type);
    let result = match &given {
        DataType::Timestamp | DataType::TimestampNtz => built(value, given),
        DataType::Date if is_day_time(step) => {
            let at = implicit(value, &DataType::Timestamp, context.eval, &context.origin)?;
            built(at, DataType::Timestamp)
        }
        DataType::Date => built(value, DataType::Date),
        DataType::Time(p) if is_day_time(step) => {
            let precision = match step {
                DataType::DayTimeInterval(_, DayTimeField::Second) => 6,
                _ => *p,
            };
            built(value, DataType::Time(precision.max(*p)))
        }
        t if t.is_string() => {
            let shown = sql.clone();
            let at = implicit(value, &DataType::Timestamp, context.eval, &context.origin)?;
            let nullable = nullable || at.nullable;
            let moved = built(at, DataType::Timestamp)?.with_nullable(nullable);
            Ok(cast::cast(moved, &DataType::STRING, CastMode::of(context.eval), context.eval)?.with_sql(shown))
        }
        DataType::Null => {
            let at = implicit(value, &DataType::Timestamp, context.eval, &context.origin)?;
            built(at, DataType::Timestamp)
        }
        _ => {
            let error = unexpected_input_type(&sql, 0, ANY_TIMESTAMP.to_string(), &value.sql, &value.data_type);
            Err(error.with_origin(context.origin.as_ref()))
        }
    };
    result.map(Some)
}

/// A date and a whole number of days stay a date.
fn plus_days(date: TypedExpr, interval: TypedExpr, sign: i32, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let shown = format!("extractansiintervaldays({})", interval.sql);
    let nullable = interval.nullable;
    let days = call(
        "extractansiintervaldays",
        interval::whole_days,
        vec![interval],
        DataType::Integer,
        nullable,
        Mode::Ansi,
        context,
    )
    .with_sql(shown);
    let days = if sign < 0 {
        let sql = format!("(- {})", days.sql);
        super::unary::negate(days, sql, context)?
    } else {
        days
    };
    by_name("date_add", vec![date, days], context)
}

fn intervals(
    operator: Operator,
    left: TypedExpr,
    right: TypedExpr,
    to: &DataType,
    mode: Mode,
    context: &BuildContext<'_>,
) -> Result<TypedExpr> {
    let sql = format!("({} {} {})", left.sql, operator.symbol(), right.sql);
    // The wider fields hold both values as they are.
    let left = implicit(left, to, context.eval, &context.origin)?;
    let right = implicit(right, to, context.eval, &context.origin)?;
    let nullable = left.nullable || right.nullable || mode == Mode::Try;
    let kernel = if operator == Operator::Add { interval::add } else { interval::subtract };
    Ok(call(operator.symbol(), kernel, vec![left, right], to.clone(), nullable, mode, context).with_sql(sql))
}

fn scaled_type(t: &DataType) -> DataType {
    match t {
        DataType::YearMonthInterval(..) => DataType::YEAR_MONTH,
        DataType::DayTimeInterval(..) => DataType::DAY_TIME,
        other => other.clone(),
    }
}

/// Strings beside an interval are doubles.
fn factor(sql: &str, value: TypedExpr, required: &str, context: &BuildContext<'_>) -> Result<TypedExpr> {
    if value.data_type.is_string() || value.data_type == DataType::Null {
        return implicit(value, &DataType::Double, context.eval, &context.origin);
    }
    if value.data_type.is_numeric() {
        return Ok(value);
    }
    let error = unexpected_input_type(sql, 1, required.to_string(), &value.sql, &value.data_type);
    Err(error.with_origin(context.origin.as_ref()))
}

fn multiply(left: TypedExpr, right: TypedExpr, mode: Mode, context: &BuildContext<'_>) -> Result<Option<TypedExpr>> {
    let (value, by) = if left.data_type.is_interval() { (left, right) } else { (right, left) };
    if !value.data_type.is_interval() {
        return Ok(None);
    }
    scale(Operator::Multiply, value, by, mode, context)
}

fn divide(left: TypedExpr, right: TypedExpr, mode: Mode, context: &BuildContext<'_>) -> Result<Option<TypedExpr>> {
    if !left.data_type.is_interval() {
        return Ok(None);
    }
    scale(Operator::Divide, left, right, mode, context)
}

fn scale(
    operator: Operator,
    value: TypedExpr,
    by: TypedExpr,
    mode: Mode,
    context: &BuildContext<'_>,
) -> Result<Option<TypedExpr>> {
    let name = if operator == Operator::Multiply { "multiply_interval" } else { "divide_interval" };
    let (sql, required) = match is_calendar(&value.data_type) {
        true => (format!("{name}({}, {})", value.sql, by.sql), "\"DOUBLE\""),
        false => (format!("({} {} {})", value.sql, operator.symbol(), by.sql), "\"NUMERIC\""),
    };
    let by = factor(&sql, by, required, context)?;
    let to = scaled_type(&value.data_type);
    let nullable = value.nullable || by.nullable || mode == Mode::Try || is_calendar(&to);
    let kernel = if operator == Operator::Multiply { interval::multiply } else { interval::divide };
    Ok(Some(call(operator.symbol(), kernel, vec![value, by], to, nullable, mode, context).with_sql(sql)))
}

fn integral_divide(
    left: TypedExpr,
    right: TypedExpr,
    mode: Mode,
    context: &BuildContext<'_>,
) -> Result<Option<TypedExpr>> {
    let same = is_day_time(&left.data_type) && is_day_time(&right.data_type)
        || is_year_month(&left.data_type) && is_year_month(&right.data_type);
    if !same {
        return Ok(None);
    }
    let sql = format!("({} div {})", left.sql, right.sql);
    Ok(Some(call("div", interval::ratio, vec![left, right], DataType::Long, true, mode, context).with_sql(sql)))
}

fn by_name(name: &str, values: Vec<TypedExpr>, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let function = registry::lookup(name)
        .ok_or_else(|| firesteel_plan::SparkError::internal(format!("the function {name} is missing")))?;
    let context =
        BuildContext { called_as: name, eval: context.eval, origin: context.origin.clone(), is_operator: false };
    match function.call(&context, Arguments { values, ..Default::default() })? {
        Built::Expr(expr) => Ok(expr),
        Built::Generator(_) => Err(firesteel_plan::SparkError::internal(format!("{name} is a generator"))),
    }
}
