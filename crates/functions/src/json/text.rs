//! Functions that look into JSON text: `get_json_object`, `json_tuple`, `json_array_length`, `json_object_keys`.
use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType as ArrowType, Field};
use firesteel_plan::{DataType, Result, SparkError, StructField};

use super::path::{Step, parse};
use super::value::{Json, Parser};
use crate::datum::Datum;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, Generator};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::text_formats::Column;
use crate::types::LIST_ELEMENT;
use crate::view;

fn get_json_object(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, path) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let mut parser = Parser::new()?;
    let constant: Option<Option<Vec<Step>>> = path.constant().map(parse);
    rows::text(args.rows, |row, out| {
        let (text, path) = (text.get(row)?, path.get(row)?);
        let fresh;
        let steps = match &constant {
            Some(steps) => steps.as_ref()?,
            None => {
                fresh = parse(path)?;
                &fresh
            }
        };
        parser.follow(text, steps, out)
    })
}

fn json_array_length(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let text = view::strings(args, 0)?;
    let mut parser = Parser::new()?;
    rows::ints(args.rows, |row| match parser.parse(text.get(row)?)? {
        Json::Array(items) => Some(crate::strings::length::as_int(items.len())),
        _ => None,
    })
}

fn json_object_keys(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let text = view::strings(args, 0)?;
    let mut parser = Parser::new()?;
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Field::new(LIST_ELEMENT, ArrowType::Utf8, true));
    for row in 0..args.rows {
        match text.get(row).and_then(|text| parser.parse(text)) {
            Some(Json::Object(fields)) => {
                fields.iter().for_each(|(name, _)| lists.values().append_value(name));
                lists.append(true);
            }
            _ => lists.append_null(),
        }
    }
    Ok(Arc::new(lists.finish()))
}

/// One row of the fields' texts for each input, NULLs where the text is no object.
fn json_tuple(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let text = view::strings(args, 0)?;
    let names: Vec<_> = (1..args.values.len()).map(|i| view::strings(args, i)).collect::<Result<_>>()?;
    let mut parser = Parser::new()?;
    let mut builder = Column::new(args.return_type)?;
    for row in 0..args.rows {
        let json = text.get(row).and_then(|text| parser.parse(text));
        let value = |name: Option<&str>| match (&json, name) {
            (Some(json), Some(name)) => match json.field(name) {
                None | Some(Json::Null) => Datum::Null,
                Some(value) => {
                    let mut out = String::new();
                    value.write_unquoted(&mut out);
                    Datum::Text(out)
                }
            },
            _ => Datum::Null,
        };
        let fields = names.iter().map(|name| value(name.get(row))).collect();
        builder.append(Datum::List(vec![Datum::Struct(fields)]));
    }
    builder.finish()
}

fn build_json_tuple(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, usize::MAX)?;
    let values = arguments.values;
    let sql = format!("json_tuple({})", values.iter().map(|v| v.sql.as_str()).collect::<Vec<_>>().join(", "));
    if values.iter().any(|v| !v.data_type.is_string()) {
        return Err(SparkError::new(
            "DATATYPE_MISMATCH.NON_STRING_TYPE",
            [("sqlExpr", format!("\"{sql}\"")), ("funcName", "`json_tuple`".to_string())],
        ));
    }
    let columns: Vec<_> = (0..values.len() - 1).map(|i| (format!("c{i}"), DataType::STRING, true)).collect();
    let fields = columns.iter().map(|(name, data_type, _)| StructField::new(name, data_type.clone(), true));
    let row = DataType::array(DataType::structure(fields.collect()), false);
    let call = SparkScalar::call("json_tuple", json_tuple, values, row, false, context.eval);
    let rows = call.origin(context.origin.clone()).build().with_sql(sql);
    Ok(Built::Generator(Generator { name: "json_tuple".into(), rows, columns, outer: false }))
}

const fn entry(
    name: &'static str,
    parameters: &'static [&'static str],
    build: Build,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "json_funcs",
        parameters,
        build,
        usage,
        examples,
        since,
    }
}

const ONE: &[Accept] = &[Accept::ExactString];

pub static FUNCTIONS: &[Function] = &[
    entry(
        "get_json_object",
        &["json_txt", "path"],
        Build::Signature(
            Signature::new(&[Accept::ExactString; 2], Returns::Is(SimpleType::String), get_json_object)
                .nulls(Nulls::Always),
        ),
        "get_json_object(json_txt, path) - Returns what a path leads to in JSON text.",
        &[("SELECT get_json_object('{\"a\":\"b\"}', '$.a');", "b")],
        "1.5.0",
    ),
    entry(
        "json_array_length",
        &["jsonArray"],
        Build::Signature(Signature::new(ONE, Returns::Is(SimpleType::Integer), json_array_length).nulls(Nulls::Always)),
        "json_array_length(jsonArray) - Returns how many items a JSON array has, NULL for other text.",
        &[("SELECT json_array_length('[1,2,3,4]');", "4")],
        "3.1.0",
    ),
    entry(
        "json_object_keys",
        &["json_object"],
        Build::Signature(
            Signature::new(ONE, Returns::Is(SimpleType::StringArray), json_object_keys).nulls(Nulls::Always),
        ),
        "json_object_keys(json_object) - Returns the keys of a JSON object, NULL for other text.",
        &[("SELECT json_object_keys('{\"key\": \"value\"}');", "[\"key\"]")],
        "3.1.0",
    ),
    Function {
        kind: FunctionKind::Generator,
        ..entry(
            "json_tuple",
            &[],
            Build::Custom(build_json_tuple),
            "json_tuple(jsonStr, p1, p2, ..., pn) - Returns a row of the fields of that name of a JSON object.",
            &[("SELECT json_tuple('{\"a\":1, \"b\":2}', 'a', 'b');", "1\t2")],
            "1.6.0",
        )
    },
];
