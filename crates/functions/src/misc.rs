//! What the session is, the type of an expression, and errors on purpose.
use arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Case;
use firesteel_plan::{DataType, Result, SparkError};

use crate::coerce::argument;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{ScalarArgs, SparkScalar};
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// The version of Spark whose behaviour this is.
pub const SPARK_VERSION: &str = "4.2.0";

/// A constant of the session.
fn session(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 0, 0)?;
    let eval = context.eval;
    let (name, value) = match context.called_as {
        "current_catalog" => ("current_catalog", eval.current_catalog.clone()),
        "current_database" | "current_schema" => ("current_schema", eval.current_database.clone()),
        "current_path" => {
            let path = format!("system.builtin,system.session,{}.{}", eval.current_catalog, eval.current_database);
            ("current_path", path)
        }
        "version" => ("version", format!("{SPARK_VERSION} {}", "0".repeat(40))),
        name => (name, eval.current_user.clone()),
    };
    Ok(Built::Expr(TypedExpr::string(value).with_sql(format!("{name}()"))))
}

fn type_of(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let value = arguments.one(context.called_as)?;
    let name = value.data_type.simple_string();
    Ok(Built::Expr(TypedExpr::string(name).with_sql(format!("typeof({})", value.sql))))
}

fn failing(message: TypedExpr, context: &BuildContext<'_>) -> TypedExpr {
    SparkScalar::call("raise_error", raise, vec![message], DataType::Null, true, context.eval)
        .volatile()
        .origin(context.origin.clone())
        .build()
}

fn raise(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    if args.rows > 0 {
        let messages = args.array(0)?;
        let text = match messages.as_string_opt::<i32>() {
            Some(texts) if texts.is_valid(0) => texts.value(0).to_string(),
            _ => "null".to_string(),
        };
        return Err(SparkError::new("USER_RAISED_EXCEPTION", [("errorMessage", text)]));
    }
    Ok(new_null_array(&args.arrow_type(), args.rows))
}

/// `raise_error(message)`
fn raise_error(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let message = arguments.one(context.called_as)?;
    let sql = format!("raise_error({})", message.sql);
    let message = argument(&sql, 0, Accept::String, message, context)?;
    Ok(Built::Expr(failing(message, context).with_sql(sql)))
}

/// `assert_true(condition[, message])`
fn assert_true(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let mut values = arguments.values.into_iter();
    let condition = values.next().ok_or_else(|| SparkError::internal("no condition"))?;
    let message = values.next().unwrap_or_else(|| TypedExpr::string(format!("'{}' is not true!", condition.sql)));
    let sql = format!("assert_true({}, {})", condition.sql, message.sql);
    let condition = argument(&sql, 0, Accept::Boolean, condition, context)?;
    let message = argument(&sql, 1, Accept::String, message, context)?;
    let passes = vec![(Box::new(condition.expr), Box::new(TypedExpr::null(DataType::Null).expr))];
    let expr = Expr::Case(Case::new(None, passes, Some(Box::new(failing(message, context).expr))));
    Ok(Built::Expr(TypedExpr::new(expr, DataType::Null, true, sql).with_origin(context.origin.clone())))
}

/// Measures are defined by metric views, which there are none of.
fn measure(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    let expr = arguments.one(context.called_as)?;
    Err(SparkError::internal(format!("measure({}) outside of a query of a metric view", expr.sql)))
}

macro_rules! misc {
    ($name:literal, $aliases:expr, $build:expr, $usage:literal, $examples:expr, $since:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Scalar,
            group: "misc_funcs",
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: $examples,
            since: $since,
        }
    };
}

pub static FUNCTIONS: &[Function] = &[
    misc!(
        "assert_true",
        &[],
        assert_true,
        "assert_true(expr [, message]) - NULL, or an error unless expr is true.",
        &[("SELECT assert_true(0 < 1)", "NULL")],
        "2.0.0"
    ),
    misc!("raise_error", &[], raise_error, "raise_error(message) - Fails with that message.", &[], "3.1.0"),
    misc!(
        "current_catalog",
        &[],
        session,
        "current_catalog() - The current catalog.",
        &[("SELECT current_catalog()", "spark_catalog")],
        "3.1.0"
    ),
    misc!(
        "current_schema",
        &["current_database"],
        session,
        "current_schema() - The current schema.",
        &[("SELECT current_schema()", "default")],
        "1.6.0"
    ),
    misc!(
        "current_path",
        &[],
        session,
        "current_path() - The schemas where names are looked up.",
        &[("SELECT current_path()", "system.builtin,system.session,spark_catalog.default")],
        "4.2.0"
    ),
    misc!("current_user", &["user", "session_user"], session, "current_user() - The name of the user.", &[], "3.2.0"),
    misc!("version", &[], session, "version() - The version of Spark, and a revision.", &[], "3.0.0"),
    misc!("measure", &[], measure, "measure(expr) - A measure that a metric view defines.", &[], "4.2.0")
        .with_kind(FunctionKind::Aggregate),
    misc!("typeof", &[], type_of, "typeof(expr) - The name of the type.", &[("SELECT typeof(1)", "int")], "3.0.0"),
];
