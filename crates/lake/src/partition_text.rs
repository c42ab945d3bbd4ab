//! Partition values as the text of a directory name.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type, TimestampMicrosecondType};
use arrow::util::display::FormatOptions;
use firesteel_functions::context::time_zone_or_utc;
use firesteel_functions::datetime::text::{format_timestamp, format_timestamp_ntz};
use firesteel_functions::java_number;
use firesteel_plan::{DataType, Result, SparkError};

/// The text of each value, as Spark's cast to string; `None` for null.
pub(crate) fn partition_texts(array: &ArrayRef, data_type: &DataType, zone: &str) -> Result<Vec<Option<String>>> {
    let rows = 0..array.len();
    let valid = |row: usize| array.is_valid(row);
    Ok(match array.data_type() {
        ArrowType::Float32 => {
            let values = array.as_primitive::<Float32Type>();
            rows.map(|row| valid(row).then(|| java_number::float(values.value(row)))).collect()
        }
        ArrowType::Float64 => {
            let values = array.as_primitive::<Float64Type>();
            rows.map(|row| valid(row).then(|| java_number::double(values.value(row)))).collect()
        }
        ArrowType::Timestamp(_, zoned) => {
            let values = array.as_primitive::<TimestampMicrosecondType>();
            let zone = zoned.as_ref().map(|_| time_zone_or_utc(zone));
            let text =
                |micros| zone.as_ref().map_or_else(|| format_timestamp_ntz(micros), |z| format_timestamp(micros, z));
            rows.map(|row| valid(row).then(|| text(values.value(row)))).collect()
        }
        ArrowType::Binary => {
            let values = array.as_binary::<i32>();
            rows.map(|row| valid(row).then(|| String::from_utf8_lossy(values.value(row)).into_owned())).collect()
        }
        _ => {
            let options = CastOptions { safe: false, format_options: FormatOptions::default() };
            let text = cast_with_options(array, &ArrowType::Utf8, &options).map_err(|e| {
                let shown = data_type.sql();
                SparkError::internal(format!("a {shown} value has no partition directory")).with_cause(e)
            })?;
            let text = text.as_string::<i32>();
            rows.map(|row| valid(row).then(|| text.value(row).to_string())).collect()
        }
    })
}
