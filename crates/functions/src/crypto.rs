//! AES: `aes_encrypt`, `aes_decrypt`, `try_aes_decrypt` in the modes GCM, CBC and ECB.
//!
//! Encrypted values carry what is needed to read them: `iv ‖ data ‖ tag` in GCM, `iv ‖ data` in CBC.
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, BlockEncryptMut, KeyInit, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::{Aead, Payload, consts::U12};
use aes_gcm::{AesGcm, Nonce};
use arrow::array::ArrayRef;
use firesteel_plan::{Result, SparkError};
use rand::RngCore;

use crate::registry::{Build, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, DefaultArgument, Nulls, Returns, Signature, SimpleType};
use crate::view;

const BOTH: &str = "`aes_encrypt`/`aes_decrypt`";
const GCM_IV_BYTES: usize = 12;
const CBC_IV_BYTES: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Gcm,
    Cbc,
    Ecb,
}

impl Mode {
    fn find(mode: &str, padding: &str) -> Result<Self> {
        match (mode.to_uppercase().as_str(), padding.to_uppercase().as_str()) {
            ("GCM", "NONE" | "DEFAULT") => Ok(Self::Gcm),
            ("CBC", "PKCS" | "DEFAULT") => Ok(Self::Cbc),
            ("ECB", "PKCS" | "DEFAULT") => Ok(Self::Ecb),
            _ => Err(SparkError::new(
                "UNSUPPORTED_FEATURE.AES_MODE",
                [("mode", mode), ("padding", padding), ("functionName", BOTH)],
            )),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gcm => "GCM",
            Self::Cbc => "CBC",
            Self::Ecb => "ECB",
        }
    }

    /// Length of the initialization vector.
    fn iv_bytes(self) -> usize {
        match self {
            Self::Gcm => GCM_IV_BYTES,
            Self::Cbc => CBC_IV_BYTES,
            Self::Ecb => 0,
        }
    }
}

/// One of three ciphers by the length of the key.
macro_rules! with_cipher {
    ($key:expr, $cipher:ident => $body:expr) => {
        match $key.len() {
            16 => {
                type $cipher = Aes128;
                $body
            }
            24 => {
                type $cipher = Aes192;
                $body
            }
            32 => {
                type $cipher = Aes256;
                $body
            }
            other => Err(SparkError::new(
                "INVALID_PARAMETER_VALUE.AES_KEY_LENGTH",
                [
                    ("parameter", "`key`".to_string()),
                    ("functionName", BOTH.to_string()),
                    ("actualLength", other.to_string()),
                ],
            )),
        }
    };
}

fn crypto_error(detail: &str) -> SparkError {
    SparkError::new(
        "INVALID_PARAMETER_VALUE.AES_CRYPTO_ERROR",
        [("parameter", "`expr`, `key`"), ("functionName", BOTH), ("detailMessage", detail)],
    )
}

/// The vector to use: the caller's, or random bytes.
fn initialization_vector(mode: Mode, given: &[u8]) -> Result<Vec<u8>> {
    if given.is_empty() {
        let mut fresh = vec![0; mode.iv_bytes()];
        rand::rng().fill_bytes(&mut fresh);
        return Ok(fresh);
    }
    if mode == Mode::Ecb {
        return Err(SparkError::new(
            "UNSUPPORTED_FEATURE.AES_MODE_IV",
            [("mode", mode.name()), ("functionName", "`aes_encrypt`")],
        ));
    }
    if given.len() != mode.iv_bytes() {
        return Err(SparkError::new(
            "INVALID_PARAMETER_VALUE.AES_IV_LENGTH",
            [
                ("mode", mode.name().to_string()),
                ("parameter", "`iv`".to_string()),
                ("functionName", BOTH.to_string()),
                ("actualLength", given.len().to_string()),
            ],
        ));
    }
    Ok(given.to_vec())
}

