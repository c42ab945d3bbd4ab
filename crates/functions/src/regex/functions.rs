//! The functions that take a Java regular expression: rlike, the regexp family, split.
use std::ops::Deref;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType as ArrowType, Field};
use firesteel_plan::{DataType, Result, SparkError};

use super::{Captures, JavaRegex, compile};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, DefaultArgument, Nulls, Returns, Signature, SimpleType};
use crate::typed::TypedExpr;
use crate::types::LIST_ELEMENT;
use crate::view::{self, View};

/// The patterns of argument `index`, compiled once where it is a constant.
struct Patterns {
    texts: View<arrow::array::StringArray>,
    constant: Option<Arc<JavaRegex>>,
    function: &'static str,
    /// UTF8_LCASE matches without regard to case.
    ignore_case: bool,
}

impl Patterns {
    fn new(args: &ScalarArgs<'_>, index: usize, function: &'static str) -> Result<Self> {
        let texts = view::strings(args, index)?;
        let ignore_case = !crate::collation::Collator::of_all(args.arg_types).is_binary();
        let mut patterns = Self { texts, constant: None, function, ignore_case };
        patterns.constant = patterns.texts.constant().map(|text| patterns.compile(text)).transpose()?;
        Ok(patterns)
    }

    fn compile(&self, text: &str) -> Result<Arc<JavaRegex>> {
        let compiled = if self.ignore_case { compile(&format!("(?iu){text}")) } else { compile(text) };
        compiled.map_err(|_| {
            SparkError::new(
                "INVALID_PARAMETER_VALUE.PATTERN",
                [
                    ("parameter", "`regexp`".to_string()),
                    ("functionName", format!("`{}`", self.function)),
                    ("value", format!("'{text}'")),
                ],
            )
        })
    }

    fn get(&self, row: usize) -> Result<Option<Pattern<'_>>> {
        match &self.constant {
            Some(regex) => Ok(Some(Pattern::Constant(regex))),
            None => self.texts.get(row).map(|text| self.compile(text).map(Pattern::OfRow)).transpose(),
        }
    }
}

/// The pattern for a row.
enum Pattern<'a> {
    Constant(&'a JavaRegex),
    OfRow(Arc<JavaRegex>),
}

impl Deref for Pattern<'_> {
    type Target = JavaRegex;
    fn deref(&self) -> &JavaRegex {
        match self {
            Self::Constant(regex) => regex,
            Self::OfRow(regex) => regex,
        }
    }
}

impl Pattern<'_> {
    /// Where matches are told: the same place for all rows of a constant.
    fn captures<'a>(&self, kept: &'a mut Option<Captures>) -> &'a mut Captures {
        if matches!(self, Self::OfRow(_)) {
            *kept = None;
        }
        kept.get_or_insert_with(|| self.no_captures())
    }
}

fn rlike(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, patterns) = (view::strings(args, 0)?, Patterns::new(args, 1, "rlike")?);
    if let Some(regex) = &patterns.constant {
        return rows::booleans(args.rows, |row| Some(regex.is_match(text.get(row)?)));
    }
    rows::try_booleans(args.rows, |row| {
        let (Some(text), Some(regex)) = (text.get(row), patterns.get(row)?) else { return Ok(None) };
        Ok(Some(regex.is_match(text)))
    })
}

/// Errors with `INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX` where the pattern has no such group.
fn check_group(function: &str, regex: &JavaRegex, index: i32) -> Result<usize> {
    match usize::try_from(index) {
        Ok(index) if index <= regex.groups => Ok(index),
        _ => Err(SparkError::new(
            "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX",
            [
                ("parameter", "`idx`".to_string()),
                ("functionName", format!("`{function}`")),
                ("groupCount", regex.groups.to_string()),
                ("groupIndex", index.to_string()),
            ],
        )),
    }
}

fn regexp_extract(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, patterns) = (view::strings(args, 0)?, Patterns::new(args, 1, "regexp_extract")?);
    let index = view::ints(args, 2)?;
    let mut captures = None;
    rows::try_text(args.rows, |row, out| {
        let (Some(text), Some(regex), Some(index)) = (text.get(row), patterns.get(row)?, index.get(row)) else {
            return Ok(None);
        };
        let captures = regex.captures(&mut captures);
        if regex.find_groups(text, 0, captures) {
            let group = check_group("regexp_extract", &regex, index)?;
            out.push_str(captures.group(group).and_then(|(a, b)| text.get(a..b)).unwrap_or(""));
        }
        Ok(Some(()))
    })
}

