//! The hidden `_metadata` column. It is carried as one more partition column, whose value is a struct per split.
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray, TimestampMicrosecondArray};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use firesteel_functions::types::to_arrow;
use firesteel_plan::{DataType, StructField, StructType};
use firesteel_storage::FileStatus;

const NAME: &str = "_metadata";

/// The column for a table of this schema.
pub(super) fn field(schema: &StructType) -> StructField {
    let mut name = NAME.to_string();
    while schema.fields.iter().any(|f| f.name.eq_ignore_ascii_case(&name)) {
        name.insert(0, '_');
    }
    StructField::new(name, data_type(), false)
}

fn data_type() -> DataType {
    let not_null = |name: &str, data_type| StructField::new(name, data_type, false);
    DataType::structure(vec![
        not_null("file_path", DataType::STRING),
        not_null("file_name", DataType::STRING),
        not_null("file_size", DataType::Long),
        not_null("file_block_start", DataType::Long),
        not_null("file_block_length", DataType::Long),
        not_null("file_modification_time", DataType::Timestamp),
    ])
}

/// The value for the part `start..start + length` of a file.
pub(super) fn value(file: &FileStatus, start: u64, length: u64) -> ScalarValue {
    let long = |value: u64| Arc::new(Int64Array::from(vec![i64::try_from(value).unwrap_or(i64::MAX)])) as ArrayRef;
    let text = |value: String| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    // Hadoop keeps whole milliseconds.
    let modified = TimestampMicrosecondArray::from(vec![file.modified_us / 1000 * 1000]).with_timezone("UTC");
    let ArrowType::Struct(fields) = to_arrow(&data_type()) else { return ScalarValue::Null };
    let columns = vec![
        text(file.location.uri()),
        text(file.location.encoded_name()),
        long(file.size),
        long(start),
        long(length),
        Arc::new(modified) as ArrayRef,
    ];
    ScalarValue::Struct(Arc::new(StructArray::new(fields, columns, None)))
}
