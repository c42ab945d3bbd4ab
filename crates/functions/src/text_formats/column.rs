//! An Arrow builder of any Spark type, to which parsers append values.
use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, DurationMicrosecondBuilder,
    Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder,
    IntervalYearMonthBuilder, ListArray, MapArray, NullArray, StringBuilder, StructArray, Time64NanosecondBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, FieldRef, Fields};
use arrow::error::ArrowError;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use crate::types::{to_arrow, to_arrow_field};

/// A column under construction. Variants hold what their parser needs to know.
#[derive(Debug)]
pub enum Column {
    Null(usize),
    Boolean(BooleanBuilder),
    Byte(Int8Builder),
    Short(Int16Builder),
    Integer(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal { precision: u8, scale: i8, values: Decimal128Builder },
    String(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    TimestampNtz(TimestampMicrosecondBuilder),
    Time(Time64NanosecondBuilder),
    CalendarInterval(IntervalMonthDayNanoBuilder),
    YearMonth { data_type: DataType, values: IntervalYearMonthBuilder },
    DayTime { data_type: DataType, values: DurationMicrosecondBuilder },
    Variant { value: BinaryBuilder, metadata: BinaryBuilder, nulls: NullBufferBuilder },
    List(Box<ListColumn>),
    Map(Box<MapColumn>),
    Struct(Box<StructColumn>),
}

#[derive(Debug)]
pub struct ListColumn {
    field: FieldRef,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    pub elements: Column,
}

#[derive(Debug)]
pub struct MapColumn {
    entries: FieldRef,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    pub keys: Column,
    pub values: Column,
}

#[derive(Debug)]
pub struct StructColumn {
    arrow_fields: Fields,
    pub fields: Arc<[StructField]>,
    pub children: Vec<Column>,
    nulls: NullBufferBuilder,
}

const CAPACITY: usize = 1024;

impl Column {
    pub fn new(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Null => Self::Null(0),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Byte => Self::Byte(Int8Builder::new()),
            DataType::Short => Self::Short(Int16Builder::new()),
            DataType::Integer => Self::Integer(Int32Builder::new()),
            DataType::Long => Self::Long(Int64Builder::new()),
            DataType::Float => Self::Float(Float32Builder::new()),
            DataType::Double => Self::Double(Float64Builder::new()),
            DataType::Decimal(precision, scale) => Self::Decimal {
                precision: *precision,
                scale: *scale,
                values: Decimal128Builder::new().with_data_type(to_arrow(data_type)),
            },
            DataType::String(_) | DataType::Char(_) | DataType::Varchar(_) => Self::String(StringBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Date => Self::Date(Date32Builder::new()),
            DataType::Timestamp => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(to_arrow(data_type)))
            }
            DataType::TimestampNtz => Self::TimestampNtz(TimestampMicrosecondBuilder::new()),
            DataType::Time(_) => Self::Time(Time64NanosecondBuilder::new()),
            DataType::CalendarInterval => Self::CalendarInterval(IntervalMonthDayNanoBuilder::new()),
            DataType::YearMonthInterval(..) => {
                Self::YearMonth { data_type: data_type.clone(), values: IntervalYearMonthBuilder::new() }
            }
            DataType::DayTimeInterval(..) => {
                Self::DayTime { data_type: data_type.clone(), values: DurationMicrosecondBuilder::new() }
            }
            DataType::Variant => Self::Variant {
                value: BinaryBuilder::new(),
                metadata: BinaryBuilder::new(),
                nulls: NullBufferBuilder::new(CAPACITY),
            },
            DataType::Array(element, _) => Self::List(Box::new(ListColumn::new(data_type, element)?)),
            DataType::Map(key, value, _) => Self::Map(Box::new(MapColumn::new(data_type, key, value)?)),
            DataType::Struct(fields) => Self::Struct(Box::new(StructColumn::new(fields)?)),
            DataType::Udt { sql_type, .. } => Self::new(sql_type)?,
            DataType::Geometry(_) | DataType::Geography(_) => {
                return Err(SparkError::unsupported(format!("{} in text records", data_type.sql())));
            }
        })
    }

    /// Appends NULL. Where the Arrow type does not allow it, the parent's null covers it.
    pub fn append_null(&mut self) {
        match self {
            Self::Null(rows) => *rows += 1,
            Self::Boolean(b) => b.append_null(),
            Self::Byte(b) => b.append_null(),
            Self::Short(b) => b.append_null(),
            Self::Integer(b) => b.append_null(),
            Self::Long(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Decimal { values, .. } => values.append_null(),
            Self::String(b) => b.append_null(),
            Self::Binary(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Timestamp(b) | Self::TimestampNtz(b) => b.append_null(),
            Self::Time(b) => b.append_null(),
            Self::CalendarInterval(b) => b.append_null(),
            Self::YearMonth { values, .. } => values.append_null(),
            Self::DayTime { values, .. } => values.append_null(),
            Self::Variant { value, metadata, nulls } => {
                value.append_value([]);
                metadata.append_value([]);
                nulls.append_null();
            }
            Self::List(list) => list.end(false),
            Self::Map(map) => map.end(false),
            Self::Struct(children) => children.append_null(),
        }
    }

    /// Rows appended so far.
    pub fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            Self::Null(rows) => *rows,
            Self::Boolean(b) => b.len(),
            Self::Byte(b) => b.len(),
            Self::Short(b) => b.len(),
            Self::Integer(b) => b.len(),
            Self::Long(b) => b.len(),
            Self::Float(b) => b.len(),
            Self::Double(b) => b.len(),
            Self::Decimal { values, .. } => values.len(),
            Self::String(b) => b.len(),
            Self::Binary(b) => b.len(),
            Self::Date(b) => b.len(),
            Self::Timestamp(b) | Self::TimestampNtz(b) => b.len(),
            Self::Time(b) => b.len(),
            Self::CalendarInterval(b) => b.len(),
            Self::YearMonth { values, .. } => values.len(),
            Self::DayTime { values, .. } => values.len(),
            Self::Variant { nulls, .. } => nulls.len(),
            Self::List(list) => list.offsets.len() - 1,
            Self::Map(map) => map.offsets.len() - 1,
            Self::Struct(children) => children.nulls.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows appended so far; the column is empty afterwards.
    pub fn finish(&mut self) -> Result<ArrayRef> {
        self.finish_array().map_err(|e| SparkError::internal("a column could not be built").with_cause(e))
    }

    fn finish_array(&mut self) -> std::result::Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Null(rows) => Arc::new(NullArray::new(std::mem::take(rows))),
            Self::Boolean(b) => Arc::new(b.finish()),
            Self::Byte(b) => Arc::new(b.finish()),
            Self::Short(b) => Arc::new(b.finish()),
            Self::Integer(b) => Arc::new(b.finish()),
            Self::Long(b) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Double(b) => Arc::new(b.finish()),
            Self::Decimal { values, .. } => Arc::new(values.finish()),
            Self::String(b) => Arc::new(b.finish()),
            Self::Binary(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Timestamp(b) | Self::TimestampNtz(b) => Arc::new(b.finish()),
            Self::Time(b) => Arc::new(b.finish()),
            Self::CalendarInterval(b) => Arc::new(b.finish()),
            Self::YearMonth { values, .. } => Arc::new(values.finish()),
            Self::DayTime { values, .. } => Arc::new(values.finish()),
            Self::Variant { value, metadata, nulls } => {
                let ArrowType::Struct(fields) = to_arrow(&DataType::Variant) else {
                    return Err(ArrowError::SchemaError("a variant is a struct".into()));
                };
                let columns: Vec<ArrayRef> = vec![Arc::new(value.finish()), Arc::new(metadata.finish())];
                Arc::new(StructArray::try_new(fields, columns, nulls.finish())?)
            }
            Self::List(list) => {
                let offsets = OffsetBuffer::new(std::mem::replace(&mut list.offsets, vec![0]).into());
                let elements = list.elements.finish_array()?;
                Arc::new(ListArray::try_new(Arc::clone(&list.field), offsets, elements, list.nulls.finish())?)
            }
            Self::Map(map) => map.finish()?,
            Self::Struct(children) => children.finish()?,
        })
    }
}

