//! What the statistics of a column say of its values as Spark reads them. Of what is not certain nothing is said, so that
//! nothing is left out by it.
use std::cmp::Ordering;

use datafusion::common::ScalarValue;
use firesteel_functions::datetime::calendar::MICROS_PER_DAY;
use firesteel_plan::DataType;
use orc_rust::proto::r#type::Kind;
use orc_rust::proto::{ColumnStatistics, Type};

use super::calendar::Times;
use super::footer::OrcFile;
use super::write::WRITER;

/// Writers by the numbers that the format gives them.
const JAVA: u32 = 0;
const CPP: u32 = 1;
const PRESTO: u32 = 2;
const TRINO: u32 = 4;
/// Versions of the Java writer (Hive's and Spark's). Before it, the bounds of stripes and files were wrong …
const HIVE_8732: u32 = 1;
/// … before it, times were those of an unknown zone, and with it, bounds of small decimals are wrong.
const ORC_135: u32 = 6;

/// Which statistics of a file hold, by what wrote it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trust {
    any: bool,
    times: bool,
    decimals: bool,
}

impl Trust {
    pub(super) fn of_file(file: &OrcFile) -> Self {
        Self::of(file.footer.writer(), file.writer_version)
    }

    fn of(writer: u32, version: u32) -> Self {
        match writer {
            JAVA => Self { any: version >= HIVE_8732, times: version >= ORC_135, decimals: version != ORC_135 },
            CPP | PRESTO | TRINO | WRITER => Self { any: true, times: true, decimals: true },
            _ => Self { any: false, times: false, decimals: false },
        }
    }
}

/// How the statistics of one column of a file are read.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    kind: Kind,
    data_type: DataType,
    times: Times,
}

impl Bounds {
    /// `stored`: the type in the file, `stored_as`: Spark's name for it, `wanted`: the table's type. `None`: the
    /// statistics are of no use.
    pub(super) fn of(
        stored: &Type,
        stored_as: &DataType,
        wanted: &DataType,
        times: Times,
        trust: Trust,
    ) -> Option<Self> {
        let is_same = stored_as == wanted || (*stored_as == DataType::STRING && matches!(wanted, DataType::Varchar(_)));
        let kind = stored.kind();
        let is_trusted = match kind {
            Kind::Boolean | Kind::Byte | Kind::Short | Kind::Int | Kind::Long | Kind::Float | Kind::Double => true,
            Kind::String | Kind::Binary | Kind::Date => true,
            Kind::Timestamp | Kind::TimestampInstant => trust.times,
            Kind::Decimal => trust.decimals,
            // Writers do not agree on what a padded text is; of nested values nothing is asked.
            Kind::Char | Kind::Varchar | Kind::List | Kind::Map | Kind::Struct | Kind::Union => false,
        };
        (is_same && is_trusted && trust.any).then(|| Self { kind, data_type: wanted.clone(), times })
    }

    /// How many of `rows` values are null.
    pub(super) fn nulls(&self, statistics: &ColumnStatistics, rows: u64) -> Option<u64> {
        let nulls = rows.checked_sub(statistics.number_of_values?)?;
        // Where both do not say the same, neither is believed.
        (statistics.has_null? == (nulls > 0)).then_some(nulls)
    }

    /// Values that no value of the column is below and above.
    pub(super) fn range(&self, statistics: &ColumnStatistics) -> Option<(ScalarValue, ScalarValue)> {
        let values = statistics.number_of_values();
        let (min, max) = if values == 0 { None } else { self.bounds(statistics, values) }?;
        let is_range = matches!(min.partial_cmp(&max), Some(Ordering::Less | Ordering::Equal));
        is_range.then_some((min, max))
    }

