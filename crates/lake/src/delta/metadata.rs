//! The metadata action of a table: schema, partitioning, properties.
use std::collections::BTreeMap;

use deltalake_core::kernel::{Action, Metadata};
use firesteel_plan::{DataType, Result, SparkError, StructType};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Schema, partition columns and properties, as Spark's types.
#[derive(Debug, Clone, PartialEq)]
pub struct TableMetadata {
    pub id: String,
    pub name: Option<String>,
    pub description: Option<String>,
    pub schema: StructType,
    pub partition_columns: Vec<String>,
    pub configuration: BTreeMap<String, String>,
    /// milliseconds since the epoch
    pub created_ms: Option<i64>,
}

/// The action as the log has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    id: String,
    name: Option<String>,
    description: Option<String>,
    format: Format,
    schema_string: String,
    partition_columns: Vec<String>,
    #[serde(default)]
    configuration: BTreeMap<String, String>,
    created_time: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct Format {
    provider: String,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

impl TableMetadata {
    /// The metadata of a new table.
    pub fn new(schema: StructType, partition_columns: Vec<String>, configuration: BTreeMap<String, String>) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            name: None,
            description: None,
            schema,
            partition_columns,
            configuration,
            created_ms: Some(chrono::Utc::now().timestamp_millis()),
        }
    }

    pub(super) fn of_action(metadata: &Metadata) -> Result<Self> {
        let json: Json = serde_json::to_value(metadata).and_then(serde_json::from_value).map_err(broken)?;
        let DataType::Struct(schema) = DataType::from_json(&json.schema_string)? else {
            return Err(SparkError::internal("the schema of a Delta table is no struct"));
        };
        Ok(Self {
            id: json.id,
            name: json.name,
            description: json.description,
            schema,
            partition_columns: json.partition_columns,
            configuration: json.configuration,
            created_ms: json.created_time,
        })
    }

    pub(super) fn to_action(&self) -> Result<Action> {
        let json = Json {
            id: self.id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            format: Format { provider: "parquet".into(), options: BTreeMap::new() },
            schema_string: DataType::Struct(self.schema.clone()).json(),
            partition_columns: self.partition_columns.clone(),
            configuration: self.configuration.clone(),
            created_time: self.created_ms,
        };
        let metadata: Metadata = serde_json::to_value(json).and_then(serde_json::from_value).map_err(broken)?;
        Ok(Action::Metadata(metadata))
    }

    /// A property that is `true` or `false`.
    pub fn flag(&self, key: &str) -> bool {
        self.configuration.get(key).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// `delta.constraints.NAME` → SQL text, by name.
    pub fn constraints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.configuration
            .iter()
            .filter_map(|(key, text)| Some((key.strip_prefix("delta.constraints.")?, text.as_str())))
    }

    pub fn is_partition_column(&self, name: &str) -> bool {
        self.partition_columns.iter().any(|column| column.eq_ignore_ascii_case(name))
    }
}

fn broken(error: serde_json::Error) -> SparkError {
    SparkError::internal(format!("metadata of a Delta table: {error}"))
}
