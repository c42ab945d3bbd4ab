//! What manifests say of a written file's columns: counts, sizes and bounds, by the columns' numbers.
use std::collections::{BTreeMap, HashSet};

use datafusion::common::ScalarValue;
use firesteel_functions::types::to_arrow;
use firesteel_plan::{DataType, StructType};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::statistics::Statistics;
use serde::{Deserialize, Serialize};

use super::bounds::{big_endian, bytes};

/// The columns of a file. Travels from the task that wrote it to the commit as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Metrics {
    pub sizes: BTreeMap<i32, i64>,
    pub values: BTreeMap<i32, i64>,
    pub nulls: BTreeMap<i32, i64>,
    pub nans: BTreeMap<i32, i64>,
    pub lower: BTreeMap<i32, Vec<u8>>,
    pub upper: BTreeMap<i32, Vec<u8>>,
    pub offsets: Vec<i64>,
}

/// The JSON text of a file's metrics. `not_a_number` names columns of floats that hold NaN.
pub(crate) fn of_file(metadata: &ParquetMetaData, schema: &StructType, not_a_number: &HashSet<String>) -> String {
    let mut metrics = Metrics::default();
    for (index, leaf) in metadata.file_metadata().schema_descr().columns().iter().enumerate() {
        let info = leaf.self_type();
        if !info.get_basic_info().has_id() {
            continue;
        }
        let id = info.get_basic_info().id();
        let chunks: Vec<_> = metadata.row_groups().iter().map(|group| group.column(index)).collect();
        metrics.sizes.insert(id, chunks.iter().map(|chunk| chunk.compressed_size()).sum());
        metrics.values.insert(id, chunks.iter().map(|chunk| chunk.num_values()).sum());
        let nulls: Option<u64> = chunks.iter().map(|chunk| chunk.statistics()?.null_count_opt()).sum();
        if let Some(nulls) = nulls.and_then(|nulls| i64::try_from(nulls).ok()) {
            metrics.nulls.insert(id, nulls);
        }
        // Elements of lists and maps have no bounds of their own, nor have columns below others here.
        let path = leaf.path().parts();
        let field = schema.fields.iter().find(|field| path.len() == 1 && field.name == path[0]);
        let Some(data_type) = field.map(|field| &field.data_type) else { continue };
        if matches!(data_type, DataType::Float | DataType::Double) {
            if not_a_number.contains(&path[0]) {
                continue;
            }
            metrics.nans.insert(id, 0);
        }
        if let Some((lower, upper)) = bounds(&chunks, data_type) {
            metrics.lower.insert(id, lower);
            metrics.upper.insert(id, upper);
        }
    }
    let start = |group: &parquet::file::metadata::RowGroupMetaData| group.file_offset();
    metrics.offsets = metadata.row_groups().iter().filter_map(start).collect();
    serde_json::to_string(&metrics).unwrap_or_default()
}

fn bounds(chunks: &[&ColumnChunkMetaData], data_type: &DataType) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut found: Option<(ScalarValue, ScalarValue)> = None;
    for chunk in chunks {
        let statistics = chunk.statistics()?;
        // A group of nulls has no bounds, and needs none.
        if statistics.null_count_opt() == u64::try_from(chunk.num_values()).ok() {
            continue;
        }
        let (low, high) = (scalar(statistics, data_type, false)?, scalar(statistics, data_type, true)?);
        found = Some(match found {
            None => (low, high),
            Some((a, b)) => (if low < a { low } else { a }, if high > b { high } else { b }),
        });
    }
    let (low, high) = found?;
    Some((bytes(&low)?, bytes(&high)?))
}

fn scalar(statistics: &Statistics, data_type: &DataType, is_max: bool) -> Option<ScalarValue> {
    macro_rules! bound {
        ($typed:expr) => {
            if is_max { $typed.max_opt()? } else { $typed.min_opt()? }
        };
    }
    let integer = |value: i64| -> Option<ScalarValue> {
        Some(match data_type {
            DataType::Integer => ScalarValue::Int32(Some(value.try_into().ok()?)),
            DataType::Date => ScalarValue::Date32(Some(value.try_into().ok()?)),
            DataType::Long => ScalarValue::Int64(Some(value)),
            DataType::Timestamp | DataType::TimestampNtz => ScalarValue::TimestampMicrosecond(Some(value), None),
            DataType::Decimal(..) => decimal(value.into(), data_type)?,
            _ => return None,
        })
    };
    match statistics {
        Statistics::Boolean(s) => Some(ScalarValue::Boolean(Some(*bound!(s)))),
        Statistics::Int32(s) => integer(i64::from(*bound!(s))),
        Statistics::Int64(s) => integer(*bound!(s)),
        Statistics::Float(s) => Some(ScalarValue::Float32(Some(*bound!(s)))),
        Statistics::Double(s) => Some(ScalarValue::Float64(Some(*bound!(s)))),
        Statistics::ByteArray(s) if data_type.is_string() => {
            Some(ScalarValue::Utf8(Some(bound!(s).as_utf8().ok()?.to_string())))
        }
        Statistics::FixedLenByteArray(s) if data_type.is_decimal() => decimal(big_endian(bound!(s).data())?, data_type),
        _ => None,
    }
}

fn decimal(value: i128, data_type: &DataType) -> Option<ScalarValue> {
    match to_arrow(data_type) {
        arrow::datatypes::DataType::Decimal128(precision, scale) => {
            Some(ScalarValue::Decimal128(Some(value), precision, scale))
        }
        _ => None,
    }
}
