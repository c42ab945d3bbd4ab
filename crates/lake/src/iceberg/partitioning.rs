//! Changes of how new rows are spread over partitions. Files that are there stay as they are: each manifest says by which
//! partitioning its files are.
use firesteel_plan::{JavaException, Result, SparkError, StructType};
use serde_json::Value as Json;

use super::commit::push;
use super::errors::unsupported;
use super::metadata::TableMetadata;
use super::partition::{FIRST_FIELD_ID, PartitionField, PartitionSpec, Transform};
use super::table::IcebergTable;
use super::types::field_id;

/// Transforms of which a column has one.
const TIMES: [Transform; 4] = [Transform::Year, Transform::Month, Transform::Day, Transform::Hour];

/// The partitioning of a table while it is changed.
#[derive(Debug, Clone)]
pub struct SpecEdits {
    fields: Vec<PartitionField>,
    /// Those of every partitioning that the table has had
    known: Vec<PartitionField>,
    last: i32,
    schema: StructType,
}

fn illegal(message: String) -> SparkError {
    SparkError::java(JavaException::IllegalArgument, message)
}

impl SpecEdits {
    pub fn of(table: &IcebergTable) -> Result<Self> {
        let metadata = table.metadata();
        let mut known = vec![];
        for id in metadata.spec_ids() {
            known.extend(metadata.spec_of(id)?.fields);
        }
        let last = metadata.number("last-partition-id").and_then(|id| i32::try_from(id).ok());
        let fields = metadata.spec()?.fields;
        Ok(Self { fields, known, last: last.unwrap_or(FIRST_FIELD_ID - 1), schema: metadata.schema()? })
    }

    /// Takes the field away that is called so, or that is this transform of a column.
    pub fn drop(&mut self, column: &str, transform: Transform) -> Result<()> {
        let source = self.source(column);
        let is_wanted = |field: &PartitionField| match transform {
            Transform::Identity => field.name.eq_ignore_ascii_case(column),
            _ => Some(field.source) == source && field.transform == transform,
        };
        match self.fields.iter().position(is_wanted) {
            Some(index) => {
                self.fields.remove(index);
                Ok(())
            }
            None => Err(illegal(format!("Cannot find partition field to remove: {transform} of {column}"))),
        }
    }

    /// Adds a transform of a column, under a name of its own unless one is given.
    pub fn add(&mut self, column: &str, transform: Transform, name: Option<&str>) -> Result<()> {
        let field = self.schema.fields.iter().find(|field| field.name.eq_ignore_ascii_case(column));
        let Some((field, source)) = field.and_then(|field| Some((field.clone(), field_id(field)?))) else {
            return Err(illegal(format!("Cannot find the column {column} to partition by")));
        };
        if !transform.applies_to(&field.data_type) {
            let sql = field.data_type.sql();
            return Err(unsupported(format!("partitions by {transform} of a column of type {sql}")));
        }
        let is_time = |transform| TIMES.contains(&transform);
        for other in self.fields.iter().filter(|other| other.source == source) {
            if other.transform == transform {
                return Err(illegal(format!("Cannot add duplicate partition field: {transform} of {column}")));
            }
            if is_time(other.transform) && is_time(transform) {
                return Err(illegal(format!("Cannot add redundant partition field: {transform} of {column}")));
            }
        }
        let is_same = |known: &&PartitionField| {
            known.source == source && known.transform == transform && name.is_none_or(|name| name == known.name)
        };
        // A field that was there before keeps its number, and its files belong to it again.
        let old = self.known.iter().find(is_same).cloned();
        let new = || PartitionField {
            source,
            id: self.last + 1,
            name: name.map_or_else(|| long_name(transform, &field.name), str::to_string),
            transform,
        };
        let added = old.unwrap_or_else(new);
        self.check_name(&added, &field.name)?;
        self.last = self.last.max(added.id);
        self.fields.push(added);
        Ok(())
    }

