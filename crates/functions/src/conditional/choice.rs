//! CASE whose branches are columns and constants.
//!
//! DataFusion evaluates a branch on a copy of the rows that it is for, and puts the results together. Texts are copied
//! twice then. Where nothing has to be computed, each row names its branch instead, and the text is copied once:
//!
//! ```text
//!  conditions ──▶ (branch, row) per row ──▶ one interleave of the branches
//! ```
//!
//! Like [`crate::lazy`] it hides conditions from the optimizer, and comes after it.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::interleave;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Case, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::cast::can_up_cast;
use crate::scalar::as_spark_scalar;

/// Rewrites such expressions of texts in a whole optimized plan, subqueries included.
pub fn choose_texts(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(choose_in_node).map(|chosen| chosen.data)
}

fn choose_in_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if matches!(plan, LogicalPlan::TableScan(_)) || !plan.expressions().iter().any(has_case) {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(|node| choose(node, &schema))?.update_data(|chosen| name.restore(chosen)))
    })
}

fn has_case(expr: &Expr) -> bool {
    expr.exists(|node| Ok(matches!(node, Expr::Case(_)))).unwrap_or(false)
}

fn choose(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::Case(Case { expr: None, when_then_expr, else_expr: Some(otherwise) }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let branches = || when_then_expr.iter().map(|(_, value)| value).chain([otherwise]);
    let is_plain = branches().all(|value| matches!(value.as_ref(), Expr::Column(_) | Expr::Literal(..)))
        && when_then_expr.iter().all(|(condition, _)| is_cheap(condition));
    if !is_plain {
        return Ok(Transformed::no(expr));
    }
    let (data_type, nullable) = (expr.get_type(schema)?, expr.nullable(schema)?);
    let mut has_this_type = true;
    for value in branches() {
        has_this_type &= value.get_type(schema)? == data_type;
    }
    if !has_this_type || !matches!(data_type, ArrowType::Utf8 | ArrowType::Binary) {
        return Ok(Transformed::no(expr));
    }
    let arguments = when_then_expr.iter().flat_map(|(condition, value)| [condition, value]).chain([otherwise]);
    let args = arguments.map(|argument| argument.as_ref().clone()).collect();
    let function = Choice { data_type, nullable, signature: Signature::variadic_any(Volatility::Immutable) };
    let call = ScalarFunction { func: Arc::new(ScalarUDF::new_from_impl(function)), args };
    Ok(Transformed::yes(Expr::ScalarFunction(call)))
}

const CHEAP: &[Operator] = &[
    Operator::And,
    Operator::Or,
    Operator::Eq,
    Operator::NotEq,
    Operator::Lt,
    Operator::LtEq,
    Operator::Gt,
    Operator::GtEq,
    Operator::IsDistinctFrom,
    Operator::IsNotDistinctFrom,
];

/// Whether a condition cannot fail, and is quicker on all rows than on a copy of some.
fn is_cheap(condition: &Expr) -> bool {
    let costs = condition.exists(|node| {
        Ok(match node {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => !CHEAP.contains(op),
            Expr::ScalarFunction(call) => !as_spark_scalar(&call.func).is_some_and(|function| match function.name {
                "comparable" => true,
                crate::cast::CAST => {
                    function.arg_types.first().is_some_and(|from| can_up_cast(from, &function.return_type))
                }
                _ => false,
            }),
            Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::Between(_)
            | Expr::InList(_) => false,
            _ => true,
        })
    });
    !costs.unwrap_or(true)
}

/// `case(condition, value, …, value otherwise)`
#[derive(Debug, PartialEq, Eq, Hash)]
struct Choice {
    data_type: ArrowType,
    nullable: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Choice {
    fn name(&self) -> &str {
        "case"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[ArrowType]) -> Result<ArrowType> {
        Ok(self.data_type.clone())
    }
    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), self.data_type.clone(), self.nullable)))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let Some((otherwise, branches)) = args.args.split_last() else { return internal_err!("a CASE without values") };
        let mut sources = Vec::with_capacity(branches.len() / 2 + 1);
        let mut picks = vec![];
        sources.push(Source::of(otherwise)?);
        sources[0].pick_all(rows, &mut picks);
        // The first condition that holds wins, so it comes last.
        for pair in branches.rchunks_exact(2) {
            let (condition, source) = (pair[0].to_array(rows)?, Source::of(&pair[1])?);
            source.pick(sources.len(), condition.as_boolean(), &mut picks);
            sources.push(source);
        }
        let arrays: Vec<&dyn Array> = sources.iter().map(|source| source.values.as_ref()).collect();
        Ok(ColumnarValue::Array(interleave(&arrays, &picks)?))
    }
}

/// The values of a branch: one per row, or one for all.
struct Source {
    values: ArrayRef,
    is_constant: bool,
}

impl Source {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(values) => Self { values: Arc::clone(values), is_constant: false },
            ColumnarValue::Scalar(value) => Self { values: value.to_array()?, is_constant: true },
        })
    }

    fn row(&self, row: usize) -> usize {
        if self.is_constant { 0 } else { row }
    }

    fn pick_all(&self, rows: usize, picks: &mut Vec<(usize, usize)>) {
        picks.extend((0..rows).map(|row| (0, self.row(row))));
    }

    /// Picks branch number `branch` where the condition holds.
    fn pick(&self, branch: usize, condition: &BooleanArray, picks: &mut [(usize, usize)]) {
        let holds = match condition.nulls() {
            Some(valid) => condition.values() & valid.inner(),
            None => condition.values().clone(),
        };
        for (start, end) in holds.set_slices() {
            picks[start..end].iter_mut().enumerate().for_each(|(i, pick)| *pick = (branch, self.row(start + i)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::StringArray;
    use datafusion::common::ScalarValue;
    use datafusion::common::config::ConfigOptions;

    #[test]
    fn the_first_condition_that_holds_wins() {
        let function = Choice {
            data_type: ArrowType::Utf8,
            nullable: true,
            signature: Signature::variadic_any(Volatility::Immutable),
        };
        let condition = |values: Vec<Option<bool>>| ColumnarValue::Array(Arc::new(BooleanArray::from(values)));
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("w0"), Some("w1"), Some("w2"), None]));
        let args = vec![
            condition(vec![Some(true), Some(false), None, None]),
            ColumnarValue::Scalar(ScalarValue::from("a")),
            condition(vec![Some(true), Some(true), None, Some(false)]),
            ColumnarValue::Scalar(ScalarValue::Utf8(None)),
            ColumnarValue::Array(words),
        ];
        let args = ScalarFunctionArgs {
            arg_fields: args.iter().map(|a| Arc::new(Field::new("", a.data_type(), true))).collect(),
            args,
            number_rows: 4,
            return_field: Arc::new(Field::new("", ArrowType::Utf8, true)),
            config_options: Arc::new(ConfigOptions::new()),
        };
        let found = function.invoke_with_args(args).unwrap().to_array(4).unwrap();
        assert_eq!(found.as_string::<i32>(), &StringArray::from(vec![Some("a"), None, Some("w2"), None]));
    }
}
