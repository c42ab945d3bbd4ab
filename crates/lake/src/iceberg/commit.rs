//! A new state of a table: manifests, a snapshot, metadata. One writer makes it the next one; others go on behind.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::{FileSystem, Location, Storage};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::avro::Value;
use super::errors::{broken, unsupported};
use super::evolve::{ColumnEdits, set_fields};
use super::home::{ServedTable, TableHome, TableService};
use super::manifest::{Content, DataFile, Entry, Manifest, Status, entries_of, list_bytes, manifest_bytes};
use super::metadata::{MAIN, Snapshot, TableMetadata};
use super::partition::{FIRST_FIELD_ID, PartitionSpec};
use super::publish::{put, put_next};
use super::scan::located;
use super::table::IcebergTable;
use super::types::{Numbers, struct_json};

/// How often a commit goes on behind another one.
const ATTEMPTS: usize = 20;

/// Columns, partitioning and properties of a table to make.
#[derive(Debug, Clone)]
pub struct NewTable {
    /// With numbers: those of [`NewTable::numbered`]
    pub schema: StructType,
    pub last_column_id: i32,
    pub spec: PartitionSpec,
    pub properties: BTreeMap<String, String>,
    /// What a catalog has made of it, which the first commit makes a table
    pub staged: Option<TableMetadata>,
}

impl NewTable {
    /// The columns with numbers from 1.
    pub fn numbered(schema: &StructType) -> (StructType, i32) {
        let mut numbers = Numbers { last: 0 };
        let schema = numbers.numbered(schema);
        (schema, numbers.last)
    }

    /// The directory that a catalog has chosen.
    pub fn staged_location(&self) -> &str {
        self.staged.as_ref().map(TableMetadata::location).unwrap_or_default()
    }

    /// Has a catalog make the table. With `stage` it says what the table will be, which the first commit makes.
    /// `None`: there is a table already.
    pub async fn serve(&self, service: &dyn TableService, stage: bool) -> Result<Option<(Self, ServedTable)>> {
        let mut request = json!({
            "schema": struct_json(&self.schema)?,
            "partition-spec": self.spec.json(),
            "properties": self.properties,
            "stage-create": stage,
        });
        request["schema"]["schema-id"] = json!(0);
        let Some(served) = service.create(request).await? else { return Ok(None) };
        // The catalog gives columns their numbers, and may have properties of its own.
        let metadata = TableMetadata::of_json(served.metadata.clone())?;
        let new = Self {
            schema: metadata.schema()?,
            last_column_id: self.last_column_id,
            spec: metadata.spec()?,
            properties: metadata.properties(),
            staged: Some(metadata),
        };
        Ok(Some((new, served)))
    }

    fn metadata(&self, location: &Location, uuid: Option<&str>) -> Result<TableMetadata> {
        let mut schema = struct_json(&self.schema)?;
        schema["schema-id"] = json!(0);
        let last_partition = self.spec.fields.iter().map(|field| field.id).max().unwrap_or(FIRST_FIELD_ID - 1);
        let json = json!({
            "format-version": 2,
            "table-uuid": uuid.map_or_else(|| Uuid::new_v4().to_string(), str::to_string),
            "location": location.to_string(),
            "last-sequence-number": 0,
            "last-updated-ms": now(),
            "last-column-id": self.last_column_id,
            "current-schema-id": 0,
            "schemas": [schema],
            "default-spec-id": self.spec.id,
            "partition-specs": [self.spec.json()],
            "last-partition-id": last_partition,
            "default-sort-order-id": 0,
            "sort-orders": [{"order-id": 0, "fields": []}],
            "properties": self.properties,
            "current-snapshot-id": -1,
            "refs": {},
            "snapshots": [],
            "statistics": [],
            "partition-statistics": [],
            "snapshot-log": [],
            "metadata-log": [],
        });
        let Json::Object(json) = json else { return Err(broken("a table", "no metadata")) };
        Ok(TableMetadata { json })
    }
}

