//! What a manifest list says of the partition values of a manifest: bounds, and whether there are NULLs.
use datafusion::common::ScalarValue;
use firesteel_plan::StructType;

use super::avro::Value;
use super::bounds::bytes;
use super::manifest::Entry;
use super::partition::PartitionSpec;
use super::write::partition_scalar;

pub(super) fn of_entries(entries: &[Entry], spec: &PartitionSpec, schema: &StructType) -> Value {
    let of_field = |(index, data_type): (usize, Option<firesteel_plan::DataType>)| {
        let values: Vec<Option<ScalarValue>> = entries
            .iter()
            .map(|entry| {
                let (_, value) = entry.file.partition.get(index)?;
                partition_scalar(value, data_type.as_ref()?).filter(|value| !value.is_null())
            })
            .collect();
        let bound = |is_max: bool| {
            let ordered = values.iter().flatten().reduce(|a, b| match (a < b, is_max) {
                (true, true) | (false, false) => b,
                _ => a,
            });
            ordered.and_then(bytes).map_or(Value::Null, Value::Bytes)
        };
        let is_nan = |value: &ScalarValue| match value {
            ScalarValue::Float32(Some(v)) => v.is_nan(),
            ScalarValue::Float64(Some(v)) => v.is_nan(),
            _ => false,
        };
        let has_nan = values.iter().flatten().any(is_nan);
        Value::record([
            ("contains_null", Value::Boolean(values.iter().any(Option::is_none))),
            ("contains_nan", Value::Boolean(has_nan)),
            ("lower_bound", if has_nan { Value::Null } else { bound(false) }),
            ("upper_bound", if has_nan { Value::Null } else { bound(true) }),
        ])
    };
    Value::Array(spec.types(schema).into_iter().enumerate().map(of_field).collect())
}
