//! The legacy `interval` value: months, days and microseconds, each with a sign of its own.
use arrow::datatypes::IntervalMonthDayNano;
use firesteel_plan::{Result, SparkError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CalendarInterval {
    pub months: i32,
    pub days: i32,
    pub microseconds: i64,
}

impl CalendarInterval {
    pub fn new(months: i32, days: i32, microseconds: i64) -> Self {
        Self { months, days, microseconds }
    }

    /// Errors where the time part does not fit in 64 bits of nanoseconds, which is what Arrow stores.
    pub fn to_arrow(self) -> Result<IntervalMonthDayNano> {
        let nanos = self.microseconds.checked_mul(1000).ok_or_else(overflow)?;
        Ok(IntervalMonthDayNano::new(self.months, self.days, nanos))
    }

    pub fn from_arrow(value: IntervalMonthDayNano) -> Self {
        Self { months: value.months, days: value.days, microseconds: value.nanoseconds / 1000 }
    }
}

/// `ARITHMETIC_OVERFLOW` as the checked arithmetic of a long gives it.
pub fn overflow() -> SparkError {
    SparkError::new(
        "ARITHMETIC_OVERFLOW",
        [("message", "long overflow"), ("alternative", ""), ("config", "\"spark.sql.ansi.enabled\"")],
    )
}

/// `INTERVAL_ARITHMETIC_OVERFLOW`, with the function that gives NULL instead where there is one.
pub fn interval_overflow(suggestion: Option<&str>) -> SparkError {
    match suggestion {
        Some(name) => {
            SparkError::new("INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION", [("functionName", format!("`{name}`"))])
        }
        None => SparkError::of("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION"),
    }
}
