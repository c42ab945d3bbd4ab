//! Values into the variant encoding, with Spark's choices: the shortest integer, decimals for plain fractions.
use crate::json::value::{Json, is_integer};

/// Largest value or metadata that is made.
const MAX_BYTES: usize = 128 * 1024 * 1024;
/// Strings up to this long have their length in the header.
const SHORT_STRING_MAX: usize = 63;

/// Builds one value with its dictionary of keys.
#[derive(Debug, Default)]
pub struct Encoder {
    keys: indexmap::IndexSet<String>,
    value: Vec<u8>,
}

/// Type numbers of primitives.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub enum Primitive {
    Null = 0,
    True = 1,
    False = 2,
    Int8 = 3,
    Int16 = 4,
    Int32 = 5,
    Int64 = 6,
    Double = 7,
    Decimal4 = 8,
    Decimal8 = 9,
    Decimal16 = 10,
    Date = 11,
    Timestamp = 12,
    TimestampNtz = 13,
    Float = 14,
    Binary = 15,
    LongString = 16,
}

/// A JSON value as (value, metadata); `None` where it is too large.
pub fn from_json(json: &Json) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut encoder = Encoder::default();
    encoder.json(json)?;
    encoder.finish()
}

impl Encoder {
    fn header(&mut self, primitive: Primitive) {
        self.value.push((primitive as u8) << 2);
    }

    pub fn null(&mut self) {
        self.header(Primitive::Null);
    }

    pub fn boolean(&mut self, value: bool) {
        self.header(if value { Primitive::True } else { Primitive::False });
    }

    pub fn long(&mut self, value: i64) {
        if let Ok(v) = i8::try_from(value) {
            self.header(Primitive::Int8);
            self.value.extend(v.to_le_bytes());
        } else if let Ok(v) = i16::try_from(value) {
            self.header(Primitive::Int16);
            self.value.extend(v.to_le_bytes());
        } else if let Ok(v) = i32::try_from(value) {
            self.header(Primitive::Int32);
            self.value.extend(v.to_le_bytes());
        } else {
            self.header(Primitive::Int64);
            self.value.extend(value.to_le_bytes());
        }
    }

    pub fn double(&mut self, value: f64) {
        self.header(Primitive::Double);
        self.value.extend(value.to_le_bytes());
    }

    pub fn float(&mut self, value: f32) {
        self.header(Primitive::Float);
        self.value.extend(value.to_le_bytes());
    }

    /// `unscaled × 10^-scale`, in 4, 8 or 16 bytes by the number of digits.
    pub fn decimal(&mut self, unscaled: i128, scale: u8) {
        let digits = unscaled.unsigned_abs().checked_ilog10().map_or(1, |d| d + 1);
        if digits <= 9 && scale <= 9 {
            self.header(Primitive::Decimal4);
            self.value.push(scale);
            self.value.extend((unscaled as i32).to_le_bytes());
        } else if digits <= 18 && scale <= 18 {
            self.header(Primitive::Decimal8);
            self.value.push(scale);
            self.value.extend((unscaled as i64).to_le_bytes());
        } else {
            self.header(Primitive::Decimal16);
            self.value.push(scale);
            self.value.extend(unscaled.to_le_bytes());
        }
    }

    pub fn date(&mut self, days: i32) {
        self.header(Primitive::Date);
        self.value.extend(days.to_le_bytes());
    }

    pub fn timestamp(&mut self, micros: i64) {
        self.header(Primitive::Timestamp);
        self.value.extend(micros.to_le_bytes());
    }

    pub fn timestamp_ntz(&mut self, micros: i64) {
        self.header(Primitive::TimestampNtz);
        self.value.extend(micros.to_le_bytes());
    }

    pub fn string(&mut self, text: &str) {
        if text.len() <= SHORT_STRING_MAX {
            self.value.push((text.len() as u8) << 2 | 1);
        } else {
            self.header(Primitive::LongString);
            self.value.extend((text.len() as u32).to_le_bytes());
        }
        self.value.extend_from_slice(text.as_bytes());
    }

    pub fn binary(&mut self, bytes: &[u8]) {
        self.header(Primitive::Binary);
        self.value.extend((bytes.len() as u32).to_le_bytes());
        self.value.extend_from_slice(bytes);
    }

    /// An array whose items `write` appends, calling the closure it is given before each.
    pub fn array(&mut self, count: usize, mut write: impl FnMut(&mut Self, usize) -> Option<()>) -> Option<()> {
        let start = self.value.len();
        let mut offsets = Vec::with_capacity(count + 1);
        for i in 0..count {
            offsets.push(self.value.len() - start);
            write(self, i)?;
        }
        let data = self.value.len() - start;
        offsets.push(data);
        let large = count > 0xFF;
        let offset_bytes = bytes_for(data);
        let mut head = vec![(u8::from(large) << 2 | (offset_bytes as u8 - 1)) << 2 | 3];
        push_sized(count, if large { 4 } else { 1 }, &mut head);
        offsets.iter().for_each(|o| push_sized(*o, offset_bytes, &mut head));
        self.value.splice(start..start, head);
        Some(())
    }

