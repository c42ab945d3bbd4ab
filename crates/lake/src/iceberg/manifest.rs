//! Manifest lists and manifests: which files make up a snapshot, and what is known of each.
use std::sync::Arc;

use firesteel_plan::{Result, StructType};
use firesteel_storage::{FileSystem, Location, store_error};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;
use serde_json::Value as Json;

use super::avro::{Value, read_file, write_file};
use super::errors::broken;
use super::metadata::Snapshot;
use super::partition::PartitionSpec;
use super::types;

/// How many manifests are read at once.
const CONCURRENCY: usize = 16;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Data,
    PositionDeletes,
    EqualityDeletes,
}

impl Content {
    pub fn number(self) -> i64 {
        match self {
            Self::Data => 0,
            Self::PositionDeletes => 1,
            Self::EqualityDeletes => 2,
        }
    }
}

/// A file of rows or of deletes.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFile {
    pub content: Content,
    pub path: String,
    pub format: String,
    /// of the partitioning that the file was written with
    pub spec_id: i64,
    /// By the names of the partition fields
    pub(super) partition: Vec<(String, Value)>,
    pub rows: u64,
    pub bytes: u64,
    pub value_counts: Vec<(i32, i64)>,
    pub null_counts: Vec<(i32, i64)>,
    pub nan_counts: Vec<(i32, i64)>,
    pub column_sizes: Vec<(i32, i64)>,
    pub lower_bounds: Vec<(i32, Vec<u8>)>,
    pub upper_bounds: Vec<(i32, Vec<u8>)>,
    /// The columns that equality deletes compare
    pub equality_ids: Vec<i32>,
    pub split_offsets: Vec<i64>,
    pub sort_order: Option<i64>,
    /// A deletion vector is a part of a file that holds several.
    pub(super) is_vector: bool,
}

/// What became of a file in the snapshot of its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Existing,
    Added,
    Deleted,
}

/// A line of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub status: Status,
    pub snapshot: i64,
    /// Deletes apply to files with a lower number.
    pub sequence: i64,
    pub file_sequence: i64,
    pub file: DataFile,
}

/// A line of a manifest list.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    pub path: String,
    pub length: i64,
    pub spec_id: i64,
    pub holds_deletes: bool,
    pub sequence: i64,
    pub min_sequence: i64,
    pub snapshot: i64,
    /// Files and rows: added, existing, deleted
    pub files: [Option<i64>; 3],
    pub rows: [Option<i64>; 3],
    /// Summaries of the partition values, kept as they are
    pub(super) partitions: Value,
}

async fn read(files: &dyn FileSystem, path: &str) -> Result<(std::collections::BTreeMap<String, String>, Vec<Value>)> {
    let place = Location::parse(path)?;
    let found = files.object_store().get(&place.object_path()?).await;
    let bytes = match found {
        Ok(found) => found.bytes().await,
        Err(error) => Err(error),
    };
    read_file(&bytes.map_err(|e| store_error("read", &place, &e))?)
}

/// The manifests of a snapshot.
pub(super) async fn manifests(files: &dyn FileSystem, snapshot: &Snapshot) -> Result<Vec<Manifest>> {
    let Some(list) = &snapshot.manifest_list else {
        let plain = |path: &String| Manifest {
            path: path.clone(),
            length: 0,
            spec_id: 0,
            holds_deletes: false,
            sequence: 0,
            min_sequence: 0,
            snapshot: snapshot.id,
            files: [None; 3],
            rows: [None; 3],
            partitions: Value::Null,
        };
        return Ok(snapshot.manifests.iter().map(plain).collect());
    };
    read(files, list).await?.1.iter().map(manifest).collect()
}

/// Names of counts, of newer and older writers.
const FILE_COUNTS: [[&str; 2]; 3] = [
    ["added_files_count", "added_data_files_count"],
    ["existing_files_count", "existing_data_files_count"],
    ["deleted_files_count", "deleted_data_files_count"],
];
const ROW_COUNTS: [&str; 3] = ["added_rows_count", "existing_rows_count", "deleted_rows_count"];

fn manifest(row: &Value) -> Result<Manifest> {
    let long = |name: &str| row.get(name).as_long();
    let path = row.get("manifest_path").as_text().ok_or_else(|| broken("a manifest list", "a path is missing"))?;
    Ok(Manifest {
        path: path.to_string(),
        length: long("manifest_length").unwrap_or(0),
        spec_id: long("partition_spec_id").unwrap_or(0),
        holds_deletes: long("content") == Some(1),
        sequence: long("sequence_number").unwrap_or(0),
        min_sequence: long("min_sequence_number").unwrap_or(0),
        snapshot: long("added_snapshot_id").unwrap_or(0),
        files: FILE_COUNTS.map(|names| names.iter().find_map(|name| long(name))),
        rows: ROW_COUNTS.map(long),
        partitions: row.get("partitions").clone(),
    })
}

