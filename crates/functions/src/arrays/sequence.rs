//! `sequence`: integers, dates and timestamps from start to stop.
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DurationMicrosecondType, Int64Type, IntervalMonthDayNanoType, IntervalYearMonthType};
use chrono::{DateTime, Days, Months, NaiveDateTime, Offset, TimeZone};
use firesteel_plan::{DataType, JavaException, Result, SparkError};

use super::{GROUP, cast_to, kernel_call};
use crate::coerce;
use crate::mismatch::{self, sql_of};
use crate::nested::{MAX_ARRAY_LENGTH, RowEnds, list_array};
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{ScalarArgs, from_arrow};
use crate::types;

const MICROS_PER_DAY: i64 = 86_400_000_000;

fn build_sequence(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let sql = sql_of(context, &arguments.values);
    let mut values = arguments.values;
    let step = if values.len() == 3 { values.pop() } else { None };
    let types = || values.iter().chain(&step).map(|v| &v.data_type);
    let mut common = values.iter().map(|v| v.data_type.clone()).try_fold(DataType::Null, |a, b| {
        coerce::wider_type(&a, &b, context.eval).ok_or_else(|| mismatch::diff_types("sequence", &sql, types()))
    })?;
    let numeric_step = step.as_ref().is_none_or(|s| s.data_type.is_integral() || s.data_type == DataType::Null);
    let interval_step = step.as_ref().is_none_or(|s| s.data_type.is_interval());
    if let (Some(step), true) = (&step, common.is_integral() && numeric_step) {
        common = coerce::tightest_common_type(&common, &step.data_type, context.eval).unwrap_or(common);
    }
    if !(common.is_integral() && numeric_step || common.is_datetime() && interval_step) {
        let interval = "(\"INTERVAL\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL DAY TO SECOND\")";
        return Err(mismatch::mismatch(
            "SEQUENCE_WRONG_INPUT_TYPES",
            &sql,
            [
                ("functionName", "`sequence`".to_string()),
                ("startType", "(\"TIMESTAMP\" or \"TIMESTAMP_NTZ\" or \"DATE\")".to_string()),
                ("stepType", interval.to_string()),
                ("otherStartType", "\"INTEGRAL\"".to_string()),
            ],
        ));
    }
    let mut args = values.into_iter().map(|v| cast_to(context, v, &common)).collect::<Result<Vec<_>>>()?;
    if let Some(step) = step {
        let to = if common.is_integral() { common.clone() } else { step.data_type.clone() };
        args.push(cast_to(context, step, &to)?);
    }
    let nullable = args.iter().any(|a| a.nullable);
    kernel_call(context, "sequence", sequence, args, DataType::array(common, false), nullable, sql)
}

fn sequence(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (start, stop) = (as_long(&args.array(0)?)?, as_long(&args.array(1)?)?);
    let steps = if args.values.len() > 2 { Some(args.array(2)?) } else { None };
    let (mut values, mut rows) = (Vec::new(), RowEnds::with_capacity(args.rows));
    for row in 0..args.rows {
        let step_is_null = steps.as_ref().is_some_and(|s| s.is_null(row));
        if start.is_null(row) || stop.is_null(row) || step_is_null {
            rows.end(values.len(), false)?;
            continue;
        }
        let (from, to) = (start.value(row), stop.value(row));
        match &args.arg_types[0] {
            t if t.is_integral() => {
                let step = match &steps {
                    Some(steps) => as_long(steps)?.value(row),
                    None if from <= to => 1,
                    None => -1,
                };
                integers(from, to, step, &mut values)?;
            }
            t => {
                let step = match &steps {
                    Some(steps) => Step::read(steps, &args.arg_types[2], row)?,
                    None => Step { months: 0, days: if from <= to { 1 } else { -1 }, micros: 0 },
                };
                let interval = args.arg_types.get(2).map_or_else(String::new, |t| t.simple_string());
                temporal(from, to, step, t, args.context.time_zone, &interval, &mut values)?;
            }
        }
        rows.end(values.len(), true)?;
    }
    let element = match args.return_type {
        DataType::Array(element, _) => types::to_arrow(element),
        other => types::to_arrow(other),
    };
    let (offsets, nulls) = rows.finish();
    list_array(args.return_type, offsets, from_long(values, &element)?, nulls)
}

/// Any integer, date or timestamp as its number.
fn as_long(array: &ArrayRef) -> Result<Int64Array> {
    use arrow::datatypes::DataType as A;
    let number = match array.data_type() {
        A::Date32 => arrow::compute::cast(&arrow::compute::cast(array, &A::Int32).map_err(from_arrow)?, &A::Int64),
        _ => arrow::compute::cast(array, &A::Int64),
    };
    Ok(number.map_err(from_arrow)?.as_primitive::<Int64Type>().clone())
}

fn from_long(values: Vec<i64>, to: &arrow::datatypes::DataType) -> Result<ArrayRef> {
    use arrow::datatypes::DataType as A;
    let values: ArrayRef = Arc::new(Int64Array::from(values));
    let values = match to {
        A::Date32 => arrow::compute::cast(&values, &A::Int32).map_err(from_arrow)?,
        _ => values,
    };
    arrow::compute::cast(&values, to).map_err(from_arrow)
}

/// Errors unless `step` leads from `from` to `to`, and the sequence has a length that Spark allows.
fn check(from: i64, to: i64, step: i128, describe: impl Fn() -> String) -> Result<()> {
    if !((step > 0 && from <= to) || (step < 0 && from >= to) || (step == 0 && from == to)) {
        let message = format!("A sequence cannot go from {from} to {to} by {}", describe());
        return Err(SparkError::java(JavaException::IllegalArgument, message));
    }
    let length = if step == 0 { 1 } else { 1 + (i128::from(to) - i128::from(from)) / step };
    if length > i128::from(MAX_ARRAY_LENGTH) {
        return Err(SparkError::new(
            "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION",
            [
                ("numberOfElements", length.to_string()),
                ("maxRoundedArrayLength", MAX_ARRAY_LENGTH.to_string()),
                ("functionName", "`sequence`".to_string()),
            ],
        ));
    }
    Ok(())
}

