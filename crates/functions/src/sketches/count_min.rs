//! `count_min_sketch`: counts of values in little space, in the bytes that Spark's `CountMinSketch.readFrom` reads.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Accumulator;
use firesteel_plan::{DataType, Result, SparkError};

use crate::aggregates::call::AggregateBuilder;
use crate::aggregates::udaf::{AggregateCall, AggregateKernel};
use crate::datetime::vector::as_longs;
use crate::hashes::values::{Murmur3, ValueHash};
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};

/// Version of the serialized form.
const VERSION: i32 = 1;
/// 2^31 - 1, modulo which longs are hashed.
const PRIME: i64 = (1 << 31) - 1;
/// More counters than this would not be a small sketch.
const COUNTERS_MAX: usize = 1 << 26;

struct CountMin {
    call: Arc<AggregateCall>,
    depth: usize,
    width: usize,
    /// One multiplier a row, for longs
    factors: Vec<i64>,
    total: i64,
    /// `depth` rows of `width` counters
    counters: Vec<i64>,
}

impl std::fmt::Debug for CountMin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "count_min_sketch {} x {}", self.depth, self.width)
    }
}

/// `java.util.Random` as far as `nextInt(Integer.MAX_VALUE)` goes.
fn factors(seed: i32, count: usize) -> Vec<i64> {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (i64::from(seed) as u64 ^ MULTIPLIER) & MASK;
    let mut next = || {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        (state >> 17) as i64
    };
    let bound = i64::from(i32::MAX);
    let mut draw = || loop {
        // The one value that would make the others uneven is drawn again.
        let drawn = next();
        if drawn < bound {
            return drawn;
        }
    };
    (0..count).map(|_| draw()).collect()
}

impl CountMin {
    fn count(&mut self, row: usize, column: usize) {
        self.counters[row * self.width + column] += 1;
    }

    fn add_long(&mut self, value: i64) {
        for row in 0..self.depth {
            let product = self.factors[row].wrapping_mul(value);
            let hash = product.wrapping_add(product >> 32) & PRIME;
            self.count(row, hash as usize % self.width);
        }
        self.total += 1;
    }

    fn add_bytes(&mut self, bytes: &[u8]) {
        let first = Murmur3(0).bytes(bytes).0;
        let second = Murmur3(first).bytes(bytes).0;
        for row in 0..self.depth {
            let hash = first.wrapping_add((row as i32).wrapping_mul(second));
            self.count(row, (hash % self.width as i32).unsigned_abs() as usize);
        }
        self.total += 1;
    }

    fn serialize(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + 8 * (self.factors.len() + self.counters.len()));
        bytes.extend(VERSION.to_be_bytes());
        bytes.extend(self.total.to_be_bytes());
        bytes.extend((self.depth as i32).to_be_bytes());
        bytes.extend((self.width as i32).to_be_bytes());
        self.factors.iter().chain(&self.counters).for_each(|v| bytes.extend(v.to_be_bytes()));
        bytes
    }
}

impl Accumulator for CountMin {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        let Some(values) = values.first() else { return Ok(()) };
        match values.data_type() {
            ArrowType::Utf8 => {
                let collator = self.call.arg_types.first().map(crate::collation::Collator::of);
                let key = |text| collator.as_ref().map(|c| c.key(text)).unwrap_or_default();
                values.as_string::<i32>().iter().flatten().for_each(|v| self.add_bytes(&key(v)));
            }
            ArrowType::Binary => values.as_binary::<i32>().iter().flatten().for_each(|v| self.add_bytes(v)),
            _ => as_longs(values).map_err(crate::external)?.iter().flatten().for_each(|v| self.add_long(v)),
        }
        Ok(())
    }
    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::Binary(Some(self.serialize())))
    }
    fn size(&self) -> usize {
        size_of::<Self>() + 8 * (self.factors.len() + self.counters.len())
    }
    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Binary(Some(self.serialize()))])
    }
    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let long = |bytes: &[u8]| bytes.try_into().map_or(0, i64::from_be_bytes);
        for bytes in states.iter().filter_map(|s| s.as_binary_opt::<i32>()).flat_map(|s| s.iter().flatten()) {
            self.total += bytes.get(4..12).map_or(0, long);
            let counters = bytes.get(20 + 8 * self.depth..).unwrap_or_default();
            for (mine, theirs) in self.counters.iter_mut().zip(counters.chunks(8)) {
                *mine += long(theirs);
            }
        }
        Ok(())
    }
}

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    let [ScalarValue::Int32(Some(depth)), ScalarValue::Int32(Some(width)), ScalarValue::Int32(Some(seed))] =
        call.constants.as_slice()
    else {
        return Err(SparkError::internal("count_min_sketch without its size"));
    };
    let (depth, width) = (*depth as usize, *width as usize);
    let counters = vec![0; depth * width];
    Ok(Box::new(CountMin { call: Arc::clone(call), depth, width, factors: factors(*seed, depth), total: 0, counters }))
}

