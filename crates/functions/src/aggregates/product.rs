//! `product`, which DataFrames have.
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::call::AggregateBuilder;
use super::udaf::AggregateKernel;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::signature::Accept;

/// NULL until there is a value.
#[derive(Debug, Default)]
struct Product(Option<f64>);

impl Accumulator for Product {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        for values in values.iter().filter_map(|v| v.as_primitive_opt::<Float64Type>()) {
            values.iter().flatten().for_each(|v| self.0 = Some(self.0.unwrap_or(1.0) * v));
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Float64(self.0))
    }
    fn size(&self) -> usize {
        size_of::<Self>()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Float64(self.0)])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.update_batch(states)
    }
}

const KERNEL: AggregateKernel = AggregateKernel {
    accumulator: |_: &Arc<_>| Ok(Box::new(Product::default())),
    groups: None,
    state: |_| vec![ArrowType::Float64],
};

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.accept(&[Accept::Double])?;
    builder.finish("product", KERNEL, DataType::Double, true, vec![], vec![])
}

pub static FUNCTIONS: &[Function] = &[Function {
    name: "product",
    aliases: &[],
    kind: FunctionKind::Aggregate,
    group: "agg_funcs",
    parameters: &[],
    build: Build::Custom(build),
    usage: "product(expr) - The product of the values of a group.",
    examples: &[("SELECT product(v) FROM VALUES (2), (3) AS t(v)", "6.0")],
    since: "3.2.0",
}];
