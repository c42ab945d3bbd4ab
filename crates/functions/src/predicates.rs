//! `AND OR NOT IN BETWEEN`, and tests for NULL and NaN.
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{Float32Type, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use firesteel_plan::{DataType, Result};

use crate::coerce::{self, argument, binary, implicit, wider_type_of};
use crate::comparison::{self, Comparison, comparable, is_nested, same_type};
use crate::quote::{mismatch, sql_id, sql_type};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, wrong_num_args};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// `left AND right`. What Spark does not evaluate, [`crate::lazy`] sees to once the plan is optimized.
pub fn and(left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    logical(Operator::And, left, right, context)
}

fn logical(operator: Operator, left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<TypedExpr> {
    let word = if operator == Operator::And { "AND" } else { "OR" };
    let sql = format!("({} {word} {})", left.sql, right.sql);
    let pair = if context.eval.ansi {
        let boolean = |e: &TypedExpr| e.data_type == DataType::Boolean;
        let promote = boolean(&left) && right.data_type.is_string() || left.data_type.is_string() && boolean(&right);
        if promote { binary::both(left, right, &DataType::Boolean, context)? } else { (left, right) }
    } else {
        (left, right)
    };
    let pair = binary::tightest(pair.0, pair.1, context)?;
    let pair = if pair.0.data_type == DataType::Null && pair.1.data_type == DataType::Null {
        binary::both(pair.0, pair.1, &DataType::Boolean, context)?
    } else {
        pair
    };
    binary::check(&sql, &pair, |t| *t == DataType::Boolean, "\"BOOLEAN\"", context)?;
    let (left, right) = pair;
    let nullable = left.nullable || right.nullable;
    let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.expr), operator, Box::new(right.expr)));
    Ok(TypedExpr::new(expr, DataType::Boolean, nullable, sql).with_origin(context.origin.clone()))
}

fn condition(value: TypedExpr, sql: &str, context: &BuildContext<'_>) -> Result<TypedExpr> {
    argument(sql, 0, Accept::Boolean, value, context)
}

fn not(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = format!("(NOT {})", value.sql);
    let value = condition(value, &sql, context)?;
    let nullable = value.nullable;
    let expr = Expr::Not(Box::new(value.expr));
    Ok(Built::Expr(TypedExpr::new(expr, DataType::Boolean, nullable, sql).with_origin(context.origin.clone())))
}

fn null_test(context: &BuildContext<'_>, arguments: Arguments<'_>, negated: bool, boolean: bool) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let word = if negated { "IS NOT NULL" } else { "IS NULL" };
    let sql = format!("({} {word})", value.sql);
    let value = if boolean { condition(value, &sql, context)? } else { value };
    let inner = Box::new(value.expr);
    let expr = if negated { Expr::IsNotNull(inner) } else { Expr::IsNull(inner) };
    Ok(Built::Expr(TypedExpr::new(expr, DataType::Boolean, false, sql).with_origin(context.origin.clone())))
}

/// `value <= upper AND value >= lower`
fn between(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 3, 3)?;
    let [value, lower, upper]: [TypedExpr; 3] =
        arguments.values.try_into().map_err(|_| wrong_num_args(context.called_as, 3, 3, 0))?;
    let sql = format!("between({}, {}, {})", value.sql, lower.sql, upper.sql);
    let low = comparison::build(Comparison::GreaterOrEqual, value.clone(), lower, context)?;
    let high = comparison::build(Comparison::LessOrEqual, value, upper, context)?;
    Ok(Built::Expr(and(low, high, context)?.with_sql(sql)))
}

fn in_list(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let mut values = arguments.values;
    if values.is_empty() {
        return Err(wrong_num_args(context.called_as, 1, usize::MAX, 0));
    }
    let shown: Vec<&str> = values.iter().skip(1).map(|v| v.sql.as_str()).collect();
    let sql = format!("({} IN ({}))", values[0].sql, shown.join(", "));
    let types: Vec<DataType> = values.iter().map(|v| v.data_type.clone()).collect();
    if types.windows(2).any(|pair| pair[0] != pair[1]) {
        let common = wider_type_of(&types, context.eval);
        // Structs of the same types are compared by position, whatever their fields are called.
        let alike = || types.windows(2).all(|pair| pair[0].same_shape(&pair[1]));
        let common = common.or_else(|| alike().then(|| types[0].as_nullable()));
        let Some(common) = common else { return Err(different(&sql, &types, context)) };
        values =
            values.into_iter().map(|v| implicit(v, &common, context.eval, &context.origin)).collect::<Result<_>>()?;
    }
    let nullable = values.iter().any(|v| v.nullable);
    let data_type = values[0].data_type.clone();
    if !data_type.is_orderable() {
        let error = mismatch(
            "INVALID_ORDERING_TYPE",
            &sql,
            [("functionName", sql_id("in")), ("dataType", sql_type(&data_type))],
        );
        return Err(error.with_origin(context.origin.as_ref()));
    }
    let value = values.remove(0);
    let expr = if data_type == DataType::Null || values.is_empty() {
        let result = if values.is_empty() { Some(false) } else { None };
        Expr::Literal(ScalarValue::Boolean(result), None)
    } else if is_nested(&data_type) {
        let equal = |v: TypedExpr| same_type(Comparison::Equal, value.clone(), v, context.eval).expr;
        let any = values
            .into_iter()
            .map(equal)
            .reduce(|a, b| Expr::BinaryExpr(BinaryExpr::new(Box::new(a), Operator::Or, Box::new(b))));
        any.unwrap_or(Expr::Literal(ScalarValue::Boolean(Some(false)), None))
    } else {
        let list = values.into_iter().map(|v| comparable(v, context.eval)).collect();
        Expr::InList(InList::new(Box::new(comparable(value, context.eval)), list, false))
    };
    Ok(Built::Expr(TypedExpr::new(expr, DataType::Boolean, nullable, sql).with_origin(context.origin.clone())))
}