    fn bounds(&self, statistics: &ColumnStatistics, values: u64) -> Option<(ScalarValue, ScalarValue)> {
        match (&self.data_type, self.kind) {
            (DataType::Boolean, _) => {
                let [trues] = statistics.bucket_statistics.as_ref()?.count[..] else { return None };
                Some((ScalarValue::Boolean(Some(trues == values)), ScalarValue::Boolean(Some(trues > 0))))
            }
            (DataType::Byte, _) => integers(statistics, |v| Some(ScalarValue::Int8(Some(v.try_into().ok()?)))),
            (DataType::Short, _) => integers(statistics, |v| Some(ScalarValue::Int16(Some(v.try_into().ok()?)))),
            (DataType::Integer, _) => integers(statistics, |v| Some(ScalarValue::Int32(Some(v.try_into().ok()?)))),
            (DataType::Long, _) => integers(statistics, |v| Some(ScalarValue::Int64(Some(v)))),
            (DataType::TimestampNtz, Kind::Long) => {
                integers(statistics, |v| Some(ScalarValue::TimestampMicrosecond(Some(v), None)))
            }
            (DataType::String(_) | DataType::Varchar(_), _) => {
                let found = statistics.string_statistics.as_ref()?;
                // Of long texts there are only texts that are less and more than all.
                let min = found.minimum.as_ref().or(found.lower_bound.as_ref())?;
                let max = found.maximum.as_ref().or(found.upper_bound.as_ref())?;
                Some((ScalarValue::Utf8(Some(min.clone())), ScalarValue::Utf8(Some(max.clone()))))
            }
            (DataType::Date, _) => {
                let found = statistics.date_statistics.as_ref()?;
                let day = |days: i32| ScalarValue::Date32(Some(self.times.day(days)));
                Some((day(found.minimum?), day(found.maximum?)))
            }
            (DataType::Decimal(precision, scale), _) => {
                let found = statistics.decimal_statistics.as_ref()?;
                let value = |text: &Option<String>| {
                    let value = unscaled(text.as_deref()?, *scale)?;
                    Some(ScalarValue::Decimal128(Some(value), *precision, *scale))
                };
                Some((value(&found.minimum)?, value(&found.maximum)?))
            }
            (DataType::Timestamp, _) => {
                let found = statistics.timestamp_statistics.as_ref()?;
                Some((self.instant(found.minimum_utc?, -1)?, self.instant(found.maximum_utc?, 1)?))
            }
            // Of floating-point numbers NaN is in no bounds, and filters compare what they are made equal to.
            _ => None,
        }
    }

    /// An instant that is a day before (-1) or after (1) a time of the statistics. The writer's rules of its zone may have
    /// been others than ours, and wall-clock times do not all follow each other as their instants do: by no more than a day.
    fn instant(&self, millis: i64, days: i64) -> Option<ScalarValue> {
        let micros = millis.checked_mul(1000)?.checked_add(days * MICROS_PER_DAY)?;
        let instant = self.times.instant(micros, self.kind == Kind::Timestamp)?;
        Some(ScalarValue::TimestampMicrosecond(Some(instant), Some("UTC".into())))
    }
}

fn integers(
    statistics: &ColumnStatistics,
    value: impl Fn(i64) -> Option<ScalarValue>,
) -> Option<(ScalarValue, ScalarValue)> {
    let found = statistics.int_statistics.as_ref()?;
    Some((value(found.minimum?)?, value(found.maximum?)?))
}

/// `12.5` at scale 2 is 1250; `None` where the text is not exactly such a number.
fn unscaled(text: &str, scale: i8) -> Option<i128> {
    let scale = usize::try_from(scale).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = !digits.is_empty() && is_number(digits) && is_number(fraction) && fraction.len() <= scale;
    is_plain.then(|| format!("{whole}{fraction:0<scale$}").parse().ok())?
}

#[cfg(test)]
mod tests {
    use firesteel_functions::datetime::zone::{Zone, parse_zone};
    use orc_rust::proto::{BucketStatistics, DateStatistics, StringStatistics, TimestampStatistics};

    use super::*;

    const TRUSTED: Trust = Trust { any: true, times: true, decimals: true };

    fn bounds(kind: Kind, data_type: DataType, zone: &str) -> Bounds {
        let times = Times { julian: true, zone: Zone::new(&parse_zone(zone).unwrap()) };
        let stored = Type { kind: Some(kind.into()), ..Type::default() };
        Bounds::of(&stored, &data_type, &data_type, times, TRUSTED).unwrap()
    }

    fn of_values(count: u64) -> ColumnStatistics {
        ColumnStatistics { number_of_values: Some(count), ..ColumnStatistics::default() }
    }

    #[test]
    fn writers_with_mistakes_are_not_believed() {
        let trust = |any, times, decimals| Trust { any, times, decimals };
        assert!(!Trust::of(JAVA, 0).any && Trust::of(JAVA, 1).any);
        assert_eq!(Trust::of(JAVA, 5), trust(true, false, true));
        assert_eq!(Trust::of(JAVA, 6), trust(true, true, false));
        assert_eq!(Trust::of(JAVA, 9), TRUSTED);
        assert_eq!(Trust::of(CPP, 6), TRUSTED);
        assert_eq!(Trust::of(WRITER, WRITER), TRUSTED);
        assert!(!Trust::of(3, 6).any);
    }

