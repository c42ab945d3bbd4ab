//! Text to bytes and back: encode, decode, base64 and UTF-8 validation.
use arrow::array::ArrayRef;
use base64::Engine;
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, JavaException, Result, SparkError};

use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::strings::entry;
use crate::typed::TypedExpr;
use crate::view;

/// The character sets that Spark takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Latin1,
    Ascii,
    Utf8,
    /// With a byte order mark; big endian
    Utf16,
    Utf16Be,
    Utf16Le,
    Utf32,
    /// Any other, in legacy mode
    Other(&'static encoding_rs::Encoding),
}

const NAMES: &str = "iso-8859-1, us-ascii, utf-16, utf-16be, utf-16le, utf-32, utf-8";

impl Charset {
    fn find(name: &str, legacy: bool) -> Option<Self> {
        Some(match name.to_uppercase().as_str() {
            "ISO-8859-1" => Self::Latin1,
            "US-ASCII" => Self::Ascii,
            "UTF-8" => Self::Utf8,
            "UTF-16" => Self::Utf16,
            "UTF-16BE" => Self::Utf16Be,
            "UTF-16LE" => Self::Utf16Le,
            "UTF-32" => Self::Utf32,
            _ if legacy => Self::Other(encoding_rs::Encoding::for_label(name.as_bytes())?),
            _ => return None,
        })
    }

    /// Appends the encoded text; `false` where a character has no place in the set (then `?` stands for it).
    fn encode(self, text: &str, out: &mut Vec<u8>) -> bool {
        let mut exact = true;
        let mut one_byte = |last: u32, out: &mut Vec<u8>| {
            out.extend(text.chars().map(|c| {
                exact &= c as u32 <= last;
                if c as u32 <= last { c as u8 } else { b'?' }
            }));
        };
        match self {
            Self::Utf8 => out.extend_from_slice(text.as_bytes()),
            Self::Latin1 => one_byte(0xFF, out),
            Self::Ascii => one_byte(0x7F, out),
            Self::Utf16 => {
                if !text.is_empty() {
                    out.extend([0xFE, 0xFF]);
                }
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
            Self::Utf16Be => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Self::Utf16Le => out.extend(text.encode_utf16().flat_map(u16::to_le_bytes)),
            Self::Utf32 => out.extend(text.chars().flat_map(|c| (c as u32).to_be_bytes())),
            Self::Other(encoding) => {
                let (bytes, _, lossy) = encoding.encode(text);
                out.extend_from_slice(&bytes);
                exact = !lossy;
            }
        }
        exact
    }

    /// Appends the decoded text; `false` where bytes are not of the set (then U+FFFD stands for them).
    fn decode(self, bytes: &[u8], out: &mut String) -> bool {
        match self {
            Self::Utf8 => {
                let text = String::from_utf8_lossy(bytes);
                out.push_str(&text);
                matches!(text, std::borrow::Cow::Borrowed(_))
            }
            Self::Latin1 => {
                out.extend(bytes.iter().map(|b| char::from(*b)));
                true
            }
            Self::Ascii => {
                out.extend(bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '\u{FFFD}' }));
                bytes.is_ascii()
            }
            Self::Utf16 => match bytes {
                [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes, out),
                [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes, out),
                _ => utf16(bytes, u16::from_be_bytes, out),
            },
            Self::Utf16Be => utf16(bytes, u16::from_be_bytes, out),
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes, out),
            Self::Utf32 => utf32(bytes, out),
            Self::Other(encoding) => {
                let (text, lossy) = encoding.decode_without_bom_handling(bytes);
                out.push_str(&text);
                !lossy
            }
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, out: &mut String) -> bool {
    let (units, rest) = bytes.as_chunks::<2>();
    let mut exact = rest.is_empty();
    out.extend(char::decode_utf16(units.iter().map(|u| unit(*u))).map(|c| {
        exact &= c.is_ok();
        c.unwrap_or('\u{FFFD}')
    }));
    if !rest.is_empty() {
        out.push('\u{FFFD}');
    }
    exact
}

