//! `round bround ceil floor`, with and without a scale.
use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result, SparkError};
use num_traits::AsPrimitive;

use crate::arithmetic::errors::overflow;
use crate::cast::kernel::{map_all, primitive};
use crate::cast::with_decimal_type;
use crate::coerce::{argument, decimal_for, implicit};
use crate::decimal::{self, pow10};
use crate::fold::fold;
use crate::quote::{mismatch, sql_expr, sql_type, unexpected_input_type};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, wrong_num_args};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::signature::Accept;
use crate::typed::TypedExpr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rounding {
    HalfUp,
    HalfEven,
    Ceiling,
    Floor,
}

impl Rounding {
    /// `value / divisor`, rounded.
    fn divide(self, value: i128, divisor: i128) -> i128 {
        let (quotient, rest) = (value.div_euclid(divisor), value.rem_euclid(divisor));
        let up = match self {
            _ if rest == 0 => false,
            Self::Ceiling => true,
            Self::Floor => false,
            Self::HalfUp => rest > divisor - rest || rest == divisor - rest && value >= 0,
            Self::HalfEven => rest > divisor - rest || rest == divisor - rest && quotient % 2 != 0,
        };
        quotient + i128::from(up)
    }
}

/// The scale argument: a constant INT.
fn scale_of(value: &TypedExpr, sql: &str, context: &BuildContext<'_>) -> Result<Option<i32>> {
    match fold(value)? {
        Some(ScalarValue::Int32(scale)) => Ok(scale),
        Some(_) => Ok(None),
        None => {
            let error = mismatch(
                "NON_FOLDABLE_INPUT",
                sql,
                [
                    ("inputName", "`scale`".to_string()),
                    ("inputType", sql_type(&DataType::Integer)),
                    ("inputExpr", sql_expr(&value.sql)),
                ],
            );
            Err(error.with_origin(context.origin.as_ref()))
        }
    }
}

/// The decimal that holds a decimal rounded to `scale` digits.
fn rounded_decimal(precision: u8, scale: i8, to: i32) -> DataType {
    let whole = i32::from(precision) - i32::from(scale) + 1;
    if to < 0 {
        let precision = whole.max(1 - to);
        return DataType::Decimal(precision.min(38) as u8, 0);
    }
    let kept = to.min(i32::from(scale));
    DataType::Decimal((whole + kept).min(38) as u8, kept as i8)
}

