//! Intervals in text records.
use firesteel_plan::DataType;

use super::column::Column;
use crate::interval::ansi::{parse_day_time, parse_year_month};
use crate::interval::multi_units::parse_calendar;

/// Appends the interval that a text spells. False: nothing was appended.
pub(super) fn append(text: &str, column: &mut Column) -> bool {
    match column {
        Column::YearMonth { data_type: DataType::YearMonthInterval(start, end), values } => {
            parse_year_month(text, *start, *end).map(|months| values.append_value(months)).is_ok()
        }
        Column::DayTime { data_type: DataType::DayTimeInterval(start, end), values } => {
            parse_day_time(text, *start, *end).map(|micros| values.append_value(micros)).is_ok()
        }
        Column::CalendarInterval(values) => {
            let parsed = parse_calendar(text).and_then(|interval| interval.to_arrow());
            parsed.map(|interval| values.append_value(interval)).is_ok()
        }
        _ => false,
    }
}
