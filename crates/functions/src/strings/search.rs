//! Finding text in text.
use arrow::array::ArrayRef;
use firesteel_plan::{DataType, Result};

use crate::collation::Collator;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{Kernel, ScalarArgs};
use crate::signature::{Accept, DefaultArgument, Nulls, Returns, Signature, SimpleType};
use crate::strings::entry;
use crate::strings::length::as_int;
use crate::view;

fn predicate(args: &ScalarArgs<'_>, test: fn(&Collator, &str, &str) -> bool) -> Result<ArrayRef> {
    let (text, pattern) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let collator = Collator::of_all(args.arg_types);
    rows::booleans(args.rows, |row| Some(test(&collator, text.get(row)?, pattern.get(row)?)))
}

fn predicate_bytes(args: &ScalarArgs<'_>, test: fn(&[u8], &[u8]) -> bool) -> Result<ArrayRef> {
    let (bytes, pattern) = (view::binaries(args, 0)?, view::binaries(args, 1)?);
    rows::booleans(args.rows, |row| Some(test(bytes.get(row)?, pattern.get(row)?)))
}

fn contains(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    if let (true, Some(pattern)) = (Collator::of_all(args.arg_types).is_binary(), args.scalar_str(1)) {
        let (text, finder) = (view::strings(args, 0)?, memchr::memmem::Finder::new(pattern));
        return rows::booleans(args.rows, |row| Some(finder.find(text.get(row)?.as_bytes()).is_some()));
    }
    predicate(args, Collator::contains)
}
fn starts_with(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    predicate(args, Collator::starts_with)
}
fn ends_with(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    predicate(args, Collator::ends_with)
}
fn contains_bytes(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    predicate_bytes(args, |bytes, pattern| memchr::memmem::find(bytes, pattern).is_some())
}
fn starts_with_bytes(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    predicate_bytes(args, |bytes, pattern| bytes.starts_with(pattern))
}
fn ends_with_bytes(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    predicate_bytes(args, |bytes, pattern| bytes.ends_with(pattern))
}

/// Binary where both sides are binary (or one is and the other NULL), else strings.
fn build_predicate(
    name: &str,
    text: Kernel,
    bytes: Kernel,
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
) -> Result<Built> {
    arguments.expect(context.called_as, 2, 2)?;
    let types: Vec<_> = arguments.values.iter().map(|a| &a.data_type).collect();
    let binary = types.iter().all(|t| matches!(t, DataType::Binary | DataType::Null))
        && types.iter().any(|t| **t == DataType::Binary);
    let signature = if binary {
        Signature::new(&[Accept::Binary, Accept::Binary], Returns::Is(SimpleType::Boolean), bytes).nulls(Nulls::Always)
    } else {
        Signature::new(&[Accept::String, Accept::String], Returns::Is(SimpleType::Boolean), text)
    };
    let function = crate::registry::lookup(name).ok_or_else(|| firesteel_plan::SparkError::internal(name))?;
    signature.build(function, context, arguments).map(Built::Expr)
}

/// The position, counted from 1 in characters, of a match at byte `at`.
fn position_at(text: &str, at: usize) -> i32 {
    match text.get(..at) {
        Some(before) => as_int(if before.is_ascii() { at } else { before.chars().count() }).saturating_add(1),
        None => 0,
    }
}

fn instr(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, pattern) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let collator = Collator::of_all(args.arg_types);
    rows::ints(args.rows, |row| {
        let (text, pattern) = (text.get(row)?, pattern.get(row)?);
        Some(collator.find(text, pattern, 0).map_or(0, |(at, _)| position_at(text, at)))
    })
}

/// A NULL start gives 0, a NULL string gives NULL.
fn locate(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (pattern, text, start) = (view::strings(args, 0)?, view::strings(args, 1)?, view::ints(args, 2)?);
    let collator = Collator::of_all(args.arg_types);
    rows::ints(args.rows, |row| {
        let Some(start) = start.get(row) else { return Some(0) };
        let (pattern, text) = (pattern.get(row)?, text.get(row)?);
        if start < 1 {
            return Some(0);
        }
        if pattern.is_empty() {
            return Some(1);
        }
        let from = text.char_indices().nth(start as usize - 1).map(|(at, _)| at);
        Some(from.and_then(|from| collator.find(text, pattern, from)).map_or(0, |(at, _)| position_at(text, at)))
    })
}

fn find_in_set(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (word, set) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let collator = Collator::of_all(args.arg_types);
    rows::ints(args.rows, |row| {
        let (word, set) = (word.get(row)?, set.get(row)?);
        if word.contains(',') {
            return Some(0);
        }
        Some(set.split(',').position(|item| collator.equals(item, word)).map_or(0, |at| as_int(at) + 1))
    })
}

const fn matcher(
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
        parameters: &["left", "right"],
        build: Build::Custom(build),
        usage,
        examples,
        since: "3.3.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    matcher(
        "contains",
        |context, arguments| build_predicate("contains", contains, contains_bytes, context, arguments),
        "contains(left, right) - Whether `right` is found in `left`.",
        &[("SELECT contains('Spark SQL', 'Spark');", "true")],
    ),
    matcher(
        "startswith",
        |context, arguments| build_predicate("startswith", starts_with, starts_with_bytes, context, arguments),
        "startswith(left, right) - Whether `left` starts with `right`.",
        &[("SELECT startswith('Spark SQL', 'Spark');", "true")],
    ),
    matcher(
        "endswith",
        |context, arguments| build_predicate("endswith", ends_with, ends_with_bytes, context, arguments),
        "endswith(left, right) - Whether `left` ends with `right`.",
        &[("SELECT endswith('Spark SQL', 'SQL');", "true")],
    ),
    entry(
        "instr",
        &[],
        &["str", "substr"],
        Signature::new(&[Accept::String, Accept::String], Returns::Is(SimpleType::Integer), instr),
        "instr(str, substr) - Returns where `substr` first occurs in `str`, counted from 1; 0 if nowhere.",
        &[("SELECT instr('SparkSQL', 'SQL');", "6")],
        "1.5.0",
    ),
    entry(
        "locate",
        &["position"],
        &["substr", "str", "pos"],
        Signature::new(&[Accept::String, Accept::String], Returns::Is(SimpleType::Integer), locate)
            .optional(&[Accept::Integer])
            .defaults(&[DefaultArgument::Integer(1)]),
        "locate(substr, str[, pos]) - Returns where `substr` first occurs in `str` from `pos` on, counted from 1; 0 if \
         nowhere.",
        &[("SELECT locate('bar', 'foobarbar', 5);", "7"), ("SELECT POSITION('bar' IN 'foobarbar');", "4")],
        "1.5.0",
    ),
    entry(
        "find_in_set",
        &[],
        &["str", "str_array"],
        Signature::new(&[Accept::String, Accept::String], Returns::Is(SimpleType::Integer), find_in_set),
        "find_in_set(str, str_array) - Returns the position of `str` in a list divided by commas, counted from 1; 0 if \
         it is not there or has a comma.",
        &[("SELECT find_in_set('ab','abc,b,ab,c,def');", "3")],
        "1.5.0",
    ),
];
