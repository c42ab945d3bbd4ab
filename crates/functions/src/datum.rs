//! One value of any Spark type on its way into a column; for kernels that make values one by one.
use crate::interval::CalendarInterval;
use crate::text_formats::Column;

/// Dates, timestamps, times and ANSI intervals are `Long`s of their unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    /// unscaled, at the column's scale
    Decimal(i128),
    Text(String),
    Bytes(Vec<u8>),
    Calendar(CalendarInterval),
    List(Vec<Datum>),
    Map(Vec<(Datum, Datum)>),
    Struct(Vec<Datum>),
    /// value, metadata
    Variant(Vec<u8>, Vec<u8>),
}

impl Datum {
    fn long(&self) -> Option<i64> {
        match self {
            Self::Long(value) => Some(*value),
            _ => None,
        }
    }
}

impl Column {
    /// Appends a value; one of another type than the column's counts as NULL.
    pub fn append(&mut self, datum: Datum) {
        match (self, datum) {
            (Self::Boolean(b), Datum::Boolean(v)) => b.append_value(v),
            (Self::Byte(b), d @ Datum::Long(_)) => b.append_option(d.long().and_then(|v| v.try_into().ok())),
            (Self::Short(b), d @ Datum::Long(_)) => b.append_option(d.long().and_then(|v| v.try_into().ok())),
            (Self::Integer(b), d @ Datum::Long(_)) => b.append_option(d.long().and_then(|v| v.try_into().ok())),
            (Self::Long(b), Datum::Long(v)) => b.append_value(v),
            (Self::Float(b), Datum::Double(v)) => b.append_value(v as f32),
            (Self::Double(b), Datum::Double(v)) => b.append_value(v),
            (Self::Decimal { values, .. }, Datum::Decimal(v)) => values.append_value(v),
            (Self::String(b), Datum::Text(v)) => b.append_value(v),
            (Self::Binary(b), Datum::Bytes(v)) => b.append_value(v),
            (Self::Date(b), d @ Datum::Long(_)) => b.append_option(d.long().and_then(|v| v.try_into().ok())),
            (Self::Timestamp(b) | Self::TimestampNtz(b), Datum::Long(v)) => b.append_value(v),
            (Self::Time(b), Datum::Long(v)) => b.append_value(v),
            (Self::CalendarInterval(b), Datum::Calendar(v)) => b.append_option(v.to_arrow().ok()),
            (Self::YearMonth { values, .. }, d @ Datum::Long(_)) => {
                values.append_option(d.long().and_then(|v| v.try_into().ok()));
            }
            (Self::DayTime { values, .. }, Datum::Long(v)) => values.append_value(v),
            (Self::Variant { value, metadata, nulls }, Datum::Variant(v, m)) => {
                value.append_value(v);
                metadata.append_value(m);
                nulls.append_non_null();
            }
            (Self::List(list), Datum::List(items)) => {
                items.into_iter().for_each(|item| list.elements.append(item));
                list.end(true);
            }
            (Self::Map(map), Datum::Map(entries)) => {
                for (key, value) in entries {
                    map.keys.append(key);
                    map.values.append(value);
                }
                map.end(true);
            }
            (Self::Struct(row), Datum::Struct(values)) => {
                let mut values = values.into_iter();
                row.children.iter_mut().for_each(|child| child.append(values.next().unwrap_or(Datum::Null)));
                row.end_valid();
            }
            (column, _) => column.append_null(),
        }
    }
}
