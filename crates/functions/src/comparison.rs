//! `= < <= > >= <=>` and their functions.
//!
//! Where DataFusion's own comparison is Spark's, it is used, so that filters reach the files and joins find their
//! keys. Floating-point numbers and collated strings are brought to one form first; nested values are compared by a
//! kernel.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::NullBuffer;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use firesteel_plan::{DataType, Result};

use crate::coerce::{binary, collations};
use crate::collation::Collator;
use crate::context::EvalContext;
use crate::ordering::{Order, normalize};
use crate::quote::{mismatch, sql_id, sql_type};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NullSafeEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NullSafeEqual => "<=>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn operator(self) -> Operator {
        match self {
            Self::Equal => Operator::Eq,
            Self::NullSafeEqual => Operator::IsNotDistinctFrom,
            Self::Less => Operator::Lt,
            Self::LessOrEqual => Operator::LtEq,
            Self::Greater => Operator::Gt,
            Self::GreaterOrEqual => Operator::GtEq,
        }
    }

    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal | Self::NullSafeEqual => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }

    fn kernel(self) -> crate::scalar::Kernel {
        match self {
            Self::Equal => |args| compare_nested(args, Self::Equal),
            Self::NullSafeEqual => |args| compare_nested(args, Self::NullSafeEqual),
            Self::Less => |args| compare_nested(args, Self::Less),
            Self::LessOrEqual => |args| compare_nested(args, Self::LessOrEqual),
            Self::Greater => |args| compare_nested(args, Self::Greater),
            Self::GreaterOrEqual => |args| compare_nested(args, Self::GreaterOrEqual),
        }
    }
}

/// `left comparison right`, with implicit casts.
/// Errors with `DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES` and `INVALID_ORDERING_TYPE`.
pub fn build(
    comparison: Comparison,
    left: TypedExpr,
    right: TypedExpr,
    context: &BuildContext<'_>,
) -> Result<TypedExpr> {
    let text = |left: &TypedExpr, right: &TypedExpr| format!("({} {} {})", left.sql, comparison.symbol(), right.sql);
    let written = text(&left, &right);
    let (left, right) = collations::unify_pair(comparison.symbol(), &written, (left, right), context)?;
    let sql = text(&left, &right);
    let pair = binary::comparison(left, right, context)?;
    binary::check(&sql, &pair, |_| true, "", context)?;
    let (left, right) = pair;
    if !left.data_type.is_orderable() {
        let error = mismatch(
            "INVALID_ORDERING_TYPE",
            &sql,
            [("functionName", sql_id(comparison.symbol())), ("dataType", sql_type(&left.data_type))],
        );
        return Err(error.with_origin(context.origin.as_ref()));
    }
    Ok(same_type(comparison, left, right, context.eval).with_sql(sql).with_origin(context.origin.clone()))
}

/// Compares operands that have one type already.
pub fn same_type(comparison: Comparison, left: TypedExpr, right: TypedExpr, context: &Arc<EvalContext>) -> TypedExpr {
    let null_safe = comparison == Comparison::NullSafeEqual;
    let nullable = !null_safe && (left.nullable || right.nullable);
    if left.data_type == DataType::Null {
        return if null_safe { TypedExpr::boolean(true) } else { TypedExpr::null(DataType::Boolean) };
    }
    if is_nested(&left.data_type) {
        let args = vec![left, right];
        let kernel = comparison.kernel();
        return SparkScalar::call(comparison.symbol(), kernel, args, DataType::Boolean, nullable, context).build();
    }
    let (left, right) = (comparable(left, context), comparable(right, context));
    let expr = BinaryExpr::new(Box::new(left), comparison.operator(), Box::new(right));
    TypedExpr::new(Expr::BinaryExpr(expr), DataType::Boolean, nullable, "")
}

/// A map's entries by their keys: those of equal maps are equal.
pub fn sorted_entries(map: TypedExpr, context: &Arc<EvalContext>) -> Result<TypedExpr> {
    ["map_entries", "sort_array"].into_iter().try_fold(map, |value, name| {
        let function = crate::registry::lookup(name)
            .ok_or_else(|| firesteel_plan::SparkError::internal(format!("the function {name} is missing")))?;
        let context = BuildContext { called_as: name, eval: context, origin: None, is_operator: false };
        let arguments = crate::registry::Arguments { values: vec![value], ..Default::default() };
        match function.call(&context, arguments)? {
            crate::registry::Built::Expr(typed) => Ok(typed),
            crate::registry::Built::Generator(_) => {
                Err(firesteel_plan::SparkError::internal(format!("{name} is a generator")))
            }
        }
    })
}

/// Whether values are made of other values.
pub fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Array(..) | DataType::Struct(_) | DataType::Map(..) | DataType::Udt { .. })
}