fn different(sql: &str, types: &[DataType], context: &BuildContext<'_>) -> firesteel_plan::SparkError {
    let list: Vec<String> = types.iter().map(sql_type).collect();
    let error = mismatch(
        "DATA_DIFF_TYPES",
        sql,
        [("functionName", sql_id("in")), ("dataType", format!("[{}]", list.join(", ")))],
    );
    error.with_origin(context.origin.as_ref())
}

/// `isnan(value)` of a FLOAT or DOUBLE; false for NULL.
pub fn is_nan(value: TypedExpr, context: &BuildContext<'_>) -> TypedExpr {
    SparkScalar::call("isnan", is_nan_kernel, vec![value], DataType::Boolean, false, context.eval).build()
}

fn is_nan_call(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = format!("isnan({})", value.sql);
    let value = match value.data_type {
        DataType::Float | DataType::Double => value,
        ref t => match coerce::implicit_type(t, Accept::Double, context.eval) {
            Some(to) => implicit(value, &to, context.eval, &context.origin)?,
            None => {
                let required = "(\"DOUBLE\" or \"FLOAT\")".to_string();
                let error = crate::quote::unexpected_input_type(&sql, 0, required, &value.sql, &value.data_type);
                return Err(error.with_origin(context.origin.as_ref()));
            }
        },
    };
    Ok(Built::Expr(is_nan(value, context).with_sql(sql)))
}

fn is_nan_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let test = |value: Option<f64>| Some(value.is_some_and(f64::is_nan));
    let result: BooleanArray = match array.as_primitive_opt::<Float64Type>() {
        Some(doubles) => doubles.iter().map(test).collect(),
        None => match array.as_primitive_opt::<Float32Type>() {
            Some(floats) => floats.iter().map(|v| test(v.map(f64::from))).collect(),
            None => std::iter::repeat_n(Some(false), args.rows).collect(),
        },
    };
    Ok(Arc::new(result))
}

macro_rules! predicate {
    ($name:literal, $aliases:expr, $parameters:expr, $build:expr, $usage:literal, $example:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "predicate_funcs",
            parameters: $parameters,
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($example, $result)],
            since: "1.0.0",
        }
    };
}

fn logical_call(operator: Operator, context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (left, right) = arguments.two(context.called_as)?;
    logical(operator, left, right, context).map(Built::Expr)
}

pub static FUNCTIONS: &[Function] = &[
    predicate!(
        "and",
        &[],
        &["expr1", "expr2"],
        |c, a| logical_call(Operator::And, c, a),
        "expr1 and expr2 - Whether both are true.",
        "SELECT true AND false",
        "false"
    ),
    predicate!(
        "or",
        &[],
        &["expr1", "expr2"],
        |c, a| logical_call(Operator::Or, c, a),
        "expr1 or expr2 - Whether one is true.",
        "SELECT true OR false",
        "true"
    ),
    predicate!("not", &["!"], &["expr"], not, "not expr - The opposite.", "SELECT NOT true", "false"),
    predicate!(
        "isnull",
        &["isunknown"],
        &["expr"],
        |c, a| {
            let boolean = c.called_as == "isunknown";
            null_test(c, a, false, boolean)
        },
        "isnull(expr) - Whether expr is NULL.",
        "SELECT isnull(1)",
        "false"
    ),
    predicate!(
        "isnotnull",
        &["isnotunknown"],
        &["expr"],
        |c, a| {
            let boolean = c.called_as == "isnotunknown";
            null_test(c, a, true, boolean)
        },
        "isnotnull(expr) - Whether expr is not NULL.",
        "SELECT isnotnull(1)",
        "true"
    ),
    predicate!(
        "isnan",
        &[],
        &["expr"],
        is_nan_call,
        "isnan(expr) - Whether expr is NaN.",
        "SELECT isnan(1.0D)",
        "false"
    ),
    predicate!(
        "in",
        &[],
        &[],
        in_list,
        "expr1 in (expr2, ...) - Whether expr1 is one of the others.",
        "SELECT 1 IN (1, 2)",
        "true"
    ),
    predicate!(
        "between",
        &[],
        &["expr", "lower", "upper"],
        between,
        "expr between lower and upper - Whether expr lies in the range.",
        "SELECT 2 BETWEEN 1 AND 3",
        "true"
    ),
];
