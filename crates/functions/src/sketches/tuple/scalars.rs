//! Set operations on Tuple sketches, and what is asked of one.
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array};
use firesteel_plan::{DataType, Result};

use super::arguments::{Settings, Takes, complete, expect_sketches, settings};
use super::model::{Mode, Summary, Tuples};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{Kernel, ScalarArgs, SparkScalar};
use crate::sketches::theta;
use crate::view;

fn doubles<S: Summary>(args: &ScalarArgs<'_>, answer: impl Fn(&Tuples<S>) -> f64) -> Result<ArrayRef> {
    let sketches = view::binaries(args, 0)?;
    let one = |row| sketches.get(row).map(|bytes| Ok(answer(&Tuples::read(bytes, args.option(0))?))).transpose();
    Ok(Arc::new((0..args.rows).map(one).collect::<Result<Float64Array>>()?))
}

fn estimate<S: Summary>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    doubles::<S>(args, Tuples::estimate)
}

fn part<S: Summary>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    doubles::<S>(args, Tuples::part)
}

/// All summaries as one; 0 where there is none.
fn double_summary(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let mode = Settings::decode(args.options).mode;
    doubles::<f64>(args, |sketch| match mode {
        Mode::AlwaysOne => sketch.entries.len() as f64,
        mode => sketch.entries.values().copied().reduce(|a, b| a.combine(b, mode)).unwrap_or(0.0),
    })
}

fn integer_summary(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (sketches, mode) = (view::binaries(args, 0)?, Settings::decode(args.options).mode);
    let one = |row| {
        let Some(bytes) = sketches.get(row) else { return Ok(None) };
        let sketch = Tuples::<i32>::read(bytes, args.option(0))?;
        let values = sketch.entries.values().map(|value| i64::from(*value));
        Ok(Some(match mode {
            Mode::Sum => values.sum(),
            Mode::Min => values.min().unwrap_or(0),
            Mode::Max => values.max().unwrap_or(0),
            Mode::AlwaysOne => values.count() as i64,
        }))
    };
    Ok(Arc::new((0..args.rows).map(one).collect::<Result<Int64Array>>()?))
}

/// A sketch of two: `combine` changes the first by the bytes of the second.
fn pairs<S: Summary>(
    args: &ScalarArgs<'_>,
    combine: impl Fn(&mut Tuples<S>, &[u8], Settings) -> Result<()>,
) -> Result<ArrayRef> {
    let (left, right) = (view::binaries(args, 0)?, view::binaries(args, 1)?);
    let settings = Settings::decode(args.options);
    rows::try_bytes(args.rows, |row, out| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        let mut sketch = Tuples::read(a, args.option(0))?;
        combine(&mut sketch, b, settings)?;
        out.extend(sketch.serialize(settings.mode));
        Ok(Some(()))
    })
}

/// A Theta sketch with the summary that changes nothing.
fn of_theta<S: Summary>(bytes: &[u8], function: &str, mode: Mode) -> Result<Tuples<S>> {
    let sketch = theta::read(bytes, function)?;
    let entries = sketch.iter().map(|entry| (entry.hash(), S::neutral(mode))).collect();
    Ok(Tuples { theta: sketch.theta64(), entries, empty: sketch.is_empty() })
}

/// The second argument: a sketch of the same kind, or where `is_theta` one of keys only.
fn second<S: Summary>(args: &ScalarArgs<'_>, bytes: &[u8], mode: Mode, is_theta: bool) -> Result<Tuples<S>> {
    if is_theta { of_theta(bytes, args.option(0), mode) } else { Tuples::read(bytes, args.option(0)) }
}

fn union<S: Summary, const IS_THETA: bool>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    pairs::<S>(args, |sketch, bytes, settings| {
        let other = second(args, bytes, settings.mode, IS_THETA)?;
        sketch.union(&other, settings.mode, settings.lg_entries);
        sketch.trim(1 << settings.lg_entries);
        Ok(())
    })
}

fn intersection<S: Summary, const IS_THETA: bool>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    pairs::<S>(args, |sketch, bytes, settings| {
        sketch.intersect(&second(args, bytes, settings.mode, IS_THETA)?, settings.mode);
        Ok(())
    })
}

fn difference<S: Summary, const IS_THETA: bool>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    pairs::<S>(args, |sketch, bytes, settings| {
        let other = second::<S>(args, bytes, settings.mode, IS_THETA)?;
        sketch.subtract(other.theta, other.entries.into_keys());
        Ok(())
    })
}

