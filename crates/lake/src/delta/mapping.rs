//! Column mapping: the names that columns have in files and in the log, where these are not the table's. With it a
//! column is renamed or dropped in the metadata alone.
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use uuid::Uuid;

use super::metadata::TableMetadata;
use crate::parquet::FIELD_ID_KEY;

/// Column metadata: the name in files, as a JSON text.
const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
/// Column metadata: the number of the column, which no other column ever has.
const ID: &str = "delta.columnMapping.id";
/// Table properties.
const MODE: &str = "delta.columnMapping.mode";
const MAX_ID: &str = "delta.columnMapping.maxColumnId";

impl TableMetadata {
    /// `none`, `name` or `id`
    fn mapping_mode(&self) -> String {
        self.configuration.get(MODE).map_or_else(|| "none".into(), |mode| mode.to_lowercase())
    }

    /// Whether columns have names of their own in the files.
    pub fn is_mapped(&self) -> bool {
        self.mapping_mode() != "none"
    }

    /// The name of a column in the files, and of a partition column in the log.
    pub fn stored_name(&self, column: &str) -> String {
        let field = self.schema.fields.iter().find(|field| field.name.eq_ignore_ascii_case(column));
        match field {
            Some(field) if self.is_mapped() => stored_name(field),
            Some(field) => field.name.clone(),
            None => column.to_string(),
        }
    }

    /// Columns of this table, and others that only its files have, as the files have them. `None` where the names are
    /// the table's.
    pub(super) fn stored_schema(&self, fields: &StructType) -> Option<StructType> {
        self.is_mapped().then(|| stored_struct(&self.schema, fields))
    }

    /// Gives names and numbers to the columns that have none yet, if columns are mapped. `old`: the table as it is.
    pub fn map_columns(&mut self, old: Option<&Self>) -> Result<()> {
        let mode = self.mapping_mode();
        if !["none", "name", "id"].contains(&mode.as_str()) {
            let parameters = [("mode", mode), ("supportedModes", "none, name, id".to_string())];
            return Err(SparkError::new("DELTA_MODE_NOT_SUPPORTED", parameters));
        }
        let before = old.map(Self::mapping_mode);
        let is_upgrade = before.as_deref() == Some("none") && mode == "name";
        if let Some(before) = before
            && before != mode
            && !is_upgrade
        {
            let parameters = [("oldMode", before), ("newMode", mode)];
            return Err(SparkError::new("DELTA_UNSUPPORTED_COLUMN_MAPPING_MODE_CHANGE", parameters));
        }
        if mode == "none" {
            return Ok(());
        }
        let known = self.configuration.get(MAX_ID).and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut numbers = Numbers { last: known.max(largest_id(&self.schema)), keeps_names: is_upgrade };
        self.schema = numbers.mapped(&self.schema);
        self.configuration.insert(MAX_ID.into(), numbers.last.to_string());
        Ok(())
    }
}

fn stored_name(field: &StructField) -> String {
    let name = field.metadata.get(PHYSICAL_NAME).and_then(|json| serde_json::from_str(json).ok());
    name.unwrap_or_else(|| field.name.clone())
}

fn id(field: &StructField) -> Option<i64> {
    field.metadata.get(ID)?.parse().ok()
}

fn stored_struct(table: &StructType, fields: &StructType) -> StructType {
    let stored = |field: &StructField| {
        let Some(known) = table.fields.iter().find(|f| f.name.eq_ignore_ascii_case(&field.name)) else {
            return field.clone();
        };
        let mut stored = field.clone();
        stored.name = stored_name(known);
        stored.data_type = stored_type(&known.data_type, &field.data_type);
        if let Some(id) = id(known) {
            stored.metadata.insert(FIELD_ID_KEY.into(), id.to_string());
        }
        stored
    };
    StructType::new(fields.fields.iter().map(stored).collect())
}

fn stored_type(table: &DataType, data_type: &DataType) -> DataType {
    match (table, data_type) {
        (DataType::Struct(table), DataType::Struct(fields)) => DataType::Struct(stored_struct(table, fields)),
        (DataType::Array(table, _), DataType::Array(element, nulls)) => {
            DataType::array(stored_type(table, element), *nulls)
        }
        (DataType::Map(table_key, table_value, _), DataType::Map(key, value, nulls)) => {
            DataType::map(stored_type(table_key, key), stored_type(table_value, value), *nulls)
        }
        (_, other) => other.clone(),
    }
}

fn largest_id(fields: &StructType) -> i64 {
    let of_field = |field: &StructField| id(field).unwrap_or(0).max(largest_in(&field.data_type));
    fields.fields.iter().map(of_field).max().unwrap_or(0)
}

fn largest_in(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Struct(fields) => largest_id(fields),
        DataType::Array(element, _) => largest_in(element),
        DataType::Map(key, value, _) => largest_in(key).max(largest_in(value)),
        _ => 0,
    }
}

/// Gives out numbers and names.
struct Numbers {
    last: i64,
    /// The files of the table are there already: its columns keep their names in them.
    keeps_names: bool,
}

impl Numbers {
    fn mapped(&mut self, fields: &StructType) -> StructType {
        StructType::new(fields.fields.iter().map(|field| self.mapped_field(field)).collect())
    }

    fn mapped_field(&mut self, field: &StructField) -> StructField {
        let mut field = field.clone();
        if id(&field).is_none() {
            self.last += 1;
            field.metadata.insert(ID.into(), self.last.to_string());
        }
        if !field.metadata.contains_key(PHYSICAL_NAME) {
            let name = if self.keeps_names { field.name.clone() } else { format!("col-{}", Uuid::new_v4()) };
            field.metadata.insert(PHYSICAL_NAME.into(), serde_json::Value::from(name).to_string());
        }
        field.data_type = self.mapped_type(&field.data_type);
        field
    }

    fn mapped_type(&mut self, data_type: &DataType) -> DataType {
        match data_type {
            DataType::Struct(fields) => DataType::Struct(self.mapped(fields)),
            DataType::Array(element, nulls) => DataType::array(self.mapped_type(element), *nulls),
            DataType::Map(key, value, nulls) => {
                let key = self.mapped_type(key);
                DataType::map(key, self.mapped_type(value), *nulls)
            }
            other => other.clone(),
        }
    }
}
