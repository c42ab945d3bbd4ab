//! The proleptic Gregorian calendar on plain integers, without the year limits of a date library.
//! Days count from 1970-01-01, microseconds and nanoseconds from its midnight.

pub const MICROS_PER_MILLI: i64 = 1_000;
pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
pub const SECONDS_PER_DAY: i64 = 86_400;
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;
pub const NANOS_PER_DAY: i64 = SECONDS_PER_DAY * NANOS_PER_SECOND;

/// A calendar date. `month` and `day` count from 1; year 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    pub year: i64,
    pub month: u32,
    pub day: u32,
}

/// A wall-clock time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub nano: u32,
}

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month, 28 to 31.
#[inline]
pub fn month_length(year: i64, month: u32) -> u32 {
    match month {
        2 => 28 + u32::from(is_leap(year)),
        // 31 and 30 take turns, but for July and August, which both have 31.
        _ => 30 + ((month + month / 8) & 1),
    }
}

/// Days since the epoch of a valid date.
#[inline]
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    // Years start in March here, so that the leap day is the last one.
    let is_before_march = month <= 2;
    let year = year - i64::from(is_before_march);
    let month = if is_before_march { month + 12 } else { month };
    let day_of_year = (979 * month - 2919) / 32 + day - 1;
    let days_before = match u32::try_from(year - NEAR_START_YEAR) {
        Ok(year) if year < NEAR_DAYS / 366 => {
            let century = year / 100;
            i64::from(1461 * (year / 4) + 365 * (year % 4) - century + century / 4) - 82 * 146_097
        }
        _ => year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400),
    };
    days_before + i64::from(day_of_year) - 719_468
}

/// The near dates are counted from the first of March of this year, and are this many.
const NEAR_START_YEAR: i64 = -82 * 400;
const NEAR_START: i64 = 82 * 146_097 + 719_468;
const NEAR_DAYS: u32 = 1 << 30;

/// The date of a day number.
#[inline]
pub fn civil_from_days(days: i64) -> Civil {
    match u32::try_from(days.wrapping_add(NEAR_START)) {
        Ok(day) if day < NEAR_DAYS => near_civil(day),
        _ => far_civil(days),
    }
}

/// The same in few multiplications of 32 bits: a number of days times 4, over the days of 4 centuries or of 4 years, is a
/// count of centuries or years, and what remains over 4 is the day in it; the months from March on have 30.6 days.
/// (The constants are those of Neri and Schneider, "Euclidean affine functions and applications to calendar algorithms".)
#[inline]
fn near_civil(day: u32) -> Civil {
    let quarter_days = 4 * day + 3;
    let century = quarter_days / 146_097;
    let day_of_century = quarter_days % 146_097 / 4;
    // Over 1461, as a product whose upper half is the year and whose lower half is the part of it that has passed.
    let years = 2_939_745 * u64::from(4 * day_of_century + 3);
    let year_of_century = (years >> 32) as u32;
    let day_of_year = years as u32 / 2_939_745 / 4;
    let months = 2141 * day_of_year + 197_913;
    let after_december = day_of_year >= 306;
    Civil {
        year: i64::from(100 * century + year_of_century + u32::from(after_december)) + NEAR_START_YEAR,
        month: (months >> 16) - if after_december { 12 } else { 0 },
        day: (months & 0xffff) / 2141 + 1,
    }
}

fn far_civil(days: i64) -> Civil {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year, month, day }
}

/// Days since the epoch if that date exists.
pub fn checked_days(year: i64, month: i64, day: i64) -> Option<i64> {
    let month = u32::try_from(month).ok().filter(|m| (1..=12).contains(m))?;
    let day = u32::try_from(day).ok().filter(|d| (1..=month_length(year, month)).contains(d))?;
    Some(days_from_civil(year, month, day))
}

/// 1 to 366.
pub fn day_of_year(days: i64) -> i32 {
    let date = civil_from_days(days);
    (days - days_from_civil(date.year, 1, 1) + 1) as i32
}

/// ISO: Monday is 1, Sunday is 7.
#[inline]
pub fn iso_day_of_week(days: i64) -> i32 {
    ((days + 3).rem_euclid(7) + 1) as i32
}

/// ISO week-based year and week (1 to 53).
pub fn iso_week(days: i64) -> (i64, i32) {
    // The week belongs to the year of its Thursday.
    let thursday = days + 4 - i64::from(iso_day_of_week(days));
    let year = civil_from_days(thursday).year;
    (year, ((thursday - days_from_civil(year, 1, 1)) / 7 + 1) as i32)
}

/// The same day `months` later, or the last one of that month.
#[inline]
pub fn add_months(days: i64, months: i64) -> i64 {
    let date = civil_from_days(days);
    let total = date.year * 12 + i64::from(date.month) - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) as u32 + 1);
    days_from_civil(year, month, date.day.min(month_length(year, month)))
}

/// Day number and microsecond of day.
pub fn split_micros(micros: i64) -> (i64, i64) {
    (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY))
}

/// Microseconds since the epoch; `None` beyond 64 bits.
pub fn join_micros(days: i64, micros_of_day: i64) -> Option<i64> {
    i64::try_from(i128::from(days) * i128::from(MICROS_PER_DAY) + i128::from(micros_of_day)).ok()
}

pub fn time_of_day(nanos_of_day: i64) -> TimeOfDay {
    let seconds = nanos_of_day.div_euclid(NANOS_PER_SECOND);
    TimeOfDay {
        hour: (seconds / 3600) as u32,
        minute: (seconds / 60 % 60) as u32,
        second: (seconds % 60) as u32,
        nano: nanos_of_day.rem_euclid(NANOS_PER_SECOND) as u32,
    }
}

/// Nanoseconds since midnight if that time exists.
pub fn checked_nanos(hour: i64, minute: i64, second: i64, nano: i64) -> Option<i64> {
    let ok = (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..NANOS_PER_SECOND).contains(&nano);
    ok.then(|| ((hour * 60 + minute) * 60 + second) * NANOS_PER_SECOND + nano)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_round_trip_far_beyond_four_digit_years() {
        for days in (-2_200_000_000i64..2_200_000_000).step_by(7_919_831).chain(-200_000..200_000) {
            let date = civil_from_days(days);
            assert_eq!(date, far_civil(days));
            assert_eq!(days_from_civil(date.year, date.month, date.day), days);
        }
        for edge in [-NEAR_START, i64::from(NEAR_DAYS) - NEAR_START] {
            assert_eq!(civil_from_days(edge - 1), far_civil(edge - 1));
            assert_eq!(civil_from_days(edge), far_civil(edge));
        }
        let lengths = (1..=12).map(|month| month_length(2024, month)).collect::<Vec<_>>();
        assert_eq!(lengths, [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]);
        assert_eq!(civil_from_days(0), Civil { year: 1970, month: 1, day: 1 });
        assert_eq!(iso_week(days_from_civil(2021, 1, 3)), (2020, 53));
        assert_eq!(add_months(days_from_civil(2020, 1, 31), 1), days_from_civil(2020, 2, 29));
    }
}
