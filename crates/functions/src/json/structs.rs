//! `from_json`, `to_json`, `schema_of_json`.
use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{Array, ArrayRef, StringBuilder, StructArray};
use arrow::datatypes::DataType as ArrowType;
use firesteel_plan::{DataType, Result, SparkError, StructType};

use super::arguments;
use crate::context::EvalContext;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar, from_arrow};
use crate::text_formats::json::{
    JsonOptions, JsonReader, JsonWriteOptions, JsonWriter, Outcome, Tape, read_value, type_of,
};
use crate::text_formats::{Column, FormatOptions, FormatSession, ParseMode, malformed_record};
use crate::typed::TypedExpr;
use crate::view;

fn from_json(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let given = arguments::decode(args.options);
    let corrupt = arguments::corrupt_setting(args.context);
    let options = JsonOptions::new(&given, FormatSession::of(args.context), corrupt)?;
    match args.return_type {
        DataType::Struct(schema) if options.single_variant_column.is_none() => structs(args, schema, options),
        DataType::Struct(_) => {
            // The whole text is the one column.
            let variants = values(args, &DataType::Variant, options)?;
            let ArrowType::Struct(fields) = args.arrow_type() else { return Ok(variants) };
            let nulls = variants.nulls().cloned();
            Ok(Arc::new(StructArray::try_new(fields, vec![variants], nulls).map_err(from_arrow)?))
        }
        other => values(args, other, options),
    }
}

/// Records into rows; the corrupt-record column is filled here.
fn structs(args: &ScalarArgs<'_>, schema: &StructType, options: JsonOptions) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let corrupt = schema.fields.iter().position(|f| f.name == options.corrupt_column);
    let data = schema.fields.iter().enumerate().filter(|(i, _)| Some(*i) != corrupt).map(|(_, f)| f.clone());
    let strict = options.mode == ParseMode::FailFast;
    let mut reader = JsonReader::new(&StructType::new(data.collect()), options, false)?;
    let mut texts = StringBuilder::new();
    let mut valid = NullBufferBuilder::new(args.rows);
    for row in 0..args.rows {
        let text = input.get(row);
        let outcome = text.map_or(Outcome::Nothing, |text| reader.read(text));
        let is_bad = matches!(outcome, Outcome::Partial | Outcome::Malformed);
        if is_bad && strict {
            return Err(malformed_record(text.unwrap_or_default()));
        }
        if matches!(outcome, Outcome::Malformed | Outcome::Nothing) {
            reader.append_nulls();
        }
        texts.append_option(text.filter(|_| is_bad));
        // `null` is a record without fields, a blank text is no record.
        valid.append(outcome != Outcome::Nothing || text.is_some_and(|text| text.trim() == "null"));
    }
    let mut columns: Vec<ArrayRef> = reader.columns().iter_mut().map(Column::finish).collect::<Result<_>>()?;
    if let Some(at) = corrupt {
        columns.insert(at, Arc::new(texts.finish()));
    }
    assemble(args, columns, valid)
}

/// Columns as rows of the result's type.
pub(super) fn assemble(
    args: &ScalarArgs<'_>,
    columns: Vec<ArrayRef>,
    mut valid: NullBufferBuilder,
) -> Result<ArrayRef> {
    let ArrowType::Struct(fields) = args.arrow_type() else {
        return Err(SparkError::internal("a record is a struct"));
    };
    let nulls = valid.finish();
    if columns.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(args.rows, nulls)));
    }
    Ok(Arc::new(StructArray::try_new(fields, columns, nulls).map_err(from_arrow)?))
}

/// Values that are not structs: NULL where the text does not fit.
fn values(args: &ScalarArgs<'_>, data_type: &DataType, options: JsonOptions) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let (mut column, mut tape) = (Column::new(data_type)?, Tape::default());
    for row in 0..args.rows {
        let Some(text) = input.get(row) else {
            column.append_null();
            continue;
        };
        match read_value(text, data_type, &mut column, &mut tape, &options) {
            Some(false) if options.mode == ParseMode::FailFast => return Err(malformed_record(text)),
            Some(_) => {}
            None => column.append_null(),
        }
    }
    column.finish()
}

/// Maps have string keys in JSON.
fn has_other_keys(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(key, value, _) => !key.is_string() || has_other_keys(value),
        DataType::Array(element, _) => has_other_keys(element),
        DataType::Struct(s) => s.fields.iter().any(|f| has_other_keys(&f.data_type)),
        _ => false,
    }
}

