//! From fields that were read to a date, a time and a zone.
use arrow::array::timezone::Tz;

use super::parse::Fields;
use super::{Field, Style, format::java_name, names};
use crate::datetime::calendar::{
    NANOS_PER_DAY, NANOS_PER_SECOND, checked_days, checked_nanos, civil_from_days, days_from_civil, is_leap,
    month_length,
};

/// A date (1970-01-01 where the text has none), a time of day (midnight) and a zone.
#[derive(Debug, Clone)]
pub struct Parsed {
    pub days: i64,
    pub nanos_of_day: i64,
    pub zone: Option<Tz>,
}

/// Errors with Java's message.
pub fn resolve(text: &str, fields: Fields, style: Style) -> Result<Parsed, String> {
    let whole = |message: String| format!("Text '{text}' could not be parsed: {message}");
    let year = match (fields.get(Field::Year), fields.get(Field::YearOfEra), fields.get(Field::Era)) {
        (Some(year), _, _) => Some(year),
        (None, Some(year), Some(0)) => Some(1 - year),
        (None, year, _) => year,
    };
    let given = year.is_some();
    let year = year.unwrap_or(1970);
    let (month, day) = (fields.get(Field::Month), fields.get(Field::DayOfMonth));
    if style != Style::New {
        if style == Style::Simple {
            in_old_ranges(&fields, year)?;
        }
        return lenient_resolve(&fields, year);
    }
    range(&fields, Field::Month, 1, 12).map_err(&whole)?;
    range(&fields, Field::DayOfMonth, 1, 31).map_err(&whole)?;
    range(&fields, Field::DayOfYear, 1, 366).map_err(&whole)?;
    // What the text does not have is filled in after Java's own resolution, whose messages name the text.
    let complete = |message: String, whole_date: bool| if whole_date { whole(message) } else { message };
    let days = match fields.get(Field::DayOfYear) {
        Some(number) => {
            if month.is_some() && day.is_some() {
                checked_date(year, month.unwrap_or(1), day.unwrap_or(1)).map_err(|m| complete(m, given))?;
            }
            by_day_of_year(year, number, month, day, given).map_err(|m| complete(m, given))?
        }
        None => checked_date(year, month.unwrap_or(1), day.unwrap_or(1))
            .map_err(|m| complete(m, given && month.is_some() && day.is_some()))?,
    };
    Ok(Parsed { days, nanos_of_day: time(&fields).map_err(whole)?, zone: fields.zone })
}

fn range(fields: &Fields, field: Field, least: i64, most: i64) -> Result<(), String> {
    match fields.get(field) {
        Some(value) if !(least..=most).contains(&value) => {
            let valid = match field {
                Field::DayOfMonth => "1 - 28/31".to_string(),
                Field::DayOfYear => "1 - 365/366".to_string(),
                _ => format!("{least} - {most}"),
            };
            Err(format!("Invalid value for {} (valid values {valid}): {value}", java_name(field)))
        }
        _ => Ok(()),
    }
}

fn checked_date(year: i64, month: i64, day: i64) -> Result<i64, String> {
    checked_days(year, month, day).ok_or_else(|| {
        if day == 29 {
            return format!("Invalid date 'February 29' as '{year}' is not a leap year");
        }
        let name = usize::try_from(month - 1).ok().and_then(|i| names::MONTHS.get(i)).copied().unwrap_or_default();
        format!("Invalid date '{} {day}'", name.to_uppercase())
    })
}

fn by_day_of_year(year: i64, number: i64, month: Option<i64>, day: Option<i64>, given: bool) -> Result<i64, String> {
    if number == 366 && !is_leap(year) {
        return Err(format!("Invalid date 'DayOfYear 366' as '{year}' is not a leap year"));
    }
    let days = days_from_civil(year, 1, 1) + number - 1;
    let date = civil_from_days(days);
    let shown = format!("{year:04}-{:02}-{:02}", date.month, date.day);
    let conflict = |field: Field, derived: i64, read: i64| {
        if given {
            let name = java_name(field);
            return Err(format!(
                "Conflict found: Field {name} {derived} differs from {name} {read} derived from {shown}"
            ));
        }
        let name = java_name(field);
        Err(format!("Conflict found: Field {name} {read} differs from {name} {derived} derived from {shown}."))
    };
    match (month, day) {
        (Some(month), _) if month != i64::from(date.month) => conflict(Field::Month, i64::from(date.month), month),
        (_, Some(day)) if day != i64::from(date.day) => conflict(Field::DayOfMonth, i64::from(date.day), day),
        _ => Ok(days),
    }
}