/// The lines of manifests, those of files that are gone too.
pub(super) async fn entries(files: &Arc<dyn FileSystem>, manifests: &[Manifest]) -> Result<Vec<Entry>> {
    let reads: Vec<_> = manifests.iter().map(|manifest| entries_of(Arc::clone(files), manifest.clone())).collect();
    let found: Vec<Vec<Entry>> = futures::stream::iter(reads).buffered(CONCURRENCY).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

pub(super) async fn entries_of(files: Arc<dyn FileSystem>, manifest: Manifest) -> Result<Vec<Entry>> {
    let (metadata, rows) = read(files.as_ref(), &manifest.path).await?;
    let spec_id = metadata.get("partition-spec-id").and_then(|text| text.parse().ok()).unwrap_or(manifest.spec_id);
    rows.iter().map(|row| entry(row, &manifest, spec_id)).collect()
}

fn entry(row: &Value, manifest: &Manifest, spec_id: i64) -> Result<Entry> {
    let status = match row.get("status").as_long() {
        Some(0) => Status::Existing,
        Some(1) => Status::Added,
        Some(2) => Status::Deleted,
        other => return Err(broken("a manifest", format!("the status {other:?} is not known"))),
    };
    // What a file inherits of the manifest that it was added with.
    let sequence = row.get("sequence_number").as_long();
    let inherited = if manifest.sequence == 0 || status == Status::Added { Some(manifest.sequence) } else { None };
    let missing = || broken("a manifest", "a file that was there before has no sequence number");
    let sequence = sequence.or(inherited).ok_or_else(missing)?;
    Ok(Entry {
        status,
        snapshot: row.get("snapshot_id").as_long().unwrap_or(manifest.snapshot),
        sequence,
        file_sequence: row.get("file_sequence_number").as_long().unwrap_or(sequence),
        file: data_file(row.get("data_file"), spec_id)?,
    })
}

fn data_file(row: &Value, spec_id: i64) -> Result<DataFile> {
    let count = |name: &str| row.get(name).as_long().and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
    let missing = |what: &str| broken("a manifest", format!("a file has no {what}"));
    Ok(DataFile {
        content: match row.get("content").as_long().unwrap_or(0) {
            0 => Content::Data,
            1 => Content::PositionDeletes,
            2 => Content::EqualityDeletes,
            other => return Err(broken("a manifest", format!("the content {other} is not known"))),
        },
        path: row.get("file_path").as_text().ok_or_else(|| missing("path"))?.to_string(),
        format: row.get("file_format").as_text().ok_or_else(|| missing("format"))?.to_ascii_lowercase(),
        spec_id,
        partition: match row.get("partition") {
            Value::Record(fields) => fields.clone(),
            _ => vec![],
        },
        rows: count("record_count"),
        bytes: count("file_size_in_bytes"),
        value_counts: pairs(row.get("value_counts"), Value::as_long),
        null_counts: pairs(row.get("null_value_counts"), Value::as_long),
        nan_counts: pairs(row.get("nan_value_counts"), Value::as_long),
        column_sizes: pairs(row.get("column_sizes"), Value::as_long),
        lower_bounds: pairs(row.get("lower_bounds"), |value| value.as_bytes().map(<[u8]>::to_vec)),
        upper_bounds: pairs(row.get("upper_bounds"), |value| value.as_bytes().map(<[u8]>::to_vec)),
        equality_ids: longs(row.get("equality_ids")).filter_map(|id| i32::try_from(id).ok()).collect(),
        split_offsets: longs(row.get("split_offsets")).collect(),
        sort_order: row.get("sort_order_id").as_long(),
        is_vector: row.get("content_offset").as_long().is_some(),
    })
}

fn longs(value: &Value) -> impl Iterator<Item = i64> + '_ {
    value.items().iter().filter_map(Value::as_long)
}

/// A map with numbers as keys, which is a list of pairs.
fn pairs<T>(value: &Value, of: impl Fn(&Value) -> Option<T>) -> Vec<(i32, T)> {
    let pair = |pair: &Value| Some((i32::try_from(pair.get("key").as_long()?).ok()?, of(pair.get("value"))?));
    value.items().iter().filter_map(pair).collect()
}

// Writing

const ENTRY_SCHEMA: &str = include_str!("schemas/manifest_entry.json");
const LIST_SCHEMA: &str = include_str!("schemas/manifest_list.json");

