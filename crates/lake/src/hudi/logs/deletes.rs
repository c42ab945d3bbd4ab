//! Delete blocks: keys of records that are gone, with what orders them in time.
//!
//! Version 3 has an Avro list of records: key, partition path, and an ordering value that is one of several kinds. Those
//! before hold serialized Java objects.
use arrow::datatypes::DataType;
use bytes::{Buf, Bytes};
use datafusion::common::ScalarValue;
use firesteel_plan::{Result, SparkError};

use super::blocks::{Block, Part};
use super::damaged;
use super::records::{put_bytes, put_long};

const VERSION: i32 = 3;
/// Decimals are kept with as many digits, and so many of them behind the point.
const DECIMAL_DIGITS: u8 = 30;
const DECIMAL_SCALE: i8 = 15;

/// A record that is gone.
#[derive(Debug, PartialEq)]
pub(super) struct Deleted {
    pub key: String,
    /// `None`: whatever comes later counts
    pub order: Option<ScalarValue>,
}

pub(super) fn read(block: &Block) -> Result<Vec<Deleted>> {
    let mut part = Part { place: &block.place, bytes: block.content.clone() };
    let version = part.int()?;
    if version != VERSION {
        return Err(SparkError::unsupported(format!("reading delete blocks of Hudi of version {version}")));
    }
    let mut avro = Avro(part.counted()?);
    avro.list().ok_or_else(|| damaged(&block.place, "a list of deletes makes no sense"))
}

/// The deletes of a block that is written.
#[derive(Debug, Default)]
pub(in crate::hudi) struct Deletes {
    count: usize,
    avro: Vec<u8>,
}

impl Deletes {
    /// `order`: what the delete is compared by; without it all that came before the delete goes.
    pub(in crate::hudi) fn add(&mut self, key: &str, partition: &str, order: Option<&ScalarValue>) -> Result<()> {
        self.count += 1;
        let avro = &mut self.avro;
        for text in [key, partition] {
            put_long(avro, 1);
            put_bytes(avro, text.as_bytes());
        }
        match order {
            None => [2, 0].into_iter().for_each(|value| put_long(avro, value)),
            // Hudi compares dates and times as the numbers that they are stored as.
            Some(ScalarValue::Int32(Some(value)) | ScalarValue::Date32(Some(value))) => {
                [2, i64::from(*value)].into_iter().for_each(|value| put_long(avro, value));
            }
            Some(ScalarValue::Int64(Some(value)) | ScalarValue::TimestampMicrosecond(Some(value), _)) => {
                [3, *value].into_iter().for_each(|value| put_long(avro, value));
            }
            Some(ScalarValue::Float32(Some(value))) => {
                put_long(avro, 4);
                avro.extend(value.to_le_bytes());
            }
            Some(ScalarValue::Float64(Some(value))) => {
                put_long(avro, 5);
                avro.extend(value.to_le_bytes());
            }
            Some(other) => match other.try_as_str() {
                Some(Some(text)) => {
                    put_long(avro, 7);
                    put_bytes(avro, text.as_bytes());
                }
                // Readers of Hudi's fail on others.
                _ => return Err(not_compared(&other.data_type())),
            },
        }
        Ok(())
    }

    /// `None` where there are none.
    pub(in crate::hudi) fn content(&self) -> Result<Option<Vec<u8>>> {
        if self.count == 0 {
            return Ok(None);
        }
        let mut list = vec![];
        put_long(&mut list, i64::try_from(self.count).unwrap_or(i64::MAX));
        list.extend_from_slice(&self.avro);
        put_long(&mut list, 0);
        let length = i32::try_from(list.len());
        let length = length.map_err(|_| SparkError::unsupported("so many deletes of one file of a Hudi table"))?;
        Ok(Some([&VERSION.to_be_bytes()[..], &length.to_be_bytes(), &list].concat()))
    }
}

fn not_compared(data_type: &DataType) -> SparkError {
    SparkError::unsupported(format!(
        "deleting rows of a merge-on-read Hudi table whose precombine field is of the type {data_type}"
    ))
}

/// What is left of Avro's bytes; `None` where they end too early or say what they cannot.
struct Avro(Bytes);

impl Avro {
    fn list(&mut self) -> Option<Vec<Deleted>> {
        let mut found = vec![];
        loop {
            let count = self.long()?;
            if count == 0 {
                return Some(found);
            }
            if count < 0 {
                // The size of the part in bytes follows.
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                let key = self.optional_text()?.unwrap_or_default();
                self.optional_text()?;
                found.push(Deleted { key, order: self.order()? });
            }
        }
    }

