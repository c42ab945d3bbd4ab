//! Parts of strings and binary values by position or by delimiter.
use arrow::array::ArrayRef;
use firesteel_plan::{DataType, Result, SparkError};

use crate::collation::Collator;
use crate::registry::Function;
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, DefaultArgument, Nulls, Returns, Signature, SimpleType};
use crate::strings::entry;
use crate::view;

/// The characters `start..end` (may lie outside of the text).
fn char_slice(text: &str, start: i64, end: i64) -> &str {
    let start = usize::try_from(start).unwrap_or(0);
    let Ok(end) = usize::try_from(end) else { return "" };
    if end <= start {
        return "";
    }
    if text.is_ascii() {
        let end = end.min(text.len());
        return text.get(start.min(end)..end).unwrap_or("");
    }
    let mut positions = text.char_indices().map(|(at, _)| at).skip(start);
    let Some(from) = positions.next() else { return "" };
    let to = positions.nth(end - start - 1).unwrap_or(text.len());
    text.get(from..to).unwrap_or("")
}

/// `substring` as SQL counts: from 1, from the end where negative, 0 as 1.
pub fn substring_sql(text: &str, position: i32, length: i32) -> &str {
    let (position, length) = (i64::from(position), i64::from(length));
    let start = match position {
        1.. => position - 1,
        0 => 0,
        _ => position + text.chars().count() as i64,
    };
    char_slice(text, start, start + length)
}

/// The same for bytes.
pub fn substring_bytes(bytes: &[u8], position: i32, length: i32) -> &[u8] {
    let (size, position, length) = (bytes.len() as i64, i64::from(position), i64::from(length));
    let start = match position {
        1.. => position - 1,
        0 => 0,
        _ => size + position,
    };
    let end = (start + length).min(size);
    let (Ok(start), Ok(end)) = (usize::try_from(start.max(0)), usize::try_from(end)) else { return &[] };
    bytes.get(start..end).unwrap_or(&[])
}

fn is_binary(args: &ScalarArgs<'_>) -> bool {
    args.arg_types.first() == Some(&DataType::Binary)
}

fn substring(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (position, length) = (view::ints(args, 1)?, view::ints(args, 2)?);
    if is_binary(args) {
        let input = view::binaries(args, 0)?;
        return rows::bytes(args.rows, |row, out| {
            out.extend_from_slice(substring_bytes(input.get(row)?, position.get(row)?, length.get(row)?));
            Some(())
        });
    }
    let input = view::strings(args, 0)?;
    rows::slices(args.rows, |row| Some(substring_sql(input.get(row)?, position.get(row)?, length.get(row)?)))
}

fn left(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let length = view::ints(args, 1)?;
    if is_binary(args) {
        let input = view::binaries(args, 0)?;
        return rows::bytes(args.rows, |row, out| {
            out.extend_from_slice(substring_bytes(input.get(row)?, 1, length.get(row)?));
            Some(())
        });
    }
    let input = view::strings(args, 0)?;
    rows::slices(args.rows, |row| Some(substring_sql(input.get(row)?, 1, length.get(row)?)))
}

fn right(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (input, length) = (view::strings(args, 0)?, view::ints(args, 1)?);
    rows::slices(args.rows, |row| {
        let text = input.get(row)?;
        Some(match length.get(row)? {
            n @ 1.. => substring_sql(text, -n, i32::MAX),
            _ => "",
        })
    })
}

fn substring_index(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (input, delimiter, count) = (view::strings(args, 0)?, view::strings(args, 1)?, view::ints(args, 2)?);
    let collator = Collator::of_all(args.arg_types);
    rows::slices(args.rows, |row| {
        let (text, delimiter, count) = (input.get(row)?, delimiter.get(row)?, count.get(row)?);
        Some(before_or_after(text, delimiter, count, &collator))
    })
}

