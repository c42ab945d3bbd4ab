//! A write from its start to its commit.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;
use firesteel_plan::command::SaveMode;
use firesteel_plan::{Result, SparkError, StructType};
use firesteel_storage::{BegunUpload, FileSystem, Location, is_hidden, store_error};
use object_store::ObjectStoreExt;
use parking_lot::Mutex;
use uuid::Uuid;

use super::commit::{StagedFile, TaskOutput};
use super::sink::Destination;
use super::task::{self, TaskContext};
use crate::files::{find_field, partition_path};
use crate::format;
use crate::request::{TablePartition, WriteRequest, WriteSummary};

/// The directory of unfinished writes below a table, as in Hadoop.
const TEMPORARY: &str = "_temporary";
const SUCCESS: &str = "_SUCCESS";
/// Where a job keeps what it replaces until it has succeeded.
const REPLACED: &str = "replaced";
/// Where a job puts a new table together, which one rename then puts in place.
const WHOLE: &str = "whole";

/// A write that has begun. Dropped without [`WriteJob::commit`], it leaves only its hidden staging directory, which
/// [`WriteJob::abort`] removes.
#[derive(Debug)]
pub struct WriteJob {
    pub(super) request: WriteRequest,
    pub(super) file_system: Arc<dyn FileSystem>,
    pub(super) target: Location,
    /// There was nothing at the target.
    is_new: bool,
    staging: Location,
    /// Where files are sent to their final places and there is no staging directory: what was begun.
    pub(super) begun: Option<Mutex<Vec<BegunUpload>>>,
    task: Arc<TaskContext>,
}

impl WriteJob {
    /// Checks the request and the place. `None`: the mode says that what exists stays.
    pub async fn start(request: WriteRequest) -> Result<Option<Self>> {
        let target = Location::parse(&request.path)?;
        let file_system = request.storage.file_system(&target)?;
        let data_schema = data_schema(&request)?;
        let format = format::make(&request.format, &request.options, &request.conf)?;
        format::check_duplicates(&request.schema, &request.conf)?;
        format::check_types(format.as_ref(), &request.format, &data_schema)?;
        let writer = format.writer(&data_schema, &request)?;
        let existing = file_system.status(&target).await?;
        let is_new = existing.is_none();
        if !is_new {
            match request.mode {
                SaveMode::ErrorIfExists => {
                    return Err(SparkError::new("PATH_ALREADY_EXISTS", [("outputPath", target.to_string())]));
                }
                SaveMode::Ignore => return Ok(None),
                SaveMode::Append | SaveMode::Overwrite => {}
            }
        }
        let id = Uuid::new_v4();
        let staging = match &existing {
            Some(status) if status.is_directory => target.join(TEMPORARY).join(&id.to_string()),
            // What is not there, or is a file, is staged beside its place.
            _ => nearest_directory(file_system.as_ref(), &target).await?.join(&format!("{TEMPORARY}-{id}")),
        };
        let begun = file_system.uploads().map(|_| Mutex::default());
        if begun.is_none() {
            file_system.create_directory(&staging).await?;
        }
        let task = Arc::new(TaskContext::new(&request, data_schema, writer, id)?);
        Ok(Some(Self { request, file_system, target, is_new, staging, begun, task }))
    }

    /// Where the files will be.
    pub fn target(&self) -> &Location {
        &self.target
    }

    /// Writes the rows of one input partition. Attempts of one task do not disturb each other.
    pub async fn run_task(
        &self,
        partition: usize,
        attempt: usize,
        rows: SendableRecordBatchStream,
    ) -> Result<TaskOutput> {
        if self.begun.is_some() {
            let files = task::run(&self.task, Destination::Uploads(self), partition, rows).await?;
            return Ok(TaskOutput { directory: String::new(), files });
        }
        let directory = format!("task_{partition:06}_{attempt}");
        let place = self.staging.join(&directory);
        let destination = Destination::Directory(self.file_system.as_ref(), &place);
        let files = task::run(&self.task, destination, partition, rows).await?;
        Ok(TaskOutput { directory, files })
    }

