//! Literal values with their Spark types.
use crate::data_type::{DataType, DayTimeField, StructField, YearMonthField};

/// A constant. Floats compare by bits, so that `NaN` equals itself.
#[derive(Debug, Clone)]
pub enum Literal {
    Null(DataType),
    Boolean(bool),
    Byte(i8),
    Short(i16),
    Integer(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    /// unscaled value, precision, scale
    Decimal(i128, u8, i8),
    String(String),
    /// A string with a collation other than UTF8_BINARY, CHAR(n) or VARCHAR(n)
    TypedString(String, DataType),
    Binary(Vec<u8>),
    /// days since the epoch
    Date(i32),
    /// microseconds since the epoch, UTC
    Timestamp(i64),
    /// microseconds since 1970-01-01T00:00
    TimestampNtz(i64),
    /// nanoseconds since midnight, precision
    Time(i64, u8),
    CalendarInterval {
        months: i32,
        days: i32,
        microseconds: i64,
    },
    /// months
    YearMonthInterval(i32, YearMonthField, YearMonthField),
    /// microseconds
    DayTimeInterval(i64, DayTimeField, DayTimeField),
    Array(Vec<Literal>, DataType),
    Map(Vec<(Literal, Literal)>, DataType, DataType),
    Struct(Vec<Literal>, Vec<StructField>),
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        use Literal::*;
        match (self, other) {
            (Float(a), Float(b)) => a.to_bits() == b.to_bits(),
            (Double(a), Double(b)) => a.to_bits() == b.to_bits(),
            _ => format!("{self:?}") == format!("{other:?}"),
        }
    }
}

impl Literal {
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Null(t) | Self::TypedString(_, t) => t.clone(),
            Self::Boolean(_) => DataType::Boolean,
            Self::Byte(_) => DataType::Byte,
            Self::Short(_) => DataType::Short,
            Self::Integer(_) => DataType::Integer,
            Self::Long(_) => DataType::Long,
            Self::Float(_) => DataType::Float,
            Self::Double(_) => DataType::Double,
            Self::Decimal(_, p, s) => DataType::Decimal(*p, *s),
            Self::String(_) => DataType::STRING,
            Self::Binary(_) => DataType::Binary,
            Self::Date(_) => DataType::Date,
            Self::Timestamp(_) => DataType::Timestamp,
            Self::TimestampNtz(_) => DataType::TimestampNtz,
            Self::Time(_, p) => DataType::Time(*p),
            Self::CalendarInterval { .. } => DataType::CalendarInterval,
            Self::YearMonthInterval(_, a, b) => DataType::YearMonthInterval(*a, *b),
            Self::DayTimeInterval(_, a, b) => DataType::DayTimeInterval(*a, *b),
            Self::Array(items, e) => DataType::array(e.clone(), items.iter().any(Self::is_null)),
            Self::Map(items, k, v) => DataType::map(k.clone(), v.clone(), items.iter().any(|(_, v)| v.is_null())),
            Self::Struct(_, fields) => DataType::structure(fields.clone()),
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null(_))
    }
}
