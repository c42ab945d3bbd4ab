//! Functions that depend on the partition and the row's place in it. A kernel cannot know either, so a call is a marker
//! which the analyzer replaces by a column of a node that does.
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, Operator, ScalarUDF, binary_expr};
use firesteel_plan::{DataType, Result, SparkError};

use crate::cast::{CastMode, cast};
use crate::coerce::{self, wider_decimal};
use crate::context::EvalContext;
use crate::fold::fold;
use crate::mismatch::{mismatch, sql_expr, sql_of, unexpected_input};
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{SparkScalar, as_spark_scalar};
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Marker {
    PartitionId,
    RowId,
    /// The row's number among all rows, from 0 and without gaps
    SequenceId,
    /// DOUBLE in [0, 1)
    Uniform {
        seed: i64,
    },
    Normal {
        seed: i64,
    },
    /// Letters and digits
    Text {
        seed: i64,
        length: usize,
    },
    Uuid {
        seed: i64,
    },
    /// Of the file that a row was read from: a field of its metadata
    File(&'static str),
}

/// The marker that a function is.
pub fn marker(udf: &ScalarUDF) -> Option<Marker> {
    let scalar = as_spark_scalar(udf)?;
    let number = |index: usize| scalar.options.get(index).and_then(|s| s.parse::<i64>().ok()).unwrap_or(0);
    let seed = number(0);
    Some(match scalar.name {
        "spark_partition_id" => Marker::PartitionId,
        "monotonically_increasing_id" => Marker::RowId,
        SEQUENCE_ID => Marker::SequenceId,
        "rand" => Marker::Uniform { seed },
        "randn" => Marker::Normal { seed },
        "randstr" => Marker::Text { seed, length: usize::try_from(number(1)).unwrap_or(0) },
        "uuid" => Marker::Uuid { seed },
        "input_file_name" => Marker::File("file_path"),
        "input_file_block_start" => Marker::File("file_block_start"),
        "input_file_block_length" => Marker::File("file_block_length"),
        _ => return None,
    })
}

fn call(name: &'static str, data_type: DataType, options: Vec<String>, eval: &Arc<EvalContext>) -> TypedExpr {
    SparkScalar::call(name, misplaced, vec![], data_type, false, eval).options(options).volatile().build()
}

/// DataFrames call it (`zipWithIndex`); SQL has no such function.
pub const SEQUENCE_ID: &str = "distributed_sequence_id";

pub fn sequence_id(eval: &Arc<EvalContext>) -> TypedExpr {
    call(SEQUENCE_ID, DataType::Long, vec![], eval)
}

fn plain(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 0, 0)?;
    let (name, data_type) = match context.called_as {
        "spark_partition_id" => ("spark_partition_id", DataType::Integer),
        _ => ("monotonically_increasing_id", DataType::Long),
    };
    let marker = call(name, data_type, vec![], context.eval);
    let shown = if name == "spark_partition_id" { "SPARK_PARTITION_ID()" } else { "monotonically_increasing_id()" };
    Ok(Built::Expr(marker.with_sql(shown)))
}

fn file(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 0, 0)?;
    let (name, data_type) = match context.called_as {
        "input_file_name" => ("input_file_name", DataType::STRING),
        "input_file_block_start" => ("input_file_block_start", DataType::Long),
        _ => ("input_file_block_length", DataType::Long),
    };
    Ok(Built::Expr(call(name, data_type, vec![], context.eval)))
}

/// `input_file_name()` from the path of a file, whose URL has an empty host here.
pub fn file_name(path: Expr) -> Expr {
    let kernel: crate::scalar::Kernel = |args| {
        let paths = crate::view::strings(args, 0)?;
        crate::rows::text(args.rows, |row, out| {
            let path = paths.get(row)?;
            match path.strip_prefix("file:/") {
                Some(rest) if !rest.starts_with('/') => out.extend(["file:///", rest]),
                _ => out.push_str(path),
            }
            Some(())
        })
    };
    let path = TypedExpr::new(path, DataType::STRING, true, "file_path");
    SparkScalar::call("input_file_name", kernel, vec![path], DataType::STRING, true, &Arc::default()).build().expr
}

/// What `input_file_name()` and its like are where no file is read.
pub fn without_file(field: &str) -> ScalarValue {
    if field == "file_path" { ScalarValue::Utf8(Some(String::new())) } else { ScalarValue::Int64(Some(-1)) }
}

