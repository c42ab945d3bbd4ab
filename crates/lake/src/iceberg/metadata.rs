//! A table's metadata file: columns, partitioning, snapshots, branches and tags. It is kept as it was read, so that what
//! other writers put there stays when a new version is written.
use std::collections::BTreeMap;

use firesteel_plan::{Result, StructType};
use serde_json::{Map, Value as Json, json};

use super::errors::{broken, no_snapshot, unsupported};
use super::partition::PartitionSpec;
use super::types;

/// The newest version of the format that is understood.
const MAX_FORMAT: i64 = 2;
pub(super) const MAIN: &str = "main";

/// One version of a table's metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct TableMetadata {
    pub(super) json: Map<String, Json>,
}

/// A state of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub id: i64,
    pub parent: Option<i64>,
    pub sequence: i64,
    /// milliseconds since the epoch
    pub timestamp_ms: i64,
    pub manifest_list: Option<String>,
    /// Format 1 may name them itself.
    pub manifests: Vec<String>,
    pub summary: BTreeMap<String, String>,
    pub schema_id: Option<i64>,
}

/// A branch or tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    pub name: String,
    pub is_branch: bool,
    pub snapshot: i64,
    pub json: Json,
}

/// Which state of a table.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum IcebergVersion {
    #[default]
    Latest,
    Snapshot(i64),
    /// The last state at this moment, in milliseconds
    Timestamp(i64),
    Branch(String),
    Tag(String),
    /// A branch or tag
    Reference(String),
}

fn long(json: &Json, name: &str) -> Option<i64> {
    json.get(name).and_then(Json::as_i64)
}

fn list<'a>(json: &'a Map<String, Json>, name: &str) -> impl Iterator<Item = &'a Json> {
    json.get(name).and_then(Json::as_array).into_iter().flatten()
}