fn integers(from: i64, to: i64, step: i64, out: &mut Vec<i64>) -> Result<()> {
    check(from, to, i128::from(step), || step.to_string())?;
    let mut value = from;
    loop {
        out.push(value);
        match value.checked_add(step) {
            Some(next) if step != 0 && (if step > 0 { next <= to } else { next >= to }) => value = next,
            _ => return Ok(()),
        }
    }
}

/// An interval of any kind.
#[derive(Clone, Copy)]
struct Step {
    months: i64,
    days: i64,
    micros: i64,
}

impl Step {
    fn read(array: &ArrayRef, data_type: &DataType, row: usize) -> Result<Self> {
        match data_type {
            DataType::YearMonthInterval(..) => {
                let months = i64::from(array.as_primitive::<IntervalYearMonthType>().value(row));
                Ok(Self { months, days: 0, micros: 0 })
            }
            DataType::DayTimeInterval(..) => {
                let micros = array.as_primitive::<DurationMicrosecondType>().value(row);
                Ok(Self { months: 0, days: micros / MICROS_PER_DAY, micros: micros % MICROS_PER_DAY })
            }
            DataType::CalendarInterval => {
                let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
                let (months, days) = (i64::from(value.months), i64::from(value.days));
                Ok(Self { months, days, micros: value.nanoseconds / 1000 })
            }
            other => Err(SparkError::internal(format!("an interval was expected, not {}", other.sql()))),
        }
    }

    /// About how long it is: only its sign and size matter.
    fn estimate(self) -> i128 {
        i128::from(self.micros) + (i128::from(self.days) + i128::from(self.months) * 28) * i128::from(MICROS_PER_DAY)
    }
}

fn temporal(
    from: i64,
    to: i64,
    step: Step,
    data_type: &DataType,
    zone: Tz,
    interval: &str,
    out: &mut Vec<i64>,
) -> Result<()> {
    let is_date = *data_type == DataType::Date;
    if is_date && step.months == 0 && step.days == 0 {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_3242", [("intervalType", interval.to_string())]));
    }
    let zone = (*data_type == DataType::Timestamp).then_some(zone);
    let scale = if is_date { MICROS_PER_DAY } else { 1 };
    if step.months == 0 && step.days == 0 {
        return integers(from, to, step.micros, out);
    }
    let (start, stop) = (from.saturating_mul(scale), to.saturating_mul(scale));
    check(start, stop, step.estimate(), || format!("{} months {} days", step.months, step.days))?;
    let forward = step.estimate() > 0;
    for index in 0.. {
        let Some(at) = add(start, step, index, zone) else { return Ok(()) };
        if if forward { at > stop } else { at < stop } {
            return Ok(());
        }
        out.push(at.div_euclid(scale));
    }
    Ok(())
}

/// `start + count * step`: months and days by the calendar of the zone, microseconds as they are.
fn add(start: i64, step: Step, count: i64, zone: Option<Tz>) -> Option<i64> {
    let utc = DateTime::from_timestamp_micros(start)?.naive_utc();
    let local = zone.map_or(utc, |zone| utc + zone.offset_from_utc_datetime(&utc).fix());
    let months = step.months.checked_mul(count)?;
    let size = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    let moved = if months < 0 { local.checked_sub_months(size)? } else { local.checked_add_months(size)? };
    let days = step.days.checked_mul(count)?;
    let size = Days::new(days.unsigned_abs());
    let moved = if days < 0 { moved.checked_sub_days(size)? } else { moved.checked_add_days(size)? };
    let utc = zone.map_or(Some(moved), |zone| to_utc(moved, zone))?;
    utc.and_utc().timestamp_micros().checked_add(step.micros.checked_mul(count)?)
}

/// The earlier of two instants where the clock goes back; past the gap where it jumps ahead.
fn to_utc(local: NaiveDateTime, zone: Tz) -> Option<NaiveDateTime> {
    match zone.offset_from_local_datetime(&local) {
        chrono::LocalResult::Single(offset) | chrono::LocalResult::Ambiguous(offset, _) => Some(local - offset.fix()),
        chrono::LocalResult::None => {
            let before = local - chrono::TimeDelta::hours(3);
            let offset = zone.offset_from_local_datetime(&before).earliest()?;
            Some(local - offset.fix())
        }
    }
}

pub static FUNCTIONS: &[Function] = &[Function::custom(
    "sequence",
    GROUP,
    "2.4.0",
    build_sequence,
    "sequence(start, stop[, step]) - Returns the values from start to stop, both included, by step.",
    &[("sequence(1, 5)", "[1,2,3,4,5]"), ("sequence(5, 1)", "[5,4,3,2,1]")],
)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_keep_the_day_where_they_can() {
        let mut out = vec![];
        let step = Step { months: 1, days: 0, micros: 0 };
        // 2018-01-31 to 2018-05-01
        temporal(17562, 17652, step, &DataType::Date, "+00:00".parse().unwrap(), "", &mut out).unwrap();
        assert_eq!(out, [17562, 17590, 17621, 17651]);
    }

    #[test]
    fn the_ends_of_the_range_do_not_overflow() {
        let mut out = vec![];
        integers(i64::MAX - 1, i64::MAX, 1, &mut out).unwrap();
        assert_eq!(out, [i64::MAX - 1, i64::MAX]);
    }
}
