//! Spark's data types. Texts (`simpleString`, SQL, JSON, tree) are in the files beside this one.
use std::collections::BTreeMap;
use std::sync::Arc;

mod json;
mod text;

/// A Spark SQL data type. Arrow's counterpart is defined once, in `firesteel_functions::types`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DataType {
    Null,
    Boolean,
    Byte,
    Short,
    Integer,
    Long,
    Float,
    Double,
    /// precision 1..=38, scale 0..=precision
    Decimal(u8, i8),
    /// Collation name; `UTF8_BINARY` by default ([`DataType::STRING`]).
    String(Collation),
    Char(u32),
    Varchar(u32),
    Binary,
    Date,
    /// TIMESTAMP (with local time zone), microseconds since the epoch in UTC
    Timestamp,
    /// TIMESTAMP_NTZ, microseconds since 1970-01-01T00:00 without a zone
    TimestampNtz,
    /// TIME(precision 0..=6), nanoseconds since midnight
    Time(u8),
    /// The legacy `interval` type: months, days, microseconds
    CalendarInterval,
    YearMonthInterval(YearMonthField, YearMonthField),
    DayTimeInterval(DayTimeField, DayTimeField),
    Array(Arc<DataType>, bool),
    Map(Arc<DataType>, Arc<DataType>, bool),
    Struct(StructType),
    Variant,
    Geometry(i32),
    Geography(i32),
    /// A user-defined type: its JSON, and the type that stores it.
    Udt {
        json: Arc<str>,
        sql_type: Arc<DataType>,
    },
}

/// `None` is UTF8_BINARY.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Collation(pub Option<Arc<str>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum YearMonthField {
    Year,
    Month,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DayTimeField {
    Day,
    Hour,
    Minute,
    Second,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct StructType {
    pub fields: Arc<[StructField]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StructField {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    /// JSON values by key, as Spark's `Metadata`.
    pub metadata: BTreeMap<String, String>,
}

impl StructField {
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        Self { name: name.into(), data_type, nullable, metadata: BTreeMap::new() }
    }
}

impl StructType {
    pub fn new(fields: Vec<StructField>) -> Self {
        Self { fields: fields.into() }
    }
}

impl From<Vec<StructField>> for StructType {
    fn from(fields: Vec<StructField>) -> Self {
        Self::new(fields)
    }
}

impl DataType {
    /// STRING with the default collation.
    pub const STRING: DataType = DataType::String(Collation(None));
    pub const DAY_TIME: DataType = DataType::DayTimeInterval(DayTimeField::Day, DayTimeField::Second);
    pub const YEAR_MONTH: DataType = DataType::YearMonthInterval(YearMonthField::Year, YearMonthField::Month);
    /// `DecimalType.SYSTEM_DEFAULT`
    pub const DECIMAL_DEFAULT: DataType = DataType::Decimal(38, 18);
    /// `DecimalType.USER_DEFAULT`
    pub const DECIMAL_USER: DataType = DataType::Decimal(10, 0);

    pub fn array(element: DataType, contains_null: bool) -> Self {
        Self::Array(Arc::new(element), contains_null)
    }
    pub fn map(key: DataType, value: DataType, value_contains_null: bool) -> Self {
        Self::Map(Arc::new(key), Arc::new(value), value_contains_null)
    }
    pub fn structure(fields: Vec<StructField>) -> Self {
        Self::Struct(StructType::new(fields))
    }

    pub fn is_integral(&self) -> bool {
        matches!(self, Self::Byte | Self::Short | Self::Integer | Self::Long)
    }
    pub fn is_fractional(&self) -> bool {
        matches!(self, Self::Float | Self::Double | Self::Decimal(..))
    }
    pub fn is_numeric(&self) -> bool {
        self.is_integral() || self.is_fractional()
    }
    pub fn is_decimal(&self) -> bool {
        matches!(self, Self::Decimal(..))
    }
    /// STRING of any collation, CHAR or VARCHAR.
    pub fn is_string(&self) -> bool {
        matches!(self, Self::String(_) | Self::Char(_) | Self::Varchar(_))
    }
    pub fn is_datetime(&self) -> bool {
        matches!(self, Self::Date | Self::Timestamp | Self::TimestampNtz)
    }
    pub fn is_ansi_interval(&self) -> bool {
        matches!(self, Self::YearMonthInterval(..) | Self::DayTimeInterval(..))
    }
    pub fn is_interval(&self) -> bool {
        self.is_ansi_interval() || *self == Self::CalendarInterval
    }
    /// Not an array, map, struct, variant or UDT.
    pub fn is_atomic(&self) -> bool {
        !matches!(
            self,
            Self::Null | Self::Array(..) | Self::Map(..) | Self::Struct(_) | Self::Variant | Self::Udt { .. }
        )
    }
    /// Whether `ORDER BY` and comparison accept it (a map or variant is not orderable, nor is what holds one).
    pub fn is_orderable(&self) -> bool {
        match self {
            Self::Map(..) | Self::Variant | Self::CalendarInterval | Self::Geometry(_) | Self::Geography(_) => false,
            Self::Array(element, _) => element.is_orderable(),
            Self::Struct(fields) => fields.fields.iter().all(|f| f.data_type.is_orderable()),
            Self::Udt { sql_type, .. } => sql_type.is_orderable(),
            _ => true,
        }
    }
    /// The type without nullability flags: all nested fields made nullable (Spark's `asNullable`).
    pub fn as_nullable(&self) -> Self {
        match self {
            Self::Array(element, _) => Self::array(element.as_nullable(), true),
            Self::Map(key, value, _) => Self::map(key.as_nullable(), value.as_nullable(), true),
            Self::Struct(fields) => Self::Struct(fields.as_nullable()),
            other => other.clone(),
        }
    }
    /// Equal but for nested nullability and field metadata (Spark's `sameType` with case-sensitive names).
    pub fn same_type(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a, _), Self::Array(b, _)) => a.same_type(b),
            (Self::Map(a, b, _), Self::Map(c, d, _)) => a.same_type(c) && b.same_type(d),
            (Self::Struct(a), Self::Struct(b)) => {
                a.fields.len() == b.fields.len()
                    && a.fields
                        .iter()
                        .zip(b.fields.iter())
                        .all(|(x, y)| x.name == y.name && x.data_type.same_type(&y.data_type))
            }
            (a, b) => a == b,
        }
    }
}

impl StructType {
    pub fn as_nullable(&self) -> Self {
        let fields = self.fields.iter().map(|f| StructField {
            name: f.name.clone(),
            data_type: f.data_type.as_nullable(),
            nullable: true,
            metadata: f.metadata.clone(),
        });
        Self { fields: fields.collect() }
    }
}
