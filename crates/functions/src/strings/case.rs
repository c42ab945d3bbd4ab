//! Upper, lower and title case, by full Unicode case mapping (`spark.sql.icu.caseMappings.enabled`).
use crate::registry::Function;
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Returns, Signature};
use crate::strings::entry;
use crate::view;
use arrow::array::ArrayRef;
use firesteel_plan::Result;

fn upper(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::text(args.rows, |row, out| {
        let value = input.get(row)?;
        if value.is_ascii() {
            out.push_str(value);
            out.make_ascii_uppercase();
        } else {
            out.push_str(&value.to_uppercase());
        }
        Some(())
    })
}

fn lower(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::text(args.rows, |row, out| {
        let value = input.get(row)?;
        if value.is_ascii() {
            out.push_str(value);
            out.make_ascii_lowercase();
        } else {
            out.push_str(&value.to_lowercase());
        }
        Some(())
    })
}

fn initcap(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    // Words end at a space for binary strings, and at whatever is not a letter or digit for other collations.
    let by_space = !matches!(args.arg_types.first(), Some(firesteel_plan::DataType::String(c)) if !c.is_default());
    rows::text(args.rows, |row, out| {
        let value = input.get(row)?.to_lowercase();
        let mut at_start = true;
        for c in value.chars() {
            if at_start {
                push_title(c, out);
            } else {
                out.push(c);
            }
            at_start = if by_space { c == ' ' } else { !c.is_alphanumeric() && c != '\'' && c != '_' };
        }
        Some(())
    })
}

/// Appends the title case of a character: its upper case, but `ǆ` → `ǅ`, `ß` → `Ss` and Greek iota subscripts.
pub fn push_title(c: char, out: &mut String) {
    match c {
        '\u{1C4}'..='\u{1C6}' => out.push('\u{1C5}'),
        '\u{1C7}'..='\u{1C9}' => out.push('\u{1C8}'),
        '\u{1CA}'..='\u{1CC}' => out.push('\u{1CB}'),
        '\u{1F1}'..='\u{1F3}' => out.push('\u{1F2}'),
        '\u{1F80}'..='\u{1FAF}' => out.push(char::from_u32(c as u32 | 8).unwrap_or(c)),
        '\u{1FB3}' | '\u{1FC3}' | '\u{1FF3}' => out.push(char::from_u32(c as u32 + 9).unwrap_or(c)),
        _ => {
            let mut upper = c.to_uppercase();
            out.extend(upper.next());
            out.extend(upper.flat_map(char::to_lowercase));
        }
    }
}

const STRING: Signature = Signature::new(&[Accept::String], Returns::Argument(0), upper);

pub static FUNCTIONS: &[Function] = &[
    entry(
        "upper",
        &["ucase"],
        &["str"],
        STRING,
        "upper(str) - Returns `str` in upper case.",
        &[("SELECT upper('SparkSql');", "SPARKSQL")],
        "1.0.1",
    ),
    entry(
        "lower",
        &["lcase"],
        &["str"],
        Signature { kernel: lower, ..STRING },
        "lower(str) - Returns `str` in lower case.",
        &[("SELECT lower('SparkSql');", "sparksql")],
        "1.0.1",
    ),
    entry(
        "initcap",
        &[],
        &["str"],
        Signature { kernel: initcap, ..STRING },
        "initcap(str) - Returns `str` with each word capitalised and the rest in lower case; words are divided by \
         spaces.",
        &[("SELECT initcap('sPark sql');", "Spark Sql")],
        "1.5.0",
    ),
];
