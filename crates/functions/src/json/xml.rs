//! `from_xml`, `to_xml`, `schema_of_xml`.
use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{ArrayRef, StringBuilder, StructArray};
use arrow::datatypes::DataType as ArrowType;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use super::arguments;
use super::structs::{assemble, entry};
use crate::context::EvalContext;
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar, from_arrow};
use crate::text_formats::xml::{XmlOptions, XmlReader, XmlWriteOptions, XmlWriter, read_variant, schema_of};
use crate::text_formats::{BinaryStyle, Column, FormatOptions, FormatSession, ParseMode, malformed_record};
use crate::typed::TypedExpr;
use crate::view;

fn read_options(given: &FormatOptions, context: &EvalContext) -> Result<XmlOptions> {
    let sensitive = context.flag("spark.sql.caseSensitive", false);
    XmlOptions::new(given, FormatSession::of(context), arguments::corrupt_setting(context), sensitive)
}

fn from_xml(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let options = read_options(&arguments::decode(args.options), args.context)?;
    match args.return_type {
        DataType::Struct(schema) if options.single_variant_column.is_none() => structs(args, schema, options),
        DataType::Struct(_) => {
            let variants = variants(args, &options)?;
            let ArrowType::Struct(fields) = args.arrow_type() else { return Ok(variants) };
            let nulls = args.array(0)?.logical_nulls();
            Ok(Arc::new(StructArray::try_new(fields, vec![variants], nulls).map_err(from_arrow)?))
        }
        _ => variants(args, &options),
    }
}

/// Whole records as variants.
fn variants(args: &ScalarArgs<'_>, options: &XmlOptions) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let mut column = Column::new(&DataType::Variant)?;
    for row in 0..args.rows {
        match input.get(row) {
            Some(text) if !read_variant(text, options, &mut column) && options.mode == ParseMode::FailFast => {
                return Err(malformed_record(text));
            }
            Some(_) => {}
            None => column.append_null(),
        }
    }
    column.finish()
}

fn structs(args: &ScalarArgs<'_>, schema: &StructType, options: XmlOptions) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let corrupt = schema.fields.iter().position(|f| f.name == options.corrupt_column);
    let data: Vec<StructField> =
        schema.fields.iter().enumerate().filter(|(i, _)| Some(*i) != corrupt).map(|(_, f)| f.clone()).collect();
    let strict = options.mode == ParseMode::FailFast;
    // A record that fails shows as the row it could not become.
    let bad_record = format!("[{}]", vec!["null"; data.len()].join(","));
    let mut reader = XmlReader::new(&StructType::new(data), options)?;
    let mut texts = StringBuilder::new();
    let mut valid = NullBufferBuilder::new(args.rows);
    for row in 0..args.rows {
        let Some(text) = input.get(row) else {
            reader.append_nulls();
            texts.append_null();
            valid.append_null();
            continue;
        };
        let fits = reader.read(text);
        if !fits && strict {
            return Err(malformed_record(&bad_record));
        }
        texts.append_option(Some(text).filter(|_| !fits));
        valid.append_non_null();
    }
    let mut columns: Vec<ArrayRef> = reader.columns().iter_mut().map(Column::finish).collect::<Result<_>>()?;
    if let Some(at) = corrupt {
        columns.insert(at, Arc::new(texts.finish()));
    }
    assemble(args, columns, valid)
}

fn build_from_xml(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let sql = arguments::first_argument_sql("from_xml", &arguments.values);
    let values = &arguments.values;
    let schema = arguments::schema(&values[1])?.as_nullable();
    let options = arguments::options(values.get(2))?;
    if !matches!(schema, DataType::Struct(_) | DataType::Variant) {
        return Err(SparkError::new(
            "DATATYPE_MISMATCH.INVALID_XML_SCHEMA",
            [("schema", format!("\"{}\"", schema.sql())), ("sqlExpr", format!("\"{sql}\""))],
        ));
    }
    arguments::expect_string(&sql, &values[0], "first")?;
    arguments::check_mode("from_xml", &options)?;
    let parsed = read_options(&options, context.eval)?;
    if let DataType::Struct(fields) = &schema {
        arguments::check_corrupt_column(fields, &parsed.corrupt_column)?;
    }
    let input = vec![values[0].clone()];
    let call = SparkScalar::call("from_xml", from_xml, input, schema, true, context.eval);
    let call = call.options(arguments::encode(&options)).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn write_options(given: &FormatOptions, context: &EvalContext) -> Result<XmlWriteOptions> {
    XmlWriteOptions::new(given, FormatSession::of(context), BinaryStyle::of(context))
}

fn to_xml(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::any(args, 0)?;
    let writer = XmlWriter::new(write_options(&arguments::decode(args.options), args.context)?);
    let data_type = args.arg_types.first().unwrap_or(&DataType::Null);
    rows::try_text(args.rows, |row, out| {
        if *data_type == DataType::Null || input.is_null_at(row) {
            return Ok(None);
        }
        writer.write(out, data_type, &input.array, input.index(row)).map(Some)
    })
}

fn build_to_xml(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = arguments::first_argument_sql("to_xml", &arguments.values);
    let values = &arguments.values;
    let options = arguments::options(values.get(1))?;
    if !matches!(values[0].data_type, DataType::Struct(_) | DataType::Variant | DataType::Null) {
        return Err(crate::mismatch::unexpected_input(&sql, 0, &values[0], "\"STRUCT\""));
    }
    write_options(&options, context.eval)?;
    let input = vec![values[0].clone()];
    let call = SparkScalar::call("to_xml", to_xml, input, DataType::STRING, true, context.eval);
    let call = call.options(arguments::encode(&options)).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

/// The text is a constant, and so is its schema.
fn build_schema_of_xml(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = arguments::first_argument_sql("schema_of_xml", &arguments.values);
    let text = arguments::constant_text(&sql, "xml", &arguments.values[0])?;
    let options = read_options(&arguments::options(arguments.values.get(1))?, context.eval)?;
    Ok(Built::Expr(TypedExpr::string(schema_of(&text, &options).sql()).with_sql(sql)))
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "from_xml",
        "xml_funcs",
        build_from_xml,
        "from_xml(xmlStr, schema[, options]) - Reads an XML element as a value of the schema's type.",
        &[("SELECT from_xml('<p><a>1</a></p>', 'a INT').a", "1")],
        "4.0.0",
    ),
    entry(
        "to_xml",
        "xml_funcs",
        build_to_xml,
        "to_xml(expr[, options]) - Writes a struct or a variant as an XML element.",
        &[("SELECT to_xml(named_struct('a', 1), map('indent', ''))", "<ROW><a>1</a></ROW>\n")],
        "4.0.0",
    ),
    entry(
        "schema_of_xml",
        "xml_funcs",
        build_schema_of_xml,
        "schema_of_xml(xml[, options]) - The schema of an XML element, as DDL.",
        &[("SELECT schema_of_xml('<p><a>1</a></p>')", "STRUCT<a: BIGINT>")],
        "4.0.0",
    ),
];
