//! `bitmap_construct_agg`, `bitmap_or_agg`, `bitmap_and_agg` over bitmaps of 4096 bytes.
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result, SparkError};

use super::call::AggregateBuilder;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::signature::Accept;

const BITMAP_BYTES: usize = 4096;

struct Bitmap {
    call: Arc<AggregateCall>,
    bytes: Vec<u8>,
}

impl std::fmt::Debug for Bitmap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.call.name)
    }
}

impl Bitmap {
    fn combine(&mut self, other: &[u8]) {
        let and = self.call.name == "bitmap_and_agg";
        for (index, mine) in self.bytes.iter_mut().enumerate() {
            let byte = other.get(index).copied().unwrap_or(0);
            *mine = if and { *mine & byte } else { *mine | byte };
        }
    }
}

impl Accumulator for Bitmap {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let Some(positions) = values.as_primitive_opt::<Int64Type>() else {
            return self.merge_batch(std::slice::from_ref(values));
        };
        for position in positions.iter().flatten() {
            let place = usize::try_from(position).ok().filter(|p| *p < BITMAP_BYTES * 8);
            let Some(place) = place else {
                let error = SparkError::new(
                    "INVALID_BITMAP_POSITION",
                    [
                        ("bitPosition", position.to_string()),
                        ("bitmapNumBytes", BITMAP_BYTES.to_string()),
                        ("bitmapNumBits", (BITMAP_BYTES * 8).to_string()),
                    ],
                );
                return self.call.fail(error);
            };
            self.bytes[place / 8] |= 1 << (place % 8);
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.bytes.clone())))
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.bytes.capacity()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.bytes.clone()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let bitmaps = states.first().and_then(|s| s.as_binary_opt::<i32>());
        for bitmap in bitmaps.into_iter().flat_map(|s| s.iter().flatten()) {
            self.combine(bitmap);
        }
        Ok(())
    }
}

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let fill = if call.name == "bitmap_and_agg" { 0xff } else { 0 };
    Ok(Box::new(Bitmap { call: Arc::clone(call), bytes: vec![fill; BITMAP_BYTES] }))
}

const KERNEL: AggregateKernel = AggregateKernel { accumulator, groups: None, state: |_| vec![ArrowType::Binary] };

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let (name, accept) = match context.called_as.to_lowercase().as_str() {
        "bitmap_construct_agg" => ("bitmap_construct_agg", Accept::Long),
        "bitmap_or_agg" => ("bitmap_or_agg", Accept::Binary),
        _ => ("bitmap_and_agg", Accept::Binary),
    };
    let mut builder = AggregateBuilder::new(context, arguments)?;
    if accept == Accept::Binary && builder.value(0).data_type != DataType::Binary {
        let error = crate::quote::unexpected_input_type(
            builder.sql(),
            0,
            "\"BINARY\"".to_string(),
            &builder.value(0).sql,
            &builder.value(0).data_type,
        );
        return Err(builder.fail(error));
    }
    builder.accept(&[accept])?;
    builder.finish(name, KERNEL, DataType::Binary, false, vec![], vec![])
}

macro_rules! entry {
    ($name:literal, $usage:literal, $sql:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Aggregate,
            group: "agg_funcs",
            parameters: &[],
            build: Build::Custom(build),
            usage: $usage,
            examples: &[($sql, $result)],
            since: $since,
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "bitmap_construct_agg",
        "bitmap_construct_agg(child) - A bitmap with the bits at the positions of a group set.",
        "SELECT substring(hex(bitmap_construct_agg(bitmap_bit_position(col))), 0, 6) FROM VALUES (1), (2), (3) AS tab(col)",
        "070000",
        "3.5.0"
    ),
    entry!(
        "bitmap_or_agg",
        "bitmap_or_agg(child) - The bitwise OR of the bitmaps of a group.",
        "SELECT substring(hex(bitmap_or_agg(col)), 0, 6) FROM VALUES (X '10'), (X '20') AS tab(col)",
        "300000",
        "3.5.0"
    ),
    entry!(
        "bitmap_and_agg",
        "bitmap_and_agg(child) - The bitwise AND of the bitmaps of a group.",
        "SELECT substring(hex(bitmap_and_agg(col)), 0, 6) FROM VALUES (X 'F0'), (X '70') AS tab(col)",
        "700000",
        "4.1.0"
    ),
];
