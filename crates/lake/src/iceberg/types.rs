//! Iceberg's types and Spark's. A column's number, by which its values are found in files whatever it was named when they
//! were written, is in its metadata ([`FIELD_ID_KEY`]); those of list elements and map entries, which are no columns to
//! Spark, are with the column that they belong to ([`NESTED_IDS_KEY`]).
use std::collections::BTreeMap;

use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use serde_json::{Map, Value as Json, json};

use super::errors::{broken, unsupported};
use crate::parquet::{FIELD_ID_KEY, NESTED_IDS_KEY};

/// The number of a column.
pub fn field_id(field: &StructField) -> Option<i32> {
    field.metadata.get(FIELD_ID_KEY)?.parse().ok()
}

/// The numbers below a column, by their paths in a file (`name.element`, `name.key`, `name.value`).
fn nested_ids(field: &StructField) -> BTreeMap<String, i32> {
    let json = field.metadata.get(NESTED_IDS_KEY).and_then(|text| serde_json::from_str(text).ok());
    json.unwrap_or_default()
}

/// `{"type": "struct", "fields": …}` as columns.
pub(super) fn struct_of(json: &Json) -> Result<StructType> {
    let fields = json.get("fields").and_then(Json::as_array).ok_or_else(|| broken("a schema", "it has no fields"))?;
    fields.iter().map(field_of).collect::<Result<_>>().map(|fields: Vec<_>| StructType::new(fields))
}

fn field_of(json: &Json) -> Result<StructField> {
    let name = json.get("name").and_then(Json::as_str).ok_or_else(|| broken("a schema", "a column has no name"))?;
    let id = json.get("id").and_then(Json::as_i64).ok_or_else(|| broken("a schema", "a column has no number"))?;
    let of = json.get("type").ok_or_else(|| broken("a schema", format!("{name} has no type")))?;
    let mut ids = BTreeMap::new();
    let data_type = type_of(of, name, &mut ids)?;
    let is_required = json.get("required").and_then(Json::as_bool).unwrap_or(false);
    let mut field = StructField::new(name, data_type, !is_required);
    field.metadata.insert(FIELD_ID_KEY.into(), id.to_string());
    if !ids.is_empty() {
        field.metadata.insert(NESTED_IDS_KEY.into(), json!(ids).to_string());
    }
    if let Some(comment) = json.get("doc").and_then(Json::as_str) {
        field.metadata.insert("comment".into(), json!(comment).to_string());
    }
    if json.get("initial-default").is_some_and(|value| !value.is_null()) {
        return Err(unsupported("default values of columns"));
    }
    Ok(field)
}

/// `path`: where the type is below its column; `ids` gets the numbers of what is no column.
fn type_of(json: &Json, path: &str, ids: &mut BTreeMap<String, i32>) -> Result<DataType> {
    if let Some(name) = json.as_str() {
        return primitive(name);
    }
    let below = |part: &str, ids: &mut BTreeMap<String, i32>| -> Result<DataType> {
        let name = if path.is_empty() { part.to_string() } else { format!("{path}.{part}") };
        let id = json.get(format!("{part}-id")).and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok());
        ids.insert(name.clone(), id.ok_or_else(|| broken("a schema", format!("{name} has no number")))?);
        type_of(json.get(part).unwrap_or(&Json::Null), &name, ids)
    };
    let required = |part: &str| json.get(format!("{part}-required")).and_then(Json::as_bool).unwrap_or(false);
    match json.get("type").and_then(Json::as_str) {
        Some("struct") => struct_of(json).map(DataType::Struct),
        Some("list") => Ok(DataType::array(below("element", ids)?, !required("element"))),
        Some("map") => {
            let key = below("key", ids)?;
            Ok(DataType::map(key, below("value", ids)?, !required("value")))
        }
        _ => Err(broken("a schema", format!("{json} is no type"))),
    }
}

fn primitive(name: &str) -> Result<DataType> {
    Ok(match name {
        "boolean" => DataType::Boolean,
        "int" => DataType::Integer,
        "long" => DataType::Long,
        "float" => DataType::Float,
        "double" => DataType::Double,
        "date" => DataType::Date,
        "timestamptz" => DataType::Timestamp,
        "timestamp" => DataType::TimestampNtz,
        "string" => DataType::STRING,
        "binary" => DataType::Binary,
        fixed if fixed.starts_with("fixed[") => DataType::Binary,
        other => {
            let digits = other.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')'));
            let parts = digits.and_then(|digits| digits.split_once(','));
            let parsed = parts.and_then(|(p, s)| Some((p.trim().parse().ok()?, s.trim().parse().ok()?)));
            let (precision, scale) = parsed.ok_or_else(|| unsupported(format!("columns of type {other}")))?;
            DataType::Decimal(precision, scale)
        }
    })
}

/// Gives numbers to columns that have none.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    pub last: i32,
}

impl Numbers {
    fn next(&mut self) -> i32 {
        self.last += 1;
        self.last
    }

    /// Columns with numbers: all of one level before those below them, as Iceberg's own writers give them.
    pub(super) fn numbered(&mut self, schema: &StructType) -> StructType {
        let mut fields = schema.fields.to_vec();
        for field in &mut fields {
            if field_id(field).is_none() {
                let id = self.next();
                field.metadata.insert(FIELD_ID_KEY.into(), id.to_string());
            }
        }
        for field in &mut fields {
            let mut ids = nested_ids(field);
            let path = field.name.clone();
            field.data_type = self.below(&field.data_type, &path, &mut ids);
            if !ids.is_empty() {
                field.metadata.insert(NESTED_IDS_KEY.into(), json!(ids).to_string());
            }
        }
        StructType::new(fields)
    }

