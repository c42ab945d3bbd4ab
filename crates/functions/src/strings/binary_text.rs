//! `to_binary` and `try_to_binary`.
use arrow::array::ArrayRef;
use firesteel_plan::{DataType, Result, SparkError};

use super::charset::decode_base64;
use crate::fold;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;
use crate::view;

fn hex(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    let bytes = text.as_bytes();
    let (first, pairs) = bytes.split_at(bytes.len() % 2);
    for b in first {
        out.push(digit(*b)?);
    }
    for pair in pairs.chunks_exact(2) {
        out.push(digit(pair[0])? << 4 | digit(pair[1])?);
    }
    Some(())
}

/// Base64 in whole units, padded or not; white space is skipped.
fn strict_base64(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (mut count, mut padding) = (0usize, 0usize);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => count += 1,
            b'=' => padding += 1,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {}
            _ => return None,
        }
    }
    let fits = matches!((count % 4, padding), (0 | 2 | 3, 0) | (2, 2) | (3, 1));
    if fits { decode_base64(text, out) } else { None }
}

/// `options`: the format, and whether failures give NULL.
fn to_binary(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let (format, lenient) = (args.option(0), args.option(1) == "try");
    rows::try_bytes(args.rows, |row, out| {
        let Some(text) = input.get(row) else { return Ok(None) };
        let read = match format {
            "hex" => hex(text, out),
            "base64" => strict_base64(text, out),
            _ => {
                out.extend_from_slice(text.as_bytes());
                Some(())
            }
        };
        match read {
            None if !lenient => Err(SparkError::new(
                "CONVERSION_INVALID_INPUT",
                [
                    ("str", format!("'{text}'")),
                    ("fmt", format!("'{}'", format.to_uppercase())),
                    ("targetType", "\"BINARY\"".to_string()),
                    ("suggestion", "`try_to_binary`".to_string()),
                ],
            )),
            read => Ok(read),
        }
    })
}

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>, name: &'static str) -> Result<Built> {
    let lenient = name == "try_to_binary";
    arguments.expect(context.called_as, 1, 2)?;
    let sql = format!("{name}({})", arguments.values.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", "));
    let mut values = arguments.values.into_iter();
    let (Some(input), format) = (values.next(), values.next()) else {
        return Err(SparkError::internal("to_binary without an argument"));
    };
    let format = match format {
        None => Some("hex".to_string()),
        Some(format) => match read_format(&sql, &format)? {
            Format::Null => None,
            Format::Known(format) => Some(format),
            Format::Unknown(_) if lenient => None,
            Format::Unknown(error) => return Err(error.with_origin(context.origin.as_ref())),
        },
    };
    let Some(format) = format else {
        return Ok(Built::Expr(TypedExpr::null(DataType::Binary).with_sql(sql)));
    };
    let input = crate::cast::cast(input, &DataType::STRING, crate::cast::CastMode::of(context.eval), context.eval)?;
    let nullable = lenient || input.nullable || format == "utf-8";
    let options = vec![format, if lenient { "try" } else { "" }.to_string()];
    let call = SparkScalar::call(name, to_binary, vec![input], DataType::Binary, nullable, context.eval);
    Ok(Built::Expr(call.options(options).origin(context.origin.clone()).build().with_sql(sql)))
}

enum Format {
    Null,
    Known(String),
    Unknown(SparkError),
}

fn read_format(sql: &str, format: &TypedExpr) -> Result<Format> {
    if !format.is_foldable() || !(format.data_type.is_string() || format.data_type == DataType::Null) {
        let shown = if format.data_type.is_string() {
            fold::not_foldable(sql, "fmt", format)
        } else {
            wrong_format(sql, format, &format.sql)
        };
        return Ok(Format::Unknown(shown));
    }
    let Some(text) = fold::fold_string(format)? else { return Ok(Format::Null) };
    Ok(match text.to_lowercase().as_str() {
        known @ ("hex" | "base64") => Format::Known(known.to_string()),
        "utf-8" | "utf8" => Format::Known("utf-8".to_string()),
        _ => Format::Unknown(wrong_format(sql, format, &format!("'{text}'"))),
    })
}

fn wrong_format(sql: &str, _: &TypedExpr, shown: &str) -> SparkError {
    SparkError::new(
        "DATATYPE_MISMATCH.INVALID_ARG_VALUE",
        [
            ("sqlExpr", format!("\"{sql}\"")),
            ("inputName", "fmt".to_string()),
            ("requireType", "case-insensitive \"STRING\"".to_string()),
            ("validValues", "'hex', 'utf-8', 'utf8', or 'base64'".to_string()),
            ("inputValue", shown.to_string()),
        ],
    )
}

const fn entry(
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
        parameters: &["str", "fmt"],
        build: Build::Custom(build),
        usage,
        examples,
        since: "3.3.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "to_binary",
        |context, arguments| build(context, arguments, "to_binary"),
        "to_binary(str[, fmt]) - Reads text in the format 'hex' (the default), 'utf-8', 'utf8' or 'base64' as binary.",
        &[("SELECT to_binary('abc', 'utf-8');", "abc")],
    ),
    entry(
        "try_to_binary",
        |context, arguments| build(context, arguments, "try_to_binary"),
        "try_to_binary(str[, fmt]) - As `to_binary`, but NULL where the text cannot be read.",
        &[("SELECT try_to_binary('a!', 'base64');", "NULL")],
    ),
];
