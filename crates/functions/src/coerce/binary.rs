//! What the two sides of an operator are cast to.
use std::sync::Arc;

use datafusion::common::ScalarValue;
use firesteel_plan::{DataType, Result};

use crate::context::EvalContext;
use crate::quote::{mismatch, sql_type};
use crate::registry::BuildContext;
use crate::typed::TypedExpr;

use super::implicit;
use super::wider::{decimal_for, tightest_common_type, wider_decimal, wider_with_string_ansi};

/// The operands of an operator.
pub type Pair = (TypedExpr, TypedExpr);

/// Casts both operands of `+ - * / % div & | ^` as far as Spark does. The operator checks what it got.
pub fn arithmetic(left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<Pair> {
    let (left, right) = promote_strings_in_arithmetic(left, right, context)?;
    let (left, right) = decimals_with_others(left, right, context)?;
    let (l, r) = (&left.data_type, &right.data_type);
    if l.is_decimal() && r.is_decimal() || l == r {
        return Ok((left, right));
    }
    // Only to a type that the operators take
    match tightest_common_type(l, r, context.eval).filter(DataType::is_numeric) {
        Some(to) => both(left, right, &to, context),
        None => Ok((left, right)),
    }
}

/// Casts both operands of `= < <= > >= <=>`.
pub fn comparison(left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<Pair> {
    let (left, right) = match promoted_for_comparison(&left.data_type, &right.data_type, context.eval) {
        Some(to) => both(left, right, &to, context)?,
        None => (left, right),
    };
    let (left, right) = decimals_with_others(left, right, context)?;
    if let (DataType::Decimal(p1, s1), DataType::Decimal(p2, s2)) = (&left.data_type, &right.data_type) {
        let to = wider_decimal((*p1, *s1), (*p2, *s2), context.eval);
        return both(left, right, &to, context);
    }
    // What the fields of structs are called does not count.
    if !left.data_type.same_type(&right.data_type) && left.data_type.same_shape(&right.data_type) {
        let to = left.data_type.as_nullable();
        let right = implicit(right, &to, context.eval, &context.origin)?;
        return Ok((left, right));
    }
    tightest(left, right, context)
}

/// Casts both sides to one type.
pub fn both(left: TypedExpr, right: TypedExpr, to: &DataType, context: &BuildContext<'_>) -> Result<Pair> {
    Ok((implicit(left, to, context.eval, &context.origin)?, implicit(right, to, context.eval, &context.origin)?))
}

/// Casts both sides to their tightest common type, where they have one.
pub fn tightest(left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<Pair> {
    if left.data_type == right.data_type {
        return Ok((left, right));
    }
    match tightest_common_type(&left.data_type, &right.data_type, context.eval) {
        Some(to) => both(left, right, &to, context),
        None => Ok((left, right)),
    }
}

fn promote_strings_in_arithmetic(left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<Pair> {
    if context.eval.ansi {
        return match wider_with_string_ansi(&left.data_type, &right.data_type) {
            Some(to) => both(left, right, &to, context),
            None => Ok((left, right)),
        };
    }
    let promote = |value: TypedExpr, other: &DataType| {
        if value.data_type.is_string() && !other.is_interval() {
            implicit(value, &DataType::Double, context.eval, &context.origin)
        } else {
            Ok(value)
        }
    };
    let (left_type, right_type) = (left.data_type.clone(), right.data_type.clone());
    Ok((promote(left, &right_type)?, promote(right, &left_type)?))
}

fn promoted_for_comparison(left: &DataType, right: &DataType, context: &EvalContext) -> Option<DataType> {
    if context.ansi {
        return wider_with_string_ansi(left, right);
    }
    let (string, other) = match (left.is_string(), right.is_string()) {
        (true, false) => (left, right),
        (false, true) => (right, left),
        _ => return None,
    };
    match other {
        DataType::Null => Some(string.clone()),
        DataType::Decimal(..) => Some(DataType::Double),
        t if t.is_interval() => None,
        t if t.is_atomic() => Some(t.clone()),
        _ => None,
    }
}

/// An integer beside a decimal becomes a decimal (a literal the smallest that holds it); a decimal beside a float
/// becomes a double.
fn decimals_with_others(left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<Pair> {
    let (left_type, right_type) = (left.data_type.clone(), right.data_type.clone());
    Ok((beside(left, &right_type, context)?, beside(right, &left_type, context)?))
}

fn beside(value: TypedExpr, other: &DataType, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let to = match (&value.data_type, other) {
        (t, DataType::Decimal(..)) if t.is_integral() => smallest_decimal(&value, context.eval),
        (DataType::Decimal(..), DataType::Float | DataType::Double) => Some(DataType::Double),
        _ => None,
    };
    match to {
        Some(to) => implicit(value, &to, context.eval, &context.origin),
        None => Ok(value),
    }
}

fn smallest_decimal(value: &TypedExpr, context: &Arc<EvalContext>) -> Option<DataType> {
    // A cast to the type that a literal has already stays a cast for this rule.
    let written = value.sql.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if context.flag("spark.sql.legacy.literal.pickMinimumPrecision", true)
        && written
        && let Some(digits) = value.as_literal().and_then(integer_digits)
    {
        return Some(DataType::Decimal(digits, 0));
    }
    decimal_for(&value.data_type).map(|(p, s)| DataType::Decimal(p, s))
}

fn integer_digits(value: &ScalarValue) -> Option<u8> {
    let number = match value {
        ScalarValue::Int8(v) => i64::from((*v)?),
        ScalarValue::Int16(v) => i64::from((*v)?),
        ScalarValue::Int32(v) => i64::from((*v)?),
        ScalarValue::Int64(v) => (*v)?,
        _ => return None,
    };
    Some(number.unsigned_abs().checked_ilog10().unwrap_or(0) as u8 + 1)
}

/// The error of an operator whose sides still differ, or whose type it does not take.
pub fn check(
    sql: &str,
    pair: &Pair,
    accepts: impl Fn(&DataType) -> bool,
    required: &str,
    context: &BuildContext<'_>,
) -> Result<()> {
    let (left, right) = (&pair.0.data_type, &pair.1.data_type);
    let same = left.same_type(right) || left.is_decimal() && right.is_decimal();
    let error = if !same {
        mismatch("BINARY_OP_DIFF_TYPES", sql, [("left", sql_type(left)), ("right", sql_type(right))])
    } else if !accepts(left) {
        mismatch("BINARY_OP_WRONG_TYPE", sql, [("inputType", required.to_string()), ("actualDataType", sql_type(left))])
    } else {
        return Ok(());
    };
    Err(error.with_origin(context.origin.as_ref()))
}
