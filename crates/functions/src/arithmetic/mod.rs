//! The operators `+ - * / % div`, their functions and their `try_` forms.
//!
//! ```text
//!  build() ──▶ temporal: an operand is a date, timestamp, time or interval
//!          └─▶ coerce::binary::arithmetic ──▶ numbers │ decimals ──▶ kernel: the loop
//! ```
use arrow::array::ArrayRef;
use firesteel_plan::{DataType, Result};

use crate::cast::CastMode;
use crate::coerce::{binary, implicit};
use crate::quote::unexpected_input_type;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::typed::TypedExpr;

mod decimals;
pub mod errors;
mod interval;
pub mod kernel;
mod numbers;
mod temporal;
mod unary;

pub use decimals::result_type as decimal_result_type;

/// What happens on overflow and division by zero.
pub type Mode = CastMode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    IntegralDivide,
    Remainder,
    PositiveModulo,
}

impl Operator {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::IntegralDivide => "div",
            Self::Remainder => "%",
            Self::PositiveModulo => "pmod",
        }
    }

    /// The function that gives NULL where this one fails.
    pub fn try_name(self) -> &'static str {
        match self {
            Self::Add => "try_add",
            Self::Subtract => "try_subtract",
            Self::Multiply => "try_multiply",
            Self::Divide | Self::IntegralDivide => "try_divide",
            Self::Remainder | Self::PositiveModulo => "try_mod",
        }
    }

    fn kernel(self) -> crate::scalar::Kernel {
        match self {
            Self::Add => |args| evaluate(args, Self::Add),
            Self::Subtract => |args| evaluate(args, Self::Subtract),
            Self::Multiply => |args| evaluate(args, Self::Multiply),
            Self::Divide => |args| evaluate(args, Self::Divide),
            Self::IntegralDivide => |args| evaluate(args, Self::IntegralDivide),
            Self::Remainder => |args| evaluate(args, Self::Remainder),
            Self::PositiveModulo => |args| evaluate(args, Self::PositiveModulo),
        }
    }

    /// Whether a zero on the right makes NULL or an error.
    fn divides(self) -> bool {
        !matches!(self, Self::Add | Self::Subtract | Self::Multiply)
    }
}

/// The mode as a kernel's option, and back.
pub fn mode_option(mode: Mode) -> String {
    format!("{mode:?}")
}

pub fn mode_of(args: &ScalarArgs<'_>) -> Mode {
    match args.option(0) {
        "Legacy" => Mode::Legacy,
        "Try" => Mode::Try,
        _ => Mode::Ansi,
    }
}

fn evaluate(args: &ScalarArgs<'_>, operator: Operator) -> Result<ArrayRef> {
    let decimal = args.arg_types.first().is_some_and(DataType::is_decimal);
    match (decimal, operator) {
        (true, Operator::IntegralDivide) => decimals::integral_divide(args, mode_of(args)),
        (true, _) => decimals::arithmetic(args, operator, mode_of(args)),
        _ => numbers::arithmetic(args, operator, mode_of(args)),
    }
}

/// `left operator right`, by the rules of Spark's analyzer. `sql` is what the expression shows as.
pub fn build(
    operator: Operator,
    left: TypedExpr,
    right: TypedExpr,
    mode: Mode,
    sql: Option<String>,
    context: &BuildContext<'_>,
) -> Result<TypedExpr> {
    let shown = sql.is_some();
    let sql = sql.unwrap_or_else(|| format!("({} {} {})", left.sql, operator.symbol(), right.sql));
    let is_temporal = |t: &DataType| t.is_datetime() || t.is_interval() || matches!(t, DataType::Time(_));
    if is_temporal(&left.data_type) || is_temporal(&right.data_type) {
        let shown = shown.then(|| sql.clone());
        if let Some(result) = temporal::build(operator, &left, &right, mode, shown, context)? {
            return Ok(result);
        }
    }
    let pair = coerced(operator, left, right, context)?;
    let (required, accepts): (&str, fn(&DataType) -> bool) = match operator {
        Operator::Divide => ("(\"DOUBLE\" or \"DECIMAL\")", |t| matches!(t, DataType::Double) || t.is_decimal()),
        Operator::IntegralDivide => (INTEGRAL, |t| *t == DataType::Long || t.is_decimal()),
        Operator::Add | Operator::Subtract => (NUMERIC_AND_INTERVAL, DataType::is_numeric),
        _ => ("\"NUMERIC\"", DataType::is_numeric),
    };
    binary::check(&sql, &pair, accepts, required, context)?;
    let (left, right) = pair;
    let (data_type, decimal) = match (&left.data_type, &right.data_type) {
        (DataType::Decimal(p1, s1), DataType::Decimal(p2, s2)) if operator != Operator::IntegralDivide => {
            (decimals::result_type(operator, (*p1, *s1), (*p2, *s2), context.eval), true)
        }
        (_, _) if operator == Operator::IntegralDivide => (DataType::Long, false),
        (t, _) => (t.clone(), false),
    };
    let may_fail = operator.divides() || mode == Mode::Try || decimal && mode == Mode::Legacy;
    let nullable = left.nullable || right.nullable || may_fail;
    Ok(call(operator.symbol(), operator.kernel(), vec![left, right], data_type, nullable, mode, context).with_sql(sql))
}

