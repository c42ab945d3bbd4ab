//! Definitions as JSON documents in the store.
use firesteel_plan::{Result, SparkError};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| SparkError::internal("cannot write a catalog entry").with_cause(e))
}

pub(crate) fn decode<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| SparkError::internal("cannot read a catalog entry").with_cause(e))
}

/// A schema in Spark's JSON form.
pub(crate) mod schema {
    use firesteel_plan::{DataType, StructType};
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(schema: &StructType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&schema.json_value().to_string())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StructType, D::Error> {
        let text = String::deserialize(deserializer)?;
        match DataType::from_json(&text).map_err(D::Error::custom)? {
            DataType::Struct(schema) => Ok(schema),
            other => Err(D::Error::custom(format!("a schema, not {}", other.simple_string()))),
        }
    }
}
