//! Kernels on whole numbers: every date, time and interval type of Spark but the legacy interval is one.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, Int64Array, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Date32Type, DurationMicrosecondType, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time64NanosecondType,
    TimestampMicrosecondType,
};
use datafusion::logical_expr::ColumnarValue;
use firesteel_plan::{JavaException, Result, SparkError};

use crate::interval::CalendarInterval;
use crate::scalar::{ScalarArgs, from_arrow, from_datafusion};

/// An argument as 64-bit integers; a constant is one row that stands for all.
pub struct Longs {
    values: Int64Array,
    constant: bool,
}

impl Longs {
    #[inline]
    pub fn get(&self, row: usize) -> Option<i64> {
        let row = if self.constant { 0 } else { row };
        if self.values.is_null(row) { None } else { Some(self.values.value(row)) }
    }
}

fn widen<T: ArrowPrimitiveType>(array: &ArrayRef) -> Int64Array
where
    T::Native: Into<i64>,
{
    array.as_primitive::<T>().unary(Into::into)
}

/// The integers behind an array.
pub fn as_longs(array: &ArrayRef) -> Result<Int64Array> {
    Ok(match array.data_type() {
        ArrowType::Date32 => widen::<Date32Type>(array),
        ArrowType::Int8 => widen::<Int8Type>(array),
        ArrowType::Int16 => widen::<Int16Type>(array),
        ArrowType::Int32 => widen::<Int32Type>(array),
        ArrowType::Int64 => widen::<Int64Type>(array),
        ArrowType::Timestamp(..) => widen::<TimestampMicrosecondType>(array),
        ArrowType::Time64(_) => widen::<Time64NanosecondType>(array),
        ArrowType::Duration(_) => widen::<DurationMicrosecondType>(array),
        ArrowType::Interval(IntervalUnit::YearMonth) => widen::<IntervalYearMonthType>(array),
        ArrowType::Null => Int64Array::new_null(array.len()),
        _ => arrow::compute::cast(array, &ArrowType::Int64).map_err(from_arrow)?.as_primitive::<Int64Type>().clone(),
    })
}

fn fetch(args: &ScalarArgs<'_>, index: usize) -> Result<(ArrayRef, bool)> {
    match args.values.get(index) {
        Some(ColumnarValue::Array(array)) => Ok((Arc::clone(array), false)),
        Some(ColumnarValue::Scalar(value)) => Ok((value.to_array_of_size(1).map_err(from_datafusion)?, true)),
        None => Err(SparkError::internal(format!("no argument {index}"))),
    }
}

/// Argument `index` as integers.
pub fn longs(args: &ScalarArgs<'_>, index: usize) -> Result<Longs> {
    let (array, constant) = fetch(args, index)?;
    Ok(Longs { values: as_longs(&array)?, constant })
}

/// Argument `index`, a legacy interval, by row.
pub fn calendars(args: &ScalarArgs<'_>, index: usize) -> Result<impl Fn(usize) -> Option<CalendarInterval> + use<>> {
    let (array, constant) = fetch(args, index)?;
    let array = match array.data_type() {
        ArrowType::Interval(IntervalUnit::MonthDayNano) => array,
        other => return Err(SparkError::internal(format!("{other} is not an interval"))),
    };
    let values = array.as_primitive::<IntervalMonthDayNanoType>().clone();
    Ok(move |row: usize| {
        let row = if constant { 0 } else { row };
        if values.is_null(row) { None } else { Some(CalendarInterval::from_arrow(values.value(row))) }
    })
}

fn narrow<T: ArrowPrimitiveType>(values: Int64Array) -> Result<PrimitiveArray<T>>
where
    T::Native: TryFrom<i64>,
{
    values
        .try_unary(|v| {
            T::Native::try_from(v).map_err(|_| {
                let error = SparkError::new(
                    "ARITHMETIC_OVERFLOW",
                    [
                        ("message", "integer overflow".to_string()),
                        ("alternative", String::new()),
                        ("config", crate::quote::sql_config("spark.sql.ansi.enabled")),
                    ],
                );
                crate::external(error)
            })
        })
        .map_err(|e: datafusion::error::DataFusionError| from_datafusion(e))
}