const KERNEL: AggregateKernel = AggregateKernel { accumulator, groups: None, state: |_| vec![ArrowType::Binary] };

const PARAMETERS: &[&str] = &["column", "epsilon", "confidence", "seed"];

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, PARAMETERS.len(), PARAMETERS.len())?;
    let mut builder = AggregateBuilder::new(context, arguments)?;
    let counted = |t: &DataType| t.is_integral() || t.is_string() || *t == DataType::Binary;
    let fits: [(&str, fn(&DataType) -> bool); 4] = [
        ("(\"INTEGRAL\" or \"STRING\" or \"BINARY\")", counted),
        ("\"DOUBLE\"", |t| *t == DataType::Double),
        ("\"DOUBLE\"", |t| *t == DataType::Double),
        ("(\"INT\" or \"BIGINT\")", |t| matches!(t, DataType::Integer | DataType::Long)),
    ];
    // Nothing is cast.
    for (index, (required, fits)) in fits.into_iter().enumerate() {
        let value = builder.value(index);
        if !fits(&value.data_type) {
            let (sql, given) = (&value.sql, &value.data_type);
            let error = quote::unexpected_input_type(builder.sql(), index, required.to_string(), sql, given);
            return Err(builder.fail(error));
        }
    }
    let mut wanted = vec![];
    for (index, name) in PARAMETERS.iter().enumerate().skip(1) {
        let value = builder.constant(index, name)?;
        if value.is_null() {
            let parameters = [("exprName", quote::sql_id(name))];
            return Err(builder.fail(quote::mismatch("UNEXPECTED_NULL", builder.sql(), parameters)));
        }
        wanted.push(value);
    }
    let (Some(ScalarValue::Float64(Some(epsilon))), Some(ScalarValue::Float64(Some(confidence)))) =
        (wanted.first(), wanted.get(1))
    else {
        return Err(SparkError::internal("count_min_sketch without its error"));
    };
    let range = |name: &str, range: &str, value: f64| {
        let parameters = [
            ("exprName", quote::sql_id(name)),
            ("valueRange", range.to_string()),
            ("currentValue", format!("{}D", crate::java_number::double(value))),
        ];
        Err(builder.fail(quote::mismatch("VALUE_OUT_OF_RANGE", builder.sql(), parameters)))
    };
    if *epsilon <= 0.0 {
        return range("epsilon", "(0.0, 1.7976931348623157E308]", *epsilon);
    }
    if *confidence <= 0.0 || *confidence >= 1.0 {
        return range("confidence", "(0.0, 1.0)", *confidence);
    }
    let width = (2.0 / epsilon).ceil();
    let depth = (-(1.0 - confidence).ln() / 2f64.ln()).ceil();
    if width * depth > COUNTERS_MAX as f64 {
        return Err(SparkError::unsupported(format!("a count_min_sketch of more than {COUNTERS_MAX} counters")));
    }
    // Of a long seed the lower half counts.
    let seed = match wanted.pop() {
        Some(ScalarValue::Int64(Some(seed))) => ScalarValue::Int32(Some(seed as i32)),
        Some(seed) => seed,
        None => ScalarValue::Int32(Some(0)),
    };
    let constants = vec![ScalarValue::Int32(Some(depth as i32)), ScalarValue::Int32(Some(width as i32)), seed];
    let mut values = builder.take_values();
    values.truncate(1);
    builder.set_values(values);
    builder.finish("count_min_sketch", KERNEL, DataType::Binary, false, vec![], constants)
}

pub static FUNCTIONS: &[Function] = &[Function {
    name: "count_min_sketch",
    aliases: &[],
    kind: FunctionKind::Aggregate,
    group: "agg_funcs",
    parameters: PARAMETERS,
    build: Build::Custom(build),
    usage: "count_min_sketch(column, epsilon, confidence[, seed]) - A count-min sketch of the values of a group: counts within that relative error, with that confidence.",
    examples: &[(
        "SELECT hex(count_min_sketch(col, 0.5d, 0.5d, 1)) FROM VALUES (1), (2), (1) AS tab(col)",
        "0000000100000000000000030000000100000004000000005D8D6AB90000000000000000000000000000000200000000000000010000000000000000",
    )],
    since: "2.2.0",
}];
