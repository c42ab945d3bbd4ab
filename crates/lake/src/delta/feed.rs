//! The change data feed: the rows that a range of versions has added and removed.
use datafusion::common::ScalarValue;
use deltalake_core::kernel::{Action, Add, AddCDCFile};
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use super::history::{self, Commit};
use super::metadata::TableMetadata;
use super::scan::scan_with_constants;
use super::table::{DeltaTable, DeltaVersion};
use crate::conf::Conf;
use crate::scan::Scan;

const ENABLED: &str = "delta.enableChangeDataFeed";

/// Files with changes. A version that recorded its changes is read from those files; one that did not has only added or
/// only removed whole files, whose rows are the changes.
pub struct ChangeFeed {
    table: DeltaTable,
    recorded: Vec<(Add, u64, i64)>,
    /// file, `insert` or `delete`, version, milliseconds
    whole: Vec<(Add, &'static str, u64, i64)>,
}

fn change_type() -> StructField {
    StructField::new("_change_type", DataType::STRING, true)
}

fn commit_columns() -> [StructField; 2] {
    [
        StructField::new("_commit_version", DataType::Long, true),
        StructField::new("_commit_timestamp", DataType::Timestamp, true),
    ]
}

impl ChangeFeed {
    /// The changes of the versions `start..=end`. `DELTA_MISSING_CHANGE_DATA` where one of them did not record them.
    pub async fn of(table: &DeltaTable, start: u64, end: u64) -> Result<Self> {
        let missing = |version: u64| {
            let parameters = [
                ("version", version.to_string()),
                ("startVersion", start.to_string()),
                ("endVersion", end.to_string()),
                ("key", ENABLED.to_string()),
            ];
            SparkError::new("DELTA_MISSING_CHANGE_DATA", parameters)
        };
        let mut is_enabled = table.at(&DeltaVersion::Version(start)).await?.metadata().flag(ENABLED);
        let mut feed = Self { table: table.clone(), recorded: vec![], whole: vec![] };
        for commit in history::changes_between(table, start, end).await? {
            for action in &commit.actions {
                if let Action::Metadata(metadata) = action {
                    is_enabled = TableMetadata::of_action(metadata)?.flag(ENABLED);
                }
            }
            if !is_enabled {
                return Err(missing(commit.version));
            }
            feed.add(commit);
        }
        Ok(feed)
    }

    fn add(&mut self, commit: Commit) {
        let (version, time) = (commit.version, commit.timestamp_ms);
        let has_recorded = commit.actions.iter().any(|action| matches!(action, Action::Cdc(_)));
        for action in commit.actions {
            match action {
                Action::Cdc(file) => self.recorded.push((add_of(file), version, time)),
                Action::Add(add) if add.data_change && !has_recorded => self.whole.push((add, "insert", version, time)),
                Action::Remove(remove) if remove.data_change && !has_recorded => {
                    let file = AddCDCFile {
                        path: remove.path,
                        size: remove.size.unwrap_or_default(),
                        partition_values: remove.partition_values.unwrap_or_default(),
                        data_change: true,
                        tags: None,
                    };
                    let add = Add { deletion_vector: remove.deletion_vector, ..add_of(file) };
                    self.whole.push((add, "delete", version, time));
                }
                _ => {}
            }
        }
    }

    /// The table's columns, then those that say what happened when.
    pub fn schema(&self, columns: &StructType) -> StructType {
        let fields = columns.fields.iter().cloned().chain([change_type()]).chain(commit_columns());
        StructType::new(fields.collect())
    }

    /// Scans whose rows together are the changes.
    pub fn scans(&self, conf: Conf) -> Result<Vec<Scan>> {
        let versions = |all: &mut dyn Iterator<Item = u64>| -> Vec<ScalarValue> {
            all.map(|version| ScalarValue::Int64(i64::try_from(version).ok())).collect()
        };
        let times = |all: &mut dyn Iterator<Item = i64>| -> Vec<ScalarValue> {
            let micros =
                all.map(|ms| ScalarValue::TimestampMicrosecond(Some(ms.saturating_mul(1000)), Some("UTC".into())));
            micros.collect()
        };
        let [version, time] = commit_columns();
        let files: Vec<Add> = self.recorded.iter().map(|(add, ..)| add.clone()).collect();
        let constants = [
            (version.clone(), versions(&mut self.recorded.iter().map(|(_, version, _)| *version))),
            (time.clone(), times(&mut self.recorded.iter().map(|(_, _, time)| *time))),
        ];
        let recorded = scan_with_constants(&self.table, &files, &[change_type()], &constants, conf.clone())?;
        let files: Vec<Add> = self.whole.iter().map(|(add, ..)| add.clone()).collect();
        let kinds = self.whole.iter().map(|(_, kind, ..)| ScalarValue::Utf8(Some((*kind).to_string()))).collect();
        let constants = [
            (change_type(), kinds),
            (version, versions(&mut self.whole.iter().map(|(_, _, version, _)| *version))),
            (time, times(&mut self.whole.iter().map(|(_, _, _, time)| *time))),
        ];
        let whole = scan_with_constants(&self.table, &files, &[], &constants, conf)?;
        Ok(vec![recorded, whole])
    }
}

fn add_of(file: AddCDCFile) -> Add {
    Add {
        path: file.path,
        partition_values: file.partition_values,
        size: file.size,
        modification_time: 0,
        data_change: file.data_change,
        stats: None,
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}