fn utf32(bytes: &[u8], out: &mut String) -> bool {
    let (units, rest) = bytes.as_chunks::<4>();
    let little = units.first() == Some(&[0xFF, 0xFE, 0, 0]);
    let marked = little || units.first() == Some(&[0, 0, 0xFE, 0xFF]);
    let mut exact = rest.is_empty();
    out.extend(units.iter().skip(usize::from(marked)).map(|u| {
        let code = if little { u32::from_le_bytes(*u) } else { u32::from_be_bytes(*u) };
        let c = char::from_u32(code);
        exact &= c.is_some();
        c.unwrap_or('\u{FFFD}')
    }));
    exact
}

/// What the two functions share: finds the set by name, and turns lossy results into errors.
struct Coding<'a> {
    function: &'static str,
    args: &'a ScalarArgs<'a>,
}

impl Coding<'_> {
    fn charset(&self, name: &str) -> Result<Charset> {
        let legacy = self.args.context.flag("spark.sql.legacy.javaCharsets", false);
        Charset::find(name, legacy).ok_or_else(|| {
            SparkError::new(
                "INVALID_PARAMETER_VALUE.CHARSET",
                [
                    ("functionName", format!("`{}`", self.function)),
                    ("parameter", "`charset`".to_string()),
                    ("charset", name.to_string()),
                    ("charsets", NAMES.to_string()),
                ],
            )
        })
    }

    fn check(&self, exact: bool, charset: &str) -> Result<()> {
        if exact || self.args.context.flag("spark.sql.legacy.codingErrorAction", false) {
            return Ok(());
        }
        Err(SparkError::new(
            "MALFORMED_CHARACTER_CODING",
            [("function", format!("`{}`", self.function)), ("charset", charset.to_string())],
        ))
    }
}

fn encode(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, charset) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let coding = Coding { function: "encode", args };
    rows::try_bytes(args.rows, |row, out| {
        let (Some(text), Some(name)) = (text.get(row), charset.get(row)) else { return Ok(None) };
        let exact = coding.charset(name)?.encode(text, out);
        coding.check(exact, name).map(Some)
    })
}

fn decode(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (bytes, charset) = (view::binaries(args, 0)?, view::strings(args, 1)?);
    let coding = Coding { function: "decode", args };
    rows::try_text(args.rows, |row, out| {
        let (Some(bytes), Some(name)) = (bytes.get(row), charset.get(row)) else { return Ok(None) };
        let exact = coding.charset(name)?.decode(bytes, out);
        coding.check(exact, name).map(Some)
    })
}

/// `decode(bin, charset)`, or `decode(expr, search, result [, …] [, default])` as CASE.
fn build_decode(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    if arguments.values.len() < 2 {
        return Err(SparkError::new(
            "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
            [
                ("functionName", "`decode`".to_string()),
                ("expectedNum", "2".to_string()),
                ("actualNum", arguments.values.len().to_string()),
                ("docroot", "https://spark.apache.org/docs/latest".to_string()),
            ],
        ));
    }
    if arguments.values.len() > 2 {
        return build_decode_case(context, arguments);
    }
    let function = crate::registry::lookup("decode").ok_or_else(|| SparkError::internal("decode"))?;
    Signature::new(&[Accept::Binary, Accept::String], Returns::Is(SimpleType::String), decode)
        .nulls(Nulls::Always)
        .build(function, context, arguments)
        .map(Built::Expr)
}

/// NULL equals NULL here, unlike in CASE.
fn build_decode_case(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let sql = format!("decode({})", arguments.values.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", "));
    let mut values = arguments.values.into_iter();
    let Some(subject) = values.next() else { return Err(SparkError::internal("decode without arguments")) };
    let (mut whens, mut default) = (vec![], None);
    while let Some(search) = values.next() {
        match values.next() {
            Some(result) => whens.push((search, result)),
            None => default = Some(search),
        }
    }
    let results = whens.iter().map(|(_, r)| r).chain(default.as_ref());
    let mut to: Option<DataType> = None;
    for result in results {
        to = Some(match to {
            None => result.data_type.clone(),
            Some(so_far) => crate::coerce::wider_type(&so_far, &result.data_type, context.eval).unwrap_or(so_far),
        });
    }
    let to = to.unwrap_or(DataType::Null);
    let mode = crate::cast::CastMode::of(context.eval);
    let nullable = default.as_ref().is_none_or(|d| d.nullable) || whens.iter().any(|(_, r)| r.nullable);
    let mut branches = Vec::with_capacity(whens.len());
    for (search, result) in whens {
        let common = crate::coerce::wider_type(&subject.data_type, &search.data_type, context.eval)
            .unwrap_or_else(|| subject.data_type.clone());
        let left = crate::cast::cast(subject.clone(), &common, mode, context.eval)?.expr;
        let right = crate::cast::cast(search, &common, mode, context.eval)?.expr;
        let equal =
            datafusion::logical_expr::binary_expr(left, datafusion::logical_expr::Operator::IsNotDistinctFrom, right);
        branches.push((Box::new(equal), Box::new(crate::cast::cast(result, &to, mode, context.eval)?.expr)));
    }
    let otherwise = match default {
        Some(default) => crate::cast::cast(default, &to, mode, context.eval)?.expr,
        None => datafusion::logical_expr::Expr::Literal(crate::types::null_value(&to), None),
    };
    let case = datafusion::logical_expr::Case::new(None, branches, Some(Box::new(otherwise)));
    let expr = datafusion::logical_expr::Expr::Case(case);
    Ok(Built::Expr(TypedExpr::new(expr, to, nullable, sql).with_origin(context.origin.clone())))
}

