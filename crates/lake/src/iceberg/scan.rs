//! A state of a table as a [`Scan`].
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::ScalarValue;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::Expr;
use firesteel_plan::{Result, StructField, StructType};
use firesteel_storage::FileStatus;
use parquet::arrow::arrow_reader::RowSelection;

use super::bounds::FileBounds;
use super::deletes::Deletes;
use super::errors::unsupported;
use super::manifest::{Content, DataFile, Entry, Manifest, Status, entries, manifests};
use super::metadata::{IcebergVersion, Snapshot};
use super::partition::Transform;
use super::table::IcebergTable;
use super::types::field_id;
use crate::conf::Conf;
use crate::options::SourceOptions;
use crate::request::ScanRequest;
use crate::scan::{Scan, ScanFile, TableLog, may_match};

pub(super) const NAME_MAPPING: &str = "schema.name-mapping.default";

/// What is read of a table.
#[derive(Debug, Clone)]
pub struct IcebergScan {
    pub table: IcebergTable,
    pub version: IcebergVersion,
    /// Only the rows that appends after the first snapshot, up to the second, have added
    pub added: Option<(i64, Option<i64>)>,
    pub conf: Conf,
}

/// What a [`Scan`] knows of its files from the manifests.
#[derive(Debug, Clone)]
pub struct IcebergFiles {
    pub snapshot: Option<i64>,
    files: Arc<Vec<DataFile>>,
    /// The table's columns with their numbers, in the order of the scan's
    columns: Arc<StructType>,
    deletes: Deletes,
}

impl IcebergFiles {
    /// The files that may have rows for the filters.
    pub(crate) fn prune(
        &self,
        kept: Vec<usize>,
        filters: &[Expr],
        schema: &SchemaRef,
        session: &dyn Session,
    ) -> datafusion::common::Result<Vec<usize>> {
        let Some(predicate) = may_match(filters, schema, session)?.filter(|_| !kept.is_empty()) else {
            return Ok(kept);
        };
        let ids: Vec<_> = self.columns.fields.iter().map(field_id).collect();
        let files = kept.iter().filter_map(|file| self.files.get(*file)).collect();
        let may = predicate.prune(&FileBounds { files, schema: Arc::clone(schema), ids: &ids })?;
        Ok(kept.into_iter().zip(may).filter_map(|(file, may)| may.then_some(file)).collect())
    }

    /// The rows of files: certain where nothing is deleted.
    pub(crate) fn rows(&self, kept: &[usize]) -> Precision<usize> {
        let rows: u64 = kept.iter().filter_map(|file| self.files.get(*file)).map(|file| file.rows).sum();
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        match kept.iter().any(|file| self.deletes.apply_to(*file)) {
            true => Precision::Inexact(rows),
            false => Precision::Exact(rows),
        }
    }

    /// The rows to read of a file; `None`: all.
    pub(crate) async fn selection(&self, file: usize) -> Result<Option<RowSelection>> {
        match self.files.get(file) {
            Some(data) => self.deletes.selection(file, data).await,
            None => Ok(None),
        }
    }

    /// The table's columns with their numbers.
    pub(crate) fn columns(&self) -> &Arc<StructType> {
        &self.columns
    }
}

/// Data files, and what deletes rows of them.
#[derive(Debug, Clone, Default)]
pub struct LiveFiles {
    data: Vec<Entry>,
    deletes: Vec<Entry>,
}

impl LiveFiles {
    fn of(entries: Vec<Entry>) -> Self {
        let (data, deletes) = entries.into_iter().partition(|entry| entry.file.content == Content::Data);
        Self { data, deletes }
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The files with these places among them.
    pub fn only(&self, places: impl IntoIterator<Item = usize>) -> Self {
        let data = places.into_iter().filter_map(|place| self.data.get(place).cloned()).collect();
        Self { data, deletes: self.deletes.clone() }
    }

    /// The paths of the data files, as manifests have them.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.data.iter().map(|entry| entry.file.path.as_str())
    }

    /// The rows of a file, where it is certain that none is deleted.
    pub fn rows(&self, place: usize) -> Option<u64> {
        self.data.get(place).filter(|_| self.deletes.is_empty()).map(|entry| entry.file.rows)
    }
}

impl IcebergTable {
    /// The files of the current state.
    pub async fn live_files(&self) -> Result<LiveFiles> {
        match self.metadata().current()? {
            Some(snapshot) => live_entries(self, &snapshot).await.map(LiveFiles::of),
            None => Ok(LiveFiles::default()),
        }
    }
}

/// Files of a table as a scan of its columns, then `constants`: columns with a value for each file.
pub fn scan_files(
    table: &IcebergTable,
    files: LiveFiles,
    constants: &[(StructField, Vec<ScalarValue>)],
    conf: Conf,
) -> Result<Scan> {
    let snapshot = table.metadata().current()?.map(|snapshot| snapshot.id);
    scan_of(table, table.metadata().schema()?, snapshot, files, constants, conf)
}

