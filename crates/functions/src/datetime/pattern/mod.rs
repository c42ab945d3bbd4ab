//! Java's `DateTimeFormatter` patterns with Spark's rules on top.
//!
//! ```text
//!  text of the pattern ──compile──▶ Pattern(items) ──format──▶ text
//!                                        ├──────────parse───▶ fields ──resolve──▶ days, nanoseconds, zone
//!                                        └─fixed: both at once, for the patterns that are simple enough
//! ```
mod compile;
mod fixed;
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
    /// Thousandths of a second as a number: `SimpleDateFormat` reads `12` in `SSSS` as 12 of them
    Milli,
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
    style: Style,
    fixed: Option<fixed::Fixed>,
}

/// The formatter that a pattern is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `DateTimeFormatter`
    New,
    /// `SimpleDateFormat`, not lenient: any number of digits and text left over, but no values that overflow
    Simple,
    /// The old formatter of CSV and JSON: values overflow into the next larger field, `S` is a fraction
    Fast,
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
        Self::named(context.get("spark.sql.legacy.timeParserPolicy"))
    }

    /// From the key's value.
    pub fn named(value: Option<&str>) -> Self {
        match value {
            Some(v) if v.eq_ignore_ascii_case("LEGACY") => Self::Legacy,
            Some(v) if v.eq_ignore_ascii_case("EXCEPTION") => Self::Exception,
            _ => Self::Corrected,
        }
    }
}

const POLICY_KEY: &str = "\"spark.sql.legacy.timeParserPolicy\"";
const DOCROOT: &str = "https://spark.apache.org/docs/latest";

const INVALID_PATTERN: &str = "INVALID_DATETIME_PATTERN";

impl Pattern {
    /// Errors with `INVALID_DATETIME_PATTERN` or `INCONSISTENT_BEHAVIOR_CROSS_VERSION` as Spark does.
    pub fn new(text: &str, parsing: bool, policy: Policy) -> Result<Self> {
        let style = if policy == Policy::Legacy { Style::Simple } else { Style::New };
        Self::of_style(text, parsing, style)
    }

    /// As [`Self::new`], for the records of CSV, JSON and XML.
    pub fn for_records(text: &str, parsing: bool, policy: Policy) -> Result<Self> {
        let style = if policy == Policy::Legacy { Style::Fast } else { Style::New };
        Self::of_style(text, parsing, style)
    }

    /// For timestamps without a zone, which the old formatters never read or wrote.
    pub fn without_zone(text: &str, parsing: bool) -> Result<Self> {
        let compiled = compile::compile(text, parsing, Style::New).map_err(|error| match error.is(INVALID_PATTERN) {
            true => compile::invalid(text),
            false => error,
        });
        compiled.map(|items| Self::compiled(items, Style::New))
    }

    fn compiled(items: Vec<Item>, style: Style) -> Self {
        // The old formatters take more than the exact text, and other values.
        let fixed = if style == Style::New { fixed::Fixed::of(&items) } else { None };
        Self { items, style, fixed }
    }

    fn of_style(text: &str, parsing: bool, style: Style) -> Result<Self> {
        match compile::compile(text, parsing, style) {
            Ok(items) => Ok(Self::compiled(items, style)),
            Err(_) if style == Style::New && compile::is_simple_date_format(text) => Err(SparkError::new(
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
        self.push(moment, &mut out)?;
        Ok(out)
    }

    /// As [`Self::format`], appended to `out`.
    pub fn push(&self, moment: &Moment<'_>, out: &mut String) -> Result<(), String> {
        match self.fixed.as_ref().and_then(|fixed| fixed.format(moment, out)) {
            Some(()) => Ok(()),
            None => format::items(&self.items, moment, out),
        }
    }

    /// Errors with Java's message.
    pub fn parse(&self, text: &str) -> Result<Parsed, String> {
        if let Some(parsed) = self.fixed.as_ref().and_then(|fixed| fixed.parse(text)) {
            return Ok(parsed);
        }
        let old = self.style != Style::New;
        let parsed = parse::parse(&self.items, text, old).and_then(|fields| resolve::resolve(text, fields, self.style));
        parsed.map_err(|message| if old { format!("Unparseable date: \"{text}\"") } else { message })
    }
}

/// `INCONSISTENT_BEHAVIOR_CROSS_VERSION.PARSE_DATETIME_BY_NEW_PARSER`: the old parser reads what the new one refuses.
pub fn parsed_by_old(text: &str) -> SparkError {
    SparkError::new(
        "INCONSISTENT_BEHAVIOR_CROSS_VERSION.PARSE_DATETIME_BY_NEW_PARSER",
        [("datetime", format!("'{text}'")), ("config", POLICY_KEY.to_string())],
    )
}
