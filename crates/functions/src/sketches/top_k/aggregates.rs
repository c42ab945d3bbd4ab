//! `approx_top_k`, and the states that `approx_top_k_accumulate` makes and `approx_top_k_combine` puts together.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int32Array, StringArray, StructArray, new_null_array};
use arrow::datatypes::{DataType as ArrowType, Int32Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result, SparkError};

use super::items::ItemType;
use super::{
    K, K_DEFAULT, TRACKED, TRACKED_DEFAULT, TRACKED_MAX, TopK, check_k, check_tracked, ddl, estimate, failure,
    item_of_state, positive, result_type, state_type,
};
use crate::aggregates::call::AggregateBuilder;
use crate::aggregates::udaf::{AggregateCall, AggregateKernel};
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{from_arrow, from_datafusion};
use crate::typed::TypedExpr;

/// `approx_top_k_combine` without a size takes that of its states.
const OF_STATES: i32 = -1;

struct TopKAccumulator {
    call: Arc<AggregateCall>,
    item: DataType,
    items: ItemType,
    top: TopK,
    /// Size of the sketch; of combined states, what they have so far
    tracked: i32,
    /// What the states say of their items
    described: Option<String>,
}

impl std::fmt::Debug for TopKAccumulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.call.name)
    }
}

impl TopKAccumulator {
    fn combine(&mut self, states: &ArrayRef) -> Result<()> {
        let states = states.as_struct_opt().ok_or_else(|| SparkError::internal("states are structs"))?;
        let columns = states.columns();
        let (Some(sketches), Some(tracked), Some(described)) = (
            columns.first().and_then(|c| c.as_binary_opt::<i32>()),
            columns.get(1).and_then(|c| c.as_primitive_opt::<Int32Type>()),
            columns.get(3).and_then(|c| c.as_string_opt::<i32>()),
        ) else {
            return Err(SparkError::internal("states have other columns"));
        };
        for row in (0..states.len()).filter(|row| states.is_valid(*row) && sketches.is_valid(*row)) {
            self.check_type(described.value(row))?;
            self.check_size(tracked.value(row))?;
            self.top.merge(&TopK::deserialize(sketches.value(row), &self.items)?);
        }
        Ok(())
    }

    fn check_type(&mut self, described: &str) -> Result<()> {
        match &self.described {
            Some(known) if known != described => {
                let shown = |text: &str| {
                    let name = text.strip_prefix("item ").unwrap_or(text).to_uppercase();
                    format!("\"{}\"", name.strip_suffix(" NOT NULL").unwrap_or(&name))
                };
                let types = [("type1", shown(known)), ("type2", shown(described))];
                Err(SparkError::new("APPROX_TOP_K_SKETCH_TYPE_NOT_MATCH", types))
            }
            _ => {
                self.described = Some(described.to_string());
                Ok(())
            }
        }
    }

    fn check_size(&mut self, tracked: i32) -> Result<()> {
        if !self.call.has_option("size of states") {
            return Ok(());
        }
        if self.tracked != OF_STATES && self.tracked != tracked {
            return Err(SparkError::new(
                "APPROX_TOP_K_SKETCH_SIZE_NOT_MATCH",
                [("size1", self.tracked.to_string()), ("size2", tracked.to_string())],
            ));
        }
        self.tracked = tracked;
        Ok(())
    }

    fn result(&self) -> Result<ScalarValue> {
        let to = self.call.return_arrow();
        let column: ArrayRef = match &to {
            ArrowType::Struct(fields) => {
                let described = self.described.clone().unwrap_or_else(|| ddl(&self.item));
                let columns: Vec<ArrayRef> = vec![
                    Arc::new(BinaryArray::from_iter_values([self.top.serialize(&self.items)])),
                    Arc::new(Int32Array::from(vec![self.tracked])),
                    new_null_array(&crate::types::to_arrow(&self.item), 1),
                    Arc::new(StringArray::from(vec![described])),
                ];
                Arc::new(StructArray::try_new(fields.clone(), columns, None).map_err(from_arrow)?)
            }
            _ => {
                let k: usize = self.call.option(1).parse().unwrap_or(K_DEFAULT as usize);
                estimate::lists(&[Some(&self.top)], k, &self.items, &to)?
            }
        };
        ScalarValue::try_from_array(&column, 0).map_err(from_datafusion)
    }
}