    fn source(&self, column: &str) -> Option<i32> {
        self.schema.fields.iter().find(|field| field.name.eq_ignore_ascii_case(column)).and_then(field_id)
    }

    fn check_name(&self, added: &PartitionField, column: &str) -> Result<()> {
        if self.fields.iter().any(|field| field.name == added.name) {
            return Err(illegal(format!("Cannot add partition field: the name {} is taken", added.name)));
        }
        // Only the column's own values may have its name.
        let is_own = added.transform == Transform::Identity && added.name == column;
        match is_own || !self.schema.fields.iter().any(|field| field.name == added.name) {
            true => Ok(()),
            false => Err(illegal(format!("Cannot create partition from name that exists in schema: {}", added.name))),
        }
    }
}

/// What Iceberg calls a field that is added to a table.
fn long_name(transform: Transform, column: &str) -> String {
    match transform {
        Transform::Bucket(number) | Transform::Truncate(number) => {
            format!("{}_{number}", transform.field_name(column))
        }
        other => other.field_name(column),
    }
}

pub(super) fn set_spec(metadata: &mut TableMetadata, edits: &SpecEdits) {
    let new = PartitionSpec { id: 0, fields: edits.fields.clone() };
    set_fields_of_spec(metadata, &new, edits.last.into());
}

/// Makes a partitioning that of new files: an earlier one again, or a new one.
pub(super) fn set_fields_of_spec(metadata: &mut TableMetadata, new: &PartitionSpec, last: i64) {
    let specs = metadata.json.get("partition-specs").and_then(Json::as_array).cloned().unwrap_or_default();
    let known = specs.iter().find(|spec| spec.get("fields") == Some(&new.fields_json()));
    let id = match known.and_then(|spec| spec.get("spec-id")).and_then(Json::as_i64) {
        Some(id) => id,
        None => {
            let id = specs.iter().filter_map(|spec| spec.get("spec-id")?.as_i64()).max().unwrap_or(-1) + 1;
            push(&mut metadata.json, "partition-specs", PartitionSpec { id, ..new.clone() }.json());
            id
        }
    };
    metadata.json.insert("default-spec-id".into(), id.into());
    metadata.json.insert("last-partition-id".into(), last.into());
}

#[cfg(test)]
mod tests {
    use firesteel_plan::{DataType, StructField};

    use super::*;

    fn edits() -> SpecEdits {
        let mut schema = StructType::new(vec![
            StructField::new("id", DataType::Long, true),
            StructField::new("at", DataType::Timestamp, true),
        ]);
        schema = super::super::commit::NewTable::numbered(&schema).0;
        SpecEdits { fields: vec![], known: vec![], last: 999, schema }
    }

    #[test]
    fn fields_come_and_go() {
        let mut edits = edits();
        edits.add("id", Transform::Bucket(4), None).unwrap();
        edits.add("AT", Transform::Day, Some("day")).unwrap();
        let names: Vec<_> = edits.fields.iter().map(|field| (field.name.clone(), field.id)).collect();
        assert_eq!(names, [("id_bucket_4".to_string(), 1000), ("day".to_string(), 1001)]);
        assert!(edits.add("id", Transform::Bucket(4), None).is_err());
        assert!(edits.add("at", Transform::Hour, None).is_err());
        assert!(edits.add("id", Transform::Day, None).is_err());
        assert!(edits.add("id", Transform::Bucket(8), Some("at")).is_err());
        assert!(edits.add("none", Transform::Identity, None).is_err());
        edits.known.clone_from(&edits.fields);
        edits.drop("day", Transform::Identity).unwrap();
        edits.drop("id", Transform::Bucket(4)).unwrap();
        assert!(edits.drop("id", Transform::Bucket(4)).is_err());
        // What was there has its number again.
        edits.add("at", Transform::Day, None).unwrap();
        assert_eq!((edits.fields[0].id, edits.fields[0].name.as_str(), edits.last), (1001, "day", 1001));
    }
}