    /// An object; of repeated keys the last one counts.
    pub fn object<'k>(
        &mut self,
        keys: &[&'k str],
        mut write: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<()> {
        let start = self.value.len();
        let mut fields: Vec<(&'k str, usize, usize)> = vec![];
        for (i, key) in keys.iter().enumerate() {
            let (id, _) = self.keys.insert_full(key.to_string());
            let offset = self.value.len() - start;
            write(self, i)?;
            match fields.iter_mut().find(|(known, _, _)| known == key) {
                Some(field) => field.2 = offset,
                None => fields.push((key, id, offset)),
            }
        }
        let data = self.value.len() - start;
        fields.sort_by(|a, b| a.0.cmp(b.0));
        let large = fields.len() > 0xFF;
        let id_bytes = bytes_for(fields.iter().map(|f| f.1).max().unwrap_or(0));
        let offset_bytes = bytes_for(data);
        let mut head = vec![(u8::from(large) << 4 | (id_bytes as u8 - 1) << 2 | (offset_bytes as u8 - 1)) << 2 | 2];
        push_sized(fields.len(), if large { 4 } else { 1 }, &mut head);
        fields.iter().for_each(|f| push_sized(f.1, id_bytes, &mut head));
        fields.iter().for_each(|f| push_sized(f.2, offset_bytes, &mut head));
        push_sized(data, offset_bytes, &mut head);
        self.value.splice(start..start, head);
        Some(())
    }

    pub fn json(&mut self, json: &Json) -> Option<()> {
        match json {
            Json::Null => self.null(),
            Json::Boolean(value) => self.boolean(*value),
            Json::Number(text) => self.number(text),
            Json::Text(text) => self.string(text),
            Json::Array(items) => return self.array(items.len(), |encoder, i| encoder.json(&items[i])),
            Json::Object(fields) => {
                let keys: Vec<&str> = fields.iter().map(|(key, _)| key.as_ref()).collect();
                // A text whose objects repeat a key is refused.
                let mut seen = std::collections::HashSet::with_capacity(keys.len());
                if !keys.iter().all(|key| seen.insert(*key)) {
                    return None;
                }
                return self.object(&keys, |encoder, i| encoder.json(&fields[i].1));
            }
        }
        Some(())
    }

    /// BIGINT where it fits, then DECIMAL without exponent, then DOUBLE.
    fn number(&mut self, text: &str) {
        match text.parse::<i64>() {
            Ok(value) if is_integer(text) => self.long(value),
            _ if self.decimal_text(text) => {}
            _ => self.double(crate::json::value::read_double(text)),
        }
    }

    /// Appends plain decimal text of at most 38 digits; `false` where it is not that.
    fn decimal_text(&mut self, text: &str) -> bool {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain =
            digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if !plain || fraction.contains('.') || fraction.len() > 38 {
            return false;
        }
        match format!("{whole}{fraction}").parse::<i128>() {
            Ok(unscaled) if unscaled.unsigned_abs() < 10u128.pow(38) => {
                self.decimal(unscaled, fraction.len() as u8);
                true
            }
            _ => false,
        }
    }

    /// (value, metadata); `None` where one is too large.
    pub fn finish(self) -> Option<(Vec<u8>, Vec<u8>)> {
        let text: usize = self.keys.iter().map(String::len).sum();
        let size = bytes_for(text.max(self.keys.len()));
        let mut metadata = vec![1 | (size as u8 - 1) << 6];
        push_sized(self.keys.len(), size, &mut metadata);
        let mut offset = 0;
        push_sized(0, size, &mut metadata);
        for key in &self.keys {
            offset += key.len();
            push_sized(offset, size, &mut metadata);
        }
        self.keys.iter().for_each(|key| metadata.extend_from_slice(key.as_bytes()));
        (self.value.len() <= MAX_BYTES && metadata.len() <= MAX_BYTES).then_some((self.value, metadata))
    }
}

/// How many bytes a number takes: 1, 2, 3 or 4.
fn bytes_for(number: usize) -> usize {
    match number {
        0..=0xFF => 1,
        0x100..=0xFFFF => 2,
        0x1_0000..=0xFF_FFFF => 3,
        _ => 4,
    }
}

fn push_sized(number: usize, bytes: usize, out: &mut Vec<u8>) {
    out.extend(number.to_le_bytes().iter().take(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::value::Parser;

    #[test]
    fn bytes_are_those_of_spark() {
        let encode = |text: &str| from_json(&Parser::new().unwrap().parse(text).unwrap()).unwrap();
        assert_eq!(encode("1"), (vec![0x0c, 1], vec![1, 0, 0]));
        assert_eq!(encode("{\"a\":1}"), (vec![2, 1, 0, 0, 2, 0x0c, 1], vec![1, 1, 0, 1, b'a']));
        let expected = vec![3, 2, 0, 2, 8, 0x0c, 1, 2, 1, 0, 0, 1, 0];
        assert_eq!(encode("[1,{\"b\":null}]").0, expected);
    }
}