impl Accumulator for TopKAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let done = if self.call.name == "approx_top_k_combine" {
            self.combine(values)
        } else {
            let top = &mut self.top;
            self.items.for_each(values, |item| match item {
                Some(item) => top.sketch.add(item, 1),
                None => top.nulls += 1,
            })
        };
        done.or_else(|error| self.call.fail(error))
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        self.result().or_else(|error| self.call.fail(error))
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.top.sketch.size()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Binary(Some(self.top.serialize(&self.items))),
            ScalarValue::Int32(Some(self.tracked)),
            ScalarValue::Utf8(self.described.clone()),
        ])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let [sketches, tracked, described] = states else { return Ok(()) };
        let merged: Result<()> = (0..sketches.len()).try_for_each(|row| {
            let tracked = tracked.as_primitive::<Int32Type>().value(row);
            let described = described.as_string::<i32>();
            if described.is_valid(row) {
                self.check_type(described.value(row))?;
                self.check_size(tracked)?;
            }
            let other = TopK::deserialize(sketches.as_binary::<i32>().value(row), &self.items)?;
            self.top.merge(&other);
            Ok(())
        });
        merged.or_else(|error| self.call.fail(error))
    }
}

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let given = call.arg_types.first().cloned().unwrap_or(DataType::Null);
    let item = match (&given, call.name) {
        (DataType::Struct(fields), "approx_top_k_combine") => {
            fields.fields.get(2).map_or(DataType::Null, |field| field.data_type.clone())
        }
        _ => given,
    };
    let items = ItemType::of(&item).ok_or_else(|| SparkError::internal("items of a type that sketches do not take"))?;
    let tracked: i32 = call.option(0).parse().unwrap_or(TRACKED_DEFAULT);
    let top = TopK::new(if tracked == OF_STATES { TRACKED_MAX } else { tracked });
    Ok(Box::new(TopKAccumulator { call: Arc::clone(call), item, items, top, tracked, described: None }))
}

const KERNEL: AggregateKernel = AggregateKernel {
    accumulator,
    groups: None,
    state: |_| vec![ArrowType::Binary, ArrowType::Int32, ArrowType::Utf8],
};

/// Adds the defaults, and the call's text with them.
fn complete<'a, 'b>(
    context: &'a BuildContext<'b>,
    mut arguments: Arguments<'_>,
    defaults: &[i32],
) -> Result<AggregateBuilder<'a, 'b>> {
    arguments.expect(context.called_as, 1, 1 + defaults.len())?;
    let given = arguments.values.len().saturating_sub(1);
    arguments.values.extend(defaults[given..].iter().map(|value| TypedExpr::int(*value)));
    AggregateBuilder::new(context, arguments)
}

fn check_item(builder: &AggregateBuilder<'_, '_>, item: &DataType) -> Result<()> {
    if ItemType::of(item).is_some() {
        return Ok(());
    }
    let message = format!("{} columns are not supported", item.simple_string());
    Err(builder.fail(failure(builder.sql(), message)))
}