/// Which files of the table a commit takes away.
#[derive(Debug, Clone, PartialEq)]
pub enum Removed {
    Nothing,
    Everything,
    /// Files whose partition is that of an added file
    WrittenPartitions,
    /// Files with these paths
    Files(BTreeSet<String>),
}

/// A change of a table.
#[derive(Debug)]
pub struct Commit {
    pub home: TableHome,
    /// The table's directory
    pub location: Location,
    pub storage: Storage,
    /// What is written to; `None`: a table to make
    pub table: Option<IcebergTable>,
    /// A table to make, or to put in place of `table`
    pub new: Option<NewTable>,
    pub added: Vec<DataFile>,
    pub removed: Removed,
    /// No rows are written: the change is one of the metadata alone
    pub is_metadata_only: bool,
}

pub(super) fn now() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

/// A table's format that is written here, in a folder that says which version is the newest.
pub fn check_writable(table: &IcebergTable) -> Result<()> {
    let format = table.metadata().format();
    if format != 2 {
        return Err(unsupported(format!("format version {format} are read only: version 2 is written")));
    }
    match table.is_of_catalog() || table.metadata_file().name().starts_with('v') {
        true => Ok(()),
        false => Err(unsupported("a catalog that says which version is the newest are read only by their paths")),
    }
}

impl Commit {
    /// Writes the new state. Where another writer was faster, the change is made to what that one left.
    pub async fn commit(mut self) -> Result<()> {
        let files = self.storage.file_system(&self.location)?;
        for _ in 0..ATTEMPTS {
            if let Some(table) = &self.table {
                check_writable(table)?;
            }
            if self.attempt(&files).await? {
                return Ok(());
            }
            match &self.table {
                Some(table) => self.table = Some(table.latest().await?),
                None => return Err(super::errors::exists(&self.location)),
            }
        }
        Err(SparkError::unsupported(
            "so many writers of one Iceberg table at once: the commit was overtaken every time",
        ))
    }

    /// Writes the new state unless another writer was faster: then nothing has happened, and what was read of the table is
    /// to be read anew.
    pub async fn commit_if_unchanged(&self) -> Result<bool> {
        if let Some(table) = &self.table {
            check_writable(table)?;
        }
        self.attempt(&self.storage.file_system(&self.location)?).await
    }

    /// `false`: somebody else made this version.
    async fn attempt(&self, files: &Arc<dyn FileSystem>) -> Result<bool> {
        let mut metadata = self.base()?;
        if !self.is_metadata_only {
            let snapshot = self.snapshot(files, &metadata).await?;
            record(&mut metadata, snapshot);
        }
        put_next(&self.home, &self.location, files.as_ref(), self.table.as_ref(), metadata).await
    }

    /// The metadata before the new snapshot.
    fn base(&self) -> Result<TableMetadata> {
        match (&self.table, &self.new) {
            (Some(table), None) => Ok(table.metadata().clone()),
            (Some(table), Some(new)) => replaced(table.metadata(), new),
            (None, Some(NewTable { staged: Some(staged), .. })) => Ok(staged.clone()),
            (None, Some(new)) => new.metadata(&self.location, None),
            (None, None) => Err(SparkError::internal("a commit to no table")),
        }
    }

