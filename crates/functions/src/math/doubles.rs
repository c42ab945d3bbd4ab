//! Functions of one or two DOUBLEs.
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, PrimitiveArray};
use arrow::datatypes::{DurationMicrosecondType, Float64Type, IntervalYearMonthType};
use firesteel_plan::{DataType, Result, SparkError};

use super::{entry, strict};
use crate::arithmetic::kernel::binary;
use crate::cast::kernel::primitive;
use crate::coerce::argument;
use crate::quote::unexpected_input_type;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, wrong_num_args};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::typed::TypedExpr;

fn map(args: &ScalarArgs<'_>, f: impl Fn(f64) -> f64) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let result: Float64Array = primitive::<Float64Type>(&array)?.unary(f);
    Ok(Arc::new(result))
}

/// NULL where `f` answers nothing.
fn map_optional(args: &ScalarArgs<'_>, f: impl Fn(f64) -> Option<f64>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let result: Float64Array = primitive::<Float64Type>(&array)?.unary_opt(f);
    Ok(Arc::new(result))
}

fn two(args: &ScalarArgs<'_>, f: impl Fn(f64, f64) -> f64) -> Result<ArrayRef> {
    let result: PrimitiveArray<Float64Type> =
        binary::<Float64Type, Float64Type, Float64Type>(args, false, |a, b| (f(a, b), false), |_, _| never())?;
    Ok(Arc::new(result))
}

fn never() -> SparkError {
    SparkError::internal("a function that cannot fail")
}

/// `name(x)` in the letters Spark shows.
fn upper(called_as: &str, arguments: &[String]) -> String {
    format!("{}({})", called_as.to_uppercase(), arguments.join(", "))
}

/// Java's `StrictMath`: the sign of zero stays.
fn sign(value: f64) -> f64 {
    if value > 0.0 {
        1.0
    } else if value < 0.0 {
        -1.0
    } else {
        value
    }
}

/// Beyond these, 1 does not count beside a square.
const MUCH: f64 = 268_435_456.0;
const LITTLE: f64 = 1.0 / MUCH;

fn asinh(x: f64) -> f64 {
    let size = x.abs();
    if !x.is_finite() || size < LITTLE {
        return x;
    }
    let square = x * x;
    let result = if size > MUCH {
        strict::ln(size) + std::f64::consts::LN_2
    } else if size > 2.0 {
        strict::ln(2.0 * size + 1.0 / ((square + 1.0).sqrt() + size))
    } else {
        strict::ln_1p(size + square / (1.0 + (1.0 + square).sqrt()))
    };
    result.copysign(x)
}

/// By the steps that Java's strict arithmetic prescribes, so that the last digit is Java's: x is reduced to a power of 2
/// and a rest, for which a polynomial is near enough.
fn exp(x: f64) -> f64 {
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    const TERMS: [f64; 5] = [
        1.666_666_666_666_660_2e-1,
        -2.777_777_777_701_559_3e-3,
        6.613_756_321_437_934e-5,
        -1.653_390_220_546_525_2e-6,
        4.138_136_797_057_238_5e-8,
    ];
    let size = x.abs();
    if !(2f64.powi(-28)..700.0).contains(&size) {
        return x.exp();
    }
    let powers = if size <= 0.5 * std::f64::consts::LN_2 {
        0.0
    } else if size < 1.5 * std::f64::consts::LN_2 {
        x.signum()
    } else {
        (std::f64::consts::LOG2_E * x + 0.5 * x.signum()).trunc()
    };
    let (high, low) = (x - powers * LN_2_HIGH, powers * LN_2_LOW);
    let rest = high - low;
    let t = rest * rest;
    let c = rest - t * TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    if powers == 0.0 {
        return 1.0 - ((rest * c) / (c - 2.0) - rest);
    }
    (1.0 - ((low - (rest * c) / (2.0 - c)) - high)) * 2f64.powi(powers as i32)
}