fn build_top(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let mut builder = complete(context, arguments, &[K_DEFAULT, TRACKED_DEFAULT])?;
    let item = builder.value(0).data_type.clone();
    check_item(&builder, &item)?;
    let values = builder.take_values();
    let sizes = || {
        for (value, (_, what)) in [(&values[1], K), (&values[2], TRACKED)] {
            if !value.is_foldable() {
                return Err(failure(builder.sql(), format!("{what} must be a constant literal")));
            }
        }
        let k = positive(builder.sql(), 1, values[1].clone(), K, context)?;
        let tracked = check_tracked(positive(builder.sql(), 2, values[2].clone(), TRACKED, context)?)?;
        check_k(k, tracked)?;
        Ok((k, tracked))
    };
    let (k, tracked) = sizes().map_err(|error| builder.fail(error))?;
    builder.set_values(values.into_iter().take(1).collect());
    let options = vec![tracked.to_string(), k.to_string()];
    builder.finish("approx_top_k", KERNEL, result_type(&item), false, options, vec![])
}

fn build_accumulate(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let mut builder = complete(context, arguments, &[TRACKED_DEFAULT])?;
    let item = builder.value(0).data_type.clone();
    check_item(&builder, &item)?;
    let mut values = builder.take_values();
    let tracked = values.pop().unwrap_or_else(|| TypedExpr::int(TRACKED_DEFAULT));
    let tracked = positive(builder.sql(), 1, tracked, TRACKED, context).and_then(check_tracked);
    let tracked = tracked.map_err(|error| builder.fail(error))?;
    builder.set_values(values);
    let options = vec![tracked.to_string()];
    builder.finish("approx_top_k_accumulate", KERNEL, state_type(&item), false, options, vec![])
}

fn build_combine(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let of_states = arguments.values.len() == 1;
    let mut builder = complete(context, arguments, &[OF_STATES])?;
    let item = item_of_state(builder.sql(), builder.value(0)).map_err(|error| builder.fail(error))?.clone();
    let mut values = builder.take_values();
    let tracked = values.pop().unwrap_or_else(|| TypedExpr::int(OF_STATES));
    let tracked = match of_states {
        true => Ok(OF_STATES),
        false => positive(builder.sql(), 1, tracked, TRACKED, context).and_then(check_tracked),
    };
    let mut options = vec![tracked.map_err(|error| builder.fail(error))?.to_string(), String::new()];
    if of_states {
        options.push("size of states".to_string());
    }
    builder.set_values(values);
    if ItemType::of(&item).is_none() {
        let required = quote::sql_type(&state_type(&DataType::Integer));
        let state = builder.value(0);
        let error = quote::unexpected_input_type(builder.sql(), 0, required, &state.sql, &state.data_type);
        return Err(builder.fail(error));
    }
    builder.finish("approx_top_k_combine", KERNEL, state_type(&item), false, options, vec![])
}

const fn entry(
    name: &'static str,
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    let build = Build::Custom(build);
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Aggregate,
        group: "agg_funcs",
        parameters: &[],
        build,
        usage,
        examples,
        since: "4.1.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "approx_top_k",
        build_top,
        "approx_top_k(expr[, k[, maxItemsTracked]]) - The k most frequent items (5) and their counts.",
        &[("SELECT approx_top_k(v, 1) FROM VALUES (0), (1), (1) AS t(v)", "[{\"item\":1,\"count\":2}]")],
    ),
    entry(
        "approx_top_k_accumulate",
        build_accumulate,
        "approx_top_k_accumulate(expr[, maxItemsTracked]) - A state of the items, for approx_top_k_estimate.",
        &[(
            "SELECT approx_top_k_estimate(approx_top_k_accumulate(v), 1) FROM VALUES (0), (1), (1) AS t(v)",
            "[{\"item\":1,\"count\":2}]",
        )],
    ),
    entry(
        "approx_top_k_combine",
        build_combine,
        "approx_top_k_combine(state[, maxItemsTracked]) - One state of many.",
        &[(
            "SELECT approx_top_k_estimate(approx_top_k_combine(s), 1) FROM (SELECT approx_top_k_accumulate(v) AS s FROM VALUES (1), (1) AS t(v))",
            "[{\"item\":1,\"count\":2}]",
        )],
    ),
];
