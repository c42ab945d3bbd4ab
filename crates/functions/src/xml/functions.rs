//! `xpath` and its typed siblings.
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int16Array, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType as ArrowType, Field};
use firesteel_plan::{Result, SparkError};

use super::dom::{Document, Kind};
use super::xpath::{Context, Expr, Value};
use crate::registry::{Build, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::types::LIST_ELEMENT;
use crate::view;

/// Evaluates the path of each row; `None` for NULL and for a text without content.
fn evaluate<T>(args: &ScalarArgs<'_>, mut each: impl FnMut(Option<(&Document, Value)>) -> T) -> Result<Vec<T>> {
    let (text, path) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let compile = |path: &str| Expr::parse(path).map_err(|_| failure(format!("Invalid XPath '{path}'")));
    let constant = path.constant().map(compile).transpose()?;
    let mut results = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        let (Some(text), Some(path)) = (text.get(row).filter(|t| !t.is_empty()), path.get(row)) else {
            results.push(each(None));
            continue;
        };
        let fresh;
        let expr = match &constant {
            Some(expr) => expr,
            None => {
                fresh = compile(path)?;
                &fresh
            }
        };
        let failed = || failure(format!("Error loading expression '{path}'"));
        let document = Document::parse(text).ok_or_else(failed)?;
        let value = expr.evaluate(Context::root(&document)).map_err(|_| failed())?;
        results.push(each(Some((&document, value))));
    }
    Ok(results)
}

fn failure(message: String) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_0000", [("message", message)])
}

/// The texts of the nodes found; an element has none of its own.
fn xpath(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Field::new(LIST_ELEMENT, ArrowType::Utf8, true));
    evaluate(args, |found| match found {
        Some((document, Value::Nodes(nodes))) => {
            for node in nodes {
                match document.kind(node) {
                    Kind::Text(text) | Kind::Attribute(_, text) => lists.values().append_value(text),
                    _ => lists.values().append_null(),
                }
            }
            lists.append(true);
        }
        _ => lists.append_null(),
    })?;
    Ok(Arc::new(lists.finish()))
}

fn xpath_boolean(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let results = evaluate(args, |found| found.map(|(_, value)| value.boolean()))?;
    rows::booleans(args.rows, |row| results[row])
}

fn xpath_string(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let results = evaluate(args, |found| found.map(|(document, value)| value.text(document)))?;
    rows::slices(args.rows, |row| results[row].as_deref())
}

fn numbers(args: &ScalarArgs<'_>) -> Result<Vec<Option<f64>>> {
    evaluate(args, |found| found.map(|(document, value)| value.number(document)))
}

fn xpath_double(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(Float64Array::from(numbers(args)?)))
}

fn xpath_float(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(Float32Array::from_iter(numbers(args)?.into_iter().map(|n| n.map(|n| n as f32)))))
}

/// Not a number is 0, and what is too large the largest, as Java converts.
fn xpath_int(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let results = numbers(args)?;
    rows::ints(args.rows, |row| results[row].map(|n| n as i32))
}

fn xpath_long(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let results = numbers(args)?;
    rows::longs(args.rows, |row| results[row].map(|n| n as i64))
}

fn xpath_short(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    Ok(Arc::new(Int16Array::from_iter(numbers(args)?.into_iter().map(|n| n.map(|n| n as i32 as i16)))))
}

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    returns: SimpleType,
    kernel: crate::scalar::Kernel,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    let signature =
        Signature::new(&[Accept::String, Accept::String], Returns::Is(returns), kernel).nulls(Nulls::Always);
    Function {
        name,
        aliases,
        kind: FunctionKind::Scalar,
        group: "xml_funcs",
        parameters: &["xml", "xpath"],
        build: Build::Signature(signature),
        usage,
        examples,
        since: "2.0.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "xpath",
        &[],
        SimpleType::StringArray,
        xpath,
        "xpath(xml, xpath) - Returns the texts of the nodes that an XPath expression finds.",
        &[("SELECT xpath('<a><b>b1</b><b>b2</b></a>','a/b/text()');", "[\"b1\",\"b2\"]")],
    ),
    entry(
        "xpath_boolean",
        &[],
        SimpleType::Boolean,
        xpath_boolean,
        "xpath_boolean(xml, xpath) - Whether an XPath expression is true or finds a node.",
        &[("SELECT xpath_boolean('<a><b>1</b></a>','a/b');", "true")],
    ),
    entry(
        "xpath_string",
        &[],
        SimpleType::String,
        xpath_string,
        "xpath_string(xml, xpath) - Returns the text of the first node that an XPath expression finds.",
        &[("SELECT xpath_string('<a><b>b</b><c>cc</c></a>','a/c');", "cc")],
    ),
    entry(
        "xpath_double",
        &["xpath_number"],
        SimpleType::Double,
        xpath_double,
        "xpath_double(xml, xpath) - Returns the number that an XPath expression gives, NaN where it is none.",
        &[("SELECT xpath_double('<a><b>1</b><b>2</b></a>', 'sum(a/b)');", "3.0")],
    ),
    entry(
        "xpath_float",
        &[],
        SimpleType::Float,
        xpath_float,
        "xpath_float(xml, xpath) - Returns the number that an XPath expression gives, NaN where it is none.",
        &[("SELECT xpath_float('<a><b>1</b><b>2</b></a>', 'sum(a/b)');", "3.0")],
    ),
    entry(
        "xpath_int",
        &[],
        SimpleType::Integer,
        xpath_int,
        "xpath_int(xml, xpath) - Returns the integer that an XPath expression gives, 0 where it is none.",
        &[("SELECT xpath_int('<a><b>1</b><b>2</b></a>', 'sum(a/b)');", "3")],
    ),
    entry(
        "xpath_long",
        &[],
        SimpleType::Long,
        xpath_long,
        "xpath_long(xml, xpath) - Returns the integer that an XPath expression gives, 0 where it is none.",
        &[("SELECT xpath_long('<a><b>1</b><b>2</b></a>', 'sum(a/b)');", "3")],
    ),
    entry(
        "xpath_short",
        &[],
        SimpleType::Short,
        xpath_short,
        "xpath_short(xml, xpath) - Returns the integer that an XPath expression gives, 0 where it is none.",
        &[("SELECT xpath_short('<a><b>1</b><b>2</b></a>', 'sum(a/b)');", "3")],
    ),
];
