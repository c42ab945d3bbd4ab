//! The functions on variants.
use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use firesteel_plan::{DataType, Result, SparkError, StructField};

use super::decode::{Kind, Variant};
use super::get::{cast, parse_path, walk};
use super::{encode, schema, text, to_object};
use crate::datum::Datum;
use crate::json::value::Parser;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, Generator};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::text_formats::{Column, malformed_record};
use crate::typed::TypedExpr;
use crate::view;

/// A column of variants.
struct Variants(StructArray);

impl Variants {
    fn of(args: &ScalarArgs<'_>, index: usize) -> Result<Self> {
        let array = args.array(index)?;
        array.as_struct_opt().cloned().map(Self).ok_or_else(|| SparkError::internal("a variant is a struct"))
    }

    fn get(&self, row: usize) -> Result<Option<Variant<'_>>> {
        if self.0.is_null(row) {
            return Ok(None);
        }
        let (value, metadata) = (self.0.column(0).as_binary::<i32>(), self.0.column(1).as_binary::<i32>());
        Variant::new(value.value(row), metadata.value(row)).map(Some)
    }
}

fn parse_rows(args: &ScalarArgs<'_>, lenient: bool) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    let (mut parser, mut column) = (Parser::new()?, Column::new(&DataType::Variant)?);
    for row in 0..args.rows {
        let Some(text) = input.get(row) else {
            column.append_null();
            continue;
        };
        match parser.parse_whole(text).and_then(|json| encode::from_json(&json)) {
            Some((value, metadata)) => column.append(Datum::Variant(value, metadata)),
            None if lenient => column.append_null(),
            None => return Err(malformed_record(text)),
        }
    }
    column.finish()
}

fn parse_json(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    parse_rows(args, false)
}

fn try_parse_json(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    parse_rows(args, true)
}

fn is_variant_null(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let variants = Variants::of(args, 0)?;
    rows::try_booleans(args.rows, |row| Ok(Some(variants.get(row)?.is_some_and(|v| v.is_null()))))
}

fn is_valid_variant(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let variants = Variants::of(args, 0)?;
    rows::booleans(args.rows, |row| {
        let mut out = String::new();
        match variants.get(row) {
            Ok(None) => None,
            Ok(Some(variant)) => Some(text::write(&variant, &args.context.time_zone, &mut out).is_ok()),
            Err(_) => Some(false),
        }
    })
}

fn schema_of_variant(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let variants = Variants::of(args, 0)?;
    rows::try_text(args.rows, |row, out| {
        let Some(variant) = variants.get(row)? else { return Ok(None) };
        out.push_str(&schema::text(&schema::type_of(&variant)?));
        Ok(Some(()))
    })
}

/// `options`: `try`.
fn variant_get(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (variants, paths) = (Variants::of(args, 0)?, view::strings(args, 1)?);
    let (lenient, zone) = (args.option(0) == "try", &args.context.time_zone);
    let name = if lenient { "try_variant_get" } else { "variant_get" };
    let steps_of = |path: &str| parse_path(path).ok_or_else(|| invalid_path(path, name));
    let constant = paths.constant().map(steps_of).transpose()?;
    let mut column = Column::new(args.return_type)?;
    for row in 0..args.rows {
        let (Some(variant), Some(path)) = (variants.get(row)?, paths.get(row)) else {
            column.append_null();
            continue;
        };
        let fresh;
        let steps = match &constant {
            Some(steps) => steps,
            None => {
                fresh = steps_of(path)?;
                &fresh
            }
        };
        let Some(found) = walk(variant, steps)? else {
            column.append_null();
            continue;
        };
        match cast(&found, args.return_type, zone)? {
            Some(datum) => column.append(datum),
            None if lenient => column.append_null(),
            None => return Err(invalid_cast(&found, args)),
        }
    }
    column.finish()
}

fn invalid_path(path: &str, name: &str) -> SparkError {
    SparkError::new("INVALID_VARIANT_GET_PATH", [("path", path.to_string()), ("functionName", format!("`{name}`"))])
}

fn invalid_cast(variant: &Variant<'_>, args: &ScalarArgs<'_>) -> SparkError {
    let mut value = String::new();
    let shown = text::write(variant, &args.context.time_zone, &mut value);
    SparkError::new(
        "INVALID_VARIANT_CAST",
        [
            ("value", if shown.is_ok() { value } else { String::new() }),
            ("dataType", format!("\"{}\"", args.return_type.sql())),
        ],
    )
}

