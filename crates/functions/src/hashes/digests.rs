//! Digests and checksums of bytes, as text.
use arrow::array::ArrayRef;
use firesteel_plan::Result;
use md5::Digest;

use crate::registry::{Build, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::view;

/// Appends bytes as lower-case hexadecimal digits.
pub fn push_hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(2 * bytes.len());
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn md5(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::binaries(args, 0)?;
    rows::text(args.rows, |row, out| {
        push_hex(&md5::Md5::digest(input.get(row)?), out);
        Some(())
    })
}

fn sha1(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::binaries(args, 0)?;
    rows::text(args.rows, |row, out| {
        push_hex(&sha1::Sha1::digest(input.get(row)?), out);
        Some(())
    })
}

/// NULL for a bit length that SHA-2 does not have.
fn sha2(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (input, bits) = (view::binaries(args, 0)?, view::ints(args, 1)?);
    rows::text(args.rows, |row, out| {
        let bytes = input.get(row)?;
        match bits.get(row)? {
            224 => push_hex(&sha2::Sha224::digest(bytes), out),
            0 | 256 => push_hex(&sha2::Sha256::digest(bytes), out),
            384 => push_hex(&sha2::Sha384::digest(bytes), out),
            512 => push_hex(&sha2::Sha512::digest(bytes), out),
            _ => return None,
        }
        Some(())
    })
}

fn crc32(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::binaries(args, 0)?;
    rows::longs(args.rows, |row| Some(crc32fast::hash(input.get(row)?).into()))
}

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    parameters: &'static [&'static str],
    signature: Signature,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    Function {
        name,
        aliases,
        kind: FunctionKind::Scalar,
        group: "hash_funcs",
        parameters,
        build: Build::Signature(signature),
        usage,
        examples,
        since: "1.5.0",
    }
}

const DIGEST: Signature = Signature::new(&[Accept::Binary], Returns::Is(SimpleType::String), md5);

pub static FUNCTIONS: &[Function] = &[
    entry(
        "md5",
        &[],
        &["expr"],
        DIGEST,
        "md5(expr) - Returns the MD5 digest of binary data in hexadecimal digits.",
        &[("SELECT md5('Spark');", "8cde774d6f7333752ed72cacddb05126")],
    ),
    entry(
        "sha",
        &["sha1"],
        &["expr"],
        Signature { kernel: sha1, ..DIGEST },
        "sha(expr) - Returns the SHA-1 digest of binary data in hexadecimal digits.",
        &[("SELECT sha('Spark');", "85f5955f4b27a9a4c2aab6ffe5d7189fc298b92c")],
    ),
    entry(
        "sha2",
        &[],
        &["expr", "bitLength"],
        Signature::new(&[Accept::Binary, Accept::Integer], Returns::Is(SimpleType::String), sha2).nulls(Nulls::Always),
        "sha2(expr, bitLength) - Returns the SHA-2 digest of 224, 256, 384 or 512 bits in hexadecimal digits; 0 means \
         256.",
        &[("SELECT sha2('Spark', 256);", "529bc3b07127ecb7e53a4dcf1991d9152c24537d919178022b2c42657f79a26b")],
    ),
    entry(
        "crc32",
        &[],
        &["expr"],
        Signature { returns: Returns::Is(SimpleType::Long), kernel: crc32, ..DIGEST },
        "crc32(expr) - Returns the CRC-32 checksum of binary data.",
        &[("SELECT crc32('Spark');", "1557323817")],
    ),
];
