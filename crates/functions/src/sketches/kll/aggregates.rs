//! Sketches of the values of a group, and of its sketches.
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Accumulator;
use datasketches::kll::{KllFloat, KllSketch};
use firesteel_plan::{DataType, Result, SparkError};

use super::{Item, read};
use crate::aggregates::call::{AggregateBuilder, constant};
use crate::aggregates::udaf::{AggregateCall, AggregateKernel};
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::sketches::accumulate::{Sketch, SketchAccumulator, Value};
use crate::sketches::arguments::require_binary;

const DEFAULT_K: u16 = 200;
const LEAST_K: i32 = 8;

/// Without a size of its own, a sketch of sketches has that of the first.
struct Kll<T> {
    name: &'static str,
    k: Option<u16>,
    sketch: Option<KllSketch<T>>,
}

fn sized<T: Item>(k: Option<u16>) -> KllSketch<T> {
    k.and_then(|k| KllSketch::new(k).ok()).unwrap_or_default()
}

impl<T: Item> Sketch for Kll<T> {
    fn update(&mut self, value: Value<'_>) {
        if let Some(item) = T::of(&value) {
            self.sketch.get_or_insert_with(|| sized(self.k)).update(item);
        }
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        let other = read::<T>(bytes, self.name)?;
        let k = self.k.unwrap_or_else(|| other.k());
        let sketch = self.sketch.get_or_insert_with(|| sized(Some(k)));
        sketch.merge(&other).map_err(|error| super::invalid(self.name, error.to_string()))
    }

    fn serialize(&self) -> Vec<u8> {
        match &self.sketch {
            Some(sketch) => sketch.serialize(),
            None => sized::<T>(self.k).serialize(),
        }
    }

    fn size(&self) -> usize {
        self.sketch.as_ref().map_or(0, |sketch| sketch.num_retained() * T::WIDTH)
    }
}

fn accumulator<T: Item>(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let merges = call.name.starts_with("kll_merge");
    let given = match call.constants.first() {
        Some(ScalarValue::UInt16(k)) => *k,
        _ => None,
    };
    let k = if merges { given } else { given.or(Some(DEFAULT_K)) };
    let sketch = Kll::<T> { name: call.name, k, sketch: None };
    Ok(Box::new(SketchAccumulator { call: Arc::clone(call), sketch, merges, seen: false }))
}

fn kernel<T: Item>() -> AggregateKernel {
    AggregateKernel { accumulator: accumulator::<T>, groups: None, state: |_| vec![ArrowType::Binary] }
}

/// The optional size: a constant INT within bounds.
fn size_argument(builder: &AggregateBuilder<'_, '_>) -> Result<ScalarValue> {
    let Some(value) = builder.values().get(1) else { return Ok(ScalarValue::UInt16(None)) };
    let sql = builder.sql();
    if !matches!(value.data_type, DataType::Byte | DataType::Short | DataType::Integer | DataType::Null) {
        let required = "\"INT\"".to_string();
        return Err(builder.fail(quote::unexpected_input_type(sql, 1, required, &value.sql, &value.data_type)));
    }
    if !value.is_foldable() {
        let parameters = [
            ("inputName", "k".to_string()),
            ("inputType", value.data_type.sql().to_lowercase()),
            ("inputExpr", value.sql.clone()),
        ];
        return Err(builder.fail(quote::mismatch("NON_FOLDABLE_INPUT", sql, parameters)));
    }
    match constant(value)?.cast_to(&ArrowType::Int32).map_err(crate::scalar::from_datafusion)? {
        ScalarValue::Int32(Some(k)) => match u16::try_from(k) {
            Ok(size) if k >= LEAST_K => Ok(ScalarValue::UInt16(Some(size))),
            _ => Err(builder.fail(out_of_range(builder, k))),
        },
        _ => Err(builder.fail(quote::mismatch("UNEXPECTED_NULL", sql, [("exprName", "k".to_string())]))),
    }
}

