//! The options of reading CSV.
use firesteel_plan::{Result, SparkError};

use super::super::times::{FormatSession, TimeFormats};
use super::super::{FormatOptions, ParseMode, character, corrupt_column};

/// What to do with a quote in the middle of a quoted value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnescapedQuotes {
    /// It belongs to the value, which goes on to its closing quote.
    StopAtClosingQuote,
    /// As above, without the quote itself.
    BackToDelimiter,
    /// The value was not quoted after all: it ends at the delimiter, quotes included.
    StopAtDelimiter,
    /// The value is null.
    SkipValue,
    RaiseError,
}

#[derive(Debug, Clone)]
pub struct CsvOptions {
    pub mode: ParseMode,
    pub corrupt_column: String,
    pub times: TimeFormats,
    pub delimiter: String,
    pub quote: Option<char>,
    pub escape: Option<char>,
    pub escape_escape: Option<char>,
    pub comment: Option<char>,
    pub header: bool,
    pub multi_line: bool,
    pub infer_schema: bool,
    pub prefer_date: bool,
    pub enforce_schema: bool,
    pub ignore_leading_white_space: bool,
    pub ignore_trailing_white_space: bool,
    pub null_value: String,
    pub empty_value: String,
    pub nan_value: String,
    pub positive_inf: String,
    pub negative_inf: String,
    pub max_columns: usize,
    pub max_chars_per_column: Option<usize>,
    pub unescaped_quotes: UnescapedQuotes,
    pub column_pruning: bool,
    /// The single column that takes each line as a variant.
    pub single_variant_column: Option<String>,
}

const DEFAULT_MAX_COLUMNS: usize = 20_480;

impl CsvOptions {
    /// `corrupt` is `spark.sql.columnNameOfCorruptRecord`.
    pub fn new(options: &FormatOptions, session: FormatSession<'_>, corrupt: Option<&str>) -> Result<Self> {
        let text = |key: &str, default: &str| options.get(key).unwrap_or(default).to_string();
        let quote = character(options, "quote", Some('"'))?;
        let escape = character(options, "escape", Some('\\'))?;
        let default_escape_escape = if escape == quote { None } else { escape };
        let count = |key: &str| options.integer(key).map(|n| n.and_then(|n| usize::try_from(n).ok()));
        Ok(Self {
            mode: ParseMode::of(options),
            corrupt_column: corrupt_column(options, corrupt),
            times: TimeFormats::new(options, session, true)?,
            delimiter: delimiter(options.any(&["sep", "delimiter"]).unwrap_or(","))?,
            quote,
            escape,
            escape_escape: character(options, "charToEscapeQuoteEscaping", default_escape_escape)?,
            comment: character(options, "comment", None)?,
            header: options.flag("header", false)?,
            multi_line: options.flag("multiLine", false)?,
            infer_schema: options.flag("inferSchema", false)?,
            prefer_date: options.flag("preferDate", true)?,
            enforce_schema: options.flag("enforceSchema", true)?,
            ignore_leading_white_space: options.flag("ignoreLeadingWhiteSpace", false)?,
            ignore_trailing_white_space: options.flag("ignoreTrailingWhiteSpace", false)?,
            null_value: text("nullValue", ""),
            empty_value: text("emptyValue", ""),
            nan_value: text("nanValue", "NaN"),
            positive_inf: text("positiveInf", "Inf"),
            negative_inf: text("negativeInf", "-Inf"),
            max_columns: count("maxColumns")?.unwrap_or(DEFAULT_MAX_COLUMNS),
            max_chars_per_column: count("maxCharsPerColumn")?,
            unescaped_quotes: unescaped_quotes(options.get("unescapedQuoteHandling").unwrap_or("STOP_AT_DELIMITER")),
            column_pruning: options.flag("columnPruning", true)?,
            single_variant_column: options.get("singleVariantColumn").map(str::to_string),
        })
    }
}

fn unescaped_quotes(name: &str) -> UnescapedQuotes {
    match name.to_ascii_uppercase().as_str() {
        "STOP_AT_CLOSING_QUOTE" => UnescapedQuotes::StopAtClosingQuote,
        "BACK_TO_DELIMITER" => UnescapedQuotes::BackToDelimiter,
        "SKIP_VALUE" => UnescapedQuotes::SkipValue,
        "RAISE_ERROR" => UnescapedQuotes::RaiseError,
        _ => UnescapedQuotes::StopAtDelimiter,
    }
}

/// The delimiter, with Spark's escapes: `\t`, `\\`, `\u0001`, … .
pub(super) fn delimiter(text: &str) -> Result<String> {
    let invalid = |kind: &str| SparkError::new(format!("INVALID_DELIMITER_VALUE.{kind}"), [("str", text)]);
    if text.is_empty() {
        return Err(invalid("EMPTY_STRING"));
    }
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            None => return Err(invalid("SINGLE_BACKSLASH")),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some(c @ ('"' | '\'' | '\\')) => out.push(c),
            Some('0') => out.push('\0'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                out.push(code.ok_or_else(|| invalid("UNSUPPORTED_SPECIAL_CHARACTER"))?);
            }
            Some(_) => return Err(invalid("UNSUPPORTED_SPECIAL_CHARACTER")),
        }
    }
    Ok(out)
}
