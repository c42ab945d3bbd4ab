//! `approx_count_distinct`: HyperLogLog++ over Spark's 64-bit hash of the value.
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result};

use super::call::AggregateBuilder;
use super::udaf::{AggregateCall, AggregateKernel};
use crate::coerce;
use crate::hashes::values::{XxHash64, update};
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};

const SEED: XxHash64 = XxHash64(42);
/// Below these counts, from 4 index bits on, counting empty registers is more exact.
const LINEAR_COUNTING_LIMITS: [f64; 15] = [
    10.0, 20.0, 40.0, 80.0, 220.0, 400.0, 900.0, 1800.0, 3100.0, 6500.0, 15500.0, 20000.0, 50000.0, 120000.0, 350000.0,
];
/// How many known estimates the bias of one is averaged from.
const NEIGHBOURS: usize = 6;

/// Raw estimates in order, each with the bias measured at it.
type BiasTable = Vec<(f64, f64)>;

/// By index bits, from 4 on.
static BIASES: LazyLock<Vec<BiasTable>> = LazyLock::new(|| {
    let mut tables = vec![vec![]; LINEAR_COUNTING_LIMITS.len()];
    for line in include_str!("hll_bias.tsv").lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t').map(|text| text.parse::<f64>().unwrap_or_default());
        if let (Some(bits), Some(estimate), Some(bias)) = (columns.next(), columns.next(), columns.next())
            && let Some(table) = tables.get_mut((bits as usize).wrapping_sub(4))
        {
            table.push((estimate, bias));
        }
    }
    tables
});

/// The mean bias of the known estimates nearest to `estimate`.
fn bias(table: &BiasTable, estimate: f64) -> f64 {
    let nearest = table.partition_point(|(known, _)| *known < estimate);
    let distance = |index: usize| (estimate - table[index].0).powi(2);
    let mut low = (nearest + 1).saturating_sub(NEIGHBOURS);
    let mut high = (low + NEIGHBOURS).min(table.len());
    while high < table.len() && distance(high) < distance(low) {
        low += 1;
        high += 1;
    }
    table[low..high].iter().map(|(_, bias)| bias).sum::<f64>() / (high - low).max(1) as f64
}

struct HyperLogLog {
    call: Arc<AggregateCall>,
    index_bits: u32,
    registers: Vec<u8>,
}

impl std::fmt::Debug for HyperLogLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.call.name)
    }
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
        let place = self.index_bits as usize - 4;
        if zeros > 0.0 {
            let linear = m * (m / zeros).ln();
            // HyperLogLog++ has limits up to 18 bits; Spark keeps to HyperLogLog's own beside them.
            if raw <= 2.5 * m || LINEAR_COUNTING_LIMITS.get(place).is_some_and(|limit| linear <= *limit) {
                return (linear + 0.5).floor() as i64;
            }
        }
        let corrected = match BIASES.get(place) {
            Some(table) if raw < 5.0 * m => raw - bias(table, raw),
            _ => raw,
        };
        (corrected + 0.5).floor() as i64
    }
}

impl Accumulator for HyperLogLog {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let mut hashes = vec![SEED; values.len()];
        if let Some(data_type) = self.call.arg_types.first()
            && let Err(error) = update(values, data_type, &mut hashes)
        {
            return self.call.fail(error);
        }
        let nulls = values.logical_nulls();
        let valid = |row: &usize| nulls.as_ref().is_none_or(|n| n.is_valid(*row));
        (0..values.len()).filter(valid).for_each(|row| self.add(hashes[row].0 as u64));
        Ok(())
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
    Ok(Box::new(HyperLogLog { call: Arc::clone(call), index_bits, registers: vec![0; 1 << index_bits] }))
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
