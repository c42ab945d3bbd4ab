//! Window functions: the expression without its window, which the analyzer fills in.
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::nullif;
use datafusion::functions_window::{cume_dist, lead_lag, nth_value, ntile, rank, row_number};
use datafusion::logical_expr::expr::{Case, NullTreatment, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{Cast, Expr, WindowFrame, WindowFunctionDefinition, WindowUDF, lit};
use firesteel_plan::{DataType, Result, SparkError};

use crate::aggregates::call::constant;
use crate::coerce;
use crate::quote;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::typed::TypedExpr;
use crate::types;

fn call(
    function: Arc<WindowUDF>,
    args: Vec<Expr>,
    ignore_nulls: bool,
    data_type: DataType,
    cast: bool,
    nullable: bool,
    sql: String,
    context: &BuildContext<'_>,
) -> Built {
    let params = WindowFunctionParams {
        args,
        partition_by: vec![],
        order_by: vec![],
        window_frame: WindowFrame::new(None),
        filter: None,
        null_treatment: ignore_nulls.then_some(NullTreatment::IgnoreNulls),
        distinct: false,
    };
    let window = WindowFunction { fun: WindowFunctionDefinition::WindowUDF(function), params };
    let expr = Expr::WindowFunction(Box::new(window));
    // DataFusion counts in unsigned 64 bits, Spark in INT.
    let expr = if cast { Expr::Cast(Cast::new(Box::new(expr), types::to_arrow(&data_type))) } else { expr };
    Built::Expr(TypedExpr::new(expr, data_type, nullable, sql).with_origin(context.origin.clone()))
}

fn build_rank(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let name = context.called_as.to_lowercase();
    // The arguments of the rank family are the order, which OVER gives; Spark takes any and ignores them.
    if matches!(name.as_str(), "row_number" | "cume_dist") {
        arguments.expect(context.called_as, 0, 0)?;
    }
    let (function, data_type, shown) = match name.as_str() {
        "row_number" => (row_number::row_number_udwf(), DataType::Integer, "row_number"),
        "rank" => (rank::rank_udwf(), DataType::Integer, "RANK"),
        "dense_rank" => (rank::dense_rank_udwf(), DataType::Integer, "DENSE_RANK"),
        "percent_rank" => (rank::percent_rank_udwf(), DataType::Double, "PERCENT_RANK"),
        _ => (cume_dist::cume_dist_udwf(), DataType::Double, "cume_dist"),
    };
    let cast = data_type == DataType::Integer;
    Ok(call(function, vec![], false, data_type, cast, false, format!("{shown}()"), context))
}

fn build_ntile(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 0, 1)?;
    let buckets = arguments.values.pop().unwrap_or_else(|| TypedExpr::int(1));
    let sql = format!("ntile({})", buckets.sql);
    let fail = |error: SparkError| error.with_origin(context.origin.as_ref());
    if !buckets.is_foldable() {
        return Err(fail(quote::mismatch(
            "NON_FOLDABLE_INPUT",
            &sql,
            [
                ("inputName", quote::sql_id("buckets")),
                ("inputType", quote::sql_type(&buckets.data_type)),
                ("inputExpr", quote::sql_expr(&buckets.sql)),
            ],
        )));
    }
    if buckets.data_type != DataType::Integer {
        let required = quote::sql_type(&DataType::Integer);
        return Err(fail(quote::unexpected_input_type(&sql, 0, required, &buckets.sql, &buckets.data_type)));
    }
    let count = match constant(&buckets)? {
        ScalarValue::Int32(Some(count)) if count > 0 => i64::from(count),
        other => {
            let parameters = [
                ("exprName", "buckets".to_string()),
                ("valueRange", "(0, 2147483647]".to_string()),
                ("currentValue", other.to_string()),
            ];
            return Err(fail(quote::mismatch("VALUE_OUT_OF_RANGE", &sql, parameters)));
        }
    };
    let args = vec![Expr::Literal(ScalarValue::Int64(Some(count)), None)];
    Ok(call(ntile::ntile_udwf(), args, false, DataType::Integer, true, false, sql, context))
}

