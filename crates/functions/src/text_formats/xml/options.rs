//! The options of reading and writing XML.
use firesteel_plan::Result;

use super::super::csv::CsvOptions;
use super::super::times::{FormatSession, TimeFormats};
use super::super::{BinaryStyle, FormatOptions, ParseMode};

/// Names that stand for what is not an element.
#[derive(Debug, Clone)]
pub struct Names {
    pub row_tag: String,
    pub attribute_prefix: String,
    pub value_tag: String,
    /// Elements of arrays in arrays
    pub item: String,
}

impl Names {
    fn new(options: &FormatOptions) -> Self {
        let text = |key: &str, default: &str| options.get(key).unwrap_or(default).to_string();
        Self {
            row_tag: text("rowTag", "ROW"),
            attribute_prefix: text("attributePrefix", "_"),
            value_tag: text("valueTag", "_VALUE"),
            item: text("arrayElementName", "item"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct XmlOptions {
    pub names: Names,
    pub mode: ParseMode,
    pub corrupt_column: String,
    /// How numbers, flags and times are spelled: as in CSV
    pub values: CsvOptions,
    pub null_value: Option<String>,
    pub trims: bool,
    pub exclude_attributes: bool,
    pub infer_schema: bool,
    pub prefer_date: bool,
    pub prefers_decimal: bool,
    pub case_sensitive: bool,
    /// The single column that takes the whole record as a variant.
    pub single_variant_column: Option<String>,
}

impl XmlOptions {
    /// `corrupt` is `spark.sql.columnNameOfCorruptRecord`.
    pub fn new(
        options: &FormatOptions,
        session: FormatSession<'_>,
        corrupt: Option<&str>,
        case_sensitive: bool,
    ) -> Result<Self> {
        let values = CsvOptions::new(options, session, corrupt)?;
        Ok(Self {
            names: Names::new(options),
            mode: values.mode,
            corrupt_column: values.corrupt_column.clone(),
            values,
            null_value: options.get("nullValue").map(str::to_string),
            trims: options.flag("ignoreSurroundingSpaces", true)?,
            exclude_attributes: options.flag("excludeAttribute", false)?,
            infer_schema: options.flag("inferSchema", true)?,
            prefer_date: options.flag("preferDate", true)?,
            prefers_decimal: options.flag("prefersDecimal", false)?,
            case_sensitive,
            single_variant_column: options.get("singleVariantColumn").map(str::to_string),
        })
    }

    /// A text as it counts: without the spaces around it, unless they are wanted.
    pub fn trimmed<'t>(&self, text: &'t str) -> &'t str {
        if self.trims { text.trim() } else { text }
    }
}

#[derive(Debug, Clone)]
pub struct XmlWriteOptions {
    pub names: Names,
    pub times: TimeFormats,
    pub binary: BinaryStyle,
    pub null_value: Option<String>,
    pub indent: String,
}

impl XmlWriteOptions {
    pub fn new(options: &FormatOptions, session: FormatSession<'_>, binary: BinaryStyle) -> Result<Self> {
        Ok(Self {
            names: Names::new(options),
            times: TimeFormats::new(options, session, false)?,
            binary,
            null_value: options.get("nullValue").map(str::to_string),
            indent: options.get("indent").unwrap_or("    ").to_string(),
        })
    }
}
