//! `from_csv`, `to_csv`, `schema_of_csv`.
use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use super::arguments;
use super::structs::{assemble, entry};
use crate::context::EvalContext;
use crate::registry::{Arguments, BuildContext, Built, Function};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::text_formats::csv::{
    CsvInference, CsvOptions, CsvReader, CsvWriteOptions, CsvWriter, Outcome, Tokenizer, Tokens,
};
use crate::text_formats::{BinaryStyle, Column, FormatOptions, FormatSession, ParseMode, malformed_record};
use crate::typed::TypedExpr;
use crate::view;

fn from_csv(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let DataType::Struct(schema) = args.return_type else {
        return Err(SparkError::internal("from_csv makes a struct"));
    };
    let options = read_options(&arguments::decode(args.options), args.context)?;
    let corrupt = schema.fields.iter().position(|f| f.name == options.corrupt_column);
    let data: Vec<_> =
        schema.fields.iter().enumerate().filter(|(i, _)| Some(*i) != corrupt).map(|(_, f)| f.clone()).collect();
    let (count, strict) = (data.len(), options.mode == ParseMode::FailFast);
    let tokenizer = Tokenizer::new(&options);
    let mut tokens = Tokens::default();
    let positions = (0..count).collect();
    let mut reader = CsvReader::new(&StructType::new(data), positions, Some(count), options.clone())?;
    let mut texts = StringBuilder::new();
    let mut valid = NullBufferBuilder::new(args.rows);
    for row in 0..args.rows {
        let Some(text) = input.get(row) else {
            reader.append_nulls();
            texts.append_null();
            valid.append_null();
            continue;
        };
        let is_bad = match tokenizer.line(text, &mut tokens) {
            Ok(()) => reader.read(&tokens) == Outcome::Partial,
            Err(_) => {
                reader.append_nulls();
                true
            }
        };
        if is_bad && strict {
            return Err(malformed_record(text));
        }
        texts.append_option(Some(text).filter(|_| is_bad));
        valid.append_non_null();
    }
    let mut columns: Vec<ArrayRef> = reader.columns().iter_mut().map(Column::finish).collect::<Result<_>>()?;
    if let Some(at) = corrupt {
        columns.insert(at, Arc::new(texts.finish()));
    }
    assemble(args, columns, valid)
}

fn read_options(given: &FormatOptions, context: &EvalContext) -> Result<CsvOptions> {
    CsvOptions::new(given, FormatSession::of(context), arguments::corrupt_setting(context))
}

/// Errors with `UNSUPPORTED_DATATYPE` for what CSV cannot hold.
fn check_schema(schema: &StructType) -> Result<()> {
    let nested = |t: &DataType| matches!(t, DataType::Array(..) | DataType::Map(..) | DataType::Struct(_));
    match schema.fields.iter().find(|f| nested(&f.data_type)) {
        Some(field) => {
            let name = format!("\"{}\"", field.data_type.sql());
            Err(SparkError::new("UNSUPPORTED_DATATYPE", [("typeName", name)]))
        }
        None => Ok(()),
    }
}

