//! Properties, options, row formats: `('key' = 'value', …)`.
use firesteel_plan::relation::Options;
use firesteel_plan::statement::HiveFormat;
use firesteel_plan::{Expr, Result};

use crate::parser::Parser;
use crate::token::Kind;

/// Words before TERMINATED BY, in their order, and Hive's key for each.
static DELIMITERS: &[(&[Kind], &str)] = &[
    (&[Kind::FIELDS], "field.delim"),
    (&[Kind::COLLECTION, Kind::ITEMS], "collection.delim"),
    (&[Kind::MAP, Kind::KEYS], "mapkey.delim"),
    (&[Kind::LINES], "line.delim"),
];

impl Parser<'_> {
    /// `(key = value, …)`; a key without a value is an error of the statement, so it has an empty value here.
    pub(crate) fn property_list(&mut self) -> Result<Options> {
        let start = self.position();
        let pairs = self.paren_list(Self::property)?;
        let mut options = Options::new();
        for (key, value) in pairs {
            if options.insert(key.clone(), value.unwrap_or_default()).is_some() {
                return Err(self.error_from(start, "DUPLICATE_KEY", [("keyColumn", format!("`{key}`"))]));
            }
        }
        Ok(options)
    }

    /// Properties that must have values.
    pub(crate) fn property_values(&mut self) -> Result<Options> {
        let start = self.position();
        let mut missing = vec![];
        let pairs = self.paren_list(|p| {
            let (key, value) = p.property()?;
            if value.is_none() {
                missing.push(key.clone());
            }
            Ok((key, value.unwrap_or_default()))
        })?;
        if !missing.is_empty() {
            let message = format!("Values must be specified for key(s): [{}]", missing.join(","));
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
        }
        let mut options = Options::new();
        for (key, value) in pairs {
            if options.insert(key.clone(), value).is_some() {
                return Err(self.error_from(start, "DUPLICATE_KEY", [("keyColumn", format!("`{key}`"))]));
            }
        }
        Ok(options)
    }

    /// Keys only, as UNSET takes them.
    pub(crate) fn property_keys(&mut self) -> Result<Vec<String>> {
        let start = self.position();
        let mut with_value = vec![];
        let keys = self.paren_list(|p| {
            let (key, value) = p.property()?;
            if value.is_some() {
                with_value.push(key.clone());
            }
            Ok(key)
        })?;
        if !with_value.is_empty() {
            let message = format!("Values should not be specified for key(s): [{}]", with_value.join(","));
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
        }
        Ok(keys)
    }

    fn property(&mut self) -> Result<(String, Option<String>)> {
        let key = self.property_key()?;
        let has_value = self.eat(Kind::Equal) || !matches!(self.kind(), Kind::Comma | Kind::RightParen);
        let value = if has_value { Some(self.property_value()?) } else { None };
        Ok((key, value))
    }

    /// `a.b.c` or a string
    pub(crate) fn property_key(&mut self) -> Result<String> {
        if self.at_string() {
            return self.one_string();
        }
        Ok(self.comma_free_parts()?.join("."))
    }

    fn comma_free_parts(&mut self) -> Result<Vec<String>> {
        let mut parts = vec![self.name()?];
        while self.eat(Kind::Dot) {
            parts.push(self.name()?);
        }
        Ok(parts)
    }

    fn property_value(&mut self) -> Result<String> {
        match self.kind() {
            Kind::IntegerValue | Kind::DecimalValue => {
                let token = self.advance();
                Ok(self.token_text(token).to_string())
            }
            Kind::TRUE | Kind::FALSE => {
                let token = self.advance();
                Ok(self.token_text(token).to_lowercase())
            }
            _ => self.string_literal(),
        }
    }

    /// OPTIONS of CREATE TABLE: values are constant expressions.
    pub(crate) fn expression_properties(&mut self) -> Result<Vec<(String, Expr)>> {
        let start = self.position();
        let pairs = self.paren_list(|p| {
            let key = p.property_key()?;
            let has_value = p.eat(Kind::Equal) || !matches!(p.kind(), Kind::Comma | Kind::RightParen);
            let value = if has_value { Some(p.expression()?) } else { None };
            Ok((key, value))
        })?;
        let missing: Vec<_> = pairs.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.as_str()).collect();
        if !missing.is_empty() {
            let message = format!("Values must be specified for key(s): [{}]", missing.join(","));
            return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0035", [("message", message)]));
        }
        Ok(pairs.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect())
    }

    /// `ROW FORMAT SERDE …` or `ROW FORMAT DELIMITED …`
    pub(crate) fn optional_row_format(&mut self) -> Result<Option<HiveFormat>> {
        if !self.eat_sequence(&[Kind::ROW, Kind::FORMAT]) {
            return Ok(None);
        }
        if self.eat(Kind::SERDE) {
            let serde = Some(self.string_literal()?);
            let has_properties = self.eat_sequence(&[Kind::WITH, Kind::SERDEPROPERTIES]);
            let serde_properties = if has_properties { self.property_values()? } else { Options::new() };
            return Ok(Some(HiveFormat { serde, serde_properties, ..HiveFormat::default() }));
        }
        self.expect(Kind::DELIMITED)?;
        let start = self.position();
        let mut row_format = Options::new();
        for (words, key) in DELIMITERS {
            if !self.eat_sequence(words) {
                continue;
            }
            self.expect_sequence(&[Kind::TERMINATED, Kind::BY])?;
            let delimiter = self.string_literal()?;
            if *key == "line.delim" && delimiter != "\n" {
                let message = format!("LINES TERMINATED BY only supports newline '\\n' right now: {delimiter}");
                return Err(self.error_from(start, "_LEGACY_ERROR_TEMP_0064", [("msg", message)]));
            }
            row_format.insert((*key).to_string(), delimiter);
            if *key == "field.delim" && self.eat_sequence(&[Kind::ESCAPED, Kind::BY]) {
                row_format.insert("escape.delim".to_string(), self.string_literal()?);
            }
        }
        if self.eat_sequence(&[Kind::NULL, Kind::DEFINED, Kind::AS]) {
            row_format.insert("serialization.null.format".to_string(), self.string_literal()?);
        }
        Ok(Some(HiveFormat { row_format, ..HiveFormat::default() }))
    }
}