    fn below(&mut self, data_type: &DataType, path: &str, ids: &mut BTreeMap<String, i32>) -> DataType {
        let number = |part: &str, this: &mut Self, ids: &mut BTreeMap<String, i32>| {
            let name = format!("{path}.{part}");
            ids.entry(name.clone()).or_insert_with(|| this.next());
            name
        };
        match data_type {
            DataType::Struct(fields) => DataType::Struct(self.numbered(fields)),
            DataType::Array(element, nulls) => {
                let name = number("element", self, ids);
                DataType::array(self.below(element, &name, ids), *nulls)
            }
            DataType::Map(key, value, nulls) => {
                let (of_key, of_value) = (number("key", self, ids), number("value", self, ids));
                DataType::map(self.below(key, &of_key, ids), self.below(value, &of_value, ids), *nulls)
            }
            other => other.clone(),
        }
    }
}

/// Columns, which all have numbers, as Iceberg's JSON.
pub(super) fn struct_json(schema: &StructType) -> Result<Json> {
    let fields: Vec<Json> = schema.fields.iter().map(field_json).collect::<Result<_>>()?;
    Ok(json!({"type": "struct", "fields": fields}))
}

fn field_json(field: &StructField) -> Result<Json> {
    let id = field_id(field).ok_or_else(|| SparkError::internal(format!("column {} has no number", field.name)))?;
    let mut json = Map::new();
    json.insert("id".into(), id.into());
    json.insert("name".into(), field.name.as_str().into());
    json.insert("required".into(), (!field.nullable).into());
    json.insert("type".into(), type_json(&field.data_type, &field.name, &nested_ids(field))?);
    if let Some(comment) = field.metadata.get("comment").and_then(|text| serde_json::from_str(text).ok()) {
        json.insert("doc".into(), comment);
    }
    Ok(Json::Object(json))
}

fn type_json(data_type: &DataType, path: &str, ids: &BTreeMap<String, i32>) -> Result<Json> {
    let id = |part: &str| ids.get(&format!("{path}.{part}")).copied();
    Ok(match data_type {
        DataType::Struct(fields) => struct_json(fields)?,
        DataType::Array(element, nulls) => json!({
            "type": "list",
            "element-id": id("element"),
            "element": type_json(element, &format!("{path}.element"), ids)?,
            "element-required": !nulls,
        }),
        DataType::Map(key, value, nulls) => json!({
            "type": "map",
            "key-id": id("key"),
            "key": type_json(key, &format!("{path}.key"), ids)?,
            "value-id": id("value"),
            "value": type_json(value, &format!("{path}.value"), ids)?,
            "value-required": !nulls,
        }),
        primitive => Json::String(primitive_name(primitive)?),
    })
}

/// The name of a type without parts.
pub(super) fn primitive_name(data_type: &DataType) -> Result<String> {
    Ok(match data_type {
        DataType::Boolean => "boolean".into(),
        DataType::Byte | DataType::Short | DataType::Integer => "int".into(),
        DataType::Long => "long".into(),
        DataType::Float => "float".into(),
        DataType::Double => "double".into(),
        DataType::Date => "date".into(),
        DataType::Timestamp => "timestamptz".into(),
        DataType::TimestampNtz => "timestamp".into(),
        DataType::Binary => "binary".into(),
        DataType::Decimal(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::Char(_) | DataType::Varchar(_) => "string".into(),
        text if text.is_string() => "string".into(),
        other => return Err(unsupported(format!("columns of type {}", other.sql()))),
    })
}

/// The type that a table has for a column of a Spark type: there are two integers and one kind of text.
pub fn table_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Byte | DataType::Short => DataType::Integer,
        DataType::Char(_) | DataType::Varchar(_) => DataType::STRING,
        DataType::Struct(fields) => DataType::Struct(table_schema(fields)),
        DataType::Array(element, nulls) => DataType::array(table_type(element), *nulls),
        DataType::Map(key, value, nulls) => DataType::map(table_type(key), table_type(value), *nulls),
        DataType::Udt { sql_type, .. } => table_type(sql_type),
        other => other.clone(),
    }
}

/// The columns that a table has for Spark's.
pub fn table_schema(schema: &StructType) -> StructType {
    let field = |field: &StructField| StructField { data_type: table_type(&field.data_type), ..field.clone() };
    StructType::new(schema.fields.iter().map(field).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_go_round() {
        let plain = sample();
        let mut numbers = Numbers { last: 0 };
        let numbered = numbers.numbered(&table_schema(&plain));
        let json = struct_json(&numbered).unwrap();
        assert_eq!(struct_of(&json).unwrap(), numbered);
        // One level after another.
        assert_eq!(numbered.fields.iter().map(field_id).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
        assert_eq!(nested_ids(&numbered.fields[1]).get("list.element"), Some(&4));
        assert_eq!(numbers.last, 7);
        assert!(primitive("decimal(38,2)").is_ok() && primitive("uuid").is_err());
    }

    /// id TINYINT, list ARRAY<STRUCT<x: DATE>>, map MAP<STRING, DECIMAL(5, 1)>
    fn sample() -> StructType {
        let inner = DataType::Struct(StructType::new(vec![StructField::new("x", DataType::Date, true)]));
        StructType::new(vec![
            StructField::new("id", DataType::Byte, false),
            StructField::new("list", DataType::array(inner, true), true),
            StructField::new("map", DataType::map(DataType::STRING, DataType::Decimal(5, 1), true), true),
        ])
    }
}
