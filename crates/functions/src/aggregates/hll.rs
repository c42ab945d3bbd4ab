//! `approx_count_distinct`: HyperLogLog++ over Spark's 64-bit hash of the value.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};
use twox_hash::XxHash64;

use super::call::AggregateBuilder;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::coerce;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};

const SEED: u64 = 42;
/// Below these counts, from 4 index bits on, counting empty registers is more exact.
const LINEAR_COUNTING_LIMITS: [f64; 15] = [
    10.0, 20.0, 40.0, 80.0, 220.0, 400.0, 900.0, 1800.0, 3100.0, 6500.0, 11500.0, 20000.0, 50000.0, 120000.0, 350000.0,
];

#[derive(Debug)]
struct HyperLogLog {
    index_bits: u32,
    registers: Vec<u8>,
}

impl HyperLogLog {
    fn add(&mut self, hash: u64) {
        let index = (hash >> (64 - self.index_bits)) as usize;
        // The padding bit bounds the run of zeros.
        let rest = (hash << self.index_bits) | (1 << (self.index_bits - 1));
        let rank = rest.leading_zeros() as u8 + 1;
        self.registers[index] = self.registers[index].max(rank);
    }

    fn estimate(&self) -> i64 {
        let m = self.registers.len() as f64;
        let inverse: f64 = self.registers.iter().map(|r| 1.0 / (1u64 << r) as f64).sum();
        let zeros = self.registers.iter().filter(|r| **r == 0).count() as f64;
        let alpha = match self.index_bits {
            4 => 0.673,
            5 => 0.697,
            6 => 0.709,
            _ => 0.7213 / (1.0 + 1.079 / m),
        };
        let raw = alpha * m * m / inverse;
        let limit = LINEAR_COUNTING_LIMITS.get(self.index_bits as usize - 4).copied().unwrap_or(f64::MAX);
        if zeros > 0.0 {
            let linear = m * (m / zeros).ln();
            if linear <= limit {
                return (linear + 0.5).floor() as i64;
            }
        }
        (raw + 0.5).floor() as i64
    }
}

/// Spark's `xxhash64` of each value that is not NULL.
fn for_each_hash(values: &ArrayRef, mut visit: impl FnMut(u64)) -> DfResult<()> {
    let bytes = |data: &[u8]| XxHash64::oneshot(SEED, data);
    match values.data_type() {
        ArrowType::Boolean => {
            values.as_boolean().iter().flatten().for_each(|v| visit(bytes(&i32::from(v).to_le_bytes())));
        }
        ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 | ArrowType::Date32 | ArrowType::Interval(_) => {
            let ints = arrow::compute::cast(values, &ArrowType::Int32)?;
            ints.as_primitive::<Int32Type>().iter().flatten().for_each(|v| visit(bytes(&v.to_le_bytes())));
        }
        ArrowType::Int64 | ArrowType::Timestamp(..) | ArrowType::Duration(_) | ArrowType::Time64(_) => {
            let longs = arrow::compute::cast(values, &ArrowType::Int64)?;
            longs.as_primitive::<Int64Type>().iter().flatten().for_each(|v| visit(bytes(&v.to_le_bytes())));
        }
        ArrowType::Float32 => {
            for v in values.as_primitive::<Float32Type>().iter().flatten() {
                let v = if v.is_nan() { f32::NAN } else { v + 0.0 };
                visit(bytes(&v.to_bits().to_le_bytes()));
            }
        }
        ArrowType::Float64 => {
            for v in values.as_primitive::<Float64Type>().iter().flatten() {
                let v = if v.is_nan() { f64::NAN } else { v + 0.0 };
                visit(bytes(&v.to_bits().to_le_bytes()));
            }
        }
        ArrowType::Decimal128(precision, _) => {
            for v in values.as_primitive::<Decimal128Type>().iter().flatten() {
                if *precision <= 18 {
                    visit(bytes(&(v as i64).to_le_bytes()));
                } else {
                    visit(bytes(&num_bigint::BigInt::from(v).to_signed_bytes_be()));
                }
            }
        }
        ArrowType::Utf8 => values.as_string::<i32>().iter().flatten().for_each(|v| visit(bytes(v.as_bytes()))),
        ArrowType::Binary => values.as_binary::<i32>().iter().flatten().for_each(|v| visit(bytes(v))),
        _ => {
            // Nested values: their row form tells equal ones apart as well.
            let field = arrow::row::SortField::new(values.data_type().clone());
            let rows = arrow::row::RowConverter::new(vec![field])?.convert_columns(std::slice::from_ref(values))?;
            let nulls = values.logical_nulls();
            for (index, row) in rows.iter().enumerate() {
                if nulls.as_ref().is_none_or(|n| n.is_valid(index)) {
                    visit(bytes(row.data()));
                }
            }
        }
    }
    Ok(())
}

