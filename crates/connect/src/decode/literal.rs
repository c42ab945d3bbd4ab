//! Literals. A client of 4.1 or later says the type of a nested literal in `data_type`; older ones in the field that
//! became deprecated, or not at all, so that it follows from the elements.
use firesteel_plan::{DataType, DayTimeField, Literal, Result, SparkError, StructField, YearMonthField};
use proto::expression::literal::{LiteralType, specialized_array::ValueType};
use spark_connect_proto as proto;

use super::{Decoder, data_type, invalid, not_set};

const MESSAGE: &str = "spark.connect.Expression.Literal";

impl Decoder<'_> {
    pub(super) fn literal(&mut self, literal: &proto::expression::Literal) -> Result<Literal> {
        let given = self.optional_type(literal.data_type.as_ref())?;
        self.typed_literal(literal, given.as_ref())
    }

    fn typed_literal(&mut self, literal: &proto::expression::Literal, given: Option<&DataType>) -> Result<Literal> {
        self.deeper(|decoder| {
            let value = literal.literal_type.as_ref().ok_or_else(|| not_set(MESSAGE, "literal_type"))?;
            decoder.literal_value(value, given)
        })
    }

    fn literal_value(&mut self, value: &LiteralType, given: Option<&DataType>) -> Result<Literal> {
        Ok(match value {
            LiteralType::Null(data_type) => Literal::Null(match given {
                Some(given) => given.clone(),
                None if data_type.kind.is_none() => DataType::Null,
                None => self.data_type(data_type)?,
            }),
            LiteralType::Binary(bytes) => Literal::Binary(bytes.to_vec()),
            LiteralType::Boolean(value) => Literal::Boolean(*value),
            // The wire has no smaller integers: values wrap as a JVM's `toByte` does.
            LiteralType::Byte(value) => Literal::Byte(*value as i8),
            LiteralType::Short(value) => Literal::Short(*value as i16),
            LiteralType::Integer(value) => Literal::Integer(*value),
            LiteralType::Long(value) => Literal::Long(*value),
            LiteralType::Float(value) => Literal::Float(*value),
            LiteralType::Double(value) => Literal::Double(*value),
            LiteralType::Decimal(decimal) => decimal_literal(decimal)?,
            LiteralType::String(text) => match given {
                Some(DataType::String(collation)) if collation.is_default() => Literal::String(text.clone()),
                Some(data_type) if data_type.is_string() => Literal::TypedString(text.clone(), data_type.clone()),
                _ => Literal::String(text.clone()),
            },
            LiteralType::Date(days) => Literal::Date(*days),
            LiteralType::Timestamp(micros) => Literal::Timestamp(*micros),
            LiteralType::TimestampNtz(micros) => Literal::TimestampNtz(*micros),
            LiteralType::CalendarInterval(interval) => Literal::CalendarInterval {
                months: interval.months,
                days: interval.days,
                microseconds: interval.microseconds,
            },
            LiteralType::YearMonthInterval(months) => match given {
                Some(DataType::YearMonthInterval(start, end)) => Literal::YearMonthInterval(*months, *start, *end),
                _ => Literal::YearMonthInterval(*months, YearMonthField::Year, YearMonthField::Month),
            },
            LiteralType::DayTimeInterval(micros) => match given {
                Some(DataType::DayTimeInterval(start, end)) => Literal::DayTimeInterval(*micros, *start, *end),
                _ => Literal::DayTimeInterval(*micros, DayTimeField::Day, DayTimeField::Second),
            },
            LiteralType::Array(array) => self.array_literal(array, given)?,
            LiteralType::Map(map) => self.map_literal(map, given)?,
            LiteralType::Struct(structure) => self.struct_literal(structure, given)?,
            LiteralType::SpecializedArray(array) => specialized_array(array)?,
            LiteralType::Time(time) => match data_type::time_type(time.precision)? {
                DataType::Time(precision) => Literal::Time(time.nano, precision),
                _ => return Err(unsupported("time")),
            },
            LiteralType::TimestampNtzNanos(_) => return Err(unsupported("timestamp_ntz with nanoseconds")),
            LiteralType::TimestampLtzNanos(_) => return Err(unsupported("timestamp_ltz with nanoseconds")),
        })
    }

    #[allow(deprecated)]
    fn array_literal(
        &mut self,
        array: &proto::expression::literal::Array,
        given: Option<&DataType>,
    ) -> Result<Literal> {
        let element = match given {
            Some(DataType::Array(element, _)) => Some(element.as_ref().clone()),
            _ => self.optional_type(array.element_type.as_ref())?,
        };
        let items = self.literals(&array.elements, element.as_ref())?;
        let element = element.or_else(|| items.iter().map(Literal::data_type).find(|t| *t != DataType::Null));
        match element {
            Some(element) => Ok(Literal::Array(items, element)),
            None if items.is_empty() => Err(invalid("ARRAY_LITERAL_MISSING_DATA_TYPE")),
            None => Ok(Literal::Array(items, DataType::Null)),
        }
    }

    #[allow(deprecated)]
    fn map_literal(&mut self, map: &proto::expression::literal::Map, given: Option<&DataType>) -> Result<Literal> {
        let (key, value) = match given {
            Some(DataType::Map(key, value, _)) => (Some(key.as_ref().clone()), Some(value.as_ref().clone())),
            _ => (self.optional_type(map.key_type.as_ref())?, self.optional_type(map.value_type.as_ref())?),
        };
        if map.keys.len() != map.values.len() {
            return Err(invalid("MAP_LITERAL_NOT_SET"));
        }
        let keys = self.literals(&map.keys, key.as_ref())?;
        let values = self.literals(&map.values, value.as_ref())?;
        let known = |items: &[Literal]| items.iter().map(Literal::data_type).find(|t| *t != DataType::Null);
        let key = key.or_else(|| known(&keys)).ok_or_else(|| invalid("MAP_LITERAL_MISSING_DATA_TYPE"))?;
        let value = value.or_else(|| known(&values)).unwrap_or(DataType::Null);
        Ok(Literal::Map(keys.into_iter().zip(values).collect(), key, value))
    }

    #[allow(deprecated)]
    fn struct_literal(
        &mut self,
        structure: &proto::expression::literal::Struct,
        given: Option<&DataType>,
    ) -> Result<Literal> {
        let given = match given {
            Some(given) => Some(given.clone()),
            None => self.optional_type(structure.struct_type.as_ref())?,
        };
        let Some(DataType::Struct(fields)) = given else { return Err(invalid("STRUCT_LITERAL_MISSING_DATA_TYPE")) };
        if fields.fields.len() != structure.elements.len() {
            return Err(invalid("STRUCT_LITERAL_NOT_SET"));
        }
        let items = structure.elements.iter().zip(fields.fields.iter());
        let items = items.map(|(item, field)| self.typed_literal(item, Some(&field.data_type)));
        let items = items.collect::<Result<Vec<_>>>()?;
        Ok(Literal::Struct(items, fields.fields.iter().map(StructField::clone).collect()))
    }

    fn literals(&mut self, items: &[proto::expression::Literal], given: Option<&DataType>) -> Result<Vec<Literal>> {
        items
            .iter()
            .map(|item| match (&item.data_type, given) {
                (None, Some(given)) => self.typed_literal(item, Some(given)),
                _ => self.literal(item),
            })
            .collect()
    }
}