fn build_get(context: &BuildContext<'_>, arguments: Arguments<'_>, name: &'static str) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let values = arguments.values;
    let sql = format!("{name}({}, {})", values[0].sql, values[1].sql);
    expect_variant(&sql, &values[0])?;
    let to = match values.get(2) {
        Some(schema) => crate::json::arguments::schema(schema)?.as_nullable(),
        None => DataType::Variant,
    };
    if !castable(&to) {
        return Err(SparkError::new(
            "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION",
            [
                ("srcType", "\"VARIANT\"".to_string()),
                ("targetType", format!("\"{}\"", to.sql())),
                ("sqlExpr", format!("\"{sql}\"")),
            ],
        ));
    }
    if let Some(path) = values[1].as_string_literal()
        && parse_path(path).is_none()
    {
        return Err(invalid_path(path, name));
    }
    let inputs: Vec<TypedExpr> = values.into_iter().take(2).collect();
    let option = if name.starts_with("try") { "try" } else { "" };
    let call = SparkScalar::call(name, variant_get, inputs, to, true, context.eval);
    let call = call.options(vec![option.to_string()]).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn castable(to: &DataType) -> bool {
    match to {
        DataType::CalendarInterval | DataType::YearMonthInterval(..) | DataType::DayTimeInterval(..) => false,
        DataType::Array(element, _) => castable(element),
        DataType::Map(key, value, _) => key.is_string() && castable(value),
        DataType::Struct(fields) => fields.fields.iter().all(|f| castable(&f.data_type)),
        _ => true,
    }
}

fn expect_variant(sql: &str, argument: &TypedExpr) -> Result<()> {
    if matches!(argument.data_type, DataType::Variant | DataType::Null) {
        return Ok(());
    }
    Err(SparkError::new(
        "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
        [
            ("sqlExpr", format!("\"{sql}\"")),
            ("paramIndex", "first".to_string()),
            ("requiredType", "\"VARIANT\"".to_string()),
            ("inputSql", format!("\"{}\"", argument.sql)),
            ("inputType", format!("\"{}\"", argument.data_type.sql())),
        ],
    ))
}

fn to_variant_object(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::any(args, 0)?;
    let data_type = args.arg_types.first().unwrap_or(&DataType::Null);
    let mut column = Column::new(&DataType::Variant)?;
    for row in 0..args.rows {
        if input.is_null_at(row) {
            column.append_null();
            continue;
        }
        let mut encoder = encode::Encoder::default();
        to_object::write(&input.array, input.index(row), data_type, &mut encoder)?;
        match encoder.finish() {
            Some((value, metadata)) => column.append(Datum::Variant(value, metadata)),
            None => return Err(SparkError::new("VARIANT_SIZE_LIMIT", [("functionName", "`to_variant_object`")])),
        }
    }
    column.finish()
}

fn build_to_object(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let input = arguments.one(context.called_as)?;
    let sql = format!("to_variant_object({})", input.sql);
    if !matches!(input.data_type, DataType::Struct(_) | DataType::Array(..) | DataType::Map(..) | DataType::Variant) {
        return Err(SparkError::new(
            "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION",
            [
                ("srcType", format!("\"{}\"", input.data_type.sql())),
                ("targetType", "\"VARIANT\"".to_string()),
                ("sqlExpr", format!("\"{sql}\"")),
            ],
        ));
    }
    let nullable = input.nullable;
    let call = SparkScalar::call(
        "to_variant_object",
        to_variant_object,
        vec![input],
        DataType::Variant,
        nullable,
        context.eval,
    );
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

/// Rows of (pos, key, value) for the items of an array or the fields of an object.
fn variant_explode(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let variants = Variants::of(args, 0)?;
    let mut column = Column::new(args.return_type)?;
    for row in 0..args.rows {
        let (items, has_keys) = match variants.get(row)?.map(|v| v.kind()).transpose()? {
            Some(Kind::Array(items)) => (items, false),
            Some(Kind::Object(fields)) => (fields, true),
            _ => {
                column.append_null();
                continue;
            }
        };
        let mut exploded = Vec::with_capacity(items.len());
        for i in 0..items.len() {
            let key = if has_keys { Datum::Text(items.key(i)?.to_string()) } else { Datum::Null };
            let item = items.get(i)?;
            let (value, metadata) = item.parts();
            let value = Datum::Variant(value.to_vec(), metadata.to_vec());
            exploded.push(Datum::Struct(vec![Datum::Long(i as i64), key, value]));
        }
        column.append(Datum::List(exploded));
    }
    column.finish()
}

fn build_explode(context: &BuildContext<'_>, arguments: Arguments<'_>, outer: bool) -> Result<Built> {
    let name = if outer { "variant_explode_outer" } else { "variant_explode" };
    let input = arguments.one(name)?;
    let sql = format!("{name}({})", input.sql);
    expect_variant(&sql, &input)?;
    let columns = vec![
        ("pos".to_string(), DataType::Integer, false),
        ("key".to_string(), DataType::STRING, true),
        ("value".to_string(), DataType::Variant, false),
    ];
    let fields = columns.iter().map(|(name, data_type, _)| StructField::new(name, data_type.clone(), true));
    let to = DataType::array(DataType::structure(fields.collect()), false);
    let call = SparkScalar::call(name, variant_explode, vec![input], to, true, context.eval);
    let rows = call.origin(context.origin.clone()).build().with_sql(sql);
    Ok(Built::Generator(Generator { name: name.into(), rows, columns, outer }))
}

const fn entry(
    name: &'static str,
    parameters: &'static [&'static str],
    build: Build,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "variant_funcs",
        parameters,
        build,
        usage,
        examples,
        since: "4.0.0",
    }
}