/// What a calendar that is not lenient checks.
fn in_old_ranges(fields: &Fields, year: i64) -> Result<(), String> {
    range(fields, Field::Month, 1, 12)?;
    let month = fields.get(Field::Month).and_then(|month| u32::try_from(month).ok()).unwrap_or(1);
    range(fields, Field::DayOfMonth, 1, i64::from(month_length(year, month)))?;
    range(fields, Field::DayOfYear, 1, if is_leap(year) { 366 } else { 365 })?;
    range(fields, Field::Milli, 0, 999)?;
    TIME_RANGES.iter().try_for_each(|(field, least, most)| range(fields, *field, *least, *most))
}

const TIME_RANGES: &[(Field, i64, i64)] = &[
    (Field::HourOfDay, 0, 23),
    (Field::ClockHourOfDay, 1, 24),
    (Field::HourOfAmPm, 0, 11),
    (Field::ClockHourOfAmPm, 1, 12),
    (Field::Minute, 0, 59),
    (Field::Second, 0, 59),
];

fn time(fields: &Fields) -> Result<i64, String> {
    for (field, least, most) in TIME_RANGES {
        range(fields, *field, *least, *most)?;
    }
    let half = fields.get(Field::AmPm);
    let half_day = fields.get(Field::HourOfAmPm).or(fields.get(Field::ClockHourOfAmPm).map(|h| h % 12));
    let hour = match (fields.get(Field::HourOfDay), fields.get(Field::ClockHourOfDay), half_day) {
        (Some(hour), _, _) => {
            if let Some(half) = half.filter(|half| *half != hour / 12) {
                return Err(format!(
                    "Conflict found: Field AmPmOfDay {} differs from AmPmOfDay {half} derived from {hour:02}:00",
                    hour / 12
                ));
            }
            hour
        }
        (None, Some(hour), _) => hour % 24,
        (None, None, Some(hour)) => hour + 12 * half.unwrap_or(0),
        (None, None, None) => 12 * half.unwrap_or(0),
    };
    let at = |field| fields.get(field).unwrap_or(0);
    checked_nanos(hour, at(Field::Minute), at(Field::Second), at(Field::Nano)).ok_or_else(|| "Invalid time".to_string())
}

/// The old parser lets values overflow into the next larger field.
fn lenient_resolve(fields: &Fields, year: i64) -> Result<Parsed, String> {
    let months = year * 12 + fields.get(Field::Month).unwrap_or(1) - 1;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) as u32 + 1);
    let first = days_from_civil(year, month, 1);
    let days = match fields.get(Field::DayOfYear) {
        Some(number) if fields.get(Field::Month).is_none() => days_from_civil(year, 1, 1) + number - 1,
        _ => first + fields.get(Field::DayOfMonth).unwrap_or(1) - 1,
    };
    let half = fields.get(Field::AmPm).unwrap_or(0) * 12;
    let hour = fields
        .get(Field::HourOfDay)
        .or(fields.get(Field::ClockHourOfDay).map(|h| if h == 24 { 0 } else { h }))
        .or(fields.get(Field::HourOfAmPm).map(|h| h + half))
        .or(fields.get(Field::ClockHourOfAmPm).map(|h| if h == 12 { half } else { h + half }))
        .unwrap_or(half);
    let at = |field| fields.get(field).unwrap_or(0);
    let seconds = (hour * 60 + at(Field::Minute)) * 60 + at(Field::Second);
    let nanos = i128::from(seconds) * i128::from(NANOS_PER_SECOND) + i128::from(at(Field::Nano));
    let nanos = nanos + i128::from(at(Field::Milli)) * 1_000_000;
    let day = i128::from(NANOS_PER_DAY);
    let carried = i64::try_from(nanos.div_euclid(day)).map_err(|_| "too large".to_string())?;
    Ok(Parsed { days: days + carried, nanos_of_day: nanos.rem_euclid(day) as i64, zone: fields.zone })
}
