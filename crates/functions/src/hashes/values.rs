//! `hash` and `xxhash64`: the hash of each argument is the seed of the next; NULL leaves the seed as it is.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array};
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType,
    Time64NanosecondType, TimestampMicrosecondType,
};
use firesteel_plan::{DataType, Result, SparkError};

use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{ScalarArgs, SparkScalar};

/// A hash function over the words and bytes that values are made of.
pub trait ValueHash: Copy {
    fn int(self, value: i32) -> Self;
    fn long(self, value: i64) -> Self;
    fn bytes(self, bytes: &[u8]) -> Self;
}

/// Murmur3 x86 32-bit, with Spark's treatment of the bytes after the last whole word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Murmur3(pub i32);

impl Murmur3 {
    fn mix(self, word: u32) -> Self {
        let k = word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        let h = (self.0 as u32 ^ k).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        Self(h as i32)
    }

    fn finish(self, length: usize) -> Self {
        let mut h = self.0 as u32 ^ length as u32;
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        Self((h ^ (h >> 16)) as i32)
    }
}

impl ValueHash for Murmur3 {
    fn int(self, value: i32) -> Self {
        self.mix(value as u32).finish(4)
    }
    fn long(self, value: i64) -> Self {
        self.mix(value as u32).mix((value >> 32) as u32).finish(8)
    }
    fn bytes(self, bytes: &[u8]) -> Self {
        let (words, tail) = bytes.as_chunks::<4>();
        let whole = words.iter().fold(self, |h, word| h.mix(u32::from_le_bytes(*word)));
        // Each remaining byte counts as a word of its own, with its sign.
        tail.iter().fold(whole, |h, byte| h.mix(i32::from(*byte as i8) as u32)).finish(bytes.len())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XxHash64(pub i64);

impl XxHash64 {
    fn of(self, bytes: &[u8]) -> Self {
        Self(twox_hash::XxHash64::oneshot(self.0 as u64, bytes) as i64)
    }
}

impl ValueHash for XxHash64 {
    fn int(self, value: i32) -> Self {
        self.of(&value.to_le_bytes())
    }
    fn long(self, value: i64) -> Self {
        self.of(&value.to_le_bytes())
    }
    fn bytes(self, bytes: &[u8]) -> Self {
        self.of(bytes)
    }
}

/// Hashes a column into the seeds of its rows.
pub fn update<H: ValueHash>(array: &ArrayRef, data_type: &DataType, seeds: &mut [H]) -> Result<()> {
    macro_rules! rows {
        ($values:expr, $hash:expr) => {{
            let values = $values;
            for (row, seed) in seeds.iter_mut().enumerate() {
                if values.is_valid(row) {
                    *seed = $hash(*seed, values.value(row));
                }
            }
        }};
    }
    match array.data_type() {
        ArrowType::Null => {}
        ArrowType::Boolean => rows!(array.as_boolean(), |h: H, v: bool| h.int(v.into())),
        ArrowType::Int8 => rows!(array.as_primitive::<Int8Type>(), |h: H, v: i8| h.int(v.into())),
        ArrowType::Int16 => rows!(array.as_primitive::<Int16Type>(), |h: H, v: i16| h.int(v.into())),
        ArrowType::Int32 => rows!(array.as_primitive::<Int32Type>(), H::int),
        ArrowType::Date32 => rows!(array.as_primitive::<Date32Type>(), H::int),
        ArrowType::Interval(IntervalUnit::YearMonth) => rows!(array.as_primitive::<IntervalYearMonthType>(), H::int),
        ArrowType::Int64 => rows!(array.as_primitive::<Int64Type>(), H::long),
        ArrowType::Timestamp(..) => rows!(array.as_primitive::<TimestampMicrosecondType>(), H::long),
        ArrowType::Duration(_) => rows!(array.as_primitive::<DurationMicrosecondType>(), H::long),
        ArrowType::Time64(_) => rows!(array.as_primitive::<Time64NanosecondType>(), H::long),
        ArrowType::Float32 => rows!(array.as_primitive::<Float32Type>(), |h: H, v: f32| h.int(float_bits(v))),
        ArrowType::Float64 => rows!(array.as_primitive::<Float64Type>(), |h: H, v: f64| h.long(double_bits(v))),
        ArrowType::Decimal128(precision, _) if *precision <= 18 => {
            rows!(array.as_primitive::<Decimal128Type>(), |h: H, v: i128| h.long(v as i64))
        }
        ArrowType::Decimal128(..) => {
            rows!(array.as_primitive::<Decimal128Type>(), |h: H, v: i128| h.bytes(big_integer_bytes(&v.to_be_bytes())))
        }
        ArrowType::Utf8 => {
            let collator = crate::collation::Collator::of(data_type);
            rows!(array.as_string::<i32>(), |h: H, v: &str| h.bytes(&collator.key(v)))
        }
        ArrowType::Binary => rows!(array.as_binary::<i32>(), H::bytes),
        ArrowType::Interval(IntervalUnit::MonthDayNano) => {
            rows!(
                array.as_primitive::<IntervalMonthDayNanoType>(),
                |h: H, v: arrow::datatypes::IntervalMonthDayNano| {
                    h.long(v.nanoseconds / 1000).int(v.days).int(v.months)
                }
            )
        }
        _ => return update_nested(array, data_type, seeds),
    }
    Ok(())
}

fn update_nested<H: ValueHash>(array: &ArrayRef, data_type: &DataType, seeds: &mut [H]) -> Result<()> {
    match (array.data_type(), data_type) {
        (ArrowType::Struct(_), DataType::Struct(fields)) => {
            let structs = array.as_struct();
            // Rows that are NULL keep their seed whatever the fields hold.
            let before = structs.nulls().map(|_| seeds.to_vec());
            for (column, field) in structs.columns().iter().zip(fields.fields.iter()) {
                update(column, &field.data_type, seeds)?;
            }
            if let (Some(nulls), Some(before)) = (structs.nulls(), before) {
                for row in 0..seeds.len() {
                    if nulls.is_null(row) {
                        seeds[row] = before[row];
                    }
                }
            }
            Ok(())
        }
        (ArrowType::List(_), DataType::Array(element, _)) => {
            let lists = array.as_list::<i32>();
            for (row, seed) in seeds.iter_mut().enumerate().filter(|(row, _)| lists.is_valid(*row)) {
                *seed = chain(&[(lists.value(row), element.as_ref())], *seed)?;
            }
            Ok(())
        }
        (ArrowType::Map(..), DataType::Map(key, value, _)) => {
            let maps = array.as_map();
            for (row, seed) in seeds.iter_mut().enumerate().filter(|(row, _)| maps.is_valid(*row)) {
                let entries = maps.value(row);
                let columns = [(entries.column(0).clone(), key.as_ref()), (entries.column(1).clone(), value.as_ref())];
                *seed = chain(&columns, *seed)?;
            }
            Ok(())
        }
        (other, _) => Err(SparkError::unsupported(format!("a hash of {other}"))),
    }
}

/// One hash through the items of columns of the same length, row after row.
fn chain<H: ValueHash>(columns: &[(ArrayRef, &DataType)], seed: H) -> Result<H> {
    let mut seed = [seed];
    let length = columns.first().map_or(0, |(array, _)| array.len());
    for item in 0..length {
        for (array, data_type) in columns {
            update(&array.slice(item, 1), data_type, &mut seed)?;
        }
    }
    Ok(seed[0])
}

/// `Float.floatToIntBits`, both zeros being one.
fn float_bits(value: f32) -> i32 {
    match value {
        0.0 => 0,
        _ if value.is_nan() => 0x7fc0_0000,
        _ => value.to_bits() as i32,
    }
}

fn double_bits(value: f64) -> i64 {
    match value {
        0.0 => 0,
        _ if value.is_nan() => 0x7ff8_0000_0000_0000,
        _ => value.to_bits() as i64,
    }
}

/// `BigInteger.toByteArray`: the shortest two's complement, big endian.
fn big_integer_bytes(bytes: &[u8; 16]) -> &[u8] {
    let sign = if bytes[0] & 0x80 == 0 { 0x00 } else { 0xFF };
    let mut start = 0;
    while start < 15 && bytes[start] == sign && (bytes[start + 1] ^ sign) & 0x80 == 0 {
        start += 1;
    }
    &bytes[start..]
}

fn hash_all<H: ValueHash>(args: &ScalarArgs<'_>, seed: H) -> Result<Vec<H>> {
    let mut seeds = vec![seed; args.rows];
    for index in 0..args.values.len() {
        // Collations do not count: equal strings may have different hashes here.
        update(&args.array(index)?, &args.arg_types[index].without_collations(), &mut seeds)?;
    }
    Ok(seeds)
}

fn murmur3(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let hashes = hash_all(args, Murmur3(42))?;
    Ok(Arc::new(Int32Array::from_iter_values(hashes.into_iter().map(|h| h.0))))
}

fn xxhash64(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let hashes = hash_all(args, XxHash64(42))?;
    Ok(Arc::new(Int64Array::from_iter_values(hashes.into_iter().map(|h| h.0))))
}

fn holds_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::Array(element, _) => holds_map(element),
        DataType::Struct(fields) => fields.fields.iter().any(|f| holds_map(&f.data_type)),
        _ => false,
    }
}

