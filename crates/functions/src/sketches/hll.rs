//! `hll_sketch_agg`, `hll_union_agg`, `hll_union`, `hll_sketch_estimate`.
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Accumulator;
use datasketches::hash::value::{canonical_float, raw_bytes};
use datasketches::hll::{HllSketch, HllType, HllUnion};
use firesteel_plan::{DataType, Result, SparkError};

use super::accumulate::{Sketch, SketchAccumulator, Value};
use super::arguments::{Size, defaulted, require_binary, scalar_arguments};
use super::entry;
use crate::aggregates::call::{AggregateBuilder, constant};
use crate::aggregates::udaf::{AggregateCall, AggregateKernel};
use crate::coerce;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::signature::Accept;
use crate::typed::TypedExpr;
use crate::view;

const DEFAULT_LG_K: u8 = 12;

fn invalid_buffer(function: &str) -> SparkError {
    SparkError::new("HLL_INVALID_INPUT_SKETCH_BUFFER", [("function", quote::sql_id(function))])
}

fn different(left: u8, right: u8, function: &str) -> SparkError {
    SparkError::new(
        "HLL_UNION_DIFFERENT_LG_K",
        [("left", left.to_string()), ("right", right.to_string()), ("function", quote::sql_id(function))],
    )
}

fn read(bytes: &[u8], function: &str) -> Result<HllSketch> {
    HllSketch::deserialize(bytes).map_err(|_| invalid_buffer(function))
}

fn union_of(lg_k: u8) -> Result<HllUnion> {
    HllUnion::new(lg_k).map_err(|e| SparkError::internal(e.to_string()))
}

/// Values go to a sketch; sketches to a union, made when the first one comes.
enum Hll {
    Values(HllSketch),
    Union { union: Option<HllUnion>, any_size: bool },
}

impl Sketch for Hll {
    fn update(&mut self, value: Value<'_>) {
        let Self::Values(sketch) = self else { return };
        match value {
            Value::Long(v) => sketch.update(v),
            Value::Double(v) => sketch.update(canonical_float::from_f64(v)),
            Value::Bytes([]) => {}
            Value::Bytes(v) => sketch.update(raw_bytes::from_slice(v)),
        }
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Values(mine) => {
                let mut union = union_of(mine.lg_config_k())?;
                union.update(mine);
                union.update(&read(bytes, "hll_sketch_agg")?);
                *mine = union.to_sketch(HllType::Hll8);
            }
            Self::Union { union, any_size } => {
                let other = read(bytes, "hll_union_agg")?;
                let union = match union {
                    Some(union) => union,
                    None => union.insert(union_of(other.lg_config_k())?),
                };
                if !*any_size && union.lg_config_k() != other.lg_config_k() {
                    return Err(different(union.lg_config_k(), other.lg_config_k(), "hll_union_agg"));
                }
                union.update(&other);
            }
        }
        Ok(())
    }

    fn serialize(&self) -> Vec<u8> {
        match self {
            Self::Values(sketch) => sketch.serialize(),
            Self::Union { union: Some(union), .. } => union.to_sketch(HllType::Hll8).serialize(),
            Self::Union { union: None, .. } => {
                HllSketch::new(DEFAULT_LG_K, HllType::Hll8).map(|s| s.serialize()).unwrap_or_default()
            }
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Values(sketch) => sketch.estimated_size(),
            Self::Union { union, .. } => union.as_ref().map_or(0, HllUnion::estimated_size),
        }
    }
}

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let sketch = match call.constants.first() {
        Some(ScalarValue::Int32(Some(lg_k))) => {
            Hll::Values(HllSketch::new(*lg_k as u8, HllType::Hll8).map_err(|e| SparkError::internal(e.to_string()))?)
        }
        _ => Hll::Union { union: None, any_size: call.has_option("any size") },
    };
    let merges = matches!(sketch, Hll::Union { .. });
    Ok(Box::new(SketchAccumulator { call: Arc::clone(call), sketch, merges, seen: false }))
}

const KERNEL: AggregateKernel = AggregateKernel { accumulator, groups: None, state: |_| vec![ArrowType::Binary] };

const SIZE: Size = Size {
    function: "hll_sketch_agg",
    not_constant: "HLL_K_MUST_BE_CONSTANT",
    out_of_range: "HLL_INVALID_LG_K",
    least: 4,
    most: 21,
};

