//! The Avro schema of a table's records. Their parts have the names that Spark gives them.
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use serde_json::{Value as Json, json};

use crate::hudi::schema::OWN;

/// The schema of records with these columns.
pub(super) fn schema_of(table: &str, columns: &StructType) -> Result<Json> {
    let table = sanitized(table);
    let (name, space) = (format!("{table}_record"), format!("hoodie.{table}"));
    record(columns, &name, &space)
}

/// A schema with further columns, which older records lack.
pub(super) fn with_columns(schema: &str, more: &[StructField]) -> Result<String> {
    let mut json = parsed(schema)?;
    let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_string();
    let below = format!("{}.{}", text("namespace"), text("name"));
    let more = more.iter().map(|column| field(column, &below)).collect::<Result<Vec<_>>>()?;
    if let Some(Json::Array(fields)) = json.get_mut("fields") {
        fields.extend(more);
    }
    Ok(json.to_string())
}

/// A schema with Hudi's own columns in front, as files have it.
pub(super) fn with_own_columns(schema: &str) -> Result<String> {
    let mut json = parsed(schema)?;
    let own = OWN.iter().map(|name| json!({"name": name, "type": ["null", "string"], "doc": "", "default": null}));
    if let Some(Json::Array(fields)) = json.get_mut("fields") {
        let is_own = |field: &Json| field.get("name").and_then(Json::as_str).is_some_and(|name| OWN.contains(&name));
        let rest = std::mem::take(fields).into_iter().filter(|field| !is_own(field));
        *fields = own.chain(rest).collect();
    }
    Ok(json.to_string())
}

fn parsed(schema: &str) -> Result<Json> {
    serde_json::from_str(schema).map_err(crate::hudi::table::damaged)
}

/// A table's name as Avro takes names.
fn sanitized(name: &str) -> String {
    let fits = |(place, c): (usize, char)| c.is_ascii_alphabetic() || c == '_' || place > 0 && c.is_ascii_digit();
    name.chars().enumerate().map(|found| if fits(found) { found.1 } else { '_' }).collect()
}

fn record(columns: &StructType, name: &str, space: &str) -> Result<Json> {
    let below = if space.is_empty() { name.to_string() } else { format!("{space}.{name}") };
    let fields = columns.fields.iter().map(|column| field(column, &below)).collect::<Result<Vec<_>>>()?;
    Ok(json!({"type": "record", "name": name, "namespace": space, "fields": fields}))
}

fn field(column: &StructField, space: &str) -> Result<Json> {
    let name = &column.name;
    let is_name = name
        .chars()
        .enumerate()
        .all(|(place, c)| c.is_ascii_alphabetic() || c == '_' || place > 0 && c.is_ascii_digit());
    if !is_name || name.is_empty() {
        return Err(SparkError::unsupported(format!("a column of a Hudi table with the name `{name}`")));
    }
    let kind = kind(&column.data_type, name, space)?;
    Ok(match column.nullable {
        true => json!({"name": name, "type": ["null", kind], "default": null}),
        false => json!({"name": name, "type": kind}),
    })
}

fn kind(data_type: &DataType, name: &str, space: &str) -> Result<Json> {
    let optional = |of: &DataType, nullable: bool| {
        let kind = kind(of, name, space)?;
        Ok::<_, SparkError>(if nullable { json!(["null", kind]) } else { kind })
    };
    Ok(match data_type {
        DataType::Boolean => json!("boolean"),
        DataType::Integer => json!("int"),
        DataType::Long => json!("long"),
        DataType::Float => json!("float"),
        DataType::Double => json!("double"),
        DataType::String(collation) if collation.0.is_none() => json!("string"),
        DataType::Binary => json!("bytes"),
        DataType::Date => json!({"type": "int", "logicalType": "date"}),
        DataType::Timestamp => json!({"type": "long", "logicalType": "timestamp-micros"}),
        DataType::Decimal(precision, scale) => json!({
            "type": "fixed", "name": "fixed", "namespace": format!("{space}.{name}"),
            "size": super::encode::decimal_bytes(*precision), "logicalType": "decimal", "precision": precision, "scale": scale,
        }),
        DataType::Array(of, nullable) => json!({"type": "array", "items": optional(of, *nullable)?}),
        DataType::Map(key, of, nullable) if matches!(key.as_ref(), DataType::String(_)) => {
            json!({"type": "map", "values": optional(of, *nullable)?})
        }
        DataType::Struct(columns) => record(columns, name, space)?,
        other => {
            let kind = other.simple_string();
            return Err(SparkError::unsupported(format!("a column of type {kind} (`{name}`) in a Hudi table")));
        }
    })
}

/// The type that a table has for a column: Avro knows two integers and one kind of text.
pub fn table_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Byte | DataType::Short => DataType::Integer,
        DataType::Char(_) | DataType::Varchar(_) => DataType::STRING,
        DataType::Array(of, nullable) => DataType::array(table_type(of), *nullable),
        DataType::Map(key, value, nullable) => DataType::map(table_type(key), table_type(value), *nullable),
        DataType::Struct(columns) => {
            let field = |field: &StructField| StructField { data_type: table_type(&field.data_type), ..field.clone() };
            DataType::Struct(StructType::new(columns.fields.iter().map(field).collect()))
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_spark() {
        let columns = StructType::new(vec![
            StructField::new("id", DataType::Long, false),
            StructField::new("price", DataType::Decimal(10, 2), true),
            StructField::new("tags", DataType::array(DataType::STRING, true), true),
        ]);
        let text = schema_of("t-1", &columns).unwrap().to_string();
        let price = r#"{"name":"price","type":["null",{"type":"fixed","name":"fixed","namespace":"hoodie.t_1.t_1_record.price","size":5,"logicalType":"decimal","precision":10,"scale":2}],"default":null}"#;
        let expected: Json = serde_json::from_str(price).unwrap();
        let json: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(json["fields"][1], expected);
        assert_eq!(json["fields"][0], json!({"name": "id", "type": "long"}));
        let more = with_columns(&text, &[StructField::new("at", DataType::Timestamp, true)]).unwrap();
        let read = crate::hudi::schema::columns(&with_own_columns(&more).unwrap()).unwrap();
        let types: Vec<_> = read.fields.iter().skip(5).map(|field| field.data_type.simple_string()).collect();
        assert_eq!(types, ["bigint", "decimal(10,2)", "array<string>", "timestamp"]);
    }

    #[test]
    fn what_avro_has_no_place_for() {
        let of = |name: &str, data_type: DataType| {
            schema_of("t", &StructType::new(vec![StructField::new(name, data_type, true)])).unwrap_err().to_string()
        };
        assert!(of("a b", DataType::Long).contains("`a b`"));
        assert!(of("a", DataType::TimestampNtz).contains("timestamp_ntz"));
        assert!(of("a", DataType::map(DataType::Long, DataType::Long, true)).contains("map<bigint,bigint>"));
    }
}