const PARSE: Signature = Signature::new(&[Accept::ExactString], Returns::Is(SimpleType::Variant), parse_json);
const TEST: Signature = Signature::new(&[Accept::Variant], Returns::Is(SimpleType::Boolean), is_variant_null);

pub static FUNCTIONS: &[Function] = &[
    entry(
        "parse_json",
        &["jsonStr"],
        Build::Signature(PARSE),
        "parse_json(jsonStr) - Reads JSON text as a variant.",
        &[("SELECT parse_json('{\"a\":1,\"b\":0.8}');", "{\"a\":1,\"b\":0.8}")],
    ),
    entry(
        "try_parse_json",
        &["jsonStr"],
        Build::Signature(Signature { kernel: try_parse_json, ..PARSE }.nulls(Nulls::Always)),
        "try_parse_json(jsonStr) - As `parse_json`, but NULL where the text is not JSON.",
        &[("SELECT try_parse_json('{\"a\":1,');", "NULL")],
    ),
    entry(
        "is_variant_null",
        &["expr"],
        Build::Signature(TEST.nulls(Nulls::Never)),
        "is_variant_null(expr) - Whether a variant is the null of JSON (which is not NULL).",
        &[("SELECT is_variant_null(parse_json('null'));", "true")],
    ),
    entry(
        "is_valid_variant",
        &["expr"],
        Build::Signature(Signature { kernel: is_valid_variant, ..TEST }),
        "is_valid_variant(expr) - Whether a variant's bytes are well formed.",
        &[("SELECT is_valid_variant(parse_json('1'));", "true")],
    ),
    entry(
        "schema_of_variant",
        &["v"],
        Build::Signature(Signature { returns: Returns::Is(SimpleType::String), kernel: schema_of_variant, ..TEST }),
        "schema_of_variant(v) - Returns the schema of a variant.",
        &[("SELECT schema_of_variant(parse_json('[{\"b\":true,\"a\":0}]'));", "ARRAY<OBJECT<a: BIGINT, b: BOOLEAN>>")],
    ),
    entry(
        "variant_get",
        &["v", "path", "type"],
        Build::Custom(|context, arguments| build_get(context, arguments, "variant_get")),
        "variant_get(v, path[, type]) - Returns what a path leads to in a variant, cast to a type.",
        &[("SELECT variant_get(parse_json('{\"a\": 1}'), '$.a', 'int');", "1")],
    ),
    entry(
        "try_variant_get",
        &["v", "path", "type"],
        Build::Custom(|context, arguments| build_get(context, arguments, "try_variant_get")),
        "try_variant_get(v, path[, type]) - As `variant_get`, but NULL where the cast fails.",
        &[("SELECT try_variant_get(parse_json('[1, \"hello\"]'), '$[1]', 'int');", "NULL")],
    ),
    entry(
        "to_variant_object",
        &["expr"],
        Build::Custom(build_to_object),
        "to_variant_object(expr) - Turns a struct, array or map into a variant.",
        &[("SELECT to_variant_object(named_struct('a', 1, 'b', 2));", "{\"a\":1,\"b\":2}")],
    ),
    Function {
        kind: FunctionKind::Generator,
        ..entry(
            "variant_explode",
            &["input"],
            Build::Custom(|context, arguments| build_explode(context, arguments, false)),
            "variant_explode(expr) - Returns a row for each item of an array or field of an object.",
            &[("SELECT * FROM variant_explode(parse_json('[\"hello\"]'));", "0\tNULL\t\"hello\"")],
        )
    },
    Function {
        kind: FunctionKind::Generator,
        ..entry(
            "variant_explode_outer",
            &["input"],
            Build::Custom(|context, arguments| build_explode(context, arguments, true)),
            "variant_explode_outer(expr) - As `variant_explode`, with a row of NULLs where there is nothing.",
            &[("SELECT * FROM variant_explode_outer(parse_json('1'));", "NULL\tNULL\tNULL")],
        )
    },
];
