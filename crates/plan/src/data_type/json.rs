//! Types as JSON, in Spark's `DataType.json` form.
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Collation, DataType, DayTimeField, StructField, StructType, YearMonthField};
use crate::error::{Result, SparkError};

impl DataType {
    pub fn json(&self) -> String {
        self.json_value().to_string()
    }

    pub fn json_value(&self) -> Value {
        match self {
            Self::Array(e, nullable) => {
                json!({"type": "array", "elementType": e.json_value(), "containsNull": nullable})
            }
            Self::Map(k, v, nullable) => json!({
                "type": "map", "keyType": k.json_value(), "valueType": v.json_value(), "valueContainsNull": nullable
            }),
            Self::Struct(s) => s.json_value(),
            Self::Udt { json, .. } => serde_json::from_str(json).unwrap_or(Value::Null),
            Self::String(_) => json!("string"),
            other => json!(other.type_name()),
        }
    }

    /// Reads what [`DataType::json`] writes.
    pub fn from_json(text: &str) -> Result<Self> {
        let value = serde_json::from_str(text).map_err(|e| invalid(text).with_cause(e))?;
        Self::from_json_value(&value)
    }

    pub fn from_json_value(value: &Value) -> Result<Self> {
        match value {
            Value::String(name) => named(name).ok_or_else(|| invalid(name)),
            Value::Object(object) => complex(object),
            other => Err(invalid(&other.to_string())),
        }
    }
}

impl StructType {
    pub fn json_value(&self) -> Value {
        json!({"type": "struct", "fields": self.fields.iter().map(field_json).collect::<Vec<_>>()})
    }
}

/// Where the collations of a field are kept: types without them can be read by everybody.
const COLLATIONS: &str = "__COLLATIONS";

fn field_json(field: &StructField) -> Value {
    let mut metadata: Map<String, Value> = (field.metadata.iter())
        .map(|(k, v)| (k.clone(), serde_json::from_str(v).unwrap_or_else(|_| json!(v))))
        .collect();
    let mut collations = Map::new();
    collect_collations(&field.name, &field.data_type, &mut collations);
    if !collations.is_empty() {
        metadata.insert(COLLATIONS.to_string(), Value::Object(collations));
    }
    json!({
        "name": field.name, "type": field.data_type.json_value(), "nullable": field.nullable, "metadata": metadata
    })
}

/// The collations of a field by their place in it; fields of structs keep their own.
fn collect_collations(path: &str, data_type: &DataType, found: &mut Map<String, Value>) {
    match data_type {
        DataType::String(Collation(Some(name))) => {
            let provider = if name.starts_with("UTF8") { "spark" } else { "icu" };
            found.insert(path.to_string(), json!(format!("{provider}.{name}")));
        }
        DataType::Array(element, _) => collect_collations(&format!("{path}.element"), element, found),
        DataType::Map(key, value, _) => {
            collect_collations(&format!("{path}.key"), key, found);
            collect_collations(&format!("{path}.value"), value, found);
        }
        _ => {}
    }
}

/// The type with the collations that [`collect_collations`] has found in it.
fn with_collations(data_type: DataType, path: &str, collations: &Map<String, Value>) -> DataType {
    let inner = |child: &DataType, place: &str| with_collations(child.clone(), &format!("{path}.{place}"), collations);
    match &data_type {
        DataType::String(_) => match collations.get(path).and_then(Value::as_str).and_then(|c| c.split_once('.')) {
            Some((_, name)) => DataType::String(Collation(Some(name.into()))),
            None => data_type,
        },
        DataType::Array(element, nullable) => DataType::array(inner(element, "element"), *nullable),
        DataType::Map(key, value, nullable) => DataType::map(inner(key, "key"), inner(value, "value"), *nullable),
        _ => data_type,
    }
}

fn invalid(text: &str) -> SparkError {
    SparkError::new("INVALID_JSON_DATA_TYPE", [("invalidType", text)])
}

fn complex(object: &Map<String, Value>) -> Result<DataType> {
    let child = |key: &str| object.get(key).ok_or_else(|| invalid(key)).and_then(DataType::from_json_value);
    let flag = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or(true);
    match object.get("type").and_then(Value::as_str) {
        Some("array") => Ok(DataType::array(child("elementType")?, flag("containsNull"))),
        Some("map") => Ok(DataType::map(child("keyType")?, child("valueType")?, flag("valueContainsNull"))),
        Some("struct") => {
            let fields = object.get("fields").and_then(Value::as_array).ok_or_else(|| invalid("fields"))?;
            Ok(DataType::structure(fields.iter().map(field_from_json).collect::<Result<_>>()?))
        }
        Some("udt") => Ok(DataType::Udt {
            json: Value::Object(object.clone()).to_string().into(),
            sql_type: Arc::new(child("sqlType")?),
        }),
        other => Err(invalid(other.unwrap_or("null"))),
    }
}

