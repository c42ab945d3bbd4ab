//! Literals as typed constants, and the evaluation of constant expressions.
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Fields, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use firesteel_functions::{EvalContext, TypedExpr, types};
use firesteel_plan::{DataType, Literal, Result, SparkError};

use crate::from_datafusion;

/// The literal with its Spark type and the text Spark shows for it.
pub(crate) fn typed(literal: &Literal, eval: &Arc<EvalContext>) -> Result<TypedExpr> {
    let value = scalar(literal)?;
    let sql = firesteel_functions::literal_text::sql(literal, eval);
    Ok(TypedExpr::literal(value, literal.data_type(), sql))
}

/// The literal as an Arrow constant.
pub(crate) fn scalar(literal: &Literal) -> Result<ScalarValue> {
    Ok(match literal {
        Literal::Null(data_type) => types::null_value(data_type),
        Literal::Boolean(v) => ScalarValue::Boolean(Some(*v)),
        Literal::Byte(v) => ScalarValue::Int8(Some(*v)),
        Literal::Short(v) => ScalarValue::Int16(Some(*v)),
        Literal::Integer(v) => ScalarValue::Int32(Some(*v)),
        Literal::Long(v) => ScalarValue::Int64(Some(*v)),
        Literal::Float(v) => ScalarValue::Float32(Some(*v)),
        Literal::Double(v) => ScalarValue::Float64(Some(*v)),
        Literal::Decimal(v, p, s) => ScalarValue::Decimal128(Some(*v), *p, *s),
        Literal::String(v) | Literal::TypedString(v, _) => ScalarValue::Utf8(Some(v.clone())),
        Literal::Binary(v) => ScalarValue::Binary(Some(v.clone())),
        Literal::Date(v) => ScalarValue::Date32(Some(*v)),
        Literal::Timestamp(v) => ScalarValue::TimestampMicrosecond(Some(*v), Some("UTC".into())),
        Literal::TimestampNtz(v) => ScalarValue::TimestampMicrosecond(Some(*v), None),
        Literal::Time(v, _) => ScalarValue::Time64Nanosecond(Some(*v)),
        Literal::CalendarInterval { months, days, microseconds } => {
            let nanoseconds = microseconds.checked_mul(1000).ok_or_else(overflow)?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(*months, *days, nanoseconds)))
        }
        Literal::YearMonthInterval(v, ..) => ScalarValue::IntervalYearMonth(Some(*v)),
        Literal::DayTimeInterval(v, ..) => ScalarValue::DurationMicrosecond(Some(*v)),
        Literal::Array(items, element) => {
            let values = array(items, element)?;
            let field = types::list_field(element, items.iter().any(Literal::is_null));
            ScalarValue::List(Arc::new(ListArray::new(field, OffsetBuffer::from_lengths([items.len()]), values, None)))
        }
        Literal::Map(entries, key, value) => map(entries, key, value)?,
        Literal::Struct(values, fields) => {
            let arrow_fields: Fields = fields.iter().map(types::to_arrow_field).collect();
            let columns = (values.iter().zip(fields))
                .map(|(value, field)| array(std::slice::from_ref(value), &field.data_type))
                .collect::<Result<Vec<_>>>()?;
            let array = if fields.is_empty() {
                StructArray::new_empty_fields(1, None)
            } else {
                StructArray::try_new(arrow_fields, columns, None).map_err(|e| SparkError::internal(e.to_string()))?
            };
            ScalarValue::Struct(Arc::new(array))
        }
    })
}

fn overflow() -> SparkError {
    SparkError::new("INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", [("message", "the interval is too long")])
}

/// Literals as an array of the given type.
fn array(items: &[Literal], data_type: &DataType) -> Result<ArrayRef> {
    let arrow_type = types::to_arrow(data_type);
    if items.is_empty() {
        return Ok(arrow::array::new_empty_array(&arrow_type));
    }
    let scalars = items.iter().map(|item| match item {
        Literal::Null(_) => Ok(types::null_value(data_type)),
        other => scalar(other),
    });
    let scalars = scalars.collect::<Result<Vec<_>>>()?;
    let values = ScalarValue::iter_to_array(scalars).map_err(from_datafusion)?;
    if *values.data_type() == arrow_type {
        return Ok(values);
    }
    arrow::compute::cast(&values, &arrow_type).map_err(|e| SparkError::internal(e.to_string()))
}

fn map(entries: &[(Literal, Literal)], key: &DataType, value: &DataType) -> Result<ScalarValue> {
    let keys: Vec<_> = entries.iter().map(|(k, _)| k.clone()).collect();
    let values: Vec<_> = entries.iter().map(|(_, v)| v.clone()).collect();
    let field = types::map_field(key, value, values.iter().any(Literal::is_null));
    let arrow::datatypes::DataType::Struct(children) = field.data_type().clone() else {
        return Err(SparkError::internal("a map's entries are a struct"));
    };
    let entries_array = StructArray::try_new(children, vec![array(&keys, key)?, array(&values, value)?], None)
        .map_err(|e| SparkError::internal(e.to_string()))?;
    let offsets = OffsetBuffer::from_lengths([entries.len()]);
    Ok(ScalarValue::Map(Arc::new(MapArray::new(field, offsets, entries_array, None, false))))
}

/// The value of an expression that refers to nothing; `None` where it does refer to something.
/// Errors are those of the evaluation (a cast that fails, a division by zero …).
pub(crate) fn evaluate(typed: &TypedExpr) -> Result<Option<ScalarValue>> {
    firesteel_functions::fold::fold(typed)
}