fn encrypt(mode: Mode, input: &[u8], key: &[u8], iv: &[u8], aad: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let failed = |_| crypto_error("the key or the initialization vector does not fit");
    let iv = initialization_vector(mode, iv)?;
    if !aad.is_empty() && mode != Mode::Gcm {
        return Err(SparkError::new(
            "UNSUPPORTED_FEATURE.AES_MODE_AAD",
            [("mode", mode.name()), ("functionName", "`aes_encrypt`")],
        ));
    }
    out.extend_from_slice(&iv);
    with_cipher!(key, Cipher => {
        match mode {
            Mode::Gcm => {
                let cipher = AesGcm::<Cipher, U12>::new_from_slice(key).map_err(failed)?;
                let sealed = cipher
                    .encrypt(Nonce::from_slice(&iv), Payload { msg: input, aad })
                    .map_err(|_| crypto_error("the value is too long"))?;
                out.extend_from_slice(&sealed);
            }
            Mode::Cbc => {
                let cipher = cbc::Encryptor::<Cipher>::new_from_slices(key, &iv).map_err(failed)?;
                out.extend_from_slice(&cipher.encrypt_padded_vec_mut::<Pkcs7>(input));
            }
            Mode::Ecb => {
                let cipher = ecb::Encryptor::<Cipher>::new_from_slice(key).map_err(failed)?;
                out.extend_from_slice(&cipher.encrypt_padded_vec_mut::<Pkcs7>(input));
            }
        }
        Ok(())
    })
}

fn decrypt(mode: Mode, input: &[u8], key: &[u8], aad: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let failed = |_| crypto_error("the key or the initialization vector does not fit");
    let unpadded =
        |_| crypto_error("Given final block not properly padded. Such issues can arise if a bad key is used");
    if !aad.is_empty() && mode != Mode::Gcm {
        return Err(SparkError::new(
            "UNSUPPORTED_FEATURE.AES_MODE_AAD",
            [("mode", mode.name()), ("functionName", "`aes_decrypt`")],
        ));
    }
    with_cipher!(key, Cipher => {
        let Some((iv, data)) = input.split_at_checked(mode.iv_bytes()) else {
            return Err(crypto_error("Invalid buffer arguments"));
        };
        let plain = match mode {
            Mode::Gcm => {
                let cipher = AesGcm::<Cipher, U12>::new_from_slice(key).map_err(failed)?;
                cipher
                    .decrypt(Nonce::from_slice(iv), Payload { msg: data, aad })
                    .map_err(|_| crypto_error("Tag mismatch"))?
            }
            Mode::Cbc => {
                let cipher = cbc::Decryptor::<Cipher>::new_from_slices(key, iv).map_err(failed)?;
                cipher.decrypt_padded_vec_mut::<Pkcs7>(data).map_err(unpadded)?
            }
            Mode::Ecb => {
                let cipher = ecb::Decryptor::<Cipher>::new_from_slice(key).map_err(failed)?;
                cipher.decrypt_padded_vec_mut::<Pkcs7>(data).map_err(unpadded)?
            }
        };
        out.extend_from_slice(&plain);
        Ok(())
    })
}

fn aes_encrypt(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (input, key) = (view::binaries(args, 0)?, view::binaries(args, 1)?);
    let (mode, padding) = (view::strings(args, 2)?, view::strings(args, 3)?);
    let (iv, aad) = (view::binaries(args, 4)?, view::binaries(args, 5)?);
    rows::try_bytes(args.rows, |row, out| {
        let (Some(input), Some(key), Some(mode), Some(padding), Some(iv), Some(aad)) =
            (input.get(row), key.get(row), mode.get(row), padding.get(row), iv.get(row), aad.get(row))
        else {
            return Ok(None);
        };
        encrypt(Mode::find(mode, padding)?, input, key, iv, aad, out).map(Some)
    })
}

