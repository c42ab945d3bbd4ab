//! What values a key takes.
use firesteel_plan::{Result, SparkError};

use crate::parse;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    Boolean,
    Int,
    PositiveInt,
    Long,
    PositiveLong,
    Double,
    /// A size; a bare number counts bytes
    Bytes,
    /// A size; a bare number counts MiB
    Mebibytes,
    /// A duration; a bare number counts seconds
    Seconds,
    /// A duration; a bare number counts milliseconds
    Milliseconds,
    /// A time zone
    Zone,
    /// One of these words (`a|b`), in any case
    OneOf(&'static str),
}

impl Kind {
    pub(crate) fn parse(text: &'static str) -> Self {
        match text {
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "positive int" => Self::PositiveInt,
            "long" => Self::Long,
            "positive long" => Self::PositiveLong,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "mebibytes" => Self::Mebibytes,
            "seconds" => Self::Seconds,
            "milliseconds" => Self::Milliseconds,
            "zone" => Self::Zone,
            other => other.strip_prefix("one of ").map_or(Self::Text, Self::OneOf),
        }
    }

    /// The type's name in Spark's messages.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Text | Self::Zone | Self::OneOf(_) => "string",
            Self::Boolean => "boolean",
            Self::Int | Self::PositiveInt => "int",
            Self::Long | Self::PositiveLong => "long",
            Self::Double => "double",
            Self::Bytes => "bytes in BYTE",
            Self::Mebibytes => "bytes in MiB",
            Self::Seconds => "time in SECONDS",
            Self::Milliseconds => "time in MILLISECONDS",
        }
    }

    pub(crate) fn check(self, name: &str, value: &str) -> Result<()> {
        let trimmed = value.trim();
        let reads = match self {
            Self::Text => true,
            Self::Boolean => ["true", "false"].iter().any(|word| trimmed.eq_ignore_ascii_case(word)),
            Self::Int | Self::PositiveInt => trimmed.parse::<i32>().is_ok(),
            Self::Long | Self::PositiveLong => trimmed.parse::<i64>().is_ok(),
            Self::Double => trimmed.parse::<f64>().is_ok(),
            Self::Bytes | Self::Mebibytes => parse::bytes(trimmed.trim_start_matches('-')).is_some(),
            Self::Seconds | Self::Milliseconds => parse::duration(trimmed.trim_start_matches('-')).is_some(),
            Self::Zone => return check_zone(name, value),
            Self::OneOf(options) => return check_option(name, value, options),
        };
        if !reads {
            return Err(fault("TYPE_MISMATCH", name, value, Some(("confType", self.type_name().into()))));
        }
        if matches!(self, Self::PositiveInt | Self::PositiveLong)
            && trimmed.starts_with(['-', '0'])
            && !is_positive(trimmed)
        {
            let requirement = format!("The value of {name} must be positive");
            return Err(fault("REQUIREMENT", name, value, Some(("confRequirement", requirement))));
        }
        Ok(())
    }
}

fn is_positive(number: &str) -> bool {
    number.parse::<i64>().is_ok_and(|number| number > 0)
}

fn check_zone(name: &str, value: &str) -> Result<()> {
    match firesteel_functions::datetime::zone::parse_zone(value) {
        Some(_) => Ok(()),
        None => Err(fault("TIME_ZONE", name, value, None)),
    }
}

fn check_option(name: &str, value: &str, options: &str) -> Result<()> {
    if options.split('|').any(|option| option.eq_ignore_ascii_case(value)) {
        return Ok(());
    }
    Err(fault("OUT_OF_RANGE_OF_OPTIONS", name, value, Some(("confOptions", options.replace('|', ", ")))))
}

fn fault(sub_condition: &str, name: &str, value: &str, more: Option<(&str, String)>) -> SparkError {
    let mut parameters = vec![("confName", name.to_string()), ("confValue", value.to_string())];
    parameters.extend(more);
    SparkError::new(format!("INVALID_CONF_VALUE.{sub_condition}"), parameters)
}
