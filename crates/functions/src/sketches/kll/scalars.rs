//! What is asked of KLL sketches, and the merging of two.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType as ArrowType;
use datasketches::common::SearchCriteria;
use datasketches::kll::{KllFloat, KllSketch};
use firesteel_plan::{DataType, Result, SparkError};

use super::summary::summary;
use super::{Item, invalid, read};
use crate::coerce;
use crate::fold;
use crate::java_number;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{Kernel, ScalarArgs, SparkScalar, from_arrow};
use crate::signature::Accept;
use crate::typed::TypedExpr;
use crate::view;

/// Calls `each` with the sketch of every row that has one.
fn each_sketch<T: Item, R>(
    args: &ScalarArgs<'_>,
    mut each: impl FnMut(&KllSketch<T>) -> Result<R>,
) -> Result<Vec<Option<R>>> {
    let sketches = view::binaries(args, 0)?;
    let one = |row| sketches.get(row).map(|bytes| each(&read(bytes, args.option(0))?)).transpose();
    (0..args.rows).map(one).collect()
}

fn count<T: Item>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let counts = each_sketch::<T, _>(args, |sketch| Ok(i64::try_from(sketch.n()).unwrap_or(i64::MAX)))?;
    Ok(Arc::new(Int64Array::from(counts)))
}

fn text<T: Item>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let texts = each_sketch::<T, _>(args, |sketch| Ok(summary(sketch)))?;
    rows::slices(args.rows, |row| texts.get(row).and_then(|text| text.as_deref()))
}

fn merge<T: Item>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (left, right) = (view::binaries(args, 0)?, view::binaries(args, 1)?);
    rows::try_bytes(args.rows, |row, out| {
        let (Some(a), Some(b)) = (left.get(row), right.get(row)) else { return Ok(None) };
        let unfit = |reason: String| {
            let function = ("functionName", quote::sql_id(args.option(0)));
            SparkError::new("KLL_SKETCH_INCOMPATIBLE_MERGE", [function, ("reason", reason)])
        };
        let mut merged = read::<T>(a, args.option(0))?;
        let other = KllSketch::<T>::deserialize(b).map_err(|error| unfit(error.to_string()))?;
        merged.merge(&other).map_err(|error| unfit(error.to_string()))?;
        out.extend(merged.serialize());
        Ok(Some(()))
    })
}

/// Answers a constant question, or each of an array of them, of every sketch.
fn ask<T: Item, R>(
    args: &ScalarArgs<'_>,
    questions: impl Fn(&ArrayRef) -> Result<Vec<Option<R>>>,
    answer: impl Fn(&KllSketch<T>, &R) -> Result<ArrayRef>,
) -> Result<ArrayRef> {
    let asked = view::any(args, 1)?;
    let items = match asked.array.as_list_opt::<i32>() {
        Some(list) if list.is_null(0) => None,
        Some(list) => Some(questions(&list.value(0))?),
        None => Some(questions(&asked.array.slice(0, 1))?).filter(|q| q.iter().all(Option::is_some)),
    };
    let nothing = || Ok(arrow::array::new_null_array(&args.arrow_type(), args.rows));
    let Some(items) = items else { return nothing() };
    let answers = each_sketch::<T, _>(args, |sketch| {
        if sketch.is_empty() {
            return Err(invalid(args.option(0), "the sketch is empty".to_string()));
        }
        items.iter().flatten().map(|question| answer(sketch, question)).collect::<Result<Vec<_>>>()
    })?;
    let parts: Vec<&dyn Array> = answers.iter().flatten().flatten().map(|a| a.as_ref()).collect();
    if parts.is_empty() {
        return nothing();
    }
    let values = arrow::compute::concat(&parts).map_err(from_arrow)?;
    let valid: Vec<bool> = answers.iter().map(Option::is_some).collect();
    match args.arrow_type() {
        ArrowType::List(field) => {
            let lengths = answers.iter().map(|a| a.as_ref().map_or(0, Vec::len));
            let offsets = OffsetBuffer::from_lengths(lengths);
            Ok(Arc::new(ListArray::try_new(field, offsets, values, Some(NullBuffer::from(valid))).map_err(from_arrow)?))
        }
        _ => {
            // One answer for each sketch, none where there is no sketch.
            let mut next = 0..;
            let places: arrow::array::UInt32Array =
                valid.iter().map(|valid| if *valid { next.next() } else { None }).collect();
            arrow::compute::take(&values, &places, None).map_err(from_arrow)
        }
    }
}