impl TableMetadata {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        Self::of_json(serde_json::from_slice(bytes).map_err(|e| broken("a metadata file", e))?)
    }

    /// Of a metadata file's JSON.
    pub fn of_json(json: Json) -> Result<Self> {
        let Json::Object(json) = json else { return Err(broken("a metadata file", "it is no JSON object")) };
        let metadata = Self { json };
        match metadata.format() {
            1..=MAX_FORMAT => Ok(metadata),
            other => Err(unsupported(format!("format version {other}"))),
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.json.get(name).and_then(Json::as_i64)
    }

    /// 1 or 2
    pub fn format(&self) -> i64 {
        self.number("format-version").unwrap_or(0)
    }

    pub fn uuid(&self) -> &str {
        self.json.get("table-uuid").and_then(Json::as_str).unwrap_or_default()
    }

    pub fn location(&self) -> &str {
        self.json.get("location").and_then(Json::as_str).unwrap_or_default()
    }

    pub fn properties(&self) -> BTreeMap<String, String> {
        texts(self.json.get("properties"))
    }

    pub fn last_updated_ms(&self) -> i64 {
        self.number("last-updated-ms").unwrap_or(0)
    }

    /// The number of the current columns.
    pub(super) fn schema_id(&self) -> i64 {
        self.number("current-schema-id").unwrap_or(0)
    }

    /// The current columns.
    pub fn schema(&self) -> Result<StructType> {
        match list(&self.json, "schemas").next() {
            Some(_) => self.schema_of(self.schema_id()),
            None => types::struct_of(self.json.get("schema").unwrap_or(&Json::Null)),
        }
    }

    pub(super) fn schema_of(&self, id: i64) -> Result<StructType> {
        let found = list(&self.json, "schemas").find(|schema| long(schema, "schema-id") == Some(id));
        types::struct_of(found.ok_or_else(|| broken("a metadata file", format!("it has no schema {id}")))?)
    }

    /// The current columns as they were written.
    pub(super) fn fields_json(&self) -> Result<Vec<Json>> {
        let current = list(&self.json, "schemas").find(|schema| long(schema, "schema-id") == Some(self.schema_id()));
        let fields = current.and_then(|schema| schema.get("fields")).and_then(Json::as_array);
        fields.cloned().ok_or_else(|| broken("a metadata file", "it has no columns"))
    }

    /// The current columns, as Iceberg's JSON.
    pub fn schema_json(&self) -> Option<&Json> {
        self.current_json("schemas", "schema-id", "current-schema-id")
    }

    /// The partitioning of new files, as Iceberg's JSON.
    pub fn spec_json(&self) -> Option<&Json> {
        self.current_json("partition-specs", "spec-id", "default-spec-id")
    }

    /// The order of new files' rows, as Iceberg's JSON.
    pub fn sort_order_json(&self) -> Option<&Json> {
        self.current_json("sort-orders", "order-id", "default-sort-order-id")
    }

    fn current_json(&self, all: &str, number: &str, current: &str) -> Option<&Json> {
        let current = self.number(current);
        list(&self.json, all).find(|entry| long(entry, number) == current)
    }

    /// The number of the partitioning of new files.
    pub(super) fn spec_id(&self) -> i64 {
        self.number("default-spec-id").unwrap_or(0)
    }

    /// The partitioning of new files.
    pub fn spec(&self) -> Result<PartitionSpec> {
        self.spec_of(self.spec_id())
    }

    pub(super) fn spec_of(&self, id: i64) -> Result<PartitionSpec> {
        let found = list(&self.json, "partition-specs").find(|spec| long(spec, "spec-id") == Some(id));
        match (found, self.json.get("partition-spec")) {
            (Some(spec), _) => PartitionSpec::parse(id, spec.get("fields").unwrap_or(&Json::Null)),
            (None, Some(fields)) => PartitionSpec::parse(id, fields),
            (None, None) => Err(broken("a metadata file", format!("it has no partition spec {id}"))),
        }
    }

    pub fn snapshots(&self) -> Vec<Snapshot> {
        list(&self.json, "snapshots").filter_map(snapshot).collect()
    }

    pub fn snapshot(&self, id: i64) -> Result<Snapshot> {
        let found = list(&self.json, "snapshots").find(|snapshot| long(snapshot, "snapshot-id") == Some(id));
        found.and_then(snapshot).ok_or_else(|| no_snapshot(format!("ID {id}")))
    }

    /// The state that readers see; `None` for a table that has never been written to.
    pub fn current(&self) -> Result<Option<Snapshot>> {
        match self.number("current-snapshot-id").filter(|id| *id >= 0) {
            Some(id) => self.snapshot(id).map(Some),
            None => Ok(None),
        }
    }

    /// Moment and number of each state that was the current one.
    pub fn log(&self) -> Vec<(i64, i64)> {
        let entry = |json: &Json| Some((long(json, "timestamp-ms")?, long(json, "snapshot-id")?));
        list(&self.json, "snapshot-log").filter_map(entry).collect()
    }

    /// Moment and file of earlier metadata.
    pub fn metadata_log(&self) -> Vec<(i64, String)> {
        let entry = |json: &Json| Some((long(json, "timestamp-ms")?, json.get("metadata-file")?.as_str()?.to_string()));
        list(&self.json, "metadata-log").filter_map(entry).collect()
    }

    /// Branches and tags; the current state is the branch `main`.
    pub fn references(&self) -> Vec<Reference> {
        let mut found = vec![];
        for (name, json) in self.json.get("refs").and_then(Json::as_object).into_iter().flatten() {
            let Some(snapshot) = long(json, "snapshot-id") else { continue };
            let is_branch = json.get("type").and_then(Json::as_str) == Some("branch");
            found.push(Reference { name: name.clone(), is_branch, snapshot, json: json.clone() });
        }
        if !found.iter().any(|reference| reference.name == MAIN)
            && let Some(snapshot) = self.number("current-snapshot-id").filter(|id| *id >= 0)
        {
            found.push(Reference { name: MAIN.into(), is_branch: true, snapshot, json: json!({}) });
        }
        found
    }

    /// The state that is asked for, and whether it is read with the columns of its own time.
    pub(super) fn select(&self, version: &IcebergVersion) -> Result<(Option<Snapshot>, bool)> {
        let reference = |name: &str, wanted: Option<bool>| {
            let all = self.references();
            let found = all.into_iter().find(|r| r.name == name && wanted.is_none_or(|wanted| wanted == r.is_branch));
            found.ok_or_else(|| no_snapshot(format!("the branch or tag {name}")))
        };
        let found = match version {
            IcebergVersion::Latest => return Ok((self.current()?, false)),
            IcebergVersion::Snapshot(id) => return Ok((Some(self.snapshot(*id)?), true)),
            IcebergVersion::Timestamp(moment) => {
                let known = self.log().into_iter().rfind(|(time, _)| time <= moment);
                let (_, id) = known.ok_or_else(|| no_snapshot(format!("the time {moment} (milliseconds)")))?;
                return Ok((Some(self.snapshot(id)?), true));
            }
            IcebergVersion::Branch(name) => reference(name, Some(true))?,
            IcebergVersion::Tag(name) => reference(name, Some(false))?,
            IcebergVersion::Reference(name) => reference(name, None)?,
        };
        // A branch has the table's columns, a tag those of its state.
        Ok((Some(self.snapshot(found.snapshot)?), !found.is_branch))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        Json::Object(self.json.clone()).to_string().into_bytes()
    }
}

fn texts(json: Option<&Json>) -> BTreeMap<String, String> {
    let all = json.and_then(Json::as_object).into_iter().flatten();
    all.map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_string))).collect()
}

fn snapshot(json: &Json) -> Option<Snapshot> {
    let manifests = json.get("manifests").and_then(Json::as_array).into_iter().flatten();
    Some(Snapshot {
        id: long(json, "snapshot-id")?,
        parent: long(json, "parent-snapshot-id"),
        sequence: long(json, "sequence-number").unwrap_or(0),
        timestamp_ms: long(json, "timestamp-ms")?,
        manifest_list: json.get("manifest-list").and_then(Json::as_str).map(str::to_string),
        manifests: manifests.filter_map(Json::as_str).map(str::to_string).collect(),
        summary: texts(json.get("summary")),
        schema_id: long(json, "schema-id"),
    })
}