/// The expression in the form in which equal values are the same bits: numbers without `-0.0` and with one NaN,
/// collated strings as their keys. For comparisons, join keys and grouping.
pub fn comparable(value: TypedExpr, context: &Arc<EvalContext>) -> Expr {
    let collated = matches!(value.data_type, DataType::String(_)) && !Collator::of(&value.data_type).is_binary();
    let to = match value.data_type {
        DataType::Float | DataType::Double => value.data_type.clone(),
        _ if collated => DataType::Binary,
        _ => return value.expr,
    };
    match value.as_literal() {
        Some(ScalarValue::Float64(Some(v))) if !v.is_nan() && *v != 0.0 => return value.expr,
        Some(ScalarValue::Float32(Some(v))) if !v.is_nan() && *v != 0.0 => return value.expr,
        _ => {}
    }
    let nullable = value.nullable;
    SparkScalar::call("comparable", comparable_kernel, vec![value], to, nullable, context).build().expr
}

fn comparable_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let from = args.arg_types.first().unwrap_or(&DataType::Null);
    Ok(normalize(&args.array(0)?, from))
}

fn compare_nested(args: &ScalarArgs<'_>, comparison: Comparison) -> Result<ArrayRef> {
    let data_type = args.arg_types.first().unwrap_or(&DataType::Null);
    let order = Order::of(data_type)?;
    let (left, right) = (args.array(0)?, args.array(1)?);
    let (a, b) = (order.keys(&left)?, order.keys(&right)?);
    let compare = |row: usize| comparison.holds(a.row(row).cmp(&b.row(row)));
    let values: BooleanArray = (0..args.rows).map(|row| Some(compare(row))).collect();
    let nulls = match comparison {
        Comparison::NullSafeEqual => None,
        _ => NullBuffer::union(left.nulls(), right.nulls()),
    };
    Ok(Arc::new(BooleanArray::new(values.values().clone(), nulls)))
}

fn call(comparison: Comparison, context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (left, right) = arguments.two(context.called_as)?;
    let shown = (context.called_as == "equal_null").then(|| format!("equal_null({}, {})", left.sql, right.sql));
    let built = build(comparison, left, right, context)?;
    Ok(Built::Expr(match shown {
        Some(sql) => built.with_sql(sql),
        None => built,
    }))
}

fn not_equal(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (left, right) = arguments.two(context.called_as)?;
    let equal = build(Comparison::Equal, left, right, context)?;
    let sql = format!("(NOT {})", equal.sql);
    let (nullable, origin) = (equal.nullable, equal.origin.clone());
    let expr = match equal.expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::NotEq, right })
        }
        other => Expr::Not(Box::new(other)),
    };
    Ok(Built::Expr(TypedExpr::new(expr, DataType::Boolean, nullable, sql).with_origin(origin)))
}

macro_rules! comparison {
    ($name:literal, $aliases:expr, $comparison:expr, $usage:literal, $example:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "predicate_funcs",
            parameters: &["expr1", "expr2"],
            build: Build::Custom(|context, arguments| call($comparison, context, arguments)),
            usage: $usage,
            examples: &[($example, $result)],
            since: "1.0.0",
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    comparison!("=", &["=="], Comparison::Equal, "expr1 = expr2 - Whether both are equal.", "SELECT 2 = 2", "true"),
    comparison!(
        "<=>",
        &["equal_null"],
        Comparison::NullSafeEqual,
        "expr1 <=> expr2 - Whether both are equal, or both NULL.",
        "SELECT NULL <=> NULL",
        "true"
    ),
    comparison!("<", &[], Comparison::Less, "expr1 < expr2 - Whether expr1 is less.", "SELECT 1 < 2", "true"),
    comparison!(
        "<=",
        &[],
        Comparison::LessOrEqual,
        "expr1 <= expr2 - Whether expr1 is not greater.",
        "SELECT 2 <= 2",
        "true"
    ),
    comparison!(">", &[], Comparison::Greater, "expr1 > expr2 - Whether expr1 is greater.", "SELECT 2 > 1", "true"),
    comparison!(
        ">=",
        &[],
        Comparison::GreaterOrEqual,
        "expr1 >= expr2 - Whether expr1 is not less.",
        "SELECT 2 >= 1",
        "true"
    ),
    Function {
        name: "!=",
        aliases: &["<>"],
        kind: FunctionKind::Scalar,
        group: "predicate_funcs",
        parameters: &["expr1", "expr2"],
        build: Build::Custom(not_equal),
        usage: "expr1 != expr2 - Whether the two differ.",
        examples: &[("SELECT 1 != 2", "true")],
        since: "1.0.0",
    },
];
