//! `bit_and`, `bit_or`, `bit_xor`.
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::Result;

use super::call::AggregateBuilder;
use super::entry;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::signature::Accept;

#[derive(Debug)]
struct Bits {
    operation: fn(i64, i64) -> i64,
    result: ArrowType,
    value: Option<i64>,
}

impl Accumulator for Bits {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let Some(values) = values.first() else { return Ok(()) };
        // Sign extension keeps the bits of narrower integers.
        let longs = arrow::compute::cast(values, &ArrowType::Int64)?;
        for value in longs.as_primitive::<Int64Type>().iter().flatten() {
            self.value = Some(self.value.map_or(value, |v| (self.operation)(v, value)));
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        ScalarValue::Int64(self.value).cast_to(&self.result)
    }
    fn size(&self) -> usize {
        size_of::<Self>()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(self.value)])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.update_batch(states)
    }
}

fn bits(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let operation: fn(i64, i64) -> i64 = match call.name {
        "bit_and" => |a, b| a & b,
        "bit_or" => |a, b| a | b,
        _ => |a, b| a ^ b,
    };
    Ok(Box::new(Bits { operation, result: call.return_arrow(), value: None }))
}

const KERNEL: AggregateKernel = AggregateKernel { accumulator: bits, groups: None, state: |_| vec![ArrowType::Int64] };

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let name = match context.called_as.to_lowercase().as_str() {
        "bit_and" => "bit_and",
        "bit_or" => "bit_or",
        _ => "bit_xor",
    };
    let mut builder = AggregateBuilder::new(context, arguments)?;
    builder.accept(&[Accept::Integral])?;
    let data_type = builder.value(0).data_type.clone();
    builder.finish(name, KERNEL, data_type, true, vec![], vec![])
}

macro_rules! bitwise {
    ($name:literal, $word:literal, $result:literal) => {
        entry!(
            $name,
            &[],
            build,
            concat!($name, "(expr) - The bitwise ", $word, " of the values of a group that are not NULL."),
            concat!("SELECT ", $name, "(col) FROM VALUES (3), (5) AS tab(col)"),
            $result,
            "3.0.0"
        )
    };
}

pub static FUNCTIONS: &[Function] =
    &[bitwise!("bit_and", "AND", "1"), bitwise!("bit_or", "OR", "7"), bitwise!("bit_xor", "XOR", "6")];