    fn order(&mut self) -> Option<Option<ScalarValue>> {
        let int = |value: i64| i32::try_from(value).ok();
        Some(Some(match self.long()? {
            0 => return Some(None),
            1 => ScalarValue::Boolean(Some(self.take(1)?.first() == Some(&1))),
            // Hudi's own value for deletes that know no order.
            2 => match int(self.long()?)? {
                0 => return Some(None),
                value => ScalarValue::Int32(Some(value)),
            },
            3 => ScalarValue::Int64(Some(self.long()?)),
            4 => ScalarValue::Float32(Some(self.take(4)?.get_f32_le())),
            5 => ScalarValue::Float64(Some(self.take(8)?.get_f64_le())),
            6 => ScalarValue::Binary(Some(self.counted()?.to_vec())),
            7 => ScalarValue::Utf8(Some(self.text()?)),
            8 => ScalarValue::Date32(Some(int(self.long()?)?)),
            9 => ScalarValue::Decimal128(Some(unscaled(&self.counted()?)?), DECIMAL_DIGITS, DECIMAL_SCALE),
            10 => ScalarValue::Time64Microsecond(Some(self.long()?)),
            11 => ScalarValue::TimestampMicrosecond(Some(self.long()?), Some("UTC".into())),
            _ => return None,
        }))
    }

    fn optional_text(&mut self) -> Option<Option<String>> {
        match self.long()? {
            0 => Some(None),
            1 => self.text().map(Some),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.counted()?.to_vec()).ok()
    }

    fn counted(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.long()?).ok()?;
        self.take(length)
    }

    fn take(&mut self, count: usize) -> Option<Bytes> {
        (count <= self.0.len()).then(|| self.0.split_to(count))
    }

    /// Seven bits a byte, the lowest first; even numbers are positive.
    fn long(&mut self) -> Option<i64> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let half = i64::try_from(value >> 1).ok()?;
                return Some(if value & 1 == 1 { !half } else { half });
            }
        }
        None
    }
}

/// A number of two's complement with the highest byte first.
fn unscaled(bytes: &[u8]) -> Option<i128> {
    let first = *bytes.first()?;
    let mut whole = if first & 0x80 == 0 { [0; 16] } else { [0xff; 16] };
    whole.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(whole))
}

#[cfg(test)]
mod tests {
    use super::super::blocks::Kind;
    use super::super::blocks::tests::place;
    use super::*;

    fn block(version: i32, avro: &[u8]) -> Block {
        let length = i32::try_from(avro.len()).unwrap();
        let content = Bytes::from([&version.to_be_bytes()[..], &length.to_be_bytes(), avro].concat());
        Block {
            place: place(),
            kind: Kind::Delete,
            instant: "1".into(),
            schema: String::new(),
            is_partial: false,
            content,
        }
    }

    #[test]
    fn keys_and_orders() {
        // As Hudi 1.0.2 writes the delete of key 3 in p1: no order.
        let own = read(&block(3, b"\x02\x02\x023\x02\x04p1\x04\x00\x00")).unwrap();
        assert_eq!(own, [Deleted { key: "3".into(), order: None }]);
        // In two parts, the second with its size; a long, a decimal, no partition and no order.
        let more =
            read(&block(3, b"\x04\x02\x02a\x00\x06\x81\x01\x02\x02b\x00\x12\x04\xff\x00\x01\x08\x02\x02c\x00\x00\x00"))
                .unwrap();
        let decimal = ScalarValue::Decimal128(Some(-256), DECIMAL_DIGITS, DECIMAL_SCALE);
        let orders: Vec<_> = more.iter().map(|deleted| deleted.order.clone()).collect();
        assert_eq!(orders, [Some(ScalarValue::Int64(Some(-65))), Some(decimal), None]);
    }

    #[test]
    fn are_read_as_they_were_written() {
        let mut deletes = Deletes::default();
        assert_eq!(deletes.content().unwrap(), None);
        let orders = [
            None,
            Some(ScalarValue::Int32(Some(-7))),
            Some(ScalarValue::Int64(Some(1 << 40))),
            Some(ScalarValue::Float32(Some(1.5))),
            Some(ScalarValue::Float64(Some(-0.25))),
            Some(ScalarValue::Utf8(Some("t1".into()))),
        ];
        for order in &orders {
            deletes.add("ü", "p", order.as_ref()).unwrap();
        }
        let content = Bytes::from(deletes.content().unwrap().unwrap());
        let found = read(&Block { content, ..block(3, b"") }).unwrap();
        assert!(found.iter().all(|deleted| deleted.key == "ü"));
        assert_eq!(found.into_iter().map(|deleted| deleted.order).collect::<Vec<_>>(), orders);
        let decimal = ScalarValue::Decimal128(Some(1), 10, 2);
        assert!(deletes.add("a", "", Some(&decimal)).unwrap_err().to_string().contains("Decimal128(10, 2)"));
    }

    #[test]
    fn what_is_not_known() {
        assert!(read(&block(2, b"")).unwrap_err().to_string().contains("version 2"));
        for damaged in
            [&b"\x02\x02\x0a3"[..], b"\x02\x02\x023\x00\x30\x00", b"", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert!(read(&block(3, damaged)).unwrap_err().is("FAILED_READ_FILE.NO_HINT"));
        }
    }
}
