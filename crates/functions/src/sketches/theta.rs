//! Theta sketches: aggregates, set operations and the estimate.
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Accumulator;
use datasketches::hash::value::{canonical_float, raw_bytes};
use datasketches::theta::{
    CompactThetaSketch, ThetaANotB, ThetaIntersection, ThetaSketch, ThetaSketchBuilder, ThetaUnion, ThetaUnionBuilder,
};
use firesteel_plan::{DataType, Result, SparkError};

use super::accumulate::{Sketch, SketchAccumulator, Value};
use super::arguments::{Size, defaulted, require_binary, scalar_arguments};
use super::entry;
use crate::aggregates::call::AggregateBuilder;
use crate::aggregates::udaf::{AggregateCall, AggregateKernel};
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::signature::Accept;
use crate::typed::TypedExpr;
use crate::view;

const DEFAULT_LG_ENTRIES: i32 = 12;

/// Id of the family of sketches that these are, in their third byte.
const FAMILY: u8 = 3;

/// The sketch in `bytes`.
pub fn read(bytes: &[u8], function: &str) -> Result<CompactThetaSketch> {
    let family = bytes.get(2).filter(|family| **family != FAMILY && bytes.len() >= 8);
    if let Some(actual) = family.and_then(|family| super::tuple::family_name(*family)) {
        return Err(SparkError::new(
            "THETA_INVALID_INPUT_SKETCH_BUFFER_FAMILY",
            [
                ("function", quote::sql_id(function)),
                ("expectedFamily", "COMPACT".to_string()),
                ("actualFamily", actual.to_string()),
            ],
        ));
    }
    CompactThetaSketch::deserialize(bytes)
        .map_err(|_| SparkError::new("THETA_INVALID_INPUT_SKETCH_BUFFER", [("function", quote::sql_id(function))]))
}

fn failed(error: datasketches::error::Error) -> SparkError {
    SparkError::internal(error.to_string())
}

/// The library has no sketches of 2^4 entries: one of 2^5 knows more.
fn lg_k(lg_entries: i32) -> u8 {
    lg_entries.max(5) as u8
}

fn sketch_of(lg_entries: i32) -> Result<ThetaSketch> {
    ThetaSketchBuilder::default().lg_k(lg_k(lg_entries)).build().map_err(failed)
}

fn union_of(lg_entries: i32) -> Result<ThetaUnion> {
    ThetaUnionBuilder::default().lg_k(lg_k(lg_entries)).build().map_err(failed)
}

/// What an aggregate gathers.
enum Theta {
    /// Values, and the partial results of other tasks
    Values {
        sketch: ThetaSketch,
        merged: Vec<CompactThetaSketch>,
        lg_entries: i32,
    },
    Union(ThetaUnion),
    Intersection(ThetaIntersection),
}

impl Sketch for Theta {
    fn update(&mut self, value: Value<'_>) {
        let Self::Values { sketch, .. } = self else { return };
        match value {
            Value::Long(v) => sketch.update(v),
            Value::Double(v) => sketch.update(canonical_float::from_f64(v)),
            Value::Bytes([]) => {}
            Value::Bytes(v) => sketch.update(raw_bytes::from_slice(v)),
        }
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Values { merged, .. } => merged.push(read(bytes, "theta_sketch_agg")?),
            Self::Union(union) => union.update(&read(bytes, "theta_union_agg")?).map_err(failed)?,
            Self::Intersection(both) => both.update(&read(bytes, "theta_intersection_agg")?).map_err(failed)?,
        }
        Ok(())
    }

    fn serialize(&self) -> Vec<u8> {
        let sketch = match self {
            Self::Values { sketch, merged, .. } if merged.is_empty() => Some(sketch.compact(true)),
            Self::Values { sketch, merged, lg_entries } => union_of(*lg_entries).ok().map(|mut union| {
                // All were made with the same seed, so they always fit.
                let _ = union.update(sketch);
                merged.iter().for_each(|other| drop(union.update(other)));
                union.to_sketch(true)
            }),
            Self::Union(union) => Some(union.to_sketch(true)),
            Self::Intersection(both) => match both.to_sketch(true) {
                Some(sketch) => Some(sketch),
                None => sketch_of(DEFAULT_LG_ENTRIES).ok().map(|s| s.compact(true)),
            },
        };
        sketch.map(|s| s.serialize()).unwrap_or_default()
    }

    fn size(&self) -> usize {
        match self {
            Self::Values { sketch, merged, .. } => {
                sketch.estimated_size() + merged.iter().map(CompactThetaSketch::estimated_size).sum::<usize>()
            }
            Self::Union(union) => union.estimated_size(),
            Self::Intersection(both) => both.estimated_size(),
        }
    }
}

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let lg_entries = match call.constants.first() {
        Some(ScalarValue::Int32(Some(lg))) => *lg,
        _ => DEFAULT_LG_ENTRIES,
    };
    let sketch = match call.name {
        "theta_sketch_agg" => Theta::Values { sketch: sketch_of(lg_entries)?, merged: vec![], lg_entries },
        "theta_union_agg" => Theta::Union(union_of(lg_entries)?),
        _ => Theta::Intersection(ThetaIntersection::default()),
    };
    let merges = !matches!(sketch, Theta::Values { .. });
    Ok(Box::new(SketchAccumulator { call: Arc::clone(call), sketch, merges, seen: false }))
}

