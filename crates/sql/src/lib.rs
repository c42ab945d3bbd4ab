//! Spark SQL text → [`firesteel_plan`]: a hand-written lexer and recursive-descent parser of Spark 4.2's grammar.
//!
//! ```text
//!  text ──▶ lexer ──▶ tokens ──▶ Parser ──┬─ statement/  one rule per statement ──▶ Plan::Command(Command::Sql)
//!        (token.rs: kinds and keywords)   ├─ query/      WITH, set operations, SELECT, FROM ──▶ Relation
//!                                         ├─ expression/ operators by precedence, primaries ──▶ Expr
//!                                         ├─ types.rs    data types, column lists ──▶ DataType
//!                                         └─ script      BEGIN … END ──▶ SqlScript
//! ```
//!
//! Operators and special syntax become calls of functions, with `is_internal` set. The names are those that PySpark
//! sends for the same operator over Connect:
//!
//! | SQL | call |
//! |---|---|
//! | `+ - * / % DIV`, unary `-`, unary `+` | `+ - * / % div`, `negative`, `positive` |
//! | `= <=> <> != < <= > >=` | `== <=> != != < <= > >=` |
//! | `AND OR NOT` | `and or not` |
//! | `& \| ^ ~ << >> >>>` | `& \| ^ ~ << >> >>>` |
//! | <code>a \|\| b</code> | `concat` |
//! | `IS [NOT] NULL` | `isNull`, `isNotNull` |
//! | `IS [NOT] TRUE`, `IS [NOT] UNKNOWN` | `<=>` with a boolean; `isunknown`, `isnotunknown` |
//! | `IS DISTINCT FROM` | `not` of `<=>` |
//! | `BETWEEN`, `IN (…)`, `LIKE`, `ILIKE`, `RLIKE`; with NOT | `between`, `in`, `like`, `ilike`, `rlike`; in `not` |
//! | `LIKE ANY ('a', …)`, `NOT LIKE ALL ('a', …)` | `likeany`, `likeall`, `notlikeany`, `notlikeall` |
//! | `CASE WHEN`, `CASE x WHEN` | `when`; with `==` for each branch |
//! | `(a, b)`, `STRUCT(a AS x)` | `struct` (internal), `struct` |
//! | `EXTRACT(f FROM x)`, `POSITION(a IN b)` | `extract`, `locate` |
//! | `SUBSTRING(a FROM b FOR c)`, `OVERLAY(…)` | `substring`, `overlay` |
//! | `TRIM(BOTH a FROM b)` and LEADING, TRAILING | `trim`, `ltrim`, `rtrim` of (characters, text) |
//! | `TIMESTAMPADD(u, …)`, `TIMESTAMPDIFF(u, …)` and their synonyms | `timestampadd`, `timestampdiff` |
//! | `a COLLATE c`, `a:b.c` | `collate`, `variant_get` with the path as a string, as an internal call |
//!
//! Every expression and relation carries the place that it was written at ([`firesteel_plan::Origin`]), and every error
//! the place that it is about.
//!
//! ```
//! use firesteel_sql::{ParseOptions, parse_statement};
//! use firesteel_plan::Plan;
//! let plan = parse_statement("SELECT a + 1 FROM t WHERE b > 2", &ParseOptions::default())?;
//! assert!(matches!(plan, Plan::Query(_)));
//! # Ok::<(), firesteel_plan::SparkError>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
use firesteel_plan::{DataType, Expr, Plan, Relation, Result, SortOrder, SparkError, StructType};

mod datetime;
mod expression;
mod interval_text;
mod lexer;
mod names;
mod options;
mod parser;
mod query;
mod split;
mod statement;
mod strings;
mod token;
mod types;

pub use interval_text::{CalendarInterval, IntervalError, parse_interval_text};
pub use options::ParseOptions;
pub use split::{ScriptStatement, parse_script, split_statements};
pub use token::keywords;
pub use types::collation_of;

use parser::Parser;
use token::Kind;

