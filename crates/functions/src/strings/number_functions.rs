//! `to_number`, `try_to_number`, `to_char` and `to_varchar`.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::Decimal128Type;
use firesteel_plan::{DataType, Result, SparkError};

use super::digits::Digits;
use super::number_format::NumberFormat;
use crate::cast::{CastMode, cast};
use crate::fold;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::rows;
use crate::scalar::{ScalarArgs, SparkScalar, from_arrow};
use crate::typed::TypedExpr;
use crate::view;

/// `options`: the format as given, and `try`.
fn to_number(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let format = NumberFormat::parse(args.option(0))?;
    let DataType::Decimal(precision, scale) = args.return_type else {
        return Err(SparkError::internal("to_number makes a decimal"));
    };
    let input = view::strings(args, 0)?;
    let mut values = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        let Some(text) = input.get(row) else {
            values.push(None);
            continue;
        };
        let value = format.read(text);
        if value.is_none() && args.option(1).is_empty() {
            return Err(SparkError::new(
                "INVALID_FORMAT.MISMATCH_INPUT",
                [
                    ("inputType", "\"STRING\"".to_string()),
                    ("input", text.to_string()),
                    ("format", args.option(0).to_string()),
                ],
            ));
        }
        values.push(value);
    }
    let array = Decimal128Array::from(values).with_precision_and_scale(*precision, *scale).map_err(from_arrow)?;
    Ok(Arc::new(array))
}

fn to_char(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let format = NumberFormat::parse(args.option(0))?;
    let array = args.array(0)?;
    let Some(DataType::Decimal(_, scale)) = args.arg_types.first() else {
        return Err(SparkError::internal("to_char takes a decimal"));
    };
    let values = array.as_primitive::<Decimal128Type>();
    rows::text(args.rows, |row, out| {
        if values.is_null(row) {
            return None;
        }
        format.write(&Digits::of_decimal(values.value(row), *scale), out);
        Some(())
    })
}

/// What a format argument is, once evaluated.
fn constant_format(sql: &str, format: &TypedExpr) -> Result<Option<String>> {
    if !format.is_foldable() {
        let mut error = fold::not_foldable(sql, "cast", format);
        if format.data_type != DataType::STRING {
            let text = TypedExpr { data_type: DataType::STRING, ..format.clone() };
            error = fold::not_foldable(sql, "cast", &text);
        }
        return Err(error);
    }
    fold::fold_string(format)
}

fn build_to_number(context: &BuildContext<'_>, arguments: Arguments<'_>, name: &'static str) -> Result<Built> {
    let (input, format) = arguments.two(context.called_as)?;
    let sql = format!("{name}({}, {})", input.sql, format.sql);
    let mode = CastMode::of(context.eval);
    let lenient = name == "try_to_number";
    let input = cast(input, &DataType::STRING, mode, context.eval)?;
    let Some(format) = constant_format(&sql, &cast(format, &DataType::STRING, mode, context.eval)?)? else {
        return Ok(Built::Expr(TypedExpr::null(DataType::DECIMAL_USER).with_sql(sql)));
    };
    let data_type = NumberFormat::parse(&format)?.decimal_type()?;
    let options = vec![format, if lenient { "try" } else { "" }.to_string()];
    let nullable = lenient || input.nullable;
    let call = SparkScalar::call(name, to_number, vec![input], data_type, nullable, context.eval);
    Ok(Built::Expr(call.options(options).origin(context.origin.clone()).build().with_sql(sql)))
}

/// Dates go to `date_format`, binary values to `base64`, `hex` or `decode`, the rest is a number.
fn build_to_char(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (input, format) = arguments.two(context.called_as)?;
    match &input.data_type {
        t if t.is_datetime() => delegate(context, "date_format", vec![input, format]),
        DataType::Binary => build_binary_to_char(context, input, format),
        _ => build_number_to_char(context, input, format),
    }
}

fn delegate(context: &BuildContext<'_>, name: &'static str, values: Vec<TypedExpr>) -> Result<Built> {
    let function = crate::registry::lookup(name).ok_or_else(|| SparkError::internal(format!("no function {name}")))?;
    let inner =
        BuildContext { called_as: name, eval: context.eval, origin: context.origin.clone(), is_operator: false };
    function.call(&inner, Arguments { values, ..Arguments::default() })
}

