//! Arrow values as Spark literals.
use arrow::array::{Array, AsArray, StructArray};
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Literal};

/// The literal of a value of that type.
pub fn literal(value: &ScalarValue, data_type: &DataType) -> Literal {
    convert(value, data_type).unwrap_or_else(|| Literal::Null(data_type.clone()))
}

fn convert(value: &ScalarValue, data_type: &DataType) -> Option<Literal> {
    use ScalarValue as S;
    if value.is_null() {
        return None;
    }
    Some(match (value, data_type) {
        (S::Boolean(Some(v)), _) => Literal::Boolean(*v),
        (S::Int8(Some(v)), _) => Literal::Byte(*v),
        (S::Int16(Some(v)), _) => Literal::Short(*v),
        (S::Int32(Some(v)), _) => Literal::Integer(*v),
        (S::Int64(Some(v)), _) => Literal::Long(*v),
        (S::Float32(Some(v)), _) => Literal::Float(*v),
        (S::Float64(Some(v)), _) => Literal::Double(*v),
        (S::Decimal128(Some(v), p, s), _) => Literal::Decimal(*v, *p, *s),
        (S::Utf8(Some(v)) | S::LargeUtf8(Some(v)) | S::Utf8View(Some(v)), DataType::String(c)) if c.is_default() => {
            Literal::String(v.clone())
        }
        (S::Utf8(Some(v)) | S::LargeUtf8(Some(v)) | S::Utf8View(Some(v)), t) => {
            Literal::TypedString(v.clone(), t.clone())
        }
        (S::Binary(Some(v)) | S::LargeBinary(Some(v)) | S::BinaryView(Some(v)), _) => Literal::Binary(v.clone()),
        (S::Date32(Some(v)), _) => Literal::Date(*v),
        (S::TimestampMicrosecond(Some(v), Some(_)), _) => Literal::Timestamp(*v),
        (S::TimestampMicrosecond(Some(v), None), _) => Literal::TimestampNtz(*v),
        (S::Time64Nanosecond(Some(v)), DataType::Time(p)) => Literal::Time(*v, *p),
        (S::IntervalYearMonth(Some(v)), DataType::YearMonthInterval(a, b)) => Literal::YearMonthInterval(*v, *a, *b),
        (S::DurationMicrosecond(Some(v)), DataType::DayTimeInterval(a, b)) => Literal::DayTimeInterval(*v, *a, *b),
        (S::IntervalMonthDayNano(Some(v)), _) => {
            Literal::CalendarInterval { months: v.months, days: v.days, microseconds: v.nanoseconds / 1000 }
        }
        (S::List(list), DataType::Array(element, _)) => {
            Literal::Array(elements(list.values().as_ref(), element), (**element).clone())
        }
        (S::Map(map), DataType::Map(key, value, _)) => {
            let entries: &StructArray = map.entries();
            let keys = elements(entries.column(0).as_ref(), key);
            let values = elements(entries.column(1).as_ref(), value);
            Literal::Map(keys.into_iter().zip(values).collect(), (**key).clone(), (**value).clone())
        }
        (S::Struct(fields), DataType::Struct(schema)) => {
            let cells = fields.columns().iter().zip(schema.fields.iter());
            let cells = cells.map(|(column, field)| cell(column.as_ref(), 0, &field.data_type)).collect();
            Literal::Struct(cells, schema.fields.to_vec())
        }
        _ => return None,
    })
}

fn elements(array: &dyn Array, data_type: &DataType) -> Vec<Literal> {
    (0..array.len()).map(|row| cell(array, row, data_type)).collect()
}

/// The value of one cell.
pub fn cell(array: &dyn Array, row: usize, data_type: &DataType) -> Literal {
    match ScalarValue::try_from_array(array, row) {
        Ok(value) => literal(&value, data_type),
        Err(_) => Literal::Null(data_type.clone()),
    }
}

/// The text of a cell of strings.
pub fn text(array: &dyn Array, row: usize) -> Option<String> {
    let strings = array.as_string_opt::<i32>()?;
    (row < strings.len() && strings.is_valid(row)).then(|| strings.value(row).to_string())
}
