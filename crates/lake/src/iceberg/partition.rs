//! How rows are spread over partitions: each partition value is made of a column by a transform.
use firesteel_plan::{DataType, Result, StructType};
use serde_json::{Value as Json, json};

use super::errors::{broken, unsupported};
use super::types::{self, field_id};

/// Numbers of partition fields begin here.
pub(super) const FIRST_FIELD_ID: i32 = 1000;

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionSpec {
    pub id: i64,
    pub fields: Vec<PartitionField>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PartitionField {
    /// The column's number
    pub source: i32,
    pub id: i32,
    pub name: String,
    pub transform: Transform,
}

/// How a partition value is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transform {
    Identity,
    /// One of so many, by a hash
    Bucket(u32),
    /// To a multiple, or to so many characters
    Truncate(u32),
    Year,
    Month,
    Day,
    Hour,
    /// Always NULL: a field that was dropped
    Void,
}

/// Transforms without a number, by name.
const NAMES: &[(&str, Transform)] = &[
    ("identity", Transform::Identity),
    ("year", Transform::Year),
    ("month", Transform::Month),
    ("day", Transform::Day),
    ("hour", Transform::Hour),
    ("void", Transform::Void),
];

impl Transform {
    /// `day`, `bucket[16]`
    pub fn parse(text: &str) -> Result<Self> {
        if let Some((_, transform)) = NAMES.iter().find(|(name, _)| *name == text) {
            return Ok(*transform);
        }
        let number = |prefix: &str| text.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok().filter(|n| *n > 0);
        match (number("bucket["), number("truncate[")) {
            (Some(count), _) => Ok(Self::Bucket(count)),
            (None, Some(width)) => Ok(Self::Truncate(width)),
            (None, None) => Err(unsupported(format!("the partition transform {text}"))),
        }
    }

    /// The type of the partition values of a column.
    pub fn result(self, source: &DataType) -> DataType {
        match self {
            Self::Identity | Self::Truncate(_) | Self::Void => source.clone(),
            Self::Day => DataType::Date,
            _ => DataType::Integer,
        }
    }

    /// What the field of a column is called unless somebody says otherwise.
    pub fn field_name(self, column: &str) -> String {
        match self {
            Self::Identity => column.to_string(),
            Self::Bucket(_) => format!("{column}_bucket"),
            Self::Truncate(_) => format!("{column}_trunc"),
            other => format!("{column}_{other}"),
        }
    }

    /// Whether the column's type has values for it.
    pub fn applies_to(self, source: &DataType) -> bool {
        let is_time = matches!(source, DataType::Timestamp | DataType::TimestampNtz);
        match self {
            // Bytes have no text that a directory could be named by.
            Self::Identity => source.is_atomic() && *source != DataType::Binary,
            Self::Void => source.is_atomic(),
            Self::Bucket(_) => {
                let is_whole = matches!(source, DataType::Integer | DataType::Long | DataType::Date);
                is_time || is_whole || source.is_string() || source.is_decimal() || *source == DataType::Binary
            }
            Self::Truncate(_) => {
                matches!(source, DataType::Integer | DataType::Long) || source.is_string() || source.is_decimal()
            }
            Self::Hour => is_time,
            Self::Year | Self::Month | Self::Day => is_time || *source == DataType::Date,
        }
    }
}

impl std::fmt::Display for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bucket(count) => write!(f, "bucket[{count}]"),
            Self::Truncate(width) => write!(f, "truncate[{width}]"),
            other => f.write_str(NAMES.iter().find(|(_, known)| known == other).map_or("", |(name, _)| name)),
        }
    }
}

impl PartitionSpec {
    /// No partitions.
    pub fn unpartitioned() -> Self {
        Self { id: 0, fields: vec![] }
    }

