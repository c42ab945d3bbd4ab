//! What writers see of a table: its definition, the schema of its records, its file groups.
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use firesteel_plan::{Result, SparkError, StructField, StructType};
use firesteel_storage::{FileStatus, FileSystem, Location, Storage};

use super::logs::SliceLogs;
use super::slices::{Group, Slice, Wanted};
use super::table::{HudiTable, META, damaged, read};
use super::timeline::Timeline;
use super::write::{CREATE_SCHEMA, FileGroup, HudiDefinition};
use crate::conf::Conf;
use crate::iceberg::avro::{Value, read_file};
use crate::options::SourceOptions;
use crate::request::ScanRequest;
use crate::scan::{Scan, ScanFile};

/// How the names of groups begin whose rows are placed by Hudi's bucket index.
const BUCKET: &str = "000";
const BUCKET_DIGITS: usize = 8;

impl HudiTable {
    /// `None` where there is no table.
    pub async fn find(location: &Location, storage: &Storage) -> Result<Option<Self>> {
        match Self::open(location, storage).await {
            Ok(table) => Ok(Some(table)),
            Err(error) if error.is("PATH_NOT_FOUND") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Errors with what the table has that is not written here.
    pub fn definition(&self) -> Result<HudiDefinition> {
        // How logs are merged says also which record counts in a table without logs.
        let rules = self.properties.merge.clone()?;
        HudiDefinition::of(&self.properties.all, rules.by_order)
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    pub(super) fn files(&self) -> &Arc<dyn FileSystem> {
        &self.files
    }

    pub(super) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    pub(super) fn timeline_folder(&self) -> Location {
        let meta = self.location.join(META);
        if self.properties.timeline.is_empty() { meta } else { meta.join(&self.properties.timeline) }
    }

    pub(super) fn property(&self, key: &str) -> Option<&str> {
        self.properties.all.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The Avro schema of the records as the last write has left it, without Hudi's own columns.
    pub async fn record_schema(&self) -> Result<Option<String>> {
        for write in self.timeline.newest_until(None) {
            let bytes = read(self.files.as_ref(), &write.file).await?;
            if super::metadata::is_evolved(&bytes)? {
                return Err(SparkError::unsupported("writing a Hudi table whose columns were renamed or moved"));
            }
            if let Some(schema) = super::metadata::schema(&bytes)? {
                return Ok(Some(schema));
            }
        }
        Ok(self.property(CREATE_SCHEMA).map(str::to_string))
    }

    /// The columns of records with an Avro schema, after Hudi's own.
    pub fn columns_of(schema: &str) -> Result<StructType> {
        super::schema::columns(schema)
    }

    /// The file groups as they are now.
    pub async fn file_groups(&self) -> Result<Vec<FileGroup>> {
        let slices = self.slices(Wanted::default()).await?;
        let is_bucket =
            |id: &str| id.starts_with(BUCKET) && id.bytes().take_while(u8::is_ascii_digit).count() == BUCKET_DIGITS;
        if !slices.is_empty() && slices.iter().all(|slice| is_bucket(&slice.group.1)) {
            return Err(SparkError::unsupported("writing a Hudi table whose rows are placed by a bucket index"));
        }
        let planned = self.planned_slices().await?;
        let group = |slice: Slice| {
            let instant = planned.get(&slice.group).unwrap_or(&slice.instant);
            let number = slice.log_numbers.get(instant).map_or(1, |last| last + 1);
            let next_log = (instant.clone(), number);
            let (partition, id) = slice.group;
            let has_base = slice.base.is_some();
            let base = slice.base.or_else(|| slice.logs.first().cloned())?;
            Some(FileGroup { partition, id, instant: slice.instant, base, has_base, logs: slice.logs, next_log })
        };
        Ok(slices.into_iter().filter_map(group).collect())
    }

    /// The slices that compactions which are planned or under way will begin, where logs have the names of their slices: what
    /// is written from now on belongs to these.
    async fn planned_slices(&self) -> Result<HashMap<Group, String>> {
        let mut planned = HashMap::new();
        if self.properties.has_completions {
            return Ok(planned);
        }
        for instant in &self.timeline.pending_compactions {
            let file = self.timeline.requested.get(instant);
            let file = file.ok_or_else(|| damaged(format!("the compaction {instant} has no plan")))?;
            let (_, plans) = read_file(&read(self.files.as_ref(), file).await?)?;
            for plan in &plans {
                let Value::Array(operations) = plan.get("operations") else { continue };
                for operation in operations {
                    let text = |name: &str| operation.get(name).as_text().unwrap_or_default().to_string();
                    planned.insert((text("partitionPath"), text("fileId")), instant.clone());
                }
            }
        }
        Ok(planned)
    }

    /// The rows of groups as a scan of `columns`, then `place`: an INT with the place of the group. `merged`: with what their
    /// logs say, otherwise those of base files alone.
    pub fn scan_groups(
        &self,
        groups: &[FileGroup],
        columns: &StructType,
        place: &StructField,
        conf: Conf,
        merged: bool,
    ) -> Result<Scan> {
        let fields = columns.fields.iter().chain([place]).cloned().collect();
        let schema = StructType::new(fields).as_nullable();
        let request = ScanRequest {
            format: "parquet".into(),
            paths: vec![self.location.to_string()],
            options: SourceOptions::default(),
            user_schema: Some(schema.clone()),
            conf,
            storage: self.storage.clone(),
            ..ScanRequest::default()
        };
        let file = |(place, group): (usize, &FileGroup)| ScanFile {
            status: group.base.clone(),
            partition_values: vec![ScalarValue::Int32(i32::try_from(place).ok())],
        };
        let wanted = || groups.iter().enumerate().filter(|(_, group)| merged || group.has_base);
        let files: Vec<ScanFile> = wanted().map(file).collect();
        let logs = |(file, (_, group)): (usize, (usize, &FileGroup))| {
            let logs = SliceLogs { has_base: group.has_base, logs: group.logs.clone() };
            (merged && !logs.logs.is_empty()).then_some((file, logs))
        };
        let by_file: HashMap<usize, SliceLogs> = wanted().enumerate().filter_map(logs).collect();
        let logs = if by_file.is_empty() { None } else { Some(self.logs_of(by_file, None)?) };
        let root = FileStatus { location: self.location.clone(), is_directory: true, size: 0, modified_us: 0 };
        let places = StructType::new(vec![place.clone()]).as_nullable();
        Scan::of_slices(request, schema, places, root, files, logs)
    }
}
