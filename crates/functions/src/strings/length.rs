//! Lengths, character codes and repetition-free basics.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType as ArrowType;
use firesteel_plan::{DataType, Result};

use crate::registry::Function;
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Returns, Signature, SimpleType};
use crate::strings::entry;
use crate::view;

fn length(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    if args.arg_types.first() == Some(&DataType::Binary) {
        return octet_length(args);
    }
    let input = view::strings(args, 0)?;
    if input.array.is_ascii() {
        return octet_length(args);
    }
    rows::ints(args.rows, |row| Some(as_int(input.get(row)?.chars().count())))
}

fn octet_length(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    byte_lengths(args, 1)
}

fn bit_length(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    byte_lengths(args, 8)
}

fn byte_lengths(args: &ScalarArgs<'_>, factor: i32) -> Result<ArrayRef> {
    let input = view::any(args, 0)?;
    match input.array.data_type() {
        ArrowType::Binary => {
            let values = input.array.as_binary::<i32>();
            rows::ints(args.rows, |row| {
                let row = input.index(row);
                values.is_valid(row).then(|| as_int(values.value(row).len()).wrapping_mul(factor))
            })
        }
        _ => {
            let values = view::strings(args, 0)?;
            rows::ints(args.rows, |row| Some(as_int(values.get(row)?.len()).wrapping_mul(factor)))
        }
    }
}

/// A length as Spark's INT (a value in a batch is below 2 GiB).
pub fn as_int(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn ascii(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::ints(args.rows, |row| Some(input.get(row)?.chars().next().map_or(0, |c| c as i32)))
}

fn chr(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::longs(args, 0)?;
    rows::text(args.rows, |row, out| {
        let code = input.get(row)?;
        if code >= 0 {
            out.push(char::from((code & 0xFF) as u8));
        }
        Some(())
    })
}

const TEXT_TO_INT: Signature =
    Signature::new(&[Accept::StringOrBinary], Returns::Is(SimpleType::Integer), octet_length);

pub static FUNCTIONS: &[Function] = &[
    entry(
        "length",
        &["char_length", "character_length", "len"],
        &["expr"],
        Signature { kernel: length, ..TEXT_TO_INT },
        "length(expr) - Returns the number of characters of a string, or of bytes of binary data.",
        &[("SELECT length('Spark SQL ');", "10")],
        "1.5.0",
    ),
    entry(
        "octet_length",
        &[],
        &["expr"],
        TEXT_TO_INT,
        "octet_length(expr) - Returns the number of bytes of `expr`.",
        &[("SELECT octet_length('Spark SQL');", "9")],
        "2.3.0",
    ),
    entry(
        "bit_length",
        &[],
        &["expr"],
        Signature { kernel: bit_length, ..TEXT_TO_INT },
        "bit_length(expr) - Returns the number of bits of `expr`.",
        &[("SELECT bit_length('Spark SQL');", "72")],
        "2.3.0",
    ),
    entry(
        "ascii",
        &[],
        &["str"],
        Signature::new(&[Accept::String], Returns::Is(SimpleType::Integer), ascii),
        "ascii(str) - Returns the code point of the first character of `str`, 0 if it is empty.",
        &[("SELECT ascii('234');", "50")],
        "1.5.0",
    ),
    entry(
        "chr",
        &["char"],
        &["expr"],
        Signature::new(&[Accept::Long], Returns::Is(SimpleType::String), chr),
        "chr(expr) - Returns the character of code `expr` modulo 256, nothing if `expr` is negative.",
        &[("SELECT chr(65);", "A")],
        "2.3.0",
    ),
];
