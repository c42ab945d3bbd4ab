//! `count` and `count_if`.
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::{Accumulator, EmitTo, Expr, GroupsAccumulator, when};
use firesteel_plan::{DataType, Result, SparkError};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;

use super::call::AggregateBuilder;
use super::grouped::states_of_rows;
use super::udaf::AggregateKernel;
use crate::collation::Collator;
use crate::comparison::comparable;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::from_datafusion;
use crate::signature::Accept;
use crate::typed::TypedExpr;

fn one() -> Expr {
    Expr::Literal(ScalarValue::Int64(Some(1)), None)
}

fn build_count(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    if arguments.values.is_empty() {
        if !context.eval.flag("spark.sql.legacy.allowParameterlessCount", false) {
            return Err(parameterless(context));
        }
        // The old meaning: there is nothing to count, shown as `count()`.
        arguments.values.push(TypedExpr::literal(ScalarValue::Int64(None), DataType::Long, ""));
    }
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let values = builder.take_values();
    if builder.is_distinct() {
        builder.set_values(values.into_iter().map(|value| collation_key(value, context)).collect());
        return builder.finish("count", DISTINCT_KERNEL, DataType::Long, false, vec![], vec![]);
    }
    // Several arguments count the rows where none of them is NULL.
    let nullable: Vec<&TypedExpr> = values.iter().filter(|v| v.nullable).collect();
    let counted = match (values.as_slice(), nullable.as_slice()) {
        ([only], _) => only.expr.clone(),
        (_, []) => one(),
        (_, nullable) => {
            let all = nullable.iter().map(|v| v.expr.clone().is_not_null()).reduce(Expr::and).unwrap_or_else(one);
            when(all, one()).end().map_err(from_datafusion)?
        }
    };
    builder.set_values(vec![TypedExpr::new(counted, DataType::Long, true, "")]);
    builder.native(count_udaf(), DataType::Long, false)
}

/// What is counted of strings of a collation: their keys, as several texts may be equal.
fn collation_key(value: TypedExpr, context: &BuildContext<'_>) -> TypedExpr {
    if !matches!(value.data_type, DataType::String(_)) || Collator::of(&value.data_type).is_binary() {
        return value;
    }
    let nullable = value.nullable;
    TypedExpr::new(comparable(value, context.eval), DataType::Binary, nullable, "")
}

fn parameterless(context: &BuildContext<'_>) -> SparkError {
    let error = SparkError::new(
        "WRONG_NUM_ARGS.WITH_SUGGESTION",
        [
            ("functionName", "`count`"),
            ("expectedNum", " >= 1"),
            ("actualNum", "0"),
            ("legacyNum", "0"),
            ("legacyConfKey", "\"spark.sql.legacy.allowParameterlessCount\""),
            ("legacyConfValue", "\"true\""),
        ],
    );
    error.with_origin(context.origin.as_ref())
}

/// Counts rows without a NULL: distinct ones, given by the DISTINCT wrapper or by a grouping below.
#[derive(Debug, Default)]
struct CountRows(i64);

/// The rows where no argument is NULL; `None`: all.
fn whole_rows(values: &[ArrayRef]) -> Option<NullBuffer> {
    values.iter().fold(None, |whole, column| NullBuffer::union(whole.as_ref(), column.logical_nulls().as_ref()))
}

impl Accumulator for CountRows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let rows = values.first().map_or(0, |v| v.len());
        self.0 += (rows - whole_rows(values).map_or(0, |nulls| nulls.null_count())) as i64;
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.0)))
    }
    fn size(&self) -> usize {
        size_of::<Self>()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(Some(self.0))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        if let Some(counts) = states.first().and_then(|s| s.as_primitive_opt::<Int64Type>()) {
            self.0 += counts.iter().flatten().sum::<i64>();
        }
        Ok(())
    }
}

/// The same for each group.
#[derive(Debug, Default)]
struct CountGroups(Vec<i64>);

impl CountGroups {
    fn add(&mut self, groups: &[usize], group_count: usize, count_of: impl Fn(usize) -> i64) {
        self.0.resize(group_count.max(self.0.len()), 0);
        for (row, group) in groups.iter().enumerate() {
            self.0[*group] += count_of(row);
        }
    }
}

impl GroupsAccumulator for CountGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> DfResult<()> {
        let nulls = whole_rows(values);
        let keep = opt_filter.map(super::grouped::without_nulls);
        self.add(group_indices, total_num_groups, |row| {
            let whole = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            i64::from(whole && keep.as_ref().is_none_or(|keep| keep.value(row)))
        });
        Ok(())
    }
    fn evaluate(&mut self, emit_to: EmitTo) -> DfResult<ArrayRef> {
        Ok(Arc::new(Int64Array::from(emit_to.take_needed(&mut self.0))))
    }
    fn state(&mut self, emit_to: EmitTo) -> DfResult<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }
    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> DfResult<()> {
        if let Some(counts) = values.first().and_then(|state| state.as_primitive_opt::<Int64Type>()) {
            self.add(group_indices, total_num_groups, |row| counts.value(row));
        }
        Ok(())
    }
    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        states_of_rows(Self::default(), values, opt_filter)
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.0.capacity() * size_of::<i64>()
    }
}

const DISTINCT_KERNEL: AggregateKernel = AggregateKernel {
    accumulator: |_| Ok(Box::<CountRows>::default()),
    groups: Some(|_| Ok(Box::<CountGroups>::default())),
    state: |_| vec![ArrowType::Int64],
};

fn build_count_if(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.accept(&[Accept::Boolean])?;
    if builder.is_distinct() {
        return Err(builder.fail(SparkError::new(
            "INVALID_SQL_SYNTAX.FUNCTION_WITH_UNSUPPORTED_SYNTAX",
            [("prettyName", "`count_if`"), ("syntax", "DISTINCT")],
        )));
    }
    let counted = when(builder.value(0).expr.clone(), one()).end().map_err(from_datafusion)?;
    builder.set_values(vec![TypedExpr::new(counted, DataType::Long, true, "")]);
    builder.native(count_udaf(), DataType::Long, false)
}

pub static FUNCTIONS: &[Function] = &[
    Function {
        name: "count",
        aliases: &[],
        kind: FunctionKind::Aggregate,
        group: "agg_funcs",
        parameters: &[],
        build: Build::Custom(build_count),
        usage: "count(*) - The number of rows. count(expr[, expr...]) - The number of rows where no expr is NULL. count(DISTINCT expr[, expr...]) - The number of different ones.",
        examples: &[("SELECT count(col) FROM VALUES (NULL), (5), (5), (20) AS tab(col)", "3")],
        since: "1.0.0",
    },
    Function {
        name: "count_if",
        aliases: &[],
        kind: FunctionKind::Aggregate,
        group: "agg_funcs",
        parameters: &[],
        build: Build::Custom(build_count_if),
        usage: "count_if(expr) - The number of rows where expr is true.",
        examples: &[("SELECT count_if(col % 2 = 0) FROM VALUES (NULL), (0), (1), (2), (3) AS tab(col)", "2")],
        since: "3.0.0",
    },
];
