//! Metadata tables: what a table says of itself, as rows.
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Int32Array, Int32Builder, Int64Array, Int64Builder, ListBuilder, MapBuilder,
    RecordBatch, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{Fields, SchemaRef};
use arrow::record_batch::RecordBatchOptions;
use datafusion::catalog::{MemTable, TableProvider};
use datafusion::common::ScalarValue;
use firesteel_functions::types::{to_arrow_fields, to_arrow_schema};
use firesteel_plan::{DataType, Result, StructField, StructType};

use super::errors::broken;
use super::manifest::{Content, DataFile, Manifest};
use super::metadata::{IcebergVersion, Snapshot};
use super::partition::PartitionSpec;
use super::scan::{live_entries, located};
use super::table::IcebergTable;
use super::write::partition_scalar;
use crate::convert::with_names;

/// A metadata table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataTable {
    History,
    Snapshots,
    References,
    MetadataLog,
    Manifests,
    Files,
    DataFiles,
    DeleteFiles,
}

const NAMES: &[(&str, MetadataTable)] = &[
    ("history", MetadataTable::History),
    ("snapshots", MetadataTable::Snapshots),
    ("refs", MetadataTable::References),
    ("metadata_log_entries", MetadataTable::MetadataLog),
    ("manifests", MetadataTable::Manifests),
    ("files", MetadataTable::Files),
    ("data_files", MetadataTable::DataFiles),
    ("delete_files", MetadataTable::DeleteFiles),
];

/// The metadata table of a name, as in `table.snapshots`.
pub fn metadata_table(name: &str) -> Option<MetadataTable> {
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, table)| *table)
}

/// The rows of a metadata table, of one state of the table where it has to do with one.
pub async fn inspect(
    table: &IcebergTable,
    kind: MetadataTable,
    version: &IcebergVersion,
) -> Result<(StructType, Arc<dyn TableProvider>)> {
    let columns = match kind {
        MetadataTable::History => history(table)?,
        MetadataTable::Snapshots => snapshots(&table.metadata().snapshots()),
        MetadataTable::References => references(table),
        MetadataTable::MetadataLog => metadata_log(table),
        MetadataTable::Manifests => manifest_columns(&manifests_of(table, version).await?),
        MetadataTable::Files | MetadataTable::DataFiles | MetadataTable::DeleteFiles => {
            file_columns(table, &files_of(table, kind, version).await?)?
        }
    };
    let schema = StructType::new(columns.iter().map(|(field, _)| field.clone()).collect());
    let arrow: SchemaRef = Arc::new(to_arrow_schema(&schema));
    let rows = columns.first().map_or(0, |(_, array)| array.len());
    let arrays = columns.iter().zip(arrow.fields()).map(|((_, array), field)| with_names(array, field.data_type()));
    let arrays = arrays.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| broken("a metadata table", e))?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(&arrow), arrays, &options);
    let batch = batch.map_err(|e| broken("a metadata table", e))?;
    let provider = MemTable::try_new(arrow, vec![vec![batch]]).map_err(|e| broken("a metadata table", e))?;
    Ok((schema, Arc::new(provider)))
}

type Columns = Vec<(StructField, ArrayRef)>;

fn column(name: &str, data_type: DataType, array: ArrayRef) -> (StructField, ArrayRef) {
    (StructField::new(name, data_type, true), array)
}

