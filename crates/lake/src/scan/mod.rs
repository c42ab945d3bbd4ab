//! Reading: a request → files, schema and a DataFusion table.
mod decoded;
mod known;
mod log;
mod merged;
mod metadata;
mod provider;
mod prune;
mod skip;
pub(crate) mod source;
mod split;
mod stores;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use datafusion::catalog::TableProvider;
use datafusion::common::{ScalarValue, Statistics};
use firesteel_plan::{Result, SparkError, StructField, StructType};
use firesteel_storage::{FileStatus, FileSystem, Location};

use crate::files::{Listing, PartitionLayout, discover, find_field, list};
use crate::format::{self, Format, InferInput};
use crate::hudi::logs::Logs;
use crate::parquet::RowGroups;
use crate::request::{Bucketing, ScanRequest};
pub use decoded::{DecodedParts, reads_decoded_parts};
pub use known::KnownScans;
pub(crate) use known::is_settled;
pub use log::TableLog;
pub use provider::{FILES_PRUNED, FileTable, STRIPES_PRUNED};
pub(crate) use skip::{may_match, selection};
pub use stores::StoreRegistry;

/// Set in the configuration of a session whose plans have no filters but those that they begin with: no operator finds
/// out more while it runs.
#[derive(Debug, Default)]
pub struct FiltersAreKnown;

/// A resolved read. Cheap to clone; the files were listed when it was made.
#[derive(Debug, Clone)]
pub struct Scan {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Of no other scan of the process
    id: u64,
    format_name: String,
    format: Arc<dyn Format>,
    schema: StructType,
    partition_schema: StructType,
    roots: Vec<FileStatus>,
    files: Vec<ScanFile>,
    file_system: Arc<dyn FileSystem>,
    bucketing: Option<Bucketing>,
    request: ScanRequest,
    /// A table whose log lists and describes the files.
    log: Option<TableLog>,
    /// Files with later changes, which are merged with those of the scan
    merged: Option<Arc<Logs>>,
    /// Of each file, once it was asked for.
    statistics: Vec<OnceLock<Arc<Statistics>>>,
    /// The same; `None`: nothing is known of parts of it.
    row_groups: Vec<OnceLock<Option<RowGroups>>>,
}

/// A file to read and the partition it belongs to.
#[derive(Debug, Clone)]
pub struct ScanFile {
    pub status: FileStatus,
    pub partition_values: Vec<ScalarValue>,
}

impl Scan {
    /// Files that are known already. `schema` has the partition columns of `partitions` in their places.
    pub(crate) fn of_files(
        request: ScanRequest,
        schema: StructType,
        partitions: StructType,
        roots: Vec<FileStatus>,
        files: Vec<ScanFile>,
        log: Option<TableLog>,
    ) -> Result<Self> {
        let inner = Inner::of_files(request, schema, partitions, roots, files)?;
        Ok(Self { inner: Arc::new(Inner { log, ..inner }) })
    }

    /// Files of which some have logs with later changes.
    pub(crate) fn of_slices(
        request: ScanRequest,
        schema: StructType,
        partitions: StructType,
        root: FileStatus,
        files: Vec<ScanFile>,
        logs: Option<Logs>,
    ) -> Result<Self> {
        let inner = Inner::of_files(request, schema, partitions, vec![root], files)?;
        Ok(Self { inner: Arc::new(Inner { merged: logs.map(Arc::new), ..inner }) })
    }

    /// What the log says, where a table has one.
    pub fn log(&self) -> Option<&TableLog> {
        self.inner.log.as_ref()
    }

    /// The short name of the format.
    pub fn format(&self) -> &str {
        &self.inner.format_name
    }
    /// Data columns, then partition columns; all nullable, as Spark reads files.
    pub fn schema(&self) -> &StructType {
        &self.inner.schema
    }
    pub fn partition_schema(&self) -> &StructType {
        &self.inner.partition_schema
    }
    pub fn bucketing(&self) -> Option<&Bucketing> {
        self.inner.bucketing.as_ref()
    }
    pub fn files(&self) -> &[ScanFile] {
        &self.inner.files
    }
    pub(crate) fn file_system(&self) -> &Arc<dyn FileSystem> {
        &self.inner.file_system
    }
    /// The directories or files that the paths named.
    pub fn roots(&self) -> impl Iterator<Item = &Location> {
        self.inner.roots.iter().map(|root| &root.location)
    }
    /// All that is read: [`Scan::files`], and what is merged with them.
    pub fn sources(&self) -> impl Iterator<Item = &FileStatus> {
        let merged = self.inner.merged.iter().flat_map(|logs| logs.beside());
        self.inner.files.iter().map(|file| &file.status).chain(merged)
    }
    /// `df.inputFiles()`
    pub fn input_files(&self) -> Vec<String> {
        self.sources().map(|file| file.location.url()).collect()
    }
    pub fn size_in_bytes(&self) -> u64 {
        self.sources().map(|file| file.size).sum()
    }
    /// The table to put into a DataFusion plan: the columns of [`Scan::schema`], then [`Scan::metadata_column`].
    pub fn table(&self) -> Arc<dyn TableProvider> {
        Arc::new(FileTable::new(self.clone()))
    }
    /// The hidden struct column with `file_path`, `file_name`, `file_size`, `file_block_start`, `file_block_length` and
    /// `file_modification_time`. It is the table's last column; it is named `_metadata`, with more underscores in front
    /// where the data has a column of that name.
    pub fn metadata_column(&self) -> StructField {
        metadata::field(&self.inner.schema)
    }
}