fn build_agg(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = defaulted(context, &mut arguments, 2, TypedExpr::int(i32::from(DEFAULT_LG_K)));
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.set_sql(sql);
    let given = builder.value(0).data_type.clone();
    let fits = given.is_integral() || given.is_string() || matches!(given, DataType::Binary | DataType::Null);
    if !fits {
        let required = "(\"INT\" or \"BIGINT\" or \"STRING\" or \"BINARY\")".to_string();
        let error = quote::unexpected_input_type(builder.sql(), 0, required, &builder.value(0).sql, &given);
        return Err(builder.fail(error));
    }
    let lg_k = SIZE.argument(&builder, 1)?;
    let mut values = builder.take_values();
    values.truncate(1);
    builder.set_values(values);
    builder.finish("hll_sketch_agg", KERNEL, DataType::Binary, false, vec![], vec![lg_k])
}

fn build_union_agg(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = defaulted(context, &mut arguments, 2, TypedExpr::boolean(false));
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.set_sql(sql);
    require_binary(&builder, 0)?;
    let values = builder.take_values();
    let flag = coerce::argument(builder.sql(), 1, Accept::Boolean, values[1].clone(), context)?;
    let any_size = constant(&flag)? == ScalarValue::Boolean(Some(true));
    builder.set_values(values.into_iter().take(1).collect());
    let options = if any_size { vec!["any size".to_string()] } else { vec![] };
    builder.finish("hll_union_agg", KERNEL, DataType::Binary, false, options, vec![])
}

fn estimate_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let sketches = view::binaries(args, 0)?;
    let one = |row: usize| match sketches.get(row) {
        Some(bytes) => Ok(Some(read(bytes, "hll_sketch_estimate")?.estimate().round() as i64)),
        None => Ok(None),
    };
    Ok(Arc::new((0..args.rows).map(one).collect::<Result<Int64Array>>()?))
}

fn union_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (left, right, flags) = (view::binaries(args, 0)?, view::binaries(args, 1)?, view::booleans(args, 2)?);
    rows::try_bytes(args.rows, |row, out| {
        let (Some(a), Some(b), Some(any_size)) = (left.get(row), right.get(row), flags.get(row)) else {
            return Ok(None);
        };
        let (a, b) = (read(a, "hll_union")?, read(b, "hll_union")?);
        if !any_size && a.lg_config_k() != b.lg_config_k() {
            return Err(different(a.lg_config_k(), b.lg_config_k(), "hll_union"));
        }
        let mut union = union_of(a.lg_config_k().min(b.lg_config_k()))?;
        union.update(&a);
        union.update(&b);
        out.extend(union.to_sketch(HllType::Hll8).serialize());
        Ok(Some(()))
    })
}

fn build_estimate(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = format!("hll_sketch_estimate({})", value.sql);
    let values = scalar_arguments(context, vec![value], &[Accept::Binary], &sql)?;
    let nullable = values.iter().any(|v| v.nullable);
    let call =
        SparkScalar::call("hll_sketch_estimate", estimate_kernel, values, DataType::Long, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

fn build_union(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let sql = defaulted(context, &mut arguments, 3, TypedExpr::boolean(false));
    let accepts = [Accept::Binary, Accept::Binary, Accept::Boolean];
    let values = scalar_arguments(context, arguments.values, &accepts, &sql)?;
    let nullable = values.iter().any(|v| v.nullable);
    let call = SparkScalar::call("hll_union", union_kernel, values, DataType::Binary, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "hll_sketch_agg",
        Aggregate,
        "agg_funcs",
        build_agg,
        "hll_sketch_agg(expr[, lgConfigK]) - A HyperLogLog sketch of the values of a group.",
        "SELECT hll_sketch_estimate(hll_sketch_agg(col, 12)) FROM VALUES (1), (1), (2), (2), (3) tab(col)",
        "3",
        "3.5.0"
    ),
    entry!(
        "hll_union_agg",
        Aggregate,
        "agg_funcs",
        build_union_agg,
        "hll_union_agg(expr[, allowDifferentLgConfigK]) - The union of the sketches of a group.",
        "SELECT hll_sketch_estimate(hll_union_agg(s, true)) FROM (SELECT hll_sketch_agg(col) AS s FROM VALUES (1) tab(col))",
        "1",
        "3.5.0"
    ),
    entry!(
        "hll_union",
        Scalar,
        "misc_funcs",
        build_union,
        "hll_union(first, second[, allowDifferentLgConfigK]) - The union of two sketches.",
        "SELECT hll_sketch_estimate(hll_union(hll_sketch_agg(a), hll_sketch_agg(b))) FROM VALUES (1, 4), (2, 5) tab(a, b)",
        "4",
        "3.5.0"
    ),
    entry!(
        "hll_sketch_estimate",
        Scalar,
        "misc_funcs",
        build_estimate,
        "hll_sketch_estimate(expr) - The estimated number of different values in a sketch.",
        "SELECT hll_sketch_estimate(hll_sketch_agg(col)) FROM VALUES (1), (1), (2) tab(col)",
        "2",
        "3.5.0"
    ),
];
