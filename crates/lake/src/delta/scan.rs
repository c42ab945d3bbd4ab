//! A version of a table as a [`Scan`].
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use deltalake_core::kernel::Add;
use firesteel_functions::context::time_zone_or_utc;
use firesteel_plan::{Result, SparkError, StructField, StructType};
use firesteel_storage::FileStatus;

use super::deletions::Deletions;
use super::skipping::Skipping;
use super::table::DeltaTable;
use crate::conf::Conf;
use crate::files::cast_partition_value;
use crate::options::SourceOptions;
use crate::request::ScanRequest;
use crate::scan::{Scan, ScanFile, TableLog};

/// What is read of a table.
#[derive(Debug, Clone)]
pub struct DeltaScan {
    pub table: DeltaTable,
    /// The files to read; those of the version otherwise.
    pub files: Option<Vec<Add>>,
    pub conf: Conf,
}

/// What a [`Scan`] knows of its files from the log.
#[derive(Debug, Clone)]
pub struct DeltaFiles {
    pub version: u64,
    pub(crate) skipping: Arc<Skipping>,
    pub(crate) deletions: Deletions,
    /// The columns as the files name them, where that is not as the table does.
    pub(crate) stored: Option<StructType>,
}

impl DeltaScan {
    /// Files and schema, ready to be put into a plan.
    pub fn scan(self) -> Result<Scan> {
        let files = match self.files {
            Some(files) => files,
            None => self.table.files()?,
        };
        scan_with_constants(&self.table, &files, &[], &[], self.conf)
    }
}

/// Files of the log as a scan of the table's columns, then `extra` columns that these files hold besides, then
/// `constants`: columns with a value for each file.
pub fn scan_with_constants(
    table: &DeltaTable,
    files: &[Add],
    extra: &[StructField],
    constants: &[(StructField, Vec<ScalarValue>)],
    conf: Conf,
) -> Result<Scan> {
    let metadata = table.metadata();
    let partition_fields: Vec<StructField> = metadata
        .partition_columns
        .iter()
        .map(|name| {
            let field = metadata.schema.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            field.cloned().ok_or_else(|| SparkError::internal(format!("the table has no column {name}")))
        })
        .collect::<Result<_>>()?;
    let zone = time_zone_or_utc("UTC");
    let mut scan_files = Vec::with_capacity(files.len());
    for (index, add) in files.iter().enumerate() {
        let mut values = partition_fields
            .iter()
            .map(|field| {
                let text = partition_value(&add.partition_values, &metadata.stored_name(&field.name));
                cast_partition_value(&field.name, text, &field.data_type, &zone)
            })
            .collect::<Result<Vec<_>>>()?;
        values.extend(constants.iter().map(|(_, column)| column[index].clone()));
        scan_files.push(ScanFile { status: status(table, add)?, partition_values: values });
    }
    let constant_fields: Vec<StructField> = constants.iter().map(|(field, _)| field.clone()).collect();
    let all = metadata.schema.fields.iter().chain(extra).chain(&constant_fields);
    let schema = StructType::new(all.cloned().collect());
    let partitions = StructType::new(partition_fields.into_iter().chain(constant_fields).collect());
    let request = ScanRequest {
        format: "parquet".into(),
        paths: vec![table.location().to_string()],
        options: SourceOptions::default(),
        user_schema: Some(schema.as_nullable()),
        conf,
        storage: table.storage().clone(),
        ..ScanRequest::default()
    };
    let stored = metadata.stored_schema(&schema);
    let names = metadata.schema.fields.iter().filter(|_| stored.is_some());
    let names = names.map(|field| (field.name.clone(), metadata.stored_name(&field.name))).collect();
    let skipping = Skipping::new(files, names);
    let log_store = Arc::clone(table.log_store());
    let deletions = Deletions::new(log_store, table.location().clone(), files, |file| skipping.rows(file))?;
    let delta = DeltaFiles { version: table.version(), skipping: Arc::new(skipping), deletions, stored };
    let root = FileStatus { location: table.location().clone(), is_directory: true, size: 0, modified_us: 0 };
    Scan::of_files(
        request,
        schema.as_nullable(),
        partitions.as_nullable(),
        vec![root],
        scan_files,
        Some(TableLog::Delta(delta)),
    )
}

/// The text of a partition value; the empty text is null.
pub(super) fn partition_value<'a>(values: &'a HashMap<String, Option<String>>, column: &str) -> Option<&'a str> {
    let exact = values.get(column);
    let found = exact.or_else(|| values.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, v)| v));
    found.and_then(|value| value.as_deref()).filter(|text| !text.is_empty())
}

fn status(table: &DeltaTable, add: &Add) -> Result<FileStatus> {
    Ok(FileStatus {
        location: table.file_location(&add.path)?,
        is_directory: false,
        size: add.size.max(0).unsigned_abs(),
        modified_us: add.modification_time.saturating_mul(1000),
    })
}