fn out_of_range(builder: &AggregateBuilder<'_, '_>, k: i32) -> SparkError {
    let function = quote::sql_id(&builder.context().called_as.to_lowercase());
    let inner = SparkError::new("KLL_SKETCH_K_OUT_OF_RANGE", [("functionName", function), ("k", k.to_string())]);
    let parameters = [("msg", inner.to_string()), ("hint", String::new())];
    quote::mismatch("TYPE_CHECK_FAILURE_WITH_HINT", builder.sql(), parameters)
}

fn check_value(builder: &AggregateBuilder<'_, '_>, accepted: &[DataType]) -> Result<()> {
    let value = builder.value(0);
    if value.data_type == DataType::Null || accepted.contains(&value.data_type) {
        return Ok(());
    }
    let required = match accepted {
        [one] => quote::sql_type(one),
        several => quote::sql_types(several.iter().cloned()),
    };
    Err(builder.fail(quote::unexpected_input_type(builder.sql(), 0, required, &value.sql, &value.data_type)))
}

fn build<T: Item>(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    accepted: Option<&[DataType]>,
) -> Result<Built> {
    arguments.expect(name, 1, 2)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    match accepted {
        Some(accepted) => check_value(&builder, accepted)?,
        None => require_binary(&builder, 0)?,
    }
    let size = size_argument(&builder)?;
    let mut values = builder.take_values();
    values.truncate(1);
    builder.set_values(values);
    builder.finish(name, kernel::<T>(), DataType::Binary, false, vec![], vec![size])
}

const WHOLE: &[DataType] = &[DataType::Byte, DataType::Integer, DataType::Long, DataType::Short];
const FLOAT: &[DataType] = &[DataType::Float];
const DOUBLE: &[DataType] = &[DataType::Float, DataType::Double];

macro_rules! entries {
    ($($item:ty, $accepted:ident, $agg:literal, $merge:literal, $type:literal, $agg_sql:literal, $merge_sql:literal;)*) => {
        &[$(
            Function {
                name: $agg,
                aliases: &[],
                kind: FunctionKind::Aggregate,
                group: "agg_funcs",
                parameters: &[],
                build: Build::Custom(|context, arguments| build::<$item>(context, arguments, $agg, Some($accepted))),
                usage: concat!($agg, "(expr[, k]) - A KLL sketch of the ", $type, " values of a group; a larger k is more exact."),
                examples: &[($agg_sql, "3")],
                since: "4.1.0",
            },
            Function {
                name: $merge,
                aliases: &[],
                kind: FunctionKind::Aggregate,
                group: "agg_funcs",
                parameters: &[],
                build: Build::Custom(|context, arguments| build::<$item>(context, arguments, $merge, None)),
                usage: concat!($merge, "(expr[, k]) - One KLL sketch of all the ", $type, " sketches of a group."),
                examples: &[($merge_sql, "2")],
                since: "4.1.2",
            },
        )*]
    };
}

pub static FUNCTIONS: &[Function] = entries! {
    i64, WHOLE, "kll_sketch_agg_bigint", "kll_merge_agg_bigint", "BIGINT",
        "SELECT kll_sketch_get_n_bigint(kll_sketch_agg_bigint(c)) FROM VALUES (1), (2), (3) t(c)",
        "SELECT kll_sketch_get_n_bigint(kll_merge_agg_bigint(s)) FROM (SELECT kll_sketch_agg_bigint(c) AS s FROM VALUES (1), (2) t(c))";
    KllFloat<f32>, FLOAT, "kll_sketch_agg_float", "kll_merge_agg_float", "FLOAT",
        "SELECT kll_sketch_get_n_float(kll_sketch_agg_float(c)) FROM VALUES (1F), (2F), (3F) t(c)",
        "SELECT kll_sketch_get_n_float(kll_merge_agg_float(s)) FROM (SELECT kll_sketch_agg_float(c) AS s FROM VALUES (1F), (2F) t(c))";
    KllFloat<f64>, DOUBLE, "kll_sketch_agg_double", "kll_merge_agg_double", "DOUBLE",
        "SELECT kll_sketch_get_n_double(kll_sketch_agg_double(c)) FROM VALUES (1D), (2D), (3D) t(c)",
        "SELECT kll_sketch_get_n_double(kll_merge_agg_double(s)) FROM (SELECT kll_sketch_agg_double(c) AS s FROM VALUES (1D), (2D) t(c))";
};
