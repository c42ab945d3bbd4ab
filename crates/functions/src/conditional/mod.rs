//! CASE, IF, coalesce and their kin. Branches are evaluated only for the rows that need them, but for those that cost
//! nothing ([`choice`]).
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Case;
use firesteel_plan::{DataType, Result, SparkError};

use crate::coerce::{argument, implicit, wider_type_of, wider_type_without_strings};
use crate::comparison::{self, Comparison};
use crate::predicates::is_nan;
use crate::quote::{mismatch, sql_id, sql_type, sql_types};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind, wrong_num_args};
use crate::scalar::SparkScalar;
use crate::signature::Accept;
use crate::typed::TypedExpr;

mod choice;
mod extremes;

pub use choice::choose_texts;

/// Casts the results of the branches to one type; the error's function and text are the caller's.
fn one_type(
    values: Vec<TypedExpr>,
    name: &str,
    sql: &str,
    brackets: bool,
    context: &BuildContext<'_>,
) -> Result<(Vec<TypedExpr>, DataType)> {
    let types: Vec<DataType> = values.iter().map(|v| v.data_type.clone()).collect();
    if types.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok((values, types.into_iter().next().unwrap_or(DataType::Null)));
    }
    let Some(common) = wider_type_of(&types, context.eval) else {
        let list = if brackets {
            format!("[{}]", types.iter().map(sql_type).collect::<Vec<_>>().join(", "))
        } else {
            sql_types(types)
        };
        let error = mismatch("DATA_DIFF_TYPES", sql, [("functionName", sql_id(name)), ("dataType", list)]);
        return Err(error.with_origin(context.origin.as_ref()));
    };
    let cast = values.into_iter().map(|v| implicit(v, &common, context.eval, &context.origin));
    Ok((cast.collect::<Result<_>>()?, common))
}

/// `CASE WHEN c1 THEN v1 … ELSE v END` of conditions that are BOOLEAN and values of one type.
fn case(branches: Vec<(TypedExpr, TypedExpr)>, otherwise: Option<TypedExpr>, data_type: DataType) -> TypedExpr {
    let nullable = otherwise.as_ref().is_none_or(|v| v.nullable) || branches.iter().any(|(_, v)| v.nullable);
    let branches = branches.into_iter().map(|(c, v)| (Box::new(c.expr), Box::new(v.expr))).collect();
    let otherwise = match otherwise {
        Some(value) => value,
        None => TypedExpr::null(data_type.clone()),
    };
    let expr = Expr::Case(Case::new(None, branches, Some(Box::new(otherwise.expr))));
    TypedExpr::new(expr, data_type, nullable, "")
}

fn boolean(value: TypedExpr, index: usize, sql: &str, context: &BuildContext<'_>) -> Result<TypedExpr> {
    if value.data_type.is_string() {
        let error = crate::quote::unexpected_input_type(sql, index, "\"BOOLEAN\"".into(), &value.sql, &value.data_type);
        return Err(error.with_origin(context.origin.as_ref()));
    }
    argument(sql, index, Accept::Boolean, value, context)
}

/// `when(c1, v1, c2, v2, …, otherwise)`
fn when(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let values = arguments.values;
    if values.len() < 2 {
        return Err(wrong_num_args(context.called_as, 2, usize::MAX, values.len()));
    }
    let mut sql = String::from("CASE");
    for pair in values.chunks(2) {
        match pair {
            [c, v] => sql.push_str(&format!(" WHEN {} THEN {}", c.sql, v.sql)),
            [v] => sql.push_str(&format!(" ELSE {}", v.sql)),
            _ => {}
        }
    }
    sql.push_str(" END");
    let has_else = values.len() % 2 == 1;
    let count = values.len();
    let (mut conditions, mut results) = (vec![], vec![]);
    for (i, value) in values.into_iter().enumerate() {
        if i % 2 == 0 && !(has_else && i + 1 == count) {
            conditions.push(boolean(value, i, &sql, context)?);
        } else {
            results.push(value);
        }
    }
    let (mut results, data_type) = one_type(results, "casewhen", &sql, true, context)?;
    let otherwise = if has_else { results.pop() } else { None };
    let branches = conditions.into_iter().zip(results).collect();
    Ok(Built::Expr(case(branches, otherwise, data_type).with_sql(sql).with_origin(context.origin.clone())))
}

fn three(arguments: Arguments<'_>, name: &str) -> Result<[TypedExpr; 3]> {
    arguments.expect(name, 3, 3)?;
    arguments.values.try_into().map_err(|_| wrong_num_args(name, 3, 3, 0))
}

