//! JSON values as variants.
use arrow::array::BinaryBuilder;
use arrow::array::builder::NullBufferBuilder;
use parquet_variant::VariantBuilder;
use parquet_variant_json::append_json;

use super::tape::{Node, Tape};

/// Appends the value at `index`. False: nothing was appended.
pub(super) fn append(
    tape: &Tape,
    index: usize,
    source: &str,
    value: &mut BinaryBuilder,
    metadata: &mut BinaryBuilder,
    nulls: &mut NullBufferBuilder,
) -> bool {
    let text = tape.source(index, source);
    let parsed = match tape.node(index) {
        Node::String { .. } => Ok(serde_json::Value::String(text.to_string())),
        _ => serde_json::from_str(text),
    };
    let Ok(json) = parsed else { return false };
    let mut builder = VariantBuilder::new();
    if append_json(&json, &mut builder).is_err() {
        return false;
    }
    let (metadata_bytes, value_bytes) = builder.finish();
    value.append_value(value_bytes);
    metadata.append_value(metadata_bytes);
    nulls.append_non_null();
    true
}
