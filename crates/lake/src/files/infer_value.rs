//! Partition values: the type of a directory's text, and the text as a value of a type.
use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, StringArray};
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::compute::{CastOptions, cast_with_options};
use chrono::NaiveDate;
use datafusion::common::ScalarValue;
use firesteel_functions::types::to_arrow;
use firesteel_plan::{DataType, Result, SparkError};
use std::sync::Arc;

/// The narrowest type that Spark gives a partition value.
pub(super) fn infer_type(text: &str) -> DataType {
    infer_number(text).or_else(|| infer_time(text)).unwrap_or(DataType::STRING)
}

fn infer_number(text: &str) -> Option<DataType> {
    if text.parse::<i32>().is_ok() {
        return Some(DataType::Integer);
    }
    if text.parse::<i64>().is_ok() {
        return Some(DataType::Long);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.is_empty() && digits.len() <= 38 && digits.bytes().all(|b| b.is_ascii_digit()) {
        let significant = digits.trim_start_matches('0').len().max(1);
        return u8::try_from(significant).ok().map(|precision| DataType::Decimal(precision, 0));
    }
    is_double(text).then_some(DataType::Double)
}

/// Java's notation without a type suffix.
fn is_double(text: &str) -> bool {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    matches!(unsigned, "NaN" | "Infinity")
        || (unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') && text.parse::<f64>().is_ok())
}

fn infer_time(text: &str) -> Option<DataType> {
    if text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() {
        return Some(DataType::Date);
    }
    let (date, time) = text.split_once(' ')?;
    let has_time =
        date.len() == 10 && time.len() >= 8 && time.as_bytes().iter().all(|b| b.is_ascii_digit() || b":.".contains(b));
    (has_time && parse_timestamp(text, &firesteel_functions::context::time_zone_or_utc("UTC")).is_some())
        .then_some(DataType::Timestamp)
}

fn parse_timestamp(text: &str, zone: &Tz) -> Option<i64> {
    string_to_datetime(zone, text).ok().map(|time| time.timestamp_micros())
}

/// The type that holds values of both, as Spark widens partition columns. STRING holds anything.
pub(super) fn widen(left: &DataType, right: &DataType) -> DataType {
    use DataType::{Date, Decimal, Double, Integer, Long, Null, Timestamp};
    match (left, right) {
        (a, b) if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (Integer, Long) | (Long, Integer) => Long,
        (Integer, Double) | (Double, Integer) => Double,
        (Integer, Decimal(p, 0)) | (Decimal(p, 0), Integer) => Decimal((*p).max(10), 0),
        (Long, Decimal(p, 0)) | (Decimal(p, 0), Long) => Decimal((*p).max(20), 0),
        (Decimal(p, 0), Decimal(q, 0)) => Decimal((*p).max(*q), 0),
        (Date, Timestamp) | (Timestamp, Date) => Timestamp,
        _ => DataType::STRING,
    }
}

/// A directory's text as a value of the column's type. `None` is null.
pub fn cast_partition_value(column: &str, text: Option<&str>, to: &DataType, zone: &Tz) -> Result<ScalarValue> {
    let arrow_type = to_arrow(to);
    let Some(text) = text else {
        return ScalarValue::try_from(&arrow_type).map_err(|_| cannot_cast(column, "null", to));
    };
    match to {
        t if t.is_string() => Ok(ScalarValue::Utf8(Some(text.to_string()))),
        DataType::Timestamp => {
            let micros = parse_timestamp(text, zone).ok_or_else(|| cannot_cast(column, text, to))?;
            Ok(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
        }
        DataType::Binary => Ok(ScalarValue::Binary(Some(text.as_bytes().to_vec()))),
        _ => {
            let array: ArrayRef = Arc::new(StringArray::from(vec![text.trim()]));
            let options = CastOptions { safe: false, ..CastOptions::default() };
            let cast = cast_with_options(&array, &arrow_type, &options);
            let cast = cast.map_err(|e| cannot_cast(column, text, to).with_cause(e))?;
            ScalarValue::try_from_array(&cast, 0).map_err(|e| cannot_cast(column, text, to).with_cause(e))
        }
    }
}

fn cannot_cast(column: &str, text: &str, to: &DataType) -> SparkError {
    let message = format!("Failed to cast value `{text}` to `{}` for partition column `{column}`", to.sql());
    SparkError::new("_LEGACY_ERROR_TEMP_2058", [("message", message)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_values() {
        for (text, expected) in [
            ("1", DataType::Integer),
            ("01", DataType::Integer),
            ("-3000000000", DataType::Long),
            ("12345678901234567890", DataType::Decimal(20, 0)),
            ("1.5", DataType::Double),
            ("1.5d", DataType::STRING),
            ("NaN", DataType::Double),
            ("nan", DataType::STRING),
            ("2020-02-30", DataType::STRING),
            ("2020-02-28", DataType::Date),
            ("2020-02-28 12:00:00", DataType::Timestamp),
            ("a", DataType::STRING),
        ] {
            assert_eq!(infer_type(text), expected, "{text}");
        }
    }
}
