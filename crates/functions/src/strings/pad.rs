//! Padding and repetition.
use arrow::array::ArrayRef;
use firesteel_plan::{DataType, Result, SparkError};

use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, DefaultArgument, Returns, Signature, SimpleType};
use crate::strings::entry;
use crate::typed::TypedExpr;
use crate::view;

/// The byte offset after `count` characters, or how many characters there are where they are fewer.
fn offset_after(text: &str, count: usize) -> std::result::Result<usize, usize> {
    if text.is_ascii() {
        return if text.len() >= count { Ok(count) } else { Err(text.len()) };
    }
    let mut seen = 0;
    for (at, _) in text.char_indices() {
        if seen == count {
            return Ok(at);
        }
        seen += 1;
    }
    if seen == count { Ok(text.len()) } else { Err(seen) }
}

fn push_padding(pad: &str, mut missing: usize, out: &mut String) {
    let length = pad.chars().count();
    while missing >= length {
        out.push_str(pad);
        missing -= length;
    }
    out.extend(pad.chars().take(missing));
}

fn pad_text(args: &ScalarArgs<'_>, left: bool) -> Result<ArrayRef> {
    let (input, length, pad) = (view::strings(args, 0)?, view::ints(args, 1)?, view::strings(args, 2)?);
    rows::try_text(args.rows, |row, out| {
        let (Some(text), Some(length), Some(pad)) = (input.get(row), length.get(row), pad.get(row)) else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(0);
        match offset_after(text, length) {
            Ok(end) => out.push_str(text.get(..end).unwrap_or(text)),
            Err(_) if pad.is_empty() => out.push_str(text),
            Err(count) => {
                rows::check_size(text.len(), length - count)?;
                if !left {
                    out.push_str(text);
                }
                push_padding(pad, length - count, out);
                if left {
                    out.push_str(text);
                }
            }
        }
        Ok(Some(()))
    })
}

fn pad_bytes(args: &ScalarArgs<'_>, left: bool) -> Result<ArrayRef> {
    let (input, length, pad) = (view::binaries(args, 0)?, view::ints(args, 1)?, view::binaries(args, 2)?);
    rows::bytes(args.rows, |row, out| {
        let (bytes, length, pad) = (input.get(row)?, length.get(row)?, pad.get(row)?);
        let length = usize::try_from(length).unwrap_or(0);
        if bytes.len() >= length || pad.is_empty() {
            out.extend_from_slice(bytes.get(..length).unwrap_or(bytes));
            return Some(());
        }
        let padding = pad.iter().cycle().take(length - bytes.len());
        if left {
            out.extend(padding);
            out.extend_from_slice(bytes);
        } else {
            out.extend_from_slice(bytes);
            out.extend(padding);
        }
        Some(())
    })
}

fn pad(args: &ScalarArgs<'_>, left: bool) -> Result<ArrayRef> {
    if args.return_type == &DataType::Binary { pad_bytes(args, left) } else { pad_text(args, left) }
}
fn lpad(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    pad(args, true)
}
fn rpad(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    pad(args, false)
}

fn repeat(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (input, count) = (view::strings(args, 0)?, view::ints(args, 1)?);
    rows::try_text(args.rows, |row, out| {
        let (Some(text), Some(count)) = (input.get(row), count.get(row)) else { return Ok(None) };
        repeat_into(text, count, out).map(Some)
    })
}

fn space(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let count = view::ints(args, 0)?;
    rows::try_text(args.rows, |row, out| count.get(row).map(|n| repeat_into(" ", n, out)).transpose())
}

fn repeat_into(text: &str, count: i32, out: &mut String) -> Result<()> {
    let count = usize::try_from(count).unwrap_or(0);
    rows::check_size(0, text.len().saturating_mul(count))?;
    out.extend(std::iter::repeat_n(text, count));
    Ok(())
}

/// STRING of the collation that text and padding share
fn string_type(args: &[TypedExpr]) -> Result<DataType> {
    Ok(match args.first().map(|a| &a.data_type) {
        Some(DataType::String(collation)) => DataType::String(collation.clone()),
        _ => DataType::STRING,
    })
}

const TEXT: Signature = Signature::new(&[Accept::String, Accept::Integer], Returns::Of(string_type), lpad)
    .optional(&[Accept::String])
    .defaults(&[DefaultArgument::String(" ")]);
const LEFT: Signature = TEXT;
const RIGHT: Signature = Signature { kernel: rpad, ..TEXT };

/// Binary values are padded with binary values, zero bytes by default; a mix is taken as strings.
fn build_pad(
    name: &'static str,
    text: Signature,
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
) -> Result<Built> {
    let is_binary = |i: usize| arguments.values.get(i).is_some_and(|a| a.data_type == DataType::Binary);
    let entry = crate::registry::lookup(name).ok_or_else(|| SparkError::internal(name))?;
    let count = arguments.values.len();
    if !(is_binary(0) && (count == 2 || is_binary(2))) {
        return text.build(entry, context, arguments).map(Built::Expr);
    }
    let mut arguments = arguments;
    if count == 2 {
        let zero = datafusion::common::ScalarValue::Binary(Some(vec![0]));
        arguments.values.push(TypedExpr::literal(zero, DataType::Binary, "X'00'"));
    }
    let binary = Signature {
        required: &[Accept::Binary, Accept::Integer, Accept::Binary],
        optional: &[],
        defaults: &[],
        returns: Returns::Is(SimpleType::Binary),
        ..text
    };
    binary.build(entry, context, arguments).map(Built::Expr)
}

const fn padding(
    name: &'static str,
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "string_funcs",
        parameters: &["str", "len", "pad"],
        build: Build::Custom(build),
        usage,
        examples,
        since: "1.5.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    padding(
        "lpad",
        |context, arguments| build_pad("lpad", LEFT, context, arguments),
        "lpad(str, len[, pad]) - Returns `str` padded with `pad` on the left, or cut on the right, to length `len`.",
        &[("SELECT lpad('hi', 5, '??');", "???hi")],
    ),
    padding(
        "rpad",
        |context, arguments| build_pad("rpad", RIGHT, context, arguments),
        "rpad(str, len[, pad]) - Returns `str` padded with `pad` on the right, or cut, to length `len`.",
        &[("SELECT rpad('hi', 5, '??');", "hi???")],
    ),
    entry(
        "repeat",
        &[],
        &["str", "n"],
        Signature::new(&[Accept::String, Accept::Integer], Returns::Argument(0), repeat),
        "repeat(str, n) - Returns `str` repeated `n` times.",
        &[("SELECT repeat('123', 2);", "123123")],
        "1.5.0",
    ),
    entry(
        "space",
        &[],
        &["n"],
        Signature::new(&[Accept::Integer], Returns::Is(SimpleType::String), space),
        "space(n) - Returns `n` spaces.",
        &[("SELECT concat(space(2), '1');", "  1")],
        "1.5.0",
    ),
];
