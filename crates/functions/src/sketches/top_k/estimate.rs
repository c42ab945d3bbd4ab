//! `approx_top_k_estimate`: the most frequent items of a state.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Int32Type};
use firesteel_plan::{DataType, Result, SparkError};

use super::items::ItemType;
use super::{K, K_DEFAULT, TopK, check_k, item_of_state, positive, result_type};
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::scalar::{ScalarArgs, SparkScalar, from_arrow};
use crate::sketches::arguments::defaulted;
use crate::typed::TypedExpr;

/// Lists of items and counts, as [`result_type`] has them.
pub(super) fn lists(tops: &[Option<&TopK>], k: usize, items: &ItemType, to: &ArrowType) -> Result<ArrayRef> {
    let ArrowType::List(field) = to else { return Err(SparkError::internal("top items are lists")) };
    let ArrowType::Struct(fields) = field.data_type() else {
        return Err(SparkError::internal("top items are structs"));
    };
    let found: Vec<_> = tops.iter().map(|top| top.map(|top| top.top(k)).unwrap_or_default()).collect();
    let lengths: Vec<usize> = found.iter().map(Vec::len).collect();
    let values: Vec<_> = found.iter().flatten().map(|(item, _)| *item).collect();
    let counts: Int64Array = found.iter().flatten().map(|(_, count)| Some(*count)).collect();
    let columns: Vec<ArrayRef> = vec![items.column(&values)?, Arc::new(counts)];
    let rows = StructArray::try_new(fields.clone(), columns, None).map_err(from_arrow)?;
    let nulls = NullBuffer::from_iter(tops.iter().map(Option::is_some));
    let lists = ListArray::try_new(Arc::clone(field), OffsetBuffer::from_lengths(lengths), Arc::new(rows), Some(nulls));
    Ok(Arc::new(lists.map_err(from_arrow)?))
}

fn kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let states = args.array(0)?;
    let states = states.as_struct_opt().ok_or_else(|| SparkError::internal("states are structs"))?;
    let Some(DataType::Struct(fields)) = args.arg_types.first() else {
        return Err(SparkError::internal("states are structs"));
    };
    let items = fields.fields.get(2).and_then(|field| ItemType::of(&field.data_type));
    let items = items.ok_or_else(|| SparkError::internal("states have items of other types"))?;
    let k: i32 = args.option(0).parse().unwrap_or(K_DEFAULT);
    let (sketches, tracked) = (states.column(0), states.column(1));
    let (Some(sketches), Some(tracked)) = (sketches.as_binary_opt::<i32>(), tracked.as_primitive_opt::<Int32Type>())
    else {
        return Err(SparkError::internal("states have other columns"));
    };
    let one = |row: usize| {
        if states.is_null(row) || sketches.is_null(row) {
            return Ok(None);
        }
        check_k(k, tracked.value(row))?;
        TopK::deserialize(sketches.value(row), &items).map(Some)
    };
    let tops = (0..args.rows).map(one).collect::<Result<Vec<_>>>()?;
    lists(&tops.iter().map(Option::as_ref).collect::<Vec<_>>(), k as usize, &items, &args.arrow_type())
}

fn build(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = defaulted(context, &mut arguments, 2, TypedExpr::int(K_DEFAULT));
    let at = |error: SparkError| error.with_origin(context.origin.as_ref());
    let (state, k) = arguments.two(context.called_as)?;
    let item = item_of_state(&sql, &state).map_err(at)?.clone();
    let k = positive(&sql, 1, k, K, context).map_err(at)?;
    let nullable = state.nullable;
    let call =
        SparkScalar::call("approx_top_k_estimate", kernel, vec![state], result_type(&item), nullable, context.eval);
    let call = call.options(vec![k.to_string()]).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

pub static FUNCTIONS: &[Function] = &[Function::custom(
    "approx_top_k_estimate",
    "misc_funcs",
    "4.1.0",
    build,
    "approx_top_k_estimate(state[, k]) - The k most frequent items of a state of approx_top_k_accumulate (5).",
    &[(
        "SELECT approx_top_k_estimate(approx_top_k_accumulate(v), 1) FROM VALUES (0), (1), (1) AS t(v)",
        "[{\"item\":1,\"count\":2}]",
    )],
)];