fn round(context: &BuildContext<'_>, arguments: Arguments<'_>, even: bool) -> Result<Built> {
    let mut values = arguments.values;
    if !(1..=2).contains(&values.len()) {
        return Err(wrong_num_args(context.called_as, 1, 2, values.len()));
    }
    let scale = if values.len() == 2 { values.pop() } else { None }.unwrap_or_else(|| TypedExpr::int(0));
    let value = values.pop().ok_or_else(|| wrong_num_args(context.called_as, 1, 2, 0))?;
    let sql = format!("{}({}, {})", context.called_as, value.sql, scale.sql);
    let value = argument(&sql, 0, Accept::Numeric, value, context)?;
    let scale = argument(&sql, 1, Accept::Integer, scale, context)?;
    let Some(digits) = scale_of(&scale, &sql, context)? else {
        return Ok(Built::Expr(TypedExpr::null(value.data_type).with_sql(sql)));
    };
    let to = match value.data_type {
        DataType::Decimal(p, s) => rounded_decimal(p, s, digits),
        ref other => other.clone(),
    };
    let (name, kernel): (&'static str, crate::scalar::Kernel) = if even {
        ("bround", |args| round_kernel(args, Rounding::HalfEven))
    } else {
        ("round", |args| round_kernel(args, Rounding::HalfUp))
    };
    let call = SparkScalar::call(name, kernel, vec![value], to, true, context.eval);
    let call = call.options(vec![digits.to_string()]).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn digits(args: &ScalarArgs<'_>) -> i32 {
    args.option(0).parse().unwrap_or(0)
}

fn round_kernel(args: &ScalarArgs<'_>, mode: Rounding) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let digits = digits(args);
    Ok(match args.return_type {
        DataType::Byte => integers::<Int8Type>(&array, digits, mode, args)?,
        DataType::Short => integers::<Int16Type>(&array, digits, mode, args)?,
        DataType::Integer => integers::<Int32Type>(&array, digits, mode, args)?,
        DataType::Long => integers::<Int64Type>(&array, digits, mode, args)?,
        DataType::Float => Arc::new(map_all::<Float32Type, Float32Type>(&array, |v| {
            let shortest = v.to_string().parse::<f64>().unwrap_or(f64::from(v));
            round_double(shortest, digits, mode) as f32
        })?),
        DataType::Double => Arc::new(map_all::<Float64Type, Float64Type>(&array, |v| round_double(v, digits, mode))?),
        DataType::Decimal(p, s) => decimals(&array, args, (*p, *s), digits, mode)?,
        other => return Err(SparkError::internal(format!("no rounding of {other}"))),
    })
}

fn integers<T>(array: &ArrayRef, digits: i32, mode: Rounding, args: &ScalarArgs<'_>) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: AsPrimitive<i64> + TryFrom<i128>,
    i128: AsPrimitive<T::Native>,
{
    if digits >= 0 {
        return Ok(Arc::clone(array));
    }
    let power = if digits < -19 { None } else { Some(pow10(digits.unsigned_abs())) };
    let round = |v: T::Native| match power {
        Some(power) => mode.divide(v.as_().into(), power) * power,
        None => 0,
    };
    let input = primitive::<T>(array)?;
    if !args.context.ansi {
        return Ok(Arc::new(input.unary::<_, T>(|v| round(v).as_())));
    }
    let checked = |v: T::Native| T::Native::try_from(round(v)).map_err(|_| overflow("Overflow", ""));
    Ok(Arc::new(input.try_unary::<_, T, SparkError>(checked)?))
}

/// By the digits of the number's shortest text, as Spark does through `BigDecimal`.
fn round_double(value: f64, digits: i32, mode: Rounding) -> f64 {
    if !value.is_finite() || digits >= 324 {
        return value;
    }
    if value == 0.0 {
        // A zero loses its sign.
        return 0.0;
    }
    // Whole numbers of moderate size need no digits.
    if digits >= 0 && value.fract() == 0.0 {
        return value;
    }
    if let Some(rounded) = round_clear_double(value, digits) {
        return rounded;
    }
    let Some((unscaled, scale)) = decimal::from_double(value) else { return value };
    if scale <= digits {
        return value;
    }
    let cut = (scale - digits) as u32;
    let rounded = if cut > 38 { 0 } else { mode.divide(unscaled, pow10(cut)) };
    let result = format!("{rounded}e{}", -digits).parse().unwrap_or(value);
    if result == 0.0 { 0.0_f64.copysign(if rounded == 0 { 1.0 } else { value }) } else { result }
}

/// The rounded value where binary arithmetic cannot be wrong: few digits, and a fraction that is clearly no tie. The whole
/// number and the power of ten are both exact doubles, so that their quotient is the double nearest to the decimal number.
fn round_clear_double(value: f64, digits: i32) -> Option<f64> {
    const POWERS: [f64; 10] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
    let power = *POWERS.get(usize::try_from(digits).ok()?)?;
    let scaled = value * power;
    // Below this the error of the product is under a thousandth.
    if scaled.abs() >= 1e12 || ((scaled - scaled.trunc()).abs() - 0.5).abs() < 1e-3 {
        return None;
    }
    // Zero has no sign.
    Some(scaled.round() / power + 0.0)
}

fn decimals(
    array: &ArrayRef,
    args: &ScalarArgs<'_>,
    (precision, scale): (u8, i8),
    digits: i32,
    mode: Rounding,
) -> Result<ArrayRef> {
    let from_scale = match args.arg_types.first() {
        Some(DataType::Decimal(_, s)) => i32::from(*s),
        _ => 0,
    };
    let target = digits.min(from_scale);
    let cut = (from_scale - target) as u32;
    // Below zero digits the result has scale 0, so the zeros come back.
    let zeros = (i32::from(scale) - target).max(0) as u32;
    let round = |v: i128| {
        if cut > 38 {
            return Some(0);
        }
        let rounded = mode.divide(v, pow10(cut));
        rounded.checked_mul(pow10(zeros)).filter(|r| zeros <= 38 && decimal::fits(*r, precision))
    };
    let input = primitive::<Decimal128Type>(array)?;
    let result: PrimitiveArray<Decimal128Type> = if args.context.ansi {
        input.try_unary(|v| {
            round(v).ok_or_else(|| crate::cast::out_of_decimal(decimal::plain(v, from_scale as i8), precision, scale))
        })?
    } else {
        input.unary_opt(round)
    };
    with_decimal_type(result, precision, scale)
}

/// `ceil(x)`: BIGINT, or a DECIMAL for a DECIMAL. `ceil(x, scale)`: a DECIMAL.
fn bound(context: &BuildContext<'_>, arguments: Arguments<'_>, mode: Rounding) -> Result<Built> {
    let mut values = arguments.values;
    let count = values.len();
    if !(1..=2).contains(&count) {
        return Err(wrong_num_args(context.called_as, 1, 2, count));
    }
    let scale = if count == 2 { values.pop() } else { None };
    let value = values.pop().ok_or_else(|| wrong_num_args(context.called_as, 1, 2, 0))?;
    let name = match (&scale, context.called_as) {
        (None, "ceil" | "floor") => context.called_as.to_uppercase(),
        (_, name) => name.to_string(),
    };
    let sql = match &scale {
        Some(scale) => format!("{name}({}, {})", value.sql, scale.sql),
        None => format!("{name}({})", value.sql),
    };
    let value = number_to_bound(value, &sql, context)?;
    let (value, digits) = match scale {
        Some(scale) => {
            let scale = argument(&sql, 1, Accept::Integer, scale, context)?;
            let to = decimal_for(&value.data_type).map(|(p, s)| DataType::Decimal(p, s));
            let value = match to {
                Some(to) => implicit(value, &to, context.eval, &context.origin)?,
                None => value,
            };
            match scale_of(&scale, &sql, context)? {
                Some(digits) => (value, digits),
                None => return Ok(Built::Expr(TypedExpr::null(value.data_type).with_sql(sql))),
            }
        }
        None => (value, 0),
    };
    let to = match value.data_type {
        DataType::Decimal(p, s) => rounded_decimal(p, s, digits),
        _ => DataType::Long,
    };
    let (name, kernel): (&'static str, crate::scalar::Kernel) = match mode {
        Rounding::Ceiling => ("ceil", |args| bound_kernel(args, Rounding::Ceiling)),
        _ => ("floor", |args| bound_kernel(args, Rounding::Floor)),
    };
    let call = SparkScalar::call(name, kernel, vec![value], to, true, context.eval);
    let call = call.options(vec![digits.to_string()]).origin(context.origin.clone());
    Ok(Built::Expr(call.build().with_sql(sql)))
}

fn number_to_bound(value: TypedExpr, sql: &str, context: &BuildContext<'_>) -> Result<TypedExpr> {
    match &value.data_type {
        DataType::Double | DataType::Decimal(..) | DataType::Long => Ok(value),
        t if t.is_integral() => implicit(value, &DataType::Long, context.eval, &context.origin),
        t if *t == DataType::Float || t.is_string() || *t == DataType::Null => {
            implicit(value, &DataType::Double, context.eval, &context.origin)
        }
        _ => {
            let required = "(\"DOUBLE\" or \"DECIMAL\" or \"BIGINT\")".to_string();
            let error = unexpected_input_type(sql, 0, required, &value.sql, &value.data_type);
            Err(error.with_origin(context.origin.as_ref()))
        }
    }
}

fn bound_kernel(args: &ScalarArgs<'_>, mode: Rounding) -> Result<ArrayRef> {
    let array = args.array(0)?;
    match args.arg_types.first() {
        Some(DataType::Double) => {
            let whole = |v: f64| if mode == Rounding::Ceiling { v.ceil() } else { v.floor() };
            Ok(Arc::new(map_all::<Float64Type, Int64Type>(&array, |v| whole(v) as i64)?))
        }
        Some(DataType::Decimal(..)) => match args.return_type {
            DataType::Decimal(p, s) => decimals(&array, args, (*p, *s), digits(args), mode),
            other => Err(SparkError::internal(format!("no rounding to {other}"))),
        },
        _ => Ok(array),
    }
}

macro_rules! rounding {
    ($name:literal, $aliases:expr, $build:expr, $usage:literal, $example:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "math_funcs",
            parameters: &["expr", "scale"],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($example, $result)],
            since: "1.5.0",
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    rounding!(
        "round",
        &[],
        |c, a| round(c, a, false),
        "round(expr, d) - Rounded half up to d digits.",
        "SELECT round(2.5, 0)",
        "3"
    ),
    rounding!(
        "bround",
        &[],
        |c, a| round(c, a, true),
        "bround(expr, d) - Rounded half to even to d digits.",
        "SELECT bround(2.5, 0)",
        "2"
    ),
    rounding!(
        "ceil",
        &["ceiling"],
        |c, a| bound(c, a, Rounding::Ceiling),
        "ceil(expr[, scale]) - The least number not below expr.",
        "SELECT ceil(-0.1)",
        "0"
    ),
    rounding!(
        "floor",
        &[],
        |c, a| bound(c, a, Rounding::Floor),
        "floor(expr[, scale]) - The greatest number not above expr.",
        "SELECT floor(-0.1)",
        "-1"
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_way_rounds_as_the_digits_do() {
        let mut taken = 0;
        for step in -40_000..40_000 {
            let value = f64::from(step) * 0.000_37 + f64::from(step % 7) * 1e5;
            for digits in 0..6 {
                let Some(short) = round_clear_double(value, digits) else { continue };
                taken += 1;
                let (unscaled, scale) = decimal::from_double(value).unwrap();
                let cut = (scale - digits).max(0) as u32;
                let digits = digits.min(scale);
                let exact: f64 =
                    format!("{}e{}", Rounding::HalfUp.divide(unscaled, pow10(cut)), -digits).parse().unwrap();
                assert_eq!(short.to_bits(), (exact + 0.0).to_bits(), "{value} to {digits}");
            }
        }
        assert!(taken > 400_000, "{taken}");
        for tie in [0.5, 2.5, -1.5, 1.005, 0.125] {
            assert!(round_clear_double(tie, if tie == 0.125 { 2 } else { 0 }).is_none() || tie == 1.005, "{tie}");
        }
        assert!(round_clear_double(1.005, 2).is_none());
    }
}