const INTEGRAL: &str = "(\"BIGINT\" or \"DECIMAL\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL DAY TO SECOND\")";
const NUMERIC_AND_INTERVAL: &str =
    "(\"NUMERIC\" or \"INTERVAL DAY TO SECOND\" or \"INTERVAL YEAR TO MONTH\" or \"INTERVAL\")";

fn call(
    name: &'static str,
    kernel: crate::scalar::Kernel,
    args: Vec<TypedExpr>,
    data_type: DataType,
    nullable: bool,
    mode: Mode,
    context: &BuildContext<'_>,
) -> TypedExpr {
    SparkScalar::call(name, kernel, args, data_type, nullable, context.eval)
        .options(vec![mode_option(mode)])
        .origin(context.origin.clone())
        .build()
}

fn coerced(operator: Operator, left: TypedExpr, right: TypedExpr, context: &BuildContext<'_>) -> Result<binary::Pair> {
    let written = (operator == Operator::IntegralDivide).then(|| (left.clone(), right.clone()));
    let (left, right) = binary::arithmetic(left, right, context)?;
    // Nothing is cast to a type that the operator does not take.
    if let Some(written) = written
        && matches!(left.data_type, DataType::Float | DataType::Double)
        && written.0.data_type.is_numeric()
        && written.1.data_type.is_numeric()
    {
        let as_long = |value: TypedExpr| match value.data_type.is_integral() {
            true => implicit(value, &DataType::Long, context.eval, &context.origin),
            false => Ok(value),
        };
        return Ok((as_long(written.0)?, as_long(written.1)?));
    }
    let number = |t: &DataType| t.is_numeric() || *t == DataType::Null;
    let (numbers, decimals) = (
        number(&left.data_type) && number(&right.data_type),
        left.data_type.is_decimal() && right.data_type.is_decimal(),
    );
    if decimals || !numbers {
        return Ok((left, right));
    }
    let to = match operator {
        Operator::Divide => DataType::Double,
        Operator::IntegralDivide if left.data_type.is_integral() || left.data_type == DataType::Null => DataType::Long,
        // NULL with NULL
        _ if left.data_type == DataType::Null => DataType::Double,
        _ => return Ok((left, right)),
    };
    if operator == Operator::Divide && left.data_type.is_decimal() != right.data_type.is_decimal() {
        return Ok((left, right));
    }
    binary::both(left, right, &to, context)
}

fn operator_call(
    operator: Operator,
    mode: Option<Mode>,
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
) -> Result<Built> {
    let name = context.called_as;
    let (left, right) = arguments.two(name)?;
    let by_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && name != "div";
    let sql = by_name.then(|| format!("{name}({}, {})", left.sql, right.sql));
    let mode = mode.unwrap_or_else(|| Mode::of(context.eval));
    build(operator, left, right, mode, sql, context).map(Built::Expr)
}

/// `-x` as operator or function, `+x`, `abs(x)`.
fn one_operand(
    context: &BuildContext<'_>,
    arguments: Arguments<'_>,
    shown: fn(&str) -> String,
    build: fn(TypedExpr, String, &BuildContext<'_>) -> Result<TypedExpr>,
) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = shown(&value.sql);
    let value = match value.data_type {
        DataType::Null => implicit(value, &DataType::Double, context.eval, &context.origin)?,
        ref t if t.is_string() => implicit(value, &DataType::Double, context.eval, &context.origin)?,
        _ => value,
    };
    if !(value.data_type.is_numeric() || value.data_type.is_interval()) {
        let required = NUMERIC_AND_INTERVAL.to_string();
        let error = unexpected_input_type(&sql, 0, required, &value.sql, &value.data_type);
        return Err(error.with_origin(context.origin.as_ref()));
    }
    build(value, sql, context).map(Built::Expr)
}

