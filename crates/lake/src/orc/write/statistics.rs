//! What a row group, a stripe and the file say of a column, so that readers leave out what cannot match.
use arrow::array::{Array, ArrayRef, ArrowNumericType, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DecimalType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use orc_rust::proto;

use super::zone::StripeZone;

/// Longer texts are not worth their place in a footer.
const LONGEST_TEXT: usize = 1024;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Statistics {
    pub values: u64,
    pub has_null: bool,
    /// `None` where there are no values, or where nothing safe can be said of them.
    detail: Option<Detail>,
}

#[derive(Debug, Clone, PartialEq)]
enum Detail {
    Integer {
        min: i64,
        max: i64,
        sum: Option<i64>,
    },
    Double {
        min: f64,
        max: f64,
        sum: f64,
    },
    Text {
        min: String,
        max: String,
        bytes: i64,
    },
    True(u64),
    Decimal {
        min: i128,
        max: i128,
        precision: u8,
        scale: i8,
    },
    Date {
        min: i32,
        max: i32,
    },
    /// Wall-clock milliseconds
    Time {
        min: i64,
        max: i64,
    },
    Binary(i64),
    Children {
        min: u64,
        max: u64,
        total: u64,
    },
}

impl Statistics {
    pub(super) fn of(array: &ArrayRef, zone: &StripeZone) -> Self {
        let nulls = array.null_count();
        let values = (array.len() - nulls) as u64;
        let detail = if values == 0 { None } else { detail(array, zone) };
        Self { values, has_null: nulls > 0, detail }
    }

    /// Of so many rows, none of them null
    pub(super) fn of_rows(count: usize) -> Self {
        Self { values: count as u64, ..Self::default() }
    }

    /// Takes in what another part of the same column says.
    pub(super) fn merge(&mut self, other: &Self) {
        self.has_null |= other.has_null;
        if self.values == 0 {
            self.detail.clone_from(&other.detail);
        } else if other.values > 0 {
            let both = self.detail.take().zip(other.detail.clone());
            self.detail = both.and_then(|(a, b)| a.merge(b));
        }
        self.values += other.values;
    }

    pub(super) fn to_proto(&self) -> proto::ColumnStatistics {
        let mut made = proto::ColumnStatistics {
            number_of_values: Some(self.values),
            has_null: Some(self.has_null),
            ..proto::ColumnStatistics::default()
        };
        if let Some(detail) = &self.detail {
            detail.put(&mut made);
        }
        made
    }
}

fn detail(array: &ArrayRef, zone: &StripeZone) -> Option<Detail> {
    match array.data_type() {
        DataType::Boolean => Some(Detail::True(array.as_boolean().true_count() as u64)),
        DataType::Int8 => integers::<Int8Type>(array),
        DataType::Int16 => integers::<Int16Type>(array),
        DataType::Int32 => integers::<Int32Type>(array),
        DataType::Int64 => integers::<Int64Type>(array),
        DataType::Float32 => floats::<Float32Type>(array),
        DataType::Float64 => floats::<Float64Type>(array),
        DataType::Date32 => range::<Date32Type>(array).map(|(min, max)| Detail::Date { min, max }),
        DataType::Decimal128(precision, scale) => range::<Decimal128Type>(array).map(|(min, max)| Detail::Decimal {
            min,
            max,
            precision: *precision,
            scale: *scale,
        }),
        DataType::Timestamp(..) => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            let millis = times.iter().flatten().map(|micros| zone.wall(micros).div_euclid(1000));
            let range = millis.fold(None, |range: Option<(i64, i64)>, at| {
                Some(range.map_or((at, at), |(low, high)| (low.min(at), high.max(at))))
            });
            range.map(|(min, max)| Detail::Time { min, max })
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let (min, max) = (min_string(texts)?, max_string(texts)?);
            let bytes = texts.iter().flatten().map(|text| text.len() as i64).sum();
            let is_short = min.len() <= LONGEST_TEXT && max.len() <= LONGEST_TEXT;
            is_short.then(|| Detail::Text { min: min.into(), max: max.into(), bytes })
        }
        DataType::Binary => {
            let bytes = array.as_binary::<i32>().iter().flatten().map(|value| value.len() as i64).sum();
            Some(Detail::Binary(bytes))
        }
        DataType::List(_) => children(array, array.as_list::<i32>().offsets()),
        DataType::Map(..) => children(array, array.as_map().offsets()),
        _ => None,
    }
}

fn range<T: ArrowNumericType>(array: &ArrayRef) -> Option<(T::Native, T::Native)> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    min(values).zip(max(values))
}

fn integers<T: ArrowNumericType>(array: &ArrayRef) -> Option<Detail>
where
    i64: From<T::Native>,
{
    let (min, max) = range::<T>(array)?;
    let values = array.as_primitive::<T>().iter().flatten();
    let sum = values.map(i64::from).try_fold(0i64, i64::checked_add);
    Some(Detail::Integer { min: min.into(), max: max.into(), sum })
}

fn floats<T: ArrowPrimitiveType>(array: &ArrayRef) -> Option<Detail>
where
    f64: From<T::Native>,
{
    let values = || array.as_primitive::<T>().iter().flatten().map(f64::from);
    // Where NaN stands among numbers, readers do not agree.
    if values().any(f64::is_nan) {
        return None;
    }
    let (min, max) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    // The two zeros are equal, but not to readers that order them.
    let min = if min == 0.0 { -0.0 } else { min };
    let max = if max == 0.0 { 0.0 } else { max };
    Some(Detail::Double { min, max, sum: values().sum() })
}