    #[test]
    fn columns_that_are_read_as_another_type_have_no_bounds() {
        let times = Times { julian: false, zone: Zone::new(&parse_zone("UTC").unwrap()) };
        let of = |kind: Kind, stored: &DataType, wanted: &DataType| {
            Bounds::of(&Type { kind: Some(kind.into()), ..Type::default() }, stored, wanted, times, TRUSTED).is_some()
        };
        assert!(of(Kind::Int, &DataType::Integer, &DataType::Integer));
        assert!(!of(Kind::Int, &DataType::Integer, &DataType::Long));
        assert!(of(Kind::String, &DataType::STRING, &DataType::Varchar(3)));
        assert!(!of(Kind::Char, &DataType::STRING, &DataType::STRING));
        assert!(!of(Kind::String, &DataType::STRING, &DataType::Char(3)));
    }

    #[test]
    fn nulls_are_counted_where_both_numbers_agree() {
        let text = bounds(Kind::String, DataType::STRING, "UTC");
        let of = |values, has_null| ColumnStatistics { has_null, ..of_values(values) };
        assert_eq!(text.nulls(&of(7, Some(true)), 10), Some(3));
        assert_eq!(text.nulls(&of(10, Some(false)), 10), Some(0));
        assert_eq!(text.nulls(&of(10, Some(true)), 10), None);
        assert_eq!(text.nulls(&of(7, Some(false)), 10), None);
        assert_eq!(text.nulls(&of(7, None), 10), None);
        assert_eq!(text.nulls(&of(11, Some(false)), 10), None);
    }

    #[test]
    fn ranges() {
        let flag = bounds(Kind::Boolean, DataType::Boolean, "UTC");
        let of = |trues| ColumnStatistics {
            bucket_statistics: Some(BucketStatistics { count: vec![trues] }),
            ..of_values(3)
        };
        let range = |min, max| Some((ScalarValue::Boolean(Some(min)), ScalarValue::Boolean(Some(max))));
        assert_eq!(flag.range(&of(0)), range(false, false));
        assert_eq!(flag.range(&of(2)), range(false, true));
        assert_eq!(flag.range(&of(3)), range(true, true));
        let text = bounds(Kind::String, DataType::STRING, "UTC");
        let of = |strings| ColumnStatistics { string_statistics: Some(strings), ..of_values(3) };
        let cut = StringStatistics {
            lower_bound: Some("aa".into()),
            maximum: Some("b".into()),
            ..StringStatistics::default()
        };
        assert_eq!(text.range(&of(cut.clone())), Some((ScalarValue::from("aa"), ScalarValue::from("b"))));
        assert_eq!(text.range(&of(StringStatistics { maximum: None, ..cut.clone() })), None);
        assert_eq!(text.range(&of(StringStatistics { maximum: Some("a".into()), ..cut })), None);
        assert_eq!(text.range(&ColumnStatistics::default()), None);
        assert_eq!(bounds(Kind::Double, DataType::Double, "UTC").range(&of_values(3)), None);
    }

    #[test]
    fn old_days_are_gregorian() {
        let day = bounds(Kind::Date, DataType::Date, "UTC");
        // 4 October 1582 of the Julian calendar, and the day after it.
        let found = DateStatistics { minimum: Some(-141_428), maximum: Some(-141_427) };
        let range = day.range(&ColumnStatistics { date_statistics: Some(found), ..of_values(2) });
        assert_eq!(range, Some((ScalarValue::Date32(Some(-141_438)), ScalarValue::Date32(Some(-141_427)))));
    }

    #[test]
    fn times_have_a_day_to_spare() {
        let at = bounds(Kind::Timestamp, DataType::Timestamp, "America/Los_Angeles");
        let found = TimestampStatistics {
            minimum_utc: Some(86_400_000),
            maximum_utc: Some(86_400_000),
            ..TimestampStatistics::default()
        };
        let found = ColumnStatistics { timestamp_statistics: Some(found), ..of_values(1) };
        let hours = |hours: i64| ScalarValue::TimestampMicrosecond(Some(hours * 3_600_000_000), Some("UTC".into()));
        assert_eq!(at.range(&found), Some((hours(8), hours(56))));
        let instant = bounds(Kind::TimestampInstant, DataType::Timestamp, "America/Los_Angeles");
        assert_eq!(instant.range(&found), Some((hours(0), hours(48))));
    }

    #[test]
    fn decimals_are_exact_or_unknown() {
        assert_eq!(unscaled("12.5", 2), Some(1250));
        assert_eq!(unscaled("-0.05", 2), Some(-5));
        assert_eq!(unscaled("7.000", 0), Some(7));
        assert_eq!(unscaled("1.239", 2), None);
        for text in ["1e3", "", ".", "1.-2", "x"] {
            assert_eq!(unscaled(text, 2), None, "{text}");
        }
    }
}