fn base64_text(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::binaries(args, 0)?;
    let chunked = args.context.flag("spark.sql.legacy.chunkBase64String.enabled", false);
    rows::text(args.rows, |row, out| {
        base64::engine::general_purpose::STANDARD.encode_string(input.get(row)?, out);
        if chunked {
            // Lines of 76 characters, as MIME has it.
            let lines: Vec<_> = out.as_bytes().chunks(76).map(String::from_utf8_lossy).collect();
            *out = lines.join("\r\n");
        }
        Some(())
    })
}

/// Reads base64 as MIME does: what is not of the alphabet is skipped, `=` ends the text.
/// `None` where the last unit has one character only.
pub fn decode_base64(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (mut bits, mut count) = (0u32, 0u32);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            // Two characters need a padding of two, which nothing may part.
            b'=' if count == 1 || count == 0 || count == 2 && bytes.next() != Some(b'=') => return None,
            b'=' => break,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            out.extend(bits.to_be_bytes().iter().skip(1));
            (bits, count) = (0, 0);
        }
    }
    match count {
        0 => {}
        2 => out.push((bits >> 4) as u8),
        3 => out.extend([(bits >> 10) as u8, (bits >> 2) as u8]),
        _ => return None,
    }
    Some(())
}

fn unbase64(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::try_bytes(args.rows, |row, out| {
        let Some(text) = input.get(row) else { return Ok(None) };
        let read = decode_base64(text, out);
        read.map(Some).ok_or_else(|| {
            SparkError::java(JavaException::IllegalArgument, "Last unit does not have enough valid bits")
        })
    })
}

/// What a function of the `utf8` family does with a value.
enum Validity<'a> {
    Valid(&'a str),
    Invalid(&'a [u8]),
}

/// Strings are valid here by construction; bytes are looked at.
fn validities(args: &ScalarArgs<'_>, mut each: impl FnMut(usize, Option<Validity<'_>>) -> Result<()>) -> Result<()> {
    if args.arg_types.first() == Some(&DataType::Binary) {
        let bytes = view::binaries(args, 0)?;
        for row in 0..args.rows {
            each(row, bytes.get(row).map(|b| std::str::from_utf8(b).map_or(Validity::Invalid(b), Validity::Valid)))?;
        }
        return Ok(());
    }
    let text = view::strings(args, 0)?;
    (0..args.rows).try_for_each(|row| each(row, text.get(row).map(Validity::Valid)))
}

fn is_valid_utf8(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let mut result = arrow::array::BooleanBuilder::with_capacity(args.rows);
    validities(args, |_, value| {
        result.append_option(value.map(|v| matches!(v, Validity::Valid(_))));
        Ok(())
    })?;
    Ok(std::sync::Arc::new(result.finish()))
}

/// Maps invalid bytes by `repair`.
fn utf8_text(args: &ScalarArgs<'_>, repair: impl Fn(&[u8]) -> Result<Option<String>>) -> Result<ArrayRef> {
    let mut result = arrow::array::StringBuilder::new();
    validities(args, |_, value| {
        match value {
            Some(Validity::Valid(text)) => result.append_value(text),
            Some(Validity::Invalid(bytes)) => result.append_option(repair(bytes)?),
            None => result.append_null(),
        }
        Ok(())
    })?;
    Ok(std::sync::Arc::new(result.finish()))
}