impl Accumulator for HyperLogLog {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        match values.first() {
            Some(values) => for_each_hash(values, |hash| self.add(hash)),
            None => Ok(()),
        }
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.estimate())))
    }
    fn size(&self) -> usize {
        size_of::<Self>() + self.registers.capacity()
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.registers.clone()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for state in states.iter().filter_map(|s| s.as_binary_opt::<i32>()).flat_map(|s| s.iter().flatten()) {
            for (mine, other) in self.registers.iter_mut().zip(state) {
                *mine = (*mine).max(*other);
            }
        }
        Ok(())
    }
}

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let index_bits = match call.constants.first() {
        Some(ScalarValue::UInt32(Some(bits))) => *bits,
        _ => 9,
    };
    Ok(Box::new(HyperLogLog { index_bits, registers: vec![0; 1 << index_bits] }))
}

const KERNEL: AggregateKernel = AggregateKernel { accumulator, groups: None, state: |_| vec![ArrowType::Binary] };

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let deviation = if builder.values().len() == 2 {
        let mut values = builder.take_values();
        let second = coerce::implicit(values.remove(1), &DataType::Double, context.eval, &context.origin)?;
        let distinct = if builder.is_distinct() { "DISTINCT " } else { "" };
        builder.set_sql(format!("approx_count_distinct({distinct}{})", values[0].sql));
        builder.set_values(vec![values.remove(0), second]);
        let value = builder.constant(1, "relativeSD")?;
        let mut values = builder.take_values();
        values.truncate(1);
        builder.set_values(values);
        match value {
            ScalarValue::Float64(Some(v)) => v,
            _ => 0.05,
        }
    } else {
        0.05
    };
    let bits = (2.0 * (1.106 / deviation).ln() / 2f64.ln()).ceil();
    if !(4.0..=30.0).contains(&bits) {
        let error = quote::mismatch(
            "VALUE_OUT_OF_RANGE",
            builder.sql(),
            [
                ("exprName", "relativeSD".to_string()),
                ("valueRange", "(0.0, 0.39]".to_string()),
                ("currentValue", format!("{deviation:?}D")),
            ],
        );
        return Err(builder.fail(error));
    }
    let constants = vec![ScalarValue::UInt32(Some(bits as u32))];
    builder.finish("approx_count_distinct", KERNEL, DataType::Long, false, vec![], constants)
}

pub static FUNCTIONS: &[Function] = &[Function {
    name: "approx_count_distinct",
    aliases: &[],
    kind: FunctionKind::Aggregate,
    group: "agg_funcs",
    parameters: &[],
    build: Build::Custom(build),
    usage: "approx_count_distinct(expr[, relativeSD]) - The estimated number of different values; relativeSD is the allowed relative deviation (0.05).",
    examples: &[("SELECT approx_count_distinct(col) FROM VALUES (1), (1), (2), (2), (3) AS tab(col)", "3")],
    since: "1.6.0",
}];
