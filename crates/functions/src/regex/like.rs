//! LIKE and ILIKE: `%` any characters, `_` one character, an escape character before either or itself.
use arrow::array::{Array, ArrayRef};
use firesteel_plan::{DataType, Result, SparkError};
use memchr::memmem::Finder;

use crate::cast::{CastMode, cast};
use crate::collation::Collator;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;
use crate::view;

/// A parsed pattern.
#[derive(Debug)]
enum Pattern {
    Equals(String),
    /// Texts with `%` between them: one at the start, some in this order, one at the end
    Pieces {
        start: String,
        inner: Vec<Finder<'static>>,
        end: String,
    },
    General(Vec<Token>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    Char(char),
    One,
    Many,
}

fn tokens(pattern: &str, escape: char) -> Result<Vec<Token>> {
    let mut tokens = vec![];
    let mut chars = pattern.chars();
    let invalid = |kind: &str, c: Option<char>| {
        let mut parameters = vec![("format", format!("'{pattern}'"))];
        parameters.extend(c.map(|c| ("char", format!("'{c}'"))));
        SparkError::new(format!("INVALID_FORMAT.{kind}"), parameters)
    };
    while let Some(c) = chars.next() {
        if c == escape {
            match chars.next() {
                Some(next) if next == '_' || next == '%' || next == escape => tokens.push(Token::Char(next)),
                Some(next) => return Err(invalid("ESC_IN_THE_MIDDLE", Some(next))),
                None => return Err(invalid("ESC_AT_THE_END", None)),
            }
            continue;
        }
        match c {
            '%' if tokens.last() == Some(&Token::Many) => {}
            '%' => tokens.push(Token::Many),
            '_' => tokens.push(Token::One),
            _ => tokens.push(Token::Char(c)),
        }
    }
    Ok(tokens)
}

impl Pattern {
    fn parse(pattern: &str, escape: char) -> Result<Self> {
        let tokens = tokens(pattern, escape)?;
        if tokens.contains(&Token::One) {
            return Ok(Self::General(tokens));
        }
        let text = |piece: &[Token]| -> String {
            piece.iter().filter_map(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect()
        };
        let mut pieces: Vec<String> = tokens.split(|t| *t == Token::Many).map(text).collect();
        let end = pieces.pop().unwrap_or_default();
        if pieces.is_empty() {
            return Ok(Self::Equals(end));
        }
        let start = pieces.remove(0);
        let inner = pieces.iter().map(|piece| Finder::new(piece).into_owned()).collect();
        Ok(Self::Pieces { start, inner, end })
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equals(pattern) => text == pattern,
            Self::Pieces { start, inner, end } => pieces(text.as_bytes(), start.as_bytes(), inner, end.as_bytes()),
            Self::General(tokens) => general(tokens, text),
        }
    }
}

/// The first place of every piece leaves most to the others.
fn pieces(text: &[u8], start: &[u8], inner: &[Finder<'_>], end: &[u8]) -> bool {
    let Some(mut rest) = text.strip_prefix(start).and_then(|rest| rest.strip_suffix(end)) else { return false };
    for finder in inner {
        let Some(at) = finder.find(rest) else { return false };
        rest = &rest[at + finder.needle().len()..];
    }
    true
}

/// Goes on greedily and comes back to the last `%` where it fails.
fn general(tokens: &[Token], text: &str) -> bool {
    let (mut token, mut rest) = (0, text.chars());
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let mut ahead = rest.clone();
        match (tokens.get(token), ahead.next()) {
            (Some(Token::Many), _) => {
                token += 1;
                retry = Some((token, rest.clone()));
                if token == tokens.len() {
                    return true;
                }
            }
            (Some(Token::One), Some(_)) => (token, rest) = (token + 1, ahead),
            (Some(Token::Char(wanted)), Some(c)) if *wanted == c => (token, rest) = (token + 1, ahead),
            (None, None) => return true,
            _ => {
                let Some((after, from)) = &mut retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                (token, rest) = (*after, from.clone());
            }
        }
    }
}

/// What a pattern and a text are turned into before they are compared.
fn prepare(text: &str, lower: bool) -> std::borrow::Cow<'_, str> {
    if lower { text.to_lowercase().into() } else { text.into() }
}

/// `options`: the escape character, and `lower` for ILIKE.
fn like(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, pattern) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let escape = args.option(0).chars().next().unwrap_or('\\');
    // UTF8_LCASE compares in lower case.
    let lower = args.option(1) == "lower" || !Collator::of_all(args.arg_types).is_binary();
    if let Some(constant) = pattern.constant() {
        let constant = Pattern::parse(&prepare(constant, lower), escape)?;
        if !lower {
            return rows::booleans(args.rows, |row| Some(constant.matches(text.get(row)?)));
        }
        return rows::booleans(args.rows, |row| Some(constant.matches(&prepare(text.get(row)?, lower))));
    }
    rows::try_booleans(args.rows, |row| {
        let (Some(text), Some(pattern)) = (text.get(row), pattern.get(row)) else { return Ok(None) };
        let pattern = Pattern::parse(&prepare(pattern, lower), escape)?;
        Ok(Some(pattern.matches(&prepare(text, lower))))
    })
}

/// `options`: `any` or `all`, and `not`. A NULL among the patterns makes what is not decided NULL.
fn like_many(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let text = view::strings(args, 0)?;
    let (any, negated) = (args.option(0) == "any", args.option(1) == "not");
    let mut patterns = vec![];
    for i in 1..args.values.len() {
        let pattern = view::strings(args, i)?;
        let first = if pattern.array.is_empty() { None } else { pattern.get(0) };
        patterns.push(first.map(|p| Pattern::parse(p, '\\')).transpose()?);
    }
    let has_null = patterns.iter().any(Option::is_none);
    rows::booleans(args.rows, |row| {
        let text = text.get(row)?;
        let mut results = patterns.iter().flatten().map(|p| p.matches(text) != negated);
        let decided = if any { results.any(|r| r) } else { !results.all(|r| r) };
        match (decided, has_null) {
            (true, _) => Some(any),
            (false, true) => None,
            (false, false) => Some(!any),
        }
    })
}

