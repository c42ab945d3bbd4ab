//! Tuple sketches of the keys and values of a group, and of its sketches.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Float64Type, Int32Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::arguments::{Settings, Takes, complete, settings};
use super::model::{Hasher, Summary, Tuples};
use crate::aggregates::call::AggregateBuilder;
use crate::aggregates::udaf::{AggregateCall, AggregateKernel};
use crate::coerce;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::signature::Accept;
use crate::sketches::accumulate::for_each;

struct TupleAccumulator<S> {
    call: Arc<AggregateCall>,
    settings: Settings,
    sketch: Tuples<S>,
    hasher: Hasher,
    /// Whether anything was seen; a partial state of nothing is NULL
    seen: bool,
}

impl<S> std::fmt::Debug for TupleAccumulator<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.call.name)
    }
}

/// The summaries beside the keys.
fn summaries<S: Summary>(values: &ArrayRef) -> Vec<Option<S>> {
    match values.data_type() {
        ArrowType::Float64 => values.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| S::of(v, 0))).collect(),
        ArrowType::Int32 => {
            values.as_primitive::<Int32Type>().iter().map(|v| v.map(|v| S::of(0.0, i64::from(v)))).collect()
        }
        _ => vec![None; values.len()],
    }
}

impl<S: Summary> TupleAccumulator<S> {
    fn merge(&mut self, sketches: &ArrayRef) -> DfResult<()> {
        for bytes in sketches.as_binary_opt::<i32>().into_iter().flat_map(|s| s.iter().flatten()) {
            let other = match Tuples::read(bytes, self.call.name) {
                Ok(other) => other,
                Err(error) => return self.call.fail(error),
            };
            if !self.call.name.starts_with("tuple_intersection") {
                self.sketch.union(&other, self.settings.mode, self.settings.lg_entries);
            } else if self.seen {
                self.sketch.intersect(&other, self.settings.mode);
            } else {
                self.sketch = other;
            }
            self.seen = true;
        }
        Ok(())
    }

    fn bytes(&self) -> Vec<u8> {
        self.sketch.serialize(self.settings.mode)
    }
}

impl<S: Summary> Accumulator for TupleAccumulator<S> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let [keys, given] = values else {
            return values.first().map_or(Ok(()), |sketches| self.merge(sketches));
        };
        let given = summaries::<S>(given);
        let Settings { mode, lg_entries } = self.settings;
        let (sketch, hasher, seen) = (&mut self.sketch, &mut self.hasher, &mut self.seen);
        let put = &mut |row: usize, key: crate::sketches::accumulate::Value<'_>| {
            if let (Some(Some(summary)), Some(hash)) = (given.get(row), hasher.hash(&key)) {
                // A first value is combined as well: with nothing before it, it may still count as one.
                let first = if mode == super::model::Mode::AlwaysOne { S::neutral(mode) } else { *summary };
                sketch.put(hash, first, mode, lg_entries);
                *seen = true;
            }
        };
        for_each(keys, self.call.arg_types.first(), put).map_err(crate::external)
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.bytes())))
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.sketch.entries.len() * (8 + size_of::<S>())
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(self.seen.then(|| self.bytes()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        states.first().map_or(Ok(()), |state| self.merge(state))
    }
}

fn accumulator<S: Summary>(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let settings = Settings::decode(&call.options);
    let (sketch, hasher) = (Tuples::<S>::default(), Hasher::new()?);
    Ok(Box::new(TupleAccumulator { call: Arc::clone(call), settings, sketch, hasher, seen: false }))
}

fn kernel<S: Summary>() -> AggregateKernel {
    AggregateKernel { accumulator: accumulator::<S>, groups: None, state: |_| vec![ArrowType::Binary] }
}