/// By Java's formulas, too.
fn cosh(x: f64) -> f64 {
    let x = x.abs();
    if x < 0.5 * std::f64::consts::LN_2 {
        let t = x.exp_m1();
        let w = 1.0 + t;
        return if x < 2f64.powi(-55) { w } else { 1.0 + (t * t) / (w + w) };
    }
    if x < 22.0 {
        let t = exp(x);
        return 0.5 * t + 0.5 / t;
    }
    x.cosh()
}

fn acosh(x: f64) -> f64 {
    if x.is_nan() || x < 1.0 {
        f64::NAN
    } else if x >= MUCH {
        strict::ln(x) + std::f64::consts::LN_2
    } else if x > 2.0 {
        strict::ln(2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt()))
    } else {
        let t = x - 1.0;
        strict::ln_1p(t + (2.0 * t + t * t).sqrt())
    }
}

fn atanh(x: f64) -> f64 {
    0.5 * (strict::ln_1p(x) - strict::ln_1p(-x))
}

/// Java's `Math.pow`: a base of 1 or -1 to an infinite or unknown power is NaN.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || base.abs() == 1.0 && exponent.is_infinite() {
        f64::NAN
    } else {
        strict::pow(base, exponent)
    }
}

macro_rules! double {
    ($name:literal, $f:expr, $usage:literal, $example:literal, $result:literal) => {
        entry(
            $name,
            &[],
            &["expr"],
            Signature::new(&[Accept::Double], Returns::Is(SimpleType::Double), |args| map(args, $f))
                .nulls(Nulls::Always)
                .shown(upper),
            $usage,
            &[($example, $result)],
            "1.4.0",
        )
    };
}

/// NULL outside of the domain.
macro_rules! logarithm {
    ($name:literal, $least:literal, $shown:expr, $f:expr, $usage:literal, $example:literal, $result:literal) => {
        entry(
            $name,
            &[],
            &["expr"],
            Signature::new(&[Accept::Double], Returns::Is(SimpleType::Double), |args| {
                let f: fn(f64) -> f64 = $f;
                map_optional(args, |v| if v <= $least { None } else { Some(f(v)) })
            })
            .nulls(Nulls::Always)
            .shown($shown),
            $usage,
            &[($example, $result)],
            "1.4.0",
        )
    };
}

fn plain(called_as: &str, arguments: &[String]) -> String {
    format!("{called_as}({})", arguments.join(", "))
}

fn pow_shown(called_as: &str, arguments: &[String]) -> String {
    if called_as == "power" { upper(called_as, arguments) } else { plain(called_as, arguments) }
}

const fn pair(kernel: crate::scalar::Kernel) -> Signature {
    Signature::new(&[Accept::Double, Accept::Double], Returns::Is(SimpleType::Double), kernel)
}

fn logarithm_to_base(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let result = binary::<Float64Type, Float64Type, Float64Type>(
        args,
        false,
        |base, value| (strict::ln(value) / strict::ln(base), base <= 0.0 || value <= 0.0),
        |_, _| never(),
    )?;
    Ok(Arc::new(result))
}

/// `log(x)` is natural; `log(base, x)`.
fn log(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let mut values = arguments.values;
    let count = values.len();
    if !(1..=2).contains(&count) {
        return Err(wrong_num_args(context.called_as, 1, 2, count));
    }
    let shown = match values.as_slice() {
        [only] => format!("LOG(E(), {})", only.sql),
        _ => upper("log", &values.iter().map(|v| v.sql.clone()).collect::<Vec<_>>()),
    };
    if count == 1 {
        values.insert(
            0,
            TypedExpr::literal(datafusion::common::ScalarValue::from(std::f64::consts::E), DataType::Double, "E()"),
        );
    }
    let values = values
        .into_iter()
        .enumerate()
        .map(|(i, v)| argument(&shown, i, Accept::Double, v, context))
        .collect::<Result<Vec<_>>>()?;
    let natural: crate::scalar::Kernel = |args| {
        let inner = ScalarArgs { values: &args.values[1..], ..*args };
        map_optional(&inner, |v| if v <= 0.0 { None } else { Some(strict::ln(v)) })
    };
    let kernel = if count == 1 { natural } else { logarithm_to_base };
    let call = SparkScalar::call("log", kernel, values, DataType::Double, true, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(shown)))
}

