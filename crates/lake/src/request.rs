//! What callers ask of the lake.
use std::collections::BTreeMap;

use firesteel_plan::StructType;
use firesteel_plan::command::SaveMode;
use firesteel_storage::Storage;

use crate::conf::Conf;
use crate::options::SourceOptions;

/// A read of files.
#[derive(Debug, Clone, Default)]
pub struct ScanRequest {
    /// `parquet`, `csv`, …: short name, or the class name Spark knows it by.
    pub format: String,
    pub paths: Vec<String>,
    pub options: SourceOptions,
    /// The schema that the user or the catalog gives; without it, it is read from the files.
    pub user_schema: Option<StructType>,
    /// The partition columns of a catalog table, whose types are in `user_schema`. `None`: found in the directories.
    pub partition_columns: Option<Vec<String>>,
    /// The partitions of a catalog table whose catalog keeps them. `None`: found in the directories.
    pub partitions: Option<Vec<TablePartition>>,
    pub bucketing: Option<Bucketing>,
    pub conf: Conf,
    pub storage: Storage,
}

/// A partition as a catalog keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePartition {
    /// The values of the partition columns, as texts; `None` is the null partition.
    pub values: Vec<(String, Option<String>)>,
    /// Its directory, below the table's or anywhere else
    pub location: String,
}

/// How rows are spread over a fixed number of files. `sort_columns` orders rows within a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucketing {
    pub num_buckets: u32,
    pub columns: Vec<String>,
    pub sort_columns: Vec<String>,
}

/// A write of files below one directory.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    pub format: String,
    pub path: String,
    pub mode: SaveMode,
    /// Schema of the rows, partition columns included; columns are matched with the batches by position.
    pub schema: StructType,
    pub partition_by: Vec<String>,
    pub bucketing: Option<Bucketing>,
    pub options: SourceOptions,
    /// `INSERT OVERWRITE … PARTITION (p = 1)`: values of leading partition columns, in order; the overwrite replaces only
    /// what lies below them. `None` is the null partition.
    pub static_partitions: Vec<(String, Option<String>)>,
    /// Partitions of the table whose files are not where their values say.
    pub moved_partitions: Vec<TablePartition>,
    pub conf: Conf,
    pub storage: Storage,
}

/// What a committed write made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteSummary {
    pub rows: u64,
    pub bytes: u64,
    pub files: u64,
    /// The partitions that got rows, by partition column; sorted, without duplicates.
    pub partitions: Vec<BTreeMap<String, Option<String>>>,
}