fn quantile<T: Item>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let ranks = |values: &ArrayRef| {
        let ranks = <KllFloat<f64> as Item>::list(values)?;
        let bad = ranks.iter().flatten().map(|rank| rank.into_inner()).find(|rank| !(0.0..=1.0).contains(rank));
        match bad {
            Some(rank) => Err(SparkError::new(
                "KLL_SKETCH_INVALID_QUANTILE_RANGE",
                [
                    ("functionName", quote::sql_id(args.option(0))),
                    ("quantile", format!("{}D", java_number::double(rank))),
                ],
            )),
            None => Ok(ranks),
        }
    };
    ask::<T, _>(args, ranks, |sketch, rank| {
        let found = sketch.quantile(rank.into_inner(), SearchCriteria::Inclusive);
        Ok(T::column(vec![found.map_err(|error| invalid(args.option(0), error.to_string()))?]))
    })
}

fn rank<T: Item>(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    ask::<T, _>(args, T::list, |sketch, item| {
        let rank = sketch.rank(item, SearchCriteria::Inclusive);
        Ok(Arc::new(arrow::array::Float64Array::from(vec![rank])))
    })
}

/// Casts a constant question to `item`, or to an array of it.
fn question(context: &BuildContext<'_>, sql: &str, name: &str, given: TypedExpr, item: &DataType) -> Result<TypedExpr> {
    if !given.is_foldable() {
        return Err(fold::not_foldable(sql, name, &given).with_origin(context.origin.as_ref()));
    }
    let castable = |from: &DataType| from.is_numeric() || from.is_string() || *from == DataType::Null;
    let list = DataType::array(item.clone(), false);
    let wanted = match &given.data_type {
        DataType::Array(element, false) if castable(element) => list.clone(),
        other if castable(other) => item.clone(),
        _ => {
            let required = quote::sql_types([item.clone(), list]);
            let error = quote::unexpected_input_type(sql, 1, required, &given.sql, &given.data_type);
            return Err(error.with_origin(context.origin.as_ref()));
        }
    };
    coerce::implicit(given, &wanted, context.eval, &context.origin)
}

/// What a function does with a sketch.
enum Task {
    Count,
    Text,
    Merge,
    Quantile,
    Rank,
}

fn build<T: Item>(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    task: Task,
) -> Result<Built> {
    let arity = if matches!(task, Task::Count | Task::Text) { 1 } else { 2 };
    arguments.expect(name, arity, arity)?;
    let texts: Vec<&str> = arguments.values.iter().map(|v| v.sql.as_str()).collect();
    let sql = format!("{name}({})", texts.join(", "));
    let accepts = if matches!(task, Task::Merge) { [Accept::Binary; 2] } else { [Accept::Binary, Accept::Any] };
    let mut values = coerce::arguments(&sql, &accepts[..arity], arguments.values, context)?;
    let asked = match task {
        Task::Quantile => Some(("rank", DataType::Double)),
        Task::Rank => Some(("quantile", T::data_type())),
        _ => None,
    };
    let mut is_list = false;
    if let Some((parameter, item)) = asked
        && let Some(given) = values.pop()
    {
        let given = question(context, &sql, parameter, given, &item)?;
        is_list = matches!(given.data_type, DataType::Array(..));
        values.push(given);
    }
    let listed = |item: DataType| if is_list { DataType::array(item, false) } else { item };
    let (kernel, result): (Kernel, DataType) = match task {
        Task::Count => (count::<T>, DataType::Long),
        Task::Text => (text::<T>, DataType::STRING),
        Task::Merge => (merge::<T>, DataType::Binary),
        Task::Quantile => (quantile::<T>, listed(T::data_type())),
        Task::Rank => (rank::<T>, listed(DataType::Double)),
    };
    let nullable = values.iter().any(|v| v.nullable);
    let call = SparkScalar::call(name, kernel, values, result, nullable, context.eval).options(vec![name.to_string()]);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

macro_rules! entries {
    ($($item:ty, $task:ident, $name:literal, $usage:literal, $sql:literal, $result:literal;)*) => {
        &[$(Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Scalar,
            group: "misc_funcs",
            parameters: &[],
            build: Build::Custom(|context, arguments| build::<$item>(context, arguments, $name, Task::$task)),
            usage: concat!($name, $usage),
            examples: &[($sql, $result)],
            since: "4.1.0",
        },)*]
    };
}