fn make_valid_utf8(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    utf8_text(args, |bytes| Ok(Some(String::from_utf8_lossy(bytes).into_owned())))
}

fn try_validate_utf8(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    utf8_text(args, |_| Ok(None))
}

fn validate_utf8(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    utf8_text(args, |bytes| {
        let mut shown = String::new();
        for chunk in bytes.utf8_chunks() {
            shown.push_str(chunk.valid());
            chunk.invalid().iter().for_each(|b| shown.push_str(&format!("\\x{b:02X}")));
        }
        Err(SparkError::new("INVALID_UTF8_STRING", [("str", shown)]))
    })
}

/// A binary constant that SQL wrote as a literal.
pub fn binary_literal(bytes: Vec<u8>) -> TypedExpr {
    let hex: String = bytes.iter().map(|b| format!("{b:02X}")).collect();
    TypedExpr::literal(ScalarValue::Binary(Some(bytes)), DataType::Binary, format!("X'{hex}'"))
}

const UTF8_TEXT: Signature =
    Signature::new(&[Accept::StringOrBinary], Returns::Is(SimpleType::String), make_valid_utf8).nulls(Nulls::Always);

pub static FUNCTIONS: &[Function] = &[
    entry(
        "encode",
        &[],
        &["str", "charset"],
        Signature::new(&[Accept::String, Accept::String], Returns::Is(SimpleType::Binary), encode).nulls(Nulls::Always),
        "encode(str, charset) - Encodes text in 'US-ASCII', 'ISO-8859-1', 'UTF-8', 'UTF-16', 'UTF-16BE', 'UTF-16LE' or \
         'UTF-32'.",
        &[("SELECT encode('abc', 'utf-8');", "abc")],
        "1.5.0",
    ),
    Function {
        name: "decode",
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "string_funcs",
        parameters: &[],
        build: Build::Custom(build_decode),
        usage: "decode(bin, charset) - Decodes bytes to text; decode(expr, search, result [, search, result ] ... [, \
                default]) - Returns the result of the first search that equals `expr`.",
        examples: &[
            ("SELECT decode(encode('abc', 'utf-8'), 'utf-8');", "abc"),
            ("SELECT decode(2, 1, 'A', 2, 'B');", "B"),
        ],
        since: "1.5.0",
    },
    entry(
        "base64",
        &[],
        &["bin"],
        Signature::new(&[Accept::Binary], Returns::Is(SimpleType::String), base64_text),
        "base64(bin) - Returns the base64 text of binary data.",
        &[("SELECT base64('Spark SQL');", "U3BhcmsgU1FM")],
        "1.5.0",
    ),
    entry(
        "unbase64",
        &[],
        &["str"],
        Signature::new(&[Accept::String], Returns::Is(SimpleType::Binary), unbase64),
        "unbase64(str) - Returns the binary data of base64 text.",
        &[("SELECT unbase64('U3BhcmsgU1FM');", "Spark SQL")],
        "1.5.0",
    ),
    entry(
        "is_valid_utf8",
        &[],
        &["str"],
        Signature { returns: Returns::Is(SimpleType::Boolean), kernel: is_valid_utf8, ..UTF8_TEXT },
        "is_valid_utf8(str) - Whether `str` is valid UTF-8.",
        &[("SELECT is_valid_utf8('Spark');", "true")],
        "4.0.0",
    ),
    entry(
        "make_valid_utf8",
        &[],
        &["str"],
        UTF8_TEXT,
        "make_valid_utf8(str) - Replaces invalid bytes of `str` by U+FFFD.",
        &[("SELECT make_valid_utf8('Spark');", "Spark")],
        "4.0.0",
    ),
    entry(
        "validate_utf8",
        &[],
        &["str"],
        Signature { kernel: validate_utf8, ..UTF8_TEXT },
        "validate_utf8(str) - Returns `str`, or fails where it is not valid UTF-8.",
        &[("SELECT validate_utf8('Spark');", "Spark")],
        "4.0.0",
    ),
    entry(
        "try_validate_utf8",
        &[],
        &["str"],
        Signature { kernel: try_validate_utf8, ..UTF8_TEXT },
        "try_validate_utf8(str) - Returns `str`, or NULL where it is not valid UTF-8.",
        &[("SELECT try_validate_utf8('Spark');", "Spark")],
        "4.0.0",
    ),
];