    async fn snapshot(&self, files: &Arc<dyn FileSystem>, metadata: &TableMetadata) -> Result<Snapshot> {
        let parent = metadata.current()?;
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let id = ((high ^ low) & (u64::MAX >> 1)).cast_signed();
        let sequence = metadata.number("last-sequence-number").unwrap_or(0) + 1;
        let commit = Uuid::new_v4();
        let folder = self.location.join("metadata");
        let mut change = Change {
            id,
            sequence,
            removed: vec![],
            manifests: vec![],
            parts: 0,
            commit,
            folder: &folder,
            files,
            metadata,
        };
        if !self.added.is_empty() {
            let entry = |file: &DataFile| Entry {
                status: Status::Added,
                snapshot: id,
                sequence,
                file_sequence: sequence,
                file: file.clone(),
            };
            let entries: Vec<_> = self.added.iter().map(entry).collect();
            change.write(entries, metadata.spec_id()).await?;
        }
        // A table that is replaced starts from nothing.
        let before = match (&self.table, &parent) {
            (Some(table), Some(parent)) => located(table, parent).await?,
            _ => vec![],
        };
        for manifest in before {
            self.carry(&mut change, manifest).await?;
        }
        let place = folder.join(&format!("snap-{id}-1-{commit}.avro"));
        let summary = self.summary(parent.as_ref(), &change);
        let snapshot = Snapshot {
            id,
            parent: parent.map(|parent| parent.id),
            sequence,
            timestamp_ms: now().max(metadata.last_updated_ms()),
            manifest_list: Some(place.to_string()),
            manifests: vec![],
            summary,
            schema_id: Some(metadata.schema_id()),
        };
        put(files.as_ref(), &place, list_bytes(&change.manifests, &snapshot)?).await?;
        Ok(snapshot)
    }

    /// What becomes of a manifest of the state before.
    async fn carry(&self, change: &mut Change<'_>, manifest: Manifest) -> Result<()> {
        match &self.removed {
            Removed::Nothing => change.manifests.push(manifest),
            // Deletes of files that are gone.
            Removed::Everything if manifest.holds_deletes => {}
            Removed::Everything => {
                let spec_id = manifest.spec_id;
                let live = live(Arc::clone(change.files), manifest).await?;
                let gone: Vec<_> = live.into_iter().map(|entry| change.deleted(entry)).collect();
                change.write(gone, spec_id).await?;
            }
            // Deletes go on applying to the files that stay.
            Removed::WrittenPartitions if manifest.holds_deletes => change.manifests.push(manifest),
            Removed::WrittenPartitions => {
                let written: Vec<&[(String, Value)]> = self.added.iter().map(|f| f.partition.as_slice()).collect();
                let values =
                    |partition: &[(String, Value)]| partition.iter().map(|(_, v)| v.clone()).collect::<Vec<_>>();
                let is_current = manifest.spec_id == change.metadata.spec_id();
                let is_gone = |file: &DataFile| {
                    is_current && written.iter().any(|partition| values(partition) == values(&file.partition))
                };
                change.without(manifest, is_gone).await?;
            }
            Removed::Files(_) if manifest.holds_deletes => change.manifests.push(manifest),
            Removed::Files(paths) => change.without(manifest, |file| paths.contains(&file.path)).await?,
        }
        Ok(())
    }

    fn summary(&self, parent: Option<&Snapshot>, change: &Change<'_>) -> BTreeMap<String, String> {
        let operation = match (&self.removed, self.added.is_empty()) {
            (Removed::Nothing, _) => "append",
            (_, true) if !change.removed.is_empty() => "delete",
            _ => "overwrite",
        };
        let mut summary = BTreeMap::from([("operation".to_string(), operation.to_string())]);
        let counts = |files: &[DataFile]| {
            let rows: u64 = files.iter().map(|file| file.rows).sum();
            let bytes: u64 = files.iter().map(|file| file.bytes).sum();
            [files.len() as u64, rows, bytes]
        };
        let (added, removed) = (counts(&self.added), counts(&change.removed));
        let touched = self.added.iter().chain(&change.removed);
        let partitions: BTreeSet<String> = touched.map(|file| format!("{:?}", file.partition)).collect();
        for (kind, counts) in [("added", added), ("deleted", removed)] {
            let size = if kind == "added" { "added-files-size" } else { "removed-files-size" };
            let names = [format!("{kind}-data-files"), format!("{kind}-records"), size.to_string()];
            for (name, count) in names.into_iter().zip(counts).filter(|(_, count)| *count > 0) {
                summary.insert(name, count.to_string());
            }
        }
        summary.insert("changed-partition-count".into(), partitions.len().to_string());
        let everything = self.removed == Removed::Everything;
        for (index, name) in ["total-data-files", "total-records", "total-files-size"].into_iter().enumerate() {
            let before: u64 = parent.and_then(|parent| parent.summary.get(name)?.parse().ok()).unwrap_or(0);
            let before = if everything { removed[index] } else { before };
            let total = (before + added[index]).saturating_sub(removed[index]);
            summary.insert(name.into(), total.to_string());
        }
        for name in ["total-delete-files", "total-position-deletes", "total-equality-deletes"] {
            let before = parent.and_then(|parent| parent.summary.get(name)).filter(|_| !everything);
            summary.insert(name.into(), before.cloned().unwrap_or_else(|| "0".into()));
        }
        summary.insert("engine-name".into(), "firesteel".into());
        summary.insert("engine-version".into(), env!("CARGO_PKG_VERSION").into());
        summary
    }
}

