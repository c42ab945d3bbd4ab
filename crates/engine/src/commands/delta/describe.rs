//! DESCRIBE HISTORY, DESCRIBE DETAIL.
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, ListBuilder, MapBuilder, MapFieldNames, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use firesteel_functions::types::to_arrow_schema;
use firesteel_lake::delta::{Commit, commits};
use firesteel_plan::{DataType, Result, StructField, StructType};

use super::Found;
use crate::commands::Answer;
use crate::error::from_arrow;
use crate::execution::Execution;

type Map = Vec<(String, String)>;

fn texts() -> DataType {
    DataType::map(DataType::STRING, DataType::STRING, true)
}

fn answer(columns: Vec<(&str, DataType, ArrayRef)>) -> Result<Execution> {
    let field = |(name, data_type, _): &(&str, DataType, ArrayRef)| StructField::new(*name, data_type.clone(), true);
    let schema = StructType::new(columns.iter().map(field).collect());
    let arrow = Arc::new(to_arrow_schema(&schema));
    // Names of inner fields may be others in the builders.
    let arrays = columns.iter().zip(arrow.fields()).map(|((_, _, array), field)| cast(array, field.data_type()));
    let arrays = arrays.collect::<Result<Vec<_>, _>>().map_err(from_arrow)?;
    let batch = RecordBatch::try_new(Arc::clone(&arrow), arrays).map_err(from_arrow)?;
    Ok(Execution::of_batches(schema, arrow, vec![batch]))
}

fn maps<'a>(all: impl Iterator<Item = Option<&'a Map>>) -> Result<ArrayRef> {
    let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for map in all {
        for (key, value) in map.into_iter().flatten() {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(map.is_some()).map_err(from_arrow)?;
    }
    Ok(Arc::new(builder.finish()))
}

fn lists(all: &[Vec<String>]) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in all {
        builder.append_value(list.iter().map(Some));
    }
    Arc::new(builder.finish())
}

fn times(millis: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    let micros = millis.map(|ms| ms.map(|ms| ms.saturating_mul(1000)));
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

/// A value of the log as the text it is shown as.
fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

fn sorted(mut map: Map) -> Map {
    map.sort();
    map
}

fn metrics(commit: &Commit) -> Option<Map> {
    let object = commit.info.info.get("operationMetrics")?.as_object()?;
    Some(sorted(object.iter().map(|(key, value)| (key.clone(), text(value))).collect()))
}

pub async fn history(found: &Found, limit: Option<i64>) -> Answer {
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(0));
    let all = commits(&found.delta, limit).await?;
    let strings =
        |of: &dyn Fn(&Commit) -> Option<String>| -> ArrayRef { Arc::new(all.iter().map(of).collect::<StringArray>()) };
    let parameters: Vec<Option<Map>> = all
        .iter()
        .map(|commit| {
            let parameters = commit.info.operation_parameters.as_ref()?;
            Some(sorted(parameters.iter().map(|(key, value)| (key.clone(), text(value))).collect()))
        })
        .collect();
    let metrics: Vec<Option<Map>> = all.iter().map(metrics).collect();
    let long = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    let nothing = || -> ArrayRef { Arc::new(StringArray::new_null(all.len())) };
    let none = vec![None::<&Map>; all.len()];
    answer(vec![
        ("version", DataType::Long, Arc::new(all.iter().map(|c| long(Some(c.version))).collect::<Int64Array>())),
        ("timestamp", DataType::Timestamp, times(all.iter().map(|c| Some(c.timestamp_ms)))),
        ("userId", DataType::STRING, strings(&|c| c.info.user_id.clone())),
        ("userName", DataType::STRING, strings(&|c| c.info.user_name.clone())),
        ("operation", DataType::STRING, strings(&|c| c.info.operation.clone())),
        ("operationParameters", texts(), maps(parameters.iter().map(Option::as_ref))?),
        ("job", texts(), maps(none.iter().copied())?),
        ("notebook", texts(), maps(none.into_iter())?),
        ("clusterId", DataType::STRING, nothing()),
        (
            "readVersion",
            DataType::Long,
            Arc::new(all.iter().map(|c| long(c.info.read_version)).collect::<Int64Array>()),
        ),
        (
            "isolationLevel",
            DataType::STRING,
            strings(&|c| {
                let level = serde_json::to_value(c.info.isolation_level.as_ref()?).ok()?;
                Some(text(&level))
            }),
        ),
        (
            "isBlindAppend",
            DataType::Boolean,
            Arc::new(all.iter().map(|c| c.info.is_blind_append).collect::<BooleanArray>()),
        ),
        ("operationMetrics", texts(), maps(metrics.iter().map(Option::as_ref))?),
        ("userMetadata", DataType::STRING, strings(&|c| c.info.user_metadata.clone())),
        ("engineInfo", DataType::STRING, strings(&|c| c.info.engine_info.clone())),
    ])
}

pub fn detail(found: &Found) -> Answer {
    let (table, metadata) = (&found.delta, found.delta.metadata());
    let files = table.files()?;
    let bytes: i64 = files.iter().map(|add| add.size).sum();
    let changed = files.iter().map(|add| add.modification_time).max();
    let modified = changed.max(metadata.created_ms);
    let one = |value: Option<String>| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let long = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let int = |value: i32| -> ArrayRef { Arc::new(Int32Array::from(vec![value])) };
    let names = DataType::array(DataType::STRING, true);
    let properties: Map = metadata.configuration.clone().into_iter().collect();
    let name =
        found.table.as_ref().map(|t| format!("{}.{}.{}", firesteel_catalog::SESSION_CATALOG, t.id.database, t.id.name));
    let protocol = table.protocol();
    answer(vec![
        ("format", DataType::STRING, one(Some("delta".into()))),
        ("id", DataType::STRING, one(Some(metadata.id.clone()))),
        ("name", DataType::STRING, one(name)),
        ("description", DataType::STRING, one(metadata.description.clone())),
        ("location", DataType::STRING, one(Some(table.location().uri()))),
        ("createdAt", DataType::Timestamp, times([metadata.created_ms].into_iter())),
        ("lastModified", DataType::Timestamp, times([modified].into_iter())),
        ("partitionColumns", names.clone(), lists(std::slice::from_ref(&metadata.partition_columns))),
        ("clusteringColumns", names.clone(), lists(&[vec![]])),
        ("numFiles", DataType::Long, long(i64::try_from(files.len()).unwrap_or(i64::MAX))),
        ("sizeInBytes", DataType::Long, long(bytes)),
        ("properties", texts(), maps([Some(&properties)].into_iter())?),
        ("minReaderVersion", DataType::Integer, int(protocol.min_reader_version)),
        ("minWriterVersion", DataType::Integer, int(protocol.min_writer_version)),
        ("tableFeatures", names, lists(&[protocol.writer_feature_names()])),
    ])
}