fn build(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    kernel: crate::scalar::Kernel,
    result: DataType,
) -> Result<Built> {
    let values = arguments.values;
    let sql = format!("{name}({})", values.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", "));
    if values.is_empty() {
        return Err(crate::registry::wrong_num_args(name, 1, usize::MAX, 0));
    }
    if !context.eval.flag("spark.sql.legacy.allowHashOnMapType", false)
        && values.iter().any(|v| holds_map(&v.data_type))
    {
        return Err(SparkError::new(
            "DATATYPE_MISMATCH.HASH_MAP_TYPE",
            [("sqlExpr", format!("\"{sql}\"")), ("functionName", format!("`{name}`"))],
        ));
    }
    let call = SparkScalar::call(name, kernel, values, result, false, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

const fn entry(
    name: &'static str,
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "hash_funcs",
        parameters: &[],
        build: Build::Custom(build),
        usage,
        examples,
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "hash",
        |context, arguments| build(context, arguments, "hash", murmur3, DataType::Integer),
        "hash(expr1, expr2, ...) - Returns a 32-bit hash (Murmur3) of the arguments.",
        &[("SELECT hash('Spark', array(123), 2);", "-1321691492")],
        "2.0.0",
    ),
    entry(
        "xxhash64",
        |context, arguments| build(context, arguments, "xxhash64", xxhash64, DataType::Long),
        "xxhash64(expr1, expr2, ...) - Returns a 64-bit hash (xxHash64) of the arguments.",
        &[("SELECT xxhash64('Spark', array(123), 2);", "5602566077635097486")],
        "3.0.0",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(Murmur3(42).int(1).0, -559_580_957);
        assert_eq!(XxHash64(42).int(1).0, -6_698_625_589_789_238_999);
        assert_eq!(Murmur3(42).bytes(b"Spark").int(123).int(2).0, -1_321_691_492);
        assert_eq!(big_integer_bytes(&(-1i128).to_be_bytes()), &[0xFF]);
        assert_eq!(big_integer_bytes(&128i128.to_be_bytes()), &[0, 0x80]);
    }
}
