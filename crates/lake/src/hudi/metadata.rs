//! What completed instants say of themselves: JSON in old tables, Avro in new ones.
use std::io::Cursor;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow_avro::reader::ReaderBuilder;
use bytes::Bytes;
use firesteel_plan::Result;

use super::table::damaged;

const REPLACED: &str = "partitionToReplaceFileIds";
const WRITTEN: &str = "partitionToWriteStats";
const PATH: &str = "path";
const EXTRA: &str = "extraMetadata";
const SCHEMA: &str = "schema";
/// Columns with numbers, which Hudi keeps once they were renamed or moved.
const EVOLVED: &str = "latest_schema";
/// The writer of an entry of ours that is under way.
pub(super) const WRITER: &str = "firesteel.writer";
const RETAINED: &str = "earliestCommitToRetain";
const AVRO_MAGIC: &[u8] = b"Obj\x01";

/// Partition and group of the files that a write has put others in place of.
pub(super) fn replaced(bytes: &Bytes) -> Result<Vec<(String, String)>> {
    if bytes.starts_with(AVRO_MAGIC) {
        return Ok(batches(bytes)?.iter().flat_map(replaced_of).collect());
    }
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    let Some(partitions) = json.get(REPLACED).and_then(|value| value.as_object()) else { return Ok(vec![]) };
    let groups = partitions.iter().flat_map(|(partition, groups)| {
        let groups = groups.as_array().into_iter().flatten().filter_map(|group| group.as_str());
        groups.map(|group| (partition.clone(), group.to_string()))
    });
    Ok(groups.collect())
}

/// The Avro schema of the records that a write has left, without Hudi's own columns.
pub(super) fn schema(bytes: &Bytes) -> Result<Option<String>> {
    extra(bytes, SCHEMA)
}

/// Who writes, where a write of ours says it.
pub(super) fn writer(bytes: &Bytes) -> Result<Option<String>> {
    extra(bytes, WRITER)
}

/// Whether columns were renamed or moved before a write.
pub(super) fn is_evolved(bytes: &Bytes) -> Result<bool> {
    Ok(extra(bytes, EVOLVED)?.is_some())
}

fn extra(bytes: &Bytes, key: &str) -> Result<Option<String>> {
    let found = match bytes.starts_with(AVRO_MAGIC) {
        true => batches(bytes)?.iter().find_map(|batch| entry(batch, EXTRA, key)),
        false => {
            let json: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
            json.get(EXTRA).and_then(|extra| extra.get(key)).and_then(|value| value.as_str()).map(str::to_string)
        }
    };
    Ok(found.filter(|text| !text.is_empty()))
}

/// The names of the files that a write has left.
pub(super) fn written(bytes: &Bytes) -> Result<Vec<String>> {
    if bytes.starts_with(AVRO_MAGIC) {
        return Ok(batches(bytes)?.iter().flat_map(|batch| written_of(batch).unwrap_or_default()).collect());
    }
    let json: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    let partitions = json.get(WRITTEN).and_then(|value| value.as_object()).into_iter().flatten();
    let files = partitions.flat_map(|(_, files)| files.as_array().into_iter().flatten());
    Ok(files.filter_map(|file| file.get(PATH)?.as_str().map(name)).collect())
}

/// Of all partitions: lists of files, of which each has a path.
fn written_of(batch: &RecordBatch) -> Option<Vec<String>> {
    let lists = batch.column_by_name(WRITTEN)?.as_map_opt()?.values().as_list_opt::<i32>()?;
    let files = lists.values().as_struct_opt()?;
    let paths = files.column_by_name(PATH)?.as_string_opt::<i32>()?;
    Some(paths.iter().flatten().map(name).collect())
}

fn name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_string()
}

/// A value in a column that is a map of texts.
fn entry(batch: &RecordBatch, column: &str, key: &str) -> Option<String> {
    let map = batch.column_by_name(column)?.as_map_opt()?;
    let (keys, values) = (map.keys().as_string_opt::<i32>()?, map.values().as_string_opt::<i32>()?);
    let place = keys.iter().position(|known| known == Some(key))?;
    values.is_valid(place).then(|| values.value(place).to_string())
}

fn replaced_of(batch: &RecordBatch) -> Vec<(String, String)> {
    let mut found = vec![];
    let Some(map) = batch.column_by_name(REPLACED).and_then(|column| column.as_map_opt()) else { return found };
    for row in (0..map.len()).filter(|row| map.is_valid(*row)) {
        let entries = map.value(row);
        let (partitions, groups) = (entries.column(0), entries.column(1));
        let (Some(partitions), Some(groups)) = (partitions.as_string_opt::<i32>(), groups.as_list_opt::<i32>()) else {
            continue;
        };
        for entry in 0..entries.len() {
            if let Some(groups) = groups.value(entry).as_string_opt::<i32>() {
                found.extend(groups.iter().flatten().map(|group| (partitions.value(entry).into(), group.into())));
            }
        }
    }
    found
}

/// From which instant on a clean has left all slices.
pub(super) fn retained(bytes: &Bytes) -> Result<Option<String>> {
    let text = |batch: &RecordBatch| {
        let column = batch.column_by_name(RETAINED).filter(|column| column.data_type() == &DataType::Utf8)?;
        let column = column.as_string::<i32>();
        (column.len() == 1 && column.is_valid(0)).then(|| column.value(0).to_string())
    };
    Ok(batches(bytes)?.iter().find_map(text).filter(|instant| !instant.is_empty()))
}

fn batches(bytes: &Bytes) -> Result<Vec<RecordBatch>> {
    let reader = ReaderBuilder::new().build(Cursor::new(bytes.clone())).map_err(damaged)?;
    reader.map(|batch| batch.map_err(damaged)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_groups_of_json() {
        let text = r#"{"partitionToReplaceFileIds": {"p0": ["a-0", "b-0"], "": ["c-0"]}, "compacted": false}"#;
        let mut found = replaced(&Bytes::from(text)).unwrap();
        found.sort();
        let pair = |p: &str, g: &str| (p.to_string(), g.to_string());
        assert_eq!(found, [pair("", "c-0"), pair("p0", "a-0"), pair("p0", "b-0")]);
        assert!(replaced(&Bytes::from("{}")).unwrap().is_empty());
        assert!(replaced(&Bytes::from("not")).is_err());
    }

    #[test]
    fn what_a_write_of_json_left() {
        let text = r#"{"partitionToWriteStats": {"p": [{"path": "p/.a-0_1.log.1_0-1-1"}, {"path": "p/b.parquet"}]},
            "extraMetadata": {"schema": "{}"}}"#;
        assert_eq!(written(&Bytes::from(text)).unwrap(), [".a-0_1.log.1_0-1-1", "b.parquet"]);
        assert_eq!(schema(&Bytes::from(text)).unwrap().unwrap(), "{}");
        assert_eq!(schema(&Bytes::from(r#"{"extraMetadata": {"schema": ""}}"#)).unwrap(), None);
        assert!(is_evolved(&Bytes::from(r#"{"extraMetadata": {"latest_schema": "{}"}}"#)).unwrap());
        assert!(!is_evolved(&Bytes::from(text)).unwrap());
    }
}
