//! KLL sketches of BIGINT, FLOAT and DOUBLE values: approximate quantiles and ranks in little space.
//!
//! - [`aggregates`]: `kll_sketch_agg_…`, `kll_merge_agg_…`
//! - [`scalars`]: merging two sketches, their quantiles, ranks, counts and summaries
use arrow::array::{ArrayRef, AsArray, Float32Array, Float64Array, Int64Array};
use arrow::datatypes::{DataType as ArrowType, Float32Type, Float64Type, Int64Type};
use datasketches::kll::{KllFloat, KllSketch, KllValue};
use firesteel_plan::{DataType, Result, SparkError};

use super::accumulate::Value;
use crate::quote;
use crate::scalar::from_arrow;

mod aggregates;
mod scalars;
mod summary;

pub use aggregates::FUNCTIONS as AGGREGATES;
pub use scalars::FUNCTIONS as SCALARS;

/// Bytes of a sketch before its levels.
const PREAMBLE: usize = 20;

/// A type of value that sketches are made of.
trait Item: KllValue + Ord + Send + Sync + 'static {
    /// What DataSketches calls a sketch of these.
    const SKETCH: &'static str;
    const WIDTH: usize;

    fn data_type() -> DataType;
    /// `None` for values that sketches leave out.
    fn of(value: &Value<'_>) -> Option<Self>;
    /// The first value of a column of the item's type; `None` where it is NULL.
    fn list(values: &ArrayRef) -> Result<Vec<Option<Self>>>;
    fn column(values: Vec<Option<Self>>) -> ArrayRef;
    fn shown(&self) -> String;
}

fn cast(values: &ArrayRef, to: &ArrowType) -> Result<ArrayRef> {
    arrow::compute::cast(values, to).map_err(from_arrow)
}

impl Item for i64 {
    const SKETCH: &'static str = "KllLongsSketch";
    const WIDTH: usize = 8;

    fn data_type() -> DataType {
        DataType::Long
    }
    fn of(value: &Value<'_>) -> Option<Self> {
        if let Value::Long(value) = value { Some(*value) } else { None }
    }
    fn list(values: &ArrayRef) -> Result<Vec<Option<Self>>> {
        Ok(cast(values, &ArrowType::Int64)?.as_primitive::<Int64Type>().iter().collect())
    }
    fn column(values: Vec<Option<Self>>) -> ArrayRef {
        std::sync::Arc::new(Int64Array::from(values))
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

macro_rules! float_item {
    ($native:ty, $spark:ident, $arrow:ident, $primitive:ty, $array:ty, $sketch:literal) => {
        impl Item for KllFloat<$native> {
            const SKETCH: &'static str = $sketch;
            const WIDTH: usize = size_of::<$native>();

            fn data_type() -> DataType {
                DataType::$spark
            }
            fn of(value: &Value<'_>) -> Option<Self> {
                if let Value::Double(value) = value { Self::new(*value as $native).ok() } else { None }
            }
            fn list(values: &ArrayRef) -> Result<Vec<Option<Self>>> {
                let values = cast(values, &ArrowType::$arrow)?;
                Ok(values.as_primitive::<$primitive>().iter().map(|v| v.and_then(|v| Self::new(v).ok())).collect())
            }
            fn column(values: Vec<Option<Self>>) -> ArrayRef {
                let plain = values.into_iter().map(|v| v.map(KllFloat::into_inner));
                std::sync::Arc::new(plain.collect::<$array>())
            }
            fn shown(&self) -> String {
                format!("{:?}", self.into_inner())
            }
        }
    };
}

float_item!(f32, Float, Float32, Float32Type, Float32Array, "KllFloatsSketch");
float_item!(f64, Double, Float64, Float64Type, Float64Array, "KllDoublesSketch");

/// The sketch in `bytes`.
fn read<T: Item>(bytes: &[u8], function: &str) -> Result<KllSketch<T>> {
    if bytes.len() < 8 {
        return Err(invalid(function, format!("a sketch has at least 8 bytes, this has {}", bytes.len())));
    }
    KllSketch::deserialize(bytes).map_err(|error| invalid(function, error.to_string()))
}

fn invalid(function: &str, reason: String) -> SparkError {
    SparkError::new("KLL_SKETCH_INVALID_INPUT", [("functionName", quote::sql_id(function)), ("reason", reason)])
}
