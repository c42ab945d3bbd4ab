//! Trimming of spaces or of a set of characters.
use arrow::array::ArrayRef;
use firesteel_plan::Result;

use crate::collation::Collator;
use crate::registry::Function;
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Returns, Signature};
use crate::strings::entry;
use crate::view;

#[derive(Clone, Copy)]
struct Ends {
    start: bool,
    end: bool,
}

const BOTH: Ends = Ends { start: true, end: true };
const LEADING: Ends = Ends { start: true, end: false };
const TRAILING: Ends = Ends { start: false, end: true };

fn trim_by(text: &str, ends: Ends, drop: impl Fn(char) -> bool) -> &str {
    let text = if ends.start { text.trim_start_matches(&drop) } else { text };
    if ends.end { text.trim_end_matches(&drop) } else { text }
}

/// `characters` is the argument that holds what to drop, if there is one.
fn trim_kernel(args: &ScalarArgs<'_>, text: usize, characters: Option<usize>, ends: Ends) -> Result<ArrayRef> {
    let input = view::strings(args, text)?;
    let Some(characters) = characters else {
        return rows::slices(args.rows, |row| Some(trim_by(input.get(row)?, ends, |c| c == ' ')));
    };
    let characters = view::strings(args, characters)?;
    let collator = Collator::of_all(args.arg_types);
    rows::slices(args.rows, |row| {
        let (text, drop) = (input.get(row)?, characters.get(row)?);
        Some(match drop.len() {
            0 => text,
            _ => trim_by(text, ends, |c| collator.contains_char(drop, c)),
        })
    })
}

/// `trim(str)`, `TRIM(BOTH trimStr FROM str)`: with two arguments the characters come first.
fn characters_first(args: &ScalarArgs<'_>, ends: Ends) -> Result<ArrayRef> {
    if args.values.len() > 1 { trim_kernel(args, 1, Some(0), ends) } else { trim_kernel(args, 0, None, ends) }
}

fn trim(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    characters_first(args, BOTH)
}
fn ltrim(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    characters_first(args, LEADING)
}
fn rtrim(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    characters_first(args, TRAILING)
}
fn btrim(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    trim_kernel(args, 0, (args.values.len() > 1).then_some(1), BOTH)
}

fn show(name: &str, side: &str, args: &[String]) -> String {
    match args {
        [characters, text] => format!("TRIM({side} {characters} FROM {text})"),
        _ => format!("{name}({})", args.join(", ")),
    }
}

const TRIM: Signature = Signature::new(&[Accept::String], Returns::Of(last_type), trim)
    .optional(&[Accept::String])
    .shown(|_, args| show("trim", "BOTH", args));

/// The trimmed string is the last argument (the only one of btrim that is not is of the same type).
fn last_type(args: &[crate::TypedExpr]) -> Result<firesteel_plan::DataType> {
    Ok(args.last().map_or(firesteel_plan::DataType::STRING, |a| a.data_type.clone()))
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "trim",
        &[],
        &["str"],
        TRIM,
        "trim(str), trim([BOTH | LEADING | TRAILING] [trimStr] FROM str) - Removes spaces, or the characters of \
         `trimStr`, from the ends of `str`.",
        &[("SELECT trim('    SparkSQL   ');", "SparkSQL"), ("SELECT trim(BOTH 'SL' FROM 'SSparkSQLS');", "parkSQ")],
        "1.5.0",
    ),
    entry(
        "ltrim",
        &[],
        &["str"],
        Signature { kernel: ltrim, ..TRIM }.shown(|_, args| show("ltrim", "LEADING", args)),
        "ltrim(str) - Removes leading spaces from `str`.",
        &[("SELECT ltrim('    SparkSQL   ');", "SparkSQL   ")],
        "1.5.0",
    ),
    entry(
        "rtrim",
        &[],
        &["str"],
        Signature { kernel: rtrim, ..TRIM }.shown(|_, args| show("rtrim", "TRAILING", args)),
        "rtrim(str) - Removes trailing spaces from `str`.",
        &[("SELECT rtrim('    SparkSQL   ');", "    SparkSQL")],
        "1.5.0",
    ),
    entry(
        "btrim",
        &[],
        &["str", "trimStr"],
        Signature::new(&[Accept::String], Returns::Argument(0), btrim).optional(&[Accept::String]),
        "btrim(str[, trimStr]) - Removes spaces, or the characters of `trimStr`, from both ends of `str`.",
        &[("SELECT btrim('SSparkSQLS', 'SL');", "parkSQ")],
        "3.2.0",
    ),
];
