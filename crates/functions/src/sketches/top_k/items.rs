//! Values as items of a sketch: their bytes as the Java library writes them, and Java's hash codes.
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array, StringArray,
};
use arrow::datatypes::{DataType as ArrowType, Decimal128Type, Float32Type, Float64Type};
use firesteel_plan::{DataType, Result};

use super::frequent_items::Item;
use crate::collation::Collator;
use crate::datetime::vector::as_longs;
use crate::java_hash;
use crate::scalar::from_arrow;
use crate::types;

/// How the items of a type are written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// A bit each
    Boolean,
    /// A byte that tells the width, then so many bytes
    Tagged {
        tag: u8,
        width: usize,
    },
    /// Eight bytes
    Long,
    Double,
    /// Length and bytes
    Text,
    /// Length and the unscaled value, big endian
    WideDecimal,
}

pub struct ItemType {
    data_type: DataType,
    form: Form,
    collator: Collator,
}

const TAG_BYTE: u8 = 2;
const TAG_SHORT: u8 = 3;
const TAG_FLOAT: u8 = 6;
const TAG_INT: u8 = 9;

impl ItemType {
    /// Nothing where sketches do not take the type.
    pub fn of(data_type: &DataType) -> Option<Self> {
        let form = match data_type {
            DataType::Boolean => Form::Boolean,
            DataType::Byte => Form::Tagged { tag: TAG_BYTE, width: 1 },
            DataType::Short => Form::Tagged { tag: TAG_SHORT, width: 2 },
            DataType::Float => Form::Tagged { tag: TAG_FLOAT, width: 4 },
            DataType::Integer | DataType::Date => Form::Tagged { tag: TAG_INT, width: 4 },
            DataType::Decimal(precision, _) if *precision <= 9 => Form::Tagged { tag: TAG_INT, width: 4 },
            DataType::Decimal(precision, _) if *precision > 18 => Form::WideDecimal,
            DataType::Long | DataType::Timestamp | DataType::TimestampNtz | DataType::Decimal(..) => Form::Long,
            DataType::Double => Form::Double,
            other if other.is_string() => Form::Text,
            _ => return None,
        };
        Some(Self { data_type: data_type.clone(), form, collator: Collator::of(data_type) })
    }

    /// One item for each value that is not NULL.
    pub fn for_each(&self, values: &ArrayRef, mut visit: impl FnMut(Option<Item>)) -> Result<()> {
        let mut give = |bytes: Option<(Vec<u8>, i32)>| {
            visit(bytes.map(|(bytes, hash_code)| Item { bytes: bytes.into(), hash_code }));
        };
        match values.data_type() {
            ArrowType::Boolean => {
                values.as_boolean().iter().for_each(|v| give(v.map(|v| (vec![v.into()], java_hash::boolean(v)))));
            }
            ArrowType::Float32 => values.as_primitive::<Float32Type>().iter().for_each(|v| {
                give(v.map(|v| (v.to_le_bytes().to_vec(), java_hash::float(v))));
            }),
            ArrowType::Float64 => values.as_primitive::<Float64Type>().iter().for_each(|v| {
                give(v.map(|v| (v.to_le_bytes().to_vec(), java_hash::double(v))));
            }),
            ArrowType::Decimal128(_, scale) => values.as_primitive::<Decimal128Type>().iter().for_each(|v| {
                give(v.map(|v| (self.decimal_bytes(v), java_hash::decimal(v, *scale))));
            }),
            ArrowType::Utf8 => values.as_string::<i32>().iter().for_each(|v| {
                give(v.map(|v| {
                    let text = String::from_utf8_lossy(&self.collator.key(v)).into_owned();
                    let hash = java_hash::string(&text);
                    (text.into_bytes(), hash)
                }));
            }),
            _ => as_longs(values)?.iter().for_each(|v| {
                let width = match self.form {
                    Form::Tagged { width, .. } => width,
                    _ => 8,
                };
                let hash = |v: i64| if width == 8 { java_hash::long(v) } else { v as i32 };
                give(v.map(|v| (v.to_le_bytes()[..width].to_vec(), hash(v))));
            }),
        }
        Ok(())
    }

    fn decimal_bytes(&self, value: i128) -> Vec<u8> {
        match self.form {
            Form::Tagged { width, .. } => value.to_le_bytes()[..width].to_vec(),
            Form::Long => value.to_le_bytes()[..8].to_vec(),
            _ => num_bigint::BigInt::from(value).to_signed_bytes_be(),
        }
    }

