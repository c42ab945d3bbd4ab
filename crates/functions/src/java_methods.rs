//! `reflect`, `java_method` and `try_reflect` without Java: the static methods of Java's library that are plain
//! functions of numbers and text. Any other class is not found.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{Float32Type, Float64Type, Int32Type, Int64Type};
use firesteel_plan::{DataType, Result, SparkError};

use crate::fold::fold_string;
use crate::java_number;
use crate::math::strict;
use crate::quote;
use crate::registry::{Arguments, BuildContext, Built, Function, wrong_num_args};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;

/// A value as Java has it.
#[derive(Debug, Clone)]
enum Value {
    Boolean(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Text(String),
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Text,
}

impl Kind {
    fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Integer => Self::Int,
            DataType::Long => Self::Long,
            DataType::Float => Self::Float,
            DataType::Double => Self::Double,
            other if other.is_string() => Self::Text,
            _ => return None,
        })
    }
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Long(value) => value.to_string(),
            Self::Float(value) => java_number::float(*value),
            Self::Double(value) => java_number::double(*value),
            Self::Text(value) => value.clone(),
        }
    }
}

/// What a method gives; nothing where Java throws.
type Body = fn(&[Value]) -> Option<Value>;

struct Method {
    class: &'static str,
    name: &'static str,
    parameters: &'static [Kind],
    body: Body,
}

const MATH: &str = "java.lang.Math";
const INTEGER: &str = "java.lang.Integer";
const LONG: &str = "java.lang.Long";
const DOUBLE: &str = "java.lang.Double";
const STRING: &str = "java.lang.String";
const BOOLEAN: &str = "java.lang.Boolean";
const UUID: &str = "java.util.UUID";
const URL_DECODER: &str = "java.net.URLDecoder";
const URL_ENCODER: &str = "java.net.URLEncoder";
const PREDEF: &str = "scala.Predef";

macro_rules! method {
    ($class:expr, $name:literal, [$($kind:ident $value:ident),*], $result:ident, $body:expr) => {
        Method {
            class: $class,
            name: $name,
            parameters: &[$(Kind::$kind),*],
            body: |values| match values {
                [$(Value::$kind($value)),*] => {
                    let result: Option<_> = $body;
                    result.map(Value::$result)
                }
                _ => None,
            },
        }
    };
}