macro_rules! operator {
    ($name:literal, $aliases:expr, $operator:expr, $mode:expr, $usage:literal, $example:literal, $result:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "math_funcs",
            parameters: &["expr1", "expr2"],
            build: Build::Custom(|context, arguments| operator_call($operator, $mode, context, arguments)),
            usage: $usage,
            examples: &[($example, $result)],
            since: "1.0.0",
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    operator!("+", &[], Operator::Add, None, "expr1 + expr2 - The sum of both.", "SELECT 1 + 2", "3"),
    operator!("-", &[], Operator::Subtract, None, "expr1 - expr2 - The difference.", "SELECT 2 - 1", "1"),
    operator!("*", &[], Operator::Multiply, None, "expr1 * expr2 - The product.", "SELECT 2 * 3", "6"),
    operator!("/", &[], Operator::Divide, None, "expr1 / expr2 - The quotient, never whole.", "SELECT 3 / 2", "1.5"),
    operator!(
        "div",
        &[],
        Operator::IntegralDivide,
        None,
        "expr1 div expr2 - The whole quotient.",
        "SELECT 3 div 2",
        "1"
    ),
    operator!("%", &["mod"], Operator::Remainder, None, "expr1 % expr2 - The remainder.", "SELECT 2 % 1.8", "0.2"),
    operator!(
        "pmod",
        &[],
        Operator::PositiveModulo,
        None,
        "pmod(a, b) - a mod b, not below 0.",
        "SELECT pmod(-10, 3)",
        "2"
    ),
    operator!(
        "try_add",
        &[],
        Operator::Add,
        Some(Mode::Try),
        "try_add(a, b) - a + b, or NULL where it overflows.",
        "SELECT try_add(1, 2)",
        "3"
    ),
    operator!(
        "try_subtract",
        &[],
        Operator::Subtract,
        Some(Mode::Try),
        "try_subtract(a, b) - a - b, or NULL where it overflows.",
        "SELECT try_subtract(2, 1)",
        "1"
    ),
    operator!(
        "try_multiply",
        &[],
        Operator::Multiply,
        Some(Mode::Try),
        "try_multiply(a, b) - a * b, or NULL where it overflows.",
        "SELECT try_multiply(2, 3)",
        "6"
    ),
    operator!(
        "try_divide",
        &[],
        Operator::Divide,
        Some(Mode::Try),
        "try_divide(a, b) - a / b, or NULL where b is 0.",
        "SELECT try_divide(3, 0)",
        "NULL"
    ),
    operator!(
        "try_mod",
        &[],
        Operator::Remainder,
        Some(Mode::Try),
        "try_mod(a, b) - a % b, or NULL where b is 0.",
        "SELECT try_mod(3, 2)",
        "1"
    ),
    Function {
        name: "negative",
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "math_funcs",
        parameters: &["expr"],
        build: Build::Custom(|context, arguments| {
            let shown: fn(&str) -> String =
                if context.is_operator { |a| format!("(- {a})") } else { |a| format!("negative({a})") };
            one_operand(context, arguments, shown, unary::negate)
        }),
        usage: "negative(expr) - The value with the opposite sign.",
        examples: &[("SELECT negative(1)", "-1")],
        since: "1.0.0",
    },
    Function {
        name: "positive",
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "math_funcs",
        parameters: &["expr"],
        build: Build::Custom(|context, arguments| one_operand(context, arguments, |a| format!("(+ {a})"), unary::same)),
        usage: "positive(expr) - The value itself.",
        examples: &[("SELECT positive(1)", "1")],
        since: "1.5.0",
    },
    Function {
        name: "abs",
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "math_funcs",
        parameters: &["expr"],
        build: Build::Custom(|context, arguments| {
            one_operand(context, arguments, |a| format!("abs({a})"), unary::absolute)
        }),
        usage: "abs(expr) - The value without its sign.",
        examples: &[("SELECT abs(-1)", "1")],
        since: "1.2.0",
    },
];