    /// A column of items.
    pub fn column(&self, items: &[Option<&Item>]) -> Result<ArrayRef> {
        let long = |item: &Option<&Item>| item.map(|item| little_endian(&item.bytes));
        let array = |index: usize| -> Option<[u8; 8]> { items[index].and_then(|i| i.bytes.as_ref().try_into().ok()) };
        Ok(match &self.data_type {
            DataType::Boolean => {
                Arc::new(items.iter().map(|i| i.map(|i| i.bytes.first() == Some(&1))).collect::<BooleanArray>())
            }
            DataType::Float => Arc::new(
                items.iter().map(|i| long(i).map(|bits| f32::from_bits(bits as u32))).collect::<Float32Array>(),
            ),
            DataType::Double => {
                let double = |index| array(index).map(f64::from_le_bytes);
                Arc::new((0..items.len()).map(double).collect::<Float64Array>())
            }
            DataType::Decimal(precision, scale) => {
                let unscaled = |item: &Option<&Item>| match self.form {
                    Form::WideDecimal => {
                        item.and_then(|i| i128::try_from(num_bigint::BigInt::from_signed_bytes_be(&i.bytes)).ok())
                    }
                    _ => long(item).map(i128::from),
                };
                let values: Decimal128Array = items.iter().map(unscaled).collect();
                let typed = values.with_precision_and_scale(*precision, *scale);
                Arc::new(typed.map_err(from_arrow)?)
            }
            other if other.is_string() => {
                let text = |item: &Option<&Item>| item.map(|i| String::from_utf8_lossy(&i.bytes).into_owned());
                Arc::new(items.iter().map(text).collect::<StringArray>())
            }
            other => {
                let longs: Int64Array = items.iter().map(long).collect();
                let to = types::to_arrow(other);
                if to == ArrowType::Date32 {
                    let ints = arrow::compute::cast(&longs, &ArrowType::Int32).map_err(from_arrow)?;
                    return arrow::compute::cast(&ints, &to).map_err(from_arrow);
                }
                arrow::compute::cast(&longs, &to).map_err(from_arrow)?
            }
        })
    }

    /// Items behind each other.
    pub fn pack(&self, items: &[&Item]) -> Vec<u8> {
        let mut bytes = vec![];
        match self.form {
            Form::Boolean => {
                for chunk in items.chunks(8) {
                    let bit = |(place, item): (usize, &&Item)| u8::from(item.bytes.first() == Some(&1)) << place;
                    bytes.push(chunk.iter().enumerate().map(bit).fold(0, |byte, bit| byte | bit));
                }
            }
            Form::Tagged { tag, .. } => items.iter().for_each(|item| {
                bytes.push(tag);
                bytes.extend(&item.bytes);
            }),
            Form::Long | Form::Double => items.iter().for_each(|item| bytes.extend(&item.bytes)),
            Form::Text | Form::WideDecimal => items.iter().for_each(|item| {
                bytes.extend((item.bytes.len() as u32).to_le_bytes());
                bytes.extend(&item.bytes);
            }),
        }
        bytes
    }

    /// Takes [`Self::pack`]'s bytes of `count` items apart.
    pub fn unpack(&self, bytes: &[u8], count: usize) -> Option<Vec<Item>> {
        let mut rest = bytes;
        let mut take = |length: usize| {
            let (taken, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(taken)
        };
        if self.form == Form::Boolean {
            let packed = take(count.div_ceil(8))?;
            let value = |index: usize| (packed[index / 8] >> (index % 8)) & 1 == 1;
            return Some((0..count).map(value).map(|v| self.item(&[v.into()])).collect());
        }
        // The counts before the items have bounded `count` by the length of the sketch.
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            let taken = match self.form {
                Form::Tagged { tag, width } => take(width + 1)?.strip_prefix(&[tag])?,
                Form::Long | Form::Double => take(8)?,
                _ => {
                    let length = u32::from_le_bytes(take(4)?.try_into().ok()?);
                    take(length as usize)?
                }
            };
            items.push(self.item(taken));
        }
        Some(items)
    }

    fn item(&self, bytes: &[u8]) -> Item {
        let hash_code = match (&self.data_type, self.form) {
            (DataType::Decimal(_, scale), Form::WideDecimal) => {
                let value = i128::try_from(num_bigint::BigInt::from_signed_bytes_be(bytes)).unwrap_or_default();
                java_hash::decimal(value, *scale)
            }
            (DataType::Decimal(_, scale), _) => java_hash::decimal(little_endian(bytes).into(), *scale),
            (DataType::Float, _) => java_hash::float(f32::from_bits(little_endian(bytes) as u32)),
            (DataType::Boolean, _) => java_hash::boolean(bytes == [1]),
            (_, Form::Double) => java_hash::double(bytes.try_into().map_or(0.0, f64::from_le_bytes)),
            (_, Form::Text) => java_hash::string(&String::from_utf8_lossy(bytes)),
            (_, Form::Long) => java_hash::long(little_endian(bytes)),
            _ => little_endian(bytes) as i32,
        };
        Item { bytes: bytes.into(), hash_code }
    }
}

/// A signed number of up to eight bytes.
fn little_endian(bytes: &[u8]) -> i64 {
    let fill = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xFF } else { 0 };
    let mut all = [fill; 8];
    let length = bytes.len().min(8);
    all[..length].copy_from_slice(&bytes[..length]);
    i64::from_le_bytes(all)
}
