//! Spark type ⇄ Arrow type. The only place that knows.
//!
//! | Spark | Arrow |
//! |---|---|
//! | STRING, CHAR, VARCHAR | `Utf8` |
//! | TIMESTAMP | `Timestamp(Microsecond, "UTC")` |
//! | TIMESTAMP_NTZ | `Timestamp(Microsecond, None)` |
//! | TIME(p) | `Time64(Nanosecond)` |
//! | INTERVAL DAY TO SECOND | `Duration(Microsecond)` |
//! | INTERVAL YEAR TO MONTH | `Interval(YearMonth)` |
//! | INTERVAL (legacy) | `Interval(MonthDayNano)` |
//! | VARIANT | `Struct{value: Binary, metadata: Binary}` |
//! | GEOMETRY, GEOGRAPHY | `Struct{srid: Int32, wkb: Binary}` |
//!
//! Char length, collation, interval fields and time precision are not in the Arrow type: expressions carry the
//! Spark type beside it ([`crate::TypedExpr`]).
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, IntervalUnit, Schema, TimeUnit};
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

/// Name of the entries field of a map, and of its two children.
pub const MAP_ENTRIES: &str = "entries";
pub const MAP_KEY: &str = "key";
pub const MAP_VALUE: &str = "value";
/// Name of the element field of a list.
pub const LIST_ELEMENT: &str = "element";

/// The Arrow type that stores a Spark type.
pub fn to_arrow(data_type: &DataType) -> ArrowType {
    match data_type {
        DataType::Null => ArrowType::Null,
        DataType::Boolean => ArrowType::Boolean,
        DataType::Byte => ArrowType::Int8,
        DataType::Short => ArrowType::Int16,
        DataType::Integer => ArrowType::Int32,
        DataType::Long => ArrowType::Int64,
        DataType::Float => ArrowType::Float32,
        DataType::Double => ArrowType::Float64,
        DataType::Decimal(p, s) => ArrowType::Decimal128(*p, *s),
        DataType::String(_) | DataType::Char(_) | DataType::Varchar(_) => ArrowType::Utf8,
        DataType::Binary => ArrowType::Binary,
        DataType::Date => ArrowType::Date32,
        DataType::Timestamp => timestamp(),
        DataType::TimestampNtz => ArrowType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Time(_) => ArrowType::Time64(TimeUnit::Nanosecond),
        DataType::CalendarInterval => ArrowType::Interval(IntervalUnit::MonthDayNano),
        DataType::YearMonthInterval(..) => ArrowType::Interval(IntervalUnit::YearMonth),
        DataType::DayTimeInterval(..) => ArrowType::Duration(TimeUnit::Microsecond),
        DataType::Array(element, nullable) => ArrowType::List(list_field(element, *nullable)),
        DataType::Map(key, value, nullable) => ArrowType::Map(map_field(key, value, *nullable), false),
        DataType::Struct(s) => ArrowType::Struct(to_arrow_fields(s)),
        DataType::Variant => variant(),
        DataType::Geometry(_) | DataType::Geography(_) => ArrowType::Struct(Fields::from(vec![
            Field::new("srid", ArrowType::Int32, false),
            Field::new("wkb", ArrowType::Binary, false),
        ])),
        DataType::Udt { sql_type, .. } => to_arrow(sql_type),
    }
}

