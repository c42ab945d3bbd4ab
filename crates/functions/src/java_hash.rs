//! `hashCode` of Java and Scala values, for what depends on the order of hash tables.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Float32Type, Float64Type};
use firesteel_plan::Result;

use crate::datetime::vector::as_longs;
use crate::hashes::values::{Murmur3, ValueHash};

pub fn boolean(value: bool) -> i32 {
    if value { 1231 } else { 1237 }
}

pub fn long(value: i64) -> i32 {
    (value ^ ((value as u64) >> 32) as i64) as i32
}

/// `Float.floatToIntBits`, which is its hash code too.
pub fn float(value: f32) -> i32 {
    if value.is_nan() { 0x7fc0_0000 } else { value.to_bits() as i32 }
}

pub fn double(value: f64) -> i32 {
    long(if value.is_nan() { 0x7ff8_0000_0000_0000 } else { value.to_bits() as i64 })
}

/// Of a `String`.
pub fn string(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

/// Of Scala's `BigDecimal`: that of the whole number or double it equals.
pub fn decimal(value: i128, scale: i8) -> i32 {
    let unit = 10i128.checked_pow(scale.max(0) as u32).unwrap_or(1);
    if value % unit == 0 {
        let whole = value / unit;
        return i32::try_from(whole).unwrap_or_else(|_| long(whole as i64));
    }
    let as_double = crate::decimal::to_double(value, scale);
    let as_float = as_double as f32;
    if f64::from(as_float) == as_double { float(as_float) } else { double(as_double) }
}

/// Of each value as Spark holds it; strings hash by their bytes.
pub fn of_values(values: &ArrayRef) -> Result<Vec<i32>> {
    Ok(match values.data_type() {
        ArrowType::Boolean => values.as_boolean().iter().map(|v| v.map_or(0, boolean)).collect(),
        ArrowType::Float32 => values.as_primitive::<Float32Type>().iter().map(|v| v.map_or(0, float)).collect(),
        ArrowType::Float64 => values.as_primitive::<Float64Type>().iter().map(|v| v.map_or(0, double)).collect(),
        ArrowType::Decimal128(_, scale) => {
            let hash = |v: i128| decimal(v, *scale);
            values.as_primitive::<Decimal128Type>().iter().map(|v| v.map_or(0, hash)).collect()
        }
        ArrowType::Utf8 => {
            values.as_string::<i32>().iter().map(|v| v.map_or(0, |v| Murmur3(42).bytes(v.as_bytes()).0)).collect()
        }
        ArrowType::Int64 | ArrowType::Timestamp(..) | ArrowType::Duration(_) | ArrowType::Time64(_) => {
            as_longs(values)?.iter().map(|v| v.map_or(0, long)).collect()
        }
        ArrowType::Int8
        | ArrowType::Int16
        | ArrowType::Int32
        | ArrowType::Date32
        | ArrowType::Interval(arrow::datatypes::IntervalUnit::YearMonth) => {
            as_longs(values)?.iter().map(|v| v.map_or(0, |v| v as i32)).collect()
        }
        // Nothing is known of the order of others.
        _ => vec![0; values.len()],
    })
}

/// Slots of an empty table.
const SLOTS_MIN: usize = 64;

/// The order in which Spark's `OpenHashMap` gives keys of these hash codes that were put into it one after the other.
pub fn table_order(hash_codes: &[i32]) -> Vec<usize> {
    let mut slots: Vec<Option<usize>> = vec![None; SLOTS_MIN];
    let put = |slots: &mut Vec<Option<usize>>, key: usize| {
        let mask = slots.len() - 1;
        let mut place = Murmur3(0).int(hash_codes[key]).0 as usize & mask;
        let mut step = 1;
        while slots[place].is_some() {
            place = (place + step) & mask;
            step += 1;
        }
        slots[place] = Some(key);
    };
    for key in 0..hash_codes.len() {
        put(&mut slots, key);
        if key + 1 > slots.len() * 7 / 10 {
            let larger = vec![None; slots.len() * 2];
            for moved in std::mem::replace(&mut slots, larger).into_iter().flatten() {
                put(&mut slots, moved);
            }
        }
    }
    slots.into_iter().flatten().collect()
}
