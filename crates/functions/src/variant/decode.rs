//! Reading the variant encoding. Nothing is copied; malformed bytes answer `MALFORMED_VARIANT`.
use firesteel_plan::{Result, SparkError};

/// A value inside a variant with the dictionary of its keys.
#[derive(Debug, Clone, Copy)]
pub struct Variant<'a> {
    value: &'a [u8],
    metadata: &'a [u8],
}

/// What a variant is.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'a> {
    Null,
    Boolean(bool),
    Long(i64),
    Double(f64),
    Float(f32),
    /// unscaled, scale
    Decimal(i128, u8),
    Date(i32),
    Timestamp(i64),
    TimestampNtz(i64),
    String(&'a str),
    Binary(&'a [u8]),
    Uuid([u8; 16]),
    Array(Items<'a>),
    Object(Items<'a>),
}

/// The items of an array or the fields of an object.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a> {
    count: usize,
    ids: &'a [u8],
    id_bytes: usize,
    offsets: &'a [u8],
    offset_bytes: usize,
    data: &'a [u8],
    metadata: &'a [u8],
}

pub fn malformed() -> SparkError {
    SparkError::of("MALFORMED_VARIANT")
}

fn sized(bytes: &[u8], index: usize, width: usize) -> Option<usize> {
    let slice = bytes.get(index * width..(index + 1) * width)?;
    Some(slice.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.get(..N).and_then(|b| b.try_into().ok()).ok_or_else(malformed)
}

impl<'a> Variant<'a> {
    /// Errors with `MALFORMED_VARIANT` where the metadata is of another version.
    pub fn new(value: &'a [u8], metadata: &'a [u8]) -> Result<Self> {
        match (value.first(), metadata.first()) {
            (Some(_), Some(header)) if header & 0x0F == 1 => Ok(Self { value, metadata }),
            _ => Err(malformed()),
        }
    }

    pub fn kind(&self) -> Result<Kind<'a>> {
        let (header, rest) = self.value.split_first().ok_or_else(malformed)?;
        match header & 3 {
            0 => primitive(header >> 2, rest),
            1 => {
                let bytes = rest.get(..usize::from(header >> 2)).ok_or_else(malformed)?;
                std::str::from_utf8(bytes).map(Kind::String).map_err(|_| malformed())
            }
            2 => self.items(header >> 2, rest, true).map(Kind::Object),
            _ => self.items(header >> 2, rest, false).map(Kind::Array),
        }
    }

    fn items(&self, info: u8, rest: &'a [u8], object: bool) -> Result<Items<'a>> {
        let large = info & if object { 0x10 } else { 0x04 } != 0;
        let count_bytes = if large { 4 } else { 1 };
        let offset_bytes = usize::from(info & 3) + 1;
        let id_bytes = if object { usize::from(info >> 2 & 3) + 1 } else { 0 };
        let count = sized(rest, 0, count_bytes).ok_or_else(malformed)?;
        let rest = rest.get(count_bytes..).ok_or_else(malformed)?;
        let (ids, rest) = rest.split_at_checked(count.saturating_mul(id_bytes)).ok_or_else(malformed)?;
        let (offsets, data) = rest.split_at_checked((count + 1).saturating_mul(offset_bytes)).ok_or_else(malformed)?;
        Ok(Items { count, ids, id_bytes, offsets, offset_bytes, data, metadata: self.metadata })
    }

    pub fn is_null(&self) -> bool {
        self.value.first() == Some(&0)
    }

    /// The encoded value and its dictionary, to be copied into another column.
    pub fn parts(&self) -> (&'a [u8], &'a [u8]) {
        (self.value, self.metadata)
    }
}

fn primitive(kind: u8, bytes: &[u8]) -> Result<Kind<'_>> {
    Ok(match kind {
        0 => Kind::Null,
        1 => Kind::Boolean(true),
        2 => Kind::Boolean(false),
        3 => Kind::Long(i8::from_le_bytes(fixed(bytes)?).into()),
        4 => Kind::Long(i16::from_le_bytes(fixed(bytes)?).into()),
        5 => Kind::Long(i32::from_le_bytes(fixed(bytes)?).into()),
        6 => Kind::Long(i64::from_le_bytes(fixed(bytes)?)),
        7 => Kind::Double(f64::from_le_bytes(fixed(bytes)?)),
        8..=10 => {
            let (scale, bytes) = bytes.split_first().ok_or_else(malformed)?;
            let unscaled = match kind {
                8 => i32::from_le_bytes(fixed(bytes)?).into(),
                9 => i64::from_le_bytes(fixed(bytes)?).into(),
                _ => i128::from_le_bytes(fixed(bytes)?),
            };
            Kind::Decimal(unscaled, *scale)
        }
        11 => Kind::Date(i32::from_le_bytes(fixed(bytes)?)),
        12 => Kind::Timestamp(i64::from_le_bytes(fixed(bytes)?)),
        13 => Kind::TimestampNtz(i64::from_le_bytes(fixed(bytes)?)),
        14 => Kind::Float(f32::from_le_bytes(fixed(bytes)?)),
        15 | 16 => {
            let length = u32::from_le_bytes(fixed(bytes)?) as usize;
            let data = bytes.get(4..4 + length).ok_or_else(malformed)?;
            if kind == 15 {
                Kind::Binary(data)
            } else {
                Kind::String(std::str::from_utf8(data).map_err(|_| malformed())?)
            }
        }
        20 => Kind::Uuid(fixed(bytes)?),
        other => {
            return Err(SparkError::new("UNKNOWN_PRIMITIVE_TYPE_IN_VARIANT", [("id", other.to_string())]));
        }
    })
}

impl<'a> Items<'a> {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn get(&self, index: usize) -> Result<Variant<'a>> {
        if index >= self.count {
            return Err(malformed());
        }
        let offset = sized(self.offsets, index, self.offset_bytes).ok_or_else(malformed)?;
        let value = self.data.get(offset..).filter(|v| !v.is_empty()).ok_or_else(malformed)?;
        let length = value_length(value).ok_or_else(malformed)?;
        Ok(Variant { value: value.get(..length).ok_or_else(malformed)?, metadata: self.metadata })
    }

    /// The key of field `index` of an object.
    pub fn key(&self, index: usize) -> Result<&'a str> {
        let id = sized(self.ids, index, self.id_bytes).ok_or_else(malformed)?;
        let width = usize::from(self.metadata.first().ok_or_else(malformed)? >> 6 & 3) + 1;
        let table = self.metadata.get(1..).ok_or_else(malformed)?;
        let count = sized(table, 0, width).ok_or_else(malformed)?;
        if id >= count {
            return Err(malformed());
        }
        let (start, end) = (sized(table, id + 1, width), sized(table, id + 2, width));
        let text = table.get((count + 2) * width..).ok_or_else(malformed)?;
        let bytes = start.zip(end).and_then(|(start, end)| text.get(start..end)).ok_or_else(malformed)?;
        std::str::from_utf8(bytes).map_err(|_| malformed())
    }

    /// The field of that name (exact case).
    pub fn field(&self, name: &str) -> Result<Option<Variant<'a>>> {
        for index in 0..self.count {
            if self.key(index)? == name {
                return self.get(index).map(Some);
            }
        }
        Ok(None)
    }
}

/// How many bytes the value at the start of `bytes` takes.
fn value_length(bytes: &[u8]) -> Option<usize> {
    let (header, rest) = bytes.split_first()?;
    let info = header >> 2;
    Some(match header & 3 {
        0 => match info {
            0..=2 => 1,
            3 => 2,
            4 => 3,
            5 | 11 | 14 => 5,
            6 | 7 | 12 | 13 => 9,
            8 => 6,
            9 => 10,
            10 => 18,
            15 | 16 => 5 + sized(rest, 0, 4)?,
            20 => 17,
            _ => return None,
        },
        1 => 1 + usize::from(info),
        kind => {
            let object = kind == 2;
            let count_bytes = if info & if object { 0x10 } else { 0x04 } != 0 { 4 } else { 1 };
            let offset_bytes = usize::from(info & 3) + 1;
            let id_bytes = if object { usize::from(info >> 2 & 3) + 1 } else { 0 };
            let count = sized(rest, 0, count_bytes)?;
            let offsets = count_bytes + count * id_bytes;
            let data = sized(rest.get(offsets..)?, count, offset_bytes)?;
            1 + offsets + (count + 1) * offset_bytes + data
        }
    })
}
