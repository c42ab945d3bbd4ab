//! Cursors: where the next page begins, signed so that nobody makes one up. They hold the request itself (without its
//! credentials), so that a cursor goes on after a restart of the server.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;

use crate::problem::Problem;
use crate::store::now_ms;

const LIFETIME_MS: i64 = 3600 * 1000;
const SIGNATURE_BYTES: usize = 16;

/// A page to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    pub user: String,
    /// The request of the first page
    pub request: Value,
    pub offset: u64,
    /// The files of the first page; `None`: a version says which they are.
    pub fingerprint: Option<u64>,
    pub expires_at: i64,
}

impl Cursor {
    pub fn new(user: &str, request: Value, offset: u64, fingerprint: Option<u64>) -> Self {
        Self { user: user.to_string(), request, offset, fingerprint, expires_at: now_ms() + LIFETIME_MS }
    }

    pub fn encode(&self, secret: &[u8]) -> String {
        encode_text(secret, &serde_json::to_string(self).unwrap_or_default())
    }

    pub fn decode(secret: &[u8], text: &str, user: &str) -> Result<Self, Problem> {
        let invalid = || Problem::new(400, "INVALID_CURSOR", "The cursor is none of this user's queries.").at("cursor");
        let cursor: Self = serde_json::from_str(&decode_text(secret, text)?).map_err(|_| invalid())?;
        if cursor.user != user {
            return Err(invalid());
        }
        if cursor.expires_at < now_ms() {
            return Err(expired("The cursor is older than an hour."));
        }
        Ok(cursor)
    }
}

pub fn expired(detail: &str) -> Problem {
    Problem::new(410, "CURSOR_EXPIRED", detail).at("cursor")
}

pub fn encode_text(secret: &[u8], text: &str) -> String {
    let mut bytes = sign(secret, text.as_bytes());
    bytes.extend(text.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode_text(secret: &[u8], text: &str) -> Result<String, Problem> {
    let invalid = || Problem::new(400, "INVALID_CURSOR", "The cursor was not made by this server.").at("cursor");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
    let (signature, content) = bytes.split_at_checked(SIGNATURE_BYTES).ok_or_else(invalid)?;
    let expected = sign(secret, content);
    let difference = signature.iter().zip(&expected).fold(0, |sum, (a, b)| sum | (a ^ b));
    if difference != 0 {
        return Err(invalid());
    }
    String::from_utf8(content.to_vec()).map_err(|_| invalid())
}

fn sign(secret: &[u8], content: &[u8]) -> Vec<u8> {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return vec![0; SIGNATURE_BYTES] };
    mac.update(content);
    mac.finalize().into_bytes()[..SIGNATURE_BYTES].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_cannot_be_made_up() {
        let cursor = Cursor::new("me", serde_json::json!({"path": "/x"}), 100, Some(7));
        let text = cursor.encode(b"secret");
        assert_eq!(Cursor::decode(b"secret", &text, "me").unwrap(), cursor);
        assert_eq!(Cursor::decode(b"other", &text, "me").unwrap_err().condition, "INVALID_CURSOR");
        assert_eq!(Cursor::decode(b"secret", &text, "you").unwrap_err().status, 400);
        let old = Cursor { expires_at: 0, ..cursor }.encode(b"secret");
        assert_eq!(Cursor::decode(b"secret", &old, "me").unwrap_err().status, 410);
        assert!(Cursor::decode(b"secret", "xyz", "me").is_err());
    }
}