impl ListColumn {
    fn new(data_type: &DataType, element: &DataType) -> Result<Self> {
        let ArrowType::List(field) = to_arrow(data_type) else {
            return Err(SparkError::internal("an array is a list"));
        };
        let nulls = NullBufferBuilder::new(CAPACITY);
        Ok(Self { field, offsets: vec![0], nulls, elements: Column::new(element)? })
    }

    /// Ends a row: its elements are those appended since the last row.
    pub fn end(&mut self, valid: bool) {
        self.offsets.push(i32::try_from(self.elements.len()).unwrap_or(i32::MAX));
        self.nulls.append(valid);
    }
}

impl MapColumn {
    fn new(data_type: &DataType, key: &DataType, value: &DataType) -> Result<Self> {
        let ArrowType::Map(entries, _) = to_arrow(data_type) else {
            return Err(SparkError::internal("a map is a map"));
        };
        let nulls = NullBufferBuilder::new(CAPACITY);
        Ok(Self { entries, offsets: vec![0], nulls, keys: Column::new(key)?, values: Column::new(value)? })
    }

    /// Ends a row: its entries are those appended since the last row.
    pub fn end(&mut self, valid: bool) {
        self.offsets.push(i32::try_from(self.keys.len()).unwrap_or(i32::MAX));
        self.nulls.append(valid);
    }

    fn finish(&mut self) -> std::result::Result<ArrayRef, ArrowError> {
        let ArrowType::Struct(children) = self.entries.data_type().clone() else {
            return Err(ArrowError::SchemaError("the entries of a map are a struct".into()));
        };
        let columns = vec![self.keys.finish_array()?, self.values.finish_array()?];
        let entries = StructArray::try_new(children, columns, None)?;
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.offsets, vec![0]).into());
        Ok(Arc::new(MapArray::try_new(Arc::clone(&self.entries), offsets, entries, self.nulls.finish(), false)?))
    }
}

impl StructColumn {
    pub fn new(schema: &StructType) -> Result<Self> {
        Ok(Self {
            arrow_fields: schema.fields.iter().map(to_arrow_field).collect(),
            fields: Arc::clone(&schema.fields),
            children: schema.fields.iter().map(|field| Column::new(&field.data_type)).collect::<Result<_>>()?,
            nulls: NullBufferBuilder::new(CAPACITY),
        })
    }

    /// Ends a row whose children have been appended.
    pub fn end_valid(&mut self) {
        self.nulls.append_non_null();
    }

    fn append_null(&mut self) {
        for child in &mut self.children {
            child.append_null();
        }
        self.nulls.append_null();
    }

    fn finish(&mut self) -> std::result::Result<ArrayRef, ArrowError> {
        let rows = self.nulls.len();
        let columns = self.children.iter_mut().map(Column::finish_array).collect::<std::result::Result<Vec<_>, _>>()?;
        let fields = self.arrow_fields.clone();
        Ok(Arc::new(StructArray::try_new_with_length(fields, columns, self.nulls.finish(), rows)?))
    }
}