fn build_from_json(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let sql = arguments::first_argument_sql("from_json", &arguments.values);
    let values = &arguments.values;
    let schema = arguments::schema(&values[1])?.as_nullable();
    let options = arguments::options(values.get(2))?;
    let problem = |condition: &str| {
        let schema = ("schema", format!("\"{}\"", schema.sql()));
        Err(SparkError::new(condition, [schema, ("sqlExpr", format!("\"{sql}\""))]))
    };
    if !matches!(schema, DataType::Struct(_) | DataType::Array(..) | DataType::Map(..) | DataType::Variant) {
        return problem("DATATYPE_MISMATCH.INVALID_JSON_SCHEMA");
    }
    if has_other_keys(&schema) {
        return problem("DATATYPE_MISMATCH.INVALID_JSON_MAP_KEY_TYPE");
    }
    arguments::expect_string(&sql, &values[0], "first")?;
    arguments::check_mode("from_json", &options)?;
    let corrupt = arguments::corrupt_setting(context.eval);
    let parsed = JsonOptions::new(&options, FormatSession::of(context.eval), corrupt)?;
    if let DataType::Struct(fields) = &schema {
        arguments::check_corrupt_column(fields, &parsed.corrupt_column)?;
    }
    // A map's column is named after what it holds.
    let shown = if matches!(schema, DataType::Map(..)) { "entries".to_string() } else { sql };
    let input = vec![values[0].clone()];
    let call = SparkScalar::call("from_json", from_json, input, schema, true, context.eval);
    let call = call.options(arguments::encode(&options)).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(shown)))
}

fn to_json(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::any(args, 0)?;
    let writer = JsonWriter::new(write_options(&arguments::decode(args.options), args.context)?);
    let data_type = args.arg_types.first().unwrap_or(&DataType::Null);
    rows::try_text(args.rows, |row, out| {
        if input.is_null_at(row) {
            return Ok(None);
        }
        writer.write_value(out, data_type, &input.array, input.index(row)).map(Some)
    })
}

fn write_options(given: &FormatOptions, context: &EvalContext) -> Result<JsonWriteOptions> {
    let ignore_nulls = context.flag("spark.sql.jsonGenerator.ignoreNullFields", true);
    JsonWriteOptions::new(given, FormatSession::of(context), ignore_nulls)
}

fn build_to_json(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = arguments::first_argument_sql("to_json", &arguments.values);
    let values = &arguments.values;
    let options = arguments::options(values.get(1))?;
    let data_type = &values[0].data_type;
    if !matches!(data_type, DataType::Struct(_) | DataType::Array(..) | DataType::Map(..) | DataType::Variant) {
        return Err(SparkError::new(
            "DATATYPE_MISMATCH.INVALID_JSON_SCHEMA",
            [("schema", format!("\"{}\"", data_type.sql())), ("sqlExpr", format!("\"{sql}\""))],
        ));
    }
    write_options(&options, context.eval)?;
    let input = vec![values[0].clone()];
    let call = SparkScalar::call("to_json", to_json, input, DataType::STRING, true, context.eval);
    let call = call.options(arguments::encode(&options)).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

/// The text is a constant, and so is its schema.
fn build_schema_of_json(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = arguments::first_argument_sql("schema_of_json", &arguments.values);
    let text = arguments::constant_text(&sql, "json", &arguments.values[0])?;
    let given = arguments::options(arguments.values.get(1))?;
    let options = JsonOptions::new(&given, FormatSession::of(context.eval), None)?;
    let schema = type_of(&text, &options).ok_or_else(|| malformed_record(&text))?;
    Ok(Built::Expr(TypedExpr::string(schema.sql()).with_sql(sql)))
}

pub(super) const fn entry(
    name: &'static str,
    group: &'static str,
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group,
        parameters: &[],
        build: Build::Custom(build),
        usage,
        examples,
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "from_json",
        "json_funcs",
        build_from_json,
        "from_json(jsonStr, schema[, options]) - Reads JSON text as a value of the schema's type.",
        &[("SELECT from_json('{\"a\":1, \"b\":0.8}', 'a INT, b DOUBLE');", "{\"a\":1,\"b\":0.8}")],
        "2.2.0",
    ),
    entry(
        "to_json",
        "json_funcs",
        build_to_json,
        "to_json(expr[, options]) - Writes a struct, array, map or variant as JSON text.",
        &[("SELECT to_json(named_struct('a', 1, 'b', 2));", "{\"a\":1,\"b\":2}")],
        "2.2.0",
    ),
    entry(
        "schema_of_json",
        "json_funcs",
        build_schema_of_json,
        "schema_of_json(json[, options]) - Returns the schema of JSON text in DDL.",
        &[("SELECT schema_of_json('[{\"col\":0}]');", "ARRAY<STRUCT<col: BIGINT>>")],
        "2.4.0",
    ),
];