const KERNEL: AggregateKernel = AggregateKernel { accumulator, groups: None, state: |_| vec![ArrowType::Binary] };

const fn size(function: &'static str) -> Size {
    Size {
        function,
        not_constant: "THETA_LG_NOM_ENTRIES_MUST_BE_CONSTANT",
        out_of_range: "THETA_INVALID_LG_NOM_ENTRIES",
        least: 4,
        most: 26,
    }
}

fn build_agg(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    let name = match context.called_as.to_lowercase().as_str() {
        "theta_sketch_agg" => "theta_sketch_agg",
        "theta_union_agg" => "theta_union_agg",
        _ => "theta_intersection_agg",
    };
    let count = if name == "theta_intersection_agg" { 1 } else { 2 };
    arguments.expect(context.called_as, 1, count)?;
    let sql = defaulted(context, &mut arguments, 2.min(count), TypedExpr::int(DEFAULT_LG_ENTRIES));
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.set_sql(sql);
    if name == "theta_sketch_agg" {
        check_values(&builder)?
    } else {
        require_binary(&builder, 0)?
    }
    let constants = if count == 2 { vec![size(name).argument(&builder, 1)?] } else { vec![] };
    let mut values = builder.take_values();
    values.truncate(1);
    builder.set_values(values);
    builder.finish(name, KERNEL, DataType::Binary, false, vec![], constants)
}

/// What can be counted: whole and floating numbers, text, bytes, and arrays of whole numbers.
fn check_values(builder: &AggregateBuilder<'_, '_>) -> Result<()> {
    let value = builder.value(0);
    let fits = match &value.data_type {
        DataType::Array(element, _) => matches!(element.as_ref(), DataType::Integer | DataType::Long),
        DataType::Decimal(..) => false,
        given => given.is_numeric() || given.is_string() || matches!(given, DataType::Binary | DataType::Null),
    };
    if fits {
        return Ok(());
    }
    let required = "(\"ARRAY<INT>\" or \"ARRAY<BIGINT>\" or \"BINARY\" or \"DOUBLE\" or \"FLOAT\" or \"INT\" or \"BIGINT\" or \"STRING\")";
    let error = quote::unexpected_input_type(builder.sql(), 0, required.to_string(), &value.sql, &value.data_type);
    Err(builder.fail(error))
}

fn estimate_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let sketches = view::binaries(args, 0)?;
    let one = |row: usize| match sketches.get(row) {
        Some(bytes) => Ok(Some(read(bytes, "theta_sketch_estimate")?.estimate().round() as i64)),
        None => Ok(None),
    };
    Ok(Arc::new((0..args.rows).map(one).collect::<Result<Int64Array>>()?))
}

/// `combine` makes the bytes of the result from two sketches.
fn set_operation(
    args: &ScalarArgs<'_>,
    function: &str,
    combine: impl Fn(&CompactThetaSketch, &CompactThetaSketch, usize) -> Result<Option<Vec<u8>>>,
) -> Result<ArrayRef> {
    let (left, right) = (view::binaries(args, 0)?, view::binaries(args, 1)?);
    rows::try_bytes(args.rows, |row, out| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        match combine(&read(a, function)?, &read(b, function)?, row)? {
            Some(bytes) => {
                out.extend(bytes);
                Ok(Some(()))
            }
            None => Ok(None),
        }
    })
}

fn union_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let sizes = view::ints(args, 2)?;
    let bounds = size("theta_union");
    set_operation(args, "theta_union", |a, b, row| {
        let Some(lg) = sizes.get(row) else { return Ok(None) };
        if !(bounds.least..=bounds.most).contains(&lg) {
            return Err(bounds.error(lg));
        }
        let mut union = union_of(lg)?;
        union.update(a).map_err(failed)?;
        union.update(b).map_err(failed)?;
        Ok(Some(union.to_sketch(true).serialize()))
    })
}