fn rand(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    random(context, arguments, "rand")
}

fn normal(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    random(context, arguments, "randn")
}

fn fresh_seed() -> i64 {
    uuid::Uuid::new_v4().as_u128() as i64
}

/// The seed that argument `index` of the call `sql` is: a constant, NULL counts as 0.
fn seed(context: &BuildContext<'_>, sql: &str, index: usize, given: Option<&TypedExpr>) -> Result<i64> {
    let Some(given) = given else { return Ok(fresh_seed()) };
    if given.data_type == DataType::Null {
        return Ok(0);
    }
    if !matches!(given.data_type, DataType::Integer | DataType::Long | DataType::Short | DataType::Byte) {
        return Err(unexpected_input(sql, index, given, "(\"INT\" or \"BIGINT\")"));
    }
    let long = cast(given.clone(), &DataType::Long, CastMode::Ansi, context.eval)?;
    match fold(&long)? {
        Some(ScalarValue::Int64(value)) => Ok(value.unwrap_or(0)),
        _ => Err(crate::fold::not_foldable(sql, "seed", given)),
    }
}

/// `rand([seed])`
fn random(context: &BuildContext<'_>, arguments: Arguments<'_>, name: &'static str) -> Result<Built> {
    arguments.expect(context.called_as, 0, 1)?;
    let sql = sql_of(context, &arguments.values);
    let seed = seed(context, &sql, 0, arguments.values.first())?;
    Ok(Built::Expr(call(name, DataType::Double, vec![seed.to_string()], context.eval).with_sql(sql)))
}

/// Errors unless argument `value` is constant; Spark says in words of what type it should be.
fn constant(sql: &str, name: &str, words: &str, value: &TypedExpr) -> Result<()> {
    if value.is_foldable() {
        return Ok(());
    }
    let parameters =
        [("inputName", format!("`{name}`")), ("inputType", words.to_string()), ("inputExpr", sql_expr(&value.sql))];
    Err(mismatch("NON_FOLDABLE_INPUT", sql, parameters))
}

/// `uniform(min, max[, seed])`: a random number scaled to the range, in the wider type of its bounds.
fn uniform(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 2, 3)?;
    let sql = sql_of(context, &arguments.values);
    let (min, max) = (&arguments.values[0], &arguments.values[1]);
    for (index, (name, bound)) in [("min", min), ("max", max)].into_iter().enumerate() {
        if !bound.data_type.is_numeric() && bound.data_type != DataType::Null {
            return Err(unexpected_input(&sql, index, bound, "\"NUMERIC\""));
        }
        constant(&sql, name, "integer or floating-point", bound)?;
    }
    let seed = seed(context, &sql, 2, arguments.values.get(2))?;
    if min.data_type == DataType::Null || max.data_type == DataType::Null {
        return Ok(Built::Expr(TypedExpr::null(DataType::Double).with_sql(sql)));
    }
    let to_double = |value: &TypedExpr| cast(value.clone(), &DataType::Double, CastMode::Ansi, context.eval);
    let (low, high) = (to_double(min)?.expr, to_double(max)?.expr);
    let part = call("rand", DataType::Double, vec![seed.to_string()], context.eval).expr;
    let range = binary_expr(high, Operator::Minus, low.clone());
    let expr: Expr = binary_expr(low, Operator::Plus, binary_expr(range, Operator::Multiply, part));
    let number = TypedExpr::new(expr, DataType::Double, false, sql.clone());
    let wanted = range_type(&min.data_type, &max.data_type, context.eval);
    let scaled = cast(number, &wanted, CastMode::Ansi, context.eval)?;
    Ok(Built::Expr(scaled.with_sql(sql).with_nullable(false)))
}

fn range_type(min: &DataType, max: &DataType, eval: &EvalContext) -> DataType {
    use DataType::{Decimal, Double, Float};
    match (min, max) {
        (Double, _) | (_, Double) => Double,
        (Float, _) | (_, Float) => Float,
        (Decimal(p, s), Decimal(q, t)) => wider_decimal((*p, *s), (*q, *t), eval),
        (decimal @ Decimal(..), _) | (_, decimal @ Decimal(..)) => decimal.clone(),
        (a, b) => {
            let order = [DataType::Byte, DataType::Short, DataType::Integer, DataType::Long];
            let rank = |t: &DataType| order.iter().position(|known| known == t);
            if rank(a) < rank(b) { b.clone() } else { a.clone() }
        }
    }
}

