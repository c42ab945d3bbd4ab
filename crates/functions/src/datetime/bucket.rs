//! `time_bucket`: the start of the bucket that a timestamp falls into.
use arrow::array::ArrayRef;
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError};

use super::arithmetic::add_to_timestamp;
use super::calendar::{MICROS_PER_DAY, civil_from_days, split_micros};
use super::vector::{long_overflow, longs, unary};
use super::zone::Zone;
use crate::coerce;
use crate::fold::{fold, not_foldable};
use crate::quote;
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;

/// The size of buckets: months, or days on the wall clock and microseconds on the time line.
#[derive(Clone, Copy)]
struct Size {
    months: i64,
    days: i64,
    rest: i64,
}

impl Size {
    fn of(interval: i64, in_months: bool) -> Self {
        match in_months {
            true => Self { months: interval, days: 0, rest: 0 },
            false => Self { months: 0, days: interval / MICROS_PER_DAY, rest: interval % MICROS_PER_DAY },
        }
    }

    /// Start of the bucket `index` places after the origin.
    fn start(self, zone: Option<&Zone>, origin: i64, index: i64) -> Option<i64> {
        let (months, days) = (self.months.checked_mul(index)?, self.days.checked_mul(index)?);
        add_to_timestamp(zone, origin, months, days, self.rest.checked_mul(index)?)
    }

    /// About how many buckets lie between the origin and the time.
    fn guess(self, zone: Option<&Zone>, origin: i64, time: i64) -> Option<i64> {
        if self.months == 0 {
            let size = self.days.checked_mul(MICROS_PER_DAY)?.checked_add(self.rest)?;
            return Some(time.checked_sub(origin)?.div_euclid(size));
        }
        let month = |micros: i64| {
            let date = civil_from_days(split_micros(zone.map_or(micros, |z| z.to_local(micros))).0);
            date.year * 12 + i64::from(date.month)
        };
        Some((month(time) - month(origin)).div_euclid(self.months))
    }

    fn bucket(self, zone: Option<&Zone>, origin: i64, time: i64) -> Option<i64> {
        let mut index = self.guess(zone, origin, time)?;
        let mut start = self.start(zone, origin, index)?;
        // Months and days differ in length: the guess is off by a place or two.
        while start > time {
            index -= 1;
            start = self.start(zone, origin, index)?;
        }
        loop {
            match self.start(zone, origin, index + 1) {
                Some(next) if next <= time => (index, start) = (index + 1, next),
                _ => return Some(start),
            }
        }
    }
}

/// `options`: the size, and `months` where it counts them.
fn kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let interval = args.option(0).parse().map_err(|_| SparkError::internal("a bucket without a size"))?;
    let size = Size::of(interval, args.option(1) == "months");
    let origins = longs(args, 1)?;
    let zone = (args.return_type == &DataType::Timestamp).then(|| Zone::new(&args.context.time_zone));
    // The origin is a constant.
    let origin = if args.rows > 0 { origins.get(0) } else { None };
    unary(args, |time| match origin {
        Some(origin) => size.bucket(zone.as_ref(), origin, time).map(Some).ok_or_else(long_overflow),
        None => Ok(None),
    })
}