fn longs(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> (StructField, ArrayRef) {
    column(name, DataType::Long, Arc::new(values.into_iter().collect::<Int64Array>()))
}

fn ints(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> (StructField, ArrayRef) {
    let narrow = |value: Option<i64>| value.and_then(|value| i32::try_from(value).ok());
    column(name, DataType::Integer, Arc::new(values.into_iter().map(narrow).collect::<Int32Array>()))
}

fn texts<T: AsRef<str>>(name: &str, values: impl IntoIterator<Item = Option<T>>) -> (StructField, ArrayRef) {
    column(name, DataType::STRING, Arc::new(values.into_iter().collect::<StringArray>()))
}

/// Milliseconds as moments.
fn times(name: &str, values: impl IntoIterator<Item = i64>) -> (StructField, ArrayRef) {
    let micros = values.into_iter().map(|millis| millis.saturating_mul(1000));
    let array = TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC");
    column(name, DataType::Timestamp, Arc::new(array))
}

fn history(table: &IcebergTable) -> Result<Columns> {
    let metadata = table.metadata();
    let snapshots = metadata.snapshots();
    let parent = |id: i64| snapshots.iter().find(|s| s.id == id).and_then(|s| s.parent);
    let mut ancestors = vec![];
    let mut next = metadata.current()?.map(|snapshot| snapshot.id);
    while let Some(id) = next.filter(|id| !ancestors.contains(id)) {
        ancestors.push(id);
        next = parent(id);
    }
    let log = metadata.log();
    let flags: BooleanArray = log.iter().map(|(_, id)| Some(ancestors.contains(id))).collect();
    Ok(vec![
        times("made_current_at", log.iter().map(|(time, _)| *time)),
        longs("snapshot_id", log.iter().map(|(_, id)| Some(*id))),
        longs("parent_id", log.iter().map(|(_, id)| parent(*id))),
        column("is_current_ancestor", DataType::Boolean, Arc::new(flags)),
    ])
}

fn snapshots(all: &[Snapshot]) -> Columns {
    let mut summaries = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for snapshot in all {
        for (key, value) in snapshot.summary.iter().filter(|(key, _)| *key != "operation") {
            summaries.keys().append_value(key);
            summaries.values().append_value(value);
        }
        // Keys and values were appended in pairs.
        let _ = summaries.append(true);
    }
    let map = DataType::map(DataType::STRING, DataType::STRING, true);
    vec![
        times("committed_at", all.iter().map(|s| s.timestamp_ms)),
        longs("snapshot_id", all.iter().map(|s| Some(s.id))),
        longs("parent_id", all.iter().map(|s| s.parent)),
        texts("operation", all.iter().map(|s| s.summary.get("operation"))),
        texts("manifest_list", all.iter().map(|s| s.manifest_list.as_ref())),
        column("summary", map, Arc::new(summaries.finish())),
    ]
}

fn references(table: &IcebergTable) -> Columns {
    let all = table.metadata().references();
    let number = |name: &'static str| {
        all.iter().map(move |r| r.json.get(name).and_then(serde_json::Value::as_i64)).collect::<Vec<_>>()
    };
    vec![
        texts("name", all.iter().map(|r| Some(&r.name))),
        texts("type", all.iter().map(|r| Some(if r.is_branch { "BRANCH" } else { "TAG" }))),
        longs("snapshot_id", all.iter().map(|r| Some(r.snapshot))),
        longs("max_reference_age_in_ms", number("max-ref-age-ms")),
        ints("min_snapshots_to_keep", number("min-snapshots-to-keep")),
        longs("max_snapshot_age_in_ms", number("max-snapshot-age-ms")),
    ]
}

fn metadata_log(table: &IcebergTable) -> Columns {
    let metadata = table.metadata();
    let mut all = metadata.metadata_log();
    all.push((metadata.last_updated_ms(), table.metadata_file().to_string()));
    let log = metadata.log();
    let snapshots = metadata.snapshots();
    let latest = |time: i64| {
        let (_, id) = log.iter().rfind(|(at, _)| *at <= time)?;
        snapshots.iter().find(|snapshot| snapshot.id == *id)
    };
    vec![
        times("timestamp", all.iter().map(|(time, _)| *time)),
        texts("file", all.iter().map(|(_, file)| Some(file))),
        longs("latest_snapshot_id", all.iter().map(|(time, _)| latest(*time).map(|s| s.id))),
        ints("latest_schema_id", all.iter().map(|(time, _)| latest(*time).and_then(|s| s.schema_id))),
        longs("latest_sequence_number", all.iter().map(|(time, _)| latest(*time).map(|s| s.sequence))),
    ]
}

async fn manifests_of(table: &IcebergTable, version: &IcebergVersion) -> Result<Vec<Manifest>> {
    match table.at(version)?.0 {
        Some(snapshot) => located(table, &snapshot).await,
        None => Ok(vec![]),
    }
}

fn manifest_columns(all: &[Manifest]) -> Columns {
    let counts = |index: usize, of_deletes: bool| {
        let count = move |manifest: &Manifest| match manifest.holds_deletes == of_deletes {
            true => manifest.files[index],
            false => Some(0),
        };
        all.iter().map(count).collect::<Vec<_>>()
    };
    let mut columns = vec![
        ints("content", all.iter().map(|m| Some(i64::from(m.holds_deletes)))),
        texts("path", all.iter().map(|m| Some(&m.path))),
        longs("length", all.iter().map(|m| Some(m.length))),
        ints("partition_spec_id", all.iter().map(|m| Some(m.spec_id))),
        longs("added_snapshot_id", all.iter().map(|m| Some(m.snapshot))),
    ];
    for (kind, of_deletes) in [("data", false), ("delete", true)] {
        for (index, what) in ["added", "existing", "deleted"].into_iter().enumerate() {
            columns.push(ints(&format!("{what}_{kind}_files_count"), counts(index, of_deletes)));
        }
    }
    columns
}

async fn files_of(table: &IcebergTable, kind: MetadataTable, version: &IcebergVersion) -> Result<Vec<DataFile>> {
    let Some(snapshot) = table.at(version)?.0 else { return Ok(vec![]) };
    let wanted = |file: &DataFile| match kind {
        MetadataTable::DataFiles => file.content == Content::Data,
        MetadataTable::DeleteFiles => file.content != Content::Data,
        _ => true,
    };
    let live = live_entries(table, &snapshot).await?;
    Ok(live.into_iter().map(|entry| entry.file).filter(wanted).collect())
}

fn file_columns(table: &IcebergTable, all: &[DataFile]) -> Result<Columns> {
    let count = |count: u64| i64::try_from(count).ok();
    let mut columns = vec![
        ints("content", all.iter().map(|f| Some(f.content.number()))),
        texts("file_path", all.iter().map(|f| Some(&f.path))),
        texts("file_format", all.iter().map(|f| Some(f.format.to_ascii_uppercase()))),
        ints("spec_id", all.iter().map(|f| Some(f.spec_id))),
    ];
    columns.extend(partition_column(table, all)?);
    columns.push(longs("record_count", all.iter().map(|f| count(f.rows))));
    columns.push(longs("file_size_in_bytes", all.iter().map(|f| count(f.bytes))));
    let counts: [(&str, fn(&DataFile) -> &[(i32, i64)]); 4] = [
        ("column_sizes", |f| &f.column_sizes),
        ("value_counts", |f| &f.value_counts),
        ("null_value_counts", |f| &f.null_counts),
        ("nan_value_counts", |f| &f.nan_counts),
    ];
    for (name, of) in counts {
        let mut map = MapBuilder::new(None, Int32Builder::new(), Int64Builder::new());
        for file in all {
            for (id, count) in of(file) {
                map.keys().append_value(*id);
                map.values().append_value(*count);
            }
            // Keys and values were appended in pairs.
            let _ = map.append(!of(file).is_empty());
        }
        columns.push(column(name, DataType::map(DataType::Integer, DataType::Long, true), Arc::new(map.finish())));
    }
    let bounds: [(&str, fn(&DataFile) -> &[(i32, Vec<u8>)]); 2] =
        [("lower_bounds", |f| &f.lower_bounds), ("upper_bounds", |f| &f.upper_bounds)];
    for (name, of) in bounds {
        let mut map = MapBuilder::new(None, Int32Builder::new(), BinaryBuilder::new());
        for file in all {
            for (id, bytes) in of(file) {
                map.keys().append_value(*id);
                map.values().append_value(bytes);
            }
            // Keys and values were appended in pairs.
            let _ = map.append(!of(file).is_empty());
        }
        columns.push(column(name, DataType::map(DataType::Integer, DataType::Binary, true), Arc::new(map.finish())));
    }
    let mut offsets = ListBuilder::new(Int64Builder::new());
    let mut ids = ListBuilder::new(Int32Builder::new());
    for file in all {
        file.split_offsets.iter().for_each(|offset| offsets.values().append_value(*offset));
        offsets.append(!file.split_offsets.is_empty());
        file.equality_ids.iter().for_each(|id| ids.values().append_value(*id));
        ids.append(!file.equality_ids.is_empty());
    }
    columns.push(column("split_offsets", DataType::array(DataType::Long, true), Arc::new(offsets.finish())));
    columns.push(column("equality_ids", DataType::array(DataType::Integer, true), Arc::new(ids.finish())));
    columns.push(ints("sort_order_id", all.iter().map(|f| f.sort_order)));
    Ok(columns)
}

/// The partition values of files, as a struct with the fields of the table's partitioning; those of files that were
/// written with another one are NULL.
fn partition_column(table: &IcebergTable, all: &[DataFile]) -> Result<Option<(StructField, ArrayRef)>> {
    let (spec, schema): (PartitionSpec, StructType) = (table.metadata().spec()?, table.metadata().schema()?);
    if spec.fields.is_empty() {
        return Ok(None);
    }
    let types = spec.types(&schema);
    let fields = spec
        .fields
        .iter()
        .zip(types)
        .map(|(field, data_type)| StructField::new(&field.name, data_type.unwrap_or(DataType::STRING), true));
    let fields = StructType::new(fields.collect());
    let arrow: Fields = to_arrow_fields(&fields);
    let mut arrays: Vec<ArrayRef> = vec![];
    for (index, field) in fields.fields.iter().enumerate() {
        let null = ScalarValue::try_from(arrow[index].data_type()).map_err(|e| broken("a partition", e))?;
        let value = |file: &DataFile| {
            let known = file.partition.get(index).filter(|_| file.spec_id == spec.id);
            known.and_then(|(_, value)| partition_scalar(value, &field.data_type)).unwrap_or_else(|| null.clone())
        };
        arrays.push(match all.is_empty() {
            true => new_null_array(arrow[index].data_type(), 0),
            false => ScalarValue::iter_to_array(all.iter().map(value)).map_err(|e| broken("a partition", e))?,
        });
    }
    let array = StructArray::try_new(arrow, arrays, None).map_err(|e| broken("a partition", e))?;
    Ok(Some(column("partition", DataType::Struct(fields), Arc::new(array))))
}