/// `randstr(length[, seed])`
fn text(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 1, 2)?;
    let sql = sql_of(context, &arguments.values);
    let given = &arguments.values[0];
    constant(&sql, "length", "integer", given)?;
    let seed = seed(context, &sql, 1, arguments.values.get(1))?;
    let length = coerce::argument(&sql, 0, Accept::Integer, given.clone(), context)?;
    let length = match fold(&length)? {
        Some(ScalarValue::Int32(length)) => length.unwrap_or(0),
        _ => 0,
    };
    if length < 0 {
        return Err(SparkError::new(
            "INVALID_PARAMETER_VALUE.LENGTH",
            [
                ("parameter", "`length`".to_string()),
                ("functionName", "`randstr`".to_string()),
                ("length", length.to_string()),
            ],
        ));
    }
    let options = vec![seed.to_string(), length.to_string()];
    Ok(Built::Expr(call("randstr", DataType::STRING, options, context.eval).with_sql(sql)))
}

/// `uuid([seed])`; the seed is written as a number.
fn uuid_text(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 0, 1)?;
    let sql = sql_of(context, &arguments.values);
    let seed = match arguments.values.first() {
        None => fresh_seed(),
        Some(given) => match given.as_literal() {
            Some(ScalarValue::Int32(Some(seed))) => i64::from(*seed),
            Some(ScalarValue::Int64(Some(seed))) => *seed,
            _ => {
                return Err(SparkError::new(
                    "INVALID_PARAMETER_VALUE.LONG",
                    [
                        ("parameter", "`seed`".to_string()),
                        ("functionName", "`UUID`".to_string()),
                        ("invalidValue", sql_expr(&given.sql)),
                    ],
                ));
            }
        },
    };
    Ok(Built::Expr(call("uuid", DataType::STRING, vec![seed.to_string()], context.eval).with_sql(sql)))
}

/// Only markers that the analyzer did not find a place for are ever evaluated.
fn misplaced(_: &crate::scalar::ScalarArgs<'_>) -> Result<arrow::array::ArrayRef> {
    Err(SparkError::unsupported("a function that depends on the partition here"))
}

const fn entry(
    name: &'static str,
    aliases: &'static [&'static str],
    group: &'static str,
    build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
    usage: &'static str,
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases,
        kind: FunctionKind::Scalar,
        group,
        parameters: &[],
        build: Build::Custom(build),
        usage,
        examples: &[],
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "rand",
        &["random"],
        "math_funcs",
        rand,
        "rand([seed]) - Random numbers, uniform from 0 to below 1.",
        "1.5.0",
    ),
    entry(
        "randn",
        &[],
        "math_funcs",
        normal,
        "randn([seed]) - Random numbers of the standard normal distribution.",
        "1.5.0",
    ),
    entry(
        "uniform",
        &[],
        "math_funcs",
        uniform,
        "uniform(min, max[, seed]) - Random numbers from min to below max.",
        "4.0.0",
    ),
    entry(
        "randstr",
        &[],
        "string_funcs",
        text,
        "randstr(length[, seed]) - Random text of digits and letters, of a constant length.",
        "4.0.0",
    ),
    entry("uuid", &[], "misc_funcs", uuid_text, "uuid([seed]) - A random identifier.", "2.3.0"),
    entry(
        "spark_partition_id",
        &[],
        "misc_funcs",
        plain,
        "spark_partition_id() - The number of the row's partition.",
        "1.4.0",
    ),
    entry(
        "monotonically_increasing_id",
        &[],
        "misc_funcs",
        plain,
        "monotonically_increasing_id() - A number that grows from row to row, not by one between partitions.",
        "1.4.0",
    ),
    entry(
        "input_file_name",
        &[],
        "misc_funcs",
        file,
        "input_file_name() - The file that the row was read from, or an empty text.",
        "1.5.0",
    ),
    entry(
        "input_file_block_start",
        &[],
        "misc_funcs",
        file,
        "input_file_block_start() - Where in its file the part begins that the row was read from, or -1.",
        "2.2.0",
    ),
    entry(
        "input_file_block_length",
        &[],
        "misc_funcs",
        file,
        "input_file_block_length() - How long the part of a file is that the row was read from, or -1.",
        "2.2.0",
    ),
];
