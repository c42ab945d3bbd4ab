//! A table: its newest state, an earlier one, or what has changed.
use std::collections::HashSet;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::{FileStatus, FileSystem, Location, Storage};
use object_store::ObjectStoreExt;

use super::properties::Properties;
use super::slices::{self, Slices};
use super::timeline::{Instant, Timeline, spelled};
use crate::conf::Conf;
use crate::errors;
use crate::format::{self, InferInput};
use crate::options::SourceOptions;
use crate::request::ScanRequest;
use crate::scan::{Scan, ScanFile};

const META: &str = ".hoodie";

/// A table whose timeline has been read.
#[derive(Debug, Clone)]
pub struct HudiTable {
    location: Location,
    storage: Storage,
    files: Arc<dyn FileSystem>,
    properties: Properties,
    timeline: Timeline,
}

/// Rows that hold what has changed: those of `scan` whose commit time is one of `commits`.
#[derive(Debug)]
pub struct HudiChanges {
    pub scan: Scan,
    pub commits: Vec<String>,
}

impl HudiTable {
    /// `PATH_NOT_FOUND` where there is no table.
    pub async fn open(location: &Location, storage: &Storage) -> Result<Self> {
        let files = storage.file_system(location)?;
        let meta = location.join(META);
        let found = files.status(&meta.join("hoodie.properties")).await?;
        let found =
            found.ok_or_else(|| SparkError::new("PATH_NOT_FOUND", [("path", meta.join("hoodie.properties").url())]))?;
        let bytes = read(files.as_ref(), &found).await?;
        let properties = Properties::parse(&String::from_utf8_lossy(&bytes))?;
        let folder = if properties.timeline.is_empty() { meta } else { meta.join(&properties.timeline) };
        let timeline = Timeline::of(files.list(&folder).await?, properties.has_completions);
        Ok(Self { location: location.clone(), storage: storage.clone(), files, properties, timeline })
    }

    /// The table as it is, or as it was at an instant. `base_only`: without the changes that lie in log files.
    pub async fn snapshot(&self, as_of: Option<&str>, base_only: bool, conf: Conf) -> Result<Scan> {
        let as_of = as_of.map(|text| instant(text, true)).transpose()?;
        if let Some(as_of) = &as_of {
            self.check_retained(as_of).await?;
        }
        let slices = self.slices(as_of.as_deref(), base_only).await?;
        self.scan(slices, conf).await
    }

    /// What was written from `begin` to `end`: the rows as they are at `end`. In tables that know when writes were complete
    /// that time counts, and `begin` is among them; in older ones the time when they began, after `begin`.
    pub async fn changes(&self, begin: &str, end: Option<&str>, conf: Conf) -> Result<HudiChanges> {
        let begin = if begin.eq_ignore_ascii_case("earliest") { "000".into() } else { instant(begin, false)? };
        let end = end.map(|text| instant(text, true)).transpose()?;
        let is_begun = |at: &str| at > begin.as_str() || (self.properties.has_completions && at == begin);
        let is_within = |at: &str| is_begun(at) && end.as_deref().is_none_or(|end| at <= end);
        let writes: Vec<(&str, &Instant)> =
            self.timeline.writes().filter(|(_, write)| is_within(&write.completed)).collect();
        let commits: Vec<String> = writes.iter().map(|(begun, _)| (*begun).to_string()).collect();
        // Slices are chosen by when their writes began.
        let last = commits.iter().max().cloned().or(end);
        if let Some(first) = commits.first() {
            self.check_retained(first).await?;
        }
        let mut slices = self.slices(last.as_deref(), false).await?;
        let rows_of_all = slices.bases.first().cloned();
        slices.bases.retain(|(instant, _)| commits.first().is_some_and(|first| instant >= first));
        // Without changes the columns are still those of the table.
        if slices.bases.is_empty() {
            slices.bases.extend(rows_of_all);
        }
        Ok(HudiChanges { scan: self.scan(slices, conf).await?, commits })
    }

    async fn slices(&self, as_of: Option<&str>, base_only: bool) -> Result<Slices> {
        let mut replaced = HashSet::new();
        let replacing = self.timeline.writes().filter(|(_, write)| write.action == "replacecommit");
        for (_, write) in replacing.filter(|(begun, _)| as_of.is_none_or(|end| *begun <= end)) {
            let bytes = read(self.files.as_ref(), &write.file).await?;
            replaced.extend(super::metadata::replaced(&bytes)?);
        }
        let mut files = vec![];
        for child in self.files.list(&self.location).await? {
            match (child.is_directory, child.location.name() == META) {
                (_, true) => {}
                (true, false) => files.extend(self.files.files_below(&child.location).await?),
                (false, false) => files.push(child),
            }
        }
        let slices = slices::newest(files, &self.location, &self.timeline, &replaced, as_of);
        match &slices.unmerged {
            Some(log) if !base_only => Err(SparkError::unsupported(format!(
                "reading the log files of a merge-on-read Hudi table ({}): compact the table, or set \
                 hoodie.datasource.query.type to read_optimized for what its base files hold",
                log.name()
            ))),
            _ => Ok(slices),
        }
    }

    /// Errors where a clean has removed slices that were current at an instant.
    async fn check_retained(&self, instant: &str) -> Result<()> {
        let last = self.timeline.completed.values().rfind(|done| done.action == "clean");
        let Some(clean) = last else { return Ok(()) };
        let bytes = read(self.files.as_ref(), &clean.file).await?;
        match super::metadata::retained(&bytes)? {
            Some(retained) if instant < retained.as_str() => Err(SparkError::unsupported(format!(
                "reading the Hudi table at {} as of {instant}: its cleaner has kept nothing older than {retained}",
                self.location
            ))),
            _ => Ok(()),
        }
    }

    async fn scan(&self, slices: Slices, conf: Conf) -> Result<Scan> {
        let newest = slices.bases.iter().max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, file)| file);
        let options = SourceOptions::default();
        let parquet = format::make("parquet", &options, &conf)?;
        let input = InferInput { file_system: &self.files, files: newest.into_iter().collect(), conf: &conf };
        let schema = parquet.infer_schema(&input).await?;
        let schema =
            schema.ok_or_else(|| SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", "Hudi")]))?.as_nullable();
        let request = ScanRequest {
            format: "parquet".into(),
            paths: vec![self.location.to_string()],
            options,
            user_schema: Some(schema.clone()),
            conf,
            storage: self.storage.clone(),
            ..ScanRequest::default()
        };
        let root = FileStatus { location: self.location.clone(), is_directory: true, size: 0, modified_us: 0 };
        let files = slices.bases.into_iter().map(|(_, status)| ScanFile { status, partition_values: vec![] });
        Scan::of_files(request, schema, StructType::default(), vec![root], files.collect(), None)
    }
}

fn instant(text: &str, is_end: bool) -> Result<String> {
    spelled(text, is_end)
        .ok_or_else(|| SparkError::new("INVALID_TIME_TRAVEL_TIMESTAMP_EXPR.INPUT", [("expr", text.to_string())]))
}

async fn read(files: &dyn FileSystem, file: &FileStatus) -> Result<Bytes> {
    if file.size == 0 {
        return Ok(Bytes::new());
    }
    let range = 0..file.size;
    let found = files.object_store().get_range(&file.location.object_path()?, range).await;
    found.map_err(|e| errors::store(&file.location, &e))
}

/// A file of the timeline that makes no sense.
pub(super) fn damaged(error: impl Display) -> SparkError {
    SparkError::internal(format!("the timeline of a Hudi table: {error}"))
}
