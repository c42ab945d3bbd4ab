//! Functions that depend on the partition and the row's place in it. A kernel cannot know either, so a call is a marker
//! which the analyzer replaces by a column of a node that does.
use datafusion::logical_expr::ScalarUDF;
use firesteel_plan::{DataType, Result, SparkError};

use crate::fold::fold;
use crate::registry::{Arguments, Build, BuildContext, Built, Function, FunctionKind};
use crate::scalar::{SparkScalar, as_spark_scalar};

/// Name and seed of a marker.
pub fn marker(udf: &ScalarUDF) -> Option<(&'static str, i64)> {
    let scalar = as_spark_scalar(udf)?;
    let known = FUNCTIONS.iter().any(|f| f.name == scalar.name);
    known.then(|| (scalar.name, scalar.options.first().and_then(|s| s.parse().ok()).unwrap_or(0)))
}

fn plain(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    arguments.expect(context.called_as, 0, 0)?;
    let (name, data_type) = match context.called_as {
        "spark_partition_id" => ("spark_partition_id", DataType::Integer),
        _ => ("monotonically_increasing_id", DataType::Long),
    };
    let call = SparkScalar::call(name, misplaced, vec![], data_type, false, context.eval).volatile();
    Ok(Built::Expr(call.build().with_sql(format!("{}()", context.called_as.to_uppercase()))))
}

fn uniform(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    random(context, arguments, "rand")
}

fn normal(context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
    random(context, arguments, "randn")
}

/// `rand([seed])`; a seed is a constant, NULL counts as 0.
fn random(context: &BuildContext<'_>, arguments: Arguments<'_>, name: &'static str) -> Result<Built> {
    arguments.expect(context.called_as, 0, 1)?;
    let shown: Vec<_> = arguments.values.iter().map(|a| a.sql.clone()).collect();
    let sql = format!("{}({})", context.called_as, shown.join(", "));
    let seed = match arguments.values.into_iter().next() {
        None => uuid::Uuid::new_v4().as_u128() as i64,
        Some(seed) if seed.data_type == DataType::Null => 0,
        Some(seed) => {
            if !matches!(seed.data_type, DataType::Integer | DataType::Long | DataType::Short | DataType::Byte) {
                return Err(crate::mismatch::unexpected_input(&sql, 0, &seed, "(\"INT\" or \"BIGINT\")"));
            }
            let long = crate::cast::cast(seed.clone(), &DataType::Long, crate::cast::CastMode::Ansi, context.eval)?;
            match fold(&long)? {
                Some(datafusion::common::ScalarValue::Int64(value)) => value.unwrap_or(0),
                _ => return Err(crate::fold::not_foldable(&sql, "seed", &seed)),
            }
        }
    };
    let call = SparkScalar::call(name, misplaced, vec![], DataType::Double, false, context.eval);
    Ok(Built::Expr(call.options(vec![seed.to_string()]).volatile().build().with_sql(sql)))
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
        since: "1.4.0",
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry("rand", &["random"], "math_funcs", uniform, "rand([seed]) - Random numbers, uniform from 0 to below 1."),
    entry("randn", &[], "math_funcs", normal, "randn([seed]) - Random numbers of the standard normal distribution."),
    entry("spark_partition_id", &[], "misc_funcs", plain, "spark_partition_id() - The number of the row's partition."),
    entry(
        "monotonically_increasing_id",
        &[],
        "misc_funcs",
        plain,
        "monotonically_increasing_id() - A number that grows from row to row, not by one between partitions.",
    ),
];