/// Integers as the type of the result.
pub fn finish(args: &ScalarArgs<'_>, values: Int64Array) -> Result<ArrayRef> {
    let wanted = args.arrow_type();
    Ok(match &wanted {
        ArrowType::Int8 => Arc::new(narrow::<Int8Type>(values)?) as ArrayRef,
        ArrowType::Int16 => Arc::new(narrow::<Int16Type>(values)?),
        ArrowType::Int32 => Arc::new(narrow::<Int32Type>(values)?),
        ArrowType::Int64 => Arc::new(values),
        ArrowType::Date32 => Arc::new(narrow::<Date32Type>(values)?),
        ArrowType::Timestamp(..) => {
            Arc::new(values.reinterpret_cast::<TimestampMicrosecondType>().with_data_type(wanted))
        }
        ArrowType::Time64(_) => Arc::new(values.reinterpret_cast::<Time64NanosecondType>()),
        ArrowType::Duration(_) => Arc::new(values.reinterpret_cast::<DurationMicrosecondType>()),
        ArrowType::Interval(IntervalUnit::YearMonth) => Arc::new(narrow::<IntervalYearMonthType>(values)?),
        other => return Err(SparkError::internal(format!("no {other} from integers"))),
    })
}

/// Values of rows, `None` where NULL. Rows are rarely NULL, so that these are noted apart.
pub fn collect(rows: usize, one: impl Fn(usize) -> Result<Option<i64>>) -> Result<Int64Array> {
    let mut values = Vec::with_capacity(rows);
    let mut absent = vec![];
    for row in 0..rows {
        let value = one(row)?;
        if value.is_none() {
            absent.push(row);
        }
        values.push(value.unwrap_or_default());
    }
    let nulls = (!absent.is_empty()).then(|| {
        let mut present = BooleanBufferBuilder::new(rows);
        present.append_n(rows, true);
        absent.iter().for_each(|&row| present.set_bit(row, false));
        NullBuffer::new(present.finish())
    });
    Ok(Int64Array::new(values.into(), nulls))
}

/// One argument; NULL gives NULL.
#[inline]
pub fn unary(args: &ScalarArgs<'_>, f: impl Fn(i64) -> Result<Option<i64>>) -> Result<ArrayRef> {
    let a = longs(args, 0)?;
    let all = a.values.values();
    let values = match a.constant || a.values.null_count() > 0 {
        true => collect(args.rows, |row| a.get(row).map_or(Ok(None), &f))?,
        false => collect(args.rows, |row| f(all[row]))?,
    };
    finish(args, values)
}

/// Two arguments; a NULL gives NULL.
#[inline]
pub fn binary(args: &ScalarArgs<'_>, f: impl Fn(i64, i64) -> Result<Option<i64>>) -> Result<ArrayRef> {
    let (a, b) = (longs(args, 0)?, longs(args, 1)?);
    let one = |row: usize| match (a.get(row), b.get(row)) {
        (Some(a), Some(b)) => f(a, b),
        _ => Ok(None),
    };
    finish(args, collect(args.rows, one)?)
}

/// Any number of arguments; a NULL gives NULL.
pub fn nary(args: &ScalarArgs<'_>, f: impl Fn(&[i64]) -> Result<Option<i64>>) -> Result<ArrayRef> {
    let all = (0..args.values.len()).map(|i| longs(args, i)).collect::<Result<Vec<_>>>()?;
    let mut row_values = vec![0; all.len()];
    let mut out = Vec::with_capacity(args.rows);
    'rows: for row in 0..args.rows {
        for (slot, argument) in row_values.iter_mut().zip(&all) {
            match argument.get(row) {
                Some(value) => *slot = value,
                None => {
                    out.push(None);
                    continue 'rows;
                }
            }
        }
        out.push(f(&row_values)?);
    }
    finish(args, Int64Array::from(out))
}

/// `DATETIME_OVERFLOW`; `operation` says what was computed.
pub fn overflow(operation: String) -> SparkError {
    SparkError::new("DATETIME_OVERFLOW", [("operation", operation)])
}

/// What Java's exact arithmetic says of 64 bits.
pub fn long_overflow() -> SparkError {
    SparkError::java(JavaException::Arithmetic, "long overflow")
}