fn children(array: &ArrayRef, offsets: &[i32]) -> Option<Detail> {
    let sizes = offsets.windows(2).enumerate().filter(|(row, _)| array.is_valid(*row));
    let sizes: Vec<u64> = sizes.map(|(_, pair)| (pair[1] - pair[0]).unsigned_abs().into()).collect();
    let (min, max) = sizes.iter().min().zip(sizes.iter().max())?;
    Some(Detail::Children { min: *min, max: *max, total: sizes.iter().sum() })
}

impl Detail {
    fn merge(self, other: Self) -> Option<Self> {
        use Detail::{Binary, Children, Date, Decimal, Double, Integer, Text, Time, True};
        Some(match (self, other) {
            (Integer { min: a, max: b, sum: s }, Integer { min: c, max: d, sum: t }) => {
                let sum = s.zip(t).and_then(|(s, t)| s.checked_add(t));
                Integer { min: a.min(c), max: b.max(d), sum }
            }
            (Double { min: a, max: b, sum: s }, Double { min: c, max: d, sum: t }) => {
                Double { min: a.min(c), max: b.max(d), sum: s + t }
            }
            (Text { min: a, max: b, bytes: s }, Text { min: c, max: d, bytes: t }) => {
                Text { min: a.min(c), max: b.max(d), bytes: s + t }
            }
            (True(a), True(b)) => True(a + b),
            (Decimal { min: a, max: b, precision, scale }, Decimal { min: c, max: d, .. }) => {
                Decimal { min: a.min(c), max: b.max(d), precision, scale }
            }
            (Date { min: a, max: b }, Date { min: c, max: d }) => Date { min: a.min(c), max: b.max(d) },
            (Time { min: a, max: b }, Time { min: c, max: d }) => Time { min: a.min(c), max: b.max(d) },
            (Binary(a), Binary(b)) => Binary(a + b),
            (Children { min: a, max: b, total: s }, Children { min: c, max: d, total: t }) => {
                Children { min: a.min(c), max: b.max(d), total: s + t }
            }
            _ => return None,
        })
    }

    fn put(&self, to: &mut proto::ColumnStatistics) {
        match self {
            Self::Integer { min, max, sum } => {
                to.int_statistics =
                    Some(proto::IntegerStatistics { minimum: Some(*min), maximum: Some(*max), sum: *sum });
            }
            Self::Double { min, max, sum } => {
                to.double_statistics =
                    Some(proto::DoubleStatistics { minimum: Some(*min), maximum: Some(*max), sum: Some(*sum) });
            }
            Self::Text { min, max, bytes } => {
                to.string_statistics = Some(proto::StringStatistics {
                    minimum: Some(min.clone()),
                    maximum: Some(max.clone()),
                    sum: Some(*bytes),
                    ..proto::StringStatistics::default()
                });
            }
            Self::True(count) => to.bucket_statistics = Some(proto::BucketStatistics { count: vec![*count] }),
            Self::Decimal { min, max, precision, scale } => {
                let text = |value: &i128| Some(Decimal128Type::format_decimal(*value, *precision, *scale));
                to.decimal_statistics =
                    Some(proto::DecimalStatistics { minimum: text(min), maximum: text(max), sum: None });
            }
            Self::Date { min, max } => {
                to.date_statistics = Some(proto::DateStatistics { minimum: Some(*min), maximum: Some(*max) });
            }
            // The milliseconds alone: readers then take the least and the most nanoseconds.
            Self::Time { min, max } => {
                to.timestamp_statistics = Some(proto::TimestampStatistics {
                    minimum_utc: Some(*min),
                    maximum_utc: Some(*max),
                    ..proto::TimestampStatistics::default()
                });
            }
            Self::Binary(bytes) => to.binary_statistics = Some(proto::BinaryStatistics { sum: Some(*bytes) }),
            Self::Children { min, max, total } => {
                to.collection_statistics = Some(proto::CollectionStatistics {
                    min_children: Some(*min),
                    max_children: Some(*max),
                    total_children: Some(*total),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array};

    use super::*;

    fn of(array: impl Array + 'static) -> Statistics {
        Statistics::of(&(Arc::new(array) as ArrayRef), &StripeZone::utc())
    }

    #[test]
    fn parts_are_merged() {
        let mut whole = of(Int64Array::from(vec![None, None]));
        whole.merge(&of(Int64Array::from(vec![Some(3), Some(i64::MAX)])));
        whole.merge(&of(Int64Array::from(vec![Some(-1)])));
        let made = whole.to_proto();
        assert_eq!((made.number_of_values(), made.has_null()), (3, true));
        let range = made.int_statistics.unwrap();
        assert_eq!((range.minimum, range.maximum, range.sum), (Some(-1), Some(i64::MAX), None));
    }

    #[test]
    fn not_a_number_says_nothing_of_the_whole() {
        let mut whole = of(Float64Array::from(vec![1.0]));
        whole.merge(&of(Float64Array::from(vec![f64::NAN])));
        whole.merge(&of(Float64Array::from(vec![2.0])));
        assert_eq!(whole.to_proto().double_statistics, None);
        assert_eq!(whole.values, 3);
    }
}