fn if_call(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let [condition, yes, no] = three(arguments, context.called_as)?;
    let sql = format!("(IF({}, {}, {}))", condition.sql, yes.sql, no.sql);
    let condition = boolean(condition, 0, &sql, context)?;
    let (values, data_type) = one_type(vec![yes, no], "if", &sql, true, context)?;
    choose(condition, values, data_type).map(|e| Built::Expr(e.with_sql(sql).with_origin(context.origin.clone())))
}

fn choose(condition: TypedExpr, values: Vec<TypedExpr>, data_type: DataType) -> Result<TypedExpr> {
    let [yes, no]: [TypedExpr; 2] =
        values.try_into().map_err(|_| SparkError::internal("two branches were expected"))?;
    Ok(case(vec![(condition, yes)], Some(no), data_type))
}

fn call_sql(context: &BuildContext<'_>, values: &[TypedExpr]) -> String {
    let list: Vec<&str> = values.iter().map(|v| v.sql.as_str()).collect();
    format!("{}({})", context.called_as, list.join(", "))
}

fn coalesce(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let values = arguments.values;
    let count = values.len();
    if context.called_as != "coalesce" && count != 2 {
        return Err(wrong_num_args(context.called_as, 2, 2, count));
    }
    if values.is_empty() {
        return Err(wrong_num_args(context.called_as, 1, usize::MAX, 0));
    }
    let sql = call_sql(context, &values);
    let (values, data_type) = one_type(values, "coalesce", &sql, false, context)?;
    let nullable = values.iter().all(|v| v.nullable);
    let mut args: Vec<Expr> = values.into_iter().map(|v| v.expr).collect();
    let expr = match (args.len(), args.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            // DataFusion's own is no more than this, but works only after its optimizer.
            let whens = args.into_iter().map(|a| (Box::new(Expr::IsNotNull(Box::new(a.clone()))), Box::new(a)));
            Expr::Case(Case::new(None, whens.collect(), Some(Box::new(last))))
        }
        (_, None) => return Err(wrong_num_args(context.called_as, 1, usize::MAX, 0)),
    };
    Ok(Built::Expr(TypedExpr::new(expr, data_type, nullable, sql).with_origin(context.origin.clone())))
}

fn nvl2(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let [value, present, absent] = three(arguments, context.called_as)?;
    let sql = format!("nvl2({}, {}, {})", value.sql, present.sql, absent.sql);
    let (values, data_type) = one_type(vec![present, absent], "if", &sql, true, context)?;
    let test = TypedExpr::new(Expr::IsNotNull(Box::new(value.expr)), DataType::Boolean, false, "");
    choose(test, values, data_type).map(|e| Built::Expr(e.with_sql(sql)))
}

/// NULL where both are equal, else the first.
fn null_if(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (left, right) = arguments.two(context.called_as)?;
    let sql = format!("nullif({}, {})", left.sql, right.sql);
    let equal = comparison::build(Comparison::Equal, left.clone(), right, context)?;
    let data_type = left.data_type.clone();
    let values = vec![TypedExpr::null(data_type.clone()), left];
    choose(equal, values, data_type).map(|e| Built::Expr(e.with_sql(sql)))
}

fn null_if_zero(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = format!("nullifzero({})", value.sql);
    let equal = comparison::build(Comparison::Equal, value.clone(), TypedExpr::int(0), context)?;
    let data_type = value.data_type.clone();
    let values = vec![TypedExpr::null(data_type.clone()), value];
    choose(equal, values, data_type).map(|e| Built::Expr(e.with_sql(sql)))
}

fn zero_if_null(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let sql = format!("zeroifnull({})", value.sql);
    let values = vec![value, TypedExpr::int(0)];
    let inner =
        BuildContext { called_as: "coalesce", eval: context.eval, origin: context.origin.clone(), is_operator: false };
    match coalesce(&inner, Arguments { values, ..Default::default() })? {
        Built::Expr(expr) => Ok(Built::Expr(expr.with_sql(sql))),
        other => Ok(other),
    }
}

fn nanvl(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let (left, right) = arguments.two(context.called_as)?;
    let sql = format!("nanvl({}, {})", left.sql, right.sql);
    let float = left.data_type == DataType::Float && right.data_type == DataType::Float;
    let to = if float { DataType::Float } else { DataType::Double };
    let number = |index: usize, value: TypedExpr| -> Result<TypedExpr> {
        let fits = argument(&sql, index, Accept::Double, value, context)?;
        implicit(fits, &to, context.eval, &context.origin)
    };
    let (left, right) = if float { (left, right) } else { (number(0, left)?, number(1, right)?) };
    let test = is_nan(left.clone(), context);
    choose(test, vec![right, left], to).map(|e| Built::Expr(e.with_sql(sql)))
}