/// One statement or query, or one script (`BEGIN … END`); semicolons at the end are accepted.
pub fn parse_statement(text: &str, options: &ParseOptions) -> Result<Plan> {
    let parser = Parser::new(text, options)?;
    if parser.at(Kind::EndOfInput) {
        return Err(SparkError::of("PARSE_EMPTY_STATEMENT"));
    }
    parser.parse_all(Parser::single_statement)
}

/// The kinds of parameters that a text has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterMarkers {
    /// `?`
    pub positional: bool,
    /// `:name`
    pub named: bool,
}

/// Looks for parameters, by the words alone: a colon after a value takes a path out of it.
pub fn parameter_markers(text: &str, options: &ParseOptions) -> Result<ParameterMarkers> {
    let tokens = lexer::tokenize(text, options)?;
    let ends_value = |kind| {
        use Kind::{BackquotedIdentifier, Identifier, RightBracket, RightParen, StringLiteral};
        matches!(kind, BackquotedIdentifier | Identifier | RightBracket | RightParen | StringLiteral)
    };
    let is_named = |pair: &[token::Token]| pair[1].kind == Kind::Colon && !ends_value(pair[0].kind);
    Ok(ParameterMarkers {
        positional: tokens.iter().any(|token| token.kind == Kind::Question),
        named: tokens.windows(2).any(is_named),
    })
}

/// A query and nothing else: the body of a view or of a SQL function.
pub fn parse_query(text: &str, options: &ParseOptions) -> Result<Relation> {
    Parser::new(text, options)?.parse_all(Parser::query)
}

/// An expression, perhaps with an alias.
pub fn parse_expression(text: &str, options: &ParseOptions) -> Result<Expr> {
    Parser::new(text, options)?.parse_all(Parser::named_expression)
}

/// A select list: expressions with aliases, separated by commas.
pub fn parse_named_expressions(text: &str, options: &ParseOptions) -> Result<Vec<Expr>> {
    Parser::new(text, options)?.parse_all(Parser::named_expressions)
}

/// What ORDER BY takes.
pub fn parse_sort_orders(text: &str, options: &ParseOptions) -> Result<Vec<SortOrder>> {
    Parser::new(text, options)?.parse_all(|p| p.comma_list(Parser::sort_item))
}

/// A data type in DDL syntax, such as `struct<a: int, b: array<string>>`.
pub fn parse_data_type(text: &str, options: &ParseOptions) -> Result<DataType> {
    Parser::new(text, options)?.parse_all(Parser::data_type)
}

/// A schema: `a INT, b STRING`, a struct type, or Spark's JSON.
pub fn parse_table_schema(text: &str, options: &ParseOptions) -> Result<StructType> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(StructType::default());
    }
    if trimmed.starts_with(['{', '"']) {
        return struct_of(DataType::from_json(trimmed)?);
    }
    let columns = Parser::new(text, options)?.parse_all(Parser::table_schema);
    match columns {
        Ok(schema) => Ok(schema),
        Err(error) => match parse_data_type(text, options) {
            Ok(data_type) => struct_of(data_type),
            Err(_) => Err(error),
        },
    }
}

fn struct_of(data_type: DataType) -> Result<StructType> {
    match data_type {
        DataType::Struct(fields) => Ok(fields),
        other => Err(SparkError::new(
            "INVALID_SCHEMA.NON_STRUCT_TYPE",
            [("inputSchema", format!("\"{}\"", other.sql())), ("dataType", format!("\"{}\"", other.sql()))],
        )),
    }
}

/// `` a.`b c`.d `` in its parts, by the rules of SQL identifiers.
pub fn parse_multipart_identifier(text: &str, options: &ParseOptions) -> Result<Vec<String>> {
    let parser = Parser::new(text, options)?;
    if parser.at(Kind::EndOfInput) {
        return Err(SparkError::of("PARSE_EMPTY_STATEMENT"));
    }
    parser.parse_all(Parser::multipart_name)
}
