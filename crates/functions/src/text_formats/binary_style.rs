//! How bytes show in text records.
use std::fmt::Write;

use base64::Engine;

use crate::context::EvalContext;

/// `spark.sql.binaryOutputStyle`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BinaryStyle {
    Utf8,
    /// `[1, -1]`
    Basic,
    Base64,
    /// `01FF`
    Hex,
    /// `[01 FF]`
    #[default]
    HexDiscrete,
}

impl BinaryStyle {
    pub fn of(context: &EvalContext) -> Self {
        match context.get("spark.sql.binaryOutputStyle").map(str::to_ascii_uppercase).as_deref() {
            Some("UTF-8" | "UTF8") => Self::Utf8,
            Some("BASIC") => Self::Basic,
            Some("BASE64") => Self::Base64,
            Some("HEX") => Self::Hex,
            _ => Self::HexDiscrete,
        }
    }

    pub fn push(self, out: &mut String, bytes: &[u8]) {
        let hex = |between: &str| bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(between);
        match self {
            Self::Utf8 => out.push_str(&String::from_utf8_lossy(bytes)),
            Self::Basic => {
                // Java's bytes have a sign.
                let numbers: Vec<String> = bytes.iter().map(|b| b.cast_signed().to_string()).collect();
                let _ = write!(out, "[{}]", numbers.join(", "));
            }
            Self::Base64 => base64::engine::general_purpose::STANDARD_NO_PAD.encode_string(bytes, out),
            Self::Hex => out.push_str(&hex("")),
            Self::HexDiscrete => {
                let _ = write!(out, "[{}]", hex(" "));
            }
        }
    }
}