fn decrypt_rows(args: &ScalarArgs<'_>, lenient: bool) -> Result<ArrayRef> {
    let (input, key) = (view::binaries(args, 0)?, view::binaries(args, 1)?);
    let (mode, padding) = (view::strings(args, 2)?, view::strings(args, 3)?);
    let aad = view::binaries(args, 4)?;
    rows::try_bytes(args.rows, |row, out| {
        let (Some(input), Some(key), Some(mode), Some(padding), Some(aad)) =
            (input.get(row), key.get(row), mode.get(row), padding.get(row), aad.get(row))
        else {
            return Ok(None);
        };
        let decrypted = Mode::find(mode, padding).and_then(|mode| decrypt(mode, input, key, aad, out));
        if lenient { Ok(decrypted.ok()) } else { decrypted.map(Some) }
    })
}

fn aes_decrypt(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    decrypt_rows(args, false)
}

fn try_aes_decrypt(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    decrypt_rows(args, true)
}

const GCM: DefaultArgument = DefaultArgument::String("GCM");
const DEFAULT: DefaultArgument = DefaultArgument::String("DEFAULT");
const EMPTY: DefaultArgument = DefaultArgument::String("");

const DECRYPT: Signature =
    Signature::new(&[Accept::Binary, Accept::Binary], Returns::Is(SimpleType::Binary), aes_decrypt)
        .optional(&[Accept::String, Accept::String, Accept::Binary])
        .defaults(&[GCM, DEFAULT, EMPTY])
        .nulls(Nulls::Always);

const fn entry(
    name: &'static str,
    parameters: &'static [&'static str],
    signature: Signature,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "misc_funcs",
        parameters,
        build: Build::Signature(signature),
        usage,
        examples,
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "aes_encrypt",
        &["expr", "key", "mode", "padding", "iv", "aad"],
        Signature::new(&[Accept::Binary, Accept::Binary], Returns::Is(SimpleType::Binary), aes_encrypt)
            .optional(&[Accept::String, Accept::String, Accept::Binary, Accept::Binary])
            .defaults(&[GCM, DEFAULT, EMPTY, EMPTY])
            .nulls(Nulls::Always),
        "aes_encrypt(expr, key[, mode[, padding[, iv[, aad]]]]) - Encrypts by AES with a key of 16, 24 or 32 bytes in mode \
         'GCM', 'CBC' or 'ECB'.",
        &[("SELECT base64(aes_encrypt('Spark', '0000111122223333', 'ECB'));", "NI/zfr3gW3iAujOQaPvaXg==")],
        "3.3.0",
    ),
    entry(
        "aes_decrypt",
        &["expr", "key", "mode", "padding", "aad"],
        DECRYPT,
        "aes_decrypt(expr, key[, mode[, padding[, aad]]]) - Decrypts what `aes_encrypt` made.",
        &[("SELECT aes_decrypt(unbase64('3lmwu+Mw0H3fi5NDvcu9lg=='), '1234567890abcdef', 'ECB');", "Spark SQL")],
        "3.3.0",
    ),
    entry(
        "try_aes_decrypt",
        &["expr", "key", "mode", "padding", "aad"],
        Signature { kernel: try_aes_decrypt, ..DECRYPT },
        "try_aes_decrypt(expr, key[, mode[, padding[, aad]]]) - As `aes_decrypt`, but NULL where that fails.",
        &[("SELECT try_aes_decrypt(unhex('00'), '0000111122223333', 'GCM');", "NULL")],
        "3.5.0",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_is_decrypted() {
        for mode in [Mode::Gcm, Mode::Cbc, Mode::Ecb] {
            let (mut sealed, mut plain) = (vec![], vec![]);
            encrypt(mode, b"Spark", b"0000111122223333", &[], &[], &mut sealed).unwrap();
            decrypt(mode, &sealed, b"0000111122223333", &[], &mut plain).unwrap();
            assert_eq!(plain, b"Spark");
        }
    }
}