/// A change of columns and properties, without rows. `false`: another writer was faster, and the change is to be made to
/// what that one left.
pub async fn alter(
    table: &IcebergTable,
    columns: Option<&ColumnEdits>,
    properties: BTreeMap<String, String>,
) -> Result<bool> {
    check_writable(table)?;
    let mut metadata = table.metadata().clone();
    if let Some(columns) = columns {
        set_fields(&mut metadata, columns.fields(), columns.last_id());
    }
    metadata.json.insert("properties".into(), json!(properties));
    if metadata == *table.metadata() {
        return Ok(true);
    }
    put_next(&table.home(), table.location(), table.files().as_ref(), Some(table), metadata).await
}

/// The manifests of a snapshot in the making.
struct Change<'a> {
    id: i64,
    sequence: i64,
    removed: Vec<DataFile>,
    manifests: Vec<Manifest>,
    parts: usize,
    commit: Uuid,
    folder: &'a Location,
    files: &'a Arc<dyn FileSystem>,
    metadata: &'a TableMetadata,
}

impl Change<'_> {
    fn deleted(&mut self, entry: Entry) -> Entry {
        self.removed.push(entry.file.clone());
        Entry { status: Status::Deleted, snapshot: self.id, ..entry }
    }

    /// Carries a manifest on without the files that are gone.
    async fn without(&mut self, manifest: Manifest, is_gone: impl Fn(&DataFile) -> bool) -> Result<()> {
        let spec_id = manifest.spec_id;
        let live = live(Arc::clone(self.files), manifest.clone()).await?;
        let (gone, kept): (Vec<_>, Vec<_>) = live.into_iter().partition(|entry| is_gone(&entry.file));
        if gone.is_empty() {
            self.manifests.push(manifest);
            return Ok(());
        }
        let mut entries: Vec<_> = gone.into_iter().map(|entry| self.deleted(entry)).collect();
        entries.extend(kept.into_iter().map(|entry| Entry { status: Status::Existing, ..entry }));
        self.write(entries, spec_id).await
    }

    /// Writes a manifest.
    async fn write(&mut self, entries: Vec<Entry>, spec_id: i64) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let spec = self.metadata.spec_of(spec_id)?;
        let schema = self.metadata.schema()?;
        let bytes = manifest_bytes(&entries, &spec, &schema, self.metadata.schema_id())?;
        let place = self.folder.join(&format!("{}-m{}.avro", self.commit, self.parts));
        self.parts += 1;
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        put(self.files.as_ref(), &place, bytes).await?;
        let count = |status: Status| {
            let of = entries.iter().filter(|entry| entry.status == status);
            let rows: u64 = of.clone().map(|entry| entry.file.rows).sum();
            (i64::try_from(of.count()).ok(), i64::try_from(rows).ok())
        };
        let counts = [count(Status::Added), count(Status::Existing), count(Status::Deleted)];
        let live = entries.iter().filter(|entry| entry.status != Status::Deleted);
        self.manifests.push(Manifest {
            path: place.to_string(),
            length,
            spec_id,
            holds_deletes: false,
            sequence: self.sequence,
            min_sequence: live.map(|entry| entry.sequence).min().unwrap_or(self.sequence),
            snapshot: self.id,
            files: counts.map(|(files, _)| files),
            rows: counts.map(|(_, rows)| rows),
            partitions: super::summaries::of_entries(&entries, &spec, &schema),
        });
        Ok(())
    }
}

