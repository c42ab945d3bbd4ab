//! A state of a table as a [`Scan`].
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::Expr;
use firesteel_plan::{Result, StructType};
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

impl IcebergScan {
    /// Files and schema, ready to be put into a plan.
    pub async fn scan(self) -> Result<Scan> {
        let (snapshot, schema) = self.table.at(&self.version)?;
        let live = match &snapshot {
            Some(snapshot) => self.live(snapshot).await?,
            None => vec![],
        };
        self.check()?;
        let (data, deletes): (Vec<_>, Vec<_>) = live.into_iter().partition(|e| e.file.content == Content::Data);
        let mut files = Vec::with_capacity(data.len());
        for entry in &data {
            if entry.file.format != "parquet" {
                return Err(unsupported(format!("files of format {}", entry.file.format)));
            }
            files.push(ScanFile { status: self.status(&entry.file)?, partition_values: vec![] });
        }
        let deletes = Deletes::new(&self.table, &schema, &data, &deletes)?;
        let log = IcebergFiles {
            snapshot: snapshot.map(|snapshot| snapshot.id),
            files: Arc::new(data.into_iter().map(|entry| entry.file).collect()),
            columns: Arc::new(schema.clone()),
            deletes,
        };
        let location = self.table.location().clone();
        let request = ScanRequest {
            format: "parquet".into(),
            paths: vec![location.to_string()],
            options: SourceOptions::default(),
            user_schema: Some(schema.as_nullable()),
            conf: self.conf,
            storage: self.table.storage().clone(),
            ..ScanRequest::default()
        };
        let root = FileStatus { location, is_directory: true, size: 0, modified_us: 0 };
        let partitions = StructType::default();
        Scan::of_files(request, schema.as_nullable(), partitions, vec![root], files, TableLog::Iceberg(log))
    }

    /// Files of a table that Hive made may lack the columns of their partitions, whose values are in their paths.
    fn check(&self) -> Result<()> {
        let metadata = self.table.metadata();
        let is_imported = metadata.properties().contains_key(NAME_MAPPING);
        let has_identity = metadata.spec()?.fields.iter().any(|field| field.transform == Transform::Identity);
        match is_imported && has_identity {
            true => Err(unsupported("files of a Hive table that were added as they are")),
            false => Ok(()),
        }
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

    fn status(&self, file: &DataFile) -> Result<FileStatus> {
        // Files do not change: they are as old as the format's names say, which is not known here.
        let location = self.table.place(&file.path)?;
        Ok(FileStatus { location, is_directory: false, size: file.bytes, modified_us: 0 })
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
