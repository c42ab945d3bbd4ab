//! `sum`, `avg` and their `try_` forms, over groups of rows at once.
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, Int64Array, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType as ArrowType, Decimal128Type, DurationMicrosecondType, Float64Type, Int64Type,
    IntervalYearMonthType,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use firesteel_plan::{DataType, Result, SparkError};

use super::call::AggregateBuilder;
use super::entry;
use super::single::{Peek, Single};
use super::udaf::{AggregateCall, AggregateKernel};
use crate::coerce;
use crate::interval::value::interval_overflow;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::signature::Accept;

/// What happens on overflow.
#[derive(Clone, Copy, PartialEq)]
enum Overflow {
    Fail,
    Null,
    Wrap,
}

/// One kind of sum: how a value is added and how a group ends.
trait Summing: Send + Sync + 'static {
    /// Whether no sum of fewer than 10^10 values overflows; decimals have that many digits.
    fn is_safe(_digits: u8) -> bool {
        false
    }
    type In: ArrowPrimitiveType;
    type Sum: ArrowPrimitiveType;
    type Out: ArrowPrimitiveType;
    fn widen(value: <Self::In as ArrowPrimitiveType>::Native) -> <Self::Sum as ArrowPrimitiveType>::Native;
    fn add(
        a: <Self::Sum as ArrowPrimitiveType>::Native,
        b: <Self::Sum as ArrowPrimitiveType>::Native,
    ) -> Option<<Self::Sum as ArrowPrimitiveType>::Native>;
    /// `None`: overflow
    fn finish(
        shape: &Shape,
        sum: <Self::Sum as ArrowPrimitiveType>::Native,
        count: i64,
    ) -> Option<<Self::Out as ArrowPrimitiveType>::Native>;
}

/// What `finish` needs to know of the call.
struct Shape {
    average: bool,
    /// Scale of the input and result decimals, and the largest result
    scales: (i8, i8),
    largest: i128,
    /// Largest sum an average may pass through
    largest_sum: i128,
    /// A sum cannot leave its type's range
    safe: bool,
}

struct Longs;
impl Summing for Longs {
    type In = Int64Type;
    type Sum = Int64Type;
    type Out = Int64Type;
    fn widen(value: i64) -> i64 {
        value
    }
    fn add(a: i64, b: i64) -> Option<i64> {
        a.checked_add(b)
    }
    fn finish(_: &Shape, sum: i64, _: i64) -> Option<i64> {
        Some(sum)
    }
}

struct Doubles;
impl Summing for Doubles {
    fn is_safe(_: u8) -> bool {
        true
    }
    type In = Float64Type;
    type Sum = Float64Type;
    type Out = Float64Type;
    fn widen(value: f64) -> f64 {
        value
    }
    fn add(a: f64, b: f64) -> Option<f64> {
        Some(a + b)
    }
    fn finish(shape: &Shape, sum: f64, count: i64) -> Option<f64> {
        Some(if shape.average { sum / count as f64 } else { sum })
    }
}

struct Decimals;
impl Summing for Decimals {
    fn is_safe(digits: u8) -> bool {
        digits <= 28
    }
    type In = Decimal128Type;
    type Sum = Decimal128Type;
    type Out = Decimal128Type;
    fn widen(value: i128) -> i128 {
        value
    }
    fn add(a: i128, b: i128) -> Option<i128> {
        a.checked_add(b)
    }
    fn finish(shape: &Shape, sum: i128, count: i64) -> Option<i128> {
        if sum.unsigned_abs() > shape.largest_sum.unsigned_abs() {
            return None;
        }
        let value = if shape.average {
            let factor = 10i128.checked_pow((shape.scales.1 - shape.scales.0).max(0) as u32)?;
            match sum.checked_mul(factor) {
                Some(scaled) => divide_half_up(scaled, i128::from(count)),
                None => {
                    let wide = num_bigint::BigInt::from(sum) * num_bigint::BigInt::from(factor) * 2;
                    let count = num_bigint::BigInt::from(count);
                    let half = if sum < 0 { -count.clone() } else { count.clone() };
                    i128::try_from((wide + half) / (count * 2)).ok()?
                }
            }
        } else {
            sum
        };
        (value.unsigned_abs() <= shape.largest.unsigned_abs()).then_some(value)
    }
}

struct Months;
impl Summing for Months {
    type In = IntervalYearMonthType;
    type Sum = IntervalYearMonthType;
    type Out = IntervalYearMonthType;
    fn widen(value: i32) -> i32 {
        value
    }
    fn add(a: i32, b: i32) -> Option<i32> {
        a.checked_add(b)
    }
    fn finish(shape: &Shape, sum: i32, count: i64) -> Option<i32> {
        if !shape.average {
            return Some(sum);
        }
        i32::try_from(divide_half_up(i128::from(sum), i128::from(count))).ok()
    }
}

