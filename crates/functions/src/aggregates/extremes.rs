//! `min`, `max`, `min_by`, `max_by`, `bool_and`, `bool_or`.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType as ArrowType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::buffered;
use super::call::{AggregateBuilder, list_type};
use super::entry;
use super::udaf::{AggregateCall, AggregateKernel};
use super::wrappers::normalise_floats;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{from_arrow, from_datafusion};
use crate::signature::Accept;

/// Keeps the value beside the smallest or largest key. Arguments: value, key.
struct Extreme {
    call: Arc<AggregateCall>,
    converter: RowConverter,
    largest: bool,
    key: Option<Box<[u8]>>,
    /// The row of arguments that holds the key
    row: Vec<ScalarValue>,
}

impl std::fmt::Debug for Extreme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.call.name)
    }
}

impl Extreme {
    fn key_index(&self) -> usize {
        self.call.arg_types.len() - 1
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let Some(keys) = values.get(self.key_index()) else { return Ok(()) };
        let rows = self.converter.convert_columns(&[normalise_floats(keys)])?;
        let nulls = keys.logical_nulls();
        let mut best = None;
        for (index, row) in rows.iter().enumerate() {
            if nulls.as_ref().is_some_and(|n| n.is_null(index)) {
                continue;
            }
            let current: Option<&[u8]> = match best {
                Some(at) => Some(rows.row(at).data()),
                None => self.key.as_deref(),
            };
            // Of equal keys the later row wins.
            let better = match current {
                None => true,
                Some(key) if self.largest => row.data() >= key,
                Some(key) => row.data() <= key,
            };
            if better {
                best = Some(index);
            }
        }
        if let Some(index) = best {
            self.key = Some(rows.row(index).data().into());
            self.row = values.iter().map(|v| ScalarValue::try_from_array(v, index)).collect::<DfResult<_>>()?;
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        match self.row.first() {
            Some(value) => Ok(value.clone()),
            None => ScalarValue::try_from(self.call.return_arrow()),
        }
    }
    fn size(&self) -> usize {
        size_of::<Self>()
            + self.key.as_ref().map_or(0, |k| k.len())
            + self.row.iter().map(ScalarValue::size).sum::<usize>()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        if self.row.is_empty() {
            return (0..self.call.arg_types.len()).map(|i| ScalarValue::try_from(self.call.arg_arrow(i))).collect();
        }
        Ok(self.row.clone())
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.update_batch(states)
    }
}

fn extreme(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let field = SortField::new(call.arg_arrow(call.arg_types.len() - 1));
    Ok(Box::new(Extreme {
        call: Arc::clone(call),
        converter: RowConverter::new(vec![field]).map_err(from_arrow)?,
        largest: call.name.starts_with("max"),
        key: None,
        row: vec![],
    }))
}

const KERNEL: AggregateKernel = AggregateKernel {
    accumulator: extreme,
    groups: None,
    state: |call| (0..call.arg_types.len()).map(|i| call.arg_arrow(i)).collect(),
};

fn orderable(builder: &AggregateBuilder<'_, '_>, index: usize, function: &str) -> Result<()> {
    let value = builder.value(index);
    if value.data_type.is_orderable() {
        return Ok(());
    }
    Err(builder.fail(quote::mismatch(
        "INVALID_ORDERING_TYPE",
        builder.sql(),
        [("functionName", quote::sql_id(function)), ("dataType", quote::sql_type(&value.data_type))],
    )))
}

/// Whether DataFusion's comparison is Spark's: not for floats (NaN), nor for what nests.
fn is_native(data_type: &DataType) -> bool {
    data_type.is_integral()
        || data_type.is_decimal()
        || data_type.is_datetime()
        || matches!(data_type, DataType::Boolean | DataType::Binary | DataType::Time(_))
        || data_type.is_string()
}

fn build_min_max(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let largest = context.called_as.eq_ignore_ascii_case("max");
    orderable(&builder, 0, if largest { "max" } else { "min" })?;
    let data_type = builder.value(0).data_type.clone();
    // Repetitions do not change an extreme.
    builder.set_distinct(false);
    if is_native(&data_type) {
        return builder.native(if largest { max_udaf() } else { min_udaf() }, data_type, true);
    }
    builder.finish(if largest { "max" } else { "min" }, KERNEL, data_type, true, vec![], vec![])
}

fn build_bool(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let any = ["bool_or", "some", "any"].contains(&context.called_as.to_lowercase().as_str());
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.accept(&[Accept::Boolean])?;
    builder.set_distinct(false);
    builder.native(if any { max_udaf() } else { min_udaf() }, DataType::Boolean, true)
}

fn build_by(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let largest = context.called_as.eq_ignore_ascii_case("max_by");
    let name = if largest { "max_by" } else { "min_by" };
    let mut builder = AggregateBuilder::new(context, arguments)?;
    orderable(&builder, 1, name)?;
    let value = builder.value(0).clone();
    if builder.values().len() == 2 {
        return builder.finish(name, KERNEL, value.data_type, true, vec![], vec![]);
    }
    builder.accept(&[Accept::Any, Accept::Any, Accept::Integer])?;
    let count = builder.constant(2, "k")?;
    let limit = match count {
        ScalarValue::Int32(Some(k)) if (1..=100_000).contains(&k) => k,
        other => {
            let error = quote::mismatch(
                "VALUE_OUT_OF_RANGE",
                builder.sql(),
                [
                    ("exprName", "k".to_string()),
                    ("valueRange", "[1, 100000]".to_string()),
                    ("currentValue", other.to_string()),
                ],
            );
            return Err(builder.fail(error));
        }
    };
    let mut values = builder.take_values();
    values.truncate(2);
    builder.set_values(values);
    let result = DataType::array(value.data_type, true);
    builder.finish(name, TOP_KERNEL, result, true, vec![], vec![ScalarValue::Int32(Some(limit))])
}

const TOP_KERNEL: AggregateKernel = buffered::kernel(|call| buffered::accumulator(call, false, top));

/// The values beside the `k` smallest or largest keys.
fn top(call: &AggregateCall, columns: &[ArrayRef]) -> Result<ScalarValue> {
    let [values, keys] = columns else { return Ok(ScalarValue::Null) };
    let limit = match call.constants.first() {
        Some(ScalarValue::Int32(Some(k))) => usize::try_from(*k).unwrap_or(0),
        _ => 0,
    };
    let present = arrow::compute::is_not_null(keys).map_err(from_arrow)?;
    let keys = normalise_floats(&arrow::compute::filter(keys, &present).map_err(from_arrow)?);
    let values = arrow::compute::filter(values, &present).map_err(from_arrow)?;
    if keys.is_empty() {
        return ScalarValue::try_from(list_type_of(call)).map_err(from_datafusion);
    }
    let options = SortOptions { descending: call.name.starts_with("max"), nulls_first: false };
    let order = sort_indices(&[(keys, options)])?;
    let order = order.slice(0, limit.min(order.len()));
    buffered::list_result(call, arrow::compute::take(&values, &order, None).map_err(from_arrow)?)
}

fn list_type_of(call: &AggregateCall) -> ArrowType {
    match call.return_arrow() {
        list @ ArrowType::List(_) => list,
        other => list_type(other, true),
    }
}

/// Stable order of rows by keys of any type.
pub fn sort_indices(keys: &[(ArrayRef, SortOptions)]) -> Result<arrow::array::UInt32Array> {
    let fields = keys.iter().map(|(k, o)| SortField::new_with_options(k.data_type().clone(), *o)).collect();
    let columns: Vec<ArrayRef> = keys.iter().map(|(k, _)| normalise_floats(k)).collect();
    let rows = RowConverter::new(fields).and_then(|c| c.convert_columns(&columns)).map_err(from_arrow)?;
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by(|a, b| rows.row(*a as usize).cmp(&rows.row(*b as usize)));
    Ok(order.into())
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "min",
        &[],
        build_min_max,
        "min(expr) - The smallest value of a group.",
        "SELECT min(col) FROM VALUES (10), (-1), (20) AS tab(col)",
        "-1",
        "1.0.0"
    ),
    entry!(
        "max",
        &[],
        build_min_max,
        "max(expr) - The largest value of a group.",
        "SELECT max(col) FROM VALUES (10), (50), (20) AS tab(col)",
        "50",
        "1.0.0"
    ),
    entry!(
        "min_by",
        &[],
        build_by,
        "min_by(x, y[, k]) - The value of x in the row with the smallest y, or an array of those of the k smallest.",
        "SELECT min_by(x, y) FROM VALUES ('a', 10), ('b', 50), ('c', 20) AS tab(x, y)",
        "a",
        "3.0.0"
    ),
    entry!(
        "max_by",
        &[],
        build_by,
        "max_by(x, y[, k]) - The value of x in the row with the largest y, or an array of those of the k largest.",
        "SELECT max_by(x, y) FROM VALUES ('a', 10), ('b', 50), ('c', 20) AS tab(x, y)",
        "b",
        "3.0.0"
    ),
    entry!(
        "bool_and",
        &["every"],
        build_bool,
        "bool_and(expr) - Whether expr is true in every row.",
        "SELECT bool_and(col) FROM VALUES (true), (false) AS tab(col)",
        "false",
        "3.0.0"
    ),
    entry!(
        "bool_or",
        &["any", "some"],
        build_bool,
        "bool_or(expr) - Whether expr is true in some row.",
        "SELECT bool_or(col) FROM VALUES (true), (false) AS tab(col)",
        "true",
        "3.0.0"
    ),
];