fn escape_character(context: &BuildContext<'_>, escape: Option<&TypedExpr>) -> Result<char> {
    let Some(escape) = escape else { return Ok('\\') };
    let mut chars = escape.as_string_literal().unwrap_or_default().chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(c),
        _ => {
            let error = SparkError::new("INVALID_ESCAPE_CHAR", [("sqlExpr", format!("\"{}\"", escape.sql))]);
            Err(error.with_origin(context.origin.as_ref()))
        }
    }
}

fn build_like(context: &BuildContext<'_>, arguments: Arguments<'_>, lower: bool) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let escape = escape_character(context, arguments.values.get(2))?;
    let mut values = arguments.values.into_iter().take(2);
    let (Some(text), Some(pattern)) = (values.next(), values.next()) else {
        return Err(SparkError::internal("LIKE without two sides"));
    };
    let sql = match (lower, escape) {
        (true, _) => format!("ilike({}, {})", text.sql, pattern.sql),
        (false, '\\') => format!("{} LIKE {}", text.sql, pattern.sql),
        (false, _) => format!("{} LIKE {} ESCAPE '{escape}'", text.sql, pattern.sql),
    };
    let (text, pattern) = (as_text(text, context)?, as_text(pattern, context)?);
    let nullable = text.nullable || pattern.nullable;
    let options = vec![escape.to_string(), if lower { "lower" } else { "" }.to_string()];
    let name = if lower { "ilike" } else { "like" };
    let call = SparkScalar::call(name, like, vec![text, pattern], DataType::Boolean, nullable, context.eval);
    Ok(Built::Expr(call.options(options).origin(context.origin.clone()).build().with_sql(sql)))
}

/// Strings keep their collation.
fn as_text(value: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    if value.data_type.is_string() {
        return Ok(value);
    }
    cast(value, &DataType::STRING, CastMode::of(context.eval), context.eval)
}

fn build_many(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    name: &'static str,
    options: [&str; 2],
) -> Result<Built> {
    arguments.expect(context.called_as, 1, usize::MAX)?;
    let sql = format!("{name}({})", arguments.values.first().map_or("", |a| a.sql.as_str()));
    let values: Vec<_> = arguments.values.into_iter().map(|v| as_text(v, context)).collect::<Result<_>>()?;
    let nullable = values.iter().any(|v| v.nullable);
    let call = SparkScalar::call(name, like_many, values, DataType::Boolean, nullable, context.eval);
    let options = options.iter().map(|o| o.to_string()).collect();
    Ok(Built::Expr(call.options(options).origin(context.origin.clone()).build().with_sql(sql)))
}

const fn entry(
    name: &'static str,
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "predicate_funcs",
        parameters: &[],
        build: Build::Custom(build),
        usage,
        examples,
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "like",
        |context, arguments| build_like(context, arguments, false),
        "str like pattern[ ESCAPE escape] - Whether `str` matches a pattern of `%` (any characters) and `_` (one).",
        &[("SELECT like('Spark', '_park');", "true")],
        "1.0.0",
    ),
    entry(
        "ilike",
        |context, arguments| build_like(context, arguments, true),
        "str ilike pattern[ ESCAPE escape] - As `like`, without regard to case.",
        &[("SELECT ilike('Spark', '_PARK');", "true")],
        "3.3.0",
    ),
];

/// `LIKE ANY ('a', …)` and its siblings: syntax without a name that SQL can call.
pub static INTERNAL: &[Function] = &[
    entry(
        "likeany",
        |context, arguments| build_many(context, arguments, "likeany", ["any", ""]),
        "str LIKE ANY (pattern, ...) - Whether `str` matches one of the patterns.",
        &[],
        "3.0.0",
    ),
    entry(
        "likeall",
        |context, arguments| build_many(context, arguments, "likeall", ["all", ""]),
        "str LIKE ALL (pattern, ...) - Whether `str` matches all of the patterns.",
        &[],
        "3.0.0",
    ),
    entry(
        "notlikeany",
        |context, arguments| build_many(context, arguments, "notlikeany", ["any", "not"]),
        "str NOT LIKE ANY (pattern, ...) - Whether `str` fails to match one of the patterns.",
        &[],
        "3.0.0",
    ),
    entry(
        "notlikeall",
        |context, arguments| build_many(context, arguments, "notlikeall", ["all", "not"]),
        "str NOT LIKE ALL (pattern, ...) - Whether `str` matches none of the patterns.",
        &[],
        "3.0.0",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let matches = |pattern: &str, text: &str| Pattern::parse(pattern, '\\').unwrap().matches(text);
        assert!(matches("%b", "ab") && matches("a%", "ab") && matches("%", "") && matches("_é%", "xéy\nz"));
        assert!(!matches("_", "") && !matches("a_b", "ab") && matches("%a%b%", "xaybz") && !matches("%a%b", "abx"));
        assert!(matches("\\%", "%") && !matches("\\%", "a"));
        assert!(Pattern::parse("a\\", '\\').is_err() && Pattern::parse("\\a", '\\').is_err());
        assert!(
            matches("a%a", "aa") && !matches("a%a", "a") && matches("%ab%bc%", "abbc") && !matches("%ab%bc%", "abc")
        );
        assert!(matches("x%é%z", "xyéyz") && matches("", "") && matches("%%ab%%", "cabd"));
    }
}
