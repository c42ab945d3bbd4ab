//! Values as elements.
use arrow::array::{Array, ArrayRef, AsArray};
use firesteel_plan::{DataType, Result, SparkError};

use super::super::csv::plain_text;
use super::options::XmlWriteOptions;
use crate::variant::decode::{Kind, Variant};

/// What an element holds so far, for the line breaks: those come around elements, not around text.
#[derive(Clone, Copy, PartialEq)]
enum Content {
    Nothing,
    Text,
    Elements,
}

/// Writes records as elements.
pub struct XmlWriter {
    options: XmlWriteOptions,
}

/// An element being written.
struct Open<'o> {
    out: &'o mut String,
    options: &'o XmlWriteOptions,
    depth: usize,
    content: Content,
    /// Whether the start tag still lacks its `>`
    in_tag: bool,
}

impl XmlWriter {
    pub fn new(options: XmlWriteOptions) -> Self {
        Self { options }
    }

    /// Appends the element of a struct or a variant.
    pub fn write(&self, out: &mut String, data_type: &DataType, array: &ArrayRef, row: usize) -> Result<()> {
        let mut top = Open { out, options: &self.options, depth: 0, content: Content::Nothing, in_tag: false };
        top.element(&self.options.names.row_tag, |open| open.inside(data_type, array, row))?;
        if self.options.indent.is_empty() {
            out.push('\n');
        }
        Ok(())
    }
}