fn intersection_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    set_operation(args, "theta_intersection", |a, b, _| {
        let mut both = ThetaIntersection::default();
        both.update(a).map_err(failed)?;
        both.update(b).map_err(failed)?;
        Ok(both.to_sketch(true).map(|s| s.serialize()))
    })
}

fn difference_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    set_operation(args, "theta_difference", |a, b, _| {
        Ok(Some(ThetaANotB::default().compute(a, b, true).map_err(failed)?.serialize()))
    })
}

fn build_scalar(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    let called = context.called_as.to_lowercase();
    let (name, kernel, result, least, most): (&'static str, Kernel, DataType, usize, usize) = match called.as_str() {
        "theta_sketch_estimate" => ("theta_sketch_estimate", estimate_kernel, DataType::Long, 1, 1),
        "theta_union" => ("theta_union", union_kernel, DataType::Binary, 2, 3),
        "theta_intersection" => ("theta_intersection", intersection_kernel, DataType::Binary, 2, 2),
        _ => ("theta_difference", difference_kernel, DataType::Binary, 2, 2),
    };
    arguments.expect(context.called_as, least, most)?;
    let sql = defaulted(context, &mut arguments, most, TypedExpr::int(DEFAULT_LG_ENTRIES));
    let accepts = [Accept::Binary, Accept::Binary, Accept::Integer];
    let values = scalar_arguments(context, arguments.values, &accepts[..most], &sql)?;
    let nullable = values.iter().any(|v| v.nullable);
    let call = SparkScalar::call(name, kernel, values, result, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "theta_sketch_agg",
        Aggregate,
        "agg_funcs",
        build_agg,
        "theta_sketch_agg(expr[, lgNomEntries]) - A Theta sketch of the values of a group.",
        "SELECT theta_sketch_estimate(theta_sketch_agg(col, 12)) FROM VALUES (1), (1), (2), (2), (3) tab(col)",
        "3",
        "4.1.0"
    ),
    entry!(
        "theta_union_agg",
        Aggregate,
        "agg_funcs",
        build_agg,
        "theta_union_agg(expr[, lgNomEntries]) - The union of the sketches of a group.",
        "SELECT theta_sketch_estimate(theta_union_agg(s)) FROM (SELECT theta_sketch_agg(col) AS s FROM VALUES (1), (2) tab(col))",
        "2",
        "4.1.0"
    ),
    entry!(
        "theta_intersection_agg",
        Aggregate,
        "agg_funcs",
        build_agg,
        "theta_intersection_agg(expr) - What the sketches of a group have in common.",
        "SELECT theta_sketch_estimate(theta_intersection_agg(s)) FROM (SELECT theta_sketch_agg(col) AS s FROM VALUES (1) tab(col))",
        "1",
        "4.1.0"
    ),
    entry!(
        "theta_sketch_estimate",
        Scalar,
        "misc_funcs",
        build_scalar,
        "theta_sketch_estimate(expr) - The estimated number of different values in a sketch.",
        "SELECT theta_sketch_estimate(theta_sketch_agg(col)) FROM VALUES (1), (1), (2) tab(col)",
        "2",
        "4.1.0"
    ),
    entry!(
        "theta_union",
        Scalar,
        "misc_funcs",
        build_scalar,
        "theta_union(first, second[, lgNomEntries]) - The union of two sketches.",
        "SELECT theta_sketch_estimate(theta_union(theta_sketch_agg(a), theta_sketch_agg(b))) FROM VALUES (1, 4), (2, 5), (3, 6) tab(a, b)",
        "6",
        "4.1.0"
    ),
    entry!(
        "theta_intersection",
        Scalar,
        "misc_funcs",
        build_scalar,
        "theta_intersection(first, second) - What two sketches have in common.",
        "SELECT theta_sketch_estimate(theta_intersection(theta_sketch_agg(a), theta_sketch_agg(b))) FROM VALUES (5, 4), (1, 4), (2, 5) tab(a, b)",
        "1",
        "4.1.0"
    ),
    entry!(
        "theta_difference",
        Scalar,
        "misc_funcs",
        build_scalar,
        "theta_difference(first, second) - What the first sketch has and the second has not.",
        "SELECT theta_sketch_estimate(theta_difference(theta_sketch_agg(a), theta_sketch_agg(b))) FROM VALUES (5, 4), (1, 4), (2, 5) tab(a, b)",
        "2",
        "4.1.0"
    ),
];