    pub(super) fn parse(id: i64, fields: &Json) -> Result<Self> {
        let mut parsed = vec![];
        for (index, field) in fields.as_array().into_iter().flatten().enumerate() {
            let number = |name: &str| field.get(name).and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok());
            let text = |name: &str| field.get(name).and_then(Json::as_str).unwrap_or_default();
            let position = i32::try_from(index).unwrap_or(0);
            parsed.push(PartitionField {
                source: number("source-id").ok_or_else(|| broken("a partition spec", "a field has no source"))?,
                id: number("field-id").unwrap_or(FIRST_FIELD_ID + position),
                name: text("name").to_string(),
                transform: Transform::parse(text("transform"))?,
            });
        }
        Ok(Self { id, fields: parsed })
    }

    pub(super) fn json(&self) -> Json {
        json!({"spec-id": self.id, "fields": self.fields_json()})
    }

    pub(super) fn fields_json(&self) -> Json {
        let field = |field: &PartitionField| {
            json!({"name": field.name, "transform": field.transform.to_string(), "source-id": field.source,
                   "field-id": field.id})
        };
        Json::Array(self.fields.iter().map(field).collect())
    }

    /// The type of each field's values. A column that has been dropped since leaves nothing to say of its field.
    pub fn types(&self, schema: &StructType) -> Vec<Option<DataType>> {
        let source = |field: &PartitionField| schema.fields.iter().find(|f| field_id(f) == Some(field.source));
        let of = |field: &PartitionField| Some(field.transform.result(&source(field)?.data_type));
        self.fields.iter().map(of).collect()
    }

    /// The Avro schema of the partition values of a manifest.
    pub(super) fn avro_schema(&self, schema: &StructType) -> Result<Json> {
        let mut fields = vec![];
        for (field, data_type) in self.fields.iter().zip(self.types(schema)) {
            let data_type =
                data_type.ok_or_else(|| unsupported(format!("partitions by {}, which is gone", field.name)))?;
            fields.push(json!({
                "name": avro_name(&field.name),
                "type": ["null", avro_type(&data_type, field.id)?],
                "default": null,
                "field-id": field.id,
            }));
        }
        Ok(json!({"type": "record", "name": "r102", "fields": fields}))
    }
}

/// Names in Avro are letters, digits and underscores.
pub(super) fn avro_name(name: &str) -> String {
    let plain =
        |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_string() } else { format!("_x{:X}", c as u32) };
    let text: String = name.chars().map(plain).collect();
    if text.starts_with(|c: char| c.is_ascii_digit()) { format!("_{text}") } else { text }
}

fn avro_type(data_type: &DataType, id: i32) -> Result<Json> {
    Ok(match data_type {
        DataType::Boolean => json!("boolean"),
        DataType::Integer => json!("int"),
        DataType::Long => json!("long"),
        DataType::Float => json!("float"),
        DataType::Double => json!("double"),
        DataType::Date => json!({"type": "int", "logicalType": "date"}),
        DataType::Timestamp => json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": true}),
        DataType::TimestampNtz => json!({"type": "long", "logicalType": "timestamp-micros", "adjust-to-utc": false}),
        DataType::Binary => json!("bytes"),
        DataType::Decimal(precision, scale) => json!({
            "type": "fixed", "name": format!("decimal_{id}"), "size": decimal_bytes(*precision),
            "logicalType": "decimal", "precision": precision, "scale": scale,
        }),
        text if text.is_string() => json!("string"),
        other => return Err(unsupported(format!("partitions of type {}", types::primitive_name(other)?))),
    })
}

/// The fewest bytes that hold every decimal of a precision.
pub(super) fn decimal_bytes(precision: u8) -> usize {
    let fits = |bytes: &usize| {
        let largest = 2f64.powi(i32::try_from(8 * bytes).unwrap_or(0) - 1);
        largest.log10() >= f64::from(precision)
    };
    (1..=16).find(fits).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for text in ["identity", "bucket[16]", "truncate[4]", "year", "month", "day", "hour", "void"] {
            assert_eq!(Transform::parse(text).unwrap().to_string(), text);
        }
        assert!(Transform::parse("bucket[0]").is_err() && Transform::parse("zorder").is_err());
        assert_eq!([decimal_bytes(2), decimal_bytes(9), decimal_bytes(18), decimal_bytes(38)], [1, 4, 8, 16]);
        assert_eq!(avro_name("1 a"), "_1_x20a");
    }
}