/// What is before the `count`th delimiter, or after the `-count`th from the end. Delimiters may overlap.
fn before_or_after<'a>(text: &'a str, delimiter: &str, count: i32, collator: &Collator) -> &'a str {
    if count == 0 || delimiter.is_empty() || text.is_empty() {
        return "";
    }
    let next_char = |at: usize| at + text.get(at..).and_then(|t| t.chars().next()).map_or(1, char::len_utf8);
    let mut found = 0;
    if count > 0 {
        let mut from = 0;
        while let Some((start, _)) = collator.find(text, delimiter, from) {
            found += 1;
            if found == count {
                return text.get(..start).unwrap_or("");
            }
            from = next_char(start);
        }
        return text;
    }
    let mut until = text.len();
    while let Some((start, end)) = collator.rfind(text, delimiter, until) {
        found += 1;
        if found == count.unsigned_abs() as i32 {
            return text.get(end..).unwrap_or("");
        }
        until = match text.get(..end).and_then(|t| t.char_indices().next_back()) {
            Some((at, _)) if start < end => at,
            _ => break,
        };
    }
    text
}

fn split_part(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (input, delimiter, part) = (view::strings(args, 0)?, view::strings(args, 1)?, view::ints(args, 2)?);
    let collator = Collator::of_all(args.arg_types);
    rows::try_text(args.rows, |row, out| {
        let (Some(text), Some(delimiter), Some(part)) = (input.get(row), delimiter.get(row), part.get(row)) else {
            return Ok(None);
        };
        if part == 0 {
            return Err(SparkError::of("INVALID_INDEX_OF_ZERO"));
        }
        let parts = collator.split(text, delimiter);
        let index = if part > 0 { part as i64 - 1 } else { parts.len() as i64 + i64::from(part) };
        out.push_str(usize::try_from(index).ok().and_then(|i| parts.get(i).copied()).unwrap_or(""));
        Ok(Some(()))
    })
}

const SUBSTRING: Signature =
    Signature::new(&[Accept::StringOrBinary, Accept::Integer], Returns::Argument(0), substring)
        .optional(&[Accept::Integer])
        .defaults(&[DefaultArgument::Integer(i32::MAX)]);

pub static FUNCTIONS: &[Function] = &[
    entry(
        "substring",
        &["substr"],
        &["str", "pos", "len"],
        SUBSTRING,
        "substring(str, pos[, len]) - Returns the part of `str` that starts at `pos`, counted from 1 or from the end \
         where negative, and is at most `len` long.",
        &[("SELECT substring('Spark SQL', 5, 1);", "k"), ("SELECT substring('Spark SQL', -3);", "SQL")],
        "1.5.0",
    ),
    entry(
        "left",
        &[],
        &["str", "len"],
        Signature::new(&[Accept::StringOrBinary, Accept::Integer], Returns::Argument(0), left),
        "left(str, len) - Returns the first `len` characters of `str`.",
        &[("SELECT left('Spark SQL', 3);", "Spa")],
        "2.3.0",
    ),
    entry(
        "right",
        &[],
        &["str", "len"],
        Signature::new(&[Accept::String, Accept::Integer], Returns::Argument(0), right).nulls(Nulls::Always),
        "right(str, len) - Returns the last `len` characters of `str`.",
        &[("SELECT right('Spark SQL', 3);", "SQL")],
        "2.3.0",
    ),
    entry(
        "substring_index",
        &[],
        &["str", "delim", "count"],
        Signature::new(&[Accept::String, Accept::String, Accept::Integer], Returns::Argument(0), substring_index),
        "substring_index(str, delim, count) - Returns what stands before the `count`th `delim`, or after it, counted \
         from the right, where `count` is negative.",
        &[("SELECT substring_index('www.apache.org', '.', 2);", "www.apache")],
        "1.5.0",
    ),
    entry(
        "split_part",
        &[],
        &["str", "delimiter", "partNum"],
        Signature::new(&[Accept::String, Accept::String, Accept::Integer], Returns::Is(SimpleType::String), split_part)
            .nulls(Nulls::Always),
        "split_part(str, delimiter, partNum) - Splits `str` at `delimiter` and returns part `partNum`, counted from 1 \
         or from the end where negative.",
        &[("SELECT split_part('11.12.13', '.', 3);", "13")],
        "3.3.0",
    ),
];