fn string_lists() -> ListBuilder<StringBuilder> {
    ListBuilder::new(StringBuilder::new())
}

fn regexp_extract_all(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, patterns) = (view::strings(args, 0)?, Patterns::new(args, 1, "regexp_extract_all")?);
    let index = view::ints(args, 2)?;
    let mut lists = string_lists().with_field(Field::new(LIST_ELEMENT, ArrowType::Utf8, true));
    let mut captures = None;
    for row in 0..args.rows {
        let (Some(text), Some(regex), Some(index)) = (text.get(row), patterns.get(row)?, index.get(row)) else {
            lists.append_null();
            continue;
        };
        regex.each_match(text, 0, regex.captures(&mut captures), |captures| {
            let group = check_group("regexp_extract_all", &regex, index)?;
            let found = captures.group(group).and_then(|(a, b)| text.get(a..b)).unwrap_or("");
            lists.values().append_value(found);
            Ok::<_, SparkError>(())
        })?;
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// A piece of a replacement: text, or the text of a group.
enum Piece {
    Text(String),
    Group(usize),
}

/// Java's replacement syntax: `$1`, `${name}`, `\` before a literal character. `None` where it is malformed.
fn replacement(text: &str, regex: &JavaRegex) -> Option<Vec<Piece>> {
    let groups = regex.groups;
    let (mut pieces, mut literal) = (vec![], String::new());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => literal.push(chars.next()?),
            '$' => {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
                if chars.next_if_eq(&'{').is_some() {
                    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
                    pieces.push(Piece::Group(regex.named_group(&name)?));
                    continue;
                }
                let mut group = chars.next()?.to_digit(10)? as usize;
                // Further digits belong to the number as long as there is such a group.
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if longer > groups {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                if group > groups {
                    return None;
                }
                pieces.push(Piece::Group(group));
            }
            _ => literal.push(c),
        }
    }
    pieces.push(Piece::Text(literal));
    Some(pieces)
}

fn push_replacement(pieces: &[Piece], captures: &Captures, text: &str, out: &mut String) {
    for piece in pieces {
        match piece {
            Piece::Text(literal) => out.push_str(literal),
            Piece::Group(group) => {
                out.push_str(captures.group(*group).and_then(|(a, b)| text.get(a..b)).unwrap_or(""));
            }
        }
    }
}

/// Byte position of the character number `position`, from 1; `None`: the text is shorter.
fn start_of(text: &str, position: i32) -> Option<usize> {
    match usize::try_from(position.saturating_sub(1)).unwrap_or(0) {
        0 => Some(0),
        skipped => text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skipped),
    }
}

fn regexp_replace(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, patterns) = (view::strings(args, 0)?, Patterns::new(args, 1, "regexp_replace")?);
    let (with, position) = (view::strings(args, 2)?, view::ints(args, 3)?);
    let is_constant = patterns.constant.is_some() && with.constant().is_some();
    let (mut captures, mut pieces) = (None, None);
    rows::try_text(args.rows, |row, out| {
        let (Some(text), Some(regex), Some(with), Some(position)) =
            (text.get(row), patterns.get(row)?, with.get(row), position.get(row))
        else {
            return Ok(None);
        };
        // A start at the end of a text that is not empty finds nothing.
        let Some(start) = start_of(text, position).filter(|start| *start < text.len() || text.is_empty()) else {
            out.push_str(text);
            return Ok(Some(()));
        };
        let invalid = || {
            SparkError::new(
                "INVALID_REGEXP_REPLACE",
                [
                    ("source", text.to_string()),
                    ("pattern", patterns.texts.get(row).unwrap_or_default().to_string()),
                    ("replacement", with.to_string()),
                    ("position", position.to_string()),
                ],
            )
        };
        if !is_constant {
            pieces = None;
        }
        let mut copied = 0;
        regex.each_match(text, start, regex.captures(&mut captures), |captures| {
            let Some((from, to)) = captures.group(0) else { return Ok(()) };
            let pieces = match &mut pieces {
                Some(pieces) => pieces,
                none => none.insert(replacement(with, &regex).ok_or_else(invalid)?),
            };
            out.push_str(text.get(copied..from).unwrap_or(""));
            push_replacement(pieces, captures, text, out);
            copied = to;
            Ok::<_, SparkError>(())
        })?;
        out.push_str(text.get(copied..).unwrap_or(""));
        Ok(Some(()))
    })
}