fn scan_of(
    table: &IcebergTable,
    columns: StructType,
    snapshot: Option<i64>,
    live: LiveFiles,
    constants: &[(StructField, Vec<ScalarValue>)],
    conf: Conf,
) -> Result<Scan> {
    check(table)?;
    let mut files = Vec::with_capacity(live.data.len());
    for (index, entry) in live.data.iter().enumerate() {
        if entry.file.format != "parquet" {
            return Err(unsupported(format!("files of format {}", entry.file.format)));
        }
        let partition_values = constants.iter().map(|(_, values)| values[index].clone()).collect();
        files.push(ScanFile { status: status(table, &entry.file)?, partition_values });
    }
    let deletes = Deletes::new(table, &columns, &live.data, &live.deletes)?;
    let constants: Vec<StructField> = constants.iter().map(|(field, _)| field.clone()).collect();
    let schema = StructType::new(columns.fields.iter().chain(&constants).cloned().collect()).as_nullable();
    let log = IcebergFiles {
        snapshot,
        files: Arc::new(live.data.into_iter().map(|entry| entry.file).collect()),
        columns: Arc::new(columns),
        deletes,
    };
    let location = table.location().clone();
    let request = ScanRequest {
        format: "parquet".into(),
        paths: vec![location.to_string()],
        options: SourceOptions::default(),
        user_schema: Some(schema.clone()),
        conf,
        storage: table.storage().clone(),
        ..ScanRequest::default()
    };
    let root = FileStatus { location, is_directory: true, size: 0, modified_us: 0 };
    let partitions = StructType::new(constants).as_nullable();
    Scan::of_files(request, schema, partitions, vec![root], files, Some(TableLog::Iceberg(log)))
}

/// Files of a table that Hive made may lack the columns of their partitions, whose values are in their paths.
fn check(table: &IcebergTable) -> Result<()> {
    let metadata = table.metadata();
    let is_imported = metadata.properties().contains_key(NAME_MAPPING);
    let has_identity = metadata.spec()?.fields.iter().any(|field| field.transform == Transform::Identity);
    match is_imported && has_identity {
        true => Err(unsupported("files of a Hive table that were added as they are")),
        false => Ok(()),
    }
}

fn status(table: &IcebergTable, file: &DataFile) -> Result<FileStatus> {
    // Files do not change: they are as old as the format's names say, which is not known here.
    let location = table.place(&file.path)?;
    Ok(FileStatus { location, is_directory: false, size: file.bytes, modified_us: 0 })
}

impl IcebergScan {
    /// Files and schema, ready to be put into a plan.
    pub async fn scan(self) -> Result<Scan> {
        let (snapshot, columns) = self.table.at(&self.version)?;
        let live = match &snapshot {
            Some(snapshot) => self.live(snapshot).await?,
            None => vec![],
        };
        let snapshot = snapshot.map(|snapshot| snapshot.id);
        scan_of(&self.table, columns, snapshot, LiveFiles::of(live), &[], self.conf)
    }

    async fn live(&self, snapshot: &Snapshot) -> Result<Vec<Entry>> {
        let Some((start, end)) = self.added else { return live_entries(&self.table, snapshot).await };
        let metadata = self.table.metadata();
        let mut wanted = vec![];
        let mut next = Some(end.map_or_else(|| Ok(snapshot.clone()), |id| metadata.snapshot(id))?);
        metadata.snapshot(start)?;
        while let Some(current) = next.filter(|current| current.id != start) {
            // Other changes than appends are passed over, as Spark does.
            if current.summary.get("operation").is_some_and(|operation| operation == "append") {
                wanted.push(current.clone());
            }
            next = current.parent.map(|parent| metadata.snapshot(parent)).transpose()?;
        }
        let mut found = vec![];
        for snapshot in &wanted {
            let own = |manifest: &Manifest| manifest.snapshot == snapshot.id && !manifest.holds_deletes;
            let manifests: Vec<_> = located(&self.table, snapshot).await?.into_iter().filter(own).collect();
            let added = entries(self.table.files(), &manifests).await?;
            found.extend(added.into_iter().filter(|e| e.status == Status::Added && e.snapshot == snapshot.id));
        }
        Ok(found)
    }
}

/// The manifests of a snapshot, by where they are in the table's store.
pub(super) async fn located(table: &IcebergTable, snapshot: &Snapshot) -> Result<Vec<Manifest>> {
    let mut snapshot = snapshot.clone();
    if let Some(list) = &mut snapshot.manifest_list {
        *list = table.place(list)?.to_string();
    }
    let mut found = manifests(table.files().as_ref(), &snapshot).await?;
    for manifest in &mut found {
        manifest.path = table.place(&manifest.path)?.to_string();
    }
    Ok(found)
}

/// The files of a snapshot.
pub(super) async fn live_entries(table: &IcebergTable, snapshot: &Snapshot) -> Result<Vec<Entry>> {
    let manifests = located(table, snapshot).await?;
    let all = entries(table.files(), &manifests).await?;
    Ok(all.into_iter().filter(|entry| entry.status != Status::Deleted).collect())
}
