//! The columns of a table as its writes tell them: an Avro schema.
use std::io::Cursor;

use arrow::datatypes::SchemaRef;
use arrow_avro::reader::ReaderBuilder;
use firesteel_functions::types::from_arrow_fields;
use firesteel_plan::{DataType, Result, StructField, StructType};

use super::COMMIT_TIME;
use super::logs::avro_header;
use super::table::damaged;

/// Hudi's own columns, which come first.
pub(super) const OWN: [&str; 5] =
    [COMMIT_TIME, "_hoodie_commit_seqno", "_hoodie_record_key", "_hoodie_partition_path", "_hoodie_file_name"];

/// The Arrow schema of records with this Avro schema.
pub(super) fn arrow(schema: &str) -> Result<SchemaRef> {
    let reader = ReaderBuilder::new().build(Cursor::new(avro_header(schema))).map_err(damaged)?;
    Ok(reader.schema())
}

/// The columns of records with this Avro schema, after Hudi's own.
pub(super) fn columns(schema: &str) -> Result<StructType> {
    let columns = from_arrow_fields(arrow(schema)?.fields())?;
    let is_own = |field: &&StructField| OWN.contains(&field.name.as_str());
    let rest = columns.fields.iter().filter(|field| !is_own(field)).cloned();
    let own = OWN.into_iter().map(|name| StructField::new(name, DataType::STRING, true));
    Ok(StructType::new(own.chain(rest).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_avro() {
        let text = r#"{"type":"record","name":"r","namespace":"hoodie.t","fields":[{"name":"id","type":"long"},
            {"name":"price","type":["null",{"type":"fixed","name":"f","size":5,"logicalType":"decimal","precision":10,"scale":2}]},
            {"name":"at","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null},
            {"name":"tags","type":{"type":"array","items":["null","string"]}}]}"#;
        let columns = columns(text).unwrap();
        assert_eq!(columns.fields.iter().take(5).map(|field| field.name.as_str()).collect::<Vec<_>>(), OWN);
        let types: Vec<_> = columns.fields.iter().skip(5).map(|field| field.data_type.simple_string()).collect();
        assert_eq!(types, ["bigint", "decimal(10,2)", "timestamp", "array<string>"]);
        assert!(super::columns("{").is_err());
    }
}
