//! `first`, `last`, `any_value` and their aliases.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::call::AggregateBuilder;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};

/// The first or last value seen.
struct Edge {
    empty: ScalarValue,
    last: bool,
    ignore_nulls: bool,
    value: Option<ScalarValue>,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.last { "last" } else { "first" })
    }
}

impl Edge {
    fn take(&mut self, values: &ArrayRef, seen: impl Fn(usize) -> bool) -> DfResult<()> {
        if !self.last && self.value.is_some() {
            return Ok(());
        }
        let nulls = if self.ignore_nulls { values.logical_nulls() } else { None };
        let counts = |row: &usize| seen(*row) && nulls.as_ref().is_none_or(|n| n.is_valid(*row));
        let row = if self.last { (0..values.len()).rev().find(counts) } else { (0..values.len()).find(counts) };
        if let Some(row) = row {
            self.value = Some(ScalarValue::try_from_array(values, row)?);
        }
        Ok(())
    }
}

impl Accumulator for Edge {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        values.first().map_or(Ok(()), |v| self.take(v, |_| true))
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(self.value.clone().unwrap_or_else(|| self.empty.clone()))
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.value.as_ref().map_or(0, ScalarValue::size)
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?, ScalarValue::Boolean(Some(self.value.is_some()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let [values, seen] = states else { return Ok(()) };
        let seen = seen.as_boolean();
        self.take(values, |row| seen.is_valid(row) && seen.value(row))
    }
}

fn edge(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let empty = crate::types::null_value(&call.return_type);
    Ok(Box::new(Edge {
        empty,
        last: call.name.starts_with("last"),
        ignore_nulls: call.has_option("ignore nulls"),
        value: None,
    }))
}

const KERNEL: AggregateKernel =
    AggregateKernel { accumulator: edge, groups: None, state: |call| vec![call.return_arrow(), ArrowType::Boolean] };

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let written = context.called_as.to_lowercase();
    let (name, shown) = match written.as_str() {
        "any_value" => ("any_value", "any_value"),
        "first" => ("first", "first"),
        "first_value" => ("first", "first_value"),
        "last" => ("last", "last"),
        _ => ("last", "last_value"),
    };
    let mut builder = AggregateBuilder::new(context, arguments)?;
    // Where NULLs are spoken of, only the first of its names is shown.
    let shown = match (builder.ignore_nulls, shown) {
        (Some(_), "first_value") => "first",
        (Some(_), "last_value") => "last",
        (_, shown) => shown,
    };
    let mut ignore_nulls = builder.ignore_nulls == Some(true);
    if let [_, flag] = builder.values() {
        if flag.data_type != DataType::Boolean || !flag.is_foldable() {
            let error = firesteel_plan::SparkError::new("_LEGACY_ERROR_TEMP_1210", [("funcName", name)]);
            return Err(builder.fail(error));
        }
        ignore_nulls |= builder.constant(1, "ignoreNulls")? == ScalarValue::Boolean(Some(true));
    }
    let mut values = builder.take_values();
    values.truncate(1);
    let distinct = if builder.is_distinct() { "DISTINCT " } else { "" };
    builder.set_sql(format!("{shown}({distinct}{})", values[0].sql));
    let (data_type, nullable) = (values[0].data_type.clone(), true);
    builder.set_values(values);
    builder.set_distinct(false);
    let options = if ignore_nulls { vec!["ignore nulls".to_string()] } else { vec![] };
    builder.finish(name, KERNEL, data_type, nullable, options, vec![])
}

macro_rules! entry {
    ($name:literal, $usage:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Aggregate,
            group: "agg_funcs",
            parameters: &[],
            build: Build::Custom(build),
            usage: $usage,
            examples: &[(concat!("SELECT ", $name, "(col) FROM VALUES (10), (5), (20) AS tab(col)"), $result)],
            since: $since,
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    entry!("any_value", "any_value(expr[, isIgnoreNull]) - Some value of a group.", "10", "3.4.0"),
    entry!("first", "first(expr[, isIgnoreNull]) - The value of the first row of a group.", "10", "2.0.0"),
    entry!("first_value", "first_value(expr[, isIgnoreNull]) - The value of the first row of a group.", "10", "2.0.0"),
    entry!("last", "last(expr[, isIgnoreNull]) - The value of the last row of a group.", "20", "2.0.0"),
    entry!("last_value", "last_value(expr[, isIgnoreNull]) - The value of the last row of a group.", "20", "2.0.0"),
];