    /// Makes the outputs of all tasks the table's files. A new table appears whole. In one that was there, what is
    /// replaced is set aside first and removed last: where something fails in between, it is put back as it was.
    pub async fn commit(self, outputs: Vec<TaskOutput>) -> Result<WriteSummary> {
        let mut moves = vec![];
        let published = match self.is_new {
            _ if self.begun.is_some() => self.publish_uploads(&outputs).await,
            true => self.publish_whole(&outputs).await,
            false => self.publish(&outputs, &mut moves).await,
        };
        match published {
            Ok(()) => {
                if self.begun.is_none() {
                    self.remove_staging().await?;
                }
                Ok(summary(outputs))
            }
            Err(error) => {
                for (from, to) in moves.iter().rev() {
                    // The first failure is what the user must see.
                    let _ = self.file_system.rename(to, from).await;
                }
                let _ = self.abort().await;
                Err(error)
            }
        }
    }

    /// Puts the table together in the staging directory, then in place.
    async fn publish_whole(&self, outputs: &[TaskOutput]) -> Result<()> {
        let whole = self.staging.join(WHOLE);
        self.file_system.create_directory(&whole).await?;
        for (output, file) in files_of(outputs) {
            let from = self.staging.join(&output.directory).join(&file.path);
            self.file_system.rename(&from, &whole.join(&file.path)).await?;
        }
        self.mark_success(&whole).await?;
        if self.file_system.status(&self.target).await?.is_none() {
            return self.file_system.rename(&whole, &self.target).await;
        }
        // Somebody else was faster. Their files stay beside these, unless the mode wanted to be the first.
        if self.request.mode == SaveMode::ErrorIfExists {
            return Err(SparkError::new("PATH_ALREADY_EXISTS", [("outputPath", self.target.to_string())]));
        }
        for (_, file) in files_of(outputs) {
            self.file_system.rename(&whole.join(&file.path), &self.target.join(&file.path)).await?;
        }
        self.mark_success(&self.target).await
    }

    /// Renames what is replaced into the staging directory and the new files out of it; notes each move in `moves`.
    async fn publish(&self, outputs: &[TaskOutput], moves: &mut Vec<(Location, Location)>) -> Result<()> {
        if self.request.mode == SaveMode::Overwrite {
            for (index, place) in self.overwritten(outputs).await?.into_iter().enumerate() {
                // Names of partitions that lie elsewhere may repeat.
                let aside = self.staging.join(REPLACED).join(&index.to_string()).join(place.name());
                self.file_system.rename(&place, &aside).await?;
                moves.push((place, aside));
            }
        }
        for (output, file) in files_of(outputs) {
            let from = self.staging.join(&output.directory).join(&file.path);
            let to = self.place(&file.path)?;
            self.file_system.rename(&from, &to).await?;
            moves.push((from, to));
        }
        self.mark_success(&self.target).await
    }

    /// Where a file goes, by its path below the table.
    pub(super) fn place(&self, path: &str) -> Result<Location> {
        match path.rsplit_once('/') {
            Some((directory, name)) => Ok(self.partition(directory)?.join(name)),
            None => Ok(self.target.join(path)),
        }
    }

    /// Where the files of a partition go, by the path its values make.
    fn partition(&self, directory: &str) -> Result<Location> {
        match self.request.moved_partitions.iter().find(|moved| path_of(moved) == directory) {
            Some(moved) => Location::parse(&moved.location),
            None => Ok(self.target.join(directory)),
        }
    }

    pub(super) async fn mark_success(&self, directory: &Location) -> Result<()> {
        if !self.request.conf.flag("spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs", true)? {
            return Ok(());
        }
        let place = directory.join(SUCCESS);
        let put = self.file_system.object_store().put(&place.object_path()?, bytes::Bytes::new().into()).await;
        put.map(|_| ()).map_err(|e| store_error("write", &place, &e))
    }

    /// Removes what the tasks wrote.
    pub async fn abort(self) -> Result<()> {
        if self.begun.is_some() {
            return self.abort_uploads().await;
        }
        self.remove_staging().await
    }

    async fn remove_staging(&self) -> Result<()> {
        self.file_system.delete(&self.staging).await?;
        match self.staging.parent() {
            // Another write into the same table may be under way beside this one.
            Some(temporary) if temporary.name() == TEMPORARY => self.file_system.delete_empty(&temporary).await,
            _ => Ok(()),
        }
    }