/// The bytes of a manifest. Entries that are added inherit the numbers of the commit that adds the manifest.
pub(super) fn manifest_bytes(
    entries: &[Entry],
    spec: &PartitionSpec,
    schema: &StructType,
    schema_id: i64,
) -> Result<Vec<u8>> {
    let partition = spec.avro_schema(schema)?;
    let text = ENTRY_SCHEMA.replace("\"PARTITION\"", &partition.to_string());
    let mut columns = types::struct_json(schema)?;
    if let Json::Object(columns) = &mut columns {
        columns.insert("schema-id".into(), schema_id.into());
    }
    let (columns, fields, id) = (columns.to_string(), spec.fields_json().to_string(), spec.id.to_string());
    let schema_id = schema_id.to_string();
    let metadata = [
        ("schema", columns.as_str()),
        ("schema-id", &schema_id),
        ("partition-spec", &fields),
        ("partition-spec-id", &id),
        ("format-version", "2"),
        ("content", "data"),
    ];
    write_file(&text, &metadata, &entries.iter().map(entry_value).collect::<Vec<_>>())
}

fn entry_value(entry: &Entry) -> Value {
    let is_new = entry.status == Status::Added;
    let number = |value: i64| if is_new { Value::Null } else { Value::Long(value) };
    Value::record([
        (
            "status",
            Value::Long(match entry.status {
                Status::Existing => 0,
                Status::Added => 1,
                Status::Deleted => 2,
            }),
        ),
        ("snapshot_id", Value::Long(entry.snapshot)),
        ("sequence_number", number(entry.sequence)),
        ("file_sequence_number", number(entry.file_sequence)),
        ("data_file", file_value(&entry.file)),
    ])
}

fn file_value(file: &DataFile) -> Value {
    let count = |count: u64| Value::Long(i64::try_from(count).unwrap_or(i64::MAX));
    let counts = |all: &[(i32, i64)]| map(all, |count| Value::Long(*count));
    let bounds = |all: &[(i32, Vec<u8>)]| map(all, |bytes| Value::Bytes(bytes.clone()));
    let offsets = file.split_offsets.iter().map(|offset| Value::Long(*offset)).collect::<Vec<_>>();
    Value::record([
        ("content", Value::Long(file.content.number())),
        ("file_path", Value::text(&file.path)),
        ("file_format", Value::Text(file.format.to_ascii_uppercase())),
        ("partition", Value::Record(file.partition.clone())),
        ("record_count", count(file.rows)),
        ("file_size_in_bytes", count(file.bytes)),
        ("column_sizes", counts(&file.column_sizes)),
        ("value_counts", counts(&file.value_counts)),
        ("null_value_counts", counts(&file.null_counts)),
        ("nan_value_counts", counts(&file.nan_counts)),
        ("lower_bounds", bounds(&file.lower_bounds)),
        ("upper_bounds", bounds(&file.upper_bounds)),
        ("split_offsets", if offsets.is_empty() { Value::Null } else { Value::Array(offsets) }),
        ("sort_order_id", file.sort_order.map_or(Value::Null, Value::Long)),
    ])
}

fn map<T>(all: &[(i32, T)], value: impl Fn(&T) -> Value) -> Value {
    if all.is_empty() {
        return Value::Null;
    }
    let pair = |(key, of): &(i32, T)| Value::record([("key", Value::Long(i64::from(*key))), ("value", value(of))]);
    Value::Array(all.iter().map(pair).collect())
}

/// The bytes of a snapshot's manifest list.
pub(super) fn list_bytes(manifests: &[Manifest], snapshot: &Snapshot) -> Result<Vec<u8>> {
    let (id, sequence) = (snapshot.id.to_string(), snapshot.sequence.to_string());
    let parent = snapshot.parent.map_or_else(|| "null".to_string(), |parent| parent.to_string());
    let metadata = [
        ("snapshot-id", id.as_str()),
        ("parent-snapshot-id", &parent),
        ("sequence-number", &sequence),
        ("format-version", "2"),
    ];
    let row = |manifest: &Manifest| {
        let count = |count: Option<i64>| Value::Long(count.unwrap_or(0));
        let ([added, existing, deleted], [new, kept, gone]) = (manifest.files, manifest.rows);
        Value::record([
            ("manifest_path", Value::text(&manifest.path)),
            ("manifest_length", Value::Long(manifest.length)),
            ("partition_spec_id", Value::Long(manifest.spec_id)),
            ("content", Value::Long(i64::from(manifest.holds_deletes))),
            ("sequence_number", Value::Long(manifest.sequence)),
            ("min_sequence_number", Value::Long(manifest.min_sequence)),
            ("added_snapshot_id", Value::Long(manifest.snapshot)),
            ("added_files_count", count(added)),
            ("existing_files_count", count(existing)),
            ("deleted_files_count", count(deleted)),
            ("added_rows_count", count(new)),
            ("existing_rows_count", count(kept)),
            ("deleted_rows_count", count(gone)),
            ("partitions", manifest.partitions.clone()),
        ])
    };
    write_file(LIST_SCHEMA, &metadata, &manifests.iter().map(row).collect::<Vec<_>>())
}
