//! A table: its newest state, an earlier one, or what has changed.
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::{FileStatus, FileSystem, Location, Storage};
use object_store::ObjectStoreExt;

use super::logs::{Logs, SliceLogs};
use super::properties::Properties;
use super::slices::{self, Slice, Wanted};
use super::timeline::{Instant, Timeline, spelled};
use super::write::CREATE_SCHEMA;
use crate::conf::Conf;
use crate::errors;
use crate::format::{self, InferInput};
use crate::options::SourceOptions;
use crate::request::ScanRequest;
use crate::scan::{Scan, ScanFile};

pub(super) const META: &str = ".hoodie";

/// A table whose timeline has been read.
#[derive(Debug, Clone)]
pub struct HudiTable {
    pub(super) location: Location,
    pub(super) storage: Storage,
    pub(super) files: Arc<dyn FileSystem>,
    pub(super) properties: Properties,
    pub(super) timeline: Timeline,
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
        let until = as_of.as_deref();
        let mut slices = self.slices(Wanted { until, names: None }).await?;
        if base_only {
            slices.retain(|slice| slice.base.is_some());
            slices.iter_mut().for_each(|slice| slice.logs.clear());
        }
        self.scan(slices, until, conf).await
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
        if let Some(first) = commits.first() {
            self.check_retained(first).await?;
        }
        // Slices are chosen by when their writes began.
        let until = commits.iter().max().cloned().or(end);
        let names = self.written(&writes).await?;
        let slices = self.slices(Wanted { until: until.as_deref(), names: Some(&names) }).await?;
        Ok(HudiChanges { scan: self.scan(slices, until.as_deref(), conf).await?, commits })
    }

    /// The names of the files that writes have left.
    async fn written(&self, writes: &[(&str, &Instant)]) -> Result<HashSet<String>> {
        let mut names = HashSet::new();
        for (_, write) in writes {
            let bytes = read(self.files.as_ref(), &write.file).await?;
            names.extend(super::metadata::written(&bytes)?);
        }
        Ok(names)
    }

    pub(super) async fn slices(&self, wanted: Wanted<'_>) -> Result<Vec<Slice>> {
        let mut replaced = HashSet::new();
        let replacing = self.timeline.writes().filter(|(_, write)| write.action == "replacecommit");
        for (_, write) in replacing.filter(|(begun, _)| wanted.until.is_none_or(|end| *begun <= end)) {
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
        Ok(slices::newest(files, &self.location, &self.timeline, &replaced, wanted))
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

    async fn scan(&self, slices: Vec<Slice>, until: Option<&str>, conf: Conf) -> Result<Scan> {
        let has_logs = slices.iter().any(|slice| !slice.logs.is_empty());
        // Logs may have columns that no base file has yet.
        let schema = match self.properties.has_logs || slices.is_empty() {
            true => self.written_schema(until, has_logs).await?,
            false => None,
        };
        let schema = match schema {
            Some(schema) => Some(schema),
            None => self.stored_schema(&slices, &conf).await?,
        };
        let schema = schema.ok_or_else(|| SparkError::new("UNABLE_TO_INFER_SCHEMA", [("format", "Hudi")]))?;
        let schema = schema.as_nullable();
        let logs = match has_logs {
            true => Some(self.logs(&slices, until)?),
            false => None,
        };
        let request = ScanRequest {
            format: "parquet".into(),
            paths: vec![self.location.to_string()],
            options: SourceOptions::default(),
            user_schema: Some(schema.clone()),
            conf,
            storage: self.storage.clone(),
            ..ScanRequest::default()
        };
        let root = FileStatus { location: self.location.clone(), is_directory: true, size: 0, modified_us: 0 };
        let file = |slice: Slice| slice.base.or_else(|| slice.logs.into_iter().next());
        let files = slices.into_iter().filter_map(file).map(|status| ScanFile { status, partition_values: vec![] });
        Scan::of_slices(request, schema, StructType::default(), root, files.collect(), logs)
    }

    fn logs(&self, slices: &[Slice], until: Option<&str>) -> Result<Logs> {
        let logs = |(file, slice): (usize, &Slice)| {
            (!slice.logs.is_empty())
                .then(|| (file, SliceLogs { has_base: slice.base.is_some(), logs: slice.logs.clone() }))
        };
        self.logs_of(slices.iter().enumerate().filter_map(logs).collect(), until)
    }

    /// The logs of a scan's files, as they are merged in this table.
    pub(super) fn logs_of(&self, by_file: HashMap<usize, SliceLogs>, until: Option<&str>) -> Result<Logs> {
        let rules = self.properties.merge.clone()?;
        let until = until.map(str::to_string);
        Ok(Logs::new(by_file, rules, self.timeline.clone(), until, Arc::clone(&self.files)))
    }

    /// The columns as the last write until then has left them.
    async fn written_schema(&self, until: Option<&str>, has_logs: bool) -> Result<Option<StructType>> {
        for write in self.timeline.newest_until(until) {
            let bytes = read(self.files.as_ref(), &write.file).await?;
            if super::metadata::is_evolved(&bytes)? {
                return match has_logs {
                    true => Err(SparkError::unsupported(
                        "reading the logs of a Hudi table whose columns were renamed or moved",
                    )),
                    false => Ok(None),
                };
            }
            if let Some(schema) = super::metadata::schema(&bytes)? {
                return super::schema::columns(&schema).map(Some);
            }
        }
        // A table without a write.
        self.property(CREATE_SCHEMA).map(super::schema::columns).transpose()
    }

    /// The columns of the newest base file.
    async fn stored_schema(&self, slices: &[Slice], conf: &Conf) -> Result<Option<StructType>> {
        let newest = slices.iter().filter(|slice| slice.base.is_some()).max_by(|a, b| a.instant.cmp(&b.instant));
        let files = newest.and_then(|slice| slice.base.as_ref()).into_iter().collect();
        let parquet = format::make("parquet", &SourceOptions::default(), conf)?;
        parquet.infer_schema(&InferInput { file_system: &self.files, files, conf }).await
    }
}

fn instant(text: &str, is_end: bool) -> Result<String> {
    spelled(text, is_end)
        .ok_or_else(|| SparkError::new("INVALID_TIME_TRAVEL_TIMESTAMP_EXPR.INPUT", [("expr", text.to_string())]))
}

pub(super) async fn read(files: &dyn FileSystem, file: &FileStatus) -> Result<Bytes> {
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
