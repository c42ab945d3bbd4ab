//! The files of a read.
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{FileStatus, FileSystem, Location, glob, is_hidden};
use futures::{StreamExt, TryStreamExt};

use super::filters::FileFilter;
use crate::request::ScanRequest;

/// What the paths of a read named.
#[derive(Debug)]
pub struct Listing {
    pub files: Arc<dyn FileSystem>,
    /// The paths after globs were expanded: directories, or files.
    pub roots: Vec<FileStatus>,
    /// Every data file below the roots, empty ones too, sorted by place.
    pub data: Vec<FileStatus>,
}

impl Listing {
    /// Files worth reading: Spark skips empty ones.
    pub fn non_empty(&self) -> impl Iterator<Item = &FileStatus> {
        self.data.iter().filter(|file| file.size > 0)
    }
}

/// How many directories are listed at once.
const LIST_CONCURRENCY: usize = 16;

/// Lists the files of a request. `PATH_NOT_FOUND` where a path, or all of a glob, names nothing.
pub async fn list(request: &ScanRequest) -> Result<Listing> {
    let first = match request.paths.first() {
        Some(first) => first,
        // With a schema, no path is no rows.
        None if request.user_schema.is_some() => {
            let files = request.storage.file_system(&Location::parse("/")?)?;
            return Ok(Listing { files, roots: vec![], data: vec![] });
        }
        None => return Err(no_path(&request.format)),
    };
    let files = request.storage.file_system(&Location::parse(first)?)?;
    let mut roots = vec![];
    let partitions = request.partitions.as_ref().map(|all| all.iter().map(|p| &p.location).collect::<Vec<_>>());
    for path in partitions.as_ref().unwrap_or(&request.paths.iter().collect()) {
        let location = Location::parse(path)?;
        if request.storage.file_system(&location)?.store_url() != files.store_url() {
            return Err(SparkError::unsupported("one read over several file systems"));
        }
        if partitions.is_some() {
            // A partition that the catalog knows may have lost its directory: it has no rows.
            roots.extend(files.status(&location).await?);
        } else {
            roots.extend(resolve(files.as_ref(), &location, request).await?);
        }
    }
    let filter = FileFilter::new(&request.options, &request.conf)?;
    let mut data = vec![];
    let mut level: Vec<FileStatus> = roots.clone();
    while !level.is_empty() {
        let (directories, found): (Vec<_>, Vec<_>) = level.into_iter().partition(|status| status.is_directory);
        data.extend(found.into_iter().filter(|file| filter.accepts(file)));
        level = list_directories(&files, directories).await?;
    }
    data.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(Listing { files, roots, data })
}

/// Several at once, each in a task: whoever lists may be on a thread that would do one after the other.
async fn list_directories(files: &Arc<dyn FileSystem>, mut directories: Vec<FileStatus>) -> Result<Vec<FileStatus>> {
    if directories.len() < 2 {
        return match directories.pop() {
            Some(directory) => list_directory(Arc::clone(files), directory).await,
            None => Ok(vec![]),
        };
    }
    let list = |directory| {
        let task = SpawnedTask::spawn(list_directory(Arc::clone(files), directory));
        async { task.await.map_err(|e| SparkError::internal("a listing broke off").with_cause(e))? }
    };
    let children: Vec<Vec<FileStatus>> =
        futures::stream::iter(directories).map(list).buffered(LIST_CONCURRENCY).try_collect().await?;
    Ok(children.into_iter().flatten().collect())
}

async fn list_directory(files: Arc<dyn FileSystem>, directory: FileStatus) -> Result<Vec<FileStatus>> {
    let children = files.list(&directory.location).await?;
    Ok(children.into_iter().filter(|child| !is_hidden(child.location.name())).collect())
}

async fn resolve(files: &dyn FileSystem, location: &Location, request: &ScanRequest) -> Result<Vec<FileStatus>> {
    // A path that exists is itself even where its name looks like a pattern.
    if let Some(status) = files.status(location).await? {
        return Ok(vec![status]);
    }
    let globs = request.options.flag("__globPaths__", true)? && glob::is_glob(location.path());
    let found = if globs { glob::expand(files, location).await? } else { vec![] };
    // The directory of a catalog table may be gone: the table has no rows.
    if found.is_empty() && request.partition_columns.is_none() && !ignores_missing(request)? {
        return Err(SparkError::new("PATH_NOT_FOUND", [("path", location.to_string())]));
    }
    Ok(found)
}

/// The option, else the setting. A path that is given must exist in any case, unless the user says otherwise.
fn ignores_missing(request: &ScanRequest) -> Result<bool> {
    request.options.flag("ignoreMissingFiles", request.conf.flag("spark.sql.files.ignoreMissingFiles", false)?)
}

fn no_path(format: &str) -> SparkError {
    SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", crate::format::display_name(format))])
}