static METHODS: &[Method] = &[
    // A method without a result answers Java's `null`, which has a text.
    method!(PREDEF, "require", [Boolean met], Text, met.then(|| "null".to_string())),
    method!(MATH, "abs", [Int a], Int, Some(a.wrapping_abs())),
    method!(MATH, "abs", [Long a], Long, Some(a.wrapping_abs())),
    method!(MATH, "abs", [Float a], Float, Some(a.abs())),
    method!(MATH, "abs", [Double a], Double, Some(a.abs())),
    method!(MATH, "max", [Int a, Int b], Int, Some(*a.max(b))),
    method!(MATH, "max", [Long a, Long b], Long, Some(*a.max(b))),
    method!(MATH, "max", [Double a, Double b], Double, Some(if a.is_nan() { *a } else { a.max(*b) })),
    method!(MATH, "min", [Int a, Int b], Int, Some(*a.min(b))),
    method!(MATH, "min", [Long a, Long b], Long, Some(*a.min(b))),
    method!(MATH, "min", [Double a, Double b], Double, Some(if a.is_nan() { *a } else { a.min(*b) })),
    method!(MATH, "round", [Float a], Int, Some((a + 0.5).floor() as i32)),
    method!(MATH, "round", [Double a], Long, Some((a + 0.5).floor() as i64)),
    method!(MATH, "floorDiv", [Int a, Int b], Int, floor_mod(*a, *b).map(|m| ((i64::from(*a) - m) / i64::from(*b)) as i32)),
    method!(MATH, "floorMod", [Int a, Int b], Int, floor_mod(*a, *b).map(|m| m as i32)),
    method!(MATH, "floor", [Double a], Double, Some(a.floor())),
    method!(MATH, "ceil", [Double a], Double, Some(a.ceil())),
    method!(MATH, "rint", [Double a], Double, Some(a.round_ties_even())),
    method!(MATH, "sqrt", [Double a], Double, Some(a.sqrt())),
    method!(MATH, "cbrt", [Double a], Double, Some(strict::cbrt(*a))),
    method!(MATH, "exp", [Double a], Double, Some(a.exp())),
    method!(MATH, "log", [Double a], Double, Some(strict::ln(*a))),
    method!(MATH, "log10", [Double a], Double, Some(strict::log10(*a))),
    method!(MATH, "pow", [Double a, Double b], Double, Some(strict::pow(*a, *b))),
    method!(MATH, "hypot", [Double a, Double b], Double, Some(a.hypot(*b))),
    method!(MATH, "sin", [Double a], Double, Some(a.sin())),
    method!(MATH, "cos", [Double a], Double, Some(a.cos())),
    method!(MATH, "tan", [Double a], Double, Some(a.tan())),
    method!(MATH, "asin", [Double a], Double, Some(a.asin())),
    method!(MATH, "acos", [Double a], Double, Some(a.acos())),
    method!(MATH, "atan", [Double a], Double, Some(a.atan())),
    method!(MATH, "atan2", [Double a, Double b], Double, Some(a.atan2(*b))),
    method!(MATH, "signum", [Double a], Double, Some(if *a == 0.0 || a.is_nan() { *a } else { a.signum() })),
    method!(INTEGER, "parseInt", [Text a], Int, a.parse().ok()),
    method!(INTEGER, "parseInt", [Text a, Int radix], Int, integer(a, *radix).and_then(|v| i32::try_from(v).ok())),
    method!(INTEGER, "valueOf", [Text a], Int, a.parse().ok()),
    method!(INTEGER, "valueOf", [Text a, Int radix], Int, integer(a, *radix).and_then(|v| i32::try_from(v).ok())),
    method!(INTEGER, "valueOf", [Int a], Int, Some(*a)),
    method!(INTEGER, "toString", [Int a], Text, Some(a.to_string())),
    method!(INTEGER, "toHexString", [Int a], Text, Some(format!("{a:x}"))),
    method!(INTEGER, "toOctalString", [Int a], Text, Some(format!("{a:o}"))),
    method!(INTEGER, "toBinaryString", [Int a], Text, Some(format!("{a:b}"))),
    method!(INTEGER, "bitCount", [Int a], Int, Some(a.count_ones() as i32)),
    method!(INTEGER, "compare", [Int a, Int b], Int, Some(a.cmp(b) as i32)),
    method!(INTEGER, "max", [Int a, Int b], Int, Some(*a.max(b))),
    method!(INTEGER, "min", [Int a, Int b], Int, Some(*a.min(b))),
    method!(INTEGER, "sum", [Int a, Int b], Int, Some(a.wrapping_add(*b))),
    method!(LONG, "parseLong", [Text a], Long, a.parse().ok()),
    method!(LONG, "valueOf", [Text a], Long, a.parse().ok()),
    method!(LONG, "valueOf", [Text a, Int radix], Long, integer(a, *radix)),
    method!(LONG, "valueOf", [Long a], Long, Some(*a)),
    method!(LONG, "toString", [Long a], Text, Some(a.to_string())),
    method!(LONG, "toHexString", [Long a], Text, Some(format!("{a:x}"))),
    method!(LONG, "toBinaryString", [Long a], Text, Some(format!("{a:b}"))),
    method!(LONG, "bitCount", [Long a], Int, Some(a.count_ones() as i32)),
    method!(DOUBLE, "parseDouble", [Text a], Double, a.trim().parse().ok()),
    method!(DOUBLE, "valueOf", [Text a], Double, a.trim().parse().ok()),
    method!(DOUBLE, "valueOf", [Double a], Double, Some(*a)),
    method!(DOUBLE, "isNaN", [Double a], Boolean, Some(a.is_nan())),
    method!(STRING, "valueOf", [Boolean a], Text, Some(a.to_string())),
    method!(STRING, "valueOf", [Int a], Text, Some(a.to_string())),
    method!(STRING, "valueOf", [Long a], Text, Some(a.to_string())),
    method!(STRING, "valueOf", [Float a], Text, Some(java_number::float(*a))),
    method!(STRING, "valueOf", [Double a], Text, Some(java_number::double(*a))),
    method!(BOOLEAN, "parseBoolean", [Text a], Boolean, Some(a.eq_ignore_ascii_case("true"))),
    method!(BOOLEAN, "valueOf", [Text a], Boolean, Some(a.eq_ignore_ascii_case("true"))),
    method!(UUID, "fromString", [Text a], Text, uuid_text(a)),
    method!(UUID, "randomUUID", [], Text, Some(random_uuid())),
    method!(URL_DECODER, "decode", [Text a], Text, crate::url::decode(a)),
    method!(URL_DECODER, "decode", [Text a, Text _encoding], Text, crate::url::decode(a)),
    method!(URL_ENCODER, "encode", [Text a], Text, Some(encoded(a))),
    method!(URL_ENCODER, "encode", [Text a, Text _encoding], Text, Some(encoded(a))),
];