fn extreme(context: &BuildContext<'_>, arguments: Arguments<'_>, name: &'static str) -> Result<Built> {
    let values = arguments.values;
    if values.len() < 2 {
        return Err(wrong_num_args(context.called_as, 2, usize::MAX, values.len()));
    }
    let sql = call_sql(context, &values);
    let types: Vec<DataType> = values.iter().map(|v| v.data_type.clone()).collect();
    let common = types
        .iter()
        .try_fold(DataType::Null, |so_far, t| wider_type_without_strings(&so_far, t, context.eval))
        .or_else(|| wider_type_of(&types, context.eval).filter(|_| context.eval.ansi));
    let Some(data_type) = common else {
        let list: Vec<String> = types.iter().map(sql_type).collect();
        let list = format!("[{}]", list.join(", "));
        let error = mismatch("DATA_DIFF_TYPES", &sql, [("functionName", sql_id(name)), ("dataType", list)]);
        return Err(error.with_origin(context.origin.as_ref()));
    };
    if !data_type.is_orderable() {
        let error = mismatch(
            "INVALID_ORDERING_TYPE",
            &sql,
            [("functionName", sql_id(name)), ("dataType", sql_type(&data_type))],
        );
        return Err(error.with_origin(context.origin.as_ref()));
    }
    let cast = values.into_iter().map(|v| implicit(v, &data_type, context.eval, &context.origin));
    let values = cast.collect::<Result<Vec<_>>>()?;
    let nullable = values.iter().all(|v| v.nullable);
    let kernel: crate::scalar::Kernel =
        if name == "greatest" { |args| extremes::kernel(args, true) } else { |args| extremes::kernel(args, false) };
    let call = SparkScalar::call(name, kernel, values, data_type, nullable, context.eval);
    Ok(Built::Expr(call.origin(context.origin.clone()).build().with_sql(sql)))
}

macro_rules! conditional {
    ($name:literal, $aliases:expr, $build:expr, $usage:literal, $example:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "conditional_funcs",
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($example, $result)],
            since: $since,
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    conditional!(
        "when",
        &["case"],
        when,
        "CASE WHEN c THEN v ... ELSE v END - The value of the first true condition.",
        "SELECT CASE WHEN 1 > 0 THEN 1 ELSE 2 END",
        "1",
        "1.0.1"
    ),
    conditional!(
        "if",
        &[],
        if_call,
        "if(c, a, b) - a where c is true, else b.",
        "SELECT if(1 < 2, 'a', 'b')",
        "a",
        "1.0.0"
    ),
    conditional!(
        "coalesce",
        &["nvl", "ifnull"],
        coalesce,
        "coalesce(a, b, ...) - The first value that is not NULL.",
        "SELECT coalesce(NULL, 1)",
        "1",
        "1.0.0"
    ),
    conditional!(
        "nvl2",
        &[],
        nvl2,
        "nvl2(a, b, c) - b where a is not NULL, else c.",
        "SELECT nvl2(NULL, 2, 1)",
        "1",
        "2.0.0"
    ),
    conditional!(
        "nullif",
        &[],
        null_if,
        "nullif(a, b) - NULL where a = b, else a.",
        "SELECT nullif(2, 2)",
        "NULL",
        "2.0.0"
    ),
    conditional!(
        "nullifzero",
        &[],
        null_if_zero,
        "nullifzero(a) - NULL where a is 0, else a.",
        "SELECT nullifzero(0)",
        "NULL",
        "4.0.0"
    ),
    conditional!(
        "zeroifnull",
        &[],
        zero_if_null,
        "zeroifnull(a) - 0 where a is NULL, else a.",
        "SELECT zeroifnull(NULL)",
        "0",
        "4.0.0"
    ),
    conditional!(
        "nanvl",
        &[],
        nanvl,
        "nanvl(a, b) - b where a is NaN, else a.",
        "SELECT nanvl(double('NaN'), 1)",
        "1.0",
        "1.5.0"
    ),
    conditional!(
        "greatest",
        &[],
        |c, a| extreme(c, a, "greatest"),
        "greatest(a, b, ...) - The greatest value; NULLs do not count.",
        "SELECT greatest(10, 3)",
        "10",
        "1.5.0"
    ),
    conditional!(
        "least",
        &[],
        |c, a| extreme(c, a, "least"),
        "least(a, b, ...) - The least value; NULLs do not count.",
        "SELECT least(10, 3)",
        "3",
        "1.5.0"
    ),
];