/// One of the functions.
struct Plan {
    name: &'static str,
    kernel: Kernel,
    result: DataType,
    sketches: usize,
    takes: Takes,
}

fn build(context: &BuildContext<'_>, mut arguments: Arguments<'_>, plan: Plan) -> Result<Built> {
    let Plan { name, kernel, result, sketches, takes } = plan;
    let most = sketches + usize::from(takes.size) + usize::from(takes.mode);
    arguments.expect(name, sketches, most)?;
    complete(&mut arguments.values, sketches, takes);
    let mut values = arguments.values;
    let texts: Vec<&str> = values.iter().map(|v| v.sql.as_str()).collect();
    let sql = format!("{name}({})", texts.join(", "));
    let at = |error: firesteel_plan::SparkError| error.with_origin(context.origin.as_ref());
    expect_sketches(&sql, &values, sketches).map_err(at)?;
    let settings = settings(context, name, &sql, &mut values, sketches, takes).map_err(at)?;
    let nullable = values.iter().any(|v| v.nullable);
    let call = SparkScalar::call(name, kernel, values, result, nullable, context.eval).options(settings.encode(name));
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

macro_rules! entries {
    ($($name:literal, $kernel:expr, $result:ident, $sketches:literal, $size:literal, $mode:literal, $parameters:expr,
       $usage:literal, $sql:literal, $shown:literal;)*) => {
        &[$(Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Scalar,
            group: "misc_funcs",
            parameters: $parameters,
            build: Build::Custom(|context, arguments| {
                let takes = Takes { size: $size, mode: $mode };
                let plan =
                    Plan { name: $name, kernel: $kernel, result: DataType::$result, sketches: $sketches, takes };
                build(context, arguments, plan)
            }),
            usage: concat!($name, $usage),
            examples: &[($sql, $shown)],
            since: "4.2.0",
        },)*]
    };
}

const ONE: &[&str] = &["child"];
const WITH_MODE: &[&str] = &["child", "mode"];
const TWO: &[&str] = &["tupleSketch1", "tupleSketch2"];
const TWO_MODE: &[&str] = &["tupleSketch1", "tupleSketch2", "mode"];
const TWO_ALL: &[&str] = &["tupleSketch1", "tupleSketch2", "lgNomEntries", "mode"];
const THETA: &[&str] = &["tupleSketch", "thetaSketch"];
const THETA_MODE: &[&str] = &["tupleSketch", "thetaSketch", "mode"];
const THETA_ALL: &[&str] = &["tupleSketch", "thetaSketch", "lgNomEntries", "mode"];

