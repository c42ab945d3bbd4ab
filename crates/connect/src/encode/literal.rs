//! Values of observed metrics.
use firesteel_plan::Literal;
use proto::expression::literal::{self as pb, LiteralType};
use spark_connect_proto as proto;

use super::data_type::data_type;

#[allow(deprecated)]
pub(crate) fn literal(value: &Literal) -> proto::expression::Literal {
    let many = |items: &[Literal]| items.iter().map(literal).collect::<Vec<_>>();
    let literal_type = match value {
        Literal::Null(t) => LiteralType::Null(data_type(t)),
        Literal::Boolean(v) => LiteralType::Boolean(*v),
        Literal::Byte(v) => LiteralType::Byte(i32::from(*v)),
        Literal::Short(v) => LiteralType::Short(i32::from(*v)),
        Literal::Integer(v) => LiteralType::Integer(*v),
        Literal::Long(v) => LiteralType::Long(*v),
        Literal::Float(v) => LiteralType::Float(*v),
        Literal::Double(v) => LiteralType::Double(*v),
        Literal::Decimal(unscaled, precision, scale) => LiteralType::Decimal(pb::Decimal {
            value: decimal_text(*unscaled, *scale),
            precision: Some(i32::from(*precision)),
            scale: Some(i32::from(*scale)),
        }),
        Literal::String(v) | Literal::TypedString(v, _) => LiteralType::String(v.clone()),
        Literal::Binary(v) => LiteralType::Binary(v.clone().into()),
        Literal::Date(v) => LiteralType::Date(*v),
        Literal::Timestamp(v) => LiteralType::Timestamp(*v),
        Literal::TimestampNtz(v) => LiteralType::TimestampNtz(*v),
        Literal::Time(nano, precision) => {
            LiteralType::Time(pb::Time { nano: *nano, precision: Some(i32::from(*precision)) })
        }
        Literal::CalendarInterval { months, days, microseconds } => {
            LiteralType::CalendarInterval(pb::CalendarInterval {
                months: *months,
                days: *days,
                microseconds: *microseconds,
            })
        }
        Literal::YearMonthInterval(months, _, _) => LiteralType::YearMonthInterval(*months),
        Literal::DayTimeInterval(micros, _, _) => LiteralType::DayTimeInterval(*micros),
        // Clients before 4.1 read the deprecated type fields, later ones too.
        Literal::Array(items, element) => {
            LiteralType::Array(pb::Array { element_type: Some(data_type(element)), elements: many(items) })
        }
        Literal::Map(items, key, value) => LiteralType::Map(pb::Map {
            key_type: Some(data_type(key)),
            value_type: Some(data_type(value)),
            keys: items.iter().map(|(key, _)| literal(key)).collect(),
            values: items.iter().map(|(_, value)| literal(value)).collect(),
        }),
        Literal::Struct(items, _) => {
            LiteralType::Struct(pb::Struct { struct_type: Some(data_type(&value.data_type())), elements: many(items) })
        }
    };
    proto::expression::Literal { data_type: None, literal_type: Some(literal_type) }
}

fn decimal_text(unscaled: i128, scale: i8) -> String {
    let Ok(scale) = usize::try_from(scale) else {
        return format!("{unscaled}{}", "0".repeat(usize::from(scale.unsigned_abs())));
    };
    if scale == 0 {
        return unscaled.to_string();
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::decimal_text;

    #[test]
    fn decimals() {
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(12345, 2), "123.45");
        assert_eq!(decimal_text(7, 0), "7");
        assert_eq!(decimal_text(7, -2), "700");
    }
}