fn integer(text: &str, radix: i32) -> Option<i64> {
    u32::try_from(radix).ok().filter(|r| (2..=36).contains(r)).and_then(|r| i64::from_str_radix(text, r).ok())
}

/// What is left of `a` by whole multiples of `b`, with the sign of `b`.
fn floor_mod(a: i32, b: i32) -> Option<i64> {
    let (a, b) = (i64::from(a), i64::from(b));
    (b != 0).then(|| (a % b + b) % b)
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    crate::url::encode(text, &mut out);
    out
}

fn random_uuid() -> String {
    // Version 4 of RFC 9562.
    let bits = (rand::random::<u128>() & !(0xF << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    hyphenated(bits)
}

fn hyphenated(bits: u128) -> String {
    let hex = format!("{bits:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Five groups of hexadecimal digits, which may be shorter than they have to be.
fn uuid_text(text: &str) -> Option<String> {
    const DIGITS: [u32; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    let mut bits = 0u128;
    for (group, digits) in groups.iter().zip(DIGITS) {
        let value = u64::from_str_radix(group, 16).ok()?;
        bits = (bits << (4 * digits)) | (u128::from(value) & ((1 << (4 * digits)) - 1));
    }
    (groups.len() == DIGITS.len() && text.len() <= 36).then(|| hyphenated(bits))
}

fn value_at(array: &ArrayRef, kind: Kind, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return None;
    }
    Some(match kind {
        Kind::Boolean => Value::Boolean(array.as_boolean().value(row)),
        Kind::Int => Value::Int(array.as_primitive::<Int32Type>().value(row)),
        Kind::Long => Value::Long(array.as_primitive::<Int64Type>().value(row)),
        Kind::Float => Value::Float(array.as_primitive::<Float32Type>().value(row)),
        Kind::Double => Value::Double(array.as_primitive::<Float64Type>().value(row)),
        Kind::Text => Value::Text(array.as_string::<i32>().value(row).to_string()),
    })
}

fn find(class: &str, name: &str, kinds: &[Kind]) -> Option<&'static Method> {
    METHODS.iter().find(|m| m.class == class && m.name == name && m.parameters == kinds)
}

fn kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (class, name, tolerates) = (args.option(0), args.option(1), args.option(2) == "try");
    let kinds: Vec<Kind> = args.arg_types.iter().filter_map(Kind::of).collect();
    let method = find(class, name, &kinds).ok_or_else(|| SparkError::internal(format!("no method {class}.{name}")))?;
    let columns = (0..kinds.len()).map(|index| args.array(index)).collect::<Result<Vec<_>>>()?;
    let one = |row: usize| {
        let values = columns.iter().zip(&kinds).map(|(column, kind)| value_at(column, *kind, row));
        let called = values.collect::<Option<Vec<_>>>().and_then(|values| (method.body)(&values));
        match called {
            None if tolerates => Ok(None),
            None => Err(SparkError::internal(format!("{class}.{name} failed")).with_cause("InvocationTargetException")),
            Some(value) => Ok(Some(value.text())),
        }
    };
    Ok(Arc::new((0..args.rows).map(one).collect::<Result<StringArray>>()?))
}

/// The class or method: a constant text.
fn constant(sql: &str, name: &str, value: &TypedExpr) -> Result<String> {
    let text = if value.is_foldable() && value.data_type.is_string() { fold_string(value)? } else { None };
    text.ok_or_else(|| {
        let parameters = [
            ("inputName", quote::sql_id(name)),
            ("inputType", "\"STRING\"".to_string()),
            ("inputExpr", quote::sql_expr(&value.sql)),
        ];
        quote::mismatch("NON_FOLDABLE_INPUT", sql, parameters)
    })
}

fn build(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    const ACCEPTED: &str = "(\"BOOLEAN\" or \"TINYINT\" or \"SMALLINT\" or \"INT\" or \"BIGINT\" or \"FLOAT\" or \
                            \"DOUBLE\" or \"STRING\")";
    let called = context.called_as.to_lowercase();
    let tolerates = called == "try_reflect";
    let mut values = arguments.values;
    if values.len() < 2 {
        return Err(wrong_num_args("reflect", 2, usize::MAX, values.len()));
    }
    let text = |name: &str| {
        let texts: Vec<&str> = values.iter().map(|v| v.sql.as_str()).collect();
        format!("{name}({})", texts.join(", "))
    };
    // Errors show the first of its names.
    let (sql, shown) = (text("reflect"), text(&called));
    let at = |error: SparkError| error.with_origin(context.origin.as_ref());
    let class = constant(&sql, "class", &values[0]).map_err(at)?;
    let name = constant(&sql, "method", &values[1]).map_err(at)?;
    let arguments = values.split_off(2);
    let mut kinds = vec![];
    for (index, value) in arguments.iter().enumerate() {
        let integral = matches!(value.data_type, DataType::Byte | DataType::Short);
        match Kind::of(&value.data_type) {
            Some(kind) => kinds.push(Some(kind)),
            None if integral => kinds.push(None),
            None => {
                let required = ACCEPTED.to_string();
                let error = quote::unexpected_input_type(&sql, index + 2, required, &value.sql, &value.data_type);
                return Err(at(error));
            }
        }
    }
    if !METHODS.iter().any(|m| m.class == class) && class != "java.lang.Object" {
        return Err(at(quote::mismatch("UNEXPECTED_CLASS_TYPE", &sql, [("className", class)])));
    }
    let known: Option<Vec<Kind>> = kinds.into_iter().collect();
    if known.and_then(|kinds| find(&class, &name, &kinds)).is_none() {
        let parameters = [("methodName", name), ("className", class)];
        return Err(at(quote::mismatch("UNEXPECTED_STATIC_METHOD", &sql, parameters)));
    }
    let options = vec![class, name, if tolerates { "try" } else { "" }.to_string()];
    let call = SparkScalar::call("reflect", kernel, arguments, DataType::STRING, true, context.eval);
    Ok(Built::Expr(call.options(options).volatile().origin(context.origin.clone()).build().with_sql(shown)))
}

pub static FUNCTIONS: &[Function] = &[Function::custom(
    "reflect",
    "misc_funcs",
    "2.0.0",
    build,
    "reflect(class, method[, arg1[, arg2 ..]]) - Calls a static method of Java's library, where it is a plain function.",
    &[("SELECT reflect('java.lang.Math', 'max', 1, 2)", "2")],
)
.with_aliases(&["java_method", "try_reflect"])];