fn build_lag_lead(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 3)?;
    let lag = context.called_as.eq_ignore_ascii_case("lag");
    let name = if lag { "lag" } else { "lead" };
    let ignore_nulls = arguments.ignore_nulls == Some(true);
    let default = if arguments.values.len() == 3 { arguments.values.pop() } else { None };
    let default = default.unwrap_or_else(|| TypedExpr::null(DataType::Null));
    let offset = if arguments.values.len() == 2 { arguments.values.pop() } else { None };
    let offset = offset.unwrap_or_else(|| TypedExpr::int(1));
    let Some(input) = arguments.values.pop() else {
        return Err(crate::registry::wrong_num_args(name, 1, 3, 0));
    };
    let sql = format!("{name}({}, {}, {})", input.sql, offset.sql, default.sql);
    let fail = |error: SparkError| error.with_origin(context.origin.as_ref());
    if !offset.is_foldable() {
        return Err(fail(quote::mismatch(
            "NON_FOLDABLE_INPUT",
            &sql,
            [
                ("inputName", quote::sql_id("offset")),
                ("inputType", quote::sql_type(&offset.data_type)),
                ("inputExpr", quote::sql_expr(&offset.sql)),
            ],
        )));
    }
    let rows = match constant(&offset)? {
        ScalarValue::Int32(Some(rows)) => i64::from(rows),
        // Spark makes a frame of the offset, and another type makes none.
        _ if offset.data_type.is_string() => {
            return Err(fail(SparkError::new("FAILED_FUNCTION_CALL", [("funcName", quote::sql_id(name))])));
        }
        _ => return Err(fail(SparkError::new("_LEGACY_ERROR_TEMP_1035", [("prettyName", name)]))),
    };
    let function = || if lag { lead_lag::lag_udwf() } else { lead_lag::lead_udwf() };
    let offset = Expr::Literal(ScalarValue::Int64(Some(rows)), None);
    let data_type = input.data_type.clone();
    if default.data_type == DataType::Null {
        let args = vec![input.expr, offset];
        return Ok(call(function(), args, ignore_nulls, data_type, false, true, sql, context));
    }
    let nullable = input.nullable || default.nullable;
    let fits = coerce::wider_type(&input.data_type, &default.data_type, context.eval).is_some();
    if !fits {
        let required = format!("({} or \"VOID\")", quote::sql_type(&input.data_type));
        return Err(fail(quote::unexpected_input_type(&sql, 2, required, &default.sql, &default.data_type)));
    }
    let default = coerce::implicit(default, &input.data_type, context.eval, &context.origin)?;
    if default.is_foldable() {
        let args = vec![input.expr, offset, Expr::Literal(constant(&default)?, None)];
        return Ok(call(function(), args, ignore_nulls, data_type, false, nullable, sql, context));
    }
    // The default is that of the current row where there is no row at the offset.
    let exists = if ignore_nulls { input.expr.clone().is_not_null() } else { lit(true) };
    let exists = if ignore_nulls { nullif(exists, lit(false)) } else { exists };
    let windowed = |args: Vec<Expr>| match call(
        function(),
        args,
        ignore_nulls,
        data_type.clone(),
        false,
        true,
        String::new(),
        context,
    ) {
        Built::Expr(typed) => typed.expr,
        Built::Generator(_) => lit(ScalarValue::Null),
    };
    let found = windowed(vec![exists, offset.clone(), lit(false)]);
    let value = windowed(vec![input.expr, offset]);
    let expr = Expr::Case(Case::new(None, vec![(Box::new(found), Box::new(value))], Some(Box::new(default.expr))));
    Ok(Built::Expr(TypedExpr::new(expr, data_type, nullable, sql).with_origin(context.origin.clone())))
}

