//! Old dates. A file says in which calendar its days are; most writers, Spark among them, use the one in which dates
//! before 15 October 1582 are Julian. Here all days are Gregorian.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, PrimitiveArray, StructArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Field, FieldRef, Fields, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use firesteel_functions::datetime::calendar::{MICROS_PER_DAY, days_from_civil};
use firesteel_functions::datetime::zone::Zone;
use firesteel_plan::DataType as Spark;

/// 15 October 1582, in days since 1970
const FIRST_GREGORIAN: i64 = -141_427;
/// 1 March of the year 0 of the Julian calendar, in days since 1970
const JULIAN_MARCH: i64 = -719_470;

/// How the values of a file become Spark's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Whether days before 1582 are Julian
    pub julian: bool,
    /// The zone of wall-clock times
    pub zone: Zone,
}

impl Times {
    /// A column with Gregorian days, and instants in place of wall-clock times. `stored`: Spark's type of it, as the file
    /// says.
    pub(super) fn fit(self, array: &ArrayRef, stored: &Spark) -> Result<ArrayRef, ArrowError> {
        Ok(match (array.data_type(), stored) {
            (DataType::Int64, Spark::TimestampNtz) => {
                Arc::new(array.as_primitive::<Int64Type>().reinterpret_cast::<TimestampMicrosecondType>())
            }
            (DataType::Date32, _) if self.julian => changed::<Date32Type>(array, |days| Some(self.day(days))),
            (DataType::Timestamp(TimeUnit::Microsecond, zone), _) => self.times(array, zone.is_none()),
            (DataType::List(field), Spark::Array(element, _)) => {
                let list = array.as_list::<i32>();
                let values = self.fit(list.values(), element)?;
                let field = typed(field, &values);
                Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?)
            }
            (DataType::Map(field, sorted), Spark::Map(key, value, _)) => {
                let map = array.as_map();
                let entries = self.fit_struct(map.entries(), [key.as_ref(), value.as_ref()].into_iter())?;
                let field = Arc::new(Field::new(field.name(), entries.data_type().clone(), false));
                let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
                Arc::new(MapArray::try_new(field, offsets, entries, nulls, *sorted)?)
            }
            (DataType::Struct(_), Spark::Struct(fields)) => {
                Arc::new(self.fit_struct(array.as_struct(), fields.fields.iter().map(|field| &field.data_type))?)
            }
            _ => Arc::clone(array),
        })
    }

    fn fit_struct<'a>(
        self,
        array: &StructArray,
        stored: impl Iterator<Item = &'a Spark>,
    ) -> Result<StructArray, ArrowError> {
        let columns = array.columns().iter().zip(stored).map(|(column, stored)| self.fit(column, stored));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let fields: Fields = array.fields().iter().zip(&columns).map(|(field, column)| typed(field, column)).collect();
        StructArray::try_new_with_length(fields, columns, array.nulls().cloned(), array.len())
    }

    /// A day of the file as a Gregorian one.
    pub(super) fn day(self, days: i32) -> i32 {
        if self.julian && i64::from(days) < FIRST_GREGORIAN { gregorian(days.into()) as i32 } else { days }
    }

    /// A time of the file, in microseconds, as an instant. `None`: there is none in 64 bits.
    pub(super) fn instant(self, micros: i64, is_wall: bool) -> Option<i64> {
        let is_old = self.julian && micros < FIRST_GREGORIAN * MICROS_PER_DAY;
        let micros = if is_old { gregorian_micros(micros) } else { micros };
        if is_wall { self.zone.to_utc(micros) } else { Some(micros) }
    }

    fn times(self, array: &ArrayRef, is_wall: bool) -> ArrayRef {
        let times = changed::<TimestampMicrosecondType>(array, |micros| self.instant(micros, is_wall));
        let times = times.as_primitive::<TimestampMicrosecondType>().clone();
        Arc::new(times.with_timezone("UTC"))
    }
}

fn typed(field: &FieldRef, column: &ArrayRef) -> FieldRef {
    Arc::new(Field::new(field.name(), column.data_type().clone(), field.is_nullable()))
}

/// The values that `change` answers in place of the others.
fn changed<T: ArrowPrimitiveType>(array: &ArrayRef, change: impl Fn(T::Native) -> Option<T::Native>) -> ArrayRef {
    let values: &PrimitiveArray<T> = array.as_primitive();
    Arc::new(values.unary::<_, T>(|value| change(value).unwrap_or(value)))
}

fn gregorian_micros(micros: i64) -> i64 {
    let day = micros.div_euclid(MICROS_PER_DAY);
    gregorian(day).saturating_mul(MICROS_PER_DAY).saturating_add(micros.rem_euclid(MICROS_PER_DAY))
}

/// The Gregorian day that is written as a Julian day is: year, month and day of the month. 29 February of a year that is
/// no Gregorian leap year is 1 March.
fn gregorian(days: i64) -> i64 {
    // Years begin in March, so that the leap day is their last; four of them have 1461 days.
    let since = days - JULIAN_MARCH;
    let (cycle, in_cycle) = (since.div_euclid(1461), since.rem_euclid(1461));
    let year_of_cycle = (in_cycle / 365).min(3);
    let in_year = in_cycle - year_of_cycle * 365;
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5;
    let year = 4 * cycle + year_of_cycle + i64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    days_from_civil(year, u32::try_from(month).unwrap_or(1), 1) + day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn julian_days_are_read_as_they_are_written() {
        // 4 October 1582 was followed by 15 October.
        assert_eq!(gregorian(FIRST_GREGORIAN - 1), days_from_civil(1582, 10, 4));
        // In the first years of our era the calendars are two days apart.
        assert_eq!(gregorian(days_from_civil(1, 1, 1) - 2), days_from_civil(1, 1, 1));
        assert_eq!(gregorian(JULIAN_MARCH), days_from_civil(0, 3, 1));
        // 1000-02-29 is a Julian day alone: six days behind.
        assert_eq!(gregorian(days_from_civil(1000, 3, 6)), days_from_civil(1000, 3, 1));
        assert_eq!(gregorian(days_from_civil(1000, 3, 7)), days_from_civil(1000, 3, 1));
    }
}
