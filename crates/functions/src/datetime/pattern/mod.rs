//! Java's `DateTimeFormatter` patterns with Spark's rules on top.
//!
//! ```text
//!  text of the pattern ──compile──▶ Pattern(items) ──format──▶ text
//!                                        └──────────parse───▶ fields ──resolve──▶ days, nanoseconds, zone
//! ```
mod compile;
mod format;
mod names;
mod parse;
mod resolve;

use firesteel_plan::{Result, SparkError};

pub use format::{Moment, moment};
pub use resolve::Parsed;

/// What a pattern letter stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    Era,
    Year,
    YearOfEra,
    Quarter,
    Month,
    DayOfMonth,
    DayOfYear,
    DayOfWeek,
    /// Day of week counted from the first of the month, from 1
    AlignedDay,
    AmPm,
    HourOfDay,
    ClockHourOfDay,
    HourOfAmPm,
    ClockHourOfAmPm,
    Minute,
    Second,
    Nano,
}

/// How a sign is written and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Normal,
    NotNegative,
    /// A plus sign where there are more digits than asked for
    ExceedsPad,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Literal(String),
    Number {
        field: Field,
        min: usize,
        max: usize,
        sign: Sign,
        /// Digits of the fixed-width numbers right after this one
        reserved: usize,
    },
    /// Two digits of a year from 2000 on
    TwoDigitYear {
        field: Field,
        reserved: usize,
    },
    Text {
        field: Field,
        full: bool,
    },
    Fraction {
        min: usize,
        max: usize,
    },
    ZoneId,
    ZoneName {
        full: bool,
    },
    /// `pattern`: 0 `+HHmm`, 1 `+HHMM`, 2 `+HH:MM`, 3 `+HHMMss`, 4 `+HH:MM:ss`
    Offset {
        pattern: usize,
        zero: &'static str,
    },
    LocalizedOffset {
        full: bool,
    },
    Optional(Vec<Item>),
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    items: Vec<Item>,
    /// Read as `SimpleDateFormat` does: any number of digits, values that overflow, text left over
    lenient: bool,
}

/// `spark.sql.legacy.timeParserPolicy`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    Corrected,
    Exception,
    Legacy,
}

impl Policy {
    pub fn of(context: &crate::EvalContext) -> Self {
        match context.get("spark.sql.legacy.timeParserPolicy") {
            Some(v) if v.eq_ignore_ascii_case("LEGACY") => Self::Legacy,
            Some(v) if v.eq_ignore_ascii_case("EXCEPTION") => Self::Exception,
            _ => Self::Corrected,
        }
    }
}

const POLICY_KEY: &str = "\"spark.sql.legacy.timeParserPolicy\"";
const DOCROOT: &str = "https://spark.apache.org/docs/latest";

impl Pattern {
    /// Errors with `INVALID_DATETIME_PATTERN` or `INCONSISTENT_BEHAVIOR_CROSS_VERSION` as Spark does.
    pub fn new(text: &str, parsing: bool, policy: Policy) -> Result<Self> {
        let lenient = policy == Policy::Legacy;
        match compile::compile(text, parsing, lenient) {
            Ok(items) => Ok(Self { items, lenient }),
            Err(_) if !lenient && compile::is_simple_date_format(text) => Err(SparkError::new(
                "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION",
                [
                    ("pattern", format!("'{text}'")),
                    ("config", POLICY_KEY.to_string()),
                    ("docroot", DOCROOT.to_string()),
                ],
            )),
            Err(error) => Err(error),
        }
    }

    pub fn format(&self, moment: &Moment<'_>) -> Result<String, String> {
        let mut out = String::new();
        format::items(&self.items, moment, &mut out)?;
        Ok(out)
    }

    /// Errors with Java's message.
    pub fn parse(&self, text: &str) -> Result<Parsed, String> {
        let fields = parse::parse(&self.items, text, self.lenient)?;
        resolve::resolve(text, fields, self.lenient)
    }
}

/// `INCONSISTENT_BEHAVIOR_CROSS_VERSION.PARSE_DATETIME_BY_NEW_PARSER`: the old parser reads what the new one refuses.
pub fn parsed_by_old(text: &str) -> SparkError {
    SparkError::new(
        "INCONSISTENT_BEHAVIOR_CROSS_VERSION.PARSE_DATETIME_BY_NEW_PARSER",
        [("datetime", format!("'{text}'")), ("config", POLICY_KEY.to_string())],
    )
}