fn build_nth_value(context: &BuildContext<'_>, mut arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let mut ignore_nulls = arguments.ignore_nulls == Some(true);
    if arguments.values.len() == 3
        && let Some(flag) = arguments.values.pop()
    {
        ignore_nulls = constant(&flag)? == ScalarValue::Boolean(Some(true));
    }
    let (Some(offset), Some(input)) = (arguments.values.pop(), arguments.values.pop()) else {
        return Err(crate::registry::wrong_num_args("nth_value", 2, 2, 0));
    };
    let sql = format!("nth_value({}, {})", input.sql, offset.sql);
    let fail = |error: SparkError| error.with_origin(context.origin.as_ref());
    if !offset.is_foldable() {
        return Err(fail(quote::mismatch(
            "NON_FOLDABLE_INPUT",
            &sql,
            [
                ("inputName", quote::sql_id("offset")),
                ("inputType", quote::sql_type(&offset.data_type)),
                ("inputExpr", quote::sql_expr(&offset.sql)),
            ],
        )));
    }
    if !offset.data_type.is_integral() {
        let required = "\"INT\"".to_string();
        return Err(fail(quote::unexpected_input_type(&sql, 1, required, &offset.sql, &offset.data_type)));
    }
    let place = match constant(&offset)?.cast_to(&arrow::datatypes::DataType::Int64) {
        Ok(ScalarValue::Int64(Some(place))) if place > 0 => place,
        Ok(other) => {
            let parameters = [
                ("exprName", "offset".to_string()),
                ("valueRange", "(0, 9223372036854775807]".to_string()),
                ("currentValue", format!("{other}L")),
            ];
            return Err(fail(quote::mismatch("VALUE_OUT_OF_RANGE", &sql, parameters)));
        }
        Err(error) => return Err(crate::scalar::from_datafusion(error)),
    };
    let args = vec![input.expr, Expr::Literal(ScalarValue::Int64(Some(place)), None)];
    Ok(call(nth_value::nth_value_udwf(), args, ignore_nulls, input.data_type, false, true, sql, context))
}

macro_rules! entry {
    ($name:literal, $build:expr, $usage:literal, $sql:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::Window,
            group: "window_funcs",
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[(concat!("SELECT ", $sql, " OVER (ORDER BY a) FROM VALUES (1) AS tab(a)"), "1")],
            since: $since,
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    entry!(
        "row_number",
        build_rank,
        "row_number() - The number of the row in its partition, from 1.",
        "row_number()",
        "2.0.0"
    ),
    entry!(
        "rank",
        build_rank,
        "rank() - One more than the number of rows before the current one's peers.",
        "rank()",
        "2.0.0"
    ),
    entry!("dense_rank", build_rank, "dense_rank() - As rank, without gaps.", "dense_rank()", "2.0.0"),
    entry!(
        "percent_rank",
        build_rank,
        "percent_rank() - The rank as a share of the partition, from 0.0 to 1.0.",
        "1 + percent_rank()",
        "2.0.0"
    ),
    entry!(
        "cume_dist",
        build_rank,
        "cume_dist() - The share of rows that are not after the current one.",
        "cume_dist()",
        "2.0.0"
    ),
    entry!(
        "ntile",
        build_ntile,
        "ntile(n) - The bucket of the row when the partition is cut into n of equal size.",
        "ntile(1)",
        "2.0.0"
    ),
    entry!(
        "lag",
        build_lag_lead,
        "lag(input[, offset[, default]]) - The value of the row offset rows before.",
        "lag(a, 0)",
        "2.0.0"
    ),
    entry!(
        "lead",
        build_lag_lead,
        "lead(input[, offset[, default]]) - The value of the row offset rows after.",
        "lead(a, 0)",
        "2.0.0"
    ),
    entry!(
        "nth_value",
        build_nth_value,
        "nth_value(input, offset) - The value of the row at offset in the frame, from 1.",
        "nth_value(a, 1)",
        "3.1.0"
    ),
];