fn regexp_count(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, patterns) = (view::strings(args, 0)?, Patterns::new(args, 1, "regexp_count")?);
    rows::try_ints(args.rows, |row| {
        let (Some(text), Some(regex)) = (text.get(row), patterns.get(row)?) else { return Ok(None) };
        Ok(Some(crate::strings::length::as_int(regex.matches(text).count())))
    })
}

fn regexp_substr(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, patterns) = (view::strings(args, 0)?, Patterns::new(args, 1, "regexp_substr")?);
    rows::try_text(args.rows, |row, out| {
        let (Some(text), Some(regex)) = (text.get(row), patterns.get(row)?) else { return Ok(None) };
        let found = regex.find_at(text, 0).and_then(|(a, b)| text.get(a..b)).filter(|found| !found.is_empty());
        Ok(found.map(|found| out.push_str(found)))
    })
}

fn regexp_instr(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, patterns) = (view::strings(args, 0)?, Patterns::new(args, 1, "regexp_instr")?);
    let index = view::ints(args, 2)?;
    rows::try_ints(args.rows, |row| {
        let (Some(text), Some(regex), Some(_)) = (text.get(row), patterns.get(row)?, index.get(row)) else {
            return Ok(None);
        };
        let before = regex.find_at(text, 0).and_then(|(at, _)| text.get(..at));
        Ok(Some(before.map_or(0, |before| crate::strings::length::as_int(before.chars().count()) + 1)))
    })
}

/// Java's `String.split` with a limit: 0 and less keep trailing empty parts; an empty pattern gives the characters.
fn split_into<'a>(text: &'a str, pattern: &str, regex: &JavaRegex, limit: i32, mut push: impl FnMut(&'a str)) {
    let limit = usize::try_from(limit).ok().filter(|l| *l > 0).unwrap_or(usize::MAX);
    let mut from = 0;
    let mut count = 1;
    if pattern.is_empty() && !text.is_empty() {
        for (at, _) in text.char_indices().skip(1) {
            if count == limit {
                break;
            }
            push(text.get(from..at).unwrap_or(""));
            (from, count) = (at, count + 1);
        }
        return push(text.get(from..).unwrap_or(""));
    }
    for (start, end) in regex.matches(text) {
        if count == limit {
            break;
        }
        // No empty part before an empty match at the start.
        if end == 0 {
            continue;
        }
        push(text.get(from..start).unwrap_or(""));
        (from, count) = (end, count + 1);
    }
    push(text.get(from..).unwrap_or(""));
}