impl Open<'_> {
    fn line(&mut self) {
        if !self.options.indent.is_empty() {
            self.out.push('\n');
            (0..self.depth).for_each(|_| self.out.push_str(&self.options.indent));
        }
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.in_tag) {
            self.out.push('>');
        }
    }

    /// Appends a child element whose inside `write` appends.
    fn element(&mut self, name: &str, write: impl FnOnce(&mut Open<'_>) -> Result<()>) -> Result<()> {
        if !is_name(name) {
            return Err(SparkError::unsupported(format!("`{name}` as the name of an XML element")));
        }
        self.end_tag();
        if self.depth > 0 {
            self.line();
        }
        self.content = Content::Elements;
        self.out.push('<');
        self.out.push_str(name);
        let depth = self.depth + 1;
        let mut child = Open { out: self.out, options: self.options, depth, content: Content::Nothing, in_tag: true };
        write(&mut child)?;
        let (content, in_tag) = (child.content, child.in_tag);
        if in_tag && content == Content::Nothing {
            self.out.push_str("/>");
            return Ok(());
        }
        if content == Content::Elements {
            self.line();
        }
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.end_tag();
        self.content = Content::Text;
        push_escaped(self.out, text, false);
    }

    /// What stands between the tags of a value's element.
    fn inside(&mut self, data_type: &DataType, array: &ArrayRef, row: usize) -> Result<()> {
        match data_type {
            DataType::Struct(schema) => {
                let columns = array.as_struct().columns();
                let names = &self.options.names;
                let is_attribute = |name: &str| name.starts_with(&names.attribute_prefix) && name != names.value_tag;
                for (field, column) in schema.fields.iter().zip(columns).filter(|(f, _)| is_attribute(&f.name)) {
                    let name = &field.name[names.attribute_prefix.len()..];
                    self.attribute(name, &field.data_type, column, row)?;
                }
                for (field, column) in schema.fields.iter().zip(columns).filter(|(f, _)| !is_attribute(&f.name)) {
                    if field.name == names.value_tag {
                        if !column.is_null(row) {
                            let text = self.scalar(&field.data_type, column, row)?;
                            self.text(&text);
                        }
                        continue;
                    }
                    self.child(&field.name, &field.data_type, column, row)?;
                }
                Ok(())
            }
            DataType::Map(key, value, _) => {
                let map = array.as_map();
                for entry in map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize {
                    let name = self.scalar(key, map.keys(), entry)?;
                    self.child(&name, value, map.values(), entry)?;
                }
                Ok(())
            }
            DataType::Variant => {
                let parts = array.as_struct();
                let (value, metadata) = (parts.column(0).as_binary::<i32>(), parts.column(1).as_binary::<i32>());
                self.variant(&Variant::new(value.value(row), metadata.value(row))?)
            }
            _ => {
                let text = self.scalar(data_type, array, row)?;
                self.text(&text);
                Ok(())
            }
        }
    }

    fn attribute(&mut self, name: &str, data_type: &DataType, column: &ArrayRef, row: usize) -> Result<()> {
        let text = if column.is_null(row) || *data_type == DataType::Null {
            self.options.null_value.clone()
        } else {
            Some(self.scalar(data_type, column, row)?)
        };
        if let Some(text) = text {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            push_escaped(self.out, &text, true);
            self.out.push('"');
        }
        Ok(())
    }

    /// A field: one element, or one for each item of an array.
    fn child(&mut self, name: &str, data_type: &DataType, array: &ArrayRef, row: usize) -> Result<()> {
        if array.is_null(row) || *data_type == DataType::Null {
            return match self.options.null_value.clone() {
                Some(null) => self.element(name, |open| {
                    open.text(&null);
                    Ok(())
                }),
                None => Ok(()),
            };
        }
        let DataType::Array(element, _) = data_type else {
            if *data_type == DataType::Variant {
                return self.variant_child(name, array, row);
            }
            return self.element(name, |open| open.inside(data_type, array, row));
        };
        let items = array.as_list::<i32>().value(row);
        for item in 0..items.len() {
            if matches!(element.as_ref(), DataType::Array(..)) && items.is_valid(item) {
                let inner = self.options.names.item.clone();
                self.element(name, |open| open.child(&inner, element, &items, item))?;
            } else {
                self.child(name, element, &items, item)?;
            }
        }
        Ok(())
    }

    fn variant_child(&mut self, name: &str, array: &ArrayRef, row: usize) -> Result<()> {
        let parts = array.as_struct();
        let (value, metadata) = (parts.column(0).as_binary::<i32>(), parts.column(1).as_binary::<i32>());
        self.variant_elements(name, &Variant::new(value.value(row), metadata.value(row))?)
    }

    fn variant_elements(&mut self, name: &str, variant: &Variant<'_>) -> Result<()> {
        match variant.kind()? {
            Kind::Array(items) => {
                for index in 0..items.len() {
                    self.variant_elements(name, &items.get(index)?)?;
                }
                Ok(())
            }
            _ => self.element(name, |open| open.variant(variant)),
        }
    }

    /// What stands between the tags of a variant's element.
    fn variant(&mut self, variant: &Variant<'_>) -> Result<()> {
        match variant.kind()? {
            Kind::Null => Ok(()),
            Kind::Object(fields) => {
                for index in 0..fields.len() {
                    self.variant_elements(fields.key(index)?, &fields.get(index)?)?;
                }
                Ok(())
            }
            Kind::Array(items) => {
                let name = self.options.names.item.clone();
                for index in 0..items.len() {
                    self.variant_elements(&name, &items.get(index)?)?;
                }
                Ok(())
            }
            kind => {
                let mut text = String::new();
                crate::variant::text::push_scalar(&kind, &self.options.times.zone, &mut text);
                self.text(&text);
                Ok(())
            }
        }
    }

    fn scalar(&self, data_type: &DataType, array: &ArrayRef, row: usize) -> Result<String> {
        let mut text = String::new();
        if matches!(
            data_type,
            DataType::DayTimeInterval(..) | DataType::YearMonthInterval(..) | DataType::CalendarInterval
        ) {
            let parameters = [("v", String::new()), ("class", String::new()), ("dt", data_type.sql())];
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_3238", parameters));
        }
        plain_text(&self.options.times, self.options.binary, &mut text, data_type, array, row)?;
        Ok(text)
    }
}

fn push_escaped(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '"' if quotes => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

/// Whether a text can name an element.
fn is_name(text: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || c == '_' || c == ':';
    text.starts_with(starts) && text.chars().all(|c| starts(c) || c.is_numeric() || "-.·".contains(c))
}
