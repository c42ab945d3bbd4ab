//! Column mapping: the names that columns have in files and in the log, where these are not the table's.
use firesteel_plan::{DataType, StructField, StructType};

use super::metadata::TableMetadata;

/// Column metadata: the name in files.
pub(super) const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
const MODE: &str = "delta.columnMapping.mode";

impl TableMetadata {
    /// Whether columns have names of their own in the files.
    pub fn is_mapped(&self) -> bool {
        self.configuration.get(MODE).is_some_and(|mode| mode != "none")
    }

    /// The name of a column in the files.
    pub(super) fn stored_name(&self, field: &StructField) -> String {
        match self.is_mapped() {
            true => stored_name(field),
            false => field.name.clone(),
        }
    }

    /// `fields` as files have them; `None` where the names are the table's.
    pub(super) fn stored_schema(&self, fields: &StructType) -> Option<StructType> {
        self.is_mapped().then(|| stored_struct(fields))
    }
}

fn stored_name(field: &StructField) -> String {
    let name = field.metadata.get(PHYSICAL_NAME).and_then(|json| serde_json::from_str(json).ok());
    name.unwrap_or_else(|| field.name.clone())
}

fn stored_struct(fields: &StructType) -> StructType {
    let field = |field: &StructField| StructField {
        name: stored_name(field),
        data_type: stored_type(&field.data_type),
        ..field.clone()
    };
    StructType::new(fields.fields.iter().map(field).collect())
}

fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(stored_struct(fields)),
        DataType::Array(element, nulls) => DataType::Array(std::sync::Arc::new(stored_type(element)), *nulls),
        DataType::Map(key, value, nulls) => {
            DataType::Map(std::sync::Arc::new(stored_type(key)), std::sync::Arc::new(stored_type(value)), *nulls)
        }
        other => other.clone(),
    }
}