impl Inner {
    fn of_files(
        request: ScanRequest,
        schema: StructType,
        partition_schema: StructType,
        roots: Vec<FileStatus>,
        files: Vec<ScanFile>,
    ) -> Result<Self> {
        let place = roots.first().map_or_else(|| Location::parse("/"), |root| Ok(root.location.clone()))?;
        Ok(Self {
            id: next_id(),
            format_name: request.format.clone(),
            format: make_format(&request)?,
            schema,
            partition_schema,
            roots,
            statistics: vec![OnceLock::new(); files.len()],
            row_groups: files.iter().map(|_| OnceLock::new()).collect(),
            files,
            file_system: request.storage.file_system(&place)?,
            bucketing: None,
            request,
            log: None,
            merged: None,
        })
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Resolves a read: lists files, finds partitions, reads the schema from the files if none is given.
pub async fn scan(request: ScanRequest) -> Result<Scan> {
    let request = named_paths(request);
    let format = make_format(&request)?;
    let listing = list(&request).await?;
    resolve(request, format, listing).await
}

fn make_format(request: &ScanRequest) -> Result<Arc<dyn Format>> {
    format::make(&request.format, &request.options, &request.conf)
}

/// The option `path` stands for paths where none is given.
fn named_paths(mut request: ScanRequest) -> ScanRequest {
    if request.paths.is_empty()
        && let Some(path) = request.options.get("path")
    {
        request.paths = vec![path.to_string()];
    }
    request
}

/// What there is to say about the files that were listed for a request.
async fn resolve(request: ScanRequest, format: Arc<dyn Format>, listing: Listing) -> Result<Scan> {
    let layout = discover(&request, &listing)?;
    let data_schema = match &request.user_schema {
        Some(schema) => without(schema, &layout.schema, &request),
        None => {
            let input =
                InferInput { file_system: &listing.files, files: listing.data.iter().collect(), conf: &request.conf };
            format.infer_schema(&input).await?.ok_or_else(|| cannot_infer(&request.format))?
        }
    };
    let data_schema = data_schema.as_nullable();
    let schema = merge(&data_schema, &layout.schema, &request);
    format::check_duplicates(&schema, &request.conf)?;
    format.check_read_schema(&schema)?;
    format::check_types(format.as_ref(), &request.format, &without(&data_schema, &layout.schema, &request))?;
    let files = scan_files(&listing, &layout);
    let inner = Inner {
        id: next_id(),
        format_name: format::short_name(&request.format).to_string(),
        format,
        schema,
        partition_schema: layout.schema.as_nullable(),
        statistics: vec![OnceLock::new(); files.len()],
        row_groups: files.iter().map(|_| OnceLock::new()).collect(),
        files,
        roots: listing.roots,
        file_system: listing.files,
        bucketing: request.bucketing.clone(),
        request,
        log: None,
        merged: None,
    };
    Ok(Scan { inner: Arc::new(inner) })
}

fn scan_files(listing: &crate::files::Listing, layout: &PartitionLayout) -> Vec<ScanFile> {
    let file = |status: &FileStatus| {
        let partition_values = layout.values(&status.location)?;
        Some(ScanFile { status: status.clone(), partition_values })
    };
    listing.non_empty().filter_map(file).collect()
}

/// The fields of a schema that are not partition columns.
fn without(schema: &StructType, partitions: &StructType, request: &ScanRequest) -> StructType {
    let is_data = |field: &&StructField| find_field(partitions, &field.name, &request.conf).is_none();
    StructType { fields: schema.fields.iter().filter(is_data).cloned().collect() }
}

/// Data columns then partition columns; one that is both keeps its place and has the partition's type.
fn merge(data: &StructType, partitions: &StructType, request: &ScanRequest) -> StructType {
    let partitions = partitions.as_nullable();
    let of_data = data.fields.iter().map(|f| find_field(&partitions, &f.name, &request.conf).unwrap_or(f));
    let rest = partitions.fields.iter().filter(|f| find_field(data, &f.name, &request.conf).is_none());
    StructType { fields: of_data.chain(rest).cloned().collect() }
}

fn cannot_infer(format: &str) -> SparkError {
    SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", format::display_name(format))])
}