fn field_from_json(value: &Value) -> Result<StructField> {
    let name = value.get("name").and_then(Value::as_str).ok_or_else(|| invalid("name"))?;
    let data_type = DataType::from_json_value(value.get("type").ok_or_else(|| invalid("type"))?)?;
    let nullable = value.get("nullable").and_then(Value::as_bool).unwrap_or(true);
    let metadata = value.get("metadata").and_then(Value::as_object);
    let data_type = match metadata.and_then(|m| m.get(COLLATIONS)).and_then(Value::as_object) {
        Some(collations) => with_collations(data_type, name, collations),
        None => data_type,
    };
    let metadata: BTreeMap<_, _> = (metadata.into_iter().flatten())
        .filter(|(key, _)| *key != COLLATIONS)
        .map(|(k, v)| (k.clone(), v.to_string()))
        .collect();
    Ok(StructField { name: name.into(), data_type, nullable, metadata })
}

/// A type without children, by its JSON name.
fn named(name: &str) -> Option<DataType> {
    let simple = match name {
        "void" | "null" => DataType::Null,
        "boolean" => DataType::Boolean,
        "byte" | "tinyint" => DataType::Byte,
        "short" | "smallint" => DataType::Short,
        "integer" | "int" => DataType::Integer,
        "long" | "bigint" => DataType::Long,
        "float" => DataType::Float,
        "double" => DataType::Double,
        "decimal" => DataType::DECIMAL_USER,
        "string" => DataType::STRING,
        "binary" => DataType::Binary,
        "date" => DataType::Date,
        "timestamp" | "timestamp_ltz" => DataType::Timestamp,
        "timestamp_ntz" => DataType::TimestampNtz,
        "time" => DataType::Time(6),
        "interval" | "calendarinterval" => DataType::CalendarInterval,
        "variant" => DataType::Variant,
        _ => return parameterised(name),
    };
    Some(simple)
}

fn parameterised(name: &str) -> Option<DataType> {
    if let Some(range) = name.strip_prefix("interval ") {
        let (start, end) = range.split_once(" to ").unwrap_or((range, range));
        return year_month(start, end).or_else(|| day_time(start, end));
    }
    if let Some(collation) = name.strip_prefix("string collate ") {
        return Some(DataType::String(Collation(Some(collation.into()))));
    }
    let (base, arguments) = name.strip_suffix(')')?.split_once('(')?;
    match base {
        "decimal" => {
            let (precision, scale) = arguments.split_once(',')?;
            Some(DataType::Decimal(precision.trim().parse().ok()?, scale.trim().parse().ok()?))
        }
        "char" => Some(DataType::Char(arguments.trim().parse().ok()?)),
        "varchar" => Some(DataType::Varchar(arguments.trim().parse().ok()?)),
        "time" => Some(DataType::Time(arguments.trim().parse().ok()?)),
        _ => None,
    }
}

fn year_month(start: &str, end: &str) -> Option<DataType> {
    let field = |text| match text {
        "year" => Some(YearMonthField::Year),
        "month" => Some(YearMonthField::Month),
        _ => None,
    };
    Some(DataType::YearMonthInterval(field(start)?, field(end)?))
}

fn day_time(start: &str, end: &str) -> Option<DataType> {
    let field = |text| match text {
        "day" => Some(DayTimeField::Day),
        "hour" => Some(DayTimeField::Hour),
        "minute" => Some(DayTimeField::Minute),
        "second" => Some(DayTimeField::Second),
        _ => None,
    };
    Some(DataType::DayTimeInterval(field(start)?, field(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_round() -> Result<()> {
        let inner = DataType::structure(vec![StructField::new("d", DataType::Decimal(10, 2), true)]);
        let whole = DataType::structure(vec![
            StructField::new("a", DataType::array(inner, false), true),
            StructField::new("m", DataType::map(DataType::STRING, DataType::DAY_TIME, true), false),
            StructField::new("t", DataType::Time(3), false),
            StructField::new("s", DataType::array(DataType::String(Collation(Some("UNICODE_CI".into()))), true), true),
        ]);
        assert_eq!(DataType::from_json(&whole.json())?, whole);
        Ok(())
    }
}
