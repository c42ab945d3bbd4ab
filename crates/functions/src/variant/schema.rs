//! The schema of a variant, in the text of `schema_of_variant`: `OBJECT<a: BIGINT, b: ARRAY<STRING>>`.
use firesteel_plan::{DataType, Result, StructField};

use super::decode::{Kind, Variant};

/// The type of a variant; objects are structs, what does not go together is VARIANT.
pub fn type_of(variant: &Variant<'_>) -> Result<DataType> {
    Ok(match variant.kind()? {
        Kind::Null => DataType::Null,
        Kind::Boolean(_) => DataType::Boolean,
        Kind::Long(_) => DataType::Long,
        Kind::Double(_) => DataType::Double,
        Kind::Float(_) => DataType::Float,
        Kind::Decimal(unscaled, scale) => {
            // Trailing zeros do not count.
            let digits = crate::strings::digits::Digits::of_decimal(unscaled, i8::try_from(scale).unwrap_or(0));
            let scale = digits.scale();
            let precision = (usize::try_from(digits.point).unwrap_or(0) + scale).max(scale).max(1);
            DataType::Decimal(precision.min(38) as u8, scale.min(38) as i8)
        }
        Kind::Date(_) => DataType::Date,
        Kind::Timestamp(_) => DataType::Timestamp,
        Kind::TimestampNtz(_) => DataType::TimestampNtz,
        Kind::String(_) | Kind::Uuid(_) => DataType::STRING,
        Kind::Binary(_) => DataType::Binary,
        Kind::Array(items) => {
            let mut element = DataType::Null;
            for i in 0..items.len() {
                element = merge(&element, &type_of(&items.get(i)?)?);
            }
            DataType::array(element, true)
        }
        Kind::Object(fields) => {
            let field = |i| Ok(StructField::new(fields.key(i)?, type_of(&fields.get(i)?)?, true));
            DataType::structure((0..fields.len()).map(field).collect::<Result<_>>()?)
        }
    })
}

/// The type that holds both.
pub fn merge(left: &DataType, right: &DataType) -> DataType {
    match (left, right) {
        (a, b) if a == b => a.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Array(a, _), DataType::Array(b, _)) => DataType::array(merge(a, b), true),
        (DataType::Struct(a), DataType::Struct(b)) => {
            let mut fields: Vec<StructField> = a.fields.to_vec();
            for field in b.fields.iter() {
                match fields.iter_mut().find(|f| f.name == field.name) {
                    Some(known) => known.data_type = merge(&known.data_type, &field.data_type),
                    None => fields.push(field.clone()),
                }
            }
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            DataType::structure(fields)
        }
        (a, b) if a.is_numeric() && b.is_numeric() => merge_numbers(a, b),
        _ => DataType::Variant,
    }
}

fn merge_numbers(left: &DataType, right: &DataType) -> DataType {
    let as_decimal = |t: &DataType| match t {
        DataType::Decimal(p, s) => Some((i16::from(*p), i16::from(*s))),
        DataType::Long => Some((20, 0)),
        _ => None,
    };
    let (Some((p, s)), Some((q, r))) = (as_decimal(left), as_decimal(right)) else { return DataType::Double };
    let scale = s.max(r);
    let precision = (p - s).max(q - r) + scale;
    if precision > 38 { DataType::Double } else { DataType::Decimal(precision as u8, scale as i8) }
}

/// The text of a type as `schema_of_variant` shows it.
pub fn text(data_type: &DataType) -> String {
    match data_type {
        DataType::Array(element, _) => format!("ARRAY<{}>", text(element)),
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields
                .fields
                .iter()
                .map(|f| format!("{}: {}", firesteel_plan::identifier::quote_if_needed(&f.name), text(&f.data_type)))
                .collect();
            format!("OBJECT<{}>", fields.join(", "))
        }
        other => other.sql(),
    }
}