fn build_from_csv(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let sql = arguments::first_argument_sql("from_csv", &arguments.values);
    let values = &arguments.values;
    let schema = arguments::schema(&values[1])?.as_nullable();
    let DataType::Struct(fields) = &schema else {
        return Err(SparkError::new(
            "INVALID_SCHEMA.NON_STRUCT_TYPE",
            [("inputSchema", format!("\"{}\"", values[1].sql)), ("dataType", format!("\"{}\"", schema.sql()))],
        ));
    };
    let options = arguments::options(values.get(2))?;
    arguments::expect_string(&sql, &values[0], "first")?;
    arguments::check_mode("from_csv", &options)?;
    check_schema(fields)?;
    arguments::check_corrupt_column(fields, &read_options(&options, context.eval)?.corrupt_column)?;
    let input = vec![values[0].clone()];
    let nullable = values[0].nullable;
    let call = SparkScalar::call("from_csv", from_csv, input, schema.clone(), nullable, context.eval);
    let call = call.options(arguments::encode(&options)).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn to_csv(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let mut options = CsvWriteOptions::new(&arguments::decode(args.options), FormatSession::of(args.context))?;
    options.binary = BinaryStyle::of(args.context);
    let mut writer = CsvWriter::new(options);
    let Some(DataType::Struct(schema)) = args.arg_types.first() else {
        return Err(SparkError::internal("to_csv takes a struct"));
    };
    let structs = array.as_struct();
    let types: Vec<&DataType> = schema.fields.iter().map(|f| &f.data_type).collect();
    rows::try_text(args.rows, |row, out| {
        if structs.is_null(row) {
            return Ok(None);
        }
        writer.write_row(out, &types, structs.columns(), row).map(Some)
    })
}

fn build_to_csv(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = arguments::first_argument_sql("to_csv", &arguments.values);
    let values = &arguments.values;
    let unsupported = |data_type: &DataType| {
        Err(SparkError::new(
            "DATATYPE_MISMATCH.UNSUPPORTED_INPUT_TYPE",
            [
                ("functionName", "`to_csv`".to_string()),
                ("dataType", format!("\"{}\"", data_type.sql())),
                ("sqlExpr", format!("\"{sql}\"")),
            ],
        ))
    };
    match &values[0].data_type {
        DataType::Struct(fields) if fields.fields.iter().any(|f| f.data_type == DataType::Variant) => {
            return unsupported(&values[0].data_type);
        }
        DataType::Struct(_) => {}
        _ => return Err(crate::mismatch::unexpected_input(&sql, 0, &values[0], "\"STRUCT\"")),
    }
    let options = arguments::options(values.get(1))?;
    CsvWriteOptions::new(&options, FormatSession::of(context.eval))?;
    let input = vec![values[0].clone()];
    let call = SparkScalar::call("to_csv", to_csv, input, DataType::STRING, true, context.eval);
    let call = call.options(arguments::encode(&options)).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn build_schema_of_csv(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = arguments::first_argument_sql("schema_of_csv", &arguments.values);
    let text = arguments::constant_text(&sql, "csv", &arguments.values[0])?;
    let options = read_options(&arguments::options(arguments.values.get(1))?, context.eval)?;
    let mut tokens = Tokens::default();
    Tokenizer::new(&options).line(&text, &mut tokens).map_err(|_| malformed_record(&text))?;
    let mut inference = CsvInference::new(&options, tokens.len());
    inference.add(&tokens);
    let fields = inference.finish().into_iter().enumerate();
    let schema = DataType::structure(fields.map(|(i, t)| StructField::new(format!("_c{i}"), t, true)).collect());
    Ok(Built::Expr(TypedExpr::string(schema.sql()).with_sql(sql)))
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "from_csv",
        "csv_funcs",
        build_from_csv,
        "from_csv(csvStr, schema[, options]) - Reads a record of CSV text as a struct.",
        &[("SELECT from_csv('1, 0.8', 'a INT, b DOUBLE');", "{\"a\":1,\"b\":0.8}")],
        "3.0.0",
    ),
    entry(
        "to_csv",
        "csv_funcs",
        build_to_csv,
        "to_csv(expr[, options]) - Writes a struct as a record of CSV text.",
        &[("SELECT to_csv(named_struct('a', 1, 'b', 2));", "1,2")],
        "3.0.0",
    ),
    entry(
        "schema_of_csv",
        "csv_funcs",
        build_schema_of_csv,
        "schema_of_csv(csv[, options]) - Returns the schema of a record of CSV text in DDL.",
        &[("SELECT schema_of_csv('1,abc');", "STRUCT<_c0: INT, _c1: STRING>")],
        "3.0.0",
    ),
];
