//! Writing the data files of a table. They become part of it when a [`Transaction`](super::Transaction) adds them.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use deltalake_core::kernel::{Add, AddCDCFile};
use firesteel_plan::command::SaveMode;
use firesteel_plan::{Result, StructType};
use firesteel_storage::{Location, Storage};

use super::metadata::TableMetadata;
use crate::conf::Conf;
use crate::options::SourceOptions;
use crate::request::WriteRequest;
use crate::write::{Description, DirectJob, DirectRequest, RowCheck, RowGuard};

/// Columns that get statistics unless `delta.dataSkippingNumIndexedCols` says otherwise.
const DESCRIBED_COLUMNS: usize = 32;

/// What is said of a NULL in a NOT NULL column.
const NOT_NULL: &str = "DELTA_NOT_NULL_CONSTRAINT_VIOLATED";

/// Rows to write into a table's directory.
pub struct DeltaWrite<'a> {
    pub location: &'a Location,
    pub storage: &'a Storage,
    pub metadata: &'a TableMetadata,
    /// The columns of the rows; those of the table, or more for change files.
    pub schema: StructType,
    pub options: SourceOptions,
    pub conf: Conf,
    /// Files of changes rather than of rows.
    pub is_changes: bool,
    /// Conditions whose values follow the columns of `schema`.
    pub checks: Vec<RowCheck>,
    /// The last column of the rows is an INT that says what becomes of a row: it is counted by its value, and rows with
    /// a value below zero are not written.
    pub has_actions: bool,
}

fn not_null(metadata: &TableMetadata) -> Vec<(usize, String)> {
    let fields = metadata.schema.fields.iter().enumerate().filter(|(_, field)| !field.nullable);
    fields.map(|(index, field)| (index, field.name.clone())).collect()
}

/// What was written.
#[derive(Debug, Default)]
pub struct WrittenFiles {
    pub adds: Vec<Add>,
    pub rows: u64,
    pub bytes: u64,
    /// Rows by the value of their action.
    pub actions: BTreeMap<i32, u64>,
}

/// Writes the rows of a plan.
pub async fn write_data(
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    write: DeltaWrite<'_>,
    cancel: impl Future<Output = ()> + Send + 'static,
) -> Result<WrittenFiles> {
    let described = match write.metadata.configuration.get("delta.dataSkippingNumIndexedCols").map(|t| t.parse::<i64>())
    {
        Some(Ok(count)) => usize::try_from(count).unwrap_or(usize::MAX),
        _ => DESCRIBED_COLUMNS,
    };
    let prefix = if write.is_changes { "_change_data/" } else { "" };
    let request = WriteRequest {
        format: "parquet".into(),
        path: write.location.join(prefix).to_string(),
        mode: SaveMode::Append,
        schema: write.metadata.stored_schema(&write.schema).unwrap_or(write.schema),
        partition_by: write.metadata.partition_columns.iter().map(|name| write.metadata.stored_name(name)).collect(),
        bucketing: None,
        options: write.options,
        static_partitions: vec![],
        moved_partitions: vec![],
        conf: write.conf,
        storage: write.storage.clone(),
    };
    let not_null = match write.is_changes {
        true => vec![],
        false => not_null(write.metadata),
    };
    let guard =
        RowGuard { columns: request.schema.fields.len(), not_null, null_condition: NOT_NULL, checks: write.checks };
    let is_mapped = write.metadata.is_mapped();
    let direct = DirectRequest {
        request,
        description: Description::Delta(described),
        guard,
        is_mapped,
        has_actions: write.has_actions,
    };
    let summary = DirectJob::run(plan, context, direct, cancel).await?;
    let now = chrono::Utc::now().timestamp_millis();
    let mut written = WrittenFiles { actions: summary.actions, ..WrittenFiles::default() };
    for file in summary.files {
        written.rows += file.rows;
        written.bytes += file.bytes;
        // An empty text and NULL are one partition.
        let values = file.partition.into_iter().map(|(column, value)| (column, value.filter(|text| !text.is_empty())));
        written.adds.push(Add {
            path: format!("{prefix}{}", file.path),
            partition_values: values.collect::<HashMap<_, _>>(),
            size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
            modification_time: now,
            data_change: !write.is_changes,
            stats: file.statistics,
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        });
    }
    Ok(written)
}

impl WrittenFiles {
    /// The files as changes.
    pub fn into_changes(self) -> Vec<AddCDCFile> {
        let change = |add: Add| AddCDCFile {
            path: add.path,
            size: add.size,
            partition_values: add.partition_values,
            data_change: false,
            tags: None,
        };
        self.adds.into_iter().map(change).collect()
    }

    /// Removes the files, which no commit has named.
    pub async fn discard(self, location: &Location, storage: &Storage) {
        let Ok(files) = storage.file_system(location) else { return };
        for add in self.adds {
            // What cannot be removed is for VACUUM.
            let _ = files.delete(&location.join(&add.path)).await;
        }
    }
}
