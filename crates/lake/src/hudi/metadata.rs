//! What completed instants say of themselves: JSON in old tables, Avro in new ones.
use std::io::Cursor;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow_avro::reader::ReaderBuilder;
use bytes::Bytes;
use firesteel_plan::Result;

use super::table::damaged;

const REPLACED: &str = "partitionToReplaceFileIds";
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
}