fn build_binary_to_char(context: &BuildContext<'_>, input: TypedExpr, format: TypedExpr) -> Result<Built> {
    let sql = format!("{}({}, {})", context.called_as, input.sql, format.sql);
    if !format.is_foldable() {
        return Err(fold::not_foldable(&sql, "format", &format));
    }
    let Some(text) = fold::fold_string(&format)? else {
        return Ok(Built::Expr(TypedExpr::null(DataType::STRING).with_sql(sql)));
    };
    // The second name of `to_char` shows, the first does not.
    let shown = |inner: &str, arguments: String| {
        let name = if context.called_as == "to_varchar" { "to_varchar" } else { inner };
        format!("{name}({arguments})")
    };
    let one = input.sql.clone();
    let delegated = |inner: &'static str, values, arguments| match delegate(context, inner, values)? {
        Built::Expr(expr) => Ok(Built::Expr(expr.with_sql(shown(inner, arguments)))),
        other => Ok(other),
    };
    match text.trim().to_lowercase().as_str() {
        "base64" => delegated("base64", vec![input], one),
        "hex" => delegated("hex", vec![input], one),
        "utf-8" => {
            let both = format!("{one}, {}", format.sql);
            delegated("decode", vec![input, format], both)
        }
        _ => Err(SparkError::new(
            "INVALID_PARAMETER_VALUE.BINARY_FORMAT",
            [
                ("functionName", format!("`{}`", context.called_as)),
                ("parameter", "`format`".to_string()),
                ("invalidFormat", format!("'{text}'")),
            ],
        )),
    }
}

fn build_number_to_char(context: &BuildContext<'_>, input: TypedExpr, format: TypedExpr) -> Result<Built> {
    let sql = format!("to_char({}, {})", input.sql, format.sql);
    let mode = CastMode::of(context.eval);
    let to = decimal_for(&input.data_type);
    let input = cast(input, &to, mode, context.eval)?;
    let Some(format) = constant_format(&sql, &cast(format, &DataType::STRING, mode, context.eval)?)? else {
        return Ok(Built::Expr(TypedExpr::null(DataType::STRING).with_sql(sql)));
    };
    NumberFormat::parse(&format)?;
    let nullable = input.nullable;
    let call = SparkScalar::call("to_char", to_char, vec![input], DataType::STRING, nullable, context.eval);
    Ok(Built::Expr(call.options(vec![format]).origin(context.origin.clone()).build().with_sql(sql)))
}

/// `DecimalType.forType`
fn decimal_for(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Decimal(p, s) => DataType::Decimal(*p, *s),
        DataType::Byte => DataType::Decimal(3, 0),
        DataType::Short => DataType::Decimal(5, 0),
        DataType::Integer => DataType::Decimal(10, 0),
        DataType::Long => DataType::Decimal(20, 0),
        DataType::Float => DataType::Decimal(14, 7),
        DataType::Double => DataType::Decimal(30, 15),
        _ => DataType::DECIMAL_DEFAULT,
    }
}

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases,
        kind: FunctionKind::Scalar,
        group: "string_funcs",
        parameters: &["expr", "format"],
        build: Build::Custom(build),
        usage,
        examples,
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "to_number",
        &[],
        |context, arguments| build_to_number(context, arguments, "to_number"),
        "to_number(expr, fmt) - Reads a number by a format of `0` and `9` (digits), `.`/`D`, `,`/`G`, `$`, `S`, `MI` and \
         `PR`.",
        &[("SELECT to_number('12,454', '99,999');", "12454")],
        "3.3.0",
    ),
    entry(
        "try_to_number",
        &[],
        |context, arguments| build_to_number(context, arguments, "try_to_number"),
        "try_to_number(expr, fmt) - As `to_number`, but NULL where the text does not fit the format.",
        &[("SELECT try_to_number('454', '999');", "454")],
        "3.3.0",
    ),
    entry(
        "to_char",
        &["to_varchar"],
        build_to_char,
        "to_char(expr, format) - Writes a number, date or binary value by a format.",
        &[("SELECT to_char(12454, '99G999');", "12,454")],
        "3.4.0",
    ),
];