/// The sign of a number or interval as a DOUBLE.
fn signum(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = match context.called_as {
        "signum" => format!("SIGNUM({})", value.sql),
        name => format!("{name}({})", value.sql),
    };
    let value = if value.data_type.is_ansi_interval() {
        value
    } else if crate::coerce::implicit_type(&value.data_type, Accept::Double, context.eval).is_some() {
        argument(&sql, 0, Accept::Double, value, context)?
    } else {
        let required = "(\"DOUBLE\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL DAY TO SECOND\")".to_string();
        let error = unexpected_input_type(&sql, 0, required, &value.sql, &value.data_type);
        return Err(error.with_origin(context.origin.as_ref()));
    };
    let call = SparkScalar::call("signum", sign_kernel, vec![value], DataType::Double, true, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

fn sign_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let result: Float64Array = match args.arg_types.first() {
        Some(DataType::YearMonthInterval(..)) => {
            primitive::<IntervalYearMonthType>(&array)?.unary(|v| f64::from(v.signum()))
        }
        Some(DataType::DayTimeInterval(..)) => {
            primitive::<DurationMicrosecondType>(&array)?.unary(|v| v.signum() as f64)
        }
        _ => return map(args, sign),
    };
    Ok(Arc::new(result))
}

fn constant(context: &BuildContext<'_>, arguments: Arguments<'_>, value: f64) -> Result<Built> {
    arguments.expect(context.called_as, 0, 0)?;
    let sql = format!("{}()", context.called_as.to_uppercase());
    let literal = TypedExpr::literal(datafusion::common::ScalarValue::from(value), DataType::Double, sql);
    Ok(Built::Expr(literal))
}

macro_rules! custom {
    ($name:literal, $aliases:expr, $build:expr, $usage:literal, $example:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "math_funcs",
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($example, $result)],
            since: "1.4.0",
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    double!("acos", f64::acos, "acos(expr) - The inverse cosine.", "SELECT acos(1)", "0.0"),
    double!("acosh", acosh, "acosh(expr) - The inverse hyperbolic cosine.", "SELECT acosh(1)", "0.0"),
    double!("asin", f64::asin, "asin(expr) - The inverse sine.", "SELECT asin(0)", "0.0"),
    double!("asinh", asinh, "asinh(expr) - The inverse hyperbolic sine.", "SELECT asinh(0)", "0.0"),
    double!("atan", f64::atan, "atan(expr) - The inverse tangent.", "SELECT atan(0)", "0.0"),
    double!("atanh", atanh, "atanh(expr) - The inverse hyperbolic tangent.", "SELECT atanh(0)", "0.0"),
    double!("cbrt", strict::cbrt, "cbrt(expr) - The cube root.", "SELECT cbrt(27.0)", "3.0"),
    double!("cos", f64::cos, "cos(expr) - The cosine.", "SELECT cos(0)", "1.0"),
    double!("cosh", cosh, "cosh(expr) - The hyperbolic cosine.", "SELECT cosh(0)", "1.0"),
    double!("cot", |v| 1.0 / v.tan(), "cot(expr) - The cotangent.", "SELECT round(cot(1), 2)", "0.64"),
    double!("csc", |v| 1.0 / v.sin(), "csc(expr) - The cosecant.", "SELECT round(csc(1), 2)", "1.19"),
    double!(
        "degrees",
        |v| v * (180.0 / std::f64::consts::PI),
        "degrees(expr) - Radians as degrees.",
        "SELECT degrees(3.141592653589793)",
        "180.0"
    ),
    double!("exp", exp, "exp(expr) - e to the power of expr.", "SELECT exp(0)", "1.0"),
    double!("expm1", f64::exp_m1, "expm1(expr) - exp(expr) - 1.", "SELECT expm1(0)", "0.0"),
    double!(
        "radians",
        |v| v * (std::f64::consts::PI / 180.0),
        "radians(expr) - Degrees as radians.",
        "SELECT radians(180)",
        "3.141592653589793"
    ),
    double!("sec", |v| 1.0 / v.cos(), "sec(expr) - The secant.", "SELECT sec(0)", "1.0"),
    double!("sin", f64::sin, "sin(expr) - The sine.", "SELECT sin(0)", "0.0"),
    double!("sinh", f64::sinh, "sinh(expr) - The hyperbolic sine.", "SELECT sinh(0)", "0.0"),
    double!("sqrt", f64::sqrt, "sqrt(expr) - The square root.", "SELECT sqrt(4)", "2.0"),
    double!("tan", f64::tan, "tan(expr) - The tangent.", "SELECT tan(0)", "0.0"),
    double!("tanh", f64::tanh, "tanh(expr) - The hyperbolic tangent.", "SELECT tanh(0)", "0.0"),
    logarithm!("ln", 0.0, plain, strict::ln, "ln(expr) - The natural logarithm.", "SELECT ln(1)", "0.0"),
    logarithm!(
        "log10",
        0.0,
        upper,
        strict::log10,
        "log10(expr) - The logarithm to base 10.",
        "SELECT log10(10)",
        "1.0"
    ),
    logarithm!(
        "log2",
        0.0,
        upper,
        |v| strict::ln(v) / strict::ln(2.0),
        "log2(expr) - The logarithm to base 2.",
        "SELECT log2(2)",
        "1.0"
    ),
    logarithm!("log1p", -1.0, upper, strict::ln_1p, "log1p(expr) - ln(1 + expr).", "SELECT log1p(0)", "0.0"),
    entry(
        "rint",
        &[],
        &["expr"],
        Signature::new(&[Accept::Double], Returns::Is(SimpleType::Double), |args| map(args, f64::round_ties_even))
            .nulls(Nulls::Always),
        "rint(expr) - The nearest whole number, as a DOUBLE.",
        &[("SELECT rint(12.3456)", "12.0")],
        "1.4.0",
    ),
    entry(
        "atan2",
        &[],
        &["exprY", "exprX"],
        pair(|args| two(args, |y, x| (y + 0.0).atan2(x + 0.0))).shown(upper),
        "atan2(y, x) - The angle of the point (x, y).",
        &[("SELECT atan2(0, 0)", "0.0")],
        "1.4.0",
    ),
    entry(
        "hypot",
        &[],
        &["expr1", "expr2"],
        pair(|args| two(args, f64::hypot)).shown(upper),
        "hypot(a, b) - The square root of a² + b².",
        &[("SELECT hypot(3, 4)", "5.0")],
        "1.4.0",
    ),
    entry(
        "pow",
        &["power"],
        &["expr1", "expr2"],
        pair(|args| two(args, power)).shown(pow_shown),
        "pow(a, b) - a to the power of b.",
        &[("SELECT pow(2, 3)", "8.0")],
        "1.4.0",
    ),
    custom!(
        "log",
        &[],
        log,
        "log(base, expr) - The logarithm of expr; natural without a base.",
        "SELECT log(10, 100)",
        "2.0"
    ),
    custom!(
        "sign",
        &["signum"],
        signum,
        "sign(expr) - -1.0, 0.0 or 1.0 by the sign of expr.",
        "SELECT sign(40)",
        "1.0"
    ),
    custom!(
        "e",
        &[],
        |c, a| constant(c, a, std::f64::consts::E),
        "e() - Euler's number.",
        "SELECT e()",
        "2.718281828459045"
    ),
    custom!(
        "pi",
        &[],
        |c, a| constant(c, a, std::f64::consts::PI),
        "pi() - The ratio of a circle to its diameter.",
        "SELECT pi()",
        "3.141592653589793"
    ),
];
