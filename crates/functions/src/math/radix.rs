//! Numbers in other bases: `bin conv hex unhex`.
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Int32Type, Int64Type};
use firesteel_plan::{DataType, Result, SparkError};

use super::entry;
use crate::arithmetic::errors::overflow;
use crate::cast::kernel::primitive;
use crate::coerce::implicit;
use crate::quote::unexpected_input_type;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};

fn bin(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    use std::fmt::Write;
    let array = args.array(0)?;
    let values = primitive::<Int64Type>(&array)?;
    rows::text(args.rows, |row, out| {
        if values.is_null(row) {
            return None;
        }
        write!(out, "{:b}", values.value(row)).ok()
    })
}

fn hex(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = format!("hex({})", value.sql);
    let value = match &value.data_type {
        DataType::Long | DataType::Binary => value,
        t if t.is_string() => value,
        t if t.is_numeric() || *t == DataType::Null => implicit(value, &DataType::Long, context.eval, &context.origin)?,
        t if t.is_atomic() && !t.is_interval() => implicit(value, &DataType::STRING, context.eval, &context.origin)?,
        t => {
            let required = "(\"BIGINT\" or \"BINARY\" or \"STRING\")".to_string();
            let error = unexpected_input_type(&sql, 0, required, &value.sql, t);
            return Err(error.with_origin(context.origin.as_ref()));
        }
    };
    let nullable = value.nullable;
    let call = SparkScalar::call("hex", hex_kernel, vec![value], DataType::STRING, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

fn hex_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    use std::fmt::Write;
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let array = args.array(0)?;
    let push = |bytes: &[u8], out: &mut String| {
        for byte in bytes {
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    };
    if let Some(values) = array.as_primitive_opt::<Int64Type>() {
        return rows::text(args.rows, |row, out| {
            if values.is_null(row) {
                return None;
            }
            write!(out, "{:X}", values.value(row)).ok()
        });
    }
    if let Some(strings) = array.as_string_opt::<i32>() {
        return rows::text(args.rows, |row, out| {
            if strings.is_null(row) {
                return None;
            }
            push(strings.value(row).as_bytes(), out);
            Some(())
        });
    }
    let binary = array.as_binary_opt::<i32>().ok_or_else(|| SparkError::internal("bytes were expected"))?;
    rows::text(args.rows, |row, out| {
        if binary.is_null(row) {
            return None;
        }
        push(binary.value(row), out);
        Some(())
    })
}

/// NULL where a character is no hexadecimal digit. An odd first digit stands alone.
fn unhex(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let strings = array.as_string_opt::<i32>().ok_or_else(|| SparkError::internal("strings were expected"))?;
    rows::bytes(args.rows, |row, out| {
        if strings.is_null(row) {
            return None;
        }
        let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
        let text = strings.value(row).as_bytes();
        let (head, rest) = text.split_at(text.len() % 2);
        if let [single] = head {
            out.push(digit(*single)?);
        }
        for pair in rest.chunks_exact(2) {
            out.push(digit(pair[0])? << 4 | digit(pair[1])?);
        }
        Some(())
    })
}

/// What `conv` found out about a number.
enum Converted {
    Text(String),
    Null,
    Overflow,
}

fn convert(text: &str, from: i32, to: i32) -> Converted {
    let allowed = 2..=36;
    if !allowed.contains(&from) || !allowed.contains(&to.abs()) {
        return Converted::Null;
    }
    let text = text.trim_matches(' ');
    if text.is_empty() {
        return Converted::Null;
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mut value, mut overflowed) = (0u64, false);
    for c in digits.chars() {
        let Some(digit) = c.to_digit(from as u32) else { break };
        match value.checked_mul(from as u64).and_then(|v| v.checked_add(u64::from(digit))) {
            Some(next) => value = next,
            None => {
                overflowed = true;
                break;
            }
        }
    }
    if overflowed {
        return Converted::Overflow;
    }
    let mut number = value;
    let mut negative = negative;
    if negative && to > 0 {
        number = if (value as i64) < 0 { u64::MAX } else { value.wrapping_neg() };
        negative = false;
    } else if to < 0 && !negative && (value as i64) < 0 {
        number = value.wrapping_neg();
        negative = true;
    }
    let base = u64::from(to.unsigned_abs());
    let mut out = vec![];
    loop {
        let digit = char::from_digit((number % base) as u32, base as u32).unwrap_or('0');
        out.push(digit.to_ascii_uppercase());
        number /= base;
        if number == 0 {
            break;
        }
    }
    if negative && to < 0 {
        out.push('-');
    }
    Converted::Text(out.into_iter().rev().collect())
}

fn conv(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, from, to) = (args.array(0)?, args.array(1)?, args.array(2)?);
    let strings = text.as_string_opt::<i32>().ok_or_else(|| SparkError::internal("strings were expected"))?;
    let (from, to) = (primitive::<Int32Type>(&from)?, primitive::<Int32Type>(&to)?);
    rows::try_text(args.rows, |row, out| {
        if strings.is_null(row) || from.is_null(row) || to.is_null(row) {
            return Ok(None);
        }
        match convert(strings.value(row), from.value(row), to.value(row)) {
            Converted::Text(text) => out.push_str(&text),
            Converted::Null => return Ok(None),
            Converted::Overflow if args.context.ansi => return Err(overflow("Overflow in function conv()", "")),
            Converted::Overflow => match convert(&u64::MAX.to_string(), 10, to.value(row)) {
                Converted::Text(text) => out.push_str(&text),
                _ => return Ok(None),
            },
        }
        Ok(Some(()))
    })
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "bin",
        &[],
        &["expr"],
        Signature::new(&[Accept::Long], Returns::Is(SimpleType::String), bin),
        "bin(expr) - The binary digits of a whole number.",
        &[("SELECT bin(13)", "1101")],
        "1.5.0",
    ),
    Function {
        name: "hex",
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "math_funcs",
        parameters: &["expr"],
        build: Build::Custom(hex),
        usage: "hex(expr) - The hexadecimal digits of a number, text or bytes.",
        examples: &[("SELECT hex(17)", "11")],
        since: "1.5.0",
    },
    entry(
        "unhex",
        &[],
        &["expr"],
        Signature::new(&[Accept::String], Returns::Is(SimpleType::Binary), unhex).nulls(Nulls::Always),
        "unhex(expr) - The bytes that hexadecimal digits stand for.",
        &[("SELECT decode(unhex('5370'), 'UTF-8')", "Sp")],
        "1.5.0",
    ),
    entry(
        "conv",
        &[],
        &["num", "from_base", "to_base"],
        Signature::new(&[Accept::String, Accept::Integer, Accept::Integer], Returns::Is(SimpleType::String), conv)
            .nulls(Nulls::Always),
        "conv(num, from_base, to_base) - The number in another base.",
        &[("SELECT conv('100', 2, 10)", "4")],
        "1.5.0",
    ),
];