async fn live(files: Arc<dyn FileSystem>, manifest: Manifest) -> Result<Vec<Entry>> {
    let all = entries_of(files, manifest).await?;
    Ok(all.into_iter().filter(|e| e.status != Status::Deleted && e.file.content == Content::Data).collect())
}

/// A table that is made anew in place of another: its states go on to be there.
fn replaced(old: &TableMetadata, new: &NewTable) -> Result<TableMetadata> {
    let mut metadata = old.clone();
    let fresh = new.metadata(&Location::parse(old.location())?, Some(old.uuid()))?;
    let number = |name: &str| old.number(name).unwrap_or(0);
    let columns = struct_json(&new.schema)?;
    let fields = columns.get("fields").and_then(Json::as_array).cloned().unwrap_or_default();
    let last_column = new.last_column_id.max(i32::try_from(number("last-column-id")).unwrap_or(0));
    set_fields(&mut metadata, &fields, last_column);
    let specs = metadata.json.get("partition-specs").and_then(Json::as_array).cloned().unwrap_or_default();
    let known = specs.iter().find(|spec| spec.get("fields") == Some(&new.spec.fields_json()));
    let id = match known.and_then(|spec| spec.get("spec-id")).and_then(Json::as_i64) {
        Some(id) => id,
        None => {
            let id = specs.iter().filter_map(|spec| spec.get("spec-id")?.as_i64()).max().unwrap_or(-1) + 1;
            push(&mut metadata.json, "partition-specs", PartitionSpec { id, ..new.spec.clone() }.json());
            id
        }
    };
    metadata.json.insert("default-spec-id".into(), id.into());
    for name in ["properties", "current-snapshot-id", "refs"] {
        if let Some(value) = fresh.json.get(name) {
            metadata.json.insert(name.into(), value.clone());
        }
    }
    metadata.json.insert("snapshot-log".into(), json!([]));
    let last = number("last-partition-id").max(fresh.number("last-partition-id").unwrap_or(0));
    metadata.json.insert("last-partition-id".into(), last.into());
    Ok(metadata)
}

/// Makes a snapshot the current one.
fn record(metadata: &mut TableMetadata, snapshot: Snapshot) {
    let mut json = json!({
        "sequence-number": snapshot.sequence,
        "snapshot-id": snapshot.id,
        "timestamp-ms": snapshot.timestamp_ms,
        "summary": snapshot.summary,
        "manifest-list": snapshot.manifest_list,
        "schema-id": snapshot.schema_id,
    });
    if let Some(parent) = snapshot.parent {
        json["parent-snapshot-id"] = parent.into();
    }
    push(&mut metadata.json, "snapshots", json);
    push(
        &mut metadata.json,
        "snapshot-log",
        json!({"snapshot-id": snapshot.id, "timestamp-ms": snapshot.timestamp_ms}),
    );
    metadata.json.insert("current-snapshot-id".into(), snapshot.id.into());
    metadata.json.insert("last-sequence-number".into(), snapshot.sequence.into());
    let mut refs = metadata.json.get("refs").and_then(Json::as_object).cloned().unwrap_or_default();
    let mut main = refs.get(MAIN).and_then(Json::as_object).cloned().unwrap_or_default();
    main.insert("snapshot-id".into(), snapshot.id.into());
    main.insert("type".into(), "branch".into());
    refs.insert(MAIN.into(), Json::Object(main));
    metadata.json.insert("refs".into(), Json::Object(refs));
}

pub(super) fn push(json: &mut Map<String, Json>, name: &str, entry: Json) {
    match json.get_mut(name).and_then(Json::as_array_mut) {
        Some(all) => all.push(entry),
        None => {
            json.insert(name.into(), Json::Array(vec![entry]));
        }
    }
}