fn unsupported(what: &str) -> SparkError {
    SparkError::new("CONNECT_INVALID_PLAN.UNSUPPORTED_LITERAL_TYPE", [("typeInfo", what)])
}

fn specialized_array(array: &proto::expression::literal::SpecializedArray) -> Result<Literal> {
    let value = array.value_type.as_ref().ok_or_else(|| not_set(MESSAGE, "specialized_array"))?;
    fn items<T: Clone>(values: &[T], make: impl Fn(T) -> Literal, element: DataType) -> Literal {
        Literal::Array(values.iter().cloned().map(make).collect(), element)
    }
    Ok(match value {
        ValueType::Bools(v) => items(&v.values, Literal::Boolean, DataType::Boolean),
        ValueType::Ints(v) => items(&v.values, Literal::Integer, DataType::Integer),
        ValueType::Longs(v) => items(&v.values, Literal::Long, DataType::Long),
        ValueType::Floats(v) => items(&v.values, Literal::Float, DataType::Float),
        ValueType::Doubles(v) => items(&v.values, Literal::Double, DataType::Double),
        ValueType::Strings(v) => items(&v.values, Literal::String, DataType::STRING),
    })
}

/// The text may have a sign and an exponent. Precision and scale, where given, are checked against it.
fn decimal_literal(decimal: &proto::expression::literal::Decimal) -> Result<Literal> {
    let text = decimal.value.as_str();
    let fault = || {
        SparkError::new(
            "CONNECT_INVALID_PLAN.ASSERTION_FAILURE",
            [("message", format!("the decimal literal {text:?} has no value of at most 38 digits"))],
        )
    };
    let (mut unscaled, mut scale) = unscaled(text).ok_or_else(fault)?;
    if let Some(wanted) = decimal.scale {
        while scale < wanted {
            unscaled = unscaled.checked_mul(10).ok_or_else(fault)?;
            scale += 1;
        }
        while scale > wanted && unscaled % 10 == 0 {
            unscaled /= 10;
            scale -= 1;
        }
    }
    while scale < 0 {
        unscaled = unscaled.checked_mul(10).ok_or_else(fault)?;
        scale += 1;
    }
    let digits = i32::try_from(unscaled.unsigned_abs().to_string().len()).map_err(|_| fault())?;
    let precision = decimal.precision.unwrap_or(0).max(digits).max(scale);
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if precision <= 38 => Ok(Literal::Decimal(unscaled, precision, scale)),
        _ => Err(fault()),
    }
}

/// Digits without the point, and how many of them came after it (less the exponent).
fn unscaled(text: &str) -> Option<(i128, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let unscaled = digits.parse::<i128>().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    (-76..=76).contains(&scale).then_some((unscaled, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(value: &str, precision: Option<i32>, scale: Option<i32>) -> Result<Literal> {
        decimal_literal(&proto::expression::literal::Decimal { value: value.into(), precision, scale })
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal("1.20", None, None).unwrap(), Literal::Decimal(120, 3, 2));
        assert_eq!(decimal("-0.001", Some(10), Some(4)).unwrap(), Literal::Decimal(-10, 10, 4));
        assert_eq!(decimal("1E+2", None, None).unwrap(), Literal::Decimal(100, 3, 0));
        assert!(decimal("", None, None).is_err());
        assert!(decimal("1e999999999", None, None).is_err());
        assert!(decimal("é", None, None).is_err());
    }
}