pub static FUNCTIONS: &[Function] = entries! {
    "tuple_sketch_estimate_double", estimate::<f64>, Double, 1, false, false, ONE,
        "(child) - About how many different keys a sketch has seen.",
        "SELECT tuple_sketch_estimate_double(tuple_sketch_agg_double(1, 1D))", "1.0";
    "tuple_sketch_estimate_integer", estimate::<i32>, Double, 1, false, false, ONE,
        "(child) - About how many different keys a sketch has seen.",
        "SELECT tuple_sketch_estimate_integer(tuple_sketch_agg_integer(1, 1))", "1.0";
    "tuple_sketch_theta_double", part::<f64>, Double, 1, false, false, ONE,
        "(child) - The part of the keys that a sketch keeps.",
        "SELECT tuple_sketch_theta_double(tuple_sketch_agg_double(1, 1D))", "1.0";
    "tuple_sketch_theta_integer", part::<i32>, Double, 1, false, false, ONE,
        "(child) - The part of the keys that a sketch keeps.",
        "SELECT tuple_sketch_theta_integer(tuple_sketch_agg_integer(1, 1))", "1.0";
    "tuple_sketch_summary_double", double_summary, Double, 1, false, true, WITH_MODE,
        "(child[, mode]) - The sum, min or max of a sketch's summaries, or their number.",
        "SELECT tuple_sketch_summary_double(tuple_sketch_agg_double(1, 5D))", "5.0";
    "tuple_sketch_summary_integer", integer_summary, Long, 1, false, true, WITH_MODE,
        "(child[, mode]) - The sum, min or max of a sketch's summaries, or their number.",
        "SELECT tuple_sketch_summary_integer(tuple_sketch_agg_integer(1, 5))", "5";
    "tuple_union_double", union::<f64, false>, Binary, 2, true, true, TWO_ALL,
        "(first, second[, lgNomEntries[, mode]]) - The union of two sketches.",
        "SELECT tuple_sketch_summary_double(tuple_union_double(tuple_sketch_agg_double(1, 2D), tuple_sketch_agg_double(1, 3D)))", "5.0";
    "tuple_union_integer", union::<i32, false>, Binary, 2, true, true, TWO_ALL,
        "(first, second[, lgNomEntries[, mode]]) - The union of two sketches.",
        "SELECT tuple_sketch_summary_integer(tuple_union_integer(tuple_sketch_agg_integer(1, 2), tuple_sketch_agg_integer(1, 3)))", "5";
    "tuple_union_theta_double", union::<f64, true>, Binary, 2, true, true, THETA_ALL,
        "(tupleSketch, thetaSketch[, lgNomEntries[, mode]]) - The union with a sketch of keys only.",
        "SELECT tuple_sketch_estimate_double(tuple_union_theta_double(tuple_sketch_agg_double(1, 2D), theta_sketch_agg(2)))", "2.0";
    "tuple_union_theta_integer", union::<i32, true>, Binary, 2, true, true, THETA_ALL,
        "(tupleSketch, thetaSketch[, lgNomEntries[, mode]]) - The union with a sketch of keys only.",
        "SELECT tuple_sketch_estimate_integer(tuple_union_theta_integer(tuple_sketch_agg_integer(1, 2), theta_sketch_agg(2)))", "2.0";
    "tuple_intersection_double", intersection::<f64, false>, Binary, 2, false, true, TWO_MODE,
        "(first, second[, mode]) - What two sketches have in common.",
        "SELECT tuple_sketch_summary_double(tuple_intersection_double(tuple_sketch_agg_double(1, 2D), tuple_sketch_agg_double(1, 3D)))", "5.0";
    "tuple_intersection_integer", intersection::<i32, false>, Binary, 2, false, true, TWO_MODE,
        "(first, second[, mode]) - What two sketches have in common.",
        "SELECT tuple_sketch_summary_integer(tuple_intersection_integer(tuple_sketch_agg_integer(1, 2), tuple_sketch_agg_integer(1, 3)))", "5";
    "tuple_intersection_theta_double", intersection::<f64, true>, Binary, 2, false, true, THETA_MODE,
        "(tupleSketch, thetaSketch[, mode]) - What a sketch has of the keys of another.",
        "SELECT tuple_sketch_estimate_double(tuple_intersection_theta_double(tuple_sketch_agg_double(1, 2D), theta_sketch_agg(1)))", "1.0";
    "tuple_intersection_theta_integer", intersection::<i32, true>, Binary, 2, false, true, THETA_MODE,
        "(tupleSketch, thetaSketch[, mode]) - What a sketch has of the keys of another.",
        "SELECT tuple_sketch_estimate_integer(tuple_intersection_theta_integer(tuple_sketch_agg_integer(1, 2), theta_sketch_agg(1)))", "1.0";
    "tuple_difference_double", difference::<f64, false>, Binary, 2, false, false, TWO,
        "(first, second) - What the first sketch has and the second has not.",
        "SELECT tuple_sketch_estimate_double(tuple_difference_double(tuple_sketch_agg_double(1, 2D), tuple_sketch_agg_double(2, 3D)))", "1.0";
    "tuple_difference_integer", difference::<i32, false>, Binary, 2, false, false, TWO,
        "(first, second) - What the first sketch has and the second has not.",
        "SELECT tuple_sketch_estimate_integer(tuple_difference_integer(tuple_sketch_agg_integer(1, 2), tuple_sketch_agg_integer(2, 3)))", "1.0";
    "tuple_difference_theta_double", difference::<f64, true>, Binary, 2, false, false, THETA,
        "(tupleSketch, thetaSketch) - What a sketch has without the keys of another.",
        "SELECT tuple_sketch_estimate_double(tuple_difference_theta_double(tuple_sketch_agg_double(1, 2D), theta_sketch_agg(2)))", "1.0";
    "tuple_difference_theta_integer", difference::<i32, true>, Binary, 2, false, false, THETA,
        "(tupleSketch, thetaSketch) - What a sketch has without the keys of another.",
        "SELECT tuple_sketch_estimate_integer(tuple_difference_theta_integer(tuple_sketch_agg_integer(1, 2), theta_sketch_agg(2)))", "1.0";
};