struct Durations;
impl Summing for Durations {
    type In = DurationMicrosecondType;
    type Sum = DurationMicrosecondType;
    type Out = DurationMicrosecondType;
    fn widen(value: i64) -> i64 {
        value
    }
    fn add(a: i64, b: i64) -> Option<i64> {
        a.checked_add(b)
    }
    fn finish(shape: &Shape, sum: i64, count: i64) -> Option<i64> {
        if !shape.average {
            return Some(sum);
        }
        i64::try_from(divide_half_up(i128::from(sum), i128::from(count))).ok()
    }
}

fn divide_half_up(value: i128, by: i128) -> i128 {
    let (quotient, rest) = (value / by, value % by);
    if rest.unsigned_abs() * 2 >= by.unsigned_abs() { quotient + value.signum() } else { quotient }
}

/// Count of a group whose sum has overflowed.
const OVERFLOWED: i64 = i64::MIN;

struct SumGroups<S: Summing> {
    call: Arc<AggregateCall>,
    overflow: Overflow,
    shape: Shape,
    sums: Vec<<S::Sum as ArrowPrimitiveType>::Native>,
    counts: Vec<i64>,
    kind: PhantomData<fn() -> S>,
}

fn decimal_limit(precision: u8) -> i128 {
    10i128.checked_pow(u32::from(precision)).map_or(i128::MAX, |p| p - 1)
}

impl<S: Summing> SumGroups<S> {
    fn new(call: &Arc<AggregateCall>) -> Self {
        let average = call.has_option("avg");
        let overflow = match (call.has_option("try"), call.context.ansi) {
            (true, _) => Overflow::Null,
            (false, true) => Overflow::Fail,
            (false, false) if call.return_type == DataType::Long => Overflow::Wrap,
            (false, false) if call.return_type.is_decimal() => Overflow::Null,
            _ => Overflow::Fail,
        };
        let (precision_in, scale_in) = match call.arg_types.first() {
            Some(DataType::Decimal(p, s)) => (*p, *s),
            _ => (0, 0),
        };
        let (precision, scale) = match call.return_type {
            DataType::Decimal(p, s) => (p, s),
            _ => (0, 0),
        };
        let shape = Shape {
            average,
            scales: (scale_in, scale),
            largest: decimal_limit(precision),
            largest_sum: decimal_limit((precision_in + 10).min(38)),
            safe: S::is_safe(precision_in),
        };
        Self { call: Arc::clone(call), overflow, shape, sums: vec![], counts: vec![], kind: PhantomData }
    }

    #[cold]
    fn overflowed<T>(&self) -> DfResult<T> {
        self.call.fail(match &self.call.return_type {
            DataType::Long => SparkError::new(
                "ARITHMETIC_OVERFLOW",
                [
                    ("message", "long overflow".to_string()),
                    ("alternative", " Use 'try_add' to tolerate overflow and return NULL instead.".to_string()),
                    ("config", crate::quote::sql_config("spark.sql.ansi.enabled")),
                ],
            ),
            DataType::Decimal(..) => SparkError::new(
                "ARITHMETIC_OVERFLOW",
                [
                    ("message", format!("Overflow in {} of decimal.", if self.shape.average { "avg" } else { "sum" })),
                    (
                        "alternative",
                        format!(
                            " Use 'try_{}' to tolerate overflow and return NULL instead.",
                            if self.shape.average { "avg" } else { "sum" }
                        ),
                    ),
                    ("config", crate::quote::sql_config("spark.sql.ansi.enabled")),
                ],
            ),
            _ => interval_overflow(Some(if self.shape.average { "try_avg" } else { "try_sum" })),
        })
    }

    #[inline(always)]
    fn add(&mut self, group: usize, value: <S::Sum as ArrowPrimitiveType>::Native, count: i64) -> DfResult<()> {
        if self.counts[group] == OVERFLOWED {
            return Ok(());
        }
        match S::add(self.sums[group], value) {
            Some(sum) => self.sums[group] = sum,
            None => match self.overflow {
                Overflow::Wrap => self.sums[group] = self.sums[group].add_wrapping(value),
                Overflow::Null => {
                    self.counts[group] = OVERFLOWED;
                    return Ok(());
                }
                Overflow::Fail => return self.overflowed(),
            },
        }
        self.counts[group] += count;
        Ok(())
    }