fn split(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, patterns) = (view::strings(args, 0)?, Patterns::new(args, 1, "split")?);
    let limit = view::ints(args, 2)?;
    let mut lists = string_lists().with_field(Field::new(LIST_ELEMENT, ArrowType::Utf8, false));
    for row in 0..args.rows {
        let (Some(text), Some(regex), Some(limit)) = (text.get(row), patterns.get(row)?, limit.get(row)) else {
            lists.append_null();
            continue;
        };
        let pattern = patterns.texts.get(row).unwrap_or_default();
        split_into(text, pattern, &regex, limit, |part| lists.values().append_value(part));
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

fn parts_type(args: &[TypedExpr]) -> Result<DataType> {
    let element = args.first().filter(|a| a.data_type.is_string()).map_or(DataType::STRING, |a| a.data_type.clone());
    Ok(DataType::array(element, false))
}

/// The position of `regexp_replace` is checked where it is a constant.
fn build_replace(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    const TEXT: Accept = Accept::String;
    let signature = Signature::new(&[TEXT, TEXT, TEXT], Returns::Is(SimpleType::String), regexp_replace)
        .optional(&[Accept::Integer])
        .defaults(&[DefaultArgument::Integer(1)]);
    let position = arguments.values.get(3).cloned();
    let function = crate::registry::lookup("regexp_replace").ok_or_else(|| SparkError::internal("regexp_replace"))?;
    let built = signature.build(function, context, arguments)?;
    let Some(position) = position else { return Ok(Built::Expr(built)) };
    let sql = ("sqlExpr", format!("\"{}\"", built.sql));
    if !position.is_foldable() {
        return Err(crate::fold::not_foldable(&built.sql, "position", &position));
    }
    match crate::fold::fold(&position)? {
        Some(datafusion::common::ScalarValue::Int32(Some(value))) if value < 1 => Err(SparkError::new(
            "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
            [
                ("exprName", "position".to_string()),
                ("valueRange", "(0, 2147483647]".to_string()),
                ("currentValue", value.to_string()),
                sql,
            ],
        )),
        _ => Ok(Built::Expr(built)),
    }
}

const TWO: &[Accept] = &[Accept::String, Accept::String];

const fn function(
    name: &'static str,
    aliases: &'static [&'static str],
    parameters: &'static [&'static str],
    build: Build,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases,
        kind: FunctionKind::Scalar,
        group: "string_funcs",
        parameters,
        build,
        usage,
        examples,
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    Function {
        group: "predicate_funcs",
        ..function(
            "rlike",
            &["regexp", "regexp_like"],
            &["str", "regexp"],
            Build::Signature(
                Signature::new(TWO, Returns::Is(SimpleType::Boolean), rlike)
                    .shown(|name, args| format!("{}({})", name.to_uppercase(), args.join(", "))),
            ),
            "rlike(str, regexp) - Whether `regexp` matches somewhere in `str`.",
            &[("SELECT rlike('Spark', 'p.r');", "true")],
            "1.0.0",
        )
    },
    function(
        "regexp_extract",
        &[],
        &["str", "regexp", "idx"],
        Build::Signature(
            Signature::new(TWO, Returns::Is(SimpleType::String), regexp_extract)
                .optional(&[Accept::Integer])
                .defaults(&[DefaultArgument::Integer(1)]),
        ),
        "regexp_extract(str, regexp[, idx]) - Returns group `idx` of the first match, '' where there is none.",
        &[("SELECT regexp_extract('100-200', '([0-9]+)-([0-9]+)', 1);", "100")],
        "1.5.0",
    ),
    function(
        "regexp_extract_all",
        &[],
        &["str", "regexp", "idx"],
        Build::Signature(
            Signature::new(TWO, Returns::Is(SimpleType::StringArray), regexp_extract_all)
                .optional(&[Accept::Integer])
                .defaults(&[DefaultArgument::Integer(1)]),
        ),
        "regexp_extract_all(str, regexp[, idx]) - Returns group `idx` of every match.",
        &[("SELECT regexp_extract_all('100-200, 300-400', '([0-9]+)-([0-9]+)', 1);", "[\"100\",\"300\"]")],
        "3.1.0",
    ),
    function(
        "regexp_replace",
        &[],
        &["str", "regexp", "rep", "position"],
        Build::Custom(build_replace),
        "regexp_replace(str, regexp, rep[, position]) - Replaces every match from `position` on by `rep`.",
        &[("SELECT regexp_replace('100-200', '([0-9]+)', 'num');", "num-num")],
        "1.5.0",
    ),
    function(
        "regexp_count",
        &[],
        &["str", "regexp"],
        Build::Signature(Signature::new(TWO, Returns::Is(SimpleType::Integer), regexp_count)),
        "regexp_count(str, regexp) - Returns how often `regexp` matches in `str`.",
        &[("SELECT regexp_count('Steven Jones', 'e');", "3")],
        "3.4.0",
    ),
    function(
        "regexp_substr",
        &[],
        &["str", "regexp"],
        Build::Signature(Signature::new(TWO, Returns::Is(SimpleType::String), regexp_substr).nulls(Nulls::Always)),
        "regexp_substr(str, regexp) - Returns the first match, NULL where there is none.",
        &[("SELECT regexp_substr('Steven Jones', 'Jo.');", "Jon")],
        "3.4.0",
    ),
    function(
        "regexp_instr",
        &[],
        &["str", "regexp", "idx"],
        Build::Signature(
            Signature::new(TWO, Returns::Is(SimpleType::Integer), regexp_instr)
                .optional(&[Accept::Integer])
                .defaults(&[DefaultArgument::Integer(0)]),
        ),
        "regexp_instr(str, regexp) - Returns where the first match starts, counted from 1; 0 where there is none.",
        &[("SELECT regexp_instr('user@spark', '@');", "5")],
        "3.4.0",
    ),
    function(
        "split",
        &[],
        &["str", "regexp", "limit"],
        Build::Signature(
            Signature::new(TWO, Returns::Of(parts_type), split)
                .optional(&[Accept::Integer])
                .defaults(&[DefaultArgument::Integer(-1)]),
        ),
        "split(str, regexp[, limit]) - Splits `str` around matches of `regexp` into at most `limit` parts.",
        &[("SELECT split('oneAtwoBthreeC', '[ABC]');", "[\"one\",\"two\",\"three\",\"\"]")],
        "1.5.0",
    ),
];