    /// The files and directories that an overwrite replaces.
    pub(super) async fn overwritten(&self, outputs: &[TaskOutput]) -> Result<Vec<Location>> {
        if self.is_dynamic()? && !self.request.partition_by.is_empty() {
            let written: BTreeSet<String> = outputs
                .iter()
                .flat_map(|output| &output.files)
                .map(|file| partition_path(file.partition.iter().map(|(c, v)| (c.as_str(), v.as_deref()))))
                .collect();
            let mut found = vec![];
            for directory in written {
                found.extend(self.file_system.status(&self.partition(&directory)?).await?);
            }
            return Ok(found.into_iter().map(|status| status.location).collect());
        }
        let mut found = vec![];
        for moved in &self.request.moved_partitions {
            if moved.values.starts_with(&self.request.static_partitions) {
                found.extend(self.visible(&Location::parse(&moved.location)?).await?);
            }
        }
        let fixed = self.request.static_partitions.iter().map(|(c, v)| (c.as_str(), v.as_deref()));
        let root = match partition_path(fixed) {
            path if path.is_empty() => self.target.clone(),
            path => self.target.join(&path),
        };
        found.extend(self.visible(&root).await?);
        Ok(found)
    }

    /// What a directory holds (or the file that it is), but for what is hidden: the staging directories of this and of
    /// other writes stay.
    async fn visible(&self, root: &Location) -> Result<Vec<Location>> {
        match self.file_system.status(root).await? {
            None => Ok(vec![]),
            Some(status) if !status.is_directory => Ok(vec![root.clone()]),
            Some(_) => {
                let children = self.file_system.list(root).await?.into_iter().map(|child| child.location);
                Ok(children.filter(|child| !is_hidden(child.name()) || child.name() == SUCCESS).collect())
            }
        }
    }

    /// Whether an overwrite replaces only the partitions that get rows: the option, else the setting.
    fn is_dynamic(&self) -> Result<bool> {
        let conf = self.request.conf.get("spark.sql.sources.partitionOverwriteMode");
        let mode = self.request.options.get("partitionOverwriteMode").or(conf).unwrap_or("STATIC");
        Ok(mode.eq_ignore_ascii_case("dynamic"))
    }
}

fn files_of(outputs: &[TaskOutput]) -> impl Iterator<Item = (&TaskOutput, &StagedFile)> {
    outputs.iter().flat_map(|output| output.files.iter().map(move |file| (output, file)))
}

/// The lowest directory above `target` that is there.
async fn nearest_directory(files: &dyn FileSystem, target: &Location) -> Result<Location> {
    let mut place = target.clone();
    while let Some(parent) = place.parent() {
        place = parent;
        if files.status(&place).await?.is_some_and(|status| status.is_directory) {
            break;
        }
    }
    Ok(place)
}

/// `a=1/b=x`
fn path_of(partition: &TablePartition) -> String {
    partition_path(partition.values.iter().map(|(column, value)| (column.as_str(), value.as_deref())))
}

fn summary(outputs: Vec<TaskOutput>) -> WriteSummary {
    let mut summary = WriteSummary::default();
    let mut partitions = BTreeSet::new();
    for file in outputs.into_iter().flat_map(|output| output.files) {
        summary.rows += file.rows;
        summary.bytes += file.bytes;
        summary.files += 1;
        partitions.insert(file.partition);
    }
    let as_map = |spec: Vec<(String, Option<String>)>| spec.into_iter().collect::<BTreeMap<_, _>>();
    summary.partitions = partitions.into_iter().filter(|spec| !spec.is_empty()).map(as_map).collect();
    summary
}

/// The columns that go into the files.
pub(super) fn data_schema(request: &WriteRequest) -> Result<StructType> {
    for column in &request.partition_by {
        let Some(field) = find_field(&request.schema, column, &request.conf) else {
            let schema = firesteel_plan::DataType::Struct(request.schema.clone()).simple_string();
            let message = format!("Partition column `{column}` not found in schema {schema}.");
            let parameters = [("col", column.clone()), ("schemaCatalog", schema)];
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1155", parameters).with_message(message));
        };
        if !field.data_type.is_atomic() || field.data_type.is_interval() {
            let name = firesteel_plan::quote_identifier(column);
            let data_type = format!("\"{}\"", field.data_type.sql());
            return Err(SparkError::new(
                "INVALID_PARTITION_COLUMN_DATA_TYPE",
                [("type", data_type), ("columnName", name)],
            ));
        }
    }
    let is_partition = |name: &str| {
        request.partition_by.iter().any(|column| {
            column == name || (!request.conf.case_sensitive() && column.to_lowercase() == name.to_lowercase())
        })
    };
    let fields: Vec<_> = request.schema.fields.iter().filter(|f| !is_partition(&f.name)).cloned().collect();
    if fields.is_empty() && !request.partition_by.is_empty() {
        return Err(SparkError::of("ALL_PARTITION_COLUMNS_NOT_ALLOWED"));
    }
    Ok(StructType::new(fields))
}
