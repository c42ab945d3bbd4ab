//! The bucket of a row: Spark's Murmur3 hash of the bucket columns, modulo the number of buckets.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, IntervalYearMonthType, TimeUnit, TimestampMicrosecondType,
};
use firesteel_plan::{Result, SparkError};

const SEED: u32 = 42;

/// The bucket of each row.
pub(super) fn bucket_ids(columns: &[ArrayRef], num_buckets: u32, rows: usize) -> Result<Vec<u32>> {
    let mut hashes = vec![SEED; rows];
    for column in columns {
        hash_column(column, &mut hashes)?;
    }
    let buckets = i64::from(num_buckets.max(1));
    let bucket = |hash: u32| u32::try_from(i64::from(hash.cast_signed()).rem_euclid(buckets)).unwrap_or_default();
    Ok(hashes.into_iter().map(bucket).collect())
}

/// Updates the hash of each row whose value is not null.
fn each(column: &ArrayRef, hashes: &mut [u32], hash: impl Fn(usize, u32) -> u32) {
    for (row, slot) in hashes.iter_mut().enumerate() {
        if column.is_valid(row) {
            *slot = hash(row, *slot);
        }
    }
}

fn hash_column(column: &ArrayRef, hashes: &mut [u32]) -> Result<()> {
    macro_rules! ints {
        ($type:ty) => {{
            let values = column.as_primitive::<$type>();
            each(column, hashes, |row, seed| hash_int(i32::from(values.value(row)), seed));
        }};
    }
    macro_rules! longs {
        ($type:ty) => {{
            let values = column.as_primitive::<$type>();
            each(column, hashes, |row, seed| hash_long(values.value(row), seed));
        }};
    }
    match column.data_type() {
        DataType::Null => {}
        DataType::Boolean => {
            let values = column.as_boolean();
            each(column, hashes, |row, seed| hash_int(i32::from(values.value(row)), seed));
        }
        DataType::Int8 => ints!(Int8Type),
        DataType::Int16 => ints!(Int16Type),
        DataType::Int32 => ints!(Int32Type),
        DataType::Date32 => ints!(Date32Type),
        DataType::Interval(arrow::datatypes::IntervalUnit::YearMonth) => ints!(IntervalYearMonthType),
        DataType::Int64 => longs!(Int64Type),
        DataType::Timestamp(TimeUnit::Microsecond, _) => longs!(TimestampMicrosecondType),
        DataType::Duration(TimeUnit::Microsecond) => longs!(DurationMicrosecondType),
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            each(column, hashes, |row, seed| hash_int((values.value(row) + 0.0).to_bits().cast_signed(), seed));
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            each(column, hashes, |row, seed| hash_long((values.value(row) + 0.0).to_bits().cast_signed(), seed));
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            each(column, hashes, |row, seed| hash_bytes(values.value(row).as_bytes(), seed));
        }
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            each(column, hashes, |row, seed| hash_bytes(values.value(row), seed));
        }
        DataType::Decimal128(precision, _) => {
            let (values, small) = (column.as_primitive::<Decimal128Type>(), *precision <= 18);
            each(column, hashes, |row, seed| hash_decimal(values.value(row), small, seed));
        }
        other => return Err(SparkError::unsupported(format!("bucketing by a column of Arrow type {other}"))),
    }
    Ok(())
}

fn hash_decimal(value: i128, small: bool, seed: u32) -> u32 {
    match i64::try_from(value) {
        Ok(value) if small => hash_long(value, seed),
        _ => {
            // Java's BigInteger.toByteArray: big endian, without redundant sign bytes.
            let bytes = value.to_be_bytes();
            let sign = if value < 0 { 0xff } else { 0 };
            let redundant =
                (0..15).take_while(|i| bytes[*i] == sign && (bytes[*i + 1] & 0x80 == 0x80) == (value < 0)).count();
            hash_bytes(&bytes[redundant..], seed)
        }
    }
}

fn mix_k1(k1: u32) -> u32 {
    k1.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

fn mix_h1(h1: u32, k1: u32) -> u32 {
    (h1 ^ k1).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
}

fn finish(h1: u32, length: u32) -> u32 {
    let mut h = h1 ^ length;
    h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
    h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

fn hash_int(value: i32, seed: u32) -> u32 {
    finish(mix_h1(seed, mix_k1(value.cast_unsigned())), 4)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of the value")]
fn hash_long(value: i64, seed: u32) -> u32 {
    let bits = value.cast_unsigned();
    let low = mix_h1(seed, mix_k1(bits as u32));
    finish(mix_h1(low, mix_k1((bits >> 32) as u32)), 8)
}

/// Whole words first; then, unlike the original Murmur3, each byte that is left as a signed integer.
fn hash_bytes(bytes: &[u8], seed: u32) -> u32 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut h1 = words.iter().fold(seed, |h1, word| mix_h1(h1, mix_k1(u32::from_le_bytes(*word))));
    for byte in rest {
        h1 = mix_h1(h1, mix_k1(i32::from(byte.cast_signed()).cast_unsigned()));
    }
    finish(h1, u32::try_from(bytes.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_sparks() {
        // SELECT hash('Spark'), hash(1), hash(1L)
        assert_eq!(hash_bytes(b"Spark", SEED).cast_signed(), 228_093_765);
        assert_eq!(hash_int(1, SEED).cast_signed(), -559_580_957);
        assert_eq!(hash_long(1, SEED).cast_signed(), -1_712_319_331);
    }
}