/// `Timestamp(Microsecond, "UTC")`
pub fn timestamp() -> ArrowType {
    ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn variant() -> ArrowType {
    ArrowType::Struct(Fields::from(vec![
        Field::new("value", ArrowType::Binary, false),
        Field::new("metadata", ArrowType::Binary, false),
    ]))
}

/// The field of a list's elements.
pub fn list_field(element: &DataType, contains_null: bool) -> FieldRef {
    Arc::new(Field::new(LIST_ELEMENT, to_arrow(element), contains_null))
}

/// The entries field of a map.
pub fn map_field(key: &DataType, value: &DataType, value_contains_null: bool) -> FieldRef {
    let children = Fields::from(vec![
        Field::new(MAP_KEY, to_arrow(key), false),
        Field::new(MAP_VALUE, to_arrow(value), value_contains_null),
    ]);
    Arc::new(Field::new(MAP_ENTRIES, ArrowType::Struct(children), false))
}

pub fn to_arrow_field(field: &StructField) -> Field {
    Field::new(&field.name, to_arrow(&field.data_type), field.nullable)
}

pub fn to_arrow_fields(fields: &StructType) -> Fields {
    fields.fields.iter().map(to_arrow_field).collect()
}

pub fn to_arrow_schema(fields: &StructType) -> Schema {
    Schema::new(to_arrow_fields(fields))
}

/// The Spark type of data that came from outside as Arrow.
/// Errors with `UNSUPPORTED_ARROWTYPE` where Spark has no counterpart.
pub fn from_arrow(data_type: &ArrowType) -> Result<DataType> {
    Ok(match data_type {
        ArrowType::Null => DataType::Null,
        ArrowType::Boolean => DataType::Boolean,
        ArrowType::Int8 => DataType::Byte,
        ArrowType::Int16 | ArrowType::UInt8 => DataType::Short,
        ArrowType::Int32 | ArrowType::UInt16 => DataType::Integer,
        ArrowType::Int64 | ArrowType::UInt32 => DataType::Long,
        ArrowType::UInt64 => DataType::Decimal(20, 0),
        ArrowType::Float16 | ArrowType::Float32 => DataType::Float,
        ArrowType::Float64 => DataType::Double,
        ArrowType::Decimal32(p, s) | ArrowType::Decimal64(p, s) | ArrowType::Decimal128(p, s) => {
            DataType::Decimal(*p, *s)
        }
        ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View => DataType::STRING,
        ArrowType::Binary | ArrowType::LargeBinary | ArrowType::BinaryView | ArrowType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        ArrowType::Date32 | ArrowType::Date64 => DataType::Date,
        ArrowType::Timestamp(_, None) => DataType::TimestampNtz,
        ArrowType::Timestamp(_, Some(_)) => DataType::Timestamp,
        ArrowType::Time32(_) | ArrowType::Time64(_) => DataType::Time(6),
        ArrowType::Duration(_) => DataType::DAY_TIME,
        ArrowType::Interval(IntervalUnit::YearMonth) => DataType::YEAR_MONTH,
        ArrowType::Interval(IntervalUnit::DayTime) => DataType::DAY_TIME,
        ArrowType::Interval(IntervalUnit::MonthDayNano) => DataType::CalendarInterval,
        ArrowType::List(f) | ArrowType::LargeList(f) | ArrowType::FixedSizeList(f, _) | ArrowType::ListView(f) => {
            DataType::array(from_arrow_field(f)?.data_type, f.is_nullable())
        }
        ArrowType::Map(entries, _) => map_from_arrow(entries)?,
        ArrowType::Struct(fields) => DataType::Struct(from_arrow_fields(fields)?),
        ArrowType::Dictionary(_, value) => from_arrow(value)?,
        other => return Err(SparkError::new("UNSUPPORTED_ARROWTYPE", [("typeName", other.to_string())])),
    })
}

fn map_from_arrow(entries: &FieldRef) -> Result<DataType> {
    match entries.data_type() {
        ArrowType::Struct(children) if children.len() == 2 => Ok(DataType::map(
            from_arrow_field(&children[0])?.data_type,
            from_arrow_field(&children[1])?.data_type,
            children[1].is_nullable(),
        )),
        other => Err(SparkError::new("UNSUPPORTED_ARROWTYPE", [("typeName", other.to_string())])),
    }
}

pub fn from_arrow_field(field: &Field) -> Result<StructField> {
    Ok(StructField::new(field.name(), from_arrow(field.data_type())?, field.is_nullable()))
}

pub fn from_arrow_fields(fields: &Fields) -> Result<StructType> {
    Ok(StructType::new(fields.iter().map(|f| from_arrow_field(f)).collect::<Result<_>>()?))
}

/// The typed NULL.
pub fn null_value(data_type: &DataType) -> ScalarValue {
    ScalarValue::try_from(&to_arrow(data_type)).unwrap_or(ScalarValue::Null)
}
