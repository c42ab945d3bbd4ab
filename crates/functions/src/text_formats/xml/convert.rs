//! Elements into columns, by the rules of Spark's XML reader.
use firesteel_plan::{Result, StructField, StructType};

use super::super::column::{Column, ListColumn, MapColumn, StructColumn};
use super::super::csv::append_scalar;
use super::options::XmlOptions;
use super::variant;
use crate::xml::dom::{Document, Kind, NodeId};

/// Reads elements into the columns of a schema.
pub struct XmlReader {
    options: XmlOptions,
    row: StructColumn,
}

impl XmlReader {
    /// `schema` are the columns to read, without that of corrupt records.
    pub fn new(schema: &StructType, options: XmlOptions) -> Result<Self> {
        Ok(Self { options, row: StructColumn::new(schema)? })
    }

    pub fn columns(&mut self) -> &mut [Column] {
        &mut self.row.children
    }

    /// Appends a row of the first element of a text. False: something did not fit and is null.
    pub fn read(&mut self, text: &str) -> bool {
        let document = Document::first(text);
        match document.as_ref().and_then(|d| Some((d, d.root()?))) {
            Some((document, root)) => append_fields(&self.options, document, root, &mut self.row),
            None => {
                self.append_nulls();
                false
            }
        }
    }

    /// Appends a row of nulls.
    pub fn append_nulls(&mut self) {
        self.row.children.iter_mut().for_each(Column::append_null);
    }
}

/// The attributes of an element that are data: what declares namespaces is not.
pub(super) fn attributes<'d>(
    document: &'d Document,
    node: NodeId,
    options: &'d XmlOptions,
) -> impl Iterator<Item = (String, &'d str)> {
    let all = if options.exclude_attributes { &[][..] } else { document.attributes(node) };
    all.iter().filter_map(|attribute| match document.kind(*attribute) {
        Kind::Attribute(name, _) if name == "xmlns" || name.starts_with("xmlns:") => None,
        Kind::Attribute(name, value) => Some((format!("{}{name}", options.names.attribute_prefix), value.as_str())),
        _ => None,
    })
}

/// The elements in an element.
pub(super) fn elements(document: &Document, node: NodeId) -> impl Iterator<Item = NodeId> {
    document.children(node).iter().copied().filter(|child| matches!(document.kind(*child), Kind::Element(_)))
}

/// The texts directly in an element that are not blank.
pub(super) fn texts(document: &Document, node: NodeId) -> impl Iterator<Item = &str> {
    document.children(node).iter().filter_map(|child| match document.kind(*child) {
        Kind::Text(text) if !text.trim().is_empty() => Some(text.as_str()),
        _ => None,
    })
}

/// Appends the fields of a struct, without its end.
fn append_fields(options: &XmlOptions, document: &Document, node: NodeId, row: &mut StructColumn) -> bool {
    let same = |a: &str, b: &str| if options.case_sensitive { a == b } else { a.eq_ignore_ascii_case(b) };
    let mut whole = true;
    for (field, column) in row.fields.iter().zip(&mut row.children) {
        let children: Vec<NodeId> =
            elements(document, node).filter(|child| same(document.name(*child), &field.name)).collect();
        whole &= match (children.as_slice(), column) {
            ([], column) => append_value(options, document, node, field, column),
            (nodes, Column::List(list)) => append_list(options, document, nodes, list),
            // The last of several stays.
            ([.., last], column) => append(options, document, *last, column),
        };
    }
    whole
}

/// A field that no element gives: an attribute, or the text of the element.
fn append_value(
    options: &XmlOptions,
    document: &Document,
    node: NodeId,
    field: &StructField,
    column: &mut Column,
) -> bool {
    let attribute = attributes(document, node, options).find(|(name, _)| *name == field.name);
    let text = match attribute {
        Some((_, value)) => Some(value),
        None if field.name == options.names.value_tag => texts(document, node).last(),
        None => None,
    };
    match (text, column) {
        (None, column) => {
            column.append_null();
            true
        }
        (Some(text), Column::List(list)) => {
            let fits = append_text(options, text, &mut list.elements);
            list.end(true);
            fits
        }
        (Some(text), column) => append_text(options, text, column),
    }
}

fn append_list(options: &XmlOptions, document: &Document, nodes: &[NodeId], list: &mut ListColumn) -> bool {
    let mut whole = true;
    for node in nodes {
        whole &= append(options, document, *node, &mut list.elements);
    }
    list.end(true);
    whole
}

/// Appends an element's value.
fn append(options: &XmlOptions, document: &Document, node: NodeId, column: &mut Column) -> bool {
    match column {
        Column::Struct(row) => {
            let whole = append_fields(options, document, node, row);
            row.end_valid();
            whole
        }
        Column::List(list) => {
            let items: Vec<NodeId> = elements(document, node).collect();
            append_list(options, document, &items, list)
        }
        Column::Map(map) => append_map(options, document, node, map),
        Column::Variant { value, metadata, nulls } => match variant::encode(options, document, node) {
            Some((bytes, names)) => {
                value.append_value(bytes);
                metadata.append_value(names);
                nulls.append_non_null();
                true
            }
            None => {
                column.append_null();
                false
            }
        },
        Column::String(_) if elements(document, node).next().is_some() => {
            let mut inner = String::new();
            document.children(node).iter().for_each(|child| document.push_source(*child, &mut inner));
            append_text(options, &inner, column)
        }
        Column::String(_) => append_text(options, &document.string(node), column),
        _ if elements(document, node).next().is_some() => {
            column.append_null();
            false
        }
        _ => {
            let text = document.string(node);
            if text.trim().is_empty() {
                column.append_null();
                return true;
            }
            append_text(options, &text, column)
        }
    }
}

fn append_map(options: &XmlOptions, document: &Document, node: NodeId, map: &mut MapColumn) -> bool {
    let mut whole = true;
    for (name, value) in attributes(document, node, options) {
        whole &= append_text(options, &name, &mut map.keys);
        whole &= append_text(options, value, &mut map.values);
    }
    for child in elements(document, node) {
        whole &= append_text(options, document.name(child), &mut map.keys);
        whole &= append(options, document, child, &mut map.values);
    }
    map.end(true);
    whole
}

/// Appends what a text spells.
fn append_text(options: &XmlOptions, text: &str, column: &mut Column) -> bool {
    let text = options.trimmed(text);
    if options.null_value.as_deref() == Some(text) {
        column.append_null();
        return true;
    }
    let flag = match text {
        "1" => "true",
        "0" => "false",
        other => other,
    };
    let text = if matches!(column, Column::Boolean(_)) { flag } else { text };
    if append_scalar(text, column, &options.values) {
        return true;
    }
    column.append_null();
    false
}