/// 1970-01-01 00:00:00 on the clock of the session.
fn default_origin(time: &DataType, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let (to, name) = match time {
        DataType::TimestampNtz => (DataType::TimestampNtz, "TIMESTAMP_NTZ"),
        _ => (DataType::Timestamp, "TIMESTAMP"),
    };
    let text = TypedExpr::string("1970-01-01 00:00:00");
    let origin = coerce::implicit(text, &to, context.eval, &context.origin)?;
    let literal = match fold(&origin)? {
        Some(value) => TypedExpr::literal(value, to, ""),
        None => origin,
    };
    Ok(literal.with_sql(format!("{name} '1970-01-01 00:00:00'")))
}

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let mut values = arguments.values;
    if values.len() == 2 {
        values.push(default_origin(&values[1].data_type, context)?);
    }
    let texts: Vec<&str> = values.iter().map(|v| v.sql.as_str()).collect();
    let sql = format!("time_bucket({})", texts.join(", "));
    let (Some(origin), Some(time), Some(size)) = (values.pop(), values.pop(), values.pop()) else {
        return Err(SparkError::internal("time_bucket without its arguments"));
    };
    check_types(&sql, &size, &time, &origin).map_err(|error| error.with_origin(context.origin.as_ref()))?;
    let data_type = if time.data_type == DataType::Null { DataType::Timestamp } else { time.data_type.clone() };
    let Some((interval, in_months)) =
        interval(&sql, &size).map_err(|error| error.with_origin(context.origin.as_ref()))?
    else {
        return Ok(Built::Expr(TypedExpr::null(data_type).with_sql(sql)));
    };
    let nullable = time.nullable || origin.nullable;
    let time = coerce::implicit(time, &data_type, context.eval, &context.origin)?;
    let origin = coerce::implicit(origin, &data_type, context.eval, &context.origin)?;
    let options = vec![interval.to_string(), if in_months { "months" } else { "" }.to_string()];
    let call = SparkScalar::call("time_bucket", kernel, vec![time, origin], data_type, nullable, context.eval);
    Ok(Built::Expr(call.options(options).origin(context.origin.clone()).build().with_sql(sql)))
}

fn check_types(sql: &str, size: &TypedExpr, time: &TypedExpr, origin: &TypedExpr) -> Result<()> {
    let unexpected = |index: usize, required: &str, value: &TypedExpr| {
        Err(quote::unexpected_input_type(sql, index, required.to_string(), &value.sql, &value.data_type))
    };
    let interval =
        matches!(size.data_type, DataType::DayTimeInterval(..) | DataType::YearMonthInterval(..) | DataType::Null);
    if !interval {
        return unexpected(0, "(\"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\")", size);
    }
    if !matches!(time.data_type, DataType::Timestamp | DataType::TimestampNtz | DataType::Null) {
        return unexpected(1, "\"(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)\"", time);
    }
    let fits = match (&time.data_type, &origin.data_type) {
        (_, DataType::Null) => true,
        (DataType::Null, DataType::Timestamp | DataType::TimestampNtz) => true,
        (time, origin) => time == origin,
    };
    if !fits {
        return unexpected(2, &quote::sql_type(&time.data_type), origin);
    }
    for (name, value) in [("bucketSize", size), ("origin", origin)] {
        if !value.is_foldable() {
            return Err(not_foldable(sql, name, value));
        }
    }
    Ok(())
}

/// The size in months or microseconds; nothing where it is NULL. Errors unless it is above zero.
fn interval(sql: &str, size: &TypedExpr) -> Result<Option<(i64, bool)>> {
    let (interval, in_months) = match fold(size)? {
        Some(ScalarValue::IntervalYearMonth(Some(months))) => (i64::from(months), true),
        Some(ScalarValue::DurationMicrosecond(Some(micros))) => (micros, false),
        _ => return Ok(None),
    };
    if interval > 0 {
        return Ok(Some((interval, in_months)));
    }
    let parameters = [
        ("exprName", quote::sql_id("bucketSize")),
        ("valueRange", "(0, inf)".to_string()),
        ("currentValue", size.sql.clone()),
    ];
    Err(quote::mismatch("VALUE_OUT_OF_RANGE", sql, parameters))
}

pub static FUNCTIONS: &[Function] = &[Function::custom(
    "time_bucket",
    "datetime_funcs",
    "4.2.0",
    build,
    "time_bucket(bucketSize, ts[, origin]) - The start of the bucket of that size, counted from origin, that ts falls into.",
    &[("SELECT time_bucket(INTERVAL '1' HOUR, TIMESTAMP'2024-01-01 11:27:00')", "2024-01-01 11:00:00")],
)];