    /// The result of a group; `None` is NULL.
    fn result(
        &self,
        sum: <S::Sum as ArrowPrimitiveType>::Native,
        count: i64,
    ) -> DfResult<Option<<S::Out as ArrowPrimitiveType>::Native>> {
        let value = if count > 0 { S::finish(&self.shape, sum, count) } else { None };
        if value.is_none() && count > 0 && self.overflow == Overflow::Fail {
            return self.overflowed();
        }
        Ok(value)
    }

    fn sum_type(&self) -> ArrowType {
        state_types(&self.call).swap_remove(0)
    }
}

/// Types of sum and count.
fn state_types(call: &AggregateCall) -> Vec<ArrowType> {
    let sum = match call.arg_arrow(0) {
        ArrowType::Decimal128(_, scale) => ArrowType::Decimal128(38, scale),
        other => other,
    };
    vec![sum, ArrowType::Int64]
}

impl<S: Summing> GroupsAccumulator for SumGroups<S> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> DfResult<()> {
        self.sums.resize(total, Default::default());
        self.counts.resize(total, 0);
        let Some(values) = values.first().and_then(|v| v.as_primitive_opt::<S::In>()) else {
            return datafusion::common::internal_err!("{} got another type than planned", self.call.name);
        };
        match (values.nulls(), filter) {
            (None, None) if self.shape.safe => {
                for (value, group) in values.values().iter().zip(group_indices) {
                    self.sums[*group] = self.sums[*group].add_wrapping(S::widen(*value));
                    self.counts[*group] += 1;
                }
            }
            (None, None) => {
                for (value, group) in values.values().iter().zip(group_indices) {
                    self.add(*group, S::widen(*value), 1)?;
                }
            }
            _ => {
                for (row, group) in group_indices.iter().enumerate() {
                    let passes = filter.is_none_or(|f| f.is_valid(row) && f.value(row));
                    if passes && values.is_valid(row) {
                        self.add(*group, S::widen(values.value(row)), 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> DfResult<ArrayRef> {
        let (sums, counts) = (emit_to.take_needed(&mut self.sums), emit_to.take_needed(&mut self.counts));
        let mut out = Vec::with_capacity(sums.len());
        let mut valid = Vec::with_capacity(sums.len());
        for (sum, count) in sums.into_iter().zip(counts) {
            let value = self.result(sum, count)?;
            valid.push(value.is_some());
            out.push(value.unwrap_or_default());
        }
        let array = PrimitiveArray::<S::Out>::new(out.into(), Some(NullBuffer::from(valid)));
        Ok(Arc::new(array.with_data_type(self.call.return_arrow())))
    }

    fn state(&mut self, emit_to: EmitTo) -> DfResult<Vec<ArrayRef>> {
        let sums = PrimitiveArray::<S::Sum>::new(emit_to.take_needed(&mut self.sums).into(), None);
        let counts = Int64Array::from(emit_to.take_needed(&mut self.counts));
        Ok(vec![Arc::new(sums.with_data_type(self.sum_type())), Arc::new(counts)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], total: usize) -> DfResult<()> {
        self.sums.resize(total, Default::default());
        self.counts.resize(total, 0);
        let [sums, counts] = states else { return Ok(()) };
        let (sums, counts) = (sums.as_primitive::<S::Sum>(), counts.as_primitive::<Int64Type>());
        for (row, group) in group_indices.iter().enumerate() {
            match counts.value(row) {
                OVERFLOWED => self.counts[*group] = OVERFLOWED,
                count => self.add(*group, sums.value(row), count)?,
            }
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        let Some(values) = values.first().and_then(|v| v.as_primitive_opt::<S::In>()) else {
            return datafusion::common::internal_err!("{} got another type than planned", self.call.name);
        };
        let sums: PrimitiveArray<S::Sum> = PrimitiveArray::from_iter_values(
            (0..values.len()).map(|i| if values.is_valid(i) { S::widen(values.value(i)) } else { Default::default() }),
        );
        let counts: Int64Array = (0..values.len())
            .map(|i| Some(i64::from(values.is_valid(i) && filter.is_none_or(|f| f.is_valid(i) && f.value(i)))))
            .collect();
        // A row that the filter drops must not add to the sum either.
        let sums = match filter {
            None => sums,
            Some(_) => PrimitiveArray::from_iter_values(
                (0..values.len()).map(|i| if counts.value(i) == 1 { sums.value(i) } else { Default::default() }),
            ),
        };
        Ok(vec![Arc::new(sums.with_data_type(self.sum_type())), Arc::new(counts)])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<<S::Sum as ArrowPrimitiveType>::Native>() + self.counts.capacity() * 8
    }
}

impl<S: Summing> Peek for SumGroups<S> {
    fn peek(&self) -> DfResult<ScalarValue> {
        let value = match (self.sums.first(), self.counts.first()) {
            (Some(sum), Some(count)) => self.result(*sum, *count)?,
            _ => None,
        };
        ScalarValue::new_primitive::<S::Out>(value, &self.call.return_arrow())
    }
}

fn groups(call: &Arc<AggregateCall>) -> Result<Box<dyn GroupsAccumulator>> {
    Ok(match call.arg_arrow(0) {
        ArrowType::Int64 => Box::new(SumGroups::<Longs>::new(call)),
        ArrowType::Float64 => Box::new(SumGroups::<Doubles>::new(call)),
        ArrowType::Decimal128(..) => Box::new(SumGroups::<Decimals>::new(call)),
        ArrowType::Interval(_) => Box::new(SumGroups::<Months>::new(call)),
        ArrowType::Duration(_) => Box::new(SumGroups::<Durations>::new(call)),
        other => return Err(SparkError::internal(format!("{} of {other}", call.name))),
    })
}

fn accumulator(call: &Arc<AggregateCall>) -> Result<Box<dyn Accumulator>> {
    Ok(match call.arg_arrow(0) {
        ArrowType::Int64 => Box::new(Single::new(SumGroups::<Longs>::new(call))),
        ArrowType::Float64 => Box::new(Single::new(SumGroups::<Doubles>::new(call))),
        ArrowType::Decimal128(..) => Box::new(Single::new(SumGroups::<Decimals>::new(call))),
        ArrowType::Interval(_) => Box::new(Single::new(SumGroups::<Months>::new(call))),
        ArrowType::Duration(_) => Box::new(Single::new(SumGroups::<Durations>::new(call))),
        other => return Err(SparkError::internal(format!("{} of {other}", call.name))),
    })
}

const KERNEL: AggregateKernel = AggregateKernel { accumulator, groups: Some(groups), state: state_types };

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 1)?;
    let name = context.called_as.to_lowercase();
    let average = name.contains("avg") || name == "mean";
    let mut builder = AggregateBuilder::new(context, arguments)?;
    // A timestamp counts as its seconds.
    if builder.value(0).data_type != DataType::Timestamp {
        builder.accept(&[Accept::NumericOrAnsiInterval])?;
    }
    let input = builder.value(0).data_type.clone();
    let (cast_to, result) = match input {
        DataType::Decimal(p, s) if average => (input.clone(), DataType::Decimal((p + 4).min(38), (s + 4).min(38))),
        DataType::Decimal(p, s) => (input.clone(), DataType::Decimal((p + 10).min(38), s)),
        DataType::YearMonthInterval(..) if average => (input.clone(), DataType::YEAR_MONTH),
        DataType::DayTimeInterval(..) if average => (input.clone(), DataType::DAY_TIME),
        DataType::YearMonthInterval(..) | DataType::DayTimeInterval(..) => (input.clone(), input.clone()),
        _ if input.is_integral() && !average => (DataType::Long, DataType::Long),
        _ => (DataType::Double, DataType::Double),
    };
    let value = coerce::implicit(builder.value(0).clone(), &cast_to, context.eval, &context.origin)?;
    builder.set_values(vec![value]);
    let mut options = vec![];
    if average {
        options.push("avg".to_string());
    }
    if name.starts_with("try_") {
        options.push("try".to_string());
    }
    builder.finish(if average { "avg" } else { "sum" }, KERNEL, result, true, options, vec![])
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "sum",
        &[],
        build,
        "sum(expr) - Adds up the values of a group that are not NULL.",
        "SELECT sum(col) FROM VALUES (5), (10), (15) AS tab(col)",
        "30",
        "1.0.0"
    ),
    entry!(
        "try_sum",
        &[],
        build,
        "try_sum(expr) - As sum, with NULL where the total does not fit.",
        "SELECT try_sum(col) FROM VALUES (9223372036854775807L), (1L) AS tab(col)",
        "NULL",
        "3.3.0"
    ),
    entry!(
        "avg",
        &["mean"],
        build,
        "avg(expr) - The mean of the values of a group that are not NULL.",
        "SELECT avg(col) FROM VALUES (1), (2), (3) AS tab(col)",
        "2.0",
        "1.0.0"
    ),
    entry!(
        "try_avg",
        &[],
        build,
        "try_avg(expr) - As avg, with NULL where the total does not fit.",
        "SELECT try_avg(col) FROM VALUES (1), (2), (3) AS tab(col)",
        "2.0",
        "3.3.0"
    ),
];
