//! The options of reading JSON.
use firesteel_plan::Result;

use super::super::times::{FormatSession, TimeFormats};
use super::super::{FormatOptions, ParseMode, corrupt_column};

/// What deviations from strict JSON are read, and how values are converted.
#[derive(Debug, Clone)]
pub struct JsonOptions {
    pub mode: ParseMode,
    pub corrupt_column: String,
    pub times: TimeFormats,
    pub primitives_as_string: bool,
    pub prefers_decimal: bool,
    pub infer_timestamp: bool,
    pub drop_field_if_all_null: bool,
    pub allow_comments: bool,
    pub allow_unquoted_field_names: bool,
    pub allow_single_quotes: bool,
    pub allow_numeric_leading_zeros: bool,
    pub allow_non_numeric_numbers: bool,
    pub allow_backslash_escaping_any_character: bool,
    pub allow_unquoted_control_chars: bool,
    /// An object or array below a variant or string column is kept as text.
    pub single_variant_column: Option<String>,
}

impl JsonOptions {
    /// `corrupt` is `spark.sql.columnNameOfCorruptRecord`.
    pub fn new(options: &FormatOptions, session: FormatSession<'_>, corrupt: Option<&str>) -> Result<Self> {
        Ok(Self {
            mode: ParseMode::of(options),
            corrupt_column: corrupt_column(options, corrupt),
            times: TimeFormats::new(options, session, true)?,
            primitives_as_string: options.flag("primitivesAsString", false)?,
            prefers_decimal: options.flag("prefersDecimal", false)?,
            infer_timestamp: options.flag("inferTimestamp", false)?,
            drop_field_if_all_null: options.flag("dropFieldIfAllNull", false)?,
            allow_comments: options.flag("allowComments", false)?,
            allow_unquoted_field_names: options.flag("allowUnquotedFieldNames", false)?,
            allow_single_quotes: options.flag("allowSingleQuotes", true)?,
            allow_numeric_leading_zeros: options.flag("allowNumericLeadingZeros", false)?,
            allow_non_numeric_numbers: options.flag("allowNonNumericNumbers", true)?,
            allow_backslash_escaping_any_character: options.flag("allowBackslashEscapingAnyCharacter", false)?,
            allow_unquoted_control_chars: options.flag("allowUnquotedControlChars", false)?,
            single_variant_column: options.get("singleVariantColumn").map(str::to_string),
        })
    }
}