fn build<S: Summary>(
    context: &BuildContext<'_>,
    mut arguments: Arguments<'_>,
    name: &'static str,
    summary: &DataType,
) -> Result<Built> {
    let of_values = name.starts_with("tuple_sketch");
    let first = if of_values { 2 } else { 1 };
    let takes = Takes { size: !name.starts_with("tuple_intersection"), mode: true };
    arguments.expect(name, first, first + usize::from(takes.size) + 1)?;
    complete(&mut arguments.values, first, takes);
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let (sql, mut values) = (builder.sql().to_string(), builder.take_values());
    let settings = settings(context, name, &sql, &mut values, first, takes).map_err(|error| builder.fail(error))?;
    if of_values {
        // Keys that no sketch hashes as they are.
        let key = match &values[0].data_type {
            DataType::Boolean => Some(DataType::Integer),
            DataType::Decimal(..) => Some(DataType::Double),
            _ => None,
        };
        if let Some(wanted) = key {
            values[0] = crate::cast::cast(values[0].clone(), &wanted, crate::cast::CastMode::Ansi, context.eval)?;
        }
        values[1] = coerce::implicit(values[1].clone(), summary, context.eval, &context.origin)?;
    } else {
        values[0] = coerce::argument(&sql, 0, Accept::Binary, values[0].clone(), context)?;
    }
    builder.set_values(values);
    builder.finish(name, kernel::<S>(), DataType::Binary, false, settings.encode(name), vec![])
}

macro_rules! entries {
    ($($summary:ty, $type:ident, $name:literal, $parameters:expr, $usage:literal, $sql:literal, $result:literal;)*) => {
        &[$(Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Aggregate,
            group: "agg_funcs",
            parameters: $parameters,
            build: Build::Custom(|context, arguments| build::<$summary>(context, arguments, $name, &DataType::$type)),
            usage: concat!($name, $usage),
            examples: &[($sql, $result)],
            since: "4.2.0",
        },)*]
    };
}

const OF_VALUES: &[&str] = &["key", "summary", "lgNomEntries", "mode"];
const OF_SKETCHES: &[&str] = &["child", "lgNomEntries", "mode"];

pub static FUNCTIONS: &[Function] = entries! {
    f64, Double, "tuple_sketch_agg_double", OF_VALUES,
        "(key, summary[, lgNomEntries[, mode]]) - A sketch of the keys of a group with the sum, min or max of their values.",
        "SELECT tuple_sketch_estimate_double(tuple_sketch_agg_double(k, v)) FROM VALUES (1, 1D), (1, 2D) t(k, v)", "1.0";
    i32, Integer, "tuple_sketch_agg_integer", OF_VALUES,
        "(key, summary[, lgNomEntries[, mode]]) - A sketch of the keys of a group with the sum, min or max of their values.",
        "SELECT tuple_sketch_estimate_integer(tuple_sketch_agg_integer(k, v)) FROM VALUES (1, 1), (1, 2) t(k, v)", "1.0";
    f64, Double, "tuple_union_agg_double", OF_SKETCHES,
        "(child[, lgNomEntries[, mode]]) - The union of the sketches of a group.",
        "SELECT tuple_sketch_estimate_double(tuple_union_agg_double(s)) FROM (SELECT tuple_sketch_agg_double(1, 1D) AS s)", "1.0";
    i32, Integer, "tuple_union_agg_integer", OF_SKETCHES,
        "(child[, lgNomEntries[, mode]]) - The union of the sketches of a group.",
        "SELECT tuple_sketch_estimate_integer(tuple_union_agg_integer(s)) FROM (SELECT tuple_sketch_agg_integer(1, 1) AS s)", "1.0";
    f64, Double, "tuple_intersection_agg_double", &["child", "mode"],
        "(child[, mode]) - What the sketches of a group have in common.",
        "SELECT tuple_sketch_estimate_double(tuple_intersection_agg_double(s)) FROM (SELECT tuple_sketch_agg_double(1, 1D) AS s)", "1.0";
    i32, Integer, "tuple_intersection_agg_integer", &["child", "mode"],
        "(child[, mode]) - What the sketches of a group have in common.",
        "SELECT tuple_sketch_estimate_integer(tuple_intersection_agg_integer(s)) FROM (SELECT tuple_sketch_agg_integer(1, 1) AS s)", "1.0";
};
