//! Character sets of text files.
use firesteel_plan::{Result, SparkError};

/// What the bytes of a file mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Charset {
    /// The default; wrong bytes become `U+FFFD`.
    Utf8,
    /// ISO-8859-1: the bytes are the code points.
    Latin1,
    Utf32 {
        big_endian: bool,
    },
    Other(&'static encoding_rs::Encoding),
}

impl Charset {
    /// By a name as Java knows it.
    pub(super) fn of(name: &str) -> Result<Self> {
        match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" | "US-ASCII" | "ASCII" => return Ok(Self::Utf8),
            "ISO-8859-1" | "LATIN1" | "ISO8859_1" => return Ok(Self::Latin1),
            "UTF-32" | "UTF-32BE" => return Ok(Self::Utf32 { big_endian: true }),
            "UTF-32LE" => return Ok(Self::Utf32 { big_endian: false }),
            _ => {}
        }
        // Without a mark, Java reads UTF-16 as big endian.
        let name = if name.eq_ignore_ascii_case("UTF-16") { "UTF-16BE" } else { name };
        encoding_rs::Encoding::for_label(name.as_bytes()).map(Self::Other).ok_or_else(|| {
            SparkError::new(
                "INVALID_PARAMETER_VALUE.CHARSET",
                [
                    ("functionName", "encoding"),
                    ("parameter", "charset"),
                    ("charset", name),
                    ("charsets", "US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, UTF-16LE, UTF-16, UTF-32"),
                ],
            )
        })
    }

    /// Whether `\n` is the one byte 0x0a, so that a file can be cut into lines before it is decoded.
    pub(super) fn is_ascii_compatible(self) -> bool {
        match self {
            Self::Utf8 | Self::Latin1 => true,
            Self::Utf32 { .. } => false,
            Self::Other(encoding) => encoding.is_ascii_compatible(),
        }
    }

    pub(super) fn decode(self, bytes: Vec<u8>) -> String {
        match self {
            Self::Utf8 => match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            },
            Self::Latin1 => encoding_rs::mem::decode_latin1(&bytes).into_owned(),
            Self::Utf32 { big_endian } => {
                let unit =
                    |unit: &[u8; 4]| if big_endian { u32::from_be_bytes(*unit) } else { u32::from_le_bytes(*unit) };
                let (units, _) = bytes.as_chunks::<4>();
                let chars = units.iter().map(|u| char::from_u32(unit(u)).unwrap_or(char::REPLACEMENT_CHARACTER));
                chars.filter(|c| *c != '\u{feff}').collect()
            }
            Self::Other(encoding) => encoding.decode(&bytes).0.into_owned(),
        }
    }

    pub(super) fn encode(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Latin1 => out.extend(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))),
            Self::Utf32 { big_endian: true } => out.extend(text.chars().flat_map(|c| u32::from(c).to_be_bytes())),
            Self::Utf32 { big_endian: false } => out.extend(text.chars().flat_map(|c| u32::from(c).to_le_bytes())),
            Self::Other(encoding) if encoding == encoding_rs::UTF_16BE => {
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Other(encoding) if encoding == encoding_rs::UTF_16LE => {
                out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            }
            Self::Other(encoding) => out.extend_from_slice(&encoding.encode(text).0),
        }
    }
}