pub static FUNCTIONS: &[Function] = entries! {
    i64, Count, "kll_sketch_get_n_bigint", "(expr) - How many values a sketch has seen.",
        "SELECT kll_sketch_get_n_bigint(kll_sketch_agg_bigint(c)) FROM VALUES (1), (2) t(c)", "2";
    i64, Text, "kll_sketch_to_string_bigint", "(expr) - A summary of a sketch for people.",
        "SELECT kll_sketch_to_string_bigint(kll_sketch_agg_bigint(c)) LIKE '%Kll%' FROM VALUES (1) t(c)", "true";
    i64, Merge, "kll_sketch_merge_bigint", "(first, second) - One sketch of two.",
        "SELECT kll_sketch_get_n_bigint(kll_sketch_merge_bigint(kll_sketch_agg_bigint(c), kll_sketch_agg_bigint(c))) FROM VALUES (1) t(c)", "2";
    i64, Quantile, "kll_sketch_get_quantile_bigint", "(sketch, rank) - The value at a rank from 0 to 1, or those at an array of ranks.",
        "SELECT kll_sketch_get_quantile_bigint(kll_sketch_agg_bigint(c), 0.5) FROM VALUES (1), (2), (3) t(c)", "2";
    i64, Rank, "kll_sketch_get_rank_bigint", "(sketch, value) - The part of the values that are not above a value, or above each of an array.",
        "SELECT kll_sketch_get_rank_bigint(kll_sketch_agg_bigint(c), 1) FROM VALUES (1), (2) t(c)", "0.5";
    KllFloat<f32>, Count, "kll_sketch_get_n_float", "(expr) - How many values a sketch has seen.",
        "SELECT kll_sketch_get_n_float(kll_sketch_agg_float(c)) FROM VALUES (1F), (2F) t(c)", "2";
    KllFloat<f32>, Text, "kll_sketch_to_string_float", "(expr) - A summary of a sketch for people.",
        "SELECT kll_sketch_to_string_float(kll_sketch_agg_float(c)) LIKE '%Kll%' FROM VALUES (1F) t(c)", "true";
    KllFloat<f32>, Merge, "kll_sketch_merge_float", "(first, second) - One sketch of two.",
        "SELECT kll_sketch_get_n_float(kll_sketch_merge_float(kll_sketch_agg_float(c), kll_sketch_agg_float(c))) FROM VALUES (1F) t(c)", "2";
    KllFloat<f32>, Quantile, "kll_sketch_get_quantile_float", "(sketch, rank) - The value at a rank from 0 to 1, or those at an array of ranks.",
        "SELECT kll_sketch_get_quantile_float(kll_sketch_agg_float(c), 0.5) FROM VALUES (1F), (2F), (3F) t(c)", "2.0";
    KllFloat<f32>, Rank, "kll_sketch_get_rank_float", "(sketch, value) - The part of the values that are not above a value, or above each of an array.",
        "SELECT kll_sketch_get_rank_float(kll_sketch_agg_float(c), 1) FROM VALUES (1F), (2F) t(c)", "0.5";
    KllFloat<f64>, Count, "kll_sketch_get_n_double", "(expr) - How many values a sketch has seen.",
        "SELECT kll_sketch_get_n_double(kll_sketch_agg_double(c)) FROM VALUES (1D), (2D) t(c)", "2";
    KllFloat<f64>, Text, "kll_sketch_to_string_double", "(expr) - A summary of a sketch for people.",
        "SELECT kll_sketch_to_string_double(kll_sketch_agg_double(c)) LIKE '%Kll%' FROM VALUES (1D) t(c)", "true";
    KllFloat<f64>, Merge, "kll_sketch_merge_double", "(first, second) - One sketch of two.",
        "SELECT kll_sketch_get_n_double(kll_sketch_merge_double(kll_sketch_agg_double(c), kll_sketch_agg_double(c))) FROM VALUES (1D) t(c)", "2";
    KllFloat<f64>, Quantile, "kll_sketch_get_quantile_double", "(sketch, rank) - The value at a rank from 0 to 1, or those at an array of ranks.",
        "SELECT kll_sketch_get_quantile_double(kll_sketch_agg_double(c), 0.5) FROM VALUES (1D), (2D), (3D) t(c)", "2.0";
    KllFloat<f64>, Rank, "kll_sketch_get_rank_double", "(sketch, value) - The part of the values that are not above a value, or above each of an array.",
        "SELECT kll_sketch_get_rank_double(kll_sketch_agg_double(c), 1) FROM VALUES (1D), (2D) t(c)", "0.5";
};
